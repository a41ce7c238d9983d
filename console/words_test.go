package console

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBriefly_cuts_the_middle_of_a_long_name(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Ada Lovelace":          "Ada Lovelace",
		strings.Repeat("é", 57): strings.Repeat("é", 57),
		strings.Repeat("w", 90) + "@department.example": strings.Repeat("w", 36) + "…" + "w@department.example",
	} {
		if got := Shorten(name); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12300: "12,300", 1234567: "1,234,567"} {
		if got := GroupDigits(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestRelative(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0: "just now", 900 * time.Millisecond: "just now", time.Second: "1 second ago", 59 * time.Second: "59 seconds ago",
		3 * time.Minute: "3 minutes ago", 26 * time.Hour: "1 day ago", 50 * 24 * time.Hour: "1 month ago", 800 * 24 * time.Hour: "2 years ago",
		-18 * 24 * time.Hour: "in 18 days",
	} {
		t.Run(fmt.Sprint(ago), func(t *testing.T) {
			t.Parallel()
			if got := RelativeTime(now.Add(-ago), now); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestSentence_leaves_names_as_they_are(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"there is nobody": "There is nobody.", "userPrincipalName is empty": "userPrincipalName is empty.", `"UPN" is unknown`: `"UPN" is unknown.`,
		"Done.": "Done.", "": "", "ada@contoso.example left": "ada@contoso.example left.",
	} {
		if got := AsSentence(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
