package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/saml"
)

func reason(err error) saml.Reason {
	var e *saml.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if err != nil {
		return saml.Reason(err.Error())
	}
	return ""
}

func deflated(t *testing.T, encoded string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.idp.SignInURL = "https://login.example.com/saml2?tenant=acme"
	address, err := w.sp.Request(w.idp, saml.RequestOptions{ID: request, RelayState: "relay", Fresh: true, Hint: "ada@acme.example"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	q := query(t, address)
	if q.Get("tenant") != "acme" || q.Get("RelayState") != "relay" || q.Get("login_hint") != "ada@acme.example" || q.Get("Signature") != "" {
		t.Errorf("the address is %s", address)
	}
	text := inflate(t, q.Get("SAMLRequest"))
	var sent struct {
		XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol AuthnRequest"`
		ID      string   `xml:"ID,attr"`
		ACS     string   `xml:"AssertionConsumerServiceURL,attr"`
		Issued  string   `xml:"IssueInstant,attr"`
		Force   bool     `xml:"ForceAuthn,attr"`
		Issuer  string   `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	}
	if err := xml.Unmarshal([]byte(text), &sent); err != nil {
		t.Fatal(err)
	}
	if sent.ID != request || sent.ACS != acs || sent.Issuer != entityID || !sent.Force || sent.Issued != "2026-11-20T12:00:00Z" {
		t.Errorf("the request is %s", text)
	}
	// Entra ID sends a NameID of its own making if a request has a policy.
	for _, never := range []string{"NameIDPolicy", "RequestedAuthnContext", "Subject"} {
		if strings.Contains(text, never) {
			t.Errorf("the request has %s: %s", never, text)
		}
	}
}

func TestRequestIsSignedWithAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sp.SignRequests = true
	if _, err := w.sp.Request(w.idp, saml.RequestOptions{ID: request}, noon); err == nil {
		t.Error("a request without a key was not refused")
	}
	w.sp.Keys = []saml.KeyPair{siteKey()}
	address, err := w.sp.Request(w.idp, saml.RequestOptions{ID: request, RelayState: "relay"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	q := query(t, address)
	signed := "SAMLRequest=" + url.QueryEscape(q.Get("SAMLRequest")) + "&RelayState=relay&SigAlg=" + url.QueryEscape(q.Get("SigAlg"))
	sum := sha256.Sum256([]byte(signed))
	signature, err := base64.StdEncoding.DecodeString(q.Get("Signature"))
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(&siteKey().Key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		t.Errorf("the signature of %s: %v", signed, err)
	}
}

func inflate(t *testing.T, encoded string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	sp := saml.ServiceProvider{EntityID: entityID, ACS: acs}
	without, err := sp.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`entityID="` + entityID + `"`, `Location="` + acs + `"`, `WantAssertionsSigned="true"`, `AuthnRequestsSigned="false"`, "HTTP-POST"} {
		if !strings.Contains(string(without), want) {
			t.Errorf("the metadata lacks %s:\n%s", want, without)
		}
	}
	for _, never := range []string{"KeyDescriptor", "validUntil"} {
		if strings.Contains(string(without), never) {
			t.Errorf("the metadata has %s:\n%s", never, without)
		}
	}
	sp.Keys = []saml.KeyPair{siteKey(), siteKey()} // during a change of keys both are there
	with, err := sp.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	certificate := base64.StdEncoding.EncodeToString(siteKey().Certificate)
	if got := strings.Count(string(with), certificate); got != 4 {
		t.Errorf("the certificate is there %d times, want 4", got)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(with); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"//KeyInfo", "//X509Data", "//X509Certificate"} {
		if e := find(t, doc.Root(), path); e.NamespaceURI() != "http://www.w3.org/2000/09/xmldsig#" {
			t.Errorf("%s is in the namespace %s", path, e.NamespaceURI())
		}
	}
}

func TestKeyPairsAreStoredAndRead(t *testing.T) {
	t.Parallel()
	stored, err := siteKey().Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := saml.DecodeKeyPair(stored, siteKey().Certificate)
	if err != nil || !read.Key.Equal(siteKey().Key) {
		t.Fatalf("got another key, %v", err)
	}
	if _, err := saml.DecodeKeyPair(stored, newWorld(t).Cert.Raw); err == nil {
		t.Error("the certificate of another key was taken")
	}
}

func TestParseMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("of our own demo", func(t *testing.T) {
		t.Parallel()
		got, err := saml.ParseMetadata([]byte(w.Provider.Metadata()))
		if err != nil || got.EntityID != w.EntityID || got.SignInURL != w.SignInURL || len(got.Certificates) != 1 || !got.Certificates[0].Equal(w.Cert) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("of Entra ID, which describes other roles too", func(t *testing.T) {
		t.Parallel()
		raw, err := os.ReadFile("testdata/entra-federationmetadata.xml")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(raw), "CERTIFICATE", base64.StdEncoding.EncodeToString(w.Cert.Raw))
		got, err := saml.ParseMetadata([]byte("\ufeff" + text))
		if err != nil || got.EntityID != "https://sts.windows.net/8f3c5f9e-6a52-4f0e-9d43-0f1d1c1f7a10/" || len(got.Certificates) != 1 ||
			got.SignInURL != "https://login.microsoftonline.com/8f3c5f9e-6a52-4f0e-9d43-0f1d1c1f7a10/saml2" || got.SignOutURL != got.SignInURL {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	good := w.Provider.Metadata()
	for name, text := range map[string]string{
		"with a DOCTYPE":               strings.Replace(good, "<EntityDescriptor", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><EntityDescriptor`, 1),
		"that is a web page":           "<html><body>Sign in</body></html>",
		"that is empty":                "",
		"without a certificate":        strings.ReplaceAll(good, "KeyDescriptor", "Other"),
		"with a broken certificate":    strings.Replace(good, "<X509Certificate>", "<X509Certificate>AAAA", 1),
		"without a sign-in address":    strings.ReplaceAll(good, "HTTP-Redirect", "HTTP-Artifact"),
		"with a script as its address": strings.Replace(good, w.SignInURL, "javascript:alert(1)", 1),
		"without https":                strings.Replace(good, "https://login", "http://login", 1),
		"without an entity id":         strings.Replace(good, `entityID="`+w.EntityID+`"`, "", 1),
		"of two identity providers":    `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + strings.Repeat(good[strings.Index(good, "<EntityDescriptor"):], 2) + `</EntitiesDescriptor>`,
		"larger than the limit":        good + strings.Repeat(" ", saml.MaxMetadata),
		"nested without end":           strings.Repeat("<x>", 100_000),
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			got, err := saml.ParseMetadata([]byte(text))
			if err == nil {
				t.Errorf("accepted as %+v", got)
			}
		})
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	a := saml.Assertion{NameID: "ada@acme.example", Attributes: []saml.Attribute{
		{Name: "name", Values: []string{"Ada Lovelace"}},
		{Name: "mail", Values: []string{"ada@acme.example"}},
		{Name: "oid", Values: []string{"7c1e"}},
		{Name: "two", Values: []string{"a", "b"}},
		{Name: "empty", Values: []string{" "}},
		{Name: "long", Values: []string{strings.Repeat("x", 257)}},
		{Name: "control", Values: []string{"a\x00b"}},
		{Name: "again", Values: []string{"a"}},
		{Name: "again", Values: []string{"b"}},
	}}
	t.Run("the claims that the site chose", func(t *testing.T) {
		t.Parallel()
		got, err := a.Pick(saml.Claims{UserIdentifier: "oid", DisplayName: "name", Email: "mail", JobTitle: "absent", Department: "long"})
		if want := (saml.ClaimValues{UserIdentifier: "7c1e", DisplayName: "Ada Lovelace", Email: "ada@acme.example"}); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	for claim, want := range map[string]saml.Reason{
		"": "", saml.NameID: "", "oid": "", "OID": saml.BadIdentifier, "two": saml.BadIdentifier, "empty": saml.BadIdentifier, "long": saml.BadIdentifier,
		"control": saml.BadIdentifier, "again": saml.RepeatedClaim, "absent": saml.BadIdentifier,
	} {
		if _, err := a.Pick(saml.Claims{UserIdentifier: claim}); reason(err) != want {
			t.Errorf("the user identifier %q: got %v, want %q", claim, err, want)
		}
	}
	t.Run("never a transient NameID", func(t *testing.T) {
		t.Parallel()
		a := a
		a.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
		if _, err := a.Pick(saml.Claims{}); reason(err) != saml.BadIdentifier {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing that stands there twice", func(t *testing.T) {
		t.Parallel()
		if _, err := a.Pick(saml.Claims{Email: "again"}); reason(err) != saml.RepeatedClaim {
			t.Errorf("got %v", err)
		}
	})
}

// Versions below these have known holes: CVE-2026-33487 in goxmldsig before 1.6.0, no limit during
// canonicalization before 1.6.1, unsigned assertions beside signed ones in gosaml2.
func TestTheLibrariesAreNotOlderThanTheirHoles(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for path, least := range map[string][3]int{
		"github.com/russellhaering/gosaml2":             {0, 12, 0},
		"github.com/russellhaering/goxmldsig":           {1, 6, 1},
		"github.com/mattermost/xml-roundtrip-validator": {0, 1, 0},
	} {
		_, rest, found := strings.Cut(string(mod), path+" v")
		var have [3]int
		if _, err := fmt.Sscanf(rest, "%d.%d.%d", &have[0], &have[1], &have[2]); !found || err != nil {
			t.Errorf("go.mod does not require %s: %v", path, err)
		}
		if slices.Compare(have[:], least[:]) < 0 {
			t.Errorf("%s is %v; at least %v is needed", path, have, least)
		}
	}
}

// FuzzVerify looks for a response that panics, or that is accepted with anything else than what
// was signed. FuzzParseMetadata looks for metadata that panics or is accepted unchecked.
func FuzzVerify(f *testing.F) {
	idp := fixedProvider(f)
	for _, a := range []demoidp.Answer{answer(), {ACS: acs, Audience: entityID, InResponseTo: request, NameID: "ada@acme.example", SignResponse: true}} {
		encoded, err := idp.Respond(a)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	trusted, err := saml.ParseMetadata([]byte(idp.Metadata()))
	if err != nil {
		f.Fatal(err)
	}
	sp := saml.ServiceProvider{EntityID: entityID, ACS: acs, Keys: []saml.KeyPair{siteKey()}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := sp.Verify(trusted, base64.StdEncoding.EncodeToString(raw), saml.Expected{RequestID: request}, noon)
		if err == nil && a.NameID != "ada@acme.example" {
			t.Errorf("accepted for %q", a.NameID)
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	idp, err := demoidp.New("https://login.example.com/saml2", clock)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(idp.Metadata()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := saml.ParseMetadata(raw); err == nil && p.Check() != nil {
			t.Errorf("accepted %+v", p)
		}
	})
}
