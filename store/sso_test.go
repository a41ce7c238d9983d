package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// A site where a hundred people sign in each second remembers more than 360,000 assertions.
func TestSignInsReadNoRequestsAndAssertionsThatHaveNotExpired(t *testing.T) {
	t.Parallel()
	got, err := store.PlansOfForgetting(t.Context(), storetest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"SEARCH saml_request USING COVERING INDEX saml_request_expires (site=? AND expires<?)",
		"SEARCH saml_assertion USING COVERING INDEX saml_assertion_until (site=? AND until<?)",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}
