package saml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	saml2 "github.com/russellhaering/gosaml2"
)

// MaxCertificates is the largest number of certificates that an identity provider may have.
const MaxCertificates = 10

// ParseMetadata reads the metadata of an identity provider. The file may also describe other roles
// of the provider, as that of Entra ID does. ParseMetadata ignores these, and reads only the role
// for SAML sign-in (IDPSSODescriptor).
func ParseMetadata(raw []byte) (IdentityProvider, error) {
	if len(raw) > MaxMetadata {
		return IdentityProvider{}, fmt.Errorf("the metadata is larger than %d MiB", MaxMetadata>>20)
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	root, wrong := parseDocument(raw, true)
	if wrong != nil {
		return IdentityProvider{}, errors.New(wrong.Detail)
	}
	var found []entityDescriptor
	switch {
	case hasName(root, metadataSpace, "EntityDescriptor"):
		var one entityDescriptor
		if err := xml.Unmarshal(raw, &one); err != nil {
			return IdentityProvider{}, errors.New("the metadata cannot be read")
		}
		found = append(found, one)
	case hasName(root, metadataSpace, "EntitiesDescriptor"):
		var many struct {
			Entities []entityDescriptor `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
		}
		if err := xml.Unmarshal(raw, &many); err != nil {
			return IdentityProvider{}, errors.New("the metadata cannot be read")
		}
		found = many.Entities
	default:
		return IdentityProvider{}, errors.New("this is not SAML metadata: it does not begin with EntityDescriptor")
	}
	found = slices.DeleteFunc(found, func(e entityDescriptor) bool { return len(e.Descriptors) == 0 })
	if len(found) != 1 || len(found[0].Descriptors) != 1 {
		return IdentityProvider{}, fmt.Errorf("the metadata describes %d identity providers, not one", len(found))
	}
	return found[0].toProvider()
}

// entityDescriptor is the root element of metadata.
type entityDescriptor struct {
	EntityID    string          `xml:"entityID,attr"`
	Descriptors []idpDescriptor `xml:"urn:oasis:names:tc:SAML:2.0:metadata IDPSSODescriptor"`
}

// idpDescriptor is the element that describes an identity provider for SAML sign-in.
type idpDescriptor struct {
	Keys []struct {
		Use          string   `xml:"use,attr"` // "signing", "encryption", or empty for both
		Certificates []string `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo>X509Data>X509Certificate"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata KeyDescriptor"`
	SignIn  []endpoint `xml:"urn:oasis:names:tc:SAML:2.0:metadata SingleSignOnService"`
	SignOut []endpoint `xml:"urn:oasis:names:tc:SAML:2.0:metadata SingleLogoutService"`
}

// endpoint is an address of the identity provider, with the SAML binding that the address accepts.
type endpoint struct {
	Binding  string `xml:"Binding,attr"`
	Location string `xml:"Location,attr"`
}

// toProvider converts metadata. It returns an error if a certificate cannot be read, or if the
// method Check returns one.
func (e entityDescriptor) toProvider() (IdentityProvider, error) {
	d := e.Descriptors[0]
	idp := IdentityProvider{EntityID: e.EntityID, SignInURL: redirectLocation(d.SignIn), SignOutURL: redirectLocation(d.SignOut)}
	if idp.SignInURL == "" {
		return idp, errors.New("the metadata names no sign-in address for HTTP-Redirect")
	}
	for _, k := range d.Keys {
		if k.Use != "" && k.Use != "signing" {
			continue
		}
		for _, text := range k.Certificates {
			cert, err := ParseCertificate(text)
			if err != nil {
				return idp, err
			}
			idp.Certificates = AddCertificate(idp.Certificates, cert)
		}
	}
	return idp, idp.Check()
}

// redirectLocation returns the address of the first endpoint with the redirect binding, or "".
func redirectLocation(list []endpoint) string {
	for _, e := range list {
		if e.Binding == saml2.BindingHttpRedirect {
			return e.Location
		}
	}
	return ""
}

// Check returns an error if the identity provider cannot be used safely.
func (p IdentityProvider) Check() error {
	if p.EntityID == "" || len(p.EntityID) > 1024 || !utf8.ValidString(p.EntityID) || strings.ContainsAny(p.EntityID, "\x00\r\n") {
		return errors.New("the identity provider has no entity id of at most 1,024 bytes")
	}
	if err := checkAddress(p.SignInURL); err != nil {
		return fmt.Errorf("the sign-in address %w", err)
	}
	if p.SignOutURL != "" {
		if err := checkAddress(p.SignOutURL); err != nil {
			return fmt.Errorf("the sign-out address %w", err)
		}
	}
	if len(p.Certificates) == 0 {
		return errors.New("the identity provider has no signing certificate")
	}
	if len(p.Certificates) > MaxCertificates {
		return fmt.Errorf("the identity provider has more than %d certificates", MaxCertificates)
	}
	for _, c := range p.Certificates {
		if err := checkKey(c); err != nil {
			return err
		}
	}
	return nil
}

// checkAddress returns an error if an address is not an https URL. It allows http only for
// addresses of this machine, such as localhost.
func checkAddress(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > 2048 {
		return fmt.Errorf("%q is not one such as https://login.example.com/saml2", text)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fmt.Errorf("%q must begin with https://", text)
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

// checkKey returns an error if the key of a certificate is too short or of an unknown kind.
func checkKey(c *x509.Certificate) error {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Errorf("the certificate %s has an RSA key of %d bits; at least 2048 are needed", Fingerprint(c)[:8], k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if k.Params().BitSize < 256 {
			return fmt.Errorf("the certificate %s has a key of %d bits; at least 256 are needed", Fingerprint(c)[:8], k.Params().BitSize)
		}
	default:
		return fmt.Errorf("the certificate %s has neither an RSA nor an ECDSA key", Fingerprint(c)[:8])
	}
	return nil
}

// ParseCertificate reads a certificate in PEM, or in base64 without a header as in metadata. It
// returns an error if the certificate's key is too short.
func ParseCertificate(text string) (*x509.Certificate, error) {
	text = strings.TrimSpace(text)
	var der []byte
	if block, rest := pem.Decode([]byte(text)); block != nil {
		if block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, errors.New("this is not one certificate: paste one PEM block that begins with BEGIN CERTIFICATE")
		}
		der = block.Bytes
	} else {
		var err error
		if der, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
			return nil, errors.New("a certificate is neither PEM nor base64")
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("a certificate cannot be read")
	}
	return cert, checkKey(cert)
}

// AddCertificate adds a certificate to a list, unless the list contains it already.
func AddCertificate(list []*x509.Certificate, c *x509.Certificate) []*x509.Certificate {
	if slices.ContainsFunc(list, c.Equal) {
		return list
	}
	return append(list, c)
}

// Fingerprint returns the SHA-256 of a certificate in hexadecimal digits.
func Fingerprint(c *x509.Certificate) string { return fingerprint(c.Raw) }

// fingerprint returns the SHA-256 of a certificate in DER, in hexadecimal digits.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// withLoginHint adds a user name to the address of a sign-in, as the parameter login_hint. The
// identity provider's sign-in page shows it.
func withLoginHint(address, hint string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("add a hint: %w", err)
	}
	u.RawQuery += "&login_hint=" + url.QueryEscape(hint)
	return u.String(), nil
}
