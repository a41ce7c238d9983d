package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// report is everything that a run found out.
type report struct {
	Environment environment
	Options     options
	Took        time.Duration

	Empty   *contender
	Sizes   []*sizeReport
	Creates []*createReport
	Created int64 // peak memory of rollcall serve after the creates
	Rows    int   // of the guide's user mapping
	Mapping []float64
	Cycle   *cycleReport

	largest *siteFile
}

// sizeReport is a site of one size.
type sizeReport struct {
	Users        int
	Document     int // mean bytes of a user as answered
	Get, Lookup  *contender
	Filled, Read int64 // peak memory after people came in and after reading, bytes
}

// createReport is durable creates by some number of clients.
type createReport struct {
	Clients              int
	Shared, Serial, Bare *contender
}

// cycleReport is the provisioning of a company into a site.
type cycleReport struct {
	Users        int
	Initial      []sample // requests are users; CPU is the directory's end
	SiteCPU      []float64
	Idle         []float64 // seconds
	IdleRequests []float64
	Generator    []sample // requests are users; CPU is the site's end
	Site, Source int64    // greatest peak memory of either end, bytes
}

func (c *cycleReport) add(did cycled) {
	c.Initial = append(c.Initial, did.initial)
	c.SiteCPU = append(c.SiteCPU, float64(did.siteCPU.Microseconds())/float64(did.initial.Requests))
	c.Idle = append(c.Idle, did.idle.Seconds())
	c.IdleRequests = append(c.IdleRequests, float64(did.idleRequests))
	c.Site, c.Source = max(c.Site, did.site), max(c.Source, did.source)
}

// markdown is the report as docs/benchmarks.md.
func (r *report) markdown() string {
	var out strings.Builder
	out.WriteString("# Benchmarks\n\n" + r.intro())
	for _, part := range []struct {
		title, text string
		table       [][]string
	}{
		{"Ratios", ratiosText, r.ratios()},
		{"Reads", r.readsText(), r.reads()},
		{"Durable creates", r.createsText(), r.creates()},
		{"The guide's user mapping", r.mappingText(), nil},
		{"Provisioning", r.cycleText(), r.cycles()},
		{"Memory", memoryText, r.memory()},
	} {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", part.title, part.text)
		if part.table != nil {
			out.WriteString("\n" + table(part.table))
		}
	}
	return out.String()
}

// table renders rows, of which the first is the header; all columns but the first are numbers.
func table(rows [][]string) string {
	var out strings.Builder
	for i, row := range rows {
		out.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			out.WriteString("|---|" + strings.Repeat("---:|", len(row)-1) + "\n")
		}
	}
	return out.String()
}

func (r *report) command() string {
	if len(r.Options.changed) == 0 {
		return "make bench"
	}
	return "go run ./internal/bench " + strings.Join(r.Options.changed, " ")
}

func (r *report) intro() string {
	e := r.Environment
	return fmt.Sprintf("Written by `%s`, which measures everything side by side in one run on loopback and writes this page again. It took %s.\n\n",
		r.command(), r.Took.Round(time.Second)) +
		table([][]string{
			{"run on", ""},
			{"revision", e.Revision},
			{"Go", e.Go},
			{"processors", fmt.Sprintf("%d × %s", e.Cores, e.CPU)},
			{"memory", fmt.Sprintf("%s MiB", count(e.MemoryMiB))},
			{"database", e.Database},
			{"file system", e.FileSystem},
			{"rounds", fmt.Sprintf("%d of %s for each contender, in turn, after a warm-up", r.Options.rounds, r.Options.round)},
		}) + `
**How to read it.** A cell is the median of the rounds, with the least and the greatest in brackets. Contenders take turns (A B C, A B C, …), and a ratio
is made within each round before its median is taken: what else the machine did met both sides. Ratios carry from machine to machine, figures do not.
The load client shares the processors with what it measures, so requests per second are less than a server alone would reach, and the sturdy column is
**server CPU**: processor time of the server process, user and kernel, divided by requests, with the request log's rows that it writes afterwards.
There are no rate limits, tokens are checked on every request, every request leaves its row in the request log, and every acknowledged write is on
disk. No test depends on any of these figures.
`
}

const ratiosText = "What the figures below come to, with what the project aims at on SQLite with 100,000 users. Aims are no thresholds: nothing fails when one is missed."

func (r *report) ratios() [][]string {
	rows := [][]string{{"ratio", "this run", "aim"}}
	add := func(what string, over, under []float64, aim string) {
		rows = append(rows, []string{what, ratio(ratios(over, under)), aim})
	}
	small, large := r.Sizes[0], r.Sizes[len(r.Sizes)-1]
	n := count(large.Users)
	add(fmt.Sprintf("rate of GET by id (%s users) / empty handler", n), large.Get.rates(), r.Empty.rates(), "≥ 0.30")
	add(fmt.Sprintf("rate of lookup by userName (%s users) / empty handler", n), large.Lookup.rates(), r.Empty.rates(), "≥ 0.25")
	if small != large {
		between := fmt.Sprintf("%s / %s users", n, count(small.Users))
		add("server CPU of GET by id, "+between, large.Get.cpus(), small.Get.cpus(), "≤ 1.3")
		add("server CPU of lookup by userName, "+between, large.Lookup.cpus(), small.Lookup.cpus(), "≤ 1.3")
		add("time of lookup by userName, "+between, small.Lookup.rates(), large.Lookup.rates(), "≤ 1.3")
	}
	for _, c := range r.Creates {
		one, bare := "", ""
		if c.Clients > 1 {
			one, bare = "≥ 1.3", "≥ 0.45"
		}
		add(fmt.Sprintf("rate of durable creates, %s / one commit per request", clientsText(c.Clients)), c.Shared.rates(), c.Serial.rates(), one)
		add(fmt.Sprintf("rate of durable creates, %s / bare store", clientsText(c.Clients)), c.Shared.rates(), c.Bare.rates(), bare)
	}
	add("rate of the initial cycle / load generator", ratesOf(r.Cycle.Initial), ratesOf(r.Cycle.Generator), "≥ 0.50")
	return rows
}

func ratesOf(samples []sample) []float64 {
	c := contender{samples: samples}
	return c.rates()
}

func clientsText(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

func (r *report) readsText() string {
	var documents []string
	for _, s := range r.Sizes {
		documents = append(documents, fmt.Sprintf("%s bytes with %s users", count(s.Document), count(s.Users)))
	}
	return fmt.Sprintf("`rollcall serve` with a database for each size, asked for a random user over %d keep-alive connections, beside an empty net/http handler in a process of its own that gets\n"+
		"the same request bytes and answers 17 bytes of JSON. A user as answered has %s on average.", r.Options.clients, strings.Join(documents, ", "))
}

func (r *report) reads() [][]string {
	rows := [][]string{{"", "requests/s", "server CPU, µs", "rate / empty handler", "server CPU / empty handler"}}
	add := func(c *contender) {
		rows = append(rows, []string{
			c.Name, whole(c.rates()), tenth(c.cpus()), ratio(ratios(c.rates(), r.Empty.rates())), ratio(ratios(c.cpus(), r.Empty.cpus())),
		})
	}
	add(r.Empty)
	for _, s := range r.Sizes {
		add(s.Get)
	}
	for _, s := range r.Sizes {
		add(s.Lookup)
	}
	return rows
}

func (r *report) createsText() string {
	return fmt.Sprintf("`POST /Users` into a site that begins with %s users, answered when the user, its event and the request log's row are on disk. Beside it the same server code with one commit\n"+
		"for each write instead of one for all that wait, and the bare store: the same rows in the same two writes, without HTTP, JSON, token and rules.", count(r.Sizes[len(r.Sizes)-1].Users))
}

func (r *report) creates() [][]string {
	rows := [][]string{{"", "creates/s", "server CPU, µs", "`rollcall serve` / this, by rate"}}
	for _, c := range r.Creates {
		for _, one := range []struct {
			name string
			*contender
		}{{"`rollcall serve`", c.Shared}, {"one commit per request", c.Serial}, {"bare store", c.Bare}} {
			rows = append(rows, []string{
				one.name + ", " + clientsText(c.Clients), whole(one.rates()), tenth(one.cpus()), ratio(ratios(c.Shared.rates(), one.rates())),
			})
		}
	}
	return rows
}

func (r *report) mappingText() string {
	return fmt.Sprintf("The %d rows of *Provision Azure Active Directory Users*, compiled once and evaluated for one person after the other on one core: **%s µs per user** (aim: ≤ 20).",
		r.Rows, format(spreadOf(r.Mapping), "%.1f"))
}

func (r *report) cycleText() string {
	return fmt.Sprintf("A directory of %s people in one `rollcall serve`, a site of profile full in another, a new SQLite database for each in every round; Create, Update and Delete on, only assigned\n"+
		"users, everybody assigned. The initial cycle looks every person up, creates the account and records each step. Beside it a load generator sends the same lookups and\n"+
		"the same bodies with the same concurrency (%d) to a site of its own and records nothing. Then the next cycle, with nothing to do.", count(r.Cycle.Users), provision.DefaultWorkers)
}

func (r *report) cycles() [][]string {
	c := r.Cycle
	cpu := (&contender{samples: c.Initial}).cpus()
	generated := contender{samples: c.Generator}
	return [][]string{
		{"", "seconds", "users/s", "CPU per user, directory's end, µs", "CPU per user, site's end, µs"},
		{"initial cycle", seconds(c.Initial), whole(ratesOf(c.Initial)), whole(cpu), whole(c.SiteCPU)},
		{"load generator", seconds(c.Generator), whole(generated.rates()), "", whole(generated.cpus())},
		{"cycle with nothing to do; requests sent: " + format(spreadOf(c.IdleRequests), "%.0f"), format(spreadOf(c.Idle), "%.3f"), "", "", ""},
	}
}

const memoryText = "Peak resident size (`VmHWM`) of each `rollcall serve` process alone, since its start (aim: < 150 MB)."

func (r *report) memory() [][]string {
	rows := [][]string{{"`rollcall serve`", "MB"}}
	for _, s := range r.Sizes {
		rows = append(rows,
			[]string{fmt.Sprintf("%s users, after they came in by POST over 64 connections", count(s.Users)), megabytes(s.Filled)},
			[]string{fmt.Sprintf("%s users, after the reads", count(s.Users)), megabytes(s.Read)})
	}
	return append(rows,
		[]string{fmt.Sprintf("started with %s users, after the creates", count(r.Sizes[len(r.Sizes)-1].Users)), megabytes(r.Created)},
		[]string{fmt.Sprintf("initial cycle of %s, the directory's end", count(r.Cycle.Users)), megabytes(r.Cycle.Source)},
		[]string{fmt.Sprintf("initial cycle of %s, the site's end", count(r.Cycle.Users)), megabytes(r.Cycle.Site)})
}

// format is "median (min–max)"; the brackets fall away when all values print alike.
func format(s spread, verb string) string {
	median, low, high := fmt.Sprintf(verb, s.Median), fmt.Sprintf(verb, s.Min), fmt.Sprintf(verb, s.Max)
	if low == high {
		return median
	}
	return median + " (" + low + "–" + high + ")"
}

func ratio(values []float64) string { return format(spreadOf(values), "%.2f") }
func tenth(values []float64) string { return format(spreadOf(values), "%.1f") }

func whole(values []float64) string {
	s := spreadOf(values)
	if s.Max >= 1000 {
		median, low, high := count(int(s.Median+0.5)), count(int(s.Min+0.5)), count(int(s.Max+0.5))
		if low == high {
			return median
		}
		return median + " (" + low + "–" + high + ")"
	}
	return format(s, "%.0f")
}

func seconds(samples []sample) string {
	c := contender{samples: samples}
	return format(spreadOf(c.each(func(s sample) float64 { return s.Elapsed.Seconds() })), "%.2f")
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f", float64(n)/1e6) }

// count writes a number with commas between thousands.
func count(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
