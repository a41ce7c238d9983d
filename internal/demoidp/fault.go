package demoidp

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/beevik/etree"
)

// Fault is something wrong in a response. Every application must refuse a response with a fault.
// The fault "comment" is the only exception: an application may accept the response, but must read
// the whole NameID.
type Fault struct {
	Name string // the name of the fault in forms
	Text string // a description for people

	// Exactly one of these fields is set.
	changeAnswer func(*Answer)       // changes the description of the response
	clockDelay   time.Duration       // how far the provider's clock is behind the real time
	changeSigned func(string) string // changes the XML of the signed response
}

// Faults returns all faults that the provider can give to a response.
func Faults() []Fault {
	return []Fault{
		{Name: "audience", Text: "for another application (audience)", changeAnswer: func(a *Answer) { a.Audience = "https://other.example" }},
		{Name: "recipient", Text: "for another address (recipient)", changeAnswer: func(a *Answer) {
			a.ChangeAssertion = func(e *etree.Element) {
				e.FindElement("./Subject/SubjectConfirmation/SubjectConfirmationData").CreateAttr("Recipient", "https://other.example/post")
			}
		}},
		{Name: "request", Text: "for another request (InResponseTo)", changeAnswer: func(a *Answer) { a.InResponseTo = newID() }},
		{Name: "expired", Text: "expired", clockDelay: 2 * time.Hour},
		{Name: "unsigned", Text: "not signed", changeAnswer: func(a *Answer) { a.UnsignedAssertion, a.SignResponse = true, false }},
		{Name: "sha1", Text: "signed with SHA-1", changeAnswer: func(a *Answer) { a.Method = MethodSHA1 }},
		{Name: "tampered", Text: "changed after it was signed", changeAnswer: func(a *Answer) {
			a.ChangeSignedAssertion = func(e *etree.Element) { e.FindElement("./Subject/NameID").SetText("somebody-else@other.example") }
			a.UnsignedAssertion, a.SignResponse = false, false
		}},
		{Name: "two", Text: "with two assertions", changeAnswer: func(a *Answer) {
			a.ChangeResponse = func(e *etree.Element) { e.AddChild(e.FindElement("./Assertion").Copy()) }
		}},
		{Name: "comment", Text: "with a comment inside the NameID, before .other.example", changeAnswer: func(a *Answer) {
			a.ChangeAssertion = func(e *etree.Element) {
				name := e.FindElement("./Subject/NameID")
				name.AddChild(etree.NewComment(""))
				name.AddChild(etree.NewText(".other.example"))
			}
		}},
		{Name: "doctype", Text: "with a DOCTYPE", changeSigned: func(document string) string {
			return `<!DOCTYPE Response [<!ENTITY name "value">]>` + document
		}},
	}
}

// RespondWith returns a response with a fault, encoded as the form field SAMLResponse carries it.
func (p *Provider) RespondWith(f Fault, a Answer) (string, error) {
	late := *p
	late.Now = func() time.Time { return p.Now().Add(-f.clockDelay) }
	if f.changeAnswer != nil {
		f.changeAnswer(&a)
	}
	encoded, err := late.Respond(a)
	if err != nil || f.changeSigned == nil {
		return encoded, err
	}
	document, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("read the response: %w", err)
	}
	return base64.StdEncoding.EncodeToString([]byte(f.changeSigned(string(document)))), nil
}
