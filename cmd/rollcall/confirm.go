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

// yesFlag adds the flag --yes, which skips the question of the command.
func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do it without asking")
}

// confirm asks before a change that cannot be undone. The question says what the command will do,
// with numbers. To agree, the user must type the given word, so that no one agrees by accident. If
// there is no terminal, confirm returns an unansweredError unless --yes was given.
func (c *command) confirm(_ *cobra.Command, yes bool, question, word string) error {
	if yes {
		return nil
	}
	if !c.isInteractive {
		return unansweredError{fmt.Sprintf("%s Nothing was changed. To do it, add --yes", question)}
	}
	c.note("%s", question)
	fmt.Fprintf(peopleWriter{c.stderr}, "Type %s to do it: ", word)
	answer, err := bufio.NewReader(io.LimitReader(c.stdin, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(answer) != word {
		return fmt.Errorf("that is not %q; nothing was changed", word)
	}
	return nil
}

// unansweredError holds a question that a command could not ask, because there is no terminal. The
// command changed nothing, and ends with exit code 4.
type unansweredError struct{ text string }

func (e unansweredError) Error() string { return e.text }

// isTerminal reports whether a file is a terminal.
func isTerminal(f *os.File) bool {
	return isatty.IsTerminal(f.Fd())
}
