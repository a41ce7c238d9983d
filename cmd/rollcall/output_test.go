package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// hostileText clears the screen, renames the window, begins another line, and is no text at its end.
const hostileText = "\x1b[2J\x1b]0;owned\x07\u009b31m\nsuccess  disable  Kim: active\r\n\x7f\xff"

func TestNamesOfOthersDoNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	entry := provision.LogEntry{Action: provision.Update, Status: provision.StatusInfo{Status: provision.Failure, Reason: hostileText}, SourceIdentity: provision.Identity{DisplayName: hostileText}}
	if err := printLogLine(forPeople{&out}, entry); err != nil {
		t.Fatal(err)
	}
	planned := provision.PlannedObject{UserName: hostileText, Result: provision.Skipped, Reason: hostileText}
	if err := printPlanned(forPeople{&out}, planned); err != nil {
		t.Fatal(err)
	}
	planned.Result, planned.Action, planned.Changes = provision.Success, provision.Update, []provision.Change{{Path: "displayName", Old: hostileText, New: []any{hostileText}}}
	if err := printPlanned(forPeople{&out}, planned); err != nil {
		t.Fatal(err)
	}
	rows(forPeople{&out}, "", []string{"Name"}, [][]string{{hostileText}})
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
