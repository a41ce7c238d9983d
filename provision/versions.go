package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// MappingVersion is one saved state of a job's mappings. A job keeps the newest [KeptVersions].
type MappingVersion struct {
	Number int64     // the job's Version when the version was saved; later versions have greater numbers
	At     time.Time // when the version was saved
	Actor  string    // the actor who made the change, as events write it
	Words  string    // a description of the change
	Schema *Schema   // nil if the version comes from a list
}

// KeptVersions is how many versions of its mappings a job keeps.
const KeptVersions = 200

// ErrNoVersion means that the job never had a version with this number, or no longer keeps it.
var ErrNoVersion = fmt.Errorf("the job has no such version of its mappings")

// Versions returns a page of the versions of a job's mappings, newest first, without their schemas.
// before is the number of the last version on the previous page, or 0 for the first page.
func (j *Jobs) Versions(ctx context.Context, k Key, before int64, limit int) ([]MappingVersion, error) {
	return j.Store.MappingVersions(ctx, k, before, limit)
}

// Version returns one version of a job's mappings, or ErrNoVersion.
func (j *Jobs) Version(ctx context.Context, k Key, number int64) (MappingVersion, error) {
	return j.Store.MappingVersion(ctx, k, number)
}

// GoBack makes an earlier version of the mappings the current one. It calls allow with the job
// before and after the change. allow can refuse the change with an error. Otherwise it returns how
// many accounts the change may disable, if an administrator accepted that number. allow may be
// called several times.
func (j *Jobs) GoBack(ctx context.Context, k Key, number int64, allow func(before, after Job) (confirmed int, err error), actor string) (Job, error) {
	v, err := j.Store.MappingVersion(ctx, k, number)
	if err != nil {
		return Job{}, err
	}
	return j.changeSchema(ctx, k, v.Schema, allow, actor, event.ProvisioningMappingChanged, fmt.Sprintf("The mappings of version %d were set again.", number))
}

// ImportSchema replaces the whole schema document. It calls allow with the job before and after the
// change, as GoBack does.
func (j *Jobs) ImportSchema(ctx context.Context, k Key, schema *Schema, allow func(before, after Job) (confirmed int, err error), actor string) (Job, error) {
	return j.changeSchema(ctx, k, schema, allow, actor, event.ProvisioningSchemaChanged, "The schema was replaced.")
}

// SetSchema is like ImportSchema, but allows every change. It is for programs that cannot ask an
// administrator.
func (j *Jobs) SetSchema(ctx context.Context, k Key, schema *Schema, actor string) (Job, error) {
	return j.ImportSchema(ctx, k, schema, func(_, _ Job) (int, error) { return 0, nil }, actor)
}

func (j *Jobs) changeSchema(ctx context.Context, k Key, schema *Schema, allow func(before, after Job) (confirmed int, err error), actor, name, words string) (Job, error) {
	if err := j.CheckSchema(schema); err != nil {
		return Job{}, err
	}
	return j.change(ctx, k, actor, name, func(job *Job) (string, error) {
		after := *job
		after.Schema = schema.Clone()
		if sameJSON(job.Schema, after.Schema) {
			return "", nil
		}
		if err := job.checkChangedRows(after.Schema); err != nil {
			return "", err
		}
		confirmed, err := allow(*job, after)
		if err != nil {
			return "", err
		}
		job.Confirmed += int64(confirmed)
		job.GroupsOffered = false // a schema given by a person also decides about groups
		sentence := andChanges(words, job.Schema, after.Schema)
		j.replaceSchema(job, after.Schema)
		j.testSearches(ctx, job)
		return sentence, nil
	})
}

// checkChangedRows checks the rows that differ in a new schema with the checks of SetRow. Rows that
// the job already has may stay, even if those checks would now refuse them. checkChangedRows
// returns an *InputError that names each wrong row.
func (job Job) checkChangedRows(changed *Schema) error {
	var errs []error
	for _, m := range changed.ObjectMappings() {
		was, err := job.Schema.ObjectMapping(m.Name)
		for i := range m.AttributeMappings {
			row := changed.Row(m, &m.AttributeMappings[i])
			if err == nil && job.hasRow(was, row) {
				continue
			}
			if row.Apply == "" {
				row.Apply = FlowAlways
			}
			if wrong := changed.checkRow(m, row.Target, row, job.Scope); wrong != nil {
				errs = append(errs, &RowError{Mapping: m.Name, Row: i + 1, Target: row.Target, Message: wrong.Error(), Err: wrong})
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &InputError{Field: "Schema", Text: err.Error()}
	}
	return nil
}

// hasRow reports whether a mapping of the job already has this row.
func (job Job) hasRow(m *ObjectMapping, row RowEdit) bool {
	at, err := m.rowIndex(row.Target)
	return err == nil && at >= 0 && job.Schema.Row(m, &m.AttributeMappings[at]) == row
}

// NotTakenOver returns the paths of the members of a schema document that ParseSchema ignored,
// because this version of Rollcall does not know them. An example is
// "/synchronizationRules/0/objectMappings/1/newMember". The paths are sorted. s is the parsed
// document.
func NotTakenOver(document []byte, s *Schema) ([]string, error) {
	taken, err := s.JSON()
	if err != nil {
		return nil, err
	}
	var was, is any
	if err := decodeNumbers(bytes.TrimPrefix(document, []byte("\xef\xbb\xbf")), &was); err != nil {
		return nil, fmt.Errorf("read the schema document: %w", err)
	}
	if err := decodeNumbers(taken, &is); err != nil {
		return nil, err
	}
	var lost []string
	compareMembers("", was, is, &lost)
	slices.Sort(lost)
	return lost, nil
}

// decodeNumbers decodes JSON and keeps numbers as they are written.
func decodeNumbers(document []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	return d.Decode(v)
}

// compareMembers compares an earlier document, was, with a later one, is. It appends to lost the
// path of each member that only the earlier document has. null, an absent member, an empty list and
// an empty string count as equal. compareMembers skips Graph's annotations, such as @odata.context,
// because they are not part of the schema.
func compareMembers(path string, was, is any, lost *[]string) {
	switch was := was.(type) {
	case map[string]any:
		members, ok := is.(map[string]any)
		if !ok {
			*lost = append(*lost, path)
			return
		}
		for name, value := range was {
			if strings.Contains(name, "@odata.") || isAbsent(value) {
				continue
			}
			found, known := memberOf(members, name)
			if !known {
				*lost = append(*lost, path+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
				continue
			}
			compareMembers(path+"/"+name, value, found, lost)
		}
	case []any:
		list, ok := is.([]any)
		for i, value := range was {
			at := fmt.Sprintf("%s/%d", path, i)
			if !ok || i >= len(list) {
				*lost = append(*lost, at)
				continue
			}
			compareMembers(at, value, list[i], lost)
		}
	default:
		if fmt.Sprint(was) != fmt.Sprint(is) && !sameWords(was, is) {
			*lost = append(*lost, path)
		}
	}
}

// memberOf finds a member by its name as encoding/json does. If there is no member with exactly
// this name, it ignores case.
func memberOf(members map[string]any, name string) (any, bool) {
	if v, ok := members[name]; ok {
		return v, true
	}
	for other, v := range members {
		if strings.EqualFold(other, name) {
			return v, true
		}
	}
	return nil, false
}

// sameWords reports whether two strings contain the same words in any order, such as two lists of
// flow types.
func sameWords(a, b any) bool {
	x, okX := a.(string)
	y, okY := b.(string)
	fold := func(s string) []string {
		words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(words)
		return words
	}
	return okX && okY && slices.Equal(fold(x), fold(y))
}

func isAbsent(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	}
	return false
}
