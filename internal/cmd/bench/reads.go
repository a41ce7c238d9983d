package main

import (
	"context"
	"fmt"
	"time"
)

// addRow adds to the report a row that measures one server under one load.
func (s *section) addRow(name string, users int, server *server, l load, claims ...claim) *contender {
	c := &contender{
		Name: name, Users: users, Clients: l.clients, server: server, claims: claims,
		runRound: func(ctx context.Context, d time.Duration) (int, time.Duration, error) { return l.runFor(ctx, d) },
	}
	s.Rows = append(s.Rows, c)
	return c
}

// measureReads measures reads from all sites and from an empty handler. The rows take turns.
func (b *bench) measureReads(ctx context.Context, w *runningSites, s *section) error {
	empty := w.addEmptyHandler(s, b.clients)
	kinds := []struct {
		name   string
		load   func(p *population, addr string) load
		least  float64 // the aim for the rate, as a fraction of the rate of an empty handler
		budget float64 // the processor time that one request may take, in µs
	}{
		{"GET by id", func(p *population, addr string) load { return p.readByIDLoad(addr, b.clients) }, 0.30, 100},
		{"lookup by userName", b.filterLoad(func(p person) string { return fmt.Sprintf("userName eq %q", p.userName()) }), 0.25, 120},
		{"lookup by externalId", b.filterLoad(func(p person) string { return fmt.Sprintf("externalId eq %q", p.objectID()) }), 0.25, 120},
		{"lookup by work e-mail", b.filterLoad(func(p person) string { return fmt.Sprintf(`emails[type eq "work"].value eq %q`, p.userName()) }), 0.25, 120},
		{"lookup of a group by displayName", func(p *population, addr string) load { return p.teamLoad(addr, b.clients) }, 0.25, 120},
	}
	for _, k := range kinds {
		var small *contender
		for i, site := range w.sites {
			c := s.addRow(k.name, site.users(), w.servers[i], k.load(site, w.servers[i].addr))
			if !w.isLargest(i) {
				small = c
				continue
			}
			c.claims = append(c.claims, rateClaim(empty, "the empty handler's rate", w.aimOnSQLite(atLeast(k.least))))
			if small != nil {
				c.claims = append(c.claims, costClaim(small, w.smallerSiteName(), atMost(1.3)))
			}
			c.claims = append(c.claims, w.budgetClaims(k.budget, empty)...)
		}
	}
	return b.interleave(ctx, s.Rows...)
}

// filterLoad returns a function that makes the load of lookups with a filter, for a site and the
// address of its server.
func (b *bench) filterLoad(filter func(person) string) func(*population, string) load {
	return func(p *population, addr string) load { return p.filterLoad(addr, b.clients, filter) }
}

// expectEmptyAnswer accepts the response of the empty handler.
func expectEmptyAnswer(status int, body []byte) error {
	if status != 200 || string(body) != emptyAnswer {
		return unexpectedAnswer(status, body)
	}
	return nil
}
