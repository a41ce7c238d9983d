package expr

import (
	"strings"
	"unicode"
)

// caseFunctions returns the functions that change the case or the accents of letters.
func caseFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "ToLower", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source"), optional("culture").ofType(TextType)},
				Summary:    "The source in small letters.",
				Details: []string{
					"Without a culture name the invariant rules apply, which leave `İ` alone. With a Turkish or Azerbaijani one (`tr-TR`, `az-AZ`), `I` becomes `ı` and `İ` becomes `i`.",
					"Each value of a multi-valued source is changed; null stays null.",
					"A difference in case alone is sent only if the target attribute is marked *Exact case*.",
				},
				Examples: []Example{
					{Expression: `ToLower([mail])`, Given: attributesOf("mail", "Ada.Lovelace@Example.com"), Result: "ada.lovelace@example.com"},
					{Expression: `ToLower("ISPARTA", "tr-TR")`, Result: "ısparta"},
				},
			},
			eval: evalToLower, appliesToEachValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "ToUpper", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source"), optional("culture").ofType(TextType)},
				Summary:    "The source in capital letters.",
				Details: []string{
					"Without a culture name the invariant rules apply, which leave `ı` alone. With a Turkish or Azerbaijani one (`tr-TR`, `az-AZ`), `i` becomes `İ` and `ı` becomes `I`.",
					"Each value of a multi-valued source is changed; null stays null.",
				},
				Examples: []Example{
					{Expression: `ToUpper([country])`, Given: attributesOf("country", "no"), Result: "NO"},
					{Expression: `ToUpper("izmir", "tr-TR")`, Result: "İZMİR"},
				},
			},
			eval: evalToUpper, appliesToEachValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "PCase", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source"), optional("wordSeparators").ofType(TextType)},
				Summary:    "The source with a capital letter at the start of each word and small letters elsewhere.",
				Details: []string{
					"Words end at spaces, punctuation and symbols, as in .NET. An apostrophe inside a word does not end it: `don't` becomes `Don't`.",
					"With wordSeparators, only those characters separate words. They stay in the string.",
					"Each value of a multi-valued source is changed; null stays null.",
				},
				Examples: []Example{
					{Expression: `PCase([firstName])`, Given: attributesOf("firstName", "PABLO GONSALVES (SECOND)"), Result: "Pablo Gonsalves (Second)"},
					{Expression: `PCase("MARY-JANE O'NEILL", " '")`, Result: "Mary-jane O'Neill"},
				},
			},
			eval: evalPCase, appliesToEachValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "NormalizeDiacritics", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source")},
				Summary:    "The source with accented letters replaced by plain ones.",
				Details: []string{
					"Exactly the letters of Microsoft's table are replaced, whether they are one character or a letter with combining marks. `ø` becomes `oe`, `æ` becomes `ae`, `ß` becomes `ss` and `ł` becomes `l`.",
					"Every other character stays, such as `đ` and `þ`. Each value of a multi-valued source is changed; null stays null.",
				},
				Examples: []Example{
					{Expression: `NormalizeDiacritics([givenName])`, Given: attributesOf("givenName", "Zoë"), Result: "Zoe"},
					{Expression: `NormalizeDiacritics("Øystein Åsgård Weiß")`, Result: "OEystein Asgard Weiss"},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				return n.evalEach(r, func(s string) (string, error) { return normalizeDiacritics(s), nil })
			},
			appliesToEachValue: true,
		},
	}
}

func evalToLower(n *node, r *evaluation) (Value, error) {
	return evalCase(n, r, invariantLower, strings.ToLowerSpecial)
}

func evalToUpper(n *node, r *evaluation) (Value, error) {
	return evalCase(n, r, invariantUpper, strings.ToUpperSpecial)
}

// evalCase evaluates a call of ToLower or ToUpper. It converts with special if the call names a
// Turkic culture, and otherwise with invariant.
func evalCase(n *node, r *evaluation, invariant func(string) string, special func(unicode.SpecialCase, string) string) (Value, error) {
	convert := invariant
	if n.hasArgument(1) {
		culture, err := n.evalSingle(r, 1)
		if err != nil {
			return Null(), err
		}
		turkic, ok := parseCulture(culture.text)
		if !ok {
			return Null(), n.errorAt(n.args[1], r.quoteForMessage(culture)+" is not a culture name such as en-US or tr-TR")
		}
		if turkic {
			convert = func(s string) string { return special(unicode.TurkishCase, s) }
		}
	}
	return n.evalEach(r, func(s string) (string, error) { return convert(s), nil })
}

// invariantLower converts a string to lower case. Like .NET's invariant culture, it keeps the
// dotted capital İ.
func invariantLower(s string) string {
	return convertAllBut(s, "İ", strings.ToLower)
}

// invariantUpper converts a string to upper case. Like .NET's invariant culture, it keeps the
// dotless small ı.
func invariantUpper(s string) string {
	return convertAllBut(s, "ı", strings.ToUpper)
}

func convertAllBut(s, kept string, convert func(string) string) string {
	if !strings.Contains(s, kept) {
		return convert(s)
	}
	parts := strings.Split(s, kept)
	for i, part := range parts {
		parts[i] = convert(part)
	}
	return strings.Join(parts, kept)
}

// parseCulture reads the name of a culture, which is a language tag. turkic is true for Turkish and
// Azerbaijani, in which the letter i has a case rule of its own. "" means the invariant culture. ok
// is false if the name has the wrong form.
//
// RFC 4646 §2.1: a language of letters, then subtags of at most eight letters and digits.
func parseCulture(name string) (turkic, ok bool) {
	if name == "" {
		return false, true
	}
	subtags := strings.Split(name, "-")
	for i, subtag := range subtags {
		if len(subtag) == 0 || len(subtag) > 8 || i == 0 && len(subtag) < 2 {
			return false, false
		}
		for j := range len(subtag) {
			c := subtag[j]
			if c == '_' || !isLetter(c) && (i == 0 || !isDigit(c)) {
				return false, false
			}
		}
	}
	return strings.EqualFold(subtags[0], "tr") || strings.EqualFold(subtags[0], "az"), true
}

func evalPCase(n *node, r *evaluation) (Value, error) {
	separates := func(c rune) bool {
		if c < unicode.MaxASCII {
			return c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a' || c > 'z'
		}
		return unicode.In(c, unicode.Z, unicode.Cc, unicode.Cf, unicode.P, unicode.S)
	}
	chosen := n.hasArgument(1)
	if chosen {
		separators, err := n.evalSingle(r, 1)
		if err != nil {
			return Null(), err
		}
		separates = func(c rune) bool { return strings.ContainsRune(separators.text, c) }
	}
	return n.evalEach(r, func(s string) (string, error) {
		inWord := false
		return strings.Map(func(c rune) rune {
			switch {
			case inWord && c == '\'' && !chosen:
				return c
			case separates(c):
				inWord = false
				return c
			case inWord:
				return c
			case unicode.IsLetter(c):
				inWord = true
				return unicode.ToTitle(c)
			default:
				return c
			}
		}, invariantLower(s)), nil
	})
}
