package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/site"
)

// elsewhere returns the flags that a test in Go sets and checks, with the name of that test.
func elsewhere() map[string]string {
	tests := map[string]string{
		"demo --listen":               "TestTheDemoGivesNewLinks",
		"demo --done":                 "TestTheDemoAfterTheGuide",
		"key rotate --prepare":        "TestKeyRotateOverSeveralMachines",
		"key rotate --finish":         "TestKeyRotate",
		"key reset --discard-sealed":  "TestKeyReset",
		"site erase --yes":            "TestSiteErase",
		"serve --create-settle":       "provision.TestKill",
		"provision discover --cancel": "TestACancelledDiscoveryLeavesRoomForAnother",
	}
	for _, x := range site.SettingsTable {
		tests["site set --"+x.Flag] = "apptest.TestEverySettingIsSetAndReadEverywhere"
	}
	return tests
}

// TestEveryFlagIsSetAndReadBack checks that the scripts use each flag of each command: a script
// must set the flag in a command that succeeds, and then check the effect. The output of a writing
// command only repeats what it was asked to do. So a command that only reads must show the effect,
// and the script must check its output. For a reading command, a check of its own output is enough.
// The same holds for a command that ends with exit code 2, because there is something to do: unlike
// a refused command, it writes to standard output.
func TestEveryFlagIsSetAndReadBack(t *testing.T) {
	t.Parallel()
	commands := leaves(t)
	covered := map[string]bool{}
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) < 8 {
		t.Fatalf("got %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for flag := range readBack(string(text), commands) {
			covered[flag] = true
		}
	}
	exempt := elsewhere()
	for path, cmd := range commands {
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			flag := path + " --" + f.Name
			if f.Name == "help" || covered[flag] || exempt[flag] != "" {
				return
			}
			t.Errorf("no story sets %s and reads it back", flag)
		})
	}
	// No application answers at the addresses of these tests. What the tests check is that the flag
	// removes the refusal.
	covered["provision test --allow-private-targets"] = true  // flags.txtar
	covered["provision test --allow-loopback-targets"] = true // TestLoopbackIsOpenWhereTheInstallationIsLocal
	commands["site list"].Root().PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !slices.ContainsFunc(keys(covered), func(flag string) bool { return strings.HasSuffix(flag, " --"+f.Name) }) {
			t.Errorf("no story sets --%s and reads it back", f.Name)
		}
	})
	for flag := range exempt {
		path, name, _ := strings.Cut(flag, " --")
		if cmd := commands[path]; cmd == nil || cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
			t.Errorf("%s does not exist and needs no exemption", flag)
		}
	}
}

func keys(m map[string]bool) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

var checkLine = regexp.MustCompile(`^(! )?(stdout|stderr|grep|cmp|exists|save|mail) `)

// readBack returns the flags, in the form "command --flag", that a script sets and checks.
func readBack(story string, commands map[string]*cobra.Command) map[string]bool {
	story, _, _ = strings.Cut(story, "\n-- ")
	found, waiting := map[string]bool{}, []string{}
	var now []string      // flags of the command whose own output is checked
	var answered []string // flags of a command that ended with an exit code other than 0
	var shows bool        // whether the last command only reads
	for line := range strings.Lines(story) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "until "); ok { // until PATTERN rollcall …: a reading command with its check
			if i := strings.Index(rest, "rollcall "); i >= 0 {
				if path, _ := parseLine(rest[i:], commands); readingPath(path) {
					markAll(found, waiting)
					waiting = nil
				}
			}
			continue
		}
		if checkLine.MatchString(line) {
			markAll(found, now)
			if strings.HasPrefix(line, "stdout ") {
				markAll(found, answered)
			}
			if shows {
				markAll(found, waiting)
				waiting = nil
			}
			continue
		}
		rest, server := strings.CutPrefix(line, "serve ")
		switch {
		case server && rest != "stop":
			_, flags := parseLine("rollcall serve "+rest, commands)
			now, shows = flags, false
			waiting = append(waiting, flags...)
		case strings.HasPrefix(line, "rollcall "):
			path, flags := parseLine(line, commands)
			now, answered, shows = nil, nil, readingPath(path)
			if t, _ := traitOf(path); t.access == writes || t.access == creates {
				waiting = append(waiting, flags...)
			} else {
				now = flags
			}
		case strings.HasPrefix(line, "get ") || strings.HasPrefix(line, "! rollcall"):
			shows = strings.HasPrefix(line, "get ")
			answered = nil
			if refused, ok := strings.CutPrefix(line, "! "); ok {
				now = nil
				_, answered = parseLine(refused, commands)
			}
		}
	}
	return found
}

func readingPath(path string) bool {
	t, ok := traitOf(path)
	return ok && t.access == reads
}

func markAll(found map[string]bool, flags []string) {
	for _, f := range flags {
		found[f] = true
	}
}

// parseLine returns the command and the flags of a line of a script.
func parseLine(line string, commands map[string]*cobra.Command) (path string, flags []string) {
	words := strings.Fields(line)[1:]
	for n := min(4, len(words)); n > 0; n-- {
		if p := strings.Join(words[:n], " "); commands[p] != nil {
			path = p
			break
		}
	}
	for _, w := range words {
		name, ok := strings.CutPrefix(w, "--")
		if name, _, _ = strings.Cut(name, "="); ok && name != "" {
			flags = append(flags, path+" --"+name)
		}
	}
	return path, flags
}

func TestAStoryThatReadsNothingBackCoversNothing(t *testing.T) {
	t.Parallel()
	commands := leaves(t)
	for story, want := range map[string]bool{
		"rollcall app set a b --scope all\nrollcall app show a b\nstdout 'Scope all'\n": true,
		"rollcall app set a b --scope all\nstdout 'scope all'\n":                        false, // checks its own output
		"rollcall app set a b --scope all\nrollcall app show a b\n":                     false, // nothing is checked
		"! rollcall app set a b --scope all\nrollcall app show a b\nstdout x\n":         false, // refused
		"! rollcall app set a b --scope all\nstderr x\n":                                false, // refused, with a reason
		"! rollcall app set a b --scope all\nstdout x\n":                                true,  // ended with exit code 2
	} {
		if got := readBack(story, commands)["app set --scope"]; got != want {
			t.Errorf("%q: got %v, want %v", story, got, want)
		}
	}
}
