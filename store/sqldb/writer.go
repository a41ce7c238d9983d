package sqldb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

const (
	// maxGroup is how many updates share one commit at most.
	maxGroup = 256
	// groupTime is how long updates go on joining a commit: the first of them waits for the last.
	// It is several times what a commit takes.
	groupTime = 20 * time.Millisecond
	// gatherTime is how long the writer lets others run first, so that they can join. On a busy
	// machine it would otherwise wait for a processor again after every update that joined.
	gatherTime = 2 * time.Millisecond
	// lockWarning is how long other processes may keep the writer waiting unnoticed.
	lockWarning = 10 * time.Second
)

// errClosed is returned by update and view after Close.
var errClosed = errors.New("database is closed")

// writer is the one goroutine that writes to a SQLite database. Updates that wait while it commits
// share the next commit, and with it the one wait for the disk, each in its own savepoint, so that
// a failing one takes nothing with it.
type writer struct {
	db     *DB
	conn   *sqliteConn
	file   identity
	stamp  *stamper
	log    *slog.Logger
	group  int // updates in one commit at most
	queue  *writeQueue
	closed chan struct{} // closed by close: no more updates are taken
	ended  chan struct{} // closed when the goroutine has ended
	filled func(updates int)
	reset  atomic.Bool // the write-ahead log is long and copied: start it anew before the next commit
	joined []*write    // the updates of the transaction that is running
	now    func() time.Time
}

// write is one update on its way through the writer.
type write struct {
	key   string
	ctx   context.Context
	fn    func(*Tx) error
	state atomic.Int32
	err   error
	done  chan struct{}
}

// writeQueue holds the updates that wait. The keys take turns; within a key the first comes first.
type writeQueue struct {
	filled chan struct{} // has one element while somebody waits

	mu      sync.Mutex
	waiting map[string][]*write
	turn    []string // keys with somebody waiting, the next to be served first
}

func newWriteQueue() *writeQueue {
	return &writeQueue{filled: make(chan struct{}, 1), waiting: map[string][]*write{}}
}

func (q *writeQueue) put(u *write) {
	q.mu.Lock()
	if len(q.waiting[u.key]) == 0 {
		if u.key == fair.System {
			q.turn = slices.Insert(q.turn, 0, u.key)
		} else {
			q.turn = append(q.turn, u.key)
		}
	}
	q.waiting[u.key] = append(q.waiting[u.key], u)
	q.mu.Unlock()
	q.tell()
}

// take returns the next update, nil when there is none.
func (q *writeQueue) take() *write {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turn) == 0 {
		return nil
	}
	key := q.turn[0]
	line := q.waiting[key]
	u := line[0]
	switch {
	case len(line) == 1:
		q.turn = q.turn[1:]
		delete(q.waiting, key)
	case key == fair.System:
		q.waiting[key] = line[1:]
	default:
		q.turn = append(q.turn[1:], key)
		q.waiting[key] = line[1:]
	}
	if len(q.turn) > 0 {
		q.tell()
	}
	return u
}

func (q *writeQueue) tell() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

const (
	waiting int32 = iota
	started       // the writer has started it, and the caller waits for the outcome
	left          // the caller left, because its context ended
)

func (w *writer) update(ctx context.Context, key string, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &write{key: key, ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case <-w.closed:
		return errClosed
	default:
		w.queue.put(u)
	}
	select {
	case <-u.done:
		return u.err
	case <-w.ended:
	case <-ctx.Done():
	}
	if u.state.CompareAndSwap(waiting, left) {
		if err := ctx.Err(); err != nil {
			return err
		}
		return errClosed
	}
	<-u.done
	return u.err
}

// run serves updates until close. A function that ends the goroutine (runtime.Goexit, as t.FailNow
// does) costs those who share its transaction, not the writer.
func (w *writer) run() {
	finished := false
	defer func() {
		if finished {
			close(w.ended)
			return
		}
		w.abandon(errors.New("a function given to update ended its goroutine"))
		go w.run()
	}()
	for {
		select {
		case <-w.queue.filled:
			u := w.queue.take()
			if u == nil {
				continue
			}
			w.joined = append(w.joined, u)
		case <-w.closed:
			finished = true
			return
		}
		w.restartLog()
		if err := w.commit(); err != nil {
			w.abandon(err)
		}
	}
}

// commit runs the first update and those that join it within groupTime in one transaction and tells
// each its outcome.
func (w *writer) commit() error {
	if err := w.file.check(); err != nil {
		return err
	}
	if err := w.stamp.check(context.Background()); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	began := w.now()
	for i := 0; i < len(w.joined); i++ {
		if err := w.runOne(w.joined[i]); err != nil {
			return err
		}
		if i+1 == len(w.joined) && w.now().Sub(began) < gatherTime {
			// Callers that are about to write can still share this commit. So let other goroutines
			// run first; the writer does not wait for them.
			runtime.Gosched()
		}
		if w.now().Sub(began) < groupTime {
			w.join()
		}
	}
	if err := w.conn.do("commit"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.filled(len(w.joined))
	w.answer()
	return nil
}

// answer lets the callers go, each with its outcome.
func (w *writer) answer() {
	for i, u := range w.joined {
		close(u.done)
		w.joined[i] = nil
	}
	w.joined = w.joined[:0]
}

// begin takes the write lock, waiting for other processes for as long as a caller waits. Other
// processes get their turn between two commits; asking again within milliseconds finds it.
func (w *writer) begin() error {
	warn := time.Now().Add(lockWarning)
	for {
		err := w.conn.do("begin immediate")
		if !isBusy(err) {
			return err
		}
		if now := time.Now(); now.After(warn) {
			w.log.Warn("another process has kept the database locked for a long time", "at least", lockWarning)
			warn = now.Add(lockWarning)
		}
		if w.join(); !slices.ContainsFunc(w.joined, (*write).waits) {
			return err
		}
	}
}

func (u *write) waits() bool { return u.state.Load() == waiting }

// runOne runs one update in its savepoint. The error it returns has ended the whole transaction;
// the update's own is in u.err.
func (w *writer) runOne(u *write) error {
	if !u.state.CompareAndSwap(waiting, started) {
		return nil
	}
	if err := u.ctx.Err(); err != nil {
		u.err = err
		return nil
	}
	if err := w.conn.do("savepoint one"); err != nil {
		return err
	}
	tx := &Tx{db: w.db, runs: w.conn}
	if u.err = tx.run(u.fn); u.err != nil {
		// A full disk or a failing one may have rolled back the whole transaction.
		if err := w.conn.do("rollback to one"); err != nil {
			return fmt.Errorf("%w (after %w)", err, u.err)
		}
	}
	return w.conn.do("release one")
}

// join takes in an update that is waiting, if there is one and room for it.
func (w *writer) join() {
	if len(w.joined) >= w.group {
		return
	}
	if u := w.queue.take(); u != nil {
		w.joined = append(w.joined, u)
	}
}

// abandon rolls the transaction back and gives every caller the error.
func (w *writer) abandon(err error) {
	// Fails when there is no transaction, because it never began or SQLite has rolled it back.
	if e := w.conn.do("rollback"); e != nil {
		w.log.Debug("roll back", "error", e)
	}
	for _, u := range w.joined {
		u.state.CompareAndSwap(waiting, started)
		u.err = fmt.Errorf("write transaction: %w", err)
	}
	w.answer()
}

// restartLog lets the write-ahead log begin anew when it has grown long under writers that never
// pause. It gives up at once when a reader still needs it.
func (w *writer) restartLog() {
	if !w.reset.CompareAndSwap(true, false) {
		return
	}
	if _, _, err := w.conn.checkpoint("restart"); err != nil {
		w.log.Warn("restart the write-ahead log", "error", err)
	}
}

// close takes no more updates and waits for those that have begun.
func (w *writer) close() {
	close(w.closed)
	<-w.ended
}

// checkpointer copies the write-ahead log into the database beside the writer, so that no commit
// has to.
type checkpointer struct {
	open    func() (*sqliteConn, error)
	writer  *writer
	stamp   *stamper
	log     *slog.Logger
	updates atomic.Int64 // since the last checkpoint
	due     chan struct{}
	stop    chan struct{}
	ended   chan struct{}
	held    int  // pages of a log that is worth a warning
	long    int  // pages of a log that must begin anew
	warned  bool // whether a warning was logged that the log cannot start anew
}

const (
	heldLog            = 4 * longLog     // pages of a log that is worth a warning
	checkpointUpdates  = 2000            // updates after which the log is copied, with each page once
	checkpointInterval = time.Second     // or this long after a write
	longLog            = 32 << 20 / 4096 // pages of a log that must begin anew
)

// filled is told of each commit.
func (c *checkpointer) filled(updates int) {
	if c.updates.Add(int64(updates)) < checkpointUpdates {
		return
	}
	select {
	case c.due <- struct{}{}:
	default:
	}
}

func (c *checkpointer) run() {
	defer close(c.ended)
	tick := time.NewTicker(checkpointInterval)
	defer tick.Stop()
	var conn *sqliteConn
	defer func() {
		if conn != nil {
			conn.close()
		}
	}()
	for {
		select {
		case <-c.stop:
			return
		case <-c.due:
		case <-tick.C:
		}
		if c.updates.Swap(0) == 0 {
			continue
		}
		if conn == nil {
			var err error
			if conn, err = c.open(); err != nil {
				c.log.Warn("open the checkpoint connection", "error", err)
				continue
			}
		}
		if err := c.look(context.Background(), conn); err != nil {
			c.log.Warn("checkpoint", "error", err)
		}
	}
}

// look copies the log, and sees to one that has grown long.
func (c *checkpointer) look(ctx context.Context, conn *sqliteConn) error {
	pages, copied, err := c.copy(ctx, conn)
	if err != nil {
		return err
	}
	if pages > c.long {
		c.writer.reset.Store(true)
	}
	c.log.Debug("checkpoint", "pages", pages, "copied", copied)
	c.warn(pages, copied)
	return nil
}

// copy copies the log into the file, with a new stamp when it is time for one.
func (c *checkpointer) copy(ctx context.Context, conn *sqliteConn) (pages, copied int, err error) {
	if err := c.stamp.check(ctx); err != nil {
		return 0, 0, err
	}
	on, stamping := c.stamp.due()
	if on && !stamping {
		c.updates.Add(1) // the next look has a stamp for what is copied now
	}
	if stamping {
		if err := c.stamp.begins(ctx, c.writeStamp); err != nil {
			c.log.Debug("stamp the database", "error", err)
			stamping = false
		}
	}
	if pages, copied, err = conn.checkpoint("passive"); err != nil || !stamping {
		return pages, copied, err
	}
	if err := c.stamp.ends(ctx); err != nil {
		c.log.Debug("note the stamp of the database", "error", err)
	}
	return pages, copied, nil
}

// writeStamp puts a stamp into the database. It is no update that makes another checkpoint due.
func (c *checkpointer) writeStamp(stamp int32) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWarning)
	defer cancel()
	err := c.writer.update(ctx, fair.System, func(tx *Tx) error {
		_, err := tx.Exec(ctx, setStamp(stamp))
		return err
	})
	if err == nil {
		c.updates.Add(-1)
	}
	return err
}

// warn logs once that the log has grown because a program still needs what it holds, and once that
// it has begun anew.
func (c *checkpointer) warn(pages, copied int) {
	switch {
	case !c.warned && pages > c.held && copied < pages:
		c.warned = true
		c.log.Warn("the write-ahead log grows, because some program holds a snapshot of the database: a transaction in a shell, or a backup", "bytes", pages*4096)
	case c.warned && pages < c.long:
		c.warned = false
		c.log.Info("the write-ahead log has begun anew")
	}
}

func (c *checkpointer) close() {
	close(c.stop)
	<-c.ended
}
