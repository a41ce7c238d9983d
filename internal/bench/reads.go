package main

import (
	"context"
	"fmt"
	"time"
)

// reads fills a site of each size and reads from all of them and from an empty handler in turn.
func (b *bench) reads(ctx context.Context, base *siteFile, r *report) error {
	empty, err := b.child(ctx, childEmpty)
	if err != nil {
		return err
	}
	r.Empty = &contender{Name: "empty handler"}
	contenders := []*contender{r.Empty}
	var servers []*server
	for _, n := range b.users {
		site, err := base.copy(b, fmt.Sprintf("site-%d", n))
		if err != nil {
			return err
		}
		s, err := b.serve(ctx, fmt.Sprintf("serve-%d", n), site.path)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := site.fill(ctx, s.addr, n); err != nil {
			return fmt.Errorf("bring %d people in: %w", n, err)
		}
		b.say("  brought %s people in, %.1f s", count(n), time.Since(begin).Seconds())
		peak, err := s.peak()
		if err != nil {
			return err
		}
		size := &sizeReport{Users: n, Document: site.bytes / n, Filled: peak}
		size.Get = b.contender(fmt.Sprintf("GET /Users/{id}, %s users", count(n)), s, site.byID(s.addr, b.clients))
		size.Lookup = b.contender(fmt.Sprintf("lookup by userName, %s users", count(n)), s, site.byUserName(s.addr, b.clients))
		contenders = append(contenders, size.Get, size.Lookup)
		servers = append(servers, s)
		r.Sizes = append(r.Sizes, size)
		r.largest = site
	}
	r.Empty.run = b.contender("", empty, r.largest.empty(empty.addr, b.clients)).run
	if err := b.interleave(ctx, contenders...); err != nil {
		return err
	}
	for i, s := range servers {
		if r.Sizes[i].Read, err = s.peak(); err != nil {
			return err
		}
		if err := b.stop(s); err != nil {
			return err
		}
	}
	return b.stop(empty)
}

// contender measures one server under one load.
func (b *bench) contender(name string, s *server, l load) *contender {
	return &contender{Name: name, run: func(ctx context.Context, d time.Duration) (sample, error) {
		return b.measured(ctx, s, func() (int, time.Duration, error) { return l.during(ctx, d) })
	}}
}
