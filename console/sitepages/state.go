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

// recentCalls is how many rows of the request log are read to find the state.
const recentCalls = 50

// callsReach is the largest age of the rows that are read. It limits the search on a site that gets
// only calls of strangers.
const callsReach = 7 * 24 * time.Hour

// maxStrangers is where the counting of strangers' calls stops.
const maxStrangers = 100

// minFailures is how many calls must have failed before the failure rate counts. If then more than
// a fifth of the calls failed, the state is "Failing".
const minFailures = 3

// quietAfter is how long a site may get no calls before its state is "Quiet". Entra ID calls every
// 20 to 40 minutes.
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

// scimState is the status with a sentence that explains it.
type scimState struct {
	Status   scimStatus
	Sentence string // describes the state, with a time if there is one
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

// scimFacts holds the facts from which stateOf decides the state.
type scimFacts struct {
	tokens []site.Token // newest first
	// calls are the newest calls with a token that the site issued, newest first. Calls of
	// strangers are left out: anyone can call the address, so such calls tell nothing about the
	// identity provider.
	calls     []requestlog.Request
	settings  []event.Event // changes of settings since the oldest of these calls, newest first
	strangers int           // calls of strangers within a day; maxStrangers means "or more"
}

// readFacts reads the facts about the site.
func (p *Pages) readFacts(ctx context.Context, v *siteVisit) (f scimFacts, err error) {
	now := p.Console.Options.Now()
	if f.tokens, err = p.Sites.Tokens(ctx, v.Site.ID); err != nil {
		return f, err
	}
	f.calls, _, err = p.Requests.Page(ctx, v.Site.ID, requestlog.Query{Filter: requestlog.Filter{Token: requestlog.AnyToken, From: now.Add(-callsReach)}, Limit: recentCalls})
	if err != nil {
		return f, err
	}
	strangers, _, err := p.Requests.Page(ctx, v.Site.ID, requestlog.Query{Filter: requestlog.Filter{Token: requestlog.NoToken, From: now.Add(-24 * time.Hour)}, Limit: maxStrangers})
	if err != nil {
		return f, err
	}
	f.strangers = len(strangers)
	if len(f.calls) > 0 {
		var found event.Page
		found, err = event.Search(ctx, p.Events, event.Query{Scope: event.Site(string(v.Site.ID)), Kinds: []string{"site."}, From: f.calls[len(f.calls)-1].Time, Limit: recentCalls})
		f.settings = found.Events
	}
	return f, err
}

// fixedRefusals maps a change of a setting to the refusals that it fixes. Such refusals tell
// nothing about the current state of the site.
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

// unfixedCalls returns the calls, without refusals that a later change of a setting has fixed.
func (f scimFacts) unfixedCalls() []requestlog.Request {
	var list []requestlog.Request
	for _, r := range f.calls {
		settled := slices.ContainsFunc(f.settings, func(e event.Event) bool {
			settles := fixedRefusals[e.Name]
			return settles != nil && e.Time.After(r.Time) && settles(r)
		})
		if !settled {
			list = append(list, r)
		}
	}
	return list
}

// switchedOn returns when SCIM was last turned on. It returns the zero time if f.settings begins
// later than that.
func (f scimFacts) switchedOn() time.Time {
	for _, e := range f.settings {
		if e.Name == event.SiteSCIMEnabled {
			return e.Time
		}
	}
	return time.Time{}
}

// callSummary summarizes the newest rows of the request log.
type callSummary struct {
	total, changes, failed int                // numbers of calls
	lastCall               requestlog.Request // the newest call with an accepted token
	lastSuccess            time.Time          // time of the newest successful call
	lastEnded              requestlog.Request // the newest call whose token had ended
}

// readCalls summarizes rows, newest first. It ignores calls of strangers.
func readCalls(rows []requestlog.Request) callSummary {
	var c callSummary
	for _, r := range rows {
		if r.TokenEnded() && c.lastEnded.Time.IsZero() {
			c.lastEnded = r
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

// hasFailed reports whether a call failed in a way that left the identity provider's work undone. A
// lookup that finds nothing has not failed.
func hasFailed(r requestlog.Request) bool {
	if r.Status == http.StatusNotFound && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return false
	}
	return r.Status >= http.StatusBadRequest
}

// stateOf decides the state of a site.
func stateOf(s site.Site, f scimFacts, now time.Time) scimState {
	current := f.unfixedCalls()
	c := readCalls(current)
	live := liveTokens(f.tokens, now)
	success := c.lastSuccess
	for _, t := range f.tokens {
		if len(f.calls) == 0 && t.LastUsed.After(success) {
			success = t.LastUsed // the log no longer has the requests with this token
		}
	}
	on := f.switchedOn()
	switch {
	case !s.SCIMEnabled && len(f.tokens) == 0:
		return scimState{statusNotSetUp, "Not set up. Check Enable SCIM, then generate a token for your identity provider."}
	case !s.SCIMEnabled && success.IsZero():
		return scimState{statusOff, "Off. Check Enable SCIM to let your identity provider in with its token."}
	case !s.SCIMEnabled:
		return scimState{statusOff, "Off. The identity provider is refused; people keep their access and role as they are."}
	case len(f.tokens) == 0:
		return scimState{statusNotSetUp, "Not set up. SCIM is on, but there is no token yet: generate one for your identity provider."}
	case c.lastEnded.Time.After(success) && endedCallMatters(c.lastEnded, live):
		return scimState{statusRejected, "Rejected. " + endedText(c.lastEnded, f.tokens, now) + " " + lastSuccessText(success, now)}
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

// endedCallMatters reports whether a call with an ended token matters. A call from before the
// creation of the live token does not matter: the identity provider has received the new token
// since.
func endedCallMatters(r requestlog.Request, live []site.Token) bool {
	for _, t := range live {
		if !r.Time.Before(t.Created) {
			return true
		}
	}
	return len(live) == 0
}

// endedText says which token was refused and why, and what to do about it.
func endedText(r requestlog.Request, tokens []site.Token, now time.Time) string {
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
	return fmt.Sprintf("%s a call came with the token %s, which %s. %s", sentenceStart(console.RelativeTime(r.Time, now)), name, how, todo)
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

func sentenceStart(text string) string {
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
