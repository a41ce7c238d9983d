package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// samlSteps returns the steps with a SAML identity provider, in their order: later steps need the
// earlier ones.
func (s *signInSite) samlSteps() []signInStep {
	return []signInStep{
		{"Each side reads the other's metadata; the site has a key", s.connectSAML},
		{"First sign-in, begun at the site; the assertion is signed", s.firstSignIn},
		{"Sign-in of a person whose account SCIM made before", s.signInWithProvisionedAccount},
		{"The administrator tests the sign-in, and links the identity", s.linkAdministrator},
		{"The response is signed, and the assertion is not", s.signInWith(samlOptions{SignResponse: true})},
		{"Response and assertion are signed", s.signInWith(samlOptions{SignResponse: true, SignAssertion: true})},
		{"The assertion is signed and encrypted", s.signInWith(samlOptions{SignAssertion: true, Encrypt: true})},
		{"Everything is signed, and the assertion is encrypted", s.signInWith(samlOptions{SignResponse: true, SignAssertion: true, Encrypt: true})},
		{"Neither response nor assertion is signed", s.refuseUnsignedAssertion},
		{"The identity provider wants signed requests", s.requireSignedRequests},
		{"A fresh sign-in is asked for", s.signInAgain},
		{"A response is posted twice, or by another browser", s.replayResponse},
		{"Sign-in begun at the identity provider", s.startSignInAtProvider},
		{"Sign-out begun at the site", s.signOutAtSiteAndProvider},
		{"Sign-out begun at the identity provider, by redirect", s.signOutAtProvider(samlOptions{SignAssertion: true})},
		{"Sign-out begun at the identity provider, by POST", s.signOutAtProvider(samlOptions{SignAssertion: true, SignOutByPost: true})},
		{"SCIM switches a person off, and on again", s.deactivateAndReactivate},
	}
}

// openIDSteps returns the steps with an OpenID provider, in their order: later steps need the
// earlier ones.
func (s *signInSite) openIDSteps() []signInStep {
	return []signInStep{
		{"The site reads the provider's metadata and keys", s.connectOpenID},
		{"First sign-in: code flow with PKCE, state and nonce", s.firstSignIn},
		{"Sign-in of a person whose account SCIM made before", s.signInWithProvisionedAccount},
		{"The administrator tests the sign-in, and links the identity", s.linkAdministrator},
		{"A fresh sign-in is asked for", s.signInAgain},
		{"An answer is used twice, or by another browser", s.replayOpenIDAnswer},
		{"Sign-out of the site", s.signOutOfSiteOnly},
		{"SCIM switches a person off, and on again", s.deactivateAndReactivate},
	}
}

// connectSAML connects the site with the identity provider on the command line. It sets the claims
// for title and department on the page, because the command line has no settings for them.
func (s *signInSite) connectSAML(ctx context.Context) (string, error) {
	got, err := newBrowser().open(ctx, s.provider.metadata)
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.provider.dir, "metadata.xml")
	if err := os.WriteFile(file, []byte(got.body), 0o600); err != nil {
		return "", err
	}
	shown, err := s.installation.Rollcall(ctx, "site", "sso", "set", s.site.Name, "--metadata", file, "--mode", "optional", "--matches", "display-name-assertion", "--single-sign-out")
	if err != nil {
		return "", err
	}
	if !strings.Contains(shown, s.provider.entityID) {
		return "", fmt.Errorf("the entity id is not %s:\n%s", s.provider.entityID, shown)
	}
	if err := errors.Join(s.giveMetadata(ctx), s.enterAsAdministrator(ctx)); err != nil {
		return "", err
	}
	claims := map[string]string{"jobTitle": "title", "department": "department"}
	if s.kind.name == "samlp" {
		claims = map[string]string{"jobTitle": "http://schemas.passportjs.com/title", "department": "http://schemas.passportjs.com/department"}
	}
	return "connected", s.changeSettings(ctx, claims)
}

// connectOpenID connects the site with the OpenID provider on the command line. It sets the claims
// for title and department on the page.
func (s *signInSite) connectOpenID(ctx context.Context) (string, error) {
	file := filepath.Join(s.provider.dir, "secret.txt")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		return "", err
	}
	if _, err := s.installation.Rollcall(ctx, "site", "sso", "set", s.site.Name, "--protocol", "oidc", "--issuer", s.provider.base, "--client-id", "rollcall", "--client-secret-file", file, "--mode", "optional", "--matches", "display-name-assertion"); err != nil {
		return "", err
	}
	if err := s.enterAsAdministrator(ctx); err != nil {
		return "", err
	}
	return "connected", s.changeSettings(ctx, map[string]string{"jobTitle": "title", "department": "department"})
}

// firstSignIn signs a person in for the first time, which creates the account.
func (s *signInSite) firstSignIn(ctx context.Context) (string, error) {
	b := newBrowser()
	if err := s.mustBeSignedOut(ctx, b); err != nil {
		return "", err
	}
	asked, err := s.signIn(ctx, b, s.loginAddress(), ada)
	if err != nil {
		return "", err
	}
	if asked != 1 {
		return "", fmt.Errorf("the password was asked for %d times", asked)
	}
	if _, err := s.mustHaveAccount(ctx, ada); err != nil {
		return "", err
	}
	return "the account is made, with userName, e-mail, user identifier, title and department", nil
}

// signInWithProvisionedAccount creates an account with SCIM, and then signs its person in. The
// sign-in must not create a second account.
func (s *signInSite) signInWithProvisionedAccount(ctx context.Context) (string, error) {
	id, err := s.installation.AddUser(ctx, s.site, grace.Name, `,"displayName":"G. Hopper","active":true`)
	if err != nil {
		return "", err
	}
	if _, err := s.signIn(ctx, newBrowser(), s.loginAddress(), grace); err != nil {
		return "", err
	}
	a, err := s.accountOf(ctx, grace.Name)
	if err != nil {
		return "", err
	}
	if a.ID != id || a.Title != grace.Title || a.Enterprise.Department != grace.Department {
		return "", fmt.Errorf("SCIM made %s, and the sign-in is for %+v", id, a)
	}
	return "the same account; title and department follow the identity provider", nil
}

// linkAdministrator links the account of the administrator to the user identifier at the identity
// provider. Before that, the site refuses the sign-in, because the account has a role.
func (s *signInSite) linkAdministrator(ctx context.Context) (string, error) {
	if err := s.mustBeRefused(ctx, newBrowser(), s.loginAddress(), kim, "An account with a role"); err != nil {
		return "", err
	}
	if _, err := s.expectRefusals(ctx, "unproved"); err != nil {
		return "", err
	}
	protocol := "saml2"
	if s.kind.openID {
		protocol = "oidc"
	}
	p, err := s.admin.open(ctx, s.home+"auth/"+protocol+"/test")
	if err != nil {
		return "", err
	}
	if p, _, err = s.admin.answerPages(ctx, p, kim); err != nil {
		return "", err
	}
	f, err := p.form("/authentication/link")
	if err != nil {
		return "", err
	}
	if p, err = s.admin.submit(ctx, f); err != nil || !strings.Contains(p.body, "Linked.") {
		return "", pageError("linking", p, err)
	}
	if _, err := s.signIn(ctx, newBrowser(), s.loginAddress(), kim); err != nil {
		return "", err
	}
	return "refused before: unproved; signed in after", nil
}

// signInWith returns a step that signs a person in while the identity provider has the options o.
func (s *signInSite) signInWith(o samlOptions) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if err := s.provider.setOptions(o); err != nil {
			return "", err
		}
		_, err := s.signIn(ctx, newBrowser(), s.loginAddress(), ada)
		return "signed in", err
	}
}

// refuseUnsignedAssertion checks that the site refuses an assertion without a signature.
func (s *signInSite) refuseUnsignedAssertion(ctx context.Context) (string, error) {
	if err := s.provider.setOptions(samlOptions{}); err != nil {
		return "", err
	}
	if err := s.mustBeRefused(ctx, newBrowser(), s.loginAddress(), ada, "You are not signed in"); err != nil {
		return "", err
	}
	return s.expectRefusals(ctx, "unsigned")
}

// requireSignedRequests makes the identity provider require signed requests. It checks that
// sign-ins fail until the site signs its requests.
func (s *signInSite) requireSignedRequests(ctx context.Context) (string, error) {
	if err := s.provider.setOptions(samlOptions{SignAssertion: true, RequireSignedRequests: true}); err != nil {
		return "", err
	}
	p, err := newBrowser().open(ctx, s.loginAddress())
	if err != nil {
		return "", err
	}
	if p, _, err = newBrowser().answerPages(ctx, p, ada); err != nil {
		return "", err
	}
	if p.status == http.StatusOK && strings.HasPrefix(p.address.String(), s.home) {
		return "", errors.New("the identity provider takes a request without a signature, so this step shows nothing")
	}
	if _, err := s.installation.Rollcall(ctx, "site", "sso", "set", s.site.Name, "--sign-requests"); err != nil {
		return "", err
	}
	if err := s.giveMetadata(ctx); err != nil {
		return "", err
	}
	if _, err := s.signIn(ctx, newBrowser(), s.loginAddress(), ada); err != nil {
		return "", err
	}
	return "unsigned ones are refused there, signed ones are accepted", s.provider.setOptions(samlOptions{SignAssertion: true})
}

// signInAgain signs a person in several times in one browser. The identity provider must ask for
// the password again only if the site demands a new sign-in.
func (s *signInSite) signInAgain(ctx context.Context) (string, error) {
	b := newBrowser()
	for _, step := range []struct {
		address string
		asked   int
	}{{s.loginAddress(), 1}, {s.loginAddress(), 0}, {s.loginAddress() + "?renew=yes", 1}} {
		asked, err := s.signIn(ctx, b, step.address, ada)
		if err != nil {
			return "", fmt.Errorf("%s: %w", step.address, err)
		}
		if asked != step.asked {
			return "", fmt.Errorf("%s: the password was asked for %d times, not %d", step.address, asked, step.asked)
		}
	}
	return "the identity provider asks for the password again; otherwise it does not", nil
}

// responseFor signs a person in at the identity provider, and returns the form with its response
// without sending it.
func (s *signInSite) responseFor(ctx context.Context, b *browser, address string, who employee) (form, error) {
	p, err := b.open(ctx, address)
	for range 5 {
		if err != nil {
			return form{}, err
		}
		f, found, err := p.message()
		if found || err != nil {
			return f, err
		}
		if f, found, err = p.questionFor(who); err != nil {
			return form{}, err
		}
		if !found {
			break
		}
		if p, err = b.submit(ctx, f); err != nil {
			return form{}, err
		}
	}
	return form{}, fmt.Errorf("there is no response: %s", p)
}

// replayResponse checks that the site refuses a response from another browser, and a response that
// was used before.
func (s *signInSite) replayResponse(ctx context.Context) (string, error) {
	b := newBrowser()
	f, err := s.responseFor(ctx, b, s.loginAddress(), ada)
	if err != nil {
		return "", err
	}
	stranger := newBrowser()
	if p, err := stranger.submit(ctx, f); err != nil || p.status != http.StatusForbidden {
		return "", pageError("from another browser", p, err)
	}
	if err := s.mustBeSignedOut(ctx, stranger); err != nil {
		return "", err
	}
	if f, err = s.responseFor(ctx, b, s.loginAddress(), ada); err != nil { // the attempt of the stranger used up the first request
		return "", err
	}
	if p, err := b.submit(ctx, f); err != nil || p.status != http.StatusOK {
		return "", pageError("the first time", p, err)
	}
	if p, err := b.submit(ctx, f); err != nil || p.status != http.StatusForbidden {
		return "", pageError("the second time", p, err)
	}
	return s.expectRefusals(ctx, "other_browser", "unknown_request")
}

// replayOpenIDAnswer checks that the site refuses an answer from another browser, and an answer
// that was used before.
func (s *signInSite) replayOpenIDAnswer(ctx context.Context) (string, error) {
	b := newBrowser()
	if _, err := s.signIn(ctx, b, s.loginAddress(), ada); err != nil {
		return "", err
	}
	// The person is signed in at the provider now, so the next sign-in consists of redirects only.
	// The browser follows them up to the one with the provider's answer.
	address := s.loginAddress()
	follow := b.client.CheckRedirect
	defer func() { b.client.CheckRedirect = follow }()
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		address = r.URL.String()
		if strings.Contains(address, "/auth/oidc/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	if _, err := b.open(ctx, address); err != nil {
		return "", err
	}
	if !strings.Contains(address, "/auth/oidc/callback?") {
		return "", fmt.Errorf("the provider does not answer: %s", address)
	}
	stranger := newBrowser()
	if p, err := stranger.open(ctx, address); err != nil || p.status != http.StatusForbidden {
		return "", pageError("from another browser", p, err)
	}
	if p, err := b.open(ctx, address); err != nil || p.status != http.StatusForbidden {
		return "", pageError("the second time", p, err)
	}
	return s.expectRefusals(ctx, "other_browser", "unknown_request")
}

// startSignInAtProvider starts a sign-in at the identity provider. The site must refuse it until
// its settings allow such sign-ins, and accept each response only once.
func (s *signInSite) startSignInAtProvider(ctx context.Context) (string, error) {
	address := s.provider.startAddress(s.home + "auth/saml2/metadata")
	if err := s.mustBeRefused(ctx, newBrowser(), address, alan, "You are not signed in"); err != nil {
		return "", err
	}
	if _, err := s.expectRefusals(ctx, "unknown_request"); err != nil {
		return "", err
	}
	if err := s.changeSettings(ctx, map[string]string{"unsolicited": "yes"}); err != nil {
		return "", err
	}
	b := newBrowser()
	f, err := s.responseFor(ctx, b, address, alan)
	if err != nil {
		return "", err
	}
	if p, err := b.submit(ctx, f); err != nil || p.status != http.StatusOK {
		return "", pageError("the first time", p, err)
	}
	if err := s.mustBeSignedIn(ctx, b, alan); err != nil {
		return "", err
	}
	if _, err := s.mustHaveAccount(ctx, alan); err != nil {
		return "", err
	}
	if p, err := newBrowser().submit(ctx, f); err != nil || p.status != http.StatusForbidden {
		return "", pageError("the second time", p, err)
	}
	if _, err := s.expectRefusals(ctx, "replayed"); err != nil {
		return "", err
	}
	return "refused while the site does not allow it; then signed in, and a second use is refused: replayed", s.changeSettings(ctx, map[string]string{"unsolicited": ""})
}

// signOutOfSiteOnly signs a person out with the button of the site. The session at the provider
// stays.
func (s *signInSite) signOutOfSiteOnly(ctx context.Context) (string, error) {
	b := newBrowser()
	if _, err := s.signIn(ctx, b, s.loginAddress(), ada); err != nil {
		return "", err
	}
	if _, err := s.pressSignOut(ctx, b); err != nil {
		return "", err
	}
	return "the session has ended", s.mustBeSignedOut(ctx, b)
}

// pressSignOut signs a person out with the button of the site and returns the page that follows.
func (s *signInSite) pressSignOut(ctx context.Context, b *browser) (*page, error) {
	p, err := b.open(ctx, s.home)
	if err != nil {
		return nil, err
	}
	f, err := p.form("/sign-out")
	if err != nil {
		return nil, err
	}
	return b.submit(ctx, f)
}

// signOutAtSiteAndProvider signs a person out with the button of the site. The session at the
// identity provider must end too.
func (s *signInSite) signOutAtSiteAndProvider(ctx context.Context) (string, error) {
	b, other := newBrowser(), newBrowser()
	for _, one := range []*browser{b, other} {
		if _, err := s.signIn(ctx, one, s.loginAddress(), ada); err != nil {
			return "", err
		}
	}
	p, err := s.pressSignOut(ctx, b)
	if err != nil {
		return "", err
	}
	if err := s.mustBeSignedOut(ctx, b); err != nil {
		return "", err
	}
	there, err := p.link("/auth/saml2/sign-out?go=")
	if err != nil {
		return "", err
	}
	if p, err = b.open(ctx, there); err != nil {
		return "", err
	}
	if p, _, err = b.answerPages(ctx, p, employee{}); err != nil {
		return "", err
	}
	if p.status != http.StatusOK || !strings.Contains(p.body, "signed out of this site and of your identity provider") {
		return "", errors.New(p.String())
	}
	asked, err := s.signIn(ctx, b, s.loginAddress(), ada)
	if err != nil {
		return "", err
	}
	if asked != 1 {
		return "", fmt.Errorf("after the sign-out the password is asked for %d times, not once", asked)
	}
	return "both sessions have ended; another browser of the person stays signed in", s.mustBeSignedIn(ctx, other, ada)
}

// signOutAtProvider returns a step that signs a person out at the identity provider, which sends
// its messages as the options o say.
func (s *signInSite) signOutAtProvider(o samlOptions) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if err := s.provider.setOptions(o); err != nil {
			return "", err
		}
		b, other := newBrowser(), newBrowser()
		for _, one := range []*browser{b, other} {
			if _, err := s.signIn(ctx, one, s.loginAddress(), ada); err != nil {
				return "", err
			}
		}
		p, err := b.open(ctx, s.provider.signOutStart)
		if err != nil {
			return "", err
		}
		if p, _, err = b.answerPages(ctx, p, employee{}); err != nil {
			return "", err
		}
		if p.status != http.StatusOK || !strings.HasPrefix(p.address.String(), s.provider.base) {
			return "", errors.New(p.String())
		}
		if err := errors.Join(s.mustBeSignedOut(ctx, b), s.mustBeSignedIn(ctx, other, ada)); err != nil {
			return "", err
		}
		return "the session with this session index has ended; another browser of the person stays signed in", nil
	}
}

// deactivateAndReactivate deactivates a person with SCIM, which must end the session and refuse
// sign-ins. Then it reactivates the person, who can sign in again.
func (s *signInSite) deactivateAndReactivate(ctx context.Context) (string, error) {
	b := newBrowser()
	if _, err := s.signIn(ctx, b, s.loginAddress(), grace); err != nil {
		return "", err
	}
	a, err := s.accountOf(ctx, grace.Name)
	if err != nil {
		return "", err
	}
	if err := s.setActive(ctx, a.ID, "False"); err != nil {
		return "", err
	}
	if err := s.mustBeSignedOut(ctx, b); err != nil {
		return "", err
	}
	if err := s.mustBeRefused(ctx, b, s.loginAddress(), grace, "deactivated"); err != nil {
		return "", err
	}
	if _, err := s.expectRefusals(ctx, "deactivated"); err != nil {
		return "", err
	}
	if err := s.setActive(ctx, a.ID, "True"); err != nil {
		return "", err
	}
	if _, err := s.signIn(ctx, b, s.loginAddress(), grace); err != nil {
		return "", err
	}
	return "the next click is the sign-in page, and a new sign-in is refused: deactivated; switched on, signed in", nil
}

// pageError returns an error about a page that is not the expected one. when says in which part of
// the step it came. err is the error of the request; nil if the page arrived.
func pageError(when string, p *page, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", when, err)
	}
	return fmt.Errorf("%s: %s", when, p)
}
