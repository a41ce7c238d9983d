package saml

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	rtvalidator "github.com/mattermost/xml-roundtrip-validator"
	saml2 "github.com/russellhaering/gosaml2"
	"github.com/russellhaering/gosaml2/types"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	// MaxClockSkew is the largest accepted difference between the identity provider's clock and the
	// clock of this server.
	MaxClockSkew = 3 * time.Minute
	// maxUnsolicitedAge is the largest accepted age of an assertion that answers no request.
	maxUnsolicitedAge = 5 * time.Minute
	// bearerMethod is the only accepted confirmation method of assertions. It means that the person
	// who presents the assertion is its subject.
	bearerMethod = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	// transientFormat is the format of NameIDs that change with each sign-in.
	transientFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// Expected says which request a response must answer.
type Expected struct {
	// RequestID is the id of the request with which this browser began the sign-in. It is empty if
	// the sign-in began at the identity provider.
	RequestID string
	// AllowUnsolicited says whether a response is accepted that answers no request. It matters only
	// if RequestID is empty.
	AllowUnsolicited bool
	// MaxAge is the longest accepted time since the person signed in at the identity provider; 0
	// means any time.
	MaxAge time.Duration
}

// Assertion is a verified statement of the identity provider about a person.
type Assertion struct {
	ID            string
	Issuer        string
	NameID        string
	NameIDFormat  string
	SessionIndex  string
	Attributes    []Attribute
	Issued        time.Time // when the identity provider made the assertion
	Authenticated time.Time // when the person signed in at the identity provider; zero if unknown
	SessionEnd    time.Time // when the identity provider wants the session to end; zero if it does not say
	// RememberUntil is the time until which the caller must remember that the assertion was used.
	// After that time the assertion has expired, also by the slowest accepted clock.
	RememberUntil time.Time
	// SignedElements says which elements were signed, and with which algorithm, such as "response
	// and assertion, RSA-SHA256". The page that tests a connection shows it.
	SignedElements string
	Encrypted      bool // whether the assertion was encrypted; shown on the page that tests a connection
	// ClockDrift is how far the identity provider's clock is ahead of this server's clock.
	ClockDrift time.Duration
}

// Attribute is one attribute of an assertion.
type Attribute struct {
	Name   string
	Values []string
}

// Verify checks a response and returns its assertion. encoded is the value of the form field
// SAMLResponse. If the response is not accepted, Verify returns an *Error, and an empty Assertion.
func (sp ServiceProvider) Verify(idp IdentityProvider, encoded string, want Expected, now time.Time) (Assertion, error) {
	a, err := sp.verify(idp, encoded, want, now)
	if err != nil {
		return Assertion{}, err
	}
	return a, nil
}

// verify is Verify with an error of the type *Error.
func (sp ServiceProvider) verify(idp IdentityProvider, encoded string, want Expected, now time.Time) (Assertion, *Error) {
	raw, err := decodeBase64(encoded)
	if err != nil {
		return Assertion{}, err
	}
	root, err := parseForLibrary(raw)
	if err != nil {
		return Assertion{}, err
	}
	if err := providerError(root); err != nil {
		return Assertion{}, err
	}
	in, err := inspect(root, sp.Keys)
	if err != nil {
		return Assertion{}, err
	}
	if err := checkAddresses(in, idp, sp); err != nil {
		return Assertion{}, err
	}
	if !in.signed {
		return Assertion{}, refuse(Unsigned, "neither the response nor the assertion is signed")
	}
	certs, err := usableCertificates(idp, in, now)
	if err != nil {
		return Assertion{}, err
	}
	response, err := sp.verifySignatures(idp, raw, in, certs, now)
	if err != nil {
		return Assertion{}, err
	}
	return sp.checkAssertion(idp, response, in, want, now)
}

// providerError returns the error that the identity provider reports instead of an assertion. It
// returns nil if the status of the response is success.
func providerError(root *etree.Element) *Error {
	if !hasName(root, protocolSpace, "Response") {
		return refuse(Structure, "the document is not a SAML response")
	}
	status := onlyChild(root, "Status")
	if status == nil {
		return refuse(Structure, "the response has no status")
	}
	code := onlyChild(status, "StatusCode")
	if code == nil {
		return refuse(Structure, "the response has no status code")
	}
	value := code.SelectAttrValue("Value", "")
	if value == saml2.StatusCodeSuccess {
		return nil
	}
	for inner := onlyChild(code, "StatusCode"); inner != nil; inner = onlyChild(inner, "StatusCode") {
		value = inner.SelectAttrValue("Value", "")
	}
	s := Status{Code: shorten(value[strings.LastIndexByte(value, ':')+1:], 100)}
	if message := onlyChild(status, "StatusMessage"); message != nil {
		s.Message = shorten(strings.Join(strings.Fields(message.Text()), " "), 1000)
	}
	err := refuse(ProviderRefused, "the identity provider reports %s: %s", s.Code, s.Message)
	if s.Message == "" {
		err = refuse(ProviderRefused, "the identity provider reports %s", s.Code)
	}
	err.Status = s
	return err
}

// shorten cuts a string to at most the number of bytes in most.
func shorten(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	for len(text) > most {
		text = text[:most]
		text = strings.ToValidUTF8(text, "")
	}
	return text
}

// checkAddresses checks version, issuer and destination before the signatures are verified. So the
// error for a response that belongs to another application says this, instead of complaining about
// the signature. Verify checks these values again later, on the signed elements.
func checkAddresses(in inspectedResponse, idp IdentityProvider, sp ServiceProvider) *Error {
	if v := in.response.SelectAttrValue("Version", ""); v != "2.0" {
		return refuse(WrongVersion, "the response has version %q", v)
	}
	for _, e := range []*etree.Element{in.response, in.assertion} {
		issuer := onlyChild(e, "Issuer")
		if issuer == nil {
			return refuse(WrongIssuer, "the %s has no issuer", strings.ToLower(e.Tag))
		}
		if got := issuer.Text(); got != idp.EntityID {
			return refuse(WrongIssuer, "the %s is from %q, not from %q", strings.ToLower(e.Tag), shorten(got, 200), idp.EntityID)
		}
	}
	if got := in.response.SelectAttrValue("Destination", ""); got != "" && got != sp.ACS {
		return refuse(WrongDestination, "the response was sent to %q, not to %q", shorten(got, 200), sp.ACS)
	}
	return nil
}

// usableCertificates returns the trusted certificates that are valid now and have a long enough
// key. It returns an error if there are none, or if a signature names another certificate.
func usableCertificates(idp IdentityProvider, in inspectedResponse, now time.Time) ([]*x509.Certificate, *Error) {
	if len(idp.Certificates) == 0 {
		return nil, refuse(NoCertificate, "the site trusts no certificate of the identity provider")
	}
	valid := func(c *x509.Certificate) bool { return !now.Before(c.NotBefore) && !now.After(c.NotAfter) }
	for _, s := range in.signers {
		if s.certificate == nil {
			continue
		}
		trusted := slices.IndexFunc(idp.Certificates, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, s.certificate) })
		if trusted < 0 {
			err := refuse(UnknownKey, "the response is signed with a certificate that this site does not trust (SHA-256 %s…); add the identity provider's new certificate", fingerprint(s.certificate)[:16])
			err.NewKey = true
			return nil, err
		}
		if c := idp.Certificates[trusted]; !valid(c) {
			return nil, refuse(CertExpired, "the certificate of the signature (SHA-256 %s…) is valid from %s to %s", Fingerprint(c)[:16], formatDay(c.NotBefore), formatDay(c.NotAfter))
		}
	}
	var good []*x509.Certificate
	weak := ""
	for _, c := range idp.Certificates {
		if err := checkKey(c); err != nil {
			weak = err.Error()
		} else if valid(c) {
			good = append(good, c)
		}
	}
	if len(good) == 0 && weak != "" {
		return nil, refuse(WeakAlgorithm, "%s", weak)
	}
	if len(good) == 0 {
		err := refuse(CertExpired, "no certificate of the identity provider is valid today")
		err.NewKey = true
		return nil, err
	}
	return good, nil
}

// formatDay returns a date for messages, in UTC.
func formatDay(t time.Time) string { return t.UTC().Format("2006-01-02") }

// verifySignatures lets gosaml2 verify the signatures. If each signature names its certificate,
// gosaml2 uses the named certificates. Otherwise verifySignatures tries each certificate alone,
// because gosaml2 does not choose one.
func (sp ServiceProvider) verifySignatures(idp IdentityProvider, raw []byte, in inspectedResponse, certs []*x509.Certificate, now time.Time) (*types.Response, *Error) {
	sets := [][]*x509.Certificate{certs}
	unnamed := slices.ContainsFunc(in.signers, func(s signer) bool { return s.certificate == nil })
	if unnamed {
		sets = nil
		for _, c := range certs {
			sets = append(sets, []*x509.Certificate{c})
		}
	}
	encoded := base64.StdEncoding.EncodeToString(raw)
	for _, set := range sets {
		lib := &saml2.SAMLServiceProvider{
			IdentityProviderSSOURL:      idp.SignInURL,
			IdentityProviderIssuer:      idp.EntityID,
			AssertionConsumerServiceURL: sp.ACS,
			ServiceProviderIssuer:       sp.EntityID,
			AudienceURI:                 sp.EntityID,
			AllowMissingAttributes:      true,
			IDPCertificateStore:         &dsig.MemoryX509CertificateStore{Roots: set},
			Clock:                       dsig.NewFakeClockAt(now),
			MaximumDecompressedBodySize: MaxResponse,
			MaximumXMLTokens:            3 * maxTokens,
		}
		if in.key != nil {
			lib.SPKeyStore = dsig.TLSCertKeyStore(*in.key.tlsCertificate())
		}
		response, err := lib.ValidateEncodedResponse(encoded)
		if err == nil {
			return response, nil
		}
		if wrong := convertError(err); wrong != nil {
			return nil, wrong
		}
	}
	err := refuse(BadSignature, "the signature does not fit: the response was changed, or it is signed with another key than those of this site's certificates")
	err.NewKey = unnamed
	return nil, err
}

// convertError converts the errors that gosaml2 returns for XML that changes when it is read again,
// and for a response whose signature is valid. It returns nil for all other errors.
func convertError(err error) *Error {
	if _, ok := errors.AsType[rtvalidator.XMLValidationError](err); ok {
		return unstableXMLError()
	}
	switch e := err.(type) { //nolint:errorlint // gosaml2 returns these values themselves
	case saml2.ErrInvalidValue:
		switch {
		case e.Key == saml2.RecipientAttr:
			return refuse(WrongRecipient, "the assertion was made for %q, not for %q", shorten(e.Actual, 200), e.Expected)
		case e.Reason == saml2.ReasonExpired:
			return refuse(Expired, "the assertion was good until %s", shorten(e.Actual, 40))
		case e.Key == saml2.SubjectConfirmationTag:
			return refuse(Structure, "the assertion is not for its bearer")
		case e.Key == saml2.IssuerTag:
			return refuse(WrongIssuer, "the response is from %q", shorten(e.Actual, 200))
		}
		return refuse(Structure, "the response has the %s %q", e.Key, shorten(e.Actual, 200))
	case saml2.ErrMissingElement:
		return refuse(Structure, "the response lacks %s %s", e.Tag, e.Attribute)
	case saml2.ErrParsing:
		return refuse(Malformed, "the response has an unreadable %s", e.Tag)
	}
	return nil
}

// checkAssertion does the checks that gosaml2 leaves to its callers. It reads only signed elements.
func (sp ServiceProvider) checkAssertion(idp IdentityProvider, r *types.Response, in inspectedResponse, want Expected, now time.Time) (Assertion, *Error) {
	if len(r.Assertions) != 1 {
		return Assertion{}, refuse(Structure, "the response has %d assertions", len(r.Assertions))
	}
	a := r.Assertions[0]
	if !a.SignatureValidated && !r.SignatureValidated {
		return Assertion{}, refuse(Unsigned, "the assertion is not signed")
	}
	if a.Issuer == nil || a.Issuer.Value != idp.EntityID {
		return Assertion{}, refuse(WrongIssuer, "the assertion is not from %q", idp.EntityID)
	}
	if a.Version != "2.0" {
		return Assertion{}, refuse(WrongVersion, "the assertion has version %q", a.Version)
	}
	if a.ID == "" || a.Subject == nil || a.Subject.SubjectConfirmation == nil || a.Subject.SubjectConfirmation.SubjectConfirmationData == nil {
		return Assertion{}, refuse(Structure, "the assertion is not complete")
	}
	confirmation := a.Subject.SubjectConfirmation
	data := confirmation.SubjectConfirmationData
	if confirmation.Method != bearerMethod {
		return Assertion{}, refuse(Structure, "the assertion is not for its bearer")
	}
	if data.Recipient != sp.ACS {
		return Assertion{}, refuse(WrongRecipient, "the assertion was made for %q, not for %q", shorten(data.Recipient, 200), sp.ACS)
	}
	until, err := time.Parse(time.RFC3339, data.NotOnOrAfter)
	if err != nil {
		return Assertion{}, refuse(Malformed, "the assertion does not say until when it is good")
	}
	if !now.Before(until) {
		return Assertion{}, refuse(Expired, "the assertion was good until %s, and it is %s here", formatTime(until), formatTime(now))
	}
	end, wrong := checkConditions(a.Conditions, sp.EntityID, now)
	if wrong != nil {
		return Assertion{}, wrong
	}
	if end.After(until) {
		until = end
	}
	if wrong := checkInResponseTo(data.InResponseTo, want, a.IssueInstant, now); wrong != nil {
		return Assertion{}, wrong
	}
	out := Assertion{
		ID: a.ID, Issuer: a.Issuer.Value, Issued: a.IssueInstant, RememberUntil: until.Add(MaxClockSkew),
		Encrypted: in.encrypted, ClockDrift: a.IssueInstant.Sub(now), SignedElements: signedWords(in, r, a),
	}
	if n := a.Subject.NameID; n != nil {
		out.NameID, out.NameIDFormat = n.Value, n.Format
	}
	if s := a.AuthnStatement; s != nil {
		out.SessionIndex = s.SessionIndex
		if s.AuthnInstant != nil {
			out.Authenticated = *s.AuthnInstant
		}
		if s.SessionNotOnOrAfter != nil {
			out.SessionEnd = *s.SessionNotOnOrAfter
			if !now.Before(out.SessionEnd) {
				return Assertion{}, refuse(Expired, "the identity provider's session ended %s", formatTime(out.SessionEnd))
			}
		}
	}
	if want.MaxAge > 0 && (out.Authenticated.IsZero() || now.Sub(out.Authenticated) > want.MaxAge+MaxClockSkew) {
		return Assertion{}, refuse(OldSignIn, "the person did not sign in anew at the identity provider")
	}
	if a.AttributeStatement != nil {
		for _, attr := range a.AttributeStatement.Attributes {
			one := Attribute{Name: attr.Name}
			for _, v := range attr.Values {
				one.Values = append(one.Values, v.Value)
			}
			out.Attributes = append(out.Attributes, one)
		}
	}
	return out, nil
}

// checkConditions checks the times and the audience of an assertion. It returns the time at which
// the conditions expire, or the zero time if they never expire.
func checkConditions(c *types.Conditions, entityID string, now time.Time) (time.Time, *Error) {
	if c == nil {
		return time.Time{}, refuse(AudienceMismatch, "the assertion has no conditions, so it is not limited to this site")
	}
	if c.NotBefore != "" {
		from, err := time.Parse(time.RFC3339, c.NotBefore)
		if err != nil {
			return time.Time{}, refuse(Malformed, "the assertion has an unreadable NotBefore")
		}
		if now.Add(MaxClockSkew).Before(from) {
			return time.Time{}, refuse(NotYetValid, "the assertion is good from %s, and it is %s here: the clocks differ", formatTime(from), formatTime(now))
		}
	}
	var end time.Time
	if c.NotOnOrAfter != "" {
		var err error
		if end, err = time.Parse(time.RFC3339, c.NotOnOrAfter); err != nil {
			return time.Time{}, refuse(Malformed, "the assertion has an unreadable NotOnOrAfter")
		}
		if !now.Add(-MaxClockSkew).Before(end) {
			return time.Time{}, refuse(Expired, "the assertion was good until %s, and it is %s here", formatTime(end), formatTime(now))
		}
	}
	if len(c.AudienceRestrictions) == 0 {
		return time.Time{}, refuse(AudienceMismatch, "the assertion names no audience, so it is not limited to this site")
	}
	for _, restriction := range c.AudienceRestrictions {
		if !slices.ContainsFunc(restriction.Audiences, func(a types.Audience) bool { return a.Value == entityID }) {
			return time.Time{}, refuse(AudienceMismatch, "the assertion is for %s, not for %q; enter this site's Identifier (Entity ID) at the identity provider", audienceWords(restriction), entityID)
		}
	}
	return end, nil
}

// audienceWords lists the audiences of an assertion for a message.
func audienceWords(r types.AudienceRestriction) string {
	var names []string
	for _, a := range r.Audiences {
		names = append(names, `"`+shorten(a.Value, 200)+`"`)
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, " and ")
}

// checkInResponseTo returns an error if the assertion does not answer the expected request. It
// ignores the InResponseTo of the response, because the response may be unsigned.
func checkInResponseTo(inResponseTo string, want Expected, issued, now time.Time) *Error {
	switch {
	case want.RequestID != "" && inResponseTo == want.RequestID:
		return nil
	case inResponseTo != "":
		return refuse(UnknownRequest, "the response answers a request that this browser did not send, or sent too long ago")
	case want.RequestID != "":
		return refuse(UnknownRequest, "the response does not say which request it answers")
	case !want.AllowUnsolicited:
		return refuse(Unsolicited, "the sign-in began at the identity provider, which this site does not allow")
	case now.Sub(issued) > maxUnsolicitedAge+MaxClockSkew || issued.Sub(now) > MaxClockSkew:
		return refuse(Expired, "a sign-in that begins at the identity provider is good for %d minutes", int(maxUnsolicitedAge.Minutes()))
	}
	return nil
}

// signedWords returns in words what is signed and with which algorithm, such as "assertion,
// RSA-SHA256".
func signedWords(in inspectedResponse, r *types.Response, a types.Assertion) string {
	var what []string
	if r.SignatureValidated {
		what = append(what, "response")
	}
	if a.SignatureValidated || onlyChild(in.assertion, "Signature") != nil {
		what = append(what, "assertion")
	}
	method := in.signers[0].method
	return strings.Join(what, " and ") + ", " + strings.ToUpper(method[strings.LastIndexByte(method, '#')+1:])
}

// formatTime returns a time for messages, in UTC.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
