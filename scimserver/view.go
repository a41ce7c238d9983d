package scimserver

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"slices"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// view says which attributes of resources of one type an answer includes.
type view struct {
	exchange     *exchange
	resourceType *scim.ResourceType
	projection   scim.Projection

	projectionGiven bool // whether the query has attributes or excludedAttributes
	showsMembers    bool // whether the answer shows the members of a group, which are streamed
	showsGroups     bool // whether the answer shows a user's groups, or a version that depends on them

	// lastGroups has the groups that were shown last. Most users on a page have the same groups.
	lastGroups *shownGroups

	// versionWithoutGroups is true if the projection leaves a user's groups out, so that the
	// version must not depend on them.
	versionWithoutGroups bool
}

// kind returns the name of the resource type that the view shows, such as "User".
func (v view) kind() scim.TypeName { return v.resourceType.ID }

// viewFromQuery returns the view for a request about one resource, from its query string. It must
// be called before any change, so that a request with an error in its query changes nothing.
func (x *exchange) viewFromQuery() (view, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return view{}, err
	}
	x.addFixes(q.fixes)
	return x.viewOf(x.resourceType, q)
}

// viewOf returns the view of resources of one type for a query with the parameters attributes and
// excludedAttributes.
func (x *exchange) viewOf(rt *scim.ResourceType, q query) (view, error) {
	show, err := scim.ParseProjection(rt, q.attributes, q.excludedAttributes)
	if err != nil {
		return view{}, err
	}
	v := view{exchange: x, resourceType: rt, projection: show, projectionGiven: len(q.attributes) > 0 || len(q.excludedAttributes) > 0}
	switch rt.ID {
	case roster.Group:
		v.showsMembers = show.Wants("members")
	case roster.User:
		v.lastGroups = new(shownGroups)
		// A client that requests meta.version compares versions, so the version must depend on the
		// groups.
		named := len(q.attributes) > 0 && show.Wants("meta.version")
		v.versionWithoutGroups = !show.Wants("groups") && !named
		v.showsGroups = x.site.Groups && !v.versionWithoutGroups
	}
	return v, nil
}

// answerWithResource returns the answer that shows one resource.
func (v view) answerWithResource(status int, doc roster.Document) (answer, error) {
	groups, err := v.memberships(doc)
	if err != nil {
		return answer{}, err
	}
	return v.answerWithGroups(status, doc, groups[doc.ID])
}

// answerWithGroups is like answerWithResource, for callers that have already read the groups of the
// user.
func (v view) answerWithGroups(status int, doc roster.Document, groups []roster.Membership) (answer, error) {
	shown := v.showGroups(groups)
	a := answer{status: status, location: v.exchange.locationOf(v.resourceType, doc.ID), etag: roster.ETagWith(doc.Version, shown.digest)}
	text, err := v.appendParts(nil, doc, scim.UnstoredParts{Groups: shown.json, Version: shown.version(a.etag), Location: a.location})
	if err != nil {
		return answer{}, err
	}
	if !v.showsMembers {
		a.body = text
		return a, nil
	}
	a.stream = func(w *bufio.Writer) error { return v.writeGroup(w, doc, text) }
	return a, nil
}

// appendResource appends a document to out in the form that the view shows, but without the members of
// a group. groups has the groups of a user. If the query names no attributes, all stored attributes
// are shown.
func (v view) appendResource(out []byte, doc roster.Document, groups []roster.Membership) ([]byte, error) {
	shown := v.showGroups(groups)
	add := scim.UnstoredParts{Groups: shown.json, Location: v.exchange.locationOf(v.resourceType, doc.ID)}
	if shown.digest != "" {
		add.Version = roster.ETagWith(doc.Version, shown.digest)
	}
	return v.appendParts(out, doc, add)
}

func (v view) appendParts(out []byte, doc roster.Document, add scim.UnstoredParts) ([]byte, error) {
	out, err := v.projection.AppendRendered(out, v.resourceType, doc.JSON, add)
	if err != nil {
		return nil, fmt.Errorf("read stored %s %s: %w", v.resourceType.Name, doc.ID, err)
	}
	return out, nil
}

// shownGroups is how an answer shows the groups of a user. It is zero for a user without groups.
type shownGroups struct {
	list   []roster.Membership
	json   []byte // the value of the attribute "groups"
	digest string // the part of the version that tells of the groups
}

// version returns the version that replaces the one in the document, or "" to keep that.
func (s shownGroups) version(etag string) string {
	if s.digest == "" {
		return ""
	}
	return etag
}

// showGroups returns how the view shows the groups of a user.
func (v view) showGroups(list []roster.Membership) shownGroups {
	switch {
	case len(list) == 0:
		return shownGroups{}
	case v.lastGroups != nil && slices.Equal(v.lastGroups.list, list):
		return *v.lastGroups
	}
	shown := shownGroups{list, v.groupsJSON(list), roster.GroupsDigest(list)}
	if v.lastGroups != nil {
		*v.lastGroups = shown
	}
	return shown
}

// memberships returns the groups of each user by the user's id, or nil if this view does not show
// groups.
func (v view) memberships(docs ...roster.Document) (map[string][]roster.Membership, error) {
	if !v.showsGroups || len(docs) == 0 {
		return nil, nil
	}
	ids := make([]string, len(docs))
	for i, doc := range docs {
		ids[i] = doc.ID
	}
	return v.exchange.roster.Groups(v.exchange.ctx, ids...)
}

// groupsJSON returns the JSON of the attribute "groups" for a user's memberships.
func (v view) groupsJSON(list []roster.Membership) []byte {
	groupsURL, text := v.baseLocation(roster.Group), append(make([]byte, 0, 256), '[')
	for i, m := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = scim.AppendString(append(text, `{"value":`...), m.Group)
		text = scim.AppendStringPart(append(text, `,"$ref":"`...), groupsURL)
		text = append(scim.AppendStringPart(text, m.Group), '"')
		if m.Display != "" {
			text = scim.AppendString(append(text, `,"display":`...), m.Display)
		}
		text = append(text, `,"type":"direct"}`...)
	}
	return append(text, ']')
}

// writeGroup writes a group. text is the group without its members. The members are read from the
// store as a stream and written before meta.
func (v view) writeGroup(w *bufio.Writer, doc roster.Document, text []byte) error {
	before, after := scim.SplitBeforeMeta(text)
	w.Write(before) //nolint:errcheck // bufio keeps the error until Flush
	m := memberWriter{
		showsValue: v.projection.Wants("members.value"), showsRef: v.projection.Wants("members.$ref"), showsType: v.projection.Wants("members.type"),
		showsDisplay: v.projection.Wants("members.display"),
		user:         newMemberText(roster.User, v.baseLocation(roster.User)), group: newMemberText(roster.Group, v.baseLocation(roster.Group)),
	}
	if err := m.writeAll(w, v.exchange.roster.Members(v.exchange.request.Context(), doc.ID, m.showsDisplay)); err != nil {
		return err
	}
	w.Write(after) //nolint:errcheck // bufio keeps the error until Flush
	return nil
}

// baseLocation returns the URL of a resource type's endpoint, with a slash at the end. It returns
// "" if the site does not have the type.
func (v view) baseLocation(kind scim.TypeName) string {
	if rt, ok := v.exchange.roster.Types().ByName(kind); ok {
		return v.exchange.locationOf(rt, "")
	}
	return ""
}

// listing is one page of resources: the answer to a query, before it is rendered.
type listing struct {
	query                      query
	total                      int // the number of resources on all pages
	nextCursor, previousCursor string
	entries                    []listEntry
	storedBytes                int  // the size of all documents in entries, in bytes
	hasMembers                 bool // whether entries has a group whose members are shown
}

// listEntry is one resource of a listing.
type listEntry struct {
	view     view
	doc      roster.Document
	rendered []byte // the resource in the form that the answer shows; nil until render is called

	groups map[string][]roster.Membership // the groups of the users on the page, by the user's id; nil if they are not shown
}

// add adds resources of one type to the listing.
func (l *listing) add(v view, docs ...roster.Document) {
	l.hasMembers = l.hasMembers || v.showsMembers && len(docs) > 0
	for _, doc := range docs {
		l.entries = append(l.entries, listEntry{view: v, doc: doc})
		l.storedBytes += len(doc.JSON)
	}
}

// readGroups sets the groups of all entries. For consecutive entries of one resource type, it reads
// the groups in a single query to the database.
func (l *listing) readGroups() error {
	for begin := 0; begin < len(l.entries); {
		v, end := l.entries[begin].view, begin
		var docs []roster.Document
		for ; end < len(l.entries) && l.entries[end].view.resourceType == v.resourceType; end++ {
			docs = append(docs, l.entries[end].doc)
		}
		groups, err := v.memberships(docs...)
		if err != nil {
			return err
		}
		for ; begin < end; begin++ {
			l.entries[begin].groups = groups
		}
	}
	return nil
}

// render sets e.rendered.
func (e *listEntry) render() error {
	rendered, err := e.view.appendResource(nil, e.doc, e.groups[e.doc.ID])
	if err == nil {
		e.rendered = rendered
	}
	return err
}

// largeListBytes is the size above which a list is rendered while it is written, one resource after
// the other. So the list is not in memory twice.
const largeListBytes = 64 << 10

// renderListing returns the answer with one page of resources. If the list is large or shows
// members of groups, the answer is a stream.
func (x *exchange) renderListing(l listing) (answer, error) {
	if err := l.readGroups(); err != nil {
		return answer{}, err
	}
	list := scim.ListResponse{TotalResults: l.total, ItemsPerPage: len(l.entries), NextCursor: l.nextCursor, PreviousCursor: l.previousCursor}
	if !l.query.usesCursor {
		list.StartIndex = l.query.startIndex
	}
	large := l.storedBytes > largeListBytes
	if !large {
		for i := range l.entries {
			if err := l.entries[i].render(); err != nil {
				return answer{}, err
			}
		}
	}
	if !large && !l.hasMembers {
		for _, e := range l.entries {
			list.Resources = append(list.Resources, e.rendered)
		}
		return answer{status: http.StatusOK, body: list.Encode()}, nil
	}
	head := bytes.TrimSuffix(list.Encode(), []byte(`]}`))
	return answer{status: http.StatusOK, size: l.storedBytes, stream: func(w *bufio.Writer) error {
		w.Write(head) //nolint:errcheck // bufio keeps the error until Flush
		for i, e := range l.entries {
			if i > 0 {
				w.WriteByte(',') //nolint:errcheck // bufio keeps the error until Flush
			}
			if err := e.write(w); err != nil {
				return err
			}
		}
		w.WriteString(`]}`) //nolint:errcheck // bufio keeps the error until Flush
		return nil
	}}, nil
}

// entryBytes is how much free space the buffer must have for the JSON that the answer adds to a
// stored document. The answer usually adds less.
const entryBytes = 1 << 10

// write writes the resource in the form that the answer shows.
func (e listEntry) write(w *bufio.Writer) error {
	if e.rendered == nil && !e.view.showsMembers {
		if w.Available() < len(e.doc.JSON)+entryBytes {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		text, err := e.view.appendResource(w.AvailableBuffer(), e.doc, e.groups[e.doc.ID])
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	if e.rendered == nil {
		if err := e.render(); err != nil {
			return err
		}
	}
	if e.view.showsMembers {
		return e.view.writeGroup(w, e.doc, e.rendered)
	}
	_, err := w.Write(e.rendered)
	return err
}
