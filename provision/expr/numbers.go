package expr

import "strings"

// numberFunctions returns the functions for numbers and booleans.
func numberFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "BitAnd", DocumentedIn: Provisioning, Yields: NumberType,
				Parameters: []Parameter{required("value1").ofType(NumberType), required("value2").ofType(NumberType)},
				Summary:    "The bits that both numbers have set.",
				Details:    []string{"A number is decimal or, after `&H`, hexadecimal. If one is null, the result is null."},
				Examples: []Example{
					{Expression: `BitAnd(&HF, &HF7)`, Result: "7"},
					{Expression: `BitAnd([userAccountControl], 2)`, Given: attributesOf("userAccountControl", "514"), Result: "2"},
				},
			},
			eval: evalBitAnd,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "CBool", DocumentedIn: Provisioning, Yields: BooleanType,
				Parameters: []Parameter{{Name: "expression", Required: true, MayBeComparison: true, Takes: TextType}},
				Summary:    "True if the expression is true or a number other than zero, else False.",
				Details:    []string{"The argument may be a comparison. Null gives False."},
				Examples: []Example{
					{Expression: `CBool([department] = "Sales")`, Given: attributesOf("department", "Sales"), Result: "True"},
					{Expression: `CBool(0)`, Result: "False"},
					{Expression: `CBool("true")`, Result: "True"},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				v, err := n.evalSingle(r, 0)
				if err != nil {
					return Null(), err
				}
				if _, ok := parseDecimal(Number(strings.TrimSpace(v.text))); ok {
					v = Number(strings.TrimSpace(v.text))
				}
				is, ok := asBoolean(v)
				return Boolean(is && ok), nil
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "CStr", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("value").ofType(TextType)},
				Summary:    "The value as a string.",
				Details:    []string{"A number gives its digits, a boolean `True` or `False`, a date the form `M/d/yyyy h:mm:ss tt`. Null stays null."},
				Examples: []Example{
					{Expression: `CStr(17)`, Result: "17"},
					{Expression: `CStr(IsPresent([mail]))`, Result: "False"},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				v, err := n.evalSingle(r, 0)
				if err != nil || v.IsNull() || v.IsNoFlow() {
					return v, err
				}
				return String(v.text), nil
			},
		},
	}
}

func evalBitAnd(n *node, r *evaluation) (Value, error) {
	a, noA, err := n.evalWhole(r, 0)
	if err != nil {
		return Null(), err
	}
	b, noB, err := n.evalWhole(r, 1)
	if err != nil || noA || noB {
		return Null(), err
	}
	return numberValue(a & b), nil
}
