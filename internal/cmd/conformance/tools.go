package main

import (
	"context"
	"path/filepath"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// tools installs programs of other projects. It installs each program once, from its registry, into
// a temporary folder.
type tools struct {
	dir          string          // the temporary folder
	python       *foreign.Python // the environment with the Python programs; nil before the installation
	installError error           // why the Python environment could not be created; nil if there was no problem
}

// installTesters installs the newest versions of scim2-cli, scim2-tester and scim-sanity, at its
// first call. If that fails, all later calls return the same error, because a second try would fail
// too.
func (t *tools) installTesters(ctx context.Context) (*foreign.Python, error) {
	if t.python == nil && t.installError == nil {
		t.python, t.installError = foreign.InstallPython(ctx, filepath.Join(t.dir, "python"), "scim2-cli", "scim2-tester", "scim-sanity")
	}
	return t.python, t.installError
}
