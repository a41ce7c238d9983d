package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// AppRole is a role of an application. Every assignment has exactly one role.
type AppRole struct {
	ID          string
	Value       string // the value that provisioning sends to the application
	DisplayName string
	Description string
	Enabled     bool // whether the role can be given to further users and groups; those that have the role keep it in any case
}

// DefaultAccess is the role of assignments that have no other role. Every application has it. It
// has no value, and it cannot be changed. Its id is the same as in Entra.
var DefaultAccess = AppRole{ID: "00000000-0000-0000-0000-000000000000", DisplayName: "Default Access", Description: "Assigned, without a role of the application's own", Enabled: true}

// FoldedValue returns the value in the form in which values are compared.
func (r AppRole) FoldedValue() string { return scim.Fold(r.Value) }

// assignmentJSON returns the role as a value of the attribute appRoleAssignments: in the JSON form
// that Entra uses.
func (r AppRole) assignmentJSON() string {
	text, err := json.Marshal(struct {
		ID          string `json:"id"`
		Value       string `json:"value"`
		DisplayName string `json:"displayName"`
	}{r.ID, r.Value, r.DisplayName})
	if err != nil {
		return "" // cannot happen: strings always encode
	}
	return string(text)
}

// Roles returns the roles that an application defines, sorted by display name. Default Access is
// not among them.
func (h *Handle) Roles(ctx context.Context, application string) ([]AppRole, error) {
	return h.store.Roles(ctx, h.Directory.ID, application)
}

// Role finds a role of an application by its id, its value or its display name, in any case. It
// also finds Default Access. If there is no such role, it returns refusal.NotFound and the message
// suggests existing names.
func (h *Handle) Role(ctx context.Context, a Application, name string) (AppRole, error) {
	own, err := h.Roles(ctx, a.ID)
	if err != nil {
		return AppRole{}, err
	}
	all := append([]AppRole{DefaultAccess}, own...)
	folded, names := scim.Fold(strings.TrimSpace(name)), []string{}
	for _, same := range []func(AppRole) bool{
		func(r AppRole) bool { return r.ID == folded || r.Value != "" && r.FoldedValue() == folded },
		func(r AppRole) bool { return scim.Fold(r.DisplayName) == folded },
	} {
		for _, r := range all {
			if same(r) {
				return r, nil
			}
		}
	}
	for _, r := range all {
		names = append(names, r.DisplayName)
	}
	return AppRole{}, notFound("%s has no role %q", a.Name, name).Advise("%s", suggestName(name, names))
}

// CountRole counts the users and groups whose direct assignment to the application has the role.
func (h *Handle) CountRole(ctx context.Context, application, role string) (int, error) {
	return h.store.CountRole(ctx, h.Directory.ID, application, role)
}

var validRoleValue = regexp.MustCompile(`^[^\s\x00-\x1f]{1,250}$`)

func checkRole(r AppRole) (AppRole, error) {
	r.Value, r.DisplayName, r.Description = strings.TrimSpace(r.Value), strings.TrimSpace(r.DisplayName), strings.TrimSpace(r.Description)
	if r.DisplayName == "" {
		r.DisplayName = r.Value
	}
	for name, text := range map[string]string{"value": r.Value, attrDisplayName: r.DisplayName, attrDescription: r.Description} {
		if err := checkText(name, text); err != nil {
			return r, err
		}
	}
	if !validRoleValue.MatchString(r.Value) {
		return r, invalid("value", "a role's value has 1 to 250 characters without spaces, such as Editor: %q does not", r.Value)
	}
	if strings.ContainsAny(r.DisplayName, "\r\n\t") {
		return r, invalid(attrDisplayName, "a role's display name is one line: %q is not", r.DisplayName)
	}
	if scim.Fold(r.DisplayName) == scim.Fold(DefaultAccess.DisplayName) || scim.Fold(r.Value) == scim.Fold(DefaultAccess.DisplayName) {
		return r, invalid(attrDisplayName, "%s is the role that every application has", DefaultAccess.DisplayName).Advise("choose another name")
	}
	return r, nil
}

// PutRole creates a role of an application, or replaces the role with r.ID. If that id is "",
// PutRole assigns a new id. PutRole returns the stored role, and whether anything changed. It
// returns refusal.Taken if another role has the value.
func (h *Handle) PutRole(ctx context.Context, application string, r AppRole, actor string) (AppRole, bool, error) {
	r, err := checkRole(r)
	if err != nil {
		return AppRole{}, false, err
	}
	did := false
	err = h.update(ctx, func(tx Tx) error {
		did = false
		a, err := h.findApplication(ctx, tx, application)
		if err != nil {
			return err
		}
		before := AppRole{}
		if r.ID == "" {
			r.ID = strings.ToLower(h.newID())
		} else if before, err = h.findRole(ctx, tx, a, r.ID); err != nil {
			return err
		}
		values := changedRoleValues(before, r)
		if len(values) == 0 {
			return nil
		}
		did = true
		err = tx.PutRole(ctx, a.ID, r)
		if errors.Is(err, refusal.Taken) {
			return taken("value", "%s already has a role with the value %q", a.Name, r.Value).Advise("choose another value")
		}
		if err != nil {
			return err
		}
		if before.ID == "" {
			return tx.AppendEvent(ctx, h.roleEvent(a, r, event.ApplicationRoleCreated, actor, fmt.Sprintf("Role %s of %s was created", r.DisplayName, a.Name), values...))
		}
		return tx.AppendEvent(ctx, h.roleEvent(a, r, event.ApplicationRoleChanged, actor, fmt.Sprintf("Role %s of %s was changed", before.DisplayName, a.Name), values...))
	})
	return r, did, err
}

func changedRoleValues(before, after AppRole) (values []event.Change) {
	one := func(name string, old, now any) {
		if old == now {
			return
		}
		if before.ID == "" {
			old = nil
		}
		values = append(values, event.Changed(name, old, now))
	}
	one("value", before.Value, after.Value)
	one(attrDisplayName, before.DisplayName, after.DisplayName)
	one(attrDescription, before.Description, after.Description)
	one("enabled", before.Enabled, after.Enabled)
	return values
}

// DeleteRole removes a role of an application. It returns refusal.Conflict while an assignment has
// the role.
func (h *Handle) DeleteRole(ctx context.Context, application, role, actor string) error {
	return h.update(ctx, func(tx Tx) error {
		a, err := h.findApplication(ctx, tx, application)
		if err != nil {
			return err
		}
		r, err := h.findRole(ctx, tx, a, role)
		if err != nil {
			return err
		}
		if r.ID == DefaultAccess.ID {
			return invalid("", "%s is the role that every application has", r.DisplayName).Advise("it cannot be deleted")
		}
		n, err := tx.CountRole(ctx, a.ID, r.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			return conflict("", "the role %s of %s is in use: %s", r.DisplayName, a.Name, phrase.Count(n, "assignment has it", "assignments have it")).
				Advise("give them another role first, or disable the role, so that nobody gets it from now on")
		}
		if err := tx.DeleteRole(ctx, a.ID, r.ID); err != nil {
			return err
		}
		return tx.AppendEvent(ctx, h.roleEvent(a, r, event.ApplicationRoleDeleted, actor, fmt.Sprintf("Role %s of %s was deleted", r.DisplayName, a.Name)))
	})
}

func (h *Handle) findRole(ctx context.Context, tx Tx, a Application, id string) (AppRole, error) {
	if id == DefaultAccess.ID || id == "" {
		return DefaultAccess, nil
	}
	r, err := tx.Role(ctx, a.ID, id)
	if errors.Is(err, refusal.NotFound) {
		return AppRole{}, notFound("%s has no role with the id %s", a.Name, id)
	}
	return r, err
}

func (h *Handle) roleEvent(a Application, r AppRole, name, actor, text string, values ...event.Change) event.Event {
	e := h.applicationEvent(a, name, actor, text)
	e.Data = event.DataOf(event.ApplicationRole{Role: r.ID}, values...)
	return e
}
