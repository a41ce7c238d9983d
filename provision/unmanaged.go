package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/scim"
)

// An administrator can disable accounts that no user of the directory matches. A plan has one
// operation for each of them:
//
//	last discovery ─► chosen accounts ─► read each again ─► plan ─► approve ─► read once more ─► apply
//	                                            │
//	                                            ▼
//	           left as it is, and named: marked Keep, changed since, a user has it now, used by
//	           provisioning itself, or no other active administrator would be left
//
// The job has no link to such an account and remembers nothing about it. The log keeps the old
// value, so that an undo can enable the account again.

// accountPrefix begins the work-list id of an account that no user has.
const accountPrefix = "account:"

// WorkOfAccount returns the id by which the work list and plans know an account that no user has.
func WorkOfAccount(targetID string) string { return accountPrefix + targetID }

// AccountOfWork returns the id of the account, and true, if id is one that WorkOfAccount returns.
func AccountOfWork(id string) (targetID string, is bool) { return strings.CutPrefix(id, accountPrefix) }

// DisablePlan is the [PlanReport.Kind] of a plan that disables accounts that no user has.
const DisablePlan = "disable"

// Codes of accounts that a plan of this kind leaves as they are.
const (
	codeKept        = "MarkedKeep"
	codeHasUser     = "HasUser"
	codeOwnAccount  = "UsedByProvisioning"
	codeLastAdmin   = "LastAdministrator"
	codeNotDisabled = "CannotBeDisabled"
)

// SelfTarget is a Target that can ask the application whose credentials it uses.
type SelfTarget interface {
	// Self returns the id of the account to which the credentials belong; "" if the application
	// does not tell.
	Self(ctx context.Context) (targetID string, err error)
}

// disabling says how to disable accounts that no user has.
type disabling struct {
	own     string          // the account to which the job's credentials belong; "" if that is not known
	chosen  map[string]bool // the accounts of the plan that is being made
	planned *PlannedObject  // the operation of the plan that is being applied; nil while a plan is made

	mu                 sync.Mutex // protects the fields below
	hasLooked          bool       // whether another administrator was looked for
	otherAdministrator string     // an active administrator who is not in the plan; "" if there is none
}

// AccountsToDisable returns the ids of local accounts of the last complete discovery that can be
// disabled: those that are active and not marked Keep. With accounts nil it looks at the whole
// class, and also leaves out accounts that a user nearly matches. Otherwise it looks only at these
// accounts. left is how many accounts it leaves out. It returns ErrNoDiscovery, or ErrNoAccount if
// the discovery does not have one of the accounts.
func (e *Engine) AccountsToDisable(ctx context.Context, k Key, accounts []string) (ids []string, left int, err error) {
	add := func(a DiscoveredAccount) {
		if a.Class != LocalAccounts || a.Ambiguous != "" || a.KeptBy != "" || a.Active == nil || !*a.Active || accounts == nil && a.NearCount > 0 {
			left++
			return
		}
		ids = append(ids, a.ID)
	}
	if accounts != nil {
		for _, account := range withoutRepeats(accounts) {
			a, err := e.DiscoveredAccount(ctx, k, UserKind, account)
			if err != nil {
				return nil, 0, err
			}
			add(a)
		}
		return ids, left, nil
	}
	for q := (DiscoveredQuery{Class: LocalAccounts, Limit: discoveryPage}); ; {
		page, next, err := e.Discovered(ctx, k, q)
		if err != nil {
			return nil, 0, err
		}
		for _, a := range page {
			add(a)
		}
		if q.After = next; next == "" {
			return ids, left, nil
		}
	}
}

// withoutRepeats returns a list in its order, each value once.
func withoutRepeats(list []string) []string {
	var once []string
	seen := map[string]bool{}
	for _, one := range list {
		if !seen[one] {
			seen[one] = true
			once = append(once, one)
		}
	}
	return once
}

// BeginDisable adds an empty plan, which FillPlan then fills with the operations that disable
// accounts of the last complete discovery. With accounts nil it takes those that AccountsToDisable
// returns. Otherwise it takes these, and the plan also names those that are left as they are. The
// errors are those of AccountsToDisable and BeginPlan, and an *InputError if no account can be
// disabled.
func (e *Engine) BeginDisable(ctx context.Context, k Key, accounts []string, actor string) (StoredPlan, error) {
	ids, _, err := e.AccountsToDisable(ctx, k, accounts)
	if err != nil {
		return StoredPlan{}, err
	}
	if len(ids) == 0 {
		return StoredPlan{}, &InputError{Field: "Disable", Text: "has nothing to do: no account of these is active, belongs to nobody and is not marked Keep"}
	}
	p, err := e.BeginPlan(ctx, k, actor)
	if p.Disables = ids; accounts != nil {
		p.Disables = withoutRepeats(accounts)
	}
	return p, err
}

// planDisable plans the operations that disable these accounts.
func (e *Engine) planDisable(ctx context.Context, k Key, accounts []string, visit func(PlannedObject) error) (PlanReport, error) {
	r, err := e.openConnected(ctx, k)
	switch {
	case err != nil:
		return PlanReport{}, err
	case !r.m.can(FlowUpdate):
		return PlanReport{}, &InputError{Field: "Disable", Text: "is not possible: Update is not among the Target Object Actions"}
	case len(r.m.rowsThatDisable()) == 0:
		return PlanReport{}, &InputError{Field: "Disable", Text: "is not possible: no row of the mapping disables an account; map active from IsSoftDeleted"}
	}
	report := PlanReport{Kind: DisablePlan, Notes: []string{"This plan disables accounts that no user of the directory matches."}}
	d := &disabling{chosen: map[string]bool{}}
	if self, can := r.target.(SelfTarget); can {
		if d.own, err = self.Self(ctx); err != nil {
			return report, err
		}
	}
	if d.own == "" {
		report.Notes = append(report.Notes, "The application does not say which account the Secret Token belongs to. Check that it is not in this plan.")
	}
	for _, account := range accounts {
		d.chosen[account] = true
	}
	p := r.pass()
	f := newForecast(r, p, false, &report, visit)
	for some := range slices.Chunk(accounts, undoneTogether) {
		if err := f.disable(ctx, d, some); err != nil {
			return report, err
		}
	}
	return report, f.guard.judgeAccounts(ctx, f)
}

// disable plans the operations that disable these accounts. All of them have one cause.
func (f *forecast) disable(ctx context.Context, d *disabling, accounts []string) error {
	works, errs := make([]*work, len(accounts)), make([]error, len(accounts))
	runConcurrently(len(accounts), func(i int) {
		works[i], errs[i] = f.r.evaluate(ctx, f.p, Pending{ObjectID: WorkOfAccount(accounts[i]), Why: ByCycle, Disable: d})
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return f.addAll(works, DisablePlan)
}

// rowsThatDisable returns the rows that give an account False when its user has no access.
func (m *mapping) rowsThatDisable() []*row {
	var rows []*row
	env := m.env(map[string]any{attrSoftDeleted: true, attrEnabled: false})
	for i := range m.rows {
		r := &m.rows[i]
		if !r.state || r.FlowType == FlowObjectAddOnly || r.FlowType == FlowAttributeAddOnly {
			continue
		}
		if want, _, problem := r.evaluate(env, false); problem == nil && want == false {
			rows = append(rows, r)
		}
	}
	return rows
}

// evaluateUnmanaged decides what to send for an account that no user has. If neither a plan nor an
// undo asks for anything, it sends nothing.
func (r *run) evaluateUnmanaged(ctx context.Context, p *pass, account string, known Pending) (*work, error) {
	now := r.e.Now()
	w := &work{
		p: p, known: memory{Pending: known}, started: now, m: p.m, result: unsentResult{}, unmanaged: true, entry: p.newEntry(known),
		link: &Link{ObjectID: known.ObjectID, TargetID: account, State: Active, Kind: p.m.kind, Since: now},
	}
	w.unknownSince, w.doubted = p.doubt.find(known.ObjectID)
	w.identify(account)
	w.entry.SourceIdentity = Identity{DisplayName: account, Type: "Account"}
	if known.Disable == nil && known.Restore == nil {
		w.decision = skip{report: silent}
		return w, nil
	}
	var err error
	w.decision, err = r.decideUnmanaged(ctx, p, w, account)
	return w, err
}

// decideUnmanaged reads an account that no user has, and decides whether to disable it or to take
// an earlier change back.
func (r *run) decideUnmanaged(ctx context.Context, p *pass, w *work, account string) (decision, error) {
	owner, err := p.owner(ctx, account)
	if err != nil {
		return nil, err
	}
	if owner != "" {
		return w.skip(codeHasUser, fmt.Sprintf("The account is connected with a user now (object %s).", owner), ""), nil
	}
	o, err := p.target.Get(ctx, account)
	if te := asProblem(err); te != nil {
		if te.Kind == NotFound {
			return w.skip(codeChanged, "The application does not have the account any more.", ""), nil
		}
		w.entryStepFailed("EntryImport", MatchingStep, te)
		return w.fail(te), ctx.Err()
	}
	w.current, w.version = o.Resource, o.Version
	found := p.m.foundAccount(o)
	w.entry.SourceIdentity.DisplayName = found.Name()
	w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("%s was read in %s. No user of the directory has it.", w.describeObject(), p.m.target), map[string]string{"id": account})
	if back := w.known.Restore; back != nil {
		w.entry.InitiatorName = "Undo"
		return p.restoreValues(w, back), nil
	}
	w.entry.InitiatorName = "Discover identities"
	return r.decideDisable(ctx, p, w, found)
}

// decideDisable decides whether to disable an account that no user has. found is the account as it
// was just read.
func (r *run) decideDisable(ctx context.Context, p *pass, w *work, found FoundAccount) (decision, error) {
	d := w.known.Disable
	again := "Discover the accounts again, and look at this one."
	known, err := r.e.DiscoveredAccount(ctx, r.job.Key, UserKind, found.ID)
	switch {
	case errors.Is(err, ErrNoAccount), errors.Is(err, ErrNoDiscovery), err == nil && known.Change == IdentityGone:
		return w.skip(codeChanged, "The last discovery does not have the account.", again), nil
	case err != nil:
		return nil, err
	case known.KeptBy != "":
		return w.skip(codeKept, fmt.Sprintf("The account is marked Keep, by %s.", event.ParseActor(known.KeptBy).Words()), "Remove the mark if it is no longer wanted."), nil
	case known.Class != LocalAccounts || known.Ambiguous != "":
		return w.skip(codeHasUser, "By the last discovery, a user of the directory matches the account.", "Remove the user's assignment instead."), nil
	case found.ID == d.own:
		return w.skip(codeOwnAccount, "Provisioning itself uses the account: the Secret Token belongs to it.", ""), nil
	}
	// If an earlier attempt may have disabled the account, the operation is sent again. It changes
	// nothing then, but the log gets its entry.
	resent := w.doubted && d.planned != nil && found.Active != nil && !*found.Active
	if resent {
		known.Active = found.Active
	}
	if differs := known.differsFrom(found); differs != "" {
		return w.skip(codeChanged, "The account has changed since the discovery: "+differs+".", again), nil
	}
	switch objectID, err := r.newcomer(ctx, p, found); {
	case errors.Is(err, ErrBehind):
		return w.skip(codeChanged, "The discovery is so old that users who came since are not known.", again), nil
	case err != nil:
		return nil, err
	case objectID != "":
		return w.skip(codeHasUser, fmt.Sprintf("A user who came or changed after the discovery matches the account (object %s).", objectID), again), nil
	}
	switch {
	case found.Active == nil:
		return w.skip(codeNotDisabled, "The application does not show whether the account is active, so nobody could take this back.", "Disable it at the application."), nil
	case !*found.Active && !resent:
		return w.skip(codeAsBefore, "The account is disabled already.", ""), nil
	}
	if found.isAdministrator() {
		spare, te := r.otherAdministrator(ctx, p, d)
		switch {
		case te != nil:
			return w.fail(te), ctx.Err()
		case spare == "":
			return w.skip(codeLastAdmin, "The account is an administrator's, and no other active administrator would be left.", "Leave an administrator out of the plan, or disable this account at the application."), nil
		}
		w.otherAdministrator = spare
	}
	changes := w.disablingChanges(resent)
	if len(changes) == 0 {
		return w.skip(codeNotDisabled, "No row of the mapping disables the account.", "Disable it at the application."), nil
	}
	w.unmanagedValues = found.mark()
	w.step("EntrySynchronizationUpdate", ProcessingStep, Success, fmt.Sprintf("%s will be disabled in %s: no user of the directory matches it.", w.describeObject(), p.m.target), nil)
	return patch{action: Disable, link: *w.link, changes: changes}, nil
}

// disablingChanges returns the changes that disable the account that was read. If an earlier
// attempt may have disabled it, the old values are those of the plan.
func (w *work) disablingChanges(resent bool) []Change {
	var changes []Change
	for _, r := range w.m.rowsThatDisable() {
		old, same := r.compare(w.current, false)
		if resent {
			same = true
			for _, c := range w.known.Disable.planned.Changes {
				if c.Path == r.Target {
					old, same = c.Old, false
				}
			}
		}
		if !same {
			changes = append(changes, r.change(old, false))
		}
	}
	return changes
}

// otherAdministrator returns the id of an active administrator's account that is not in the plan;
// "" if there is none. For a plan that is being applied, it is the one that the plan has found, if
// that is still one.
func (r *run) otherAdministrator(ctx context.Context, p *pass, d *disabling) (targetID string, te *TargetError) {
	if d.planned != nil {
		is, te := p.isActiveAdministrator(ctx, d.planned.Spare)
		if !is {
			return "", te
		}
		return d.planned.Spare, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for q := (DiscoveredQuery{Limit: discoveryPage}); !d.hasLooked; {
		page, next, err := r.e.Discovered(ctx, r.job.Key, q)
		if err != nil {
			return "", asTargetError(err)
		}
		for _, a := range page {
			if d.chosen[a.ID] || !a.isSurelyAdministrator() {
				continue
			}
			is, te := p.isActiveAdministrator(ctx, a.ID)
			if te != nil {
				return "", te
			}
			if is {
				d.hasLooked, d.otherAdministrator = true, a.ID
				return d.otherAdministrator, nil
			}
		}
		q.After, d.hasLooked = next, next == ""
	}
	return d.otherAdministrator, nil
}

// isActiveAdministrator reads an account, and reports whether it is active and an administrator's.
func (p *pass) isActiveAdministrator(ctx context.Context, targetID string) (bool, *TargetError) {
	if targetID == "" {
		return false, nil
	}
	o, err := p.target.Get(ctx, targetID)
	if te := asProblem(err); te != nil {
		if te.Kind == NotFound {
			return false, nil
		}
		return false, te
	}
	a := p.m.foundAccount(o)
	return a.isSurelyAdministrator() && a.Active != nil && *a.Active, nil
}

// isSurelyAdministrator reports whether a role of the account surely makes it an administrator: one
// of the role's words is admin or administrator, or the role is owner, root or superuser. Roles
// such as "Administrative staff" and "Non-admin" do not.
func (a FoundAccount) isSurelyAdministrator() bool {
	return slices.ContainsFunc(a.Roles, func(role string) bool {
		words := wordsOfRole(role)
		if slices.ContainsFunc(words, func(word string) bool { return slices.Contains([]string{"no", "non", "not", "ex", "former"}, word) }) {
			return false
		}
		return slices.ContainsFunc(words, func(word string) bool {
			return slices.Contains([]string{"admin", "admins", "administrator", "administrators"}, word)
		}) ||
			slices.Contains([]string{"owner", "root", "superuser", "sysadmin", "superadmin"}, scim.Fold(role))
	})
}

// wordsOfRole returns the words of a role's name, folded. A capital letter after a small one begins
// a word, as in SiteAdmin.
func wordsOfRole(role string) []string {
	var b strings.Builder
	before := ' '
	for _, c := range role {
		if unicode.IsUpper(c) && unicode.IsLower(before) {
			b.WriteRune(' ')
		}
		b.WriteRune(c)
		before = c
	}
	return strings.FieldsFunc(scim.Fold(b.String()), func(c rune) bool { return !unicode.IsLetter(c) })
}

// isAdministrator reports whether a role of the account may make it an administrator. In doubt it
// returns true.
func (a FoundAccount) isAdministrator() bool {
	return slices.ContainsFunc(a.Roles, func(role string) bool {
		role = scim.Fold(role)
		return strings.Contains(role, "admin") || slices.Contains([]string{"owner", "root", "superuser"}, role)
	})
}

// rolesOf returns the roles that an account shows, and its user type.
func rolesOf(r scim.Resource) []string {
	var all []string
	add := func(v any) {
		if role := valueToKeep(text(v)); role != "" && len(all) < maxKeptRoles && !slices.Contains(all, role) {
			all = append(all, role)
		}
	}
	add(r["userType"])
	list, _ := r["roles"].([]any)
	for _, one := range list {
		role, complexValue := one.(map[string]any)
		if !complexValue {
			add(one)
			continue
		}
		add(role["value"])
		add(role["display"])
		add(role["type"])
	}
	return all
}

// maxKeptRoles is how many roles of an account a discovery keeps.
const maxKeptRoles = 20

// differsFrom says in words how an account differs from now, the account as it was read later. It
// returns "" if it does not.
func (a FoundAccount) differsFrom(now FoundAccount) string {
	for _, one := range []struct{ name, before, after string }{
		{"active", boolText(a.Active), boolText(now.Active)},
		{"userName", a.UserName, now.UserName},
		{"displayName", a.DisplayName, now.DisplayName},
		{"externalId", a.ExternalID, now.ExternalID},
		{"employeeNumber", a.EmployeeNumber, now.EmployeeNumber},
		{"emails", strings.Join(a.Emails, ", "), strings.Join(now.Emails, ", ")},
		{"roles", strings.Join(a.Roles, ", "), strings.Join(now.Roles, ", ")},
	} {
		if one.before != one.after {
			return fmt.Sprintf("%s was %q and is %q", one.name, one.before, one.after)
		}
	}
	for path, values := range now.Matching {
		if before, compared := a.Matching[path]; compared && text(before) != text(values) {
			return fmt.Sprintf("%s was %q and is %q", path, text(before), text(values))
		}
	}
	return ""
}

// boolText returns a value as a string; "" for nil.
func boolText(v *bool) string {
	if v == nil {
		return ""
	}
	return text(*v)
}

// mark returns a string that changes when the account changes. It leaves out whether the account is
// active.
func (a FoundAccount) mark() string {
	a.Active, a.Connected = nil, ""
	document, err := json.Marshal(a)
	if err != nil {
		return err.Error() // values that came from JSON can always be written
	}
	return string(document)
}

// withoutMemory returns the outcome for an account that no user has. The job remembers nothing
// about it: neither a link nor a failure.
func (o Outcome) withoutMemory() Outcome { return Outcome{ObjectID: o.ObjectID, Postpone: o.Postpone} }

// newEntry returns the log entry of an object, without its steps and identities.
func (p *pass) newEntry(known Pending) LogEntry {
	return LogEntry{
		JobID:        p.job.Key.String(),
		SourceSystem: System{ID: string(p.job.Key.Directory), DisplayName: p.m.source}, TargetSystem: System{ID: p.job.Key.App, DisplayName: p.m.target},
		InitiatorName: initiator(known.Why), Mapping: p.m.object.Name, Steps: make([]Step, 0, usualSteps), Modified: []ModifiedProperty{},
	}
}

// workID returns the id by which the job knows the object of an entry: that of the user or group,
// or that of WorkOfAccount for an account that no user has.
func (e LogEntry) workID() string {
	if e.SourceIdentity.ID == "" && e.TargetIdentity.ID != "" {
		return WorkOfAccount(e.TargetIdentity.ID)
	}
	return e.SourceIdentity.ID
}
