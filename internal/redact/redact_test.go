package redact_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/redact"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("aB3_-", 9)[:43]
	secret := "rollcall_" + body + "chk9zz"
	escaped := strings.ReplaceAll(secret, "_", "%5F")
	twice := strings.ReplaceAll(escaped, "%", "%25")
	for name, test := range map[string]struct{ text, want string }{
		"alone":                               {secret, "rollcall_…k9zz"},
		"in a path":                           {"/Users/" + secret, "/Users/rollcall_…k9zz"},
		"in a query":                          {"/Users?apikey=" + secret + "&count=1", "/Users?apikey=rollcall_…k9zz&count=1"},
		"in quotes":                           {`externalId eq "` + secret + `"`, `externalId eq "rollcall_…k9zz"`},
		"twice":                               {secret + " " + secret, "rollcall_…k9zz rollcall_…k9zz"},
		"without its checksum":                {"rollcall_" + body, "rollcall_…" + body[39:]},
		"upper case prefix":                   {"ROLLCALL_" + body, "ROLLCALL_…" + body[39:]},
		"escaped":                             {"/Users/" + escaped, "/Users/rollcall_…k9zz"},
		"escaped twice":                       {"/Users/" + twice, "/Users/rollcall_…k9zz"},
		"after a bad escape":                  {"%zz/" + escaped, "%zz/rollcall_…k9zz"},
		"a token in plain text and an escape": {secret + "%20x", "rollcall_…k9zz%20x"},
		"an API key":                          {"rollcall_key_" + body + "chk9zz", "rollcall_…k9zz"},
		"no token":                            {"rollcall_is_a_name %41", "rollcall_is_a_name %41"},
		"nothing":                             {"", ""},
		"a percent at the end":                {"100%", "100%"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := redact.Tokens(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDocumentStaysJSON(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("aB3_-", 9)[:43]
	got := redact.Document(`{"detail":"%22 rollcall_` + body + `"}`)
	if want := `{"detail":"%22 rollcall_…` + body[39:] + `"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzTokens checks that no token survives, whatever text is around it.
func FuzzTokens(f *testing.F) {
	f.Add("/Users/", "?x=%41")
	f.Add("%", "%25")
	f.Fuzz(func(t *testing.T, before, after string) {
		body := strings.Repeat("aB3_-", 9)[:43]
		got := redact.Tokens(before + "rollcall_" + body + after)
		if strings.Contains(got, body) {
			t.Errorf("got %q, which holds the secret", got)
		}
	})
}
