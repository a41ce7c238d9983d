package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// measureSearchable declares attributes searchable while the servers run. When the indexes of these
// attributes are complete, it measures searches by them, and searches by an attribute that is not
// declared.
func (b *bench) measureSearchable(ctx context.Context, w *runningSites, s *section) error {
	var small *contender
	for i, site := range w.sites {
		took, err := b.declareSearchable(ctx, site, "title", "department")
		if err != nil {
			return err
		}
		s.Note = fmt.Sprintf("Both attributes of %s users were indexed in %.1f s.", withThousandsCommas(site.users()), took.Seconds())
		b.print("  %s", s.Note)
		users, server := site.users(), w.servers[i]
		var titles []string
		for n := range users + ungroupedUsers {
			if p := personOf(n); p.hasUniqueTitle() {
				titles = append(titles, "/Users?filter="+url.QueryEscape(fmt.Sprintf("title eq %q", p.title)))
			}
		}
		declared := s.addRow("declared attribute (title eq)", users, server, site.getLoad(server.addr, b.clients, titles, expectTotal(1)))
		if small != nil {
			declared.claims = append(declared.claims, costClaim(small, w.smallerSiteName(), atMost(1.3)))
		}
		small = declared
		s.addRow("declared attribute, page of 100 of a sixth (department eq)", users, server, site.getLoad(server.addr, listClients,
			[]string{"/Users?count=100&filter=" + url.QueryEscape(`department eq "Sales"`)}, expectText(`"Resources":[{`)))
		s.addRow("not declared (nickName eq)", users, server,
			site.filterLoad(server.addr, 1, func(p person) string { return fmt.Sprintf("nickName eq %q", p.nickname()) }),
			costClaim(declared, "the declared attribute's CPU", aim{}))
	}
	s.Rows = alternateSites(s.Rows, len(w.sites))
	return b.interleave(ctx, s.Rows...)
}

// declareSearchable declares attributes of users searchable and waits until their indexes are
// complete. It returns how long that took.
func (b *bench) declareSearchable(ctx context.Context, site *population, attributes ...string) (took time.Duration, err error) {
	started := time.Now()
	if _, err := b.runRollcall(ctx, site.url, append([]string{"site", "searchable", "add", siteName, "User"}, attributes...)...); err != nil {
		return 0, err
	}
	for {
		text, err := b.runRollcall(ctx, site.url, "site", "searchable", "show", siteName, "--json")
		if err != nil {
			return 0, err
		}
		var state struct {
			Searchable []struct {
				Complete bool `json:"complete"`
			} `json:"searchable"`
		}
		if err := json.Unmarshal([]byte(text), &state); err != nil {
			return 0, fmt.Errorf("read what is searchable: %w", err)
		}
		complete := 0
		for _, a := range state.Searchable {
			if a.Complete {
				complete++
			}
		}
		if complete == len(attributes) {
			return time.Since(started), nil
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
