package directorypages

import (
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
)

// applicationsPage is the data of the view "applications", the list of enterprise applications.
type applicationsPage struct {
	console.Page
	Rows    []applicationRow
	Empty   console.EmptyState
	FormURL string // address to which the form for a new application is sent
	Name    string // the name that was typed into the form
	Error   *console.FieldError
}

// applicationRow shows one application in the list.
type applicationRow struct {
	Name, URL         string
	UserCount         int
	ProvisioningBadge console.Badge
	CreatedAt         time.Time
}

func (p *Pages) showApplications(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderApplications(w, r, v, http.StatusOK, "", nil)
}

func (p *Pages) renderApplications(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, name string, wrong *console.FieldError) error {
	all, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	pg := applicationsPage{Page: v.page, FormURL: v.url("applications"), Name: name, Error: wrong, Empty: console.EmptyState{
		Icon: "app-window", Title: "No enterprise application yet", Text: "An enterprise application stands for a product outside. Who is assigned to it gets their account there kept in step.",
	}}
	pg.Title = "Enterprise applications"
	pg.Lead = "Products that people of " + v.Directory.Name + " use, and whose accounts are kept in step from here."
	pg.Crumbs = v.crumbs()
	for _, a := range all {
		row := applicationRow{Name: a.Name, URL: v.appURL(a), CreatedAt: a.Created}
		if row.UserCount, err = v.CountAssignments(r.Context(), a.ID); err != nil {
			return err
		}
		if row.ProvisioningBadge, err = p.provisioningBadge(r.Context(), v.Directory.ID, a); err != nil {
			return err
		}
		pg.Rows = append(pg.Rows, row)
	}
	return p.show(w, r, status, "applications", pg)
}

func (p *Pages) createApplication(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	name := strings.TrimSpace(r.PostFormValue("name"))
	a, err := v.CreateApplication(r.Context(), name, v.actorLabel())
	if wrong := console.InputError(err, console.InputIDs{"name": "application-name"}); wrong != nil {
		return p.renderApplications(w, r, v, http.StatusUnprocessableEntity, name, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.appURL(a), console.DoneNotice(a.Name+" was created. Assign people to it, then set up its provisioning."))
}

// applicationPage is the data of the view "application", the overview of an application.
type applicationPage struct {
	console.Page
	App            directory.Application
	UserCount      int
	GroupCount     int
	RoleCount      int    // number of the application's roles besides Default Access
	AssignmentsURL string // address of the page "Users and groups"
	RolesURL       string
	SignOnURL      string
	Provisioning   provisioningSummary
}

// provisioningSummary says in a few words how the provisioning of an application works at present.
type provisioningSummary struct {
	URL        string
	Badge      console.Badge
	Text       string
	NextAction console.Action
}

func (p *Pages) showApplication(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	n, err := v.CountAssignments(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg := applicationPage{Page: v.page, App: v.App, UserCount: n, AssignmentsURL: v.url("/users-and-groups"), RolesURL: v.url("/roles"), SignOnURL: v.url("/single-sign-on")}
	if pg.GroupCount, err = v.CountGroups(r.Context(), directory.GroupQuery{AssignedTo: v.App.ID}); err != nil {
		return err
	}
	roles, err := v.Roles(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg.RoleCount = len(roles)
	if pg.Provisioning, err = p.summarizeProvisioning(r.Context(), v); err != nil {
		return err
	}
	pg.Title = v.App.Name
	pg.Lead = "Enterprise application of " + v.Directory.Name + "."
	pg.Crumbs = v.crumbs()
	return p.show(w, r, http.StatusOK, "application", pg)
}
