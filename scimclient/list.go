package scimclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
)

// cursorMark is the prefix of the place of a page that a cursor names (RFC 9865).
const cursorMark = "cursor:"

// List returns one page of all accounts, and the place of the next page; "" if there is none. from is
// the place of the page; "" is the first. Pages have numbers (RFC 7644 §3.4.2.4). If the application
// answers with a cursor, List follows it. Any error is a *provision.TargetError.
func (c *Client) List(ctx context.Context, from string, limit int) (page []provision.TargetObject, next string, err error) {
	return c.list(ctx, c.resourceType.query, from, limit)
}

// List is like [Client.List]. The groups have their members, as far as the application shows them.
func (g groupClient) List(ctx context.Context, from string, limit int) (page []provision.TargetObject, next string, err error) {
	return g.list(ctx, "", from, limit)
}

func (c *Client) list(ctx context.Context, query, from string, limit int) (page []provision.TargetObject, next string, err error) {
	start := 1
	place := url.Values{"count": {strconv.Itoa(limit)}}
	cursor, byCursor := strings.CutPrefix(from, cursorMark)
	if byCursor {
		place.Set("cursor", cursor)
	} else {
		if from != "" {
			if start, err = strconv.Atoi(from); err != nil {
				return nil, "", fmt.Errorf("the place %q of a page: %w", from, err)
			}
		}
		place.Set("startIndex", strconv.Itoa(start))
	}
	a, err := c.do(ctx, http.MethodGet, c.resourceType.path, joinQuery(query, place.Encode()), nil)
	if err != nil {
		return nil, "", err
	}
	if !a.isSuccess() {
		return nil, "", a.toError()
	}
	var list struct {
		TotalResults json.Number      `json:"totalResults"`
		NextCursor   string           `json:"nextCursor"`
		Resources    *json.RawMessage `json:"Resources"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil || list.Resources == nil && list.TotalResults == "" {
		return nil, "", a.notSCIMError("answered a list with something that is not a SCIM list")
	}
	named := 0
	if list.Resources != nil {
		if page, named, err = decodeObjects(*list.Resources); err != nil {
			return nil, "", a.notSCIMError(err.Error())
		}
	}
	for _, o := range page {
		if c.resourceType.contradicts(o.Resource) {
			return nil, "", a.notSCIMError(fmt.Sprintf("was asked for a list and answered with something else than %s", c.resourceType.noun))
		}
	}
	total, _ := list.TotalResults.Int64()
	switch {
	case list.NextCursor != "":
		next = cursorMark + list.NextCursor
	case !byCursor && named > 0 && int64(start-1+named) < total:
		next = strconv.Itoa(start + named)
	}
	return page, next, nil
}
