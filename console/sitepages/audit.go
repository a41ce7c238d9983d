package sitepages

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
)

// siteAuditLog returns the audit log of the site, ready to be shown or exported.
func (p *Pages) siteAuditLog(v *siteVisit) console.AuditLog {
	return console.AuditLog{
		Console: p.Console, Trail: p.Events, Frame: v.page, Scope: event.Site(string(v.Site.ID)),
		Path: v.url("admin/audit"), FileName: v.Site.Name + "-audit-log", Crumbs: v.crumbs(),
		KindPrefixes: []string{"user.", "group.", "resource.", "site.", "token.", "sign_in.", "page.", "export."},
		Title:        "Audit log",
		Lead: "Every change of an account, a setting, a token or a sign-in link, who did it, and from where; also exports, refused links and refused pages. " +
			"No page and no command changes an entry; whoever can write to the database can.",
		SubjectURL: v.eventURL,
	}
}

func (p *Pages) showAudit(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.siteAuditLog(v).Show(w, r)
}

func (p *Pages) exportAudit(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.siteAuditLog(v).Export(w, r)
}

// eventURL returns the address of the page of the person that an event is about. It returns "" if
// the event deleted the account, or is about something else than a person.
func (v *siteVisit) eventURL(e event.Event) string {
	if strings.HasPrefix(e.Name, "user.") && e.Name != event.UserDeleted && e.Subject != "" {
		return v.personURL(e.Subject, "")
	}
	return ""
}

// eventRow turns an event into a row of the history on a person's page.
func (v *siteVisit) eventRow(e event.Event) console.EventRow {
	row := console.EventRow{Time: e.Time, Text: e.Text, Actor: console.ActorName(e.Actor), URL: v.eventURL(e)}
	row.IsEmphasized = strings.HasPrefix(e.Name, "site.") || strings.HasPrefix(e.Name, "token.")
	row.IsGrey = e.By.Kind == event.Token && !row.IsEmphasized
	return row
}
