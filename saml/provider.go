package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"time"

	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"
)

// ServiceProvider describes a site as SAML sees it: as the service that people sign in to.
type ServiceProvider struct {
	EntityID string
	ACS      string // the assertion consumer service: the address to which responses are posted
	SignOut  string // the address that receives messages about the end of a session; empty if the site receives none
	// Keys are the site's own keys, with which it decrypts assertions. The first key also signs
	// requests. Keys may be empty. The method Metadata needs only the certificates of the keys.
	Keys         []KeyPair
	SignRequests bool // whether requests are signed
}

// IdentityProvider holds the data that a site has about its identity provider.
type IdentityProvider struct {
	EntityID     string
	SignInURL    string
	SignOutURL   string // empty if the identity provider has no single sign-out by redirect
	Certificates []*x509.Certificate
}

// KeyPair is a private key with its certificate, in DER.
type KeyPair struct {
	Key         *rsa.PrivateKey
	Certificate []byte
}

// NewKeyPair makes a key with a self-signed certificate that is valid for ten years. Identity
// providers trust the key itself, and do not check when the certificate expires.
func NewKeyPair(name string, now time.Time) (KeyPair, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return KeyPair{}, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return KeyPair{}, fmt.Errorf("make a serial number: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return KeyPair{}, fmt.Errorf("make a certificate: %w", err)
	}
	return KeyPair{Key: key, Certificate: der}, nil
}

// Encode returns the private key as PKCS #8. The caller must encrypt the key before storing it.
func (k KeyPair) Encode() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.Key) }

// DecodeKeyPair returns the KeyPair of a certificate and a private key. pkcs8 is the key as Encode
// returned it. DecodeKeyPair returns an error if the certificate does not belong to the key.
func DecodeKeyPair(pkcs8, certificate []byte) (KeyPair, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return KeyPair{}, fmt.Errorf("read a stored key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return KeyPair{}, errors.New("the stored key is not an RSA key")
	}
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return KeyPair{}, fmt.Errorf("read a stored certificate: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return KeyPair{}, errors.New("the stored certificate belongs to another key")
	}
	return KeyPair{Key: key, Certificate: certificate}, nil
}

// Metadata returns the site's metadata, which identity providers import. The metadata has no expiry
// date, because it changes only with the site's address and keys.
func (sp ServiceProvider) Metadata() ([]byte, error) {
	type keyInfo struct {
		Certificate string `xml:"X509Data>X509Certificate"`
	}
	type keyDescriptor struct {
		Use string  `xml:"use,attr"`
		Key keyInfo `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo"`
	}
	type consumer struct {
		Binding  string `xml:"Binding,attr"`
		Location string `xml:"Location,attr"`
		Index    int    `xml:"index,attr"`
		Default  bool   `xml:"isDefault,attr"`
	}
	type descriptor struct {
		RequestsSigned bool            `xml:"AuthnRequestsSigned,attr"`
		WantSigned     bool            `xml:"WantAssertionsSigned,attr"`
		Protocols      string          `xml:"protocolSupportEnumeration,attr"`
		Keys           []keyDescriptor `xml:"KeyDescriptor"`
		SignOut        []endpoint      `xml:"SingleLogoutService"`
		Consumer       consumer        `xml:"AssertionConsumerService"`
	}
	entity := struct {
		XMLName    xml.Name   `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
		EntityID   string     `xml:"entityID,attr"`
		Descriptor descriptor `xml:"SPSSODescriptor"`
	}{
		EntityID: sp.EntityID,
		Descriptor: descriptor{
			RequestsSigned: sp.SignRequests, WantSigned: true, Protocols: protocolSpace,
			Consumer: consumer{Binding: saml2.BindingHttpPost, Location: sp.ACS, Default: true},
		},
	}
	if sp.SignOut != "" {
		entity.Descriptor.SignOut = []endpoint{{saml2.BindingHttpRedirect, sp.SignOut}, {saml2.BindingHttpPost, sp.SignOut}}
	}
	for _, use := range []string{"signing", "encryption"} {
		for _, k := range sp.Keys {
			entity.Descriptor.Keys = append(entity.Descriptor.Keys, keyDescriptor{Use: use, Key: keyInfo{base64.StdEncoding.EncodeToString(k.Certificate)}})
		}
	}
	body, err := xml.MarshalIndent(entity, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}

// RequestOptions are the options of a sign-in request.
type RequestOptions struct {
	ID         string // the request's id; begins with a letter or "_"
	RelayState string
	Fresh      bool   // whether the person must sign in at the identity provider again, even if they are signed in there
	Hint       string // the user name that the identity provider's sign-in page shows; may be empty
}

// Request returns the address at the identity provider that starts a sign-in. It returns an error
// if the site signs requests but has no key.
func (sp ServiceProvider) Request(idp IdentityProvider, o RequestOptions, now time.Time) (string, error) {
	lib := &saml2.SAMLServiceProvider{
		IdentityProviderSSOURL:      idp.SignInURL,
		IdentityProviderIssuer:      idp.EntityID,
		AssertionConsumerServiceURL: sp.ACS,
		ServiceProviderIssuer:       sp.EntityID,
		ForceAuthn:                  o.Fresh,
		Clock:                       dsig.NewFakeClockAt(now),
	}
	var key *rsa.PrivateKey
	if sp.SignRequests {
		if len(sp.Keys) == 0 {
			return "", errors.New("sign the request: the site has no key")
		}
		key = sp.Keys[0].Key
	}
	doc, err := lib.BuildAuthRequestDocumentNoSig()
	if err != nil {
		return "", fmt.Errorf("make the request: %w", err)
	}
	root := doc.Root()
	root.CreateAttr("ID", o.ID)
	// With a NameIDPolicy, Entra ID sends a NameID that it generates itself. It then ignores the
	// NameID that the administrator configured there.
	if policy := onlyChild(root, "NameIDPolicy"); policy != nil {
		root.RemoveChild(policy)
	}
	address, err := redirectAddress(idp.SignInURL, "SAMLRequest", root, o.RelayState, key)
	if err != nil {
		return "", fmt.Errorf("make the request's address: %w", err)
	}
	if o.Hint != "" {
		return withLoginHint(address, o.Hint)
	}
	return address, nil
}
