package graphapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/refusal"
)

// user is Graph's user, with the properties that scripts need to find people.
type user struct {
	Context     string  `json:"@odata.context,omitempty"`
	ID          string  `json:"id"`
	UPN         string  `json:"userPrincipalName"`
	DisplayName string  `json:"displayName"`
	Mail        *string `json:"mail"`
	Enabled     bool    `json:"accountEnabled"`
}

// userOf returns a user of the directory in Graph's form.
func userOf(u directory.User) user {
	return user{ID: u.ObjectID, UPN: u.UPN(), DisplayName: u.DisplayName(), Mail: nullIfEmpty(u.Text("mail")), Enabled: u.AccountEnabled}
}

// group is Graph's group, with the properties that scripts need to find groups.
type group struct {
	Context      string  `json:"@odata.context,omitempty"`
	ID           string  `json:"id"`
	DisplayName  string  `json:"displayName"`
	Description  *string `json:"description"`
	Mail         *string `json:"mail"`
	MailNickname *string `json:"mailNickname"`
}

// groupOf returns a group of the directory in Graph's form.
func groupOf(g directory.Group) group {
	return group{ID: g.ObjectID, DisplayName: g.DisplayName(), Description: nullIfEmpty(g.Text("description")), Mail: nullIfEmpty(g.Text("mail")), MailNickname: nullIfEmpty(g.Text("mailNickname"))}
}

// nullIfEmpty returns a pointer to the string, or nil for "". JSON shows nil as null.
func nullIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// objectQuery is a parsed request for a list of users or groups: for a page of all objects, or for
// the objects with a certain value of one property.
type objectQuery struct {
	property, value string // the property in lower case; "" for a page of all objects
	after           directory.Cursor
	limit           int
}

// readObjectQuery reads the query of a list of users or groups. A $filter may only compare one of
// the properties in known with eq. example is a valid $filter, for the error message.
func (c *call) readObjectQuery(known fieldKinds, example string) (q objectQuery, err error) {
	values, err := readQuery(c.r.URL.Query(), "$filter", "$top", "$skiptoken", "$select")
	if err != nil {
		return q, err
	}
	if q.limit, err = readTop(values.Get("$top"), usualPage, maxPage); err != nil {
		return q, err
	}
	if q.after, err = directory.ParseCursor(values.Get("$skiptoken")); err != nil {
		return q, err
	}
	f, err := parseFilter(values.Get("$filter"), known)
	if err != nil || f == nil {
		return q, err
	}
	value, isText := f.value.(string)
	if f.op != "eq" || !isText {
		return q, refuse(http.StatusBadRequest, codeUnsupported, "This filter is not supported here. Compare one property with eq, as in %s.", example)
	}
	q.property, q.value = f.path, value
	return q, nil
}

// nextPage returns the address of the page that begins after the cursor.
func (c *call) nextPage(path string, after directory.Cursor) string {
	values := c.r.URL.Query()
	values.Set("$skiptoken", after.String())
	return c.rootURL() + "/" + path + "?" + encodeQuery(values)
}

// listUsers answers with a page of users, or with the user that $filter selects. Like Graph, it
// leaves out soft-deleted users.
func (c *call) listUsers() error {
	q, err := c.readObjectQuery(fieldKinds{"userprincipalname": textField, "id": textField}, "userPrincipalName eq 'ada@contoso.com'")
	if err != nil {
		return err
	}
	out := collection[user]{Context: c.odataContext("users"), Value: []user{}}
	if q.property != "" {
		u, err := c.findUser(q.property, q.value)
		if err == nil && !u.IsDeleted() {
			out.Value = append(out.Value, userOf(u))
		}
		if err != nil && !errors.Is(err, refusal.NotFound) {
			return err
		}
		return c.answerOK(out)
	}
	page, err := c.Users(c.r.Context(), directory.UserQuery{After: q.after, Limit: q.limit})
	if err != nil {
		return err
	}
	for _, u := range page.Users {
		out.Value = append(out.Value, userOf(u))
	}
	if page.More {
		out.Next = c.nextPage("users", page.Next)
	}
	return c.answerOK(out)
}

// findUser returns the user with this value of a property, which is "id" or "userprincipalname".
func (c *call) findUser(property, value string) (directory.User, error) {
	if property == "id" {
		return c.User(c.r.Context(), value)
	}
	return c.UserByUPN(c.r.Context(), value)
}

// getUser answers with the user whose object id or userPrincipalName is in the path.
func (c *call) getUser() error {
	name := c.params["user"]
	u, err := c.User(c.r.Context(), name)
	if errors.Is(err, refusal.NotFound) {
		u, err = c.UserByUPN(c.r.Context(), name)
	}
	if errors.Is(err, refusal.NotFound) || err == nil && u.IsDeleted() {
		return noResource(name)
	}
	if err != nil {
		return err
	}
	out := userOf(u)
	out.Context = c.odataContext("users/$entity")
	return c.answerOK(out)
}

// listGroups answers with a page of groups, or with the groups that $filter selects. Like Graph, it
// leaves out soft-deleted groups.
func (c *call) listGroups() error {
	q, err := c.readObjectQuery(fieldKinds{"displayname": textField, "id": textField}, "displayName eq 'Sales'")
	if err != nil {
		return err
	}
	out := collection[group]{Context: c.odataContext("groups"), Value: []group{}}
	if q.property != "" {
		found, err := c.findGroups(q.property, q.value)
		for _, g := range found {
			out.Value = append(out.Value, groupOf(g))
		}
		if err != nil {
			return err
		}
		return c.answerOK(out)
	}
	page, err := c.Groups(c.r.Context(), directory.GroupQuery{After: q.after, Limit: q.limit})
	if err != nil {
		return err
	}
	for _, g := range page.Groups {
		out.Value = append(out.Value, groupOf(g))
	}
	if page.More {
		out.Next = c.nextPage("groups", page.Next)
	}
	return c.answerOK(out)
}

// findGroups returns the groups with this id or display name. Several groups can have the same
// name.
func (c *call) findGroups(property, value string) ([]directory.Group, error) {
	if property == "id" {
		g, err := c.Group(c.r.Context(), value)
		if errors.Is(err, refusal.NotFound) || err == nil && g.IsDeleted() {
			return nil, nil
		}
		return []directory.Group{g}, err
	}
	var found []directory.Group
	for q := (directory.GroupQuery{Search: value, Limit: 500}); ; {
		page, err := c.Groups(c.r.Context(), q)
		if err != nil {
			return nil, err
		}
		for _, g := range page.Groups {
			if strings.EqualFold(g.DisplayName(), value) {
				found = append(found, g)
			}
		}
		if !page.More {
			return found, nil
		}
		q.After = page.Next
	}
}

// getGroup answers with the group whose object id is in the path.
func (c *call) getGroup() error {
	g, err := c.Group(c.r.Context(), c.params["group"])
	if errors.Is(err, refusal.NotFound) || err == nil && g.IsDeleted() {
		return noResource(c.params["group"])
	}
	if err != nil {
		return err
	}
	out := groupOf(g)
	out.Context = c.odataContext("groups/$entity")
	return c.answerOK(out)
}
