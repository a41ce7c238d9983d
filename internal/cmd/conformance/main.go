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
	"syscall"
)

// collectionsVariable is the environment variable with the folder of other projects' collections.
const collectionsVariable = "CONFORMANCE_COLLECTIONS"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// options are the values of the command's flags.
type options struct {
	binary      string // the path of the rollcall binary
	output      string // the file that gets the table; may be empty
	vectors     string // the folder with the data of our vectors
	collections string // the folder with other projects' collections; may be empty
}

// parseFlags returns the values of the flags. It makes paths absolute, and checks that the binary
// exists.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.binary, "rollcall", "bin/rollcall", "the built `binary`")
	flags.StringVar(&o.output, "o", "", "also write the table to this Markdown `file`")
	flags.StringVar(&o.vectors, "vectors", "scim/testdata", "`folder` of our vectors")
	flags.StringVar(&o.collections, "collections", os.Getenv(collectionsVariable), "`folder` of Okta's and Microsoft's collections ["+collectionsVariable+"]")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("%q is one argument too many", flags.Arg(0))
	}
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return options{}, err
	}
	if _, err := os.Stat(binary); err != nil {
		return options{}, fmt.Errorf("-rollcall: %w; `make build` makes it", err)
	}
	o.binary = binary
	if o.collections != "" {
		if o.collections, err = filepath.Abs(o.collections); err != nil {
			return options{}, err
		}
	}
	return o, nil
}

// run runs all suites and writes the table. It returns an error if a check failed and explained.go
// does not explain the failure.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rollcall-conformance-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	results, err := runSuites(ctx, o, dir, stderr)
	if err != nil {
		return err
	}
	printTable(stdout, results)
	if o.output != "" {
		if err := os.WriteFile(o.output, markdown(results), 0o644); err != nil {
			return err
		}
	}
	if n := countUnexplained(results); n > 0 {
		return fmt.Errorf("failures that nothing explains: %d", n)
	}
	return nil
}

// runSuites starts a fresh server and runs every suite against its own site.
func runSuites(ctx context.Context, o options, dir string, stderr io.Writer) (results []result, err error) {
	p := &product{binary: o.binary, dir: dir}
	all := suites(o, &tools{dir: dir})
	for i, s := range all {
		if all[i].token, err = p.createSite(ctx, s.site, s.strict); err != nil {
			return nil, err
		}
	}
	if err := p.serve(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	for _, s := range all {
		fmt.Fprintf(stderr, "%s …\n", s.name)
		found, err := s.run(ctx, newClient(p.siteURL(s.site), s.token))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		results = append(results, explainKnownFailures(s, found, err))
	}
	return results, nil
}

// suites returns the suites in the order of the table's rows.
func suites(o options, t *tools) []suite {
	v := vectors{folder: o.vectors}
	return []suite{
		{
			name: "Filters and paths", site: "filters",
			description: "our vectors of RFC 7644 Figures 1 and 7, tolerant site", run: withoutTool(v.checkFilters),
		},
		{
			name: "Filters and paths, strict", site: "filters-strict", strict: true,
			description: "the same vectors, strict site", run: withoutTool(v.checkFilters),
		},
		{
			name: "Patches", site: "patches",
			description: "our vectors of RFC 7644 §3.5.2 and of what Entra and Okta send, tolerant site", run: withoutTool(v.checkPatches(false)),
		},
		{
			name: "Patches, strict", site: "patches-strict", strict: true,
			description: "the same without Entra's own forms, and those for strict sites only", run: withoutTool(v.checkPatches(true)),
		},
		{
			name: "Okta SPEC test", site: "okta",
			description: "Okta's SCIM 2.0 SPEC test, okta-scim-20-spec-test.json", run: withoutTool(oktaSuite(o.collections)),
		},
		{
			name: "Microsoft reference collection", site: "microsoft",
			description: "Postman collection of Microsoft's SCIM reference code, microsoft-scim-reference-postman.json", run: postmanSuite(o.collections, t),
		},
		{
			name: "scim2-tester", site: "tester",
			description: "newest scim2-tester through scim2-cli, tolerant site", run: t.runTester,
		},
		{
			name: "scim2-tester, strict", site: "tester-strict", strict: true,
			description: "the same, strict site", run: t.runTester,
		},
		{
			name: "scim-sanity", site: "sanity",
			description: "newest scim-sanity in its strict mode, tolerant site", run: t.runSanity,
		},
		{
			name: "scim-sanity, strict", site: "sanity-strict", strict: true,
			description: "the same, strict site", run: t.runSanity,
		},
	}
}

// withoutTool turns a function that returns checks into the function run of a suite. The suite
// needs no program of another project, so its report names none.
func withoutTool(run func(context.Context, *client) ([]check, error)) func(context.Context, *client) (report, error) {
	return func(ctx context.Context, c *client) (report, error) {
		checks, err := run(ctx, c)
		return report{checks: checks}, err
	}
}
