package scimclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// createdAccount returns the account that a successful POST created. If the answer contains no
// account but has a Location header, it reads the account with the id in that header.
func (c *Client) createdAccount(ctx context.Context, a answer) (provision.TargetObject, error) {
	o, err := a.readAccount()
	if err == nil && c.resourceType.isContradictedBy(o.Resource) {
		err = errors.New("accepted the create and answered with a resource of another type")
	}
	if err == nil && !a.isError() && !a.isList() {
		return o, nil
	}
	if id := a.locationID(c.resourceType); id != "" && !a.isWebPage() && !a.isError() {
		o, err := c.Get(ctx, id)
		if err == nil {
			return o, nil
		}
	}
	te := a.notSCIMError("accepted the create but did not say which account it created")
	switch {
	case a.isError() || a.isList() || a.isWebPage():
		te = a.unprovenError("a create")
	case len(a.trimmedBody()) > 0 && err != nil:
		te = a.notSCIMError(err.Error())
	}
	te.Sent = true
	te.Advice = "The account is looked for by its matching attributes. " + te.Advice
	return provision.TargetObject{}, te
}

// locationID returns the id in the Location header of an answer, or "" if there is none. It reads
// only the last segment of the path, because an application behind a proxy often does not know its
// own address.
func (a answer) locationID(of *resourceType) string {
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		return ""
	}
	dir, name := path.Split(strings.TrimRight(u.EscapedPath(), "/"))
	if dir != "" && !strings.EqualFold("/"+path.Base(dir), of.path) {
		return ""
	}
	id, err := url.PathUnescape(name)
	if err != nil || len(id) > maxIDBytes || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return ""
	}
	return id
}

// patchedAccount returns the account in the answer to a PATCH. If the body is empty or an empty
// object, the Resource is nil. Otherwise the body must be the account with this id; if it is not,
// patchedAccount returns an error.
func (a answer) patchedAccount(id string) (provision.TargetObject, error) {
	if len(a.trimmedBody()) == 0 {
		return provision.TargetObject{ID: id}, nil
	}
	fields := a.jsonMembers()
	if fields == nil || a.isError() || a.isList() || a.hasSchema(scim.PatchOpURN) || !looksLikeAccount(fields) {
		return provision.TargetObject{}, a.unprovenError("a PATCH")
	}
	if len(fields) == 0 {
		return provision.TargetObject{ID: id}, nil
	}
	o := provision.TargetObject{ID: id, Resource: scim.Resource{}}
	for name, v := range fields {
		if !strings.EqualFold(name, "id") {
			o.Resource[withoutNUL(name)] = resourceValue(v)
			continue
		}
		if got, err := readID(v); err != nil || got != "" && !strings.EqualFold(got, id) {
			return provision.TargetObject{}, a.notSCIMError(fmt.Sprintf("was asked to change the account %s and answered with another one", id))
		}
	}
	o.Resource["id"] = id
	if o.Version = versionOf(o.Resource); o.Version == "" {
		o.Version = a.etag()
	}
	return o, nil
}

// looksLikeAccount reports whether a JSON object may be an account or group. It is false for other
// objects, such as those that gateways return. An empty object is accepted.
func looksLikeAccount(fields map[string]any) bool {
	if len(fields) == 0 {
		return true
	}
	for name := range fields {
		switch strings.ToLower(name) {
		case "id", "schemas", "username", "active", "displayname":
			return true
		}
	}
	return false
}

// unprovenError is the error for an answer whose status says success, but whose body contradicts
// that. to names the request, such as "a PATCH".
func (a answer) unprovenError(to string) *provision.TargetError {
	what := "something that is not a SCIM resource"
	switch {
	case a.isError():
		what = "a SCIM error: " + a.errorDetail(a.scimError().Detail)
	case a.isWebPage():
		what = "a web page"
	case a.isList():
		what = "a SCIM list"
	}
	return &provision.TargetError{
		Kind: provision.Incompatible, Code: codeIncompatible, Status: a.status, Request: a.request, Sent: true,
		Detail: withFullStop(fmt.Sprintf("The application answered %d to %s, with %s", a.status, to, what)),
		Advice: "Nothing proves that it was carried out, so it is tried again. Look for something between Rollcall and the application that answers in its place.",
	}
}

// trimmedBody returns the body without surrounding white space.
func (a answer) trimmedBody() []byte { return bytes.TrimSpace(a.body) }

// jsonMembers returns the body as a JSON object, or nil if it is not one. It parses the body only
// once.
func (a answer) jsonMembers() map[string]any {
	if !a.parsed.isParsed {
		d := json.NewDecoder(bytes.NewReader(a.body))
		d.UseNumber()
		var body any // encoding/json decodes into an any without reflection, which is faster
		if d.Decode(&body) == nil {
			a.parsed.fields, _ = body.(map[string]any)
		}
		a.parsed.isParsed = true
	}
	return a.parsed.fields
}

// parsedBody caches the body of an answer as a JSON object, so that it is parsed only once.
type parsedBody struct {
	isParsed bool           // whether the body has been parsed
	fields   map[string]any // the members; nil if the body is not a JSON object
}

// isWebPage reports whether the body is a web page.
func (a answer) isWebPage() bool {
	text := a.trimmedBody()
	html := strings.Contains(strings.ToLower(a.header.Get("Content-Type")), "html")
	return bytes.HasPrefix(text, []byte("<")) || html && len(text) > 0 && a.jsonMembers() == nil
}

// isError reports whether the body is an error in the form of RFC 7644 §3.12. A proxy does not send
// such a body, so it comes from the application itself.
func (a answer) isError() bool { return a.hasSchema(scim.ErrorURN) }

// isList reports whether the body is a list in the form of RFC 7644 §3.4.2, even if it does not
// name the schema.
func (a answer) isList() bool {
	if a.hasSchema(scim.ListResponseURN) {
		return true
	}
	for name := range a.jsonMembers() {
		if strings.EqualFold(name, "Resources") || strings.EqualFold(name, "totalResults") {
			return true
		}
	}
	return false
}

// hasSchema reports whether the attribute "schemas" of the body has this URN.
func (a answer) hasSchema(urn string) bool {
	for name, v := range a.jsonMembers() {
		if !strings.EqualFold(name, "schemas") {
			continue
		}
		if one, ok := v.(string); ok && strings.EqualFold(one, urn) {
			return true
		}
		list, _ := v.([]any)
		for _, e := range list {
			if one, ok := e.(string); ok && strings.EqualFold(one, urn) {
				return true
			}
		}
	}
	return false
}

// isRedirect reports whether the answer redirects the client to another address.
func (a answer) isRedirect() bool {
	return a.status >= 300 && a.status < 400 && a.status != http.StatusNotModified && a.header.Get("Location") != ""
}

// redirectsToSlash reports whether the answer redirects to the same address with a slash at the
// end.
func (a answer) redirectsToSlash() bool {
	if !a.isRedirect() {
		return false
	}
	to, err := a.url.Parse(a.header.Get("Location"))
	return err == nil && to.Scheme == a.url.Scheme && to.Host == a.url.Host && to.EscapedPath() == a.url.EscapedPath()+"/"
}

// explainRedirect describes a redirect for the administrator: detail says where it leads, and
// advice says which Tenant URL to use instead.
func (a answer) explainRedirect() (detail, advice string) {
	to, err := a.url.Parse(a.header.Get("Location"))
	if err != nil || !a.isRedirect() {
		return "The application redirects without saying where to.", "Check the Tenant URL: it must be the final address of the SCIM endpoint."
	}
	shown := *to
	shown.RawQuery, shown.Fragment, shown.User = "", "", nil // remove the query: its filter contains personal data
	detail = fmt.Sprintf("The application redirects to %s; redirects are not followed.", &shown)
	base, below := strings.CutSuffix(strings.TrimRight(shown.EscapedPath(), "/"), a.path)
	tenant := shown.Scheme + "://" + shown.Host + base
	switch {
	case !below:
		return detail, "This is not the address of a SCIM endpoint; it may be a sign-in page. Enter the final address of the SCIM endpoint as Tenant URL."
	case tenant+a.path == a.url.Scheme+"://"+a.url.Host+strings.TrimRight(a.url.EscapedPath(), "/"):
		return detail, "That is the address that was asked, so the redirect leads in a circle. Have the application's SCIM endpoint corrected."
	}
	if a.flags != "" {
		tenant += "?" + a.flags
	}
	return detail, fmt.Sprintf("Enter the final address as Tenant URL: %s", tenant)
}
