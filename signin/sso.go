package signin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/site"
)

// SingleSignOn lets people in by SAML:
//
//	Start    a request for this browser is written down  →  the address at the identity provider
//	Finish   the response: the request is taken back, the response verified, the assertion written
//	         down as used, the account found (roster.AdmitAsserted)  →  a session
//
// Each request is good for one response, from the browser that asked, within ten minutes. Each
// assertion is good once, in all processes.
type SingleSignOn struct {
	Store     SSOStore
	Rosters   *roster.Rosters
	Sites     *site.Sites
	Now       func() time.Time
	Limits    session.Limits // the limits of new sessions
	PublicURL string         // without a slash at the end
	Refused   *event.Refused // records failed sign-ins; nil records none
	Sealer    Sealer         // seals the private keys of sites
	// ReadMetadata reads the metadata of an identity provider from its address. If it is nil,
	// metadata is never refreshed.
	ReadMetadata func(ctx context.Context, address string) ([]byte, error)

	opened sync.Map // the key pairs that were opened, by their place
}

// SSOStore keeps connections, requests, used assertions and tests. Every method names the site.
type SSOStore interface {
	ConnectionStore
	KeyStore
	RefreshStore
	ConflictStore
	RecoveryStore

	// AddRequest stores a request, and forgets the site's expired ones.
	AddRequest(ctx context.Context, id site.ID, r RequestRecord) error
	// TakeRequest removes and returns a request; refusal.NotFound if there is none, or if it has
	// expired at now.
	TakeRequest(ctx context.Context, id site.ID, hash secret.Hash, now time.Time) (RequestRecord, error)
	// HasRequest reports whether there is such a request of this browser that has not expired at now. It
	// stays.
	HasRequest(ctx context.Context, id site.ID, hash, browser secret.Hash, now time.Time) (bool, error)
	// FindRequest returns a request that stays; refusal.NotFound as for TakeRequest.
	FindRequest(ctx context.Context, id site.ID, hash secret.Hash, now time.Time) (RequestRecord, error)
	// UseAssertion writes down that an assertion was used, until that time, and forgets older ones.
	// ErrReplayed if it was used before.
	UseAssertion(ctx context.Context, id site.ID, hash secret.Hash, until, now time.Time) error

	// PutTest stores the last test of a person, with its event.
	PutTest(ctx context.Context, id site.ID, personID string, t Test, e event.Event) error
	// Test returns the last test of a person. It returns refusal.NotFound if there is none.
	Test(ctx context.Context, id site.ID, personID string) (Test, error)
}

// RequestTime is how long a person may take to sign in at the identity provider.
const RequestTime = 10 * time.Minute

// Purpose is what a request is for.
type Purpose string

// The purposes.
const (
	ToSignIn Purpose = "sign-in"
	ToRenew  Purpose = "renew" // a sign-in for which the person proves again who they are
	ToTest   Purpose = "test"  // shows an administrator what would happen, and does nothing
)

// RequestRecord is a request as it is stored.
type RequestRecord struct {
	Hash     secret.Hash // the hash of the relay state
	ID       string
	Browser  secret.Hash // the hash of the browser's cookie
	Purpose  Purpose
	Person   string // the id of the administrator who tests
	ReturnTo string // a path of the site
	Version  int64  // the version of the connection
	Expires  time.Time
}

// Refusals that callers check for.
var (
	ErrSSOOff          = refusal.New(refusal.Off, "", "single sign-on is not available here").Advise("ask an administrator of the site how to sign in").Coded("sso_off")
	ErrReplayed        = refusal.New(refusal.Conflict, "", "the assertion was used before").Coded("sso_replayed")
	ErrSSOFailed       = refusal.New(refusal.Forbidden, "", "the sign-in could not be verified").Coded("sso_failed")
	ErrConnectionStale = refusal.New(refusal.Stale, "", "another person changed single sign-on meanwhile; nothing was saved").Advise("load the page again").Coded("sso_stale")
)

// FailedSignIn describes a failed sign-in. When Finish returns ErrSSOFailed or a refusal of
// roster.AdmitAsserted, the refusal is about a FailedSignIn.
type FailedSignIn struct {
	Reason    string // one word, such as audience_mismatch
	Detail    string // what went wrong, for administrators
	Reference string // the number that the person can tell an administrator
	Test      bool   // whether the sign-in was a test
}

// Reasons of this package and of roster, beside those of saml.
const (
	reasonNoRequest = "unknown_request"
	reasonBrowser   = "other_browser"
	reasonReplayed  = "replayed"
)

var rosterReasons = []struct {
	err    error
	reason string
}{
	{roster.ErrAssertedBlocked, "blocked"},
	{roster.ErrAssertedDeactivated, "deactivated"},
	{roster.ErrAssertedUnproved, "unproved"},
	{roster.ErrAssertedConflict, "identity_conflict"},
	{roster.ErrAssertedEmailTaken, "email_conflict"},
	{roster.ErrAssertedUnknown, "no_account"},
	{roster.ErrAssertedNameless, "no_name"},
}

// Start begins a sign-in for a browser that has this cookie. returnTo is a path below the site's; any other
// address is replaced by the site's home page. With renew, the person must prove again who they are.
// It returns ErrSSOOff if the site does not use SAML.
func (s *SingleSignOn) Start(ctx context.Context, st site.Site, browser, returnTo string, renew bool) (address string, err error) {
	c, err := s.Connection(ctx, st)
	if err != nil {
		return "", err
	}
	if c.Mode == SSOOff {
		return "", ErrSSOOff
	}
	r := RequestRecord{Purpose: ToSignIn, Browser: secret.HashOf(browser), ReturnTo: pathWithinSite(st.Name, returnTo)}
	if renew {
		r.Purpose = ToRenew
	}
	return s.startRequest(ctx, st, c, r)
}

// StartTest begins a test by an administrator, whatever the mode. Finish then shows what a sign-in
// would do.
func (s *SingleSignOn) StartTest(ctx context.Context, st site.Site, browser, personID string) (address string, err error) {
	c, err := s.Connection(ctx, st)
	if err != nil {
		return "", err
	}
	if !c.Ready() {
		return "", ErrSSOOff.Because("the identity provider is not known yet").Advise("import its metadata first")
	}
	return s.startRequest(ctx, st, c, RequestRecord{Purpose: ToTest, Browser: secret.HashOf(browser), Person: personID})
}

func (s *SingleSignOn) startRequest(ctx context.Context, st site.Site, c Connection, r RequestRecord) (string, error) {
	relay := secret.New()
	r.Hash, r.ID, r.Version, r.Expires = secret.HashOf(relay), newRequestID(), c.Version, s.Now().Add(RequestTime)
	if err := s.Store.AddRequest(ctx, st.ID, r); err != nil {
		return "", fmt.Errorf("add request: %w", err)
	}
	sp := s.ServiceProvider(st.Name, c)
	if c.SignRequests {
		var err error
		if sp, err = s.withKeys(ctx, st, c); err != nil {
			return "", err
		}
	}
	return sp.Request(c.Provider, saml.RequestOptions{ID: r.ID, RelayState: relay, Fresh: r.Purpose == ToRenew}, s.Now())
}

// newRequestID returns an id of 128 random bits. It may not begin with a digit.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // rand.Read never fails
	return "_" + hex.EncodeToString(b[:])
}

// pathWithinSite returns the path if it is below /c/{site}/, and the site's home page otherwise.
func pathWithinSite(siteName, path string) string {
	home := "/c/" + siteName + "/"
	if !strings.HasPrefix(path, home) || len(path) > 500 || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }) ||
		strings.Contains(path, "//") || strings.Contains(path, "..") || strings.Contains(strings.ToLower(path), "%2") {
		return home
	}
	return path
}

// Response is a response as it was posted.
type Response struct {
	SAMLResponse string
	RelayState   string
	Browser      string // the browser's cookie; may be empty
}

// Finished is what a response led to.
type Finished struct {
	Purpose  Purpose
	Session  Session // only for ToSignIn
	ReturnTo string  // a path of this server
}

// Asked reports whether a response answers a request that this browser sent and that is still good.
// It does not verify the response, and the request stays.
func (s *SingleSignOn) Asked(ctx context.Context, st site.Site, in Response) (bool, error) {
	if in.Browser == "" || in.RelayState == "" || st.ID == "" {
		return false, nil
	}
	has, err := s.Store.HasRequest(ctx, st.ID, secret.HashOf(in.RelayState), secret.HashOf(in.Browser), s.Now())
	if err != nil {
		return false, fmt.Errorf("find request: %w", err)
	}
	return has, nil
}

// Finish takes a response. Every error is a refusal about a FailedSignIn, or a failure of this
// server. A failed test is stored and shown like one that passed, so it is not an error.
func (s *SingleSignOn) Finish(ctx context.Context, st site.Site, in Response, from session.Browser) (Finished, error) {
	c, err := s.Connection(ctx, st)
	if err != nil {
		return Finished{}, err
	}
	if !c.Ready() {
		return Finished{}, ErrSSOOff
	}
	req, err := s.takeRequest(ctx, st, c, in)
	if err != nil {
		return Finished{}, s.refuseSignIn(ctx, st, err, "")
	}
	if req.Purpose == ToTest {
		return s.finishTest(ctx, st, c, req, in)
	}
	if c.Mode == SSOOff {
		return Finished{}, ErrSSOOff
	}
	a, picked, err := s.accept(ctx, st, c, req, in)
	if err != nil {
		return Finished{}, s.refuseSignIn(ctx, st, err, picked.UserIdentifier)
	}
	limits := s.Limits
	if c.Length > 0 {
		limits.Length = c.Length
	}
	who := asserted(st, c, a, picked)
	who.Proved = a.Authenticated
	if req.Purpose == ToRenew {
		who.Proved = s.Now() // Verify refused one who did not just prove it
	}
	got, err := s.Rosters.Open(st).AdmitAsserted(ctx, who, limits, from)
	if err != nil {
		if failed := s.noteConflict(ctx, st, who, err); failed != nil {
			return Finished{}, failed
		}
		return Finished{}, s.refuseSignIn(ctx, st, err, picked.UserIdentifier)
	}
	if st.SetUpLocked {
		by := event.Actor{Kind: event.Person, ID: got.Person.ID, Name: got.Person.UserName}.Label()
		if _, err := s.Sites.Update(ctx, st.ID, by, func(next *site.Site) error { next.SetUpLocked = false; return nil }); err != nil {
			return Finished{}, fmt.Errorf("unlock the set-up of SCIM: %w", err)
		}
	}
	return Finished{Purpose: ToSignIn, ReturnTo: pathWithinSite(st.Name, req.ReturnTo), Session: Session{Person: got.Person, Secret: got.Secret, Expires: got.Expires}}, nil
}

// takeRequest returns the request that a response answers. A response without a relay state of ours
// answers none.
func (s *SingleSignOn) takeRequest(ctx context.Context, st site.Site, c Connection, in Response) (RequestRecord, error) {
	req, err := s.Store.TakeRequest(ctx, st.ID, secret.HashOf(in.RelayState), s.Now())
	if errors.Is(err, refusal.NotFound) {
		if c.Unsolicited {
			return RequestRecord{Purpose: ToSignIn}, nil
		}
		return RequestRecord{}, &saml.Error{Reason: reasonNoRequest, Detail: "the response answers no request of this site, or one that is more than ten minutes old or was answered before"}
	}
	if err != nil {
		return RequestRecord{}, fmt.Errorf("take request: %w", err)
	}
	if in.Browser == "" || secret.HashOf(in.Browser) != req.Browser {
		return RequestRecord{}, &saml.Error{Reason: reasonBrowser, Detail: "the response came from another browser than the request"}
	}
	return req, nil
}

// accept verifies a response and writes its assertion down as used.
func (s *SingleSignOn) accept(ctx context.Context, st site.Site, c Connection, req RequestRecord, in Response) (saml.Assertion, saml.ClaimValues, error) {
	want := saml.Expected{RequestID: req.ID, Unsolicited: req.ID == "" && c.Unsolicited}
	if req.Purpose == ToRenew {
		want.MaxAge = RequestTime
	}
	sp, err := s.withKeys(ctx, st, c)
	if err != nil {
		return saml.Assertion{}, saml.ClaimValues{}, err
	}
	a, err := sp.Verify(c.Provider, in.SAMLResponse, want, s.Now())
	if unknown := new(saml.Error); errors.As(err, &unknown) && unknown.NewKey {
		changed, failed := s.refreshForUnknownKey(ctx, st, c)
		if failed != nil {
			return saml.Assertion{}, saml.ClaimValues{}, failed
		}
		if changed {
			now, failed := s.Connection(ctx, st)
			if failed != nil {
				return saml.Assertion{}, saml.ClaimValues{}, failed
			}
			c.Provider.Certificates = now.Provider.Certificates
			a, err = sp.Verify(c.Provider, in.SAMLResponse, want, s.Now())
		}
	}
	if err != nil {
		return saml.Assertion{}, saml.ClaimValues{}, err
	}
	err = s.Store.UseAssertion(ctx, st.ID, secret.HashOf(a.Issuer+"\x00"+a.ID), a.RememberUntil, s.Now())
	if errors.Is(err, ErrReplayed) {
		return a, saml.ClaimValues{}, &saml.Error{Reason: reasonReplayed, Detail: "the assertion was used before"}
	}
	if err != nil {
		return a, saml.ClaimValues{}, fmt.Errorf("use assertion: %w", err)
	}
	picked, err := a.Pick(c.Claims)
	return a, picked, err
}

// asserted returns what the roster needs to know of an assertion.
func asserted(st site.Site, c Connection, a saml.Assertion, p saml.ClaimValues) roster.Asserted {
	match := p.DisplayName
	switch st.MatchesUserName {
	case site.MatchesUserIdentifier:
		match = p.UserIdentifier
	case site.MatchesEmail:
		match = p.Email
	}
	return roster.Asserted{
		Issuer: a.Issuer, Identifier: p.UserIdentifier, Match: match,
		DisplayName: p.DisplayName, Email: p.Email, Title: p.JobTitle, Department: p.Department,
		Create: c.Creates, Ends: a.SessionEnd,
		Session: roster.Origin{Issuer: a.Issuer, NameID: a.NameID, NameFormat: a.NameIDFormat, Index: a.SessionIndex},
	}
}

// refuseSignIn turns the reason why a sign-in failed into the refusal that is shown, and records it. The
// details are for administrators: an event of the site has them, and the person gets a number by
// which to find the event.
func (s *SingleSignOn) refuseSignIn(ctx context.Context, st site.Site, err error, who string) error {
	f, shown := failure(err)
	if shown == nil {
		return err
	}
	if s.Refused != nil {
		text := fmt.Sprintf("A sign-in by SAML was refused (%s): %s", f.Reason, f.Detail)
		if who != "" {
			text += "; user identifier " + who
		}
		s.Refused.Add(ctx, event.Event{Scope: event.Site(string(st.ID)), Name: event.SignInSSORefused, Text: text + ". Reference " + f.Reference})
	}
	return shown.WithAbout(f)
}

// failure describes what went wrong. shown is nil if this server failed.
func failure(err error) (f FailedSignIn, shown *refusal.Error) {
	f.Reference = newRequestID()[1:9]
	var wrong *saml.Error
	if errors.As(err, &wrong) {
		f.Reason, f.Detail = string(wrong.Reason), wrong.Detail
		return f, ErrSSOFailed
	}
	e, ok := refusal.Find(err)
	if !ok {
		return f, nil
	}
	f.Reason, f.Detail = string(e.Kind), e.Detail
	for _, r := range rosterReasons {
		if errors.Is(err, r.err) {
			f.Reason = r.reason
		}
	}
	if about, ok := e.About.(roster.Rejected); ok && about.UserName != "" {
		f.Detail += ", " + about.UserName
	}
	return f, e
}

// Test is the last test of a connection by a person: what the identity provider sent, and what a
// sign-in would have done.
type Test struct {
	Version int64 // the version of the connection that was tested
	Time    time.Time
	Passed  bool
	Result  TestResult
}

// TestResult is what a test found.
type TestResult struct {
	Failure    string           `json:"failure,omitempty"` // in words; empty if it passed
	Reason     string           `json:"reason,omitempty"`
	Issuer     string           `json:"issuer,omitempty"`
	NameID     string           `json:"nameID,omitempty"`
	Format     string           `json:"format,omitempty"` // the format of the NameID
	Attributes []saml.Attribute `json:"attributes,omitempty"`
	Signed     string           `json:"signed,omitempty"` // which elements were signed, by which algorithm
	Encrypted  bool             `json:"encrypted,omitempty"`
	Drift      time.Duration    `json:"drift,omitempty"`      // how far the identity provider's clock is ahead
	Identifier string           `json:"identifier,omitempty"` // the user identifier that was picked
	Would      string           `json:"would,omitempty"`      // what a sign-in would do
	PersonID   string           `json:"personID,omitempty"`   // the account that a sign-in would open; empty if it would make one
}

func (s *SingleSignOn) finishTest(ctx context.Context, st site.Site, c Connection, req RequestRecord, in Response) (Finished, error) {
	t := Test{Version: req.Version, Time: s.Now().UTC().Truncate(time.Microsecond)}
	a, picked, err := s.accept(ctx, st, c, req, in)
	t.Result = TestResult{
		Issuer: a.Issuer, NameID: a.NameID, Format: a.NameIDFormat, Attributes: shownAttributes(a.Attributes), Signed: a.SignedElements, Encrypted: a.Encrypted, Drift: a.ClockDrift,
		Identifier: picked.UserIdentifier,
	}
	var would roster.Admission
	if err == nil {
		would, err = s.Rosters.Open(st).TryAsserted(ctx, asserted(st, c, a, picked))
	}
	text := "A test of single sign-on passed"
	if err != nil {
		f, shown := failure(err)
		if shown == nil {
			return Finished{}, err
		}
		t.Result.Failure, t.Result.Reason = f.Detail, f.Reason
		text = fmt.Sprintf("A test of single sign-on failed (%s): %s", f.Reason, f.Detail)
	} else {
		t.Result.Would = admissionText(would)
		if !would.Created {
			t.Result.PersonID = would.Person.ID
		}
		t.Passed = c.Version == req.Version
	}
	e := event.Event{Time: s.Now(), Scope: event.Site(string(st.ID)), Name: event.SignInSSOTested, Subject: req.Person, Text: text}
	if err := s.Store.PutTest(ctx, st.ID, req.Person, t, e); err != nil {
		return Finished{}, fmt.Errorf("store the test: %w", err)
	}
	return Finished{Purpose: ToTest, ReturnTo: AuthenticationPath(st.Name)}, nil
}

// AuthenticationPath returns the path of the page about single sign-on.
func AuthenticationPath(siteName string) string {
	return "/c/" + siteName + "/admin/access/authentication"
}

// shownAttributes cuts a list of attributes to what a page can show.
func shownAttributes(all []saml.Attribute) []saml.Attribute {
	const most, longest = 100, 500
	var kept []saml.Attribute
	for _, a := range all[:min(len(all), most)] {
		one := saml.Attribute{Name: cut(a.Name, longest)}
		for _, v := range a.Values[:min(len(a.Values), 10)] {
			one.Values = append(one.Values, cut(v, longest))
		}
		kept = append(kept, one)
	}
	return kept
}

func cut(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

func admissionText(a roster.Admission) string {
	switch {
	case a.Created:
		return "make the account " + a.Person.UserName
	case a.Linked:
		return "sign in " + a.Person.UserName + ", and link the user identifier to that account"
	}
	return "sign in " + a.Person.UserName
}

// LastTest returns the person's last test; ok is false if there is none.
func (s *SingleSignOn) LastTest(ctx context.Context, st site.Site, personID string) (t Test, ok bool, err error) {
	t, err = s.Store.Test(ctx, st.ID, personID)
	if errors.Is(err, refusal.NotFound) {
		return Test{}, false, nil
	}
	return t, err == nil, err
}

// LinkTested links the identity of a person's own last test to their account. The test proved it:
// the person signed in at the identity provider, in a browser that is signed in here.
func (s *SingleSignOn) LinkTested(ctx context.Context, st site.Site, person roster.Person, c roster.Change) error {
	t, ok, err := s.LastTest(ctx, st, person.ID)
	if err != nil {
		return err
	}
	now, err2 := s.Connection(ctx, st)
	if err2 != nil {
		return err2
	}
	if !ok || t.Result.Identifier == "" || t.Version != now.Version || s.Now().Sub(t.Time) > linkTime {
		return refusal.New(refusal.Conflict, "", "there is no test sign-in of yours within the last %d minutes with these settings", int(linkTime.Minutes())).Advise("test the sign-in again, then link")
	}
	return s.Rosters.Open(st).Link(ctx, person.ID, roster.Asserted{Issuer: t.Result.Issuer, Identifier: t.Result.Identifier}, c)
}

// linkTime is how long after a test its identity can be linked.
const linkTime = 30 * time.Minute

// EncodeResult returns a TestResult in its stored form.
func EncodeResult(r TestResult) string {
	text, _ := json.Marshal(r) // strings and numbers always marshal
	return string(text)
}

// DecodeResult reads what EncodeResult wrote.
func DecodeResult(text string) (r TestResult, err error) {
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("read a stored test: %w", err)
	}
	return r, nil
}
