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
	// maxUpdatesPerCommit is the largest number of updates that can share one commit.
	maxUpdatesPerCommit = 256
	// joinTime is how long after the first update of a commit further updates may join the commit.
	// If no update is waiting, the commit is written earlier. joinTime is several times as long as
	// a commit takes.
	joinTime = 20 * time.Millisecond
	// gatherTime limits how long after the first update of a commit the writer lets other
	// goroutines run before it commits, so that their updates can join. The limit is short, because
	// on a busy machine the writer must wait for a processor each time.
	gatherTime = 2 * time.Millisecond
	// lockWarning is how long other processes may hold the write lock before the writer logs a
	// warning.
	lockWarning = 10 * time.Second
)

// errClosed is returned by update and view after Close.
var errClosed = errors.New("database is closed")

// writer is the one goroutine that writes to a SQLite database. Updates that wait while it commits
// share the next commit, so that they wait for the disk only once. Each update after the first has
// its own savepoint, so that a failing update does not undo the others.
type writer struct {
	db            *DB
	open          func(context.Context) (*sqliteConn, error) // opens the writer's connection
	conn          *sqliteConn                                // nil after SQLite has panicked, until the next commit
	cache         *valueCache
	file          fileIdentity
	stamp         *stamper
	log           *slog.Logger
	maxJoined     int // the largest number of updates in one commit
	queue         *writeQueue
	closed        chan struct{}     // closed by the method close; after that, the writer refuses updates
	goroutineDone chan struct{}     // closed when the writer's goroutine has ended
	onCommit      func(updates int) // called after each commit with its number of updates
	restartDue    atomic.Bool       // whether the next commit first restarts the write-ahead log
	joined        []*queuedUpdate   // the updates that share the running transaction
	now           func() time.Time

	// header and usesCache are the results of valueCache.beginCommit for the transaction that is
	// running.
	header    logHeader
	usesCache bool
}

// queuedUpdate is an update that waits for the writer, or that the writer is running.
type queuedUpdate struct {
	key   string
	ctx   context.Context // when it ends before the update has started, the update does not run
	fn    func(*Tx) error
	state atomic.Int32  // writeWaiting, writeStarted or writeAbandoned
	err   error         // the outcome of the update; read it only after done is closed
	done  chan struct{} // closed when the outcome is known
}

// writeQueue holds the updates that wait for the writer. The keys take turns. Updates with the same
// key are run in the order of their arrival.
type writeQueue struct {
	hasWaiting chan struct{} // holds one element while an update waits

	mu      sync.Mutex
	waiting map[string][]*queuedUpdate // the waiting updates of each key
	turns   []string                   // the keys that have waiting updates, in the order of their turns
}

// newWriteQueue returns an empty queue.
func newWriteQueue() *writeQueue {
	return &writeQueue{hasWaiting: make(chan struct{}, 1), waiting: map[string][]*queuedUpdate{}}
}

// put adds an update to the queue.
func (q *writeQueue) put(u *queuedUpdate) {
	q.mu.Lock()
	if len(q.waiting[u.key]) == 0 {
		if u.key == fair.System {
			q.turns = slices.Insert(q.turns, 0, u.key)
		} else {
			q.turns = append(q.turns, u.key)
		}
	}
	q.waiting[u.key] = append(q.waiting[u.key], u)
	q.mu.Unlock()
	q.signalWork()
}

// take removes and returns the next update; nil if there is none.
func (q *writeQueue) take() *queuedUpdate {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		return nil
	}
	key := q.turns[0]
	line := q.waiting[key]
	u := line[0]
	switch {
	case len(line) == 1:
		q.turns = q.turns[1:]
		delete(q.waiting, key)
	case key == fair.System:
		q.waiting[key] = line[1:]
	default:
		q.turns = append(q.turns[1:], key)
		q.waiting[key] = line[1:]
	}
	if len(q.turns) > 0 {
		q.signalWork()
	}
	return u
}

// signalWork wakes the writer, unless a signal is already waiting for the writer.
func (q *writeQueue) signalWork() {
	select {
	case q.hasWaiting <- struct{}{}:
	default:
	}
}

// The values of queuedUpdate.state.
const (
	writeWaiting   int32 = iota // the writer has not started the update yet
	writeStarted                // the writer has started the update, and the caller waits for the outcome
	writeAbandoned              // the caller stopped waiting, because its context ended
)

// update puts an update into the queue, and waits for its outcome.
func (w *writer) update(ctx context.Context, key string, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &queuedUpdate{key: key, ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case <-w.closed:
		return errClosed
	default:
		w.queue.put(u)
	}
	select {
	case <-u.done:
		return u.err
	case <-w.goroutineDone:
	case <-ctx.Done():
	}
	if u.state.CompareAndSwap(writeWaiting, writeAbandoned) {
		if err := ctx.Err(); err != nil {
			return err
		}
		return errClosed
	}
	<-u.done
	return u.err
}

// run runs the updates of the queue until the writer is closed. If an update's function ends the
// goroutine (runtime.Goexit, as t.FailNow does), the updates that share its transaction fail, but
// the writer continues.
func (w *writer) run() {
	finished := false
	defer func() {
		if finished {
			close(w.goroutineDone)
			return
		}
		w.abandon(errors.New("a function given to update ended its goroutine"))
		go w.run()
	}()
	for {
		select {
		case <-w.queue.hasWaiting:
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

// commit runs the first update in a transaction, together with the updates that join it within
// joinTime. It tells the caller of each update the outcome.
func (w *writer) commit() error {
	if err := w.file.checkNotReplaced(); err != nil {
		return err
	}
	if err := w.stamp.checkStamp(context.Background()); err != nil {
		return err
	}
	if err := w.reopen(); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	began := w.now()
	w.conn.changesCached = false
	isOpen, isEmpty := true, true // whether a transaction is open, and whether it has no changes yet
	for i := 0; i < len(w.joined); i++ {
		var err error
		if !isOpen {
			err = w.begin()
			isOpen = err == nil
		}
		switch {
		case err != nil:
		case isEmpty:
			isOpen, isEmpty, err = w.runFirst(w.joined[i])
		default:
			err = w.runOne(w.joined[i])
		}
		if err != nil {
			return err
		}
		if i+1 == len(w.joined) && w.now().Sub(began) < gatherTime {
			// Callers that are about to write can still share this commit, so let other goroutines
			// run for a moment.
			runtime.Gosched()
		}
		if w.now().Sub(began) < joinTime {
			w.joinNext()
		}
	}
	if isOpen {
		if err := w.conn.runStatement("commit"); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		if w.usesCache && !w.conn.changesCached {
			w.cache.keepValues(w.header)
		}
		w.onCommit(len(w.joined))
	}
	w.finishJoined()
	return nil
}

// reopen opens the connection that replaces one in which SQLite has panicked.
func (w *writer) reopen() (err error) {
	if w.conn == nil {
		w.conn, err = w.open(context.Background())
	}
	return err
}

// finishJoined tells the caller of each joined update its outcome.
func (w *writer) finishJoined() {
	for i, u := range w.joined {
		close(u.done)
		w.joined[i] = nil
	}
	w.joined = w.joined[:0]
}

// begin takes the write lock. If another process has the lock, begin tries again every few
// milliseconds, as long as a caller waits. begin can take the lock only in a moment between two
// commits of the other process.
func (w *writer) begin() error {
	warn := time.Now().Add(lockWarning)
	for {
		err := w.conn.runStatement("begin immediate")
		if err == nil {
			w.header, w.usesCache = w.cache.beginCommit()
		}
		if !isBusy(err) {
			return err
		}
		if now := time.Now(); now.After(warn) {
			w.log.Warn("another process has kept the database locked for a long time", "at least", lockWarning)
			warn = now.Add(lockWarning)
		}
		if w.joinNext(); !slices.ContainsFunc(w.joined, (*queuedUpdate).isWaiting) {
			return err
		}
	}
}

// isWaiting reports whether the caller still waits and the update has not started.
func (u *queuedUpdate) isWaiting() bool { return u.state.Load() == writeWaiting }

// hasStarted marks a waiting update as started, and reports whether it must run now. It must not
// run if its caller has stopped waiting, or if its context has ended.
func (u *queuedUpdate) hasStarted() bool {
	if !u.state.CompareAndSwap(writeWaiting, writeStarted) {
		return false
	}
	u.err = u.ctx.Err()
	return u.err == nil
}

// runFirst runs an update in a transaction that has no changes yet. So the update needs no
// savepoint, for which SQLite would copy each page before its first change. If the update fails,
// runFirst rolls back the transaction. isOpen reports whether the transaction is still open, and
// isEmpty whether it still has no changes. runFirst returns an error only if rolling back failed.
func (w *writer) runFirst(u *queuedUpdate) (isOpen, isEmpty bool, err error) {
	if !u.hasStarted() {
		return true, true, nil
	}
	tx := &Tx{db: w.db, conn: w.conn}
	u.err = tx.run(u.fn)
	switch {
	case w.conn.isStepping:
		return true, true, u.panicked()
	case u.err == nil:
		return true, false, nil
	}
	return false, true, w.rollBack("rollback", u)
}

// panicked returns the error of a transaction in which SQLite has panicked during this update.
func (u *queuedUpdate) panicked() error {
	err := fmt.Errorf("SQLite has panicked: %w", u.err)
	u.err = nil // abandon sets it
	return err
}

// rollBack undoes the changes of a failed update with this statement. It returns an error if SQLite
// has already rolled back the whole transaction, because the disk is full or fails.
func (w *writer) rollBack(statement string, u *queuedUpdate) error {
	if err := w.conn.runStatement(statement); err != nil {
		err = fmt.Errorf("%w (after %w)", err, u.err)
		u.err = nil // abandon sets it
		return err
	}
	return nil
}

// runOne runs one update in its own savepoint. It sets u.err to the error of the update. It returns
// an error only if the whole transaction has ended.
func (w *writer) runOne(u *queuedUpdate) error {
	if !u.hasStarted() {
		return nil
	}
	if err := w.conn.runStatement("savepoint one"); err != nil {
		return err
	}
	tx := &Tx{db: w.db, conn: w.conn}
	u.err = tx.run(u.fn)
	if w.conn.isStepping {
		return u.panicked()
	}
	if u.err != nil {
		if err := w.rollBack("rollback to one", u); err != nil {
			return err
		}
	}
	return w.conn.runStatement("release one")
}

// joinNext adds the next waiting update, if there is one, to the current transaction. It does
// nothing when the transaction is full.
func (w *writer) joinNext() {
	if len(w.joined) >= w.maxJoined {
		return
	}
	if u := w.queue.take(); u != nil {
		w.joined = append(w.joined, u)
	}
}

// abandon rolls the transaction back. It gives the error to the caller of every update in it, except
// to those whose updates have failed by themselves.
func (w *writer) abandon(err error) {
	switch {
	case w.conn == nil:
	case w.conn.isStepping:
		// The changes that SQLite has made in memory may be incomplete. Closing the connection
		// drops them.
		w.log.Error("SQLite has panicked: the writer's connection is replaced", "error", err)
		if e := w.conn.closeAfterPanic(); e != nil {
			w.log.Error("replace the writer's connection", "error", e)
		}
		w.conn = nil
	default:
		// The rollback fails if there is no transaction: none has begun, or SQLite has already
		// rolled it back.
		if e := w.conn.runStatement("rollback"); e != nil {
			w.log.Debug("roll back", "error", e)
		}
	}
	for _, u := range w.joined {
		u.state.CompareAndSwap(writeWaiting, writeStarted)
		if u.err == nil {
			u.err = fmt.Errorf("write transaction: %w", err)
		}
	}
	w.finishJoined()
}

// restartLog makes SQLite restart a write-ahead log that has grown long, because there was never a
// moment without writes. If a reader still needs the log, restartLog does nothing.
func (w *writer) restartLog() {
	if w.conn == nil || !w.restartDue.CompareAndSwap(true, false) {
		return
	}
	if _, _, err := w.conn.checkpoint("restart"); err != nil {
		w.log.Warn("restart the write-ahead log", "error", err)
	}
}

// close makes the writer refuse further updates. It waits for the updates that have begun.
func (w *writer) close() {
	close(w.closed)
	<-w.goroutineDone
}

// checkpointer copies the write-ahead log into the database in its own goroutine, so that no commit
// has to do it.
type checkpointer struct {
	open          func() (*sqliteConn, error) // opens the checkpointer's connection
	writer        *writer
	stamp         *stamper
	log           *slog.Logger
	updates       atomic.Int64  // updates since the last checkpoint
	copyDue       chan struct{} // has an element when the log should be copied before the next checkpointInterval
	stop          chan struct{} // closed by the method close
	goroutineDone chan struct{} // closed when the goroutine has ended
	warnPages     int           // when the log has this many pages, a warning is logged
	restartPages  int           // when the log has this many pages, it must be restarted
	warned        bool          // whether a warning was logged that the write-ahead log cannot be restarted
}

const (
	warnLogPages       = 4 * restartLogPages // when the log has this many pages, a warning is logged
	checkpointUpdates  = 2000                // the log is copied after this many updates, so that a page that changed often is copied once
	checkpointInterval = time.Second         // the log is copied no later than this time after a write
	restartLogPages    = 32 << 20 / 4096     // when the log has this many pages, it must be restarted
)

// countUpdates adds the updates of a commit. It wakes the checkpointer after checkpointUpdates
// updates.
func (c *checkpointer) countUpdates(updates int) {
	if c.updates.Add(int64(updates)) < checkpointUpdates {
		return
	}
	select {
	case c.copyDue <- struct{}{}:
	default:
	}
}

// run copies the log regularly, until the checkpointer is closed.
func (c *checkpointer) run() {
	defer close(c.goroutineDone)
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
		case <-c.copyDue:
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
		if err := c.copyLog(context.Background(), conn); err != nil {
			c.log.Warn("checkpoint", "error", err)
		}
	}
}

// copyLog copies the write-ahead log into the database. If the log has grown long, copyLog asks the
// writer to restart it.
func (c *checkpointer) copyLog(ctx context.Context, conn *sqliteConn) error {
	pages, copied, err := c.copyWithStamp(ctx, conn)
	if err != nil {
		return err
	}
	if pages > c.restartPages {
		c.writer.restartDue.Store(true)
	}
	c.log.Debug("checkpoint", "pages", pages, "copied", copied)
	c.logGrowth(pages, copied)
	return nil
}

// copyWithStamp copies the write-ahead log into the database file. If a new stamp is due, it stamps
// the database first.
func (c *checkpointer) copyWithStamp(ctx context.Context, conn *sqliteConn) (pages, copied int, err error) {
	if err := c.stamp.checkStamp(ctx); err != nil {
		return 0, 0, err
	}
	on, stamping := c.stamp.isDue()
	if on && !stamping {
		c.updates.Add(1) // makes another checkpoint due, which stamps the pages that this checkpoint copies
	}
	if stamping {
		if err := c.stamp.beginStamp(ctx, c.writeStamp); err != nil {
			c.log.Debug("stamp the database", "error", err)
			stamping = false
		}
	}
	if pages, copied, err = conn.checkpoint("passive"); err != nil || !stamping {
		return pages, copied, err
	}
	if err := c.stamp.endStamp(ctx); err != nil {
		c.log.Debug("note the stamp of the database", "error", err)
	}
	return pages, copied, nil
}

// writeStamp puts a stamp into the database. This update does not count for the next checkpoint.
func (c *checkpointer) writeStamp(stamp int32) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWarning)
	defer cancel()
	err := c.writer.update(ctx, fair.System, func(tx *Tx) error {
		_, err := tx.Exec(ctx, stampStatement(stamp))
		return err
	})
	if err == nil {
		c.updates.Add(-1)
	}
	return err
}

// logGrowth writes a warning when the log has grown long because a program still reads it, and a
// message when the log was restarted after that.
func (c *checkpointer) logGrowth(pages, copied int) {
	switch {
	case !c.warned && pages > c.warnPages && copied < pages:
		c.warned = true
		c.log.Warn("the write-ahead log grows, because some program holds a snapshot of the database: a transaction in a shell, or a backup", "bytes", pages*4096)
	case c.warned && pages < c.restartPages:
		c.warned = false
		c.log.Info("the write-ahead log has begun anew")
	}
}

// close ends the goroutine and waits for its end.
func (c *checkpointer) close() {
	close(c.stop)
	<-c.goroutineDone
}
