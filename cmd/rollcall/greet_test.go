package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheFirstOperatorsLinkIsInNoLog checks that the first operator's link is not logged. Otherwise
// every start of a server without an operator would leave a usable link in the log.
func TestTheFirstOperatorsLinkIsInNoLog(t *testing.T) {
	t.Parallel()
	for _, screen := range []bool{false, true} {
		var out bytes.Buffer
		c := &command{
			database: filepath.Join(t.TempDir(), "rollcall.db"), publicURL: "https://people.example",
			process: process{stdin: strings.NewReader(""), stdout: &out, stderr: &bytes.Buffer{}, getenv: func(string) string { return "" }, now: time.Now, outputIsTerminal: screen},
		}
		s, err := c.openServices(t.Context(), wiring{log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.printFirstLink(t.Context(), s); err != nil {
			t.Error(err)
		}
		any, err := s.operators.HasOperators(t.Context())
		if err != nil {
			t.Error(err)
		}
		link := strings.Contains(out.String(), "https://people.example/d/sign-in/")
		command := strings.Contains(out.String(), "rollcall operator link")
		if link != screen || command == screen || any {
			t.Errorf("on a terminal %t: link %t, command %t, operator %t: %s", screen, link, command, any, out.String())
		}
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	}
}
