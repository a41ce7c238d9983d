package roster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// maxIndexedBytes is the maximum length, in bytes, of a value that has a row of its own in the
// database.
const maxIndexedBytes = 1_000

// Limits of one resource, so that writing it does not delay others for long. A resource that
// already exceeds a limit can still be changed in other respects.
const (
	maxDocumentBytes = 2 << 20 // the largest document, in bytes, without the members of a group
	maxValueRows     = 2_000   // the largest number of indexed values of one resource
)

// draft is the new document of a resource before it is written, with the parts of the change that
// are not in the document.
type draft struct {
	doc     scim.Resource
	role    Role          // the role of a user after the change
	ignored []ignoredPart // the parts of the request that are not applied
	fixes   []scim.Fix    // the deviations from SCIM that were tolerated in the request
	members memberDelta   // the changes of members that were already written to the database

	values, unique []Value // the indexed values of the document; set by check

	block          *Block            // the new block of a user; nil if the block stays as it is
	namesAttribute func(string) bool // reports whether the request names an attribute; nil if it names all attributes

	held        []HeldChange // the held changes of a user after this change; only if setsHeld is true
	setsHeld    bool         // whether held is set
	appliedHeld []string     // the attributes whose held change is applied

	revives         bool // whether the request revives a deactivated account
	dropsIdentifier bool // whether the request also removes the account's user identifier
}

// Create adds a resource, if the site lets SCIM create. It refuses a unique value that another
// resource has. With the site's setting Revives, a create with the userName of an account that SCIM
// deactivated reactivates that account instead. The document of a group may have the group's
// members.
func (r *Roster) Create(ctx context.Context, kind scim.TypeName, doc scim.Resource, c Change) (Outcome, error) {
	if kind == Group {
		doc, members := splitMembers(doc)
		return r.CreateGroup(ctx, doc, members, c)
	}
	rt, err := r.writableType(kind)
	if err != nil {
		return Outcome{}, err
	}
	if kind == User && !r.site.Creates {
		return Outcome{}, refusal.New(refusal.Off, "", "user creation over SCIM is off for this site").Advise("the account is created at the first SSO sign-in. Set Target Object Actions to Update only")
	}
	d := &draft{doc: doc.Clone()}
	if kind == User {
		if _, present := d.doc.Bool("active"); !present {
			d.doc["active"] = true
		}
		r.settleRole(d, RoleRegistered, nil)
	}
	rec, err := r.newRecord(rt, d, c)
	if err != nil {
		return Outcome{}, err
	}
	created := r.createdEvent(rec, d, c)
	return r.update(ctx, c, func(tx Tx) (Outcome, error) {
		if kind == User {
			if out, revived, err := (reviver{r, rt, doc, c}).revive(ctx, tx); revived || err != nil {
				return out, err
			}
			if err := refuseBlocked(ctx, tx, d.doc); err != nil {
				return Outcome{}, err
			}
		}
		return r.insert(ctx, tx, rec, d, created)
	})
}

// Replace is SCIM's PUT. A user keeps active, externalId and the role if the request omits them.
// The members of a group become exactly those that the request names.
func (r *Roster) Replace(ctx context.Context, kind scim.TypeName, id string, doc scim.Resource, c Change) (Outcome, error) {
	if kind == Group {
		doc, members := splitMembers(doc)
		return r.ReplaceGroup(ctx, id, doc, members, c)
	}
	rt, err := r.writableType(kind)
	if err != nil {
		return Outcome{}, err
	}
	return r.change(ctx, rt, id, putPasses, c, func(rec Record, old scim.Resource) (*draft, error) {
		merged, err := scim.MergePut(rt.ResourceType, old, doc)
		if err != nil {
			return nil, err
		}
		d := &draft{doc: merged, namesAttribute: attributesOfPut(doc)}
		if kind != User {
			return d, nil
		}
		return d, r.settleAccess(rt, d, rec, old)
	})
}

// attributesOfPut returns a function for draft.namesAttribute. For a PUT, an attribute that is not
// in the document counts as named too, because the PUT removes it. But active and externalId count
// as named only if they are in the document, because they keep their values otherwise.
func attributesOfPut(doc scim.Resource) func(string) bool {
	return func(name string) bool {
		_, present := doc[name]
		return present || name != "active" && name != "externalId"
	}
}

// Patch applies a SCIM PATCH, either completely or not at all.
func (r *Roster) Patch(ctx context.Context, kind scim.TypeName, id string, p *scim.Patch, c Change) (Outcome, error) {
	rt, err := r.writableType(kind)
	if err != nil {
		return Outcome{}, err
	}
	if kind == Group {
		return r.patchGroup(ctx, rt, id, p, c)
	}
	return r.change(ctx, rt, id, len(p.Operations)+putPasses, c, func(rec Record, old scim.Resource) (*draft, error) {
		result, err := p.Apply(rt.ResourceType, old)
		if err != nil {
			return nil, err
		}
		d := draftOf(result)
		d.namesAttribute = p.Addresses
		if kind == User {
			if d.removesAttribute("userType", old) && r.showsRole(rec.Role) {
				d.ignorePart("userType", "a role cannot be removed, send Registered instead")
			}
			if d.removesAttribute("active", old) {
				d.ignorePart("active", "active cannot be removed, send true or false instead")
			}
			return d, r.settleAccess(rt, d, rec, old)
		}
		return d, nil
	})
}

// draftOf returns the draft with the result of a PATCH.
func draftOf(result scim.PatchResult) *draft {
	d := &draft{doc: result.Resource, fixes: result.Fixes}
	for _, i := range result.Ignored {
		d.ignored = append(d.ignored, ignoredPart{i, i.Path + ": " + i.Reason})
	}
	return d
}

// Delete removes a resource permanently, if the site lets SCIM delete. Its user name can be used
// again, its id is never reused, and its groups no longer contain it. Delete refuses moderators and
// administrators, who must get another role first. If the site's setting says so, a user is
// deactivated instead.
func (r *Roster) Delete(ctx context.Context, kind scim.TypeName, id string, c Change) (Outcome, error) {
	rt, err := r.writableType(kind)
	if err != nil {
		return Outcome{}, err
	}
	if kind == User && r.site.Deletes == site.RefuseDelete {
		return Outcome{}, refusal.New(refusal.Off, "", "user deletion over SCIM is off for this site").Advise("deactivate the user instead. Set Target Object Actions to Update only")
	}
	if kind == User && r.site.Deletes == site.DeactivateOnDelete {
		return r.changeByHand(ctx, id, c, func(rec Record, d *draft) error {
			d.setActive(rec, false)
			return nil
		})
	}
	return r.update(ctx, c, func(tx Tx) (Outcome, error) {
		rec, old, err := r.lockAndParse(ctx, tx, kind, id, c)
		if err != nil {
			return Outcome{}, err
		}
		if rec.Block.InForce {
			return Outcome{}, refusal.New(refusal.Conflict, "", "%s is blocked by an administrator, so the account stays and keeps its user name", old.String("userName")).Advise("an administrator of the site can unblock it; then delete")
		}
		if kind == User && rec.Role != RoleRegistered {
			return Outcome{}, refusal.New(refusal.Conflict, "", "%s has the role %s", old.String("userName"), rec.Role).Advise("set userType to Registered first, then delete")
		}
		return r.remove(ctx, tx, rt, rec, old, c)
	})
}

// writableType returns the resource type with this name. It returns a refusal for groups if the
// site has them switched off.
func (r *Roster) writableType(kind scim.TypeName) (*resourceType, error) {
	if kind == Group && !r.site.Groups {
		return nil, refusal.New(refusal.Off, "", "groups cannot be written over SCIM on this site").Advise("switch the mapping for groups off")
	}
	return r.typeOf(kind)
}

// removesAttribute reports whether the draft lacks an attribute that the old document has.
func (d *draft) removesAttribute(name string, old scim.Resource) bool {
	_, was := old[name]
	_, is := d.doc[name]
	return was && !is
}

// settleAccess restores the old values of active, the role and the sign-in attributes where this
// site does not let SCIM set them. If the request leaves active out, the person's access stays as
// it was. Answers always show active, because clients treat a user without active as a user who may
// sign in.
func (r *Roster) settleAccess(rt *resourceType, d *draft, rec Record, old scim.Resource) error {
	if rec.Block.InForce {
		d.keepBlocked(rec)
	} else if _, present := d.doc.Bool("active"); !present {
		d.doc["active"] = rec.Active
	}
	r.settleRole(d, rec.Role, old)
	return r.keepIdentity(rt, d, rec, old)
}

// settleRole sets the role of the draft. The role before the change stays, unless the site lets SCIM
// set roles and the request names a role. So a mistake in an attribute mapping of the identity provider never
// takes a role away.
func (r *Roster) settleRole(d *draft, before Role, old scim.Resource) {
	d.role = before
	asked := d.doc.String("userType")
	wanted, known := ParseRole(asked)
	switch {
	case asked == "" || wanted == before:
	case !known && !r.showsRole(before):
		// The value names no role, because the application uses userType for its own kinds of
		// users, such as "Employee". It is stored as sent, and the role stays.
		if r.site.ManageRoles && asked != old.String("userType") {
			d.ignorePart("userType", fmt.Sprintf("role %q unknown", asked))
		}
		return
	case !known:
		d.ignorePart("userType", fmt.Sprintf("role %q unknown", asked))
	case !r.site.ManageRoles:
		d.ignorePart("userType", fmt.Sprintf("role %s not set, \"Allow SCIM to manage user roles\" is off", wanted))
	default:
		d.role = wanted
	}
	switch {
	case r.showsRole(d.role) || d.role != before || wanted == before && asked != "":
		d.doc["userType"] = string(d.role)
	case asked != "" && old.String("userType") != "":
		d.doc["userType"] = old["userType"]
	default:
		delete(d.doc, "userType")
	}
}

// showsRole reports whether the userType in the document of a person with this role is always the
// name of the role. It is false for the role Registered in the full profile; the userType is then
// the value that the client sent, or absent.
func (r *Roster) showsRole(role Role) bool {
	return role != RoleRegistered || r.site.Profile != site.Full
}

// change changes a stored resource, except the members of a group, for which there is changeGroup.
// apply makes the new document from the old one. passes is how many times apply reads the whole
// document. If the store has one writer, the new document is made before the transaction, so that
// others wait only for the writing. Otherwise, if the passes over the document are little work,
// apply is called inside the transaction. More work is done before the transaction, so that it does
// not delay other changes.
func (r *Roster) change(ctx context.Context, rt *resourceType, id string, passes int, c Change, apply func(Record, scim.Resource) (*draft, error)) (Outcome, error) {
	hasOneWriter := r.store.HasOneWriter()
	if isStorable(id) && (hasOneWriter || passes > manyPasses) {
		rec, err := r.store.Record(ctx, r.site.ID, rt.ID, id)
		switch {
		case err == nil && passes*len(rec.JSON) > costlyBytes:
			return r.changeOutsideTransaction(ctx, rt, id, c, apply)
		case err == nil && hasOneWriter && rec.versionTellsAll():
			out, err := r.changePrepared(ctx, rt, rec, c, apply)
			if !errors.Is(err, ErrChangedMeanwhile) {
				return out, err
			}
		}
	}
	out, err := r.update(ctx, c, func(tx Tx) (Outcome, error) {
		rec, err := r.lock(ctx, tx, rt.ID, id, c)
		if err != nil {
			return Outcome{}, err
		}
		if passes*len(rec.JSON) > costlyBytes {
			return Outcome{}, errCostly
		}
		p, err := r.prepare(rt, rec, c, apply)
		if err != nil {
			return Outcome{}, err
		}
		return r.write(ctx, tx, p, c)
	})
	if errors.Is(err, errCostly) {
		return r.changeOutsideTransaction(ctx, rt, id, c, apply)
	}
	return out, err
}

// versionTellsAll reports whether everything that a change depends on stays the same as long as the
// version does. Held changes have no version. The names of administrators in the record can be
// erased, and an event about a reversed change contains them.
func (rec Record) versionTellsAll() bool {
	return len(rec.Held) == 0 && rec.LastActiveChange.Via != ViaAdmin && rec.LastRoleChange.Via != ViaAdmin
}

// changePrepared makes the new document of a record and then writes it. It returns
// ErrChangedMeanwhile if the record has changed since it was read.
func (r *Roster) changePrepared(ctx context.Context, rt *resourceType, rec Record, c Change, apply func(Record, scim.Resource) (*draft, error)) (Outcome, error) {
	rec, err := checkRecord(rec, nil, rt.ID, rec.ID, c)
	if err != nil {
		return Outcome{}, err
	}
	p, err := r.prepare(rt, rec, c, apply)
	switch {
	case err != nil:
		return Outcome{}, wrapFailure(err)
	case p.heldChanged:
		return Outcome{}, ErrChangedMeanwhile // such a change is written only by a transaction that has read the record
	}
	return r.update(ctx, c, func(tx Tx) (Outcome, error) { return r.write(ctx, tx, p, c) })
}

// putPasses is how many passes over a document every change needs: to read, compare and write it.
const putPasses = 3

// costlyBytes is the largest number of bytes that a change processes inside its transaction, in all
// passes together.
const costlyBytes = 512 << 10

// manyPasses is the number of passes from which on it is likely that a change is too costly for its
// transaction.
const manyPasses = 50

var (
	// errCostly ends the transaction of a change that is too costly for it.
	errCostly = errors.New("the change takes long")
	// ErrChangedMeanwhile ends the transaction of a change that was prepared from an old version.
	ErrChangedMeanwhile = errors.New("the resource was changed meanwhile")
)

// maxOutsideTries is how many times changeOutsideTransaction tries, because another change of the
// same resource may come between.
const maxOutsideTries = 5

// changeOutsideTransaction makes the new document before the transaction that writes it begins. In
// the transaction, the version shows whether the resource was changed meanwhile; then it begins
// again.
func (r *Roster) changeOutsideTransaction(ctx context.Context, rt *resourceType, id string, c Change, apply func(Record, scim.Resource) (*draft, error)) (Outcome, error) {
	kind := rt.ID
	for range maxOutsideTries {
		var p preparedChange
		err := r.store.RunExpensive(ctx, r.site.ID, func(ctx context.Context) error {
			rec, err := r.store.Record(ctx, r.site.ID, kind, id)
			if rec, err = checkRecord(rec, err, kind, id, c); err != nil {
				return err
			}
			p, err = r.prepare(rt, rec, c, apply)
			return err
		})
		if err != nil {
			return Outcome{}, err
		}
		out, err := r.update(ctx, c, func(tx Tx) (Outcome, error) {
			rec, err := r.lock(ctx, tx, kind, id, c)
			if err != nil {
				return Outcome{}, err
			}
			if rec.Version != p.rec.Version || !sameHeld(rec.Held, p.rec.Held) {
				return Outcome{}, ErrChangedMeanwhile
			}
			return r.write(ctx, tx, p, c)
		})
		if !errors.Is(err, ErrChangedMeanwhile) {
			return out, err
		}
	}
	return Outcome{}, refusal.New(refusal.Busy, "", "the %s is being changed by others all the time, and nothing of this request was done", nounOf(kind)).Advise("send it again")
}

// update calls fn in a transaction, and writes the request-log row of the request in the same
// transaction. It returns refusals unchanged.
func (r *Roster) update(ctx context.Context, c Change, fn func(Tx) (Outcome, error)) (Outcome, error) {
	var out Outcome
	err := r.store.Update(ctx, r.site, func(tx Tx) (err error) {
		if out, err = fn(tx); err != nil {
			return err
		}
		if c.ShowsGroups && r.site.Groups {
			if out.Groups, err = tx.Memberships(ctx, out.Document.ID); err != nil {
				return err
			}
		}
		if c.Request.ID == "" {
			return nil
		}
		if out.Request, err = r.finishRow(ctx, tx, c, out); err != nil {
			return err
		}
		return tx.AppendRequest(ctx, out.Request)
	})
	if err != nil {
		return Outcome{}, wrapFailure(err)
	}
	return out, nil
}

// wrapFailure says that a change has failed. It returns refusals unchanged.
func wrapFailure(err error) error {
	if refusalIn(err) != nil {
		return err
	}
	return fmt.Errorf("change roster: %w", err)
}

// finishRow returns the request-log row of a change, with the result of the change added.
func (r *Roster) finishRow(ctx context.Context, tx Tx, c Change, out Outcome) (requestlog.Request, error) {
	row := c.Request
	row.Subject, row.UserName, row.Sentence = out.Document.ID, out.UserName, out.Sentence
	row.AddFixes(out.Fixes...)
	row.AddIgnored(out.Ignored...)
	if large := c.LargeGroup; large.Status != 0 {
		n := 0
		if large.MinMembers > 0 {
			var err error
			if n, err = tx.CountMembers(ctx, out.Document.ID, large.MinMembers); err != nil {
				return requestlog.Request{}, err
			}
		}
		if n >= large.MinMembers {
			row.Status = large.Status
		}
	}
	row.Duration = r.now().Sub(row.Time)
	return row.Clean(), nil
}

// refusalIn returns the refusal in err's chain, or nil for other errors. It turns an error of
// package scim into a refusal.
func refusalIn(err error) *refusal.Error {
	if e, ok := refusal.Find(err); ok {
		return e
	}
	var wire *scim.Error
	if errors.As(err, &wire) {
		return refusal.New(refusal.Invalid, "", "%s", wire.Detail)
	}
	return nil
}

// lockAndParse is lock and parse: it returns the record to change and its document.
func (r *Roster) lockAndParse(ctx context.Context, tx Tx, kind scim.TypeName, id string, c Change) (Record, scim.Resource, error) {
	rec, err := r.lock(ctx, tx, kind, id, c)
	if err != nil {
		return Record{}, nil, err
	}
	old, err := r.parse(&rec)
	return rec, old, err
}

// lock returns the record to change, and locks it until the transaction ends.
func (r *Roster) lock(ctx context.Context, tx Tx, kind scim.TypeName, id string, c Change) (Record, error) {
	if !isStorable(id) {
		return Record{}, notFound(kind, id)
	}
	rec, err := tx.Record(ctx, kind, id)
	return checkRecord(rec, err, kind, id, c)
}

// checkRecord refuses a change if the record does not exist or does not have the expected version.
func checkRecord(rec Record, err error, kind scim.TypeName, id string, c Change) (Record, error) {
	switch {
	case errors.Is(err, refusal.NotFound):
		return Record{}, notFound(kind, id)
	case err != nil:
		return Record{}, err
	case c.IfVersion != 0 && c.IfVersion != rec.Version:
		return Record{}, refusal.New(refusal.Stale, "", "the %s has changed since: it is at version %d, the request was made for version %d", nounOf(kind), rec.Version, c.IfVersion).Advise("read it again")
	}
	return rec, nil
}

// parseDocument reads the JSON of a stored resource. It is a variable, so that a test can count the
// calls.
var parseDocument = scim.Parse

// parse returns the document of a record in the form that the site's current profile needs, even if
// it was written under another profile.
func (r *Roster) parse(rec *Record) (scim.Resource, error) {
	doc, err := rec.document()
	if err != nil {
		return nil, err
	}
	if rec.Kind == User && r.showsRole(rec.Role) && doc.String("userType") != string(rec.Role) {
		doc = maps.Clone(doc)
		doc["userType"] = string(rec.Role)
	}
	return doc, nil
}

// document returns the stored document. It parses the JSON once and keeps the result.
func (rec *Record) document() (scim.Resource, error) {
	if rec.doc != nil {
		return rec.doc, nil
	}
	doc, err := parseDocument(rec.JSON)
	if err != nil {
		return nil, fmt.Errorf("read stored %s %s: %w", nounOf(rec.Kind), rec.ID, err)
	}
	rec.doc = doc
	return doc, nil
}

// preparedChange is a change that is ready to be written.
type preparedChange struct {
	rec         Record        // the stored record, with its Values and Unique
	old         scim.Resource // the stored document
	draft       *draft        // the changed document
	next        Record        // the record after the change
	changed     bool          // whether the document or the state of the resource changes
	heldChanged bool          // whether the held changes of the person change

	attributes []string       // the names of the attributes that change
	values     []event.Change // every attribute that changes, with its values
}

// prepare calls apply to make the new document of a record, and then compares it with the old one.
func (r *Roster) prepare(rt *resourceType, rec Record, c Change, apply func(Record, scim.Resource) (*draft, error)) (preparedChange, error) {
	old, err := r.parse(&rec)
	if err != nil {
		return preparedChange{}, err
	}
	d, err := apply(rec, old)
	if err != nil {
		return preparedChange{}, err
	}
	return r.compare(rt, rec, old, d)
}

// compare checks a draft, compares it with the stored document, and builds the new record.
func (r *Roster) compare(rt *resourceType, rec Record, old scim.Resource, d *draft) (preparedChange, error) {
	p := preparedChange{rec: rec, old: old, draft: d}
	if err := rt.check(d); err != nil {
		return p, err
	}
	if err := checkUserName(old, d.doc); err != nil {
		return p, err
	}
	p.changed = !scim.Equal(old, d.doc) || d.members.hasChanges() || d.block != nil && *d.block != rec.Block
	p.heldChanged = d.setsHeld && !sameHeld(rec.Held, d.held)
	if !p.changed && !p.heldChanged {
		return p, nil
	}
	p.next = rec
	if p.heldChanged {
		p.next.Held = d.held
	}
	p.rec.Values, p.rec.Unique = valuesOf(rec.Kind, old), rt.uniqueValues(old)
	if !p.changed {
		p.next.Values, p.next.Unique = p.rec.Values, p.rec.Unique
		return p, nil
	}
	p.next.Version++
	p.next.Modified = r.nextModified(rec.Modified)
	rt.fillRecord(&p.next, d)
	setNameLooks(&p.rec, old, &p.next, d.doc)
	p.attributes, p.values = changedAttributes(old, d.doc), changedValues(old, d.doc)
	return p, checkSize(p.rec, p.next)
}

// replace replaces a stored record with a draft.
func (r *Roster) replace(ctx context.Context, tx Tx, rt *resourceType, rec Record, old scim.Resource, d *draft, c Change) (Outcome, error) {
	p, err := r.compare(rt, rec, old, d)
	if err != nil {
		return Outcome{}, err
	}
	return r.write(ctx, tx, p, c)
}

// write writes a prepared change to the database, ends the sessions of a person that it
// deactivates, and appends one event for each kind of change.
func (r *Roster) write(ctx context.Context, tx Tx, p preparedChange, c Change) (Outcome, error) {
	rec, next, d := p.rec, p.next, p.draft
	if !p.changed {
		return outcomeOf(rec, d, d.describeDecision(rec), 0), r.writeHeld(ctx, tx, p, c)
	}
	stampHeld(next.Held, c, next.Modified)
	now := next.Modified
	if err := protectLastAdmin(ctx, tx, rec, next, p.old.String("userName")); err != nil {
		return Outcome{}, err
	}
	ended, err := endSessionsOf(ctx, tx, rec, next, now)
	if err != nil {
		return Outcome{}, err
	}
	story := p.summarize(ended, c)
	story.stampRecord(&next, c, now)
	if err := tx.Put(ctx, rec, next); err != nil {
		return Outcome{}, takenError(err, d.doc)
	}
	p.next = next
	for _, e := range append(story.newEvents(r.site.ID, next, c, now), r.heldEvents(p, c, now)...) {
		if err := tx.AppendEvent(ctx, e); err != nil {
			return Outcome{}, err
		}
	}
	out := outcomeOf(next, d, story.sentence(), ended)
	out.Changed = true
	return out, nil
}

// writeHeld stores a person's held changes when nothing else changes. It does not raise the
// version, because SCIM does not show held changes.
func (r *Roster) writeHeld(ctx context.Context, tx Tx, p preparedChange, c Change) error {
	if !p.heldChanged {
		return nil
	}
	now := r.nowInMillis()
	stampHeld(p.next.Held, c, now)
	if err := tx.Put(ctx, p.rec, p.next); err != nil {
		return err
	}
	for _, e := range r.heldEvents(p, c, now) {
		if err := tx.AppendEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// endSessionsOf ends the sessions of a person who becomes inactive, and returns how many were live.
func endSessionsOf(ctx context.Context, tx Tx, old, next Record, now time.Time) (int, error) {
	if !old.Active || next.Active {
		return 0, nil
	}
	return tx.EndSessions(ctx, next.ID, now)
}

// protectLastAdmin refuses every change that would leave a site without an active administrator.
func protectLastAdmin(ctx context.Context, tx Tx, old, next Record, userName string) error {
	if !old.isActiveAdmin() || next.isActiveAdmin() {
		return nil
	}
	others, err := tx.OtherAdmins(ctx, old.ID)
	if err != nil || others > 0 {
		return err
	}
	return refusal.New(refusal.Conflict, "", "%s is the last active administrator of this site", userName).Advise("make somebody else an administrator first")
}

// isActiveAdmin reports whether the record is that of an active administrator.
func (rec Record) isActiveAdmin() bool { return rec.Active && rec.Role == RoleAdmin }

// newRecord returns the record of a new resource, with an id and the first version.
func (r *Roster) newRecord(rt *resourceType, d *draft, c Change) (Record, error) {
	now := r.nowInMillis()
	rec := Record{Kind: rt.ID}
	rec.ID, rec.Version, rec.Created, rec.Modified = r.newID(), 1, now, now
	if err := rt.check(d); err != nil {
		return Record{}, err
	}
	if err := checkUserName(nil, d.doc); err != nil {
		return Record{}, err
	}
	rt.fillRecord(&rec, d)
	if rec.Kind == User {
		rec.NameLooks = nameLooksOf(d.doc)
	}
	if err := checkSize(Record{}, rec); err != nil {
		return Record{}, err
	}
	rec.LastChange = Stamp{Actor: c.Actor, Via: c.Via, Time: now, Text: "Created"}
	return rec, nil
}

// insert writes a new record, and appends the event that the resource was created.
func (r *Roster) insert(ctx context.Context, tx Tx, rec Record, d *draft, created event.Event) (Outcome, error) {
	var err error
	if rec.Position, err = tx.Insert(ctx, rec); err != nil {
		return Outcome{}, takenError(err, d.doc)
	}
	return recordCreated(ctx, tx, rec, d, created)
}

// createdEvent returns the event that a resource was created.
func (r *Roster) createdEvent(rec Record, d *draft, c Change) event.Event {
	e := newEvent(r.site.ID, rec, eventsOf(rec.Kind).created, c, rec.Created, nameInSentence(rec, d.doc)+" was created"+d.members.describe(" with "))
	e.Data = event.DataOf(eventData(rec, nil, d.members), changedValues(nil, d.doc)...)
	return e
}

// recordCreated appends the event that a resource was created, and returns the outcome.
func recordCreated(ctx context.Context, tx Tx, rec Record, d *draft, created event.Event) (Outcome, error) {
	if err := tx.AppendEvent(ctx, created); err != nil {
		return Outcome{}, err
	}
	out := outcomeOf(rec, d, "Created"+d.members.describe(" · "), 0)
	out.Created, out.Changed = true, true
	return out, nil
}

// remove deletes a resource with everything that belongs to it, and appends its event.
func (r *Roster) remove(ctx context.Context, tx Tx, rt *resourceType, rec Record, old scim.Resource, c Change) (Outcome, error) {
	now := r.nowInMillis()
	if err := protectLastAdmin(ctx, tx, rec, Record{}, old.String("userName")); err != nil {
		return Outcome{}, err
	}
	var ended int
	if rec.Kind == User {
		var err error
		if ended, err = tx.EndSessions(ctx, rec.ID, now); err != nil {
			return Outcome{}, err
		}
	}
	if err := r.leaveGroups(ctx, tx, rec, old, c); err != nil {
		return Outcome{}, err
	}
	rec.Values, rec.Unique = valuesOf(rec.Kind, old), rt.uniqueValues(old)
	if rec.Kind == User {
		rec.NameLooks = nameLooksOf(old)
	}
	if err := tx.Delete(ctx, rec); err != nil {
		return Outcome{}, err
	}
	s := changeSummary{sessionsEnded: ended}
	text := nameInSentence(rec, old) + " was deleted" + s.sessionsEndedText("; ")
	if err := tx.AppendEvent(ctx, newEvent(r.site.ID, rec, eventsOf(rec.Kind).deleted, c, now, text, changedValues(old, nil)...)); err != nil {
		return Outcome{}, err
	}
	out := outcomeOf(rec, &draft{doc: old}, "Deleted"+s.sessionsEndedText(" · "), ended)
	out.Changed = true
	return out, nil
}

// takenError returns ErrUserNameTaken and ErrValueTaken with words that name the value. It returns
// other errors unchanged.
func takenError(err error, doc scim.Resource) error {
	other, _ := refusal.DataOf[Value](err)
	switch {
	case errors.Is(err, ErrUserNameTaken):
		return ErrUserNameTaken.Because("the userName %q is in use on this site already", doc.String("userName"))
	case errors.Is(err, ErrValueTaken) && other.Path == "displayName":
		return ErrValueTaken.At("displayName").Because("the displayName %q is in use on this site already", doc.String("displayName"))
	case errors.Is(err, ErrValueTaken):
		return ErrValueTaken.At(other.Path).Because("the value of %s is in use on this site already", other.Path)
	}
	return err
}

// check validates the document of a draft and the lengths of its indexed values. It stores the
// indexed values in the draft.
func (rt *resourceType) check(d *draft) error {
	doc := d.doc
	if rt.ID == User {
		// RFC 7643 §4.1.1: a password is never stored. Otherwise a person could sign in with it
		// after deactivation, without single sign-on.
		delete(doc, "password")
	}
	if err := scim.Validate(rt.ResourceType, doc); err != nil {
		return err
	}
	for _, name := range []string{"userName", "externalId", "displayName"} {
		if len(doc.String(name)) > maxIndexedBytes {
			return refusal.New(refusal.Invalid, name, "%s has more than %d bytes", name, maxIndexedBytes)
		}
	}
	d.values, d.unique = valuesOf(rt.ID, doc), rt.uniqueValues(doc)
	for _, values := range [][]Value{d.values, d.unique} {
		for _, v := range values {
			if len(v.Folded) > maxIndexedBytes {
				return refusal.New(refusal.Invalid, v.Path, "%s has more than %d bytes", v.Path, maxIndexedBytes)
			}
		}
	}
	return nil
}

// checkSize refuses a change that makes a resource too large.
func checkSize(old, next Record) error {
	if n := len(next.JSON); n > maxDocumentBytes && n > len(old.JSON) {
		return refusal.New(refusal.TooLarge, "", "the %s would have %d bytes; at most %d are kept of one", nounOf(next.Kind), n, maxDocumentBytes).Advise("send fewer values")
	}
	if n := len(next.Values) + len(next.Unique); n > maxValueRows && n > len(old.Values)+len(old.Unique) {
		return refusal.New(refusal.Invalid, "", "the %s would have %d e-mail addresses and unique values; at most %d are kept of one", nounOf(next.Kind), n, maxValueRows).Advise("send fewer")
	}
	return nil
}

// fillRecord writes the id and meta into the document of a checked draft. It encodes the document
// into the record, and sets the record's other fields from the document. The caller must not change
// the document afterwards.
func (rt *resourceType) fillRecord(rec *Record, d *draft) {
	doc := d.doc
	doc["id"] = rec.ID
	doc["meta"] = map[string]any{
		"resourceType": string(rec.Kind),
		"created":      formatTime(rec.Created),
		"lastModified": formatTime(rec.Modified),
		"version":      ETag(rec.Version, nil),
	}
	rec.JSON, rec.doc = scim.Encode(rt.ResourceType, doc), doc
	rec.ExternalID = doc.String("externalId")
	rec.Values, rec.Unique = d.values, d.unique
	switch rec.Kind {
	case User:
		rec.UserName = scim.Fold(doc.String("userName"))
		rec.Display = doc.String("displayName")
		rec.DisplayName = scim.Fold(rec.Display)
		if active, present := doc.Bool("active"); present {
			rec.Active = active
		}
		rec.Role = d.role
		if d.block != nil {
			rec.Block = *d.block
		}
	case Group:
		rec.Display = doc.String("displayName")
		rec.DisplayName = scim.Fold(rec.Display)
	}
}

// formatTime returns a time as documents write it.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// nowInMillis returns the current time with the precision of meta, so that columns and documents
// agree.
func (r *Roster) nowInMillis() time.Time { return r.now().UTC().Truncate(time.Millisecond) }

// nextModified returns the time for a new change: now, or just after the last change if the clock
// was set back. So a query for the changes since some time finds all of them.
func (r *Roster) nextModified(last time.Time) time.Time {
	if now := r.nowInMillis(); !now.Before(last) {
		return now
	}
	return last.Add(time.Millisecond)
}

// EmailPath is the Value.Path of e-mail addresses.
const EmailPath = "emails.value"

// valuesOf lists the values of a document that every site can search for and that have no column of
// their own: the e-mail addresses of users.
func valuesOf(kind scim.TypeName, doc scim.Resource) []Value {
	if kind != User {
		return nil
	}
	elements, _ := doc["emails"].([]any)
	var values []Value
	for i, e := range elements {
		m, _ := e.(map[string]any)
		if value, _ := m["value"].(string); value != "" {
			values = append(values, Value{Path: EmailPath, Folded: scim.Fold(value), Element: i})
		}
	}
	return values
}

// outcomeOf returns the outcome of a change. done says in words what was done, and ended is the
// number of ended sessions.
func outcomeOf(rec Record, d *draft, done string, ended int) Outcome {
	return Outcome{
		Document:      rec.Document,
		UserName:      nameOf(rec.Kind, d.doc),
		Sentence:      d.sentence(done),
		SessionsEnded: ended,
		Ignored:       d.ignoredParts(),
		Fixes:         slices.Clone(d.fixes),
	}
}
