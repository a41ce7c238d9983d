package main

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

func TestAClockThatJumpsIsNoticed(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := start
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rollcall.db"), store.Options{Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	leases := store.Leases{DB: db}
	var lines bytes.Buffer
	w := &clockWatch{
		log:  slog.New(slog.NewTextHandler(&lines, nil)),
		wake: func(ctx context.Context) error { return leases.WakeAll(ctx, provision.LeaseKind) },
	}
	look := func(at time.Time, passed time.Duration) string {
		lines.Reset()
		clock = at
		w.checkClock(t.Context(), at, passed)
		return lines.String()
	}
	for _, quiet := range []struct {
		at     time.Duration
		passed time.Duration
	}{{0, 0}, {10 * time.Second, 10 * time.Second}, {22 * time.Second, 20 * time.Second}, {29 * time.Second, 30 * time.Second}} {
		if said := look(start.Add(quiet.at), quiet.passed); said != "" {
			t.Errorf("after %s: %s", quiet.passed, said)
		}
	}
	if said := look(start.Add(24*time.Hour), 40*time.Second); !strings.Contains(said, "set forward") || !strings.Contains(said, "by=23h59m") {
		t.Errorf("a day ahead: %q", said)
	}
	// A slice of work ends while the clock is ahead, so the next slice is scheduled too late.
	if err := leases.Ensure(t.Context(), provision.LeaseKind, "job"); err != nil {
		t.Fatal(err)
	}
	epoch, err := leases.Claim(t.Context(), provision.LeaseKind, "job", "me", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := leases.Release(t.Context(), provision.LeaseKind, "job", "me", epoch, clock.Add(40*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if said := look(start.Add(50*time.Second), 50*time.Second); !strings.Contains(said, "set back") {
		t.Errorf("put right: %q", said)
	}
	due, err := leases.Due(t.Context(), provision.LeaseKind, clock, 10)
	if err != nil || len(due) != 1 {
		t.Errorf("due after the clock was put right: %v, %v", due, err)
	}
}
