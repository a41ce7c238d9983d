package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// maxIndexed bounds the values that are looked up by an index, in bytes.
const maxIndexed = 1_000

// draft is a changed document before it is written.
type draft struct {
	doc     scim.Resource
	role    Role
	ignored []scim.Ignored
	fixes   []scim.Fix
	notes   []string // ignored, in words that follow "Nothing: "
}

// ignore records something of ours that was deliberately not applied.
func (d *draft) ignore(path, reason string) {
	d.ignored = append(d.ignored, scim.Ignored{Path: path, Reason: reason})
	d.notes = append(d.notes, reason)
}

// Create adds a user, where the profile lets SCIM do that. A user name in use is 409 uniqueness.
func (r *Roster) Create(ctx context.Context, kind Kind, doc scim.Resource, c Change) (Outcome, error) {
	if err := r.offers(kind); err != nil {
		return Outcome{}, err
	}
	if r.site.Profile != site.Full {
		return Outcome{}, scim.NotImplemented("User creation over SCIM is off for this site. The account is created at the first SSO sign-in. Set Target Object Actions to Update only.")
	}
	d := &draft{doc: doc.Clone()}
	if _, present := d.doc.Bool("active"); !present {
		d.doc["active"] = true
	}
	r.settleRole(d, RoleRegistered, nil)
	rec, err := r.newRecord(d, c)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	err = r.update(ctx, func(tx Tx) error {
		out, err = r.insert(ctx, tx, rec, d, c)
		return err
	})
	return out, err
}

// Replace is SCIM's PUT. It keeps active, externalId and the role where the request leaves them out.
func (r *Roster) Replace(ctx context.Context, kind Kind, id string, doc scim.Resource, c Change) (Outcome, error) {
	if err := r.offers(kind); err != nil {
		return Outcome{}, err
	}
	return r.change(ctx, id, c, func(rec Record, old scim.Resource) (*draft, error) {
		merged, err := scim.MergePut(r.user, old, doc)
		if err != nil {
			return nil, err
		}
		d := &draft{doc: merged}
		r.settle(d, rec, old)
		return d, nil
	})
}

// Patch applies a SCIM PATCH, all of it or nothing.
func (r *Roster) Patch(ctx context.Context, kind Kind, id string, p *scim.Patch, c Change) (Outcome, error) {
	if err := r.offers(kind); err != nil {
		return Outcome{}, err
	}
	return r.change(ctx, id, c, func(rec Record, old scim.Resource) (*draft, error) {
		result, err := p.Apply(r.user, old)
		if err != nil {
			return nil, err
		}
		d := &draft{doc: result.Resource, ignored: result.Ignored, fixes: result.Fixes}
		for _, i := range result.Ignored {
			d.notes = append(d.notes, i.Path+": "+i.Reason)
		}
		if d.removes("userType", old) && r.shows(rec.Role) {
			d.ignore("userType", "a role cannot be removed, send Registered instead")
		}
		if d.removes("active", old) {
			d.ignore("active", "active cannot be removed, send true or false instead")
		}
		r.settle(d, rec, old)
		return d, nil
	})
}

// Delete removes a user for good, where the profile lets SCIM do that: the user name is free again, the id is never
// used again. Moderators and administrators are demoted first.
func (r *Roster) Delete(ctx context.Context, kind Kind, id string, c Change) (Outcome, error) {
	if err := r.offers(kind); err != nil {
		return Outcome{}, err
	}
	if r.site.Profile != site.Full {
		return Outcome{}, scim.NotImplemented("User deletion over SCIM is off for this site. Deactivate the user instead. Set Target Object Actions to Update only.")
	}
	var out Outcome
	err := r.update(ctx, func(tx Tx) error {
		rec, old, err := r.read(ctx, tx, id, c)
		if err != nil {
			return err
		}
		if rec.Role != RoleRegistered {
			return scim.Conflict("%s has the role %s. Set userType to Registered first, then delete.", old.String("userName"), rec.Role)
		}
		out, err = r.remove(ctx, tx, rec, old, c)
		return err
	})
	return out, err
}

// offers refuses the kinds of resources that SCIM cannot write here.
func (r *Roster) offers(kind Kind) error {
	if kind == User {
		return nil
	}
	return scim.NotImplemented("Groups cannot be written over SCIM on this site. Switch the mapping for groups off.")
}

func (d *draft) removes(name string, old scim.Resource) bool {
	_, was := old[name]
	_, is := d.doc[name]
	return was && !is
}

// settle brings active and the role of a SCIM change to what this site lets SCIM set.
func (r *Roster) settle(d *draft, rec Record, old scim.Resource) {
	if _, present := d.doc.Bool("active"); !present {
		d.doc["active"] = rec.Active
	}
	r.settleRole(d, rec.Role, old)
}

// settleRole leaves the role as it was unless SCIM may set roles here and names one. A typo in a mapping must never
// demote anybody.
func (r *Roster) settleRole(d *draft, was Role, old scim.Resource) {
	d.role = was
	asked := d.doc.String("userType")
	wanted, known := ParseRole(asked)
	switch {
	case asked == "" || wanted == was:
	case !known && !r.shows(was):
		// An application's own kind of user ("Employee"): kept as sent, and no role.
		if r.site.ManageRoles && asked != old.String("userType") {
			d.notes = append(d.notes, fmt.Sprintf("role %q unknown", asked))
		}
		return
	case !known:
		d.ignore("userType", fmt.Sprintf("role %q unknown", asked))
	case !r.site.ManageRoles:
		d.ignore("userType", fmt.Sprintf("role %s not set, \"Allow SCIM to manage user roles\" is off", wanted))
	default:
		d.role = wanted
	}
	switch {
	case r.shows(d.role) || d.role != was || wanted == was && asked != "":
		d.doc["userType"] = string(d.role)
	case asked != "" && old.String("userType") != "":
		d.doc["userType"] = old["userType"]
	default:
		delete(d.doc, "userType")
	}
}

// shows says whether userType is always in the document and always the role. In the full profile an ordinary
// member's userType is the client's own: absent where it sent none.
func (r *Roster) shows(role Role) bool {
	return role != RoleRegistered || r.site.Profile != site.Full
}

// change is the one way in which a stored user becomes another: apply makes the new document of the old one.
func (r *Roster) change(ctx context.Context, id string, c Change, apply func(Record, scim.Resource) (*draft, error)) (Outcome, error) {
	var out Outcome
	err := r.update(ctx, func(tx Tx) error {
		rec, old, err := r.read(ctx, tx, id, c)
		if err != nil {
			return err
		}
		d, err := apply(rec, old)
		if err != nil {
			return err
		}
		out, err = r.replace(ctx, tx, rec, old, d, c)
		return err
	})
	return out, err
}

// update runs fn in one transaction. Broken rules come out as they are.
func (r *Roster) update(ctx context.Context, fn func(Tx) error) error {
	err := r.Store.Update(ctx, r.site.ID, fn)
	var broken *scim.Error
	if err == nil || errors.As(err, &broken) {
		return err
	}
	return fmt.Errorf("change roster: %w", err)
}

func (r *Roster) read(ctx context.Context, tx Tx, id string, c Change) (Record, scim.Resource, error) {
	if !storable(id) {
		return Record{}, nil, notFound(User, id)
	}
	rec, err := tx.Record(ctx, User, id)
	if errors.Is(err, ErrNotFound) {
		return Record{}, nil, notFound(User, id)
	}
	if err != nil {
		return Record{}, nil, err
	}
	if c.IfVersion != 0 && c.IfVersion != rec.Version {
		return Record{}, nil, scim.PreconditionFailed("The user has changed since: it is at version %d, the request was made for version %d. Read it again.", rec.Version, c.IfVersion)
	}
	old, err := r.parse(rec)
	return rec, old, err
}

// parse reads a stored document as this site's profile has it, whatever the profile was when it was written.
func (r *Roster) parse(rec Record) (scim.Resource, error) {
	doc, err := scim.Parse(rec.JSON)
	if err != nil {
		return nil, fmt.Errorf("read stored user %s: %w", rec.ID, err)
	}
	if r.shows(rec.Role) {
		doc["userType"] = string(rec.Role)
	}
	return doc, nil
}

// replace writes what differs, ends the sessions of whom it deactivates and appends one event for each kind of change.
func (r *Roster) replace(ctx context.Context, tx Tx, rec Record, old scim.Resource, d *draft, c Change) (Outcome, error) {
	if err := r.check(d.doc); err != nil {
		return Outcome{}, err
	}
	if scim.Equal(old, d.doc) {
		return outcome(rec, d, "", 0), nil
	}
	now := r.millis()
	next := rec
	next.Version++
	next.Modified = now
	r.fill(&next, d)
	if err := protectLastAdmin(ctx, tx, rec, next, old.String("userName")); err != nil {
		return Outcome{}, err
	}
	ended, err := endSessionsOf(ctx, tx, rec, next, now)
	if err != nil {
		return Outcome{}, err
	}
	story := tell(rec, next, old, d.doc, ended, c)
	story.stamp(&next, c, now)
	rec.Values = valuesOf(old)
	if err := tx.Put(ctx, rec, next); err != nil {
		return Outcome{}, taken(err, d.doc)
	}
	for _, e := range story.events(r.site.ID, next, c, now) {
		if err := tx.AppendEvent(ctx, e); err != nil {
			return Outcome{}, err
		}
	}
	out := outcome(next, d, story.sentence(), ended)
	out.Changed = true
	return out, nil
}

func endSessionsOf(ctx context.Context, tx Tx, old, next Record, now time.Time) (int, error) {
	if !old.Active || next.Active {
		return 0, nil
	}
	return tx.EndSessions(ctx, next.ID, now)
}

// protectLastAdmin refuses to leave a site without an active administrator, whoever asks.
func protectLastAdmin(ctx context.Context, tx Tx, old, next Record, userName string) error {
	if !old.administers() || next.administers() {
		return nil
	}
	others, err := tx.OtherAdmins(ctx, old.ID)
	if err != nil || others > 0 {
		return err
	}
	return scim.Conflict("%s is the last active administrator of this site. Make somebody else an administrator first.", userName)
}

func (rec Record) administers() bool { return rec.Active && rec.Role == RoleAdmin }

// newRecord gives a new user an id and the first version.
func (r *Roster) newRecord(d *draft, c Change) (Record, error) {
	now := r.millis()
	rec := Record{Kind: User}
	rec.ID, rec.Version, rec.Created, rec.Modified = r.NewID(), 1, now, now
	if err := r.check(d.doc); err != nil {
		return Record{}, err
	}
	r.fill(&rec, d)
	rec.Last = Stamp{Actor: c.Actor, Via: c.Via, Time: now, Text: "Created"}
	return rec, nil
}

func (r *Roster) insert(ctx context.Context, tx Tx, rec Record, d *draft, c Change) (Outcome, error) {
	if err := tx.Insert(ctx, rec); err != nil {
		return Outcome{}, taken(err, d.doc)
	}
	userName := d.doc.String("userName")
	e := eventOf(r.site.ID, rec, "user.created", c, rec.Created, userName+" was created")
	if err := tx.AppendEvent(ctx, e); err != nil {
		return Outcome{}, err
	}
	out := outcome(rec, d, "Created", 0)
	out.Created, out.Changed = true, true
	return out, nil
}

func (r *Roster) remove(ctx context.Context, tx Tx, rec Record, old scim.Resource, c Change) (Outcome, error) {
	now := r.millis()
	if err := protectLastAdmin(ctx, tx, rec, Record{}, old.String("userName")); err != nil {
		return Outcome{}, err
	}
	ended, err := tx.EndSessions(ctx, rec.ID, now)
	if err != nil {
		return Outcome{}, err
	}
	rec.Values = valuesOf(old)
	if err := tx.Delete(ctx, rec); err != nil {
		return Outcome{}, err
	}
	s := story{ended: ended}
	text := old.String("userName") + " was deleted" + s.andSessions("; ")
	if err := tx.AppendEvent(ctx, eventOf(r.site.ID, rec, "user.deleted", c, now, text)); err != nil {
		return Outcome{}, err
	}
	out := outcome(rec, &draft{doc: old}, "Deleted"+s.andSessions(" · "), ended)
	out.Changed = true
	return out, nil
}

func taken(err error, doc scim.Resource) error {
	if errors.Is(err, ErrUserNameTaken) {
		return scim.Uniqueness("The userName %q is in use on this site already.", doc.String("userName"))
	}
	return err
}

// check validates a document whole, and the lengths of what is indexed.
func (r *Roster) check(doc scim.Resource) error {
	// RFC 7643 §4.1.1: a password is never kept. A login beside single sign-on would outlive deactivation there.
	delete(doc, "password")
	if err := scim.Validate(r.user, doc); err != nil {
		return err
	}
	for _, name := range []string{"userName", "externalId", "displayName"} {
		if len(doc.String(name)) > maxIndexed {
			return scim.InvalidValue("%s has more than %d bytes.", name, maxIndexed)
		}
	}
	for _, v := range valuesOf(doc) {
		if len(v.Folded) > maxIndexed {
			return scim.InvalidValue("%s has more than %d bytes.", v.Path, maxIndexed)
		}
	}
	return nil
}

// fill writes the id and meta into the document, encodes it and takes the columns from it.
func (r *Roster) fill(rec *Record, d *draft) {
	doc := d.doc
	doc["id"] = rec.ID
	doc["meta"] = map[string]any{
		"resourceType": string(rec.Kind),
		"created":      formatTime(rec.Created),
		"lastModified": formatTime(rec.Modified),
		"version":      ETag(rec.Version),
	}
	rec.JSON = scim.Encode(r.user, doc)
	rec.UserName = scim.Fold(doc.String("userName"))
	rec.ExternalID = doc.String("externalId")
	rec.DisplayName = scim.Fold(doc.String("displayName"))
	rec.Active, _ = doc.Bool("active")
	rec.Role = d.role
	rec.Values = valuesOf(doc)
}

// ETag is a version as meta.version and the ETag header have it.
//
// RFC 7644 §3.14: weak, because the body also depends on the projection asked for.
func ETag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// millis is the time in the precision of meta, so that columns and documents agree.
func (r *Roster) millis() time.Time { return r.Now().UTC().Truncate(time.Millisecond) }

// EmailPath is the path of the value rows of e-mail addresses.
const EmailPath = "emails.value"

// valuesOf lists what is searchable beside the columns.
func valuesOf(doc scim.Resource) []Value {
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

func outcome(rec Record, d *draft, done string, ended int) Outcome {
	return Outcome{
		Document:      rec.Document,
		UserName:      d.doc.String("userName"),
		Sentence:      d.sentence(done),
		SessionsEnded: ended,
		Ignored:       slices.Clone(d.ignored),
		Fixes:         slices.Clone(d.fixes),
	}
}
