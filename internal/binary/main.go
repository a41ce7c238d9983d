package binary

import (
	"context"
	"flag"
	"fmt"
	"os"
)

// Main is the main function of a program that measures an installation. Main declares flags for the
// options o, in addition to the program's own flags. Then it parses all flags and calls run. If run
// fails, it prints the error after the program's name and exits with code 1.
func Main(name string, o *Options, run func(context.Context) error) {
	flag.StringVar(&o.Binary, "rollcall", "bin/rollcall", "the rollcall binary to run")
	flag.BoolVar(&o.Postgres, "postgres", false, "use a PostgreSQL server of its own instead of SQLite")
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}
