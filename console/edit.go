package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// These functions make sure that no edit is lost when two people edit the same values. A form
// contains the values that it started from: next to the input "city" is a hidden input "was.city".
// Saving compares three values of each field: was (when the form was made), mine (in the form) and
// stored (now).
//
//	only stored differs from was    someone else changed it: their value stays
//	only mine differs from was      I changed it: mine is saved
//	both differ, mine = stored      nothing to do
//	both differ, mine != stored     nothing is saved; a page shows both and asks which one to keep
//
// To use it for a form:
//
//  1. Describe the fields once, as []EditField. A field's stored value is a string of the form that
//     its Read returns.
//  2. Set the page's Was to WasFields(fields, stored), and write {{template "was" .Was}} inside the
//     form. Give the form autocomplete="off", so that the Back button does not fill in old values,
//     and data-edits, so that leaving the page with unsaved values asks for confirmation.
//  3. On POST, call MergeEdit(form, fields, stored). If there are Conflicts, save nothing and call
//     AskEdit. Otherwise save Values and add FromOthers to the notice.
//
// Reading the stored values, merging and writing must be one step. Either merge inside the function
// that a domain package runs on the current value (site.Update, Jobs.SaveFrom). Or write with the
// version that was read, and start again if the domain package says that it is stale.
//
// The page that asks is a form of the same kind. Its "was" values are the stored values that it
// showed, and its inputs are the answers. So a third change in the meantime leads to another
// question.

// EditField is one value in a form that edits stored values.
type EditField struct {
	Name  string                    // name of the input
	Label string                    // label on the page
	Read  func(url.Values) string   // reads the value from the form; nil reads the input and trims it
	Words func(value string) string // formats the value for the page; nil shows the value unchanged
}

// EditTick returns the field of a checkbox. Its value is "yes" or "".
func EditTick(name, label string) EditField {
	return EditField{
		Name: name, Label: label,
		Read: func(form url.Values) string { return TickValue(form.Get(name) != "") },
		Words: func(value string) string {
			if value == "" {
				return "Off"
			}
			return "On"
		},
	}
}

// TickValue returns the value of a checkbox in an edit.
func TickValue(on bool) string {
	if on {
		return "yes"
	}
	return ""
}

// EditChoice returns the field of radio buttons or a select. words maps its values to their labels.
func EditChoice(name, label string, words map[string]string) EditField {
	return EditField{Name: name, Label: label, Words: func(value string) string {
		if text, ok := words[value]; ok {
			return text
		}
		return value
	}}
}

// FormValue returns the value of the field that a form contains.
func (f EditField) FormValue(form url.Values) string {
	if f.Read != nil {
		return f.Read(form)
	}
	return strings.TrimSpace(strings.ReplaceAll(form.Get(f.Name), "\r\n", "\n"))
}

// ShownValue returns a value of the field as pages show it.
func (f EditField) ShownValue(value string) string {
	if f.Words != nil {
		value = f.Words(value)
	}
	if value == "" {
		return "No value"
	}
	return value
}

const (
	WasPrefix  = "was."  // WasPrefix+name is the input with the value that the form started from
	askedField = "asked" // names a field that the conflict page asks about
)

// WasFields returns the hidden inputs for a form that starts from the stored values.
func WasFields(fields []EditField, stored map[string]string) []HiddenField {
	list := make([]HiddenField, 0, len(fields))
	for _, f := range fields {
		list = append(list, HiddenField{Name: WasPrefix + f.Name, Value: stored[f.Name]})
	}
	return list
}

// RepeatWasFields returns the hidden inputs for a form that is shown again as it was filled in.
func RepeatWasFields(form url.Values, fields []EditField) []HiddenField {
	var list []HiddenField
	for _, f := range fields {
		if name := WasPrefix + f.Name; form.Has(name) {
			list = append(list, HiddenField{Name: name, Value: form.Get(name)})
		}
	}
	return list
}

// MergedEdit is the result of comparing a form with its "was" values and the stored values.
type MergedEdit struct {
	Values    map[string]string // value of every field, to save if there is no conflict
	Mine      []string          // labels of the fields that the sender of the form changed
	Others    []string          // labels of the fields that someone else changed; their values stay
	Conflicts []editConflict    // the fields that both changed; if there are any, nothing may be saved before the sender is asked
	Rest      []HiddenField     // hidden inputs with the submitted values, for a page that asks about Conflicts; the answers are not among them
}

// editConflict is a field that two people changed to different values.
type editConflict struct {
	Name, Label string
	Choices     []Choice // the sender's value, then the stored one
}

// ErrIncompleteForm means that the form lacks its "was" values, so nothing can be compared.
var ErrIncompleteForm = &PageError{
	Status: http.StatusUnprocessableEntity, Title: "This was not saved",
	Text: "The form is incomplete. Open the page again, and change it there.",
}

// MergeEdit compares a form with the stored values. A field without a "was" value is not part of
// the form and stays as stored. If no field has one, the error is ErrIncompleteForm.
func MergeEdit(form url.Values, fields []EditField, stored map[string]string) (MergedEdit, error) {
	m := MergedEdit{Values: make(map[string]string, len(fields))}
	asked := make(map[string]bool)
	for _, name := range form[askedField] {
		asked[name] = true
	}
	known := false
	for _, f := range fields {
		m.Values[f.Name] = stored[f.Name]
		now := NormalLineBreaks(stored[f.Name])
		if !form.Has(WasPrefix + f.Name) {
			continue
		}
		known = true
		was, mine := NormalLineBreaks(form.Get(WasPrefix+f.Name)), f.FormValue(form)
		unanswered := asked[f.Name] && !form.Has(f.Name)
		switch {
		case unanswered:
			mine = form.Get("mine." + f.Name)
			if mine != now {
				m.addConflict(f, mine, now)
				continue
			}
		case mine == was && now != was:
			m.Others = append(m.Others, f.Label)
		case mine != was && now != was && mine != now:
			m.addConflict(f, mine, now)
			continue
		case mine != now:
			m.Mine = append(m.Mine, f.Label)
			m.Values[f.Name] = mine
		}
		m.Rest = append(m.Rest, HiddenField{Name: WasPrefix + f.Name, Value: now}, HiddenField{Name: f.Name, Value: NormalLineBreaks(m.Values[f.Name])})
	}
	if !known && len(fields) > 0 {
		return m, ErrIncompleteForm
	}
	return m, nil
}

// NormalLineBreaks replaces the \r\n that browsers send by \n.
func NormalLineBreaks(value string) string { return strings.ReplaceAll(value, "\r\n", "\n") }

func (m *MergedEdit) addConflict(f EditField, mine, now string) {
	m.Conflicts = append(m.Conflicts, editConflict{Name: f.Name, Label: f.Label, Choices: []Choice{
		{Name: f.Name, Value: mine, Text: f.ShownValue(mine), Help: "Your value"},
		{Name: f.Name, Value: now, Text: f.ShownValue(now), Help: "Saved meanwhile"},
	}})
	m.Rest = append(m.Rest,
		HiddenField{Name: WasPrefix + f.Name, Value: now}, HiddenField{Name: askedField, Value: f.Name}, HiddenField{Name: "mine." + f.Name, Value: mine})
}

// FromOthers names the fields that someone else changed after the form was made. It returns "" if
// there are none. last is the newest change, or nil.
func (m *MergedEdit) FromOthers(last *event.Event) string {
	if len(m.Others) == 0 {
		return ""
	}
	by := "somebody else"
	if last != nil {
		by = ActorName(last.Actor)
	}
	return "Changed meanwhile by " + by + ", and kept: " + strings.Join(m.Others, ", ") + "."
}

// SavedNotice returns the notice for a saved edit. It also names the fields that others changed.
func (m *MergedEdit) SavedNotice(text string, last *event.Event) Notice {
	n := DoneNotice(text)
	if others := m.FromOthers(last); others != "" {
		n.Text += " " + others
	}
	return n
}

// conflictPage is the data of the view "conflict". It asks which of two values to keep, for each
// field that two people changed.
type conflictPage struct {
	Page
	Action    string // address that takes the answers
	Cancel    string // address of the page with the stored values
	Conflicts []editConflict
	Fields    []HiddenField // hidden inputs of the form
}

// AskEdit shows the page with both values of each field in conflict. action is the address that
// takes the form and the answers. cancel is the page with the stored values. last is the newest
// change of the edited object, or nil. more are further inputs for the page's form.
func (c *Console) AskEdit(w http.ResponseWriter, r *http.Request, frame Page, m MergedEdit, action, cancel string, last *event.Event, more ...HiddenField) error {
	pg := conflictPage{Page: frame, Action: action, Cancel: cancel, Conflicts: m.Conflicts, Fields: append(m.Rest, more...)}
	pg.Title, pg.Narrow = "Which value counts?", true
	what := Plural(len(m.Conflicts), "field")
	pg.Lead = "Nothing was saved yet. Somebody else changed " + what + " that you changed too."
	if last != nil {
		pg.Lead = "Nothing was saved yet. " + ActorName(last.Actor) + " changed " + what + " that you changed too, " + RelativeTime(last.Time, c.Options.Now()) + "."
	}
	return c.View(w, r, http.StatusConflict, "conflict", pg)
}
