package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// access says how a command uses the database.
type access int

const (
	noDatabase access = iota
	reads             // reads the database; never creates a database or a key
	writes            // writes to an existing database
	creates           // writes to the database, and creates it if there is none
)

// creatingCommands names the commands that create a database, without serve. It is used in
// messages.
const creatingCommands = "rollcall site create NAME, rollcall directory create NAME, rollcall operator link and rollcall migrate"

// trait says how a command uses the database and which global flags it uses. A command refuses a
// global flag that it does not use.
type trait struct {
	access access
	flags  []string // the names of the global flags that the command uses
}

// sharedTrait returns a trait with the given access. Its flags are the global flags that more lists.
// If the command uses a database, --database and --key-file are added to them.
func sharedTrait(a access, more ...string) trait {
	t := trait{access: a, flags: more}
	if a != noDatabase {
		t.flags = append(t.flags, "database", "key-file")
	}
	return t
}

// traitOf returns the trait of the command with this path. The bool is false if there is no such
// trait. A test checks that every command has a trait.
func traitOf(path string) (trait, bool) {
	targets := []string{"public-url", "allow-private-targets", "allow-loopback-targets"}
	switch path {
	case "serve":
		return sharedTrait(creates, targets...), true
	case "demo":
		return trait{flags: append(targets, "json")}, true
	case "site list", "site show", "site sso show", "notification test":
		return sharedTrait(reads, "json", "public-url"), true
	case "site create", "operator link":
		return sharedTrait(creates, "json", "public-url"), true
	case "directory create", "migrate":
		return sharedTrait(creates, "json"), true
	case "site set", "site sso set", "site sso rotate-key", "site rename", "site link", "token create", "directory rename", "directory key create":
		return sharedTrait(writes, "json", "public-url"), true
	case "site schema show", "site searchable show", "token list", "operator list", "operator sessions", "operator identities", "site sessions", "site held list", "site look-alikes",
		"retention show", "audit", "notification list", "webhook list", "webhook deliveries",
		"directory list", "directory show", "directory key list", "directory user list", "directory user show",
		"directory group list", "directory group show", "directory group member list", "app role list", "app mapping list", "app mapping show", "app mapping filter list", "app mapping version list", "app mapping version show", "app attribute list", "app list", "app show", "provision list", "provision status", "provision log", "provision connections list", "provision connections show", "provision held", "provision plan list", "provision plan show":
		return sharedTrait(reads, "json"), true
	case "site sso metadata":
		return sharedTrait(reads, "public-url"), true
	case "directory export", "directory export-groups", "directory export-members", "app export-schema":
		return sharedTrait(reads), true
	case "site delete", "site import-people", "site schema set", "site schema clear", "site searchable add", "site searchable remove",
		"token revoke", "operator remove", "operator sign-out", "operator unlink", "site sign-out", "site block", "site unblock", "site held apply", "site held refuse", "site sso unlink", "site sso recovery-codes",
		"directory key revoke", "notification add", "notification remove", "notification resume", "webhook rotate", "webhook enable", "webhook disable", "webhook remove", "webhook resend",
		"directory set", "directory delete", "directory import", "directory import-groups", "directory import-members",
		"directory group create", "directory group set", "directory group delete", "directory group restore", "directory group purge",
		"directory group member add", "directory group member remove", "app role create", "app role set", "app role delete",
		"directory user add", "directory user set", "directory user disable", "directory user enable", "directory user delete", "directory user restore", "directory user purge",
		"app mapping move", "app mapping configure", "app mapping filter set", "app mapping filter remove", "app attribute set", "app attribute remove",
		"app rename", "app delete", "app assign", "app unassign", "app import-schema", "provision start", "provision pause", "provision restart", "provision approve", "provision reject", "provision plan approve", "provision plan cancel", "provision discovered", "provision discovered assign", "provision discovered keep",
		"key rotate", "key reset", "retention set", "prune", "database compact", "site erase", "directory user erase":
		return sharedTrait(writes, "json"), true
	case "webhook add", "webhook set", "webhook test", "app create", "app set", "app mapping set", "app mapping remove", "app mapping restore-default", "app mapping version restore", "provision run", "provision on-demand", "provision connections forget", "provision connections link", "provision plan", "provision plan apply", "provision undo", "provision drift", "provision discover", "provision discovered disable", "provision discovered link":
		return sharedTrait(writes, append(targets, "json")...), true
	case "provision test", "provision why":
		return sharedTrait(reads, append(targets, "json")...), true
	case "backup":
		return sharedTrait(reads, "json"), true
	case "restore":
		return sharedTrait(writes, "json"), true
	case "expr":
		return sharedTrait(reads, "json"), true
	case "key create", "version":
		return trait{flags: []string{"json"}}, true
	}
	return trait{}, false
}

// checkFlags refuses flags that would have no effect: global flags that the command does not use,
// and flags with an empty value, as in --actions "$ACTIONS" when ACTIONS is not set.
func checkFlags(cmd *cobra.Command) (err error) {
	t, known := traitOf(strings.TrimSpace(commandPath(cmd)))
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch global := cmd.Root().PersistentFlags().Lookup(f.Name) != nil; {
		case err != nil:
		case known && global && !slices.Contains(t.flags, f.Name):
			err = usagef(cmd, "--%s changes nothing here: leave it out%s", f.Name, whyIgnored(cmd, f.Name))
		case f.Value.Type() == "string" && strings.TrimSpace(f.Value.String()) == "":
			err = usagef(cmd, "--%s is empty: give it a value or leave it out", f.Name)
		}
	})
	return err
}

// whyIgnored returns the end of an error message that says why the command ignores a flag; "" if
// there is nothing to say.
func whyIgnored(cmd *cobra.Command, flag string) string {
	if cmd.Name() == "demo" && (flag == "database" || flag == "key-file") {
		return " (the demo has a temporary database of its own; rollcall serve --database serves yours)"
	}
	return ""
}

// hideIgnored removes from a command's help the global flags that it does not use.
func hideIgnored(cmd *cobra.Command) {
	t, known := traitOf(strings.TrimSpace(commandPath(cmd)))
	if !known {
		return
	}
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(t.flags, f.Name) && f.Name != "help" {
			f.Hidden = true
		}
	})
}

// accessOf returns how a command uses the database.
func accessOf(cmd *cobra.Command) access {
	t, _ := traitOf(strings.TrimSpace(commandPath(cmd)))
	return t.access
}

// noDatabaseYet returns the error for a command that needs a database when there is none. The error
// shows the name of the database, because the user may have mistyped it.
func (c *command) noDatabaseYet() error {
	where := "at " + sqldb.Path(c.database)
	if sqldb.Kind(c.database) == sqldb.PostgreSQL {
		where = "on this PostgreSQL server yet: it has no tables of Rollcall's"
	}
	return fmt.Errorf("there is no database %s; if yours is elsewhere, name it with --database; rollcall serve makes a new one, and so do %s", where, creatingCommands)
}

// isMissing reports whether the file of a SQLite database does not exist.
func isMissing(database string) bool {
	if sqldb.Kind(database) != sqldb.SQLite {
		return false
	}
	_, err := os.Stat(sqldb.Path(database))
	return errors.Is(err, fs.ErrNotExist)
}

// printNewDatabase prints the name of a database that the command has just created. A user who
// meant another database then notices the mistake.
func (c *command) printNewDatabase() {
	if sqldb.Kind(c.database) == sqldb.PostgreSQL {
		c.note("This PostgreSQL database held nothing of Rollcall's: its tables were made.")
		return
	}
	c.note("There was no database at %s: a new one was made.", sqldb.Path(c.database))
}

// noKey is a sealer without a key. A database may lack a key as long as nothing is sealed in it.
type noKey struct{}

func (noKey) Seal([]byte, string) ([]byte, error) { return nil, errNoKey }
func (noKey) Open([]byte, string) ([]byte, error) { return nil, errNoKey }

var errNoKey = errors.New("there is no key for stored credentials")
