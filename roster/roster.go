package roster

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// Kind is the kind of a resource: the id of its resource type, SCIM's meta.resourceType.
type Kind string

const (
	User  Kind = "User"
	Group Kind = "Group"
)

// Rosters opens the rosters of sites.
type Rosters struct {
	Store Store
	Now   func() time.Time
	NewID func() string // ids of resources, never repeated; see NewID

	// ScanLimit bounds how many documents one filter may read that no index answers; 0 is DefaultScanLimit.
	ScanLimit int

	registries scim.Registries

	cursors signer
}

// NewID makes the id of a resource: a UUID of version 7 (RFC 9562 §5.7) as 32 hexadecimal digits. It begins with the time, so
// that whoever is made after another stands behind them in every index, whose last page is the one that is written.
func NewID() string {
	id := uuid.Must(uuid.NewV7()) // fails where random numbers do, which end the program
	return hex.EncodeToString(id[:])
}

// DefaultScanLimit is how many documents a filter may read that no index answers. Beyond it is 400 tooMany.
const DefaultScanLimit = 250_000

// Roster is the handle of one site: its people, groups and other resources, under the settings that
// the site had when it was opened. It reaches no other site.
type Roster struct {
	site  site.Site
	types *scim.Registry
	err   error // what is wrong with the site's schemas

	store     Store
	now       func() time.Time
	newID     func() string
	scanLimit int
	cursors   *signer
}

// Open returns the roster of a site. Where the site's schemas cannot be read, which they could when they were set, the
// roster gives that error to whoever reads or writes resources.
func (r *Rosters) Open(s site.Site) *Roster {
	types, err := r.registries.Get(s.Schemas)
	if err != nil {
		err = fmt.Errorf("read the schemas of site %s: %w", s.Name, err)
		types, _ = r.registries.Get(nil) // what is built in has no errors
	}
	return r.handle(s, types, err)
}

// handle makes the handle of a site with the given resource types.
func (r *Rosters) handle(s site.Site, types *scim.Registry, err error) *Roster {
	return &Roster{
		site: s, types: types, err: err,
		store: r.Store, now: r.Now, newID: r.NewID, scanLimit: r.ScanLimit, cursors: &r.cursors,
	}
}

// Types returns the resource types of the site.
func (r *Roster) Types() *scim.Registry { return r.types }

// Change says who asks for a change, by what way, and on which version.
type Change struct {
	Actor string // as in events: "scim:…a91f", "admin:kim@example.com", "cli"
	Via   string // ViaSCIM, ViaAdmin, ViaImport or ViaSignIn

	// Person is the id of the acting person of this site, so that nobody changes their own role or cuts themselves
	// off by hand. Empty for everybody else.
	Person string
	// IfVersion is the version the change was made for; another one is 412. 0 asks for none.
	IfVersion int64

	// Request is the row that the request for this change leaves in the site's request log, as far as
	// it is known before the change: with its id and the status of the answer. It is written in the
	// change's transaction, so neither is there without the other, and comes back finished as
	// Outcome.Request. A row without an id is not written.
	Request requestlog.Request
	// LargeGroup is the status of the answer when the changed group has many members.
	LargeGroup LargeGroup
	// Locations are the addresses at which users and groups are shown, without their ids, so that a
	// PATCH can be compared with what a GET shows. A resource whose kind is missing has no address.
	Locations map[Kind]string
}

// LargeGroup replaces the status of Change.Request when the changed group has at least that many
// members. Status 0 replaces nothing.
type LargeGroup struct{ Members, Status int }

// The ways in which a change comes.
const (
	ViaSCIM   = "scim"
	ViaAdmin  = "admin"
	ViaImport = "import"
	ViaSignIn = "sign-in"
)

// Document is a stored resource: the bytes that scim.Encode made, without meta.location, groups and the members of a
// group.
type Document struct {
	ID       string
	Version  int64
	JSON     []byte
	Created  time.Time // UTC, to the millisecond, as in meta
	Modified time.Time
	Position int64  // where lists have it
	SortKey  string // of a sorted list: what it is sorted by, as scim.Sort.Key has it

	// Active is, of a user, whether they may come in. It stays as it was when a client unassigns active.
	Active bool
}

// Outcome is what a change did.
type Outcome struct {
	Document      Document // after Delete: as it was
	UserName      string   // what it is called now, for the request log: a group's displayName
	Sentence      string   // what was done, for people
	SessionsEnded int
	Created       bool
	Changed       bool // false: it was so already; neither version nor events
	Ignored       []scim.Ignored
	Fixes         []scim.Fix
	Request       requestlog.Request // Change.Request, finished and written
}

// Stamp is who changed something last, how and when.
type Stamp struct {
	Actor string
	Via   string
	Time  time.Time // zero: never
	Text  string    // what was done
}

// Value is one value of an attribute that has rows of its own, because it is searched for or must be unique.
type Value struct {
	Path    string // "emails.value", or the id of what is declared searchable
	Folded  string
	Element int // which element of the attribute has it
}

// Record is a resource as the store keeps it.
type Record struct {
	Document
	Kind        Kind
	UserName    string // folded; unique in the site, empty for groups
	ExternalID  string // as sent
	DisplayName string // folded
	Role        Role
	Block       Block
	Held        []HeldChange
	Values      []Value // searchable values; Put and Insert write them, reads leave them empty
	Unique      []Value // values that no other resource of the kind may have; written like Values
	Looks       []Look  // how a user's names look; written like Values

	Last       Stamp // the last change of any kind
	LastActive Stamp // the last change of Active
	LastRole   Stamp // the last change of Role
	LastSignIn time.Time

	doc scim.Resource // JSON, parsed; nil until it is needed. It is not changed
}

// Refusals that callers ask for by name. A Store answers with refusal.NotFound itself for what it does not have. What a
// client wrote against the rules of SCIM is a *scim.Error instead.
var (
	ErrNoSession = refusal.New(refusal.Unauthorized, "", "there is no such session").Advise("sign in again").Coded("session_ended")

	ErrUserNameTaken = refusal.New(refusal.Taken, "userName", "the userName is in use on this site already").Coded("user_name_taken")
	// ErrValueTaken is about the Value of the resource that another one has.
	ErrValueTaken    = refusal.New(refusal.Taken, "", "a value is in use on this site already").Coded("value_taken")
	ErrIdentityTaken = refusal.New(refusal.Taken, "userIdentifier", "the user identifier belongs to another person").Coded("identity_taken")

	// ErrSchemasChanged says that the site has other schemas than those by which the transaction judges.
	ErrSchemasChanged = refusal.New(refusal.Busy, "", "the schemas of this site were changed while this request was under way, and nothing of it was done").
				Advise("send it again").Coded("schemas_changed")

	ErrTooMany = refusal.New(refusal.TooMuch, "", "this query would read too many resources").Coded("query_too_large")
	ErrTooSlow = refusal.New(refusal.TooMuch, "", "this query reads many resources and took too long").Coded("query_too_slow")
)

// Store keeps the resources, identities and sessions of sites.
type Store interface {
	lookStore

	Get(ctx context.Context, id site.ID, kind Kind, resource string) (Document, error) // refusal.NotFound
	// GetWithGroups is Get and, of the same snapshot, Memberships of that one resource.
	GetWithGroups(ctx context.Context, id site.ID, kind Kind, resource string) (Document, []Membership, error) // refusal.NotFound
	// List returns a page of the resources that match, in a stable order, and how many match altogether.
	// ErrTooMany when more than ScanLimit documents would have to be read to decide, ErrTooSlow when that took too long.
	List(ctx context.Context, id site.ID, q ListQuery) (Found, error)
	// Work runs costly work of a site once the site has a place for it. Its context ends when the work takes too long.
	Work(ctx context.Context, id site.ID, fn func(ctx context.Context) error) error
	// Members returns up to limit members of a group after that one, in the order of their ids; named: with their displayNames.
	Members(ctx context.Context, id site.ID, group, after string, limit int, named bool) ([]Member, error)
	// Memberships returns in which groups those resources are themselves, in the order of the groups' ids.
	Memberships(ctx context.Context, id site.ID, members []string) (map[string][]Membership, error)
	// CursorKey returns the secret of this installation under which cursors are signed.
	CursorKey(ctx context.Context) ([]byte, error)

	Record(ctx context.Context, id site.ID, kind Kind, resource string) (Record, error) // refusal.NotFound
	RecordByUserName(ctx context.Context, id site.ID, folded string) (Record, error)    // refusal.NotFound
	// People returns up to limit users after that folded user name, in the order of the folded user names.
	People(ctx context.Context, id site.ID, q PeopleQuery, after string, limit int) ([]Record, error)
	Counts(ctx context.Context, id site.ID) (Counts, error)

	// SessionPerson returns the session and the active user whose it is, also when it has expired. ErrNoSession.
	SessionPerson(ctx context.Context, id site.ID, hash secret.Hash) (Record, Session, error)
	// UseSession notes when and where a session was used last. A later use stays.
	UseSession(ctx context.Context, id site.ID, hash secret.Hash, at time.Time, from session.Browser) error
	// Sessions returns the sessions of a person that have not been removed, live or not.
	Sessions(ctx context.Context, id site.ID, person string) ([]Session, error)
	EndSession(ctx context.Context, id site.ID, hash secret.Hash, events ...event.Event) error

	// Indexing returns what is declared searchable with how far its rows are.
	Indexing(ctx context.Context, id site.ID) ([]Indexing, error)
	// Index does one step of what is to be done about the rows of what is declared searchable, in one transaction under
	// the epoch of the site's lease: it writes those of the next limit resources, or clears some of what is not declared
	// any more. false: there was nothing to do. site.ErrNotFound.
	Index(ctx context.Context, id site.ID, epoch int64, limit int) (more bool, err error)

	// Update runs fn in one transaction on the roster of a site whose schemas are those of s, which Tx.Insert and Tx.Put
	// look after. fn may run more than once and has no effect but through tx. It is site.ErrNotFound when the site is gone.
	Update(ctx context.Context, s site.Site, fn func(tx Tx) error) error
	// Join is the roster of a site in a transaction on the site, under the schemas that it has so far.
	Join(ctx context.Context, tx site.Tx) (Tx, error)
}

// ListQuery asks the store for one page.
type ListQuery struct {
	Kind   Kind
	Filter *scim.Filter // nil: all
	Sort   *scim.Sort   // nil: by creation
	Offset int
	After  *Place // instead of Offset: what follows this place
	Before *Place // instead of Offset: the last Count that precede this place
	Count  int

	Groups    bool // users have groups and are shown with them, and their versions tell of them
	ScanLimit int  // how many documents may be read to decide
}

// Found is what the store has found for a ListQuery.
type Found struct {
	Documents []Document
	Total     int  // all matching resources, on all pages
	Cut       bool // the page has fewer than it could: its documents are large
}

// Place is a place in the list of all resources of a kind. A resource stays at it while others come and go; in a sorted
// list, as long as what it is sorted by is the same.
type Place struct {
	Position int64
	ID       string
	SortKey  string // only with Sort, where it counts before the others
}

// PlaceOf is the place of a document in the list that it came in.
func PlaceOf(doc Document) Place {
	return Place{Position: doc.Position, ID: doc.ID, SortKey: doc.SortKey}
}

// Compare orders two places; sort is what the list is sorted by, nil for nothing.
func (p Place) Compare(other Place, sort *scim.Sort) int {
	order := 0
	if sort != nil {
		order = sort.CompareKeys(p.SortKey, other.SortKey)
	}
	return cmp.Or(order, cmp.Compare(p.Position, other.Position), cmp.Compare(p.ID, other.ID))
}

// Tx is one transaction on one site's roster. What writes a resource also writes the rows of what is declared searchable,
// which are its DeclaredValues.
type Tx interface {
	// Record and RecordByUserName lock what they return until the transaction ends. refusal.NotFound.
	Record(ctx context.Context, kind Kind, resource string) (Record, error)
	RecordByUserName(ctx context.Context, folded string) (Record, error)
	// BlockedWith returns the id of a blocked user with that externalId, if it is not empty, or one of these folded e-mail
	// addresses, and the attribute that they share. refusal.NotFound.
	BlockedWith(ctx context.Context, externalID string, emails []string) (id, attribute string, err error)
	// Records returns up to limit resources of a kind that follow a place, locked until the transaction ends.
	Records(ctx context.Context, kind Kind, after Place, limit int) ([]Record, error)
	// Insert returns the resource's position in lists. ErrUserNameTaken, ErrSchemasChanged,
	// ErrValueTaken.
	Insert(ctx context.Context, r Record) (position int64, err error)
	// Put writes next over old; both carry their Values and Unique, and their Looks where these differ. ErrUserNameTaken, ErrSchemasChanged, ErrValueTaken.
	Put(ctx context.Context, old, next Record) error
	// PutUnique replaces the unique values of old by those of next, and changes nothing else.
	// ErrValueTaken; what was written until then stays.
	PutUnique(ctx context.Context, old, next Record) error
	// FreeUnique deletes the unique values of an attribute, so that resources may share them.
	FreeUnique(ctx context.Context, kind Kind, path string) error
	// Delete removes a resource, with its Values, Looks, memberships, identity and sessions.
	Delete(ctx context.Context, old Record) error

	// MemberKinds returns the kind of each id that exists. Until the transaction ends, these users
	// and groups cannot be deleted.
	MemberKinds(ctx context.Context, ids []string) (map[string]Kind, error)
	// AddMembers returns the members that it added, without those that were members before.
	AddMembers(ctx context.Context, group string, members []Member, at time.Time) (added []string, err error)
	// RemoveMembers returns the members that it removed.
	RemoveMembers(ctx context.Context, group string, ids []string) (removed []string, err error)
	// Members is Store.Members.
	Members(ctx context.Context, group, after string, limit int, named bool) ([]Member, error)
	// CountMembers counts the members of a group and stops at most.
	CountMembers(ctx context.Context, group string, most int) (int, error)
	// GroupsWith returns the ids of the groups that have that member.
	GroupsWith(ctx context.Context, member string) ([]string, error)

	// OtherAdmins counts the active administrators other than that person. It locks the site first, so that the
	// answer stays true until the transaction ends.
	OtherAdmins(ctx context.Context, person string) (int, error)

	// Identity returns whose user identifier that is. refusal.NotFound.
	Identity(ctx context.Context, userIdentifier string) (person string, err error)
	// PutIdentity makes it the person's only user identifier. ErrIdentityTaken.
	PutIdentity(ctx context.Context, person, userIdentifier string, at time.Time) error
	// DropIdentity takes the person's user identifier away, if they have one.
	DropIdentity(ctx context.Context, person string) (had bool, err error)

	// StartSession stores a session, drops the person's expired ones and notes the sign-in.
	StartSession(ctx context.Context, s Session) error
	// EndSessions ends all of a person's sessions and returns how many of them were live.
	EndSessions(ctx context.Context, person string, now time.Time) (int, error)

	AppendEvent(ctx context.Context, e event.Event) error
	// AppendRequest writes the row of the request that asked for this transaction.
	AppendRequest(ctx context.Context, row requestlog.Request) error
}
