package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-scim/rollcall/scim"
)

// codeHeld is Rollcall's own code for an account that the application keeps blocked.
const codeHeld = "HeldAtApplication"

const heldAdvice = "Somebody or something at the application keeps this account blocked. Unblock it there. It is read once a day, so that this is noticed, and sent again when the person changes and after a restart."

func heldReason(attribute string) string {
	return fmt.Sprintf("The person should have access and %s was sent as True, but the application keeps it False.", attribute)
}

// heldBy returns the attribute by which the target keeps an account blocked: the job sent True for
// it, but the target still shows False, and nobody has adopted that. It returns "" if there is none.
func (m *mapping) heldBy(wrote Ledger) string {
	for i := range m.rows {
		if r := &m.rows[i]; r.state {
			if e := wrote[r.Target]; e.Sent == true && e.Shown && !e.Adopted && e.Got != nil && r.same(e.Got, false) {
				return r.Target
			}
		}
	}
	return ""
}

// patch sends the changes of a patch decision, and returns the result. If the account is gone,
// patch may change the decision, so that the engine looks for the account at once.
func (p *pass) patch(ctx context.Context, w *work, d patch, now time.Time) result {
	s := patchSender{p: p, w: w, id: d.link.TargetID, budget: maxIsolation}
	s.sendAll(ctx, d.changes)
	if s.problem == nil {
		words := "%s was updated in %s."
		if d.action == Disable {
			words = "%s was disabled in %s."
		}
		if d.action == Create {
			p.noteOwnForms(w, d.changes)
		}
		return w.succeed("EntryExportUpdate", fmt.Sprintf(words, w.describeObject(), p.m.target), d.changes)
	}
	te := s.refusalWithNames()
	if te.Kind == Conflict {
		if waiting := p.waitAfterConflict(ctx, w, d, &s); waiting != nil {
			return waiting
		}
	}
	if te.Kind == NotFound && (w.known.Link == nil || !w.known.Link.missing()) {
		// Look for the account at once, in the same cycle.
		missed := d.link
		missed.State = Missed
		w.decision = later{until: now, pair: remember{missed}}
		return unsentResult{}
	}
	no := w.failExport("EntryExportUpdate", fmt.Sprintf("Failed to update %s in %s: %s", w.describeObject(), p.m.target, te.Detail), te)
	if te.Kind == NotFound {
		no.pair = rememberLost(d.link) // the next cycle looks for the account again
		return no
	}
	l := d.link
	w.remember(&l, s.written, s.unsure)
	if w.current != nil {
		l.Wrote.forgetUnsent(s.notWritten(d.changes))
	}
	l.Name = w.name()
	for _, c := range s.refused {
		if l.Wrote == nil {
			break
		}
		e := l.Wrote[c.Path]
		e.Refused = rememberedAs(c.Path, c.New)
		l.Wrote[c.Path] = e
	}
	no.pair = remember{l}
	return no
}

const (
	// maxIsolation is how many smaller requests may be sent for one person, after the target
	// refused a request with several changes.
	maxIsolation = 14
	// maxPeopleFullyRefused limits the search for single refused values. If the target refused
	// every value of this many people in a row, refused requests are not split, until a request
	// succeeds.
	maxPeopleFullyRefused = 3
)

// mayBeIsolated reports whether a refusal may concern only one of several values, so that the
// others may be accepted without it.
func mayBeIsolated(te *TargetError) bool {
	return te.Kind == Conflict || te.Kind == Permanent && (te.Status == http400 || te.Status == http422)
}

// patchSender sends the changes of one person. If the target refuses a request, patchSender finds
// out which values the target refuses, and writes the others.
type patchSender struct {
	p                   *pass
	w                   *work
	id                  string       // the id of the account
	budget              int          // how many more smaller requests may be sent
	written             []Change     // changes that the target carried out
	refused             []Change     // changes that the target refused even when they were sent alone
	unsure              []Change     // changes of which it is not known whether the target carried them out
	problem             *TargetError // the refusal of the smallest group of changes so far; nil if none was refused
	smallestRefusedSize int          // how many changes the group of problem had
	stopped             bool         // whether another error occurred, so that nothing more is sent
}

// notWritten returns those of the changes that the target has not carried out, as far as is known.
func (s *patchSender) notWritten(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool {
		return slices.ContainsFunc(s.written, func(w Change) bool { return w.Path == c.Path })
	})
}

// sendAll sends the changes in one request. Values that the target refused the last time are sent
// alone, so that they do not hold back the others.
func (s *patchSender) sendAll(ctx context.Context, changes []Change) {
	var again, fresh []Change
	for _, c := range changes {
		if s.w.link.Wrote.wasRefused(c) {
			again = append(again, c)
			continue
		}
		fresh = append(fresh, c)
	}
	if len(fresh) > 0 {
		s.sendTogether(ctx, fresh)
	}
	for _, c := range again {
		s.send(ctx, []Change{c})
	}
	if len(s.written) == len(changes) {
		s.problem = nil // the target accepted all changes, in several requests
	}
}

// sendTogether sends changes together. If the target refuses them, the changes that enable or
// disable the account are sent first and alone, because they must not depend on the others.
func (s *patchSender) sendTogether(ctx context.Context, changes []Change) {
	te := s.request(ctx, changes)
	if te == nil {
		s.p.peopleFullyRefused.Store(0)
		return
	}
	if len(changes) == 1 || !mayBeIsolated(te) || s.p.peopleFullyRefused.Load() >= maxPeopleFullyRefused {
		s.recordFailure(changes, te)
		return
	}
	s.smallestRefusedSize, s.problem = len(changes), te
	named := namedIn(te, changes)
	var state, rest []Change
	for _, c := range changes {
		if r := s.p.m.row(c.Path); r != nil && r.state {
			state = append(state, c)
		} else if !slices.ContainsFunc(named, func(n Change) bool { return n.Path == c.Path }) {
			rest = append(rest, c)
		}
	}
	named = slices.DeleteFunc(named, func(c Change) bool { return s.p.m.row(c.Path) != nil && s.p.m.row(c.Path).state })
	switch pieces := nonEmpty(state, rest, named); len(pieces) {
	case 1:
		s.sendHalves(ctx, pieces[0])
	default:
		for _, piece := range pieces {
			s.send(ctx, piece)
		}
	}
	if len(s.written) == 0 {
		s.p.peopleFullyRefused.Add(1)
		return
	}
	s.p.peopleFullyRefused.Store(0)
}

// nonEmpty returns the lists that are not empty.
func nonEmpty(pieces ...[]Change) [][]Change {
	return slices.DeleteFunc(pieces, func(p []Change) bool { return len(p) == 0 })
}

// namedIn returns the changes whose attributes a refusal names. If the refusal names the attributes
// of all changes, namedIn returns none.
func namedIn(te *TargetError, changes []Change) []Change {
	var named []Change
	for _, c := range changes {
		if mentionsAttribute(te.Detail, c.Path) {
			named = append(named, c)
		}
	}
	if len(named) == len(changes) {
		return nil
	}
	return named
}

// mentionsAttribute reports whether a message names an attribute, by its whole path or by a part of
// it. For name.givenName, that part is givenName; for emails[type eq "work"].value, it is emails;
// for the attribute of an extension, it is the name without the URN.
func mentionsAttribute(message, path string) bool {
	message = strings.ToLower(message)
	names := []string{strings.ToLower(path)}
	name := path
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	if open := strings.IndexByte(name, '['); open > 0 {
		name = name[:open]
	} else if _, sub, nested := strings.Cut(name, "."); nested {
		name = sub
	}
	names = append(names, strings.ToLower(name))
	for _, n := range names {
		for at := 0; ; {
			i := strings.Index(message[at:], n)
			if i < 0 {
				break
			}
			at += i
			if !isWordByte(message, at-1) && !isWordByte(message, at+len(n)) {
				return true
			}
			at++
		}
	}
	return false
}

// isWordByte reports whether s[i] exists and is a lower-case letter, a digit or an underscore.
func isWordByte(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= '0' && s[i] <= '9' || s[i] == '_')
}

// send sends some changes together. If the target refuses them, send splits them into smaller
// groups. It sends nothing if the budget is used up or nothing more may be sent.
func (s *patchSender) send(ctx context.Context, changes []Change) {
	if s.stopped || s.budget <= 0 {
		s.unsure = append(s.unsure, changes...)
		return
	}
	s.budget--
	te := s.request(ctx, changes)
	switch {
	case te == nil:
	case len(changes) == 1 || !mayBeIsolated(te):
		s.recordFailure(changes, te)
	default:
		if s.problem == nil || len(changes) < s.smallestRefusedSize {
			s.problem, s.smallestRefusedSize = te, len(changes)
		}
		s.sendHalves(ctx, changes)
	}
}

// sendHalves sends the first half of the changes, and then the second half.
func (s *patchSender) sendHalves(ctx context.Context, changes []Change) {
	middle := len(changes) / 2
	s.send(ctx, changes[:middle])
	s.send(ctx, changes[middle:])
}

// recordFailure records that a request with these changes failed, and that the changes are not sent
// in any other request.
func (s *patchSender) recordFailure(changes []Change, te *TargetError) {
	if s.problem == nil || s.smallestRefusedSize == 0 || len(changes) < s.smallestRefusedSize || !mayBeIsolated(te) {
		s.problem, s.smallestRefusedSize = te, len(changes)
	}
	switch {
	case mayBeIsolated(te) && len(changes) == 1:
		s.refused = append(s.refused, changes...)
	case te.Kind == Throttled, te.Kind == Credentials, te.Kind == Unreachable, te.Kind == Permanent && !mayBeIsolated(te):
		s.stopped = true // the request changed nothing, and other requests would fail in the same way
	default:
		s.stopped = !mayBeIsolated(te)
		s.unsure = append(s.unsure, changes...)
	}
}

// refusalWithNames returns the refusal. If other values were written, its text names the refused
// and the written attributes.
func (s *patchSender) refusalWithNames() *TargetError {
	if len(s.written) == 0 || len(s.refused) == 0 {
		return s.problem
	}
	te := *s.problem
	te.Detail = fmt.Sprintf("%s was refused: %s The other changes were written: %s.", listPaths(s.refused), s.problem.Detail, listPaths(s.written))
	return &te
}

// listPaths returns the paths of the changes as one string, for a message.
func listPaths(changes []Change) string {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.Path
	}
	return strings.Join(names, ", ")
}

// request sends changes and checks the answer. It returns nil if the target carried out the
// changes. If the account's state is not as it was sent, request sends the state once more: the
// target may have misunderstood the strings True and False, so JSON booleans are tried.
func (s *patchSender) request(ctx context.Context, changes []Change) *TargetError {
	o, differs, te := s.sendAndCheck(ctx, changes)
	if differs {
		var state, others []Change
		for _, c := range changes {
			if s.p.m.changesState([]Change{c}) {
				state = append(state, c)
			} else {
				others = append(others, c)
			}
		}
		again := s.sendStateAgain(ctx, state)
		if again == nil && te != nil {
			te = s.contradicts(o, others, false)
		}
	}
	if te != nil {
		return te
	}
	s.written = append(s.written, changes...)
	s.w.wrote = true
	return nil
}

// sendStateAgain sends the attributes once more that block or unblock the account, with JSON
// booleans if the target may have misunderstood the strings. If that helps, JSON booleans are sent
// from then on.
func (s *patchSender) sendStateAgain(ctx context.Context, state []Change) *TargetError {
	target := s.p.target
	d := target.Dialect()
	tries := !d.Booleans && !sendsCompliantly(s.p.job.TenantURL)
	if tries {
		d.Booleans = true
		target.Speak(d)
	}
	_, differs, te := s.sendAndCheck(ctx, state)
	if tries && (differs || te != nil) {
		d = target.Dialect() // another request may have found out something in the meantime
		d.Booleans = false
		target.Speak(d)
	}
	return te
}

// sendsCompliantly reports whether the flag in a Tenant URL makes PATCH bodies have the form of RFC
// 7644.
func sendsCompliantly(tenantURL string) bool {
	return strings.Contains(strings.ToLower(tenantURL), "aadoptscim062020")
}

// sendAndCheck sends one PATCH, and checks the answer. It returns the account as the answer or a
// read shows it. differs reports whether that account has another state than was sent.
func (s *patchSender) sendAndCheck(ctx context.Context, changes []Change) (o TargetObject, differs bool, te *TargetError) {
	o, err := s.p.target.Patch(ctx, s.id, changes)
	if err != nil {
		return o, false, asTargetError(err)
	}
	s.w.lastAnswer = o.Resource
	whole := false
	check, checked := s.readsBack(o, changes)
	defer checked()
	if check {
		read, err := s.p.target.Get(ctx, s.id)
		switch te := asProblem(err); {
		case te == nil:
			o, whole = read, true
			s.w.lastAnswer = read.Resource
		case te.Kind == NotFound: // the account was removed in the meantime; a later request will notice that
		case affectsEveryone(te) || s.p.m.blocksAccount(changes) || s.seemsIgnored(o, changes):
			te.Sent = true
			return o, false, te
		}
	}
	if te := s.contradicts(o, changes, whole); te != nil {
		s.p.anAnswerWasFalse.Store(true)
		return o, s.showsOtherState(o, changes), te
	}
	if whole {
		s.p.answersAreProved.Store(true)
	}
	if o.Version != "" {
		s.w.version = o.Version
	}
	return o, s.showsOtherState(o, changes), nil
}

// showsOtherState reports whether an account shows another value than was sent for an attribute
// that blocks or unblocks it.
func (s *patchSender) showsOtherState(o TargetObject, changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		r := s.p.m.row(c.Path)
		if r == nil || !r.state {
			return false
		}
		v, shown := r.shown(o.Resource)
		return shown && !r.same(v, c.New)
	})
}

// readBackEvery is the sampling rate of successful answers without a body: one of this many answers
// is checked by a read.
const readBackEvery = 50

// readsBack reports whether to check a success by a read. An answer that shows an account is
// checked if it does not show all that must be shown, or if the changes seem to be ignored. If the
// answer shows nothing, changes that block or unblock an account are always checked. Of other
// changes, the first of a pass is checked while the others wait for the result, and after that a
// sample. After a failed check, all changes are checked. The caller must call checked when the
// result is known.
func (s *patchSender) readsBack(answer TargetObject, changes []Change) (check bool, checked func()) {
	p := s.p
	switch {
	case answer.Resource != nil:
		return !p.m.showsProof(answer.Resource, changes) || s.seemsIgnored(answer, changes), func() {}
	case p.m.changesState(changes) || p.anAnswerWasFalse.Load():
		return true, func() {}
	case !p.answersAreProved.Load():
		p.firstCheckLock.acquire(p.goroutines)
		if !p.answersAreProved.Load() || p.anAnswerWasFalse.Load() {
			return true, p.firstCheckLock.release
		}
		p.firstCheckLock.release()
	}
	return p.anAnswerWasFalse.Load() || p.unshown.Add(1)%readBackEvery == 0, func() {}
}

// showsProof reports whether an account shows each of the changed attributes that are matched by or
// that block the account.
func (m *mapping) showsProof(account scim.Resource, changes []Change) bool {
	return !slices.ContainsFunc(changes, func(c Change) bool {
		r := m.row(c.Path)
		if r == nil || !r.state && r.MatchingPriority == 0 || c.New == nil {
			return false
		}
		_, shown := r.shown(account)
		return !shown
	})
}

// changesState reports whether the changes block or unblock an account.
func (m *mapping) changesState(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		r := m.row(c.Path)
		return r != nil && r.state
	})
}

// blocksAccount reports whether the changes block an account.
func (m *mapping) blocksAccount(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.New == false && m.changesState([]Change{c}) })
}

// contradicts returns an error if the account o does not have the values that were just sent. The
// matching attributes and the attributes that block the account must have them. If whole is true, o
// was read after the changes, and at least one of the changed attributes must no longer have its
// old value. An account that stays blocked is not an error, because that is the application's
// decision.
func (s *patchSender) contradicts(o TargetObject, changes []Change, whole bool) *TargetError {
	if o.Resource == nil {
		return nil
	}
	for _, c := range changes {
		r := s.p.m.row(c.Path)
		if r == nil || r.state && c.New == true || !r.state && r.MatchingPriority == 0 {
			continue
		}
		shown := r.valueIn(o.Resource)
		if shown == nil && c.New != nil || r.agreesWithLedger(toLedgerValue(shown), toLedgerValue(c.New)) {
			continue
		}
		return unchangedError(fmt.Sprintf("The application accepted the change of %s to %s, but the account still has %s.", c.Path, text(c.New), text(shown)))
	}
	if old, checked := s.countOldValues(o, changes); whole && old > 0 && old == checked {
		return unchangedError(fmt.Sprintf("The application accepted the change of %s, but the account is as it was before.", listPaths(changes)))
	}
	return nil
}

// seemsIgnored reports whether an answer shows the old value of a changed attribute, and the new
// value of none. Only a read can then tell whether the target ignored the changes: some targets
// answer with the account as it was before the request.
func (s *patchSender) seemsIgnored(o TargetObject, changes []Change) bool {
	if o.Resource == nil {
		return false
	}
	var shown []Change
	for _, c := range changes {
		if r := s.p.m.row(c.Path); r != nil && r.valueIn(o.Resource) != nil {
			shown = append(shown, c)
		}
	}
	old, checked := s.countOldValues(o, shown)
	return old > 0 && old == checked
}

// countOldValues returns how many of the changed attributes have their old value in the account o,
// and how many of them can tell whether the changes were carried out. An account that stays blocked
// cannot tell this, nor can an attribute that the target stores in a form of its own.
func (s *patchSender) countOldValues(o TargetObject, changes []Change) (old, checked int) {
	for _, c := range changes {
		r := s.p.m.row(c.Path)
		if r == nil || r.state && c.New == true || isPassword(c.Path) || s.keepsOwnForm(r) {
			continue
		}
		checked++
		shown := toLedgerValue(r.valueIn(o.Resource))
		if c.New != nil && r.agreesWithLedger(toLedgerValue(o.Resource[c.Path]), toLedgerValue(c.New)) {
			continue // the target shows the value under the whole path, as elimity-com/scim does
		}
		if !r.agreesWithLedger(shown, toLedgerValue(c.New)) && !sameForm(shown, c.New) && r.agreesWithLedger(shown, toLedgerValue(c.Old)) {
			old++
		}
	}
	return old, checked
}

// keepsOwnForm reports whether the target is known to store an attribute of this account in another
// form than it was sent, or to keep its own value.
func (s *patchSender) keepsOwnForm(r *row) bool {
	if r.state || r.MatchingPriority != 0 {
		return false
	}
	if s.w.created {
		return true // the answer to the create showed the form that the target makes of the value
	}
	e, known := s.w.link.Wrote.known(r.Target)
	return known && e.Sent != nil && e.Shown && !r.agreesWithLedger(e.Got, e.Sent)
}

// sameForm reports whether two strings have the same letters and digits, such as two forms of a
// telephone number.
func sameForm(a, b any) bool {
	essence := func(v any) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsLetter(c) || unicode.IsDigit(c) {
				return c
			}
			return -1
		}, scim.Fold(text(v)))
	}
	x := essence(a)
	return x != "" && x == essence(b)
}

// unchangedError returns the error for a PATCH that succeeded but did not change the account.
func unchangedError(detail string) *TargetError {
	return &TargetError{
		Kind: Incompatible, Code: codeIncompatible, Status: http200, Request: "PATCH /Users/{id}", Sent: true, Detail: detail,
		Advice: "The account was not changed. This is tried again. Ask the makers of the application why it ignores the change.",
	}
}
