package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rollcall-scim/rollcall/refusal"
)

func TestSentencesKeepTheCaseOfNamesAndValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of         *refusal.Error
		line, text string
	}{
		{
			refusal.New(refusal.Taken, "name", "there is a site of that name already").Advise("choose another name"),
			"there is a site of that name already; choose another name", "There is a site of that name already. Choose another name.",
		},
		{refusal.New(refusal.Conflict, "", "%s is the last administrator", "ada"), "ada is the last administrator", "ada is the last administrator."},
		{refusal.New(refusal.Invalid, "members", "members: there is no user %q", "7"), `members: there is no user "7"`, `members: there is no user "7".`},
		{refusal.New(refusal.Invalid, "name.givenName", "name has more than %d bytes", 9), "name has more than 9 bytes", "name has more than 9 bytes."},
		{refusal.New(refusal.Invalid, "", "userName ends with a space"), "userName ends with a space", "userName ends with a space."},
		{refusal.New(refusal.Invalid, "", "%q is not a role", "x"), `"x" is not a role`, `"x" is not a role.`},
		{refusal.New(refusal.NotFound, "", "there is no site %q", "x").Advise("did you mean %s?", "y"), `there is no site "x"; did you mean y?`, `There is no site "x". Did you mean y?`},
		{refusal.New(refusal.Invalid, "", "über 9"), "über 9", "Über 9."},
	} {
		if got := c.of.Error(); got != c.line {
			t.Errorf("line: got %q, want %q", got, c.line)
		}
		if got := c.of.Sentences(); got != c.text {
			t.Errorf("sentences: got %q, want %q", got, c.text)
		}
	}
}

func TestCallersAskForTheKindOrForOneRefusal(t *testing.T) {
	t.Parallel()
	taken := refusal.New(refusal.Taken, "name", "taken").Coded("name_taken")
	other := refusal.New(refusal.Taken, "", "taken by another form").Coded("form_used")
	nameless := refusal.New(refusal.Taken, "", "taken")
	err := fmt.Errorf("rename: %w", taken.Because("%q is taken", "acme").Advise("choose another").WithData(7))

	for target, want := range map[error]bool{
		refusal.Taken: true, refusal.Conflict: false, taken: true, other: false, nameless: false,
	} {
		if got := errors.Is(err, target); got != want {
			t.Errorf("errors.Is(%v, %v): got %v, want %v", err, target, got, want)
		}
	}
	if errors.Is(nameless, refusal.New(refusal.Taken, "", "taken")) {
		t.Error("two refusals without a code are taken for the same one")
	}
	if e, ok := refusal.Find(err); !ok || e.Field != "name" || e.Detail != `"acme" is taken` {
		t.Errorf("got %+v", e)
	}
	if data, ok := refusal.DataOf[int](err); !ok || data != 7 {
		t.Errorf("data: got %v, %v", data, ok)
	}
	if _, ok := refusal.DataOf[string](err); ok {
		t.Error("the data of a refusal is returned as another type")
	}
	if taken.Detail != "taken" || taken.Data != nil {
		t.Errorf("a copy changed the refusal that it was made of: %+v", taken)
	}
	if _, ok := refusal.Find(errors.New("broken")); ok {
		t.Error("a failure is taken for a refusal")
	}
}
