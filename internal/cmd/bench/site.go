package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync/atomic"
)

// siteName is the name of the site in each database.
const siteName = "bench"

// adminName is the user name of the administrator that every site has from the beginning.
const adminName = "admin@contoso.example"

// maxClients is the greatest number of connections that a load may have.
const maxClients = 64

// ungroupedUsers is the number of users in no group. Each connection of a load needs one of these
// users. Together with the administrator, they fill a page of 100 users. So the last page of a site
// with a few hundred users is as long as the first.
const ungroupedUsers = 99

// scimPath is the path of the SCIM address of the site.
const scimPath = "/c/" + siteName + "/auth/scim/v2"

// population is a filled site: its users, its groups and a valid token. The site has the profile
// "full". Its database has no other site.
type population struct {
	url           string    // the database of the site, as the flag --database takes it
	db            *postgres // the PostgreSQL server of the database at url; nil on SQLite
	token         string    // the token for SCIM
	ids           []string  // the ids of the site's people, in the order of their numbers
	ungroupedIDs  []string  // the ids of users in no group; the loads add them to groups and remove them
	documentBytes int       // the total size of the users' documents in responses, in bytes
	peakAfterFill int64     // the peak memory of `rollcall serve` after the site was filled, in bytes

	smallGroup, largeGroup group           // a group with 10 members, and a group with all users in ids as members
	emptyGroups            int             // the number of other groups, which have no members
	activationCounts       []atomic.Uint32 // how many times requests have changed the attribute active of each user
}

// group is a group of the site.
type group struct {
	id      string
	members int // the number of members
}

// users returns the number of people of the site, without the administrator and the users in no
// group.
func (s *population) users() int { return len(s.ids) }

// newSite creates a site with no people except the administrator, who has a sign-in link.
func (b *bench) newSite(ctx context.Context, url string) (*population, error) {
	s := &population{url: url}
	if _, err := b.runRollcall(ctx, s.url, "site", "create", siteName, "--profile", "full", "--admin", adminName); err != nil {
		return nil, err
	}
	var err error
	s.token, err = b.runRollcall(ctx, s.url, "token", "create", siteName)
	return s, err
}

// copy returns a copy of the site in its own SQLite file. No process may have the database of the
// original open.
func (s *population) copy(b *bench, name string) (*population, error) {
	c := *s
	c.url = filepath.Join(b.dir, name+".db")
	c.activationCounts = make([]atomic.Uint32, len(s.activationCounts))
	return &c, copyDatabase(c.url, s.url)
}

// appendRequest appends an HTTP request to buf. target is the path below the SCIM address, with the
// query.
func (s *population) appendRequest(buf []byte, method, target string, body []byte) []byte {
	buf = append(buf, method...)
	buf = append(buf, ' ')
	buf = append(buf, scimPath...)
	buf = append(buf, target...)
	buf = append(buf, " HTTP/1.1\r\nHost: bench.example\r\nAccept: application/scim+json\r\nAuthorization: Bearer "...)
	buf = append(buf, s.token...)
	if body != nil {
		buf = append(buf, "\r\nContent-Type: application/scim+json\r\nContent-Length: "...)
		buf = strconv.AppendInt(buf, int64(len(body)), 10)
	}
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, body...)
}

// lookupPath returns the path of Entra's search for an account.
func lookupPath(userName string) string {
	return "/Users?filter=" + url.QueryEscape(`userName eq "`+userName+`"`)
}

// fill creates n people and the users in no group. Then it creates the groups.
func (s *population) fill(ctx context.Context, addr string, n int) error {
	ids, sizes := make([]string, n+ungroupedUsers), make([]int, n+ungroupedUsers)
	_, err := doAll(ctx, addr, maxClients, len(ids), func(c *conn, i int) error {
		body, err := personOf(i).scimUser()
		if err != nil {
			return err
		}
		status, answer, err := c.send(s.appendRequest(nil, http.MethodPost, "/Users", body))
		if err != nil {
			return err
		}
		ids[i], sizes[i] = idOf(answer), len(answer)
		return expectCreated(status, answer)
	})
	if err != nil {
		return err
	}
	for _, size := range sizes[:n] {
		s.documentBytes += size
	}
	s.ids, s.ungroupedIDs, s.activationCounts = ids[:n], ids[n:], make([]atomic.Uint32, n)
	return s.fillGroups(ctx, addr)
}

// fillGroups creates a group of ten, a group of everyone, and an empty group for every hundred
// people.
func (s *population) fillGroups(ctx context.Context, addr string) error {
	s.emptyGroups = max(2, len(s.ids)/100)
	_, err := doAll(ctx, addr, 16, s.emptyGroups, func(c *conn, i int) error {
		status, answer, err := c.send(s.appendRequest(nil, http.MethodPost, "/Groups", groupBody(teamName(i), nil)))
		if err != nil {
			return err
		}
		return expectCreated(status, answer)
	})
	if err != nil {
		return err
	}
	if s.smallGroup, err = s.newGroup(ctx, addr, "Ten", s.ids[:min(10, len(s.ids))]); err != nil {
		return err
	}
	s.largeGroup, err = s.newGroup(ctx, addr, "Everybody", s.ids)
	return err
}

// newGroup creates a group with members.
func (s *population) newGroup(ctx context.Context, addr, name string, members []string) (group, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return group{}, err
	}
	defer c.close()
	status, answer, err := c.send(s.appendRequest(nil, http.MethodPost, "/Groups", groupBody(name, members)))
	if err == nil {
		err = expectCreated(status, answer)
	}
	if err != nil {
		return group{}, fmt.Errorf("make a group of %d: %w", len(members), err)
	}
	return group{id: idOf(answer), members: len(members)}, nil
}

// teamName returns the name of the empty group with the number n.
func teamName(n int) string { return fmt.Sprintf("Team %06d", n) }

// groupBody returns the body of the POST of a group.
func groupBody(name string, members []string) []byte {
	body := fmt.Appendf(nil, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"members":[`, name)
	for i, id := range members {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"value":%q}`, id)
	}
	return append(body, "]}"...)
}

// idOf returns the id in the body of an answer, or an empty string if there is none.
func idOf(answer []byte) string {
	_, rest, found := bytes.Cut(answer, []byte(`"id":"`))
	id, _, closed := bytes.Cut(rest, []byte(`"`))
	if !found || !closed {
		return ""
	}
	return string(id)
}

// unexpectedAnswer returns the error for a wrong answer.
func unexpectedAnswer(status int, body []byte) error {
	return fmt.Errorf("unexpected answer %d: %.500s", status, body)
}

// getLoad returns a load in which each request reads one of the targets, chosen at random.
func (s *population) getLoad(addr string, clients int, targets []string, check func(status int, body []byte) error) load {
	return load{
		addr: addr, clients: clients, checkResponse: check,
		buildRequest: func(_ int, rng *rand.Rand, buf []byte) []byte {
			return s.appendRequest(buf, http.MethodGet, targets[rng.IntN(len(targets))], nil)
		},
	}
}

// readByIDLoad returns a load that reads random users by id.
func (s *population) readByIDLoad(addr string, clients int) load {
	targets := make([]string, len(s.ids))
	for i, id := range s.ids {
		targets[i] = "/Users/" + id
	}
	return s.getLoad(addr, clients, targets, expectText(`"userName":"`))
}

// filterLoad returns a load that looks up random people. filter returns the filter for a person.
func (s *population) filterLoad(addr string, clients int, filter func(person) string) load {
	targets := make([]string, len(s.ids))
	for i := range targets {
		targets[i] = "/Users?filter=" + url.QueryEscape(filter(personOf(i)))
	}
	return s.getLoad(addr, clients, targets, expectTotal(1))
}

// teamLoad returns a load that looks up random empty groups by displayName.
func (s *population) teamLoad(addr string, clients int) load {
	targets := make([]string, s.emptyGroups)
	for i := range targets {
		targets[i] = "/Groups?filter=" + url.QueryEscape(fmt.Sprintf("displayName eq %q", teamName(i)))
	}
	return s.getLoad(addr, clients, targets, expectTotal(1))
}

// expectText returns a check that accepts a response that contains the text.
func expectText(text string) func(status int, body []byte) error {
	want := []byte(text)
	return func(status int, body []byte) error {
		if status != http.StatusOK || !bytes.Contains(body, want) {
			return unexpectedAnswer(status, body)
		}
		return nil
	}
}

// expectTotal returns a check that accepts a list with a total of n resources.
func expectTotal(n int) func(status int, body []byte) error {
	want := fmt.Appendf(nil, `"totalResults":%d`, n)
	return func(status int, body []byte) error {
		_, after, found := bytes.Cut(body, want)
		if status != http.StatusOK || !found || !bytes.ContainsAny(after[:min(1, len(after))], ",}") {
			return unexpectedAnswer(status, body)
		}
		return nil
	}
}

// createLoad returns a load that creates users. The function number returns a new number for each
// of them.
func (s *population) createLoad(addr string, clients int, number func() int) (load, error) {
	const hole = 7_777_777
	bodies := make([][]byte, 64)
	for i := range bodies {
		p := personOf(i)
		p.number = hole
		var err error
		if bodies[i], err = p.scimUser(); err != nil {
			return load{}, err
		}
	}
	return load{
		addr: addr, clients: clients,
		buildRequest: func(_ int, rng *rand.Rand, buf []byte) []byte {
			body := bytes.ReplaceAll(bodies[rng.IntN(len(bodies))], strconv.AppendInt(nil, hole, 10), fmt.Appendf(nil, "%07d", number()))
			return s.appendRequest(buf, http.MethodPost, "/Users", body)
		},
		checkResponse: expectCreated,
	}, nil
}

// expectCreated returns an error unless the answer is 201 with an id.
func expectCreated(status int, body []byte) error {
	if status != http.StatusCreated || idOf(body) == "" {
		return unexpectedAnswer(status, body)
	}
	return nil
}

// expectChanged returns an error unless the answer is that to a successful PATCH.
func expectChanged(status int, body []byte) error {
	if status != http.StatusOK && status != http.StatusNoContent {
		return unexpectedAnswer(status, body)
	}
	return nil
}

// patchBody returns a PATCH body with one operation.
func patchBody(operation string) []byte {
	return []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`)
}

// activationLoad returns a load that deactivates and reactivates random users, so that every
// request changes something.
func (s *population) activationLoad(addr string, clients int) load {
	bodies := [2][]byte{
		patchBody(`{"op":"replace","path":"active","value":true}`),
		patchBody(`{"op":"replace","path":"active","value":false}`),
	}
	return load{
		addr: addr, clients: clients, checkResponse: expectChanged,
		buildRequest: func(_ int, rng *rand.Rand, buf []byte) []byte {
			i := rng.IntN(len(s.ids))
			return s.appendRequest(buf, http.MethodPatch, "/Users/"+s.ids[i], bodies[s.activationCounts[i].Add(1)%2])
		},
	}
}

// membershipLoad returns a load in which each client adds its own user to a group and removes it
// again.
func (s *population) membershipLoad(addr string, clients int, g group) load {
	in := make([]bool, clients) // whether the client's user is in the group; each element belongs to one client
	return load{
		addr: addr, clients: clients, checkResponse: expectChanged,
		buildRequest: func(worker int, _ *rand.Rand, buf []byte) []byte {
			body := patchBody(`{"op":"add","path":"members","value":[{"value":"` + s.ungroupedIDs[worker] + `"}]}`)
			if in[worker] {
				body = patchBody(`{"op":"remove","path":"members[value eq \"` + s.ungroupedIDs[worker] + `\"]"}`)
			}
			in[worker] = !in[worker]
			return s.appendRequest(buf, http.MethodPatch, "/Groups/"+g.id, body)
		},
	}
}
