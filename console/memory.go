package console

import (
	"sync"
	"time"
)

// Memory keeps values for a limited time in the memory of this process: unsaved input, or results
// that took long to compute. It writes nothing to disk. Values may disappear, and other processes
// do not have them, so users must be able to enter or compute them again. The zero value is empty.
type Memory struct {
	MaxItems      int // the largest number of values; 0 means memorySize
	MaxBytes      int // limit for all values of known size; 0 means no limit
	MaxOwnerBytes int // limit for the values of one owner; 0 means no limit
	mu            sync.Mutex
	items         map[string]Remembered
}

// Remembered is a value that a Memory keeps.
type Remembered struct {
	Value any
	Until time.Time // when the value is dropped
	Owner string    // the owner whose limit includes the value
	Size  int       // in bytes; 0 if unknown
}

// memorySize is the default for MaxItems. When a memory is full, it drops the value that expires
// first.
const memorySize = 500

// Put keeps a value of unknown size for the duration keep.
func (s *Memory) Put(key string, value any, now time.Time, keep time.Duration) {
	s.PutSized(key, Remembered{Value: value, Until: now.Add(keep)}, now)
}

// PutSized keeps a value of known size for its owner. To make room it drops the values that expire
// first. If the owner's limit is reached, it drops only values of that owner.
func (s *Memory) PutSized(key string, item Remembered, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = make(map[string]Remembered)
	}
	for k, item := range s.items {
		if !item.Until.After(now) {
			delete(s.items, k)
		}
	}
	delete(s.items, key)
	most := s.MaxItems
	if most == 0 {
		most = memorySize
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

// usedBytes returns the size of an owner's values, or of all values if owner is "".
func (s *Memory) usedBytes(owner string) (n int) {
	for _, item := range s.items {
		if owner == "" || item.Owner == owner {
			n += item.Size
		}
	}
	return n
}

// dropFirst drops the value that expires first. It looks only at the values of owner, or at all
// values if owner is "". It reports whether there was a value to drop.
func (s *Memory) dropFirst(owner string) bool {
	first := ""
	for k, item := range s.items {
		if (owner == "" || item.Owner == owner) && (first == "" || item.Until.Before(s.items[first].Until)) {
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
	if !ok || !item.Until.After(now) {
		return nil
	}
	return item.Value
}

func (s *Memory) Drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, key)
}
