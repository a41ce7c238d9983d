package provision_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/scim"
)

// application is a small real SCIM server over HTTP that records its requests. It allows duplicate
// names on purpose: a create that is sent twice makes two accounts.
type application struct {
	*httptest.Server
	token string

	mu       sync.Mutex
	users    map[string]scim.Resource
	order    []string
	byName   map[string][]string // the ids of the accounts, by folded userName
	created  map[string]int      // how many creates were carried out, by folded userName
	requests []string            // the method and path of each request, without ids
	compares bool                // whether a search by userName compares case
	page     int                 // how many accounts a page of the list has; 0 if the list is one page
	lists    []string            // the query of each request for the list
	bodies   []string            // the bodies of writes
	// answer may answer a request instead of the application. It returns true if it did. It may be
	// nil.
	answer func(w http.ResponseWriter, r *http.Request) bool
	// done runs after a request was carried out and before its answer is sent. It may be nil.
	done func(r *http.Request)
	// begun runs before a request is carried out. It may be nil.
	begun func(r *http.Request)
}

func newApplication(t testing.TB) *application {
	t.Helper()
	a := &application{token: "secret", users: map[string]scim.Resource{}, byName: map[string][]string{}, created: map[string]int{}}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *application) url() string { return a.URL + "/scim/v2" }

// add creates an account without a request.
func (a *application) add(r scim.Resource) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.insert(r)
}

func (a *application) insert(r scim.Resource) string {
	id := fmt.Sprintf("u%d", len(a.order)+1)
	r["id"] = id
	a.users[id] = r
	a.order = append(a.order, id)
	name := scim.Fold(r.String("userName"))
	a.byName[name] = append(a.byName[name], id)
	return id
}

// user returns the account with a user name, or nil if there is none.
func (a *application) user(name string) scim.Resource {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range a.byName[scim.Fold(name)] {
		if u, ok := a.users[id]; ok {
			return u.Clone()
		}
	}
	return nil
}

func (a *application) serve(w http.ResponseWriter, r *http.Request) {
	if a.begun != nil {
		a.begun(r)
	}
	if a.answer != nil && a.answer(w, r) {
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+a.token {
		refuse(w, http.StatusUnauthorized, "", "The token is wrong.")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/scim/v2/Users")
	if !ok {
		refuse(w, http.StatusNotFound, "", "There is nothing here.")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	status, answer := a.handle(r, strings.TrimPrefix(path, "/"), body)
	if a.done != nil {
		a.done(r)
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

func refuse(w http.ResponseWriter, status int, scimType, detail string) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_, _ = w.Write(problem(status, scimType, detail))
}

func problem(status int, scimType, detail string) []byte {
	b, _ := json.Marshal(map[string]any{"schemas": []string{scim.ErrorURN}, "status": fmt.Sprint(status), "scimType": scimType, "detail": detail})
	return b
}

func (a *application) handle(r *http.Request, id string, body []byte) (int, []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	where := "/Users"
	if id != "" {
		where = "/Users/{id}"
	}
	a.requests = append(a.requests, r.Method+" "+where)
	if r.Method != http.MethodGet {
		a.bodies = append(a.bodies, string(body))
	}
	u, known := a.users[id]
	switch {
	case id != "" && !known:
		return http.StatusNotFound, problem(404, "", "There is no such user.")
	case r.Method == http.MethodGet && id == "" && a.page > 0 && !r.URL.Query().Has("filter"):
		return a.list(r)
	case r.Method == http.MethodGet && id == "":
		return a.search(r.URL.Query().Get("filter"))
	case r.Method == http.MethodGet:
		return http.StatusOK, encode(u)
	case r.Method == http.MethodPost:
		created, _, err := scim.Decode(scim.UserType(), body, scim.Lenient)
		if err != nil {
			return http.StatusBadRequest, problem(400, "invalidSyntax", err.Error())
		}
		a.created[scim.Fold(created.String("userName"))]++
		return http.StatusCreated, encode(a.users[a.insert(created)])
	case r.Method == http.MethodPatch:
		patch, _, err := scim.DecodePatch(scim.UserType(), body, scim.Lenient)
		if err != nil {
			return http.StatusBadRequest, problem(400, "invalidSyntax", err.Error())
		}
		result, err := patch.Apply(scim.UserType(), u)
		if err != nil {
			return http.StatusBadRequest, problem(400, "invalidValue", err.Error())
		}
		a.users[id] = result.Resource
		if name := scim.Fold(result.Resource.String("userName")); !slices.Contains(a.byName[name], id) {
			a.byName[name] = append(a.byName[name], id)
		}
		return http.StatusOK, encode(result.Resource)
	case r.Method == http.MethodDelete:
		delete(a.users, id)
		return http.StatusNoContent, nil
	}
	return http.StatusMethodNotAllowed, problem(405, "", "No.")
}

// list returns a page of the list of accounts.
func (a *application) list(r *http.Request) (int, []byte) {
	a.lists = append(a.lists, r.URL.RawQuery)
	all := []json.RawMessage{}
	for _, id := range a.order {
		if u, ok := a.users[id]; ok {
			all = append(all, encode(u))
		}
	}
	var start, count int
	_, _ = fmt.Sscan(r.URL.Query().Get("startIndex"), &start)
	_, _ = fmt.Sscan(r.URL.Query().Get("count"), &count)
	from := min(start-1, len(all))
	b, _ := json.Marshal(map[string]any{
		"schemas": []string{scim.ListResponseURN}, "totalResults": len(all), "startIndex": start, "Resources": all[from:min(len(all), from+min(count, a.page))],
	})
	return http.StatusOK, b
}

func (a *application) search(filter string) (int, []byte) {
	found := []json.RawMessage{}
	if filter == "" {
		for _, id := range a.order {
			if u, ok := a.users[id]; ok {
				found = append(found, encode(u))
			}
		}
	} else if name, ok := strings.CutPrefix(filter, `userName eq "`); ok {
		for _, id := range a.byName[scim.Fold(strings.TrimSuffix(name, `"`))] {
			name := strings.TrimSuffix(name, `"`)
			if u, ok := a.users[id]; ok && scim.Fold(u.String("userName")) == scim.Fold(name) && (!a.compares || u.String("userName") == name) {
				found = append(found, encode(u))
			}
		}
	} else {
		f, _, err := scim.ParseFilter(scim.UserType(), filter, scim.Lenient)
		if err != nil {
			return http.StatusBadRequest, problem(400, "invalidFilter", err.Error())
		}
		for _, id := range a.order {
			if u, ok := a.users[id]; ok && f.Match(u) {
				found = append(found, encode(u))
			}
		}
	}
	b, _ := json.Marshal(map[string]any{"schemas": []string{scim.ListResponseURN}, "totalResults": len(found), "Resources": found})
	return http.StatusOK, b
}

func encode(r scim.Resource) []byte {
	b, _ := json.Marshal(r)
	return b
}

// writes counts requests that change something.
func (a *application) writes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.bodies)
}

// asked returns the list of requests and empties it.
func (a *application) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.requests
	a.requests, a.bodies = nil, nil
	return asked
}
