package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/internal/near"
)

// noSuchCommand returns the error for an unknown subcommand. It suggests the subcommand that the
// user probably meant.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() || child.Name() == "help" {
			known = append(known, child.Name())
		}
	}
	return usagef(cmd, "unknown command %q%s", args[0], didYouMean(args[0], known, ""))
}

// badFlag returns the error for an unknown flag. It suggests the flag that the user probably meant.
func badFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedName() == "" {
		return usagef(cmd, "%w", err)
	}
	var known []string
	collect := func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	}
	cmd.LocalFlags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	return usagef(cmd, "%w%s", err, didYouMean(unknown.GetSpecifiedName(), known, "--"))
}

// didYouMean returns a suggestion to append to an error; "" if no known word is similar.
func didYouMean(word string, known []string, prefix string) string {
	best := near.Best(word, known)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s%s?", prefix, best)
}

// helpCommand returns cobra's help command, changed so that it fails for an unknown command.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about a command",
		ValidArgsFunction: func(_ *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			parent, _, err := root.Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, child := range parent.Commands() {
				if child.IsAvailableCommand() && strings.HasPrefix(child.Name(), start) {
					names = append(names, child.Name()+"\t"+child.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			about, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				if about == nil {
					about = root
				}
				if len(rest) == 0 {
					rest = args
				}
				return noSuchCommand(about, rest)
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}
