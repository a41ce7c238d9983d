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

// record records the conversations in provision/testdata/conversations. TestConversations plays a
// fixed story against each target, once without the flag and once with it, and writes a file. The
// target is started anew for each, because the story begins with an empty one.
func record(ctx context.Context, o options, chosen []target, dir string, progress io.Writer) error {
	for _, t := range chosen {
		if t.flag != "" {
			continue // the same software as another target
		}
		fmt.Fprintf(progress, "%s: %s …\n", t.name, t.what)
		folder := filepath.Join(dir, t.name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
		s, err := t.start(ctx, folder, o.binary)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		again := s.again
		err = errors.Join(converse(ctx, t.name, s, ""), s.stop())
		if err != nil {
			return err
		}
		if s, err = again(ctx); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if err := errors.Join(converse(ctx, t.name+"-flag", s, compliantFlag), s.stop()); err != nil {
			return err
		}
	}
	return nil
}

// converse records one conversation.
func converse(ctx context.Context, name string, s *server, flag string) error {
	out, code, err := foreign.Run(ctx, foreign.RunLimit, []string{
		"ROLLCALL_RECORD_NAME=" + name, "ROLLCALL_RECORD_URL=" + s.base + flag, "ROLLCALL_RECORD_TOKEN=" + s.token,
	}, "go", "test", "-count=1", "-run", "^TestConversations$", "./provision")
	if err != nil || code != 0 {
		return fmt.Errorf("record %s: %w\n%s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}
