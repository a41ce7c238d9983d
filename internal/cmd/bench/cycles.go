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
	directoryName = "contoso"
	appName       = "Bench"
	cycleLimit    = 10 * time.Minute
)

// measureCycles measures two contenders in turn. One is a directory that provisions its users into
// a site. The other is a load generator that sends the same requests to another site. Each has its
// own database, and every round starts with new databases.
func (b *bench) measureCycles(ctx context.Context, r *report) error {
	site, err := b.newSite(ctx, filepath.Join(b.dir, "cycle.db"))
	if err != nil {
		return err
	}
	directory := filepath.Join(b.dir, "directory.db")
	secret := filepath.Join(b.dir, "token.txt")
	if err := os.WriteFile(secret, []byte(site.token), 0o600); err != nil {
		return err
	}
	if err := b.newDirectory(ctx, directory, secret); err != nil {
		return err
	}
	c := &cycleReport{Users: b.cycle}
	r.Cycle = c
	var bodies []newcomer
	for round := range b.rounds {
		did, err := b.runCycleRound(ctx, site, directory, secret, round)
		if err != nil {
			return err
		}
		if bodies == nil {
			bodies = did.users
		}
		c.add(did)
		b.print("  round %d of %d  initial cycle      %7.2f s  (idle cycle %.3f s, %d requests)", round+1, b.rounds,
			did.initial.Elapsed.Seconds(), did.idleTime.Seconds(), did.idleRequests)
		g, err := b.runGeneratorRound(ctx, site, bodies, round)
		if err != nil {
			return err
		}
		c.Generator = append(c.Generator, g)
		b.print("  round %d of %d  load generator     %7.2f s", round+1, b.rounds, g.Elapsed.Seconds())
	}
	return nil
}

// newDirectory creates a company with an application to which everyone is assigned. The application
// is not yet connected to a site.
func (b *bench) newDirectory(ctx context.Context, database, secret string) error {
	text, err := directoryFile(b.cycle)
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
	initial              sample // of the initial cycle; Requests is the number of people, CPU the processor time of the process with the directory
	siteCPU              time.Duration
	idleTime             time.Duration
	idleRequests         int
	sitePeak, sourcePeak int64      // the peak memory of the site's process and of the directory's process, in bytes
	users                []newcomer // the requests that create the users that the site has after the round
}

// runCycleRound provisions everyone into a fresh site, and then runs a second cycle without
// changes.
func (b *bench) runCycleRound(ctx context.Context, base *population, directory, secret string, round int) (did cycleResult, err error) {
	site, err := base.copy(b, fmt.Sprintf("target-%d", round))
	if err != nil {
		return did, err
	}
	defer os.Remove(site.url)
	source := filepath.Join(b.dir, fmt.Sprintf("source-%d.db", round))
	if err := copyDatabase(source, directory); err != nil {
		return did, err
	}
	defer os.Remove(source)
	target, err := b.startProduct(ctx, "target", site.url)
	if err != nil {
		return did, err
	}
	if _, err := b.runRollcall(ctx, source, "app", "set", directoryName, appName, "--tenant-url", "http://"+target.addr+scimPath,
		"--secret-token-file", secret, "--actions", "create,update,delete", "--scope", "assigned", "--start"); err != nil {
		return did, err
	}
	before, err := target.processorTime()
	if err != nil {
		return did, err
	}
	engine, err := b.startProduct(ctx, "source", source)
	if err != nil {
		return did, err
	}
	first, err := b.waitInitialCycle(ctx, engine, source)
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
	if err := b.runIdleCycle(ctx, target, source, &did); err != nil {
		return did, err
	}
	var errs [3]error
	did.sitePeak, errs[0] = target.peakMemory()
	did.sourcePeak, errs[1] = engine.peakMemory()
	if round == 0 {
		did.users, errs[2] = site.listNewcomers(ctx, target.addr)
	}
	return did, errors.Join(append(errs[:], b.stop(engine), b.stop(target))...)
}

// waitInitialCycle waits for the initial cycle, which the directory's server starts without a
// command.
func (b *bench) waitInitialCycle(ctx context.Context, engine *server, database string) (provision.CycleReport, error) {
	if err := engine.process.Await(ctx, cycleLimit, "end its cycle", func(log []byte) bool { return bytes.Contains(log, []byte("cycle ended")) }); err != nil {
		return provision.CycleReport{}, err
	}
	out, err := b.runRollcall(ctx, database, "provision", "status", directoryName, appName, "--json")
	if err != nil {
		return provision.CycleReport{}, err
	}
	var status struct {
		State provision.State `json:"state"`
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return provision.CycleReport{}, fmt.Errorf("read status: %w", err)
	}
	last := status.State.Last
	if last == nil || last.Kind != provision.InitialCycle || last.State != provision.Succeeded || last.Created != b.cycle {
		return provision.CycleReport{}, fmt.Errorf("the initial cycle did not create %d people: %+v", b.cycle, last)
	}
	return *last, nil
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

// newcomer holds the two requests for one user: the lookup and the create.
type newcomer struct {
	lookup string
	body   []byte
}

// listNewcomers reads all users except the administrator and returns the requests that look up and
// create these users.
func (s *population) listNewcomers(ctx context.Context, addr string) ([]newcomer, error) {
	var users []newcomer
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
			users = append(users, newcomer{lookup: lookupPath(fmt.Sprint(r["userName"])), body: body})
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

// runGeneratorRound sends the lookup and the create of every user to a fresh site, with the
// engine's concurrency.
func (b *bench) runGeneratorRound(ctx context.Context, base *population, users []newcomer, round int) (sample, error) {
	site, err := base.copy(b, fmt.Sprintf("generated-%d", round))
	if err != nil {
		return sample{}, err
	}
	defer os.Remove(site.url)
	target, err := b.startProduct(ctx, "generated", site.url)
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
	s, err := b.runOnce(ctx, generator, 0)
	return s, errors.Join(err, b.stop(target))
}
