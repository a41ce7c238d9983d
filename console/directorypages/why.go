package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
)

// whyPage is the data of the view "why". It explains why a person or group has an account at the
// application, or has none.
type whyPage struct {
	console.Page
	provision.Explanation
	Summary     console.Notice
	Notices     []console.Notice
	Attributes  []whyAttribute
	Groups      []whyGroup
	History     []console.EventRow // the newest changes of the person or group in the directory
	LastURL     string             // address of the newest log entry
	LastBadge   console.Badge      // the result of the newest log entry
	LastText    string             // the newest log entry in words
	ObjectURL   string             // address of the page of the person or group
	LogsURL     string             // address of the log entries about the person or group
	UndoURL     string             // address of the page that asks whether to undo the last change; empty if the log has no change
	OnDemandURL string             // address of the page that provisions the person or group now
	ListKind    string             // "groups" for a group, "" for a person
}

// whyAttribute shows one row of the mapping.
type whyAttribute struct {
	provision.ExplainedAttribute
	Badge                     console.Badge
	MappedValue, AccountValue string // the value that the mapping yields, and the value that the account has; "" means no value
	TraceSteps                *traceStep
}

// whyGroup shows one membership of the person in a group.
type whyGroup struct {
	provision.ExplainedMembership
	URL   string
	Badge console.Badge
}

// showWhy explains the account of the person or group whose object id is in the address.
func (p *Pages) showWhy(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	id := strings.TrimSpace(r.URL.Query().Get("object"))
	if id == "" {
		return p.Console.Redirect(w, r, v.url("/provisioning/on-demand"), console.Notice{})
	}
	found, err := p.Engine.Explain(r.Context(), v.jobKey(), id)
	var input *provision.InputError
	if errors.As(err, &input) {
		return &console.PageError{
			Status: http.StatusNotFound, Title: "Nobody has this object id", Text: "Neither the directory nor a linked account knows " + id + ".",
			Action: &console.Action{Text: "Provision on demand", URL: v.url("/provisioning/on-demand")},
		}
	}
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	pg := whyPage{Page: v.page, Explanation: found, LogsURL: v.url("/provisioning/logs?" + url.Values{"object": {id}}.Encode()), OnDemandURL: v.url("/provisioning/on-demand")}
	pg.Title = found.Name
	pg.Lead = "Why " + found.Name + " has, or does not have, an account at " + v.App.Name + ". Looking changes nothing."
	pg.Crumbs = v.crumbs(console.Crumb{Text: found.Name}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.ObjectURL = v.objectURL(found.Kind, id)
	if found.Kind == provision.GroupKind {
		pg.ListKind = "groups"
	}
	pg.fillParts(v)
	return p.show(w, r, http.StatusOK, "why", pg)
}

// fillParts sets the fields of the page that follow from its Explanation.
func (pg *whyPage) fillParts(v *appVisit) {
	pg.Summary = console.Notice{Tone: whyTone(pg.Explanation), Title: whyTitle(pg.Explanation), Text: pg.Answer}
	for _, note := range pg.Notes {
		pg.Notices = append(pg.Notices, console.Notice{Tone: console.ToneWarning, Text: note})
	}
	for _, a := range pg.Explanation.Attributes {
		one := whyAttribute{ExplainedAttribute: a, Badge: attributeBadge(a.State), MappedValue: strings.Join(a.Values, ", "), AccountValue: strings.Join(a.Account, ", ")}
		if a.Trace != nil {
			one.TraceSteps = newTraceStep(a.Trace)
		}
		pg.Attributes = append(pg.Attributes, one)
	}
	for _, m := range pg.Memberships {
		badge := console.Badge{Tone: console.ToneQuiet, Text: "Not there"}
		if m.Sent {
			badge = console.Badge{Tone: console.ToneGood, Text: "There"}
		}
		pg.Groups = append(pg.Groups, whyGroup{ExplainedMembership: m, Badge: badge, URL: v.objectURL(provision.GroupKind, m.Group)})
	}
	for _, change := range pg.Changes {
		pg.History = append(pg.History, console.EventRow{Time: change.Time, Text: change.Text, Actor: console.ActorName(change.Actor)})
	}
	if last := pg.Last; last != nil {
		pg.UndoURL = v.undoURL(provision.Undo{Object: pg.ObjectID})
		pg.LastURL = v.url("/provisioning/logs/" + url.PathEscape(last.ID))
		pg.LastBadge, pg.LastText = actionBadge(last.Action, last.Status.Status), entryText(*last)
	}
}

// whyTitle says in a few words whether the person or group has an account.
func whyTitle(x provision.Explanation) string {
	noun := "account"
	if x.Kind == provision.GroupKind {
		noun = "group at the application"
	}
	switch {
	case x.Account == nil:
		return "No " + noun
	case x.Account.State == provision.Active:
		return "Has an active " + noun
	case x.Account.State == provision.Disabled:
		return "Has a disabled " + noun
	case x.Account.State == provision.Released:
		return "Has the " + noun + ", which is not kept in step"
	case x.Account.State == provision.Held:
		return "Has the " + noun + ", which the application keeps blocked"
	}
	return "Has lost the " + noun
}

// whyTone returns the tone of the summary. It is a problem if the person or group cannot be
// provisioned, and good if it is in scope and has an active account. It is a warning if it is in
// scope without an active account, or has one although it is out of scope.
func whyTone(x provision.Explanation) console.Tone {
	active := x.Account != nil && x.Account.State == provision.Active
	switch {
	case x.Planned != nil && x.Planned.Result == provision.Failure:
		return console.ToneProblem
	case active && x.InScope:
		return console.ToneGood
	case active != x.InScope:
		return console.ToneWarning
	}
	return console.ToneInfo
}

// attributeBadge returns the badge that says how the value from the mapping relates to the value of
// the account.
func attributeBadge(s provision.AttributeState) console.Badge {
	switch s {
	case provision.AttributeSame:
		return console.Badge{Tone: console.ToneGood, Text: "The same"}
	case provision.AttributeDiffers:
		return console.Badge{Tone: console.ToneWarning, Text: "Differs", Hint: "The next look sends the value."}
	case provision.AttributeRefused:
		return console.Badge{Tone: console.ToneProblem, Text: "Refused", Hint: "The application refused this value when it was last sent."}
	case provision.AttributeFails:
		return console.Badge{Tone: console.ToneProblem, Text: "Fails"}
	case provision.AttributeOnCreate:
		return console.Badge{Tone: console.ToneQuiet, Text: "Only at creation", Hint: "The value is sent only when the account is created."}
	case provision.AttributeAdopted:
		return console.Badge{Tone: console.ToneWarning, Text: "Adopted", Hint: "Somebody set it at the application, and it was decided that it stays."}
	case provision.AttributeKept:
		return console.Badge{Tone: console.ToneWarning, Text: "Keeps its value", Hint: "The account keeps the value that it has. The mapping yields none, or only fills in what is empty."}
	case provision.AttributeUnsent:
		return console.Badge{Tone: console.ToneQuiet, Text: "Not sent", Hint: "There is no account yet."}
	}
	return console.Badge{Tone: console.ToneQuiet, Text: "Not known", Hint: "The account's value is not remembered. The next look reads it."}
}

// whyURL returns the address of the page that explains an object's account. application is the
// address of the application's overview.
func whyURL(application, objectID string) string {
	return application + "/provisioning/why?" + url.Values{"object": {objectID}}.Encode()
}

// objectURL returns the address of the page of a user or group.
func (v *directoryVisit) objectURL(kind provision.ObjectKind, id string) string {
	if kind == provision.GroupKind {
		return v.url("groups/" + url.PathEscape(id))
	}
	return v.url("users/" + url.PathEscape(id))
}
