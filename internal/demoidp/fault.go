package demoidp

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/beevik/etree"
)

// Fault is a way in which a response is wrong. Every application must refuse such a response. The
// fault "comment" is the only exception: an application may accept the response, but must read the
// whole NameID.
type Fault struct {
	Name string // the name of the fault in forms
	Text string // a description for people

	change func(*Answer)
	behind time.Duration       // how far the provider's clock is behind
	rewrap func(string) string // changes the document after it was signed
}

// Faults lists the faults.
func Faults() []Fault {
	return []Fault{
		{Name: "audience", Text: "for another application (audience)", change: func(a *Answer) { a.Audience = "https://other.example" }},
		{Name: "recipient", Text: "for another address (recipient)", change: func(a *Answer) {
			a.Assertion = func(e *etree.Element) {
				e.FindElement("./Subject/SubjectConfirmation/SubjectConfirmationData").CreateAttr("Recipient", "https://other.example/post")
			}
		}},
		{Name: "request", Text: "for another request (InResponseTo)", change: func(a *Answer) { a.InResponseTo = newID() }},
		{Name: "expired", Text: "expired", behind: 2 * time.Hour},
		{Name: "unsigned", Text: "not signed", change: func(a *Answer) { a.LeaveAssertion, a.SignResponse = true, false }},
		{Name: "sha1", Text: "signed with SHA-1", change: func(a *Answer) { a.Method = MethodSHA1 }},
		{Name: "tampered", Text: "changed after it was signed", change: func(a *Answer) {
			a.SignedAssertion = func(e *etree.Element) { e.FindElement("./Subject/NameID").SetText("somebody-else@other.example") }
			a.LeaveAssertion, a.SignResponse = false, false
		}},
		{Name: "two", Text: "with two assertions", change: func(a *Answer) {
			a.Response = func(e *etree.Element) { e.AddChild(e.FindElement("./Assertion").Copy()) }
		}},
		{Name: "comment", Text: "with a comment inside the NameID, before .other.example", change: func(a *Answer) {
			a.Assertion = func(e *etree.Element) {
				name := e.FindElement("./Subject/NameID")
				name.AddChild(etree.NewComment(""))
				name.AddChild(etree.NewText(".other.example"))
			}
		}},
		{Name: "doctype", Text: "with a DOCTYPE", rewrap: func(document string) string {
			return `<!DOCTYPE Response [<!ENTITY name "value">]>` + document
		}},
	}
}

// RespondWith returns a response with a fault, in the form of the field SAMLResponse.
func (p *Provider) RespondWith(f Fault, a Answer) (string, error) {
	late := *p
	late.Now = func() time.Time { return p.Now().Add(-f.behind) }
	if f.change != nil {
		f.change(&a)
	}
	encoded, err := late.Respond(a)
	if err != nil || f.rewrap == nil {
		return encoded, err
	}
	document, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("read the response: %w", err)
	}
	return base64.StdEncoding.EncodeToString([]byte(f.rewrap(string(document)))), nil
}
