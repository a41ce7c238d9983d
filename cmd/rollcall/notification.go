package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/outbox"
)

// mailFlags holds the values of the flags that describe the mail server.
type mailFlags struct {
	url  string // the URL of the mail server
	from string // the sender of the mail
}

func (c *command) addMailFlags(flags *pflag.FlagSet, m *mailFlags) {
	flags.StringVar(&m.url, "smtp-url", "", "mail server for notifications: smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST (STARTTLS); smtp://HOST?tls=none for a relay without TLS [ROLLCALL_SMTP_URL]")
	flags.StringVar(&m.from, "mail-from", "", "sender of notifications, such as rollcall@contoso.example [ROLLCALL_MAIL_FROM]")
}

// makeMailer returns the mail server that the flags and the environment describe. It returns nil if
// they describe none. The environment variable is read here and not as the default of the flag:
// help shows defaults, and the URL holds a password.
func (c *command) makeMailer(cmd *cobra.Command, m mailFlags) (notification.Mailer, error) {
	address, from := m.url, m.from
	if address == "" {
		address = c.env("ROLLCALL_SMTP_URL", "")
	}
	if from == "" {
		from = c.env("ROLLCALL_MAIL_FROM", "")
	}
	switch {
	case address == "" && from == "":
		return nil, nil
	case address == "":
		return nil, usagef(cmd, "--smtp-url is missing: it names the server that sends the mail of %s", from)
	case from == "":
		return nil, usagef(cmd, "--mail-from is missing: it is the sender of mail, such as rollcall@contoso.example")
	}
	server, err := outbox.NewSMTP(outbox.SMTPOptions{URL: address, From: from})
	if err != nil {
		return nil, usagef(cmd, "--smtp-url, --mail-from: %w", err)
	}
	return server, nil
}

// recipientJSON is a recipient of notifications in --json output.
type recipientJSON struct {
	ID          string   `json:"id"`
	Address     string   `json:"address"`
	Application string   `json:"application,omitempty"`
	Topics      []string `json:"topics"`
	State       string   `json:"state"`
	Waiting     int      `json:"waiting"` // how many messages wait to be sent
	AddedBy     string   `json:"addedBy"`
	Added       string   `json:"added"`
	LastSent    string   `json:"lastSent,omitempty"`
	NextTry     string   `json:"nextTry,omitempty"`
	Error       string   `json:"error,omitempty"`
}

// recipientState returns the state of a recipient: "on", "failing" or "stopped".
func recipientState(r notification.Recipient) string {
	switch {
	case !r.Stopped.IsZero():
		return "stopped"
	case !r.FailingSince.IsZero():
		return "failing"
	default:
		return "on"
	}
}

func newRecipientJSON(r notification.Recipient, applications map[string]string) recipientJSON {
	out := recipientJSON{
		ID: r.ID, Address: r.Address, Application: applications[r.Application], State: recipientState(r), Waiting: r.Waiting, AddedBy: r.AddedBy,
		Added: formatJSONTime(r.Added), LastSent: formatJSONTime(r.LastSent), Error: r.Error,
	}
	if !r.FailingSince.IsZero() && r.Stopped.IsZero() {
		out.NextTry = formatJSONTime(r.NextTry)
	}
	for _, t := range r.Topics {
		out.Topics = append(out.Topics, string(t))
	}
	return out
}

func (c *command) notificationCommand() *cobra.Command {
	return groupCommand("notification", "Mail when provisioning needs a person", c.notificationAdd(), c.notificationList(), c.notificationRemove(), c.notificationTest(), c.notificationResume())
}

func (c *command) notificationAdd() *cobra.Command {
	var about []string
	var application string
	cmd := &cobra.Command{
		Use: "add DIRECTORY ADDRESS", Short: "Send mail about a directory to an e-mail address", Args: exactArguments("DIRECTORY", "ADDRESS"),
		Long: `Sends mail to ADDRESS when the provisioning of DIRECTORY needs a person:
` + topicHelp() + `
The server sends the mail; it needs --smtp-url and --mail-from.`,
		Example: "  rollcall notification add contoso it@contoso.example --about quarantine,held",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			req := notification.NewRecipient{Directory: string(h.Directory.ID), Address: args[1], Actor: actor}
			for _, name := range about {
				req.Topics = append(req.Topics, notification.Topic(strings.TrimSpace(name)))
			}
			names := map[string]string{}
			if application != "" {
				app, err := h.Application(cmd.Context(), application)
				if err != nil {
					return err
				}
				req.Application, names[app.ID] = app.ID, app.Name
			}
			r, err := s.notifications.Add(cmd.Context(), req)
			if err != nil {
				return err
			}
			return c.print(newRecipientJSON(r, names), func(w io.Writer) {
				fmt.Fprintf(w, "%s gets mail about: %s.\n", r.Address, strings.Join(newRecipientJSON(r, nil).Topics, ", "))
			})
		}),
	}
	cmd.Flags().StringSliceVar(&about, "about", nil, "topics, with commas between them; all when left out")
	cmd.Flags().StringVar(&application, "application", "", "only this enterprise application; all when left out")
	return cmd
}

func topicNames() []string {
	names := make([]string, len(notification.Topics))
	for i, t := range notification.Topics {
		names[i] = string(t)
	}
	return names
}

// topicHelp returns the help text for the topics, one line for each.
func topicHelp() string {
	var b strings.Builder
	for _, t := range notification.Topics {
		fmt.Fprintf(&b, "  %-12s %s\n", t, t.Describe())
	}
	return b.String()
}

// applicationNames maps the ids of a directory's applications to their names.
func applicationNames(cmd *cobra.Command, h *directory.Handle) (map[string]string, error) {
	all, err := h.Applications(cmd.Context())
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, a := range all {
		names[a.ID] = a.Name
	}
	return names, nil
}

func (c *command) notificationList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY", Short: "List who gets mail about a directory", Args: exactArguments("DIRECTORY"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			names, err := applicationNames(cmd, h)
			if err != nil {
				return err
			}
			all, err := s.notifications.Recipients(cmd.Context(), string(h.Directory.ID))
			if err != nil {
				return err
			}
			out := []recipientJSON{}
			lines := [][]string{}
			for _, r := range all {
				row := newRecipientJSON(r, names)
				out = append(out, row)
				lines = append(lines, []string{r.Address, row.Application, strings.Join(row.Topics, ", "), row.State, fmt.Sprint(r.Waiting), c.formatTime(r.LastSent), r.Error})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No recipients yet. Add an address with: rollcall notification add "+h.Directory.Name+" ADDRESS",
					[]string{"Address", "Application", "About", "State", "Waiting", "Last mail", "Error"}, lines)
			})
		}),
	}
}

// findRecipient opens the directory and finds the recipient that the arguments DIRECTORY and
// ADDRESS name.
func (s *services) findRecipient(cmd *cobra.Command, args []string) (*directory.Handle, notification.Recipient, error) {
	h, err := s.directories.OpenNamed(cmd.Context(), args[0])
	if err != nil {
		return nil, notification.Recipient{}, err
	}
	r, err := s.notifications.Find(cmd.Context(), string(h.Directory.ID), args[1])
	return h, r, err
}

func (c *command) notificationRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove DIRECTORY ADDRESS", Short: "Stop mail to an address", Args: exactArguments("DIRECTORY", "ADDRESS"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, r, err := s.findRecipient(cmd, args)
			if err != nil {
				return err
			}
			if err := s.notifications.Remove(cmd.Context(), string(h.Directory.ID), r.ID, actor); err != nil {
				return err
			}
			return c.print(map[string]string{"removed": r.Address, "id": r.ID}, func(w io.Writer) {
				fmt.Fprintf(w, "%s no longer gets mail.\n", r.Address)
			})
		}),
	}
}

func (c *command) notificationTest() *cobra.Command {
	var m mailFlags
	cmd := &cobra.Command{
		Use: "test DIRECTORY ADDRESS", Short: "Send a test mail now", Args: exactArguments("DIRECTORY", "ADDRESS"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			mailer, err := c.makeMailer(cmd, m)
			if err != nil {
				return err
			}
			h, r, err := s.findRecipient(cmd, args)
			if err != nil {
				return err
			}
			n := *s.notifications
			n.Mailer = mailer
			if err := n.SendTest(cmd.Context(), h.Directory.Name, r); err != nil {
				return err
			}
			return c.print(map[string]string{"sent": r.Address}, func(w io.Writer) {
				fmt.Fprintf(w, "The mail server took a test mail for %s.\n", r.Address)
			})
		}),
	}
	c.addMailFlags(cmd.Flags(), &m)
	return cmd
}

func (c *command) notificationResume() *cobra.Command {
	return &cobra.Command{
		Use: "resume DIRECTORY ADDRESS", Short: "Send mail to a stopped address again", Args: exactArguments("DIRECTORY", "ADDRESS"),
		Long: `Mail to an address stops when the mail server has taken none for three days. This
sends mail again, first what waits.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, r, err := s.findRecipient(cmd, args)
			if err != nil {
				return err
			}
			if r.Stopped.IsZero() {
				return errors.New("mail to " + r.Address + " is not stopped")
			}
			if err := s.notifications.Resume(cmd.Context(), string(h.Directory.ID), r.ID, actor); err != nil {
				return err
			}
			return c.print(map[string]string{"resumed": r.Address, "id": r.ID}, func(w io.Writer) {
				fmt.Fprintf(w, "Mail is sent to %s again.\n", r.Address)
			})
		}),
	}
}
