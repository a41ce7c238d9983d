package store

import (
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
)

// sessionColumns are those of site_session and operator_session that scanSession reads.
const sessionColumns = `x.created, x.expires, x.idle, x.used, x.address, x.agent, x.last_address, x.last_agent`

// bareSessionColumns are sessionColumns after "returning", where SQLite knows no alias.
var bareSessionColumns = strings.ReplaceAll(sessionColumns, "x.", "")

// sessionScan reads sessionColumns into r.
type sessionScan struct {
	session.Record
	created, expires, idle, used int64
}

func (s *sessionScan) into() []any {
	return []any{
		&s.created, &s.expires, &s.idle, &s.used, &s.From.Address, &s.From.Agent, &s.Last.Address, &s.Last.Agent,
	}
}

func (s *sessionScan) record() session.Record {
	s.Created, s.Expires, s.Used = fromMicros(s.created), fromMicros(s.expires), fromMicros(s.used)
	s.Idle = time.Duration(s.idle) * time.Microsecond
	return s.Record
}

// sessionValues are the values of sessionColumns.
func sessionValues(r session.Record) []any {
	return []any{
		micros(r.Created), micros(r.Expires), r.Idle.Microseconds(), micros(r.Used),
		r.From.Address, r.From.Agent, r.Last.Address, r.Last.Agent,
	}
}

// withSession scans what a session's columns stand behind.
type withSession struct {
	row  scanner
	more []any
}

func (w withSession) Scan(into ...any) error { return w.row.Scan(append(into, w.more...)...) }
