package main

import (
	"bytes"
	"context"
	"net/http"
)

// memberships changes and reads small and large groups in turn.
func (b *bench) memberships(ctx context.Context, w *stage, s *section) error {
	empty := w.addEmptyHandler(&section{}, b.clients)
	var small []*contender
	for i, site := range w.sites {
		rows := b.groupRows(s, site, w.servers[i])
		few, many, get, without, stream := rows[0], rows[1], rows[2], rows[3], rows[4]
		many.claims = append(many.claims, costOf(few, "the same in a group of 10", atMost(1.3)))
		without.claims = append(without.claims, costOf(get, "GET of a user", atMost(1.2)))
		if w.large(i) {
			few.claims = append(few.claims, w.budget(350, empty)...)
			many.claims = append(many.claims, w.budget(350, empty)...)
			without.claims = append(without.claims, w.budget(120, empty)...)
		}
		if w.large(i) && small != nil {
			for k, row := range []*contender{few, many, get, without} {
				row.claims = append(row.claims, costOf(small[k], w.smaller(), w.postgres(atMost(1.3))))
			}
			stream.claims = append(stream.claims, costOf(small[4], w.smaller(), aim{}))
		}
		small = rows
	}
	s.Rows = append([]*contender{empty}, alternate(s.Rows, len(w.sites))...)
	return b.interleave(ctx, s.Rows...)
}

func (b *bench) groupRows(s *section, site *population, server *server) []*contender {
	n := site.users()
	many := count(site.many.members)
	return []*contender{
		s.add("add one member or remove one, group of "+count(site.few.members), n, server, site.memberships(server.addr, b.clients, site.few)),
		s.add("add one member or remove one, group of "+many, n, server, site.memberships(server.addr, b.clients, site.many)),
		s.add("GET of a user, beside", n, server, site.byID(server.addr, b.clients)),
		s.add("GET with excludedAttributes=members, group of "+many, n, server,
			site.get(server.addr, b.clients, []string{"/Groups/" + site.many.id + "?excludedAttributes=members"}, holding(`"displayName":"Everybody"`))),
		s.add("GET of a group of "+many+" with its members", n, server,
			site.get(server.addr, 1, []string{"/Groups/" + site.many.id}, holdingMembers(site.many.members))),
	}
}

// holdingMembers accepts a group with at least n members, because a load may have added one.
func holdingMembers(n int) func(status int, body []byte) error {
	member := []byte(`"value":"`)
	return func(status int, body []byte) error {
		if status != http.StatusOK || bytes.Count(body, member) < n {
			return unexpected(status, body)
		}
		return nil
	}
}
