package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

const (
	// postmanFile is the name of the file with Microsoft's collection.
	postmanFile = "microsoft-scim-reference-postman.json"
	// newmanPackage is the npm package of newman, the program of Postman that runs collections.
	newmanPackage = "newman@6"
)

// postmanCollection holds the names of the top-level items of a Postman collection. The suite does
// not read the rest of the collection.
type postmanCollection struct {
	Item []struct{ Name string }
}

// postmanSuite returns the function that runs Microsoft's collection with newman. folder contains
// the file of the collection.
func postmanSuite(folder string, t *tools) func(context.Context, *client) (report, error) {
	return func(ctx context.Context, c *client) (report, error) {
		collection, err := readCollection[postmanCollection](folder, postmanFile)
		if err != nil {
			return report{}, err
		}
		newman, program, err := t.installNewman(ctx)
		if err != nil {
			return report{}, err
		}
		base, err := url.Parse(c.base)
		if err != nil {
			return report{}, err
		}
		written := filepath.Join(t.dir, "newman.json")
		args := []string{
			"run", filepath.Join(folder, postmanFile), "--reporters", "json", "--reporter-json-export", written,
			"--env-var", "Protocol=" + base.Scheme, "--env-var", "Server=" + base.Hostname(), "--env-var", "Port=:" + base.Port(),
			"--env-var", "Api=" + strings.TrimPrefix(base.Path, "/"), "--env-var", "token=" + c.token,
		}
		for _, item := range collection.Item {
			// In Rollcall an administrator creates tokens, so skip the step that requests a token
			// from the server.
			if item.Name != "Get Token" {
				args = append(args, "--folder", item.Name)
			}
		}
		_, _, failure := foreign.Run(ctx, foreign.RunLimit, nil, newman, args...)
		text, err := os.ReadFile(written)
		if err != nil {
			return report{program, nil}, fmt.Errorf("newman left no report: %w", errors.Join(failure, err))
		}
		checks, err := postmanChecks(text)
		return report{program, checks}, err
	}
}

// installNewman installs newman into the temporary folder. It returns the path of the program, and
// its name and version for the report.
func (t *tools) installNewman(ctx context.Context) (path, program string, err error) {
	dir := filepath.Join(t.dir, "newman")
	if err := foreign.InstallNPMPackages(ctx, dir, newmanPackage); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "node_modules", ".bin", "newman")
	version, _, err := foreign.Run(ctx, foreign.RunLimit, nil, path, "--version")
	if err != nil {
		return "", "", foreign.NewMissing("newman does not start: %v", err)
	}
	return path, "newman " + strings.TrimSpace(string(version)), nil
}

// postmanChecks reads newman's report. It returns one check for each assertion, and one failed
// check for each other failure.
func postmanChecks(text []byte) (checks []check, err error) {
	var r struct {
		Run struct {
			Executions []struct {
				Item       struct{ Name string }
				Assertions []struct {
					Assertion string
					Skipped   bool
					Error     *struct{ Message string }
				}
			}
			Failures []struct {
				Source struct{ Name string }
				At     string
				Error  struct{ Name, Message string }
			}
		}
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("newman's report: %w", err)
	}
	for _, e := range r.Run.Executions {
		for _, a := range e.Assertions {
			name := e.Item.Name + ": " + a.Assertion
			switch {
			case a.Skipped:
				checks = append(checks, skip(name, "the collection skips it"))
			case a.Error != nil:
				checks = append(checks, fail(name, "%s", a.Error.Message))
			default:
				checks = append(checks, pass(name))
			}
		}
	}
	for _, f := range r.Run.Failures {
		if !strings.HasPrefix(f.At, "assertion:") {
			checks = append(checks, fail(f.Source.Name+": "+f.At, "%s: %s", f.Error.Name, f.Error.Message))
		}
	}
	return checks, nil
}
