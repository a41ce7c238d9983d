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

// access is what a command does with the database.
type access int

const (
	noDatabase access = iota
	reads             // and never makes one, nor a key
	writes            // in one that is there
	makes             // and makes one where there is none
)

// makers are the commands that begin with nothing, beside serve, as messages name them.
const makers = "rollcall site create NAME, rollcall directory create NAME, rollcall operator link and rollcall migrate"

// trait is what a command does with what all commands share. A global flag that would change nothing is refused.
type trait struct {
	access access
	flags  []string // the global flags that change what it does
}

// The global flags that go together.
func shared(a access, more ...string) trait {
	t := trait{access: a, flags: more}
	if a != noDatabase {
		t.flags = append(t.flags, "database", "key-file")
	}
	return t
}

// traitOf is the trait of the command of that path. A command without an entry here has none, which a test refuses.
func traitOf(path string) (trait, bool) {
	targets := []string{"public-url", "allow-private-targets", "allow-loopback-targets"}
	switch path {
	case "serve":
		return shared(makes, targets...), true
	case "demo":
		return trait{flags: append(targets, "json")}, true
	case "site list", "site show":
		return shared(reads, "json", "public-url"), true
	case "site create", "operator link":
		return shared(makes, "json", "public-url"), true
	case "directory create", "migrate":
		return shared(makes, "json"), true
	case "site set", "site rename", "site link", "token create", "directory rename":
		return shared(writes, "json", "public-url"), true
	case "site schema show", "site searchable show", "token list", "operator list", "operator sessions", "site sessions", "site held list", "site look-alikes",
		"retention show", "audit",
		"directory list", "directory show", "directory user list", "directory user show", "app list", "app show", "provision status", "provision log":
		return shared(reads, "json"), true
	case "directory export", "app export-schema":
		return shared(reads), true
	case "site delete", "site import-people", "site schema set", "site schema clear", "site searchable add", "site searchable remove",
		"token revoke", "operator remove", "operator sign-out", "site sign-out", "site block", "site unblock", "site held apply", "site held refuse",
		"directory delete", "directory import",
		"directory user add", "directory user set", "directory user disable", "directory user enable", "directory user delete", "directory user restore", "directory user purge",
		"app rename", "app delete", "app assign", "app unassign", "app import-schema", "provision start", "provision pause", "provision restart",
		"key rotate", "key reset", "retention set", "prune", "database compact", "site erase", "directory user erase":
		return shared(writes, "json"), true
	case "app create", "app set", "provision run":
		return shared(writes, append(targets, "json")...), true
	case "provision test", "provision plan":
		return shared(reads, append(targets, "json")...), true
	case "backup":
		return shared(reads, "json"), true
	case "restore":
		return shared(writes, "json"), true
	case "expr", "key create", "version":
		return trait{flags: []string{"json"}}, true
	}
	return trait{}, false
}

// checkFlags refuses flags that would be ignored: a global one that the command does not look at, and one without a value, as in
// --actions "$ACTIONS" where there is none.
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

func whyIgnored(cmd *cobra.Command, flag string) string {
	if cmd.Name() == "demo" && (flag == "database" || flag == "key-file") {
		return " (the demo has a temporary database of its own; rollcall serve --database serves yours)"
	}
	return ""
}

// hideIgnored leaves out of a command's help the global flags that it does not look at.
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

// accessOf is what a command does with the database.
func accessOf(cmd *cobra.Command) access {
	t, _ := traitOf(strings.TrimSpace(commandPath(cmd)))
	return t.access
}

// noDatabaseYet is the answer of a command that needs a database where there is none: its name may be mistyped.
func (c *command) noDatabaseYet() error {
	where := "at " + sqldb.Path(c.database)
	if sqldb.Kind(c.database) == sqldb.PostgreSQL {
		where = "on this PostgreSQL server yet: it has no tables of Rollcall's"
	}
	return fmt.Errorf("there is no database %s; if yours is elsewhere, name it with --database; rollcall serve makes a new one, and so do %s", where, makers)
}

// missing says whether a SQLite file is not there.
func missing(database string) bool {
	if sqldb.Kind(database) != sqldb.SQLite {
		return false
	}
	_, err := os.Stat(sqldb.Path(database))
	return errors.Is(err, fs.ErrNotExist)
}

// saysNew names a database that a command has just made. Who meant another one sees it at once.
func (c *command) saysNew() {
	if sqldb.Kind(c.database) == sqldb.PostgreSQL {
		c.note("This PostgreSQL database held nothing of Rollcall's: its tables were made.")
		return
	}
	c.note("There was no database at %s: a new one was made.", sqldb.Path(c.database))
}

// noKey stands in for a key that is not there, where nothing is sealed yet.
type noKey struct{}

func (noKey) Seal([]byte, string) ([]byte, error) { return nil, errNoKey }
func (noKey) Open([]byte, string) ([]byte, error) { return nil, errNoKey }

var errNoKey = errors.New("there is no key for stored credentials")
