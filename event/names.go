package event

import (
	"strings"
)

// Kinds groups the names of events, in the order in which pages and commands offer the groups.
var Kinds = []Kind{
	{"user.", "People and users"},
	{"group.", "Groups"},
	{"resource.", "Resources of own types"},
	{"site.", "Sites and their settings"},
	{"token.", "SCIM tokens"},
	{"sign_in.", "Sign-ins"},
	{"page.", "Refused pages"},
	{"directory.", "Directories"},
	{"application.", "Applications"},
	{"assignment.", "Assignments"},
	{"provisioning.", "Provisioning"},
	{"operator.", "Operators"},
	{"key.", "API keys"},
	{"notification.", "Notifications"},
	{"webhook.", "Webhooks"},
	{"retention.", "Retention"},
	{"database.", "The database"},
	{"export.", "Exports"},
}

// Kind is a group of events: those whose names start with Prefix. Title is the group's name for
// people.
type Kind struct{ Prefix, Title string }

// The names of events. Catalogue describes each of them.
const (
	UserCreated             = "user.created"
	UserUpdated             = "user.updated" // attributes of a person or user changed
	UserDeleted             = "user.deleted" // at a site: deleted permanently; in a directory: deleted so that it can be restored
	UserErased              = "user.erased"  // the data of a person was erased permanently
	UserDeactivated         = "user.deactivated"
	UserReactivated         = "user.reactivated" // a deactivated person was reactivated
	UserRevived             = "user.revived"     // a create by SCIM found a deactivated account and reactivated it
	UserRoleChanged         = "user.role_changed"
	UserIdentified          = "user.identified"   // a person got the user identifier by which single sign-on finds the account
	UserUnidentified        = "user.unidentified" // an administrator removed this user identifier
	UserBlocked             = "user.blocked"
	UserUnblocked           = "user.unblocked"
	UserBlockChanged        = "user.block_changed"         // SCIM changed what a blocked person will be once unblocked
	UserChangeHeld          = "user.change_held"           // SCIM asked for a change that an administrator decides on
	UserChangeApplied       = "user.change_applied"        // an administrator applied the change of a UserChangeHeld
	UserChangeRefused       = "user.change_refused"        // an administrator refused the change of a UserChangeHeld
	UserChangeWithdrawn     = "user.change_withdrawn"      // SCIM no longer asks for the change of a UserChangeHeld
	UserSignedOut           = "user.signed_out"            // a person signed out
	UserSignedOutEverywhere = "user.signed_out_everywhere" // all sessions of a person ended
	UserEnabled             = "user.enabled"               // the sign-in of a user of a directory was allowed
	UserDisabled            = "user.disabled"              // the sign-in of a user of a directory was blocked
	UserRestored            = "user.restored"              // a deleted user was restored
	UserPurged              = "user.purged"                // a user was deleted permanently

	GroupCreated       = "group.created"
	GroupUpdated       = "group.updated"
	GroupDeleted       = "group.deleted"  // at a site: deleted permanently; in a directory: deleted so that it can be restored
	GroupRestored      = "group.restored" // a deleted group was restored
	GroupPurged        = "group.purged"   // a group was deleted permanently
	GroupMemberAdded   = "group.member_added"
	GroupMemberRemoved = "group.member_removed"

	ResourceCreated = "resource.created"
	ResourceUpdated = "resource.updated"
	ResourceDeleted = "resource.deleted"

	SiteCreated               = "site.created"
	SiteRenamed               = "site.renamed"
	SiteDeleted               = "site.deleted"
	SiteProfileChanged        = "site.profile_changed"
	SiteSCIMEnabled           = "site.scim_enabled"
	SiteSCIMDisabled          = "site.scim_disabled"
	SiteRolesManaged          = "site.roles_managed"       // SCIM may now manage user roles
	SiteRolesUnmanaged        = "site.roles_unmanaged"     // SCIM may no longer manage user roles
	SiteStrictEnabled         = "site.strict_enabled"      // SCIM requests are now read strictly
	SiteStrictDisabled        = "site.strict_disabled"     // SCIM requests are now read leniently
	SiteCreatesChanged        = "site.creates_changed"     // the setting changed that says what a create by SCIM does
	SiteRevivesChanged        = "site.revives_changed"     // the setting changed that says whether a create by SCIM reactivates a deactivated account
	SiteDeletesChanged        = "site.deletes_changed"     // the setting changed that says what a delete by SCIM does
	SiteGroupsChanged         = "site.groups_changed"      // the setting changed that says whether the site accepts groups
	SiteSameGroupNamesChanged = "site.group_names_changed" // the setting changed that says whether groups may share a name
	SiteRateLimitChanged      = "site.rate_limit_changed"
	SiteSettingChanged        = "site.setting_changed"      // a setting without an event of its own changed
	SiteSearchableDeclared    = "site.searchable_declared"  // an attribute was declared searchable
	SiteSearchableWithdrawn   = "site.searchable_withdrawn" // an attribute is no longer declared searchable
	SiteSchemasChanged        = "site.schemas_changed"
	SiteSSOChanged            = "site.sso_changed"
	SiteSSORefreshed          = "site.sso_refreshed"      // new certificates were taken over from the identity provider's metadata
	SiteSSORefreshFailed      = "site.sso_refresh_failed" // the identity provider's metadata could not be read or taken over
	SiteSSOKeyMade            = "site.sso_key_made"       // a SAML key was made for the site
	SiteSSOKeyUsed            = "site.sso_key_used"       // the new SAML key of the site began to sign
	SiteSSOKeyRemoved         = "site.sso_key_removed"    // the old SAML key of the site was removed
	SiteSetUpUnlocked         = "site.setup_unlocked"     // the pages may now set up SCIM

	TokenCreated = "token.created"
	TokenRevoked = "token.revoked"

	SignInLinkCreated   = "sign_in.link_created"
	SignInLinkUsed      = "sign_in.link_used"    // a one-time link was opened
	SignInLinkRefused   = "sign_in.link_refused" // a one-time link did not open
	SignInSSOUsed       = "sign_in.sso_used"
	SignInSSORefused    = "sign_in.sso_refused"
	SignInSSOTested     = "sign_in.sso_tested"
	SignInSSODismissed  = "sign_in.sso_dismissed"   // an administrator dismissed a sign-in that waited for an account
	SignInSSOEnded      = "sign_in.sso_ended"       // the identity provider ended sessions of a person
	SignInSSOEndRefused = "sign_in.sso_end_refused" // a sign-out by SAML was refused

	SignInRecoveryCodesMade = "sign_in.recovery_codes_made"
	SignInRecoveryUsed      = "sign_in.recovery_used"    // an administrator signed in with a recovery code
	SignInRecoveryRefused   = "sign_in.recovery_refused" // a recovery code was refused

	PageRefused = "page.refused" // a page or form was refused

	DirectoryCreated  = "directory.created"
	DirectoryRenamed  = "directory.renamed"
	DirectoryChanged  = "directory.changed" // a setting of a directory was changed
	DirectoryDeleted  = "directory.deleted"
	DirectoryImported = "directory.imported" // an import that changed something ended
	// DirectoryGroupChanged is the end of the removal of a group or of its assignment. The guard counts
	// its effects together, as those of an import.
	DirectoryGroupChanged = "directory.group_changed"

	ApplicationCreated = "application.created"
	ApplicationRenamed = "application.renamed"
	ApplicationDeleted = "application.deleted"

	ApplicationRoleCreated = "application.role_created"
	ApplicationRoleChanged = "application.role_changed"
	ApplicationRoleDeleted = "application.role_deleted"

	AssignmentAdded   = "assignment.added"
	AssignmentChanged = "assignment.changed" // an assignment got another role
	AssignmentRemoved = "assignment.removed"

	ProvisioningCreated          = "provisioning.created"
	ProvisioningSaved            = "provisioning.saved" // settings of provisioning were saved
	ProvisioningStarted          = "provisioning.started"
	ProvisioningPaused           = "provisioning.paused"
	ProvisioningRestarted        = "provisioning.restarted" // provisioning begins anew with an initial cycle
	ProvisioningDeleted          = "provisioning.deleted"
	ProvisioningMappingChanged   = "provisioning.mapping_changed"
	ProvisioningMappingsRestored = "provisioning.mappings_restored"
	ProvisioningSchemaChanged    = "provisioning.schema_changed"   // a schema document was imported
	ProvisioningSecretDiscarded  = "provisioning.secret_discarded" // a Secret Token was removed because its key was lost
	ProvisioningConnectionTested = "provisioning.connection_tested"
	ProvisioningQuarantined      = "provisioning.quarantined"
	ProvisioningReleased         = "provisioning.released"             // the quarantine ended
	ProvisioningConnected        = "provisioning.connected"            // a person connected a user or group with an account by hand
	ProvisioningForgotten        = "provisioning.connection_forgotten" // a person removed the connection of a user or group with an account
	ProvisioningBehind           = "provisioning.behind"               // provisioning was paused longer than events are kept, so it looks at everyone anew
	ProvisioningLate             = "provisioning.late"                 // an account waits too long to be closed
	ProvisioningHeld             = "provisioning.held"                 // one import or change of settings would disable or delete more accounts than the limit, so its operations wait for a decision
	ProvisioningApproved         = "provisioning.approved"             // operations on hold were approved
	ProvisioningRejected         = "provisioning.rejected"             // operations on hold were rejected
	ProvisioningPlanWaits        = "provisioning.plan_waits"           // a plan needs the approval of a person who did not make it
	ProvisioningPlanApproved     = "provisioning.plan_approved"
	ProvisioningPlanApplied      = "provisioning.plan_applied" // all operations of an approved plan were tried
	ProvisioningPlanCancelled    = "provisioning.plan_cancelled"
	ProvisioningOnDemand         = "provisioning.on_demand"           // people or groups were provisioned on demand
	ProvisioningDrift            = "provisioning.drift_found"         // a comparison found accounts or groups that somebody changed at the application
	ProvisioningDriftAdopted     = "provisioning.drift_adopted"       // the values that somebody changed at the application were accepted
	ProvisioningDriftScheduled   = "provisioning.drift_scheduled"     // the settings changed that say how often an application is compared, and what happens then
	ProvisioningDiscovered       = "provisioning.accounts_discovered" // a discovery has read all accounts of the application
	ProvisioningGroupsDiscovered = "provisioning.groups_discovered"   // a discovery has read all groups of the application
	ProvisioningKept             = "provisioning.accounts_kept"       // accounts at the application were marked, so that they stay as they are
	ProvisioningNotKept          = "provisioning.accounts_not_kept"   // the marks of ProvisioningKept were removed

	OperatorLinkCreated         = "operator.link_created"
	OperatorSignedIn            = "operator.signed_in"
	OperatorSignedOut           = "operator.signed_out"
	OperatorSignedOutEverywhere = "operator.signed_out_everywhere"
	OperatorIdentityLinked      = "operator.identity_linked"
	OperatorIdentityUnlinked    = "operator.identity_unlinked"
	OperatorSignInRefused       = "operator.sign_in_refused"
	OperatorRemoved             = "operator.removed"

	KeyCreated  = "key.created"
	KeyRevoked  = "key.revoked"
	KeyExpiring = "key.expiring" // an API key expires within two weeks

	NotificationAdded   = "notification.added" // an e-mail address was added as a recipient of mail
	NotificationRemoved = "notification.removed"
	NotificationStopped = "notification.stopped" // mail to a recipient has stopped, because the mail server has taken none for three days
	NotificationResumed = "notification.resumed" // mail is sent to a stopped recipient again

	WebhookAdded    = "webhook.added"
	WebhookChanged  = "webhook.changed"
	WebhookRotated  = "webhook.secret_rotated" // a webhook got a new secret
	WebhookEnabled  = "webhook.enabled"
	WebhookDisabled = "webhook.disabled" // a person disabled a webhook, or its secret was lost with the key file
	WebhookStopped  = "webhook.stopped"  // a webhook was disabled, because its endpoint has taken nothing for three days or is gone
	WebhookRemoved  = "webhook.removed"

	RetentionChanged = "retention.changed" // the setting changed that says how long logs are kept

	DatabaseRestored = "database.restored"

	ExportUsers      = "export.users"    // the list of users was exported
	ExportGroups     = "export.groups"   // the list of groups, or of their members, was exported
	ExportAccounts   = "export.accounts" // the list of accounts that a discovery found was exported
	ExportRequestLog = "export.request_log"
	ExportAudit      = "export.audit"
)

// Names lists every name of an event, in the order of the catalogue.
var Names = catalogueNames()

// NamesOf returns the names that start with prefix.
func NamesOf(prefix string) (names []string) {
	for _, name := range Names {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}
