package saml

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/russellhaering/gosaml2/types"
)

// Namespaces of SAML and of XML signatures.
const (
	protocolSpace  = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertionSpace = "urn:oasis:names:tc:SAML:2.0:assertion"
	metadataSpace  = "urn:oasis:names:tc:SAML:2.0:metadata"
	signatureSpace = "http://www.w3.org/2000/09/xmldsig#"
)

// Algorithms that a response may use. All other algorithms are refused. keyTransports encrypt the
// key of an encrypted assertion; contentCiphers encrypt the assertion itself.
var (
	signatureMethods = []string{
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
	}
	digestMethods = []string{
		"http://www.w3.org/2001/04/xmlenc#sha256",
		"http://www.w3.org/2001/04/xmldsig-more#sha384",
		"http://www.w3.org/2001/04/xmlenc#sha512",
	}
	transforms     = []string{envelopedSignature, exclusiveC14N}
	keyTransports  = []string{types.MethodRSAOAEP, types.MethodRSAOAEP2}
	contentCiphers = []string{types.MethodAES128GCM, types.MethodAES192GCM, types.MethodAES256GCM, types.MethodAES128CBC, types.MethodAES256CBC}
)

// The two transforms that a signature must use.
const (
	envelopedSignature = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	exclusiveC14N      = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// inspectedResponse holds the results of checking the structure of a response.
type inspectedResponse struct {
	response  *etree.Element
	assertion *etree.Element // the assertion; if it was encrypted, after decryption
	encrypted bool           // whether the assertion was encrypted
	key       *KeyPair       // the key that decrypted the assertion; nil if it was not encrypted
	signed    bool           // whether the response or the assertion contains a signature
	signers   []signer       // the signers, one for each signature
}

// signer holds the algorithm of one signature, and the certificate that the signature names.
type signer struct {
	method      string // the signature algorithm
	certificate []byte // the certificate in DER, as it was sent; nil if the signature names none
}

// inspect checks the structure of a response before any part of it is trusted. There must be one
// response with one assertion, and no other response or assertion inside these. Each signature must
// cover exactly the element that contains it. So the rest of the code cannot read a wrong element.
func inspect(root *etree.Element, keys []KeyPair) (inspectedResponse, *Error) {
	in := inspectedResponse{response: root}
	if !hasName(root, protocolSpace, "Response") {
		return in, refuse(Structure, "the document is not a SAML response")
	}
	var wrapped *etree.Element
	for _, child := range root.ChildElements() {
		switch {
		case hasName(child, assertionSpace, "Assertion"), hasName(child, assertionSpace, "EncryptedAssertion"):
			if wrapped != nil {
				return in, refuse(Structure, "the response has more than one assertion")
			}
			wrapped = child
		case hasName(child, assertionSpace, "Issuer"), hasName(child, signatureSpace, "Signature"), hasName(child, protocolSpace, "Extensions"), hasName(child, protocolSpace, "Status"):
		default:
			return in, refuse(Structure, "the response has an unexpected element %s", child.Tag)
		}
	}
	if err := refuseRepeated(root, "Issuer", "Signature", "Extensions", "Status"); err != nil {
		return in, err
	}
	if wrapped == nil {
		return in, refuse(Structure, "the response has no assertion")
	}
	in.assertion = wrapped
	ids := map[string]bool{}
	if err := in.checkElements(root, ids); err != nil {
		return in, err
	}
	if wrapped.Tag == "EncryptedAssertion" {
		in.encrypted = true
		var err *Error
		if in.assertion, in.key, err = decrypt(wrapped, keys); err != nil {
			return in, err
		}
		if err := in.checkElements(in.assertion, ids); err != nil {
			return in, err
		}
	}
	return in, inspectAssertion(in.assertion)
}

// checkElements checks a root and every element below it. Responses, assertions and signatures must
// be in their proper places, and all IDs must be unique. ids collects the IDs.
func (in *inspectedResponse) checkElements(root *etree.Element, ids map[string]bool) *Error {
	stack := []*etree.Element{root}
	for len(stack) > 0 {
		e := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], e.ChildElements()...)
		for _, a := range e.Attr {
			if a.Space != "" || !slices.Contains([]string{"ID", "Id", "id", "AssertionID"}, a.Key) {
				continue
			}
			if ids[a.Value] {
				return refuse(Structure, "two elements have the ID %q", a.Value)
			}
			ids[a.Value] = true
		}
		switch e.Tag {
		case "Response", "Assertion", "EncryptedAssertion":
			if e != in.response && e != in.assertion {
				return refuse(Structure, "an element %s stands where none may stand", e.Tag)
			}
		case "Signature":
			if err := in.checkSignature(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSignature checks one signature: it must be in the response or in the assertion, cover
// exactly that element, and use only algorithms that are still safe.
func (in *inspectedResponse) checkSignature(e *etree.Element) *Error {
	parent := e.Parent()
	if e.NamespaceURI() != signatureSpace || parent != in.response && parent != in.assertion {
		return refuse(Structure, "a signature stands where none may stand")
	}
	for _, child := range e.ChildElements() {
		if child.NamespaceURI() != signatureSpace || !slices.Contains([]string{"SignedInfo", "SignatureValue", "KeyInfo"}, child.Tag) {
			return refuse(Structure, "a signature has an unexpected element %s", child.Tag)
		}
	}
	if err := refuseRepeated(e, "SignedInfo", "SignatureValue", "KeyInfo"); err != nil {
		return err
	}
	info := onlyChild(e, "SignedInfo")
	if info == nil || onlyChild(e, "SignatureValue") == nil {
		return refuse(Structure, "a signature is not complete")
	}
	method, reference := onlyChild(info, "SignatureMethod"), onlyChild(info, "Reference")
	canonical := onlyChild(info, "CanonicalizationMethod")
	if method == nil || reference == nil || canonical == nil || len(info.ChildElements()) != 3 {
		return refuse(Structure, "a signature does not have exactly one reference")
	}
	id := parent.SelectAttrValue("ID", "")
	if id == "" || reference.SelectAttrValue("URI", "") != "#"+id {
		return refuse(Structure, "a signature does not refer to the element that it stands in")
	}
	if err := inspectAlgorithms(canonical, method, reference); err != nil {
		return err
	}
	in.signed = true
	in.signers = append(in.signers, signer{method: algorithmOf(method), certificate: certificateIn(onlyChild(e, "KeyInfo"))})
	return nil
}

// inspectAlgorithms checks the canonicalization, the signature algorithm, the transforms and the
// digest of a signature.
func inspectAlgorithms(canonical, method, reference *etree.Element) *Error {
	if a := algorithmOf(canonical); a != exclusiveC14N {
		return refuse(WeakAlgorithm, "the signature uses the canonicalization %s; only exclusive canonicalization is accepted", a)
	}
	if a := algorithmOf(method); !slices.Contains(signatureMethods, a) {
		return refuse(WeakAlgorithm, "the signature uses %s; choose SHA-256 as the signing algorithm at the identity provider", a)
	}
	digest, list := onlyChild(reference, "DigestMethod"), onlyChild(reference, "Transforms")
	if digest == nil || list == nil || onlyChild(reference, "DigestValue") == nil {
		return refuse(Structure, "a signature is not complete")
	}
	if a := algorithmOf(digest); !slices.Contains(digestMethods, a) {
		return refuse(WeakAlgorithm, "the signature uses the digest %s; choose SHA-256 as the signing algorithm at the identity provider", a)
	}
	used := map[string]bool{}
	for _, t := range list.ChildElements() {
		a := algorithmOf(t)
		if t.Tag != "Transform" || !slices.Contains(transforms, a) || used[a] {
			return refuse(WeakAlgorithm, "the signature uses the transform %s", a)
		}
		used[a] = true
	}
	if !used[envelopedSignature] || !used[exclusiveC14N] {
		return refuse(WeakAlgorithm, "the signature lacks a transform")
	}
	return nil
}

// inspectAssertion checks the version and the subject of an assertion. It also refuses an assertion
// that repeats an element which may occur only once. encoding/xml keeps the last of the repeated
// elements, but another reader of the same assertion might keep the first.
func inspectAssertion(a *etree.Element) *Error {
	if v := a.SelectAttrValue("Version", ""); v != "2.0" {
		return refuse(WrongVersion, "the assertion has version %q", v)
	}
	if err := refuseRepeated(a, "Issuer", "Signature", "Subject", "Conditions", "Advice", "AuthnStatement"); err != nil {
		return err
	}
	subject := onlyChild(a, "Subject")
	if subject == nil {
		return refuse(Structure, "the assertion has no subject")
	}
	if err := refuseRepeated(subject, "NameID", "BaseID", "EncryptedID", "SubjectConfirmation"); err != nil {
		return err
	}
	confirmation := onlyChild(subject, "SubjectConfirmation")
	if confirmation == nil {
		return refuse(Structure, "the subject has no confirmation")
	}
	if err := refuseRepeated(confirmation, "SubjectConfirmationData"); err != nil {
		return err
	}
	data := onlyChild(confirmation, "SubjectConfirmationData")
	if data == nil {
		return refuse(Structure, "the subject's confirmation has no data")
	}
	if data.SelectAttr("NotBefore") != nil {
		return refuse(NotYetValid, "the subject's confirmation has a NotBefore, which a bearer's may not have")
	}
	return nil
}

// decrypt decrypts an encrypted assertion with the first key that can decrypt it. It also returns
// that key.
func decrypt(e *etree.Element, keys []KeyPair) (*etree.Element, *KeyPair, *Error) {
	if len(keys) == 0 {
		return nil, nil, refuse(NotDecrypted, "the assertion is encrypted, and this site has no key; switch encryption off at the identity provider, or give it this site's certificate")
	}
	doc := etree.NewDocument()
	detached := e.Copy()
	for _, a := range namespacesOf(e) {
		if detached.SelectAttr(a.FullKey()) == nil {
			detached.CreateAttr(a.FullKey(), a.Value)
		}
	}
	doc.SetRoot(detached)
	bytes, err := doc.WriteToBytes()
	if err != nil {
		return nil, nil, refuse(Malformed, "the encrypted assertion cannot be read")
	}
	var ea types.EncryptedAssertion
	if err := xml.Unmarshal(bytes, &ea); err != nil {
		return nil, nil, refuse(Malformed, "the encrypted assertion cannot be read")
	}
	transport := ea.EncryptedKey
	if transport.CipherValue == "" {
		transport = ea.DetEncryptedKey
	}
	if !slices.Contains(keyTransports, transport.EncryptionMethod.Algorithm) || !slices.Contains(contentCiphers, ea.EncryptionMethod.Algorithm) {
		return nil, nil, refuse(WeakAlgorithm, "the assertion is encrypted with %s and %s; RSA-OAEP and AES are accepted", transport.EncryptionMethod.Algorithm, ea.EncryptionMethod.Algorithm)
	}
	for i := range keys {
		raw, err := ea.DecryptBytes(keys[i].tlsCertificate())
		if err != nil {
			continue
		}
		root, wrong := parseDocument(raw, false)
		if wrong != nil {
			return nil, nil, wrong
		}
		if !hasName(root, assertionSpace, "Assertion") {
			return nil, nil, refuse(Structure, "what was encrypted is not an assertion")
		}
		return root, &keys[i], nil
	}
	return nil, nil, refuse(NotDecrypted, "the assertion is encrypted for another key; give the identity provider this site's current certificate")
}

// namespacesOf returns the namespace declarations that an element inherits from its ancestors. The
// declarations of the nearest ancestor come first.
func namespacesOf(e *etree.Element) []etree.Attr {
	var all []etree.Attr
	for p := e.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			if a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns" {
				all = append(all, a)
			}
		}
	}
	return all
}

// refuseRepeated returns an error if an element has several children with one of these tags. It
// ignores namespaces.
func refuseRepeated(e *etree.Element, tags ...string) *Error {
	count := map[string]int{}
	for _, child := range e.ChildElements() {
		count[child.Tag]++
	}
	for _, tag := range tags {
		if count[tag] > 1 {
			return refuse(Structure, "an element %s has more than one %s", e.Tag, tag)
		}
	}
	return nil
}

// onlyChild returns the only child with this tag. It returns nil if there is none, or more than
// one.
func onlyChild(e *etree.Element, tag string) *etree.Element {
	var found *etree.Element
	for _, child := range e.ChildElements() {
		if child.Tag != tag {
			continue
		}
		if found != nil {
			return nil
		}
		found = child
	}
	return found
}

// hasName reports whether an element has this tag and this namespace.
func hasName(e *etree.Element, space, tag string) bool {
	return e.Tag == tag && e.NamespaceURI() == space
}

// algorithmOf returns the attribute Algorithm of an element.
func algorithmOf(e *etree.Element) string { return e.SelectAttrValue("Algorithm", "") }

// certificateIn returns the first certificate in a KeyInfo element; goxmldsig uses the first one
// too. It returns nil if there is no certificate, or if it cannot be decoded.
func certificateIn(e *etree.Element) []byte {
	if e == nil {
		return nil
	}
	for _, data := range e.ChildElements() {
		for _, c := range data.ChildElements() {
			if c.Tag != "X509Certificate" {
				continue
			}
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Text()), ""))
			if err != nil {
				return nil
			}
			return der
		}
	}
	return nil
}

// tlsCertificate returns the key pair in the form that gosaml2 needs.
func (k KeyPair) tlsCertificate() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{k.Certificate}, PrivateKey: k.Key}
}
