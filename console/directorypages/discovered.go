package directorypages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// discoveredPage is the data of the view "discovered". It lists the accounts, or the groups, of an
// application that the last complete discovery found. If Account is set, it shows that account alone.
type discoveredPage struct {
	console.Page
	PageURL        string
	Kind           string        // the value of the parameter "kind": "groups", or empty for accounts
	Kinds          []console.Tab // links to the accounts and the groups; empty if the application has no groups
	Noun, Nouns    string        // what the list has: "account" and "accounts", or "group" and "groups"
	SourceNoun     string        // what they are compared with: "User" or "Group of the directory"
	CanDisable     bool          // whether accounts can be disabled; groups cannot
	StartedAt      time.Time     // when the complete discovery began; zero if there is none
	StartedBy      string
	ButtonText     string          // text of the button that starts a discovery
	PollURL        string          // address that the page polls while a discovery runs; empty otherwise
	Progress       string          // what the running discovery does; empty if none runs
	EndedURL       string          // address of the results of the discovery that the page has polled; empty if it polled none
	ProblemNotice  *console.Notice // why the newest discovery has failed or waits; may be nil
	Notes          []string
	Counts         []console.Fact
	Tabs           []console.Tab
	Search         string
	Filter         []console.HiddenField // the selected tab, for the search form
	ClearURL       string
	ExportURL      string
	Rows           []discoveredRow
	Pager          console.Pager
	Empty          console.EmptyState
	ChangeURL      string // address to which the ticked accounts are sent
	AssignAllText  string // the text of the button that assigns the users of the whole class; empty if there is none
	DisableAllText string // the text of the button that disables the accounts of the whole class; empty if there is none
	Account        *discoveredDetails
}

// discoveredRow shows an account in a list.
type discoveredRow struct {
	ID                  string // the id of the account
	Name, Subtitle, URL string // Subtitle is the text below Name: the display name or the id of the account
	Badge               console.Badge
	Users               []string // the users who match, or nearly match
	Remark              string   // what differs from an ordinary account, such as "inactive"; may be empty
}

// discoveredDetails shows one account.
type discoveredDetails struct {
	Badge   console.Badge
	Facts   []console.Fact
	Matches []identityCard
	Empty   console.EmptyState // shown if no user matches or nearly matches
}

// identityCard shows a user who matches an account, or nearly matches it.
type identityCard struct {
	Name, URL  string
	Badge      console.Badge
	Text       string
	Attributes []comparedRow
	ConnectURL string // address of the form that connects the two by hand; empty for a match
	AssignURL  string // address of the page that assigns users; empty if the user is assigned
}

// comparedRow compares the value of one matching attribute of a user with that of an account.
type comparedRow struct {
	Attribute, Expression, User, Account string
	Badge                                console.Badge
}

const discoveredRowsOnPage = 50

// groupsOfApplication is the value of the parameter "kind" that selects groups in place of accounts.
const groupsOfApplication = "groups"

// discoveredKind returns the kind that the parameter "kind" of a form or an address selects.
func discoveredKind(form url.Values) provision.ObjectKind {
	if form.Get("kind") == groupsOfApplication {
		return provision.GroupKind
	}
	return provision.UserKind
}

// kindParameter returns the value of the parameter "kind" for a kind.
func kindParameter(kind provision.ObjectKind) string {
	if kind == provision.GroupKind {
		return groupsOfApplication
	}
	return ""
}

// discoveredNouns returns the singular and the plural of what a list of this kind has.
func discoveredNouns(kind provision.ObjectKind) (noun, nouns string) {
	if kind == provision.GroupKind {
		return "group", "groups"
	}
	return "account", "accounts"
}

// countDiscovered returns a number of accounts or groups with its noun.
func countDiscovered(kind provision.ObjectKind, n int) string {
	noun, nouns := discoveredNouns(kind)
	return console.PluralForms(n, noun, nouns)
}

// discoveredURL returns the address of the list of accounts.
func (v *appVisit) discoveredURL() string { return v.url("/provisioning/discovered") }

// discoveredListURL returns the address of the list of accounts or of groups.
func (v *appVisit) discoveredListURL(kind provision.ObjectKind) string {
	if kind == provision.GroupKind {
		return v.discoveredURL() + "?" + url.Values{"kind": {groupsOfApplication}}.Encode()
	}
	return v.discoveredURL()
}

// listURL returns the address of the page's list with these parameters.
func (pg *discoveredPage) listURL(parameters url.Values) string {
	if pg.Kind != "" {
		parameters.Set("kind", pg.Kind)
	}
	return pg.PageURL + "?" + parameters.Encode()
}

// classBadge returns the badge with the class of an account or a group.
func classBadge(a provision.DiscoveredAccount) console.Badge {
	if a.Kind == provision.GroupKind {
		return groupClassBadge(a)
	}
	switch {
	case a.Change == provision.IdentityGone:
		return console.Badge{Tone: console.ToneQuiet, Text: "Gone", Hint: "The application no longer lists the account."}
	case a.Ambiguous != "":
		return console.Badge{Tone: console.ToneWarning, Text: "Ambiguous", Hint: "Several users match it, or its user matches several accounts."}
	case a.Class == provision.AssignedUsers:
		return console.Badge{Tone: console.ToneGood, Text: "Assigned user"}
	case a.Class == provision.UnassignedUsers:
		return console.Badge{Tone: console.ToneInfo, Text: "Unassigned user", Hint: "A user matches who is not assigned to the application."}
	}
	return console.Badge{Tone: console.ToneQuiet, Text: "Local account", Hint: "No user of the directory matches."}
}

// groupClassBadge returns the badge with the class of a group.
func groupClassBadge(a provision.DiscoveredAccount) console.Badge {
	switch {
	case a.Change == provision.IdentityGone:
		return console.Badge{Tone: console.ToneQuiet, Text: "Gone", Hint: "The application no longer lists the group."}
	case a.Ambiguous != "":
		return console.Badge{Tone: console.ToneWarning, Text: "Ambiguous", Hint: "Several groups of the directory match it, or its group matches several groups of the application."}
	case a.Class == provision.AssignedUsers:
		return console.Badge{Tone: console.ToneGood, Text: "Assigned group"}
	case a.Class == provision.UnassignedUsers:
		return console.Badge{Tone: console.ToneInfo, Text: "Unassigned group", Hint: "A group of the directory matches that is not assigned to the application."}
	}
	return console.Badge{Tone: console.ToneQuiet, Text: "Local group", Hint: "No group of the directory matches."}
}

// discoveredQuery reads the filters of the list from an address.
func discoveredQuery(form url.Values) provision.DiscoveredQuery {
	q := provision.DiscoveredQuery{Kind: discoveredKind(form), Search: form.Get("search"), After: form.Get("after"), Limit: discoveredRowsOnPage}
	switch show := form.Get("show"); show {
	case "ambiguous":
		q.Ambiguous = true
	case "near":
		q.Near = true
	case string(provision.OnlyKept):
		q.Kept = provision.OnlyKept
	case string(provision.IdentityNew), string(provision.IdentityChanged), string(provision.IdentityGone):
		q.Change = provision.IdentityChange(show)
	default:
		if class := provision.IdentityClass(show); class.IsKnown() {
			q.Class = class
		}
	}
	return q
}

func (p *Pages) showDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if _, err := p.Jobs.Get(r.Context(), v.jobKey()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	form := r.URL.Query()
	q := discoveredQuery(form)
	newest, complete, err := p.Engine.LastDiscoveries(r.Context(), v.jobKey(), provision.UserKind)
	if err != nil {
		return err
	}
	newestOfGroups, completeOfGroups, err := p.Engine.LastDiscoveries(r.Context(), v.jobKey(), provision.GroupKind)
	if err != nil {
		return err
	}
	pg := discoveredPage{Page: v.page, PageURL: v.discoveredURL(), Kind: kindParameter(q.Kind), Search: q.Search, ButtonText: "Discover identities", SourceNoun: "User", CanDisable: q.Kind == provision.UserKind}
	pg.Noun, pg.Nouns = discoveredNouns(q.Kind)
	pg.Title = "Discover identities"
	pg.Lead = "Which accounts and groups " + v.App.Name + " has, and whose they are. A discovery reads all of them and changes nothing."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.fillProgress(form.Get("watched"), newest, newestOfGroups)
	if newestOfGroups.ID != "" || q.Kind == provision.GroupKind {
		pg.Kinds = []console.Tab{
			{Text: "Accounts", URL: v.discoveredURL(), Count: console.GroupDigits(complete.Accounts), Selected: q.Kind == provision.UserKind},
			{Text: "Groups", URL: v.discoveredListURL(provision.GroupKind), Count: console.GroupDigits(completeOfGroups.Accounts), Selected: q.Kind == provision.GroupKind},
		}
	}
	if q.Kind == provision.GroupKind {
		complete, pg.SourceNoun = completeOfGroups, "Group of the directory"
	}
	if complete.ID == "" && q.Kind == provision.GroupKind {
		pg.Empty = console.EmptyState{Icon: "users", Title: "No discovery of groups yet", Text: "A discovery reads the groups too if the mapping of groups is on, and if the application takes groups."}
		return p.show(w, r, http.StatusOK, "discovered", pg)
	}
	if complete.ID == "" {
		pg.Empty = console.EmptyState{Icon: "users", Title: "No discovery yet", Text: "A discovery sorts the accounts into those of assigned users, those of unassigned users, and local accounts, which match no user of the directory."}
		return p.show(w, r, http.StatusOK, "discovered", pg)
	}
	pg.ButtonText = "Discover again"
	pg.fillComplete(complete, form)
	page, next, err := p.Engine.Discovered(r.Context(), v.jobKey(), q)
	if err != nil {
		return err
	}
	for _, a := range page {
		pg.Rows = append(pg.Rows, v.newDiscoveredRow(a))
	}
	at := url.Values{"search": {q.Search}, "show": {form.Get("show")}}
	list := pg.listURL(at)
	pg.ExportURL = v.url("/provisioning/discovered/export") + "?" + at.Encode()
	if q.After != "" {
		pg.Pager.FirstURL = list
	}
	if next != "" {
		at.Set("after", next)
		pg.Pager.NextURL = pg.listURL(at)
	}
	return p.show(w, r, http.StatusOK, "discovered", pg)
}

// fillProgress shows what the newest discoveries of accounts and of groups do, or why one has failed.
// watched is the id of the discovery that the page has polled.
func (pg *discoveredPage) fillProgress(watched string, newest, newestOfGroups provision.Discovery) {
	for _, d := range []provision.Discovery{newest, newestOfGroups} {
		if d.Started.Before(newest.Started) {
			continue // the discovery of groups that followed an earlier one of accounts
		}
		switch d.State {
		case provision.DiscoveryRunning:
			pg.fillRunning(d)
		case provision.DiscoveryFailed:
			title := "The last discovery failed"
			if d.Kind == provision.GroupKind {
				title = "The last discovery of groups failed"
			}
			pg.ProblemNotice = &console.Notice{Tone: console.ToneProblem, Title: title, Text: d.Problem}
		case provision.DiscoveryCancelled:
			pg.ProblemNotice = &console.Notice{Tone: console.ToneWarning, Text: "The last discovery was cancelled."}
		}
	}
	if pg.PollURL == "" && pg.ProblemNotice == nil && watched != "" && (watched == newest.ID || watched == newestOfGroups.ID) {
		pg.EndedURL = pg.listURL(url.Values{})
	}
}

// fillRunning shows what a running discovery does.
func (pg *discoveredPage) fillRunning(d provision.Discovery) {
	pg.PollURL, pg.ProblemNotice = pg.listURL(url.Values{"watched": {d.ID}}), nil
	read := countDiscovered(d.Kind, d.Accounts)
	if d.Total > 0 {
		read = console.GroupDigits(d.Accounts) + " of " + countDiscovered(d.Kind, int(d.Total))
	}
	compared := console.PluralForms(d.Users, "user", "users")
	if d.Kind == provision.GroupKind {
		compared = console.PluralForms(d.Users, "group", "groups") + " of the directory"
	}
	pg.Progress = fmt.Sprintf("The discovery is %s. So far it has read %s, and compared %s. You can leave this page.", d.Doing, read, compared)
	if d.Problem != "" {
		pg.ProblemNotice = &console.Notice{Tone: console.ToneWarning, Title: "The discovery waits, and tries again", Text: d.Problem}
	}
}

// fillComplete adds the numbers of the complete discovery and the tabs that filter its accounts.
func (pg *discoveredPage) fillComplete(d provision.Discovery, form url.Values) {
	pg.ChangeURL = pg.PageURL + "/change"
	if form.Get("show") == string(provision.UnassignedUsers) && d.Unassigned > 0 {
		pg.AssignAllText = "Assign all " + console.GroupDigits(d.Unassigned) + "…"
	}
	if form.Get("show") == string(provision.LocalAccounts) && d.Local > 0 && pg.CanDisable {
		pg.DisableAllText = "Disable all local accounts…"
	}
	pg.StartedAt, pg.StartedBy, pg.Notes = d.Started, console.ActorName(d.By), d.Notes
	pg.ClearURL = pg.listURL(url.Values{"show": {form.Get("show")}})
	pg.Empty = console.EmptyState{Icon: "search", Title: "No " + pg.Noun + " fits", Text: "Search for part of a name or an address, or for an id."}
	for _, f := range []struct {
		show, name string
		n          int
		always     bool
	}{
		{"", "All " + pg.Nouns, d.Accounts, true},
		{string(provision.LocalAccounts), provision.LocalAccounts.Words(d.Kind), d.Local, true},
		{string(provision.UnassignedUsers), provision.UnassignedUsers.Words(d.Kind), d.Unassigned, true},
		{string(provision.AssignedUsers), provision.AssignedUsers.Words(d.Kind), d.Assigned, true},
		{"near", "Near matches", d.Near, false},
		{"ambiguous", "Ambiguous", d.Ambiguous, false},
		{string(provision.OnlyKept), "Keep", 0, true},
		{string(provision.IdentityNew), "New", d.New, d.Compared},
		{string(provision.IdentityChanged), "Changed", d.Changed, d.Compared},
		{string(provision.IdentityGone), "Gone", d.Gone, d.Compared},
	} {
		selected := form.Get("show") == f.show
		if f.always || f.n > 0 || selected {
			tab := console.Tab{Text: f.name, URL: pg.listURL(url.Values{"show": {f.show}}), Count: console.GroupDigits(f.n), Selected: selected}
			if f.show == string(provision.OnlyKept) {
				tab.Count = "" // the number of marks changes between discoveries
			}
			pg.Tabs = append(pg.Tabs, tab)
		}
		if selected && f.show != "" {
			pg.Filter = []console.HiddenField{{Name: "show", Value: f.show}}
		}
	}
}

// discoveredAccountURL returns the address of the page of an account or a group.
func (v *appVisit) discoveredAccountURL(kind provision.ObjectKind, account string) string {
	parameters := url.Values{"id": {account}}
	if kind == provision.GroupKind {
		parameters.Set("kind", groupsOfApplication)
	}
	return v.url("/provisioning/discovered/account") + "?" + parameters.Encode()
}

func (v *appVisit) newDiscoveredRow(a provision.DiscoveredAccount) discoveredRow {
	row := discoveredRow{ID: a.ID, Name: a.Name(), Subtitle: a.ID, URL: v.discoveredAccountURL(a.Kind, a.ID), Badge: classBadge(a), Remark: strings.TrimPrefix(a.Remarks(), ", ")}
	if a.DisplayName != "" && a.DisplayName != row.Name {
		row.Subtitle = a.DisplayName
	}
	for _, m := range a.Matches {
		row.Users = append(row.Users, m.Name)
	}
	if len(a.Matches) == 0 {
		for _, m := range a.Near {
			row.Users = append(row.Users, "nearly "+m.Name+": "+m.Reason)
		}
	}
	return row
}

// startDiscovery starts a discovery, or cancels the one that is running. A server works on it in the
// background.
func (p *Pages) startDiscovery(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	var err error
	done := console.Notice{}
	if r.PostForm.Get("do") == "cancel" {
		err = p.Engine.CancelDiscovery(r.Context(), v.jobKey())
	} else {
		_, err = p.Engine.BeginDiscovery(r.Context(), v.jobKey(), v.actorLabel())
	}
	var input *provision.InputError
	var target *provision.TargetError
	switch {
	case errors.As(err, &input):
		done = console.Notice{Tone: console.ToneWarning, Title: "Nothing was done.", Text: console.AsSentence(input.Field + " " + input.Text)}
	case errors.As(err, &target):
		done = console.Notice{Tone: console.ToneProblem, Title: "No discovery was started.", Text: refusalText(target)}
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.discoveredURL(), done)
}

// The values of the buttons that concern a whole class.
const (
	assignAll  = "assign-all"
	disableAll = "disable-all"
)

// changeDiscovered does what the pressed button says: it assigns the users of accounts, links
// accounts, disables accounts, marks accounts with Keep, or removes that mark. It does this for the
// ticked accounts or for the whole class, and asks before it assigns, links or disables. It does the
// same for groups, but never disables them.
func (p *Pages) changeDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	accounts, change, kind := r.PostForm["account"], r.PostForm.Get("change"), discoveredKind(r.PostForm)
	listURL := v.discoveredListURL(kind)
	noun, _ := discoveredNouns(kind)
	if len(accounts) == 0 && change != assignAll && change != disableAll {
		return p.Console.Redirect(w, r, listURL, console.Notice{Tone: console.ToneWarning, Text: "Tick at least one " + noun + "."})
	}
	if kind == provision.GroupKind && (change == "disable" || change == disableAll) {
		return p.Console.Redirect(w, r, listURL, console.Notice{Tone: console.ToneWarning, Title: "Nothing was done.", Text: groupsStayEnabled})
	}
	if change == "link" { // like the page that connects one pair
		fresh, err := p.Operators.HasFreshSession(r.Context(), p.Console.SessionSecret(r, SessionCookie))
		if err != nil {
			return err
		}
		if !fresh {
			return &console.OldSignIn{RenewURL: renewURL}
		}
	}
	switch change {
	case "keep", "unkeep":
		n, err := p.Engine.KeepAccounts(r.Context(), v.jobKey(), kind, accounts, change == "keep", v.actorLabel())
		if err != nil {
			return err
		}
		_, nouns := discoveredNouns(kind)
		text := console.PluralForms(n, noun+" was", nouns+" were") + " marked Keep."
		if change == "unkeep" {
			text = "The mark Keep of " + countDiscovered(kind, n) + " was removed."
		}
		return p.Console.Redirect(w, r, listURL, console.DoneNotice(text))
	case "disable":
		return p.disableDiscovered(w, r, v, change, accounts)
	case disableAll:
		return p.disableDiscovered(w, r, v, change, nil)
	case "link":
		return p.linkDiscovered(w, r, v, kind, accounts)
	case "assign":
	case assignAll:
		accounts = nil
	default:
		return console.ErrNotFound
	}
	ids, left, err := p.Engine.ObjectsToAssign(r.Context(), v.jobKey(), kind, accounts)
	switch {
	case err != nil:
		return err
	case len(ids) == 0 && kind == provision.GroupKind:
		return p.Console.Redirect(w, r, listURL, console.Notice{Tone: console.ToneInfo, Text: "No group was assigned: these groups " + groupsLeftOut + "."})
	case len(ids) == 0:
		return p.Console.Redirect(w, r, listURL, console.Notice{Tone: console.ToneInfo, Text: "Nobody was assigned: these accounts " + leftOut + "."})
	case !console.ConfirmsNumber(r, len(ids)):
		return p.askAssignDiscovered(w, r, v, kind, change, accounts, len(ids), left)
	}
	n, err := v.Assign(r.Context(), v.App.ID, ids, v.actorLabel())
	if err != nil {
		return err
	}
	done := console.PluralForms(n, "user was", "users were")
	if kind == provision.GroupKind {
		done = console.PluralForms(n, "group was", "groups were")
	}
	return p.Console.Redirect(w, r, listURL, console.DoneNotice(done+" assigned. The next discovery shows it."))
}

// groupsStayEnabled says why groups cannot be disabled.
const groupsStayEnabled = "A group is never disabled, because a group of SCIM has no such state. If nobody needs it, delete it at the application."

// leftOut is the end of a sentence that says why an assignment leaves out some accounts.
const leftOut = "are ambiguous or marked Keep, do not belong to unassigned users, are disabled and were managed by provisioning before, or their users were deleted"

// discoveredFields returns the hidden fields that carry accounts or groups through a question.
func discoveredFields(kind provision.ObjectKind, accounts []string) []console.HiddenField {
	fields := []console.HiddenField{{Name: "kind", Value: kindParameter(kind)}}
	for _, account := range accounts {
		fields = append(fields, console.HiddenField{Name: "account", Value: account})
	}
	return fields
}

// groupsLeftOut is the end of a sentence that says why an assignment leaves out some groups of the
// application.
const groupsLeftOut = "are ambiguous or marked Keep, do not belong to unassigned groups of the directory, or their groups of the directory were deleted"

// askAssignDiscovered asks whether to assign the users of accounts, or the groups of the directory that
// belong to groups of the application.
func (p *Pages) askAssignDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit, kind provision.ObjectKind, change string, accounts []string, users, left int) error {
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.discoveredURL() + "/change", CancelURL: v.discoveredListURL(kind), Button: "Assign " + console.PluralForms(users, "user", "users"),
		Fields:       []console.HiddenField{{Name: "change", Value: change}, {Name: "sure", Value: strconv.Itoa(users)}},
		Consequences: []string{"They are assigned to " + v.App.Name + ".", "The next cycle connects their accounts with them, and gives the accounts the values of the directory."},
		Undo:         "To undo it, remove the assignments. The next cycle then disables these accounts.",
	}
	what := console.PluralForms(users, "user", "users")
	if kind == provision.GroupKind {
		what = console.PluralForms(users, "group", "groups")
		pg.Button = "Assign " + what
		pg.Consequences = []string{
			"They are assigned to " + v.App.Name + ", so their members are in scope, too. Members without an account get one.",
			"The next cycle connects the groups of the application with them, and gives these the names and the members of the directory.",
		}
		pg.Undo = "To undo it, remove the assignments. People who are in scope only through these groups then lose access, and the groups are deleted at the application if provisioning may delete."
	}
	if left > 0 && kind == provision.GroupKind {
		pg.Consequences = append(pg.Consequences, console.PluralForms(left, "group is", "groups are")+" left out. Left out are groups that "+groupsLeftOut+".")
	} else if left > 0 {
		pg.Consequences = append(pg.Consequences, console.PluralForms(left, "account is", "accounts are")+" left out. Left out are accounts that "+leftOut+".")
	}
	pg.Fields = append(pg.Fields, discoveredFields(kind, accounts)...)
	pg.Title, pg.Narrow = "Assign "+what+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Discover identities", URL: v.discoveredListURL(kind)})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// exportDiscovered sends the accounts that the filters select, as CSV.
func (p *Pages) exportDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	q := discoveredQuery(r.URL.Query())
	q.After, q.Limit = "", 500
	page, next, err := p.Engine.Discovered(r.Context(), v.jobKey(), q)
	if err != nil {
		return err
	}
	noun, nouns := discoveredNouns(q.Kind)
	of := console.ExportRecord{
		Scope: event.Directory(string(v.Directory.ID)), EventName: event.ExportAccounts, ListTitle: "The list of discovered " + nouns + " of " + v.App.Name, RowNoun: noun,
		Filter: console.FilterParameters(r.URL.Query(), "search", "show", "kind"),
	}
	return p.Console.SendCSV(w, r, v.Directory.Name+"-"+nouns+".csv", provision.DiscoveredColumns(), func(line func(...string) error) error {
		return p.Console.RecordExport(r.Context(), of, func(sent *int) error {
			for {
				for _, a := range page {
					*sent++
					if err := line(a.Cells()...); err != nil {
						return err
					}
				}
				if next == "" {
					return nil
				}
				q.After = next
				if page, next, err = p.Engine.Discovered(r.Context(), v.jobKey(), q); err != nil {
					return err
				}
			}
		})
	})
}

func (p *Pages) showDiscoveredAccount(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	kind := discoveredKind(r.URL.Query())
	a, err := p.Engine.DiscoveredAccount(r.Context(), v.jobKey(), kind, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	_, complete, err := p.Engine.LastDiscoveries(r.Context(), v.jobKey(), kind)
	if err != nil {
		return err
	}
	d := &discoveredDetails{Badge: classBadge(a), Empty: console.EmptyState{Icon: "user-x", Title: "Nobody matches", Text: "No user of the directory matches this account, and none nearly does."}}
	if kind == provision.GroupKind {
		d.Empty = console.EmptyState{Icon: "users", Title: "No group matches", Text: "No group of the directory matches this group, and none nearly does."}
	}
	active := ""
	if a.Active != nil {
		active = map[bool]string{true: "yes", false: "no"}[*a.Active]
	}
	for _, f := range []console.Fact{
		{Name: "Id", Value: a.ID},
		{Name: "User name", Value: a.UserName},
		{Name: "Display name", Value: a.DisplayName},
		{Name: "E-mail", Value: strings.Join(a.Emails, ", ")},
		{Name: "Employee number", Value: a.EmployeeNumber},
		{Name: "External id", Value: a.ExternalID},
		{Name: "Roles", Value: strings.Join(a.Roles, ", ")},
		{Name: "Active", Value: active},
		{Name: "Remarks", Value: strings.TrimPrefix(a.Remarks(), ", ")},
	} {
		if f.Value != "" {
			d.Facts = append(d.Facts, f)
		}
	}
	for _, m := range a.Matches {
		card := v.newIdentityCard(m, complete)
		card.Badge, card.Text = console.Badge{Tone: console.ToneGood, Text: "Matches"}, "By "+m.By+"."
		switch {
		case m.By == "connection" && kind == provision.GroupKind:
			card.Text = "Provisioning has connected the group of the application with this group."
		case m.By == "connection":
			card.Text = "Provisioning has connected the account with this user."
		}
		d.Matches = append(d.Matches, card)
	}
	for _, m := range a.Near {
		card := v.newIdentityCard(m, complete)
		card.Badge, card.Text = console.Badge{Tone: console.ToneWarning, Text: "Nearly matches"}, console.AsSentence(m.Reason)
		if len(a.Matches) == 0 {
			card.ConnectURL = v.url("/connections/new") + "?" + url.Values{"object": {m.ObjectID}, "account": {a.ID}}.Encode()
		}
		d.Matches = append(d.Matches, card)
	}
	pg := discoveredPage{Page: v.page, PageURL: v.discoveredURL(), Account: d, SourceNoun: "User"}
	if pg.Noun, pg.Nouns = discoveredNouns(kind); kind == provision.GroupKind {
		pg.SourceNoun = "Group of the directory"
	}
	pg.Title = a.Name()
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Discover identities", URL: v.discoveredListURL(kind)})
	return p.show(w, r, http.StatusOK, "discovered", pg)
}

func (v *appVisit) newIdentityCard(m provision.IdentityMatch, d provision.Discovery) identityCard {
	card := identityCard{Name: m.Name, URL: v.directoryVisit.url("users/" + url.PathEscape(m.ObjectID))}
	if d.Kind == provision.GroupKind {
		card.URL = v.directoryVisit.url("groups/" + url.PathEscape(m.ObjectID))
	}
	if !m.Assigned {
		card.AssignURL = v.url("/users-and-groups/add")
	}
	for _, one := range m.Attributes {
		row := comparedRow{Attribute: one.Attribute, User: comparedText(one.User), Account: comparedText(one.Account), Badge: console.Badge{Tone: console.ToneQuiet, Text: "Differs"}}
		if one.Same {
			row.Badge = console.Badge{Tone: console.ToneGood, Text: "Same"}
		}
		for _, known := range d.Matching {
			if known.Attribute == one.Attribute {
				row.Expression = known.Expression
			}
		}
		card.Attributes = append(card.Attributes, row)
	}
	return card
}

// comparedText returns a value as a string; "" if there is none.
func comparedText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, comparedText(one))
		}
		return strings.Join(all, ", ")
	}
	return fmt.Sprint(v)
}
