package event

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/rollcall-scim/rollcall/internal/phrase"
)

// Change describes one attribute or setting whose value changed. The data of an event contains all
// its changes, as the list "changes":
//
//	{"changes": [{"name": "userName", "before": "kim@a.example", "after": "kim@b.example"}]}
//
// No other part of the data has values of a person. So to erase a person's values, it is enough to
// remove the values in this list.
type Change struct {
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before,omitempty"` // the old value; absent if there was none
	After  json.RawMessage `json:"after,omitempty"`  // the new value; absent if there is none
	Secret bool            `json:"secret,omitempty"` // whether the value is a secret; Before and After are then absent
	Cut    bool            `json:"cut,omitempty"`    // whether a value was cut or left out because it is too long
	Erased bool            `json:"erased,omitempty"` // whether the values were erased later
}

const (
	maxValueBytes     = 1_000  // the maximum length, in bytes, of the JSON of one value
	maxAllValuesBytes = 10_000 // the maximum length, in bytes, of all old and new values of one event together
)

// Changed returns the change of a value from before to after; nil means no value.
func Changed(name string, before, after any) Change {
	c := Change{Name: name}
	c.Before, c.After = c.recordValue(before), c.recordValue(after)
	return c
}

// SecretChanged returns the change of a value that is secret, without the value.
func SecretChanged(name string) Change { return Change{Name: name, Secret: true} }

// recordValue returns a value as JSON. If the JSON is too long, recordValue returns the beginning
// as a string, and sets c.Cut.
func (c *Change) recordValue(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	text, err := appendJSON(nil, v)
	if err != nil {
		return nil // cannot happen: callers pass only values that can be encoded
	}
	if len(text) <= maxValueBytes {
		return text
	}
	c.Cut = true
	s, isText := v.(string)
	if !isText {
		s = string(text)
	}
	short, _ := json.Marshal(phrase.Cut(phrase.Storable(s), maxValueBytes/2))
	return short
}

// WithChanges adds a list of changes to an event's data, which is a JSON object or nil. When the
// values of the list become too long together, it leaves out the values of the remaining changes
// and marks those changes as Cut.
func WithChanges(data []byte, changes ...Change) []byte {
	if len(changes) == 0 {
		return data
	}
	room := maxAllValuesBytes
	list := []byte{'['}
	for i, c := range changes {
		if room -= len(c.Before) + len(c.After); room < 0 {
			c.Before, c.After, c.Cut = nil, nil, !c.Secret
		}
		if i > 0 {
			list = append(list, ',')
		}
		var err error
		if list, err = c.appendJSON(list); err != nil {
			return data
		}
	}
	list = append(list, ']')
	data = bytes.TrimSpace(data)
	out := make([]byte, 0, len(data)+len(list)+12)
	if body := bytes.TrimSuffix(data, []byte("}")); len(body) > 1 {
		out = append(append(out, body...), ',')
	} else {
		out = append(out, '{')
	}
	out = append(append(out, `"changes":`...), list...)
	return append(out, '}')
}

// appendJSON appends the change as encoding/json does, except that it takes the values as they are:
// they are JSON without spaces already.
func (c Change) appendJSON(out []byte) ([]byte, error) {
	out, err := appendJSON(append(out, `{"name":`...), c.Name)
	if err != nil {
		return nil, err
	}
	for _, v := range []struct {
		name  string
		value json.RawMessage
	}{{"before", c.Before}, {"after", c.After}} {
		if len(v.value) > 0 {
			out = append(append(append(append(out, `,"`...), v.name...), `":`...), v.value...)
		}
	}
	for _, v := range []struct {
		name string
		set  bool
	}{{"secret", c.Secret}, {"cut", c.Cut}, {"erased", c.Erased}} {
		if v.set {
			out = append(append(append(out, `,"`...), v.name...), `":true`...)
		}
	}
	return append(out, '}'), nil
}

// marshal returns v as JSON in which <, > and & are not escaped.
func marshal(v any) ([]byte, error) { return appendJSON(nil, v) }

// appendJSON appends a value as JSON, and does not escape characters of HTML. Most values are
// simple strings and booleans, for which an encoder would take many times as long.
func appendJSON(out []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		if isPlain(v) {
			return append(append(append(out, '"'), v...), '"'), nil
		}
	case bool:
		return strconv.AppendBool(out, v), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return append(out, bytes.TrimSpace(b.Bytes())...), nil
}

// isPlain reports whether a string needs no escapes in JSON. It is false for all strings that are
// not ASCII.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Changes returns the list that WithChanges has put into an event's data, or nil if there is none.
func Changes(data []byte) []Change {
	var held struct {
		Changes []Change `json:"changes"`
	}
	if len(data) == 0 || json.Unmarshal(data, &held) != nil {
		return nil
	}
	return held.Changes
}
