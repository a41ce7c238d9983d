package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// takeProfiles takes a CPU profile of the SCIM server under each load.
func (b *bench) takeProfiles(ctx context.Context, site *population) error {
	if err := os.MkdirAll(b.profile, 0o755); err != nil {
		return err
	}
	s, err := b.startChild(ctx, childServe, "-url", site.url)
	if err != nil {
		return err
	}
	var last atomic.Int64
	last.Store(time.Now().Unix()) // a number greater than all numbers that the measurements used, so that user names are new
	creating, err := site.createLoad(s.addr, b.clients, func() int { return int(last.Add(1)) })
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name string
		load load
	}{
		{"get", site.readByIDLoad(s.addr, b.clients)},
		{"lookup", b.filterLoad(func(p person) string { return fmt.Sprintf("userName eq %q", p.userName()) })(site, s.addr)},
		{"page", site.getLoad(s.addr, listClients, []string{"/Users?count=100"}, expectText(`"Resources":[{`))},
		{"member", site.membershipLoad(s.addr, b.clients, site.largeGroup)},
		{"stream", site.getLoad(s.addr, 1, []string{"/Groups/" + site.largeGroup.id}, expectMembers(site.largeGroup.members))},
		{"patch", site.activationLoad(s.addr, b.clients)},
		{"create", creating},
	} {
		file := filepath.Join(b.profile, p.name+".pprof")
		took := make(chan error, 1)
		seconds := max(1, int(b.roundDuration.Seconds()))
		go func() {
			took <- download(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.addr, seconds), file)
		}()
		_, _, err := p.load.runFor(ctx, time.Duration(seconds)*time.Second)
		if err := errors.Join(err, <-took); err != nil {
			return err
		}
		b.print("  %s", file)
	}
	if err := download(ctx, "http://"+s.addr+"/debug/pprof/allocs", filepath.Join(b.profile, "allocs.pprof")); err != nil {
		return err
	}
	return b.stop(s)
}

// download writes the answer to a GET to a file.
func download(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = unexpectedAnswer(res.StatusCode, body)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o644)
}
