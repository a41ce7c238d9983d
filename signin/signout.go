package signin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/site"
)

// Single sign-out ends a person's session at the site and at the identity provider, if the site
// uses it:
//
//	StartSignOut   the person signed out at the site  →  an address that ends the session at the identity provider
//	FinishSignOut  a SAML request of the identity provider  →  ends sessions at the site, and answers
//	               a SAML answer to a request of the site  →  the page that follows a sign-out
//	FinishOpenIDSignOut  the OpenID provider's answer to a request of the site  →  the same page
//
// With OpenID Connect, the provider cannot end sessions at the site.
//
// The session at the site ends even if single sign-out fails.

// toSignOut is the purpose of a request that asks the identity provider to end its session.
const toSignOut Purpose = "sign-out"

// StartSignOut stores a request to end the session at the identity provider. o says where the
// person's session began. StartSignOut returns the path on this server that redirects the browser
// to the identity provider with the request. The path is empty if the site does not use single
// sign-out, or if the session did not begin at the site's identity provider.
func (s *SingleSignOn) StartSignOut(ctx context.Context, st site.Site, o roster.Origin) (path string, err error) {
	if o.Issuer == "" {
		return "", nil
	}
	c, err := s.Connection(ctx, st)
	if err == nil && o.NameID == "" {
		return s.startOpenIDSignOut(ctx, st, c, o)
	}
	if err != nil || !c.SignsOut || c.Mode == SSOOff || c.Provider.SignOutURL == "" || o.Issuer != c.Provider.EntityID {
		return "", err
	}
	sp, err := s.privateServiceProvider(ctx, st, c)
	if err != nil {
		return "", err
	}
	relay := secret.New()
	r := RequestRecord{Hash: secret.HashOf(relay), ID: newRequestID(), Purpose: toSignOut, Version: c.Version, Expires: s.Now().Add(RequestLifetime)}
	r.ReturnTo, err = sp.SignOutRequest(c.Provider, saml.SignOutOptions{ID: r.ID, RelayState: relay, NameID: o.NameID, NameIDFormat: o.NameFormat, SessionIndex: o.Index}, s.Now())
	if err != nil {
		return "", err
	}
	if err := s.Store.AddRequest(ctx, st.ID, r); err != nil {
		return "", fmt.Errorf("add request: %w", err)
	}
	return "/c/" + st.Name + "/auth/saml2/sign-out?go=" + relay, nil
}

// startOpenIDSignOut is StartSignOut for OpenID Connect. The path is also empty if the provider
// does not answer, or has no address for sign-outs.
func (s *SingleSignOn) startOpenIDSignOut(ctx context.Context, st site.Site, c Connection, o roster.Origin) (path string, err error) {
	if !c.SignsOut || c.Mode == SSOOff || s.OpenID == nil || !c.IsReadyFor(OpenID) || o.Issuer != c.OpenID.Issuer {
		return "", nil
	}
	p, err := s.OpenID.Provider(ctx, o.Issuer)
	if wrong := new(oidc.Error); errors.As(err, &wrong) {
		s.recordRefusedSignOut(ctx, st, OpenID, FailedSignIn{Reason: string(wrong.Reason), Detail: wrong.Detail, Reference: newRequestID()[1:9]})
		return "", nil // the person is signed out at the site, which is enough
	}
	if err != nil || p.EndSessionURL == "" {
		return "", err
	}
	state := secret.New()
	r := RequestRecord{Hash: secret.HashOf(state), ID: newRequestID(), Purpose: toSignOut, Version: c.Version, Issuer: p.Issuer, Expires: s.Now().Add(RequestLifetime)}
	if r.ReturnTo, err = s.OpenIDClient(st.Name, c).SignOut(p, s.SignedOutURL(st.Name), state); err != nil {
		return "", err
	}
	if err := s.Store.AddRequest(ctx, st.ID, r); err != nil {
		return "", fmt.Errorf("add request: %w", err)
	}
	return signOutPath(st.Name) + "?go=" + state, nil
}

// signOutPath returns the path that redirects a person to the OpenID provider for a sign-out, and
// to which the provider redirects them afterwards.
func signOutPath(siteName string) string { return "/c/" + siteName + "/auth/oidc/sign-out" }

// SignedOutURL returns the post-logout redirect URI: the address to which an OpenID provider
// redirects the browser after a sign-out. It does not reveal whether the site exists.
func (s *SingleSignOn) SignedOutURL(siteName string) string {
	return s.PublicURL + signOutPath(url.PathEscape(siteName))
}

// FinishOpenIDSignOut processes the answer of an OpenID provider to a request of StartSignOut.
// there reports whether the provider has ended its session, which is so if the state belongs to a
// request.
func (s *SingleSignOn) FinishOpenIDSignOut(ctx context.Context, st site.Site, state string) (there bool, err error) {
	if state == "" || st.ID == "" {
		return false, nil
	}
	hash := secret.HashOf(state)
	r, err := s.Store.FindRequest(ctx, st.ID, hash, s.Now())
	if err == nil && r.Purpose == toSignOut && r.Issuer != "" {
		r, err = s.Store.TakeRequest(ctx, st.ID, hash, s.Now())
		there = err == nil
	}
	if errors.Is(err, refusal.NotFound) {
		return false, nil
	}
	return there, err
}

// SignOutAddress returns the address at the identity provider that ends the session there. relay is
// the last part of the path that StartSignOut returned. SignOutAddress returns ErrSSOOff if the
// request no longer exists.
func (s *SingleSignOn) SignOutAddress(ctx context.Context, st site.Site, relay string) (string, error) {
	r, err := s.Store.FindRequest(ctx, st.ID, secret.HashOf(relay), s.Now())
	if errors.Is(err, refusal.NotFound) || err == nil && r.Purpose != toSignOut {
		return "", ErrSSOOff
	}
	if err != nil {
		return "", fmt.Errorf("find request: %w", err)
	}
	return r.ReturnTo, nil
}

// SignedOut is the result of a message about the end of a session.
type SignedOut struct {
	Address         string // the address at the identity provider that receives the answer; empty if there is nothing to answer
	Ended           int    // how many sessions ended
	EndedAtProvider bool   // whether the message is an answer that says that the identity provider has ended its session
}

// FinishSignOut processes a message about the end of a session. It returns ErrSSOOff, a refusal
// about a FailedSignIn, or an error of this server.
func (s *SingleSignOn) FinishSignOut(ctx context.Context, st site.Site, m saml.SignOutMessage) (SignedOut, error) {
	c, err := s.Connection(ctx, st)
	if err != nil {
		return SignedOut{}, err
	}
	if !c.SignsOut || c.Mode == SSOOff || !c.IsReadyFor(SAML) {
		return SignedOut{}, ErrSSOOff
	}
	sp, err := s.privateServiceProvider(ctx, st, c)
	if err != nil {
		return SignedOut{}, err
	}
	got, err := sp.ReadSignOut(c.Provider, m, s.Now())
	if unknown := new(saml.Error); errors.As(err, &unknown) && unknown.NewKey {
		changed, failed := s.refreshForUnknownKey(ctx, st, c)
		if failed != nil {
			return SignedOut{}, failed
		}
		if changed {
			if c, failed = s.Connection(ctx, st); failed != nil {
				return SignedOut{}, failed
			}
			got, err = sp.ReadSignOut(c.Provider, m, s.Now())
		}
	}
	if err != nil {
		return SignedOut{}, s.refuseSignOut(ctx, st, err)
	}
	if !got.Request {
		return s.takeAnswer(ctx, st, got)
	}
	message := secret.HashOf("sign-out\x00" + c.Provider.EntityID + "\x00" + got.ID)
	err = s.Store.UseTicket(ctx, st.ID, roster.Ticket{Assertion: message, Until: got.RememberUntil}, s.Now())
	if errors.Is(err, roster.ErrAssertionUsed) {
		return SignedOut{}, s.refuseSignOut(ctx, st, &saml.Error{Reason: reasonReplayed, Detail: "the message was used before"})
	}
	if err != nil {
		return SignedOut{}, fmt.Errorf("use a sign-out: %w", err)
	}
	var out SignedOut
	if out.Ended, err = s.Rosters.Open(st).EndOriginSessions(ctx, c.Provider.EntityID, got.NameID, got.SessionIndexes); err != nil {
		return SignedOut{}, err
	}
	out.Address, err = sp.SignOutResponse(c.Provider, newRequestID(), got, s.Now())
	if errors.Is(err, saml.ErrNoSignOutURL) {
		return out, nil
	}
	return out, err
}

// takeAnswer processes the identity provider's answer to a SAML request that StartSignOut stored.
func (s *SingleSignOn) takeAnswer(ctx context.Context, st site.Site, got saml.SignOut) (SignedOut, error) {
	r, err := s.Store.TakeRequest(ctx, st.ID, secret.HashOf(got.RelayState), s.Now())
	switch {
	case errors.Is(err, refusal.NotFound):
	case err != nil:
		return SignedOut{}, fmt.Errorf("take request: %w", err)
	case r.Purpose == toSignOut && r.ID == got.InResponseTo:
		return SignedOut{EndedAtProvider: got.Succeeded}, nil
	}
	return SignedOut{}, s.refuseSignOut(ctx, st, &saml.Error{Reason: reasonUnknownRequest, Detail: "the message answers no request of this site, or one that is more than ten minutes old or was answered before"})
}

// refuseSignOut records in an event why a message was refused, and returns the refusal. If err is
// an error of this server, refuseSignOut only returns it.
func (s *SingleSignOn) refuseSignOut(ctx context.Context, st site.Site, err error) error {
	f, shown := describeFailure(err)
	if shown == nil {
		return err
	}
	s.recordRefusedSignOut(ctx, st, SAML, f)
	return shown.WithData(f)
}

// recordRefusedSignOut adds the event of a refused sign-out.
func (s *SingleSignOn) recordRefusedSignOut(ctx context.Context, st site.Site, by Protocol, f FailedSignIn) {
	if s.Refused != nil {
		s.Refused.Add(ctx, event.Event{
			Time: s.Now().UTC().Truncate(time.Microsecond), Scope: event.Site(string(st.ID)), Name: event.SignInSSOEndRefused,
			Text: fmt.Sprintf("A sign-out by %s was refused (%s): %s. Reference %s", by, f.Reason, f.Detail, f.Reference),
		})
	}
}
