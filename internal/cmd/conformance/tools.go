package main

import (
	"context"
	"path/filepath"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// tools are programs of other projects. Each is installed once, from its registry, into a temporary
// directory.
type tools struct {
	dir     string
	python  *foreign.Python
	problem error // why the Python environment could not be created; nil if it was
}

// installTesters installs the newest testers. It remembers a failure, because the installation would fail
// for the next suite too.
func (t *tools) installTesters(ctx context.Context) (*foreign.Python, error) {
	if t.python == nil && t.problem == nil {
		t.python, t.problem = foreign.InstallPython(ctx, filepath.Join(t.dir, "python"), "scim2-cli", "scim2-tester", "scim-sanity")
	}
	return t.python, t.problem
}
