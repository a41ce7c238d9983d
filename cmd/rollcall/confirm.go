package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// yesFlag lets a command that asks first run without being asked.
func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do it without asking")
}

// confirm asks before what cannot be undone. The question says what happens, with its numbers; the answer is a word that nobody types by
// accident. Where nobody can be asked it is an error without --yes.
func (c *command) confirm(cmd *cobra.Command, yes bool, question, word string) error {
	if yes {
		return nil
	}
	if !c.terminal {
		return usagef(cmd, "%s Nothing was changed. To do it, add --yes", question)
	}
	c.note("%s", question)
	fmt.Fprintf(forPeople{c.stderr}, "Type %s to do it: ", word)
	answer, err := bufio.NewReader(io.LimitReader(c.stdin, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(answer) != word {
		return fmt.Errorf("that is not %q; nothing was changed", word)
	}
	return nil
}

// isTerminal says whether a file is a terminal.
func isTerminal(f *os.File) bool {
	return isatty.IsTerminal(f.Fd())
}
