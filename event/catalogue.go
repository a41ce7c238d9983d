package event

import "slices"

// Description describes the events of one name, in the feeds of some kinds.
type Description struct {
	Name    string
	Scopes  []string // the kinds of feeds that have it: KindSite, KindDirectory, KindInstallation
	Means   string   // when the event is written
	Subject string   // what Event.Subject identifies; empty if the subject is empty
	Data    Data     // the fields that its data can have; nil if it has none
	Values  string   // what the list "changes" in its data holds; empty if there is no list
	Example string   // a possible Event.Text
}

// The kinds of scopes in which an event can be written.
var (
	inSite         = []string{KindSite}
	inDirectory    = []string{KindDirectory}
	inInstallation = []string{KindInstallation}
)

const (
	aPerson      = "the person"
	aGroup       = "the group"
	aResource    = "the resource"
	aUser        = "the user"
	aUserOrGroup = "the user or group"
	aToken       = "the token"
	aSite        = "the site"
	aDirectory   = "the directory"
	anApp        = "the application"
	anOperator   = "the operator, by name"
	allValues    = "each attribute that has a value"
	newValues    = "each attribute that changed"
	isActive     = "`active`"
	asksFor      = "the attribute, with ` (asked for)` after its name"
	settingValue = "the setting"
	jobValues    = "each setting of provisioning that changed; the Secret Token without a value"
)

// Catalogue describes every event. The lists of names, docs/events.md and the filters of pages and
// commands are made from it.
var Catalogue = []Description{
	{UserCreated, inSite, "a person was created", aPerson, Account{}, allValues, "ada@acme.example was created"},
	{UserCreated, inDirectory, "a user was created", aUser, DirectoryUser{}, allValues, "Ada (ada@contoso.example) was created"},
	{UserUpdated, inSite, "attributes of a person changed", aPerson, Account{}, newValues + ", but `active` and `userType`", "ada@acme.example was updated: title"},
	{UserUpdated, inDirectory, "attributes of a user changed", aUser, DirectoryUser{}, newValues, "Ada (ada@contoso.example) was updated: jobTitle"},
	{UserDeleted, inSite, "a person was deleted permanently", aPerson, Account{}, "each attribute that had a value", "bo@acme.example was deleted"},
	{UserDeleted, inDirectory, "a user was deleted and can be restored", aUser, DirectoryUser{}, "`deleted`", "Bo (bo@contoso.example) was deleted (can be restored)"},
	{UserErased, inSite, "the data of a person was erased permanently", aPerson, Account{}, "", "The data of a person was erased: erased person 0190f3"},
	{UserErased, inDirectory, "the data of a user was erased permanently", aUser, nil, "", "The data of a person was erased: erased person 0190f3"},

	{UserDeactivated, inSite, "a person was deactivated; the sessions ended", aPerson, Account{}, isActive, "ada@acme.example was deactivated; 2 sessions ended"},
	{UserReactivated, inSite, "a deactivated person was reactivated", aPerson, Account{}, isActive, "ada@acme.example was reactivated"},
	{UserRevived, inSite, "a create found a deactivated account and reactivated it", aPerson, Account{}, isActive, "bo@acme.example was revived: a create found the account deactivated"},
	{UserRoleChanged, inSite, "the role of a person changed", aPerson, Account{}, "`userType`", "The role of ada@acme.example changed from Registered to Moderator"},
	{UserIdentified, inSite, "a sign-in, an administrator or an import gave a person the user identifier", aPerson, Account{}, "", "kim@acme.example has a user identifier for sign-in now"},
	{UserUnidentified, inSite, "an administrator removed the user identifier of a person; the sessions ended", aPerson, Account{}, "", "kim@acme.example no longer has a user identifier for sign-in; 1 session ended"},
	{UserBlocked, inSite, "an administrator blocked a person; the sessions ended", aPerson, Account{}, "`blocked` and `active`", "ada@acme.example was blocked"},
	{UserUnblocked, inSite, "an administrator unblocked a person", aPerson, Account{}, "`blocked` and, if the person is active again, `active`", "ada@acme.example was unblocked"},
	{UserBlockChanged, inSite, "SCIM changed what a blocked person will be once unblocked", aPerson, Account{}, "`active once unblocked`", "ada@acme.example stays blocked; once unblocked, the account is deactivated"},
	{UserChangeHeld, inSite, "SCIM asked for a change that an administrator decides on", aPerson, Account{}, asksFor, `SCIM asked to change userName of kim@acme.example from "kim@acme.example" to "mallory@acme.example"; an administrator has to decide`},
	{UserChangeApplied, inSite, "an administrator applied such a change", aPerson, Account{}, "the attribute", `The change of userName of kim@acme.example from "kim@acme.example" to "kim2@acme.example", which SCIM asked for, was applied`},
	{UserChangeRefused, inSite, "an administrator refused such a change", aPerson, Account{}, asksFor, `The change of userName of kim@acme.example from "kim@acme.example" to "kim2@acme.example", which SCIM asked for, was refused`},
	{UserChangeWithdrawn, inSite, "SCIM no longer asks for such a change", aPerson, Account{}, asksFor, `The change of userName of kim@acme.example from "kim@acme.example" to "kim2@acme.example", which SCIM asked for, is no longer asked for`},
	{UserSignedOut, inSite, "a person signed out", aPerson, nil, "", "kim@acme.example signed out"},
	{UserSignedOutEverywhere, inSite, "all sessions of a person ended", aPerson, Account{}, "", "kim@acme.example was signed out everywhere; 2 sessions ended"},

	{UserEnabled, inDirectory, "the sign-in of a user was allowed", aUser, DirectoryUser{}, newValues, "Bo (bo@contoso.example) was enabled: accountEnabled"},
	{UserDisabled, inDirectory, "the sign-in of a user was blocked", aUser, DirectoryUser{}, newValues, "Bo (bo@contoso.example) was disabled: accountEnabled"},
	{UserRestored, inDirectory, "a deleted user was restored", aUser, DirectoryUser{}, "`deleted`, or each attribute that an import changed", "Bo (bo@contoso.example) was restored"},
	{UserPurged, inDirectory, "a user was deleted permanently", aUser, nil, "", "Bo (bo@contoso.example) was deleted permanently"},

	{GroupCreated, inSite, "a group was created", aGroup, Resource{}, allValues, "Group Sales was created with 2 members added"},
	{GroupCreated, inDirectory, "a group was created", aGroup, nil, allValues, "Group Sales was created"},
	{GroupUpdated, inSite, "attributes or members of a group changed", aGroup, Resource{}, newValues + "; members are in the fields", "Group Sales was updated: 1 member added"},
	{GroupUpdated, inDirectory, "attributes of a group changed", aGroup, DirectoryGroup{}, newValues, "Group Sales was updated: description"},
	{GroupDeleted, inSite, "a group was deleted", aGroup, Resource{}, "each attribute that had a value", "Group Sales was deleted"},
	{GroupDeleted, inDirectory, "a group was deleted and can be restored", aGroup, nil, "`deleted`", "Group Sales was deleted (can be restored)"},
	{GroupRestored, inDirectory, "a deleted group was restored", aGroup, nil, "`deleted`", "Group Sales was restored"},
	{GroupPurged, inDirectory, "a group was deleted permanently", aGroup, nil, "", "Group Sales was deleted permanently"},
	{GroupMemberAdded, inDirectory, "a user or group became a direct member of a group", aGroup, GroupMember{}, "", "Ada (ada@contoso.example) was added to group Sales"},
	{GroupMemberRemoved, inDirectory, "a direct member left a group", aGroup, GroupMember{}, "", "Ada (ada@contoso.example) was removed from group Sales"},

	{ResourceCreated, inSite, "a resource of the site's own type was created", aResource, Resource{}, allValues, "Device 0190f3d8 was created"},
	{ResourceUpdated, inSite, "attributes of such a resource changed", aResource, Resource{}, newValues, "Device 0190f3d8 was updated: serial"},
	{ResourceDeleted, inSite, "such a resource was deleted", aResource, Resource{}, "each attribute that had a value", "Device 0190f3d8 was deleted"},

	{SiteCreated, inSite, "a site was created", "", nil, "", "Site acme was made with profile documented"},
	{SiteRenamed, inSite, "a site was renamed; its addresses changed and everyone was signed out", aSite, nil, "`name`", "Site acme was renamed to acme2; its addresses changed, and everyone was signed out"},
	{SiteDeleted, inInstallation, "a site was deleted with its people", aSite, nil, "`name`", "Site gone was deleted with everybody in it"},
	{SiteProfileChanged, inSite, "the profile changed", "", nil, settingValue, "Profile changed from documented to full"},
	{SiteSCIMEnabled, inSite, "*Enable SCIM* was switched on", "", nil, settingValue, "SCIM was switched on"},
	{SiteSCIMDisabled, inSite, "*Enable SCIM* was switched off", "", nil, settingValue, "SCIM was switched off; people keep their access and role as they are"},
	{SiteRolesManaged, inSite, "*Allow SCIM to manage user roles* was switched on", "", nil, settingValue, "SCIM may now manage user roles"},
	{SiteRolesUnmanaged, inSite, "*Allow SCIM to manage user roles* was switched off", "", nil, settingValue, "SCIM may no longer manage user roles; roles stay as they are"},
	{SiteStrictEnabled, inSite, "*Strict mode* was switched on", "", nil, settingValue, "SCIM requests are now read strictly"},
	{SiteStrictDisabled, inSite, "*Strict mode* was switched off", "", nil, settingValue, "SCIM requests are now read leniently"},
	{SiteCreatesChanged, inSite, "what a create over SCIM does changed", "", nil, settingValue, "SCIM may now create accounts"},
	{SiteRevivesChanged, inSite, "*Revive on Create* was switched on or off", "", nil, settingValue, "A create over SCIM no longer revives who is deactivated: it is refused"},
	{SiteDeletesChanged, inSite, "what a delete over SCIM does changed", "", nil, settingValue, "A delete over SCIM now deactivates the account"},
	{SiteGroupsChanged, inSite, "*Take groups* was switched on or off", "", nil, settingValue, "SCIM now has groups"},
	{SiteGroupNamesChanged, inSite, "*Groups may share a name* was switched on or off", "", nil, settingValue, "Each group now needs a displayName of its own"},
	{SiteRateLimitChanged, inSite, "the limit of requests per second changed", "", nil, settingValue, "SCIM requests are now limited to 50 per second"},
	{SiteSettingChanged, inSite, "a setting without an event of its own changed", "", nil, settingValue, "It is switched on"},
	{SiteSearchableDeclared, inSite, "an attribute was declared searchable", "", nil, "`searchable`", "title of User was declared searchable"},
	{SiteSearchableWithdrawn, inSite, "a declaration was withdrawn", "", nil, "`searchable`", "title of User is no longer declared searchable"},
	{SiteSchemasChanged, inSite, "the schemas and resource types of the site changed", "", nil, "`schemas`", "The schemas were changed: added urn:example:Device"},
	{SiteSSOChanged, inSite, "single sign-on was changed", "", nil, "each setting that changed; certificates by the start of their SHA-256", "Single sign-on was changed: mode"},

	{TokenCreated, inSite, "a SCIM token was generated", aToken, nil, "`name`, `expires`, and `secret` without a value", "Token Entra ID (…a91f) was generated"},
	{TokenRevoked, inSite, "a SCIM token ended", aToken, nil, "`live`", "Token Entra ID (…a91f) was revoked"},

	{SignInLinkCreated, inSite, "a one-time link was made", "the person, if there is an account yet", nil, "", "One-time sign-in link made for kim@acme.example"},
	{SignInLinkUsed, inSite, "a one-time link was opened", "the person, if there is an account yet", nil, "", "One-time sign-in link of kim@acme.example opened"},
	{SignInLinkRefused, []string{KindSite, KindInstallation}, "a link did not open", "", Refusals{}, "", "A sign-in link was refused: expired, of kim@acme.example"},
	{SignInSSOUsed, inSite, "a person signed in by SAML", aPerson, nil, "", "ada@acme.example signed in by SAML"},
	{SignInSSORefused, inSite, "a sign-in by SAML was refused", "", Refusals{}, "", "A sign-in by SAML was refused (expired): the assertion was good until 2027-01-12 09:00:00 UTC. Reference 5f0c2a91"},
	{SignInSSOTested, inSite, "an administrator tested single sign-on", "the administrator", nil, "", "A test of single sign-on passed"},

	{PageRefused, []string{KindSite, KindInstallation}, "a page or form was refused", "", Refusals{}, "", "A page was refused, as the role does not allow it: GET /c/{site}/admin/people"},

	{DirectoryCreated, inDirectory, "a directory was created", aDirectory, nil, "", "Directory contoso was created"},
	{DirectoryRenamed, inDirectory, "a directory was renamed", aDirectory, nil, "`name`", "Directory contoso was renamed to contoso2"},
	{DirectoryDeleted, inInstallation, "a directory was deleted", aDirectory, nil, "", "Directory gone was deleted (users: 2; applications: 1; linked accounts, which stay as they are: 2)"},

	{ApplicationCreated, inDirectory, "an application was created", anApp, nil, "", "Application Acme was created"},
	{ApplicationRenamed, inDirectory, "an application was renamed", anApp, nil, "`name`", "Application Acme was renamed to Beta"},
	{ApplicationDeleted, inDirectory, "an application was deleted; its accounts stay", anApp, nil, "", "Application Beta was deleted (assignments: 2; linked accounts, which stay as they are: 2)"},

	{ApplicationRoleCreated, inDirectory, "a role of an application was created", anApp, ApplicationRole{}, "each part of the role", "Role Editor of Acme was created"},
	{ApplicationRoleChanged, inDirectory, "a role of an application changed", anApp, ApplicationRole{}, "each part of the role that changed", "Role Editor of Acme was changed"},
	{ApplicationRoleDeleted, inDirectory, "a role of an application was deleted", anApp, ApplicationRole{}, "", "Role Editor of Acme was deleted"},

	{AssignmentAdded, inDirectory, "a user or group was assigned to an application", aUserOrGroup, Assignment{}, "`role`, unless it is Default Access", "Ada (ada@contoso.example) was assigned to Acme"},
	{AssignmentChanged, inDirectory, "an assignment got another role", aUserOrGroup, Assignment{}, "`role`", "Ada (ada@contoso.example) now has the role Editor of Acme"},
	{AssignmentRemoved, inDirectory, "an assignment was removed", aUserOrGroup, Assignment{}, "", "Ada (ada@contoso.example) is no longer assigned to Acme"},

	{ProvisioningCreated, inDirectory, "provisioning of an application was set up", anApp, nil, jobValues, "Acme: Provisioning was set up: Automatic, status On."},
	{ProvisioningSaved, inDirectory, "settings of provisioning were saved", anApp, nil, jobValues, "Acme: Secret Token changed."},
	{ProvisioningStarted, inDirectory, "Provisioning Status was set to On", anApp, nil, jobValues, "Acme: Provisioning was started."},
	{ProvisioningPaused, inDirectory, "Provisioning Status was set to Off", anApp, nil, jobValues, "Acme: Provisioning was paused."},
	{ProvisioningRestarted, inDirectory, "provisioning begins anew with an initial cycle", anApp, nil, "", "Acme: Provisioning was restarted: everybody is looked at again."},
	{ProvisioningDeleted, inDirectory, "provisioning was removed", anApp, nil, "", "Acme: Provisioning was removed."},
	{ProvisioningMappingChanged, inDirectory, "a mapping changed", anApp, nil, "each part of a mapping that changed", `Acme: Mapping "Provision Azure Active Directory Users" changed: enabled true, Target Object Actions Update.`},
	{ProvisioningMappingsRestored, inDirectory, "the default mappings were restored", anApp, nil, "each part of a mapping that changed", "Acme: Default mappings were restored."},
	{ProvisioningSchemaChanged, inDirectory, "a schema document was imported", anApp, nil, "each part of a mapping that changed", "Acme: The schema was replaced."},
	{ProvisioningSecretDiscarded, inDirectory, "a Secret Token was removed because its key was lost", anApp, nil, jobValues, "Acme: The Secret Token was discarded because the key that sealed it is lost."},
	{ProvisioningConnectionTested, inDirectory, "Test Connection was used", anApp, ConnectionTest{}, "", "Acme: Test Connection to https://scim.acme.example worked."},
	{ProvisioningQuarantined, inDirectory, "provisioning went into quarantine", anApp, nil, "", "Acme: Provisioning is in quarantine: The application refused the Secret Token."},
	{ProvisioningReleased, inDirectory, "the quarantine ended", anApp, nil, "", "Acme: The connection test worked; the quarantine is lifted."},
	{ProvisioningLate, inDirectory, "an account waits too long to be closed", anApp, nil, "", "Acme: An account waits to be closed since 2026-01-09 09:00 UTC. Somebody who should lose access still has it."},
	{ProvisioningBehind, inDirectory, "provisioning was paused longer than events are kept, so it looks at everyone anew", anApp, nil, "", "Acme: The directory no longer keeps all changes since the last cycle. An initial cycle looks at everybody."},

	{OperatorLinkCreated, inInstallation, "a one-time link for an operator was made", anOperator, nil, "", "One-time sign-in link made for the operator sam"},
	{OperatorSignedIn, inInstallation, "an operator signed in", anOperator, nil, "", "sam signed in by one-time link"},
	{OperatorSignedOut, inInstallation, "an operator signed out", anOperator, nil, "", "sam signed out"},
	{OperatorSignedOutEverywhere, inInstallation, "all sessions of an operator ended", anOperator, nil, "", "The operator sam was signed out everywhere; 1 session ended"},
	{OperatorRemoved, inInstallation, "an operator was removed", anOperator, nil, "", "sam is no longer an operator; sessions and links ended"},

	{RetentionChanged, inInstallation, "how long logs are kept changed", "", nil, "each kind of log that is kept for another time", "Retention changed. reads: kept 40 days instead of 30 days."},

	{DatabaseRestored, inInstallation, "the database was restored from a copy", "", nil, "", "The database was restored from the copy saved.db. Every session and one-time link ended."},

	{ExportUsers, inDirectory, "the list of users was exported", "", Export{}, "", "The list of users was exported: 214 users"},
	{ExportGroups, inDirectory, "the list of groups, or of their members, was exported", "", Export{}, "", "The list of groups was exported: 12 groups"},
	{ExportRequestLog, inSite, "the request log was exported", "", Export{}, "", "The request log was exported: 12 calls"},
	{ExportAudit, []string{KindSite, KindDirectory, KindInstallation}, "the audit log was exported", "", Export{}, "", "The audit log was exported: 86 events"},
}

// names returns the names in the catalogue, each once, in order.
func names() (list []string) {
	for _, d := range Catalogue {
		if !slices.Contains(list, d.Name) {
			list = append(list, d.Name)
		}
	}
	return list
}
