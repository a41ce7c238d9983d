package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/pace"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// batchRows is the largest number of rows that one transaction writes.
const batchRows = 500

// Row is one line of a file. Values holds strings by attribute name. An attribute that is not in
// Values keeps its value; an empty string clears it. The value of manager is a userPrincipalName,
// an object id, an employeeId, or a displayName that only one user has.
type Row struct {
	Line     int
	Values   map[string]string
	Problems []RowError // errors about values that could not be read
	// BuiltFrom is set if the row's userPrincipalName was built from other columns. It then holds
	// all cells of the row, because rows that differ in any cell may describe different people. A
	// user that is found by objectId or employeeId keeps its userPrincipalName.
	BuiltFrom string
}

// RowError says what is wrong with one row. Column names the column with the wrong value. It is
// empty if the whole row is wrong.
type RowError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Detail string `json:"detail"`
	Flag   string `json:"flag,omitempty"` // a flag of rollcall directory import that helps, or ""
	// Deleted is the object id of a deleted user that prevents the change. Commands are commands
	// that solve the problem.
	Deleted  string   `json:"deleted,omitempty"`
	Commands []string `json:"commands,omitempty"`
}

// DuplicateRow is a row that repeats an earlier row.
type DuplicateRow struct {
	Line        int `json:"line"`
	RepeatsLine int `json:"of"`
}

func (e *RowError) Error() string {
	text := fmt.Sprintf("line %d", e.Line)
	if e.Column != "" {
		text += ", column " + e.Column
	}
	text += ": " + e.Detail
	if e.Flag != "" {
		text += " with " + e.Flag
	}
	if e.Commands != nil {
		text += ": " + strings.Join(e.Commands, ", ")
	}
	return text
}

// Absent says what to do with users that are not in the file.
type Absent string

const (
	AbsentKeep       Absent = ""
	AbsentSoftDelete Absent = "soft-delete"
)

// ImportOptions say how to import users.
type ImportOptions struct {
	Absent Absent
	Force  bool // whether to soft-delete absent users even if they are more than 10 % of all users
	DryRun bool // whether to report what would happen, without changing anything
	// BeforeSoftDelete, if set, is called before the first user is deleted. absent is the number of
	// users that will be deleted, of is the number of all users.
	BeforeSoftDelete func(absent, of int)
	// Progress, if set, is called from time to time. done is the number of finished rows, of is the
	// number of all rows.
	Progress func(done, of int)
	// Columns has the name of each attribute's column in the file, if it differs from the
	// attribute's name.
	Columns map[string]string
	// CutReason, if set, says why the end of the file seems to be missing. Then no user counts as
	// absent, unless Force is set.
	CutReason string
	Actor     string
}

// Person names a user in a report.
type Person struct {
	ObjectID          string `json:"objectId"`
	UserPrincipalName string `json:"userPrincipalName"`
	DisplayName       string `json:"displayName"`
}

// ImportReport counts what an import did, or would do if DryRun is set. A user counts even if some
// values of the row had problems. Those values are not written.
type ImportReport struct {
	DryRun      bool           `json:"dryRun,omitempty"`
	Rows        int            `json:"rows"`
	Created     int            `json:"created"`
	Updated     int            `json:"updated"`
	Restored    int            `json:"restored"`
	Unchanged   int            `json:"unchanged"`
	Errors      []RowError     `json:"errors"`
	Duplicates  []DuplicateRow `json:"duplicates,omitempty"`
	Before      int            `json:"before"` // users that were not deleted when the import began
	Absent      []Person       `json:"absent"` // users that were not deleted when the import began, and are not in the file
	SoftDeleted int            `json:"softDeleted"`
	// Nameless counts rows that were refused because a new user needs a userPrincipalName.
	Nameless int `json:"nameless,omitempty"`
	// Refused says why absent users were not soft-deleted although the caller asked for that.
	Refused string `json:"refused,omitempty"`
	// Forcible reports whether ImportOptions.Force would soft-delete the absent users anyway.
	Forcible bool `json:"forcible,omitempty"`
	// Notes say how the file was read. The caller fills them.
	Notes []string `json:"notes,omitempty"`
	// Steps has one entry for each row that changed a user.
	Steps []ImportStep `json:"-"`
}

// ImportStep is the change that one row made. Changed holds the new values by attribute.
type ImportStep struct {
	Line    int
	Person  Person // the user; without an ObjectID if the user is new
	Outcome string // created, updated or restored
	Changed map[string]string
}

// Import writes users into the directory. It finds the user of a row by objectId, or by employeeId
// if the row has no objectId, or by userPrincipalName if the row has neither. Soft-deleted users
// are found only by objectId and employeeId, and are then restored.
//
// Import reads all rows before it writes the first user, and the order of rows does not matter. It
// sets managers after it has written all users. A value or row with a problem is reported, and the
// import goes on. If rows yields an error that is not a RowError, the import ends before it writes
// anything.
//
// Importing the same rows again changes nothing and writes no events.
func (h *Handle) Import(ctx context.Context, rows iter.Seq2[Row, error], o ImportOptions) (r ImportReport, err error) {
	err = h.asImport(ctx, "users", o.Actor, o.DryRun, func(ctx context.Context) error {
		r, err = h.importUsers(ctx, rows, o)
		return err
	})
	return r, err
}

func (h *Handle) importUsers(ctx context.Context, rows iter.Seq2[Row, error], o ImportOptions) (ImportReport, error) {
	im := &importRun{
		Handle: h, options: o, importedUsers: map[string]*imported{}, mentionedUsers: map[string]bool{}, idByUPN: map[string]string{}, idsByEmployeeKey: map[string][]string{}, idsByDisplayName: map[string][]string{},
		report: ImportReport{DryRun: o.DryRun, Errors: []RowError{}, Absent: []Person{}},
	}
	read, err := im.readRows(rows)
	if err != nil {
		return im.finishReport(), err
	}
	register, err := h.readRegister(ctx)
	if err != nil {
		return im.finishReport(), err
	}
	im.report.Before = len(register.allUsers)
	im.plan = newPlan(h.Directory.Name, register, read)
	im.report.Duplicates, im.report.Nameless = im.plan.duplicates, im.plan.nameless
	if err := im.write(ctx); err != nil {
		return im.finishReport(), err
	}
	im.collectNames()
	if err := pace.ForEachSlice(ctx, pace.ForImporting(), im.managers, func(some []managerToSet) error { return im.setManagers(ctx, some) }); err != nil {
		return im.finishReport(), err
	}
	im.findAbsent()
	err = im.softDeleteAbsent(ctx)
	return im.finishReport(), err
}

// enabledWordFlags names the flags that help with a value that is neither true nor false.
const enabledWordFlags = "--enabled-words or --disabled-words"

// outcome says what a row did to its user.
type outcome int

const (
	failed outcome = iota
	unchanged
	updated
	restored
	created
)

func (o outcome) String() string {
	return [...]string{"failed", "unchanged", "updated", "restored", "created"}[o]
}

// imported is a user that the file names.
type imported struct {
	line        int
	outcome     outcome
	user        Person
	employeeKey string // in the form that employeeKey returns
	changed     map[string]string
}

// managerToSet is a manager that is set after all users have been written.
type managerToSet struct {
	line              int
	objectID, manager string
}

type importRun struct {
	*Handle
	options          ImportOptions
	report           ImportReport
	plan             *plan
	importedUsers    map[string]*imported // the users that the file names, by object id
	mentionedUsers   map[string]bool      // object ids of users that refused rows may name; these do not count as absent
	managers         []managerToSet
	unidentified     int                 // the number of refused rows whose user cannot be found out
	idByUPN          map[string]string   // object id by folded userPrincipalName after the import
	idsByEmployeeKey map[string][]string // object ids by employeeKey after the import
	idsByDisplayName map[string][]string // object ids by folded displayName after the import
	refusedLines     map[string]int      // line numbers of refused rows, by each value that names their user; nil until needed
}

func (im *importRun) readRows(rows iter.Seq2[Row, error]) ([]Row, error) {
	var read []Row
	for row, err := range rows {
		var broken *RowError
		if errors.As(err, &broken) {
			im.report.Rows++
			im.unidentified++
			im.report.Errors = append(im.report.Errors, *broken)
			continue
		}
		if err != nil {
			return nil, err
		}
		im.report.Rows++
		read = append(read, row)
	}
	return read, nil
}

// errDryRun rolls back the transaction of a dry run after all changes were tried in it.
var errDryRun = errors.New("dry run")

func (im *importRun) transaction(ctx context.Context, fn func(tx Tx) error) error {
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

// write writes the rows, a few hundred in each transaction. Rows of users that exchange names are
// written in the same transaction.
func (im *importRun) write(ctx context.Context) error {
	var batch [][]*entry
	size, done := 0, 0
	pacer := pace.ForImporting()
	flush := func() error {
		began := time.Now()
		if err := im.writeBatch(ctx, batch); err != nil {
			return err
		}
		if err := pacer.Pause(ctx, time.Since(began)); err != nil {
			return err
		}
		done += size
		if im.options.Progress != nil && size > 0 {
			im.options.Progress(done, len(im.plan.entries))
		}
		batch, size = nil, 0
		return nil
	}
	for _, unit := range im.plan.groupUnits() {
		if size > 0 && size+len(unit) > min(pacer.Rows(), batchRows) {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, size = append(batch, unit), size+len(unit)
	}
	if err := flush(); err != nil {
		return err
	}
	for _, e := range im.plan.entries {
		im.report.Errors = append(im.report.Errors, e.problems...)
		if e.refused {
			im.addMentioned(e)
		}
	}
	return nil
}

func (im *importRun) addMentioned(e *entry) {
	about := im.plan.mentionedBy(e)
	for _, q := range about {
		im.mentionedUsers[q.objectID] = true
	}
	if len(about) == 0 && e.name == "" {
		im.unidentified++
	}
}

// rowResult is the outcome of one row in a transaction that is not committed yet.
type rowResult struct {
	entry         *entry
	before, after User
	outcome       outcome
	problems      []RowError
}

func (im *importRun) writeBatch(ctx context.Context, batch [][]*entry) error {
	if len(batch) == 0 {
		return nil
	}
	var results []rowResult
	err := im.transaction(ctx, func(tx Tx) error {
		results = results[:0]
		for _, unit := range batch {
			done, err := im.writeUnit(ctx, tx, unit)
			if err != nil {
				return err
			}
			results = append(results, done...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range results {
		im.recordResult(r)
	}
	return nil
}

// recordResult adds the outcome of a committed row to the report.
func (im *importRun) recordResult(r rowResult) {
	e := r.entry
	e.problems = append(e.problems, r.problems...)
	if r.outcome == failed {
		e.refused = true
		return
	}
	i := &imported{
		line: e.line(), outcome: r.outcome, employeeKey: employeeKey(r.after.Text(attrEmployeeID)), changed: map[string]string{},
		user: Person{ObjectID: r.after.ObjectID, UserPrincipalName: r.after.UPN(), DisplayName: r.after.DisplayName()},
	}
	for _, name := range changedNames(r.before, r.after) {
		i.changed[name] = r.after.Text(name)
	}
	im.importedUsers[r.after.ObjectID] = i
	if manager, ok := e.row.Values[attrManager]; ok && !e.keptAttributes[attrManager] {
		im.managers = append(im.managers, managerToSet{line: e.line(), objectID: r.after.ObjectID, manager: strings.TrimSpace(manager)})
	}
}

// writeUnit writes rows that must be written together. It returns an error only if the whole import
// must end.
func (im *importRun) writeUnit(ctx context.Context, tx Tx, unit []*entry) ([]rowResult, error) {
	results := make([]rowResult, len(unit))
	var broken *rowResult
	for i, e := range unit {
		r, err := im.prepare(ctx, tx, e)
		if err != nil {
			return nil, fmt.Errorf("import line %d: %w", e.line(), err)
		}
		results[i] = r
		if r.outcome == failed && broken == nil {
			broken = &results[i]
		}
	}
	if broken != nil {
		for i := range results {
			if r := &results[i]; r.outcome != failed {
				r.outcome = failed
				r.problems = append(r.problems, RowError{Line: r.entry.line(), Column: attrUPN, Detail: fmt.Sprintf("this row exchanges names with line %d, which has a problem", broken.entry.line())})
			}
		}
		return results, nil
	}
	// First write the users that give up a name. So users can swap names, even in a circle.
	if len(unit) > 1 {
		for _, r := range results {
			if r.before.Version == 0 || r.before.FoldedUPN() == r.after.FoldedUPN() || r.before.IsDeleted() {
				continue
			}
			aside := r.before.clone()
			aside.Attributes[attrUPN] = r.before.ObjectID + "@moving.invalid"
			if err := tx.PutUser(ctx, aside); err != nil {
				return nil, err
			}
		}
	}
	for i := range results {
		r := &results[i]
		after, did, err := im.writeRow(ctx, tx, r.before, r.after)
		if rule, ok := refusal.Find(err); ok && len(unit) == 1 {
			r.outcome = failed
			r.problems = append(r.problems, RowError{Line: r.entry.line(), Column: rule.Field, Detail: rule.Error()})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("import line %d: %w", r.entry.line(), err)
		}
		r.after, r.outcome = after, did
	}
	return results, nil
}

const changedMeanwhile = "somebody else changed %s meanwhile; import the file again"

// prepare reads the stored user of a row and computes the changed user. The outcome is the constant
// failed if the row cannot be written.
func (im *importRun) prepare(ctx context.Context, tx Tx, e *entry) (rowResult, error) {
	r := rowResult{entry: e, outcome: unchanged}
	fail := func(column, format string, args ...any) (rowResult, error) {
		r.outcome = failed
		r.problems = append(r.problems, RowError{Line: e.line(), Column: column, Detail: fmt.Sprintf(format, args...)})
		return r, nil
	}
	id := e.objectID
	if e.person != nil {
		id = e.person.objectID
	}
	if id != "" {
		u, err := tx.User(ctx, id)
		switch {
		case errors.Is(err, refusal.NotFound) && e.person == nil:
		case errors.Is(err, refusal.NotFound) || err == nil && (e.person == nil || e.person.hasMoved(u)):
			return fail("", changedMeanwhile, id)
		case err != nil:
			return r, err
		}
		r.before = u
	}
	if name := e.nameGained(); name != "" && !im.isGivenUp(name) {
		other, err := tx.UserByUPN(ctx, name)
		if err == nil && other.ObjectID != id {
			return fail(attrUPN, changedMeanwhile, other.description())
		}
		if err != nil && !errors.Is(err, refusal.NotFound) {
			return r, err
		}
	}
	r.after, r.problems = e.fill(r.before)
	if r.before.Version == 0 && len(r.problems)+len(e.problems) > 0 {
		r.outcome = failed
	}
	return r, nil
}

// isGivenUp reports whether a row of the file renames the user who has this name now.
func (im *importRun) isGivenUp(name string) bool {
	holder := im.plan.byUPN[name]
	return holder != nil && im.plan.isRenamed(holder)
}

// hasMoved reports whether the values that identify the user have changed in the database since the
// plan was made.
func (p *person) hasMoved(u User) bool {
	return u.FoldedUPN() != p.name || employeeKey(u.Text(attrEmployeeID)) != p.employeeKey || !u.Deleted.Equal(p.deleted)
}

// fill returns the user with the row's values, except the manager. For a value with a problem, it
// keeps the value in before and returns a RowError.
func (e *entry) fill(before User) (User, []RowError) {
	after := before.clone()
	if before.Version == 0 {
		after.AccountEnabled = true
		after.ObjectID = e.objectID
	}
	var problems []RowError
	for _, a := range attributes {
		text, ok := e.row.Values[a.Name]
		if !ok || e.keptAttributes[a.Name] || e.keepsValue(a.Name, strings.TrimSpace(text), before) {
			continue
		}
		trial := after.clone()
		err := trial.Set(a.Name, text)
		if v, ok := trial.Attributes[a.Name]; err == nil && ok {
			err = putValue(map[string]any{}, a.Name, v)
		}
		if err == nil {
			err = checkVisibleAttribute(before, trial, a.Name)
		}
		if err != nil {
			detail := err.Error()
			if before.Version != 0 {
				detail += "; the old value was kept"
			}
			problem := RowError{Line: e.line(), Column: a.Name, Detail: detail}
			if a.Name == attrAccountEnabled {
				problem.Detail += ". Write true, yes, active or enabled, or false, no, inactive or disabled, or say what the word means"
				problem.Flag = enabledWordFlags
			}
			problems = append(problems, problem)
			continue
		}
		after = trial
	}
	normal, err := normaliseUser(after)
	if err != nil {
		return before, append(problems, e.toRowError(err))
	}
	return normal, problems
}

func (e *entry) toRowError(err error) RowError {
	problem := RowError{Line: e.line(), Detail: err.Error()}
	if rule, ok := refusal.Find(err); ok {
		problem.Column = rule.Field
	}
	return problem
}

// keepsValue reports whether a row leaves an attribute unchanged. For example, a row cannot clear
// the identifier by which its user was found.
func (e *entry) keepsValue(name, text string, before User) bool {
	switch name {
	case attrObjectID, attrManager:
		return true
	case attrAccountEnabled:
		return text == ""
	case attrUPN:
		return text == "" && before.Version != 0
	case attrEmployeeID:
		return text == "" && e.objectID == ""
	}
	return false
}

func (im *importRun) writeRow(ctx context.Context, tx Tx, before, after User) (User, outcome, error) {
	if before.Version == 0 {
		u, _, err := im.createUser(ctx, tx, after, im.options.Actor)
		return u, created, err
	}
	if before.IsDeleted() {
		if err := im.checkOthers(ctx, tx, User{}, after); err != nil {
			return User{}, failed, err
		}
		names := changedNames(before, after)
		after.Deleted = time.Time{}
		u, err := im.saveUser(ctx, tx, after, before.Version, event.UserRestored, im.options.Actor, "was restored", names, changedValues(before, after)...)
		return u, restored, err
	}
	u, did, err := im.replaceUser(ctx, tx, before, after, im.options.Actor)
	if !did {
		return u, unchanged, err
	}
	return u, updated, err
}

// collectNames collects the names and employeeIds that all users have after the import. The search
// for managers uses them.
func (im *importRun) collectNames() {
	for _, p := range im.plan.allUsers {
		if im.importedUsers[p.objectID] == nil {
			im.idByUPN[p.name] = p.objectID
			im.idsByEmployeeKey[p.employeeKey] = append(im.idsByEmployeeKey[p.employeeKey], p.objectID)
			im.idsByDisplayName[scim.Fold(p.displayName)] = append(im.idsByDisplayName[scim.Fold(p.displayName)], p.objectID)
		}
	}
	for id, i := range im.importedUsers {
		im.idByUPN[scim.Fold(i.user.UserPrincipalName)] = id
		im.idsByEmployeeKey[i.employeeKey] = append(im.idsByEmployeeKey[i.employeeKey], id)
		im.idsByDisplayName[scim.Fold(i.user.DisplayName)] = append(im.idsByDisplayName[scim.Fold(i.user.DisplayName)], id)
	}
	delete(im.idsByEmployeeKey, "")
}

func (im *importRun) setManagers(ctx context.Context, batch []managerToSet) error {
	var changedTo map[string]string // the new manager of each user, by object id
	var broken []RowError
	err := im.transaction(ctx, func(tx Tx) error {
		changedTo, broken = map[string]string{}, nil
		for _, w := range batch {
			did, err := im.setManager(ctx, tx, w)
			if rule, ok := refusal.Find(err); ok {
				broken = append(broken, RowError{Line: w.line, Column: attrManager, Detail: rule.Error()})
				continue
			}
			if err != nil {
				return fmt.Errorf("set the manager of line %d: %w", w.line, err)
			}
			if did {
				changedTo[w.objectID] = w.manager
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	im.report.Errors = append(im.report.Errors, broken...)
	for id, manager := range changedTo {
		p := im.importedUsers[id]
		p.changed[attrManager] = manager
		if p.outcome == unchanged {
			p.outcome = updated
		}
	}
	return nil
}

func (im *importRun) setManager(ctx context.Context, tx Tx, w managerToSet) (bool, error) {
	manager, err := im.findManager(ctx, tx, w.manager)
	if err != nil {
		return false, err
	}
	if manager == w.objectID {
		return false, invalid(attrManager, "a user cannot be their own manager; the manager was left as it is")
	}
	u, err := tx.User(ctx, w.objectID)
	if im.options.DryRun && errors.Is(err, refusal.NotFound) {
		return manager != "", nil // a dry run: the user does not exist, and its manager would be set
	}
	if err != nil || u.Text(attrManager) == manager {
		return false, err
	}
	if im.options.DryRun {
		return true, nil // a dry run: earlier rows of this import were not written
	}
	before := u
	u = u.clone()
	if manager == "" {
		delete(u.Attributes, attrManager)
	} else {
		u.Attributes[attrManager] = manager
	}
	_, err = im.saveUser(ctx, tx, u, u.Version, event.UserUpdated, im.options.Actor, "was updated", []string{attrManager}, changedValues(before, u)...)
	return true, err
}

// findManager returns the object id of the user that a value of the manager column names. It
// returns "" if the value is empty.
func (im *importRun) findManager(ctx context.Context, tx Tx, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if err := checkText(attrManager, text); err != nil {
		return "", err
	}
	if id := im.idByUPN[scim.Fold(text)]; id != "" {
		return id, nil
	}
	switch ids := im.idsByEmployeeKey[employeeKey(text)]; len(ids) {
	case 0:
	case 1:
		return ids[0], nil
	default:
		return "", invalid(attrManager, "%s have employeeId %s", phrase.Count(len(ids), "user", "users"), text).Advise("name the manager by userPrincipalName; the manager was left as it is")
	}
	if id := strings.ToLower(text); isGUID(id) {
		if im.importedUsers[id] != nil {
			return id, nil
		}
		u, err := tx.User(ctx, id)
		if !errors.Is(err, refusal.NotFound) {
			return u.ObjectID, err
		}
	}
	switch ids := im.usersNamed(text); len(ids) {
	case 0:
	case 1:
		return ids[0], nil
	default:
		return "", invalid(attrManager, "%d users are called %s; name the manager by userPrincipalName, objectId or employeeId; the manager was left as it is", len(ids), text)
	}
	if line := im.refusedRow(text); line != 0 {
		return "", invalid(attrManager, "the row of %s, line %d, was refused, and the directory has no such user; mend that row and import the file again; the manager was left as it is", text, line)
	}
	return "", invalid(attrManager, "there is no user %s, neither in the file nor in the directory; the manager was left as it is", text)
}

// usersNamed returns the object ids of the users with this displayName. text may have the form "Ada
// Lovelace" or "Lovelace, Ada".
func (im *importRun) usersNamed(text string) []string {
	if ids := im.idsByDisplayName[scim.Fold(text)]; ids != nil {
		return ids
	}
	last, first, ok := strings.Cut(text, ",")
	if !ok {
		return nil
	}
	return im.idsByDisplayName[scim.Fold(strings.TrimSpace(first)+" "+strings.TrimSpace(last))]
}

// refusedRow returns the line of a refused row that has this userPrincipalName, employeeId or
// objectId, or 0.
func (im *importRun) refusedRow(text string) int {
	if im.refusedLines == nil {
		im.refusedLines = map[string]int{}
		for _, e := range im.plan.entries {
			for _, key := range []string{scim.Fold(e.givenValue(attrUPN)), "employeeId " + employeeKey(e.givenValue(attrEmployeeID)), scim.Fold(e.givenValue(attrObjectID))} {
				if e.refused && im.refusedLines[key] == 0 {
					im.refusedLines[key] = e.line()
				}
			}
		}
	}
	return cmp.Or(im.refusedLines[scim.Fold(text)], im.refusedLines["employeeId "+employeeKey(text)])
}

func (im *importRun) findAbsent() {
	for _, p := range im.plan.allUsers {
		if im.importedUsers[p.objectID] == nil && !im.mentionedUsers[p.objectID] {
			im.report.Absent = append(im.report.Absent, p.toPerson())
		}
	}
}

func (im *importRun) softDeleteAbsent(ctx context.Context) error {
	absent, before := len(im.report.Absent), im.report.Before
	if im.options.Absent != AbsentSoftDelete || absent == 0 {
		return nil
	}
	if im.unidentified > 0 {
		im.report.Refused = fmt.Sprintf("nobody was deleted: %s of the file could not be read, so it does not show who is absent; repair the file and import it again",
			phrase.Count(im.unidentified, "row", "rows"))
		return nil
	}
	if im.options.CutReason != "" && !im.options.Force {
		im.report.Refused, im.report.Forcible = "nobody was deleted: the file may have been cut off, so it does not show who is absent; check its last row", true
		return nil
	}
	if absent*10 > before && !im.options.Force {
		im.report.Refused = fmt.Sprintf("nobody was deleted: %d of %s (%d %%) are not in the file, which is more than 10 %%; check that the file is complete",
			absent, phrase.Count(before, "user", "users"), percentRoundedUp(absent, before))
		im.report.Forcible = true
		return nil
	}
	if im.options.DryRun {
		im.report.SoftDeleted = absent
		return nil
	}
	if im.options.BeforeSoftDelete != nil {
		im.options.BeforeSoftDelete(absent, before)
	}
	return pace.ForEachSlice(ctx, pace.ForImporting(), im.report.Absent, func(batch []Person) error {
		n := 0
		err := im.update(ctx, func(tx Tx) error {
			n = 0
			for _, p := range batch {
				u, err := tx.User(ctx, p.ObjectID)
				if errors.Is(err, refusal.NotFound) || err == nil && u.IsDeleted() {
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
		return nil
	})
}

func (im *importRun) finishReport() ImportReport {
	for _, p := range im.importedUsers {
		switch p.outcome {
		case created:
			im.report.Created++
		case updated:
			im.report.Updated++
		case restored:
			im.report.Restored++
		default:
			im.report.Unchanged++
			continue
		}
		step := ImportStep{Line: p.line, Person: p.user, Outcome: p.outcome.String(), Changed: p.changed}
		if p.outcome == created {
			step.Person.ObjectID = "" // a dry run has not created the user, so it has no id
		}
		im.report.Steps = append(im.report.Steps, step)
	}
	for i := range im.report.Errors {
		e := &im.report.Errors[i]
		if e.Flag == ignoreObjectIDsFlag && im.options.Columns[attrObjectID] != "" {
			e.Flag = fmt.Sprintf("--ignore-columns %q", im.options.Columns[attrObjectID])
		}
		e.Column = cmp.Or(im.options.Columns[e.Column], e.Column)
	}
	slices.SortFunc(im.report.Steps, func(a, b ImportStep) int { return a.Line - b.Line })
	slices.SortFunc(im.report.Duplicates, func(a, b DuplicateRow) int { return a.Line - b.Line })
	slices.SortStableFunc(im.report.Errors, func(a, b RowError) int {
		return cmp.Or(a.Line-b.Line, strings.Compare(a.Column, b.Column))
	})
	return im.report
}

// percentRoundedUp returns n as a percentage of the total of. It rounds up, so that the result is
// above 10 exactly when n is more than 10 % of the total.
func percentRoundedUp(n, of int) int {
	if of == 0 {
		return 100
	}
	return (n*100 + of - 1) / of
}
