package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

const (
	changedPeople   = 20               // how many changes of single people are timed
	memberBlocks    = 5                // how many blocks of membership changes each group gets; the blocks of the two groups take turns
	changesPerBlock = 10               // the number of membership changes in a block
	limitedRate     = 20               // how many requests per second the throttling target allows
	smallGroupSize  = 10               // the number of members of the small group
	idleTime        = 30 * time.Second // how long the processor time of idle jobs is measured
	changeLimit     = time.Minute      // how long a change may take to reach the target
	smallGroupName  = "Ten"            // the name of the small group
	largeGroupName  = "Everybody"      // the name of the group of everyone
)

// engineReport holds the results of the part about the engine on one kind of database.
type engineReport struct {
	Kind                 string          // the kind of database
	Users                int             // the number of people of the directory
	DuringCycle, AtRest  []float64       // seconds until a person's change has reached the target: during the initial cycle, and after it
	InitialCycleTime     time.Duration   // how long the initial cycle took, with the changes during it
	SmallLatency         []float64       // seconds until a membership change of the small group has reached the target
	LargeLatency         []float64       // seconds until a membership change of the group of everyone has reached the target
	SmallCost, LargeCost []float64       // the processor time of the site and of the directory together per membership change, in milliseconds, for each block of changes
	Groups, GroupMembers int             // how many groups the cycles with many groups provision, and how many members each group has
	GroupCycles          []sample        // the cycles with many groups; Requests is the number of memberships
	GroupGenerator       []sample        // the rounds of the load generator that sends the same requests as the cycles with many groups
	LimitedShare         []float64       // the share of the allowed requests that the engine has used
	IdleJobs             int             // how many jobs without work the idle server has
	IdleShare            []float64       // the processor time of the idle server, as a share of one processor
	Peaks                []processMemory // the peak memory of the servers
	Problem              error           // why figures are missing; nil if all are complete
}

// engineRow is a figure about the engine, with its aim. It is a row of the table.
type engineRow struct {
	name   string    // what was measured
	values []float64 // the measured values, one for each round or change
	format string    // the form of a number, for fmt
	aim    aim
}

// rows returns the figures that were measured.
func (e *engineReport) rows() []engineRow {
	all := []engineRow{
		{"one changed person reaches the target, seconds", e.AtRest, "%.3f", atMost(1)},
		{fmt.Sprintf("one changed person reaches the target while an initial cycle of %s runs, seconds", withThousandsCommas(e.Users)), e.DuringCycle, "%.3f", atMost(1)},
		{fmt.Sprintf("one member of a group of %s × one of a group of ten, processor time of both ends", withThousandsCommas(e.Users)), ratios(e.LargeCost, e.SmallCost), "%.2f", atMost(1.3)},
		{fmt.Sprintf("one member of a group of %s × one of a group of ten, time until it reaches the target", withThousandsCommas(e.Users)), ratios(e.LargeLatency, e.SmallLatency), "%.2f", atMost(1.3)},
		{
			fmt.Sprintf("%s groups with %s memberships × the load generator's rate", withThousandsCommas(e.Groups), withThousandsCommas(e.Groups*e.GroupMembers)),
			ratios(ratesOf(e.GroupCycles), ratesOf(e.GroupGenerator)), "%.2f", cycleAim(),
		},
		{fmt.Sprintf("share used of what a target allows that allows %d requests a second", limitedRate), e.LimitedShare, "%.2f", atLeast(0.9)},
		{fmt.Sprintf("%s idle jobs, share of a processor", withThousandsCommas(e.IdleJobs)), e.IdleShare, "%.4f", atMost(0.01)},
	}
	return slices.DeleteFunc(all, func(r engineRow) bool { return len(r.values) == 0 })
}

// markdown returns the part of the report about the engine. endedEarly says why the run ended
// early; it is nil if it did not.
func (e *engineReport) markdown(endedEarly error) string {
	text := ""
	if err := cmp.Or(e.Problem, endedEarly); err != nil {
		text = "Not run, or not to its end: " + firstLine(err) + ".\n\n"
	}
	table := [][]string{{"", "median (least–greatest)", "aim"}}
	for _, row := range e.rows() {
		table = append(table, []string{row.name, formatSpread(spreadOf(row.values), row.format), row.aim.String()})
	}
	if len(table) == 1 {
		return text
	}
	return text + "A change is made by a command, in a process of its own, while `rollcall serve` runs for the directory and another for the site. Its time goes from the start of the\n" +
		"command to the target's answer. Between the two servers is a proxy that notes the time. The load generator sends the requests that the engine sent for the same groups.\n\n" + formatTable(table)
}

// engineSizes says how much the part about the engine measures.
type engineSizes struct {
	groups, members, people int           // for the cycles with many groups: their number, the members of each, and the people in the directory
	limitedPeople           int           // how many people are provisioned into the throttling target
	idleJobs                int           // how many jobs without work are created
	idleTime                time.Duration // how long the processor time of idle jobs is measured
	changes                 int           // how many changes of single people are timed
	memberBlocks            int           // how many blocks of membership changes each group gets
}

// engineSizes returns the sizes for this run; a quick run has small ones.
func (o *options) engineSizes() engineSizes {
	if o.quick {
		return engineSizes{groups: 4, members: 3, people: 12, limitedPeople: 12, idleJobs: 2, idleTime: 100 * time.Millisecond, changes: 1, memberBlocks: 1}
	}
	return engineSizes{
		groups: 1_000, members: 300, people: 5_000, limitedPeople: 300, idleJobs: 1_000, idleTime: idleTime, changes: changedPeople, memberBlocks: memberBlocks,
	}
}

// measureEngine measures how fast the engine provisions: changes of single people and memberships,
// many groups, and a target that throttles. It also measures jobs without work.
func (b *bench) measureEngine(ctx context.Context, e *engineReport) error {
	for _, step := range []struct {
		name    string
		measure func(context.Context, *engineReport) error
	}{
		{"single changes", b.measureChanges},
		{"many groups", b.measureManyGroups},
		{"a target that throttles", b.measureLimited},
		{"idle jobs", b.measureIdleJobs},
	} {
		b.print("  %s", step.name)
		if err := step.measure(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// provisioningRun is a running server with the directory that provisions into a running server with
// the site, through a tap.
type provisioningRun struct {
	*bothEnds
	target, engine *server // the server with the site, and the server with the directory
	tap            *tap    // the proxy between them

	mu           sync.Mutex                // guards the fields below
	patchWaiters map[string]chan time.Time // the channels of callers that wait for the answer to a PATCH, by a part of its target or body
	created      []string                  // user names, in the order of their creation
	groups       map[string]string         // the ids of groups at the site, by display name
	members      int                       // how many memberships the site has stored
}

// startProvisioning starts the servers of the site and of the directory, and connects them through
// a tap. perSec is how many requests per second the tap lets through; 0 means any number.
func (e *bothEnds) startProvisioning(ctx context.Context, perSec int) (*provisioningRun, error) {
	f := &provisioningRun{bothEnds: e, patchWaiters: map[string]chan time.Time{}, groups: map[string]string{}}
	var err error
	if f.target, err = e.sites.serve(ctx, "target", e.site.url, anyPort); err != nil {
		return nil, err
	}
	if f.tap, err = startTap(ctx, anyPort, f.target.addr); err != nil {
		return nil, err
	}
	f.tap.perSec = perSec
	f.tap.setWatch(f.recordExchange)
	if err := e.connect(ctx, e.directory, f.tap.addr); err != nil {
		return nil, err
	}
	f.engine, err = e.directories.serve(ctx, "source", e.directory, anyPort)
	return f, err
}

// stop ends both servers and the tap.
func (f *provisioningRun) stop() error {
	return errors.Join(f.bench.stop(f.engine), f.tap.stop(), f.bench.stop(f.target))
}

// recordExchange records the changes that an exchange has made at the site.
func (f *provisioningRun) recordExchange(x exchange) {
	if x.status >= 300 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for text, told := range f.patchWaiters {
		if x.method == http.MethodPatch && (strings.HasPrefix(x.target, text) || bytes.Contains(x.body, []byte(text))) {
			told <- x.answered
			delete(f.patchWaiters, text)
		}
	}
	var resource struct {
		ID          string `json:"id"`
		UserName    string `json:"userName"`
		DisplayName string `json:"displayName"`
	}
	switch {
	case x.method == http.MethodPost && json.Unmarshal(x.answer, &resource) == nil && x.target == "/Users":
		f.created = append(f.created, resource.UserName)
	case x.method == http.MethodPost && x.target == "/Groups":
		f.groups[resource.DisplayName] = resource.ID
	case x.method == http.MethodPatch && strings.HasPrefix(x.target, "/Groups/"):
		f.members += bytes.Count(x.body, []byte(`"value":"`))
	}
}

// awaitPatch calls act, which makes a change that causes a PATCH. It waits until the site has
// answered a PATCH whose path begins with text or whose body contains text. It returns the time
// from the call of act to that answer.
func (f *provisioningRun) awaitPatch(ctx context.Context, text string, act func() error) (time.Duration, error) {
	told := make(chan time.Time, 1)
	f.mu.Lock()
	f.patchWaiters[text] = told
	f.mu.Unlock()
	began := time.Now()
	if err := act(); err != nil {
		return 0, err
	}
	select {
	case at := <-told:
		return at.Sub(began), nil
	case <-time.After(changeLimit):
		return 0, fmt.Errorf("no request with %q within %s\n%s", text, changeLimit, f.engine.process.Tail())
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// waitUntil waits until the function holds returns true. It calls holds ten times a second, and
// holds mu during the call. text says in errors what was awaited.
func (f *provisioningRun) waitUntil(ctx context.Context, text string, holds func() bool) error {
	for until := time.Now().Add(cycleLimit); ; {
		f.mu.Lock()
		done := holds()
		f.mu.Unlock()
		if done {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("%s: not within %s\n%s", text, cycleLimit, f.engine.process.Tail())
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-f.engine.done():
			return fmt.Errorf("%s: the directory's server has ended\n%s", text, f.engine.process.Tail())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// changeTitle gives a person a new job title from the command line, and returns the time until the
// target has it.
func (f *provisioningRun) changeTitle(ctx context.Context, userName, title string) (time.Duration, error) {
	return f.awaitPatch(ctx, title, func() error {
		_, err := f.runRollcall(ctx, f.directory, "directory", "user", "set", directoryName, userName, "jobTitle="+title)
		return err
	})
}

// measureChanges provisions a directory with a small group and a group of everyone. It times single
// changes while the initial cycle runs and afterwards, then membership changes of both groups.
func (b *bench) measureChanges(ctx context.Context, r *engineReport) error {
	e, err := b.newEnds(ctx, r.Kind, "changes", b.cyclePeople+1)
	if err != nil {
		return err
	}
	f, err := e.startProvisioning(ctx, 0)
	if err != nil {
		return err
	}
	began := time.Now()
	sizes := b.engineSizes()
	early := max(1, b.cyclePeople/50)
	if err := f.waitUntil(ctx, "the first accounts", func() bool { return len(f.created) >= early }); err != nil {
		return err
	}
	for i := range sizes.changes {
		f.mu.Lock()
		done, name := len(f.created) > b.cyclePeople, f.created[i%early]
		f.mu.Unlock()
		if done && !b.quick {
			break // only changes during the initial cycle count
		}
		took, err := f.changeTitle(ctx, name, fmt.Sprintf("Early title %d", i))
		if err != nil {
			return err
		}
		r.DuringCycle = append(r.DuringCycle, took.Seconds())
	}
	if err := f.waitUntil(ctx, "all accounts", func() bool { return len(f.created) > b.cyclePeople }); err != nil {
		return err
	}
	if err := f.engine.process.Await(ctx, cycleLimit, "end its cycle", func(log []byte) bool { return bytes.Contains(log, []byte("cycle ended")) }); err != nil {
		return err
	}
	r.InitialCycleTime = time.Since(began)
	for i := range sizes.changes {
		took, err := f.changeTitle(ctx, personOf(i).userName(), fmt.Sprintf("Late title %d", i))
		if err != nil {
			return err
		}
		r.AtRest = append(r.AtRest, took.Seconds())
	}
	b.print("  changes: %s s during the initial cycle, %s s at rest", formatSpread(spreadOf(r.DuringCycle), "%.3f"), formatSpread(spreadOf(r.AtRest), "%.3f"))
	if err := f.measureMembers(ctx, r, sizes); err != nil {
		return err
	}
	for name, s := range map[string]*server{"directory's end": f.engine, "site's end": f.target} {
		peak, err := s.peakMemory()
		if err != nil {
			return err
		}
		r.Peaks = append(r.Peaks, processMemory{fmt.Sprintf("%s, single changes, %s people and a group of them all, the %s", kindName(r.Kind), withThousandsCommas(b.cyclePeople), name), peak})
	}
	return f.stop()
}

// measureMembers assigns the small group and the group of everyone to the application, waits until
// the target has all members, and measures changes of single memberships.
func (f *provisioningRun) measureMembers(ctx context.Context, r *engineReport, sizes engineSizes) error {
	groups := [][]string{{"displayName"}, {smallGroupName}, {largeGroupName}}
	members := [][]string{{"group", "member"}}
	small := min(smallGroupSize, f.cyclePeople)
	for i := range f.cyclePeople {
		if i < small {
			members = append(members, []string{smallGroupName, personOf(i).userName()})
		}
		members = append(members, []string{largeGroupName, personOf(i).userName()})
	}
	if err := errors.Join(f.importCSV(ctx, "import-groups", groups), f.importCSV(ctx, "import-members", members)); err != nil {
		return err
	}
	if _, err := f.runRollcall(ctx, f.directory, "app", "assign", directoryName, appName, "--group", smallGroupName, "--group", largeGroupName); err != nil {
		return err
	}
	if err := f.waitUntil(ctx, "all members", func() bool { return f.members >= f.cyclePeople+small }); err != nil {
		return err
	}
	f.mu.Lock()
	ids := map[string]string{smallGroupName: f.groups[smallGroupName], largeGroupName: f.groups[largeGroupName]}
	f.mu.Unlock()
	newcomer := personOf(f.cyclePeople).userName()
	for range sizes.memberBlocks {
		for name, results := range map[string]*[]float64{smallGroupName: &r.SmallLatency, largeGroupName: &r.LargeLatency} {
			cost, err := f.measureBlock(ctx, name, ids[name], newcomer, results, sizes)
			if err != nil {
				return err
			}
			if name == smallGroupName {
				r.SmallCost = append(r.SmallCost, cost)
			} else {
				r.LargeCost = append(r.LargeCost, cost)
			}
		}
	}
	f.print("  one membership: %s s and %s ms of processor time in the small group, %s s and %s ms in the large one",
		formatSpread(spreadOf(r.SmallLatency), "%.3f"), formatSpread(spreadOf(r.SmallCost), "%.1f"),
		formatSpread(spreadOf(r.LargeLatency), "%.3f"), formatSpread(spreadOf(r.LargeCost), "%.1f"))
	return nil
}

// measureBlock measures a block of changes: it adds a person to a group and removes them again,
// several times. It appends the time of each change to latencies. It returns the processor time per
// change, of the site and of the directory together, in milliseconds.
func (f *provisioningRun) measureBlock(ctx context.Context, group, id, person string, latencies *[]float64, sizes engineSizes) (cost float64, err error) {
	before, err := f.processorTime()
	if err != nil {
		return 0, err
	}
	changes := min(changesPerBlock, 2*sizes.changes)
	for i := range changes {
		step := []string{"add", "remove"}[i%2]
		took, err := f.awaitPatch(ctx, "/Groups/"+id, func() error {
			_, err := f.runRollcall(ctx, f.directory, "directory", "group", "member", step, directoryName, group, person)
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("%s a member of %s: %w", step, group, err)
		}
		*latencies = append(*latencies, took.Seconds())
	}
	select {
	case <-time.After(f.settleTime):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	after, err := f.processorTime()
	return float64((after - before).Microseconds()) / 1e3 / float64(changes), err
}

// processorTime returns the processor time that the servers of the site and of the directory have
// used, together with their database servers.
func (f *provisioningRun) processorTime() (time.Duration, error) {
	var total time.Duration
	for _, s := range []*server{f.engine, f.target} {
		used, err := s.readProcessorTimes()
		if err != nil {
			return 0, err
		}
		total += used.server + used.database
	}
	return total, nil
}

// importCSV imports rows into the directory with a subcommand of `rollcall directory`, such as
// import-groups.
func (e *bothEnds) importCSV(ctx context.Context, command string, rows [][]string) error {
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
		return err
	}
	file := filepath.Join(e.dir, command+".csv")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return err
	}
	_, err := e.runRollcall(ctx, e.directory, "directory", command, directoryName, file)
	return err
}

// measureManyGroups measures the provisioning of many groups whose members all have accounts. It
// also measures a load generator that sends the same requests.
func (b *bench) measureManyGroups(ctx context.Context, r *engineReport) error {
	sizes := b.engineSizes()
	r.Groups, r.GroupMembers = sizes.groups, sizes.members
	e, err := b.newEnds(ctx, r.Kind, "groups", sizes.people)
	if err != nil {
		return err
	}
	// All cycles use the same address, because another Tenant URL would be another application.
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	if err := e.provisionPeople(ctx, addr); err != nil {
		return err
	}
	groups, members := [][]string{{"displayName"}}, [][]string{{"group", "member"}}
	assign := []string{"app", "assign", directoryName, appName}
	for g := range sizes.groups {
		groups = append(groups, []string{teamName(g)})
		assign = append(assign, "--group", teamName(g))
		for m := range sizes.members {
			members = append(members, []string{teamName(g), personOf((g*7 + m*11) % sizes.people).userName()})
		}
	}
	if err := errors.Join(e.importCSV(ctx, "import-groups", groups), e.importCSV(ctx, "import-members", members)); err != nil {
		return err
	}
	if _, err := e.runRollcall(ctx, e.directory, assign...); err != nil {
		return err
	}
	scripts, err := e.recordGroups(ctx, addr, sizes)
	if err != nil {
		return err
	}
	var source, site int64 // the peak memory of both ends
	for round := range min(b.rounds, maxCycleRounds) {
		cycle, err := e.runGroupCycle(ctx, fmt.Sprintf("group_cycle_%d", round), addr, sizes, nil)
		if err != nil {
			return err
		}
		generated, err := e.replayGroups(ctx, fmt.Sprintf("group_replay_%d", round), scripts, sizes)
		if err != nil {
			return err
		}
		r.GroupCycles, r.GroupGenerator = append(r.GroupCycles, cycle.sample), append(r.GroupGenerator, generated)
		source, site = max(source, cycle.sourcePeak), max(site, cycle.sitePeak)
		b.print("  round %d  groups %.2f s, load generator %.2f s", round+1, cycle.Elapsed.Seconds(), generated.Elapsed.Seconds())
	}
	what := fmt.Sprintf("%s, %s groups with %s memberships, the ", kindName(r.Kind), withThousandsCommas(sizes.groups), withThousandsCommas(sizes.groups*sizes.members))
	r.Peaks = append(r.Peaks, processMemory{what + "directory's end", source}, processMemory{what + "site's end", site})
	return nil
}

// freeAddress returns an address on loopback at which no program listens now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", anyPort)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// provisionPeople runs the initial cycle, so that all people have accounts at the site, which is
// served at addr.
func (e *bothEnds) provisionPeople(ctx context.Context, addr string) error {
	target, err := e.sites.serve(ctx, "people", e.site.url, addr)
	if err != nil {
		return err
	}
	if err := e.connect(ctx, e.directory, target.addr); err != nil {
		return err
	}
	_, err = e.runCycle(ctx, e.directory)
	return errors.Join(err, e.stop(target))
}

// groupCycle is the result of a cycle with many groups.
type groupCycle struct {
	sample
	sourcePeak, sitePeak int64 // the peak memory of the processes with the directory and with the site, in bytes
}

// runGroupCycle copies the site and the directory, and lets the copy of the directory provision its
// groups into the copy of the site at addr. If watch is not nil, a tap listens at addr instead and
// passes the requests on to the site; the tap shows each exchange to watch.
func (e *bothEnds) runGroupCycle(ctx context.Context, name, addr string, sizes engineSizes, watch func(exchange)) (c groupCycle, err error) {
	site, err := e.copySite(ctx, name)
	if err != nil {
		return c, err
	}
	directory, err := e.directories.copy(ctx, name+"_directory", e.name+"_directory")
	if err != nil {
		return c, err
	}
	siteAddr := addr
	if watch != nil {
		siteAddr = anyPort
	}
	target, err := e.sites.serve(ctx, "target", site.url, siteAddr)
	if err != nil {
		return c, err
	}
	if watch != nil {
		t, err := startTap(ctx, addr, target.addr)
		if err != nil {
			return c, err
		}
		defer t.stop()
		t.setWatch(watch)
	}
	engine, err := e.directories.serve(ctx, "source", directory, anyPort)
	if err != nil {
		return c, err
	}
	cycle, err := e.waitCycle(ctx, engine, directory)
	if err != nil {
		return c, err
	}
	if cycle.State != provision.Succeeded || cycle.MembersAdded != sizes.groups*sizes.members {
		return c, fmt.Errorf("the cycle did not add %d members: %+v", sizes.groups*sizes.members, cycle)
	}
	c.sample = sample{Requests: cycle.MembersAdded, Elapsed: cycle.Ended.Sub(cycle.Started)}
	var errs [6]error
	c.sourcePeak, errs[0] = engine.peakMemory()
	c.sitePeak, errs[1] = target.peakMemory()
	errs[2] = e.stop(engine)
	errs[3] = e.stop(target)
	errs[4] = e.sites.drop(ctx, name)
	errs[5] = e.directories.drop(ctx, name+"_directory")
	return c, errors.Join(errs[:]...)
}

// groupScript holds the requests about one group, in the order in which the engine sent them. In
// the field target, groupIDMark stands for the id of the group.
type groupScript []groupRequest

// groupRequest is one request of a groupScript. target is the path below the SCIM address, with the
// query.
type groupRequest struct {
	method, target string
	body           []byte
}

// groupIDMark stands for the id of the group, which is different at each site.
const groupIDMark = "{id}"

// recordGroups provisions the groups once and returns the requests about each group.
func (e *bothEnds) recordGroups(ctx context.Context, addr string, sizes engineSizes) ([]groupScript, error) {
	var exchanges []exchange
	if _, err := e.runGroupCycle(ctx, "group_record", addr, sizes, func(x exchange) { exchanges = append(exchanges, x) }); err != nil {
		return nil, err
	}
	return requestsByGroup(exchanges)
}

// requestsByGroup returns the requests about each group, one list for each group. It leaves out
// exchanges about other resources. It returns an error if it finds no group.
func requestsByGroup(exchanges []exchange) ([]groupScript, error) {
	names := map[string]string{} // the display names of groups, by their ids
	for _, x := range exchanges {
		var group struct {
			ID          string `json:"id"`
			DisplayName string `json:"displayName"`
		}
		if x.method == http.MethodPost && x.target == "/Groups" && json.Unmarshal(x.answer, &group) == nil {
			names[group.ID] = group.DisplayName
		}
	}
	scripts := map[string]groupScript{}
	for _, x := range exchanges {
		request := groupRequest{x.method, x.target, x.body}
		if x.method == http.MethodPost && x.target == "/Groups" {
			var group struct {
				DisplayName string `json:"displayName"`
			}
			if err := json.Unmarshal(x.body, &group); err != nil {
				return nil, err
			}
			scripts[group.DisplayName] = append(scripts[group.DisplayName], request)
			continue
		}
		path, query, _ := strings.Cut(x.target, "?")
		if id, found := strings.CutPrefix(path, "/Groups/"); found && names[id] != "" {
			request.target = strings.Replace(x.target, id, groupIDMark, 1)
			scripts[names[id]] = append(scripts[names[id]], request)
			continue
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			return nil, err
		}
		if path == "/Groups" {
			if _, rest, found := strings.Cut(values.Get("filter"), `"`); found {
				name := strings.TrimSuffix(rest, `"`)
				scripts[name] = append(scripts[name], request)
			}
		}
	}
	var all []groupScript
	for _, name := range names {
		all = append(all, scripts[name])
	}
	if len(all) == 0 {
		return nil, errors.New("the engine has created no group")
	}
	return all, nil
}

// replayGroups sends the recorded requests to a fresh copy of the site. It sends as many requests
// at the same time as the engine.
func (e *bothEnds) replayGroups(ctx context.Context, name string, scripts []groupScript, sizes engineSizes) (sample, error) {
	site, err := e.copySite(ctx, name)
	if err != nil {
		return sample{}, err
	}
	target, err := e.sites.serve(ctx, "replayed", site.url, anyPort)
	if err != nil {
		return sample{}, err
	}
	generator := &contender{Name: "load generator", server: target, runRound: func(ctx context.Context, _ time.Duration) (int, time.Duration, error) {
		elapsed, err := doAll(ctx, target.addr, provision.DefaultWorkers, len(scripts), func(c *conn, i int) error { return scripts[i].send(site, c) })
		return sizes.groups * sizes.members, elapsed, err
	}}
	s, err := e.runOnce(ctx, generator, 0)
	return s, errors.Join(err, e.stop(target), e.sites.drop(ctx, name))
}

// send sends the requests about one group over a connection.
func (s groupScript) send(site *population, c *conn) error {
	id := ""
	for _, r := range s {
		body := r.body
		if len(body) == 0 {
			body = nil
		}
		status, answer, err := c.send(site.appendRequest(nil, r.method, strings.Replace(r.target, groupIDMark, id, 1), body))
		if err != nil {
			return err
		}
		if status >= 300 {
			return fmt.Errorf("%s %s: HTTP %d: %s", r.method, r.target, status, answer)
		}
		if r.method == http.MethodPost {
			if id = idOf(answer); id == "" {
				return fmt.Errorf("POST of a group is answered without an id: %s", answer)
			}
		}
	}
	return nil
}

// measureLimited provisions some people into a target that allows only a few requests per second.
// It computes the share of the allowed requests that the engine uses.
func (b *bench) measureLimited(ctx context.Context, r *engineReport) error {
	sizes := b.engineSizes()
	e, err := b.newEnds(ctx, r.Kind, "limited", sizes.limitedPeople)
	if err != nil {
		return err
	}
	f, err := e.startProvisioning(ctx, limitedRate)
	if err != nil {
		return err
	}
	if err := f.waitUntil(ctx, "the first account", func() bool { return len(f.created) > 0 }); err != nil {
		return err
	}
	began := time.Now()
	before, _ := f.tap.counts()
	// The last requests are left out, because at the end there is less work than the target allows.
	if err := f.waitUntil(ctx, "nearly all accounts", func() bool { return len(f.created) >= sizes.limitedPeople*9/10 }); err != nil {
		return err
	}
	elapsed := time.Since(began).Seconds()
	allowed, refused := f.tap.counts()
	r.LimitedShare = append(r.LimitedShare, float64(allowed-before)/(limitedRate*elapsed))
	b.print("  %d requests in %.1f s at a target that allows %d/s: %.2f of it used, %d refused", allowed-before, elapsed, limitedRate, r.LimitedShare[len(r.LimitedShare)-1], refused)
	return f.stop()
}

// measureIdleJobs creates many jobs without work and measures the processor time of their server.
func (b *bench) measureIdleJobs(ctx context.Context, r *engineReport) error {
	sizes := b.engineSizes()
	r.IdleJobs = sizes.idleJobs
	e, err := b.newEnds(ctx, r.Kind, "idle", 1)
	if err != nil {
		return err
	}
	target, err := e.sites.serve(ctx, "target", e.site.url, anyPort)
	if err != nil {
		return err
	}
	for i := range sizes.idleJobs {
		name := fmt.Sprintf("Idle %d", i)
		if _, err := e.runRollcall(ctx, e.directory, "app", "create", directoryName, name); err != nil {
			return err
		}
		if _, err := e.runRollcall(ctx, e.directory, "app", "set", directoryName, name, "--tenant-url", "http://"+target.addr+scimPath,
			"--secret-token-file", e.secretFile, "--scope", "assigned", "--start"); err != nil {
			return err
		}
	}
	engine, err := e.directories.serve(ctx, "source", e.directory, anyPort)
	if err != nil {
		return err
	}
	if err := engine.process.Await(ctx, cycleLimit, "end the cycles of all jobs", func(log []byte) bool {
		return bytes.Count(log, []byte("cycle ended")) >= sizes.idleJobs
	}); err != nil {
		return err
	}
	wait := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := wait(b.settleTime); err != nil {
		return err
	}
	before, err := engine.readProcessorTimes()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := wait(sizes.idleTime); err != nil {
		return err
	}
	after, err := engine.readProcessorTimes()
	if err != nil {
		return err
	}
	used := after.server - before.server + after.database - before.database
	r.IdleShare = append(r.IdleShare, used.Seconds()/time.Since(began).Seconds())
	b.print("  %d idle jobs use %.2f %% of a processor", sizes.idleJobs, 100*r.IdleShare[0])
	return errors.Join(b.stop(engine), b.stop(target))
}
