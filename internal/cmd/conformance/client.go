package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	mediaType    = "application/scim+json" // the content type of SCIM
	requestLimit = 30 * time.Second        // how long a request may take
)

// client sends requests to one site.
type client struct {
	base  string       // the site's tenant URL, without a trailing slash
	token string       // the site's token
	http  *http.Client // sends the requests
}

// newClient returns a client for the site with this tenant URL and token.
func newClient(base, token string) *client {
	return &client{base: base, token: token, http: &http.Client{
		Timeout: requestLimit,
		// Do not follow redirects: a redirect would hide a wrong answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is the response to a request.
type answer struct {
	status  int
	body    []byte
	doc     map[string]any // the body as a JSON object; nil if the body is not a JSON object
	elapsed time.Duration  // how long the server took to answer
}

// String describes an answer for the text of a failed check.
func (a answer) String() string {
	return fmt.Sprintf("%d %s", a.status, bytes.TrimSpace(a.body[:min(len(a.body), 400)]))
}

// scimType returns the error keyword in the answer, such as "invalidFilter", or "" if there is
// none.
func (a answer) scimType() string { s, _ := a.doc["scimType"].(string); return s }

// id returns the id of the resource in the answer, or "" if there is none.
func (a answer) id() string { s, _ := a.doc["id"].(string); return s }

// call sends a SCIM request. path is appended to the tenant URL. If body is not nil, it is sent as
// JSON.
func (c *client) call(ctx context.Context, method, path string, body any) (answer, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	header := http.Header{"Authorization": {"Bearer " + c.token}, "Accept": {mediaType}, "Content-Type": {mediaType}}
	return c.send(ctx, method, c.base+path, header, text)
}

// send sends a request with these headers and this body, and reads the answer.
func (c *client) send(ctx context.Context, method, url string, header http.Header, body []byte) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header = header
	start := time.Now()
	w, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer w.Body.Close()
	a := answer{status: w.StatusCode}
	if a.body, err = io.ReadAll(w.Body); err != nil {
		return answer{}, fmt.Errorf("%s %s: read the answer: %w", method, url, err)
	}
	a.elapsed = time.Since(start)
	var doc map[string]any
	if json.Unmarshal(a.body, &doc) == nil {
		a.doc = doc
	}
	return a, nil
}

// create posts a resource, without the attributes that the server sets.
func (c *client) create(ctx context.Context, endpoint string, resource map[string]any) (answer, error) {
	sent := map[string]any{}
	for name, value := range resource {
		if name != "id" && name != "meta" {
			sent[name] = value
		}
	}
	a, err := c.call(ctx, http.MethodPost, endpoint, sent)
	if err == nil && (a.status != http.StatusCreated || a.id() == "") {
		return a, fmt.Errorf("POST %s: want 201 with an id, got %v", endpoint, a)
	}
	return a, err
}

// get reads a resource. It returns an error if the resource does not exist.
func (c *client) get(ctx context.Context, path string) (map[string]any, error) {
	a, err := c.call(ctx, http.MethodGet, path, nil)
	if err == nil && (a.status != http.StatusOK || a.doc == nil) {
		return nil, fmt.Errorf("GET %s: want 200, got %v", path, a)
	}
	return a.doc, err
}

// remove deletes a resource that a check has created.
func (c *client) remove(ctx context.Context, path string) error {
	a, err := c.call(ctx, http.MethodDelete, path, nil)
	if err == nil && a.status != http.StatusNoContent {
		return fmt.Errorf("DELETE %s: want 204, got %v", path, a)
	}
	return err
}

// findUsers queries the users that match a filter. It returns the answer, and the ids in the
// answer.
func (c *client) findUsers(ctx context.Context, filter string) (answer, []string, error) {
	a, err := c.call(ctx, http.MethodGet, "/Users?count=200&filter="+encodePercent(filter), nil)
	if err != nil {
		return answer{}, nil, err
	}
	var ids []string
	resources, _ := a.doc["Resources"].([]any)
	for _, r := range resources {
		doc, _ := r.(map[string]any)
		id, _ := doc["id"].(string)
		ids = append(ids, id)
	}
	return a, ids, nil
}

// offersGroups reports whether the server's discovery lists groups.
func (c *client) offersGroups(ctx context.Context) (bool, error) {
	doc, err := c.get(ctx, "/ResourceTypes")
	if err != nil {
		return false, err
	}
	types, _ := doc["Resources"].([]any)
	for _, t := range types {
		rt, _ := t.(map[string]any)
		if rt["endpoint"] == "/Groups" {
			return true, nil
		}
	}
	return false, nil
}

// encodePercent encodes a parameter's value as clients do, with spaces as %20.
func encodePercent(value string) string {
	return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
}
