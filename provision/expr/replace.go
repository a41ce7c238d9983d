package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// replaceFunctions returns only the function Replace. It has a file of its own, because it has five
// forms.
func replaceFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "Replace", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{
					required("source"),
					{Name: "oldValue", Key: "Find", Takes: TextType},
					optional("regexPattern").ofType(PatternType), optional("regexGroupName").ofType(TextType),
					{Name: "replacementValue", Key: "Replacement", Takes: TextType},
					optional("replacementAttributeName").ofType(TextType), optional("template").ofType(TextType),
				},
				Summary: "The source with a string or a pattern replaced. What it does follows from the arguments that are given.",
				Details: []string{
					"oldValue and replacementValue: each oldValue in the source becomes the replacement. Case counts. An empty replacement `\"\"` is given; a missing argument is not.",
					"oldValue and template: each oldValue in the template becomes the source.",
					"regexPattern and replacementValue: each match in the source becomes the replacement, in which `$1` and `${name}` stand for groups of the pattern, `$&` for the match and `$$` for a dollar sign.",
					"regexPattern, regexGroupName and replacementValue: in each match only the named group becomes the replacement, which is taken literally.",
					"regexPattern, regexGroupName and replacementAttributeName: the source if it is neither null nor empty, else the named group of the first match in the other attribute, null if nothing matches.",
					fmt.Sprintf("Patterns have .NET's syntax, with look-around and back-references. A backslash is doubled in a string: `\"\\\\d+\"`. A string that is matched has at most %d characters, and a pattern that takes longer than about %s fails the person.", MaxPatternInputChars, MatchTime) +
						" Each value of a multi-valued source is changed; a null source stays null.",
					"One output in Microsoft's documentation contradicts its own pattern: `Replace([mobile], , \"[()\\\\s-]+\", , \"\", , )` with `+1 (999) 888-7777` is printed as `19998887777`, but the pattern does not match `+`. Rollcall does what the pattern says.",
				},
				Examples: []Example{
					{Expression: `Replace([mail], "@contoso.com", , , "", , )`, Given: attributesOf("mail", "john.doe@contoso.com"), Result: "john.doe"},
					{Expression: `Replace([mailNickname], "{name}", , , , , "{name}@example.com")`, Given: attributesOf("mailNickname", "ada"), Result: "ada@example.com"},
					{Expression: `Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", , "${phoneNumber}", , )`, Given: attributesOf("telephoneNumber", "+91 9998887777"), Result: "9998887777"},
					{Expression: `Replace([userPrincipalName], , "(?<Suffix>@(.)*)", "Suffix", "", , )`, Given: attributesOf("userPrincipalName", "jsmith@contoso.com"), Result: "jsmith"},
					{Expression: `Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber", , [mobile], )`, Given: attributesOf("telephoneNumber", "", "mobile", "+91 8887779999"), Result: "8887779999"},
					{Expression: `Replace([mobile], , "[()\\s-]+", , "", , )`, Given: attributesOf("mobile", "+1 (999) 888-7777"), Result: "+19998887777"},
				},
			},
			eval: evalReplace, checkArguments: refuseReplace, appliesToEachValue: true,
		},
	}
}

// The indexes of Replace's arguments. Argument 0 is the source.
const (
	oldArgument = iota + 1
	patternArgument
	groupArgument
	newArgument
	otherArgument
	templateArgument
)

// refuseReplace returns an error for arguments that fit none of the five forms, and for an invalid
// constant pattern. It stores a constant pattern and replacement in the node.
func refuseReplace(c *checker, n *node) error {
	given := ""
	for i := oldArgument; i <= templateArgument; i++ {
		if n.hasArgument(i) {
			given += strconv.Itoa(i)
		}
	}
	switch given {
	case "14", "16", "24", "234", "235":
	default:
		return c.errorAt(n, "Replace has a combination of arguments that means nothing",
			"give oldValue with replacementValue or template; or regexPattern with replacementValue, with regexGroupName and replacementValue, or with regexGroupName and replacementAttributeName")
	}
	if !n.hasArgument(patternArgument) {
		if old, ok := n.args[oldArgument].constantText(); ok && old == "" {
			return c.errorAt(n.args[oldArgument], "oldValue of Replace is empty", "write the string to be replaced")
		}
		return nil
	}
	text, ok := n.args[patternArgument].constantText()
	if !ok {
		return nil
	}
	p, problem := compilePattern(text)
	if problem != "" {
		return c.errorAt(n.args[patternArgument], "the regular expression cannot be read: "+problem, "correct it; a backslash is doubled in a string")
	}
	n.pattern = p
	if n.hasArgument(newArgument) {
		if replacement, ok := n.args[newArgument].constantText(); ok {
			n.replacement = p.readReplacement(replacement)
		}
	}
	if n.hasArgument(groupArgument) {
		if group, ok := n.args[groupArgument].constantText(); ok && !p.hasGroup(group) {
			return c.errorAt(n.args[groupArgument], fmt.Sprintf("the regular expression has no group %s", quote(group)), "write (?<"+group+">…) in it, or name one of its groups")
		}
	}
	return nil
}

func evalReplace(n *node, r *evaluation) (Value, error) {
	switch {
	case n.hasArgument(otherArgument):
		return evalReplaceOther(n, r)
	case n.hasArgument(patternArgument):
		return evalReplacePattern(n, r)
	}
	old, err := n.evalSingle(r, oldArgument)
	if err != nil {
		return Null(), err
	}
	if old.text == "" {
		return Null(), n.errorAt(n.args[oldArgument], "oldValue of Replace is empty")
	}
	place := newArgument
	if n.hasArgument(templateArgument) {
		place = templateArgument
	}
	second, err := n.evalSingle(r, place)
	if err != nil {
		return Null(), err
	}
	return n.evalEach(r, func(source string) (string, error) {
		text, replacement := source, second.text
		if place == templateArgument {
			text, replacement = second.text, source
		}
		size := len(text) + strings.Count(text, old.text)*(len(replacement)-len(old.text))
		if err := n.checkSize(size); err != nil {
			return "", err
		}
		return strings.ReplaceAll(text, old.text, replacement), nil
	})
}

func evalReplacePattern(n *node, r *evaluation) (Value, error) {
	p, group, err := n.evalPatternAndGroup(r)
	if err != nil {
		return Null(), err
	}
	v, err := n.evalSingle(r, newArgument)
	if err != nil {
		return Null(), err
	}
	replacement := n.replacement
	switch {
	case group != "":
		replacement = []replacementPart{{text: v.text}}
	case replacement == nil:
		replacement = p.readReplacement(v.text)
	}
	return n.evalEach(r, func(source string) (string, error) {
		var b strings.Builder
		at := 0
		err := n.eachMatch(r, p, source, func(m *match) error {
			start, end := m.rangeOf(m.Group.Capture)
			from, to := start, end
			if group != "" {
				g := m.GroupByName(group)
				if g == nil || len(g.Captures) == 0 {
					return nil
				}
				from, to = m.rangeOf(g.Capture)
			}
			if from < at {
				return nil // the group begins before the end of the previous replacement, which is possible with look-behind
			}
			b.WriteString(source[at:from])
			for _, part := range replacement {
				b.WriteString(part.valueIn(m))
			}
			at = to
			return n.checkSize(b.Len())
		})
		if err != nil {
			return "", err
		}
		b.WriteString(source[at:])
		return b.String(), n.checkSize(b.Len())
	})
}

// evalReplaceOther returns the source if it has a value. Otherwise it searches the other attribute
// with the pattern and returns a group of the first match, or null if there is no match.
func evalReplaceOther(n *node, r *evaluation) (Value, error) {
	source, err := n.args[0].eval(r)
	if err != nil || !source.IsNullOrEmpty() {
		return source, err
	}
	p, group, err := n.evalPatternAndGroup(r)
	if err != nil {
		return Null(), err
	}
	other, err := n.evalSingle(r, otherArgument)
	if err != nil {
		return Null(), err
	}
	result := Null()
	err = n.eachMatch(r, p, other.text, func(m *match) error {
		if g := m.GroupByName(group); g != nil && len(g.Captures) > 0 {
			result = String(g.String())
		}
		return errStop
	})
	return result, err
}

// evalPatternAndGroup returns the pattern and the name of the group, or "" if the call names no
// group. If the pattern is a constant, the checker has already compiled it.
func (n *node) evalPatternAndGroup(r *evaluation) (p *pattern, group string, err error) {
	if p = n.pattern; p == nil {
		v, err := n.evalSingle(r, patternArgument)
		if err != nil {
			return nil, "", err
		}
		problem := ""
		start := time.Now()
		p, problem = compilePattern(v.text)
		r.matchTime.add(start)
		if problem != "" {
			return nil, "", n.errorAt(n.args[patternArgument], "the regular expression cannot be read: "+problem)
		}
	}
	if !n.hasArgument(groupArgument) {
		return p, "", nil
	}
	v, err := n.evalSingle(r, groupArgument)
	if err == nil && !p.hasGroup(v.text) {
		err = n.errorAt(n.args[groupArgument], "the regular expression has no group "+r.quoteForMessage(v))
	}
	return p, v.text, err
}

// replacementPart is a part of a replacement: a literal, or a reference such as $1 to a part of the
// match.
type replacementPart struct {
	text  string // the characters of a literal
	group string // the name or number of the group, if kind is '{'
	kind  byte   // the character after $; '{' also for a number; 0 for a literal
}

// valueIn returns the text that the part inserts for a match.
func (part replacementPart) valueIn(m *match) string {
	start, end := m.rangeOf(m.Group.Capture)
	switch part.kind {
	case '{':
		if g := m.GroupByName(part.group); g != nil && len(g.Captures) > 0 {
			return g.String()
		}
		return ""
	case '&':
		return m.source[start:end]
	case '`':
		return m.source[:start]
	case '\'':
		return m.source[end:]
	case '+':
		groups := m.Groups()
		if last := groups[len(groups)-1]; len(last.Captures) > 0 {
			return last.String()
		}
		return ""
	case '_':
		return m.source
	default:
		return part.text
	}
}

// readReplacement parses a replacement in .NET's syntax, with the references $1, ${name}, $$, $&,
// $`, $', $+ and $_. All other characters are literal, and so is a number for which the pattern has
// no group.
func (p *pattern) readReplacement(text string) []replacementPart {
	var parts []replacementPart
	literal := func(s string) {
		if last := len(parts) - 1; last >= 0 && parts[last].kind == 0 {
			parts[last].text += s
			return
		}
		parts = append(parts, replacementPart{text: s})
	}
	for text != "" {
		before, after, found := strings.Cut(text, "$")
		literal(before)
		if !found {
			break
		}
		part, length := p.readSubstitution(after)
		if length == 0 {
			literal("$")
		} else if part.kind == 0 {
			literal(part.text)
		} else {
			parts = append(parts, part)
		}
		text = after[length:]
	}
	return parts
}

// readSubstitution parses the reference after a dollar sign at the start of s. length is the number
// of bytes read, or 0 if there is no reference.
func (p *pattern) readSubstitution(s string) (part replacementPart, length int) {
	if s == "" {
		return part, 0
	}
	switch c := s[0]; {
	case c == '$':
		return replacementPart{text: "$"}, 1
	case strings.IndexByte("&`'+_", c) >= 0:
		return replacementPart{kind: c}, 1
	case c == '{':
		if name, _, ok := strings.Cut(s[1:], "}"); ok && p.hasGroup(name) {
			return replacementPart{kind: '{', group: name}, len(name) + 2
		}
	case isDigit(c):
		digits := 0
		for digits < len(s) && isDigit(s[digits]) {
			digits++
		}
		// .NET takes as many digits as form the number of a group.
		for ; digits > 0; digits-- {
			if name := strconv.Itoa(atoi(s[:digits])); p.hasGroup(name) {
				return replacementPart{kind: '{', group: name}, digits
			}
		}
	}
	return part, 0
}

func (p *pattern) hasGroup(name string) bool { return slices.Contains(p.groups, name) }

// checkLength returns an error if a string is too long for a regular expression.
func (n *node) checkLength(text string) error {
	if isTooLong(text) {
		return n.errorAt(n, tooLongMessage)
	}
	return nil
}

var tooLongMessage = fmt.Sprintf("the string has more than %d characters and cannot be matched against a regular expression", MaxPatternInputChars)

func isTooLong(text string) bool {
	return len(text) > MaxPatternInputChars && utf8.RuneCountInString(text) > MaxPatternInputChars
}
