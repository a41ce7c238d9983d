package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/scim"
)

// discoveryPhase is a phase of a running discovery.
type discoveryPhase string

// The phases, in their order. Each phase goes through a list in pages. The results of a page are
// stored together with the place where the next page begins. So a killed process loses at most one
// page, and nothing is counted twice.
const (
	listingAccounts discoveryPhase = "accounts" // read the list of accounts
	matchingUsers   discoveryPhase = "users"    // find the accounts that each user matches
	readingRest     discoveryPhase = "rest"     // store the values of the accounts that no user matches
	comparingRest   discoveryPhase = "near"     // find users who nearly match these accounts
	sortingAccounts discoveryPhase = "sorting"  // put each account into its class
	findingGone     discoveryPhase = "gone"     // find accounts that only the previous discovery has
)

// words says what a discovery of this kind does in this phase.
func (p discoveryPhase) words(kind ObjectKind) string {
	if kind == GroupKind {
		return map[discoveryPhase]string{
			listingAccounts: "reading the groups of the application",
			matchingUsers:   "comparing the groups of the directory with those of the application",
			readingRest:     "collecting the groups of the application that no group of the directory matches",
			comparingRest:   "looking for groups that nearly match the others",
			sortingAccounts: "sorting the groups",
			findingGone:     "comparing with the last discovery",
		}[p]
	}
	return map[discoveryPhase]string{
		listingAccounts: "reading the accounts of the application",
		matchingUsers:   "comparing the users of the directory with the accounts",
		readingRest:     "collecting the accounts that no user matches",
		comparingRest:   "looking for users who nearly match the other accounts",
		sortingAccounts: "sorting the accounts",
		findingGone:     "comparing with the last discovery",
	}[p]
}

// discoveryWords returns a sentence about accounts and users. If kind is GroupKind, it returns the
// same sentence about groups of the application and groups of the directory.
func discoveryWords(kind ObjectKind, sentence string) string {
	if kind != GroupKind {
		return sentence
	}
	return groupsInDiscoveries.Replace(sentence)
}

// groupsInDiscoveries replaces the words for accounts and users by those for groups.
var groupsInDiscoveries = strings.NewReplacer(
	"the user was deleted", "the group was deleted", "user’s value", "value of a group of the directory",
	"users", "groups of the directory", "user", "group of the directory", "Accounts", "Groups", "accounts", "groups", "account", "group",
)

const (
	discoveryPage        = 500 // how many users or stored accounts one step handles
	maxListPasses        = 3   // how many times the list of accounts is read if it does not show all accounts
	maxRepeatedPages     = 3   // reading stops after this many pages without a new account
	maxDiscoveryFailures = 20  // a discovery fails after this many failed requests in a row
	// discoveryRetry is how long a discovery waits after a failed request, if the application does
	// not say how long. maxDiscoveryPause is the longest wait.
	discoveryRetry    = 30 * time.Second
	maxDiscoveryPause = 10 * time.Minute
	maxNearMatches    = 10 // how many near matches of an account are kept
)

// discoverer holds the data of one slice of a discovery.
type discoverer struct {
	e *Engine
	f Fence     // the lease under which the slice writes
	r *run      // reads the source and the target
	p *pass     // evaluates the mapping of users, or of groups
	d Discovery // the discovery, with the results of this slice
}

// words returns what discoveryWords returns for the kind of the discovery.
func (s *discoverer) words(sentence string) string { return discoveryWords(s.d.Kind, sentence) }

// AdvanceDiscovery does one bounded slice of the job's running discovery and returns when to call
// it again. A zero time means that there is nothing to do. The caller must hold the lease of the
// kind DiscoveryKind with this epoch. Errors of the application are stored with the discovery.
func (e *Engine) AdvanceDiscovery(ctx context.Context, key string, epoch int64) (next time.Time, err error) {
	k, err := ParseKey(key)
	if err != nil {
		return time.Time{}, err
	}
	end := e.Now().Add(sliceLength)
	all, err := e.Discoveries.Discoveries(ctx, k)
	if err != nil {
		return time.Time{}, err
	}
	s := &discoverer{e: e, f: Fence{Key: k, Epoch: epoch}}
	if i := slices.IndexFunc(all, func(d Discovery) bool { return d.State == DiscoveryRunning }); i >= 0 {
		s.d = all[i]
		if next, err = s.work(ctx, end); err != nil || !next.IsZero() {
			return next, err
		}
		// The end of the accounts begins the groups.
		if all, err = e.Discoveries.Discoveries(ctx, k); err != nil {
			return time.Time{}, err
		}
		if slices.ContainsFunc(all, func(d Discovery) bool { return d.State == DiscoveryRunning }) {
			return e.Now(), nil
		}
	}
	for e.Now().Before(end) {
		done, err := e.Discoveries.RemoveOldDiscoveries(ctx, s.f)
		if err != nil || done {
			return time.Time{}, err
		}
	}
	return e.Now(), nil
}

// work does steps of the discovery until the slice ends. It returns when the next slice is due, or
// the zero time if the discovery has ended.
func (s *discoverer) work(ctx context.Context, end time.Time) (next time.Time, err error) {
	s.r, err = s.e.open(ctx, s.f.Key, 0)
	if errors.Is(err, ErrNoJob) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	if err := s.r.connect(); err != nil {
		return time.Time{}, s.fail(ctx, asTargetError(err).Words())
	}
	if s.d.Kind == GroupKind && !s.r.groupsOn() {
		return time.Time{}, s.fail(ctx, "The mapping of groups was switched off meanwhile, or the application takes no groups any more.")
	}
	if s.r.discoverySettings(s.d.Kind) != s.d.Progress.Settings {
		return time.Time{}, s.fail(ctx, "The Tenant URL, the scope or the matching attributes were changed meanwhile, or all connections were forgotten. Start the discovery again.")
	}
	if s.p = s.r.pass(); s.d.Kind == GroupKind {
		s.p = s.p.groups
	}
	for {
		err := s.step(ctx)
		switch te := (*TargetError)(nil); {
		case errors.Is(err, ErrChanged): // the discovery was cancelled
			return time.Time{}, nil
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		case errors.As(err, &te):
			return s.wait(ctx, te)
		case err != nil:
			return time.Time{}, err
		}
		if s.d.State != DiscoveryRunning {
			return time.Time{}, nil
		}
		if !s.e.Now().Before(end) {
			return s.e.Now(), nil
		}
	}
}

// fail ends the discovery with a problem.
func (s *discoverer) fail(ctx context.Context, problem string) error {
	s.d.State, s.d.Ended, s.d.Doing, s.d.Problem = DiscoveryFailed, s.e.Now(), "", problem
	err := s.e.Discoveries.SaveDiscovery(ctx, s.f, s.d, DiscoveredBatch{})
	if errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// wait decides what to do about a failed request. It returns when to try again, or gives up and
// returns the zero time.
func (s *discoverer) wait(ctx context.Context, te *TargetError) (time.Time, error) {
	switch te.Kind {
	case Transient, Throttled, Unreachable:
	default:
		return time.Time{}, s.fail(ctx, te.Words())
	}
	if s.d.Progress.Failures++; s.d.Progress.Failures >= maxDiscoveryFailures {
		return time.Time{}, s.fail(ctx, te.Words())
	}
	s.d.Problem = te.Words()
	err := s.e.Discoveries.SaveDiscovery(ctx, s.f, s.d, DiscoveredBatch{})
	if errors.Is(err, ErrChanged) {
		return time.Time{}, nil
	}
	return s.e.Now().Add(min(cmp.Or(te.RetryAfter, discoveryRetry), maxDiscoveryPause)), err
}

// step handles one page of the current phase.
func (s *discoverer) step(ctx context.Context) error {
	switch s.d.Progress.Phase {
	case listingAccounts:
		return s.listAccounts(ctx)
	case matchingUsers:
		return s.matchUsers(ctx)
	case readingRest:
		return s.readRest(ctx)
	case comparingRest:
		return s.compareRest(ctx)
	case sortingAccounts:
		return s.sortAccounts(ctx)
	}
	return s.findGone(ctx)
}

// save stores the results of a step, and the place where the next step begins.
func (s *discoverer) save(ctx context.Context, found DiscoveredBatch) error {
	s.d.Doing, s.d.Problem, s.d.Progress.Failures = s.d.Progress.Phase.words(s.d.Kind), "", 0
	if s.d.State != DiscoveryRunning {
		s.d.Doing = ""
	}
	return s.e.Discoveries.SaveDiscovery(ctx, s.f, s.d, found)
}

// begin begins the next phase.
func (s *discoverer) begin(next discoveryPhase) {
	s.d.Progress.Phase, s.d.Progress.After = next, ""
}

// listAccounts reads one page of the list of accounts.
func (s *discoverer) listAccounts(ctx context.Context) error {
	at := &s.d.Progress
	first := at.Start == 1
	page, moved, err := s.nextAccounts(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, o := range page.Objects {
		if storable(o.ID) && o.ID != "" {
			ids = append(ids, o.ID)
		}
	}
	listed, connected, err := s.e.Discoveries.ListedBefore(ctx, s.f.Key, s.d.Kind, s.d.ID, ids)
	if err != nil {
		return err
	}
	var batch DiscoveredBatch
	for _, o := range page.Objects {
		if listed[o.ID] || !storable(o.ID) || o.ID == "" {
			continue
		}
		listed[o.ID] = true
		a := s.p.m.foundAccount(o)
		a.Connected = connected[o.ID]
		batch.Accounts = append(batch.Accounts, DiscoveredAccount{FoundAccount: a, sortName: a.sortName(), searchText: a.searchText()})
		for _, hash := range a.keys() {
			batch.Keys = append(batch.Keys, DiscoveredKey{hash, a.ID})
		}
	}
	fresh := len(batch.Accounts)
	s.d.Accounts += fresh
	at.Start += page.Named
	if at.Repeats++; fresh > 0 {
		at.Repeats = 0
	}
	at.Moved = !first && (at.Moved || moved && fresh > 0)
	total := max(page.Total, 0)
	at.Miscounts = at.Miscounts || total > 0 && int64(s.d.Accounts) > total && !at.Moved && at.Pass == 1
	if at.Miscounts {
		total = 0
	} else if !first && total != s.d.Total {
		at.Moved = true
	}
	s.d.Total = total
	// Some applications count only the accounts of the page in the total. Such a total is reached
	// after the first page, so one more page is asked for.
	ended := page.Named == 0 || total > 0 && int64(at.Start) > total && !first || total == 0 && fresh == 0 && (at.Pass == 1 || at.Start >= at.Length)
	if at.Pass == 1 {
		at.Length = at.Start
	}
	switch {
	case !ended && (at.Repeats < maxRepeatedPages || at.Pass > 1):
	case (at.Moved || s.d.Total > int64(s.d.Accounts)) && at.Pass < maxListPasses && (at.Pass > 1 || at.Repeats < maxRepeatedPages):
		at.Start, at.Pass, at.Repeats = 1, at.Pass+1, 0 // accounts have moved while the list was read
	default:
		if at.Moved {
			s.d.Notes = append(s.d.Notes, fmt.Sprintf(s.words("Accounts came, went or moved each of the %d times that the list was read, so some may be missing. So no account counts as gone."), at.Pass))
		} else if s.d.Total > int64(s.d.Accounts) {
			s.d.Notes = append(s.d.Notes, fmt.Sprintf(s.words("The application says that it has %d accounts, but its list shows only %d. So no account counts as gone."), s.d.Total, s.d.Accounts))
		}
		s.begin(matchingUsers)
	}
	return s.save(ctx, batch)
}

// nextAccounts reads the next page of the list of accounts. It begins the page with the last
// account of the previous page. If the answer does not begin with that account, moved is true:
// accounts have come, gone or moved, and one between the two pages may be missing.
func (s *discoverer) nextAccounts(ctx context.Context) (page ObjectPage, moved bool, err error) {
	at := &s.d.Progress
	if at.Start > 1 {
		page, err = s.p.target.List(ctx, at.Start-1, listPage)
		switch {
		case err != nil:
			return page, false, err
		case len(page.Objects) == 0 || page.Objects[0].ID != at.Last:
			at.Start--
			moved = true
		default:
			page.Objects, page.Named = page.Objects[1:], page.Named-1
		}
	}
	// The application may show only one account in a page.
	if at.Start == 1 || !moved && page.Named == 0 && (page.Total <= 0 || int64(at.Start) <= page.Total) {
		if page, err = s.p.target.List(ctx, at.Start, listPage); err != nil {
			return page, false, err
		}
	}
	if last := lastID(page); last != "" {
		at.Last = last
	}
	return page, moved, nil
}

// snapshot reads the next page of the directory's users, or of its groups.
func (s *discoverer) snapshot(ctx context.Context) ([]Object, error) {
	read := s.r.source.Snapshot
	if s.d.Kind == GroupKind {
		read = s.r.groups.source.GroupSnapshot
	}
	page, err := read(ctx, SnapshotQuery{App: s.f.Key.App, After: s.d.Progress.After, Limit: discoveryPage})
	if err != nil {
		return nil, fmt.Errorf("read users or groups: %w", err)
	}
	if len(page) > 0 {
		s.d.Progress.After = page[len(page)-1].ID
	}
	return page, nil
}

// matchUsers finds the accounts that a page of users matches.
func (s *discoverer) matchUsers(ctx context.Context) error {
	page, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	users := make([]discoveredUser, 0, len(page))
	var hashes []int64
	for i := range page {
		u, problem := s.p.discoveredUser(&page[i], s.e.Now())
		if problem {
			s.d.Progress.Unread++
		}
		users = append(users, u)
		hashes = append(hashes, u.hashes()...)
	}
	byHash, err := s.candidates(ctx, hashes)
	if err != nil {
		return err
	}
	var batch DiscoveredBatch
	near, before := nearCounter{}, byHash.nearCounts()
	for _, u := range users {
		matches, hash, attribute := u.matches(s.p.m, byHash)
		for _, m := range matches {
			if !m.Near || near.takes(m.Account, before[m.Account]) {
				batch.Matches = append(batch.Matches, m)
			}
		}
		if attribute != "" && u.object.Deleted.IsZero() {
			s.d.Progress.rememberShared(hash, attribute, u.assigned)
		}
	}
	s.d.Users += len(page)
	if len(page) < discoveryPage {
		if n := s.d.Progress.Unread; n > 0 {
			s.d.Notes = append(s.d.Notes, fmt.Sprintf(s.words("An expression of a matching attribute fails for some users: %d. An account that only this attribute would match counts as a local account."), n))
		}
		s.begin(readingRest)
	}
	return s.save(ctx, batch)
}

// rememberShared remembers a user's value that too many accounts have.
func (p *DiscoveryProgress) rememberShared(hash int64, attribute string, assigned bool) {
	if p.Shared == nil {
		p.Shared = map[int64]SharedValue{}
	}
	p.Shared[hash] = SharedValue{attribute, assigned || p.Shared[hash].Assigned}
}

// candidates returns the accounts of the discovery that have one of these hashes, by hash.
func (s *discoverer) candidates(ctx context.Context, hashes []int64) (candidates, error) {
	found, err := s.e.Discoveries.Candidates(ctx, s.f.Key, s.d.ID, hashes)
	byHash := candidates{}
	for i := range found {
		byHash[found[i].Hash] = append(byHash[found[i].Hash], &found[i])
	}
	return byHash, err
}

// readRest stores the values by which users are compared with a page of accounts that no user
// matches.
func (s *discoverer) readRest(ctx context.Context) error {
	page, err := s.e.Discoveries.UnmatchedAccounts(ctx, s.f.Key, s.d.ID, s.d.Progress.After, discoveryPage)
	if err != nil {
		return err
	}
	var batch DiscoveredBatch
	for _, a := range page {
		s.d.Progress.After = a.ID
		seen := map[int64]bool{}
		for _, v := range a.likenesses(s.d.Kind) {
			if hash := v.hash(); !seen[hash] {
				seen[hash] = true
				batch.Keys = append(batch.Keys, DiscoveredKey{hash, a.ID})
			}
		}
	}
	s.d.Progress.Unmatched += len(page)
	if len(page) < discoveryPage {
		s.begin(comparingRest)
		if s.d.Progress.Unmatched == 0 {
			s.begin(sortingAccounts)
		}
	}
	return s.save(ctx, batch)
}

// compareRest finds the accounts that a page of users nearly matches.
func (s *discoverer) compareRest(ctx context.Context) error {
	page, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	var hashes []int64
	alike := make([][]likeness, len(page))
	for i := range page {
		alike[i] = likenessesOf(&page[i])
		for _, v := range alike[i] {
			hashes = append(hashes, v.hash())
		}
	}
	byHash, err := s.candidates(ctx, hashes)
	if err != nil {
		return err
	}
	var batch DiscoveredBatch
	near := nearCounter{}
	for i := range page {
		u, _ := s.p.discoveredUser(&page[i], s.e.Now())
		done := map[string]bool{}
		for _, v := range alike[i] {
			if tooMany(byHash[v.hash()]) {
				continue
			}
			for _, c := range byHash[v.hash()] {
				if done[c.ID] || !c.has(s.d.Kind, v) || !near.takes(c.ID, c.Near) {
					continue
				}
				done[c.ID] = true
				batch.Matches = append(batch.Matches, u.nearMatch(s.p.m, c, v.reason()))
			}
		}
	}
	if len(page) < discoveryPage {
		s.begin(sortingAccounts)
	}
	return s.save(ctx, batch)
}

// nearCounter counts the near matches of accounts within a step.
type nearCounter map[string]int

// takes reports whether one more near match of an account may be kept. If so, it counts the match.
// before is how many near matches the account had before the step.
func (n nearCounter) takes(account string, before int) bool {
	if before+n[account] >= maxNearMatches {
		return false
	}
	n[account]++
	return true
}

// sortAccounts puts a page of accounts into their classes, and compares them with the previous
// discovery.
func (s *discoverer) sortAccounts(ctx context.Context) error {
	page, accountsOf, err := s.e.Discoveries.UnsortedAccounts(ctx, s.f.Key, s.d.ID, s.d.Progress.Previous, s.d.Progress.After, discoveryPage)
	if err != nil {
		return err
	}
	var batch DiscoveredBatch
	for _, a := range page {
		s.d.Progress.After = a.ID
		one := a.sorted(s.d.Kind, accountsOf, s.d.Progress.Shared, s.d.Compared)
		s.d.count(one)
		batch.Sorted = append(batch.Sorted, one)
	}
	if len(page) == discoveryPage {
		return s.save(ctx, batch)
	}
	if s.begin(findingGone); s.d.Progress.Previous == "" || s.d.Progress.Moved || s.d.Total > int64(s.d.Accounts) {
		return s.end(ctx, batch)
	}
	return s.save(ctx, batch)
}

// count adds an account to the discovery's numbers, by its class and its change.
func (d *Discovery) count(a DiscoveredAccount) {
	switch a.Class {
	case LocalAccounts:
		d.Local++
		if a.NearCount > 0 {
			d.Near++
		}
	case UnassignedUsers:
		d.Unassigned++
	default:
		d.Assigned++
	}
	if a.Ambiguous != "" {
		d.Ambiguous++
	}
	switch a.Change {
	case IdentityNew:
		d.New++
	case IdentityChanged:
		d.Changed++
	}
}

// findGone adds a page of the accounts that the application no longer lists.
func (s *discoverer) findGone(ctx context.Context) error {
	page, err := s.e.Discoveries.GoneAccounts(ctx, s.f.Key, s.d.ID, s.d.Progress.Previous, s.d.Progress.After, discoveryPage)
	if err != nil {
		return err
	}
	for i := range page {
		a := &page[i]
		s.d.Progress.After = a.ID
		a.Was = &IdentityBefore{Class: a.Class, ObjectID: a.ObjectID, UserName: a.UserName, Active: a.Active}
		a.Class, a.Change, a.ObjectID, a.Ambiguous = "", IdentityGone, "", ""
		a.sortName, a.searchText = a.FoundAccount.sortName(), a.FoundAccount.searchText()
	}
	s.d.Gone += len(page)
	if len(page) < discoveryPage {
		return s.end(ctx, DiscoveredBatch{Accounts: page})
	}
	return s.save(ctx, DiscoveredBatch{Accounts: page})
}

// end ends the discovery, which becomes the last complete one. If a discovery of groups follows,
// end begins it.
func (s *discoverer) end(ctx context.Context, batch DiscoveredBatch) error {
	s.d.State, s.d.Ended = DiscoveryDone, s.e.Now()
	if s.d.Kind == GroupKind {
		batch.Event = s.r.event(ctx, event.ProvisioningGroupsDiscovered, s.d.words())
		batch.Event.Data = event.DataOf(event.GroupDiscovery{Groups: s.d.Accounts, Assigned: s.d.Assigned, Unassigned: s.d.Unassigned, Local: s.d.Local})
	} else {
		batch.Event = s.r.event(ctx, event.ProvisioningDiscovered, s.d.words())
		batch.Event.Data = event.DataOf(event.Discovery{Accounts: s.d.Accounts, Assigned: s.d.Assigned, Unassigned: s.d.Unassigned, Local: s.d.Local})
	}
	batch.Event.Actor, batch.Event.By = s.d.By, event.Actor{}
	if s.d.Progress.Groups && s.r.groupsOn() {
		all, err := s.e.Discoveries.Discoveries(ctx, s.f.Key)
		if err != nil {
			return err
		}
		position, err := s.r.source.Position(ctx)
		if err != nil {
			return fmt.Errorf("read the position of the directory: %w", err)
		}
		next := s.r.newDiscovery(GroupKind, position, all)
		next.By, batch.Next = s.d.By, &next
	}
	return s.save(ctx, batch)
}

// sorted returns the account with its class and change. kind says whether it is an account or a
// group. accountsOf holds how many accounts each user matches. shared holds the values that too
// many accounts have. compared says whether there was a complete discovery before.
func (a UnsortedAccount) sorted(kind ObjectKind, accountsOf map[string]int, shared map[int64]SharedValue, compared bool) DiscoveredAccount {
	one := DiscoveredAccount{FoundAccount: a.FoundAccount, Kind: kind, Class: LocalAccounts, NearCount: a.Near, Matches: a.Matches, sortName: a.sortName(), searchText: a.searchText()}
	for _, m := range a.Matches {
		if one.Class == LocalAccounts {
			one.Class = UnassignedUsers
		}
		if m.Assigned {
			one.Class = AssignedUsers
		}
		one.searchText += scim.Fold(withoutControls(m.Name)) + "\n"
		if n := accountsOf[m.ObjectID]; n > 1 {
			one.Ambiguous = fmt.Sprintf(discoveryWords(kind, "%s matches %d accounts"), m.Name, n)
		}
	}
	if len(a.Matches) == 1 {
		one.ObjectID = a.Matches[0].ObjectID
	}
	if len(a.Matches) > 1 {
		one.Ambiguous = fmt.Sprintf(discoveryWords(kind, "%d users match the account"), len(a.Matches))
	}
	if value, found := a.shared(shared); found {
		one.Class, one.Ambiguous = UnassignedUsers, fmt.Sprintf(discoveryWords(kind, "more than %d accounts share a user’s value of %s"), MaxCandidates, value.Attribute)
		if value.Assigned {
			one.Class = AssignedUsers
		}
	}
	switch {
	case !compared:
	case a.Was == nil:
		one.Change = IdentityNew
	case a.Was.Class != one.Class || a.Was.ObjectID != one.ObjectID || a.Was.UserName != a.UserName || !sameBool(a.Was.Active, a.Active) || a.Unclear != (one.Ambiguous != "") || a.Name != a.DisplayName:
		one.Change, one.Was = IdentityChanged, a.Was
	}
	return one
}

// sameBool reports whether two values are equal; nil equals only nil.
func sameBool(a, b *bool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
