package scimserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/rollcall-scim/rollcall/scim"
)

// place is the target of a request: /c/{site}/auth/scim/v2/{endpoint}/{further segments}.
type place struct {
	site          string
	endpoint      string   // the endpoint in the client's spelling; empty for the base URL
	afterEndpoint []string // segments after the endpoint
	query         string   // the raw query; if it has a path after Entra's flag, without that path
	logText       string   // path and query below the base, as the request log shows them
	err           error    // why the path is not valid, or nil; reported after authentication
}

// Serves reports whether the request belongs to a Handler. It looks at the raw path, so that the
// Handler gets the request as the client sent it, before a ServeMux cleans the path.
func Serves(r *http.Request) bool {
	_, _, ok := splitPath(r.URL.EscapedPath())
	return ok
}

// splitPath returns the site in a raw path and the segments below …/auth/scim. Empty segments are
// left out, because administrators type a base URL with a slash at the end.
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

// cutVersion removes the protocol version from the path. It returns invalidVers for a version other
// than 2.
//
// RFC 7644 §3.13: without a version, the server picks one.
func cutVersion(below []string) ([]string, error) {
	if len(below) == 0 || !isVersion(below[0]) {
		return below, nil
	}
	if !strings.EqualFold(below[0], "v2") && !strings.EqualFold(below[0], "v2.0") {
		return below[1:], scim.InvalidVers("SCIM version %q is not served here; use …/auth/scim/v2.", truncate(below[0]))
	}
	return below[1:], nil
}

func isVersion(segment string) bool {
	digits := strings.TrimLeft(segment, "vV")
	return len(segment)-len(digits) == 1 && digits != "" && strings.Trim(digits, "0123456789.") == ""
}

// pathAfterFlag finds the path that a client wrote after a flag in the query. Entra's flag is part
// of the Tenant URL ("…/v2?aadOptscim062020"), and a client that appends the path to it asks for
// "…/v2?aadOptscim062020/Users?filter=…". See testdata/entra_flag_before_path.txtar.
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

// readableQuery returns a query string in a form that people can read, for the request log only. It
// hides the values of parameters that may hold a credential, and filters that mention a password
// (RFC 7644 §7.5.2).
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

// mayHoldCredential reports whether a parameter with that name may hold a credential.
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
