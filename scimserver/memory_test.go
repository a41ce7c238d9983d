package scimserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
)

// largeTitle makes a user nearly one megabyte large. A page of four megabytes holds four such users.
var largeTitle = strings.Repeat("x", 900_000)

// bringLarge adds users with a large title.
func (w *world) bringLarge(n int) (ids []string) {
	docs := make([]string, n)
	for i := range docs {
		docs[i] = fmt.Sprintf(`{"userName":"large%02d","title":"%02d %s","profileUrl":"https://x.example/%02d"}`, i, n-i, largeTitle, i)
	}
	for _, doc := range w.bring(docs...) {
		ids = append(ids, doc.ID)
	}
	return ids
}

// TestPagesOfLargeResourcesAreShort reads lists of large resources in every way. No page exceeds
// the limit of a page, and no user is missing or repeated.
func TestPagesOfLargeResourcesAreShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	want := w.bringLarge(11)
	reversed := slices.Clone(want)
	slices.Reverse(reversed)
	const page = 4 << 20
	for name, c := range map[string]struct {
		path string
		want []string
	}{
		"all":                   {"/Users?count=500", want},
		"filtered_by_an_index":  {`/Users?count=500&filter=userName%20sw%20%22large%22`, want},
		"filtered_by_a_scan":    {`/Users?count=500&filter=title%20co%20%22xx%22`, want},
		"sorted_by_an_index":    {"/Users?count=500&sortBy=userName", want},
		"sorted_by_a_scan":      {"/Users?count=500&sortBy=title", reversed},
		"sorted_and_filtered":   {`/Users?count=500&sortBy=profileUrl&sortOrder=descending&filter=title%20co%20%22xx%22`, reversed},
		"projected":             {"/Users?count=500&attributes=userName", want},
		"of_all_types":          {"?count=500", want},
		"of_all_types_sorted":   {"?count=500&sortBy=title", reversed},
		"of_all_types_filtered": {`?count=500&filter=title%20co%20%22xx%22`, want},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("by_index", func(t *testing.T) {
				var got []string
				for len(got) < len(c.want) {
					answer := w.send(fmt.Sprintf("GET %s&startIndex=%d", c.path, len(got)+1))
					ids, _ := w.idsOf(t, answer, page, len(want))
					if len(ids) == 0 {
						t.Fatalf("the list ends after %d of %d", len(got), len(c.want))
					}
					got = append(got, ids...)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
			t.Run("by_cursor", func(t *testing.T) {
				var got, back []string
				cursor, previous := "", ""
				for {
					answer := w.send("GET " + c.path + "&cursor=" + cursor)
					ids, b := w.idsOf(t, answer, page, len(want))
					got = append(got, ids...)
					next, _ := b["nextCursor"].(string)
					if next == "" {
						previous, _ = b["previousCursor"].(string)
						break
					}
					cursor = next
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
				for previous != "" {
					answer := w.send("GET " + c.path + "&cursor=" + previous)
					ids, b := w.idsOf(t, answer, page, len(want))
					back = append(ids, back...)
					previous, _ = b["previousCursor"].(string)
				}
				// Over all types, the last page has groups, and there is no cursor back to the
				// users.
				if allTypes := strings.HasPrefix(c.path, "?"); !slices.Equal(back, c.want[:len(back)]) || len(back) == 0 && !allTypes {
					t.Errorf("backwards: got %v, want the beginning of %v", back, c.want)
				}
			})
		})
	}
}

// idsOf checks a page and returns the ids in it, and the page as it is read, but for what is large in it: reading that is what takes time.
func (w *world) idsOf(t *testing.T, answer *httptest.ResponseRecorder, most, total int) (ids []string, page map[string]any) {
	t.Helper()
	if answer.Code != http.StatusOK {
		t.Fatalf("got %d: %.300s", answer.Code, answer.Body.String())
	}
	if n := answer.Body.Len(); n > most+10_000 {
		t.Errorf("a page has %d bytes", n)
	}
	titles := bytes.Count(answer.Body.Bytes(), []byte(largeTitle))
	if err := json.Unmarshal(bytes.ReplaceAll(answer.Body.Bytes(), []byte(largeTitle), nil), &page); err != nil {
		t.Fatalf("%v: %.300s", err, answer.Body.String())
	}
	resources, _ := page["Resources"].([]any)
	if page["totalResults"] != float64(total) || page["itemsPerPage"] != float64(len(resources)) {
		t.Errorf("got totalResults %v and itemsPerPage %v for %d resources", page["totalResults"], page["itemsPerPage"], len(resources))
	}
	if titles != 0 && titles != len(resources) {
		t.Errorf("%d of %d titles are whole", titles, len(resources))
	}
	for _, r := range resources {
		ids = append(ids, r.(map[string]any)["id"].(string))
	}
	return ids, page
}

// slowClient reads an answer only when the test tells it to.
type slowClient struct {
	*httptest.ResponseRecorder
	begun sync.Once
	start func()
	take  <-chan struct{}
}

func (c *slowClient) Write(p []byte) (int, error) {
	c.begun.Do(c.start)
	<-c.take
	return c.ResponseRecorder.Write(p)
}

// TestSlowReadersOfOneSiteHoldNoMoreThanItsShare asks for large pages and does not read them.
func TestSlowReadersOfOneSiteHoldNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	scimserver.SetPatience(w.handler, 50*time.Millisecond)
	w.bringLarge(6)
	other, token, _ := w.newSite("beta", site.Full)
	take := make(chan struct{})
	var clients, begun sync.WaitGroup
	answers := make([]*slowClient, 4)
	begun.Add(len(answers))
	for i := range answers {
		answers[i] = &slowClient{ResponseRecorder: httptest.NewRecorder(), start: begun.Done, take: take}
		clients.Go(func() {
			w.handler.ServeHTTP(answers[i], w.request("GET /Users?count=500"))
		})
	}
	begun.Wait() // each holds a page of four users

	refused := w.send("GET /Users?count=500")
	if refused.Code != http.StatusTooManyRequests || refused.Header().Get("Retry-After") == "" {
		t.Errorf("one more page: got %d with Retry-After %q, want 429", refused.Code, refused.Header().Get("Retry-After"))
	}
	if small := w.send("GET /Users?filter=userName%20eq%20%22nobody%22"); small.Code != http.StatusOK {
		t.Errorf("a lookup of the same site: got %d", small.Code)
	}
	if got := w.send("GET =/c/" + other.Name + "/auth/scim/v2/Users?count=500\nAuthorization: Bearer " + token); got.Code != http.StatusOK {
		t.Errorf("a list of another site: got %d", got.Code)
	}
	close(take)
	clients.Wait()
	for i, a := range answers {
		if a.Code != http.StatusOK {
			t.Errorf("slow reader %d: got %d", i, a.Code)
		}
	}
	if again := w.send("GET /Users?count=500"); again.Code != http.StatusOK {
		t.Errorf("after they have gone: got %d", again.Code)
	}
	rows := w.requests()
	if !slices.ContainsFunc(rows, func(r requestlog.Request) bool { return r.Status == http.StatusTooManyRequests }) {
		t.Error("the refusal is not in the request log")
	}
}

// TestLargeBodiesWaitForRoom sends more large bodies at the same time than fit into memory. None is
// lost.
func TestLargeBodiesWaitForRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			got := w.send(fmt.Sprintf("POST /Users\n\n"+`{"schemas":["`+scim.UserURN+`"],"userName":"u%d","title":"%s"}`, i, strings.Repeat("x", 900_000)))
			if got.Code != http.StatusCreated {
				t.Errorf("%d: got %d %.200s", i, got.Code, got.Body.String())
			}
		})
	}
	all.Wait()
}

// TestAListWaitsForRoom takes the memory away while a list is requested, and gives it back. The
// list then arrives complete, once.
func TestAListWaitsForRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.bringLarge(6)
	take := make(chan struct{})
	var clients, begun sync.WaitGroup
	begun.Add(4)
	for range 4 {
		clients.Go(func() {
			w.handler.ServeHTTP(&slowClient{ResponseRecorder: httptest.NewRecorder(), start: begun.Done, take: take}, w.request("GET /Users?count=500"))
		})
	}
	begun.Wait()
	late := httptest.NewRecorder()
	clients.Go(func() { w.handler.ServeHTTP(late, w.request("GET /Users?count=500&sortBy=userName")) })
	for scimserver.WaitingForMemory(w.handler) == 0 {
		runtime.Gosched()
	}
	close(take)
	clients.Wait()
	if ids, _ := w.idsOf(t, late, 4<<20, 6); len(ids) != 4 {
		t.Errorf("got %v, want a page of four", ids)
	}
	rows := w.requests()
	if n := len(rows); n != 5 || rows[n-1].Sentence == "" {
		t.Errorf("got %d rows in the request log, want one for each request: %+v", n, rows)
	}
}
