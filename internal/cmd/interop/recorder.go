package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// recorder stands between Rollcall and a target. It passes every request on and counts the
// requests. It can also keep requests with their answers.
type recorder struct {
	server *http.Server // receives the requests
	addr   string       // the address of the recorder, as host:port

	mu        sync.Mutex               // guards the fields below
	requests  map[string]int           // the number of requests, by method
	exchanges []exchange               // the requests and answers that were kept
	keep      func(*http.Request) bool // reports whether to keep a request and its answer; nil means to keep none
}

// exchange is a request and its answer. It contains no headers, and so no credentials.
type exchange struct {
	Request  string `json:"request"`        // the request's method, path and query
	Sent     string `json:"sent,omitempty"` // the body of the request
	Status   int    `json:"status"`
	Type     string `json:"type,omitempty"`     // the Content-Type of the answer
	Received string `json:"received,omitempty"` // the body of the answer
}

// startRecorder starts a recorder on a free port of this machine. The recorder passes requests on
// to the host of the URL target.
func startRecorder(target string) (*recorder, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	rec := &recorder{addr: ln.Addr().String(), requests: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host },
		// Some targets close idle connections without notice, and accept only a few at a time.
		Transport: &http.Transport{DisableKeepAlives: true, MaxConnsPerHost: 4},
	}
	rec.server = &http.Server{Handler: rec.wrapHandler(proxy), ReadHeaderTimeout: time.Minute}
	go func() {
		if err := rec.server.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			panic(err) // the listener is open, so this cannot happen
		}
	}()
	return rec, nil
}

// wrapHandler returns a handler that calls next, counts the request, and keeps it if keep says so.
func (rec *recorder) wrapHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
		answer := &answerCopy{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.requests[r.Method]++
		if rec.keep != nil && rec.keep(r) {
			rec.exchanges = append(rec.exchanges, exchange{
				Request: r.Method + " " + r.URL.RequestURI(), Sent: string(sent),
				Status: answer.status, Type: answer.Header().Get("Content-Type"), Received: answer.body.String(),
			})
		}
	})
}

// answerCopy is a response writer that keeps a copy of the status and the body that it writes.
type answerCopy struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader sends the status, and keeps a copy of it.
func (a *answerCopy) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body, and keeps a copy of it.
func (a *answerCopy) Write(b []byte) (int, error) {
	a.body.Write(b)
	return a.ResponseWriter.Write(b)
}

// count returns the number of all requests so far, and the number of requests that write.
func (rec *recorder) count() (all, writes int) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for method, n := range rec.requests {
		all += n
		if method != http.MethodGet {
			writes += n
		}
	}
	return all, writes
}

// stop ends the recorder.
func (rec *recorder) stop() error { return rec.server.Close() }
