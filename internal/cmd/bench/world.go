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

// The kinds of database, as flags and the report name them.
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

// parseKinds reads the value of -database.
func parseKinds(text string) ([]string, error) {
	switch text {
	case "both":
		return []string{kindSQLite, kindPostgres}, nil
	case kindSQLite, kindPostgres:
		return []string{text}, nil
	}
	return nil, fmt.Errorf("%q is none of sqlite, postgres and both", text)
}

// The parts of a run, as the flag -only names them.
const (
	partRead    = "read"
	partList    = "list"
	partGroup   = "group"
	partRival   = "rival" // a server of another project, beside Rollcall
	partWrite   = "write"
	partLoad    = "load"    // reads and writes at rising rates
	partSearch  = "search"  // searches by attributes that are declared searchable
	partMapping = "mapping" // the evaluation of the user mapping of new applications
	partSignIn  = "signin"
	partCycle   = "cycle"  // whole provisioning cycles
	partEngine  = "engine" // single changes, many groups, throttling targets and idle jobs
)

// partNames returns the names of all parts, in the order of the report.
func partNames() []string {
	return []string{partRead, partList, partGroup, partRival, partWrite, partLoad, partSearch, partMapping, partSignIn, partCycle, partEngine}
}

// parseParts reads the value of -only.
func parseParts(text string) ([]string, error) {
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

// databaseSites holds a site of each size on one kind of database.
type databaseSites struct {
	kind  string        // the kind of database
	sites []*population // the sites, the smallest first
}

// largest returns the largest site.
func (w *databaseSites) largest() *population { return w.sites[len(w.sites)-1] }

// runningSites holds the sites while a part is measured, with a running rollcall server for each.
type runningSites struct {
	*databaseSites
	servers []*server // the servers of the sites, in the order of sites
	empty   *server   // a server with an empty handler, which shows how fast the machine is during the part
}

// addEmptyHandler adds a row for the server with the empty handler, which does no work. Other rows
// are compared with it. The requests are the same as in the row for GETs by id.
func (w *runningSites) addEmptyHandler(s *section, clients int) *contender {
	l := w.largest().readByIDLoad(w.empty.addr, clients)
	l.checkResponse = expectEmptyAnswer
	return s.addRow("empty net/http handler", 0, w.empty, l)
}

// isLargest reports whether the site at index i is the largest. The aims apply only to that site.
func (w *databaseSites) isLargest(i int) bool { return i == len(w.sites)-1 }

// databasePart is a part of the run that is measured on each kind of database. measure adds rows to
// the section and measures them.
type databasePart struct {
	name, title string
	measure     func(ctx context.Context, w *runningSites, s *section) error
}

// databaseParts returns the parts that are measured on each kind of database, in their order.
func (b *bench) databaseParts() []databasePart {
	return []databasePart{
		{partRead, "Reads", b.measureReads},
		{partList, "Lists", b.measureLists},
		{partGroup, "Groups", b.measureGroups},
		{partRival, "Beside a server that keeps everything in memory", b.measureRival}, // this part is before the writes, because it compares the people with those that were created
		{partWrite, "Durable writes", b.measureWrites},
		{partLoad, "Rising load", b.measureLoad},
		{partSearch, "Searchable attributes", b.measureSearchable}, // this part is last, because the other parts measure sites without declared attributes
	}
}

// measureDatabase fills a site of each size on one kind of database and measures its parts. It puts
// errors into the report.
func (b *bench) measureDatabase(ctx context.Context, kind string, r *report) {
	var sections []*section
	var parts []databasePart
	for _, p := range b.databaseParts() {
		if b.measures(p.name) && (p.name != partRival || kind == kindSQLite) {
			parts = append(parts, p)
			sections = append(sections, &section{Kind: kind, Part: p.name, Title: p.title})
		}
	}
	if len(parts) == 0 {
		return
	}
	r.Sections = append(r.Sections, sections...)
	b.print("\n%s", kindName(kind))
	w, err := b.fillSites(ctx, kind)
	for i, p := range parts {
		s := sections[i]
		if s.Problem = err; err != nil {
			continue
		}
		b.print("\n%s, %s", kindName(kind), strings.ToLower(p.title))
		s.Document = w.largest().documentBytes / w.largest().users()
		s.Problem = b.runPart(ctx, w, s, p.measure)
	}
	if err != nil {
		b.print("  %v", err)
		return
	}
	for _, site := range w.sites {
		r.PeaksAfterFill = append(r.PeaksAfterFill, processMemory{fmt.Sprintf("%s, %s users and a group of them all came in", kindName(kind), withThousandsCommas(site.users())), site.peakAfterFill})
	}
	if b.profile != "" && kind == kindSQLite {
		b.print("\nprofiles")
		r.ProfileProblem = b.takeProfiles(ctx, w.largest())
	}
}

// runPart measures one part with the function plan. It starts new servers for it, so that their
// peak memory belongs to that part.
func (b *bench) runPart(ctx context.Context, w *databaseSites, s *section, plan func(context.Context, *runningSites, *section) error) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	on := &runningSites{databaseSites: w}
	if on.empty, err = b.startChild(ctx, childEmpty); err != nil {
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
		peak, e := server.peakMemory()
		s.Peaks = append(s.Peaks, processMemory{fmt.Sprintf("%s, %s, %s users", kindName(w.kind), strings.ToLower(s.Title), withThousandsCommas(w.sites[i].users())), peak})
		err = errors.Join(err, e)
	}
	return err
}

// serveSite starts the product on a site's database.
func (b *bench) serveSite(ctx context.Context, name string, site *population) (*server, error) {
	s, err := b.startProduct(ctx, name, site.url)
	if err == nil {
		s.database = site.db
	}
	return s, err
}

// fillSites creates and fills the sites. On PostgreSQL each site has its own database server, so
// that the processor time of each site can be measured separately.
func (b *bench) fillSites(ctx context.Context, kind string) (*databaseSites, error) {
	w := &databaseSites{kind: kind}
	for _, n := range b.users {
		site, err := b.populate(ctx, kind, n)
		if err != nil {
			return nil, fmt.Errorf("fill a site of %s: %w", withThousandsCommas(n), errors.Join(err, context.Cause(ctx)))
		}
		w.sites = append(w.sites, site)
	}
	return w, nil
}

// populate creates a site on one kind of database and fills it with n people and their groups.
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
		b.print("  brought %s people and a group of them all in, %.1f s", withThousandsCommas(n), time.Since(begin).Seconds())
		site.peakAfterFill, err = s.peakMemory()
	}
	if err = errors.Join(err, b.stop(s)); err == nil && db != nil {
		err = db.analyze(ctx)
	}
	return site, err
}
