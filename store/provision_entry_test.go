package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
)

// createdEntry returns the log entry about a person who was created with the default mapping.
func createdEntry() provision.LogEntry {
	const upn = "ada.lovelace@contoso.example"
	value := func(v string) *string { return &v }
	step := func(name string, kind provision.StepType, words string, details map[string]string) provision.Step {
		return provision.Step{Name: name, Type: kind, Status: provision.Success, Description: words, Details: details}
	}
	e := provision.LogEntry{
		ID: "0b2c52a1-44a4-4e55-8c0a-6f0c7b2e9a01", ActivityTime: time.Date(2026, 1, 9, 9, 0, 0, 48000, time.UTC),
		JobID: "5a4de5a2-9d0c-44f5-9d7f-2c2a0b1f7b02/90e9be4e-e2a0-41a5-8a2e-1b7e5c1d3c03", CycleID: "c1d0f6d4-25b3-4f0e-8f39-3f3a0f5a6d04", ChangeID: "d7a3b5e8-90b1-4d57-9a4b-7a1f7f3b8e05",
		Action: provision.Create, Status: provision.StatusInfo{Status: provision.Success}, InitiatorName: "Rollcall provisioning", Mapping: "Provision Azure Active Directory Users",
		Steps: []provision.Step{
			step("EntryImport", provision.ImportStep, "Received User '"+upn+"' from Azure Active Directory.", map[string]string{
				"IsSoftDeleted": "False", "accountEnabled": "True", "city": "Oslo", "displayName": "Ada Lovelace", "givenName": "Ada", "mail": upn, "mailNickname": "Ada", "surname": "Lovelace", "userPrincipalName": upn,
			}),
			step("EntrySynchronizationScoping", provision.ScopingStep, "User '"+upn+"' is in scope.", map[string]string{
				"Assigned": "True", "IsActive": "True", "IsEffectivelyEntitledForProvisioning": "True", "ScopeSyncAll": "False",
			}),
			step("EntryImport", provision.MatchingStep, "No account in customappsso has userName '"+upn+"'.", nil),
			step("EntrySynchronizationAdd", provision.ProcessingStep, "User '"+upn+"' will be created in customappsso: active and in scope, and no account was found.", nil),
			step("EntryExportAdd", provision.ExportStep, "User '"+upn+"' was created in customappsso.", nil),
		},
		SourceSystem: provision.System{ID: "5a4de5a2-9d0c-44f5-9d7f-2c2a0b1f7b02", DisplayName: "Azure Active Directory"},
		TargetSystem: provision.System{ID: "90e9be4e-e2a0-41a5-8a2e-1b7e5c1d3c03", DisplayName: "customappsso"},
		SourceIdentity: provision.Identity{
			ID: "2f6e1c1e-7f43-4d5f-9c39-0b0c1f6b9f06", DisplayName: "Ada Lovelace", Type: "User", Details: map[string]string{"userPrincipalName": upn},
		},
		TargetIdentity: provision.Identity{ID: "77d6a0b8-11f2-4b0e-b9a1-53a9a8c0de07", Type: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"},
	}
	for _, m := range []struct{ name, value string }{
		{"userName", upn},
		{"active", "True"},
		{"displayName", "Ada Lovelace"},
		{`emails[type eq "work"].value`, upn},
		{"name.givenName", "Ada"},
		{"name.familyName", "Lovelace"},
		{"name.formatted", "Ada Lovelace"},
		{`addresses[type eq "work"].locality`, "Oslo"},
		{"externalId", "Ada"},
	} {
		e.Modified = append(e.Modified, provision.ModifiedProperty{DisplayName: m.name, NewValue: value(m.value)})
	}
	return e
}

func TestStoredEntries(t *testing.T) {
	t.Parallel()
	created := createdEntry()
	skipped := created
	skipped.Modified = []provision.ModifiedProperty{}
	skipped.Status = provision.StatusInfo{Status: provision.Skipped, Code: "NotEffectivelyEntitled", Reason: "\x01! \x02\" \u2028 <b> \\", Category: "nonServiceFailure", RecommendedAction: phraseMark + columnMark}
	for name, e := range map[string]provision.LogEntry{"a_create": created, "a_skip_with_control_characters": skipped, "nothing": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			directory, app, _ := strings.Cut(e.JobID, "/")
			row := entryRow{directory: directory, app: app, id: e.ID, objectID: e.SourceIdentity.ID, cycle: e.CycleID}
			stored := row.compact(string(document))
			if d := cmp.Diff(string(document), row.expand(stored)); d != "" {
				t.Errorf("read again (-want +got):\n%s", d)
			}
			if d := cmp.Diff(string(document), row.expand(string(document))); d != "" {
				t.Errorf("an entry of an earlier version (-want +got):\n%s", d)
			}
			t.Logf("%d bytes of %d: %q", len(stored), len(document), stored)
		})
	}
	document, err := json.Marshal(created)
	if err != nil {
		t.Fatal(err)
	}
	directory, app, _ := strings.Cut(created.JobID, "/")
	stored := entryRow{directory, app, created.ID, created.SourceIdentity.ID, created.CycleID}.compact(string(document))
	if len(stored) > len(document)/3 {
		t.Errorf("a create takes %d bytes of %d, want at most a third", len(stored), len(document))
	}
	if n := strings.Count(stored, "ada.lovelace@contoso.example"); n != strings.Count(string(document), "ada.lovelace@contoso.example") {
		t.Errorf("the stored entry names the person %d times: values of people are not replaced", n)
	}
}

// TestEntryPhrasesStay checks that the phrases keep their positions, because stored entries refer
// to phrases by position.
func TestEntryPhrasesStay(t *testing.T) {
	t.Parallel()
	phrases := entryPhrases()
	if last := firstLetter + len(phrases) - 1; last > '~' {
		t.Errorf("the last mark is %d, and letters end at %d", last, '~')
	}
	for at, want := range map[int]string{0: `{"name":"EntryImport","provisioningStepType":"import","status":"success","description":"Received User '`, 40: `customappsso has userName '`, 83: `","changeId":"`} {
		if phrases[at] != want {
			t.Errorf("phrase %d is %q, want %q", at, phrases[at], want)
		}
	}
}

func BenchmarkCompactEntry(b *testing.B) {
	e := createdEntry()
	document, err := json.Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	directory, app, _ := strings.Cut(e.JobID, "/")
	row := entryRow{directory, app, e.ID, e.SourceIdentity.ID, e.CycleID}
	for b.Loop() {
		_ = row.compact(string(document))
	}
}
