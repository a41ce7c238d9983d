package web

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Limits of every server. MaxBodyBytes is the limit for all handlers; most of them set a smaller
// limit.
const (
	MaxHeaderBytes = 64 << 10
	MaxBodyBytes   = 64 << 20
	headerTimeout  = 10 * time.Second // how long reading the headers of a request may take
	readTimeout    = 60 * time.Second // how long reading a whole request may take
	writeTimeout   = 90 * time.Second // how long a handler and writing its answer may take
	idleTimeout    = 2 * time.Minute  // how long a connection without requests stays open
)

// requestIDHeader is the header with the id of a request, in requests and in answers.
const requestIDHeader = "X-Request-Id"

// Front prepares requests for all handlers. The zero value works: it trusts no proxy and logs
// nothing.
type Front struct {
	Proxies Proxies      // the proxies whose forwarded headers are trusted
	Log     *slog.Logger // receives the access log
	Now     func() time.Time
	// Observe is called after each request with the pattern of its route, its method, its status
	// and the time that it took. The pattern names no person. Observe may be nil.
	Observe func(route, method string, status int, took time.Duration)
	// Deadline is how long the context of a request lasts; zero means 60 seconds.
	Deadline time.Duration
	// PanicPage serves the answer after a panic, if nothing was written yet. If it is nil, the
	// answer is a plain 500 with the request id.
	PanicPage http.Handler
}

// NewServer returns an http.Server with the limits of this package.
func NewServer(addr string, h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Addr:              addr,
		Handler:           h,
		MaxHeaderBytes:    MaxHeaderBytes,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
	}
	if log != nil {
		s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	}
	return s
}

// RequestID returns the id of a request, which the answer and the log carry. It is valid only
// behind Front.
func RequestID(r *http.Request) string { return r.Header.Get(requestIDHeader) }

// Handler returns a handler that runs the steps in the package comment and then calls next.
func (f Front) Handler(next http.Handler) http.Handler {
	if f.Log == nil {
		f.Log = slog.New(slog.DiscardHandler)
	}
	if f.Now == nil {
		f.Now = time.Now
	}
	if f.Deadline == 0 {
		f.Deadline = 60 * time.Second
	}
	if f.PanicPage == nil {
		f.PanicPage = http.HandlerFunc(servePlainError)
	}
	secure := secureHeaders()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := f.Now()
		lasting := r.Context()
		ctx, cancel := WithTimeout(lasting, f.Deadline)
		defer cancel()
		r = copyRequest(ctx, r)
		trusted := f.Proxies.applyForwarded(r)
		if id := RequestID(r); !trusted || !isPlainID(id) {
			r.Header[requestIDHeader] = []string{rand.Text()[:16]}
		}
		out := &recorder{ResponseWriter: w, ctx: lasting}
		h := out.Header()
		h[requestIDHeader] = r.Header[requestIDHeader][:1:1]
		secure.set(h, IsSecure(r))
		if r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(out, r.Body, MaxBodyBytes)
		}

		defer f.logRequest(out, r, start)
		next.ServeHTTP(out, r)
	})
}

// copyRequest copies the parts of a request that this package and later handlers change: the URL
// and the map of headers. Values of headers are replaced, never changed in place. The server keeps
// using the original request.
func copyRequest(ctx context.Context, r *http.Request) *http.Request {
	r = r.WithContext(ctx)
	to := *r.URL
	r.URL = &to
	r.Header = maps.Clone(r.Header)
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return r
}

// logRequest logs the request after it has ended. If the handler panicked, it first serves
// PanicPage. If the answer was already begun or aborted, it panics again, and writes no access
// line.
func (f Front) logRequest(out *recorder, r *http.Request, start time.Time) {
	if cause := recover(); cause != nil {
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		f.Log.Error("request panicked", "request", RequestID(r), "route", routeName(r), "panic", cause, "stack", string(debug.Stack()))
		if out.status != 0 {
			// A part of the answer was already sent. Close the connection, so that the client does
			// not take that part for the whole answer.
			panic(http.ErrAbortHandler)
		}
		f.PanicPage.ServeHTTP(out, r)
	}
	if f.Observe != nil {
		f.Observe(routeName(r), methodName(r.Method), out.finalStatus(), f.Now().Sub(start))
	}
	f.writeAccessLine(out, r, start)
}

// writeAccessLine writes the request's line to the log. It does not use a slog.Logger, because a
// Logger would also look up the line of code, which the log does not show.
func (f Front) writeAccessLine(out *recorder, r *http.Request, start time.Time) {
	ctx := r.Context()
	if !f.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	end := f.Now()
	line := slog.NewRecord(end, slog.LevelInfo, "request", 0)
	line.AddAttrs(
		slog.String("request", RequestID(r)),
		slog.String("method", methodName(r.Method)),
		slog.String("route", routeName(r)),
		slog.String("area", areaName(r.URL.Path)),
		slog.Int("status", out.finalStatus()),
		slog.Int64("bytes", out.bytes),
		slog.Int64("ms", end.Sub(start).Milliseconds()),
	)
	// Ignore the error, as a Logger does: the log cannot report that it cannot be written.
	_ = f.Log.Handler().Handle(ctx, line)
}

// servePlainError answers 500, with a short message that contains the request id.
func servePlainError(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "Something broke on our side. Tell your administrator the request number "+RequestID(r)+".", http.StatusInternalServerError)
}

// secureHeaderSet holds the default security headers of answers. Handlers of pages and of SCIM may
// replace a header by a stricter one.
type secureHeaderSet struct {
	always []headerField // the headers of every answer
	https  headerField   // the header of an answer over https
}

// headerField is a header with its values. All answers share the slice of values. The capacity of
// the slice equals its length, so an append makes a copy and does not change other answers.
type headerField struct {
	name   string // the name of the header, in canonical form
	values []string
}

// secureHeaders returns the default security headers.
func secureHeaders() secureHeaderSet {
	one := func(name, value string) headerField { return headerField{name, []string{value}} }
	return secureHeaderSet{
		always: []headerField{
			one("Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
			one("X-Content-Type-Options", "nosniff"),
			one("X-Frame-Options", "DENY"),
			one("Referrer-Policy", "same-origin"),
			one("Cross-Origin-Opener-Policy", "same-origin"),
			one("Cross-Origin-Resource-Policy", "same-origin"),
			one("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
		},
		https: one("Strict-Transport-Security", "max-age=31536000"),
	}
}

// set adds the security headers to the headers of an answer.
func (s secureHeaderSet) set(h http.Header, https bool) {
	for _, f := range s.always {
		h[f.name] = f.values
	}
	if https {
		h[s.https.name] = s.https.values
	}
}

// routeName returns the pattern of the route, which contains no names of people. Handlers that do
// their own routing set r.Pattern. If no pattern is set, routeName returns "-".
func routeName(r *http.Request) string {
	if r.Pattern == "" {
		return "-"
	}
	return r.Pattern
}

// areaName returns a path such as "/c/acme" or "/d/contoso", which names a site or a directory and
// never a person. For other paths it returns "".
func areaName(path string) string {
	if !strings.HasPrefix(path, "/c/") && !strings.HasPrefix(path, "/d/") {
		return ""
	}
	name, _, more := strings.Cut(path[len("/c/"):], "/")
	if !more || !isPlainID(name) {
		return ""
	}
	return path[:len("/c/")+len(name)]
}

// methodName returns the method of a request for the log and the metrics, or "other" if the method
// is long or has strange characters.
func methodName(method string) string {
	if len(method) > 10 || !isPlainID(method) {
		return "other"
	}
	return method
}

// isPlainID reports whether a string is safe in a log or a header: 1 to 64 letters, digits, dots,
// dashes or underscores.
func isPlainID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// recorder records the status and the size of the answer.
type recorder struct {
	http.ResponseWriter
	ctx    context.Context // the context of the connection, which has no deadline
	status int             // the final status; 0 if it was not sent yet
	bytes  int64           // how many bytes of the body were sent
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the status. It records the first status that is not an interim status (1xx).
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends bytes to the client and counts them.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// finalStatus returns the status of the answer. Go sends 200 if the handler sends none.
func (w *recorder) finalStatus() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
