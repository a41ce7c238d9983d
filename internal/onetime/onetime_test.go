package onetime_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
)

var noon = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

func TestALinkIsStoredAsItsHash(t *testing.T) {
	t.Parallel()
	l, r := onetime.New(noon, func(secret string) string { return "/in/" + secret })
	if l.Path != "/in/"+l.Secret || r.Hash != secret.HashOf(l.Secret) || !r.Created.Equal(noon) || !l.Expires.Equal(noon.Add(onetime.TTL)) || l.Expires != r.Expires {
		t.Errorf("got %+v, %+v", l, r)
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	_, fresh := onetime.New(noon, func(secret string) string { return secret })
	used := fresh
	used.Used = noon
	ended := onetime.NewRefusal("test_ended")
	broken := errors.New("no database")
	for _, c := range []struct {
		name string
		at   time.Time
		find func() (onetime.Record, error)
		want string // the words of the refusal; empty when the link opens
	}{
		{"opens", noon.Add(onetime.TTL - 1), func() (onetime.Record, error) { return fresh, nil }, ""},
		{"expired", noon.Add(onetime.TTL), func() (onetime.Record, error) { return fresh, nil }, "expired: each opens for 15 minutes"},
		{"used, and expired too", noon.Add(onetime.TTL), func() (onetime.Record, error) { return used, nil }, "used already"},
		{"unknown", noon, func() (onetime.Record, error) { return onetime.Record{}, onetime.ErrClosed }, "cut off, or lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := onetime.FindOpen(c.at, c.find, func(_ onetime.Record, why onetime.Reason) error { return why.Refuse(ended, "lost") })
			if c.want == "" {
				if err != nil || got != fresh {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if !errors.Is(err, ended) || !errors.Is(err, refusal.Gone) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := onetime.FindOpen(noon, func() (onetime.Record, error) { return onetime.Record{}, broken }, nil); !errors.Is(err, broken) {
		t.Errorf("a failure: got %v", err)
	}
}

func TestUse(t *testing.T) {
	t.Parallel()
	failed, used, unknown := errors.New("failed"), errors.New("used"), errors.New("unknown")
	for _, c := range []struct {
		name      string
		use, look error
		want      error
	}{
		{"once", nil, nil, nil},
		{"a failure stays one", failed, used, failed},
		{"used meanwhile", onetime.ErrClosed, used, used},
		{"gone meanwhile", onetime.ErrClosed, nil, unknown},
	} {
		if err := onetime.Use(func() error { return c.use }, func() error { return c.look }, unknown); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
