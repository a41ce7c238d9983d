package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

const (
	directoryName = "contoso"        // the name of the directory
	appName       = "Bench"          // the name of the application
	cycleLimit    = 20 * time.Minute // how long a cycle may take

	// maxCycleRounds is the largest number of rounds with whole cycles, which take minutes.
	maxCycleRounds = 3
)

// measureCycles measures two contenders, which take turns, on one kind of database. One is a
// directory that provisions its users into a site. The other is a load generator that sends the
// same requests to another site. Each has its own database, and every round starts with new
// databases.
func (b *bench) measureCycles(ctx context.Context, c *cycleReport) error {
	e, err := b.newEnds(ctx, c.Kind, "cycle", b.cyclePeople)
	if err != nil {
		return err
	}
	var bodies []userRequests
	for round := range min(b.rounds, maxCycleRounds) {
		did, err := e.runCycleRound(ctx, round)
		if err != nil {
			return err
		}
		if bodies == nil {
			bodies = did.users
		}
		c.addRound(did)
		b.print("  round %d  initial cycle      %7.2f s  (idle cycle %.3f s, %d requests)", round+1,
			did.initial.Elapsed.Seconds(), did.idleTime.Seconds(), did.idleRequests)
		g, err := e.runGeneratorRound(ctx, bodies, round)
		if err != nil {
			return err
		}
		c.Generator = append(c.Generator, g)
		b.print("  round %d  load generator     %7.2f s", round+1, g.Elapsed.Seconds())
	}
	return nil
}

// bothEnds holds the two ends of provisioning before anyone is provisioned: a site without people,
// and a directory with an application to which everyone is assigned. Each end has its own database.
type bothEnds struct {
	*bench
	name        string      // the beginning of the names of all databases
	sites       *storage    // makes the databases with the site
	directories *storage    // makes the databases with the directory
	site        *population // the site without people, in its first database
	directory   string      // the URL of the directory's first database
	secretFile  string      // a file with the site's token
}

// newEnds creates both ends of provisioning: the site, and the directory with n people.
func (b *bench) newEnds(ctx context.Context, kind, name string, n int) (*bothEnds, error) {
	e := &bothEnds{bench: b, name: name, secretFile: filepath.Join(b.dir, name+"-token.txt")}
	var err error
	if e.sites, err = b.newStorage(ctx, kind); err != nil {
		return nil, err
	}
	if e.directories, err = b.newStorage(ctx, kind); err != nil {
		return nil, err
	}
	url, err := e.sites.create(ctx, name+"_site")
	if err != nil {
		return nil, err
	}
	if e.site, err = b.newSite(ctx, url); err != nil {
		return nil, err
	}
	if err := os.WriteFile(e.secretFile, []byte(e.site.token), 0o600); err != nil {
		return nil, err
	}
	if e.directory, err = e.directories.create(ctx, name+"_directory"); err != nil {
		return nil, err
	}
	return e, b.newDirectory(ctx, e.directory, n)
}

// copySite returns a copy of the site, in a new database with this name.
func (e *bothEnds) copySite(ctx context.Context, name string) (*population, error) {
	site := *e.site
	var err error
	site.url, err = e.sites.copy(ctx, name, e.name+"_site")
	return &site, err
}

// connect sets the Tenant URL and the Secret Token of the application in a database of the
// directory, and switches provisioning on. targetAddr is the address of the site.
func (e *bothEnds) connect(ctx context.Context, directory, targetAddr string) error {
	_, err := e.runRollcall(ctx, directory, "app", "set", directoryName, appName, "--tenant-url", "http://"+targetAddr+scimPath,
		"--secret-token-file", e.secretFile, "--actions", "create,update,delete", "--scope", "assigned", "--start")
	return err
}

// newDirectory creates a company of n people with an application to which everyone is assigned. The
// application is not yet connected to a site.
func (b *bench) newDirectory(ctx context.Context, database string, n int) error {
	text, err := directoryFile(n)
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "users.csv")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"directory", "create", directoryName},
		{"directory", "import", directoryName, file},
		{"app", "create", directoryName, appName},
		{"app", "assign", directoryName, appName, "--all"},
	} {
		if _, err := b.runRollcall(ctx, database, args...); err != nil {
			return err
		}
	}
	return nil
}

// cycleResult is the result of one round of provisioning.
type cycleResult struct {
	initial              sample         // the figures of the initial cycle; Requests is the number of people, CPU the processor time of the process with the directory
	siteCPU              time.Duration  // the processor time of the process with the site during the initial cycle
	idleTime             time.Duration  // how long the cycle without changes took
	idleRequests         int            // how many requests the cycle without changes sent to the site
	sitePeak, sourcePeak int64          // the peak memory of the site's process and of the directory's process, in bytes
	users                []userRequests // the requests that create the users of the site; only after the first round
}

// runCycleRound provisions everyone into a fresh site, and then runs a second cycle without
// changes.
func (e *bothEnds) runCycleRound(ctx context.Context, round int) (did cycleResult, err error) {
	siteName, sourceName := fmt.Sprintf("target_%d", round), fmt.Sprintf("source_%d", round)
	site, err := e.copySite(ctx, siteName)
	if err != nil {
		return did, err
	}
	source, err := e.directories.copy(ctx, sourceName, e.name+"_directory")
	if err != nil {
		return did, err
	}
	target, err := e.sites.serve(ctx, "target", site.url, anyPort)
	if err != nil {
		return did, err
	}
	if err := e.connect(ctx, source, target.addr); err != nil {
		return did, err
	}
	before, err := target.processorTime()
	if err != nil {
		return did, err
	}
	engine, err := e.directories.serve(ctx, "source", source, anyPort)
	if err != nil {
		return did, err
	}
	first, err := e.waitInitialCycle(ctx, engine, source)
	if err != nil {
		return did, err
	}
	did.initial = sample{Requests: first.Created, Elapsed: first.Ended.Sub(first.Started)}
	if did.initial.CPU, err = engine.processorTime(); err != nil {
		return did, err
	}
	after, err := target.processorTime()
	if err != nil {
		return did, err
	}
	did.siteCPU = after - before
	if err := e.runIdleCycle(ctx, target, source, &did); err != nil {
		return did, err
	}
	var errs [7]error
	did.sitePeak, errs[0] = target.peakMemory()
	did.sourcePeak, errs[1] = engine.peakMemory()
	if round == 0 {
		did.users, errs[2] = site.listUserRequests(ctx, target.addr)
	}
	errs[3] = e.stop(engine)
	errs[4] = e.stop(target)
	errs[5] = e.sites.drop(ctx, siteName)
	errs[6] = e.directories.drop(ctx, sourceName)
	return did, errors.Join(errs[:]...)
}

// waitInitialCycle waits for the end of the initial cycle, which the directory's server starts by
// itself.
func (b *bench) waitInitialCycle(ctx context.Context, engine *server, database string) (provision.CycleReport, error) {
	last, err := b.waitCycle(ctx, engine, database)
	if err == nil && (last.Kind != provision.InitialCycle || last.State != provision.Succeeded || last.Created != b.cyclePeople) {
		err = fmt.Errorf("the initial cycle did not create %d people: %+v", b.cyclePeople, last)
	}
	return last, err
}

// waitCycle waits for the end of the first cycle of a directory's server, and returns its report.
func (b *bench) waitCycle(ctx context.Context, engine *server, database string) (last provision.CycleReport, err error) {
	if err := engine.process.Await(ctx, cycleLimit, "end its cycle", func(log []byte) bool { return bytes.Contains(log, []byte("cycle ended")) }); err != nil {
		return last, err
	}
	out, err := b.runRollcall(ctx, database, "provision", "status", directoryName, appName, "--json")
	if err != nil {
		return last, err
	}
	var status struct {
		State provision.State `json:"state"`
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return last, fmt.Errorf("read status: %w", err)
	}
	if status.State.Last == nil {
		return last, errors.New("no cycle has ended")
	}
	return *status.State.Last, nil
}

// runIdleCycle runs a cycle without changes from the command line, and counts the requests that
// reach the target.
func (b *bench) runIdleCycle(ctx context.Context, target *server, database string, did *cycleResult) error {
	before, err := target.countRequests()
	if err != nil {
		return err
	}
	out, err := b.runCycle(ctx, database)
	if err != nil {
		return err
	}
	lines := strings.Split(out, "\n")
	var cycle provision.CycleReport
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &cycle); err != nil {
		return fmt.Errorf("read the cycle's report: %w", err)
	}
	if len(lines) != 1 || cycle.Kind != provision.IncrementalCycle || cycle.State != provision.Succeeded || cycle.Read != 0 {
		return fmt.Errorf("a cycle with nothing to do did something: %s", out)
	}
	did.idleTime = cycle.Ended.Sub(cycle.Started)
	after, err := target.countRequests()
	did.idleRequests = after - before
	return err
}

// retryLimit is how long runCycle retries while the job is busy.
const retryLimit = 30 * time.Second

// runCycle runs a cycle from the command line. The server logs the end of its cycle shortly before
// it releases the job, so runCycle retries while the server still holds the job.
func (b *bench) runCycle(ctx context.Context, database string) (out string, err error) {
	for until := time.Now().Add(retryLimit); ; {
		out, err = b.runRollcall(ctx, database, "provision", "run", directoryName, appName, "--json")
		if err == nil || !strings.Contains(err.Error(), "is working on this job") || time.Now().After(until) {
			return out, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// userRequests holds the two requests with which the engine provisions one user: the lookup and the
// create.
type userRequests struct {
	lookup string // the path of the lookup
	body   []byte // the body of the create
}

// listUserRequests reads all users of the site except the administrator. It returns the requests
// that look up and create these users.
func (s *population) listUserRequests(ctx context.Context, addr string) ([]userRequests, error) {
	var users []userRequests
	for read := 0; ; {
		var page struct {
			TotalResults int              `json:"totalResults"`
			Resources    []map[string]any `json:"Resources"`
		}
		url := fmt.Sprintf("http://%s%s/Users?startIndex=%d&count=100", addr, scimPath, read+1)
		if err := getJSON(ctx, url, s.token, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Resources {
			if r["userName"] == adminName {
				continue
			}
			delete(r, "id")
			r["meta"] = map[string]any{"resourceType": "User"}
			body, err := json.Marshal(r)
			if err != nil {
				return nil, err
			}
			users = append(users, userRequests{lookup: lookupPath(fmt.Sprint(r["userName"])), body: body})
		}
		read += len(page.Resources)
		if read >= page.TotalResults {
			return users, nil
		}
		if len(page.Resources) == 0 {
			return nil, fmt.Errorf("the site lists %d of %d users", read, page.TotalResults)
		}
	}
}

// runGeneratorRound sends the lookup and the create of every user to a fresh site. It sends as many
// requests at the same time as the engine.
func (e *bothEnds) runGeneratorRound(ctx context.Context, users []userRequests, round int) (sample, error) {
	name := fmt.Sprintf("generated_%d", round)
	site, err := e.copySite(ctx, name)
	if err != nil {
		return sample{}, err
	}
	target, err := e.sites.serve(ctx, "generated", site.url, anyPort)
	if err != nil {
		return sample{}, err
	}
	nobody := expectTotal(0)
	generator := &contender{Name: "load generator", server: target, runRound: func(ctx context.Context, _ time.Duration) (int, time.Duration, error) {
		elapsed, err := doAll(ctx, target.addr, provision.DefaultWorkers, len(users), func(c *conn, i int) error {
			status, answer, err := c.send(site.appendRequest(nil, http.MethodGet, users[i].lookup, nil))
			if err == nil {
				err = nobody(status, answer)
			}
			if err != nil {
				return err
			}
			if status, answer, err = c.send(site.appendRequest(nil, http.MethodPost, "/Users", users[i].body)); err != nil {
				return err
			}
			return expectCreated(status, answer)
		})
		return len(users), elapsed, err
	}}
	s, err := e.runOnce(ctx, generator, 0)
	return s, errors.Join(err, e.stop(target), e.sites.drop(ctx, name))
}
