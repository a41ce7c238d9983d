package graphapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/graphapi"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scimclient"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// world is a directory contoso with an application Acme, which is a real site, and the API over real
// HTTP.
type world struct {
	t           *testing.T
	mu          sync.Mutex
	now         time.Time
	ids         int
	db          *store.DB
	directories *directory.Directories
	keys        *operator.Keys
	// notifications holds the recipients of mail. No mail is sent.
	notifications *notification.Notifications
	jobs          *provision.Jobs
	engine        *provision.Engine
	sites         *site.Sites
	rosters       *roster.Rosters
	contoso       *directory.Handle
	acme          directory.Application
	tenantURL     string
	token         string
	server        *httptest.Server
	key           string // an API key of contoso that may configure
}

func newWorld(t *testing.T) *world { return newWorldOn(t, storetest.New(t)) }

func newWorldOn(t *testing.T, db *store.DB) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC), db: db}
	sealer, _, err := seal.OpenOrCreate(filepath.Join(t.TempDir(), "key"))
	w.must(err)
	client := outbound.New(outbound.Options{AllowLoopback: true})
	targets := func(tenantURL, secret string) (provision.Target, error) {
		return scimclient.New(tenantURL, secret, scimclient.Options{HTTP: client, Now: w.clock, NewID: w.newID})
	}
	w.directories = &directory.Directories{Store: store.Directories{DB: db}, Now: w.clock, NewID: w.newID}
	w.keys = &operator.Keys{Store: store.OperatorKeys{DB: db}, Now: w.clock, NewID: w.newID}
	w.notifications = &notification.Notifications{Store: store.Notifications{DB: db}, Now: w.clock, NewID: w.newID}
	w.sites = &site.Sites{Store: store.Sites{DB: db}, Now: w.clock, NewID: w.newID}
	w.rosters = &roster.Rosters{Store: store.Rosters{DB: db}, Now: w.clock, NewID: w.newID}
	sources := source.Opener(w.directories.OpenByID)
	w.jobs = &provision.Jobs{
		Store: store.Provisioning{DB: db}, Sealer: sealer, Targets: targets, Now: w.clock, NewID: w.newID, Events: store.Events{DB: db},
		Sources: sources, Attributes: source.UserAttributes{}, GroupAttributes: source.GroupAttributes{},
		Template: func() (*provision.Schema, error) {
			text, err := templates.Get(templates.Guide)
			if err != nil {
				return nil, err
			}
			return provision.ParseSchema(text)
		},
	}
	w.engine = &provision.Engine{
		Store: store.Provisioning{DB: db}, Sealer: sealer, Targets: targets, Leases: store.Leases{DB: db}, Now: w.clock, NewID: w.newID,
		Log: slog.New(slog.DiscardHandler), Sources: sources, Attributes: source.UserAttributes{},
	}
	scim := httptest.NewUnstartedServer(nil)
	scim.Config.Handler = &scimserver.Handler{
		Sites: w.sites, Rosters: w.rosters, Requests: &requestlog.Log{Store: store.RequestLogs{DB: db}, Sites: w.sites, Now: w.clock, NewID: w.newID},
		Now: w.clock, BaseURL: func(*http.Request) string { return scim.URL },
	}
	scim.Start()
	t.Cleanup(scim.Close)

	w.contoso = w.directory("contoso")
	w.acme, err = w.contoso.CreateApplication(t.Context(), "Acme", "cli")
	w.must(err)
	s, err := w.sites.Create(t.Context(), "acme", site.Full, "cli")
	w.must(err)
	_, w.token, err = w.sites.CreateToken(t.Context(), s.ID, site.TokenRequest{Actor: "cli"})
	w.must(err)
	w.tenantURL = scim.URL + "/c/acme/auth/scim/v2"

	w.server = httptest.NewUnstartedServer(nil)
	w.server.Start()
	t.Cleanup(w.server.Close)
	api, err := graphapi.New(graphapi.Handler{
		Directories: w.directories, Keys: w.keys, Jobs: w.jobs, Engine: w.engine, Notifications: w.notifications, Owner: "test", BaseURL: w.server.URL, Now: w.clock, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	w.must(err)
	mux := http.NewServeMux()
	mux.Handle(graphapi.Pattern, api)
	w.server.Config.Handler = web.Front{Now: w.clock}.Handler(mux)
	w.key = w.makeKey(w.contoso, operator.Configure)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", w.ids)
}

func (w *world) directory(name string) *directory.Handle {
	w.t.Helper()
	d, err := w.directories.Create(w.t.Context(), name, "cli")
	w.must(err)
	return w.directories.Open(d)
}

func (w *world) makeKey(h *directory.Handle, level operator.Level) string {
	w.t.Helper()
	_, secret, err := w.keys.CreateKey(w.t.Context(), operator.KeyRequest{Directory: string(h.Directory.ID), Name: string(level), Level: level, Actor: "cli"})
	w.must(err)
	return secret
}

// person adds a user to contoso and assigns it to Acme. It returns the user's object id.
func (w *world) person(upn string) string {
	w.t.Helper()
	name, _, _ := strings.Cut(upn, "@")
	u, _, err := w.contoso.PutUser(w.t.Context(), directory.User{AccountEnabled: true, Attributes: map[string]any{"userPrincipalName": upn, "displayName": strings.ToUpper(name[:1]) + name[1:], "mailNickname": name}}, "cli")
	w.must(err)
	_, err = w.contoso.Assign(w.t.Context(), w.acme.ID, []string{u.ObjectID}, "cli")
	w.must(err)
	return u.ObjectID
}

// importFile imports a file of users into contoso.
func (w *world) importFile(text string) {
	w.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text), directory.FileOptions{})
	w.must(err)
	report, err := w.contoso.Import(w.t.Context(), rows.Rows(), directory.ImportOptions{Actor: "cli"})
	w.must(err)
	if len(report.Errors) > 0 {
		w.t.Fatal(report.Errors)
	}
}

func (w *world) jobKey() provision.Key {
	return provision.Key{Directory: provision.SourceID(w.contoso.Directory.ID), App: w.acme.ID}
}

// cycle runs one cycle.
func (w *world) cycle() provision.CycleReport {
	w.t.Helper()
	r, err := w.engine.RunCycle(w.t.Context(), w.jobKey(), "test", nil)
	w.must(err)
	return r
}

// answer is what the API answered.
type answer struct {
	t      *testing.T
	Status int
	Header http.Header
	Text   string
	JSON   map[string]any
}

// send sends a request with the key. The path follows the version.
func (w *world) send(method, version, path, body string) answer {
	w.t.Helper()
	return w.sendAs(w.key, method, "contoso", version+"/"+path, body)
}

func (w *world) sendAs(key, method, directoryName, path, body string) answer {
	w.t.Helper()
	address := path
	if !strings.HasPrefix(path, "http") {
		address = w.server.URL + "/d/" + directoryName + "/graph/" + path
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	w.must(err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.do(r)
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	got, err := w.server.Client().Do(r)
	w.must(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	w.must(err)
	a := answer{t: w.t, Status: got.StatusCode, Header: got.Header, Text: string(text)}
	if len(text) > 0 && strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
		w.must(json.Unmarshal(text, &a.JSON))
	}
	return a
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("got status %d, want %d: %s", a.Status, status, a.Text)
	}
	if status == http.StatusNoContent && a.Text != "" {
		a.t.Errorf("an answer without content has %q", a.Text)
	}
	return a
}

// wantError checks that an error has Graph's form.
func (a answer) wantError(status int, code string, words ...string) {
	a.t.Helper()
	if a.Status != status || a.get("error", "code") != code {
		a.t.Errorf("got %d %s, want %d with the code %s", a.Status, a.Text, status, code)
	}
	message, _ := a.get("error", "message").(string)
	for _, word := range append(words, ".") {
		if !strings.Contains(message, word) {
			a.t.Errorf("the message %q does not say %q", message, word)
		}
	}
	if a.get("error", "innerError", "request-id") == nil || a.get("error", "innerError", "date") == nil || a.get("error", "innerError", "client-request-id") == nil {
		a.t.Errorf("innerError is not complete: %s", a.Text)
	}
}

// get returns the value at a path of members; a number in the path is a place in a list.
func (a answer) get(path ...any) any { return at(a.JSON, path...) }

func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// jobID returns the id of the job as the API gives it.
func (w *world) jobID() string {
	return "scim." + strings.ReplaceAll(string(w.contoso.Directory.ID), "-", "") + "." + w.acme.ID
}

// s is the path of Acme's synchronization.
func (w *world) s() string { return "servicePrincipals/" + w.acme.ID + "/synchronization" }

// setUp makes the job by the API, with its credentials, and starts it.
func (w *world) setUp(version string) {
	w.t.Helper()
	w.send("POST", version, w.s()+"/jobs", `{"templateId": "scim"}`).want(http.StatusCreated)
	w.send("PUT", version, w.s()+"/secrets", w.secrets()).want(http.StatusNoContent)
	w.send("POST", version, w.s()+"/jobs/"+w.jobID()+"/start", "").want(http.StatusNoContent)
}

// setUpOnce is setUp unless the application has a job.
func (w *world) setUpOnce(version string) {
	w.t.Helper()
	if _, err := w.jobs.Get(w.t.Context(), w.jobKey()); err != nil {
		w.setUp(version)
	}
}

// group makes a group of contoso with members and assigns it to Acme. It returns its object id.
func (w *world) group(name string, members ...string) string {
	w.t.Helper()
	g, _, err := w.contoso.PutGroup(w.t.Context(), directory.Group{Attributes: map[string]string{"displayName": name}}, "cli")
	w.must(err)
	_, err = w.contoso.AddMembers(w.t.Context(), g.ObjectID, members, "cli")
	w.must(err)
	_, err = w.contoso.Assign(w.t.Context(), w.acme.ID, []string{g.ObjectID}, "cli")
	w.must(err)
	return g.ObjectID
}

// members returns the user names of the members of a group at Acme, as SCIM has them.
func (w *world) members(group string) (names []string) {
	w.t.Helper()
	get := func(path string) answer {
		r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.tenantURL+path, nil)
		w.must(err)
		r.Header.Set("Authorization", "Bearer "+w.token)
		got, err := http.DefaultClient.Do(r)
		w.must(err)
		defer got.Body.Close()
		a := answer{t: w.t, Status: got.StatusCode}
		w.must(json.NewDecoder(got.Body).Decode(&a.JSON))
		return a.want(http.StatusOK)
	}
	found := get("/Groups?filter=" + url.QueryEscape(`displayName eq "`+group+`"`))
	members, _ := found.get("Resources", 0, "members").([]any)
	for _, m := range members {
		names = append(names, get("/Users/"+at(m, "value").(string)).get("userName").(string))
	}
	slices.Sort(names)
	return names
}

func (w *world) secrets() string {
	return `{"value": [{"key": "BaseAddress", "value": "` + w.tenantURL + `"}, {"key": "SecretToken", "value": "` + w.token + `"},
		{"key": "SyncNotificationSettings", "value": "{\"Enabled\":false,\"DeleteThresholdEnabled\":true,\"DeleteThresholdValue\":500}"}, {"key": "SyncAll", "value": "false"}]}`
}

// accounts returns the user names at Acme, with a minus before those that are not active.
func (w *world) accounts() (names []string) {
	w.t.Helper()
	st, err := w.sites.ByName(w.t.Context(), "acme")
	w.must(err)
	found, _, err := w.rosters.Open(st).People(w.t.Context(), roster.PeopleQuery{Limit: 500})
	w.must(err)
	for _, p := range found {
		if p.Active {
			names = append(names, p.UserName)
		} else {
			names = append(names, "-"+p.UserName)
		}
	}
	slices.Sort(names)
	return names
}

// events returns the sentences of the directory's events with a name, the newest first.
func (w *world) events(name string) (all []event.Event) {
	w.t.Helper()
	found, err := store.Events{DB: w.db}.Recent(w.t.Context(), event.Directory(string(w.contoso.Directory.ID)), "", event.Position{}, 200)
	w.must(err)
	for _, e := range found {
		if e.Name == name {
			all = append(all, e)
		}
	}
	return all
}
