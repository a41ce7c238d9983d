package directory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// plannedRow is a row of the file, with the user that it describes and the problems of the row.
type plannedRow struct {
	row            Row
	objectID       string          // the objectId; "" if the row has no valid objectId
	employeeKey    string          // the employeeId in the form that employeeKey returns; "" if the row has no valid employeeId
	foldedUPN      string          // the folded userPrincipalName; "" if the row has no valid userPrincipalName
	user           *knownUser      // the existing user of the row; nil for a new user
	keptAttributes map[string]bool // the attributes that keep their stored value, because the row's value has a problem
	refused        bool            // whether the whole row is refused, so that it changes nothing
	foundByName    bool            // whether the user was found by the userPrincipalName alone
	problems       []RowError
}

// line returns the line of the file where the row begins.
func (e *plannedRow) line() int { return e.row.Line }

// addProblem records a problem with one value of the row. The import does not write this value.
func (e *plannedRow) addProblem(attribute, format string, args ...any) {
	e.keptAttributes[attribute] = true
	e.problems = append(e.problems, RowError{Line: e.line(), Column: attribute, Detail: fmt.Sprintf(format, args...)})
}

// refuse records a problem because of which the whole row changes nothing.
func (e *plannedRow) refuse(attribute, format string, args ...any) {
	e.refused = true
	e.addProblem(attribute, format, args...)
}

// newName returns the folded userPrincipalName that the row gives to its user, or "" if the user
// keeps its name. A restored user always counts as getting a name.
func (e *plannedRow) newName() string {
	switch {
	case e.refused:
		return ""
	case e.user == nil:
		return e.foldedUPN
	case e.user.isDeleted():
		return cmp.Or(e.foldedUPN, e.user.foldedUPN)
	case e.foldedUPN != e.user.foldedUPN:
		return e.foldedUPN
	}
	return ""
}

// plan decides which user each row of a file describes, and which rows and values are refused. It
// considers all rows together, so their order does not matter.
type plan struct {
	*userRegister
	directory     string // the name of the directory, for messages
	entries       []*plannedRow
	duplicates    []DuplicateRow
	namelessCount int                        // how many rows are refused because they have no userPrincipalName, which a new user needs
	rowByUser     map[*knownUser]*plannedRow // the row of each existing user, without refused rows
	employeeKeys  map[string]bool            // the employeeKeys of all rows of the file
}

// newPlan makes the plan for the rows of a file. It finds the user of a row by objectId, then by
// employeeId, then by userPrincipalName.
func newPlan(directory string, r *userRegister, rows []Row) *plan {
	p := &plan{userRegister: r, directory: directory, rowByUser: map[*knownUser]*plannedRow{}, employeeKeys: map[string]bool{}}
	p.readRows(rows)
	for _, e := range p.entries {
		p.findByKey(e)
	}
	givenUp := p.findGivenUpNames()
	for _, e := range p.entries {
		if !e.refused && e.user == nil && e.objectID == "" {
			p.findByName(e, givenUp)
		}
	}
	p.refuseSharedKeys(attrObjectID, func(e *plannedRow) string { return e.objectID })
	p.refuseSharedKeys(attrEmployeeID, func(e *plannedRow) string {
		if e.keptAttributes[attrEmployeeID] || e.user != nil && e.user.employeeKey == e.employeeKey {
			return "" // the row's employeeId is not written, or the user has it already
		}
		return e.employeeKey
	})
	p.mergeRows()
	p.refuseNameConflicts()
	return p
}

// readRows reads the identifying values of each row. If several rows have exactly the same values,
// all but the first count as duplicates.
func (p *plan) readRows(rows []Row) {
	seen := map[string]int{}
	for _, row := range rows {
		text := rowText(row) + row.BuiltFrom
		if first, ok := seen[text]; ok {
			p.duplicates = append(p.duplicates, DuplicateRow{Line: row.Line, RepeatsLine: first})
			continue
		}
		seen[text] = row.Line
		p.entries = append(p.entries, p.readKeys(row))
	}
}

// rowText returns a string that is equal for rows with the same values.
func rowText(row Row) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(row.Values)) {
		fmt.Fprintf(&b, "%s=%q,", name, comparableForm(name, row.Values[name]))
	}
	return b.String()
}

// comparableForm returns an attribute's value in a form that is the same for two values with the
// same meaning.
func comparableForm(name, text string) string {
	text = strings.TrimSpace(text)
	switch name {
	case attrUPN, attrObjectID:
		return scim.Fold(text)
	case attrEmployeeID:
		return employeeKey(text)
	case attrAccountEnabled:
		if on, err := parseBoolean(text); err == nil {
			return strconv.FormatBool(on)
		}
	}
	return text
}

// readKeys reads the values of one row that identify its user.
func (p *plan) readKeys(row Row) *plannedRow {
	e := &plannedRow{row: row, keptAttributes: map[string]bool{}, problems: slices.Clone(row.Problems)}
	if column, text := p.commentValue(row); text != "" {
		e.refuse(column, "the row looks like a comment: it has %q here, and nothing else that names a user; delete the row, or give it a userPrincipalName", text)
		return e
	}
	for _, problem := range row.Problems {
		e.keptAttributes[problem.Column] = true
	}
	if id := strings.ToLower(strings.TrimSpace(row.Values[attrObjectID])); id != "" && isGUID(id) {
		e.objectID = id
	} else if id != "" {
		e.addProblem(attrObjectID, "objectId is a GUID such as 3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8, not %q; the number of an employee belongs into a column employeeId", id)
	}
	if text := strings.TrimSpace(row.Values[attrEmployeeID]); text != "" {
		e.employeeKey = employeeKey(text)
		err := checkText(attrEmployeeID, text)
		if err == nil && p.byEmployeeKey[e.employeeKey] == nil {
			err = checkVisibleAttribute(User{}, User{Attributes: map[string]any{attrEmployeeID: text}}, attrEmployeeID)
		}
		if err != nil {
			e.employeeKey = ""
			e.addProblem(attrEmployeeID, "%v", err)
		} else {
			p.employeeKeys[e.employeeKey] = true
		}
	}
	if text := strings.TrimSpace(row.Values[attrUPN]); text != "" {
		p.readName(e, text)
	}
	return e
}

// commentValue recognises a row that looks like a comment: one of its identifying values begins
// with #, and none of them identifies a user. It returns this value and its column, or "".
func (p *plan) commentValue(row Row) (column, text string) {
	for _, name := range []string{attrObjectID, attrEmployeeID, attrUPN} {
		v := strings.TrimSpace(row.Values[name])
		switch {
		case strings.HasPrefix(v, "#") && text == "" && !strings.Contains(v, "@") && len(p.byEmployeeKey[employeeKey(v)]) == 0:
			column, text = name, v
		case strings.Contains(v, "@"), name == attrObjectID && isGUID(strings.ToLower(v)), name == attrEmployeeID && v != "" && len(p.byEmployeeKey[employeeKey(v)]) > 0:
			return "", ""
		}
	}
	return column, text
}

// singleValueHint returns a hint for the error about a row with only one value, such as a title or
// a sum. Such a row probably does not describe a user. For all other rows it returns "".
func (e *plannedRow) singleValueHint() string {
	n := 0
	for _, text := range e.row.Values {
		if strings.TrimSpace(text) != "" {
			n++
		}
	}
	if n != 1 {
		return ""
	}
	return ". The row has one value only: if it is a title, a sum or a comment, delete it"
}

// readName checks the row's userPrincipalName, text, and stores it in e.foldedUPN. If the name is
// invalid, it adds a problem to the row.
func (p *plan) readName(e *plannedRow, text string) {
	err := cmp.Or(checkText(attrUPN, text), checkUPN(text))
	name := scim.Fold(text)
	if err == nil && p.byUPN[name] == nil && p.deletedByUPN[name] == nil {
		err = checkVisibleAttribute(User{}, User{Attributes: map[string]any{attrUPN: text}}, attrUPN)
		if twin := p.byUPN[scim.Fold(withoutInvisible(text))]; err != nil && twin != nil {
			err = fmt.Errorf("%w. Without it, this is the userPrincipalName of %s", err, twin)
		}
	}
	if err != nil {
		e.addProblem(attrUPN, "%v", err)
		return
	}
	e.foldedUPN = name
}

// String describes a user in so much detail that a reader can tell two users with the same name
// apart.
func (p *knownUser) String() string {
	text := p.displayName + " (" + p.upn
	if p.employeeID != "" {
		text += ", employeeId " + p.employeeID
	}
	text += ", objectId " + p.objectID
	if p.isDeleted() {
		text += ", deleted"
	}
	return text + ")"
}

const ignoreObjectIDsFlag = "--ignore-columns objectId"

// findByKey finds the user of a row by objectId or employeeId, even if the row has another
// userPrincipalName.
func (p *plan) findByKey(e *plannedRow) {
	holders := p.byEmployeeKey[e.employeeKey]
	if e.objectID != "" {
		e.user = p.byID[e.objectID]
		switch {
		case e.user == nil && len(holders) > 0:
			e.refuse(attrObjectID, "directory %s has no user with objectId %s, but employeeId %s belongs to %s; correct one of the two, or leave out the object ids of another directory",
				p.directory, e.objectID, e.givenValue(attrEmployeeID), holders[0])
			e.problems[len(e.problems)-1].Flag = ignoreObjectIDsFlag
		case e.user == nil || e.employeeKey == "" || e.employeeKey == e.user.employeeKey:
		case len(withoutUser(holders, e.user)) > 0:
			e.refuse(attrEmployeeID, "objectId names %s, but employeeId %s belongs to %s; correct one of the two", e.user, e.givenValue(attrEmployeeID), withoutUser(holders, e.user)[0])
		}
	} else if len(holders) > 0 {
		e.user = p.pickHolder(e, holders)
	}
	if e.user != nil && e.row.BuiltFrom != "" {
		e.row.Values = maps.Clone(e.row.Values)
		delete(e.row.Values, attrUPN)
		e.foldedUPN = ""
	}
	if e.user != nil && e.foldedUPN != "" && e.foldedUPN != e.user.foldedUPN {
		// readName accepts a name with invisible characters if a stored user has it. But this row
		// would give the name to another user.
		if err := checkVisibleAttribute(User{}, User{Attributes: map[string]any{attrUPN: e.givenValue(attrUPN)}}, attrUPN); err != nil {
			e.foldedUPN = ""
			e.addProblem(attrUPN, "%v", err)
		}
	}
}

// pickHolder chooses one of the users that have the row's employeeId. It prefers users that are not
// deleted, and among these the user that also has the row's userPrincipalName. If it cannot decide,
// it refuses the row and returns nil.
func (p *plan) pickHolder(e *plannedRow, holders []*knownUser) *knownUser {
	if living := notDeleted(holders); len(living) > 0 {
		holders = living
	}
	if len(holders) > 1 {
		named := slices.DeleteFunc(slices.Clone(holders), func(q *knownUser) bool { return q.foldedUPN != e.foldedUPN })
		if len(named) == 0 || len(named) > 1 && !named[0].isDeleted() {
			e.refuse(attrEmployeeID, "employeeId %s belongs to %s and to %s; give the row the objectId of one of them", e.givenValue(attrEmployeeID), holders[0], holders[1])
			return nil
		}
		slices.SortStableFunc(named, func(a, b *knownUser) int { return b.deleted.Compare(a.deleted) })
		holders = named
	}
	return holders[0]
}

// givenValue returns the row's value for an attribute, without spaces around it; "" if there is
// none.
func (e *plannedRow) givenValue(attribute string) string {
	return strings.TrimSpace(e.row.Values[attribute])
}

// findGivenUpNames returns the set of current names that users give up, because a row found by
// objectId or employeeId gives them another name.
func (p *plan) findGivenUpNames() map[string]bool {
	names := map[string]bool{}
	for _, e := range p.entries {
		if e.user != nil && !e.user.isDeleted() && e.newName() != "" {
			names[e.user.foldedUPN] = true
		}
	}
	return names
}

// findByName finds the user of a row that has neither an objectId nor a known employeeId. givenUp
// has the names that must not be found, because their users get other names.
func (p *plan) findByName(e *plannedRow, givenUp map[string]bool) {
	if e.foldedUPN == "" {
		p.refuseNameless(e)
		return
	}
	if holder := p.byUPN[e.foldedUPN]; holder != nil && !givenUp[e.foldedUPN] {
		switch {
		case e.employeeKey == "" || holder.employeeKey == "":
		case looseEmployeeKey(e.employeeKey) == looseEmployeeKey(holder.employeeKey):
			e.addProblem(attrEmployeeID, "employeeId %s is %s in the directory, which was kept; a spreadsheet may have taken zeros away", e.givenValue(attrEmployeeID), holder.employeeID)
		default:
			advice := "For another person, choose another name or rename the first; if the number has changed, add the objectId to the row"
			if e.row.BuiltFrom != "" {
				advice = builtNameAdvice
			}
			e.refuse(attrUPN, "userPrincipalName %s belongs to %s, but this row has employeeId %s. "+advice, e.givenValue(attrUPN), holder, e.givenValue(attrEmployeeID))
			return
		}
		e.user, e.foundByName = holder, true
		return
	}
	for _, q := range p.byLooseEmployeeKey[looseEmployeeKey(e.employeeKey)] {
		if e.employeeKey != "" && !p.employeeKeys[q.employeeKey] {
			e.refuse(attrEmployeeID, "employeeId %s may be %s of %s; a spreadsheet may have taken zeros away. Write the employeeId as the directory has it, or add the objectId to the row", e.givenValue(attrEmployeeID), q.employeeID, q)
			return
		}
	}
	if len(e.problems) > 0 {
		e.refused = true // a row with a wrong identifying value never creates a user
	}
}

// builtNameAdvice is the advice for a row if a template built a userPrincipalName that belongs to
// another user.
const builtNameAdvice = "The name was built from other columns. Build it so that it tells the two people apart, with the employee number for example, or give this row a userPrincipalName of its own"

// refuseNameless refuses a row for which no user was found and that has no userPrincipalName.
func (p *plan) refuseNameless(e *plannedRow) {
	if len(e.problems) == 0 {
		p.namelessCount++
	}
	switch {
	case len(e.problems) > 0:
		e.refused = true // the problem with the identifying value has been recorded already
	case e.employeeKey != "":
		e.refuse(attrUPN, "no user has employeeId %s, and the row has no userPrincipalName, which a new user needs%s", e.givenValue(attrEmployeeID), e.singleValueHint())
	default:
		e.refuse(attrUPN, "the row has neither an objectId nor an employeeId nor a userPrincipalName; give it one of them%s", e.singleValueHint())
	}
}

// refuseSharedKeys records a problem for rows of different users that have the same identifying
// value. attribute is the attribute, and key returns the value of a row. It refuses such rows as a
// whole if they describe new users.
func (p *plan) refuseSharedKeys(attribute string, key func(*plannedRow) string) {
	wanting := map[string][]*plannedRow{}
	for _, e := range p.entries {
		if k := key(e); k != "" && !e.refused {
			wanting[k] = append(wanting[k], e)
		}
	}
	for _, list := range wanting {
		if len(list) < 2 || isSameUser(list) {
			continue
		}
		for _, e := range list {
			other := list[0]
			if other == e {
				other = list[1]
			}
			e.addProblem(attribute, "line %d, about %s, has %s %s as well; one %s belongs to one person",
				other.line(), cmp.Or(other.givenValue(attrUPN), "another user"), attribute, e.givenValue(attribute), attribute)
			e.refused = e.user == nil
		}
	}
}

// isSameUser reports whether all rows describe the same existing user.
func isSameUser(list []*plannedRow) bool {
	return !slices.ContainsFunc(list, func(e *plannedRow) bool { return e.user == nil || e.user != list[0].user })
}

// mergeRows merges several rows of one user into one row. It keeps only the values in which the
// rows agree. If the rows differ in a value, it records a problem for each of the rows.
func (p *plan) mergeRows() {
	about := map[*knownUser][]*plannedRow{}
	for _, e := range p.entries {
		if !e.refused && e.user != nil {
			about[e.user] = append(about[e.user], e)
		}
	}
	for q, list := range about {
		if list = refuseSameBuiltNames(q, list); len(list) == 0 {
			continue
		}
		p.rowByUser[q] = list[0]
		if len(list) == 1 {
			continue
		}
		first := slices.MinFunc(list, func(a, b *plannedRow) int { return a.line() - b.line() })
		p.rowByUser[q] = first
		differ := first.keepCommonValues(list)
		for _, e := range list {
			first.objectID = cmp.Or(first.objectID, e.objectID) // the merged row must have every key that one of its rows has
		}
		for i, e := range list {
			e.refused = e != first
			other := first
			if e == first {
				other = list[(i+1)%len(list)]
			}
			if differ != nil {
				e.problems = append(e.problems, RowError{Line: e.line(), Detail: fmt.Sprintf(
					"line %d is about the same user, %s, and differs in %s; a user has one row, so this was left as it is", other.line(), q, strings.Join(differ, ", "))})
			} else if e != first {
				p.duplicates = append(p.duplicates, DuplicateRow{Line: e.line(), RepeatsLine: first.line()})
			}
		}
	}
}

// refuseSameBuiltNames gets all rows that describe the user q. If there are several, it refuses each
// row that names the user only by a name that a template built, because such a row may describe
// another person. It returns the remaining rows.
func refuseSameBuiltNames(q *knownUser, list []*plannedRow) []*plannedRow {
	built := func(e *plannedRow) bool { return e.foundByName && e.row.BuiltFrom != "" }
	first := slices.IndexFunc(list, built)
	if first < 0 || len(list) == 1 {
		return list
	}
	for i, e := range list {
		if built(e) {
			other := list[first]
			if i == first {
				other = list[(first+1)%len(list)]
			}
			e.refuse(attrUPN, "userPrincipalName %s is that of %s and of line %d as well. "+builtNameAdvice, e.givenValue(attrUPN), q, other.line())
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(e *plannedRow) bool { return e.refused })
}

// keepCommonValues gives the row e the values in which all rows of the same user, list, agree. It
// returns the attributes in which they differ.
func (e *plannedRow) keepCommonValues(list []*plannedRow) []string {
	values := map[string]string{}
	differ := map[string]bool{}
	for _, other := range list {
		for name, text := range other.row.Values {
			had, ok := values[name]
			switch {
			case name == attrObjectID || name != attrManager && other.keepsValue(name, strings.TrimSpace(text), User{Version: 1}):
			case !ok:
				values[name] = strings.TrimSpace(text)
			case !sameValue(name, had, strings.TrimSpace(text)):
				differ[name] = true
			}
		}
		for name := range other.keptAttributes {
			e.keptAttributes[name] = true
		}
	}
	for name := range differ {
		delete(values, name)
	}
	e.row = Row{Line: e.line(), Values: values}
	e.foldedUPN = ""
	if !e.keptAttributes[attrUPN] {
		e.foldedUPN = scim.Fold(values[attrUPN])
	}
	var names []string
	for _, a := range attributes {
		if differ[a.Name] {
			names = append(names, a.Name)
		}
	}
	return names
}

func sameValue(name, a, b string) bool { return comparableForm(name, a) == comparableForm(name, b) }

// refuseNameConflicts refuses new userPrincipalNames until no two users would have the same name.
// Each round checks all rows before it refuses any name, so the result does not depend on the order
// of the rows.
func (p *plan) refuseNameConflicts() {
	for {
		gaining := map[string][]*plannedRow{}
		for _, e := range p.entries {
			if name := e.newName(); name != "" {
				gaining[name] = append(gaining[name], e)
			}
		}
		var decisions []func()
		for name, list := range gaining {
			for _, e := range list {
				if decide := p.findObstacle(e, name, list); decide != nil {
					decisions = append(decisions, decide)
				}
			}
		}
		if len(decisions) == 0 {
			return
		}
		for _, decide := range decisions {
			decide()
		}
	}
}

// findObstacle checks whether the row e can give the name to its user. gaining has all rows that
// give this name to a user. If something prevents it, findObstacle returns a function that refuses
// the name or the row with the reason. Otherwise it returns nil.
func (p *plan) findObstacle(e *plannedRow, name string, gaining []*plannedRow) func() {
	deny := func(format string, args ...any) func() {
		return func() {
			if e.user == nil || e.user.isDeleted() {
				e.refuse(attrUPN, format, args...)
				delete(p.rowByUser, e.user)
				return
			}
			e.addProblem(attrUPN, format+"; the old name was kept", args...)
			e.foldedUPN = ""
		}
	}
	wanted := cmp.Or(e.givenValue(attrUPN), name)
	if holder := p.byUPN[name]; holder != nil {
		if p.isRenamed(holder) {
			return p.findObstacleInRows(e, wanted, gaining, deny)
		}
		if p.rowByUser[holder] != nil {
			return deny("userPrincipalName %s belongs to %s, who keeps it", wanted, holder)
		}
		// The row may describe either of two users, so write none of its values.
		return func() {
			switch {
			case e.user != nil:
				e.refuse(attrUPN, "the row names %s, but userPrincipalName %s belongs to %s; correct one of the two", e.user, wanted, holder)
			case e.objectID != "":
				e.refuse(attrUPN, "directory %s has no user with objectId %s, but userPrincipalName %s belongs to %s; correct one of the two, or leave out the object ids of another directory",
					p.directory, e.objectID, wanted, holder)
				e.problems[len(e.problems)-1].Flag = ignoreObjectIDsFlag
			default:
				e.refuse(attrUPN, "userPrincipalName %s belongs to another user, %s; choose another name", wanted, holder)
			}
			delete(p.rowByUser, e.user)
		}
	}
	for _, gone := range p.deletedByUPN[name] {
		if gone == e.user || p.rowByUser[gone] != nil && p.rowByUser[gone].newName() != name {
			continue
		}
		if p.rowByUser[gone] == nil {
			say := deny("userPrincipalName %s belonged to %s. For another person, delete the old user for good first. For the same person, give the row the same objectId or employeeId, or restore the old user", wanted, gone)
			return func() {
				say()
				last := &e.problems[len(e.problems)-1]
				last.Deleted = gone.objectID
				last.Commands = []string{"rollcall directory user purge " + p.directory + " " + gone.objectID, "rollcall directory user restore " + p.directory + " " + gone.objectID}
			}
		}
	}
	return p.findObstacleInRows(e, wanted, gaining, deny)
}

// findObstacleInRows is like findObstacle, but checks only the other rows that give the same name
// to their users.
func (p *plan) findObstacleInRows(e *plannedRow, wanted string, gaining []*plannedRow, deny func(string, ...any) func()) func() {
	for _, other := range gaining {
		if other != e {
			if e.row.BuiltFrom != "" {
				return deny("line %d has userPrincipalName %s as well; a name belongs to one user. "+builtNameAdvice, other.line(), wanted)
			}
			return deny("line %d has userPrincipalName %s as well; a name belongs to one user", other.line(), wanted)
		}
	}
	return nil
}

// isRenamed reports whether a row gives this user another name.
func (p *plan) isRenamed(q *knownUser) bool {
	e := p.rowByUser[q]
	if e == nil {
		return false
	}
	name := e.newName()
	return name != "" && name != q.foldedUPN
}

// groupUnits groups the rows into units that must be written together: if one user gets the name
// that another user gives up, their rows are in one unit. The units are in the order of their first
// rows.
func (p *plan) groupUnits() [][]*plannedRow {
	root := map[*plannedRow]*plannedRow{}
	find := func(e *plannedRow) *plannedRow {
		for root[e] != nil {
			if root[root[e]] != nil {
				root[e] = root[root[e]]
			}
			e = root[e]
		}
		return e
	}
	for _, e := range p.entries {
		holder := p.byUPN[e.newName()]
		if holder == nil || e.refused || p.rowByUser[holder] == e {
			continue
		}
		if a, b := find(e), find(p.rowByUser[holder]); a != b {
			root[b] = a
		}
	}
	index := map[*plannedRow]int{}
	var units [][]*plannedRow
	for _, e := range p.entries {
		if e.refused {
			continue
		}
		i, ok := index[find(e)]
		if !ok {
			i = len(units)
			index[find(e)] = i
			units = append(units, nil)
		}
		units[i] = append(units[i], e)
	}
	return units
}

// usersMentionedBy returns the users that a refused row may describe. They do not count as absent.
func (p *plan) usersMentionedBy(e *plannedRow) []*knownUser {
	list := []*knownUser{e.user, p.byID[e.objectID], p.byUPN[e.foldedUPN], p.byUPN[scim.Fold(withoutInvisible(e.givenValue(attrUPN)))]}
	list = append(list, p.byEmployeeKey[e.employeeKey]...)
	if e.employeeKey != "" {
		list = append(list, p.byLooseEmployeeKey[looseEmployeeKey(e.employeeKey)]...)
	}
	return slices.DeleteFunc(list, func(q *knownUser) bool { return q == nil })
}
