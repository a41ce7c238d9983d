package console_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/console"
)

// TestEveryPage looks at each page the way a screen reader, a browser under the content-security policy and a proof-reader do.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	c, err := console.New(console.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range everyPage(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkOutline(t, page.Root)
			checkControls(t, page.Root)
			checkPolicy(t, page, c)
			checkIDs(t, page.Root)
			checkVersion(t, page.Root)
			if strings.Contains(page.Text, "<no value>") || strings.Contains(page.Text, "ZgotmplZ") || strings.Contains(page.Text, "%!") {
				t.Error("a template could not say something")
			}
			if strings.Contains(page.Text, "Ada <b>") {
				t.Error("a name is not escaped")
			}
		})
	}
}

// newThings are the actions of forms that make something or ask for something, and edit nothing that is stored.
var newThings = regexp.MustCompile(`^/d/$|^/d/-/sites$|/users/import$|/applications$|/users$|/groups$|/roles$|/keys$|/notifications$|/webhooks$|/webhooks/[^/]+/rotate$|/(test|resume)$|/connections$|/sign-in/|/scim/tokens$|/scim/searchable$|/users/change$|/provisioning/schema$|/attributes/(source|target)$|/users-and-groups(/add)?$|/authentication/import$`)

// checkVersion wants a form that is filled in with stored values to carry what it was made from, so that it cannot overwrite what somebody
// else saved meanwhile. A form that asks before it leaves is one of them.
func checkVersion(t *testing.T, root *node) {
	t.Helper()
	for _, form := range root.all("form") {
		if form.attr["method"] != "post" {
			continue
		}
		filled, carries := form.has("data-edits"), false
		for _, input := range form.all("input", "textarea", "option") {
			name := input.attr["name"]
			switch {
			case strings.HasPrefix(name, console.StartValuePrefix), name == "version":
				carries = true
			case input.attr["type"] == "hidden" || input.has("readonly") || input.has("disabled"):
			case input.attr["type"] == "checkbox" || input.attr["type"] == "radio":
				filled = filled || input.has("checked")
			case input.tag == "option":
				filled = filled || input.has("selected")
			case input.tag == "textarea":
				filled = filled || input.text() != ""
			default:
				filled = filled || input.attr["value"] != ""
			}
		}
		if filled && !carries && !newThings.MatchString(form.attr["action"]) {
			t.Errorf("the form of %s is filled in with stored values and does not carry what it was made from", form.attr["action"])
		}
	}
}

// checkOutline wants one h1 and no heading that skips a level, landmarks, a language and a title.
func checkOutline(t *testing.T, root *node) {
	t.Helper()
	level, ones := 0, 0
	for _, h := range root.all("h1", "h2", "h3", "h4") {
		n := int(h.tag[1] - '0')
		if n == 1 {
			ones++
		}
		if n > level+1 {
			t.Errorf("<%s>%s</%s> skips a level", h.tag, h.text(), h.tag)
		}
		level = n
		if h.text() == "" {
			t.Errorf("an empty <%s>", h.tag)
		}
	}
	if ones != 1 {
		t.Errorf("got %d h1, want 1", ones)
	}
	for _, tag := range []string{"main", "title", "header"} {
		got := slices.DeleteFunc(root.all(tag), func(n *node) bool { return n.within("article") }) // an article has a header of its own
		if len(got) != 1 {
			t.Errorf("got %d <%s>, want 1", len(got), tag)
		}
	}
	if root.all("html")[0].attr["lang"] == "" {
		t.Error("no language")
	}
	if links := root.all("a"); links[0].attr["href"] != "#main" {
		t.Error("the first link does not skip to the content")
	}
	for _, n := range root.all("nav") {
		if n.attr["aria-label"] == "" {
			t.Error("a nav without a name")
		}
	}
	for _, th := range root.all("th") {
		if th.attr["scope"] == "" || th.text() == "" {
			t.Errorf("a column heading without scope or text: %q", th.text())
		}
	}
}

// within reports whether an element of this tag is around n.
func (n *node) within(tag string) bool {
	return n.parent != nil && (n.parent.tag == tag || n.parent.within(tag))
}

// checkControls wants a name on whatever can be used.
func checkControls(t *testing.T, root *node) {
	t.Helper()
	labels := map[string]bool{}
	for _, l := range root.all("label") {
		if l.text() == "" {
			t.Error("an empty label")
		}
		labels[l.attr["for"]] = true
	}
	for _, f := range root.all("input", "select", "textarea") {
		if f.attr["type"] != "hidden" && f.attr["aria-label"] == "" && !labels[f.attr["id"]] {
			t.Errorf("<%s name=%q id=%q> has no label", f.tag, f.attr["name"], f.attr["id"])
		}
	}
	for _, n := range root.all("button", "a", "summary") {
		if n.text() == "" {
			t.Errorf("a <%s> without a name", n.tag)
		}
	}
	for _, n := range root.all("button") {
		if n.attr["type"] == "" {
			t.Errorf("the button %q has no type", n.text())
		}
	}
	for _, n := range root.all("form") {
		if n.attr["action"] == "" || n.attr["method"] == "" {
			t.Errorf("a form without action or method: %q", n.text())
		}
	}
}

// checkPolicy wants nothing that the content-security policy would stop, and every asset to exist.
func checkPolicy(t *testing.T, page *shown, c *console.Console) {
	t.Helper()
	policy := page.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy: got %q", policy)
	}
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: got %q, want no-store", got)
	}
	if len(page.Root.all("style")) > 0 {
		t.Error("a style element")
	}
	for _, n := range page.Root.all("script") {
		if n.attr["src"] == "" {
			t.Error("a script in the page")
		}
	}
	inline := regexp.MustCompile(`<[^>]*\s(style|on[a-z]+)=`)
	if found := inline.FindString(page.Text); found != "" {
		t.Errorf("inline style or script: %s", found)
	}
	sprite := string(c.AssetFiles()[strings.TrimPrefix(c.AssetURL("icons.svg"), console.AssetPath)])
	for _, n := range page.Root.all("link", "script", "use", "img") {
		url := n.attr["href"] + n.attr["src"]
		file, symbol, _ := strings.Cut(url, "#")
		if _, ok := c.AssetFiles()[strings.TrimPrefix(file, console.AssetPath)]; !ok {
			t.Errorf("<%s> asks for %s, which does not exist", n.tag, url)
		}
		if symbol != "" && !strings.Contains(sprite, `id="`+symbol+`"`) {
			t.Errorf("there is no icon %q", symbol)
		}
	}
}

// checkIDs wants ids once, and every reference to one to lead somewhere.
func checkIDs(t *testing.T, root *node) {
	t.Helper()
	var ids []string
	var walk func(n *node)
	walk = func(n *node) {
		if id := n.attr["id"]; id != "" {
			if slices.Contains(ids, id) {
				t.Errorf("the id %q is there twice", id)
			}
			ids = append(ids, id)
		}
		for _, k := range n.kids {
			walk(k)
		}
	}
	walk(root)
	var refer func(n *node)
	refer = func(n *node) {
		for _, attr := range []string{"for", "aria-describedby", "aria-labelledby", "data-copy"} {
			for _, id := range strings.Fields(n.attr[attr]) {
				if !slices.Contains(ids, id) {
					t.Errorf("<%s %s=%q> leads nowhere", n.tag, attr, id)
				}
			}
		}
		for _, k := range n.kids {
			refer(k)
		}
	}
	refer(root)
}

func TestAssets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	c := w.pages.Console

	t.Run("are_kept_for_a_year_under_a_name_with_their_hash", func(t *testing.T) {
		page := b.get(c.AssetURL("console.css")).wantStatus(http.StatusOK)
		if got := page.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("Cache-Control: got %q", got)
		}
		if got := page.Header.Get("Content-Type"); got != "text/css; charset=utf-8" {
			t.Errorf("Content-Type: got %q", got)
		}
		if !regexp.MustCompile(`^/assets/console\.[0-9a-f]{12}\.css$`).MatchString(page.Path) {
			t.Errorf("the name is %s", page.Path)
		}
	})
	t.Run("of_the_style_sheet_exist", func(t *testing.T) {
		sheet := string(c.AssetFiles()[strings.TrimPrefix(c.AssetURL("console.css"), console.AssetPath)])
		found := regexp.MustCompile(`url\("([^"]+)"\)`).FindAllStringSubmatch(sheet, -1)
		if len(found) < 5 {
			t.Fatalf("got %d files, want the five fonts", len(found))
		}
		for _, f := range found {
			b.get(f[1]).wantStatus(http.StatusOK)
		}
	})
	t.Run("without_their_hash_or_unserved_are_not_found", func(t *testing.T) {
		for _, path := range []string{"/assets/console.css", "/assets/", "/assets/vendor/README.md", "/assets/inter-LICENSE.txt", "/assets/../console.go"} {
			b.get(path).wantStatus(http.StatusNotFound)
		}
	})
	t.Run("name_no_other_host", func(t *testing.T) {
		for name, file := range c.AssetFiles() {
			if strings.HasPrefix(name, "console.") && strings.Contains(string(file), "://") {
				t.Errorf("%s names another host", name)
			}
		}
	})
}
