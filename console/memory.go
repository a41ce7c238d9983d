package console

import (
	"sync"
	"time"
)

// memory keeps values for a while in the memory of this process: input that is not saved yet, or
// answers that took long to compute. It writes nothing to disk. Lost values, and those in the
// memory of another process, can be typed or computed again. The zero value is empty.
type memory struct {
	most             int // 0: memorySize
	mostBytes        int // of all values whose size is known; 0: not bounded
	maxBytesPerOwner int // bytes of one owner; 0: not bounded
	mu               sync.Mutex
	items            map[string]remembered
}

type remembered struct {
	value any
	until time.Time
	owner string
	size  int
}

// memorySize is how many values a memory holds at most; the value that ends first makes room.
const memorySize = 500

func (s *memory) put(key string, value any, now time.Time, keep time.Duration) {
	s.putSized(key, remembered{value: value, until: now.Add(keep)}, now)
}

// putSized keeps a value of a known size for its owner. What ends first makes room: for the bytes of one owner among the owner's values.
func (s *memory) putSized(key string, item remembered, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = make(map[string]remembered)
	}
	for k, item := range s.items {
		if !item.until.After(now) {
			delete(s.items, k)
		}
	}
	delete(s.items, key)
	most := s.most
	if most == 0 {
		most = memorySize
	}
	for len(s.items) >= most || s.mostBytes > 0 && s.bytes("")+item.size > s.mostBytes {
		if !s.dropFirst("") {
			break
		}
	}
	for s.maxBytesPerOwner > 0 && s.bytes(item.owner)+item.size > s.maxBytesPerOwner {
		if !s.dropFirst(item.owner) {
			break
		}
	}
	s.items[key] = item
}

// bytes is the size of an owner's values; of all with "".
func (s *memory) bytes(owner string) (n int) {
	for _, item := range s.items {
		if owner == "" || item.owner == owner {
			n += item.size
		}
	}
	return n
}

// dropFirst forgets the value of an owner, or of all with "", that ends first.
func (s *memory) dropFirst(owner string) bool {
	first := ""
	for k, item := range s.items {
		if (owner == "" || item.owner == owner) && (first == "" || item.until.Before(s.items[first].until)) {
			first = k
		}
	}
	delete(s.items, first)
	return first != ""
}

// get returns nil when there is no such value, or not any more.
func (s *memory) get(key string, now time.Time) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, ok := s.items[key]
	if !ok || !item.until.After(now) {
		return nil
	}
	return item.value
}

func (s *memory) drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, key)
}
