package directory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// Application is an enterprise application: a product outside, and the users of the directory that
// are assigned to it.
type Application struct {
	ID      string
	Name    string
	Created time.Time
}

// FoldedName is the form in which two names are compared.
func (a Application) FoldedName() string { return scim.Fold(a.Name) }

// CreateApplication creates an application without assignments.
func (h *Handle) CreateApplication(ctx context.Context, name, actor string) (Application, error) {
	name, err := checkApplicationName(name)
	if err != nil {
		return Application{}, err
	}
	a := Application{ID: h.newID(), Name: name, Created: h.clock()}
	err = h.update(ctx, func(tx Tx) error {
		if err := tx.CreateApplication(ctx, a); err != nil {
			return err
		}
		return tx.AppendEvent(ctx, h.applicationEvent(a, event.ApplicationCreated, actor, fmt.Sprintf("Application %s was created", a.Name)))
	})
	return a, h.nameTaken(err, name)
}

// RenameApplication gives an application another name. Its assignments, mappings and links stay.
func (h *Handle) RenameApplication(ctx context.Context, id, name, actor string) (Application, error) {
	name, err := checkApplicationName(name)
	if err != nil {
		return Application{}, err
	}
	var a Application
	err = h.update(ctx, func(tx Tx) error {
		old, err := h.application(ctx, tx, id)
		if err != nil {
			return err
		}
		if a = old; old.Name == name {
			return nil
		}
		a.Name = name
		if err := tx.RenameApplication(ctx, a); err != nil {
			return err
		}
		return tx.AppendEvent(ctx, h.applicationEvent(a, event.ApplicationRenamed, actor, fmt.Sprintf("Application %s was renamed to %s", old.Name, name), event.Changed("name", old.Name, name)))
	})
	return a, h.nameTaken(err, name)
}

// DeleteApplication removes an application with its assignments and its provisioning. The accounts
// at the application stay as they are.
func (h *Handle) DeleteApplication(ctx context.Context, id, actor string) (Contents, error) {
	var gone Contents
	err := h.update(ctx, func(tx Tx) error {
		a, err := h.application(ctx, tx, id)
		if err != nil {
			return err
		}
		if gone, err = tx.DeleteApplication(ctx, id); err != nil {
			return err
		}
		return tx.AppendEvent(ctx, h.applicationEvent(a, event.ApplicationDeleted, actor,
			fmt.Sprintf("Application %s was deleted (assignments: %d; linked accounts, which stay as they are: %d)", a.Name, gone.Assigned, gone.Linked)))
	})
	return gone, err
}

// ApplicationContents counts what deleting an application removes and what it leaves.
func (h *Handle) ApplicationContents(ctx context.Context, id string) (Contents, error) {
	return h.store.Contents(ctx, h.Directory.ID, id)
}

func (h *Handle) application(ctx context.Context, tx Tx, id string) (Application, error) {
	a, err := tx.Application(ctx, id)
	if errors.Is(err, refusal.NotFound) {
		return Application{}, notFound("directory %s has no application with the id %q", h.Directory.Name, id)
	}
	return a, err
}

func (h *Handle) applicationEvent(a Application, name, actor, text string, changes ...event.Change) event.Event {
	return event.Event{Data: event.DataOf(nil, changes...), Time: h.clock(), Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor, Subject: a.ID, Text: text}
}

// nameTaken says which name is taken, where the store answered refusal.Taken.
func (h *Handle) nameTaken(err error, name string) error {
	if errors.Is(err, refusal.Taken) && !worded(err) {
		return taken("name", "directory %s already has an application %q", h.Directory.Name, name).Advise("choose another name")
	}
	return err
}

func checkApplicationName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if !applicationName.MatchString(name) {
		return "", invalid("name", "an application's name has 1 to 100 letters, digits, spaces and any of - _ . ( ) & ' and begins with a letter or digit: %q does not", name)
	}
	return name, nil
}

// A name stands in URLs and on command lines: no slash, no question mark.
var applicationName = regexp.MustCompile(`^[\pL\pN][\pL\pM\pN _.()&'-]{0,99}$`)

// Applications lists the applications by name.
func (h *Handle) Applications(ctx context.Context) ([]Application, error) {
	return h.store.Applications(ctx, h.Directory.ID)
}

// Application finds an application by its name, in any case, or by its id. The error lists the
// applications that exist.
func (h *Handle) Application(ctx context.Context, nameOrID string) (Application, error) {
	all, err := h.Applications(ctx)
	if err != nil {
		return Application{}, err
	}
	folded := scim.Fold(strings.TrimSpace(nameOrID))
	names := make([]string, 0, len(all))
	for _, a := range all {
		if a.FoldedName() == folded || a.ID == nameOrID {
			return a, nil
		}
		names = append(names, a.Name)
	}
	if len(names) == 0 {
		return Application{}, notFound("directory %s has no application %q, nor any other", h.Directory.Name, nameOrID)
	}
	return Application{}, notFound("directory %s has no application %q", h.Directory.Name, nameOrID).Advise("%s", meant(nameOrID, names))
}

// ApplicationsOf lists the applications a user is assigned to.
func (h *Handle) ApplicationsOf(ctx context.Context, objectID string) ([]Application, error) {
	return h.store.ApplicationsOf(ctx, h.Directory.ID, strings.ToLower(objectID))
}

// Assignments lists the users of an application, soft-deleted ones left out.
func (h *Handle) Assignments(ctx context.Context, application string, q UserQuery) (UserPage, error) {
	q.AssignedTo, q.NotAssignedTo = application, ""
	return h.Users(ctx, q)
}

// CountAssignments counts the users of an application, soft-deleted ones left out.
func (h *Handle) CountAssignments(ctx context.Context, application string) (int, error) {
	return h.store.CountAssignments(ctx, h.Directory.ID, application)
}

// Assign assigns users to an application and returns how many were not assigned before. It writes a
// few hundred users in each transaction. It returns an error at the first id that is not a user of
// the directory; the transactions before that stay.
func (h *Handle) Assign(ctx context.Context, application string, objectIDs []string, actor string) (int, error) {
	return h.assign(ctx, application, objectIDs, func(tx Tx, a Application, u User) (bool, error) {
		if u.IsDeleted() {
			return false, conflict("", "%s is deleted", u.who()).Advise("restore the user first")
		}
		now := h.clock()
		did, err := tx.Assign(ctx, a.ID, u.ObjectID, now)
		if err != nil || !did {
			return false, err
		}
		return true, h.recordAssignment(ctx, tx, event.AssignmentAdded, a, u, actor, "was assigned to "+a.Name, now)
	})
}

// Unassign removes users from an application and returns how many were assigned. It writes like
// Assign.
func (h *Handle) Unassign(ctx context.Context, application string, objectIDs []string, actor string) (int, error) {
	return h.assign(ctx, application, objectIDs, func(tx Tx, a Application, u User) (bool, error) {
		did, err := tx.Unassign(ctx, a.ID, u.ObjectID)
		if err != nil || !did {
			return false, err
		}
		return true, h.recordAssignment(ctx, tx, event.AssignmentRemoved, a, u, actor, "is no longer assigned to "+a.Name, h.clock())
	})
}

func (h *Handle) assign(ctx context.Context, application string, objectIDs []string, one func(Tx, Application, User) (bool, error)) (int, error) {
	total := 0
	for batch := range slices.Chunk(objectIDs, batchRows) {
		n := 0
		err := h.update(ctx, func(tx Tx) error {
			n = 0
			a, err := h.application(ctx, tx, application)
			if err != nil {
				return err
			}
			for _, id := range batch {
				u, err := User{}, error(refusal.NotFound)
				if lower := strings.ToLower(id); isGUID(lower) {
					u, err = tx.User(ctx, lower)
				}
				if err != nil {
					return h.noUser(err, id)
				}
				did, err := one(tx, a, u)
				if err != nil {
					return err
				}
				if did {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (h *Handle) recordAssignment(ctx context.Context, tx Tx, name string, a Application, u User, actor, text string, at time.Time) error {
	return tx.AppendEvent(ctx, event.Event{
		Time: at, Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor, Subject: u.ObjectID, Text: u.who() + " " + text,
		Data: event.DataOf(event.Assignment{Application: a.ID}),
	})
}
