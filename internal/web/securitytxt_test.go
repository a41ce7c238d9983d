package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestSecurityText(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 10, 30, 0, 0, time.UTC)
	get := func(s SecurityText) *httptest.ResponseRecorder {
		mux := http.NewServeMux()
		s.Now = func() time.Time { return now }
		s.Register(mux)
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest("GET", "/.well-known/security.txt", nil))
		return rec
	}
	t.Run("names the contact and expires within a year", func(t *testing.T) {
		t.Parallel()
		rec := get(SecurityText{Contact: "mailto:security@example.com", PublicURL: "https://people.example.com"})
		want := "Contact: mailto:security@example.com\nExpires: 2027-05-28T00:00:00Z\n" +
			"Canonical: https://people.example.com/.well-known/security.txt\n"
		if rec.Code != http.StatusOK || rec.Body.String() != want {
			t.Errorf("got %d %q, want %q", rec.Code, rec.Body, want)
		}
		// RFC 9116 §3 requires this media type.
		if got := rec.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("got Content-Type %q", got)
		}
	})
	t.Run("does not exist without a contact", func(t *testing.T) {
		t.Parallel()
		if rec := get(SecurityText{PublicURL: "https://people.example.com"}); rec.Code != http.StatusNotFound {
			t.Errorf("got %d, want 404", rec.Code)
		}
	})
}

func TestParseContact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "",
		"security@example.com":          "mailto:security@example.com",
		"mailto:security@example.com":   "mailto:security@example.com",
		"https://example.com/security":  "https://example.com/security",
		"tel:+1-201-555-0123":           "tel:+1-201-555-0123",
		"http://example.com/security":   "error",
		"https:///security":             "error",
		"mailto:":                       "error",
		"mailto:nobody":                 "error",
		"security":                      "error",
		"a@example.com\nExpires: never": "error",
		"javascript:alert(1)":           "error",
		"https://example.com/a b\u202e": "https://example.com/a%20b%E2%80%AE",
	} {
		got, err := ParseContact(text)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: got %q (%v), want %q", text, got, err, want)
		}
	}
}
