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

// entry is a row of the file, together with what the plan finds out about the row.
type entry struct {
	row            Row
	objectID       string          // the object id; "" if the row has no usable object id
	employeeKey    string          // the result of employeeKey; "" if the row has no usable employeeId
	name           string          // the folded userPrincipalName; "" if the row has no usable name
	person         *person         // the existing user of the row; nil for a new user
	keptAttributes map[string]bool // attributes that keep their stored value, because the row's value has a problem
	refused        bool            // whether the row is refused and so changes nothing
	byName         bool            // whether the person was found only by the name
	problems       []RowError
}

func (e *entry) line() int { return e.row.Line }

// problem reports a problem with one value of the row. The import then ignores the value.
func (e *entry) problem(attribute, format string, args ...any) {
	e.keptAttributes[attribute] = true
	e.problems = append(e.problems, RowError{Line: e.line(), Column: attribute, Detail: fmt.Sprintf(format, args...)})
}

// refuse reports a problem with the whole row. The row then changes nothing.
func (e *entry) refuse(attribute, format string, args ...any) {
	e.refused = true
	e.problem(attribute, format, args...)
}

// nameGained returns the name that the row gives to the user, or "" if the row does not change the
// name.
func (e *entry) nameGained() string {
	switch {
	case e.refused:
		return ""
	case e.person == nil:
		return e.name
	case e.person.isDeleted():
		return cmp.Or(e.name, e.person.name)
	case e.name != e.person.name:
		return e.name
	}
	return ""
}

// plan decides which user belongs to each row of a file. It considers all rows together, so their
// order does not matter.
type plan struct {
	*userRegister
	directory    string
	entries      []*entry
	duplicates   []DuplicateRow
	nameless     int
	byPerson     map[*person]*entry // the row of each person, without refused rows
	employeeKeys map[string]bool    // the employeeKeys that are in the file
}

// newPlan finds the user of each row: by objectId, else by employeeId, else by userPrincipalName.
func newPlan(directory string, r *userRegister, rows []Row) *plan {
	p := &plan{userRegister: r, directory: directory, byPerson: map[*person]*entry{}, employeeKeys: map[string]bool{}}
	p.readRows(rows)
	for _, e := range p.entries {
		p.findByKey(e)
	}
	givenUp := p.namesGivenUp()
	for _, e := range p.entries {
		if !e.refused && e.person == nil && e.objectID == "" {
			p.findByName(e, givenUp)
		}
	}
	p.refuseSharedKeys(attrObjectID, func(e *entry) string { return e.objectID })
	p.refuseSharedKeys(attrEmployeeID, func(e *entry) string {
		if e.keptAttributes[attrEmployeeID] || e.person != nil && e.person.employeeKey == e.employeeKey {
			return "" // the row's employeeId is not used, or its user has it already
		}
		return e.employeeKey
	})
	p.mergeRows()
	p.settleNames()
	return p
}

// readRows reads the keys of each row. Rows whose values are all the same count as one.
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
		fmt.Fprintf(&b, "%s=%q,", name, sameForm(name, row.Values[name]))
	}
	return b.String()
}

// sameForm returns a form of the value for comparison. Two values with the same meaning have the
// same form.
func sameForm(name, text string) string {
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

func (p *plan) readKeys(row Row) *entry {
	e := &entry{row: row, keptAttributes: map[string]bool{}, problems: slices.Clone(row.Problems)}
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
		e.problem(attrObjectID, "objectId is a GUID such as 3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8, not %q; the number of an employee belongs into a column employeeId", id)
	}
	if text := strings.TrimSpace(row.Values[attrEmployeeID]); text != "" {
		e.employeeKey = employeeKey(text)
		err := checkText(attrEmployeeID, text)
		if err == nil && p.byEmployeeKey[e.employeeKey] == nil {
			err = checkVisibleAttribute(User{}, User{Attributes: map[string]any{attrEmployeeID: text}}, attrEmployeeID)
		}
		if err != nil {
			e.employeeKey = ""
			e.problem(attrEmployeeID, "%v", err)
		} else {
			p.employeeKeys[e.employeeKey] = true
		}
	}
	if text := strings.TrimSpace(row.Values[attrUPN]); text != "" {
		p.readName(e, text)
	}
	return e
}

// commentValue returns the row's first value if the row looks like a comment: the value begins with
// #, and no key of the row is valid.
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

// singleValueHint returns a hint for a row with only one value, such as a heading or a total. Such
// a row may not describe a user.
func (e *entry) singleValueHint() string {
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

func (p *plan) readName(e *entry, text string) {
	err := cmp.Or(checkText(attrUPN, text), checkUPN(text))
	name := scim.Fold(text)
	if err == nil && p.byUPN[name] == nil && p.deletedByUPN[name] == nil {
		err = checkVisibleAttribute(User{}, User{Attributes: map[string]any{attrUPN: text}}, attrUPN)
		if twin := p.byUPN[scim.Fold(withoutInvisible(text))]; err != nil && twin != nil {
			err = fmt.Errorf("%w. Without it, this is the userPrincipalName of %s", err, twin)
		}
	}
	if err != nil {
		e.problem(attrUPN, "%v", err)
		return
	}
	e.name = name
}

// String describes a person so that a reader can tell two people with the same name apart.
func (p *person) String() string {
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

// findByKey finds the user by objectId or employeeId, even if the row has another
// userPrincipalName.
func (p *plan) findByKey(e *entry) {
	holders := p.byEmployeeKey[e.employeeKey]
	if e.objectID != "" {
		e.person = p.byID[e.objectID]
		switch {
		case e.person == nil && len(holders) > 0:
			e.refuse(attrObjectID, "directory %s has no user with objectId %s, but employeeId %s belongs to %s; correct one of the two, or leave out the object ids of another directory",
				p.directory, e.objectID, e.givenValue(attrEmployeeID), holders[0])
			e.problems[len(e.problems)-1].Flag = ignoreObjectIDsFlag
		case e.person == nil || e.employeeKey == "" || e.employeeKey == e.person.employeeKey:
		case len(withoutPerson(holders, e.person)) > 0:
			e.refuse(attrEmployeeID, "objectId names %s, but employeeId %s belongs to %s; correct one of the two", e.person, e.givenValue(attrEmployeeID), withoutPerson(holders, e.person)[0])
		}
	} else if len(holders) > 0 {
		e.person = p.pickHolder(e, holders)
	}
	if e.person != nil && e.row.BuiltFrom != "" {
		e.row.Values = maps.Clone(e.row.Values)
		delete(e.row.Values, attrUPN)
		e.name = ""
	}
	if e.person != nil && e.name != "" && e.name != e.person.name {
		// readName accepts a name with invisible characters if a stored user has it already. This
		// row would give that name to a different user.
		if err := checkVisibleAttribute(User{}, User{Attributes: map[string]any{attrUPN: e.givenValue(attrUPN)}}, attrUPN); err != nil {
			e.name = ""
			e.problem(attrUPN, "%v", err)
		}
	}
}

// pickHolder chooses one of the users that have the row's employeeId. It prefers users that are not
// deleted, and among these the user that also has the row's userPrincipalName.
func (p *plan) pickHolder(e *entry, holders []*person) *person {
	if living := notDeleted(holders); len(living) > 0 {
		holders = living
	}
	if len(holders) > 1 {
		named := slices.DeleteFunc(slices.Clone(holders), func(q *person) bool { return q.name != e.name })
		if len(named) == 0 || len(named) > 1 && !named[0].isDeleted() {
			e.refuse(attrEmployeeID, "employeeId %s belongs to %s and to %s; give the row the objectId of one of them", e.givenValue(attrEmployeeID), holders[0], holders[1])
			return nil
		}
		slices.SortStableFunc(named, func(a, b *person) int { return b.deleted.Compare(a.deleted) })
		holders = named
	}
	return holders[0]
}

func (e *entry) givenValue(attribute string) string {
	return strings.TrimSpace(e.row.Values[attribute])
}

// namesGivenUp returns the current names of users that the file renames. These users are found by
// objectId or employeeId, not by name.
func (p *plan) namesGivenUp() map[string]bool {
	names := map[string]bool{}
	for _, e := range p.entries {
		if e.person != nil && !e.person.isDeleted() && e.nameGained() != "" {
			names[e.person.name] = true
		}
	}
	return names
}

// findByName finds the user of a row that has neither an objectId nor a known employeeId.
func (p *plan) findByName(e *entry, givenUp map[string]bool) {
	if e.name == "" {
		p.refuseNameless(e)
		return
	}
	if holder := p.byUPN[e.name]; holder != nil && !givenUp[e.name] {
		switch {
		case e.employeeKey == "" || holder.employeeKey == "":
		case looseEmployeeKey(e.employeeKey) == looseEmployeeKey(holder.employeeKey):
			e.problem(attrEmployeeID, "employeeId %s is %s in the directory, which was kept; a spreadsheet may have taken zeros away", e.givenValue(attrEmployeeID), holder.employeeID)
		default:
			advice := "For another person, choose another name or rename the first; if the number has changed, add the objectId to the row"
			if e.row.BuiltFrom != "" {
				advice = builtNameAdvice
			}
			e.refuse(attrUPN, "userPrincipalName %s belongs to %s, but this row has employeeId %s. "+advice, e.givenValue(attrUPN), holder, e.givenValue(attrEmployeeID))
			return
		}
		e.person, e.byName = holder, true
		return
	}
	for _, q := range p.byLooseEmployeeKey[looseEmployeeKey(e.employeeKey)] {
		if e.employeeKey != "" && !p.employeeKeys[q.employeeKey] {
			e.refuse(attrEmployeeID, "employeeId %s may be %s of %s; a spreadsheet may have taken zeros away. Write the employeeId as the directory has it, or add the objectId to the row", e.givenValue(attrEmployeeID), q.employeeID, q)
			return
		}
	}
	if len(e.problems) > 0 {
		e.refused = true // a row with a bad key never creates a user
	}
}

// builtNameAdvice is the advice for a row whose template builds a name that another person already
// has.
const builtNameAdvice = "The name was built from other columns. Build it so that it tells the two people apart, with the employee number for example, or give this row a userPrincipalName of its own"

func (p *plan) refuseNameless(e *entry) {
	if len(e.problems) == 0 {
		p.nameless++
	}
	switch {
	case len(e.problems) > 0:
		e.refused = true // a problem with the key was reported already
	case e.employeeKey != "":
		e.refuse(attrUPN, "no user has employeeId %s, and the row has no userPrincipalName, which a new user needs%s", e.givenValue(attrEmployeeID), e.singleValueHint())
	default:
		e.refuse(attrUPN, "the row has neither an objectId nor an employeeId nor a userPrincipalName; give it one of them%s", e.singleValueHint())
	}
}

// refuseSharedKeys refuses rows of different people that have the same key.
func (p *plan) refuseSharedKeys(attribute string, key func(*entry) string) {
	wanting := map[string][]*entry{}
	for _, e := range p.entries {
		if k := key(e); k != "" && !e.refused {
			wanting[k] = append(wanting[k], e)
		}
	}
	for _, list := range wanting {
		if len(list) < 2 || samePerson(list) {
			continue
		}
		for _, e := range list {
			other := list[0]
			if other == e {
				other = list[1]
			}
			e.problem(attribute, "line %d, about %s, has %s %s as well; one %s belongs to one person",
				other.line(), cmp.Or(other.givenValue(attrUPN), "another user"), attribute, e.givenValue(attribute), attribute)
			e.refused = e.person == nil
		}
	}
}

// samePerson reports whether all rows belong to one existing user.
func samePerson(list []*entry) bool {
	return !slices.ContainsFunc(list, func(e *entry) bool { return e.person == nil || e.person != list[0].person })
}

// mergeRows merges several rows of one user into one row. It keeps the values that are the same in
// all rows. It reports a problem for each value that differs.
func (p *plan) mergeRows() {
	about := map[*person][]*entry{}
	for _, e := range p.entries {
		if !e.refused && e.person != nil {
			about[e.person] = append(about[e.person], e)
		}
	}
	for q, list := range about {
		if list = refuseSameBuilt(q, list); len(list) == 0 {
			continue
		}
		p.byPerson[q] = list[0]
		if len(list) == 1 {
			continue
		}
		first := slices.MinFunc(list, func(a, b *entry) int { return a.line() - b.line() })
		p.byPerson[q] = first
		differ := first.keepAgreed(list)
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

// refuseSameBuilt refuses rows that found the same user only because the names that were built for
// them are equal. Such rows may describe different people. It returns the remaining rows.
func refuseSameBuilt(q *person, list []*entry) []*entry {
	built := func(e *entry) bool { return e.byName && e.row.BuiltFrom != "" }
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
	return slices.DeleteFunc(slices.Clone(list), func(e *entry) bool { return e.refused })
}

// keepAgreed keeps the values of an entry with which all other rows of the same user agree. It
// returns the attributes whose values differ.
func (e *entry) keepAgreed(list []*entry) []string {
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
	e.name = ""
	if !e.keptAttributes[attrUPN] {
		e.name = scim.Fold(values[attrUPN])
	}
	var names []string
	for _, a := range attributes {
		if differ[a.Name] {
			names = append(names, a.Name)
		}
	}
	return names
}

func sameValue(name, a, b string) bool { return sameForm(name, a) == sameForm(name, b) }

// settleNames refuses new names until no two users would end up with the same name. Each round
// checks all rows before it refuses any, so the outcome does not depend on the order of the rows.
func (p *plan) settleNames() {
	for {
		gaining := map[string][]*entry{}
		for _, e := range p.entries {
			if name := e.nameGained(); name != "" {
				gaining[name] = append(gaining[name], e)
			}
		}
		var decisions []func()
		for name, list := range gaining {
			for _, e := range list {
				if decide := p.obstacle(e, name, list); decide != nil {
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

// obstacle finds out why a row cannot give the name to its user. It returns a function that reports
// the reason and a remedy, or nil if nothing prevents the change.
func (p *plan) obstacle(e *entry, name string, gaining []*entry) func() {
	deny := func(format string, args ...any) func() {
		return func() {
			if e.person == nil || e.person.isDeleted() {
				e.refuse(attrUPN, format, args...)
				delete(p.byPerson, e.person)
				return
			}
			e.problem(attrUPN, format+"; the old name was kept", args...)
			e.name = ""
		}
	}
	wanted := cmp.Or(e.givenValue(attrUPN), name)
	if holder := p.byUPN[name]; holder != nil {
		if p.isRenamed(holder) {
			return p.obstacleOfRows(e, wanted, gaining, deny)
		}
		if p.byPerson[holder] != nil {
			return deny("userPrincipalName %s belongs to %s, who keeps it", wanted, holder)
		}
		// The row may describe either of two people, so do not write any of its values.
		return func() {
			switch {
			case e.person != nil:
				e.refuse(attrUPN, "the row names %s, but userPrincipalName %s belongs to %s; correct one of the two", e.person, wanted, holder)
			case e.objectID != "":
				e.refuse(attrUPN, "directory %s has no user with objectId %s, but userPrincipalName %s belongs to %s; correct one of the two, or leave out the object ids of another directory",
					p.directory, e.objectID, wanted, holder)
				e.problems[len(e.problems)-1].Flag = ignoreObjectIDsFlag
			default:
				e.refuse(attrUPN, "userPrincipalName %s belongs to another user, %s; choose another name", wanted, holder)
			}
			delete(p.byPerson, e.person)
		}
	}
	for _, gone := range p.deletedByUPN[name] {
		if gone == e.person || p.byPerson[gone] != nil && p.byPerson[gone].nameGained() != name {
			continue
		}
		if p.byPerson[gone] == nil {
			say := deny("userPrincipalName %s belonged to %s. For another person, delete the old user for good first. For the same person, give the row the same objectId or employeeId, or restore the old user", wanted, gone)
			return func() {
				say()
				last := &e.problems[len(e.problems)-1]
				last.Deleted = gone.objectID
				last.Commands = []string{"rollcall directory user purge " + p.directory + " " + gone.objectID, "rollcall directory user restore " + p.directory + " " + gone.objectID}
			}
		}
	}
	return p.obstacleOfRows(e, wanted, gaining, deny)
}

// obstacleOfRows is like obstacle, but for several rows that give the same name to different users.
func (p *plan) obstacleOfRows(e *entry, wanted string, gaining []*entry, deny func(string, ...any) func()) func() {
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

// isRenamed reports whether some row gives the user another name.
func (p *plan) isRenamed(q *person) bool {
	e := p.byPerson[q]
	if e == nil {
		return false
	}
	name := e.nameGained()
	return name != "" && name != q.name
}

// groupUnits groups rows that must be written together, because one user gets the name that another
// user gives up. It sorts the groups by their first lines.
func (p *plan) groupUnits() [][]*entry {
	root := map[*entry]*entry{}
	find := func(e *entry) *entry {
		for root[e] != nil {
			if root[root[e]] != nil {
				root[e] = root[root[e]]
			}
			e = root[e]
		}
		return e
	}
	for _, e := range p.entries {
		holder := p.byUPN[e.nameGained()]
		if holder == nil || e.refused || p.byPerson[holder] == e {
			continue
		}
		if a, b := find(e), find(p.byPerson[holder]); a != b {
			root[b] = a
		}
	}
	index := map[*entry]int{}
	var units [][]*entry
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

// mentionedBy returns the users that a refused row may name. They do not count as absent.
func (p *plan) mentionedBy(e *entry) []*person {
	list := []*person{e.person, p.byID[e.objectID], p.byUPN[e.name], p.byUPN[scim.Fold(withoutInvisible(e.givenValue(attrUPN)))]}
	list = append(list, p.byEmployeeKey[e.employeeKey]...)
	if e.employeeKey != "" {
		list = append(list, p.byLooseEmployeeKey[looseEmployeeKey(e.employeeKey)]...)
	}
	return slices.DeleteFunc(list, func(q *person) bool { return q == nil })
}
