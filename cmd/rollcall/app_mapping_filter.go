package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// editMapping saves a change of one mapping of an application. It asks first if the change affects
// people or groups. It returns the changed mapping.
func (c *command) editMapping(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, f *mappingFlags, decide func(*provision.ObjectMapping) (provision.MappingEdit, error)) (*provision.ObjectMapping, error) {
	ctx := cmd.Context()
	now, err := s.jobs.Get(ctx, jobKey(h, app))
	if err != nil {
		return nil, err
	}
	m, err := f.objectMapping(now.Schema)
	if err != nil {
		return nil, err
	}
	var job provision.Job
	err = c.untilAgreed(cmd, f.yes, app.Name, func(agree func(string) error) error {
		var err error
		job, err = s.jobs.EditMapping(ctx, now.Key, m.Name, func(schema *provision.Schema, m *provision.ObjectMapping) (provision.MappingEdit, error) {
			edit, err := decide(m)
			if err != nil {
				return edit, err
			}
			before := now
			before.Schema = schema
			harm, disabled, err := editHarm(ctx, s, h, app, before, m, edit)
			if err != nil {
				return edit, err
			}
			edit.Confirmed = disabled
			return edit, agree(harm)
		}, actor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f.objectMapping(job.Schema)
}

// editHarm describes how a change of a mapping affects people or groups. The description is "" if
// no confirmation is needed. disabled is the number of accounts that the change may disable.
func editHarm(ctx context.Context, s *services, h *directory.Handle, app directory.Application, now provision.Job, m *provision.ObjectMapping, edit provision.MappingEdit) (harm string, disabled int, err error) {
	always := ""
	if m.SourceObjectName == string(provision.GroupKind) {
		switch {
		case edit.Scope != nil:
			always = fmt.Sprintf("Groups that leave the scope by this are deleted at %s, if Delete is among the Target Object Actions.", app.Name)
		case edit.Actions != nil && edit.Actions.Has(provision.FlowDelete) && !m.FlowTypes.Has(provision.FlowDelete):
			always = fmt.Sprintf("This lets provisioning delete groups at %s.", app.Name)
		}
		if always == "" {
			return "", 0, nil
		}
	}
	after := now
	if edit.Scope != nil {
		if err := now.Schema.CheckScope(m.Name, *edit.Scope, s.jobs.Attributes); err != nil {
			return "", 0, err // report a wrong clause before asking anything
		}
		after, err = after.WithScope(m.Name, *edit.Scope)
	}
	if edit.Actions != nil && err == nil {
		after, err = after.WithActions(m.Name, *edit.Actions)
	}
	if err != nil {
		return "", 0, err
	}
	harm, disabled, err = mappingHarm(ctx, s, h, app, now, after)
	return strings.TrimSpace(always + " " + harm), disabled, err
}

func (c *command) mappingConfigure() *cobra.Command {
	var f mappingFlags
	var enabled bool
	var actions string
	cmd := &cobra.Command{
		Use: "configure DIRECTORY APP", Short: "Set Enabled and the Target Object Actions of a mapping", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Sets what the flags name. The mapping of users cannot be disabled; with --groups that of
groups can. Asks first when accounts or groups could then be made, switched off or deleted.
--yes answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			given := cmd.Flags().Changed
			if !given("enabled") && !given("actions") {
				return usagef(cmd, "nothing to set: give --enabled or --actions")
			}
			var edit provision.MappingEdit
			if given("enabled") {
				edit.Enabled = &enabled
			}
			if given("actions") {
				ticked, err := parseActions(cmd, actions)
				if err != nil {
					return err
				}
				edit.Actions = &ticked
			}
			m, err := c.editMapping(cmd, s, h, app, &f, func(*provision.ObjectMapping) (provision.MappingEdit, error) { return edit, nil })
			if err != nil {
				return err
			}
			return c.printMapping(m)
		}),
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&enabled, "enabled", true, "Enabled; --enabled=false disables the mapping of groups")
	cmd.Flags().StringVar(&actions, "actions", "", "Target Object Actions: any of create,update,delete; or none")
	yesFlag(cmd, &f.yes)
	return cmd
}

// printMapping prints a mapping without its rows.
func (c *command) printMapping(m *provision.ObjectMapping) error {
	actions := actionWords(m.FlowTypes)
	return c.print(map[string]any{
		"name": m.Name, "enabled": m.Enabled, "sourceObject": m.SourceObjectName, "targetObject": m.TargetObjectName, "actions": actions, "scope": m.Scope.Words(),
	}, func(w io.Writer) {
		is := "no"
		if m.Enabled {
			is = "yes"
		}
		fmt.Fprintf(w, "Name                   %s\nEnabled                %s\nSource Object          %s\nSource Object Scope    %s\nTarget Object          %s\nTarget Object Actions  %s\n",
			oneLine(m.Name), is, m.SourceObjectName, oneLine(m.Scope.Words()), m.TargetObjectName, strings.Join(actions, ", "))
	})
}

func (c *command) mappingFilter() *cobra.Command {
	return groupCommand("filter", "Scoping filters of a mapping: the Source Object Scope", c.filterList(), c.filterSet(), c.filterRemove())
}

// filterJSON is a scoping filter in --json output.
type filterJSON struct {
	Title   string   `json:"title"`
	Clauses []string `json:"clauses"`
}

func filtersOf(m *provision.ObjectMapping) []filterJSON {
	out := []filterJSON{}
	if m.Scope == nil {
		return out
	}
	for _, g := range m.Scope.Groups {
		f := filterJSON{Title: g.Name, Clauses: []string{}}
		for _, clause := range g.Clauses {
			f.Clauses = append(f.Clauses, clause.Words())
		}
		out = append(out, f)
	}
	return out
}

func (c *command) printFilters(m *provision.ObjectMapping) error {
	out := filtersOf(m)
	return c.print(out, func(w io.Writer) {
		var lines [][]string
		for _, f := range out {
			lines = append(lines, []string{f.Title, strings.Join(f.Clauses, " and ")})
		}
		printTable(w, "No scoping filter: all records are in scope.", []string{"Filter", "Clauses"}, lines)
	})
}

func (c *command) filterList() *cobra.Command {
	var f mappingFlags
	cmd := &cobra.Command{
		Use: "list DIRECTORY APP", Short: "List the scoping filters; who passes one of them is in scope", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := s.jobs.Get(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			m, err := f.objectMapping(job.Schema)
			if err != nil {
				return err
			}
			return c.printFilters(m)
		}),
	}
	f.register(cmd)
	return cmd
}

func (c *command) filterSet() *cobra.Command {
	var f mappingFlags
	var clauses []string
	cmd := &cobra.Command{
		Use: "set DIRECTORY APP TITLE", Short: "Add a scoping filter, or give it other clauses", Args: exactArguments("DIRECTORY", "APP", "TITLE"),
		Long: "Sets the clauses of the filter TITLE, all of which must hold. A clause is ATTRIBUTE OPERATOR\nVALUE; the operators are " + operatorNames() + `.

Asks first when people leave the scope. --yes answers that question.`,
		Example: `  rollcall app mapping filter set contoso Acme Norway --clause 'country EQUALS Norway' --clause 'department IS NOT NULL'`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			if strings.TrimSpace(args[0]) == "" {
				return usagef(cmd, "TITLE is empty: give the filter a name")
			}
			if len(clauses) == 0 {
				return usagef(cmd, "--clause is missing: give at least one, such as --clause 'country EQUALS Norway'")
			}
			filter := provision.FilterGroup{Name: args[0]}
			for _, text := range clauses {
				clause, err := parseClause(cmd, text)
				if err != nil {
					return err
				}
				if value := strings.Join(clause.TargetOperand.Values, ""); len(value) > 1 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) {
					c.note("Note: the quotation marks in %s are part of the value.", clause.Words())
				}
				filter.Clauses = append(filter.Clauses, clause)
			}
			m, err := c.editFilters(cmd, s, h, app, &f, func(groups []provision.FilterGroup) ([]provision.FilterGroup, error) {
				if i := filterIndex(groups, args[0]); i >= 0 {
					groups[i] = filter
					return groups, nil
				}
				return append(groups, filter), nil
			})
			if err != nil {
				return err
			}
			return c.printFilters(m)
		}),
	}
	f.register(cmd)
	cmd.Flags().StringArrayVar(&clauses, "clause", nil, "ATTRIBUTE OPERATOR VALUE; can be repeated")
	yesFlag(cmd, &f.yes)
	return cmd
}

func operatorNames() string {
	var names []string
	for _, o := range provision.Operators() {
		names = append(names, o.Name)
	}
	return strings.Join(names, ", ")
}

// parseClause reads "ATTRIBUTE OPERATOR VALUE". If several operators fit, parseClause takes the
// longest operator.
func parseClause(cmd *cobra.Command, text string) (provision.FilterClause, error) {
	attribute, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	words := strings.Split(strings.TrimSpace(rest), " ")
	for n := min(4, len(words)); n > 0; n-- {
		for _, o := range provision.Operators() {
			if !o.Is(strings.Join(words[:n], " ")) {
				continue
			}
			c := provision.FilterClause{SourceOperandName: attribute, OperatorName: o.Name, TargetOperand: provision.FilterOperand{Values: []string{}}}
			if value := strings.TrimSpace(strings.Join(words[n:], " ")); value != "" {
				c.TargetOperand.Values = strings.Split(value, "\n")
			}
			return c, nil
		}
	}
	return provision.FilterClause{}, usagef(cmd, "--clause %q has no operator after %s: write one of %s", text, attribute, operatorNames())
}

// filterIndex returns the index of the filter with this title, or -1.
func filterIndex(groups []provision.FilterGroup, title string) int {
	return slices.IndexFunc(groups, func(g provision.FilterGroup) bool { return g.Name == title })
}

// editFilters saves a change of the scoping filters of a mapping.
func (c *command) editFilters(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, f *mappingFlags, change func([]provision.FilterGroup) ([]provision.FilterGroup, error)) (*provision.ObjectMapping, error) {
	return c.editMapping(cmd, s, h, app, f, func(m *provision.ObjectMapping) (provision.MappingEdit, error) {
		var groups []provision.FilterGroup
		if m.Scope != nil {
			groups = slices.Clone(m.Scope.Groups)
		}
		groups, err := change(groups)
		return provision.MappingEdit{Scope: &groups}, err
	})
}

func (c *command) filterRemove() *cobra.Command {
	var f mappingFlags
	cmd := &cobra.Command{
		Use: "remove DIRECTORY APP TITLE", Short: "Remove a scoping filter; without any, all records are in scope", Args: exactArguments("DIRECTORY", "APP", "TITLE"),
		Long: `Removes a scoping filter. Asks first when people leave the scope; --yes
answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			m, err := c.editFilters(cmd, s, h, app, &f, func(groups []provision.FilterGroup) ([]provision.FilterGroup, error) {
				i := filterIndex(groups, args[0])
				if i < 0 {
					return nil, fmt.Errorf("there is no scoping filter %q: rollcall app mapping filter list shows them", args[0])
				}
				return slices.Delete(groups, i, i+1), nil
			})
			if err != nil {
				return err
			}
			return c.printFilters(m)
		}),
	}
	f.register(cmd)
	yesFlag(cmd, &f.yes)
	return cmd
}
