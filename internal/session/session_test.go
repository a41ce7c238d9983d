package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
)

var start = time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)

func TestASessionEndsAtItsLengthOrWhenItIsIdle(t *testing.T) {
	t.Parallel()
	limits := session.Limits{Length: 12 * time.Hour, Idle: 2 * time.Hour}
	for name, tt := range map[string]struct {
		used, now time.Duration
		live      bool
	}{
		"new":                         {0, 0, true},
		"a moment before it is idle":  {0, 2*time.Hour - time.Second, true},
		"idle":                        {0, 2 * time.Hour, false},
		"used":                        {3 * time.Hour, 5*time.Hour - time.Second, true},
		"idle after use":              {3 * time.Hour, 5 * time.Hour, false},
		"used to the end":             {12*time.Hour - time.Second, 12 * time.Hour, false},
		"used by a clock that is off": {time.Hour, time.Hour - 5*time.Minute, true},
	} {
		s := limits.Start(start, session.Browser{})
		s.Used = start.Add(tt.used)
		if got := s.IsLive(start.Add(tt.now)); got != tt.live {
			t.Errorf("%s: got live %v, want %v", name, got, tt.live)
		}
	}
}

// TestAClockThatJumpsDoesNotLengthenASession sets the clock back. The session must end, not last
// longer.
func TestAClockThatJumpsDoesNotLengthenASession(t *testing.T) {
	t.Parallel()
	s := session.Limits{}.Start(start, session.Browser{})
	if s.IsLive(start.Add(-6 * time.Minute)) {
		t.Error("a session that starts in the future is live")
	}
	s.Used = start.Add(10 * time.Hour)
	if s.IsLive(start.Add(time.Hour)) {
		t.Error("a session that was used in the future is live")
	}
	if s.IsLive(start.AddDate(70, 0, 0)) {
		t.Error("a session outlives a jump forward")
	}
}

func TestASessionOfAnOlderVersionLastsToItsEnd(t *testing.T) {
	t.Parallel()
	s := session.Record{Created: start, Expires: start.Add(12 * time.Hour)}
	if !s.IsLive(start.Add(11*time.Hour)) || s.IsLive(start.Add(12*time.Hour)) || !s.MustRecordUse(start) || !s.LastUse().Equal(start) {
		t.Errorf("got %+v", s)
	}
}

func TestTheUseOfASessionIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	s := session.Limits{}.Start(start, session.Browser{})
	for after, want := range map[time.Duration]bool{0: false, 59 * time.Second: false, time.Minute: true, time.Hour: true, -time.Minute: false} {
		if got := s.MustRecordUse(start.Add(after)); got != want {
			t.Errorf("after %s: got %v", after, got)
		}
	}
}

func TestABrowserIsNamedInAFewWords(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1":  "Chrome on iPhone",
		"Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1":          "Safari on iPad",
		"Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537": "Samsung Internet on Android",
		"Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0":                                                                    "Firefox on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                          "Chrome on ChromeOS",
		"curl/8.5.0": "curl",
		"":           "Unknown browser",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 OPR/125.0.0.0": "Opera on Linux",
		strings.Repeat("x", 40): "Unknown browser",
	} {
		if got := (session.Browser{Agent: agent}).String(); got != want {
			t.Errorf("%s: got %q, want %q", agent, got, want)
		}
	}
}

func TestWhatABrowserSaysIsBoundedAndPrintable(t *testing.T) {
	t.Parallel()
	got := session.Browser{Address: "fe80::1%<script>", Agent: "a\x1b[2J\u202eb\xff" + strings.Repeat("é", 5000)}.Clean()
	if len(got.Agent) > 300 || strings.ContainsFunc(got.Agent, func(c rune) bool { return c < ' ' || c > '~' }) || !strings.HasPrefix(got.Agent, "a?[2J?b?") {
		t.Errorf("got %q", got.Agent)
	}
	if got.Address != "fe80::1" {
		t.Errorf("got address %q", got.Address)
	}
	if a := (session.Browser{Address: "not an address"}).Clean().Address; a != "" {
		t.Errorf("got address %q", a)
	}
}
