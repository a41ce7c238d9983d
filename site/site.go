package site

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
)

// ID identifies a site forever, whatever its name becomes. It never leaves the installation in a URL.
type ID string

// Profile is a set of habits: choosing one sets the switches behind it (Site.Choose), each of which can then be set
// on its own.
type Profile string

const (
	// Documented is the guide's behaviour: SCIM updates accounts, neither creates nor deletes them, and has no groups.
	Documented Profile = "documented"
	// Full lets SCIM create, update and delete, groups too.
	Full Profile = "full"
)

// ParseProfile reads a profile's name; the empty text is Documented.
func ParseProfile(text string) (Profile, error) {
	if text == "" {
		return Documented, nil
	}
	if err := SettingOf("profile").check(Settings{Profile: Profile(text)}); err != nil {
		return "", err
	}
	return Profile(text), nil
}

// What the SCIM userName of a site's people is compared with when somebody signs in with an assertion.
const (
	MatchesDisplayName    = "display-name-assertion"
	MatchesUserIdentifier = "user-identifier"
	MatchesEmail          = "email-assertion"
)

// Site is one customer's tenant of the application.
type Site struct {
	ID   ID
	Name string // part of every URL of the site: [a-z0-9][a-z0-9-]{0,62}
	Settings

	// Schemas is the site's document of extension schemas and resource types, as scim.NewRegistry reads it; nil for
	// none.
	Schemas []byte

	// MatchesUserName names the identity that SCIM's userName equals. It is set by the profile when the site is
	// made and read by sign-in with assertions only, so it cannot be changed before that exists.
	MatchesUserName string

	Created time.Time
}

// The refusals of this package that callers ask for by name. All others are told apart by their kind.
var (
	ErrNotFound = refusal.New(refusal.NotFound, "", "there is no site of that name").Coded("site_unknown")

	ErrNameTaken = refusal.New(refusal.Taken, "name", "there is a site of that name already").
			Advise("choose another name").Coded("site_name_taken")
	ErrWrongConfirmation = refusal.New(refusal.Invalid, "confirm", "the confirmation is not the site's name").
				Advise("type the name to delete the site with everybody in it").Coded("site_name_not_typed")

	ErrUnauthorized = refusal.New(refusal.Unauthorized, "", "unknown site or token").Coded("token_unknown")
	ErrSCIMOff      = refusal.New(refusal.Forbidden, "", "SCIM is switched off for this site").
			Advise("an administrator of the site switches it on with Enable SCIM on the page SCIM integration").Coded("scim_off")

	ErrTokenNotFound = refusal.New(refusal.NotFound, "", "this site has no such token").Coded("token_gone")
	// ErrOneLive and ErrTwoLive are about LiveTokens: a choice is missing, or there is no room.
	ErrOneLive = refusal.New(refusal.Conflict, "", "a token is live already").
			Advise("replace it now, or keep it until the new one is used").Coded("token_live")
	ErrTwoLive = refusal.New(refusal.Conflict, "", "two tokens are live").
			Advise("revoke one of them first; a site has two at most").Coded("tokens_live")
	ErrFormUsed = refusal.New(refusal.Conflict, "", "this form was sent before").
			Advise("nothing was made again").Coded("form_used")

	ErrStale = refusal.New(refusal.Stale, "", "another person saved another document meanwhile; nothing was changed").Coded("schemas_stale")
	// ErrInUse is about an *InUse.
	ErrInUse      = refusal.New(refusal.Conflict, "schemas", "stored resources would not survive the change of the schemas").Coded("schemas_in_use")
	ErrNameShared = refusal.New(refusal.Conflict, "", "several groups have one name").
			Advise("rename all but one of them, or let groups share a name").Coded("group_name_shared")
)

// Store keeps sites, their tokens and their request log.
type Store interface {
	Sites(ctx context.Context) ([]Site, error)                 // by name
	Site(ctx context.Context, id ID) (Site, error)             // ErrNotFound
	SiteByName(ctx context.Context, name string) (Site, error) // ErrNotFound

	// Credential finds the site of that name and its token of that hash together. ErrUnauthorized when either is
	// missing, whichever it is. Every request begins with it, so it leaves out what decides nothing: when the site was
	// made and, of the token, Name, CreatedBy, Created, LastUsed and LastFrom.
	Credential(ctx context.Context, name string, hash secret.Hash) (Site, Token, error)

	CreateSite(ctx context.Context, s Site, e ...event.Event) error // ErrNameTaken
	// UpdateSite runs fn on the locked site in one transaction, ErrNotFound if it is gone. fn may run more than
	// once and has no effect but through tx.
	UpdateSite(ctx context.Context, id ID, fn func(tx Tx) error) error

	Tokens(ctx context.Context, id ID) ([]Token, error) // newest first

	// AppendRequests writes rows and token uses together. Rows of sites that are gone are left out.
	AppendRequests(ctx context.Context, rows []Request, uses []TokenUse) error
	// Requests reads the log backwards from the cursor (the zero cursor: from the newest row), at most limit rows.
	Requests(ctx context.Context, id ID, only RequestFilter, before RequestCursor, limit int) ([]Request, error)
}

// Tx is one transaction on one locked site.
type Tx interface {
	Site() Site
	PutSite(ctx context.Context, s Site) error
	// RenameSite stores another name and ends the site's sessions and sign-in links; ErrNameTaken if another site has it.
	RenameSite(ctx context.Context, name string) error
	// DeleteSite removes the site, its people, tokens and request log. Its events stay.
	DeleteSite(ctx context.Context) error
	Tokens(ctx context.Context) ([]Token, error) // newest first
	InsertToken(ctx context.Context, t Token, hash secret.Hash) error
	PutToken(ctx context.Context, t Token) error
	// UseForm spends a form's number, ErrFormUsed if it was spent before.
	UseForm(ctx context.Context, number string, at time.Time) error
	AppendEvent(ctx context.Context, e event.Event) error
	// Searchable returns what is declared searchable, in the order of the declarations.
	Searchable(ctx context.Context) ([]Searchable, error)
	// PutSearchable writes what is declared searchable, when every transaction that writes the site's resources by the
	// list before has ended, and wakes whoever brings the rows of their values after it.
	PutSearchable(ctx context.Context, list []Searchable) error
	// Resources calls visit with the stored document of each resource of that type, one at a time, in the order in which
	// lists have them. visit has no effect on the store; doc is its own only until it returns.
	Resources(ctx context.Context, kind string, visit func(doc []byte) error) error
	// KeepGroupNames notes for each group its displayName, which no other one may have from then on. ErrNameShared, naming it,
	// if two have the same.
	KeepGroupNames(ctx context.Context) error
	// FreeUnique forgets which resource of a type has which value of an attribute that need not be unique any more.
	FreeUnique(ctx context.Context, kind, path string) error
}

// Sites is the service: it makes, changes and authenticates sites.
type Sites struct {
	Store Store
	Now   func() time.Time
	NewID func() string

	once sync.Once
	log  *RequestLog
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckName refuses a name that cannot be a site's.
func CheckName(name string) error {
	if validName.MatchString(name) {
		return nil
	}
	return refusal.New(refusal.Invalid, "name", "%q cannot be a site's name", name).
		Advise("use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit")
}

// Create makes a site with SCIM off.
func (s *Sites) Create(ctx context.Context, name string, p Profile, actor string) (Site, error) {
	if err := CheckName(name); err != nil {
		return Site{}, err
	}
	p, err := ParseProfile(string(p))
	if err != nil {
		return Site{}, err
	}
	made := Site{ID: ID(s.NewID()), Name: name, MatchesUserName: matchesFor(p), Created: s.Now().UTC().Truncate(time.Microsecond)}
	made.Choose(p)
	text := fmt.Sprintf("Site %s was made with profile %s", name, p)
	if err := s.Store.CreateSite(ctx, made, s.event(made.ID, event.SiteCreated, actor, "", text)); err != nil {
		return Site{}, fmt.Errorf("create site %s: %w", name, err)
	}
	return made, nil
}

func matchesFor(p Profile) string {
	if p == Full {
		return MatchesUserIdentifier
	}
	return MatchesDisplayName
}

// ByName finds a site, ErrNotFound if there is none.
func (s *Sites) ByName(ctx context.Context, name string) (Site, error) {
	if !validName.MatchString(name) {
		return Site{}, ErrNotFound // what is no name need not be looked for
	}
	return s.Store.SiteByName(ctx, name)
}

// Get finds a site by its id, ErrNotFound if there is none.
func (s *Sites) Get(ctx context.Context, id ID) (Site, error) {
	return s.Store.Site(ctx, id)
}

// List returns every site by name.
func (s *Sites) List(ctx context.Context) ([]Site, error) {
	return s.Store.Sites(ctx)
}

// Update changes a site's settings; each one that differs is an event of its own. A profile is chosen with
// Site.Choose, schemas are changed with SetSchemas. change may run more than once.
func (s *Sites) Update(ctx context.Context, id ID, actor string, change func(*Site) error) (Site, error) {
	var result Site
	err := s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		old := tx.Site()
		next := old
		if err := change(&next); err != nil {
			return err
		}
		if err := checkSettings(old, &next); err != nil {
			return err
		}
		result = next
		return s.putSite(ctx, tx, next, actor)
	})
	if err != nil {
		return Site{}, err
	}
	return result, nil
}

func checkSettings(old Site, next *Site) error {
	p, err := ParseProfile(string(next.Profile))
	if err != nil {
		return err
	}
	next.Profile = p
	if next.ID != old.ID || next.Name != old.Name || !next.Created.Equal(old.Created) {
		return refusal.New(refusal.Invalid, "name", "a site is renamed with Rename, and keeps its id")
	}
	if next.MatchesUserName != old.MatchesUserName {
		return refusal.New(refusal.Invalid, "matches", "what SCIM userName matches cannot be chosen in this version")
	}
	if !bytes.Equal(next.Schemas, old.Schemas) {
		return refusal.New(refusal.Invalid, "schemas", "schemas are changed with SetSchemas, which looks after what is stored")
	}
	return checkSwitches(next.Settings)
}

// putSite writes what differs from the site in tx, with one event for each setting.
func (s *Sites) putSite(ctx context.Context, tx Tx, next Site, actor string) error {
	old := tx.Site()
	events := s.settingEvents(old.ID, old.Settings, next.Settings, actor)
	if len(events) == 0 {
		return nil
	}
	if err := tx.PutSite(ctx, next); err != nil {
		return err
	}
	if err := keepGroupNames(ctx, tx, next); err != nil {
		return err
	}
	for _, e := range events {
		if err := tx.AppendEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// settingEvents returns an event for each setting that differs.
func (s *Sites) settingEvents(id ID, old, next Settings, actor string) []event.Event {
	var events []event.Event
	for _, x := range changed(old, next) {
		before, after := x.Get(old), x.Get(next)
		name, text := x.event(before, after)
		events = append(events, s.event(id, name, actor, "", text, event.Changed(x.Name, before, after)))
	}
	return events
}

// Rename gives a site another name, which is part of its every address: the Tenant URL changes with it, and the old one is unknown from the
// next request on. People, tokens and the request log stay. Sessions end, because browsers keep them for the old address.
func (s *Sites) Rename(ctx context.Context, id ID, name, actor string) (Site, error) {
	if err := CheckName(name); err != nil {
		return Site{}, err
	}
	var renamed Site
	err := s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		old := tx.Site()
		if renamed = old; old.Name == name {
			return nil
		}
		renamed.Name = name
		if err := tx.RenameSite(ctx, name); err != nil {
			return err
		}
		return tx.AppendEvent(ctx, s.event(id, event.SiteRenamed, actor, string(id), fmt.Sprintf("Site %s was renamed to %s; its addresses changed, and everyone was signed out", old.Name, name),
			event.Changed("name", old.Name, name)))
	})
	if err != nil {
		return Site{}, fmt.Errorf("rename the site to %s: %w", name, err)
	}
	return renamed, nil
}

// Delete removes a site with its people, tokens and request log. confirmation is the site's name, typed by whoever asks.
func (s *Sites) Delete(ctx context.Context, id ID, confirmation, actor string) error {
	return s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		name := tx.Site().Name
		if confirmation != name {
			return ErrWrongConfirmation
		}
		gone := s.event(id, event.SiteDeleted, actor, string(id), fmt.Sprintf("Site %s was deleted with everybody in it", name), event.Changed("name", name, nil))
		gone.Scope = event.Scope{Kind: "installation"}
		if err := tx.AppendEvent(ctx, gone); err != nil {
			return err
		}
		return tx.DeleteSite(ctx)
	})
}

func (s *Sites) event(id ID, name, actor, subject, text string, changes ...event.Change) event.Event {
	return event.Event{
		Time:    s.Now(),
		Scope:   event.Scope{Kind: "site", ID: string(id)},
		Name:    name,
		Actor:   actor,
		Subject: subject,
		Text:    text,
		Data:    event.DataOf(nil, changes...),
	}
}
