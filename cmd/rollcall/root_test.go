package main

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// leaves returns the commands that do something, by their paths. It leaves out cobra's own
// commands.
func leaves(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	all := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := strings.TrimSpace(commandPath(cmd))
		if path == "help" || strings.HasPrefix(path, "completion") {
			return
		}
		if !cmd.HasSubCommands() {
			all[path] = cmd
		}
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(newRoot(process{getenv: func(string) string { return "" }}))
	if len(all) < 50 {
		t.Fatalf("found %d commands", len(all))
	}
	return all
}

func TestEveryCommandSaysWhichGlobalFlagsItLooksAt(t *testing.T) {
	t.Parallel()
	for path, cmd := range leaves(t) {
		tr, ok := traitOf(path)
		if !ok {
			t.Errorf("%s has no trait", path)
		}
		for _, flag := range tr.flags {
			if cmd.Root().PersistentFlags().Lookup(flag) == nil {
				t.Errorf("%s: there is no global flag --%s", path, flag)
			}
		}
		if cmd.Short == "" {
			t.Errorf("%s does not say what it does", path)
		}
	}
}

func TestVersionOfABuildThatNobodyStamped(t *testing.T) {
	t.Parallel()
	settings := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"}}
	for want, info := range map[string]debug.BuildInfo{
		"v1.2.3":                            {Main: debug.Module{Version: "v1.2.3"}, Settings: settings},
		"devel-0123456789ab+dirty (go1.26)": {Main: debug.Module{Version: "(devel)"}, Settings: settings, GoVersion: "go1.26"},
		"devel-0123456789ab (go1.26)":       {Settings: settings[:1], GoVersion: "go1.26"},
		"devel (go1.26)":                    {GoVersion: "go1.26"},
	} {
		if got := buildVersion(&info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
