package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) appMapping() *cobra.Command {
	return groupCommand("mapping", "Attribute mappings of an application (ATTRIBUTE is a target attribute)",
		c.mappingList(), c.mappingShow(), c.mappingSet(), c.mappingRemove(), c.mappingMove(),
		c.mappingConfigure(), c.mappingFilter(), c.mappingRestoreDefault(), c.mappingVersion())
}

// mappingFlags select a mapping of an application; --yes answers the question before a change.
type mappingFlags struct {
	groups, yes bool // whether --groups and --yes were given
}

// register adds the flags to a command.
func (f *mappingFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.groups, "groups", false, "the mapping of groups instead of that of users")
}

// objectMapping returns the mapping that the flags select.
func (f *mappingFlags) objectMapping(s *provision.Schema) (*provision.ObjectMapping, error) {
	if f.groups {
		return s.GroupMapping()
	}
	return s.UserMapping()
}

// rowJSON is a row of a mapping in --json output.
type rowJSON struct {
	Place      int    `json:"place"` // the place of the row in the mapping, from 1
	Target     string `json:"target"`
	Type       string `json:"type"`
	Source     string `json:"source,omitempty"`
	Default    string `json:"default,omitempty"`
	Precedence int    `json:"precedence,omitempty"` // the matching precedence; 0 if it is not a matching attribute
	Apply      string `json:"apply"`                // when the row is applied
	FlowNull   bool   `json:"flowNull"`
}

func rowsOf(s *provision.Schema, m *provision.ObjectMapping) []rowJSON {
	out := make([]rowJSON, len(m.AttributeMappings))
	for i := range m.AttributeMappings {
		r := s.Row(m, &m.AttributeMappings[i])
		out[i] = rowJSON{i + 1, r.Target, string(r.Type), r.Source, r.Default, r.Precedence, string(r.Apply), r.FlowNull}
	}
	return out
}

// findRow returns the row that writes a target attribute. It returns an error if there is none.
func findRow(s *provision.Schema, m *provision.ObjectMapping, target string) (rowJSON, error) {
	for _, r := range rowsOf(s, m) {
		if r.Target == target {
			return r, nil
		}
	}
	return rowJSON{}, fmt.Errorf("%s is not mapped in %q: rollcall app mapping list shows the rows", target, m.Name)
}

func (c *command) mappingList() *cobra.Command {
	var f mappingFlags
	cmd := &cobra.Command{
		Use: "list DIRECTORY APP", Short: "List the rows of a mapping: what each target attribute gets", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := s.jobs.Get(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			m, err := f.objectMapping(job.Schema)
			if err != nil {
				return err
			}
			out := rowsOf(job.Schema, m)
			lines := make([][]string, len(out))
			for i, r := range out {
				match := ""
				if r.Precedence > 0 {
					match = strconv.Itoa(r.Precedence)
				}
				lines[i] = []string{strconv.Itoa(r.Place), r.Target, sourceWords(r), match}
			}
			for _, name := range job.Schema.UnmappedRequired(m) {
				c.note("Required in the attribute list, and not mapped: %s", oneLine(name))
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "The mapping has no rows.", []string{"Place", "Target attribute", "Value", "Matching precedence"}, lines)
			})
		}),
	}
	f.register(cmd)
	return cmd
}

// sourceWords describes the source of a row in one line: an attribute in brackets, a constant in
// quotation marks, or an expression unchanged.
func sourceWords(r rowJSON) string {
	words := r.Source
	switch provision.MappingType(r.Type) {
	case provision.DirectMapping:
		words = "[" + r.Source + "]"
	case provision.ConstantMapping:
		words = strconv.Quote(r.Source)
	case provision.NoMapping:
		words = "None"
	}
	if r.Default != "" {
		words += ", default " + strconv.Quote(r.Default)
	}
	return words
}

func (c *command) mappingShow() *cobra.Command {
	var f mappingFlags
	cmd := &cobra.Command{
		Use: "show DIRECTORY APP [ATTRIBUTE]", Short: "Show one row of a mapping, or what it says besides its rows", Args: between(2, "DIRECTORY", "APP", "ATTRIBUTE"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			job, err := s.jobs.Get(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			m, err := f.objectMapping(job.Schema)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return c.printMapping(m)
			}
			r, err := findRow(job.Schema, m, args[0])
			if err != nil {
				return err
			}
			return c.print(r, func(w io.Writer) { printRow(w, r) })
		}),
	}
	f.register(cmd)
	return cmd
}

func printRow(w io.Writer, r rowJSON) {
	matches, flows := "no", "no"
	if r.Precedence > 0 {
		matches = strconv.Itoa(r.Precedence)
	}
	if r.FlowNull {
		flows = "yes"
	}
	fmt.Fprintf(w, "Target attribute       %s\nMapping type           %s\nValue                  %s\nDefault value if null  %s\nMatching precedence    %s\nApply this mapping     %s\nFlow null values       %s\nPlace                  %d\n",
		oneLine(r.Target), r.Type, oneLine(r.Source), oneLine(r.Default), matches, r.Apply, flows, r.Place)
}

// rowFlags hold the properties of a row that `app mapping set` can change.
type rowFlags struct {
	mappingFlags
	source, constant, expression, defaultValue, apply string // the values of --source, --constant, --expression, --default and --apply
	none, flowNull                                    bool   // whether --none and --flow-null are on
	match                                             int    // the value of --match: the matching precedence
}

func (c *command) mappingSet() *cobra.Command {
	var f rowFlags
	cmd := &cobra.Command{
		Use: "set DIRECTORY APP ATTRIBUTE", Short: "Add a row to a mapping, or change it", Args: exactArguments("DIRECTORY", "APP", "ATTRIBUTE"),
		Long: `Sets what ATTRIBUTE gets. Changes what the flags name and leaves the rest. A new row needs
one of --source, --constant, --expression and --none.

Asks first when users in scope then get other values, or when accounts would be switched off.
--yes answers that question.`,
		Example: `  rollcall app mapping set contoso Acme displayName --expression 'Join(" ", [givenName], [surname])'
  rollcall app mapping set contoso Acme externalId --source objectId --match 2`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			edit, err := f.edit(cmd)
			if err != nil {
				return err
			}
			var added bool
			before, after, err := c.editSchema(cmd, s, h, app, f.yes, func(now provision.Job) (provision.Job, error) {
				m, err := f.objectMapping(now.Schema)
				if err != nil {
					return now, err
				}
				row, replaces := provision.RowEdit{Target: args[0], Apply: provision.FlowAlways}, ""
				for i := range m.AttributeMappings {
					if m.AttributeMappings[i].TargetAttributeName == args[0] {
						row, replaces = now.Schema.Row(m, &m.AttributeMappings[i]), args[0]
					}
				}
				if added = replaces == ""; added && !f.hasValue(cmd) {
					return now, usagef(cmd, "%s is not mapped yet: give --source, --constant, --expression or --none", args[0])
				}
				edit(&row)
				return now.SetRow(m.Name, replaces, row, s.jobs.Attributes)
			})
			if err != nil {
				return c.withPointer(f.expression, err)
			}
			did := "changed"
			switch {
			case added:
				did = "added"
			case before.LookAtAll == after.LookAtAll:
				did = "like that before"
			}
			if err := c.noteRow(after, &f.mappingFlags, args[0]); err != nil {
				return err
			}
			return c.printChangedRow(after, &f.mappingFlags, args[0], did)
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.source, "source", "", "Direct: the source attribute")
	cmd.Flags().StringVar(&f.constant, "constant", "", "Constant: the value")
	cmd.Flags().StringVar(&f.expression, "expression", "", "Expression: how the value is made")
	cmd.Flags().BoolVar(&f.none, "none", false, "None: only --default, for accounts that have no value")
	cmd.Flags().StringVar(&f.defaultValue, "default", "", "Default value if null; none for no default value")
	cmd.Flags().IntVar(&f.match, "match", 0, "Matching precedence, from 1; 0: no account is found by this attribute")
	cmd.Flags().StringVar(&f.apply, "apply", "", "always, or creation: only during object creation")
	cmd.Flags().BoolVar(&f.flowNull, "flow-null", false, "Flow null values; --flow-null=false switches it off")
	yesFlag(cmd, &f.yes)
	return cmd
}

// hasValue reports whether a flag says where the row's value comes from.
func (f *rowFlags) hasValue(cmd *cobra.Command) bool {
	given := cmd.Flags().Changed
	return given("source") || given("constant") || given("expression") || f.none
}

// edit returns a function that applies the given flags to a row.
func (f *rowFlags) edit(cmd *cobra.Command) (func(*provision.RowEdit), error) {
	given := cmd.Flags().Changed
	var edits []func(*provision.RowEdit)
	values := 0
	for _, v := range []struct {
		given bool
		kind  provision.MappingType
		text  string
	}{
		{given("source"), provision.DirectMapping, f.source},
		{given("constant"), provision.ConstantMapping, f.constant},
		{given("expression"), provision.ExpressionMapping, f.expression},
		{f.none, provision.NoMapping, ""},
	} {
		if v.given {
			values++
			edits = append(edits, func(r *provision.RowEdit) { r.Type, r.Source = v.kind, v.text })
		}
	}
	if values > 1 {
		return nil, usagef(cmd, "--source, --constant, --expression and --none exclude each other")
	}
	if given("default") {
		edits = append(edits, func(r *provision.RowEdit) {
			if r.Default = f.defaultValue; r.Default == "none" {
				r.Default = ""
			}
		})
	}
	if given("match") {
		edits = append(edits, func(r *provision.RowEdit) { r.Precedence = f.match })
	}
	if given("apply") {
		apply, err := parseOneOf(cmd, "apply", f.apply, "always", "creation")
		if err != nil {
			return nil, err
		}
		flow := map[string]provision.AttributeFlowType{"always": provision.FlowAlways, "creation": provision.FlowObjectAddOnly}[apply]
		edits = append(edits, func(r *provision.RowEdit) { r.Apply = flow })
	}
	if given("flow-null") {
		edits = append(edits, func(r *provision.RowEdit) { r.FlowNull = f.flowNull })
	}
	if len(edits) == 0 {
		return nil, usagef(cmd, "nothing to set: give at least one of --source, --constant, --expression, --none, --default, --match, --apply, --flow-null")
	}
	return func(r *provision.RowEdit) {
		for _, edit := range edits {
			edit(r)
		}
	}, nil
}

// noteRow prints the same hints about a row as the row's page shows.
func (c *command) noteRow(job provision.Job, f *mappingFlags, target string) error {
	m, err := f.objectMapping(job.Schema)
	if err != nil {
		return err
	}
	for i := range m.AttributeMappings {
		if m.AttributeMappings[i].TargetAttributeName != target {
			continue
		}
		for _, n := range job.RowNotes(m.Name, job.Schema.Row(m, &m.AttributeMappings[i])) {
			c.note("Note: line %d, column %d: %s.", n.Line, n.Column, n.Message)
		}
	}
	return nil
}

// printChangedRow prints a row after a change.
func (c *command) printChangedRow(job provision.Job, f *mappingFlags, target, did string) error {
	m, err := f.objectMapping(job.Schema)
	if err != nil {
		return err
	}
	r, err := findRow(job.Schema, m, target)
	if err != nil {
		return err
	}
	for _, name := range job.Schema.UnmappedRequired(m) {
		c.note("Required in the attribute list, and not mapped: %s", oneLine(name))
	}
	return c.print(r, func(w io.Writer) { fmt.Fprintf(w, "The mapping of %s was %s.\n", oneLine(target), did) })
}

func (c *command) mappingRemove() *cobra.Command {
	var f mappingFlags
	cmd := &cobra.Command{
		Use: "remove DIRECTORY APP ATTRIBUTE", Short: "Remove a row of a mapping", Args: exactArguments("DIRECTORY", "APP", "ATTRIBUTE"),
		Long: `Removes the row of ATTRIBUTE. Values that accounts have stay, and are no longer kept up to
date. Asks first; --yes answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			noun := "accounts"
			if f.groups {
				noun = "groups"
			}
			question := fmt.Sprintf("This removes the mapping of %s: it is no longer kept up to date at %s, and %s keep the value that they have.", args[0], app.Name, noun)
			_, after, err := c.editSchemaAsking(cmd, s, h, app, f.yes, question, func(now provision.Job) (provision.Job, error) {
				m, err := f.objectMapping(now.Schema)
				if err != nil {
					return now, err
				}
				return now.RemoveRow(m.Name, args[0], s.jobs.Attributes)
			})
			if err != nil {
				return err
			}
			m, err := f.objectMapping(after.Schema)
			if err != nil {
				return err
			}
			for _, name := range after.Schema.UnmappedRequired(m) {
				c.note("Required in the attribute list, and not mapped: %s", oneLine(name))
			}
			return c.print(map[string]string{"removed": args[0]}, func(w io.Writer) { fmt.Fprintf(w, "The mapping of %s was removed.\n", oneLine(args[0])) })
		}),
	}
	f.register(cmd)
	yesFlag(cmd, &f.yes)
	return cmd
}

func (c *command) mappingMove() *cobra.Command {
	var f mappingFlags
	cmd := &cobra.Command{
		Use: "move DIRECTORY APP ATTRIBUTE PLACE", Short: "Move a row to another place, from 1; values are sent in this order", Args: exactArguments("DIRECTORY", "APP", "ATTRIBUTE", "PLACE"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			place, err := strconv.Atoi(args[1])
			if err != nil {
				return usagef(cmd, "PLACE is a number from 1, not %q", args[1])
			}
			_, after, err := c.editSchema(cmd, s, h, app, true, func(now provision.Job) (provision.Job, error) {
				m, err := f.objectMapping(now.Schema)
				if err != nil {
					return now, err
				}
				return now.MoveRow(m.Name, args[0], place, s.jobs.Attributes)
			})
			if err != nil {
				return err
			}
			return c.printChangedRow(after, &f, args[0], fmt.Sprintf("moved to place %d", place))
		}),
	}
	f.register(cmd)
	return cmd
}

func (c *command) mappingRestoreDefault() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "restore-default DIRECTORY APP", Short: "Restore default mappings: all rows, scoping filters and attribute lists", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Sets the mappings that a new application has: rows, scoping filters, Target Object Actions
and attribute lists. The mappings of today stay as a version. Asks first; --yes answers
that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			now, err := s.jobs.Get(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			after, err := s.jobs.WithDefaultMappings(now)
			if err != nil {
				return err
			}
			harm, disabled, err := mappingHarm(cmd.Context(), s, h, app, now, after)
			if err != nil && !isInputError(err) { // the default mappings may replace mappings that cannot be used
				return err
			}
			question := "This sets the default mappings and scoping filters of " + app.Name + ", and everybody is looked at again."
			if changes := provision.ChangeWords(now.Schema, after.Schema, 10); len(changes) > 0 {
				question += " Changed: " + strings.Join(changes, "; ") + "."
			}
			question = strings.TrimSpace(question + " " + harm)
			if err := c.confirm(cmd, yes, question, app.Name); err != nil {
				return err
			}
			job, err := s.jobs.RestoreDefaultMappings(cmd.Context(), now.Key, now.LookAtAll, disabled, actor)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"restored": true, "revision": job.LookAtAll}, func(w io.Writer) { fmt.Fprintf(w, "The default mappings of %s are set.\n", oneLine(app.Name)) })
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// editSchema saves a change of the mappings in one transaction. It asks first if the change affects
// people. It asks again if that effect changes before the user answers. It returns the job before
// and after the change.
func (c *command) editSchema(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, yes bool, decide func(provision.Job) (provision.Job, error)) (before, after provision.Job, err error) {
	return c.editSchemaAsking(cmd, s, h, app, yes, "", decide)
}

// editSchemaAsking is like editSchema, but its question begins with the text in always. If that
// text is not empty, editSchemaAsking asks the question even if the change affects no one.
func (c *command) editSchemaAsking(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, yes bool, always string, decide func(provision.Job) (provision.Job, error)) (before, after provision.Job, err error) {
	err = c.untilAgreed(cmd, yes, app.Name, func(agree func(string) error) error {
		var err error
		after, err = s.jobs.EditSchema(cmd.Context(), jobKey(h, app), func(now provision.Job) (provision.Job, error) {
			before = now
			changed, err := decide(now)
			if err != nil {
				return changed, err
			}
			harm, disabled, err := mappingHarm(cmd.Context(), s, h, app, now, changed)
			if err != nil && !(yes && isInputError(err)) { // with --yes, a mapping that cannot be used yet may be saved
				return now, err
			}
			changed.Confirmed += int64(disabled)
			return changed, agree(strings.TrimSpace(always + " " + harm))
		}, actor)
		return err
	})
	return before, after, err
}

// allowMappings returns a function that checks a replacement of a job's mappings. The function
// calls agree with a description of the effect on people, and returns how many accounts may be
// disabled.
func (c *command) allowMappings(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, yes bool, agree func(string) error) func(before, after provision.Job) (disabled int, err error) {
	return func(before, after provision.Job) (int, error) {
		harm, disabled, err := mappingHarm(cmd.Context(), s, h, app, before, after)
		if err != nil {
			if yes && isInputError(err) { // with --yes, a mapping that cannot be used yet may be saved
				return 0, nil
			}
			return 0, err
		}
		return disabled, agree(harm)
	}
}

// untilAgreed calls save until the user agrees to the effect. save calls agree with a question
// about its effect; the question is "" if no confirmation is needed. If the user has not agreed to
// this question yet, agree returns an error that ends save. Then untilAgreed asks the user the
// question, and calls save again.
func (c *command) untilAgreed(cmd *cobra.Command, yes bool, word string, save func(agree func(question string) error) error) error {
	agreed := ""
	for {
		var question string
		err := save(func(q string) error {
			if question = q; yes || q == agreed {
				return nil
			}
			return errUnconfirmed
		})
		if !errors.Is(err, errUnconfirmed) {
			return err
		}
		if err := c.confirm(cmd, yes, question, word); err != nil {
			return err
		}
		agreed = question
	}
}

func isInputError(err error) bool {
	var input *provision.InputError
	return errors.As(err, &input)
}

// mappingHarm describes how changed mappings affect people. The description is "" if no
// confirmation is needed. disabled is the number of accounts that the changed mappings may disable.
func mappingHarm(ctx context.Context, s *services, h *directory.Handle, app directory.Application, now, after provision.Job) (harm string, disabled int, err error) {
	accounts, _, err := harmBetween(ctx, s, h, app, now, after)
	if err != nil {
		return "", 0, err
	}
	e, err := s.jobs.Effect(ctx, now, after)
	if err != nil {
		return "", 0, err
	}
	does := e.ValueSentences(app.Name, phrase.Count)
	does = append(does, e.Sentences(app.Name, phrase.Count)...)
	was, err := now.Schema.UserMapping()
	if err != nil {
		return "", 0, err
	}
	is, err := after.Schema.UserMapping()
	if err != nil {
		return "", 0, err
	}
	if provision.StopsDisabling(was, is) && e.Linked > 0 {
		does = append(does, fmt.Sprintf("No row tells %s any more who must not have access: %s as they are when their users leave.", app.Name, phrase.Count(e.Linked, "linked account stays", "linked accounts stay")))
	}
	switch {
	case accounts != "":
		does = append(does, accounts)
	case e.Leave > 0:
		does = append(does, fmt.Sprintf("This leaves %s out of scope.", phrase.Count(e.Leave, "user", "users")))
	}
	return strings.Join(does, " "), e.MayDisable(), nil
}
