package main

import (
	"context"
	"fmt"
	"net/url"
)

// listClients is the number of connections that request pages. Each page has several hundred
// kilobytes.
const listClients = 4

// measureLists measures reads of first and last pages of 100 resources, of sorted pages, and of a
// page for which no index helps.
func (b *bench) measureLists(ctx context.Context, w *runningSites, s *section) error {
	empty := w.addEmptyHandler(&section{}, b.clients)
	var small []*contender
	for i, site := range w.sites {
		rows, err := b.addListRows(ctx, s, site, w.servers[i])
		if err != nil {
			return err
		}
		for _, row := range rows[:4] {
			if w.isLargest(i) {
				row.claims = append(row.claims, w.budgetClaims(2000, empty)...)
			}
		}
		if w.isLargest(i) && small != nil {
			for k, row := range rows[:5] { // only the first five rows have an order that an index provides
				row.claims = append(row.claims, costClaim(small[k], w.smallerSiteName(), atMost(1.3)))
			}
			for k, row := range rows[5:] {
				row.claims = append(row.claims, costClaim(small[5+k], w.smallerSiteName(), aim{}))
			}
		}
		small = rows
	}
	s.Rows = append([]*contender{empty}, alternateSites(s.Rows, len(w.sites))...)
	return b.interleave(ctx, s.Rows...)
}

// alternateSites orders the rows so that the sites take turns. groups is the number of sites; rows
// has all rows of the first site, then those of the next. A server may still do work after its
// turn. Because other sites come next, this work does not fall into the server's own next turn.
func alternateSites(rows []*contender, groups int) []*contender {
	each := len(rows) / groups
	var out []*contender
	for i := range each {
		for g := range groups {
			out = append(out, rows[g*each+i])
		}
	}
	return append(out, rows[each*groups:]...)
}

// addListRows adds the rows about pages of one site, and returns them.
func (b *bench) addListRows(ctx context.Context, s *section, site *population, server *server) ([]*contender, error) {
	users := site.users()
	page := func(name string, clients int, query string) *contender {
		return s.addRow(name, users, server, site.getLoad(server.addr, clients, []string{"/Users?" + query}, expectText(`"Resources":[{`)))
	}
	total, last, err := site.followCursors(ctx, server.addr)
	if err != nil {
		return nil, err
	}
	rows := []*contender{
		page("first page of 100 by startIndex", listClients, "startIndex=1&count=100"),
		page("last page of 100 by startIndex", listClients, fmt.Sprintf("startIndex=%d&count=100", max(1, total-99))),
		page("first page of 100 by cursor", listClients, "cursor&count=100"),
		page("last page of 100 by cursor", listClients, "count=100&cursor="+url.QueryEscape(last)),
		page("page of 100 sorted by userName", listClients, "sortBy=userName&count=100"),
		page("page of 100 sorted by name.familyName", 1, "sortBy=name.familyName&count=100"),
		s.addRow(`unindexed filter (title co "x")`, users, server, site.getLoad(server.addr, 1,
			[]string{"/Users?count=100&filter=" + url.QueryEscape(`title co "x"`)}, expectText(`"totalResults":`))),
	}
	rows[1].claims = append(rows[1].claims, costClaim(rows[0], "the first page's CPU", atMost(1.5)))
	rows[3].claims = append(rows[3].claims, costClaim(rows[2], "the first page's CPU", atMost(1.5)))
	return rows, nil
}

// followCursors follows the cursors to the last page. It returns the number of users and the cursor
// of the last page.
func (s *population) followCursors(ctx context.Context, addr string) (total int, last string, err error) {
	for read := 0; ; {
		var page struct {
			TotalResults int    `json:"totalResults"`
			ItemsPerPage int    `json:"itemsPerPage"`
			NextCursor   string `json:"nextCursor"`
		}
		target := "http://" + addr + scimPath + "/Users?count=100&attributes=userName&cursor=" + url.QueryEscape(last)
		if err := getJSON(ctx, target, s.token, &page); err != nil {
			return 0, "", err
		}
		read += page.ItemsPerPage
		if page.NextCursor == "" {
			if read != page.TotalResults {
				return 0, "", fmt.Errorf("the pages by cursor hold %d of %d users", read, page.TotalResults)
			}
			return read, last, nil
		}
		last = page.NextCursor
	}
}
