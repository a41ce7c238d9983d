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

// Mode says whether people sign in by SAML.
type Mode string

// The modes of a connection.
const (
	SSOOff      Mode = "off"      // nobody signs in by SAML
	SSOOptional Mode = "optional" // people may sign in by SAML; one-time links open too
	SSORequired Mode = "required" // everybody signs in by SAML; one-time links open only for administrators
)

// Modes lists the modes.
var Modes = []Mode{SSOOff, SSOOptional, SSORequired}

// Connection is a site's connection to its identity provider.
type Connection struct {
	Mode        Mode
	Provider    saml.IdentityProvider // has no entity id until it is set up
	MetadataURL string                // where the identity provider's metadata was read; may be empty
	EntityID    string                // the entity id of the site itself; empty means the address of its metadata
	Claims      saml.Claims
	Creates     bool          // whether a first sign-in makes the account
	Unsolicited bool          // whether a sign-in may begin at the identity provider
	Length      time.Duration // how long a session lasts at most; 0 means as long as others
	Version     int64         // grows with each change; 0 until it is first saved
}

// newConnection is the connection of a site that has none. Its claims are those of Entra ID, where
// the guide's Display Name Assertion carries the user principal name.
func newConnection() Connection {
	return Connection{
		Mode: SSOOff, Creates: true,
		Claims: saml.Claims{
			DisplayName: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
			Email:       "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
		},
	}
}

// Learn takes over what metadata says about the identity provider. If it is the same identity
// provider as before, its old certificates stay, because the new ones may be announced before they
// are used. address is where the metadata was read; if it is empty, the known address stays.
func (c *Connection) Learn(idp saml.IdentityProvider, address string) {
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

// Ready reports whether the identity provider is known.
func (c Connection) Ready() bool { return c.Provider.EntityID != "" }

// Bounds of Connection.Length.
const (
	MinSessionLength = 5 * time.Minute
	MaxSessionLength = 30 * 24 * time.Hour
)

// check refuses a connection that cannot be used, and puts its fields into their stored form.
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
	} {
		*f.value = strings.TrimSpace(*f.value)
		if len(*f.value) > 1024 || !utf8.ValidString(*f.value) || strings.ContainsFunc(*f.value, func(r rune) bool { return r < ' ' }) {
			return refusal.New(refusal.Invalid, f.field, "this is not one line of at most 1,024 bytes").Advise("shorten it")
		}
	}
	if c.Claims.UserIdentifier == saml.NameID {
		c.Claims.UserIdentifier = ""
	}
	if c.Length != 0 && (c.Length < MinSessionLength || c.Length > MaxSessionLength) {
		return refusal.New(refusal.Invalid, "length", "a session cannot last %s", c.Length).Advise("use 5 minutes to 30 days, or nothing for the server's own length")
	}
	if c.Ready() {
		if err := c.Provider.Check(); err != nil {
			return refusal.New(refusal.Invalid, "metadata", "%s", err)
		}
	}
	if c.Mode != SSOOff && !c.Ready() {
		return refusal.New(refusal.Conflict, "mode", "the identity provider is not known yet").Advise("import its metadata first")
	}
	return nil
}

// ConnectionStore keeps connections. Every method names the site.
type ConnectionStore interface {
	Connection(ctx context.Context, id site.ID) (Connection, error) // refusal.NotFound if there is none
	// PutConnection stores the connection and its events if the stored one still has this version.
	// Otherwise it returns refusal.Stale. keepsTests says that tests of the stored connection also
	// count for this one.
	PutConnection(ctx context.Context, id site.ID, c Connection, ifVersion int64, keepsTests bool, events ...event.Event) error
}

// Connection returns the site's connection. A site without one gets one that is off.
func (s *SingleSignOn) Connection(ctx context.Context, st site.Site) (Connection, error) {
	c, err := s.Store.Connection(ctx, st.ID)
	if errors.Is(err, refusal.NotFound) {
		return newConnection(), nil
	}
	if err != nil {
		return Connection{}, fmt.Errorf("find the connection: %w", err)
	}
	return c, nil
}

// SetConnection changes the site's connection, with an event that tells what changed. ifVersion is the
// version that the caller saw; -1 means any. It cannot make single sign-on required: see Require.
func (s *SingleSignOn) SetConnection(ctx context.Context, st site.Site, ifVersion int64, actor string, change func(*Connection) error) (Connection, error) {
	return s.setConnection(ctx, st, ifVersion, actor, func(c *Connection) error {
		was := c.Mode
		if err := change(c); err != nil {
			return err
		}
		if c.Mode == SSORequired && was != SSORequired {
			return ErrNotRequired.Because("an administrator of the site makes single sign-on required").Advise("choose Required on the page Single sign-on")
		}
		return nil
	})
}

// ErrNotRequired refuses to make single sign-on required, because something is missing for it.
var ErrNotRequired = refusal.New(refusal.Conflict, "mode", "single sign-on cannot be required yet").Coded("sso_not_required")

// Require makes single sign-on required. The administrator who does it must have passed a test with
// the current settings, as themselves, and must have recovery codes. Otherwise it returns
// ErrNotRequired.
func (s *SingleSignOn) Require(ctx context.Context, st site.Site, ifVersion int64, actor, personID string) (Connection, error) {
	now, err := s.Connection(ctx, st)
	if err != nil {
		return Connection{}, err
	}
	missing, err := s.MissingToRequire(ctx, st, now, personID)
	if err != nil {
		return Connection{}, err
	}
	if missing != "" {
		return Connection{}, ErrNotRequired.Because("single sign-on cannot be required yet").Advise("%s", missing)
	}
	return s.setConnection(ctx, st, now.Version, actor, func(c *Connection) error {
		if ifVersion >= 0 && c.Version != ifVersion {
			return ErrConnectionStale
		}
		c.Mode = SSORequired
		return nil
	})
}

// MissingToRequire says what an administrator has to do before they can make single sign-on
// required; it is empty if nothing is missing.
func (s *SingleSignOn) MissingToRequire(ctx context.Context, st site.Site, c Connection, personID string) (string, error) {
	t, tested, err := s.LastTest(ctx, st, personID)
	if err != nil {
		return "", err
	}
	codes, err := s.RecoverySet(ctx, st, personID)
	if err != nil {
		return "", err
	}
	switch {
	case !c.Ready():
		return "import the metadata of the identity provider first", nil
	case !tested || !t.Passed || t.Version != c.Version:
		return "pass a test sign-in of your own with these settings first", nil
	case t.Result.PersonID != personID:
		return "pass the test sign-in as yourself: the last one would sign in another account", nil
	case codes.Left == 0:
		return "make recovery codes first", nil
	}
	return "", nil
}

// keepsTests reports whether a test from before these changes would end the same way after them.
func keepsTests(changes []event.Change) bool {
	return !slices.ContainsFunc(changes, func(c event.Change) bool {
		return !slices.Contains([]string{"mode", "sign-in from the identity provider", "session length"}, c.Name)
	})
}

func (s *SingleSignOn) setConnection(ctx context.Context, st site.Site, ifVersion int64, actor string, change func(*Connection) error) (Connection, error) {
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
	if err := next.check(); err != nil {
		return Connection{}, err
	}
	changes := Differences(old, next)
	if len(changes) == 0 {
		return old, nil
	}
	var names []string
	for _, c := range changes {
		names = append(names, c.Name)
	}
	next.Version = old.Version + 1
	e := event.Event{
		Time: s.Now(), Scope: event.Site(string(st.ID)), Name: event.SiteSSOChanged, Actor: actor,
		Text: "Single sign-on was changed: " + strings.Join(names, ", "), Data: event.DataOf(nil, changes...),
	}
	if err := s.Store.PutConnection(ctx, st.ID, next, old.Version, keepsTests(changes), e); err != nil {
		return Connection{}, fmt.Errorf("save the connection: %w", err)
	}
	return next, nil
}

// Differences lists what differs between two connections, by the names that pages and commands use.
func Differences(old, next Connection) []event.Change {
	var changes []event.Change
	for _, f := range []struct {
		name          string
		before, after any
	}{
		{"mode", string(old.Mode), string(next.Mode)},
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
		{"session length", old.Length.String(), next.Length.String()},
	} {
		if f.before != f.after {
			changes = append(changes, event.Changed(f.name, f.before, f.after))
		}
	}
	return changes
}

func fingerprints(c Connection) string {
	var all []string
	for _, cert := range c.Provider.Certificates {
		all = append(all, saml.Fingerprint(cert)[:16]+"… until "+cert.NotAfter.UTC().Format(time.DateOnly))
	}
	return strings.Join(all, ", ")
}

// ServiceProvider returns the site as SAML describes it. It is the same for a site that does not
// exist, except for a name that the administrator chose.
func (s *SingleSignOn) ServiceProvider(siteName string, c Connection) saml.ServiceProvider {
	base := s.PublicURL + "/c/" + url.PathEscape(siteName) + "/auth/saml2/"
	sp := saml.ServiceProvider{EntityID: base + "metadata", ACS: base + "post"}
	if c.EntityID != "" {
		sp.EntityID = c.EntityID
	}
	return sp
}
