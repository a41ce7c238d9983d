package site

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// ID identifies a site permanently, even if the site is renamed. URLs contain the site's name
// instead.
type ID string

// Profile is the name of a preset. Choosing a profile sets several switches (see Choose). After
// that, each switch can be changed separately.
type Profile string

const (
	// Documented does what docs/guide.md describes: SCIM updates accounts, but neither creates nor
	// deletes them, and there are no groups.
	Documented Profile = "documented"
	// Full lets SCIM create, update and delete users and groups.
	Full Profile = "full"
)

// ParseProfile reads the name of a profile. An empty string is Documented; an unknown name is
// refused (refusal.Invalid).
func ParseProfile(text string) (Profile, error) {
	if text == "" {
		return Documented, nil
	}
	if err := SettingOf("profile").check(Settings{Profile: Profile(text)}); err != nil {
		return "", err
	}
	return Profile(text), nil
}

// Values of Site.MatchesUserName. Each names a claim of single sign-on that is compared with the
// SCIM userName.
const (
	MatchesDisplayName    = "display-name-assertion"
	MatchesUserIdentifier = "user-identifier"
	MatchesEmail          = "email-assertion"
)

// Matches lists the values that Site.MatchesUserName can have.
var Matches = []string{MatchesUserIdentifier, MatchesDisplayName, MatchesEmail}

// Site is one customer's tenant of the application.
type Site struct {
	ID   ID
	Name string // the name, which is part of every URL of the site: [a-z0-9][a-z0-9-]{0,62}
	Settings

	// Schemas is the site's document of extension schemas and resource types, in the form that
	// scim.NewRegistry reads; nil if there is none.
	Schemas []byte

	// MatchesUserName says which claim of single sign-on must equal the SCIM userName. The profile
	// sets it when the site is made, and the page Single sign-on can change it.
	MatchesUserName string

	// While SetUpLocked is true, administrators cannot set up SCIM on the pages. A new site is
	// locked until a person has signed in with single sign-on, or until an administrator continues
	// without single sign-on. Commands and SCIM ignore SetUpLocked.
	SetUpLocked bool

	Created time.Time
}

// The refusals that callers test for one by one. Callers distinguish other refusals of this package
// by their kind.
var (
	// ErrNotFound is returned for a name or id that no site has.
	ErrNotFound = refusal.New(refusal.NotFound, "", "there is no site of that name").Coded("site_unknown")

	ErrNameTaken = refusal.New(refusal.Taken, "name", "there is a site of that name already").
			Advise("choose another name").Coded("site_name_taken")
	ErrWrongConfirmation = refusal.New(refusal.Invalid, "confirm", "the confirmation is not the site's name").
				Advise("type the name to delete the site with everybody in it").Coded("site_name_not_typed")

	// ErrUnauthorized is returned for a request without a live token of the site in its address.
	ErrUnauthorized = refusal.New(refusal.Unauthorized, "", "unknown site or token").Coded("token_unknown")
	ErrSCIMOff      = refusal.New(refusal.Forbidden, "", "SCIM is switched off for this site").
			Advise("an administrator of the site switches it on with Enable SCIM on the page SCIM integration").Coded("scim_off")

	ErrTokenNotFound = refusal.New(refusal.NotFound, "", "this site has no such token").Coded("token_gone")
	// ErrOneLive means that the site has a live token, and that the caller must choose a TokenMode.
	// ErrTwoLive means that the site cannot have a third live token. The data of both is
	// LiveTokens.
	ErrOneLive = refusal.New(refusal.Conflict, "", "a token is live already").
			Advise("replace it now, or keep it until the new one is used").Coded("token_live")
	ErrTwoLive = refusal.New(refusal.Conflict, "", "two tokens are live").
			Advise("revoke one of them first; a site has two at most").Coded("tokens_live")
	ErrFormUsed = refusal.New(refusal.Conflict, "", "this form was sent before").
			Advise("nothing was made again").Coded("form_used")

	// ErrStale is returned for a change of the schemas if the caller did not see the latest change.
	ErrStale = refusal.New(refusal.Stale, "", "another person saved another document meanwhile; nothing was changed").Coded("schemas_stale")
	// ErrInUse is returned for a change of the schemas that would harm stored resources. Its data
	// is a *SchemasInUse.
	ErrInUse = refusal.New(refusal.Conflict, "schemas", "stored resources would not survive the change of the schemas").Coded("schemas_in_use")
	// ErrNameShared is returned if group names must become unique, but several groups have the
	// same.
	ErrNameShared = refusal.New(refusal.Conflict, "", "several groups have one name").
			Advise("rename all but one of them, or let groups share a name").Coded("group_name_shared")
)

// Store keeps sites and their tokens.
type Store interface {
	Sites(ctx context.Context) ([]Site, error)                 // all sites, sorted by name
	Site(ctx context.Context, id ID) (Site, error)             // ErrNotFound if there is none
	SiteByName(ctx context.Context, name string) (Site, error) // ErrNotFound if there is none

	// Credential returns the site with that name and its token with that hash, live or not. It
	// returns ErrUnauthorized if either is missing, and does not tell which. Every request starts
	// with this call, so it leaves out the fields that requests do not need: Site.Created,
	// SetUpLocked, and the token's Name, CreatedBy, Created, LastUsed and LastFrom.
	Credential(ctx context.Context, name string, hash secret.Hash) (Site, Token, error)

	CreateSite(ctx context.Context, s Site, e ...event.Event) error // ErrNameTaken if the name is taken
	// UpdateSite locks the site and calls fn in a transaction. It returns ErrNotFound if the site
	// no longer exists. UpdateSite may call fn more than once, and fn must change the store only
	// through tx.
	UpdateSite(ctx context.Context, id ID, fn func(tx Tx) error) error

	Tokens(ctx context.Context, id ID) ([]Token, error) // the tokens of a site, newest first
}

// Tx is a transaction on one site, which is locked until the transaction ends.
type Tx interface {
	Site() Site
	PutSite(ctx context.Context, s Site) error
	// RenameSite gives the site another name, and ends the site's sessions and sign-in links. It
	// returns ErrNameTaken if another site has that name.
	RenameSite(ctx context.Context, name string) error
	// DeleteSite removes the site with its people, tokens and request log. The site's events stay.
	DeleteSite(ctx context.Context) error
	Tokens(ctx context.Context) ([]Token, error) // the tokens of the site, newest first
	InsertToken(ctx context.Context, t Token, hash secret.Hash) error
	PutToken(ctx context.Context, t Token) error
	// UseFormNumber marks a form's single-use number as used. It returns ErrFormUsed if the number
	// was used before.
	UseFormNumber(ctx context.Context, number string, at time.Time) error
	AppendEvent(ctx context.Context, e event.Event) error
	// Searchable returns the attributes that are declared searchable, in the order of their
	// declarations.
	Searchable(ctx context.Context) ([]Searchable, error)
	// PutSearchable replaces the list of attributes that are declared searchable. It first waits
	// for the transactions that write resources with the old list. It also starts the indexing in
	// the background.
	PutSearchable(ctx context.Context, list []Searchable) error
	// Resources calls visit with the stored document of each resource of a type, one after the
	// other, in the order in which lists show them. visit must not change the store, and must not
	// keep doc after it returns.
	Resources(ctx context.Context, name scim.TypeName, visit func(doc []byte) error) error
	// MakeGroupNamesUnique records the displayName of each group, so that no other group can get
	// it. It returns ErrNameShared, with the name, if two groups already have the same displayName.
	MakeGroupNamesUnique(ctx context.Context) error
	// FreeUniqueValues is called for an attribute that is no longer unique. It deletes the records
	// that say which resource has which value.
	FreeUniqueValues(ctx context.Context, name scim.TypeName, path string) error
}

// Sites makes, changes and deletes sites and their tokens, and authenticates SCIM requests.
type Sites struct {
	Store Store
	Now   func() time.Time
	NewID func() string
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckName returns a refusal of kind refusal.Invalid for a name that a site cannot have.
func CheckName(name string) error {
	if validName.MatchString(name) {
		return nil
	}
	return refusal.New(refusal.Invalid, "name", "%q cannot be a site's name", name).
		Advise("use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit")
}

// Create makes a site with SCIM switched off. It returns ErrNameTaken if the name is taken.
func (s *Sites) Create(ctx context.Context, name string, p Profile, actor string) (Site, error) {
	if err := CheckName(name); err != nil {
		return Site{}, err
	}
	p, err := ParseProfile(string(p))
	if err != nil {
		return Site{}, err
	}
	made := Site{ID: ID(s.NewID()), Name: name, MatchesUserName: matchesFor(p), SetUpLocked: true, Created: s.Now().UTC().Truncate(time.Microsecond)}
	made.Choose(p)
	text := fmt.Sprintf("Site %s was made with profile %s", name, p)
	if err := s.Store.CreateSite(ctx, made, s.newEvent(made.ID, event.SiteCreated, actor, "", text)); err != nil {
		return Site{}, fmt.Errorf("create site %s: %w", name, err)
	}
	return made, nil
}

// MatchesWords returns a value of Site.MatchesUserName in the words of sentences, such as "the user
// identifier".
func MatchesWords(matches string) string {
	switch matches {
	case MatchesUserIdentifier:
		return "user identifier"
	case MatchesEmail:
		return "e-mail assertion"
	}
	return "display name assertion"
}

// matchesFor returns the value of Site.MatchesUserName with which a site of this profile begins.
func matchesFor(p Profile) string {
	if p == Full {
		return MatchesUserIdentifier
	}
	return MatchesDisplayName
}

// ByName finds a site by its name. It returns ErrNotFound if there is none.
func (s *Sites) ByName(ctx context.Context, name string) (Site, error) {
	if !validName.MatchString(name) {
		return Site{}, ErrNotFound // a name that is not valid cannot be stored
	}
	return s.Store.SiteByName(ctx, name)
}

// Get finds a site by its id. It returns ErrNotFound if there is none.
func (s *Sites) Get(ctx context.Context, id ID) (Site, error) {
	return s.Store.Site(ctx, id)
}

// List returns every site, sorted by name.
func (s *Sites) List(ctx context.Context) ([]Site, error) {
	return s.Store.Sites(ctx)
}

// Update calls change with a site, and stores the settings that change has changed, with one event
// for each of them. It may call change more than once. To change the profile, change calls
// Site.Choose. Update refuses to change the schemas or the name; use SetSchemas or Rename instead.
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

// CheckMatches returns a refusal for a value that Site.MatchesUserName cannot have.
func CheckMatches(matches string) error {
	if slices.Contains(Matches, matches) {
		return nil
	}
	return refusal.New(refusal.Invalid, "matches", "%q is nothing that SCIM userName can match", matches).Advise("use %s", strings.Join(Matches, ", "))
}

// MatchesChange returns the text and the changed value for the event of a change of
// Site.MatchesUserName.
func MatchesChange(before, after string) (text string, change event.Change) {
	return "SCIM userName now matches the " + MatchesWords(after), event.Changed("matchesUserName", before, after)
}

// checkSettings returns a refusal if a setting of next is not valid, or if next differs from old in
// a field that another method changes.
func checkSettings(old Site, next *Site) error {
	p, err := ParseProfile(string(next.Profile))
	if err != nil {
		return err
	}
	next.Profile = p
	if next.ID != old.ID || next.Name != old.Name || !next.Created.Equal(old.Created) {
		return refusal.New(refusal.Invalid, "name", "a site is renamed with Rename, and keeps its id")
	}
	if next.SetUpLocked && !old.SetUpLocked {
		return refusal.New(refusal.Invalid, "", "the set-up of SCIM is locked on new sites alone")
	}
	if err := CheckMatches(next.MatchesUserName); err != nil {
		return err
	}
	if !bytes.Equal(next.Schemas, old.Schemas) {
		return refusal.New(refusal.Invalid, "schemas", "schemas are changed with SetSchemas, which looks after what is stored")
	}
	return checkValues(next.Settings)
}

// putSite stores the site if a setting has changed, with one event for each such setting.
func (s *Sites) putSite(ctx context.Context, tx Tx, next Site, actor string) error {
	old := tx.Site()
	events := s.settingEvents(old.ID, old.Settings, next.Settings, actor)
	if next.MatchesUserName != old.MatchesUserName {
		text, change := MatchesChange(old.MatchesUserName, next.MatchesUserName)
		events = append(events, s.newEvent(old.ID, event.SiteSettingChanged, actor, "", text, change))
	}
	if old.SetUpLocked && !next.SetUpLocked {
		events = append(events, s.newEvent(old.ID, event.SiteSetUpUnlocked, actor, "", "The pages may now set up SCIM"))
	}
	if len(events) == 0 {
		return nil
	}
	if err := tx.PutSite(ctx, next); err != nil {
		return err
	}
	if err := updateGroupNameRule(ctx, tx, next); err != nil {
		return err
	}
	for _, e := range events {
		if err := tx.AppendEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// settingEvents returns an event for each setting that has changed.
func (s *Sites) settingEvents(id ID, old, next Settings, actor string) []event.Event {
	var events []event.Event
	for _, x := range changedSettings(old, next) {
		before, after := x.Get(old), x.Get(next)
		name, text := x.eventFor(before, after)
		events = append(events, s.newEvent(id, name, actor, "", text, event.Changed(x.Name, before, after)))
	}
	return events
}

// Rename gives a site another name. The name is part of all its addresses, so the Tenant URL
// changes too, and the next request to the old URL finds no site. People, tokens and the request
// log stay. Sessions end, because browsers keep them under the old address. Rename returns
// ErrNameTaken if another site has the name.
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
		return tx.AppendEvent(ctx, s.newEvent(id, event.SiteRenamed, actor, string(id), fmt.Sprintf("Site %s was renamed to %s; its addresses changed, and everyone was signed out", old.Name, name),
			event.Changed("name", old.Name, name)))
	})
	if err != nil {
		return Site{}, fmt.Errorf("rename the site to %s: %w", name, err)
	}
	return renamed, nil
}

// Delete removes a site with its people, tokens and request log. confirmation must be the site's
// name; otherwise Delete returns ErrWrongConfirmation.
func (s *Sites) Delete(ctx context.Context, id ID, confirmation, actor string) error {
	return s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		name := tx.Site().Name
		if confirmation != name {
			return ErrWrongConfirmation
		}
		gone := s.newEvent(id, event.SiteDeleted, actor, string(id), fmt.Sprintf("Site %s was deleted with everybody in it", name), event.Changed("name", name, nil))
		gone.Scope = event.Scope{Kind: "installation"}
		if err := tx.AppendEvent(ctx, gone); err != nil {
			return err
		}
		return tx.DeleteSite(ctx)
	})
}

// newEvent returns an event of a site.
func (s *Sites) newEvent(id ID, name, actor, subject, text string, changes ...event.Change) event.Event {
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
