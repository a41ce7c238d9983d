package console

import (
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
)

// importPage is the view "directory_import": the form, and below it what the last file did.
type importPage struct {
	page
	Action     string
	Columns    []string
	Error      *fieldError
	SoftDelete bool
	Force      bool
	Report     *importReport
}

// importReport is an import's report as the page shows it.
type importReport struct {
	directory.ImportReport
	File    string
	Notice  notice
	Figures []figure
	Failed  []directory.RowError // the first ones
	More    int                  // how many are not shown
	Absent  []directory.Person   // the first ones
	Others  int                  // how many are not shown
}

// figure is a number with its name.
type figure struct {
	Name  string
	Value string
}

// mostShown bounds the lists of a report on a page.
const mostShown = 200

func (p *DirectoryPages) showImport(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewImport(w, r, v, http.StatusOK, importPage{})
}

func (p *DirectoryPages) viewImport(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, pg importPage) error {
	pg.page = v.page
	pg.Title = "Import users"
	pg.Lead = "Reads a CSV file whose first line names Entra’s attributes. Users are found by objectId, else by userPrincipalName; a file imported again changes nothing."
	pg.Crumbs = v.crumbs(crumb{Text: "Users", URL: v.url("users")})
	pg.Action, pg.Columns = v.url("users/import"), directory.AttributeNames()
	return p.Console.view(w, r, status, "directory_import", pg)
}

// importUsers answers with the report itself instead of redirecting to it: nothing keeps reports, and sending a file twice does no harm.
func (p *DirectoryPages) importUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	file, name, err := uploaded(r)
	if file != nil {
		defer file.Close()                //nolint:errcheck // only read
		defer r.MultipartForm.RemoveAll() //nolint:errcheck // the system's temporary folder is cleaned by the system
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	if err != nil {
		return p.refuseImport(w, r, v, "This is not an uploaded file. Choose a file and send the form again.")
	}
	if file == nil {
		return p.refuseImport(w, r, v, "Choose a CSV file first.")
	}
	users, err := p.ReadUsers(file, directory.FileOptions{})
	if err != nil {
		return p.refuseImport(w, r, v, sentence(err.Error()))
	}
	o := directory.ImportOptions{DryRun: r.PostFormValue("do") == "preview", Force: r.PostFormValue("force") != "", Actor: v.actor()}
	if r.PostFormValue("absent") == string(directory.AbsentSoftDelete) {
		o.Absent = directory.AbsentSoftDelete
	}
	report, err := v.Import(r.Context(), users.Rows, o)
	shown := reported(name, o, report)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() != nil:
		// Nobody counts as absent in a file that was not read to its end.
		shown.Notice = notice{Tone: warn, Title: "The import was cut off because it took too long.", Text: "What stands below is done and stays. Import the file again to go on from there, or use the command line, which has no such limit."}
	case err != nil:
		return err
	}
	return p.viewImport(w, r, v, http.StatusOK, importPage{SoftDelete: o.Absent != directory.AbsentKeep, Force: o.Force, Report: shown})
}

func (p *DirectoryPages) refuseImport(w http.ResponseWriter, r *http.Request, v *directoryVisit, text string) error {
	return p.viewImport(w, r, v, http.StatusUnprocessableEntity, importPage{
		Error: &fieldError{For: "file", Text: text}, Force: r.PostFormValue("force") != "",
		SoftDelete: r.PostFormValue("absent") == string(directory.AbsentSoftDelete),
	})
}

// uploaded gives the file of the form; nil when none was chosen.
func uploaded(r *http.Request) (multipart.File, string, error) {
	if err := r.ParseMultipartForm(8 << 20); err != nil {
		return nil, "", err
	}
	file, header, err := r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	return file, header.Filename, nil
}

func reported(file string, o directory.ImportOptions, r directory.ImportReport) *importReport {
	v := &importReport{ImportReport: r, File: file, Failed: r.Errors, Absent: r.Absent}
	if v.File == "" {
		v.File = "The file"
	}
	if len(v.Failed) > mostShown {
		v.Failed, v.More = v.Failed[:mostShown], len(v.Failed)-mostShown
	}
	if len(v.Absent) > mostShown {
		v.Absent, v.Others = v.Absent[:mostShown], len(v.Absent)-mostShown
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
		v.Figures = append(v.Figures, figure{Name: f.name, Value: strconv.Itoa(f.n)})
	}
	v.Notice = importNotice(v.File, o, r)
	return v
}

func importNotice(file string, o directory.ImportOptions, r directory.ImportReport) notice {
	writes := r.Created + r.Updated + r.Restored + r.SoftDeleted
	n := notice{Tone: ok, Title: file + " was imported."}
	switch {
	case o.DryRun:
		n = notice{Tone: info, Title: "Preview: nothing was changed.", Text: file + " would do what stands below. Choose it again and press Import to do it."}
	case writes == 0:
		n = notice{Tone: info, Title: file + " changed nothing.", Text: "Everybody in it is like that already."}
	}
	if len(r.Errors) > 0 {
		n.Tone = warn
		n.Text = strings.TrimSpace(n.Text + fmt.Sprintf(" %s below; the other rows are not affected.", counted(len(r.Errors), "row has an error, listed", "rows have errors, listed")))
		if writes == 0 && !o.DryRun && r.Unchanged == 0 {
			n.Tone, n.Text = bad, "No row could be used. The reasons are listed below."
		}
	}
	return n
}

// counted is a number with the words for one or for several.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
