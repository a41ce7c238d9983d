package operator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/refusal"
)

// OpenID signs operators in at the one OpenID provider of the installation:
//
//	Start   stores a request for this browser, and returns the address at the provider
//	Finish  removes the request, exchanges the code, verifies the ID token
//	        →  a session, or a linked identity
//
// Only an identity that an operator linked before signs anyone in. An e-mail address never does.
type OpenID struct {
	Operators *Operators
	Requests  RequestStore
	Providers codeflow.Providers
	Issuer    string
	ClientID  string
	Secret    string         // the client secret
	PublicURL string         // the address of this server, without a slash at the end
	Refused   *event.Refused // records refused sign-ins; nil records none

	silent atomic.Bool // whether the provider did not answer when it was last asked
}

// CallbackPath is the path that receives the provider's answers.
const CallbackPath = "/d/-/openid/callback"

// Purpose says why an operator is sent to the provider.
type Purpose string

// The purposes of requests.
const (
	ToSignIn Purpose = "sign-in" // to sign in; the provider may use its own session of the person
	ToRenew  Purpose = "renew"   // to sign in again; the provider must ask the person to prove who they are
	ToLink   Purpose = "link"    // to link the identity to the signed-in operator
)

// OpenIDRequest is a request to the provider, such as to sign a person in, as it is stored.
type OpenIDRequest struct {
	Hash     secret.Hash // the hash of the state
	Nonce    string
	Browser  secret.Hash // the hash of the secret in the browser's cookie
	Purpose  Purpose
	Operator string // the id of the operator who links; empty for other purposes
	ReturnTo string // the path below /d/ that the browser opens afterwards
	Issuer   string
	Expires  time.Time
}

// RequestStore keeps the requests of operators. It gets only hashes of secrets.
type RequestStore interface {
	// AddRequest stores a request, and removes expired requests.
	AddRequest(ctx context.Context, r OpenIDRequest) error
	// TakeRequest removes and returns a request. It returns refusal.NotFound if there is none, or
	// if the request has expired at the time now.
	TakeRequest(ctx context.Context, hash secret.Hash, now time.Time) (OpenIDRequest, error)
	// HasRequest reports whether there is a request with this hash that this browser sent and that
	// has not expired at the time now. It does not remove the request.
	HasRequest(ctx context.Context, hash, browser secret.Hash, now time.Time) (bool, error)
}

// Refusals about sign-ins at the provider.
var (
	// ErrOpenIDFailed is returned if the provider's answer is not accepted.
	ErrOpenIDFailed = refusal.New(refusal.Forbidden, "", "what the provider sent could not be accepted").Coded("operator_openid_failed")
	// ErrOpenIDSilent is returned if the provider does not answer, or not in a form that can be
	// read.
	ErrOpenIDSilent = refusal.New(refusal.Busy, "", "the provider does not answer as it should").Coded("operator_openid_silent")
)

// RefusedSignIn describes a sign-in at the provider that was refused. It is the data of
// the refusals that Finish returns.
type RefusedSignIn struct {
	Reason    string // a short code, such as audience_mismatch
	Reference string // eight characters by which operators find the refusal in the audit log
	Linking   bool   // whether the sign-in was to link an identity
}

// The reasons why this package refuses a sign-in, in addition to the reasons of package oidc.
const (
	reasonUnknownRequest = "unknown_request" // the answer belongs to no request, or the request has expired
	reasonOtherBrowser   = "other_browser"   // the answer comes from another browser than the request
	reasonNotLinked      = "not_linked"      // the identity is linked to no operator
	reasonLinkedAlready  = "linked_already"  // the identity is already linked to an operator
	reasonOtherOperator  = "other_operator"  // the operator who asked for the link is no longer signed in
)

// ProviderName returns the name of the provider for buttons: the host of its issuer.
func (o *OpenID) ProviderName() string {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" {
		return o.Issuer
	}
	return u.Host
}

// Client returns the installation as a client of its provider.
func (o *OpenID) Client() oidc.Client {
	return oidc.Client{ID: o.ClientID, RedirectURL: o.PublicURL + CallbackPath}
}

// Check asks the provider for its metadata, unless that is known already.
func (o *OpenID) Check(ctx context.Context) error {
	_, err := o.provider(ctx)
	return err
}

// Answers reports whether the provider answered when it was last asked. It reports true before the
// provider is asked for the first time.
func (o *OpenID) Answers() bool { return !o.silent.Load() }

// provider returns the provider's metadata, and records whether the provider answered.
func (o *OpenID) provider(ctx context.Context) (oidc.Provider, error) {
	p, err := o.Providers.Provider(ctx, o.Issuer)
	if ctx.Err() == nil {
		o.silent.Store(err != nil)
	}
	return p, err
}

// Start begins a sign-in, and returns the address at the provider to which the browser must go.
// browser is the secret in the browser's cookie. returnTo is the path below /d/ to open after the
// sign-in; any other address is replaced. If renew is true, the operator must prove again who they
// are. Start returns ErrOpenIDSilent if the provider does not answer.
func (o *OpenID) Start(ctx context.Context, browser, returnTo string, renew bool) (address string, err error) {
	r := OpenIDRequest{Purpose: ToSignIn, ReturnTo: pathForOperators(returnTo)}
	if renew {
		r.Purpose = ToRenew
	}
	return o.start(ctx, browser, r)
}

// StartLink is like Start, but the sign-in at the provider links the identity to the operator in
// the argument by. The provider must show its sign-in page, so that the operator sees which
// identity is linked.
func (o *OpenID) StartLink(ctx context.Context, browser string, by Operator) (address string, err error) {
	return o.start(ctx, browser, OpenIDRequest{Purpose: ToLink, Operator: by.ID, ReturnTo: accountPath})
}

// start stores the request, and returns the address at the provider.
func (o *OpenID) start(ctx context.Context, browser string, r OpenIDRequest) (string, error) {
	p, err := o.provider(ctx)
	if err != nil {
		return "", o.refuse(ctx, r.Purpose, err, "")
	}
	state := secret.New()
	r.Hash, r.Nonce, r.Browser = secret.HashOf(state), secret.New(), secret.HashOf(browser)
	r.Issuer, r.Expires = p.Issuer, o.Operators.Now().Add(codeflow.RequestLifetime)
	if err := o.Requests.AddRequest(ctx, r); err != nil {
		return "", fmt.Errorf("add request: %w", err)
	}
	return codeflow.Address(o.Client(), p, codeflow.Request{State: state, Nonce: r.Nonce, Browser: browser, Fresh: r.Purpose != ToSignIn}), nil
}

const (
	homePath    = "/d/"          // the first page for operators
	accountPath = "/d/-/account" // the page My account
)

// pathForOperators returns the path if it is a safe path below /d/, and /d/ otherwise. For a path
// that would begin another sign-in, it returns the path of the page My account.
func pathForOperators(path string) string {
	switch {
	case !strings.HasPrefix(path, homePath) || len(path) > 500 || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }) ||
		strings.Contains(path, "//") || strings.Contains(path, "..") || strings.Contains(strings.ToLower(path), "%2"):
		return homePath
	case strings.HasPrefix(path, "/d/-/openid/"), strings.HasPrefix(path, "/d/sign-in/"):
		return accountPath
	}
	return path
}

// HasRequestFor reports whether an answer belongs to a request of this browser that has not
// expired. It does not verify the answer or remove the request.
func (o *OpenID) HasRequestFor(ctx context.Context, in codeflow.Answer) (bool, error) {
	if in.Browser == "" || in.State == "" {
		return false, nil
	}
	has, err := o.Requests.HasRequest(ctx, secret.HashOf(in.State), secret.HashOf(in.Browser), o.Operators.Now())
	if err != nil {
		return false, fmt.Errorf("find request: %w", err)
	}
	return has, nil
}

// Finished is the result of Finish.
type Finished struct {
	Purpose  Purpose
	Session  Session  // the session that began; zero if Purpose is ToLink
	Identity Identity // the identity that was linked; zero unless Purpose is ToLink
	ReturnTo string   // a path of this server
}

// Finish processes an answer of the provider. sessionSecret is the secret of the browser's session,
// and may be empty. A new identity is linked only if that session belongs to the operator who asked
// for the link. Finish returns a refusal whose data is a RefusedSignIn, or an error of this server.
func (o *OpenID) Finish(ctx context.Context, in codeflow.Answer, sessionSecret string, from session.Browser) (Finished, error) {
	req, err := o.takeRequest(ctx, in)
	if err != nil {
		return Finished{}, o.refuse(ctx, req.Purpose, err, "")
	}
	i, proved, err := o.acceptAnswer(ctx, req, in)
	if err != nil {
		return Finished{}, o.refuse(ctx, req.Purpose, err, "")
	}
	if req.Purpose == ToLink {
		i, err = o.linkIdentity(ctx, req, i, sessionSecret)
		if err != nil {
			return Finished{}, o.refuse(ctx, req.Purpose, err, i.Subject)
		}
		return Finished{Purpose: ToLink, Identity: i, ReturnTo: req.ReturnTo}, nil
	}
	s, err := o.signIn(ctx, i, proved, from)
	if err != nil {
		return Finished{}, o.refuse(ctx, req.Purpose, err, i.Subject)
	}
	return Finished{Purpose: req.Purpose, Session: s, ReturnTo: req.ReturnTo}, nil
}

// takeRequest removes and returns the request that an answer belongs to.
func (o *OpenID) takeRequest(ctx context.Context, in codeflow.Answer) (OpenIDRequest, error) {
	req, err := o.Requests.TakeRequest(ctx, secret.HashOf(in.State), o.Operators.Now())
	switch {
	case errors.Is(err, refusal.NotFound):
		return req, oidc.Refuse(reasonUnknownRequest, "the answer belongs to no request of an operator, or to one that is more than ten minutes old or was answered before")
	case err != nil:
		return req, fmt.Errorf("take request: %w", err)
	case in.Browser == "" || secret.HashOf(in.Browser) != req.Browser:
		return req, oidc.Refuse(reasonOtherBrowser, "the answer came from another browser than the request")
	case req.Issuer != o.Issuer:
		return req, oidc.Refuse(reasonUnknownRequest, "the request was sent to %s, which is no longer the provider of operators", req.Issuer)
	}
	return req, nil
}

// acceptAnswer exchanges the code of an answer for an ID token, and verifies the token. It returns
// the identity in the token, and when the person proved who they are.
func (o *OpenID) acceptAnswer(ctx context.Context, req OpenIDRequest, in codeflow.Answer) (i Identity, proved time.Time, err error) {
	p, err := o.provider(ctx)
	if err != nil {
		return i, proved, err
	}
	if err := in.Check(p); err != nil {
		return i, proved, err
	}
	r := codeflow.Redemption{Client: o.Client(), Secret: o.Secret, Nonce: req.Nonce}
	if req.Purpose == ToRenew {
		r.MaxAge = codeflow.RequestLifetime
	}
	t, access, err := codeflow.Redeem(ctx, o.Providers, p, in, r, o.Operators.Now)
	if err != nil {
		return i, proved, err
	}
	claims := oidc.Claims{Email: "email"}
	if req.Purpose == ToLink && t.LacksClaim(claims) {
		if t, err = codeflow.AddUserInfo(ctx, o.Providers, p, t, access); err != nil {
			return i, proved, err
		}
	}
	picked, err := t.Pick(claims)
	if err != nil {
		return i, proved, err
	}
	proved = t.Authenticated
	if req.Purpose == ToRenew {
		proved = o.Operators.Now() // the token would have been refused if the person had not just proved who they are
	}
	return Identity{Issuer: t.Issuer, Subject: picked.UserIdentifier, Email: picked.Email}, proved, nil
}

// signIn starts a session of the operator that the identity is linked to.
func (o *OpenID) signIn(ctx context.Context, i Identity, proved time.Time, from session.Browser) (Session, error) {
	ops := o.Operators
	record := ops.Limits.Start(ops.Now(), from)
	record.RecordProof(proved)
	s := Session{Secret: secret.New(), Expires: record.Expires}
	var err error
	s.Operator, err = ops.Store.UseIdentity(ctx, IdentityUse{
		Issuer: i.Issuer, Subject: i.Subject, Email: i.Email, At: ops.Now(), SessionHash: secret.HashOf(s.Secret), Session: record,
		Event: func(op Operator) event.Event {
			e := ops.newEvent(event.OperatorSignedIn, op.Actor(), op.Name, fmt.Sprintf("%s signed in by OpenID Connect at %s", op.Name, i.Issuer))
			e.By = event.Actor{Kind: event.Operator, ID: op.ID, Name: op.Name}
			return e
		},
	})
	if err != nil {
		return Session{}, err
	}
	return s, nil
}

// linkIdentity links the identity to the operator who asked for the link. That operator must still
// be signed in, in the same browser.
func (o *OpenID) linkIdentity(ctx context.Context, req OpenIDRequest, i Identity, sessionSecret string) (Identity, error) {
	ops := o.Operators
	op, _, err := ops.findSession(ctx, sessionSecret)
	if err != nil && !errors.Is(err, ErrNoSession) {
		return i, err
	}
	if err != nil || op.ID != req.Operator {
		return i, oidc.Refuse(reasonOtherOperator, "the operator who asked to link the identity is no longer signed in in this browser")
	}
	i.ID, i.OperatorID, i.Linked = ops.NewID(), op.ID, ops.Now()
	e := ops.newEvent(event.OperatorIdentityLinked, op.Actor(), op.Name, fmt.Sprintf("%s linked the identity %s of %s", op.Name, i.Subject, i.Issuer))
	e.By = event.Actor{Kind: event.Operator, ID: op.ID, Name: op.Name}
	err = ops.Store.LinkIdentity(ctx, i, e)
	if taken, ok := refusal.DataOf[TakenIdentity](err); ok && errors.Is(err, ErrIdentityTaken) {
		if taken.OperatorID == op.ID {
			return i, ErrIdentityTaken.Because("this identity is linked to your account already").Advise("nothing needs to be done")
		}
		return i, ErrIdentityTaken.Because("this identity is linked to another operator").Advise("it must be unlinked there first")
	}
	return i, err
}

// TakenIdentity says which operator an identity is linked to. It is the data of ErrIdentityTaken.
type TakenIdentity struct{ OperatorID string }

// refuse records in an event of the installation why a sign-in was refused, and returns the refusal
// to show. The refusal has a reference by which operators find the event. who is the identity in
// the event; it may be empty. refuse returns errors of this server unchanged.
func (o *OpenID) refuse(ctx context.Context, to Purpose, err error, who string) error {
	f := RefusedSignIn{Reference: newReference(), Linking: to == ToLink}
	shown, detail := ErrOpenIDFailed.Advise("start again from the sign-in page; if it happens again, the audit log of the installation has the reason, with the reference %s", f.Reference), ""
	var wrong *oidc.Error
	switch {
	case errors.As(err, &wrong):
		f.Reason, detail = string(wrong.Reason), wrong.Detail
		if wrong.Reason == oidc.ProviderFailed {
			shown = ErrOpenIDSilent.Advise("use a one-time link, or try again in a minute; the audit log of the installation has the reason, with the reference %s", f.Reference)
		}
	case errors.Is(err, ErrIdentityUnknown):
		f.Reason, detail, shown = reasonNotLinked, "the identity is linked to no operator", ErrIdentityUnknown
	case errors.Is(err, ErrIdentityTaken):
		f.Reason, detail = reasonLinkedAlready, "the identity is linked already"
		shown, _ = refusal.Find(err)
	default:
		return err
	}
	if o.Refused != nil {
		text := fmt.Sprintf("A sign-in of an operator by OpenID Connect was refused (%s): %s", f.Reason, detail)
		if who != "" {
			text += "; identity " + who + " of " + o.Issuer
		}
		o.Refused.Add(ctx, event.Event{Scope: event.Installation(), Name: event.OperatorSignInRefused, Text: text + ". Reference " + f.Reference})
	}
	return shown.WithData(f)
}

// newReference returns a new value for RefusedSignIn.Reference: eight random hexadecimal digits.
func newReference() string {
	var b [4]byte
	rand.Read(b[:]) // rand.Read never fails
	return hex.EncodeToString(b[:])
}
