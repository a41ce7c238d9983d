package roster_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// FuzzReadPeople reads arbitrary files. Each row must name its line, and the lines must rise.
func FuzzReadPeople(f *testing.F) {
	f.Add("userName,displayName,role\nada,\"Ada, Countess\",Admin\n")
	f.Add("\ufeffROLE,username\r\n,\"a\nb\"\r\nx\r\n\"\"\"\n")
	f.Add("userName\n\x00\n\xff\n")
	f.Fuzz(func(t *testing.T, file string) {
		rows, wrong, err := roster.ReadPeople(strings.NewReader(file))
		if err != nil {
			if len(rows)+len(wrong) > 0 || !utf8.ValidString(err.Error()) && utf8.ValidString(file) {
				t.Fatalf("got %d rows, %d errors and %v", len(rows), len(wrong), err)
			}
			return
		}
		lines := strings.Count(file, "\n") + 1 + strings.Count(file, "\r")
		last := 1
		for _, row := range rows {
			if row.Line <= last || row.Line > lines {
				t.Fatalf("line %d after %d", row.Line, last)
			}
			last = row.Line
		}
		for _, e := range wrong {
			if e.Line < 1 || e.Line > lines || e.Why.Detail == "" {
				t.Fatalf("got %+v", e)
			}
		}
	})
}

// FuzzCursor sends arbitrary cursors. The roster must accept only cursors that it issued, and only
// with the query for which it issued them.
func FuzzCursor(f *testing.F) {
	fix := newFixture(f, storetest.New(f))
	queries := []roster.Query{{Count: 1}, {Count: 2}, {Kind: roster.Group, Count: 1}, {Count: 1, SortBy: &scim.Sort{Path: scim.AttrPath{Name: "userName"}, Attr: scim.UserType().Schema.Attribute("userName")}}}
	var given [][]byte
	for _, name := range []string{"a", "b", "c"} {
		for kind, doc := range map[scim.TypeName]scim.Resource{roster.User: {"userName": name}, roster.Group: {"displayName": name}} {
			if _, err := fix.people(fix.full).Create(f.Context(), kind, doc, bySCIM); err != nil {
				f.Fatal(err)
			}
		}
	}
	people := fix.rosters.Open(fix.full)
	for i, q := range queries {
		q.ByCursor = true
		page, err := people.List(f.Context(), q)
		if err != nil || page.NextCursor == "" {
			f.Fatalf("got %+v, %v", page, err)
		}
		sealed, err := base64.RawURLEncoding.DecodeString(page.NextCursor)
		if err != nil {
			f.Fatal(err)
		}
		given = append(given, sealed)
		for other := range queries {
			f.Add(page.NextCursor, uint8(other))
			f.Add(page.NextCursor[:len(page.NextCursor)-i-1], uint8(other))
		}
	}
	f.Add("eyJlIjo5OTk5OTk5OTk5OSwicSI6IiIsImMiOjF9AAAAAAAAAAAAAAAAAAAAAA", uint8(0))
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		at := int(which) % len(queries)
		q := queries[at]
		q.ByCursor, q.Cursor = true, text
		page, err := people.List(t.Context(), q)
		if err == nil {
			sealed, err := base64.RawURLEncoding.DecodeString(text)
			if text != "" && (err != nil || !bytes.Equal(sealed, given[at])) {
				t.Fatalf("%q opens a page: %+v", text, page)
			}
			return
		}
		var e *scim.Error
		if !errors.As(err, &e) || e.Status != 400 || e.ScimType != "invalidCursor" && e.ScimType != "invalidCount" {
			t.Fatalf("%q: got %v", text, err)
		}
	})
}
