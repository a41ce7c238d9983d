package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

// connectionsPage is the data of the view "connections". It lists the pairs of a user or group and
// its account. If Form is set, it is the form that connects a user or group with an account by
// hand.
type connectionsPage struct {
	console.Page
	Search     string
	FormURL    string
	Rows       []connectionRow
	Empty      console.EmptyState
	Pager      console.Pager
	ConnectURL string // address of the page with the form
	Form       *connectForm
}

// connectionRow shows one connection between an object and its account.
type connectionRow struct {
	provision.Connection
	Name       string
	URL        string // address of the user's or group's page; empty if the object no longer exists
	Badge      console.Badge
	OriginText string // how the connection was made
	ForgetURL  string // address of the page that asks whether to forget the connection
}

// connectForm is the form that connects a user or group with an account.
type connectForm struct {
	Object, Account string
	Error           *console.FieldError
	CancelURL       string
}

func (v *appVisit) connectionsURL() string { return v.url("/connections") }

// connectionBadge returns the badge for the state of a connection.
func connectionBadge(s provision.LinkState) console.Badge {
	switch s {
	case provision.Active:
		return console.Badge{Tone: console.ToneGood, Text: "Active"}
	case provision.Disabled:
		return console.Badge{Tone: console.ToneQuiet, Text: "Disabled"}
	case provision.Released:
		return console.Badge{Tone: console.ToneQuiet, Text: "Released", Hint: "The person is not in scope any more; changes are not sent."}
	case provision.Held:
		return console.Badge{Tone: console.ToneWarning, Text: "Kept blocked", Hint: "The application keeps the account blocked."}
	default:
		return console.Badge{Tone: console.ToneWarning, Text: "Gone", Hint: "The application no longer has the account."}
	}
}

// connectionOriginText says in words how a connection was made.
func connectionOriginText(how string) string {
	switch how {
	case "created":
		return "created by provisioning"
	case "linked":
		return "connected by hand"
	case "adopted":
		return "taken over"
	default:
		return "found by a matching attribute"
	}
}

// connectedObjectURL returns the address of the page of the user or group in a connection.
func (v *directoryVisit) connectedObjectURL(c provision.Connection) string {
	if c.Kind == provision.GroupKind {
		return v.url("groups/" + url.PathEscape(c.ObjectID))
	}
	return v.url("users/" + url.PathEscape(c.ObjectID))
}

func (p *Pages) showConnections(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form := r.URL.Query()
	q := provision.ConnectionQuery{Search: form.Get("search"), After: form.Get("after")}
	page, next, err := p.Jobs.Connections(r.Context(), v.jobKey(), q)
	if err != nil && !errors.Is(err, provision.ErrNoJob) {
		return err
	}
	pg := connectionsPage{Page: v.page, Search: q.Search, FormURL: v.connectionsURL(), ConnectURL: v.url("/connections/new"), Empty: console.EmptyState{
		Icon: "link", Title: "No connection yet", Text: "A cycle connects each user and group with the account that it finds or makes.",
	}}
	if q.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: "No connection fits", Text: "Search for part of the account’s name, or for the whole id of either side."}
	}
	for _, c := range page {
		name := c.Name
		if name == "" {
			name = c.ObjectID
		}
		pg.Rows = append(pg.Rows, connectionRow{
			Connection: c, Name: name, URL: v.connectedObjectURL(c), Badge: connectionBadge(c.State), OriginText: connectionOriginText(c.How),
			ForgetURL: v.url("/connections/" + url.PathEscape(c.ObjectID) + "/forget"),
		})
	}
	if q.After != "" {
		pg.Pager.FirstURL = v.connectionsURL() + "?" + url.Values{"search": {q.Search}}.Encode()
	}
	if next != "" {
		pg.Pager.NextURL = v.connectionsURL() + "?" + url.Values{"search": {q.Search}, "after": {next}}.Encode()
	}
	pg.Title = "Connections"
	pg.Lead = "Which account at " + v.App.Name + " belongs to which user or group."
	pg.Crumbs = v.crumbs(console.Crumb{})
	return p.show(w, r, http.StatusOK, "connections", pg)
}

func (p *Pages) showConnectForm(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form := r.URL.Query()
	return p.renderConnectForm(w, r, v, http.StatusOK, connectForm{Object: form.Get("object"), Account: form.Get("account")})
}

func (p *Pages) renderConnectForm(w http.ResponseWriter, r *http.Request, v *appVisit, status int, f connectForm) error {
	f.CancelURL = v.connectionsURL()
	pg := connectionsPage{Page: v.page, FormURL: v.connectionsURL(), Form: &f}
	pg.Title, pg.Narrow = "Connect by hand", true
	pg.Lead = "For an account that no matching attribute finds. The account then gets the values of the user or group."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Connections", URL: v.connectionsURL()})
	return p.show(w, r, status, "connections", pg)
}

// findObjectID returns the object id of the user with this user principal name. If there is none,
// it returns text, which is then the object id of a user or group.
func (v *appVisit) findObjectID(r *http.Request, text string) (string, error) {
	u, err := v.UserByUPN(r.Context(), text)
	if errors.Is(err, refusal.NotFound) {
		return text, nil
	}
	return u.ObjectID, err
}

// connect connects a user or group with an account. The account itself changes only in the next
// cycle.
func (p *Pages) connect(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	f := connectForm{Object: strings.TrimSpace(r.PostForm.Get("object")), Account: strings.TrimSpace(r.PostForm.Get("account"))}
	refuse := func(field, text string) error {
		f.Error = &console.FieldError{For: field, Text: text}
		return p.renderConnectForm(w, r, v, http.StatusUnprocessableEntity, f)
	}
	object, err := v.findObjectID(r, f.Object)
	if err != nil {
		return err
	}
	made, err := p.Engine.Connect(r.Context(), v.jobKey(), p.Owner, v.actorLabel(), object, f.Account)
	var target *provision.TargetError
	var other *provision.HeldError
	switch e, refused := refusal.Find(err); {
	case refused && (e.Field == "object" || e.Field == "account"):
		return refuse(e.Field, e.Sentences())
	case errors.As(err, &target):
		return refuse("account", target.Words())
	case errors.As(err, &other):
		return refuse("account", "Another process works on the job now. Try again in a moment, or pause provisioning first.")
	case errors.Is(err, provision.ErrNoJob):
		return refuse("account", "Provisioning is not set up for this application yet.")
	case err != nil:
		return err
	}
	return p.Console.Redirect(w, r, v.connectionsURL()+"?"+url.Values{"search": {made.ObjectID}}.Encode(), console.DoneNotice("The account "+made.TargetID+" belongs to "+made.Name+" now. The next cycle gives it the values of the directory."))
}

func (p *Pages) askForgetConnection(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	c, err := p.Jobs.Connection(r.Context(), v.jobKey(), r.PathValue("connection"))
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name = c.ObjectID
	}
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("/connections/" + url.PathEscape(c.ObjectID) + "/forget"), Button: "Forget the connection", IsDangerous: true, CancelURL: v.connectionsURL(),
		Consequences: []string{
			"The account " + c.TargetID + " at " + v.App.Name + " stays as it is.",
			"The next cycle looks for an account by the matching attributes, and finds this one again if they fit. Otherwise it may make another one.",
			"Until then nothing reaches the account: if " + name + " leaves, it is not switched off.",
		},
		Undo: "To undo it, connect the two by hand.",
	}
	pg.Title, pg.Narrow = "Forget the connection of "+name+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Connections", URL: v.connectionsURL()})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) forgetConnection(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	c, err := p.Engine.Forget(r.Context(), v.jobKey(), p.Owner, v.actorLabel(), r.PathValue("connection"))
	var target *provision.TargetError
	var other *provision.HeldError
	switch {
	case errors.Is(err, provision.ErrNoJob):
		return provision.ErrNoConnection
	case errors.As(err, &other):
		return p.Console.Redirect(w, r, v.connectionsURL(), console.Notice{Tone: console.ToneProblem, Title: "Nothing was forgotten", Text: "Another process works on the job now. Try again in a moment, or pause provisioning first."})
	case errors.As(err, &target):
		return p.Console.Redirect(w, r, v.connectionsURL(), console.Notice{Tone: console.ToneProblem, Title: "Nothing was forgotten", Text: target.Words()})
	case err != nil:
		return err
	}
	return p.Console.Redirect(w, r, v.connectionsURL(), console.DoneNotice("The connection with the account "+c.TargetID+" was forgotten. The account stays as it is."))
}
