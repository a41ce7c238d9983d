package sitepages

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// tokenWarningTime is how long before the expiry of a token the pages begin to warn.
const tokenWarningTime = 30 * 24 * time.Hour

// The overview lists problems of the last attentionPeriod. It finds them in the request log, of
// which it reads at most maxAttentionCalls calls.
const (
	attentionPeriod   = 24 * time.Hour
	maxAttentionCalls = 500
)

// overviewPage is the data of the view "access". The page shows how SCIM works at present, and what
// needs an administrator's attention.
type overviewPage struct {
	console.Page
	CallsText      string // counts the newest calls in a sentence
	StrangersText  string // counts the calls without a token of this site; empty if there are none
	Tokens         []tokenRow
	Counts         peopleCounts
	AttentionLines []attentionLine
	NewestRequests []logRow       // the newest requests
	SCIMURL        string         // address of the page "SCIM integration"
	LogURL         string         // address of the request log
	PeopleURL      string         // address of the list of people
	Settings       []console.Fact // the settings that limit what SCIM may do
}

// peopleCounts holds numbers of people, formatted for the page.
type peopleCounts struct{ Active, Deactivated, NeverSignedIn, Admins string }

// attentionLine is one line of the list "Needs attention".
type attentionLine struct {
	Tone   console.Tone
	Text   string
	Action console.Action
}

func (p *Pages) showOverview(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	ctx, now := r.Context(), p.Console.Options.Now()
	facts, err := p.readFacts(ctx, v)
	if err != nil {
		return err
	}
	counts, err := v.Roster.Counts(ctx)
	if err != nil {
		return err
	}
	changes, _, err := p.Requests.Page(ctx, v.Site.ID, requestlog.Query{
		Filter: requestlog.Filter{Token: requestlog.AnyToken, OnlyChanges: true, From: now.Add(-attentionPeriod)}, Limit: maxAttentionCalls,
	})
	if err != nil {
		return err
	}
	state := decideState(v.Site, facts, now)
	pg := v.page
	pg.Title, pg.Crumbs = "Access management", v.crumbs()
	pg.Badge, pg.StatusLine = state.Badge(), state.Detail()
	o := overviewPage{
		Page: pg, CallsText: callsText(summarizeCalls(facts.calls)), StrangersText: strangersText(facts.strangerCalls),
		Counts:         peopleCounts{console.GroupDigits(counts.Active), console.GroupDigits(counts.Deactivated), console.GroupDigits(counts.NeverSignedIn), console.GroupDigits(counts.Admins)},
		AttentionLines: listAttentionLines(v, facts, changes, counts, now),
		SCIMURL:        v.url("admin/access/scim"), LogURL: v.url("admin/access/log"), PeopleURL: v.url("admin/people"),
	}
	for _, name := range []string{"creates", "deletes", "manageRoles"} {
		x := site.SettingOf(name)
		o.Settings = append(o.Settings, console.Fact{Name: x.Label, Value: x.Brief(v.Site.Settings)})
	}
	for _, t := range liveTokens(facts.tokens, now) {
		o.Tokens = append(o.Tokens, p.tokenRow(v, t, now))
	}
	for _, row := range facts.calls[:min(len(facts.calls), 5)] {
		o.NewestRequests = append(o.NewestRequests, p.newLogRow(v, facts.tokens, row))
	}
	return p.show(w, r, http.StatusOK, "access", o)
}

// callsText says how many of the newest calls were changes, and how many were refused.
func callsText(c callSummary) string {
	switch {
	case c.total == 0:
		return "No call yet."
	case c.failed == 0:
		return fmt.Sprintf("Of the last %s: %s made or asked for a change, none was refused.", console.Plural(c.total, "call"), console.GroupDigits(c.changes))
	}
	return fmt.Sprintf("Of the last %s: %s made or asked for a change, %s refused.", console.Plural(c.total, "call"), console.GroupDigits(c.changes), console.GroupDigits(c.failed))
}

// strangersText returns a sentence that counts the calls without a token of this site. They are
// counted separately, because they need not come from the site's identity provider.
func strangersText(n int) string {
	switch {
	case n == 0:
		return ""
	case n >= maxStrangerCalls:
		return fmt.Sprintf("%d calls or more without a token of this site within a day; refused", maxStrangerCalls)
	}
	return console.Plural(n, "call") + " without a token of this site within a day; refused"
}

// listAttentionLines lists the problems that need an administrator. changes holds the calls that
// changed something, tried to change something or were refused, newest first.
func listAttentionLines(v *siteVisit, f scimFacts, changes []requestlog.Request, counts roster.Counts, now time.Time) []attentionLine {
	var list []attentionLine
	scim := console.Action{Text: "SCIM integration", URL: v.url("admin/access/scim")}
	live := liveTokens(f.tokens, now)
	c := summarizeCalls(f.calls)
	switch {
	case v.Site.SCIMEnabled && c.lastWithEndedToken.Time.After(c.lastSuccess) && endedCallMatters(c.lastWithEndedToken, live):
		list = append(list, attentionLine{
			console.ToneProblem, endedTokenText(c.lastWithEndedToken, f.tokens, now),
			console.Action{Text: "Show the calls", URL: v.url("admin/access/log?show=all&result=refused&token=" + url.QueryEscape(c.lastWithEndedToken.TokenID))},
		})
	case v.Site.SCIMEnabled && len(live) == 0 && len(f.tokens) > 0:
		list = append(list, attentionLine{console.ToneProblem, "No token is live, so the identity provider is refused.", scim})
	}
	f.calls = changes
	list = append(list, groupByCause(v, f.unfixedCalls())...)
	for _, t := range live {
		if !t.Expires.IsZero() && t.Expires.Sub(now) < tokenWarningTime {
			list = append(list, attentionLine{console.ToneWarning, fmt.Sprintf("Token %s expires %s. The identity provider is refused from then on.", t.Label(), console.RelativeTime(t.Expires, now)), scim})
		}
		if t.ReplacesOnUse != "" {
			list = append(list, attentionLine{console.ToneInfo, fmt.Sprintf("Token %s has not been used yet. The old one ends with its first call.", t.Label()), scim})
		}
	}
	if counts.Admins == 1 && counts.All > 1 {
		list = append(list, attentionLine{
			console.ToneInfo, "There is one active administrator. A second one can help if the first is away.",
			console.Action{Text: "People", URL: v.url("admin/people")},
		})
	}
	return list
}

// failureCause groups calls that were refused, or applied only in part, for the same reason.
type failureCause struct {
	callKind       string // a noun for the calls, such as "create"
	newestSentence string // the log's sentence about the newest of these calls
	method         string
	result         requestlog.Result
	callCount      int             // how many calls have this cause
	userNames      map[string]bool // lower-case user names of the people that the calls are about
	newestUserName string          // user name of the person that the newest call is about; may be empty
}

// maxCausesShown is how many causes the overview lists at most. The request log shows all calls.
const maxCausesShown = 5

// groupByCause groups the calls that were refused or applied only in part, and returns one line for
// each cause. Causes of refusals come first, then the causes with the most calls. It leaves out a
// refused call if the same kind of call for the same person succeeded later.
func groupByCause(v *siteVisit, rows []requestlog.Request) []attentionLine {
	var causes []*failureCause
	byKey, done := map[string]*failureCause{}, map[string]bool{}
	for _, r := range rows {
		if r.TokenEnded() {
			continue
		}
		about := cmp.Or(r.Subject, strings.ToLower(r.UserName))
		same := r.Method + "\x00" + about
		if !hasFailed(r) && len(r.Ignored) == 0 {
			done[same] = done[same] || about != ""
			continue
		}
		if hasFailed(r) && done[same] {
			continue
		}
		key := r.Method + "\x00" + string(r.Result()) + "\x00" + sentenceWithoutDetails(r)
		c := byKey[key]
		if c == nil {
			c = &failureCause{callKind: callNoun(r), newestSentence: r.Sentence, method: r.Method, result: r.Result(), newestUserName: r.UserName, userNames: map[string]bool{}}
			byKey[key] = c
			causes = append(causes, c)
		}
		c.callCount++
		if r.UserName != "" {
			c.userNames[strings.ToLower(r.UserName)] = true
		}
	}
	slices.SortStableFunc(causes, func(a, b *failureCause) int {
		return cmp.Or(cmp.Compare(resultRank(a.result), resultRank(b.result)), cmp.Compare(b.callCount, a.callCount))
	})
	var list []attentionLine
	for _, c := range causes[:min(len(causes), maxCausesShown)] {
		list = append(list, c.toAttentionLine(v))
	}
	if more := len(causes) - maxCausesShown; more > 0 {
		list = append(list, attentionLine{console.ToneWarning, console.Plural(more, "other cause") + " of refusals within a day.", console.Action{Text: "Show", URL: v.url("admin/access/log?result=refused")}})
	}
	return list
}

// resultRank returns the place of a result in the list of causes: refusals come first.
func resultRank(r requestlog.Result) int {
	if r == requestlog.Refused {
		return 0
	}
	return 1
}

// toAttentionLine returns the line that shows this cause.
func (c *failureCause) toAttentionLine(v *siteVisit) attentionLine {
	q := url.Values{"result": {string(c.result)}, "method": {c.method}}
	a := attentionLine{Tone: console.ToneWarning, Action: console.Action{Text: "Show"}}
	what := "applied only in part"
	if c.result == requestlog.Refused {
		a.Tone, what = console.ToneProblem, "refused"
	}
	switch {
	case len(c.userNames) == 1:
		a.Text = c.newestUserName + ": " + withFullStop(c.newestSentence)
		if c.callCount > 1 {
			a.Text += " (" + console.Plural(c.callCount, "call") + ")"
		}
		q.Set("q", c.newestUserName)
	case c.callCount == 1:
		a.Text = withFullStop(c.newestSentence)
	default:
		a.Text = fmt.Sprintf("%s %s, same cause: %s", console.Plural(c.callCount, c.callKind), what, withFullStop(c.newestSentence))
	}
	a.Action.URL = v.url("admin/access/log?" + q.Encode())
	return a
}

// callNoun returns a noun for the kind of a call, such as "create". console.Plural can add an s to
// it.
func callNoun(r requestlog.Request) string {
	switch r.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut, http.MethodPatch:
		return "update"
	case http.MethodDelete:
		return "delete"
	}
	return "call"
}

// sentenceWithoutDetails returns the log's sentence about a call, without the words that concern
// only one person, such as the user name.
func sentenceWithoutDetails(r requestlog.Request) string {
	text := r.Sentence
	if r.UserName != "" {
		text = strings.ReplaceAll(text, r.UserName, "")
	}
	return console.ParticularWords.ReplaceAllString(text, "…")
}
