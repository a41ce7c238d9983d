package console

import (
	"strings"
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	s := Memory{MaxItems: 2}
	s.Put("a", 1, now, time.Minute)
	s.Put("b", 2, now, time.Hour)
	if got := s.Get("a", now.Add(59*time.Second)); got != 1 {
		t.Errorf("got %v, want 1", got)
	}
	if got := s.Get("a", now.Add(time.Minute)); got != nil {
		t.Errorf("got %v after its time", got)
	}
	s.Put("c", 3, now, time.Hour) // a ends first
	if s.Get("a", now) != nil || s.Get("b", now) != 2 || s.Get("c", now) != 3 {
		t.Error("the wrong value made room")
	}
	s.Drop("b")
	if s.Get("b", now) != nil {
		t.Error("drop kept the value")
	}
}

// TestMemoryIsBoundedInBytes, for all owners and for each.
func TestMemoryIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := Memory{MaxBytes: 100, MaxOwnerBytes: 60}
	now := time.Unix(0, 0)
	put := func(key, owner string, size int) {
		now = now.Add(time.Second)
		s.PutSized(key, Remembered{Value: key, ExpiresAt: now.Add(30 * time.Minute), Owner: owner, Size: size}, now)
	}
	has := func(want string) {
		t.Helper()
		got := ""
		for _, key := range strings.Split("abcdef", "") {
			if s.Get(key, now) != nil {
				got += key
			}
		}
		if got != want || s.usedBytes("") > 100 {
			t.Errorf("got %s with %d bytes, want %s", got, s.usedBytes(""), want)
		}
	}
	put("a", "kim", 30)
	put("b", "kim", 30)
	put("c", "lee", 40)
	has("abc")
	put("d", "kim", 10) // of kim's own
	has("bcd")
	put("e", "max", 50) // what ends first
	has("cde")
	put("c", "lee", 10) // the same key counts once
	has("cde")
	now = now.Add(30 * time.Minute)
	put("f", "max", 60)
	has("f")
}
