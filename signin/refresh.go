package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/site"
)

// If a site has the address of its identity provider's metadata, the metadata is read again
// ("refreshed") once a day. It is also refreshed when a response is signed by an unknown key, but
// at most once in five minutes. A refresh only adds certificates, and removes those that have
// expired and are no longer announced. It never changes the entity id or an address: an
// administrator must import such changes.
const (
	refreshInterval      = 24 * time.Hour
	refreshRetryInterval = time.Hour        // the time from a failed refresh to the next daily refresh
	minRefreshInterval   = 5 * time.Minute  // the shortest time between two refreshes for unknown keys
	refreshTimeout       = 12 * time.Second // how long a refresh may take
)

// The kind and the key of the lease of the daily refreshes. One process holds the lease at a time.
const (
	RefreshKind = "saml-refresh"
	RefreshKey  = "all"
)

// RefreshState describes the last refresh of the metadata of a site's identity provider.
type RefreshState struct {
	Began, Ended time.Time // when the last refresh began and ended; zero if there was none
	Failure      string    // why the last refresh did not apply the metadata, or a part of it; may be empty
}

// RefreshStore keeps the times and failures of the refreshes of metadata. Every method except
// DueRefresh names the site.
type RefreshStore interface {
	RefreshState(ctx context.Context, id site.ID) (RefreshState, error)
	// DueRefresh returns a site whose daily refresh is due. If there is none, it returns
	// refusal.NotFound and the time when the next refresh is due, or the zero time if no site has
	// refreshes.
	DueRefresh(ctx context.Context, now time.Time) (id site.ID, next time.Time, err error)
	// BeginDailyRefresh records that a daily refresh begins, and that the next one is due at the
	// time next. It records nothing and returns false if no refresh is due at the time now.
	BeginDailyRefresh(ctx context.Context, id site.ID, now, next time.Time) (bool, error)
	// BeginUnknownKeyRefresh records that a refresh for an unknown key begins. It records nothing
	// and returns false if another refresh began after notSince.
	BeginUnknownKeyRefresh(ctx context.Context, id site.ID, now, notSince time.Time) (bool, error)
	// EndRefresh records how a refresh ended. If failure is not empty, the next daily refresh is
	// due at the time retry or earlier. If this failure differs from the previous one, EndRefresh
	// appends the event.
	EndRefresh(ctx context.Context, id site.ID, now, retry time.Time, failure string, e event.Event) error
}

// RefreshState returns the state of the last refresh of the site's metadata. It returns the zero
// value if there was none.
func (s *SingleSignOn) RefreshState(ctx context.Context, st site.Site) (RefreshState, error) {
	state, err := s.Store.RefreshState(ctx, st.ID)
	if errors.Is(err, refusal.NotFound) {
		return RefreshState{}, nil
	}
	return state, err
}

// AdvanceRefresh does the daily refresh of one site, if one is due. It returns the time at which it
// must be called again. It is called for the lease of RefreshKind (see package runner), and ignores
// its arguments, which are the key and the epoch of the lease.
func (s *SingleSignOn) AdvanceRefresh(ctx context.Context, _ string, _ int64) (next time.Time, err error) {
	idle := s.Now().Add(minRefreshInterval)
	id, due, err := s.Store.DueRefresh(ctx, s.Now())
	if errors.Is(err, refusal.NotFound) {
		if due.IsZero() || due.After(idle) {
			return idle, nil
		}
		return due, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find a due refresh: %w", err)
	}
	began, err := s.Store.BeginDailyRefresh(ctx, id, s.Now(), s.Now().Add(refreshInterval))
	if err != nil || !began {
		return s.Now(), err
	}
	st, err := s.Sites.Get(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	return s.Now(), s.refresh(ctx, st)
}

// refreshForUnknownKey refreshes the metadata because a response is signed by an unknown key. If a
// refresh is under way in any process, it waits for that refresh. changed reports whether the
// stored connection now differs from c. If so, it may have the unknown key.
func (s *SingleSignOn) refreshForUnknownKey(ctx context.Context, st site.Site, c Connection) (changed bool, err error) {
	if c.MetadataURL == "" || s.ReadMetadata == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	defer cancel()
	began, err := s.Store.BeginUnknownKeyRefresh(ctx, st.ID, s.Now(), s.Now().Add(-minRefreshInterval))
	if err != nil {
		return false, fmt.Errorf("begin a refresh: %w", err)
	}
	if began {
		err = s.refresh(ctx, st)
	} else {
		err = s.awaitRefresh(ctx, st)
	}
	if err != nil {
		return false, err
	}
	now, err := s.Connection(ctx, st)
	return now.Version != c.Version, err
}

// awaitRefresh waits until no refresh of the site is under way. If a process was killed during a
// refresh, the refresh never ends. So awaitRefresh waits no longer than a refresh may take.
func (s *SingleSignOn) awaitRefresh(ctx context.Context, st site.Site) error {
	for {
		state, err := s.Store.RefreshState(ctx, st.ID)
		if err != nil {
			return fmt.Errorf("find the state of the refresh: %w", err)
		}
		if !state.Began.After(state.Ended) || s.Now().Sub(state.Began) > refreshTimeout {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// refresh reads and applies the metadata of a site's identity provider, and records the result. It
// returns an error only if this server failed, not if the metadata is unusable.
func (s *SingleSignOn) refresh(ctx context.Context, st site.Site) error {
	failure, err := s.applyMetadata(ctx, st)
	if err != nil {
		return err
	}
	now := s.Now()
	e := event.Event{
		Time: now, Scope: event.Site(string(st.ID)), Name: event.SiteSSORefreshFailed, Actor: systemActor,
		Text: "The metadata of the identity provider was not taken over: " + failure,
	}
	if err := s.Store.EndRefresh(ctx, st.ID, now, now.Add(refreshRetryInterval), failure, e); err != nil {
		return fmt.Errorf("end a refresh: %w", err)
	}
	return nil
}

// systemActor is the actor of refreshes in events.
const systemActor = "system"

// applyMetadata reads the metadata and saves the changes that a refresh may make. failure says in
// words which changes it did not save, and why; it is empty if there are none.
func (s *SingleSignOn) applyMetadata(ctx context.Context, st site.Site) (failure string, err error) {
	const tries = 3
	for range tries {
		c, err := s.Connection(ctx, st)
		if err != nil {
			return "", err
		}
		if c.MetadataURL == "" || s.ReadMetadata == nil {
			return "", nil
		}
		text, err := s.ReadMetadata(ctx, c.MetadataURL)
		if err != nil {
			return "it could not be read: " + err.Error(), nil
		}
		announced, err := saml.ParseMetadata(text)
		if err != nil {
			return err.Error(), nil
		}
		next, failure := c.withRefreshedCertificates(announced, s.Now())
		if changes := Differences(c, next); len(changes) > 0 {
			next.Version = c.Version + 1
			e := event.Event{
				Time: s.Now(), Scope: event.Site(string(st.ID)), Name: event.SiteSSORefreshed, Actor: systemActor,
				Text: "The certificates of the identity provider were refreshed from its metadata", Data: event.DataOf(nil, changes...),
			}
			err := s.Store.PutConnection(ctx, st.ID, ConnectionChange{Next: next, IfVersion: c.Version, KeepsTests: true, Events: []event.Event{e}})
			if errors.Is(err, refusal.Stale) {
				continue
			}
			if err != nil {
				return "", fmt.Errorf("save the refreshed certificates: %w", err)
			}
		}
		return failure, nil
	}
	return "the settings changed meanwhile", nil
}

// withRefreshedCertificates returns the connection with the certificates of the metadata. failure
// says in words which other changes of the metadata an administrator must import; it is empty if
// there are none.
func (c Connection) withRefreshedCertificates(announced saml.IdentityProvider, now time.Time) (next Connection, failure string) {
	next = c
	if announced.EntityID != c.Provider.EntityID {
		return next, fmt.Sprintf("it is of another identity provider, %s; import it if that is right", announced.EntityID)
	}
	certs := slices.Clone(c.Provider.Certificates)
	for _, cert := range announced.Certificates {
		certs = saml.AddCertificate(certs, cert)
	}
	// Remove expired certificates, but never all certificates. An announced certificate stays even
	// if it has expired.
	kept := certs[:0:0]
	for _, cert := range certs {
		if !now.After(cert.NotAfter) || slices.ContainsFunc(announced.Certificates, cert.Equal) {
			kept = append(kept, cert)
		}
	}
	if len(kept) > 0 {
		certs = kept
	}
	var problems []string
	if len(certs) > saml.MaxCertificates {
		problems = append(problems, fmt.Sprintf("it has new certificates, and this site has its %d; remove old ones", saml.MaxCertificates))
		certs = c.Provider.Certificates
	}
	if announced.SignInURL != c.Provider.SignInURL || announced.SignOutURL != c.Provider.SignOutURL {
		problems = append(problems, "its addresses have changed; import it to take them over")
	}
	next.Provider.Certificates = certs
	return next, strings.Join(problems, "; ")
}
