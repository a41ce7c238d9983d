package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// guideWarning is the guide's own text.
const guideWarning = "You will not be able to retrieve this token again after reloading the page, so make sure you save it in a secure location. " +
	"If your token is lost you can generate a new one, but your Identity Provider will need to be reconfigured with the new token."

const scimPath = "/c/acme/admin/access/scim"

// admin is a site with one administrator, and their browser.
func (w *world) admin(p site.Profile) (site.Site, *browser) {
	w.t.Helper()
	s := w.site("acme", p)
	w.person(s, "kim@acme.example", "Kim Admin", roster.RoleAdmin)
	return s, w.signIn(s, "kim@acme.example")
}

// secretOn is the token that the page shows, or empty.
func secretOn(s *shown) string {
	for _, n := range s.Root.all("input") {
		if n.attr["id"] == "token" {
			return n.attr["value"]
		}
	}
	return ""
}

func (w *world) liveTokens(s site.Site) []site.Token {
	w.t.Helper()
	all, err := w.pages.Sites.Tokens(w.t.Context(), s.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(token site.Token) bool { return !token.IsLive(w.clock()) })
}

func (w *world) settings(s site.Site) site.Site {
	w.t.Helper()
	now, err := w.pages.Sites.Get(w.t.Context(), s.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return now
}

func TestSCIMPage(t *testing.T) {
	t.Parallel()

	t.Run("has_the_guides_words_in_the_guides_order", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		page := b.get(scimPath).submit("Generate", nil).wantStatus(http.StatusOK)
		at := 0
		words := page.words()
		for _, text := range []string{
			"SCIM integration",
			"System for Cross-domain Identity Management (SCIM) is a technology that connects your Identity Provider with Rollcall.",
			"Read our implementation guide for help with setup.",
			"Enable SCIM",
			"Tenant URL",
			"Generate a SCIM authorization token",
			"You'll need an authorization token to configure your Identity Provider.",
			"Generated",
			"Save this token",
			guideWarning,
			"Copy to clipboard",
			"Allow SCIM to manage user roles",
			"Checking this box will allow you to promote and demote users from admin status using SCIM.",
		} {
			i := strings.Index(words[at:], text)
			if i < 0 {
				t.Fatalf("%q does not follow: %s", text, words[at:])
			}
			at += i + len(text)
		}
	})

	t.Run("shows_the_tenant_url_of_the_public_address", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		for _, path := range []string{scimPath, scimPath + "/guide"} {
			found := false
			for _, n := range b.get(path).Root.all("input") {
				found = found || (n.attr["id"] == "tenant-url" && n.attr["value"] == "https://rollcall.example/c/acme/auth/scim/v2")
			}
			if !found {
				t.Errorf("%s does not show it", path)
			}
		}
	})

	t.Run("enable_scim_is_off_on_a_new_site_and_switches_on", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		page := b.get(scimPath).wantWords("Not set up")
		form, _ := page.form("Save")
		if form.values().Get("enabled") != "" {
			t.Error("the box is checked on a new site")
		}
		page.submit("Save", url.Values{"enabled": {"on"}}).wantStatus(http.StatusOK).wantWords("SCIM is on.")
		if !w.settings(s).SCIMEnabled {
			t.Error("SCIM is still off")
		}
		if e := w.ofSite(s)[0]; e.Name != "site.scim_enabled" || e.Actor != "admin:kim@acme.example" {
			t.Errorf("event %s by %s", e.Name, e.Actor)
		}
		b.get(scimPath).wantNoWords("SCIM is on.") // a notice is shown once
	})

	t.Run("turning_off_asks_with_consequences", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		b.get(scimPath).submit("Save", url.Values{"enabled": {"on"}})
		b.get(scimPath).submit("Generate", nil)
		token := w.liveTokens(s)[0]
		if err := w.pages.Requests.Write(t.Context(), requestlog.Request{Site: s.ID, TokenID: token.ID, Method: "GET", Path: "/Users", Status: 200}); err != nil {
			t.Fatal(err)
		}
		ask := b.get(scimPath).submit("Save", url.Values{"enabled": nil})
		ask.wantWords("Turn SCIM off?", "2 people here, 2 active, 0 deactivated.", "no longer cut off", "quarantine")
		if !w.settings(s).SCIMEnabled {
			t.Fatal("SCIM went off before the answer")
		}
		ask.submit("Turn SCIM off", url.Values{"confirm": {"other"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("not the name of this site")
		if !w.settings(s).SCIMEnabled {
			t.Fatal("SCIM went off with the wrong name")
		}
		ask.submit("Turn SCIM off", url.Values{"confirm": {"acme"}}).wantStatus(http.StatusOK).wantWords("SCIM is off.", "Off")
		if w.settings(s).SCIMEnabled {
			t.Error("SCIM is still on")
		}
	})

	t.Run("roles_are_switched_without_changing_anybody", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		// The page has two buttons called Save; the roles are the second form's.
		set := func(on string) *shown {
			return b.send(http.MethodPost, scimPath+"/roles", url.Values{"roles": {on}})
		}
		set("on").wantWords("SCIM may now promote and demote users")
		if !w.settings(s).ManageRoles {
			t.Error("still off")
		}
		set("").wantWords("Everybody keeps the role")
		if w.settings(s).ManageRoles {
			t.Error("still on")
		}
		set("").wantNoWords("Everybody keeps the role")
	})
}

// TestGuideWithoutSave follows the guide's words, which know no Save on this page: tick, then Generate.
func TestGuideWithoutSave(t *testing.T) {
	t.Parallel()

	t.Run("generate_saves_the_ticks_and_the_token_works", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		made := b.get(scimPath).submit("Generate", url.Values{"enabled": {"yes"}, "roles": {"yes"}, "rate": {"50"}})
		if _, _, err := w.pages.Sites.Authenticate(t.Context(), "acme", secretOn(made)); err != nil {
			t.Errorf("the token is refused: %v", err)
		}
		if got := w.settings(s); !got.SCIMEnabled || !got.ManageRoles || got.RateLimit != 50 {
			t.Errorf("got %+v", got)
		}
		made.wantWords("Generated").wantNoWords("Not set up")
	})

	t.Run("generate_beside_a_live_token_saves_the_ticks_before_it_asks", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		b.get(scimPath).submit("Generate", nil)
		ask := b.get(scimPath).submit("Generate", url.Values{"enabled": {"yes"}, "name": {"second"}}).wantWords("Generate another token?", "SCIM is on.")
		if !w.settings(s).SCIMEnabled {
			t.Error("the tick was dropped")
		}
		// Cancel leads back to what was typed.
		form, _ := ask.click("Cancel").form("Generate")
		if got := form.values().Get("name"); got != "second" {
			t.Errorf("the name is now %q", got)
		}
	})

	t.Run("generate_with_a_wrong_value_keeps_the_ticks_on_the_page", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		for _, wrong := range []url.Values{{"expires": {"soon"}}, {"rate": {"1"}}} {
			wrong.Set("enabled", "yes")
			wrong.Set("strict", "yes")
			wrong.Set("name", "Entra")
			page := b.get(scimPath).submit("Generate", wrong).wantStatus(http.StatusUnprocessableEntity)
			form, _ := page.form("Generate")
			for name := range wrong {
				if got := form.values().Get(name); got != wrong.Get(name) {
					t.Errorf("%v: %s is now %q", wrong, name, got)
				}
			}
			if len(w.liveTokens(s)) != 0 || w.settings(s).SCIMEnabled {
				t.Error("something was saved")
			}
		}
	})

	t.Run("nothing_on_the_page_with_the_token_leads_away_from_it_but_done", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		made := b.get(scimPath).submit("Generate", nil)
		for _, main := range made.Root.all("main") {
			if forms := main.all("form"); len(forms) > 0 {
				t.Errorf("a form with %q", forms[0].text())
			}
			for _, n := range main.all("button") {
				if n.attr["type"] != "button" {
					t.Errorf("the button %q", n.text())
				}
			}
		}
		made.click("Done, I have saved it").wantWords("SCIM integration")
	})

	t.Run("unticking_enable_scim_and_generate_makes_the_token_and_asks_afterwards", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		b.get(scimPath).submit("Save", url.Values{"enabled": {"yes"}})
		made := b.get(scimPath).submit("Generate", url.Values{"enabled": nil}).wantWords("Generated")
		if !w.settings(s).SCIMEnabled {
			t.Error("SCIM went off without a question")
		}
		made.click("Done, I have saved it").wantWords("Turn SCIM off?")
	})

	t.Run("sending_the_form_again_changes_no_setting", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		form, button := b.get(scimPath).form("Generate")
		sent := form.values()
		sent.Set("enabled", "yes")
		b.send(http.MethodPost, button.attr["formaction"], sent).wantWords("Generated")
		b.get(scimPath+"/off").submit("Turn SCIM off", nil)
		b.send(http.MethodPost, button.attr["formaction"], sent).wantWords("Nothing new was made.")
		if w.settings(s).SCIMEnabled {
			t.Error("a reload switched SCIM on again")
		}
	})
}

// TestSwitchesAtOnce: where scripts run a tick is saved by itself, and the page stays as it is.
func TestSwitchesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	tick := func(name, value string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://rollcall.example"+scimPath+"/"+name, strings.NewReader(url.Values{name: {value}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Test-Server", strings.TrimPrefix(b.base, "http://"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("HX-Request", "true")
		answer, err := b.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	tick("enabled", "yes")
	tick("roles", "yes")
	if got := w.settings(s); !got.SCIMEnabled || !got.ManageRoles {
		t.Fatalf("got %+v", got)
	}
	if got := tick("enabled", "").Header.Get("HX-Redirect"); got != scimPath+"/off" || !w.settings(s).SCIMEnabled {
		t.Errorf("switching off leads to %q", got)
	}
	tick("roles", "")
	if w.settings(s).ManageRoles {
		t.Error("roles are still managed")
	}
}

// Without a script the switch is a checkbox of the page's form: unticking it asks, and nothing is off before the answer.
func TestUntickingEnableSCIMAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	b.get(scimPath).press("Save", url.Values{"enabled": {"yes"}})
	if !w.settings(s).SCIMEnabled {
		t.Fatal("SCIM is not on")
	}
	ask := b.get(scimPath).press("Save", url.Values{"enabled": nil, "roles": {"yes"}})
	if ask.Path != scimPath+"/off" {
		t.Errorf("unticking leads to %s, want the question", ask.Path)
	}
	if got := w.settings(s); !got.SCIMEnabled || !got.ManageRoles {
		t.Errorf("before the answer: got %+v, want SCIM still on and the other change saved", got)
	}
	ask.press("Turn SCIM off", nil).wantStatus(http.StatusOK).wantWords("SCIM is off.")
	if w.settings(s).SCIMEnabled {
		t.Error("SCIM is still on after the answer")
	}
}

func TestToken(t *testing.T) {
	t.Parallel()

	t.Run("is_shown_in_the_answer_to_the_post_and_never_again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		page := b.get(scimPath)
		form, button := page.form("Generate")
		action := button.attr["formaction"]
		sent := form.values()
		sent.Set("name", "Entra ID")
		made := b.send(http.MethodPost, action, sent).wantStatus(http.StatusOK)
		secret := secretOn(made)
		if !site.LooksLikeToken(secret) {
			t.Fatalf("got %q, which is no token", secret)
		}
		if got := made.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control: got %q, want no-store", got)
		}
		if made.Header.Get("Location") != "" || strings.Contains(strings.Join(made.Header.Values("Set-Cookie"), ";"), secret) {
			t.Error("the token is in a header")
		}
		// SCIM is still off, as the box says, so the token is right and refused.
		if _, _, err := w.pages.Sites.Authenticate(t.Context(), "acme", secret); err != site.ErrSCIMOff {
			t.Errorf("got %v, want %v", err, site.ErrSCIMOff)
		}

		reload := b.send(http.MethodPost, action, sent).wantStatus(http.StatusOK)
		back := b.get(scimPath)
		again := b.get(action)
		reload.wantWords("A token is shown once", "Nothing new was made.")
		again.wantWords("A token is shown once")
		for name, p := range map[string]*shown{"reload": reload, "back": back, "asking again": again, "overview": b.get("/c/acme/admin/access"), "audit": b.get("/c/acme/admin/audit")} {
			if strings.Contains(p.Text, secret) {
				t.Errorf("%s shows the token", name)
			}
		}
		if reload.Path != scimPath {
			t.Errorf("reload leads to %s, want %s", reload.Path, scimPath)
		}
		if got := w.liveTokens(s); len(got) != 1 {
			t.Errorf("got %d tokens, want 1", len(got))
		}
		back.wantWords("Entra ID (…"+secret[len(secret)-4:]+")", "by kim@acme.example", "never")
	})

	t.Run("without_a_number_is_not_made", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		b.send(http.MethodPost, scimPath+"/tokens", url.Values{}).wantStatus(http.StatusBadRequest)
		if got := w.liveTokens(s); len(got) != 0 {
			t.Errorf("got %d tokens, want none", len(got))
		}
	})

	t.Run("beside_a_live_one_asks_and_replace_is_preselected", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		first := secretOn(b.get(scimPath).submit("Generate", nil))
		old := w.liveTokens(s)[0]
		if err := w.pages.Requests.Write(t.Context(), requestlog.Request{Site: s.ID, TokenID: old.ID, Method: "GET", Path: "/Users", Status: 200, Remote: "192.0.2.7"}); err != nil {
			t.Fatal(err)
		}
		w.pass(3 * time.Minute)
		ask := b.get(scimPath).submit("Generate", url.Values{"name": {"second"}})
		ask.wantWords("Generate another token?", old.Label()+" is live. It was last used 3 minutes ago from 192.0.2.7.",
			"Replace it now", "Provisioning stops until your Identity Provider has the new token.", "Keep it until the new one is used")
		form, _ := ask.form("Generate")
		if got := form.values().Get("mode"); got != "replace" {
			t.Errorf("preselected is %q, want replace", got)
		}
		if got := len(w.liveTokens(s)); got != 1 {
			t.Fatalf("asking made a token: %d are live", got)
		}
		made := ask.submit("Generate", nil).wantWords("Generated", "second (…", old.Label()+" is revoked.")
		if second := secretOn(made); second == "" || second == first {
			t.Error("no new token is shown")
		}
		if live := w.liveTokens(s); len(live) != 1 || live[0].ID == old.ID {
			t.Errorf("live are %+v", live)
		}
	})

	t.Run("kept_until_the_new_one_is_used", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		b.get(scimPath).submit("Save", url.Values{"enabled": {"on"}})
		first := secretOn(b.get(scimPath).submit("Generate", nil))
		made := b.get(scimPath).submit("Generate", nil).submit("Generate", url.Values{"mode": {"keep"}})
		second := secretOn(made)
		made.wantWords("works until the first call with", "Ends the old token with its first call")
		if got := len(w.liveTokens(s)); got != 2 {
			t.Fatalf("got %d live tokens, want 2", got)
		}
		third := b.get(scimPath).wantWords("Two tokens are live:", "…"+first[len(first)-4:], "…"+second[len(second)-4:], "Revoke one of them first")
		button := third.Root.all("button")
		disabled := false
		for _, n := range button {
			disabled = disabled || (n.text() == "Generate" && n.has("disabled"))
		}
		if !disabled {
			t.Error("Generate is not disabled")
		}
		b.send(http.MethodPost, scimPath+"/tokens", url.Values{"form": {"N"}, "mode": {"replace"}}).wantWords("No token was made", "Two tokens are live")
		if _, _, err := w.pages.Sites.Authenticate(t.Context(), "acme", second); err != nil {
			t.Fatal(err)
		}
		if live := w.liveTokens(s); len(live) != 1 || live[0].Last4 != second[len(second)-4:] {
			t.Errorf("after its first use live are %+v", live)
		}
	})

	t.Run("made_meanwhile_elsewhere_still_asks", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		page := b.get(scimPath)
		if _, _, err := w.pages.Sites.CreateToken(t.Context(), s.ID, site.TokenRequest{Actor: "cli"}); err != nil {
			t.Fatal(err)
		}
		page.submit("Generate", nil).wantWords("Generate another token?")
		if got := len(w.liveTokens(s)); got != 1 {
			t.Errorf("got %d live tokens, want 1", got)
		}
	})

	t.Run("expires_at_the_end_of_the_chosen_day", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		for wrong, says := range map[string]string{"2030-05-05": "That day is over.", "soon": "Write the day as 2027-01-31"} {
			page := b.get(scimPath).submit("Generate", url.Values{"name": {"Entra"}, "expires": {wrong}}).wantStatus(http.StatusUnprocessableEntity).wantWords(says)
			if form, _ := page.form("Generate"); form.values().Get("name") != "Entra" || form.values().Get("expires") != wrong {
				t.Errorf("%s: the form forgot what was entered: %v", wrong, form.values())
			}
		}
		b.get(scimPath).submit("Generate", url.Values{"expires": {"2030-05-20"}}).wantWords("Generated", "in 14 days")
		want := time.Date(2030, 5, 21, 0, 0, 0, 0, time.UTC)
		if got := w.liveTokens(s)[0].Expires; !got.Equal(want) {
			t.Errorf("got %s, want %s", got, want)
		}
		b.get("/c/acme/admin/access").wantWords("expires in 14 days")
	})

	t.Run("is_revoked_after_a_question", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		b.get(scimPath).submit("Generate", nil)
		token := w.liveTokens(s)[0]
		ask := b.get(scimPath+"/tokens/"+token.ID+"/revoke").wantWords("Revoke the token "+token.Label()+"?", "never used", "only live token", "cannot be undone")
		if len(w.liveTokens(s)) != 1 {
			t.Fatal("asking revoked it")
		}
		ask.submit("Revoke token", nil).wantWords("is revoked.", "Ended tokens")
		if len(w.liveTokens(s)) != 0 {
			t.Error("it is still live")
		}
		b.get(scimPath + "/tokens/" + token.ID + "/revoke").wantWords("has ended already")
		b.get(scimPath + "/tokens/unknown/revoke").wantStatus(http.StatusNotFound).wantWords("There is no such token")
	})
}
