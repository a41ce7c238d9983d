package apptest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/site"
)

// TestEverySettingIsSetAndReadEverywhere sets every setting of a site with the command, then on the
// page. Each time it reads the setting from the command, its JSON, the page and the event.
func TestEverySettingIsSetAndReadEverywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := &journey{t: t, dir: dir, env: []string{"ROLLCALL_DATABASE=" + filepath.Join(dir, "rollcall.db"), "TZ=UTC"}, secrets: map[string]string{}}
	j.server = serve(t, j.env)
	j.run("site", "create", "acme", "--admin", "kim@acme.example")
	kim := newVisitor(t, j.server.url, "")
	j.follow(kim, j.run("site", "link", "acme", "kim@acme.example"))
	kim.post("/c/acme/admin/access/scim/unlock", url.Values{})

	var s site.Settings
	s.Choose(site.Documented)
	j.wantSettings(kim, s)
	s.Choose(site.Full) // it changes other settings, so it is set by itself
	j.run("site", "set", "acme", "--profile", "full")
	j.wantSettings(kim, s)
	args := []string{"site", "set", "acme"}
	for _, x := range site.SettingsTable[1:] {
		value := otherValue(x, s)
		x.Set(&s, value)
		args = append(args, fmt.Sprintf("--%s=%s", x.Flag, flagWord(x, s)))
	}
	j.run(args...)
	j.wantSettings(kim, s)
	j.wantToldBy("command")

	page := "/c/acme/admin/access/scim"
	form := hidden(kim.get(page))
	for _, x := range site.SettingsOnPage() {
		if x.Name != "scimEnabled" { // the page asks before it switches this off
			x.Set(&s, otherValue(x, s))
		}
		if word := formWord(x, s); word != "" {
			form.Set(x.Field, word)
		}
	}
	kim.post(page, form)
	j.wantSettings(kim, s)
	j.wantToldBy("admin", "profile", "scimEnabled")
}

// otherValue returns a value that the setting does not have now.
func otherValue(x site.Setting, s site.Settings) any {
	if x.Kind == site.Number {
		return x.Bounds.Min + x.Get(s).(int)
	}
	i := slices.IndexFunc(x.Values, func(v site.Value) bool { return v.Stored != x.Get(s) })
	return x.Values[i].Stored
}

func flagWord(x site.Setting, s site.Settings) string {
	if x.Kind == site.Tick {
		return fmt.Sprint(x.Get(s))
	}
	return x.Word(s)
}

// formWord returns what the form holds for a setting; empty for a box that is not ticked.
func formWord(x site.Setting, s site.Settings) string {
	switch is := x.Get(s); {
	case is == true && x.Kind == site.Tick:
		return "yes"
	case is == false && x.Kind == site.Tick, is == 0:
		return ""
	}
	return x.Word(s)
}

// wantSettings checks every setting in the command, its JSON and the page.
func (j *journey) wantSettings(admin *visitor, s site.Settings) {
	j.t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(j.run("site", "show", "acme", "--json")), &out); err != nil {
		j.t.Fatal(err)
	}
	shown := j.run("site", "show", "acme")
	page := admin.get("/c/acme/admin/access/scim")
	was := hidden(page)
	for _, x := range site.SettingsTable {
		if got, there := out[x.Key]; !there || fmt.Sprint(got) != fmt.Sprint(x.JSON(s)) {
			j.t.Errorf("%s: site show --json has %s: %v, want %v", x.Name, x.Key, got, x.JSON(s))
		}
		say := x.Printed(site.Site{Settings: s})
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(x.Title) + ` +` + regexp.QuoteMeta(say) + `$`).MatchString(shown) {
			j.t.Errorf("%s: site show does not say %q, %q:\n%s", x.Name, x.Title, say, shown)
		}
		if x.Field == "" {
			continue
		}
		if got := inputs(page).Get(x.Field); !strings.Contains(page, x.Label) || got != formWord(x, s) || was.Get("was."+x.Field) != got {
			j.t.Errorf("%s: the page has %q, made from %q, want %q", x.Name, got, was.Get("was."+x.Field), formWord(x, s))
		}
	}
}

// inputs returns the values of the form on a page: of ticked boxes and buttons, and of text inputs.
func inputs(page string) url.Values {
	form := url.Values{}
	value := regexp.MustCompile(` value="([^"]*)"`)
	for _, m := range regexp.MustCompile(`<input [^>]*?name="([^"]*)"[^>]*>`).FindAllStringSubmatch(page, -1) {
		tag := m[0]
		box := strings.Contains(tag, `type="checkbox"`) || strings.Contains(tag, `type="radio"`)
		if v := value.FindStringSubmatch(tag); v != nil && (!box || strings.Contains(tag, " checked")) {
			form.Add(m[1], v[1])
		}
	}
	return form
}

// wantToldBy checks that this kind of actor caused an event about every setting, except those in
// but.
func (j *journey) wantToldBy(kind string, but ...string) {
	j.t.Helper()
	var all []event.Entry
	if err := json.Unmarshal([]byte(j.run("audit", "--json", "--event", "site.")), &all); err != nil {
		j.t.Fatal(err)
	}
	told := map[string]bool{}
	for _, e := range all {
		for _, c := range event.Changes(e.Data) {
			told[c.Name] = told[c.Name] || e.Actor.Kind == kind && e.Text != "" && slices.Contains(event.Names, e.Event)
		}
	}
	for _, x := range site.SettingsTable {
		if !told[x.Name] && !slices.Contains(but, x.Name) {
			j.t.Errorf("%s: no event tells that a %s changed it", x.Name, kind)
		}
	}
}
