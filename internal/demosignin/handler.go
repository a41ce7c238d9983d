package demosignin

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/refusal"
)

// files holds the templates, the style sheet and the script of the pages.
//
//go:embed pages.html signin.css continue.js
var files embed.FS

// pages holds the templates of the pages.
var pages = template.Must(template.ParseFS(files, "pages.html"))

// maxFormBytes is the largest size of a posted form, in bytes.
const maxFormBytes = 16 << 10

// Handler returns the handler of the identity provider. It answers only requests that come from
// this machine and are for a name of this machine.
func (p *Provider) Handler(log *slog.Logger) http.Handler {
	s := &server{Provider: p, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showFrontPage)
	mux.HandleFunc("GET /signin.css", s.serveFile)
	mux.HandleFunc("GET /continue.js", s.serveFile)
	mux.HandleFunc("GET /{tenant}/federationmetadata/2007-06/federationmetadata.xml", s.showMetadata)
	mux.HandleFunc("GET /{tenant}/saml2", s.showSignIn)
	mux.HandleFunc("POST /{tenant}/saml2", s.signIn)
	mux.HandleFunc("GET /{tenant}/signin/{app}", s.showSignIn)
	mux.HandleFunc("POST /{tenant}/signin/{app}", s.signIn)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !from.Addr().Unmap().IsLoopback() || !isLoopbackHost(host) {
			http.Error(w, "The demo's sign-in page answers this machine alone.", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy(""))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
		mux.ServeHTTP(w, r)
	})
}

// contentPolicy returns the content security policy of a page whose form is sent to this server or
// to an origin; origin may be empty.
func contentPolicy(origin string) string {
	return "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action " + strings.TrimSpace("'self' "+origin)
}

// server holds the handlers of the identity provider's pages.
type server struct {
	*Provider
	log *slog.Logger
}

// serveFile serves the style sheet or the script.
func (s *server) serveFile(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, strings.TrimPrefix(r.URL.Path, "/"))
}

// showPage answers with the page that a template makes from data.
func (s *server) showPage(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, page, data); err != nil {
		s.showInternalError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes()) //nolint:errcheck // an error means that the client has gone
}

// showInternalError logs an error, and answers 500 without details.
func (s *server) showInternalError(w http.ResponseWriter, r *http.Request, err error) {
	if s.log != nil && r.Context().Err() == nil {
		s.log.Error("the demo's sign-in page failed", "path", r.URL.Path, "error", err)
	}
	http.Error(w, "Something broke in the demo's sign-in page.", http.StatusInternalServerError)
}

// showFrontPage shows the page at the address of the identity provider itself.
func (s *server) showFrontPage(w http.ResponseWriter, r *http.Request) {
	s.showPage(w, r, http.StatusOK, "front", nil)
}

// openTenant opens the directory that the path names. ok is false if the directory does not exist.
func (s *server) openTenant(r *http.Request) (h *directory.Handle, ok bool, err error) {
	h, err = s.directories.OpenByID(r.Context(), directory.ID(r.PathValue("tenant")))
	if errors.Is(err, refusal.NotFound) {
		return nil, false, nil
	}
	return h, err == nil, err
}

// showMetadata answers with the metadata for the application that the parameter appid names.
func (s *server) showMetadata(w http.ResponseWriter, r *http.Request) {
	h, ok, err := s.openTenant(r)
	if err != nil {
		s.showInternalError(w, r, err)
		return
	}
	var app directory.Application
	if ok {
		app, err = h.Application(r.Context(), r.URL.Query().Get("appid"))
		ok = err == nil && app.ID == r.URL.Query().Get("appid")
	}
	if err != nil && !errors.Is(err, refusal.NotFound) {
		s.showInternalError(w, r, err)
		return
	}
	if !ok {
		http.Error(w, "There is no metadata for this tenant and appid.", http.StatusNotFound)
		return
	}
	text, err := s.Metadata(h.Directory.ID, app.ID)
	if err != nil {
		s.showInternalError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml; charset=utf-8")
	w.Write(text) //nolint:errcheck // an error means that the client has gone
}

// Metadata returns the federation metadata of an application. Like the metadata of Entra ID, it
// also describes a role that has nothing to do with SAML sign-in.
func (p *Provider) Metadata(d directory.ID, app string) ([]byte, error) {
	c, err := p.Connection(d, app)
	if err != nil {
		return nil, err
	}
	var keys strings.Builder
	for _, cert := range c.Certificates {
		fmt.Fprintf(&keys, `<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`, base64.StdEncoding.EncodeToString(cert.Raw))
	}
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="utf-8"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" ID="_%s" entityID="%s"><RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType" protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706">%s</RoleDescriptor><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">%s<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%s"/></IDPSSODescriptor></EntityDescriptor>
`, uuid.NewString(), escape(c.Issuer), keys.String(), keys.String(), escape(c.LoginURL)), nil
}

// escape returns text in a form that can stand in XML.
func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) //nolint:errcheck // writing to a strings.Builder never fails
	return b.String()
}

// problemPage is the page that refuses a sign-in, in the words of Entra ID.
type problemPage struct {
	Title string
	Text  string // the message to the user, which begins with the AADSTS code
	// random ids and the time of the refusal, as Entra ID shows them
	RequestID, CorrelationID, Time string
}

const (
	// troubleTitle is the title of most refusals.
	troubleTitle = "Sorry, but we’re having trouble signing you in."
)

// refuse shows the page that refuses a sign-in.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, title, text string) {
	s.showPage(w, r, http.StatusBadRequest, "problem", problemPage{
		Title: title, Text: text, RequestID: uuid.NewString(), CorrelationID: uuid.NewString(), Time: s.now().UTC().Format(time.RFC3339),
	})
}

// signInRequest is a valid sign-in request, with the directory and the application that it names.
type signInRequest struct {
	tenant     *directory.Handle
	app        directory.Application
	connection Connection
	request    demoidp.Request
}

// readRequest reads a sign-in request. If the request cannot be answered, it shows the reason, and
// ok is false.
func (s *server) readRequest(w http.ResponseWriter, r *http.Request) (a signInRequest, ok bool) {
	var err error
	if a.tenant, ok, err = s.openTenant(r); err != nil {
		s.showInternalError(w, r, err)
		return a, false
	}
	if !ok {
		s.refuse(w, r, troubleTitle, "AADSTS90002: Tenant '"+r.PathValue("tenant")+"' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.")
		return a, false
	}
	if id := r.PathValue("app"); id != "" {
		return s.readUnrequested(w, r, a, id)
	}
	if r.URL.Query().Get("SAMLRequest") == "" {
		s.refuse(w, r, troubleTitle, "AADSTS750054: SAMLRequest or SAMLResponse must be present as query string parameters in HTTP request for SAML Redirect binding.")
		return a, false
	}
	if a.request, err = demoidp.ParseRequest(r.URL.String()); err != nil || a.request.ID == "" {
		s.refuse(w, r, troubleTitle, "AADSTS75005: The request is not a valid Saml2 protocol message.")
		return a, false
	}
	if a.app, a.connection, ok, err = s.findByIdentifier(r.Context(), a.tenant, a.request.Issuer); err != nil {
		s.showInternalError(w, r, err)
		return a, false
	}
	if !ok {
		s.refuse(w, r, troubleTitle, "AADSTS700016: Application with identifier '"+a.request.Issuer+"' was not found in the directory '"+a.tenant.Directory.Name+"'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.")
		return a, false
	}
	if a.request.ACS == "" {
		a.request.ACS = a.connection.ReplyURL
	}
	if a.request.ACS != a.connection.ReplyURL {
		s.refuse(w, r, troubleTitle, "AADSTS50011: The reply URL '"+a.request.ACS+"' specified in the request does not match the reply URLs configured for the application '"+a.request.Issuer+"'. Make sure the reply URL sent in the request matches one added to your application.")
		return a, false
	}
	return a, true
}

// readUnrequested reads a sign-in that begins at the identity provider, without a request of the
// application. id is the id of the application. If the sign-in is not possible, it shows the
// reason, and returns false.
func (s *server) readUnrequested(w http.ResponseWriter, r *http.Request, a signInRequest, id string) (signInRequest, bool) {
	var err error
	a.app, err = a.tenant.Application(r.Context(), id)
	if err == nil {
		a.connection, err = s.Connection(a.tenant.Directory.ID, a.app.ID)
	}
	if err != nil && !errors.Is(err, refusal.NotFound) {
		s.showInternalError(w, r, err)
		return a, false
	}
	if err != nil || a.app.ID != id || a.connection.ReplyURL == "" {
		s.refuse(w, r, troubleTitle, "AADSTS700016: Application with identifier '"+id+"' was not found in the directory '"+a.tenant.Directory.Name+"', or single sign-on is not set up for it.")
		return a, false
	}
	a.request = demoidp.Request{Issuer: a.connection.Identifier, ACS: a.connection.ReplyURL}
	return a, true
}

// pickableAccount is a user on the page where a person picks an account. ID is the object id, UPN
// is the user principal name, and Initial is the first letter of the name.
type pickableAccount struct {
	ID, Name, UPN, Initial string
	Note                   string // a remark such as "disabled"; empty for a user who can sign in
}

// signInPage is the page where a person picks an account.
type signInPage struct {
	Tenant, App string        // the names of the directory and of the application
	Action      string        // the address of this request
	Hidden      []hiddenField // the parameters of the sign-in request
	Search      string        // what the person searches for among the accounts
	Accounts    []pickableAccount
	More        bool            // whether more accounts match than the page shows
	Faults      []demoidp.Fault // the faulty responses that the person may choose instead of a correct one
}

// hiddenField is a hidden input of the search form. It keeps the parameters of the sign-in request.
type hiddenField struct{ Name, Value string }

// maxAccounts is the largest number of accounts that the sign-in page shows of each of two groups:
// users that are not deleted, and deleted users.
const maxAccounts = 100

// showSignIn shows the page where a person picks an account.
func (s *server) showSignIn(w http.ResponseWriter, r *http.Request) {
	a, ok := s.readRequest(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	pg := signInPage{Tenant: a.tenant.Directory.Name, App: a.app.Name, Faults: demoidp.Faults(), Search: strings.TrimSpace(q.Get("search"))}
	if !q.Has("search") {
		pg.Search = strings.TrimSpace(q.Get("login_hint"))
	}
	q.Del("search")
	q.Del("login_hint")
	pg.Action = r.URL.EscapedPath() + "?" + q.Encode()
	for _, name := range []string{"SAMLRequest", "RelayState", "SigAlg", "Signature"} {
		if q.Has(name) {
			pg.Hidden = append(pg.Hidden, hiddenField{name, q.Get(name)})
		}
	}
	for _, status := range []directory.Status{directory.NotDeleted, directory.Deleted} {
		found, err := a.tenant.Users(r.Context(), directory.UserQuery{Search: pg.Search, Status: status, Limit: maxAccounts})
		if err != nil {
			s.showInternalError(w, r, err)
			return
		}
		pg.More = pg.More || found.More
		for _, u := range found.Users {
			pg.Accounts = append(pg.Accounts, accountOf(u))
		}
	}
	s.showPage(w, r, http.StatusOK, "sign-in", pg)
}

// accountOf returns a user as the page for picking an account shows it.
func accountOf(u directory.User) pickableAccount {
	a := pickableAccount{ID: u.ObjectID, Name: u.DisplayName(), UPN: u.UPN()}
	for _, letter := range a.Name {
		a.Initial = strings.ToUpper(string(letter))
		break
	}
	switch {
	case u.IsDeleted():
		a.Note = "deleted"
	case !u.AccountEnabled:
		a.Note = "disabled"
	}
	return a
}

// answerPage is the page that posts the response to the address ACS of the application.
type answerPage struct {
	ACS, SAMLResponse, RelayState string
}

// signIn sends the response about the picked account to the application, by a page that posts it.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) {
	a, ok := s.readRequest(w, r)
	if !ok {
		return
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		http.Error(w, "Pick an account on this page.", http.StatusForbidden)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "This form cannot be read.", http.StatusBadRequest)
		return
	}
	u, refused, err := s.findUser(r.Context(), a, r.PostForm.Get("account"))
	if err != nil {
		s.showInternalError(w, r, err)
		return
	}
	if refused != "" {
		s.refuse(w, r, troubleTitle, refused)
		return
	}
	encoded, err := s.respond(a, u, r.PostForm.Get("fault"))
	if err != nil {
		s.showInternalError(w, r, err)
		return
	}
	to, err := url.Parse(a.request.ACS)
	if err != nil {
		s.showInternalError(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", contentPolicy(to.Scheme+"://"+to.Host))
	s.showPage(w, r, http.StatusOK, "answer", answerPage{ACS: a.request.ACS, SAMLResponse: encoded, RelayState: a.request.RelayState})
}

// findUser returns the user with an object id. If the user cannot sign in to the application,
// refused has the reason in the words of Entra ID; otherwise it is empty.
func (s *server) findUser(ctx context.Context, a signInRequest, objectID string) (u directory.User, refused string, err error) {
	u, err = a.tenant.User(ctx, objectID)
	if errors.Is(err, refusal.NotFound) || err == nil && u.IsDeleted() {
		name := objectID
		if err == nil {
			name = u.UPN()
		}
		return u, "AADSTS50034: The user account " + name + " does not exist in the " + a.tenant.Directory.Name + " directory. To sign into this application, the account must be added to the directory.", nil
	}
	if err != nil {
		return u, "", err
	}
	if !u.AccountEnabled {
		return u, "AADSTS50057: The user account is disabled.", nil
	}
	all, err := a.tenant.ApplicationsOf(ctx, u.ObjectID)
	if err != nil {
		return u, "", err
	}
	for _, app := range all {
		if app.ID == a.app.ID {
			return u, "", nil
		}
	}
	return u, "AADSTS50105: Your administrator has configured the application " + a.app.Name + " ('" + a.app.ID + "') to block users unless they are specifically granted ('assigned') access to the application. The signed-in user '" + u.UPN() + "' is blocked because they are not a direct member of a group with access, nor had access directly assigned by an administrator. Please contact your administrator to assign access to this application.", nil
}

// respond returns the signed response about a user. fault is the name of the fault that the
// response gets; it is empty for a correct response.
func (s *server) respond(a signInRequest, u directory.User, fault string) (string, error) {
	active := a.connection.Active()
	idp := demoidp.Provider{EntityID: a.connection.Issuer, SignInURL: a.connection.LoginURL, Key: active.key, Cert: active.Certificate, Now: s.now}
	answer := a.request.Answer(u.UPN())
	answer.Claims = claimsOf(u, a.tenant.Directory.ID)
	answer.SignResponse = a.connection.Option != SignAssertion
	answer.UnsignedAssertion = a.connection.Option == SignResponse
	if a.connection.Algorithm == SHA1 {
		answer.Method = demoidp.MethodSHA1
	}
	for _, f := range demoidp.Faults() {
		if f.Name == fault {
			return idp.RespondWith(f, answer)
		}
	}
	return idp.Respond(answer)
}
