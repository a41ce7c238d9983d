package directorypages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
)

// importPage is the view "import": what the last preview or import did, and below it the form.
type importPage struct {
	console.Page
	Action     string
	Attributes []directory.Attribute
	Users      string // what the address of a user begins with
	Error      *console.FieldError
	Word       *console.Notice // about the file
	Form       importForm
	Report     *importReport

	// Of a file that is kept:
	ID, File, Seen  string
	Until           time.Time
	Columns         []columnChoice
	Typed           []columnChoice // choices that wait for their file
	Unknown         int
	Separator       string
	Encodings       []directory.Reading
	Template        string // an example for Make
	AskMake, AskHow bool
}

// NotKnown marks a column that needs an answer.
func (importPage) NotKnown() console.Badge {
	return console.Badge{Tone: console.ToneWarning, Text: "Not known"}
}

// Separators are the choices of what separates columns.
func (p importPage) Separators() []console.HiddenField {
	found := "Found out by itself"
	for _, f := range separators {
		if p.Form.Separator == "" && f.character == p.Separator {
			found += ": " + f.Value
		}
	}
	list := []console.HiddenField{{Value: found}}
	for _, f := range separators {
		list = append(list, f.HiddenField)
	}
	return list
}

var separators = []struct {
	console.HiddenField
	character string
}{
	{console.HiddenField{Name: "comma", Value: "commas"}, ","},
	{console.HiddenField{Name: "semicolon", Value: "semicolons"}, ";"},
	{console.HiddenField{Name: "tab", Value: "tabs"}, "\t"},
	{console.HiddenField{Name: "pipe", Value: "pipes"}, "|"},
	{console.HiddenField{Name: "colon", Value: "colons"}, ":"},
	{console.HiddenField{Name: "^", Value: "carets"}, "^"},
	{console.HiddenField{Name: "~", Value: "tildes"}, "~"},
}

// EncodingChoices are the encodings, with a word of the file where the reader cannot tell.
func (p importPage) EncodingChoices() []console.HiddenField {
	list := []console.HiddenField{{Value: "Found out by itself"}}
	for _, r := range p.Encodings {
		list = append(list, console.HiddenField{Name: r.Encoding, Value: r.Encoding + ": “" + r.Word + "”"})
	}
	for _, name := range []string{"utf-8", "utf-16", "windows-1252", "windows-1250", "windows-1251", "iso-8859-1", "ibm850", "macintosh"} {
		if !slices.ContainsFunc(list, func(f console.HiddenField) bool { return f.Name == name }) {
			list = append(list, console.HiddenField{Name: name, Value: name})
		}
	}
	return list
}

// importReport is an import's report as the page shows it.
type importReport struct {
	directory.ImportReport
	File      string
	Notice    console.Notice
	Figures   []figure
	Failed    []directory.RowError // the first ones
	More      int                  // how many are not shown
	Absent    []directory.Person   // the first ones
	Others    int                  // how many are not shown
	Rows      []importedRow        // the first changes
	MoreRows  int
	Twice     string // what there is to say about rows that are the same
	Importing bool   // the preview is good to be imported
	Cut       bool   // the time ran out
}

// importedRow is one change.
type importedRow struct {
	Line           int
	Name, UserName string
	Badge          console.Badge
	Values         []console.HiddenField
}

// figure is a number with its name.
type figure struct {
	Name  string
	Value string
}

// mostShown bounds the lists of a report on a page.
const mostShown = 200

func (p *Pages) showImport(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	id := r.URL.Query().Get("file")
	if id == "" {
		return p.viewImport(w, r, v, http.StatusOK, importPage{})
	}
	k := p.keptImport(v, id)
	if k == nil {
		return p.viewImport(w, r, v, http.StatusGone, importPage{Word: &forgotten})
	}
	if err := k.lock(r.Context()); err != nil {
		return err
	}
	defer k.unlock()
	return p.viewImport(w, r, v, http.StatusOK, k.page())
}

var forgotten = console.Notice{Tone: console.ToneWarning, Title: "The file is no longer kept.", Text: "A file is kept for 30 minutes after its last preview, and less when many large ones are imported. Choose it again. Nothing was imported by this form."}

// page shows a kept file.
func (k *keptImport) page() importPage {
	pg := importPage{Report: k.report, Word: k.notice}
	if k.data == nil {
		return pg // it was imported
	}
	pg.ID, pg.File, pg.Seen, pg.Until, pg.Form = k.ID, k.Name, k.seen, k.until, k.form
	pg.Columns, pg.Separator, pg.Template = k.choices(), cmp.Or(k.form.Separator, k.read.Separator), k.read.Template
	for _, c := range pg.Columns {
		if c.Unknown {
			pg.Unknown++
		}
	}
	nameless := k.report != nil && k.report.Nameless > 0
	if k.refused != nil {
		pg.Word = &console.Notice{Tone: console.ToneWarning, Title: "The file cannot be imported yet.", Text: console.AsSentence(k.refused.Detail)}
		pg.Separator, pg.Encodings, pg.Template = cmp.Or(k.form.Separator, k.refused.Separator), k.refused.Encodings, k.refused.Template
		if pg.Form.Enabled+pg.Form.Disabled == "" {
			pg.Form.Enabled, pg.Form.Disabled = strings.Join(k.refused.EnabledWords, ", "), strings.Join(k.refused.DisabledWords, ", ")
		}
	}
	pg.AskMake = k.form.Make != "" || pg.Template != "" && (nameless || k.refused != nil)
	pg.AskHow = pg.Encodings != nil || k.refused != nil && len(k.found) < 2 || k.form.Separator != "" || k.form.Encoding != "" || pg.Form.Enabled+pg.Form.Disabled != ""
	return pg
}

func (p *Pages) viewImport(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, pg importPage) error {
	pg.Page = v.page
	pg.Title = "Import users"
	pg.Lead = "Reads a CSV file whose first line names the columns. A user is found by objectId, else by employeeId, else by userPrincipalName. A file imported again changes nothing."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Users", URL: v.url("users")})
	pg.Action, pg.Attributes = v.url("users/import"), directory.Attributes()
	pg.Users = v.url("users/")
	return p.show(w, r, status, "import", pg)
}

// importUsers takes a file, or what was chosen for one that is kept. The answer is always at an address of its own, so a reload does nothing.
func (p *Pages) importUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	data, name, err := importedFile(r)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	form := readImportForm(r.PostForm)
	if err != nil {
		return p.refuseImport(w, r, v, form, "This is not an uploaded file. Choose a file and send the form again.")
	}
	id := r.PostForm.Get("kept")
	k := p.keptImport(v, id)
	switch {
	case data != nil:
		k = &keptImport{ID: console.NewFormNumber(), Name: console.Shorten(cmp.Or(name, "The file")), data: data, busy: make(chan struct{}, 1)}
	case id == "":
		return p.refuseImport(w, r, v, form, "Choose a CSV file first.")
	case k == nil:
		return p.viewImport(w, r, v, http.StatusGone, importPage{Word: &forgotten, Form: form, Typed: form.typed()})
	}
	if err := k.lock(r.Context()); err != nil {
		return err
	}
	defer k.unlock()
	if k.data != nil { // else it was imported, and the answer is what that did
		k.form = form
		err = p.work(r, v, k, data == nil && r.PostForm.Get("do") == "import")
		k.read.Rows = nil // they are read again from the bytes, which are what is counted
		if err != nil {
			return err
		}
		p.keepImport(v, k)
	}
	return p.Console.Redirect(w, r, v.url("users/import?file="+url.QueryEscape(k.ID)), console.Notice{})
}

// work makes a preview. It imports when that was asked for and the preview is still the one that was seen. A browser that goes away, as after
// a second press of the button, does not stop it.
func (p *Pages) work(r *http.Request, v *directoryVisit, k *keptImport, imports bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), importPatience)
	defer cancel()
	err := p.preview(ctx, v, k)
	if errors.Is(err, context.DeadlineExceeded) {
		k.notice = &console.Notice{Tone: console.ToneWarning, Title: "The preview was cut off because it took too long.", Text: "Nothing was changed. The command line has no such limit: rollcall directory import " + v.Directory.Name + " users.csv"}
		return nil
	}
	if err != nil || !imports || k.refused != nil {
		return err
	}
	if k.seen != r.PostForm.Get("seen") {
		k.notice = &console.Notice{Tone: console.ToneWarning, Title: "The preview has changed since you saw it. Nothing was imported.", Text: "The directory or your choices have changed since. Look at what would happen now, then press Import again."}
		return nil
	}
	o := k.options(v, false)
	report, err := v.Import(ctx, k.read.Rows, o)
	k.report = k.reported(o, report)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		// Nobody counts as absent in a file that was not read to its end. The file stays, to go on with.
		k.report.Cut, k.seen = true, ""
		k.report.Notice = console.Notice{Tone: console.ToneWarning, Title: "The import was cut off because it took too long.", Text: "What stands below is done and stays. Make a preview and import the file again to go on from there, or use the command line, which has no such limit."}
	case err != nil:
		return err
	default:
		k.data, k.found, k.read = nil, nil, directory.File{}
	}
	return nil
}

func (p *Pages) refuseImport(w http.ResponseWriter, r *http.Request, v *directoryVisit, form importForm, text string) error {
	return p.viewImport(w, r, v, http.StatusUnprocessableEntity, importPage{Error: &console.FieldError{For: "file", Text: text}, Form: form, Typed: form.typed()})
}

// typed are choices whose file is not there.
func (f importForm) typed() []columnChoice {
	var list []columnChoice
	for _, name := range slices.Sorted(maps.Keys(f.Columns)) {
		list = append(list, columnChoice{Number: len(list) + 1, Name: name, Chosen: f.Columns[name]})
	}
	return list
}

// importedFile gives the file of the import form; nil when none was chosen.
func importedFile(r *http.Request) ([]byte, string, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		err := r.ParseForm()
		if err == nil && r.PostForm.Get("kept") == "" {
			err = http.ErrNotMultipart // a form that lost its file on the way
		}
		return nil, "", err
	}
	file, name, err := console.UploadedFile(r)
	if r.MultipartForm != nil {
		defer r.MultipartForm.RemoveAll() //nolint:errcheck // the system's temporary folder is cleaned by the system
	}
	if err != nil || file == nil {
		return nil, "", err
	}
	defer file.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(file)
	return data, name, err
}

func (k *keptImport) reported(o directory.ImportOptions, r directory.ImportReport) *importReport {
	r.Notes = k.read.Notes
	v := &importReport{ImportReport: r, File: k.Name, Failed: r.Errors, Absent: r.Absent, Importing: o.DryRun}
	v.Steps = nil // the first ones are shown; the rest would fill the memory
	if len(v.Failed) > mostShown {
		v.Failed, v.More = slices.Clone(v.Failed[:mostShown]), len(v.Failed)-mostShown
	}
	if len(v.Absent) > mostShown {
		v.Absent, v.Others = slices.Clone(v.Absent[:mostShown]), len(v.Absent)-mostShown
	}
	v.Errors, v.ImportReport.Absent = nil, nil
	v.MoreRows = max(0, len(r.Steps)-mostShown)
	for _, s := range r.Steps[:min(len(r.Steps), mostShown)] {
		v.Rows = append(v.Rows, importedStep(s))
	}
	if n := len(r.Duplicates); n > 0 {
		v.Twice = fmt.Sprintf("%s the same as an earlier one and counted once, such as line %d, which is like line %d.", console.PluralForms(n, "row is", "rows are"), r.Duplicates[0].Line, r.Duplicates[0].Of)
		v.Duplicates = nil
	}
	for _, f := range []struct {
		name string
		n    int
	}{
		{"Rows", r.Rows},
		{"Created", r.Created},
		{"Updated", r.Updated},
		{"Restored", r.Restored},
		{"Unchanged", r.Unchanged},
		{"Errors", len(r.Errors)},
		{"Not in the file", len(r.Absent)},
		{"Soft-deleted", r.SoftDeleted},
	} {
		v.Figures = append(v.Figures, figure{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	if v.Forcible {
		v.Refused += ". To delete them all the same, tick “Also when they are more than 10 %” below and make the preview again"
	}
	v.Notice = importNotice(v.File, o, r)
	return v
}

func importedStep(s directory.ImportStep) importedRow {
	row := importedRow{Line: s.Line, Name: s.Person.DisplayName, UserName: s.Person.UserPrincipalName, Badge: console.Badge{Tone: console.ToneInfo, Text: "Update"}}
	switch s.Outcome {
	case "created":
		row.Badge = console.Badge{Tone: console.ToneGood, Text: "Create"}
	case "restored":
		row.Badge = console.Badge{Tone: console.ToneGood, Text: "Restore"}
	}
	for _, name := range directory.AttributeNames() {
		value, changed := s.Changed[name]
		if !changed || s.Outcome == "created" && (name == "displayName" || name == "userPrincipalName") {
			continue
		}
		row.Values = append(row.Values, console.HiddenField{Name: name, Value: strings.Clone(value)}) // not a part of the whole file's text
	}
	return row
}

func importNotice(file string, o directory.ImportOptions, r directory.ImportReport) console.Notice {
	writes := r.Created + r.Updated + r.Restored + r.SoftDeleted
	n := console.Notice{Tone: console.ToneGood, Title: file + " was imported."}
	switch {
	case o.DryRun && writes == 0:
		n = console.Notice{Tone: console.ToneInfo, Title: "Preview: nothing was changed.", Text: "Importing " + file + " would change nothing."}
	case o.DryRun:
		n = console.Notice{Tone: console.ToneInfo, Title: "Preview: nothing was changed.", Text: file + " would do what stands below. Press Import to do it."}
	case writes == 0:
		n = console.Notice{Tone: console.ToneInfo, Title: file + " changed nothing.", Text: "Everybody in it is like that already."}
	}
	if len(r.Errors) > 0 {
		n.Tone = console.ToneWarning
		n.Text = strings.TrimSpace(n.Text + fmt.Sprintf(" %s below; nothing else is affected.", console.PluralForms(len(r.Errors), "value or row has an error, listed", "values or rows have errors, listed")))
		if writes == 0 && !o.DryRun && r.Unchanged == 0 {
			n.Tone, n.Text = console.ToneProblem, "No row could be used. The reasons are listed below."
		}
	}
	if r.Nameless > 0 {
		n.Text += " " + console.PluralForms(r.Nameless, "row has", "rows have") + " no userPrincipalName, which a new user needs: say below how to build it."
	}
	return n
}
