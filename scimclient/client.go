package scimclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// compliantFlag in a Tenant URL asks for PATCH bodies that follow RFC 7644.
const compliantFlag = "aadOptscim062020"

const mediaType = "application/scim+json"

// Client is one application's SCIM endpoint. It is safe for concurrent use.
type Client struct {
	base      string // scheme, host and path, without a slash at the end
	flags     string // query of the Tenant URL, kept on every request
	compliant bool
	token     string
	http      *http.Client
	now       func() time.Time
	newID     func() string
}

// Options of a client; all are required.
type Options struct {
	HTTP  *http.Client
	Now   func() time.Time // to read a Retry-After that is a date
	NewID func() string    // a random GUID, for the connection test
}

// New opens the endpoint at a Tenant URL. An empty token sends no Authorization.
func New(tenantURL, token string, o Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSpace(tenantURL))
	if err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, &provision.TargetError{
			Kind: provision.Unreachable, Code: codeProtocol, Err: err,
			Detail: fmt.Sprintf("%q is not a Tenant URL.", tenantURL),
			Advice: "Enter the complete address, such as https://example.com/c/acme/auth/scim/v2.",
		}
	}
	if strings.ContainsAny(token, "\r\n\x00") {
		return nil, &provision.TargetError{
			Kind: provision.Credentials, Code: codeCredentials,
			Detail: "The Secret Token contains a line break.",
			Advice: "Paste the token again, alone.",
		}
	}
	flags := u.RawQuery
	u.RawQuery, u.Fragment, u.ForceQuery = "", "", false
	return &Client{
		base:      strings.TrimRight(u.String(), "/"),
		flags:     flags,
		compliant: hasFlag(flags, compliantFlag),
		token:     token,
		http:      o.HTTP,
		now:       o.Now,
		newID:     o.NewID,
	}, nil
}

func hasFlag(query, flag string) bool {
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if strings.EqualFold(name, flag) {
			return true
		}
	}
	return false
}

// Test asks for an account that cannot exist: its first matching attribute is a
// random GUID. It proves the address, the token and that filters are answered.
func (c *Client) Test(ctx context.Context, matchPath string) error {
	found, err := c.Find(ctx, matchPath, c.newID())
	if err != nil {
		return explainTest(err)
	}
	if len(found) > 0 {
		return &provision.TargetError{
			Kind: provision.Incompatible, Code: codeIncompatible, Status: http.StatusOK, Request: "GET /Users",
			Detail: fmt.Sprintf("The application answered a search by %s for a random value with %d accounts.", matchPath, len(found)),
			Advice: "It ignores filters, so people cannot be told apart. Choose another matching attribute, or have the application's SCIM endpoint corrected.",
		}
	}
	return nil
}

// Find returns the accounts whose attribute at path equals value.
func (c *Client) Find(ctx context.Context, path string, value any) ([]provision.TargetObject, error) {
	a, err := c.do(ctx, http.MethodGet, "/Users", filterQuery(path, value), nil)
	if err != nil {
		return nil, err
	}
	if !a.ok() {
		return nil, a.problem()
	}
	var list struct {
		TotalResults json.Number      `json:"totalResults"`
		Resources    *json.RawMessage `json:"Resources"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil || (list.Resources == nil && list.TotalResults == "") {
		return nil, a.incompatible("answered a search with something that is not a SCIM list")
	}
	total, _ := list.TotalResults.Int64()
	var found []provision.TargetObject
	if list.Resources != nil {
		if found, err = decodeObjects(*list.Resources); err != nil {
			return nil, a.incompatible(err.Error())
		}
	}
	switch {
	case total > 1 && len(found) < 2:
		return nil, &provision.TargetError{
			Kind: provision.Permanent, Code: "DuplicateTargetEntries", Status: a.status, Request: a.request,
			Detail: fmt.Sprintf("The application has %d accounts with this %s.", total, path),
			Advice: "Correct the accounts at the application so that one is left, or match by another attribute.",
		}
	case total == 1 && len(found) == 0:
		return nil, a.incompatible("counts one account in its answer to a search but does not name it")
	}
	return found, nil
}

// Get returns the account with an id.
func (c *Client) Get(ctx context.Context, id string) (provision.TargetObject, error) {
	path, err := userPath(id)
	if err != nil {
		return provision.TargetObject{}, err
	}
	a, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return provision.TargetObject{}, err
	}
	if !a.ok() {
		return provision.TargetObject{}, a.problem()
	}
	o, err := decodeObject(a.body)
	if err != nil {
		return provision.TargetObject{}, a.incompatible(err.Error())
	}
	return o, nil
}

// Create makes an account.
func (c *Client) Create(ctx context.Context, changes []provision.Change) (provision.TargetObject, error) {
	body, err := createBody(changes)
	if err != nil {
		return provision.TargetObject{}, err
	}
	a, err := c.do(ctx, http.MethodPost, "/Users", "", body)
	if err != nil {
		return provision.TargetObject{}, err
	}
	if !a.ok() {
		return provision.TargetObject{}, a.problem()
	}
	o, err := decodeObject(a.body)
	if err != nil {
		te := a.incompatible(err.Error())
		te.Sent = true
		return provision.TargetObject{}, te
	}
	return o, nil
}

// Patch changes the named attributes and no others.
func (c *Client) Patch(ctx context.Context, id string, changes []provision.Change) error {
	path, err := userPath(id)
	if err != nil {
		return err
	}
	body, err := patchBody(changes, c.compliant)
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodPatch, path, "", body)
	if err != nil {
		return err
	}
	if !a.ok() {
		return a.problem()
	}
	return nil
}

// Delete removes an account. One that is gone already is no error.
func (c *Client) Delete(ctx context.Context, id string) error {
	path, err := userPath(id)
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodDelete, path, "", nil)
	if err != nil {
		return err
	}
	if !a.ok() && a.status != http.StatusNotFound {
		return a.problem()
	}
	return nil
}

// userPath escapes an id that the application made up.
func userPath(id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", &provision.TargetError{
			Kind: provision.Incompatible, Code: codeIncompatible,
			Detail: fmt.Sprintf("The application gave an account the id %q, which no URL can carry.", id),
			Advice: "Have the application's SCIM endpoint corrected.",
		}
	}
	return "/Users/" + url.PathEscape(id), nil
}

// do sends one request. Its error is a *provision.TargetError for a request that
// got no answer; any answer at all is returned.
func (c *Client) do(ctx context.Context, method, path, query string, body []byte) (answer, error) {
	request := method + " " + path
	r, err := http.NewRequestWithContext(ctx, method, c.url(path, query), bytes.NewReader(body))
	if err != nil {
		return answer{}, unreachable(request, err)
	}
	if body == nil {
		r.Body, r.GetBody, r.ContentLength = nil, nil, 0
	} else {
		r.Header.Set("Content-Type", mediaType)
	}
	r.Header.Set("Accept", mediaType+", application/json")
	r.Header.Set("User-Agent", "Rollcall")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{}, unreachable(request, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, unreadable(request, resp.StatusCode, err)
	}
	return answer{
		request:    request,
		status:     resp.StatusCode,
		header:     resp.Header,
		body:       bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")),
		retryAfter: retryAfter(resp.Header.Get("Retry-After"), c.now()),
	}, nil
}

func (c *Client) url(path, query string) string {
	u := c.base + path
	switch {
	case c.flags != "" && query != "":
		return u + "?" + c.flags + "&" + query
	case c.flags != "" || query != "":
		return u + "?" + c.flags + query
	}
	return u
}

// answer is what came back. Any content type is read: some servers label SCIM as
// text/json or forget the label.
type answer struct {
	request    string
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Duration
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

func decodeObjects(raw json.RawMessage) ([]provision.TargetObject, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, errors.New("answered a search with Resources that are not a list")
	}
	found := make([]provision.TargetObject, 0, len(parts))
	for _, part := range parts {
		o, err := decodeObject(part)
		if err != nil {
			return nil, err
		}
		found = append(found, o)
	}
	return found, nil
}

func decodeObject(raw []byte) (provision.TargetObject, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil || doc == nil {
		return provision.TargetObject{}, errors.New("answered with something that is not a SCIM resource")
	}
	r := scim.Resource{}
	for name, v := range doc {
		id, ok := v.(string)
		if ok && strings.EqualFold(name, "id") && (len(id) > maxID || strings.ContainsRune(id, 0)) {
			return provision.TargetObject{}, fmt.Errorf("answered with a resource whose id is no text of at most %d bytes", maxID)
		}
		r[withoutNUL(name)] = plain(v)
	}
	for name, v := range r {
		if id, ok := v.(string); ok && id != "" && strings.EqualFold(name, "id") {
			return provision.TargetObject{ID: id, Resource: r}, nil
		}
	}
	return provision.TargetObject{}, errors.New("answered with a resource that has no id")
}

// maxID bounds the ids of accounts, which are remembered and looked up, in bytes.
const maxID = 1_000

// withoutNUL gives a text that every database keeps.
func withoutNUL(text string) string { return strings.ReplaceAll(text, "\x00", "\ufffd") }

// plain turns json.Number into what scim.Resource holds, and leaves no NUL in a text.
func plain(v any) any {
	switch v := v.(type) {
	case string:
		return withoutNUL(v)
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[withoutNUL(k)] = plain(e)
		}
		return m
	case []any:
		for i, e := range v {
			v[i] = plain(e)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}
