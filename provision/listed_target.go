package provision

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

const (
	minQuestions     = 50 // the list is not read before this many questions were asked
	checkedAbsences  = 20 // for how many answers "there is no such account" a search checks whether the list is right
	comparedAccounts = 3  // how many accounts of the list are compared with the account as Get returns it
	packSize         = 16 // how many accounts are compressed together

	mostPauses   = 5           // how many times a page of the list is requested, if the target asks for pauses
	longestPause = time.Minute // the longest pause before a page of the list is requested again
)

// listedTarget is a Target that reads all accounts once, and then answers Find and Get from this
// list. A plan needs it: with one request for each person, a plan of many people would take much
// longer than the list.
//
// listedTarget first passes questions on to the target. After the first few it reads the list, if
// the plan will ask more questions than the list needs requests. If that is not known, it first
// passes on as many questions as the list needs requests. It uses the list only if it has as many
// accounts as the target says, and shows the attributes that a single account shows. The first
// times that the list does not have an account, a search must confirm that the account does not
// exist.
type listedTarget struct {
	Target
	matching []row          // the attributes by which Find uses the list
	progress func(read int) // gets the number of accounts that were read
	// willAsk reports whether the plan will ask at least n questions. It is nil if nobody knows.
	willAsk func(ctx context.Context, n int) (bool, error)

	mu           sync.Mutex // protects the fields below
	questions    int        // how many questions were asked before the list was read
	listRequests int        // how many requests reading the list takes; 0 if that is not known yet
	isListRead   bool       // whether the list was read, or cannot be used
	accounts     *packedAccounts
	checksLeft   int // how many more answers "there is no such account" will be checked
}

func newListedTarget(t Target, m *mapping, progress func(read int)) *listedTarget {
	return &listedTarget{Target: t, matching: m.matching, progress: progress, checksLeft: checkedAbsences}
}

// Find answers from the list, if the attribute at path is a matching attribute.
func (t *listedTarget) Find(ctx context.Context, path string, value any) ([]TargetObject, error) {
	i := slices.IndexFunc(t.matching, func(r row) bool { return r.Target == path })
	if i < 0 {
		return t.Target.Find(ctx, path, value)
	}
	accounts, err := t.list(ctx)
	if err != nil {
		return nil, err
	}
	if accounts == nil {
		return t.Target.Find(ctx, path, value)
	}
	var found []TargetObject
	for _, number := range accounts.byValue.find(valueKey(path, text(oneValue(value)))) {
		o, err := accounts.get(number)
		if err != nil {
			return nil, err
		}
		if _, same := t.matching[i].showsWanted(o.Resource, value); same {
			found = append(found, o)
		}
	}
	if len(found) > 0 || !t.checkAbsence() {
		return found, nil
	}
	if found, err = t.Target.Find(ctx, path, value); len(found) > 0 {
		t.distrust() // the list does not show all accounts
	}
	return found, err
}

// oneValue returns the only element of a list, or any other value as it is.
func oneValue(value any) any {
	if list, ok := value.([]any); ok && len(list) == 1 {
		return list[0]
	}
	return value
}

// Get answers from the list, if the list has the account.
func (t *listedTarget) Get(ctx context.Context, id string) (TargetObject, error) {
	accounts, err := t.list(ctx)
	if err != nil {
		return TargetObject{}, err
	}
	if accounts != nil {
		for _, number := range accounts.byID.find(id) {
			if o, err := accounts.get(number); err != nil || o.ID == id {
				return o, err
			}
		}
	}
	return t.Target.Get(ctx, id)
}

// checkAbsence reports whether the answer that there is no such account must be checked with a
// search.
func (t *listedTarget) checkAbsence() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checksLeft--
	return t.checksLeft >= 0
}

// distrust drops the list, so that the target answers all further questions.
func (t *listedTarget) distrust() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accounts = nil
}

// list returns the accounts of the target. It returns nil if the list was not read yet, or cannot
// be used.
func (t *listedTarget) list(ctx context.Context) (*packedAccounts, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isListRead {
		return t.accounts, nil
	}
	if t.questions++; t.questions < max(minQuestions, t.listRequests) {
		return nil, nil
	}
	if t.listRequests == 0 {
		first, err := t.Target.List(ctx, 1, 1)
		if err != nil {
			t.isListRead = true
			return nil, ctx.Err()
		}
		if first.Total == 0 && len(first.Objects) > 0 {
			t.isListRead = true // a list whose length is not known proves nothing
			return nil, nil
		}
		t.listRequests = int(first.Total) / listPage
		many := t.questions >= t.listRequests
		if !many && t.willAsk != nil {
			if many, err = t.willAsk(ctx, t.listRequests); err != nil {
				return nil, err
			}
		}
		if !many {
			return nil, nil
		}
	}
	t.isListRead = true
	accounts, err := t.read(ctx)
	if err != nil {
		return nil, ctx.Err() // without the list, the target answers each question, and reports what is wrong
	}
	t.accounts = accounts
	return accounts, nil
}

// errListMoved means that accounts came or went while the list was read, so that the pages may have
// skipped an account.
var errListMoved = errors.New("the list of accounts changed while it was read")

// read reads all accounts. It returns nil if the list cannot be used.
func (t *listedTarget) read(ctx context.Context) (*packedAccounts, error) {
	accounts := newPackedAccounts()
	total, last := int64(-1), ""
	list := func(ctx context.Context, start, count int) (ObjectPage, error) {
		if start == 1 {
			page, err := t.listAfterPauses(ctx, start, count)
			total, last = page.Total, lastID(page)
			return page, err
		}
		// The page must begin with the last account of the previous page. Otherwise the list has
		// changed.
		page, err := t.listAfterPauses(ctx, start-1, count)
		if err != nil {
			return page, err
		}
		if page.Total != total || len(page.Objects) == 0 || page.Objects[0].ID != last {
			return page, errListMoved
		}
		last = lastID(page)
		page.Objects, page.Named = page.Objects[1:], page.Named-1
		return page, nil
	}
	err := eachAccount(ctx, list, func(page []TargetObject) error {
		for _, o := range page {
			if err := accounts.add(o, t.matching); err != nil {
				return err
			}
		}
		t.progress(accounts.count)
		return nil
	})
	if err != nil || int64(accounts.count) != total || !accounts.seal() {
		return nil, err
	}
	if less, err := t.showsLess(ctx, accounts); less || err != nil {
		return nil, err
	}
	return accounts, nil
}

func lastID(page ObjectPage) string {
	if len(page.Objects) == 0 {
		return ""
	}
	return page.Objects[len(page.Objects)-1].ID
}

// listAfterPauses reads a page of the list. If the target asks for a pause, listAfterPauses waits
// and requests the page again, a few times.
func (t *listedTarget) listAfterPauses(ctx context.Context, start, count int) (ObjectPage, error) {
	for attempt := 1; ; attempt++ {
		page, err := t.Target.List(ctx, start, count)
		te := asProblem(err)
		if te == nil || te.Kind != Throttled || attempt == mostPauses {
			return page, err
		}
		select {
		case <-ctx.Done():
			return page, ctx.Err()
		case <-time.After(min(orDefault(te.RetryAfter, defaultPause), longestPause)):
		}
	}
}

// showsLess reports whether the list leaves out attributes that a single account shows. It compares
// a few accounts.
func (t *listedTarget) showsLess(ctx context.Context, accounts *packedAccounts) (bool, error) {
	n := accounts.count
	for i := range min(n, comparedAccounts) {
		listed, err := accounts.get(int32(i * (n - 1) / comparedAccounts)) //nolint:gosec // less than the number of accounts
		if err != nil {
			return false, err
		}
		single, err := t.Target.Get(ctx, listed.ID)
		if te := asProblem(err); te != nil && te.Kind == NotFound {
			continue // deleted since the list was read
		}
		if err != nil {
			return false, err
		}
		if lacksNames(listed.Resource, single.Resource) {
			return true, nil
		}
	}
	return false, nil
}

// lacksNames reports whether part lacks the name of an attribute that full has, at any depth. It
// does not look into lists.
func lacksNames(part, full map[string]any) bool {
	for name, value := range full {
		has, found := part[name]
		if !found {
			return true
		}
		inner, isMap := value.(map[string]any)
		if innerPart, _ := has.(map[string]any); isMap && lacksNames(innerPart, inner) {
			return true
		}
	}
	return false
}

// packedAccounts holds many accounts in little memory: groups of them are compressed together. An
// account takes about a tenth of the size of its JSON document.
type packedAccounts struct {
	count    int
	packs    [][]byte // each holds packSize accounts, as a compressed JSON array
	unpacked []packedAccount
	byID     hashIndex
	byValue  hashIndex // by attribute and folded value
	writer   *flate.Writer
	readers  sync.Pool // of flate readers, each of which takes 40 KB
}

// hashIndex finds the numbers of accounts by a string. It takes only 16 bytes for each string,
// because it stores a hash and not the string. Two strings may have the same hash, so the caller
// must compare the account that is found with what it looks for.
type hashIndex struct {
	seed    maphash.Seed
	entries []hashEntry
}

type hashEntry struct {
	hash   uint64
	number int32
}

func (x *hashIndex) add(key string, number int32) {
	x.entries = append(x.entries, hashEntry{maphash.String(x.seed, key), number})
}

// seal orders the entries, so that find finds them. Entries that were added twice are kept once.
func (x *hashIndex) seal() {
	slices.SortFunc(x.entries, func(a, b hashEntry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.number, b.number))
	})
	x.entries = slices.Compact(x.entries)
}

// find returns the numbers of the accounts whose string may be key, in the order of the list.
func (x *hashIndex) find(key string) (numbers []int32) {
	hash := maphash.String(x.seed, key)
	at, _ := slices.BinarySearchFunc(x.entries, hash, func(e hashEntry, hash uint64) int { return cmp.Compare(e.hash, hash) })
	for ; at < len(x.entries) && x.entries[at].hash == hash; at++ {
		numbers = append(numbers, x.entries[at].number)
	}
	return numbers
}

// packedAccount is the JSON form of an account.
type packedAccount struct {
	ID       string        `json:"i"`
	Version  string        `json:"v,omitempty"`
	Resource scim.Resource `json:"r"`
}

func newPackedAccounts() *packedAccounts {
	writer, _ := flate.NewWriter(io.Discard, flate.BestSpeed) //nolint:errcheck // the level is valid
	seed := maphash.MakeSeed()
	return &packedAccounts{byID: hashIndex{seed: seed}, byValue: hashIndex{seed: seed}, writer: writer}
}

// add adds an account, which can be found by the attributes of the matching rows.
func (a *packedAccounts) add(o TargetObject, matching []row) error {
	number := int32(a.count) //nolint:gosec // far fewer accounts fit into memory
	a.count++
	a.byID.add(o.ID, number)
	for i := range matching {
		r := &matching[i]
		for _, value := range r.valuesIn(o.Resource) {
			if value := text(value); value != "" {
				a.byValue.add(valueKey(r.Target, value), number)
			}
		}
	}
	a.unpacked = append(a.unpacked, packedAccount{o.ID, o.Version, o.Resource})
	if len(a.unpacked) < packSize {
		return nil
	}
	var pack bytes.Buffer
	a.writer.Reset(&pack)
	if err := json.NewEncoder(a.writer).Encode(a.unpacked); err != nil {
		return fmt.Errorf("keep an account: %w", err)
	}
	if err := a.writer.Close(); err != nil {
		return fmt.Errorf("keep an account: %w", err)
	}
	a.packs, a.unpacked = append(a.packs, slices.Clone(pack.Bytes())), a.unpacked[:0]
	return nil
}

// seal ends the adding of accounts. ok is false if an account was added twice.
func (a *packedAccounts) seal() (ok bool) {
	a.byID.seal()
	a.byValue.seal()
	for i := range len(a.byID.entries) - 1 {
		if a.byID.entries[i].hash == a.byID.entries[i+1].hash {
			return false
		}
	}
	return true
}

// get returns the account with this number.
func (a *packedAccounts) get(number int32) (TargetObject, error) {
	pack, at := int(number)/packSize, int(number)%packSize
	if pack == len(a.packs) {
		one := a.unpacked[at]
		return TargetObject{ID: one.ID, Version: one.Version, Resource: one.Resource.Clone()}, nil
	}
	var all []struct {
		ID       string          `json:"i"`
		Version  string          `json:"v"`
		Resource json.RawMessage `json:"r"`
	}
	reader, _ := a.readers.Get().(io.ReadCloser)
	if reader == nil {
		reader = flate.NewReader(nil)
	}
	defer a.readers.Put(reader)
	if err := reader.(flate.Resetter).Reset(bytes.NewReader(a.packs[pack]), nil); err != nil {
		return TargetObject{}, fmt.Errorf("read an account that was kept: %w", err)
	}
	if err := json.NewDecoder(reader).Decode(&all); err != nil {
		return TargetObject{}, fmt.Errorf("read an account that was kept: %w", err)
	}
	resource, err := scim.Parse(all[at].Resource)
	return TargetObject{ID: all[at].ID, Version: all[at].Version, Resource: resource}, err
}
