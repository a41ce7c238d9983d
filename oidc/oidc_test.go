package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rollcall-scim/rollcall/oidc"
)

const metadata = `{
	"issuer": "https://login.example.com", "authorization_endpoint": "https://login.example.com/authorize?x=1", "token_endpoint": "https://login.example.com/token",
	"jwks_uri": "https://login.example.com/keys", "id_token_signing_alg_values_supported": ["HS256", "ES256", "none"]
}`

const keys = `{"keys":[
	{"kty":"EC","crv":"P-256","use":"sig","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
	{"kty":"EC","crv":"P-256","use":"enc","kid":"2","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
	{"kty":"unknown","kid":"3"}
]}`

func TestARequestAsksForACodeWithPKCE(t *testing.T) {
	t.Parallel()
	p, err := oidc.ParseProvider([]byte(metadata), "https://login.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Algorithms) != 1 || p.Algorithms[0] != "ES256" {
		t.Errorf("accepted are %q; want those without a shared secret", p.Algorithms)
	}
	c := oidc.Client{ID: "client", RedirectURL: "https://people.example.com/c/acme/auth/oidc/callback"}
	got := c.Request(p, oidc.RequestOptions{State: "state", Nonce: "nonce", Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"})
	// The challenge is that of RFC 7636, appendix B.
	want := "https://login.example.com/authorize?x=1&client_id=client&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&nonce=nonce" +
		"&redirect_uri=https%3A%2F%2Fpeople.example.com%2Fc%2Facme%2Fauth%2Foidc%2Fcallback&response_type=code&scope=openid+profile+email&state=state"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAProviderThatNamesItselfInAnswersAlwaysDoes(t *testing.T) {
	t.Parallel()
	p := oidc.Provider{Issuer: "https://login.example.com", NamesIssuer: true}
	for issuer, refused := range map[string]bool{"https://login.example.com": false, "": true, "https://login.evil.example": true} {
		if err := (oidc.Answer{State: "s", Code: "c", Issuer: issuer}).Check(p); (err != nil) != refused {
			t.Errorf("an answer of %q: %v", issuer, err)
		}
	}
}

func TestTheIssuerIsTheWholeAddress(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"https://login.example.com/", "https://login.example.com/other", "https://LOGIN.example.com"} {
		if _, err := oidc.ParseProvider([]byte(metadata), asked); err == nil || !strings.Contains(err.Error(), `calls itself "https://login.example.com"`) {
			t.Errorf("%s: %v", asked, err)
		}
	}
}

func TestClaimsArePicked(t *testing.T) {
	t.Parallel()
	token := oidc.Token{Attributes: []oidc.Attribute{
		{Name: "groups", Values: []string{"a", "b"}},
		{Name: "oid", Values: []string{"8f3c"}},
		{Name: "sub", Values: []string{"s-1"}},
		{Name: "empty", Values: []string{" "}},
		{Name: "long", Values: []string{strings.Repeat("x", 257)}},
		{Name: "control", Values: []string{"a\nb"}},
		{Name: "title", Values: []string{" Head "}},
	}}
	got, err := token.Pick(oidc.Claims{JobTitle: "title", Department: "control", DisplayName: "long"})
	if err != nil || got != (oidc.ClaimValues{UserIdentifier: "s-1", JobTitle: "Head"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := token.Pick(oidc.Claims{UserIdentifier: "oid"}); err != nil || got.UserIdentifier != "8f3c" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, name := range []string{"groups", "empty", "long", "control", "absent", "email", "preferred_username"} {
		if got, err := token.Pick(oidc.Claims{UserIdentifier: name}); err == nil {
			t.Errorf("%s as the user identifier: got %+v", name, got)
		}
	}
}

// FuzzParse reads arbitrary answers of a provider. Metadata that is accepted leads to https alone, and
// no arbitrary ID token is.
func FuzzParse(f *testing.F) {
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"1"}`))
	for _, text := range []string{metadata, keys, header + ".e30.AAAA", header + ".e30.", `{"issuer":"https://login.example.com","jwks_uri":"http://login.example.com"}`, "a.b.c", `{"keys":[null]}`} {
		f.Add(text)
	}
	known, err := oidc.ParseKeys([]byte(keys))
	if err != nil {
		f.Fatal(err)
	}
	provider, err := oidc.ParseProvider([]byte(metadata), "https://login.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := oidc.ParseProvider([]byte(text), "https://login.example.com"); err == nil {
			for _, address := range []string{p.AuthorizationURL, p.TokenURL, p.KeysURL} {
				if !strings.HasPrefix(strings.ToLower(address), "https://") && !strings.HasPrefix(strings.ToLower(address), "http://") {
					t.Errorf("%q is taken for an address", address)
				}
			}
		}
		oidc.ParseKeys([]byte(text)) //nolint:errcheck // it must not panic
		if got, err := (oidc.Client{ID: "client"}).Verify(provider, known, text, oidc.Expected{Nonce: "n"}, time.Unix(1900000000, 0)); err == nil {
			t.Errorf("%q is accepted: %+v", text, got)
		}
		if got, err := (oidc.Token{Subject: "s"}).AddUserInfo([]byte(text)); err == nil {
			got.Pick(oidc.Claims{}) //nolint:errcheck // it must not panic
		}
	})
}

func TestATokenOfAnotherTenantOfEntraIDIsRefused(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "1", Use: "sig", Algorithm: "ES256"}}})
	if err != nil {
		t.Fatal(err)
	}
	known, err := oidc.ParseKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const tenant = "8f3c5f9e-6a52-4f0e-9d43-0f1d1c1f7a10"
	now := time.Unix(1900000000, 0)
	for _, tt := range []struct{ issuer, tenant, want string }{
		{"https://login.microsoftonline.com/" + tenant + "/v2.0", tenant, ""},
		{"https://login.microsoftonline.com/" + tenant + "/v2.0", "9188040d-6c67-4c5b-b112-36a304b66dad", "oidc: wrong_tenant"},
		{"https://login.microsoftonline.com/" + tenant + "/v2.0", "", "oidc: wrong_tenant"},
		{"https://login.example.com/" + tenant, "", ""},
	} {
		claims, err := json.Marshal(map[string]any{"iss": tt.issuer, "sub": "s", "aud": "client", "nonce": "n", "iat": now.Unix(), "exp": now.Unix() + 60, "tid": tt.tenant})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		_, err = oidc.Client{ID: "client"}.Verify(oidc.Provider{Issuer: tt.issuer, Algorithms: []string{"ES256"}}, known, raw, oidc.Expected{Nonce: "n"}, now)
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("the tenant %q at %s: %v; want %q", tt.tenant, tt.issuer, err, tt.want)
		}
	}
}
