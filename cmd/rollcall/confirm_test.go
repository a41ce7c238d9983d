package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// typed runs a command at a terminal. in is what the person types.
func typed(t *testing.T, database, in string, args ...string) (code int, out, said string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code = run(t.Context(), append(args, "--database", database), process{
		stdin: strings.NewReader(in), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now, isInteractive: true,
	})
	return code, stdout.String(), stderr.String()
}

func TestWhatCannotBeUndoneIsAskedFirst(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rollcall.db")
	if code, _, said := typed(t, file, "", "directory", "create", "contoso"); code != 0 {
		t.Fatal(said)
	}
	for _, answer := range []string{"", "\n", "y\n", "yes\n", "Contoso\n"} {
		code, out, said := typed(t, file, answer, "directory", "delete", "contoso")
		if code != 1 || out != "" || !strings.Contains(said, "deletes the directory contoso with 0 users") || !strings.Contains(said, "Type contoso to do it: ") || !strings.Contains(said, "nothing was changed") {
			t.Errorf("%q: exit %d, %s%s", answer, code, out, said)
		}
	}
	if _, out, _ := typed(t, file, "", "directory", "list"); !strings.Contains(out, "contoso") {
		t.Fatalf("it is gone: %s", out)
	}
	if code, out, said := typed(t, file, "contoso\n", "directory", "delete", "contoso"); code != 0 || !strings.Contains(out, "was deleted") {
		t.Errorf("exit %d, %s%s", code, out, said)
	}
	if _, out, _ := typed(t, file, "", "directory", "list"); strings.Contains(out, "contoso") {
		t.Errorf("it is still there: %s", out)
	}
}
