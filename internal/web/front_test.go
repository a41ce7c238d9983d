package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seen is what a handler behind Front finds in its request.
type seen struct{ Host, Scheme, Remote, Forwarded string }

func through(t *testing.T, f Front, r *http.Request) (seen, *httptest.ResponseRecorder) {
	t.Helper()
	var got seen
	rec := httptest.NewRecorder()
	f.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = seen{Host: r.Host, Scheme: r.URL.Scheme, Remote: RemoteIP(r), Forwarded: r.Header.Get("X-Forwarded-For") + r.Header.Get("Forwarded") + r.Header.Get("X-Real-Ip")}
	})).ServeHTTP(rec, r)
	return got, rec
}

func request(t *testing.T, path string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Host = "inside:8080"
	return r
}

func TestProxies(t *testing.T) {
	t.Parallel()
	proxies, err := ParseProxies([]string{"10.0.0.0/8", " 192.0.2.9 ", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, peer string
		header     map[string]string
		want       seen
	}{
		{"without_headers_the_connection_counts", "10.1.1.1:999", nil, seen{"inside:8080", "http", "10.1.1.1", ""}},
		{
			"of_a_trusted_proxy_are_believed", "10.1.1.1:999",
			map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "rollcall.example", "X-Forwarded-For": "203.0.113.5"},
			seen{"rollcall.example", "https", "203.0.113.5", ""},
		},
		{
			"of_anybody_else_are_not", "203.0.113.99:999",
			map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
			seen{"inside:8080", "http", "203.0.113.99", ""},
		},
		{
			"what_the_client_wrote_in_front_does_not_count", "192.0.2.9:1",
			map[string]string{"X-Forwarded-For": "127.0.0.1, 203.0.113.5, 10.2.2.2"},
			seen{"inside:8080", "http", "203.0.113.5", ""},
		},
		{
			"a_chain_of_proxies_alone_ends_at_its_first", "10.1.1.1:1",
			map[string]string{"X-Forwarded-For": "10.3.3.3, 10.2.2.2"},
			seen{"inside:8080", "http", "10.3.3.3", ""},
		},
		{
			"nonsense_is_left_out", "10.1.1.1:1",
			map[string]string{"X-Forwarded-For": "unknown", "X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "a/b"},
			seen{"inside:8080", "http", "10.1.1.1", ""},
		},
		{"a_host_with_a_line_end_is_left_out", "10.1.1.1:1", map[string]string{"X-Forwarded-Host": "a\nb"}, seen{"inside:8080", "http", "10.1.1.1", ""}},
		{"a_host_with_markup_is_left_out", "10.1.1.1:1", map[string]string{"X-Forwarded-Host": "a\"><script>"}, seen{"inside:8080", "http", "10.1.1.1", ""}},
		{"a_host_of_version_6", "10.1.1.1:1", map[string]string{"X-Forwarded-Host": "[2001:db8::5]:8443"}, seen{"[2001:db8::5]:8443", "http", "10.1.1.1", ""}},
		{"version_6_with_port", "[fd00::1]:1", map[string]string{"X-Forwarded-For": "[2001:db8::5]:443"}, seen{"inside:8080", "http", "2001:db8::5", ""}},
		{"version_4_inside_version_6", "[::ffff:10.1.1.1]:1", map[string]string{"X-Forwarded-Proto": "https"}, seen{"inside:8080", "https", "10.1.1.1", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := request(t, "/")
			r.RemoteAddr = tt.peer
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			got, _ := through(t, Front{Proxies: proxies}, r)
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("got -, want +:\n%s", diff)
			}
		})
	}
	t.Run("a_bad_block_names_itself", func(t *testing.T) {
		t.Parallel()
		if _, err := ParseProxies([]string{"10.0.0.0/8", "proxy.example"}); err == nil || !strings.Contains(err.Error(), `"proxy.example"`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	proxies, err := ParseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(peer, id string) string {
		r := request(t, "/")
		r.RemoteAddr = peer
		r.Header.Set("X-Request-Id", id)
		_, rec := through(t, Front{Proxies: proxies}, r)
		return rec.Header().Get("X-Request-Id")
	}
	if got := ask("10.1.1.1:1", "abc-123"); got != "abc-123" {
		t.Errorf("from a trusted proxy: got %q, want its own", got)
	}
	for _, forged := range []string{ask("203.0.113.5:1", "abc-123"), ask("10.1.1.1:1", "a b\"c"), ask("10.1.1.1:1", strings.Repeat("a", 65)), ask("10.1.1.1:1", "")} {
		if len(forged) != 16 || forged == "abc-123" {
			t.Errorf("got %q, want one of ours", forged)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	_, plain := through(t, Front{}, request(t, "/"))
	for name, want := range map[string]string{
		"Content-Security-Policy":   "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
		"X-Content-Type-Options":    "nosniff",
		"Referrer-Policy":           "same-origin",
		"X-Frame-Options":           "DENY",
		"Strict-Transport-Security": "",
	} {
		if got := plain.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	proxies, err := ParseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, "/")
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Set("X-Forwarded-Proto", "https")
	if _, rec := through(t, Front{Proxies: proxies}, r); rec.Header().Get("Strict-Transport-Security") == "" {
		t.Error("https without Strict-Transport-Security")
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	f := Front{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Now: func() time.Time { now = now.Add(5 * time.Millisecond); return now },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /c/{site}/admin/people/{person}", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short") //nolint:errcheck // a recorder
	})
	h := f.Handler(mux)
	r := request(t, "/c/acme/admin/people/ada@acme.example?q=secret-word")
	r.RemoteAddr = "203.0.113.5:99"
	r.Header.Set("User-Agent", "Ada's browser")
	h.ServeHTTP(httptest.NewRecorder(), r)
	line := log.String()
	for _, want := range []string{`route="GET /c/{site}/admin/people/{person}"`, "area=/c/acme", "status=418", "bytes=5", "ms=5", "method=GET", "request="} {
		if !strings.Contains(line, want) {
			t.Errorf("the log does not say %s: %s", want, line)
		}
	}
	for _, private := range []string{"ada", "secret-word", "203.0.113.5", "browser"} {
		if strings.Contains(line, private) {
			t.Errorf("the log says %q: %s", private, line)
		}
	}

	log.Reset()
	odd := request(t, "/c/ada@acme.example/x")
	odd.Method = "ADA@EXAMPLE"
	h.ServeHTTP(httptest.NewRecorder(), odd)
	if strings.Contains(strings.ToLower(log.String()), "ada") {
		t.Errorf("an odd path or method is logged as it came: %s", log.String())
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := Front{Log: slog.New(slog.NewTextHandler(&log, nil))}

	t.Run("before_the_answer_become_a_500_that_names_the_request", func(t *testing.T) {
		rec := httptest.NewRecorder()
		f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })).ServeHTTP(rec, request(t, "/"))
		id := rec.Header().Get("X-Request-Id")
		if rec.Code != http.StatusInternalServerError || !strings.Contains(rec.Body.String(), id) || strings.Contains(rec.Body.String(), "boom") {
			t.Errorf("got %d: %s", rec.Code, rec.Body)
		}
		if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "request="+id) || !strings.Contains(log.String(), "front_test.go") {
			t.Errorf("the log lacks cause, request or place: %s", log.String())
		}
	})
	t.Run("within_the_answer_cut_the_connection", func(t *testing.T) {
		s := httptest.NewServer(f.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half") //nolint:errcheck // part of the staged failure
			panic("boom")
		})))
		defer s.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Client().Do(r)
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			answer.Body.Close() //nolint:errcheck // read to its end
		}
		if err == nil {
			t.Error("half an answer passed as whole")
		}
	})
	t.Run("that_abort_on_purpose_pass", func(t *testing.T) {
		defer func() {
			if got := recover(); got != http.ErrAbortHandler {
				t.Errorf("got %v, want http.ErrAbortHandler", got)
			}
		}()
		f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).ServeHTTP(httptest.NewRecorder(), request(t, "/"))
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("body_is_bounded", func(t *testing.T) {
		t.Parallel()
		r := request(t, "/")
		r.Body = io.NopCloser(io.LimitReader(zeros{}, MaxBodyBytes+1))
		var got error
		Front{}.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, got = io.Copy(io.Discard, r.Body)
		})).ServeHTTP(httptest.NewRecorder(), r)
		var large *http.MaxBytesError
		if !errors.As(got, &large) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("time_is_bounded", func(t *testing.T) {
		t.Parallel()
		var left time.Duration
		Front{Deadline: time.Minute}.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if end, ok := r.Context().Deadline(); ok {
				left = time.Until(end)
			}
		})).ServeHTTP(httptest.NewRecorder(), request(t, "/"))
		if left <= 0 || left > time.Minute {
			t.Errorf("got %s", left)
		}
	})
	t.Run("server_has_them_all", func(t *testing.T) {
		t.Parallel()
		s := NewServer("127.0.0.1:0", http.NotFoundHandler(), nil)
		if s.MaxHeaderBytes == 0 || s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 {
			t.Errorf("a limit is missing: %+v", s)
		}
	})
	t.Run("answers_can_still_be_flushed", func(t *testing.T) {
		t.Parallel()
		rec := httptest.NewRecorder()
		Front{}.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		})).ServeHTTP(rec, request(t, "/"))
		if !rec.Flushed {
			t.Error("not flushed")
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestHealth(t *testing.T) {
	t.Parallel()
	var broken error
	mux := http.NewServeMux()
	var log bytes.Buffer
	health := Health{Ready: func(context.Context) error { return broken }, Log: slog.New(slog.NewTextHandler(&log, nil))}
	health.Register(mux)
	ask := func(path string) (int, string) {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return rec.Code, rec.Body.String()
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if code, text := ask(path); code != http.StatusOK || text != want {
			t.Errorf("%s: got %d %q", path, code, text)
		}
	}
	broken = errors.New("dial tcp db.internal: refused")
	if code, text := ask("/readyz"); code != http.StatusServiceUnavailable || strings.Contains(text, "db.internal") {
		t.Errorf("got %d %q", code, text)
	}
	if !strings.Contains(log.String(), "db.internal") {
		t.Error("the log does not say why")
	}
	if code, _ := ask("/healthz"); code != http.StatusOK {
		t.Errorf("a broken database ends the process: %d", code)
	}
	// However often someone asks, the log has one line for each change.
	for range 3 {
		ask("/readyz")
	}
	broken = nil
	for range 3 {
		if code, _ := ask("/readyz"); code != http.StatusOK {
			t.Errorf("not ready again: %d", code)
		}
	}
	broken = errors.New("disk is full")
	ask("/readyz")
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "db.internal") || !strings.Contains(lines[1], "ready again") || !strings.Contains(lines[2], "disk is full") {
		t.Errorf("got the log\n%s", log.String())
	}
}
