package provision

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
// listedTarget first passes questions on to the target. It reads the list once it has passed on as
// many questions as the list needs requests. It uses the list only if it has as many accounts as
// the target says, and shows the attributes that a single account shows. The first times that the
// list does not have an account, a search must confirm that the account does not exist.
type listedTarget struct {
	Target
	matching []row          // the attributes by which Find uses the list
	progress func(read int) // gets the number of accounts that were read

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
	for _, at := range accounts.byValue[valueKey(path, text(oneValue(value)))] {
		o, err := accounts.get(at)
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
		if at, has := accounts.byID[id]; has {
			return accounts.get(at)
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
		if t.listRequests = int(first.Total) / listPage; t.questions < t.listRequests {
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
		t.progress(len(accounts.byID))
		return nil
	})
	if err != nil || int64(len(accounts.byID)) != total {
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
	n := len(accounts.byID)
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
	packs    [][]byte // each holds packSize accounts, as a compressed JSON array
	unpacked []packedAccount
	byID     map[string]int32
	byValue  map[string][]int32 // the numbers of the accounts, by attribute and folded value
	writer   *flate.Writer
}

// packedAccount is the JSON form of an account.
type packedAccount struct {
	ID       string        `json:"i"`
	Version  string        `json:"v,omitempty"`
	Resource scim.Resource `json:"r"`
}

func newPackedAccounts() *packedAccounts {
	writer, _ := flate.NewWriter(io.Discard, flate.BestSpeed) //nolint:errcheck // the level is valid
	return &packedAccounts{byID: map[string]int32{}, byValue: map[string][]int32{}, writer: writer}
}

// add adds an account, which can be found by the attributes of the matching rows.
func (a *packedAccounts) add(o TargetObject, matching []row) error {
	number := int32(len(a.byID)) //nolint:gosec // far fewer accounts fit into memory
	a.byID[o.ID] = number
	for i := range matching {
		r := &matching[i]
		for _, value := range r.valuesIn(o.Resource) {
			if value := text(value); value != "" {
				key := valueKey(r.Target, value)
				if all := a.byValue[key]; !slices.Contains(all, number) {
					a.byValue[key] = append(all, number)
				}
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
	if err := json.NewDecoder(flate.NewReader(bytes.NewReader(a.packs[pack]))).Decode(&all); err != nil {
		return TargetObject{}, fmt.Errorf("read an account that was kept: %w", err)
	}
	resource, err := scim.Parse(all[at].Resource)
	return TargetObject{ID: all[at].ID, Version: all[at].Version, Resource: resource}, err
}
