package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/notification"
)

// webhookJSON is a webhook in --json output.
type webhookJSON struct {
	Secret          string   `json:"secret,omitempty"` // empty unless the command has just made it
	ID              string   `json:"id"`
	URL             string   `json:"url"`
	Description     string   `json:"description,omitempty"`
	Application     string   `json:"application,omitempty"`
	Topics          []string `json:"topics"`
	State           string   `json:"state"`
	Waiting         int      `json:"waiting"` // how many deliveries wait to be sent
	AddedBy         string   `json:"addedBy"`
	Added           string   `json:"added"`
	LastSent        string   `json:"lastSent,omitempty"`
	OldSecretsUntil string   `json:"oldSecretUntil,omitempty"`
	Error           string   `json:"error,omitempty"`
}

// webhookState returns the state of a webhook: "on", "failing", "disabled" or "stopped".
func webhookState(w notification.Webhook) string {
	switch {
	case w.IsStopped:
		return "stopped"
	case !w.IsEnabled():
		return "disabled"
	case !w.FailingSince.IsZero() || w.Error != "":
		return "failing"
	default:
		return "on"
	}
}

func (c *command) newWebhookJSON(w notification.Webhook, applications map[string]string) webhookJSON {
	out := webhookJSON{
		ID: w.ID, URL: w.URL, Description: w.Description, Application: applications[w.Application], State: webhookState(w), Waiting: w.Waiting,
		AddedBy: w.AddedBy, Added: formatJSONTime(w.Added), LastSent: formatJSONTime(w.LastSent), Error: w.Error,
	}
	if until := w.OldSecretsUntil(c.now()); !until.IsZero() {
		out.OldSecretsUntil = formatJSONTime(until)
	}
	for _, t := range w.Topics {
		out.Topics = append(out.Topics, string(t))
	}
	return out
}

// deliveryJSON is one delivery of a webhook in --json output.
type deliveryJSON struct {
	ID       string `json:"id"`
	Event    string `json:"event"`
	Text     string `json:"text"`
	Time     string `json:"time"`
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	LastTry  string `json:"lastTry,omitempty"`
	NextTry  string `json:"nextTry,omitempty"`
	Status   int    `json:"status,omitempty"`
	Answer   string `json:"answer,omitempty"`
	Millis   int64  `json:"tookMilliseconds"`
}

func newDeliveryJSON(d notification.WebhookDelivery) deliveryJSON {
	out := deliveryJSON{
		ID: d.ID, Event: d.Event, Text: d.Text, Time: formatJSONTime(d.Time), State: string(d.State), Attempts: d.Attempts, LastTry: formatJSONTime(d.LastTry),
		Status: d.Status, Answer: d.Answer, Millis: d.TookMillis,
	}
	if d.State == notification.DeliveryWaiting {
		out.NextTry = formatJSONTime(d.NextTry)
	}
	return out
}

func (c *command) webhookCommand() *cobra.Command {
	return groupCommand("webhook", "Signed requests when provisioning needs a person",
		c.webhookAdd(), c.webhookList(), c.webhookSet(), c.webhookTest(), c.webhookRotate(), c.webhookEnable(), c.webhookDisable(), c.webhookRemove(), c.webhookDeliveries(), c.webhookResend())
}

// parseTopics returns the topics that a flag lists.
func parseTopics(names []string) (topics []notification.Topic) {
	for _, name := range names {
		topics = append(topics, notification.Topic(strings.TrimSpace(name)))
	}
	return topics
}

func (c *command) webhookAdd() *cobra.Command {
	var about []string
	var application, description string
	cmd := &cobra.Command{
		Use: "add DIRECTORY URL", Short: "Add a webhook and print its secret, once", Args: exactArguments("DIRECTORY", "URL"),
		Long: `Sends a signed request to URL when the provisioning of DIRECTORY needs a person:
` + topicHelp() + `
Prints the secret, alone, on standard output: it cannot be read again. The endpoint
checks the signature with it, in the form of Standard Webhooks.`,
		Example: "  rollcall webhook add contoso https://hooks.contoso.example/rollcall --about quarantine,held --description 'On call'",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			req := notification.NewWebhook{
				WebhookSettings: notification.WebhookSettings{URL: args[1], Description: description, Topics: parseTopics(about)},
				Directory:       string(h.Directory.ID), Actor: actor,
			}
			names := map[string]string{}
			if application != "" {
				app, err := h.Application(cmd.Context(), application)
				if err != nil {
					return err
				}
				req.Application, names[app.ID] = app.ID, app.Name
			}
			hook, secret, err := s.webhooks.Add(cmd.Context(), req)
			if err != nil {
				return err
			}
			out := c.newWebhookJSON(hook, names)
			out.Secret = secret
			return c.print(out, func(w io.Writer) {
				fmt.Fprintln(w, secret)
				c.note("This secret is not shown again. The webhook %s gets news about: %s.", hook.Label(), strings.Join(out.Topics, ", "))
			})
		}),
	}
	cmd.Flags().StringSliceVar(&about, "about", nil, "topics, with commas between them; all when left out")
	cmd.Flags().StringVar(&application, "application", "", "only this enterprise application; all when left out")
	cmd.Flags().StringVar(&description, "description", "", "what the endpoint is; commands accept it as the name of the webhook")
	return cmd
}

func (c *command) webhookList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY", Short: "List a directory's webhooks, without their secrets", Args: exactArguments("DIRECTORY"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			names, err := applicationNames(cmd, h)
			if err != nil {
				return err
			}
			all, err := s.webhooks.List(cmd.Context(), string(h.Directory.ID))
			if err != nil {
				return err
			}
			out := []webhookJSON{}
			lines := [][]string{}
			for _, w := range all {
				row := c.newWebhookJSON(w, names)
				out = append(out, row)
				lines = append(lines, []string{w.ID, w.Label(), row.Application, strings.Join(row.Topics, ", "), row.State, fmt.Sprint(w.Waiting), c.formatTime(w.LastSent), w.Error})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No webhooks yet. Add one with: rollcall webhook add "+h.Directory.Name+" URL",
					[]string{"Id", "Webhook", "Application", "About", "State", "Waiting", "Last sent", "Error"}, lines)
			})
		}),
	}
}

// findWebhook opens the directory and finds the webhook that the arguments DIRECTORY and WEBHOOK
// name.
func (s *services) findWebhook(cmd *cobra.Command, args []string) (*directory.Handle, notification.Webhook, error) {
	h, err := s.directories.OpenNamed(cmd.Context(), args[0])
	if err != nil {
		return nil, notification.Webhook{}, err
	}
	w, err := s.webhooks.Find(cmd.Context(), string(h.Directory.ID), args[1])
	return h, w, err
}

// webhookAction returns a command that does something to one webhook, and says so.
func (c *command) webhookAction(name, short, done string, do func(cmd *cobra.Command, s *services, directory string, w notification.Webhook) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " DIRECTORY WEBHOOK", Short: short, Args: exactArguments("DIRECTORY", "WEBHOOK"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, hook, err := s.findWebhook(cmd, args)
			if err != nil {
				return err
			}
			if err := do(cmd, s, string(h.Directory.ID), hook); err != nil {
				return err
			}
			return c.print(map[string]string{done: hook.Label(), "id": hook.ID}, func(w io.Writer) {
				fmt.Fprintf(w, "The webhook %s is %s.\n", hook.Label(), done)
			})
		}),
	}
}

func (c *command) webhookEnable() *cobra.Command {
	return c.webhookAction("enable", "Send deliveries again, first those that wait", "enabled", func(cmd *cobra.Command, s *services, directory string, w notification.Webhook) error {
		return s.webhooks.Enable(cmd.Context(), directory, w.ID, actor)
	})
}

func (c *command) webhookDisable() *cobra.Command {
	return c.webhookAction("disable", "Send nothing until the webhook is enabled", "disabled", func(cmd *cobra.Command, s *services, directory string, w notification.Webhook) error {
		return s.webhooks.Disable(cmd.Context(), directory, w.ID, actor)
	})
}

func (c *command) webhookRemove() *cobra.Command {
	return c.webhookAction("remove", "Remove a webhook with its deliveries", "removed", func(cmd *cobra.Command, s *services, directory string, w notification.Webhook) error {
		return s.webhooks.Remove(cmd.Context(), directory, w.ID, actor)
	})
}

func (c *command) webhookSet() *cobra.Command {
	var about []string
	var address, description string
	cmd := &cobra.Command{
		Use: "set DIRECTORY WEBHOOK", Short: "Change the URL, the description or the topics of a webhook", Args: exactArguments("DIRECTORY", "WEBHOOK"),
		Example: "  rollcall webhook set contoso 'On call' --about held",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			flags := cmd.Flags()
			if !flags.Changed("url") && !flags.Changed("about") && !flags.Changed("description") {
				return usagef(cmd, "nothing to change: give --url, --about or --description")
			}
			h, hook, err := s.findWebhook(cmd, args)
			if err != nil {
				return err
			}
			hook, err = s.webhooks.Change(cmd.Context(), string(h.Directory.ID), hook.ID, func(now notification.WebhookSettings) (notification.WebhookSettings, error) {
				if flags.Changed("url") {
					now.URL = address
				}
				if flags.Changed("about") {
					now.Topics = parseTopics(about)
				}
				if flags.Changed("description") {
					now.Description = description
				}
				return now, nil
			}, actor)
			if err != nil {
				return err
			}
			names, err := applicationNames(cmd, h)
			if err != nil {
				return err
			}
			return c.print(c.newWebhookJSON(hook, names), func(w io.Writer) {
				fmt.Fprintf(w, "The webhook %s is changed.\n", hook.Label())
			})
		}),
	}
	cmd.Flags().StringVar(&address, "url", "", "the address of the endpoint")
	cmd.Flags().StringSliceVar(&about, "about", nil, "topics, with commas between them")
	cmd.Flags().StringVar(&description, "description", "", "what the endpoint is")
	return cmd
}

func (c *command) webhookTest() *cobra.Command {
	return &cobra.Command{
		Use: "test DIRECTORY WEBHOOK", Short: "Send a signed test event now and show the answer", Args: exactArguments("DIRECTORY", "WEBHOOK"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, hook, err := s.findWebhook(cmd, args)
			if err != nil {
				return err
			}
			d, err := s.webhooks.SendTest(cmd.Context(), h.Directory.Name, hook, actor)
			if err != nil {
				return err
			}
			if d.State != notification.DeliverySent {
				return fmt.Errorf("the endpoint of %s did not take the test: %s", hook.Label(), d.Outcome())
			}
			return c.print(newDeliveryJSON(d), func(w io.Writer) {
				fmt.Fprintf(w, "The endpoint of %s took the test: %s\n", hook.Label(), d.Outcome())
			})
		}),
	}
}

func (c *command) webhookRotate() *cobra.Command {
	var overlap string
	cmd := &cobra.Command{
		Use: "rotate DIRECTORY WEBHOOK", Short: "Make a new secret and print it, once", Args: exactArguments("DIRECTORY", "WEBHOOK"),
		Long: `Prints the new secret, alone, on standard output: it cannot be read again. Until the
overlap is over, the old secret signs too, so that the endpoint can change to the
new one without losing anything. With --overlap 0s the old secret ends at once.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			d, err := parseDuration(overlap)
			if err != nil {
				return usagef(cmd, "--overlap: %w", err)
			}
			h, hook, err := s.findWebhook(cmd, args)
			if err != nil {
				return err
			}
			hook, secret, err := s.webhooks.Rotate(cmd.Context(), string(h.Directory.ID), hook.ID, d, "", actor)
			if err != nil {
				return err
			}
			names, err := applicationNames(cmd, h)
			if err != nil {
				return err
			}
			out := c.newWebhookJSON(hook, names)
			out.Secret = secret
			return c.print(out, func(w io.Writer) {
				fmt.Fprintln(w, secret)
				words := "The old secret signs no longer."
				if out.OldSecretsUntil != "" {
					words = "The old secret signs too until " + c.formatTime(hook.OldSecretsUntil(c.now())) + "."
				}
				c.note("This secret is not shown again. %s", words)
			})
		}),
	}
	cmd.Flags().StringVar(&overlap, "overlap", "24h", "how long the old secret signs too: 24h, 7d; 0s for not at all")
	return cmd
}

func (c *command) webhookDeliveries() *cobra.Command {
	var before string
	var limit int
	cmd := &cobra.Command{
		Use: "deliveries DIRECTORY WEBHOOK", Short: "List what was sent to a webhook, newest first", Args: exactArguments("DIRECTORY", "WEBHOOK"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			if limit < 1 || limit > notification.KeptDeliveries {
				return usagef(cmd, "--limit is a number from 1 to %d", notification.KeptDeliveries)
			}
			h, hook, err := s.findWebhook(cmd, args)
			if err != nil {
				return err
			}
			page, next, err := s.webhooks.Deliveries(cmd.Context(), string(h.Directory.ID), hook.ID, before, limit)
			if err != nil {
				return err
			}
			out := []deliveryJSON{}
			lines := [][]string{}
			for _, d := range page {
				out = append(out, newDeliveryJSON(d))
				lines = append(lines, []string{d.ID, c.formatTime(d.Time), d.Event, string(d.State), fmt.Sprint(d.Attempts), d.Outcome(), d.Text})
			}
			return c.print(map[string]any{"deliveries": out, "next": next}, func(w io.Writer) {
				printTable(w, "Nothing was sent yet.", []string{"Id", "Time", "Event", "State", "Tries", "Answer", "Text"}, lines)
				if next != "" {
					c.note("More: add --before %s", next)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&before, "before", "", "go on before this cursor, which the previous page named")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many to list")
	return cmd
}

func (c *command) webhookResend() *cobra.Command {
	return &cobra.Command{
		Use: "resend DIRECTORY WEBHOOK DELIVERY", Short: "Have the server send a delivery again", Args: exactArguments("DIRECTORY", "WEBHOOK", "DELIVERY"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, hook, err := s.findWebhook(cmd, args)
			if err != nil {
				return err
			}
			if err := s.webhooks.SendAgain(cmd.Context(), string(h.Directory.ID), hook.ID, args[2]); err != nil {
				return err
			}
			return c.print(map[string]string{"resent": args[2], "id": hook.ID}, func(w io.Writer) {
				fmt.Fprintf(w, "The delivery %s will be sent again by the server, with the same webhook-id.\n", args[2])
			})
		}),
	}
}
