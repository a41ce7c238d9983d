package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// writerCounts returns the numbers of clients with which writes are measured.
func (b *bench) writerCounts() []int {
	list := []int{1, b.clients, maxClients}
	slices.Sort(list)
	return slices.Compact(list)
}

// comparisonServers holds two servers for comparison, on copies of the largest site on SQLite. The
// first runs the same server code, but with one commit per request. The second runs only the store.
type comparisonServers struct {
	site                        *population // the site that the server with one commit per request uses
	commitPerRequest, storeOnly *server
	files                       []string // the files of the copied databases, which are removed at the end
}

// measureWrites measures PATCHes and POSTs of users.
func (b *bench) measureWrites(ctx context.Context, w *runningSites, s *section) (err error) {
	var other *comparisonServers
	if w.kind == kindSQLite {
		if other, err = b.startComparisons(ctx, w); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.stopComparisons(other)) }()
	}
	b.addPatchRows(w, s, other)
	patches := len(s.Rows)
	if err := b.interleave(ctx, s.Rows...); err != nil {
		return err
	}
	if err := b.addCreateRows(w, s, other); err != nil {
		return err
	}
	return b.interleave(ctx, s.Rows[patches:]...)
}

// startComparisons stops the server of the largest site, copies the site twice, and starts the
// server again. Then it starts two servers for comparison, one on each copy.
func (b *bench) startComparisons(ctx context.Context, w *runningSites) (*comparisonServers, error) {
	last := len(w.servers) - 1
	if err := b.stop(w.servers[last]); err != nil {
		return nil, err
	}
	w.servers = w.servers[:last]
	o := &comparisonServers{}
	sites := make([]*population, 2)
	for i, name := range []string{"serial", "bare"} {
		var err error
		if sites[i], err = w.largest().copy(b, name); err != nil {
			return nil, err
		}
		o.files = append(o.files, sites[i].url)
	}
	o.site = sites[0]
	again, err := b.serveSite(ctx, "serve-writes", w.largest())
	if err != nil {
		return nil, err
	}
	w.servers = append(w.servers, again)
	if o.commitPerRequest, err = b.startChild(ctx, childServe, "-serial", "-url", sites[0].url); err != nil {
		return nil, err
	}
	o.storeOnly, err = b.startChild(ctx, childStore, "-url", sites[1].url)
	return o, err
}

// stopComparisons stops the two servers for comparison and removes their databases.
func (b *bench) stopComparisons(o *comparisonServers) error {
	err := errors.Join(b.stop(o.storeOnly), b.stop(o.commitPerRequest))
	for _, file := range o.files {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// addPatchRows adds the rows about PATCHes. other is nil on PostgreSQL.
func (b *bench) addPatchRows(w *runningSites, s *section, other *comparisonServers) {
	empty := w.addEmptyHandler(s, b.clients)
	for _, clients := range b.writerCounts() {
		var small *contender
		for i, site := range w.sites {
			c := s.addRow("PATCH active", site.users(), w.servers[i], site.activationLoad(w.servers[i].addr, clients))
			if !w.isLargest(i) {
				small = c
				continue
			}
			if small != nil {
				c.claims = append(c.claims, costClaim(small, w.smallerSiteName(), w.aimOnPostgres(atMost(1.3))))
			}
			if clients == b.clients {
				c.claims = append(c.claims, w.budgetClaims(350, empty)...)
			}
			if other != nil {
				serial := s.addRow("PATCH active, one commit per request", site.users(), other.commitPerRequest, other.site.activationLoad(other.commitPerRequest.addr, clients))
				c.claims = append(c.claims, rateClaim(serial, "one commit per request", aim{}))
			}
		}
	}
}

// addCreateRows adds the rows about POSTs. other is nil on PostgreSQL.
func (b *bench) addCreateRows(w *runningSites, s *section, other *comparisonServers) error {
	empty := w.addEmptyHandler(s, b.clients)
	var last atomic.Int64
	last.Store(int64(w.largest().users() + ungroupedUsers))
	number := func() int { return int(last.Add(1)) }
	for _, clients := range b.writerCounts() {
		var small *contender
		for i, site := range w.sites {
			l, err := site.createLoad(w.servers[i].addr, clients, number)
			if err != nil {
				return err
			}
			if !w.isLargest(i) {
				small = s.addCreateRow("POST", site, w.servers[i], l)
				continue
			}
			c := s.addRow("POST", site.users(), w.servers[i], l)
			if small != nil {
				c.claims = append(c.claims, costClaim(small, w.smallerSiteName(), w.aimOnPostgres(atMost(1.3))))
			}
			if clients == b.clients {
				c.claims = append(c.claims, w.budgetClaims(300, empty)...)
			}
			if other != nil {
				if err := b.addComparedCreates(s, c, other, clients, number); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addComparedCreates adds the rows about POSTs at the two servers for comparison, and the claims
// that compare c with them.
func (b *bench) addComparedCreates(s *section, c *contender, other *comparisonServers, clients int, number func() int) error {
	l, err := other.site.createLoad(other.commitPerRequest.addr, clients, number)
	if err != nil {
		return err
	}
	serial := s.addRow("POST, one commit per request", c.Users, other.commitPerRequest, l)
	bare := s.addStoreRow(other.storeOnly, c.Users, clients)
	var one, store aim
	if clients == b.clients {
		one, store = atLeast(1.3), atLeast(0.45)
	}
	c.claims = append(c.claims, rateClaim(serial, "one commit per request", one), rateClaim(bare, "the bare store's rate", store))
	return nil
}

// addCreateRow adds a row that measures the creation of users. After each round it deletes the new
// users, so that a small site stays small.
func (s *section) addCreateRow(name string, site *population, server *server, l load) *contender {
	var mu sync.Mutex
	var ids []string
	l.checkResponse = func(status int, body []byte) error {
		if err := expectCreated(status, body); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, idOf(body))
		return nil
	}
	c := s.addRow(name, site.users(), server, l)
	c.cleanUp = func(ctx context.Context) error {
		_, err := doAll(ctx, server.addr, 16, len(ids), func(c *conn, i int) error {
			status, answer, err := c.send(site.appendRequest(nil, http.MethodDelete, "/Users/"+ids[i], nil))
			if err == nil && status != http.StatusNoContent {
				err = unexpectedAnswer(status, answer)
			}
			return err
		})
		ids = ids[:0]
		return err
	}
	return c
}

// addStoreRow adds a row for the child that runs only the store.
func (s *section) addStoreRow(server *server, users, clients int) *contender {
	c := &contender{Name: "POST's rows written by the bare store", Users: users, Clients: clients, server: server}
	c.runRound = func(ctx context.Context, d time.Duration) (int, time.Duration, error) {
		var did storeResult
		err := getJSON(ctx, fmt.Sprintf("http://%s/?clients=%d&for=%s", server.addr, clients, d), "", &did)
		return did.Requests, did.Elapsed, err
	}
	s.Rows = append(s.Rows, c)
	return c
}

// getJSON sends a GET and decodes the JSON of the response into v. token may be empty.
func getJSON(ctx context.Context, url, token string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return unexpectedAnswer(res.StatusCode, body)
	}
	return json.Unmarshal(body, v)
}
