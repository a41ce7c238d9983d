package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

func (c *command) siteSearchable() *cobra.Command {
	return groupCommand("searchable", "Attributes that filters find without reading everybody", c.siteSearchableShow(), c.siteSearchableAdd(), c.siteSearchableRemove())
}

// searchableJSON is a searchable attribute in --json output.
type searchableJSON struct {
	ResourceType string `json:"resourceType"`
	Attribute    string `json:"attribute"`
	Complete     bool   `json:"complete"` // whether the index of the attribute is complete; filters use only a complete index
	Indexed      int    `json:"indexed"`
	Resources    int    `json:"resources"`
}

func (c *command) siteSearchableShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show what is declared searchable and how far it is indexed", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.printSearchable(cmd.Context(), s, st)
		}),
	}
}

func (c *command) printSearchable(ctx context.Context, s *services, st site.Site) error {
	all, err := s.rosters.Open(st).Indexing(ctx)
	if err != nil {
		return err
	}
	lines := [][]string{}
	for _, i := range all {
		lines = append(lines, []string{string(i.Type), i.Path.String(), indexedText(i)})
	}
	return c.print(map[string]any{"site": st.Name, "searchable": searchableOf(all)}, func(w io.Writer) {
		printTable(w, "Nothing is declared searchable on "+st.Name+". Declare an attribute with: rollcall site searchable add "+st.Name+" User title",
			[]string{"Resource type", "Attribute", "Index"}, lines)
	})
}

func searchableOf(all []roster.Indexing) []searchableJSON {
	out := []searchableJSON{}
	for _, i := range all {
		out = append(out, searchableJSON{string(i.Type), i.Path.String(), i.Complete, i.Done, i.Total})
	}
	return out
}

// indexedText describes in words how much of an attribute's index is built.
func indexedText(i roster.Indexing) string {
	if i.Complete {
		return "complete"
	}
	return fmt.Sprintf("%d of %d indexed, a running server goes on", i.Done, i.Total)
}

func (c *command) siteSearchableAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add NAME TYPE ATTRIBUTE...", Short: "Declare attributes of a resource type searchable", Args: atLeast("NAME", "TYPE", "ATTRIBUTE"),
		Long: `Declares attributes of the resource type TYPE (User, Group, or one of the site's
own) searchable. Filters with eq, sw, co, ew and pr on them are then answered by
an index instead of by reading every resource. Attributes are written as filters
write them: title, name.familyName, addresses.locality, an extension's with its
URN.

The index is filled by a running server, in the background; until it is complete,
filters work as before. Each attribute makes every write a little slower; a site
has ` + fmt.Sprint(site.MaxSearchable) + ` at most.`,
		Example: "  rollcall site searchable add acme User title name.familyName\n  rollcall site searchable add acme User urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if _, err := s.sites.DeclareSearchable(cmd.Context(), st.ID, scim.TypeName(args[1]), args[2:], actor); err != nil {
				return err
			}
			return c.printSearchable(cmd.Context(), s, st)
		}),
	}
}

func (c *command) siteSearchableRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME TYPE ATTRIBUTE...", Short: "Take such declarations back", Args: atLeast("NAME", "TYPE", "ATTRIBUTE"),
		Long: `Takes back what "add" declared. Filters on the attributes read every resource again
from the next one on. No data is lost; the index is cleared in the background.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := s.sites.WithdrawSearchable(cmd.Context(), st.ID, scim.TypeName(args[1]), args[2:], actor); err != nil {
				return err
			}
			return c.printSearchable(cmd.Context(), s, st)
		}),
	}
}

// searchableText says in words which attributes a site has declared searchable.
func searchableText(all []roster.Indexing) string {
	if len(all) == 0 {
		return "nothing beside what every site has"
	}
	var list []string
	for _, i := range all {
		text := i.Searchable.String()
		if !i.Complete {
			text += fmt.Sprintf(" (%d of %d indexed)", i.Done, i.Total)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
