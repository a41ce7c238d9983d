package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

// resource is a user or group of a client, in the state that the client expects on the server.
type resource struct {
	id, name, title string          // the id, the userName or displayName, and the title
	active, isGroup bool            // whether a user is active; whether the resource is a group
	members         map[string]bool // the ids of the members; only for a group
	changes         int             // how many changes the server has applied, including the creation
	deleted         bool            // whether the client has deleted the resource
}

// clone returns a copy that shares no data with r.
func (r resource) clone() *resource {
	r.members = maps.Clone(r.members)
	return &r
}

// client sends writes to the server, one at a time. No other client writes to this client's users
// and group.
type client struct {
	test      *killTest  // the run to which the client belongs
	number    int        // the number of the client, which is part of the names of its users
	random    *rand.Rand // the source of the random choices
	namesMade int        // how many names the client has made; the next name has the next number

	users   []*resource // users that this client may change and delete
	members []*resource // users that this client never deletes; it adds them to its group and removes them from it
	group   *resource   // the client's group; nil before it is created
	pending *change     // the last request, if the server did not acknowledge it; otherwise nil
}

// change is a request, with the state of its resource before and after the request.
type change struct {
	method, path, body string    // the request
	before, after      *resource // before is nil if the request creates the resource
}

// send sends one SCIM request to the site.
func (c *client) send(ctx context.Context, method, path, body string) (status int, text []byte, err error) {
	return c.test.installation.Send(ctx, c.test.site, method, path, body)
}

// sendWrites sends one change after the other, until one is not acknowledged or ctx ends. The end
// of ctx does not cancel a request that has begun.
func (c *client) sendWrites(ctx context.Context) error {
	for ctx.Err() == nil {
		x := c.nextChange()
		status, text, err := c.send(context.WithoutCancel(ctx), x.method, x.path, x.body)
		switch {
		case err != nil || status >= 500:
			c.test.unanswered.Add(1)
			c.pending = x
			return nil
		case status >= 300:
			return fmt.Errorf("%s %s %s: %d %s", x.method, x.path, x.body, status, text)
		}
		c.test.answered.Add(1)
		if x.before == nil {
			var made struct{ ID string }
			if err := json.Unmarshal(text, &made); err != nil {
				return err
			}
			x.after.id = made.ID
		}
		c.recordApplied(x)
	}
	return nil
}

// recordApplied records in the expected state that the server applied a change.
func (c *client) recordApplied(x *change) {
	x.after.changes++
	if x.before != nil {
		*x.before = *x.after
		return
	}
	switch {
	case x.after.isGroup:
		c.group = x.after
	case len(c.members) < 4:
		c.members = append(c.members, x.after)
	default:
		c.users = append(c.users, x.after)
	}
}

const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

// nextChange returns a random request for the next change.
func (c *client) nextChange() *change {
	c.namesMade++
	name := fmt.Sprintf("c%d-%d", c.number, c.namesMade)
	var living []*resource
	for _, r := range c.users {
		if !r.deleted {
			living = append(living, r)
		}
	}
	switch kind := c.random.IntN(10); {
	case len(c.members) < 4 || len(living) < 3 || kind == 0 && len(living) < 40:
		r := &resource{name: name, title: name, active: true}
		return &change{method: "POST", path: "/Users", body: fmt.Sprintf(`{"schemas":["%s"],"userName":"%s","title":"%s","active":true}`, userSchema, name, name), after: r}
	case c.group == nil:
		r := &resource{name: name, isGroup: true, members: map[string]bool{}}
		return &change{method: "POST", path: "/Groups", body: fmt.Sprintf(`{"schemas":["%s"],"displayName":"%s"}`, groupSchema, name), after: r}
	case kind <= 3:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.title = name
		return &change{method: "PATCH", path: "/Users/" + from.id, body: binary.PatchBody(fmt.Sprintf(`{"op":"replace","path":"title","value":"%s"}`, name)), before: from, after: to}
	case kind == 4:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.active = !from.active
		return &change{method: "PATCH", path: "/Users/" + from.id, body: binary.PatchBody(fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, to.active)), before: from, after: to}
	case kind == 5:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.title = name
		return &change{method: "PUT", path: "/Users/" + from.id, body: fmt.Sprintf(`{"schemas":["%s"],"userName":"%s","title":"%s","active":%t}`, userSchema, from.name, name, from.active), before: from, after: to}
	case kind == 6:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.deleted = true
		return &change{method: "DELETE", path: "/Users/" + from.id, before: from, after: to}
	}
	member := c.members[c.random.IntN(len(c.members))]
	to := c.group.clone()
	op := fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":"%s"}]}`, member.id)
	if to.members[member.id] {
		op = fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, member.id)
		delete(to.members, member.id)
	} else {
		to.members[member.id] = true
	}
	return &change{method: "PATCH", path: "/Groups/" + c.group.id, body: binary.PatchBody(op), before: c.group, after: to}
}

// read sends a GET, and repeats it while the answer is 503, because PostgreSQL may still be
// recovering.
func (c *client) read(ctx context.Context, path string) (status int, text []byte, err error) {
	for range 60 {
		if status, text, err = c.send(ctx, "GET", path, ""); err != nil || status != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(time.Second)
	}
	if err == nil && status >= 500 {
		err = fmt.Errorf("GET %s: %d %s", path, status, text)
	}
	return status, text, err
}

// resolvePending finds out whether the server applied the request that got no answer.
func (c *client) resolvePending(ctx context.Context) error {
	x := c.pending
	if x == nil {
		return nil
	}
	c.pending = nil
	if x.before == nil {
		return c.resolvePendingCreate(ctx, x)
	}
	status, text, err := c.read(ctx, x.path)
	if err != nil {
		return err
	}
	var got struct {
		Title   string
		Active  bool
		Members []struct{ Value string }
	}
	if status == http.StatusOK {
		if err := json.Unmarshal(text, &got); err != nil {
			return err
		}
	}
	is := func(r *resource) bool {
		if status != http.StatusOK || r.deleted {
			return r.deleted && status == http.StatusNotFound
		}
		var members []string
		for _, m := range got.Members {
			members = append(members, m.Value)
		}
		return got.Title == r.title && (r.isGroup || got.Active == r.active) && slices.Equal(slices.Sorted(slices.Values(members)), slices.Sorted(maps.Keys(r.members)))
	}
	switch {
	case is(x.after):
		c.test.unansweredApplied.Add(1)
		c.recordApplied(x)
	case !is(x.before):
		return fmt.Errorf("%s %s had no answer; it is neither as before nor as after: %d %s, before %+v", x.method, x.path, status, text, *x.before)
	}
	return nil
}

// resolvePendingCreate finds out whether the server applied the creation x, which got no answer.
func (c *client) resolvePendingCreate(ctx context.Context, x *change) error {
	path := "/Users?filter=userName"
	if x.after.isGroup {
		path = "/Groups?filter=displayName"
	}
	path += url.QueryEscape(` eq "` + x.after.name + `"`)
	status, text, err := c.read(ctx, path)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, status, text)
	}
	var found struct{ Resources []struct{ ID string } }
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	switch len(found.Resources) {
	case 0:
		return nil
	case 1:
		x.after.id = found.Resources[0].ID
		c.test.unansweredApplied.Add(1)
		c.recordApplied(x)
		return nil
	}
	return fmt.Errorf("%s is there %d times", x.after.name, len(found.Resources))
}
