package directorypages

import (
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
)

// applicationsPage is the data of the view "applications".
type applicationsPage struct {
	console.Page
	Rows   []applicationRow
	Empty  console.EmptyState
	Action string
	Name   string // the name that was typed into the form
	Error  *console.FieldError
}

type applicationRow struct {
	Name, URL    string
	Users        int
	Provisioning console.Badge
	Created      time.Time
}

func (p *Pages) showApplications(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewApplications(w, r, v, http.StatusOK, "", nil)
}

func (p *Pages) viewApplications(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, name string, wrong *console.FieldError) error {
	all, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	pg := applicationsPage{Page: v.page, Action: v.url("applications"), Name: name, Error: wrong, Empty: console.EmptyState{
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
	return p.show(w, r, status, "applications", pg)
}

func (p *Pages) createApplication(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	name := strings.TrimSpace(r.PostFormValue("name"))
	a, err := v.CreateApplication(r.Context(), name, v.actor())
	if wrong := console.InputError(err, console.InputIDs{"name": "application-name"}); wrong != nil {
		return p.viewApplications(w, r, v, http.StatusUnprocessableEntity, name, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.appURL(a), console.DoneNotice(a.Name+" was created. Assign people to it, then set up its provisioning."))
}

// applicationPage is the data of the view "application": an application's overview.
type applicationPage struct {
	console.Page
	App          directory.Application
	Users        int
	Groups       int
	Roles        int    // the number of roles besides Default Access
	Assign       string // address of the assignments
	RolesURL     string
	SignOnURL    string
	Provisioning provisioningSummary
}

// provisioningSummary says in a few words how the provisioning of an application works at present.
type provisioningSummary struct {
	URL   string
	Badge console.Badge
	Text  string
	Next  console.Action
}

func (p *Pages) showApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	n, err := v.CountAssignments(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg := applicationPage{Page: v.page, App: v.App, Users: n, Assign: v.url("/users-and-groups"), RolesURL: v.url("/roles"), SignOnURL: v.url("/single-sign-on")}
	if pg.Groups, err = v.CountGroups(r.Context(), directory.GroupQuery{AssignedTo: v.App.ID}); err != nil {
		return err
	}
	roles, err := v.Roles(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg.Roles = len(roles)
	if pg.Provisioning, err = p.provisioningSummary(r.Context(), v); err != nil {
		return err
	}
	pg.Title = v.App.Name
	pg.Lead = "Enterprise application of " + v.Directory.Name + "."
	pg.Crumbs = v.crumbs()
	return p.show(w, r, http.StatusOK, "application", pg)
}
