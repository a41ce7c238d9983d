package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// TestInABrowser shows what only a browser can: that nothing is wider than a small screen, and that the scripts do their
// comfort under the content-security policy.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	b := apptest.OpenBrowser(t)
	w := newWorldAt(t, "")
	s := w.site("acme", site.Documented)
	w.person(s, "kim@acme.example", "Kim Admin", roster.RoleAdmin)
	ada := w.person(s, "ada.with.a.very.long.user.name@department.acme.example", "Ada Lovelace", roster.RoleRegistered)
	w.person(s, "grete@acme.example", "Grete Müller", roster.RoleModerator)
	w.logged(s, sampleCalls(ada.ID)...)
	w.declare(s, "title", "department")
	mux := http.NewServeMux()
	mux.Handle("/c/", w.pages.Handler())
	mux.Handle("/assets/", w.pages.Console.Assets())
	server := httptest.NewServer(web.Front{Now: w.clock}.Handler(mux))
	t.Cleanup(server.Close)
	link, err := w.pages.SignIns.IssueSiteLink(t.Context(), s, "kim@acme.example", "cli")
	if err != nil {
		t.Fatal(err)
	}
	win := b.Window(t, "Kim")
	win.Open(server.URL + link.Path)
	win.Clicks("Sign in as Kim Admin")
	win.Sees("You are signed in as Kim Admin.")

	t.Run("search_shows_its_result_while_typing", func(t *testing.T) {
		win.Open(server.URL + peoplePath)
		win.Fills("Name, user name or e-mail", "grete")
		win.Sees("1 person")
		win.SeesNot("Ada Lovelace")
		// "gr" finds her too: the address follows with the rest of the word.
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(win.URL(), "q=grete"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the address is %s, which does not keep the search", win.URL())
			}
		}
	})
	t.Run("theme_is_switched_and_remembered", func(t *testing.T) {
		win.Open(server.URL + scimPath)
		win.Clicks("Switch between light and dark")
		win.Open(server.URL + peoplePath)
		if !win.Has(`html[data-theme="dark"]`) {
			t.Error("the next page is light again")
		}
		win.Clicks("Switch between light and dark")
	})
	t.Run("copy_buttons_are_there", func(t *testing.T) {
		win.Open(server.URL + scimPath)
		if !win.Has(`button[data-copy="tenant-url"]:not([hidden])`) {
			t.Error("no copy button beside the Tenant URL")
		}
	})
	t.Run("an_index_that_is_filled_shows_without_a_reload", func(t *testing.T) {
		win.Open(server.URL + searchablePath)
		win.Sees("0 of 3 indexed")
		w.index(s)
		win.Sees("Complete", "3 indexed")
		if win.Has("[hx-trigger]") {
			t.Error("the page goes on asking")
		}
		w.declare(s, "nickName")
	})
	t.Run("menu_opens_on_a_small_screen", func(t *testing.T) {
		win.Resize(320, 700)
		defer win.Resize(1280, 900)
		win.Open(server.URL + "/c/acme/")
		win.Clicks("Menu")
		win.Clicks("Audit log")
		win.Sees("Every change of an account")
	})
	t.Run("nothing_breaks_a_page", func(t *testing.T) { nothingBreaksAPage(t, b) })
}
