package roster_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

func TestReadPeople(t *testing.T) {
	t.Parallel()
	const header = "userName,displayName,givenName,familyName,email,userIdentifier,role\n"
	whole := roster.ImportRow{
		Line: 2, UserName: "ada", DisplayName: "Ada, Countess", GivenName: "Ada", FamilyName: "Lovelace",
		Email: "ada@acme.test", UserIdentifier: "a-1", Role: "Admin",
	}
	t.Run("columns_by_their_names", func(t *testing.T) {
		for name, file := range map[string]string{
			"in order":               header + "ada,\"Ada, Countess\",Ada,Lovelace,ada@acme.test,a-1,Admin\n",
			"with a byte order mark": "\ufeff" + header + "ada,\"Ada, Countess\",Ada,Lovelace,ada@acme.test,a-1,Admin\n",
			"with carriage returns":  strings.ReplaceAll(header, "\n", "\r\n") + "ada,\"Ada, Countess\",Ada,Lovelace,ada@acme.test,a-1,Admin\r\n",
			"in another order":       "ROLE, username,displayName,givenName,familyName,email,userIdentifier\nAdmin,ada,\"Ada, Countess\",Ada,Lovelace,ada@acme.test,a-1",
		} {
			rows, wrong, err := roster.ReadPeople(strings.NewReader(file))
			if diff := cmp.Diff(rows, []roster.ImportRow{whole}); err != nil || len(wrong) > 0 || diff != "" {
				t.Errorf("%s: %v, %v\n%s", name, wrong, err, diff)
			}
		}
	})
	t.Run("a_line_that_cannot_be_read_names_itself_and_stops_nothing", func(t *testing.T) {
		file := header + "ada,,,,,,\nbob,too,few\ncarol,\"a \" b\",,,,,\n\ndave,\"two\nlines\",,,,,\neve,,,,,,\n"
		rows, wrong, err := roster.ReadPeople(strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%d %s", r.Line, r.UserName))
		}
		if diff := cmp.Diff(got, []string{"2 ada", "6 dave", "8 eve"}); diff != "" {
			t.Error(diff)
		}
		if len(wrong) != 2 || wrong[0].Line != 3 || wrong[1].Line != 4 {
			t.Errorf("got %v", wrong)
		}
		if text := wrong[0].Error(); !strings.HasPrefix(text, "line 3: this line has 3 values and the first line names 7 columns") {
			t.Errorf("got %q", text)
		}
	})
	t.Run("another_kind_of_file_is_refused", func(t *testing.T) {
		for file, part := range map[string]string{
			"":                         "the file is empty",
			"name,email\n":             `"name"`,
			"userName;displayName\n":   "separate columns with commas",
			"displayName\n":            "does not name the column userName",
			"userName,USERNAME\n":      "twice",
			"\"userName\n":             "read the first line",
			"objectId,userName,role\n": `"objectId"`,
		} {
			if _, _, err := roster.ReadPeople(strings.NewReader(file)); err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: got %v, want an error with %s", file, err, part)
			}
		}
	})
	t.Run("a_file_that_breaks_off_is_an_error", func(t *testing.T) {
		broken := errors.New("broken")
		if _, _, err := roster.ReadPeople(io.MultiReader(strings.NewReader(header), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("got %v, want the reader's error", err)
		}
	})
}

func TestImport(t *testing.T) {
	t.Run("people_come_in_in_the_documented_profile", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.documented)
			rows := []roster.ImportRow{{Line: 2, UserName: " ada ", DisplayName: "Ada", GivenName: "Ada", FamilyName: "Lovelace", Email: "ada@acme.test", UserIdentifier: "a-1", Role: "admin"}}
			report, err := r.Import(t.Context(), rows, byFile)
			if diff := cmp.Diff(report, roster.ImportReport{Created: 1}); err != nil || diff != "" {
				t.Fatalf("%v\n%s", err, diff)
			}
			p, err := r.PersonByUserName(t.Context(), "ADA")
			if err != nil {
				t.Fatal(err)
			}
			got := f.get(t, f.documented, p.ID)
			delete(got, "meta")
			want := scim.Resource{
				"schemas": []any{scim.UserURN}, "id": p.ID, "userName": "ada", "displayName": "Ada", "active": true, "userType": "Admin",
				"name":   map[string]any{"givenName": "Ada", "familyName": "Lovelace"},
				"emails": []any{map[string]any{"value": "ada@acme.test", "type": "work", "primary": true}},
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got - want +\n%s", diff)
			}
			f.finds(t, f.documented, `emails.value eq "ada@acme.test"`, p.ID)
			if diff := cmp.Diff(names(f.events(t, f.documented, p.ID)), []string{"user.created", "user.identified"}); diff != "" {
				t.Error(diff)
			}
			report, err = r.Import(t.Context(), rows, byFile)
			if diff := cmp.Diff(report, roster.ImportReport{Unchanged: 1}); err != nil || diff != "" {
				t.Errorf("a repeat: %v\n%s", err, diff)
			}
			if got := f.events(t, f.documented, p.ID); len(got) != 2 {
				t.Errorf("a repeat wrote %v", names(got))
			}
		})
	})
	t.Run("who_is_there_is_updated_and_empty_fields_leave_what_is_there", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			id := f.user(t, f.documented, ada)
			rows := []roster.ImportRow{{Line: 2, UserName: "ada@ACME.test", Email: "ada@new.test", GivenName: "Augusta"}}
			report, err := f.rosters.Open(f.documented).Import(t.Context(), rows, byFile)
			if diff := cmp.Diff(report, roster.ImportReport{Updated: 1}); err != nil || diff != "" {
				t.Fatalf("%v\n%s", err, diff)
			}
			got := f.get(t, f.documented, id)
			want := decode(t, strings.NewReplacer(`"Ada",`, `"Augusta",`, `"ada@acme.test"`, `"ada@new.test"`).Replace(ada))
			for _, name := range []string{"userName", "displayName", "name", "emails", "title", "externalId"} {
				if diff := cmp.Diff(got[name], want[name]); diff != "" {
					t.Errorf("%s: got - want +\n%s", name, diff)
				}
			}
			p := f.person(t, f.documented, id)
			if p.LastChange.Via != roster.ViaImport || p.LastChange.Actor != "cli" || p.LastChange.Text != "Updated emails, name" {
				t.Errorf("got %+v", p.LastChange)
			}
		})
	})
	t.Run("a_row_that_cannot_be_taken_names_itself_and_the_others_go_on", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.documented)
			rows := []roster.ImportRow{
				{Line: 2, UserName: "ada", UserIdentifier: "a-1"},
				{Line: 3, UserName: "bob", UserIdentifier: "a-1"},
				{Line: 4, UserName: "carol", Role: "Admn"},
				{Line: 5, UserName: "  "},
				{Line: 6, UserName: "dave", Email: "nowhere"},
				{Line: 7, UserName: "ADA"},
				{Line: 8, UserName: "eve\xff"},
				{Line: 9, UserName: "frank", DisplayName: strings.Repeat("x", 1001)},
				{Line: 10, UserName: "grace"},
				{Line: 11},
			}
			report, err := r.Import(t.Context(), rows, byFile)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range report.Errors {
				got = append(got, fmt.Sprintf("%d %s", e.Line, e.Why.Field))
			}
			want := []string{"3 userIdentifier", "4 role", "5 userName", "6 email", "7 userName", "8 userName", "9 displayName", "11 userName"}
			if diff := cmp.Diff(got, want); diff != "" || report.Created != 2 {
				t.Errorf("%d created, errors got - want +\n%s", report.Created, diff)
			}
			if text := report.Errors[1].Error(); text != `line 4, column role: "Admn" is not a role; use Registered, Moderator or Admin, or leave it empty` {
				t.Errorf("got %q", text)
			}
			if _, err := r.PersonByUserName(t.Context(), "grace"); err != nil {
				t.Error(err)
			}
			_, err = r.PersonByUserName(t.Context(), "bob")
			isError(t, err, 404, "")
		})
	})
	t.Run("a_user_identifier_may_change_but_not_be_taken_over", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.documented)
			steps := []struct {
				row  roster.ImportRow
				want roster.ImportReport
			}{
				{roster.ImportRow{UserName: "ada", UserIdentifier: "old"}, roster.ImportReport{Created: 1}},
				{roster.ImportRow{UserName: "ada", UserIdentifier: "new"}, roster.ImportReport{Updated: 1}},
				{roster.ImportRow{UserName: "bob", UserIdentifier: "old"}, roster.ImportReport{Created: 1}},
				{roster.ImportRow{UserName: "bob", UserIdentifier: "NEW"}, roster.ImportReport{Updated: 1}},
				{roster.ImportRow{UserName: "bob", UserIdentifier: "new"}, roster.ImportReport{Errors: []*refusal.Row{{
					Why: refusal.New(refusal.Taken, "userIdentifier", "%q belongs to another person here", "new").Advise("it must be different for each person"),
				}}}},
			}
			for i, step := range steps {
				report, err := r.Import(t.Context(), []roster.ImportRow{step.row}, byFile)
				if diff := cmp.Diff(report, step.want, cmpopts.IgnoreUnexported(refusal.Error{})); err != nil || diff != "" {
					t.Errorf("step %d: %v\n%s", i, err, diff)
				}
			}
		})
	})
	t.Run("a_thousand_come_in", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			var rows []roster.ImportRow
			for i := range 1000 {
				rows = append(rows, roster.ImportRow{Line: i + 2, UserName: fmt.Sprintf("u%d@acme.test", i), Email: fmt.Sprintf("u%d@acme.test", i)})
			}
			report, err := f.rosters.Open(f.full).Import(t.Context(), rows, byFile)
			if diff := cmp.Diff(report, roster.ImportReport{Created: 1000}); err != nil || diff != "" {
				t.Fatalf("%v\n%s", err, diff)
			}
			if _, total := f.list(t, f.full, roster.Query{}); total != 1000 {
				t.Errorf("got %d", total)
			}
		})
	})
}
