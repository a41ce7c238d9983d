package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// Searchable is the result of a test: whether the target can be searched by a matching attribute.
type Searchable struct {
	Path   string `json:"attribute"`                   // the matching attribute
	Proved bool   `json:"searchable"`                  // whether the test has shown that searches work
	Detail string `json:"reason,omitempty"`            // the reason why the test failed, in words; "" if it did not fail
	Advice string `json:"recommendedAction,omitempty"` // what an administrator can do about it
	// Case says whether the target compares case when it is searched by the attribute.
	Case CaseRule `json:"case,omitempty"`
}

// Note says in words what a failed test of an attribute of users means for provisioning.
func (s Searchable) Note() string {
	return fmt.Sprintf("%s Nobody is matched by %s. A person who has a value of it and is not found by another matching attribute gets no account. %s", s.Detail, s.Path, s.Advice)
}

// GroupNote is like Note, but for an attribute of groups.
func (s Searchable) GroupNote() string {
	return fmt.Sprintf("Groups: %s No group is matched by %s. A group that has a value of it and is not found by another matching attribute is not created. %s", s.Detail, s.Path, s.Advice)
}

// ConnectionTest is the result of a test of the connection.
type ConnectionTest struct {
	Users    []Searchable // the results for the matching attributes of users
	Groups   []Searchable // the results for the matching attributes of groups; empty if the job does not provision groups
	NoGroups string       // a sentence that says why the application accepts no groups; "" if groups work or are not provisioned
}

// GroupNotes returns a sentence for each test of groups that failed, and for each attribute of
// groups for which the target compares case.
func (t ConnectionTest) GroupNotes() []string {
	if t.NoGroups != "" {
		return []string{t.NoGroups}
	}
	return groupNotes(t.Groups)
}

// groupNotes returns sentences for people about searches for groups that do not work as they
// should.
func groupNotes(all []Searchable) []string {
	var notes []string
	for _, one := range all {
		if !one.Proved {
			notes = append(notes, one.GroupNote())
		}
		if note := one.GroupCaseNote(); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

// Searches holds the results of testing all matching attributes of a job.
type Searches struct {
	For string       `json:"for"` // the [Job.connection] with which the tests were made
	At  time.Time    `json:"at"`  // when the tests were made
	All []Searchable `json:"all"` // the results for the matching attributes of users
	// Groups and NoGroups are as in ConnectionTest. They are empty if groups were not tested.
	Groups   []Searchable `json:"groups,omitempty"`
	NoGroups string       `json:"noGroups,omitempty"`
}

// connection returns a string for the settings that affect the results of searches: the address,
// its flags, the token and the mapping. The string changes when one of these settings changes.
func (j Job) connection() string {
	return fmt.Sprintf("%d.%d.%d", j.ForgetLinks, j.TryNow, j.LookAtAll)
}

// isCurrentFor reports whether the tests were made with the settings that the job has now.
func (s *Searches) isCurrentFor(j Job) bool { return s != nil && s.For == j.connection() }

// notes returns a sentence for each test of users that failed, and for each attribute for which the
// target compares case.
func (s *Searches) notes() []string {
	if s == nil {
		return nil
	}
	var notes []string
	for _, one := range s.All {
		if !one.Proved {
			notes = append(notes, one.Note())
		}
		if note := one.CaseNote(); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

// testConnection tests every matching attribute of users. If the job provisions groups, it also
// tests every matching attribute of groups. If the application accepts no groups, testConnection
// returns no error, but sets NoGroups.
func testConnection(ctx context.Context, target Target, job Job, m *mapping) (t ConnectionTest, err error) {
	if t.Users, err = testSearches(ctx, target, m, nil); err != nil {
		return t, err
	}
	learnCases(ctx, target, m, t.Users, nil)
	object, err := job.Schema.GroupMapping()
	if err != nil || !object.Enabled {
		return t, nil
	}
	groups, err := compileObject(job.Schema, object, GroupKind, nil)
	if err != nil {
		return t, err
	}
	t.Groups, err = testSearches(ctx, target.Groups(), groups, nil)
	if t.Groups == nil {
		return t, err
	}
	if err != nil {
		t.NoGroups = noGroups(err)
		return t, nil
	}
	learnCases(ctx, target.Groups(), groups, t.Groups, nil)
	return t, nil
}

// noGroups returns a sentence that says that the application accepts no groups. err is the error of
// a search for groups.
func noGroups(err error) string {
	return "The application takes no groups, so none are provisioned: " + asTargetError(err).Detail
}

// testSearches tests every matching attribute. After the first successful test, it does not test
// attributes that known lists as proved. It returns an error if the whole connection fails, or if
// the target cannot be searched by any attribute.
func testSearches(ctx context.Context, target Target, m *mapping, known []Searchable) ([]Searchable, error) {
	var all []Searchable
	var first error
	proved := false
	for i := range m.matching {
		path := m.matching[i].Target
		if proved && slices.ContainsFunc(known, func(s Searchable) bool { return s.Path == path && s.Proved }) {
			all = append(all, Searchable{Path: path, Proved: true})
			continue
		}
		err := target.Test(ctx, path, m.matching[i].Type)
		one := Searchable{Path: path, Proved: err == nil}
		if err != nil {
			te := asTargetError(err)
			switch {
			case te.Kind == Throttled, te.Kind == Unreachable, te.Status == 0 && te.Kind != Unsearchable, te.Status == http401:
				return nil, err
			case te.Kind == Unsearchable:
				one.Detail = te.Detail
			default: // if a test of another attribute succeeds, the problem concerns only this attribute
				one.Detail = fmt.Sprintf("The application could not be searched by %s. %s", path, te.Detail)
			}
			one.Advice = te.Advice
			first = cmp.Or(first, err)
		}
		proved = proved || one.Proved
		all = append(all, one)
	}
	if !proved {
		return all, first
	}
	return all, nil
}

// testSearch tests one attribute. If only this attribute cannot be searched, testSearch returns no
// error, but a result that says so.
func testSearch(ctx context.Context, target Target, r *row) (Searchable, error) {
	err := target.Test(ctx, r.Target, r.Type)
	if err == nil {
		return Searchable{Path: r.Target, Proved: true}, nil
	}
	if te := asTargetError(err); te.Kind == Unsearchable {
		return Searchable{Path: r.Target, Detail: te.Detail, Advice: te.Advice}, nil
	}
	return Searchable{}, err
}

// HTTP statuses that the engine compares with. They are here so that the package need not import an
// HTTP package.
const (
	http200 = 200
	http400 = 400
	http401 = 401
	http422 = 422
)

const codeIncompatible = "SystemForCrossDomainIdentityManagementServiceIncompatible"

// searcher knows by which attributes the target can be searched. If an attribute has not been
// tested yet, searcher tests it when it is first needed: the engine also searches by attributes of
// earlier mappings.
type searcher struct {
	target     Target
	goroutines goroutines
	asking     lock                  // held while known is used, or an attribute is tested
	known      map[string]Searchable // the results of the tests, by attribute
}

func newSearcher(target Target, s *Searches, g goroutines) *searcher {
	known := map[string]Searchable{}
	if s != nil {
		for _, one := range s.All {
			known[one.Path] = one
		}
	}
	return &searcher{target: target, goroutines: g, asking: newLock(), known: known}
}

// can returns whether the target can be searched by the row's attribute. The first call for an
// attribute tests it.
func (s *searcher) can(ctx context.Context, r *row) (Searchable, error) {
	s.asking.acquire(s.goroutines)
	defer s.asking.release()
	if one, ok := s.known[r.Target]; ok {
		return one, nil
	}
	one, err := testSearch(ctx, s.target, r)
	if err == nil {
		s.known[r.Target] = one
	}
	return one, err
}

// lookup is the result of a search by matching attributes.
type lookup struct {
	found   []TargetObject // the accounts that were found
	key     MatchKey       // the last value that was searched for; it found the accounts, if any
	skipped []Searchable   // attributes that have a value, but by which the target cannot be searched
	problem *TargetError   // the error of a search; nil if no search failed
}

// find searches for accounts with the matching values, in their order. It stops at the first value
// that finds an account. It skips attributes by which the target cannot be searched.
func (p *pass) find(ctx context.Context, keys []MatchKey) lookup {
	var l lookup
	for _, k := range keys {
		found, can, problem := p.search(ctx, p.m.rowFor(k.Path), k)
		if l.problem = problem; problem != nil {
			return l
		}
		if !can.Proved {
			l.skipped = append(l.skipped, can)
			continue
		}
		l.key, l.found = k, found
		if len(found) > 0 {
			return l
		}
	}
	return l
}

// search returns the accounts that have a matching value. can says whether the target can be
// searched by the attribute of r. If it cannot, search makes no request.
func (p *pass) search(ctx context.Context, r *row, k MatchKey) (found []TargetObject, can Searchable, problem *TargetError) {
	can, err := p.searcher.can(ctx, r)
	if err != nil || !can.Proved {
		return nil, can, asProblem(err)
	}
	all, err := p.target.Find(ctx, k.Path, k.Value)
	if err != nil {
		return nil, can, asProblem(err)
	}
	for _, o := range all {
		o, problem := p.confirmMatch(ctx, r, o, k)
		if problem != nil {
			return nil, can, problem
		}
		found = append(found, o)
	}
	return found, can, nil
}

// confirmMatch checks that an account has the value by which it was found. If the answer to the
// search does not show the attribute, confirmMatch reads the account by its id. It returns the
// account as it was read last.
func (p *pass) confirmMatch(ctx context.Context, r *row, o TargetObject, k MatchKey) (TargetObject, *TargetError) {
	shown, same := r.showsWanted(o.Resource, k.Value)
	if !shown {
		full, err := p.target.Get(ctx, o.ID)
		if err != nil {
			return o, asTargetError(err)
		}
		o = full
		shown, same = r.showsWanted(o.Resource, k.Value)
	}
	switch {
	case same:
		return o, nil
	case !shown:
		return o, &TargetError{
			Kind: Unsearchable, Code: codeIncompatible,
			Detail: fmt.Sprintf("The application answered a search for %s '%s' with an account that shows no %s. Nothing proves whose account it is.", k.Path, text(k.Value), k.Path),
			Advice: "Match by an attribute that the application returns, or have the application's SCIM endpoint corrected.",
		}
	}
	return o, &TargetError{
		Kind: Incompatible, Code: codeIncompatible,
		Detail: fmt.Sprintf("The application answered a search for %s '%s' with an account that has another value.", k.Path, text(k.Value)),
		Advice: "Its filter for this attribute does not work. Match by another attribute, or have the application's SCIM endpoint corrected.",
	}
}

// rowFor returns the matching row for an attribute. If the mapping has no such row, because only an
// earlier mapping had it, rowFor makes a row.
func (m *mapping) rowFor(path string) *row {
	for i := range m.matching {
		if m.matching[i].Target == path {
			return &m.matching[i]
		}
	}
	r := row{CompiledMapping: CompiledMapping{Target: path, Type: TypeString}}
	_ = r.parsePath() // the path was valid when it was saved; an invalid one matches nothing
	return &r
}

// showsWanted compares an account, which a search has found, with a wanted value. shown reports
// whether the account has any value for the row's attribute. same reports whether the wanted value
// is one of them. The value may be in an element of another type, because the application's search
// decided that the account has the value.
func (r *row) showsWanted(account scim.Resource, want any) (shown, same bool) {
	values := flatten(r.path.Get(account))
	if r.loose != nil {
		values = append(values, flatten(r.loose.Get(account))...)
	}
	if list, ok := want.([]any); ok && len(list) == 1 {
		want = list[0]
	} else if ok {
		return len(values) > 0, r.sameSet(values, list)
	}
	for _, v := range values {
		if v == nil || v == "" {
			continue
		}
		shown = true
		if r.same(v, want) {
			return true, true
		}
	}
	return shown, false
}

// valuesIn returns all values that an account has for the row's attribute. It is for comparisons
// that depend only on these values. An element without a type counts as having the wanted type. An
// element of another type does not count: a work address is no home address.
func (r *row) valuesIn(account scim.Resource) []any {
	values := flatten(r.path.Get(account))
	if r.plain != nil {
		values = append(values, flatten(r.plain.Get(account))...)
	}
	return values
}

// failUnsearchable returns the failure of a person who may have an account that the engine cannot
// find, because it cannot search by the attributes in skipped.
func (w *work) failUnsearchable(skipped []Searchable) fail {
	one := skipped[0]
	return w.fail(&TargetError{
		Kind: Unsearchable, Code: codeIncompatible,
		Detail: fmt.Sprintf("%s So nobody can tell whether an account with the person's %s exists, and none was created.", one.Detail, one.Path),
		Advice: one.Advice,
	})
}
