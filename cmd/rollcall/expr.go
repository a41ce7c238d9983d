package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

func (c *command) exprCommand() *cobra.Command {
	var object string
	cmd := &cobra.Command{
		Use:   "expr EXPRESSION",
		Short: "Evaluate an attribute-mapping expression",
		Long: `Parses EXPRESSION in the language of Entra's attribute mappings and evaluates it
on the source object in --object, a JSON object of attribute names and values:

  rollcall expr 'Join(" ", [givenName], [surname])' --object person.json

Without --object it checks the expression and prints its full form.
With --json it prints the bare value: a string, a list of strings or null.`,
		Args: names("EXPRESSION"),
		RunE: func(_ *cobra.Command, args []string) error {
			e, err := expr.Parse(args[0])
			if err != nil {
				return err
			}
			if object == "" {
				return c.print(map[string]any{"expression": e.String(), "attributes": e.Attributes()}, func(w io.Writer) { fmt.Fprintln(w, e) })
			}
			env, err := c.readObject(object)
			if err != nil {
				return err
			}
			v, err := e.Eval(env)
			if err != nil {
				return err
			}
			return c.printValue(v)
		},
	}
	cmd.Flags().StringVar(&object, "object", "", "file with the source object as JSON; - is standard input")
	return cmd
}

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

// printValue prints a value for people, or with --json a string, a list of strings or null.
func (c *command) printValue(v expr.Value) error {
	if c.json {
		var bare any
		switch {
		case v.IsNull() || v.IsNoFlow():
		case v.Kind() == expr.KindList:
			bare = v.Strings()
		default:
			bare = v.Text()
		}
		enc := json.NewEncoder(forPrograms{c.stdout})
		enc.SetEscapeHTML(false)
		return enc.Encode(bare)
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
