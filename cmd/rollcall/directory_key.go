package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/operator"
)

// keyJSON is an API key of a directory in --json output.
type keyJSON struct {
	Key       string `json:"key,omitempty"` // the secret; empty unless the command has just created the key
	ID        string `json:"id"`
	Name      string `json:"name"`
	Last4     string `json:"last4"`
	Level     string `json:"level"`
	State     string `json:"state"`
	CreatedBy string `json:"createdBy"`
	Created   string `json:"created"`
	Expires   string `json:"expires"`
	LastUsed  string `json:"lastUsed,omitempty"`
	LastFrom  string `json:"lastFrom,omitempty"`
}

func (c *command) keyJSON(k operator.Key) keyJSON {
	return keyJSON{
		ID: k.ID, Name: k.Name, Last4: k.Last4, Level: string(k.Level), State: c.keyState(k), CreatedBy: k.CreatedBy,
		Created: formatJSONTime(k.Created), Expires: formatJSONTime(k.Expires), LastUsed: formatJSONTime(k.LastUsed), LastFrom: k.LastFrom,
	}
}

func (c *command) keyState(k operator.Key) string {
	switch {
	case k.IsLive(c.now()):
		return "live"
	case !k.Revoked.IsZero():
		return "revoked"
	default:
		return "expired"
	}
}

func (c *command) directoryKey() *cobra.Command {
	return groupCommand("key", "API keys of a directory, for scripts", c.directoryKeyCreate(), c.directoryKeyList(), c.directoryKeyRevoke())
}

func (c *command) directoryKeyCreate() *cobra.Command {
	var name, level, expires string
	cmd := &cobra.Command{
		Use: "create DIRECTORY", Short: "Make an API key and print it, once", Args: exactArguments("DIRECTORY"),
		Long: `Prints a new API key of DIRECTORY, alone, on standard output: it cannot be read
again. Scripts send it to the Graph-shaped API of this directory, after the word
Bearer. A key of the level read reads; run also starts, pauses and restarts jobs
and provisions on demand; configure also changes jobs, schemas and credentials.`,
		Example: "  rollcall directory key create contoso --name nightly --level run --expires 30d",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			d, err := parseDuration(expires)
			if err != nil {
				return usagef(cmd, "--expires: %w", err)
			}
			if name == "" {
				return usagef(cmd, "--name is missing: name the script that will use the key")
			}
			if d <= 0 {
				return usagef(cmd, "--expires %s is not in the future", expires)
			}
			k, secret, err := s.keys.CreateKey(cmd.Context(), operator.KeyRequest{
				Directory: string(h.Directory.ID), Name: name, Level: operator.Level(level), Expires: c.now().Add(d), Actor: actor,
			})
			if err != nil {
				return err
			}
			out := c.keyJSON(k)
			out.Key = secret
			return c.print(out, func(w io.Writer) {
				fmt.Fprintln(w, secret)
				c.note("This key is not shown again. It may %s until %s. Base URL: %s", k.Level, c.formatTime(k.Expires), c.graphURL(h.Directory))
			})
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "the script that will use the key")
	cmd.Flags().StringVar(&level, "level", string(operator.Read), "what the key may do: read, run or configure")
	cmd.Flags().StringVar(&expires, "expires", "90d", "when it ends: 90d, 36h; at most 366d")
	return cmd
}

// graphURL returns the base URL that scripts use in place of https://graph.microsoft.com/v1.0.
func (c *command) graphURL(d directory.Directory) string {
	return c.baseURL() + "/d/" + d.Name + "/graph/v1.0"
}

func (c *command) directoryKeyList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY", Short: "List a directory's API keys, without their secrets", Args: exactArguments("DIRECTORY"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := s.keys.Keys(cmd.Context(), string(h.Directory.ID))
			if err != nil {
				return err
			}
			out := []keyJSON{}
			lines := [][]string{}
			for _, k := range all {
				out = append(out, c.keyJSON(k))
				lines = append(lines, []string{"…" + k.Last4, k.Name, string(k.Level), c.keyState(k), c.formatTime(k.Created), c.formatTime(k.LastUsed), c.formatTime(k.Expires)})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No API key yet. Make one with: rollcall directory key create "+h.Directory.Name,
					[]string{"Key", "Name", "May", "State", "Created", "Last used", "Expires"}, lines)
			})
		}),
	}
}

func (c *command) directoryKeyRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke DIRECTORY LAST4|ID", Short: "End an API key at once, everywhere", Args: exactArguments("DIRECTORY", "LAST4|ID"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := s.keys.Keys(cmd.Context(), string(h.Directory.ID))
			if err != nil {
				return err
			}
			k, err := operator.PickKey(all, args[1], c.now())
			if err != nil {
				return err
			}
			if err := s.keys.RevokeKey(cmd.Context(), string(h.Directory.ID), k.ID, actor); err != nil {
				return err
			}
			return c.print(map[string]string{"revoked": k.Last4, "id": k.ID}, func(w io.Writer) {
				fmt.Fprintf(w, "API key %s is revoked: the next request with it is refused.\n", k.Label())
			})
		}),
	}
}
