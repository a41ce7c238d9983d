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

// The resource types that every site has.
const (
	User  scim.TypeName = "User"
	Group scim.TypeName = "Group"
)

// Rosters opens the rosters of sites.
type Rosters struct {
	Store Store
	Now   func() time.Time
	NewID func() string // makes a unique id for a resource; the function NewID, except in tests

	// ScanLimit is the largest number of documents that a list may read to find those that match a
	// filter, when no index can answer it. 0 means DefaultScanLimit.
	ScanLimit int

	registries scim.Registries

	cursorSigner signer
}

// NewID makes the id of a resource: a UUID of version 7 (RFC 9562 §5.7) as 32 hexadecimal digits.
// Ids start with a timestamp, so new rows go to the end of every index and an insert changes only
// the last page of the index.
func NewID() string {
	id := uuid.Must(uuid.NewV7()) // fails only if crypto/rand fails, which ends the program
	return hex.EncodeToString(id[:])
}

// DefaultScanLimit is the default of Rosters.ScanLimit. A filter that needs to read more documents
// is refused with ErrTooMany.
const DefaultScanLimit = 250_000

// Roster gives access to the people, groups and other resources of one site, and of no other. It
// uses the settings that the site had when Open was called.
type Roster struct {
	site  site.Site
	types *scim.Registry
	err   error // why the site's schemas cannot be read; nil if they can

	store        Store
	now          func() time.Time
	newID        func() string
	scanLimit    int
	cursorSigner *signer
}

// Open returns the roster of a site. If the site's schemas cannot be read, every read or write of
// resources returns that error. The schemas were readable when they were set, so this is rare.
func (r *Rosters) Open(s site.Site) *Roster {
	types, err := r.registries.Get(s.Schemas)
	if err != nil {
		err = fmt.Errorf("read the schemas of site %s: %w", s.Name, err)
		types, _ = r.registries.Get(nil) // the built-in schemas have no errors
	}
	return r.newRoster(s, types, err)
}

// newRoster makes the Roster of a site with the given resource types.
func (r *Rosters) newRoster(s site.Site, types *scim.Registry, err error) *Roster {
	return &Roster{
		site: s, types: types, err: err,
		store: r.Store, now: r.Now, newID: r.NewID, scanLimit: r.ScanLimit, cursorSigner: &r.cursorSigner,
	}
}

// Types returns the resource types of the site.
func (r *Roster) Types() *scim.Registry { return r.types }

// Change says who makes a change and how, and has options of the change.
type Change struct {
	Actor string // the actor in the form that events use: "scim:…a91f", "admin:kim@example.com" or "cli"
	Via   string // how the change arrived: ViaSCIM, ViaAdmin, ViaImport or ViaSignIn

	// Person is the id of the actor if the actor is a person of this site, otherwise empty. With it
	// the roster stops people from changing their own role or deactivating themselves.
	Person string
	// IfVersion is the version that the resource must have; otherwise the change is refused with
	// refusal.Stale. 0 accepts every version.
	IfVersion int64

	// Request is the request-log row for this change. The caller fills in what is known before the
	// change, such as the id and the status of the answer. The roster completes it, writes it in
	// the transaction of the change and returns it as Outcome.Request. A row without an id is not
	// written.
	Request requestlog.Request
	// LargeGroup is the status of the answer if the changed resource is a group with many members.
	LargeGroup LargeGroupStatus
	// ShowsGroups means that the answer shows the groups of the changed user. Then Outcome.Groups has
	// them.
	ShowsGroups bool
	// Locations are the URLs of users and groups, without the ids at their ends. A PATCH needs them
	// to compare values with those that a GET shows. A resource whose type is not in the map has no
	// URL.
	Locations map[scim.TypeName]string
}

// LargeGroupStatus replaces the status of Change.Request when the changed group has at least
// MinMembers members. A Status of 0 replaces nothing.
type LargeGroupStatus struct{ MinMembers, Status int }

// The values of Change.Via.
const (
	ViaSCIM   = "scim"
	ViaAdmin  = "admin"
	ViaImport = "import"
	ViaSignIn = "sign-in"
)

// Document is a stored resource: the output of scim.Encode, without meta.location, a user's groups
// and a group's members.
type Document struct {
	ID       string
	Version  int64
	JSON     []byte    // the document itself
	Created  time.Time // the time of creation, in UTC, with the precision of meta (milliseconds)
	Modified time.Time // the time of the last change, in the same form
	Position int64     // the order of creation: a list that is not sorted is in this order
	SortKey  string    // the sort key in a sorted list, as scim.Sort.Key returns it

	// Active says whether a user may sign in. It stays as it is if a client removes the attribute
	// active from the document.
	Active bool
}

// Outcome is the result of a change.
type Outcome struct {
	Document      Document           // the document after the change; after Delete, the deleted document
	UserName      string             // the current userName, or the displayName of a group; for the request log
	Sentence      string             // what was done, in words for people
	SessionsEnded int                // how many sessions the change ended
	Created       bool               // whether the change created the resource
	Changed       bool               // whether anything changed; if not, there is no new version and no event
	Ignored       []scim.Ignored     // the parts of the request that were not applied
	Fixes         []scim.Fix         // the deviations from SCIM that were tolerated in the request
	Request       requestlog.Request // Change.Request, completed and written to the request log
	Groups        []Membership       // the groups of the user, as of the change, if Change.ShowsGroups is set
}

// Stamp records who last changed something, how and when.
type Stamp struct {
	Actor string    // the actor, as in Change.Actor
	Via   string    // how the change arrived, as in Change.Via
	Time  time.Time // when the change was made; zero means never
	Text  string    // what was done, in words
}

// Value is one value of an attribute that has its own rows, because the attribute is searchable or
// must be unique.
type Value struct {
	Path    string // the path of the attribute ("emails.value"), or the id of a declared attribute
	Folded  string // the value in the form in which it is compared
	Element int    // the index of the element that has the value
}

// Record is a resource as the store keeps it.
type Record struct {
	Document
	Kind        scim.TypeName
	UserName    string // the folded user name, unique in the site; empty for groups
	ExternalID  string // the externalId that the client sent
	DisplayName string // the displayName in folded form
	Display     string // the displayName as it is written
	Role        Role
	Block       Block
	Held        []HeldChange
	Values      []Value    // searchable values; Put and Insert write them, reads leave them empty
	Unique      []Value    // values that no other resource of the kind may have; written like Values
	NameLooks   []NameLook // the forms of a user's names for finding look-alikes; written like Values

	LastChange       Stamp // the last change of any kind
	LastActiveChange Stamp // the last change of Active
	LastRoleChange   Stamp // the last change of Role
	LastSignIn       time.Time

	doc scim.Resource // the parsed JSON; set when first needed and never modified
}

// These are refusals that callers check for. A Store also returns refusal.NotFound for anything
// that does not exist. A request that breaks the rules of SCIM gets a *scim.Error instead.
var (
	// ErrNoSession says that there is no live session with this secret.
	ErrNoSession = refusal.New(refusal.Unauthorized, "", "there is no such session").Advise("sign in again").Coded("session_ended")

	// ErrUserNameTaken says that another user has the userName.
	ErrUserNameTaken = refusal.New(refusal.Taken, "userName", "the userName is in use on this site already").Coded("user_name_taken")
	// ErrValueTaken says that another resource has a value that must be unique.
	ErrValueTaken    = refusal.New(refusal.Taken, "", "a value is in use on this site already").Coded("value_taken")
	ErrIdentityTaken = refusal.New(refusal.Taken, "userIdentifier", "the user identifier belongs to another person").Coded("identity_taken")

	// ErrSchemasChanged says that the site's schemas were changed after the transaction had begun
	// to use them.
	ErrSchemasChanged = refusal.New(refusal.Busy, "", "the schemas of this site were changed while this request was under way, and nothing of it was done").
				Advise("send it again").Coded("schemas_changed")

	// ErrTooMany says that a list would have to read more than ScanLimit documents.
	ErrTooMany = refusal.New(refusal.TooMuch, "", "this query would read too many resources").Coded("query_too_large")
	ErrTooSlow = refusal.New(refusal.TooMuch, "", "this query reads many resources and took too long").Coded("query_too_slow")
)

// Store keeps the resources, identities and sessions of sites.
type Store interface {
	lookAlikeStore

	Get(ctx context.Context, id site.ID, kind scim.TypeName, resource string) (Document, error) // refusal.NotFound if there is none
	// GetWithGroups returns the results of Get and of Memberships for one resource, from one
	// snapshot.
	GetWithGroups(ctx context.Context, id site.ID, kind scim.TypeName, resource string) (Document, []Membership, error) // refusal.NotFound if there is none
	// List returns a page of the matching resources, in a stable order, and the total number of
	// matches. It returns ErrTooMany if it would have to read more than ScanLimit documents, and
	// ErrTooSlow if the query took too long.
	List(ctx context.Context, id site.ID, q ListQuery) (Found, error)
	// RunExpensive calls fn for work that takes long. It first waits until few enough such calls of
	// the site are running. It cancels the context of fn if fn takes too long.
	RunExpensive(ctx context.Context, id site.ID, fn func(ctx context.Context) error) error
	// Members returns up to limit members of a group, in the order of their ids. It begins after
	// the id in the parameter after. If named is set, it fills in their displayNames.
	Members(ctx context.Context, id site.ID, group, after string, limit int, named bool) ([]Member, error)
	// Memberships returns the groups that have these resources as direct members, in the order of
	// the groups' ids.
	Memberships(ctx context.Context, id site.ID, members []string) (map[string][]Membership, error)
	// CursorKey returns the secret with which this installation signs cursors.
	CursorKey(ctx context.Context) ([]byte, error)

	Record(ctx context.Context, id site.ID, kind scim.TypeName, resource string) (Record, error) // refusal.NotFound if there is none
	RecordByUserName(ctx context.Context, id site.ID, folded string) (Record, error)             // refusal.NotFound if there is none
	// People returns up to limit users in the order of their folded user names. It begins after the
	// folded user name in the parameter after.
	People(ctx context.Context, id site.ID, q PeopleQuery, after string, limit int) ([]Record, error)
	Counts(ctx context.Context, id site.ID) (Counts, error)

	// SessionPerson returns a session and the active user that it belongs to, even if the session
	// has expired. It returns ErrNoSession if there is none.
	SessionPerson(ctx context.Context, id site.ID, hash secret.Hash) (Record, Session, error)
	// UseSession records when and where a session was last used. It never replaces a later use.
	UseSession(ctx context.Context, id site.ID, hash secret.Hash, at time.Time, from session.Browser) error
	// Sessions returns the stored sessions of a person, live or not.
	Sessions(ctx context.Context, id site.ID, person string) ([]Session, error)
	EndSession(ctx context.Context, id site.ID, hash secret.Hash, events ...event.Event) error

	// IdentityOf returns the person's user identifier, or refusal.NotFound.
	IdentityOf(ctx context.Context, id site.ID, person string) (Identity, error)

	// Indexing returns the declared attributes and the progress of their indexing.
	Indexing(ctx context.Context, id site.ID) ([]Indexing, error)
	// Index does one step of indexing, in one transaction. It writes the value rows of the next
	// resources, up to limit, or deletes some rows of attributes that are no longer declared. more
	// is false if there was nothing to do. Index returns site.ErrNotFound if the site was deleted,
	// and an error if another process has taken over the site's lease with this epoch.
	Index(ctx context.Context, id site.ID, epoch int64, limit int) (more bool, err error)

	// HasOneWriter reports whether all write transactions wait for each other. Then as much as possible
	// is done before a transaction. Otherwise a read before it costs another round trip.
	HasOneWriter() bool
	// Update calls fn in a transaction on the roster of the site s. Tx.Insert and Tx.Put refuse to
	// write if the site's schemas differ from the schemas in s. Update may call fn more than once,
	// and fn must change nothing except through tx. Update returns site.ErrNotFound if the site was
	// deleted.
	Update(ctx context.Context, s site.Site, fn func(tx Tx) error) error
	// Join returns the roster of a site for use inside a transaction on that site. It uses the
	// schemas that the site has at that moment.
	Join(ctx context.Context, tx site.Tx) (Tx, error)
}

// ListQuery asks the store for one page.
type ListQuery struct {
	Kind   scim.TypeName
	Filter *scim.Filter // selects resources; nil means all
	Sort   *scim.Sort   // the sort order; nil means by creation
	Offset int          // how many matching resources come before the page
	After  *Place       // instead of Offset: the page begins after this place
	Before *Place       // instead of Offset: the page ends before this place
	Count  int          // the largest number of resources on the page

	Groups    bool // whether users are shown with their groups, so that their versions include the groups
	ScanLimit int  // the largest number of documents that may be read to find the matching ones
}

// Found is the result of a ListQuery.
type Found struct {
	Documents []Document
	Total     int  // the number of matching resources on all pages
	CutShort  bool // whether the page is shorter than requested, because its documents are large
}

// Place is the place of a resource in the list of all resources of a kind. It does not change when
// other resources are added or removed. In a sorted list, it changes when the sort key of the
// resource changes.
type Place struct {
	Position int64
	ID       string
	SortKey  string // in a sorted list, the sort key of the resource, which is compared before the other fields
}

// PlaceOf returns the place of a document in the list that returned it.
func PlaceOf(doc Document) Place {
	return Place{Position: doc.Position, ID: doc.ID, SortKey: doc.SortKey}
}

// Compare returns a negative number if p comes before other, a positive number if it comes after
// it, and 0 if they are equal. sort is the sort order of the list; nil means by creation.
func (p Place) Compare(other Place, sort *scim.Sort) int {
	order := 0
	if sort != nil {
		order = sort.CompareKeys(p.SortKey, other.SortKey)
	}
	return cmp.Or(order, cmp.Compare(p.Position, other.Position), cmp.Compare(p.ID, other.ID))
}

// Tx is one transaction on one site's roster. A method that writes a resource also writes its
// DeclaredValues: the value rows for the attributes that are declared searchable.
type Tx interface {
	// Record and RecordByUserName lock the returned row until the transaction ends. They return
	// refusal.NotFound if there is none.
	Record(ctx context.Context, kind scim.TypeName, resource string) (Record, error)
	RecordByUserName(ctx context.Context, folded string) (Record, error)
	// BlockedWith returns the id of a blocked user that has this externalId (unless it is empty) or
	// one of these folded e-mail addresses, and the attribute that matches. It returns
	// refusal.NotFound if there is none.
	BlockedWith(ctx context.Context, externalID string, emails []string) (id, attribute string, err error)
	// Records returns up to limit resources of a kind. It begins after the place in the parameter
	// after. The resources stay locked until the transaction ends.
	Records(ctx context.Context, kind scim.TypeName, after Place, limit int) ([]Record, error)
	// Insert returns the resource's position in lists. Its errors are ErrUserNameTaken,
	// ErrSchemasChanged and ErrValueTaken.
	Insert(ctx context.Context, r Record) (position int64, err error)
	// Put replaces old with next. Both must have their Values and Unique set, and their NameLooks
	// too if the names differ. It returns the same errors as Insert.
	Put(ctx context.Context, old, next Record) error
	// PutUniqueValues replaces the unique values of old by those of next, and changes nothing else.
	// If it returns ErrValueTaken, it has written some of the values, which stay written in the
	// transaction.
	PutUniqueValues(ctx context.Context, old, next Record) error
	// FreeUniqueValues deletes the unique values of an attribute, so that resources may share them.
	FreeUniqueValues(ctx context.Context, kind scim.TypeName, path string) error
	// Delete removes a resource, with its Values, NameLooks, memberships, identity and sessions.
	Delete(ctx context.Context, old Record) error

	// MemberKinds returns the kind of each id that exists. Until the transaction ends, these users
	// and groups cannot be deleted.
	MemberKinds(ctx context.Context, ids []string) (map[string]scim.TypeName, error)
	// AddMembers returns the members that it added, without those that were members already.
	AddMembers(ctx context.Context, group string, members []Member, at time.Time) (added []string, err error)
	// RemoveMembers returns the members that it removed.
	RemoveMembers(ctx context.Context, group string, ids []string) (removed []string, err error)
	// Members does the same as Store.Members.
	Members(ctx context.Context, group, after string, limit int, named bool) ([]Member, error)
	// CountMembers returns the number of members of a group. It returns most if the group has more
	// members than that.
	CountMembers(ctx context.Context, group string, most int) (int, error)
	// Memberships does the same as Store.Memberships for one member.
	Memberships(ctx context.Context, member string) ([]Membership, error)
	// GroupsWith returns the ids of the groups that have this member.
	GroupsWith(ctx context.Context, member string) ([]string, error)

	// OtherAdmins returns the number of active administrators, without this person. It locks the
	// site first, so that the number stays correct until the transaction ends.
	OtherAdmins(ctx context.Context, person string) (int, error)

	// PersonWithEmail returns the id of a user with this folded e-mail address. It returns
	// refusal.NotFound if there is none.
	PersonWithEmail(ctx context.Context, email string) (id string, err error)
	// Identity returns the identity with this user identifier, or refusal.NotFound.
	Identity(ctx context.Context, userIdentifier string) (Identity, error)
	// IdentityOf returns the person's user identifier, or refusal.NotFound.
	IdentityOf(ctx context.Context, person string) (Identity, error)
	// PutIdentity links an identifier to a person. It replaces the identifier that the person had
	// before. It returns ErrIdentityTaken if another person has the identifier.
	PutIdentity(ctx context.Context, i Identity, at time.Time) error
	// DropIdentity removes the person's user identifier, if they have one.
	DropIdentity(ctx context.Context, person string) (had bool, err error)

	// UseTicket removes the request and records the assertion as used. It returns ErrRequestUsed
	// if the request is missing or has expired at the time now, and ErrAssertionUsed if the
	// assertion was used before.
	UseTicket(ctx context.Context, t Ticket, now time.Time) error
	// StartSession stores a session, deletes the person's expired sessions and records the sign-in.
	StartSession(ctx context.Context, s Session) error
	// EndSessions ends all of a person's sessions and returns how many of them were live.
	EndSessions(ctx context.Context, person string, now time.Time) (int, error)

	// EndOriginSessions ends sessions that began when nameID signed in through issuer. It ends
	// those with a session index in indexes, or all of them if indexes is empty. It returns, by
	// person, how many of the ended sessions were live.
	EndOriginSessions(ctx context.Context, issuer, nameID string, indexes []string, now time.Time) (map[string]int, error)

	AppendEvent(ctx context.Context, e event.Event) error
	// AppendRequest writes the request-log row of the request that this transaction serves.
	AppendRequest(ctx context.Context, row requestlog.Request) error
}
