package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// pass evaluates people, for a batch of a cycle or for a plan. Its decisions depend on the settings
// of the job, the object, the target, and the job's stored data. It writes nothing before export.
type pass struct {
	job               Job
	m                 *mapping
	target            Target
	groups            *pass               // evaluates groups; nil if they are not provisioned
	members           GroupTarget         // the target, if this pass evaluates groups
	readsEveryAccount bool                // whether to read every account, even if it should be unchanged
	settle            time.Duration       // how long a request whose answer was lost may still be running at the target
	doubt             *doubts             // the objects whose last update or deletion may have been carried out but was not recorded
	closing           *doubts             // the objects whose account this pass was about to block or delete
	unsureAttributes  map[string][]string // the attributes that updates of unknown outcome have set, by object id
	// searcher knows by which attributes the target can be searched.
	searcher     *searcher
	otherObjects knowledge
	listed       *accountList // the list of all accounts, for a target that compares case in searches
	// listedSince says how new the list must be: if reading it began earlier, it is read again.
	listedSince        time.Time
	owner              func(ctx context.Context, targetID string) (objectID string, err error) // returns the id of the object that is linked to an account; "" if none
	openCreates        func(ctx context.Context) ([]Op, error)                                 // returns the creates whose outcome is unknown
	claims             *claims
	peopleFullyRefused atomic.Int32 // for how many people in a row the target refused every change
	unshown            atomic.Int64 // how many successful answers did not show the effect of the request, because they had no body
	goroutines         goroutines
	firstCheckLock     lock           // held while the first answer without a body is checked
	answersAreProved   atomic.Bool    // whether a read has shown that the target does what its answers say
	anAnswerWasFalse   atomic.Bool    // whether a read has shown that a successful answer was false
	ownForms           sync.Map       // the attributes for which the target keeps its own value or shows none, as creates have shown; the keys are target attributes
	former             formerMappings // the passes that work with earlier versions of the mappings
	currentMapping     *mapping       // the mapping that is in force, if this pass works with an earlier version; otherwise nil
}

// work holds the data of one person or group during the steps of the evaluation and the export.
type work struct {
	p           *pass
	known       memory // what the job has stored about the object
	object      Object
	isPurged    bool      // whether the object was purged from the source
	assigned    bool      // whether the person is assigned to the application, or needs no assignment
	admitted    bool      // whether the person passes the scoping filters
	filterError error     // why the scoping filters could not be evaluated; nil if they could
	started     time.Time // when the work on the object began

	m               *mapping
	link            *Link             // the link to the account, as stored or as found now; nil if no account is known
	replaces        *Link             // the link whose account is gone, if the engine creates a new account instead
	former          Ledger            // the ledger of the previous person, if this person takes over that person's account
	current         scim.Resource     // the account as a read or search showed it; nil if it was not read
	failedClauses   []string          // the clauses of the scoping filters that the object does not pass
	doubted         bool              // whether an earlier update or deletion may have been carried out but was not recorded
	unknownSince    time.Time         // when the request of unknown outcome was about to be sent; zero if that is not known
	wasReadTooEarly bool              // whether the account was read so soon after an update of unknown outcome that the read does not prove the outcome
	deleting        bool              // whether this pass was about to send a deletion
	lastAnswer      scim.Resource     // the account in the answer to the last write; nil if the answer showed none
	created         bool              // whether the account was created in this pass
	wrote           bool              // whether a request that changed something succeeded
	version         string            // the account's version, if the target returned one in this pass; otherwise ""
	values          []value           // the values that the mapping wants the account to have
	inputs          map[string]string // the hashes of the inputs of expressions that read the clock, by target attribute
	refers          string            // the id of the object that a new account refers to
	refersTo        string            // the id of the account that is sent as the reference; "" if none is sent

	decision          decision
	result            result
	waits             string   // why the person is postponed, in words; "" if not postponed
	notesOnKeptValues []string // sentences about values that an undo does not restore

	unmanaged          bool   // whether this is about an account that no user has
	unmanagedValues    string // the values of that account as one string, to notice a change; "" if a change does not matter
	otherAdministrator string // the account of another active administrator; "" if none is needed
	entry              LogEntry
}

// doubts is the set of objects whose last update or deletion may have been carried out. The engine
// reads the account of such an object before it compares the account with the wanted values.
type doubts struct {
	mu   sync.Mutex
	sent map[string]time.Time // when the request of unknown outcome was about to be sent, by object id
}

func newDoubts(ids []string, sent map[string]time.Time) *doubts {
	d := &doubts{sent: map[string]time.Time{}}
	for _, id := range ids {
		d.sent[id] = sent[id]
	}
	return d
}

// find returns when an update with unknown outcome was sent for the object. doubted is false if
// there is no such update.
func (d *doubts) find(id string) (sent time.Time, doubted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent, doubted = d.sent[id]
	return sent, doubted
}

// add adds an object whose request of unknown outcome was about to be sent at the time sent.
func (d *doubts) add(id string, sent time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent[id] = sent
}

// newLink reports whether the account was found or created in this pass, so that the store has no
// link to it yet.
func (w *work) newLink() bool {
	return w.link != nil && (w.known.Link == nil || w.known.Link.TargetID != w.link.TargetID)
}

// active reports whether the directory lets the person sign in.
func (w *work) active() bool {
	return !w.isPurged && w.object.Active()
}

// entitled reports whether the person is assigned, passes the scoping filters, and is active. Entra
// calls this "effectively entitled".
func (w *work) entitled() bool { return w.assigned && w.admitted && w.active() }

// attributes returns the source attributes that a mapping can read, with the value of
// IsSoftDeleted, which the engine computes.
func (w *work) attributes() map[string]any {
	a := map[string]any{attrEnabled: false}
	maps.Copy(a, w.object.Attributes)
	a[attrSoftDeleted] = !w.entitled()
	return a
}

// evaluate takes one person through all steps before export. object is nil if the source no longer
// has it. If the person or the target's answers have a problem, the decision says so. evaluate
// returns an error only if the store fails or ctx ends; the error ends the whole batch.
func (p *pass) evaluate(ctx context.Context, object *Object, known Pending, now time.Time) (*work, error) {
	w, attributes := p.begin(object, known, now)
	var err error
	w.decision, err = p.decide(ctx, w, attributes)
	return w, err
}

// usualSteps is the number of steps for which a new log entry has room. Few entries need more.
const usualSteps = 6

// begin does the import and scoping steps for one person. object is nil if the source no longer has
// the person. begin also returns the attributes that a mapping can read.
func (p *pass) begin(object *Object, known Pending, now time.Time) (*work, map[string]any) {
	w := &work{
		p: p, known: memory{Pending: known}, started: now, m: p.m, link: known.Link, result: unsentResult{},
	}
	w.unknownSince, w.doubted = p.doubt.find(known.ObjectID)
	w.entry = p.newEntry(known)
	p.importObject(w, object)
	w.known.name = w.name()
	attributes := w.attributes()
	p.scoping(w, attributes)
	return w, attributes
}

// readObject reads a person or a group from the source. It returns nil if the source no longer has
// the object.
func (r *run) readObject(ctx context.Context, id string) (*Object, error) {
	o, err := r.reader.read(ctx, id)
	if o != nil || err != nil {
		return o, err
	}
	return r.readGroup(ctx, id)
}

// importObject stores the object, as the source has it, in w and in the log entry. A nil object was
// deleted permanently.
func (p *pass) importObject(w *work, object *Object) {
	if object == nil {
		w.isPurged = true
		w.entry.SourceIdentity = Identity{ID: w.known.ObjectID, DisplayName: w.rememberedName(), Type: string(w.m.kind)}
		w.step("EntryImportObjectNotFound", ImportStep, Success, fmt.Sprintf("%s was deleted permanently in %s.", w.describeObject(), p.m.source), nil)
		return
	}
	w.object = *object
	w.entry.SourceIdentity = Identity{ID: object.ID, DisplayName: object.Name, Type: string(object.Kind)}
	if object.Kind == UserKind {
		w.entry.SourceIdentity.Details = map[string]string{"userPrincipalName": text(object.Attributes["userPrincipalName"])}
	}
}

// name returns the person's name for messages.
func (w *work) name() string {
	if upn := w.entry.SourceIdentity.Details["userPrincipalName"]; upn != "" {
		return upn
	}
	if name := w.entry.SourceIdentity.DisplayName; name != "" {
		return name
	}
	return w.known.ObjectID
}

// describeObject returns the kind and the name of the object, for steps of the log.
func (w *work) describeObject() string {
	if w.unmanaged {
		return fmt.Sprintf("Account '%s'", w.name())
	}
	return fmt.Sprintf("%s '%s'", w.m.kind, w.name())
}

// rememberedName returns the name that the job remembers of an object, or else the object's id.
func (w *work) rememberedName() string {
	switch {
	case w.known.Link != nil && w.known.Link.Name != "":
		return w.known.Link.Name
	case w.known.Escrow != nil && w.known.Escrow.Name != "":
		return w.known.Escrow.Name
	}
	return w.known.ObjectID
}

// scoping decides whether the person is assigned and passes the scoping filters. It adds the
// results to the log entry, and sets IsSoftDeleted in attributes.
func (p *pass) scoping(w *work, attributes map[string]any) {
	w.assigned = !w.isPurged && (w.object.Assigned || p.job.Scope == Everyone)
	var clauses []scopeResult
	w.admitted, clauses, w.filterError = p.m.filter.admits(attributes)
	attributes[attrSoftDeleted] = !w.entitled()
	if w.isPurged {
		return
	}
	w.step("EntryImport", ImportStep, Success, fmt.Sprintf("Received %s from %s.", w.describeObject(), p.m.source), p.read(attributes))
	details := map[string]string{
		"IsActive":                             text(w.active()),
		"Assigned":                             text(w.object.Assigned),
		"ScopeSyncAll":                         text(p.job.Scope == Everyone),
		"IsEffectivelyEntitledForProvisioning": text(w.entitled()),
	}
	for _, c := range clauses {
		details[c.Clause] = text(c.Holds)
		if !c.Holds {
			w.failedClauses = append(w.failedClauses, c.Clause)
		}
	}
	status, words := Success, "%s is in scope."
	switch {
	case !w.assigned:
		status, words = Skipped, "%s is not assigned to the application."
	case w.filterError != nil:
		status, words = Failure, "%s cannot be compared with the scoping filters."
	case !w.admitted:
		status, words = Skipped, "%s does not pass the scoping filters."
	case !w.active():
		words = "%s is in scope, but not active in the directory."
	}
	w.step("EntrySynchronizationScoping", ScopingStep, status, fmt.Sprintf(words, w.describeObject()), details)
}

// read returns the values of the source attributes that the mapping reads, for the import step of
// the log.
func (p *pass) read(attributes map[string]any) map[string]string {
	details := map[string]string{attrEnabled: text(attributes[attrEnabled]), attrSoftDeleted: text(attributes[attrSoftDeleted])}
	for _, r := range p.m.rows {
		if r.Expr == nil {
			continue
		}
		for _, name := range r.Expr.Attributes() {
			if v, ok := attributes[name]; ok && !isEmptyValue(v) {
				details[name] = sourceValue(v).Text()
			}
		}
	}
	return details
}

// decide finds the account and decides what to do with it.
func (p *pass) decide(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	if w.known.Op != nil {
		if d, err := p.resolve(ctx, w); d != nil || err != nil {
			return d, err
		}
	}
	switch {
	case w.filterError != nil && w.assigned && w.active(): // for a blocked or deleted person, the filters do not matter
		return w.failRow(unclearScope(w.filterError)), nil
	case p.m.kind == GroupKind:
		return p.decideGroup(ctx, w, attributes)
	case w.isPurged:
		return p.decideGone(ctx, w, attributes)
	case w.link != nil:
		return p.decideLinked(ctx, w, attributes)
	case !w.assigned || !w.admitted:
		return p.leaveAlone(w), nil
	}
	return p.findAccount(ctx, w, attributes)
}

// unclearScope returns the problem of a person if a scoping filter cannot be evaluated for that
// person. err says why.
func unclearScope(err error) *rowProblem {
	return &rowProblem{
		Code: "InvalidScopingFilter", Text: "Nothing was done for this person, because " + err.Error() + ".",
		Advice: "Simplify the pattern in the scoping filter.",
	}
}

// leaveAlone skips a person who is out of scope and has no account through this job. The engine
// never touches the accounts of people who were never in scope.
func (p *pass) leaveAlone(w *work) decision {
	s := w.skip("NotEffectivelyEntitled", "The person is not in scope and has no account through this job.", "")
	s.absence = noneNeeded
	if !w.assigned {
		s.report = silent
	}
	return s
}

// resolve looks for the account of a create whose outcome is unknown, because the process died or
// the answer was lost. The engine creates nothing for this person until a read has shown the
// outcome. A nil decision means that the steps can continue.
func (p *pass) resolve(ctx context.Context, w *work) (decision, error) {
	op := w.known.Op
	l := p.find(ctx, op.Keys)
	if l.problem != nil {
		return w.fail(l.problem), ctx.Err()
	}
	// Ignore accounts of other people. The account of another person may have got the value in the
	// meantime, and does not come from this create.
	found := l.found[:0:0]
	for _, o := range l.found {
		owner, err := p.owner(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		if owner == "" || owner == w.known.ObjectID {
			found = append(found, o)
		}
	}
	l.found = found
	switch len(l.found) {
	case 0:
		if len(l.skipped) > 0 {
			return w.failUnsearchable(l.skipped), nil
		}
		return p.notCreatedYet(w, op), nil
	case 1:
		return p.adopt(ctx, w, l.found[0], l.key, "adopted")
	}
	return w.failAmbiguous(l.found, l.key), nil
}

// notCreatedYet decides what to do about a create of unknown outcome if the search finds no
// account. The application may still be processing the create, or its search may not show the
// account yet. So the engine searches again at growing intervals, and then sends the create once
// more. It sends a third create only if the application refuses duplicates, if it answered the last
// create with a server error, or if a person restarts provisioning. A nil decision means that the
// evaluation goes on.
func (p *pass) notCreatedYet(w *work, op *Op) decision {
	unique := p.target.Dialect().Unique
	for i, n := range []time.Duration{1, 6, 24} { // multiples of settle: by default 5 seconds, 30 seconds, 2 minutes
		if at := op.Sent.Add(n * p.settle); w.started.Before(at) && (i == 0 || !unique) {
			return later{until: at}
		}
	}
	answered := w.known.Escrow != nil && w.known.Escrow.Code == codeServerError // after a server error, the application no longer works on the create, whether or not it created the account
	if w.known.unknownCreates() >= maxUnknownCreates && !answered && !unique && !p.readsEveryAccount {
		return w.fail(&TargetError{
			Kind: Permanent, Code: "CreateOutcomeUnknown",
			Detail: fmt.Sprintf("A create for this person was sent %d times and its outcome was never known. No account with %s shows at the application, and it does not refuse doubles, so it is not sent again.", w.known.unknownCreates(), describeKeys(op.Keys)),
			Advice: "Look for the account at the application. If there is one, correct its matching attribute: it is found by itself. If there is none, restart provisioning: then the create is sent once more.",
		})
	}
	w.known.resolved = true
	return nil
}

const codeServerError = "InternalServerError"

// maxUnknownCreates is how many creates of unknown outcome the engine sends for one person, if the
// application may create duplicates.
const maxUnknownCreates = 2

// adopt links the person to the account o, which was found by key. If another person has the
// account, adopt decides what to do instead. A nil decision means that adopt made the link.
func (p *pass) adopt(ctx context.Context, w *work, o TargetObject, key MatchKey, how string) (decision, error) {
	if !w.entitled() {
		// Read the open creates before the owner: if a create ends in between, the account has an
		// owner.
		if d, err := p.awaitOpenCreate(ctx, w, key); d != nil || err != nil {
			return d, err
		}
	}
	owner, err := p.owner(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	if owner != "" && owner != w.known.ObjectID {
		if p.m.kind == GroupKind {
			return w.failTaken(o.ID, owner), nil
		}
		if !w.entitled() {
			return p.leaveAlone(w), nil // the account belongs to the other person, so this person has none
		}
		if d, err := p.decideContested(ctx, w, o, key, owner); d != nil || err != nil {
			return d, err
		}
	}
	w.link = &Link{ObjectID: w.known.ObjectID, TargetID: o.ID, How: how, State: Active, Kind: w.m.kind, Name: w.name(), Since: w.started, Wrote: w.former}
	w.current, w.version, w.replaces = o.Resource, o.Version, nil
	w.link.Keys = w.accountKeys(w.ledgerAfter(nil, nil))
	w.known.resolved = w.known.Op != nil
	w.identify(o.ID)
	w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("Found one account in %s by %s '%s'.", p.m.target, key.Path, text(key.Value)), map[string]string{"id": o.ID})
	return nil, nil
}

// awaitOpenCreate postpones an object without access, for which an account was found by key, if a
// create for another object with the same value has an unknown outcome, and the other object should
// have access. The account may be the other object's, and must not be disabled. A nil decision
// means that there is no such create.
func (p *pass) awaitOpenCreate(ctx context.Context, w *work, key MatchKey) (decision, error) {
	open, err := p.openCreates(ctx)
	if err != nil {
		return nil, err
	}
	for _, op := range open {
		if op.ObjectID == w.known.ObjectID || !slices.ContainsFunc(op.Keys, func(k MatchKey) bool { return sameKey(k, key) }) {
			continue
		}
		other, err := p.holderOf(ctx, op.ObjectID, key, w.started)
		if err != nil {
			return nil, err
		}
		if !other.entitled {
			continue // two objects without access must not wait for each other
		}
		w.waits = fmt.Sprintf("The account with %s '%s' may be the one that was being created for %s (object %s), whose create got no answer. That object comes first.", key.Path, text(key.Value), other.name, op.ObjectID)
		return later{until: w.started.Add(6 * p.settle)}, nil
	}
	return nil, nil
}

// identify puts the account's id into the log entry.
func (w *work) identify(targetID string) {
	w.entry.TargetIdentity = Identity{ID: targetID, Type: w.m.object.TargetObjectName}
}

// failAmbiguous returns the failure of an object for which a search found several accounts.
func (w *work) failAmbiguous(found []TargetObject, key MatchKey) fail {
	ids := make([]string, len(found))
	for i, o := range found {
		ids[i] = o.ID
	}
	return w.fail(&TargetError{
		Kind: Permanent, Code: "DuplicateTargetEntries",
		Detail: fmt.Sprintf("The application has %d accounts with %s '%s': %s. Nothing was done.", len(found), key.Path, text(key.Value), strings.Join(ids, ", ")),
		Advice: "Correct the accounts at the application so that one is left, or match by another attribute.",
	})
}

// findAccount looks for the account of a person in scope who has no linked account.
func (p *pass) findAccount(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	keys, problem := p.m.keys(attributes)
	if problem != nil {
		return w.failRow(problem), nil
	}
	if len(keys) == 0 {
		return w.skip("ImportSkipped", "The person has no value in any matching attribute, so no account can be found for them.", "Fill in a matching attribute of this person in the directory."), nil
	}
	l := p.find(ctx, keys)
	if l.problem != nil {
		w.entryStepFailed("EntryImport", MatchingStep, l.problem)
		return w.fail(l.problem), ctx.Err()
	}
	switch len(l.found) {
	case 0:
		p.logNotFound(w, keys, l)
		return p.decideUnmatched(ctx, w, attributes, keys, l)
	case 1:
		if d, err := p.adopt(ctx, w, l.found[0], l.key, "matched"); d != nil || err != nil {
			return d, err
		}
		return p.decideLinked(ctx, w, attributes)
	}
	return w.failAmbiguous(l.found, l.key), nil
}

// logNotFound logs the values for which a search found no account, and the values that could not be
// searched for.
func (p *pass) logNotFound(w *work, keys []MatchKey, l lookup) {
	var asked []MatchKey
	for _, k := range keys {
		if !slices.ContainsFunc(l.skipped, func(s Searchable) bool { return s.Path == k.Path }) {
			asked = append(asked, k)
		}
	}
	if len(asked) > 0 {
		w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("No account in %s has %s.", p.m.target, describeKeys(asked)), nil)
	}
	for _, s := range l.skipped {
		w.step("EntryImport", MatchingStep, Skipped, "Not searched. "+s.Detail, nil)
	}
}

// describeKeys lists matching values for the log.
func describeKeys(keys []MatchKey) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = fmt.Sprintf("%s '%s'", k.Path, text(k.Value))
	}
	return strings.Join(parts, " or ")
}

// decideUnmatched decides about a person if the search found no account of that person. The
// decision is to create an account if the job may create accounts and the person is active.
func (p *pass) decideUnmatched(ctx context.Context, w *work, attributes map[string]any, keys []MatchKey, l lookup) (decision, error) {
	switch {
	case !w.active():
		s := w.skip("NotEffectivelyEntitled", "The person has no account at the application and is not active in the directory.", "")
		s.absence = noneNeeded
		return s, nil
	}
	if d, err := p.matchInOtherCase(ctx, w, attributes, keys); d != nil || err != nil {
		return d, err
	}
	switch {
	case !p.m.can(FlowAdd):
		s := w.skip("NoMatchCreateDisabled", "The person has no account at the application, and Create is not among the Target Object Actions.",
			"Add the person at the application, or tick Create if it supports that. They are looked up again when they change, and once a day.")
		s.absence = noAccount
		if w.known.Why == ByAbsence && w.known.Unmatched {
			s.report = silent // a daily search that finds nothing again needs no report
		}
		return s, nil
	case len(l.skipped) > 0:
		return w.failUnsearchable(l.skipped), nil
	}
	return p.prepareCreate(ctx, w, attributes, keys)
}

func (p *pass) prepareCreate(ctx context.Context, w *work, attributes map[string]any, keys []MatchKey) (decision, error) {
	draws, err := p.drawFor(ctx, w)
	if err != nil {
		return nil, err
	}
	d := p.process(w, attributes, draws)
	if d != nil || draws.storeErrors != nil {
		return d, draws.storeErrors
	}
	for _, r := range p.m.rows {
		if r.Required && r.Type != TypeReference && !slices.ContainsFunc(w.values, func(v value) bool { return v.row.Target == r.Target }) {
			return w.fail(&TargetError{
				Kind: Permanent, Code: "MissingValues",
				Detail: fmt.Sprintf("The application needs %s, and the person has no value for it.", r.Target),
				Advice: "Fill it in in the directory, or give the row a default value.",
			}), nil
		}
	}
	w.step("EntrySynchronizationAdd", ProcessingStep, Success, fmt.Sprintf("%s will be created in %s: active and in scope, and no account was found.", w.describeObject(), p.m.target), nil)
	w.refers = p.m.refersTo(attributes)
	return create{keys: keys, changes: diff(scim.Resource{}, w.values, nil), replaces: w.replaces, drawn: draws.sentValues, fresh: draws.newlyDrawn}, nil
}

// process evaluates the mapping and sets w.values. draws generates the random and unique values of
// a new account; nil if the account exists. A nil decision means that no row failed.
func (p *pass) process(w *work, attributes map[string]any, draws *drawing) decision {
	values, problem := p.m.values(attributes, w.entitled(), draws)
	if problem != nil {
		return w.failRow(problem)
	}
	w.values = values
	w.keepDespiteClock(attributes)
	return nil
}

// decideLinked decides whether and how to update an existing account.
func (p *pass) decideLinked(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	w.identify(w.link.TargetID)
	if d := p.process(w, attributes, nil); d != nil {
		return d, nil
	}
	if d, err := p.addReferences(ctx, w, attributes); d != nil || err != nil {
		return d, err
	}
	if len(w.values) == 0 {
		return w.skipUpdate("NotEffectivelyEntitled", "The person is out of scope, and no row of the mapping tells the application so.", "Map IsSoftDeleted to active to disable such accounts."), nil
	}
	if !p.m.can(FlowUpdate) {
		return w.skipUpdate("UpdateDisabled", "Update is not among the Target Object Actions.", "Tick Update to keep accounts up to date and to disable them."), nil
	}
	changes, sure := p.compareWritten(w)
	var rereadAt time.Time
	if sure {
		changes = w.withHeldState(changes)
	} else {
		if d, err := p.readAccount(ctx, w, attributes); d != nil || err != nil {
			return d, err
		}
		rereadAt = p.settledFrom(w)
		w.wasReadTooEarly = !rereadAt.IsZero()
		w.addUnrecordedValues(p.unsureAttributes[w.known.ObjectID])
		changes = diff(w.current, w.values, w.link.Wrote)
		if w.rereadsHeld() {
			changes = slices.DeleteFunc(changes, func(c Change) bool { return p.m.row(c.Path).state })
		}
	}
	changes, rest, err := p.decideContest(ctx, w, changes)
	switch {
	case err != nil:
		return nil, err
	case len(changes) == 0 && rest != nil:
		return rest, nil
	case len(changes) == 0 && w.wasReadTooEarly:
		w.waits = unsettledWords
		return later{until: rereadAt}, nil
	case len(changes) == 0:
		return w.skipRedundant(), nil
	case w.wasReadTooEarly && rest == nil:
		w.waits, rest = unsettledWords, later{until: rereadAt}
	}
	words := "%s will be updated in %s."
	if w.action() == Disable {
		words = "%s will be disabled in %s: " + w.whyDisabled()
	}
	w.step("EntrySynchronizationUpdate", ProcessingStep, Success, fmt.Sprintf(words, w.describeObject(), p.m.target), nil)
	return patch{action: w.action(), link: *w.link, changes: changes, decisionAboutRest: rest}, nil
}

const unsettledWords = "An update was sent and its outcome is not known. The application may be behind, so the account is read again."

// settledFrom returns the time from which a read shows whether an update of unknown outcome was
// carried out. Before that, the target may still be working on the update, or show the account as
// it was before. It returns the zero time if no outcome is unknown, or if that time has passed.
func (p *pass) settledFrom(w *work) (at time.Time) {
	if w.newLink() {
		return at
	}
	if w.doubted {
		at = w.unknownSince.Add(p.settle)
	}
	for _, e := range w.link.Wrote {
		if e.Unsure {
			at = latest(at, w.link.Updated.Add(p.settle))
			break
		}
	}
	if !w.started.Before(at) {
		return time.Time{}
	}
	return at
}

// compareWritten compares the person's values with the values that the job has recorded as written
// to the account. It returns the changes that the account needs. sure is false if only a read can
// tell, for example because the account was just found, or because its values are not known for
// certain.
func (p *pass) compareWritten(w *work) (changes []Change, sure bool) {
	if p.readsEveryAccount || w.known.Reads || w.known.Why == ByDemand || w.rereadsHeld() || w.doubted || w.current != nil || w.newLink() || w.link.missing() {
		return nil, false
	}
	if w.link.Wrote == nil {
		return nil, w.link.Hash == hashValues(w.values)
	}
	return diffWritten(w.link.Wrote, w.values)
}

// addUnrecordedValues adds to the ledger the values of an update that was carried out but not
// recorded. Without them, the engine would not remove these values later, because it removes only
// values that are in the ledger. given lists the attributes that the update set.
func (w *work) addUnrecordedValues(given []string) {
	if len(given) == 0 || w.link.Wrote == nil {
		return
	}
	link := *w.link
	link.Wrote = maps.Clone(link.Wrote)
	for _, v := range w.values {
		path := v.row.Target
		if link.Wrote[path].Sent != nil || !slices.Contains(given, path) || isPassword(path) {
			continue
		}
		if shown := v.row.valueIn(w.current); shown != nil {
			link.Wrote[path] = Written{Sent: rememberedAs(path, shown), Got: rememberedAs(path, shown), Shown: true}
		}
	}
	w.link = &link
}

// rereadsHeld reports whether the engine looks at this account only in the daily check of accounts
// that the target keeps blocked. The engine then reads the account, and does not send the blocking
// attribute again.
func (w *work) rereadsHeld() bool {
	return w.known.Why == ByAbsence && w.entitled() && !w.newLink() && w.link != nil && w.link.State == Held
}

// withHeldState adds to the changes of an account that the target keeps blocked the attribute that
// unblocks it. So it is sent again with each change of the person.
func (w *work) withHeldState(changes []Change) []Change {
	if len(changes) == 0 || !w.entitled() || w.link.State != Held {
		return changes
	}
	for _, v := range w.values {
		sent := slices.ContainsFunc(changes, func(c Change) bool { return c.Path == v.row.Target })
		if e := w.link.Wrote[v.row.Target]; v.row.state && v.want == true && !sent && e.Shown && e.Got != nil && v.row.same(e.Got, false) {
			changes = append(changes, v.row.change(e.Got, v.want))
		}
	}
	return changes
}

// action returns the action that the log shows for an update of the person's account.
func (w *work) action() Action {
	if w.entitled() {
		return Update
	}
	return Disable
}

// whyDisabled returns the reason why the account is disabled or deleted, as the end of a sentence.
func (w *work) whyDisabled() string {
	switch {
	case w.isPurged:
		return "deleted permanently in the directory."
	case !w.assigned:
		return "no longer assigned to the application."
	case !w.admitted:
		return "no longer in the scoping filters."
	case !w.object.Deleted.IsZero():
		return "deleted in the directory."
	}
	return "blocked from sign-in in the directory."
}

// readAccount reads the account's current values. If matching has already read them, it does
// nothing. If the account is gone, it looks for another account of the person. A nil decision means
// that the account exists.
func (p *pass) readAccount(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	if w.current != nil {
		return nil, nil
	}
	o, err := p.target.Get(ctx, w.link.TargetID)
	if err == nil {
		w.current, w.version = o.Resource, o.Version
		w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("%s is linked to an account in %s.", w.describeObject(), p.m.target), map[string]string{"id": w.link.TargetID})
		return nil, nil
	}
	te := asTargetError(err)
	if te.Kind != NotFound {
		w.entryStepFailed("EntryImport", MatchingStep, te)
		return w.withAction(w.fail(te)), ctx.Err()
	}
	return p.findReplacement(ctx, w, attributes)
}

// withAction returns the failure f with the action that it prevented, for the log.
func (w *work) withAction(f fail) fail {
	if !w.isPurged {
		f.action = w.action()
	}
	return f
}

// decideGone decides about a person who was purged from the source.
func (p *pass) decideGone(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	switch {
	case w.link == nil || w.link.State == Released && !w.doubted:
		// The person was unassigned earlier and deleted later, so the job no longer manages the
		// account and sends nothing. If an update may be unrecorded, it made the account active
		// again.
		s := w.skip("NotEffectivelyEntitled", "The person is deleted and has no account through this job.", "")
		s.absence, s.report = noneNeeded, silent
		if w.link != nil {
			s.pair = forget{}
		}
		return s, nil
	case p.m.can(FlowDelete):
		if w.link.missing() {
			if d, err := p.readAccount(ctx, w, attributes); d != nil || err != nil {
				return d, err
			}
		}
		w.identify(w.link.TargetID)
		w.step("EntrySynchronizationDelete", ProcessingStep, Success, fmt.Sprintf("%s will be deleted in %s.", w.describeObject(), p.m.target), nil)
		return remove{link: *w.link}, nil
	}
	d, err := p.decideLinked(ctx, w, attributes)
	if s, skipped := d.(skip); skipped && (w.link.State != Lost || !p.m.can(FlowUpdate)) {
		s.pair = forget{}
		return s, err
	}
	return d, err
}

// step adds a step to the log entry. The entry keeps details, so the caller must not change them.
func (w *work) step(name string, kind StepType, status Result, description string, details map[string]string) {
	w.entry.Steps = append(w.entry.Steps, Step{Name: name, Type: kind, Status: status, Description: description, Details: details})
}

func (w *work) entryStepFailed(name string, kind StepType, te *TargetError) {
	w.step(name, kind, Failure, te.Detail, nil)
}

// skip returns the decision to do nothing, and adds a step with the reason to the log entry.
func (w *work) skip(code, reason, advice string) skip {
	reason, advice = w.words(reason), w.words(advice)
	w.step("EntrySynchronizationSkip", ExportStep, Skipped, reason, map[string]string{"SkipReason": code})
	return skip{code: code, reason: reason, advice: advice}
}

// skipUpdate is like skip, but the decision also stores the pair if it is new or has changed.
func (w *work) skipUpdate(code, reason, advice string) skip {
	s := w.skip(code, reason, advice)
	if w.known.Why == ByAbsence && w.link.missing() {
		s.report = silent
	}
	s.pair = w.pairAfter(false, nil)
	return s
}

// skipRedundant returns the decision to do nothing, because the account already has the wanted
// values.
func (w *work) skipRedundant() skip {
	reason, advice := w.whyRedundant()
	s := w.skip("RedundantExport", reason, advice)
	before := w.known.Link
	if w.entitled() && w.current == nil && before != nil && before.State == Held {
		s = w.skip(codeHeld, heldReason(w.m.heldBy(before.Wrote)), heldAdvice)
	}
	switch {
	case w.rereadsHeld() && w.m.heldBy(w.ledgerAfter(nil, nil)) != "":
		s.report = silent // the account is still blocked, which the log already says
	case before != nil && before.State == Released && w.disabledState() == Released && !w.entitled():
		s.report = silent // the job no longer manages the account of this person, so no entry is needed
	case w.known.Why == ByCycle && before != nil && !before.missing() && w.known.Escrow == nil && advice == "":
		s.report = counted // an initial cycle looks at everyone; an unchanged object needs no entry
	}
	s.pair = w.pairAfter(true, nil)
	return s
}

// whyRedundant says in words which values were compared, and which differences the engine does not
// change.
func (w *work) whyRedundant() (reason, advice string) {
	advice = w.whyStillActive()
	if w.current == nil {
		reason = "Not read: nothing that the mapping sends has changed since the account was last written or read"
		if since := w.link.lastSeen(); !since.IsZero() {
			reason += ", at " + since.UTC().Format("2006-01-02 15:04 UTC")
		}
		return reason + "." + w.onlyCase(), advice
	}
	reason = "The account was read and has the values of the mapping; nothing had to be sent."
	if !w.entitled() {
		state := make([]string, len(w.values))
		for i, v := range w.values {
			state[i] = v.row.Target
		}
		reason = fmt.Sprintf("The account was read and has the state of a person without access already (%s); nothing had to be sent. Its other attributes were not compared: they are sent only to accounts that may be used.", strings.Join(state, ", "))
	}
	return reason + w.onlyCase() + w.keptValues(), advice
}

// lastSeen returns when the job last wrote the account or the target last showed it.
func (l *Link) lastSeen() time.Time {
	if l.Proved.After(l.Updated) {
		return l.Proved
	}
	return l.Updated
}

// valueOf returns the account's value of a row's attribute. If the account was not read, it returns
// the value in the ledger.
func (w *work) valueOf(r *row) any {
	if w.current != nil {
		return r.valueIn(w.current)
	}
	return w.link.Wrote[r.Target].shown()
}

// onlyCase returns a sentence that lists the values which differ only in case; "" if there are
// none.
func (w *work) onlyCase() string {
	var names []string
	for _, v := range w.values {
		want, isText := v.want.(string)
		if old := text(w.valueOf(v.row)); isText && !v.row.CaseExact && old != want && strings.EqualFold(old, want) {
			names = append(names, v.row.Target)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" Differences of capital letters alone are not sent unless the attribute is marked exact case: %s.", strings.Join(names, ", "))
}

// keptValues returns a sentence that lists the values which the account has although the mapping
// does not yield them. The job did not write these values, so it does not remove them.
func (w *work) keptValues() string {
	var names []string
	for i := range w.m.rows {
		r := &w.m.rows[i]
		v := w.wantedValue(r.Target)
		if w.entitled() && (v == nil || v.want == nil) && r.FlowType == FlowAlways && r.Type != TypeReference && r.Expr != nil && r.valueIn(w.current) != nil {
			names = append(names, r.Target)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" The account keeps values that the mapping does not yield and that were not written by this job: %s.", strings.Join(names, ", "))
}

// whyStillActive returns advice if the mapping lets a person without access keep an active account.
// Otherwise it returns "".
func (w *work) whyStillActive() string {
	for _, v := range w.values {
		if !w.entitled() && v.row.state && v.want == true {
			return "The person must not have access, but the mapping gives active the value True. Map active from IsSoftDeleted to disable such accounts."
		}
	}
	return ""
}

// pairAfter returns the pair to store after the changes were carried out. It returns nil if the
// stored pair is up to date. proved says whether the account is known to have the values of the
// mapping; only then do the written values become part of the pair.
func (w *work) pairAfter(proved bool, changes []Change) pair {
	l := *w.link
	if proved {
		w.remember(&l, changes, nil)
	}
	l.Name = w.name()
	switch {
	case l.missing() && w.current == nil: // the engine has not looked for the missing account, so its state stays
	case w.entitled() && w.m.heldBy(l.Wrote) != "":
		l.State = Held
	case w.entitled():
		l.State = Active
	default:
		l.State = w.disabledState()
	}
	if k := w.known.Link; !w.newLink() && k != nil && l.Hash == k.Hash && l.State == k.State && l.Name == k.Name && sameKeys(l.Keys, k.Keys) &&
		l.Refers == k.Refers && l.Wrote.equal(k.Wrote) && l.Version == k.Version && l.Proved.Equal(k.Proved) && l.Aside == k.Aside {
		return nil
	}
	return remember{l}
}

// remember updates a link with the values that were written to the account, and with the target's
// answers. changes are the changes that were carried out, and unsure those that may have been.
func (w *work) remember(l *Link, changes, unsure []Change) {
	if l.Wrote == nil && w.current == nil && !w.created && len(changes)+len(unsure) == 0 {
		return // a link that an earlier version stored keeps its hash if the account was not read
	}
	l.Wrote, l.Hash = w.ledgerAfter(changes, unsure), ""
	l.Keys = w.accountKeys(l.Wrote)
	if a := l.Aside; a != nil {
		if e, known := l.Wrote.known(a.Path); known && text(e.Sent) == a.Value {
			reached := *a
			reached.Reached = true
			l.Aside = &reached
		} else if known && a.Reached {
			l.Aside = nil
		}
	}
	if w.version != "" {
		l.Version = w.version
	}
	if w.current != nil || w.lastAnswer != nil {
		l.Proved = w.started
	}
}

// disabledState returns the state of the link after the account was disabled. It is Released if the
// person is not in scope, so that the job no longer manages the account; otherwise it is Disabled.
func (w *work) disabledState() LinkState {
	if !w.isPurged && (!w.assigned || !w.admitted) {
		return Released
	}
	return Disabled
}

// fail returns the decision that the person has the problem te and is tried again later. The
// decision also stores a link that was made in this pass.
func (w *work) fail(te *TargetError) fail {
	f := fail{problem: te}
	switch {
	case w.newLink():
		f.pair = remember{*w.link}
	case w.replaces != nil:
		f.pair = rememberLost(*w.replaces) // no new account has replaced the lost account
	}
	return f
}

// failRow returns the decision that an object fails because of a row of the mapping.
func (w *work) failRow(p *rowProblem) fail {
	te := &TargetError{Kind: Permanent, Code: p.Code, Detail: p.Text, Advice: p.Advice}
	if refused := (*TargetError)(nil); errors.As(p.Err, &refused) {
		te = refused // the problem is the target's error
	}
	w.entryStepFailed("EntrySynchronization", ProcessingStep, te)
	return w.fail(te)
}
