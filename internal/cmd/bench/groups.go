package main

import (
	"bytes"
	"context"
	"net/http"
)

// measureGroups measures changes and reads of small and large groups. The rows take turns.
func (b *bench) measureGroups(ctx context.Context, w *runningSites, s *section) error {
	empty := w.addEmptyHandler(&section{}, b.clients)
	var small []*contender
	for i, site := range w.sites {
		rows := b.addGroupRows(s, site, w.servers[i])
		few, many, get, without, stream := rows[0], rows[1], rows[2], rows[3], rows[4]
		many.claims = append(many.claims, costClaim(few, "the same in a group of 10", atMost(1.3)))
		without.claims = append(without.claims, costClaim(get, "GET of a user", atMost(1.2)))
		if w.isLargest(i) {
			few.claims = append(few.claims, w.budgetClaims(350, empty)...)
			many.claims = append(many.claims, w.budgetClaims(350, empty)...)
			without.claims = append(without.claims, w.budgetClaims(120, empty)...)
		}
		if w.isLargest(i) && small != nil {
			for k, row := range []*contender{few, many, get, without} {
				row.claims = append(row.claims, costClaim(small[k], w.smallerSiteName(), w.aimOnPostgres(atMost(1.3))))
			}
			stream.claims = append(stream.claims, costClaim(small[4], w.smallerSiteName(), aim{}))
		}
		small = rows
	}
	s.Rows = append([]*contender{empty}, alternateSites(s.Rows, len(w.sites))...)
	return b.interleave(ctx, s.Rows...)
}

// addGroupRows adds the rows about the groups of one site, and returns them.
func (b *bench) addGroupRows(s *section, site *population, server *server) []*contender {
	n := site.users()
	many := withThousandsCommas(site.largeGroup.members)
	return []*contender{
		s.addRow("add one member or remove one, group of "+withThousandsCommas(site.smallGroup.members), n, server, site.membershipLoad(server.addr, b.clients, site.smallGroup)),
		s.addRow("add one member or remove one, group of "+many, n, server, site.membershipLoad(server.addr, b.clients, site.largeGroup)),
		s.addRow("GET of a user, beside", n, server, site.readByIDLoad(server.addr, b.clients)),
		s.addRow("GET with excludedAttributes=members, group of "+many, n, server,
			site.getLoad(server.addr, b.clients, []string{"/Groups/" + site.largeGroup.id + "?excludedAttributes=members"}, expectText(`"displayName":"Everybody"`))),
		s.addRow("GET of a group of "+many+" with its members", n, server,
			site.getLoad(server.addr, 1, []string{"/Groups/" + site.largeGroup.id}, expectMembers(site.largeGroup.members))),
	}
}

// expectMembers returns a check that accepts a group with at least n members. The group may have
// more, because a load may be adding members.
func expectMembers(n int) func(status int, body []byte) error {
	member := []byte(`"value":"`)
	return func(status int, body []byte) error {
		if status != http.StatusOK || bytes.Count(body, member) < n {
			return unexpectedAnswer(status, body)
		}
		return nil
	}
}
