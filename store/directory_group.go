package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// groupColumns are the columns of a group that scanGroup reads.
const groupColumns = `g.object_id, g.deleted, g.version, g.created, g.modified, g.attributes`

// Group returns a group, soft-deleted or not, or refusal.NotFound.
func (s Directories) Group(ctx context.Context, d directory.ID, objectID string) (g directory.Group, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		g, err = t.Group(ctx, objectID)
		return err
	})
	return g, err
}

// maxSameNameGroups is the largest number of groups in a list of groups with the same name.
const maxSameNameGroups = 100

// GroupsNamed returns the first groups with this sort key, which comes from the name. It returns
// soft-deleted groups if deleted is true, and otherwise only groups that are not deleted.
func (s Directories) GroupsNamed(ctx context.Context, d directory.ID, sortKey string, deleted bool) (all []directory.Group, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, scanGroup, `
			select `+groupColumns+`
			from directory_group g
			where g.directory = $1 and g.sort_key = $2 and g.purged = 0 and (g.deleted > 0) = $3
			order by g.object_id
			limit $4`, t.directory, sortKey, deleted, maxSameNameGroups)
		return err
	})
	return all, err
}

// GroupsLookingLike returns the first groups that have the look key look and are not deleted.
// Groups have the same look key if their names look the same to a reader, for example if one name
// has a Cyrillic letter in place of a Latin letter.
func (s Directories) GroupsLookingLike(ctx context.Context, d directory.ID, look string) (all []directory.Group, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, scanGroup, `
			select `+groupColumns+`
			from directory_group g
			where g.directory = $1 and g.look = $2 and g.deleted = 0
			order by g.object_id
			limit $3`, t.directory, look, maxSameNameGroups)
		return err
	})
	return all, err
}

// Groups returns groups, ordered by sort key and object id.
func (s Directories) Groups(ctx context.Context, d directory.ID, q directory.GroupQuery) (all []directory.Group, err error) {
	query, args := groupQuery(d, q)
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, scanGroup, "select "+groupColumns+query+`
			order by g.sort_key, g.object_id
			limit $`+strconv.Itoa(len(args)+1), append(args, q.Limit)...)
		return err
	})
	return all, err
}

// CountGroups counts the groups that a query selects. It ignores the query's After and Limit.
func (s Directories) CountGroups(ctx context.Context, d directory.ID, q directory.GroupQuery) (n int, err error) {
	q.After = directory.Cursor{}
	query, args := groupQuery(d, q)
	err = s.view(ctx, d, func(t directoryTx) error {
		return t.tx.QueryRow(ctx, "select count(*)"+query, args...).Scan(&n)
	})
	return n, err
}

// groupQuery builds the SQL query for a GroupQuery, without columns and order. It passes all values
// from requests as arguments, never in the SQL text.
func groupQuery(d directory.ID, q directory.GroupQuery) (string, []any) {
	args := []any{string(d), q.After.Key, q.After.ObjectID}
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var b strings.Builder
	b.WriteString(`
		from directory_group g
		where g.directory = $1
		and (g.sort_key, g.object_id) > ($2, $3)`)
	if q.Deleted {
		b.WriteString(" and g.deleted > 0 and g.purged = 0")
	} else {
		b.WriteString(" and g.deleted = 0")
	}
	for word := range strings.FieldsSeq(q.Search) {
		b.WriteString(" and g.search_text like " + bind("%"+escapeLike(word)+"%") + ` escape '\'`)
	}
	if q.HasMember != "" {
		b.WriteString(" and g.object_id in (select group_id from directory_member where directory = $1 and member = " + bind(q.HasMember) + " and gone = 0)")
	}
	assigned := " (select group_id from directory_group_assignment where directory = $1 and gone = 0 and application = "
	if q.AssignedTo != "" {
		b.WriteString(" and g.object_id in" + assigned + bind(q.AssignedTo) + ")")
	}
	if q.NotAssignedTo != "" {
		b.WriteString(" and g.object_id not in" + assigned + bind(q.NotAssignedTo) + ")")
	}
	if q.NotMemberOf != "" {
		group := bind(q.NotMemberOf)
		b.WriteString(" and g.object_id <> " + group + " and not exists (select 1 from directory_member m where m.directory = $1 and m.group_id = " + group + " and m.gone = 0 and m.member = g.object_id" + runForEachRow + ")")
	}
	return b.String(), args
}

// runForEachRow is appended to a subquery that must run once for each row. Otherwise PostgreSQL
// would turn the subquery into a join. While it has no statistics of the table, that join would
// compare each row with each member.
const runForEachRow = " limit 1 offset 0"

// maxMembersSorted is the largest number of members that a query reads and sorts to make a page. In
// a larger group, the page is read in the order of the directory's list.
const maxMembersSorted = 2_000

// Members returns the next users and the next groups of a group, each ordered by sort key and
// object id.
func (s Directories) Members(ctx context.Context, d directory.ID, group string, q directory.MemberQuery) (all []directory.Member, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		var n int
		if err := t.tx.QueryRow(ctx, `
			select count(*) from (select 1 from directory_member where directory = $1 and group_id = $2 limit $3) few`,
			t.directory, group, maxMembersSorted+1).Scan(&n); err != nil {
			return err
		}
		for _, kind := range []directory.Kind{directory.UserKind, directory.GroupKind} {
			if q.Kind != "" && q.Kind != kind {
				continue
			}
			query, args := memberQuery(d, group, kind, q, n <= maxMembersSorted)
			if kind == directory.UserKind {
				users, err := collect(ctx, t.tx, scanUser, query, args...)
				if err != nil {
					return err
				}
				for _, u := range users {
					all = append(all, directory.Member{Kind: kind, User: u})
				}
				continue
			}
			groups, err := collect(ctx, t.tx, scanGroup, query, args...)
			if err != nil {
				return err
			}
			for _, g := range groups {
				all = append(all, directory.Member{Kind: kind, Group: g})
			}
		}
		return nil
	})
	return all, err
}

// memberQuery builds the query for one kind of members. If membersFirst is true, the query reads
// the members and sorts them. Otherwise the query reads the directory's list in order, and looks up
// each row among the members until the page is full. SQLite runs a cross join in the written order.
func memberQuery(d directory.ID, group string, kind directory.Kind, q directory.MemberQuery, membersFirst bool) (string, []any) {
	args := []any{string(d), q.After.Key, q.After.ObjectID, group, string(kind)}
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	table, columns := "directory_user", "g."+strings.ReplaceAll(userColumns, ", ", ", g.")
	if kind == directory.GroupKind {
		table, columns = "directory_group", groupColumns
	}
	const member = "m.directory = $1 and m.group_id = $4 and m.member = g.object_id and m.gone = 0 and m.kind = $5"
	var b strings.Builder
	if membersFirst {
		b.WriteString("select " + columns + " from directory_member m cross join " + table + " g where " + member + " and ")
	} else {
		b.WriteString("select " + columns + " from " + table + " g where exists (select 1 from directory_member m where " + member + runForEachRow + ") and ")
	}
	b.WriteString("g.directory = $1 and (g.sort_key, g.object_id) > ($2, $3) and g.deleted = 0")
	for word := range strings.FieldsSeq(q.Search) {
		b.WriteString(" and g.search_text like " + bind("%"+escapeLike(word)+"%") + ` escape '\'`)
	}
	b.WriteString(`
		order by g.sort_key, g.object_id
		limit ` + bind(q.Limit))
	return b.String(), args
}

// CountMembers counts the members of a group that are not deleted, by kind. It subtracts the
// deleted members from all members. In a small group, it looks up each member to find the deleted
// ones. For a large group, it begins with all deleted objects of the directory; see
// countAssignments.
func (s Directories) CountMembers(ctx context.Context, d directory.ID, group string) (c directory.MemberCounts, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		if err := t.tx.QueryRow(ctx, `
			select count(*) filter (where kind = 'User'), count(*) filter (where kind = 'Group')
			from directory_member
			where directory = $1 and group_id = $2 and gone = 0`, t.directory, group).Scan(&c.Users, &c.Groups); err != nil {
			return err
		}
		var users, groups int
		err := t.tx.QueryRow(ctx, `
			select (
				select count(*)
				from `+deletedMembers("directory_user", c.Users <= maxMembersSorted)+`
			), (
				select count(*)
				from `+deletedMembers("directory_group", c.Groups <= maxMembersSorted)+`
			)`, t.directory, group).Scan(&users, &groups)
		c.Users, c.Groups = c.Users-users, c.Groups-groups
		return err
	})
	return c, err
}

// deletedMembers returns the SQL join that selects the deleted members of a group. SQLite runs a
// cross join in the written order.
func deletedMembers(table string, membersFirst bool) string {
	from := table + " g cross join directory_member m"
	if membersFirst {
		from = "directory_member m cross join " + table + " g"
	}
	return from + `
				where g.directory = $1 and g.deleted > 0
				and m.directory = $1 and m.group_id = $2 and m.member = g.object_id and m.gone = 0`
}

// MemberIDs returns the next members of a group, ordered by object id. It leaves out soft-deleted
// members.
func (s Directories) MemberIDs(ctx context.Context, d directory.ID, group, after string, limit int) (all []directory.Edge, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, func(row scanner) (directory.Edge, error) {
			e := directory.Edge{Group: group, Present: true}
			return e, row.Scan(&e.Member, &e.Kind)
		}, `
			select m.member, m.kind
			from directory_member m
			where m.directory = $1 and m.group_id = $2 and m.member > $3 and m.gone = 0
			and not exists (select 1 from directory_user u where u.directory = $1 and u.object_id = m.member and u.deleted > 0`+runForEachRow+`)
			and not exists (select 1 from directory_group g where g.directory = $1 and g.object_id = m.member and g.deleted > 0`+runForEachRow+`)
			order by m.member
			limit $4`, t.directory, group, after, limit)
		return err
	})
	return all, err
}

// MembersAmong returns which of the given objects are direct members of a group, each with its
// kind. It leaves out soft-deleted members.
func (s Directories) MembersAmong(ctx context.Context, d directory.ID, group string, objectIDs []string) (among map[string]directory.Kind, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		among = make(map[string]directory.Kind, len(objectIDs))
		return inBatches(objectIDs, func(batch []string) error {
			_, err := collect(ctx, t.tx, func(row scanner) (id string, err error) {
				var kind directory.Kind
				err = row.Scan(&id, &kind)
				among[id] = kind
				return id, err
			}, `
				select m.member, m.kind
				from directory_member m
				where m.directory = $1 and m.group_id = $2 and m.member in (`+placeholders(3, len(batch))+`) and m.gone = 0
				and not exists (select 1 from directory_user u where m.kind = 'User' and u.directory = $1 and u.object_id = m.member and u.deleted > 0)
				and not exists (select 1 from directory_group g where m.kind = 'Group' and g.directory = $1 and g.object_id = m.member and g.deleted > 0)`,
				withIDs(batch, t.directory, group)...)
			return err
		})
	})
	return among, err
}

// GroupsWith returns the groups that an object is a direct member of, ordered by object id.
func (s Directories) GroupsWith(ctx context.Context, d directory.ID, objectID string) (ids []string, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		ids, err = collect(ctx, tx, scanText, `
			select group_id
			from directory_member
			where directory = $1 and member = $2 and gone = 0
			order by group_id`, string(d), objectID)
		return err
	})
	return ids, err
}

// These are two parts of a query for groups with their assignment to the application $2. Between
// them, the caller puts "join" for assigned groups only, or "left join" for all groups.
const (
	groupObjectColumns = `
			select ` + groupColumns + `, coalesce(a.created, 0)
			from directory_group g
			`
	groupObjectJoin = ` directory_group_assignment a on a.directory = g.directory and a.application = $2 and a.group_id = g.object_id and a.gone = 0
			where g.directory = $1 and g.purged = 0`
)

// GroupSnapshot returns groups with their assignment to an application, ordered by object id.
func (s Directories) GroupSnapshot(ctx context.Context, d directory.ID, q directory.SnapshotQuery) (all []directory.GroupObject, err error) {
	join := "left join"
	if q.AssignedOnly {
		join = "join"
	}
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, scanGroupObject, groupObjectColumns+join+groupObjectJoin+`
			and g.object_id > $3
			order by g.object_id
			limit $4`, t.directory, q.App, q.After, q.Limit)
		return err
	})
	return all, err
}

// GroupObject returns one group with its assignment, or refusal.NotFound.
func (s Directories) GroupObject(ctx context.Context, d directory.ID, application, objectID string) (o directory.GroupObject, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		o, err = scanGroupObject(t.tx.QueryRow(ctx, groupObjectColumns+"left join"+groupObjectJoin+`
			and g.object_id = $3`, t.directory, application, objectID))
		return orNotFound(err, refusal.NotFound)
	})
	return o, err
}

func (t directoryTx) Group(ctx context.Context, objectID string) (directory.Group, error) {
	g, err := scanGroup(t.tx.QueryRow(ctx, `
		select `+groupColumns+`
		from directory_group g
		where g.directory = $1 and g.object_id = $2 and g.purged = 0`, t.directory, objectID))
	return g, orNotFound(err, refusal.NotFound)
}

func (t directoryTx) PutGroup(ctx context.Context, g directory.Group) error {
	attributes, err := json.Marshal(g.Attributes)
	if err != nil {
		return fmt.Errorf("encode group %s: %w", g.ObjectID, err)
	}
	_, err = t.tx.Exec(ctx, `
		insert into directory_group (directory, object_id, sort_key, search_text, look, deleted, purged, version, created, modified, attributes)
		values ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)
		on conflict (directory, object_id) do update set
			sort_key = excluded.sort_key,
			search_text = excluded.search_text,
			look = excluded.look,
			deleted = excluded.deleted,
			version = excluded.version,
			modified = excluded.modified,
			attributes = excluded.attributes`,
		t.directory, g.ObjectID, g.SortKey(), g.SearchText(), g.LookKey(), micros(g.Deleted), g.Version, micros(g.Created), micros(g.Modified), string(attributes))
	return err
}

func (t directoryTx) PurgeGroup(ctx context.Context, objectID string, at time.Time) error {
	_, err := t.tx.Exec(ctx, `
		update directory_group
		set purged = $3, sort_key = '', search_text = '', look = '', attributes = '{}'
		where directory = $1 and object_id = $2`, t.directory, objectID, micros(at))
	return err
}

func (t directoryTx) ObjectExists(ctx context.Context, objectID string) (used bool, err error) {
	err = t.tx.QueryRow(ctx, `
		select exists (select 1 from directory_user where directory = $1 and object_id = $2)
			or exists (select 1 from directory_group where directory = $1 and object_id = $2)`, t.directory, objectID).Scan(&used)
	return used, err
}

func (t directoryTx) GroupsOf(ctx context.Context, objectID string) ([]directory.Group, error) {
	return collect(ctx, t.tx, scanGroup, `
		select `+groupColumns+`
		from directory_member m
		join directory_group g on g.directory = m.directory and g.object_id = m.group_id and g.purged = 0
		where m.directory = $1 and m.member = $2 and m.gone = 0
		order by g.object_id`, t.directory, objectID)
}

func (t directoryTx) AddMember(ctx context.Context, group string, kind directory.Kind, member string, at time.Time) (bool, error) {
	return changesRow(ctx, t.tx, `
		insert into directory_member (directory, group_id, member, kind, created, gone)
		values ($1, $2, $3, $4, $5, 0)
		on conflict (directory, group_id, member) do update set created = excluded.created, gone = 0
		where directory_member.gone > 0`, t.directory, group, member, string(kind), micros(at))
}

func (t directoryTx) RemoveMember(ctx context.Context, group, member string, at time.Time) (bool, error) {
	return changesRow(ctx, t.tx, `
		update directory_member
		set gone = $4
		where directory = $1 and group_id = $2 and member = $3 and gone = 0`, t.directory, group, member, micros(at))
}

// groupRow is a row in the order of groupColumns.
type groupRow struct {
	objectID                            string
	deleted, version, created, modified int64
	attributes                          string
}

// fields returns pointers to the fields, in the order of groupColumns.
func (r *groupRow) fields() []any {
	return []any{&r.objectID, &r.deleted, &r.version, &r.created, &r.modified, &r.attributes}
}

// group returns the group that the row stores.
func (r *groupRow) group() (directory.Group, error) {
	attributes, err := decodeGroup(r.attributes)
	if err != nil {
		return directory.Group{}, fmt.Errorf("decode group %s: %w", r.objectID, err)
	}
	return directory.Group{
		ObjectID: r.objectID, Attributes: attributes, Version: r.version,
		Deleted: fromMicros(r.deleted), Created: fromMicros(r.created), Modified: fromMicros(r.modified),
	}, nil
}

// decodeGroup decodes the stored attributes of a group.
func decodeGroup(text string) (map[string]string, error) {
	attributes := map[string]string{}
	err := json.Unmarshal([]byte(text), &attributes)
	return attributes, err
}

// scanGroup reads the groupColumns of a row.
func scanGroup(row scanner) (directory.Group, error) {
	var r groupRow
	if err := row.Scan(r.fields()...); err != nil {
		return directory.Group{}, err
	}
	return r.group()
}

// scanGroupObject reads groupColumns and the time of the group's assignment, which is 0 if it is
// not assigned.
func scanGroupObject(row scanner) (directory.GroupObject, error) {
	var r groupRow
	var assigned int64
	if err := row.Scan(append(r.fields(), &assigned)...); err != nil {
		return directory.GroupObject{}, err
	}
	g, err := r.group()
	return directory.GroupObject{Group: g, Assigned: assigned != 0}, err
}
