package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
)

// TestAskEdit goes through the page that asks: it shows both values and who saved the other one, saves nothing without an answer, keeps the
// fields that nobody asks about, and asks again when the value changed a third time.
func TestAskEdit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c, err := console.New(console.Options{PublicURL: "https://rollcall.example", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(form url.Values, stored map[string]string) (*shown, console.MergedEdit) {
		t.Helper()
		m, err := console.MergeEdit(form, askedFields, stored)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/d/x", strings.NewReader(""))
		last := event.Event{Actor: "operator:sam", Time: now.Add(-3 * time.Minute)}
		if err := c.AskAboutConflicts(w, r, console.Page{}, m, "/d/x", "/d/x", &last, console.HiddenField{Name: "do", Value: "start"}); err != nil {
			t.Fatal(err)
		}
		b := &browser{t: t}
		return &shown{b: b, Status: w.Code, Path: "/d/x", Text: w.Body.String(), Root: parseHTML(t, w.Body.String())}, m
	}
	stored := map[string]string{"city": "Bonn", "street": "a\nb", "groups": "yes", "create": "create"}
	page, _ := ask(url.Values{
		"city": {"Oslo"}, "was.city": {"Rome"}, "street": {"c\r\nd"}, "was.street": {"a\r\nb"}, "was.groups": {"yes"}, "create": {"refuse"}, "was.create": {"refuse"},
	}, stored)
	page.wantStatus(http.StatusConflict).wantWords("Nothing was saved yet. sam (operator) changed 1 field that you changed too, 3 minutes ago.", "City", "Oslo", "Your value", "Bonn", "Saved meanwhile").
		wantNoWords("Street", "On Create")
	form, _ := page.form("Save")
	sent := form.values()
	if got, want := sent.Get("do"), "start"; got != want {
		t.Errorf("the further input: got %q, want %q", got, want)
	}
	if sent.Has("city") {
		t.Fatal("the page answers its own question")
	}
	if m, err := console.MergeEdit(sent, askedFields, stored); err != nil || len(m.Conflicts) != 1 {
		t.Errorf("sent without an answer: got %+v, %v; want to be asked again", m.Conflicts, err)
	}
	for _, answer := range []string{"Oslo", "Bonn"} {
		sent.Set("city", answer)
		m, err := console.MergeEdit(sent, askedFields, stored)
		if err != nil || len(m.Conflicts) > 0 {
			t.Fatal(m.Conflicts, err)
		}
		want := map[string]string{"city": answer, "street": "c\nd", "groups": "", "create": "create"}
		if diff := cmp.Diff(m.Values, want); diff != "" {
			t.Errorf("answered %s (-got +want):\n%s", answer, diff)
		}
	}
	sent.Set("city", "Oslo")
	again, _ := ask(sent, map[string]string{"city": "Kyiv", "street": "a\nb", "groups": "yes", "create": "create"})
	again.wantWords("Oslo", "Kyiv").wantNoWords("Bonn")
}

var askedFields = []console.EditField{
	{Name: "city", Label: "City"},
	{Name: "street", Label: "Street"},
	console.CheckboxField("groups", "Take groups"),
	console.ChoiceField("create", "On Create", map[string]string{"refuse": "Refuse", "create": "Create the account"}),
}
