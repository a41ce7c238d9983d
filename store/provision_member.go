package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// groupOfMembersID returns the id of a group. id is the id under which the group's memberships are
// on the work list.
func groupOfMembersID(id string) string { return strings.TrimSuffix(id, provision.MembersOf("")) }

// markMemberships records which memberships of a group have changed and must be sent. A new row
// gets the turn 2. Rows that come from reading all members of the group have the turn 1. This shows
// the engine whether a membership has changed since it was read.
func (t jobTx) markMemberships(ctx context.Context, l provision.Listed) error {
	for _, m := range l.Members {
		if err := t.exec(ctx, `
			insert into job_member (directory, app, group_id, member, turn, cause, takes)
			values ($1, $2, $3, $4, 2, $5, $6)
			on conflict (directory, app, group_id, member) do update
			set turn = job_member.turn + 1, cause = excluded.cause, takes = excluded.takes, verdict = 'ready', reason = ''`,
			groupOfMembersID(l.ObjectID), m.Member, m.Cause, boolToInt(m.Takes)); err != nil {
			return err
		}
	}
	return nil
}

// listGroupMembers puts the memberships of groups on the work list. query selects the ids of the
// groups as object_id; args begin at $7.
func (t jobTx) listGroupMembers(ctx context.Context, query string, args ...any) error {
	return t.exec(ctx, `
		insert into job_pending (directory, app, object_id, why, not_before, lane, since)
		select $1, $2, object_id || $3, $4, 0, $5, $6
		from (`+query+`) touched
		where true
		on conflict (directory, app, object_id) do update
		set not_before = 0, turn = job_pending.turn + 1, reason = ''`,
		append([]any{provision.MembersOf(""), string(provision.ByChange), int(provision.Memberships), micros(t.tx.Now())}, args...)...)
}

// applyMembersChange does what the field Members of the outcome asks for. It forgets the
// memberships of the group, makes the engine read all its members again, or does neither.
func (t jobTx) applyMembersChange(ctx context.Context, o provision.Outcome) error {
	switch o.Members {
	case provision.ForgetMembers:
		return t.forgetMembers(ctx, o.ObjectID)
	case provision.ReadNewMembers:
		return t.resendMembers(ctx, o.ObjectID)
	case provision.ReadMembers:
		return t.readMembers(ctx, o.ObjectID, o.Cause)
	case provision.ProveMembers:
		return t.proveMembers(ctx, o.ObjectID, o.Cause)
	}
	return nil
}

// forgetMembers deletes everything that the job remembers about the members of a group.
func (t jobTx) forgetMembers(ctx context.Context, group string) error {
	for _, table := range []string{"job_member", "job_member_read", "job_member_request"} {
		if err := t.exec(ctx, `
			delete from `+table+`
			where directory = $1 and app = $2 and group_id = $3`, group); err != nil {
			return err
		}
	}
	for _, table := range []string{"job_pending", "job_escrow"} {
		if err := t.exec(ctx, `
			delete from `+table+`
			where directory = $1 and app = $2 and object_id = $3`, provision.MembersOf(group)); err != nil {
			return err
		}
	}
	return nil
}

// resendMembers forgets the memberships of a group, and makes the engine read all members from the
// source again and send them.
func (t jobTx) resendMembers(ctx context.Context, group string) error {
	if err := t.forgetMembers(ctx, group); err != nil {
		return err
	}
	return t.readMembers(ctx, group, "")
}

// readMembers makes the engine read all members of a group from the source again. Memberships that
// end because of this reading belong to the cause.
func (t jobTx) readMembers(ctx context.Context, group, cause string) error {
	if err := t.exec(ctx, `
		insert into job_member_read (directory, app, group_id, after, cause)
		values ($1, $2, $3, '', $4)
		on conflict (directory, app, group_id) do update
		set after = '', cause = excluded.cause`, group, cause); err != nil {
		return err
	}
	return t.listGroupMembers(ctx, `
		select cast($7 as text) as object_id`, group)
}

// hasAccount is the SQL condition that the account of a link exists at the target. Only then can
// the account be a member of a group, or the manager of another account.
var hasAccount = "state in ('" + string(provision.Active) + "', '" + string(provision.Held) + "', '" + string(provision.Disabled) + "')"

// checkReference puts the person of a link on the work list if the link's reference, such as the
// manager, must be sent again. sent is the id of the account that was sent as the reference; "" if
// none was. The reference must be sent again if the account of l.Refers has another id now.
func (t jobTx) checkReference(ctx context.Context, l *provision.Link, sent string) error {
	if l.Refers == "" {
		return nil
	}
	return t.listReferences(ctx, `
		select cast($6 as text) as object_id
		where coalesce((
			select target_id
			from job_link
			where directory = $1 and app = $2 and object_id = $7 and `+hasAccount+`), '') <> $8`, l.ObjectID, l.Refers, sent)
}

// listReferences puts people on the work list, so that the engine checks their references, such as
// the manager. query selects the ids of the people as object_id; args begin at $6.
func (t jobTx) listReferences(ctx context.Context, query string, args ...any) error {
	return t.exec(ctx, `
		insert into job_pending (directory, app, object_id, why, not_before, lane, since)
		select $1, $2, object_id, $3, 0, $4, $5
		from (`+query+`) referring
		where true
		on conflict (directory, app, object_id) do update
		set not_before = 0, turn = job_pending.turn + 1, reason = ''`,
		append([]any{string(provision.ByChange), int(provision.References), micros(t.tx.Now())}, args...)...)
}

// isMember returns the SQL condition that a row of job_member is about a member. argument is the
// placeholder of the member's id, such as $3. The condition also compares the last 8 characters
// alone, because the index contains only those.
func isMember(argument string) string {
	return "substr(member, length(member) - 7) = substr(cast(" + argument + " as text), length(cast(" + argument + " as text)) - 7) and member = " + argument
}

// groupsWithMember is a query for the groups of which the object $7 is a remembered member.
var groupsWithMember = `
		select group_id as object_id
		from job_member
		where directory = $1 and app = $2 and ` + isMember("$7")

// recheckMoved calls recheckRelations for the outcome's object if its account was created, removed
// or changed. Before that it remembers the memberships in o.MemberOf. If the object has taken over
// the account of another object, recheckMoved calls recheckRelations for that object, too.
func (t jobTx) recheckMoved(ctx context.Context, o provision.Outcome) error {
	if !o.AccountMoved || t.hasNoRelations {
		return nil
	}
	if o.TakesAccountOf != "" { // the account may still be a member of groups of the other person
		if err := t.recheckRelations(ctx, o.TakesAccountOf, o.Cause, false); err != nil {
			return err
		}
	}
	for _, group := range o.MemberOf {
		if err := t.exec(ctx, `
			insert into job_member (directory, app, group_id, member, turn)
			select $1, $2, $3, $4, 2
			from job_link
			where directory = $1 and app = $2 and object_id = $3
			on conflict do nothing`, group, o.ObjectID); err != nil {
			return err
		}
	}
	return t.recheckRelations(ctx, o.ObjectID, o.Cause, o.SkipsGuard)
}

// recheckRelations makes the engine look again at the memberships of an object, and at the people
// who refer to it, for example as their manager. It puts them on the work list. A membership that
// was done gets the cause. If skipsGuard is true, the guard does not judge memberships that end.
func (t jobTx) recheckRelations(ctx context.Context, objectID, cause string, skipsGuard bool) error {
	if err := t.exec(ctx, `
		update job_member
		set turn = turn + 1,
			cause = case when $4 = 1 then '' when turn = done then $5 else cause end,
			takes = case when $4 = 1 then 1 when turn = done then 0 else takes end,
			verdict = case when $4 = 1 then 'ready' else verdict end,
			reason = case when $4 = 1 then '' else reason end
		where directory = $1 and app = $2 and `+isMember("$3"), objectID, boolToInt(skipsGuard), cause); err != nil {
		return err
	}
	if err := t.listGroupMembers(ctx, groupsWithMember, objectID); err != nil {
		return err
	}
	return t.listReferences(ctx, `
		select object_id
		from job_link
		where directory = $1 and app = $2 and refers = $6 and refers <> ''`, objectID)
}

// Memberships returns up to limit memberships of a group that must be sent. If an announced request
// has no recorded outcome, it sets only w.Announced. If the engine is still reading the group's
// members from the source, it sets only w.Reading, w.After and w.NoneRemembered.
func (s Provisioning) Memberships(ctx context.Context, k provision.Key, group string, limit int) (w provision.MembersWork, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		w = provision.MembersWork{}
		if err := tx.QueryRow(ctx, `
			select exists (
				select 1
				from job_member_request
				where directory = $1 and app = $2 and group_id = $3)`, string(k.Directory), k.App, group).Scan(&w.Announced); err != nil || w.Announced {
			return err
		}
		err := tx.QueryRow(ctx, `
			select after, not exists (
				select 1
				from job_member m
				where m.directory = $1 and m.app = $2 and m.group_id = $3 and m.member > r.after)
			from job_member_read r
			where directory = $1 and app = $2 and group_id = $3`, string(k.Directory), k.App, group).Scan(&w.After, &w.NoneRemembered)
		if err == nil {
			w.Reading = true
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := tx.QueryRow(ctx, `
			select count(*)
			from job_member
			where directory = $1 and app = $2 and group_id = $3 and refused <> '' and turn = done`, string(k.Directory), k.App, group).Scan(&w.Refused); err != nil {
			return err
		}
		if w.Open, err = collect(ctx, tx, scanMembership, `
			select `+membershipColumns+`
			from (
				select *
				from job_member
				where directory = $1 and app = $2 and group_id = $3 and turn <> done and verdict = 'ready'
				order by member
				limit $5) m
			`+membershipLinks+`
			order by m.member`, string(k.Directory), k.App, group, string(provision.UserKind), limit); err != nil || len(w.Open) == 0 {
			return err
		}
		err = tx.QueryRow(ctx, `
			select has
			from job_member
			where directory = $1 and app = $2 and group_id = $3 and turn = done and has <> '' and unsure = false
			limit 1`, string(k.Directory), k.App, group).Scan(&w.Other)
		if errors.Is(err, sql.ErrNoRows) && len(w.Open) == limit {
			// The members of a later page are still in the group, whatever becomes of them.
			err = tx.QueryRow(ctx, `
				select has
				from job_member
				where directory = $1 and app = $2 and group_id = $3 and member > $4 and has <> '' and unsure = false
				order by member
				limit 1`, string(k.Directory), k.App, group, w.Open[len(w.Open)-1].Member).Scan(&w.Other)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return w, err
}

// membershipColumns are the columns that scanMembership reads. m is the table job_member, and
// membershipLinks joins l and o.
const membershipColumns = `m.member, m.has, m.unsure, m.turn, m.cause, m.takes, m.refused, l.target_id, l.state, l.kind, l.name, coalesce(o.object_id, ''),
	m.verdict, m.done`

// membershipLinks joins up to two links to a row m of job_member. l is the link of the member. o is
// the link of another object to the account that the application has acknowledged as the member. $4
// is provision.UserKind.
const membershipLinks = `
	left join job_link l on l.directory = m.directory and l.app = m.app and l.object_id = m.member
	left join job_link o on m.has <> '' and o.directory = m.directory and o.app = m.app and o.kind = $4 and o.target_id = m.has and o.object_id <> m.member`

// MembershipsAfter returns a page of the remembered memberships of a group, ordered by member. It
// begins after the member after. If open is true, it returns only memberships that must be sent or
// that the application refused.
func (s Provisioning) MembershipsAfter(ctx context.Context, k provision.Key, group, after string, limit int, open bool) (all []provision.Membership, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanMembership, `
			select `+membershipColumns+`
			from (
				select *
				from job_member
				where directory = $1 and app = $2 and group_id = $3 and member > $5 and ($6 = 0 or turn <> done or refused <> '')
				order by member
				limit $7) m
			`+membershipLinks+`
			order by m.member`, string(k.Directory), k.App, group, string(provision.UserKind), after, boolToInt(open), limit)
		return err
	})
	return all, err
}

// MembershipsAmong returns the remembered memberships of some members of a group.
func (s Provisioning) MembershipsAmong(ctx context.Context, k provision.Key, group string, members []string) (all []provision.Membership, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return inBatches(members, func(batch []string) error {
			found, err := collect(ctx, tx, scanMembership, `
				select `+membershipColumns+`
				from job_member m
				`+membershipLinks+`
				where m.directory = $1 and m.app = $2 and m.group_id = $3 and m.member in (`+placeholders(5, len(batch))+`)`,
				withIDs(batch, string(k.Directory), k.App, group, string(provision.UserKind))...)
			all = append(all, found...)
			return err
		})
	})
	return all, err
}

// Referring returns the ids of the people whose accounts refer to one of these objects.
func (s Provisioning) Referring(ctx context.Context, k provision.Key, to []string) (ids []string, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		ids = nil
		for _, id := range to {
			found, err := collect(ctx, tx, scanText, `
				select object_id
				from job_link
				where directory = $1 and app = $2 and refers = $3 and refers <> ''
				order by object_id`, string(k.Directory), k.App, id)
			if err != nil {
				return err
			}
			ids = append(ids, found...)
		}
		return nil
	})
	return ids, err
}

// MembershipsOf returns the remembered memberships of a person, ordered by group.
func (s Provisioning) MembershipsOf(ctx context.Context, k provision.Key, member string) (all []provision.RememberedMembership, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanRemembered, `
			select group_id, has <> '', turn <> done, verdict, refused
			from job_member
			where directory = $1 and app = $2 and `+isMember("$3")+`
			order by group_id`, string(k.Directory), k.App, member)
		return err
	})
	return all, err
}

// scanRemembered reads a row of the query of MembershipsOf.
func scanRemembered(row scanner) (m provision.RememberedMembership, err error) {
	err = row.Scan(&m.Group, &m.Sent, &m.Open, &m.Verdict, &m.Refused)
	return m, err
}

// CountMembers counts the memberships of a group that the target has acknowledged, that must be
// sent, and that must be sent again because the target refused them.
func (s Provisioning) CountMembers(ctx context.Context, k provision.Key, group string) (n provision.ExplainedMembers, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select count(case when has <> '' then 1 end), count(case when turn <> done then 1 end), count(case when turn <> done and refused <> '' then 1 end)
			from job_member
			where directory = $1 and app = $2 and group_id = $3`, string(k.Directory), k.App, group).Scan(&n.Sent, &n.Waiting, &n.Refused)
	})
	return n, err
}

// scanMembership reads the membershipColumns of a row.
func scanMembership(row scanner) (provision.Membership, error) {
	var m provision.Membership
	var target, state, kind, name sql.NullString
	var takes int
	var done int64
	if err := row.Scan(&m.Member, &m.AcknowledgedAccount, &m.Unsure, &m.Turn, &m.Cause, &takes, &m.Refused, &target, &state, &kind, &name, &m.Sharer, &m.Verdict, &done); err != nil {
		return m, err
	}
	m.Takes, m.Open = takes != 0, m.Turn != done
	if target.Valid {
		m.Link = &provision.Link{
			ObjectID: m.Member, TargetID: target.String, State: provision.LinkState(state.String), Kind: provision.ObjectKind(kind.String), Name: name.String,
		}
	}
	return m, nil
}

// RecordReadMembers remembers one page of a group's members, as read from the source. The page
// contains the members after the id after, up to the id upTo; "" means that it is the last page.
// The engine evaluates again all remembered members in this range, also those that are not on the
// page. A membership that was done gets the cause of the reading. If there is such a cause, a
// rejected membership gets it too, and is judged again.
func (s Provisioning) RecordReadMembers(ctx context.Context, f provision.Fence, group, after, upTo string, members []string) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		var cause string
		if err := t.tx.QueryRow(ctx, `
			select coalesce(max(cause), '')
			from job_member_read
			where directory = $1 and app = $2 and group_id = $3`, t.directory, t.app, group).Scan(&cause); err != nil {
			return err
		}
		if err := t.exec(ctx, `
			update job_member
			set turn = turn + 1,
				cause = case when turn = done or verdict = 'rejected' and $6 <> '' then $6 else cause end,
				takes = case when turn = done then 0 else takes end,
				reason = case when verdict = 'rejected' and $6 <> '' then '' else reason end,
				verdict = case when verdict = 'rejected' and $6 <> '' then 'ready' else verdict end
			where directory = $1 and app = $2 and group_id = $3 and member > $4 and (member <= $5 or $5 = '')`, group, after, upTo, cause); err != nil {
			return err
		}
		if err := t.rememberMembers(ctx, group, members); err != nil {
			return err
		}
		return t.moveReading(ctx, group, upTo)
	})
}

// moveReading records that the engine has read the group's members up to the id upTo; "" means that
// it has read all of them.
func (t jobTx) moveReading(ctx context.Context, group, upTo string) error {
	if upTo == "" {
		return t.exec(ctx, `
			delete from job_member_read
			where directory = $1 and app = $2 and group_id = $3`, group)
	}
	return t.exec(ctx, `
		update job_member_read
		set after = $4
		where directory = $1 and app = $2 and group_id = $3`, group, upTo)
}

// MemberLinks returns the links of objects, by object id. The links have no ledgers. Objects
// without a link are left out.
func (s Provisioning) MemberLinks(ctx context.Context, k provision.Key, objectIDs []string) (links map[string]*provision.Link, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		links = make(map[string]*provision.Link, len(objectIDs))
		return inBatches(objectIDs, func(batch []string) error {
			found, err := collect(ctx, tx, func(row scanner) (*provision.Link, error) {
				l := &provision.Link{}
				return l, row.Scan(&l.ObjectID, &l.TargetID, &l.State, &l.Kind, &l.Name)
			}, `
				select object_id, target_id, state, kind, name
				from job_link
				where directory = $1 and app = $2 and object_id in (`+placeholders(3, len(batch))+`)`,
				withIDs(batch, string(k.Directory), k.App)...)
			for _, l := range found {
				links[l.ObjectID] = l
			}
			return err
		})
	})
	return links, err
}

// AnnounceMembers records, right before a request is sent, which memberships of a group the request
// changes. The outcome of the request is unknown until Record stores results about the group's
// memberships. The announcement is one row, because a write to the row of each membership would
// take much longer.
func (s Provisioning) AnnounceMembers(ctx context.Context, f provision.Fence, group string, changes []provision.MemberOutcome) error {
	pairs := make([][2]string, len(changes))
	for i, c := range changes {
		pairs[i] = [2]string{c.Member, c.Has}
	}
	text, err := json.Marshal(pairs)
	if err != nil {
		return fmt.Errorf("write the changes of members: %w", err)
	}
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		return t.exec(ctx, `
			insert into job_member_request (directory, app, group_id, changes)
			values ($1, $2, $3, $4)
			on conflict (directory, app, group_id) do update
			set changes = excluded.changes`, group, string(text))
	})
}

// endAnnouncement deletes the announcement that AnnounceMembers stored for a group. Announced
// memberships that are not among the outcomes become unsure.
func (t jobTx) endAnnouncement(ctx context.Context, group string, outcomes []provision.MemberOutcome) error {
	var text string
	err := t.tx.QueryRow(ctx, `
		select changes
		from job_member_request
		where directory = $1 and app = $2 and group_id = $3`, t.directory, t.app, group).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var announced [][2]string
	if err := json.Unmarshal([]byte(text), &announced); err != nil {
		return fmt.Errorf("read the changes of members: %w", err)
	}
	known := make(map[string]bool, len(outcomes))
	for _, o := range outcomes {
		known[o.Member] = true
	}
	announced = slices.DeleteFunc(announced, func(pair [2]string) bool { return known[pair[0]] })
	if err := inBatches(announced, func(batch [][2]string) error {
		args := []any{group}
		for _, pair := range batch {
			args = append(args, pair[0], pair[1])
		}
		return t.exec(ctx, `
			insert into job_member (directory, app, group_id, member, has, unsure, turn)
			select $1, $2, $3, a.column1, a.column2, true, 1
			from (select distinct column1, column2 from (values `+rowsOfPlaceholders(4, len(batch), "text", "text")+`) v) a
			where true
			on conflict (directory, app, group_id, member) do update
			set has = excluded.has, unsure = true, done = 0`, args...)
	}); err != nil {
		return err
	}
	return t.dropAnnouncement(ctx, group)
}

// dropAnnouncement deletes the announcement that AnnounceMembers stored for a group.
func (t jobTx) dropAnnouncement(ctx context.Context, group string) error {
	return t.exec(ctx, `
		delete from job_member_request
		where directory = $1 and app = $2 and group_id = $3`, group)
}

// memberHasAccount is the SQL condition that the object with the id o.column1 has an account.
var memberHasAccount = `exists (
					select 1
					from job_link l
					where l.directory = $1 and l.app = $2 and l.object_id = o.column1 and ` + hasAccount + `)`

// recordNewMembers records one page of a group's members, as read from the source. No member of the
// page was remembered before. m.Outcomes are the members with an account; all of them were sent. If
// the account has changed since, or the membership was listed in the meantime, the membership must
// be sent again. m.Others are the members without an account. recordNewMembers remembers those of
// them that have an account now, or that are on the work list and may get one.
func (t jobTx) recordNewMembers(ctx context.Context, group string, m *provision.MembersRecord) error {
	if err := inBatches(m.Outcomes, func(batch []provision.MemberOutcome) error {
		args := []any{group}
		for _, o := range batch {
			args = append(args, o.Member, o.Has)
		}
		return t.exec(ctx, `
				insert into job_member (directory, app, group_id, member, has, turn, done)
				select $1, $2, $3, o.column1, o.column2, 1, case when exists (
					select 1
					from job_link l
					where l.directory = $1 and l.app = $2 and l.object_id = o.column1 and l.target_id = o.column2 and `+hasAccount+`) then 1 else 0 end
				from (select distinct column1, column2 from (values `+rowsOfPlaceholders(4, len(batch), "text", "text")+`) v) o
				where true
				on conflict (directory, app, group_id, member) do update
				set has = excluded.has, unsure = false, refused = '', done = 0`, args...)
	}); err != nil {
		return err
	}
	if err := inBatches(m.Others, func(batch []string) error {
		return t.exec(ctx, `
				insert into job_member (directory, app, group_id, member, turn, done)
				select $1, $2, $3, o.column1, 1, case when `+memberHasAccount+` then 0 else 1 end
				from (values `+rowsOfPlaceholders(4, len(batch), "text")+`) o
				where `+memberHasAccount+` or exists (
					select 1
					from job_pending p
					where p.directory = $1 and p.app = $2 and p.object_id = o.column1)
				on conflict do nothing`, withIDs(batch, group)...)
	}); err != nil {
		return err
	}
	if err := t.moveReading(ctx, group, m.UpTo); err != nil {
		return err
	}
	if err := t.dropAnnouncement(ctx, group); err != nil {
		return err
	}
	return t.addEntry(ctx, provision.Outcome{ObjectID: group, Entry: m.Entry})
}

// recordMembers stores the outcome of each membership that was sent. A membership that has changed
// in the meantime must still be sent. Announced memberships without an outcome become unsure.
func (t jobTx) recordMembers(ctx context.Context, group string, m *provision.MembersRecord) error {
	if err := t.endAnnouncement(ctx, group, m.Outcomes); err != nil {
		return err
	}
	if err := inBatches(m.Outcomes, func(batch []provision.MemberOutcome) error {
		args := []any{group}
		for _, o := range batch {
			done := o.Turn
			if o.Open {
				done = 0
			}
			args = append(args, o.Member, o.Has, o.Unsure, o.Refused, done)
		}
		return t.exec(ctx, `
				update job_member
				set has = o.column2, unsure = o.column3, refused = o.column4, done = o.column5,
					cause = case when turn = o.column5 then '' else cause end,
					takes = case when turn = o.column5 then 0 else takes end
				from (values `+rowsOfPlaceholders(4, len(batch), "text", "text", "boolean", "text", "bigint")+`) o
				where directory = $1 and app = $2 and group_id = $3 and member = o.column1`, args...)
	}); err != nil {
		return err
	}
	for _, o := range m.Outcomes {
		if o.Has != "" || o.Refused != "" || o.Open {
			continue
		}
		// Keep the row while the member is on the work list: a worker may be creating the member's
		// account. The engine looks at the row again when the account is recorded.
		if err := t.exec(ctx, `
				delete from job_member
				where directory = $1 and app = $2 and group_id = $3 and member = $4 and turn = done and not exists (
					select 1
					from job_pending p
					where p.directory = $1 and p.app = $2 and p.object_id = $4)`, group, o.Member); err != nil {
			return err
		}
	}
	if err := t.recordPlannedChanges(ctx, group, m.Outcomes); err != nil {
		return err
	}
	return t.addEntry(ctx, provision.Outcome{ObjectID: group, Entry: m.Entry})
}

// recordPlannedChanges records the results of those changes that an approved plan lists. The
// approval of the plan counts as an approval of held operations, so a change that was sent is no
// longer on hold.
func (t jobTx) recordPlannedChanges(ctx context.Context, group string, outcomes []provision.MemberOutcome) error {
	var planned []provision.PlannedMemberOutcome
	for _, o := range outcomes {
		if o.Planned.Plan == "" {
			continue
		}
		planned = append(planned, o.Planned)
		if o.Planned.Result != provision.PlanSent {
			continue
		}
		if err := t.exec(ctx, `
			update job_member
			set verdict = 'ready', reason = ''
			where directory = $1 and app = $2 and group_id = $3 and member = $4 and verdict <> 'ready'`, group, o.Member); err != nil {
			return err
		}
	}
	return t.recordPlannedMembers(ctx, planned)
}

// RememberMembers remembers memberships of a group that must be sent. It does not change
// memberships that the job remembers already.
func (s Provisioning) RememberMembers(ctx context.Context, f provision.Fence, group string, members []string) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error { return t.rememberMembers(ctx, group, members) })
}

// rememberMembers does what RememberMembers does, in the caller's transaction.
func (t jobTx) rememberMembers(ctx context.Context, group string, members []string) error {
	return inBatches(members, func(batch []string) error {
		return t.exec(ctx, `
			insert into job_member (directory, app, group_id, member, turn)
			select $1, $2, $3, m.column1, 1
			from (values `+rowsOfPlaceholders(4, len(batch), "text")+`) m
			where true
			on conflict do nothing`, withIDs(batch, group)...)
	})
}

// JudgeMembers gives removals of group members the verdict Ready if they may be sent, and otherwise
// the verdict Late: they wait until the guard decides on their cause. It skips memberships that
// have changed in the meantime.
func (s Provisioning) JudgeMembers(ctx context.Context, f provision.Fence, group string, all []provision.EndingMember) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		for _, m := range all {
			verdict := provision.Late
			if m.Passes {
				verdict, m.Reason = provision.Ready, ""
			}
			if err := t.exec(ctx, `
				update job_member
				set verdict = $6, takes = $7, reason = $8, since = $9
				where directory = $1 and app = $2 and group_id = $3 and member = $4 and turn = $5`,
				group, m.Member, m.Turn, string(verdict), boolToInt(m.Passes), m.Reason, micros(t.tx.Now())); err != nil {
				return err
			}
		}
		return nil
	})
}

// RetryMembers makes the engine send again the memberships of a group that the application refused.
func (s Provisioning) RetryMembers(ctx context.Context, f provision.Fence, group string) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		return t.exec(ctx, `
			update job_member
			set turn = turn + 1
			where directory = $1 and app = $2 and group_id = $3 and refused <> '' and turn = done`, group)
	})
}

// MarkGroupMissed records that the application no longer has the account of an object. The object
// is a group or a member of a group. MarkGroupMissed puts it on the work list.
func (s Provisioning) MarkGroupMissed(ctx context.Context, f provision.Fence, group string) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		if err := t.exec(ctx, `
			update job_link
			set state = $4
			where directory = $1 and app = $2 and object_id = $3 and state = $5`, group, string(provision.Missed), string(provision.Active)); err != nil {
			return err
		}
		return t.makeDue(ctx, `
			select object_id
			from job_link
			where directory = $1 and app = $2 and object_id = $3`, group)
	})
}

// MarkMembersLost records that the application may have lost the members of a group. The engine
// then reads all members from the source again and sends them again. The job also remembers the
// memberships that must end: the application may still have such a member, for example because the
// guard holds its removal.
func (s Provisioning) MarkMembersLost(ctx context.Context, f provision.Fence, group string) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error { return t.proveMembers(ctx, group, "") })
}

// proveMembers makes the engine read all members of a group from the source again and send all of
// them. It is used if nobody knows which of them the application has.
func (t jobTx) proveMembers(ctx context.Context, group, cause string) error {
	if err := t.exec(ctx, `
		update job_member
		set unsure = true
		where directory = $1 and app = $2 and group_id = $3`, group); err != nil {
		return err
	}
	return t.readMembers(ctx, group, cause)
}
