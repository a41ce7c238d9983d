// Package redact cuts SCIM tokens out of text before the text is logged or
// stored. It knows the shape of a token, not which tokens exist: a token is
// cut wherever it stands and whatever it is called.
package redact

import (
	"net/url"
	"regexp"
	"strings"
)

// token matches a token with or without its checksum. 43 characters hold the
// whole secret, so a token that lost its last characters is cut as well.
var token = regexp.MustCompile(`(?i:rollcall_)[A-Za-z0-9_-]{43,}`)

// maxEscapes is how many layers of URL escaping Tokens looks under.
const maxEscapes = 3

// Tokens returns text with every token in it replaced by "rollcall_…" and the
// token's last four characters, by which people recognise it. Text without a
// token is returned as it is. When a token is hidden by URL escapes, the whole
// text is returned unescaped.
func Tokens(text string) string {
	if hasPrefix(text) {
		text = token.ReplaceAllStringFunc(text, shorten)
	}
	plain := text
	for range maxEscapes {
		if strings.IndexByte(plain, '%') < 0 {
			break
		}
		plain = unescape(plain)
		if hasPrefix(plain) && token.MatchString(plain) {
			text = token.ReplaceAllStringFunc(plain, shorten)
		}
	}
	return text
}

// Document is Tokens for a JSON document: it leaves URL escapes alone, because
// what they hide may be a quote.
func Document(text string) string {
	if !hasPrefix(text) {
		return text
	}
	return token.ReplaceAllStringFunc(text, shorten)
}

// hasPrefix is a cheap look that spares most text the regular expression.
func hasPrefix(text string) bool {
	return strings.Contains(text, "_") && strings.Contains(strings.ToLower(text), "rollcall_")
}

func shorten(token string) string { return token[:len("rollcall_")] + "…" + token[len(token)-4:] }

// unescape replaces every URL escape that can be read and leaves the rest.
// Unlike url.PathUnescape it does not give up at the first bad one.
func unescape(text string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '%')
		if i < 0 || i+3 > len(text) {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		plain, err := url.PathUnescape(text[i : i+3])
		if err != nil {
			plain = text[i : i+3]
		}
		b.WriteString(plain)
		text = text[i+3:]
	}
}
