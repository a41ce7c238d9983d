package console

import (
	"sync"
	"time"
)

// shelf keeps values for a while in the memory of this process: what somebody typed and did not save yet, or an answer that took long to
// make. Nothing of it is written to disk. What is gone, or was put onto the shelf of another process, can be typed or made again. The zero
// value is empty.
type shelf struct {
	most  int // 0: shelfSize
	mu    sync.Mutex
	items map[string]shelved
}

type shelved struct {
	value any
	until time.Time
}

// shelfSize is how many values a shelf holds at most; the value that ends first makes room.
const shelfSize = 500

func (s *shelf) put(key string, value any, now time.Time, keep time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = make(map[string]shelved)
	}
	for k, item := range s.items {
		if !item.until.After(now) {
			delete(s.items, k)
		}
	}
	most := s.most
	if most == 0 {
		most = shelfSize
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
	s.items[key] = shelved{value: value, until: now.Add(keep)}
}

// get returns nil when there is no such value, or not any more.
func (s *shelf) get(key string, now time.Time) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, ok := s.items[key]
	if !ok || !item.until.After(now) {
		return nil
	}
	return item.value
}

func (s *shelf) drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, key)
}
