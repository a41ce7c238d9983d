package scimserver

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// view is how one request wants resources of a type to be shown.
type view struct {
	*exchange
	rt   *scim.ResourceType
	show scim.Projection

	asked   bool // attributes or excludedAttributes were given
	members bool // with the members of a group, which are written as they are read
	groups  bool // with the groups of a user, or with a version that tells of them

	withoutGroups bool // what is asked for of a user leaves groups out, so that its version does not tell of them
}

// view reads the query of a request that is about one resource. What cannot be read fails before anything is written.
func (x *exchange) view() (view, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return view{}, err
	}
	x.fixed(q.fixes)
	return x.viewOf(x.rt, q)
}

func (x *exchange) viewOf(rt *scim.ResourceType, q query) (view, error) {
	show, err := scim.ParseProjection(rt, q.attributes, q.excluded)
	if err != nil {
		return view{}, err
	}
	v := view{exchange: x, rt: rt, show: show, asked: len(q.attributes) > 0 || len(q.excluded) > 0}
	switch roster.Kind(rt.ID) {
	case roster.Group:
		v.members = show.Wants("members")
	case roster.User:
		// Who names meta.version asks for it to find out what has changed.
		named := len(q.attributes) > 0 && show.Wants("meta.version")
		v.withoutGroups = !show.Wants("groups") && !named
		v.groups = x.site.Groups && !v.withoutGroups
	}
	return v, nil
}

// one answers with one resource.
func (v view) one(status int, doc roster.Document) (answer, error) {
	groups, err := v.memberships(doc)
	if err != nil {
		return answer{}, err
	}
	return v.oneWith(status, doc, groups)
}

// oneWith is one for who has read the groups already.
func (v view) oneWith(status int, doc roster.Document, groups map[string][]roster.Membership) (answer, error) {
	texts, err := v.renderWith(groups, doc)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: status, location: v.locationOf(v.rt, doc.ID), etag: roster.ETag(doc.Version, groups[doc.ID])}
	if !v.members {
		a.body = texts[0]
		return a, nil
	}
	a.stream = func(w *bufio.Writer) error { return v.write(w, doc, texts[0]) }
	return a, nil
}

// renderWith gives documents as they are shown, but for the members of groups. Without a projection the stored bytes go out
// as they are.
func (v view) renderWith(groups map[string][]roster.Membership, docs ...roster.Document) (texts [][]byte, err error) {
	texts = make([][]byte, len(docs))
	for i, doc := range docs {
		add := scim.Added{Location: v.locationOf(v.rt, doc.ID)}
		if in := groups[doc.ID]; len(in) > 0 {
			add.Groups, add.Version = v.groupsJSON(in), roster.ETag(doc.Version, in)
		}
		if texts[i], err = v.show.Render(v.rt, doc.JSON, add); err != nil {
			return nil, fmt.Errorf("read stored %s %s: %w", v.rt.Name, doc.ID, err)
		}
	}
	return texts, nil
}

func (v view) memberships(docs ...roster.Document) (map[string][]roster.Membership, error) {
	if !v.groups || len(docs) == 0 {
		return nil, nil
	}
	ids := make([]string, len(docs))
	for i, doc := range docs {
		ids[i] = doc.ID
	}
	return v.roster.Groups(v.ctx, ids...)
}

// groupsJSON is the attribute groups of a user who is in some.
func (v view) groupsJSON(list []roster.Membership) []byte {
	at, text := v.at(roster.Group), []byte("[")
	for i, m := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = scim.AppendString(append(text, `{"value":`...), m.Group)
		text = scim.AppendString(append(text, `,"$ref":`...), at+m.Group)
		if m.Display != "" {
			text = scim.AppendString(append(text, `,"display":`...), m.Display)
		}
		text = append(text, `,"type":"direct"}`...)
	}
	return append(text, ']')
}

// write writes a group, with its members before meta as they come out of the store.
func (v view) write(w *bufio.Writer, doc roster.Document, text []byte) error {
	at := len(text) - 1
	if v.show.Wants("meta") {
		if i := bytes.LastIndex(text, []byte(`,"meta":{`)); i >= 0 {
			at = i
		}
	}
	w.Write(text[:at]) //nolint:errcheck // bufio keeps the error until Flush
	user, group := v.at(roster.User), v.at(roster.Group)
	m := memberWriter{
		at: func(kind roster.Kind) string {
			if kind == roster.Group {
				return group
			}
			return user
		},
		value: v.show.Wants("members.value"), ref: v.show.Wants("members.$ref"), kind: v.show.Wants("members.type"),
		display: v.show.Wants("members.display"),
	}
	if err := m.all(w, v.roster.Members(v.r.Context(), doc.ID, m.display)); err != nil {
		return err
	}
	w.Write(text[at:]) //nolint:errcheck // see above
	return nil
}

// at is where the resources of a kind are.
func (v view) at(kind roster.Kind) string {
	if rt, ok := v.roster.Types().ByName(string(kind)); ok {
		return v.locationOf(rt, "")
	}
	return ""
}

// listing is the answer to a query.
type listing struct {
	q              query
	total          int
	next, previous string
	entries        []entry
	bytes          int  // of the stored documents
	members        bool // of groups are among it
}

type entry struct {
	view view
	doc  roster.Document
	text []byte

	groups map[string][]roster.Membership // of all documents of its view, where they are shown
}

func (l *listing) add(v view, docs ...roster.Document) {
	l.members = l.members || v.members && len(docs) > 0
	for _, doc := range docs {
		l.entries = append(l.entries, entry{view: v, doc: doc})
		l.bytes += len(doc.JSON)
	}
}

// readGroups reads the groups of the documents of one view together, in one query.
func (l *listing) readGroups() error {
	for begin := 0; begin < len(l.entries); {
		v, end := l.entries[begin].view, begin
		var docs []roster.Document
		for ; end < len(l.entries) && l.entries[end].view.rt == v.rt; end++ {
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

func (e *entry) render() error {
	texts, err := e.view.renderWith(e.groups, e.doc)
	if err == nil {
		e.text = texts[0]
	}
	return err
}

// largeList is from how many bytes on a list is rendered while it is written, one resource after the other, so that it is
// held once and not twice.
const largeList = 64 << 10

// listed answers a query. With members of groups among it, the answer is written as they are read.
func (x *exchange) listed(l listing) (answer, error) {
	if err := l.readGroups(); err != nil {
		return answer{}, err
	}
	list := scim.ListResponse{TotalResults: l.total, ItemsPerPage: len(l.entries), NextCursor: l.next, PreviousCursor: l.previous}
	if !l.q.byCursor {
		list.StartIndex = l.q.startIndex
	}
	large := l.bytes > largeList
	if !large {
		for i := range l.entries {
			if err := l.entries[i].render(); err != nil {
				return answer{}, err
			}
		}
	}
	if !large && !l.members {
		for _, e := range l.entries {
			list.Resources = append(list.Resources, e.text)
		}
		return answer{status: http.StatusOK, body: list.Encode()}, nil
	}
	head := bytes.TrimSuffix(list.Encode(), []byte(`]}`))
	return answer{status: http.StatusOK, size: l.bytes, stream: func(w *bufio.Writer) error {
		w.Write(head) //nolint:errcheck // bufio keeps the error until Flush
		for i, e := range l.entries {
			if i > 0 {
				w.WriteByte(',') //nolint:errcheck // see above
			}
			if err := e.write(w); err != nil {
				return err
			}
		}
		w.WriteString(`]}`) //nolint:errcheck // see above
		return nil
	}}, nil
}

func (e entry) write(w *bufio.Writer) error {
	if e.text == nil {
		if err := e.render(); err != nil {
			return err
		}
	}
	if e.view.members {
		return e.view.write(w, e.doc, e.text)
	}
	_, err := w.Write(e.text)
	return err
}
