package event_test

import (
	"errors"
	"math"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
)

func TestPositionsAreOrderedByTransactionThenNumber(t *testing.T) {
	t.Parallel()
	ascending := []event.Position{{}, {Seq: 1}, {Seq: 2}, {Tx: 1}, {Tx: 1, Seq: 9}, {Tx: 2, Seq: 3}, {Tx: math.MaxInt64, Seq: math.MaxInt64}}
	for i, p := range ascending {
		for j, q := range ascending {
			if got := p.After(q); got != (i > j) {
				t.Errorf("%v after %v: got %v", p, q, got)
			}
		}
		if back, err := event.ParsePosition(p.String()); err != nil || back != p {
			t.Errorf("%v: its text reads as %v, error %v", p, back, err)
		}
	}
}

func TestParsePositionRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1", "-", "1-", "-1", "1-2-3", "a-b", "-1-2", "1--2", "+1-2", " 1-2", "9223372036854775808-1"} {
		if p, err := event.ParsePosition(text); !errors.Is(err, event.ErrPosition) {
			t.Errorf("%q: got %v, error %v", text, p, err)
		}
	}
	if p, err := event.ParsePosition(""); err != nil || !p.IsZero() {
		t.Errorf("empty: got %v, error %v", p, err)
	}
}
