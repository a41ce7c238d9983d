package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/pace"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// ImportRow is one person to import. Empty fields leave the stored values as they are.
type ImportRow struct {
	Line           int // the line number in the file, for errors; 0 if the row does not come from a file
	UserName       string
	DisplayName    string
	GivenName      string
	FamilyName     string
	Email          string
	UserIdentifier string // the NameID by which the person will sign in
	Role           Role   // the name of the role, ignoring case; Import checks it
}

// refuse returns a refusal of the row.
func (row ImportRow) refuse(why *refusal.Error) *refusal.Row {
	return &refusal.Row{Line: row.Line, Why: why}
}

// ImportReport counts what an import did.
type ImportReport struct {
	Created, Updated, Unchanged int
	Errors                      []*refusal.Row
}

// add adds the counts and errors of another report.
func (r *ImportReport) add(more ImportReport) {
	r.Created += more.Created
	r.Updated += more.Updated
	r.Unchanged += more.Unchanged
	r.Errors = append(r.Errors, more.Errors...)
}

// Import creates or updates people, even if the site does not let SCIM create accounts. It finds
// existing people by user name, ignoring case. It reports a row with a problem and continues with
// the next row. If Import returns an error, the report says what was done before the error.
func (r *Roster) Import(ctx context.Context, rows []ImportRow, c Change) (ImportReport, error) {
	var report ImportReport
	rows, repeated := refuseRepeated(rows)
	report.Errors = repeated
	err := pace.ForEachSlice(ctx, pace.ForImporting(), rows, func(some []ImportRow) error {
		done, err := r.importBatch(ctx, some, c)
		if err == nil {
			report.add(done)
		}
		return err
	})
	if err != nil {
		return report, fmt.Errorf("import people: %w", err)
	}
	slices.SortStableFunc(report.Errors, func(a, b *refusal.Row) int { return a.Line - b.Line })
	return report, nil
}

// refuseRepeated keeps the first row for each user name and refuses the later rows.
func refuseRepeated(rows []ImportRow) (kept []ImportRow, repeated []*refusal.Row) {
	first := make(map[string]int, len(rows))
	for _, row := range rows {
		name := scim.Fold(strings.TrimSpace(row.UserName))
		line, seen := first[name]
		if !seen || name == "" {
			first[name] = row.Line
			kept = append(kept, row)
			continue
		}
		repeated = append(repeated, row.refuse(refusal.New(refusal.Taken, "userName", "%q is in line %d already", row.UserName, line).Advise("keep one of the two lines")))
	}
	return kept, repeated
}

// importBatch imports rows in one transaction. It checks a row completely before it writes any part
// of the row.
func (r *Roster) importBatch(ctx context.Context, rows []ImportRow, c Change) (ImportReport, error) {
	var report ImportReport
	err := r.store.Update(ctx, r.site, func(tx Tx) error {
		report = ImportReport{}
		for _, row := range rows {
			if err := r.importRow(ctx, tx, row, c, &report); err != nil {
				return err
			}
		}
		return nil
	})
	return report, err
}

// importRow imports one row, and adds the result to the report.
func (r *Roster) importRow(ctx context.Context, tx Tx, row ImportRow, c Change, report *ImportReport) error {
	wrong := row.normalize()
	if wrong == nil {
		var out Outcome
		var err error
		if out, err = r.importPerson(ctx, tx, row, c); err == nil {
			report.countOutcome(out)
			return nil
		}
		why := refusalIn(err)
		if why == nil {
			return err
		}
		wrong = &refusal.Row{Line: row.Line, Why: why}
	}
	report.Errors = append(report.Errors, wrong)
	return nil
}

// countOutcome counts the result of one imported row.
func (r *ImportReport) countOutcome(out Outcome) {
	switch {
	case out.Created:
		r.Created++
	case out.Changed:
		r.Updated++
	default:
		r.Unchanged++
	}
}

// normalize trims the spaces around the fields. It returns a refusal if a field is not valid.
func (row *ImportRow) normalize() *refusal.Row {
	role := string(row.Role)
	fields := []struct {
		column string
		value  *string
	}{
		{"userName", &row.UserName},
		{"displayName", &row.DisplayName},
		{"givenName", &row.GivenName},
		{"familyName", &row.FamilyName},
		{"email", &row.Email},
		{"userIdentifier", &row.UserIdentifier},
		{"role", &role},
	}
	for _, f := range fields {
		*f.value = strings.TrimSpace(*f.value)
		switch {
		case !utf8.ValidString(*f.value) || strings.ContainsRune(*f.value, 0):
			return row.refuse(refusal.New(refusal.Invalid, f.column, "this is not UTF-8 text").Advise("save the file as UTF-8"))
		case len(*f.value) > maxIndexedBytes:
			return row.refuse(refusal.New(refusal.Invalid, f.column, "this is longer than %d bytes", maxIndexedBytes).Advise("shorten it"))
		}
	}
	row.Role = Role(role)
	if row.UserName == "" {
		return row.refuse(refusal.New(refusal.Invalid, "userName", "a user name is needed").Advise("it is what SCIM calls userName"))
	}
	if at := strings.IndexByte(row.Email, '@'); row.Email != "" && (at < 1 || at == len(row.Email)-1 || strings.ContainsAny(row.Email, " \t\r\n")) {
		return row.refuse(refusal.New(refusal.Invalid, "email", "%q is not an e-mail address", row.Email).Advise("correct it or leave it empty"))
	}
	if role == "" {
		return nil
	}
	known, ok := ParseRole(role)
	if !ok {
		return row.refuse(refusal.New(refusal.Invalid, "role", "%q is not a role", role).Advise("use Registered, Moderator or Admin, or leave it empty"))
	}
	row.Role = known
	return nil
}

// importPerson creates or updates the person of a row.
func (r *Roster) importPerson(ctx context.Context, tx Tx, row ImportRow, c Change) (Outcome, error) {
	rec, err := tx.RecordByUserName(ctx, scim.Fold(row.UserName))
	if errors.Is(err, refusal.NotFound) {
		return r.importNew(ctx, tx, row, c)
	}
	if err != nil {
		return Outcome{}, err
	}
	if err := row.checkIdentifier(ctx, tx, rec.ID); err != nil {
		return Outcome{}, err
	}
	rt, err := r.typeOf(User)
	if err != nil {
		return Outcome{}, err
	}
	old, err := r.parse(&rec)
	if err != nil {
		return Outcome{}, err
	}
	d := &draft{doc: old.Clone(), role: rec.Role}
	if err := applyRow(rt, row, d); err != nil {
		return Outcome{}, err
	}
	out, err := r.replace(ctx, tx, rt, rec, old, d, c)
	if err != nil {
		return Outcome{}, err
	}
	rec.Version = out.Document.Version
	identified, err := r.linkIdentifier(ctx, tx, rec, row, c)
	out.Changed = out.Changed || identified
	return out, err
}

// importNew creates the person of a row.
func (r *Roster) importNew(ctx context.Context, tx Tx, row ImportRow, c Change) (Outcome, error) {
	if err := row.checkIdentifier(ctx, tx, ""); err != nil {
		return Outcome{}, err
	}
	doc := scim.Resource{
		"schemas":  []any{scim.UserURN},
		"userName": row.UserName,
		"active":   true,
	}
	if r.showsRole(RoleRegistered) {
		doc["userType"] = string(RoleRegistered)
	}
	if row.Email != "" {
		doc["emails"] = []any{map[string]any{"value": row.Email, "type": "work", "primary": true}}
	}
	rt, err := r.typeOf(User)
	if err != nil {
		return Outcome{}, err
	}
	d := &draft{doc: doc, role: RoleRegistered}
	if err := applyRow(rt, row, d); err != nil {
		return Outcome{}, err
	}
	rec, err := r.newRecord(rt, d, c)
	if err != nil {
		return Outcome{}, err
	}
	out, err := r.insert(ctx, tx, rec, d, r.createdEvent(rec, d, c))
	if err != nil {
		return Outcome{}, err
	}
	_, err = r.linkIdentifier(ctx, tx, rec, row, c)
	return out, err
}

// applyRow writes the row's fields into a draft, except empty fields.
func applyRow(rt *resourceType, row ImportRow, d *draft) error {
	if row.Role != "" {
		d.role = row.Role
	}
	for _, f := range []struct{ path, value string }{
		{"displayName", row.DisplayName},
		{"name.givenName", row.GivenName},
		{"name.familyName", row.FamilyName},
		{`emails[type eq "work"].value`, row.Email},
		{"userType", string(row.Role)},
	} {
		if f.value == "" {
			continue
		}
		path, err := scim.ParsePath(rt.ResourceType, f.path, scim.Strict)
		if err != nil {
			return fmt.Errorf("path %s: %w", f.path, err)
		}
		if err := path.Set(d.doc, f.value); err != nil {
			return fmt.Errorf("set %s: %w", f.path, err)
		}
	}
	return nil
}

// checkIdentifier refuses a user identifier that belongs to another person.
func (row ImportRow) checkIdentifier(ctx context.Context, tx Tx, person string) error {
	if row.UserIdentifier == "" {
		return nil
	}
	owner, err := tx.Identity(ctx, row.UserIdentifier)
	if errors.Is(err, refusal.NotFound) || err == nil && owner.Person == person {
		return nil
	}
	if err != nil {
		return err
	}
	return refusal.New(refusal.Taken, "userIdentifier", "%q belongs to another person here", row.UserIdentifier).Advise("it must be different for each person")
}

// linkIdentifier links the row's user identifier to a person, if the row has an identifier and the
// identifier is new.
func (r *Roster) linkIdentifier(ctx context.Context, tx Tx, rec Record, row ImportRow, c Change) (changed bool, err error) {
	if row.UserIdentifier == "" {
		return false, nil
	}
	if _, err := tx.Identity(ctx, row.UserIdentifier); !errors.Is(err, refusal.NotFound) {
		return false, err // the person has the identifier already: checkIdentifier refused identifiers of other people
	}
	now := r.now().UTC().Truncate(time.Microsecond)
	if err := tx.PutIdentity(ctx, Identity{Person: rec.ID, Identifier: row.UserIdentifier}, now); err != nil {
		return false, err
	}
	text := row.UserName + " has a user identifier for sign-in now"
	return true, tx.AppendEvent(ctx, newEvent(r.site.ID, rec, event.UserIdentified, c, now, text))
}
