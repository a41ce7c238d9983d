package outbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/mailbox"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/outbox"
)

var message = notification.Mail{
	ID: "m1", To: "it@contoso.example", Subject: "[Rollcall contoso] Größe: in quarantine", Text: "Zeile eins ä\n.\nLast line\n",
	Time: time.Date(2026, 1, 9, 9, 0, 0, 0, time.UTC),
}

func TestMailArrivesAsItWasWritten(t *testing.T) {
	t.Parallel()
	server, authorities := mailbox.LoopbackTLS(t)
	for name, test := range map[string]struct {
		server mailbox.Options
		url    func(address string) string
		user   string
	}{
		"starttls":          {mailbox.Options{TLS: server}, func(a string) string { return "smtp://" + a }, ""},
		"starttls_password": {mailbox.Options{TLS: server, User: "rollcall", Password: "a/b?c#d e"}, func(a string) string { return "smtp://rollcall:a%2Fb%3Fc%23d%20e@" + a }, "rollcall"},
		"smtps":             {mailbox.Options{TLS: server, ImplicitTLS: true, User: "u", Password: "p"}, func(a string) string { return "smtps://u:p@" + a }, "u"},
		"none":              {mailbox.Options{}, func(a string) string { return "smtp://" + a + "?tls=none" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := mailbox.New(t, test.server)
			s, err := outbox.NewSMTP(outbox.SMTPOptions{URL: test.url(box.Addr), From: "Rollcall <rollcall@contoso.example>", RootCAs: authorities})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(t.Context(), message); err != nil {
				t.Fatal(err)
			}
			got := box.Mails()
			if len(got) != 1 {
				t.Fatalf("got %d mails", len(got))
			}
			m := got[0]
			subject, err := m.Subject()
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2]string{
				"sender":    {m.From, "rollcall@contoso.example"},
				"from":      {m.Header.Get("From"), `"Rollcall" <rollcall@contoso.example>`},
				"recipient": {strings.Join(m.To, " "), "it@contoso.example"},
				"to":        {m.Header.Get("To"), "<it@contoso.example>"},
				"subject":   {subject, message.Subject},
				"id":        {m.Header.Get("Message-Id"), "<rollcall-m1@contoso.example>"},
				"date":      {m.Header.Get("Date"), "Fri, 09 Jan 2026 09:00:00 +0000"},
				"automatic": {m.Header.Get("Auto-Submitted"), "auto-generated"},
				"text":      {strings.TrimRight(m.Text, "\n"), strings.TrimRight(message.Text, "\n")},
				"user":      {m.User, test.user},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
				}
			}
		})
	}
}

func TestMailIsNotSentUnsafely(t *testing.T) {
	t.Parallel()
	server, authorities := mailbox.LoopbackTLS(t)
	for name, test := range map[string]struct {
		server mailbox.Options
		url    func(address string) string
		trust  bool
		want   string
	}{
		"a_server_without_STARTTLS":       {mailbox.Options{}, func(a string) string { return "smtp://" + a }, true, "STARTTLS"},
		"an_unknown_certificate":          {mailbox.Options{TLS: server}, func(a string) string { return "smtp://" + a }, false, "certificate"},
		"an_unknown_certificate_smtps":    {mailbox.Options{TLS: server, ImplicitTLS: true}, func(a string) string { return "smtps://" + a }, false, "certificate"},
		"a_wrong_password_that_is_echoed": {mailbox.Options{TLS: server, User: "u", Password: "right"}, func(a string) string { return "smtp://u:wrong-word@" + a }, true, "no, (password) is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := mailbox.New(t, test.server)
			o := outbox.SMTPOptions{URL: test.url(box.Addr), From: "rollcall@contoso.example"}
			if test.trust {
				o.RootCAs = authorities
			}
			s, err := outbox.NewSMTP(o)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Send(t.Context(), message)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), box.Addr) || strings.Contains(err.Error(), "wrong-word") {
				t.Errorf("got %v", err)
			}
			if got := box.Mails(); len(got) > 0 {
				t.Errorf("the server took %d mails", len(got))
			}
		})
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                   "must begin with",
		"http://mail.test":                   "must begin with",
		"smtp://":                            "names no host",
		"smtp://u@mail.test":                 "both the user and the password",
		"smtp://:geheim@mail.test":           "both the user and the password",
		"smtp://u:geheim@mail.test?tls=none": "not sent without TLS",
		"smtp://mail.test?tls=maybe":         "can end with ?tls=none",
		"smtps://mail.test?tls=none":         "can end with ?tls=none",
		"smtp://mail.test?timeout=3":         "can end with ?tls=none",
		"smtp://mail.test:0":                 "not a port",
		"smtp://mail.test/inbox":             "nothing can follow",
		"smtp://u:geheim#x@mail.test":        "", // url.Parse reads this in some other way; it must be refused without the password
		"smtp://u:%zz-geheim@mail.test":      "not a URL",
	} {
		_, err := outbox.NewSMTP(outbox.SMTPOptions{URL: url, From: "rollcall@contoso.example"})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
	for _, from := range []string{"", "rollcall", "a@b.example, c@d.example", "a@b.example\r\nBcc: x@y.example"} {
		if _, err := outbox.NewSMTP(outbox.SMTPOptions{URL: "smtp://mail.test", From: from}); err == nil || !strings.Contains(err.Error(), "not a sender") {
			t.Errorf("%q: got %v", from, err)
		}
	}
}
