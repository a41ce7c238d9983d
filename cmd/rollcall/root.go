package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/event"
)

// command holds the data that all subcommands share: the process and the global flags.
type command struct {
	process
	database  string // the path of a SQLite file, or the URL of a PostgreSQL database
	keyFile   string // the path of the key file; empty for the default path
	publicURL string // the address of this installation for people; empty if it is not known
	json      bool   // whether to print results as JSON
	linkHelp  string // the text that tells people how to get a new sign-in link; empty if they can use a command
	// allowPrivate lets provisioning reach private addresses.
	allowPrivate bool
	// allowLoopback lets provisioning reach this machine even if the public URL is elsewhere.
	allowLoopback bool
}

const defaultDatabase = "rollcall.db"

func newRoot(p process) *cobra.Command {
	c := &command{process: p}
	root := &cobra.Command{
		Use:   "rollcall",
		Short: "Keeps the people of an application in step with the people of a company",
		Long: `Rollcall implements both ends of SCIM provisioning in one binary:
sites (an application's SCIM endpoint, its roles and its administrators) and
directories (a company's users and the enterprise applications they are
provisioned into).

  rollcall demo     shows both ends in a temporary database
  rollcall serve    runs them`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       versionText(),
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetContext(event.WithActor(cmd.Context(), currentActor()))
			return checkFlags(cmd)
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(badFlag)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		hideIgnored(cmd)
		help(cmd, args)
	})
	flags := root.PersistentFlags()
	flags.StringVar(&c.database, "database", c.env("ROLLCALL_DATABASE", defaultDatabase), "SQLite file or postgres:// URL [ROLLCALL_DATABASE]")
	flags.StringVar(&c.keyFile, "key-file", c.env("ROLLCALL_KEY_FILE", ""), "key that seals stored credentials; made beside a SQLite file when absent [ROLLCALL_KEY_FILE]")
	flags.StringVar(&c.publicURL, "public-url", c.env("ROLLCALL_PUBLIC_URL", ""), "address at which people and identity providers reach this installation [ROLLCALL_PUBLIC_URL]")
	flags.BoolVar(&c.json, "json", false, "print JSON")
	flags.BoolVar(&c.allowPrivate, "allow-private-targets", c.env("ROLLCALL_ALLOW_PRIVATE_TARGETS", "") == "1", "let provisioning reach private addresses of this network [ROLLCALL_ALLOW_PRIVATE_TARGETS=1]")
	flags.BoolVar(&c.allowLoopback, "allow-loopback-targets", c.env("ROLLCALL_ALLOW_LOOPBACK_TARGETS", "") == "1", "let provisioning reach this machine, also when --public-url is another one [ROLLCALL_ALLOW_LOOPBACK_TARGETS=1]")
	root.AddCommand(
		c.serveCommand(), c.demoCommand(),
		c.siteCommand(), c.tokenCommand(), c.operatorCommand(),
		c.directoryCommand(), c.appCommand(), c.provisionCommand(), c.notificationCommand(), c.webhookCommand(),
		c.retentionCommand(), c.pruneCommand(), c.databaseCommand(),
		c.exprCommand(), c.auditCommand(), c.keyCommand(), c.migrateCommand(), c.backupCommand(), c.restoreCommand(), c.versionCommand(),
	)
	c.complete(root)
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultCompletionCmd()
	for _, child := range root.Commands() {
		if child.Name() == "completion" {
			child.Args = noSuchCommand
			child.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// env returns the value of an environment variable, or fallback if it is not set.
func (c *command) env(name, fallback string) string {
	if v := c.getenv(name); v != "" {
		return v
	}
	return fallback
}

// groupCommand returns a command that only holds subcommands.
func groupCommand(use, short string, children ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.AddCommand(children...)
	return g
}

// exactArguments requires exactly the arguments that want lists. Its error names the first missing
// argument.
func exactArguments(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(want) {
			return usagef(cmd, "%s is missing: rollcall %s%s", want[len(args)], commandPath(cmd), strings.Join(want, " "))
		}
		if len(args) > len(want) {
			return usagef(cmd, "%q is one argument too many: rollcall %s%s", args[len(want)], commandPath(cmd), strings.Join(want, " "))
		}
		return nil
	}
}

// print writes v as JSON if --json was given; otherwise it calls text.
func (c *command) print(v any, text func(w io.Writer)) error {
	if !c.json {
		text(peopleWriter{c.stdout})
		return nil
	}
	enc := json.NewEncoder(jsonWriter{c.stdout})
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// note prints a message for the person at the terminal. The message goes to standard error,
// separate from the result.
func (c *command) note(format string, args ...any) {
	fmt.Fprintf(peopleWriter{c.stderr}, format+"\n", args...)
}

// printTable prints a table with a header line. If there are no lines, it prints the text in empty
// instead.
func printTable(w io.Writer, empty string, header []string, lines [][]string) {
	if len(lines) == 0 {
		fmt.Fprintln(w, empty)
		return
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = 0
	t.SetStyle(style)
	t.AppendHeader(tableRow(header))
	for _, line := range lines {
		t.AppendRow(tableRow(line))
	}
	t.Render()
}

func tableRow(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, cell := range cells {
		r[i] = oneLine(cell)
	}
	return r
}

func (c *command) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactArguments(),
		RunE: func(*cobra.Command, []string) error {
			return c.print(map[string]string{"version": versionText()}, func(w io.Writer) { fmt.Fprintln(w, versionText()) })
		},
	}
}
