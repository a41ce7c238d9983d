package outbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/rollcall-scim/rollcall/notification"
)

// commandTimeout is how long each command to the mail server and its answer may take.
const commandTimeout = 15 * time.Second

// SMTP sends mail through a mail server. It implements notification.Mailer. It is safe for
// concurrent use.
type SMTP struct {
	host        string
	port        int
	user        string
	password    string
	implicitTLS bool // whether TLS starts with the first byte (smtps), not after STARTTLS
	withoutTLS  bool // whether the connection is not encrypted
	from        *mail.Address
	rootCAs     *x509.CertPool
}

// SMTPOptions are the settings of a mail server.
type SMTPOptions struct {
	// URL is smtps://user:password@host:465 for TLS from the start, or
	// smtp://user:password@host:587 for STARTTLS, which the server must offer.
	// smtp://host:25?tls=none uses no TLS, and must not have a password.
	URL string
	// From is the sender: rollcall@contoso.example, or Rollcall <rollcall@contoso.example>.
	From    string
	RootCAs *x509.CertPool // nil means the system's root certificates
}

// NewSMTP returns an SMTP that sends through the mail server of the options. It does not connect to
// the server. Its errors never contain the password.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("this is not a URL such as smtps://user:password@mail.example.com") // the parser's error would contain the password
	}
	s := &SMTP{host: u.Hostname(), rootCAs: o.RootCAs}
	s.user = u.User.Username()
	s.password, _ = u.User.Password()
	query := u.Query()
	switch {
	case u.Scheme == "smtps":
		s.implicitTLS, s.port = true, 465
	case u.Scheme == "smtp":
		s.port = 587
		s.withoutTLS = query.Get("tls") == "none"
		if s.withoutTLS {
			s.port = 25
		}
	default:
		return nil, errors.New("the URL must begin with smtps:// or smtp://")
	}
	for name := range query {
		if name != "tls" || s.implicitTLS || query.Get(name) != "none" {
			return nil, fmt.Errorf("the URL can end with ?tls=none, after smtp:// only; not with %q", name)
		}
	}
	switch {
	case s.host == "":
		return nil, errors.New("the URL names no host")
	case u.Path != "" && u.Path != "/" || u.Fragment != "":
		return nil, errors.New("nothing can follow the host and port; write / ? # in a password as %2F %3F %23")
	case s.withoutTLS && u.User != nil:
		return nil, errors.New("a password is not sent without TLS; leave out ?tls=none, or the password")
	case u.User != nil && (s.user == "" || s.password == ""):
		return nil, errors.New("the URL needs both the user and the password, or neither")
	}
	if p := u.Port(); p != "" {
		if s.port, err = strconv.Atoi(p); err != nil || s.port < 1 || s.port > 65535 {
			return nil, fmt.Errorf("%s is not a port", p)
		}
	}
	if s.from, err = mail.ParseAddress(o.From); err != nil {
		return nil, fmt.Errorf("%q is not a sender; write rollcall@contoso.example or Rollcall <rollcall@contoso.example>", o.From)
	}
	return s, nil
}

// Server returns the host and port of the mail server.
func (s *SMTP) Server() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// Send sends a mail to the mail server. Its error says which step failed and what the server
// answered.
func (s *SMTP) Send(ctx context.Context, m notification.Mail) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	if err := msg.To(m.To); err != nil {
		return fmt.Errorf("%s cannot be written into a mail: %w", m.To, err)
	}
	msg.Subject(m.Subject)
	msg.SetDateWithValue(m.Time)
	_, domain, _ := strings.Cut(s.from.Address, "@")
	msg.SetMessageIDWithValue("rollcall-" + m.ID + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: prevents automatic replies
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	client, err := s.newClient()
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return fmt.Errorf("the mail server %s took no mail: %w", s.Server(), s.withoutPassword(err))
	}
	return nil
}

// newClient returns a client of the SMTP library with the settings of the mail server.
func (s *SMTP) newClient() (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(commandTimeout), gomail.WithTLSPolicy(gomail.TLSMandatory),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.host, RootCAs: s.rootCAs, MinVersion: tls.VersionTLS12}),
	}
	switch {
	case s.implicitTLS:
		options = append(options, gomail.WithSSL())
	case s.withoutTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.user != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.user), gomail.WithPassword(s.password))
	}
	return gomail.NewClient(s.host, options...)
}

// withoutPassword returns an error whose text does not contain the password, even if the server's
// answer did.
func (s *SMTP) withoutPassword(err error) error {
	if s.password == "" || !strings.Contains(err.Error(), s.password) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), s.password, "(password)"))
}
