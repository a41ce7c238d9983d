package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// Explanation says why a person has or does not have an account at an application, or why a group
// exists or does not exist there.
type Explanation struct {
	ObjectID string     `json:"objectId"`
	Name     string     `json:"displayName"`
	Kind     ObjectKind `json:"kind"`
	// Answer says in sentences whether there is an account, why, and what happens next.
	Answer string `json:"answer"`
	// Notes say what holds up the whole job, such as a pause. The list is empty if nothing does.
	Notes []string `json:"notes"`
	// InScope reports whether the object is active, is assigned and passes the scoping filters, so
	// that it should have an account. Scope lists these conditions.
	InScope bool             `json:"inScope"`
	Scope   []ScopeCondition `json:"scope"`
	// Account is the account or group at the application that the job remembers; nil if the job
	// knows none.
	Account    *ExplainedAccount    `json:"account"`
	Attributes []ExplainedAttribute `json:"attributes"`
	// Planned is what the engine would do when it next looks at the object; nil if the application
	// cannot be reached or the mapping cannot be used.
	Planned *PlannedObject `json:"planned"`
	// Waiting lists work on the object that is not done yet.
	Waiting     []ExplainedWait       `json:"waiting"`
	Memberships []ExplainedMembership `json:"memberships"` // the memberships of a person, at most MaxExplainedGroups; empty for a group
	Members     *ExplainedMembers     `json:"members"`     // the number of memberships of a group; nil for a person
	Last        *LogEntry             `json:"last"`        // the newest log entry; nil if there is none
	// Changes are the newest changes of the object in the directory, newest first, at most
	// MaxExplainedChanges. The list is empty if the source does not say who changed its objects.
	Changes []SourceChange `json:"changes"`
}

// ScopeCondition is one condition for an object to be in scope.
type ScopeCondition struct {
	Condition string `json:"condition"`
	Holds     bool   `json:"holds"`
	Detail    string `json:"detail,omitempty"` // why the condition holds or not, such as the attribute's value; "" if nothing is to be added
	// Filter is the name of the scoping filter that a clause belongs to; "" if the condition is not
	// a clause. An object passes if all clauses of one filter hold.
	Filter string `json:"filter,omitempty"`
}

// ExplainedAccount is an account or group at the application, as the job remembers it.
type ExplainedAccount struct {
	TargetID string    `json:"targetId"`
	State    LinkState `json:"state"`
	Words    string    `json:"words"` // the State, as a sentence
	How      string    `json:"how"`   // how the job got the account: created, matched, adopted or linked
	Since    time.Time `json:"since"`
	// Shown is when the application last showed the account; zero if that was not recorded.
	Shown time.Time `json:"lastShown,omitzero"`
}

// AttributeState says how the mapping's value compares with the remembered value of the account.
type AttributeState string

// States of an attribute.
const (
	AttributeSame     AttributeState = "same"      // the account has the value
	AttributeDiffers  AttributeState = "differs"   // the account has another value
	AttributeUnknown  AttributeState = "unknown"   // the account's value is not known for certain
	AttributeRefused  AttributeState = "refused"   // the application refused the value
	AttributeOnCreate AttributeState = "on-create" // the value is sent only when the account is created
	AttributeAdopted  AttributeState = "adopted"   // somebody set the value at the application, and somebody else decided that it stays
	AttributeKept     AttributeState = "kept"      // the account keeps its value: the mapping yields none, or only fills empty attributes
	AttributeFails    AttributeState = "fails"     // the mapping yields no usable value
	AttributeUnsent   AttributeState = "unsent"    // the job knows no account for the object
)

// ExplainedAttribute is one row of the mapping for this object.
type ExplainedAttribute struct {
	Target  string         `json:"target"`
	Type    MappingType    `json:"type"`
	Source  string         `json:"source"`            // the source attribute, constant or expression
	Values  []string       `json:"values"`            // the values that the mapping yields; empty if there are none
	Hidden  bool           `json:"hidden,omitempty"`  // whether the values are left out, because they are a password or use Redact
	Account []string       `json:"account"`           // the account's values, as far as the job remembers them
	State   AttributeState `json:"state"`             // how Values and Account compare
	Problem string         `json:"problem,omitempty"` // why the mapping yields no usable value
	Note    string         `json:"note,omitempty"`    // for a reference: the person it leads to, and why the account lacks it; "" for other rows
	Trace   *expr.Step     `json:"trace,omitempty"`   // how an expression computed its value; nil for other rows
}

// ExplainedWait is work on an object that still has to be done.
type ExplainedWait struct {
	What   string    `json:"what"`   // "the account", "the group" or "the memberships"
	Failed bool      `json:"failed"` // whether the last attempt failed; Reason then says why
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // when the work is tried again; zero means at once, or when an administrator or the guard has decided
}

// ExplainedMembership is a person's membership of one group.
type ExplainedMembership struct {
	Group string `json:"group"` // the object id of the group
	Name  string `json:"displayName"`
	// Direct reports whether the person is a direct member in the directory.
	Direct bool `json:"direct"`
	// Sent reports whether the application has acknowledged the membership.
	Sent  bool   `json:"sent"`
	Words string `json:"words"` // why the membership is there or not, in a sentence
}

// ExplainedMembers counts the memberships of a group.
type ExplainedMembers struct {
	Sent    int `json:"sent"`    // how many memberships the application has acknowledged
	Waiting int `json:"waiting"` // how many changes of memberships are still to be sent
	Refused int `json:"refused"` // how many of Waiting the application refused the last time
}

// RememberedMembership is what a job remembers of one membership of a person.
type RememberedMembership struct {
	Group   string  // the object id of the group
	Sent    bool    // whether the target has acknowledged the membership
	Open    bool    // whether the membership has changed and the change is not sent yet
	Verdict Verdict // the guard's verdict on the removal
	Refused string  // why the target refused the change the last time; "" if it did not
}

const (
	// MaxExplainedGroups is the largest number of memberships of a person that an Explanation
	// lists.
	MaxExplainedGroups = 100
	// MaxExplainedChanges is the largest number of changes in the directory that an Explanation
	// lists.
	MaxExplainedChanges = 5
)

// ExplainingSource is a Source that can say how objects are assigned, and who changed them.
type ExplainingSource interface {
	// AssignedThrough returns how an object is assigned to an application: directly, or through the
	// assigned groups that a person is a direct member of.
	AssignedThrough(ctx context.Context, app, objectID string) ([]AssignedThrough, error)
	// ChangesOf returns up to limit changes of an object, newest first.
	ChangesOf(ctx context.Context, objectID string, limit int) ([]SourceChange, error)
}

// AssignedThrough is one assignment of an object to an application.
type AssignedThrough struct {
	Group string // the name of the assigned group; "" if the object itself is assigned
	Role  string // the display name of the assignment's role; "" for Default Access
}

// SourceChange is a change of an object in the source.
type SourceChange struct {
	Time  time.Time `json:"time"`
	Actor string    `json:"actor"` // who made the change, such as "operator:kim"
	Text  string    `json:"text"`  // what happened, in a sentence
}

// Explain says why a person or group has, or does not have, an account or group at the application.
// It reads the directory and what the job remembers. If these are not enough to decide, it reads
// the application, too. It changes nothing. It returns ErrNoJob if provisioning is not set up, and
// an *InputError if neither the directory nor the job knows the object.
func (e *Engine) Explain(ctx context.Context, k Key, objectID string) (Explanation, error) {
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return Explanation{}, err
	}
	x := explainer{r: r}
	unreachable := r.connect()
	if err := x.read(ctx, objectID); err != nil {
		return Explanation{}, err
	}
	if err := x.evaluate(ctx, unreachable); err != nil {
		return Explanation{}, err
	}
	if err := x.addStored(ctx); err != nil {
		return Explanation{}, err
	}
	if err := x.noteDrift(ctx); err != nil {
		return Explanation{}, err
	}
	x.addNotes(unreachable)
	x.out.Answer = x.summarize()
	return x.out, nil
}

// explainer builds an Explanation.
type explainer struct {
	r      *run
	known  Pending
	object *Object // the object; nil if the directory no longer has it
	w      *work   // the object after the import and scoping steps; nil if the mapping cannot be used
	groups explainedGroups
	drift  Drift // what the last comparison found about the object; without an ObjectID if that is nothing
	out    Explanation
}

// explainedGroups holds the groups of a person in the directory.
type explainedGroups struct {
	direct  []string          // the ids of the groups that the person is a direct member of
	outer   []string          // the ids of other groups that contain one of these groups, directly or through further groups
	through map[string]string // for each outer group, the id of the direct group through which the person is in it
}

// read reads the object and what the job remembers about it.
func (x *explainer) read(ctx context.Context, id string) (err error) {
	if x.known, err = x.r.e.Store.KnownAbout(ctx, x.r.job.Key, id); err != nil {
		return err
	}
	if x.object, err = x.r.reader.read(ctx, id); err != nil {
		return err
	}
	if groups, has := x.r.source.(GroupSource); has && x.object == nil {
		if x.object, err = readGroupFrom(ctx, groups, x.r.job.Key.App, id); err != nil {
			return err
		}
	}
	x.out = Explanation{
		ObjectID: id, Name: id, Kind: UserKind, Notes: []string{}, Scope: []ScopeCondition{}, Attributes: []ExplainedAttribute{},
		Waiting: []ExplainedWait{}, Memberships: []ExplainedMembership{}, Changes: []SourceChange{},
	}
	link := x.known.Link
	switch {
	case x.object != nil:
		x.out.Name, x.out.Kind = x.object.Name, x.object.Kind
	case link != nil:
		x.out.Name, x.out.Kind = cmp.Or(link.Name, id), cmp.Or(link.Kind, UserKind)
	default:
		return &InputError{Field: "Why", Text: fmt.Sprintf("knows nobody with the object id %s: neither the directory nor a linked account has it", id)}
	}
	if link != nil {
		x.out.Account = &ExplainedAccount{TargetID: link.TargetID, State: link.State, Words: x.wordsForKind(accountWords[link.State]), How: link.How, Since: link.Since, Shown: link.Proved}
	}
	if source, explains := x.r.source.(ExplainingSource); explains {
		if x.out.Changes, err = source.ChangesOf(ctx, id, MaxExplainedChanges); err != nil {
			return fmt.Errorf("read the changes of %s: %w", x.out.Name, err)
		}
	}
	if x.out.Kind == GroupKind {
		return nil
	}
	return x.readGroups(ctx)
}

// readGroups finds the groups that the person is a direct member of, and the groups around them.
func (x *explainer) readGroups(ctx context.Context) error {
	source, has := x.r.source.(GroupSource)
	if !has {
		return nil
	}
	direct, err := source.GroupsOf(ctx, x.out.ObjectID)
	if err != nil {
		return fmt.Errorf("read the groups of %s: %w", x.out.Name, err)
	}
	x.groups = explainedGroups{direct: direct, through: map[string]string{}}
	seen := map[string]string{} // the direct group from which each group was reached
	for _, id := range direct {
		seen[id] = id
	}
	next := slices.Clone(direct)
	for len(next) > 0 && len(seen) < len(direct)+MaxExplainedGroups {
		inner := next[0]
		next = next[1:]
		around, err := source.GroupsOf(ctx, inner)
		if err != nil {
			return fmt.Errorf("read the groups of %s: %w", inner, err)
		}
		for _, id := range around {
			if _, known := seen[id]; known {
				continue
			}
			seen[id], x.groups.through[id] = seen[inner], seen[inner]
			x.groups.outer = append(x.groups.outer, id)
			next = append(next, id)
		}
	}
	return nil
}

// groupName returns the display name of a group, or its id if the directory does not have the
// group.
func (x *explainer) groupName(ctx context.Context, id string) (string, error) {
	group, err := readGroupFrom(ctx, x.r.source.(GroupSource), x.r.job.Key.App, id)
	if err != nil || group == nil {
		return id, err
	}
	return group.Name, nil
}

// accountWords has a sentence for each state of an account.
var accountWords = map[LinkState]string{
	Active:   "The account is active, and the job keeps it in step.",
	Disabled: "The account is disabled, and the job keeps it in step.",
	Released: "The person is not in scope any more, so the job leaves the account as it is.",
	Held:     "The application keeps the account blocked, although it was told that the person may use it.",
	Missed:   "The application did not find the account the last time. The job looks for it.",
	Lost:     "The application does not have the account any more. The job looks for it.",
	Gone:     "The application does not have the account any more. The job looks for it once a day.",
}

// wordsForKind returns a sentence about a person. If the object is a group, it returns the same
// sentence about a group.
func (x *explainer) wordsForKind(sentence string) string {
	if x.out.Kind == GroupKind {
		return aboutGroups.Replace(sentence)
	}
	return sentence
}

// evaluate evaluates the object's scope and mapping. If the application can be reached, it also
// decides what a cycle would do. unreachable is the reason why it cannot be reached, or nil.
func (x *explainer) evaluate(ctx context.Context, unreachable error) error {
	p, err := x.pass()
	if err != nil || p == nil {
		return err
	}
	known := x.known
	known.Why = ByChange
	var attributes map[string]any
	if unreachable != nil {
		x.w, attributes = p.begin(x.object, known, x.r.e.Now())
	} else {
		if x.w, err = p.evaluate(ctx, x.object, known, x.r.e.Now()); err != nil {
			return err
		}
		planned := x.w.plannedObject()
		x.out.Planned = &planned
		attributes = x.w.attributes()
	}
	x.out.InScope = x.w.entitled()
	if err := x.listConditions(ctx, p, attributes); err != nil {
		return err
	}
	if x.object == nil {
		return nil
	}
	x.listAttributes(p.m, attributes)
	return x.noteReferences(ctx, p.m, attributes)
}

// pass returns the pass that evaluates the object. It is nil if the mapping cannot be used, or if
// the object is a group and the job provisions no groups.
func (x *explainer) pass() (*pass, error) {
	if x.r.m == nil {
		m, err := compileMapping(x.r.job.Schema, x.r.e.Attributes)
		if err != nil {
			return nil, nil //nolint:nilerr // a note of the explanation says that the mapping cannot be used
		}
		m.now, m.domain = x.r.e.Now, x.r.source.DefaultDomain()
		x.r.m = m
	}
	if x.out.Kind != GroupKind {
		if x.r.target == nil {
			return &pass{job: x.r.job, m: x.r.m}, nil
		}
		return x.r.pass(), nil
	}
	if !x.r.groupsOn() {
		return nil, nil
	}
	return x.r.pass().groups, nil
}

// listConditions lists the conditions for the object to be in scope.
func (x *explainer) listConditions(ctx context.Context, p *pass, attributes map[string]any) error {
	add := func(condition string, holds bool, detail string) {
		x.out.Scope = append(x.out.Scope, ScopeCondition{Condition: condition, Holds: holds, Detail: detail})
	}
	if x.object == nil {
		add("In the directory", false, "deleted permanently")
		return nil
	}
	switch {
	case !x.object.Deleted.IsZero():
		add("Active in the directory", false, "deleted on "+x.object.Deleted.UTC().Format("2006-01-02 15:04 UTC"))
	case !x.object.Enabled:
		add("Active in the directory", false, "blocked from sign-in")
	default:
		add("Active in the directory", true, "")
	}
	if p.job.Scope == Everyone {
		add("Assigned to the application", true, "not needed: the scope is “Sync all users and groups”")
	} else if err := x.addAssignment(ctx, add); err != nil {
		return err
	}
	if p.m.filter == nil {
		return nil
	}
	for _, g := range p.m.filter.groups {
		for _, c := range g.clauses {
			holds, err := c.test(attributes[c.SourceOperandName])
			detail := c.SourceOperandName + " is " + quotedOrEmpty(text(attributes[c.SourceOperandName]))
			if err != nil {
				detail = err.Error()
			}
			x.out.Scope = append(x.out.Scope, ScopeCondition{Condition: c.Words(), Holds: holds, Detail: detail, Filter: g.name})
		}
	}
	return nil
}

func quotedOrEmpty(value string) string {
	if value == "" {
		return "empty"
	}
	return "“" + value + "”"
}

// addAssignment adds the condition that the object is assigned to the application, and says how it
// is assigned.
func (x *explainer) addAssignment(ctx context.Context, add func(condition string, holds bool, detail string)) error {
	detail := ""
	switch {
	case x.object.Assigned:
		if source, explains := x.r.source.(ExplainingSource); explains {
			through, err := source.AssignedThrough(ctx, x.r.job.Key.App, x.object.ID)
			if err != nil {
				return fmt.Errorf("read the assignments: %w", err)
			}
			detail = assignedWords(through)
		}
	case x.out.Kind != GroupKind: // for a group, only a direct assignment counts
		var err error
		if detail, err = x.notAssignedWords(ctx); err != nil {
			return err
		}
	}
	add("Assigned to the application", x.object.Assigned, detail)
	return nil
}

// notAssignedWords says in words why a person is not assigned. It names an assigned group that the
// person is only in through another group.
func (x *explainer) notAssignedWords(ctx context.Context) (string, error) {
	words := "neither directly nor through a group"
	for _, id := range x.groups.outer {
		outer, err := readGroupFrom(ctx, x.r.source.(GroupSource), x.r.job.Key.App, id)
		if err != nil {
			return "", err
		}
		if outer == nil || !outer.Assigned {
			continue
		}
		inner, err := x.groupName(ctx, x.groups.through[id])
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s: the group “%s” is assigned, but %s is in it only through the group “%s”, and only direct members count, as in Entra", words, outer.Name, x.out.Name, inner), nil
	}
	return words, nil
}

// assignedWords says in words how an object is assigned: directly or through groups, and with which
// roles.
func assignedWords(through []AssignedThrough) string {
	words := make([]string, len(through))
	for i, a := range through {
		if words[i] = "directly"; a.Group != "" {
			words[i] = "through the group “" + a.Group + "”"
		}
		if a.Role != "" {
			words[i] += " with the role “" + a.Role + "”"
		}
	}
	return strings.Join(words, " and ")
}

// listAttributes lists, for each row of the mapping, the values that the mapping yields and the
// values that the account has.
func (x *explainer) listAttributes(m *mapping, attributes map[string]any) {
	env := m.env(attributes)
	for i := range m.rows {
		r := &m.rows[i]
		if r.Type == TypeReference && x.out.Kind == GroupKind {
			continue // memberships are listed in a field of their own
		}
		edit := x.r.job.Schema.Row(m.object, &m.object.AttributeMappings[r.Row-1])
		a := ExplainedAttribute{Target: r.Target, Type: edit.Type, Source: edit.Source, Values: []string{}, Account: []string{}, Hidden: m.hidesValues(r.Target)}
		x.compare(&a, r, env)
		if edit.Type == ExpressionMapping && !r.Expr.Draws() {
			_, a.Trace, _ = r.Expr.Trace(env) //nolint:errcheck // compare has put the error into a.Problem
		}
		x.out.Attributes = append(x.out.Attributes, a)
	}
}

// noteReferences adds a note to each reference: the name of the person that the mapping refers to,
// and why the account does not refer to that person yet.
func (x *explainer) noteReferences(ctx context.Context, m *mapping, attributes map[string]any) error {
	env := m.env(attributes)
	for i := range x.out.Attributes {
		a := &x.out.Attributes[i]
		j := slices.IndexFunc(m.rows, func(r row) bool { return r.Target == a.Target && r.Type == TypeReference })
		if j < 0 {
			continue
		}
		value, _, problem := m.rows[j].evaluate(env, x.known.Link == nil)
		id := text(value)
		if problem != nil || id == "" {
			continue
		}
		other, err := x.r.reader.read(ctx, id)
		if err != nil {
			return err
		}
		if other == nil {
			a.Note = "The directory no longer has this person."
			continue
		}
		known, err := x.r.e.Store.KnownAbout(ctx, x.r.job.Key, id)
		if err != nil {
			return err
		}
		if a.Note = "This is " + other.Name + "."; known.Link.usableAccountID() == "" {
			a.Note = "This is " + other.Name + ", who has no account in scope at the application. It is set as soon as there is one."
		}
	}
	return nil
}

// compare sets the values of the row in a, and says how they compare with the account's values.
func (x *explainer) compare(a *ExplainedAttribute, r *row, env expr.Env) {
	link := x.known.Link
	var written Written
	known := false
	if link != nil {
		written, known = link.Wrote.known(r.Target)
	}
	if !a.Hidden {
		a.Account = toStrings(written.value())
	}
	if r.Expr != nil && r.Expr.Draws() {
		a.State, a.Problem = AttributeOnCreate, "The value is drawn when the account is created."
		return
	}
	want, flows, problem := r.evaluate(env, link == nil)
	switch {
	case problem != nil:
		a.State, a.Problem = AttributeFails, problem.Text
		return
	case !a.Hidden:
		a.Values = toStrings(want)
	}
	switch {
	case link == nil:
		a.State = AttributeUnsent
	case known && written.Adopted:
		a.State = AttributeAdopted
		if !a.Hidden {
			a.Account = toStrings(written.Got)
		}
	case link.Wrote.wasRefused(Change{Path: r.Target, New: want}):
		a.State = AttributeRefused
	case r.FlowType == FlowObjectAddOnly:
		a.State = AttributeOnCreate
	case r.Type == TypeReference: // compare object ids: the account itself holds the target id of the other person's account
		a.State = AttributeUnknown
		if link.Refers != "" && link.Refers == text(want) || link.Refers == "" && want == nil {
			a.State = AttributeSame
		}
	case !known:
		a.State = AttributeUnknown
	case written.value() != nil && (r.FlowType == FlowAttributeAddOnly || want == nil && (!flows || !r.clearsTarget())):
		a.State = AttributeKept
	case !flows || want == nil && !r.clearsTarget() || r.agreesWithLedger(written.value(), want):
		a.State = AttributeSame
	default:
		a.State = AttributeDiffers
	}
}

// toStrings returns a value as a list of strings. It leaves out a value of which only a hash is
// known.
func toStrings(v any) []string {
	out := []string{}
	if list, several := v.([]any); several {
		for _, item := range list {
			out = append(out, text(item))
		}
		return out
	}
	if v != nil && !isHashed(v) {
		out = append(out, text(v))
	}
	return out
}

// addStored adds the waiting work, the memberships and the newest log entry.
func (x *explainer) addStored(ctx context.Context) error {
	store, k, id := x.r.e.Store, x.r.job.Key, x.out.ObjectID
	rows, err := store.Demanded(ctx, k, []string{id, MembersOf(id)})
	if err != nil {
		return err
	}
	for _, row := range rows {
		wait := ExplainedWait{What: x.wordsForKind("the account"), Until: row.NotBefore}
		if _, members := groupOf(row.ObjectID); members {
			wait.What = "the memberships"
		} else if x.out.Kind == GroupKind {
			wait.What = "the group"
		}
		if wait.Reason = row.waits(); row.Verdict != Ready {
			wait.Until = time.Time{}
		}
		x.out.Waiting = append(x.out.Waiting, wait)
	}
	if escrow := x.known.Escrow; escrow != nil && len(rows) == 0 {
		x.out.Waiting = append(x.out.Waiting, ExplainedWait{What: x.wordsForKind("the account"), Failed: true, Reason: escrow.Reason, Until: escrow.Next})
	}
	entries, _, err := store.Logs(ctx, k, LogQuery{ObjectID: id, Limit: 1})
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		x.out.Last = &entries[0]
	}
	if x.out.Kind == GroupKind {
		members, err := store.CountMembers(ctx, k, id)
		x.out.Members = &members
		return err
	}
	return x.listMemberships(ctx)
}

// listMemberships lists the groups that the person is a member of, in the directory or at the
// application.
func (x *explainer) listMemberships(ctx context.Context) error {
	source, has := x.r.source.(GroupSource)
	if !has {
		return nil
	}
	known, err := x.r.e.Store.MembershipsOf(ctx, x.r.job.Key, x.out.ObjectID)
	if err != nil {
		return err
	}
	ids := slices.Clone(x.groups.direct)
	for _, m := range known {
		if !slices.Contains(ids, m.Group) {
			ids = append(ids, m.Group)
		}
	}
	for _, id := range x.groups.outer {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range ids[:min(len(ids), MaxExplainedGroups)] {
		m := ExplainedMembership{Group: id, Name: id, Direct: slices.Contains(x.groups.direct, id)}
		group, err := readGroupFrom(ctx, source, x.r.job.Key.App, id)
		if err != nil {
			return err
		}
		if group != nil {
			m.Name = group.Name
		}
		of := RememberedMembership{Group: id}
		if i := slices.IndexFunc(known, func(one RememberedMembership) bool { return one.Group == id }); i >= 0 {
			of = known[i]
		}
		m.Sent, m.Words = of.Sent, x.membershipWords(group, of, m.Direct)
		inner, isOuter := x.groups.through[id]
		isOuter = isOuter && !of.Sent && !of.Open && x.isProvisioned(group)
		if isOuter {
			if m.Words, err = x.outerWords(ctx, inner); err != nil {
				return err
			}
		}
		if m.Direct || of.Sent || of.Open || isOuter {
			x.out.Memberships = append(x.out.Memberships, m)
		}
	}
	return nil
}

// isProvisioned reports whether the job provisions the group.
func (x *explainer) isProvisioned(group *Object) bool {
	return x.r.groupsOn() && group != nil && x.r.groups.entitles(group, x.r.job.Scope)
}

// outerWords says why a person is not a member of a group at the application although the person is
// in the group inner, which is in that group.
func (x *explainer) outerWords(ctx context.Context, inner string) (string, error) {
	name, err := x.groupName(ctx, inner)
	if err != nil {
		return "", err
	}
	words := "The person is in it only through the group “" + name + "”, and only direct members are sent, as in Entra."
	if x.r.job.sendsMember(GroupKind) {
		words += " The group “" + name + "” is sent as a member if it is provisioned itself."
	}
	return words, nil
}

// membershipWords says in a sentence why a membership exists at the application, or why it does
// not.
func (x *explainer) membershipWords(group *Object, of RememberedMembership, direct bool) string {
	account := x.known.Link
	switch {
	case of.Verdict == OnHold:
		return "The application has it. Its removal is on hold: approve or reject its cause."
	case of.Verdict == Rejected:
		return "The application has it. Its removal was rejected, so it stays until the membership changes again."
	case of.Refused != "":
		return "The application refused the change: " + of.Refused
	case of.Open && direct:
		return "It is on the work list and will be sent."
	case of.Open:
		return "The person is not a member any more; the removal is on the work list."
	case of.Sent:
		return "The application has it."
	case !x.r.groupsOn():
		return "Groups are not provisioned to this application."
	case !x.isProvisioned(group):
		return "The group is not in scope: it is not assigned to the application, is deleted, or does not pass the scoping filters of groups."
	case account == nil || account.usableAccountID() == "":
		return "The person has no account in scope, and only such people are members there."
	}
	return "The group is in scope, and the membership has not been looked at yet."
}

// addNotes adds a note for each reason that holds up the whole job, such as a pause.
func (x *explainer) addNotes(unreachable error) {
	note := func(text string) { x.out.Notes = append(x.out.Notes, text) }
	job, state, now := x.r.job, x.r.state, x.r.e.Now()
	switch {
	case job.Mode != Automatic:
		note("Provisioning is not set up for this application: the Provisioning Mode is Manual, so nothing is sent.")
		return
	case job.Status == Off:
		note("Provisioning is paused, so nothing is sent until it is started.")
	case state.Quarantine != nil:
		note("Provisioning is in quarantine since " + state.Quarantine.Since.UTC().Format("2006-01-02 15:04 UTC") + ": " + state.Quarantine.Message)
	case now.Before(state.Cooldown):
		note("The application asked for a pause until " + state.Cooldown.UTC().Format("2006-01-02 15:04:05 UTC") + ".")
	}
	if unreachable != nil {
		note(asTargetError(unreachable).Detail)
	}
	if x.out.Kind == GroupKind && !x.r.groupsOn() && unreachable == nil {
		note(cmp.Or(state.Groups.Off, "The mapping of groups is switched off, so no groups are provisioned."))
	}
}

// summarize summarizes the explanation: whether there is an account, why, and what happens next.
func (x *explainer) summarize() string {
	var sentences []string
	say := func(sentence string) { sentences = append(sentences, x.wordsForKind(sentence)) }
	link := x.known.Link
	switch {
	case link == nil:
		say(x.out.Name + " has no account through this job.")
	case link.missing():
		say(x.out.Name + " had the account " + link.TargetID + ". " + accountWords[link.State])
	default:
		say(x.out.Name + " has the account " + link.TargetID + ". " + accountWords[link.State])
		if words := x.activeWords(); words != "" {
			say(words)
		}
	}
	if x.w != nil {
		say(x.whyInScope())
	}
	if p := x.out.Planned; p != nil {
		say(plannedWords(*p))
	}
	for _, wait := range x.out.Waiting {
		switch {
		case wait.Failed:
			say("The last attempt failed: " + asSentence(wait.Reason))
		case wait.Reason != inLine:
			say("Waiting: " + asSentence(wait.Reason))
		}
	}
	return strings.Join(sentences, " ")
}

// activeWords says whether the account can be used, if the state of the link does not show that: the
// job disabled the account before it left it as it is, or somebody changed it at the application. It
// returns "" if there is nothing to say.
func (x *explainer) activeWords() string {
	link := x.known.Link
	e, known := link.Wrote.known("active")
	isOff := known && e.shown() == false
	for _, v := range x.drift.Values {
		if strings.EqualFold(v.Path, "active") {
			return fmt.Sprintf("But the last comparison found that somebody changed active at the application: %s was written, and it was %s.", cmp.Or(text(v.Wrote), "nothing"), cmp.Or(text(v.Now), "nothing"))
		}
	}
	switch {
	case known && e.Adopted:
		return fmt.Sprintf("But somebody set active to %s at the application, and it was decided that this stays.", text(e.Got))
	case link.State == Released && isOff:
		return "The job disabled it before."
	}
	return ""
}

// noteDrift notes what the last comparison with the application found about the object, and nobody
// has settled yet.
func (x *explainer) noteDrift(ctx context.Context) error {
	drifts := x.r.e.Drifts
	if drifts == nil || x.known.Link == nil {
		return nil
	}
	found, err := drifts.DriftOf(ctx, x.r.job.Key, x.out.ObjectID)
	if err != nil || found.ObjectID == "" {
		return err
	}
	x.drift = found
	if found.Gone {
		x.out.Notes = append(x.out.Notes, "The last comparison did not find the account at the application any more.")
	}
	for _, v := range found.Values {
		x.out.Notes = append(x.out.Notes, fmt.Sprintf("The last comparison found that somebody changed %s at the application: %s was written, and it was %s.", v.Path, cmp.Or(text(v.Wrote), "nothing"), cmp.Or(text(v.Now), "nothing")))
	}
	return nil
}

// whyInScope says in a sentence that the object is in scope, or which conditions fail.
func (x *explainer) whyInScope() string {
	if x.out.InScope {
		return "The person is in scope."
	}
	var failing []string
	filters := false
	for _, c := range x.out.Scope {
		if c.Filter != "" {
			filters = true
			continue
		}
		if !c.Holds {
			failing = append(failing, conditionFails(c))
		}
	}
	if filters && !x.w.admitted {
		failing = append(failing, "no scoping filter lets the person through ("+x.failingClauses()+")")
	}
	return "The person is not in scope: " + strings.Join(failing, "; ") + "."
}

// conditionFails says in words that a condition does not hold.
func conditionFails(c ScopeCondition) string {
	words := "not " + strings.ToLower(c.Condition[:1]) + c.Condition[1:]
	if c.Detail != "" {
		words += " (" + c.Detail + ")"
	}
	return words
}

// failingClauses lists the clauses that do not hold.
func (x *explainer) failingClauses() string {
	var clauses []string
	for _, c := range x.out.Scope {
		if c.Filter != "" && !c.Holds {
			clauses = append(clauses, c.Condition+", but "+c.Detail)
		}
	}
	return strings.Join(clauses, "; ")
}

// plannedWords says in a sentence what the engine would do when it next looks at the object.
func plannedWords(p PlannedObject) string {
	switch {
	case p.Result == Failure:
		return strings.TrimSpace("The next attempt would fail: " + asSentence(p.Reason) + " " + p.Advice)
	case p.Result == Skipped && p.Reason != "":
		return strings.TrimSpace("Nothing would be sent. " + asSentence(p.Reason) + " " + p.Advice)
	case p.Result == Skipped:
		return "Nothing would be sent."
	}
	changes := strings.ToLower(countOf(len(p.Changes), "attribute", "attributes"))
	switch p.Action {
	case Create:
		return "The next look creates the account."
	case Update:
		return "The next look updates " + changes + " of the account."
	case Disable:
		return "The next look disables the account."
	case Delete:
		return "The next look deletes the account."
	}
	return "Nothing has to be sent."
}

// asSentence returns a string with a full stop at its end.
func asSentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
