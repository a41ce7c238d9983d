package saml_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/saml"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	t.Run("accepts what identity providers send", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*demoidp.Answer){
			"the assertion signed":                func(*demoidp.Answer) {},
			"the response signed":                 func(a *demoidp.Answer) { a.SignResponse, a.UnsignedAssertion = true, true },
			"both signed":                         func(a *demoidp.Answer) { a.SignResponse = true },
			"SHA-512":                             func(a *demoidp.Answer) { a.Method = dsig.ECDSASHA512SignatureMethod },
			"a signature without KeyInfo":         func(a *demoidp.Answer) { a.NoKeyInfo = true },
			"no attributes, only a NameID":        func(a *demoidp.Answer) { a.Claims = nil },
			"an assertion encrypted with AES-CBC": func(a *demoidp.Answer) { a.EncryptFor = certificate(t, siteKey()) },
			"an assertion encrypted with AES-GCM": func(a *demoidp.Answer) { a.EncryptFor, a.EncryptGCM = certificate(t, siteKey()), true },
			"encrypted in a signed response":      func(a *demoidp.Answer) { a.EncryptFor, a.SignResponse = certificate(t, siteKey()), true },
			"encrypted unsigned in a signed response": func(a *demoidp.Answer) {
				a.EncryptFor, a.SignResponse, a.UnsignedAssertion = certificate(t, siteKey()), true, true
			},
			"no Destination": func(a *demoidp.Answer) { a.ChangeResponse = func(r *etree.Element) { r.RemoveAttr("Destination") } },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.sp.Keys = []saml.KeyPair{siteKey()}
				a := answer()
				change(&a)
				w.accepts(t, w.respond(t, a))
			})
		}
	})
	t.Run("line breaks in base64 are read", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		encoded := w.respond(t, answer())
		w.accepts(t, encoded[:76]+"\r\n"+encoded[76:])
	})
	t.Run("without a key an encrypted assertion is refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := answer()
		a.EncryptFor = certificate(t, siteKey())
		w.refuses(t, w.respond(t, a), saml.NotDecrypted)
	})
	t.Run("tells when the session ends and what was signed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := answer()
		a.ChangeAssertion = func(e *etree.Element) {
			find(t, e, "AuthnStatement").CreateAttr("SessionNotOnOrAfter", "2026-11-20T20:00:00Z")
		}
		got := w.accepts(t, w.respond(t, a))
		if want := noon.Add(8 * time.Hour); !got.SessionEnd.Equal(want) {
			t.Errorf("the session ends %v, want %v", got.SessionEnd, want)
		}
		if got.SignedElements != "assertion, ECDSA-SHA256" || got.ID == "" || got.RememberUntil.Before(noon.Add(70*time.Minute)) {
			t.Errorf("got %+v", got)
		}
	})
}

func certificate(t *testing.T, k saml.KeyPair) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fault is a response that must be refused. Library says whether gosaml2 alone, used as its
// documentation shows, accepts it: then only our wrapper is between it and an account.
type fault struct {
	name    string
	answer  func(t *testing.T, w *world, a *demoidp.Answer)
	raw     func(t *testing.T, encoded string) string // changes the response as sent
	library bool
	want    saml.Reason
}

var faults = []fault{
	{name: "for another audience", library: true, want: saml.AudienceMismatch, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.Audience = "https://other.example.com"
	}},
	{name: "without an audience", library: true, want: saml.AudienceMismatch, answer: change(func(t *testing.T, e *etree.Element) {
		c := find(t, e, "Conditions")
		c.RemoveChild(find(t, c, "AudienceRestriction"))
	})},
	{name: "for two audiences at once, of which we are one", library: true, want: saml.AudienceMismatch, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Conditions").CreateElement("AudienceRestriction").CreateElement("Audience").SetText("https://other.example.com")
	})},
	{name: "with an audience that has the same beginning", library: true, want: saml.AudienceMismatch, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.Audience = entityID + "2"
	}},
	{name: "expired", library: true, want: saml.Expired, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Conditions").CreateAttr("NotOnOrAfter", "2026-11-20T11:57:00Z")
	})},
	{name: "not yet valid", library: true, want: saml.NotYetValid, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Conditions").CreateAttr("NotBefore", "2026-11-20T12:03:01Z")
	})},
	{name: "whose confirmation expired", want: saml.Expired, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Subject/SubjectConfirmation/SubjectConfirmationData").CreateAttr("NotOnOrAfter", "2026-11-20T12:00:00Z")
	}), library: true},
	{name: "whose confirmation has a NotBefore", library: true, want: saml.NotYetValid, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Subject/SubjectConfirmation/SubjectConfirmationData").CreateAttr("NotBefore", "2026-11-20T11:00:00Z")
	})},
	{name: "for another recipient", want: saml.WrongRecipient, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Subject/SubjectConfirmation/SubjectConfirmationData").CreateAttr("Recipient", "https://people.example.com/c/other/auth/saml2/post")
	})},
	{name: "sent to another address", want: saml.WrongDestination, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeResponse = func(r *etree.Element) {
			r.CreateAttr("Destination", "https://people.example.com/c/other/auth/saml2/post")
		}
	}},
	{name: "to another request", library: true, want: saml.UnknownRequest, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.InResponseTo = "_request-2"
	}},
	{name: "to another request, its own InResponseTo changed", library: true, want: saml.UnknownRequest, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.InResponseTo = "_request-2"
		a.ChangeSignedResponse = func(r *etree.Element) { r.CreateAttr("InResponseTo", request) }
	}},
	{name: "to no request", library: true, want: saml.UnknownRequest, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.InResponseTo = ""
	}},
	{name: "from another issuer", want: saml.WrongIssuer, answer: func(_ *testing.T, w *world, _ *demoidp.Answer) {
		w.EntityID = "https://sts.windows.net/another/"
	}},
	{name: "with the signed assertion twice", library: true, want: saml.Structure, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeSignedResponse = func(r *etree.Element) { r.AddChild(r.FindElement("Assertion").Copy()) }
	}},
	{name: "with SHA-1", library: true, want: saml.WeakAlgorithm, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) {
		a.Method = dsig.ECDSASHA1SignatureMethod
	}},
	{name: "with a SHA-1 digest", want: saml.WeakAlgorithm, answer: signature(func(t *testing.T, e *etree.Element) {
		find(t, e, "SignedInfo/Reference/DigestMethod").CreateAttr("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")
	})},
	{name: "with a SHA-1 signature of a SHA-256 digest", want: saml.WeakAlgorithm, answer: signature(func(t *testing.T, e *etree.Element) {
		find(t, e, "SignedInfo/SignatureMethod").CreateAttr("Algorithm", dsig.ECDSASHA1SignatureMethod)
	})},
	{name: "whose signature has an object", library: true, want: saml.Structure, answer: signature(func(_ *testing.T, e *etree.Element) {
		e.CreateElement("ds:Object")
	})},
	{name: "with an unsigned assertion in its extensions", want: saml.Structure, answer: func(t *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeSignedResponse = func(r *etree.Element) {
			forged := find(t, r, "Assertion").Copy()
			forged.RemoveChild(find(t, forged, "Signature"))
			forged.CreateAttr("ID", "_forged")
			r.CreateElement("samlp:Extensions").AddChild(forged)
		}
	}},
	{name: "with inclusive canonicalization", want: saml.WeakAlgorithm, answer: signature(func(t *testing.T, e *etree.Element) {
		find(t, e, "SignedInfo/CanonicalizationMethod").CreateAttr("Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")
	})},
	{name: "with a third transform", want: saml.WeakAlgorithm, answer: signature(func(t *testing.T, e *etree.Element) {
		find(t, e, "SignedInfo/Reference/Transforms").CreateElement("ds:Transform").CreateAttr("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
	})},
	{name: "whose signature refers to another element", want: saml.Structure, answer: signature(func(t *testing.T, e *etree.Element) {
		find(t, e, "SignedInfo/Reference").CreateAttr("URI", "#_other")
	})},
	{name: "with a DOCTYPE", library: true, want: saml.Directive, raw: prefixed(`<!DOCTYPE x [<!ENTITY e "ada@acme.example">]>`)},
	{name: "with a processing instruction", library: true, want: saml.Directive, raw: prefixed(`<?x y?>`)},
	{name: "with Version 1.1", library: true, want: saml.WrongVersion, answer: change(func(_ *testing.T, e *etree.Element) { e.CreateAttr("Version", "1.1") })},
	{name: "changed after it was signed", want: saml.BadSignature, answer: func(t *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeSignedAssertion = func(e *etree.Element) { find(t, e, "Subject/NameID").SetText("kim@acme.example") }
	}},
	{name: "unsigned", want: saml.Unsigned, answer: func(_ *testing.T, _ *world, a *demoidp.Answer) { a.UnsignedAssertion = true }},
	{name: "with its signature stripped", want: saml.Unsigned, answer: func(t *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeSignedAssertion = func(e *etree.Element) { e.RemoveChild(find(t, e, "Signature")) }
	}},
	{name: "signed with an unknown key", want: saml.UnknownKey, answer: func(t *testing.T, w *world, _ *demoidp.Answer) {
		if err := w.ReplaceKey(); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "signed with an unknown key that it does not name", want: saml.BadSignature, answer: func(t *testing.T, w *world, a *demoidp.Answer) {
		a.NoKeyInfo = true
		if err := w.ReplaceKey(); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "signed with a certificate that has expired", want: saml.CertExpired, answer: func(t *testing.T, w *world, _ *demoidp.Answer) {
		var err error
		if w.Cert, err = demoidp.Certificate(w.Key, noon.AddDate(-3, 0, 0), noon.Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		w.idp.Certificates = []*x509.Certificate{w.Cert}
	}},
	{name: "signed with a key of 1024 bits", library: true, want: saml.WeakAlgorithm, answer: func(t *testing.T, w *world, _ *demoidp.Answer) {
		key, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			t.Fatal(err)
		}
		w.Key = key
		if w.Cert, err = demoidp.Certificate(key, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0)); err != nil {
			t.Fatal(err)
		}
		w.idp.Certificates = []*x509.Certificate{w.Cert}
	}},
	{name: "that says the identity provider failed", want: saml.ProviderRefused, answer: func(t *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeResponse = func(r *etree.Element) {
			find(t, r, "Status/StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")
		}
	}},
	{name: "without a subject", want: saml.Structure, answer: change(func(t *testing.T, e *etree.Element) { e.RemoveChild(find(t, e, "Subject")) })},
	{name: "with two subjects", library: true, want: saml.Structure, answer: change(func(t *testing.T, e *etree.Element) { e.AddChild(find(t, e, "Subject").Copy()) })},
	{name: "with two NameIDs", library: true, want: saml.Structure, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Subject").CreateElement("NameID").SetText("kim@acme.example")
	})},
	{name: "with two confirmations", library: true, want: saml.Structure, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Subject").AddChild(find(t, e, "Subject/SubjectConfirmation").Copy())
	})},
	{name: "not for its bearer", want: saml.Structure, answer: change(func(t *testing.T, e *etree.Element) {
		find(t, e, "Subject/SubjectConfirmation").CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")
	})},
	{name: "that is not base64", want: saml.Malformed, raw: func(_ *testing.T, _ string) string { return "<Response/>" }},
	{name: "that is deflated", library: true, want: saml.Malformed, raw: deflated},
	{name: "with text behind its end", library: true, want: saml.Malformed, raw: func(t *testing.T, encoded string) string { return reencode(t, encoded, "", "<x/>") }},
	{name: "with an element whose name is read differently after it is written", want: saml.Malformed, raw: replaced("<samlp:Status>", `<samlp:Extensions><x:--a xmlns:x="urn:x"/></samlp:Extensions><samlp:Status>`)},
	{name: "with text that is read differently after it is written", want: saml.Malformed, raw: replaced("ada@acme.example</", "ada@acme.example<![CDATA[]]></")},
	{name: "too large", want: saml.Malformed, raw: func(_ *testing.T, _ string) string { return strings.Repeat("A", saml.MaxResponse+4) }},
}

// change changes the assertion before it is signed.
func change(f func(*testing.T, *etree.Element)) func(*testing.T, *world, *demoidp.Answer) {
	return func(t *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeAssertion = func(e *etree.Element) { f(t, e) }
	}
}

// signature changes the signature of the assertion after it was made.
func signature(f func(*testing.T, *etree.Element)) func(*testing.T, *world, *demoidp.Answer) {
	return func(t *testing.T, _ *world, a *demoidp.Answer) {
		a.ChangeSignedAssertion = func(e *etree.Element) { f(t, find(t, e, "Signature")) }
	}
}

func prefixed(text string) func(*testing.T, string) string {
	return func(t *testing.T, encoded string) string { return reencode(t, encoded, text, "") }
}

func replaced(old, next string) func(*testing.T, string) string {
	return func(t *testing.T, encoded string) string {
		t.Helper()
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || !strings.Contains(string(raw), old) {
			t.Fatalf("there is no %s in %s, %v", old, raw, err)
		}
		return base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(raw), old, next, 1)))
	}
}

func reencode(t *testing.T, encoded, before, after string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString([]byte(before + string(raw) + after))
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run("a response "+f.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := answer()
			if f.answer != nil {
				f.answer(t, w, &a)
			}
			encoded := w.respond(t, a)
			if f.raw != nil {
				encoded = f.raw(t, encoded)
			}
			w.refuses(t, encoded, f.want)
			if got := w.libraryAccepts(encoded); got != f.library {
				t.Errorf("gosaml2 alone accepts it: %v, and this table says %v", got, f.library)
			}
		})
	}
}

// libraryAccepts says whether gosaml2 alone accepts a response.
func (w *world) libraryAccepts(encoded string) bool {
	lib := &saml2.SAMLServiceProvider{
		IdentityProviderIssuer: w.idp.EntityID, AssertionConsumerServiceURL: acs, AudienceURI: entityID,
		IDPCertificateStore: &dsig.MemoryX509CertificateStore{Roots: w.idp.Certificates}, Clock: dsig.NewFakeClockAt(noon), AllowMissingAttributes: true,
	}
	_, err := lib.RetrieveAssertionInfo(encoded)
	return err == nil
}

// The library refuses such a response too. But without the check, the part of the response that is
// read could differ from the part that was signed.
func TestXMLThatChangesWhenItIsReadAgainIsRefusedAsSuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sp.Keys = []saml.KeyPair{siteKey()}
	for name, change := range map[string]func(*demoidp.Answer){
		"signed":    func(*demoidp.Answer) {},
		"encrypted": func(a *demoidp.Answer) { a.EncryptFor = certificate(t, siteKey()) },
		"encrypted in a signed response": func(a *demoidp.Answer) {
			a.EncryptFor, a.SignResponse = certificate(t, siteKey()), true
		},
		"a signature without KeyInfo": func(a *demoidp.Answer) { a.NoKeyInfo = true },
	} {
		a := answer()
		change(&a)
		a.ChangeSignedAssertion = func(e *etree.Element) { find(t, e, "Subject/NameID").AddChild(etree.NewCData("")) }
		if got := w.refuses(t, w.respond(t, a), saml.Malformed); !strings.Contains(got.Detail, "changes when it is read again") {
			t.Errorf("%s: refused because %s", name, got.Detail)
		}
	}
}

// The eight places where a forged assertion can stand beside the signed one (Somorovsky et al.,
// "On Breaking SAML", 2012). The forged one always has an ID of its own or the original's.
func TestWrappingIsRefused(t *testing.T) {
	t.Parallel()
	forge := func(t *testing.T, signed *etree.Element) *etree.Element {
		t.Helper()
		forged := signed.Copy()
		if s := forged.FindElement("Signature"); s != nil {
			forged.RemoveChild(s)
		}
		forged.CreateAttr("ID", "_forged")
		find(t, forged, "Subject/NameID").SetText("kim@acme.example")
		return forged
	}
	for name, wrap := range map[string]func(t *testing.T, r, signed *etree.Element){
		"1 a forged response with the original in its signature's object": func(t *testing.T, r, _ *etree.Element) {
			original := r.Copy()
			r.CreateAttr("ID", "_forged")
			find(t, r, "Assertion/Subject/NameID").SetText("kim@acme.example")
			signature := find(t, r, "Signature")
			original.RemoveChild(find(t, original, "Signature"))
			object := signature.CreateElement("ds:Object")
			object.AddChild(original)
		},
		"2 a forged response before the original": func(t *testing.T, r, _ *etree.Element) {
			original := r.Copy()
			r.CreateAttr("ID", "_forged")
			find(t, r, "Assertion/Subject/NameID").SetText("kim@acme.example")
			r.AddChild(original)
		},
		"3 a forged assertion before the original": func(t *testing.T, r, signed *etree.Element) {
			r.InsertChildAt(signed.Index(), forge(t, signed))
		},
		"4 the original inside of the forged assertion": func(t *testing.T, r, signed *etree.Element) {
			forged := forge(t, signed)
			r.RemoveChild(signed)
			forged.AddChild(signed)
			r.AddChild(forged)
		},
		"5 the signature moved into the forged assertion, the original behind it": func(t *testing.T, r, signed *etree.Element) {
			forged := forge(t, signed)
			signature := find(t, signed, "Signature")
			signed.RemoveChild(signature)
			forged.InsertChildAt(1, signature)
			r.InsertChildAt(signed.Index(), forged)
		},
		"6 the signature in the forged assertion, the original in the signature": func(t *testing.T, r, signed *etree.Element) {
			forged := forge(t, signed)
			signature := find(t, signed, "Signature")
			r.RemoveChild(signed)
			signed.RemoveChild(signature)
			signature.AddChild(signed)
			forged.InsertChildAt(1, signature)
			r.AddChild(forged)
		},
		"7 the original in the response's extensions": func(t *testing.T, r, signed *etree.Element) {
			forged := forge(t, signed)
			r.RemoveChild(signed)
			r.CreateElement("samlp:Extensions").AddChild(signed)
			r.AddChild(forged)
		},
		"8 the signature in the forged assertion, the original in its object": func(t *testing.T, r, signed *etree.Element) {
			forged := forge(t, signed)
			signature := find(t, signed, "Signature")
			r.RemoveChild(signed)
			signed.RemoveChild(signature)
			signature.CreateElement("ds:Object").AddChild(signed)
			forged.InsertChildAt(1, signature)
			forged.CreateAttr("ID", signed.SelectAttrValue("ID", ""))
			r.AddChild(forged)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := answer()
			a.SignResponse = strings.HasPrefix(name, "1") || strings.HasPrefix(name, "2")
			a.ChangeSignedResponse = func(r *etree.Element) { wrap(t, r, find(t, r, "Assertion")) }
			w.refuses(t, w.respond(t, a), saml.Structure)
		})
	}
}

// A signature refers to its element by the ID. If two elements had it, the wrong one could be read.
func TestTwoElementsWithOneIDAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := answer()
	a.ChangeSignedResponse = func(r *etree.Element) { r.CreateAttr("ID", find(t, r, "Assertion").SelectAttrValue("ID", "")) }
	w.refuses(t, w.respond(t, a), saml.Structure)
}

func TestTheForgedAssertionIsFoundInAnEncryptedOneToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sp.Keys = []saml.KeyPair{siteKey()}
	a := answer()
	a.EncryptFor = certificate(t, siteKey())
	a.ChangeSignedAssertion = func(e *etree.Element) { e.CreateElement("Advice").AddChild(e.Copy()) }
	w.refuses(t, w.respond(t, a), saml.Structure)
	a.ChangeSignedAssertion = func(e *etree.Element) { find(t, e, "Subject/NameID").SetText("kim@acme.example") }
	w.refuses(t, w.respond(t, a), saml.BadSignature)
	a = answer()
	a.EncryptFor, a.Method = certificate(t, siteKey()), dsig.ECDSASHA1SignatureMethod
	w.refuses(t, w.respond(t, a), saml.WeakAlgorithm)
	a = answer()
	a.EncryptFor, a.UnsignedAssertion = certificate(t, siteKey()), true
	w.refuses(t, w.respond(t, a), saml.Unsigned)
}

// A comment splits a string into several nodes. A reader that takes the first would sign in
// ada@acme.example with an account whose name only begins so.
func TestACommentInANameIDDoesNotCutIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := answer()
	a.NameID = "ada@acme.example.evil.example"
	a.ChangeSignedAssertion = func(e *etree.Element) {
		id := find(t, e, "Subject/NameID")
		id.SetText("ada@acme.example")
		id.AddChild(etree.NewComment("x"))
		id.AddChild(etree.NewText(".evil.example"))
	}
	got, err := w.verify(w.respond(t, a))
	if err != nil || got.NameID != "ada@acme.example.evil.example" {
		t.Fatalf("got %q, %v", got.NameID, err)
	}
}

func TestClocksThatDifferByThreeMinutesAreAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	encoded := w.respond(t, answer())
	for by, ok := range map[time.Duration]bool{-3 * time.Minute: true, -3*time.Minute - time.Second: false, 69 * time.Minute: true, 70 * time.Minute: false} {
		w.now = noon.Add(by)
		if _, err := w.verify(encoded); (err == nil) != ok {
			t.Errorf("%v from noon: %v", by, err)
		}
	}
}

func TestCertificateRollover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.respond(t, answer())
	old := w.Cert
	if err := w.ReplaceKey(); err != nil {
		t.Fatal(err)
	}
	after := w.respond(t, answer())
	a := answer()
	a.NoKeyInfo = true
	unnamed := w.respond(t, a)
	w.accepts(t, before)
	w.refuses(t, after, saml.UnknownKey)
	w.idp.Certificates = []*x509.Certificate{old, w.Cert}
	for _, encoded := range []string{before, after, unnamed} {
		w.accepts(t, encoded)
	}
	w.idp.Certificates = []*x509.Certificate{w.Cert}
	w.refuses(t, before, saml.UnknownKey)
	w.accepts(t, after)
}

func TestASignInThatBeginsAtTheIdentityProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := answer()
	a.InResponseTo = ""
	encoded := w.respond(t, a)
	for _, tt := range []struct {
		name string
		want saml.Expected
		now  time.Time
		err  saml.Reason
	}{
		{"is refused", saml.Expected{}, noon, saml.Unsolicited},
		{"is accepted where the site allows it", saml.Expected{AllowUnsolicited: true}, noon.Add(5 * time.Minute), ""},
		{"is good for five minutes", saml.Expected{AllowUnsolicited: true}, noon.Add(9 * time.Minute), saml.Expired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.sp.Verify(w.idp, encoded, tt.want, tt.now)
			if got := reason(err); got != tt.err {
				t.Errorf("got %q (%v), want %q", got, err, tt.err)
			}
		})
	}
	t.Run("answers no request", func(t *testing.T) {
		t.Parallel()
		_, err := w.sp.Verify(w.idp, w.respond(t, answer()), saml.Expected{AllowUnsolicited: true}, noon)
		if reason(err) != saml.UnknownRequest {
			t.Errorf("got %v", err)
		}
	})
}

func TestAFreshSignInIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := answer()
	a.ChangeAssertion = func(e *etree.Element) {
		find(t, e, "AuthnStatement").CreateAttr("AuthnInstant", "2026-11-20T11:50:00Z")
	}
	encoded := w.respond(t, a)
	for age, want := range map[time.Duration]saml.Reason{0: "", 5 * time.Minute: saml.OldSignIn, 10 * time.Minute: ""} {
		_, err := w.sp.Verify(w.idp, encoded, saml.Expected{RequestID: request, MaxAge: age}, noon)
		if got := reason(err); got != want {
			t.Errorf("within %v: got %q (%v), want %q", age, got, err, want)
		}
	}
}

func TestTheWordsOfTheIdentityProviderAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := answer()
	a.ChangeResponse = func(r *etree.Element) {
		status := find(t, r, "Status")
		code := find(t, status, "StatusCode")
		code.CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:RequestDenied")
		status.CreateElement("samlp:StatusMessage").SetText("AADSTS50105: Ada is not assigned to a role for the application.\r\nTrace ID: 7c1e")
		r.RemoveChild(find(t, r, "Assertion"))
	}
	refused := w.refuses(t, w.respond(t, a), saml.ProviderRefused)
	want := saml.Status{Code: "RequestDenied", Message: "AADSTS50105: Ada is not assigned to a role for the application. Trace ID: 7c1e"}
	if refused.Status != want {
		t.Errorf("got %+v, want %+v", refused.Status, want)
	}
}
