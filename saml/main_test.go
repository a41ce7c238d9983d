package saml_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"math/big"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/saml"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const (
	entityID = "https://people.example.com/c/acme/auth/saml2/metadata"
	acs      = "https://people.example.com/c/acme/auth/saml2/post"
	request  = "_request-1"
)

// siteKey is one RSA key for all tests, because making one takes a while.
var siteKey = sync.OnceValue(func() saml.KeyPair {
	k, err := saml.NewKeyPair("Rollcall acme", noon)
	if err != nil {
		panic(err)
	}
	return k
})

// world is a site and its identity provider at noon.
type world struct {
	*demoidp.Provider
	sp  saml.ServiceProvider
	idp saml.IdentityProvider
	now time.Time // the site's clock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: noon, sp: saml.ServiceProvider{EntityID: entityID, ACS: acs}}
	var err error
	if w.Provider, err = demoidp.New("https://login.example.com/saml2", func() time.Time { return noon }); err != nil {
		t.Fatal(err)
	}
	w.idp = saml.IdentityProvider{EntityID: w.EntityID, SignInURL: w.SignInURL, Certificates: []*x509.Certificate{w.Cert}}
	return w
}

// answer is what a well-behaved identity provider answers about Ada.
func answer() demoidp.Answer {
	return demoidp.Answer{
		ACS: acs, Audience: entityID, InResponseTo: request, NameID: "ada@acme.example",
		Claims: []demoidp.Claim{
			{Name: demoidp.ClaimName, Values: []string{"ada@acme.example"}},
			{Name: demoidp.ClaimDisplayName, Values: []string{"Ada Lovelace"}},
			{Name: demoidp.ClaimEmail, Values: []string{"ada.lovelace@acme.example"}},
		},
	}
}

func (w *world) respond(t *testing.T, a demoidp.Answer) string {
	t.Helper()
	encoded, err := w.Respond(a)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func (w *world) verify(encoded string) (saml.Assertion, error) {
	return w.sp.Verify(w.idp, encoded, saml.Expected{RequestID: request}, w.now)
}

// accepts fails the test unless the response is accepted as one about Ada.
func (w *world) accepts(t *testing.T, encoded string) saml.Assertion {
	t.Helper()
	a, err := w.verify(encoded)
	if err != nil {
		t.Fatalf("a good response was refused: %v", err)
	}
	if a.NameID != "ada@acme.example" {
		t.Fatalf("NameID is %q", a.NameID)
	}
	return a
}

func (w *world) refuses(t *testing.T, encoded string, want saml.Reason) *saml.Error {
	t.Helper()
	a, err := w.verify(encoded)
	var refused *saml.Error
	if !errors.As(err, &refused) {
		t.Fatalf("want a refusal, %s; got %+v, %v", want, a, err)
	}
	if refused.Reason != want {
		t.Fatalf("want the reason %s, got %v", want, err)
	}
	if a.NameID != "" || a.Attributes != nil {
		t.Fatalf("a refused response returned %+v", a)
	}
	if refused.Detail == "" {
		t.Error("the refusal has no sentence")
	}
	return refused
}

func find(t *testing.T, e *etree.Element, path string) *etree.Element {
	t.Helper()
	found := e.FindElement(path)
	if found == nil {
		t.Fatalf("nothing at %s", path)
	}
	return found
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func clock() time.Time { return noon }

// fixedProvider returns an identity provider with the same key and certificate in each process.
// Fuzzing runs in several, and a signature of one must count in the others.
func fixedProvider(f *testing.F) *demoidp.Provider {
	f.Helper()
	idp, err := demoidp.New("https://login.example.com/saml2", clock)
	if err != nil {
		f.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(nil, &template, &template, key.Public(), key) // without random numbers, the signature is always the same
	if err != nil {
		f.Fatal(err)
	}
	if idp.Cert, err = x509.ParseCertificate(der); err != nil {
		f.Fatal(err)
	}
	idp.Key = key
	return idp
}
