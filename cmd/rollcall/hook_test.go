package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// hookServer is an endpoint for webhooks at $HOOKS. It refuses every request below /down.
type hookServer struct {
	*httptest.Server
	mu  sync.Mutex
	got []hookRequest
}

type hookRequest struct {
	path   string
	header http.Header
	body   string
}

func newHookServer() *hookServer {
	s := &hookServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/down") {
			http.Error(w, "closed for today", http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, hookRequest{r.URL.Path, r.Header.Clone(), string(body)})
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "taken") // the sender reads only a part
	}))
	return s
}

// hookInScript implements the command "hook PATH SECRETFILE PATTERN" of scripts. It waits until the
// server at $HOOKS has received a request at the path. The body of the request must match the
// pattern, and the secret in the file must verify the request.
func hookInScript(ts *testscript.TestScript, neg bool, args []string, s *hookServer) {
	v, err := standardwebhooks.NewWebhook(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	pattern, err := regexp.Compile(args[2])
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		found := slices.ContainsFunc(s.got, func(r hookRequest) bool {
			return r.path == args[0] && pattern.MatchString(r.body) && v.Verify([]byte(r.body), r.header) == nil
		})
		s.mu.Unlock()
		switch {
		case found && neg:
			ts.Fatalf("a request at %s matches %q", args[0], args[2])
		case found || neg:
			return
		}
	}
	ts.Fatalf("no request at %s matches %q and is signed", args[0], args[2])
}
