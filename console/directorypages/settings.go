package directorypages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// settingsPage is the data of the view "settings", the page "Rename or delete" of a directory, an
// application or a site.
type settingsPage struct {
	console.Page
	ObjectKind   string // the kind of the object, such as "application"
	Name         string // the name in the form
	MaxLength    int    // the largest length of a name, in characters
	FormURL      string
	StartValues  []console.HiddenField
	Hint         string
	Error        *console.FieldError
	DeleteURL    string
	DeleteEffect string      // a sentence that says what deleting removes
	DomainForm   *domainForm // the form for the default domain; nil except for a directory
}

// objectIDInForm returns the id of the object that a form renames or deletes. It returns "" for
// other requests. The id is needed because another object may have the name in the path by now.
func objectIDInForm(r *http.Request) string {
	if r.Method != http.MethodPost || r.ParseForm() != nil || !utf8.ValidString(r.PostForm.Get("id")) || strings.ContainsRune(r.PostForm.Get("id"), 0) {
		return ""
	}
	return r.PostForm.Get("id")
}

// withDirectoryByID is like withDirectory, but finds the directory by the id in the form. So the
// form still works if someone else has renamed the directory since the form was opened.
func (p *Pages) withDirectoryByID(handle func(http.ResponseWriter, *http.Request, *directoryVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	named := p.withDirectory(handle)
	return func(w http.ResponseWriter, r *http.Request, o *operatorVisit) error {
		id := objectIDInForm(r)
		if id == "" {
			return named(w, r, o)
		}
		h, err := p.Directories.OpenByID(r.Context(), directory.ID(id))
		if err != nil {
			return err
		}
		r.SetPathValue("directory", h.Directory.Name)
		return named(w, r, o)
	}
}

// nameFields returns the only field of the form, which is the name.
func nameFields() []console.EditField { return []console.EditField{{Name: "name", Label: "Name"}} }

// mergeName returns the name that the form gives to the object. now is the current name. If someone
// else has renamed the object since the form was opened, mergeName responds with a page that asks
// which name to keep, and asked is true.
func (p *Pages) mergeName(w http.ResponseWriter, r *http.Request, frame console.Page, now, action string) (name string, asked bool, err error) {
	if err := r.ParseForm(); err != nil {
		return "", false, err
	}
	m, err := console.MergeEdit(r.PostForm, nameFields(), map[string]string{"name": now})
	if err != nil || len(m.Conflicts) == 0 {
		return m.Values["name"], false, err
	}
	was := r.PostForm.Get(console.StartValuePrefix + "name")
	frame.Notice = &console.Notice{Tone: console.ToneWarning, Text: was + " was renamed to " + now + " meanwhile."}
	return "", true, p.Console.AskAboutConflicts(w, r, frame, m, action, action, nil, console.HiddenField{Name: "id", Value: r.PostForm.Get("id")})
}

// checkTypedName reports whether the operator typed the name that confirms the deletion. If not, it
// responds with the confirmation page again.
func (p *Pages) checkTypedName(w http.ResponseWriter, r *http.Request, ask console.ConfirmPage, what string) (bool, error) {
	if err := r.ParseForm(); err != nil {
		return false, err
	}
	if strings.TrimSpace(r.PostForm.Get("confirm")) == ask.NameToType {
		return true, nil
	}
	ask.Error = &console.FieldError{For: "confirm", Text: "That is not the name of this " + what + ". Nothing was deleted."}
	return false, p.Console.View(w, r, http.StatusUnprocessableEntity, "confirm", ask)
}

func (p *Pages) showApplicationSettings(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.renderApplicationSettings(w, r, v, http.StatusOK, v.App.Name, nil)
}

func (p *Pages) renderApplicationSettings(w http.ResponseWriter, r *http.Request, v *appVisit, status int, name string, wrong *console.FieldError) error {
	c, err := v.ApplicationContents(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg := settingsPage{
		Page: v.page, ObjectKind: "application", Name: name, MaxLength: 100, Error: wrong, DeleteURL: v.url("/delete"),
		// The address contains the id of the application, so that the form still works if someone
		// else renames the application.
		FormURL: v.directoryVisit.url("applications/" + url.PathEscape(v.App.ID) + "/settings"), StartValues: console.StartValueFields(nameFields(), map[string]string{"name": v.App.Name}),
		Hint:         "Its assignments, mappings and links stay. The addresses of its pages change.",
		DeleteEffect: "Deleting removes " + console.PluralForms(c.Assigned, "assignment", "assignments") + " and the provisioning with its logs. " + console.PluralForms(c.Linked, "linked account", "linked accounts") + " at the application stay as they are.",
	}
	if wrong != nil {
		pg.StartValues = console.RepeatStartValueFields(r.PostForm, nameFields())
	}
	pg.Title = "Rename or delete"
	pg.Crumbs = v.crumbs(console.Crumb{})
	return p.show(w, r, status, "settings", pg)
}

func (p *Pages) renameApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	name, asked, err := p.mergeName(w, r, v.page, v.App.Name, v.directoryVisit.url("applications/"+url.PathEscape(v.App.ID)+"/settings"))
	if err != nil || asked {
		return err
	}
	a, err := v.RenameApplication(r.Context(), v.App.ID, name, v.actorLabel())
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return p.renderApplicationSettings(w, r, v, http.StatusUnprocessableEntity, r.PostForm.Get("name"), wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.appURL(a), renamedNotice(v.App.Name, a.Name))
}

func renamedNotice(before, after string) console.Notice {
	if before == after {
		return console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the name is " + after + " already."}
	}
	return console.DoneNotice(before + " was renamed to " + after + ".")
}

func (p *Pages) newDeleteApplicationPage(ctx context.Context, v *appVisit) (console.ConfirmPage, error) {
	c, err := v.ApplicationContents(ctx, v.App.ID)
	if err != nil {
		return console.ConfirmPage{}, err
	}
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("/delete"), Button: "Delete " + v.App.Name, IsDangerous: true, CancelURL: v.url(""), NameToType: v.App.Name,
		Consequences: []string{
			console.PluralForms(c.Assigned, "assignment is", "assignments are") + " removed.",
			"The provisioning is removed: credentials, mappings, logs, and the links between users and accounts.",
			console.PluralForms(c.Linked, "linked account", "linked accounts") + " at " + v.App.Name + " stay as they are. Nobody is switched off there, now or later.",
		},
		Undo: "This cannot be undone. To cut people off first, remove them under Users and groups and wait for a cycle.",
	}
	job, err := p.Jobs.Get(ctx, v.jobKey())
	if err != nil && !errors.Is(err, provision.ErrNoJob) {
		return pg, err
	}
	if job.Status == provision.On {
		pg.Consequences = append(pg.Consequences, "Provisioning Status is On: a cycle that runs now stops.")
	}
	pg.Title, pg.Narrow = "Delete "+v.App.Name+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{})
	return pg, nil
}

// refuseDeleteApplication redirects to the settings, with the reason, if only the command line may
// delete the application.
func (p *Pages) refuseDeleteApplication(w http.ResponseWriter, r *http.Request, v *appVisit) (refused bool, err error) {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if errors.Is(err, provision.ErrNoJob) {
		return false, nil
	}
	var input *provision.InputError
	if err == nil && errors.As(job.CheckDelete(v.actorLabel()), &input) {
		return true, p.Console.Redirect(w, r, v.url("/settings"), console.Notice{Tone: console.ToneWarning, Title: "Nothing was deleted.", Text: console.AsSentence(input.Field + " " + input.Text)})
	}
	return false, err
}

func (p *Pages) askDeleteApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if refused, err := p.refuseDeleteApplication(w, r, v); refused || err != nil {
		return err
	}
	pg, err := p.newDeleteApplicationPage(r.Context(), v)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) deleteApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if refused, err := p.refuseDeleteApplication(w, r, v); refused || err != nil {
		return err
	}
	pg, err := p.newDeleteApplicationPage(r.Context(), v)
	if err != nil {
		return err
	}
	if sure, err := p.checkTypedName(w, r, pg, "application"); err != nil || !sure {
		return err
	}
	gone, err := v.DeleteApplication(r.Context(), v.App.ID, v.actorLabel())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.directoryVisit.url("applications"), console.DoneNotice(v.App.Name+" was deleted, with "+console.PluralForms(gone.Assigned, "assignment", "assignments")+"."))
}

func (p *Pages) showDirectorySettings(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderDirectorySettings(w, r, v, http.StatusOK, v.Directory.Name, nil, &domainForm{Domain: v.Directory.DefaultDomain})
}

func (p *Pages) renderDirectorySettings(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, name string, wrong *console.FieldError, domain *domainForm) error {
	c, err := v.Contents(r.Context())
	if err != nil {
		return err
	}
	pg := settingsPage{
		Page: v.page, ObjectKind: "directory", Name: name, MaxLength: 63, Error: wrong, FormURL: v.url("settings"), DeleteURL: v.url("delete"), StartValues: console.StartValueFields(nameFields(), map[string]string{"name": v.Directory.Name}),
		Hint:         "Small letters, digits and hyphens. Its users, applications and links stay. The addresses of its pages and its name on the command line change.",
		DeleteEffect: "Deleting removes " + console.PluralForms(c.Users, "user", "users") + " and " + console.PluralForms(c.Applications, "enterprise application", "enterprise applications") + " with their provisioning. " + console.PluralForms(c.Linked, "linked account", "linked accounts") + " at the applications stay as they are.",
	}
	if wrong != nil {
		pg.StartValues = console.RepeatStartValueFields(r.PostForm, nameFields())
	}
	pg.StartValues = append(pg.StartValues, console.HiddenField{Name: "id", Value: string(v.Directory.ID)})
	pg.DomainForm, domain.FormURL = domain, v.url("settings/domain")
	domain.StartValues = console.StartValueFields(domainFields(), map[string]string{"domain": v.Directory.DefaultDomain})
	if domain.Error != nil {
		domain.StartValues = console.RepeatStartValueFields(r.PostForm, domainFields())
	}
	pg.Title, pg.Crumbs = "Rename or delete", v.crumbs()
	return p.show(w, r, status, "settings", pg)
}

func (p *Pages) renameDirectory(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	name, asked, err := p.mergeName(w, r, v.page, v.Directory.Name, v.url("settings"))
	if err != nil || asked {
		return err
	}
	d, err := p.Directories.Rename(r.Context(), v.Directory, name, v.actorLabel())
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return p.renderDirectorySettings(w, r, v, http.StatusUnprocessableEntity, r.PostForm.Get("name"), wrong, &domainForm{Domain: v.Directory.DefaultDomain})
	}
	if err != nil {
		return err
	}
	h := directoryVisit{operatorVisit: v.operatorVisit, Handle: p.Directories.Open(d)}
	return p.Console.Redirect(w, r, h.url("settings"), renamedNotice(v.Directory.Name, d.Name))
}

func (p *Pages) newDeleteDirectoryPage(ctx context.Context, v *directoryVisit) (console.ConfirmPage, error) {
	c, err := v.Contents(ctx)
	if err != nil {
		return console.ConfirmPage{}, err
	}
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("delete"), Button: "Delete " + v.Directory.Name, IsDangerous: true, CancelURL: v.url("settings"), NameToType: v.Directory.Name,
		Consequences: []string{
			console.PluralForms(c.Users, "user is", "users are") + " removed, soft-deleted ones too.",
			console.PluralForms(c.Applications, "enterprise application is", "enterprise applications are") + " removed, with " + console.PluralForms(c.Assigned, "assignment", "assignments") + " and their provisioning.",
			console.PluralForms(c.Linked, "linked account", "linked accounts") + " at the applications stay as they are. Nobody is switched off there, now or later.",
		},
		Undo: "This cannot be undone. Export the users first if you may need them again.",
	}
	pg.Title, pg.Narrow, pg.Crumbs = "Delete directory "+v.Directory.Name+"?", true, v.crumbs()
	return pg, nil
}

// refuseDeleteDirectory redirects to the settings, with the reason, if only the command line may
// delete the directory.
func (p *Pages) refuseDeleteDirectory(w http.ResponseWriter, r *http.Request, v *directoryVisit) (refused bool, err error) {
	err = p.Jobs.CheckDeleteAll(r.Context(), provision.SourceID(v.Directory.ID), v.actorLabel())
	var input *provision.InputError
	if errors.As(err, &input) {
		return true, p.Console.Redirect(w, r, v.url("settings"), console.Notice{Tone: console.ToneWarning, Title: "Nothing was deleted.", Text: console.AsSentence(input.Field + " " + input.Text)})
	}
	return false, err
}

func (p *Pages) askDeleteDirectory(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if refused, err := p.refuseDeleteDirectory(w, r, v); refused || err != nil {
		return err
	}
	pg, err := p.newDeleteDirectoryPage(r.Context(), v)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) deleteDirectory(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if refused, err := p.refuseDeleteDirectory(w, r, v); refused || err != nil {
		return err
	}
	pg, err := p.newDeleteDirectoryPage(r.Context(), v)
	if err != nil {
		return err
	}
	if sure, err := p.checkTypedName(w, r, pg, "directory"); err != nil || !sure {
		return err
	}
	gone, err := p.Directories.Delete(r.Context(), v.Directory, v.actorLabel())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, "/d/", console.DoneNotice("Directory "+v.Directory.Name+" was deleted, with "+console.PluralForms(gone.Users, "user", "users")+"."))
}

// sitesURL is the address of the list of sites.
const sitesURL = "/d/-/sites"

// sitesPage is the data of the view "sites", which lists the sites of the installation for
// operators.
type sitesPage struct {
	console.Page
	Rows             []siteRow
	Empty            console.EmptyState
	Name             string // the name that was typed into the form
	IsFullChosen     bool   // whether the profile Full is chosen
	Error            *console.FieldError
	FirstLink        *console.CopyValue // the one-time link for the first administrator; set only in the response that creates the site
	FirstLinkSite    string
	FirstLinkExpires time.Time
}

// siteRow shows one site in the list.
type siteRow struct {
	Site         site.Site
	URL          string // address of the site's own pages, which have their own sign-in
	SettingsURL  string
	PeopleCounts roster.Counts
	SCIMBadge    console.Badge
}

func siteSettingsURL(s site.Site) string { return sitesURL + "/" + url.PathEscape(s.Name) }

func (p *Pages) showSites(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	pg, err := p.buildSitesPage(r.Context(), v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "sites", pg)
}

func (p *Pages) buildSitesPage(ctx context.Context, v *operatorVisit) (sitesPage, error) {
	all, err := p.Sites.List(ctx)
	if err != nil {
		return sitesPage{}, err
	}
	pg := sitesPage{Page: v.page, Empty: console.EmptyState{Icon: "users", Title: "No site yet", Text: "A site is one customer’s tenant of the application: its people, and the SCIM endpoint that keeps them."}}
	pg.Title, pg.Menu = "Sites", installationMenu(sitesURL)
	pg.Lead = "Each site has people, administrators and a SCIM endpoint of its own. Its pages have a sign-in of their own."
	for _, s := range all {
		row := siteRow{Site: s, URL: "/c/" + url.PathEscape(s.Name) + "/", SettingsURL: siteSettingsURL(s), SCIMBadge: console.Badge{Tone: console.ToneQuiet, Text: "Off"}}
		if s.SCIMEnabled {
			row.SCIMBadge = console.Badge{Tone: console.ToneGood, Text: "On"}
		}
		if row.PeopleCounts, err = p.Rosters.Open(s).Counts(ctx); err != nil {
			return pg, err
		}
		pg.Rows = append(pg.Rows, row)
	}
	return pg, nil
}

// createSite creates a site. It responds with a page and not with a redirect, because the page
// shows the one-time link for the first administrator, which is a secret.
func (p *Pages) createSite(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	name, profile := strings.TrimSpace(r.PostForm.Get("name")), site.Profile(r.PostForm.Get("profile"))
	s, err := p.Sites.Create(r.Context(), name, profile, v.actorLabel())
	wrong := console.InputError(err, console.InputIDs{"name": "site-name"})
	if err != nil && wrong == nil {
		return err
	}
	var link signin.Link
	if wrong == nil {
		if link, err = p.SignIns.IssueFirstAdminLink(r.Context(), s, "", v.actorLabel()); err != nil {
			return err
		}
	}
	pg, err := p.buildSitesPage(r.Context(), v)
	if err != nil {
		return err
	}
	if wrong != nil {
		pg.Name, pg.IsFullChosen, pg.Error = name, profile == site.Full, wrong
		return p.show(w, r, http.StatusUnprocessableEntity, "sites", pg)
	}
	pg.Notice = &console.Notice{Tone: console.ToneGood, Text: "Site " + s.Name + " was created."}
	pg.FirstLink = &console.CopyValue{ID: "first-link", Label: "One-time link", Value: p.Console.Options.PublicURL + link.Path, Hint: "Whoever opens it first becomes the administrator. It is shown once."}
	pg.FirstLinkSite, pg.FirstLinkExpires = s.Name, link.Expires
	return p.show(w, r, http.StatusOK, "sites", pg)
}

// withSite returns a handler that finds the site whose id the form contains, or else the site that
// the path names, and passes it to handle.
func (p *Pages) withSite(handle func(http.ResponseWriter, *http.Request, *operatorVisit, site.Site) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
		s, err := p.Sites.ByName(r.Context(), r.PathValue("site"))
		if id := objectIDInForm(r); id != "" { // the site may have been renamed since the form was opened
			s, err = p.Sites.Get(r.Context(), site.ID(id))
		}
		if errors.Is(err, refusal.NotFound) {
			return &console.PageError{Status: http.StatusNotFound, Title: "There is no such site", Text: "It may have been renamed or deleted.", Action: &console.Action{Text: "Sites", URL: sitesURL}}
		}
		if err != nil {
			return err
		}
		v.page.Menu = installationMenu(sitesURL)
		v.page.Crumbs = []console.Crumb{{Text: "Sites", URL: sitesURL}}
		return handle(w, r, v, s)
	}
}

func (p *Pages) showSiteSettings(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site) error {
	return p.renderSiteSettings(w, r, v, s, http.StatusOK, s.Name, nil)
}

func (p *Pages) renderSiteSettings(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site, status int, name string, wrong *console.FieldError) error {
	c, err := p.Rosters.Open(s).Counts(r.Context())
	if err != nil {
		return err
	}
	pg := settingsPage{
		Page: v.page, ObjectKind: "site", Name: name, MaxLength: 63, Error: wrong, FormURL: siteSettingsURL(s), DeleteURL: siteSettingsURL(s) + "/delete", StartValues: console.StartValueFields(nameFields(), map[string]string{"name": s.Name}),
		Hint:         "Small letters, digits and hyphens. The Tenant URL changes: each identity provider is refused until it has the new one. Everyone is signed out. People and tokens stay.",
		DeleteEffect: "Deleting removes " + console.PeopleCount(c.All) + ", their groups, the tokens and the request log.",
	}
	if wrong != nil {
		pg.StartValues = console.RepeatStartValueFields(r.PostForm, nameFields())
	}
	pg.StartValues = append(pg.StartValues, console.HiddenField{Name: "id", Value: string(s.ID)})
	pg.Title = "Rename or delete " + s.Name
	return p.show(w, r, status, "settings", pg)
}

func (p *Pages) renameSite(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site) error {
	name, asked, err := p.mergeName(w, r, v.page, s.Name, siteSettingsURL(s))
	if err != nil || asked {
		return err
	}
	if name != s.Name {
		if sure, err := p.confirmSiteRename(w, r, v, s, name); err != nil || !sure {
			return err
		}
	}
	after, err := p.Sites.Rename(r.Context(), s.ID, name, v.actorLabel())
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return p.renderSiteSettings(w, r, v, s, http.StatusUnprocessableEntity, r.PostForm.Get("name"), wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, siteSettingsURL(after), renamedNotice(s.Name, after.Name))
}

// confirmSiteRename reports whether the operator typed the site's name to confirm the renaming. If
// not, it responds with the error of the new name, or with a page that says what renaming does.
func (p *Pages) confirmSiteRename(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site, name string) (bool, error) {
	err := site.CheckName(name)
	if err == nil {
		if _, err = p.Sites.ByName(r.Context(), name); err == nil {
			err = site.ErrNameTaken
		} else if errors.Is(err, refusal.NotFound) {
			err = nil
		}
	}
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return false, p.renderSiteSettings(w, r, v, s, http.StatusUnprocessableEntity, name, wrong)
	}
	if err != nil {
		return false, err
	}
	c, err := p.Rosters.Open(s).Counts(r.Context())
	if err != nil {
		return false, err
	}
	tokens, err := p.Sites.Tokens(r.Context(), s.ID)
	if err != nil {
		return false, err
	}
	live := 0
	for _, t := range tokens {
		if t.IsLive(p.Console.Options.Now()) {
			live++
		}
	}
	pg := console.ConfirmPage{
		Page: v.page, FormURL: siteSettingsURL(s), Button: "Rename " + s.Name, IsDangerous: true, CancelURL: siteSettingsURL(s), NameToType: s.Name,
		Consequences: []string{
			"The site has " + console.PeopleCount(c.All) + ", " + console.GroupDigits(c.Active) + " of them active. Whoever is signed in is signed out.",
			"The Tenant URL changes. The site has " + console.PluralForms(live, "token", "tokens") + " in use: each identity provider is refused from its next call on, until it has the new Tenant URL.",
			"People, tokens and the request log stay.",
		},
		Undo:   "Renaming it back brings the old addresses back, while no other site has the name.",
		Fields: []console.HiddenField{{Name: console.StartValuePrefix + "name", Value: s.Name}, {Name: "name", Value: name}, {Name: "id", Value: string(s.ID)}},
	}
	pg.Title, pg.Narrow = "Rename site "+s.Name+" to "+name+"?", true
	pg.Crumbs = append(pg.Crumbs, console.Crumb{Text: s.Name, URL: siteSettingsURL(s)})
	typed := strings.TrimSpace(r.PostForm.Get("confirm"))
	switch {
	case typed == s.Name:
		return true, nil
	case r.PostForm.Has("confirm"):
		pg.Error = &console.FieldError{For: "confirm", Text: "That is not the name of this site. Nothing was changed."}
		return false, p.Console.View(w, r, http.StatusUnprocessableEntity, "confirm", pg)
	}
	return false, p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) newDeleteSitePage(ctx context.Context, v *operatorVisit, s site.Site) (console.ConfirmPage, error) {
	c, err := p.Rosters.Open(s).Counts(ctx)
	if err != nil {
		return console.ConfirmPage{}, err
	}
	pg := console.ConfirmPage{
		Page: v.page, FormURL: siteSettingsURL(s) + "/delete", Button: "Delete " + s.Name, IsDangerous: true, CancelURL: siteSettingsURL(s), NameToType: s.Name,
		Consequences: []string{
			console.PeopleCount(c.All) + " with their groups and roles, " + console.GroupDigits(c.Active) + " of them active, are removed and signed out.",
			"The tokens and the request log are removed. Identity providers are refused from their next call on.",
		},
		Undo: "This cannot be undone.",
	}
	pg.Title, pg.Narrow = "Delete site "+s.Name+"?", true
	pg.Crumbs = append(pg.Crumbs, console.Crumb{Text: s.Name, URL: siteSettingsURL(s)})
	return pg, nil
}

func (p *Pages) askDeleteSite(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site) error {
	pg, err := p.newDeleteSitePage(r.Context(), v, s)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) deleteSite(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site) error {
	pg, err := p.newDeleteSitePage(r.Context(), v, s)
	if err != nil {
		return err
	}
	if sure, err := p.checkTypedName(w, r, pg, "site"); err != nil || !sure {
		return err
	}
	if err := p.Sites.Delete(r.Context(), s.ID, s.Name, v.actorLabel()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, sitesURL, console.DoneNotice("Site "+s.Name+" was deleted."))
}
