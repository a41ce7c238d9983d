// Package session decides how long a signed-in browser stays signed in, and describes the browser
// so that its owner recognises it.
//
// A session ends at the first of two limits: its length, counted from the sign-in, and its idle
// limit, counted from its last use. Both are stored with the session, so every process and every
// command decides in the same way.
//
// The packages roster and operator store the sessions. Package console sets the cookies.
package session

import (
	"net/netip"
	"strings"
	"time"
)

// The limits of a session, unless other limits are set.
const (
	DefaultLength = 12 * time.Hour
	DefaultIdle   = 2 * time.Hour
)

// recordInterval is the shortest time between two recorded uses of a session. Uses in between are
// not written to the database.
const recordInterval = time.Minute

// maxClockSkew is how far the clocks of two processes may differ. If the start or last use of a
// session is further than that in the future, a clock was set back. The session then counts as
// ended, so that it does not last longer.
const maxClockSkew = 5 * time.Minute

// Limits say how long a session lasts. Zero fields mean DefaultLength and DefaultIdle.
type Limits struct {
	Length time.Duration // how long a session lasts after the sign-in
	Idle   time.Duration // how long a session lasts after its last use
}

// Start returns the record of a session that begins at the time now, in the browser that the
// argument from describes.
func (l Limits) Start(now time.Time, from Browser) Record {
	if l.Length == 0 {
		l.Length = DefaultLength
	}
	if l.Idle == 0 {
		l.Idle = DefaultIdle
	}
	now, from = now.UTC(), from.Clean()
	return Record{Created: now, Proved: now, Expires: now.Add(l.Length), Idle: l.Idle, Used: now, From: from, Last: from}
}

// Record holds the stored data about a session, without its owner.
type Record struct {
	Created time.Time     // when the session started
	Proved  time.Time     // when the person last proved who they are; zero if that is not known
	Expires time.Time     // when the session ends, even if it is used
	Idle    time.Duration // how long the session lasts without use; 0 means without limit, as in sessions of older versions
	Used    time.Time     // when the session was last used, to the minute; zero in sessions of older versions
	From    Browser       // the browser that started the session
	Last    Browser       // the browser that last used the session
}

// IsLive reports whether the session is valid at the time now.
func (r Record) IsLive(now time.Time) bool {
	ahead := now.Add(maxClockSkew)
	if !now.Before(r.Expires) || r.Created.After(ahead) || r.Used.After(ahead) {
		return false
	}
	return r.Idle == 0 || now.Before(r.Used.Add(r.Idle))
}

// MustRecordUse reports whether a use at the time now must be recorded.
func (r Record) MustRecordUse(now time.Time) bool { return now.Sub(r.Used) >= recordInterval }

// FreshTime is how long a sign-in counts as fresh. Some actions need a fresh sign-in.
const FreshTime = 30 * time.Minute

// RecordProof records the time t at which the person proved who they are; zero means that the time
// is not known. If t is after the start of the session, RecordProof records the start.
func (r *Record) RecordProof(t time.Time) {
	if t.After(r.Created) {
		t = r.Created
	}
	r.Proved = t.UTC()
}

// IsFresh reports whether the last proof of the person's identity is recent enough for actions that
// need a fresh sign-in.
func (r Record) IsFresh(now time.Time) bool {
	return !r.Proved.IsZero() && now.Sub(r.Proved) < FreshTime
}

// EndsAt returns when the session ends if it is not used again.
func (r Record) EndsAt() time.Time {
	if idle := r.Used.Add(r.Idle); r.Idle > 0 && idle.Before(r.Expires) {
		return idle
	}
	return r.Expires
}

// LastUse returns when the session was last used. If that is not known, it returns when the session
// started.
func (r Record) LastUse() time.Time {
	if r.Used.IsZero() {
		return r.Created
	}
	return r.Used
}

// Browser describes the browser that uses a session.
type Browser struct {
	Address string // the client's IP address
	Agent   string // the browser's User-Agent header
}

// maxAgent is how many bytes of a User-Agent header are kept.
const maxAgent = 300

// Clean returns the browser in the form in which it is stored. An invalid address is left out, and
// the agent is cut and made printable ASCII.
func (b Browser) Clean() Browser {
	clean := Browser{Agent: onlyPrintable(b.Agent, maxAgent)}
	if addr, err := netip.ParseAddr(b.Address); err == nil {
		clean.Address = addr.Unmap().WithZone("").String()
	}
	return clean
}

// onlyPrintable returns at most the first limit bytes of text. Characters other than printable
// ASCII become "?".
func onlyPrintable(text string, limit int) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text[:min(len(text), limit)])
	return strings.TrimSpace(text)
}

// String returns the browser in a few words, such as "Firefox on Linux".
func (b Browser) String() string {
	name, system := findMark(b.Agent, browsers), findMark(b.Agent, systems)
	switch {
	case name == "" && system == "":
		return programName(b.Agent)
	case name == "":
		return "Browser on " + system
	case system == "":
		return name
	}
	return name + " on " + system
}

// agentMark is a string that identifies a program or system in User-Agent headers, and the name of
// that program or system.
type agentMark struct{ text, name string }

// browsers lists the marks of browsers. String looks for them in this order, because the User-Agent
// header of most browsers also names another browser.
var browsers = []agentMark{
	{"Edg/", "Edge"},
	{"EdgA/", "Edge"},
	{"EdgiOS/", "Edge"},
	{"OPR/", "Opera"},
	{"Vivaldi/", "Vivaldi"},
	{"YaBrowser/", "Yandex Browser"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"FxiOS/", "Firefox"},
	{"Firefox/", "Firefox"},
	{"CriOS/", "Chrome"},
	{"HeadlessChrome/", "Chrome"},
	{"Chromium/", "Chromium"},
	{"Chrome/", "Chrome"},
	{"Version/", "Safari"},
	{"Trident/", "Internet Explorer"},
}

// systems lists the marks of operating systems. String looks for them in this order, because the
// header of an Android device also says Linux, and the header of an iPhone also says Mac OS X.
var systems = []agentMark{
	{"Windows", "Windows"},
	{"iPhone", "iPhone"},
	{"iPad", "iPad"},
	{"Android", "Android"},
	{"CrOS", "ChromeOS"},
	{"Macintosh", "macOS"},
	{"Mac OS X", "macOS"},
	{"FreeBSD", "FreeBSD"},
	{"OpenBSD", "OpenBSD"},
	{"Linux", "Linux"},
}

// findMark returns the name of the first mark that occurs in agent, or "" if none occurs.
func findMark(agent string, marks []agentMark) string {
	for _, m := range marks {
		if strings.Contains(agent, m.text) {
			return m.name
		}
	}
	return ""
}

// maxProgram is the longest name of a program that is shown, in bytes.
const maxProgram = 30

// programName returns the name by which a client that is not a browser calls itself: the first word
// of agent, such as "curl".
func programName(agent string) string {
	name, _, _ := strings.Cut(agent, " ")
	name, _, _ = strings.Cut(name, "/")
	if name == "" || len(name) > maxProgram {
		return "Unknown browser"
	}
	return name
}
