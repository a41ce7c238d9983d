package erasure_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/erasure"
)

func TestThePersonIsReplacedAndNoLongerWord(t *testing.T) {
	t.Parallel()
	p := erasure.New("42", []string{"ann", "Ann@Example.com", "Söderström Ann", `O"Neil`, "x", "true", "42"})
	for text, want := range map[string]string{
		"Updated ann@example.com: title":              "Updated erased person 42: title",
		"Ann was added, Hannover and Joanna were not": "erased person 42 was added, Hannover and Joanna were not",
		"lou.ann@example.com, ann@example.com.au":     "lou.ann@example.com, ann@example.com.au",
		"admin:ANN@EXAMPLE.COM":                       "admin:erased person 42",
		"ann@example.com.":                            "erased person 42.",
		`{"name":"O\"Neil"}`:                          `{"name":"erased person 42"}`,
		"active was true, x, 42":                      "active was true, x, 42",
		"":                                            "",
	} {
		if got := p.Redact(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for path, want := range map[string]string{
		"/Users?filter=userName%20eq%20%22ann%40example.com%22": "/Users?…",
		"/Users?filter=userName+eq+%22bo%40example.com%22":      "/Users?filter=userName+eq+%22bo%40example.com%22",
		"/Users/ann@example.com":                                "/Users/erased person 42",
		"/Users/42":                                             "/Users/42",
	} {
		if got := p.RedactPath(path, false); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got := p.RedactPath("/Users/42?attributes=title", true); got != "/Users/42?…" {
		t.Errorf("a request about the person: got %s", got)
	}
	if got := erasure.New("42", nil).Redact("ann"); got != "ann" {
		t.Errorf("nobody known: got %q", got)
	}
}

func TestDocumentsStayDocuments(t *testing.T) {
	t.Parallel()
	p := erasure.New("42", []string{"ann@example.com", "77001"})
	if got, want := p.RedactStored(`["by ann@example.com",77001,true,{"n":1.50}]`), `["by erased person 42","erased person 42",true,{"n":1.50}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	same := `{ "n": 1.50 }`
	if got := p.RedactStored(same); got != same {
		t.Errorf("got %s", got)
	}
	got := p.RedactEventData(`{"version":3,"attributes":["title"],"changes":[{"name":"title","before":"Chief","after":{"x":"y"}}]}`)
	if strings.Contains(got, "Chief") || !strings.Contains(got, `"attributes":["title"]`) || !strings.Contains(got, `"name":"title"`) || !strings.Contains(got, `"erased":true`) {
		t.Errorf("got %s", got)
	}
	if got := p.RedactEventData("no document"); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestValuesAreWhatTellsApart(t *testing.T) {
	t.Parallel()
	got := erasure.Values([]byte(`{"schemas":["urn:x"],"id":"1","userName":"ann","name":{"givenName":"Ann","familyName":"Li"},"emails":[{"value":"ann@x.example","type":"work"}],"active":true,"userType":"Admin"}`))
	slices.Sort(got)
	if want := []string{"Ann", "Ann Li", "ann", "ann@x.example"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
