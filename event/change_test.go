package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
)

func TestChangesAreReadBackAndForgotten(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "{}", `{"version":3}`} {
		held := event.WithChanges([]byte(data),
			event.Changed("userName", "kim@<a>.example", "mallory@b.example"),
			event.Changed("emails", nil, []any{map[string]any{"value": "m@b.example"}}),
			event.Changed("active", true, nil),
			event.SecretChanged("Secret Token"))
		if !json.Valid(held) || !strings.Contains(string(held), "kim@<a>.example") {
			t.Fatalf("%q: data is %s", data, held)
		}
		got := event.Changes(held)
		if len(got) != 4 || string(got[0].Before) != `"kim@<a>.example"` || string(got[0].After) != `"mallory@b.example"` ||
			got[1].Before != nil || string(got[1].After) != `[{"value":"m@b.example"}]` || string(got[2].Before) != "true" || got[2].After != nil ||
			!got[3].Secret || got[3].Before != nil || got[3].After != nil {
			t.Errorf("%q: read back as %+v", data, got)
		}
	}
}

func TestChangesAreBounded(t *testing.T) {
	t.Parallel()
	var many []event.Change
	for range 100 {
		many = append(many, event.Changed("x", strings.Repeat("ü", 5_000), []string{strings.Repeat("<", 100_000)}))
	}
	data := event.WithChanges(nil, many...)
	if len(data) > 20_000 || !json.Valid(data) {
		t.Fatalf("%d bytes", len(data))
	}
	got := event.Changes(data)
	if len(got) != 100 || !got[0].Cut || !got[99].Cut || got[99].Before != nil || !strings.HasPrefix(string(got[0].Before), `"üü`) {
		t.Errorf("the first is %+v, the last %+v", got[0], got[99])
	}
}

// TestChangesAreWrittenAsPackageJSONDoes compares with encoding/json.
func TestChangesAreWrittenAsPackageJSONDoes(t *testing.T) {
	t.Parallel()
	var all []event.Change
	for _, v := range []any{
		nil, "", "plain", `"quoted" \ back`, "tab\tand\nlines", "<b>&amp;</b>", "Zoë, 李, \u2028", "\xff", "\x00\x7f", true, false, int64(-7), 1.5, []any{"a", map[string]any{"b": 1}}, map[string]any{"<": nil},
	} {
		all = append(all, event.Changed("name", v, "x"), event.Changed("other <name> \"", true, v))
	}
	all = append(all, event.SecretChanged("token"), event.Change{Name: "gone", Erased: true}, event.Changed("long", strings.Repeat("x", 5000), nil))
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]any{"changes": all}); err != nil {
		t.Fatal(err)
	}
	if got := string(event.WithChanges(nil, all...)); got != strings.TrimSpace(want.String()) {
		t.Errorf("got\n%s\nwant\n%s", got, &want)
	}
	for _, c := range all {
		if len(c.Before) > 0 && !json.Valid(c.Before) || len(c.After) > 0 && !json.Valid(c.After) {
			t.Errorf("not JSON: %s, %s", c.Before, c.After)
		}
	}
}
