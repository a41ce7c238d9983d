package console_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/directorypages"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/internal/demosignin"
	"github.com/rollcall-scim/rollcall/internal/mailbox"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/outbox"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimclient"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// office is the company's end on a server of its own, beside a real site to provision into.
type office struct {
	t             *testing.T
	operators     *operator.Operators
	keys          *operator.Keys
	notifications *notification.Notifications
	webhooks      *notification.Webhooks
	box           *mailbox.Server // the mail server of the notifications
	events        store.Events
	leases        store.Leases
	directories   *directory.Directories
	jobs          *provision.Jobs
	engine        *provision.Engine
	sites         *site.Sites
	rosters       *roster.Rosters
	pages         *directorypages.Pages
	handler       atomic.Value // of pages
	start         func()       // makes the pages; again, they have forgotten what they kept in memory
	server        *httptest.Server
	scim          *httptest.Server
}

func newOffice(t *testing.T) *office {
	t.Helper()
	return newOfficeOn(t, storetest.New(t))
}

func newOfficeOn(t *testing.T, db *store.DB) *office {
	t.Helper()
	var ids atomic.Int64
	newID := func() string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", ids.Add(1)) }
	now := time.Now
	sealer, _, err := seal.OpenOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	client := outbound.New(outbound.Options{AllowLoopback: true})
	targets := func(tenantURL, secret string) (provision.Target, error) {
		return scimclient.New(tenantURL, secret, scimclient.Options{HTTP: client, Now: now, NewID: newID})
	}
	o := &office{
		t:         t,
		operators: &operator.Operators{Store: store.Operators{DB: db}, Now: now, NewID: newID},
		keys:      &operator.Keys{Store: store.OperatorKeys{DB: db}, Now: now, NewID: newID},
		box:       mailbox.New(t, mailbox.Options{}), events: store.Events{DB: db}, leases: store.Leases{DB: db},
		directories: &directory.Directories{Store: store.Directories{DB: db}, Now: now, NewID: newID},
		sites:       &site.Sites{Store: store.Sites{DB: db}, Now: now, NewID: newID},
		rosters:     &roster.Rosters{Store: store.Rosters{DB: db}, Now: now, NewID: newID},
	}
	mailer, err := outbox.NewSMTP(outbox.SMTPOptions{URL: "smtp://" + o.box.Addr + "?tls=none", From: "rollcall@contoso.example"})
	if err != nil {
		t.Fatal(err)
	}
	o.notifications = &notification.Notifications{Store: store.Notifications{DB: db}, Mailer: mailer, PublicURL: "https://rollcall.example", Now: now, NewID: newID}
	o.webhooks = &notification.Webhooks{Store: store.Notifications{DB: db}, Poster: outbox.Webhooks{Client: client}, Sealer: sealer, PublicURL: "https://rollcall.example", Now: now, NewID: newID}
	o.jobs = &provision.Jobs{
		Store: store.Provisioning{DB: db}, Sealer: sealer, Targets: targets, Template: guideTemplate, Now: now, NewID: newID,
		Sources: source.Opener(o.directories.OpenByID), Attributes: source.UserAttributes{}, GroupAttributes: source.GroupAttributes{},
		Applications: func(ctx context.Context, key provision.Key) (string, error) {
			h, err := o.directories.OpenByID(ctx, directory.ID(key.Directory))
			if err != nil {
				return "", err
			}
			app, err := h.Application(ctx, key.App)
			return app.Name, err
		},
	}
	o.engine = &provision.Engine{
		Store: store.Provisioning{DB: db}, Plans: store.Provisioning{DB: db}, Drifts: store.Provisioning{DB: db}, Discoveries: store.Provisioning{DB: db}, Sealer: sealer, Targets: targets, Leases: store.Leases{DB: db}, Now: now, NewID: newID, Log: slog.New(slog.DiscardHandler),
		Sources: source.Opener(o.directories.OpenByID), Attributes: source.UserAttributes{},
	}
	c, err := console.New(console.Options{PublicURL: "https://rollcall.example", Now: now, Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Events: store.Events{DB: db}})
	if err != nil {
		t.Fatal(err)
	}
	signOn, err := demosignin.New(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081}, "", o.directories, now)
	if err != nil {
		t.Fatal(err)
	}
	o.start = func() {
		o.pages = &directorypages.Pages{
			Console: c, Operators: o.operators, Keys: o.keys, Notifications: o.notifications, Webhooks: o.webhooks, Directories: o.directories, Jobs: o.jobs, Engine: o.engine,
			Sites: o.sites, Rosters: o.rosters, SignIns: &signin.SignIns{Store: store.SignIns{DB: db}, Rosters: o.rosters, Now: now},
			Eraser:    &erasure.Eraser{Store: store.Erasures{DB: db}, Rosters: o.rosters, Now: now},
			Events:    store.Events{DB: db},
			SignOn:    signOn,
			ReadUsers: csv.Open, WriteUsers: func(w io.Writer) directorypages.UserWriter { return csv.NewWriter(w) },
		}
		o.handler.Store(o.pages.Handler())
	}
	o.start()
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.handler.Load().(http.Handler).ServeHTTP(w, r) })
	mux := http.NewServeMux()
	mux.Handle("/assets/", c.Assets())
	mux.Handle("/d", pages)
	mux.Handle("/d/", pages)
	proxies, err := web.ParseProxies([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	o.server = httptest.NewServer(web.Front{Proxies: proxies, Now: now}.Handler(mux))
	t.Cleanup(o.server.Close)
	o.scim = httptest.NewServer(&scimserver.Handler{Sites: o.sites, Rosters: o.rosters, Requests: &requestlog.Log{Store: store.RequestLogs{DB: db}, Sites: o.sites, Now: now, NewID: newID}, Now: now, BaseURL: func(*http.Request) string { return o.scim.URL }})
	t.Cleanup(o.scim.Close)
	return o
}

func guideTemplate() (*provision.Schema, error) {
	b, err := templates.Get(templates.Guide)
	if err != nil {
		return nil, err
	}
	return provision.ParseSchema(b)
}

// operator is a browser in which an operator is signed in.
func (o *office) operator() *browser {
	o.t.Helper()
	link, err := o.operators.Link(o.t.Context(), "kim", "cli")
	if err != nil {
		o.t.Fatal(err)
	}
	b := &browser{t: o.t, base: o.server.URL, client: newClient(o.t, o.server)}
	b.get(link.Path).submit("Sign in as kim", nil).wantStatus(http.StatusOK)
	return b
}

// directory makes a directory with people from a file.
func (o *office) directory(name, file string) *directory.Handle {
	o.t.Helper()
	d, err := o.directories.Create(o.t.Context(), name, "cli")
	if err != nil {
		o.t.Fatal(err)
	}
	h := o.directories.Open(d)
	if file == "" {
		return h
	}
	rows, err := csv.NewReader(strings.NewReader(file), directory.FileOptions{})
	if err != nil {
		o.t.Fatal(err)
	}
	report, err := h.Import(o.t.Context(), rows.Rows(), directory.ImportOptions{Actor: "cli"})
	if err != nil || len(report.Errors) > 0 {
		o.t.Fatal(err, report.Errors)
	}
	return h
}

// site makes a site with people, and gives its Tenant URL and a token.
func (o *office) site(name string, p site.Profile, userNames ...string) (tenantURL, token string) {
	o.t.Helper()
	s, err := o.sites.Create(o.t.Context(), name, p, "cli")
	if err != nil {
		o.t.Fatal(err)
	}
	var rows []roster.ImportRow
	for _, n := range userNames {
		rows = append(rows, roster.ImportRow{UserName: n, DisplayName: n, Email: n})
	}
	report, err := o.rosters.Open(s).Import(o.t.Context(), rows, roster.Change{Actor: "cli", Via: roster.ViaImport})
	if err != nil || len(report.Errors) > 0 {
		o.t.Fatal(err, report.Errors)
	}
	_, token, err = o.sites.CreateToken(o.t.Context(), s.ID, site.TokenRequest{Name: "Entra", Actor: "cli"})
	if err != nil {
		o.t.Fatal(err)
	}
	return o.scim.URL + "/c/" + name + "/auth/scim/v2", token
}

// siteGroup makes a group at a site, and returns its id.
func (o *office) siteGroup(name, displayName string) string {
	o.t.Helper()
	s, err := o.sites.ByName(o.t.Context(), name)
	if err != nil {
		o.t.Fatal(err)
	}
	made, err := o.rosters.Open(s).CreateGroup(o.t.Context(), scim.Resource{"schemas": []any{scim.GroupURN}, "displayName": displayName}, nil, roster.Change{Actor: "cli", Via: roster.ViaImport})
	if err != nil {
		o.t.Fatal(err)
	}
	return made.Document.ID
}

// app makes an application with everybody of the directory assigned.
func (o *office) app(h *directory.Handle, name string) directory.Application {
	o.t.Helper()
	a, err := h.CreateApplication(o.t.Context(), name, "cli")
	if err != nil {
		o.t.Fatal(err)
	}
	var ids []string
	if err := h.EachUser(o.t.Context(), directory.UserQuery{}, func(u directory.User) error {
		ids = append(ids, u.ObjectID)
		return nil
	}); err != nil {
		o.t.Fatal(err)
	}
	if _, err := h.Assign(o.t.Context(), a.ID, ids, "cli"); err != nil {
		o.t.Fatal(err)
	}
	return a
}

// cycle runs one cycle of an application's job.
func (o *office) cycle(h *directory.Handle, a directory.Application) provision.CycleReport {
	o.t.Helper()
	report, err := o.engine.RunCycle(o.t.Context(), provision.Key{Directory: provision.SourceID(h.Directory.ID), App: a.ID}, "test", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return report
}

// press sends the form of the button whose text begins so, with the button's own name, value and
// address, as a browser does.
func (s *shown) press(button string, change url.Values) *shown {
	s.b.t.Helper()
	form, pressed := s.button(button)
	if pressed.has("disabled") {
		s.b.t.Fatalf("%s: the button %q is disabled", s.Path, button)
	}
	values := form.values()
	for _, area := range form.all("textarea") {
		values.Set(area.attr["name"], area.rawText())
	}
	for _, choose := range form.all("select") {
		if options := choose.all("option"); !values.Has(choose.attr["name"]) && len(options) > 0 {
			values.Set(choose.attr["name"], options[0].attr["value"])
		}
	}
	if name := pressed.attr["name"]; name != "" {
		values.Set(name, pressed.attr["value"])
	}
	for name, list := range change {
		values[name] = list
	}
	action := form.attr["action"]
	if other := pressed.attr["formaction"]; other != "" {
		action = other
	}
	if form.attr["method"] == "get" {
		return s.b.get(action + "?" + values.Encode())
	}
	return s.b.send(http.MethodPost, action, values)
}

// settled waits until the work that the page has started is done, and gets the page again. A page
// waits for two seconds only, so on a busy machine it may show the progress of that work.
func (o *office) settled(s *shown) *shown {
	o.t.Helper()
	o.pages.WaitForBackground()
	return s.b.get(s.Path).wantStatus(http.StatusOK)
}

func (s *shown) button(text string) (form, pressed *node) {
	s.b.t.Helper()
	for _, n := range s.Root.all("button") {
		if !strings.HasPrefix(n.text(), text) {
			continue
		}
		if id := n.attr["form"]; id != "" {
			return s.byID(id), n
		}
		for at := n.parent; at != nil; at = at.parent {
			if at.tag == "form" {
				return at, n
			}
		}
	}
	s.b.t.Fatalf("%s: no button %q: %s", s.Path, text, s.words())
	return nil, nil
}

func (s *shown) byID(id string) *node {
	s.b.t.Helper()
	var find func(n *node) *node
	find = func(n *node) *node {
		if n.attr["id"] == id {
			return n
		}
		for _, k := range n.kids {
			if found := find(k); found != nil {
				return found
			}
		}
		return nil
	}
	found := find(s.Root)
	if found == nil {
		s.b.t.Fatalf("%s: nothing has the id %q", s.Path, id)
	}
	return found
}

// click follows the first link in the main part whose text begins so.
func (s *shown) click(text string) *shown {
	s.b.t.Helper()
	for _, main := range s.Root.all("main") {
		for _, a := range main.all("a") {
			if strings.HasPrefix(a.text(), text) {
				return s.b.get(a.attr["href"])
			}
		}
	}
	s.b.t.Fatalf("%s: no link %q: %s", s.Path, text, s.words())
	return nil
}

// upload sends the import form with a file.
func (b *browser) upload(path, name, file string, fields map[string]string) *shown {
	b.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for k, v := range fields {
		if err := m.WriteField(k, v); err != nil {
			b.t.Fatal(err)
		}
	}
	if name != "" {
		part, err := m.CreateFormFile("file", name)
		if err == nil {
			_, err = part.Write([]byte(file))
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "https://rollcall.example"+path, &body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("X-Test-Server", strings.TrimPrefix(b.base, "http://"))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &shown{b: b, Status: answer.StatusCode, Header: answer.Header, Path: path, Text: string(text), Root: parseHTML(b.t, string(text))}
}

// valuesOf lists the values of the inputs of that name.
func (s *shown) valuesOf(name string) (values []string) {
	for _, in := range s.Root.all("input") {
		if in.attr["name"] == name {
			values = append(values, in.attr["value"])
		}
	}
	return values
}

// failMail stores the state of a recipient after failed tries.
func (o *office) failMail(t *testing.T, r notification.Recipient) {
	t.Helper()
	epoch, err := o.leases.Claim(t.Context(), notification.LeaseKind, notification.LeaseKey, "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.notifications.Store.Failed(t.Context(), epoch, r); err != nil {
		t.Fatal(err)
	}
}
