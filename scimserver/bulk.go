package scimserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// Limits of a bulk request, as ServiceProviderConfig announces them.
const (
	MaxBulkBytes      = 4 << 20
	MaxBulkOperations = 1_000
)

// bulk is a bulk request that is being carried out.
//
// RFC 7644 §3.7: each operation runs as if it had been sent alone, in its own transaction. If an
// operation fails, only the operations that refer to it fail too, unless failOnErrors stops the
// whole request. Each operation is also authenticated by itself: once the token is revoked, all
// further operations fail.
type bulk struct {
	exchange   *exchange
	operations []*operation
	byBulkID   map[string]*operation // the POST operations by their bulkId
	// waitingFor maps a running operation to the operations that ran meanwhile and refer back to it
	// in a circle. These ran without that reference. It is added when the running operation ends.
	waitingFor map[*operation][]*operation

	failOnErrors int // the number of failures after which the request stops; 0 means no limit
	failedCount  int // how many operations have failed
}

// operation is one operation of a bulk request, with its result.
type operation struct {
	number  int // position in the request; the first operation is 1
	method  string
	path    string
	bulkID  string
	version string // like If-Match: the operation fails if the resource has another version; "" if not given
	data    json.RawMessage
	err     error // the mistake in the operation because of which it cannot run; nil if there is none

	bulkIDs       []string // the bulkIds that the operation refers to; set when bulkIDsRead is true
	bulkIDsRead   bool     // whether bulkIDs has been filled
	state         progress
	id            string // the id of the resource that the operation created; "" if it created none
	location      string
	etag          string
	status        int
	response      *scim.Error    // the error that the answer shows; nil if the operation has not failed
	withheldParts []withheldPart // parts of the data that refer to resources that did not exist yet
}

// progress says whether an operation has not started, is running, or has finished.
type progress int

const (
	notStarted progress = iota // the operation has not started
	running                    // the operation is running; this includes waiting for another operation
	finished
)

// withheldPart is a part of the data of a POST that is left out at first, because it refers to a
// resource that does not exist yet. The part is added when that resource exists.
type withheldPart struct {
	path  string
	value json.RawMessage
}

// doBulk carries out a bulk request.
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
		b.runOperation(op)
	}
	// Write the log rows of the operations to disk before sending the answer, as single requests
	// do.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTimeout)
	defer cancel()
	if err := x.handler.Requests.Flush(ctx); err != nil {
		x.handler.log().Error("request log rows delayed", "request", web.RequestID(x.request), "error", err)
	}
	x.requestRow.Sentence = b.sentence()
	return answer{status: http.StatusOK, body: b.encode()}, nil
}

// authenticateAgain returns an error when the token of the request is no longer accepted: 401 if
// the token was revoked or has expired, 403 if SCIM was switched off.
func (b *bulk) authenticateAgain() error {
	bearer, _ := bearerOf(b.exchange.request.Header)
	_, _, err := b.exchange.handler.Sites.Authenticate(b.exchange.ctx, b.exchange.place.site, bearer)
	if errors.Is(err, refusal.Unauthorized) {
		return &scim.Error{Status: http.StatusUnauthorized, Detail: "The token was revoked or has expired since this request began. The operations before this one stay done."}
	}
	return err
}

// parseBulk reads the body of a bulk request.
func (x *exchange) parseBulk(body []byte) (*bulk, error) {
	members, err := scim.ParseMembers(body)
	if err != nil {
		return nil, err
	}
	switch is, err := isMessage(members.Get("schemas"), scim.BulkRequestURN); {
	case err != nil:
		return nil, err
	case !is:
		return nil, wrongMessageError(scim.BulkRequestURN)
	}
	b := &bulk{exchange: x, byBulkID: map[string]*operation{}, waitingFor: map[*operation][]*operation{}}
	if text := members.Get("failOnErrors"); len(text) > 0 && string(text) != "null" {
		number, fixed := text, false
		if word := ""; x.mode == scim.Lenient && json.Unmarshal(text, &word) == nil {
			number, fixed = json.RawMessage(strings.TrimSpace(word)), true
		}
		err := json.Unmarshal(number, &b.failOnErrors)
		if err == nil && fixed {
			x.addFixes([]scim.Fix{{Code: "text-number", Path: "failOnErrors", Text: truncate(string(text)) + " read as a number"}})
		}
		if err != nil {
			return nil, scim.InvalidValue("failOnErrors is %s, which is not a whole number.", truncate(string(text)))
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(members.Get("Operations"), &list); err != nil || list == nil {
		return nil, scim.InvalidSyntax("The bulk request has no list Operations.")
	}
	if len(list) > MaxBulkOperations {
		return nil, scim.PayloadTooLarge("The bulk request has %d operations; at most %d are allowed (maxOperations).", len(list), MaxBulkOperations)
	}
	for i, text := range list {
		if err := b.addOperation(i+1, text); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// addOperation reads one operation and adds it to the request. A mistake in the operation makes
// only this operation fail. But if two POST operations have the same bulkId, addOperation returns
// an error and the whole request fails, because the bulkId is ambiguous.
func (b *bulk) addOperation(number int, text json.RawMessage) error {
	op := &operation{number: number}
	b.operations = append(b.operations, op)
	if op.err = op.parse(text); op.err == nil {
		op.err = b.checkBulkID(op)
	}
	if op.bulkID == "" || op.method != http.MethodPost {
		return nil
	}
	if first := b.byBulkID[op.bulkID]; first != nil {
		return scim.InvalidValue("Operations %d and %d have the same bulkId %q.", first.number, number, truncate(op.bulkID))
	}
	b.byBulkID[op.bulkID] = op
	return nil
}

// parse reads the members of an operation. Its error makes only this operation fail.
func (op *operation) parse(text json.RawMessage) error {
	members, err := scim.ParseMembers(text)
	if err != nil {
		return scim.InvalidSyntax("An operation must be a JSON object without duplicate members.")
	}
	for _, m := range []struct {
		name string
		into *string
	}{{"method", &op.method}, {"path", &op.path}, {"bulkId", &op.bulkID}, {"version", &op.version}} {
		if text := members.Get(m.name); len(text) > 0 && err == nil && json.Unmarshal(text, m.into) != nil {
			err = scim.InvalidSyntax("%s of an operation must be a string.", m.name)
		}
	}
	op.method = strings.ToUpper(op.method)
	if op.data = members.Get("data"); string(op.data) == "null" {
		op.data = nil
	}
	return err
}

// checkBulkID returns an error for a POST without a bulkId on a strict site.
//
// RFC 7644 §3.7: bulkId is REQUIRED for POST. A lenient site accepts a POST without a bulkId; then
// no other operation can refer to the new resource.
func (b *bulk) checkBulkID(op *operation) error {
	if op.method == http.MethodPost && op.bulkID == "" && b.exchange.mode == scim.Strict {
		return scim.InvalidSyntax("A POST in a bulk request needs a bulkId.")
	}
	return nil
}

// isStopped reports whether the number of failures has reached failOnErrors, so that no further
// operation runs.
func (b *bulk) isStopped() bool { return b.failOnErrors > 0 && b.failedCount >= b.failOnErrors }

// runOperation runs an operation. First it runs the operations that create the resources to which
// this operation refers.
func (b *bulk) runOperation(op *operation) {
	if op.state != notStarted || b.isStopped() {
		return
	}
	if err := b.exchange.ctx.Err(); err != nil {
		op.err = err
	} else if op.number > 1 {
		if err := b.authenticateAgain(); err != nil {
			op.err = err
		}
	}
	op.state = running
	if op.err != nil {
		b.refuseOperation(op, op.err)
		return
	}
	ids, circular, err := b.resolveReferences(op)
	if b.isStopped() {
		op.state = notStarted
		return
	}
	if err != nil {
		b.refuseOperation(op, err)
		return
	}
	data := op.data
	if len(circular) > 0 {
		data, op.withheldParts = withhold(data, circular)
		for id := range circular {
			b.waitingFor[b.byBulkID[id]] = append(b.waitingFor[b.byBulkID[id]], op)
		}
	}
	a, err := b.perform(op, expandBulkIDs(op.path, ids), expandBulkIDsInJSON(data, ids), "")
	b.finishOperation(op, a, err)
	b.completeWaiting(op)
}

// resolveReferences first runs the operations that create the resources to which an operation
// refers. Then it returns the ids of these resources by their bulkIds. If the operation refers to
// one that is still running, that one also refers to this operation, in a circle. circular holds
// the bulkIds of such references.
func (b *bulk) resolveReferences(op *operation) (ids map[string]string, circular map[string]bool, err error) {
	ids, circular = map[string]string{}, map[string]bool{}
	for _, id := range b.referencedBulkIDs(op) {
		target := b.byBulkID[id]
		if target == nil {
			return nil, nil, scim.InvalidValue("No POST of this bulk request has the bulkId %q.", truncate(id))
		}
		b.runOperation(target)
		switch {
		case target.state == running:
			circular[id] = true
		case target.id != "":
			ids[id] = target.id
		default:
			return nil, nil, scim.Conflict("The operation with the bulkId %q, to which this one refers, failed or was not tried.", truncate(id))
		}
	}
	return ids, circular, nil
}

// referencedBulkIDs returns the bulkIds that an operation refers to, in order and without
// duplicates. It searches the data only once and remembers the result, because a circle of
// references causes many calls for each operation.
func (b *bulk) referencedBulkIDs(op *operation) []string {
	if op.bulkIDsRead {
		return op.bulkIDs
	}
	op.bulkIDsRead = true
	listed := map[string]bool{}
	list := func(id string) (string, bool) {
		if !listed[id] {
			listed[id] = true
			op.bulkIDs = append(op.bulkIDs, id)
		}
		return "", false
	}
	// Text inside a longer string counts as a reference only if an operation of this request has
	// that bulkId.
	listExisting := func(id string) (string, bool) {
		if b.byBulkID[id] != nil {
			list(id)
		}
		return "", false
	}
	expandBulkIDsWith(op.path, listExisting, listExisting)
	rewriteStrings(op.data, func(text string) string { return expandBulkIDsWith(text, list, listExisting) })
	return op.bulkIDs
}

// perform runs one operation as if the client had sent it as a single request. If why is not empty,
// perform runs a PATCH of the resource that the operation created, instead of the operation itself,
// and the request log shows why.
func (b *bulk) perform(op *operation, path string, data json.RawMessage, why string) (answer, error) {
	opExchange := b.exchangeFor(op, path, why)
	if op.version != "" && why == "" {
		opExchange.ifMatch = []string{op.version}
	}
	opExchange.openBody = func(int64) (body, error) {
		if data == nil {
			return body{}, scim.InvalidSyntax("A %s in a bulk request needs data.", opExchange.method)
		}
		return body{Reader: bytes.NewReader(data), limit: MaxBulkBytes}, nil
	}
	a, err := opExchange.runGuarded((*exchange).routeOperation)
	if a.location == "" {
		a.location = opExchange.pathLocation()
	}
	if op.method == http.MethodPost && err == nil {
		op.id = opExchange.requestRow.Subject
	}
	return a, opExchange.recordOperation(a, err)
}

// refuseOperation records that an operation has failed without being run; err says why.
func (b *bulk) refuseOperation(op *operation, err error) {
	opExchange := b.exchangeFor(op, op.path, "")
	opExchange.routeOperation() //nolint:errcheck // is called only to set the resource type; err already says why the operation fails
	b.finishOperation(op, answer{location: opExchange.pathLocation()}, opExchange.recordOperation(answer{}, err))
}

// exchangeFor returns the exchange for one operation, as if the client had sent the operation as a
// single request.
func (b *bulk) exchangeFor(op *operation, path, why string) *exchange {
	opExchange := *b.exchange
	opExchange.method = op.method
	if why != "" {
		opExchange.method = http.MethodPatch
	}
	opExchange.place = parseOperationPath(path)
	opExchange.ifMatch, opExchange.ifNoneMatch, opExchange.acceptsJSON, opExchange.resourceType = nil, nil, false, nil
	opExchange.requestRow.Time, opExchange.requestRow.Method = b.exchange.handler.Now(), loggedMethod(opExchange.method)
	opExchange.requestRow.Path = fmt.Sprintf("%s (operation %d of /Bulk%s)", truncate(path), op.number, why)
	opExchange.requestRow.Fixes, opExchange.requestRow.Ignored = nil, nil
	opExchange.rowWritten = false
	return &opExchange
}

// pathLocation returns the address of the resource that the path names, or "" if the path does not
// name one resource.
func (x *exchange) pathLocation() string {
	if x.resourceType == nil || len(x.place.afterEndpoint) != 1 {
		return ""
	}
	return x.locationOf(x.resourceType, x.resourceID())
}

// recordOperation gives the row of an operation to the request log. It returns err in the form that
// the client may see, or nil.
func (x *exchange) recordOperation(a answer, err error) error {
	if err == nil && x.rowWritten {
		return nil
	}
	x.requestRow.Status = a.status
	if err != nil {
		e := x.handler.publicError(x.request, err)
		x.requestRow.Status, x.requestRow.Sentence = e.Status, e.Detail
		x.addSubjectName()
		err = e
	}
	x.requestRow.Duration = x.handler.Now().Sub(x.requestRow.Time)
	x.handler.Requests.Gather(x.requestRow)
	return err
}

// parseOperationPath returns the target of an operation with this path.
func parseOperationPath(path string) place {
	path, query, _ := strings.Cut(path, "?")
	p := place{query: query}
	below := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	below, p.err = cutVersion(below)
	if p.err != nil || len(below) == 0 {
		return p
	}
	if below, p.err = unescapeSegments(below); p.err == nil {
		p.endpoint, p.afterEndpoint = below[0], below[1:]
	}
	return p
}

// routeOperation returns the action of an operation. It returns an error for a path or method that
// does not change a resource.
func (x *exchange) routeOperation() (action, error) {
	if x.place.err != nil {
		return nil, x.place.err
	}
	switch x.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, scim.InvalidSyntax("method of an operation must be POST, PUT, PATCH or DELETE, not %q.", truncate(x.method))
	}
	form, fits := parsePathForm(x.place.afterEndpoint)
	offered, _ := x.resourceMethods(form)
	act := offered[x.method]
	if !fits || form == searchEndpoint || act == nil {
		return nil, scim.InvalidValue("path of a %s must be %s, not %q.", x.method, expectedPath(x.method), truncate("/"+strings.Join(append([]string{x.place.endpoint}, x.place.afterEndpoint...), "/")))
	}
	return act, nil
}

// expectedPath returns the words for the path that an operation with this method must have.
func expectedPath(name string) string {
	if name == http.MethodPost {
		return "the endpoint of a resource type, such as /Users"
	}
	return "one resource, such as /Users/{id}"
}

// finishOperation records the result of an operation.
func (b *bulk) finishOperation(op *operation, a answer, err error) {
	op.state = finished
	op.status, op.etag, op.location = a.status, a.etag, a.location
	if err == nil {
		return
	}
	op.response = b.exchange.handler.publicError(b.exchange.request, err)
	op.status = op.response.Status
	op.etag = ""
	if op.method == http.MethodPost {
		op.location = ""
	}
	b.failedCount++
}

// completeWaiting is called when op has ended. It adds the reference to the resource of op to the
// resources that were created without it.
//
// RFC 7644 §3.7.1: the server must try to resolve circular references, and return 409 if it cannot.
func (b *bulk) completeWaiting(op *operation) {
	for _, w := range b.waitingFor[op] {
		if w.state == finished && w.response == nil && len(w.withheldParts) > 0 {
			b.addWithheld(w)
		}
	}
}

// addWithheld adds the withheld parts of an operation to the resource that it created, with a
// PATCH. It does nothing while one of the resources to which the operation refers does not exist
// yet.
func (b *bulk) addWithheld(op *operation) {
	ids := map[string]string{}
	for _, id := range b.referencedBulkIDs(op) {
		target := b.byBulkID[id]
		if target.state == running {
			return // completeWaiting calls addWithheld again when target has finished
		}
		if target.id == "" {
			b.failIncomplete(op, fmt.Sprintf("the operation with the bulkId %q failed", truncate(id)))
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
	for _, p := range op.withheldParts {
		request.Operations = append(request.Operations, change{"add", p.path, expandBulkIDsInJSON(p.value, ids)})
	}
	op.withheldParts = nil
	data, err := json.Marshal(request)
	if err != nil {
		b.failIncomplete(op, err.Error())
		return
	}
	a, err := b.perform(op, strings.TrimSuffix(op.path, "/")+"/"+op.id, data, ", to add a circular reference")
	if err != nil {
		b.failIncomplete(op, b.exchange.handler.publicError(b.exchange.request, err).Detail)
		return
	}
	op.etag = a.etag
}

// failIncomplete marks an operation as failed, because its resource was created but a circular
// reference could not be added to it. why is the reason, in words.
func (b *bulk) failIncomplete(op *operation, why string) {
	location := op.location
	b.finishOperation(op, answer{}, scim.Conflict("The resource was created, but its circular reference could not be added: %s", why))
	op.location = location
}

// encode returns the body of the answer.
//
// RFC 7644 §3.7: the status is a string. The error of a failed operation is in the member
// "response".
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
	body, _ := json.Marshal(out) // cannot fail, because the members are strings and *scim.Error
	return body
}

// sentence describes the results of all operations in one sentence, for the request log.
func (b *bulk) sentence() string {
	counts := map[string]int{}
	for _, op := range b.operations {
		counts[op.outcome()]++
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

// outcome returns the result of an operation in the words of the request log.
func (op *operation) outcome() string {
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

// bulkIDPrefix begins a string that stands for the id of a resource that the bulk request creates.
// RFC 7644 §3.7.2.
const bulkIDPrefix = "bulkId:"

// expandBulkIDs replaces the "bulkId:" references in a string with the ids of the resources. ids
// maps bulkIds to these ids.
func expandBulkIDs(text string, ids map[string]string) string {
	find := func(id string) (string, bool) {
		resourceID, ok := ids[id]
		return resourceID, ok
	}
	return expandBulkIDsWith(text, find, find)
}

// expandBulkIDsWith replaces the "bulkId:" references in a string. It calls whole for a reference
// that is the entire string, and inside for a reference within a longer string, such as a filter or
// a URL. Both take a bulkId and return the id of the resource.
func expandBulkIDsWith(text string, whole, inside func(string) (string, bool)) string {
	if id, is := strings.CutPrefix(text, bulkIDPrefix); is {
		if resourceID, ok := whole(id); ok {
			return resourceID
		}
		return text
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, bulkIDPrefix)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		end := len(after)
		if i := strings.IndexAny(after, `"/?#`); i >= 0 {
			end = i
		}
		resourceID, ok := inside(after[:end])
		if ok = ok && (strings.HasSuffix(before, `"`) || strings.HasSuffix(before, "/")); !ok {
			resourceID = bulkIDPrefix + after[:end]
		}
		out.WriteString(resourceID)
		text = after[end:]
	}
}

// expandBulkIDsInJSON replaces the "bulkId:" references in the strings of a JSON value with ids.
func expandBulkIDsInJSON(data json.RawMessage, ids map[string]string) json.RawMessage {
	if len(ids) == 0 {
		return data
	}
	return rewriteStrings(data, func(text string) string { return expandBulkIDs(text, ids) })
}

// rewriteStrings calls change with each string of a JSON value and replaces the string with the
// result. To save time, it returns a value without any "bulkId:" reference unchanged.
func rewriteStrings(data json.RawMessage, change func(string) string) json.RawMessage {
	if !bytes.Contains(data, []byte("ulkId:")) && !bytes.Contains(data, []byte(`\u`)) {
		return data
	}
	return scim.RewriteStrings(data, change)
}

// withhold splits the data of a POST in two: now is the data to send now, and later holds the parts
// with circular references, which refer to resources that do not exist yet. From a list it removes
// only the elements with such a reference. Any other attribute with such a reference is removed as
// a whole.
func withhold(data json.RawMessage, circular map[string]bool) (now json.RawMessage, later []withheldPart) {
	members, err := scim.ParseMembers(data)
	if err != nil {
		return data, nil // the data is malformed; the error comes later, when the resource is decoded
	}
	return withholdFrom(members, "", circular)
}

// withholdFrom divides the JSON members of a resource, or of one of its extensions: now is what can
// be written at once, and later are the parts that refer to one of the operations in circular. The
// path of each part begins with prefix.
func withholdFrom(members scim.Members, prefix string, circular map[string]bool) (now json.RawMessage, later []withheldPart) {
	kept := members[:0:0]
	for _, m := range members {
		switch {
		case !refersTo(m.Value, circular):
			kept = append(kept, m)
		case prefix == "" && strings.Contains(m.Name, ":"): // the member is an extension, whose attributes are withheld one by one
			inner, err := scim.ParseMembers(m.Value)
			if err != nil {
				kept = append(kept, m)
				continue
			}
			value, parts := withholdFrom(inner, m.Name+":", circular)
			kept, later = append(kept, scim.Member{Name: m.Name, Value: value}), append(later, parts...)
		default:
			rest, withheld := withholdElements(m.Value, circular)
			if rest != nil {
				kept = append(kept, scim.Member{Name: m.Name, Value: rest})
			}
			later = append(later, withheldPart{prefix + m.Name, withheld})
		}
	}
	return kept.Encode(), later
}

// withholdElements splits a list into the elements to send now and the elements to add later. A
// value that is not a list is withheld as a whole.
func withholdElements(value json.RawMessage, circular map[string]bool) (now, later json.RawMessage) {
	var list, kept, withheld []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return nil, value
	}
	for _, e := range list {
		if refersTo(e, circular) {
			withheld = append(withheld, e)
		} else {
			kept = append(kept, e)
		}
	}
	return joinElements(kept), joinElements(withheld)
}

// joinElements returns a JSON list of the elements, or nil if there are none.
func joinElements(list []json.RawMessage) json.RawMessage {
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

// refersTo reports whether a JSON value contains a reference to one of these bulkIds.
func refersTo(value json.RawMessage, bulkIDs map[string]bool) bool {
	found := false
	check := func(id string) (string, bool) {
		found = found || bulkIDs[id]
		return "", false
	}
	rewriteStrings(value, func(text string) string { return expandBulkIDsWith(text, check, check) })
	return found
}
