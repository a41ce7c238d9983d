package roster_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/roster"
)

func TestPeople(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		for _, body := range []string{
			ada,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob","displayName":"Bob 100% Émile","userType":"Moderator","emails":[{"value":"b@home.test","type":"home"},{"value":"robert@acme.test","type":"work"}]}`,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Carol_C","active":false,"userType":"Admin"}`,
			admin("dave"),
		} {
			f.user(t, f.full, body)
		}
		f.user(t, f.documented, registered("elsewhere"))
		r := f.rosters.Open(f.full)
		bob, err := r.PersonByUserName(t.Context(), "BOB")
		if err != nil {
			t.Fatal(err)
		}
		f.session(t, f.full, bob.ID, time.Hour)

		for _, test := range []struct {
			name  string
			query roster.PeopleQuery
			want  []string
		}{
			{"everybody_by_user_name", roster.PeopleQuery{}, []string{"Ada@Acme.test", "bob", "Carol_C", "dave"}},
			{"part_of_a_user_name", roster.PeopleQuery{Search: "acme"}, []string{"Ada@Acme.test", "bob"}},
			{"part_of_a_display_name_in_any_case", roster.PeopleQuery{Search: "éMILE"}, []string{"bob"}},
			{"part_of_any_email", roster.PeopleQuery{Search: " HOME.test "}, []string{"Ada@Acme.test", "bob"}},
			{"a_percent_sign_is_a_percent_sign", roster.PeopleQuery{Search: "0%"}, []string{"bob"}},
			{"an_underscore_is_an_underscore", roster.PeopleQuery{Search: "_"}, []string{"Carol_C"}},
			{"nobody", roster.PeopleQuery{Search: "elsewhere"}, nil},
			{"texts_that_nobody_has", roster.PeopleQuery{Search: "\x00"}, nil},
			{"active", roster.PeopleQuery{Status: roster.StatusActive}, []string{"Ada@Acme.test", "bob", "dave"}},
			{"deactivated", roster.PeopleQuery{Status: roster.StatusDeactivated}, []string{"Carol_C"}},
			{"never_signed_in", roster.PeopleQuery{Status: roster.StatusNeverSignedIn}, []string{"Ada@Acme.test", "dave"}},
			{"administrators", roster.PeopleQuery{Role: roster.RoleAdmin}, []string{"Carol_C", "dave"}},
			{"active_administrators_by_name", roster.PeopleQuery{Role: roster.RoleAdmin, Status: roster.StatusActive, Search: "D"}, []string{"dave"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				for _, limit := range []int{0, 1, 2} {
					q := test.query
					q.Limit = limit
					var got []string
					for {
						page, next, err := r.People(t.Context(), q)
						if err != nil {
							t.Fatal(err)
						}
						for _, p := range page {
							got = append(got, p.UserName)
						}
						if next == "" {
							break
						}
						q.After = next
					}
					if diff := cmp.Diff(got, test.want); diff != "" {
						t.Errorf("%d a page: got - want +\n%s", limit, diff)
					}
				}
			})
		}

		counts, err := r.Counts(t.Context())
		want := roster.Counts{All: 4, Active: 3, Deactivated: 1, NeverSignedIn: 2, Admins: 1}
		if diff := cmp.Diff(counts, want); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if bob.Email != "robert@acme.test" || bob.DisplayName != "Bob 100% Émile" || bob.Role != roster.RoleModerator || bob.Name() != bob.DisplayName {
			t.Errorf("got %+v", bob)
		}
		if got := bob.LastChange; got.Actor != "scim:…a91f" || got.Via != roster.ViaSCIM || got.Text != "Created" || got.Time.IsZero() {
			t.Errorf("got %+v", got)
		}
		_, err = r.PersonByUserName(t.Context(), "elsewhere")
		isError(t, err, 404, "")
		_, err = r.PersonByUserName(t.Context(), "\x00")
		isError(t, err, 404, "")
	})
}
