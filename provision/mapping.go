package provision

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/scim"
)

// attrSoftDeleted is a source attribute that the engine computes. It is true for people who must
// not have access to the application.
const attrSoftDeleted = "IsSoftDeleted"

// attrEnabled is the source attribute that says whether a user may sign in.
const attrEnabled = "accountEnabled"

// mapping is a compiled object mapping of a job's schema.
type mapping struct {
	kind     ObjectKind // the kind of the source's objects
	object   *ObjectMapping
	source   string // the name of the source directory, for messages
	target   string // the name of the target directory, for messages
	rows     []row
	matching []row          // the matching rows, by precedence
	filter   *scopingFilter // nil if every object passes
	groups   bool           // whether the schema has an enabled group mapping

	now    func() time.Time // the engine's clock; if nil, expressions that read the time fail
	domain string           // the source's default domain; "" if it has none
}

// row is one attribute mapping with its parsed target path.
type row struct {
	CompiledMapping
	roles RoleForm   // the form in which the row sends roles; "" if it does not send roles
	path  scim.Path  // the parsed target path
	loose *scim.Path // the path without the filter in brackets; nil if the path has no filter
	plain *scim.Path // the path that selects the elements without a type; nil if the path has no filter
	whole *scim.Path // the path of the element that the filter selects; nil if the path has no filter
	state bool       // whether the attribute tells the target if the account may be used
	alone bool       // whether no other row writes to the element that the path selects
}

// compileMapping compiles the user mapping.
func compileMapping(s *Schema, c Catalog) (*mapping, error) {
	object, err := s.UserMapping()
	if err != nil {
		return nil, err
	}
	return compileObject(s, object, UserKind, c)
}

// compileObject compiles one object mapping.
func compileObject(s *Schema, object *ObjectMapping, kind ObjectKind, c Catalog) (*mapping, error) {
	compiled, err := s.Compile(object, c)
	if err != nil {
		return nil, err
	}
	m := &mapping{kind: kind, object: object}
	m.source, m.target = s.systems(object)
	for _, c := range compiled {
		if c.Expr != nil && c.Expr.Draws() {
			c.FlowType = FlowObjectAddOnly // a value that is generated when the account is created never changes
		}
		if c.Expr == nil && c.FlowType == FlowAlways {
			c.FlowType = FlowAttributeAddOnly // the default is for accounts without a value
		}
		if c.Type == TypeReference || c.Type == TypeBinary {
			c.CaseExact = true // ids of the target and Base64 values depend on case
		}
		r := row{CompiledMapping: c, state: readsState(c.Expr), roles: roleFormOf(object.AttributeMappings[c.Row-1])}
		if r.roles == AddedRoles && r.FlowType == FlowAlways {
			r.FlowType = FlowMultiValueAddOnly
		}
		if err := r.parsePath(); err != nil {
			return nil, &RowError{Mapping: object.Name, Row: c.Row, Target: c.Target, Message: err.Error(), Err: err}
		}
		m.rows = append(m.rows, r)
	}
	for i := range m.rows {
		r := &m.rows[i]
		r.alone = r.element() != "" && !slices.ContainsFunc(m.rows, func(o row) bool { return o.Row != r.Row && o.element() == r.element() })
	}
	for _, c := range Matching(compiled) {
		i := slices.IndexFunc(m.rows, func(r row) bool { return r.Row == c.Row })
		m.matching = append(m.matching, m.rows[i])
	}
	if m.filter, err = compileScope(object); err != nil {
		return nil, err
	}
	if g, err := s.GroupMapping(); err == nil {
		m.groups = g.Enabled
	}
	return m, nil
}

// parsePath parses the row's target path, and sets path, loose, plain and whole.
func (r *row) parsePath() error {
	p, err := scim.ParsePath(nil, r.Target, scim.Lenient)
	if err != nil {
		return err
	}
	r.path = p
	open, shut := strings.IndexByte(r.Target, '['), strings.LastIndexByte(r.Target, ']')
	if open < 0 || shut < open {
		return nil
	}
	if p, err := scim.ParsePath(nil, r.Target[:open]+r.Target[shut+1:], scim.Lenient); err == nil {
		r.loose = &p
	}
	if p, err := scim.ParsePath(nil, r.Target[:open]+"[not (type pr)]"+r.Target[shut+1:], scim.Lenient); err == nil {
		r.plain = &p
	}
	if p, err := scim.ParsePath(nil, r.Target[:shut+1], scim.Lenient); err == nil {
		r.whole = &p
	}
	return nil
}

// element returns, in lower case, the part of the row's path that selects an element of a
// multi-valued attribute, such as emails[type eq "work"]. It is "" if the path selects no element.
func (r *row) element() string { return strings.ToLower(elementOf(r.Target)) }

// elementOf returns the part of a path up to the closing bracket; "" if the path has no filter.
func elementOf(path string) string {
	return path[:strings.LastIndexByte(path, ']')+1]
}

// systems returns the names of the directories that an object mapping connects.
func (s *Schema) systems(m *ObjectMapping) (source, target string) {
	for _, r := range s.rules() {
		for i := range r.ObjectMappings {
			if &r.ObjectMappings[i] == m {
				return r.SourceDirectoryName, r.TargetDirectoryName
			}
		}
	}
	return "", ""
}

// readsState reports whether an expression depends on whether the object is disabled or deleted.
func readsState(e *expr.Expr) bool {
	if e == nil {
		return false
	}
	names := e.Attributes()
	return slices.Contains(names, attrSoftDeleted) || slices.Contains(names, attrEnabled)
}

// row returns the row for a target attribute, or nil.
func (m *mapping) row(target string) *row {
	for i := range m.rows {
		if m.rows[i].Target == target {
			return &m.rows[i]
		}
	}
	return nil
}

// can reports whether the mapping allows an action.
func (m *mapping) can(action FlowTypes) bool { return m.object.FlowTypes.Has(action) }

// readsDomain reports whether an expression of the mapping reads the source's default domain.
func (m *mapping) readsDomain() bool {
	return slices.ContainsFunc(m.rows, func(r row) bool { return r.Expr != nil && r.Expr.ReadsDefaultDomain() })
}

// value is the value that an account should have for a row's target attribute. want is nil if the
// attribute should have no value.
type value struct {
	row      *row
	want     any
	assigned []AssignedRole // the roles, for a row that sends roles
}

// env returns the data that expressions may read when they are evaluated for one person.
func (m *mapping) env(attributes map[string]any) expr.Env {
	env := expr.Env{Attribute: func(name string) expr.Value { return sourceValue(attributes[name]) }, DefaultDomain: m.domain}
	if m.now != nil {
		env.Now = m.now()
	}
	return env
}

// values returns the values of the rows for one person. If the person is not entitled, it evaluates
// only the rows that disable the account, because the application must not receive other data about
// that person. draws generates the random and unique values of a new account; it is nil for an
// existing account.
func (m *mapping) values(attributes map[string]any, entitled bool, draws *drawing) ([]value, *rowProblem) {
	env, creating := m.env(attributes), draws != nil
	out := make([]value, 0, len(m.rows))
	for i := range m.rows {
		r := &m.rows[i]
		if !entitled && !r.state || r.FlowType == FlowObjectAddOnly && !creating || r.Type == TypeReference {
			continue
		}
		want, flows, err := draws.evaluate(r, env, attributes)
		if err != nil {
			return nil, err
		}
		if want != nil || flows && entitled && !creating && r.clearsTarget() {
			v := value{row: r, want: want}
			if r.roles != "" {
				v.assigned = assignedRoles(attributes)
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// clearsTarget reports whether an empty source value clears the target attribute. The engine never
// clears a matching attribute, a required attribute, an attribute that blocks the account, or an
// attribute with a default value.
func (r *row) clearsTarget() bool {
	return r.FlowType == FlowAlways && r.Expr != nil && !r.state && r.MatchingPriority == 0 && !r.Required && r.DefaultValue == ""
}

// rowProblem says why a row yields no usable value for one person.
type rowProblem struct {
	Target string
	Code   string
	Text   string
	Advice string
	Err    error // the cause, such as a failed request; nil if the cause is in the mapping
}

// evaluate returns the value of the row's target attribute, or nil if the row yields none. flows is
// false if the expression says that the target's value must stay as it is. The default value
// replaces an empty value if creating is true or the row has no source.
func (r *row) evaluate(env expr.Env, creating bool) (want any, flows bool, problem *rowProblem) {
	v := expr.Null()
	if r.Expr != nil {
		var err error
		if v, err = r.Expr.Eval(env); err != nil {
			return nil, false, &rowProblem{
				Target: r.Target, Code: "InvalidExpression", Text: fmt.Sprintf("The expression for %s cannot be evaluated: %s.", r.Target, err),
				Advice: "Correct the expression in the mapping, or the person's attributes in the directory.",
				Err:    errors.Unwrap(err),
			}
		}
	}
	if v.IsNoFlow() {
		return nil, false, nil
	}
	if v.IsNullOrEmpty() {
		if r.DefaultValue == "" || (!creating && r.Expr != nil) {
			return nil, true, nil
		}
		v = expr.String(r.DefaultValue)
	}
	want, problem = r.convert(v)
	return want, true, problem
}

// convert converts the value of an expression to the type of the target attribute.
func (r *row) convert(v expr.Value) (any, *rowProblem) {
	if r.Multivalued && v.IsComplex() {
		return complexValues(v.Strings()), nil
	}
	texts := v.Strings()
	if r.Multivalued {
		list := make([]any, len(texts))
		for i, t := range texts {
			var problem *rowProblem
			if list[i], problem = r.convertOne(t); problem != nil {
				return nil, problem
			}
		}
		return list, nil
	}
	if len(texts) > 1 {
		return nil, &rowProblem{
			Target: r.Target, Code: "SchemaPropertyCanOnlyAcceptValue",
			Text:   fmt.Sprintf("%s takes one value, and there are %d.", r.Target, len(texts)),
			Advice: "Choose one of them with an expression in the mapping.",
		}
	}
	if at, ok := v.Time(); ok && r.Type == TypeDateTime {
		return at.UTC().Format(time.RFC3339), nil
	}
	return r.convertOne(texts[0])
}

// convertOne converts one value to the type of the target attribute.
func (r *row) convertOne(text string) (any, *rowProblem) {
	switch r.Type {
	case TypeBoolean:
		if b, ok := parseBool(text); ok {
			return b, nil
		}
		return nil, r.unreadableProblem(text, "True or False")
	case TypeInteger:
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, r.unreadableProblem(text, "a whole number")
		}
		return n, nil
	case TypeDateTime:
		if at, ok := expr.String(text).Instant(); ok {
			return at.UTC().Format(time.RFC3339), nil
		}
		return nil, r.unreadableProblem(text, "a date and time, such as 2026-01-31T09:00:00Z")
	case TypeBinary:
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return nil, r.unreadableProblem(text, "bytes in Base64")
		}
	}
	return text, nil
}

// unreadableProblem returns the problem that the value text does not have the type of the target
// attribute. want names the values that the attribute takes.
func (r *row) unreadableProblem(text, want string) *rowProblem {
	return &rowProblem{
		Target: r.Target, Code: "InvalidValue",
		Text:   fmt.Sprintf("%s takes %s, and the mapping yields %q.", r.Target, want, text),
		Advice: "Correct the mapping, or the person's attributes in the directory.",
	}
}

func parseBool(text string) (value, ok bool) {
	switch {
	case strings.EqualFold(text, "true"):
		return true, true
	case strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}

// readBool reads True or False in an answer of the target. Some targets return 1 and 0, because
// their databases have no booleans.
func readBool(v any) (value, ok bool) {
	switch t := strings.TrimSpace(text(v)); t {
	case "1", "0":
		return t == "1", true
	default:
		return parseBool(t)
	}
}

// sourceValue converts the value of a source attribute for expressions.
func sourceValue(v any) expr.Value {
	switch v := v.(type) {
	case string:
		return expr.String(v)
	case bool:
		return expr.Boolean(v)
	case []string:
		return expr.List(v)
	case int64:
		return expr.Number(strconv.FormatInt(v, 10))
	case nil:
		return expr.Null()
	}
	return expr.String(fmt.Sprint(v))
}

// keys returns the person's matching values, in the order of their precedence.
func (m *mapping) keys(attributes map[string]any) ([]MatchKey, *rowProblem) {
	env := m.env(attributes)
	var keys []MatchKey
	for i := range m.matching {
		want, _, err := m.matching[i].evaluate(env, false)
		if err != nil {
			return nil, err
		}
		if want != nil {
			keys = append(keys, MatchKey{Path: m.matching[i].Target, Value: want})
		}
	}
	return keys, nil
}

// diff returns the changes that give an account the values. current is the account as the target
// returned it. wrote is the job's ledger of the account. diff removes a value only if the job wrote
// it, or if the mapping says to remove it.
func diff(current scim.Resource, values []value, wrote Ledger) []Change {
	var changes []Change
	if len(current) == 0 {
		changes = make([]Change, 0, len(values)) // a new account gets all values
	}
	for _, v := range values {
		if v.want == nil {
			if old := v.row.valueIn(current); old != nil && (wrote[v.row.Target].Sent != nil || v.row.FlowNull) {
				changes = append(changes, v.row.change(old, nil))
			}
			continue
		}
		old, same := v.row.compare(current, v.want)
		if isPassword(v.row.Target) {
			same = v.row.agreesWithLedger(wrote[v.row.Target].Sent, v.want)
		}
		before := len(changes)
		changes = v.add(changes, old, same)
		if len(changes) > before && v.row.whole != nil && len(flatten(v.row.whole.Get(current))) == 0 {
			changes[before].Element = ElementMissing
		}
	}
	return changes
}

// diffWritten returns the changes that give an account the values, according to the job's ledger of
// the account. sure is false if the account must be read to know the changes.
func diffWritten(wrote Ledger, values []value) (changes []Change, sure bool) {
	for _, v := range values {
		had, known := wrote.known(v.row.Target)
		switch _, remembered := wrote[v.row.Target]; {
		case remembered && !known:
			return nil, false
		case v.want == nil && !known:
			if v.row.FlowNull {
				return nil, false
			}
		case v.want == nil:
			if empty := had.Shown && had.Got == nil; !empty && (had.Sent != nil || v.row.FlowNull && had.Got != nil) {
				changes = append(changes, v.row.change(had.shown(), nil))
			}
		case v.row.dependsOnValue() && (!known || isHashed(had.value())):
			return nil, false
		case !known:
			before := len(changes)
			if changes = v.add(changes, nil, false); len(changes) > before {
				changes[before].Unknown = true
			}
		case had.Sent == nil || v.row.agreesWithLedger(had.Sent, v.want):
			changes = v.add(changes, had.value(), v.row.agreesWithLedger(had.value(), v.want))
		default:
			changes = v.add(changes, had.shown(), false)
		}
	}
	for i := range changes {
		changes[i].Element = wrote.element(changes[i].Path)
	}
	return changes, true
}

// dependsOnValue reports whether the change that a row sends depends on the account's current
// value.
func (r *row) dependsOnValue() bool {
	return r.FlowType != FlowAlways && r.FlowType != FlowObjectAddOnly
}

// add appends the change that gives an account the value. old is the account's value. add appends
// nothing if same is true, because the account already has the value, or if the row must not
// replace an existing value.
func (v value) add(changes []Change, old any, same bool) []Change {
	if same || v.row.FlowType == FlowAttributeAddOnly && old != nil {
		return changes
	}
	want := v.want
	if v.row.FlowType == FlowMultiValueAddOnly || v.row.FlowType == FlowValueAddOnly {
		if want = v.row.addMissingValues(old, want); want == nil {
			return changes
		}
	}
	c := v.row.change(old, want)
	c.Assigned = v.assigned
	return append(changes, c)
}

// change returns the change of the row's target attribute from old to want.
func (r *row) change(old, want any) Change {
	return Change{Path: r.Target, Old: old, New: want, Type: string(r.Type), Alone: r.alone, Roles: r.roles, Redacted: r.Expr != nil && r.Expr.Redacts()}
}

// addMissingValues returns the old values and the wanted values together. It returns nil if the old
// values contain all wanted values. If one of them is not a list, it returns the wanted value.
func (r *row) addMissingValues(old, want any) any {
	have, several := old.([]any)
	wanted, ok := want.([]any)
	if !several || !ok {
		return want
	}
	all := slices.Clone(have)
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(h any) bool { return r.same(h, w) }) {
			all = append(all, w)
		}
	}
	if len(all) == len(have) {
		return nil
	}
	return all
}

// compare returns the account's value, and reports whether it equals the wanted value. It ignores
// case if the target attribute is not caseExact.
func (r *row) compare(current scim.Resource, want any) (old any, same bool) {
	if wanted, ok := want.([]any); ok {
		have := r.path.Get(current)
		if len(have) == 0 {
			return nil, false
		}
		old := flatten(have)
		return any(old), r.sameSet(old, wanted)
	}
	if old = r.oneValueIn(current); old == nil {
		return nil, false
	}
	return old, r.same(old, want)
}

// oneValueIn returns an account's first value of the row's attribute, or nil if it has none or the
// value is an empty string.
func (r *row) oneValueIn(account scim.Resource) any {
	v := r.path.First(account)
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	if v == "" {
		return nil
	}
	return v
}

// flatten replaces each list in values by its elements. Such lists appear if a path ends in a
// multi-valued attribute.
func flatten(values []any) []any {
	var out []any
	for _, v := range values {
		if list, ok := v.([]any); ok {
			out = append(out, list...)
			continue
		}
		out = append(out, v)
	}
	return out
}

// sameSet reports whether two lists have the same values in any order.
func (r *row) sameSet(have, want []any) bool {
	if len(have) != len(want) {
		return false
	}
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h any) bool { return r.same(h, w) }) {
			return false
		}
	}
	return true
}

// same reports whether have, the value of the account, equals want, the wanted value. It compares
// by the rules for the type of the attribute.
func (r *row) same(have, want any) bool {
	switch want := want.(type) {
	case bool:
		h, ok := readBool(have)
		return ok && h == want
	case int64:
		return text(have) == strconv.FormatInt(want, 10)
	case map[string]any:
		return r.same(have, text(want["value"]))
	case string:
		if complexValue, ok := have.(map[string]any); ok {
			have = complexValue["value"]
		}
		if have == want {
			return true
		}
		if r.Type == TypeDateTime && sameInstant(text(have), want) {
			return true
		}
		if r.CaseExact {
			return text(have) == want
		}
		return scim.Fold(text(have)) == scim.Fold(want)
	}
	return false
}

// sameInstant reports whether two strings name the same instant. An application may return an
// instant with another offset, or with fractions of a second.
func sameInstant(a, b string) bool {
	x, okX := expr.String(a).Instant()
	y, okY := expr.String(b).Instant()
	return okX && okY && x.Equal(y)
}

// text returns a value as a string, for the log and for comparisons.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = text(v[i])
		}
		return strings.Join(parts, ", ")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// hashValues returns a hash of a set of values. Links that earlier versions of Rollcall stored have
// such a hash instead of a ledger.
func hashValues(values []value) string {
	h := sha256.New()
	for _, v := range values {
		if v.want == nil {
			continue
		}
		fmt.Fprintf(h, "%d:%s%T%d:%s", len(v.row.Target), v.row.Target, v.want, len(text(v.want)), text(v.want))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hashText returns a hash of a string.
func hashText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
