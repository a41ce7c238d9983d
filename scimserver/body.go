package scimserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/scim"
)

// The largest request bodies, in bytes.
const (
	MaxBody      = 1 << 20
	MaxGroupBody = 32 << 20 // POST and PUT of a group, whose members are read as a stream
)

// body is a request's body, and the most that is read of it.
type body struct {
	io.Reader
	limit int64
}

// openRequest begins to read the body of a request.
func (x *exchange) openRequest(limit int64) (body, error) {
	if err := checkContentType(x.r.Header); err != nil {
		return body{}, err
	}
	if err := checkContentEncoding(x.r.Header); err != nil {
		return body{}, err
	}
	if x.r.ContentLength > limit {
		return body{}, tooLarge(limit)
	}
	if err := x.holdBody(x.r.ContentLength, limit); err != nil {
		return body{}, err
	}
	return body{http.MaxBytesReader(x.w, x.r.Body, limit), limit}, nil
}

// readBody reads the whole body of a request that has one.
func (x *exchange) readBody(limit int64) ([]byte, error) {
	in, err := x.open(limit)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, in.failure(err)
	}
	return text, nil
}

// failure is what a client is told when its body cannot be read to the end.
func (b body) failure(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return tooLarge(b.limit)
	}
	return scim.BadRequest("The request body ended before it was complete.")
}

func tooLarge(limit int64) error {
	return scim.PayloadTooLarge("The request body is larger than %d bytes; send less in one request.", limit)
}

// RFC 7644 §3.8: application/scim+json, and application/json; with no type named, SCIM JSON is the default.
//
// RFC 8259 §11: a charset means nothing, JSON is UTF-8. Java's HTTP clients name iso-8859-1 unasked.
func checkContentType(h http.Header) error {
	text := strings.TrimSpace(h.Get("Content-Type"))
	if text == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(text)
	if media != "application/scim+json" && media != "application/json" || err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return scim.UnsupportedMediaType("The Content-Type is %q; send application/scim+json or application/json.", clip(text))
	}
	return nil
}

// checkContentEncoding refuses compressed bodies: what they hold cannot be bounded before it is unpacked.
//
// RFC 9110 §15.5.16: 415, with the codings that are taken.
func checkContentEncoding(h http.Header) error {
	coding := strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ", "))
	if coding == "" || strings.EqualFold(coding, "identity") {
		return nil
	}
	return &headerError{
		err:    scim.UnsupportedMediaType("The Content-Encoding is %q; send the body uncompressed, without this header.", clip(coding)),
		header: "Accept-Encoding",
		value:  "identity",
	}
}

// parseSearch reads a SearchRequest.
//
// RFC 7644 §3.4.3: the parameters of a query as members of a JSON object. The address says what it is, so a lenient site
// takes one whose schemas are missing or of another message.
func (x *exchange) parseSearch(text []byte) (query, error) {
	q := newQuery()
	members, err := object(text)
	if err != nil {
		return q, err
	}
	search, err := isMessage(members["schemas"], scim.SearchRequestURN)
	switch {
	case err != nil:
		return q, err
	case !search && x.mode == scim.Strict:
		return q, otherMessage(scim.SearchRequestURN)
	case !search:
		x.fixed([]scim.Fix{{Code: "undeclared-schema", Path: "schemas", Text: scim.SearchRequestURN + " added"}})
	}
	for _, p := range []struct {
		name  string
		into  any
		given *bool
	}{
		{"filter", &q.filter, &q.hasFilter},
		{"startIndex", &q.startIndex, &q.byIndex},
		{"count", &q.count, nil},
		{"attributes", &q.attributes, nil},
		{"excludedAttributes", &q.excluded, nil},
		{"sortBy", &q.sortBy, nil},
		{"sortOrder", &q.sortOrder, nil},
		{"cursor", &q.cursor, &q.byCursor},
	} {
		text, sent := members[strings.ToLower(p.name)]
		if !sent || string(text) == "null" {
			continue
		}
		var word string
		if _, isText := p.into.(*string); !isText && x.mode == scim.Lenient && json.Unmarshal(text, &word) == nil {
			// A list or a number as it would stand in a URL.
			if err := q.set(strings.ToLower(p.name), word); err != nil {
				return q, err
			}
			x.fixed([]scim.Fix{{Code: "search-text", Path: p.name, Text: "read as in a URL"}})
			continue
		}
		if err := json.Unmarshal(text, p.into); err != nil {
			return q, scim.InvalidValue("%s of the search request is %s, which is not of its type.", p.name, clip(string(text)))
		}
		if p.given != nil {
			*p.given = true
		}
	}
	q.plainNames()
	return q, nil
}

// isMessage reports whether the schemas of a message name its URN.
func isMessage(schemas json.RawMessage, urn string) (bool, error) {
	var urns []string
	if len(schemas) > 0 && json.Unmarshal(schemas, &urns) != nil {
		return false, scim.InvalidSyntax("schemas is not a list of strings.")
	}
	return slices.ContainsFunc(urns, func(u string) bool { return strings.EqualFold(u, urn) }), nil
}

func otherMessage(urn string) error {
	return scim.InvalidSyntax("schemas of this request is [%q].", urn)
}

// field is a member of a JSON object as it was written.
type field struct {
	name  string
	value json.RawMessage
}

// fieldsOf reads the members of a JSON object in their order.
func fieldsOf(text []byte) (fields []field, err error) {
	if !utf8.Valid(text) {
		return nil, scim.InvalidSyntax("The request body is not valid UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, scim.InvalidSyntax("The request body is not a JSON object.")
	}
	for d.More() {
		key, err := d.Token()
		name, isText := key.(string)
		if err != nil || !isText {
			return nil, scim.InvalidSyntax("The request body is not valid JSON.")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, scim.InvalidSyntax("The request body is not valid JSON near %q.", clip(name))
		}
		fields = append(fields, field{name, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, scim.InvalidSyntax("The request body is not valid JSON: the object does not end.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, scim.InvalidSyntax("The request body holds more after the JSON object.")
	}
	return fields, nil
}

// object reads the members of a JSON object under their names in lower case.
func object(text []byte) (map[string]json.RawMessage, error) {
	fields, err := fieldsOf(text)
	if err != nil {
		return nil, err
	}
	members := make(map[string]json.RawMessage, len(fields))
	for _, f := range fields {
		// RFC 7643 §2.1: attribute names are case-insensitive, so these two are one sent twice.
		name := strings.ToLower(f.name)
		if _, twice := members[name]; twice {
			return nil, scim.InvalidSyntax("The request body holds %q twice.", clip(f.name))
		}
		members[name] = f.value
	}
	return members, nil
}

// appendFields writes an object of these members.
func appendFields(fields []field) json.RawMessage {
	out := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			continue // impossible: a string always is JSON
		}
		out = append(append(append(out, name...), ':'), f.value...)
	}
	return append(out, '}')
}

func clip(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
