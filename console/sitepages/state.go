package sitepages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
)

// maxRecentCalls is how many rows of the request log decideState looks at, at most.
const maxRecentCalls = 50

// recentPeriod is the largest age of the rows that decideState looks at. It limits the search in
// the log of a site that gets only calls of strangers. A stranger is a caller without a token of
// the site.
const recentPeriod = 7 * 24 * time.Hour

// maxStrangerCalls is how many calls of strangers the server counts at most.
const maxStrangerCalls = 100

// minFailures is the smallest number of failed calls that makes a site "Failing", if they are also
// more than a fifth of the recent calls.
const minFailures = 3

// quietAfter is the time without calls after which the state of a site is "Quiet". Entra ID calls
// every 20 to 40 minutes.
const quietAfter = 24 * time.Hour

// scimStatus is the state of a site's SCIM integration.
type scimStatus string

const (
	statusNotSetUp scimStatus = "Not set up"
	statusWaiting  scimStatus = "Waiting for first call"
	statusWorking  scimStatus = "Working"
	statusQuiet    scimStatus = "Quiet"
	statusFailing  scimStatus = "Failing"
	statusRejected scimStatus = "Rejected"
	statusOff      scimStatus = "Off"
)

// scimState is the status of a site's SCIM integration, with a sentence that explains it.
type scimState struct {
	Status   scimStatus
	Sentence string // begins with the status, then explains it
}

// Badge returns the status as a badge.
func (s scimState) Badge() *console.Badge {
	tones := map[scimStatus]console.Tone{
		statusNotSetUp: console.ToneQuiet, statusWaiting: console.ToneInfo, statusWorking: console.ToneGood, statusQuiet: console.ToneWarning, statusFailing: console.ToneProblem, statusRejected: console.ToneProblem, statusOff: console.ToneQuiet,
	}
	return &console.Badge{Tone: tones[s.Status], Text: string(s.Status)}
}

// Detail returns the sentence without the status, for pages that show the badge next to it.
func (s scimState) Detail() string {
	rest := strings.TrimPrefix(s.Sentence, string(s.Status)+". ")
	return strings.TrimPrefix(rest, "Waiting for the first call. ")
}

// scimFacts holds the facts from which decideState decides the state.
type scimFacts struct {
	tokens []site.Token // newest first
	// calls are the newest calls with a token of the site, newest first. Calls of strangers are
	// left out: anyone can call the address, so such calls tell nothing about the identity
	// provider.
	calls          []requestlog.Request
	settingChanges []event.Event // changes of settings since the oldest of these calls, newest first
	strangerCalls  int           // number of calls of strangers within a day; maxStrangerCalls means "or more"
}

// readFacts reads the facts about the site's SCIM integration.
func (p *Pages) readFacts(ctx context.Context, v *siteVisit) (f scimFacts, err error) {
	now := p.Console.Options.Now()
	if f.tokens, err = p.Sites.Tokens(ctx, v.Site.ID); err != nil {
		return f, err
	}
	f.calls, _, err = p.Requests.Page(ctx, v.Site.ID, requestlog.Query{Filter: requestlog.Filter{Token: requestlog.AnyToken, From: now.Add(-recentPeriod)}, Limit: maxRecentCalls})
	if err != nil {
		return f, err
	}
	strangers, _, err := p.Requests.Page(ctx, v.Site.ID, requestlog.Query{Filter: requestlog.Filter{Token: requestlog.NoToken, From: now.Add(-24 * time.Hour)}, Limit: maxStrangerCalls})
	if err != nil {
		return f, err
	}
	f.strangerCalls = len(strangers)
	if len(f.calls) > 0 {
		var found event.Page
		found, err = event.Search(ctx, p.Events, event.Query{Scope: event.Site(string(v.Site.ID)), Kinds: []string{"site."}, From: f.calls[len(f.calls)-1].Time, Limit: maxRecentCalls})
		f.settingChanges = found.Events
	}
	return f, err
}

// fixedRefusals maps the name of an event about a changed setting to a function. The function
// reports whether the change fixes the cause of a refused call. Such refusals tell nothing about
// the current state of the site.
var fixedRefusals = map[string]func(r requestlog.Request) bool{
	event.SiteSCIMEnabled: func(r requestlog.Request) bool { return r.Status == http.StatusForbidden },
	event.SiteCreatesChanged: func(r requestlog.Request) bool {
		return r.Status == http.StatusNotImplemented && r.Method == http.MethodPost
	},
	event.SiteRevivesChanged: func(r requestlog.Request) bool { return r.Status == http.StatusConflict && r.Method == http.MethodPost },
	event.SiteDeletesChanged: func(r requestlog.Request) bool {
		return r.Status == http.StatusNotImplemented && r.Method == http.MethodDelete
	},
	event.SiteGroupsChanged:    func(r requestlog.Request) bool { return r.Status == http.StatusNotImplemented },
	event.SiteStrictDisabled:   func(r requestlog.Request) bool { return r.Status == http.StatusBadRequest },
	event.SiteSchemasChanged:   func(r requestlog.Request) bool { return r.Status == http.StatusBadRequest },
	event.SiteRateLimitChanged: func(r requestlog.Request) bool { return r.Status == http.StatusTooManyRequests },
}

// unfixedCalls returns the calls without those refusals whose cause a later change of a setting has
// fixed.
func (f scimFacts) unfixedCalls() []requestlog.Request {
	var list []requestlog.Request
	for _, r := range f.calls {
		settled := slices.ContainsFunc(f.settingChanges, func(e event.Event) bool {
			settles := fixedRefusals[e.Name]
			return settles != nil && e.Time.After(r.Time) && settles(r)
		})
		if !settled {
			list = append(list, r)
		}
	}
	return list
}

// scimEnabledAt returns when SCIM was last turned on. It returns the zero time if that was before
// the oldest call in f.calls.
func (f scimFacts) scimEnabledAt() time.Time {
	for _, e := range f.settingChanges {
		if e.Name == event.SiteSCIMEnabled {
			return e.Time
		}
	}
	return time.Time{}
}

// callSummary summarizes the newest calls in the request log.
type callSummary struct {
	total, changes, failed int                // numbers of all calls, of successful changes and of failed calls
	lastCall               requestlog.Request // the newest call with an accepted token
	lastSuccess            time.Time          // time of the newest successful call
	lastWithEndedToken     requestlog.Request // the newest call whose token had been revoked or had expired
}

// summarizeCalls summarizes rows of the request log. The newest row must be the first. It ignores
// calls of strangers.
func summarizeCalls(rows []requestlog.Request) callSummary {
	var c callSummary
	for _, r := range rows {
		if r.TokenEnded() && c.lastWithEndedToken.Time.IsZero() {
			c.lastWithEndedToken = r
		}
		if r.TokenEnded() || r.IsStranger() {
			continue
		}
		c.total++
		if c.lastCall.Time.IsZero() {
			c.lastCall = r
		}
		if hasFailed(r) {
			c.failed++
			continue
		}
		if r.IsChange() {
			c.changes++
		}
		if c.lastSuccess.IsZero() {
			c.lastSuccess = r.Time
		}
	}
	return c
}

// hasFailed reports whether a call failed, so that the identity provider could not do its work. A
// lookup that finds nothing has not failed.
func hasFailed(r requestlog.Request) bool {
	if r.Status == http.StatusNotFound && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return false
	}
	return r.Status >= http.StatusBadRequest
}

// decideState decides the state of a site's SCIM integration.
func decideState(s site.Site, f scimFacts, now time.Time) scimState {
	current := f.unfixedCalls()
	c := summarizeCalls(current)
	live := liveTokens(f.tokens, now)
	success := c.lastSuccess
	for _, t := range f.tokens {
		if len(f.calls) == 0 && t.LastUsed.After(success) {
			success = t.LastUsed // the log no longer has the calls with this token
		}
	}
	on := f.scimEnabledAt()
	switch {
	case !s.SCIMEnabled && len(f.tokens) == 0:
		return scimState{statusNotSetUp, "Not set up. Check Enable SCIM, then generate a token for your identity provider."}
	case !s.SCIMEnabled && success.IsZero():
		return scimState{statusOff, "Off. Check Enable SCIM to let your identity provider in with its token."}
	case !s.SCIMEnabled:
		return scimState{statusOff, "Off. The identity provider is refused; people keep their access and role as they are."}
	case len(f.tokens) == 0:
		return scimState{statusNotSetUp, "Not set up. SCIM is on, but there is no token yet: generate one for your identity provider."}
	case c.lastWithEndedToken.Time.After(success) && endedCallMatters(c.lastWithEndedToken, live):
		return scimState{statusRejected, "Rejected. " + endedTokenText(c.lastWithEndedToken, f.tokens, now) + " " + lastSuccessText(success, now)}
	case len(live) == 0:
		return scimState{statusNotSetUp, "Not set up. No token is live any more: generate one and give it to your identity provider. " + lastSuccessText(success, now)}
	case c.total == 0 && success.IsZero() && on.IsZero():
		return scimState{statusWaiting, "Waiting for the first call. Give the Tenant URL and the token to your identity provider and test the connection there."}
	case on.After(success) && on.After(c.lastCall.Time):
		return scimState{statusWaiting, fmt.Sprintf("Waiting for the first call since SCIM was switched on, %s. %s", console.RelativeTime(on, now), lastSuccessText(success, now))}
	case c.total == 0 && success.IsZero():
		return scimState{statusWaiting, "Waiting for the first call since the settings were changed. " + lastSuccessText(success, now)}
	case c.total > 0 && hasFailed(c.lastCall):
		return scimState{statusFailing, fmt.Sprintf("Failing. The last call, %s, was refused: %s", console.RelativeTime(c.lastCall.Time, now), withFullStop(c.lastCall.Sentence))}
	case c.failed >= minFailures && c.failed*5 > c.total:
		return scimState{statusFailing, fmt.Sprintf("Failing. %d of the last %d calls were refused. The last one, %s, was answered.",
			c.failed, c.total, console.RelativeTime(c.lastCall.Time, now))}
	case now.Sub(success) > quietAfter:
		return scimState{statusQuiet, fmt.Sprintf("Quiet. No call for %s. Entra ID asks every 20 to 40 minutes; a job in quarantine asks once a day, then stops.", console.SpellDuration(now.Sub(success)))}
	}
	last := "Last call"
	if len(current) < len(f.calls) {
		last = "Last accepted call"
	}
	return scimState{statusWorking, fmt.Sprintf("Working. %s %s.", last, console.RelativeTime(success, now))}
}

// endedCallMatters reports whether a call with an ended token is still a problem. It is no problem
// if the call is older than every live token: the identity provider may have got a live token
// since.
func endedCallMatters(r requestlog.Request, live []site.Token) bool {
	for _, t := range live {
		if !r.Time.Before(t.Created) {
			return true
		}
	}
	return len(live) == 0
}

// endedTokenText says which token a refused call came with, how that token ended, and what to do.
func endedTokenText(r requestlog.Request, tokens []site.Token, now time.Time) string {
	name, how := "…"+r.TokenLast4, "has ended"
	for _, t := range tokens {
		if t.ID != r.TokenID {
			continue
		}
		name = t.Label()
		switch {
		case !t.Revoked.IsZero():
			how = "was revoked or replaced " + console.RelativeTime(t.Revoked, now)
		case !t.IsLive(now):
			how = "expired " + console.RelativeTime(t.Expires, now)
		}
	}
	todo := "Generate a token and give it to your identity provider."
	if len(liveTokens(tokens, now)) > 0 {
		todo = "Give your identity provider the token that is live, or generate another one."
	}
	return fmt.Sprintf("%s a call came with the token %s, which %s. %s", capitalize(console.RelativeTime(r.Time, now)), name, how, todo)
}

func liveTokens(tokens []site.Token, now time.Time) []site.Token {
	var live []site.Token
	for _, t := range tokens {
		if t.IsLive(now) {
			live = append(live, t)
		}
	}
	return live
}

func lastSuccessText(success, now time.Time) string {
	if success.IsZero() {
		return "No call has been accepted yet."
	}
	return "The last accepted call was " + console.RelativeTime(success, now) + "."
}

func capitalize(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func withFullStop(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
