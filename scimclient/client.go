package scimclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
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
	slash     [2]atomic.Bool // the application wants a slash at the end of /Users, of /Users/{id}
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

// Test searches for an account that cannot exist: the attribute at path is a
// random value, a GUID if it is a string. It proves the address, the token, and that
// the application can search by this attribute.
func (c *Client) Test(ctx context.Context, path string, t provision.AttributeType) error {
	value, ok := c.random(t)
	if !ok {
		return unsearchable(path, fmt.Sprintf("%s is True or False, so that no search by it can find one account.", path))
	}
	found, err := c.Find(ctx, path, value)
	var te *provision.TargetError
	switch {
	case err == nil && len(found) == 0:
		return nil
	case err == nil:
		return ignored(path, int64(len(found)))
	case !errors.As(err, &te):
		return err
	case te.Kind == provision.Permanent && te.Status != http.StatusForbidden:
		if te.Code == codeDuplicate {
			return ignored(path, 0)
		}
		e := unsearchable(path, fmt.Sprintf("The application cannot be searched by %s. It answered %d and said: %s", path, te.Status, te.Detail))
		e.Status, e.Request = te.Status, te.Request
		return e
	case te.Status == http.StatusNotFound && c.lists(ctx):
		e := unsearchable(path, fmt.Sprintf("The application answers a search by %s that finds nobody with 404.", path))
		e.Status, e.Request = te.Status, te.Request
		e.Advice = "The Tenant URL is right: the application lists its accounts there. A search that finds nobody must be answered with 200 and an empty list (RFC 7644 §3.4.2). Have the application's SCIM endpoint corrected."
		return e
	}
	return explainTest(err)
}

// random is a value that no account has; false if the type has too few values.
func (c *Client) random(t provision.AttributeType) (any, bool) {
	id := c.newID()
	switch t {
	case provision.TypeBoolean:
		return nil, false
	case provision.TypeInteger:
		h := fnv.New64a()
		_, _ = io.WriteString(h, id)
		return int64(h.Sum64()>>12) | 1<<50, true // exact in JavaScript too
	case provision.TypeDateTime:
		h := fnv.New32a()
		_, _ = io.WriteString(h, id)
		return time.Unix(-int64(h.Sum32()), 0).UTC().Format(time.RFC3339), true
	}
	return id, true
}

// lists says whether the application lists its accounts, without a filter.
func (c *Client) lists(ctx context.Context) bool {
	a, err := c.do(ctx, http.MethodGet, "/Users", "startIndex=1&count=1", nil)
	return err == nil && a.ok() && a.isList()
}

func ignored(path string, n int64) *provision.TargetError {
	with := "accounts"
	if n > 0 {
		with = accounts(n)
	}
	e := unsearchable(path, fmt.Sprintf("The application ignores filters by %s: it answered a search for a random value with %s.", path, with))
	e.Advice = fmt.Sprintf("Check that the Tenant URL is the SCIM endpoint itself. In the mapping, match by another attribute that the application can search by, such as %s: "+
		"give it a matching precedence, clear the one of %s, save, and test the connection again. If the application ignores every filter, ask its makers for one thing: "+
		"GET /Users?filter=%s eq \"nobody\" must be answered with 200 and an empty list when nobody has that value (RFC 7644 §3.4.2.2).", others(path), path, path)
	return e
}

// others are attributes that many applications can search by, without the one that did not work.
func others(path string) string {
	names := []string{}
	for _, name := range []string{"userName", "externalId", `emails[type eq "work"].value`} {
		if !strings.EqualFold(name, path) {
			names = append(names, name)
		}
	}
	return strings.Join(names[:2], " or ")
}

// unsearchable is a matching attribute that nobody can be found by.
func unsearchable(path, detail string) *provision.TargetError {
	return &provision.TargetError{
		Kind: provision.Unsearchable, Code: codeIncompatible, Status: http.StatusOK, Request: "GET /Users", Detail: detail,
		Advice: fmt.Sprintf("Clear the matching precedence of %s in the mapping and match by another attribute, or have the application's SCIM endpoint corrected.", path),
	}
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
	var named int
	var found []provision.TargetObject
	if list.Resources != nil {
		if found, named, err = decodeObjects(*list.Resources); err != nil {
			return nil, a.incompatible(err.Error())
		}
	}
	switch {
	case total > 0 && named == 0:
		te := unsearchable(path, fmt.Sprintf("The application counts %s in its answer to a search by %s but names none of them.", accounts(total), path))
		te.Advice = "Its totalResults must count the accounts that the filter finds, not all accounts. Have the application's SCIM endpoint corrected."
		return nil, te
	case total > int64(named) && len(found) < 2:
		return nil, &provision.TargetError{
			Kind: provision.Permanent, Code: codeDuplicate, Status: a.status, Request: a.request,
			Detail: fmt.Sprintf("The application counts %s in its answer to a search by %s but names only one. Nothing was done.", accounts(total), path),
			Advice: "If there are several, correct the accounts at the application so that one is left, or match by another attribute. If there is one, its totalResults is wrong: have the application's SCIM endpoint corrected.",
		}
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
	if !strings.EqualFold(o.ID, id) {
		return provision.TargetObject{}, a.incompatible(fmt.Sprintf("was asked for the account %s and answered with %s", id, o.ID))
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
	return c.created(ctx, a)
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
	return a.contradicts(id, changes)
}

// Delete removes an account. One that is gone already is no error, if the
// application itself says so.
func (c *Client) Delete(ctx context.Context, id string) error {
	path, err := userPath(id)
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodDelete, path, "", nil)
	if err != nil {
		return err
	}
	switch {
	case a.status == http.StatusNotFound && a.isError():
		return nil
	case !a.ok():
		return a.problem()
	case a.isPage() || a.isError() || a.isList():
		return a.notBelieved("a DELETE")
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
// got no answer; any answer at all is returned. An application that redirects to the
// same address with a slash at the end is asked there, from then on at once.
func (c *Client) do(ctx context.Context, method, path, query string, body []byte) (answer, error) {
	slash := &c.slash[0]
	if path != "/Users" {
		slash = &c.slash[1]
	}
	with := slash.Load()
	a, err := c.send(ctx, method, path, query, with, body)
	if err != nil || with || !a.wantsSlash() {
		return a, err
	}
	slash.Store(true)
	return c.send(ctx, method, path, query, true, body)
}

func (c *Client) send(ctx context.Context, method, path, query string, slash bool, body []byte) (answer, error) {
	request := method + " " + path
	to := c.url(path, query, slash)
	r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
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
		url:        r.URL,
		path:       path,
		flags:      c.flags,
		status:     resp.StatusCode,
		header:     resp.Header,
		body:       bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")),
		retryAfter: retryAfter(resp.Header.Get("Retry-After"), c.now()),
	}, nil
}

func (c *Client) url(path, query string, slash bool) string {
	u := c.base + path
	if slash {
		u += "/"
	}
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
	request    string   // method and path below the Tenant URL
	url        *url.URL // where the request went
	path       string   // below the Tenant URL
	flags      string   // of the Tenant URL
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Duration
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

func accounts(n int64) string {
	if n == 1 {
		return "one account"
	}
	return fmt.Sprintf("%d accounts", n)
}

// decodeObjects reads the Resources of a list: each account once, and how many
// entries there are. Some applications name an account twice, once for each of its
// values that a filter finds.
func decodeObjects(raw json.RawMessage) (found []provision.TargetObject, entries int, err error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, 0, errors.New("answered a search with Resources that are not a list")
	}
	for _, part := range parts {
		o, err := decodeObject(part)
		if err != nil {
			return nil, 0, err
		}
		if !slices.ContainsFunc(found, func(f provision.TargetObject) bool { return f.ID == o.ID }) {
			found = append(found, o)
		}
	}
	return found, len(parts), nil
}

func decodeObject(raw []byte) (provision.TargetObject, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil || doc == nil {
		return provision.TargetObject{}, errors.New("answered with something that is not a SCIM resource")
	}
	r := scim.Resource{}
	id := ""
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		v := doc[name]
		if !strings.EqualFold(name, "id") {
			r[withoutNUL(name)] = plain(v)
			continue
		}
		text, err := readID(v)
		if err != nil {
			return provision.TargetObject{}, err
		}
		if id == "" || text != "" && name == "id" {
			id = text
		}
	}
	if id == "" {
		return provision.TargetObject{}, errors.New("answered with a resource that has no id")
	}
	r["id"] = id
	return provision.TargetObject{ID: id, Resource: r}, nil
}

// readID reads an id, "" if there is none. RFC 7643 §3.1 makes it a string; many
// applications send the number of a row, which is taken digit by digit.
func readID(v any) (string, error) {
	id, isText := v.(string)
	if n, ok := v.(json.Number); ok {
		if id = n.String(); strings.ContainsAny(id, ".eE") {
			return "", fmt.Errorf("answered with a resource whose id is the number %s: an id must be a string or a whole number", shorten(id, 40))
		}
		isText = true
	}
	if v != nil && !isText {
		return "", errors.New("answered with a resource whose id is neither a string nor a whole number")
	}
	if len(id) > maxID || strings.ContainsRune(id, 0) {
		return "", fmt.Errorf("answered with a resource whose id is longer than %d bytes or contains a NUL", maxID)
	}
	return id, nil
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
		if !strings.ContainsAny(v.String(), ".eE") {
			return v.String() // too large: every digit counts
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}
