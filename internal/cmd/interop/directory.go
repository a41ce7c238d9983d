package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/binary"
	"github.com/rollcall-scim/rollcall/provision/templates"
)

// directoryName is the name of the directory.
const directoryName = "contoso"

// source changes the directory and provisions its applications, with commands of the real binary.
type source struct {
	installation *binary.Installation // the installation with the directory
}

// rollcall runs a command of the real binary about the directory, and returns its output. The
// command line is words, such as "directory user add", then the directory's name, then rest.
func (s *source) rollcall(ctx context.Context, words string, rest ...string) (string, error) {
	return s.installation.Rollcall(ctx, append(append(strings.Fields(words), directoryName), rest...)...)
}

// create runs a command that creates an object, and returns the object's id.
func (s *source) create(ctx context.Context, words string, rest ...string) (string, error) {
	text, err := s.rollcall(ctx, "--json "+words, rest...)
	if err != nil {
		return "", err
	}
	var object struct{ ObjectID string }
	if err := json.Unmarshal([]byte(text), &object); err != nil || object.ObjectID == "" {
		return "", fmt.Errorf("rollcall %s printed no object id: %.200s", words, text)
	}
	return object.ObjectID, nil
}

// importCSV writes rows to a file and imports the file with the command words, such as "directory
// import". It returns an error if a row is refused.
func (s *source) importCSV(ctx context.Context, words string, rows [][]string, flags ...string) error {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	file := filepath.Join(s.installation.Dir, "rows.csv")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return err
	}
	out, err := s.rollcall(ctx, "--json "+words, append([]string{file}, flags...)...)
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// loadCompany puts the whole company into an empty directory and reads the object ids.
func (s *source) loadCompany(ctx context.Context, c *company) error {
	if _, err := s.rollcall(ctx, "directory create"); err != nil {
		return err
	}
	names := attributeNames()
	people, managers := [][]string{names}, [][]string{{"userPrincipalName", "manager"}}
	for _, p := range c.people {
		row := make([]string, len(names))
		for i, name := range names {
			row[i] = p.attributes[name]
		}
		people = append(people, row)
		if p.manager != nil {
			managers = append(managers, []string{p.attributes["userPrincipalName"], p.manager.attributes["userPrincipalName"]})
		}
	}
	groups, members := [][]string{{"displayName"}}, [][]string{{"group", "member"}}
	for _, g := range c.groups {
		groups = append(groups, []string{g.name})
		for p := range g.members {
			members = append(members, []string{g.name, p.attributes["userPrincipalName"]})
		}
		for inner := range g.memberGroups {
			members = append(members, []string{g.name, inner.name})
		}
	}
	if err := errors.Join(
		s.importCSV(ctx, "directory import", people), s.importCSV(ctx, "directory import", managers),
		s.importCSV(ctx, "directory import-groups", groups), s.importCSV(ctx, "directory import-members", members),
	); err != nil {
		return err
	}
	return s.readIDs(ctx, c)
}

// readIDs reads the object ids of all people and groups.
func (s *source) readIDs(ctx context.Context, c *company) error {
	ids := map[string]string{}
	for words, name := range map[string]string{"directory export": "userPrincipalName", "directory export-groups": "displayName"} {
		text, err := s.rollcall(ctx, words)
		if err != nil {
			return err
		}
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			return fmt.Errorf("rollcall %s: %w", words, err)
		}
		at := map[string]int{}
		for i, column := range rows[0] {
			at[column] = i
		}
		for _, row := range rows[1:] {
			ids[row[at[name]]] = row[at["objectId"]]
		}
	}
	for _, p := range c.people {
		p.objectID = ids[p.attributes["userPrincipalName"]]
	}
	for _, g := range c.groups {
		g.objectID = ids[g.name]
	}
	return nil
}

// createApplication creates an application for a target, turns it on and assigns every group.
func (s *source) createApplication(ctx context.Context, c *company, name, tenantURL, token string) error {
	file := filepath.Join(s.installation.Dir, "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return err
	}
	if _, err := s.rollcall(ctx, "app create", name, "--tenant-url", tenantURL, "--secret-token-file", file, "--scope", "assigned",
		"--actions", "create,update,delete", "--swaps", "temporary", "--rehire", "adopt", "--start"); err != nil {
		return err
	}
	schema, err := templates.Get(templates.NonGallery)
	if err != nil {
		return err
	}
	if err := s.setSchema(ctx, name, schema); err != nil {
		return err
	}
	for _, g := range c.groups {
		if err := s.assign(ctx, name, g); err != nil {
			return err
		}
	}
	return nil
}

// assign assigns a group to an application.
func (s *source) assign(ctx context.Context, application string, g *group) error {
	_, err := s.rollcall(ctx, "app assign", application, "--group", g.objectID)
	return err
}

// setFilter replaces the scoping filter of an application's users. The new filter leaves out the
// department excluded; if excluded is empty, it leaves out no one.
func (s *source) setFilter(ctx context.Context, application, excluded string) error {
	text, err := s.rollcall(ctx, "app export-schema", application)
	if err != nil {
		return err
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		return err
	}
	rules, _ := schema["synchronizationRules"].([]any)
	for _, rule := range rules {
		mappings, _ := rule.(map[string]any)["objectMappings"].([]any)
		for _, m := range mappings {
			if m := m.(map[string]any); m["sourceObjectName"] == "User" {
				m["scope"] = notInDepartment(excluded)
			}
		}
	}
	changed, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return s.setSchema(ctx, application, changed)
}

// setSchema replaces the mappings of an application.
func (s *source) setSchema(ctx context.Context, application string, schema []byte) error {
	file := filepath.Join(s.installation.Dir, "schema.json")
	if err := os.WriteFile(file, schema, 0o600); err != nil {
		return err
	}
	_, err := s.rollcall(ctx, "app import-schema", application, file, "--yes")
	return err
}

// notInDepartment returns the scope, in Microsoft Graph's form, that leaves out a department. It
// returns nil for an empty name, so that everyone is in scope.
func notInDepartment(name string) any {
	if name == "" {
		return nil
	}
	type m = map[string]any
	clause := m{"operatorName": "NOT EQUALS", "sourceOperandName": "department", "targetOperand": m{"values": []string{name}}}
	return m{"groups": []any{m{"name": "Not in " + name, "clauses": []any{clause}}}}
}

// exitWaiting is the exit code of a run that leaves something waiting, such as operations on hold.
const exitWaiting = 3

// approve approves all operations on hold, and returns their number.
func (s *source) approve(ctx context.Context, application string) (n int, err error) {
	text, err := s.rollcall(ctx, "--json provision held", application)
	if err != nil {
		return 0, err
	}
	var causes []struct {
		Cause string
		Count int
	}
	if err := json.Unmarshal([]byte(text), &causes); err != nil {
		return 0, fmt.Errorf("provision held: %w", err)
	}
	for _, c := range causes {
		if _, err := s.rollcall(ctx, "provision approve", application, c.Cause, "--yes"); err != nil {
			return 0, err
		}
		n += c.Count
	}
	return n, nil
}

// cycle is the result of one provisioning run of an application.
type cycle struct {
	entries  []logEntry // the entries of the provisioning log that the run wrote
	exitCode int        // the exit code of the command
}

// logEntry is the part of an entry of the provisioning log that this program reads.
type logEntry struct {
	Action string                                                        `json:"provisioningAction"`
	Status struct{ Status, ErrorCode, Reason, RecommendedAction string } `json:"provisioningStatusInfo"`
	Source struct{ ID, DisplayName string }                              `json:"sourceIdentity"`
	Steps  []struct{ Status, Description string }                        `json:"provisioningSteps"`
}

// run runs one cycle of an application. Failures of single people are part of the result, not an
// error.
func (s *source) run(ctx context.Context, application string) (cycle, error) {
	cmd := s.installation.Command(ctx, "--json", "provision", "run", directoryName, application)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	var c cycle
	var exit *exec.ExitError
	if errors.As(err, &exit) && (exit.ExitCode() == 1 || exit.ExitCode() == exitWaiting) && len(out) > 0 {
		c.exitCode, err = exit.ExitCode(), nil
	}
	if err != nil {
		return cycle{}, fmt.Errorf("provision run %s: %w: %s", application, err, bytes.TrimSpace(problem.Bytes()))
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var e logEntry
		if err := d.Decode(&e); err != nil {
			return cycle{}, fmt.Errorf("provision run %s printed no JSON: %w", application, err)
		}
		if e.Action != "" { // the last entry has no action: it is the summary
			c.entries = append(c.entries, e)
		}
	}
	return c, nil
}

// notes returns the notes in an application's status. They name the deviations that Rollcall has
// found in the target.
func (s *source) notes(ctx context.Context, application string) ([]string, error) {
	text, err := s.rollcall(ctx, "--json provision status", application)
	if err != nil {
		return nil, err
	}
	var status struct{ Notes []string }
	err = json.Unmarshal([]byte(text), &status)
	return status.Notes, err
}
