package directory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// Application is an enterprise application: an outside product, and the users of the directory that
// are assigned to it.
type Application struct {
	ID      string
	Name    string
	Created time.Time
}

// FoldedName returns the name in the form in which names are compared.
func (a Application) FoldedName() string { return scim.Fold(a.Name) }

// CreateApplication creates an application without assignments. It returns refusal.Taken if another
// application has the name.
func (h *Handle) CreateApplication(ctx context.Context, name, actor string) (Application, error) {
	name, err := checkApplicationName(name)
	if err != nil {
		return Application{}, err
	}
	a := Application{ID: h.newID(), Name: name, Created: h.nowToMicrosecond()}
	err = h.update(ctx, func(tx Tx) error {
		if err := tx.CreateApplication(ctx, a); err != nil {
			return err
		}
		return tx.AppendEvent(ctx, h.applicationEvent(a, event.ApplicationCreated, actor, fmt.Sprintf("Application %s was created", a.Name)))
	})
	return a, h.nameTakenError(err, name)
}

// RenameApplication gives an application another name. It returns refusal.Taken if another
// application has the name. The application's assignments, mappings and links stay.
func (h *Handle) RenameApplication(ctx context.Context, id, name, actor string) (Application, error) {
	name, err := checkApplicationName(name)
	if err != nil {
		return Application{}, err
	}
	var a Application
	err = h.update(ctx, func(tx Tx) error {
		old, err := h.findApplication(ctx, tx, id)
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
	return a, h.nameTakenError(err, name)
}

// DeleteApplication removes an application with its assignments and its provisioning, and returns
// how many there were. It does not change the accounts at the application.
func (h *Handle) DeleteApplication(ctx context.Context, id, actor string) (Contents, error) {
	var gone Contents
	err := h.update(ctx, func(tx Tx) error {
		a, err := h.findApplication(ctx, tx, id)
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

// ApplicationContents counts what DeleteApplication would remove, and the linked accounts that it
// would leave.
func (h *Handle) ApplicationContents(ctx context.Context, id string) (Contents, error) {
	return h.store.Contents(ctx, h.Directory.ID, id)
}

func (h *Handle) findApplication(ctx context.Context, tx Tx, id string) (Application, error) {
	a, err := tx.Application(ctx, id)
	if errors.Is(err, refusal.NotFound) {
		return Application{}, notFound("directory %s has no application with the id %q", h.Directory.Name, id)
	}
	return a, err
}

func (h *Handle) applicationEvent(a Application, name, actor, text string, changes ...event.Change) event.Event {
	return event.Event{Data: event.DataOf(nil, changes...), Time: h.nowToMicrosecond(), Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor, Subject: a.ID, Text: text}
}

// nameTakenError adds a message to refusal.Taken from the store: another application has the name.
// It returns all other errors unchanged.
func (h *Handle) nameTakenError(err error, name string) error {
	if errors.Is(err, refusal.Taken) && !hasMessage(err) {
		return taken("name", "directory %s already has an application %q", h.Directory.Name, name).Advise("choose another name")
	}
	return err
}

func checkApplicationName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if !validApplicationName.MatchString(name) {
		return "", invalid("name", "an application's name has 1 to 100 letters, digits, spaces and any of - _ . ( ) & ' and begins with a letter or digit: %q does not", name)
	}
	return name, nil
}

// validApplicationName matches the names that an application may have. They appear in URLs and on
// command lines, so slashes and question marks are not allowed.
var validApplicationName = regexp.MustCompile(`^[\pL\pN][\pL\pM\pN _.()&'-]{0,99}$`)

// Applications returns all applications, sorted by name.
func (h *Handle) Applications(ctx context.Context) ([]Application, error) {
	return h.store.Applications(ctx, h.Directory.ID)
}

// Application finds an application by its name, in any case, or by its id. If there is no such
// application, it returns refusal.NotFound and the message suggests existing names.
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
	return Application{}, notFound("directory %s has no application %q", h.Directory.Name, nameOrID).Advise("%s", suggestName(nameOrID, names))
}
