package main

import (
	"context"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/store"
)

// A server says at which address it is reached by holding a lease whose key begins with it. Commands on the same database build their links on it.
// The lease of a server that was killed expires.
const (
	addressLease = "address"
	addressTTL   = 90 * time.Second
)

// findServer takes the address of the server that runs on this database, unless a flag or the environment names one.
func (c *command) findServer(ctx context.Context, leases store.Leases) error {
	if c.publicURL != "" {
		return nil
	}
	held, err := leases.HeldNow(ctx, addressLease)
	if err == nil && len(held) > 0 {
		c.publicURL, _, _ = strings.Cut(held[0], " ")
	}
	return err
}

// served says whether a server is known, or an address was given.
func (c *command) served() bool { return c.publicURL != "" }

// noteNobodyServes warns of a link that nothing answers.
func (c *command) noteNobodyServes() {
	if !c.served() {
		c.note("No rollcall serves this database now. The link opens once one does: rollcall serve. Reached at another address than %s? Say so with --public-url.", c.address())
	}
}

// announce says that this process serves at its address.
func (c *command) announce(ctx context.Context, s *services) error {
	if err := s.leases.ForgetExpired(ctx, addressLease); err != nil {
		return err
	}
	_, err := s.leases.Claim(ctx, addressLease, c.announced(s), s.owner, addressTTL)
	return err
}

// announced is the key of the lease: many processes may serve at one address.
func (c *command) announced(s *services) string { return c.address() + " " + s.owner }

// keepAnnouncing goes on saying so until ctx ends. That it cannot is no reason to stop serving.
func (c *command) keepAnnouncing(ctx context.Context, s *services) error {
	tick := time.NewTicker(addressTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.leases.Forget(context.WithoutCancel(ctx), addressLease, c.announced(s))
		case <-tick.C:
			if _, err := s.leases.Claim(ctx, addressLease, c.announced(s), s.owner, addressTTL); err != nil && ctx.Err() == nil {
				s.log.Warn("the address was not announced to other commands", "error", err)
			}
		}
	}
}
