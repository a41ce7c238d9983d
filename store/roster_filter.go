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

// narrowing is what the indexes can say about a filter: SQL that no matching resource fails. A filter they say
// nothing about has empty SQL.
type narrowing struct {
	sql       string
	args      []any
	exact     bool // every resource that passes matches
	selective bool // an index finds those that pass, without looking at others
	few       bool // there are few of them, so that sorting them is cheaper than walking a sorted index
	skewed    bool // few for most values, and any number for some
	elsewhere bool // it looks at rows of another table

	either []narrowing // its parts, where passing one of them suffices

	count string // what counts those that pass without looking at them, under the same arguments; empty for nothing
}

// maybe is the answer of an index that knows nothing.
var maybe = narrowing{}

// always lets everything pass; "1 = 1" means the same on both databases.
var always = narrowing{sql: "1 = 1", exact: true}

// nothing lets nothing pass.
var nothing = narrowing{sql: "1 = 0", exact: true}.markSelective()

// narrow compiles a filter. Its SQL calls the resource r, and its placeholders count on from the arguments before it.
// Columns come from this file and values are bound: nothing of a request becomes SQL text.
func narrow(q roster.ListQuery, site string, declared declaredRows, before int) narrowing {
	if q.Filter == nil {
		return always
	}
	n := narrower{site: site, kind: q.Kind, groups: q.Groups, declared: declared}.node(q.Filter.Root, false)
	return n.numbered(before)
}

// numbered replaces each ? by its $n.
func (n narrowing) numbered(before int) narrowing {
	n.sql, n.count = numbered(n.sql, before), numbered(n.count, 0)
	return n
}

func numbered(sql string, before int) string {
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

type narrower struct {
	site     string
	kind     roster.Kind
	groups   bool // users have groups
	declared declaredRows
}

// node compiles a node, or its opposite when not is set: negation is pushed to the leaves, so that "maybe" stays
// "maybe" under it.
func (n narrower) node(node scim.Node, not bool) narrowing {
	switch node := node.(type) {
	case scim.And:
		return n.both(node.Left, node.Right, not, !not)
	case scim.Or:
		return n.both(node.Left, node.Right, not, not)
	case scim.Not:
		return n.node(node.Node, !not)
	case scim.Compare:
		return negate(n.compare(node), not)
	case scim.Present:
		return negate(n.present(node.Path), not)
	case scim.ValuePath:
		return negate(n.valuePath(node), not)
	}
	return maybe
}

func (n narrower) both(left, right scim.Node, not, and bool) narrowing {
	a, b := n.node(left, not), n.node(right, not)
	if and {
		return conjunction(a, b)
	}
	return n.disjunction(a, b)
}

// conjunction narrows by what is known of either side.
func conjunction(a, b narrowing) narrowing {
	switch {
	case a.sql == "":
		b.exact = false
		return b
	case b.sql == "":
		a.exact = false
		return a
	}
	return narrowing{
		sql:       "(" + a.sql + " and " + b.sql + ")",
		args:      append(append([]any{}, a.args...), b.args...),
		exact:     a.exact && b.exact,
		selective: a.selective || b.selective,
		few:       a.few || b.few,
		skewed:    (a.skewed || !a.selective) && (b.skewed || !b.selective),
		elsewhere: a.elsewhere || b.elsewhere,
	}
}

// disjunction narrows only when both sides are known of.
func (n narrower) disjunction(a, b narrowing) narrowing {
	if a.sql == "" || b.sql == "" {
		return maybe
	}
	either := narrowing{
		sql:       "(" + a.sql + " or " + b.sql + ")",
		args:      append(append([]any{}, a.args...), b.args...),
		exact:     a.exact && b.exact,
		selective: a.selective && b.selective,
		few:       a.few && b.few,
		skewed:    a.skewed || b.skewed,
		elsewhere: a.elsewhere || b.elsewhere,
	}
	if either.selective {
		either.unite(n.site, append(a.parts(), b.parts()...))
	}
	return either
}

// parts are those that a narrowing was made of by or; itself where it was not.
func (n narrowing) parts() []narrowing {
	if n.either != nil {
		return slices.Clone(n.either)
	}
	return []narrowing{n}
}

// unite asks for each part by itself. Each has its index and all together have none: PostgreSQL would walk the list, and
// SQLite would where one of the indexes is partial.
func (n *narrowing) unite(site string, parts []narrowing) {
	var sql []string
	n.args, n.either = nil, parts
	for _, p := range parts {
		sql = append(sql, "select r.id from resource r where r.site = ? and "+p.sql)
		n.args = append(append(n.args, site), p.args...)
	}
	n.sql = "r.id in (" + strings.Join(sql, " union all ") + ")"
}

// negate turns an exact answer around. The opposite of an answer that lets too many pass would lose some.
func negate(n narrowing, not bool) narrowing {
	switch {
	case !not:
		return n
	case !n.exact:
		return maybe
	}
	n.sql = "not coalesce(" + n.sql + ", false)"
	n.selective, n.few, n.count, n.either = false, false, "", nil
	return n
}

// column is a folded copy of an attribute.
type column struct {
	name      string
	caseExact bool
	optional  bool // empty text where the attribute is missing
}

// textColumn is the column of a single-valued core text attribute. What other kinds than users and groups call userName
// or displayName is theirs.
func textColumn(kind roster.Kind, name string) (column, bool) {
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

// timeColumns are the sub-attributes of meta with a column, to the millisecond like the document.
var timeColumns = map[string]string{
	"created":      "r.created",
	"lastModified": "r.modified",
}

func (n narrower) compare(c scim.Compare) narrowing {
	path, op := c.Path, c.Op
	text, isText := c.Value.(string)
	if isText && strings.ContainsRune(text, 0) {
		return maybe // PostgreSQL takes no such text, and nothing stored has one
	}
	if rows, declared := n.declared.paths[path]; declared {
		return n.compareDeclared(rows, c)
	}
	if path.URN != "" {
		return maybe
	}
	switch {
	case path.Name == "meta":
		return compareTime(timeColumns[path.Sub], op, c.Value)
	case n.kind == roster.User:
		if known, ok := n.compareUser(path, op, c.Value); ok {
			return known
		}
	case n.kind == roster.Group && path == members && isText && op == scim.Eq:
		return n.member("m.group_id", "m.member", text)
	case n.kind == roster.Group && path == memberNames && isText && op == scim.Eq && text != "":
		return n.memberNamed(text)
	}
	if column, indexed := textColumn(n.kind, path.Name); indexed && path.Sub == "" && isText {
		return compareText(column, op, text)
	}
	return maybe
}

var (
	emails  = scim.AttrPath{Name: "emails", Sub: "value"}
	members = scim.AttrPath{Name: "members", Sub: "value"}
	groups  = scim.AttrPath{Name: "groups", Sub: "value"}

	memberNames = scim.AttrPath{Name: "members", Sub: "display"}
)

// compareUser narrows by what only users have.
func (n narrower) compareUser(path scim.AttrPath, op scim.Op, value any) (narrowing, bool) {
	text, isText := value.(string)
	switch {
	case path == scim.AttrPath{Name: "active"}:
		return compareActive(op, value), true
	case path == scim.AttrPath{Name: "userType"} && isText:
		return compareRole(op, text), true
	case path == emails && isText:
		return n.value(roster.EmailPath, op, text), true
	case path == groups && isText && op == scim.Eq && text != "" && !n.groups:
		return nothing, true
	case path == groups && isText && op == scim.Eq:
		return n.member("m.member", "m.group_id", text), true
	}
	return narrowing{}, false
}

// member narrows by a row of membership. Ids are compared without case there; they are lower case themselves.
func (n narrower) member(wanted, known, id string) narrowing {
	if id == "" {
		return maybe
	}
	return narrowing{
		sql:       "r.id in (select " + wanted + " from membership m where m.site = ? and " + known + " = ?)",
		args:      []any{n.site, scim.Fold(id)},
		exact:     true,
		skewed:    known == "m.group_id", // a group has any number of members
		elsewhere: true,
	}.markSelective()
}

// memberNamed narrows to groups that have a member with that displayName.
func (n narrower) memberNamed(name string) narrowing {
	return narrowing{
		sql: `r.id in (
			select m.group_id
			from resource u
			join membership m on m.site = u.site and m.member = u.id
			where u.site = ? and u.kind in (?, ?) and u.display_name <> '' and u.display_name = ?)`,
		args:      []any{n.site, string(roster.User), string(roster.Group), scim.Fold(name)},
		exact:     true,
		elsewhere: true,
	}.markSelective()
}

func compareText(c column, op scim.Op, text string) narrowing {
	if text == "" {
		return maybe // nothing stored is empty; the evaluator says what an empty text means
	}
	if !c.caseExact {
		text = scim.Fold(text)
	}
	var n narrowing
	switch op {
	case scim.Eq:
		n = narrowing{sql: c.name + " = ?", args: []any{text}, exact: true}.markSelective()
		if c.optional {
			n.sql = "(" + c.name + " <> '' and " + n.sql + ")" // the index is partial
		}
	case scim.Ne:
		n = narrowing{sql: "coalesce(" + c.name + ", '') <> ?", args: []any{text}, exact: true}
	case scim.Co, scim.Sw, scim.Ew:
		if c.caseExact {
			return maybe // SQLite's like ignores the case of ASCII letters
		}
		n = narrowing{sql: c.name + ` like ? escape '\'`, args: []any{likePattern(op, text)}, exact: true}
	default:
		return compareOrder(c, op, text)
	}
	return n
}

// orders are the operators of order. Both databases compare texts byte by byte, as the evaluator does.
var orders = map[scim.Op]string{scim.Gt: ">", scim.Ge: ">=", scim.Lt: "<", scim.Le: "<="}

func compareOrder(c column, op scim.Op, text string) narrowing {
	sign, known := orders[op]
	if !known {
		return maybe
	}
	n := narrowing{sql: c.name + " " + sign + " ?", args: []any{text}, exact: true}
	if c.optional {
		n.sql = "(" + c.name + " <> '' and " + n.sql + ")"
	}
	return n
}

// likePattern takes the meaning out of like's own characters.
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

func compareActive(op scim.Op, value any) narrowing {
	active, isBool := value.(bool)
	if !isBool || op != scim.Eq && op != scim.Ne {
		return maybe
	}
	if active == (op == scim.Eq) {
		return narrowing{sql: "r.active", exact: true}
	}
	return narrowing{sql: "not r.active", exact: true}
}

// compareRole knows the role of each user. Who has one beside everybody's is called so; the others may be called
// anything but that.
func compareRole(op scim.Op, text string) narrowing {
	if op != scim.Eq && op != scim.Ne || text == "" {
		return maybe
	}
	role, known := roster.ParseRole(text)
	if !known || role == roster.RoleRegistered {
		if op == scim.Ne {
			return maybe
		}
		return narrowing{sql: "r.role = ?", args: []any{string(roster.RoleRegistered)}}
	}
	return negate(narrowing{
		sql:   "(r.role in ('Moderator', 'Admin') and r.role = ?)", // the index is partial
		args:  []any{string(role)},
		exact: true,
	}.markSelective(), op == scim.Ne)
}

// compareTime compares to the millisecond, which is the precision of the documents.
func compareTime(column string, op scim.Op, value any) narrowing {
	text, _ := value.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if column == "" || err != nil {
		return maybe
	}
	sign, known := orders[op]
	if op == scim.Eq {
		sign, known = "=", true
	}
	if !known || at.Nanosecond()%int(time.Microsecond) != 0 {
		return maybe
	}
	return narrowing{sql: column + " " + sign + " ?", args: []any{at.UnixMicro()}, exact: true}
}

// value narrows by the value rows: any value may match.
func (n narrower) value(path string, op scim.Op, text string) narrowing {
	if text == "" {
		return maybe
	}
	folded := scim.Fold(text)
	switch op {
	case scim.Eq:
		return n.rows(path, "v.value = ?", folded).markSelective()
	case scim.Co, scim.Sw, scim.Ew:
		// Only a walk through all values can tell which of them contain a string.
		return n.rows(path, `v.value like ? escape '\'`, likePattern(op, folded))
	case scim.Gt, scim.Ge, scim.Lt, scim.Le:
		return n.rows(path, "v.value "+orders[op]+" ?", folded)
	}
	return maybe
}

// rows narrows to resources that have a value row for which a condition holds.
func (n narrower) rows(path, condition string, args ...any) narrowing {
	return narrowing{
		sql:       "r.id in (select v.resource from resource_value v where v.site = ? and v.path = ? and " + condition + ")",
		args:      append([]any{n.site, path}, args...),
		exact:     true,
		elsewhere: true,
	}
}

// markSelective marks a narrowing that finds few rows through an index.
func (n narrowing) markSelective() narrowing {
	n.selective, n.few = true, true
	return n
}

// compareDeclared narrows by the value rows of declared attributes. The rows are case-folded even for caseExact attributes, and
// hold only the beginning of long values.
func (n narrower) compareDeclared(rows string, c scim.Compare) narrowing {
	if c.Attr == nil {
		return maybe // a name that the type lacks
	}
	key, whole := roster.IndexKey(c.Value)
	if key == "" {
		return maybe
	}
	text, isText := c.Value.(string)
	part := isText && (c.Op == scim.Sw || c.Op == scim.Co || c.Op == scim.Ew)
	var found narrowing
	switch end, ends := prefixEnd(key); {
	case c.Op == scim.Eq:
		found = n.between(valueRange{rows, key, key + "\x01", "*"}) // there is no text between the two
	case part && c.Attr.CaseExact:
		// A substring need not be a substring of the folded value: folding may join a letter and its accent.
		found = n.anyRow(rows)
	case part && c.Op == scim.Sw && ends:
		found = n.between(valueRange{rows, key, end, "distinct v.resource"})
	case part:
		found = n.rows(rows, `(v.value like ? escape '\' or length(v.value) = ? or v.value = '')`, likePattern(c.Op, scim.Fold(text)), roster.IndexedRunes)
		whole = false
	default:
		return maybe
	}
	found.exact = whole && !c.Attr.CaseExact && !n.declared.crowded[rows]
	return found
}

// between narrows to resources with a value row in a range, which the index finds: a few, or all of them.
func (n narrower) between(r valueRange) narrowing {
	if n.declared.asked != nil {
		*n.declared.asked = append(*n.declared.asked, r)
	}
	found := n.rows(r.path, "v.value >= ? and v.value < ?", r.from, r.to)
	found.count = "select count(" + r.counts + ") from resource_value v where v.site = ? and v.path = ? and v.value >= ? and v.value < ?"
	if n.declared.crowded[r.path] {
		found.sql = strings.TrimSuffix(found.sql, ")") + " union all select v.resource from resource_value v where v.site = ? and v.path = ? and v.value = '')"
		found.args, found.count = append(found.args, n.site, r.path), ""
	}
	found.selective, found.few = true, !n.declared.many[r]
	return found
}

// anyRow narrows to resources that have any value row of a path.
func (n narrower) anyRow(path string) narrowing {
	return narrowing{
		sql:       "r.id in (select v.resource from resource_value v where v.site = ? and v.path = ?)",
		args:      []any{n.site, path},
		exact:     true,
		elsewhere: true,
	}
}

// prefixEnd is the least text above all that begin with a prefix; false where there is none.
func prefixEnd(prefix string) (end string, ok bool) {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		switch {
		case runes[i] == utf8.MaxRune:
			continue
		case runes[i] == surrogates-1:
			runes[i] = surrogates + surrogateCount
		default:
			runes[i]++
		}
		return string(runes[:i+1]), true
	}
	return "", false
}

// A string contains no surrogates.
const (
	surrogates     = 0xD800
	surrogateCount = 0x800
)

func (n narrower) present(path scim.AttrPath) narrowing {
	if rows, declared := n.declared.paths[path]; declared {
		return n.anyRow(rows)
	}
	if path.URN != "" {
		return maybe
	}
	if n.kind == roster.Group && path.Name == "members" && (path.Sub == "" || path.Sub == "value" || path.Sub == "type") {
		return narrowing{sql: "exists (select 1 from membership m where m.site = ? and m.group_id = r.id)", args: []any{n.site}, exact: true}
	}
	if n.kind == roster.User && path.Name == "groups" && path.Sub == "" && !n.groups {
		return nothing
	}
	if n.kind == roster.User && path.Name == "groups" && path.Sub == "" {
		return narrowing{sql: "exists (select 1 from membership m where m.site = ? and m.member = r.id)", args: []any{n.site}, exact: true}
	}
	if path.Sub != "" {
		return maybe
	}
	switch {
	case path.Name == "id", path.Name == "meta", path.Name == "active" && n.kind == roster.User:
		return always // everybody has them
	}
	c, indexed := textColumn(n.kind, path.Name)
	if !indexed {
		return maybe
	}
	return narrowing{sql: "coalesce(" + c.name + ", '') <> ''", exact: true}
}

// valuePath narrows by what its filter says about indexed sub-attributes: emails[type eq "work" and value eq "x"] reads
// who has x, and the evaluator looks for one element with both.
func (n narrower) valuePath(node scim.ValuePath) narrowing {
	inner := n.element(node.Path, node.Filter)
	c, one := node.Filter.(scim.Compare)
	if !one || c.Path.Name != "value" || node.Path.URN != "" || node.Path.Name != "groups" && node.Path.Name != "members" {
		inner.exact = false
	}
	return inner
}

// element compiles a filter on one element's sub-attributes; every value that it names belongs to that element, so
// the resource has it.
func (n narrower) element(of scim.AttrPath, node scim.Node) narrowing {
	switch node := node.(type) {
	case scim.And:
		return conjunction(n.element(of, node.Left), n.element(of, node.Right))
	case scim.Or:
		return n.disjunction(n.element(of, node.Left), n.element(of, node.Right))
	case scim.Present:
		if path := n.inElement(of, node.Path.Name); n.declared.paths[path] != "" {
			return n.present(path)
		}
	case scim.Compare:
		path := n.inElement(of, node.Path.Name)
		node.Path = path
		switch {
		case n.declared.paths[path] != "",
			n.kind == roster.User && (path == emails || path == groups),
			n.kind == roster.Group && (path == members || path == memberNames):
			return n.compare(node)
		}
	}
	return maybe
}

// inElement is the path from the resource to what an element calls name. The elements of an attribute that is not
// complex are their own "value".
func (n narrower) inElement(of scim.AttrPath, name string) scim.AttrPath {
	if _, declared := n.declared.paths[of]; declared && name == "value" {
		return of
	}
	of.Sub = name
	return of
}
