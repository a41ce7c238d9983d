package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/site"
)

// recentCalls is how many rows of the request log the state looks at.
const recentCalls = 50

// fewFailures are too few to speak of a rate: from here on more than a fifth is failing.
const fewFailures = 3

// quietAfter is how long silence is ordinary. Entra asks every 20 to 40 minutes.
const quietAfter = 24 * time.Hour

// scimStatus is where a site's SCIM stands.
type scimStatus string

const (
	notSetUp    scimStatus = "Not set up"
	waiting     scimStatus = "Waiting for first call"
	working     scimStatus = "Working"
	quietFor    scimStatus = "Quiet"
	failing     scimStatus = "Failing"
	rejected    scimStatus = "Rejected"
	switchedOff scimStatus = "Off"
)

// scimState is the state with the sentence that explains it.
type scimState struct {
	Status   scimStatus
	Sentence string // with a time where there is one
}

// Badge is the state in one or two words.
func (s scimState) Badge() *badge {
	tones := map[scimStatus]tone{
		notSetUp: quiet, waiting: info, working: ok, quietFor: warn, failing: bad, rejected: bad, switchedOff: quiet,
	}
	return &badge{Tone: tones[s.Status], Text: string(s.Status)}
}

// calls is what the newest rows of the request log say.
type calls struct {
	total, changes, failed int
	last                   site.Request // the newest that carried an accepted token
	success                time.Time    // of the newest that was answered well
	stranger               site.Request // the newest with a token that is not known
}

// readCalls sums up rows, newest first.
func readCalls(rows []site.Request) calls {
	var c calls
	for _, r := range rows {
		if r.Status == http.StatusUnauthorized {
			if c.stranger.Time.IsZero() {
				c.stranger = r
			}
			continue
		}
		c.total++
		if c.last.Time.IsZero() {
			c.last = r
		}
		if failed(r) {
			c.failed++
			continue
		}
		if r.IsChange() {
			c.changes++
		}
		if c.success.IsZero() {
			c.success = r.Time
		}
	}
	return c
}

// failed is an answer that leaves the identity provider's job undone. Asking for what is not there is an answered question.
func failed(r site.Request) bool {
	if r.Status == http.StatusNotFound && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return false
	}
	return r.Status >= http.StatusBadRequest
}

// judge decides the state from the settings, the tokens (newest first) and the newest rows of the request log (newest first).
func judge(s site.Site, tokens []site.Token, rows []site.Request, now time.Time) scimState {
	c := readCalls(rows)
	live := liveTokens(tokens, now)
	success := c.success
	for _, t := range tokens {
		if success.IsZero() && c.total == 0 && t.LastUsed.After(success) {
			success = t.LastUsed // the rows that show it have been pruned, or strangers crowd them out
		}
	}
	switch {
	case !s.SCIMEnabled && len(tokens) == 0:
		return scimState{notSetUp, "Not set up. Check Enable SCIM, then generate a token for your identity provider."}
	case !s.SCIMEnabled && success.IsZero():
		return scimState{switchedOff, "Off. Check Enable SCIM to let your identity provider in with its token."}
	case !s.SCIMEnabled:
		return scimState{switchedOff, "Off. The identity provider is refused; people keep their access and role as they are."}
	case len(live) == 0 && len(tokens) == 0:
		return scimState{notSetUp, "Not set up. SCIM is on, but there is no token yet: generate one for your identity provider."}
	case c.stranger.Time.After(success) && strangerCounts(c.stranger, live):
		return scimState{rejected, fmt.Sprintf("Rejected. %s someone used a token that is not known here%s. %s",
			sentenceStart(relative(c.stranger.Time, now)), ending(c.stranger), lastGood(success, now))}
	case len(live) == 0:
		return scimState{rejected, "Rejected. No token is live: the identity provider is refused until you generate one and give it to it. " + lastGood(success, now)}
	case c.total == 0 && success.IsZero():
		return scimState{waiting, "Waiting for the first call. Give the Tenant URL and the token to your identity provider and test the connection there."}
	case c.total > 0 && failed(c.last):
		return scimState{failing, fmt.Sprintf("Failing. The last call, %s, was refused: %s", relative(c.last.Time, now), period(c.last.Sentence))}
	case c.failed >= fewFailures && c.failed*5 > c.total:
		return scimState{failing, fmt.Sprintf("Failing. %d of the last %d calls were refused. The last one, %s, was answered.",
			c.failed, c.total, relative(c.last.Time, now))}
	case now.Sub(success) > quietAfter:
		return scimState{quietFor, fmt.Sprintf("Quiet. No call for %s. Entra ID asks every 20 to 40 minutes; a job in quarantine asks once a day, then stops.", spell(now.Sub(success)))}
	}
	return scimState{working, fmt.Sprintf("Working. Last call %s.", relative(success, now))}
}

// strangerCounts leaves out what was tried before the live token was made: somebody setting up.
func strangerCounts(r site.Request, live []site.Token) bool {
	for _, t := range live {
		if !r.Time.Before(t.Created) {
			return true
		}
	}
	return len(live) == 0
}

func liveTokens(tokens []site.Token, now time.Time) []site.Token {
	var live []site.Token
	for _, t := range tokens {
		if t.Live(now) {
			live = append(live, t)
		}
	}
	return live
}

func ending(r site.Request) string {
	if r.TokenLast4 == "" {
		return ""
	}
	return ", ending …" + r.TokenLast4
}

func lastGood(success, now time.Time) string {
	if success.IsZero() {
		return "No call has been accepted yet."
	}
	return "The last accepted call was " + relative(success, now) + "."
}

func sentenceStart(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func period(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
