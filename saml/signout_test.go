package saml_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/saml"
)

const signOutURL = "https://people.example.com/c/acme/auth/saml2/sign-out"

func newSignOutWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.sp.SignOut, w.sp.Keys = signOutURL, []saml.KeyPair{siteKey()}
	w.idp.SignOutURL = "https://login.example.com/saml2/logout"
	return w
}

func endOf(name string) demoidp.SignOut {
	return demoidp.SignOut{Destination: signOutURL, NameID: name}
}

// messages returns the message by redirect and by POST.
func (w *world) messages(t *testing.T, s demoidp.SignOut) map[string]saml.SignOutMessage {
	t.Helper()
	query, err := w.SignOutQuery(s)
	if err != nil {
		t.Fatal(err)
	}
	form, err := w.SignOutForm(s)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]saml.SignOutMessage{"redirect": {Query: query}, "POST": {Form: form}}
}

func (w *world) refusesSignOut(t *testing.T, name string, m saml.SignOutMessage, want ...saml.Reason) {
	t.Helper()
	got, err := w.sp.ReadSignOut(w.idp, m, w.now)
	var refused *saml.Error
	if !errors.As(err, &refused) || !slices.Contains(want, refused.Reason) || refused.Detail == "" || got.NameID != "" {
		t.Errorf("%s: got %+v, %v; want a refusal, %s", name, got, err, want)
	}
}

func TestReadSignOut(t *testing.T) {
	t.Parallel()
	w := newSignOutWorld(t)
	s := endOf("ada")
	s.SessionIndexes, s.RelayState, s.NotOnOrAfter = []string{"one", "two"}, "relay/ +", noon.Add(time.Minute)
	for name, m := range w.messages(t, s) {
		got, err := w.sp.ReadSignOut(w.idp, m, noon)
		if err != nil || !got.Request || got.NameID != "ada" || !slices.Equal(got.SessionIndexes, s.SessionIndexes) || got.RelayState != s.RelayState || got.ID == "" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for failed, want := range map[bool]bool{false: true, true: false} {
		for name, m := range w.messages(t, demoidp.SignOut{Destination: signOutURL, InResponseTo: request, Failed: failed}) {
			got, err := w.sp.ReadSignOut(w.idp, m, noon)
			if err != nil || got.Request || got.InResponseTo != request || got.Succeeded != want {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		}
	}
	// Entra ID calls itself by another name in these messages; only for its own tenant.
	for issuer, want := range map[string]bool{
		"https://login.microsoftonline.com/8f3c5f9e-6a52-4f0e-9d43-0f1d1c1f7a10/": true,
		"https://login.microsoftonline.com/8f3c5f9e-6a52-4f0e-9d43-0f1d1c1f7a11/": false,
	} {
		s := endOf("ada")
		s.Issuer = issuer
		for name, m := range w.messages(t, s) {
			if _, err := w.sp.ReadSignOut(w.idp, m, noon); (err == nil) != want {
				t.Errorf("%s by %s: got %v", name, issuer, err)
			}
		}
	}
	// RSA keys sign redirects as well.
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w.Key = key
	if w.Cert, err = demoidp.Certificate(key, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	w.idp.Certificates = append(w.idp.Certificates, w.Cert)
	for name, m := range w.messages(t, endOf("ada")) {
		if got, err := w.sp.ReadSignOut(w.idp, m, noon); err != nil || got.NameID != "ada" {
			t.Errorf("%s by RSA: %+v, %v", name, got, err)
		}
	}
}

func TestReadSignOutRefuses(t *testing.T) {
	t.Parallel()
	w := newSignOutWorld(t)
	for name, test := range map[string]struct {
		change func(*demoidp.SignOut)
		want   saml.Reason
	}{
		"unsigned":        {func(s *demoidp.SignOut) { s.Unsigned = true }, saml.Unsigned},
		"another address": {func(s *demoidp.SignOut) { s.Destination = strings.Replace(signOutURL, "acme", "other", 1) }, saml.WrongDestination},
		"no address":      {func(s *demoidp.SignOut) { s.Destination = "" }, saml.WrongDestination},
		"another issuer":  {func(s *demoidp.SignOut) { s.Issuer = "https://evil.example/" }, saml.WrongIssuer},
		"expired":         {func(s *demoidp.SignOut) { s.NotOnOrAfter = noon.Add(-saml.MaxClockSkew) }, saml.Expired},
		"old":             {func(s *demoidp.SignOut) { s.ChangeMessage = issuedAt(noon.Add(-9 * time.Minute)) }, saml.Expired},
		"of the future":   {func(s *demoidp.SignOut) { s.ChangeMessage = issuedAt(noon.Add(4 * time.Minute)) }, saml.NotYetValid},
		"without a time":  {func(s *demoidp.SignOut) { s.ChangeMessage = func(e *etree.Element) { e.RemoveAttr("IssueInstant") } }, saml.Malformed},
		"of SAML 1.1":     {func(s *demoidp.SignOut) { s.ChangeMessage = func(e *etree.Element) { e.CreateAttr("Version", "1.1") } }, saml.WrongVersion},
		"about no one":    {func(s *demoidp.SignOut) { s.NameID = "" }, saml.BadIdentifier},
		"about two people": {func(s *demoidp.SignOut) {
			s.ChangeMessage = func(e *etree.Element) { e.AddChild(find(t, e, "NameID").Copy()) }
		}, saml.Structure},
		"another message":   {func(s *demoidp.SignOut) { s.ChangeMessage = func(e *etree.Element) { e.Tag = "Response" } }, saml.Structure},
		"a name too long":   {func(s *demoidp.SignOut) { s.NameID = strings.Repeat("a", 300) }, saml.BadIdentifier},
		"an empty identity": {func(s *demoidp.SignOut) { s.ChangeMessage = func(e *etree.Element) { e.RemoveAttr("ID") } }, saml.Structure},
	} {
		s := endOf("ada")
		test.change(&s)
		if name == "an empty identity" { // cannot be signed in the message
			query, err := w.SignOutQuery(s)
			if err != nil {
				t.Fatal(err)
			}
			w.refusesSignOut(t, name, saml.SignOutMessage{Query: query}, test.want)
			continue
		}
		for binding, m := range w.messages(t, s) {
			w.refusesSignOut(t, name+" by "+binding, m, test.want)
		}
	}

	// A stranger's key.
	stranger := newSignOutWorld(t)
	for binding, m := range stranger.messages(t, endOf("ada")) {
		w.refusesSignOut(t, "a stranger's by "+binding, m, saml.UnknownKey, saml.BadSignature)
	}

	query := w.messages(t, endOf("ada"))["redirect"].Query
	other := w.messages(t, endOf("kim"))["redirect"].Query
	part := func(q, name string) string {
		for _, p := range strings.Split(q, "&") {
			if strings.HasPrefix(p, name+"=") {
				return p
			}
		}
		t.Fatal(name)
		return ""
	}
	for name, test := range map[string]struct {
		query string
		want  saml.Reason
	}{
		"the signature of another message": {strings.Replace(query, part(query, "Signature"), part(other, "Signature"), 1), saml.BadSignature},
		"a relay state that is not signed": {"RelayState=x&" + query, saml.BadSignature},
		"two messages":                     {part(other, "SAMLRequest") + "&" + query, saml.Malformed},
		"two signatures":                   {query + "&" + part(other, "Signature"), saml.Malformed},
		"a request and a response":         {query + "&SAMLResponse=x", saml.Malformed},
		"SHA-1":                            {strings.Replace(query, part(query, "SigAlg"), "SigAlg="+url.QueryEscape("http://www.w3.org/2000/09/xmldsig#rsa-sha1"), 1), saml.WeakAlgorithm},
		"HMAC":                             {strings.Replace(query, part(query, "SigAlg"), "SigAlg="+url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"), 1), saml.WeakAlgorithm},
		"RSA with an ECDSA key":            {strings.Replace(query, part(query, "SigAlg"), "SigAlg="+url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"), 1), saml.BadSignature},
		"no algorithm":                     {strings.Replace(query, "&"+part(query, "SigAlg"), "", 1), saml.WeakAlgorithm},
		"another encoding":                 {query + "&SAMLEncoding=x", saml.Malformed},
		"nothing":                          {"", saml.Malformed},
	} {
		w.refusesSignOut(t, name, saml.SignOutMessage{Query: test.query}, test.want)
	}

	// Posted messages are read as responses are: nothing can be hidden beside what is signed.
	form := func(change func(*etree.Element)) saml.SignOutMessage {
		s := endOf("ada")
		s.ChangeSigned = change
		return w.messages(t, s)["POST"]
	}
	w.refusesSignOut(t, "changed after it was signed", form(func(e *etree.Element) { find(t, e, "NameID").SetText("kim") }), saml.BadSignature)
	w.refusesSignOut(t, "stripped", form(func(e *etree.Element) { e.RemoveChild(find(t, e, "./Signature")) }), saml.Unsigned)
	w.refusesSignOut(t, "wrapped", form(func(e *etree.Element) {
		signed := e.Copy()
		e.RemoveChild(find(t, e, "./Signature"))
		e.CreateAttr("ID", "_other")
		find(t, e, "NameID").SetText("kim")
		e.CreateElement("samlp:Extensions").AddChild(signed)
	}), saml.Structure)
	w.refusesSignOut(t, "a signature of another element", form(func(e *etree.Element) { find(t, e, ".//Reference").CreateAttr("URI", "") }), saml.Structure)
	good := form(nil).Form
	two := url.Values{"SAMLRequest": append(good["SAMLRequest"], good["SAMLRequest"]...)}
	w.refusesSignOut(t, "two messages", saml.SignOutMessage{Form: two}, saml.Malformed)
	raw, err := base64.StdEncoding.DecodeString(good.Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	doctype := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(append([]byte("<!DOCTYPE x>"), raw...))}}
	w.refusesSignOut(t, "a DOCTYPE", saml.SignOutMessage{Form: doctype}, saml.Directive)
	// A bomb of a redirect is not unpacked. It is signed, so that it gets that far.
	bomb := endOf("ada")
	bomb.ChangeMessage = func(e *etree.Element) {
		e.CreateElement("samlp:Extensions").SetText(strings.Repeat("a", saml.MaxResponse))
	}
	w.refusesSignOut(t, "a bomb", w.messages(t, bomb)["redirect"], saml.Malformed)

	// A certificate that is not valid today verifies nothing.
	w.now = noon.AddDate(3, 0, 0)
	for binding, m := range w.messages(t, endOf("ada")) {
		w.refusesSignOut(t, "an expired certificate by "+binding, m, saml.CertExpired)
	}
}

func issuedAt(at time.Time) func(*etree.Element) {
	return func(e *etree.Element) { e.CreateAttr("IssueInstant", at.UTC().Format(time.RFC3339)) }
}

func TestSignOutMessagesOfASiteAreSigned(t *testing.T) {
	t.Parallel()
	w := newSignOutWorld(t)
	ask, err := w.sp.SignOutRequest(w.idp, saml.SignOutOptions{ID: "_1", RelayState: "relay", NameID: "ada", NameIDFormat: "urn:f", SessionIndex: "s"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.sp.SignOutResponse(w.idp, "_2", saml.SignOut{ID: "_theirs", RelayState: "their relay"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	// The identity provider reads them as the site reads those of the identity provider.
	cert, err := saml.ParseCertificate(base64.StdEncoding.EncodeToString(siteKey().Certificate))
	if err != nil {
		t.Fatal(err)
	}
	them := saml.ServiceProvider{SignOut: w.idp.SignOutURL}
	us := saml.IdentityProvider{EntityID: entityID}
	us.Certificates = append(us.Certificates, cert)
	read := func(address string) saml.SignOut {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := them.ReadSignOut(us, saml.SignOutMessage{Query: u.RawQuery}, noon)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(ask); !got.Request || got.NameID != "ada" || got.NameIDFormat != "urn:f" || !slices.Equal(got.SessionIndexes, []string{"s"}) || got.RelayState != "relay" {
		t.Errorf("the request is %+v", got)
	}
	if got := read(answer); got.Request || got.InResponseTo != "_theirs" || !got.Succeeded || got.RelayState != "their relay" {
		t.Errorf("the answer is %+v", got)
	}
	w.idp.SignOutURL = ""
	if _, err := w.sp.SignOutRequest(w.idp, saml.SignOutOptions{ID: "_1", NameID: "ada"}, noon); !errors.Is(err, saml.ErrNoSignOutURL) {
		t.Errorf("without an address: %v", err)
	}
}

// FuzzReadSignOut changes a signed message in every way. Whatever is accepted is what was signed.
func FuzzReadSignOut(f *testing.F) {
	idp := fixedProvider(f)
	s := endOf("ada")
	query, err := idp.SignOutQuery(s)
	if err != nil {
		f.Fatal(err)
	}
	form, err := idp.SignOutForm(s)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(form.Get("SAMLRequest"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query, raw)
	trusted, err := saml.ParseMetadata([]byte(idp.Metadata()))
	if err != nil {
		f.Fatal(err)
	}
	sp := saml.ServiceProvider{EntityID: entityID, ACS: acs, SignOut: signOutURL}
	f.Fuzz(func(t *testing.T, query string, raw []byte) {
		for _, m := range []saml.SignOutMessage{{Query: query}, {Form: url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(raw)}}}} {
			if got, err := sp.ReadSignOut(trusted, m, noon); err == nil && (got.NameID != "ada" || len(got.SessionIndexes) > 0) {
				t.Errorf("accepted %+v", got)
			}
		}
	})
}
