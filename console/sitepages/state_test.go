package sitepages

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
)

func TestState(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	on, off := site.Site{Settings: site.Settings{SCIMEnabled: true}}, site.Site{}
	token := site.Token{ID: "t", Last4: "a91f", Created: now.Add(-48 * time.Hour)}
	revoked := token
	revoked.Revoked = now.Add(-time.Hour)
	old := site.Token{ID: "old", Name: "Entra", Last4: "beef", Created: now.Add(-90 * time.Hour), Revoked: now.Add(-48 * time.Hour)}
	call := func(ago time.Duration, status int, sentence string) requestlog.Request {
		return requestlog.Request{Time: now.Add(-ago), Method: "PATCH", Path: "/c/acme/auth/scim/v2/Users/1", Status: status, TokenID: "t", TokenLast4: "a91f", Sentence: sentence}
	}
	ended := func(ago time.Duration) requestlog.Request {
		return requestlog.Request{Time: now.Add(-ago), Method: "GET", Status: 401, TokenID: "old", TokenLast4: "beef", Sentence: "refused"}
	}
	stranger := func(ago time.Duration) requestlog.Request {
		return requestlog.Request{Time: now.Add(-ago), Method: "GET", Status: 401, TokenLast4: "cafe", Sentence: "refused"}
	}
	set := func(ago time.Duration, name string) event.Event { return event.Event{Time: now.Add(-ago), Name: name} }
	lookup := call(time.Minute, 404, "not there")
	lookup.Method = "GET"
	create := call(time.Minute, 501, "User creation over SCIM is off")
	create.Method = "POST"
	mixed := []requestlog.Request{call(time.Minute, 200, "ok")}
	for i := range 3 {
		mixed = append(mixed, call(time.Duration(i+2)*time.Minute, 501, "create refused"))
	}
	mostlyGood := []requestlog.Request{call(time.Minute, 200, "ok"), call(2*time.Minute, 501, "create refused")}
	for i := range 8 {
		mostlyGood = append(mostlyGood, call(time.Duration(i+3)*time.Minute, 200, "ok"))
	}
	good := call(time.Hour, 200, "ok")

	for _, tt := range []struct {
		name  string
		site  site.Site
		facts scimFacts
		want  scimStatus
		says  string
	}{
		{"new_site_is_not_set_up", off, scimFacts{}, statusNotSetUp, "Check Enable SCIM"},
		{"switched_on_without_a_token_is_not_set_up", on, scimFacts{}, statusNotSetUp, "generate one"},
		{"a_token_without_a_call_waits", on, scimFacts{tokens: []site.Token{token}}, statusWaiting, "Give the Tenant URL"},
		{"an_answered_call_is_working", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{call(3*time.Minute, 200, "ok")}}, statusWorking, "Last call 3 minutes ago."},
		{"asking_for_who_is_not_there_is_working", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{lookup}}, statusWorking, "1 minute ago"},
		{"one_refusal_among_ten_is_working", on, scimFacts{tokens: []site.Token{token}, calls: mostlyGood}, statusWorking, "1 minute ago"},
		{"a_day_without_a_call_is_quiet", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{call(26*time.Hour, 200, "ok")}}, statusQuiet, "No call for 1 day"},
		{"a_used_token_with_pruned_rows_is_quiet", on, scimFacts{tokens: []site.Token{{ID: "t", Created: now.Add(-72 * time.Hour), LastUsed: now.Add(-48 * time.Hour)}}}, statusQuiet, "No call for 2 days"},
		{"a_refused_last_call_is_failing", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{call(time.Minute, 501, "Creation is off"), call(2*time.Minute, 200, "ok")}}, statusFailing, "1 minute ago, was refused: Creation is off."},
		{"many_refusals_are_failing", on, scimFacts{tokens: []site.Token{token}, calls: mixed}, statusFailing, "3 of the last 4 calls"},
		{"switched_off_is_off", off, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{call(time.Minute, 200, "ok")}}, statusOff, "people keep their access"},
		{"a_token_made_before_switching_on_is_off", off, scimFacts{tokens: []site.Token{token}}, statusOff, "Check Enable SCIM"},

		{"an_ended_token_after_the_last_success_is_rejected", on, scimFacts{tokens: []site.Token{token, old}, calls: []requestlog.Request{ended(time.Minute), good}}, statusRejected, "1 minute ago a call came with the token Entra (…beef), which was revoked or replaced 2 days ago. Give your identity provider the token that is live, or generate another one. The last accepted call was 1 hour ago."},
		{"an_ended_token_before_the_last_success_is_working", on, scimFacts{tokens: []site.Token{token, old}, calls: []requestlog.Request{call(time.Minute, 200, "ok"), ended(time.Hour)}}, statusWorking, "Last call"},
		{"an_ended_token_on_the_first_try_is_rejected", on, scimFacts{tokens: []site.Token{token, old}, calls: []requestlog.Request{ended(time.Minute)}}, statusRejected, "No call has been accepted yet."},
		{"an_ended_token_before_the_live_one_was_made_waits", on, scimFacts{tokens: []site.Token{token, old}, calls: []requestlog.Request{ended(49 * time.Hour)}}, statusWaiting, "Waiting"},
		{"an_ended_token_with_none_live_is_rejected", on, scimFacts{tokens: []site.Token{old}, calls: []requestlog.Request{ended(time.Minute)}}, statusRejected, "Generate a token and give it"},
		{"strangers_change_nothing_of_working", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{stranger(time.Minute), good}}, statusWorking, "Last call 1 hour ago."},
		{"strangers_change_nothing_of_waiting", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{stranger(time.Minute)}, strangerCalls: 1}, statusWaiting, "Waiting"},
		{"no_live_token_and_no_refused_call_is_not_rejected", on, scimFacts{tokens: []site.Token{revoked}, calls: []requestlog.Request{good}}, statusNotSetUp, "No token is live any more"},

		{"switched_on_again_waits_instead_of_failing", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{call(time.Minute, 403, "SCIM is switched off for this site")}, settingChanges: []event.Event{set(time.Second, "site.scim_enabled")}}, statusWaiting, "since SCIM was switched on, 1 second ago. No call has been accepted yet."},
		{"switched_on_again_remembers_the_last_accepted_call", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{call(time.Minute, 403, "off"), good}, settingChanges: []event.Event{set(time.Second, "site.scim_enabled")}}, statusWaiting, "The last accepted call was 1 hour ago."},
		{"a_call_after_switching_on_is_working", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{call(time.Second, 200, "ok"), call(time.Hour, 403, "off")}, settingChanges: []event.Event{set(time.Minute, "site.scim_enabled")}}, statusWorking, "1 second ago"},
		{"a_refusal_after_switching_on_is_failing", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{create}, settingChanges: []event.Event{set(time.Hour, "site.scim_enabled")}}, statusFailing, "creation over SCIM is off"},
		{"creates_refused_before_creating_was_allowed_are_settled", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{create, good}, settingChanges: []event.Event{set(time.Second, "site.creates_changed")}}, statusWorking, "Last accepted call 1 hour ago."},
		{"another_setting_settles_nothing", on, scimFacts{tokens: []site.Token{token}, calls: []requestlog.Request{create, good}, settingChanges: []event.Event{set(time.Second, "site.roles_managed")}}, statusFailing, "creation over SCIM is off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := decideState(tt.site, tt.facts, now)
			if got.Status != tt.want || !strings.Contains(got.Sentence, tt.says) {
				t.Errorf("got %s: %s\nwant %s with %q", got.Status, got.Sentence, tt.want, tt.says)
			}
			if got.Badge().Text != string(tt.want) || !got.Badge().Tone.IsKnown() {
				t.Errorf("badge %+v", got.Badge())
			}
			if strings.HasPrefix(got.Detail(), string(tt.want)+".") {
				t.Errorf("the state stands beside the badge again: %s", got.Detail())
			}
		})
	}
}
