package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// resource is what a client knows of one of its users or of its group.
type resource struct {
	id, name, title string
	active, group   bool
	members         map[string]bool
	changes         int  // that were applied: its creation is the first
	gone            bool // it was deleted
}

func (r resource) clone() *resource {
	r.members = maps.Clone(r.members)
	return &r
}

// client writes one request after the other, to users and a group that nobody else writes to.
type client struct {
	run    *run
	number int
	random *rand.Rand
	count  int

	mine    []*resource
	members []*resource // users that are never deleted
	group   *resource
	pending *change // the request whose outcome is not known
}

// change is a request with what is true before it and after it.
type change struct {
	method, path, body string
	from, to           *resource
}

var web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 40 * time.Second}

func (c *client) send(ctx context.Context, method, path, body string) (status int, text []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.run.base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.run.token)
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := web.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// write sends requests until one has no answer, or ctx ends. A request that has begun is waited for.
func (c *client) write(ctx context.Context) error {
	for ctx.Err() == nil {
		x := c.next()
		status, text, err := c.send(context.WithoutCancel(ctx), x.method, x.path, x.body)
		switch {
		case err != nil || status >= 500:
			c.run.unknown.Add(1)
			c.pending = x
			return nil
		case status >= 300:
			return fmt.Errorf("%s %s %s: %d %s", x.method, x.path, x.body, status, text)
		}
		c.run.answers.Add(1)
		if x.from == nil {
			var made struct{ ID string }
			if err := json.Unmarshal(text, &made); err != nil {
				return err
			}
			x.to.id = made.ID
		}
		c.took(x)
	}
	return nil
}

// took makes a change true.
func (c *client) took(x *change) {
	x.to.changes++
	if x.from != nil {
		*x.from = *x.to
		return
	}
	switch {
	case x.to.group:
		c.group = x.to
	case len(c.members) < 4:
		c.members = append(c.members, x.to)
	default:
		c.mine = append(c.mine, x.to)
	}
}

const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

// next chooses a request.
func (c *client) next() *change {
	c.count++
	name := fmt.Sprintf("c%d-%d", c.number, c.count)
	var living []*resource
	for _, r := range c.mine {
		if !r.gone {
			living = append(living, r)
		}
	}
	switch kind := c.random.IntN(10); {
	case len(c.members) < 4 || len(living) < 3 || kind == 0 && len(living) < 40:
		r := &resource{name: name, title: name, active: true}
		return &change{method: "POST", path: "/Users", body: fmt.Sprintf(`{"schemas":["%s"],"userName":"%s","title":"%s","active":true}`, userSchema, name, name), to: r}
	case c.group == nil:
		r := &resource{name: name, group: true, members: map[string]bool{}}
		return &change{method: "POST", path: "/Groups", body: fmt.Sprintf(`{"schemas":["%s"],"displayName":"%s"}`, groupSchema, name), to: r}
	case kind <= 3:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.title = name
		return &change{method: "PATCH", path: "/Users/" + from.id, body: patch(fmt.Sprintf(`{"op":"replace","path":"title","value":"%s"}`, name)), from: from, to: to}
	case kind == 4:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.active = !from.active
		return &change{method: "PATCH", path: "/Users/" + from.id, body: patch(fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, to.active)), from: from, to: to}
	case kind == 5:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.title = name
		return &change{method: "PUT", path: "/Users/" + from.id, body: fmt.Sprintf(`{"schemas":["%s"],"userName":"%s","title":"%s","active":%t}`, userSchema, from.name, name, from.active), from: from, to: to}
	case kind == 6:
		from := living[c.random.IntN(len(living))]
		to := from.clone()
		to.gone = true
		return &change{method: "DELETE", path: "/Users/" + from.id, from: from, to: to}
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
	return &change{method: "PATCH", path: "/Groups/" + c.group.id, body: patch(op), from: c.group, to: to}
}

func patch(op string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + op + `]}`
}

// settle finds out whether the request that had no answer was applied.
func (c *client) settle(ctx context.Context) error {
	x := c.pending
	if x == nil {
		return nil
	}
	c.pending = nil
	if x.from == nil {
		return c.settleNew(ctx, x)
	}
	status, text, err := c.send(ctx, "GET", x.path, "")
	if err != nil || status >= 500 {
		return fmt.Errorf("GET %s: %d %s: %w", x.path, status, text, err)
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
		if status != http.StatusOK || r.gone {
			return r.gone && status == http.StatusNotFound
		}
		var members []string
		for _, m := range got.Members {
			members = append(members, m.Value)
		}
		return got.Title == r.title && (r.group || got.Active == r.active) && slices.Equal(slices.Sorted(slices.Values(members)), slices.Sorted(maps.Keys(r.members)))
	}
	switch {
	case is(x.to):
		c.run.applied.Add(1)
		c.took(x)
	case !is(x.from):
		return fmt.Errorf("%s %s had no answer; it is neither as before nor as after: %d %s, before %+v", x.method, x.path, status, text, *x.from)
	}
	return nil
}

func (c *client) settleNew(ctx context.Context, x *change) error {
	path := "/Users?filter=userName"
	if x.to.group {
		path = "/Groups?filter=displayName"
	}
	status, text, err := c.send(ctx, "GET", path+escaped(` eq "`+x.to.name+`"`), "")
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s: %w", path, status, text, err)
	}
	var found struct{ Resources []struct{ ID string } }
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	switch len(found.Resources) {
	case 0:
		return nil
	case 1:
		x.to.id = found.Resources[0].ID
		c.run.applied.Add(1)
		c.took(x)
		return nil
	}
	return fmt.Errorf("%s is there %d times", x.to.name, len(found.Resources))
}
