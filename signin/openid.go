package signin

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

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

// OpenIDConnection holds the data that a site has about its OpenID provider.
type OpenIDConnection struct {
	Issuer   string // empty until it is set up
	ClientID string
	// Secret is a new client secret, for a change of the connection. If it is empty, the stored
	// secret stays. The secret is sealed before it is stored, and never read back. So Secret is
	// empty in a stored connection.
	Secret string
	Sealed []byte      // the sealed client secret, as it is stored; empty if there is none
	Claims oidc.Claims // the names of the claims that the site uses
}

// newOpenIDConnection returns the data of a site that has not set up a provider.
func newOpenIDConnection() OpenIDConnection {
	return OpenIDConnection{Claims: oidc.Claims{DisplayName: "preferred_username", Email: "email"}}
}

// isReady reports whether the provider is set up.
func (o OpenIDConnection) isReady() bool {
	return o.Issuer != "" && o.ClientID != "" && len(o.Sealed) > 0
}

// check returns a refusal for data that cannot be used.
func (o OpenIDConnection) check() error {
	if o.Issuer != "" {
		if err := oidc.CheckIssuer(o.Issuer); err != nil {
			return refusal.New(refusal.Invalid, "issuer", "%s", err)
		}
	}
	if err := o.Claims.Check(); err != nil {
		return refusal.New(refusal.Invalid, "userIdentifier", "%s", err)
	}
	return nil
}

// maxClientSecretBytes is the largest length of a client secret.
const maxClientSecretBytes = 1024

// sealSecret seals the new client secret in next. If there is no new secret, it keeps the stored
// secret. It refuses to keep the stored secret if the issuer changes, because the secret would then
// be sent to another provider.
func (s *SingleSignOn) sealSecret(st site.Site, old OpenIDConnection, next *OpenIDConnection) error {
	typed := strings.TrimSpace(next.Secret)
	next.Secret, next.Issuer = "", strings.TrimSpace(next.Issuer)
	if typed == "" {
		if len(old.Sealed) > 0 && next.Issuer != old.Issuer {
			return refusal.New(refusal.Invalid, "clientSecret", "the stored client secret is for %s", old.Issuer).Advise("enter the secret for the new issuer")
		}
		next.Sealed = old.Sealed
		return nil
	}
	if len(typed) > maxClientSecretBytes || !utf8.ValidString(typed) || strings.ContainsFunc(typed, func(r rune) bool { return r < ' ' }) {
		return refusal.New(refusal.Invalid, "clientSecret", "this is not a client secret of at most 1,024 bytes").Advise("copy its value again")
	}
	if next.Issuer == "" {
		return refusal.New(refusal.Invalid, "issuer", "a client secret is for one provider").Advise("enter the issuer too")
	}
	var err error
	next.Sealed, err = s.Sealer.Seal([]byte(typed), secretContext(st.ID, next.Issuer))
	return err
}

// secretContext returns the context with which a Sealer seals a client secret. It names the site
// and the issuer. So a secret that someone copies to another site or issuer cannot be opened.
func secretContext(id site.ID, issuer string) string {
	return "oidc-secret/" + string(id) + "/" + issuer
}

// openIDDifferences returns the differences between two connections, by the names that pages and
// commands use.
func openIDDifferences(old, next OpenIDConnection) []event.Change {
	var changes []event.Change
	for _, f := range []struct{ name, before, after string }{
		{"issuer", old.Issuer, next.Issuer},
		{"client id", old.ClientID, next.ClientID},
		{"user identifier (OpenID Connect)", old.Claims.UserIdentifier, next.Claims.UserIdentifier},
		{"display name (OpenID Connect)", old.Claims.DisplayName, next.Claims.DisplayName},
		{"e-mail (OpenID Connect)", old.Claims.Email, next.Claims.Email},
		{"job title (OpenID Connect)", old.Claims.JobTitle, next.Claims.JobTitle},
		{"department (OpenID Connect)", old.Claims.Department, next.Claims.Department},
	} {
		if f.before != f.after {
			changes = append(changes, event.Changed(f.name, f.before, f.after))
		}
	}
	if !bytes.Equal(old.Sealed, next.Sealed) {
		changes = append(changes, event.SecretChanged("client secret"))
	}
	return changes
}

// OpenIDClient returns the site as a client of its OpenID provider. The redirect address does not
// reveal whether the site exists.
func (s *SingleSignOn) OpenIDClient(siteName string, c Connection) oidc.Client {
	return oidc.Client{ID: c.OpenID.ClientID, RedirectURL: s.PublicURL + "/c/" + url.PathEscape(siteName) + "/auth/oidc/callback"}
}

// startOpenID stores a sign-in request and returns its address at the OpenID provider. The nonce is
// the id of the request. The store finds the request by the hash of the state.
func (s *SingleSignOn) startOpenID(ctx context.Context, st site.Site, c Connection, browser string, r RequestRecord) (string, error) {
	if s.OpenID == nil || !c.OpenID.isReady() {
		return "", ErrSSOOff
	}
	p, err := s.OpenID.Provider(ctx, c.OpenID.Issuer)
	if err != nil {
		return "", err
	}
	state := secret.New()
	r.Hash, r.ID, r.Version, r.Issuer, r.Expires = secret.HashOf(state), newRequestID(), c.Version, p.Issuer, s.Now().Add(RequestLifetime)
	if err := s.Store.AddRequest(ctx, st.ID, r); err != nil {
		return "", fmt.Errorf("add request: %w", err)
	}
	return codeflow.Address(s.OpenIDClient(st.Name, c), p, codeflow.Request{State: state, Nonce: r.ID, Browser: browser, Fresh: r.Purpose == ToRenew}), nil
}

// FinishOpenID processes an answer of an OpenID provider. It returns the same errors as Finish.
func (s *SingleSignOn) FinishOpenID(ctx context.Context, st site.Site, in codeflow.Answer, from session.Browser) (Finished, error) {
	c, err := s.Connection(ctx, st)
	if err != nil {
		return Finished{}, err
	}
	if !c.IsReadyFor(OpenID) || s.OpenID == nil {
		return Finished{}, ErrSSOOff
	}
	req, err := s.takeRequest(ctx, st, c, in)
	if err != nil {
		return Finished{}, s.refuseSignIn(ctx, st, OpenID, err, "")
	}
	if req.Purpose == ToTest {
		v, err := s.acceptToken(ctx, st, c, req, in)
		return s.finishTest(ctx, st, c, req, v, err)
	}
	if c.Mode == SSOOff || c.Protocol != OpenID {
		return Finished{}, ErrSSOOff
	}
	v, err := s.acceptToken(ctx, st, c, req, in)
	if err != nil {
		return Finished{}, s.refuseSignIn(ctx, st, OpenID, err, v.claims.UserIdentifier)
	}
	return s.admit(ctx, st, c, req, v, from)
}

// acceptToken exchanges the code of an answer for an ID token, and verifies the token.
func (s *SingleSignOn) acceptToken(ctx context.Context, st site.Site, c Connection, req RequestRecord, in codeflow.Answer) (verifiedResponse, error) {
	v := verifiedResponse{protocol: OpenID}
	p, err := s.OpenID.Provider(ctx, req.Issuer)
	if err != nil {
		return v, err
	}
	if err := in.Check(p); err != nil {
		return v, err
	}
	plain, err := s.Sealer.Open(c.OpenID.Sealed, secretContext(st.ID, req.Issuer))
	if err != nil {
		return v, oidc.Refuse(reasonUnreadableSecret, "the stored client secret cannot be opened with the key file of this server; enter it again")
	}
	r := codeflow.Redemption{Client: s.OpenIDClient(st.Name, c), Secret: string(plain), Nonce: req.ID}
	if req.Purpose == ToRenew {
		r.MaxAge = RequestLifetime
	}
	t, access, err := codeflow.Redeem(ctx, s.OpenID, p, in, r, s.Now)
	if err != nil {
		return v, err
	}
	if t.LacksClaim(c.OpenID.Claims) {
		if t, err = codeflow.AddUserInfo(ctx, s.OpenID, p, t, access); err != nil {
			return v, err
		}
	}
	v.issuer, v.authenticatedAt = t.Issuer, t.Authenticated
	v.session = roster.Origin{Issuer: t.Issuer}
	attributes := make([]saml.Attribute, 0, len(t.Attributes))
	for _, a := range t.Attributes {
		attributes = append(attributes, saml.Attribute(a))
	}
	v.testResult = TestResult{Issuer: t.Issuer, NameID: t.Subject, Attributes: shownAttributes(attributes), Signed: "ID token (" + t.Algorithm + ")", Drift: t.ClockDrift}
	picked, err := t.Pick(c.OpenID.Claims)
	v.claims = saml.ClaimValues(picked)
	return v, err
}

// SealedSecret is the client secret of a site as it is stored.
type SealedSecret struct {
	Site   site.ID
	Issuer string
	Sealed []byte
}

// SecretStore keeps the client secrets of all sites.
type SecretStore interface {
	// AllSecrets returns the client secrets of all sites.
	AllSecrets(ctx context.Context) ([]SealedSecret, error)
	// ReplaceSecret stores a client secret that was sealed again, and appends the events. If sealed
	// is empty, it removes the secret. It does nothing if the stored secret differs from old.
	ReplaceSecret(ctx context.Context, old SealedSecret, sealed []byte, events ...event.Event) error
}

// resealSecrets seals the client secrets of all sites again. Its results are those of ResealKeys.
func (s *SingleSignOn) resealSecrets(ctx context.Context) (done int, lost []site.ID, err error) {
	all, err := s.Store.AllSecrets(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("find the client secrets of all sites: %w", err)
	}
	for _, k := range all {
		plain, err := s.Sealer.Open(k.Sealed, secretContext(k.Site, k.Issuer))
		if err != nil {
			lost = append(lost, k.Site)
			continue
		}
		sealed, err := s.Sealer.Seal(plain, secretContext(k.Site, k.Issuer))
		if err != nil {
			return done, lost, fmt.Errorf("seal the client secret of site %s: %w", k.Site, err)
		}
		if err := s.Store.ReplaceSecret(ctx, k, sealed); err != nil {
			return done, lost, err
		}
		done++
	}
	return done, lost, nil
}

// countOpenSecrets counts the stored client secrets of all sites. Its results are those of
// CountOpenKeys.
func (s *SingleSignOn) countOpenSecrets(ctx context.Context) (opens, sealed int, err error) {
	all, err := s.Store.AllSecrets(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("find the client secrets of all sites: %w", err)
	}
	for _, k := range all {
		if _, err := s.Sealer.Open(k.Sealed, secretContext(k.Site, k.Issuer)); err == nil {
			opens++
		}
	}
	return opens, len(all), nil
}

// discardLostSecrets removes the client secrets that cannot be opened. It returns the names of
// their sites.
func (s *SingleSignOn) discardLostSecrets(ctx context.Context, actor string) ([]string, error) {
	all, err := s.Store.AllSecrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the client secrets of all sites: %w", err)
	}
	var names []string
	for _, k := range all {
		if _, err := s.Sealer.Open(k.Sealed, secretContext(k.Site, k.Issuer)); err == nil {
			continue
		}
		st, err := s.Sites.Get(ctx, k.Site)
		if err != nil {
			return names, err
		}
		e := event.Event{
			Time: s.Now(), Scope: event.Site(string(k.Site)), Name: event.SiteSSOChanged, Actor: actor,
			Text: "The client secret of this site was removed: the key that sealed it is lost", Data: event.DataOf(nil, event.SecretChanged("client secret")),
		}
		if err := s.Store.ReplaceSecret(ctx, k, nil, e); err != nil {
			return names, err
		}
		names = append(names, st.Name)
	}
	return names, nil
}
