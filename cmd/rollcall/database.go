package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (c *command) databaseCommand() *cobra.Command {
	compact := &cobra.Command{
		Use: "compact", Short: "Rewrite a SQLite file without its free space, offline", Args: exactArguments(),
		Long: `Rewrites the file of a SQLite database, which needs as much room again as it has, and
as long as it is not served. A file that was made by an older version gives space
back by itself from then on. Newer files do so without this command.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			before, after, err := s.db.Compact(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(map[string]any{"file": s.db.File(), "before": before, "after": after}, func(w io.Writer) {
				fmt.Fprintf(w, "%s had %d KiB and has %d KiB.\n", s.db.File(), before/1024, after/1024)
			})
		}),
	}
	return groupCommand("database", "The database's file", compact)
}
