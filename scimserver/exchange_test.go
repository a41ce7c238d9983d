package scimserver_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

var update = flag.Bool("update", false, "write the actual answers into testdata/*.txtar")

// TestExchanges runs every testdata/*.txtar: what a client really sends, the answer, and the content of
// the store afterwards.
//
//	-- site --      lines that world.settings reads (default: documented, all off but SCIM)
//	-- schemas --   the site's document of schemas and resource types
//	-- people --    JSON objects of the first people
//	-- groups --    JSON objects of the first groups
//	-- block --     user names that an administrator blocks; also -- unblock -- and -- demote --
//	-- other site --  the name of another site; its token is "{token of NAME}" in a request
//	-- later --     how much time passes, such as 2h
//	-- request --   as world.send reads it; any number of requests, each followed by its response
//	-- response --  status, important headers, body
//	-- holds --     the content of the store at the end
//	-- log --       the request log at the end
//
// Cursors differ in each run. "{cursor 1}" stands for the first one in the answers, in answers,
// requests and log.
func TestExchanges(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(txtar.Parse(text).Comment)) == "" {
				t.Error("the file does not say what it shows")
			}
			got := play(t, txtar.Parse(text))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(got), string(text)); diff != "" {
				t.Errorf("got -, want +:\n%s", diff)
			}
		})
	}
}

// play runs the requests and returns the archive with the answers that came.
func play(t *testing.T, a *txtar.Archive) []byte {
	t.Helper()
	w := newWorld(t, site.Documented)
	played := &txtar.Archive{Comment: a.Comment}
	secrets := &placeholderNames{}
	add := func(name, text string) {
		text = secrets.hide(strings.TrimRight(text, "\n") + "\n")
		played.Files = append(played.Files, txtar.File{Name: name, Data: []byte(text)})
	}
	for _, f := range a.Files {
		switch f.Name {
		case "site":
			w.settings(string(f.Data))
			add(f.Name, string(f.Data))
		case "schemas":
			w.setSchemas(string(f.Data))
			add(f.Name, string(f.Data))
		case "people":
			w.bring(objects(t, f.Data)...)
			add(f.Name, string(f.Data))
		case "groups":
			w.bringGroups(objects(t, f.Data)...)
			add(f.Name, string(f.Data))
		case "other site":
			name := strings.TrimSpace(string(f.Data))
			_, token, _ := w.newSite(name, site.Full)
			secrets.add("{token of "+name+"}", token)
			add(f.Name, string(f.Data))
		case "block", "unblock", "demote":
			w.byHand(f.Name, strings.Fields(string(f.Data)))
			add(f.Name, string(f.Data))
		case "later":
			d, err := time.ParseDuration(strings.TrimSpace(string(f.Data)))
			if err != nil {
				t.Fatal(err)
			}
			w.setClock(w.clock().Add(d))
			add(f.Name, string(f.Data))
		case "request":
			add(f.Name, string(f.Data))
			got := show(t, w.send(secrets.reveal(string(f.Data))))
			for _, cursor := range answeredCursor.FindAllStringSubmatch(got, -1) {
				secrets.addCursor(cursor[1])
			}
			add("response", got)
		case "response", "holds", "log":
		default:
			t.Fatalf("section %q is not known", f.Name)
		}
	}
	var docs []string
	for _, doc := range w.holds() {
		docs = append(docs, indent(t, []byte(doc)))
	}
	add("holds", strings.Join(docs, "\n"))
	add("log", w.showLog())
	return txtar.Format(played)
}

// answeredCursor matches the cursors of an answer.
var answeredCursor = regexp.MustCompile(`"(?:next|previous)Cursor": "([^"]+)"`)

// placeholderNames replace values that differ in each run by names, in the files.
type placeholderNames struct {
	list    []string // a name and its value by turns
	cursors int
}

func (n *placeholderNames) add(name, value string) { n.list = append(n.list, name, value) }

func (n *placeholderNames) addCursor(value string) {
	n.cursors++
	n.add(fmt.Sprintf("{cursor %d}", n.cursors), value)
}

// reveal replaces names by their values.
func (n *placeholderNames) reveal(text string) string {
	return strings.NewReplacer(n.list...).Replace(text)
}

// hide replaces values by their names.
func (n *placeholderNames) hide(text string) string {
	turned := slices.Clone(n.list)
	slices.Reverse(turned)
	return strings.NewReplacer(turned...).Replace(text)
}

// byHand does what an administrator does to people.
func (w *world) byHand(what string, userNames []string) {
	w.t.Helper()
	r := w.rosters.Open(w.site)
	by := roster.Change{Actor: "admin:kim@acme.test", Via: roster.ViaAdmin}
	for _, userName := range userNames {
		p, err := r.PersonByUserName(w.ctx(), userName)
		if err != nil {
			w.t.Fatal(err)
		}
		switch what {
		case "block":
			_, err = r.Block(w.ctx(), p.ID, by)
		case "unblock":
			_, err = r.Unblock(w.ctx(), p.ID, by)
		case "demote":
			_, err = r.SetRole(w.ctx(), p.ID, roster.RoleRegistered, by)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) settings(text string) {
	w.t.Helper()
	known := map[string]func(*site.Site){
		"profile full":       func(s *site.Site) { s.Choose(site.Full) },
		"creates on":         func(s *site.Site) { s.Creates = true },
		"revives on":         func(s *site.Site) { s.Revives = true },
		"deletes deactivate": func(s *site.Site) { s.Deletes = site.DeactivateOnDelete },
		"groups on":          func(s *site.Site) { s.Groups = true },
		"groups off":         func(s *site.Site) { s.Groups = false },
		"names shared":       func(s *site.Site) { s.SharedGroupNames = true },
		"roles on":           func(s *site.Site) { s.ManageRoles = true },
		"strict on":          func(s *site.Site) { s.Strict = true },
		"scim off":           func(s *site.Site) { s.SCIMEnabled = false },
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		change, ok := known[line]
		if !ok {
			w.t.Fatalf("setting %q is not known", line)
		}
		w.set(change)
	}
}

func objects(t *testing.T, text []byte) (docs []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	for d.More() {
		var doc json.RawMessage
		if err := d.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, string(doc))
	}
	return docs
}

func show(t *testing.T, got *httptest.ResponseRecorder) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, got.Code)
	for _, name := range []string{"Location", "ETag", "Allow", "WWW-Authenticate"} {
		if v := got.Header().Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if got.Body.Len() > 0 {
		b.WriteString("\n" + indent(t, got.Body.Bytes()))
	}
	return b.String()
}

func indent(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return b.String()
}

func (w *world) showLog() string {
	var b strings.Builder
	for _, r := range w.requests() {
		fmt.Fprintf(&b, "%s %s → %d", r.Method, r.Path, r.Status)
		if r.UserName != "" {
			fmt.Fprintf(&b, " %s", r.UserName)
		}
		if r.Subject != "" {
			fmt.Fprintf(&b, " (%s)", r.Subject)
		}
		fmt.Fprintf(&b, ": %s\n", r.Sentence)
		for _, f := range r.Fixes {
			fmt.Fprintf(&b, "  accepted with fix: %s\n", f)
		}
		for _, i := range r.Ignored {
			fmt.Fprintf(&b, "  ignored: %s\n", i)
		}
	}
	return b.String()
}
