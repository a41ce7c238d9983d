package console

import "time"

// Tone is the color of a badge or a notice. The color alone never carries meaning: the text says
// the same.
type Tone string

const (
	ToneQuiet   Tone = "quiet"
	ToneGood    Tone = "ok"
	ToneInfo    Tone = "info"
	ToneWarning Tone = "warn"
	ToneProblem Tone = "bad"
)

// IsKnown reports whether t is one of the constants above.
func (t Tone) IsKnown() bool {
	switch t {
	case ToneQuiet, ToneGood, ToneInfo, ToneWarning, ToneProblem:
		return true
	}
	return false
}

// Icon returns the name of the symbol for the tone.
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

// Badge shows a state in a word or two: {{template "badge" .Badge}}.
type Badge struct {
	Tone Tone
	Text string
	Hint string // the text that appears on hover; may be empty
}

// Notice is a box with a message: {{template "notice" .Notice}}. It needs Title, Text or both.
type Notice struct {
	Tone  Tone
	Title string
	Text  string
}

// DoneNotice returns the notice for a successful change.
func DoneNotice(text string) Notice { return Notice{Tone: ToneGood, Text: text} }

// EmptyState is shown instead of a table without rows: {{template "empty" .Empty}}.
type EmptyState struct {
	Icon, Title, Text string
	Action            *Action // may be nil
}

// Pager holds the links between the pages of a list: {{template "pager" .Pager}}. A field is empty
// if there is no such page.
type Pager struct {
	FirstURL    string // address of the first page
	PreviousURL string // address of the previous page
	NextURL     string // address of the next page
	Text        string // says which part of the list is shown, such as "50 of 214 people"
}

// CopyValue is a read-only value with a button that copies it: {{template "copy" .TenantURL}}.
type CopyValue struct {
	ID     string // id of the input, unique on the page
	Label  string // the identity provider's own name for the value
	Value  string
	Button string // the text of the button; empty means "Copy"
	Hint   string // a sentence below the value; may be empty
}

// FieldError is the error of one input: {{template "field-error" .Error}}. For is the id of the
// input. The input must have the attribute aria-describedby="{For}-error".
type FieldError struct{ For, Text string }

// Tab is a link that filters a list: {{template "tabs" .Tabs}}.
type Tab struct {
	Text, URL string
	Count     string // how many rows the filtered list has; may be empty
	Selected  bool
}

// HiddenField is a hidden input of a form.
type HiddenField struct{ Name, Value string }

// ConfirmPage is the data of the view "confirm", which asks for confirmation before an important
// change. Its Title is the question.
type ConfirmPage struct {
	Page
	Consequences []string      // what will happen, with names and numbers, one sentence each
	Undo         string        // a sentence that says how to undo the change, or that this is impossible
	FormURL      string        // address to which the form is sent
	Fields       []HiddenField // hidden inputs of the form
	Button       string        // the text of the button, such as "Deactivate Ada Lovelace"
	IsDangerous  bool
	CancelURL    string   // address of the link "Cancel"
	Choices      []Choice // radio buttons; may be empty
	NameToType   string   // a name that the user must type to confirm the change; may be empty
	Error        *FieldError
}

// Choice is one radio button or checkbox.
type Choice struct {
	Name, Value, Text, Help string
	Checked                 bool
	Disabled                bool // whether the user cannot choose it now; then Help says why
}

// Word returns the tone as a word, for people who cannot see the color.
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

// Fact is a name with a value, such as "Sign-in URL" with an address.
type Fact struct{ Name, Value string }

// EventRow is one row of a history.
type EventRow struct {
	Time  time.Time
	Text  string
	Actor string
	URL   string // address of the page of the object that the event is about; may be empty

	IsEmphasized bool   // whether the row is emphasized, such as the change of a setting
	IsGrey       bool   // whether the row is shown in grey, such as routine work of SCIM
	Values       []Fact // the changed attributes with their values after the event, as far as they are known
}
