package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/site"
)

func TestAnErrorIsOneSentenceAndAnExitCode(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "rollcall"}
	create := &cobra.Command{Use: "create"}
	root.AddCommand(create)
	live := site.LiveTokens{{Name: "Entra", Last4: "abcd"}, {Last4: "efgh"}}
	for _, c := range []struct {
		err  error
		text string
		code int
	}{
		{nil, "", 0},
		{errAlreadyPrinted, "", 1},
		{errors.New("the disk is full"), "rollcall: the disk is full\n", 1},
		{usagef(create, "--expires: %w", errors.New("no number")), "rollcall: --expires: no number\nTry 'rollcall create --help'.\n", 2},
		// A question without a terminal is not an error in the command line.
		{unansweredError{"This deletes 3 users. Nothing was changed. To do it, add --yes"}, "This deletes 3 users. Nothing was changed. To do it, add --yes\n", 4},
		{
			fmt.Errorf("rename the site to acme: %w", site.ErrNameTaken),
			"rollcall: rename the site to acme: there is a site of that name already; choose another name\n", 1,
		},
		// A refusal names a command or flag that follows its advice.
		{
			live[:1].Refuse(),
			"rollcall: " + live[0].Label() + " is live already; add --replace to end it now, or --until-used to keep it until the new one is used\n", 1,
		},
		{
			live.Refuse(),
			"rollcall: two tokens are live: " + live[0].Label() + " and " + live[1].Label() + "; revoke one first: rollcall token revoke SITE LAST4\n", 1,
		},
		{operator.ErrUnknown, "rollcall: there is no operator of this name; rollcall operator list shows them\n", 1},
		{refusal.New(refusal.NotFound, "", "there is no site %q", "x").Advise("did you mean %s?", "y"), "rollcall: there is no site \"x\"; did you mean y?\n", 1},
		{
			directory.ErrNoDirectory.Because("there is no directory %q, nor any other", "contoso").Advise("make one first").WithData("contoso"),
			"rollcall: there is no directory \"contoso\", nor any other; make one with: rollcall directory create contoso\n", 1,
		},
		// The message names the field only once.
		{refusal.New(refusal.Invalid, "mail", "this is not an address"), "rollcall: mail: this is not an address\n", 1},
		{refusal.New(refusal.Invalid, "mail", "mail is not an address"), "rollcall: mail is not an address\n", 1},
		// The message has the words of a target's answer, but not its codes.
		{
			fmt.Errorf("the application was not made: %w", &provision.TargetError{Code: "Unauthorized", Status: 401, Detail: "The token is refused.", Advice: "Enter another one."}),
			"rollcall: the application was not made: The token is refused. Enter another one.\n", 1,
		},
	} {
		if text, code := describeError(c.err); text != c.text || code != c.code {
			t.Errorf("%v:\ngot  %q, %d\nwant %q, %d", c.err, text, code, c.text, c.code)
		}
	}
}
