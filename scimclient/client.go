package scimclient

import (
	"bytes"
	"cmp"
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
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// compliantFlag is the flag in a Tenant URL that makes the client send PATCH bodies as RFC 7644
// defines them. Without the flag, they have Entra's older form.
const compliantFlag = "aadOptscim062020"

// mediaType is the Content-Type of SCIM (RFC 7644 §8.1).
const mediaType = "application/scim+json"

// Client sends requests about users to the SCIM endpoint of one application. Groups returns the
// client for groups. A Client is safe for concurrent use.
type Client struct {
	*endpoint
	resourceType *resourceType  // userResource or groupResource
	groups       *Client        // the client for groups; nil if this is the client for groups
	listsMembers atomic.Bool    // whether an answer of the application has ever listed the members of a group
	memberSearch atomic.Int32   // a value of type memberSearch: whether the application can be searched for one member of a group
	removed      sync.Map       // the members that the last removal request for each group named ([]string), by the id of the group
	needsSlash   [2]atomic.Bool // whether the application needs a slash at the end of /Users (index 0) and of /Users/{id} (index 1)
}

// endpoint holds the data that the clients for users and groups of one application share: its
// address, the token and the dialect.
type endpoint struct {
	base      string // scheme, host and path, without a slash at the end
	flags     string // query string of the Tenant URL, sent with every request
	compliant bool   // whether the Tenant URL has compliantFlag
	token     string
	http      *http.Client
	now       func() time.Time
	newID     func() string
	dialect   atomic.Pointer[provision.Dialect] // the deviations that the application needs; nil if none is known
	paths     pathCache                         // parsed target paths
}

// resourceType holds the differences between requests about users and requests about groups.
type resourceType struct {
	path   string // the path below the Tenant URL
	query  string // the query string of each read and each search; "" if there is none
	noun   string // the words for one object in messages, such as "an account"
	schema string // the URN of its core schema
	// newBody returns the body of a create.
	newBody func(paths *pathCache, changes []provision.Change, d provision.Dialect) ([]byte, error)
}

var (
	userResource  = &resourceType{path: "/Users", noun: "an account", schema: scim.UserURN, newBody: createBody}
	groupResource = &resourceType{path: "/Groups", query: "excludedAttributes=members", noun: "a group", schema: scim.GroupURN, newBody: groupBody}
)

// isContradictedBy reports whether a resource says that it is of the other type: an account instead
// of a group, or a group instead of an account.
func (t *resourceType) isContradictedBy(r scim.Resource) bool {
	other, otherName := scim.GroupURN, "Group"
	if t == groupResource {
		other, otherName = scim.UserURN, "User"
	}
	own, foreign := false, false
	for name, v := range r {
		switch {
		case strings.EqualFold(name, "schemas"):
			urns, _ := v.([]any)
			for _, urn := range urns {
				own = own || strings.EqualFold(fmt.Sprint(urn), t.schema)
				foreign = foreign || strings.EqualFold(fmt.Sprint(urn), other)
			}
		case strings.EqualFold(name, "meta"):
			meta, _ := v.(map[string]any)
			if kind, _ := meta["resourceType"].(string); strings.EqualFold(kind, otherName) {
				return true
			}
		}
	}
	return foreign && !own
}

// Options of a client. All are required.
type Options struct {
	HTTP  *http.Client     // sends the requests
	Now   func() time.Time // the clock; turns a Retry-After that is a date into a duration
	NewID func() string    // makes a random GUID, for the connection test
}

// New makes a client for a Tenant URL. If the token is empty, requests carry no Authorization
// header. It returns a *provision.TargetError if the Tenant URL or the token is malformed.
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
	shared := &endpoint{
		base:      strings.TrimRight(u.String(), "/"),
		flags:     flags,
		compliant: hasFlag(flags, compliantFlag),
		token:     token,
		http:      o.HTTP,
		now:       o.Now,
		newID:     o.NewID,
	}
	return &Client{endpoint: shared, resourceType: userResource, groups: &Client{endpoint: shared, resourceType: groupResource}}, nil
}

// hasFlag reports whether a query string has a flag. It ignores case.
func hasFlag(query, flag string) bool {
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if strings.EqualFold(name, flag) {
			return true
		}
	}
	return false
}

// Test tests the connection. It searches for an account that cannot exist: its attribute at path
// equals a random value, such as a GUID. If Test returns nil, the Tenant URL and the token are
// right, and the application can search by this attribute. Otherwise the error is a
// *provision.TargetError that says which of these is wrong.
func (c *Client) Test(ctx context.Context, path string, t provision.AttributeType) error {
	value, ok := c.randomValue(t)
	if !ok {
		return unsearchableError(path, fmt.Sprintf("%s is True or False, so no search by it can find a single account.", path))
	}
	found, err := c.Find(ctx, path, value)
	var te *provision.TargetError
	switch {
	case err == nil && len(found) == 0:
		return nil
	case err == nil:
		return ignoredFilterError(path, int64(len(found)))
	case !errors.As(err, &te):
		return err
	case te.Kind == provision.Permanent && te.Status != http.StatusForbidden:
		if te.Code == codeDuplicate {
			return ignoredFilterError(path, 0)
		}
		e := unsearchableError(path, fmt.Sprintf("The application cannot be searched by %s. It answered %d and said: %s", path, te.Status, te.Detail))
		e.Status, e.Request = te.Status, te.Request
		return e
	case te.Status == http.StatusNotFound && c.listsAccounts(ctx):
		e := unsearchableError(path, fmt.Sprintf("The application answers 404 to a search by %s that finds no account.", path))
		e.Status, e.Request = te.Status, te.Request
		e.Advice = "The Tenant URL is right: the application lists its accounts there. A search that finds no account must return 200 and an empty list (RFC 7644 §3.4.2). Have the application's SCIM endpoint corrected."
		return e
	}
	return explainTestError(err)
}

// randomValue returns a random value of a type, which practically no account has. ok is false for a
// type with too few possible values, such as boolean.
func (c *Client) randomValue(t provision.AttributeType) (value any, ok bool) {
	id := c.newID()
	switch t {
	case provision.TypeBoolean:
		return nil, false
	case provision.TypeInteger:
		h := fnv.New64a()
		_, _ = io.WriteString(h, id)
		return int64(h.Sum64()>>12) | 1<<50, true // small enough for an exact number in JavaScript too
	case provision.TypeDateTime:
		h := fnv.New32a()
		_, _ = io.WriteString(h, id)
		return time.Unix(-int64(h.Sum32()), 0).UTC().Format(time.RFC3339), true
	}
	return id, true
}

// listsAccounts reports whether the application answers a request without a filter with a list.
func (c *Client) listsAccounts(ctx context.Context) bool {
	a, err := c.do(ctx, http.MethodGet, c.resourceType.path, joinQuery(c.resourceType.query, "startIndex=1&count=1"), nil)
	return err == nil && a.isSuccess() && a.isList()
}

// ignoredFilterError is the error for an application that answers the search of Test with accounts,
// although no account has the random value. So the application ignores the filter. n is the number
// of accounts, or 0 if the application did not say.
func ignoredFilterError(path string, n int64) *provision.TargetError {
	returned := "accounts"
	if n > 0 {
		returned = accountsText(n)
	}
	e := unsearchableError(path, fmt.Sprintf("The application ignores filters by %s: it answered a search for a random value with %s.", path, returned))
	e.Advice = fmt.Sprintf("Check that the Tenant URL is the SCIM endpoint itself. In the mapping, match by another attribute that the application can search by, such as %s: "+
		"give it a matching precedence, clear the one of %s, save, and test the connection again. If the application ignores every filter, ask its makers for one thing: "+
		"GET /Users?filter=%s eq \"nobody\" must return 200 and an empty list when no account has that value (RFC 7644 §3.4.2.2).", otherAttributes(path), path, path)
	return e
}

// otherAttributes names two attributes, for an advice, by which many applications can be searched.
// It leaves out the attribute at path, because a search by it has failed.
func otherAttributes(path string) string {
	names := []string{}
	for _, name := range []string{"userName", "externalId", `emails[type eq "work"].value`} {
		if !strings.EqualFold(name, path) {
			names = append(names, name)
		}
	}
	return strings.Join(names[:2], " or ")
}

// unsearchableError is the error for a matching attribute that the application cannot search by.
func unsearchableError(path, detail string) *provision.TargetError {
	return &provision.TargetError{
		Kind: provision.Unsearchable, Code: codeIncompatible, Status: http.StatusOK, Request: "GET /Users", Detail: detail,
		Advice: fmt.Sprintf("Clear the matching precedence of %s in the mapping and match by another attribute, or have the application's SCIM endpoint corrected.", path),
	}
}

// Find returns the accounts whose attribute at path equals value. If there is none, it returns an
// empty list. Any error is a *provision.TargetError.
func (c *Client) Find(ctx context.Context, path string, value any) ([]provision.TargetObject, error) {
	a, err := c.do(ctx, http.MethodGet, c.resourceType.path, joinQuery(c.resourceType.query, filterQuery(path, value)), nil)
	if err != nil {
		return nil, err
	}
	page, err := c.readList(a)
	if err != nil {
		return nil, err
	}
	found, named, total := page.Objects, page.Named, page.Total
	switch {
	case total > 0 && named == 0:
		te := unsearchableError(path, fmt.Sprintf("The application counts %s in its answer to a search by %s but names none of them.", accountsText(total), path))
		te.Advice = "Its totalResults must count the accounts that the filter finds, not all accounts. Have the application's SCIM endpoint corrected."
		return nil, te
	case total > int64(named) && len(found) < 2:
		return nil, &provision.TargetError{
			Kind: provision.Permanent, Code: codeDuplicate, Status: a.status, Request: a.request,
			Detail: fmt.Sprintf("The application counts %s in its answer to a search by %s but names only one. Nothing was done.", accountsText(total), path),
			Advice: "If there are several, correct the accounts at the application so that only one is left, or match by another attribute. If there is one, its totalResults is wrong: have the application's SCIM endpoint corrected.",
		}
	}
	return found, nil
}

// readList reads the list in the answer to a search.
func (c *Client) readList(a answer) (page provision.ObjectPage, err error) {
	if !a.isSuccess() {
		return page, a.toError()
	}
	var list struct {
		TotalResults json.Number      `json:"totalResults"`
		Resources    *json.RawMessage `json:"Resources"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil || (list.Resources == nil && list.TotalResults == "") {
		return page, a.notSCIMError("answered a search with something that is not a SCIM list")
	}
	page.Total, _ = list.TotalResults.Int64()
	if list.Resources != nil {
		if page.Objects, page.Named, err = decodeObjects(*list.Resources); err != nil {
			return page, a.notSCIMError(err.Error())
		}
	}
	for _, o := range page.Objects {
		if c.resourceType.isContradictedBy(o.Resource) {
			return page, a.notSCIMError(fmt.Sprintf("was asked for %s and answered with a resource of another type", c.resourceType.noun))
		}
	}
	return page, nil
}

// List returns a page of all accounts, without a filter. Any error is a *provision.TargetError.
func (c *Client) List(ctx context.Context, start, count int) (provision.ObjectPage, error) {
	a, err := c.do(ctx, http.MethodGet, c.resourceType.path, joinQuery(c.resourceType.query, fmt.Sprintf("startIndex=%d&count=%d", start, count)), nil)
	if err != nil {
		return provision.ObjectPage{}, err
	}
	return c.readList(a)
}

// Get returns the account with an id. Any error is a *provision.TargetError. If the account does
// not exist, its kind is NotFound.
func (c *Client) Get(ctx context.Context, id string) (provision.TargetObject, error) {
	path, err := c.pathOf(id)
	if err != nil {
		return provision.TargetObject{}, err
	}
	a, err := c.do(ctx, http.MethodGet, path, c.resourceType.query, nil)
	if err != nil {
		return provision.TargetObject{}, err
	}
	if !a.isSuccess() {
		return provision.TargetObject{}, a.toError()
	}
	o, err := a.readAccount()
	if err != nil {
		return provision.TargetObject{}, a.notSCIMError(err.Error())
	}
	if !strings.EqualFold(o.ID, id) {
		return provision.TargetObject{}, a.notSCIMError(fmt.Sprintf("was asked for the account %s and answered with %s", id, o.ID))
	}
	if c.resourceType.isContradictedBy(o.Resource) {
		return provision.TargetObject{}, a.notSCIMError(fmt.Sprintf("was asked for %s and answered with a resource of another type", c.resourceType.noun))
	}
	return o, nil
}

// Self returns the id of the account to which the client's token belongs. It reads /Me (RFC 7644
// §3.11), which an application need not have. It returns "" if the application does not tell.
func (c *Client) Self(ctx context.Context) (string, error) {
	a, err := c.do(ctx, http.MethodGet, "/Me", "", nil)
	if err != nil {
		return "", err
	}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		return "", a.toError()
	}
	if !a.isSuccess() {
		return "", nil
	}
	o, err := a.readAccount()
	if err != nil {
		return "", nil //nolint:nilerr // an answer without an account does not tell the id
	}
	return o.ID, nil
}

// Create creates an account and returns it as the application stored it. Any error is a
// *provision.TargetError.
func (c *Client) Create(ctx context.Context, changes []provision.Change) (provision.TargetObject, error) {
	spoken := c.Dialect()
	a, err := c.post(ctx, changes, spoken)
	if err != nil {
		return provision.TargetObject{}, err
	}
	if a.mayAcceptOtherForm() && c.resourceType == groupResource && !spoken.PlainGroups {
		again, err := c.post(ctx, changes, provision.Dialect{PlainGroups: true})
		if err != nil {
			return provision.TargetObject{}, err
		}
		if again.isSuccess() {
			c.addToDialect(provision.Dialect{PlainGroups: true})
		}
		if again.isSuccess() || again.isTransient() { // after a server error, the group may exist
			a = again
		}
	}
	if !a.isSuccess() {
		return provision.TargetObject{}, c.refusedWrite(a)
	}
	return c.createdAccount(ctx, a)
}

// post sends one POST with a body in the given dialect.
func (c *Client) post(ctx context.Context, changes []provision.Change, d provision.Dialect) (answer, error) {
	body, err := c.resourceType.newBody(&c.paths, changes, d)
	if err != nil {
		return answer{}, err
	}
	return c.do(ctx, http.MethodPost, c.resourceType.path, "", body)
}

// Patch changes the given attributes of an account. It returns the account if the application's
// answer contains it, and otherwise only the id. It returns an error if the body of a successful
// answer is not empty and not this account. Any error is a *provision.TargetError.
func (c *Client) Patch(ctx context.Context, id string, changes []provision.Change) (provision.TargetObject, error) {
	path, err := c.pathOf(id)
	if err != nil {
		return provision.TargetObject{}, err
	}
	spoken := c.Dialect()
	a, err := c.patch(ctx, path, changes, spoken)
	if err != nil {
		return provision.TargetObject{}, err
	}
	if a.mayAcceptOtherForm() || a.status == http.StatusInternalServerError {
		for _, other := range c.otherDialects(a, spoken, changes) {
			again, err := c.patch(ctx, path, changes, other)
			if err != nil {
				return provision.TargetObject{}, err
			}
			if again.isSuccess() {
				c.addToDialect(other)
				a = again
				break
			}
		}
	}
	if !a.isSuccess() {
		return provision.TargetObject{}, c.refusedWrite(a)
	}
	o, err := a.patchedAccount(id)
	if err == nil && c.resourceType.isContradictedBy(o.Resource) {
		return provision.TargetObject{}, a.notSCIMError(fmt.Sprintf("was asked to change %s and answered with a resource of another type", c.resourceType.noun))
	}
	return o, err
}

// mayAcceptOtherForm reports whether the application refused the request with a status that may
// mean only its form. Then it may accept the same change in another form.
func (a answer) mayAcceptOtherForm() bool {
	return a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity
}

// refusedWrite returns the error for a write that the application refused. If the reason is a
// duplicate, refusedWrite also records in the dialect that the application refuses duplicates.
func (c *Client) refusedWrite(a answer) *provision.TargetError {
	te := a.toError()
	if te.Kind == provision.Conflict {
		c.addToDialect(provision.Dialect{Unique: true})
	}
	return te
}

// Dialect returns the deviations from Entra's form that the application has been found to need.
func (c *Client) Dialect() provision.Dialect {
	if d := c.dialect.Load(); d != nil {
		return *d
	}
	return provision.Dialect{}
}

// Speak sets the dialect of the client's requests. d must come from an earlier call of Dialect for
// the same application.
func (c *Client) Speak(d provision.Dialect) { c.dialect.Store(&d) }

// addToDialect adds newly found deviations to the dialect.
func (c *Client) addToDialect(found provision.Dialect) {
	for {
		old := c.dialect.Load()
		next := c.Dialect()
		next.Booleans = next.Booleans || found.Booleans
		next.Elements = next.Elements || found.Elements
		next.Empties = next.Empties || found.Empties
		next.Unique = next.Unique || found.Unique
		next.References = next.References || found.References
		next.Removal = cmp.Or(found.Removal, next.Removal)
		next.BareMembers = next.BareMembers || found.BareMembers
		next.PlainGroups = next.PlainGroups || found.PlainGroups
		if c.dialect.CompareAndSwap(old, &next) {
			return
		}
	}
}

// otherDialects returns the dialects in which to try changes again, one after the other, when the
// application has refused them with the answer a. Many applications refuse the strings "True" and
// "False", which Entra sends without its flag; some of these answer 500. Others refuse a path to an
// element that the account does not have, which RFC 7644 §3.5.2.3 allows. After a 500, the
// application may have made the changes. Then only JSON booleans are tried, because sending a
// boolean twice has no further effect.
func (c *Client) otherDialects(a answer, spoken provision.Dialect, changes []provision.Change) []provision.Dialect {
	var others []provision.Dialect
	with := func(change func(d *provision.Dialect)) {
		d := spoken
		change(&d)
		others = append(others, d)
	}
	booleans := !c.compliant && !spoken.Booleans && hasBoolean(changes)
	elements := slices.ContainsFunc(changes, func(ch provision.Change) bool {
		return ch.New != nil && (ch.Element == provision.ElementUnknown || ch.Element == provision.ElementMissing && !spoken.Elements)
	})
	if booleans {
		with(func(d *provision.Dialect) { d.Booleans = true })
	}
	if !a.mayAcceptOtherForm() {
		return others
	}
	if elements {
		with(func(d *provision.Dialect) { d.Elements = true })
		if booleans {
			with(func(d *provision.Dialect) { d.Booleans, d.Elements = true, true })
		}
		if strings.EqualFold(a.scimError().ScimType, "noTarget") {
			slices.Reverse(others)
		}
	}
	if !spoken.References && slices.ContainsFunc(changes, isReference) {
		with(func(d *provision.Dialect) { d.References = true })
	}
	if !spoken.Empties && slices.ContainsFunc(changes, func(ch provision.Change) bool { return ch.New == nil }) {
		with(func(d *provision.Dialect) { d.Empties = true })
	}
	return others
}

// patch sends one PATCH with a body in the given dialect.
func (c *Client) patch(ctx context.Context, path string, changes []provision.Change, d provision.Dialect) (answer, error) {
	body, err := patchBody(changes, c.compliant, d, d.Elements && !c.Dialect().Elements)
	if err != nil {
		return answer{}, err
	}
	return c.do(ctx, http.MethodPatch, path, "", body)
}

// Delete deletes an account. It succeeds if the application answers 204, or 404 with a SCIM error.
// Any other successful status does not prove that the account is gone. So Delete then reads the
// account, and returns an error if it still exists and is active. Every error is a
// *provision.TargetError.
func (c *Client) Delete(ctx context.Context, id string) error {
	path, err := c.pathOf(id)
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodDelete, path, "", nil)
	if err != nil {
		return err
	}
	switch {
	case a.status == http.StatusNoContent, a.status == http.StatusNotFound && a.isError():
		return nil
	case !a.isSuccess():
		return a.toError()
	case a.isWebPage() || a.isError() || a.isList():
		return a.unprovenError("a DELETE")
	}
	left, err := c.Get(ctx, id)
	var te *provision.TargetError
	switch {
	case errors.As(err, &te) && te.Kind == provision.NotFound:
		return nil
	case err != nil:
		return err
	case isInactive(left.Resource):
		return nil
	}
	te = a.unprovenError("a DELETE")
	te.Detail = fmt.Sprintf("The application answered %d to a DELETE, but the account is still there and active.", a.status)
	return te
}

// isInactive reports whether an account is marked as inactive.
func isInactive(r scim.Resource) bool {
	for name, v := range r {
		if strings.EqualFold(name, "active") {
			off := strings.TrimSpace(fmt.Sprint(v))
			return strings.EqualFold(off, "false") || off == "0"
		}
	}
	return false
}

// pathOf returns the path of the resource with an id. It escapes the id, because the application
// chose it. It returns an error for an id that a path cannot contain.
func (c *Client) pathOf(id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", &provision.TargetError{
			Kind: provision.Incompatible, Code: codeIncompatible,
			Detail: fmt.Sprintf("The application gave %s the id %q, which no URL can carry.", c.resourceType.noun, id),
			Advice: "Have the application's SCIM endpoint corrected.",
		}
	}
	return c.resourceType.path + "/" + url.PathEscape(id), nil
}

// do sends one request and returns the answer, whatever its status is. If there is no answer, it
// returns a *provision.TargetError. If the application redirects to the same address with a slash
// at the end, do repeats the request at that address, and uses it for later requests too.
func (c *Client) do(ctx context.Context, method, path, query string, body []byte) (answer, error) {
	slash := &c.needsSlash[0]
	if path != c.resourceType.path {
		slash = &c.needsSlash[1]
	}
	knownToWant := slash.Load()
	a, err := c.sendRequest(ctx, method, path, query, knownToWant, body)
	if err != nil || knownToWant || !a.redirectsToSlash() {
		return a, err
	}
	slash.Store(true)
	return c.sendRequest(ctx, method, path, query, true, body)
}

// sendRequest sends one request and reads the whole answer.
func (c *Client) sendRequest(ctx context.Context, method, path, query string, slash bool, body []byte) (answer, error) {
	request := method + " " + path
	to := c.url(path, query, slash)
	r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return answer{}, unreachableError(request, err)
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
		return answer{}, unreachableError(request, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, unreadableError(request, resp.StatusCode, err)
	}
	return answer{
		request:    request,
		url:        r.URL,
		path:       path,
		flags:      c.flags,
		status:     resp.StatusCode,
		header:     resp.Header,
		body:       bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")),
		parsed:     &parsedBody{},
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), c.now()),
	}, nil
}

// joinQuery joins two query strings with "&". Either may be empty.
func joinQuery(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}

// url returns the address of a path below the Tenant URL. slash says whether to add a slash at the
// end of the path.
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

// answer is the response to a request. The client decodes a JSON body whatever its content type,
// because some servers label SCIM as text/json or not at all.
type answer struct {
	request    string   // the method and the path below the Tenant URL
	url        *url.URL // the URL of the request
	path       string   // the path below the Tenant URL
	flags      string   // the query string of the Tenant URL
	status     int
	header     http.Header
	body       []byte
	parsed     *parsedBody   // the body as a JSON object; jsonMembers fills it on its first call
	retryAfter time.Duration // how long the application asks to wait; 0 if it does not say
}

// isSuccess reports whether the status means that the application accepted the request.
func (a answer) isSuccess() bool { return a.status >= 200 && a.status < 300 }

// isTransient reports whether the status means that the same request may succeed later.
func (a answer) isTransient() bool {
	return a.status == http.StatusTooManyRequests || a.status >= http.StatusInternalServerError && a.status != http.StatusNotImplemented
}

// accountsText returns "one account" or "5 accounts".
func accountsText(n int64) string {
	if n == 1 {
		return "one account"
	}
	return fmt.Sprintf("%d accounts", n)
}

// decodeObjects decodes the Resources of a list. It returns the accounts without duplicates, and
// the number of entries in the list. Some applications list an account once for each of its values
// that match the filter.
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

// decodeObject decodes one account.
func decodeObject(raw []byte) (provision.TargetObject, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		doc = nil
	}
	return objectOf(doc)
}

// objectOf converts a JSON object to an account. It returns an error if the object is nil or has no
// valid id.
func objectOf(doc map[string]any) (provision.TargetObject, error) {
	if doc == nil {
		return provision.TargetObject{}, errors.New("answered with something that is not a SCIM resource")
	}
	r := make(scim.Resource, len(doc))
	id := ""
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		v := doc[name]
		if !strings.EqualFold(name, "id") {
			r[withoutNUL(name)] = resourceValue(v)
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
	return provision.TargetObject{ID: id, Resource: r, Version: versionOf(r)}, nil
}

// versionOf returns meta.version, or "" if there is none. It equals the ETag (RFC 7643 §3.1).
func versionOf(r scim.Resource) string {
	for name, v := range r {
		if meta, ok := v.(map[string]any); ok && strings.EqualFold(name, "meta") {
			if version, _ := meta["version"].(string); len(version) <= maxVersionBytes {
				return version
			}
		}
	}
	return ""
}

// maxVersionBytes is the largest length of a resource's version. The client ignores longer
// versions.
const maxVersionBytes = 200

// readAccount reads the account in the body of an answer.
func (a answer) readAccount() (provision.TargetObject, error) {
	o, err := objectOf(a.jsonMembers())
	if err == nil && o.Version == "" {
		o.Version = a.etag()
	}
	return o, err
}

// etag returns the ETag of an answer, or "" if there is none or if it cannot be stored.
func (a answer) etag() string {
	tag := a.header.Get("ETag")
	if len(tag) > maxVersionBytes || !utf8.ValidString(tag) || strings.ContainsRune(tag, 0) {
		return ""
	}
	return tag
}

// readID returns an id as a string, or "" if there is none. By RFC 7643 §3.1, an id is a string.
// Many applications send a number; readID keeps its digits exactly.
func readID(v any) (string, error) {
	id, isString := v.(string)
	if n, ok := v.(json.Number); ok {
		if id = n.String(); strings.ContainsAny(id, ".eE") {
			return "", fmt.Errorf("answered with a resource whose id is the number %s: an id must be a string or a whole number", shorten(id, 40))
		}
		isString = true
	}
	if v != nil && !isString {
		return "", errors.New("answered with a resource whose id is neither a string nor a whole number")
	}
	if len(id) > maxIDBytes || strings.ContainsRune(id, 0) {
		return "", fmt.Errorf("answered with a resource whose id is longer than %d bytes or contains a NUL", maxIDBytes)
	}
	return id, nil
}

// maxIDBytes is the largest accepted length of an account's id. The database stores and indexes
// these ids.
const maxIDBytes = 1_000

// withoutNUL replaces NUL characters with U+FFFD, because not every database can store them.
func withoutNUL(text string) string { return strings.ReplaceAll(text, "\x00", "\ufffd") }

// resourceValue converts a decoded JSON value to the types that a scim.Resource uses, and replaces
// NUL in strings. It changes maps and lists in place.
func resourceValue(v any) any {
	switch v := v.(type) {
	case string:
		return withoutNUL(v)
	case map[string]any:
		for k, e := range v {
			name := withoutNUL(k)
			if name != k {
				delete(v, k)
			}
			v[name] = resourceValue(e)
		}
	case []any:
		for i, e := range v {
			v[i] = resourceValue(e)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if !strings.ContainsAny(v.String(), ".eE") {
			return v.String() // too large for a number, so keep every digit as a string
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}
