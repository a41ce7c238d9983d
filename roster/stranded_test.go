package roster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"pgregory.net/rapid"
)

const badgeURN = "urn:example:Badge"

// badges returns a schema document in which users have a badge with the given attributes.
func badges(attributes string) string {
	return `{"schemas":[{"id":"` + badgeURN + `","name":"Badge","attributes":[` + attributes + `]}],"extensions":[{"resourceType":"User","schema":"` + badgeURN + `"}]}`
}

// schemas sets the schema document of a site.
func (f fixture) schemas(t *testing.T, s *site.Site, doc string) {
	t.Helper()
	var err error
	if *s, err = f.sites.SetSchemas(t.Context(), s.ID, []byte(doc), "cli"); err != nil {
		t.Fatal(err)
	}
}

// force expects that SetSchemas refuses a schema document. Then it calls ForceSchemas with the
// token of that refusal, and returns what was dropped.
func (f fixture) force(t *testing.T, s *site.Site, doc string) ([]string, error) {
	t.Helper()
	_, err := f.sites.SetSchemas(t.Context(), s.ID, []byte(doc), "cli")
	used, harms := refusal.DataOf[*site.SchemasInUse](err)
	if !harms {
		t.Fatalf("without force: got %v, want ErrInUse", err)
	}
	changed, dropped, err := f.sites.ForceSchemas(t.Context(), s.ID, []byte(doc), "admin:kim@acme.test", used.Token(), f.rosters.DropStranded)
	if err == nil {
		*s = changed
		if diff := cmp.Diff(dropped, used.Lost()); diff != "" {
			t.Errorf("what was dropped and what was announced differ: got - want +\n%s", diff)
		}
	}
	return dropped, err
}

// badged creates a user with a badge and returns the id.
func (f fixture) badged(t *testing.T, s site.Site, userName, attributes string) string {
	t.Helper()
	types, err := scim.NewRegistry(s.Schemas)
	if err != nil {
		t.Fatal(err)
	}
	rt, _ := types.ByName("User")
	more := ""
	if attributes != "" {
		more = `,"` + badgeURN + `":{` + attributes + `}`
	}
	doc, _, err := scim.Decode(rt, []byte(`{"schemas":["`+scim.UserURN+`"],"userName":"`+userName+`"`+more+`}`), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.rosters.Open(s).Create(t.Context(), roster.User, doc, bySCIM)
	if err != nil {
		t.Fatal(err)
	}
	return out.Document.ID
}

// hasBadge checks the version of a user and the values of the badge. An empty want means that the
// user has no badge.
func (f fixture) hasBadge(t *testing.T, s site.Site, id string, version int64, want string) {
	t.Helper()
	doc, err := f.rosters.Open(s).Get(t.Context(), roster.User, id)
	if err != nil {
		t.Fatal(err)
	}
	var wanted any
	if want != "" {
		r, err := scim.Parse([]byte(`{` + want + `}`))
		if err != nil {
			t.Fatal(err)
		}
		wanted = map[string]any(r)
	}
	r := parsed(t, doc)
	if diff := cmp.Diff(r[badgeURN], wanted); diff != "" || doc.Version != version || r["meta"].(map[string]any)["version"] != roster.ETag(version, nil) {
		t.Errorf("%s is at version %d, want %d; got - want +\n%s", id, doc.Version, version, diff)
	}
	if listed := slices.Contains(r["schemas"].([]any), any(badgeURN)); listed != (want != "") {
		t.Errorf("%s has the schemas %v", id, r["schemas"])
	}
}

func TestForceSchemas(t *testing.T) {
	t.Run("exactly_what_has_no_attribute_any_more_goes", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			const color = `{"name":"color","type":"complex","multiValued":true,"subAttributes":[{"name":"value"},{"name":"shade"}]}`
			f.schemas(t, &s, badges(`{"name":"number","type":"integer"},{"name":"floor"},`+color))
			a := f.badged(t, s, "a", `"number":7,"floor":"2","color":[{"value":"red","shade":"dark"},{"shade":"light"}]`)
			b := f.badged(t, s, "b", `"number":8`)
			c := f.badged(t, s, "c", `"floor":"3"`)
			d := f.badged(t, s, "d", ``)
			other := f.site(t, "other", site.Full)
			f.schemas(t, &other, string(s.Schemas))
			theirs := f.badged(t, other, "a", `"number":7`)
			before := f.person(t, s, a)
			dropped, err := f.force(t, &s, badges(`{"name":"number","type":"string"},{"name":"floor"},`+strings.Replace(color, `,{"name":"shade"}`, ``, 1)))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{badgeURN + ":number of 2 resources of type User", badgeURN + ":color.shade of 1 resource of type User"}
			if diff := cmp.Diff(dropped, want); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			f.hasBadge(t, s, a, 2, `"floor":"2","color":[{"value":"red"}]`)
			f.hasBadge(t, s, b, 2, "")
			f.hasBadge(t, s, c, 1, `"floor":"3"`)
			f.hasBadge(t, s, d, 1, "")
			f.hasBadge(t, other, theirs, 1, `"number":7`)
			if now := f.person(t, s, a); now.LastChange.Actor != "admin:kim@acme.test" || now.LastChange.Text != "Updated color, number" || !now.LastChange.Time.After(before.LastChange.Time) {
				t.Errorf("got %+v", now.LastChange)
			}
			if diff := cmp.Diff(names(f.events(t, s, a)), []string{"user.created", "user.updated"}); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			if diff := cmp.Diff(names(f.events(t, s, c)), []string{"user.created"}); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			feed := f.events(t, s, "")
			told := slices.IndexFunc(feed, func(e event.Event) bool { return strings.Contains(e.Text, "force") })
			if told < 0 || feed[told].Name != "site.schemas_changed" || feed[told].Text != "The schemas were changed; by force, for good: "+strings.Join(want, ", ") {
				t.Errorf("got %d of %+v", told, feed)
			}
			// A PUT of the stored document changes nothing, and the attribute accepts values of its
			// new type.
			out, err := f.rosters.Open(s).Replace(t.Context(), roster.User, a, f.get(t, s, a), bySCIM)
			if err != nil || out.Changed {
				t.Errorf("got %+v, %v", out, err)
			}
			f.badged(t, s, "e", `"number":"x7"`)
		})
	})
	t.Run("of_values_that_become_unique_the_first_stays", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, badges(`{"name":"number"},{"name":"tags","multiValued":true}`))
			a := f.badged(t, s, "a", `"number":"x","tags":["1","2"]`)
			b := f.badged(t, s, "b", `"number":"X","tags":["3"]`)
			c := f.badged(t, s, "c", `"number":"y","tags":["4","2","5"]`)
			next := badges(`{"name":"number","uniqueness":"server"},{"name":"tags","multiValued":true,"uniqueness":"server"}`)
			dropped, err := f.force(t, &s, next)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				badgeURN + ":number of 1 resource of type User, where another one has the same value",
				badgeURN + ":tags of 1 resource of type User, where another one has the same value",
			}
			if diff := cmp.Diff(dropped, want); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			f.hasBadge(t, s, a, 1, `"number":"x","tags":["1","2"]`)
			f.hasBadge(t, s, b, 2, `"tags":["3"]`)
			f.hasBadge(t, s, c, 2, `"number":"y","tags":["4","5"]`)
			r := f.rosters.Open(s)
			types := r.Types()
			rt, _ := types.ByName("User")
			for value, status := range map[string]int{`"number","value":"X"`: 409, `"number","value":"y"`: 409, `"tags","value":["5"]`: 409, `"number","value":"z"`: 0} {
				_, err := r.Patch(t.Context(), roster.User, b, patchOf(t, rt, `{"op":"add","path":"`+badgeURN+":"+value[1:]+`}`), bySCIM)
				if status == 0 {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				isError(t, err, status, "uniqueness")
			}
		})
	})
	t.Run("letter_case_that_counts_or_not_makes_other_values_the_same", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			exact, folded := badges(`{"name":"number","uniqueness":"server","caseExact":true}`), badges(`{"name":"number","uniqueness":"server","caseExact":false}`)
			f.schemas(t, &s, exact)
			a, b := f.badged(t, s, "a", `"number":"X"`), f.badged(t, s, "b", `"number":"x"`)
			if dropped, err := f.force(t, &s, folded); err != nil || len(dropped) != 1 {
				t.Fatalf("got %v, %v", dropped, err)
			}
			f.hasBadge(t, s, a, 1, `"number":"X"`)
			f.hasBadge(t, s, b, 2, "")
			if dropped, err := f.force(t, &s, exact); err != nil || len(dropped) != 0 {
				t.Fatalf("nothing is the same: got %v, %v", dropped, err)
			}
			f.hasBadge(t, s, a, 1, `"number":"X"`)
			f.badged(t, s, "c", `"number":"x"`)
			if _, err := f.force(t, &s, badges(`{"name":"number","caseExact":false}`)); err != nil {
				t.Fatal(err)
			}
			f.badged(t, s, "d", `"number":"x"`)
		})
	})
	t.Run("what_is_declared_searchable_is_found_as_before", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, badges(`{"name":"number","type":"integer"},{"name":"floor"},{"name":"room","caseExact":true}`))
			f.declare(t, s, badgeURN+":number", badgeURN+":floor", badgeURN+":room")
			f.badged(t, s, "a", `"number":7,"floor":"2","room":"R"`)
			f.badged(t, s, "b", `"number":8`)
			f.advance(t, s)
			if _, err := f.force(t, &s, badges(`{"name":"number"},{"name":"room","caseExact":false}`)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.progress(t, s), []string{badgeURN + ":number 2/2 complete", badgeURN + ":room 2/2 complete"}); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			f.badged(t, s, "c", `"number":"7"`)
			for text, want := range map[string]string{badgeURN + `:number eq "7"`: "c", badgeURN + `:room eq "r"`: "a"} {
				if got := f.found(t, s, 1, text); got != want {
					t.Errorf("%s: got %q, want %q", text, got, want)
				}
			}
		})
	})
	t.Run("a_type_goes_with_its_resources", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, schemas)
			r := f.rosters.Open(s)
			device, _ := r.Types().ByName("Device")
			var ids []string
			for i := range 3 {
				doc, _, err := scim.Decode(device, []byte(fmt.Sprintf(`{"schemas":["urn:example:Device"],"serial":"%d"}`, i)), scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				out, err := r.Create(t.Context(), "Device", doc, bySCIM)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, out.Document.ID)
			}
			stays := f.badged(t, s, "ada", `"number":"7"`)
			dropped, err := f.force(t, &s, badges(`{"name":"number","caseExact":false,"uniqueness":"server"}`))
			if diff := cmp.Diff(dropped, []string{"all of 3 resources of type Device"}); err != nil || diff != "" {
				t.Fatalf("%v, %s", err, diff)
			}
			for _, id := range ids {
				if diff := cmp.Diff(names(f.events(t, s, id)), []string{"resource.created", "resource.deleted"}); diff != "" {
					t.Error(diff)
				}
			}
			f.hasBadge(t, s, stays, 1, `"number":"7"`)
			f.schemas(t, &s, schemas)
			if found, total := f.list(t, s, roster.Query{Kind: "Device", Count: 10}); total != 0 {
				t.Errorf("got %v of %d", found, total)
			}
			doc, _, err := scim.Decode(device, []byte(`{"schemas":["urn:example:Device"],"serial":"1"}`), scim.Lenient)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.rosters.Open(s).Create(t.Context(), "Device", doc, bySCIM); err != nil {
				t.Errorf("a serial number that is free again: %v", err)
			}
		})
	})
	t.Run("what_would_break_a_rule_all_the_same_is_refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, badges(`{"name":"number"},{"name":"floor"}`))
			a, b := f.badged(t, s, "a", `"number":"1","floor":"2"`), f.badged(t, s, "b", `"number":"1","floor":"3"`)
			c := f.badged(t, s, "c", `"number":"4"`)
			for next, want := range map[string]string{
				badges(`{"name":"number"},{"name":"floor","required":true}`):                                                                 "1 resource of type User would break a rule of the new schemas (" + badgeURN + ":floor is required)",
				badges(`{"name":"number","type":"integer","required":true},{"name":"floor"}`):                                                "2 resources of type User would break",
				badges(`{"name":"number","uniqueness":"server","required":true},{"name":"floor"}`):                                           "1 resource of type User would break",
				strings.Replace(badges(`{"name":"more"}`), `"schema":"`+badgeURN+`"`, `"schema":"`+badgeURN+`","required":true`, 1):          "3 resources of type User would break a rule of the new schemas (" + badgeURN + " is required)",
				badges(`{"name":"number","type":"integer"},{"name":"floor"},{"name":"more","required":true}`):                                badgeURN + ":more is required",
				badges(`{"name":"number","type":"complex","subAttributes":[{"name":"x","required":true}],"required":true},{"name":"floor"}`): badgeURN + ":number is required",
			} {
				_, err := f.force(t, &s, next)
				used, harms := refusal.DataOf[*site.SchemasInUse](err)
				if !harms || len(used.Stuck) == 0 {
					t.Errorf("%s: got %v", next, err)
					continue
				}
				if text := used.Stuck[0].String(); !strings.Contains(text, want) {
					t.Errorf("got %q, want %q", text, want)
				}
			}
			f.hasBadge(t, s, a, 1, `"number":"1","floor":"2"`)
			f.hasBadge(t, s, b, 1, `"number":"1","floor":"3"`)
			f.hasBadge(t, s, c, 1, `"number":"4"`)
			// A user who lost every value of an extension need not have the attributes that the
			// extension requires.
			if _, err := f.force(t, &s, badges(`{"name":"number","type":"integer","required":true}`)); err != nil {
				t.Error(err)
			}
			f.hasBadge(t, s, a, 2, "")
		})
	})
	t.Run("what_was_not_confirmed_is_not_done", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, badges(`{"name":"number"}`))
			a := f.badged(t, s, "a", `"number":"1"`)
			_, err := f.sites.SetSchemas(t.Context(), s.ID, nil, "cli")
			used, harms := refusal.DataOf[*site.SchemasInUse](err)
			if !harms {
				t.Fatal(err)
			}
			f.badged(t, s, "b", `"number":"2"`)
			_, _, err = f.sites.ForceSchemas(t.Context(), s.ID, nil, "cli", used.Token(), f.rosters.DropStranded)
			more, harms := refusal.DataOf[*site.SchemasInUse](err)
			if !harms || more.Token() == used.Token() || more.Uses[0].Drops != 2 {
				t.Errorf("got %v", err)
			}
			f.hasBadge(t, s, a, 1, `"number":"1"`)
		})
	})
	t.Run("all_or_nothing", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, badges(`{"name":"number","uniqueness":"server"}`))
			a := f.badged(t, s, "a", `"number":"1"`)
			feed := len(f.events(t, s, ""))
			broken := errors.New("the disk is full")
			_, _, err := f.sites.ForceSchemas(t.Context(), s.ID, nil, "cli", "", func(ctx context.Context, tx site.Tx, change site.SchemaChange) error {
				return errors.Join(f.rosters.DropStranded(ctx, tx, change), broken)
			})
			if !errors.Is(err, broken) {
				t.Fatalf("got %v", err)
			}
			f.hasBadge(t, s, a, 1, `"number":"1"`)
			if got, err := f.sites.Get(t.Context(), s.ID); err != nil || string(got.Schemas) != string(s.Schemas) {
				t.Errorf("got %s, %v", got.Schemas, err)
			}
			if now := len(f.events(t, s, "")); now != feed {
				t.Errorf("%d events more", now-feed)
			}
			if _, err := f.rosters.Open(s).Create(t.Context(), roster.User, decodeWith(t, f.rosters.Open(s), `{"userName":"b","`+badgeURN+`":{"number":"1"}}`), bySCIM); err == nil {
				t.Error("the value of a is free")
			}
			if _, err := f.rosters.Store.Join(t.Context(), nil); err == nil {
				t.Error("joined no transaction")
			}
		})
	})
	t.Run("what_strands_nothing_needs_no_force", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			none := func(context.Context, site.Tx, site.SchemaChange) error { return errors.New("called for nothing") }
			for _, doc := range []string{badges(`{"name":"number"}`), badges(`{"name":"number"}`), ""} {
				if _, dropped, err := f.sites.ForceSchemas(t.Context(), f.full.ID, []byte(doc), "cli", "", none); err != nil || dropped != nil {
					t.Errorf("got %v, %v", dropped, err)
				}
			}
			_, _, err := f.sites.ForceSchemas(t.Context(), f.full.ID, []byte("{"), "cli", "", none)
			var wrong *scim.RegistryError
			if !errors.As(err, &wrong) {
				t.Errorf("got %v", err)
			}
		})
	})
}

func decodeWith(t *testing.T, r *roster.Roster, body string) scim.Resource {
	t.Helper()
	rt, _ := r.Types().ByName("User")
	doc, _, err := scim.Decode(rt, []byte(body), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestForceSchemasProperty forces random schema documents on random people. Afterwards each person
// must conform to the new schemas, must have kept each value that the schemas allow, and must share
// no unique value with another person.
func TestForceSchemasProperty(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			s := f.site(t, fmt.Sprintf("round-%d", round), site.Full)
			f.schemas(t, &s, badges(drawAttributes(rt, "was")))
			r := f.rosters.Open(s)
			user, _ := r.Types().ByName("User")
			for i := range rapid.IntRange(1, 6).Draw(rt, "people") {
				doc := scim.Resource{"schemas": []any{scim.UserURN}, "userName": fmt.Sprintf("u%d", i)}
				if ext := drawBadge(rt, user.Extension(badgeURN)); len(ext) > 0 {
					doc[badgeURN] = ext
				}
				_, err := r.Create(t.Context(), roster.User, doc, bySCIM)
				if err != nil && !errors.Is(err, refusal.Taken) {
					rt.Fatal(err)
				}
			}
			before := f.everybody(t, s)
			next := badges(drawAttributes(rt, "is"))
			dropped := []string{}
			_, err := f.sites.SetSchemas(t.Context(), s.ID, []byte(next), "cli")
			used, harms := refusal.DataOf[*site.SchemasInUse](err)
			if harms {
				_, dropped, err = f.sites.ForceSchemas(t.Context(), s.ID, []byte(next), "cli", used.Token(), f.rosters.DropStranded)
				if len(used.Stuck) > 0 {
					if diff := cmp.Diff(f.everybody(t, s), before); err == nil || diff != "" {
						rt.Fatalf("stuck: got %v, %s", err, diff)
					}
					return
				}
			}
			if err != nil {
				rt.Fatal(err)
			}
			if s, err = f.sites.Get(t.Context(), s.ID); err != nil {
				rt.Fatal(err)
			}
			r = f.rosters.Open(s)
			user, _ = r.Types().ByName("User")
			after, changed := f.everybody(t, s), 0
			had := map[string]bool{}
			for i, doc := range after {
				now, was := parsed(t, doc), parsed(t, before[i])
				if err := scim.Validate(user, now); err != nil {
					rt.Fatalf("%s: %v", doc.JSON, err)
				}
				checkKept(rt, user.Extension(badgeURN), was, now, had)
				if doc.Version != before[i].Version {
					changed++
				}
				if same := scim.Equal(was, now); same != (doc.Version == before[i].Version) {
					rt.Fatalf("version %d after %d, and the same %t:\n%s\n%s", doc.Version, before[i].Version, same, before[i].JSON, doc.JSON)
				}
				out, err := r.Replace(t.Context(), roster.User, doc.ID, now, bySCIM)
				if err != nil || out.Changed {
					rt.Fatalf("a PUT of what is there: %+v, %v", out, err)
				}
			}
			if (changed > 0) != (len(dropped) > 0) {
				rt.Fatalf("%d changed, and %v was dropped", changed, dropped)
			}
		})
	})
}

// everybody returns the users of a site in the order of creation.
func (f fixture) everybody(t *testing.T, s site.Site) []roster.Document {
	t.Helper()
	page, err := f.rosters.Open(s).List(t.Context(), roster.Query{Count: 100})
	if err != nil {
		t.Fatal(err)
	}
	return page.Documents
}

// drawAttributes draws attributes of a badge. Their names come from a small set.
func drawAttributes(t *rapid.T, label string) string {
	var list []string
	for _, name := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 5).Draw(t, label+" without "+name) == 0 {
			continue
		}
		text := fmt.Sprintf(`{"name":%q,"type":%q,"multiValued":%t,"caseExact":%t,"uniqueness":%q,"required":%t`, name,
			rapid.SampledFrom([]string{"string", "string", "integer", "complex"}).Draw(t, label+" type"),
			rapid.Bool().Draw(t, label+" many"), rapid.Bool().Draw(t, label+" exact"),
			rapid.SampledFrom([]string{"none", "none", "server"}).Draw(t, label+" uniqueness"),
			rapid.IntRange(0, 7).Draw(t, label+" required") == 0)
		if strings.Contains(text, "complex") {
			text += `,"subAttributes":[{"name":"x","uniqueness":` + quoted(rapid.SampledFrom([]string{"none", "server"}).Draw(t, label+" sub")) + `},{"name":"y"}]`
			text = strings.Replace(text, `"uniqueness":"server"`, `"uniqueness":"none"`, 1)
		}
		list = append(list, text+"}")
	}
	if len(list) == 0 {
		list = append(list, `{"name":"d"}`)
	}
	return strings.Join(list, ",")
}

// drawBadge draws values for the attributes of a schema.
func drawBadge(t *rapid.T, schema *scim.Schema) map[string]any {
	ext := map[string]any{}
	for _, a := range schema.Attributes {
		one := func() any {
			switch a.Type {
			case scim.Integer:
				return int64(rapid.IntRange(1, 3).Draw(t, "number"))
			case scim.Complex:
				m := map[string]any{"x": rapid.SampledFrom([]string{"p", "P", "q"}).Draw(t, "x")}
				if rapid.Bool().Draw(t, "with y") {
					m["y"] = "y"
				}
				return m
			}
			return rapid.SampledFrom([]string{"p", "P", "q"}).Draw(t, "text")
		}
		if !a.Required && rapid.IntRange(0, 2).Draw(t, "without") == 0 {
			continue
		}
		if !a.MultiValued {
			ext[a.Name] = one()
			continue
		}
		list := []any{one()}
		if other := one(); !scim.Equal(scim.Resource{"v": other}, scim.Resource{"v": list[0]}) {
			list = append(list, other)
		}
		ext[a.Name] = list
	}
	return ext
}

// checkKept compares the badge of a user before and after a change of schemas. It fails if the user
// lost a value that the new schema allows, or has a unique value that is in had. It adds the unique
// values of this user to had.
func checkKept(t *rapid.T, schema *scim.Schema, was, now scim.Resource, had map[string]bool) {
	before, _ := was[badgeURN].(map[string]any)
	after, _ := now[badgeURN].(map[string]any)
	mine := map[string]bool{}
	for name, value := range after {
		a := schema.Attribute(name)
		if a == nil {
			t.Fatalf("%s is there, and no attribute", name)
		}
		for _, e := range asListOf(value) {
			leaf := a
			if m, ok := e.(map[string]any); ok {
				leaf, e = a.Sub("x"), m["x"]
			}
			if leaf != nil && leaf.IsUnique() && e != nil {
				key := name + " " + roster.FoldValue(leaf, e)
				if had[key] {
					t.Fatalf("%s is there twice", key)
				}
				mine[key] = true
			}
		}
	}
	for key := range mine {
		had[key] = true
	}
	for name, value := range before {
		a := schema.Attribute(name)
		if a == nil || after[name] != nil && scim.Equal(scim.Resource{"v": after[name]}, scim.Resource{"v": value}) {
			continue
		}
		if unique := a.IsUnique() || a.Sub("x") != nil && a.Sub("x").IsUnique(); unique {
			continue // dropped, perhaps because another user has the value
		}
		if fits(a, value) {
			t.Fatalf("%s lost %v of %v", name, after[name], value)
		}
	}
}

// fits reports whether a value has the type of an attribute and is a list only if the attribute is
// multi-valued.
func fits(a *scim.Attribute, value any) bool {
	list, many := value.([]any)
	if !many {
		list = []any{value}
	}
	for _, e := range list {
		switch e.(type) {
		case string:
			if a.Type != scim.String {
				return false
			}
		case int64:
			if a.Type != scim.Integer {
				return false
			}
		case map[string]any:
			if a.Type != scim.Complex {
				return false
			}
		}
	}
	return many == a.MultiValued
}

func asListOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}
