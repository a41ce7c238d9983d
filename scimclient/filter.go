package scimclient

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// filterQuery returns the query string of a search. Entra uses only one form: an attribute, eq, and
// a quoted value. Spaces become plus signs, as in Entra.
func filterQuery(path string, value any) string {
	return "filter=" + url.QueryEscape(path+" eq "+filterLiteral(value))
}

// filterLiteral returns a value in JSON, the form in which a filter contains values (RFC 7644
// §3.4.2.2).
func filterLiteral(value any) string {
	switch v := value.(type) {
	case string:
		return quoteJSON(v)
	case bool, int64:
		return fmt.Sprint(v)
	}
	return quoteJSON(fmt.Sprint(value))
}

// quoteJSON returns a string in JSON, without escaping <, > and &.
func quoteJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // cannot happen: a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
