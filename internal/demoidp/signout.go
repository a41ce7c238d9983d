package demoidp

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/beevik/etree"
)

// SignOut describes a SAML message that asks to end the sessions of a person, or that answers such
// a message.
type SignOut struct {
	Destination    string    // the address to which the message is sent
	NameID         string    // the person whose sessions end; only for a request
	SessionIndexes []string  // the sessions that end; only for a request
	InResponseTo   string    // the id of the request that the message answers; empty if the message is a request
	Failed         bool      // whether the message is an answer that reports a failure
	RelayState     string    // the sender's value, which the answer returns
	ID             string    // the id of the message; empty for a new id
	Issuer         string    // the entity id of the sender; empty for the provider's entity id
	NotOnOrAfter   time.Time // when the message expires; zero for no such time

	Unsigned      bool                 // whether to leave the signature out
	Method        string               // the signature method of a redirect; empty means SHA-256
	ChangeMessage func(*etree.Element) // changes the message before it is signed
	ChangeSigned  func(*etree.Element) // changes a posted message after it was signed
}

// fieldName returns the name of the form field or parameter that holds the message.
func (s SignOut) fieldName() string {
	if s.InResponseTo != "" {
		return "SAMLResponse"
	}
	return "SAMLRequest"
}

// signOutMessage returns the message as XML, without a signature.
func (p *Provider) signOutMessage(s SignOut) *etree.Element {
	tag := "samlp:LogoutRequest"
	if s.InResponseTo != "" {
		tag = "samlp:LogoutResponse"
	}
	e := etree.NewElement(tag)
	e.CreateAttr("xmlns:samlp", "urn:oasis:names:tc:SAML:2.0:protocol")
	if s.ID == "" {
		s.ID = newID()
	}
	for _, attr := range [][2]string{{"ID", s.ID}, {"Version", "2.0"}, {"IssueInstant", formatTime(p.Now().UTC())}, {"Destination", s.Destination}, {"InResponseTo", s.InResponseTo}} {
		if attr[1] != "" {
			e.CreateAttr(attr[0], attr[1])
		}
	}
	if !s.NotOnOrAfter.IsZero() {
		e.CreateAttr("NotOnOrAfter", formatTime(s.NotOnOrAfter.UTC()))
	}
	if s.Issuer == "" {
		s.Issuer = p.EntityID
	}
	issuer := e.CreateElement("Issuer")
	issuer.CreateAttr("xmlns", "urn:oasis:names:tc:SAML:2.0:assertion")
	issuer.SetText(s.Issuer)
	if s.InResponseTo != "" {
		status := "urn:oasis:names:tc:SAML:2.0:status:Success"
		if s.Failed {
			status = "urn:oasis:names:tc:SAML:2.0:status:Responder"
		}
		e.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", status)
	} else {
		name := e.CreateElement("NameID")
		name.CreateAttr("xmlns", "urn:oasis:names:tc:SAML:2.0:assertion")
		name.SetText(s.NameID)
		for _, index := range s.SessionIndexes {
			e.CreateElement("samlp:SessionIndex").SetText(index)
		}
	}
	if s.ChangeMessage != nil {
		s.ChangeMessage(e)
	}
	return e
}

// SignOutQuery returns a message as the query of the address to which the sender redirects the
// browser. Entra ID sends its messages in this form.
func (p *Provider) SignOutQuery(s SignOut) (string, error) {
	doc := etree.NewDocument()
	doc.SetRoot(p.signOutMessage(s))
	text, err := doc.WriteToBytes()
	if err != nil {
		return "", fmt.Errorf("write the message: %w", err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return "", fmt.Errorf("pack the message: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return "", fmt.Errorf("pack the message: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("pack the message: %w", err)
	}
	query := s.fieldName() + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if s.RelayState != "" {
		query += "&RelayState=" + url.QueryEscape(s.RelayState)
	}
	if s.Unsigned {
		return query, nil
	}
	method := s.Method
	if method == "" {
		method = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
		if _, isRSA := p.Key.(*rsa.PrivateKey); isRSA {
			method = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
		}
	}
	query += "&SigAlg=" + url.QueryEscape(method)
	sum := sha256.Sum256([]byte(query))
	signature, err := p.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("sign the message: %w", err)
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}

// SignOutForm returns a message as the form of a POST.
func (p *Provider) SignOutForm(s SignOut) (url.Values, error) {
	e := p.signOutMessage(s)
	if !s.Unsigned {
		var err error
		if e, err = p.sign(e, Answer{}); err != nil {
			return nil, err
		}
	}
	if s.ChangeSigned != nil {
		s.ChangeSigned(e)
	}
	text, err := Encode(e)
	if err != nil {
		return nil, err
	}
	form := url.Values{s.fieldName(): {text}}
	if s.RelayState != "" {
		form.Set("RelayState", s.RelayState)
	}
	return form, nil
}

// ParseSignOut reads a message from the address to which an application redirected the browser to
// end a session. It does not verify the signature.
func ParseSignOut(address string) (SignOut, error) {
	u, err := url.Parse(address)
	if err != nil {
		return SignOut{}, fmt.Errorf("read the address: %w", err)
	}
	q := u.Query()
	packed, err := base64.StdEncoding.DecodeString(q.Get("SAMLRequest"))
	if err != nil {
		return SignOut{}, fmt.Errorf("read SAMLRequest: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxRequestBytes))
	if err != nil {
		return SignOut{}, fmt.Errorf("unpack SAMLRequest: %w", err)
	}
	var sent struct {
		XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol LogoutRequest"`
		ID      string   `xml:"ID,attr"`
		NameID  string   `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
		Indexes []string `xml:"urn:oasis:names:tc:SAML:2.0:protocol SessionIndex"`
	}
	if err := xml.Unmarshal(text, &sent); err != nil {
		return SignOut{}, fmt.Errorf("read the request: %w", err)
	}
	return SignOut{ID: sent.ID, NameID: sent.NameID, SessionIndexes: sent.Indexes, RelayState: q.Get("RelayState")}, nil
}
