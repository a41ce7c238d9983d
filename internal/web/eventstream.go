package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

// streamWriteTimeout is how long a write to an event stream may take. A client that does not read
// is cut off after this time. Until then, only the buffers of its connection hold memory.
const streamWriteTimeout = 10 * time.Second

// EventStream is a response of server-sent events. It may last longer than the server's deadlines
// for other requests.
type EventStream struct {
	out          http.ResponseWriter      // the response
	conn         *http.ResponseController // sets the deadlines of the connection, and flushes the response
	ctx          context.Context          // ends when the client disconnects
	writeTimeout time.Duration            // how long a write may take
}

// OpenEventStream begins a response of server-sent events, and sends its headers. It lifts the
// deadlines of the server for this request. It returns an error if the connection does not allow
// that; then nothing has been sent.
func OpenEventStream(w http.ResponseWriter, r *http.Request) (*EventStream, error) {
	s := &EventStream{out: w, conn: http.NewResponseController(w), ctx: connectionContext(w, r), writeTimeout: streamWriteTimeout}
	// The server keeps reading from the connection to notice when the client disconnects. The read
	// deadline of other requests would look like such an end.
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("lift the read deadline of an event stream: %w", err)
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
		return nil, fmt.Errorf("set the write deadline of an event stream: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would gather the events in its buffers
	h.Set("Vary", "Cookie")
	w.WriteHeader(http.StatusOK)
	if err := s.conn.Flush(); err != nil {
		return nil, fmt.Errorf("begin an event stream: %w", err)
	}
	return s, nil
}

// Context returns a context that ends when the client disconnects. Unlike the context of the
// request, it has no deadline.
func (s *EventStream) Context() context.Context { return s.ctx }

// Send sends one event. data may have several lines. It returns an error if the client has
// disconnected, or has not read for too long.
func (s *EventStream) Send(name string, data []byte) error {
	var b bytes.Buffer
	b.WriteString("event: " + name + "\n")
	// A line ends with CR, LF or both. The client joins the lines with LF.
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
		return fmt.Errorf("set the write deadline of an event stream: %w", err)
	}
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("send an event: %w", err)
	}
	if err := s.conn.Flush(); err != nil {
		return fmt.Errorf("send an event: %w", err)
	}
	return nil
}

// connectionContext returns the context of the connection, without the deadline that Front gives to
// requests.
func connectionContext(w http.ResponseWriter, r *http.Request) context.Context {
	for {
		if front, ok := w.(*recorder); ok {
			return front.ctx
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return r.Context()
		}
		w = inner.Unwrap()
	}
}
