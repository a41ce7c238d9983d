package scimserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/scim"
)

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var e *scim.Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status >= 500 || e.Detail == "" || len(e.Detail) > 1_000 {
		t.Fatalf("got %v, want a short refusal", err)
	}
}

// FuzzLocate locates arbitrary URLs. No part of a place is a slash, dots or unprintable, and no
// token gets into the log.
func FuzzLocate(f *testing.F) {
	const base = "/c/acme/auth/scim/v2"
	for _, path := range []string{
		base + "/Users/u-1?filter=a", base + "//Users/", base + "/v1/Users", "/c/acme/AUTH/scim/V2.0/users/%2e%2e", base + "?aadOptscim062020/Users?filter=x&y",
		base + "/Users/a%2fb%00", "/c/%ff/auth/scim/v2/.search", base + "/Users?access_token=secret-token&Token=%73ecret-token", base + "?x=1&a?token=secret-token", "*",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			t.Skip("net/http refuses it")
		}
		if !Serves(&http.Request{URL: u}) {
			return
		}
		p := locate(u)
		if p.err != nil {
			checkRefusal(t, p.err)
			return
		}
		for _, part := range append([]string{p.endpoint}, p.afterEndpoint...) {
			if strings.ContainsAny(part, `/\`) || part == "." || part == ".." || strings.ContainsFunc(part, unicode.IsControl) {
				t.Errorf("%q: got the part %q", raw, part)
			}
		}
		_, shown, _ := strings.Cut(p.logText, "?")
		for _, pair := range strings.Split(shown, "&") {
			name, value, _ := strings.Cut(pair, "=")
			name, err := url.QueryUnescape(name)
			if err == nil && strings.HasSuffix(strings.ToLower(name), "token") && strings.HasPrefix(value, "secret-token") {
				t.Errorf("%q: the log shows %q", raw, p.logText)
			}
		}
		parsePathForm(p.afterEndpoint)
	})
}

// FuzzParseQuery reads arbitrary queries. A .search with the same parameters gives the same query.
func FuzzParseQuery(f *testing.F) {
	for _, query := range []string{
		`filter=userName+eq+%22a%22&`, "startIndex=-1&count=99999999999999999999", "count=1e9", "attributes=emails%5Btype+eq+%22a%2Cb%22%5D.value,,id&excludedAttributes=",
		"cursor&count=501", "cursor=x&startIndex=1", "sortBy=name.familyName&SORTORDER=descending", "%zz=1&filter=%zz", "flag?filter=x&FILTER=y",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		if err == nil {
			err = q.limitPage()
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if q.startIndex < 1 || q.startIndex > maxIndex || q.count < 0 || q.count > maxCount {
			t.Fatalf("%q: got a page from %d of %d", raw, q.startIndex, q.count)
		}
		members := map[string]any{"startIndex": q.startIndex, "count": q.count, "attributes": q.attributes, "excludedAttributes": q.excludedAttributes, "sortBy": q.sortBy, "sortOrder": q.sortOrder}
		if q.hasFilter {
			members["filter"] = q.filter
		}
		if q.usesCursor {
			members["cursor"] = q.cursor
			delete(members, "startIndex")
		}
		body, err := json.Marshal(members)
		if err != nil || !utf8.ValidString(q.filter+q.cursor+q.sortBy+q.sortOrder+strings.Join(append(q.attributes, q.excludedAttributes...), "")) {
			return
		}
		again, err := (&exchange{}).parseSearch(body)
		if err == nil {
			err = again.limitPage()
		}
		same := again.filter == q.filter && again.hasFilter == q.hasFilter && again.startIndex == q.startIndex && again.count == q.count && again.sortBy == q.sortBy &&
			again.sortOrder == q.sortOrder && again.cursor == q.cursor && again.usesCursor == q.usesCursor && strings.Join(again.attributes, ",") == strings.Join(q.attributes, ",")
		if err != nil || !same {
			t.Fatalf("%q is %+v; as a search %s it is %+v, %v", raw, q, body, again, err)
		}
	})
}

// FuzzHeaders reads arbitrary credentials, entity tags and media types.
func FuzzHeaders(f *testing.F) {
	f.Add("Bearer rollcall_AAAAAAAAAAAAAAAAAAAAAAAAA", `W/"1", "2",*`, "application/scim+json; charset=utf-8", "")
	f.Add("bearer\tx", `w/"`, "application/json;;", "gzip")
	f.Add("Bearer  a b ", `,"",W/`, "text/plain", " identity ")
	f.Fuzz(func(t *testing.T, authorization, tags, media, coding string) {
		token, given := bearerOf(http.Header{"Authorization": {authorization}})
		if given != (token != "") && given || given && (strings.TrimSpace(token) != token || len(authorization) < len("bearer ")+len(token) || !strings.EqualFold(strings.TrimSpace(authorization)[:6], "bearer")) {
			t.Errorf("%q: got %q, %v", authorization, token, given)
		}
		if _, twice := bearerOf(http.Header{"Authorization": {authorization, authorization}}); twice {
			t.Errorf("%q twice is taken", authorization)
		}
		if last := last4(token); len(last) > 4 || !utf8.ValidString(last) || last != "" && len(token) < 20 {
			t.Errorf("%q: the log shows %q", token, last)
		}
		list, anyTag := parseTags([]string{tags, `W/"7"`})
		if !anyTag && (len(list) == 0 || list[len(list)-1] != "7") {
			t.Errorf("%q before the tag 7 hides it: %q", tags, list)
		}
		for _, tag := range list {
			if tag == "" || strings.Contains(tag, ",") {
				t.Errorf("%q: got the tag %q", tags, tag)
			}
		}
		h := http.Header{"Content-Type": {media}, "Content-Encoding": {coding}}
		for _, err := range []error{checkContentType(h), checkContentEncoding(h)} {
			if err != nil {
				checkRefusal(t, err)
			}
		}
	})
}

// FuzzReferences replaces the references of a bulk operation by ids. Everything else stays the
// same, byte for byte.
func FuzzReferences(f *testing.F) {
	f.Add(`{"members":[{"value":"bulkId:a"},{"value":"x"}],"displayName":"bulkId:a "}`, "a", "u-1")
	f.Add(`{"a":"\u0062ulkId:a","b":["members[value eq \"bulkId:a\"]","https://h/Users/bulkId:a/x"]}`, "a", `"},{"`)
	f.Add(`{"urn:x":{"manager":"bulkId:b"},"bulkId:a":1}`, "b", "")
	f.Fuzz(func(t *testing.T, data, id, made string) {
		if untouched := rewriteStrings([]byte(data), func(text string) string { return text }); string(untouched) != data {
			t.Fatalf("%q became %q though nothing was changed", data, untouched)
		}
		if none := expandBulkIDsInJSON([]byte(data), map[string]string{"no such\x00": made}); string(none) != data {
			t.Fatalf("%q became %q though it refers to nothing known", data, none)
		}
		out := expandBulkIDsInJSON([]byte(data), map[string]string{id: made})
		now, later := withhold([]byte(data), map[string]bool{id: true})
		if !json.Valid([]byte(data)) {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%q with %q for %q became %q", data, made, id, out)
		}
		if !json.Valid(now) {
			t.Fatalf("%q without %q became %q", data, id, now)
		}
		for _, p := range later {
			if !json.Valid(p.value) || p.path == "" && !bytes.Contains([]byte(data), []byte(`""`)) {
				t.Fatalf("%q without %q leaves %q: %q", data, id, p.path, p.value)
			}
		}
		if len(later) == 0 && refersTo([]byte(data), map[string]bool{id: true}) && strings.HasPrefix(strings.TrimSpace(data), "{") && utf8.ValidString(data) && !bytes.Contains(now, []byte("ulkId:")) {
			t.Fatalf("%q: the reference to %q is lost", data, id)
		}
	})
}
