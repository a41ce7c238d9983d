// Package mailbox runs a mail server in a test. The server keeps the mail that it receives.
package mailbox

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is a mail that the server received.
type Mail struct {
	From string
	To   []string
	*mail.Message
	Text string // the body, decoded from quoted-printable
	User string // the user that signed in to send the mail; empty if the client did not sign in
}

// Server is a mail server on loopback.
type Server struct {
	Addr string // the server's address, as host:port

	mu      sync.Mutex // guards the fields below
	mails   []Mail
	refusal *smtp.SMTPError // the error with which the server refuses every recipient; nil if it accepts mail
}

// Options say how clients must connect and sign in to send mail.
type Options struct {
	TLS            *tls.Config // the TLS settings; nil for a server without TLS
	ImplicitTLS    bool        // whether TLS begins with the connection, instead of with STARTTLS
	User, Password string      // the only user that may send; if User is empty, every client may send
}

// New starts a server, which runs until the test ends.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: ln.Addr().String()}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, options: o}, nil
	}))
	server.Domain = "mail.test"
	server.ErrorLog = log.New(t.Output(), "mail server: ", 0)
	if o.ImplicitTLS {
		ln = tls.NewListener(ln, o.TLS)
	} else {
		server.TLSConfig = o.TLS
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// LoopbackTLS returns the TLS settings of a server on 127.0.0.1, and the certificate authorities
// that its clients must trust.
func LoopbackTLS(t testing.TB) (server *tls.Config, authorities *x509.CertPool) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	authorities = x509.NewCertPool()
	authorities.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates}, authorities
}

// Mails returns the mails that the server has received.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Refuse makes the server refuse each recipient with a code and a message. With code 0, the server
// accepts mail again.
func (s *Server) Refuse(code int, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = nil
	if code != 0 {
		s.refusal = &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: message}
	}
}

// session is the state of one client's connection. It implements smtp.Session and smtp.AuthSession:
// its methods answer the commands of the client.
type session struct {
	server  *Server
	options Options
	user    string   // the user that has signed in; empty if none has
	from    string   // the sender of the current mail
	to      []string // the recipients of the current mail
}

// AuthMechanisms returns the ways to sign in that the server offers.
func (s *session) AuthMechanisms() []string {
	if s.options.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth answers the command AUTH, with which the client signs in.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.options.User || password != s.options.Password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no, " + password + " is wrong"} // some real servers repeat the password in their answer, too
		}
		s.user = user
		return nil
	}), nil
}

// Mail answers the command MAIL, which names the sender.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.options.User != "" && s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt answers the command RCPT, which names one recipient.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.refusal != nil {
		return s.server.refusal
	}
	s.to = append(s.to, to)
	return nil
}

// Data answers the command DATA. It reads the mail and keeps it.
func (s *session) Data(r io.Reader) error {
	msg, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, Mail{From: s.from, To: s.to, Message: msg, Text: strings.ReplaceAll(string(text), "\r\n", "\n"), User: s.user})
	return nil
}

// Reset forgets the sender and the recipients.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout is called when the connection ends. It has nothing to do.
func (s *session) Logout() error { return nil }

// Subject returns the subject with its encoded words decoded.
func (m Mail) Subject() (string, error) {
	return new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
}
