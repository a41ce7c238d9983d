package codeflow_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/oidc"
)

// A code that is stolen together with its state must be useless in another browser, and a code with
// the state of another request in the same browser.
func TestAVerifierBelongsToOneRequestInOneBrowser(t *testing.T) {
	t.Parallel()
	own := codeflow.Verifier("browser", "state")
	for name, other := range map[string]string{
		"in another browser": codeflow.Verifier("another browser", "state"), "without a cookie": codeflow.Verifier("", "state"), "of another request": codeflow.Verifier("browser", "another state"),
	} {
		if other == own {
			t.Errorf("the verifier is the same %s", name)
		}
	}
	address := codeflow.Address(oidc.Client{ID: "acme"}, oidc.Provider{AuthorizationURL: "https://login.example.com/authorize"}, codeflow.Request{State: "state", Nonce: "nonce", Browser: "browser"})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(own))
	if q := u.Query(); q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(hash[:]) || q.Get("code_challenge_method") != "S256" {
		t.Errorf("the challenge in %s is not that of the verifier %s", address, own)
	}
}
