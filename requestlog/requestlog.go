package requestlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/internal/redact"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

const (
	flushEvery      = time.Second     // how often Run flushes
	flushThreshold  = 5_000           // the number of rows in memory at which Gather wakes Run to flush at once
	maxGathered     = 10_000          // the number of rows in memory at which Gather writes the rows itself
	maxRefused      = 100             // the largest number of rows about requests without a valid token in one flush; see GatherRefused
	stopTimeout     = 5 * time.Second // how long the last flush may take after the context of Run has ended
	maxTextBytes    = 2_000           // the maximum length of a path or sentence, in bytes; the rest is cut off
	defaultPageSize = 50              // the number of rows on a page, if the query sets no Limit
	maxPageSize     = 500
	searchWindow    = 20_000 // the largest number of rows that a search reads for one page
	searchBatch     = 1_000  // the number of rows that a search reads at a time
)

// Request is one row of the request log: a SCIM request and its answer. It never holds a
// credential.
type Request struct {
	ID         string // the id of the row; set when the row is written
	Time       time.Time
	Site       site.ID
	TokenID    string // the id of the token, even if it is revoked or expired; empty when the caller sent no token of this site
	TokenLast4 string
	Method     string
	Path       string // the path of the request, with the query
	Status     int
	Duration   time.Duration // the time until the answer was ready; for a change, until the change was on disk
	UserName   string        // the user name of the person in the request, if known
	Subject    string        // the id of the resource in the request, if known
	Sentence   string        // what the server did, in words
	Fixes      []string      // deviations from SCIM that the server tolerated
	Ignored    []string      // parts of the request that the server did not apply
	Remote     string        // the address of the client
}

// IsStranger reports whether the request had no token, or a token that this site never issued.
func (r Request) IsStranger() bool { return r.TokenID == "" }

// TokenEnded reports whether the request was refused because its token is revoked, replaced or
// expired.
func (r Request) TokenEnded() bool { return !r.IsStranger() && r.Status == 401 }

// Result says how a request ended: Done, Ignored or Refused.
type Result string

const (
	AnyResult Result = ""
	Done      Result = "done"    // answered, and everything requested was applied
	Ignored   Result = "ignored" // answered, but part of the request was deliberately not applied
	Refused   Result = "refused" // answered with an error
)

// Result returns Done, Ignored or Refused.
func (r Request) Result() Result {
	switch {
	case r.Status >= 400:
		return Refused
	case len(r.Ignored) > 0:
		return Ignored
	}
	return Done
}

// IsChange reports whether the request tried to change something, or was refused. It is false for
// reads that succeeded.
func (r Request) IsChange() bool {
	if r.Status >= 400 {
		return true
	}
	switch r.Method {
	case "GET", "HEAD":
		return false
	case "POST":
		path, _, _ := strings.Cut(r.Path, "?")
		return !strings.HasSuffix(strings.TrimRight(path, "/"), "/.search")
	}
	return true
}

// isBoundedRead reports whether the request counts toward the limits of ReadBound. These count
// requests that cannot change anything, and requests that were refused with 429 before they were
// processed. They do not count requests without a valid token, which GatherRefused limits.
func (r Request) isBoundedRead() bool {
	if r.Status == 401 {
		return false
	}
	answered := r
	answered.Status = 200
	return r.Status == 429 || !answered.IsChange()
}

// AddFixes adds notes about the deviations from SCIM that the server tolerated in the request.
func (r *Request) AddFixes(fixes ...scim.Fix) {
	r.Fixes = slices.Clip(r.Fixes) // appending must copy the slice, because another row may share its array
	for _, f := range fixes {
		r.Fixes = appendLine(r.Fixes, withPath(f.Path, f.Text))
	}
}

// AddIgnored adds notes about the parts of the request that the server understood and deliberately
// did not apply.
func (r *Request) AddIgnored(parts ...scim.Ignored) {
	r.Ignored = slices.Clip(r.Ignored) // appending must copy the slice, because another row may share its array
	for _, p := range parts {
		r.Ignored = appendLine(r.Ignored, withPath(p.Path, p.Reason))
	}
}

// appendLine appends a line to a list of limited length, so that one request cannot fill the log.
func appendLine(lines []string, line string) []string {
	const most = 100
	switch {
	case len(lines) < most:
		return append(lines, line)
	case len(lines) == most:
		return append(lines, "more like these")
	}
	return lines
}

// withPath returns a note about an attribute, with the attribute's path in front.
func withPath(path, text string) string {
	if path == "" {
		return text
	}
	return path + ": " + text
}

// TokenUse says when, and from which address, a token was last used.
type TokenUse struct {
	Site  site.ID
	Token string
	Time  time.Time
	From  string // the address of the client that used the token
}

// Log writes the request log. It writes changes and refusals at once. It gathers reads in memory
// and writes ("flushes") them once a second. A row in memory is lost only if the process is killed
// within that second, or if writing fails for so long that memory is full. When memory was full,
// the log later says how many rows are missing.
type Log struct {
	Store Store
	Sites *site.Sites
	Now   func() time.Time
	NewID func() string // returns the id for a new row

	// Failed is called with the error of each failed flush; Run then tries the flush again. It may
	// be nil. Set it before calling Run.
	Failed func(error)

	// Reads limits how many reads of one site get their own row.
	Reads ReadBound

	mu            sync.Mutex
	gathered      []Request                 // the rows in memory, which the next flush writes
	uses          uses                      // the last uses of tokens that the next flush records, in addition to the uses in gathered
	refused       int                       // the number of requests without a known token since the last flush
	failing       bool                      // whether the last flush failed
	missingRows   map[site.ID]gap           // the rows of each site that were dropped while flushes failed
	unlistedReads map[site.ID]gap           // the reads of each site that got no row since the last flush
	allowances    map[site.ID]readAllowance // how many more reads of each site may get a row now
	refusedRows   map[callerGroup]int       // how many rows about requests without a valid token each group has got, at most maxRefused; each flush lowers the number by one
	flushMutex    sync.Mutex                // held during a flush, so that rows are written in order and once

	wakeOnce sync.Once     // makes the channel wake, once
	wake     chan struct{} // made by wakeChannel on first use; read it only through wakeChannel

	counts Counts // the counts so far; the method Counts fills in Gathered
}

// Store keeps the request logs of all sites.
type Store interface {
	// AppendRequests writes rows and uses of tokens in one transaction. It leaves out rows of
	// deleted sites.
	AppendRequests(ctx context.Context, rows []Request, uses []TokenUse) error
	// Requests returns at most limit rows, newest first, beginning after the cursor. The zero
	// cursor starts at the newest row.
	Requests(ctx context.Context, id site.ID, only Filter, before Cursor, limit int) ([]Request, error)
}

// wakeChannel returns the channel with which Gather tells Run to flush at once.
func (l *Log) wakeChannel() chan struct{} {
	l.wakeOnce.Do(func() { l.wake = make(chan struct{}, 1) })
	return l.wake
}

// Counts holds how many rows the request logs of all sites have got since the process started.
type Counts struct {
	Written    int64 // rows of reads and refusals, which the log writes itself
	WithChange int64 // rows that the transactions of changes write
	Unlisted   int64 // reads beyond the limit of a site, which the log only counts
	Lost       int64 // rows dropped while the log could not be written
	Refused    int64 // requests without a valid token that got no row, because there were too many
	Gathered   int   // rows that wait in memory for the next flush
}

// Counts returns the current counts.
func (l *Log) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	c.Gathered = len(l.gathered)
	return c
}

// count changes the counts with the function add.
func (l *Log) count(add func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add(&l.counts)
}

// ReadBound limits how many reads of one site get their own row: Burst rows at once, and PerSecond
// rows per second in the long run. The log counts further reads and writes their number in one row.
// The zero value means the default limits.
type ReadBound struct{ Burst, PerSecond int }

const (
	readBurst     = 1_000 // the default of ReadBound.Burst
	readPerSecond = 25    // the default of ReadBound.PerSecond: the rate at which Entra ID sends requests to one application
)

// readAllowance is the number of reads of a site that may still get a row, as computed at a certain
// time. The number grows with time.
type readAllowance struct {
	rows       float64   // how many rows the site may still get
	computedAt time.Time // when rows was computed
}

// shouldList reports whether a request gets its own row. It counts a read that gets no row.
func (l *Log) shouldList(r Request) bool {
	if !r.isBoundedRead() {
		return true
	}
	burst, rate := float64(cmp.Or(l.Reads.Burst, readBurst)), float64(cmp.Or(l.Reads.PerSecond, readPerSecond))
	now := l.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	p, known := l.allowances[r.Site]
	if !known {
		p = readAllowance{burst, now}
	}
	p.rows = min(burst, p.rows+rate*max(0, now.Sub(p.computedAt).Seconds()))
	p.computedAt = now
	full := p.rows < 1
	if !full {
		p.rows--
	}
	if l.allowances == nil {
		l.allowances = map[site.ID]readAllowance{}
	}
	l.allowances[r.Site] = p
	if !full {
		return true
	}
	if l.unlistedReads == nil {
		l.unlistedReads = map[site.ID]gap{}
	}
	l.unlistedReads[r.Site] = l.unlistedReads[r.Site].withRequest(r)
	l.counts.Unlisted++
	if l.uses == nil {
		l.uses = uses{}
	}
	l.uses.noteUse(r)
	return false
}

// reportUnlisted adds one row for each site that had reads beyond its limit since the last flush.
// The row has the number of these reads. reportUnlisted also deletes the allowances of sites that
// had no read for an hour. The caller must hold mu.
func (l *Log) reportUnlisted() {
	for id, g := range l.unlistedReads {
		l.gathered = append(l.gathered, l.prepare(Request{
			Time: g.last, Site: id, TokenID: g.token, TokenLast4: g.last4, Method: "GET", Path: "…", Status: 200,
			Sentence: fmt.Sprintf("%d more reads are not listed: from %s to %s UTC there were more than the log lists of one site", g.requests, g.first.Format(time.DateTime), g.last.Format(time.DateTime)),
		}))
	}
	l.unlistedReads = nil
	idle := l.Now().Add(-time.Hour)
	for id, p := range l.allowances {
		if p.computedAt.Before(idle) {
			delete(l.allowances, id)
		}
	}
}

// Write writes a row to disk before it returns. Callers use it for changes and refusals. A refused
// read gets no row while the reads of its site are beyond their limit; Write only counts it.
func (l *Log) Write(ctx context.Context, r Request) error {
	if r = l.prepare(r); !l.shouldList(r) {
		return nil
	}
	rows := []Request{r}
	if err := l.Store.AppendRequests(ctx, rows, usesOf(rows).list()); err != nil {
		return fmt.Errorf("write request log: %w", err)
	}
	l.count(func(c *Counts) { c.Written++ })
	return nil
}

// BeginRow gives a row its id, so that a change can write the row in its own transaction. The
// caller calls RowWritten after the commit.
func (l *Log) BeginRow(r Request) Request {
	r.ID = l.NewID()
	return r
}

// RowWritten tells the log that a change has written the request's row in its own transaction. The
// next flush records the last use of the request's token.
func (l *Log) RowWritten(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uses == nil {
		l.uses = uses{}
	}
	l.uses.noteUse(r)
	l.counts.WithChange++
}

// Gather keeps a row in memory until the next flush. Callers use it for reads. When maxGathered
// rows are in memory, Gather writes them itself before it returns. While writing fails, it drops
// rows beyond maxGathered, and counts them.
func (l *Log) Gather(r Request) {
	if r.Time.IsZero() {
		r.Time = l.Now()
	}
	if !l.shouldList(r) {
		return
	}
	r = l.prepare(r)
	l.mu.Lock()
	if l.failing && len(l.gathered) >= maxGathered {
		l.countMissed(r)
		l.mu.Unlock()
		return
	}
	l.gathered = append(l.gathered, r)
	n := len(l.gathered)
	l.mu.Unlock()
	switch {
	case n >= maxGathered:
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		l.reportFailure(l.Flush(ctx))
	case n == flushThreshold:
		select {
		case l.wakeChannel() <- struct{}{}:
		default:
		}
	}
}

// gap describes the requests of a site that got no row.
type gap struct {
	requests     int       // the number of requests
	first, last  time.Time // the times of the first and the last request
	token, last4 string    // the token of the last request: its id and its last four characters
}

// withRequest returns the gap with one more request counted.
func (g gap) withRequest(r Request) gap {
	if g.requests == 0 {
		g.first = r.Time
	}
	g.requests, g.last, g.token, g.last4 = g.requests+1, r.Time, r.TokenID, r.TokenLast4
	return g
}

// countMissed counts a row that was dropped, so that reportGaps can report it. The caller must hold
// mu.
func (l *Log) countMissed(r Request) {
	if l.missingRows == nil {
		l.missingRows = map[site.ID]gap{}
	}
	l.missingRows[r.Site] = l.missingRows[r.Site].withRequest(r)
	l.counts.Lost++
}

// reportGaps adds one row to the gathered rows for each site whose rows were dropped. The row says
// how many were dropped. reportGaps returns the number of these sites. The caller must hold mu.
func (l *Log) reportGaps() int {
	gaps := len(l.missingRows)
	for id, g := range l.missingRows {
		l.gathered = append(l.gathered, l.prepare(Request{
			Time: g.last, Site: id, Method: "GET", Path: "…", Status: 200,
			Sentence: fmt.Sprintf("%d requests from %s to %s UTC are missing here: the log could not be written, and more were not kept in memory",
				g.requests, g.first.Format(time.DateTime), g.last.Format(time.DateTime)),
		}))
	}
	l.missingRows = nil
	return gaps
}

// callerGroup is a group of callers of one site that have no valid token. Each site has two groups:
// callers whose token is missing or unknown, and callers whose token has ended. Each group has its
// own number of rows. So callers without a known token do not use up the rows of an identity
// provider whose token has ended.
type callerGroup struct {
	site              site.ID
	withoutKnownToken bool // whether this is the group of callers without a known token
}

// GatherRefused keeps a row about a request without a valid token, if the site exists. Two limits
// prevent callers without a token from filling the disk. Between two flushes, at most maxRefused
// requests without a known token get a row, at all sites together. And once a callerGroup has got
// maxRefused rows, each flush allows it only one more row.
func (l *Log) GatherRefused(ctx context.Context, siteName string, r Request) error {
	if r.IsStranger() {
		l.mu.Lock()
		full := l.refused >= maxRefused
		l.refused++
		if full {
			l.counts.Refused++
		}
		l.mu.Unlock()
		if full {
			return nil
		}
	}
	of, err := l.Sites.ByName(ctx, siteName)
	if errors.Is(err, site.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write request log: %w", err)
	}
	c := callerGroup{of.ID, r.IsStranger()}
	l.mu.Lock()
	full := l.refusedRows[c] >= maxRefused
	if !full {
		if l.refusedRows == nil {
			l.refusedRows = map[callerGroup]int{}
		}
		l.refusedRows[c]++
	} else {
		l.counts.Refused++
	}
	l.mu.Unlock()
	if full {
		return nil
	}
	r.Site = of.ID
	l.Gather(r)
	return nil
}

// Flush writes the gathered rows. If writing fails, it returns the error and keeps the rows for the
// next flush.
func (l *Log) Flush(ctx context.Context) error {
	l.flushMutex.Lock()
	defer l.flushMutex.Unlock()
	gaps, err := l.flush(ctx)
	if gaps > 0 {
		_, err = l.flush(ctx)
	}
	return err
}

// flush writes the gathered rows. If this succeeds and rows were dropped before, it gathers new
// rows that say how many were dropped, and returns the number of the new rows as gaps. The caller
// must call flush again to write the new rows.
func (l *Log) flush(ctx context.Context) (gaps int, err error) {
	l.mu.Lock()
	l.reportUnlisted()
	rows, used := l.gathered, usesOf(l.gathered)
	used.merge(l.uses)
	l.gathered, l.uses, l.refused = nil, nil, 0
	for c := range l.refusedRows {
		if l.refusedRows[c]--; l.refusedRows[c] == 0 {
			delete(l.refusedRows, c)
		}
	}
	l.mu.Unlock()
	if len(rows)+len(used) == 0 {
		return 0, nil
	}
	rows, written, err := l.appendRows(ctx, rows, used.list())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err != nil
	l.counts.Written += int64(written)
	if err == nil {
		return l.reportGaps(), nil
	}
	l.gathered = append(rows, l.gathered...)
	if len(l.gathered) > maxGathered {
		for _, r := range l.gathered[maxGathered:] {
			l.countMissed(r)
		}
		l.gathered = slices.Clone(l.gathered[:maxGathered])
	}
	used.merge(l.uses)
	l.uses = used
	return 0, fmt.Errorf("write %d rows of the request log: %w", len(rows), err)
}

// rowsPerTransaction is how many gathered rows one transaction writes. It is small, so that a
// change waits only milliseconds for such a transaction.
const rowsPerTransaction = 256

// appendRows writes rows in batches. It writes the uses of tokens with the first batch. On an
// error, rest holds the rows that were not written.
func (l *Log) appendRows(ctx context.Context, rows []Request, used []TokenUse) (rest []Request, written int, err error) {
	for len(rows)+len(used) > 0 {
		n := min(len(rows), rowsPerTransaction)
		if err := l.Store.AppendRequests(ctx, rows[:n], used); err != nil {
			return rows, written, err
		}
		rows, used, written = rows[n:], nil, written+n
	}
	return nil, written, nil
}

// Run flushes once a second until ctx is done. Then it flushes once more and returns the error of
// that flush.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return l.Flush(last)
		case <-tick.C:
		case <-l.wakeChannel():
		}
		if err := l.Flush(ctx); ctx.Err() == nil {
			l.reportFailure(err)
		}
	}
}

// reportFailure calls Failed with the error of a flush, if there is an error.
func (l *Log) reportFailure(err error) {
	if err != nil && l.Failed != nil {
		l.Failed(err)
	}
}

// prepare gives a row its id and its time, and returns it in the form in which it is stored.
func (l *Log) prepare(r Request) Request {
	r.ID = l.NewID()
	if r.Time.IsZero() {
		r.Time = l.Now()
	}
	return r.Clean()
}

// Clean returns the row in the form in which it is stored: without credentials, and with long
// strings cut off.
func (r Request) Clean() Request {
	r.Time = r.Time.UTC().Truncate(time.Microsecond)
	r.Path = phrase.Cut(phrase.Storable(redact.Tokens(r.Path)), maxTextBytes)
	r.Sentence = phrase.Cut(phrase.Storable(redact.Tokens(r.Sentence)), maxTextBytes)
	r.UserName = phrase.Cut(phrase.Storable(redact.Tokens(r.UserName)), maxTextBytes)
	r.Subject = phrase.Cut(phrase.Storable(redact.Tokens(r.Subject)), maxTextBytes)
	r.Fixes = redactAll(r.Fixes)
	r.Ignored = redactAll(r.Ignored)
	return r
}

// redactAll removes tokens from notes. It copies the slice only when a note contains a token.
func redactAll(notes []string) []string {
	for i, note := range notes {
		short := redact.Tokens(note)
		if short == note {
			continue
		}
		notes = slices.Clone(notes)
		notes[i] = short
	}
	return notes
}

// uses holds the last use of each token.
type uses map[tokenKey]TokenUse

// tokenKey identifies a token: the id of the token, and its site.
type tokenKey struct {
	site  site.ID
	token string
}

// usesOf returns the last use of each token in these rows.
func usesOf(rows []Request) uses {
	u := uses{}
	for _, r := range rows {
		u.noteUse(r)
	}
	return u
}

// noteUse adds the use of the token in a row, if the row has a token that has not ended.
func (u uses) noteUse(r Request) {
	if r.TokenID != "" && !r.TokenEnded() {
		u.add(TokenUse{Site: r.Site, Token: r.TokenID, Time: r.Time, From: r.Remote})
	}
}

// add adds a use of a token, unless a later use is known.
func (u uses) add(use TokenUse) {
	key := tokenKey{use.Site, use.Token}
	if !use.Time.Before(u[key].Time) {
		u[key] = use
	}
}

// merge adds the uses of another collection.
func (u uses) merge(others uses) {
	for _, use := range others {
		u.add(use)
	}
}

// list returns all uses, in no particular order.
func (u uses) list() []TokenUse { return slices.Collect(maps.Values(u)) }

// Query asks for one page of a site's request log, newest first.
type Query struct {
	Filter
	Search string // part of a user name, path or sentence, in any case; or a whole resource id
	Before string // the cursor that Page returned with the previous page; empty for the first page
	Limit  int    // the largest number of rows on the page, up to 500; 0 means 50
}

// Filter is the part of a query that the store evaluates. The zero value matches every row.
type Filter struct {
	Result      Result
	OnlyChanges bool      // whether to leave out reads that were answered without an error
	Method      string    // the HTTP method, in upper case
	Token       string    // the id of a token, AnyToken or NoToken; empty means all rows
	From, Until time.Time // rows from the time From up to, but not including, Until; zero means no bound
}

// Values of Filter.Token besides the id of a token.
const (
	AnyToken = "any"  // rows with any token that the site issued, live or ended
	NoToken  = "none" // rows of requests without a token of the site
)

// Cursor is a position in a site's request log.
type Cursor struct {
	Time time.Time
	ID   string
}

func (c Cursor) String() string {
	return strconv.FormatInt(c.Time.UnixMicro(), 10) + "-" + c.ID
}

func parseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	at, id, found := strings.Cut(text, "-")
	micros, err := strconv.ParseInt(at, 10, 64)
	if !found || err != nil || id == "" || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return Cursor{}, refusal.New(refusal.Invalid, "before", "%q is not a place in the request log", text)
	}
	return Cursor{Time: time.UnixMicro(micros).UTC(), ID: id}, nil
}

// Page returns one page of the log. next is the cursor of the next page; it is empty after the last
// page. A search reads a limited number of rows for each page. So a page may be short or empty
// although more pages follow. Page returns refusal.Invalid if the cursor in q cannot be read.
func (l *Log) Page(ctx context.Context, id site.ID, q Query) (page []Request, next string, err error) {
	before, err := parseCursor(q.Before)
	if err != nil {
		return nil, "", err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPageSize
	}
	limit = min(limit, maxPageSize)
	batch := limit + 1 // reading one more row than the page has shows whether there is a next page
	if q.Search != "" {
		batch = searchBatch
	}
	search := strings.ToLower(q.Search)
	for seen := 0; seen < searchWindow; seen += batch {
		rows, err := l.Store.Requests(ctx, id, q.Filter, before, batch)
		if err != nil {
			return nil, "", fmt.Errorf("read request log: %w", err)
		}
		for _, r := range rows {
			if !r.matchesSearch(search) {
				continue
			}
			if len(page) == limit {
				return page, cursorOf(page[limit-1]), nil
			}
			page = append(page, r)
		}
		if len(rows) < batch {
			return page, "", nil
		}
		before = Cursor{Time: rows[batch-1].Time, ID: rows[batch-1].ID}
	}
	return page, before.String(), nil
}

func cursorOf(r Request) string { return Cursor{Time: r.Time, ID: r.ID}.String() }

// matchesSearch reports whether a row contains the text of Query.Search, which is in lower case.
func (r Request) matchesSearch(search string) bool {
	if search == "" || strings.ToLower(r.Subject) == search {
		return true
	}
	path := r.Path
	if plain, err := url.PathUnescape(strings.ReplaceAll(path, "+", " ")); err == nil {
		path = plain
	}
	for _, text := range []string{r.UserName, r.Sentence, path} {
		if strings.Contains(strings.ToLower(text), search) {
			return true
		}
	}
	return false
}
