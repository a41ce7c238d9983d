package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// TestSignInsReadNoRequestsAndAssertionsThatHaveNotExpired checks the plans of the queries that
// delete expired rows. A site with a hundred sign-ins per second has more than 360,000 assertions
// that have not expired.
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
