package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// difference is a value of a target that differs from the value that the mappings give.
type difference struct {
	kind, object string // the kind of the object, "User" or "Group", and the object's name in the directory
	objectID     string // the id of the object in the directory; empty if the directory has no such object
	attribute    string // the target attribute; "" if the difference is about the whole object
	want, got    string // the value that the mappings give, and the value of the target
}

// String describes the difference for people.
func (d difference) String() string {
	if d.attribute == "" {
		return fmt.Sprintf("%s %s: want %s, got %s", d.kind, d.object, d.want, d.got)
	}
	return fmt.Sprintf("%s %s: %s: want %q, got %q", d.kind, d.object, d.attribute, d.want, d.got)
}

// comparison is the result of comparing a target with the company.
type comparison struct {
	people, groups, memberships   int                // how many of each kind the target should have
	peopleOK, groupsOK, membersOK int                // how many of each kind the target has correctly, according to the mappings
	differences                   []difference       // the values that are not correct
	accountIDs                    map[*person]string // the id of each person's account at the target
}

// readAll reads all resources at an endpoint of a target, page by page. path is the path of the
// endpoint.
func readAll(ctx context.Context, s *server, path string) ([]map[string]any, error) {
	var all []map[string]any
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s%s?startIndex=%d&count=100", s.base, path, len(all)+1), nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+s.token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(answer.Body)
		if err = firstError(err, answer.Body.Close()); err != nil {
			return nil, err
		}
		var page struct {
			TotalResults int
			Resources    []map[string]any
		}
		if err := json.Unmarshal(text, &page); err != nil || answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("list %s: %d %.200s", path, answer.StatusCode, text)
		}
		all = append(all, page.Resources...)
		if len(page.Resources) == 0 || len(all) >= page.TotalResults {
			return all, nil
		}
	}
}

// firstError returns the first error that is not nil, or nil if there is none.
func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// valueAt returns the value that a resource has for a target attribute, as a string. It returns ""
// if there is none.
func valueAt(resource map[string]any, path string) string {
	if rest, is := strings.CutPrefix(path, enterpriseURN+":"); is {
		extension, _ := resource[enterpriseURN].(map[string]any)
		return valueAt(extension, rest)
	}
	if name, rest, is := strings.Cut(path, `[type eq "`); is {
		kind, sub, _ := strings.Cut(rest, `"].`)
		list, _ := resource[name].([]any)
		for _, one := range list {
			if element, _ := one.(map[string]any); element["type"] == kind {
				return valueAt(element, sub)
			}
		}
		return ""
	}
	name, sub, nested := strings.Cut(path, ".")
	value, there := resource[name]
	if !there || value == nil {
		return ""
	}
	if nested {
		inner, _ := value.(map[string]any)
		return valueAt(inner, sub)
	}
	return fmt.Sprint(value)
}

// compare reads a target and compares it with the company.
func compare(ctx context.Context, s *server, c *company) (*comparison, error) {
	users, err := readAll(ctx, s, "/Users")
	if err != nil {
		return nil, err
	}
	groups, err := readAll(ctx, s, "/Groups")
	if err != nil {
		return nil, err
	}
	cmp := &comparison{accountIDs: map[*person]string{}}
	accounts := cmp.findAccounts(c, users)
	for _, p := range c.people {
		if p.sent != nil {
			cmp.people++
			if cmp.comparePerson(c, p, accounts[p]) {
				cmp.peopleOK++
			}
		}
	}
	cmp.compareGroups(c, groups)
	return cmp, nil
}

// findAccounts finds each person's account by the user name that was sent. It records a difference
// for an account in the company's domain that belongs to no person.
func (cmp *comparison) findAccounts(c *company, users []map[string]any) map[*person]map[string]any {
	byName := map[string]*person{}
	for _, p := range c.people {
		if p.sent != nil {
			byName[strings.ToLower(p.sent["userName"])] = p
		}
	}
	accounts := map[*person]map[string]any{}
	for _, u := range users {
		name := valueAt(u, "userName")
		p := byName[strings.ToLower(name)]
		switch {
		case p == nil && strings.HasSuffix(name, "@"+domain):
			cmp.differences = append(cmp.differences, difference{kind: "User", object: name, want: "no account", got: "an account"})
		case p == nil: // an account of the target itself, such as its administrator
		case accounts[p] != nil:
			cmp.differences = append(cmp.differences, difference{kind: "User", object: name, objectID: p.objectID, want: "one account", got: "two accounts"})
		default:
			accounts[p], cmp.accountIDs[p] = u, valueAt(u, "id")
		}
	}
	return accounts
}

// comparePerson compares a person's account with the expected values. It records the differences
// and reports whether there are none.
func (cmp *comparison) comparePerson(c *company, p *person, account map[string]any) bool {
	name := p.sent["userName"]
	if account == nil {
		cmp.differences = append(cmp.differences, difference{kind: "User", object: name, objectID: p.objectID, want: "an account", got: "none"})
		return false
	}
	want := maps.Clone(p.sent)
	want["active"] = fmt.Sprint(c.inScope(p))
	if c.inScope(p) {
		want[enterpriseURN+":manager.value"] = ""
		if p.manager != nil && c.mayBeManager(p.manager) {
			want[enterpriseURN+":manager.value"] = cmp.accountIDs[p.manager]
		}
	}
	paths := slices.Collect(maps.Keys(want))
	for target := range directMappings {
		if _, said := want[target]; !said {
			paths = append(paths, target)
		}
	}
	before := len(cmp.differences)
	slices.Sort(paths)
	for _, path := range paths {
		if got := valueAt(account, path); got != want[path] {
			cmp.differences = append(cmp.differences, difference{kind: "User", object: name, objectID: p.objectID, attribute: path, want: want[path], got: got})
		}
	}
	return len(cmp.differences) == before
}

// compareGroups compares the groups of the target with the groups of the company, and records the
// differences.
func (cmp *comparison) compareGroups(c *company, resources []map[string]any) {
	byName := map[string]map[string]any{}
	for _, g := range resources {
		byName[valueAt(g, "displayName")] = g
	}
	claimed := map[string]bool{}
	for _, g := range c.groups {
		if g.deleted {
			continue
		}
		cmp.groups++
		r := byName[g.name]
		if r == nil {
			cmp.differences = append(cmp.differences, difference{kind: "Group", object: g.name, objectID: g.objectID, want: "a group", got: "none"})
			continue
		}
		claimed[valueAt(r, "id")] = true
		if got := valueAt(r, "externalId"); got != g.objectID {
			cmp.differences = append(cmp.differences, difference{kind: "Group", object: g.name, objectID: g.objectID, attribute: "externalId", want: g.objectID, got: got})
		} else {
			cmp.groupsOK++
		}
		cmp.compareMembers(c, g, r)
	}
	for _, r := range resources {
		if !claimed[valueAt(r, "id")] {
			cmp.differences = append(cmp.differences, difference{kind: "Group", object: valueAt(r, "displayName"), want: "no group", got: "a group"})
		}
	}
}

// compareMembers compares the members of a group at the target with its members in the company, and
// records the differences.
func (cmp *comparison) compareMembers(c *company, g *group, resource map[string]any) {
	got := map[string]bool{}
	list, _ := resource["members"].([]any)
	for _, m := range list {
		if m, ok := m.(map[string]any); ok {
			got[fmt.Sprint(m["value"])] = true
		}
	}
	for _, p := range c.people {
		if !g.members[p] || !c.mayBeMember(p) {
			continue
		}
		cmp.memberships++
		if id := cmp.accountIDs[p]; got[id] {
			cmp.membersOK++
			delete(got, id)
		} else {
			cmp.differences = append(cmp.differences, difference{kind: "Group", object: g.name, objectID: g.objectID, attribute: "members", want: p.sent["userName"], got: "not a member"})
		}
	}
	names := map[string]string{}
	for p, id := range cmp.accountIDs {
		names[id] = p.sent["userName"]
	}
	for id := range got {
		cmp.differences = append(cmp.differences, difference{kind: "Group", object: g.name, objectID: g.objectID, attribute: "members", want: "not a member", got: names[id]})
	}
}
