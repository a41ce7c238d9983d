package csv

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/rollcall-scim/rollcall/directory"
)

// template builds the value of an attribute from the cells of a row. An example of a template is
// {First Name}.{Last Name}@example.com.
type template struct {
	attribute string
	parts     []templatePart
}

// templatePart is a piece of a template: fixed text, or a column whose value is inserted.
type templatePart struct {
	literal  string
	columns  []int // indexes of the columns that may have the value; the first column with a value is used; nil for fixed text
	maxChars int   // how many characters to take; 0 means all
}

const exampleTemplate = "{First Name}.{Last Name}@example.com"

// isAddressAttribute reports whether an attribute is an address or the local part of one. Values
// that a template builds for it have only plain letters, digits, dots, hyphens and underscores.
func isAddressAttribute(attribute string) bool {
	return attribute == "userPrincipalName" || attribute == "mail" || attribute == "mailNickname"
}

// parseTemplate reads a template. Braces enclose the name of a column, the number of a column such
// as #3, or the name of an attribute that a column fills.
func (h *header) parseTemplate(m directory.Template) (template, error) {
	a, ok := directory.AttributeNamed(strings.TrimSpace(m.Attribute))
	switch {
	case !ok:
		return template{}, fileError("there is no attribute %q to build%s", m.Attribute, didYouMean(m.Attribute))
	case a.Name == "objectId" || a.Name == "accountEnabled" || a.Name == "manager":
		return template{}, fileError("%s cannot be built from other columns", a.Name)
	}
	t := template{attribute: a.Name}
	rest, some := m.Text, false
	for rest != "" {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			t.parts = append(t.parts, templatePart{literal: rest})
			break
		}
		if open > 0 {
			t.parts = append(t.parts, templatePart{literal: rest[:open]})
		}
		end := strings.IndexByte(rest[open:], '}') + open
		if rest[open] == '}' || end < open {
			return template{}, fileError("the template %q for %s has a brace without its partner; write the name of a column in braces, as in %s", m.Text, a.Name, exampleTemplate)
		}
		p, err := h.parsePlaceholder(rest[open+1:end], m)
		if err != nil {
			return template{}, err
		}
		t.parts, some, rest = append(t.parts, p), true, rest[end+1:]
	}
	if !some {
		return template{}, fileError("the template %q for %s names no column, so everyone would get the same value; write the name of a column in braces, as in %s", m.Text, a.Name, exampleTemplate)
	}
	if a.Name == "userPrincipalName" && !t.hasDomain(h) {
		return template{}, fileError("the template %q for userPrincipalName has no domain; write it as in %s", m.Text, exampleTemplate)
	}
	return t, nil
}

// hasDomain reports whether the template yields addresses with a domain.
func (t template) hasDomain(h *header) bool {
	return slices.ContainsFunc(t.parts, func(p templatePart) bool {
		return strings.Contains(p.literal, "@") || slices.ContainsFunc(p.columns, func(i int) bool { return h.allValues(i, isAddress) })
	})
}

// parsePlaceholder parses the text between two braces: a column, and perhaps how many of its
// characters to take.
func (h *header) parsePlaceholder(text string, m directory.Template) (templatePart, error) {
	at := h.columnsNamed(text)
	most := 0
	if at == nil {
		at = h.columnsFilling(text)
	}
	if name, number, ok := cutLast(text, ":"); at == nil && ok {
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil || n < 1 {
			return templatePart{}, fileError("the template %q takes %q characters of a column; write a number, as in {First Name:1}", m.Text, number)
		}
		if most, at = n, h.columnsNamed(name); at == nil {
			at = h.columnsFilling(name)
		}
	}
	if at == nil {
		return templatePart{}, fileError("the template %q names the column %q, which the file does not have; its columns are %s", m.Text, strings.TrimSpace(text), h.listColumns())
	}
	return templatePart{columns: at, maxChars: most}, nil
}

// columnsFilling returns the indexes of the columns that fill an attribute.
func (h *header) columnsFilling(attribute string) []int {
	var at []int
	for i, c := range h.columns {
		if slices.ContainsFunc(c.Attributes, func(a string) bool { return strings.EqualFold(a, strings.TrimSpace(attribute)) }) {
			at = append(at, i)
		}
	}
	return at
}

// cutLast is like strings.Cut, but cuts at the last separator.
func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// didYouMean returns the end of an error message that suggests the attribute with the most similar
// name; "" if there is none.
func didYouMean(attribute string) string {
	if near := directory.Suggest(attribute); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// usesColumn reports whether the template uses a column.
func (t template) usesColumn(i int) bool {
	return slices.ContainsFunc(t.parts, func(p templatePart) bool { return slices.Contains(p.columns, i) })
}

// build returns the value for a row, or "" if all cells that the template needs are empty.
func (t template) build(cells []string) (string, error) {
	var b strings.Builder
	some := false
	for _, p := range t.parts {
		if p.columns == nil {
			b.WriteString(p.literal)
			continue
		}
		value := ""
		for _, i := range p.columns {
			if i < len(cells) && value == "" {
				value = strings.TrimSpace(cellText(cells[i]))
			}
		}
		if isAddressAttribute(t.attribute) {
			var err error
			if value, err = t.plainAddressPart(value); err != nil {
				return "", err
			}
		}
		if r := []rune(value); p.maxChars > 0 && len(r) > p.maxChars {
			value = string(r[:p.maxChars])
		}
		some = some || value != ""
		b.WriteString(value)
	}
	if !some {
		return "", nil
	}
	if !isAddressAttribute(t.attribute) {
		return strings.Join(strings.Fields(b.String()), " "), nil
	}
	name, domain, ok := strings.Cut(b.String(), "@")
	name = withoutSpareDots(name)
	if ok {
		name += "@" + strings.TrimSpace(domain)
	}
	return name, nil
}

// withoutSpareDots removes repeated dots, and dots, hyphens and underscores at both ends. They are
// left over when a cell is empty. For example, "..name" becomes "name".
func withoutSpareDots(name string) string {
	for strings.Contains(name, "..") {
		name = strings.ReplaceAll(name, "..", ".")
	}
	return strings.Trim(name, ".-_ ")
}

// plainLetters replaces letters for which Unicode has no decomposition into a plain letter and an
// accent.
var plainLetters = strings.NewReplacer("ß", "ss", "ø", "o", "æ", "ae", "œ", "oe", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i", "ħ", "h", "ŋ", "n", "ŧ", "t")

// plainAddressPart returns a value in the form of a part of an address: in lower case, without
// accents, with dots instead of spaces. "Last, First" becomes first.last.
func (t template) plainAddressPart(value string) (string, error) {
	if name, domain, ok := strings.Cut(value, "@"); ok {
		if len(t.parts) == 1 {
			return strings.ToLower(value), nil
		}
		return "", fmt.Errorf("%s cannot be built: %q is a whole address already. Map its column to %s instead, or use another column than %q of %s", t.attribute, value, t.attribute, name, domain)
	}
	if last, first, ok := strings.Cut(value, ","); ok && !strings.Contains(first, ",") && strings.TrimSpace(first) != "" {
		value = first + " " + last
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(plainLetters.Replace(strings.ToLower(value))) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_':
			b.WriteRune(r)
		case unicode.IsSpace(r):
			b.WriteByte('.')
		case unicode.Is(unicode.Pd, r):
			b.WriteByte('-')
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			return "", fmt.Errorf("%s cannot be built: %q has letters outside a to z. Build it from another column, such as the employee number, or give this row a value", t.attribute, value)
		}
	}
	return withoutSpareDots(b.String()), nil
}

// suggestTemplate returns a template for userPrincipalName. It prefers a template that gives every
// row a different value. It returns "" if no columns are suitable.
func (h *header) suggestTemplate() string {
	var candidates []string
	add := func(text string) { candidates = append(candidates, text+"@example.com") }
	in := func(i int) string { return "{" + h.flagName(i) + "}" }
	for i, c := range h.columns {
		if h.holdsLogins(c.Name, i) || slices.Contains(c.Attributes, "mailNickname") {
			add(in(i))
		}
	}
	given, family := h.columnsFilling("givenName"), h.columnsFilling("surname")
	if len(given) == 1 && len(family) == 1 {
		add(in(given[0]) + "." + in(family[0]))
	}
	for i, c := range h.columns {
		if slices.Contains(c.Attributes, "displayName") || c.Suggested == "displayName" {
			add(in(i))
		}
	}
	for _, i := range h.columnsFilling("employeeId") {
		add(in(i))
	}
	for _, text := range candidates {
		if h.isUnique(text) {
			return text
		}
	}
	if candidates == nil {
		return ""
	}
	return candidates[0]
}

// holdsLogins reports whether a column holds names of accounts without a domain.
func (h *header) holdsLogins(name string, i int) bool {
	if likelyAttributeByColumnName[squeezeName(name)] != "userPrincipalName" && attributeByColumnName[squeezeName(name)] != "mail" {
		return false
	}
	return h.allValues(i, func(v string) bool { return v != "" && !strings.ContainsAny(v, "@ ,\\") })
}

// isUnique reports whether a template builds a value for every row, and never the same value for
// two different rows.
func (h *header) isUnique(text string) bool {
	t, err := h.parseTemplate(directory.Template{Attribute: "userPrincipalName", Text: text})
	if err != nil {
		return false
	}
	seen := map[string]string{}
	for cells := range h.rows {
		value, err := t.build(cells)
		whole := strings.Join(cells, "\x00")
		if had, twice := seen[value]; err != nil || value == "" || twice && had != whole {
			return false
		}
		seen[value] = whole
	}
	return len(seen) > 0
}
