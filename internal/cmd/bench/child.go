package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// The kinds of child processes. Each child is this program, started again.
const (
	childEmpty = "empty" // an HTTP server with an empty handler, which does no work
	childServe = "serve" // the SCIM server, wired as in `rollcall serve`
	childStore = "store" // only the store, which writes for the time that an HTTP request names
)

// childOptions are the values of a child's flags.
type childOptions struct {
	kind     string // one of the kinds of child processes; empty if this process is no child
	database string // the database, as the flag --database of rollcall takes it
	serial   bool   // whether the server commits each request separately, not several requests together
}

// emptyAnswer is the body that the empty handler sends. It has 17 bytes.
const emptyAnswer = `{"status":"okay"}`

// runChild runs a child: it serves until ctx ends or the parent closes standard input.
func runChild(ctx context.Context, o childOptions, stdin io.Reader, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, stdin) //nolint:errcheck // wait for the end of the input, whatever its reason
		cancel()
	}()
	if o.kind == childEmpty {
		return serveOnFreePort(ctx, http.HandlerFunc(answerEmpty), stderr)
	}
	db, err := store.Open(ctx, o.database, store.Options{SerialCommits: o.serial})
	if err != nil {
		return err
	}
	switch o.kind {
	case childServe:
		err = serveSCIM(ctx, db, stderr)
	case childStore:
		err = serveStore(ctx, db, stderr)
	default:
		err = fmt.Errorf("-child %q: there is empty, serve and store", o.kind)
	}
	return errors.Join(err, db.Close())
}

// answerEmpty is the empty handler. It sends emptyAnswer.
func answerEmpty(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/scim+json")
	io.WriteString(w, emptyAnswer) //nolint:errcheck // an error means that the client has gone
}

// serveOnFreePort serves h on a free port, and logs the address.
func serveOnFreePort(ctx context.Context, h http.Handler, stderr io.Writer) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := web.NewServer(ln.Addr().String(), h, nil)
	fmt.Fprintf(stderr, "address=%s\n", ln.Addr())
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newDomains returns the sites and the rosters of a database.
func newDomains(db *store.DB) (*site.Sites, *roster.Rosters) {
	return &site.Sites{Store: &store.Sites{DB: db}, Now: time.Now, NewID: randomID},
		&roster.Rosters{Store: &store.Rosters{DB: db}, Now: time.Now, NewID: roster.NewID}
}

// randomID returns a random id of 32 hexadecimal digits.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // rand.Read never returns an error
	return hex.EncodeToString(b[:])
}

// serveSCIM runs the parts of `rollcall serve` that SCIM requests use, plus the profiles of the Go
// runtime.
func serveSCIM(ctx context.Context, db *store.DB, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	sites, rosters := newDomains(db)
	requests := &requestlog.Log{Store: &store.RequestLogs{DB: db}, Sites: sites, Now: time.Now, NewID: randomID}
	h := &scimserver.Handler{
		Sites: sites, Rosters: rosters, Requests: requests, Log: log, Now: time.Now,
		BaseURL: func(r *http.Request) string { return "http://" + r.Host },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.Handle("/debug/pprof/allocs", pprof.Handler("allocs"))
	flushed := make(chan error, 1)
	go func() { flushed <- requests.Run(ctx) }()
	err := serveOnFreePort(ctx, web.Front{Log: log, Now: time.Now}.Handler(h.Before(mux)), stderr)
	if ctx.Err() != nil {
		err = errors.Join(err, <-flushed)
	}
	return err
}

// storeResult is the body of an answer of serveStore.
type storeResult struct {
	Requests int           // how many users were written
	Elapsed  time.Duration // how long that took
}

// serveStore serves requests that start writes: a request names a number of clients and a time. The
// clients write users for this time, as fast as the store can. Each user has the same rows as after
// a POST.
func serveStore(ctx context.Context, db *store.DB, stderr io.Writer) error {
	w, err := newWriter(ctx, db)
	if err != nil {
		return err
	}
	return serveOnFreePort(ctx, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		clients, err := strconv.Atoi(r.URL.Query().Get("clients"))
		if err == nil {
			var d time.Duration
			if d, err = time.ParseDuration(r.URL.Query().Get("for")); err == nil {
				var did storeResult
				if did, err = w.writeFor(r.Context(), clients, d); err == nil {
					err = json.NewEncoder(out).Encode(did)
				}
			}
		}
		if err != nil {
			http.Error(out, err.Error(), http.StatusInternalServerError)
		}
	}), stderr)
}

// writer writes the rows that a POST of a user writes, without HTTP.
type writer struct {
	sites   *store.Sites   // stores the sites
	rosters *store.Rosters // stores the users
	site    site.Site      // the site to which the users belong
	token   site.Token     // a token of the site, which the rows of the request log name
	sample  roster.Record  // the user that each write stores again, with another id and user name
	runName string         // part of every user name, so that names differ from those of earlier processes
	count   atomic.Int64   // how many users were written so far
}

// newWriter returns a writer for the site in the database.
func newWriter(ctx context.Context, db *store.DB) (*writer, error) {
	sites, rosters := newDomains(db)
	w := &writer{sites: &store.Sites{DB: db}, rosters: &store.Rosters{DB: db}, runName: randomID()[:8]}
	var err error
	if w.site, err = sites.ByName(ctx, siteName); err != nil {
		return nil, err
	}
	tokens, err := sites.Tokens(ctx, w.site.ID)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("site %s has no token", siteName)
	}
	w.token = tokens[0]
	w.sample, err = sampleRecord(ctx, w, rosters.Open(w.site))
	return w, err
}

// sampleRecord creates one user in the same way as a POST and returns the stored record.
func sampleRecord(ctx context.Context, w *writer, r *roster.Roster) (roster.Record, error) {
	p := personOf(0)
	body, err := p.scimUser()
	if err != nil {
		return roster.Record{}, err
	}
	doc, _, err := scim.Decode(scim.UserType(), body, scim.Lenient)
	if err != nil {
		return roster.Record{}, err
	}
	doc["userName"] = "sample-" + w.runName + "@contoso.example"
	made, err := r.Create(ctx, roster.User, doc, roster.Change{Actor: "scim:bench", Via: roster.ViaSCIM})
	if err != nil {
		return roster.Record{}, err
	}
	rec, err := w.rosters.Record(ctx, w.site.ID, roster.User, made.Document.ID)
	for i, address := range []string{p.userName(), p.nickname() + "@mail.example"} {
		rec.Values = append(rec.Values, roster.Value{Path: roster.EmailPath, Folded: scim.Fold(address), Element: i})
	}
	return rec, err
}

// writeFor lets a number of clients write users at once for the time d. It returns how many users
// they wrote.
func (w *writer) writeFor(ctx context.Context, clients int, d time.Duration) (storeResult, error) {
	errs := make([]error, clients)
	var done atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for i := range clients {
		wg.Go(func() {
			for time.Since(start) < d && errs[i] == nil {
				if errs[i] = w.writeOnce(ctx); errs[i] == nil {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return storeResult{Requests: int(done.Load()), Elapsed: time.Since(start)}, errors.Join(errs...)
}

// writeOnce writes one user, with its event and its row of the request log, in one transaction.
func (w *writer) writeOnce(ctx context.Context) error {
	rec := w.sample
	rec.ID = randomID()
	rec.UserName = fmt.Sprintf("bare-%s-%09d@contoso.example", w.runName, w.count.Add(1))
	now := time.Now().UTC().Truncate(time.Microsecond)
	row := requestlog.Request{
		ID: randomID(), Time: now, Site: w.site.ID, TokenID: w.token.ID, TokenLast4: w.token.Last4, Method: http.MethodPost, Path: "/Users",
		Status: http.StatusCreated, Duration: time.Millisecond, UserName: rec.UserName, Subject: rec.ID, Sentence: "Created", Remote: "127.0.0.1",
	}
	text := rec.UserName + " was created by SCIM."
	return w.rosters.Update(ctx, w.site, func(tx roster.Tx) error {
		if _, err := tx.Insert(ctx, rec); err != nil {
			return err
		}
		if err := tx.AppendEvent(ctx, event.Event{
			Time: rec.Created, Scope: event.Site(string(w.site.ID)), Name: event.UserCreated, Actor: "scim:bench", Subject: rec.ID, Text: text,
		}); err != nil {
			return err
		}
		return tx.AppendRequest(ctx, row)
	})
}

// copyDatabase copies the file of a closed SQLite database and waits until the copy is on disk.
// Otherwise the system would write the copy to disk later, and disturb the measured commits.
func copyDatabase(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(out.Sync(), out.Close())
}
