package roster_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// alike lists the look-alikes of a site in the form "a~b,c": the user name a looks like b and c.
func (f fixture) alike(t *testing.T, s site.Site) string {
	t.Helper()
	people := f.rosters.Open(s)
	page, _, err := people.People(t.Context(), roster.PeopleQuery{Status: roster.StatusLookAlike})
	if err != nil {
		t.Fatal(err)
	}
	counts, err := people.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if counts.LookAlike != len(page) {
		t.Errorf("counted %d look-alikes, listed %d", counts.LookAlike, len(page))
	}
	all, _, err := people.People(t.Context(), roster.PeopleQuery{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := people.LookAlikes(t.Context(), all...)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(page) {
		t.Errorf("%d people look alike, and the list has %d", len(found), len(page))
	}
	var words []string
	for _, p := range page {
		var others []string
		for _, o := range found[p.ID] {
			others = append(others, o.UserName)
		}
		slices.Sort(others)
		words = append(words, p.UserName+"~"+strings.Join(others, ","))
	}
	return strings.Join(words, " ")
}

func person(userName, displayName, email string) string {
	body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q`, userName)
	if displayName != "" {
		body += fmt.Sprintf(`,"displayName":%q`, displayName)
	}
	if email != "" {
		body += fmt.Sprintf(`,"emails":[{"value":%q,"type":"work","primary":true}]`, email)
	}
	return body + "}"
}

func TestLookAlikes(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		want := func(t *testing.T, s site.Site, want string) {
			t.Helper()
			if got := f.alike(t, s); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		const ada, cyrillic = "ada@acme.example", "аda@acme.example"

		t.Run("both_are_pointed_out_until_one_is_called_otherwise_or_gone", func(t *testing.T) {
			s := f.site(t, "both", site.Full)
			f.user(t, s, person(ada, "", ""))
			want(t, s, "")
			other := f.user(t, s, person(cyrillic, "", ""))
			third := f.user(t, s, person("adа@acme.example", "", ""))
			want(t, s, ada+"~adа@acme.example,"+cyrillic+" adа@acme.example~"+ada+","+cyrillic+" "+cyrillic+"~"+ada+",adа@acme.example")
			if _, err := f.people(s).Delete(t.Context(), roster.User, third, bySCIM); err != nil {
				t.Fatal(err)
			}
			want(t, s, ada+"~"+cyrillic+" "+cyrillic+"~"+ada)
			if _, err := f.people(s).Patch(t.Context(), roster.User, other, replace(t, "userName", `"eve@acme.example"`), bySCIM); err != nil {
				t.Fatal(err)
			}
			want(t, s, "")
			if _, err := f.people(s).Patch(t.Context(), roster.User, other, replace(t, "userName", `"АDA@acme.example"`), bySCIM); err != nil {
				t.Fatal(err)
			}
			want(t, s, ada+"~АDA@acme.example АDA@acme.example~"+ada)
		})
		t.Run("by_every_name_that_people_are_recognised_by", func(t *testing.T) {
			s := f.site(t, "names", site.Full)
			f.user(t, s, person("kim@acme.example", "Kim Lee", "kim.lee@acme.example"))
			f.user(t, s, person("u2", "", "kіm@acme.example")) // this address looks like the user name of kim
			f.user(t, s, person("u3", "KIM Ｌee", ""))          // the name of kim in wide letters: an equal name, and no look-alike
			f.user(t, s, person("u4", "Kim Lее", ""))
			f.user(t, s, person("u5", "", "kim.lee@acrne.example"))
			want(t, s, "kim@acme.example~u2,u4,u5 u2~kim@acme.example u3~u4 u4~kim@acme.example,u3 u5~kim@acme.example")
		})
		t.Run("honest_names_are_not", func(t *testing.T) {
			s := f.site(t, "honest", site.Full)
			for _, body := range []string{
				person("олена@acme.example", "Олена", ""), person("іван@acme.example", "Іван", ""), person("сара@acme.example", "Сара", ""),
				person("jose@acme.example", "Jose", ""), person("josé@acme.example", "José", ""), person("李雪@acme.example", "李雪", ""),
				person("twin1@acme.example", "Anna Lee", "office@acme.example"), person("twin2@acme.example", "anna lee", "OFFICE@acme.example"), // people with equal names
				person("both@acme.example", "bоth@acme.example", "bоth@acme.example"), // values of one person that look alike
			} {
				f.user(t, s, body)
			}
			want(t, s, "")
			f.user(t, s, person("capa@acme.example", "", ""))
			want(t, s, "capa@acme.example~сара@acme.example сара@acme.example~capa@acme.example")
		})
		t.Run("nobody_of_another_site_counts", func(t *testing.T) {
			s, other := f.site(t, "here", site.Full), f.site(t, "there", site.Full)
			f.user(t, s, person(ada, "", ""))
			f.user(t, other, person(cyrillic, "", ""))
			want(t, s, "")
			want(t, other, "")
		})
		t.Run("created_at_the_same_time", func(t *testing.T) {
			s := f.site(t, "race", site.Full)
			var all sync.WaitGroup
			for i := range 10 {
				for _, name := range []string{"ada%d@acme.example", "аda%d@acme.example"} {
					all.Go(func() {
						doc := scim.Resource{"schemas": []any{scim.UserURN}, "userName": fmt.Sprintf(name, i)}
						if _, err := f.people(s).Create(t.Context(), roster.User, doc, bySCIM); err != nil {
							t.Error(err)
						}
					})
				}
			}
			all.Wait()
			if counts, err := f.people(s).Counts(t.Context()); err != nil || counts.LookAlike != 20 {
				t.Errorf("got %d of 20, error %v", counts.LookAlike, err)
			}
		})
	})
}

func TestLookAlikesByImport(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		rows := []roster.ImportRow{{UserName: "ada1@acme.example"}, {UserName: "adal@acme.example"}, {UserName: "zoe@acme.example", DisplayName: "Zoe"}}
		if _, err := f.people(f.full).Import(t.Context(), rows, byFile); err != nil {
			t.Fatal(err)
		}
		if got := f.alike(t, f.full); got != "ada1@acme.example~adal@acme.example adal@acme.example~ada1@acme.example" {
			t.Errorf("got %s", got)
		}
		rows[2].DisplayName = "аda1@acme.example"
		if _, err := f.people(f.full).Import(t.Context(), rows[2:], byFile); err != nil {
			t.Fatal(err)
		}
		if got := f.alike(t, f.full); !strings.HasSuffix(got, " zoe@acme.example~ada1@acme.example,adal@acme.example") {
			t.Errorf("got %s", got)
		}
	})
}

func TestWordsOfALookAlikeSayWhatTellsTheNamesApart(t *testing.T) {
	t.Parallel()
	theirs, own := roster.LookAlike{Text: "аda", Own: "ada1"}.Words()
	if theirs != "а (U+0430, Cyrillic)" || own != "1 (U+0031, the digit)" {
		t.Errorf("got %q, %q", theirs, own)
	}
}
