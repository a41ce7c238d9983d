package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
)

// exprFlags are the flags of rollcall expr.
type exprFlags struct {
	object     string                 // the path of a file with a source object; "-" is standard input
	attributes []string               // values of --attribute, each NAME=VALUE
	directory  string                 // the name of a directory; empty for none
	user       string                 // the user of the directory with whose attributes to evaluate; empty for none
	sample     int                    // on how many random people of the directory to evaluate; 0 for none
	trace      bool                   // whether to print each step of the evaluation
	taken      []string               // the values of --taken, which the application is assumed to have already
	domain     string                 // the default domain of the directory that --directory names
	app        string                 // the application whose attributes the expression may use; may be empty
	target     string                 // the target attribute of --app that the expression must suit; may be empty
	checkFits  func(expr.Value) error // returns an error if a value cannot be sent to --target; nil if --directory is not given
}

func (c *command) exprCommand() *cobra.Command {
	var f exprFlags
	cmd := &cobra.Command{
		Use:   "expr EXPRESSION",
		Short: "Evaluate an attribute-mapping expression",
		Long: `Parses EXPRESSION in the language of Entra's attribute mappings and evaluates it:
on attributes that you give, on a JSON object of attribute names and values, on a
person of a directory, or on people of a directory drawn at random.

  rollcall expr 'Join(" ", [givenName], [surname])' --attribute givenName=Ada --attribute surname=King
  rollcall expr 'Join(" ", [givenName], [surname])' --object person.json
  rollcall expr 'Join(" ", [givenName], [surname])' --directory contoso --user ada@contoso.com
  rollcall expr 'Join(" ", [givenName], [surname])' --directory contoso --sample 10
  rollcall expr 'Join(" ", [givenName], [surname])' --directory contoso --app Acme --target displayName --sample 10

With --app it may read what the application's attribute list of the directory has,
and people have their roles there; IsSoftDeleted is True for those out of scope. With
--target it must suit that attribute of the application, and so must each value.

Without any of these it evaluates an expression that reads no attribute. If the
expression reads attributes, it checks the expression and prints its full form.
It changes nothing and asks no application: SelectUniqueValue takes the values
of --taken as those that exist.
With --json it prints the bare value: a string, a list of strings or null.`,
		Args: exactArguments("EXPRESSION"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.expr(cmd, args[0], f) },
	}
	cmd.Flags().StringVar(&f.object, "object", "", "file with the source object as JSON; - is standard input")
	cmd.Flags().StringArrayVar(&f.attributes, "attribute", nil, "an attribute as NAME=VALUE; can be repeated, the same name for several values")
	cmd.Flags().StringVar(&f.directory, "directory", "", "directory with the people of --user or --sample")
	cmd.Flags().StringVar(&f.user, "user", "", "a person of the directory: userPrincipalName or object id")
	cmd.Flags().IntVar(&f.sample, "sample", 0, "how many people of the directory to draw at random")
	cmd.Flags().StringVar(&f.app, "app", "", "an application of the directory, for its attribute lists, roles and scope")
	cmd.Flags().StringVar(&f.target, "target", "", "the target attribute of the application that would get the value")
	cmd.Flags().BoolVar(&f.trace, "trace", false, "show what each part yields, as a tree")
	cmd.Flags().StringArrayVar(&f.taken, "taken", nil, "a value that the application already has, for SelectUniqueValue; can be repeated")
	return cmd
}

// expr evaluates the expression on the object that the flags select, and prints the result.
func (c *command) expr(cmd *cobra.Command, text string, f exprFlags) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	e, err := expr.Parse(text)
	if err != nil {
		return c.withPointer(text, err)
	}
	if f.trace && f.lacksObject(e) {
		return usagef(cmd, "--trace needs a source object: give --attribute, --object or --directory")
	}
	for _, n := range e.Notes() {
		c.note("Note: line %d, column %d: %s.", n.Line, n.Column, n.Message)
	}
	switch {
	case f.directory != "":
		return c.exprDirectory(cmd.Context(), text, e, f)
	case f.lacksObject(e):
		return c.print(map[string]any{"expression": e.String(), "attributes": e.Attributes()}, func(w io.Writer) { fmt.Fprintln(w, e) })
	}
	env, err := c.givenObject(cmd, f)
	if err != nil {
		return err
	}
	return c.evaluate(text, e, c.exprEnv(f, env.Attribute), f)
}

// lacksObject reports whether the expression reads attributes but no flag gives an object.
func (f exprFlags) lacksObject(e *expr.Expr) bool {
	return f.directory == "" && f.object == "" && len(f.attributes) == 0 && len(e.Attributes()) > 0
}

// check returns an error if the given flags contradict each other.
func (f exprFlags) check(cmd *cobra.Command) error {
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	switch {
	case given("object") && given("attribute"):
		return usagef(cmd, "--object and --attribute both give the source object: use one of them")
	case f.directory != "" && (given("object") || given("attribute")):
		return usagef(cmd, "--directory takes the attributes from a directory: leave out --object and --attribute")
	case f.directory == "" && (given("user") || given("sample") || given("database")):
		return usagef(cmd, "--user, --sample and --database need a directory: name it with --directory")
	case f.directory != "" && given("user") == given("sample"):
		return usagef(cmd, "--directory needs a person, --user NAME, or a number of people, --sample N")
	case f.app != "" && f.directory == "":
		return usagef(cmd, "--app is an application of a directory: name it with --directory")
	case f.target != "" && f.app == "":
		return usagef(cmd, "--target is an attribute of an application: name it with --app")
	case given("sample") && (f.sample < 1 || f.sample > 1000):
		return usagef(cmd, "--sample is a number from 1 to 1000, not %d", f.sample)
	case f.trace && given("sample"):
		return usagef(cmd, "--trace shows one person: use --user instead of --sample")
	}
	return nil
}

// exprEnv returns the environment of an evaluation. Its random values are new each time, and
// Rollcall does not keep them.
func (c *command) exprEnv(f exprFlags, attribute func(string) expr.Value) expr.Env {
	return expr.Env{
		Attribute: attribute, Now: c.now(), Random: rand.Reader,
		DefaultDomain: f.domain,
		Taken: func(value string) (bool, error) {
			return slices.ContainsFunc(f.taken, func(taken string) bool { return strings.EqualFold(taken, value) }), nil
		},
	}
}

// givenObject returns an environment with the source object of --object or --attribute.
func (c *command) givenObject(cmd *cobra.Command, f exprFlags) (expr.Env, error) {
	if f.object != "" {
		return c.readObject(f.object)
	}
	values := map[string][]string{}
	for _, pair := range f.attributes {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return expr.Env{}, usagef(cmd, "--attribute is NAME=VALUE, not %q", pair)
		}
		values[name] = append(values[name], value)
	}
	return expr.Env{Attribute: func(name string) expr.Value {
		if len(values[name]) == 1 {
			return expr.String(values[name][0])
		}
		return expr.List(values[name])
	}}, nil
}

// readObject reads the attributes of an object from a JSON file, or from standard input if name is
// "-".
func (c *command) readObject(name string) (expr.Env, error) {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(io.LimitReader(c.stdin, 1<<20))
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return expr.Env{}, err
	}
	env, err := expr.EnvFromJSON(text)
	if err != nil {
		return expr.Env{}, fmt.Errorf("--object %s: %w", name, err)
	}
	return env, nil
}

// exprDirectory evaluates the expression on one person of a directory, or on a sample of its
// people.
func (c *command) exprDirectory(ctx context.Context, text string, e *expr.Expr, f exprFlags) error {
	s, err := c.openServices(ctx, wiring{readOnly: true, mustExist: true})
	if err != nil {
		return err
	}
	defer s.db.Close() //nolint:errcheck // nothing was written
	h, err := s.directories.OpenNamed(ctx, f.directory)
	if err != nil {
		return err
	}
	f.domain = h.Directory.DefaultDomain
	place := expr.Place{Source: directoryAttributes()}
	f.checkFits = func(expr.Value) error { return nil }
	read := func(_ context.Context, u directory.User) (func(string) expr.Value, error) {
		return personAttribute(u), nil
	}
	if f.app != "" {
		if place, read, err = s.exprApplication(ctx, h, &f); err != nil {
			return err
		}
	}
	problems, notes := e.Check(place)
	if len(problems) > 0 {
		return c.withPointer(text, problems[0])
	}
	if e.Draws() {
		c.note("Note: values are examples. An account gets a random or unique value when it is created, and keeps it.")
	}
	for _, n := range notes {
		c.note("Note: line %d, column %d: %s.", n.Line, n.Column, n.Message)
	}
	if f.user != "" {
		u, err := findUser(ctx, h, f.user)
		if err != nil {
			return err
		}
		attribute, err := read(ctx, u)
		if err != nil {
			return err
		}
		return c.evaluate(text, e, c.exprEnv(f, attribute), f)
	}
	people, err := sampleUsers(ctx, h, f.sample)
	if err != nil {
		return err
	}
	return c.evaluateSample(ctx, e, people, read, f)
}

// readAttributes is a function that reads a user's attributes. It returns another function, which
// returns the value of the attribute with a given name.
type readAttributes func(context.Context, directory.User) (func(string) expr.Value, error)

// exprApplication returns the attributes that an expression in the user mapping of an application
// may read and write. It also returns a function that reads a user's attributes as that application
// sees them. It sets f.checkFits if --target is given.
func (s *services) exprApplication(ctx context.Context, h *directory.Handle, f *exprFlags) (expr.Place, readAttributes, error) {
	app, err := h.Application(ctx, f.app)
	if err != nil {
		return expr.Place{}, nil, err
	}
	job, err := s.jobs.Get(ctx, jobKey(h, app))
	if err != nil {
		return expr.Place{}, nil, err
	}
	m, err := job.Schema.UserMapping()
	if err != nil {
		return expr.Place{}, nil, err
	}
	admits, err := m.Admits()
	if err != nil {
		return expr.Place{}, nil, err
	}
	place, err := job.ExpressionPlace(m, f.target)
	if err == nil && f.target != "" {
		f.checkFits, err = job.FitsTarget(m, f.target)
	}
	return place, func(ctx context.Context, u directory.User) (func(string) expr.Value, error) {
		seen, err := h.Object(ctx, app.ID, u.ObjectID)
		if err != nil {
			return nil, err
		}
		admitted, err := admits(source.User(seen))
		if err != nil {
			return nil, err
		}
		values := seen.Attributes()
		values["IsSoftDeleted"] = u.IsDeleted() || !u.AccountEnabled || !admitted || !seen.Assigned && job.Scope != provision.Everyone
		return attributeReader(values), nil
	}, err
}

// directoryAttributes returns the attributes that every directory has.
func directoryAttributes() []expr.Attribute {
	list := []expr.Attribute{{Name: "IsSoftDeleted", Type: expr.AttributeBoolean}}
	for _, name := range directory.SourceNames() {
		if a, ok := directory.SourceAttribute(name); ok {
			list = append(list, expr.Attribute{Name: name, Type: expr.AttributeType(a.Type), Multivalued: a.MultiValued})
		}
	}
	return list
}

// personAttribute returns a function that returns the values of a person's attributes, as a mapping
// reads them. IsSoftDeleted gets the value that it has if the person is in the scope of an
// application.
func personAttribute(u directory.User) func(string) expr.Value {
	values := directory.Object{User: u}.Attributes()
	values["IsSoftDeleted"] = u.IsDeleted() || !u.AccountEnabled
	return attributeReader(values)
}

// attributeReader returns a function that returns the value of an attribute for an expression.
func attributeReader(values map[string]any) func(string) expr.Value {
	return func(name string) expr.Value {
		switch v := values[name].(type) {
		case string:
			return expr.String(v)
		case bool:
			return expr.Boolean(v)
		case []string:
			return expr.List(v)
		default:
			return expr.Null()
		}
	}
}

// sampleUsers picks count users of a directory at random, each with the same probability.
func sampleUsers(ctx context.Context, h *directory.Handle, count int) ([]directory.User, error) {
	var drawn []directory.User
	seen := 0
	err := h.EachUser(ctx, directory.UserQuery{}, func(u directory.User) error {
		seen++
		if len(drawn) < count {
			drawn = append(drawn, u)
		} else if i := mathrand.IntN(seen); i < count {
			drawn[i] = u
		}
		return nil
	})
	return drawn, err
}

// evaluate evaluates the expression and prints its value. With --trace it prints each step as well.
func (c *command) evaluate(text string, e *expr.Expr, env expr.Env, f exprFlags) error {
	if !f.trace {
		v, err := e.Eval(env)
		if err != nil {
			return c.withPointer(text, err)
		}
		if err := c.printValue(v); err != nil {
			return err
		}
		return f.checkTarget(v)
	}
	v, steps, err := e.Trace(env)
	if c.json {
		if printErr := c.print(map[string]any{"value": v.Plain(), "trace": steps}, nil); printErr != nil {
			return printErr
		}
	} else {
		printStep(peopleWriter{c.stdout}, steps, "", "")
	}
	if err != nil {
		return c.withPointer(text, err)
	}
	return f.checkTarget(v)
}

// checkTarget returns an error if a value cannot be sent to --target.
func (f exprFlags) checkTarget(v expr.Value) error {
	if f.checkFits == nil {
		return nil
	}
	return f.checkFits(v)
}

// printStep prints a step and its inner steps as a tree. first is the prefix of the first line, and
// others is the prefix of the other lines.
func printStep(w io.Writer, s *expr.Step, first, others string) {
	fmt.Fprintf(w, "%s%s%s\n", first, shorten(s.Expression, 100), stepResult(s))
	for i, child := range s.Steps {
		if i == len(s.Steps)-1 {
			printStep(w, child, others+"└─ ", others+"   ")
		} else {
			printStep(w, child, others+"├─ ", others+"│  ")
		}
	}
}

// stepResult returns the result of a step as --trace prints it.
func stepResult(s *expr.Step) string {
	isConstant := strings.HasPrefix(s.Expression, `"`) && len(s.Steps) == 0
	switch {
	case s.Skipped:
		return "  (not evaluated)"
	case s.Err != nil:
		return "  fails"
	case isConstant && !s.IsRedacted():
		return ""
	}
	return "  = " + formatResult(s.Value, s.IsRedacted())
}

// formatResult returns a value as one line of text for people.
func formatResult(v expr.Value, redacted bool) string {
	switch {
	case redacted:
		return "[Redact]"
	case v.IsNull():
		return "null"
	case v.IsNoFlow():
		return "nothing flows"
	}
	parts := make([]string, len(v.Strings()))
	for i, part := range v.Strings() {
		parts[i] = `"` + shorten(part, 80) + `"`
	}
	if v.Kind() == expr.KindList {
		return "several: " + strings.Join(parts, ", ")
	}
	return parts[0]
}

func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// evaluateSample prints the value for each person, and how many people get no value or an error.
func (c *command) evaluateSample(ctx context.Context, e *expr.Expr, people []directory.User, read readAttributes, f exprFlags) error {
	type result struct {
		User  string `json:"user"`
		Value any    `json:"value"`
		Error string `json:"error,omitempty"`
	}
	results, lines := make([]result, len(people)), make([][]string, len(people))
	empty, failed := 0, 0
	for i, u := range people {
		attribute, err := read(ctx, u)
		if err != nil {
			return err
		}
		v, err := e.Eval(c.exprEnv(f, attribute))
		if err == nil {
			err = f.checkTarget(v)
		}
		results[i] = result{User: u.UPN(), Value: v.Plain()}
		lines[i] = []string{u.UPN(), formatResult(v, false)}
		switch {
		case err != nil:
			failed++
			results[i].Error, lines[i][1] = err.Error(), "fails: "+err.Error()
		case v.IsNullOrEmpty():
			empty++
		}
	}
	return c.print(results, func(w io.Writer) {
		printTable(w, "The directory has no users.", []string{"User", "Value"}, lines)
		if len(people) > 0 {
			fmt.Fprintf(w, "%s: %d without a value, %d failed.\n", phrase.Count(len(people), "person", "people"), empty, failed)
		}
	})
}

// withPointer prints the expression with a pointer to the place of the error, and returns the
// error.
func (c *command) withPointer(text string, err error) error {
	line, column := 0, 0
	var syntax *expr.SyntaxError
	var failed *expr.EvalError
	switch {
	case c.json:
		return err
	case errors.As(err, &syntax):
		line, column = syntax.Line, syntax.Column
	case errors.As(err, &failed):
		line, column = failed.Line, failed.Column
	}
	if lines := strings.Split(text, "\n"); line > 0 && line <= len(lines) {
		shown, caret := excerpt(lines[line-1], column)
		c.note("  %s", shown)
		c.note("  %s^", strings.Repeat(" ", caret))
	}
	return err
}

// excerpt returns a part of line around column, which counts from 1. before is the number of
// characters of that part that come before the column.
func excerpt(line string, column int) (shown string, before int) {
	const most = 100
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == '\x7f' {
			return ' '
		}
		return r
	}, line))
	at := min(max(column-1, 0), len(runes))
	from := max(0, min(at-most/2, len(runes)-most))
	to := min(len(runes), from+most)
	prefix, suffix := "", ""
	if from > 0 {
		prefix = "…"
	}
	if to < len(runes) {
		suffix = "…"
	}
	return prefix + string(runes[from:to]) + suffix, len([]rune(prefix)) + at - from
}

// printValue prints a value for people. With --json it prints a string, a list of strings or null.
func (c *command) printValue(v expr.Value) error {
	if c.json {
		enc := json.NewEncoder(jsonWriter{c.stdout})
		enc.SetEscapeHTML(false)
		return enc.Encode(v.Plain())
	}
	switch {
	case v.IsNoFlow():
		c.note("The attribute is left out of the request.")
	case v.IsNull():
		c.note("No value: the attribute is not sent.")
	case v.Kind() == expr.KindList:
		for _, s := range v.Strings() {
			fmt.Fprintln(c.stdout, s)
		}
	default:
		fmt.Fprintln(c.stdout, v.Text())
	}
	return nil
}

// expressionWords completes the last word of an expression: a function name, or an attribute name
// after an open bracket.
func expressionWords(start string) completion {
	found := completion{unfinished: true}
	at := strings.LastIndexAny(start, "([,&=<> \n\t") + 1
	before := start[:at]
	if strings.HasSuffix(before, "[") {
		for _, a := range directoryAttributes() {
			found.names = append(found.names, before+a.Name+"]")
		}
		return found
	}
	for _, f := range expr.Functions() {
		found.names = append(found.names, before+f.Name+"(")
	}
	return found
}
