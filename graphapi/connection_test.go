package graphapi_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
)

// TestObjectConnections finds a connection by both ids, forgets it while the job is paused, and links
// it again by hand.
func TestObjectConnections(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada, bo := w.person("ada@contoso.example"), w.person("bo@contoso.example")
			w.setUp(version)
			w.cycle()
			job := w.s() + "/jobs/" + w.jobID()
			connections := job + "/objectConnections"
			byObject := w.send("GET", version, connections+"('"+ada+"')", "").want(http.StatusOK)
			account, _ := byObject.get("targetAnchor").(string)
			for name, want := range map[string]any{"objectId": ada, "sourceAnchor": ada, "displayName": "ada@contoso.example", "objectTypeName": "User", "how": "created"} {
				if got := byObject.get(name); got != want {
					t.Errorf("%s: got %v, want %v", name, got, want)
				}
			}
			byAccount := w.send("GET", version, connections+"/"+account, "").want(http.StatusOK)
			if diff := cmp.Diff(byAccount.JSON, byObject.JSON); diff != "" || account == "" {
				t.Error(diff)
			}
			first := w.send("GET", version, connections+"?$top=1", "").want(http.StatusOK)
			next, _ := first.get("@odata.nextLink").(string)
			second := w.sendAs(w.key, "GET", "", next, "").want(http.StatusOK)
			if first.get("value", 0, "objectId") != ada || second.get("value", 0, "objectId") != bo || second.get("@odata.nextLink") != nil {
				t.Errorf("got %s and %s", first.Text, second.Text)
			}
			if found := w.send("GET", version, connections+"?$search=bo%40", ""); found.get("value", 0, "objectId") != bo || found.get("value", 1) != nil {
				t.Errorf("got %s", found.Text)
			}
			w.send("GET", version, connections+"?$top=0", "").wantError(http.StatusBadRequest, "BadRequest", "$top")
			w.send("GET", version, connections+"/nobody", "").wantError(http.StatusNotFound, "Request_ResourceNotFound")

			w.send("DELETE", version, connections+"/"+ada, "").wantError(http.StatusConflict, "Conflict", "Pause it first")
			w.send("POST", version, job+"/pause", "").want(http.StatusNoContent)
			for range 2 { // as often as one likes
				w.send("DELETE", version, connections+"/"+account, "").want(http.StatusNoContent)
			}
			w.send("GET", version, connections+"/"+ada, "").wantError(http.StatusNotFound, "Request_ResourceNotFound")
			if diff := cmp.Diff(w.accounts(), []string{"ada@contoso.example", "bo@contoso.example"}); diff != "" {
				t.Error(diff)
			}

			w.send("POST", version, connections, `{"objectId": "`+bo+`", "targetAnchor": "`+account+`"}`).wantError(http.StatusConflict, "Conflict", "has the account")
			w.send("POST", version, connections, `{"objectId": "`+ada+`", "targetAnchor": "none"}`).wantError(http.StatusNotFound, "Request_ResourceNotFound", "none")
			w.send("POST", version, connections, `{"objectId": "`+ada+`"}`).wantError(http.StatusBadRequest, "RequestMissingRequiredParameter", "targetAnchor")
			made := w.send("POST", version, connections, `{"objectId": "`+ada+`", "targetAnchor": "`+account+`"}`).want(http.StatusCreated)
			if made.get("how") != "linked" || made.get("targetAnchor") != account {
				t.Errorf("got %s", made.Text)
			}
			if forgotten := w.events(event.ProvisioningForgotten); len(forgotten) != 1 || forgotten[0].By.Kind != event.APIKey {
				t.Errorf("got %+v", forgotten)
			}
			w.send("POST", version, job+"/start", "").want(http.StatusNoContent)
			w.cycle()
			if diff := cmp.Diff(w.accounts(), []string{"ada@contoso.example", "bo@contoso.example"}); diff != "" {
				t.Error(diff)
			}
		})
	}
}
