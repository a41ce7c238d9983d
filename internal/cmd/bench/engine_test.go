package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Requests are sorted by the group that they are about, in their order, and other requests are left out.
func TestGroupScriptsHoldTheRequestsAboutEachGroup(t *testing.T) {
	t.Parallel()
	created := func(name, id string) exchange {
		return exchange{method: "POST", target: "/Groups", body: []byte(`{"displayName":"` + name + `"}`), answer: []byte(`{"id":"` + id + `","displayName":"` + name + `"}`), status: 201}
	}
	scripts, err := requestsByGroup([]exchange{
		{method: "GET", target: "/Users?filter=userName+eq+%22ada%22"},
		{method: "GET", target: "/Groups?filter=displayName+eq+%22Sales%22"},
		created("Sales", "g1"),
		created("Support", "g2"),
		{method: "PATCH", target: "/Groups/g2", body: []byte("first")},
		{method: "PATCH", target: "/Groups/g1", body: []byte("second")},
		{method: "PATCH", target: "/Groups/g2", body: []byte("third")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, script := range scripts {
		var words []string
		for _, r := range script {
			words = append(words, r.method+" "+r.target+" "+string(r.body))
		}
		texts = append(texts, strings.Join(words, "; "))
	}
	got := strings.Join(texts, "\n")
	for _, want := range []string{
		`GET /Groups?filter=displayName+eq+%22Sales%22 ; POST /Groups {"displayName":"Sales"}; PATCH /Groups/{id} second`,
		`POST /Groups {"displayName":"Support"}; PATCH /Groups/{id} first; PATCH /Groups/{id} third`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwhich lacks\n%s", got, want)
		}
	}
	if len(scripts) != 2 {
		t.Errorf("got %d scripts, want 2", len(scripts))
	}
	if _, err := requestsByGroup(nil); err == nil {
		t.Error("no error without a group")
	}
}

// A tap passes on what both sides say, and refuses what is above the rate.
func TestTapPassesOnAndRefusesAboveTheRate(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), body)
	}))
	t.Cleanup(site.Close)
	tapped, err := startTap(t.Context(), anyPort, strings.TrimPrefix(site.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tapped.stop(); err != nil {
			t.Error(err)
		}
	})
	var seen []exchange
	tapped.setWatch(func(x exchange) { seen = append(seen, x) })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+tapped.addr+scimPath+"/Users?x=1", strings.NewReader("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer s")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := "POST " + scimPath + "/Users?x=1 Bearer s Ada"; string(text) != want || answer.StatusCode != http.StatusCreated || answer.Header.Get("Content-Type") != "application/scim+json" {
		t.Errorf("got %d %q, want %q", answer.StatusCode, text, want)
	}
	tapped.mu.Lock()
	if len(seen) != 1 || seen[0].target != "/Users?x=1" || string(seen[0].body) != "Ada" || seen[0].status != http.StatusCreated {
		t.Errorf("the tap has seen %+v", seen)
	}
	tapped.perSec = 2
	tapped.mu.Unlock()
	now := time.Unix(1_000_000, 0)
	var allowed []bool
	for _, after := range []time.Duration{0, 0, 0, 999 * time.Millisecond, time.Second} {
		allowed = append(allowed, tapped.allow(now.Add(after)))
	}
	if got, want := fmt.Sprint(allowed), "[true true false false true]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if passed, refused := tapped.counts(); passed != 4 || refused != 2 {
		t.Errorf("counted %d passed and %d refused, want 4 and 2", passed, refused)
	}
}
