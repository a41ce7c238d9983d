package main

import (
	"context"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/store"
)

// A running server announces its address by holding a lease whose key starts with the address.
// Commands on the same database use that address in the links that they print. If a server is
// killed, its lease expires after addressTTL.
const (
	addressLease = "address"
	addressTTL   = 90 * time.Second
)

// findServer sets the command's public URL to the address of a server that runs on this database.
// It does nothing if a flag or the environment names a public URL.
func (c *command) findServer(ctx context.Context, leases store.Leases) error {
	if c.publicURL != "" {
		return nil
	}
	held, err := leases.HeldByAny(ctx, addressLease)
	if err == nil && len(held) > 0 {
		c.publicURL, _, _ = strings.Cut(held[0], " ")
	}
	return err
}

// hasAddress reports whether the public URL is known. A flag or the environment may give it, or
// findServer may find it.
func (c *command) hasAddress() bool { return c.publicURL != "" }

// warnNoServer warns that no server runs, so the printed link does not work yet.
func (c *command) warnNoServer() {
	if !c.hasAddress() {
		c.note("No rollcall serves this database now. The link opens once one does: rollcall serve. Reached at another address than %s? Say so with --public-url.", c.baseURL())
	}
}

// announce stores a lease that tells other commands the address of this server.
func (c *command) announce(ctx context.Context, s *services) error {
	if err := s.leases.ForgetExpired(ctx, addressLease); err != nil {
		return err
	}
	_, err := s.leases.Claim(ctx, addressLease, c.announcementKey(s), s.owner, addressTTL)
	return err
}

// announcementKey returns the key of the lease: the address and the owner. Several processes may
// serve at the same address.
func (c *command) announcementKey(s *services) string { return c.baseURL() + " " + s.owner }

// keepAnnouncing renews the announcement until ctx ends. If a renewal fails, the server keeps
// running.
func (c *command) keepAnnouncing(ctx context.Context, s *services) error {
	tick := time.NewTicker(addressTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.leases.Forget(context.WithoutCancel(ctx), addressLease, c.announcementKey(s))
		case <-tick.C:
			if _, err := s.leases.Claim(ctx, addressLease, c.announcementKey(s), s.owner, addressTTL); err != nil && ctx.Err() == nil {
				s.log.Warn("the address was not announced to other commands", "error", err)
			}
		}
	}
}
