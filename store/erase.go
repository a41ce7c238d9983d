package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Erasures implements erasure.Store.
type Erasures struct{ DB *DB }

// accountTables returns the tables that contain accounts and settings. Scrub does not search them
// for the person's data: the person's rows are deleted with the account, and the same values in
// other rows belong to other people.
func accountTables() []string {
	return []string{"resource_value", "resource_unique", "resource_count", "membership", "identity", "saml_connection", "value_index", "directory_user", "directory_group", "directory_member", "directory_group_assignment", "directory_app_role", "directory_application", "job", "job_state"}
}

// keptColumns returns the text columns that Scrub does not change, by table. They contain settings
// and words of Rollcall itself, such as states. A person may have such a word as a name, for
// example Held.
func keptColumns() map[string][]string {
	return map[string][]string{
		"webhook":                {"url", "topics", "secret", "old_secret", "form"},
		"webhook_delivery":       {"event", "about", "state"},
		"notification_recipient": {"topics"},
		"notification_message":   {"event", "about"},
		"job_plan":               {"hash", "state", "settings"},
		"job_plan_object":        {"outcome", "result", "fingerprint", "bare", "guard_verdict", "guard_cause"},
		"job_plan_member":        {"outcome"},
		"job_discovery":          {"state"},
		"job_discovered":         {"class", "change"},
	}
}

// personColumns returns the names of columns that identify the person of a row.
func personColumns() []string {
	return []string{"person", "subject", "object_id", "resource", "member"}
}

// textTable is a table with text that Scrub searches for a person's data.
type textTable struct {
	ownedTable
	columns      []string // text columns outside the key
	personColumn string   // the column that identifies the person of a row; "" if there is none
}

// textTables returns the tables of a site or directory that Scrub searches. It takes the names of
// tables and columns from the database's catalog, so that a new table is not forgotten.
func (s Erasures) textTables(ctx context.Context, scope event.Scope) ([]textTable, error) {
	owned, err := Retention(s).tablesOf(ctx, removal{kind: scope.Kind, owner: scope.ID})
	if err != nil {
		return nil, err
	}
	owned = append(owned, ownedTable{
		name: "event", where: "scope_kind = $1 and scope_id = $2", ids: []any{scope.Kind, scope.ID}, key: []keyColumn{{"tx", true}, {"seq", true}},
	})
	texts := map[string][]string{}
	if err := s.DB.View(ctx, func(tx *sqldb.Tx) error {
		_, err := collect(ctx, tx, func(row scanner) (table string, err error) {
			var column string
			err = row.Scan(&table, &column)
			texts[table] = append(texts[table], column)
			return table, err
		}, tx.TextColumns())
		return err
	}); err != nil {
		return nil, err
	}
	var tables []textTable
	for _, o := range owned {
		if slices.Contains(accountTables(), o.name) {
			continue
		}
		t := textTable{ownedTable: o}
		key := map[string]bool{scope.Kind: true, "scope_kind": true, "scope_id": true}
		for _, c := range o.key {
			key[c.name] = true
		}
		for _, column := range texts[o.name] {
			if slices.Contains(keptColumns()[o.name], column) {
				continue
			}
			if slices.Contains(personColumns(), column) {
				t.personColumn = column
			}
			if !key[column] && (o.name != "resource" || strings.HasSuffix(column, "_by") || column == "last_text") {
				t.columns = append(t.columns, column)
			}
		}
		if o.name == "resource" {
			t.personColumn = "" // the person's own row is deleted with the account
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// textRow is one row of a textTable.
type textRow struct {
	key    []any             // the values of the key columns, without the owner's ids
	person string            // the value of the table's personColumn; "" if the table has none
	texts  map[string]string // the values of the text columns, by column
}

// walkTable reads the rows of a table, up to walkRows at a time, and passes them to visit. from is
// an SQL condition on the rows, in which %d stands for the number of the first of args; "" if
// walkTable reads all rows.
func (s Erasures) walkTable(ctx context.Context, work *sqldb.Slicer, t textTable, from string, args []any, visit func([]textRow) error) error {
	var after []any
	for {
		condition, bound := t.conditionAfter(after)
		if from != "" {
			condition += fmt.Sprintf(" and "+from, len(bound)+1)
			bound = append(bound, args...)
		}
		columns := append([]string{}, t.columns...)
		if t.personColumn != "" {
			columns = append(columns, t.personColumn)
		}
		names := t.keyNames()
		if len(columns) > 0 {
			names = strings.Join(append([]string{names}, columns...), ", ")
		}
		query := fmt.Sprintf("select %s from %s where %s order by %s limit %d", names, t.name, condition, t.keyNames(), walkRows)
		var rows []textRow
		err := work.Lane().View(ctx, func(tx *sqldb.Tx) (err error) {
			rows, err = collect(ctx, tx, func(row scanner) (textRow, error) {
				r := textRow{texts: map[string]string{}}
				to, keys := t.keyScan()
				values := make([]string, len(columns))
				for i := range values {
					to = append(to, &values[i])
				}
				if err := row.Scan(to...); err != nil {
					return r, err
				}
				r.key = keys()
				for i, column := range columns {
					if i == len(t.columns) {
						r.person = values[i]
					} else {
						r.texts[column] = values[i]
					}
				}
				return r, nil
			}, query, bound...)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].key
		if err := visit(rows); err != nil {
			return err
		}
		if len(rows) < walkRows {
			return nil
		}
	}
}

// walkRows is the number of rows that walkTable reads at a time.
const walkRows = 1_000

// Scrub removes the person's data from all tables that textTables returns. In the logs, it searches
// only entries since the given time. It returns how many rows it changed.
func (s Erasures) Scrub(ctx context.Context, scope event.Scope, p erasure.Person, since time.Time) (changed int, err error) {
	tables, err := s.textTables(ctx, scope)
	if err != nil {
		return 0, err
	}
	work := s.DB.Slicer(time.Time{})
	for _, t := range tables {
		from, args := "", []any(nil)
		if t.name == "request_log" || t.name == "event" || t.name == "provisioning_log" {
			from, args = "time >= $%d", []any{micros(since)}
		}
		err := s.walkTable(ctx, work, t, from, args, func(rows []textRow) error {
			var updates []textRow
			for _, r := range rows {
				if after, differs := scrubRow(p, t, r); differs {
					updates = append(updates, after)
				}
			}
			changed += len(updates)
			return s.writeRows(ctx, work, t, updates)
		})
		if err != nil {
			return changed, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return changed, nil
}

// writeRows calls writeRow for each row, and makes SQLite overwrite the old texts in the file.
func (s Erasures) writeRows(ctx context.Context, work *sqldb.Slicer, t textTable, rows []textRow) error {
	for len(rows) > 0 {
		some := rows[:min(work.Rows(), len(rows))]
		rows = rows[len(some):]
		if err := work.Write(ctx, func(tx *sqldb.Tx) error {
			if err := tx.OverwriteDeleted(ctx, true); err != nil {
				return err
			}
			for _, r := range some {
				if err := writeRow(ctx, tx, t, r); err != nil {
					return err
				}
			}
			return tx.OverwriteDeleted(ctx, false)
		}); err != nil {
			return err
		}
	}
	return nil
}

// writeRow writes the changed texts of a row. It deletes the row if r.texts is nil.
func writeRow(ctx context.Context, tx *sqldb.Tx, t textTable, r textRow) error {
	where, args := t.where, slices.Clone(t.ids)
	if len(t.key) > 0 {
		where += " and (" + t.keyNames() + ") = (" + placeholders(len(args)+1, len(t.key)) + ")"
		args = append(args, r.key...)
	}
	if r.texts == nil {
		return tx.Send(ctx, "delete from "+t.name+" where "+where, args...)
	}
	var set []string
	for _, column := range slices.Sorted(maps.Keys(r.texts)) {
		args = append(args, r.texts[column])
		set = append(set, fmt.Sprintf("%s = $%d", column, len(args)))
	}
	return tx.Send(ctx, "update "+t.name+" set "+strings.Join(set, ", ")+" where "+where, args...)
}

// scrubRow removes the person's data from a row of a table. It returns a row with only the changed
// texts, and reports whether the row must be written. If the map texts of the returned row is nil,
// the row must be deleted.
func scrubRow(p erasure.Person, t textTable, r textRow) (after textRow, differs bool) {
	if t.name == "provisioning_log" {
		r.texts["entry"] = t.entryOf(r).expand(r.texts["entry"])
	}
	own := r.person == p.ID
	next := map[string]string{}
	for column, text := range r.texts {
		next[column] = p.RedactStored(text)
	}
	set := func(column, text string) {
		if _, known := next[column]; known {
			next[column] = text
		}
	}
	switch {
	case t.name == "request_log":
		own = own || p.IsValue(r.texts["user_name"])
		set("path", p.RedactPath(r.texts["path"], own))
		if own {
			set("user_name", p.Label())
			set("sentence", "What this entry said went with the data of the person.")
			set("fixes", "")
			set("ignored", "")
		}
	case t.name == "event":
		if r.texts["actor_id"] == p.ID {
			set("actor_name", p.Label())
			set("address", "")
			set("user_agent", "")
		}
		if own && r.texts["name"] != event.UserErased {
			set("text", p.Label()+": "+r.texts["name"])
			set("data", p.RedactEventData(r.texts["data"]))
		}
	case t.name == "provisioning_log":
		if own {
			entry, search := scrubEntry(p, r.texts["entry"])
			set("entry", entry)
			set("search_text", search)
		}
	case t.name == "job_drift_schedule":
		set("schedule", keepScheduleWords(r.texts["schedule"], next["schedule"]))
	case own && slices.Contains([]string{"job_plan_object", "job_drift_object", "job_discovered", "job_discovered_match"}, t.name):
		return textRow{key: r.key}, true // delete the row, because it is about this person alone
	case strings.HasPrefix(t.name, "job_"):
		if own { // keep the ids of the person and the account, because provisioning needs them
			set("name", p.Label())
			set("reason", "")
			if _, known := next["match_keys"]; known {
				next["match_keys"] = "[]"
			}
			set("wrote", "")
			set("first_key", "")
			set("aside", "")
			set("value", "")
			set("folded", "")
			set("inputs", "")
		}
	case own:
		return textRow{key: r.key}, true // delete the row, because it belongs to the person, such as a session or a link
	}
	for column, text := range next {
		if text == r.texts[column] {
			delete(next, column)
		}
	}
	return textRow{key: r.key, texts: next}, len(next) > 0
}

// keepScheduleWords returns the redacted schedule of a job's comparisons with the interval and the
// policy of the schedule before. These two are words of Rollcall itself, and redaction must not
// change them even if they equal the person's name.
func keepScheduleWords(before, redacted string) string {
	var was provision.DriftSchedule
	var is map[string]any
	if json.Unmarshal([]byte(before), &was) != nil || json.Unmarshal([]byte(redacted), &is) != nil {
		return redacted
	}
	is["every"], is["policy"] = was.Every, was.Policy
	document, err := json.Marshal(is)
	if err != nil {
		return redacted
	}
	return string(document)
}

// entryOf returns the entryRow of a row of the provisioning log.
func (t textTable) entryOf(r textRow) entryRow {
	e := entryRow{objectID: r.person, cycle: r.texts["cycle"]}
	e.directory, _ = t.ids[0].(string)
	for i, c := range t.key {
		switch c.name {
		case "app":
			e.app, _ = r.key[i].(string)
		case "id":
			e.id, _ = r.key[i].(string)
		}
	}
	return e
}

// scrubEntry removes the person's data from an entry of the provisioning log. It keeps which steps
// were made, and the result of each. search is the text by which searches find the entry.
func scrubEntry(p erasure.Person, text string) (entry, search string) {
	var e provision.LogEntry
	if json.Unmarshal([]byte(text), &e) != nil {
		return "{}", ""
	}
	e.SourceIdentity.DisplayName, e.SourceIdentity.Details = p.Label(), nil
	e.TargetIdentity.DisplayName, e.TargetIdentity.Details = p.Label(), nil
	e.Status.Reason, e.Status.AdditionalDetails, e.Status.RecommendedAction = "", "", ""
	for i := range e.Steps {
		e.Steps[i].Description, e.Steps[i].Details = "", nil
	}
	for i := range e.Modified {
		e.Modified[i].OldValue, e.Modified[i].NewValue = nil, nil
	}
	e.Before = nil
	out, err := json.Marshal(e)
	if err != nil {
		return "{}", ""
	}
	return string(out), scim.Fold(strings.Join([]string{p.Label(), e.SourceIdentity.ID, e.TargetIdentity.ID, e.Status.Code}, "\n"))
}

// IDsOf returns the ids of people who have this name, or this id, in the logs and no longer have an
// account.
func (s Erasures) IDsOf(ctx context.Context, scope event.Scope, name string) (ids []string, err error) {
	found := map[string]bool{}
	add := func(query string, args ...any) error {
		return s.DB.Lane(sqldb.SliceLane).View(ctx, func(tx *sqldb.Tx) error {
			some, err := collect(ctx, tx, scanText, query, args...)
			for _, id := range some {
				if id != "" {
					found[id] = true
				}
			}
			return err
		})
	}
	if err := add(`
		select subject
		from event
		where scope_kind = $1 and scope_id = $2 and subject = $3 and subject <> '' and name like 'user.%'
		limit 1`, scope.Kind, scope.ID, name); err != nil {
		return nil, err
	}
	// The text of an event about a user begins with the user name.
	if err := add(`
		select distinct subject
		from event
		where scope_kind = $1 and scope_id = $2 and subject <> '' and name like 'user.%' and text like $3 escape '\'`, scope.Kind, scope.ID, escapeLike(name)+" %"); err != nil {
		return nil, err
	}
	if scope.Kind == event.KindSite {
		if err := add(`
			select distinct subject
			from request_log
			where site = $1 and (user_name = $2 or subject = $2)`, scope.ID, name); err != nil {
			return nil, err
		}
	} else if err := add(`
		select distinct object_id
		from provisioning_log
		where directory = $1 and search_text like $2 escape '\'`, scope.ID, "%\n"+escapeLike(scim.Fold(name))+"\n%"); err != nil {
		return nil, err
	}
	// Leave out ids that still have an account: the name may now belong to another person.
	account := "select id from resource where site = $1 and id = $2"
	if scope.Kind == event.KindDirectory {
		account = "select object_id from directory_user where directory = $1 and object_id = $2"
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if err := s.DB.View(ctx, func(tx *sqldb.Tx) error {
			has, err := collect(ctx, tx, scanText, account, scope.ID, id)
			if len(has) == 0 {
				ids = append(ids, id)
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// addressPattern matches email addresses in text.
var addressPattern = regexp.MustCompile(`[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}.-]+[\p{L}\p{N}]`)

// ValuesOf returns the values of the person, such as names and addresses, that the logs and the
// stored sign-in identities contain. id is the id of the person.
func (s Erasures) ValuesOf(ctx context.Context, scope event.Scope, id string) (values []string, err error) {
	add := func(query string, read func(row scanner) error, args ...any) {
		if err != nil {
			return
		}
		err = s.DB.Lane(sqldb.SliceLane).View(ctx, func(tx *sqldb.Tx) error {
			_, err := collect(ctx, tx, func(row scanner) (struct{}, error) { return struct{}{}, read(row) }, query, args...)
			return err
		})
	}
	one := func(row scanner) error {
		var v string
		err := row.Scan(&v)
		values = append(values, v)
		return err
	}
	add("select name, text, data from event where scope_kind = $1 and scope_id = $2 and subject = $3 and subject <> ''", func(row scanner) error {
		var name, text, data string
		if err := row.Scan(&name, &text, &data); err != nil || name == event.UserErased {
			return err
		}
		if called, _, found := strings.Cut(text, " was "); found { // a typical text is "ada@example.com was updated: …"
			values = append(values, called)
		}
		values = append(values, addressPattern.FindAllString(text, -1)...)
		var d struct {
			Changes []struct{ Before, After json.RawMessage }
		}
		if json.Unmarshal([]byte(data), &d) == nil {
			for _, c := range d.Changes {
				values = append(append(values, erasure.Values(c.Before)...), erasure.Values(c.After)...)
			}
		}
		return nil
	}, scope.Kind, scope.ID, id)
	if scope.Kind == event.KindSite {
		add("select distinct user_name from request_log where site = $1 and subject = $2 and subject <> ''", one, scope.ID, id)
		add("select user_identifier from identity where site = $1 and person = $2", one, scope.ID, id)
		return values, err
	}
	add("select "+entryColumns+" from provisioning_log where directory = $1 and object_id = $2", func(row scanner) error {
		e, err := scanEntry(row)
		values = append(append(values, e.SourceIdentity.DisplayName, e.TargetIdentity.DisplayName), slices.Collect(maps.Values(e.SourceIdentity.Details))...)
		for _, m := range e.Modified {
			for _, v := range []*string{m.OldValue, m.NewValue} {
				if v != nil {
					values = append(values, *v)
				}
			}
		}
		for _, v := range e.Before {
			values = append(values, stringsIn(v)...)
		}
		return err
	}, scope.ID, id)
	return values, err
}

// stringsIn returns the strings in a JSON value.
func stringsIn(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			all = append(all, stringsIn(e)...)
		}
	case map[string]any:
		for _, e := range v {
			all = append(all, stringsIn(e)...)
		}
	}
	return all
}

// UniqueValues returns those of the values that no other account of the site or directory has. id
// is the id of the person whose values these are.
func (s Erasures) UniqueValues(ctx context.Context, scope event.Scope, id string, values []string) ([]string, error) {
	left := map[string]string{} // maps each value to its form in a document, quoted and in lower case
	for _, v := range values {
		quoted, err := json.Marshal(v)
		if err != nil || v == "" {
			continue
		}
		left[v] = strings.ToLower(string(quoted))
	}
	t := textTable{ownedTable: ownedTable{name: "resource", where: "site = $1", ids: []any{scope.ID}, key: []keyColumn{{"id", false}}}, columns: []string{"doc"}}
	if scope.Kind == event.KindDirectory {
		t = textTable{ownedTable: ownedTable{name: "directory_user", where: "directory = $1", ids: []any{scope.ID}, key: []keyColumn{{"object_id", false}}}, columns: []string{"attributes"}}
	}
	err := s.walkTable(ctx, s.DB.Slicer(time.Time{}), t, "", nil, func(rows []textRow) error {
		for _, r := range rows {
			if r.key[0] == any(id) {
				continue
			}
			for _, text := range r.texts {
				text = strings.ToLower(text)
				for v, quoted := range left {
					if strings.Contains(text, quoted) {
						delete(left, v)
					}
				}
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(left)), err
}

// finishWithin is how long Finish may spend on returning free pages to the file system. It is
// short, because the operator waits for Finish.
const finishWithin = 20 * time.Second

// Finish overwrites deleted rows and values of these people in the unused parts of a SQLite file.
// complete is false if some of them may remain until the file is compacted. On PostgreSQL,
// autovacuum does this work, and complete is true.
func (s Erasures) Finish(ctx context.Context, people []erasure.Person) (complete bool, err error) {
	return s.DB.ForgetDeleted(ctx, time.Now().Add(finishWithin), func(unused []byte) bool {
		return slices.ContainsFunc(people, func(p erasure.Person) bool { return p.IsIn(unused) })
	})
}
