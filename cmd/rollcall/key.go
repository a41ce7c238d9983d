package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/seal"
)

func (c *command) keyCommand() *cobra.Command {
	create := &cobra.Command{
		Use: "create FILE", Short: "Make a new key in a file that does not exist yet", Args: names("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := seal.Create(args[0]); err != nil {
				return err
			}
			return c.print(map[string]string{"created": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "Made the key %s (mode 0600). Give it to every process with --key-file.\n", args[0])
			})
		},
	}
	return group("key", "The key that seals stored credentials", create)
}
