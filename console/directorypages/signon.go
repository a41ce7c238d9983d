package directorypages

import (
	"net/http"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/demosignin"
)

// signOnPage is the data of the view "single-sign-on". It shows the settings with which people of
// the directory sign in to an application. It follows the order and the words of Entra ID.
type signOnPage struct {
	console.Page
	HasNoProvider bool // whether the directory has no identity provider; then the page says what to do instead

	// Part 1 of the page, "Basic SAML Configuration":
	Inputs           []signOnInput
	StartValues      []console.HiddenField
	SaveURL          string // address to which the form with the inputs is sent
	HasUnsavedValues bool
	Error            string
	// Part 2, "Attributes & Claims":
	NameIDSource string
	Claims       []demosignin.ClaimRule
	// Part 3, "SAML Certificates":
	Certificates       []signOnCertificate
	ChangeURL          string // address that adds a certificate or makes one active
	CertificateURL     string
	MetadataURL        string
	Metadata           console.CopyValue
	SigningOptions     []console.Option
	SigningAlgorithms  []console.Option
	SigningStartValues []console.HiddenField
	SaveSigningURL     string // address to which the form with the signing option and the algorithm is sent
	// Part 4, "Set up":
	AppName        string
	SetUpValues    []console.CopyValue
	AssignmentsURL string // address of the page "Users and groups"
}

// signOnInput is an input of the form for single sign-on.
type signOnInput struct {
	Name, Label, Value, Hint string
	Error                    *console.FieldError
}

// signOnCertificate shows a certificate with which Rollcall signs SAML responses.
type signOnCertificate struct {
	Thumbprint string
	ValidUntil time.Time
	IsActive   bool
	State      console.Badge
}

// signOnFields returns the fields of the application's addresses.
func signOnFields() []console.EditField {
	return []console.EditField{{Name: "identifier", Label: "Identifier (Entity ID)"}, {Name: "replyURL", Label: "Reply URL (Assertion Consumer Service URL)"}}
}

// signingFields returns the fields that say how responses are signed.
func signingFields() []console.EditField {
	return []console.EditField{{Name: "option", Label: "Signing Option"}, {Name: "algorithm", Label: "Signing Algorithm"}}
}

func signOnValues(s demosignin.Settings) map[string]string {
	return map[string]string{"identifier": s.Identifier, "replyURL": s.ReplyURL, "option": s.Option, "algorithm": s.Algorithm}
}

func (p *Pages) showSignOn(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.renderSignOn(w, r, v, http.StatusOK, nil, nil)
}

// renderSignOn shows the page. values are the typed values of part 1. If values is nil, the page
// shows the stored values.
func (p *Pages) renderSignOn(w http.ResponseWriter, r *http.Request, v *appVisit, status int, values map[string]string, wrong *console.FieldError) error {
	pg := signOnPage{Page: v.page, AppName: v.App.Name, HasNoProvider: p.SignOn == nil}
	pg.Title = "Single sign-on"
	pg.Crumbs = v.crumbs(console.Crumb{})
	if pg.HasNoProvider {
		return p.show(w, r, status, "single-sign-on", pg)
	}
	c, err := p.SignOn.Connection(v.Directory.ID, v.App.ID)
	if err != nil {
		return err
	}
	pg.Lead = "SAML-based sign-on: people of " + v.Directory.Name + " sign in to " + v.App.Name + " with their account in this directory."
	pg.Badge = &console.Badge{Tone: console.ToneQuiet, Text: "Not set up"}
	if c.Identifier != "" {
		pg.Badge = &console.Badge{Tone: console.ToneGood, Text: "SAML"}
	}
	stored := signOnValues(c.Settings)
	pg.StartValues, pg.SigningStartValues = console.StartValueFields(signOnFields(), stored), console.StartValueFields(signingFields(), stored)
	if values == nil {
		values = stored
	} else {
		pg.StartValues, pg.HasUnsavedValues = console.RepeatStartValueFields(r.PostForm, signOnFields()), true
	}
	hints := map[string]string{
		"identifier": "The name by which the application is known here. The application shows it.",
		"replyURL":   "Where the response is sent. The application shows it.",
	}
	placed := wrong == nil
	for _, f := range signOnFields() {
		in := signOnInput{Name: f.Name, Label: f.Label, Value: values[f.Name], Hint: hints[f.Name]}
		if wrong != nil && wrong.For == f.Name {
			in.Error, placed = wrong, true
		}
		pg.Inputs = append(pg.Inputs, in)
	}
	if !placed {
		pg.Error = wrong.Text
	}
	at := v.url("/single-sign-on")
	pg.SaveURL, pg.SaveSigningURL, pg.ChangeURL = at, at+"/signing", at+"/certificates"
	pg.CertificateURL, pg.MetadataURL = at+"/certificate", at+"/metadata"
	pg.NameIDSource, pg.Claims = demosignin.NameIDSource, demosignin.ClaimRules()
	for _, cert := range c.Certificates {
		row := signOnCertificate{Thumbprint: cert.Thumbprint(), ValidUntil: cert.NotAfter, IsActive: cert.Active, State: console.Badge{Tone: console.ToneQuiet, Text: "Inactive"}}
		if cert.Active {
			row.State = console.Badge{Tone: console.ToneGood, Text: "Active"}
		}
		pg.Certificates = append(pg.Certificates, row)
	}
	pg.Metadata = console.CopyValue{ID: "metadata-url", Label: "App Federation Metadata Url", Value: c.MetadataURL}
	pg.SigningOptions, pg.SigningAlgorithms = newOptions(c.Option, demosignin.SigningOptions), newOptions(c.Algorithm, demosignin.SigningAlgorithms)
	pg.SetUpValues = []console.CopyValue{
		{ID: "login-url", Label: "Login URL", Value: c.LoginURL},
		{ID: "idp-identifier", Label: "Microsoft Entra Identifier", Value: c.Issuer},
		{ID: "access-url", Label: "User access URL", Value: c.AccessURL, Hint: "Opens a sign-in that begins here, as a portal does. The application must allow it."},
	}
	pg.AssignmentsURL = v.url("/users-and-groups")
	return p.show(w, r, status, "single-sign-on", pg)
}

func newOptions(chosen string, all []string) []console.Option {
	list := make([]console.Option, 0, len(all))
	for _, text := range all {
		list = append(list, console.Option{Value: text, Text: text})
	}
	return console.SelectOption(chosen, list)
}

func (p *Pages) saveSignOn(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.updateSignOn(w, r, v, signOnFields(), "The SAML configuration was saved.", func(s *demosignin.Settings, values map[string]string) {
		s.Identifier, s.ReplyURL = values["identifier"], values["replyURL"]
	})
}

func (p *Pages) saveSigning(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.updateSignOn(w, r, v, signingFields(), "The signing was saved.", func(s *demosignin.Settings, values map[string]string) {
		s.Option, s.Algorithm = values["option"], values["algorithm"]
	})
}

// updateSignOn saves the fields of a form. set copies the values of the fields to the settings.
func (p *Pages) updateSignOn(w http.ResponseWriter, r *http.Request, v *appVisit, fields []console.EditField, done string, set func(*demosignin.Settings, map[string]string)) error {
	if p.SignOn == nil {
		return console.ErrNotFound
	}
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	var m console.MergedEdit
	err := p.SignOn.Update(v.Directory.ID, v.App.ID, func(s *demosignin.Settings) (err error) {
		if m, err = console.MergeEdit(r.PostForm, fields, signOnValues(*s)); err != nil || len(m.Conflicts) > 0 {
			return err
		}
		set(s, m.Values)
		return nil
	})
	at := v.url("/single-sign-on")
	if len(m.Conflicts) > 0 {
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Single sign-on", URL: at})
		return p.Console.AskAboutConflicts(w, r, frame, m, r.URL.Path, at, nil)
	}
	if wrong := console.AttributeError(err); wrong != nil {
		values := m.Values
		if _, ok := values["identifier"]; !ok {
			values = nil // the request sent the form of part 3, which has no identifier
		}
		return p.renderSignOn(w, r, v, http.StatusUnprocessableEntity, values, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, at, console.DoneNotice(done))
}

func (p *Pages) changeCertificates(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if p.SignOn == nil {
		return console.ErrNotFound
	}
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	at := v.url("/single-sign-on")
	if thumbprint := r.PostForm.Get("activate"); thumbprint != "" {
		if err := p.SignOn.Activate(v.Directory.ID, v.App.ID, thumbprint); err != nil {
			return err
		}
		return p.Console.Redirect(w, r, at, console.DoneNotice("Responses are signed with the certificate "+thumbprint+" from now on."))
	}
	err := p.SignOn.AddCertificate(v.Directory.ID, v.App.ID)
	if n := console.RefusalNotice("No certificate was made", err); n != nil {
		return p.Console.Redirect(w, r, at, *n)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, at, console.DoneNotice("A new certificate was made. It is inactive: give its metadata to the application first, then make it active."))
}

func (p *Pages) downloadCertificate(w http.ResponseWriter, _ *http.Request, v *appVisit) error {
	if p.SignOn == nil {
		return console.ErrNotFound
	}
	c, err := p.SignOn.Connection(v.Directory.ID, v.App.ID)
	if err != nil {
		return err
	}
	sendFile(w, "application/x-x509-ca-cert", "certificate.cer", c.Active().PEM())
	return nil
}

func (p *Pages) downloadSignOnMetadata(w http.ResponseWriter, _ *http.Request, v *appVisit) error {
	if p.SignOn == nil {
		return console.ErrNotFound
	}
	text, err := p.SignOn.Metadata(v.Directory.ID, v.App.ID)
	if err != nil {
		return err
	}
	sendFile(w, "application/samlmetadata+xml", "metadata.xml", text)
	return nil
}

func sendFile(w http.ResponseWriter, contentType, name string, content []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
	w.Write(content) //nolint:errcheck // it fails only if the client has disconnected
}
