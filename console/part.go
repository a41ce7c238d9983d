package console

import "time"

// tone colours a badge or a notice. The words beside it say the same.
type tone string

const (
	quiet tone = "quiet"
	ok    tone = "ok"
	info  tone = "info"
	warn  tone = "warn"
	bad   tone = "bad"
)

func (t tone) known() bool {
	switch t {
	case quiet, ok, info, warn, bad:
		return true
	}
	return false
}

// Icon is the symbol that goes with the tone.
func (t tone) Icon() string {
	switch t {
	case ok:
		return "circle-check"
	case warn:
		return "triangle-alert"
	case bad:
		return "circle-x"
	default:
		return "info"
	}
}

// badge is a state in one or two words: {{template "badge" .Badge}}.
type badge struct {
	Tone tone
	Text string
	Hint string // on hover; may be empty
}

// notice is a box with a sentence: {{template "notice" .Notice}}. It needs Title, Text or both.
type notice struct {
	Tone  tone
	Title string
	Text  string
}

// done is the notice after a form that did what it was asked.
func done(text string) notice { return notice{Tone: ok, Text: text} }

// emptyState stands where a table has no rows: {{template "empty" .Empty}}.
type emptyState struct {
	Icon, Title, Text string
	Action            *action // may be nil
}

// pager walks a list kept in time or key order: {{template "pager" .Pager}}. It shows nothing if all of it is empty.
type pager struct {
	First    string // back to the beginning
	Previous string // one page back
	Next     string // further on
	Text     string // what is shown: "50 of 214 people"
}

// copyValue is a read-only value with a button that copies it: {{template "copy" .TenantURL}}.
type copyValue struct {
	ID     string // of the input, unique on the page
	Label  string // the identity provider's own name for it
	Value  string
	Button string // "Copy" if empty
	Hint   string // a sentence below; may be empty
}

// fieldError is what is wrong with one input: {{template "field-error" .Error}}; the input carries aria-describedby="{For}-error".
type fieldError struct{ For, Text string }

// tab is a filter that is a link: {{template "tabs" .Tabs}}.
type tab struct {
	Text, URL string
	Count     string // may be empty
	Here      bool
}

// field is a hidden input.
type field struct{ Name, Value string }

// confirmPage asks before something that matters, on a page of its own: view "confirm". Its Title is the question.
type confirmPage struct {
	page
	Consequences []string // what will happen, with names and numbers, one sentence each
	Undo         string   // how to undo it, or that it cannot be undone
	Action       string   // where the form posts
	Fields       []field
	Button       string // says what it does: "Deactivate Ada Lovelace"
	Danger       bool
	Cancel       string   // where "Cancel" leads
	Choices      []choice // radio buttons; may be empty
	TypeName     string   // a name that must be typed into "confirm"; may be empty
	Error        *fieldError
}

// choice is one radio button of a confirmation.
type choice struct {
	Name, Value, Text, Help string
	Checked                 bool
}

// Word says the tone to whoever does not see the colour.
func (t tone) Word() string {
	switch t {
	case ok:
		return "Good:"
	case warn:
		return "Warning:"
	case bad:
		return "Problem:"
	default:
		return "Note:"
	}
}

// fact is a name and a value.
type fact struct{ Name, Value string }

// eventRow is one line of a history.
type eventRow struct {
	Time  time.Time
	Text  string
	Actor string
	URL   string // of the person it is about; may be empty

	Strong bool   // it stands out: a changed setting
	Plain  bool   // it does not: what SCIM does day by day
	Values []fact // attributes with their values after it, as far as they are kept
}
