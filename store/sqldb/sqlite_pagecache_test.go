package sqldb_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// cacheModel is what a page cache should hold.
type cacheModel struct {
	most    int
	content map[uint32]uint64  // the content of each page
	inUse   map[uint32]uintptr // the pages that SQLite uses
	unused  []uint32           // the other pages, the oldest first
}

func (m *cacheModel) drop(key uint32) {
	delete(m.content, key)
	delete(m.inUse, key)
	m.unused = slices.DeleteFunc(m.unused, func(k uint32) bool { return k == key })
}

// TestAPageCacheHoldsWhatItShould makes the calls that SQLite makes, at random, and compares the
// cache with a model after each.
func TestAPageCacheHoldsWhatItShould(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := &cacheModel{most: 5 + rng.IntN(200), content: map[uint32]uint64{}, inUse: map[uint32]uintptr{}}
		cache := sqldb.NewPageCache(int32(m.most))
		for step := range 5_000 {
			m.step(t, cache, rng)
			if cache.Count() != len(m.content) {
				t.Fatalf("seed %d, step %d: the cache holds %d pages, want %d", seed, step, cache.Count(), len(m.content))
			}
			for key, page := range m.inUse {
				if content, _ := cache.Content(page); *content != m.content[key] {
					t.Fatalf("seed %d, step %d: page %d holds %d, want %d", seed, step, key, *content, m.content[key])
				}
			}
		}
		cache.Destroy()
	}
}

func (m *cacheModel) step(t *testing.T, cache *sqldb.PageCache, rng *rand.Rand) {
	t.Helper()
	key := uint32(1 + rng.IntN(3*m.most))
	if rng.IntN(50) == 0 {
		key = 1 << 18 // as the page of the lock, which is far behind the others
	}
	page, used := m.inUse[key]
	switch n := rng.IntN(1000); {
	case n == 0:
		first := uint32(rng.IntN(4 * m.most)) // also behind all pages but the farthest
		if rng.IntN(2) == 0 {                 // SQLite drops all pages when it uses none
			first = 1
			for key, page := range m.inUse {
				cache.Unpin(page, true)
				m.drop(key)
			}
		}
		cache.Truncate(first)
		for key := range m.content {
			if key >= first {
				m.drop(key)
			}
		}
	case n < 10:
		cache.Truncate(3*uint32(m.most) + 1)
		m.drop(1 << 18)
	case n == 10:
		cache.Shrink()
		for _, key := range slices.Clone(m.unused) {
			m.drop(key)
		}
	case n < 600 && used:
		discard := n%10 == 0 || len(m.content) > m.most
		cache.Unpin(page, n%10 == 0)
		if discard {
			m.drop(key)
			return
		}
		delete(m.inUse, key)
		m.unused = append(m.unused, key)
	case n < 650 && used:
		other := uint32(1 + rng.IntN(3*m.most))
		if _, taken := m.inUse[other]; taken {
			return
		}
		cache.Rekey(page, key, other)
		content := m.content[key]
		m.drop(key)
		m.drop(other)
		m.content[other], m.inUse[other] = content, page
		_, extra := cache.Content(page)
		*extra = uint64(other)
	default:
		m.fetch(t, cache, key, int32(n%3), rng.Uint64())
	}
}

func (m *cacheModel) fetch(t *testing.T, cache *sqldb.PageCache, key uint32, create int32, content uint64) {
	t.Helper()
	had, there := m.content[key]
	fits := create == 2 || create == 1 && len(m.inUse) < m.most-m.most/10
	page := cache.Fetch(key, create)
	if (page != 0) != (there || fits) {
		t.Fatalf("page %d with create %d: found %t", key, create, page != 0)
	}
	if page == 0 {
		return
	}
	stored, extra := cache.Content(page)
	switch {
	case there && (*stored != had || *extra != uint64(key)):
		t.Fatalf("page %d holds %d and %d, want %d and %d", key, *stored, *extra, had, key)
	case there:
		m.unused = slices.DeleteFunc(m.unused, func(k uint32) bool { return k == key })
		m.inUse[key] = page
		return
	case *extra != 0:
		t.Fatalf("page %d is new, but SQLite would take it for one that it knows", key)
	}
	if len(m.content) >= m.most && len(m.unused) > 0 {
		m.drop(m.unused[0])
	}
	*stored, *extra = content, uint64(key)
	m.content[key], m.inUse[key] = content, page
}
