package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// runTester runs scim2-tester through scim2-cli. For each check, the program prints a line with a
// verdict and the title, and then the reason.
func (t *tools) runTester(ctx context.Context, c *client) (report, error) {
	python, err := t.installTesters(ctx)
	if err != nil {
		return report{}, err
	}
	program := fmt.Sprintf("scim2-tester %s, scim2-cli %s", python.Versions["scim2-tester"], python.Versions["scim2-cli"])
	// Pass the token in the environment, because other users of the machine can see arguments.
	env := []string{"SCIM_CLI_HEADERS=Authorization: Bearer " + c.token, "NO_COLOR=1"}
	out, code, err := foreign.Run(ctx, foreign.RunLimit, env, filepath.Join(python.Bin, "scim2"), "--url", c.base, "test")
	checks := testerChecks(string(out))
	if err != nil && (code != 1 || !hasFailure(checks)) {
		return report{program, checks}, fmt.Errorf("scim2 test: %w", err)
	}
	return report{program, checks}, nil
}

// testerResultPattern matches the line of a check: its verdict and its title.
var testerResultPattern = regexp.MustCompile(`^(SUCCESS|COMPLIANT|ACCEPTABLE|DEVIATION|ERROR|CRITICAL|SKIPPED) (\S.*)$`)

// testerChecks parses the output of scim2 test. A deviation from a SHOULD of the RFC counts as a
// failure too.
func testerChecks(printed string) (checks []check) {
	for line := range strings.Lines(printed) {
		line = strings.TrimRight(line, "\r\n")
		m := testerResultPattern.FindStringSubmatch(line)
		if m == nil {
			if reason, found := strings.CutPrefix(line, "  "); found && len(checks) > 0 {
				last := &checks[len(checks)-1]
				last.details = foreign.OneLine(last.details + " " + reason)
			}
			continue
		}
		switch m[1] {
		case "SUCCESS", "COMPLIANT", "ACCEPTABLE":
			checks = append(checks, pass(m[2]))
		case "SKIPPED":
			checks = append(checks, skip(m[2], ""))
		default:
			checks = append(checks, fail(m[2], "%s:", strings.ToLower(m[1])))
		}
	}
	return checks
}

// hasFailure reports whether one of the checks has failed.
func hasFailure(checks []check) bool {
	for _, c := range checks {
		if c.verdict == failed {
			return true
		}
	}
	return false
}

// runSanity runs the command "probe" of scim-sanity, which reports in JSON.
func (t *tools) runSanity(ctx context.Context, c *client) (report, error) {
	python, err := t.installTesters(ctx)
	if err != nil {
		return report{}, err
	}
	program := "scim-sanity " + python.Versions["scim-sanity"]
	out, _, err := foreign.Run(ctx, foreign.RunLimit, nil, filepath.Join(python.Bin, "scim-sanity"),
		"probe", c.base, "--token", c.token, "--strict", "--json-output", "--i-accept-side-effects")
	checks, unread := sanityChecks(out)
	if unread != nil {
		return report{program, nil}, fmt.Errorf("scim-sanity probe: %w (%v)", unread, err)
	}
	if err != nil && !hasFailure(checks) {
		return report{program, checks}, fmt.Errorf("scim-sanity probe: %w", err)
	}
	return report{program, checks}, nil
}

// sanityChecks reads scim-sanity's report. A warning counts as a failure too.
func sanityChecks(text []byte) (checks []check, err error) {
	var r struct {
		Results []struct{ Name, Status, Message string }
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	for _, c := range r.Results {
		switch c.Status {
		case "pass":
			checks = append(checks, pass(c.Name))
		case "skip":
			checks = append(checks, skip(c.Name, c.Message))
		default:
			checks = append(checks, fail(c.Name, "%s: %s", c.Status, c.Message))
		}
	}
	return checks, nil
}
