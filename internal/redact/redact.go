// Package redact removes SCIM tokens from text before the text is logged or stored. It recognises
// tokens by their form, anywhere in the text. It does not know which tokens exist.
package redact

import (
	"net/url"
	"regexp"
	"strings"
)

// tokenPattern matches a SCIM token, with or without its checksum. The first 43 characters after
// the prefix are the whole secret, so the pattern also matches a token without its last characters.
var tokenPattern = regexp.MustCompile(`(?i:rollcall_)[A-Za-z0-9_-]{43,}`)

// maxEscapes is how many layers of URL escaping Tokens removes to find a token.
const maxEscapes = 3

// Tokens returns text in which every token is replaced by "rollcall_…" and the token's last four
// characters, by which people recognise it. If there is no token, text is returned unchanged. If
// URL escapes hide a token, the whole text is returned unescaped.
func Tokens(text string) string {
	if mayHoldToken(text) {
		text = tokenPattern.ReplaceAllStringFunc(text, shorten)
	}
	plain := text
	for range maxEscapes {
		if strings.IndexByte(plain, '%') < 0 {
			break
		}
		plain = unescape(plain)
		if mayHoldToken(plain) && tokenPattern.MatchString(plain) {
			text = tokenPattern.ReplaceAllStringFunc(plain, shorten)
		}
	}
	return text
}

// Document is like Tokens, for a JSON document. It does not decode URL escapes, because an escape
// may stand for a quote, which would break the JSON.
func Document(text string) string {
	if !mayHoldToken(text) {
		return text
	}
	return tokenPattern.ReplaceAllStringFunc(text, shorten)
}

// mayHoldToken quickly finds out whether a string may contain a token. For most strings the answer
// is no, so the slower regular expression is not needed.
func mayHoldToken(text string) bool {
	return strings.Contains(text, "_") && strings.Contains(strings.ToLower(text), "rollcall_")
}

// shorten returns the text that replaces a token.
func shorten(token string) string { return token[:len("rollcall_")] + "…" + token[len(token)-4:] }

// unescape decodes every valid URL escape. It keeps invalid escapes, where url.PathUnescape would
// return an error.
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
