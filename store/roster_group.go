package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// scanMember reads the id and the kind of a member.
func scanMember(row scanner) (m roster.Member, err error) {
	err = row.Scan(&m.ID, &m.Kind)
	return m, err
}

// Members returns up to limit members of a group, ordered by id, that follow the id after. If named
// is set, it fills in their display names.
func (s Rosters) Members(ctx context.Context, id site.ID, group, after string, limit int, named bool) (members []roster.Member, err error) {
	err = s.DB.Lane(string(id)).Read(ctx, func(tx *sqldb.Tx) error {
		members, err = membersOf(ctx, tx, id, group, after, limit, named)
		return err
	})
	return members, err
}

// membersOf reads members with one query. If named is set, it also reads their display names: most
// of them are in the column display, the others are in the documents of the members.
func membersOf(ctx context.Context, tx *sqldb.Tx, id site.ID, group, after string, limit int, named bool) ([]roster.Member, error) {
	var page memberPage
	dest := []any{&page.ids, &page.kind}
	columns := ""
	if named {
		dest = append(dest, &page.names, &page.doc)
		columns = `, coalesce(m.display, ''), case when m.display is null then coalesce((
			select r.doc
			from resource r
			where r.site = m.site and r.id = m.member and r.display_name <> ''), '') else '' end`
	}
	rows, err := tx.Query(ctx, `
		select m.member, m.member_kind`+columns+`
		from membership m
		where m.site = $1 and m.group_id = $2 and m.member > $3
		order by m.member
		limit $4`, string(id), group, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		if err := page.endRow(); err != nil {
			return nil, err
		}
	}
	return page.members(), rows.Err()
}

// memberPage collects the rows of a page of members. It makes a few allocations for the whole page
// and none for a single member, because a group may have very many.
type memberPage struct {
	ids, names sqldb.Appender // the ids and the display names of all members so far, one after the other
	kind, doc  sqldb.Appender // the kind and the document of the current row
	rows       []memberRow
}

// memberRow is one row of a memberPage. It says where the member's id and display name end.
type memberRow struct {
	kind    scim.TypeName
	idEnd   int // where the member's id ends in memberPage.ids
	nameEnd int // where the member's display name ends in memberPage.names
}

// endRow adds the row that was just scanned.
func (p *memberPage) endRow() error {
	if len(p.doc.Bytes) > 0 {
		begin := 0
		if n := len(p.rows); n > 0 {
			begin = p.rows[n-1].idEnd
		}
		name, err := parseDisplayName(string(p.ids.Bytes[begin:]), p.doc.Bytes)
		if err != nil {
			return err
		}
		p.names.Bytes = append(p.names.Bytes, name...)
	}
	kind := roster.User
	if string(p.kind.Bytes) != string(kind) {
		kind = scim.TypeName(p.kind.Bytes)
	}
	p.rows = append(p.rows, memberRow{kind, len(p.ids.Bytes), len(p.names.Bytes)})
	p.kind.Bytes, p.doc.Bytes = p.kind.Bytes[:0], p.doc.Bytes[:0]
	return nil
}

// members returns the members of all rows.
func (p *memberPage) members() []roster.Member {
	if len(p.rows) == 0 {
		return nil
	}
	list := make([]roster.Member, len(p.rows))
	ids, names := string(p.ids.Bytes), string(p.names.Bytes)
	var idBegin, nameBegin int
	for i, row := range p.rows {
		list[i] = roster.Member{ID: ids[idBegin:row.idEnd], Kind: row.kind, Display: names[nameBegin:row.nameEnd]}
		idBegin, nameBegin = row.idEnd, row.nameEnd
	}
	return list
}

// Memberships returns the groups of each of the members.
func (s Rosters) Memberships(ctx context.Context, id site.ID, members []string) (found map[string][]roster.Membership, err error) {
	if len(members) == 1 {
		groups, err := s.membershipsOfOne(ctx, id, members[0])
		if err != nil || len(groups) == 0 {
			return nil, err
		}
		return map[string][]roster.Membership{members[0]: groups}, nil
	}
	err = s.DB.Lane(string(id)).View(ctx, func(tx *sqldb.Tx) error {
		found, err = membershipsOf(ctx, tx, id, members)
		return err
	})
	return found, err
}

// membershipsOfOne returns the groups of one member. It needs one query and no transaction.
func (s Rosters) membershipsOfOne(ctx context.Context, id site.ID, member string) (groups []roster.Membership, err error) {
	err = s.DB.Lane(string(id)).Read(ctx, func(tx *sqldb.Tx) error {
		groups, err = membershipsOfMember(ctx, tx, id, member)
		return err
	})
	return groups, err
}

// Memberships returns the groups of one member.
func (t rosterTx) Memberships(ctx context.Context, member string) ([]roster.Membership, error) {
	return membershipsOfMember(ctx, t.tx, t.site, member)
}

func membershipsOfMember(ctx context.Context, tx *sqldb.Tx, id site.ID, member string) ([]roster.Membership, error) {
	groups, err := collect(ctx, tx, func(row scanner) (m roster.Membership, err error) {
		var isName bool
		if err = row.Scan(&m.Group, &isName, &m.Display); err == nil && !isName {
			m.Display, err = parseDisplayName(m.Group, []byte(m.Display))
		}
		return m, err
	}, `
		select g.id, g.display is not null, coalesce(g.display, g.doc)
		from membership m
		join resource g on g.site = m.site and g.id = m.group_id
		where m.site = $1 and m.member = $2`, string(id), member)
	sortMemberships(groups)
	return groups, err
}

// GetWithGroups returns a resource's document and the groups that it is a member of, with one
// query. It returns refusal.NotFound if there is no such resource.
func (s Rosters) GetWithGroups(ctx context.Context, id site.ID, kind scim.TypeName, resource string) (doc roster.Document, groups []roster.Membership, err error) {
	err = s.DB.Lane(string(id)).Read(ctx, func(tx *sqldb.Tx) error {
		doc, groups, err = documentWithGroups(ctx, tx, id, kind, resource)
		return err
	})
	sortMemberships(groups)
	return doc, groups, err
}

// documentWithGroups reads a document and its groups with one query, so both kinds of rows have the
// same columns. The row of a group has the version 0. If its position is 0, it has the group's
// displayName in the column of the document. Otherwise it has the document of the group, because
// the displayName is in no column.
func documentWithGroups(ctx context.Context, tx *sqldb.Tx, id site.ID, kind scim.TypeName, resource string) (doc roster.Document, groups []roster.Membership, err error) {
	rows, err := tx.Query(ctx, `
		select r.version, r.created, r.modified, r.doc, r.seq, r.active, ''
		from resource r
		where r.site = $1 and r.kind = $2 and r.id = $3
		union all
		select 0, 0, 0, coalesce(g.display, g.doc), case when g.display is null then 1 else 0 end, false, g.id
		from membership m
		join resource g on g.site = m.site and g.id = m.group_id
		where m.site = $1 and m.member = $3`, string(id), string(kind), resource)
	if err != nil {
		return doc, nil, err
	}
	defer rows.Close()
	var row struct {
		doc               roster.Document
		created, modified int64
		group             string
		dest              [7]any
	}
	row.dest = [7]any{&row.doc.Version, &row.created, &row.modified, &row.doc.JSON, &row.doc.Position, &row.doc.Active, &row.group}
	for rows.Next() {
		if err := rows.Scan(row.dest[:]...); err != nil {
			return doc, nil, err
		}
		if row.doc.Version > 0 {
			doc = row.doc
			doc.ID, doc.Created, doc.Modified = resource, fromMicros(row.created), fromMicros(row.modified)
			continue
		}
		group := roster.Membership{Group: row.group, Display: string(row.doc.JSON)}
		if row.doc.Position > 0 {
			if group.Display, err = parseDisplayName(row.group, row.doc.JSON); err != nil {
				return doc, nil, err
			}
		}
		groups = append(groups, group)
	}
	if err := rows.Err(); err != nil {
		return doc, nil, err
	}
	if doc.ID == "" {
		return doc, nil, refusal.NotFound
	}
	return doc, groups, nil
}

// parseDisplayName returns the displayName in the stored document of the resource with this id.
func parseDisplayName(id string, text []byte) (string, error) {
	doc, err := scim.ParseAttributes(text, []string{"displayName"})
	if err != nil {
		return "", fmt.Errorf("read stored resource %s: %w", id, err)
	}
	return doc.String("displayName"), nil
}

// membershipsOf returns the groups of each of the members. It reads the membership rows from their
// index alone, and each group only once, because most users on a page share their groups.
func membershipsOf(ctx context.Context, tx *sqldb.Tx, id site.ID, members []string) (map[string][]roster.Membership, error) {
	type row struct{ member, group string }
	var rows []row
	groups := map[string]string{} // the names of the groups, by id
	known := stringSet{}
	for _, member := range members {
		known[member] = member
	}
	var member, group sqldb.Appender
	dest := []any{&member, &group}
	err := inBatches(members, func(batch []string) error {
		some, err := collect(ctx, tx, func(from scanner) (row, error) {
			member.Bytes, group.Bytes = member.Bytes[:0], group.Bytes[:0]
			err := from.Scan(dest...)
			return row{known.intern(member.Bytes), known.intern(group.Bytes)}, err
		}, `
			select m.member, m.group_id
			from membership m
			where m.site = $1 and m.member in (`+placeholders(2, len(batch))+`)
			order by m.member, m.group_id`, withIDs(batch, string(id))...)
		for _, r := range some {
			groups[r.group] = ""
		}
		rows = append(rows, some...)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = inBatches(slices.Collect(maps.Keys(groups)), func(batch []string) error {
		docs, err := collect(ctx, tx, newDocumentScan(), `
			select `+documentColumns+`
			from resource r
			where r.site = $1 and r.id in (`+placeholders(2, len(batch))+`)`, withIDs(batch, string(id))...)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			if groups[doc.ID], err = parseDisplayName(doc.ID, doc.JSON); err != nil {
				return err
			}
		}
		return nil
	})
	found := map[string][]roster.Membership{}
	for _, r := range rows {
		found[r.member] = append(found[r.member], roster.Membership{Group: r.group, Display: groups[r.group]})
	}
	return found, err
}

// stringSet holds each of its strings once. It is for columns in which many rows have the same
// string.
type stringSet map[string]string

// intern returns text as a string. Equal texts share one allocation.
func (s stringSet) intern(text []byte) string {
	if known, found := s[string(text)]; found {
		return known
	}
	added := string(text)
	s[added] = added
	return added
}

// sortMemberships sorts by group id. ETags that depend on groups need a fixed order.
func sortMemberships(groups []roster.Membership) {
	slices.SortFunc(groups, func(a, b roster.Membership) int { return strings.Compare(a.Group, b.Group) })
}

func (t rosterTx) Members(ctx context.Context, group, after string, limit int, named bool) ([]roster.Member, error) {
	return membersOf(ctx, t.tx, t.site, group, after, limit, named)
}

// CountMembers counts the members of a group. It stops when the count reaches most. The subquery
// has an "order by" only for PostgreSQL's planner. Without this clause, the planner assumes that
// every group has many members and reads the whole table even for a small group.
func (t rosterTx) CountMembers(ctx context.Context, group string, most int) (n int, err error) {
	err = t.tx.QueryRow(ctx, `
		select count(*)
		from (
			select 1
			from membership m
			where m.site = $1 and m.group_id = $2
			order by m.member
			limit $3
		) found`, string(t.site), group, most).Scan(&n)
	return n, err
}

func (t rosterTx) MemberKinds(ctx context.Context, ids []string) (map[string]scim.TypeName, error) {
	kinds := make(map[string]scim.TypeName, len(ids))
	err := inBatches(ids, func(batch []string) error {
		found, err := collect(ctx, t.tx, scanMember, `
			select r.id, r.kind
			from resource r
			where r.site = $1 and r.kind in ($2, $3) and r.id in (`+placeholders(4, len(batch))+`)
			order by r.id`+t.tx.ForKeyShare(), withIDs(batch, string(t.site), string(roster.User), string(roster.Group))...)
		for _, m := range found {
			kinds[m.ID] = m.Kind
		}
		return err
	})
	return kinds, err
}

// AddMembers copies the display names of the members. MemberKinds has locked the members, so no
// other transaction changes their names meanwhile.
func (t rosterTx) AddMembers(ctx context.Context, group string, members []roster.Member, at time.Time) (added []string, err error) {
	err = inBatches(members, func(batch []roster.Member) error {
		args := []any{string(t.site), group, micros(at)}
		var values []string
		for _, m := range batch {
			n := len(args) + 1
			member := "$" + strconv.Itoa(n)
			values = append(values, "($1, $2, "+member+", $"+strconv.Itoa(n+1)+", $3, (select r.display from resource r where r.site = $1 and r.id = "+member+"))")
			args = append(args, m.ID, string(m.Kind))
		}
		more, err := collect(ctx, t.tx, scanText, `
			insert into membership (site, group_id, member, member_kind, added, display)
			values `+strings.Join(values, ", ")+`
			on conflict (site, group_id, member) do nothing
			returning member`, args...)
		added = append(added, more...)
		return err
	})
	return added, err
}

func (t rosterTx) RemoveMembers(ctx context.Context, group string, ids []string) (removed []string, err error) {
	err = inBatches(ids, func(batch []string) error {
		more, err := collect(ctx, t.tx, scanText, `
			delete from membership
			where site = $1 and group_id = $2 and member in (`+placeholders(3, len(batch))+`)
			returning member`, withIDs(batch, string(t.site), group)...)
		removed = append(removed, more...)
		return err
	})
	return removed, err
}

func (t rosterTx) GroupsWith(ctx context.Context, member string) ([]string, error) {
	return collect(ctx, t.tx, scanText, `
		select m.group_id
		from membership m
		where m.site = $1 and m.member = $2
		order by m.group_id`, string(t.site), member)
}

// cursorKeyName is the name of the row with the key that signs page cursors.
const cursorKeyName = "cursor"

// CursorKey returns the installation's key for signing page cursors. The first call creates it.
func (s Rosters) CursorKey(ctx context.Context) (key []byte, err error) {
	var text string
	read := func(tx *sqldb.Tx) error {
		return orNotFound(tx.QueryRow(ctx, `
			select k.secret
			from signing_key k
			where k.name = $1`, cursorKeyName).Scan(&text), refusal.NotFound)
	}
	err = s.DB.View(ctx, read)
	if errors.Is(err, refusal.NotFound) {
		err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
			var secret [32]byte
			_, _ = rand.Read(secret[:]) // rand.Read never returns an error
			if _, err := tx.Exec(ctx, `
				insert into signing_key (name, secret, created)
				values ($1, $2, $3)
				on conflict (name) do nothing`, cursorKeyName, hex.EncodeToString(secret[:]), micros(tx.Now())); err != nil {
				return err
			}
			return read(tx)
		})
	}
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(text)
}
