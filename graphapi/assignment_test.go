package graphapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
)

const defaultAccess = "00000000-0000-0000-0000-000000000000"

// assignedIDs reads all pages of Acme's assignments, with so many on a page.
func (w *world) assignedIDs(version string, top int) (ids, roles []string) {
	w.t.Helper()
	next := fmt.Sprintf("servicePrincipals/%s/appRoleAssignedTo?$top=%d", w.acme.ID, top)
	for page := w.send("GET", version, next, ""); ; page = w.sendAs(w.key, "GET", "", next, "") {
		page.want(http.StatusOK)
		list, _ := page.get("value").([]any)
		if len(list) > top {
			w.t.Errorf("got %d assignments on a page of %d", len(list), top)
		}
		for _, one := range list {
			ids = append(ids, fmt.Sprint(at(one, "principalType"), " ", at(one, "principalId")))
			roles = append(roles, fmt.Sprint(at(one, "appRoleId")))
			if at(one, "id") != at(one, "principalId") || at(one, "resourceId") != w.acme.ID || at(one, "resourceDisplayName") != "Acme" || at(one, "principalDisplayName") == "" {
				w.t.Errorf("got %v", one)
			}
		}
		var more bool
		if next, more = page.get("@odata.nextLink").(string); !more {
			return ids, roles
		}
	}
}

// TestAppRoleAssignedTo gives people and groups an application, with and without a role, and takes it
// from them.
func TestAppRoleAssignedTo(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada, bo := w.person("ada@contoso.example"), w.person("bo@contoso.example")
			sales := w.group("Sales", bo)
			_, err := w.contoso.Unassign(t.Context(), w.acme.ID, []string{ada, bo, sales}, "cli")
			w.must(err)
			editor, _, err := w.contoso.PutRole(t.Context(), w.acme.ID, directory.AppRole{Value: "editor", DisplayName: "Editor", Enabled: true}, "cli")
			w.must(err)
			roles := w.send("GET", version, "servicePrincipals/"+w.acme.ID, "").want(http.StatusOK)
			if roles.get("appRoles", 0, "id") != editor.ID || roles.get("appRoles", 0, "value") != "editor" || roles.get("appRoles", 0, "isEnabled") != true {
				t.Errorf("got %s", roles.Text)
			}
			path := "servicePrincipals/" + w.acme.ID + "/appRoleAssignedTo"
			body := func(principal, role string) string {
				return fmt.Sprintf(`{"principalId": %q, "resourceId": %q, "appRoleId": %q}`, principal, w.acme.ID, role)
			}
			made := w.send("POST", version, path, body(ada, editor.ID)).want(http.StatusCreated)
			for name, want := range map[string]any{
				"id": ada, "principalId": ada, "principalType": "User", "principalDisplayName": "Ada", "resourceId": w.acme.ID, "resourceDisplayName": "Acme", "appRoleId": editor.ID,
				"deletedDateTime": nil,
			} {
				if got := made.get(name); got != want {
					t.Errorf("%s: got %v, want %v", name, got, want)
				}
			}
			w.send("POST", version, path, body(bo, defaultAccess)).want(http.StatusCreated)
			w.send("POST", version, path, body(sales, editor.ID)).want(http.StatusCreated)
			for _, top := range []int{1, 2, 3, 100} {
				ids, gotRoles := w.assignedIDs(version, top)
				if diff := cmp.Diff(ids, []string{"User " + ada, "User " + bo, "Group " + sales}); diff != "" {
					t.Errorf("pages of %d: %s", top, diff)
				}
				if diff := cmp.Diff(gotRoles, []string{editor.ID, defaultAccess, editor.ID}); diff != "" {
					t.Errorf("pages of %d: %s", top, diff)
				}
			}

			w.send("POST", version, path, body(ada, defaultAccess)).wantError(http.StatusBadRequest, "Request_BadRequest", "already exists")
			w.send("POST", version, path, body(ada, "editor")).wantError(http.StatusBadRequest, "Request_BadRequest", "was not found on application")
			w.send("POST", version, path, body("00000000-0000-4000-8000-00000000ffff", defaultAccess)).wantError(http.StatusNotFound, "Request_ResourceNotFound")
			w.send("POST", version, path, `{"principalId": "`+ada+`"}`).wantError(http.StatusBadRequest, "RequestMissingRequiredParameter", "resourceId")
			w.send("POST", version, path, fmt.Sprintf(`{"principalId": %q, "resourceId": %q, "appRoleId": %q}`, ada, bo, defaultAccess)).wantError(http.StatusBadRequest, "Request_BadRequest", "resourceId")
			w.send("GET", version, path+"?$top=0", "").wantError(http.StatusBadRequest, "BadRequest", "$top")
			w.send("GET", version, path+"?$skiptoken=x", "").wantError(http.StatusBadRequest, "BadRequest", "$skiptoken")

			w.send("DELETE", version, path+"/"+ada, "").want(http.StatusNoContent)
			w.send("DELETE", version, path+"/"+ada, "").wantError(http.StatusNotFound, "Request_ResourceNotFound", ada)
			w.send("DELETE", version, path+"/nobody", "").wantError(http.StatusNotFound, "Request_ResourceNotFound")
			if ids, _ := w.assignedIDs(version, 100); slices.Contains(ids, "User "+ada) || len(ids) != 2 {
				t.Errorf("after the deletion: %v", ids)
			}
		})
	}
}

// TestUsersAndGroups finds the objects whose ids a script needs. Soft-deleted ones are not found.
func TestUsersAndGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bo := w.person("ada@contoso.example"), w.person("bo@contoso.example")
	gone := w.person("cy@contoso.example")
	_, err := w.contoso.SoftDelete(t.Context(), gone, "cli")
	w.must(err)
	sales, support := w.group("Sales"), w.group("Sales and Support")
	old := w.group("Old")
	_, err = w.contoso.SoftDeleteGroup(t.Context(), old, "cli")
	w.must(err)
	for _, version := range versions {
		list := func(path string) (ids []string) {
			t.Helper()
			for page := w.send("GET", version, path, ""); ; {
				page.want(http.StatusOK)
				values, _ := page.get("value").([]any)
				for _, one := range values {
					ids = append(ids, fmt.Sprint(at(one, "id")))
				}
				next, more := page.get("@odata.nextLink").(string)
				if !more {
					return ids
				}
				page = w.sendAs(w.key, "GET", "", next, "")
			}
		}
		filter := func(kind, text string) []string { t.Helper(); return list(kind + "?$filter=" + url.QueryEscape(text)) }
		for name, test := range map[string]struct{ got, want []string }{
			"all users, one on a page":  {list("users?$top=1"), []string{ada, bo}},
			"all groups, one on a page": {list("groups?$top=1"), []string{sales, support}},
			"user by name":              {filter("users", "userPrincipalName eq 'ADA@contoso.example'"), []string{ada}},
			"user by id":                {filter("users", "id eq '"+bo+"'"), []string{bo}},
			"no such user":              {filter("users", "userPrincipalName eq 'x@contoso.example'"), nil},
			"deleted user":              {filter("users", "userPrincipalName eq 'cy@contoso.example'"), nil},
			"group by name":             {filter("groups", "displayName eq 'sales'"), []string{sales}},
			"group by id":               {filter("groups", "id eq '"+support+"'"), []string{support}},
			"deleted group":             {filter("groups", "displayName eq 'Old'"), nil},
			"deleted group by id":       {filter("groups", "id eq '"+old+"'"), nil},
		} {
			if diff := cmp.Diff(test.got, test.want); diff != "" {
				t.Errorf("%s, %s: %s", version, name, diff)
			}
		}
		one := w.send("GET", version, "users/ada@contoso.example?$select=id", "").want(http.StatusOK)
		if one.get("id") != ada || one.get("displayName") != "Ada" || one.get("accountEnabled") != true || one.get("mail") != nil {
			t.Errorf("got %s", one.Text)
		}
		if byID := w.send("GET", version, "users('"+ada+"')", "").want(http.StatusOK); byID.get("userPrincipalName") != "ada@contoso.example" {
			t.Errorf("got %s", byID.Text)
		}
		if g := w.send("GET", version, "groups/"+sales, "").want(http.StatusOK); g.get("displayName") != "Sales" || g.get("description") != nil {
			t.Errorf("got %s", g.Text)
		}
		for _, path := range []string{"users/" + gone, "users/cy@contoso.example", "users/nobody", "groups/" + old, "groups/" + ada} {
			w.send("GET", version, path, "").wantError(http.StatusNotFound, "Request_ResourceNotFound")
		}
		w.send("GET", version, "users?$filter="+url.QueryEscape("startsWith(userPrincipalName,'a')"), "").wantError(http.StatusBadRequest, "Request_UnsupportedQuery", "eq")
		w.send("GET", version, "groups?$filter="+url.QueryEscape("userPrincipalName eq 'a'"), "").wantError(http.StatusBadRequest, "BadRequest")
		w.send("GET", version, "users?$orderby=id", "").wantError(http.StatusBadRequest, "Request_UnsupportedQuery", "$orderby")
	}
}
