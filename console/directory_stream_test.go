package console_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/live"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// eventStream is an open stream of server-sent events.
type eventStream struct {
	t      *testing.T
	status int
	events chan string // the data of each event "parts"; closed when the stream has ended
	close  func()
}

// stream opens an event stream.
func (b *browser) stream(path string) *eventStream {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://rollcall.example"+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("X-Test-Server", strings.TrimPrefix(b.base, "http://"))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	s := &eventStream{t: b.t, status: answer.StatusCode, events: make(chan string, 1000), close: cancel}
	b.t.Cleanup(cancel)
	go func() {
		defer close(s.events)
		defer answer.Body.Close()
		name, data := "", []string(nil)
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "event":
				name = value
			case "data":
				data = append(data, value)
			case "":
				if name == "parts" {
					s.events <- strings.Join(data, "\n")
				}
				name, data = "", nil
			}
		}
	}()
	return s
}

// sees waits for an event that contains all words.
func (s *eventStream) sees(words ...string) {
	s.t.Helper()
	last := ""
	for {
		select {
		case part, ok := <-s.events:
			if !ok {
				s.t.Fatalf("the stream ended before it said %q; last it said:\n%s", words, last)
			}
			last = part
			if text := parseHTML(s.t, part).text(); containsAll(text, words) {
				return
			}
		case <-time.After(time.Minute):
			s.t.Fatalf("the stream does not say %q; last it said:\n%s", words, last)
		}
	}
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// ends waits until the stream has ended.
func (s *eventStream) ends() {
	s.t.Helper()
	for {
		select {
		case _, ok := <-s.events:
			if !ok {
				return
			}
		case <-time.After(time.Minute):
			s.t.Fatal("the stream goes on")
		}
	}
}

// liveOffice is an office whose streams look and check often, with a job that is on.
func liveOffice(t *testing.T) (*office, *directory.Handle, directory.Application) {
	t.Helper()
	o := newOffice(t)
	o.pages.Live = &live.Board{Every: 20 * time.Millisecond, Gap: time.Millisecond}
	o.pages.BeatEvery = 20 * time.Millisecond
	h := o.directory("contoso", peopleFile)
	return o, h, o.liveJob(h, "Acme")
}

// liveJob makes an application with a site of the same name, and a job that is on.
func (o *office) liveJob(h *directory.Handle, name string) directory.Application {
	o.t.Helper()
	app := o.app(h, name)
	tenantURL, token := o.site(strings.ToLower(name), site.Full)
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(o.t.Context(), provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		o.t.Fatal(err)
	}
	return app
}

const acmeStream = acmeProvisioning + "/stream"

func TestAStreamTellsOfARunningCycle(t *testing.T) {
	t.Parallel()
	o, h, app := liveOffice(t)
	b := o.operator()
	s := b.stream(acmeStream)
	s.sees("Provisioning", "On. The first cycle begins within moments.", "No cycle has run yet.")
	o.cycle(h, app)
	s.sees("The last cycle ended", "Initial cycle", "Completed", "Users linked 3")
	f, err := csv.Open(strings.NewReader(peopleFile+"cy@contoso.example,Cy Young,Cy,Young,cy@contoso.example,,Sales,\n"), directory.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := h.Import(t.Context(), f.Rows, directory.ImportOptions{Actor: "operator:sam"}); err != nil || len(r.Errors) > 0 {
		t.Fatal(r, err)
	}
	if _, err := h.Assign(t.Context(), app.ID, []string{o.userID(h, "cy@contoso.example")}, "cli"); err != nil {
		t.Fatal(err)
	}
	o.cycle(h, app)
	s.sees("Incremental cycle", "Users linked 4")
	// The page itself says where the stream is, and polls only without it.
	page := b.get(acmeProvisioning)
	if got := page.byID("progress").attr["data-stream"]; got != acmeStream {
		t.Errorf("the page names the stream %q, want %q", got, acmeStream)
	}
	// A job that is off has nothing to follow.
	off := provision.Off
	if _, err := o.jobs.SaveFrom(t.Context(), provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}, func(j provision.Job) (provision.Settings, error) {
		return provision.Settings{Mode: j.Mode, TenantURL: j.TenantURL, Status: off, Scope: j.Scope}, nil
	}, "cli"); err != nil {
		t.Fatal(err)
	}
	s.ends()
	if b.get(acmeProvisioning).byID("progress").has("data-stream") {
		t.Error("the page of a job that is off follows a stream")
	}
}

func TestAStreamTellsOfAPlan(t *testing.T) {
	t.Parallel()
	o, h, app := liveOffice(t)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	b := o.operator()
	plan, err := o.engine.BeginPlan(t.Context(), key, "operator:kim")
	if err != nil {
		t.Fatal(err)
	}
	at := acmeProvisioning + "/plan"
	page := b.get(at + "?plan=" + plan.ID).wantWords("The plan is being made.")
	address := page.byID("plan").attr["data-stream"]
	if want := at + "/stream?plan=" + plan.ID; address != want {
		t.Fatalf("the page names the stream %q, want %q", address, want)
	}
	s := b.stream(address)
	s.sees("The plan is being made.")
	if _, err := o.engine.FillPlan(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	s.sees("Ready", "Ada Lovelace")
	s.ends()
	if b.get(at).byID("plan").has("data-stream") {
		t.Error("the page of a plan that is ready follows a stream")
	}
}

// TestStreamsEnd opens a stream and takes its reason away. The stream ends each time.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do     func(o *office, h *directory.Handle, app directory.Application, b *browser) error
		status int // of the next try to open the stream
	}{
		"at_sign-out": {func(_ *office, _ *directory.Handle, _ directory.Application, b *browser) error {
			b.send(http.MethodPost, "/d/sign-out", nil)
			return nil
		}, http.StatusUnauthorized},
		"when_all_sessions_of_the_operator_end": {func(o *office, _ *directory.Handle, _ directory.Application, _ *browser) error {
			_, err := o.operators.SignOutEverywhere(t.Context(), "kim", "cli")
			return err
		}, http.StatusUnauthorized},
		"when_the_operator_is_removed": {func(o *office, _ *directory.Handle, _ directory.Application, _ *browser) error {
			return o.operators.Remove(t.Context(), "kim", "cli")
		}, http.StatusUnauthorized},
		"when_the_job_is_deleted": {func(o *office, h *directory.Handle, app directory.Application, _ *browser) error {
			return o.jobs.Delete(t.Context(), provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}, "cli")
		}, http.StatusNotFound},
		"when_the_application_is_deleted": {func(_ *office, h *directory.Handle, app directory.Application, _ *browser) error {
			_, err := h.DeleteApplication(t.Context(), app.ID, "cli")
			return err
		}, http.StatusNotFound},
		"when_the_directory_is_deleted": {func(o *office, h *directory.Handle, _ directory.Application, _ *browser) error {
			_, err := o.directories.Delete(t.Context(), h.Directory, "cli")
			return err
		}, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, h, app := liveOffice(t)
			b := o.operator()
			s := b.stream(acmeStream)
			s.sees("Provisioning")
			if err := tt.do(o, h, app, b); err != nil {
				t.Fatal(err)
			}
			s.ends()
			if again := b.stream(acmeStream); again.status != tt.status {
				t.Errorf("the stream opens again with the status %d, want %d", again.status, tt.status)
			}
		})
	}
	t.Run("when_the_server_stops", func(t *testing.T) {
		t.Parallel()
		o, _, _ := liveOffice(t)
		life, stop := context.WithCancel(t.Context())
		defer stop()
		o.pages.Lifetime = life
		s := o.operator().stream(acmeStream)
		s.sees("Provisioning")
		stop()
		s.ends()
	})
}

// TestAStreamIsOfItsOwnDirectoryOnly asks for the stream of another directory's application.
func TestAStreamIsOfItsOwnDirectoryOnly(t *testing.T) {
	t.Parallel()
	o, _, app := liveOffice(t)
	o.directory("globex", "userPrincipalName,displayName\nzed@globex.example,Zed\n")
	b := o.operator()
	for _, path := range []string{"/d/globex/applications/Acme/provisioning/stream", "/d/globex/applications/" + app.ID + "/provisioning/stream", "/d/globex/applications/" + app.ID + "/provisioning/plan/stream", "/d/none/applications/Acme/provisioning/stream"} {
		s := b.stream(path)
		if s.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, s.status)
		}
		s.close()
	}
}

// TestAnOperatorHasALimitedNumberOfStreams opens as many streams as one operator may have. One more
// is refused, until one of them is closed. Another operator is not concerned.
func TestAnOperatorHasALimitedNumberOfStreams(t *testing.T) {
	t.Parallel()
	o, _, _ := liveOffice(t)
	b := o.operator()
	var open []*eventStream
	for range 20 {
		s := b.stream(acmeStream)
		s.sees("Provisioning")
		open = append(open, s)
	}
	if s := b.stream(acmeStream); s.status != http.StatusTooManyRequests {
		t.Errorf("stream 21 has the status %d, want 429", s.status)
	}
	if s := o.operatorNamed("sam").stream(acmeStream); s.status != http.StatusOK {
		t.Errorf("the stream of another operator has the status %d", s.status)
	}
	open[0].close()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s := b.stream(acmeStream)
		if s.status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after one stream was closed, another has the status %d", s.status)
		}
	}
}

// TestARunningCycleMovesThePage looks at the page of a job in a browser while a cycle runs.
func TestARunningCycleMovesThePage(t *testing.T) {
	t.Parallel()
	b := apptest.OpenBrowser(t)
	o, h, acme := liveOffice(t)
	globex, initech := o.liveJob(h, "Globex"), o.liveJob(h, "Initech")
	o.pages.Console.Options.PublicURL = ""
	var polls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("HX-Request") != "":
			polls.Add(1)
		case strings.HasSuffix(r.URL.Path, "/Globex/provisioning/stream"):
			http.Error(w, "blocked", http.StatusServiceUnavailable)
			return
		case strings.HasSuffix(r.URL.Path, "/Initech/provisioning/stream"):
			// Like a proxy that gathers the events and sends nothing.
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
			return
		}
		o.server.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	link, err := o.operators.Link(t.Context(), "kim", "cli")
	if err != nil {
		t.Fatal(err)
	}
	win := b.Window(t, "Kim")
	t.Cleanup(func() { win.Open("about:blank") }) // ends the streams, so that the server can close
	win.Open(server.URL + link.Path)
	win.Clicks("Sign in as kim")
	for _, tt := range []struct {
		name  string
		app   directory.Application
		polls bool
	}{
		{"by_its_stream", acme, false},
		{"by_polling_when_the_stream_is_refused", globex, true},
		{"by_polling_when_the_stream_is_silent", initech, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			win.Report(t)
			win.Open(server.URL + "/d/contoso/applications/" + tt.app.Name + "/provisioning")
			win.Sees("No cycle has run yet.")
			polls.Store(0)
			win.Runs(`(() => { window.sameDocument = true; document.querySelector('#progress a[href$="/logs"]').focus(); })()`, nil)
			if !tt.polls {
				// The stream has sent something, so the part does not poll.
				win.Runs(`new Promise((done) => { const look = () => streamHeard > 0 ? done(true) : setTimeout(look, 20); look(); })`, nil)
			}
			before := polls.Load()
			o.cycle(h, tt.app)
			win.Sees("Initial cycle", "Completed", "The last cycle ended")
			var got struct {
				Same  bool
				Focus string
			}
			win.Runs(`({ Same: window.sameDocument === true, Focus: document.activeElement?.getAttribute("href") ?? "" })`, &got)
			if !got.Same {
				t.Error("the browser loaded the page again")
			}
			if !strings.HasSuffix(got.Focus, "/provisioning/logs") {
				t.Errorf("the focus is on %q, want it to stay on the link to the logs", got.Focus)
			}
			if now := polls.Load(); (now > before) != tt.polls {
				t.Errorf("the page polled %d times", now-before)
			}
		})
	}
}
