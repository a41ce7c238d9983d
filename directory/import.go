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

// batchRows is how many rows one transaction writes at most. It is also the default size of a page
// for readers of changes and snapshots.
const batchRows = 500

// Row is one line of a file. Values has the row's values by attribute name. An attribute that is
// not in Values keeps its stored value; "" clears it. The value of manager may be a
// userPrincipalName, an object id, an employeeId, or a displayName that only one user has.
type Row struct {
	Line     int
	Values   map[string]string
	Problems []RowError // errors about values of the row that could not be read
	// BuiltFrom is set if a template built the row's userPrincipalName from other columns;
	// otherwise it is "". It has all cells of the row, because two rows that differ in any cell may
	// describe different people. If the user is found by objectId or employeeId, the built name is
	// not used.
	BuiltFrom string
}

// RowError says what is wrong with one row. Column is the column that has the wrong value, or "" if
// the whole row is wrong.
type RowError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Detail string `json:"detail"`
	Flag   string `json:"flag,omitempty"` // a flag of rollcall directory import that solves the problem, or ""
	// Deleted is the object id of a deleted user that prevents the change, or "". Commands are
	// shell commands of which each would solve the problem.
	Deleted  string   `json:"deleted,omitempty"`
	Commands []string `json:"commands,omitempty"`
}

// DuplicateRow says that a row repeats an earlier row.
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

// Absent says what an import does with users that are not in the file.
type Absent string

const (
	AbsentKeep       Absent = ""
	AbsentSoftDelete Absent = "soft-delete"
)

// ImportOptions say how to import users.
type ImportOptions struct {
	Absent Absent
	Force  bool // whether to soft-delete absent users even if they are more than 10 % of all users, or if CutReason is set
	DryRun bool // whether to report what would happen, without changing anything
	// BeforeSoftDelete, if set, is called before absent users are deleted. absent is how many users
	// will be deleted, and of is how many users the directory had.
	BeforeSoftDelete func(absent, of int)
	// Progress, if set, is called from time to time. done is how many rows have been written, and
	// of is how many rows there are.
	Progress func(done, of int)
	// Columns maps attributes to the names of their columns in the file, if the names differ.
	Columns map[string]string
	// CutReason, if set, says why the end of the file seems to be missing. Then absent users are
	// soft-deleted only if Force is set.
	CutReason string
	Actor     string
}

// Person is a user in a report.
type Person struct {
	ObjectID          string `json:"objectId"`
	UserPrincipalName string `json:"userPrincipalName"`
	DisplayName       string `json:"displayName"`
}

// ImportReport counts the changes that an import made, or would have made if DryRun is true. A row
// counts as created, updated, restored or unchanged even if some of its values had problems and
// were not written.
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
	Absent      []Person       `json:"absent"` // users that were not deleted when the import began and are not in the file
	SoftDeleted int            `json:"softDeleted"`
	// Nameless counts the rows that were refused because they have no userPrincipalName, which a
	// new user needs.
	Nameless int `json:"nameless,omitempty"`
	// Refused says why absent users were not soft-deleted although ImportOptions.Absent asked for
	// this. Otherwise it is "".
	Refused string `json:"refused,omitempty"`
	// Forcible says whether ImportOptions.Force would make the import soft-delete the absent users
	// in spite of Refused.
	Forcible bool `json:"forcible,omitempty"`
	// Notes are sentences for the user about how the file was read. The caller of Import sets them.
	Notes []string `json:"notes,omitempty"`
	// Steps has one entry for each row that changed a user.
	Steps []ImportStep `json:"-"`
}

// ImportStep is the change that one row made to a user. Changed has the new values of the changed
// attributes.
type ImportStep struct {
	Line    int
	Person  Person // the user; its ObjectID is "" if the row created the user
	Outcome string // created, updated or restored
	Changed map[string]string
}

// Import writes users into the directory. It finds the user of a row by objectId, or by employeeId
// if the row has no objectId, or by userPrincipalName if the row has neither. Soft-deleted users
// are found only by objectId and employeeId, and are then restored.
//
// Import reads all rows before it writes the first user, and the order of rows does not matter. It
// sets managers after it has written all users. It skips values and rows with problems and reports
// them. If rows yields an error that is not a *RowError, Import returns this error and writes
// nothing.
//
// Importing the same rows again changes nothing and writes no events.
func (h *Handle) Import(ctx context.Context, rows iter.Seq2[Row, error], o ImportOptions) (r ImportReport, err error) {
	err = h.runAsImport(ctx, "users", o.Actor, o.DryRun, func(ctx context.Context) error {
		r, err = h.importUsers(ctx, rows, o)
		return err
	})
	return r, err
}

// importUsers reads all rows, plans the changes, and writes them in batches. Then it sets the
// managers and deletes absent users.
func (h *Handle) importUsers(ctx context.Context, rows iter.Seq2[Row, error], o ImportOptions) (ImportReport, error) {
	im := &importRun{
		Handle: h, options: o, importedUsers: map[string]*importedUser{}, mentionedUsers: map[string]bool{}, idByUPN: map[string]string{}, idsByEmployeeKey: map[string][]string{}, idsByDisplayName: map[string][]string{},
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
	im.report.Duplicates, im.report.Nameless = im.plan.duplicates, im.plan.namelessCount
	if err := im.writeRows(ctx); err != nil {
		return im.finishReport(), err
	}
	im.collectNames()
	if err := pace.ForEachSlice(ctx, pace.ForImporting(), im.managersToSet, func(some []managerToSet) error { return im.setManagers(ctx, some) }); err != nil {
		return im.finishReport(), err
	}
	im.findAbsent()
	err = im.softDeleteAbsent(ctx)
	return im.finishReport(), err
}

// enabledWordFlags names the flags that solve the problem of a value that is neither true nor
// false.
const enabledWordFlags = "--enabled-words or --disabled-words"

// outcome says what an import did with the user or group of a row.
type outcome int

const (
	failed outcome = iota
	unchanged
	updated
	restored
	created
)

// String returns the outcome as a word.
func (o outcome) String() string {
	return [...]string{"failed", "unchanged", "updated", "restored", "created"}[o]
}

// importedUser is a user that a row of the file describes, with the result of that row.
type importedUser struct {
	line        int
	outcome     outcome
	user        Person
	employeeKey string            // the user's employeeId in the form that employeeKey returns
	changed     map[string]string // the new values of the changed attributes
}

// managerToSet is the manager that a row gives to its user. Managers are set after all users have
// been written.
type managerToSet struct {
	line              int
	objectID, manager string // the user's object id, and the value in the column manager
}

// importRun is one run of Import: what it was asked to do, and what it has read and written so far.
type importRun struct {
	*Handle
	options           ImportOptions
	report            ImportReport
	plan              *plan
	importedUsers     map[string]*importedUser // the users of all rows that were written, by object id
	mentionedUsers    map[string]bool          // object ids of users that refused rows may describe; such users do not count as absent
	managersToSet     []managerToSet
	unidentifiedCount int                 // how many refused rows give no hint which user they describe
	idByUPN           map[string]string   // the object ids by folded userPrincipalName, as they are after the import
	idsByEmployeeKey  map[string][]string // the object ids by employeeKey, as they are after the import
	idsByDisplayName  map[string][]string // the object ids by folded displayName, as they are after the import
	refusedLines      map[string]int      // the line numbers of refused rows by each value that identifies their user; nil until refusedRow fills it
}

// readRows reads all rows. It adds a row that cannot be read to the report and leaves it out.
func (im *importRun) readRows(rows iter.Seq2[Row, error]) ([]Row, error) {
	var read []Row
	for row, err := range rows {
		var broken *RowError
		if errors.As(err, &broken) {
			im.report.Rows++
			im.unidentifiedCount++
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

// errDryRun makes the store roll back the transaction of a dry run, in which all changes have been
// tried.
var errDryRun = errors.New("dry run")

// transaction runs fn in a transaction, which is rolled back in a dry run.
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

// writeRows writes the users of all rows, a few hundred in each transaction. Rows of users that
// exchange their names are in the same transaction.
func (im *importRun) writeRows(ctx context.Context) error {
	var batch [][]*plannedRow
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

// addMentioned notes that the users that a refused row may describe are not absent from the file.
// It counts the rows that describe no known user and have no name.
func (im *importRun) addMentioned(e *plannedRow) {
	about := im.plan.usersMentionedBy(e)
	for _, q := range about {
		im.mentionedUsers[q.objectID] = true
	}
	if len(about) == 0 && e.foldedUPN == "" {
		im.unidentifiedCount++
	}
}

// rowResult is the result of one row in a transaction that is not committed yet.
type rowResult struct {
	entry         *plannedRow
	before, after User
	outcome       outcome
	problems      []RowError
}

func (im *importRun) writeBatch(ctx context.Context, batch [][]*plannedRow) error {
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

// recordResult records the result of a row whose transaction has been committed.
func (im *importRun) recordResult(r rowResult) {
	e := r.entry
	e.problems = append(e.problems, r.problems...)
	if r.outcome == failed {
		e.refused = true
		return
	}
	i := &importedUser{
		line: e.line(), outcome: r.outcome, employeeKey: employeeKey(r.after.Text(attrEmployeeID)), changed: map[string]string{},
		user: Person{ObjectID: r.after.ObjectID, UserPrincipalName: r.after.UPN(), DisplayName: r.after.DisplayName()},
	}
	for _, name := range changedNames(r.before, r.after) {
		i.changed[name] = r.after.Text(name)
	}
	im.importedUsers[r.after.ObjectID] = i
	if manager, ok := e.row.Values[attrManager]; ok && !e.keptAttributes[attrManager] {
		im.managersToSet = append(im.managersToSet, managerToSet{line: e.line(), objectID: r.after.ObjectID, manager: strings.TrimSpace(manager)})
	}
}

// writeUnit writes rows that must be written together; see groupUnits. If one of them cannot be
// written, none is written. It returns an error only if the whole import must end.
func (im *importRun) writeUnit(ctx context.Context, tx Tx, unit []*plannedRow) ([]rowResult, error) {
	results := make([]rowResult, len(unit))
	var broken *rowResult
	for i, e := range unit {
		r, err := im.prepareRow(ctx, tx, e)
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
	// First give every renamed user a temporary name. So users can exchange their names, even in a
	// circle.
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

// prepareRow reads the stored user of a row and computes the changed user, but writes nothing. If
// the row cannot be written, the outcome is failed.
func (im *importRun) prepareRow(ctx context.Context, tx Tx, e *plannedRow) (rowResult, error) {
	r := rowResult{entry: e, outcome: unchanged}
	fail := func(column, format string, args ...any) (rowResult, error) {
		r.outcome = failed
		r.problems = append(r.problems, RowError{Line: e.line(), Column: column, Detail: fmt.Sprintf(format, args...)})
		return r, nil
	}
	id := e.objectID
	if e.user != nil {
		id = e.user.objectID
	}
	if id != "" {
		u, err := tx.User(ctx, id)
		switch {
		case errors.Is(err, refusal.NotFound) && e.user == nil:
		case errors.Is(err, refusal.NotFound) || err == nil && (e.user == nil || e.user.hasChangedKeys(u)):
			return fail("", changedMeanwhile, id)
		case err != nil:
			return r, err
		}
		r.before = u
	}
	if name := e.newName(); name != "" && !im.isGivenUp(name) {
		other, err := tx.UserByUPN(ctx, name)
		if err == nil && other.ObjectID != id {
			return fail(attrUPN, changedMeanwhile, other.description())
		}
		if err != nil && !errors.Is(err, refusal.NotFound) {
			return r, err
		}
	}
	r.after, r.problems = e.fillUser(r.before)
	if r.before.Version == 0 && len(r.problems)+len(e.problems) > 0 {
		r.outcome = failed
	}
	return r, nil
}

// isGivenUp reports whether a row of the file gives another name to the user that has this name
// now.
func (im *importRun) isGivenUp(name string) bool {
	holder := im.plan.byUPN[name]
	return holder != nil && im.plan.isRenamed(holder)
}

// hasChangedKeys reports whether u, the stored user, no longer has the identifying values that it
// had when the plan was made.
func (p *knownUser) hasChangedKeys(u User) bool {
	return u.FoldedUPN() != p.foldedUPN || employeeKey(u.Text(attrEmployeeID)) != p.employeeKey || !u.Deleted.Equal(p.deleted)
}

// fillUser returns the user before with the row's values, except the manager. If a value has a
// problem, the user keeps the old value and fillUser returns a RowError.
func (e *plannedRow) fillUser(before User) (User, []RowError) {
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

func (e *plannedRow) toRowError(err error) RowError {
	problem := RowError{Line: e.line(), Detail: err.Error()}
	if rule, ok := refusal.Find(err); ok {
		problem.Column = rule.Field
	}
	return problem
}

// keepsValue reports whether the row's value text must not change the attribute. For example, an
// empty value cannot clear the identifier by which the user was found.
func (e *plannedRow) keepsValue(name, text string, before User) bool {
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

// writeRow creates, restores or updates a user. before is the user before the import; its Version
// is 0 if there was none.
func (im *importRun) writeRow(ctx context.Context, tx Tx, before, after User) (User, outcome, error) {
	if before.Version == 0 {
		u, _, err := im.createUser(ctx, tx, after, im.options.Actor)
		return u, created, err
	}
	if before.IsDeleted() {
		if err := im.checkAgainstOthers(ctx, tx, User{}, after); err != nil {
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

// collectNames collects the names and employeeIds that all users have after the import, so that
// findManager can search for them.
func (im *importRun) collectNames() {
	for _, p := range im.plan.allUsers {
		if im.importedUsers[p.objectID] == nil {
			im.idByUPN[p.foldedUPN] = p.objectID
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

// setManagers sets the managers of a batch of users in one transaction.
func (im *importRun) setManagers(ctx context.Context, batch []managerToSet) error {
	var changedTo map[string]string // the new managers, by the object id of the user
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

// setManager sets the manager of one user. It reports whether that changes the user.
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
		return manager != "", nil // in a dry run, a new user does not exist here; its manager would be set
	}
	if err != nil || u.Text(attrManager) == manager {
		return false, err
	}
	if im.options.DryRun {
		return true, nil // earlier transactions of a dry run were rolled back, so u lacks their changes and must not be saved
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

// findManager returns the object id of the user that a value of the column manager identifies. It
// returns "" if the value is "", and a refusal if the value identifies no user or several.
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

// refusedRow returns the line number of a refused row that has this userPrincipalName, employeeId
// or objectId. It returns 0 if there is none.
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

// findAbsent adds the users that no row of the file describes or mentions to the report.
func (im *importRun) findAbsent() {
	for _, p := range im.plan.allUsers {
		if im.importedUsers[p.objectID] == nil && !im.mentionedUsers[p.objectID] {
			im.report.Absent = append(im.report.Absent, p.toPerson())
		}
	}
}

// softDeleteAbsent soft-deletes the absent users if the options say so. It refuses if the file may
// be incomplete or too many users are absent.
func (im *importRun) softDeleteAbsent(ctx context.Context) error {
	absent, before := len(im.report.Absent), im.report.Before
	if im.options.Absent != AbsentSoftDelete || absent == 0 {
		return nil
	}
	if im.unidentifiedCount > 0 {
		im.report.Refused = fmt.Sprintf("nobody was deleted: %s of the file could not be read, so it does not show who is absent; repair the file and import it again",
			phrase.Count(im.unidentifiedCount, "row", "rows"))
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

// finishReport counts the outcomes of all users, and returns the report.
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
			step.Person.ObjectID = "" // a dry run has not created the user, so the id would be wrong
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

// percentRoundedUp returns n as a percentage of total. It rounds up, so that the result is above 10
// exactly if n is more than 10 % of total.
func percentRoundedUp(n, total int) int {
	if total == 0 {
		return 100
	}
	return (n*100 + total - 1) / total
}
