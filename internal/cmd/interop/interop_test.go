package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/format"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func newCompany(seed uint64) *company {
	c := &company{random: rand.New(rand.NewPCG(seed, 500))}
	c.fill(30, 6)
	return c
}

func TestASeedMakesTheSameCompany(t *testing.T) {
	t.Parallel()
	names := func(seed uint64) (all []string) {
		for _, p := range newCompany(seed).people {
			all = append(all, p.attributes["userPrincipalName"])
		}
		return all
	}
	if !reflect.DeepEqual(names(3), names(3)) || reflect.DeepEqual(names(3), names(4)) {
		t.Error("the seed does not decide the company")
	}
}

func TestValueAt(t *testing.T) {
	t.Parallel()
	var r map[string]any
	text := `{"active":true,"name":{"givenName":"Bo"},"emails":[{"type":"home","value":"h"},{"type":"work","value":"w"}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"value":"7"}}}`
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"active": "true", "name.givenName": "Bo", "name.familyName": "", "title": "", `emails[type eq "work"].value`: "w", `emails[type eq "fax"].value`: "",
		enterpriseURN + ":department": "D", enterpriseURN + ":manager.value": "7", enterpriseURN + ":costCenter": "",
	} {
		if got := valueAt(r, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// shown returns a server that shows a company as it should be held, after change has been at it.
func shown(t *testing.T, c *company, change func(users, groups []map[string]any)) *server {
	t.Helper()
	users, groups := []map[string]any{}, []map[string]any{}
	for _, p := range c.people {
		u := map[string]any{"id": p.objectID, "active": c.inScope(p), "name": map[string]any{}}
		extension := map[string]any{}
		if p.manager != nil {
			extension["manager"] = map[string]any{"value": p.manager.objectID}
		}
		u[enterpriseURN] = extension
		for path, value := range p.sent {
			show(u, path, value)
		}
		users = append(users, u)
	}
	for _, g := range c.groups {
		var members []any
		for p := range g.members {
			members = append(members, map[string]any{"value": p.objectID})
		}
		groups = append(groups, map[string]any{"id": g.objectID, "externalId": g.objectID, "displayName": g.name, "members": members})
	}
	change(users, groups)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := users
		if r.URL.Path == "/Groups" {
			all = groups
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": len(all), "Resources": all})
	}))
	t.Cleanup(s.Close)
	return &server{base: s.URL}
}

func show(u map[string]any, path, value string) {
	if rest, is := strings.CutPrefix(path, enterpriseURN+":"); is {
		u[enterpriseURN].(map[string]any)[rest] = value
		return
	}
	if name, rest, is := strings.Cut(path, `[type eq "`); is {
		kind, sub, _ := strings.Cut(rest, `"].`)
		list, _ := u[name].([]any)
		for _, e := range list {
			if e := e.(map[string]any); e["type"] == kind {
				e[sub] = value
				return
			}
		}
		u[name] = append(list, map[string]any{"type": kind, sub: value})
		return
	}
	if name, sub, nested := strings.Cut(path, "."); nested {
		u[name].(map[string]any)[sub] = value
		return
	}
	u[path] = value
}

// TestCompareFindsWhatDiffers plants differences, one at a time.
func TestCompareFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		plant func(users, groups []map[string]any)
		want  string // part of the only difference; "" if there is none
	}{
		"nothing":              {func(_, _ []map[string]any) {}, ""},
		"a value":              {func(users, _ []map[string]any) { users[3]["title"] = "x" }, "title: want"},
		"a value that is left": {func(users, _ []map[string]any) { users[3]["preferredLanguage"] = nil }, "preferredLanguage"},
		"an active leaver":     {func(users, _ []map[string]any) { users[5]["active"] = true }, `active: want "false"`},
		"a manager": {func(users, _ []map[string]any) {
			users[4][enterpriseURN].(map[string]any)["manager"] = map[string]any{"value": "x"}
		}, "manager"},
		"a second account": {func(users, _ []map[string]any) { users[0]["userName"] = "stranger@contoso.example" }, "want"},
		"a member":         {func(_, groups []map[string]any) { groups[0]["members"] = groups[0]["members"].([]any)[1:] }, "not a member"},
		"a stranger in a group": {func(_, groups []map[string]any) {
			groups[1]["members"] = []any{map[string]any{"value": "x"}}
		}, `want "not a member"`},
		"a group of nobody": {func(_, groups []map[string]any) { groups[1]["displayName"] = "Other" }, "want"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(1)
			for i, p := range c.people {
				p.objectID = p.attributes["mailNickname"]
				p.sent = mappedValues(p)
				p.blocked = i == 5
			}
			for _, g := range c.groups {
				g.objectID = g.name
			}
			found, err := compare(t.Context(), shown(t, c, tt.plant), c)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if len(found.differences) > 0 || found.peopleOK != 30 || found.groupsOK != 6 || found.membersOK != found.memberships {
					t.Errorf("got %+v", found)
				}
				return
			}
			if len(found.differences) == 0 || !strings.Contains(found.differences[0].String(), tt.want) {
				t.Errorf("got %v, want %q", found.differences, tt.want)
			}
		})
	}
}

// TestTheModuleInTheArchive checks what gofmt and go vet cannot see: the Go files in an archive.
func TestTheModuleInTheArchive(t *testing.T) {
	t.Parallel()
	names := ""
	for _, f := range txtar.Parse(elimityModule).Files {
		names += f.Name + " "
		if !strings.HasSuffix(f.Name, ".go") {
			continue
		}
		formatted, err := format.Source(f.Data)
		if err != nil || string(formatted) != string(f.Data) {
			t.Errorf("%s is not formatted, or no Go: %v", f.Name, err)
		}
	}
	if names != "go.mod go.sum main.go " {
		t.Errorf("the archive has %s", names)
	}
}

func TestTheLogMustNameWhatDiffers(t *testing.T) {
	t.Parallel()
	e := &targetRun{logTexts: map[string][]string{"p1": {"The application refuses title."}}, hasFailure: map[string]bool{"g1": true}}
	for d, want := range map[difference]bool{
		{objectID: "p1", attribute: "title"}:       true,
		{objectID: "p1", attribute: "displayName"}: false,
		{objectID: "p2", attribute: "title"}:       false,
		{objectID: "g1"}:                           true,
		{objectID: "p1"}:                           false,
	} {
		if got := e.logNames(d); got != want {
			t.Errorf("%+v: got %v", d, got)
		}
	}
}

func TestABrowserReadsForms(t *testing.T) {
	t.Parallel()
	address, err := url.Parse("http://127.0.0.1/c/acme/page?x=1")
	if err != nil {
		t.Fatal(err)
	}
	p := &page{address: address, body: `<form action="save" method=post><input type=hidden name='version' value="7"><input name="a" value="&lt;b&gt;"><textarea name="t">x &amp; y</textarea>
		<input type="checkbox" name="c" value="yes"><input type="radio" name="r" value="1"><input type="radio" name="r" value="2" checked><input type="submit" name="s" value="Save"><button name="b">Save</button></form>
		<form method="get"><input name="login"><input type="password" name="secret"></form>
		<form method="post"><input name="issuer"><input type="password" name="new" autocomplete="new-password"></form> <a class="button" href="/c/acme/sign-out?go=a&amp;b">Sign out</a>`}
	forms, err := p.forms()
	if err != nil || len(forms) != 3 {
		t.Fatalf("%d forms, %v", len(forms), err)
	}
	want := url.Values{"version": {"7"}, "a": {"<b>"}, "t": {"x & y"}, "r": {"2"}}
	if f := forms[0]; !reflect.DeepEqual(f.values, want) || f.method != http.MethodPost || f.action.String() != "http://127.0.0.1/c/acme/save" || f.passwordInput != "" {
		t.Errorf("got %+v", f)
	}
	if f := forms[1]; f.userNameInput != "login" || f.passwordInput != "secret" || f.method != http.MethodGet || f.action.String() != address.String() {
		t.Errorf("got %+v", f)
	}
	if f := forms[2]; f.passwordInput != "" {
		t.Errorf("a form that sets a password asks for one: %+v", f)
	}
	if link, err := p.link("sign-out?go="); err != nil || link != "http://127.0.0.1/c/acme/sign-out?go=a&b" {
		t.Errorf("got %q, %v", link, err)
	}
}

func TestEachPartOfTheReportIsWrittenAlone(t *testing.T) {
	t.Parallel()
	o := options{output: filepath.Join(t.TempDir(), "interop.md")}
	signedIn := func(result string) []byte {
		return (&signIns{results: []signInResult{{result: result}}}).markdown()
	}
	for _, step := range []struct {
		provisioned, signedIn []byte
		want                  []byte
	}{
		{nil, signedIn("one"), signedIn("one")},
		{[]byte("# First\n"), nil, append([]byte("# First\n"), signedIn("one")...)},
		{nil, signedIn("two"), append([]byte("# First\n"), signedIn("two")...)},
	} {
		if err := o.writeReport(step.provisioned, step.signedIn); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(o.output); err != nil || !bytes.Equal(got, step.want) {
			t.Errorf("got %q (%v), want %q", got, err, step.want)
		}
	}
}

func TestOnlyNamesTargetsAndTheSignIn(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]string{"": "6 true", "sign-in": "0 true", "elimity,sign-in": "1 true", "scimmy,elimity": "2 false"} {
		found, signsIn, err := options{only: only}.chooseParts()
		if got := fmt.Sprint(len(found), signsIn); err != nil || got != want {
			t.Errorf("%q: got %s (%v), want %s", only, got, err, want)
		}
	}
	if _, _, err := (options{only: "sign-in,nothing"}).chooseParts(); err == nil {
		t.Error("a target that does not exist is accepted")
	}
}
