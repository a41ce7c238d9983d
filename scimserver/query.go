package scimserver

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// The number of resources on a page: by default, and at most.
const (
	defaultCount = roster.DefaultCount
	maxCount     = roster.MaxCount
)

// query holds the parameters of a client's query, from a URL or from a SearchRequest.
type query struct {
	filter             string
	filterWithSpaces   string // the filter with spaces in place of plus signs, if the client may have meant spaces; otherwise ""
	hasFilter          bool
	startIndex         int
	count              int
	attributes         []string
	excludedAttributes []string
	sortBy             string
	sortOrder          string
	cursor             string     // the cursor of the page; "" for the first page
	usesCursor         bool       // whether the client gave the parameter cursor
	hasStartIndex      bool       // whether the client gave the parameter startIndex
	fixes              []scim.Fix // the deviations from SCIM that were tolerated in the parameters
}

// newQuery returns a query without parameters.
func newQuery() query { return query{startIndex: 1, count: defaultCount} }

// parseQuery reads a raw query string. It ignores unknown and empty parameters, because Entra
// appends flags and OneLogin appends "&". It returns 400 for a parameter that occurs twice or
// cannot be read.
func parseQuery(raw string) (query, error) {
	q := newQuery()
	if raw == "" {
		return q, nil
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		// In "?flag?filter=…", the client appended "?filter=…" to a base URL that ends with a flag.
		if i := strings.LastIndexByte(key, '?'); i >= 0 {
			key = key[i+1:]
		}
		key, err := url.QueryUnescape(key)
		if err != nil {
			continue
		}
		key = strings.ToLower(key)
		text, spaced, err := readPlusSigns(value)
		if err != nil && isParameter(key) {
			return q, scim.BadRequest("The parameter %s has an escape that cannot be read.", key)
		}
		if isParameter(key) && seen[key] {
			return q, scim.BadRequest("The parameter %s is given twice.", key)
		}
		seen[key] = true
		if key != "filter" && key != "cursor" && spaced != "" {
			text = spaced // no attribute name has a plus sign, so the client means spaces
		}
		if err := q.setParameter(key, text); err != nil {
			return q, err
		}
		if key == "filter" {
			q.filterWithSpaces = spaced
		}
	}
	q.dropValueFilters()
	return q, nil
}

// readPlusSigns unescapes the value of a parameter. In RFC 3986, "%20" is a space and "+" is a plus
// sign. In HTML form encoding, "+" is a space. A value without "%20" is taken to be form encoding.
// If a value has both "%20" and "+", the client may mean either: text then has plus signs, and
// spaced is the same value with spaces in their place. Otherwise spaced is "".
func readPlusSigns(value string) (text, spaced string, err error) {
	form, err := url.QueryUnescape(value)
	if err != nil || !strings.Contains(value, "+") || !strings.Contains(value, "%20") {
		return form, "", err
	}
	text, err = url.PathUnescape(value)
	return text, form, err
}

// isParameter reports whether a name, in lower case, is that of a parameter of a query.
func isParameter(key string) bool {
	switch key {
	case "filter", "startindex", "count", "attributes", "excludedattributes", "sortby", "sortorder", "cursor":
		return true
	}
	return false
}

// setParameter sets the parameter with this name, in lower case.
func (q *query) setParameter(key, text string) (err error) {
	switch key {
	case "filter":
		q.filter, q.hasFilter = text, true
	case "startindex":
		q.startIndex, err = parseNumber("startIndex", text, 1)
		q.hasStartIndex = strings.TrimSpace(text) != ""
	case "count":
		q.count, err = parseNumber("count", text, defaultCount)
	case "attributes":
		q.attributes = splitNames(text)
	case "excludedattributes":
		q.excludedAttributes = splitNames(text)
	case "sortby":
		q.sortBy = strings.TrimSpace(text)
	case "sortorder":
		q.sortOrder = strings.TrimSpace(text)
	case "cursor":
		q.cursor, q.usesCursor = text, true
	}
	return err
}

// parseNumber reads a whole number and limits it to the range from -1 to maxIndex. For an empty
// string it returns absent, the parameter's default.
func parseNumber(name, text string, absent int) (int, error) {
	if text = strings.TrimSpace(text); text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, scim.InvalidValue("%s is %q, which is not a whole number.", name, truncate(text))
	}
	return int(max(min(n, maxIndex), -1)), nil
}

// maxIndex is larger than any list, and small enough that additions do not overflow.
const maxIndex = 1 << 40

// splitNames splits a list of attribute names at its commas, but not at commas inside brackets.
func splitNames(text string) (list []string) {
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

// dropValueFilters removes value filters from the requested attributes: emails[type eq
// "work"].value becomes emails.value. Microsoft's Postman collection requests attributes in this
// form. An answer with all e-mail addresses also contains the requested address. See
// testdata/projection.txtar.
func (q *query) dropValueFilters() {
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

// limitPage limits startIndex and count to the allowed range.
//
// RFC 7644 §3.4.2.4: a startIndex below 1 means 1, and a negative count means 0. RFC 9865 §2.1:
// with a cursor, a count that is too large is an error, because the count must be the same on every
// page.
func (q *query) limitPage() error {
	if q.usesCursor && q.hasStartIndex {
		return scim.InvalidValue("cursor and startIndex cannot be used together.")
	}
	if q.usesCursor && q.count > maxCount {
		return scim.InvalidCount("count is %d; with a cursor it must be between 0 and %d.", q.count, maxCount)
	}
	q.startIndex = min(max(q.startIndex, 1), maxIndex)
	q.count = min(max(q.count, 0), maxCount)
	return nil
}

// parseOrder returns the sort order that sortBy and sortOrder name. It returns nil, which means the
// order of creation, if there is no sortBy.
func (q *query) parseOrder(rt *scim.ResourceType) (*scim.Sort, error) {
	if q.sortBy == "" {
		return nil, nil
	}
	s, err := scim.ParseSort(rt, q.sortBy, q.sortOrder)
	if err != nil {
		return nil, err
	}
	if isAddress(rt, s.Path) {
		return nil, scim.InvalidValue("sortBy: %s is an address. Addresses are built for each answer; sort by id.", s.Path)
	}
	return &s, nil
}

// isAddress reports whether an attribute holds the URL of a resource. These URLs are not stored:
// each answer builds them from ids and the address of this server.
func isAddress(rt *scim.ResourceType, p scim.AttrPath) bool {
	if p.URN != "" {
		return false
	}
	return p.Name == "meta" && p.Sub == "location" ||
		p.Sub == "$ref" && (rt.ID == roster.User && p.Name == "groups" || rt.ID == roster.Group && p.Name == "members")
}

// parseFilter parses the filter for resources of one type. It returns nil if there is none.
func (q *query) parseFilter(rt *scim.ResourceType, mode scim.Mode) (*scim.Filter, []scim.Fix, error) {
	return q.parseFilterWith(scim.ParseFilter, rt, mode)
}

// filterParser is scim.ParseFilter, or a variant of it.
type filterParser func(*scim.ResourceType, string, scim.Mode) (*scim.Filter, []scim.Fix, error)

// parseFilterWith is parseFilter with a variant of scim.ParseFilter.
func (q *query) parseFilterWith(parse filterParser, rt *scim.ResourceType, mode scim.Mode) (*scim.Filter, []scim.Fix, error) {
	if !q.hasFilter {
		return nil, nil, nil
	}
	// An empty filter would match everyone. A client that looks for one person would then take the
	// first person in the list for this person.
	if strings.TrimSpace(q.filter) == "" {
		return nil, nil, scim.InvalidFilter("The filter is empty; leave the parameter out to list everything.")
	}
	f, fixes, err := parse(rt, q.filter, mode)
	if err != nil && q.filterWithSpaces != "" {
		f, fixes, err = parse(rt, q.filterWithSpaces, mode)
	}
	if err != nil {
		return nil, fixes, err
	}
	for _, p := range scim.Paths(f.Root) {
		// A filter on a URL would match no one, and the client would conclude that the person does
		// not exist.
		if isAddress(rt, p) {
			return nil, fixes, scim.InvalidFilter("%s cannot be used in a filter: it is an address, and addresses are built for each answer. Filter by the id at its end: id, members.value or groups.value.", p)
		}
	}
	return f, fixes, nil
}
