package provision

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
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
			if e := p.waitForTurn(t.Context(), SearchRequest, Updates, nil); e != nil {
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
			if e := p.waitForTurn(t.Context(), kind, Updates, nil); e != nil {
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

// preparedRequests sends requests to which something is done before they are sent. It counts how many
// are being prepared and how many are running.
type preparedRequests struct {
	p         *pacer
	preparing atomic.Int64
	running   atomic.Int64
	most      atomic.Int64 // how many ran at the same time, at most
}

// send sends a request that is prepared until the channel is closed, and then runs for a second.
func (r *preparedRequests) send(ctx context.Context, prepared <-chan struct{}) error {
	err := r.p.waitForTurn(ctx, CreateRequest, Joiners, func(context.Context) error {
		r.preparing.Add(1)
		<-prepared
		r.preparing.Add(-1)
		return nil
	})
	if err != nil {
		return err
	}
	began := time.Now()
	r.most.Store(max(r.most.Load(), r.running.Add(1)))
	time.Sleep(time.Second)
	r.running.Add(-1)
	r.p.endRequest(CreateRequest, began, nil)
	return nil
}

// TestRequestsArePreparedWhileOthersRun sends 24 creates, each of which is prepared before it is
// sent. While eight of them run, the next eight are prepared, and no more than eight run.
func TestRequestsArePreparedWhileOthersRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &preparedRequests{p: newPacer(Pace{}, time.Now, time.After, time.Now().Add(time.Hour), firstWidth)}
		first, rest := make(chan struct{}), make(chan struct{})
		close(first)
		for i := range 3 * firstWidth {
			prepared := rest
			if i < firstWidth {
				prepared = first
			}
			go func() {
				if err := r.send(t.Context(), prepared); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait() // they begin in this order
		}
		if preparing, running := r.preparing.Load(), r.running.Load(); preparing != firstWidth || running != firstWidth {
			t.Errorf("%d requests are being prepared and %d run, want %d and %d", preparing, running, firstWidth, firstWidth)
		}
		close(rest)
		time.Sleep(10 * time.Second)
		if most := r.most.Load(); most != firstWidth || r.running.Load() != 0 {
			t.Errorf("%d ran at the same time, want %d; %d are running still, want none", most, firstWidth, r.running.Load())
		}
	})
}

// TestAPreparedRequestOutlivesTheEndOfTheSlice has a request that is prepared when the slice ends,
// while all places are taken. What was stored says that it is about to be sent, so it is sent.
// Another, whose kind pauses, is given up.
func TestAPreparedRequestOutlivesTheEndOfTheSlice(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := &preparedRequests{p: newPacer(Pace{}, time.Now, time.After, time.Now().Add(time.Hour), 1)}
			prepared := make(chan struct{})
			close(prepared)
			results := make(chan error, 2)
			for range 2 {
				go func() { results <- r.send(t.Context(), prepared) }()
				synctest.Wait()
			}
			if paused {
				r.p.mu.Lock()
				r.p.gates[CreateRequest].Until = time.Now().Add(time.Minute)
				r.p.mu.Unlock()
			}
			r.p.close()
			var failed int
			for range 2 {
				if err := <-results; err != nil {
					failed++
				}
			}
			if want := map[bool]int{false: 0, true: 1}[paused]; failed != want {
				t.Errorf("paused %v: %d of 2 requests were given up, want %d", paused, failed, want)
			}
		})
	}
}
