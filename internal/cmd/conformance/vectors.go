package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// vectors runs our own tests, which are written from RFC 7643, RFC 7644 and the documentation of
// Entra and Okta. Each test is a vector, and names its source.
type vectors struct {
	folder string // the folder with the data of the vectors
}

// filterVector is a test with a filter, or with the path of a PATCH.
type filterVector struct {
	Filter  string    // empty if the vector tests a path
	Path    string    // empty if the vector tests a filter
	Valid   bool      // whether the server must accept the filter or path
	Lenient bool      // whether any answer except a 5xx passes, because the RFC allows several interpretations
	Error   scimTypes // the acceptable errors, if Valid is false
	// Match has resources that the filter must match, or must not match.
	Match []struct {
		Resource json.RawMessage // a user, or "$babs" for the user in babs.json
		Result   bool            // whether the filter must match the user
	}
}

// patchVector is a test with a PATCH of a resource.
type patchVector struct {
	Name      string
	Mode      string         // "strict" if only a strict site must pass
	Profile   string         // "entra" if the vector shows a form that only Entra sends, so that only a tolerant site must pass
	Resource  map[string]any // the resource before the PATCH
	Patch     map[string]any // the body of the PATCH
	Expect    map[string]any // the resource after the PATCH
	Error     scimTypes      // the acceptable errors, if the PATCH must fail
	Unchanged bool           // whether the PATCH must not change the resource, so that lastModified stays the same
}

// scimTypes is the list of acceptable error keywords. In JSON it may be a single keyword.
type scimTypes []string

// UnmarshalJSON reads a list of keywords, or a single keyword.
func (s *scimTypes) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = scimTypes{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

// checkRefused returns the check that an answer is an error with one of the keywords.
func (s scimTypes) checkRefused(name string, a answer) check {
	return passIf(a.status == http.StatusBadRequest && slices.Contains(s, a.scimType()), name, "want 400 %s, got %v", strings.Join(s, " or "), a)
}

// readJSON decodes a JSON file.
func readJSON[T any](folder, file string) (v T, err error) {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("%s: %w", file, err)
	}
	return v, nil
}

// noGroupsReason says why the checks with groups were not run.
const noGroupsReason = "this server offers no groups"

// checkFilters checks all filter vectors. It sends the filter of a vector in a query for users. If
// the vector has a path instead, it sends the path in a PATCH with the operation remove.
func (v vectors) checkFilters(ctx context.Context, c *client) ([]check, error) {
	all, err := readJSON[[]filterVector](v.folder, "scim-filters.json")
	if err != nil {
		return nil, err
	}
	f := filterRun{client: c}
	if f.user, err = readJSON[map[string]any](v.folder, "babs.json"); err != nil {
		return nil, err
	}
	if err := f.prepareServer(ctx); err != nil {
		return nil, err
	}
	var checks []check
	for _, v := range all {
		play := f.checkFilter
		if v.Path != "" {
			play = f.checkPath
		}
		c, err := play(ctx, v)
		if err != nil {
			return checks, err
		}
		checks = append(checks, c)
	}
	return checks, nil
}

// filterRun runs the filter vectors on a site with one user, whose name is babs. The filters refer
// to that user.
type filterRun struct {
	*client
	user map[string]any // the user as the vectors describe it
	id   string         // id of the user babs on the server
	// shiftTimes adapts the times in a filter to the user on the server; see timeShifter.
	shiftTimes   func(filter string) (string, error)
	hasGroups    bool // whether the server offers groups
	createdCount int  // how many user names withUniqueName has made
}

// prepareServer creates the user against which the filters are tested, and finds out whether the
// server offers groups.
func (f *filterRun) prepareServer(ctx context.Context) error {
	a, err := f.create(ctx, "/Users", f.user)
	if err != nil {
		return err
	}
	f.id = a.id()
	if f.shiftTimes, err = timeShifter(f.user, a.doc); err != nil {
		return err
	}
	f.hasGroups, err = f.offersGroups(ctx)
	return err
}

// withUniqueName returns a copy of a resource with a unique user name.
func (f *filterRun) withUniqueName(resource map[string]any) map[string]any {
	f.createdCount++
	doc := map[string]any{"schemas": []string{userURN}}
	for name, value := range resource {
		doc[name] = value
	}
	doc["userName"] = fmt.Sprintf("own-%d@example.com", f.createdCount)
	return doc
}

// checkFilter sends the filter of a vector in a query, and returns the check of the answer. It
// first creates the other users that the vector mentions.
func (f *filterRun) checkFilter(ctx context.Context, v filterVector) (check, error) {
	name := "filter " + v.Filter
	text, err := f.shiftTimes(strings.ReplaceAll(v.Filter, fmt.Sprint(f.user["id"]), f.id))
	if err != nil {
		return check{}, err
	}
	a, _, err := f.findUsers(ctx, text)
	switch {
	case err != nil:
		return check{}, err
	case v.Lenient:
		return passIf(a.status < 500, name, "want no server error, got %v", a), nil
	case !v.Valid:
		return v.Error.checkRefused(name, a), nil
	case len(v.Match) == 0 && a.status == http.StatusBadRequest && a.scimType() == "invalidFilter":
		// RFC 7644 §3.4.2.2: the grammar allows these filters, but no schema of this server has
		// their attributes.
		return pass(name), nil
	case a.status != http.StatusOK:
		return fail(name, "want 200, got %v", a), nil
	}
	for _, m := range v.Match {
		id := f.id
		if string(m.Resource) != `"$babs"` {
			var doc map[string]any
			if err := json.Unmarshal(m.Resource, &doc); err != nil {
				return check{}, fmt.Errorf("%s: %w", name, err)
			}
			made, err := f.create(ctx, "/Users", f.withUniqueName(doc))
			if err != nil {
				return fail(name, "%v", err), nil
			}
			id = made.id()
		}
		if _, ids, err := f.findUsers(ctx, text); err != nil || slices.Contains(ids, id) != m.Result {
			return fail(name, "want match %v, got %v", m.Result, !m.Result), err
		}
	}
	return pass(name), nil
}

// checkPath sends a PATCH that removes what the path of a vector names, and returns the result as a
// check.
func (f *filterRun) checkPath(ctx context.Context, v filterVector) (check, error) {
	name := "path " + v.Path
	endpoint, resource := "/Users", f.withUniqueName(f.user)
	if strings.HasPrefix(v.Path, "members") {
		if !f.hasGroups {
			return skip(name, noGroupsReason), nil
		}
		endpoint = "/Groups"
		resource = map[string]any{"schemas": []string{groupURN}, "displayName": name, "members": []any{map[string]any{"value": f.id}}}
	}
	made, err := f.create(ctx, endpoint, resource)
	if err != nil {
		return fail(name, "%v", err), nil
	}
	a, err := f.call(ctx, http.MethodPatch, endpoint+"/"+made.id(), map[string]any{
		"schemas": []string{patchURN}, "Operations": []any{map[string]any{"op": "remove", "path": v.Path}},
	})
	if err != nil {
		return check{}, err
	}
	if err := f.remove(ctx, endpoint+"/"+made.id()); err != nil {
		return fail(name, "%v", err), nil
	}
	// A path can be valid although it has no value to remove, or although its attribute is
	// required.
	understood := a.status == http.StatusOK || a.status == http.StatusNoContent ||
		a.status == http.StatusBadRequest && (a.scimType() == "noTarget" || a.scimType() == "mutability")
	switch {
	case v.Lenient:
		return passIf(a.status < 500, name, "want no server error, got %v", a), nil
	case !v.Valid:
		return v.Error.checkRefused(name, a), nil
	case v.Path == `members[value eq "2819c223-7f76-453a-919d-413861904646"].displayName` && a.scimType() == "invalidPath":
		// RFC 7643 §4.2: the grammar allows the path, but members have no displayName.
		return pass(name), nil
	}
	return passIf(understood, name, "want it understood, got %v", a), nil
}

// timeShifter returns a function that adapts the times in a filter to the server's resource. The
// function adds to each time the difference between two values of lastModified: the value of the
// server's resource minus the value of the vector's resource. Each time keeps its UTC offset.
func timeShifter(vector, server map[string]any) (func(string) (string, error), error) {
	was, err := lastModified(vector)
	if err != nil {
		return nil, err
	}
	is, err := lastModified(server)
	if err != nil {
		return nil, err
	}
	return func(filter string) (string, error) {
		before, quoted, found := strings.Cut(filter, "meta.lastModified ")
		if !found {
			return filter, nil
		}
		op, value, _ := strings.Cut(quoted, " ")
		t, err := time.Parse(time.RFC3339, strings.Trim(value, `"`))
		if err != nil {
			return "", fmt.Errorf("filter %s: %w", filter, err)
		}
		moved := is.Add(t.Sub(was)).In(t.Location())
		return fmt.Sprintf("%smeta.lastModified %s %q", before, op, moved.Format(time.RFC3339Nano)), nil
	}, nil
}

// lastModified returns the time meta.lastModified of a resource.
func lastModified(resource map[string]any) (time.Time, error) {
	meta, _ := resource["meta"].(map[string]any)
	return time.Parse(time.RFC3339, fmt.Sprint(meta["lastModified"]))
}

// checkPatches returns a function that runs each patch vector on a new resource. If strict is true,
// the function runs the vectors for a strict site, otherwise the vectors for a tolerant site.
func (v vectors) checkPatches(strict bool) func(context.Context, *client) ([]check, error) {
	return func(ctx context.Context, c *client) ([]check, error) {
		all, err := readJSON[[]patchVector](v.folder, "scim-patch.json")
		if err != nil {
			return nil, err
		}
		groups, err := c.offersGroups(ctx)
		if err != nil {
			return nil, err
		}
		var checks []check
		for i, v := range all {
			if (strict && v.Profile == "entra") || (!strict && v.Mode == "strict") {
				continue
			}
			if v.endpoint() == "/Groups" && !groups {
				checks = append(checks, skip(v.Name, noGroupsReason))
				continue
			}
			p := patchRun{client: c, vector: v, userName: fmt.Sprintf("own-%d@example.com", i)}
			c, err := p.checkVector(ctx)
			if err != nil {
				return checks, fmt.Errorf("%s: %w", v.Name, err)
			}
			checks = append(checks, c)
		}
		return checks, nil
	}
}

// endpoint returns the endpoint of the vector's resource.
func (v patchVector) endpoint() string {
	if strings.Contains(fmt.Sprint(v.Resource["schemas"]), groupURN) {
		return "/Groups"
	}
	return "/Users"
}

// patchRun runs one patch vector.
type patchRun struct {
	*client
	vector       patchVector
	userName     string   // the name of the user that the vector changes
	createdPaths []string // the paths of the resources that checkVector must remove, the oldest first
}

// checkVector runs the vector and removes the resources that this created. It returns the check of
// the result.
func (p *patchRun) checkVector(ctx context.Context) (check, error) {
	c, err := p.applyPatch(ctx)
	for i := len(p.createdPaths) - 1; i >= 0; i-- {
		if problem := p.remove(ctx, p.createdPaths[i]); problem != nil && err == nil && c.verdict == passed {
			c = fail(p.vector.Name, "%v", problem)
		}
	}
	return c, err
}

// applyPatch creates the resource of the vector, sends the PATCH, and returns the check of the
// result.
func (p *patchRun) applyPatch(ctx context.Context) (check, error) {
	v := p.vector
	own, err := p.createMembers(ctx)
	if err != nil {
		return fail(v.Name, "%v", err), nil
	}
	resource, _ := own.replaceIn(v.Resource).(map[string]any)
	made, err := p.create(ctx, v.endpoint(), resource)
	if err != nil {
		return fail(v.Name, "%v", err), nil
	}
	path := v.endpoint() + "/" + made.id()
	p.createdPaths = append(p.createdPaths, path)
	if id, ok := v.Resource["id"].(string); ok {
		own.ids[id] = made.id()
	}
	before, err := p.get(ctx, path)
	if err != nil {
		return check{}, err
	}
	if v.Unchanged {
		// Wait, because two changes within one step of the clock have the same lastModified.
		time.Sleep(10 * time.Millisecond)
	}
	a, err := p.call(ctx, http.MethodPatch, path, own.replaceIn(v.Patch))
	if err != nil {
		return check{}, err
	}
	after, err := p.get(ctx, path)
	if err != nil {
		return check{}, err
	}
	if v.Error != nil {
		c := v.Error.checkRefused(v.Name, a)
		if c.verdict == passed && asJSON(before) != asJSON(after) {
			return fail(v.Name, "a refused PATCH changed %s to %s", asJSON(before), asJSON(after)), nil
		}
		return c, nil
	}
	expect, _ := own.replaceIn(v.Expect).(map[string]any)
	return checkPatchResult(v, a, expect, before, after), nil
}

// checkPatchResult compares the answer to a PATCH, and the resource before and after it, with the
// expectation of the vector.
func checkPatchResult(v patchVector, a answer, expect, before, after map[string]any) check {
	if a.status != http.StatusOK && a.status != http.StatusNoContent {
		return fail(v.Name, "want 200 or 204, got %v", a)
	}
	want, got := normalizeResource(expect), normalizeResource(after)
	dropDerived(want, got)
	if asJSON(got) != asJSON(want) {
		return fail(v.Name, "want %s, got %s", asJSON(want), asJSON(got))
	}
	if v.Unchanged && asJSON(before["meta"]) != asJSON(after["meta"]) {
		return fail(v.Name, "nothing changed, but meta went from %s to %s", asJSON(before["meta"]), asJSON(after["meta"]))
	}
	return pass(v.Name)
}

// createMembers creates a user for every member in the vector. It returns the replacement that puts
// the ids of these users in place of the vector's ids.
func (p *patchRun) createMembers(ctx context.Context) (replacement, error) {
	own := replacement{ids: map[string]string{}, userName: p.userName}
	if p.vector.endpoint() != "/Groups" {
		return own, nil
	}
	for _, id := range memberIDs(p.vector) {
		a, err := p.create(ctx, "/Users", map[string]any{"schemas": []string{userURN}, "userName": fmt.Sprintf("m%d-%s", len(own.ids), p.userName)})
		if err != nil {
			return own, err
		}
		own.ids[id] = a.id()
		p.createdPaths = append(p.createdPaths, "/Users/"+a.id())
	}
	return own, nil
}

// memberIDs returns the ids of all members in the operations of the vector, and in its resource
// before and after the PATCH. Each id appears once.
func memberIDs(v patchVector) []string {
	lists := []any{v.Resource["members"], v.Expect["members"]}
	operations, _ := v.Patch["Operations"].([]any)
	for _, o := range operations {
		if operation, _ := o.(map[string]any); operation["path"] == "members" {
			lists = append(lists, operation["value"])
		}
	}
	var ids []string
	for _, l := range lists {
		list, _ := l.([]any)
		for _, m := range list {
			member, _ := m.(map[string]any)
			if id, ok := member["value"].(string); ok && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// replacement replaces a vector's ids with the server's ids, and the vector's user name with an
// unused user name.
type replacement struct {
	ids      map[string]string // the server's id for each id in the vector
	userName string            // the unused user name
}

// replaceIn returns a copy of a JSON value with the replacements.
func (s replacement) replaceIn(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if name == "userName" {
				out[name] = s.userName
				continue
			}
			out[name] = s.replaceIn(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.replaceIn(e)
		}
		return out
	case string:
		return s.replaceText(v)
	}
	return v
}

// replaceText returns a string with the replacements. It replaces an id that is the whole string,
// that is in quotes within a path, or that is at the end of a URL.
func (s replacement) replaceText(v string) string {
	for old, id := range s.ids {
		switch {
		case v == old:
			return id
		case strings.HasSuffix(v, "/"+old):
			return strings.TrimSuffix(v, old) + id
		}
	}
	for old, id := range s.ids {
		v = strings.ReplaceAll(v, `"`+old+`"`, `"`+id+`"`)
	}
	return v
}
