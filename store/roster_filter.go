package store

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// prefilter is an SQL condition that every resource that matches a filter satisfies. The database
// can check it with its indexes. The SQL is empty if no index helps with the filter.
type prefilter struct {
	sql          string
	args         []any
	exact        bool // whether every resource that satisfies sql matches the filter
	selective    bool // whether an index finds the resources that satisfy sql and reads no others
	fewResources bool // whether few resources satisfy sql, so that it is cheaper to sort them
	skewed       bool // whether few resources satisfy sql for most values, but many for some
	otherTable   bool // whether sql reads rows of another table

	alternatives []prefilter // the parts of an "or", of which a resource must satisfy at least one

	count string // a query that counts the resources without reading them, with the same arguments; empty if there is none
}

// noPrefilter is for a filter with which no index helps.
var noPrefilter = prefilter{}

// everyResource is the prefilter that every resource satisfies. "1 = 1" means the same on both
// databases.
var everyResource = prefilter{sql: "1 = 1", exact: true}

// noResource is the prefilter that no resource satisfies.
var noResource = prefilter{sql: "1 = 0", exact: true}.markSelective()

// newPrefilter compiles a filter to SQL. The SQL calls the resource r. before is the number of
// placeholders that the query has already; the first new placeholder gets the next number. Column
// names come from this file and values become arguments, so no part of a request becomes SQL.
func newPrefilter(q roster.ListQuery, site string, declared declaredRows, before int) prefilter {
	if q.Filter == nil {
		return everyResource
	}
	n := filterCompiler{site: site, kind: q.Kind, groups: q.Groups, declared: declared}.prefilterNode(q.Filter.Root, false)
	return n.numberPlaceholders(before)
}

// numberPlaceholders replaces each ? with a numbered placeholder. The first one is $n with n =
// before+1.
func (n prefilter) numberPlaceholders(before int) prefilter {
	n.sql, n.count = numberPlaceholders(n.sql, before), numberPlaceholders(n.count, 0)
	return n
}

// numberPlaceholders replaces each ? in the SQL with a numbered placeholder. The first one gets the
// number before+1.
func numberPlaceholders(sql string, before int) string {
	var b strings.Builder
	for i := 0; i < len(sql); i++ {
		if sql[i] != '?' {
			b.WriteByte(sql[i])
			continue
		}
		before++
		b.WriteString("$" + strconv.Itoa(before))
	}
	return b.String()
}

// filterCompiler compiles a filter on one kind of resource of a site.
type filterCompiler struct {
	site     string
	kind     scim.TypeName
	groups   bool // whether the resources are users and the site gives users the attribute groups
	declared declaredRows
}

// prefilterNode compiles a filter node, or its negation if not is set. It pushes the negation down
// to the comparisons, because the negation of noPrefilter must be noPrefilter too.
func (n filterCompiler) prefilterNode(node scim.Node, not bool) prefilter {
	switch node := node.(type) {
	case scim.And:
		return n.prefilterPair(node.Left, node.Right, not, !not)
	case scim.Or:
		return n.prefilterPair(node.Left, node.Right, not, not)
	case scim.Not:
		return n.prefilterNode(node.Node, !not)
	case scim.Compare:
		return negateIf(n.prefilterCompare(node), not)
	case scim.Present:
		return negateIf(n.prefilterPresent(node.Path), not)
	case scim.ValuePath:
		return negateIf(n.prefilterValuePath(node), not)
	}
	return noPrefilter
}

// prefilterPair compiles two filters joined with "and" or "or". If not is true, both are negated
// first.
func (n filterCompiler) prefilterPair(left, right scim.Node, not, and bool) prefilter {
	a, b := n.prefilterNode(left, not), n.prefilterNode(right, not)
	if and {
		return conjunction(a, b)
	}
	return n.disjunction(a, b)
}

// conjunction combines two prefilters with "and". If no index helps with one side, it returns the
// prefilter of the other side.
func conjunction(a, b prefilter) prefilter {
	switch {
	case a.sql == "":
		b.exact = false
		return b
	case b.sql == "":
		a.exact = false
		return a
	}
	return prefilter{
		sql:          "(" + a.sql + " and " + b.sql + ")",
		args:         append(append([]any{}, a.args...), b.args...),
		exact:        a.exact && b.exact,
		selective:    a.selective || b.selective,
		fewResources: a.fewResources || b.fewResources,
		skewed:       (a.skewed || !a.selective) && (b.skewed || !b.selective),
		otherTable:   a.otherTable || b.otherTable,
	}
}

// disjunction combines two prefilters with "or". It returns noPrefilter unless indexes help
// with both sides.
func (n filterCompiler) disjunction(a, b prefilter) prefilter {
	if a.sql == "" || b.sql == "" {
		return noPrefilter
	}
	either := prefilter{
		sql:          "(" + a.sql + " or " + b.sql + ")",
		args:         append(append([]any{}, a.args...), b.args...),
		exact:        a.exact && b.exact,
		selective:    a.selective && b.selective,
		fewResources: a.fewResources && b.fewResources,
		skewed:       a.skewed || b.skewed,
		otherTable:   a.otherTable || b.otherTable,
	}
	if either.selective {
		either.setUnion(n.site, append(a.orParts(), b.orParts()...))
	}
	return either
}

// orParts returns the parts of a prefilter that was built with "or", or the prefilter itself.
func (n prefilter) orParts() []prefilter {
	if n.alternatives != nil {
		return slices.Clone(n.alternatives)
	}
	return []prefilter{n}
}

// setUnion turns the parts of an "or" into a union of queries. Each part has its own index, but no
// index serves all parts together. For a plain "or", PostgreSQL would walk the whole list. SQLite
// would do the same if one of the indexes is partial.
func (n *prefilter) setUnion(site string, parts []prefilter) {
	var sql []string
	n.args, n.alternatives = nil, parts
	for _, p := range parts {
		sql = append(sql, "select r.id from resource r where r.site = ? and "+p.sql)
		n.args = append(append(n.args, site), p.args...)
	}
	n.sql = "r.id in (" + strings.Join(sql, " union all ") + ")"
}

// negateIf negates an exact prefilter if not is set. Negating an inexact prefilter would drop
// matches, so negateIf returns noPrefilter for it.
func negateIf(n prefilter, not bool) prefilter {
	switch {
	case !not:
		return n
	case !n.exact:
		return noPrefilter
	}
	n.sql = "not coalesce(" + n.sql + ", false)"
	n.selective, n.fewResources, n.count, n.alternatives = false, false, "", nil
	return n
}

// column is a database column with a copy of an attribute, case-folded unless the attribute is
// caseExact.
type column struct {
	name      string
	caseExact bool
	optional  bool // the column is an empty string if the attribute is missing
}

// textColumn returns the column of a single-valued core string attribute. Only users and groups
// have columns for userName and displayName; on other resource types these names belong to the
// type's own attributes.
func textColumn(kind scim.TypeName, name string) (column, bool) {
	switch {
	case name == "id":
		return column{name: "r.id", caseExact: true}, true
	case name == "externalId":
		return column{name: "r.external_id", caseExact: true, optional: true}, true
	case name == "userName" && kind == roster.User:
		return column{name: "r.user_name"}, true
	case name == "displayName" && (kind == roster.User || kind == roster.Group):
		return column{name: "r.display_name", optional: true}, true
	}
	return column{}, false
}

// timeColumns are the sub-attributes of meta that have a column. Like the documents, the columns
// are precise to the millisecond.
var timeColumns = map[string]string{
	"created":      "r.created",
	"lastModified": "r.modified",
}

// prefilterCompare compiles a comparison of an attribute with a value.
func (n filterCompiler) prefilterCompare(c scim.Compare) prefilter {
	path, op := c.Path, c.Op
	text, isText := c.Value.(string)
	if isText && strings.ContainsRune(text, 0) {
		return noPrefilter // PostgreSQL rejects strings with a NUL, and no stored value contains one
	}
	if rows, declared := n.declared.paths[path]; declared {
		return n.prefilterDeclared(rows, c)
	}
	if path.URN != "" {
		return noPrefilter
	}
	switch {
	case path.Name == "meta":
		return prefilterTime(timeColumns[path.Sub], op, c.Value)
	case n.kind == roster.User:
		if known, ok := n.prefilterUserAttribute(path, op, c.Value); ok {
			return known
		}
	case n.kind == roster.Group && path == membersPath && isText && op == scim.Eq:
		return n.prefilterByMember("m.group_id", "m.member", text)
	case n.kind == roster.Group && path == memberNamesPath && isText && op == scim.Eq && text != "":
		return n.prefilterByMemberName(text)
	}
	if column, indexed := textColumn(n.kind, path.Name); indexed && path.Sub == "" && isText {
		return prefilterText(column, op, text)
	}
	return noPrefilter
}

// The paths of attributes that have rows in other tables.
var (
	emailsPath  = scim.AttrPath{Name: "emails", Sub: "value"}
	membersPath = scim.AttrPath{Name: "members", Sub: "value"}
	groupsPath  = scim.AttrPath{Name: "groups", Sub: "value"}

	memberNamesPath = scim.AttrPath{Name: "members", Sub: "display"}
)

// prefilterUserAttribute returns the prefilter for a comparison with an attribute that only users
// have. ok is false for any other attribute.
func (n filterCompiler) prefilterUserAttribute(path scim.AttrPath, op scim.Op, value any) (prefilter, bool) {
	text, isText := value.(string)
	switch {
	case path == scim.AttrPath{Name: "active"}:
		return prefilterActive(op, value), true
	case path == scim.AttrPath{Name: "userType"} && isText:
		return prefilterRole(op, text), true
	case path == emailsPath && isText:
		return n.prefilterByValue(roster.EmailPath, op, text), true
	case path == groupsPath && isText && op == scim.Eq && text != "" && !n.groups:
		return noResource, true
	case path == groupsPath && isText && op == scim.Eq:
		return n.prefilterByMember("m.member", "m.group_id", text), true
	}
	return prefilter{}, false
}

// prefilterByMember returns a prefilter by membership rows. It finds the rows that have the id in
// the column known. It selects the resources whose ids are in the column wanted of these rows. All
// stored ids are in lower case, so it also puts the id into lower case.
func (n filterCompiler) prefilterByMember(wanted, known, id string) prefilter {
	if id == "" {
		return noPrefilter
	}
	return prefilter{
		sql:        "r.id in (select " + wanted + " from membership m where m.site = ? and " + known + " = ?)",
		args:       []any{n.site, scim.Fold(id)},
		exact:      true,
		skewed:     known == "m.group_id", // a group has any number of members
		otherTable: true,
	}.markSelective()
}

// prefilterByMemberName returns the prefilter for groups that have a member with this displayName.
func (n filterCompiler) prefilterByMemberName(name string) prefilter {
	return prefilter{
		sql: `r.id in (
			select m.group_id
			from resource u
			join membership m on m.site = u.site and m.member = u.id
			where u.site = ? and u.kind in (?, ?) and u.display_name <> '' and u.display_name = ?)`,
		args:       []any{n.site, string(roster.User), string(roster.Group), scim.Fold(name)},
		exact:      true,
		otherTable: true,
	}.markSelective()
}

// prefilterText returns the prefilter for a comparison of a column with a string.
func prefilterText(c column, op scim.Op, text string) prefilter {
	if text == "" {
		return noPrefilter // no stored value is empty, so the filter's evaluator must decide about an empty string
	}
	if !c.caseExact {
		text = scim.Fold(text)
	}
	var n prefilter
	switch op {
	case scim.Eq:
		n = prefilter{sql: c.name + " = ?", args: []any{text}, exact: true}.markSelective()
		if c.optional {
			n.sql = "(" + c.name + " <> '' and " + n.sql + ")" // the index on this column is partial: it leaves out empty values
		}
	case scim.Ne:
		n = prefilter{sql: "coalesce(" + c.name + ", '') <> ?", args: []any{text}, exact: true}
	case scim.Co, scim.Sw, scim.Ew:
		if c.caseExact {
			return noPrefilter // SQLite's like ignores the case of ASCII letters
		}
		n = prefilter{sql: c.name + ` like ? escape '\'`, args: []any{likePattern(op, text)}, exact: true}
	default:
		return prefilterOrder(c, op, text)
	}
	return n
}

// orderOperators maps the ordering operators to SQL. Both databases compare strings byte by byte,
// as the evaluator does.
var orderOperators = map[scim.Op]string{scim.Gt: ">", scim.Ge: ">=", scim.Lt: "<", scim.Le: "<="}

// prefilterOrder returns the prefilter for a comparison of a column with a string by one of the
// orderOperators.
func prefilterOrder(c column, op scim.Op, text string) prefilter {
	sign, known := orderOperators[op]
	if !known {
		return noPrefilter
	}
	n := prefilter{sql: c.name + " " + sign + " ?", args: []any{text}, exact: true}
	if c.optional {
		n.sql = "(" + c.name + " <> '' and " + n.sql + ")"
	}
	return n
}

// likePattern escapes the special characters of "like" and adds the wildcards for the operator.
func likePattern(op scim.Op, text string) string {
	text = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
	if op != scim.Sw {
		text = "%" + text
	}
	if op != scim.Ew {
		text += "%"
	}
	return text
}

// prefilterActive returns the prefilter for a comparison of the attribute active with a boolean.
func prefilterActive(op scim.Op, value any) prefilter {
	active, isBool := value.(bool)
	if !isBool || op != scim.Eq && op != scim.Ne {
		return noPrefilter
	}
	if active == (op == scim.Eq) {
		return prefilter{sql: "r.active", exact: true}
	}
	return prefilter{sql: "not r.active", exact: true}
}

// prefilterRole returns the prefilter for a comparison with userType by the role of users. A user
// with a special role always has that role as userType. Any other user can have any userType except
// the name of a special role.
func prefilterRole(op scim.Op, text string) prefilter {
	if op != scim.Eq && op != scim.Ne || text == "" {
		return noPrefilter
	}
	role, known := roster.ParseRole(text)
	if !known || role == roster.RoleRegistered {
		if op == scim.Ne {
			return noPrefilter
		}
		return prefilter{sql: "r.role = ?", args: []any{string(roster.RoleRegistered)}}
	}
	return negateIf(prefilter{
		sql:   "(r.role in ('Moderator', 'Admin') and r.role = ?)", // the index on roles is partial: it has only the special roles
		args:  []any{string(role)},
		exact: true,
	}.markSelective(), op == scim.Ne)
}

// prefilterTime returns the prefilter for a comparison with a time. It compares milliseconds, the
// precision of the documents.
func prefilterTime(column string, op scim.Op, value any) prefilter {
	text, _ := value.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if column == "" || err != nil {
		return noPrefilter
	}
	sign, known := orderOperators[op]
	if op == scim.Eq {
		sign, known = "=", true
	}
	if !known || at.Nanosecond()%int(time.Microsecond) != 0 {
		return noPrefilter
	}
	return prefilter{sql: column + " " + sign + " ?", args: []any{at.UnixMicro()}, exact: true}
}

// prefilterByValue returns the prefilter for resources with a value row for the path. The value of
// that row must satisfy the operator.
func (n filterCompiler) prefilterByValue(path string, op scim.Op, text string) prefilter {
	if text == "" {
		return noPrefilter
	}
	folded := scim.Fold(text)
	switch op {
	case scim.Eq:
		return n.prefilterByRows(path, "v.value = ?", folded).markSelective()
	case scim.Co, scim.Sw, scim.Ew:
		// The database must walk through all values to find those that contain a string.
		return n.prefilterByRows(path, `v.value like ? escape '\'`, likePattern(op, folded))
	case scim.Gt, scim.Ge, scim.Lt, scim.Le:
		return n.prefilterByRows(path, "v.value "+orderOperators[op]+" ?", folded)
	}
	return noPrefilter
}

// prefilterByRows returns the prefilter for resources that have a value row for the path. That row
// must satisfy the condition.
func (n filterCompiler) prefilterByRows(path, condition string, args ...any) prefilter {
	return prefilter{
		sql:        "r.id in (select v.resource from resource_value v where v.site = ? and v.path = ? and " + condition + ")",
		args:       append([]any{n.site, path}, args...),
		exact:      true,
		otherTable: true,
	}
}

// markSelective marks a prefilter for which an index finds a few rows.
func (n prefilter) markSelective() prefilter {
	n.selective, n.fewResources = true, true
	return n
}

// prefilterDeclared returns the prefilter for a comparison with a declared attribute, by its value
// rows. The rows are case-folded even for caseExact attributes, and contain only the beginning of
// long values.
func (n filterCompiler) prefilterDeclared(rows string, c scim.Compare) prefilter {
	if c.Attr == nil {
		return noPrefilter // the resource type has no attribute with this name
	}
	key, whole := roster.IndexKey(c.Value)
	if key == "" {
		return noPrefilter
	}
	text, isText := c.Value.(string)
	part := isText && (c.Op == scim.Sw || c.Op == scim.Co || c.Op == scim.Ew)
	var found prefilter
	switch end, ends := prefixEnd(key); {
	case c.Op == scim.Eq:
		found = n.prefilterToRange(valueRange{rows, key, key + "\x01", "*"}) // the range contains exactly the rows with this key, because no stored value contains NUL
	case part && c.Attr.CaseExact:
		// The folded rows cannot be searched for part of a caseExact value: folding can join a
		// letter and its accent, so a substring of a value need not be a substring of the folded
		// value.
		found = n.prefilterToAnyRow(rows)
	case part && c.Op == scim.Sw && ends:
		found = n.prefilterToRange(valueRange{rows, key, end, "distinct v.resource"})
	case part:
		found = n.prefilterByRows(rows, `(v.value like ? escape '\' or length(v.value) = ? or v.value = '')`, likePattern(c.Op, scim.Fold(text)), roster.MaxIndexedRunes)
		whole = false
	default:
		return noPrefilter
	}
	found.exact = whole && !c.Attr.CaseExact && !n.declared.crowded[rows]
	return found
}

// prefilterToRange returns the prefilter for resources with a value row in a range. An index finds
// these rows, so the prefilter is always selective. It has fewResources set unless the range has
// many rows.
func (n filterCompiler) prefilterToRange(r valueRange) prefilter {
	if n.declared.usedRanges != nil {
		*n.declared.usedRanges = append(*n.declared.usedRanges, r)
	}
	found := n.prefilterByRows(r.path, "v.value >= ? and v.value < ?", r.from, r.to)
	found.count = "select count(" + r.countExpr + ") from resource_value v where v.site = ? and v.path = ? and v.value >= ? and v.value < ?"
	if n.declared.crowded[r.path] {
		found.sql = strings.TrimSuffix(found.sql, ")") + " union all select v.resource from resource_value v where v.site = ? and v.path = ? and v.value = '')"
		found.args, found.count = append(found.args, n.site, r.path), ""
	}
	found.selective, found.fewResources = true, !n.declared.many[r]
	return found
}

// prefilterToAnyRow returns the prefilter for resources that have any value row for a path.
func (n filterCompiler) prefilterToAnyRow(path string) prefilter {
	return prefilter{
		sql:        "r.id in (select v.resource from resource_value v where v.site = ? and v.path = ?)",
		args:       []any{n.site, path},
		exact:      true,
		otherTable: true,
	}
}

// prefixEnd returns the smallest string that is greater than every string with this prefix. ok is
// false if there is none.
func prefixEnd(prefix string) (end string, ok bool) {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		switch {
		case runes[i] == utf8.MaxRune:
			continue
		case runes[i] == firstSurrogate-1:
			runes[i] = firstSurrogate + surrogateCount
		default:
			runes[i]++
		}
		return string(runes[:i+1]), true
	}
	return "", false
}

// The range of surrogates, which strings do not contain.
const (
	firstSurrogate = 0xD800
	surrogateCount = 0x800
)

// prefilterPresent returns the prefilter for resources that have a value of an attribute.
func (n filterCompiler) prefilterPresent(path scim.AttrPath) prefilter {
	if rows, declared := n.declared.paths[path]; declared {
		return n.prefilterToAnyRow(rows)
	}
	if path.URN != "" {
		return noPrefilter
	}
	if n.kind == roster.Group && path.Name == "members" && (path.Sub == "" || path.Sub == "value" || path.Sub == "type") {
		return prefilter{sql: "exists (select 1 from membership m where m.site = ? and m.group_id = r.id)", args: []any{n.site}, exact: true}
	}
	if n.kind == roster.User && path.Name == "groups" && path.Sub == "" && !n.groups {
		return noResource
	}
	if n.kind == roster.User && path.Name == "groups" && path.Sub == "" {
		return prefilter{sql: "exists (select 1 from membership m where m.site = ? and m.member = r.id)", args: []any{n.site}, exact: true}
	}
	if path.Sub != "" {
		return noPrefilter
	}
	switch {
	case path.Name == "id", path.Name == "meta", path.Name == "active" && n.kind == roster.User:
		return everyResource // every resource has these attributes
	}
	c, indexed := textColumn(n.kind, path.Name)
	if !indexed {
		return noPrefilter
	}
	return prefilter{sql: "coalesce(" + c.name + ", '') <> ''", exact: true}
}

// prefilterValuePath returns the prefilter for a value path, by the indexed sub-attributes in its
// filter. For emails[type eq "work" and value eq "x"] it finds the resources with the value x, and
// the evaluator checks that a single element satisfies both conditions.
func (n filterCompiler) prefilterValuePath(node scim.ValuePath) prefilter {
	inner := n.prefilterElement(node.Path, node.Filter)
	c, one := node.Filter.(scim.Compare)
	if !one || c.Path.Name != "value" || node.Path.URN != "" || node.Path.Name != "groups" && node.Path.Name != "members" {
		inner.exact = false
	}
	return inner
}

// prefilterElement compiles a filter on the sub-attributes of one element of an attribute. If the
// element has a value, the resource has the value too, so the indexes on resources apply.
func (n filterCompiler) prefilterElement(of scim.AttrPath, node scim.Node) prefilter {
	switch node := node.(type) {
	case scim.And:
		return conjunction(n.prefilterElement(of, node.Left), n.prefilterElement(of, node.Right))
	case scim.Or:
		return n.disjunction(n.prefilterElement(of, node.Left), n.prefilterElement(of, node.Right))
	case scim.Present:
		if path := n.pathInElement(of, node.Path.Name); n.declared.paths[path] != "" {
			return n.prefilterPresent(path)
		}
	case scim.Compare:
		path := n.pathInElement(of, node.Path.Name)
		node.Path = path
		switch {
		case n.declared.paths[path] != "",
			n.kind == roster.User && (path == emailsPath || path == groupsPath),
			n.kind == roster.Group && (path == membersPath || path == memberNamesPath):
			return n.prefilterCompare(node)
		}
	}
	return noPrefilter
}

// pathInElement returns the full path of a sub-attribute of the attribute of. If that attribute is
// not complex, the name "value" means the element itself.
func (n filterCompiler) pathInElement(of scim.AttrPath, name string) scim.AttrPath {
	if _, declared := n.declared.paths[of]; declared && name == "value" {
		return of
	}
	of.Sub = name
	return of
}
