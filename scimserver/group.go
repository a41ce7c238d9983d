package scimserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// slowBodyBytes is the size above which a body may need a long time to arrive. For a larger body,
// the time limit of the request starts again when the body has arrived.
const slowBodyBytes = 512 << 10

// decodeGroup reads the body of a POST or PUT of a group. It adds the ids of the members to members
// and returns all other attributes. A body may have very many members, so only their ids are kept
// in memory.
func (x *exchange) decodeGroup(members *roster.MemberList) (scim.Resource, error) {
	in, err := x.openBody(MaxGroupBody)
	if err != nil {
		return nil, err
	}
	counted := &countingReader{Reader: in}
	doc, _, fixes, err := scim.DecodeStream(x.resourceType, counted, x.mode, scim.Stream{Name: "members", ForCreate: x.method == http.MethodPost, Each: func(value any) error {
		if m, ok := value.(map[string]any); ok {
			id, _ := m["value"].(string)
			members.Add(strings.Clone(id))
		}
		return nil
	}})
	x.addFixes(fixes)
	var refused *scim.Error
	switch {
	case errors.As(err, &refused):
		return nil, err
	case err != nil:
		return nil, in.readError(err)
	}
	if counted.bytes > slowBodyBytes {
		x.ctx, x.cancel = context.WithTimeout(x.request.Context(), timeLimit)
	}
	return doc, nil
}

// countingReader is a reader that counts the bytes read from it.
type countingReader struct {
	io.Reader
	bytes int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes += n
	return n, err
}

// memberWriter writes the members of a group one by one, with the sub-attributes that the client
// wants.
type memberWriter struct {
	showsValue, showsRef, showsType, showsDisplay bool       // whether to write value, $ref, type and display
	user, group                                   memberText // the JSON that all users have in common as members, and all groups
}

// memberText is JSON that all members of one type have in common.
type memberText struct {
	ref      []byte // the JSON of "$ref", without the id at the end
	typeName []byte // the JSON of "type"
}

// newMemberText returns the JSON for members of a type. base is the URL of the type's endpoint, with
// a slash at the end.
func newMemberText(kind scim.TypeName, base string) memberText {
	return memberText{ref: scim.AppendStringPart([]byte(`"$ref":"`), base), typeName: scim.AppendString([]byte(`"type":`), string(kind))}
}

// writeAll writes a comma and the attribute "members". For a group without members it writes
// nothing.
func (m *memberWriter) writeAll(w *bufio.Writer, members iter.Seq2[roster.Member, error]) error {
	if !m.showsValue && !m.showsRef && !m.showsType && !m.showsDisplay {
		return nil
	}
	n := 0
	for member, err := range members {
		if err != nil {
			return err
		}
		if !m.showsValue && !m.showsRef && !m.showsType && member.Display == "" {
			continue // the client wants only display, and this member has none
		}
		if w.Available() < memberBytes {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		text := w.AvailableBuffer()
		if n == 0 {
			text = append(text, `,"members":[`...)
		} else {
			text = append(text, ',')
		}
		if _, err := w.Write(m.append(text, member)); err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		w.WriteByte(']') //nolint:errcheck // bufio keeps the error until Flush
	}
	return nil
}

// memberBytes is how much free space the buffer has at least before the JSON of a member is
// appended. A usual member fits; a longer one costs an allocation.
const memberBytes = 1 << 10

// append appends the JSON of a member to text.
func (m *memberWriter) append(text []byte, member roster.Member) []byte {
	same := &m.user
	if member.Kind == roster.Group {
		same = &m.group
	}
	open := byte('{')
	if m.showsValue {
		text = scim.AppendString(append(append(text, open), `"value":`...), member.ID)
		open = ','
	}
	if m.showsRef {
		text = append(append(text, open), same.ref...)
		text = append(scim.AppendStringPart(text, member.ID), '"')
		open = ','
	}
	if m.showsType {
		text = append(append(text, open), same.typeName...)
		open = ','
	}
	if m.showsDisplay && member.Display != "" {
		text = scim.AppendString(append(append(text, open), `"display":`...), member.Display)
	}
	return append(text, '}')
}

// The functions below answer requests for groups while groups are switched off. A client that
// searches for groups gets an empty list, because a 404 would break its import. A client that tries
// to create or change a group gets an error that says what to do.

// listGroupsWhileOff answers a GET of /Groups.
func (x *exchange) listGroupsWhileOff() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.answerEmptyList(q)
}

// searchGroupsWhileOff answers a POST to /Groups/.search.
func (x *exchange) searchGroupsWhileOff() (answer, error) {
	q, err := x.readSearchRequest()
	if err != nil {
		return answer{}, err
	}
	return x.answerEmptyList(q)
}

// answerEmptyList answers a query with a list without resources.
func (x *exchange) answerEmptyList(q query) (answer, error) {
	if err := q.limitPage(); err != nil {
		return answer{}, err
	}
	_, fixes, err := q.parseFilter(scim.GroupType(), x.mode)
	x.addFixes(fixes)
	if err != nil {
		return answer{}, err
	}
	x.requestRow.Sentence = "Not found (this site has no groups)"
	return x.renderListing(listing{query: q})
}

// getGroupWhileOff answers a GET of one group at a site where groups are switched off.
func (x *exchange) getGroupWhileOff() (answer, error) {
	x.requestRow.Subject = x.resourceID()
	return answer{}, scim.NotFound("There is no group with the id %q: this site has no groups.", truncate(x.resourceID()))
}

// refuseGroupWhileOff refuses a request that would create, change or delete a group.
func (x *exchange) refuseGroupWhileOff() (answer, error) {
	return answer{}, scim.NotImplemented("This site does not support groups. Switch off the provisioning of groups in the identity provider" +
		" (in Entra ID: Mappings, Provision Azure Active Directory Groups, Enabled: No).")
}

// groupsOff reports whether the endpoint is /Groups and the site has groups switched off.
func (x *exchange) groupsOff(endpoint string) bool {
	return !x.site.Groups && strings.EqualFold(endpoint, strings.TrimPrefix(scim.GroupType().Endpoint, "/"))
}

// groupMethodsWhileOff takes the place of resourceRoutes for groups.
var groupMethodsWhileOff = map[pathForm]map[string]action{
	wholeEndpoint: {http.MethodGet: (*exchange).listGroupsWhileOff, http.MethodPost: (*exchange).refuseGroupWhileOff},
	singleResource: {
		http.MethodGet: (*exchange).getGroupWhileOff, http.MethodPut: (*exchange).refuseGroupWhileOff,
		http.MethodPatch: (*exchange).refuseGroupWhileOff, http.MethodDelete: (*exchange).refuseGroupWhileOff,
	},
	searchEndpoint: {http.MethodPost: (*exchange).searchGroupsWhileOff},
}
