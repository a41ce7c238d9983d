package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
)

// Assignment is one way in which a user or group is assigned to an application. A user can have
// several assignments to one application: a direct assignment, and one through each assigned group
// of which the user is a direct member.
type Assignment struct {
	Application Application
	Role        AppRole
	Through     Group // the assigned group; zero for a direct assignment
}

// IsDirect reports whether the user or group itself is assigned, instead of a group that it is a
// member of.
func (a Assignment) IsDirect() bool { return a.Through.ObjectID == "" }

// ApplicationsOf lists the applications that a user or group is assigned to. A user can be assigned
// directly, or as a direct member of an assigned group.
func (h *Handle) ApplicationsOf(ctx context.Context, objectID string) ([]Application, error) {
	all, err := h.AssignmentsOf(ctx, objectID)
	if err != nil {
		return nil, err
	}
	var apps []Application
	for _, a := range all {
		if n := len(apps); n == 0 || apps[n-1].ID != a.Application.ID {
			apps = append(apps, a.Application)
		}
	}
	return apps, nil
}

// AssignmentsOf lists the assignments of a user or group, ordered by application. In each
// application the direct assignment comes first.
func (h *Handle) AssignmentsOf(ctx context.Context, objectID string) ([]Assignment, error) {
	return h.store.AssignmentsOf(ctx, h.Directory.ID, strings.ToLower(objectID))
}

// Assignments lists the users who are assigned directly to an application. It leaves out
// soft-deleted users.
func (h *Handle) Assignments(ctx context.Context, application string, q UserQuery) (UserPage, error) {
	q.AssignedTo, q.NotAssignedTo = application, ""
	return h.Users(ctx, q)
}

// CountAssignments counts the users who are assigned directly to an application. It leaves out
// soft-deleted users.
func (h *Handle) CountAssignments(ctx context.Context, application string) (int, error) {
	return h.store.CountAssignments(ctx, h.Directory.ID, application)
}

// RolesOf returns the roles of direct assignments to an application, by the object ids of the users
// and groups. Objects without a direct assignment are left out.
func (h *Handle) RolesOf(ctx context.Context, application string, objectIDs []string) (map[string]AppRole, error) {
	return h.store.RolesOf(ctx, h.Directory.ID, application, objectIDs)
}

// Assign assigns users and groups to an application. It returns how many were not assigned before.
// New assignments have the role Default Access; existing ones keep their role. If a group is
// assigned, only the users among its direct members are in scope of the application, as in Entra.
//
// Each transaction assigns a few hundred users and groups. If an id is neither a user nor a group
// of the directory, Assign stops and returns an error. It does not undo earlier transactions.
func (h *Handle) Assign(ctx context.Context, application string, objectIDs []string, actor string) (int, error) {
	return h.assignEach(ctx, application, objectIDs, func(tx Tx, a Application, m Member) (bool, error) {
		return h.assignOne(ctx, tx, a, m, "", actor)
	})
}

// AssignRole assigns users and groups to an application with a role. Users and groups that are
// already assigned get this role instead of their old role. It returns how many assignments
// changed. It splits the work into transactions as Assign does.
func (h *Handle) AssignRole(ctx context.Context, application, role string, objectIDs []string, actor string) (int, error) {
	return h.assignEach(ctx, application, objectIDs, func(tx Tx, a Application, m Member) (bool, error) {
		return h.assignOne(ctx, tx, a, m, role, actor)
	})
}

// assignOne assigns one user or group to an application. It reports whether that changed anything.
// role is the id of the role. If role is "", an existing assignment keeps its role, and a new
// assignment has Default Access.
func (h *Handle) assignOne(ctx context.Context, tx Tx, a Application, m Member, role, actor string) (bool, error) {
	name := memberNameOf(m)
	if m.User.IsDeleted() || m.Group.IsDeleted() {
		return false, conflict("", "%s is deleted", name.label).Advise("restore the %s first", strings.ToLower(string(m.Kind)))
	}
	had, assigned, err := tx.AssignedRole(ctx, a.ID, m.Kind, name.objectID)
	if err != nil || assigned && (role == "" || role == had) {
		return false, err
	}
	wanted, err := h.roleToAssign(ctx, tx, a, role)
	if err != nil {
		return false, err
	}
	now := h.nowToMicrosecond()
	if err := tx.Assign(ctx, a.ID, m.Kind, name.objectID, wanted.ID, now); err != nil {
		return false, err
	}
	what, text, values := event.AssignmentAdded, "was assigned to "+a.Name, []event.Change(nil)
	if assigned {
		before, err := h.findRole(ctx, tx, a, had)
		if err != nil {
			return false, err
		}
		what, text = event.AssignmentChanged, "now has the role "+wanted.DisplayName+" of "+a.Name
		values = append(values, event.Changed("role", before.DisplayName, wanted.DisplayName))
	} else if wanted.ID != DefaultAccess.ID {
		text += " with the role " + wanted.DisplayName
		values = append(values, event.Changed("role", nil, wanted.DisplayName))
	}
	return true, h.appendAssignmentEvent(ctx, tx, what, a, name, wanted.ID, actor, text, now, values...)
}

// Unassign removes the direct assignments of users and groups to an application. It returns how
// many assignments it removed. It splits the work into transactions as Assign does.
func (h *Handle) Unassign(ctx context.Context, application string, objectIDs []string, actor string) (n int, err error) {
	what, err := h.groupsAmong(ctx, objectIDs)
	if err != nil {
		return 0, err
	}
	if what == "" {
		return h.unassign(ctx, application, objectIDs, actor)
	}
	err = h.runAsGroupChange(ctx, "Removal of the assignment of "+what, actor, func(ctx context.Context) error {
		n, err = h.unassign(ctx, application, objectIDs, actor)
		return err
	})
	return n, err
}

// mostSingle is how many assignments may be removed at once as single changes.
const mostSingle = 100

// groupsAmong describes the groups among these objects, whose members may all lose access: the first
// one, and how many others there are. It returns "" if there is no group. Of very many objects it
// returns only the number.
func (h *Handle) groupsAmong(ctx context.Context, objectIDs []string) (string, error) {
	if len(objectIDs) > mostSingle {
		return fmt.Sprintf("%d users and groups", len(objectIDs)), nil
	}
	first, others := "", 0
	for _, id := range objectIDs {
		g, err := h.Group(ctx, id)
		switch {
		case errors.Is(err, refusal.NotFound):
		case err != nil:
			return "", err
		case first == "":
			first = g.description()
		default:
			others++
		}
	}
	if others > 0 {
		first += fmt.Sprintf(" and %s", phrase.Count(others, "other group", "other groups"))
	}
	return first, nil
}

func (h *Handle) unassign(ctx context.Context, application string, objectIDs []string, actor string) (int, error) {
	return h.assignEach(ctx, application, objectIDs, func(tx Tx, a Application, m Member) (bool, error) {
		name, now := memberNameOf(m), h.nowToMicrosecond()
		did, err := tx.Unassign(ctx, a.ID, m.Kind, name.objectID, now)
		if err != nil || !did {
			return false, err
		}
		return true, h.appendAssignmentEvent(ctx, tx, event.AssignmentRemoved, a, name, "", actor, "is no longer assigned to "+a.Name, now)
	})
}

// assignEach calls the function one for each user or group, a few hundred times in each
// transaction. It returns how many calls have changed something.
func (h *Handle) assignEach(ctx context.Context, application string, objectIDs []string, one func(Tx, Application, Member) (bool, error)) (int, error) {
	total := 0
	for batch := range slices.Chunk(objectIDs, batchRows) {
		n := 0
		err := h.update(ctx, func(tx Tx) error {
			n = 0
			a, err := h.findApplication(ctx, tx, application)
			if err != nil {
				return err
			}
			for _, id := range batch {
				m, err := h.findMember(ctx, tx, id)
				if err != nil {
					return err
				}
				did, err := one(tx, a, m)
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

func (h *Handle) appendAssignmentEvent(ctx context.Context, tx Tx, name string, a Application, m memberName, role, actor, text string, at time.Time, values ...event.Change) error {
	who := m.label
	if m.kind == GroupKind {
		who = "Group" + strings.TrimPrefix(who, "group")
	}
	return tx.AppendEvent(ctx, event.Event{
		Time: at, Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor, Subject: m.objectID, Text: who + " " + text,
		Data: event.DataOf(event.Assignment{Application: a.ID, Kind: string(m.kind), Role: role}, values...),
	})
}

// roleToAssign returns the role with an id; "" means Default Access. It returns a refusal if the
// role is disabled.
func (h *Handle) roleToAssign(ctx context.Context, tx Tx, a Application, id string) (AppRole, error) {
	if id == "" {
		return DefaultAccess, nil
	}
	r, err := h.findRole(ctx, tx, a, id)
	if errors.Is(err, refusal.NotFound) {
		return AppRole{}, notFound("%s has no role with the id %s", a.Name, id)
	}
	if err == nil && !r.Enabled {
		return AppRole{}, conflict("role", "the role %s of %s is disabled", r.DisplayName, a.Name).Advise("enable it first, or choose another role")
	}
	return r, err
}
