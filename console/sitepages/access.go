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

// expiresSoon is how long before a token expires the overview begins to warn.
const expiresSoon = 30 * 24 * time.Hour

// The overview looks for problems among at most attentionCalls calls that are no older than
// attentionReach.
const (
	attentionReach = 24 * time.Hour
	attentionCalls = 500
)

// overviewPage is the data of the view "access": the state of SCIM, since when it lasts, and what
// needs attention.
type overviewPage struct {
	console.Page
	Calls     string // summary of the newest calls
	Strangers string // summary of calls without a token of this site; empty if there are none
	Tokens    []tokenRow
	Counts    peopleCounts
	Attention []attentionLine
	Rows      []logRow       // the newest requests
	SCIM      string         // address of the page SCIM integration
	Log       string         // address of the request log
	People    string         // address of the list of people
	Settings  []console.Fact // the settings that limit what SCIM may do
}

// peopleCounts are formatted numbers of people.
type peopleCounts struct{ Active, Deactivated, NeverSignedIn, Admins string }

// attentionLine is one line of "Needs attention".
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
		Filter: requestlog.Filter{Token: requestlog.AnyToken, OnlyChanges: true, From: now.Add(-attentionReach)}, Limit: attentionCalls,
	})
	if err != nil {
		return err
	}
	state := stateOf(v.Site, facts, now)
	pg := v.page
	pg.Title, pg.Crumbs = "Access management", v.crumbs()
	pg.Badge, pg.StatusLine = state.Badge(), state.Detail()
	o := overviewPage{
		Page: pg, Calls: callsText(readCalls(facts.calls)), Strangers: strangersText(facts.strangers),
		Counts:    peopleCounts{console.GroupDigits(counts.Active), console.GroupDigits(counts.Deactivated), console.GroupDigits(counts.NeverSignedIn), console.GroupDigits(counts.Admins)},
		Attention: needsAttention(v, facts, changes, counts, now),
		SCIM:      v.url("admin/access/scim"), Log: v.url("admin/access/log"), People: v.url("admin/people"),
	}
	for _, name := range []string{"creates", "deletes", "manageRoles"} {
		x := site.SettingOf(name)
		o.Settings = append(o.Settings, console.Fact{Name: x.Label, Value: x.Brief(v.Site.Settings)})
	}
	for _, t := range liveTokens(facts.tokens, now) {
		o.Tokens = append(o.Tokens, p.tokenRow(v, t, now))
	}
	for _, row := range facts.calls[:min(len(facts.calls), 5)] {
		o.Rows = append(o.Rows, p.rowOf(v, facts.tokens, row))
	}
	return p.show(w, r, http.StatusOK, "access", o)
}

func callsText(c callSummary) string {
	switch {
	case c.total == 0:
		return "No call yet."
	case c.failed == 0:
		return fmt.Sprintf("Of the last %s: %s made or asked for a change, none was refused.", console.Plural(c.total, "call"), console.GroupDigits(c.changes))
	}
	return fmt.Sprintf("Of the last %s: %s made or asked for a change, %s refused.", console.Plural(c.total, "call"), console.GroupDigits(c.changes), console.GroupDigits(c.failed))
}

// strangersText counts the calls without a token of this site. Such calls tell nothing about the
// site's identity provider.
func strangersText(n int) string {
	switch {
	case n == 0:
		return ""
	case n >= maxStrangers:
		return fmt.Sprintf("%d calls or more without a token of this site within a day; refused", maxStrangers)
	}
	return console.Plural(n, "call") + " without a token of this site within a day; refused"
}

// needsAttention lists what an administrator should look at, the worst first. changes holds the
// calls that changed something, tried to change something or were refused, newest first.
func needsAttention(v *siteVisit, f scimFacts, changes []requestlog.Request, counts roster.Counts, now time.Time) []attentionLine {
	var list []attentionLine
	scim := console.Action{Text: "SCIM integration", URL: v.url("admin/access/scim")}
	live := liveTokens(f.tokens, now)
	c := readCalls(f.calls)
	switch {
	case v.Site.SCIMEnabled && c.lastEnded.Time.After(c.lastSuccess) && endedCallMatters(c.lastEnded, live):
		list = append(list, attentionLine{
			console.ToneProblem, endedText(c.lastEnded, f.tokens, now),
			console.Action{Text: "Show the calls", URL: v.url("admin/access/log?show=all&result=refused&token=" + url.QueryEscape(c.lastEnded.TokenID))},
		})
	case v.Site.SCIMEnabled && len(live) == 0 && len(f.tokens) > 0:
		list = append(list, attentionLine{console.ToneProblem, "No token is live, so the identity provider is refused.", scim})
	}
	f.calls = changes
	list = append(list, groupRefusals(v, f.unfixedCalls())...)
	for _, t := range live {
		if !t.Expires.IsZero() && t.Expires.Sub(now) < expiresSoon {
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

// cause is the common cause of several calls that were refused or only partly applied.
type cause struct {
	kind   string // the kind of call, such as "create"
	text   string // the sentence of the newest call
	method string
	result requestlog.Result
	calls  int             // how many calls have this cause
	people map[string]bool // ids of the people that the calls are about
	who    string          // the person that the newest call is about
}

// causesShown is how many causes the overview lists. The request log shows all.
const causesShown = 5

// groupRefusals groups failed and only partly applied calls by their cause. Refusals come first,
// then the cause with the most calls. A refused call is left out if the same kind of call for the
// same person succeeded later.
func groupRefusals(v *siteVisit, rows []requestlog.Request) []attentionLine {
	var causes []*cause
	byKey, done := map[string]*cause{}, map[string]bool{}
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
		key := r.Method + "\x00" + string(r.Result()) + "\x00" + sentenceOfCause(r)
		c := byKey[key]
		if c == nil {
			c = &cause{kind: callKind(r), text: r.Sentence, method: r.Method, result: r.Result(), who: r.UserName, people: map[string]bool{}}
			byKey[key] = c
			causes = append(causes, c)
		}
		c.calls++
		if r.UserName != "" {
			c.people[strings.ToLower(r.UserName)] = true
		}
	}
	slices.SortStableFunc(causes, func(a, b *cause) int {
		return cmp.Or(cmp.Compare(causeRank(a.result), causeRank(b.result)), cmp.Compare(b.calls, a.calls))
	})
	var list []attentionLine
	for _, c := range causes[:min(len(causes), causesShown)] {
		list = append(list, c.toAttention(v))
	}
	if more := len(causes) - causesShown; more > 0 {
		list = append(list, attentionLine{console.ToneWarning, console.Plural(more, "other cause") + " of refusals within a day.", console.Action{Text: "Show", URL: v.url("admin/access/log?result=refused")}})
	}
	return list
}

func causeRank(r requestlog.Result) int {
	if r == requestlog.Refused {
		return 0
	}
	return 1
}

// toAttention returns the line for this cause.
func (c *cause) toAttention(v *siteVisit) attentionLine {
	q := url.Values{"result": {string(c.result)}, "method": {c.method}}
	a := attentionLine{Tone: console.ToneWarning, Action: console.Action{Text: "Show"}}
	what := "applied only in part"
	if c.result == requestlog.Refused {
		a.Tone, what = console.ToneProblem, "refused"
	}
	switch {
	case len(c.people) == 1:
		a.Text = c.who + ": " + withFullStop(c.text)
		if c.calls > 1 {
			a.Text += " (" + console.Plural(c.calls, "call") + ")"
		}
		q.Set("q", c.who)
	case c.calls == 1:
		a.Text = withFullStop(c.text)
	default:
		a.Text = fmt.Sprintf("%s %s, same cause: %s", console.Plural(c.calls, c.kind), what, withFullStop(c.text))
	}
	a.Action.URL = v.url("admin/access/log?" + q.Encode())
	return a
}

// callKind names the kind of a call with a word to which Plural can add an s.
func callKind(r requestlog.Request) string {
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

// sentenceOfCause returns the sentence of a call, without the details that concern only one person.
func sentenceOfCause(r requestlog.Request) string {
	text := r.Sentence
	if r.UserName != "" {
		text = strings.ReplaceAll(text, r.UserName, "")
	}
	return console.ParticularWords.ReplaceAllString(text, "…")
}
