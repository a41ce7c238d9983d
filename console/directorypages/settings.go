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

// settingsPage is the data of the view "settings". On it an operator renames or deletes a
// directory, an application or a site.
type settingsPage struct {
	console.Page
	What   string // the kind of the object, such as "application"
	Name   string // the name that was typed into the form
	Most   int    // maximum length of a name in characters
	Action string
	Was    []console.HiddenField
	Hint   string
	Error  *console.FieldError
	Delete string
	Gone   string      // a sentence that says what deleting removes
	Domain *domainForm // only on the page of a directory; nil otherwise
}

// formID returns the id of the object that a form renames; "" for other requests. The id is needed
// because another object may have the name in the path by now.
func formID(r *http.Request) string {
	if r.Method != http.MethodPost || r.ParseForm() != nil || !utf8.ValidString(r.PostForm.Get("id")) || strings.ContainsRune(r.PostForm.Get("id"), 0) {
		return ""
	}
	return r.PostForm.Get("id")
}

// renamedDirectory opens the directory by the id in the form. So the form still works if someone
// has renamed the directory since.
func (p *Pages) renamedDirectory(handle func(http.ResponseWriter, *http.Request, *directoryVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	named := p.inDirectory(handle)
	return func(w http.ResponseWriter, r *http.Request, o *operatorVisit) error {
		id := formID(r)
		if id == "" {
			return named(w, r, o)
		}
		h, err := p.Directories.OpenID(r.Context(), directory.ID(id))
		if err != nil {
			return err
		}
		r.SetPathValue("directory", h.Directory.Name)
		return named(w, r, o)
	}
}

// nameField returns the only field of the page.
func nameField() []console.EditField { return []console.EditField{{Name: "name", Label: "Name"}} }

// newName merges the form with the current name. asked is true if newName has already written the
// response: a page that asks which of two names to keep.
func (p *Pages) newName(w http.ResponseWriter, r *http.Request, frame console.Page, now, action string) (name string, asked bool, err error) {
	if err := r.ParseForm(); err != nil {
		return "", false, err
	}
	m, err := console.MergeEdit(r.PostForm, nameField(), map[string]string{"name": now})
	if err != nil || len(m.Conflicts) == 0 {
		return m.Values["name"], false, err
	}
	was := r.PostForm.Get(console.WasPrefix + "name")
	frame.Notice = &console.Notice{Tone: console.ToneWarning, Text: was + " was renamed to " + now + " meanwhile."}
	return "", true, p.Console.AskEdit(w, r, frame, m, action, action, nil, console.HiddenField{Name: "id", Value: r.PostForm.Get("id")})
}

// nameTyped reports whether the operator typed the name to confirm. If not, it responds with the
// confirmation page again.
func (p *Pages) nameTyped(w http.ResponseWriter, r *http.Request, ask console.ConfirmPage, what string) (bool, error) {
	if err := r.ParseForm(); err != nil {
		return false, err
	}
	if strings.TrimSpace(r.PostForm.Get("confirm")) == ask.TypeName {
		return true, nil
	}
	ask.Error = &console.FieldError{For: "confirm", Text: "That is not the name of this " + what + ". Nothing was deleted."}
	return false, p.Console.View(w, r, http.StatusUnprocessableEntity, "confirm", ask)
}

// Applications

func (p *Pages) showApplicationSettings(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewApplicationSettings(w, r, v, http.StatusOK, v.App.Name, nil)
}

func (p *Pages) viewApplicationSettings(w http.ResponseWriter, r *http.Request, v *appVisit, status int, name string, wrong *console.FieldError) error {
	c, err := v.ApplicationContents(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg := settingsPage{
		Page: v.page, What: "application", Name: name, Most: 100, Error: wrong, Delete: v.url("/delete"),
		// The address contains the id, so the form still works if someone else renames the
		// application.
		Action: v.directoryVisit.url("applications/" + url.PathEscape(v.App.ID) + "/settings"), Was: console.WasFields(nameField(), map[string]string{"name": v.App.Name}),
		Hint: "Its assignments, mappings and links stay. The addresses of its pages change.",
		Gone: "Deleting removes " + console.PluralForms(c.Assigned, "assignment", "assignments") + " and the provisioning with its logs. " + console.PluralForms(c.Linked, "linked account", "linked accounts") + " at the application stay as they are.",
	}
	if wrong != nil {
		pg.Was = console.RepeatWasFields(r.PostForm, nameField())
	}
	pg.Title = "Rename or delete"
	pg.Crumbs = v.crumbs(console.Crumb{})
	return p.show(w, r, status, "settings", pg)
}

func (p *Pages) renameApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	name, asked, err := p.newName(w, r, v.page, v.App.Name, v.directoryVisit.url("applications/"+url.PathEscape(v.App.ID)+"/settings"))
	if err != nil || asked {
		return err
	}
	a, err := v.RenameApplication(r.Context(), v.App.ID, name, v.actor())
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return p.viewApplicationSettings(w, r, v, http.StatusUnprocessableEntity, r.PostForm.Get("name"), wrong)
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

func (p *Pages) deleteApplicationPage(ctx context.Context, v *appVisit) (console.ConfirmPage, error) {
	c, err := v.ApplicationContents(ctx, v.App.ID)
	if err != nil {
		return console.ConfirmPage{}, err
	}
	pg := console.ConfirmPage{
		Page: v.page, Action: v.url("/delete"), Button: "Delete " + v.App.Name, Danger: true, Cancel: v.url(""), TypeName: v.App.Name,
		Consequences: []string{
			console.PluralForms(c.Assigned, "assignment is", "assignments are") + " removed.",
			"The provisioning is removed: credentials, mappings, logs, and the links between users and accounts.",
			console.PluralForms(c.Linked, "linked account", "linked accounts") + " at " + v.App.Name + " stay as they are. Nobody is switched off there, now or later.",
		},
		Undo: "This cannot be undone. To cut people off first, remove them under Users and groups and wait for a cycle.",
	}
	job, err := p.Jobs.Get(ctx, v.key())
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

func (p *Pages) askDeleteApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	pg, err := p.deleteApplicationPage(r.Context(), v)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) deleteApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	pg, err := p.deleteApplicationPage(r.Context(), v)
	if err != nil {
		return err
	}
	if sure, err := p.nameTyped(w, r, pg, "application"); err != nil || !sure {
		return err
	}
	gone, err := v.DeleteApplication(r.Context(), v.App.ID, v.actor())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.directoryVisit.url("applications"), console.DoneNotice(v.App.Name+" was deleted, with "+console.PluralForms(gone.Assigned, "assignment", "assignments")+"."))
}

// Directories

func (p *Pages) showDirectorySettings(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewDirectorySettings(w, r, v, http.StatusOK, v.Directory.Name, nil, &domainForm{Value: v.Directory.DefaultDomain})
}

func (p *Pages) viewDirectorySettings(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, name string, wrong *console.FieldError, domain *domainForm) error {
	c, err := v.Contents(r.Context())
	if err != nil {
		return err
	}
	pg := settingsPage{
		Page: v.page, What: "directory", Name: name, Most: 63, Error: wrong, Action: v.url("settings"), Delete: v.url("delete"), Was: console.WasFields(nameField(), map[string]string{"name": v.Directory.Name}),
		Hint: "Small letters, digits and hyphens. Its users, applications and links stay. The addresses of its pages and its name on the command line change.",
		Gone: "Deleting removes " + console.PluralForms(c.Users, "user", "users") + " and " + console.PluralForms(c.Applications, "enterprise application", "enterprise applications") + " with their provisioning. " + console.PluralForms(c.Linked, "linked account", "linked accounts") + " at the applications stay as they are.",
	}
	if wrong != nil {
		pg.Was = console.RepeatWasFields(r.PostForm, nameField())
	}
	pg.Was = append(pg.Was, console.HiddenField{Name: "id", Value: string(v.Directory.ID)})
	pg.Domain, domain.Action = domain, v.url("settings/domain")
	domain.Was = console.WasFields(domainField(), map[string]string{"domain": v.Directory.DefaultDomain})
	if domain.Error != nil {
		domain.Was = console.RepeatWasFields(r.PostForm, domainField())
	}
	pg.Title, pg.Crumbs = "Rename or delete", v.crumbs()
	return p.show(w, r, status, "settings", pg)
}

func (p *Pages) renameDirectory(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	name, asked, err := p.newName(w, r, v.page, v.Directory.Name, v.url("settings"))
	if err != nil || asked {
		return err
	}
	d, err := p.Directories.Rename(r.Context(), v.Directory, name, v.actor())
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return p.viewDirectorySettings(w, r, v, http.StatusUnprocessableEntity, r.PostForm.Get("name"), wrong, &domainForm{Value: v.Directory.DefaultDomain})
	}
	if err != nil {
		return err
	}
	h := directoryVisit{operatorVisit: v.operatorVisit, Handle: p.Directories.Open(d)}
	return p.Console.Redirect(w, r, h.url("settings"), renamedNotice(v.Directory.Name, d.Name))
}

func (p *Pages) deleteDirectoryPage(ctx context.Context, v *directoryVisit) (console.ConfirmPage, error) {
	c, err := v.Contents(ctx)
	if err != nil {
		return console.ConfirmPage{}, err
	}
	pg := console.ConfirmPage{
		Page: v.page, Action: v.url("delete"), Button: "Delete " + v.Directory.Name, Danger: true, Cancel: v.url("settings"), TypeName: v.Directory.Name,
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

func (p *Pages) askDeleteDirectory(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	pg, err := p.deleteDirectoryPage(r.Context(), v)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) deleteDirectory(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	pg, err := p.deleteDirectoryPage(r.Context(), v)
	if err != nil {
		return err
	}
	if sure, err := p.nameTyped(w, r, pg, "directory"); err != nil || !sure {
		return err
	}
	gone, err := p.Directories.Delete(r.Context(), v.Directory, v.actor())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, "/d/", console.DoneNotice("Directory "+v.Directory.Name+" was deleted, with "+console.PluralForms(gone.Users, "user", "users")+"."))
}

// Sites

const sitesURL = "/d/-/sites"

// sitesPage is the data of the view "sites", which lists the sites of the installation for
// operators.
type sitesPage struct {
	console.Page
	Rows    []operatorSite
	Empty   console.EmptyState
	Name    string // the name that was typed into the form
	Full    bool   // whether the profile Full is chosen
	Error   *console.FieldError
	Made    *console.CopyValue // the first administrator's sign-in link; only in the response to the creation
	MadeOn  string
	Expires time.Time
}

type operatorSite struct {
	Site     site.Site
	URL      string // the site's pages, which have their own sign-in
	Settings string
	People   roster.Counts
	SCIM     console.Badge
}

func siteSettingsURL(s site.Site) string { return sitesURL + "/" + url.PathEscape(s.Name) }

func (p *Pages) showSites(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	pg, err := p.sitesPage(r.Context(), v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "sites", pg)
}

func (p *Pages) sitesPage(ctx context.Context, v *operatorVisit) (sitesPage, error) {
	all, err := p.Sites.List(ctx)
	if err != nil {
		return sitesPage{}, err
	}
	pg := sitesPage{Page: v.page, Empty: console.EmptyState{Icon: "users", Title: "No site yet", Text: "A site is one customer’s tenant of the application: its people, and the SCIM endpoint that keeps them."}}
	pg.Title, pg.Menu = "Sites", installationMenu(sitesURL)
	pg.Lead = "Each site has people, administrators and a SCIM endpoint of its own. Its pages have a sign-in of their own."
	for _, s := range all {
		row := operatorSite{Site: s, URL: "/c/" + url.PathEscape(s.Name) + "/", Settings: siteSettingsURL(s), SCIM: console.Badge{Tone: console.ToneQuiet, Text: "Off"}}
		if s.SCIMEnabled {
			row.SCIM = console.Badge{Tone: console.ToneGood, Text: "On"}
		}
		if row.People, err = p.Rosters.Open(s).Counts(ctx); err != nil {
			return pg, err
		}
		pg.Rows = append(pg.Rows, row)
	}
	return pg, nil
}

// createSite responds with a page instead of a redirect, because the page shows the first
// administrator's link, which is a secret.
func (p *Pages) createSite(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	name, profile := strings.TrimSpace(r.PostForm.Get("name")), site.Profile(r.PostForm.Get("profile"))
	s, err := p.Sites.Create(r.Context(), name, profile, v.actor())
	wrong := console.InputError(err, console.InputIDs{"name": "site-name"})
	if err != nil && wrong == nil {
		return err
	}
	var link signin.Link
	if wrong == nil {
		if link, err = p.SignIns.IssueFirstAdminLink(r.Context(), s, "", v.actor()); err != nil {
			return err
		}
	}
	pg, err := p.sitesPage(r.Context(), v)
	if err != nil {
		return err
	}
	if wrong != nil {
		pg.Name, pg.Full, pg.Error = name, profile == site.Full, wrong
		return p.show(w, r, http.StatusUnprocessableEntity, "sites", pg)
	}
	pg.Notice = &console.Notice{Tone: console.ToneGood, Text: "Site " + s.Name + " was created."}
	pg.Made = &console.CopyValue{ID: "first-link", Label: "One-time link", Value: p.Console.Options.PublicURL + link.Path, Hint: "Whoever opens it first becomes the administrator. It is shown once."}
	pg.MadeOn, pg.Expires = s.Name, link.Expires
	return p.show(w, r, http.StatusOK, "sites", pg)
}

// ofSite finds the site whose id the form contains, or else the site that the path names, and calls
// handle.
func (p *Pages) ofSite(handle func(http.ResponseWriter, *http.Request, *operatorVisit, site.Site) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *operatorVisit) error {
		s, err := p.Sites.ByName(r.Context(), r.PathValue("site"))
		if id := formID(r); id != "" { // the site may have been renamed since the form was made
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
	return p.viewSiteSettings(w, r, v, s, http.StatusOK, s.Name, nil)
}

func (p *Pages) viewSiteSettings(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site, status int, name string, wrong *console.FieldError) error {
	c, err := p.Rosters.Open(s).Counts(r.Context())
	if err != nil {
		return err
	}
	pg := settingsPage{
		Page: v.page, What: "site", Name: name, Most: 63, Error: wrong, Action: siteSettingsURL(s), Delete: siteSettingsURL(s) + "/delete", Was: console.WasFields(nameField(), map[string]string{"name": s.Name}),
		Hint: "Small letters, digits and hyphens. The Tenant URL changes: each identity provider is refused until it has the new one. Everyone is signed out. People and tokens stay.",
		Gone: "Deleting removes " + console.PeopleCount(c.All) + ", their groups, the tokens and the request log.",
	}
	if wrong != nil {
		pg.Was = console.RepeatWasFields(r.PostForm, nameField())
	}
	pg.Was = append(pg.Was, console.HiddenField{Name: "id", Value: string(s.ID)})
	pg.Title = "Rename or delete " + s.Name
	return p.show(w, r, status, "settings", pg)
}

func (p *Pages) renameSite(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site) error {
	name, asked, err := p.newName(w, r, v.page, s.Name, siteSettingsURL(s))
	if err != nil || asked {
		return err
	}
	if name != s.Name {
		if sure, err := p.confirmRename(w, r, v, s, name); err != nil || !sure {
			return err
		}
	}
	after, err := p.Sites.Rename(r.Context(), s.ID, name, v.actor())
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return p.viewSiteSettings(w, r, v, s, http.StatusUnprocessableEntity, r.PostForm.Get("name"), wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, siteSettingsURL(after), renamedNotice(s.Name, after.Name))
}

// confirmRename reports whether the operator typed the site's name to confirm. If not, it has
// written the response: the error of the new name, or a page that says what renaming does.
func (p *Pages) confirmRename(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site, name string) (bool, error) {
	err := site.CheckName(name)
	if err == nil {
		if _, err = p.Sites.ByName(r.Context(), name); err == nil {
			err = site.ErrNameTaken
		} else if errors.Is(err, refusal.NotFound) {
			err = nil
		}
	}
	if wrong := console.InputError(err, console.InputIDs{"name": "name"}); wrong != nil {
		return false, p.viewSiteSettings(w, r, v, s, http.StatusUnprocessableEntity, name, wrong)
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
		Page: v.page, Action: siteSettingsURL(s), Button: "Rename " + s.Name, Danger: true, Cancel: siteSettingsURL(s), TypeName: s.Name,
		Consequences: []string{
			"The site has " + console.PeopleCount(c.All) + ", " + console.GroupDigits(c.Active) + " of them active. Whoever is signed in is signed out.",
			"The Tenant URL changes. The site has " + console.PluralForms(live, "token", "tokens") + " in use: each identity provider is refused from its next call on, until it has the new Tenant URL.",
			"People, tokens and the request log stay.",
		},
		Undo:   "Renaming it back brings the old addresses back, while no other site has the name.",
		Fields: []console.HiddenField{{Name: console.WasPrefix + "name", Value: s.Name}, {Name: "name", Value: name}, {Name: "id", Value: string(s.ID)}},
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

func (p *Pages) deleteSitePage(ctx context.Context, v *operatorVisit, s site.Site) (console.ConfirmPage, error) {
	c, err := p.Rosters.Open(s).Counts(ctx)
	if err != nil {
		return console.ConfirmPage{}, err
	}
	pg := console.ConfirmPage{
		Page: v.page, Action: siteSettingsURL(s) + "/delete", Button: "Delete " + s.Name, Danger: true, Cancel: siteSettingsURL(s), TypeName: s.Name,
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
	pg, err := p.deleteSitePage(r.Context(), v, s)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) deleteSite(w http.ResponseWriter, r *http.Request, v *operatorVisit, s site.Site) error {
	pg, err := p.deleteSitePage(r.Context(), v, s)
	if err != nil {
		return err
	}
	if sure, err := p.nameTyped(w, r, pg, "site"); err != nil || !sure {
		return err
	}
	if err := p.Sites.Delete(r.Context(), s.ID, s.Name, v.actor()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, sitesURL, console.DoneNotice("Site "+s.Name+" was deleted."))
}
