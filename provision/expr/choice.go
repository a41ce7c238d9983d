package expr

import (
	"fmt"
	"strings"
)

// choiceFunctions returns the functions that choose between values or test a value.
func choiceFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "Switch", DocumentedIn: Provisioning,
				Parameters: []Parameter{
					required("source").ofType(TextType),
					optional("defaultValue"),
					{Name: "key", Key: "switchValue", Required: true, Repeats: true, Takes: TextType},
					{Name: "value", Key: "switchValue", Required: true, Repeats: true},
				},
				Summary: "The value of the first key that equals the source, else the default.",
				Details: []string{
					"Keys are compared as strings, and case counts. Only the chosen value is evaluated.",
					"The default may be left empty, as in `Switch([city], , \"Oslo\", \"NO\")`; then the result is null if no key matches.",
					"An odd number of arguments means that the default was left out altogether: `Switch([city], \"Oslo\", \"NO\")` is read, printed and stored as `Switch([city], , \"Oslo\", \"NO\")`. Entra refuses the short form.",
					"The key `\"\"` matches an attribute that is empty and one that is absent.",
				},
				Examples: []Example{
					{Expression: `Switch([IsSoftDeleted], , "False", "True", "True", "False")`, Given: attributesOf("IsSoftDeleted", "False"), Result: "True"},
					{Expression: `Switch([country], [country], "", "Other")`, Result: "Other"},
					{Expression: `Switch([city], , "Oslo", "NO")`, Given: attributesOf("city", "Bergen"), ResultIsNull: true},
				},
			},
			eval:             evalSwitch,
			arrangeArguments: arrangeSwitch,
			addNotes:         adviseSwitch,
			passedArguments: func(count int) []int {
				results := []int{1}
				for i := 3; i < count; i += 2 {
					results = append(results, i)
				}
				return results
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "IIF", DocumentedIn: Provisioning,
				Parameters: []Parameter{{Name: "condition", Required: true, MayBeComparison: true}, required("valueIfTrue"), required("valueIfFalse")},
				Summary:    "One of two values, chosen by a condition.",
				Details: []string{
					"The condition is a comparison with `=`, `<>`, `>`, `>=`, `<` or `<=`, or anything that yields True or False. There is no AND and no OR: nest a second IIF in the true branch for AND, in the false branch for OR. Only the branch that is chosen is evaluated.",
					"Strings are compared character by character, and case counts. Two numbers are compared by size, two dates by time. An absent attribute counts as the empty string.",
					"In Entra the condition fails if its attribute is empty, so there write `Switch([country], [country], \"\", \"Other\")` instead of `IIF([country] = \"\", \"Other\", [country])`.",
				},
				Examples: []Example{
					{Expression: `IIF([country] = "USA", [country], [department])`, Given: attributesOf("country", "USA", "department", "Sales"), Result: "USA"},
					{Expression: `IIF([country] = "USA", IIF([state] = "CA", "True", "False"), "False")`, Given: attributesOf("country", "USA", "state", "CA"), Result: "True"},
				},
			},
			eval:            evalIIF,
			addNotes:        adviseIIF,
			passedArguments: func(int) []int { return []int{1, 2} },
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Coalesce", DocumentedIn: Provisioning,
				Parameters: []Parameter{{Name: "source", Required: true, Repeats: true}},
				Summary:    "The first argument that is not null.",
				Details: []string{
					"The empty string counts as a value. The last argument may be a default, `\"\"` too; if every argument is null, the result is null.",
				},
				Examples: []Example{
					{Expression: `Coalesce([mail], [userPrincipalName])`, Given: attributesOf("userPrincipalName", "ada@example.com"), Result: "ada@example.com"},
					{Expression: `Coalesce([mail], [otherMail], "none")`, Result: "none"},
				},
			},
			eval:             evalCoalesce,
			arrangeArguments: dropEmptyArguments(0),
			passedArguments:  allArguments,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "IgnoreFlowIfNullOrEmpty", DocumentedIn: Provisioning,
				Parameters: []Parameter{required("expression")},
				Summary:    "The value, or nothing at all for the target if it is null or empty.",
				Details:    []string{"The target attribute is then left out of the request and keeps the value it has. Write it around the whole expression: inside another function it yields null."},
				Examples: []Example{
					{Expression: `IgnoreFlowIfNullOrEmpty([department])`, Given: attributesOf("department", "Sales"), Result: "Sales"},
					{Expression: `IgnoreFlowIfNullOrEmpty(Switch([prefix], "", "3443", "Dr.", "3444", "Prof."))`, Given: attributesOf("prefix", "1"), ResultIsNoFlow: true},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				v, err := n.args[0].eval(r)
				if err == nil && v.IsNullOrEmpty() {
					return NoFlow(), nil
				}
				return v, err
			},
			passedArguments: allArguments,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "IsNull", DocumentedIn: Provisioning, Yields: BooleanType,
				Parameters: []Parameter{required("expression")},
				Summary:    "True if the argument is null, else False.",
				Details:    []string{"An absent attribute is null; an empty string is not."},
				Examples: []Example{
					{Expression: `IsNull([displayName])`, Result: "True"},
					{Expression: `IsNull([displayName])`, Given: attributesOf("displayName", ""), Result: "False"},
				},
			},
			eval: evalQuestion(func(v Value) bool { return v.IsNull() || v.IsNoFlow() }),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "IsNullOrEmpty", DocumentedIn: Provisioning, Yields: BooleanType,
				Parameters: []Parameter{required("expression")},
				Summary:    "True if the argument is null or empty, else False.",
				Examples: []Example{
					{Expression: `IsNullOrEmpty([displayName])`, Result: "True"},
					{Expression: `IsNullOrEmpty([displayName])`, Given: attributesOf("displayName", "Ada Lovelace"), Result: "False"},
				},
			},
			eval: evalQuestion(Value.IsNullOrEmpty),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "IsPresent", DocumentedIn: Provisioning, Yields: BooleanType,
				Parameters: []Parameter{required("expression")},
				Summary:    "True if the argument is neither null nor empty, else False.",
				Details:    []string{"It is the opposite of IsNullOrEmpty."},
				Examples: []Example{
					{Expression: `IsPresent([jobTitle])`, Given: attributesOf("jobTitle", "Engineer"), Result: "True"},
					{Expression: `Switch(IsPresent([jobTitle]), "none", "True", [jobTitle])`, Given: attributesOf("jobTitle", "Engineer"), Result: "Engineer"},
				},
			},
			eval: evalQuestion(func(v Value) bool { return !v.IsNullOrEmpty() }),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "IsString", DocumentedIn: Provisioning, Yields: BooleanType,
				Parameters: []Parameter{required("expression")},
				Summary:    "True if the argument can be a string, else False.",
				Details:    []string{"Numbers, booleans and dates can. Null cannot, and neither can several values."},
				Examples: []Example{
					{Expression: `IsString([mail])`, Given: attributesOf("mail", "ada@example.com"), Result: "True"},
					{Expression: `IsString([mail])`, Result: "False"},
				},
			},
			eval: evalQuestion(func(v Value) bool {
				one, ok := v.singleValue()
				return ok && !one.IsNull() && !one.IsNoFlow()
			}),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Not", DocumentedIn: Provisioning, Yields: BooleanType,
				Parameters: []Parameter{required("source").ofType(TextType)},
				Summary:    "False for True, else True.",
				Details:    []string{"Case does not matter. Null gives True."},
				Examples: []Example{
					{Expression: `Not([IsSoftDeleted])`, Given: attributesOf("IsSoftDeleted", "False"), Result: "True"},
					{Expression: `Not("True")`, Result: "False"},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				v, err := n.evalSingle(r, 0)
				return Boolean(!strings.EqualFold(v.text, "True")), err
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Error", DocumentedIn: CloudSync,
				Parameters: []Parameter{required("message").ofType(TextType)},
				Summary:    "No value: the person fails with the message.",
				Details:    []string{"Write it in a branch of IIF or Switch, which is evaluated only if it is chosen."},
				Examples: []Example{
					{Expression: `IIF(IsPresent([employeeId]), [employeeId], Error("employeeId is required"))`, Given: attributesOf("employeeId", "17"), Result: "17"},
					{Expression: `IIF(IsPresent([employeeId]), [employeeId], Error("employeeId is required"))`, ErrorText: "employeeId is required"},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				v, err := n.evalSingle(r, 0)
				if err != nil {
					return Null(), err
				}
				if r.redacted {
					v = String(redactedText)
				}
				return Null(), n.errorAt(n, truncate(v.text, 500))
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Redact", DocumentedIn: Provisioning,
				Parameters: []Parameter{required("value")},
				Summary:    "The value unchanged, hidden in the provisioning logs.",
				Details:    []string{"The logs, and a trace, show `[Redact]` instead of the value and of everything that is made from it."},
				Examples:   []Example{{Expression: `Redact([employeeId])`, Given: attributesOf("employeeId", "17"), Result: "17"}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				v, err := n.args[0].eval(r)
				r.redacted = true
				return v, err
			},
			passedArguments: allArguments,
		},
	}
}

// allArguments returns the indexes of all arguments of a call that has count arguments.
func allArguments(count int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = i
	}
	return all
}

// evalQuestion returns the eval of a function that yields True if question is true for its
// argument, and otherwise False.
func evalQuestion(question func(Value) bool) func(*node, *evaluation) (Value, error) {
	return func(n *node, r *evaluation) (Value, error) {
		v, err := n.args[0].eval(r)
		return Boolean(err == nil && question(v)), err
	}
}

// evalSwitch compares the source with each key in turn. It evaluates only the chosen value.
func evalSwitch(n *node, r *evaluation) (Value, error) {
	source, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	for i := 2; i < len(n.args); i += 2 {
		key, err := n.evalSingle(r, i)
		if err != nil {
			return Null(), err
		}
		if key.text == source.text { // the text of null is "", so null equals ""
			return n.args[i+1].eval(r)
		}
	}
	return n.args[1].eval(r)
}

// evalCoalesce returns the first argument that is not null. The empty string counts as a value.
func evalCoalesce(n *node, r *evaluation) (Value, error) {
	last := Null()
	for _, arg := range n.args {
		v, err := arg.eval(r)
		if err != nil || !v.IsNull() && !v.IsNoFlow() {
			return v, err
		}
		if v.IsNoFlow() {
			last = v
		}
	}
	return last, nil
}

// evalIIF evaluates the condition, and then only the branch that it chooses.
func evalIIF(n *node, r *evaluation) (Value, error) {
	condition, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	chosen, ok := asBoolean(condition)
	switch {
	case !ok:
		return Null(), n.errorAt(n.args[0], fmt.Sprintf("the condition of IIF must be True or False and is %s", r.quoteForMessage(condition)))
	case chosen:
		return n.args[1].eval(r)
	default:
		return n.args[2].eval(r)
	}
}

// asBoolean reads a value as a boolean. It ignores the case of True and False. A number is True
// unless it is zero. Null and the empty string are False. For any other value ok is false.
func asBoolean(v Value) (is, ok bool) {
	switch {
	case strings.EqualFold(v.text, "True"):
		return true, true
	case v.text == "", strings.EqualFold(v.text, "False"):
		return false, true
	case v.kind == KindNumber:
		return strings.Trim(v.text, "-0.") != "", true
	default:
		return false, false
	}
}
