package sitepages

import (
	"cmp"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// certificateWarningTime is how long before the expiry of a certificate the page begins to warn.
const certificateWarningTime = 60 * 24 * time.Hour

// ssoPage is the data of the view "sso", the page "Single sign-on". Its parts are in the order in
// which an administrator sets up single sign-on.
type ssoPage struct {
	console.Page
	HTTPSWarning   *console.Notice // warns that the public URL is not https; nil if it is, or if https is not needed
	RefreshWarning *console.Notice // warns that the last refresh of the metadata failed; nil if it did not fail
	RefreshedAt    time.Time       // when the server last tried to refresh the metadata; zero if it never tried

	// The choice of the protocol, at the top of the page:
	Protocols     []protocolChoice
	Protocol      signin.Protocol // the protocol whose settings the page shows
	IsInUse       bool            // whether people sign in with this protocol
	ProtocolInUse string          // the name of the protocol in use
	UseURL        string          // address that puts the shown protocol into use; empty if it is in use
	CanUse        bool            // whether the shown protocol can be put into use now

	OpenID *openIDPart // steps 1 and 2 for OpenID Connect; nil if the page shows SAML
	// Step 1, "Give these to your identity provider":
	EntityID, ACS  console.CopyValue
	OwnMetadataURL string // address from which the site's metadata is downloaded
	// Step 2, "Get these from your identity provider":
	ProviderIsKnown      bool           // whether the values from the identity provider are stored
	ProviderFacts        []console.Fact // the facts about the identity provider
	Certificates         []certificateRow
	ImportURL            string // address to which the form with the provider's metadata is sent
	ProviderMetadataURL  string // address from which the provider's metadata was last read; may be empty
	CanFetch             bool   // whether the server can read metadata from an address
	PastedMetadata       string // the metadata that the administrator pasted
	ImportError          *console.FieldError
	RemoveCertificateURL string // address that removes a certificate
	Claims               []claimRow
	HasTestValues        bool     // whether the claims show their values in the last test
	ReceivedNames        []string // names of the attributes that the last test received
	// Step 3, "Check":
	TestURL string     // address that starts a test
	Result  *ssoResult // the last test; nil if there is none
	LinkURL string     // address that links the identity of the test to the administrator's account
	// Step 4, "Who must use it":
	SaveURL             string // address that saves the settings
	Version             int64  // version of the settings with which the form started
	Modes               []console.Choice
	MatchChoices        []console.Choice // the claims that can be chosen to match userName
	CreatesAccounts     bool             // whether a person's first sign-in creates the account
	AllowsProviderStart bool             // whether a sign-in may begin at the identity provider
	OwnEntityID         string           // the entity id that the administrator chose for this site; empty for the default
	SignsRequests       bool             // whether the site signs its sign-in requests
	SignsOutElsewhere   bool             // whether signing out of one side also ends the session on the other
	ProviderHasSignOut  bool             // whether the identity provider has a sign-out address
	SessionHours        string           // the longest duration of a session, in hours; empty for the server's default
	Error               *console.FieldError
	Conflicts           []conflictRow      // sign-ins that wait because a matching account exists
	Keys                siteKeysPart       // the SAML keys of this site
	Codes               recoveryCodesPart  // the recovery codes of the administrator who looks at the page
	FailedSignIns       []console.EventRow // the last failed sign-ins
	FailedSignInsURL    string             // address of the audit log with all sign-ins
}

// protocolChoice is a link to the page with the settings of one protocol.
type protocolChoice struct {
	Name, URL        string
	IsShown, IsInUse bool // whether the page shows this protocol, and whether people sign in with it
}

// openIDPart holds what the page shows only for OpenID Connect.
type openIDPart struct {
	RedirectURI      console.CopyValue
	SignedOut        console.CopyValue // the post-logout redirect URI
	Issuer, ClientID string
	HasSecret        bool
	SaveURL          string // address to which the form with the provider's values is sent
	Error            *console.FieldError
}

// certificateRow shows a certificate of the identity provider.
type certificateRow struct {
	ShortFingerprint string    // the start of the SHA-256 fingerprint
	Fingerprint      string    // the complete SHA-256 fingerprint
	Subject          string    // the common name in the certificate
	ValidUntil       time.Time // when the certificate expires
	State            console.Badge
}

// claimRow is the input for the name of one claim that the site uses.
type claimRow struct {
	Name, Label, Value, Hint string
	TestValue                string // the claim's value in the last test; may be empty
}

// ssoResult is the result of the last test of single sign-on by the administrator who looks at the
// page.
type ssoResult struct {
	Passed     bool
	Time       time.Time
	Outdated   bool // whether the settings have changed since the test
	Text       string
	Checks     []string       // the checks that passed, such as "audience"
	Attributes []console.Fact // the attributes that the site received in the test
	CanLink    bool           // whether the tested identity can be linked to the administrator's account
}

// shownProtocol returns the protocol whose settings a request shows or changes: the protocol that
// the request names, or else the protocol in use.
func shownProtocol(r *http.Request, c signin.Connection) signin.Protocol {
	asked := signin.Protocol(cmp.Or(r.PostForm.Get("protocol"), r.URL.Query().Get("protocol")))
	if slices.Contains(signin.Protocols, asked) {
		return asked
	}
	return c.Protocol
}

// ssoURL returns the address of the page "Single sign-on" with the settings of a protocol.
func (v *siteVisit) ssoURL(shown signin.Protocol) string {
	return v.url("admin/access/authentication?protocol=" + string(shown))
}

// fillProtocols sets the fields for the choice of the protocol at the top of the page.
func (s *ssoPage) fillProtocols(v *siteVisit, c signin.Connection) {
	s.IsInUse, s.ProtocolInUse = s.Protocol == c.Protocol, c.Protocol.String()
	for _, p := range signin.Protocols {
		s.Protocols = append(s.Protocols, protocolChoice{Name: p.String(), URL: v.ssoURL(p), IsShown: p == s.Protocol, IsInUse: p == c.Protocol})
	}
	if !s.IsInUse {
		s.UseURL, s.CanUse = v.url("admin/access/authentication/protocol"), c.Mode == signin.SSOOff || c.IsReadyFor(s.Protocol)
	}
}

// ProtocolValue returns the shown protocol as the value of an input.
func (s ssoPage) ProtocolValue() string { return string(s.Protocol) }

func (p *Pages) showSSO(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.renderSSO(w, r, v, http.StatusOK, func(*ssoPage) {})
}

// renderSSO shows the page. It fills in the data from the stored settings and then calls change,
// which can replace parts of the data.
func (p *Pages) renderSSO(w http.ResponseWriter, r *http.Request, v *siteVisit, status int, change func(*ssoPage)) error {
	c, err := p.SSO.Connection(r.Context(), v.Site)
	if err != nil {
		return err
	}
	test, tested, err := p.SSO.LastTest(r.Context(), v.Site, v.Person.ID)
	if err != nil {
		return err
	}
	failed, err := event.Search(r.Context(), p.Events, event.Query{Scope: event.Site(string(v.Site.ID)), Kinds: []string{event.SignInSSORefused}, Limit: 5})
	if err != nil {
		return err
	}
	codes, err := p.readRecoveryCodes(r, v)
	if err != nil {
		return err
	}
	keys, err := p.readSiteKeys(r, v)
	if err != nil {
		return err
	}
	conflicts, err := p.readConflicts(r, v)
	if err != nil {
		return err
	}
	missing, err := p.SSO.MissingToRequire(r.Context(), v.Site, c, v.Person.ID)
	if err != nil {
		return err
	}
	shown := shownProtocol(r, c)
	tested = tested && test.Result.Protocol == shown
	sp := p.SSO.ServiceProvider(v.Site.Name, c)
	pg := v.page
	pg.Title = "Single sign-on"
	pg.Lead = "People sign in at your identity provider, with SAML 2.0 or OpenID Connect."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")})
	pg.Badge = ssoBadge(c)
	s := ssoPage{
		Page: pg, Protocol: shown,
		EntityID:        console.CopyValue{ID: "entity-id", Label: "Identifier (Entity ID)", Value: sp.EntityID},
		ACS:             console.CopyValue{ID: "acs", Label: "Reply URL (Assertion Consumer Service URL)", Value: sp.ACS},
		OwnMetadataURL:  v.url("admin/access/authentication/metadata"),
		ProviderIsKnown: c.IsReadyFor(shown), ImportURL: v.url("admin/access/authentication/import"), ProviderMetadataURL: c.MetadataURL, CanFetch: p.FetchMetadata != nil,
		RemoveCertificateURL: v.url("admin/access/authentication/certificates/remove"),
		TestURL:              v.url("auth/" + map[signin.Protocol]string{signin.SAML: "saml2", signin.OpenID: "oidc"}[shown] + "/test"), LinkURL: v.url("admin/access/authentication/link"),
		SaveURL: v.url("admin/access/authentication"), Version: c.Version,
		CreatesAccounts: c.Creates, AllowsProviderStart: c.Unsolicited, OwnEntityID: c.EntityID, SignsRequests: c.SignRequests, SignsOutElsewhere: c.SignsOut, ProviderHasSignOut: c.Provider.SignOutURL != "", SessionHours: hoursText(c.Length), Keys: keys, Conflicts: conflicts,
		FailedSignInsURL: v.url("admin/audit?kind=sign_in."),
	}
	if !strings.HasPrefix(p.Console.Options.PublicURL, "https://") && !(p.LocalProvider && p.isSameHost(c)) {
		s.HTTPSWarning = &console.Notice{
			Tone: console.ToneWarning, Title: "Single sign-on needs https",
			Text: "The public URL of this server is not https. Over plain http, browsers do not send the cookie of the sign-in along with the response of an identity provider at another address, so the sign-in is refused. Put the server behind https, and start it with --public-url https://…",
		}
	}
	s.fillProtocols(v, c)
	if shown == signin.OpenID {
		s.OpenID = &openIDPart{
			RedirectURI: console.CopyValue{ID: "redirect", Label: "Redirect URI", Value: p.SSO.OpenIDClient(v.Site.Name, c).RedirectURL},
			SignedOut:   console.CopyValue{ID: "signed-out", Label: "Post-logout redirect URI", Value: p.SSO.SignedOutURL(v.Site.Name), Hint: "Needed only if people are offered to sign out at the provider."},
			Issuer:      c.OpenID.Issuer, ClientID: c.OpenID.ClientID, HasSecret: len(c.OpenID.Sealed) > 0, SaveURL: v.url("admin/access/authentication/openid"),
		}
		s.HTTPSWarning = nil // the provider's response comes by GET, so browsers send the cookie even over plain http
	}
	if c.IsReadyFor(signin.SAML) {
		s.ProviderFacts = []console.Fact{{Name: "Entity ID", Value: c.Provider.EntityID}, {Name: "Sign-in URL", Value: c.Provider.SignInURL}}
		if c.MetadataURL != "" {
			s.ProviderFacts = append(s.ProviderFacts, console.Fact{Name: "Metadata", Value: c.MetadataURL})
			state, err := p.SSO.RefreshState(r.Context(), v.Site)
			if err != nil {
				return err
			}
			s.RefreshedAt, s.RefreshWarning = state.Ended, refreshNotice(state)
		}
	}
	for _, cert := range c.Provider.Certificates {
		s.Certificates = append(s.Certificates, newCertificateRow(cert, p.Console.Options.Now()))
	}
	s.Claims = newClaimRows(shown, c, test, tested)
	s.HasTestValues = tested
	for _, a := range test.Result.Attributes {
		if tested && !slices.Contains(s.ReceivedNames, a.Name) {
			s.ReceivedNames = append(s.ReceivedNames, a.Name)
		}
	}
	if tested {
		s.Result = newSSOResult(test, c)
	}
	s.Modes, s.Codes = modeChoices(c, missing), codes
	for _, m := range []console.Choice{
		{Value: site.MatchesUserIdentifier, Text: "User identifier"},
		{Value: site.MatchesDisplayName, Text: "Display name assertion", Help: "The guide's way."},
		{Value: site.MatchesEmail, Text: "E-mail assertion", Help: "Compared with userName alone, never with other addresses."},
	} {
		m.Name, m.Checked = "matches", m.Value == v.Site.MatchesUserName
		s.MatchChoices = append(s.MatchChoices, m)
	}
	for _, e := range failed.Events {
		s.FailedSignIns = append(s.FailedSignIns, console.EventRow{Time: e.Time, Text: e.Text})
	}
	change(&s)
	return p.show(w, r, status, "sso", s)
}

// isSameHost reports whether the identity provider runs on the same host as this server. Then
// browsers send the cookie of the sign-in even over plain http. It also reports true if the
// identity provider is not known yet.
func (p *Pages) isSameHost(c signin.Connection) bool {
	own, err := url.Parse(p.Console.Options.PublicURL)
	if err != nil {
		return false
	}
	other, err := url.Parse(c.Provider.SignInURL)
	return err == nil && (!c.IsReady() || own.Hostname() == other.Hostname())
}

// refreshNotice returns a warning if the last refresh of the metadata failed. Otherwise it returns
// nil.
func refreshNotice(state signin.RefreshState) *console.Notice {
	if state.Failure == "" {
		return nil
	}
	return &console.Notice{
		Tone: console.ToneWarning, Title: "The metadata was not taken over",
		Text: "It is read again each day, for new certificates. The last time nothing was taken over: " + state.Failure + ".",
	}
}

// modeChoices lists the modes of single sign-on. missing says what must be done before single
// sign-on can be required. It is "" if nothing is missing.
func modeChoices(c signin.Connection, missing string) []console.Choice {
	list := []console.Choice{
		{Value: string(signin.SSOOff), Text: "Off", Help: "One-time links alone open this site."},
		{Value: string(signin.SSOOptional), Text: "Optional", Help: "People sign in at the identity provider; one-time links open the site too."},
		{
			Value: string(signin.SSORequired), Text: "Required",
			Help: "People sign in at the identity provider alone. Administrators can also come in with a recovery code, or with a one-time link from the server.",
		},
	}
	if c.Mode != signin.SSORequired && missing != "" {
		list[2].Disabled, list[2].Help = true, "Not yet: "+missing+". Then everybody but administrators signs in at the identity provider alone."
	}
	for i := range list {
		list[i].Name, list[i].Checked = "mode", list[i].Value == string(c.Mode)
	}
	return list
}

func ssoBadge(c signin.Connection) *console.Badge {
	switch {
	case c.Mode == signin.SSORequired:
		return &console.Badge{Tone: console.ToneGood, Text: "Required"}
	case c.Mode == signin.SSOOptional:
		return &console.Badge{Tone: console.ToneGood, Text: "Optional"}
	case c.IsReady():
		return &console.Badge{Tone: console.ToneQuiet, Text: "Off"}
	}
	return &console.Badge{Tone: console.ToneQuiet, Text: "Not set up"}
}

func newCertificateRow(c *x509.Certificate, now time.Time) certificateRow {
	row := certificateRow{
		ShortFingerprint: saml.Fingerprint(c)[:16] + "…", Fingerprint: saml.Fingerprint(c), Subject: c.Subject.CommonName, ValidUntil: c.NotAfter,
		State: console.Badge{Tone: console.ToneGood, Text: "Valid"},
	}
	switch {
	case now.After(c.NotAfter):
		row.State = console.Badge{Tone: console.ToneProblem, Text: "Expired", Hint: "Sign-ins that are signed with it are refused"}
	case now.Before(c.NotBefore):
		row.State = console.Badge{Tone: console.ToneInfo, Text: "Not yet valid"}
	case c.NotAfter.Sub(now) < certificateWarningTime:
		row.State = console.Badge{Tone: console.ToneWarning, Text: "Ends soon", Hint: "Import the metadata again once the identity provider has a new one"}
	}
	return row
}

func newClaimRows(shown signin.Protocol, c signin.Connection, t signin.Test, tested bool) []claimRow {
	claims, word := c.Claims, "Assertion"
	identifier := "By what a person is known for good. Empty: the NameID."
	if shown == signin.OpenID {
		claims, word = saml.Claims(c.OpenID.Claims), "claim"
		identifier = "By what a person is known for good. Empty: sub. With Entra ID, oid is the object id, the same for each application of the tenant. Never an address or a name: another person can get them."
	}
	rows := []claimRow{
		{Name: "userIdentifier", Label: "User Identifier " + word, Value: claims.UserIdentifier, Hint: identifier},
		{Name: "displayName", Label: "Display Name " + word, Value: claims.DisplayName, Hint: "With the guide's setting, SCIM's userName must have the same value."},
		{Name: "email", Label: "E-mail " + word, Value: claims.Email},
		{Name: "jobTitle", Label: "Job title", Value: claims.JobTitle, Hint: "Kept up to date with each sign-in. Empty: not used."},
		{Name: "department", Label: "Department", Value: claims.Department, Hint: "Kept up to date with each sign-in. Empty: not used."},
	}
	if !tested {
		return rows
	}
	for i, row := range rows {
		name := row.Value
		if row.Name == "userIdentifier" && name == "" {
			rows[i].TestValue = t.Result.NameID
			continue
		}
		for _, a := range t.Result.Attributes {
			if a.Name == name {
				rows[i].TestValue = strings.Join(a.Values, ", ")
			}
		}
	}
	return rows
}

func newSSOResult(t signin.Test, c signin.Connection) *ssoResult {
	s := &ssoResult{Passed: t.Result.Failure == "", Time: t.Time, Outdated: t.Version != c.Version, CanLink: t.Result.Identifier != "" && t.Version == c.Version}
	s.Text = "It would " + t.Result.WouldDo + "."
	if !s.Passed {
		s.Text = "It was refused (" + t.Result.Reason + "): " + t.Result.Failure + "."
	}
	if t.Result.Signed != "" {
		checks := []string{"audience", "recipient"}
		if t.Result.Protocol == signin.OpenID {
			checks = []string{"issuer", "audience", "nonce", "PKCE"}
		}
		s.Checks = append(append(s.Checks, "signature of the "+t.Result.Signed), append(checks, "clocks "+clockDriftText(t.Result.Drift)+" apart")...)
		if t.Result.Encrypted {
			s.Checks = append(s.Checks, "encrypted")
		}
		if t.Result.Protocol == signin.SAML {
			s.Attributes = append(s.Attributes, console.Fact{Name: "NameID", Value: t.Result.NameID})
		}
	}
	for _, a := range t.Result.Attributes {
		s.Attributes = append(s.Attributes, console.Fact{Name: a.Name, Value: strings.Join(a.Values, ", ")})
	}
	return s
}

func clockDriftText(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

// hoursText returns the longest duration of a session in hours, as the form shows it. It returns ""
// for the server's default, which is 0.
func hoursText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatFloat(d.Hours(), 'f', -1, 64)
}

// ssoInputs maps the field that a refusal names to the id of the input beside which the page shows
// the refusal.
var ssoInputs = console.InputIDs{
	"mode": "mode", "entityID": "entityID", "userIdentifier": "userIdentifier", "displayName": "displayName", "email": "email", "jobTitle": "jobTitle",
	"department": "department", "length": "hours", "matches": "matches",
}

func (p *Pages) saveSSO(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	form := r.PostForm
	version, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if err != nil {
		return console.UnreadableForm(err)
	}
	var length time.Duration
	if hours := strings.TrimSpace(form.Get("hours")); hours != "" {
		n, err := strconv.ParseFloat(hours, 64)
		if err != nil || n <= 0 || n > signin.MaxSessionLength.Hours() {
			return p.renderSSO(w, r, v, http.StatusUnprocessableEntity, func(s *ssoPage) {
				s.Error = &console.FieldError{For: "hours", Text: "Write hours from 0.1 to 720, such as 12. Nothing was saved."}
			})
		}
		length = time.Duration(n * float64(time.Hour))
	}
	mode, shown := signin.Mode(form.Get("mode")), signin.SAML
	_, err = p.SSO.SetConnectionAs(r.Context(), v.Site, version, v.actorLabel(), v.Person.ID, func(c *signin.Connection) error {
		shown = shownProtocol(r, *c)
		if shown == c.Protocol {
			c.Mode = mode
		}
		c.Matches, c.Creates, c.Length = form.Get("matches"), form.Get("creates") != "", length
		claims := saml.Claims{
			UserIdentifier: form.Get("userIdentifier"), DisplayName: form.Get("displayName"), Email: form.Get("email"),
			JobTitle: form.Get("jobTitle"), Department: form.Get("department"),
		}
		if shown == signin.OpenID {
			c.OpenID.Claims, c.SignsOut = oidc.Claims(claims), form.Get("signsOut") != ""
			return nil
		}
		c.Claims, c.EntityID, c.Unsolicited = claims, form.Get("entityID"), form.Get("unsolicited") != ""
		c.SignRequests, c.SignsOut = form.Get("signs") != "", form.Get("signsOut") != ""
		return nil
	})
	if wrong := console.InputError(err, ssoInputs); wrong != nil {
		return p.renderSSO(w, r, v, http.StatusUnprocessableEntity, func(s *ssoPage) { s.Error = wrong })
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(shown), console.DoneNotice("Saved. Test the sign-in after each change."))
}

// saveOpenID saves the values that the administrator copied from the OpenID provider.
func (p *Pages) saveOpenID(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	form := r.PostForm
	form.Set("protocol", string(signin.OpenID)) // makes the page show the settings of OpenID Connect again
	version, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if err != nil {
		return console.UnreadableForm(err)
	}
	_, err = p.SSO.SetConnection(r.Context(), v.Site, version, v.actorLabel(), func(c *signin.Connection) error {
		c.OpenID.Issuer, c.OpenID.ClientID, c.OpenID.Secret = form.Get("issuer"), form.Get("clientID"), form.Get("clientSecret")
		return nil
	})
	if wrong := console.InputError(err, console.InputIDs{"issuer": "issuer", "clientID": "clientID", "clientSecret": "clientSecret", "mode": "issuer"}); wrong != nil {
		return p.renderSSO(w, r, v, http.StatusUnprocessableEntity, func(s *ssoPage) {
			s.OpenID.Issuer, s.OpenID.ClientID, s.OpenID.Error = form.Get("issuer"), form.Get("clientID"), wrong
		})
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.OpenID), console.DoneNotice("Saved. Test the sign-in now."))
}

// useProtocol puts a protocol into use: people then sign in with it.
func (p *Pages) useProtocol(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil {
		return console.UnreadableForm(err)
	}
	chosen := signin.Protocol(r.PostForm.Get("protocol"))
	if _, err := p.SSO.SetConnectionAs(r.Context(), v.Site, version, v.actorLabel(), v.Person.ID, func(c *signin.Connection) error {
		c.Protocol = chosen
		return nil
	}); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(chosen), console.DoneNotice("People sign in by "+chosen.String()+" from now on."))
}

func (p *Pages) redirectToOpenID(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.ssoURL(signin.OpenID), console.Notice{})
}

// maxMetadataForm is the largest size of the form with metadata, in bytes.
const maxMetadataForm = saml.MaxMetadata + 64<<10

// importSSO shows which changes the import of metadata would make, and asks for confirmation.
func (p *Pages) importSSO(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	text, address, wrong, err := p.readMetadata(r)
	if err != nil {
		return err
	}
	var idp saml.IdentityProvider
	if wrong == nil {
		if idp, err = saml.ParseMetadata(text); err != nil {
			wrong = &console.FieldError{For: "metadata", Text: "The metadata was not taken: " + err.Error() + "."}
		}
	}
	if wrong != nil {
		return p.renderSSO(w, r, v, http.StatusUnprocessableEntity, func(s *ssoPage) {
			s.ImportError, s.PastedMetadata, s.ProviderMetadataURL = wrong, r.PostForm.Get("metadata"), r.PostForm.Get("url")
		})
	}
	old, err := p.SSO.Connection(r.Context(), v.Site)
	if err != nil {
		return err
	}
	next := old
	next.UseMetadata(idp, address)
	changes := signin.Differences(old, next)
	if len(changes) == 0 {
		return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.Notice{Tone: console.ToneInfo, Text: "The metadata says what is here already. Nothing was changed."})
	}
	pg := v.page
	pg.Title, pg.Narrow = "Save this identity provider?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Single sign-on", URL: v.url("admin/access/authentication")})
	ask := console.ConfirmPage{
		Page: pg, FormURL: v.url("admin/access/authentication/import/save"), Button: "Save the identity provider", CancelURL: v.ssoURL(signin.SAML),
		Fields: []console.HiddenField{{Name: "metadata", Value: string(text)}, {Name: "url", Value: address}, {Name: "version", Value: strconv.FormatInt(old.Version, 10)}},
		Undo:   "Import the metadata of before to go back.",
	}
	for _, c := range changes {
		ask.Consequences = append(ask.Consequences, changeText(c))
	}
	if old.IsReady() && old.Provider.EntityID != idp.EntityID {
		ask.IsDangerous = true
		ask.Consequences = append(ask.Consequences, "This is another identity provider. Nobody with a role signs in through it until their identity is linked again.")
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", ask)
}

// readMetadata returns the metadata that a form uploads as a file, contains as text, or names by
// its address. address is empty if the metadata came from a file. wrong is the error to show in the
// form if there is no metadata.
func (p *Pages) readMetadata(r *http.Request) (text []byte, address string, wrong *console.FieldError, err error) {
	file, _, err := console.UploadedFile(r)
	if err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, "", nil, console.UnreadableForm(err)
	}
	address = strings.TrimSpace(r.PostForm.Get("url"))
	switch pasted := r.PostForm.Get("metadata"); {
	case file != nil:
		defer file.Close()
		if text, err = io.ReadAll(io.LimitReader(file, saml.MaxMetadata+1)); err != nil {
			return nil, "", nil, console.UnreadableForm(err)
		}
		return text, "", nil, nil
	case strings.TrimSpace(pasted) != "":
		return []byte(pasted), address, nil, nil
	case address == "" || p.FetchMetadata == nil:
		return nil, "", &console.FieldError{For: "metadata", Text: "Choose a file, paste the metadata, or give its address."}, nil
	}
	if text, err = p.FetchMetadata(r.Context(), address); err != nil {
		return nil, "", &console.FieldError{For: "metadata", Text: "The metadata could not be read from that address: " + err.Error() + "."}, nil
	}
	return text, address, nil, nil
}

// changeText describes a changed value in a sentence.
func changeText(c event.Change) string {
	value := func(raw []byte) string {
		text := strings.Trim(string(raw), `"`)
		if text == "" || text == "null" {
			return "nothing"
		}
		return text
	}
	return "The " + c.Name + " changes from " + value(c.Before) + " to " + value(c.After) + "."
}

func (p *Pages) saveImport(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil {
		return console.UnreadableForm(err)
	}
	idp, err := saml.ParseMetadata([]byte(r.PostForm.Get("metadata")))
	if err != nil {
		return console.UnreadableForm(err)
	}
	if _, err := p.SSO.SetConnection(r.Context(), v.Site, version, v.actorLabel(), func(c *signin.Connection) error {
		c.UseMetadata(idp, r.PostForm.Get("url"))
		return nil
	}); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The identity provider is saved. Test the sign-in now."))
}

func (p *Pages) removeCertificate(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	print := r.PostForm.Get("certificate")
	_, err := p.SSO.SetConnection(r.Context(), v.Site, -1, v.actorLabel(), func(c *signin.Connection) error {
		c.Provider.Certificates = slices.DeleteFunc(c.Provider.Certificates, func(cert *x509.Certificate) bool { return saml.Fingerprint(cert) == print })
		return nil
	})
	if e, ok := refusal.Find(err); ok && e.Kind == refusal.Invalid {
		return &console.PageError{
			Status: http.StatusConflict, Title: "The last certificate stays", Text: "Without a certificate no sign-in can be verified. Import metadata with the new certificate first, or switch single sign-on off.",
			Action: &console.Action{Text: "Single sign-on", URL: v.ssoURL(signin.SAML)},
		}
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The certificate is no longer trusted."))
}

// linkTested links the administrator's account to the identity with which the administrator has
// tested the connection.
func (p *Pages) linkTested(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	c, err := p.SSO.Connection(r.Context(), v.Site)
	if err != nil {
		return err
	}
	err = p.SSO.LinkTested(r.Context(), v.Site, v.Person, roster.Change{Actor: v.actorLabel(), Via: roster.ViaAdmin, Person: v.Person.ID})
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(shownProtocol(r, c)), console.DoneNotice("Linked. You can sign in with single sign-on now."))
}

// downloadMetadata sends the site's metadata. It contains the entity id that the administrator
// chose, and the site's keys. The public metadata at …/auth/saml2/metadata contains neither.
func (p *Pages) downloadMetadata(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := p.SSO.Connection(r.Context(), v.Site)
	if err != nil {
		return err
	}
	sp, err := p.SSO.PublicServiceProvider(r.Context(), v.Site, c)
	if err != nil {
		return err
	}
	body, err := sp.Metadata()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("Content-Disposition", `attachment; filename="rollcall-`+v.Site.Name+`-metadata.xml"`)
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body) //nolint:errcheck // it fails only if the client has disconnected
	return nil
}

func (p *Pages) redirectToSSO(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.Notice{})
}
