package scimserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/scim"
)

// Sizes of a bulk request, as ServiceProviderConfig announces them.
const (
	MaxBulkBytes      = 4 << 20
	MaxBulkOperations = 1_000
)

// bulk is a request that holds operations.
//
// RFC 7644 §3.7: each is done as if it had been sent alone, in a transaction of its own; what fails stops nothing but what
// refers to it, unless failOnErrors says otherwise.
type bulk struct {
	*exchange
	operations []*operation
	byBulkID   map[string]*operation
	waiting    map[*operation][]*operation // who was made without a reference to the key, which was still being made

	failOnErrors int // 0: any number
	failed       int
}

// operation is one of a bulk request, with what came of it.
type operation struct {
	number  int // 1-based, as in the request
	method  string
	path    string
	bulkID  string
	version string
	data    json.RawMessage
	bad     error // why it cannot be carried out

	refers   []string // the bulkIds that it names, once they were looked for
	known    bool     // they were
	state    progress
	id       string // of the resource it made
	location string
	etag     string
	status   int
	response *scim.Error
	later    []part // what refers to resources that were not there yet
}

type progress int

const (
	untouched progress = iota
	running            // or waiting for an operation that it refers to
	finished
)

// part is a piece of the data of a POST that is added once what it refers to is there.
type part struct {
	path  string
	value json.RawMessage
}

func (x *exchange) doBulk() (answer, error) {
	body, err := x.readBody(MaxBulkBytes)
	if err != nil {
		return answer{}, err
	}
	b, err := x.parseBulk(body)
	if err != nil {
		return answer{}, err
	}
	for _, op := range b.operations {
		b.run(op)
	}
	// The rows of the operations are on disk before the answer leaves, as those of single requests are.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTime)
	defer cancel()
	if err := x.Sites.Log().Flush(ctx); err != nil {
		x.log().Error("request log rows delayed", "request", web.RequestID(x.r), "error", err)
	}
	x.row.Sentence = b.sentence()
	return answer{status: http.StatusOK, body: b.encode()}, nil
}

func (x *exchange) parseBulk(body []byte) (*bulk, error) {
	members, err := object(body)
	if err != nil {
		return nil, err
	}
	switch is, err := isMessage(members["schemas"], scim.BulkRequestURN); {
	case err != nil:
		return nil, err
	case !is:
		return nil, otherMessage(scim.BulkRequestURN)
	}
	b := &bulk{exchange: x, byBulkID: map[string]*operation{}, waiting: map[*operation][]*operation{}}
	if text, sent := members["failonerrors"]; sent && string(text) != "null" {
		number, fixed := text, false
		if word := ""; x.mode == scim.Lenient && json.Unmarshal(text, &word) == nil {
			number, fixed = json.RawMessage(strings.TrimSpace(word)), true
		}
		err := json.Unmarshal(number, &b.failOnErrors)
		if err == nil && fixed {
			x.fixed([]scim.Fix{{Code: "text-number", Path: "failOnErrors", Text: clip(string(text)) + " read as a number"}})
		}
		if err != nil {
			return nil, scim.InvalidValue("failOnErrors is %s, which is not a whole number.", clip(string(text)))
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(members["operations"], &list); err != nil || list == nil {
		return nil, scim.InvalidSyntax("The bulk request has no list Operations.")
	}
	if len(list) > MaxBulkOperations {
		return nil, scim.PayloadTooLarge("The bulk request has %d operations; at most %d are taken at once (maxOperations).", len(list), MaxBulkOperations)
	}
	for i, text := range list {
		if err := b.add(i+1, text); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// add reads one operation. What is wrong with it alone is its own failure; a bulkId used twice makes the whole request
// ambiguous.
func (b *bulk) add(number int, text json.RawMessage) error {
	op := &operation{number: number}
	b.operations = append(b.operations, op)
	if op.bad = op.parse(text); op.bad == nil {
		op.bad = b.checkBulkID(op)
	}
	if op.bulkID == "" || op.method != http.MethodPost {
		return nil
	}
	if first := b.byBulkID[op.bulkID]; first != nil {
		return scim.InvalidValue("Operations %d and %d have the same bulkId %q.", first.number, number, clip(op.bulkID))
	}
	b.byBulkID[op.bulkID] = op
	return nil
}

func (op *operation) parse(text json.RawMessage) error {
	members, err := object(text)
	if err != nil {
		return scim.InvalidSyntax("An operation must be a JSON object in which no member is there twice.")
	}
	for _, m := range []struct {
		name string
		into *string
	}{{"method", &op.method}, {"path", &op.path}, {"bulkId", &op.bulkID}, {"version", &op.version}} {
		if text, sent := members[strings.ToLower(m.name)]; sent && err == nil && json.Unmarshal(text, m.into) != nil {
			err = scim.InvalidSyntax("%s of an operation must be a text.", m.name)
		}
	}
	op.method = strings.ToUpper(op.method)
	if op.data = members["data"]; string(op.data) == "null" {
		op.data = nil
	}
	return err
}

// checkBulkID asks for the bulkId of a POST.
//
// RFC 7644 §3.7: REQUIRED when method is POST. Without one nothing can refer to the resource, which harms nobody else.
func (b *bulk) checkBulkID(op *operation) error {
	if op.method == http.MethodPost && op.bulkID == "" && b.mode == scim.Strict {
		return scim.InvalidSyntax("A POST in a bulk request needs a bulkId.")
	}
	return nil
}

func (b *bulk) stopped() bool { return b.failOnErrors > 0 && b.failed >= b.failOnErrors }

// run carries an operation out, after those whose resources it refers to.
func (b *bulk) run(op *operation) {
	if op.state != untouched || b.stopped() {
		return
	}
	if err := b.ctx.Err(); err != nil {
		op.bad = err
	}
	op.state = running
	if op.bad != nil {
		b.refuse(op, op.bad)
		return
	}
	ids, circular, err := b.resolve(op)
	if b.stopped() {
		op.state = untouched
		return
	}
	if err != nil {
		b.refuse(op, err)
		return
	}
	data := op.data
	if len(circular) > 0 {
		data, op.later = withhold(data, circular)
		for id := range circular {
			b.waiting[b.byBulkID[id]] = append(b.waiting[b.byBulkID[id]], op)
		}
	}
	a, err := b.perform(op, expand(op.path, ids), expandJSON(data, ids), "")
	b.finish(op, a, err)
	b.completeThoseWaiting(op)
}

// resolve finds the ids of what an operation refers to, making it first where it comes later. What refers back to the
// operation itself, which is being made, is circular.
func (b *bulk) resolve(op *operation) (ids map[string]string, circular map[string]bool, err error) {
	ids, circular = map[string]string{}, map[string]bool{}
	for _, id := range b.references(op) {
		target := b.byBulkID[id]
		if target == nil {
			return nil, nil, scim.InvalidValue("No POST of this bulk request has the bulkId %q.", clip(id))
		}
		b.run(target)
		switch {
		case target.state == running:
			circular[id] = true
		case target.id != "":
			ids[id] = target.id
		default:
			return nil, nil, scim.Conflict("The operation with the bulkId %q, to which this one refers, failed or was not tried.", clip(id))
		}
	}
	return ids, circular, nil
}

// references lists the bulkIds that an operation names, in order, each once. They are looked for once: in a circle every
// operation asks for those of all others.
func (b *bulk) references(op *operation) []string {
	if op.known {
		return op.refers
	}
	op.known = true
	noted := map[string]bool{}
	note := func(id string) (string, bool) {
		if !noted[id] {
			noted[id] = true
			op.refers = append(op.refers, id)
		}
		return "", false
	}
	// Inside a longer text only what is a bulkId of this request counts.
	known := func(id string) (string, bool) {
		if b.byBulkID[id] != nil {
			note(id)
		}
		return "", false
	}
	expandWith(op.path, known, known)
	rewriteTexts(op.data, func(text string) string { return expandWith(text, note, known) })
	return op.refers
}

// perform does one operation as the request that it stands for.
func (b *bulk) perform(op *operation, path string, data json.RawMessage, why string) (answer, error) {
	sub := b.sub(op, path, why)
	if op.version != "" && why == "" {
		sub.ifMatch = []string{op.version}
	}
	sub.open = func(int64) (body, error) {
		if data == nil {
			return body{}, scim.InvalidSyntax("A %s in a bulk request needs data.", sub.method)
		}
		return body{Reader: bytes.NewReader(data), limit: MaxBulkBytes}, nil
	}
	a, err := sub.guarded((*exchange).bulkRoute)
	if a.location == "" {
		a.location = sub.pathLocation()
	}
	if op.method == http.MethodPost && err == nil {
		op.id = sub.row.Subject
	}
	return a, sub.noted(a, err)
}

// refuse ends an operation that cannot even be tried.
func (b *bulk) refuse(op *operation, err error) {
	sub := b.sub(op, op.path, "")
	sub.bulkRoute() //nolint:errcheck // it finds the type, if there is one; why the operation is refused is known
	b.finish(op, answer{location: sub.pathLocation()}, sub.noted(answer{}, err))
}

// sub is the request that an operation stands for.
func (b *bulk) sub(op *operation, path, why string) *exchange {
	sub := *b.exchange
	sub.method = op.method
	if why != "" {
		sub.method = http.MethodPatch
	}
	sub.place = within(path)
	sub.ifMatch, sub.ifNoneMatch, sub.namesJSON, sub.rt = nil, nil, false, nil
	sub.row.Time, sub.row.Method = b.Now(), method(sub.method)
	sub.row.Path = fmt.Sprintf("%s (operation %d of /Bulk%s)", clip(path), op.number, why)
	sub.row.Fixes, sub.row.Ignored = nil, nil
	sub.logged = false
	return &sub
}

// pathLocation is the location of the resource that the path names, if it names one.
func (x *exchange) pathLocation() string {
	if x.rt == nil || len(x.place.rest) != 1 {
		return ""
	}
	return x.locationOf(x.rt, x.id())
}

// noted leaves the row of an operation in the request log, and returns its error as the client may see it.
func (x *exchange) noted(a answer, err error) error {
	if err == nil && x.logged {
		return nil
	}
	x.row.Status = a.status
	if err != nil {
		e := x.public(x.r, err)
		x.row.Status, x.row.Sentence = e.Status, e.Detail
		x.nameSubject()
		err = e
	}
	x.row.Duration = x.Now().Sub(x.row.Time)
	x.Sites.Log().Gather(x.row)
	return err
}

// within is the place that the path of an operation names.
func within(path string) place {
	path, query, _ := strings.Cut(path, "?")
	p := place{query: query}
	below := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	below, p.bad = version(below)
	if p.bad != nil || len(below) == 0 {
		return p
	}
	if below, p.bad = unescape(below); p.bad == nil {
		p.endpoint, p.rest = below[0], below[1:]
	}
	return p
}

// bulkRoute finds what an operation asks for: changes of resources, and nothing else.
func (x *exchange) bulkRoute() (action, error) {
	if x.place.bad != nil {
		return nil, x.place.bad
	}
	switch x.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, scim.InvalidSyntax("method of an operation must be POST, PUT, PATCH or DELETE, not %q.", clip(x.method))
	}
	at, fits := shapeOf(x.place.rest)
	offered, _ := x.resourceMethods(at)
	act := offered[x.method]
	if !fits || at == search || act == nil {
		return nil, scim.InvalidValue("path of a %s must be %s, not %q.", x.method, wantedPath(x.method), clip("/"+strings.Join(append([]string{x.place.endpoint}, x.place.rest...), "/")))
	}
	return act, nil
}

func wantedPath(name string) string {
	if name == http.MethodPost {
		return "that of a resource type, as /Users is"
	}
	return "that of one resource, as /Users/{id} is"
}

func (b *bulk) finish(op *operation, a answer, err error) {
	op.state = finished
	op.status, op.etag, op.location = a.status, a.etag, a.location
	if err == nil {
		return
	}
	op.response = b.public(b.r, err)
	op.status = op.response.Status
	op.etag = ""
	if op.method == http.MethodPost {
		op.location = ""
	}
	b.failed++
}

// completeThoseWaiting adds to resources that were made without a reference to op what was left out.
//
// RFC 7644 §3.7.1: circular references have to be tried, and are 409 where that fails.
func (b *bulk) completeThoseWaiting(op *operation) {
	for _, w := range b.waiting[op] {
		if w.state == finished && w.response == nil && len(w.later) > 0 {
			b.complete(w)
		}
	}
}

func (b *bulk) complete(op *operation) {
	ids := map[string]string{}
	for _, id := range b.references(op) {
		target := b.byBulkID[id]
		if target.state == running {
			return // its turn comes
		}
		if target.id == "" {
			b.incomplete(op, fmt.Sprintf("the operation with the bulkId %q failed", clip(id)))
			return
		}
		ids[id] = target.id
	}
	type change struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	request := struct {
		Schemas    []string `json:"schemas"`
		Operations []change
	}{Schemas: []string{scim.PatchOpURN}}
	for _, p := range op.later {
		request.Operations = append(request.Operations, change{"add", p.path, expandJSON(p.value, ids)})
	}
	op.later = nil
	data, err := json.Marshal(request)
	if err != nil {
		b.incomplete(op, err.Error())
		return
	}
	a, err := b.perform(op, strings.TrimSuffix(op.path, "/")+"/"+op.id, data, ", to add what refers back")
	if err != nil {
		b.incomplete(op, b.public(b.r, err).Detail)
		return
	}
	op.etag = a.etag
}

// incomplete turns an operation into a failure: its resource is there, without the reference.
func (b *bulk) incomplete(op *operation, why string) {
	location := op.location
	b.finish(op, answer{}, scim.Conflict("The resource was made, but what it refers to in a circle could not be added: %s", why))
	op.location = location
}

// encode writes the answer.
//
// RFC 7644 §3.7: a status is a text, and the error of a failed operation is in its response.
func (b *bulk) encode() []byte {
	type result struct {
		Method   string      `json:"method,omitempty"`
		BulkID   string      `json:"bulkId,omitempty"`
		Location string      `json:"location,omitempty"`
		Version  string      `json:"version,omitempty"`
		Status   string      `json:"status"`
		Response *scim.Error `json:"response,omitempty"`
	}
	out := struct {
		Schemas    []string `json:"schemas"`
		Operations []result
	}{Schemas: []string{scim.BulkResponseURN}, Operations: []result{}}
	for _, op := range b.operations {
		if op.state == finished {
			out.Operations = append(out.Operations, result{op.method, op.bulkID, op.location, op.etag, strconv.Itoa(op.status), op.response})
		}
	}
	body, _ := json.Marshal(out) // cannot fail: texts, and errors that write themselves
	return body
}

// sentence says what came of it, for the request log.
func (b *bulk) sentence() string {
	counts := map[string]int{}
	for _, op := range b.operations {
		counts[op.came()]++
	}
	var parts []string
	for _, word := range []string{"created", "updated", "deleted", "refused", "not tried"} {
		if n := counts[word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	noun := "operations"
	if len(b.operations) == 1 {
		noun = "operation"
	}
	if len(parts) == 0 {
		return "No operations"
	}
	return fmt.Sprintf("%d %s: %s", len(b.operations), noun, strings.Join(parts, ", "))
}

func (op *operation) came() string {
	switch {
	case op.state != finished:
		return "not tried"
	case op.response != nil:
		return "refused"
	case op.method == http.MethodPost:
		return "created"
	case op.method == http.MethodDelete:
		return "deleted"
	}
	return "updated"
}

// reference begins a text that stands for the id of a resource which the request makes. RFC 7644 §3.7.2.
const reference = "bulkId:"

func expand(text string, ids map[string]string) string {
	find := func(id string) (string, bool) {
		made, ok := ids[id]
		return made, ok
	}
	return expandWith(text, find, find)
}

// expandWith puts ids in the place of references: of a whole text, and inside a filter or a URL.
func expandWith(text string, whole, inside func(string) (string, bool)) string {
	if id, is := strings.CutPrefix(text, reference); is {
		if made, ok := whole(id); ok {
			return made
		}
		return text
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, reference)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		end := len(after)
		if i := strings.IndexAny(after, `"/?#`); i >= 0 {
			end = i
		}
		made, ok := inside(after[:end])
		if ok = ok && (strings.HasSuffix(before, `"`) || strings.HasSuffix(before, "/")); !ok {
			made = reference + after[:end]
		}
		out.WriteString(made)
		text = after[end:]
	}
}

func expandJSON(data json.RawMessage, ids map[string]string) json.RawMessage {
	if len(ids) == 0 {
		return data
	}
	return rewriteTexts(data, func(text string) string { return expand(text, ids) })
}

// rewriteTexts changes the texts of a JSON value and leaves every other byte as it is.
func rewriteTexts(data json.RawMessage, change func(string) string) json.RawMessage {
	if !bytes.Contains(data, []byte("ulkId:")) && !bytes.Contains(data, []byte(`\u`)) {
		return data
	}
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		begin := bytes.IndexByte(data, '"')
		if begin < 0 {
			break
		}
		out, data = append(out, data[:begin]...), data[begin:]
		end := endOfText(data)
		out, data = append(out, changed(data[:end], change)...), data[end:]
	}
	return append(out, data...)
}

func changed(quoted []byte, change func(string) string) []byte {
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return quoted
	}
	after := change(text)
	if after == text {
		return quoted
	}
	b, err := json.Marshal(after)
	if err != nil {
		return quoted
	}
	return b
}

// withhold takes out of the data of a POST what refers to resources that are not there yet: elements of lists, else whole
// attributes.
func withhold(data json.RawMessage, circular map[string]bool) (now json.RawMessage, later []part) {
	fields, err := fieldsOf(data)
	if err != nil {
		return data, nil // the resource type's own reader says what is wrong with it
	}
	return withholdFrom(fields, "", circular)
}

func withholdFrom(fields []field, prefix string, circular map[string]bool) (now json.RawMessage, later []part) {
	kept := fields[:0:0]
	for _, f := range fields {
		switch {
		case !refers(f.value, circular):
			kept = append(kept, f)
		case prefix == "" && strings.Contains(f.name, ":"): // an extension
			inner, err := fieldsOf(f.value)
			if err != nil {
				kept = append(kept, f)
				continue
			}
			value, parts := withholdFrom(inner, f.name+":", circular)
			kept, later = append(kept, field{f.name, value}), append(later, parts...)
		default:
			rest, left := withholdElements(f.value, circular)
			if rest != nil {
				kept = append(kept, field{f.name, rest})
			}
			later = append(later, part{prefix + f.name, left})
		}
	}
	return appendFields(kept), later
}

// withholdElements divides a list; anything else is left out whole.
func withholdElements(value json.RawMessage, circular map[string]bool) (now, later json.RawMessage) {
	var list, kept, left []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return nil, value
	}
	for _, e := range list {
		if refers(e, circular) {
			left = append(left, e)
		} else {
			kept = append(kept, e)
		}
	}
	return joined(kept), joined(left)
}

func joined(list []json.RawMessage) json.RawMessage {
	if len(list) == 0 {
		return nil
	}
	out := []byte{'['}
	for i, e := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return append(out, ']')
}

func refers(value json.RawMessage, to map[string]bool) bool {
	found := false
	note := func(id string) (string, bool) {
		found = found || to[id]
		return "", false
	}
	rewriteTexts(value, func(text string) string { return expandWith(text, note, note) })
	return found
}
