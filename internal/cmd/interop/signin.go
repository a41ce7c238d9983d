package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

// signInPart is the name by which -only selects the part that signs people in.
const signInPart = "sign-in"

// signIns carries out the second part of the program: the sign-ins through all identity providers.
// It collects the results.
type signIns struct {
	installation *binary.Installation // the Rollcall server with a site for each identity provider
	dir          string               // the temporary folder for the identity providers
	progress     io.Writer            // gets a line about each step
	began        time.Time            // when this part of the program began
	results      []signInResult
}

// signInResult is the result of one step with an identity provider.
type signInResult struct {
	provider, software string // the description of the identity provider, and its software
	what               string // the step, as the report describes it
	result             string // what happened, if the step succeeded
	err                error  // why the step failed; nil if it succeeded
}

// printProgress prints a line that begins with the time since the start.
func (s *signIns) printProgress(format string, args ...any) {
	fmt.Fprintf(s.progress, "%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// playSignIns signs people in at a site through each identity provider.
func playSignIns(ctx context.Context, path, dir string, progress io.Writer) (s *signIns, err error) {
	s = &signIns{dir: dir, progress: progress, began: time.Now()}
	if s.installation, err = binary.New(ctx, binary.Options{Binary: path}); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, s.installation.Close()) }()
	if err := s.installation.Serve(ctx); err != nil {
		return s, err
	}
	for _, p := range identityProviders() {
		s.printProgress("%s: %s …", p.name, p.description)
		if err := s.play(ctx, p); err != nil {
			s.results = append(s.results, signInResult{provider: p.description, software: "", what: "install and start it", err: err})
		}
	}
	return s, nil
}

// verdict returns an error if a step failed.
func (s *signIns) verdict() error {
	var errs []error
	for _, r := range s.results {
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%s, %s: %w", r.provider, r.what, r.err))
		}
	}
	return errors.Join(errs...)
}

// signInSite is a site that signs people in at a running identity provider.
type signInSite struct {
	*signIns
	kind     identityProvider // the identity provider
	provider *runningProvider // the running software of the identity provider
	site     binary.Site      // the name of the site, and its token
	home     string           // the address of the site
	admin    *browser         // the browser of the site's administrator
	refused  int              // the number of refused sign-ins that the steps have expected so far
}

// play creates a site, starts an identity provider, and carries out all steps with both.
func (s *signIns) play(ctx context.Context, kind identityProvider) (err error) {
	dir := filepath.Join(s.dir, "sign-in-"+kind.name)
	if err := errors.Join(os.Mkdir(dir, 0o700), writeProviderFiles(dir)); err != nil {
		return err
	}
	site := &signInSite{signIns: s, kind: kind, home: "http://" + s.installation.Addr + "/c/" + kind.name + "/", admin: newBrowser()}
	if site.site, err = s.installation.CreateSite(ctx, kind.name); err != nil {
		return err
	}
	if kind.openID {
		if err := writeJSON(dir, "client.json", map[string]any{
			"client_id": "rollcall", "client_secret": secret, "redirect_uris": []string{site.home + "auth/oidc/callback"},
		}); err != nil {
			return err
		}
	}
	site.provider, err = kind.start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.provider.process.Stop()) }()
	steps := site.samlSteps()
	if kind.openID {
		steps = site.openIDSteps()
	}
	for _, step := range steps {
		result, err := step.do(ctx)
		if err != nil {
			s.printProgress("%s: FAILED: %v", step.what, err)
		} else {
			s.printProgress("%s: %s", step.what, result)
		}
		s.results = append(s.results, signInResult{kind.description, site.provider.software, step.what, result, err})
	}
	return nil
}

// signInStep is one step with an identity provider, for example a sign-in or a sign-out.
type signInStep struct {
	what string                                    // the step, as the report describes it
	do   func(ctx context.Context) (string, error) // does the step and returns the result in words
}

// enterAsAdministrator opens the site with a one-time link as its first administrator.
func (s *signInSite) enterAsAdministrator(ctx context.Context) error {
	link, err := s.installation.Rollcall(ctx, "site", "link", s.site.Name)
	if err != nil {
		return err
	}
	p, err := s.admin.open(ctx, strings.Fields(link[strings.Index(link, "http"):])[0])
	if err != nil {
		return err
	}
	f, err := p.form(p.address.Path)
	if err != nil {
		return err
	}
	f.values.Set("name", "Kim")
	f.values.Set("email", kim.Email)
	if p, err = s.admin.submit(ctx, f); err == nil && p.status != http.StatusOK {
		err = errors.New(p.String())
	}
	return err
}

// changeSettings changes settings on the page Single sign-on, as an administrator does. A setting
// with an empty value is a check box that is not ticked.
func (s *signInSite) changeSettings(ctx context.Context, settings map[string]string) error {
	p, err := s.admin.open(ctx, s.home+"admin/access/authentication")
	if err != nil {
		return err
	}
	f, err := p.form("/admin/access/authentication")
	if err != nil {
		return err
	}
	for name, value := range settings {
		if f.values.Del(name); value != "" {
			f.values.Set(name, value)
		}
	}
	if p, err = s.admin.submit(ctx, f); err == nil && (p.status != http.StatusOK || !strings.Contains(p.body, "Saved.")) {
		err = errors.New(p.String())
	}
	return err
}

// giveMetadata gives the identity provider the metadata of the site, with the site's key.
func (s *signInSite) giveMetadata(ctx context.Context) error {
	text, err := s.installation.Rollcall(ctx, "site", "sso", "metadata", s.site.Name)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.provider.dir, "site-metadata.xml"), []byte(text), 0o600)
}

// signIn opens an address that starts a sign-in, signs the person in, and checks that the person
// has a session at the site afterwards. It returns how many times a page asked for a password.
func (s *signInSite) signIn(ctx context.Context, b *browser, address string, who employee) (asked int, err error) {
	p, err := b.open(ctx, address)
	if err != nil {
		return 0, err
	}
	if p, asked, err = b.answerPages(ctx, p, who); err != nil {
		return asked, err
	}
	if p.status != http.StatusOK || !strings.HasPrefix(p.address.String(), s.home) {
		return asked, errors.New(p.String())
	}
	return asked, s.mustBeSignedIn(ctx, b, who)
}

// loginAddress returns the address that starts a sign-in at the site.
func (s *signInSite) loginAddress() string { return s.home + "auth/saml2/login" }

// mustBeRefused opens an address that starts a sign-in, and tries to sign the person in. It returns
// an error unless the site refuses the sign-in with a page that contains text.
func (s *signInSite) mustBeRefused(ctx context.Context, b *browser, address string, who employee, text string) error {
	p, err := b.open(ctx, address)
	if err != nil {
		return err
	}
	if p, _, err = b.answerPages(ctx, p, who); err != nil {
		return err
	}
	if p.status != http.StatusForbidden || !strings.Contains(p.body, text) {
		return fmt.Errorf("this must be refused with %q: %s", text, p)
	}
	return s.mustBeSignedOut(ctx, b)
}

// mustBeSignedIn returns an error unless the browser has a session of this person at the site.
func (s *signInSite) mustBeSignedIn(ctx context.Context, b *browser, who employee) error {
	p, err := b.open(ctx, s.home)
	if err == nil && (p.status != http.StatusOK || !strings.Contains(p.body, who.Name)) {
		err = fmt.Errorf("%s is not signed in: %s", who.Name, p)
	}
	return err
}

// mustBeSignedOut returns an error unless the browser has no session at the site.
func (s *signInSite) mustBeSignedOut(ctx context.Context, b *browser) error {
	p, err := b.open(ctx, s.home)
	if err == nil && p.status != http.StatusUnauthorized {
		err = fmt.Errorf("the browser still has a session: %s", p)
	}
	return err
}

// account is an account of the site, as SCIM shows it.
type account struct {
	ID          string `json:"id"`
	UserName    string `json:"userName"`
	DisplayName string `json:"displayName"`
	Title       string `json:"title"`
	Active      bool   `json:"active"`
	Emails      []struct {
		Value string `json:"value"`
	} `json:"emails"`
	Enterprise struct {
		Department string `json:"department"`
	} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
}

// accountOf returns the account with this userName. It returns an error unless there is exactly
// one.
func (s *signInSite) accountOf(ctx context.Context, userName string) (account, error) {
	status, text, err := s.installation.Send(ctx, s.site, http.MethodGet, "/Users?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q", userName)), "")
	if err != nil {
		return account{}, err
	}
	var list struct{ Resources []account }
	if err := json.Unmarshal(text, &list); err != nil {
		return account{}, fmt.Errorf("find %s: %w", userName, err)
	}
	if status != http.StatusOK || len(list.Resources) != 1 {
		return account{}, fmt.Errorf("the site has %d accounts %s (status %d)", len(list.Resources), userName, status)
	}
	return list.Resources[0], nil
}

// mustHaveAccount returns the account of a person. It returns an error unless the account has the
// values that the identity provider sends, and the person's page shows the user identifier.
func (s *signInSite) mustHaveAccount(ctx context.Context, who employee) (account, error) {
	a, err := s.accountOf(ctx, who.Name)
	if err != nil {
		return a, err
	}
	email := ""
	if len(a.Emails) == 1 {
		email = a.Emails[0].Value
	}
	for _, v := range []struct{ name, got, want string }{
		{"userName", a.UserName, who.Name}, {"displayName", a.DisplayName, who.Name}, {"e-mail", email, who.Email}, {"title", a.Title, who.Title}, {"department", a.Enterprise.Department, who.Department},
	} {
		if v.got != v.want {
			return a, fmt.Errorf("the account %s has the %s %q, and the identity provider said %q", who.Name, v.name, v.got, v.want)
		}
	}
	p, err := s.admin.open(ctx, s.home+"admin/people/"+a.ID)
	if err == nil && (p.status != http.StatusOK || !strings.Contains(p.body, "<code>"+who.ID+"</code>")) {
		err = fmt.Errorf("the page of %s does not show the user identifier %s: %s", who.Name, who.ID, p)
	}
	return a, err
}

// setActive sets the attribute active of a person to "True" or "False", with a PATCH like Entra
// ID's.
func (s *signInSite) setActive(ctx context.Context, id, active string) error {
	status, text, err := s.installation.Send(ctx, s.site, http.MethodPatch, "/Users/"+id, binary.PatchBody(`{"op":"Replace","path":"active","value":"`+active+`"}`))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("PATCH active %s: %d %s", active, status, text)
	}
	return err
}

// expectRefusals waits until the audit log has as many new refused sign-ins as there are reasons.
// It returns an error unless the sign-ins were refused for these reasons, in this order, the oldest
// first. Refused sign-ins that an earlier call has counted are not new.
func (s *signInSite) expectRefusals(ctx context.Context, reasons ...string) (string, error) {
	var got []string
	for began := time.Now(); len(got) < len(reasons) && time.Since(began) < time.Minute; time.Sleep(100 * time.Millisecond) {
		text, err := s.installation.Rollcall(ctx, "audit", "--site", s.site.Name)
		if err != nil {
			return "", err
		}
		all := refusedReason.FindAllStringSubmatch(text, -1)
		got = nil
		for _, m := range all[:len(all)-s.refused] { // the newest come first
			got = append([]string{m[1]}, got...)
		}
	}
	if s.refused += len(got); !slices.Equal(got, reasons) {
		return "", fmt.Errorf("the reasons are %q, not %q", got, reasons)
	}
	return "refused: " + strings.Join(reasons, ", "), nil
}

// refusedReason matches the reason in an event about a refused sign-in.
var refusedReason = regexp.MustCompile(`was refused \(([a-z_]+)\)`)
