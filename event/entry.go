package event

import (
	"encoding/json"
	"strings"
	"time"
)

// Entry is an event in the form that programs read: in files, and in the output of commands.
type Entry struct {
	Time    string          `json:"time"`
	Event   string          `json:"event"`
	Scope   string          `json:"scope"`
	ScopeID string          `json:"scopeId,omitempty"`
	Subject string          `json:"subject,omitempty"`
	Text    string          `json:"text"`
	Actor   EntryActor      `json:"actor"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// EntryActor is the actor of an Entry.
type EntryActor struct {
	Kind      string `json:"kind"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Address   string `json:"address,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
}

// Entry returns the event in the form that programs read.
func (e Event) Entry() Entry {
	return Entry{
		e.Time.UTC().Format(time.RFC3339Nano), e.Name, e.Scope.Kind, e.Scope.ID, e.Subject, e.Text,
		EntryActor{string(e.By.Kind), e.By.ID, e.By.Name, e.By.Address, e.By.UserAgent},
		e.Data,
	}
}

// Columns are the headings of the columns that Event.Cells returns.
var Columns = []string{
	"time", "event", "text", "actorKind", "actor", "actorId", "address", "userAgent", "scope", "scopeId", "subject", "changes", "data", "position",
}

// Cells returns the event as a row of a CSV file.
func (e Event) Cells() []string {
	var changes []string
	for _, c := range Changes(e.Data) {
		changes = append(changes, c.String())
	}
	return []string{
		e.Time.UTC().Format(time.RFC3339Nano), e.Name, e.Text, string(e.By.Kind), e.By.Name, e.By.ID, e.By.Address, e.By.UserAgent,
		e.Scope.Kind, e.Scope.ID, e.Subject, strings.Join(changes, "; "), string(e.Data), e.Position.String(),
	}
}

// Words returns the old and the new value of a change for people. Strings have no quotes. A missing
// value is the word "none".
func (c Change) Words() (before, after string) {
	switch {
	case c.Secret:
		return "secret", "secret"
	case c.Erased:
		return "erased", "erased"
	}
	before, after = jsonWords(c.Before), jsonWords(c.After)
	if c.Cut && before == noneWord && after == noneWord {
		return "too long", "too long"
	}
	return before, after
}

// String returns the change as one line of text.
func (c Change) String() string {
	switch {
	case c.Secret:
		return c.Name + ": secret"
	case c.Erased:
		return c.Name + ": erased"
	}
	before, after := c.Words()
	return c.Name + ": " + before + " → " + after
}

// noneWord is what people see in place of a missing value.
const noneWord = "none"

// jsonWords returns a JSON value for people: a string without quotation marks, and noneWord for
// null.
func jsonWords(value json.RawMessage) string {
	var text string
	switch {
	case len(value) == 0 || string(value) == "null":
		return noneWord
	case json.Unmarshal(value, &text) != nil:
		return string(value)
	case text == "":
		return `""`
	}
	return text
}
