package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// recordConversations records the conversations in provision/testdata/conversations. A conversation
// is the requests of Rollcall to a target, with the answers. For each target, recordConversations
// runs TestConversations twice: without compliantFlag and with it. The test makes the same changes
// at each target, and writes a file for each conversation. recordConversations restarts the target
// in between, because the changes begin with an empty target.
func recordConversations(ctx context.Context, o options, chosen []target, dir string, progress io.Writer) error {
	for _, t := range chosen {
		if t.flag != "" {
			continue // this target runs the same software as another target
		}
		fmt.Fprintf(progress, "%s: %s …\n", t.name, t.description)
		folder := filepath.Join(dir, t.name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
		s, err := t.start(ctx, folder, o.binary)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		restart := s.restart
		err = errors.Join(recordConversation(ctx, t.name, s, ""), s.stop())
		if err != nil {
			return err
		}
		if s, err = restart(ctx); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if err := errors.Join(recordConversation(ctx, t.name+"-flag", s, compliantFlag), s.stop()); err != nil {
			return err
		}
	}
	return nil
}

// recordConversation records one conversation with a target. flag is the query of the Tenant URL;
// it may be empty.
func recordConversation(ctx context.Context, name string, s *server, flag string) error {
	out, code, err := foreign.Run(ctx, foreign.RunLimit, []string{
		"ROLLCALL_RECORD_NAME=" + name, "ROLLCALL_RECORD_URL=" + s.base + flag, "ROLLCALL_RECORD_TOKEN=" + s.token,
	}, "go", "test", "-count=1", "-run", "^TestConversations$", "./provision")
	if err != nil || code != 0 {
		return fmt.Errorf("record %s: %w\n%s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}
