package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
)

// applicationsPage is the view "directory_applications".
type applicationsPage struct {
	Page
	Rows   []applicationRow
	Empty  EmptyState
	Action string
	Name   string // as typed
	Error  *FieldError
}

type applicationRow struct {
	Name, URL    string
	Users        int
	Provisioning Badge
	Created      time.Time
}

func (p *DirectoryPages) showApplications(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewApplications(w, r, v, http.StatusOK, "", nil)
}

func (p *DirectoryPages) viewApplications(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, name string, wrong *FieldError) error {
	all, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	pg := applicationsPage{Page: v.page, Action: v.url("applications"), Name: name, Error: wrong, Empty: EmptyState{
		Icon: "app-window", Title: "No enterprise application yet", Text: "An enterprise application stands for a product outside. Who is assigned to it gets their account there kept in step.",
	}}
	pg.Title = "Enterprise applications"
	pg.Lead = "Products that people of " + v.Directory.Name + " use, and whose accounts are kept in step from here."
	pg.Crumbs = v.crumbs()
	for _, a := range all {
		row := applicationRow{Name: a.Name, URL: v.appURL(a), Created: a.Created}
		if row.Users, err = v.CountAssignments(r.Context(), a.ID); err != nil {
			return err
		}
		if row.Provisioning, err = p.provisioningBadge(r.Context(), v.Directory.ID, a); err != nil {
			return err
		}
		pg.Rows = append(pg.Rows, row)
	}
	return p.Console.View(w, r, status, "directory_applications", pg)
}

func (p *DirectoryPages) createApplication(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	name := strings.TrimSpace(r.PostFormValue("name"))
	a, err := v.CreateApplication(r.Context(), name, v.actor())
	if wrong := InputError(err, InputIDs{"name": "application-name"}); wrong != nil {
		return p.viewApplications(w, r, v, http.StatusUnprocessableEntity, name, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.appURL(a), DoneNotice(a.Name+" was created. Assign people to it, then set up its provisioning."))
}

// applicationPage is the view "directory_application": an application's overview.
type applicationPage struct {
	Page
	App          directory.Application
	Users        int
	Assign       string
	Provisioning provisioningSummary
}

// provisioningSummary is how an application's provisioning is going, in a few words.
type provisioningSummary struct {
	URL   string
	Badge Badge
	Text  string
	Next  Action
}

func (p *DirectoryPages) showApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	n, err := v.CountAssignments(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg := applicationPage{Page: v.page, App: v.App, Users: n, Assign: v.url("/users-and-groups")}
	if pg.Provisioning, err = p.provisioningSummary(r.Context(), v); err != nil {
		return err
	}
	pg.Title = v.App.Name
	pg.Lead = "Enterprise application of " + v.Directory.Name + "."
	pg.Crumbs = v.crumbs()
	return p.Console.View(w, r, http.StatusOK, "directory_application", pg)
}
