package sqldb

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"unsafe"
)

// valueCache holds the values that ReadCached has read. They are valid as long as the header of the
// index of the write-ahead log stays the same, because each commit of any process changes it. After
// a commit of this process that has not changed their tables, they are valid under the new header.
type valueCache struct {
	open func() (*sqliteConn, error) // opens the connection that keeps the index in memory

	mu     sync.RWMutex
	conn   *sqliteConn    // nil before the first use and after close
	closed bool           // whether close was called
	header logHeader      // the header under which the values are valid
	values map[string]any // the values by key
}

// maxCachedValues is how many values are cached before all of them are dropped.
const maxCachedValues = 1_000

// find returns the value of a key. If there is none, it returns the header that put needs.
func (c *valueCache) find(key string) (value any, found bool, header logHeader, err error) {
	c.mu.RLock()
	if c.conn == nil {
		c.mu.RUnlock()
		if err := c.start(); err != nil {
			return nil, false, header, err
		}
		c.mu.RLock()
	}
	defer c.mu.RUnlock()
	if header, err = c.currentHeader(); err == nil && header == c.header {
		value, found = c.values[key]
	}
	return value, found, header, err
}

// start opens the connection that keeps the index of the log in memory.
func (c *valueCache) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return errClosed
	case c.conn != nil:
		return nil
	}
	conn, err := c.open()
	if err != nil {
		return err
	}
	if err := conn.findLogIndex(); err != nil {
		conn.close() //nolint:errcheck // it cannot be used anyway
		return fmt.Errorf("version of the database: %w", err)
	}
	c.conn = conn
	return nil
}

// currentHeader returns the present header. The caller holds mu.
func (c *valueCache) currentHeader() (logHeader, error) {
	if c.conn == nil {
		return logHeader{}, errClosed
	}
	header, err := readLogHeader(c.conn.logIndex)
	if err != nil {
		return header, fmt.Errorf("version of the database: %w", err)
	}
	return header, nil
}

// put adds a value that was read after find had returned the header. If there was a commit in
// between, put does nothing.
func (c *valueCache) put(key string, value any, header logHeader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, err := c.currentHeader(); err != nil || now != header {
		return
	}
	if c.header != header || c.values == nil || len(c.values) >= maxCachedValues {
		c.header, c.values = header, map[string]any{}
	}
	c.values[key] = value
}

// beginCommit returns the header before a transaction of this process that writes. The caller holds
// the lock for writing, so no other process commits. usesCache is false if there are no values.
func (c *valueCache) beginCommit() (header logHeader, usesCache bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.values) == 0 {
		return header, false
	}
	header, err := c.currentHeader()
	return header, err == nil && header == c.header
}

// keepValues keeps the values after the commit of a transaction that has not changed them. before
// is the header at the beginning of that transaction. If there was another commit since then,
// keepValues does nothing.
func (c *valueCache) keepValues(before logHeader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	after, err := c.currentHeader()
	if err == nil && c.header == before && after.commits() == before.commits()+1 {
		c.header = after
	}
}

// commits returns the number in the header that grows by one with each commit.
func (h *logHeader) commits() uint32 { return (*[12]uint32)(unsafe.Pointer(h))[2] }

func (c *valueCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.values = true, nil
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.close()
}

// plainChange matches a plain insert, update or delete, and the name of its table.
var plainChange = regexp.MustCompile(`^\s*(?:insert into|update|delete from)\s+(\w+)(?:\s|\(|$)`)

// mayChange reports whether a statement may change one of the tables, or any table if there are
// none. It is false only for a plain insert, update or delete of another table.
func mayChange(query string, tables []string) bool {
	match := plainChange.FindStringSubmatch(query)
	if len(tables) == 0 || match == nil || match[1] == "or" { // "update or replace …"
		return true
	}
	return slices.Contains(tables, match[1])
}
