package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection. Client and server share the processors, so the client
// does as little as possible. It sends prepared bytes, and reads only the status and the body of a
// response.
type conn struct {
	network net.Conn      // the TCP connection
	reader  *bufio.Reader // reads from network
	body    []byte        // the body of the last answer
}

// answerLimit is how long one response may take.
const answerLimit = 90 * time.Second

// dial opens a connection to a server.
func dial(ctx context.Context, addr string) (*conn, error) {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{network: c, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

// send writes a request and reads its response. The body is valid until the next call.
func (c *conn) send(request []byte) (status int, body []byte, err error) {
	if err := c.network.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, nil, err
	}
	if _, err := c.network.Write(request); err != nil {
		return 0, nil, err
	}
	status, length, chunked, err := c.readHead()
	if err != nil {
		return 0, nil, err
	}
	if chunked {
		c.body, err = c.readChunks()
		return status, c.body, err
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.reader, c.body)
	return status, c.body, err
}

// The beginnings of the header lines that readHead looks for.
var (
	contentLength    = []byte("Content-Length:")
	transferEncoding = []byte("Transfer-Encoding:")
)

// readHead reads the status line and the headers of a response. length is the length of its body,
// unless the body is chunked.
func (c *conn) readHead() (status, length int, chunked bool, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, 0, false, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, false, fmt.Errorf("not an HTTP answer: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, false, fmt.Errorf("not an HTTP answer: %q", line)
	}
	known := status == 204 || status == 304
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return 0, 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if value, found := headerValue(line, contentLength); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, false, fmt.Errorf("read Content-Length: %w", err)
			}
			known = true
		}
		if value, found := headerValue(line, transferEncoding); found {
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
	if !known && !chunked {
		return 0, 0, false, errors.New("the answer has no length")
	}
	return status, length, chunked, nil
}

// headerValue returns the value of a header line if the line has this name.
func headerValue(line, name []byte) (value []byte, found bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], name) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// readChunks reads a chunked body, including the line that ends its empty trailer.
func (c *conn) readChunks() ([]byte, error) {
	body, err := io.ReadAll(httputil.NewChunkedReader(c.reader))
	if err != nil {
		return nil, err
	}
	_, err = c.reader.ReadSlice('\n')
	return body, err
}

// close closes the connection.
func (c *conn) close() { c.network.Close() }

// load describes the requests that clients send to a server.
type load struct {
	addr    string // the address of the server
	clients int    // how many clients send requests at the same time, each over its own connection
	// buildRequest builds the next request of a client in buf. worker is the number of the client.
	buildRequest  func(worker int, rng *rand.Rand, buf []byte) []byte
	checkResponse func(status int, body []byte) error // returns an error if a response is wrong
}

// runFor lets the clients send requests for the time d, and returns the number of responses. It
// opens the connections before the time starts.
func (l load) runFor(ctx context.Context, d time.Duration) (requests int, elapsed time.Duration, err error) {
	var until atomic.Int64
	done, elapsed, err := onEachConnection(ctx, l.addr, l.clients, func() { until.Store(time.Now().Add(d).UnixNano()) },
		func(c *conn, worker int) (int, error) {
			rng := rand.New(rand.NewPCG(uint64(worker), uint64(time.Now().UnixNano())))
			var buf []byte
			n := 0
			for time.Now().UnixNano() < until.Load() && ctx.Err() == nil {
				buf = l.buildRequest(worker, rng, buf[:0])
				status, body, err := c.send(buf)
				if err == nil {
					err = l.checkResponse(status, body)
				}
				if err != nil {
					return n, err
				}
				n++
			}
			return n, ctx.Err()
		})
	return done, elapsed, err
}

// doAll calls the function do n times, spread over the connections of the given number of clients.
// It returns the elapsed time.
func doAll(ctx context.Context, addr string, clients, n int, do func(c *conn, i int) error) (time.Duration, error) {
	var next atomic.Int64
	_, elapsed, err := onEachConnection(ctx, addr, clients, func() {}, func(c *conn, _ int) (int, error) {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			if err := do(c, i); err != nil {
				next.Store(int64(n)) // leaves no number for the other connections, so that they stop too
				return 0, err
			}
		}
		return 0, nil
	})
	return elapsed, err
}

// onEachConnection opens a connection for each client, calls begin, and runs work on all
// connections at the same time. It returns the sum of the results of work, and the elapsed time.
func onEachConnection(ctx context.Context, addr string, clients int, begin func(), work func(c *conn, worker int) (int, error)) (done int, elapsed time.Duration, err error) {
	conns := make([]*conn, clients)
	for i := range conns {
		if conns[i], err = dial(ctx, addr); err != nil {
			return 0, 0, err
		}
		defer conns[i].close()
	}
	counts, errs := make([]int, clients), make([]error, clients)
	var wg sync.WaitGroup
	begin()
	start := time.Now()
	for i, c := range conns {
		wg.Go(func() { counts[i], errs[i] = work(c, i) })
	}
	wg.Wait()
	elapsed = time.Since(start)
	for _, n := range counts {
		done += n
	}
	return done, elapsed, errors.Join(errs...)
}
