package scimserver

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/scim"
)

// Largest request bodies, in bytes.
const (
	MaxBody      = 1 << 20
	MaxGroupBody = 32 << 20 // for POST and PUT of a group, whose members are read as a stream
)

// body is the body of a request. limit is the largest number of bytes that are read from it.
type body struct {
	io.Reader
	limit int64
}

// openRequest checks the headers that describe the body and returns the body for reading. Its
// errors are 415 for the wrong type or encoding, 413 for a body that is too large, and 429 or 503
// if there is no memory for it.
func (x *exchange) openRequest(limit int64) (body, error) {
	if err := checkContentType(x.request.Header); err != nil {
		return body{}, err
	}
	if err := checkContentEncoding(x.request.Header); err != nil {
		return body{}, err
	}
	if x.request.ContentLength > limit {
		return body{}, bodyTooLargeError(limit)
	}
	if err := x.reserveForBody(x.request.ContentLength, limit); err != nil {
		return body{}, err
	}
	return body{http.MaxBytesReader(x.writer, x.request.Body, limit), limit}, nil
}

// readBody returns the whole body of the request. Its errors are those of openRequest, and 400 for
// a body that is incomplete.
func (x *exchange) readBody(limit int64) ([]byte, error) {
	in, err := x.openBody(limit)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, in.readError(err)
	}
	return text, nil
}

// readError converts an error of reading the body: 413 if the body is above its limit, and
// otherwise 400.
func (b body) readError(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return bodyTooLargeError(b.limit)
	}
	return scim.BadRequest("The request body ended before it was complete.")
}

// bodyTooLargeError returns the 413 error for a body above its limit.
func bodyTooLargeError(limit int64) error {
	return scim.PayloadTooLarge("The request body is larger than %d bytes; send less in one request.", limit)
}

// checkContentType returns 415 if the Content-Type is neither SCIM JSON nor JSON.
//
// RFC 7644 §3.8: application/scim+json or application/json; a missing type means SCIM JSON.
//
// RFC 8259 §11: JSON has no charset parameter and is always UTF-8. The charset is ignored, because
// Java's HTTP clients send iso-8859-1 by default.
func checkContentType(h http.Header) error {
	text := strings.TrimSpace(h.Get("Content-Type"))
	if text == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(text)
	if media != "application/scim+json" && media != "application/json" || err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return scim.UnsupportedMediaType("The Content-Type is %q; send application/scim+json or application/json.", truncate(text))
	}
	return nil
}

// checkContentEncoding refuses compressed bodies, because their size cannot be bounded before they
// are unpacked.
//
// RFC 9110 §15.5.16: the answer is 415, with the accepted codings in a header.
func checkContentEncoding(h http.Header) error {
	coding := strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ", "))
	if coding == "" || strings.EqualFold(coding, "identity") {
		return nil
	}
	return &headerError{
		err:    scim.UnsupportedMediaType("The Content-Encoding is %q; send the body uncompressed, without this header.", truncate(coding)),
		header: "Accept-Encoding",
		value:  "identity",
	}
}

// parseSearch reads a SearchRequest, the body of a POST to .search.
//
// RFC 7644 §3.4.3: the body is a JSON object with the parameters of a query. The endpoint already
// says that the body is a SearchRequest, so a lenient site accepts a body whose schemas are missing
// or wrong.
func (x *exchange) parseSearch(text []byte) (query, error) {
	q := newQuery()
	members, err := scim.ParseMembers(text)
	if err != nil {
		return q, err
	}
	search, err := isMessage(members.Get("schemas"), scim.SearchRequestURN)
	switch {
	case err != nil:
		return q, err
	case !search && x.mode == scim.Strict:
		return q, wrongMessageError(scim.SearchRequestURN)
	case !search:
		x.addFixes([]scim.Fix{{Code: "undeclared-schema", Path: "schemas", Text: scim.SearchRequestURN + " added"}})
	}
	for _, p := range []struct {
		name  string
		into  any
		given *bool
	}{
		{"filter", &q.filter, &q.hasFilter},
		{"startIndex", &q.startIndex, &q.hasStartIndex},
		{"count", &q.count, nil},
		{"attributes", &q.attributes, nil},
		{"excludedAttributes", &q.excludedAttributes, nil},
		{"sortBy", &q.sortBy, nil},
		{"sortOrder", &q.sortOrder, nil},
		{"cursor", &q.cursor, &q.usesCursor},
	} {
		text := members.Get(p.name)
		if len(text) == 0 || string(text) == "null" {
			continue
		}
		var word string
		if _, isText := p.into.(*string); !isText && x.mode == scim.Lenient && json.Unmarshal(text, &word) == nil {
			// The client sent a list or a number as a string, as in a URL.
			if err := q.setParameter(strings.ToLower(p.name), word); err != nil {
				return q, err
			}
			x.addFixes([]scim.Fix{{Code: "search-text", Path: p.name, Text: "read as in a URL"}})
			continue
		}
		if err := json.Unmarshal(text, p.into); err != nil {
			return q, scim.InvalidValue("%s of the search request is %s, which has the wrong type.", p.name, truncate(string(text)))
		}
		if p.given != nil {
			*p.given = true
		}
	}
	q.dropValueFilters()
	return q, nil
}

// isMessage reports whether the member "schemas" of a message names the URN.
func isMessage(schemas json.RawMessage, urn string) (bool, error) {
	var urns []string
	if len(schemas) > 0 && json.Unmarshal(schemas, &urns) != nil {
		return false, scim.InvalidSyntax("schemas is not a list of strings.")
	}
	return slices.ContainsFunc(urns, func(u string) bool { return strings.EqualFold(u, urn) }), nil
}

// wrongMessageError is the error for a body whose schemas do not name the URN of the expected
// message.
func wrongMessageError(urn string) error {
	return scim.InvalidSyntax("schemas of this request must be [%q].", urn)
}

// truncate cuts a client's string to at most maxShownBytes, for a message or the log.
func truncate(text string) string { return phrase.Cut(text, maxShownBytes) }

// maxShownBytes is the largest number of bytes of a client's string that a message repeats.
const maxShownBytes = 100
