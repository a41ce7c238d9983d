package provision

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// DiscoveryKind is the kind of the leases of discoveries. The key of a lease is the job's key.
const DiscoveryKind = "discovery"

// IdentityClass is the class into which a discovery puts an account or a group of the application.
// The classes and their names are Entra's.
type IdentityClass string

// The classes.
const (
	LocalAccounts   IdentityClass = "local"      // no user, or no group, of the directory matches
	UnassignedUsers IdentityClass = "unassigned" // a user or group matches, and is not assigned to the application
	AssignedUsers   IdentityClass = "assigned"   // a user or group matches, and is assigned
)

// IdentityClasses returns all classes.
func IdentityClasses() []IdentityClass {
	return []IdentityClass{LocalAccounts, UnassignedUsers, AssignedUsers}
}

// Words returns the name of the class of accounts or groups. It returns "" for an account that is
// gone.
func (c IdentityClass) Words(kind ObjectKind) string {
	if kind == GroupKind {
		return map[IdentityClass]string{LocalAccounts: "Local groups", UnassignedUsers: "Unassigned groups", AssignedUsers: "Assigned groups"}[c]
	}
	return map[IdentityClass]string{LocalAccounts: "Local accounts", UnassignedUsers: "Unassigned users", AssignedUsers: "Assigned users"}[c]
}

// IsKnown reports whether c is one of the classes.
func (c IdentityClass) IsKnown() bool { return slices.Contains(IdentityClasses(), c) }

// IdentityChange says how an account differs from the previous discovery.
type IdentityChange string

// The changes. The empty change means that nothing differs, or that there is no previous discovery.
const (
	IdentityNew     IdentityChange = "new"
	IdentityChanged IdentityChange = "changed"
	IdentityGone    IdentityChange = "gone" // the application no longer lists the account
)

// DiscoveryState is the stage that a discovery has reached.
type DiscoveryState string

// States of a discovery.
const (
	DiscoveryRunning   DiscoveryState = "running"
	DiscoveryDone      DiscoveryState = "done"
	DiscoveryFailed    DiscoveryState = "failed"
	DiscoveryCancelled DiscoveryState = "cancelled"
)

// Discovery is a discovery of the accounts of an application, or of its groups, and the numbers
// that it has found. While it runs, these are the numbers so far. In a discovery of groups, the
// accounts are the groups of the application, and the users are the groups of the directory.
type Discovery struct {
	Key     Key            `json:"-"`
	ID      string         `json:"id"`
	Kind    ObjectKind     `json:"type"` // UserKind for accounts, GroupKind for groups
	By      string         `json:"by"`   // who started the discovery
	State   DiscoveryState `json:"state"`
	Doing   string         `json:"doing,omitempty"` // what the discovery does now, in words; "" when it has ended
	Started time.Time      `json:"started"`
	Ended   time.Time      `json:"ended,omitzero"`
	Problem string         `json:"problem,omitempty"` // why the discovery failed or waits, in words

	Accounts   int   `json:"accounts"`   // accounts that the application has listed
	Total      int64 `json:"total"`      // how many accounts the application says it has; 0 if it does not say
	Users      int   `json:"users"`      // users of the directory that were compared
	Local      int   `json:"local"`      // accounts of the class LocalAccounts
	Unassigned int   `json:"unassigned"` // accounts of the class UnassignedUsers
	Assigned   int   `json:"assigned"`   // accounts of the class AssignedUsers
	Ambiguous  int   `json:"ambiguous"`  // accounts that several users match, or whose user matches several accounts
	Near       int   `json:"near"`       // local accounts that a user nearly matches

	Compared bool `json:"compared"` // whether there was a complete discovery before this one
	New      int  `json:"new"`      // accounts with the change IdentityNew
	Changed  int  `json:"changed"`  // accounts with the change IdentityChanged
	Gone     int  `json:"gone"`     // accounts with the change IdentityGone

	Matching []MatchingAttribute `json:"matching"`
	Notes    []string            `json:"notes"`

	Progress DiscoveryProgress `json:"-"`
}

// MatchingAttribute is an attribute by which accounts are matched, with the expression that
// computes its value for a user.
type MatchingAttribute struct {
	Attribute  string `json:"attribute"`
	Expression string `json:"expression"`
}

// DiscoveryProgress says where the next step of a discovery continues.
type DiscoveryProgress struct {
	Phase     discoveryPhase `json:"phase"`
	Settings  string         `json:"settings"`  // the [run.discoverySettings] with which the discovery began
	Previous  string         `json:"previous"`  // the id of the previous complete discovery; "" if there is none
	Position  Cursor         `json:"position"`  // the newest position of the directory's changes when the discovery began
	Start     int            `json:"start"`     // the index of the next account to list, from 1
	Length    int            `json:"length"`    // the value of Start at the end of the first pass
	Pass      int            `json:"pass"`      // how many times the list was read from its beginning
	Repeats   int            `json:"repeats"`   // how many pages in a row contained no new account
	After     string         `json:"after"`     // the last id of the previous page, in phases that go through ids
	Unmatched int            `json:"unmatched"` // how many accounts that no user matches have been read
	Failures  int            `json:"failures"`  // how many requests in a row have failed
	Unread    int            `json:"unread"`    // users whose matching values could not be computed
	Moved     bool           `json:"moved"`     // whether accounts came, went or moved since the list was begun
	Last      string         `json:"last"`      // the id of the last account of the previous page
	// Miscounts is true if the list shows more accounts than the application says that it has. Some
	// applications count only the accounts of the page.
	Miscounts bool `json:"miscounts,omitempty"`

	// Shared has the matching values of users that more than MaxCandidates accounts have, by hash.
	Shared map[int64]SharedValue `json:"shared,omitempty"`

	// Groups says whether a discovery of groups follows this discovery of accounts.
	Groups bool `json:"groups,omitempty"`
}

// SharedValue is a matching value of users that too many accounts have, such as "N/A".
type SharedValue struct {
	Attribute string `json:"attribute"`
	Assigned  bool   `json:"assigned"` // whether a user who has the value is assigned
}

// MaxCandidates is how many accounts are compared with a user because of one value. If more
// accounts have the same value, the value does not show which of them belongs to the user.
const MaxCandidates = 20

// FoundAccount is an account, or a group, as the application listed it.
type FoundAccount struct {
	ID             string           `json:"targetAnchor"`
	UserName       string           `json:"userName,omitempty"`
	DisplayName    string           `json:"displayName,omitempty"`
	Emails         []string         `json:"emails,omitempty"`
	EmployeeNumber string           `json:"employeeNumber,omitempty"`
	Roles          []string         `json:"roles,omitempty"` // the roles and the user type
	ExternalID     string           `json:"externalId,omitempty"`
	Active         *bool            `json:"active,omitempty"`    // nil if the application does not show whether the account is active
	Matching       map[string][]any `json:"matching,omitempty"`  // the values of the matching attributes
	Connected      string           `json:"connected,omitempty"` // the object id of the user that the job has connected with the account
}

// IdentityMatch is a user who matches an account, or nearly matches it; or a group of the directory
// that matches a group of the application.
type IdentityMatch struct {
	ObjectID   string              `json:"objectId"`
	Name       string              `json:"name"`             // the user principal name
	By         string              `json:"by,omitempty"`     // the matching attribute, or "connection"; "" for a near match
	Reason     string              `json:"reason,omitempty"` // why the user only nearly matches, in words
	Assigned   bool                `json:"assigned"`
	Enabled    bool                `json:"accountEnabled"`
	Attributes []ComparedAttribute `json:"attributes,omitempty"` // the comparison of all matching attributes
}

// ComparedAttribute compares the value that a matching attribute has for a user with the values of
// an account.
type ComparedAttribute struct {
	Attribute string `json:"attribute"`
	User      any    `json:"user"`
	Account   any    `json:"account"`
	Same      bool   `json:"same"`
}

// byConnection is the value of IdentityMatch.By if the job has connected the account with the user.
const byConnection = "connection"

// DiscoveredAccount is an account with its class and the users who match it, or a group of the
// application with its class and the groups of the directory that match it.
type DiscoveredAccount struct {
	FoundAccount
	Kind      ObjectKind      `json:"type"`
	Class     IdentityClass   `json:"class"`
	Change    IdentityChange  `json:"change,omitempty"`
	Was       *IdentityBefore `json:"was,omitempty"`       // what the previous discovery found, if that differs
	ObjectID  string          `json:"objectId,omitempty"`  // the only user who matches; "" if no user or several users match
	Ambiguous string          `json:"ambiguous,omitempty"` // why nobody can tell whose account it is, in words
	NearCount int             `json:"nearCount"`           // how many users nearly match
	Matches   []IdentityMatch `json:"matches"`
	Near      []IdentityMatch `json:"nearMatches"`
	KeptBy    string          `json:"keptBy,omitempty"` // who has marked the account Keep; "" if nobody has

	sortName, searchText string
}

// IdentityBefore says what the previous discovery found about an account.
type IdentityBefore struct {
	Class    IdentityClass `json:"class"`
	ObjectID string        `json:"objectId,omitempty"`
	UserName string        `json:"userName,omitempty"`
	Active   *bool         `json:"active,omitempty"`
}

// SortName returns the value by which lists of accounts are ordered.
func (a DiscoveredAccount) SortName() string { return a.sortName }

// SearchText returns the text in which a search looks.
func (a DiscoveredAccount) SearchText() string { return a.searchText }

// Name returns the name by which people know the account.
func (a FoundAccount) Name() string {
	for _, name := range []string{a.UserName, a.DisplayName} {
		if name != "" {
			return name
		}
	}
	return a.ID
}

// DiscoveredQuery selects accounts of the last complete discovery.
type DiscoveredQuery struct {
	Kind      ObjectKind     // whether to return accounts or groups; "" means accounts
	Class     IdentityClass  // "" selects all classes
	Change    IdentityChange // "" selects all accounts that the application has
	Ambiguous bool           // whether to return only ambiguous accounts
	Near      bool           // whether to return only local accounts that a user nearly matches
	Kept      KeptFilter     // whether to return only accounts with the mark Keep, or only the others
	Search    string         // part of a name, an address or an id; case is ignored
	Account   string         // the id of the only account to return; "" selects all
	After     string         // the next that came with the previous page; "" for the first page
	Limit     int            // the largest number of accounts in a page, at most 500; 0 means 50
}

// KeptFilter selects accounts by the mark Keep. The zero value selects all.
type KeptFilter string

// The filters.
const (
	OnlyKept    KeptFilter = "kept"
	WithoutKept KeptFilter = "open"
)

// DiscoveredBatch is what one step of a discovery stores.
type DiscoveredBatch struct {
	Accounts []DiscoveredAccount // accounts that were listed, and accounts that are gone
	Keys     []DiscoveredKey     // the hashes of the values of these accounts
	Matches  []DiscoveredMatch   // the users who match accounts
	Sorted   []DiscoveredAccount // accounts that were put into their classes
	Event    *event.Event        // the event to record; nil if there is none
	Next     *Discovery          // the discovery that begins when this one is stored; nil if there is none
}

// DiscoveredKey says that an account has a value with this hash.
type DiscoveredKey struct {
	Hash    int64
	Account string
}

// DiscoveredMatch is a match, or a near match, of an account.
type DiscoveredMatch struct {
	Account string
	Near    bool // whether the user only nearly matches the account
	IdentityMatch
}

// IdentityCandidate is an account that has a value with this hash.
type IdentityCandidate struct {
	FoundAccount
	Hash int64
	Near int // how many near matches the account has so far
}

// UnsortedAccount is an account with all data that decides which class it belongs to.
type UnsortedAccount struct {
	FoundAccount
	Near    int             // how many users nearly match
	Matches []IdentityMatch // the users who match
	Was     *IdentityBefore // what the previous discovery found; nil if it did not have the account
	Unclear bool            // whether the previous discovery called the account ambiguous
	Name    string          // the display name in the previous discovery
}

// DiscoveryStore stores discoveries. Methods with a Fence write only while the Fence's epoch owns
// the lease of the kind DiscoveryKind. Otherwise they return an error with a method LeaseLost.
type DiscoveryStore interface {
	// StartDiscovery adds a discovery and makes its lease due. It returns ErrChanged if another
	// discovery of the job is running.
	StartDiscovery(ctx context.Context, d Discovery) error
	// CancelDiscovery ends the running discovery. It returns ErrChanged if none is running.
	CancelDiscovery(ctx context.Context, k Key, now time.Time) error
	// Discoveries returns the discoveries of a job, newest first.
	Discoveries(ctx context.Context, k Key) ([]Discovery, error)
	// SaveDiscovery saves a discovery together with what its newest step has found, so that the
	// step counts once. It returns ErrChanged if the discovery is no longer running.
	SaveDiscovery(ctx context.Context, f Fence, d Discovery, found DiscoveredBatch) error
	// ListedBefore reports which of these accounts, or groups, of the application the discovery id
	// has listed already. connected maps each of them that has a link to the id of its user or
	// group.
	ListedBefore(ctx context.Context, k Key, kind ObjectKind, id string, accounts []string) (listed map[string]bool, connected map[string]string, err error)
	// Candidates returns the accounts that have a value with one of these hashes. For each hash it
	// returns at most MaxCandidates + 1 accounts.
	Candidates(ctx context.Context, k Key, id string, hashes []int64) ([]IdentityCandidate, error)
	// UnmatchedAccounts returns a page of the accounts that no user matches, ordered by id.
	UnmatchedAccounts(ctx context.Context, k Key, id, after string, limit int) ([]FoundAccount, error)
	// UnsortedAccounts returns a page of a discovery's accounts, ordered by id, with all data that
	// decides on their classes. previous is the id of the previous discovery. accountsOf holds how
	// many accounts each user matches, for the users who match an account of the page.
	UnsortedAccounts(ctx context.Context, k Key, id, previous, after string, limit int) (page []UnsortedAccount, accountsOf map[string]int, err error)
	// GoneAccounts returns a page of the accounts of the discovery previous that the discovery id
	// does not have, ordered by id.
	GoneAccounts(ctx context.Context, k Key, id, previous, after string, limit int) ([]DiscoveredAccount, error)
	// RemoveOldDiscoveries removes some rows of old discoveries. It keeps the running discovery,
	// and the last complete one of accounts and of groups. It also removes hashes that are no
	// longer needed. done is true if nothing is left to remove.
	RemoveOldDiscoveries(ctx context.Context, f Fence) (done bool, err error)
	// DiscoveredAccounts returns a page of the accounts of a discovery, ordered by name. next is
	// the field After of the query for the next page; "" on the last page. It consists of the sort
	// name of the page's last account, a line break and the id of that account.
	DiscoveredAccounts(ctx context.Context, k Key, id string, q DiscoveredQuery) (page []DiscoveredAccount, next string, err error)
	// KeepAccounts marks accounts, or removes their marks, and records the event. It returns how
	// many marks changed, and records no event if none did.
	KeepAccounts(ctx context.Context, k Key, kind ObjectKind, accounts []string, keep bool, actor string, e func(changed int) event.Event) (changed int, err error)
}

// Refusals about discoveries.
var (
	// ErrNoDiscovery means that no discovery of the job is complete.
	ErrNoDiscovery = refusal.New(refusal.NotFound, "", "the accounts of this application were not discovered yet").Advise("start a discovery first").Coded("discovery_unknown")
	// ErrNoGroupDiscovery means that no discovery of the job's groups is complete.
	ErrNoGroupDiscovery = refusal.New(refusal.NotFound, "", "the groups of this application were not discovered yet").Advise("provision groups, and start a discovery").Coded("discovery_unknown")
	// ErrNoAccount means that the last complete discovery does not have the account.
	ErrNoAccount = refusal.New(refusal.NotFound, "account", "the last discovery has no such account").Coded("account_unknown")
)

// BeginDiscovery starts a discovery of the accounts, which AdvanceDiscovery then works on. If the
// job provisions groups and the application accepts them, a discovery of the groups follows. Both
// change nothing at the application. The error is ErrNoJob if the job is not set up, an *InputError
// if it cannot reach the application or if a discovery is running, and a *TargetError if the
// connection does not work.
func (e *Engine) BeginDiscovery(ctx context.Context, k Key, actor string) (Discovery, error) {
	running := &InputError{Field: "Discovery", Text: "is running already; wait for it, or cancel it"}
	r, err := e.openConnected(ctx, k)
	if err != nil {
		return Discovery{}, err
	}
	all, err := e.Discoveries.Discoveries(ctx, k)
	if err != nil {
		return Discovery{}, err
	}
	if i := slices.IndexFunc(all, func(d Discovery) bool { return d.State == DiscoveryRunning }); i >= 0 {
		return all[i], running
	}
	position, err := r.source.Position(ctx)
	if err != nil {
		return Discovery{}, fmt.Errorf("read the position of the directory: %w", err)
	}
	d := r.newDiscovery(UserKind, position, all)
	d.By, d.Progress.Groups = actor, r.groupsOn()
	if err := e.Discoveries.StartDiscovery(ctx, d); errors.Is(err, ErrChanged) {
		return Discovery{}, running
	} else if err != nil {
		return Discovery{}, err
	}
	return d, nil
}

// newDiscovery returns a new discovery of accounts or of groups. position is the newest position of
// the directory's changes. all holds the job's discoveries, newest first.
func (r *run) newDiscovery(kind ObjectKind, position Cursor, all []Discovery) Discovery {
	m := r.mappingOf(kind)
	d := Discovery{
		Key: r.job.Key, ID: r.e.NewID(), Kind: kind, State: DiscoveryRunning, Started: r.e.Now(), Matching: m.matchingAttributes(), Notes: []string{},
		Progress: DiscoveryProgress{Phase: listingAccounts, Settings: r.discoverySettings(kind), Position: position, Start: 1, Pass: 1},
	}
	d.Doing = d.Progress.Phase.words(kind)
	if _, last := lastOf(all, kind); last.ID != "" && last.Progress.target() == d.Progress.target() {
		d.Progress.Previous, d.Compared = last.ID, true
	}
	return d
}

// mappingOf returns the mapping of users or of groups. The caller checks that groups are on.
func (r *run) mappingOf(kind ObjectKind) *mapping {
	if kind == GroupKind {
		return r.groups.m
	}
	return r.m
}

// discoverySettings returns a string of the settings on which the result of a discovery depends:
// the application, the matching attributes, and whether users or groups need an assignment. If one
// of them changes, the string changes.
func (r *run) discoverySettings(kind ObjectKind) string {
	return fmt.Sprintf("%d.%s %q", r.job.ForgetLinks, r.job.Scope, r.mappingOf(kind).matchingAttributes())
}

// target returns the part of the settings that identifies the application. This part changes when
// provisioning moves to another application.
func (p DiscoveryProgress) target() string {
	target, _, _ := strings.Cut(p.Settings, ".")
	return target
}

// matchingAttributes returns the matching attributes by precedence, with their expressions.
func (m *mapping) matchingAttributes() []MatchingAttribute {
	all := []MatchingAttribute{}
	for _, r := range m.matching {
		one := MatchingAttribute{Attribute: r.Target}
		if r.Expr != nil {
			one.Expression = r.Expr.String()
		}
		all = append(all, one)
	}
	return all
}

// CancelDiscovery ends the running discovery. The last complete one stays. It returns an
// *InputError if no discovery is running.
func (e *Engine) CancelDiscovery(ctx context.Context, k Key) error {
	err := e.Discoveries.CancelDiscovery(ctx, k, e.Now())
	if errors.Is(err, ErrChanged) {
		return &InputError{Field: "Discovery", Text: "is not running"}
	}
	return err
}

// LastDiscoveries returns the newest discovery of accounts or of groups, which may still run or may
// have failed, and the last complete one. An ID is "" if there is no such discovery.
func (e *Engine) LastDiscoveries(ctx context.Context, k Key, kind ObjectKind) (newest, complete Discovery, err error) {
	all, err := e.Discoveries.Discoveries(ctx, k)
	newest, complete = lastOf(all, kind)
	return newest, complete, err
}

// lastOf returns the newest discovery of a kind, and the last complete one. all is ordered newest
// first.
func lastOf(all []Discovery, kind ObjectKind) (newest, complete Discovery) {
	for _, d := range all {
		if d.Kind != kind {
			continue
		}
		if newest.ID == "" {
			newest = d
		}
		if d.State == DiscoveryDone {
			return newest, d
		}
	}
	return newest, complete
}

// Discovered returns a page of the accounts of the last complete discovery, ordered by name. next
// is the After of the next page; "" on the last page. It returns ErrNoDiscovery or
// ErrNoGroupDiscovery if there is none.
func (e *Engine) Discovered(ctx context.Context, k Key, q DiscoveredQuery) (page []DiscoveredAccount, next string, err error) {
	q.Kind = cmp.Or(q.Kind, UserKind)
	complete, err := e.CompleteDiscovery(ctx, k, q.Kind)
	if err != nil {
		return nil, "", err
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 500)
	q.Search = scim.Fold(strings.TrimSpace(q.Search))
	after, err := base64.RawURLEncoding.DecodeString(q.After)
	if err != nil || !storable(string(after)) {
		return nil, "", refusal.New(refusal.Invalid, "after", "%q is not where a list ended", q.After).Advise("begin at the first page")
	}
	if !storable(q.Search) || !storable(q.Account) {
		return nil, "", nil
	}
	q.After = string(after)
	page, next, err = e.Discoveries.DiscoveredAccounts(ctx, k, complete.ID, q)
	return page, base64.RawURLEncoding.EncodeToString([]byte(next)), err
}

// CompleteDiscovery returns the last complete discovery of accounts or of groups. It returns
// ErrNoDiscovery or ErrNoGroupDiscovery if there is none.
func (e *Engine) CompleteDiscovery(ctx context.Context, k Key, kind ObjectKind) (Discovery, error) {
	_, complete, err := e.LastDiscoveries(ctx, k, kind)
	if err == nil && complete.ID == "" {
		err = noDiscovery(kind)
	}
	return complete, err
}

// RunningDiscovery returns the discovery that is running, of accounts or of groups. Its ID is "" if
// none is.
func (e *Engine) RunningDiscovery(ctx context.Context, k Key) (Discovery, error) {
	all, err := e.Discoveries.Discoveries(ctx, k)
	if i := slices.IndexFunc(all, func(d Discovery) bool { return d.State == DiscoveryRunning }); i >= 0 {
		return all[i], err
	}
	return Discovery{}, err
}

// noDiscovery returns the error that no discovery of this kind is complete.
func noDiscovery(kind ObjectKind) error {
	if kind == GroupKind {
		return ErrNoGroupDiscovery
	}
	return ErrNoDiscovery
}

// DiscoveredAccount returns one account, or one group, of the last complete discovery, with the
// users or groups that match it or nearly match it. The errors are those of Discovered, and
// ErrNoAccount.
func (e *Engine) DiscoveredAccount(ctx context.Context, k Key, kind ObjectKind, account string) (DiscoveredAccount, error) {
	if account == "" {
		return DiscoveredAccount{}, ErrNoAccount
	}
	page, _, err := e.Discovered(ctx, k, DiscoveredQuery{Kind: kind, Account: account, Limit: 1})
	if err == nil && len(page) == 0 {
		err = ErrNoAccount
	}
	if err != nil {
		return DiscoveredAccount{}, err
	}
	return page[0], nil
}

// KeepAccounts marks accounts, or groups, of the last complete discovery with Keep, or removes
// their marks. The mark says that a person has looked at the account and wants the account to stay
// as it is. Later discoveries keep the mark. KeepAccounts returns how many marks changed. The
// errors are those of DiscoveredAccount.
func (e *Engine) KeepAccounts(ctx context.Context, k Key, kind ObjectKind, accounts []string, keep bool, actor string) (changed int, err error) {
	for _, account := range accounts {
		if _, err := e.DiscoveredAccount(ctx, k, kind, account); err != nil {
			return 0, err
		}
	}
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return 0, err
	}
	return e.Discoveries.KeepAccounts(ctx, k, kind, accounts, keep, actor, func(changed int) event.Event {
		name, words := event.ProvisioningKept, "Accounts at the application were marked Keep: %d."
		if !keep {
			name, words = event.ProvisioningNotKept, "The mark Keep was removed from accounts at the application: %d."
		}
		one := r.event(ctx, name, fmt.Sprintf(discoveryWords(kind, words), changed))
		one.Actor, one.By, one.Data = actor, event.Actor{}, event.DataOf(event.Accounts{Accounts: accounts})
		return *one
	})
}

// ObjectsToAssign returns the object ids of the users, or groups, that own unassigned accounts of
// the last complete discovery, each once. If accounts is nil, it looks at all accounts, otherwise
// only at these. It leaves out accounts that are ambiguous, of another class or marked Keep, and
// accounts whose user has been deleted. It also leaves out accounts that provisioning has managed
// and that are not active, so that nobody gets access back unnoticed. left is how many accounts it
// leaves out. The errors are those of DiscoveredAccount.
func (e *Engine) ObjectsToAssign(ctx context.Context, k Key, kind ObjectKind, accounts []string) (ids []string, left int, err error) {
	seen := map[string]bool{}
	add := func(a DiscoveredAccount) {
		if a.Class != UnassignedUsers || a.Ambiguous != "" || a.ObjectID == "" || a.KeptBy != "" || a.takenAway() {
			left++
			return
		}
		if !seen[a.ObjectID] {
			seen[a.ObjectID] = true
			ids = append(ids, a.ObjectID)
		}
	}
	if accounts != nil {
		for _, account := range accounts {
			a, err := e.DiscoveredAccount(ctx, k, kind, account)
			if err != nil {
				return nil, 0, err
			}
			add(a)
		}
		return e.withoutDeleted(ctx, k, kind, ids, left)
	}
	for q := (DiscoveredQuery{Kind: kind, Class: UnassignedUsers, Limit: discoveryPage}); ; {
		page, next, err := e.Discovered(ctx, k, q)
		if err != nil {
			return nil, 0, err
		}
		for _, a := range page {
			add(a)
		}
		if q.After = next; next == "" {
			return e.withoutDeleted(ctx, k, kind, ids, left)
		}
	}
}

// takenAway reports whether provisioning has managed the account and the application does not show
// it as active. A group is never active or inactive.
func (a DiscoveredAccount) takenAway() bool {
	if a.Kind == GroupKind {
		return false
	}
	connected := slices.ContainsFunc(a.Matches, func(m IdentityMatch) bool { return m.By == byConnection })
	return connected && (a.Active == nil || !*a.Active)
}

// withoutDeleted returns the users, or groups, that the directory still has, in the same order.
// more is left plus the number of those that were removed.
func (e *Engine) withoutDeleted(ctx context.Context, k Key, kind ObjectKind, ids []string, left int) (present []string, more int, err error) {
	if len(ids) == 0 {
		return nil, left, nil
	}
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return nil, 0, err
	}
	for some := range slices.Chunk(ids, discoveryPage) {
		objects, err := r.objectsOf(ctx, kind, some)
		if err != nil {
			return nil, 0, err
		}
		there := map[string]bool{}
		for i := range objects {
			there[objects[i].ID] = objects[i].Deleted.IsZero()
		}
		for _, id := range some {
			if there[id] {
				present = append(present, id)
			} else {
				left++
			}
		}
	}
	return present, left, nil
}

// objectsOf returns the users, or groups, with these ids that the directory still has.
func (r *run) objectsOf(ctx context.Context, kind ObjectKind, ids []string) ([]Object, error) {
	if kind != GroupKind {
		objects, err := r.source.Objects(ctx, r.job.Key.App, ids)
		if err != nil {
			return nil, fmt.Errorf("read users: %w", err)
		}
		return objects, nil
	}
	source, has := r.source.(GroupSource)
	var objects []Object
	for _, id := range ids {
		if !has {
			break
		}
		o, err := readGroupFrom(ctx, source, r.job.Key.App, id)
		if err != nil {
			return nil, err
		}
		if o != nil {
			objects = append(objects, *o)
		}
	}
	return objects, nil
}

// RunDiscovery works on the running discovery, and on the discovery of groups that follows it,
// until both have ended. It returns the newest discovery of accounts, and the discovery of groups
// if one followed; otherwise its ID is "". If another process works on them, RunDiscovery waits. It
// calls progress every few moments with the discovery that runs, or that has ended last.
func (e *Engine) RunDiscovery(ctx context.Context, k Key, owner string, progress func(Discovery)) (accounts, groups Discovery, err error) {
	again := time.NewTicker(demandPoll)
	defer again.Stop()
	var next time.Time // when the next slice is due; zero if that is not known
	for {
		err = nil
		if !e.Now().Before(next) {
			next, err = e.discoverySlice(ctx, k, owner)
		}
		if err != nil && !errors.As(err, new(*HeldError)) && !lost(err) {
			return Discovery{}, Discovery{}, err
		}
		all, listing := e.Discoveries.Discoveries(ctx, k)
		if listing != nil {
			return Discovery{}, Discovery{}, listing
		}
		accounts, _ = lastOf(all, UserKind)
		if accounts.ID == "" {
			return accounts, Discovery{}, ErrNoDiscovery
		}
		if groups, _ = lastOf(all, GroupKind); groups.Started.Before(accounts.Started) {
			groups = Discovery{}
		}
		last := accounts
		if groups.ID != "" {
			last = groups
		}
		if progress(last); last.State != DiscoveryRunning {
			return accounts, groups, nil
		}
		if err == nil && !next.IsZero() && !e.Now().Before(next) {
			continue
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return accounts, groups, ctx.Err()
		}
	}
}

// discoverySlice claims the discovery and does one slice. It returns a *HeldError if another
// process works on the discovery.
func (e *Engine) discoverySlice(ctx context.Context, k Key, owner string) (next time.Time, err error) {
	epoch, err := e.Leases.Claim(ctx, DiscoveryKind, k.String(), owner, leaseTime)
	if err != nil {
		return time.Time{}, asHeldError(err)
	}
	next, err = e.AdvanceDiscovery(ctx, k.String(), epoch)
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err != nil {
		next = e.Now()
	}
	if freeing := e.Leases.Release(release, DiscoveryKind, k.String(), owner, epoch, next); freeing != nil && !lost(freeing) {
		err = errors.Join(err, freeing)
	}
	return next, err
}

// words says in words what the discovery has found.
func (d Discovery) words() string {
	text := fmt.Sprintf("The accounts of the application were discovered: %d, of them %d of assigned users, %d of unassigned users, %d local accounts", d.Accounts, d.Assigned, d.Unassigned, d.Local)
	if d.Kind == GroupKind {
		text = fmt.Sprintf("The groups of the application were discovered: %d, of them %d assigned groups, %d unassigned groups, %d local groups", d.Accounts, d.Assigned, d.Unassigned, d.Local)
	}
	if d.Compared {
		text += fmt.Sprintf("; since the last discovery %d are new, %d are gone, %d changed", d.New, d.Gone, d.Changed)
	}
	return text + "."
}

// Remarks describes in words what differs from an ordinary account, such as "inactive". The text
// begins with a comma. It is "" if nothing differs.
func (a DiscoveredAccount) Remarks() string {
	var all []string
	switch {
	case a.Change == IdentityGone && a.Was != nil:
		all = append(all, "gone, was one of the "+strings.ToLower(a.Was.Class.Words(a.Kind)))
	case a.Change == IdentityChanged && a.Was != nil && a.Was.Class != a.Class:
		all = append(all, "was one of the "+strings.ToLower(a.Was.Class.Words(a.Kind)))
	case a.Change != "":
		all = append(all, string(a.Change))
	}
	if a.Active != nil && !*a.Active {
		all = append(all, "inactive")
	}
	if a.Ambiguous != "" {
		all = append(all, a.Ambiguous)
	}
	if a.KeptBy != "" {
		all = append(all, "marked Keep")
	}
	if len(all) == 0 {
		return ""
	}
	return ", " + strings.Join(all, ", ")
}

// DiscoveredColumns returns the names of the columns of [DiscoveredAccount.Cells].
func DiscoveredColumns() []string {
	return []string{"account", "userName", "displayName", "emails", "active", "class", "change", "ambiguous", "matches", "matchedBy", "nearMatches", "reasons", "keptBy"}
}

// Cells returns the values of the account for the columns of DiscoveredColumns.
func (a DiscoveredAccount) Cells() []string {
	active := ""
	if a.Active != nil {
		active = strings.ToLower(text(*a.Active))
	}
	cells := []string{a.ID, a.UserName, a.DisplayName, strings.Join(a.Emails, " "), active, string(a.Class), string(a.Change), a.Ambiguous}
	var names, by, near, reasons []string
	for _, m := range a.Matches {
		names, by = append(names, m.Name), append(by, m.By)
	}
	for _, m := range a.Near {
		near, reasons = append(near, m.Name), append(reasons, m.Name+": "+m.Reason)
	}
	return append(cells, strings.Join(names, " "), strings.Join(by, " "), strings.Join(near, " "), strings.Join(reasons, "; "), a.KeptBy)
}
