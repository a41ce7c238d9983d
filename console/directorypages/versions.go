package directorypages

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
)

// versionsPage is the data of the view "versions". It lists the versions of a job's mappings, and
// has a link that exports the mappings and a form that imports them.
type versionsPage struct {
	console.Page
	Rows           []versionRow
	Pager          console.Pager
	ExportURL      string // address that downloads the mappings as a file
	ImportURL      string // address to which the form with the file is sent
	Error          *console.Notice
	PastedDocument string // the pasted document that the server refused; may be empty
}

// versionRow shows one version of the mappings in the list.
type versionRow struct {
	Number      int64
	URL         string
	CreatedAt   time.Time
	CreatedBy   string
	Description string
	IsCurrent   bool
}

// versionPage is the data of the view "version". It shows the differences between a version and the
// current mappings.
type versionPage struct {
	console.Page
	Changes     []changedPart
	Description string
	FormURL     string // address that restores the version; empty if it equals the current mappings
}

const (
	maxPartsNamed  = 8       // how many parts of the mappings a question names at most
	versionsOnPage = 50      // how many versions one page shows
	maxSchemaFile  = 4 << 20 // the largest size of an imported file, in bytes
)

func (v *appVisit) versionsURL() string { return v.url("/provisioning/versions") }

func (p *Pages) versionsFrame(v *appVisit) console.Page {
	frame := v.page
	frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: "Mapping versions", URL: v.versionsURL()})
	return frame
}

func (p *Pages) showVersions(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.renderVersions(w, r, v, http.StatusOK, nil, "")
}

func (p *Pages) renderVersions(w http.ResponseWriter, r *http.Request, v *appVisit, status int, wrong *console.Notice, typed string) error {
	if _, err := p.Jobs.Get(r.Context(), v.jobKey()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) //nolint:errcheck // 0 is the first page
	list, err := p.Jobs.Versions(r.Context(), v.jobKey(), before, versionsOnPage+1)
	if err != nil {
		return err
	}
	pg := versionsPage{Page: v.page, ExportURL: v.url("/provisioning/schema"), ImportURL: v.url("/provisioning/schema"), Error: wrong, PastedDocument: typed}
	pg.Title = "Mapping versions"
	pg.Lead = fmt.Sprintf("Every change of the mappings is kept, up to %d of them. An earlier version can be compared with today's and set again.", provision.KeptVersions)
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	if before > 0 {
		pg.Pager.FirstURL = v.versionsURL()
	}
	if len(list) > versionsOnPage {
		list = list[:versionsOnPage]
		pg.Pager.NextURL = v.versionsURL() + "?before=" + strconv.FormatInt(list[versionsOnPage-1].Number, 10)
	}
	for i, m := range list {
		pg.Rows = append(pg.Rows, versionRow{Number: m.Number, URL: v.versionsURL() + "/" + strconv.FormatInt(m.Number, 10), CreatedAt: m.At, CreatedBy: actorText(m.Actor), Description: m.Words, IsCurrent: before == 0 && i == 0})
	}
	return p.show(w, r, status, "versions", pg)
}

// openVersion returns the job, and the version of its mappings that the path names.
func (p *Pages) openVersion(r *http.Request, v *appVisit) (provision.Job, provision.MappingVersion, error) {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return job, provision.MappingVersion{}, err
	}
	number, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
	if err != nil {
		return job, provision.MappingVersion{}, console.ErrNotFound
	}
	version, err := p.Jobs.Version(r.Context(), v.jobKey(), number)
	if errors.Is(err, provision.ErrNoVersion) {
		err = &console.PageError{Status: http.StatusNotFound, Title: "There is no such version", Text: "It may be too old: only the newest versions are kept.", Action: &console.Action{Text: "Mapping versions", URL: v.versionsURL()}}
	}
	return job, version, err
}

func (p *Pages) showVersion(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, version, err := p.openVersion(r, v)
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	pg := versionPage{Page: p.versionsFrame(v), Description: version.Words, Changes: newChangedParts(provision.Compare(version.Schema, job.Schema))}
	pg.Title = fmt.Sprintf("Version %d", version.Number)
	if len(pg.Changes) > 0 {
		pg.FormURL = r.URL.Path
	}
	pg.StatusLine = "Changed " + version.At.UTC().Format("2 Jan 2006, 15:04") + " UTC"
	if version.Actor != "" {
		pg.StatusLine += " by " + console.ActorName(version.Actor)
	}
	return p.show(w, r, http.StatusOK, "version", pg)
}

// setVersion makes an old version of the mappings the current one. If that affects people, it first
// asks for confirmation.
func (p *Pages) setVersion(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	_, version, err := p.openVersion(r, v)
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	var change reachChange
	_, err = p.Jobs.GoBack(r.Context(), v.jobKey(), version.Number, p.newChangeCheck(r, v, &change), v.actorLabel())
	if errors.Is(err, errConfirm) {
		pg := console.ConfirmPage{
			Page: p.versionsFrame(v), FormURL: r.URL.Path, Button: fmt.Sprintf("Set version %d again", version.Number), IsDangerous: change.reach.Off > 0, CancelURL: r.URL.Path,
			Fields: []console.HiddenField{{Name: "confirmed", Value: change.confirmationValue()}},
		}
		return p.askSchemaChange(w, r, v, pg, change, "")
	}
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.versionsURL(), console.DoneNotice(fmt.Sprintf("The mappings are those of version %d again. Everybody is looked at again with the next cycle.", version.Number)))
}

// newChangeCheck returns a function that checks a change of the mappings and stores its effect in
// c. The function returns how many accounts the change may disable. It returns errConfirm if the
// change needs a confirmation that the form does not contain.
func (p *Pages) newChangeCheck(r *http.Request, v *appVisit, c *reachChange) func(before, after provision.Job) (confirmed int, err error) {
	return func(before, after provision.Job) (int, error) {
		var err error
		if *c, err = p.computeReachChange(r.Context(), v, before, after); err != nil {
			return 0, err
		}
		if c.needsConfirmation() && r.FormValue("confirmed") != c.confirmationValue() {
			return 0, errConfirm
		}
		return c.mayDisableCount(), nil
	}
}

// exportSchema responds with the mappings as a Graph synchronizationSchema document.
func (p *Pages) exportSchema(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	document, err := job.Schema.JSON()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+v.Directory.Name+`-mappings.json"`)
	_, err = w.Write(document)
	return err
}

// importSchema replaces the mappings with an uploaded or pasted document. It first asks for
// confirmation if the document has parts that this installation does not know, or if the change
// affects people.
func (p *Pages) importSchema(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	document, err := readSchemaDocument(r)
	if err != nil {
		return err
	}
	refuse := func(text string) error {
		return p.renderVersions(w, r, v, http.StatusUnprocessableEntity, &console.Notice{Tone: console.ToneProblem, Title: "This was not imported", Text: console.AsSentence(text)}, string(document))
	}
	if len(bytes.TrimSpace(document)) == 0 {
		return refuse("choose a file, or paste a document")
	}
	schema, err := provision.ParseSchema(document)
	if err != nil {
		return refuse(err.Error())
	}
	lost, err := provision.NotTakenOver(document, schema)
	if err != nil {
		return refuse(err.Error())
	}
	var change reachChange
	allow := p.newChangeCheck(r, v, &change)
	differs := false
	_, err = p.Jobs.ImportSchema(r.Context(), v.jobKey(), schema, func(before, after provision.Job) (int, error) {
		differs = true
		confirmed, err := allow(before, after)
		if err == nil && len(lost) > 0 && r.FormValue("confirmed") != change.confirmationValue() {
			err = errConfirm
		}
		return confirmed, err
	}, v.actorLabel())
	var input *provision.InputError
	switch {
	case errors.Is(err, errConfirm):
		pg := console.ConfirmPage{
			Page: p.versionsFrame(v), FormURL: v.url("/provisioning/schema"), Button: "Import the mappings", IsDangerous: change.reach.Off > 0, CancelURL: v.versionsURL(),
			Fields: []console.HiddenField{{Name: "confirmed", Value: change.confirmationValue()}, {Name: "document", Value: string(document)}},
		}
		for i, path := range lost {
			if i == maxPartsNamed {
				pg.Consequences = append(pg.Consequences, fmt.Sprintf("%d more parts of the file are not known here and are left out.", len(lost)-i))
				break
			}
			pg.Consequences = append(pg.Consequences, "Not known here and left out: "+path)
		}
		if !change.needsConfirmation() {
			pg.Title, pg.Narrow, pg.Undo = "Import without these parts?", true, "The mappings of today stay as a version and can be set again."
			return p.Console.View(w, r, http.StatusOK, "confirm", pg)
		}
		return p.askSchemaChange(w, r, v, pg, change, "")
	case errors.As(err, &input):
		return refuse(input.Text)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	if !differs {
		return p.Console.Redirect(w, r, v.versionsURL(), console.DoneNotice("The mappings were like that before. Nothing was changed."))
	}
	return p.Console.Redirect(w, r, v.versionsURL(), console.DoneNotice("The mappings were imported. Everybody is looked at again with the next cycle."))
}

// readSchemaDocument returns the content of the uploaded file. If no file was chosen, it returns
// the pasted text.
func readSchemaDocument(r *http.Request) ([]byte, error) {
	if r.PostForm == nil {
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
	}
	file, _, err := console.UploadedFile(r)
	switch {
	case errors.Is(err, http.ErrNotMultipart), err == nil && file == nil:
		return []byte(r.FormValue("document")), nil
	case err != nil:
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the file was only read
	document, err := io.ReadAll(file)
	if err == nil && len(document) == 0 { // browsers send an empty file if none was chosen
		document = []byte(r.FormValue("document"))
	}
	return document, err
}

// changedPart describes a part of the mappings in the old version and now. Before is empty if the
// old version lacks the part, and After is empty if the current mappings lack it.
type changedPart struct{ Name, Before, After string }

func newChangedParts(changes []provision.ChangedPart) []changedPart {
	parts := make([]changedPart, len(changes))
	for i, c := range changes {
		parts[i] = changedPart{Name: c.Name, Before: provision.PartWords(c.Before), After: provision.PartWords(c.After)}
	}
	return parts
}

// actorText names the actor of a change. It returns "" if the actor is not known.
func actorText(actor string) string {
	if actor == "" {
		return ""
	}
	return console.ActorName(actor)
}
