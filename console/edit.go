package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// No edit is lost. A form that edits stored values carries what it was made from: beside the input "city" stands a hidden "was.city".
// Saving compares three values of each field: was (when the form was made), mine (in the form), stored (now).
//
//	only stored differs from was    somebody else changed it: their value stays
//	only mine differs from was      I changed it: mine is saved
//	both differ, to one value       nothing to do
//	both differ, to two values      nothing is saved; a page shows both and asks which one counts
//
// To use it for a form:
//
//  1. Describe the fields once: []editField. A field's stored value is a string in the form in which Read returns it.
//  2. Give the page Was: wasFields(fields, stored), and write {{template "was" .Was}} inside the form. Give the form
//     autocomplete="off", so that Back does not fill in old values, and data-edits, so that leaving it unsaved asks.
//  3. On POST: m, err := mergeEdit(form, fields, stored). With m.Conflicts, nothing may be saved: answer with askEdit. Else save m.Values
//     and put m.fromOthers into the notice.
//
// Reading stored, merging and writing must be one step: merge inside the function that a domain runs on the value as it is (site.Update,
// Jobs.SaveFrom), or write with the version that was read and begin again when the domain says that it is stale.
//
// The page that asks is a form of the same kind: its "was" values are those that it showed as saved, its inputs are the answers. So a
// third change meanwhile is asked about again.

// EditField is one value of a form that edits something stored.
type EditField struct {
	Name  string                    // of the input
	Label string                    // what the page calls it
	Read  func(url.Values) string   // the value that the form asks for; nil: the input's text without surrounding spaces
	Words func(value string) string // the value as the page shows it; nil: as it is
}

// EditTick is a checkbox: its value is "yes" or "".
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

// TickValue is the value of a checkbox in an edit.
func TickValue(on bool) string {
	if on {
		return "yes"
	}
	return ""
}

// EditChoice is a group of radio buttons or a list: words are what it calls its values.
func EditChoice(name, label string, words map[string]string) EditField {
	return EditField{Name: name, Label: label, Words: func(value string) string {
		if text, ok := words[value]; ok {
			return text
		}
		return value
	}}
}

func (f EditField) FormValue(form url.Values) string {
	if f.Read != nil {
		return f.Read(form)
	}
	return strings.TrimSpace(strings.ReplaceAll(form.Get(f.Name), "\r\n", "\n"))
}

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
	WasPrefix  = "was."  // wasPrefix+name holds the value from which a form was made
	askedField = "asked" // names a field that the asking page asked about
)

// WasFields are the hidden inputs of a form made from these values.
func WasFields(fields []EditField, stored map[string]string) []HiddenField {
	list := make([]HiddenField, 0, len(fields))
	for _, f := range fields {
		list = append(list, HiddenField{Name: WasPrefix + f.Name, Value: stored[f.Name]})
	}
	return list
}

// WasAgain are the hidden inputs of a form that is shown again, as it was filled in.
func WasAgain(form url.Values, fields []EditField) []HiddenField {
	var list []HiddenField
	for _, f := range fields {
		if name := WasPrefix + f.Name; form.Has(name) {
			list = append(list, HiddenField{Name: name, Value: form.Get(name)})
		}
	}
	return list
}

// MergedEdit is what comes of a form and what is stored now.
type MergedEdit struct {
	Values    map[string]string // of every field, to be saved when there is no conflict
	Mine      []string          // labels of the fields that I changed
	Others    []string          // labels of the fields that somebody else changed; their values stay
	Conflicts []editConflict    // not empty: ask, save nothing
	Rest      []HiddenField     // of the asking page: all fields that are not asked about
}

// editConflict is a field that two people changed to different values.
type editConflict struct {
	Name, Label string
	Choices     []Choice // mine, then what is saved now
}

// ErrIncompleteForm is a form without what it was made from: nothing can be compared.
var ErrIncompleteForm = &PageError{
	Status: http.StatusUnprocessableEntity, Title: "This was not saved",
	Text: "The form is incomplete. Open the page again, and change it there.",
}

// MergeEdit compares a form with what is stored now. A field whose "was" value is not in the form is none of the form's: it stays as stored.
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
				m.ask(f, mine, now)
				continue
			}
		case mine == was && now != was:
			m.Others = append(m.Others, f.Label)
		case mine != was && now != was && mine != now:
			m.ask(f, mine, now)
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

// NormalLineBreaks undoes what browsers do to line breaks.
func NormalLineBreaks(value string) string { return strings.ReplaceAll(value, "\r\n", "\n") }

func (m *MergedEdit) ask(f EditField, mine, now string) {
	m.Conflicts = append(m.Conflicts, editConflict{Name: f.Name, Label: f.Label, Choices: []Choice{
		{Name: f.Name, Value: mine, Text: f.ShownValue(mine), Help: "Your value"},
		{Name: f.Name, Value: now, Text: f.ShownValue(now), Help: "Saved meanwhile"},
	}})
	m.Rest = append(m.Rest,
		HiddenField{Name: WasPrefix + f.Name, Value: now}, HiddenField{Name: askedField, Value: f.Name}, HiddenField{Name: "mine." + f.Name, Value: mine})
}

// FromOthers says which fields somebody else changed since the form was made, "" if none. last may be nil.
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

// SavedNotice is the notice after an edit was saved, with what came from others.
func (m *MergedEdit) SavedNotice(text string, last *event.Event) Notice {
	n := DoneNotice(text)
	if others := m.FromOthers(last); others != "" {
		n.Text += " " + others
	}
	return n
}

// conflictPage is the view "conflict": it asks which of two values counts, for each field that two people changed.
type conflictPage struct {
	Page
	Action    string
	Cancel    string
	Conflicts []editConflict
	Fields    []HiddenField
}

// AskEdit answers with the page that shows both values of each field in conflict. action takes the answers, as it took the form; cancel is
// where the stored values are seen; last is the newest change of what is edited, or nil; more are further inputs of the form.
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
