package console

import "time"

// Tone colours a badge or a notice. The words beside it say the same.
type Tone string

const (
	ToneQuiet   Tone = "quiet"
	ToneGood    Tone = "ok"
	ToneInfo    Tone = "info"
	ToneWarning Tone = "warn"
	ToneProblem Tone = "bad"
)

func (t Tone) Known() bool {
	switch t {
	case ToneQuiet, ToneGood, ToneInfo, ToneWarning, ToneProblem:
		return true
	}
	return false
}

// Icon is the symbol that goes with the tone.
func (t Tone) Icon() string {
	switch t {
	case ToneGood:
		return "circle-check"
	case ToneWarning:
		return "triangle-alert"
	case ToneProblem:
		return "circle-x"
	default:
		return "info"
	}
}

// Badge is a state in one or two words: {{template "badge" .Badge}}.
type Badge struct {
	Tone Tone
	Text string
	Hint string // on hover; may be empty
}

// Notice is a box with a sentence: {{template "notice" .Notice}}. It needs Title, Text or both.
type Notice struct {
	Tone  Tone
	Title string
	Text  string
}

// DoneNotice is the notice after a form that did what it was asked.
func DoneNotice(text string) Notice { return Notice{Tone: ToneGood, Text: text} }

// EmptyState stands where a table has no rows: {{template "empty" .Empty}}.
type EmptyState struct {
	Icon, Title, Text string
	Action            *Action // may be nil
}

// Pager walks a list kept in time or key order: {{template "pager" .Pager}}. It shows nothing if all of it is empty.
type Pager struct {
	First    string // back to the beginning
	Previous string // one page back
	Next     string // further on
	Text     string // what is shown: "50 of 214 people"
}

// CopyValue is a read-only value with a button that copies it: {{template "copy" .TenantURL}}.
type CopyValue struct {
	ID     string // of the input, unique on the page
	Label  string // the identity provider's own name for it
	Value  string
	Button string // "Copy" if empty
	Hint   string // a sentence below; may be empty
}

// FieldError is what is wrong with one input: {{template "field-error" .Error}}; the input carries aria-describedby="{For}-error".
type FieldError struct{ For, Text string }

// Tab is a filter that is a link: {{template "tabs" .Tabs}}.
type Tab struct {
	Text, URL string
	Count     string // may be empty
	Here      bool
}

// HiddenField is a hidden input.
type HiddenField struct{ Name, Value string }

// ConfirmPage asks before something that matters, on a page of its own: view "confirm". Its Title is the question.
type ConfirmPage struct {
	Page
	Consequences []string // what will happen, with names and numbers, one sentence each
	Undo         string   // how to undo it, or that it cannot be undone
	Action       string   // where the form posts
	Fields       []HiddenField
	Button       string // says what it does: "Deactivate Ada Lovelace"
	Danger       bool
	Cancel       string   // where "Cancel" leads
	Choices      []Choice // radio buttons; may be empty
	TypeName     string   // a name that must be typed into "confirm"; may be empty
	Error        *FieldError
}

// Choice is one radio button of a confirmation.
type Choice struct {
	Name, Value, Text, Help string
	Checked                 bool
}

// Word says the tone to whoever does not see the colour.
func (t Tone) Word() string {
	switch t {
	case ToneGood:
		return "Good:"
	case ToneWarning:
		return "Warning:"
	case ToneProblem:
		return "Problem:"
	default:
		return "Note:"
	}
}

// Fact is a name and a value.
type Fact struct{ Name, Value string }

// EventRow is one line of a history.
type EventRow struct {
	Time  time.Time
	Text  string
	Actor string
	URL   string // of the person it is about; may be empty

	Strong bool   // it stands out: a changed setting
	Plain  bool   // it does not: what SCIM does day by day
	Values []Fact // attributes with their values after it, as far as they are kept
}
