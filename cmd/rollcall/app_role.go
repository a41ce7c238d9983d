package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
)

func (c *command) appRole() *cobra.Command {
	return groupCommand("role", "Roles of an application (ROLE is a value, a display name or an id)", c.roleList(), c.roleCreate(), c.roleSet(), c.roleDelete())
}

// withRole opens the application and finds the role that the third argument names.
func (c *command) withRole(do func(*cobra.Command, *directory.Handle, directory.Application, directory.AppRole) error) func(*cobra.Command, []string) error {
	return c.withApp(func(cmd *cobra.Command, _ *services, h *directory.Handle, app directory.Application, args []string) error {
		r, err := h.Role(cmd.Context(), app, args[0])
		if err != nil {
			return err
		}
		return do(cmd, h, app, r)
	})
}

// roleJSON is a role in --json output.
type roleJSON struct {
	ID          string `json:"id"`
	Value       string `json:"value"`
	DisplayName string `json:"displayName"`
	Description string `json:"description,omitempty"`
	Enabled     bool   `json:"isEnabled"`
	Assigned    int    `json:"assigned"`
}

func (c *command) roleList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY APP", Short: "List the roles of an application and how many assignments have each", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, _ *services, h *directory.Handle, app directory.Application, _ []string) error {
			own, err := h.Roles(cmd.Context(), app.ID)
			if err != nil {
				return err
			}
			out, lines := []roleJSON{}, [][]string{}
			for _, r := range append([]directory.AppRole{directory.DefaultAccess}, own...) {
				n, err := h.CountRole(cmd.Context(), app.ID, r.ID)
				if err != nil {
					return err
				}
				state := "enabled"
				if !r.Enabled {
					state = "disabled"
				}
				out = append(out, roleJSON{r.ID, r.Value, r.DisplayName, r.Description, r.Enabled, n})
				lines = append(lines, []string{r.DisplayName, r.Value, state, fmt.Sprint(n), r.Description})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "", []string{"Display name", "Value", "State", "Assigned", "Description"}, lines)
			})
		}),
	}
}

func (c *command) roleCreate() *cobra.Command {
	r := directory.AppRole{Enabled: true}
	cmd := &cobra.Command{
		Use: "create DIRECTORY APP VALUE", Short: "Give an application a role", Args: exactArguments("DIRECTORY", "APP", "VALUE"),
		Long: `Gives an application a role. VALUE is what the application gets of it. Every application
has the role Default Access besides, which has no value.`,
		Example: `  rollcall app role create contoso Acme editor --display-name Editor`,
		RunE: c.withApp(func(cmd *cobra.Command, _ *services, h *directory.Handle, app directory.Application, args []string) error {
			r.Value = args[0]
			made, _, err := h.PutRole(cmd.Context(), app.ID, r, actor)
			if err != nil {
				return err
			}
			return c.printRole(app, made, "was made")
		}),
	}
	cmd.Flags().StringVar(&r.DisplayName, "display-name", "", "name for people (without it the value)")
	cmd.Flags().StringVar(&r.Description, "description", "", "what the role is for")
	return cmd
}

func (c *command) printRole(app directory.Application, r directory.AppRole, did string) error {
	return c.print(roleJSON{ID: r.ID, Value: r.Value, DisplayName: r.DisplayName, Description: r.Description, Enabled: r.Enabled}, func(w io.Writer) {
		fmt.Fprintf(w, "Role %s of %s %s.\n", oneLine(r.DisplayName), app.Name, did)
	})
}

func (c *command) roleSet() *cobra.Command {
	var value, display, description string
	var enabled bool
	cmd := &cobra.Command{
		Use: "set DIRECTORY APP ROLE", Short: "Change a role of an application", Args: exactArguments("DIRECTORY", "APP", "ROLE"),
		Long: `Changes only what the flags name. With --enabled=false the role can no longer be
given; users and groups that have it keep it.`,
		RunE: c.withRole(func(cmd *cobra.Command, h *directory.Handle, app directory.Application, r directory.AppRole) error {
			if r.ID == directory.DefaultAccess.ID {
				return fmt.Errorf("%s is the role that every application has; it cannot be changed", r.DisplayName)
			}
			given := cmd.Flags().Changed
			if !given("value") && !given("display-name") && !given("description") && !given("enabled") {
				return usagef(cmd, "nothing to set: give at least one of --value, --display-name, --description, --enabled")
			}
			if given("value") {
				r.Value = value
			}
			if given("display-name") {
				r.DisplayName = display
			}
			if given("description") {
				r.Description = description
			}
			if given("enabled") {
				r.Enabled = enabled
			}
			after, did, err := h.PutRole(cmd.Context(), app.ID, r, actor)
			if err != nil {
				return err
			}
			if !did {
				return c.printRole(app, after, "was like that before")
			}
			return c.printRole(app, after, "was changed")
		}),
	}
	cmd.Flags().StringVar(&value, "value", "", "what the application gets")
	cmd.Flags().StringVar(&display, "display-name", "", "name for people")
	cmd.Flags().StringVar(&description, "description", "", "what the role is for")
	cmd.Flags().BoolVar(&enabled, "enabled", true, "whether the role can be given; --enabled=false disables it")
	return cmd
}

func (c *command) roleDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete DIRECTORY APP ROLE", Short: "Delete a role that no assignment has", Args: exactArguments("DIRECTORY", "APP", "ROLE"),
		RunE: c.withRole(func(cmd *cobra.Command, h *directory.Handle, app directory.Application, r directory.AppRole) error {
			if err := h.DeleteRole(cmd.Context(), app.ID, r.ID, actor); err != nil {
				return err
			}
			return c.printRole(app, r, "was deleted")
		}),
	}
}
