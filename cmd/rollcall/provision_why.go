package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

func (c *command) provisionWhy() *cobra.Command {
	var group string
	var trace bool
	cmd := &cobra.Command{
		Use: "why DIRECTORY APP [PERSON]", Short: "Say why a person or group has, or does not have, an account", Args: atLeast("DIRECTORY", "APP"),
		Long: `Says why a person or group has, or does not have, what it has at an application: the
conditions for being in scope with the value of each, the account, each attribute as the
mapping yields it beside what the account has, the memberships, what is waiting and until
when, and the last exchange. It changes nothing. If what is remembered is not enough to
decide, it searches the application.

PERSON is a user principal name or an object id; the object id also finds a person who
was deleted permanently.`,
		Example: `  rollcall provision why contoso Acme ada@contoso.example
  rollcall provision why contoso Acme ada@contoso.example --trace
  rollcall provision why contoso Acme --group Sales`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, people []string) error {
			if group == "" && len(people) != 1 || group != "" && len(people) > 0 {
				return usagef(cmd, "name one PERSON, or give --group")
			}
			id, err := explainedObject(cmd.Context(), h, people, group)
			if err != nil {
				return err
			}
			found, err := s.engine.Explain(cmd.Context(), jobKey(h, app), id)
			if err != nil {
				return err
			}
			return c.print(found, func(w io.Writer) { c.printExplanation(w, found, trace) })
		}),
	}
	cmd.Flags().StringVar(&group, "group", "", "a group instead of a person, by display name or object id")
	cmd.Flags().BoolVar(&trace, "trace", false, "show how the value of each expression is made")
	return cmd
}

// explainedObject returns the object id of the named person or group. A person who is no longer in
// the directory must be named by the object id.
func explainedObject(ctx context.Context, h *directory.Handle, people []string, group string) (string, error) {
	if group != "" {
		g, err := findGroup(ctx, h, group)
		return g.ObjectID, err
	}
	u, err := findUser(ctx, h, people[0])
	if errors.Is(err, refusal.NotFound) && !strings.Contains(people[0], "@") {
		return people[0], nil
	}
	return u.ObjectID, err
}

// printExplanation prints an explanation for people.
func (c *command) printExplanation(w io.Writer, x provision.Explanation, trace bool) {
	fmt.Fprintln(w, oneLine(x.Answer))
	for _, note := range x.Notes {
		fmt.Fprintln(w, "Note: "+oneLine(note))
	}
	fmt.Fprintln(w, "\nScope")
	for _, s := range x.Scope {
		printCondition(w, s)
	}
	if x.Account != nil {
		c.printExplainedAccount(w, *x.Account)
	}
	if len(x.Attributes) > 0 {
		fmt.Fprintln(w, "\nAttributes")
	}
	for _, a := range x.Attributes {
		printExplainedAttribute(w, a, trace)
	}
	if len(x.Memberships) > 0 {
		fmt.Fprintln(w, "\nMember of")
	}
	for _, m := range x.Memberships {
		fmt.Fprintf(w, "  %-20s %s\n", oneLine(m.Name), oneLine(m.Words))
	}
	if x.Members != nil {
		fmt.Fprintf(w, "\nMembers\n  %d at the application, %d to be sent, %d of them refused\n", x.Members.Sent, x.Members.Waiting, x.Members.Refused)
	}
	c.printWaiting(w, x)
}

func printCondition(w io.Writer, s provision.ScopeCondition) {
	mark := "yes"
	if !s.Holds {
		mark = "no "
	}
	line := "  " + mark + "  " + oneLine(s.Condition)
	if s.Filter != "" {
		line += " [filter " + oneLine(s.Filter) + "]"
	}
	if s.Detail != "" {
		line += ": " + oneLine(s.Detail)
	}
	fmt.Fprintln(w, line)
}

func (c *command) printExplainedAccount(w io.Writer, a provision.ExplainedAccount) {
	fmt.Fprintf(w, "\nAccount\n  %s, %s %s\n  %s\n", oneLine(a.TargetID), a.How, c.formatTime(a.Since), oneLine(a.Words))
	if !a.Shown.IsZero() {
		fmt.Fprintln(w, "  The application last showed it "+c.formatTime(a.Shown)+".")
	}
}

// attributeWords maps the states of attributes to the words that people read.
var attributeWords = map[provision.AttributeState]string{
	provision.AttributeSame: "the same", provision.AttributeDiffers: "the account has another value", provision.AttributeUnknown: "not known at the account",
	provision.AttributeRefused: "refused by the application", provision.AttributeOnCreate: "sent only when the account is created",
	provision.AttributeAdopted: "somebody set it at the application, and it was decided that it stays",
	provision.AttributeKept:    "the account keeps the value that it has",
	provision.AttributeFails:   "the mapping fails", provision.AttributeUnsent: "no account",
}

func printExplainedAttribute(w io.Writer, a provision.ExplainedAttribute, trace bool) {
	values := "no value"
	switch {
	case a.Hidden:
		values = "[Redact]"
	case len(a.Values) > 0:
		values = quoteValue(strings.Join(a.Values, ", "))
	}
	fmt.Fprintf(w, "  %s: %s (%s)\n", oneLine(a.Target), oneLine(values), attributeWords[a.State])
	if a.State == provision.AttributeDiffers && !a.Hidden {
		fmt.Fprintln(w, "    the account has "+oneLine(quoteValue(strings.Join(a.Account, ", "))))
	}
	if a.Problem != "" {
		fmt.Fprintln(w, "    "+oneLine(a.Problem))
	}
	if a.Note != "" {
		fmt.Fprintln(w, "    "+oneLine(a.Note))
	}
	if trace && a.Trace != nil {
		printStep(w, a.Trace, "    ", "    ")
	}
}

func (c *command) printWaiting(w io.Writer, x provision.Explanation) {
	if len(x.Waiting) > 0 {
		fmt.Fprintln(w, "\nWaiting")
	}
	for _, wait := range x.Waiting {
		line := "  " + wait.What + ": " + oneLine(wait.Reason)
		if wait.Failed {
			line = "  " + wait.What + ": the last attempt failed: " + oneLine(wait.Reason)
		}
		if !wait.Until.IsZero() {
			line += " Tried again " + c.formatTime(wait.Until) + "."
		}
		fmt.Fprintln(w, line)
	}
	if x.Last != nil {
		fmt.Fprintln(w, "\nLast exchange")
		_ = printLogLine(w, *x.Last) //nolint:errcheck // w remembers its first error, which print returns
	}
	if len(x.Changes) > 0 {
		fmt.Fprintln(w, "\nLast changes in the directory")
	}
	for _, change := range x.Changes {
		fmt.Fprintf(w, "  %s  %s (%s)\n", c.formatTime(change.Time), oneLine(change.Text), oneLine(change.Actor))
	}
}
