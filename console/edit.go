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

// editField is one value of a form that edits something stored.
type editField struct {
	Name  string                    // of the input
	Label string                    // what the page calls it
	Read  func(url.Values) string   // the value that the form asks for; nil: the input's text without surrounding spaces
	Words func(value string) string // the value as the page shows it; nil: as it is
}

// editTick is a checkbox: its value is "yes" or "".
func editTick(name, label string) editField {
	return editField{
		Name: name, Label: label,
		Read: func(form url.Values) string { return tickValue(form.Get(name) != "") },
		Words: func(value string) string {
			if value == "" {
				return "Off"
			}
			return "On"
		},
	}
}

// tickValue is the value of a checkbox in an edit.
func tickValue(on bool) string {
	if on {
		return "yes"
	}
	return ""
}

// editChoice is a group of radio buttons or a list: words are what it calls its values.
func editChoice(name, label string, words map[string]string) editField {
	return editField{Name: name, Label: label, Words: func(value string) string {
		if text, ok := words[value]; ok {
			return text
		}
		return value
	}}
}

func (f editField) read(form url.Values) string {
	if f.Read != nil {
		return f.Read(form)
	}
	return strings.TrimSpace(strings.ReplaceAll(form.Get(f.Name), "\r\n", "\n"))
}

func (f editField) words(value string) string {
	if f.Words != nil {
		value = f.Words(value)
	}
	if value == "" {
		return "No value"
	}
	return value
}

const (
	wasPrefix  = "was."  // wasPrefix+name holds the value from which a form was made
	askedField = "asked" // the hidden input that names the field a confirmation page asked about
)

// wasFields are the hidden inputs of a form made from these values.
func wasFields(fields []editField, stored map[string]string) []field {
	list := make([]field, 0, len(fields))
	for _, f := range fields {
		list = append(list, field{Name: wasPrefix + f.Name, Value: stored[f.Name]})
	}
	return list
}

// wasAgain are the hidden inputs of a form that is shown again, as it was filled in.
func wasAgain(form url.Values, fields []editField) []field {
	var list []field
	for _, f := range fields {
		if name := wasPrefix + f.Name; form.Has(name) {
			list = append(list, field{Name: name, Value: form.Get(name)})
		}
	}
	return list
}

// mergedEdit is what comes of a form and what is stored now.
type mergedEdit struct {
	Values    map[string]string // of every field, to be saved when there is no conflict
	Mine      []string          // labels of the fields that I changed
	Others    []string          // labels of the fields that somebody else changed; their values stay
	Conflicts []editConflict    // not empty: ask, save nothing
	rest      []field           // of the asking page: all fields that are not asked about
}

// editConflict is a field that two people changed to different values.
type editConflict struct {
	Name, Label string
	Choices     []choice // mine, then what is saved now
}

// errIncompleteForm is a form without what it was made from: nothing can be compared.
var errIncompleteForm = &pageError{
	Status: http.StatusUnprocessableEntity, Title: "This was not saved",
	Text: "The form is incomplete. Open the page again, and change it there.",
}

// mergeEdit compares a form with what is stored now. A field whose "was" value is not in the form is none of the form's: it stays as stored.
func mergeEdit(form url.Values, fields []editField, stored map[string]string) (mergedEdit, error) {
	m := mergedEdit{Values: make(map[string]string, len(fields))}
	asked := make(map[string]bool)
	for _, name := range form[askedField] {
		asked[name] = true
	}
	known := false
	for _, f := range fields {
		m.Values[f.Name] = stored[f.Name]
		now := canonical(stored[f.Name])
		if !form.Has(wasPrefix + f.Name) {
			continue
		}
		known = true
		was, mine := canonical(form.Get(wasPrefix+f.Name)), f.read(form)
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
		m.rest = append(m.rest, field{Name: wasPrefix + f.Name, Value: now}, field{Name: f.Name, Value: canonical(m.Values[f.Name])})
	}
	if !known && len(fields) > 0 {
		return m, errIncompleteForm
	}
	return m, nil
}

// canonical undoes what browsers do to line breaks.
func canonical(value string) string { return strings.ReplaceAll(value, "\r\n", "\n") }

func (m *mergedEdit) ask(f editField, mine, now string) {
	m.Conflicts = append(m.Conflicts, editConflict{Name: f.Name, Label: f.Label, Choices: []choice{
		{Name: f.Name, Value: mine, Text: f.words(mine), Help: "Your value"},
		{Name: f.Name, Value: now, Text: f.words(now), Help: "Saved meanwhile"},
	}})
	m.rest = append(m.rest,
		field{Name: wasPrefix + f.Name, Value: now}, field{Name: askedField, Value: f.Name}, field{Name: "mine." + f.Name, Value: mine})
}

// fromOthers says which fields somebody else changed since the form was made, "" if none. last may be nil.
func (m *mergedEdit) fromOthers(last *event.Event) string {
	if len(m.Others) == 0 {
		return ""
	}
	by := "somebody else"
	if last != nil {
		by = actorName(last.Actor)
	}
	return "Changed meanwhile by " + by + ", and kept: " + strings.Join(m.Others, ", ") + "."
}

// editNotice is the notice after an edit was saved, with what came from others.
func (m *mergedEdit) editNotice(text string, last *event.Event) notice {
	n := done(text)
	if others := m.fromOthers(last); others != "" {
		n.Text += " " + others
	}
	return n
}

// conflictPage is the view "conflict": it asks which of two values counts, for each field that two people changed.
type conflictPage struct {
	page
	Action    string
	Cancel    string
	Conflicts []editConflict
	Fields    []field
}

// askEdit answers with the page that shows both values of each field in conflict. action takes the answers, as it took the form; cancel is
// where the stored values are seen; last is the newest change of what is edited, or nil; more are further inputs of the form.
func (c *Console) askEdit(w http.ResponseWriter, r *http.Request, frame page, m mergedEdit, action, cancel string, last *event.Event, more ...field) error {
	pg := conflictPage{page: frame, Action: action, Cancel: cancel, Conflicts: m.Conflicts, Fields: append(m.rest, more...)}
	pg.Title, pg.Narrow = "Which value counts?", true
	what := count(len(m.Conflicts), "field")
	pg.Lead = "Nothing was saved yet. Somebody else changed " + what + " that you changed too."
	if last != nil {
		pg.Lead = "Nothing was saved yet. " + actorName(last.Actor) + " changed " + what + " that you changed too, " + relative(last.Time, c.options.Now()) + "."
	}
	return c.view(w, r, http.StatusConflict, "conflict", pg)
}
