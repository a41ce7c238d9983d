package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pgserver"
	"github.com/rollcall-scim/rollcall/provision"
)

// report holds the results of a run.
type report struct {
	Environment environment // the machine and the programs
	Options     options
	Took        time.Duration // how long the run took
	EndedEarly  error         // why the run ended early; nil if it did not

	Sections       []*section
	PeaksAfterFill []processMemory // the peak memory of each server after the sites were filled

	Rows           int       // how many rows the guide's user mapping has
	Mapping        []float64 // the time in µs to evaluate the mapping for one person, for each round
	MappingProblem error     // why Mapping is incomplete; nil if it is complete
	SignIns        []*signInReport
	SignInProblem  error // why SignIns is incomplete; nil if it is complete
	Cycles         []*cycleReport
	Engines        []*engineReport
	ProfileProblem error // why profiles are missing; nil if there is no problem
}

// section is a part of the report: the results of one part of the run on one kind of database.
type section struct {
	Kind, Part, Title string // the kind of database, the part of the run, and the heading
	Document          int    // the mean size of a user in a response, in bytes
	Rows              []*contender
	Steps             []loadStep      // the steps of the part load, which has no rows
	Peaks             []processMemory // the peak memory of each `rollcall serve` at the end of the part
	Note              string          // a sentence with a further figure, which the report shows below the rows; may be empty
	Problem           error           // why rows are missing; nil if all rows are complete
}

// processMemory is the peak memory of a process.
type processMemory struct {
	process string // what the process is, and when it ran
	peak    int64  // the greatest resident size, in bytes
}

// problems returns all errors of the run as one error, or nil if there are none.
func (r *report) problems() error {
	errs := []error{r.EndedEarly, r.ProfileProblem}
	add := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	// The report shows that PostgreSQL is not installed, so this error is not returned.
	addUnlessMissing := func(what string, err error) {
		if !errors.Is(err, pgserver.ErrNoBinaries) {
			add(what, err)
		}
	}
	for _, s := range r.Sections {
		what := kindName(s.Kind) + ", " + strings.ToLower(s.Title)
		addUnlessMissing(what, s.Problem)
		for _, c := range s.Rows {
			add(what+", "+c.Name, c.err)
		}
	}
	add("the guide's user mapping", r.MappingProblem)
	for _, c := range r.Cycles {
		addUnlessMissing(kindName(c.Kind)+", provisioning cycles", c.Problem)
	}
	for _, e := range r.Engines {
		addUnlessMissing(kindName(e.Kind)+", the engine", e.Problem)
	}
	if !errors.Is(r.SignInProblem, pgserver.ErrNoBinaries) {
		add("signing in", r.SignInProblem)
	}
	return errors.Join(errs...)
}

// cycleReport holds the results of provisioning a company into a site.
type cycleReport struct {
	Kind         string    // the kind of database
	Users        int       // the number of people in the directory
	Initial      []sample  // the samples of the initial cycles; Requests is the number of people, CPU the processor time of the process with the directory
	SiteCPU      []float64 // the processor time of the process with the site, in µs per person, for each initial cycle
	Idle         []float64 // the durations of cycles without changes, in seconds
	IdleRequests []float64 // how many requests each cycle without changes sent to the site
	Generator    []sample  // the samples of the load generator; Requests is the number of people, CPU the processor time of the process with the site
	Site, Source int64     // the greatest peak memory of the process with the site, and of the process with the directory, in bytes
	Problem      error     // why figures are missing; nil if all are complete
}

// addRound adds the result of one round.
func (c *cycleReport) addRound(did cycleResult) {
	c.Initial = append(c.Initial, did.initial)
	c.SiteCPU = append(c.SiteCPU, float64(did.siteCPU.Microseconds())/float64(did.initial.Requests))
	c.Idle = append(c.Idle, did.idleTime.Seconds())
	c.IdleRequests = append(c.IdleRequests, float64(did.idleRequests))
	c.Site, c.Source = max(c.Site, did.sitePeak), max(c.Source, did.sourcePeak)
}

// markdown returns the report in the form of docs/benchmarks.md.
func (r *report) markdown() string {
	var out strings.Builder
	out.WriteString("# Benchmarks\n\n" + r.intro())
	out.WriteString("\n## What holds\n\n" + r.summarizeVerdicts())
	kind := ""
	for _, s := range r.Sections {
		if s.Kind != kind {
			kind = s.Kind
			fmt.Fprintf(&out, "\n## %s\n", kindName(kind))
		}
		fmt.Fprintf(&out, "\n### %s\n\n%s\n\n%s", s.Title, s.markdown(r), s.formatResults())
	}
	if r.Options.measures(partMapping) {
		fmt.Fprintf(&out, "\n## The guide's user mapping\n\n%s\n", r.mappingText())
	}
	if r.Options.measures(partSignIn) {
		fmt.Fprintf(&out, "\n## Signing in\n\n%s", r.signInText())
	}
	if len(r.Cycles)+len(r.Engines) > 0 {
		out.WriteString("\n## Provisioning\n")
	}
	for _, c := range r.Cycles {
		fmt.Fprintf(&out, "\n### Cycles, %s\n\n%s", kindName(c.Kind), c.markdown(r.EndedEarly))
	}
	for _, e := range r.Engines {
		fmt.Fprintf(&out, "\n### The engine, %s\n\n%s", kindName(e.Kind), e.markdown(r.EndedEarly))
	}
	if rows := r.memoryTable(); len(rows) > 1 {
		fmt.Fprintf(&out, "\n## Memory\n\n%s\n\n%s", memoryText, formatTable(rows))
	}
	return out.String()
}

// finding is a claim or a figure that has an aim, in words, with the verdict on the aim.
type finding struct {
	claimText string
	verdict   verdict
}

// findings returns all claims and figures that have an aim.
func (r *report) findings() []finding {
	var all []finding
	for _, s := range r.Sections {
		for _, c := range s.Rows {
			for _, l := range c.claims {
				if v := l.verdict(c); v != noAim {
					all = append(all, finding{fmt.Sprintf("%s, %s: %s", kindName(s.Kind), c.title(), l.text(c)), v})
				}
			}
		}
	}
	judge := func(what string, a aim, values []float64, verb string) {
		if len(values) == 0 {
			return
		}
		v := aimMissed
		if a.holds(spreadOf(values).Median) {
			v = aimHolds
		}
		all = append(all, finding{fmt.Sprintf("%s: %s (%s: %s)", what, formatSpread(spreadOf(values), verb), a, v), v})
	}
	for _, s := range r.Sections {
		if a := s.loadAim(); len(s.Steps) > 0 && a != (aim{}) {
			judge(kindName(s.Kind)+", requests a second with p99 below 50 ms", a, []float64{float64(heldRate(s.Steps))}, "%.0f")
		}
	}
	judge("the guide's user mapping, µs per user", mappingAim(), r.Mapping, "%.1f")
	for _, did := range r.SignIns {
		judge(kindName(did.Kind)+", sign-ins beside SCIM, p99, ms", signInAim(), []float64{did.SignIns.quantile(0.99)}, "%.1f")
		judge(kindName(did.Kind)+", SCIM beside sign-ins, p99, ms", signInAim(), []float64{did.SCIM.quantile(0.99)}, "%.1f")
	}
	for _, c := range r.Cycles {
		judge(kindName(c.Kind)+", initial cycle × the load generator's rate", cycleAim(), ratios(ratesOf(c.Initial), ratesOf(c.Generator)), "%.2f")
		judge(kindName(c.Kind)+", cycle with nothing to do, seconds", idleAim(), c.Idle, "%.3f")
	}
	for _, e := range r.Engines {
		for _, row := range e.rows() {
			judge(kindName(e.Kind)+", "+row.name, row.aim, row.values, row.format)
		}
	}
	for _, m := range r.allPeaks() {
		judge("memory, "+m.process+", MB", memoryAim(), []float64{float64(m.peak) / 1e6}, "%.0f")
	}
	return all
}

// The aims of the figures that are not in the rows of a section.
func mappingAim() aim { return atMost(20) }   // the time to evaluate the mapping for one person, in µs
func cycleAim() aim   { return atLeast(0.6) } // the rate of an initial cycle, as a share of the load generator's rate
func idleAim() aim    { return atMost(1) }    // the duration of a cycle without changes, in seconds
func signInAim() aim  { return atMost(50) }   // the time until a sign-in is answered, in milliseconds
func memoryAim() aim  { return atMost(150) }  // the peak memory of a server, in megabytes

// summarizeVerdicts says how many aims hold, and names the aims that do not hold.
func (r *report) summarizeVerdicts() string {
	all := r.findings()
	var count [4]int
	var rest []string
	for _, f := range all {
		count[f.verdict]++
		if f.verdict != aimHolds {
			rest = append(rest, "- "+f.claimText+"\n")
		}
	}
	text := fmt.Sprintf("Of %d aims %d hold, %d are missed, %d were not measured. Ratios are what counts. A budget in µs was set where an empty handler took\n"+
		"%d µs, and is there to compare with: beside it stands how many times an empty handler's time that is, measured in the same rounds. An aim is\n"+
		"judged by the median and is about 100,000 users. No aim is a threshold: nothing fails when one is missed.\n",
		len(all), count[aimHolds], count[aimMissed], count[notMeasured], emptyHandlerMicros)
	if len(rest) > 0 {
		text += "\nWhat does not hold, or is not known:\n\n" + strings.Join(rest, "")
	}
	return text
}

// markdown returns the text above the rows of the section.
func (s *section) markdown(r *report) string {
	text := map[string]string{
		partRead: "`rollcall serve` with a database for each size, asked for something random each time, beside an empty net/http handler in a process of its own that\n" +
			"gets the same kind of request and answers 17 bytes of JSON.",
		partList: "Pages of `/Users`. The last page by cursor is asked for with the cursor that leads there; the last two rows have to look at every user.",
		partGroup: "A site with a group of 10, a group of all its users and an empty group for each hundred. A client adds somebody who is in no group, and with its next request\n" +
			"removes them.",
		partWrite: "Answered when the user, its event and the request log's row are on disk. The smaller site loses what a round created before the next one; the largest grows.",
		partRival: "The fastest SCIM server of another project that was measured, a Go library with a handler that keeps the same people in a map: no disk, no log of requests, one token that never changes.\n" +
			"The answers of both were compared once and have the same content; Rollcall's members also have display, type and $ref. Rollcall's writes are on disk when they are answered.",
		partLoad: fmt.Sprintf("Requests to the largest site at rising rates: GETs by id, lookups by userName, PATCHes of active and POSTs of users, a quarter each. They are sent when they\n"+
			"are due, over %d connections, whether or not earlier ones are answered, and the time of an answer counts from then. A rate is held if 99 of 100 answers take\n"+
			"less than %.0f ms, and all lower rates are held too.", loadConnections, lateAnswer),
		partSearch: "People asked for by attributes that the site has declared searchable, beside one that it has not. One in a hundred has a title of their own; a sixth shares a\n" +
			"department.",
	}[s.Part]
	if s.Note != "" {
		text += " " + s.Note
	}
	if s.Part == partWrite && s.Kind == kindSQLite {
		text += " Beside it,\non copies of the largest site, the same server code with one commit for each write instead of one for all that wait, and the bare store: the same rows in the\n" +
			"same write, without HTTP, JSON, token and rules."
	}
	if s.Document > 0 && s.Part == partRead {
		text += fmt.Sprintf(" A user as answered has %s bytes on average.", withThousandsCommas(s.Document))
	}
	if s.Problem != nil {
		text += "\n\nNot run, or not to its end: " + firstLine(s.Problem) + "."
	}
	return text
}

// formatResults returns the results of the part.
func (s *section) formatResults() string {
	if len(s.Steps) > 0 {
		return s.formatSteps()
	}
	return s.formatRows()
}

// formatRows returns a table with a row for each contender.
func (s *section) formatRows() string {
	header := []string{"", "users", "clients", "requests/s", "server CPU, µs"}
	if s.Kind == kindPostgres {
		header = append(header, "PostgreSQL's CPU, µs")
	}
	rows := [][]string{append(header, remarksTitle)}
	for _, c := range s.Rows {
		users := ""
		if c.Users > 0 {
			users = withThousandsCommas(c.Users)
		}
		row := []string{c.Name, users, withThousandsCommas(c.Clients), "not run", ""}
		if len(c.samples) > 0 {
			row[3], row[4] = formatFigure(c.rates()), formatFigure(c.cpuTimes())
		}
		if s.Kind == kindPostgres {
			row = append(row, "")
			if len(c.samples) > 0 {
				row[5] = formatFigure(c.databaseTimes())
			}
		}
		rows = append(rows, append(row, s.remarks(c)))
	}
	if len(s.Rows) == 0 {
		row := make([]string, len(rows[0]))
		row[0], row[3], row[len(row)-1] = s.Title, "not run", firstLine(s.Problem)
		rows = append(rows, row)
	}
	return formatTable(rows)
}

// remarks returns the last cell of a row: its claims, or the reason why it was not measured.
func (s *section) remarks(c *contender) string {
	var words []string
	for _, l := range c.claims {
		words = append(words, l.text(c))
	}
	switch {
	case c.err != nil:
		words = append(words, "went wrong: "+firstLine(c.err))
	case len(c.samples) == 0 && s.Problem != nil:
		words = append(words, firstLine(s.Problem))
	}
	return strings.Join(words, "; ")
}

// firstLine returns the first line of an error, for a table cell. The terminal shows the whole
// error.
func firstLine(err error) string {
	if err == nil {
		return ""
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return strings.ReplaceAll(first, "|", "/")
}

// remarksTitle is the title of the column with remarks. This column and the first one contain text;
// all others contain numbers.
const remarksTitle = "ratio (aim)"

// formatTable formats rows as a table. The first row is the header.
func formatTable(rows [][]string) string {
	var out strings.Builder
	for i, row := range rows {
		out.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			out.WriteString("|---|")
			for _, title := range row[1:] {
				if title == remarksTitle {
					out.WriteString("---|")
				} else {
					out.WriteString("---:|")
				}
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}

// commandLine returns the command that repeats this run.
func (r *report) commandLine() string {
	if len(r.Options.changedFlags) == 0 {
		return "make bench"
	}
	return "go run ./internal/cmd/bench " + strings.Join(r.Options.changedFlags, " ")
}

// intro returns the beginning of the report: the environment, and how to read the tables.
func (r *report) intro() string {
	e := r.Environment
	cut := ""
	if r.EndedEarly != nil {
		cut = "**This run did not come to its end: " + firstLine(r.EndedEarly) + ".**\n\n"
	}
	return cut + fmt.Sprintf("Written by `%s`, which measures everything side by side in one run on loopback and writes this page again. It took %s.\n\n",
		r.commandLine(), r.Took.Round(time.Second)) +
		formatTable([][]string{
			{"run on", ""},
			{"revision", e.Revision},
			{"Go", e.Go},
			{"processors", fmt.Sprintf("%d × %s", e.Cores, e.CPU)},
			{"memory", fmt.Sprintf("%s MiB", withThousandsCommas(e.MemoryMiB))},
			{"databases", e.Database + "; PostgreSQL" + e.Postgres},
			{"file system", e.FileSystem},
			{"rounds", fmt.Sprintf("%d of %s for each contender, in turn, after a warm-up", r.Options.rounds, r.Options.roundDuration)},
		}) + `
**How to read it.** A cell is the median of the rounds, with the least and the greatest in brackets. Contenders take turns (A B C, A B C, …), and a ratio
is made within each round before its median is taken: what else the machine did met both sides. Ratios carry from machine to machine, figures do not.
The load client shares the processors with what it measures, so requests per second are less than a server alone would reach, and the sturdy column is
**server CPU**: processor time of the server process, user and kernel, divided by requests, with the request log's rows that it writes afterwards; ratios of CPU on
PostgreSQL count its processes too.
There are no rate limits, tokens are checked on every request, every request leaves its row in the request log, and every acknowledged write is on
disk. No test depends on any of these figures.
`
}

// ratesOf returns the requests per second of each sample.
func ratesOf(samples []sample) []float64 {
	c := contender{samples: samples}
	return c.rates()
}

// clientsText returns a number of clients in words.
func clientsText(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

// mappingText returns the text about the guide's user mapping.
func (r *report) mappingText() string {
	if len(r.Mapping) == 0 {
		return "Not run: " + firstLine(cmp.Or(r.MappingProblem, r.EndedEarly)) + "."
	}
	return fmt.Sprintf("The %d rows of *Provision Azure Active Directory Users*, compiled once and evaluated for one person after the other on one core: **%s µs per user** (aim %s).",
		r.Rows, formatSpread(spreadOf(r.Mapping), "%.1f"), mappingAim())
}

// signInText returns the text and the table about sign-ins.
func (r *report) signInText() string {
	text := ""
	if err := cmp.Or(r.SignInProblem, r.EndedEarly); err != nil {
		text = "Not run, or not to its end: " + firstLine(err) + ".\n\n"
	}
	if len(r.SignIns) == 0 {
		return text
	}
	rows := [][]string{{"", "requests", "requests/s", "p50, ms", "p99, ms", "longest, ms", "server CPU, µs"}}
	for _, did := range r.SignIns {
		for _, row := range []struct {
			name string
			l    latencies
			rate int
			cpu  string
		}{
			{"sign-ins alone", did.Alone, signInRate, formatWhole([]float64{did.AloneSample.totalMicros()})},
			{"sign-ins beside SCIM", did.SignIns, signInRate, ""},
			{"SCIM beside sign-ins", did.SCIM, scimRate, ""},
		} {
			rows = append(rows, []string{
				kindName(did.Kind) + ", " + row.name, withThousandsCommas(len(row.l)), fmt.Sprint(row.rate),
				fmt.Sprintf("%.1f", row.l.quantile(0.5)), fmt.Sprintf("%.1f", row.l.quantile(0.99)), fmt.Sprintf("%.1f", row.l.quantile(1)), row.cpu,
			})
		}
	}
	return text + fmt.Sprintf("%s people of a site sign in by SAML, %d each second, and beside them come %d SCIM requests each second: half of them lookups by userName, a quarter GETs by\n"+
		"id, a quarter PATCHes of the title. A sign-in here is the POST of a response to the assertion consumer, with the RelayState and the cookie of a request of this browser;\n"+
		"the assertion is signed with RSA (2,048 bits) and SHA-256. The sign-ins are begun and the responses signed before the measurement. Requests are sent when they are due, whether or not\n"+
		"earlier ones are answered, and the time of an answer counts from then (aim for p99: %s ms). Server CPU is that of a sign-in, with PostgreSQL's.\n\n",
		withThousandsCommas(r.SignIns[0].Users), signInRate, scimRate, signInAim()) + formatTable(rows)
}

// markdown returns the text and the table about cycles on one kind of database. endedEarly says why
// the run ended early; it is nil if it did not.
func (c *cycleReport) markdown(endedEarly error) string {
	text := ""
	if err := cmp.Or(c.Problem, endedEarly); err != nil {
		text = "Not run, or not to its end: " + firstLine(err) + ".\n\n"
	}
	if len(c.Generator) == 0 {
		return text
	}
	return text + fmt.Sprintf("A directory of %s people in one `rollcall serve`, a site of profile full in another, a new database for each in every round; Create, Update and Delete on, only assigned\n"+
		"users, everybody assigned. The initial cycle looks every person up, creates the account and records each step. Beside it a load generator sends the same lookups and\n"+
		"the same bodies with the same concurrency (%d) to a site of its own and records nothing. Then the next cycle, with nothing to do.\n\n"+
		"The initial cycle reaches **%s of the load generator's rate** (aim %s).\n\n", withThousandsCommas(c.Users), provision.DefaultWorkers,
		formatRatio(ratios(ratesOf(c.Initial), ratesOf(c.Generator))), cycleAim()) + formatTable(c.table())
}

// table returns the rows of the table about cycles, the header first.
func (c *cycleReport) table() [][]string {
	cpu := (&contender{samples: c.Initial}).cpuTimes()
	generated := contender{samples: c.Generator}
	return [][]string{
		{"", "seconds", "users/s", "CPU per user, directory's end, µs", "CPU per user, site's end, µs"},
		{"initial cycle", formatSeconds(c.Initial), formatWhole(ratesOf(c.Initial)), formatWhole(cpu), formatWhole(c.SiteCPU)},
		{"load generator", formatSeconds(c.Generator), formatWhole(generated.rates()), "", formatWhole(generated.cpuTimes())},
		{"cycle with nothing to do; requests sent: " + formatSpread(spreadOf(c.IdleRequests), "%.0f"), formatSpread(spreadOf(c.Idle), "%.3f"), "", "", ""},
	}
}

// memoryText is the text above the table with the peak memory.
const memoryText = "Peak resident size (`VmHWM`) of each `rollcall serve` process alone, since its start, which was the beginning of the part (aim: at most 150 MB)."

// allPeaks returns the peak memory of all processes.
func (r *report) allPeaks() []processMemory {
	all := r.PeaksAfterFill
	for _, s := range r.Sections {
		all = append(all, s.Peaks...)
	}
	for _, c := range r.Cycles {
		if len(c.Initial) > 0 {
			cycle := fmt.Sprintf("%s, initial cycle of %s, the ", kindName(c.Kind), withThousandsCommas(c.Users))
			all = append(all, processMemory{cycle + "directory's end", c.Source}, processMemory{cycle + "site's end", c.Site})
		}
	}
	for _, e := range r.Engines {
		all = append(all, e.Peaks...)
	}
	return all
}

// memoryTable returns the rows of the table with the peak memory, the header first.
func (r *report) memoryTable() [][]string {
	rows := [][]string{{"`rollcall serve`", "MB"}}
	for _, m := range r.allPeaks() {
		rows = append(rows, []string{m.process, formatMegabytes(m.peak)})
	}
	return rows
}

// formatSpread returns a spread as "median (min–max)". It leaves out the part in parentheses if min
// and max look the same.
func formatSpread(s spread, verb string) string {
	median, low, high := fmt.Sprintf(verb, s.Median), fmt.Sprintf(verb, s.Min), fmt.Sprintf(verb, s.Max)
	if low == high {
		return median
	}
	return median + " (" + low + "–" + high + ")"
}

// formatRatio returns the spread of ratios, with two decimal digits.
func formatRatio(values []float64) string { return formatSpread(spreadOf(values), "%.2f") }

// formatFigure returns the spread of values as whole numbers, or with one decimal digit if all
// values are below 100.
func formatFigure(values []float64) string {
	if s := spreadOf(values); s.Max < 100 {
		return formatSpread(s, "%.1f")
	}
	return formatWhole(values)
}

// formatWhole returns the spread of values as whole numbers.
func formatWhole(values []float64) string {
	s := spreadOf(values)
	if s.Max >= 999.5 {
		median, low, high := withThousandsCommas(int(s.Median+0.5)), withThousandsCommas(int(s.Min+0.5)), withThousandsCommas(int(s.Max+0.5))
		if low == high {
			return median
		}
		return median + " (" + low + "–" + high + ")"
	}
	return formatSpread(s, "%.0f")
}

// formatSeconds returns the spread of the durations of samples, in seconds.
func formatSeconds(samples []sample) string {
	c := contender{samples: samples}
	return formatSpread(spreadOf(c.mapSamples(func(s sample) float64 { return s.Elapsed.Seconds() })), "%.2f")
}

// formatMegabytes returns a number of bytes in megabytes.
func formatMegabytes(n int64) string { return fmt.Sprintf("%.0f", float64(n)/1e6) }

// withThousandsCommas formats a number with commas between thousands.
func withThousandsCommas(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
