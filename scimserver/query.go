package scimserver

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// Sizes of a page.
const (
	defaultCount = 100
	maxCount     = 500
)

// query is what a client may ask about resources, from a URL or from the body of a .search.
type query struct {
	filter     string
	hasFilter  bool
	startIndex int
	count      int
	attributes []string
	excluded   []string
	sortBy     string
	fixes      []scim.Fix
}

func newQuery() query { return query{startIndex: 1, count: defaultCount} }

// parseQuery reads a raw query. Unknown and empty parameters mean nothing: Entra appends flags, OneLogin a "&".
func parseQuery(raw string) (query, error) {
	q := newQuery()
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		// "?flag?filter=…": the flag was part of the base that the client appended to.
		if i := strings.LastIndexByte(key, '?'); i >= 0 {
			key = key[i+1:]
		}
		key, err := url.QueryUnescape(key)
		if err != nil {
			continue
		}
		key = strings.ToLower(key)
		text, err := url.QueryUnescape(value)
		if err != nil && isParameter(key) {
			return q, scim.BadRequest("The parameter %s holds an escape that cannot be read.", key)
		}
		if isParameter(key) && seen[key] {
			return q, scim.BadRequest("The parameter %s is given twice.", key)
		}
		seen[key] = true
		if err := q.set(key, text); err != nil {
			return q, err
		}
	}
	q.plainNames()
	return q, nil
}

func isParameter(key string) bool {
	switch key {
	case "filter", "startindex", "count", "attributes", "excludedattributes", "sortby":
		return true
	}
	return false
}

func (q *query) set(key, text string) (err error) {
	switch key {
	case "filter":
		q.filter, q.hasFilter = text, true
	case "startindex":
		q.startIndex, err = number("startIndex", text, 1)
	case "count":
		q.count, err = number("count", text, defaultCount)
	case "attributes":
		q.attributes = names(text)
	case "excludedattributes":
		q.excluded = names(text)
	case "sortby":
		q.sortBy = text
	}
	return err
}

// number reads a whole number; one that no list reaches counts as the largest that this server reaches.
func number(name, text string, absent int) (int, error) {
	if text = strings.TrimSpace(text); text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, scim.InvalidValue("%s is %q, which is not a whole number.", name, text)
	}
	return int(max(min(n, maxIndex), -1)), nil
}

const maxIndex = 1 << 40

// names splits a list at its commas, but not inside brackets.
func names(text string) (list []string) {
	depth := 0
	for name := range strings.FieldsFuncSeq(text, func(c rune) bool {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		}
		return c == ',' && depth <= 0
	}) {
		if name = strings.TrimSpace(name); name != "" {
			list = append(list, name)
		}
	}
	return list
}

// plainNames reads "emails[type eq "work"].value" as "emails.value": Microsoft's collection asks so, and an answer with all
// addresses holds the one that was asked for. See testdata/projection.txtar.
func (q *query) plainNames() {
	for i, name := range q.attributes {
		before, rest, found := strings.Cut(name, "[")
		end := strings.LastIndexByte(rest, ']')
		if !found || end < 0 {
			continue
		}
		q.attributes[i] = before + rest[end+1:]
		q.fixes = append(q.fixes, scim.Fix{Code: "projection-filter", Path: name, Text: "read as " + q.attributes[i]})
	}
}

// clamp brings the page into what is served.
//
// RFC 7644 §3.4.2.4: a startIndex below 1 means 1, a negative count 0.
func (q *query) clamp() {
	q.startIndex = max(q.startIndex, 1)
	q.count = min(max(q.count, 0), maxCount)
}

func (q *query) parseFilter(rt *scim.ResourceType, mode scim.Mode) (*scim.Filter, []scim.Fix, error) {
	if !q.hasFilter {
		return nil, nil, nil
	}
	// An empty filter would match everybody, and a client that meant one person would take the first for theirs.
	if strings.TrimSpace(q.filter) == "" {
		return nil, nil, scim.InvalidFilter("The filter is empty; leave the parameter out to list everything.")
	}
	return scim.ParseFilter(rt, q.filter, mode)
}

func (q *query) projection(rt *scim.ResourceType) (scim.Projection, error) {
	return scim.ParseProjection(rt, q.attributes, q.excluded)
}
