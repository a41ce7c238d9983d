package console

import (
	"sync"
	"time"
)

// Memory keeps values for a limited time in the memory of this process: unsaved input, or results
// that took long to compute. It writes nothing to disk. Values may disappear, and other processes
// do not have them, so users must be able to enter or compute them again. The zero Memory is ready
// for use.
type Memory struct {
	MaxItems      int // the largest number of values; 0 means defaultMaxItems
	MaxBytes      int // limit for the total size of all values, in bytes; 0 means no limit
	MaxOwnerBytes int // limit for the total size of one owner's values, in bytes; 0 means no limit
	mu            sync.Mutex
	items         map[string]Remembered
}

// Remembered is a value that a Memory keeps.
type Remembered struct {
	Value     any
	ExpiresAt time.Time // the time at which the Memory drops the value
	Owner     string    // the owner whose limit the value counts against
	Size      int       // the size in bytes; 0 if it is unknown
}

// defaultMaxItems is the default for Memory.MaxItems. A full Memory drops the value that expires
// first.
const defaultMaxItems = 500

// Put keeps a value of unknown size under key, for the duration keep.
func (s *Memory) Put(key string, value any, now time.Time, keep time.Duration) {
	s.PutSized(key, Remembered{Value: value, ExpiresAt: now.Add(keep)}, now)
}

// PutSized keeps an item under key. To make room, it drops the values that expire first. If the
// owner's limit is reached, it drops only values of that owner.
func (s *Memory) PutSized(key string, item Remembered, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = make(map[string]Remembered)
	}
	for k, item := range s.items {
		if !item.ExpiresAt.After(now) {
			delete(s.items, k)
		}
	}
	delete(s.items, key)
	most := s.MaxItems
	if most == 0 {
		most = defaultMaxItems
	}
	for len(s.items) >= most || s.MaxBytes > 0 && s.usedBytes("")+item.Size > s.MaxBytes {
		if !s.dropFirst("") {
			break
		}
	}
	for s.MaxOwnerBytes > 0 && s.usedBytes(item.Owner)+item.Size > s.MaxOwnerBytes {
		if !s.dropFirst(item.Owner) {
			break
		}
	}
	s.items[key] = item
}

// usedBytes returns the total size of an owner's values. If owner is "", it returns the total size
// of all values.
func (s *Memory) usedBytes(owner string) (n int) {
	for _, item := range s.items {
		if owner == "" || item.Owner == owner {
			n += item.Size
		}
	}
	return n
}

// dropFirst drops the owner's value that expires first. If owner is "", it looks at the values of
// all owners. It reports whether there was a value to drop.
func (s *Memory) dropFirst(owner string) bool {
	first := ""
	for k, item := range s.items {
		if (owner == "" || item.Owner == owner) && (first == "" || item.ExpiresAt.Before(s.items[first].ExpiresAt)) {
			first = k
		}
	}
	delete(s.items, first)
	return first != ""
}

// Get returns the value for key. It returns nil if there is none, or if it has expired.
func (s *Memory) Get(key string, now time.Time) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, ok := s.items[key]
	if !ok || !item.ExpiresAt.After(now) {
		return nil
	}
	return item.Value
}

func (s *Memory) Drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, key)
}
