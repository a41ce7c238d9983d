// Command drivers compares ways to use SQLite from Go. A way is a library, used in one manner. Each
// way runs the same statements on a copy of the same database. The ways take turns.
//
//	cd internal/cmd/drivers && go run . -dir FOLDER
//
// One operation reads a user and their groups by primary key, as a GET does. The other operation
// changes a user, and adds an event and a row of the request log, as a PATCH does. Changes that
// wait at the same time share a commit. Each way runs in its own process, so that its memory can be
// measured. The command is its own module, so that the product does not depend on the libraries
// that only this command uses.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "drivers:", err)
		os.Exit(1)
	}
}

// options are the values of the command's flags.
type options struct {
	dir    string        // the folder for the databases
	users  int           // the number of users in a database
	rounds int           // how many times each way to use SQLite is measured
	length time.Duration // how long each measurement takes
	way    string        // only in a child process: the way to use SQLite that it measures
	file   string        // only in a child process: the path of the database that it uses
}

// run reads the flags. It compares all ways, or measures one way if this is a child process.
func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("drivers", flag.ContinueOnError)
	f.StringVar(&o.dir, "dir", os.TempDir(), "where the databases are made: a disk with 2 GB free")
	f.IntVar(&o.users, "users", 100_000, "users in a database")
	f.IntVar(&o.rounds, "rounds", 3, "how many times each way to use SQLite is measured")
	f.DurationVar(&o.length, "length", 2*time.Second, "how long a measurement takes")
	f.StringVar(&o.way, "way", "", "for the program's own use: the way to measure")
	f.StringVar(&o.file, "file", "", "for the program's own use: the database of -way")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.way != "" {
		return measure(ctx, o)
	}
	return compare(ctx, o)
}

// compare measures all ways, which take turns, and prints a table.
func compare(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp(o.dir, "drivers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	first := filepath.Join(dir, "first.db")
	if err := fill(ctx, first, o.users); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	all := map[string][]result{}
	for range o.rounds {
		for _, w := range ways {
			file := filepath.Join(dir, w.name+".db")
			if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
				if err := copyFile(file, first); err != nil {
					return err
				}
			}
			r, err := measureInChild(ctx, o, w.name, file)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			all[w.name] = append(all[w.name], r)
		}
	}
	printTable(o, all)
	return nil
}

// measureInChild measures one of the ways to use SQLite in a child process, and returns the result.
func measureInChild(ctx context.Context, o options, way, file string) (r result, err error) {
	program, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, program, "-way", way, "-file", file, "-users", strconv.Itoa(o.users), "-length", o.length.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// result holds the measurements of one process.
type result struct {
	Rates  map[string]float64 // the operations per second, by the name of the load
	Costs  map[string]float64 // the processor time of one operation in microseconds, by the name of the load
	PeakMB float64            // the greatest amount of memory that the process used
}

// load is what one measurement runs: reads or writes, by a number of clients at the same time.
type load struct {
	name    string // the name of the load in the table
	clients int    // how many clients there are
	writes  bool   // whether the operation is a write; otherwise it is a read
}

// loads lists the loads that are measured.
var loads = []load{{"reads, 1 client", 1, false}, {"reads, 16 clients", 16, false}, {"writes, 16 clients", 16, true}, {"writes, 64 clients", 64, true}}

// measure measures one way to use SQLite and prints the result as JSON. It runs in a child process.
func measure(ctx context.Context, o options) error {
	i := slices.IndexFunc(ways, func(w way) bool { return w.name == o.way })
	if i < 0 {
		return fmt.Errorf("there is no way %q", o.way)
	}
	db, err := ways[i].open(ctx, o.file)
	if err != nil {
		return err
	}
	r := result{Rates: map[string]float64{}, Costs: map[string]float64{}}
	for _, l := range loads {
		do := func() error { return checkUser(db.read(ctx, userID(rand.IntN(o.users)))) }
		if l.writes {
			do = func() error { return db.write(ctx, userID(rand.IntN(o.users)), changeOf(rand.Uint64())) }
		}
		n, used, elapsed, err := runLoad(l.clients, o.length, do)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", l.name, err), db.close())
		}
		r.Rates[l.name], r.Costs[l.name] = float64(n)/elapsed.Seconds(), float64(used.Microseconds())/float64(n)
	}
	if err := db.close(); err != nil {
		return err
	}
	if r.PeakMB, err = peakMemory(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// checkUser returns an error if a read did not return a whole user.
func checkUser(doc []byte, groups int, err error) error {
	if err == nil && (len(doc) < 1000 || groups != 1) {
		err = fmt.Errorf("a document of %d bytes and %d groups", len(doc), groups)
	}
	return err
}

// runLoad runs do by several clients at once, for the duration length. It returns how many times do
// succeeded, and the processor time and the time that this took.
func runLoad(clients int, length time.Duration, do func() error) (n int64, used, elapsed time.Duration, err error) {
	before, err := processorTime()
	if err != nil {
		return 0, 0, 0, err
	}
	var count atomic.Int64
	errs := make([]error, clients)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for time.Since(began) < length && errs[i] == nil {
				if errs[i] = do(); errs[i] == nil {
					count.Add(1)
				}
			}
		})
	}
	wg.Wait()
	elapsed = time.Since(began)
	after, err := processorTime()
	return count.Load(), after - before, elapsed, errors.Join(append(errs, err)...)
}

// processorTime returns how much processor time this process has used.
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// peakMemory returns the greatest amount of memory that this process has used.
func peakMemory() (mb float64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscan(rest, &mb)
	return mb / 1024, err
}

// copyFile copies a file and waits until the copy is on disk.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// printTable prints a table with the medians of all rounds.
func printTable(o options, all map[string][]result) {
	fmt.Printf("%d users, medians of %d rounds of %s.\n\n| way |", o.users, o.rounds, o.length)
	for _, l := range loads {
		fmt.Printf(" %s: per second | processor time, µs |", l.name)
	}
	fmt.Print(" peak memory, MB |\n|---|" + strings.Repeat("---:|", 2*len(loads)+1) + "\n")
	for _, w := range ways {
		fmt.Printf("| %s |", w.title)
		for _, l := range loads {
			fmt.Printf(" %.0f | %.1f |", median(all[w.name], func(r result) float64 { return r.Rates[l.name] }), median(all[w.name], func(r result) float64 { return r.Costs[l.name] }))
		}
		fmt.Printf(" %.0f |\n", median(all[w.name], func(r result) float64 { return r.PeakMB }))
	}
}

// median returns the median of a value of the results.
func median(list []result, value func(result) float64) float64 {
	var values []float64
	for _, r := range list {
		values = append(values, value(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
