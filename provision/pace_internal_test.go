package provision

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// limiter limits the requests of a target. take reports whether the target accepts a request now.
type limiter interface{ take(now time.Time) bool }

// bucket accepts perSecond requests per second on average, and up to size requests at once.
type bucket struct {
	perSecond, size, left float64
	at                    time.Time
}

func (b *bucket) take(now time.Time) bool {
	if b.at.IsZero() {
		b.left = b.size
	} else {
		b.left = min(b.size, b.left+now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// fixedWindow accepts n requests in each second of the clock.
type fixedWindow struct {
	n, taken int
	second   int64
}

func (f *fixedWindow) take(now time.Time) bool {
	if s := now.Unix(); s != f.second {
		f.second, f.taken = s, 0
	}
	f.taken++
	return f.taken <= f.n
}

// slidingWindow accepts n requests within any period of one second.
type slidingWindow struct {
	n     int
	times []time.Time
}

func (s *slidingWindow) take(now time.Time) bool {
	s.times = slices.DeleteFunc(s.times, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(s.times) >= s.n {
		return false
	}
	s.times = append(s.times, now)
	return true
}

// bounded is a target that answers after some time. It asks for a pause of one second when it gets
// more requests than its limiter accepts.
type bounded struct {
	Target
	limits map[Request]limiter
	mu     sync.Mutex
	served map[Request]int
	not    int
}

func (b *bounded) ask(kind Request) error {
	b.mu.Lock()
	ok := b.limits[kind] == nil || b.limits[kind].take(time.Now())
	if ok {
		b.served[kind]++
	} else {
		b.not++
	}
	b.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	if !ok {
		return &TargetError{Kind: Throttled, Status: 429, RetryAfter: time.Second}
	}
	return nil
}

func (b *bounded) Find(context.Context, string, any) ([]TargetObject, error) {
	return nil, b.ask(SearchRequest)
}

func (b *bounded) Create(context.Context, []Change) (TargetObject, error) {
	return TargetObject{}, b.ask(CreateRequest)
}

func (b *bounded) Patch(context.Context, string, []Change) (TargetObject, error) {
	return TargetObject{}, b.ask(UpdateRequest)
}

// people searches for n people and creates their accounts, for 64 people at the same time.
func (b *bounded) people(t *testing.T, p *pacer, n int) {
	t.Helper()
	target := pacedTarget{Target: b, pacer: p}
	next := make(chan struct{}, n)
	for range n {
		next <- struct{}{}
	}
	close(next)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range next {
				if _, err := target.Find(t.Context(), "userName", "x"); err != nil {
					t.Errorf("search: %v", err)
				}
				if _, err := target.Create(t.Context(), nil); err != nil {
					t.Errorf("create: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestATargetsRateIsUsed sends requests for 900 people, in virtual time, to targets that accept 20
// requests per second. The people need 1,800 requests, which take at least 90 seconds.
func TestATargetsRateIsUsed(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func() limiter{
		"a second's worth at once": func() limiter { return &bucket{perSecond: 20, size: 20} },
		"five at once":             func() limiter { return &bucket{perSecond: 20, size: 5} },
		"two at once":              func() limiter { return &bucket{perSecond: 20, size: 2} },
		"each second of the clock": func() limiter { return &fixedWindow{n: 20} },
		"any second":               func() limiter { return &slidingWindow{n: 20} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const people = 900
				one := limit()
				b := &bounded{limits: map[Request]limiter{SearchRequest: one, CreateRequest: one}, served: map[Request]int{}}
				began := time.Now()
				b.people(t, newPacer(Pace{}, time.Now, time.After, began.Add(time.Hour), 64), people)
				took := time.Since(began)
				if b.served[SearchRequest] != people || b.served[CreateRequest] != people {
					t.Errorf("served %v: an answer was thrown away", b.served)
				}
				t.Logf("took %s, %d refused", took, b.not)
				if used := 2 * people / 20 / took.Seconds(); used < 0.9 {
					t.Errorf("took %s: %.0f %% of the rate, %d refused", took, 100*used, b.not)
				}
			})
		})
	}
}

// TestALateFirstRefusalLeavesARate has a target that accepts all requests for some seconds before
// its first refusal. It refuses again after few requests.
func TestALateFirstRefusalLeavesARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{}, time.Now, time.After, time.Now().Add(time.Hour), 64)
		ask := func(err error) {
			t.Helper()
			if e := p.waitForTurn(t.Context(), SearchRequest, Updates); e != nil {
				t.Fatal(e)
			}
			began := time.Now()
			time.Sleep(10 * time.Millisecond)
			p.endRequest(SearchRequest, began, err)
		}
		refusal := &TargetError{Kind: Throttled, Status: 429, RetryAfter: time.Second}
		for range 1000 {
			ask(nil)
		}
		ask(refusal)
		first := p.learned().Rate
		if first < 50 || first > 100 {
			t.Errorf("after 100 requests in a second: a rate of %.1f", first)
		}
		time.Sleep(8 * time.Second)
		ask(nil)
		ask(refusal)
		if rate := p.learned().Rate; rate < first/2 {
			t.Errorf("a refusal after little was asked took the rate from %.1f to %.1f", first, rate)
		}
	})
}

// TestALongPauseOfOneKindSlowsNoOther has a target that takes requests for two seconds, and then
// asks for a pause of an hour before the next create. Updates go on as fast as before.
func TestALongPauseOfOneKindSlowsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(Pace{}, time.Now, time.After, time.Now().Add(2*time.Hour), 64)
		ask := func(kind Request, err error) {
			t.Helper()
			if e := p.waitForTurn(t.Context(), kind, Updates); e != nil {
				t.Fatal(e)
			}
			began := time.Now()
			time.Sleep(5 * time.Millisecond)
			p.endRequest(kind, began, err)
		}
		for range 400 {
			ask(UpdateRequest, nil)
		}
		ask(CreateRequest, &TargetError{Kind: Throttled, Status: 429, RetryAfter: time.Hour})
		began := time.Now()
		for range 2000 {
			ask(UpdateRequest, nil)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("2,000 updates of 5 ms took %s", took)
		}
	})
}
