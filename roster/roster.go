package roster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// Kind is the kind of a resource, SCIM's meta.resourceType.
type Kind string

const (
	User  Kind = "User"
	Group Kind = "Group"
)

// Rosters opens the rosters of sites.
type Rosters struct {
	Store Store
	Now   func() time.Time
	NewID func() string // random and never repeated: ids of people

	// ScanLimit bounds how many documents one filter may read that no index answers; 0 is DefaultScanLimit.
	ScanLimit int

	once sync.Once
	user *scim.ResourceType
}

// DefaultScanLimit is how many documents a filter may read that no index answers. Beyond it is 400 tooMany.
const DefaultScanLimit = 250_000

// Roster is one site's people, under the settings the site had when it was opened.
type Roster struct {
	*Rosters
	site site.Site
}

// Open returns the roster of a site.
func (r *Rosters) Open(s site.Site) *Roster {
	r.once.Do(func() { r.user = scim.UserType() })
	return &Roster{Rosters: r, site: s}
}

// Change says who asks for a change, by what way, and on which version.
type Change struct {
	Actor string // as in events: "scim:…a91f", "admin:kim@example.com", "cli"
	Via   string // ViaSCIM, ViaAdmin, ViaImport or ViaSignIn

	// Person is the id of the acting person of this site, so that nobody changes their own role or cuts themselves
	// off by hand. Empty for everybody else.
	Person string
	// IfVersion is the version the change was made for; another one is 412. 0 asks for none.
	IfVersion int64
}

// The ways in which a change comes.
const (
	ViaSCIM   = "scim"
	ViaAdmin  = "admin"
	ViaImport = "import"
	ViaSignIn = "sign-in"
)

// Document is a stored resource: the bytes that scim.Encode made, without meta.location and groups.
type Document struct {
	ID       string
	Version  int64
	JSON     []byte
	Created  time.Time // UTC, to the millisecond, as in meta
	Modified time.Time
}

// Outcome is what a change did.
type Outcome struct {
	Document      Document // after Delete: as it was
	UserName      string   // as it is now, for the request log
	Sentence      string   // what was done, for people
	SessionsEnded int
	Created       bool
	Changed       bool // false: it was so already; neither version nor events
	Ignored       []scim.Ignored
	Fixes         []scim.Fix
}

// Stamp is who changed something last, how and when.
type Stamp struct {
	Actor string
	Via   string
	Time  time.Time // zero: never
	Text  string    // what was done
}

// Value is one searchable value of a multi-valued attribute.
type Value struct {
	Path    string // "emails.value"
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
	Active      bool
	Role        Role
	Values      []Value // written with the record, not read back

	Last       Stamp // the last change of anything
	LastActive Stamp // the last change of Active
	LastRole   Stamp // the last change of Role
	LastSignIn time.Time
}

// Errors that callers decide on. Broken rules are *scim.Error instead.
var (
	ErrNoSession     = errors.New("no such session")
	ErrUserNameTaken = errors.New("the user name is taken")
	ErrIdentityTaken = errors.New("the user identifier belongs to somebody else")
	ErrNotFound      = errors.New("no such resource")
	ErrTooMany       = errors.New("the filter would read too many documents")
)

// Store keeps the resources, identities and sessions of sites.
type Store interface {
	Get(ctx context.Context, id site.ID, kind Kind, resource string) (Document, error) // ErrNotFound
	// List returns count resources that match, in a stable order from offset on, and how many match altogether.
	// ErrTooMany when more than scanLimit documents would have to be read to decide. filter may be nil.
	List(ctx context.Context, id site.ID, kind Kind, filter *scim.Filter, offset, count, scanLimit int) ([]Document, int, error)

	Record(ctx context.Context, id site.ID, kind Kind, resource string) (Record, error) // ErrNotFound
	RecordByUserName(ctx context.Context, id site.ID, folded string) (Record, error)    // ErrNotFound
	// People returns up to limit users after that folded user name, in the order of the folded user names.
	People(ctx context.Context, id site.ID, q PeopleQuery, after string, limit int) ([]Record, error)
	Counts(ctx context.Context, id site.ID) (Counts, error)

	// SessionPerson returns the active user whose unexpired session that is. ErrNoSession.
	SessionPerson(ctx context.Context, id site.ID, session SessionHash, now time.Time) (Record, error)
	EndSession(ctx context.Context, id site.ID, session SessionHash) error

	// Update runs fn in one transaction. fn may run more than once and has no effect but through tx. It is
	// site.ErrNotFound when the site is gone.
	Update(ctx context.Context, id site.ID, fn func(tx Tx) error) error
}

// Tx is one transaction on one site's roster.
type Tx interface {
	// Record and RecordByUserName lock what they return until the transaction ends. ErrNotFound.
	Record(ctx context.Context, kind Kind, resource string) (Record, error)
	RecordByUserName(ctx context.Context, folded string) (Record, error)
	Insert(ctx context.Context, r Record) error // ErrUserNameTaken
	// Put writes next over old; both carry their Values. ErrUserNameTaken.
	Put(ctx context.Context, old, next Record) error
	// Delete removes a resource, with its Values, memberships, identity and sessions.
	Delete(ctx context.Context, old Record) error

	// OtherAdmins counts the active administrators other than that person. It locks the site first, so that the
	// answer stays true until the transaction ends.
	OtherAdmins(ctx context.Context, person string) (int, error)

	// Identity returns whose user identifier that is. ErrNotFound.
	Identity(ctx context.Context, userIdentifier string) (person string, err error)
	// PutIdentity makes it the person's only user identifier. ErrIdentityTaken.
	PutIdentity(ctx context.Context, person, userIdentifier string, at time.Time) error

	// StartSession stores a session, drops the person's expired ones and notes the sign-in.
	StartSession(ctx context.Context, s Session) error
	// EndSessions ends all of a person's sessions and returns how many of them had not expired.
	EndSessions(ctx context.Context, person string, now time.Time) (int, error)

	AppendEvent(ctx context.Context, e event.Event) error
}
