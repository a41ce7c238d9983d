package erasure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// ErrUnknown means that there is neither an account nor a log entry for the person.
var ErrUnknown = refusal.New(refusal.NotFound, "", "nothing is stored about this person: neither an account nor an entry of a log has this user name or id").
	Coded("person_unknown")

// ErrActive means that the person cannot be erased yet: the account at the site is active, or the
// user of the directory is not deleted.
var ErrActive = refusal.New(refusal.Conflict, "", "the person has an account").Coded("person_active")

// Store finds and changes what a site or directory has stored about a person, a few rows at a time.
type Store interface {
	// IDsOf searches the logs for a deleted account by its name or id. It returns the ids of all
	// deleted accounts that had this name.
	IDsOf(ctx context.Context, scope event.Scope, name string) ([]string, error)
	// ValuesOf returns the values that logs and other tables hold about the person with this id. It
	// leaves out the person's account.
	ValuesOf(ctx context.Context, scope event.Scope, id string) ([]string, error)
	// UniqueValues returns the given values, but leaves out each value that another account of the
	// scope has too. id is the id of the person.
	UniqueValues(ctx context.Context, scope event.Scope, id string, values []string) ([]string, error)
	// Scrub erases the person from logs and other tables, but not from the tables of accounts. In
	// the logs it changes only entries that were written at or after since. It returns how many
	// rows it changed.
	Scrub(ctx context.Context, scope event.Scope, p Person, since time.Time) (changed int, err error)
	// Finish overwrites deleted rows and values of these people in the unused parts of the database
	// file, where it can. complete is false if some of them remain until the file is compacted.
	Finish(ctx context.Context, people []Person) (complete bool, err error)
}

// Eraser erases the personal data of people.
type Eraser struct {
	Store   Store
	Rosters *roster.Rosters
	Now     func() time.Time
}

// Report says what an erasure has done.
type Report struct {
	IDs         []string // the ids of the person, which the logs keep
	HadAccount  bool     // whether the person still had an account
	ChangedRows int      // how many rows of logs and other tables were changed
	Complete    bool     // whether the person's data is gone from unused parts of the database file
}

// An erasure searches the logs twice. The second search finds the entries that were written during
// the erasure. It looks at entries from secondSearchOverlap before the start of the erasure.
const secondSearchOverlap = time.Minute

// FromSite erases a person at a site, by user name or id. It returns ErrActive while the account is
// active, and ErrUnknown when nothing is stored about the person.
func (e *Eraser) FromSite(ctx context.Context, st site.Site, name, actor string) (Report, error) {
	r, scope := e.Rosters.Open(st), event.Site(string(st.ID))
	found, err := r.PersonByUserName(ctx, name)
	if errors.Is(err, refusal.NotFound) {
		found, err = r.Person(ctx, name)
	}
	if err == nil && found.Active {
		return Report{}, ErrActive.Because("%s is active at %s", found.UserName, st.Name).
			Advise("deactivate the account first; the identity provider must not send it again")
	}
	if err == nil {
		doc, err := r.Get(ctx, roster.User, found.ID)
		if err != nil {
			return Report{}, err
		}
		gone := func() error { return r.Erase(ctx, found.ID, roster.Change{Actor: actor, Via: roster.ViaAdmin}) }
		return e.erase(ctx, scope, []string{found.ID}, append(Values(doc.JSON), found.UserName), true, gone)
	}
	if !errors.Is(err, refusal.NotFound) {
		return Report{}, err
	}
	ids, err := e.Store.IDsOf(ctx, scope, name)
	if err != nil {
		return Report{}, err
	}
	if len(ids) == 0 {
		return Report{}, ErrUnknown
	}
	return e.erase(ctx, scope, ids, []string{name}, false, func() error {
		return r.AppendEvents(ctx, e.erasedEvents(scope, ids, actor)...)
	})
}

// FromDirectory erases a user of a directory, by userPrincipalName or object id. It returns
// ErrActive unless the user is deleted, softly or permanently, and ErrUnknown when nothing is
// stored about the person.
func (e *Eraser) FromDirectory(ctx context.Context, h *directory.Handle, name, actor string) (Report, error) {
	scope := event.Directory(string(h.Directory.ID))
	u, err := h.UserByUPN(ctx, name)
	if errors.Is(err, refusal.NotFound) {
		u, err = h.User(ctx, name)
	}
	if err == nil && !u.IsDeleted() {
		return Report{}, ErrActive.Because("%s is a user of %s", u.UPN(), h.Directory.Name).
			Advise("delete the user first, and let provisioning take the accounts away")
	}
	if err != nil && !errors.Is(err, refusal.NotFound) {
		return Report{}, err
	}
	if err == nil {
		values := []string{u.UPN()}
		for _, v := range u.Attributes {
			switch v := v.(type) {
			case string:
				values = append(values, v)
			case []string:
				values = append(values, v...)
			}
		}
		values = append(values, strings.TrimSpace(u.Text("givenName")+" "+u.Text("surname")))
		return e.erase(ctx, scope, []string{u.ObjectID}, values, true, func() error {
			if err := h.Purge(ctx, u.ObjectID, actor); err != nil {
				return err
			}
			return h.AppendEvents(ctx, e.erasedEvents(scope, []string{u.ObjectID}, actor)...)
		})
	}
	ids, err := e.Store.IDsOf(ctx, scope, name)
	if err != nil {
		return Report{}, err
	}
	if len(ids) == 0 {
		return Report{}, ErrUnknown
	}
	return e.erase(ctx, scope, ids, []string{name}, false, func() error { return h.AppendEvents(ctx, e.erasedEvents(scope, ids, actor)...) })
}

func (e *Eraser) erasedEvents(scope event.Scope, ids []string, actor string) []event.Event {
	all := make([]event.Event, len(ids))
	for i, id := range ids {
		all[i] = event.Event{
			Time: e.Now(), Scope: scope, Name: event.UserErased, Actor: actor, Subject: id,
			Text: "The data of a person was erased: " + Person{ID: id}.Label(),
		}
	}
	return all
}

// erase first removes the person's data from existing entries. Then it calls removeAccount, and
// removes the person's data from the entries that removeAccount wrote. The account still exists
// during the first step. So if the erasure is interrupted, the operator can repeat it with the
// person's name.
func (e *Eraser) erase(ctx context.Context, scope event.Scope, ids, values []string, hadAccount bool, removeAccount func() error) (Report, error) {
	report := Report{IDs: ids, HadAccount: hadAccount}
	began := e.Now()
	var people []Person
	for _, id := range ids {
		more, err := e.Store.ValuesOf(ctx, scope, id)
		if err != nil {
			return report, fmt.Errorf("erase: %w", err)
		}
		distinct, err := e.Store.UniqueValues(ctx, scope, id, append(more, values...))
		if err != nil {
			return report, fmt.Errorf("erase: %w", err)
		}
		people = append(people, New(id, distinct))
	}
	scrub := func(since time.Time) error {
		for _, p := range people {
			n, err := e.Store.Scrub(ctx, scope, p, since)
			report.ChangedRows += n
			if err != nil {
				return fmt.Errorf("erase: %w", err)
			}
		}
		return nil
	}
	if err := scrub(time.Time{}); err != nil {
		return report, err
	}
	if err := removeAccount(); err != nil {
		return report, err
	}
	if err := scrub(began.Add(-secondSearchOverlap)); err != nil {
		return report, err
	}
	var err error
	report.Complete, err = e.Store.Finish(ctx, people)
	return report, err
}
