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

// writers returns the numbers of concurrent writing clients to measure.
func (b *bench) writers() []int {
	list := []int{1, b.clients, mostClients}
	slices.Sort(list)
	return slices.Compact(list)
}

// beside has the contenders on copies of the largest site on SQLite: the same server code with one
// commit per request, and the bare store.
type beside struct {
	site         *population // the site of serial
	serial, bare *server
	files        []string
}

// writes measures patches and creates of users.
func (b *bench) writes(ctx context.Context, w *stage, s *section) (err error) {
	var other *beside
	if w.kind == kindSQLite {
		if other, err = b.beside(ctx, w); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.release(other)) }()
	}
	b.patches(w, s, other)
	patches := len(s.Rows)
	if err := b.interleave(ctx, s.Rows...); err != nil {
		return err
	}
	if err := b.creates(w, s, other); err != nil {
		return err
	}
	return b.interleave(ctx, s.Rows[patches:]...)
}

// beside copies the largest site, whose server is stopped meanwhile.
func (b *bench) beside(ctx context.Context, w *stage) (*beside, error) {
	last := len(w.servers) - 1
	if err := b.stop(w.servers[last]); err != nil {
		return nil, err
	}
	w.servers = w.servers[:last]
	o := &beside{}
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
	if o.serial, err = b.child(ctx, childServe, "-serial", "-url", sites[0].url); err != nil {
		return nil, err
	}
	o.bare, err = b.child(ctx, childStore, "-url", sites[1].url)
	return o, err
}

func (b *bench) release(o *beside) error {
	err := errors.Join(b.stop(o.bare), b.stop(o.serial))
	for _, file := range o.files {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

func (b *bench) patches(w *stage, s *section, other *beside) {
	empty := w.addEmptyHandler(s, b.clients)
	for _, clients := range b.writers() {
		var small *contender
		for i, site := range w.sites {
			c := s.add("PATCH active", site.users(), w.servers[i], site.activations(w.servers[i].addr, clients))
			if !w.large(i) {
				small = c
				continue
			}
			if small != nil {
				c.claims = append(c.claims, costOf(small, w.smaller(), w.postgres(atMost(1.3))))
			}
			if clients == b.clients {
				c.claims = append(c.claims, w.budget(350, empty)...)
			}
			if other != nil {
				serial := s.add("PATCH active, one commit per request", site.users(), other.serial, other.site.activations(other.serial.addr, clients))
				c.claims = append(c.claims, rateOf(serial, "one commit per request", aim{}))
			}
		}
	}
}

func (b *bench) creates(w *stage, s *section, other *beside) error {
	empty := w.addEmptyHandler(s, b.clients)
	var last atomic.Int64
	last.Store(int64(w.largest().users() + strangers))
	number := func() int { return int(last.Add(1)) }
	for _, clients := range b.writers() {
		var small *contender
		for i, site := range w.sites {
			l, err := site.newUsers(w.servers[i].addr, clients, number)
			if err != nil {
				return err
			}
			if !w.large(i) {
				small = s.addKept("POST", site, w.servers[i], l)
				continue
			}
			c := s.add("POST", site.users(), w.servers[i], l)
			if small != nil {
				c.claims = append(c.claims, costOf(small, w.smaller(), w.postgres(atMost(1.3))))
			}
			if clients == b.clients {
				c.claims = append(c.claims, w.budget(300, empty)...)
			}
			if other != nil {
				if err := b.createsBeside(s, c, other, clients, number); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) createsBeside(s *section, c *contender, other *beside, clients int, number func() int) error {
	l, err := other.site.newUsers(other.serial.addr, clients, number)
	if err != nil {
		return err
	}
	serial := s.add("POST, one commit per request", c.Users, other.serial, l)
	bare := s.addBare(other.bare, c.Users, clients)
	var one, store aim
	if clients == b.clients {
		one, store = atLeast(1.3), atLeast(0.45)
	}
	c.claims = append(c.claims, rateOf(serial, "one commit per request", one), rateOf(bare, "the bare store's rate", store))
	return nil
}

// addKept adds a row of creates. After each round it deletes the new users, so that a small site
// stays small.
func (s *section) addKept(name string, site *population, server *server, l load) *contender {
	var mu sync.Mutex
	var ids []string
	l.check = func(status int, body []byte) error {
		if err := created(status, body); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, idOf(body))
		return nil
	}
	c := s.add(name, site.users(), server, l)
	c.after = func(ctx context.Context) error {
		_, err := all(ctx, server.addr, 16, len(ids), func(c *conn, i int) error {
			status, answer, err := c.send(site.request(nil, http.MethodDelete, "/Users/"+ids[i], nil))
			if err == nil && status != http.StatusNoContent {
				err = unexpected(status, answer)
			}
			return err
		})
		ids = ids[:0]
		return err
	}
	return c
}

// addBare adds a row in which the store's child writes for a while.
func (s *section) addBare(server *server, users, clients int) *contender {
	c := &contender{Name: "POST's rows written by the bare store", Users: users, Clients: clients, server: server}
	c.do = func(ctx context.Context, d time.Duration) (int, time.Duration, error) {
		var did storeResult
		err := getJSON(ctx, fmt.Sprintf("http://%s/?clients=%d&for=%s", server.addr, clients, d), "", &did)
		return did.Requests, did.Elapsed, err
	}
	s.Rows = append(s.Rows, c)
	return c
}

// getJSON sends a GET and decodes the response.
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
		return unexpected(res.StatusCode, body)
	}
	return json.Unmarshal(body, v)
}
