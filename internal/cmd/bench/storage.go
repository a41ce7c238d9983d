package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// anyPort is the address for servers whose port does not matter.
const anyPort = "127.0.0.1:0"

// storage makes the databases of one end of provisioning. On PostgreSQL, each end has its own
// database server, so that the processor time of each end can be measured separately.
type storage struct {
	bench  *bench
	server *postgres // the database server; nil on SQLite
}

// newStorage starts a PostgreSQL server for the storage, or none for SQLite.
func (b *bench) newStorage(ctx context.Context, kind string) (*storage, error) {
	s := &storage{bench: b}
	if kind == kindPostgres {
		var err error
		if s.server, err = b.startPostgres(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// create makes an empty database and returns its URL. The name must consist of letters, digits and
// underscores.
func (s *storage) create(ctx context.Context, name string) (url string, err error) {
	if s.server == nil {
		return filepath.Join(s.bench.dir, name+".db"), nil
	}
	return s.server.URL(name), s.server.Exec(ctx, "create database "+name)
}

// copy makes a database with the content of another one, which no process may have open. Both names
// belong to this storage.
func (s *storage) copy(ctx context.Context, name, from string) (url string, err error) {
	if s.server == nil {
		url = filepath.Join(s.bench.dir, name+".db")
		return url, copyDatabase(url, filepath.Join(s.bench.dir, from+".db"))
	}
	return s.server.URL(name), s.server.Exec(ctx, fmt.Sprintf("create database %s template %s", name, from))
}

// drop deletes a database, which no process may have open.
func (s *storage) drop(ctx context.Context, name string) error {
	if s.server == nil {
		return os.Remove(filepath.Join(s.bench.dir, name+".db"))
	}
	return s.server.Exec(ctx, "drop database "+name)
}

// serve starts `rollcall serve` on one of the databases, at an address of the form host:port. The
// processor time of the database server counts as that of the returned server too.
func (s *storage) serve(ctx context.Context, name, url, addr string) (*server, error) {
	started, err := s.bench.startProductAt(ctx, name, url, addr)
	if err == nil {
		started.database = s.server
	}
	return started, err
}
