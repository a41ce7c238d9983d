package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

func (c *command) siteSchema() *cobra.Command {
	return groupCommand("schema", "A site's own schemas and resource types", c.siteSchemaShow(), c.siteSchemaSet(), c.siteSchemaClear())
}

// typeJSON is a resource type of a site in --json output.
type typeJSON struct {
	Name       string   `json:"name"`
	Endpoint   string   `json:"endpoint"`
	Schema     string   `json:"schema"`
	Extensions []string `json:"extensions"`
}

func (c *command) siteSchemaShow() *cobra.Command {
	var document bool
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a site's resource types, or its document of schemas", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if document {
				if st.Schemas == nil {
					return fmt.Errorf("%s has no schemas of its own; it gets some with: rollcall site schema set %s FILE", st.Name, st.Name)
				}
				_, err := fmt.Fprintf(c.stdout, "%s\n", st.Schemas)
				return err
			}
			return c.printTypes(st)
		}),
	}
	cmd.Flags().BoolVar(&document, "document", false, "print the document as it was set, ready for schema set")
	return cmd
}

func (c *command) printTypes(st site.Site) error {
	g, err := scim.NewRegistry(st.Schemas)
	if err != nil {
		return fmt.Errorf("read the schemas of %s: %w", st.Name, err)
	}
	out, lines := []typeJSON{}, [][]string{}
	for _, rt := range g.Types() {
		t := typeJSON{Name: rt.Name, Endpoint: rt.Endpoint, Schema: rt.Schema.ID, Extensions: []string{}}
		lines = append(lines, []string{rt.Name, rt.Endpoint, rt.Schema.ID})
		for _, e := range rt.Extensions {
			t.Extensions = append(t.Extensions, e.Schema.ID)
			extension := "+ " + e.Schema.ID
			if e.Required {
				extension += " (required)"
			}
			lines = append(lines, []string{"", "", extension})
		}
		out = append(out, t)
	}
	return c.print(map[string]any{"site": st.Name, "own": json.RawMessage(nullIfEmpty(st.Schemas)), "resourceTypes": out}, func(w io.Writer) {
		printTable(w, "", []string{"Resource type", "Endpoint", "Schemas"}, lines)
	})
}

func nullIfEmpty(doc []byte) []byte {
	if doc == nil {
		return []byte("null")
	}
	return doc
}

func (c *command) siteSchemaSet() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "set NAME FILE", Short: "Give a site extension schemas and resource types", Args: exactArguments("NAME", "FILE"),
		Long: `Reads FILE (- is standard input), a JSON document that takes the place of the
one before:

  {
    "schemas":       [ schemas in the form of RFC 7643 section 7 ],
    "resourceTypes": [ resource types in the form of RFC 7643 section 6 ],
    "extensions":    [ {"resourceType": "User", "schema": "urn:…", "required": false} ]
  }

Discovery, filters, PATCH and validation follow. Additions are always possible. A
change that would harm stored resources is refused: it removes an attribute of
which resources have values, for example, or requires one that resources lack.

With --force the change drops the data that prevents it: values of attributes that
no longer exist, all but the first of equal values that must become unique, and
resources whose type no longer exists. It drops all of that or nothing. Only a
backup, or the next full cycle of the identity provider, brings the data back.
Without --force the refusal says what would be dropped.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			in, err := c.openInput(args[1])
			if err != nil {
				return err
			}
			defer in.Close()
			doc, err := io.ReadAll(io.LimitReader(in, scim.MaxRegistryBytes+1))
			if err != nil {
				return err
			}
			return c.setSchemas(cmd, s, args[0], args[1], doc, force)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "drop for good what stored resources have that the document has no place for")
	return cmd
}

func (c *command) siteSchemaClear() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "clear NAME", Short: "Take a site's own schemas and resource types away", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			return c.setSchemas(cmd, s, args[0], "", nil, force)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "drop for good what stored resources have under them")
	return cmd
}

// setSchemas changes the schemas of a site. It prints one line for each conflict that prevents the
// change, or for each value that the change dropped.
func (c *command) setSchemas(cmd *cobra.Command, s *services, name, file string, doc []byte, force bool) error {
	st, err := s.siteByName(cmd.Context(), name)
	if err != nil {
		return err
	}
	var changed site.Site
	var dropped []string
	if force {
		changed, dropped, err = s.sites.ForceSchemas(cmd.Context(), st.ID, doc, actor, "", s.rosters.DropStranded)
	} else {
		changed, err = s.sites.SetSchemas(cmd.Context(), st.ID, doc, actor)
	}
	var wrong *scim.RegistryError
	used, inUse := refusal.DataOf[*site.SchemasInUse](err)
	switch {
	case errors.As(err, &wrong):
		for _, p := range wrong.Problems {
			c.note("%s: %s", file, p)
		}
		return errAlreadyPrinted
	case inUse:
		c.printSchemaConflicts(st.Name, used)
		return errAlreadyPrinted
	case err != nil:
		return err
	}
	for _, line := range dropped {
		c.note("Dropped: %s", line)
	}
	return c.printTypes(changed)
}

// printSchemaConflicts prints the conflicts that prevent the change, and the values that --force
// would drop. It advises the user to make a backup first.
func (c *command) printSchemaConflicts(name string, used *site.SchemasInUse) {
	for _, u := range used.Uses {
		c.note("%s", u)
	}
	for _, stuck := range used.Stuck {
		c.note("This cannot be forced: %s", stuck)
	}
	c.note("Nothing was changed.")
	if len(used.Stuck) > 0 {
		return
	}
	lost := used.Lost()
	if len(lost) == 0 {
		c.note("--force sets the document all the same; it drops nothing.")
		return
	}
	c.note("--force sets the document all the same, and drops for good:")
	for _, line := range lost {
		c.note("  %s", line)
	}
	c.note("To be able to go back, keep a backup of the database and the document of now: rollcall site schema show %s --document. Without a backup, setting that document again lets the next full cycle of the identity provider (Entra ID: Restart provisioning) bring back what it has.", name)
}

// ownSchemas describes in words the schemas that a site has configured.
func ownSchemas(st site.Site) string {
	if st.Schemas == nil {
		return "none"
	}
	return "yes (rollcall site schema show " + st.Name + ")"
}
