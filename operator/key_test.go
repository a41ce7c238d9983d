package operator_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// keyWorld is a Keys service on a real store with two directories.
type keyWorld struct {
	*operator.Keys
	t              *testing.T
	now            time.Time
	contoso, other directory.Directory
	directories    *directory.Directories
	events         store.Events
}

func newKeyWorld(t *testing.T, db *store.DB) *keyWorld {
	t.Helper()
	w := &keyWorld{t: t, now: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC), events: store.Events{DB: db}}
	n := 0
	newID := func() string { n++; return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }
	w.Keys = &operator.Keys{Store: store.OperatorKeys{DB: db}, Now: func() time.Time { return w.now }, NewID: newID}
	w.directories = &directory.Directories{Store: store.Directories{DB: db}, Now: w.Now, NewID: newID}
	for name, d := range map[string]*directory.Directory{"contoso": &w.contoso, "other": &w.other} {
		var err error
		if *d, err = w.directories.Create(t.Context(), name, "cli"); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *keyWorld) make(r operator.KeyRequest) (operator.Key, string) {
	w.t.Helper()
	if r.Directory == "" {
		r.Directory = string(w.contoso.ID)
	}
	if r.Name == "" {
		r.Name = "nightly"
	}
	if r.Level == "" {
		r.Level = operator.Read
	}
	r.Actor = "operator:sam"
	k, secret, err := w.CreateKey(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return k, secret
}

// wantRefused checks that a key opens nothing.
func (w *keyWorld) wantRefused(directoryName, secret string) {
	w.t.Helper()
	if k, err := w.Authenticate(w.t.Context(), directoryName, secret, "192.0.2.7"); !errors.Is(err, operator.ErrKeyUnauthorized) {
		w.t.Errorf("got %+v, %v, want ErrKeyUnauthorized", k, err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		t.Run("open_their_own_directory_until_they_expire", func(t *testing.T) {
			w := newKeyWorld(t, db)
			made, secret := w.make(operator.KeyRequest{Level: operator.Run, Expires: w.now.Add(time.Hour)})
			if !regexp.MustCompile(`^rollcall_key_[A-Za-z0-9_-]{49}$`).MatchString(secret) || !strings.HasSuffix(secret, made.Last4) {
				t.Errorf("got %q, %+v", secret, made)
			}
			got, err := w.Authenticate(t.Context(), "contoso", secret, "192.0.2.7")
			if err != nil || got.ID != made.ID || got.Level != operator.Run || got.Name != "nightly" {
				t.Fatalf("got %+v, %v", got, err)
			}
			w.wantRefused("other", secret)
			for _, name := range []string{"", "nowhere", "contoso\x00", "\xff"} {
				w.wantRefused(name, secret)
			}
			w.wantRefused("contoso", secret[:len(secret)-1])
			w.wantRefused("contoso", "")
			_, elsewhere := w.make(operator.KeyRequest{Directory: string(w.other.ID)})
			w.wantRefused("contoso", elsewhere)
			w.now = w.now.Add(time.Hour - time.Microsecond)
			if _, err := w.Authenticate(t.Context(), "contoso", secret, ""); err != nil {
				t.Errorf("just before the end: %v", err)
			}
			w.now = w.now.Add(time.Microsecond)
			w.wantRefused("contoso", secret)
		})
	})
}

func TestRevokedKeysAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newKeyWorld(t, db)
		k, secret := w.make(operator.KeyRequest{})
		elsewhere, _ := w.make(operator.KeyRequest{Directory: string(w.other.ID)})
		if err := w.RevokeKey(t.Context(), string(w.contoso.ID), elsewhere.ID, "cli"); !errors.Is(err, operator.ErrKeyNotFound) {
			t.Errorf("a key of another directory: got %v", err)
		}
		for range 2 {
			if err := w.RevokeKey(t.Context(), string(w.contoso.ID), k.ID, "cli"); err != nil {
				t.Fatal(err)
			}
		}
		w.wantRefused("contoso", secret)
		all, err := w.Keys.Keys(t.Context(), string(w.contoso.ID))
		if err != nil || len(all) != 1 || !all[0].Revoked.Equal(w.now) || all[0].IsLive(w.now) {
			t.Errorf("got %+v, %v", all, err)
		}
		events, err := w.events.Recent(t.Context(), event.Directory(string(w.contoso.ID)), "", event.Position{}, 10)
		if err != nil || len(events) != 3 {
			t.Fatalf("got %+v, %v", events, err)
		}
		for i, want := range []string{"API key " + k.Label() + " was revoked", "API key " + k.Label() + " was made: read, until 2030-07-30 09:00 UTC"} {
			if events[i].Text != want || strings.Contains(string(events[i].Data), secret) || strings.Contains(string(events[i].Data), secret[13:40]) {
				t.Errorf("got %q with %s, want %q", events[i].Text, events[i].Data, want)
			}
		}
	})
}

func TestAKeyRemembersItsLastUse(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newKeyWorld(t, db)
		_, secret := w.make(operator.KeyRequest{})
		start := w.now
		for _, from := range []string{"192.0.2.7", "192.0.2.8"} { // the second use is within the same minute
			if _, err := w.Authenticate(t.Context(), "contoso", secret, from); err != nil {
				t.Fatal(err)
			}
			w.now = w.now.Add(30 * time.Second)
		}
		all, err := w.Keys.Keys(t.Context(), string(w.contoso.ID))
		if err != nil || !all[0].LastUsed.Equal(start) || all[0].LastFrom != "192.0.2.7" {
			t.Errorf("got %+v, %v", all, err)
		}
	})
}

func TestKeysOfADeletedDirectoryOpenNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newKeyWorld(t, db)
		_, secret := w.make(operator.KeyRequest{})
		if _, err := w.directories.Delete(t.Context(), w.contoso, "cli"); err != nil {
			t.Fatal(err)
		}
		w.wantRefused("contoso", secret)
		_, _, err := w.CreateKey(t.Context(), operator.KeyRequest{Directory: string(w.contoso.ID), Name: "x", Level: operator.Read})
		if !errors.Is(err, refusal.NotFound) {
			t.Errorf("got %v, want not found", err)
		}
	})
}

func TestWhatKeysAreRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newKeyWorld(t, db)
		for field, r := range map[string]operator.KeyRequest{
			"name":    {Level: operator.Read},
			"level":   {Name: "x", Level: "write"},
			"expires": {Name: "x", Level: operator.Read, Expires: w.now},
		} {
			r.Directory = string(w.contoso.ID)
			_, _, err := w.CreateKey(t.Context(), r)
			if e, ok := refusal.Find(err); !ok || e.Kind != refusal.Invalid || e.Field != field {
				t.Errorf("%s: got %v", field, err)
			}
		}
		_, _, err := w.CreateKey(t.Context(), operator.KeyRequest{Directory: string(w.contoso.ID), Name: "x", Level: operator.Read, Expires: w.now.Add(operator.MaxKeyLifetime + time.Second)})
		if e, ok := refusal.Find(err); !ok || e.Field != "expires" {
			t.Errorf("too long: got %v", err)
		}
		w.make(operator.KeyRequest{FormNumber: "once"})
		_, _, err = w.CreateKey(t.Context(), operator.KeyRequest{Directory: string(w.contoso.ID), Name: "x", Level: operator.Read, FormNumber: "once"})
		if !errors.Is(err, operator.ErrKeyFormUsed) {
			t.Errorf("a form sent twice: got %v", err)
		}
		for range 49 {
			w.make(operator.KeyRequest{})
		}
		_, _, err = w.CreateKey(t.Context(), operator.KeyRequest{Directory: string(w.contoso.ID), Name: "x", Level: operator.Read})
		if !errors.Is(err, operator.ErrTooManyKeys) {
			t.Errorf("one key more than the limit: got %v", err)
		}
		w.make(operator.KeyRequest{Directory: string(w.other.ID)})
		all, err := w.Keys.Keys(context.WithoutCancel(t.Context()), string(w.contoso.ID))
		if err != nil || len(all) != 50 {
			t.Errorf("got %d keys, %v", len(all), err)
		}
	})
}

func TestLevelsAreNested(t *testing.T) {
	t.Parallel()
	for i, has := range operator.Levels {
		for j, need := range operator.Levels {
			if got := has.Allows(need); got != (i >= j) {
				t.Errorf("%s allows %s: got %v", has, need, got)
			}
		}
		if has.Allows("") || has.Allows("all") || operator.Level("").Allows(has) {
			t.Errorf("%s: an unknown level is allowed", has)
		}
	}
}
