package roster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

const (
	defaultPageSize = 50  // the number of people on a page, if the query sets no Limit
	maxPageSize     = 500 // the largest number of people on a page
)

// Person is a user as the pages show it.
type Person struct {
	ID          string
	UserName    string
	DisplayName string // the display name; may be empty
	Email       string // the primary e-mail address, else the one for work, else the first; may be empty
	ExternalID  string
	Role        Role
	Active      bool
	Block       Block
	Held        []HeldChange // changes that SCIM asked for, which wait for a decision or were refused
	Version     int64
	Created     time.Time

	LastChange       Stamp     // the last change of anything in the account
	LastActiveChange Stamp     // the last change of Active
	LastRoleChange   Stamp     // the last change of Role
	LastSignIn       time.Time // zero if the person has never signed in

	Names []Name // the names that are compared with those of other people to find look-alikes
}

// Name returns the display name, or the user name if there is none.
func (p Person) Name() string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	return p.UserName
}

// Status selects people by the state of their account.
type Status string

const (
	StatusAny           Status = ""
	StatusActive        Status = "active"
	StatusDeactivated   Status = "deactivated"
	StatusBlocked       Status = "blocked"         // blocked by an administrator; blocked people are also deactivated
	StatusWaiting       Status = "waiting"         // a change from SCIM waits for an administrator's decision
	StatusNeverSignedIn Status = "never-signed-in" // active, but has never signed in
	StatusLookAlike     Status = "look-alike"      // has a name that looks like another person's
)

// PeopleQuery asks for one page of people, in the order of their user names.
type PeopleQuery struct {
	Search string // part of a user name, display name or e-mail address, ignoring case
	Status Status
	Role   Role   // selects people with this role; empty means any role
	After  string // the value of next that People returned with the previous page; empty for the first page
	Limit  int    // the largest number of people on the page, up to 500; 0 means 50
}

// Counts are the numbers of people in a roster: of all people, and of those with each Status.
// Deactivated includes Blocked. Admins is the number of active administrators.
type Counts struct {
	All, Active, Deactivated, Blocked, Waiting, NeverSignedIn, LookAlike, Admins int
}

// People returns one page of people. next is the After of the next page, or empty on the last page.
func (r *Roster) People(ctx context.Context, q PeopleQuery) (page []Person, next string, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPageSize
	}
	limit = min(limit, maxPageSize)
	if !isStorable(q.Search) || !isStorable(q.After) {
		return nil, "", nil
	}
	q.Search = scim.Fold(strings.TrimSpace(q.Search))
	records, err := r.store.People(ctx, r.site.ID, q, q.After, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list people: %w", err)
	}
	if len(records) > limit {
		records = records[:limit]
		next = records[limit-1].UserName
	}
	for _, rec := range records {
		p, err := personOf(rec)
		if err != nil {
			return nil, "", err
		}
		page = append(page, p)
	}
	return page, next, nil
}

// Counts returns how many people there are.
func (r *Roster) Counts(ctx context.Context) (Counts, error) {
	return r.store.Counts(ctx, r.site.ID)
}

// Person returns one person, or refusal.NotFound if there is none.
func (r *Roster) Person(ctx context.Context, id string) (Person, error) {
	if !isStorable(id) {
		return Person{}, notFound(User, id)
	}
	rec, err := r.store.Record(ctx, r.site.ID, User, id)
	if errors.Is(err, refusal.NotFound) {
		return Person{}, notFound(User, id)
	}
	if err != nil {
		return Person{}, fmt.Errorf("get person: %w", err)
	}
	return personOf(rec)
}

// PersonByUserName returns the person with this user name, ignoring case. It returns
// refusal.NotFound if there is none.
func (r *Roster) PersonByUserName(ctx context.Context, userName string) (Person, error) {
	nobody := refusal.New(refusal.NotFound, "", "nobody here has the user name %q", userName)
	if !isStorable(userName) {
		return Person{}, nobody
	}
	rec, err := r.store.RecordByUserName(ctx, r.site.ID, scim.Fold(userName))
	if errors.Is(err, refusal.NotFound) {
		return Person{}, nobody
	}
	if err != nil {
		return Person{}, fmt.Errorf("get person by user name: %w", err)
	}
	return personOf(rec)
}

// personOf returns the user in a record as pages show it.
func personOf(rec Record) (Person, error) {
	doc, err := parseDocument(rec.JSON)
	if err != nil {
		return Person{}, fmt.Errorf("read stored user %s: %w", rec.ID, err)
	}
	return Person{
		ID:               rec.ID,
		UserName:         doc.String("userName"),
		DisplayName:      doc.String("displayName"),
		Email:            emailOf(doc),
		ExternalID:       rec.ExternalID,
		Role:             rec.Role,
		Active:           rec.Active,
		Block:            rec.Block,
		Held:             rec.Held,
		Version:          rec.Version,
		Created:          rec.Created,
		LastChange:       rec.LastChange,
		LastActiveChange: rec.LastActiveChange,
		LastRoleChange:   rec.LastRoleChange,
		LastSignIn:       rec.LastSignIn,
		Names:            namesOf(doc),
	}, nil
}

// emailOf returns the primary e-mail address of a user, else the one for work, else the first. It
// returns an empty string if there is none.
func emailOf(doc scim.Resource) string {
	best, rank := "", 0
	elements, _ := doc["emails"].([]any)
	for _, e := range elements {
		m, _ := e.(map[string]any)
		value, _ := m["value"].(string)
		if value == "" {
			continue
		}
		if primary, _ := m["primary"].(bool); primary {
			return value
		}
		kind, _ := m["type"].(string)
		switch {
		case rank < 2 && scim.Fold(kind) == "work":
			best, rank = value, 2
		case rank < 1:
			best, rank = value, 1
		}
	}
	return best
}
