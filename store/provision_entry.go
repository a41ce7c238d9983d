package store

import (
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
)

// An entry of the provisioning log is a JSON document of two to three kilobytes. Most of the text
// is the same in every entry. In the stored form, marks replace that text. A mark is a control
// character, which JSON text never contains, and a letter.
//
//	\x01 and a letter: a phrase; firstLetter means the first of entryPhrases, and so on
//	\x02 and a letter: a column of the entry's row, in the order of entryRow.columns
//
// Values of people are never replaced, except the object id, which is a column. An entry of an
// earlier version has no marks and is read as it is.

// The parts of marks.
const (
	phraseMark  = "\x01"
	columnMark  = "\x02"
	firstLetter = '!'
)

// entryPhrases returns the phrases that marks replace. Stored entries refer to a phrase by its
// place in this list, so add new phrases at the end, and never change or move a phrase. If two
// phrases match at the same place, the first in the list is used.
func entryPhrases() []string {
	return []string{
		`{"name":"EntryImport","provisioningStepType":"import","status":"success","description":"Received User '`,
		`{"name":"EntryImport","provisioningStepType":"import","status":"success","description":"Received Group '`,
		`{"name":"EntryImport","provisioningStepType":"matching","status":"success","description":"No account in `,
		`{"name":"EntryImport","provisioningStepType":"matching","status":"success","description":"Found one account in `,
		`{"name":"EntryImport","provisioningStepType":"matching","status":"success","description":"User '`,
		`{"name":"EntryImport","provisioningStepType":"matching","status":"`,
		`{"name":"EntrySynchronizationScoping","provisioningStepType":"scoping","status":"success","description":"User '`,
		`{"name":"EntrySynchronizationScoping","provisioningStepType":"scoping","status":"skipped","description":"User '`,
		`{"name":"EntrySynchronizationScoping","provisioningStepType":"scoping","status":"`,
		`{"name":"EntrySynchronizationAdd","provisioningStepType":"processing","status":"success","description":"User '`,
		`{"name":"EntrySynchronizationUpdate","provisioningStepType":"processing","status":"success","description":"User '`,
		`{"name":"EntrySynchronizationDelete","provisioningStepType":"processing","status":"success","description":"User '`,
		`{"name":"EntrySynchronizationSkip","provisioningStepType":"export","status":"skipped","description":"`,
		`{"name":"EntrySynchronizationReferences","provisioningStepType":"referenceResolution","status":"`,
		`{"name":"EntryExportAdd","provisioningStepType":"export","status":"success","description":"User '`,
		`{"name":"EntryExportUpdate","provisioningStepType":"export","status":"success","description":"User '`,
		`{"name":"EntryExportDelete","provisioningStepType":"export","status":"success","description":"User '`,
		`{"name":"EntryExportAdd","provisioningStepType":"export","status":"failure","description":"Failed to create User '`,
		`{"name":"EntryExportUpdate","provisioningStepType":"export","status":"failure","description":"Failed to update User '`,
		`{"name":"EntryExportDelete","provisioningStepType":"export","status":"failure","description":"Failed to delete User '`,
		`","provisioningStepType":"`,
		`","status":"success","description":"`,
		`' from Azure Active Directory.","details":{"IsSoftDeleted":"False","accountEnabled":"True",`,
		`' from Azure Active Directory.","details":{"IsSoftDeleted":"`,
		`' is in scope.","details":{"Assigned":"True","IsActive":"True","IsEffectivelyEntitledForProvisioning":"True","ScopeSyncAll":"False"}},`,
		`' is in scope.","details":{"Assigned":"`,
		`' is not assigned to the application.","details":{"Assigned":"`,
		`' does not pass the scoping filters.","details":{"Assigned":"`,
		`","IsActive":"True","IsEffectivelyEntitledForProvisioning":"`,
		`","IsActive":"False","IsEffectivelyEntitledForProvisioning":"`,
		`","ScopeSyncAll":"`,
		`' is in scope, but not active in the directory.","details":{"Assigned":"`,
		`' will be created in customappsso: active and in scope, and no account was found."},`,
		`: active and in scope, and no account was found."},`,
		`' was created in customappsso."}],"modifiedProperties":[`,
		`' will be updated in customappsso."},`,
		`' was updated in customappsso."}],"modifiedProperties":[`,
		`' will be disabled in customappsso: `,
		`' was disabled in customappsso."}],"modifiedProperties":[`,
		`' is linked to an account in customappsso.","details":{"id":"`,
		`customappsso has userName '`,
		`customappsso by userName '`,
		`.","details":{"SkipReason":"`,
		`","modifiedProperties":[`,
		`}],"modifiedProperties":[]`,
		`}],"modifiedProperties":[`,
		`,"provisioningAction":"`,
		`","durationInMilliseconds":`,
		`,"provisioningStatusInfo":{"status":"success"},"provisioningSteps":[`,
		`,"provisioningStatusInfo":{"status":"skipped","errorCode":"`,
		`,"provisioningStatusInfo":{"status":"failure","errorCode":"`,
		`,"provisioningStatusInfo":{"status":"`,
		`","errorCategory":"nonServiceFailure"`,
		`","errorCategory":"failure"`,
		`,"recommendedAction":"`,
		`"},"provisioningSteps":[`,
		`","additionalDetails":"`,
		`","oldValue":null,"newValue":"True"},{"displayName":"`,
		`","oldValue":null,"newValue":"`,
		`","oldValue":"`,
		`","newValue":"`,
		`"},{"displayName":"`,
		`],"sourceSystem":{"id":"`,
		`","displayName":"Azure Active Directory"},"targetSystem":{"id":"`,
		`","displayName":"customappsso"},"sourceIdentity":{"id":"`,
		`"},"targetSystem":{"id":"`,
		`"},"sourceIdentity":{"id":"`,
		`","identityType":"User","details":{"userPrincipalName":"`,
		`"}},"targetIdentity":{"id":"`,
		`"}},"targetIdentity":{`,
		`"identityType":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"},"initiatedBy":"Rollcall provisioning","mapping":"Provision Azure Active Directory Users"}`,
		`,"initiatedBy":"Rollcall provisioning","mapping":"`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`,
		`","userPrincipalName":"`,
		`","mailNickname":"`,
		`","displayName":"`,
		`","givenName":"`,
		`","surname":"`,
		`","mail":"`,
		`[type eq \"work\"].`,
		`","activityDateTime":"`,
		`","jobId":"`,
		`","cycleId":"`,
		`","changeId":"`,
	}
}

// shortenEntry replaces the phrases of entryPhrases with marks, and lengthenEntry replaces the
// marks with the phrases.
var shortenEntry, lengthenEntry = entryReplacers()

// entryReplacers returns the values of shortenEntry and lengthenEntry.
func entryReplacers() (shorten, lengthen *strings.Replacer) {
	var to, from []string
	for i, phrase := range entryPhrases() {
		mark := phraseMark + string(rune(firstLetter+i))
		to, from = append(to, phrase, mark), append(from, mark, phrase)
	}
	return strings.NewReplacer(to...), strings.NewReplacer(from...)
}

// entryRow holds the columns of a log entry's row whose values the JSON of the entry contains too.
type entryRow struct{ directory, app, id, objectID, cycle string }

// columns returns the values of the columns. The place of a value in this list decides its mark.
func (r entryRow) columns() []string { return []string{r.directory, r.app, r.id, r.objectID, r.cycle} }

// entryRowOf returns the columns of the row in which a job's log entry is stored.
func entryRowOf(t jobTx, e *provision.LogEntry, objectID string) entryRow {
	return entryRow{directory: t.directory, app: t.app, id: e.ID, objectID: objectID, cycle: e.CycleID}
}

// minColumn is the length, in bytes, of the shortest column value that a mark replaces.
const minColumn = 8

// compact returns the stored form of an entry: its JSON document with marks.
func (r entryRow) compact(document string) string {
	short := shortenEntry.Replace(document)
	for i, value := range r.columns() {
		if len(value) >= minColumn {
			short = strings.ReplaceAll(short, value, columnMark+string(rune(firstLetter+i)))
		}
	}
	return short
}

// expand returns the JSON document of an entry whose stored form is stored.
func (r entryRow) expand(stored string) string {
	if strings.Contains(stored, columnMark) {
		for i, value := range r.columns() {
			stored = strings.ReplaceAll(stored, columnMark+string(rune(firstLetter+i)), value)
		}
	}
	if !strings.Contains(stored, phraseMark) {
		return stored
	}
	return lengthenEntry.Replace(stored)
}
