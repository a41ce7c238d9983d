package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) appAttribute() *cobra.Command {
	return groupCommand("attribute", "Attribute lists: what the rows of a mapping can read and write", c.attributeList(), c.attributeSet(), c.attributeRemove())
}

// listFlags select an attribute list: --side, and the flags that select the mapping.
type listFlags struct {
	mappingFlags
	side string
}

// register adds the flags to a command.
func (f *listFlags) register(cmd *cobra.Command) {
	f.mappingFlags.register(cmd)
	cmd.Flags().StringVar(&f.side, "side", string(provision.TargetList), "target: the application's list; source: the directory's")
}

// attributeList returns the attribute list that the flags select, with its mapping and its side.
func (f *listFlags) attributeList(cmd *cobra.Command, s *provision.Schema) (*provision.ObjectMapping, provision.ListSide, []provision.ListedAttribute, error) {
	side, err := parseOneOf(cmd, "side", f.side, provision.TargetList, provision.SourceList)
	if err != nil {
		return nil, "", nil, err
	}
	m, err := f.objectMapping(s)
	if err != nil {
		return nil, "", nil, err
	}
	all, err := s.AttributeList(m, side)
	return m, side, all, err
}

// attributeJSON is an attribute of an attribute list in --json output.
type attributeJSON struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	PrimaryKey bool     `json:"primaryKey"`
	Required   bool     `json:"required"`
	MultiValue bool     `json:"multiValue"`
	ExactCase  bool     `json:"exactCase"`
	API        string   `json:"apiExpression,omitempty"`
	Referenced string   `json:"referenced,omitempty"`
	FlowNull   bool     `json:"flowNull"`
	Uses       []string `json:"uses,omitempty"`
}

func attributeForJSON(a provision.ListedAttribute) attributeJSON {
	return attributeJSON{a.Name, string(a.Type), a.PrimaryKey, a.Required, a.MultiValue, a.ExactCase, a.APIExpression, a.Referenced, a.FlowNull, a.Uses}
}

func (c *command) attributeList() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use: "list DIRECTORY APP", Short: "List the attributes of the application, or with --side source those of the directory", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := s.jobs.Get(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			_, _, all, err := f.attributeList(cmd, job.Schema)
			if err != nil {
				return err
			}
			out, lines := make([]attributeJSON, len(all)), make([][]string, len(all))
			for i, a := range all {
				out[i] = attributeForJSON(a)
				lines[i] = []string{a.Name, string(a.Type), yesWord(a.PrimaryKey), yesWord(a.Required), yesWord(a.MultiValue), yesWord(a.ExactCase), yesWord(a.FlowNull), a.Referenced}
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "The list has no attributes.", []string{"Name", "Type", "Primary key", "Required", "Multi-value", "Exact case", "Flow null values", "Referenced Object Attribute"}, lines)
			})
		}),
	}
	f.register(cmd)
	return cmd
}

func yesWord(yes bool) string {
	if yes {
		return "yes"
	}
	return ""
}

func (c *command) attributeSet() *cobra.Command {
	var f listFlags
	var a provision.ListedAttribute
	var kind string
	cmd := &cobra.Command{
		Use: "set DIRECTORY APP ATTRIBUTE", Short: "Add an attribute to a list, or change it", Args: exactArguments("DIRECTORY", "APP", "ATTRIBUTE"),
		Long: `Changes what the flags name and leaves the rest. An attribute that is not in the list is
added, as a String without --type. An attribute of a SCIM extension has its full URN.

A change that a row could not work with is refused. One that gives users other values asks
first; --yes answers that question.`,
		Example: `  rollcall app attribute set contoso Acme urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:tag`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			given := cmd.Flags().Changed
			if given("type") {
				t, err := parseOneOf(cmd, "type", kind, provision.AttributeTypes()...)
				if err != nil {
					return err
				}
				a.Type = t
			}
			added := false
			before, after, err := c.editSchema(cmd, s, h, app, f.yes, func(now provision.Job) (provision.Job, error) {
				m, side, all, err := f.attributeList(cmd, now.Schema)
				if err != nil {
					return now, err
				}
				catalog := s.jobs.CatalogOf(m)
				i := slices.IndexFunc(all, func(one provision.ListedAttribute) bool { return one.Name == args[0] })
				if added = i < 0; added {
					edit := newAttribute(args[0], side, catalog)
					applyGivenFlags(&edit, a, given)
					return now.AddAttribute(m.Name, side, edit, catalog)
				}
				applyGivenFlags(&all[i], a, given)
				return now.ChangeAttribute(m.Name, side, all[i], catalog)
			})
			if err != nil {
				return err
			}
			did := "changed"
			switch {
			case added:
				did = "added"
			case before.LookAtAll == after.LookAtAll:
				did = "like that before"
			}
			m, _, all, err := f.attributeList(cmd, after.Schema)
			if err != nil {
				return err
			}
			for _, name := range after.Schema.UnmappedRequired(m) {
				c.note("Required in the attribute list, and not mapped: %s", oneLine(name))
			}
			i := slices.IndexFunc(all, func(one provision.ListedAttribute) bool { return one.Name == args[0] })
			return c.print(attributeForJSON(all[i]), func(w io.Writer) { fmt.Fprintf(w, "The attribute %s was %s.\n", oneLine(args[0]), did) })
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&kind, "type", "", "String, Integer, Boolean, DateTime, Binary or Reference")
	cmd.Flags().BoolVar(&a.Required, "required", false, "no account is created for a person without a value")
	cmd.Flags().BoolVar(&a.MultiValue, "multi-value", false, "values are sent as a list")
	cmd.Flags().BoolVar(&a.ExactCase, "exact-case", false, "a difference of capital letters alone is sent")
	cmd.Flags().BoolVar(&a.FlowNull, "flow-null", false, "Flow null values, with --side source")
	cmd.Flags().StringVar(&a.Referenced, "referenced", "", "Referenced Object Attribute, for the type Reference")
	yesFlag(cmd, &f.yes)
	return cmd
}

// newAttribute returns an attribute to add to a list. Its properties come from the catalog.
func newAttribute(name string, side provision.ListSide, c provision.Catalog) provision.ListedAttribute {
	a := provision.ListedAttribute{Name: name, Type: provision.TypeString}
	if known, ok := c.Attribute(name); ok && side == provision.SourceList {
		a.Type, a.MultiValue = known.Type, known.MultiValued
	}
	return a
}

// applyGivenFlags sets those properties of an attribute whose flags were given.
func applyGivenFlags(a *provision.ListedAttribute, flags provision.ListedAttribute, given func(string) bool) {
	if given("type") {
		if a.Type == provision.TypeReference && flags.Type != provision.TypeReference {
			a.Referenced = ""
		}
		a.Type = flags.Type
	}
	if given("referenced") {
		a.Referenced = flags.Referenced
	}
	for name, set := range map[string]func(){
		"required":    func() { a.Required = flags.Required },
		"multi-value": func() { a.MultiValue = flags.MultiValue },
		"exact-case":  func() { a.ExactCase = flags.ExactCase },
		"flow-null":   func() { a.FlowNull = flags.FlowNull },
	} {
		if given(name) {
			set()
		}
	}
}

func (c *command) attributeRemove() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use: "remove DIRECTORY APP ATTRIBUTE", Short: "Remove an attribute from a list", Args: exactArguments("DIRECTORY", "APP", "ATTRIBUTE"),
		Long: `Removes an attribute that no row and no scoping filter uses. Nothing changes for people.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			_, _, err := c.editSchema(cmd, s, h, app, true, func(now provision.Job) (provision.Job, error) {
				m, side, _, err := f.attributeList(cmd, now.Schema)
				if err != nil {
					return now, err
				}
				return now.RemoveAttribute(m.Name, side, args[0], s.jobs.CatalogOf(m))
			})
			if err != nil {
				return err
			}
			return c.print(map[string]string{"removed": args[0]}, func(w io.Writer) { fmt.Fprintf(w, "The attribute %s was removed from the list.\n", oneLine(args[0])) })
		}),
	}
	f.register(cmd)
	return cmd
}
