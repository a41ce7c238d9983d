package saml_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/saml"
)

// BenchmarkVerify verifies a response as Entra ID sends it, with an RSA signature of the assertion.
func BenchmarkVerify(b *testing.B) {
	idp, err := demoidp.New("https://login.example.com/saml2", clock)
	if err != nil {
		b.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	idp.Key = key
	if idp.Cert, err = demoidp.Certificate(key, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0)); err != nil {
		b.Fatal(err)
	}
	encoded, err := idp.Respond(answer())
	if err != nil {
		b.Fatal(err)
	}
	sp := saml.ServiceProvider{EntityID: entityID, ACS: acs}
	trusted := saml.IdentityProvider{EntityID: idp.EntityID, SignInURL: idp.SignInURL, Certificates: []*x509.Certificate{idp.Cert}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sp.Verify(trusted, encoded, saml.Expected{RequestID: request}, noon); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequest makes the address that starts a sign-in.
func BenchmarkRequest(b *testing.B) {
	sp := saml.ServiceProvider{EntityID: entityID, ACS: acs}
	idp := saml.IdentityProvider{EntityID: "https://sts.windows.net/contoso/", SignInURL: "https://login.example.com/saml2"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sp.Request(idp, saml.RequestOptions{ID: request, RelayState: "relay"}, noon); err != nil {
			b.Fatal(err)
		}
	}
}
