package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the values of the command's flags.
type options struct {
	binary        string        // the path of the rollcall binary to measure
	output        string        // the file that gets the report; empty for none
	parent        string        // the folder in which the temporary folder is made
	kinds         []string      // the kinds of database to measure
	parts         []string      // the parts to measure; empty for all
	users         []int         // the sizes of the sites
	cyclePeople   int           // how many people the provisioning cycle provisions
	quick         bool          // whether the run only shows that everything works
	rounds        int           // how many times each row is measured
	roundDuration time.Duration // how long each measurement of a row takes
	settleTime    time.Duration // how long to wait after a round for the server's own work
	signInTime    time.Duration // how long the measurement of sign-ins during SCIM requests takes
	timeLimit     time.Duration // how long the whole run may take before it skips the remaining parts
	clients       int           // how many connections send requests at the same time
	profile       string        // the folder for CPU profiles; empty for none
	changedFlags  []string      // the flags of this run that differ from `make bench`
	child         childOptions  // the flags of a child
}

// bench is one run of the command.
type bench struct {
	options
	programPath     string      // the path of this program
	dir             string      // the temporary folder of the run
	stdout          io.Writer   // gets the lines about the progress, and the report
	started         int         // how many processes were started so far
	runningServers  []*server   // the servers that were started and not stopped yet
	postgresServers []*postgres // the PostgreSQL servers that were started
}

// print prints a formatted line.
func (b *bench) print(format string, args ...any) { fmt.Fprintf(b.stdout, format+"\n", args...) }

// run reads the flags. It runs all measurements, or the work of a child if this process is one.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if o.child.kind != "" {
		return runChild(ctx, o.child, stdin, stderr)
	}
	if runtime.GOOS != "linux" {
		return errors.New("measuring needs Linux: its /proc tells one process's processor time and memory from another's")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeLimit, fmt.Errorf("the run's limit of %s (-limit) is over", o.timeLimit))
	defer cancel()
	b := &bench{options: o, stdout: stdout}
	if b.programPath, err = os.Executable(); err != nil {
		return err
	}
	if b.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	if _, err := os.Stat(b.binary); err != nil {
		return fmt.Errorf("-rollcall: %w; `make build` makes it", err)
	}
	if b.dir, err = os.MkdirTemp(o.parent, "rollcall-bench-"); err != nil {
		return err
	}
	if err = os.Chmod(b.dir, 0o711); err == nil { // PostgreSQL runs as another user and must be able to enter this folder
		err = b.measure(ctx)
	}
	return errors.Join(err, b.stopAll(), os.RemoveAll(b.dir))
}

// parseFlags returns the values of the flags, and an error if one of them is invalid.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{users: []int{1_000, 100_000}, kinds: []string{kindSQLite, kindPostgres}, parts: partNames()}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.binary, "rollcall", "bin/rollcall", "the rollcall binary to measure")
	f.StringVar(&o.output, "o", "", "file for the result, in Markdown; it is printed either way")
	f.StringVar(&o.parent, "dir", "", "where the temporary directory is made: a disk, with about 5 GB free for 100,000 users")
	f.Func("users", "sizes of the sites to read from, rising (default 1000,100000)", func(text string) (err error) {
		o.users, err = parseSizes(text)
		return err
	})
	f.IntVar(&o.cyclePeople, "cycle", 20_000, "users of the initial cycle, and of the engine's directory")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of each contender")
	f.DurationVar(&o.roundDuration, "round", time.Second, "length of a round")
	f.DurationVar(&o.timeLimit, "limit", 90*time.Minute, "time after which the run ends with what it has")
	f.Func("database", "sqlite, postgres or both (default both)", func(text string) (err error) {
		o.kinds, err = parseKinds(text)
		return err
	})
	f.Func("only", "parts to measure (default "+strings.Join(partNames(), ",")+")", func(text string) (err error) {
		o.parts, err = parseParts(text)
		return err
	})
	f.IntVar(&o.clients, "clients", 16, "keep-alive connections")
	f.StringVar(&o.profile, "profile", "", "also write CPU profiles of the SCIM server to this directory")
	f.BoolVar(&o.quick, "quick", false, "only show that it works: 50 users, one short round; its figures mean nothing")
	f.StringVar(&o.child.kind, "child", "", "for the program's own use: be the contender empty, serve or store")
	f.StringVar(&o.child.database, "url", "", "for -child serve and -child store: the database")
	f.BoolVar(&o.child.serial, "serial", false, "for -child serve: one commit per request")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	o.signInTime = time.Minute
	o.settleTime = 1100 * time.Millisecond // longer than one second, because the server writes gathered log rows once a second
	given := map[string]bool{}
	f.Visit(func(fl *flag.Flag) {
		given[fl.Name] = true
		switch fl.Name {
		case "rollcall", "o", "dir", "profile", "limit":
		case "users":
			o.changedFlags = append(o.changedFlags, "-users="+strings.Trim(strings.ReplaceAll(fmt.Sprint(o.users), " ", ","), "[]"))
		case "only":
			o.changedFlags = append(o.changedFlags, "-only="+strings.Join(o.parts, ","))
		case "database":
			o.changedFlags = append(o.changedFlags, "-database="+o.kinds[0])
			if len(o.kinds) > 1 {
				o.changedFlags = o.changedFlags[:len(o.changedFlags)-1]
			}
		default:
			o.changedFlags = append(o.changedFlags, "-"+fl.Name+"="+fl.Value.String())
		}
	})
	if o.quick {
		o.useQuickDefaults(given)
	}
	return o, o.validate()
}

// useQuickDefaults sets small values for the flags that were not given.
func (o *options) useQuickDefaults(given map[string]bool) {
	o.settleTime = 50 * time.Millisecond
	o.signInTime = time.Second
	if !given["users"] {
		o.users = []int{10, 50}
	}
	if !given["cycle"] {
		o.cyclePeople = 50
	}
	if !given["rounds"] {
		o.rounds = 1
	}
	if !given["round"] {
		o.roundDuration = 100 * time.Millisecond
	}
}

// validate returns an error if a number in the options is too small or too large.
func (o *options) validate() error {
	switch {
	case len(o.users) == 0 || o.cyclePeople < 1 || o.rounds < 1 || o.clients < 1:
		return errors.New("-users, -cycle, -rounds and -clients must be at least 1")
	case o.clients > 64:
		return fmt.Errorf("-clients %d: at most 64", o.clients)
	case o.timeLimit <= 0:
		return errors.New("-limit must be more than nothing")
	case o.roundDuration < 10*time.Millisecond || o.roundDuration > time.Minute:
		return fmt.Errorf("-round %s is not between 10ms and 1m", o.roundDuration)
	}
	return nil
}

// parseSizes reads the value of -users.
func parseSizes(text string) ([]int, error) {
	var list []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || len(list) > 0 && n <= list[len(list)-1] {
			return nil, fmt.Errorf("%q is not a list of rising numbers such as 1000,100000", text)
		}
		list = append(list, n)
	}
	return list, nil
}

// measure runs all parts and writes the report. It writes the report even if some or all parts
// fail.
func (b *bench) measure(ctx context.Context) error {
	where, err := b.describeEnvironment(ctx)
	if err != nil {
		return err
	}
	if _, err := b.runRollcall(ctx, filepath.Join(b.dir, "none.db"), "key", "create", filepath.Join(b.dir, "key")); err != nil {
		return err
	}
	b.print("Measuring in %s, %d rounds of %s each, for %s at most. Ctrl-C stops and leaves what is known by then.", where.FileSystem, b.rounds, b.roundDuration, b.timeLimit)
	began := time.Now()
	r := &report{Environment: where, Options: b.options}
	for _, kind := range b.kinds {
		b.measureDatabase(ctx, kind, r)
		if len(b.postgresServers) > 0 {
			r.Environment.Postgres = " " + b.postgresServers[0].version + ", fsync on, otherwise as it is by default, one server for each site"
		}
	}
	if b.measures(partMapping) {
		b.print("\nthe guide's user mapping")
		r.MappingProblem = b.measureMapping(ctx, r)
	}
	if b.measures(partSignIn) {
		b.print("\nsigning in")
		r.SignInProblem = b.measureSignIns(ctx, r)
	}
	for _, kind := range b.kinds {
		b.measureProvisioning(ctx, kind, r)
	}
	r.Took = time.Since(began)
	if ctx.Err() != nil {
		r.EndedEarly = context.Cause(ctx)
	}
	text := r.markdown()
	b.print("\n%s", text)
	if b.output != "" {
		err = os.WriteFile(b.output, []byte(text), 0o644)
	}
	return errors.Join(err, r.problems())
}

// measureProvisioning measures the parts about provisioning on one kind of database. It puts errors
// into the report.
func (b *bench) measureProvisioning(ctx context.Context, kind string, r *report) {
	if b.measures(partCycle) {
		b.print("\n%s, provisioning cycles", kindName(kind))
		c := &cycleReport{Kind: kind, Users: b.cyclePeople}
		r.Cycles = append(r.Cycles, c)
		c.Problem = b.measureCycles(ctx, c)
	}
	if b.measures(partEngine) {
		b.print("\n%s, the engine", kindName(kind))
		e := &engineReport{Kind: kind, Users: b.cyclePeople}
		r.Engines = append(r.Engines, e)
		e.Problem = b.measureEngine(ctx, e)
	}
}

// measures reports whether the run measures a part.
func (o *options) measures(part string) bool { return slices.Contains(o.parts, part) }
