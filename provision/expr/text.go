package expr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textFunctions cut strings and put them together.
func textFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "Append", Documented: Provisioning, Yields: TextType,
				Parameters: []Parameter{need("source"), need("suffix").takes(TextType)},
				Summary:    "The source with the suffix after it.",
				Details:    []string{"If the source is null, the result is null: no suffix stands alone. Each value of a multi-valued source gets the suffix."},
				Examples: []Example{
					{Expression: `Append([userPrincipalName], ".test")`, Given: given("userPrincipalName", "ada@example.com"), Result: "ada@example.com.test"},
					{Expression: `Append([userPrincipalName], ".test")`, Null: true},
				},
			},
			eval: evalAppend, each: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "InStr", Documented: Provisioning, Yields: NumberType,
				Parameters: []Parameter{
					need("value1").takes(TextType), need("value2").takes(TextType), may("start").takes(NumberType),
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
				Name: "Join", Documented: Provisioning, Yields: TextType,
				Parameters: []Parameter{need("separator").takes(TextType), {Name: "source", Required: true, Repeats: true}},
				Summary:    "The sources in one string, with the separator between them.",
				Details: []string{
					"A source that is null or empty contributes nothing, not even a separator. A multi-valued source contributes each of its values.",
					"If nothing remains, the result is the empty string, not null.",
				},
				Examples: []Example{
					{Expression: `Join(" ", [givenName], [surname])`, Given: given("givenName", "Ada", "surname", "Lovelace"), Result: "Ada Lovelace"},
					{Expression: `Join(", ", "", [surname], [givenName])`, Given: given("givenName", "Ada", "surname", "Lovelace"), Result: "Lovelace, Ada"},
				},
			},
			eval:    evalJoin,
			arrange: dropEmpty(1),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Left", Documented: Provisioning, Yields: TextType,
				Parameters: []Parameter{need("string").takes(TextType), need("numChars").takes(NumberType)},
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
				Name: "Mid", Documented: Provisioning, Yields: TextType,
				Parameters: []Parameter{need("source").takes(TextType), need("start").takes(NumberType), need("length").takes(NumberType)},
				Summary:    "Some characters of the source, from the start on; the first character is 1.",
				Details: []string{
					"If the length goes past the end, the result ends there. The length 0 gives the empty string, and so does null.",
					"A negative length, and a start below 1 or past the end, gives the whole string.",
				},
				Examples: []Example{
					{Expression: `Mid("John Doe", 3, 5)`, Result: "hn Do"},
					{Expression: `Mid([userPrincipalName], 1, 8)`, Given: given("userPrincipalName", "ada@example.com"), Result: "ada@exam"},
					{Expression: `Mid("John", 9, 2)`, Result: "John"},
				},
			},
			eval: evalMid,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "StripSpaces", Documented: Provisioning, Yields: TextType,
				Parameters: []Parameter{need("source")},
				Summary:    "The source without spaces.",
				Details:    []string{"Only the space character goes; tabs and line breaks stay. Each value of a multi-valued source is changed; null stays null."},
				Examples:   []Example{{Expression: `StripSpaces([displayName])`, Given: given("displayName", "Ada  King Lovelace"), Result: "AdaKingLovelace"}},
			},
			eval: func(n *node, r *run) (Value, error) {
				return n.each(r, func(s string) (string, error) { return strings.ReplaceAll(s, " ", ""), nil })
			},
			each: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Trim", Documented: CloudSync, Yields: TextType,
				Parameters: []Parameter{need("value")},
				Summary:    "The source without white space at its ends.",
				Details:    []string{"Each value of a multi-valued source is changed; null stays null."},
				Examples:   []Example{{Expression: `Trim(" Test ")`, Result: "Test"}},
			},
			eval: func(n *node, r *run) (Value, error) {
				return n.each(r, func(s string) (string, error) { return strings.TrimSpace(s), nil })
			},
			each: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Word", Documented: Provisioning, Yields: TextType,
				Parameters: []Parameter{need("string").takes(TextType), need("wordNumber").takes(NumberType), need("delimiters").takes(TextType)},
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

func evalAppend(n *node, r *run) (Value, error) {
	suffix, err := n.one(r, 1)
	if err != nil {
		return Null(), err
	}
	return n.each(r, func(s string) (string, error) {
		return s + suffix.text, n.room(len(s) + len(suffix.text))
	})
}

// evalJoin leaves out null and empty sources together with their separator.
func evalJoin(n *node, r *run) (Value, error) {
	separator, err := n.one(r, 0)
	if err != nil {
		return Null(), err
	}
	var b strings.Builder
	for _, arg := range n.args[1:] {
		v, err := arg.eval(r)
		if err != nil {
			return Null(), err
		}
		if v.kind != KindList {
			appendPart(&b, separator.text, v.text)
		}
		for _, part := range v.list {
			appendPart(&b, separator.text, part)
			if err := n.room(b.Len()); err != nil {
				return Null(), err
			}
		}
		if err := n.room(b.Len()); err != nil {
			return Null(), err
		}
	}
	return String(b.String()), nil
}

func appendPart(b *strings.Builder, separator, part string) {
	if part == "" {
		return
	}
	if b.Len() > 0 {
		b.WriteString(separator)
	}
	b.WriteString(part)
}

func evalLeft(n *node, r *run) (Value, error) {
	source, err := n.one(r, 0)
	if err != nil {
		return Null(), err
	}
	count, err := n.need(r, 1)
	if err != nil {
		return Null(), err
	}
	if count < 0 {
		return String(source.text), nil
	}
	return String(source.text[:characters(source.text, count)]), nil
}

func evalMid(n *node, r *run) (Value, error) {
	source, err := n.one(r, 0)
	if err != nil {
		return Null(), err
	}
	start, err := n.need(r, 1)
	if err != nil {
		return Null(), err
	}
	length, err := n.need(r, 2)
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
	from := characters(text, start-1)
	if from == len(text) {
		return String(text), nil
	}
	return String(text[from : from+characters(text[from:], length)]), nil
}

// characters is how many bytes the first count characters of s take, all of them if s is shorter.
func characters(s string, count int64) int {
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

func evalInStr(n *node, r *run) (Value, error) {
	text, err := n.one(r, 0)
	if err != nil {
		return Null(), err
	}
	part, err := n.one(r, 1)
	if err != nil {
		return Null(), err
	}
	start := int64(1)
	if n.given(2) {
		if start, err = n.need(r, 2); err != nil {
			return Null(), err
		}
		if start < 1 {
			return Null(), n.failAt(n.args[2], fmt.Sprintf("start of InStr must be 1 or more and is %d", start))
		}
	}
	whole, sought := text.text, part.text
	if n.given(3) && n.args[3].text == "vbTextCompare" {
		whole, sought = foldCase(whole), foldCase(sought)
	}
	from := characters(whole, start-1)
	if whole == "" || from == len(whole) && sought != "" {
		return number(0), nil
	}
	at := strings.Index(whole[from:], sought)
	if at < 0 {
		return number(0), nil
	}
	return number(int64(utf8.RuneCountInString(whole[:from+at])) + 1), nil
}

// foldCase makes strings that differ in case alone equal. It keeps the number of characters.
func foldCase(s string) string {
	return strings.Map(func(c rune) rune { return unicode.ToLower(unicode.ToUpper(c)) }, s)
}

func evalWord(n *node, r *run) (Value, error) {
	source, err := n.one(r, 0)
	if err != nil {
		return Null(), err
	}
	wanted, err := n.need(r, 1)
	if err != nil {
		return Null(), err
	}
	delimiters, err := n.one(r, 2)
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
