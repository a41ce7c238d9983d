package web

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// startServer starts a server whose deadlines end after the given time.
func startServer(t *testing.T, deadline time.Duration, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(Front{Deadline: deadline}.Handler(h))
	s.Config.ReadTimeout, s.Config.WriteTimeout = deadline, deadline
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// TestAnEventStreamOutlivesTheDeadlines sends an event after all deadlines of the server have
// passed.
func TestAnEventStreamOutlivesTheDeadlines(t *testing.T) {
	t.Parallel()
	const deadline = 50 * time.Millisecond
	ended := make(chan struct{})
	s := startServer(t, deadline, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		out, err := OpenEventStream(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		<-r.Context().Done()
		time.Sleep(2 * deadline) // the deadlines of the connection pass, too
		if err := out.Send("late", []byte("<p>one</p>\r\n<p>two</p>\rthree\n")); err != nil {
			t.Errorf("send after the deadlines: %v", err)
		}
		if err := out.Context().Err(); err != nil {
			t.Errorf("the stream's context has ended: %v", err)
		}
		<-out.Context().Done() // the client leaves
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for name, want := range map[string]string{"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	lines := bufio.NewScanner(answer.Body)
	var got []string
	for lines.Scan() && lines.Text() != "" {
		got = append(got, lines.Text())
	}
	want := "event: late|data: <p>one</p>|data: <p>two</p>|data: three|data: "
	if strings.Join(got, "|") != want {
		t.Errorf("got %q, %v", got, lines.Err())
	}
	answer.Body.Close() //nolint:errcheck // the client leaves
	<-ended
}

// TestAClientThatDoesNotReadIsCutOff sends more than the buffers of a connection hold.
func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := startServer(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		out, err := OpenEventStream(w, r)
		if err != nil {
			ended <- err
			return
		}
		out.writeTimeout = 20 * time.Millisecond
		part := []byte(strings.Repeat("x", 1<<20))
		for err == nil {
			err = out.Send("parts", part)
		}
		ended <- err
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
