package console

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// audit is the audit log of the site.
func (p *SitePages) audit(v *siteVisit) auditLog {
	return auditLog{
		console: p.Console, trail: p.Events, frame: v.page, scope: event.Site(string(v.Site.ID)),
		self: v.url("admin/audit"), file: v.Site.Name + "-audit-log", crumbs: v.crumbs(),
		kinds: []string{"user.", "group.", "resource.", "site.", "token.", "sign_in.", "page.", "export."},
		title: "Audit log",
		lead: "Every change of an account, a setting, a token or a sign-in link, with who did it and from where; also exports, refused links and refused pages. " +
			"No page and no command changes an entry; whoever can write to the database can.",
		link: v.eventURL,
	}
}

func (p *SitePages) showAudit(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.audit(v).show(w, r)
}

func (p *SitePages) exportAudit(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.audit(v).export(w, r)
}

// eventURL leads to the person whom an event is about, if they are still there.
func (v *siteVisit) eventURL(e event.Event) string {
	if strings.HasPrefix(e.Name, "user.") && e.Name != event.UserDeleted && e.Subject != "" {
		return v.personURL(e.Subject, "")
	}
	return ""
}

// eventRow is an event in the history of a person. A changed setting stands out; what SCIM does to people day by day does not.
func (v *siteVisit) eventRow(e event.Event) eventRow {
	row := eventRow{Time: e.Time, Text: e.Text, Actor: actorName(e.Actor), URL: v.eventURL(e)}
	row.Strong = strings.HasPrefix(e.Name, "site.") || strings.HasPrefix(e.Name, "token.")
	row.Plain = e.By.Kind == event.Token && !row.Strong
	return row
}
