package scimserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// MaxBody is the largest request body, in bytes.
const MaxBody = 1 << 20

// readBody reads the whole body of a request that has one.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := checkContentType(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, tooLarge()
	case err != nil:
		return nil, scim.BadRequest("The request body ended before it was complete.")
	}
	return body, nil
}

func tooLarge() error {
	return scim.PayloadTooLarge("The request body is larger than %d bytes; send less in one request.", MaxBody)
}

// RFC 7644 §3.8: application/scim+json, and application/json; with no type named, SCIM JSON is the default.
func checkContentType(h http.Header) error {
	text := strings.TrimSpace(h.Get("Content-Type"))
	if text == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(text)
	if err != nil || (media != "application/scim+json" && media != "application/json") {
		return scim.UnsupportedMediaType("The Content-Type is %q; send application/scim+json or application/json.", text)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return scim.UnsupportedMediaType("The charset is %q; send UTF-8.", charset)
	}
	return nil
}

// parseSearch reads a SearchRequest.
//
// RFC 7644 §3.4.3: the parameters of a query as members of a JSON object.
func parseSearch(body []byte, mode scim.Mode) (query, error) {
	q := newQuery()
	members, err := object(body)
	if err != nil {
		return q, err
	}
	if err := checkSearchSchema(members["schemas"], mode); err != nil {
		return q, err
	}
	for name, into := range map[string]any{
		"filter":             &q.filter,
		"startindex":         &q.startIndex,
		"count":              &q.count,
		"attributes":         &q.attributes,
		"excludedattributes": &q.excluded,
		"sortby":             &q.sortBy,
	} {
		text, sent := members[name]
		if !sent || string(text) == "null" {
			continue
		}
		if err := json.Unmarshal(text, into); err != nil {
			return q, scim.InvalidValue("%s of the search request is %s, which is not of its type.", name, clip(string(text)))
		}
		q.hasFilter = q.hasFilter || name == "filter"
	}
	q.plainNames()
	return q, nil
}

func checkSearchSchema(text json.RawMessage, mode scim.Mode) error {
	var urns []string
	if len(text) > 0 && json.Unmarshal(text, &urns) != nil {
		return scim.InvalidSyntax("schemas of the search request is not a list of strings.")
	}
	for _, urn := range urns {
		if strings.EqualFold(urn, scim.SearchRequestURN) {
			return nil
		}
	}
	if mode == scim.Lenient && len(urns) == 0 {
		return nil
	}
	return scim.InvalidSyntax("schemas of a search request is [%q].", scim.SearchRequestURN)
}

// object reads the members of a JSON object under their names in lower case.
func object(body []byte) (map[string]json.RawMessage, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, scim.InvalidSyntax("The request body is not a JSON object.")
	}
	members := map[string]json.RawMessage{}
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
		// RFC 7643 §2.1: attribute names are case-insensitive, so these two are one sent twice.
		if _, twice := members[strings.ToLower(name)]; twice {
			return nil, scim.InvalidSyntax("The request body holds %q twice.", clip(name))
		}
		members[strings.ToLower(name)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, scim.InvalidSyntax("The request body is not valid JSON: the object does not end.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, scim.InvalidSyntax("The request body holds more after the JSON object.")
	}
	return members, nil
}

func clip(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
