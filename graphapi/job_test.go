package graphapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// versions are the two versions of the API, which take the same requests.
var versions = []string{"v1.0", "beta"}

// TestSetUpAsDocumented follows the set-up of a job by API, as Microsoft documents it: instantiate,
// find the service principal, create the job, save the secrets, test them, start, poll the job.
func TestSetUpAsDocumented(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			made := w.send("POST", version, "applicationTemplates/8adf8e6e-67b2-4cf2-a259-e3dc5476c621/instantiate", `{"displayName": "Acme two"}`).want(http.StatusCreated)
			found := w.send("GET", version, "servicePrincipals?$filter=displayName%20eq%20'Acme%20two'", "").want(http.StatusOK)
			id, _ := found.get("value", 0, "id").(string)
			if id == "" || id != made.get("servicePrincipal", "id") || found.get("value", 1) != nil {
				t.Fatalf("got %s after %s", found.Text, made.Text)
			}
			s := "servicePrincipals/" + id + "/synchronization"
			templates := w.send("GET", version, s+"/templates", "").want(http.StatusOK)
			if templates.get("value", 0, "id") != "scim" || templates.get("value", 0, "factoryTag") != "CustomSCIM" {
				t.Errorf("got %s", templates.Text)
			}
			created := w.send("POST", version, s+"/jobs", `{"templateId": "scim"}`).want(http.StatusCreated)
			job, _ := created.get("id").(string)
			if want := "scim." + strings.ReplaceAll(string(w.contoso.Directory.ID), "-", "") + "." + id; job != want {
				t.Errorf("got the id %q, want %q", job, want)
			}
			for path, want := range map[string]any{"code": "NotConfigured", "steadyStateFirstAchievedTime": "0001-01-01T00:00:00Z", "quarantine": nil, "lastExecution": nil} {
				if got := created.get("status", path); got != want {
					t.Errorf("status.%s: got %v, want %v", path, got, want)
				}
			}
			if got := created.get("schedule"); cmp.Diff(got, map[string]any{"expiration": nil, "interval": "P10675199DT2H48M5.4775807S", "state": "Disabled"}) != "" {
				t.Errorf("schedule: got %v", got)
			}

			w.send("POST", version, s+"/jobs/"+job+"/start", "").wantError(http.StatusBadRequest, "Request_BadRequest", "Admin Credentials")
			w.send("PUT", version, s+"/secrets", w.secrets()).want(http.StatusNoContent)
			w.send("POST", version, s+"/jobs/"+job+"/validateCredentials", `{"useSavedCredentials": true}`).want(http.StatusNoContent)
			w.send("POST", version, s+"/jobs/"+job+"/start", "").want(http.StatusNoContent)

			app, err := w.contoso.Application(t.Context(), "Acme two")
			w.must(err)
			w.acme = app
			w.person("ada@contoso.example")
			w.cycle()
			polled := w.send("GET", version, s+"/jobs/"+job, "").want(http.StatusOK)
			for path, want := range map[string]any{"code": "Active", "quarantine": nil, "countSuccessiveCompleteFailures": 0.0, "steadyStateFirstAchievedTime": "2027-03-01T09:00:00Z"} {
				if got := polled.get("status", path); got != want {
					t.Errorf("status.%s: got %v, want %v", path, got, want)
				}
			}
			for path, want := range map[string]any{"state": "Succeeded", "error": nil, "countExported": 1.0, "timeEnded": "2027-03-01T09:00:00Z"} {
				if got := polled.get("status", "lastExecution", path); got != want {
					t.Errorf("status.lastExecution.%s: got %v, want %v", path, got, want)
				}
			}
			if polled.get("schedule", "interval") != "PT40M" || polled.get("schedule", "state") != "Active" || polled.get("templateId") != "scim" {
				t.Errorf("got %s", polled.Text)
			}
			if got := polled.get("status", "synchronizedEntryCountByType", 0); cmp.Diff(got, map[string]any{"key": "User", "value": 1.0}) != "" {
				t.Errorf("got %v", got)
			}
			if diff := cmp.Diff(w.accounts(), []string{"ada@contoso.example"}); diff != "" {
				t.Error(diff)
			}
			all := w.send("GET", version, s+"/jobs", "").want(http.StatusOK)
			if all.get("value", 0, "id") != job || !strings.Contains(all.get("@odata.context").(string), "/graph/"+version+"/$metadata#servicePrincipals('"+id+"')/synchronization/jobs") {
				t.Errorf("got %s", all.Text)
			}
		})
	}
}

func TestJobsArePausedStartedAndDeleted(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setUp(version)
			job := w.s() + "/jobs/" + w.jobID()
			w.send("POST", version, w.s()+"/jobs", `{"templateId": "scim"}`).wantError(http.StatusConflict, "Conflict", w.jobID())
			w.cycle()
			w.send("POST", version, job+"/pause", "").want(http.StatusNoContent)
			if got := w.send("GET", version, job, ""); got.get("status", "code") != "Paused" || got.get("schedule", "state") != "Paused" {
				t.Errorf("got %s", got.Text)
			}
			w.send("POST", version, job+"/start", "").want(http.StatusNoContent)
			if got := w.send("GET", version, job, ""); got.get("status", "code") != "Active" || got.get("schedule", "state") != "Active" {
				t.Errorf("got %s", got.Text)
			}
			started := w.events(event.ProvisioningStarted)
			if len(started) != 2 || started[0].By.Kind != event.APIKey || started[0].By.Address != "127.0.0.1" || !strings.HasPrefix(started[0].By.Name, "configure (…") {
				t.Errorf("got %+v", started)
			}
			w.send("DELETE", version, job, "").want(http.StatusNoContent)
			w.send("GET", version, job, "").wantError(http.StatusNotFound, "Request_ResourceNotFound", w.jobID())
			if got := w.send("GET", version, w.s()+"/jobs", "").want(http.StatusOK); cmp.Diff(got.get("value"), []any{}) != "" {
				t.Errorf("got %s", got.Text)
			}
			w.send("POST", version, w.s()+"/jobs", `{"templateId": "unknown"}`).wantError(http.StatusNotFound, "Request_ResourceNotFound", "unknown")
			w.send("POST", version, w.s()+"/jobs", `{}`).wantError(http.StatusBadRequest, "RequestMissingRequiredParameter", "templateId")
			w.send("POST", version, w.s()+"/jobs", ``).wantError(http.StatusBadRequest, "BadRequest", "Empty Payload")
			w.send("POST", version, w.s()+"/jobs", `{"templateId": "guide"}`).want(http.StatusCreated)
			if got := w.send("GET", version, job, ""); got.get("templateId") != "guide" {
				t.Errorf("got %s", got.Text)
			}
		})
	}
}

// TestRestartResetsWhatItsScopeSays restarts with each value of resetScope and reads back what the
// next cycle does.
func TestRestartResetsWhatItsScopeSays(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string]struct {
		body   string
		kind   string // of the next cycle
		status provision.Status
	}{
		"no_body":         {``, provision.InitialCycle, provision.On},
		"empty_criteria":  {`{"criteria": {}}`, provision.InitialCycle, provision.On},
		"as_the_portal":   {`{"criteria": {"resetScope": "Watermark, Escrows, QuarantineState"}}`, provision.InitialCycle, provision.On},
		"watermark":       {`{"criteria": {"resetScope": "Watermark"}}`, provision.InitialCycle, provision.On},
		"escrows":         {`{"criteria": {"resetScope": "Escrows"}}`, provision.InitialCycle, provision.On},
		"QuarantineState": {`{"criteria": {"resetScope": "QuarantineState"}}`, provision.IncrementalCycle, provision.On},
		"None":            {`{"criteria": {"resetScope": "None"}}`, provision.IncrementalCycle, provision.On},
		"forceDeletes":    {`{"criteria": {"resetScope": "ForceDeletes"}}`, provision.IncrementalCycle, provision.Off},
		"Full":            {`{"criteria": {"resetScope": "Full"}}`, provision.InitialCycle, provision.On},
	} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.person("ada@contoso.example")
			w.setUp("v1.0")
			w.cycle()
			job := w.s() + "/jobs/" + w.jobID()
			w.send("POST", "v1.0", job+"/pause", "").want(http.StatusNoContent)
			w.send("POST", "v1.0", job+"/restart", want.body).want(http.StatusNoContent)
			got, err := w.jobs.Get(t.Context(), w.jobKey())
			w.must(err)
			if got.Status != want.status {
				t.Errorf("the status is %s, want %s", got.Status, want.status)
			}
			if r := w.cycle(); r.Kind != want.kind || r.Created != 0 {
				t.Errorf("got %+v, want a cycle that is %s", r, want.kind)
			}
			if diff := cmp.Diff(w.accounts(), []string{"ada@contoso.example"}); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.setUp("v1.0")
		restart := w.s() + "/jobs/" + w.jobID() + "/restart"
		w.send("POST", "v1.0", restart, `{"criteria": {"resetScope": "Everything"}}`).wantError(http.StatusBadRequest, "Request_BadRequest", "Everything", "ForceDeletes")
		w.send("POST", "v1.0", restart, `{"criteria": {"watermark": true}}`).wantError(http.StatusBadRequest, "Request_BadRequest", "resetScope alone")
		w.send("POST", "v1.0", restart, `{"criteria": {"resetScope": "None, Full"}}`).wantError(http.StatusBadRequest, "Request_BadRequest", "None")
		run := w.makeKey(w.contoso, operator.Run)
		for _, scope := range []string{"ForceDeletes", "Full", "ConnectorDataStore"} {
			w.sendAs(run, "POST", "contoso", "v1.0/"+restart, `{"criteria": {"resetScope": "`+scope+`"}}`).wantError(http.StatusForbidden, "Authorization_RequestDenied", "configure")
		}
		if got := w.events(event.ProvisioningRestarted); len(got) != 0 {
			t.Errorf("refused requests left %+v", got)
		}
	})
}

// TestForceDeletesApprovesWhatIsHeldNow has one import disable 10 of 12 people, which the guard holds,
// and approves it. What is held later waits for another decision.
func TestForceDeletesApprovesWhatIsHeldNow(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var people []string
			for _, c := range "abcdefghijklmnopqrstuvwx" {
				people = append(people, w.person(string(c)+"@contoso.example"))
			}
			w.setUp(version)
			w.cycle()
			disable := func(from, to int) {
				t.Helper()
				file := "userPrincipalName,accountEnabled\n"
				for _, c := range "abcdefghijklmnopqrstuvwx"[from:to] {
					file += string(c) + "@contoso.example,false\n"
				}
				w.importFile(file)
			}
			disable(0, 10)
			w.cycle()
			active := func() (n int) {
				for _, name := range w.accounts() {
					if !strings.HasPrefix(name, "-") {
						n++
					}
				}
				return n
			}
			if n := active(); n != len(people) {
				t.Fatalf("%d accounts are active, want all %d", n, len(people))
			}
			job := w.s() + "/jobs/" + w.jobID()
			got := w.send("GET", version, job, "").want(http.StatusOK)
			if got.get("status", "quarantine", "reason") != "TooManyDeletes" || got.get("status", "code") != "Active" {
				t.Fatalf("got %s", got.Text)
			}
			// An ordinary restart approves nothing.
			w.send("POST", version, job+"/restart", ``).want(http.StatusNoContent)
			w.cycle()
			if n := active(); n != len(people) {
				t.Fatalf("after a restart %d accounts are active, want all %d", n, len(people))
			}
			w.send("POST", version, job+"/restart", `{"criteria": {"resetScope": "ForceDeletes"}}`).want(http.StatusNoContent)
			w.cycle()
			if n := active(); n != len(people)-10 {
				t.Errorf("after ForceDeletes %d accounts are active, want %d", n, len(people)-10)
			}
			if got := w.send("GET", version, job, ""); got.get("status", "quarantine") != nil {
				t.Errorf("got %s", got.Text)
			}
			w.pass(48 * time.Hour)
			disable(10, 20)
			w.cycle()
			if n := active(); n != len(people)-10 {
				t.Errorf("the approval has let later ones through: %d are active", n)
			}
			approved := w.events(event.ProvisioningApproved)
			if len(approved) != 1 || approved[0].By.Kind != event.APIKey {
				t.Errorf("got %+v", approved)
			}
		})
	}
}

func TestSecretsAreWrittenAndNeverRead(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setUp(version)
			got := w.send("GET", version, w.s()+"/secrets", "").want(http.StatusOK)
			want := []any{map[string]any{"key": "BaseAddress", "value": nil}, map[string]any{"key": "SecretToken", "value": nil}, map[string]any{"key": "SyncNotificationSettings", "value": nil}, map[string]any{"key": "SyncAll", "value": nil}}
			if diff := cmp.Diff(got.get("value"), want); diff != "" {
				t.Error(diff)
			}
			put := func(pairs string) answer {
				t.Helper()
				return w.send("PUT", version, w.s()+"/secrets", `{"value": [`+pairs+`]}`)
			}
			if got := w.send("PUT", version, w.s()+"/secrets", w.secrets()).want(http.StatusNoContent).Header.Get("Rollcall-Ignored"); got != "" {
				t.Errorf("got the ignored keys %q", got)
			}
			put(`{"key": "SyncAll", "value": "True"}`).want(http.StatusNoContent)
			job, err := w.jobs.Get(t.Context(), w.jobKey())
			w.must(err)
			if job.Scope != provision.Everyone || job.TenantURL != w.tenantURL || !job.HasSecret() {
				t.Errorf("got %+v", job)
			}
			w.send("POST", version, w.s()+"/jobs/"+w.jobID()+"/validateCredentials", `{"useSavedCredentials": true}`).want(http.StatusNoContent)
			for pairs, words := range map[string]string{
				`{"key": "SyncAll", "value": "maybe"}`:                                                                                "SyncAll",
				`{"key": "Nonsense", "value": "x"}`:                                                                                   "Nonsense",
				`{"key": "Oauth2ClientId", "value": "x"}`:                                                                             "Oauth2ClientId",
				`{"key": "SkipOutOfScopeDeletions", "value": "True"}`:                                                                 "SkipOutOfScopeDeletions",
				`{"key": "AuthenticationType", "value": "OAuth2ClientCredentialsGrant"}`:                                              "AuthenticationType",
				`{"key": "BaseAddress", "value": "https://elsewhere.example/scim"}`:                                                   "Secret Token",
				`{"key": "BaseAddress", "value": "ftp://x"}`:                                                                          "",
				`{"key": "SyncAll", "value": "true"}, {"key": "SyncAll", "value": "false"}`:                                           "twice",
				`{"key": "SyncNotificationSettings", "value": "{"}`:                                                                   "JSON",
				`{"key": "SyncNotificationSettings", "value": "{\"Enabled\":true}"}`:                                                  "Recipients names nobody",
				`{"key": "SyncNotificationSettings", "value": "{\"Enabled\":true,\"Recipients\":\"it@contoso.example;nobody\"}"}`:     "\"nobody\" is not an e-mail address",
				`{"key": "SyncNotificationSettings", "value": "{\"DeleteThresholdEnabled\":true,\"DeleteThresholdValue\":0}"}`:        "from 1",
				`{"key": "SyncNotificationSettings", "value": "{\"DeleteThresholdEnabled\":true,\"DeleteThresholdValue\":99000000}"}`: "from 0 to 10000000",
				`{"key": "SecretToken", "value": "` + "a\\nb" + `"}`:                                                                  "line break",
			} {
				put(pairs).wantError(http.StatusBadRequest, "Request_BadRequest", words)
			}
			w.send("PUT", version, w.s()+"/secrets", `{}`).wantError(http.StatusBadRequest, "RequestMissingRequiredParameter", "value")
			after, err := w.jobs.Get(t.Context(), w.jobKey())
			w.must(err)
			if after.Version != job.Version {
				t.Errorf("a refused request changed the job: %+v", after)
			}
			for _, e := range w.events(event.ProvisioningSaved) {
				if text, _ := json.Marshal(e); strings.Contains(string(text), w.token) {
					t.Errorf("an event has the token: %s", text)
				}
			}
		})
	}
}

func TestValidateCredentials(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			given := func(address, token string) string {
				return `"credentials": [{"key": "BaseAddress", "value": "` + address + `"}, {"key": "SecretToken", "value": "` + token + `"}]`
			}
			before := w.s() + "/jobs/validateCredentials"
			w.send("POST", version, before, `{"templateId": "scim", "useSavedCredentials": false, `+given(w.tenantURL, w.token)+`}`).want(http.StatusNoContent)
			w.send("POST", version, before, `{"templateId": "scim", `+given(w.tenantURL, "wrong")+`}`).wantError(http.StatusBadRequest, "CredentialValidationUnavailable")
			w.send("POST", version, before, `{"useSavedCredentials": true}`).wantError(http.StatusNotFound, "Request_ResourceNotFound")
			w.setUp(version)
			after := w.s() + "/jobs/" + w.jobID() + "/validateCredentials"
			w.send("POST", version, after, `{"useSavedCredentials": true, `+given(w.tenantURL, "wrong")+`}`).want(http.StatusNoContent)
			w.send("POST", version, after, `{`+given(w.tenantURL, w.token)+`}`).want(http.StatusNoContent)
			w.send("POST", version, after, `{`+given(w.tenantURL, "wrong")+`}`).wantError(http.StatusBadRequest, "CredentialValidationUnavailable")
			// The saved token is not sent with a given address.
			w.send("POST", version, after, `{"credentials": [{"key": "BaseAddress", "value": "`+w.tenantURL+`"}]}`).wantError(http.StatusBadRequest, "CredentialValidationUnavailable")
			w.send("POST", version, after, `{"credentials": [{"key": "SecretToken", "value": "x"}]}`).wantError(http.StatusBadRequest, "RequestMissingRequiredParameter", "BaseAddress")
			w.send("POST", version, after, `{}`).wantError(http.StatusBadRequest, "RequestMissingRequiredParameter", "BaseAddress")
			run := w.makeKey(w.contoso, operator.Run)
			w.sendAs(run, "POST", "contoso", version+"/"+after, `{"useSavedCredentials": true}`).want(http.StatusNoContent)
			w.sendAs(run, "POST", "contoso", version+"/"+after, `{`+given(w.tenantURL, w.token)+`}`).wantError(http.StatusForbidden, "Authorization_RequestDenied", "configure")
		})
	}
}

// TestSecretsOfAnotherApplicationForgetNoLeaver changes the address after a person has left. The
// account at the old application is switched off first, or nothing is saved.
func TestSecretsOfAnotherApplicationForgetNoLeaver(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setUp(version)
			ada := w.person("ada@contoso.example")
			w.cycle()
			elsewhere := strings.Replace(w.tenantURL, "127.0.0.1", "localhost", 1)
			put := func() answer {
				return w.send("PUT", version, w.s()+"/secrets", `{"value": [{"key": "BaseAddress", "value": "`+elsewhere+`"}, {"key": "SecretToken", "value": "`+w.token+`"}]}`)
			}
			_, err := w.contoso.Unassign(t.Context(), w.acme.ID, []string{ada}, "cli")
			w.must(err)
			s, err := w.sites.ByName(t.Context(), "acme")
			w.must(err)
			// A change that is refused switches nobody off, and forgets nobody.
			refused := w.send("PUT", version, w.s()+"/secrets", `{"value": [{"key": "BaseAddress", "value": "`+elsewhere+`"}]}`)
			refused.wantError(http.StatusBadRequest, "Request_BadRequest", "must be entered again")
			if got := strings.Join(w.accounts(), " "); got != "ada@contoso.example" || refused.Header.Get("Rollcall-Notice") != "" {
				t.Errorf("after a refusal the accounts are %s, and the notice %q", got, refused.Header.Get("Rollcall-Notice"))
			}
			tokens, err := w.sites.Tokens(t.Context(), s.ID)
			w.must(err)
			w.must(w.sites.RevokeToken(t.Context(), s.ID, tokens[0].ID, "cli"))
			put().wantError(http.StatusConflict, "Conflict", "1 accounts at the old one")
			job, err := w.jobs.Get(t.Context(), w.jobKey())
			w.must(err)
			if job.TenantURL != w.tenantURL {
				t.Errorf("the address is %s", job.TenantURL)
			}
			_, w.token, err = w.sites.CreateToken(t.Context(), s.ID, site.TokenRequest{Actor: "cli"})
			w.must(err)
			w.send("PUT", version, w.s()+"/secrets", w.secrets()).want(http.StatusNoContent)
			if got := put().want(http.StatusNoContent).Header.Get("Rollcall-Notice"); !strings.Contains(got, "1 linked accounts at the old one are forgotten; 1 of them were switched off before") {
				t.Errorf("got the notice %q", got)
			}
			if got := strings.Join(w.accounts(), " "); got != "-ada@contoso.example" {
				t.Errorf("the accounts are %s", got)
			}
		})
	}
}

// TestNotificationSettingsHaveAnEffect sends SyncNotificationSettings, and reads the recipients of
// mail and the deletion threshold back.
func TestNotificationSettingsHaveAnEffect(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setUp(version)
			put := func(settings string) answer {
				t.Helper()
				value, err := json.Marshal(settings)
				w.must(err)
				return w.send("PUT", version, w.s()+"/secrets", `{"value": [{"key": "SyncNotificationSettings", "value": `+string(value)+`}]}`).want(http.StatusNoContent)
			}
			wantMail := func(when string, want ...string) {
				t.Helper()
				all, err := w.notifications.Recipients(t.Context(), string(w.contoso.Directory.ID))
				w.must(err)
				var got []string
				for _, r := range all {
					got = append(got, fmt.Sprintf("%s %s %v", r.Address, r.Application, r.Topics))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: recipients (-want +got):\n%s", when, diff)
				}
			}
			threshold := func() string {
				t.Helper()
				for _, setting := range w.send("GET", version, w.s()+"/jobs/"+w.jobID(), "").want(http.StatusOK).get("synchronizationJobSettings").([]any) {
					if pair := setting.(map[string]any); pair["name"] == "QuarantineTooManyDeletesThreshold" {
						return pair["value"].(string)
					}
				}
				return ""
			}
			_, err := w.notifications.Add(t.Context(), notification.NewRecipient{Directory: string(w.contoso.Directory.ID), Application: w.acme.ID, Address: "kim@contoso.example", Actor: "cli"})
			w.must(err)
			byHand := "kim@contoso.example " + w.acme.ID + " [quarantine held late credentials]"
			if got := put(`{"Enabled":true,"Recipients":"it@contoso.example;ops@contoso.example","DeleteThresholdEnabled":true,"DeleteThresholdValue":25}`).Header.Get("Rollcall-Notice"); !strings.Contains(got, "by Entra's rules only") {
				t.Errorf("notice %q", got)
			}
			wantMail("two", "it@contoso.example "+w.acme.ID+" [quarantine held]", byHand, "ops@contoso.example "+w.acme.ID+" [quarantine held]")
			if got := threshold(); got != "25" {
				t.Errorf("the threshold is %q", got)
			}
			put(`{"Enabled":true,"Recipients":"IT@contoso.example"}`)
			wantMail("one", "it@contoso.example "+w.acme.ID+" [quarantine held]", byHand)
			if got := threshold(); got != "25" {
				t.Errorf("the threshold is %q", got)
			}
			put(`{"Enabled":false,"DeleteThresholdEnabled":false}`)
			wantMail("none", byHand)
			if got := threshold(); got != "0" {
				t.Errorf("the threshold is %q", got)
			}
		})
	}
}
