package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

// options are the values of the flags.
type options struct {
	binary                      string // the path of the rollcall binary
	output                      string // the file that gets the report; empty for none
	keep                        string // the folder that gets the directory's database and key at the end; empty for none
	seed                        uint64 // the seed of all random choices
	people, groups, steps, days int    // how many people and groups there are at first; how many steps and days the month has
	only                        string // the parts of the program to run, separated by commas; empty for all
	record                      bool   // whether to record conversations instead of playing a month
}

// parseFlags returns the values of the flags, and an error if one of them is invalid.
func parseFlags(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("interop", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.binary, "rollcall", "bin/rollcall", "the built `binary`")
	flags.StringVar(&o.output, "o", "", "write the table to this Markdown `file`")
	flags.Uint64Var(&o.seed, "seed", 1, "the `number` that people and steps are drawn from")
	flags.IntVar(&o.people, "people", 500, "how many people there are at first")
	flags.IntVar(&o.groups, "groups", 60, "how many groups there are at first")
	flags.IntVar(&o.steps, "steps", 500, "how many steps the month has")
	flags.IntVar(&o.days, "days", 30, "after how many batches of steps all targets are provisioned")
	flags.StringVar(&o.keep, "keep", "", "copy the directory's database and key into this new `folder` at the end")
	flags.BoolVar(&o.record, "record", false, "record the conversations that are tests of package provision, instead of playing a month")
	flags.StringVar(&o.only, "only", "", "the `names` of targets, separated by commas, or "+signInPart+" for the part that signs people in; without it, everything")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is one argument too many", flags.Arg(0))
	}
	if o.people < 20 || o.groups < 5 || o.steps < 1 || o.days < 1 {
		return o, errors.New("a run needs at least 20 people, 5 groups, a step and a day")
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return o, err
	}
	if _, err := os.Stat(o.binary); err != nil {
		return o, fmt.Errorf("-rollcall: %w; `make build` makes it", err)
	}
	return o, nil
}

// chooseParts returns the targets that -only names, and whether it names the part that signs people
// in. If -only is empty, it returns everything.
func (o options) chooseParts() (found []target, signsIn bool, err error) {
	if o.only == "" {
		return targets(), true, nil
	}
	for _, name := range strings.Split(o.only, ",") {
		at := slices.IndexFunc(targets(), func(t target) bool { return t.name == name })
		switch {
		case name == signInPart:
			signsIn = true
		case at < 0:
			return nil, false, fmt.Errorf("-only: there is no target %q", name)
		default:
			found = append(found, targets()[at])
		}
	}
	return found, signsIn, nil
}

// run carries out the parts of the program that the flags select.
func run(ctx context.Context, args []string, progress io.Writer) (err error) {
	o, err := parseFlags(args, progress)
	if err != nil {
		return err
	}
	chosen, signsIn, err := o.chooseParts()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rollcall-interop-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.record {
		return recordConversations(ctx, o, chosen, dir, progress)
	}
	if len(chosen) > 0 {
		err = provision(ctx, o, chosen, dir, progress)
	}
	if signsIn {
		err = errors.Join(err, signIn(ctx, o, dir, progress))
	}
	return err
}

// provision provisions one directory into the targets, and writes the first part of the report.
func provision(ctx context.Context, o options, chosen []target, dir string, progress io.Writer) (err error) {
	in, err := binary.New(ctx, binary.Options{Binary: o.binary})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	w := &world{options: o, source: &source{installation: in}, progress: progress, began: time.Now()}
	w.company = &company{random: rand.New(rand.NewPCG(o.seed, 500))}
	w.company.fill(o.people, o.groups)
	defer func() { err = errors.Join(err, w.stop()) }()
	for _, t := range chosen {
		if err := w.install(ctx, t, filepath.Join(dir, t.name)); err != nil {
			return err
		}
	}
	if err := w.play(ctx); err != nil {
		return err
	}
	if err := errors.Join(w.compareTargets(ctx), w.keepFiles()); err != nil {
		return err
	}
	return errors.Join(o.writeReport(w.markdown(), nil), w.checkResults())
}

// signIn signs people in through the identity providers, and writes the second part of the report.
func signIn(ctx context.Context, o options, dir string, progress io.Writer) error {
	s, err := playSignIns(ctx, o.binary, dir, progress)
	if err != nil {
		return err
	}
	return errors.Join(o.writeReport(nil, s.markdown()), s.verdict())
}

// writeReport writes one part of the report to the file. The other argument must be nil; the other
// part stays as it is in the file.
func (o options) writeReport(provisioned, signedIn []byte) error {
	if o.output == "" {
		return nil
	}
	known, err := os.ReadFile(o.output)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	before, after, found := bytes.Cut(known, []byte(signInHeading))
	if provisioned == nil {
		provisioned = before
	}
	if signedIn == nil && found {
		signedIn = append([]byte(signInHeading), after...)
	}
	return os.WriteFile(o.output, append(provisioned, signedIn...), 0o644)
}
