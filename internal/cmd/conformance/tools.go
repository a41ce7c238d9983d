package main

import (
	"context"
	"path/filepath"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// tools are programs of other projects. Each is installed once, from its registry, into a temporary
// directory.
type tools struct {
	dir          string
	python       *foreign.Python
	installError error // why the Python environment could not be created; nil if there was no problem
}

// installTesters installs the newest testers. It returns the same error for every suite after a
// failure, because a second try would fail too.
func (t *tools) installTesters(ctx context.Context) (*foreign.Python, error) {
	if t.python == nil && t.installError == nil {
		t.python, t.installError = foreign.InstallPython(ctx, filepath.Join(t.dir, "python"), "scim2-cli", "scim2-tester", "scim-sanity")
	}
	return t.python, t.installError
}
