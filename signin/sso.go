package signin

import (
	"cmp"
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
	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/site"
)

// SingleSignOn signs people in by SAML, or by OpenID Connect:
//
//	Start         stores a request for this browser  →  the address at the identity provider
//	Finish        for a SAML response: finds the request and verifies the response
//	FinishOpenID  for an answer of an OpenID provider: removes the request, exchanges the code,
//	              and verifies the ID token
//	admit         for both protocols: finds the account (roster.AdmitAsserted)  →  a session
//
// For SAML, one transaction uses up the request and the assertion and starts the session. So if the
// server stops before that, the same response can be sent again. A refused sign-in uses them up
// too. For OpenID Connect, the request is removed first, because a code can be exchanged only once.
//
// Each request accepts one response, from the same browser, within ten minutes. Each assertion is
// accepted only once, even if several processes get it.
type SingleSignOn struct {
	Store     SSOStore
	Rosters   *roster.Rosters
	Sites     *site.Sites
	Now       func() time.Time
	Limits    session.Limits // how long new sessions last
	PublicURL string         // the address of this server, without a slash at the end
	Refused   *event.Refused // records failed sign-ins; nil records none
	Sealer    Sealer         // seals the private keys and client secrets of sites
	// ReadMetadata reads the metadata of an identity provider from its address. If it is nil,
	// metadata is never refreshed.
	ReadMetadata func(ctx context.Context, address string) ([]byte, error)
	// OpenID sends requests to OpenID providers. If it is nil, no one signs in by OpenID Connect.
	OpenID codeflow.Providers

	openedKeys sync.Map // the opened key pairs, by their keyContext
	answering  sync.Map // the hashes of the requests to which this process is verifying a response
}

// SSOStore keeps connections, requests, used assertions and tests. Every method names the site.
type SSOStore interface {
	ConnectionStore
	KeyStore
	SecretStore
	RefreshStore
	ConflictStore
	RecoveryStore

	// AddRequest stores a request. It removes the site's expired requests and the records of
	// expired assertions.
	AddRequest(ctx context.Context, id site.ID, r RequestRecord) error
	// TakeRequest removes and returns a request. It returns refusal.NotFound if there is none, or
	// if the request has expired at the time now.
	TakeRequest(ctx context.Context, id site.ID, hash secret.Hash, now time.Time) (RequestRecord, error)
	// HasRequest reports whether there is a request with this hash that this browser sent and that
	// has not expired at the time now. It does not remove the request.
	HasRequest(ctx context.Context, id site.ID, hash, browser secret.Hash, now time.Time) (bool, error)
	// FindRequest is like TakeRequest, but does not remove the request.
	FindRequest(ctx context.Context, id site.ID, hash secret.Hash, now time.Time) (RequestRecord, error)
	// UseTicket uses up the request and the assertion of a ticket; one of them can be missing. If
	// one was used before, it uses up nothing and returns roster.ErrRequestUsed or
	// roster.ErrAssertionUsed.
	UseTicket(ctx context.Context, id site.ID, t roster.Ticket, now time.Time) error

	// PutTest stores the last test of a person, with its event.
	PutTest(ctx context.Context, id site.ID, personID string, t Test, e event.Event) error
	// Test returns the last test of a person. It returns refusal.NotFound if there is none.
	Test(ctx context.Context, id site.ID, personID string) (Test, error)
}

// RequestLifetime is how long a person may take to sign in at the identity provider.
const RequestLifetime = codeflow.RequestLifetime

// Purpose says what a request to the identity provider is for.
type Purpose string

// The purposes of requests.
const (
	ToSignIn Purpose = "sign-in" // to sign in; the identity provider may use its own session of the person
	ToRenew  Purpose = "renew"   // to sign in again; the identity provider must ask the person to prove who they are
	ToTest   Purpose = "test"    // to test the connection; an administrator sees the result, and no one is signed in
)

// RequestRecord is a request to the identity provider, as it is stored.
type RequestRecord struct {
	Hash     secret.Hash // the hash of SAML's relay state, or of OpenID Connect's state
	ID       string
	Browser  secret.Hash // the hash of the secret in the browser's cookie
	Purpose  Purpose
	Person   string // the id of the administrator who tests; only for ToTest
	ReturnTo string // the path of the site to open after the sign-in; for a sign-out, the address at the identity provider
	Version  int64  // the version of the connection
	Issuer   string // the OpenID provider that gets the request; empty for SAML
	Expires  time.Time
}

// Refusals that callers check for.
var (
	// ErrSSOOff is returned if the site does not use single sign-on, or does not exist.
	ErrSSOOff = refusal.New(refusal.Off, "", "single sign-on is not available here").Advise("ask an administrator of the site how to sign in").Coded("sso_off")
	// ErrSSOFailed is returned if the response of the identity provider is not accepted.
	ErrSSOFailed = refusal.New(refusal.Forbidden, "", "the sign-in could not be verified").Coded("sso_failed")
	// ErrConnectionStale is returned for a change if the caller did not see the latest change.
	ErrConnectionStale = refusal.New(refusal.Stale, "", "another person changed single sign-on meanwhile; nothing was saved").Advise("load the page again").Coded("sso_stale")
)

// FailedSignIn describes a failed sign-in. It is the data of the refusals that Finish returns:
// ErrSSOFailed, and those of roster.AdmitAsserted.
type FailedSignIn struct {
	Reason    string // a short code, such as audience_mismatch
	Detail    string // a description of the failure, for administrators
	Reference string // eight characters by which administrators find the failure in the audit log; shown to the person
	Test      bool   // whether the sign-in was a test
}

// Reasons of this package, in addition to those of saml, oidc and roster.
const (
	reasonUnknownRequest   = "unknown_request" // the response answers no request of this site, or the request has expired
	reasonOtherBrowser     = "other_browser"   // the response comes from another browser than the request
	reasonReplayed         = "replayed"        // the assertion or message was used before
	reasonUnreadableSecret = "client_secret"   // the stored client secret cannot be opened
)

// rosterReasons lists the refusals of roster.AdmitAsserted, each with the value of
// FailedSignIn.Reason.
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

// Start begins a sign-in, and returns the address at the identity provider to which the browser
// must go. browser is the secret in the browser's cookie. returnTo is the path of the site to open
// afterwards; if it is not a path of the site, the site's home page opens. If renew is true, the
// person must prove again who they are. Start returns ErrSSOOff if single sign-on is off.
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
	if c.Protocol == OpenID {
		address, err = s.startOpenID(ctx, st, c, browser, r)
		if err != nil {
			err = s.refuseSignIn(ctx, st, OpenID, err, "")
		}
		return address, err
	}
	return s.startRequest(ctx, st, c, r)
}

// StartTest begins an administrator's test of one of the protocols. It works in every mode. It
// returns the address at the identity provider. Finish or FinishOpenID then stores the result of
// the test. If the OpenID provider cannot be reached, the test has failed, and address is the path
// of the page with the result.
func (s *SingleSignOn) StartTest(ctx context.Context, st site.Site, by Protocol, browser, personID string) (address string, err error) {
	c, err := s.Connection(ctx, st)
	if err != nil {
		return "", err
	}
	if !c.IsReadyFor(by) {
		return "", ErrSSOOff.Because("the identity provider is not known yet").Advise("%s", by.setUpAdvice())
	}
	r := RequestRecord{Purpose: ToTest, Browser: secret.HashOf(browser), Person: personID, Version: c.Version}
	if by == SAML {
		return s.startRequest(ctx, st, c, r)
	}
	address, err = s.startOpenID(ctx, st, c, browser, r)
	if wrong := new(oidc.Error); errors.As(err, &wrong) {
		done, err := s.finishTest(ctx, st, c, r, verifiedResponse{protocol: OpenID}, wrong)
		return done.ReturnTo, err
	}
	return address, err
}

// startRequest stores a request, and returns its address at the identity provider.
func (s *SingleSignOn) startRequest(ctx context.Context, st site.Site, c Connection, r RequestRecord) (string, error) {
	relay := secret.New()
	r.Hash, r.ID, r.Version, r.Expires = secret.HashOf(relay), newRequestID(), c.Version, s.Now().Add(RequestLifetime)
	if err := s.Store.AddRequest(ctx, st.ID, r); err != nil {
		return "", fmt.Errorf("add request: %w", err)
	}
	sp := s.ServiceProvider(st.Name, c)
	if c.SignRequests {
		var err error
		if sp, err = s.privateServiceProvider(ctx, st, c); err != nil {
			return "", err
		}
	}
	return sp.Request(c.Provider, saml.RequestOptions{ID: r.ID, RelayState: relay, Fresh: r.Purpose == ToRenew}, s.Now())
}

// newRequestID returns an id of 128 random bits in hexadecimal digits. An id in XML must not begin
// with a digit, so the id begins with an underscore.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // rand.Read never fails
	return "_" + hex.EncodeToString(b[:])
}

// pathWithinSite returns the path if it is a safe path below /c/{site}/, and that of the site's
// home page otherwise.
func pathWithinSite(siteName, path string) string {
	home := "/c/" + siteName + "/"
	if !strings.HasPrefix(path, home) || len(path) > 500 || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }) ||
		strings.Contains(path, "//") || strings.Contains(path, "..") || strings.Contains(strings.ToLower(path), "%2") {
		return home
	}
	return path
}

// Response is a posted SAML response.
type Response struct {
	SAMLResponse string
	RelayState   string
	Browser      string // the secret in the browser's cookie; may be empty
}

// Finished is the result of an accepted response, or of a test.
type Finished struct {
	Purpose  Purpose
	Session  Session // the session that began; only for ToSignIn
	ReturnTo string  // the path on this server that the browser opens next
}

// AnswersRequest reports whether a response answers a request of this browser that has not expired.
// It does not verify the response or remove the request.
func (s *SingleSignOn) AnswersRequest(ctx context.Context, st site.Site, in Response) (bool, error) {
	if in.Browser == "" || in.RelayState == "" || st.ID == "" {
		return false, nil
	}
	has, err := s.Store.HasRequest(ctx, st.ID, secret.HashOf(in.RelayState), secret.HashOf(in.Browser), s.Now())
	if err != nil {
		return false, fmt.Errorf("find request: %w", err)
	}
	return has, nil
}

// Finish processes a SAML response. It returns ErrSSOOff, a refusal whose data is a FailedSignIn,
// or an error of this server. A failed test is stored and shown like one that passed, so it is not
// an error.
func (s *SingleSignOn) Finish(ctx context.Context, st site.Site, in Response, from session.Browser) (Finished, error) {
	c, err := s.Connection(ctx, st)
	if err != nil {
		return Finished{}, err
	}
	if !c.IsReadyFor(SAML) {
		return Finished{}, ErrSSOOff
	}
	req, err := s.findRequest(ctx, st, c, in)
	if err != nil {
		return Finished{}, s.refuseSignIn(ctx, st, SAML, err, "")
	}
	if req.Purpose == ToTest {
		return s.acceptTest(ctx, st, c, req, in)
	}
	if req.ID != "" {
		// Verify only one response to a request at a time, so that no one can keep this server
		// busy.
		if _, busy := s.answering.LoadOrStore(req.Hash, true); busy {
			return Finished{}, s.refuseSignIn(ctx, st, SAML, errNoRequest(SAML), "")
		}
		defer s.answering.Delete(req.Hash)
	}
	if c.Mode == SSOOff || c.Protocol != SAML {
		return Finished{}, s.useUp(ctx, st, roster.Ticket{Request: req.Hash}, ErrSSOOff)
	}
	v, err := s.acceptResponse(ctx, st, c, req, in)
	if err != nil {
		return Finished{}, s.refuseSignIn(ctx, st, SAML, s.useUp(ctx, st, v.ticket, err), v.claims.UserIdentifier)
	}
	return s.admit(ctx, st, c, req, v, from)
}

// acceptTest verifies the response of a test. It removes the request first, so that only one
// response can be the result of the test.
func (s *SingleSignOn) acceptTest(ctx context.Context, st site.Site, c Connection, req RequestRecord, in Response) (Finished, error) {
	if err := s.useUp(ctx, st, roster.Ticket{Request: req.Hash}, nil); err != nil {
		return Finished{}, s.refuseSignIn(ctx, st, SAML, err, "")
	}
	v, err := s.acceptResponse(ctx, st, c, req, in)
	v.ticket.Request = secret.Hash{}
	return s.finishTest(ctx, st, c, req, v, s.useUp(ctx, st, v.ticket, err))
}

// useUp uses up the request and the assertion of a test, or of a sign-in that ends with the refusal
// in err. It returns err, or the reason why they cannot be used. If err is an error of this server,
// useUp uses up nothing, so that the same response can be sent again.
func (s *SingleSignOn) useUp(ctx context.Context, st site.Site, t roster.Ticket, err error) error {
	if _, refused := describeFailure(err); err != nil && refused == nil || t.IsZero() {
		return err
	}
	used := s.Store.UseTicket(ctx, st.ID, t, s.Now())
	switch {
	case errors.Is(used, roster.ErrRequestUsed):
		return errNoRequest(SAML)
	case errors.Is(used, roster.ErrAssertionUsed):
		return s.useUp(ctx, st, roster.Ticket{Request: t.Request}, protocolError(SAML, reasonReplayed, "the assertion was used before"))
	case used != nil:
		return fmt.Errorf("use up the request and the assertion: %w", used)
	}
	return err
}

// admit finds or creates the account of the person in a verified response, and starts a session. It
// is used for both protocols.
func (s *SingleSignOn) admit(ctx context.Context, st site.Site, c Connection, req RequestRecord, v verifiedResponse, from session.Browser) (Finished, error) {
	limits := s.Limits
	if c.Length > 0 {
		limits.Length = c.Length
	}
	who := assertedPerson(st, c, v)
	who.AuthenticatedAt, who.Ticket = v.authenticatedAt, v.ticket
	if req.Purpose == ToRenew {
		who.AuthenticatedAt = s.Now() // the response would have been refused if the person had not just proved who they are
	}
	got, err := s.Rosters.Open(st).AdmitAsserted(ctx, who, limits, from)
	if err != nil {
		err = s.useUp(ctx, st, v.ticket, err)
		if failed := s.storeConflict(ctx, st, who, err); failed != nil {
			return Finished{}, failed
		}
		return Finished{}, s.refuseSignIn(ctx, st, v.protocol, err, v.claims.UserIdentifier)
	}
	if st.SetUpLocked {
		by := event.Actor{Kind: event.Person, ID: got.Person.ID, Name: got.Person.UserName}.Label()
		if _, err := s.Sites.Update(ctx, st.ID, by, func(next *site.Site) error { next.SetUpLocked = false; return nil }); err != nil {
			return Finished{}, fmt.Errorf("unlock the set-up of SCIM: %w", err)
		}
	}
	return Finished{Purpose: ToSignIn, ReturnTo: pathWithinSite(st.Name, req.ReturnTo), Session: Session{Person: got.Person, Secret: got.Secret, Expires: got.Expires}}, nil
}

// findRequest returns the request that a SAML response answers. It does not remove the request,
// unless the response comes from another browser than the request. If the site accepts unsolicited
// responses, a response need not answer a request; findRequest then returns a record without an id.
func (s *SingleSignOn) findRequest(ctx context.Context, st site.Site, c Connection, in Response) (RequestRecord, error) {
	req, err := s.Store.FindRequest(ctx, st.ID, secret.HashOf(in.RelayState), s.Now())
	switch {
	case errors.Is(err, refusal.NotFound) && c.Unsolicited:
		return RequestRecord{Purpose: ToSignIn}, nil
	case errors.Is(err, refusal.NotFound):
		return RequestRecord{}, errNoRequest(SAML)
	case err != nil:
		return RequestRecord{}, fmt.Errorf("find request: %w", err)
	}
	if err := checkRequest(req, c, SAML, in.Browser); err != nil {
		return RequestRecord{}, s.useUp(ctx, st, roster.Ticket{Request: req.Hash}, err)
	}
	return req, nil
}

// takeRequest removes and returns the request that an answer of an OpenID provider answers. It
// returns an error if there is no such request, or if another browser sent it.
func (s *SingleSignOn) takeRequest(ctx context.Context, st site.Site, c Connection, in codeflow.Answer) (RequestRecord, error) {
	req, err := s.Store.TakeRequest(ctx, st.ID, secret.HashOf(in.State), s.Now())
	if errors.Is(err, refusal.NotFound) {
		return RequestRecord{}, errNoRequest(OpenID)
	}
	if err != nil {
		return RequestRecord{}, fmt.Errorf("take request: %w", err)
	}
	return req, checkRequest(req, c, OpenID, in.Browser)
}

// checkRequest returns an error unless this browser sent the request, with this protocol.
func checkRequest(req RequestRecord, c Connection, by Protocol, browser string) error {
	switch {
	case browser == "" || secret.HashOf(browser) != req.Browser:
		return protocolError(by, reasonOtherBrowser, "the response came from another browser than the request")
	case by == SAML && req.Issuer != "":
		return protocolError(by, reasonUnknownRequest, "the response is one of SAML, and the request was one of OpenID Connect")
	case by == OpenID && req.Issuer == "":
		return protocolError(by, reasonUnknownRequest, "the response is one of OpenID Connect, and the request was one of SAML")
	case by == OpenID && req.Issuer != c.OpenID.Issuer:
		return protocolError(by, reasonUnknownRequest, "the request was sent to "+req.Issuer+", which is no longer the provider of this site")
	}
	return nil
}

// errNoRequest returns the error for a response that answers no request.
func errNoRequest(by Protocol) error {
	return protocolError(by, reasonUnknownRequest, "the response answers no request of this site, or one that is more than ten minutes old or was answered before")
}

// protocolError returns an *oidc.Error or a *saml.Error, depending on the protocol.
func protocolError(by Protocol, reason, detail string) error {
	if by == OpenID {
		return oidc.Refuse(oidc.Reason(reason), "%s", detail)
	}
	return &saml.Error{Reason: saml.Reason(reason), Detail: detail}
}

// verifiedResponse is the verified content of a response of either protocol.
type verifiedResponse struct {
	protocol        Protocol
	issuer          string
	claims          saml.ClaimValues
	authenticatedAt time.Time     // when the person signed in at the identity provider; zero if unknown
	sessionEnd      time.Time     // when the identity provider wants the session to end; zero if it does not say
	session         roster.Origin // the session at the identity provider; only for SAML
	ticket          roster.Ticket // the request and the assertion that the response uses up; only for SAML
	testResult      TestResult    // the data for the page that shows the result of a test
}

// acceptResponse verifies a SAML response. The result has a ticket even if acceptResponse returns
// an error.
func (s *SingleSignOn) acceptResponse(ctx context.Context, st site.Site, c Connection, req RequestRecord, in Response) (verifiedResponse, error) {
	want := saml.Expected{RequestID: req.ID, AllowUnsolicited: req.ID == "" && c.Unsolicited}
	if req.Purpose == ToRenew {
		want.MaxAge = RequestLifetime
	}
	v := verifiedResponse{protocol: SAML, ticket: roster.Ticket{Request: req.Hash}}
	sp, err := s.privateServiceProvider(ctx, st, c)
	if err != nil {
		return v, err
	}
	a, err := sp.Verify(c.Provider, in.SAMLResponse, want, s.Now())
	if unknown := new(saml.Error); errors.As(err, &unknown) && unknown.NewKey {
		changed, failed := s.refreshForUnknownKey(ctx, st, c)
		if failed != nil {
			return v, failed
		}
		if changed {
			now, failed := s.Connection(ctx, st)
			if failed != nil {
				return v, failed
			}
			c.Provider.Certificates = now.Provider.Certificates
			a, err = sp.Verify(c.Provider, in.SAMLResponse, want, s.Now())
		}
	}
	if err != nil {
		return v, err
	}
	v.issuer, v.authenticatedAt, v.sessionEnd = a.Issuer, a.Authenticated, a.SessionEnd
	v.session = roster.Origin{Issuer: a.Issuer, NameID: a.NameID, NameFormat: a.NameIDFormat, Index: a.SessionIndex}
	v.testResult = TestResult{Issuer: a.Issuer, NameID: a.NameID, Format: a.NameIDFormat, Attributes: shownAttributes(a.Attributes), Signed: a.SignedElements, Encrypted: a.Encrypted, Drift: a.ClockDrift}
	v.ticket.Assertion, v.ticket.Until = secret.HashOf(a.Issuer+"\x00"+a.ID), a.RememberUntil
	v.claims, err = a.Pick(c.Claims)
	return v, err
}

// assertedPerson returns the data that the roster needs about the identified person.
func assertedPerson(st site.Site, c Connection, v verifiedResponse) roster.Asserted {
	p := v.claims
	match := p.DisplayName
	switch st.MatchesUserName {
	case site.MatchesUserIdentifier:
		match = p.UserIdentifier
	case site.MatchesEmail:
		match = p.Email
	}
	return roster.Asserted{
		Issuer: v.issuer, Identifier: p.UserIdentifier, Match: match,
		DisplayName: p.DisplayName, Email: p.Email, Title: p.JobTitle, Department: p.Department,
		Create: c.Creates, Ends: v.sessionEnd, Session: v.session, Protocol: v.protocol.String(),
	}
}

// refuseSignIn records in an event of the site why a sign-in failed, and returns the refusal to
// show. The person sees only a reference by which administrators find the event. who is the person
// in the event; it may be empty. If err is an error of this server, refuseSignIn only returns it.
func (s *SingleSignOn) refuseSignIn(ctx context.Context, st site.Site, by Protocol, err error, who string) error {
	f, shown := describeFailure(err)
	if shown == nil {
		return err
	}
	if s.Refused != nil {
		text := fmt.Sprintf("A sign-in by %s was refused (%s): %s", by, f.Reason, f.Detail)
		if who != "" {
			text += "; user identifier " + who
		}
		s.Refused.Add(ctx, event.Event{Scope: event.Site(string(st.ID)), Name: event.SignInSSORefused, Text: text + ". Reference " + f.Reference})
	}
	return shown.WithData(f)
}

// describeFailure describes the failure of a sign-in. shown is the refusal to show to the person;
// it is nil if err is an error of this server.
func describeFailure(err error) (f FailedSignIn, shown *refusal.Error) {
	f.Reference = newRequestID()[1:9]
	var wrong *saml.Error
	if errors.As(err, &wrong) {
		f.Reason, f.Detail = string(wrong.Reason), wrong.Detail
		return f, ErrSSOFailed
	}
	var wrongToken *oidc.Error
	if errors.As(err, &wrongToken) {
		f.Reason, f.Detail = string(wrongToken.Reason), wrongToken.Detail
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
	if about, ok := e.Data.(roster.Rejected); ok && about.UserName != "" {
		f.Detail += ", " + about.UserName
	}
	return f, e
}

// Test is the last test of a connection by a person. It says what the identity provider sent, and
// what a sign-in would have done.
type Test struct {
	Version int64 // the version of the connection that was tested
	Time    time.Time
	Passed  bool
	Result  TestResult
}

// TestResult is the result of a test, as the page about single sign-on shows it.
type TestResult struct {
	Protocol   Protocol         `json:"protocol,omitempty"`
	Failure    string           `json:"failure,omitempty"` // the reason of the failure, in words; empty if the test passed
	Reason     string           `json:"reason,omitempty"`  // the FailedSignIn.Reason of the failure; empty if the test passed
	Issuer     string           `json:"issuer,omitempty"`
	NameID     string           `json:"nameID,omitempty"`
	Format     string           `json:"format,omitempty"` // the format of the NameID
	Attributes []saml.Attribute `json:"attributes,omitempty"`
	Signed     string           `json:"signed,omitempty"` // which elements were signed, and with which algorithm
	Encrypted  bool             `json:"encrypted,omitempty"`
	Drift      time.Duration    `json:"drift,omitempty"`      // how far the identity provider's clock is ahead
	Identifier string           `json:"identifier,omitempty"` // the user identifier in the response
	WouldDo    string           `json:"would,omitempty"`      // what a sign-in would do
	PersonID   string           `json:"personID,omitempty"`   // the id of the account that a sign-in would open; empty if there is none yet
}

// finishTest stores the result of a test, and returns the path of the page that shows it. err says
// why the response was refused; it is nil if the response was accepted.
func (s *SingleSignOn) finishTest(ctx context.Context, st site.Site, c Connection, req RequestRecord, v verifiedResponse, err error) (Finished, error) {
	t := Test{Version: req.Version, Time: s.Now().UTC().Truncate(time.Microsecond), Result: v.testResult}
	t.Result.Identifier, t.Result.Protocol = v.claims.UserIdentifier, v.protocol
	var would roster.Admission
	if err == nil {
		would, err = s.Rosters.Open(st).TryAsserted(ctx, assertedPerson(st, c, v))
	}
	text := "A test of single sign-on passed"
	if err != nil {
		f, shown := describeFailure(err)
		if shown == nil {
			return Finished{}, err
		}
		t.Result.Failure, t.Result.Reason = f.Detail, f.Reason
		text = fmt.Sprintf("A test of single sign-on failed (%s): %s", f.Reason, f.Detail)
	} else {
		t.Result.WouldDo = admissionText(would)
		if !would.Created {
			t.Result.PersonID = would.Person.ID
		}
		t.Passed = c.Version == req.Version
	}
	e := event.Event{Time: s.Now(), Scope: event.Site(string(st.ID)), Name: event.SignInSSOTested, Subject: req.Person, Text: text}
	if err := s.Store.PutTest(ctx, st.ID, req.Person, t, e); err != nil {
		return Finished{}, fmt.Errorf("store the test: %w", err)
	}
	path := AuthenticationPath(st.Name)
	if v.protocol != c.Protocol {
		path += "?protocol=" + string(v.protocol)
	}
	return Finished{Purpose: ToTest, ReturnTo: path}, nil
}

// AuthenticationPath returns the path of the page about single sign-on.
func AuthenticationPath(siteName string) string {
	return "/c/" + siteName + "/admin/access/authentication"
}

// shownAttributes returns the attributes as a page shows them, with long lists and long values
// shortened.
func shownAttributes(all []saml.Attribute) []saml.Attribute {
	const most, longest = 100, 500
	var kept []saml.Attribute
	for _, a := range all[:min(len(all), most)] {
		one := saml.Attribute{Name: shorten(a.Name, longest)}
		for _, v := range a.Values[:min(len(a.Values), 10)] {
			one.Values = append(one.Values, shorten(v, longest))
		}
		kept = append(kept, one)
	}
	return kept
}

// shorten cuts a string to at most the number of bytes in most.
func shorten(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// admissionText says what a sign-in would do, for TestResult.WouldDo.
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

// LinkTested links the identity in a person's last test to their account. The test proves that the
// identity belongs to the person: the person signed in at the identity provider with a browser that
// is also signed in here. If there is no such test within maxTestAgeToLink, LinkTested returns a
// refusal.
func (s *SingleSignOn) LinkTested(ctx context.Context, st site.Site, person roster.Person, c roster.Change) error {
	t, ok, err := s.LastTest(ctx, st, person.ID)
	if err != nil {
		return err
	}
	now, err2 := s.Connection(ctx, st)
	if err2 != nil {
		return err2
	}
	if !ok || t.Result.Identifier == "" || t.Version != now.Version || s.Now().Sub(t.Time) > maxTestAgeToLink {
		return refusal.New(refusal.Conflict, "", "there is no test sign-in of yours within the last %d minutes with these settings", int(maxTestAgeToLink.Minutes())).Advise("test the sign-in again, then link")
	}
	return s.Rosters.Open(st).Link(ctx, person.ID, roster.Asserted{Issuer: t.Result.Issuer, Identifier: t.Result.Identifier}, c)
}

// maxTestAgeToLink is how long after a test LinkTested accepts it.
const maxTestAgeToLink = 30 * time.Minute

// EncodeResult returns a TestResult in its stored form.
func EncodeResult(r TestResult) string {
	text, _ := json.Marshal(r) // cannot fail: strings and numbers can always be encoded
	return string(text)
}

// DecodeResult reads a string that EncodeResult returned.
func DecodeResult(text string) (r TestResult, err error) {
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("read a stored test: %w", err)
	}
	r.Protocol = cmp.Or(r.Protocol, SAML) // older tests have no protocol, because there was only SAML
	return r, nil
}
