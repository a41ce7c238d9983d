package console

import (
	"sync"
	"time"
)

// Memory keeps values for a while in the memory of this process: what somebody typed and did not save yet, or an answer that took long to
// make. Nothing of it is written to disk. What is gone, or was put in the memory of another process, can be typed or made again. The zero
// value is empty.
type Memory struct {
	MaxItems      int // 0: memorySize
	MaxBytes      int // of all values whose size is known; 0: not bounded
	MaxOwnerBytes int // bytes of one owner; 0: not bounded
	mu            sync.Mutex
	items         map[string]Remembered
}

type Remembered struct {
	Value any
	Until time.Time
	Owner string
	Size  int
}

// memorySize is how many values a memory holds at most; the value that ends first makes room.
const memorySize = 500

func (s *Memory) Put(key string, value any, now time.Time, keep time.Duration) {
	s.PutSized(key, Remembered{Value: value, Until: now.Add(keep)}, now)
}

// PutSized keeps a value of a known size for its owner. What ends first makes room: for the bytes of one owner among the owner's values.
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
	for len(s.items) >= most || s.MaxBytes > 0 && s.bytes("")+item.Size > s.MaxBytes {
		if !s.dropFirst("") {
			break
		}
	}
	for s.MaxOwnerBytes > 0 && s.bytes(item.Owner)+item.Size > s.MaxOwnerBytes {
		if !s.dropFirst(item.Owner) {
			break
		}
	}
	s.items[key] = item
}

// bytes is the size of an owner's values; of all with "".
func (s *Memory) bytes(owner string) (n int) {
	for _, item := range s.items {
		if owner == "" || item.Owner == owner {
			n += item.Size
		}
	}
	return n
}

// dropFirst forgets the value of an owner, or of all with "", that ends first.
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

// Get returns nil when there is no such value, or not any more.
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
