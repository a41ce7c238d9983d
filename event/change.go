package event

import (
	"bytes"
	"encoding/json"

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
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil // cannot happen: callers pass only values that can be encoded
	}
	text := bytes.TrimSpace(b.Bytes())
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
	kept := make([]Change, len(changes))
	for i, c := range changes {
		if room -= len(c.Before) + len(c.After); room < 0 {
			c.Before, c.After, c.Cut = nil, nil, !c.Secret
		}
		kept[i] = c
	}
	list, err := marshal(kept)
	if err != nil {
		return data
	}
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

// marshal returns v as JSON in which <, > and & are not escaped.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
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
