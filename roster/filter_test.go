package roster_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"pgregory.net/rapid"
)

// words are few, so that random filters find something, and odd, so that folding and the patterns of SQL matter.
var words = []string{"a", "A", "ab", "aB", "b%", "b_", `b\`, "ß", "SS", "ſ", "s", "K", "k", "İ", "i̇", "Ä", "ä", "'", `"`, "?", "$1", "x y"}

func word(t *rapid.T) string { return rapid.SampledFrom(words).Draw(t, "word") }

// drawUser draws a user from few values.
func drawUser(t *rapid.T, n int) scim.Resource {
	doc := scim.Resource{
		"schemas":  []any{scim.UserURN},
		"userName": fmt.Sprintf("%s%d", word(t), n),
		"active":   rapid.Bool().Draw(t, "active"),
	}
	if userType := rapid.SampledFrom([]string{"", "Registered", "Moderator", "Admin", "Employee"}).Draw(t, "userType"); userType != "" {
		doc["userType"] = userType
	}
	for _, name := range []string{"externalId", "displayName", "title"} {
		if rapid.Bool().Draw(t, name) {
			doc[name] = word(t)
		}
	}
	var emails []any
	for range rapid.IntRange(0, 3).Draw(t, "emails") {
		e := map[string]any{}
		if rapid.IntRange(0, 5).Draw(t, "value") > 0 {
			e["value"] = word(t)
		}
		if rapid.Bool().Draw(t, "type") {
			e["type"] = rapid.SampledFrom([]string{"work", "home"}).Draw(t, "type is")
		}
		if len(e) > 0 {
			emails = append(emails, e)
		}
	}
	if len(emails) > 0 {
		doc["emails"] = emails
	}
	return doc
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // text always marshals
	return string(b)
}

func drawComparison(t *rapid.T, attribute string) string {
	op := rapid.SampledFrom([]string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "eq"}).Draw(t, "op")
	return attribute + " " + op + " " + quoted(word(t))
}

// drawTerm draws one comparison of anything that is indexed, half indexed or not indexed.
func drawTerm(t *rapid.T, ids []string) string {
	switch rapid.IntRange(0, 9).Draw(t, "term") {
	case 0:
		return "active " + rapid.SampledFrom([]string{"eq true", "eq false", "ne true", `eq "False"`, "pr", "eq null"}).Draw(t, "active")
	case 1:
		return "userType " + rapid.SampledFrom([]string{`eq "admin"`, `ne "Admin"`, `eq "Registered"`, `eq "employee"`, `ne "employee"`, `ne "registered"`, `co "m"`, "pr", `gt "B"`}).Draw(t, "role")
	case 2:
		return "id " + rapid.SampledFrom([]string{"eq", "ne", "sw", "gt"}).Draw(t, "op") + " " + quoted(rapid.SampledFrom(ids).Draw(t, "id"))
	case 3:
		attribute := rapid.SampledFrom([]string{"userName", "externalId", "displayName", "title", "emails", "emails.value", "emails.type", "name.givenName"}).Draw(t, "attribute")
		return attribute + " " + rapid.SampledFrom([]string{"pr", "eq null", "ne null", `eq ""`, `ne ""`, `co ""`}).Draw(t, "presence")
	case 4:
		return "emails[" + drawInner(t, 1) + "]"
	case 5:
		op := rapid.SampledFrom([]string{"eq", "ne", "gt", "ge", "lt", "le"}).Draw(t, "op")
		at := rapid.SampledFrom([]string{"2026-01-12T09:00:00.010Z", "2026-01-12T10:00:00.012+01:00", "2026-01-12T09:00:00.011500Z", "2026-01-12T09:00:00.0125001Z", "2026-01-12T09:00:00"}).Draw(t, "time")
		return rapid.SampledFrom([]string{"meta.created", "meta.lastModified"}).Draw(t, "of") + " " + op + " " + quoted(at)
	}
	return drawComparison(t, rapid.SampledFrom([]string{"userName", "externalId", "displayName", "title", "emails.value", "emails"}).Draw(t, "attribute"))
}

func drawInner(t *rapid.T, depth int) string {
	switch kind := rapid.IntRange(0, 6).Draw(t, "inner"); {
	case kind == 0 && depth > 0:
		return drawInner(t, depth-1) + " and " + drawInner(t, depth-1)
	case kind == 1 && depth > 0:
		return drawInner(t, depth-1) + " or " + drawInner(t, depth-1)
	case kind == 2 && depth > 0:
		return "not (" + drawInner(t, depth-1) + ")"
	case kind == 3:
		return `type eq "work"`
	case kind == 4:
		return "value pr"
	}
	return drawComparison(t, "value")
}

func drawFilter(t *rapid.T, ids []string, depth int) string {
	switch kind := rapid.IntRange(0, 5).Draw(t, "node"); {
	case kind == 0 && depth > 0:
		return "(" + drawFilter(t, ids, depth-1) + " and " + drawFilter(t, ids, depth-1) + ")"
	case kind == 1 && depth > 0:
		return "(" + drawFilter(t, ids, depth-1) + " or " + drawFilter(t, ids, depth-1) + ")"
	case kind == 2 && depth > 0:
		return "not (" + drawFilter(t, ids, depth-1) + ")"
	}
	return drawTerm(t, ids)
}

// TestFilter holds the store's answer to what the evaluator says of each document.
func TestFilter(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			s := f.site(t, fmt.Sprintf("round-%d", round), site.Full)
			var docs []scim.Resource
			ids := []string{"nobody"}
			for n := range rapid.IntRange(1, 6).Draw(rt, "users") {
				out, err := f.rosters.Open(s).Create(t.Context(), roster.User, drawUser(rt, n), bySCIM)
				if err != nil {
					rt.Fatal(err)
				}
				doc, err := scim.Parse(out.Document.JSON)
				if err != nil {
					rt.Fatal(err)
				}
				docs = append(docs, doc)
				ids = append(ids, out.Document.ID)
			}
			for range 20 {
				text := drawFilter(rt, ids, 3)
				parsed, _, err := scim.ParseFilter(scim.UserType(), text, scim.Lenient)
				if err != nil {
					if strings.Contains(text, `""`) || strings.Contains(text, "emails pr") {
						continue // a filter that the language refuses has no answer
					}
					rt.Fatalf("%s: %v", text, err)
				}
				var want []string
				for _, doc := range docs {
					if parsed.Match(doc) {
						want = append(want, doc.String("id"))
					}
				}
				page, err := f.rosters.Open(s).List(t.Context(), roster.Query{Filter: parsed, Count: 100})
				if err != nil {
					rt.Fatalf("%s: %v", text, err)
				}
				var got []string
				for _, doc := range page.Documents {
					got = append(got, doc.ID)
				}
				if diff := cmp.Diff(got, want); diff != "" || page.TotalResults != len(want) {
					rt.Fatalf("%s: %d altogether, got - want +\n%s", text, page.TotalResults, diff)
				}
			}
		})
	})
}
