package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/event"
)

// actor is the short name of the command line in events.
const actor = "cli"

// currentActor returns the user of this command line, for events: the number and name of the
// operating-system account, and the machine.
func currentActor() event.Actor {
	a := event.Actor{Kind: event.Command, ID: strconv.Itoa(os.Getuid())}
	name := a.ID // some accounts have no name, for example in a container
	if u, err := user.Current(); err == nil && u.Username != "" {
		a.ID, name = u.Uid, u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed machine"
	}
	a.Name = name + "@" + host
	return a
}

// defaultOperator is the name of the operator if the command line names none.
const defaultOperator = "operator"

func (c *command) operatorCommand() *cobra.Command {
	link := &cobra.Command{
		Use: "link [NAME]", Short: "Print a one-time sign-in link for an operator",
		Long: `Prints a link that signs in the operator NAME once, within 15 minutes, and makes
the operator if there is none of that name. Without NAME it is "operator".`,
		Args: atMost("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			name := defaultOperator
			if len(args) > 0 {
				name = args[0]
			}
			l, err := s.operators.Link(cmd.Context(), name, actor)
			if err != nil {
				return err
			}
			return c.printLink(l.Name, c.baseURL()+l.Path, l.Expires)
		}),
	}
	list := &cobra.Command{
		Use: "list", Short: "List the operators", Args: exactArguments(),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			all, err := s.operators.List(cmd.Context())
			if err != nil {
				return err
			}
			type operatorJSON struct {
				Name       string `json:"name"`
				Created    string `json:"created"`
				LastSignIn string `json:"lastSignIn,omitempty"`
			}
			out := []operatorJSON{}
			lines := [][]string{}
			for _, o := range all {
				out = append(out, operatorJSON{o.Name, formatJSONTime(o.Created), formatJSONTime(o.LastSignIn)})
				lines = append(lines, []string{o.Name, c.formatTime(o.Created), c.formatTime(o.LastSignIn)})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No operator yet. Make a link with: rollcall operator link", []string{"Name", "Since", "Last sign-in"}, lines)
			})
		}),
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "End an operator's access at once", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			if err := s.operators.Remove(cmd.Context(), args[0], actor); err != nil {
				return err
			}
			return c.print(map[string]string{"removed": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "%s is no longer an operator. Sessions and links have ended.\n", args[0])
			})
		}),
	}
	return groupCommand("operator", "Who runs the installation", link, list, c.operatorSessions(), c.operatorSignOut(), c.operatorIdentities(), c.operatorUnlink(), remove)
}
