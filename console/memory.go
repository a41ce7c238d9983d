package console

import (
	"sync"
	"time"
)

// memory keeps values for a while in the memory of this process: what somebody typed and did not save yet, or an answer that took long to
// make. Nothing of it is written to disk. What is gone, or was put in the memory of another process, can be typed or made again. The zero
// value is empty.
type memory struct {
	most  int // 0: memorySize
	mu    sync.Mutex
	items map[string]remembered
}

type remembered struct {
	value any
	until time.Time
}

// memorySize is how many values a memory holds at most; the value that ends first makes room.
const memorySize = 500

func (s *memory) put(key string, value any, now time.Time, keep time.Duration) {
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
	most := s.most
	if most == 0 {
		most = memorySize
	}
	if _, known := s.items[key]; !known && len(s.items) >= most {
		first := ""
		for k, item := range s.items {
			if first == "" || item.until.Before(s.items[first].until) {
				first = k
			}
		}
		delete(s.items, first)
	}
	s.items[key] = remembered{value: value, until: now.Add(keep)}
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
