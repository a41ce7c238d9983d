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

// Signing options of an application, in Entra's words.
const (
	SignAssertion = "Sign SAML assertion"
	SignResponse  = "Sign SAML response"
	SignBoth      = "Sign SAML response and assertion"
)

// Signing algorithms of an application, in Entra's words.
const (
	SHA256 = "SHA-256"
	SHA1   = "SHA-1"
)

// SigningOptions lists the signing options, the usual one first.
var SigningOptions = []string{SignAssertion, SignResponse, SignBoth}

// SigningAlgorithms lists the signing algorithms, the usual one first.
var SigningAlgorithms = []string{SHA256, SHA1}

// Settings are what an operator sets for an application.
type Settings struct {
	Identifier string // the application's entity id; empty until it is set up
	ReplyURL   string // its assertion consumer service
	Option     string // which elements are signed
	Algorithm  string // with which hash
}

// Certificate is a signing certificate of an application.
type Certificate struct {
	*x509.Certificate
	Active bool // whether responses are signed with it; one is active
	key    *rsa.PrivateKey
}

// Thumbprint identifies the certificate: its SHA-1 in hexadecimal digits, as Entra ID shows it.
func (c Certificate) Thumbprint() string {
	sum := sha1.Sum(c.Raw) //nolint:gosec // names the certificate; proves nothing
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// PEM returns the certificate as Entra ID's "Certificate (Base64)".
func (c Certificate) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// Connection is what the identity provider knows about an application, and what the application has
// to know about the identity provider.
type Connection struct {
	Settings
	Certificates []Certificate // the oldest first
	Issuer       string        // the entity id of the identity provider
	LoginURL     string
	MetadataURL  string
	AccessURL    string // starts a sign-in here, without a request of the application
}

// Active returns the certificate that signs.
func (c Connection) Active() Certificate {
	return c.Certificates[slices.IndexFunc(c.Certificates, func(c Certificate) bool { return c.Active })]
}

// Provider is the identity provider of all directories. Make one with New.
type Provider struct {
	directories *directory.Directories
	base        string // its own address, without a trailing slash
	now         func() time.Time

	mu   sync.Mutex
	apps map[string]*kept // by the id of the application
}

// kept is what is remembered of an application.
type kept struct {
	directory    directory.ID
	settings     Settings
	certificates []Certificate
}

// Listen returns a listener on loopback, at the port or at a free one if that is taken. It returns
// an error if neither can be opened.
func Listen(port string) (net.Listener, error) {
	if ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
		return ln, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// New returns the identity provider that is served at a listener. host is the name of this machine
// that its addresses have; if it is no loopback name, they have the listener's address. New returns
// an error unless the listener accepts connections of this machine alone.
func New(at net.Addr, host string, directories *directory.Directories, now func() time.Time) (*Provider, error) {
	a, err := netip.ParseAddrPort(at.String())
	if err != nil || !a.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("the demo's sign-in page cannot be served at %s: it has no passwords, and needs a loopback address", at)
	}
	base := a.String()
	if host == "localhost" {
		base = net.JoinHostPort(host, strconv.Itoa(int(a.Port())))
	}
	return &Provider{directories: directories, base: "http://" + base, now: now, apps: make(map[string]*kept)}, nil
}

// URL returns the address of the identity provider.
func (p *Provider) URL() string { return p.base }

// Connection returns the connection of an application. The first call makes its first certificate.
func (p *Provider) Connection(d directory.ID, app string) (Connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.keep(d, app)
	if err != nil {
		return Connection{}, err
	}
	return p.connection(app, k), nil
}

func (p *Provider) connection(app string, k *kept) Connection {
	tenant := p.base + "/" + url.PathEscape(string(k.directory))
	return Connection{
		Settings: k.settings, Certificates: slices.Clone(k.certificates),
		Issuer: issuer(k.directory), LoginURL: tenant + "/saml2", AccessURL: tenant + "/signin/" + url.PathEscape(app),
		MetadataURL: tenant + "/federationmetadata/2007-06/federationmetadata.xml?appid=" + url.QueryEscape(app),
	}
}

// issuer returns the entity id of a tenant, as Entra ID has it.
func issuer(d directory.ID) string {
	return "https://sts.windows.net/" + url.PathEscape(string(d)) + "/"
}

// keep returns what is kept of an application, and makes it if there is nothing yet. The caller holds
// the lock.
func (p *Provider) keep(d directory.ID, app string) (*kept, error) {
	if k, ok := p.apps[app]; ok {
		return k, nil
	}
	k := &kept{directory: d, settings: Settings{Option: SignAssertion, Algorithm: SHA256}}
	if err := p.addCertificate(k); err != nil {
		return nil, err
	}
	k.certificates[0].Active = true
	p.apps[app] = k
	return k, nil
}

// maxCertificates is how many certificates an application may have.
const maxCertificates = 5

func (p *Provider) addCertificate(k *kept) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	// Entra ID's certificates are valid for three years. The start lies in the past, so that a clock
	// that is a little behind accepts it.
	from := p.now().Add(-time.Hour)
	cert, err := demoidp.Certificate(key, from, from.AddDate(3, 0, 0))
	if err != nil {
		return err
	}
	k.certificates = append(k.certificates, Certificate{Certificate: cert, key: key})
	return nil
}

// Update changes the settings of an application. It refuses an identifier that another application of
// the directory has, and a reply URL that is neither https nor on this machine. If change returns an
// error, Update returns it and changes nothing.
func (p *Provider) Update(d directory.ID, app string, change func(*Settings) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.keep(d, app)
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

func (s *Settings) check() error {
	s.Identifier, s.ReplyURL = strings.TrimSpace(s.Identifier), strings.TrimSpace(s.ReplyURL)
	if s.Identifier == "" && s.ReplyURL == "" {
		return s.checkSigning() // not set up
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

func (s *Settings) checkSigning() error {
	if !slices.Contains(SigningOptions, s.Option) {
		return refusal.New(refusal.Invalid, "option", "%q is not a signing option", s.Option).Advise("choose one of the list")
	}
	if !slices.Contains(SigningAlgorithms, s.Algorithm) {
		return refusal.New(refusal.Invalid, "algorithm", "%q is not a signing algorithm", s.Algorithm).Advise("choose one of the list")
	}
	return nil
}

// AddCertificate makes another certificate for an application. It is inactive. AddCertificate refuses more
// than five.
func (p *Provider) AddCertificate(d directory.ID, app string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.keep(d, app)
	if err != nil {
		return err
	}
	if len(k.certificates) >= maxCertificates {
		return refusal.New(refusal.Conflict, "certificate", "an application has at most %d certificates here", maxCertificates).Advise("make one of them active")
	}
	return p.addCertificate(k)
}

// Activate makes the certificate with this thumbprint the one that signs. It returns
// refusal.NotFound if there is none.
func (p *Provider) Activate(d directory.ID, app, thumbprint string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, err := p.keep(d, app)
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

// byIdentifier returns the application of a directory that has the identifier, and its connection. ok
// is false if there is none.
func (p *Provider) byIdentifier(ctx context.Context, h *directory.Handle, identifier string) (app directory.Application, c Connection, ok bool, err error) {
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

func isLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
