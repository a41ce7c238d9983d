package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// jobsPerPage is the number of applications on a page of the list of jobs.
const jobsPerPage = 50

// needsAttention is a value of the query parameter "show". With it, the page lists only the jobs that
// a person has to look at.
const needsAttention = "attention"

// jobsPage is the data of the view "jobs": the provisioning of all applications of a directory.
type jobsPage struct {
	console.Page
	Tabs  []console.Tab // all jobs, or those that need attention
	Rows  []jobRow
	Empty console.EmptyState
	Pager console.Pager
}

// jobRow is the provisioning of one application.
type jobRow struct {
	Name, URL  string
	Badge      console.Badge
	StatusText string // what the job does, and the result of its last cycle
	Concerns   []concernRow
	provision.Report
}

// concernRow is something that a person has to look at, with the page where that is possible.
type concernRow struct {
	provision.Concern
	URL string
}

// showJobs lists the provisioning of all applications of the directory.
func (p *Pages) showJobs(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	form := r.URL.Query()
	onlySome, after := form.Get("show") == needsAttention, form.Get("after")
	apps, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	isEmpty := len(apps) == 0
	if after != "" {
		last := directory.Application{Name: after}.FoldedName()
		apps = slices.DeleteFunc(apps, func(a directory.Application) bool { return a.FoldedName() <= last })
	}
	pg := jobsPage{Page: v.page}
	for _, a := range apps {
		row, err := p.jobRow(r, v, a)
		if err != nil {
			return err
		}
		if onlySome && row.Concerns == nil {
			continue
		}
		if len(pg.Rows) == jobsPerPage {
			pg.Pager.NextURL = v.jobsURL(onlySome, pg.Rows[jobsPerPage-1].Name)
			break
		}
		pg.Rows = append(pg.Rows, row)
	}
	if after != "" {
		pg.Pager.FirstURL = v.jobsURL(onlySome, "")
	}
	pg.Tabs = []console.Tab{
		{Text: "All", URL: v.jobsURL(false, ""), Selected: !onlySome},
		{Text: "Needs attention", URL: v.jobsURL(true, ""), Selected: onlySome},
	}
	switch {
	case isEmpty:
		pg.Empty = console.EmptyState{Icon: "app-window", Title: "No enterprise application yet", Text: "Add an application first. Its provisioning is then listed here.", Action: &console.Action{Text: "Enterprise applications", URL: v.url("applications")}}
	case onlySome:
		pg.Empty = console.EmptyState{Icon: "circle-check", Title: "Nothing needs attention", Text: "No job is in quarantine, nothing is on hold, nobody failed, and no account waits for too long to be closed."}
	}
	pg.Title = "Provisioning"
	pg.Lead = "How the provisioning of each application goes, and what waits for a person."
	pg.Crumbs = v.crumbs()
	return p.show(w, r, http.StatusOK, "jobs", pg)
}

// jobsURL returns the address of the list of jobs. after is the name of the application after which
// the page begins; "" means the first page.
func (v *directoryVisit) jobsURL(onlySome bool, after string) string {
	query := url.Values{}
	if onlySome {
		query.Set("show", needsAttention)
	}
	if after != "" {
		query.Set("after", after)
	}
	if len(query) == 0 {
		return v.url("provisioning")
	}
	return v.url("provisioning") + "?" + query.Encode()
}

// jobRow returns the row of an application in the list of jobs.
func (p *Pages) jobRow(r *http.Request, v *directoryVisit, a directory.Application) (jobRow, error) {
	row := jobRow{Name: a.Name, URL: v.appURL(a) + "/provisioning", Badge: jobBadge(provision.NotConfigured), StatusText: "Nothing is sent."}
	report, err := p.Jobs.Report(r.Context(), provision.Key{Directory: provision.SourceID(v.Directory.ID), App: a.ID})
	if errors.Is(err, provision.ErrNoJob) {
		return row, nil
	}
	if err != nil {
		return row, err
	}
	row.Report, row.Badge, row.StatusText = report, jobBadge(report.Code), p.statusLine(report)
	for _, c := range report.Concerns() {
		at := concernRow{Concern: c, URL: row.URL}
		switch c.Kind {
		case provision.WaitsOnHold:
			at.URL += "/held"
		case provision.SomeFail:
			at.URL += "/logs?" + url.Values{"status": {string(provision.Failure)}}.Encode()
		}
		row.Concerns = append(row.Concerns, at)
	}
	return row, nil
}
