package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/refusal"
)

// AssignmentsOf lists the assignments of a user or group to applications. They are ordered by
// application; in each application the direct assignment comes before those through groups.
func (s Directories) AssignmentsOf(ctx context.Context, d directory.ID, objectID string) (all []directory.Assignment, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, scanAssignment, `
			select p.id, p.name, p.created, p.name_folded, a.role, `+roleColumns+`, '' as group_id, '' as attributes, '' as sort_key
			from (
				select directory, application, role from directory_assignment where directory = $1 and object_id = $2
				union all
				select directory, application, role from directory_group_assignment where directory = $1 and group_id = $2 and gone = 0
			) a
			join directory_application p on p.directory = a.directory and p.id = a.application
			`+roleJoin+`
			union all
			select p.id, p.name, p.created, p.name_folded, a.role, `+roleColumns+`, g.object_id, g.attributes, g.sort_key
			from directory_member m
			join directory_group g on g.directory = m.directory and g.object_id = m.group_id and g.deleted = 0
			join directory_group_assignment a on a.directory = m.directory and a.group_id = m.group_id and a.gone = 0
			join directory_application p on p.directory = a.directory and p.id = a.application
			`+roleJoin+`
			where m.directory = $1 and m.member = $2 and m.gone = 0 and m.kind = 'User'
			order by name_folded, sort_key, group_id`, t.directory, objectID)
		return err
	})
	return all, err
}

// roleColumns are the columns of the role of an assignment a, which roleJoin joins. The role
// Default Access has no row, so the columns of the joined row r may be null.
const (
	roleColumns = `coalesce(r.value, '') as value, coalesce(r.display_name, '') as display_name, coalesce(r.description, '') as description, coalesce(r.enabled, false) as enabled`
	roleJoin    = `left join directory_app_role r on r.directory = a.directory and r.application = a.application and r.id = a.role`
)

// scanAssignment reads an application, the role in it, and the group through which a user has the
// role, if it is assigned through a group.
func scanAssignment(row scanner) (directory.Assignment, error) {
	var a directory.Assignment
	var created int64
	var folded, attributes, sortKey string
	err := row.Scan(&a.Application.ID, &a.Application.Name, &created, &folded, &a.Role.ID, &a.Role.Value, &a.Role.DisplayName, &a.Role.Description, &a.Role.Enabled,
		&a.Through.ObjectID, &attributes, &sortKey)
	if err != nil {
		return a, err
	}
	a.Application.Created, a.Role = fromMicros(created), roleOrDefaultAccess(a.Role)
	if a.Through.ObjectID != "" {
		a.Through.Attributes, err = decodeGroup(attributes)
	}
	return a, err
}

// roleOrDefaultAccess returns the role of an assignment. Default Access has no row; it is stored as
// "".
func roleOrDefaultAccess(r directory.AppRole) directory.AppRole {
	if r.Value == "" {
		return directory.DefaultAccess
	}
	return r
}

// roleForStorage returns the form in which assignments store the id of a role: "" for Default
// Access, otherwise the id.
func roleForStorage(id string) string {
	if id == directory.DefaultAccess.ID {
		return ""
	}
	return id
}

// RolesOf returns the role of each object's direct assignment to an application, by object id.
// Objects without a direct assignment are left out.
func (s Directories) RolesOf(ctx context.Context, d directory.ID, application string, objectIDs []string) (map[string]directory.AppRole, error) {
	roles := map[string]directory.AppRole{}
	err := s.view(ctx, d, func(t directoryTx) error {
		return inBatches(objectIDs, func(batch []string) error {
			_, err := collect(ctx, t.tx, func(row scanner) (id string, err error) {
				var r directory.AppRole
				err = row.Scan(&id, &r.ID, &r.Value, &r.DisplayName, &r.Description, &r.Enabled)
				roles[id] = roleOrDefaultAccess(r)
				return id, err
			}, `
				select a.object_id, a.role, `+roleColumns+`
				from (
					select directory, application, object_id, role from directory_assignment where directory = $1 and application = $2
					union all
					select directory, application, group_id as object_id, role from directory_group_assignment where directory = $1 and application = $2 and gone = 0
				) a
				`+roleJoin+`
				where a.object_id in (`+placeholders(3, len(batch))+`)`, withIDs(batch, t.directory, application)...)
			return err
		})
	})
	return roles, err
}

// Roles returns the app roles that an application defines, ordered by display name.
func (s Directories) Roles(ctx context.Context, d directory.ID, application string) (all []directory.AppRole, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, scanRole, `
			select id, value, display_name, description, enabled
			from directory_app_role
			where directory = $1 and application = $2
			order by display_name, id`, t.directory, application)
		return err
	})
	return all, err
}

// CountRole counts the assignments that have a given role of an application.
func (s Directories) CountRole(ctx context.Context, d directory.ID, application, role string) (n int, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		n, err = t.CountRole(ctx, application, role)
		return err
	})
	return n, err
}

// scanRole reads the columns id, value, display_name, description and enabled of a role.
func scanRole(row scanner) (directory.AppRole, error) {
	var r directory.AppRole
	err := row.Scan(&r.ID, &r.Value, &r.DisplayName, &r.Description, &r.Enabled)
	return r, err
}

func (t directoryTx) Role(ctx context.Context, application, id string) (directory.AppRole, error) {
	r, err := scanRole(t.tx.QueryRow(ctx, `
		select id, value, display_name, description, enabled
		from directory_app_role
		where directory = $1 and application = $2 and id = $3`, t.directory, application, id))
	return r, orNotFound(err, refusal.NotFound)
}

func (t directoryTx) PutRole(ctx context.Context, application string, r directory.AppRole) error {
	var taken bool
	if err := t.tx.QueryRow(ctx, `
		select exists (select 1 from directory_app_role where directory = $1 and application = $2 and value_folded = $3 and id <> $4)`,
		t.directory, application, r.FoldedValue(), r.ID).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return refusal.Taken
	}
	_, err := t.tx.Exec(ctx, `
		insert into directory_app_role (directory, application, id, value, value_folded, display_name, description, enabled)
		values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (directory, application, id) do update set
			value = excluded.value,
			value_folded = excluded.value_folded,
			display_name = excluded.display_name,
			description = excluded.description,
			enabled = excluded.enabled`, t.directory, application, r.ID, r.Value, r.FoldedValue(), r.DisplayName, r.Description, r.Enabled)
	return err
}

func (t directoryTx) DeleteRole(ctx context.Context, application, id string) error {
	_, err := t.tx.Exec(ctx, `
		delete from directory_app_role
		where directory = $1 and application = $2 and id = $3`, t.directory, application, id)
	return err
}

func (t directoryTx) CountRole(ctx context.Context, application, role string) (n int, err error) {
	err = t.tx.QueryRow(ctx, `
		select
			(select count(*) from directory_assignment where directory = $1 and application = $2 and role = $3)
			+ (select count(*) from directory_group_assignment where directory = $1 and application = $2 and role = $3 and gone = 0)`,
		t.directory, application, roleForStorage(role)).Scan(&n)
	return n, err
}

func (t directoryTx) AssignedRole(ctx context.Context, application string, kind directory.Kind, objectID string) (role string, assigned bool, err error) {
	query := `
		select role
		from directory_assignment
		where directory = $1 and application = $2 and object_id = $3`
	if kind == directory.GroupKind {
		query = `
		select role
		from directory_group_assignment
		where directory = $1 and application = $2 and group_id = $3 and gone = 0`
	}
	found, err := collect(ctx, t.tx, scanText, query, t.directory, application, objectID)
	if err != nil || len(found) == 0 {
		return "", false, err
	}
	if found[0] == "" {
		return directory.DefaultAccess.ID, true, nil
	}
	return found[0], true, nil
}

func (t directoryTx) Assign(ctx context.Context, application string, kind directory.Kind, objectID, role string, at time.Time) error {
	query := `
		insert into directory_assignment (directory, application, object_id, created, role)
		values ($1, $2, $3, $4, $5)
		on conflict (directory, application, object_id) do update set role = excluded.role`
	if kind == directory.GroupKind {
		query = `
		insert into directory_group_assignment (directory, application, group_id, created, role, gone)
		values ($1, $2, $3, $4, $5, 0)
		on conflict (directory, application, group_id) do update set
			role = excluded.role,
			created = case when directory_group_assignment.gone > 0 then excluded.created else directory_group_assignment.created end,
			gone = 0`
	}
	_, err := t.tx.Exec(ctx, query, t.directory, application, objectID, micros(at), roleForStorage(role))
	return err
}

func (t directoryTx) Unassign(ctx context.Context, application string, kind directory.Kind, objectID string, at time.Time) (bool, error) {
	if kind == directory.GroupKind {
		return changesRow(ctx, t.tx, `
			update directory_group_assignment
			set gone = $4
			where directory = $1 and application = $2 and group_id = $3 and gone = 0`, t.directory, application, objectID, micros(at))
	}
	return changesRow(ctx, t.tx, `
		delete from directory_assignment
		where directory = $1 and application = $2 and object_id = $3`, t.directory, application, objectID)
}

// maxGroupsReadSingly is the largest number of assigned groups for which a snapshot reads the
// members group by group. With more groups, it reads all memberships in the order of their members.
const maxGroupsReadSingly = 30

// Snapshot returns a page of users with their assignments, ordered by object id. If q.IDsOnly is
// true, it leaves out their attributes and assignments.
func (s Directories) Snapshot(ctx context.Context, d directory.ID, q directory.SnapshotQuery) (all []directory.Object, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		var users []directory.User
		if !q.AssignedOnly {
			users, err = collect(ctx, t.tx, scanUser, `
				select `+snapshotColumns(q)+`
				from directory_user
				where directory = $1 and object_id > $2
				order by object_id
				limit $3`, t.directory, q.After, q.Limit)
		} else {
			users, err = t.assignedUsers(ctx, q)
		}
		if err != nil {
			return err
		}
		if q.IDsOnly {
			all = make([]directory.Object, len(users))
			for i, u := range users {
				all[i].User = u
			}
			return nil
		}
		all, err = t.withAssignments(ctx, q.App, users)
		return err
	})
	return all, err
}

// snapshotColumns returns the columns of users that a snapshot reads.
func snapshotColumns(q directory.SnapshotQuery) string {
	if q.IDsOnly {
		return strings.Replace(userColumns, "attributes", "'{}'", 1)
	}
	return userColumns
}

// Object returns one user with its assignments, or refusal.NotFound.
func (s Directories) Object(ctx context.Context, d directory.ID, application, objectID string) (o directory.Object, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		u, err := t.User(ctx, objectID)
		if err != nil {
			return err
		}
		all, err := t.withAssignments(ctx, application, []directory.User{u})
		if err == nil {
			o = all[0]
		}
		return err
	})
	return o, err
}

// Objects returns the users with these ids, ordered by object id. It leaves out ids that do not
// exist.
func (s Directories) Objects(ctx context.Context, d directory.ID, application string, objectIDs []string) (all []directory.Object, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		all = nil
		return inBatches(objectIDs, func(batch []string) error {
			users, err := collect(ctx, t.tx, scanUser, `
				select `+userColumns+`
				from directory_user
				where directory = $1 and object_id in (`+placeholders(2, len(batch))+`)
				order by object_id`, withIDs(batch, t.directory)...)
			if err != nil || len(users) == 0 {
				return err
			}
			list := placeholders(3, len(batch))
			objects, err := t.withRoles(ctx, users, rolesQuery("in ("+list+")", len(batch) >= manyUsers), withIDs(batch, t.directory, application)...)
			all = append(all, objects...)
			return err
		})
	})
	return all, err
}

// assignedUsers returns the next users that are assigned to the application directly or through a
// group.
func (t directoryTx) assignedUsers(ctx context.Context, q directory.SnapshotQuery) ([]directory.User, error) {
	groups, err := collect(ctx, t.tx, scanText, `
		select a.group_id
		from directory_group_assignment a
		join directory_group g on g.directory = a.directory and g.object_id = a.group_id and g.deleted = 0
		where a.directory = $1 and a.application = $2 and a.gone = 0
		order by a.group_id
		limit $3`, t.directory, q.App, maxGroupsReadSingly+1)
	if err != nil {
		return nil, err
	}
	args := []any{t.directory, q.App, q.After, q.Limit}
	parts := []string{`
			select object_id from (
				select object_id from directory_assignment
				where directory = $1 and application = $2 and object_id > $3
				order by object_id limit $4
			) own`}
	if len(groups) > maxGroupsReadSingly {
		parts = append(parts, `
			select object_id from (
				select distinct m.member as object_id from directory_member m
				where m.directory = $1 and m.member > $3 and m.gone = 0 and m.kind = 'User'
				and exists (select 1 from directory_group_assignment a where a.directory = m.directory and a.application = $2 and a.group_id = m.group_id and a.gone = 0)
				and exists (select 1 from directory_group g where g.directory = m.directory and g.object_id = m.group_id and g.deleted = 0)
				order by m.member limit $4
			) through`)
		groups = nil
	}
	for _, g := range groups {
		args = append(args, g)
		parts = append(parts, `
			select object_id from (
				select member as object_id from directory_member
				where directory = $1 and group_id = `+placeholders(len(args), 1)+` and member > $3 and gone = 0 and kind = 'User'
				order by member limit $4
			) through`)
	}
	return collect(ctx, t.tx, scanUser, `
		select `+snapshotColumns(q)+`
		from directory_user
		where directory = $1 and object_id in (
			select object_id from (`+strings.Join(parts, " union ")+`) found order by object_id limit $4
		)
		order by object_id`, args...)
}

// withAssignments adds to each user the assignments to the application. The users must be ordered
// by object id.
func (t directoryTx) withAssignments(ctx context.Context, application string, users []directory.User) ([]directory.Object, error) {
	if len(users) == 0 {
		return nil, nil
	}
	return t.withRoles(ctx, users, rolesQuery("between $3 and $4", len(users) >= manyUsers),
		t.directory, application, users[0].ObjectID, users[len(users)-1].ObjectID)
}

// withRoles adds to each user the assignments that a query reads. query is a result of rolesQuery.
func (t directoryTx) withRoles(ctx context.Context, users []directory.User, query string, args ...any) ([]directory.Object, error) {
	type assigned struct {
		objectID string
		role     directory.AppRole
	}
	found, err := collect(ctx, t.tx, func(row scanner) (a assigned, err error) {
		err = row.Scan(&a.objectID, &a.role.ID, &a.role.Value, &a.role.DisplayName, &a.role.Description, &a.role.Enabled)
		return a, err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	roles := map[string]map[string]directory.AppRole{}
	for _, a := range found {
		if roles[a.objectID] == nil {
			roles[a.objectID] = map[string]directory.AppRole{}
		}
		if a.role.Value != "" {
			roles[a.objectID][a.role.ID] = a.role
		}
	}
	all := make([]directory.Object, len(users))
	for i, u := range users {
		own, has := roles[u.ObjectID]
		all[i] = directory.Object{User: u, Assigned: has}
		if len(own) > 0 {
			all[i].Roles = slices.SortedFunc(maps.Values(own), func(a, b directory.AppRole) int { return strings.Compare(a.FoldedValue(), b.FoldedValue()) })
		}
	}
	return all, nil
}

// manyUsers is the smallest number of users for which a query begins with all groups that are
// assigned to the application. For fewer users, it begins with the groups of each user.
const manyUsers = 30

// rolesQuery returns a query for the assignments of users, directly and through groups. users is an
// SQL condition for their ids. many says whether there are at least manyUsers. SQLite runs a cross
// join in the written order. Because of the operator ||, SQLite cannot look up memberships by
// group, so it looks up the memberships of each user.
func rolesQuery(users string, many bool) string {
	own := `
		select a.object_id, a.role, ` + roleColumns + `
		from directory_assignment a
		` + roleJoin + `
		where a.directory = $1 and a.application = $2 and a.object_id ` + users
	through := `
		m.directory = $1 and m.member ` + users + ` and m.gone = 0 and m.kind = 'User'`
	if !many {
		return own + `
		union all
		select m.member, a.role, ` + roleColumns + `
		from directory_member m
		cross join directory_group_assignment a
		cross join directory_group g
		` + roleJoin + `
		where ` + through + ` and a.directory = m.directory and a.application = $2 and a.group_id = m.group_id and a.gone = 0
			and g.directory = m.directory and g.object_id = m.group_id and g.deleted = 0`
	}
	assigned := `
			select a.group_id
			from directory_group_assignment a
			join directory_group g on g.directory = a.directory and g.object_id = a.group_id and g.deleted = 0
			where a.directory = $1 and a.application = $2 and a.gone = 0`
	return own + `
		union all
		select u.object_id, '', '', '', '', false
		from directory_user u
		where u.directory = $1 and u.object_id ` + users + ` and exists (
			select 1
			from directory_member m
			where m.directory = $1 and m.member = u.object_id and m.gone = 0 and m.kind = 'User' and m.group_id || '' in (` + assigned + `))
		union all
		select m.member, a.role, ` + roleColumns + `
		from directory_member m
		cross join directory_group_assignment a
		` + roleJoin + `
		where ` + through + ` and m.group_id || '' in (` + assigned + ` and a.role <> '')
			and a.directory = m.directory and a.application = $2 and a.group_id = m.group_id`
}

// WasAssigned reports whether a group is assigned to an application, or was assigned to it earlier.
func (s Directories) WasAssigned(ctx context.Context, d directory.ID, application, group string) (was bool, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		return t.tx.QueryRow(ctx, `
			select exists (select 1 from directory_group_assignment where directory = $1 and application = $2 and group_id = $3)`,
			t.directory, application, group).Scan(&was)
	})
	return was, err
}

// AffectedUsers returns the ids of the users that a change of a group or role affects, ordered by
// id. For a group, these are its members, and users that were members earlier. If role is set, they
// are the users with that role.
func (s Directories) AffectedUsers(ctx context.Context, d directory.ID, application, group, role, after string, limit int) (ids []string, err error) {
	query, args := `
		select member
		from directory_member
		where directory = $1 and group_id = $2 and member > $3 and kind = 'User'
		order by member
		limit $4`, []any{string(d), group, after, limit}
	if role != "" {
		query, args = `
			select object_id from (
				select object_id from directory_assignment
				where directory = $1 and application = $2 and role = $3 and object_id > $4
				union
				select m.member as object_id
				from directory_group_assignment a
				join directory_member m on m.directory = a.directory and m.group_id = a.group_id and m.kind = 'User' and m.member > $4
				where a.directory = $1 and a.application = $2 and a.role = $3
			) found
			order by object_id
			limit $5`, []any{string(d), application, roleForStorage(role), after, limit}
	}
	err = s.view(ctx, d, func(t directoryTx) error {
		ids, err = collect(ctx, t.tx, scanText, query, args...)
		return err
	})
	return ids, err
}
