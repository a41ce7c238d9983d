package demosignin

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Entra ID shows the SHA-1 of a certificate as its thumbprint
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
	"github.com/rollcall-scim/rollcall/refusal"
)

// The signing options of an application, as Entra names them.
const (
	SignAssertion = "Sign SAML assertion"
	SignResponse  = "Sign SAML response"
	SignBoth      = "Sign SAML response and assertion"
)

// The signing algorithms of an application, as Entra names them.
const (
	SHA256 = "SHA-256"
	SHA1   = "SHA-1"
)

// SigningOptions lists the signing options, the default first.
var SigningOptions = []string{SignAssertion, SignResponse, SignBoth}

// SigningAlgorithms lists the signing algorithms, the default first.
var SigningAlgorithms = []string{SHA256, SHA1}

// Settings are the single sign-on settings that an operator enters for an application.
type Settings struct {
	Identifier string // the application's entity id; empty before single sign-on is set up
	ReplyURL   string // the address of the application's assertion consumer service
	Option     string // the signing option: which elements are signed
	Algorithm  string // the hash algorithm of signatures
}

// Certificate is a signing certificate of an application.
type Certificate struct {
	*x509.Certificate
	Active bool            // whether responses are signed with this certificate; exactly one certificate is active
	key    *rsa.PrivateKey // the private key of the certificate, which signs responses
}

// Thumbprint identifies the certificate: its SHA-1 in hexadecimal digits, as Entra ID shows it.
func (c Certificate) Thumbprint() string {
	sum := sha1.Sum(c.Raw) //nolint:gosec // it identifies the certificate and proves nothing
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// PEM returns the certificate in the form of Entra ID's download "Certificate (Base64)".
func (c Certificate) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// Connection holds the settings of an application, and the data about the identity provider that
// the application needs.
type Connection struct {
	Settings
	Certificates []Certificate // the application's certificates, the oldest first
	Issuer       string        // the entity id of the identity provider
	LoginURL     string        // the address for the sign-in requests of the application
	MetadataURL  string        // the address of the metadata of the identity provider
	AccessURL    string        // the address that starts a sign-in at the identity provider, without a request of the application
}

// Active returns the certificate with which responses are signed.
func (c Connection) Active() Certificate {
	return c.Certificates[slices.IndexFunc(c.Certificates, func(c Certificate) bool { return c.Active })]
}

// Provider is the identity provider of all directories. Make a Provider with New.
type Provider struct {
	directories *directory.Directories
	base        string // the address of the identity provider, without a trailing slash
	now         func() time.Time

	mu   sync.Mutex           // guards apps
	apps map[string]*appState // the state of each application, by the application's id
}

// appState is the provider's data about an application.
type appState struct {
	directory    directory.ID
	settings     Settings
	certificates []Certificate
}

// Listen returns a listener on a loopback address. If the port is taken, it uses a free port. It
// returns an error if neither can be opened.
func Listen(port string) (net.Listener, error) {
	if ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
		return ln, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// New returns the identity provider that is served at the address of a listener. If host is
// "localhost", the URLs of the provider have that name; otherwise they have the listener's address.
// New returns an error unless the listener is on a loopback address.
func New(at net.Addr, host string, directories *directory.Directories, now func() time.Time) (*Provider, error) {
	a, err := netip.ParseAddrPort(at.String())
	if err != nil || !a.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("the demo's sign-in page cannot be served at %s: it has no passwords, and needs a loopback address", at)
	}
	base := a.String()
	if host == "localhost" {
		base = net.JoinHostPort(host, strconv.Itoa(int(a.Port())))
	}
	return &Provider{directories: directories, base: "http://" + base, now: now, apps: make(map[string]*appState)}, nil
}

// URL returns the address of the identity provider.
func (p *Provider) URL() string { return p.base }

// Connection returns the connection of an application. The first call creates the first
// certificate.
func (p *Provider) Connection(d directory.ID, app string) (Connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.appState(d, app)
	if err != nil {
		return Connection{}, err
	}
	return p.connection(app, k), nil
}

// connection returns the connection of an application with the state k. The caller must hold the
// lock.
func (p *Provider) connection(app string, k *appState) Connection {
	tenant := p.base + "/" + url.PathEscape(string(k.directory))
	return Connection{
		Settings: k.settings, Certificates: slices.Clone(k.certificates),
		Issuer: issuerOf(k.directory), LoginURL: tenant + "/saml2", AccessURL: tenant + "/signin/" + url.PathEscape(app),
		MetadataURL: tenant + "/federationmetadata/2007-06/federationmetadata.xml?appid=" + url.QueryEscape(app),
	}
}

// issuerOf returns the entity id of a tenant, in the form that Entra ID uses.
func issuerOf(d directory.ID) string {
	return "https://sts.windows.net/" + url.PathEscape(string(d)) + "/"
}

// appState returns the state of an application, and creates it at the first call. The caller must
// hold the lock.
func (p *Provider) appState(d directory.ID, app string) (*appState, error) {
	if k, ok := p.apps[app]; ok {
		return k, nil
	}
	k := &appState{directory: d, settings: Settings{Option: SignAssertion, Algorithm: SHA256}}
	if err := p.addCertificate(k); err != nil {
		return nil, err
	}
	k.certificates[0].Active = true
	p.apps[app] = k
	return k, nil
}

// maxCertificates is how many certificates an application may have.
const maxCertificates = 5

// addCertificate adds a new, inactive certificate to the state of an application.
func (p *Provider) addCertificate(k *appState) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	// Entra ID's certificates are valid for three years. The start lies in the past, so that a
	// computer whose clock is a little behind accepts the certificate.
	from := p.now().Add(-time.Hour)
	cert, err := demoidp.Certificate(key, from, from.AddDate(3, 0, 0))
	if err != nil {
		return err
	}
	k.certificates = append(k.certificates, Certificate{Certificate: cert, key: key})
	return nil
}

// Update changes the settings of an application with the function change. It refuses an identifier
// of another application in the directory. It refuses a reply URL that is neither https nor on this
// machine. If change returns an error, Update returns that error and changes nothing.
func (p *Provider) Update(d directory.ID, app string, change func(*Settings) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.appState(d, app)
	if err != nil {
		return err
	}
	next := k.settings
	if err := change(&next); err != nil {
		return err
	}
	if err := next.check(); err != nil {
		return err
	}
	for id, other := range p.apps {
		if id != app && other.directory == d && other.settings.Identifier == next.Identifier && next.Identifier != "" {
			return refusal.New(refusal.Taken, "identifier", "another application of this directory has that identifier").Advise("use one of its own")
		}
	}
	k.settings = next
	return nil
}

// check removes the spaces around the identifier and the reply URL. It returns an error if a
// setting is invalid.
func (s *Settings) check() error {
	s.Identifier, s.ReplyURL = strings.TrimSpace(s.Identifier), strings.TrimSpace(s.ReplyURL)
	if s.Identifier == "" && s.ReplyURL == "" {
		return s.checkSigning() // the application is not set up
	}
	if s.Identifier == "" || len(s.Identifier) > 1024 || strings.ContainsFunc(s.Identifier, func(r rune) bool { return r < ' ' }) {
		return refusal.New(refusal.Invalid, "identifier", "an application has an identifier of at most 1,024 bytes").Advise("copy the Identifier (Entity ID) from the application")
	}
	u, err := url.Parse(s.ReplyURL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(s.ReplyURL) > 2048 || u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Hostname())) {
		return refusal.New(refusal.Invalid, "replyURL", "this is not an https address, or an address of this machine").Advise("copy the Reply URL (Assertion Consumer Service URL) from the application")
	}
	return s.checkSigning()
}

// checkSigning returns an error if the signing option or the signing algorithm is unknown.
func (s *Settings) checkSigning() error {
	if !slices.Contains(SigningOptions, s.Option) {
		return refusal.New(refusal.Invalid, "option", "%q is not a signing option", s.Option).Advise("choose one of the list")
	}
	if !slices.Contains(SigningAlgorithms, s.Algorithm) {
		return refusal.New(refusal.Invalid, "algorithm", "%q is not a signing algorithm", s.Algorithm).Advise("choose one of the list")
	}
	return nil
}

// AddCertificate makes another certificate for an application. The new certificate is inactive at
// first. It returns an error if the application has five certificates already.
func (p *Provider) AddCertificate(d directory.ID, app string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.appState(d, app)
	if err != nil {
		return err
	}
	if len(k.certificates) >= maxCertificates {
		return refusal.New(refusal.Conflict, "certificate", "an application has at most %d certificates here", maxCertificates).Advise("make one of them active")
	}
	return p.addCertificate(k)
}

// Activate makes the certificate with this thumbprint the active one. It returns refusal.NotFound
// if no certificate has the thumbprint.
func (p *Provider) Activate(d directory.ID, app, thumbprint string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.appState(d, app)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(k.certificates, func(c Certificate) bool { return c.Thumbprint() == thumbprint })
	if at < 0 {
		return refusal.New(refusal.NotFound, "certificate", "there is no such certificate")
	}
	for i := range k.certificates {
		k.certificates[i].Active = i == at
	}
	return nil
}

// findByIdentifier returns the application of a directory with this identifier, and its connection.
// ok is false if no application has the identifier.
func (p *Provider) findByIdentifier(ctx context.Context, h *directory.Handle, identifier string) (app directory.Application, c Connection, ok bool, err error) {
	p.mu.Lock()
	id := ""
	for known, k := range p.apps {
		if identifier != "" && k.directory == h.Directory.ID && k.settings.Identifier == identifier {
			id, c = known, p.connection(known, k)
		}
	}
	p.mu.Unlock()
	if id == "" {
		return app, c, false, nil
	}
	app, err = h.Application(ctx, id)
	if errors.Is(err, refusal.NotFound) {
		return app, c, false, nil // the application was deleted
	}
	return app, c, err == nil, err
}

// isLoopbackHost reports whether the host in a URL is "localhost" or a loopback address.
func isLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
