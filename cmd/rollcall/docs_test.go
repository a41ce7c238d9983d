package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// notRun holds how many blocks of commands cannot run here, by page. A comment above each block
// says why.
var notRun = map[string]int{
	"README.md":          1, // the demo, and the commands that run the tests
	"docs/guide.md":      1, // the demo; TestGuide in internal/apptest follows the page
	"docs/operations.md": 2, // a measurement; operations on hold
}

// TestEveryCommandOfTheDocsRuns runs every block of commands in README.md and docs/*.md, and checks
// what the commands have set. All blocks of a page run in one shell and one folder. HTML comments,
// which readers do not see, say what else the test must do:
//
//	<!-- before: COMMAND -->            a command that must run before the block
//	<!-- file: NAME -->                 the next block is that file
//	<!-- then: COMMAND => PATTERN -->   a command after the block; a line of its output must match
//	<!-- not run: WHY -->               the next block cannot run here
func TestEveryCommandOfTheDocsRuns(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range append(pages, "../../README.md") {
		name := strings.TrimPrefix(filepath.ToSlash(page), "../../")
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		script, blocks, skipped, err := pageScript(string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if skipped != notRun[name] {
			t.Errorf("%s: %d blocks are not run, the list says %d", name, skipped, notRun[name])
		}
		if ran += blocks; blocks > 0 {
			t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
				t.Parallel()
				runPage(t, script)
			})
		}
	}
	if ran < 7 {
		t.Errorf("found %d blocks; are they written in another way?", ran)
	}
}

var (
	comment = regexp.MustCompile(`^<!-- (before|file|then|not run): (.*) -->$`)
	// shellFence matches the beginning of a block of commands. A block without a language must not
	// look like one.
	shellFence = regexp.MustCompile("^```(sh|bash|shell|console)$")
	ownCommand = regexp.MustCompile(`^(\$ )?(bin/)?rollcall `)
)

// pageScript makes one shell script of a page.
func pageScript(text string) (script string, blocks, skipped int, err error) {
	var out strings.Builder
	var why, file string
	unread := "" // a block whose effect nothing has read back yet
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if m := comment.FindStringSubmatch(line); m != nil {
			switch m[1] {
			case "before":
				fmt.Fprintln(&out, m[2])
			case "file":
				file = m[2]
			case "not run":
				why = m[2]
			case "then":
				run, pattern, ok := strings.Cut(m[2], " => ")
				if !ok {
					return "", 0, 0, fmt.Errorf("line %d: a then has the form COMMAND => PATTERN", i+1)
				}
				fmt.Fprintf(&out, "%s > then.txt\ngrep -qE -- %s then.txt || { echo %s; cat then.txt; exit 1; }\n", run, quoted(pattern), quoted(m[2]+" has printed:"))
				unread = ""
			}
			continue
		}
		if !strings.HasPrefix(line, "```") {
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		block := lines[i+1 : min(end, len(lines))]
		switch {
		case file != "":
			fmt.Fprintf(&out, "cat > %s <<'END-OF-FILE'\n%s\nEND-OF-FILE\n", quoted(file), strings.Join(block, "\n"))
		case shellFence.MatchString(line) && why != "":
			skipped++
		case shellFence.MatchString(line):
			if unread != "" {
				return "", 0, 0, fmt.Errorf("nothing reads back what the block of %s set: write <!-- then: COMMAND => PATTERN --> below it", unread)
			}
			for _, l := range block {
				l = strings.TrimPrefix(l, "$ ")
				fmt.Fprintln(&out, l)
				if strings.HasSuffix(strings.TrimSpace(l), "&") {
					fmt.Fprintln(&out, "wait_for_server")
				}
			}
			blocks++
			unread = fmt.Sprintf("line %d", i+1)
		case line == "```" && len(block) > 0 && ownCommand.MatchString(block[0]):
			return "", 0, 0, fmt.Errorf("line %d: a block of commands begins with ```sh or ```console", i+1)
		}
		why, file, i = "", "", end
	}
	if unread != "" {
		err = fmt.Errorf("nothing reads back what the block of %s set: write <!-- then: COMMAND => PATTERN --> below it", unread)
	}
	return out.String(), blocks, skipped, err
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// nextPort is used to choose ports below the range from which systems choose free ports. So no
// listener of another test takes such a port in the meantime.
var nextPort atomic.Int64

// fixedPort returns a port of 127.0.0.1 that is free, and that no later call returns.
func fixedPort(t *testing.T) string {
	t.Helper()
	for range 1_000 {
		port := strconv.FormatInt(20_000+(int64(os.Getpid())*31+nextPort.Add(1))%10_000, 10)
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return ""
}

// runPage runs the script of a page in a new folder. bin/rollcall is the real binary, which is
// built before. The script uses another port instead of the usual port, which may be taken.
func runPage(t *testing.T, script string) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(apptest.Binary(t), filepath.Join(dir, "bin", "rollcall")); err != nil {
		t.Fatal(err)
	}
	host, port := "127.0.0.1", fixedPort(t)
	listen := net.JoinHostPort(host, port)
	prelude := `set -euo pipefail
make() { test "$*" = build; }
wait_for_server() {
	until { exec 3<>/dev/tcp/` + host + "/" + port + ` && printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3 && grep -q '200 OK' <&3; } 2>/dev/null; do kill -0 $! || exit 1; done
	exec 3>&-
}
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
`
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", prelude+strings.ReplaceAll(script, defaultListen, listen))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TZ=UTC", "HOME="+dir, "ROLLCALL_LISTEN="+listen)
	for _, name := range environment() {
		if name != "ROLLCALL_LISTEN" {
			cmd.Env = append(cmd.Env, name+"=")
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\nof the script\n%s", err, out, script)
	}
}

func TestPagesWithoutReadingBackAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"```sh\nrollcall site create a\n```\n":                            "nothing reads back what the block of line 1 set",
		"```\nrollcall site create a\n```\n":                              "begins with ```sh",
		"```sh\nrollcall site create a\n```\n<!-- then: rollcall x -->\n": "COMMAND => PATTERN",
	} {
		if _, _, _, err := pageScript(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	script, blocks, skipped, err := pageScript("<!-- not run: why -->\n```sh\nfalse\n```\n```console\n$ echo a\n```\n<!-- then: echo b => b -->\n")
	if err != nil || blocks != 1 || skipped != 1 || strings.Contains(script, "false") || !strings.Contains(script, "echo a\n") {
		t.Errorf("got %d and %d, %v\n%s", blocks, skipped, err, script)
	}
}
