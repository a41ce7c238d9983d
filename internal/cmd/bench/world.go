package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The kinds of database, as named in flags and in the report.
const (
	kindSQLite   = "sqlite"
	kindPostgres = "postgres"
)

// kindName returns the usual spelling of a kind of database.
func kindName(kind string) string {
	if kind == kindPostgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

func kindsOf(text string) ([]string, error) {
	switch text {
	case "both":
		return []string{kindSQLite, kindPostgres}, nil
	case kindSQLite, kindPostgres:
		return []string{text}, nil
	}
	return nil, fmt.Errorf("%q is none of sqlite, postgres and both", text)
}

// The parts of a run.
const (
	partRead    = "read"
	partList    = "list"
	partGroup   = "group"
	partWrite   = "write"
	partSearch  = "search"
	partMapping = "mapping"
	partCycle   = "cycle"
)

func partNames() []string {
	return []string{partRead, partList, partGroup, partWrite, partSearch, partMapping, partCycle}
}

func partsOf(text string) ([]string, error) {
	var list []string
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if !slices.Contains(partNames(), word) {
			return nil, fmt.Errorf("%q is no part; there are %s", word, strings.Join(partNames(), ", "))
		}
		list = append(list, word)
	}
	return list, nil
}

// world is one kind of database with a site of each size.
type world struct {
	kind  string
	sites []*population // sorted from small to large
}

func (w *world) largest() *population { return w.sites[len(w.sites)-1] }

// stage is a world while a part is measured, with a running rollcall server for each site.
type stage struct {
	*world
	servers []*server
	empty   *server // an empty handler, which shows how fast the machine is at the time
}

// addEmptyHandler adds a row for the empty handler, which gets the same requests as a GET by id.
func (w *stage) addEmptyHandler(s *section, clients int) *contender {
	l := w.largest().byID(w.empty.addr, clients)
	l.check = answered
	return s.add("empty net/http handler", 0, w.empty, l)
}

// large reports whether site i is the largest. The aims are about that site.
func (w *world) large(i int) bool { return i == len(w.sites)-1 }

// partOfDatabase is a part that runs on each kind of database. Its plan adds rows to the section
// and measures them.
type partOfDatabase struct {
	name, title string
	plan        func(ctx context.Context, w *stage, s *section) error
}

func (b *bench) partsOfDatabase() []partOfDatabase {
	return []partOfDatabase{
		{partRead, "Reads", b.reads},
		{partList, "Lists", b.lists},
		{partGroup, "Groups", b.memberships},
		{partWrite, "Durable writes", b.writes},
		{partSearch, "Searchable attributes", b.searchable}, // last, because the other parts measure sites without declared attributes
	}
}

// database fills a site of each size on one kind of database and measures its parts. Failures are
// in the report.
func (b *bench) database(ctx context.Context, kind string, r *report) {
	var sections []*section
	var parts []partOfDatabase
	for _, p := range b.partsOfDatabase() {
		if b.does(p.name) {
			parts = append(parts, p)
			sections = append(sections, &section{Kind: kind, Part: p.name, Title: p.title})
		}
	}
	if len(parts) == 0 {
		return
	}
	r.Sections = append(r.Sections, sections...)
	b.say("\n%s", kindName(kind))
	w, err := b.world(ctx, kind)
	for i, p := range parts {
		s := sections[i]
		if s.Problem = err; err != nil {
			continue
		}
		b.say("\n%s, %s", kindName(kind), strings.ToLower(p.title))
		s.Document = w.largest().bytes / w.largest().users()
		s.Problem = b.onStage(ctx, w, s, p.plan)
	}
	if err != nil {
		b.say("  %v", err)
		return
	}
	for _, site := range w.sites {
		r.Filled = append(r.Filled, memory{fmt.Sprintf("%s, %s users and a group of them all came in", kindName(kind), count(site.users())), site.filled})
	}
	if b.profile != "" && kind == kindSQLite {
		b.say("\nprofiles")
		r.ProfileProblem = b.profiles(ctx, w.largest())
	}
}

// onStage runs a part with fresh servers, so that their peak memory belongs to the part.
func (b *bench) onStage(ctx context.Context, w *world, s *section, plan func(context.Context, *stage, *section) error) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	on := &stage{world: w}
	if on.empty, err = b.child(ctx, childEmpty); err != nil {
		return err
	}
	defer func() {
		for _, server := range append(on.servers, on.empty) {
			err = errors.Join(err, b.stop(server))
		}
	}()
	for _, site := range w.sites {
		server, err := b.serveSite(ctx, fmt.Sprintf("%s-%s-%d", w.kind, s.Part, site.users()), site)
		if err != nil {
			return err
		}
		on.servers = append(on.servers, server)
	}
	err = plan(ctx, on, s)
	for i, server := range on.servers {
		peak, e := server.peak()
		s.Peaks = append(s.Peaks, memory{fmt.Sprintf("%s, %s, %s users", kindName(w.kind), strings.ToLower(s.Title), count(w.sites[i].users())), peak})
		err = errors.Join(err, e)
	}
	return err
}

// serveSite starts the product on a site's database.
func (b *bench) serveSite(ctx context.Context, name string, site *population) (*server, error) {
	s, err := b.serve(ctx, name, site.url)
	if err == nil {
		s.db = site.db
	}
	return s, err
}

// world creates and fills the sites. On PostgreSQL each site has its own database server, so that
// their processor times can be told apart.
func (b *bench) world(ctx context.Context, kind string) (*world, error) {
	w := &world{kind: kind}
	for _, n := range b.users {
		site, err := b.populate(ctx, kind, n)
		if err != nil {
			return nil, fmt.Errorf("fill a site of %s: %w", count(n), errors.Join(err, context.Cause(ctx)))
		}
		w.sites = append(w.sites, site)
	}
	return w, nil
}

func (b *bench) populate(ctx context.Context, kind string, n int) (*population, error) {
	url := filepath.Join(b.dir, fmt.Sprintf("site-%d.db", n))
	var db *postgres
	if kind == kindPostgres {
		var err error
		if db, err = b.startPostgres(ctx); err != nil {
			return nil, err
		}
		url = db.url
	}
	site, err := b.newSite(ctx, url)
	if err != nil {
		return nil, err
	}
	site.db = db
	s, err := b.serveSite(ctx, fmt.Sprintf("%s-fill-%d", kind, n), site)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	err = site.fill(ctx, s.addr, n)
	if err == nil {
		b.say("  brought %s people and a group of them all in, %.1f s", count(n), time.Since(begin).Seconds())
		site.filled, err = s.peak()
	}
	if err = errors.Join(err, b.stop(s)); err == nil && db != nil {
		err = db.analyze(ctx)
	}
	return site, err
}
