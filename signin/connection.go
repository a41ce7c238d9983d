package signin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/site"
)

// Mode says whether people sign in at the identity provider.
type Mode string

// The modes of a connection.
const (
	SSOOff      Mode = "off"      // no one signs in at the identity provider
	SSOOptional Mode = "optional" // people may sign in at the identity provider or with one-time links
	SSORequired Mode = "required" // people must sign in at the identity provider; only administrators may use one-time links
)

// Modes lists the modes.
var Modes = []Mode{SSOOff, SSOOptional, SSORequired}

// Protocol is the protocol between a site and its identity provider.
type Protocol string

// The protocols.
const (
	SAML   Protocol = "saml"
	OpenID Protocol = "oidc"
)

// Protocols lists the protocols.
var Protocols = []Protocol{SAML, OpenID}

// String returns the name of the protocol for people.
func (p Protocol) String() string {
	if p == OpenID {
		return "OpenID Connect"
	}
	return "SAML"
}

// Connection is a site's connection to its identity provider. It holds the settings of both
// protocols, but the site uses only one of them.
type Connection struct {
	Mode         Mode
	Protocol     Protocol
	OpenID       OpenIDConnection
	Provider     saml.IdentityProvider // the identity provider for SAML; its EntityID is empty until it is set up
	MetadataURL  string                // the address of the identity provider's metadata; may be empty
	EntityID     string                // the entity id of the site; empty means the address of the site's metadata
	Claims       saml.Claims           // the names of the attributes that the site uses with SAML
	Creates      bool                  // whether the first sign-in of a person creates the account
	Unsolicited  bool                  // whether a sign-in may begin at the identity provider
	Length       time.Duration         // the longest duration of a session; 0 means the default
	SignRequests bool                  // whether requests are signed with the site's key
	SignsOut     bool                  // whether single sign-out is used: signing out at the site also ends the session at the identity provider, and the reverse
	Matches      string                // the claim that must equal userName; see Site.MatchesUserName
	Version      int64                 // how many times the connection was saved; 0 if never
}

// newConnection returns the connection of a site for which no connection is stored. It has the
// claim names of Entra ID. docs/guide.md calls the claim for DisplayName the Display Name
// Assertion. In Entra ID this claim holds the user principal name.
func newConnection() Connection {
	return Connection{
		Mode: SSOOff, Protocol: SAML, Creates: true, OpenID: newOpenIDConnection(),
		Claims: saml.Claims{
			DisplayName: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
			Email:       "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
		},
	}
}

// UseMetadata copies the data of an identity provider, which was read from its metadata, into the
// connection. If the identity provider is the same as before, its old certificates stay, because
// metadata may announce new certificates before they are used. address is the address of the
// metadata; if it is empty, the known address stays.
func (c *Connection) UseMetadata(idp saml.IdentityProvider, address string) {
	if c.Provider.EntityID == idp.EntityID {
		for _, cert := range c.Provider.Certificates {
			if len(idp.Certificates) < saml.MaxCertificates {
				idp.Certificates = saml.AddCertificate(idp.Certificates, cert)
			}
		}
	}
	c.Provider = idp
	if address != "" {
		c.MetadataURL = address
	}
}

// IsReady reports whether the identity provider is set up for the site's protocol.
func (c Connection) IsReady() bool { return c.IsReadyFor(c.Protocol) }

// IsReadyFor reports whether the identity provider is set up for a protocol.
func (c Connection) IsReadyFor(p Protocol) bool {
	if p == OpenID {
		return c.OpenID.isReady()
	}
	return c.Provider.EntityID != ""
}

// setUpAdvice says what an administrator must enter if the connection is not ready for this
// protocol.
func (p Protocol) setUpAdvice() string {
	if p == OpenID {
		return "save its issuer, client id and client secret first"
	}
	return "import its metadata first"
}

// Bounds of Connection.Length.
const (
	MinSessionLength = 5 * time.Minute
	MaxSessionLength = 30 * 24 * time.Hour
)

// check returns a refusal for a connection that cannot be used. It also removes spaces around the
// fields.
func (c *Connection) check() error {
	if !slices.Contains(Modes, c.Mode) {
		return refusal.New(refusal.Invalid, "mode", "%q is not a mode", c.Mode).Advise("use off, optional or required")
	}
	for _, f := range []struct {
		field string
		value *string
	}{
		{"entityID", &c.EntityID},
		{"userIdentifier", &c.Claims.UserIdentifier},
		{"displayName", &c.Claims.DisplayName},
		{"email", &c.Claims.Email},
		{"jobTitle", &c.Claims.JobTitle},
		{"department", &c.Claims.Department},
		{"metadataURL", &c.MetadataURL},
		{"issuer", &c.OpenID.Issuer},
		{"clientID", &c.OpenID.ClientID},
		{"userIdentifier", &c.OpenID.Claims.UserIdentifier},
		{"displayName", &c.OpenID.Claims.DisplayName},
		{"email", &c.OpenID.Claims.Email},
		{"jobTitle", &c.OpenID.Claims.JobTitle},
		{"department", &c.OpenID.Claims.Department},
	} {
		*f.value = strings.TrimSpace(*f.value)
		if len(*f.value) > 1024 || !utf8.ValidString(*f.value) || strings.ContainsFunc(*f.value, func(r rune) bool { return r < ' ' }) {
			return refusal.New(refusal.Invalid, f.field, "this is not one line of at most 1,024 bytes").Advise("shorten it")
		}
	}
	if c.Claims.UserIdentifier == saml.NameID {
		c.Claims.UserIdentifier = ""
	}
	if err := site.CheckMatches(c.Matches); err != nil {
		return err
	}
	if c.Length != 0 && (c.Length < MinSessionLength || c.Length > MaxSessionLength) {
		return refusal.New(refusal.Invalid, "length", "a session cannot last %s", c.Length).Advise("use 5 minutes to 30 days, or nothing for the server's own length")
	}
	if c.IsReadyFor(SAML) {
		if err := c.Provider.Check(); err != nil {
			return refusal.New(refusal.Invalid, "metadata", "%s", err)
		}
	}
	if err := c.OpenID.check(); err != nil {
		return err
	}
	if !slices.Contains(Protocols, c.Protocol) {
		return refusal.New(refusal.Invalid, "protocol", "%q is not a protocol", string(c.Protocol)).Advise("use saml or oidc")
	}
	if c.Mode != SSOOff && !c.IsReady() {
		return refusal.New(refusal.Conflict, "mode", "the identity provider is not known yet").Advise("%s", c.Protocol.setUpAdvice())
	}
	return nil
}

// ConnectionStore keeps connections. Every method names the site.
type ConnectionStore interface {
	Connection(ctx context.Context, id site.ID) (Connection, error) // refusal.NotFound if there is none
	// PutConnection stores a change in one transaction, if the stored connection still has the
	// version c.IfVersion. Otherwise it returns refusal.Stale.
	PutConnection(ctx context.Context, id site.ID, c ConnectionChange) error
}

// ConnectionChange is a new connection of a site, to be stored.
type ConnectionChange struct {
	Next           Connection
	IfVersion      int64 // the version that the stored connection must have
	KeepsTests     bool  // whether tests that the stored connection passed also count for Next
	MatchesChanged bool  // whether Next.Matches differs from the site's MatchesUserName
	Events         []event.Event
}

// Connection returns the site's connection. For a site without a connection, it returns a new
// connection with the mode SSOOff.
func (s *SingleSignOn) Connection(ctx context.Context, st site.Site) (Connection, error) {
	c, err := s.Store.Connection(ctx, st.ID)
	if errors.Is(err, refusal.NotFound) {
		c, err = newConnection(), nil
	}
	if err != nil {
		return Connection{}, fmt.Errorf("find the connection: %w", err)
	}
	c.Matches = st.MatchesUserName
	return c, nil
}

// SetConnection changes the site's connection, and appends an event about the changes. ifVersion is
// the version that the caller saw; -1 means any version. If the stored version differs,
// SetConnection returns ErrConnectionStale. Only SetConnectionAs can make single sign-on required.
func (s *SingleSignOn) SetConnection(ctx context.Context, st site.Site, ifVersion int64, actor string, change func(*Connection) error) (Connection, error) {
	return s.SetConnectionAs(ctx, st, ifVersion, actor, "", change)
}

// ErrCannotRequire is the refusal to make single sign-on required, because something is missing.
var ErrCannotRequire = refusal.New(refusal.Conflict, "mode", "single sign-on cannot be required yet").Coded("sso_not_required")

// Require makes single sign-on required. It returns the errors of SetConnectionAs.
func (s *SingleSignOn) Require(ctx context.Context, st site.Site, ifVersion int64, actor, personID string) (Connection, error) {
	return s.SetConnectionAs(ctx, st, ifVersion, actor, personID, func(c *Connection) error { c.Mode = SSORequired; return nil })
}

// checkMayRequire returns ErrCannotRequire if the administrator with this id may not make single
// sign-on required with the connection next. old is the stored connection.
func (s *SingleSignOn) checkMayRequire(ctx context.Context, st site.Site, old, next Connection, personID string) error {
	if personID == "" {
		return ErrCannotRequire.Because("an administrator of the site makes single sign-on required").Advise("choose Required on the page Single sign-on")
	}
	tested := old
	tested.Protocol = next.Protocol
	missing, err := s.MissingToRequire(ctx, st, tested, personID)
	if err != nil {
		return err
	}
	if missing == "" && !keepsTests(old, next) {
		missing = missingTest
	}
	if missing != "" {
		return ErrCannotRequire.Because("single sign-on cannot be required yet").Advise("%s", missing)
	}
	return nil
}

// missingTest is one of the results of MissingToRequire.
const missingTest = "pass a test sign-in of your own with these settings first"

// MissingToRequire says in words what an administrator must do next before they can make single
// sign-on required. It returns an empty string if nothing is missing.
func (s *SingleSignOn) MissingToRequire(ctx context.Context, st site.Site, c Connection, personID string) (string, error) {
	t, tested, err := s.LastTest(ctx, st, personID)
	if err != nil {
		return "", err
	}
	linked, err := s.isTestedIdentityLinked(ctx, st, personID, t)
	if err != nil {
		return "", err
	}
	codes, err := s.RecoverySet(ctx, st, personID)
	if err != nil {
		return "", err
	}
	switch {
	case !c.IsReady():
		if c.Protocol == OpenID {
			return "save the issuer, the client id and the client secret first", nil
		}
		return "import the metadata of the identity provider first", nil
	case !tested || !t.Passed || t.Version != c.Version || t.Result.Protocol != c.Protocol:
		return missingTest, nil
	case t.Result.PersonID != personID:
		return "pass the test sign-in as yourself: the last one would sign in another account", nil
	case !linked:
		return "link the identity that you tested to your account, and test again", nil
	case codes.Left == 0:
		return "make recovery codes first", nil
	}
	return "", nil
}

// isTestedIdentityLinked reports whether the identity that signed in in the test is linked to the
// person's account.
func (s *SingleSignOn) isTestedIdentityLinked(ctx context.Context, st site.Site, personID string, t Test) (bool, error) {
	i, err := s.Rosters.Open(st).IdentityOf(ctx, personID)
	if errors.Is(err, refusal.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the identity: %w", err)
	}
	return i.Identifier == t.Result.Identifier && (i.Issuer == "" || i.Issuer == t.Result.Issuer), nil
}

// keepsTests reports whether a test of the connection old would have the same result with next.
func keepsTests(old, next Connection) bool {
	return old.Matches == next.Matches && !slices.ContainsFunc(Differences(old, next), func(c event.Change) bool {
		return !slices.Contains([]string{"mode", "protocol", "sign-in from the identity provider", "session length", "single sign-out"}, c.Name)
	})
}

// SetConnectionAs changes the site's connection, like SetConnection, for the administrator with the
// id personID. It can also make single sign-on required. For that, the administrator must have
// passed a test of the new settings with their own account, and must have recovery codes. Otherwise
// SetConnectionAs returns ErrCannotRequire and saves nothing.
func (s *SingleSignOn) SetConnectionAs(ctx context.Context, st site.Site, ifVersion int64, actor, personID string, change func(*Connection) error) (Connection, error) {
	old, err := s.Connection(ctx, st)
	if err != nil {
		return Connection{}, err
	}
	if ifVersion >= 0 && old.Version != ifVersion {
		return Connection{}, ErrConnectionStale
	}
	next := old
	next.Provider.Certificates = slices.Clone(old.Provider.Certificates)
	if err := change(&next); err != nil {
		return Connection{}, err
	}
	if err := s.sealSecret(st, old.OpenID, &next.OpenID); err != nil {
		return Connection{}, err
	}
	if next.Mode == SSORequired && (old.Mode != SSORequired || old.Protocol != next.Protocol) {
		if err := s.checkMayRequire(ctx, st, old, next, personID); err != nil {
			return Connection{}, err
		}
	}
	if err := next.check(); err != nil {
		return Connection{}, err
	}
	if next.SignRequests && !old.SignRequests || next.SignsOut && !old.SignsOut {
		if err := s.ensureKey(ctx, st, actor); err != nil {
			return Connection{}, err
		}
	}
	events := s.changeEvents(st, old, next, actor)
	if len(events) == 0 {
		return old, nil
	}
	next.Version = old.Version + 1
	if err := s.Store.PutConnection(ctx, st.ID, ConnectionChange{
		Next: next, IfVersion: old.Version, KeepsTests: keepsTests(old, next), MatchesChanged: next.Matches != old.Matches, Events: events,
	}); err != nil {
		return Connection{}, fmt.Errorf("save the connection: %w", err)
	}
	return next, nil
}

// changeEvents returns the events of a change of the connection. It returns none if nothing has
// changed.
func (s *SingleSignOn) changeEvents(st site.Site, old, next Connection, actor string) []event.Event {
	var events []event.Event
	add := func(name, text string, changes ...event.Change) {
		events = append(events, event.Event{Time: s.Now(), Scope: event.Site(string(st.ID)), Name: name, Actor: actor, Text: text, Data: event.DataOf(nil, changes...)})
	}
	if changes := Differences(old, next); len(changes) > 0 {
		var names []string
		for _, c := range changes {
			names = append(names, c.Name)
		}
		add(event.SiteSSOChanged, "Single sign-on was changed: "+strings.Join(names, ", "), changes...)
	}
	if old.Matches != next.Matches {
		text, change := site.MatchesChange(old.Matches, next.Matches)
		add(event.SiteSettingChanged, text, change)
	}
	return events
}

// Differences returns the differences between two connections, by the names that pages and commands
// use. It leaves out Matches, which has an event of its own.
func Differences(old, next Connection) []event.Change {
	var changes []event.Change
	for _, f := range []struct {
		name          string
		before, after any
	}{
		{"mode", string(old.Mode), string(next.Mode)},
		{"protocol", old.Protocol.String(), next.Protocol.String()},
		{"identity provider", old.Provider.EntityID, next.Provider.EntityID},
		{"sign-in URL", old.Provider.SignInURL, next.Provider.SignInURL},
		{"sign-out URL", old.Provider.SignOutURL, next.Provider.SignOutURL},
		{"certificates", fingerprints(old), fingerprints(next)},
		{"metadata URL", old.MetadataURL, next.MetadataURL},
		{"entity id", old.EntityID, next.EntityID},
		{"user identifier", old.Claims.UserIdentifier, next.Claims.UserIdentifier},
		{"display name", old.Claims.DisplayName, next.Claims.DisplayName},
		{"e-mail", old.Claims.Email, next.Claims.Email},
		{"job title", old.Claims.JobTitle, next.Claims.JobTitle},
		{"department", old.Claims.Department, next.Claims.Department},
		{"accounts at first sign-in", old.Creates, next.Creates},
		{"sign-in from the identity provider", old.Unsolicited, next.Unsolicited},
		{"signed requests", old.SignRequests, next.SignRequests},
		{"single sign-out", old.SignsOut, next.SignsOut},
		{"session length", old.Length.String(), next.Length.String()},
	} {
		if f.before != f.after {
			changes = append(changes, event.Changed(f.name, f.before, f.after))
		}
	}
	return append(changes, openIDDifferences(old.OpenID, next.OpenID)...)
}

// fingerprints lists the identity provider's certificates in words: the start of each SHA-256, and
// the date until which it is valid.
func fingerprints(c Connection) string {
	var all []string
	for _, cert := range c.Provider.Certificates {
		all = append(all, saml.Fingerprint(cert)[:16]+"… until "+cert.NotAfter.UTC().Format(time.DateOnly))
	}
	return strings.Join(all, ", ")
}

// ServiceProvider returns the site as a SAML service provider without keys. The result does not
// reveal whether the site exists, unless an administrator has chosen an entity id.
func (s *SingleSignOn) ServiceProvider(siteName string, c Connection) saml.ServiceProvider {
	base := s.PublicURL + "/c/" + url.PathEscape(siteName) + "/auth/saml2/"
	sp := saml.ServiceProvider{EntityID: base + "metadata", ACS: base + "post", SignRequests: c.SignRequests}
	if c.SignsOut {
		sp.SignOut = base + "sign-out"
	}
	if c.EntityID != "" {
		sp.EntityID = c.EntityID
	}
	return sp
}
