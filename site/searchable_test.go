package site_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// declared is what a site has declared searchable, in words.
func (f fixture) declared(t *testing.T) []string {
	t.Helper()
	all, err := store.Rosters{DB: f.db}.Indexing(t.Context(), f.acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, i := range all {
		list = append(list, i.String())
	}
	return list
}

func (f fixture) declare(t *testing.T, typeName string, attributes ...string) error {
	t.Helper()
	_, err := f.sites.DeclareSearchable(t.Context(), f.acme.ID, scim.TypeName(typeName), attributes, "cli")
	return err
}

func TestDeclareSearchable(t *testing.T) {
	t.Run("it is kept in the spelling of the schemas and is an event", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			if _, err := f.sites.SetSchemas(t.Context(), f.acme.ID, document(`{"name":"number","type":"integer"}`), "cli"); err != nil {
				t.Fatal(err)
			}
			added, err := f.sites.DeclareSearchable(t.Context(), f.acme.ID, "user", []string{"TITLE", " name.familyname ", "department", "urn:example:badge:Number", "title"}, "admin:kim")
			if err != nil || len(added) != 4 {
				t.Fatalf("got %v, %v", added, err)
			}
			if err := f.declare(t, "Device", "serial"); err != nil {
				t.Fatal(err)
			}
			want := []string{"title of User", "name.familyName of User", scim.EnterpriseURN + ":department of User", "urn:example:Badge:number of User", "serial of Device"}
			if diff := cmp.Diff(f.declared(t), want); diff != "" {
				t.Error(diff)
			}
			if added, err := f.sites.DeclareSearchable(t.Context(), f.acme.ID, "User", []string{"title"}, "cli"); err != nil || len(added) != 0 {
				t.Errorf("again: got %v, %v", added, err)
			}
			declaredEvent := "site.searchable_declared by "
			wantStory := []string{
				"site.created by cli", "site.schemas_changed by cli",
				declaredEvent + "admin:kim", declaredEvent + "admin:kim", declaredEvent + "admin:kim", declaredEvent + "admin:kim", declaredEvent + "cli",
			}
			if diff := cmp.Diff(story(t, f.db, event.Site(string(f.acme.ID))), wantStory); diff != "" {
				t.Error(diff)
			}
		})
	})

	t.Run("what cannot be says why, and nothing is declared", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			doc := document(`{"name":"number","type":"integer"},{"name":"photo","type":"binary"},{"name":"pin","mutability":"writeOnly","returned":"never"},{"name":"since","type":"dateTime"}`)
			if _, err := f.sites.SetSchemas(t.Context(), f.acme.ID, doc, "cli"); err != nil {
				t.Fatal(err)
			}
			for attribute, want := range map[string]string{
				"titel":                    `User has no attribute "titel"`,
				"urn:example:Car:color":    `User has no attribute "urn:example:Car:color"`,
				"":                         "User has no attribute",
				"name":                     "name of User is complex; name one of its sub-attributes, as in name.formatted",
				"addresses":                "as in addresses.formatted",
				"userName":                 "userName of User is searchable already",
				"id":                       "id of User is searchable already",
				"externalId":               "is searchable already",
				"displayName":              "is searchable already",
				"emails.value":             "emails.value of User is searchable already",
				"userType":                 "is searchable already",
				"active":                   "is searchable already",
				"groups.value":             "is searchable already",
				"meta.created":             "is much the same for every resource",
				"schemas":                  "is much the same for every resource",
				"password":                 "password of User is never returned, so no filter may ask for it",
				"urn:example:Badge:pin":    "is never returned",
				"urn:example:Badge:photo":  "urn:example:Badge:photo of User is binary",
				"urn:example:Badge:since":  "is a dateTime",
				"emails.primary":           "emails.primary of User is a boolean",
				"urn:example:Badge:number": "",
			} {
				err := f.declare(t, "User", "nickName", attribute)
				if want == "" {
					if err != nil {
						t.Errorf("%s: %v", attribute, err)
					}
					continue
				}
				if !errors.Is(err, refusal.Invalid) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %v, want %s", attribute, err, want)
				}
			}
			if err := f.declare(t, "Printer", "serial"); !errors.Is(err, refusal.Invalid) || !strings.Contains(err.Error(), "it has User, Group, Device") {
				t.Errorf("got %v", err)
			}
			for _, attribute := range []string{"displayName", "members.value"} {
				if err := f.declare(t, "Group", attribute); err == nil || !strings.Contains(err.Error(), "searchable already") {
					t.Errorf("%s of Group: got %v", attribute, err)
				}
			}
			if diff := cmp.Diff(f.declared(t), []string{"nickName of User", "urn:example:Badge:number of User"}); diff != "" {
				t.Error(diff)
			}
		})
	})

	t.Run("there is an end to it", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			can := site.CanBeSearchable(scim.UserType())
			var names []string
			for _, path := range can[:site.MaxSearchable+1] {
				names = append(names, path.String())
			}
			err := f.declare(t, "User", names...)
			if !errors.Is(err, refusal.Invalid) || !strings.Contains(err.Error(), fmt.Sprintf("%s of User would be one too many: a site declares at most %d", names[site.MaxSearchable], site.MaxSearchable)) {
				t.Errorf("got %v", err)
			}
			if err := f.declare(t, "User", names[:site.MaxSearchable]...); err != nil {
				t.Error(err)
			}
			if got := len(f.declared(t)); got != site.MaxSearchable {
				t.Errorf("got %d", got)
			}
		})
	})

	t.Run("all that is offered can be", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			can := site.CanBeSearchable(scim.UserType())
			if len(can) < 40 {
				t.Errorf("got %d", len(can))
			}
			for _, path := range can {
				if _, _, err := scim.ParseFilter(scim.UserType(), path.String()+" pr", scim.Strict); err != nil {
					t.Errorf("%s is offered, and no filter may ask for it: %v", path, err)
				}
				if err := f.declare(t, "User", path.String()); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				if err := f.sites.WithdrawSearchable(t.Context(), f.acme.ID, "User", []string{path.String()}, "cli"); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		})
	})
}

func TestWithdrawSearchable(t *testing.T) {
	t.Run("it is gone at once and is an event", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			if err := f.declare(t, "User", "title", "nickName", "department"); err != nil {
				t.Fatal(err)
			}
			if err := f.sites.WithdrawSearchable(t.Context(), f.acme.ID, "user", []string{"Title", scim.EnterpriseURN + ":department"}, "cli"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.declared(t), []string{"nickName of User"}); diff != "" {
				t.Error(diff)
			}
			for _, c := range [][2]string{{"User", "title"}, {"User", "titel"}, {"Group", "nickName"}, {"Printer", "nickName"}} {
				err := f.sites.WithdrawSearchable(t.Context(), f.acme.ID, scim.TypeName(c[0]), []string{"nickName", c[1]}, "cli")
				if !errors.Is(err, refusal.Invalid) || !strings.Contains(err.Error(), "is not declared searchable on this site") {
					t.Errorf("%v: got %v", c, err)
				}
			}
			if diff := cmp.Diff(f.declared(t), []string{"nickName of User"}); diff != "" {
				t.Error(diff)
			}
			wantStory := []string{
				"site.created by cli",
				"site.searchable_declared by cli", "site.searchable_declared by cli", "site.searchable_declared by cli",
				"site.searchable_withdrawn by cli", "site.searchable_withdrawn by cli",
			}
			if diff := cmp.Diff(story(t, f.db, event.Site(string(f.acme.ID))), wantStory); diff != "" {
				t.Error(diff)
			}
		})
	})

	t.Run("schemas that lose an attribute withdraw it", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			set := func(doc []byte) {
				t.Helper()
				if _, err := f.sites.SetSchemas(t.Context(), f.acme.ID, doc, "cli"); err != nil {
					t.Fatal(err)
				}
			}
			set(document(`{"name":"number","type":"integer"},{"name":"color"}`))
			if err := f.declare(t, "User", "title", "urn:example:Badge:number", "urn:example:Badge:color"); err != nil {
				t.Fatal(err)
			}
			if err := f.declare(t, "Device", "serial"); err != nil {
				t.Fatal(err)
			}
			set(document(`{"name":"number","type":"boolean"},{"name":"color"},{"name":"shape"}`))
			if diff := cmp.Diff(f.declared(t), []string{"title of User", "urn:example:Badge:color of User", "serial of Device"}); diff != "" {
				t.Errorf("a type that cannot be searched for: got - want +\n%s", diff)
			}
			f.put(t, roster.User, "ada", `{"schemas":["u","urn:example:Badge"],"id":"ada","userName":"ada","urn:example:Badge":{"color":"red"},"meta":{}}`)
			if _, err := f.sites.SetSchemas(t.Context(), f.acme.ID, nil, "cli"); err == nil {
				t.Error("a color that somebody has was removed")
			}
			if got := f.declared(t); len(got) != 3 {
				t.Errorf("a change that is refused withdraws nothing: got %v", got)
			}
			f.remove(t, roster.User, "ada")
			set(nil)
			if diff := cmp.Diff(f.declared(t), []string{"title of User"}); diff != "" {
				t.Error(diff)
			}
			told := story(t, f.db, event.Site(string(f.acme.ID)))
			if got := told[len(told)-3:]; cmp.Diff(got, []string{"site.schemas_changed by cli", "site.searchable_withdrawn by cli", "site.searchable_withdrawn by cli"}) != "" {
				t.Errorf("got %v", got)
			}
		})
	})
}
