package erasure

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// minValueBytes is the minimum length, in bytes, of a value that identifies a person.
const minValueBytes = 3

// Person is a person who is to be erased: an id, and the values that identify the person.
type Person struct {
	ID      string
	values  []string       // the values that identify the person, in lower case
	forms   [][]byte       // the forms in which a database may store the values, with ASCII letters in lower case
	pattern *regexp.Regexp // matches any of the values
}

// New returns the person with this id and these values. It leaves out values that identify no one:
// very short values and common words.
func New(id string, values []string) Person {
	forms := map[string]bool{}
	known := map[string]bool{}
	for _, v := range values {
		if v = strings.TrimSpace(v); len(v) < minValueBytes || v == id || isCommonWord(v) {
			continue
		}
		known[strings.ToLower(v)] = true
		quoted, _ := json.Marshal(v) //nolint:errcheck // a string always marshals
		for _, form := range []string{v, strings.Trim(string(quoted), `"`), url.QueryEscape(v), url.PathEscape(v)} {
			forms[form] = true
		}
	}
	p := Person{ID: id, values: slices.Sorted(maps.Keys(known))}
	if len(forms) == 0 {
		return p
	}
	longest := slices.SortedFunc(maps.Keys(forms), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for i, form := range longest {
		p.forms = append(p.forms, lowerASCII([]byte(form)), lowerASCII([]byte(strings.ToLower(form))))
		longest[i] = regexp.QuoteMeta(form)
	}
	p.pattern = regexp.MustCompile("(?i)" + strings.Join(longest, "|"))
	return p
}

// isCommonWord reports whether a value is a common word in logs, such as "active" or "admin".
func isCommonWord(v string) bool {
	switch strings.ToLower(v) {
	case "true", "false", "null", "none", "work", "home", "mobile", "other", "enabled", "disabled", "active", "inactive",
		"registered", "moderator", "admin", "user", "users", "member", "group", "groups", "deleted", "created", "updated":
		return true
	}
	return false
}

// Label returns the text that replaces the person's values.
func (p Person) Label() string { return "erased person " + p.ID }

// IsValue reports whether a string is one of the person's values.
func (p Person) IsValue(text string) bool {
	return slices.Contains(p.values, strings.ToLower(strings.TrimSpace(text)))
}

// Redact returns the string with each value replaced by the label.
func (p Person) Redact(text string) string {
	if p.pattern == nil || text == "" {
		return text
	}
	var b strings.Builder
	at := 0
	for _, found := range p.pattern.FindAllStringIndex(text, -1) {
		if isInsideWord(text[:found[0]], text[found[1]:]) {
			continue
		}
		b.WriteString(text[at:found[0]])
		b.WriteString(p.Label())
		at = found[1]
	}
	if at == 0 {
		return text
	}
	return b.String() + text[at:]
}

// RedactStored is like Redact, for strings that may be JSON documents. A JSON document stays valid
// JSON.
func (p Person) RedactStored(text string) string {
	if text == "" || text[0] != '{' && text[0] != '[' || !p.Mentions(text) {
		return p.Redact(text)
	}
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return p.Redact(text)
	}
	out, err := json.Marshal(p.redactJSON(v))
	if err != nil {
		return p.Redact(text)
	}
	return string(out)
}

func (p Person) redactJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			v[name] = p.redactJSON(value)
		}
		return v
	case []any:
		for i := range v {
			v[i] = p.redactJSON(v[i])
		}
		return v
	case string:
		return p.Redact(v)
	case json.Number:
		if p.IsValue(v.String()) {
			return p.Label()
		}
	}
	return v
}

// Mentions reports whether the string contains one of the person's values.
func (p Person) Mentions(text string) bool { return p.Redact(text) != text }

// IsIn reports whether a piece of the database file contains one of the person's values. It also
// returns true if the piece begins with the end of a value, or ends with the beginning of one.
func (p Person) IsIn(stored []byte) bool {
	stored = lowerASCII(stored)
	for _, form := range p.forms {
		if bytes.Contains(stored, form) {
			return true
		}
		for n := minValueBytes; n < len(form); n++ {
			if bytes.HasPrefix(stored, form[len(form)-n:]) || bytes.HasSuffix(stored, form[:n]) {
				return true
			}
		}
	}
	return false
}

// lowerASCII returns a copy with ASCII letters in lower case. It changes no other byte, so the
// input may be any bytes.
func lowerASCII(b []byte) []byte {
	lower := make([]byte, len(b))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return lower
}

// isInsideWord reports whether a value found between before and after is only part of a longer word
// or address. Examples are "ann" in "hannover" and "b@c" in "a.b@c".
func isInsideWord(before, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	if isWordRune(last) || strings.ContainsRune("._+", last) {
		return true
	}
	next, n := utf8.DecodeRuneInString(after)
	if next == '.' || next == '-' {
		next, _ = utf8.DecodeRuneInString(after[n:])
	}
	return isWordRune(next)
}

func isWordRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// RedactPath returns the path of a request without the person's values. It also removes the query
// if the path contains such a value, or if the request is about the person (isAbout).
func (p Person) RedactPath(path string, isAbout bool) string {
	plain, err := url.PathUnescape(strings.ReplaceAll(path, "+", " "))
	if err != nil {
		plain = path
	}
	if !isAbout && !p.Mentions(plain) && !p.Mentions(path) {
		return path
	}
	bare, _, asked := strings.Cut(path, "?")
	if plain, err := url.PathUnescape(bare); err == nil && p.Mentions(plain) {
		bare = p.Redact(plain)
	}
	if asked {
		bare += "?…"
	}
	return bare
}

// RedactEventData removes the values from the JSON data of an event about the person. It keeps the
// names of the changed attributes.
func (p Person) RedactEventData(data string) string {
	if data == "" {
		return ""
	}
	var v any
	d := json.NewDecoder(strings.NewReader(data))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return ""
	}
	out, err := json.Marshal(p.withoutValues(v))
	if err != nil {
		return ""
	}
	return string(out)
}

// withoutValues returns JSON data of an event without the values of the changed attributes. In
// other strings, it replaces the person's values.
func (p Person) withoutValues(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			switch name {
			case "before", "after", "old", "new", "value", "values":
				delete(v, name)
				v["erased"] = true
			default:
				v[name] = p.withoutValues(value)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = p.withoutValues(v[i])
		}
		return v
	case string:
		return p.Redact(v)
	}
	return v
}

// Values returns every string in a JSON document that may identify a person.
func Values(document []byte) []string {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return nil
	}
	return appendValues(v, nil)
}

func appendValues(v any, found []string) []string {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			switch strings.ToLower(name) {
			case "schemas", "id", "meta", "type", "usertype", "$ref", "members", "groups", "attributes":
			default:
				found = appendValues(value, found)
			}
		}
		given, _ := v["givenName"].(string)
		family, _ := v["familyName"].(string)
		if given != "" && family != "" {
			found = append(found, given+" "+family)
		}
	case []any:
		for _, value := range v {
			found = appendValues(value, found)
		}
	case string:
		if len(v) >= minValueBytes {
			found = append(found, v)
		}
	}
	return found
}
