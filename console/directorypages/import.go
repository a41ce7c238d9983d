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

// importPage is the data of the view "import": the form for a file, and above it the result of the
// last preview or import.
type importPage struct {
	console.Page
	FormURL       string
	Attributes    []directory.Attribute
	UserURLPrefix string // the address of a user's page, without the object id at its end
	Error         *console.FieldError
	FileNotice    *console.Notice // a message about the file; may be nil
	Form          importForm
	Report        *importReport

	// The fields from here on are set only while the server keeps a file.
	FileID, FileName, PreviewDigest string
	KeptUntil                       time.Time
	Columns                         []columnChoice
	TypedColumns                    []columnChoice // the column choices in the form, if the form's file is no longer kept
	UnknownCount                    int            // how many columns the operator must still choose an attribute for
	Separator                       string
	EncodingGuesses                 []directory.Reading
	NameTemplate                    string // an example of a template that builds user principal names
	AsksForTemplate, AsksForFormat  bool   // whether the page shows the inputs for the template, and for the format of the file
}

// UnknownBadge returns the badge for a column whose attribute the operator must choose.
func (importPage) UnknownBadge() console.Badge {
	return console.Badge{Tone: console.ToneWarning, Text: "Not known"}
}

// SeparatorChoices lists the choices for the column separator, as values with their texts.
func (p importPage) SeparatorChoices() []console.HiddenField {
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

// EncodingChoices lists the encodings, as values with their texts. If the reader could not decide
// between some encodings, these come first, each with a word of the file in that encoding.
func (p importPage) EncodingChoices() []console.HiddenField {
	list := []console.HiddenField{{Value: "Found out by itself"}}
	for _, r := range p.EncodingGuesses {
		list = append(list, console.HiddenField{Name: r.Encoding, Value: r.Encoding + ": “" + r.Word + "”"})
	}
	for _, name := range []string{"utf-8", "utf-16", "windows-1252", "windows-1250", "windows-1251", "iso-8859-1", "ibm850", "macintosh"} {
		if !slices.ContainsFunc(list, func(f console.HiddenField) bool { return f.Name == name }) {
			list = append(list, console.HiddenField{Name: name, Value: name})
		}
	}
	return list
}

// importReport is the report of a preview or an import, prepared for the page.
type importReport struct {
	directory.ImportReport
	FileName       string
	Notice         console.Notice
	Counts         []console.Fact
	ShownErrors    []directory.RowError // the first errors
	MoreErrors     int                  // number of errors that are not shown
	ShownAbsent    []directory.Person   // the first users that are not in the file
	MoreAbsent     int                  // number of such users that are not shown
	ShownChanges   []importedRow        // the first changes
	MoreChanges    int
	DuplicatesText string // a sentence about duplicate rows; may be empty
	CanImport      bool   // whether the report is a preview, which can be imported
	WasCutOff      bool   // whether the import stopped before its end because it took too long
}

// importedRow shows the change that one row of the file makes.
type importedRow struct {
	Line           int
	Name, UserName string
	Badge          console.Badge
	Values         []console.HiddenField
}

// maxListEntries is how many entries each list of a report shows at most.
const maxListEntries = 200

func (p *Pages) showImport(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	id := r.URL.Query().Get("file")
	if id == "" {
		return p.renderImport(w, r, v, http.StatusOK, importPage{})
	}
	k := p.findKeptImport(v, id)
	if k == nil {
		return p.renderImport(w, r, v, http.StatusGone, importPage{FileNotice: &fileForgottenNotice})
	}
	if err := k.lock(r.Context()); err != nil {
		return err
	}
	defer k.unlock()
	return p.renderImport(w, r, v, http.StatusOK, k.pageData())
}

var fileForgottenNotice = console.Notice{Tone: console.ToneWarning, Title: "The file is no longer kept.", Text: "A file is kept for 30 minutes after its last preview, and less when many large ones are imported. Choose it again. Nothing was imported by this form."}

// pageData returns the data of the page for a kept file.
func (k *keptImport) pageData() importPage {
	pg := importPage{Report: k.report, FileNotice: k.notice}
	if k.data == nil {
		return pg // the file was imported, so only the report remains
	}
	pg.FileID, pg.FileName, pg.PreviewDigest, pg.KeptUntil, pg.Form = k.ID, k.Name, k.previewDigest, k.keptUntil, k.form
	pg.Columns, pg.Separator, pg.NameTemplate = k.columnChoices(), cmp.Or(k.form.Separator, k.parsed.Separator), k.parsed.Template
	for _, c := range pg.Columns {
		if c.IsUnknown {
			pg.UnknownCount++
		}
	}
	nameless := k.report != nil && k.report.Nameless > 0
	if k.fileError != nil {
		pg.FileNotice = &console.Notice{Tone: console.ToneWarning, Title: "The file cannot be imported yet.", Text: console.AsSentence(k.fileError.Detail)}
		pg.Separator, pg.EncodingGuesses, pg.NameTemplate = cmp.Or(k.form.Separator, k.fileError.Separator), k.fileError.Encodings, k.fileError.Template
		if pg.Form.EnabledWords+pg.Form.DisabledWords == "" {
			pg.Form.EnabledWords, pg.Form.DisabledWords = strings.Join(k.fileError.EnabledWords, ", "), strings.Join(k.fileError.DisabledWords, ", ")
		}
	}
	pg.AsksForTemplate = k.form.NameTemplate != "" || pg.NameTemplate != "" && (nameless || k.fileError != nil)
	pg.AsksForFormat = pg.EncodingGuesses != nil || k.fileError != nil && len(k.foundColumns) < 2 || k.form.Separator != "" || k.form.Encoding != "" || pg.Form.EnabledWords+pg.Form.DisabledWords != ""
	return pg
}

func (p *Pages) renderImport(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, pg importPage) error {
	pg.Page = v.page
	pg.Title = "Import users"
	pg.Lead = "Reads a CSV file whose first line names the columns. A user is found by objectId, else by employeeId, else by userPrincipalName. A file imported again changes nothing."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Users", URL: v.url("users")})
	pg.FormURL, pg.Attributes = v.url("users/import"), directory.Attributes()
	pg.UserURLPrefix = v.url("users/")
	return p.show(w, r, status, "import", pg)
}

// importUsers takes a new file, or the operator's choices for a kept file. It makes a preview or
// imports the file. Then it redirects to an address that shows the result, so that reloading the
// page imports nothing twice.
func (p *Pages) importUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	data, name, err := importedFile(r)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	form := readImportForm(r.PostForm)
	if err != nil {
		return p.showImportError(w, r, v, form, "This is not an uploaded file. Choose a file and send the form again.")
	}
	id := r.PostForm.Get("kept")
	k := p.findKeptImport(v, id)
	switch {
	case data != nil:
		k = &keptImport{ID: console.NewFormNumber(), Name: console.Shorten(cmp.Or(name, "The file")), data: data, busy: make(chan struct{}, 1)}
	case id == "":
		return p.showImportError(w, r, v, form, "Choose a CSV file first.")
	case k == nil:
		return p.renderImport(w, r, v, http.StatusGone, importPage{FileNotice: &fileForgottenNotice, Form: form, TypedColumns: form.typedColumns()})
	}
	if err := k.lock(r.Context()); err != nil {
		return err
	}
	defer k.unlock()
	if k.data != nil { // otherwise the file was imported already, and the page shows that result
		k.form = form
		err = p.previewOrImport(r, v, k, data == nil && r.PostForm.Get("do") == "import")
		k.parsed.Rows = nil // the rows can be parsed again, and the memory limit counts only k.data
		if err != nil {
			return err
		}
		p.keepImport(v, k)
	}
	return p.Console.Redirect(w, r, v.url("users/import?file="+url.QueryEscape(k.ID)), console.Notice{})
}

// previewOrImport makes a preview. If imports is true, and the preview is the same as the one that
// the operator saw, it then imports the file. The work continues even if the browser disconnects.
// The browser does that, for example, when the operator clicks the button a second time.
func (p *Pages) previewOrImport(r *http.Request, v *directoryVisit, k *keptImport, imports bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), maxImportDuration)
	defer cancel()
	err := p.preview(ctx, v, k)
	if errors.Is(err, context.DeadlineExceeded) {
		k.notice = &console.Notice{Tone: console.ToneWarning, Title: "The preview was cut off because it took too long.", Text: "Nothing was changed. The command line has no such limit: rollcall directory import " + v.Directory.Name + " users.csv"}
		return nil
	}
	if err != nil || !imports || k.fileError != nil {
		return err
	}
	if k.previewDigest != r.PostForm.Get("seen") {
		k.notice = &console.Notice{Tone: console.ToneWarning, Title: "The preview has changed since you saw it. Nothing was imported.", Text: "The directory or your choices have changed since. Look at what would happen now, then press Import again."}
		return nil
	}
	o := k.importOptions(v, false)
	report, err := v.Import(ctx, k.parsed.Rows, o)
	k.report = k.newImportReport(o, report)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		// No user counts as absent from a file that was only partly imported. The file stays kept,
		// so that the operator can import the rest.
		k.report.WasCutOff, k.previewDigest = true, ""
		k.report.Notice = console.Notice{Tone: console.ToneWarning, Title: "The import was cut off because it took too long.", Text: "What stands below is done and stays. Make a preview and import the file again to go on from there, or use the command line, which has no such limit."}
	case err != nil:
		return err
	default:
		k.data, k.foundColumns, k.parsed = nil, nil, directory.File{}
	}
	return nil
}

func (p *Pages) showImportError(w http.ResponseWriter, r *http.Request, v *directoryVisit, form importForm, text string) error {
	return p.renderImport(w, r, v, http.StatusUnprocessableEntity, importPage{Error: &console.FieldError{For: "file", Text: text}, Form: form, TypedColumns: form.typedColumns()})
}

// typedColumns returns the column choices in the form. The page shows them if the form's file is no
// longer kept.
func (f importForm) typedColumns() []columnChoice {
	var list []columnChoice
	for _, name := range slices.Sorted(maps.Keys(f.Columns)) {
		list = append(list, columnChoice{Number: len(list) + 1, Name: name, Chosen: f.Columns[name]})
	}
	return list
}

// importedFile returns the content and the name of the uploaded file. The content is nil if no file
// was chosen.
func importedFile(r *http.Request) ([]byte, string, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		err := r.ParseForm()
		if err == nil && r.PostForm.Get("kept") == "" {
			err = http.ErrNotMultipart // a form without a kept file must upload one
		}
		return nil, "", err
	}
	file, name, err := console.UploadedFile(r)
	if r.MultipartForm != nil {
		defer r.MultipartForm.RemoveAll() //nolint:errcheck // the operating system cleans its temporary folder
	}
	if err != nil || file == nil {
		return nil, "", err
	}
	defer file.Close() //nolint:errcheck // the file was only read
	data, err := io.ReadAll(file)
	return data, name, err
}

func (k *keptImport) newImportReport(o directory.ImportOptions, r directory.ImportReport) *importReport {
	r.Notes = k.parsed.Notes
	v := &importReport{ImportReport: r, FileName: k.Name, ShownErrors: r.Errors, ShownAbsent: r.Absent, CanImport: o.DryRun}
	v.Steps = nil // the page shows only the first steps, and all of them would use too much memory
	if len(v.ShownErrors) > maxListEntries {
		v.ShownErrors, v.MoreErrors = slices.Clone(v.ShownErrors[:maxListEntries]), len(v.ShownErrors)-maxListEntries
	}
	if len(v.ShownAbsent) > maxListEntries {
		v.ShownAbsent, v.MoreAbsent = slices.Clone(v.ShownAbsent[:maxListEntries]), len(v.ShownAbsent)-maxListEntries
	}
	v.Errors, v.ImportReport.Absent = nil, nil
	v.MoreChanges = max(0, len(r.Steps)-maxListEntries)
	for _, s := range r.Steps[:min(len(r.Steps), maxListEntries)] {
		v.ShownChanges = append(v.ShownChanges, newImportedRow(s))
	}
	if n := len(r.Duplicates); n > 0 {
		v.DuplicatesText = fmt.Sprintf("%s the same as an earlier one and counted once, such as line %d, which is like line %d.", console.PluralForms(n, "row is", "rows are"), r.Duplicates[0].Line, r.Duplicates[0].RepeatsLine)
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
		v.Counts = append(v.Counts, console.Fact{Name: f.name, Value: console.GroupDigits(f.n)})
	}
	if v.Forcible {
		v.Refused += ". To delete them all the same, tick “Also when they are more than 10 %” below and make the preview again"
	}
	v.Notice = importNotice(v.FileName, o, r)
	return v
}

func newImportedRow(s directory.ImportStep) importedRow {
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
		row.Values = append(row.Values, console.HiddenField{Name: name, Value: strings.Clone(value)}) // a copy, so that the row does not keep the whole file in memory
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
