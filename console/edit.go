package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// The functions in this file make sure that no edit is lost when two people edit the same values. A
// form contains the values with which it started: next to the input "city" there is a hidden input
// "was.city". Saving compares three values of each field: was (when the form was made), mine (in
// the form) and stored (now).
//
//	only stored differs from was    someone else changed it: their value stays
//	only mine differs from was      I changed it: mine is saved
//	both differ, mine = stored      both people made the same change: nothing to do
//	both differ, mine != stored     nothing is saved; a page shows both and asks which one to keep
//
// To use it for a form:
//
//  1. Describe the fields once, as []EditField. A field's stored value is a string like those that
//     its ReadValue returns.
//  2. Set the page's StartValues to StartValueFields(fields, stored), and write
//     {{template "was" .StartValues}} inside the form. Give the form autocomplete="off", so that the
//     Back button does not fill in old values, and data-edits, so that the browser asks before the
//     user leaves the page with unsaved values.
//  3. On POST, call MergeEdit(form, fields, stored). If there are Conflicts, save nothing and call
//     AskAboutConflicts. Otherwise save Values and add OthersText to the notice.
//
// No one else may write between reading the stored values and writing the merged ones. Either merge
// inside the function that a domain package calls with the current values (site.Update,
// Jobs.SaveFrom). Or write with the version that was read, and start again if the domain package
// refuses it as stale.
//
// The page that asks about conflicts is a form of the same kind. It starts with the stored values
// that it shows, and its inputs are the answers. So if someone changes a field again in the
// meantime, the user is asked again.

// EditField is one value in a form that edits stored values.
type EditField struct {
	Name        string                    // name of the form's input
	Label       string                    // label of the input on the page
	ReadValue   func(url.Values) string   // returns the value that a form contains; nil means the text of the input without surrounding spaces
	FormatValue func(value string) string // returns a value as the page shows it; nil means unchanged
}

// CheckboxField returns a field whose input is a checkbox. Its value is "yes" or "".
func CheckboxField(name, label string) EditField {
	return EditField{
		Name: name, Label: label,
		ReadValue: func(form url.Values) string { return CheckboxValue(form.Get(name) != "") },
		FormatValue: func(value string) string {
			if value == "" {
				return "Off"
			}
			return "On"
		},
	}
}

// CheckboxValue returns the value of a field whose input is a checkbox.
func CheckboxValue(on bool) string {
	if on {
		return "yes"
	}
	return ""
}

// ChoiceField returns a field whose input is a group of radio buttons or a select box. words maps
// the values to the labels that the page shows.
func ChoiceField(name, label string, words map[string]string) EditField {
	return EditField{Name: name, Label: label, FormatValue: func(value string) string {
		if text, ok := words[value]; ok {
			return text
		}
		return value
	}}
}

// FormValue returns the value that a form contains for the field.
func (f EditField) FormValue(form url.Values) string {
	if f.ReadValue != nil {
		return f.ReadValue(form)
	}
	return strings.TrimSpace(strings.ReplaceAll(form.Get(f.Name), "\r\n", "\n"))
}

// ShownValue returns a value of the field as the page shows it. For an empty value it is "No
// value".
func (f EditField) ShownValue(value string) string {
	if f.FormatValue != nil {
		value = f.FormatValue(value)
	}
	if value == "" {
		return "No value"
	}
	return value
}

const (
	StartValuePrefix = "was."  // begins the name of the hidden input with the value that a field had when the form was made
	askedInput       = "asked" // name of the hidden inputs that name the fields about which the conflict page asks
)

// StartValueFields returns the hidden inputs for a form that starts with the stored values.
func StartValueFields(fields []EditField, stored map[string]string) []HiddenField {
	list := make([]HiddenField, 0, len(fields))
	for _, f := range fields {
		list = append(list, HiddenField{Name: StartValuePrefix + f.Name, Value: stored[f.Name]})
	}
	return list
}

// RepeatStartValueFields returns the hidden inputs for a form that is shown again with the typed
// values. They are the same as in the form that was sent.
func RepeatStartValueFields(form url.Values, fields []EditField) []HiddenField {
	var list []HiddenField
	for _, f := range fields {
		if name := StartValuePrefix + f.Name; form.Has(name) {
			list = append(list, HiddenField{Name: name, Value: form.Get(name)})
		}
	}
	return list
}

// MergedEdit is the result of MergeEdit, which compares a form with the values with which it
// started, and with the stored values.
type MergedEdit struct {
	Values          map[string]string // the value of every field, to be saved if there is no conflict
	ChangedByUser   []string          // labels of the fields that the form changes
	ChangedByOthers []string          // labels of the fields that only someone else changed; their stored values stay
	Conflicts       []editConflict    // the fields that the form and someone else changed; if there are any, save nothing and ask the user
	HiddenFields    []HiddenField     // hidden inputs with the values that were sent, for a page that asks the user; they do not contain the answers
}

// editConflict is a field that the user and someone else changed to different values.
type editConflict struct {
	Name, Label string
	Choices     []Choice // the user's value, then the stored value
}

// ErrIncompleteForm is the error for a form without the values with which it started. Such a form
// cannot be compared with the stored values.
var ErrIncompleteForm = &PageError{
	Status: http.StatusUnprocessableEntity, Title: "This was not saved",
	Text: "The form is incomplete. Open the page again, and change it there.",
}

// MergeEdit compares a form with the stored values. A field without a hidden input for its start
// value is not part of the form, so its stored value stays. If no field has such an input, the
// error is ErrIncompleteForm.
func MergeEdit(form url.Values, fields []EditField, stored map[string]string) (MergedEdit, error) {
	m := MergedEdit{Values: make(map[string]string, len(fields))}
	asked := make(map[string]bool)
	for _, name := range form[askedInput] {
		asked[name] = true
	}
	known := false
	for _, f := range fields {
		m.Values[f.Name] = stored[f.Name]
		now := NormalizeLineBreaks(stored[f.Name])
		if !form.Has(StartValuePrefix + f.Name) {
			continue
		}
		known = true
		was, mine := NormalizeLineBreaks(form.Get(StartValuePrefix+f.Name)), f.FormValue(form)
		unanswered := asked[f.Name] && !form.Has(f.Name)
		switch {
		case unanswered:
			mine = form.Get("mine." + f.Name)
			if mine != now {
				m.addConflict(f, mine, now)
				continue
			}
		case mine == was && now != was:
			m.ChangedByOthers = append(m.ChangedByOthers, f.Label)
		case mine != was && now != was && mine != now:
			m.addConflict(f, mine, now)
			continue
		case mine != now:
			m.ChangedByUser = append(m.ChangedByUser, f.Label)
			m.Values[f.Name] = mine
		}
		m.HiddenFields = append(m.HiddenFields, HiddenField{Name: StartValuePrefix + f.Name, Value: now}, HiddenField{Name: f.Name, Value: NormalizeLineBreaks(m.Values[f.Name])})
	}
	if !known && len(fields) > 0 {
		return m, ErrIncompleteForm
	}
	return m, nil
}

// NormalizeLineBreaks replaces the line breaks \r\n, which browsers send, with \n.
func NormalizeLineBreaks(value string) string { return strings.ReplaceAll(value, "\r\n", "\n") }

// addConflict adds a field that has two values: the user's own value, and the value that is stored
// now.
func (m *MergedEdit) addConflict(f EditField, mine, now string) {
	m.Conflicts = append(m.Conflicts, editConflict{Name: f.Name, Label: f.Label, Choices: []Choice{
		{Name: f.Name, Value: mine, Text: f.ShownValue(mine), Help: "Your value"},
		{Name: f.Name, Value: now, Text: f.ShownValue(now), Help: "Saved meanwhile"},
	}})
	m.HiddenFields = append(m.HiddenFields,
		HiddenField{Name: StartValuePrefix + f.Name, Value: now}, HiddenField{Name: askedInput, Value: f.Name}, HiddenField{Name: "mine." + f.Name, Value: mine})
}

// OthersText names the fields that someone else changed after the form was made. It returns "" if
// there are none. last is the newest change of the edited object; nil if it is not known.
func (m *MergedEdit) OthersText(last *event.Event) string {
	if len(m.ChangedByOthers) == 0 {
		return ""
	}
	by := "somebody else"
	if last != nil {
		by = ActorName(last.Actor)
	}
	return "Changed meanwhile by " + by + ", and kept: " + strings.Join(m.ChangedByOthers, ", ") + "."
}

// SavedNotice returns the notice for a saved edit: text, followed by the names of the fields that
// others changed.
func (m *MergedEdit) SavedNotice(text string, last *event.Event) Notice {
	n := DoneNotice(text)
	if others := m.OthersText(last); others != "" {
		n.Text += " " + others
	}
	return n
}

// conflictPage is the data of the view "conflict". For each field that two people changed, it asks
// which of the two values to keep.
type conflictPage struct {
	Page
	FormURL   string // address to which the form with the answers is sent
	CancelURL string // address of the page with the stored values
	Conflicts []editConflict
	Fields    []HiddenField // hidden inputs of the form
}

// AskAboutConflicts shows a page with both values of each field in conflict, and asks which to
// keep. action is the address to which the answers are sent. cancel is the address of the page with
// the stored values. last is the newest change of the edited object; nil if it is not known. more
// are further hidden inputs for the form.
func (c *Console) AskAboutConflicts(w http.ResponseWriter, r *http.Request, frame Page, m MergedEdit, action, cancel string, last *event.Event, more ...HiddenField) error {
	pg := conflictPage{Page: frame, FormURL: action, CancelURL: cancel, Conflicts: m.Conflicts, Fields: append(m.HiddenFields, more...)}
	pg.Title, pg.Narrow = "Which value counts?", true
	what := Plural(len(m.Conflicts), "field")
	pg.Lead = "Nothing was saved yet. Somebody else changed " + what + " that you changed too."
	if last != nil {
		pg.Lead = "Nothing was saved yet. " + ActorName(last.Actor) + " changed " + what + " that you changed too, " + RelativeTime(last.Time, c.Options.Now()) + "."
	}
	return c.View(w, r, http.StatusConflict, "conflict", pg)
}
