package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// creates adds people to three copies of the largest site: through the product, through the same server code with one
// commit per request, and through the bare store.
func (b *bench) creates(ctx context.Context, _ *siteFile, r *report) error {
	var files [2]*siteFile
	for i, name := range []string{"serial", "bare"} {
		var err error
		if files[i], err = r.largest.copy(b, name); err != nil {
			return err
		}
		defer os.Remove(files[i].path)
	}
	shared, err := b.serve(ctx, "serve-creates", r.largest.path)
	if err != nil {
		return err
	}
	serial, err := b.child(ctx, childServe, "-serial", "-database", files[0].path)
	if err != nil {
		return err
	}
	bare, err := b.child(ctx, childStore, "-database", files[1].path)
	if err != nil {
		return err
	}
	var last atomic.Int64
	last.Store(int64(r.largest.users()))
	number := func() int { return int(last.Add(1)) }
	for _, clients := range slices.Compact([]int{1, b.clients}) {
		one, err := r.largest.newUsers(shared.addr, clients, number)
		if err != nil {
			return err
		}
		two, err := files[0].newUsers(serial.addr, clients, number)
		if err != nil {
			return err
		}
		r.Creates = append(r.Creates, &createReport{
			Clients: clients,
			Shared:  b.contender(fmt.Sprintf("POST /Users, clients: %d", clients), shared, one),
			Serial:  b.contender(fmt.Sprintf("the same, one commit each, clients: %d", clients), serial, two),
			Bare:    b.bareStore(bare, clients),
		})
	}
	var contenders []*contender
	for _, c := range r.Creates {
		contenders = append(contenders, c.Shared, c.Serial, c.Bare)
	}
	if err := b.interleave(ctx, contenders...); err != nil {
		return err
	}
	if r.Created, err = shared.peak(); err != nil {
		return err
	}
	for _, s := range []*server{bare, serial, shared} {
		if err := b.stop(s); err != nil {
			return err
		}
	}
	return nil
}

func (s *siteFile) users() int { return len(s.ids) }

// bareStore asks the store's child to write for a while.
func (b *bench) bareStore(s *server, clients int) *contender {
	return &contender{Name: fmt.Sprintf("bare store, callers: %d", clients), run: func(ctx context.Context, d time.Duration) (sample, error) {
		return b.measured(ctx, s, func() (int, time.Duration, error) {
			var did written
			err := getJSON(ctx, fmt.Sprintf("http://%s/?clients=%d&for=%s", s.addr, clients, d), "", &did)
			return did.Requests, did.Elapsed, err
		})
	}}
}

// getJSON reads what a server answers.
func getJSON(ctx context.Context, url, token string, v any) error {
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
