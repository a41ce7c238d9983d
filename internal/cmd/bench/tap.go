package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// tap is a proxy between the engine and the site. It shows each exchange to the function watch
// before it passes the answer on. It can refuse requests above a rate.
type tap struct {
	addr   string       // the address of the tap, as host:port
	target string       // the address of the site, as host:port
	client *http.Client // sends the requests to the site
	server *http.Server // receives the requests of the engine

	mu      sync.Mutex
	watch   func(exchange) // called for each exchange, one at a time; may be nil
	perSec  int            // how many requests are let through in a second; 0 for no limit
	second  int64          // the second of the Unix time to which passed belongs
	passed  int            // requests that were let through in that second
	allowed int            // requests that were let through in total
	refused int            // requests that were answered 429
}

// exchange is a request of the engine and the site's answer to it.
type exchange struct {
	method, target string    // the target is the path below the base URL, with the query
	body, answer   []byte    // the bodies of the request and of the answer
	status         int       // the status of the answer
	answered       time.Time // when the answer came
}

// startTap starts a tap at addr. It passes requests on to target. Both addresses have the form
// host:port.
func startTap(ctx context.Context, addr, target string) (*tap, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	t := &tap{addr: listener.Addr().String(), target: target, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxClients}}}
	t.server = &http.Server{Handler: t, ReadHeaderTimeout: time.Minute}
	go func() {
		if err := t.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("the proxy between engine and site ended:", err)
		}
	}()
	return t, nil
}

// stop ends the tap.
func (t *tap) stop() error {
	t.client.CloseIdleConnections()
	return t.server.Close()
}

// setWatch makes the tap call watch for each further exchange.
func (t *tap) setWatch(watch func(exchange)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch = watch
}

// counts returns how many requests were let through and how many were refused.
func (t *tap) counts() (allowed, refused int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.allowed, t.refused
}

// allow reports whether a request is within the rate, and counts it.
func (t *tap) allow(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if second := now.Unix(); second != t.second {
		t.second, t.passed = second, 0
	}
	if t.perSec > 0 && t.passed >= t.perSec {
		t.refused++
		return false
	}
	t.passed++
	t.allowed++
	return true
}

// ServeHTTP passes a request on to the site, or refuses it if it is above the rate.
func (t *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !t.allow(time.Now()) {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"429","detail":"too many requests"}`)
		return
	}
	did, header, err := t.forward(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	t.passToWatcher(did)
	for _, name := range []string{"Content-Type", "ETag", "Location", "Retry-After"} {
		if value := header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	if did.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(did.answer)))
	}
	w.WriteHeader(did.status)
	w.Write(did.answer)
}

// passToWatcher calls watch with an exchange, if watch is not nil.
func (t *tap) passToWatcher(did exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watch != nil {
		t.watch(did)
	}
}

// forward sends a request to the site and reads the answer.
func (t *tap) forward(r *http.Request) (did exchange, header http.Header, err error) {
	did.method, did.target = r.Method, r.URL.RequestURI()[min(len(scimPath), len(r.URL.RequestURI())):]
	if did.body, err = io.ReadAll(r.Body); err != nil {
		return did, nil, err
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+t.target+r.URL.RequestURI(), bytes.NewReader(did.body))
	if err != nil {
		return did, nil, err
	}
	request.Header = r.Header.Clone()
	answer, err := t.client.Do(request)
	if err != nil {
		return did, nil, err
	}
	defer answer.Body.Close()
	did.answer, err = io.ReadAll(answer.Body)
	did.status, did.answered = answer.StatusCode, time.Now()
	return did, answer.Header, err
}
