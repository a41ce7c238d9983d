package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	// MaxDocument is the largest accepted size of a provider's answer, in bytes.
	MaxDocument = 256 << 10
	// maxKeys is the largest number of keys that a provider may announce.
	maxKeys = 100
)

// algorithms are the accepted signature algorithms. Algorithms with a shared secret, such as HS256,
// are not accepted: an attacker could use a public key as the secret.
var algorithms = []string{
	gooidc.RS256, gooidc.RS384, gooidc.RS512, gooidc.PS256, gooidc.PS384, gooidc.PS512,
	gooidc.ES256, gooidc.ES384, gooidc.ES512, gooidc.EdDSA,
}

// Provider holds the metadata of an OpenID provider.
type Provider struct {
	Issuer           string
	AuthorizationURL string
	TokenURL         string
	KeysURL          string
	EndSessionURL    string   // the address that signs a person out at the provider; empty if there is none
	UserInfoURL      string   // the address of the UserInfo endpoint; empty if there is none
	Algorithms       []string // the algorithms with which the provider may sign ID tokens
	PostsSecret      bool     // whether the provider accepts the client secret only in the body of a request (client_secret_post)
	NamesIssuer      bool     // whether the provider's answers name the issuer (RFC 9207)
}

// CheckIssuer returns an error for an issuer that cannot be used safely: one that is not an https
// URL, or one that accepts people of every tenant of Entra ID.
func CheckIssuer(issuer string) error {
	if err := checkAddress(issuer); err != nil {
		return fmt.Errorf("the issuer %w", err)
	}
	u, err := url.Parse(issuer)
	if err != nil || u.RawQuery != "" {
		return fmt.Errorf("the issuer %q has a query", issuer)
	}
	if strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/.well-known/openid-configuration") {
		return errors.New("the issuer is the address without /.well-known/openid-configuration")
	}
	return checkEntraTenant(u)
}

// checkEntraTenant returns an error for an issuer of Entra ID that accepts people of every tenant.
func checkEntraTenant(u *url.URL) error {
	if !isEntra(u) {
		return nil
	}
	tenant, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if slices.Contains([]string{"common", "organizations", "consumers", "{tenantid}", ""}, strings.ToLower(tenant)) {
		return errors.New("the issuer is an endpoint of Entra ID that signs in people of every tenant; use the one of your tenant, https://login.microsoftonline.com/TENANT-ID/v2.0")
	}
	return nil
}

// isEntra reports whether a URL is an address of Microsoft Entra ID, in any of its clouds.
func isEntra(u *url.URL) bool {
	return slices.Contains([]string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn", "login.windows.net", "sts.windows.net"}, strings.ToLower(u.Hostname()))
}

// DiscoveryURL returns the address of a provider's metadata. OpenID Connect Discovery 1.0 §4.1.
func DiscoveryURL(issuer string) string {
	return strings.TrimRight(issuer, "/") + "/.well-known/openid-configuration"
}

// ParseProvider reads the metadata that a provider has at the DiscoveryURL of the issuer. It
// returns an error if the metadata is of another issuer, or if the provider does not support what
// Rollcall needs.
func ParseProvider(raw []byte, issuer string) (Provider, error) {
	var d struct {
		Issuer        string   `json:"issuer"`
		Authorization string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		Keys          string   `json:"jwks_uri"`
		UserInfo      string   `json:"userinfo_endpoint"`
		EndSession    string   `json:"end_session_endpoint"`
		Algorithms    []string `json:"id_token_signing_alg_values_supported"`
		Secrets       []string `json:"token_endpoint_auth_methods_supported"`
		Challenges    []string `json:"code_challenge_methods_supported"`
		Responses     []string `json:"response_types_supported"`
		NamesIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if len(raw) > MaxDocument {
		return Provider{}, fmt.Errorf("the provider's metadata is larger than %d KiB", MaxDocument>>10)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return Provider{}, errors.New("the provider's metadata is not JSON as OpenID Connect Discovery has it")
	}
	// OpenID Connect Discovery 1.0 §4.3: the issuer must be exactly the requested one.
	if d.Issuer != issuer {
		if strings.Contains(d.Issuer, "{tenantid}") {
			return Provider{}, errors.New("this endpoint of Entra ID signs in people of every tenant; use the one of your tenant, https://login.microsoftonline.com/TENANT-ID/v2.0")
		}
		return Provider{}, fmt.Errorf("the provider calls itself %q, not %q; use exactly that as the issuer", Shorten(d.Issuer, 200), issuer)
	}
	p := Provider{Issuer: d.Issuer, AuthorizationURL: d.Authorization, TokenURL: d.Token, KeysURL: d.Keys, UserInfoURL: d.UserInfo, NamesIssuer: d.NamesIssuer}
	for _, e := range []struct {
		name, address string
		needed        bool
	}{{"authorization_endpoint", p.AuthorizationURL, true}, {"token_endpoint", p.TokenURL, true}, {"jwks_uri", p.KeysURL, true}, {"userinfo_endpoint", p.UserInfoURL, false}} {
		if e.address == "" && !e.needed {
			continue
		}
		if err := checkAddress(e.address); err != nil {
			return Provider{}, fmt.Errorf("the provider's %s %w", e.name, err)
		}
	}
	if checkAddress(d.EndSession) == nil { // no sign-in uses this address, so treat a wrong address like a missing one
		p.EndSessionURL = d.EndSession
	}
	for _, a := range d.Algorithms {
		if slices.Contains(algorithms, a) {
			p.Algorithms = append(p.Algorithms, a)
		}
	}
	if d.Algorithms == nil {
		p.Algorithms = []string{gooidc.RS256}
	}
	switch {
	case len(p.Algorithms) == 0:
		return Provider{}, errors.New("the provider signs ID tokens with no algorithm that is accepted, such as RS256")
	case d.Responses != nil && !slices.Contains(d.Responses, "code"):
		return Provider{}, errors.New("the provider does not offer the code flow (response type code)")
	case d.Challenges != nil && !slices.Contains(d.Challenges, "S256"):
		return Provider{}, errors.New("the provider does not offer PKCE with S256")
	case d.Secrets == nil || slices.Contains(d.Secrets, "client_secret_basic"):
	case slices.Contains(d.Secrets, "client_secret_post"):
		p.PostsSecret = true
	default:
		return Provider{}, errors.New("the provider takes no client secret (client_secret_basic or client_secret_post)")
	}
	return p, nil
}

// checkAddress returns an error if an address is not an https URL. It allows http only for
// addresses of this machine, such as localhost.
func checkAddress(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > 1024 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' }) {
		return fmt.Errorf("%q is not an address such as https://login.example.com", Shorten(text, 200))
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fmt.Errorf("%q must begin with https://", Shorten(text, 200))
	}
	return nil
}

// isLoopback reports whether a host name or IP address names this machine.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Keys are the public keys of a provider. They verify the signatures of its ID tokens.
type Keys struct{ all []key }

// key is a public key of the provider.
type key struct {
	id, algorithm string // the key's id and its signature algorithm; each may be empty
	public        crypto.PublicKey
}

// ParseKeys reads a JWKS (RFC 7517). It leaves out keys that are not for signatures, keys that are
// too short, and keys of unknown kinds. It returns an error if no key is left.
func ParseKeys(raw []byte) (Keys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(raw) > MaxDocument {
		return Keys{}, fmt.Errorf("the provider's keys are larger than %d KiB", MaxDocument>>10)
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return Keys{}, errors.New("the provider's keys are not a JSON Web Key Set")
	}
	if len(set.Keys) > maxKeys {
		return Keys{}, fmt.Errorf("the provider announces %d keys; at most %d are accepted", len(set.Keys), maxKeys)
	}
	var k Keys
	for _, text := range set.Keys {
		var j jose.JSONWebKey
		if json.Unmarshal(text, &j) != nil || j.Use != "" && j.Use != "sig" || !isStrong(j.Key) {
			continue
		}
		k.all = append(k.all, key{j.KeyID, j.Algorithm, j.Key})
	}
	if len(k.all) == 0 {
		return Keys{}, errors.New("the provider announces no key that can be used: RSA of 2048 bits or more, ECDSA, or Ed25519")
	}
	return k, nil
}

// isStrong reports whether a key is a public key of an accepted kind, and long enough.
func isStrong(k any) bool {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return k.Params().BitSize >= 256
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	}
	return false
}

// findKeys returns the keys with this id that fit the algorithm of a signature. An empty id matches
// each key. A key that names no algorithm fits every algorithm.
func (k Keys) findKeys(id, algorithm string) []crypto.PublicKey {
	var found []crypto.PublicKey
	for _, one := range k.all {
		if (id == "" || one.id == id) && (one.algorithm == "" || one.algorithm == algorithm) {
			found = append(found, one.public)
		}
	}
	return found
}
