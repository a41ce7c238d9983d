package event

import (
	"bytes"
	"encoding/json"
)

// Change is one attribute or setting that an event's change gave another value. All changes of an event stand in its data, as the
// list "changes":
//
//	{"changes": [{"name": "userName", "before": "kim@a.example", "after": "kim@b.example"}]}
//
// Nothing else in data holds values of a person, so what must forget a person empties this list; see [Forget].
type Change struct {
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before,omitempty"` // absent: it had no value
	After  json.RawMessage `json:"after,omitempty"`  // absent: it has none any more
	Secret bool            `json:"secret,omitempty"` // it changed, and the values are nobody's business
	Cut    bool            `json:"cut,omitempty"`    // a value was too long: the text is its beginning
	Erased bool            `json:"erased,omitempty"` // the values were erased afterwards
}

const (
	maxValue  = 1_000  // bytes of one value's JSON
	maxValues = 10_000 // bytes of all values of an event, before and after
)

// Changed gives the change of a value; nil stands for none.
func Changed(name string, before, after any) Change {
	c := Change{Name: name}
	c.Before, c.After = c.value(before), c.value(after)
	return c
}

// SecretChanged says that a secret has changed, without a value.
func SecretChanged(name string) Change { return Change{Name: name, Secret: true} }

func (c *Change) value(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil // no value of ours cannot be written
	}
	text := bytes.TrimSpace(b.Bytes())
	if len(text) <= maxValue {
		return text
	}
	c.Cut = true
	s, isText := v.(string)
	if !isText {
		s = string(text)
	}
	short, _ := json.Marshal(clip(s, maxValue/2))
	return short
}

// WithChanges returns an event's data, a JSON object or nil, with the list of changes added. Values beyond a bound are left out:
// such a change says that it was cut.
func WithChanges(data []byte, changes ...Change) []byte {
	if len(changes) == 0 {
		return data
	}
	room := maxValues
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

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// Changes reads the list that WithChanges wrote; nil where there is none.
func Changes(data []byte) []Change {
	var held struct {
		Changes []Change `json:"changes"`
	}
	if len(data) == 0 || json.Unmarshal(data, &held) != nil {
		return nil
	}
	return held.Changes
}

// Forget returns data without the values of its changes. Which attributes changed stays, so the trail stays true.
func Forget(data []byte) []byte {
	var held map[string]json.RawMessage
	changes := Changes(data)
	if len(changes) == 0 || json.Unmarshal(data, &held) != nil {
		return data
	}
	for i, c := range changes {
		if len(c.Before)+len(c.After) > 0 {
			changes[i] = Change{Name: c.Name, Secret: c.Secret, Erased: true}
		}
	}
	delete(held, "changes")
	rest, err := marshal(held)
	if err != nil {
		return data
	}
	return WithChanges(rest, changes...)
}
