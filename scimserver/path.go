package scimserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/rollcall-scim/rollcall/scim"
)

// place is the target of a request: the parts of the path
// /c/{site}/auth/scim/v2/{endpoint}/{further segments}, and the query.
type place struct {
	site          string
	endpoint      string   // the endpoint in the client's spelling; "" for the base URL
	afterEndpoint []string // the unescaped segments after the endpoint, such as an id
	// query is the raw query. If a client wrote a path into it after Entra's flag, the flag and the
	// path are removed.
	query   string
	logText string // the path below the base URL and the query, in the form that the request log shows
	err     error  // why the path is not valid, or nil; the client gets this error only after authentication
}

// Serves reports whether a Handler must answer the request. It looks at the raw path, and must be
// called before a ServeMux cleans the path.
func Serves(r *http.Request) bool {
	_, _, ok := splitPath(r.URL.EscapedPath())
	return ok
}

// splitPath returns the site in a raw path and the segments below …/auth/scim. It leaves out empty
// segments, because administrators often type a base URL with a slash at the end. ok is false if
// the path is not a SCIM path.
func splitPath(raw string) (site string, below []string, ok bool) {
	segments := strings.FieldsFunc(raw, func(c rune) bool { return c == '/' })
	if len(segments) < 4 || segments[0] != "c" || !strings.EqualFold(segments[2], "auth") || !strings.EqualFold(segments[3], "scim") {
		return "", nil, false
	}
	site, err := url.PathUnescape(segments[1])
	if err != nil {
		site = ""
	}
	return site, segments[4:], true
}

// locate returns the target that the path of a request names.
func locate(u *url.URL) place {
	site, below, _ := splitPath(u.EscapedPath())
	p := place{site: site, query: u.RawQuery}
	below, p.err = cutVersion(below)
	if len(below) == 0 {
		below, p.query = pathAfterFlag(p.query)
	}
	p.logText = "/" + strings.Join(below, "/")
	if p.query != "" {
		p.logText += "?" + readableQuery(p.query)
	}
	if p.err != nil || len(below) == 0 {
		return p
	}
	if below, p.err = unescapeSegments(below); p.err == nil {
		p.endpoint, p.afterEndpoint = below[0], below[1:]
	}
	return p
}

// cutVersion removes the protocol version, such as "v2", from the beginning of the segments. It
// returns an error with the scimType invalidVers for a version other than 2.
//
// RFC 7644 §3.13: if the path has no version, the server chooses one.
func cutVersion(below []string) ([]string, error) {
	if len(below) == 0 || !isVersion(below[0]) {
		return below, nil
	}
	if !strings.EqualFold(below[0], "v2") && !strings.EqualFold(below[0], "v2.0") {
		return below[1:], scim.InvalidVers("SCIM version %q is not served here; use …/auth/scim/v2.", truncate(below[0]))
	}
	return below[1:], nil
}

// isVersion reports whether a segment is a version, such as "v2" or "v1.1".
func isVersion(segment string) bool {
	digits := strings.TrimLeft(segment, "vV")
	return len(segment)-len(digits) == 1 && digits != "" && strings.Trim(digits, "0123456789.") == ""
}

// pathAfterFlag returns the path that a client wrote into the query after Entra's flag, and the
// rest of the query. The flag is part of the Tenant URL ("…/v2?aadOptscim062020"). A client that
// appends a path to this URL requests "…/v2?aadOptscim062020/Users?filter=…". See
// testdata/entra_flag_before_path.txtar.
func pathAfterFlag(query string) (below []string, rest string) {
	flag, path, found := strings.Cut(query, "/")
	if !found || strings.ContainsAny(flag, "=&?") {
		return nil, query
	}
	if end := strings.IndexAny(path, "?&"); end >= 0 {
		path, rest = path[:end], path[end+1:]
	}
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' }), rest
}

// unescapeSegments returns the segments of a path unescaped.
func unescapeSegments(segments []string) ([]string, error) {
	plain := make([]string, len(segments))
	for i, s := range segments {
		text, err := url.PathUnescape(s)
		switch {
		case err != nil:
			return nil, scim.BadRequest("The path has an escape that cannot be read: %q.", truncate(s))
		case strings.ContainsAny(text, `/\`):
			return nil, scim.BadRequest("The path has an encoded slash (%q), which no id on this server has.", truncate(s))
		case text == "." || text == "..":
			return nil, scim.BadRequest("The path has the segment %q; send the path without it.", text)
		case strings.ContainsFunc(text, unicode.IsControl):
			return nil, scim.BadRequest("The path has a character that cannot be printed: %q.", truncate(text))
		}
		plain[i] = text
	}
	return plain, nil
}

// readableQuery returns a query string unescaped, for the request log only. It replaces with ***
// the values of parameters that may hold a credential, and filters that mention a password (RFC
// 7644 §7.5.2).
func readableQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, value, found := strings.Cut(pair, "=")
		if found && (mayHoldCredential(key) || strings.HasSuffix(unescapedLower(key), "filter") && strings.Contains(unescapedLower(value), "password")) {
			pairs[i] = key + "=***"
		}
	}
	query = strings.Join(pairs, "&")
	if text, err := url.QueryUnescape(query); err == nil {
		return text
	}
	return query
}

// mayHoldCredential reports whether a query parameter with the name key may hold a credential.
func mayHoldCredential(key string) bool {
	key = unescapedLower(key)
	return slices.ContainsFunc([]string{"token", "secret", "password", "authorization"}, func(word string) bool { return strings.Contains(key, word) })
}

// unescapedLower returns a string unescaped and in lower case. A string with an invalid escape
// stays escaped.
func unescapedLower(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		text = plain
	}
	return strings.ToLower(text)
}
