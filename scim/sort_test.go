package scim

import (
	"cmp"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSortKey(t *testing.T) {
	t.Parallel()
	attr := func(kind string, caseExact bool) Sort {
		return Sort{Path: AttrPath{Name: "a"}, Attr: &Attribute{Name: "a", Type: kind, CaseExact: caseExact}}
	}
	for name, c := range map[string]struct {
		sort Sort
		want []any // in ascending order
	}{
		"text":             {attr(String, false), []any{"a", "B", "b1", "ä", "ß", nil}},
		"text_by_case":     {attr(String, true), []any{"B", "a", "b", "ä", "\U0001F600"}},
		"whole_numbers":    {attr(Integer, false), []any{int64(math.MinInt64), int64(-2), int64(-1), int64(0), int64(1), int64(10), int64(1<<53 + 1), int64(1<<53 + 2), int64(math.MaxInt64 - 1), nil}},
		"numbers":          {attr(Decimal, false), []any{-1e300, -2.5, -2.25, int64(-2), -0.5, 0.0, 1e-300, int64(1), 1.5, float64(1 << 53), int64(1<<53 + 1), 1e300}},
		"times":            {attr(DateTime, false), []any{"1969-12-31T23:59:59Z", "2026-01-01T00:00:00+01:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:01", nil}},
		"booleans":         {attr(Boolean, false), []any{false, true, nil}},
		"of_another_type":  {attr(DateTime, false), []any{int64(7), "yesterday", "2026-01-01T00:00:00Z", nil}},
		"empty_is_missing": {attr(String, false), []any{"a", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, a := range c.want {
				for j, b := range c.want {
					x, y := Resource{"a": a}, Resource{"a": b}
					if got, want := c.sort.Compare(x, y), cmp.Compare(i, j); got != want {
						t.Errorf("%v and %v: got %d, want %d", a, b, got, want)
					}
					down := c.sort
					down.Descending = true
					if got, want := down.Compare(x, y), cmp.Compare(j, i); got != want {
						t.Errorf("%v and %v descending: got %d, want %d", a, b, got, want)
					}
				}
			}
		})
	}
	if zero := attr(Decimal, false); zero.Compare(Resource{"a": math.Copysign(0, -1)}, Resource{"a": int64(0)}) != 0 {
		t.Error("-0 is not 0")
	}
	long := strings.Repeat("x", MaxSortKeyBytes)
	if s := attr(String, false); s.Compare(Resource{"a": long + "b"}, Resource{"a": long + "a"}) != 0 || s.Compare(Resource{"a": long[1:]}, Resource{"a": long}) >= 0 {
		t.Errorf("more or less than %d bytes count", MaxSortKeyBytes)
	}
}

func TestPropertySortKeys(t *testing.T) {
	t.Parallel()
	number := Sort{Path: AttrPath{Name: "a"}, Attr: &Attribute{Name: "a", Type: Decimal}}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if got, ok := KeyText(TextKey(text)); !ok || got != text {
			t.Fatalf("got %q %t for %q", got, ok, text)
		}
		at := time.UnixMicro(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "time")).UTC()
		if got, ok := KeyTime(TimeKey(at)); !ok || !got.Equal(at) {
			t.Fatalf("got %v %t for %v", got, ok, at)
		}
		if _, ok := KeyText(TimeKey(at)); ok {
			t.Fatal("a time is a string")
		}
		if _, ok := KeyTime(TextKey(text)); ok {
			t.Fatal("a string is a time")
		}
		other := time.UnixMicro(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "other time"))
		if cmp.Compare(TimeKey(at), TimeKey(other)) != at.Compare(other) {
			t.Fatalf("%v and %v are not in order", at, other)
		}
		x, y := rapid.Float64().Draw(t, "x"), rapid.Float64().Draw(t, "y")
		if number.Compare(Resource{"a": x}, Resource{"a": y}) != cmp.Compare(x, y) {
			t.Fatalf("%v and %v are not in order", x, y)
		}
		i, j := rapid.Int64().Draw(t, "i"), rapid.Int64().Draw(t, "j")
		if number.Compare(Resource{"a": i}, Resource{"a": j}) != cmp.Compare(i, j) {
			t.Fatalf("%v and %v are not in order", i, j)
		}
	})
}
