package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// This file has the code for single sign-out. The site or the identity provider asks the other to
// end a session, and gets an answer. gosaml2 reads such messages only by POST, but Entra ID sends
// them only by redirect. So the code in this file reads the messages itself.
//
//	SignOutRequest   makes the address that asks the identity provider to end its session
//	SignOutResponse  makes the address that answers a request of the identity provider
//	ReadSignOut      a message of the identity provider  →  a SignOut, or an *Error with the reason

// SignOut is a verified message of an identity provider about the end of a session.
type SignOut struct {
	Request        bool   // whether the message is a request; otherwise it is the answer to a request
	ID             string // the id of the message
	NameID         string // the person's NameID; only in a request
	NameIDFormat   string
	SessionIndexes []string  // the sessions to end; only in a request; empty means all sessions of the person
	InResponseTo   string    // the id of the answered request; only in an answer
	Succeeded      bool      // whether the request succeeded; only in an answer
	RelayState     string    // the RelayState that came with the message
	RememberUntil  time.Time // until when the caller must remember that the message was used
}

// SignOutMessage is an unverified message, as it arrived by redirect or by POST.
type SignOutMessage struct {
	Query string     // the query of a redirect, not decoded, because the signature covers these bytes
	Form  url.Values // the form of a POST; nil for a redirect
}

// maxSignOutAge is the largest accepted age of a message about the end of a session.
const maxSignOutAge = 5 * time.Minute

// successStatus is the status code of an answer to a request that succeeded.
const successStatus = "urn:oasis:names:tc:SAML:2.0:status:Success"

// ReadSignOut verifies a message about the end of a session. The message must be signed, come from
// this identity provider, and be made for this address. It must not have expired, and its age must
// be at most maxSignOutAge. Otherwise ReadSignOut returns an *Error.
func (sp ServiceProvider) ReadSignOut(idp IdentityProvider, m SignOutMessage, now time.Time) (SignOut, error) {
	out, err := sp.readSignOut(idp, m, now)
	if err != nil {
		return SignOut{}, err
	}
	return out, nil
}

// readSignOut is ReadSignOut with an error of the type *Error.
func (sp ServiceProvider) readSignOut(idp IdentityProvider, m SignOutMessage, now time.Time) (SignOut, *Error) {
	var root *etree.Element
	var relay string
	var err *Error
	if m.Form != nil {
		root, relay, err = readPosted(idp, m.Form, now)
	} else {
		root, relay, err = readRedirected(idp, m.Query, now)
	}
	if err != nil {
		return SignOut{}, err
	}
	return sp.checkSignOut(idp, root, relay, now)
}

// readRedirected reads a message that came by redirect. First it verifies the signature of the
// query. It also returns the RelayState.
func readRedirected(idp IdentityProvider, query string, now time.Time) (*etree.Element, string, *Error) {
	if len(query) > MaxResponse {
		return nil, "", refuse(Malformed, "the message is larger than %d KiB", MaxResponse>>10)
	}
	raw := map[string]string{}
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if !slices.Contains([]string{"SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding"}, name) {
			continue
		}
		if _, twice := raw[name]; twice {
			return nil, "", refuse(Malformed, "the address has %s twice", name)
		}
		raw[name] = value
	}
	kind := "SAMLRequest"
	if _, answers := raw["SAMLResponse"]; answers {
		kind = "SAMLResponse"
		if _, both := raw["SAMLRequest"]; both {
			return nil, "", refuse(Malformed, "the address has a request and a response")
		}
	}
	if e, sent := raw["SAMLEncoding"]; sent && e != url.QueryEscape("urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE") {
		return nil, "", refuse(Malformed, "the message has an unknown encoding")
	}
	value := map[string]string{}
	for name, text := range raw {
		decoded, err := url.QueryUnescape(text)
		if err != nil {
			return nil, "", refuse(Malformed, "the address is not encoded correctly")
		}
		value[name] = decoded
	}
	if value[kind] == "" {
		return nil, "", refuse(Malformed, "there is no message")
	}
	if value["Signature"] == "" {
		return nil, "", refuse(Unsigned, "the message is not signed")
	}
	signed := kind + "=" + raw[kind]
	if text, sent := raw["RelayState"]; sent {
		signed += "&RelayState=" + text
	}
	signed += "&SigAlg=" + raw["SigAlg"]
	if err := verifyQuery(idp, signed, value["SigAlg"], value["Signature"], now); err != nil {
		return nil, "", err
	}
	packed, err := base64.StdEncoding.Strict().DecodeString(value[kind])
	if err != nil {
		return nil, "", refuse(Malformed, "the message is not base64")
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), MaxResponse+1))
	if err != nil || len(text) > MaxResponse {
		return nil, "", refuse(Malformed, "the message cannot be unpacked, or is larger than %d KiB", MaxResponse>>10)
	}
	root, wrong := parseDocument(text, false)
	if wrong != nil {
		return nil, "", wrong
	}
	return root, value["RelayState"], checkKind(root, kind)
}

// checkKind returns an error unless the root element is the message that belongs to the parameter:
// a request in SAMLRequest, an answer in SAMLResponse.
func checkKind(root *etree.Element, field string) *Error {
	want := "LogoutRequest"
	if field == "SAMLResponse" {
		want = "LogoutResponse"
	}
	if !hasName(root, protocolSpace, want) {
		return refuse(Structure, "the message is not a %s", want)
	}
	return nil
}

// verifyQuery verifies the signature of a redirect. It tries each trusted certificate that is valid
// now. signed is the part of the query that the signature covers.
func verifyQuery(idp IdentityProvider, signed, algorithm, signature string, now time.Time) *Error {
	if !slices.Contains(signatureMethods, algorithm) {
		return refuse(WeakAlgorithm, "the message is signed with %s; choose SHA-256 as the signing algorithm at the identity provider", shorten(algorithm, 200))
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil {
		return refuse(Malformed, "the signature is not base64")
	}
	certs, wrong := usableCertificates(idp, inspectedResponse{}, now)
	if wrong != nil {
		return wrong
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[algorithm[len(algorithm)-3:]]
	h := hash.New()
	h.Write([]byte(signed))
	sum := h.Sum(nil)
	for _, c := range certs {
		switch key := c.PublicKey.(type) {
		case *rsa.PublicKey:
			if strings.Contains(algorithm, "#rsa-") && rsa.VerifyPKCS1v15(key, hash, sum, sig) == nil {
				return nil
			}
		case *ecdsa.PublicKey:
			if strings.Contains(algorithm, "#ecdsa-") && verifyECDSA(key, sum, sig) {
				return nil
			}
		}
	}
	bad := refuse(BadSignature, "the signature does not fit: the message was changed, or it is signed with another key than those of this site's certificates")
	bad.NewKey = true
	return bad
}

// verifyECDSA verifies a signature in one of two formats. In XML signatures, the numbers R and S
// follow each other without a header. Some identity providers send ASN.1 instead.
func verifyECDSA(key *ecdsa.PublicKey, sum, sig []byte) bool {
	size := (key.Params().BitSize + 7) / 8
	if len(sig) == 2*size {
		pair := struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])}
		if der, err := asn1.Marshal(pair); err == nil && ecdsa.VerifyASN1(key, sum, der) {
			return true
		}
	}
	return ecdsa.VerifyASN1(key, sum, sig)
}

// readPosted reads a message that came by POST, and verifies the signature in the message. It
// returns the element that the signature covers, and the RelayState.
func readPosted(idp IdentityProvider, form url.Values, now time.Time) (*etree.Element, string, *Error) {
	kind := "SAMLRequest"
	if form.Has("SAMLResponse") {
		kind = "SAMLResponse"
	}
	if len(form["SAMLRequest"])+len(form["SAMLResponse"]) != 1 || len(form["RelayState"]) > 1 {
		return nil, "", refuse(Malformed, "the form does not have exactly one message")
	}
	raw, wrong := decodeBase64(form.Get(kind))
	if wrong != nil {
		return nil, "", wrong
	}
	root, wrong := parseDocument(raw, false)
	if wrong != nil {
		return nil, "", wrong
	}
	if wrong := checkKind(root, kind); wrong != nil {
		return nil, "", wrong
	}
	in := inspectedResponse{response: root}
	if wrong := refuseRepeated(root, "Issuer", "Signature", "NameID", "Status"); wrong != nil {
		return nil, "", wrong
	}
	if wrong := in.checkElements(root, map[string]bool{}); wrong != nil {
		return nil, "", wrong
	}
	if !in.signed {
		return nil, "", refuse(Unsigned, "the message is not signed")
	}
	certs, wrong := usableCertificates(idp, in, now)
	if wrong != nil {
		return nil, "", wrong
	}
	for _, c := range certs {
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
		ctx.IdAttribute = "ID"
		ctx.Clock = dsig.NewFakeClockAt(now)
		if signed, err := ctx.Validate(root); err == nil && signed.Tag == root.Tag {
			return signed, form.Get("RelayState"), nil
		}
	}
	bad := refuse(BadSignature, "the signature does not fit: the message was changed, or it is signed with another key than those of this site's certificates")
	bad.NewKey = in.signers[0].certificate == nil
	return nil, "", bad
}

// checkSignOut checks the content of a message, and converts it. The caller must have verified the
// signature.
func (sp ServiceProvider) checkSignOut(idp IdentityProvider, root *etree.Element, relay string, now time.Time) (SignOut, *Error) {
	out := SignOut{Request: root.Tag == "LogoutRequest", ID: root.SelectAttrValue("ID", ""), RelayState: relay}
	if v := root.SelectAttrValue("Version", ""); v != "2.0" {
		return out, refuse(WrongVersion, "the message has version %q", shorten(v, 20))
	}
	if out.ID == "" {
		return out, refuse(Structure, "the message has no ID")
	}
	if wrong := refuseRepeated(root, "Issuer", "NameID", "Status"); wrong != nil {
		return out, wrong
	}
	issuer := onlyChild(root, "Issuer")
	if issuer == nil || !isIssuer(idp, issuer.Text()) {
		return out, refuse(WrongIssuer, "the message is not from %q", idp.EntityID)
	}
	if got := root.SelectAttrValue("Destination", ""); got != sp.SignOut {
		return out, refuse(WrongDestination, "the message was sent to %q, not to %q", shorten(got, 200), sp.SignOut)
	}
	issued, err := time.Parse(time.RFC3339, root.SelectAttrValue("IssueInstant", ""))
	if err != nil {
		return out, refuse(Malformed, "the message does not say when it was made")
	}
	until := issued.Add(maxSignOutAge)
	if end := root.SelectAttr("NotOnOrAfter"); end != nil {
		at, err := time.Parse(time.RFC3339, end.Value)
		if err != nil {
			return out, refuse(Malformed, "the message has an unreadable NotOnOrAfter")
		}
		if at.Before(until) {
			until = at
		}
	}
	if issued.After(now.Add(MaxClockSkew)) {
		return out, refuse(NotYetValid, "the message was made at %s, and it is %s here: the clocks differ", formatTime(issued), formatTime(now))
	}
	if !now.Before(until.Add(MaxClockSkew)) {
		return out, refuse(Expired, "the message was good until %s, and it is %s here", formatTime(until), formatTime(now))
	}
	out.RememberUntil = until.Add(MaxClockSkew)
	if !out.Request {
		status := onlyChild(root, "Status")
		if status == nil || onlyChild(status, "StatusCode") == nil {
			return out, refuse(Structure, "the answer has no status")
		}
		out.InResponseTo = root.SelectAttrValue("InResponseTo", "")
		out.Succeeded = onlyChild(status, "StatusCode").SelectAttrValue("Value", "") == successStatus
		return out, nil
	}
	name := onlyChild(root, "NameID")
	if name == nil || !hasName(name, assertionSpace, "NameID") || name.Text() == "" || len(name.Text()) > maxClaimBytes {
		return out, refuse(BadIdentifier, "the message does not name a person by a NameID")
	}
	out.NameID, out.NameIDFormat = name.Text(), name.SelectAttrValue("Format", "")
	for _, child := range root.ChildElements() {
		if hasName(child, protocolSpace, "SessionIndex") {
			out.SessionIndexes = append(out.SessionIndexes, child.Text())
		}
	}
	return out, nil
}

// entraIssuer matches the entity id of Entra ID and captures the tenant.
var entraIssuer = regexp.MustCompile(`^https://sts\.windows\.net/([0-9a-fA-F-]{36})/$`)

// isIssuer reports whether the issuer of a sign-out message is the identity provider. In these
// messages, Entra ID gives itself another name than in assertions.
func isIssuer(idp IdentityProvider, issuer string) bool {
	if issuer == idp.EntityID {
		return true
	}
	m := entraIssuer.FindStringSubmatch(idp.EntityID)
	return m != nil && issuer == "https://login.microsoftonline.com/"+m[1]+"/"
}

// SignOutOptions describe a request to end a session.
type SignOutOptions struct {
	ID           string // the id of the request
	RelayState   string
	NameID       string // the NameID of the person whose session ends
	NameIDFormat string
	SessionIndex string // the index of the session
}

// ErrNoSignOutURL is the error for an identity provider that has no address for single sign-out by
// redirect.
var ErrNoSignOutURL = errors.New("the identity provider has no sign-out address")

// SignOutRequest returns the address at the identity provider that ends a session there.
func (sp ServiceProvider) SignOutRequest(idp IdentityProvider, o SignOutOptions, now time.Time) (string, error) {
	root := sp.newMessage("LogoutRequest", o.ID, idp.SignOutURL, now)
	root.CreateAttr("NotOnOrAfter", xmlTime(now.Add(maxSignOutAge)))
	name := root.CreateElement("saml:NameID")
	if o.NameIDFormat != "" {
		name.CreateAttr("Format", o.NameIDFormat)
	}
	name.SetText(o.NameID)
	if o.SessionIndex != "" {
		root.CreateElement("samlp:SessionIndex").SetText(o.SessionIndex)
	}
	return sp.signOutAddress(idp, "SAMLRequest", root, o.RelayState)
}

// SignOutResponse answers an identity provider's request with the message that the session has
// ended. It returns the address at the identity provider that delivers this answer when the browser
// opens it.
func (sp ServiceProvider) SignOutResponse(idp IdentityProvider, id string, request SignOut, now time.Time) (string, error) {
	root := sp.newMessage("LogoutResponse", id, idp.SignOutURL, now)
	root.CreateAttr("InResponseTo", request.ID)
	root.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", successStatus)
	return sp.signOutAddress(idp, "SAMLResponse", root, request.RelayState)
}

// signOutAddress returns the address that delivers a message about the end of a session. The site's
// first key signs the message.
func (sp ServiceProvider) signOutAddress(idp IdentityProvider, field string, root *etree.Element, relay string) (string, error) {
	if idp.SignOutURL == "" {
		return "", ErrNoSignOutURL
	}
	if len(sp.Keys) == 0 {
		return "", errors.New("sign the message: the site has no key")
	}
	return redirectAddress(idp.SignOutURL, field, root, relay, sp.Keys[0].Key)
}

// xmlTime returns a time as SAML messages write it.
func xmlTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// newMessage returns the root element of a message of the site.
func (sp ServiceProvider) newMessage(tag, id, destination string, now time.Time) *etree.Element {
	root := etree.NewElement("samlp:" + tag)
	root.CreateAttr("xmlns:samlp", protocolSpace)
	root.CreateAttr("xmlns:saml", assertionSpace)
	root.CreateAttr("ID", id)
	root.CreateAttr("Version", "2.0")
	root.CreateAttr("IssueInstant", xmlTime(now))
	root.CreateAttr("Destination", destination)
	root.CreateElement("saml:Issuer").SetText(sp.EntityID)
	return root
}
