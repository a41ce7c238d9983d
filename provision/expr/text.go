package expr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textFunctions returns the functions that search, cut and join strings.
func textFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "Append", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source"), required("suffix").ofType(TextType)},
				Summary:    "The source with the suffix after it.",
				Details:    []string{"If the source is null, the result is null: no suffix stands alone. Each value of a multi-valued source gets the suffix."},
				Examples: []Example{
					{Expression: `Append([userPrincipalName], ".test")`, Given: attributesOf("userPrincipalName", "ada@example.com"), Result: "ada@example.com.test"},
					{Expression: `Append([userPrincipalName], ".test")`, ResultIsNull: true},
				},
			},
			eval: evalAppend, appliesToEachValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "InStr", DocumentedIn: Provisioning, Yields: NumberType,
				Parameters: []Parameter{
					required("value1").ofType(TextType), required("value2").ofType(TextType), optional("start").ofType(NumberType),
					{Name: "compareType", Words: []string{"vbTextCompare", "vbBinaryCompare"}},
				},
				Summary: "Where the second string begins in the first, counted from 1; 0 if it does not occur.",
				Details: []string{
					"The search begins at the character `start`, 1 if it is not given. Case counts, unless compareType is the bare word `vbTextCompare`.",
				},
				Examples: []Example{
					{Expression: `InStr("The quick brown fox", "quick")`, Result: "5"},
					{Expression: `InStr("The quick brown fox", "wolf")`, Result: "0"},
					{Expression: `InStr("The quick brown fox", "QUICK", 1, vbTextCompare)`, Result: "5"},
					{Expression: `InStr("repeated", "e", 3)`, Result: "4"},
				},
			},
			eval: evalInStr,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Join", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("separator").ofType(TextType), {Name: "source", Required: true, Repeats: true}},
				Summary:    "The sources in one string, with the separator between them.",
				Details: []string{
					"A source that is null or empty contributes nothing, not even a separator. A multi-valued source contributes each of its values.",
					"If nothing remains, the result is the empty string, not null.",
				},
				Examples: []Example{
					{Expression: `Join(" ", [givenName], [surname])`, Given: attributesOf("givenName", "Ada", "surname", "Lovelace"), Result: "Ada Lovelace"},
					{Expression: `Join(", ", "", [surname], [givenName])`, Given: attributesOf("givenName", "Ada", "surname", "Lovelace"), Result: "Lovelace, Ada"},
				},
			},
			eval:             evalJoin,
			arrangeArguments: dropEmptyArguments(1),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Left", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("string").ofType(TextType), required("numChars").ofType(NumberType)},
				Summary:    "The first characters of the source.",
				Details: []string{
					"The number 0 gives the empty string. A negative number, and one larger than the string, gives the whole string. Null gives the empty string.",
					"Characters are those of Unicode, so that none is cut in two.",
				},
				Examples: []Example{
					{Expression: `Left("John Doe", 3)`, Result: "Joh"},
					{Expression: `Left("John Doe", -1)`, Result: "John Doe"},
					{Expression: `Left([displayName], 3)`, Result: ""},
				},
			},
			eval: evalLeft,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Mid", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source").ofType(TextType), required("start").ofType(NumberType), required("length").ofType(NumberType)},
				Summary:    "Some characters of the source, from the start on; the first character is 1.",
				Details: []string{
					"If the length goes past the end, the result ends there. The length 0 gives the empty string, and so does null.",
					"A negative length, and a start below 1 or past the end, gives the whole string.",
				},
				Examples: []Example{
					{Expression: `Mid("John Doe", 3, 5)`, Result: "hn Do"},
					{Expression: `Mid([userPrincipalName], 1, 8)`, Given: attributesOf("userPrincipalName", "ada@example.com"), Result: "ada@exam"},
					{Expression: `Mid("John", 9, 2)`, Result: "John"},
				},
			},
			eval: evalMid,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "StripSpaces", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source")},
				Summary:    "The source without spaces.",
				Details:    []string{"Only the space character goes; tabs and line breaks stay. Each value of a multi-valued source is changed; null stays null."},
				Examples:   []Example{{Expression: `StripSpaces([displayName])`, Given: attributesOf("displayName", "Ada  King Lovelace"), Result: "AdaKingLovelace"}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				return n.evalEach(r, func(s string) (string, error) { return strings.ReplaceAll(s, " ", ""), nil })
			},
			appliesToEachValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Trim", DocumentedIn: CloudSync, Yields: TextType,
				Parameters: []Parameter{required("value")},
				Summary:    "The source without white space at its ends.",
				Details:    []string{"Each value of a multi-valued source is changed; null stays null."},
				Examples:   []Example{{Expression: `Trim(" Test ")`, Result: "Test"}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				return n.evalEach(r, func(s string) (string, error) { return strings.TrimSpace(s), nil })
			},
			appliesToEachValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Word", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("string").ofType(TextType), required("wordNumber").ofType(NumberType), required("delimiters").ofType(TextType)},
				Summary:    "One word of the source, counted from 1.",
				Details: []string{
					"Each character of the delimiters separates words; several in a row make no empty word. A number below 1, a number that is too large and a null source give the empty string.",
				},
				Examples: []Example{
					{Expression: `Word("The quick brown fox", 3, " ")`, Result: "brown"},
					{Expression: `Word("first.last@example.com", 2, ".@")`, Result: "last"},
					{Expression: `Word("one", 2, " ")`, Result: ""},
				},
			},
			eval: evalWord,
		},
	}
}

func evalAppend(n *node, r *evaluation) (Value, error) {
	suffix, err := n.evalSingle(r, 1)
	if err != nil {
		return Null(), err
	}
	return n.evalEach(r, func(s string) (string, error) {
		return s + suffix.text, n.checkSize(len(s) + len(suffix.text))
	})
}

// evalJoin joins the sources that are neither null nor empty.
func evalJoin(n *node, r *evaluation) (Value, error) {
	separator, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	parts := make([]string, 0, 8)
	size := 0
	add := func(part string) error {
		if part == "" {
			return nil
		}
		if len(parts) > 0 {
			size += len(separator.text)
		}
		size += len(part)
		parts = append(parts, part)
		return n.checkSize(size)
	}
	for _, arg := range n.args[1:] {
		v, err := arg.eval(r)
		if err != nil {
			return Null(), err
		}
		if err := add(v.text); err != nil {
			return Null(), err
		}
		for _, part := range v.list {
			if err := add(part); err != nil {
				return Null(), err
			}
		}
	}
	return String(strings.Join(parts, separator.text)), nil
}

func evalLeft(n *node, r *evaluation) (Value, error) {
	source, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	count, err := n.evalRequiredWhole(r, 1)
	if err != nil {
		return Null(), err
	}
	if count < 0 {
		return String(source.text), nil
	}
	return String(source.text[:prefixBytes(source.text, count)]), nil
}

func evalMid(n *node, r *evaluation) (Value, error) {
	source, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	start, err := n.evalRequiredWhole(r, 1)
	if err != nil {
		return Null(), err
	}
	length, err := n.evalRequiredWhole(r, 2)
	if err != nil {
		return Null(), err
	}
	text := source.text
	switch {
	case length == 0:
		return String(""), nil
	case length < 0 || start < 1:
		return String(text), nil
	}
	from := prefixBytes(text, start-1)
	if from == len(text) {
		return String(text), nil
	}
	return String(text[from : from+prefixBytes(text[from:], length)]), nil
}

// prefixBytes returns how many bytes the first count characters of s have. If s has fewer
// characters, it returns the length of s.
func prefixBytes(s string, count int64) int {
	if count >= int64(len(s)) {
		return len(s)
	}
	at := 0
	for ; count > 0 && at < len(s); count-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at
}

func evalInStr(n *node, r *evaluation) (Value, error) {
	text, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	part, err := n.evalSingle(r, 1)
	if err != nil {
		return Null(), err
	}
	start := int64(1)
	if n.hasArgument(2) {
		if start, err = n.evalRequiredWhole(r, 2); err != nil {
			return Null(), err
		}
		if start < 1 {
			return Null(), n.failAt(n.args[2], fmt.Sprintf("start of InStr must be 1 or more and is %d", start))
		}
	}
	whole, sought := text.text, part.text
	if n.hasArgument(3) && n.args[3].text == "vbTextCompare" {
		whole, sought = foldCase(whole), foldCase(sought)
	}
	from := prefixBytes(whole, start-1)
	if whole == "" || from == len(whole) && sought != "" {
		return numberValue(0), nil
	}
	at := strings.Index(whole[from:], sought)
	if at < 0 {
		return numberValue(0), nil
	}
	return numberValue(int64(utf8.RuneCountInString(whole[:from+at])) + 1), nil
}

// foldCase returns s in a form that is the same for strings that differ only in case. The form has
// as many characters as s.
func foldCase(s string) string {
	return strings.Map(func(c rune) rune { return unicode.ToLower(unicode.ToUpper(c)) }, s)
}

func evalWord(n *node, r *evaluation) (Value, error) {
	source, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	wanted, err := n.evalRequiredWhole(r, 1)
	if err != nil {
		return Null(), err
	}
	delimiters, err := n.evalSingle(r, 2)
	if err != nil {
		return Null(), err
	}
	if wanted < 1 {
		return String(""), nil
	}
	for word := range strings.FieldsFuncSeq(source.text, func(c rune) bool { return strings.ContainsRune(delimiters.text, c) }) {
		if wanted--; wanted == 0 {
			return String(word), nil
		}
	}
	return String(""), nil
}
