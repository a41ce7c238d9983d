package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// expiresSoon is how long before a token's end the overview speaks of it.
const expiresSoon = 30 * 24 * time.Hour

// overviewPage is the view "site_access": is it working, since when, what needs attention.
type overviewPage struct {
	page
	State     scimState
	Calls     string // what the newest calls were
	Tokens    []tokenRow
	Counts    roster.Counts
	Attention []attention
	Rows      []logRow
	SCIM      string
	Log       string
	People    string
	Switches  []fact
}

// attention is one line of "Needs attention".
type attention struct {
	Tone   tone
	Text   string
	Action action
}

// fact is a name and a value.
type fact struct{ Name, Value string }

func (p *SitePages) showOverview(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	ctx, now := r.Context(), p.Console.options.Now()
	tokens, rows, err := p.scimFacts(ctx, v)
	if err != nil {
		return err
	}
	counts, err := v.Roster.Counts(ctx)
	if err != nil {
		return err
	}
	state := judge(v.Site, tokens, rows, now)
	pg := v.page
	pg.Title, pg.Crumbs = "Access management", v.crumbs()
	pg.Badge, pg.StatusLine = state.Badge(), state.Sentence
	o := overviewPage{
		page: pg, State: state, Calls: callsText(readCalls(rows)), Counts: counts,
		Attention: needsAttention(v, tokens, rows, counts, now),
		SCIM:      v.url("admin/access/scim"), Log: v.url("admin/access/log"), People: v.url("admin/people"),
		Switches: []fact{
			{"Enable SCIM", onOff(v.Site.SCIMEnabled)},
			{"Allow SCIM to manage user roles", onOff(v.Site.ManageRoles)},
			{"When the IdP sends Create", createText(v.Site.Creates)},
			{"When the IdP sends Delete", deleteText(v.Site.Deletes)},
			{"Groups", onOff(v.Site.Groups)},
		},
	}
	for _, t := range liveTokens(tokens, now) {
		o.Tokens = append(o.Tokens, p.tokenRow(v, t, now))
	}
	for _, row := range rows[:min(len(rows), 5)] {
		o.Rows = append(o.Rows, rowOf(v, row))
	}
	return p.Console.view(w, r, http.StatusOK, "site_access", o)
}

// scimFacts is what the state is judged by.
func (p *SitePages) scimFacts(ctx context.Context, v *siteVisit) ([]site.Token, []site.Request, error) {
	tokens, err := p.Sites.Tokens(ctx, v.Site.ID)
	if err != nil {
		return nil, nil, err
	}
	rows, _, err := p.Sites.Requests(ctx, v.Site.ID, site.RequestQuery{Limit: recentCalls})
	return tokens, rows, err
}

func callsText(c calls) string {
	switch {
	case c.total == 0:
		return "No call yet."
	case c.failed == 0:
		return fmt.Sprintf("Of the last %s: %d made or asked for a change, none was refused.", count(c.total, "call"), c.changes)
	}
	return fmt.Sprintf("Of the last %s: %d made or asked for a change, %d refused.", count(c.total, "call"), c.changes, c.failed)
}

// needsAttention lists what somebody should look at, the worst first.
func needsAttention(v *siteVisit, tokens []site.Token, rows []site.Request, counts roster.Counts, now time.Time) []attention {
	var list []attention
	scim := action{Text: "SCIM integration", URL: v.url("admin/access/scim")}
	if c := readCalls(rows); v.Site.SCIMEnabled && !c.stranger.Time.IsZero() && c.stranger.Time.After(c.success) {
		list = append(list, attention{
			bad, "A token that is not known here was used " + relative(c.stranger.Time, now) + ending(c.stranger) + ". If that is your identity provider, give it the token that is live.",
			action{Text: "Show the calls", URL: v.url("admin/access/log?result=refused")},
		})
	}
	list = append(list, refusals(v, rows)...)
	for _, t := range liveTokens(tokens, now) {
		if !t.Expires.IsZero() && t.Expires.Sub(now) < expiresSoon {
			list = append(list, attention{warn, fmt.Sprintf("Token %s expires %s. The identity provider is refused from then on.", t.Label(), relative(t.Expires, now)), scim})
		}
		if t.ReplacesOnUse != "" {
			list = append(list, attention{info, fmt.Sprintf("Token %s has not been used yet. The old one ends with its first call.", t.Label()), scim})
		}
	}
	if counts.Admins == 1 && counts.All > 1 {
		list = append(list, attention{
			info, "There is one active administrator. A second one can help if the first is away.",
			action{Text: "People", URL: v.url("admin/people")},
		})
	}
	return list
}

// refusals are the distinct things that went wrong among rows, newest first, three at most.
func refusals(v *siteVisit, rows []site.Request) []attention {
	var list []attention
	seen := make(map[string]bool)
	for _, r := range rows {
		bare := r.Status == http.StatusUnauthorized || (!failed(r) && len(r.Ignored) == 0)
		key := r.UserName + "\x00" + r.Sentence
		if bare || seen[key] || len(list) == 3 {
			continue
		}
		seen[key] = true
		a := attention{Tone: warn, Text: period(r.Sentence), Action: action{Text: "Show the call", URL: v.url("admin/access/log?result=ignored")}}
		if failed(r) {
			a.Tone, a.Action.URL = bad, v.url("admin/access/log?result=refused")
		}
		if r.UserName != "" {
			a.Text = r.UserName + ": " + a.Text
			a.Action.URL += "&q=" + url.QueryEscape(r.UserName)
		}
		list = append(list, a)
	}
	return list
}

func onOff(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}
