// Package demoidp is an identity provider that answers sign-in requests like Entra ID. It is for
// tests and the demo, and never for real people. It signs every response that it is told to sign,
// even a response that every application must refuse.
package demoidp

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the digest of RSA-OAEP, as identity providers use it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Names of claims that Entra ID sends.
const (
	ClaimName        = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	ClaimEmail       = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	ClaimDisplayName = "http://schemas.microsoft.com/identity/claims/displayname"
	ClaimObjectID    = "http://schemas.microsoft.com/identity/claims/objectidentifier"
)

// MethodSHA1 is RSA with SHA-1, a signature method that applications no longer accept.
const MethodSHA1 = dsig.RSASHA1SignatureMethod

// Provider is an identity provider.
type Provider struct {
	EntityID  string // the name of the provider in SAML messages
	SignInURL string // the address that receives sign-in requests
	// SignOutURL is the address that receives messages about the end of a session. If it is empty,
	// the metadata has no such address.
	SignOutURL string
	Key        crypto.Signer     // the private key, which signs
	Cert       *x509.Certificate // the certificate of Key
	Now        func() time.Time  // returns the current time
}

// New makes a provider with a new key. The certificate is valid for three years, like the
// certificates of Entra ID.
func New(signInURL string, now func() time.Time) (*Provider, error) {
	p := &Provider{EntityID: "https://sts.windows.net/8f3c5f9e-6a52-4f0e-9d43-0f1d1c1f7a10/", SignInURL: signInURL, Now: now}
	return p, p.ReplaceKey()
}

// ReplaceKey gives the provider a new key and a new certificate.
func (p *Provider) ReplaceKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	p.Key = key
	p.Cert, err = Certificate(key, p.Now().AddDate(-1, 0, 0), p.Now().AddDate(2, 0, 0))
	return err
}

// Certificate makes a self-signed certificate for a key.
func Certificate(key crypto.Signer, from, to time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template := x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "Demo identity provider"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// Metadata returns the SAML metadata of the provider, as XML.
func (p *Provider) Metadata() string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="%s"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>%s<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%s"/></IDPSSODescriptor></EntityDescriptor>
`, p.EntityID, base64.StdEncoding.EncodeToString(p.Cert.Raw), p.signOutService(), p.SignInURL)
}

// signOutService returns the element of the metadata that contains SignOutURL, or "" if there is
// none.
func (p *Provider) signOutService() string {
	if p.SignOutURL == "" {
		return ""
	}
	return fmt.Sprintf(`<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%s"/>`, p.SignOutURL)
}

// Claim is one attribute of a person in a response.
type Claim struct {
	Name   string
	Values []string
}

// Answer describes the response to a sign-in request: its content, its signatures and its
// encryption. Respond makes the response.
type Answer struct {
	ACS              string    // the address of the assertion consumer service, used as recipient and destination
	Audience         string    // the entity id of the application
	InResponseTo     string    // the id of the sign-in request; empty for a response without a request
	NameID           string    // identifies the person
	NameIDFormat     string    // the format of NameID; empty means an e-mail address
	Claims           []Claim   // the attributes of the person
	SignedIn         time.Time // when the person proved who they are; zero means now
	SessionIndex     string    // the index of the session; empty for a new index
	NoAuthnStatement bool      // whether to leave out the time and the method of the person's sign-in

	SignResponse      bool              // whether to sign the response
	UnsignedAssertion bool              // whether to leave the assertion unsigned
	NoKeyInfo         bool              // whether to leave the certificate out of the signatures
	Method            string            // the signature method; empty means SHA-256
	EncryptFor        *x509.Certificate // the certificate whose key the assertion is encrypted for; nil for no encryption
	EncryptGCM        bool              // whether assertions are encrypted with AES-GCM instead of AES-CBC

	// These functions change the response, if they are not nil. ChangeAssertion and ChangeResponse
	// run before the element is signed, ChangeSignedAssertion and ChangeSignedResponse after that.
	ChangeAssertion, ChangeSignedAssertion func(*etree.Element)
	ChangeResponse, ChangeSignedResponse   func(*etree.Element)
}

// Respond returns a response, encoded as the form field SAMLResponse carries it.
func (p *Provider) Respond(a Answer) (string, error) {
	now := p.Now().UTC()
	assertion := p.newAssertion(a, now)
	if a.ChangeAssertion != nil {
		a.ChangeAssertion(assertion)
	}
	var err error
	if !a.UnsignedAssertion {
		if assertion, err = p.sign(assertion, a); err != nil {
			return "", err
		}
	}
	if a.ChangeSignedAssertion != nil {
		a.ChangeSignedAssertion(assertion)
	}
	response := etree.NewElement("samlp:Response")
	for _, attr := range [][2]string{
		{"xmlns:samlp", "urn:oasis:names:tc:SAML:2.0:protocol"},
		{"ID", newID()},
		{"Version", "2.0"},
		{"IssueInstant", formatTime(now)},
		{"Destination", a.ACS},
		{"InResponseTo", a.InResponseTo},
	} {
		if attr[1] != "" {
			response.CreateAttr(attr[0], attr[1])
		}
	}
	issuer := response.CreateElement("Issuer")
	issuer.CreateAttr("xmlns", "urn:oasis:names:tc:SAML:2.0:assertion")
	issuer.SetText(p.EntityID)
	response.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Success")
	if a.EncryptFor != nil {
		if assertion, err = encrypt(assertion, a.EncryptFor, a.EncryptGCM); err != nil {
			return "", err
		}
	}
	response.AddChild(assertion)
	if a.ChangeResponse != nil {
		a.ChangeResponse(response)
	}
	if a.SignResponse {
		if response, err = p.sign(response, a); err != nil {
			return "", err
		}
	}
	if a.ChangeSignedResponse != nil {
		a.ChangeSignedResponse(response)
	}
	return Encode(response)
}

// Encode returns a response, encoded as the form field SAMLResponse carries it.
func Encode(response *etree.Element) (string, error) {
	doc := etree.NewDocument()
	doc.SetRoot(response)
	raw, err := doc.WriteToBytes()
	if err != nil {
		return "", fmt.Errorf("write the response: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// newAssertion returns the assertion of a response, without signature or encryption.
func (p *Provider) newAssertion(a Answer, now time.Time) *etree.Element {
	e := etree.NewElement("Assertion")
	for _, attr := range [][2]string{{"xmlns", "urn:oasis:names:tc:SAML:2.0:assertion"}, {"ID", newID()}, {"IssueInstant", formatTime(now)}, {"Version", "2.0"}} {
		e.CreateAttr(attr[0], attr[1])
	}
	e.CreateElement("Issuer").SetText(p.EntityID)
	subject := e.CreateElement("Subject")
	if a.NameID != "" {
		nameID := subject.CreateElement("NameID")
		format := a.NameIDFormat
		if format == "" {
			format = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
		}
		nameID.CreateAttr("Format", format)
		nameID.SetText(a.NameID)
	}
	confirmation := subject.CreateElement("SubjectConfirmation")
	confirmation.CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")
	data := confirmation.CreateElement("SubjectConfirmationData")
	if a.InResponseTo != "" {
		data.CreateAttr("InResponseTo", a.InResponseTo)
	}
	data.CreateAttr("NotOnOrAfter", formatTime(now.Add(70*time.Minute)))
	data.CreateAttr("Recipient", a.ACS)
	conditions := e.CreateElement("Conditions")
	conditions.CreateAttr("NotBefore", formatTime(now))
	conditions.CreateAttr("NotOnOrAfter", formatTime(now.Add(70*time.Minute)))
	conditions.CreateElement("AudienceRestriction").CreateElement("Audience").SetText(a.Audience)
	if len(a.Claims) > 0 {
		statement := e.CreateElement("AttributeStatement")
		for _, c := range a.Claims {
			attr := statement.CreateElement("Attribute")
			attr.CreateAttr("Name", c.Name)
			for _, v := range c.Values {
				attr.CreateElement("AttributeValue").SetText(v)
			}
		}
	}
	if a.NoAuthnStatement {
		return e
	}
	authn := e.CreateElement("AuthnStatement")
	if a.SignedIn.IsZero() {
		a.SignedIn = now
	}
	authn.CreateAttr("AuthnInstant", formatTime(a.SignedIn.UTC()))
	if a.SessionIndex == "" {
		a.SessionIndex = newID()
	}
	authn.CreateAttr("SessionIndex", a.SessionIndex)
	authn.CreateElement("AuthnContext").CreateElement("AuthnContextClassRef").SetText("urn:oasis:names:tc:SAML:2.0:ac:classes:Password")
	return e
}

// sign returns a copy of the element that contains a signature. It uses only the fields Method and
// NoKeyInfo of a.
func (p *Provider) sign(e *etree.Element, a Answer) (*etree.Element, error) {
	ctx, err := dsig.NewSigningContext(p.Key, [][]byte{p.Cert.Raw})
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if a.Method != "" {
		if err := ctx.SetSignatureMethod(a.Method); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
	}
	signature, err := ctx.ConstructSignature(e, true)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if a.NoKeyInfo {
		signature.RemoveChild(signature.SelectElement("KeyInfo"))
	}
	signed := e.Copy()
	signed.InsertChildAt(1, signature) // the signature comes right after the issuer
	return signed, nil
}

// encrypt encrypts an assertion with AES and RSA-OAEP.
func encrypt(e *etree.Element, cert *x509.Certificate, gcm bool) (*etree.Element, error) {
	doc := etree.NewDocument()
	doc.SetRoot(e)
	plain, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("write the assertion: %w", err)
	}
	key := make([]byte, 16)
	rand.Read(key) // rand.Read never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	method := "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
	var sealed []byte
	if gcm {
		method = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
		mode, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("encrypt: %w", err)
		}
		nonce := make([]byte, mode.NonceSize())
		rand.Read(nonce)
		sealed = mode.Seal(nonce, nonce, plain, nil)
	} else {
		pad := aes.BlockSize - len(plain)%aes.BlockSize
		for i := range pad {
			b := byte(1)
			if i == pad-1 {
				b = byte(pad)
			}
			plain = append(plain, b)
		}
		sealed = make([]byte, aes.BlockSize+len(plain))
		rand.Read(sealed[:aes.BlockSize])
		cipher.NewCBCEncrypter(block, sealed[:aes.BlockSize]).CryptBlocks(sealed[aes.BlockSize:], plain)
	}
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("encrypt: the certificate has no RSA key")
	}
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, key, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	out := etree.NewDocument()
	err = out.ReadFromString(fmt.Sprintf(`<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="%s"/><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"/><xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></EncryptedAssertion>`,
		method, base64.StdEncoding.EncodeToString(wrapped), base64.StdEncoding.EncodeToString(sealed)))
	if err != nil {
		return nil, fmt.Errorf("write the encrypted assertion: %w", err)
	}
	return out.Root(), nil
}

// newID returns a random id for an XML element. The id begins with "_", because it must not begin
// with a digit.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return "_" + hex.EncodeToString(b[:])
}

// formatTime returns a time in the form that SAML uses.
func formatTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }
