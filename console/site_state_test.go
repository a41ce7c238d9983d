package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/site"
)

func TestState(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	on, off := site.Site{SCIMEnabled: true}, site.Site{}
	token := site.Token{ID: "t", Last4: "a91f", Created: now.Add(-48 * time.Hour)}
	revoked := token
	revoked.Revoked = now.Add(-time.Hour)
	call := func(ago time.Duration, status int, sentence string) site.Request {
		return site.Request{Time: now.Add(-ago), Method: "PATCH", Path: "/c/acme/auth/scim/v2/Users/1", Status: status, TokenID: "t", TokenLast4: "a91f", Sentence: sentence}
	}
	stranger := func(ago time.Duration) site.Request {
		return site.Request{Time: now.Add(-ago), Method: "GET", Status: 401, TokenLast4: "beef", Sentence: "refused"}
	}
	lookup := call(time.Minute, 404, "not there")
	lookup.Method = "GET"
	mixed := []site.Request{call(time.Minute, 200, "ok")}
	for i := range 3 {
		mixed = append(mixed, call(time.Duration(i+2)*time.Minute, 501, "create refused"))
	}
	mostlyGood := []site.Request{call(time.Minute, 200, "ok"), call(2*time.Minute, 501, "create refused")}
	for i := range 8 {
		mostlyGood = append(mostlyGood, call(time.Duration(i+3)*time.Minute, 200, "ok"))
	}

	for _, tt := range []struct {
		name   string
		site   site.Site
		tokens []site.Token
		rows   []site.Request
		want   scimStatus
		says   string
	}{
		{"new_site_is_not_set_up", off, nil, nil, notSetUp, "Check Enable SCIM"},
		{"switched_on_without_a_token_is_not_set_up", on, nil, nil, notSetUp, "generate one"},
		{"a_token_without_a_call_waits", on, []site.Token{token}, nil, waiting, "Give the Tenant URL"},
		{"attempts_before_the_token_was_made_do_not_count", on, []site.Token{token}, []site.Request{stranger(49 * time.Hour)}, waiting, "Waiting"},
		{"an_answered_call_is_working", on, []site.Token{token}, []site.Request{call(3*time.Minute, 200, "ok")}, working, "Last call 3 minutes ago."},
		{"asking_for_who_is_not_there_is_working", on, []site.Token{token}, []site.Request{lookup}, working, "1 minute ago"},
		{"one_refusal_among_ten_is_working", on, []site.Token{token}, mostlyGood, working, "1 minute ago"},
		{"a_day_without_a_call_is_quiet", on, []site.Token{token}, []site.Request{call(26*time.Hour, 200, "ok")}, quietFor, "No call for 1 day"},
		{"a_used_token_with_pruned_rows_is_quiet", on, []site.Token{{ID: "t", Created: now.Add(-72 * time.Hour), LastUsed: now.Add(-48 * time.Hour)}}, nil, quietFor, "No call for 2 days"},
		{"a_refused_last_call_is_failing", on, []site.Token{token}, []site.Request{call(time.Minute, 501, "Creation is off"), call(2*time.Minute, 200, "ok")}, failing, "1 minute ago, was refused: Creation is off."},
		{"many_refusals_are_failing", on, []site.Token{token}, mixed, failing, "3 of the last 4 calls"},
		{"an_unknown_token_after_the_last_success_is_rejected", on, []site.Token{token}, []site.Request{stranger(time.Minute), call(time.Hour, 200, "ok")}, rejected, "ending …beef. The last accepted call was 1 hour ago."},
		{"an_unknown_token_before_the_last_success_is_working", on, []site.Token{token}, []site.Request{call(time.Minute, 200, "ok"), stranger(time.Hour)}, working, "Last call"},
		{"a_wrong_token_on_the_first_try_is_rejected", on, []site.Token{token}, []site.Request{stranger(time.Minute)}, rejected, "No call has been accepted yet."},
		{"all_tokens_revoked_is_rejected", on, []site.Token{revoked}, []site.Request{call(time.Hour, 200, "ok")}, rejected, "No token is live"},
		{"switched_off_is_off", off, []site.Token{token}, []site.Request{call(time.Minute, 200, "ok")}, switchedOff, "people keep their access"},
		{"a_token_made_before_switching_on_is_off", off, []site.Token{token}, nil, switchedOff, "Check Enable SCIM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := judge(tt.site, tt.tokens, tt.rows, now)
			if got.Status != tt.want || !strings.Contains(got.Sentence, tt.says) {
				t.Errorf("got %s: %s\nwant %s with %q", got.Status, got.Sentence, tt.want, tt.says)
			}
			if got.Badge().Text != string(tt.want) || !got.Badge().Tone.known() {
				t.Errorf("badge %+v", got.Badge())
			}
		})
	}
}

func TestRelative(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0: "just now", 900 * time.Millisecond: "just now", time.Second: "1 second ago", 59 * time.Second: "59 seconds ago",
		3 * time.Minute: "3 minutes ago", 26 * time.Hour: "1 day ago", 50 * 24 * time.Hour: "1 month ago", 800 * 24 * time.Hour: "2 years ago",
		-18 * 24 * time.Hour: "in 18 days",
	} {
		t.Run(fmt.Sprint(ago), func(t *testing.T) {
			t.Parallel()
			if got := relative(now.Add(-ago), now); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
