package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// CaseRule says whether a target compares case when it is searched by an attribute.
type CaseRule string

// The rules.
const (
	CaseUnknown  CaseRule = ""         // not known, for example because the target has no account
	CaseIgnored  CaseRule = "ignored"  // a search also finds values that differ only in case
	CaseCompared CaseRule = "compared" // a search finds only values in the same case
)

// CaseNote says how provisioning works with a target that compares case when it is searched by this
// attribute of users. It returns "" if the target ignores case, or if the rule is not known.
func (s Searchable) CaseNote() string {
	if s.Case != CaseCompared {
		return ""
	}
	return fmt.Sprintf("The application compares case when it is searched by %s. Before an account is created, the list of all accounts is read, so that a person whose account has the %s in another case gets no second account.", s.Path, s.Path)
}

// GroupCaseNote is like CaseNote, but for an attribute of groups.
func (s Searchable) GroupCaseNote() string {
	if s.Case != CaseCompared {
		return ""
	}
	return fmt.Sprintf("Groups: The application compares case when it is searched by %s. Before a group is created, the list of all groups is read, so that a group that has the %s in another case is not created a second time.", s.Path, s.Path)
}

// caseSample is how many accounts learnCases lists. It uses the first account whose value of the
// attribute has an ASCII letter.
const caseSample = 10

// learnCases finds out for each attribute in all whether the target compares case, and sets its
// Case. all holds the results of testing m.matching. known holds earlier results; learnCases does
// not test these attributes again. To find out, it searches for the value of an existing account,
// with the case of its letters changed. If the target has no account, or if the answer is unclear,
// the rule stays unknown, which is no failure.
func learnCases(ctx context.Context, target Target, m *mapping, all, known []Searchable) {
	var listed []TargetObject
	asked := false
	for i := range all {
		r, one := &m.matching[i], &all[i]
		if !one.Proved || !r.ignoresCase() {
			continue
		}
		if one.Case = caseOf(known, one.Path); one.Case != CaseUnknown {
			continue
		}
		if !asked {
			asked = true
			if page, err := target.List(ctx, 1, caseSample); err == nil {
				listed = page.Objects
			}
		}
		one.Case = r.caseRule(ctx, target, listed)
	}
}

// caseOf returns the rule for an attribute in earlier results, or CaseUnknown.
func caseOf(known []Searchable, path string) CaseRule {
	for _, s := range known {
		if s.Path == path && s.Proved {
			return s.Case
		}
	}
	return CaseUnknown
}

// ignoresCase reports whether two values of the row's attribute mean the same if they differ only
// in case. Then the target should also ignore case when it compares them. externalId never ignores
// case (RFC 7643 §3.1).
func (r *row) ignoresCase() bool {
	return !r.CaseExact && r.Type == TypeString && !strings.EqualFold(r.Target, "externalId")
}

// caseRule finds out whether the target compares case when it is searched by the row's attribute.
// It uses the value of one of the listed accounts.
func (r *row) caseRule(ctx context.Context, target Target, listed []TargetObject) CaseRule {
	for _, o := range listed {
		value := text(r.valueIn(o.Resource))
		other := swapCase(value)
		if other == value {
			continue
		}
		found, err := target.Find(ctx, r.Target, other)
		if err != nil {
			return CaseUnknown
		}
		if hasID(found, o.ID) {
			return CaseIgnored
		}
		// If a search for the unchanged value does not find the account either, the searches prove
		// nothing.
		if found, err = target.Find(ctx, r.Target, value); err != nil || !hasID(found, o.ID) {
			return CaseUnknown
		}
		return CaseCompared
	}
	return CaseUnknown
}

// hasID reports whether one of the accounts has this id.
func hasID(found []TargetObject, id string) bool {
	return slices.ContainsFunc(found, func(o TargetObject) bool { return o.ID == id })
}

// swapCase returns a string with the case of each ASCII letter changed.
func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		}
		return c
	}, s)
}

const (
	listPage = 100 // how many accounts a request asks for when the list of accounts is read
	// A list of more than longList accounts is not read again for listTime. A shorter list is read
	// in each cycle that needs it.
	longList = 2_000
	listTime = 10 * time.Minute
)

// accountList holds the matching values of all accounts of a target, or of all its groups. The
// engine needs it if the target compares case when it is searched.
type accountList struct {
	reading       lock                // held while the list is read or used
	readingBegan  time.Time           // when the engine began to read the list; zero if it did not
	nextIndex     int                 // the index of the next account to read, from 1; 0 if all were read
	ids           map[string]bool     // the ids of the accounts that were read
	byValue       map[string][]string // ids of accounts, by attribute and folded value
	whyIncomplete string              // why the list is incomplete; "" if it is not
}

func newAccountList() *accountList { return &accountList{reading: newLock()} }

// find returns the ids of the accounts that have a matching value, in any case. It first reads all
// pages of the list that were not read yet. p.listedSince says how new the list must be: if reading
// began before that time, find reads the whole list again. But it does not read a long list again
// if reading began less than listTime ago.
func (l *accountList) find(ctx context.Context, p *pass, k MatchKey, now time.Time) ([]string, *TargetError) {
	l.reading.acquire(p.goroutines)
	defer l.reading.release()
	if l.readingBegan.Before(p.listedSince) && !(len(l.ids) > longList && now.Sub(l.readingBegan) < listTime) {
		l.readingBegan, l.nextIndex, l.ids, l.byValue, l.whyIncomplete = now, 1, map[string]bool{}, map[string][]string{}, ""
	}
	for l.nextIndex > 0 {
		if problem := l.readPage(ctx, p); problem != nil {
			return nil, problem
		}
	}
	if l.whyIncomplete != "" {
		return nil, &TargetError{
			Kind: Unsearchable, Code: codeIncompatible,
			Detail: fmt.Sprintf("The application compares case when it is searched by %s. %s So nobody can tell whether an account with the same %s in another case exists, and none was created.", k.Path, l.whyIncomplete, k.Path),
			Advice: fmt.Sprintf("Have the application's SCIM endpoint corrected: a search by %s must ignore case (RFC 7643 §4.1). If values that differ only in case mean different people there, mark %s as exact case in the mapping.", k.Path, k.Path),
		}
	}
	return l.byValue[valueKey(k.Path, text(k.Value))], nil
}

// valueKey returns the key under which accountList keeps the accounts with a value of an attribute.
func valueKey(path, value string) string { return path + " " + scim.Fold(value) }

// readPage reads the next page of the list. If the target has no usable list, readPage returns no
// error, but sets whyIncomplete.
func (l *accountList) readPage(ctx context.Context, p *pass) *TargetError {
	page, err := p.target.List(ctx, l.nextIndex, listPage)
	if err != nil {
		te := asTargetError(err)
		if mayConcernConnection(te) && te.Kind != Incompatible {
			return te
		}
		l.nextIndex, l.whyIncomplete = 0, "Its list of accounts cannot be read: "+te.Detail
		return nil
	}
	before := len(l.ids)
	for _, o := range page.Objects {
		if l.ids[o.ID] {
			continue
		}
		l.ids[o.ID] = true
		for i := range p.m.matching {
			r := &p.m.matching[i]
			if value := text(r.valueIn(o.Resource)); value != "" && r.ignoresCase() {
				key := valueKey(r.Target, value)
				l.byValue[key] = append(l.byValue[key], o.ID)
			}
		}
	}
	l.nextIndex += page.Named
	total := int(page.Total)
	if len(l.ids) > before && (total == 0 || len(l.ids) < total) {
		return nil // more pages may follow
	}
	l.nextIndex = 0
	if len(l.ids) < total {
		l.whyIncomplete = fmt.Sprintf("Its list shows only %d of %d accounts.", len(l.ids), total)
	}
	return nil
}

// findInOtherCase looks for accounts whose matching value differs from a wanted value only in case.
// It uses only attributes for which the target compares case: a search by these attributes does not
// find such accounts.
func (p *pass) findInOtherCase(ctx context.Context, keys []MatchKey, now time.Time) (l lookup) {
	for _, k := range keys {
		r := p.m.rowFor(k.Path)
		if _, isText := k.Value.(string); !isText || !r.ignoresCase() {
			continue
		}
		can, err := p.searcher.can(ctx, r)
		if err != nil {
			l.problem = asTargetError(err)
			return l
		}
		if can.Case != CaseCompared {
			continue
		}
		var ids []string
		if ids, l.problem = p.listed.find(ctx, p, k, now); l.problem != nil {
			return l
		}
		for _, id := range ids {
			o, err := p.target.Get(ctx, id)
			if te := asProblem(err); te != nil && te.Kind != NotFound {
				l.problem = te
				return l
			} else if te != nil {
				continue // the account was deleted after the list was read
			}
			if _, same := r.showsWanted(o.Resource, k.Value); same {
				l.found = append(l.found, o)
			}
		}
		if l.key = k; len(l.found) > 0 {
			return l
		}
	}
	return l
}

// matchInOtherCase matches a person with an account whose matching value differs only in case. A
// nil decision means that there is no such account.
func (p *pass) matchInOtherCase(ctx context.Context, w *work, attributes map[string]any, keys []MatchKey) (decision, error) {
	l := p.findInOtherCase(ctx, keys, w.started)
	switch {
	case l.problem != nil:
		w.entryStepFailed("EntryImport", MatchingStep, l.problem)
		return w.fail(l.problem), ctx.Err()
	case len(l.found) == 0:
		return nil, nil
	case len(l.found) > 1:
		return w.failAmbiguous(l.found, l.key), nil
	}
	if d, err := p.adopt(ctx, w, l.found[0], l.key, "matched"); d != nil || err != nil {
		return d, err
	}
	return p.decideLinked(ctx, w, attributes)
}
