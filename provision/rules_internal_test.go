package provision

import "testing"

// The examples are those of Entra's documentation of quarantine.
func TestEscrowReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failed, references, good int
		want                     string
	}{
		{4_000, 0, 0, ""},
		{45_000, 0, 1_000_000, reasonBaseEscrow},
		{30_000, 0, 5_000, reasonEscrowProportion},
		{20_000, 0, 100_000, ""},
		{40_000, 21_000, 1_000_000, reasonTotalEscrow},
		{4_999, 0, 0, ""},
		{5_000, 0, 0, reasonEscrowProportion},
		{5_000, 0, 7_500, ""}, // exactly 40 %
		{5_000, 0, 7_499, reasonEscrowProportion},
		{0, 59_999, 0, ""},
		{0, 60_000, 0, reasonTotalEscrow},
		{40_000, 0, 1_000_000, ""},
		{40_001, 0, 1_000_000, reasonBaseEscrow},
	} {
		if got := escrowReason(c.failed, c.references, c.good); got != c.want {
			t.Errorf("%d failed, %d references, %d good: got %q, want %q", c.failed, c.references, c.good, got, c.want)
		}
	}
}
