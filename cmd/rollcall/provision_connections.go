package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

func (c *command) provisionConnections() *cobra.Command {
	return groupCommand("connections", "Which account at an application belongs to which user or group",
		c.connectionsList(), c.connectionsShow(), c.connectionsForget(), c.connectionsLink())
}

func (c *command) connectionsList() *cobra.Command {
	var search string
	var groups bool
	var limit int
	cmd := &cobra.Command{
		Use: "list DIRECTORY APP", Short: "List the connections, by object id", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit is 1 or more, not %d", limit)
			}
			q := provision.ConnectionQuery{Search: search, Limit: min(limit, 500)}
			if groups {
				q.Kind = provision.GroupKind
			}
			all := []provision.Connection{}
			for len(all) < limit {
				page, next, err := s.jobs.Connections(cmd.Context(), jobKey(h, app), q)
				if err != nil {
					return err
				}
				all = append(all, page...)
				if q.After = next; next == "" {
					break
				}
			}
			all = all[:min(limit, len(all))]
			lines := [][]string{}
			for _, one := range all {
				lines = append(lines, []string{one.Name, string(one.Kind), one.ObjectID, one.TargetID, string(one.State), one.How, c.formatTime(one.Since)})
			}
			return c.print(all, func(w io.Writer) {
				printTable(w, "No connection fits.", []string{"Name", "Kind", "Object id", "Account", "State", "How", "Since"}, lines)
			})
		}),
	}
	cmd.Flags().StringVar(&search, "search", "", "part of the account's name, or the whole id of either side")
	cmd.Flags().BoolVar(&groups, "groups", false, "only groups")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many connections")
	return cmd
}

// connectionID returns the object id of the user whose userPrincipalName is text. If there is no
// such user, it returns text unchanged, because text may already be the id of an object or an
// account.
func connectionID(ctx context.Context, h *directory.Handle, text string) (string, error) {
	u, err := h.UserByUPN(ctx, text)
	if errors.Is(err, refusal.NotFound) {
		return text, nil
	}
	return u.ObjectID, err
}

func (c *command) connectionsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DIRECTORY APP ID", Short: "Show a connection, by the user principal name or the id of either side", Args: exactArguments("DIRECTORY", "APP", "ID"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			id, err := connectionID(cmd.Context(), h, args[0])
			if err != nil {
				return err
			}
			one, err := s.jobs.Connection(cmd.Context(), jobKey(h, app), id)
			if err != nil {
				return err
			}
			return c.print(one, func(w io.Writer) {
				fmt.Fprintf(w, "Name       %s\nKind       %s\nObject id  %s\nAccount    %s\nState      %s\nHow        %s\nSince      %s\n",
					oneLine(one.Name), one.Kind, one.ObjectID, oneLine(one.TargetID), one.State, one.How, c.formatTime(one.Since))
			})
		}),
	}
}

func (c *command) connectionsForget() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "forget DIRECTORY APP ID", Short: "Forget which account a user or group has; the account stays as it is", Args: exactArguments("DIRECTORY", "APP", "ID"),
		Long: `Forgets which account a user or group has. ID is the user principal name, or the id
of either side. The account stays as it is. The next cycle looks for an account by
the matching attributes.

Asks first. --yes answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			id, err := connectionID(cmd.Context(), h, args[0])
			if err != nil {
				return err
			}
			one, err := s.jobs.Connection(cmd.Context(), jobKey(h, app), id)
			if err != nil {
				return err
			}
			question := fmt.Sprintf("This forgets that %s has the account %s at %s. The account stays as it is, and is not switched off if the person leaves, until a cycle finds it again.", oneLine(one.Name), oneLine(one.TargetID), app.Name)
			if err := c.confirm(cmd, yes, question, "forget"); err != nil {
				return err
			}
			if one, err = s.engine.Forget(cmd.Context(), jobKey(h, app), s.owner, actor, one.ObjectID); err != nil {
				return err
			}
			return c.print(map[string]string{"forgotten": one.ObjectID, "targetAnchor": one.TargetID}, func(w io.Writer) {
				fmt.Fprintf(w, "The connection of %s with the account %s was forgotten. The account stays as it is.\n", oneLine(one.Name), oneLine(one.TargetID))
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) connectionsLink() *cobra.Command {
	return &cobra.Command{
		Use: "link DIRECTORY APP OBJECT ACCOUNT", Short: "Connect a user or group with an account by hand", Args: exactArguments("DIRECTORY", "APP", "OBJECT", "ACCOUNT"),
		Long: `Connects a user or group with an account that no matching attribute finds. OBJECT is
the user principal name of a user, or an object id. ACCOUNT is the id at the
application, which is asked whether it exists. No other person may have the account.
The next cycle gives it the values of the directory.`,
		Example: "  rollcall provision connections link contoso Acme ada@contoso.com 2819c223-7f76-453a-919d-413861904646",
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			id, err := connectionID(cmd.Context(), h, args[0])
			if err != nil {
				return err
			}
			one, err := s.engine.Connect(cmd.Context(), jobKey(h, app), s.owner, actor, id, args[1])
			if err != nil {
				return err
			}
			return c.print(one, func(w io.Writer) {
				fmt.Fprintf(w, "The account %s belongs to %s now. The next cycle gives it the values of the directory.\n", oneLine(one.TargetID), oneLine(one.Name))
			})
		}),
	}
}
