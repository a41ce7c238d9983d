package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// hostileText clears the screen, changes the title of the window, begins another line, and ends
// with bytes that are not text.
const hostileText = "\x1b[2J\x1b]0;owned\x07\u009b31m\nsuccess  disable  Kim: active\r\n\x7f\xff"

func TestNamesOfOthersDoNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	entry := provision.LogEntry{Action: provision.Update, Status: provision.StatusInfo{Status: provision.Failure, Reason: hostileText}, SourceIdentity: provision.Identity{DisplayName: hostileText}}
	if err := printLogLine(peopleWriter{&out}, entry); err != nil {
		t.Fatal(err)
	}
	planned := provision.PlannedObject{UserName: hostileText, Result: provision.Skipped, Reason: hostileText}
	if err := printPlannedObject(peopleWriter{&out}, planned); err != nil {
		t.Fatal(err)
	}
	planned.Result, planned.Action, planned.Changes = provision.Success, provision.Update, []provision.Change{{Path: "displayName", Old: hostileText, New: []any{hostileText}}}
	if err := printPlannedObject(peopleWriter{&out}, planned); err != nil {
		t.Fatal(err)
	}
	printTable(peopleWriter{&out}, "", []string{"Name"}, [][]string{{hostileText}})
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07\u009b\r\x7f") {
		t.Errorf("control characters reach the terminal: %q", got)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "success  disable  Kim") {
			t.Errorf("a name has become a line of the log: %q", out.String())
		}
	}
}

func TestErrorsDoNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	p := process{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &stderr, getenv: func(string) string { return "" }}
	if code := run(t.Context(), []string{"expr", hostileText}, p); code == 0 {
		t.Fatal("it was taken for an expression")
	}
	if got := stderr.String(); got == "" || strings.ContainsAny(got, "\x1b\x07\u009b\r\x7f") {
		t.Errorf("got %q", got)
	}
}

func TestCharactersThatSteerAreWrittenByNumber(t *testing.T) {
	t.Parallel()
	const name = "a\u202eb\u009bc\x7fd\u2066e"
	var out bytes.Buffer
	c := &command{process: process{stdout: &out}, json: true}
	if err := c.print(map[string]string{"name": name}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.printLine(map[string]string{"name": name}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, name[1:4]+"\u009b\x7f\u2066") || strings.Count(got, `"a\u202eb\u009bc\u007fd\u2066e"`) != 2 {
		t.Errorf("JSON: %q", got)
	}
	for dec := json.NewDecoder(&out); ; {
		var back map[string]string
		if err := dec.Decode(&back); err == io.EOF {
			break
		} else if err != nil || back["name"] != name {
			t.Fatalf("read back: %q, %v", back, err)
		}
	}
	out.Reset()
	printTable(peopleWriter{&out}, "", []string{"Name"}, [][]string{{name}})
	if got := out.String(); !strings.Contains(got, "a⟨U+202E⟩b⟨U+009B⟩c⟨U+007F⟩d⟨U+2066⟩e") {
		t.Errorf("table: %q", got)
	}
}
