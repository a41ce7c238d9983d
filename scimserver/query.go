package scimserver

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// Sizes of a page.
const (
	defaultCount = roster.DefaultCount
	maxCount     = roster.MaxCount
)

// query is what a client may ask about resources, from a URL or from the body of a .search.
type query struct {
	filter     string
	spaced     string // the filter with a blank for each plus sign, where it may be meant so
	hasFilter  bool
	startIndex int
	count      int
	attributes []string
	excluded   []string
	sortBy     string
	sortOrder  string
	cursor     string // empty: the first page
	byCursor   bool
	byIndex    bool // startIndex was given
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
		text, spaced, err := plusRead(value)
		if err != nil && isParameter(key) {
			return q, scim.BadRequest("The parameter %s holds an escape that cannot be read.", key)
		}
		if isParameter(key) && seen[key] {
			return q, scim.BadRequest("The parameter %s is given twice.", key)
		}
		seen[key] = true
		if key != "filter" && key != "cursor" && spaced != "" {
			text = spaced // no name of an attribute has a plus sign
		}
		if err := q.set(key, text); err != nil {
			return q, err
		}
		if key == "filter" {
			q.spaced = spaced
		}
	}
	q.plainNames()
	return q, nil
}

// plusRead reads the value of a parameter. Who writes a blank as %20 means a plus sign by "+" (RFC 3986), who has none means a
// blank (the form encoding of HTML). Where both stand, it is a plus sign first, and spaced has a blank for it.
func plusRead(value string) (text, spaced string, err error) {
	form, err := url.QueryUnescape(value)
	if err != nil || !strings.Contains(value, "+") || !strings.Contains(value, "%20") {
		return form, "", err
	}
	text, err = url.PathUnescape(value)
	return text, form, err
}

func isParameter(key string) bool {
	switch key {
	case "filter", "startindex", "count", "attributes", "excludedattributes", "sortby", "sortorder", "cursor":
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
		q.byIndex = strings.TrimSpace(text) != ""
	case "count":
		q.count, err = number("count", text, defaultCount)
	case "attributes":
		q.attributes = names(text)
	case "excludedattributes":
		q.excluded = names(text)
	case "sortby":
		q.sortBy = strings.TrimSpace(text)
	case "sortorder":
		q.sortOrder = strings.TrimSpace(text)
	case "cursor":
		q.cursor, q.byCursor = text, true
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
		return 0, scim.InvalidValue("%s is %q, which is not a whole number.", name, clip(text))
	}
	return int(max(min(n, maxIndex), -1)), nil
}

// maxIndex is beyond every list, and far from where adding to it overflows.
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

// page brings the page into what is served.
//
// RFC 7644 §3.4.2.4: a startIndex below 1 means 1, a negative count 0. RFC 9865 §2.1: with a cursor, a count that is too
// large is an error, as it has to stay the same from page to page.
func (q *query) page() error {
	if q.byCursor && q.byIndex {
		return scim.InvalidValue("cursor and startIndex cannot be used together.")
	}
	if q.byCursor && q.count > maxCount {
		return scim.InvalidCount("count is %d; with a cursor it must be between 0 and %d.", q.count, maxCount)
	}
	q.startIndex = min(max(q.startIndex, 1), maxIndex)
	q.count = min(max(q.count, 0), maxCount)
	return nil
}

// order is what the resources are sorted by; nil leaves them in the order of their creation.
func (q *query) order(rt *scim.ResourceType) (*scim.Sort, error) {
	if q.sortBy == "" {
		return nil, nil
	}
	s, err := scim.ParseSort(rt, q.sortBy, q.sortOrder)
	if err != nil {
		return nil, err
	}
	if addressOnly(rt, s.Path) {
		return nil, scim.InvalidValue("sortBy: %s is an address, which is made for each answer; sort by id.", s.Path)
	}
	return &s, nil
}

// addressOnly reports an attribute that is nowhere stored, because it follows from ids and the address of this server.
func addressOnly(rt *scim.ResourceType, p scim.AttrPath) bool {
	if p.URN != "" {
		return false
	}
	return p.Name == "meta" && p.Sub == "location" ||
		p.Sub == "$ref" && (roster.Kind(rt.ID) == roster.User && p.Name == "groups" || roster.Kind(rt.ID) == roster.Group && p.Name == "members")
}

func (q *query) parseFilter(rt *scim.ResourceType, mode scim.Mode) (*scim.Filter, []scim.Fix, error) {
	return q.parseFilterWith(scim.ParseFilter, rt, mode)
}

type filterParser func(*scim.ResourceType, string, scim.Mode) (*scim.Filter, []scim.Fix, error)

func (q *query) parseFilterWith(parse filterParser, rt *scim.ResourceType, mode scim.Mode) (*scim.Filter, []scim.Fix, error) {
	if !q.hasFilter {
		return nil, nil, nil
	}
	// An empty filter would match everybody, and a client that meant one person would take the first for theirs.
	if strings.TrimSpace(q.filter) == "" {
		return nil, nil, scim.InvalidFilter("The filter is empty; leave the parameter out to list everything.")
	}
	f, fixes, err := parse(rt, q.filter, mode)
	if err != nil && q.spaced != "" {
		f, fixes, err = parse(rt, q.spaced, mode)
	}
	if err != nil {
		return nil, fixes, err
	}
	for _, p := range scim.Paths(f.Root) {
		// It would match nobody, and a client would take them for missing.
		if addressOnly(rt, p) {
			return nil, fixes, scim.InvalidFilter("%s cannot be used in a filter: it is an address, which is made for each answer. Filter by the id at its end, as id, members.value or groups.value.", p)
		}
	}
	return f, fixes, nil
}
