package event

import "slices"

// Description describes the events that have one name.
type Description struct {
	Name    string
	Scopes  []string // the kinds of scopes that can have such events: KindSite, KindDirectory, KindInstallation
	Means   string   // what has happened when the event is written
	Subject string   // the thing that Event.Subject identifies, such as "the person"; empty if the subject is empty
	Data    Data     // the fields that the event's data can have; nil if it has none
	Values  string   // a description of the values in the list "changes" of the event's data; empty if the data has no such list
	Example string   // an example of Event.Text
}

// The usual values of Description.Scopes.
var (
	siteScope         = []string{KindSite}
	directoryScope    = []string{KindDirectory}
	installationScope = []string{KindInstallation}
)

// Values of Description.Subject and Description.Values that several events share.
const (
	subjectPerson      = "the person"
	subjectGroup       = "the group"
	subjectResource    = "the resource"
	subjectUser        = "the user"
	subjectUserOrGroup = "the user or group"
	subjectToken       = "the token"
	subjectKey         = "the API key"
	subjectRecipient   = "the recipient"
	subjectWebhook     = "the webhook"
	subjectSite        = "the site"
	subjectDirectory   = "the directory"
	subjectApplication = "the application"
	subjectOperator    = "the operator, by name"
	changesAllValues   = "each attribute that has a value"
	changesNewValues   = "each attribute that changed"
	changesActive      = "`active`"
	changesAskedFor    = "the attribute, with ` (asked for)` after its name"
	changesSetting     = "the setting"
	changesJobSettings = "each setting of provisioning that changed; the Secret Token without a value"
)

// Catalogue describes every event. The lists of names, docs/events.md, and the filters of pages and
// commands are generated from it.
var Catalogue = []Description{
	{UserCreated, siteScope, "a person was created", subjectPerson, Account{}, changesAllValues, "ada@acme.example was created"},
	{UserCreated, directoryScope, "a user was created", subjectUser, DirectoryUser{}, changesAllValues, "Ada (ada@contoso.example) was created"},
	{UserUpdated, siteScope, "attributes of a person changed", subjectPerson, Account{}, changesNewValues + ", but `active` and `userType`", "ada@acme.example was updated: title"},
	{UserUpdated, directoryScope, "attributes of a user changed", subjectUser, DirectoryUser{}, changesNewValues, "Ada (ada@contoso.example) was updated: jobTitle"},
	{UserDeleted, siteScope, "a person was deleted permanently", subjectPerson, Account{}, "each attribute that had a value", "bo@acme.example was deleted"},
	{UserDeleted, directoryScope, "a user was deleted and can be restored", subjectUser, DirectoryUser{}, "`deleted`", "Bo (bo@contoso.example) was deleted (can be restored)"},
	{UserErased, siteScope, "the data of a person was erased permanently", subjectPerson, Account{}, "", "The data of a person was erased: erased person 0190f3"},
	{UserErased, directoryScope, "the data of a user was erased permanently", subjectUser, nil, "", "The data of a person was erased: erased person 0190f3"},

	{UserDeactivated, siteScope, "a person was deactivated; the sessions ended", subjectPerson, Account{}, changesActive, "ada@acme.example was deactivated; 2 sessions ended"},
	{UserReactivated, siteScope, "a deactivated person was reactivated", subjectPerson, Account{}, changesActive, "ada@acme.example was reactivated"},
	{UserRevived, siteScope, "a create found a deactivated account and reactivated it", subjectPerson, Account{}, changesActive, "bo@acme.example was revived: a create found the account deactivated"},
	{UserRoleChanged, siteScope, "the role of a person changed", subjectPerson, Account{}, "`userType`", "The role of ada@acme.example changed from Registered to Moderator"},
	{UserIdentified, siteScope, "a sign-in, an administrator or an import gave a person the user identifier", subjectPerson, Account{}, "", "kim@acme.example has a user identifier for sign-in now"},
	{UserUnidentified, siteScope, "an administrator removed the user identifier of a person; the sessions ended", subjectPerson, Account{}, "", "kim@acme.example no longer has a user identifier for sign-in; 1 session ended"},
	{UserBlocked, siteScope, "an administrator blocked a person; the sessions ended", subjectPerson, Account{}, "`blocked` and `active`", "ada@acme.example was blocked"},
	{UserUnblocked, siteScope, "an administrator unblocked a person", subjectPerson, Account{}, "`blocked` and, if the person is active again, `active`", "ada@acme.example was unblocked"},
	{UserBlockChanged, siteScope, "SCIM changed what a blocked person will be once unblocked", subjectPerson, Account{}, "`active once unblocked`", "ada@acme.example stays blocked; once unblocked, the account is deactivated"},
	{UserChangeHeld, siteScope, "SCIM asked for a change that an administrator decides on", subjectPerson, Account{}, changesAskedFor, `SCIM asked to change userName of kim@acme.example from "kim@acme.example" to "mallory@acme.example"; an administrator has to decide`},
	{UserChangeApplied, siteScope, "an administrator applied such a change", subjectPerson, Account{}, "the attribute", `The change of userName of kim@acme.example from "kim@acme.example" to "kim2@acme.example", which SCIM asked for, was applied`},
	{UserChangeRefused, siteScope, "an administrator refused such a change", subjectPerson, Account{}, changesAskedFor, `The change of userName of kim@acme.example from "kim@acme.example" to "kim2@acme.example", which SCIM asked for, was refused`},
	{UserChangeWithdrawn, siteScope, "SCIM no longer asks for such a change", subjectPerson, Account{}, changesAskedFor, `The change of userName of kim@acme.example from "kim@acme.example" to "kim2@acme.example", which SCIM asked for, is no longer asked for`},
	{UserSignedOut, siteScope, "a person signed out", subjectPerson, nil, "", "kim@acme.example signed out"},
	{UserSignedOutEverywhere, siteScope, "all sessions of a person ended", subjectPerson, Account{}, "", "kim@acme.example was signed out everywhere; 2 sessions ended"},

	{UserEnabled, directoryScope, "the sign-in of a user was allowed", subjectUser, DirectoryUser{}, changesNewValues, "Bo (bo@contoso.example) was enabled: accountEnabled"},
	{UserDisabled, directoryScope, "the sign-in of a user was blocked", subjectUser, DirectoryUser{}, changesNewValues, "Bo (bo@contoso.example) was disabled: accountEnabled"},
	{UserRestored, directoryScope, "a deleted user was restored", subjectUser, DirectoryUser{}, "`deleted`, or each attribute that an import changed", "Bo (bo@contoso.example) was restored"},
	{UserPurged, directoryScope, "a user was deleted permanently", subjectUser, nil, "", "Bo (bo@contoso.example) was deleted permanently"},

	{GroupCreated, siteScope, "a group was created", subjectGroup, Resource{}, changesAllValues, "Group Sales was created with 2 members added"},
	{GroupCreated, directoryScope, "a group was created", subjectGroup, nil, changesAllValues, "Group Sales was created"},
	{GroupUpdated, siteScope, "attributes or members of a group changed", subjectGroup, Resource{}, changesNewValues + "; members are in the fields", "Group Sales was updated: 1 member added"},
	{GroupUpdated, directoryScope, "attributes of a group changed", subjectGroup, DirectoryGroup{}, changesNewValues, "Group Sales was updated: description"},
	{GroupDeleted, siteScope, "a group was deleted", subjectGroup, Resource{}, "each attribute that had a value", "Group Sales was deleted"},
	{GroupDeleted, directoryScope, "a group was deleted and can be restored", subjectGroup, nil, "`deleted`", "Group Sales was deleted (can be restored)"},
	{GroupRestored, directoryScope, "a deleted group was restored", subjectGroup, nil, "`deleted`", "Group Sales was restored"},
	{GroupPurged, directoryScope, "a group was deleted permanently", subjectGroup, nil, "", "Group Sales was deleted permanently"},
	{GroupMemberAdded, directoryScope, "a user or group became a direct member of a group", subjectGroup, GroupMember{}, "", "Ada (ada@contoso.example) was added to group Sales"},
	{GroupMemberRemoved, directoryScope, "a direct member left a group", subjectGroup, GroupMember{}, "", "Ada (ada@contoso.example) was removed from group Sales"},

	{ResourceCreated, siteScope, "a resource of the site's own type was created", subjectResource, Resource{}, changesAllValues, "Device 0190f3d8 was created"},
	{ResourceUpdated, siteScope, "attributes of such a resource changed", subjectResource, Resource{}, changesNewValues, "Device 0190f3d8 was updated: serial"},
	{ResourceDeleted, siteScope, "such a resource was deleted", subjectResource, Resource{}, "each attribute that had a value", "Device 0190f3d8 was deleted"},

	{SiteCreated, siteScope, "a site was created", "", nil, "", "Site acme was made with profile documented"},
	{SiteRenamed, siteScope, "a site was renamed; its addresses changed and everyone was signed out", subjectSite, nil, "`name`", "Site acme was renamed to acme2; its addresses changed, and everyone was signed out"},
	{SiteDeleted, installationScope, "a site was deleted with its people", subjectSite, nil, "`name`", "Site gone was deleted with everybody in it"},
	{SiteProfileChanged, siteScope, "the profile changed", "", nil, changesSetting, "Profile changed from documented to full"},
	{SiteSCIMEnabled, siteScope, "*Enable SCIM* was switched on", "", nil, changesSetting, "SCIM was switched on"},
	{SiteSCIMDisabled, siteScope, "*Enable SCIM* was switched off", "", nil, changesSetting, "SCIM was switched off; people keep their access and role as they are"},
	{SiteRolesManaged, siteScope, "*Allow SCIM to manage user roles* was switched on", "", nil, changesSetting, "SCIM may now manage user roles"},
	{SiteRolesUnmanaged, siteScope, "*Allow SCIM to manage user roles* was switched off", "", nil, changesSetting, "SCIM may no longer manage user roles; roles stay as they are"},
	{SiteStrictEnabled, siteScope, "*Strict mode* was switched on", "", nil, changesSetting, "SCIM requests are now read strictly"},
	{SiteStrictDisabled, siteScope, "*Strict mode* was switched off", "", nil, changesSetting, "SCIM requests are now read leniently"},
	{SiteCreatesChanged, siteScope, "what a create over SCIM does changed", "", nil, changesSetting, "SCIM may now create accounts"},
	{SiteRevivesChanged, siteScope, "*Revive on Create* was switched on or off", "", nil, changesSetting, "A create over SCIM no longer revives who is deactivated: it is refused"},
	{SiteDeletesChanged, siteScope, "what a delete over SCIM does changed", "", nil, changesSetting, "A delete over SCIM now deactivates the account"},
	{SiteGroupsChanged, siteScope, "*Take groups* was switched on or off", "", nil, changesSetting, "SCIM now has groups"},
	{SiteSameGroupNamesChanged, siteScope, "*Groups may share a name* was switched on or off", "", nil, changesSetting, "Each group now needs a displayName of its own"},
	{SiteRateLimitChanged, siteScope, "the limit of requests per second changed", "", nil, changesSetting, "SCIM requests are now limited to 50 per second"},
	{SiteSettingChanged, siteScope, "a setting without an event of its own changed", "", nil, changesSetting, "It is switched on"},
	{SiteSearchableDeclared, siteScope, "an attribute was declared searchable", "", nil, "`searchable`", "title of User was declared searchable"},
	{SiteSearchableWithdrawn, siteScope, "a declaration was withdrawn", "", nil, "`searchable`", "title of User is no longer declared searchable"},
	{SiteSchemasChanged, siteScope, "the schemas and resource types of the site changed", "", nil, "`schemas`", "The schemas were changed: added urn:example:Device"},
	{SiteSSOChanged, siteScope, "single sign-on was changed", "", nil, "each setting that changed; certificates by the start of their SHA-256", "Single sign-on was changed: mode"},
	{SiteSSORefreshed, siteScope, "new certificates were taken over from the identity provider's metadata", "", nil, "`certificates` by the start of their SHA-256", "The certificates of the identity provider were refreshed from its metadata"},
	{SiteSSORefreshFailed, siteScope, "the identity provider's metadata could not be read or taken over; once for each reason", "", nil, "", "The metadata of the identity provider was not taken over: it could not be read: it did not answer"},
	{SiteSSOKeyMade, siteScope, "a SAML key was made for a site: its first one, or one that is announced", "", nil, "`keys` by the start of their SHA-256, with their states", "A new SAML key was announced for this site: 5f0c2a91b3d47e60…"},
	{SiteSSOKeyUsed, siteScope, "the announced SAML key of a site began to sign", "", nil, "`keys` by the start of their SHA-256, with their states", "The new SAML key of this site is used: 5f0c2a91b3d47e60…"},
	{SiteSSOKeyRemoved, siteScope, "the old SAML key of a site was removed", "", nil, "`keys` by the start of their SHA-256, with their states", "The old SAML key of this site was removed: 5f0c2a91b3d47e60…"},
	{SiteSetUpUnlocked, siteScope, "single sign-on let the first person in, or an administrator goes on without it", "", nil, "", "The pages may now set up SCIM"},

	{TokenCreated, siteScope, "a SCIM token was generated", subjectToken, nil, "`name`, `expires`, and `secret` without a value", "Token Entra ID (…a91f) was generated"},
	{TokenRevoked, siteScope, "a SCIM token ended", subjectToken, nil, "`live`", "Token Entra ID (…a91f) was revoked"},

	{SignInLinkCreated, siteScope, "a one-time link was made", "the person, if there is an account yet", nil, "", "One-time sign-in link made for kim@acme.example"},
	{SignInLinkUsed, siteScope, "a one-time link was opened", "the person, if there is an account yet", nil, "", "One-time sign-in link of kim@acme.example opened"},
	{SignInLinkRefused, []string{KindSite, KindInstallation}, "a link did not open", "", Refusals{}, "", "A sign-in link was refused: expired, of kim@acme.example"},
	{SignInSSOUsed, siteScope, "a person signed in by SAML or OpenID Connect", subjectPerson, nil, "", "ada@acme.example signed in by SAML"},
	{SignInSSORefused, siteScope, "a sign-in by SAML or OpenID Connect was refused", "", Refusals{}, "", "A sign-in by SAML was refused (expired): the assertion was good until 2027-01-12 09:00:00 UTC. Reference 5f0c2a91"},
	{SignInSSOTested, siteScope, "an administrator tested single sign-on", "the administrator", nil, "", "A test of single sign-on passed"},
	{SignInSSODismissed, siteScope, "a sign-in that waited for an account was dismissed", subjectPerson, nil, "", "The sign-in of ada-2 that waited for the account ada@acme.example was dismissed"},
	{SignInSSOEnded, siteScope, "the identity provider ended sessions of a person", subjectPerson, Account{}, "", "ada@acme.example was signed out by the identity provider; 1 session ended"},
	{SignInSSOEndRefused, siteScope, "a sign-out by SAML was refused", "", Refusals{}, "", "A sign-out by SAML was refused (unsigned): the message is not signed. Reference 5f0c2a91"},
	{SignInRecoveryCodesMade, siteScope, "recovery codes were made for an administrator; earlier ones ended", "the administrator", nil, "", "10 recovery codes were made for kim@acme.example"},
	{SignInRecoveryUsed, siteScope, "an administrator came in with a recovery code", "the administrator", nil, "", "kim@acme.example signed in with a recovery code; 9 are left"},
	{SignInRecoveryRefused, siteScope, "a recovery code was refused", "", Refusals{}, "", "A recovery code was refused: it is not one of this site, or was used already"},

	{PageRefused, []string{KindSite, KindInstallation}, "a page or form was refused", "", Refusals{}, "", "A page was refused, as the role does not allow it: GET /c/{site}/admin/people"},

	{DirectoryCreated, directoryScope, "a directory was created", subjectDirectory, nil, "", "Directory contoso was created"},
	{DirectoryRenamed, directoryScope, "a directory was renamed", subjectDirectory, nil, "`name`", "Directory contoso was renamed to contoso2"},
	{DirectoryChanged, directoryScope, "a setting of a directory was changed", subjectDirectory, nil, "each setting", "The default domain of directory contoso is contoso.com now"},
	{DirectoryDeleted, installationScope, "a directory was deleted", subjectDirectory, nil, "", "Directory gone was deleted (users: 2; applications: 1; linked accounts, which stay as they are: 2)"},
	{DirectoryImported, directoryScope, "an import that changed something ended", subjectDirectory, nil, "", "Import of users by command line ended"},
	{DirectoryGroupChanged, directoryScope, "a group was deleted or its assignment was removed, and all effects of that have the same cause", subjectDirectory, nil, "", "Removal of the assignment of Sales to Acme by command line ended"},

	{ApplicationCreated, directoryScope, "an application was created", subjectApplication, nil, "", "Application Acme was created"},
	{ApplicationRenamed, directoryScope, "an application was renamed", subjectApplication, nil, "`name`", "Application Acme was renamed to Beta"},
	{ApplicationDeleted, directoryScope, "an application was deleted; its accounts stay", subjectApplication, nil, "", "Application Beta was deleted (assignments: 2; linked accounts, which stay as they are: 2)"},

	{ApplicationRoleCreated, directoryScope, "a role of an application was created", subjectApplication, ApplicationRole{}, "each part of the role", "Role Editor of Acme was created"},
	{ApplicationRoleChanged, directoryScope, "a role of an application changed", subjectApplication, ApplicationRole{}, "each part of the role that changed", "Role Editor of Acme was changed"},
	{ApplicationRoleDeleted, directoryScope, "a role of an application was deleted", subjectApplication, ApplicationRole{}, "", "Role Editor of Acme was deleted"},

	{AssignmentAdded, directoryScope, "a user or group was assigned to an application", subjectUserOrGroup, Assignment{}, "`role`, unless it is Default Access", "Ada (ada@contoso.example) was assigned to Acme"},
	{AssignmentChanged, directoryScope, "an assignment got another role", subjectUserOrGroup, Assignment{}, "`role`", "Ada (ada@contoso.example) now has the role Editor of Acme"},
	{AssignmentRemoved, directoryScope, "an assignment was removed", subjectUserOrGroup, Assignment{}, "", "Ada (ada@contoso.example) is no longer assigned to Acme"},

	{ProvisioningCreated, directoryScope, "provisioning of an application was set up", subjectApplication, nil, changesJobSettings, "Acme: Provisioning was set up: Automatic, status On."},
	{ProvisioningSaved, directoryScope, "settings of provisioning were saved", subjectApplication, nil, changesJobSettings, "Acme: Secret Token changed."},
	{ProvisioningStarted, directoryScope, "Provisioning Status was set to On", subjectApplication, nil, changesJobSettings, "Acme: Provisioning was started."},
	{ProvisioningPaused, directoryScope, "Provisioning Status was set to Off", subjectApplication, nil, changesJobSettings, "Acme: Provisioning was paused."},
	{ProvisioningRestarted, directoryScope, "provisioning begins anew with an initial cycle", subjectApplication, nil, "", "Acme: Provisioning was restarted: everybody is looked at again."},
	{ProvisioningDeleted, directoryScope, "provisioning was removed", subjectApplication, nil, "", "Acme: Provisioning was removed."},
	{ProvisioningMappingChanged, directoryScope, "a mapping changed", subjectApplication, nil, "each part of a mapping that changed", `Acme: Mapping changed: Provision Azure Active Directory Users: Target Object Actions: Add,Update,Delete → Update.`},
	{ProvisioningMappingsRestored, directoryScope, "the default mappings were restored", subjectApplication, nil, "each part of a mapping that changed", "Acme: Default mappings were restored."},
	{ProvisioningSchemaChanged, directoryScope, "a schema document was imported", subjectApplication, nil, "each part of a mapping that changed", "Acme: The schema was replaced."},
	{ProvisioningSecretDiscarded, directoryScope, "a Secret Token was removed because its key was lost", subjectApplication, nil, changesJobSettings, "Acme: The Secret Token was discarded because the key that sealed it is lost."},
	{ProvisioningConnectionTested, directoryScope, "Test Connection was used", subjectApplication, ConnectionTest{}, "", "Acme: Test Connection to https://scim.acme.example worked."},
	{ProvisioningQuarantined, directoryScope, "provisioning went into quarantine", subjectApplication, nil, "", "Acme: Provisioning is in quarantine: The application refused the Secret Token."},
	{ProvisioningReleased, directoryScope, "the quarantine ended", subjectApplication, nil, "", "Acme: The connection test worked; the quarantine is lifted."},
	{ProvisioningLate, directoryScope, "an account waits too long to be closed", subjectApplication, nil, "", "Acme: An account waits to be closed since 2026-01-09 09:00 UTC. Somebody who should lose access still has it."},
	{ProvisioningHeld, directoryScope, "one import or one change of settings would take away more than the limit, so it waits for a decision", subjectApplication, Held{}, "", "Acme: 60 operations that disable or delete are on hold, of 200 active accounts. Cause: Import of users by command line."},
	{ProvisioningApproved, directoryScope, "operations on hold were approved", subjectApplication, Held{}, "", "Acme: 60 operations on hold were approved. Cause: Import of users by command line."},
	{ProvisioningRejected, directoryScope, "operations on hold were rejected", subjectApplication, Held{}, "", "Acme: 60 operations on hold were rejected; nothing is sent. Cause: Import of users by command line."},
	{ProvisioningPlanWaits, directoryScope, "a plan of a schedule, or one that needs a second approval, waits for a person; or a schedule could not re-assert values without one", subjectApplication, Plan{}, "", "Acme: Plan 3f9a61c2b7d0 of the schedule waits for approval, because it takes access away: 0 to create, 1 to update, 1 to disable, 0 to delete, 0 on hold."},
	{ProvisioningPlanApproved, directoryScope, "a plan was approved", subjectApplication, Plan{}, "", "Acme: Plan 3f9a61c2b7d0 was approved: 2 to create, 1 to update, 0 to disable, 0 to delete, 0 on hold."},
	{ProvisioningPlanApplied, directoryScope, "all operations of an approved plan were tried", subjectApplication, Plan{}, "", "Acme: Plan 3f9a61c2b7d0 was applied: 3 sent, 0 failed, 0 left out because something had changed."},
	{ProvisioningPlanCancelled, directoryScope, "a plan was cancelled", subjectApplication, Plan{}, "", "Acme: Plan 3f9a61c2b7d0 was cancelled."},
	{ProvisioningOnDemand, directoryScope, "people or groups were provisioned on demand", subjectApplication, nil, "", "Acme: Provisioned on demand: Ada Lovelace, Sales."},
	{ProvisioningDrift, directoryScope, "a comparison found accounts or groups that somebody changed at the application", subjectApplication, Drift{}, "", "Acme: The application was compared with what provisioning wrote: 2 accounts or groups were changed there, 1 are gone, 3 memberships differ."},
	{ProvisioningDriftAdopted, directoryScope, "a person, or the schedule, accepted values that somebody changed at the application", subjectApplication, nil, "", "Acme: Values that somebody changed at the application were adopted, of accounts or groups: 2."},
	{ProvisioningDriftScheduled, directoryScope, "a person changed how often an application is compared, and what happens then", subjectApplication, nil, "`schedule` and `policy`, if they differ", "Acme: The application is compared with what provisioning wrote: every day. Policy: report only."},
	{ProvisioningDiscovered, directoryScope, "a discovery that a person started has read all accounts of the application", subjectApplication, Discovery{}, "", "Acme: The accounts of the application were discovered: 240, of them 200 of assigned users, 30 of unassigned users, 10 local accounts."},
	{ProvisioningGroupsDiscovered, directoryScope, "a discovery that a person started has read all groups of the application", subjectApplication, GroupDiscovery{}, "", "Acme: The groups of the application were discovered: 24, of them 20 assigned groups, 3 unassigned groups, 1 local groups."},
	{ProvisioningKept, directoryScope, "a person marked accounts or groups at the application, so that they stay as they are", subjectApplication, Accounts{}, "", "Acme: Accounts at the application were marked Keep: 2."},
	{ProvisioningNotKept, directoryScope, "a person removed such marks", subjectApplication, Accounts{}, "", "Acme: The mark Keep was removed from accounts at the application: 2."},
	{ProvisioningConnected, directoryScope, "a person connected a user or group with an account by hand", subjectApplication, Connection{}, "", "Acme: Ada Lovelace was connected with the account 2819c223 by hand."},
	{ProvisioningForgotten, directoryScope, "a person had the connection of a user or group with its account forgotten", subjectApplication, Connection{}, "", "Acme: The connection of ada@contoso.example with the account 2819c223 was forgotten. The account stays as it is."},
	{ProvisioningBehind, directoryScope, "provisioning was paused longer than events are kept, so it looks at everyone anew", subjectApplication, nil, "", "Acme: The directory no longer keeps all changes since the last cycle. An initial cycle looks at everybody."},

	{OperatorLinkCreated, installationScope, "a one-time link for an operator was made", subjectOperator, nil, "", "One-time sign-in link made for the operator sam"},
	{OperatorSignedIn, installationScope, "an operator signed in", subjectOperator, nil, "", "sam signed in by one-time link"},
	{OperatorSignedOut, installationScope, "an operator signed out", subjectOperator, nil, "", "sam signed out"},
	{OperatorSignedOutEverywhere, installationScope, "all sessions of an operator ended", subjectOperator, nil, "", "The operator sam was signed out everywhere; 1 session ended"},
	{OperatorIdentityLinked, installationScope, "an operator linked an identity at the OpenID provider", subjectOperator, nil, "", "sam linked the identity 248289761001 of https://login.example.com"},
	{OperatorIdentityUnlinked, installationScope, "an identity was unlinked from an operator", subjectOperator, nil, "", "The identity 248289761001 of https://login.example.com was unlinked from the operator sam"},
	{OperatorSignInRefused, installationScope, "a sign-in of an operator by OpenID Connect was refused", "", Refusals{}, "", "A sign-in of an operator by OpenID Connect was refused (not_linked): the identity is linked to no operator; identity 248289761001 of https://login.example.com. Reference 5f0c2a91"},
	{OperatorRemoved, installationScope, "an operator was removed", subjectOperator, nil, "", "sam is no longer an operator; sessions and links ended"},

	{KeyCreated, directoryScope, "an API key was made", subjectKey, nil, "`name`, `level`, `expires`, and `secret` without a value", "API key Nightly script (…a91f) was made: read, until 2027-04-12 09:00 UTC"},
	{KeyRevoked, directoryScope, "an API key ended", subjectKey, nil, "`live`", "API key Nightly script (…a91f) was revoked"},

	{KeyExpiring, directoryScope, "an API key expires within two weeks", subjectKey, nil, "", "API key Nightly script (…a91f) expires on 2027-04-12 09:00 UTC"},

	{NotificationAdded, directoryScope, "an e-mail address was added as a recipient of mail", subjectRecipient, nil, "`address` and `topics`", "it@contoso.example gets mail about: Quarantine, Operations on hold"},
	{NotificationRemoved, directoryScope, "a recipient of mail was removed", subjectRecipient, nil, "`address` and `topics`", "it@contoso.example no longer gets mail"},
	{NotificationStopped, directoryScope, "mail to a recipient has stopped, because the mail server has taken none for three days", subjectRecipient, nil, "", "Mail to it@contoso.example has stopped: the mail server has taken none for three days. 550 no such mailbox"},
	{NotificationResumed, directoryScope, "a person had mail sent to a stopped recipient again", subjectRecipient, nil, "", "Mail is sent to it@contoso.example again"},

	{WebhookAdded, directoryScope, "a webhook was added", subjectWebhook, nil, "`host` and `topics`", "The webhook On call (hooks.contoso.example) gets news about: Quarantine, Operations on hold"},
	{WebhookChanged, directoryScope, "the URL, the description or the topics of a webhook changed", subjectWebhook, nil, "`host`, `description` and `topics`, if they differ; `url` without its value", "The webhook On call (hooks.contoso.example) was changed"},
	{WebhookRotated, directoryScope, "a webhook got a new secret", subjectWebhook, nil, "", "The webhook On call (hooks.contoso.example) has a new secret; the old one signs too until 2027-04-12 09:00 UTC"},
	{WebhookEnabled, directoryScope, "a webhook was enabled", subjectWebhook, nil, "", "The webhook On call (hooks.contoso.example) was enabled"},
	{WebhookDisabled, directoryScope, "a person disabled a webhook, or its secret was lost with the key file", subjectWebhook, nil, "", "The webhook On call (hooks.contoso.example) was disabled"},
	{WebhookStopped, directoryScope, "a webhook was disabled, because its endpoint has taken nothing for three days or answers that it is gone", subjectWebhook, nil, "", "The webhook On call (hooks.contoso.example) was disabled: its endpoint has taken nothing for three days. The endpoint answered with the status 503."},
	{WebhookRemoved, directoryScope, "a webhook was removed", subjectWebhook, nil, "`host` and `topics`", "The webhook On call (hooks.contoso.example) was removed"},

	{RetentionChanged, installationScope, "how long logs are kept changed", "", nil, "each kind of log that is kept for another time", "Retention changed. reads: kept 40 days instead of 30 days."},

	{DatabaseRestored, installationScope, "the database was restored from a copy", "", nil, "", "The database was restored from the copy saved.db. Every session and one-time link ended."},

	{ExportUsers, directoryScope, "the list of users was exported", "", Export{}, "", "The list of users was exported: 214 users"},
	{ExportAccounts, directoryScope, "the list of accounts, or of groups, that a discovery found at an application was exported", "", Export{}, "", "The list of discovered accounts of Acme was exported: 240 accounts"},
	{ExportGroups, directoryScope, "the list of groups, or of their members, was exported", "", Export{}, "", "The list of groups was exported: 12 groups"},
	{ExportRequestLog, siteScope, "the request log was exported", "", Export{}, "", "The request log was exported: 12 calls"},
	{ExportAudit, []string{KindSite, KindDirectory, KindInstallation}, "the audit log was exported", "", Export{}, "", "The audit log was exported: 86 events"},
}

// catalogueNames returns the names of events in the order of the catalogue, without duplicates.
func catalogueNames() (list []string) {
	for _, d := range Catalogue {
		if !slices.Contains(list, d.Name) {
			list = append(list, d.Name)
		}
	}
	return list
}
