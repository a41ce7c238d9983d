package demoidp

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
)

// maxRequestBytes is the largest size of a decompressed request, in bytes.
const maxRequestBytes = 64 << 10

// Request is a sign-in request of an application.
type Request struct {
	ID         string
	Issuer     string // the entity id of the application
	ACS        string // the address of the assertion consumer service, which gets the response
	ForceAuthn bool   // whether the user must sign in again, even if the browser has a session
	RelayState string // the application's value, which the response returns
}

// ParseRequest reads a request from the address to which the application redirected the browser.
func ParseRequest(address string) (Request, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Request{}, fmt.Errorf("read the address: %w", err)
	}
	q := u.Query()
	packed, err := base64.StdEncoding.DecodeString(q.Get("SAMLRequest"))
	if err != nil {
		return Request{}, fmt.Errorf("read SAMLRequest: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxRequestBytes))
	if err != nil {
		return Request{}, fmt.Errorf("unpack SAMLRequest: %w", err)
	}
	var sent struct {
		XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol AuthnRequest"`
		ID      string   `xml:"ID,attr"`
		ACS     string   `xml:"AssertionConsumerServiceURL,attr"`
		Fresh   bool     `xml:"ForceAuthn,attr"`
		Issuer  string   `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	}
	if err := xml.Unmarshal(text, &sent); err != nil {
		return Request{}, fmt.Errorf("read the request: %w", err)
	}
	return Request{ID: sent.ID, Issuer: sent.Issuer, ACS: sent.ACS, ForceAuthn: sent.Fresh, RelayState: q.Get("RelayState")}, nil
}

// Answer returns a correct answer to the request, about a person with this NameID. The caller adds
// the claims.
func (r Request) Answer(nameID string) Answer {
	return Answer{ACS: r.ACS, Audience: r.Issuer, InResponseTo: r.ID, NameID: nameID}
}
