package scimserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/rollcall-scim/rollcall/scim"
)

// place is where a request goes: /c/{site}/auth/scim/v2/{endpoint}/{rest}.
type place struct {
	site     string
	endpoint string   // as the client spelt it; empty for the base itself
	rest     []string // what follows the endpoint
	query    string   // the raw query, without what a flag had swallowed of the path
	shown    string   // path and query below the base, as the request log shows them
	bad      error    // why the path cannot be taken as one; answered after authentication
}

// Serves reports whether the request belongs to a Handler. It looks at the raw path, so that a request reaches the
// Handler as the client sent it, whatever a ServeMux would make of it.
func Serves(r *http.Request) bool {
	_, _, ok := split(r.URL.EscapedPath())
	return ok
}

// split finds the site in a raw path, and the segments below …/auth/scim. Empty segments do not count: administrators type
// a base URL with a slash at its end.
func split(raw string) (site string, below []string, ok bool) {
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
	site, below, _ := split(u.EscapedPath())
	p := place{site: site, query: u.RawQuery}
	below, p.bad = version(below)
	if len(below) == 0 {
		below, p.query = unswallow(p.query)
	}
	p.shown = "/" + strings.Join(below, "/")
	if p.query != "" {
		p.shown += "?" + readable(p.query)
	}
	if p.bad != nil || len(below) == 0 {
		return p
	}
	if below, p.bad = unescape(below); p.bad == nil {
		p.endpoint, p.rest = below[0], below[1:]
	}
	return p
}

// version takes the protocol version off the path.
//
// RFC 7644 §3.13: without a version the server picks one.
func version(below []string) ([]string, error) {
	if len(below) == 0 || !isVersion(below[0]) {
		return below, nil
	}
	if !strings.EqualFold(below[0], "v2") && !strings.EqualFold(below[0], "v2.0") {
		return below[1:], scim.InvalidVers("SCIM version %q is not served here; use …/auth/scim/v2.", clip(below[0]))
	}
	return below[1:], nil
}

func isVersion(segment string) bool {
	digits := strings.TrimLeft(segment, "vV")
	return len(segment)-len(digits) == 1 && digits != "" && strings.Trim(digits, "0123456789.") == ""
}

// unswallow finds the path behind a flag: a client that appends to the Tenant URL "…/v2?aadOptscim062020" asks for
// "…/v2?aadOptscim062020/Users?filter=…". See testdata/entra_flag_before_path.txtar.
func unswallow(query string) (below []string, rest string) {
	flag, path, found := strings.Cut(query, "/")
	if !found || strings.ContainsAny(flag, "=&?") {
		return nil, query
	}
	if end := strings.IndexAny(path, "?&"); end >= 0 {
		path, rest = path[:end], path[end+1:]
	}
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' }), rest
}

func unescape(segments []string) ([]string, error) {
	plain := make([]string, len(segments))
	for i, s := range segments {
		text, err := url.PathUnescape(s)
		switch {
		case err != nil:
			return nil, scim.BadRequest("The path holds an escape that cannot be read: %q.", clip(s))
		case strings.ContainsAny(text, `/\`):
			return nil, scim.BadRequest("The path holds an encoded slash (%q), which no resource here has in its id.", clip(s))
		case text == "." || text == "..":
			return nil, scim.BadRequest("The path holds %q; send the path that is meant.", text)
		case strings.ContainsFunc(text, unicode.IsControl):
			return nil, scim.BadRequest("The path holds a character that cannot be printed: %q.", clip(text))
		}
		plain[i] = text
	}
	return plain, nil
}

// readable is a query as a person reads it, for the request log only. A credential that was put there is left out, and so is
// what a filter says of a password (RFC 7644 §7.5.2).
func readable(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, value, found := strings.Cut(pair, "=")
		if found && (secretive(key) || strings.HasSuffix(unescaped(key), "filter") && strings.Contains(unescaped(value), "password")) {
			pairs[i] = key + "=***"
		}
	}
	query = strings.Join(pairs, "&")
	if text, err := url.QueryUnescape(query); err == nil {
		return text
	}
	return query
}

// secretive reports whether a parameter of that name may hold a credential.
func secretive(key string) bool {
	key = unescaped(key)
	return slices.ContainsFunc([]string{"token", "secret", "password", "authorization"}, func(word string) bool { return strings.Contains(key, word) })
}

// unescaped is in lower case what an escaped text says, or the text where it says nothing.
func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		text = plain
	}
	return strings.ToLower(text)
}
