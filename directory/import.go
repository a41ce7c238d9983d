package directory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// batchRows is how many rows share a transaction.
const batchRows = 500

// Row is one line of a file. Values are texts by attribute name: an attribute that is not there stays as it is, an empty one is cleared;
// manager is a userPrincipalName or an object id.
type Row struct {
	Line   int
	Values map[string]string
}

// RowError says what is wrong with one row. Column is empty when it is about the row as a whole.
type RowError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Detail string `json:"detail"`
}

func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Detail)
	}
	return fmt.Sprintf("line %d, column %s: %s", e.Line, e.Column, e.Detail)
}

// Absent says what to do with users that are not in the file.
type Absent string

const (
	AbsentKeep       Absent = ""
	AbsentSoftDelete Absent = "soft-delete"
)

// ImportOptions says how to import. BeforeSoftDelete, if set, is told how many of how many users will be deleted, before the first one is.
type ImportOptions struct {
	Absent           Absent
	Force            bool // soft-delete absent users even when they are more than 10 % of the directory
	DryRun           bool // report what would happen, change nothing
	BeforeSoftDelete func(absent, of int)
	Actor            string
}

// Person names a user in a report.
type Person struct {
	ObjectID          string `json:"objectId"`
	UserPrincipalName string `json:"userPrincipalName"`
	DisplayName       string `json:"displayName"`
}

// ImportReport counts what an import did, or with DryRun would do. A user whose manager cannot be found counts as imported and has an error too.
type ImportReport struct {
	DryRun      bool       `json:"dryRun,omitempty"`
	Rows        int        `json:"rows"`
	Created     int        `json:"created"`
	Updated     int        `json:"updated"`
	Restored    int        `json:"restored"`
	Unchanged   int        `json:"unchanged"`
	Errors      []RowError `json:"errors"`
	Before      int        `json:"before"` // users that were not deleted when it began
	Absent      []Person   `json:"absent"` // of those, who is not in the file
	SoftDeleted int        `json:"softDeleted"`
	// Refused says why absent users were not soft-deleted although that was asked for.
	Refused string `json:"refused,omitempty"`
}

// Import brings rows into the directory: matched by objectId, else by userPrincipalName, among users that are not deleted, then among deleted
// ones, who are restored. Managers are resolved after all rows. A row with an error stops nothing else; an error that rows yields and that is
// no RowError ends the import, and what was written before stays. Importing the same rows again changes nothing and writes no events.
func (h *Handle) Import(ctx context.Context, rows iter.Seq2[Row, error], o ImportOptions) (ImportReport, error) {
	counts, err := h.Counts(ctx)
	if err != nil {
		return ImportReport{}, err
	}
	im := &importing{
		Handle: h, options: o, people: map[string]*imported{}, names: map[string]string{}, mentioned: map[string]bool{},
		report: ImportReport{DryRun: o.DryRun, Before: counts.Enabled + counts.Disabled, Errors: []RowError{}, Absent: []Person{}},
	}
	if err := im.readRows(ctx, rows); err != nil {
		return im.finish(), err
	}
	for batch := range slices.Chunk(im.managers, batchRows) {
		if err := im.setManagers(ctx, batch); err != nil {
			return im.finish(), err
		}
	}
	if err := im.findAbsent(ctx); err != nil {
		return im.finish(), err
	}
	err = im.softDeleteAbsent(ctx)
	return im.finish(), err
}

// outcome is what a row did to its user.
type outcome int

const (
	failed outcome = iota
	unchanged
	updated
	restored
	created
)

// imported is a user that the file names.
type imported struct {
	line    int
	outcome outcome
}

// wanted is a manager to be set once everybody is there.
type wanted struct {
	line              int
	objectID, manager string
}

// result is what became of one row of a batch that is not committed yet.
type result struct {
	row      Row
	objectID string
	upn      string
	outcome  outcome
	err      *RowError
}

type importing struct {
	*Handle
	options      ImportOptions
	report       ImportReport
	people       map[string]*imported // by object id
	names        map[string]string    // object id by folded userPrincipalName, as the file has it
	mentioned    map[string]bool      // folded userPrincipalNames of rows that were refused: those people are not absent
	managers     []wanted
	unidentified int // rows that may be about anybody
}

func (im *importing) readRows(ctx context.Context, rows iter.Seq2[Row, error]) error {
	batch := make([]Row, 0, batchRows)
	for row, err := range rows {
		var broken *RowError
		if errors.As(err, &broken) {
			im.report.Rows++
			im.unidentified++
			im.report.Errors = append(im.report.Errors, *broken)
			continue
		}
		if err != nil {
			return err
		}
		im.report.Rows++
		if batch = append(batch, row); len(batch) == batchRows {
			if err := im.importBatch(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return im.importBatch(ctx, batch)
}

// errDryRun rolls a transaction back after everything has been tried in it.
var errDryRun = errors.New("dry run")

func (im *importing) transaction(ctx context.Context, fn func(tx Tx) error) error {
	err := im.update(ctx, func(tx Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if im.options.DryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

func (im *importing) importBatch(ctx context.Context, batch []Row) error {
	if len(batch) == 0 {
		return nil
	}
	var results []result
	err := im.transaction(ctx, func(tx Tx) error {
		results = results[:0]
		lines := map[string]int{} // of this batch, by object id
		for _, row := range batch {
			r, err := im.importRow(ctx, tx, row, lines)
			if err != nil {
				return fmt.Errorf("import line %d: %w", row.Line, err)
			}
			if r.objectID != "" && lines[r.objectID] == 0 {
				lines[r.objectID] = row.Line
			}
			results = append(results, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range results {
		im.keep(r)
	}
	return nil
}

// keep takes over what a committed row did.
func (im *importing) keep(r result) {
	if r.err != nil {
		im.report.Errors = append(im.report.Errors, *r.err)
		im.mentioned[r.upn] = true
	}
	if r.objectID == "" {
		if r.upn == "" {
			im.unidentified++
		}
		return
	}
	if im.people[r.objectID] == nil {
		im.people[r.objectID] = &imported{line: r.row.Line, outcome: r.outcome}
	}
	if r.outcome == failed {
		return
	}
	im.names[r.upn] = r.objectID
	if manager, ok := r.row.Values[attrManager]; ok {
		im.managers = append(im.managers, wanted{line: r.row.Line, objectID: r.objectID, manager: strings.TrimSpace(manager)})
	}
}

// importRow returns an error only for what ends the import; what is wrong with the row is in its result.
func (im *importing) importRow(ctx context.Context, tx Tx, row Row, lines map[string]int) (result, error) {
	r := result{row: row, upn: scim.Fold(strings.TrimSpace(row.Values[attrUPN]))}
	err := func() error {
		before, found, err := im.match(ctx, tx, row, r.upn)
		if err != nil {
			return err
		}
		r.objectID = before.ObjectID
		first := lines[before.ObjectID]
		if p := im.people[before.ObjectID]; p != nil {
			first = p.line
		}
		if id, ok := im.names[r.upn]; ok && !found {
			first = im.people[id].line // only a dry run has forgotten it
		}
		if first != 0 {
			return invalid("", "this is the same user as in line %d; a user has one row", first)
		}
		after, err := filled(before, found, row)
		if err != nil {
			return err
		}
		after, did, err := im.writeRow(ctx, tx, before, found, after)
		if err == nil {
			r.objectID, r.upn, r.outcome = after.ObjectID, after.FoldedUPN(), did
		}
		return err
	}()
	var broken *Error
	if errors.As(err, &broken) {
		r.err = &RowError{Line: row.Line, Column: broken.Attribute, Detail: broken.Detail}
		return r, nil
	}
	return r, err
}

// match finds the user that a row is about.
func (im *importing) match(ctx context.Context, tx Tx, row Row, upn string) (User, bool, error) {
	if id := strings.ToLower(strings.TrimSpace(row.Values[attrObjectID])); id != "" {
		if !isGUID(id) {
			return User{}, false, invalid(attrObjectID, "objectId is a GUID such as 3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8, not %q", id)
		}
		u, err := tx.User(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return User{}, false, nil
		}
		return u, err == nil, err
	}
	if err := checkText(attrUPN, upn); err != nil {
		return User{}, false, err
	}
	if upn == "" {
		return User{}, false, invalid(attrUPN, "the row has neither an objectId nor a userPrincipalName; give it one of them")
	}
	u, err := tx.UserByUPN(ctx, upn)
	if errors.Is(err, ErrNotFound) {
		u, err = tx.DeletedByUPN(ctx, upn)
	}
	if errors.Is(err, ErrNotFound) {
		return User{}, false, nil
	}
	return u, err == nil, err
}

// filled is the user as the row wants it, but for the manager.
func filled(before User, found bool, row Row) (User, error) {
	after := before.clone()
	if !found {
		after.AccountEnabled = true
		after.ObjectID = strings.ToLower(strings.TrimSpace(row.Values[attrObjectID]))
	}
	for name, text := range row.Values {
		if name == attrObjectID || name == attrManager || name == attrAccountEnabled && strings.TrimSpace(text) == "" {
			continue
		}
		if err := after.Set(name, text); err != nil {
			return User{}, err
		}
	}
	return normalised(after)
}

func (im *importing) writeRow(ctx context.Context, tx Tx, before User, found bool, after User) (User, outcome, error) {
	if !found {
		after.Version = 0
		u, _, err := im.createUser(ctx, tx, after, im.options.Actor)
		return u, created, err
	}
	if before.IsDeleted() {
		if err := im.checkOthers(ctx, tx, User{}, after); err != nil {
			return User{}, failed, err
		}
		names := changed(before, after)
		after.Deleted = time.Time{}
		u, err := im.save(ctx, tx, after, before.Version, EventUserRestored, im.options.Actor, "was restored", names)
		return u, restored, err
	}
	u, did, err := im.replaceUser(ctx, tx, before, after, im.options.Actor)
	if !did {
		return u, unchanged, err
	}
	return u, updated, err
}

func (im *importing) setManagers(ctx context.Context, batch []wanted) error {
	var changedIDs []string
	var broken []RowError
	err := im.transaction(ctx, func(tx Tx) error {
		changedIDs, broken = nil, nil
		for _, w := range batch {
			did, err := im.setManager(ctx, tx, w)
			var rule *Error
			if errors.As(err, &rule) {
				broken = append(broken, RowError{Line: w.line, Column: attrManager, Detail: rule.Detail})
				continue
			}
			if err != nil {
				return fmt.Errorf("set the manager of line %d: %w", w.line, err)
			}
			if did {
				changedIDs = append(changedIDs, w.objectID)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	im.report.Errors = append(im.report.Errors, broken...)
	for _, id := range changedIDs {
		if p := im.people[id]; p.outcome == unchanged {
			p.outcome = updated
		}
	}
	return nil
}

func (im *importing) setManager(ctx context.Context, tx Tx, w wanted) (bool, error) {
	manager, err := im.findManager(ctx, tx, w.manager)
	if err != nil {
		return false, err
	}
	if manager == w.objectID {
		return false, invalid(attrManager, "a user cannot be their own manager; the manager was left as it is")
	}
	u, err := tx.User(ctx, w.objectID)
	if im.options.DryRun && errors.Is(err, ErrNotFound) {
		return false, nil // would be created
	}
	if err != nil || u.Text(attrManager) == manager {
		return false, err
	}
	u = u.clone()
	if manager == "" {
		delete(u.Attributes, attrManager)
	} else {
		u.Attributes[attrManager] = manager
	}
	_, err = im.save(ctx, tx, u, u.Version, EventUserUpdated, im.options.Actor, "was updated", []string{attrManager})
	return true, err
}

// findManager gives the object id that a file's manager column means; nobody is "".
func (im *importing) findManager(ctx context.Context, tx Tx, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if err := checkText(attrManager, text); err != nil {
		return "", err
	}
	var u User
	var err error
	if id := strings.ToLower(text); isGUID(id) {
		u, err = tx.User(ctx, id)
	} else {
		u, err = tx.UserByUPN(ctx, scim.Fold(text))
	}
	if errors.Is(err, ErrNotFound) && im.options.DryRun && im.names[scim.Fold(text)] != "" {
		return im.names[scim.Fold(text)], nil
	}
	if errors.Is(err, ErrNotFound) {
		return "", invalid(attrManager, "there is no user %s, neither in the file nor in the directory; the manager was left as it is", text)
	}
	return u.ObjectID, err
}

func (im *importing) findAbsent(ctx context.Context) error {
	return im.EachUser(ctx, UserQuery{}, func(u User) error {
		if im.people[u.ObjectID] == nil && !im.mentioned[u.FoldedUPN()] {
			im.report.Absent = append(im.report.Absent, Person{ObjectID: u.ObjectID, UserPrincipalName: u.UPN(), DisplayName: u.DisplayName()})
		}
		return nil
	})
}

func (im *importing) softDeleteAbsent(ctx context.Context) error {
	absent, before := len(im.report.Absent), im.report.Before
	if im.options.Absent != AbsentSoftDelete || absent == 0 {
		return nil
	}
	if im.unidentified > 0 {
		im.report.Refused = fmt.Sprintf("nobody was deleted: %s of the file could not be read, so it does not show who is absent; repair the file and import it again",
			plural(im.unidentified, "row", "rows"))
		return nil
	}
	if absent*10 > before && !im.options.Force {
		im.report.Refused = fmt.Sprintf("nobody was deleted: %d of %s (%d %%) are not in the file, and more than 10 %% needs force; check that the file is complete, then import it again with force",
			absent, plural(before, "user", "users"), percent(absent, before))
		return nil
	}
	if im.options.DryRun {
		im.report.SoftDeleted = absent
		return nil
	}
	if im.options.BeforeSoftDelete != nil {
		im.options.BeforeSoftDelete(absent, before)
	}
	for batch := range slices.Chunk(im.report.Absent, batchRows) {
		n := 0
		err := im.update(ctx, func(tx Tx) error {
			n = 0
			for _, p := range batch {
				u, err := tx.User(ctx, p.ObjectID)
				if errors.Is(err, ErrNotFound) || err == nil && u.IsDeleted() {
					continue
				}
				if err == nil {
					_, err = im.softDelete(ctx, tx, u, im.options.Actor)
				}
				if err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			return err
		}
		im.report.SoftDeleted += n
	}
	return nil
}

func (im *importing) finish() ImportReport {
	for _, p := range im.people {
		switch p.outcome {
		case created:
			im.report.Created++
		case updated:
			im.report.Updated++
		case restored:
			im.report.Restored++
		case unchanged:
			im.report.Unchanged++
		}
	}
	slices.SortStableFunc(im.report.Errors, func(a, b RowError) int { return a.Line - b.Line })
	return im.report
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// percent is rounded up, so that it is above 10 exactly when the rule says so.
func percent(n, of int) int {
	if of == 0 {
		return 100
	}
	return (n*100 + of - 1) / of
}
