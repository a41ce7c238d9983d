package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// startServer starts a server whose deadlines end after the given time.
func startServer(t *testing.T, deadline time.Duration, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	return startServerOn(t, nil, deadline, h)
}

// startServerOn starts a server on a listener whose deadlines end after the given time. If the
// listener is nil, the server listens on a free port.
func startServerOn(t *testing.T, listener net.Listener, deadline time.Duration, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(Front{Deadline: deadline}.Handler(h))
	if listener != nil {
		s.Listener.Close() //nolint:errcheck // nobody has used it
		s.Listener = listener
	}
	s.Config.ReadTimeout, s.Config.WriteTimeout = deadline, deadline
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// pipeListener is a listener whose connections are pipes in memory. Their deadlines pass by the
// clock of a synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipeListener() pipeListener {
	closed := make(chan struct{})
	return pipeListener{conns: make(chan net.Conn), closed: closed, close: sync.OnceFunc(func() { close(closed) })}
}

// Accept returns the server's end of the next pipe.
func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close lets Accept return.
func (l pipeListener) Close() error {
	l.close()
	return nil
}

// Addr returns an address that nobody listens on.
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// dial returns the client's end of a new pipe.
func (l pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// TestAnEventStreamOutlivesTheDeadlines sends an event after all deadlines of the server have
// passed. Its clock is virtual: on a busy machine, the deadline of the connection could pass before
// the handler has begun.
func TestAnEventStreamOutlivesTheDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const deadline = 50 * time.Millisecond
		ended := make(chan struct{})
		listener := newPipeListener()
		s := startServerOn(t, listener, deadline, func(w http.ResponseWriter, r *http.Request) {
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
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		t.Cleanup(client.CloseIdleConnections)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
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
	})
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
