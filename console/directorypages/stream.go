package directorypages

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/live"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

const (
	// maxStreams is how many event streams one operator may have open at this server.
	maxStreams = 20
	// defaultBeat is how often an event stream sends a heartbeat, which shows that it still works. A
	// page gives a stream up that has sent nothing for 25 seconds (console.js).
	defaultBeat = 10 * time.Second
	// accessEvery is the shortest time between two checks whether the operator may still read a
	// stream.
	accessEvery = 2 * time.Second
	// maxLook is how long reading the newest state of a job or a plan may take.
	maxLook = 30 * time.Second
)

// The names of the events in a stream.
const (
	partsEvent = "parts" // the parts of the page that may have changed, as HTML
	beatEvent  = "beat"  // a heartbeat, which shows that the stream still works
)

// livePart holds the parts of a page that change while the page is open, in their newest state.
type livePart struct {
	HTML   []byte
	IsLast bool // whether there is nothing more to follow, so that the stream ends
}

// streamCount counts the open event streams of each operator.
type streamCount struct {
	mu   sync.Mutex
	open map[string]int // by the operator's id
}

// begin counts a stream of an operator. It returns false if the operator has too many.
func (c *streamCount) begin(operatorID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[operatorID] >= maxStreams {
		return false
	}
	if c.open == nil {
		c.open = map[string]int{}
	}
	c.open[operatorID]++
	return true
}

// end subtracts a stream of an operator that has ended from the count.
func (c *streamCount) end(operatorID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[operatorID]--; c.open[operatorID] == 0 {
		delete(c.open, operatorID)
	}
}

// board returns the board of these pages. A board lets all viewers of the same page share one read
// of its newest state.
func (p *Pages) board() *live.Board {
	if p.Live != nil {
		return p.Live
	}
	return &p.ownLive
}

// stream sends the newest parts of a page each time they have changed, as server-sent events. look
// reads and renders them. All viewers of the same address in this process share one call of look.
// The stream ends when the client leaves, the server stops, the operator loses access, or the job or
// its application is deleted. It also ends if look fails. The browser then opens it again, or polls.
func (p *Pages) stream(w http.ResponseWriter, r *http.Request, v *appVisit, address string, look func(ctx context.Context) (livePart, error)) error {
	if !p.streams.begin(v.Operator.ID) {
		return &console.PageError{
			Status: http.StatusTooManyRequests, Title: "Too many pages follow running work",
			Text: "Close some of them. This page shows the newest state after a reload.",
		}
	}
	defer p.streams.end(v.Operator.ID)
	out, err := web.OpenEventStream(w, r)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(out.Context())
	defer end()
	if p.Lifetime != nil {
		defer context.AfterFunc(p.Lifetime, end)()
	}
	if r.Method == http.MethodHead {
		return nil
	}
	follower := live.Follow(p.board(), v.jobKey().String(), v.jobKey().String()+" "+address, func(ctx context.Context) (livePart, error) {
		ctx, cancel := context.WithTimeout(ctx, maxLook)
		defer cancel()
		if err := p.checkApplication(ctx, v); err != nil {
			return livePart{}, err
		}
		return look(ctx)
	})
	defer follower.Close()
	s := pageStream{pages: p, out: out, visit: v, session: p.Console.SessionSecret(r, SessionCookie), follower: follower}
	if err := s.run(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errStreamOver) {
		p.Console.Options.Log.Warn("an event stream ended", "request", web.RequestID(r), "route", r.Pattern, "error", err)
	}
	return nil // the headers are sent, so no page can explain an error
}

// pageStream is one open event stream. It sends the newest parts of a page to one browser.
type pageStream struct {
	pages    *Pages
	out      *web.EventStream
	visit    *appVisit
	session  string // the secret of the operator's session
	follower *live.Follower[livePart]
}

// errStreamOver means that the operator may no longer read the stream, or that there is nothing
// more to read.
var errStreamOver = errors.New("the stream is over")

// run sends events until the stream ends.
func (s *pageStream) run(ctx context.Context) error {
	beat := s.pages.BeatEvery
	if beat == 0 {
		beat = defaultBeat
	}
	var (
		shown   []byte    // the parts that the page shows
		sent    time.Time // when something was sent last
		checked time.Time // when the session was checked last
	)
	for {
		part, err := s.follower.Next(ctx, beat)
		isNew := err == nil && !bytes.Equal(part.HTML, shown)
		if err != nil && !errors.Is(err, live.ErrNothingNew) {
			return overIfGone(err)
		}
		if time.Since(checked) >= min(beat, accessEvery) {
			// This does not count as a use of the session: an open page does not keep its operator signed in.
			if _, err := s.pages.Operators.HasFreshSession(ctx, s.session); err != nil {
				return overIfGone(err)
			}
			checked = time.Now()
		}
		switch {
		case isNew:
			err = s.out.Send(partsEvent, part.HTML)
			shown, sent = part.HTML, time.Now()
		case time.Since(sent) >= beat:
			err = s.out.Send(beatEvent, []byte("1"))
			sent = time.Now()
		default:
			err = nil
		}
		if err != nil || part.IsLast {
			return errStreamOver // after an error, the client has left or does not read
		}
	}
}

// checkApplication returns an error if the application or its directory is gone.
func (p *Pages) checkApplication(ctx context.Context, v *appVisit) error {
	h, err := p.Directories.OpenByID(ctx, v.Directory.ID)
	if err != nil {
		return err
	}
	_, err = h.Application(ctx, v.App.ID)
	return err
}

// overIfGone returns errStreamOver for an error that says that something is gone, or that the
// operator may not read it.
func overIfGone(err error) error {
	for _, kind := range []error{refusal.NotFound, refusal.Unauthorized, provision.ErrNoJob, provision.ErrNoPlan} {
		if errors.Is(err, kind) {
			return errStreamOver
		}
	}
	return err
}
