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

// versionsPage is the data of the view "versions": the versions of a job's mappings, and the forms
// that export and import them.
type versionsPage struct {
	console.Page
	Rows   []versionRow
	Pager  console.Pager
	Export string // address of the file
	Import string // address that takes a file
	Error  *console.Notice
	Typed  string // a pasted document that the server refused
}

type versionRow struct {
	Number  int64
	URL     string
	At      time.Time
	By      string
	Words   string
	Current bool
}

// versionPage is the data of the view "version": the differences between a version and the current
// mappings.
type versionPage struct {
	console.Page
	Changes []changedPart
	Words   string
	Action  string // address that restores the version; empty if it is the current one
}

const (
	maxEffects    = 8 // how many unknown parts of a file a question names at most
	versionsShown = 50
	maxSchemaFile = 4 << 20 // the largest size of a file, in bytes
)

func (v *appVisit) versionsURL() string { return v.url("/provisioning/versions") }

func (p *Pages) versionsFrame(v *appVisit) console.Page {
	frame := v.page
	frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: "Mapping versions", URL: v.versionsURL()})
	return frame
}

func (p *Pages) showVersions(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewVersions(w, r, v, http.StatusOK, nil, "")
}

func (p *Pages) viewVersions(w http.ResponseWriter, r *http.Request, v *appVisit, status int, wrong *console.Notice, typed string) error {
	if _, err := p.Jobs.Get(r.Context(), v.key()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) //nolint:errcheck // 0 is the first page
	list, err := p.Jobs.Versions(r.Context(), v.key(), before, versionsShown+1)
	if err != nil {
		return err
	}
	pg := versionsPage{Page: v.page, Export: v.url("/provisioning/schema"), Import: v.url("/provisioning/schema"), Error: wrong, Typed: typed}
	pg.Title = "Mapping versions"
	pg.Lead = fmt.Sprintf("Every change of the mappings is kept, up to %d of them. An earlier version can be compared with today's and set again.", provision.KeptVersions)
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	if before > 0 {
		pg.Pager.First = v.versionsURL()
	}
	if len(list) > versionsShown {
		list = list[:versionsShown]
		pg.Pager.Next = v.versionsURL() + "?before=" + strconv.FormatInt(list[versionsShown-1].Number, 10)
	}
	for i, m := range list {
		pg.Rows = append(pg.Rows, versionRow{Number: m.Number, URL: v.versionsURL() + "/" + strconv.FormatInt(m.Number, 10), At: m.At, By: actorText(m.Actor), Words: m.Words, Current: before == 0 && i == 0})
	}
	return p.show(w, r, status, "versions", pg)
}

// openVersion returns the job and the version that the path names.
func (p *Pages) openVersion(r *http.Request, v *appVisit) (provision.Job, provision.MappingVersion, error) {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return job, provision.MappingVersion{}, err
	}
	number, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
	if err != nil {
		return job, provision.MappingVersion{}, console.ErrNotFound
	}
	version, err := p.Jobs.Version(r.Context(), v.key(), number)
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
	pg := versionPage{Page: p.versionsFrame(v), Words: version.Words, Changes: changedParts(provision.Compare(version.Schema, job.Schema))}
	pg.Title = fmt.Sprintf("Version %d", version.Number)
	if len(pg.Changes) > 0 {
		pg.Action = r.URL.Path
	}
	pg.StatusLine = "Changed " + version.At.UTC().Format("2 Jan 2006, 15:04") + " UTC"
	if version.Actor != "" {
		pg.StatusLine += " by " + console.ActorName(version.Actor)
	}
	return p.show(w, r, http.StatusOK, "version", pg)
}

// setVersion makes an old version of the mappings the current one. It asks first if that affects
// people.
func (p *Pages) setVersion(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	_, version, err := p.openVersion(r, v)
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	var change reachChange
	_, err = p.Jobs.GoBack(r.Context(), v.key(), version.Number, p.allowChange(r, v, &change), v.actor())
	if errors.Is(err, errConfirm) {
		pg := console.ConfirmPage{
			Page: p.versionsFrame(v), Action: r.URL.Path, Button: fmt.Sprintf("Set version %d again", version.Number), Danger: change.reach.Off > 0, Cancel: r.URL.Path,
			Fields: []console.HiddenField{{Name: "confirmed", Value: change.confirmationValue()}},
		}
		return p.askRow(w, r, v, pg, change, "")
	}
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.versionsURL(), console.DoneNotice(fmt.Sprintf("The mappings are those of version %d again. Everybody is looked at again with the next cycle.", version.Number)))
}

// allowChange returns a function that checks a change of the mappings and stores its effect in c.
// The function returns errConfirm if the change affects people and the form does not confirm that.
func (p *Pages) allowChange(r *http.Request, v *appVisit, c *reachChange) func(before, after provision.Job) (confirmed int, err error) {
	return func(before, after provision.Job) (int, error) {
		var err error
		if *c, err = p.reachOf(r.Context(), v, before, after); err != nil {
			return 0, err
		}
		if c.needsConfirmation() && r.FormValue("confirmed") != c.confirmationValue() {
			return 0, errConfirm
		}
		return c.confirmed(), nil
	}
}

// exportSchema responds with the mappings as a Graph synchronizationSchema document.
func (p *Pages) exportSchema(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
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

// importSchema replaces the mappings with an uploaded or pasted document. It first shows which
// parts of the document this installation does not know, and what changes for people.
func (p *Pages) importSchema(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	document, err := schemaDocument(r)
	if err != nil {
		return err
	}
	refuse := func(text string) error {
		return p.viewVersions(w, r, v, http.StatusUnprocessableEntity, &console.Notice{Tone: console.ToneProblem, Title: "This was not imported", Text: console.AsSentence(text)}, string(document))
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
	allow := p.allowChange(r, v, &change)
	differs := false
	_, err = p.Jobs.ImportSchema(r.Context(), v.key(), schema, func(before, after provision.Job) (int, error) {
		differs = true
		confirmed, err := allow(before, after)
		if err == nil && len(lost) > 0 && r.FormValue("confirmed") != change.confirmationValue() {
			err = errConfirm
		}
		return confirmed, err
	}, v.actor())
	var input *provision.InputError
	switch {
	case errors.Is(err, errConfirm):
		pg := console.ConfirmPage{
			Page: p.versionsFrame(v), Action: v.url("/provisioning/schema"), Button: "Import the mappings", Danger: change.reach.Off > 0, Cancel: v.versionsURL(),
			Fields: []console.HiddenField{{Name: "confirmed", Value: change.confirmationValue()}, {Name: "document", Value: string(document)}},
		}
		for i, path := range lost {
			if i == maxEffects {
				pg.Consequences = append(pg.Consequences, fmt.Sprintf("%d more parts of the file are not known here and are left out.", len(lost)-i))
				break
			}
			pg.Consequences = append(pg.Consequences, "Not known here and left out: "+path)
		}
		if !change.needsConfirmation() {
			pg.Title, pg.Narrow, pg.Undo = "Import without these parts?", true, "The mappings of today stay as a version and can be set again."
			return p.Console.View(w, r, http.StatusOK, "confirm", pg)
		}
		return p.askRow(w, r, v, pg, change, "")
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

// schemaDocument reads the uploaded file. If no file was chosen, it returns the pasted text.
func schemaDocument(r *http.Request) ([]byte, error) {
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

// changedPart is a part of the mappings that differs, in words. A side is empty if it lacks the
// part.
type changedPart struct{ Name, Then, Now string }

func changedParts(changes []provision.ChangedPart) []changedPart {
	parts := make([]changedPart, len(changes))
	for i, c := range changes {
		parts[i] = changedPart{Name: c.Name, Then: provision.PartWords(c.Before), Now: provision.PartWords(c.After)}
	}
	return parts
}

// actorText names the actor of a change; "" if the actor is not known.
func actorText(actor string) string {
	if actor == "" {
		return ""
	}
	return console.ActorName(actor)
}
