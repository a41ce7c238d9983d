package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// replaceFunctions are Replace alone: it is five functions in one.
func replaceFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "Replace", Documented: Provisioning, Yields: TextType,
				Parameters: []Parameter{
					need("source"),
					{Name: "oldValue", Key: "Find", Takes: TextType},
					may("regexPattern").takes(PatternType), may("regexGroupName").takes(TextType),
					{Name: "replacementValue", Key: "Replacement", Takes: TextType},
					may("replacementAttributeName").takes(TextType), may("template").takes(TextType),
				},
				Summary: "The source with a string or a pattern replaced. What it does follows from the arguments that are given.",
				Details: []string{
					"oldValue and replacementValue: each oldValue in the source becomes the replacement. Case counts. An empty replacement `\"\"` is given; a missing argument is not.",
					"oldValue and template: each oldValue in the template becomes the source.",
					"regexPattern and replacementValue: each match in the source becomes the replacement, in which `$1` and `${name}` stand for groups of the pattern, `$&` for the match and `$$` for a dollar sign.",
					"regexPattern, regexGroupName and replacementValue: in each match only the named group becomes the replacement, which is taken literally.",
					"regexPattern, regexGroupName and replacementAttributeName: the source if it is neither null nor empty, else the named group of the first match in the other attribute, null if nothing matches.",
					fmt.Sprintf("Patterns have .NET's syntax, with look-around and back-references. A backslash is doubled in a string: `\"\\\\d+\"`. A string that is matched has at most %d characters, and a pattern that takes longer than about %s fails the person.", MaxPatternInput, MatchTime) +
						" Each value of a multi-valued source is changed; a null source stays null.",
					"One output in Microsoft's documentation contradicts its own pattern: `Replace([mobile], , \"[()\\\\s-]+\", , \"\", , )` with `+1 (999) 888-7777` is printed as `19998887777`, but the pattern does not match `+`. Rollcall does what the pattern says.",
				},
				Examples: []Example{
					{Expression: `Replace([mail], "@contoso.com", , , "", , )`, Given: given("mail", "john.doe@contoso.com"), Result: "john.doe"},
					{Expression: `Replace([mailNickname], "{name}", , , , , "{name}@example.com")`, Given: given("mailNickname", "ada"), Result: "ada@example.com"},
					{Expression: `Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", , "${phoneNumber}", , )`, Given: given("telephoneNumber", "+91 9998887777"), Result: "9998887777"},
					{Expression: `Replace([userPrincipalName], , "(?<Suffix>@(.)*)", "Suffix", "", , )`, Given: given("userPrincipalName", "jsmith@contoso.com"), Result: "jsmith"},
					{Expression: `Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber", , [mobile], )`, Given: given("telephoneNumber", "", "mobile", "+91 8887779999"), Result: "8887779999"},
					{Expression: `Replace([mobile], , "[()\\s-]+", , "", , )`, Given: given("mobile", "+1 (999) 888-7777"), Result: "+19998887777"},
				},
			},
			eval: evalReplace, refuse: refuseReplace, each: true,
		},
	}
}

// Places of Replace's arguments.
const (
	replaceOld = iota + 1
	replacePattern
	replaceGroup
	replaceNew
	replaceOther
	replaceTemplate
)

// refuseReplace checks that the arguments are one of the five forms, and the pattern if it is a constant.
func refuseReplace(c *checker, n *node) error {
	given := ""
	for i := replaceOld; i <= replaceTemplate; i++ {
		if n.given(i) {
			given += strconv.Itoa(i)
		}
	}
	switch given {
	case "14", "16", "24", "234", "235":
	default:
		return c.fail(n, "Replace has a combination of arguments that means nothing",
			"give oldValue with replacementValue or template; or regexPattern with replacementValue, with regexGroupName and replacementValue, or with regexGroupName and replacementAttributeName")
	}
	if !n.given(replacePattern) {
		if old, ok := n.args[replaceOld].constant(); ok && old == "" {
			return c.fail(n.args[replaceOld], "oldValue of Replace is empty", "write the string to be replaced")
		}
		return nil
	}
	text, ok := n.args[replacePattern].constant()
	if !ok {
		return nil
	}
	p, problem := compilePattern(text)
	if problem != "" {
		return c.fail(n.args[replacePattern], "the regular expression cannot be read: "+problem, "correct it; a backslash is doubled in a string")
	}
	n.pattern = p
	if n.given(replaceGroup) {
		if group, ok := n.args[replaceGroup].constant(); ok && !p.hasGroup(group) {
			return c.fail(n.args[replaceGroup], fmt.Sprintf("the regular expression has no group %s", quote(group)), "write (?<"+group+">…) in it, or name one of its groups")
		}
	}
	return nil
}

func evalReplace(n *node, r *run) (Value, error) {
	switch {
	case n.given(replaceOther):
		return evalReplaceOther(n, r)
	case n.given(replacePattern):
		return evalReplacePattern(n, r)
	}
	old, err := n.one(r, replaceOld)
	if err != nil {
		return Null(), err
	}
	if old.text == "" {
		return Null(), n.failAt(n.args[replaceOld], "oldValue of Replace is empty")
	}
	place := replaceNew
	if n.given(replaceTemplate) {
		place = replaceTemplate
	}
	second, err := n.one(r, place)
	if err != nil {
		return Null(), err
	}
	return n.each(r, func(source string) (string, error) {
		text, replacement := source, second.text
		if place == replaceTemplate {
			text, replacement = second.text, source
		}
		size := len(text) + strings.Count(text, old.text)*(len(replacement)-len(old.text))
		if err := n.room(size); err != nil {
			return "", err
		}
		return strings.ReplaceAll(text, old.text, replacement), nil
	})
}

func evalReplacePattern(n *node, r *run) (Value, error) {
	p, group, err := n.patternAndGroup(r)
	if err != nil {
		return Null(), err
	}
	v, err := n.one(r, replaceNew)
	if err != nil {
		return Null(), err
	}
	replacement := []replacementPart{{text: v.text}}
	if group == "" {
		replacement = p.readReplacement(v.text)
	}
	return n.each(r, func(source string) (string, error) {
		var b strings.Builder
		at := 0
		err := n.matches(r, p, source, func(m *match) error {
			start, end := m.at(m.Group.Capture)
			from, to := start, end
			if group != "" {
				g := m.GroupByName(group)
				if g == nil || len(g.Captures) == 0 {
					return nil
				}
				from, to = m.at(g.Capture)
			}
			if from < at {
				return nil // look-behind found a group in text that has been written
			}
			b.WriteString(source[at:from])
			for _, part := range replacement {
				b.WriteString(part.of(m))
			}
			at = to
			return n.room(b.Len())
		})
		if err != nil {
			return "", err
		}
		b.WriteString(source[at:])
		return b.String(), n.room(b.Len())
	})
}

// evalReplaceOther takes the source if it has a value, else a group of the other attribute.
func evalReplaceOther(n *node, r *run) (Value, error) {
	source, err := n.args[0].eval(r)
	if err != nil || !source.IsNullOrEmpty() {
		return source, err
	}
	p, group, err := n.patternAndGroup(r)
	if err != nil {
		return Null(), err
	}
	other, err := n.one(r, replaceOther)
	if err != nil {
		return Null(), err
	}
	result := Null()
	err = n.matches(r, p, other.text, func(m *match) error {
		if g := m.GroupByName(group); g != nil && len(g.Captures) > 0 {
			result = String(g.String())
		}
		return errStop
	})
	return result, err
}

// patternAndGroup computes the pattern, which a constant has ready, and the name of the group, "" if none is given.
func (n *node) patternAndGroup(r *run) (p *pattern, group string, err error) {
	if p = n.pattern; p == nil {
		v, err := n.one(r, replacePattern)
		if err != nil {
			return nil, "", err
		}
		problem := ""
		start := time.Now()
		p, problem = compilePattern(v.text)
		r.matching.add(start)
		if problem != "" {
			return nil, "", n.failAt(n.args[replacePattern], "the regular expression cannot be read: "+problem)
		}
	}
	if !n.given(replaceGroup) {
		return p, "", nil
	}
	v, err := n.one(r, replaceGroup)
	if err == nil && !p.hasGroup(v.text) {
		err = n.failAt(n.args[replaceGroup], "the regular expression has no group "+r.shown(v))
	}
	return p, v.text, err
}

// replacementPart is a literal, or what stands for a part of the match.
type replacementPart struct {
	text  string
	group string // name or number of a group
	kind  byte   // 0, or the character after $
}

func (part replacementPart) of(m *match) string {
	start, end := m.at(m.Group.Capture)
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

// readReplacement reads a replacement of .NET: $1, ${name}, $$, $&, $`, $', $+ and $_. Anything else stands for itself, such as
// the number of a group that the pattern does not have.
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

// readSubstitution reads what follows a dollar sign; length is 0 if that is nothing special.
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
		// .NET takes as many digits as name a group.
		for ; digits > 0; digits-- {
			if name := strconv.Itoa(atoi(s[:digits])); p.hasGroup(name) {
				return replacementPart{kind: '{', group: name}, digits
			}
		}
	}
	return part, 0
}

func (p *pattern) hasGroup(name string) bool { return slices.Contains(p.groups, name) }

// matched checks the length of a string before it is matched.
func (n *node) matched(text string) error {
	if len(text) > MaxPatternInput && utf8.RuneCountInString(text) > MaxPatternInput {
		return n.failAt(n, fmt.Sprintf("the string has more than %d characters and cannot be matched against a regular expression", MaxPatternInput))
	}
	return nil
}
