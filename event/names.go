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

// The names of events.
const (
	UserCreated             = "user.created"
	UserUpdated             = "user.updated"
	UserDeleted             = "user.deleted"
	UserErased              = "user.erased"
	UserDeactivated         = "user.deactivated"
	UserReactivated         = "user.reactivated"
	UserRevived             = "user.revived"
	UserRoleChanged         = "user.role_changed"
	UserIdentified          = "user.identified"
	UserUnidentified        = "user.unidentified"
	UserBlocked             = "user.blocked"
	UserUnblocked           = "user.unblocked"
	UserBlockChanged        = "user.block_changed"
	UserChangeHeld          = "user.change_held"
	UserChangeApplied       = "user.change_applied"
	UserChangeRefused       = "user.change_refused"
	UserChangeWithdrawn     = "user.change_withdrawn"
	UserSignedOut           = "user.signed_out"
	UserSignedOutEverywhere = "user.signed_out_everywhere"
	UserEnabled             = "user.enabled"
	UserDisabled            = "user.disabled"
	UserRestored            = "user.restored"
	UserPurged              = "user.purged"

	GroupCreated       = "group.created"
	GroupUpdated       = "group.updated"
	GroupDeleted       = "group.deleted"
	GroupRestored      = "group.restored"
	GroupPurged        = "group.purged"
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
	SiteRolesManaged          = "site.roles_managed"
	SiteRolesUnmanaged        = "site.roles_unmanaged"
	SiteStrictEnabled         = "site.strict_enabled"
	SiteStrictDisabled        = "site.strict_disabled"
	SiteCreatesChanged        = "site.creates_changed"
	SiteRevivesChanged        = "site.revives_changed"
	SiteDeletesChanged        = "site.deletes_changed"
	SiteGroupsChanged         = "site.groups_changed"
	SiteSameGroupNamesChanged = "site.group_names_changed"
	SiteRateLimitChanged      = "site.rate_limit_changed"
	SiteSettingChanged        = "site.setting_changed"
	SiteSearchableDeclared    = "site.searchable_declared"
	SiteSearchableWithdrawn   = "site.searchable_withdrawn"
	SiteSchemasChanged        = "site.schemas_changed"
	SiteSSOChanged            = "site.sso_changed"
	SiteSSORefreshed          = "site.sso_refreshed"
	SiteSSORefreshFailed      = "site.sso_refresh_failed"
	SiteSSOKeyMade            = "site.sso_key_made"
	SiteSSOKeyUsed            = "site.sso_key_used"
	SiteSSOKeyRemoved         = "site.sso_key_removed"
	SiteSetUpUnlocked         = "site.setup_unlocked"

	TokenCreated = "token.created"
	TokenRevoked = "token.revoked"

	SignInLinkCreated   = "sign_in.link_created"
	SignInLinkUsed      = "sign_in.link_used"
	SignInLinkRefused   = "sign_in.link_refused"
	SignInSSOUsed       = "sign_in.sso_used"
	SignInSSORefused    = "sign_in.sso_refused"
	SignInSSOTested     = "sign_in.sso_tested"
	SignInSSODismissed  = "sign_in.sso_dismissed"
	SignInSSOEnded      = "sign_in.sso_ended"
	SignInSSOEndRefused = "sign_in.sso_end_refused"

	SignInRecoveryCodesMade = "sign_in.recovery_codes_made"
	SignInRecoveryUsed      = "sign_in.recovery_used"
	SignInRecoveryRefused   = "sign_in.recovery_refused"

	PageRefused = "page.refused"

	DirectoryCreated  = "directory.created"
	DirectoryRenamed  = "directory.renamed"
	DirectoryChanged  = "directory.changed"
	DirectoryDeleted  = "directory.deleted"
	DirectoryImported = "directory.imported"

	ApplicationCreated = "application.created"
	ApplicationRenamed = "application.renamed"
	ApplicationDeleted = "application.deleted"

	ApplicationRoleCreated = "application.role_created"
	ApplicationRoleChanged = "application.role_changed"
	ApplicationRoleDeleted = "application.role_deleted"

	AssignmentAdded   = "assignment.added"
	AssignmentChanged = "assignment.changed"
	AssignmentRemoved = "assignment.removed"

	ProvisioningCreated          = "provisioning.created"
	ProvisioningSaved            = "provisioning.saved"
	ProvisioningStarted          = "provisioning.started"
	ProvisioningPaused           = "provisioning.paused"
	ProvisioningRestarted        = "provisioning.restarted"
	ProvisioningDeleted          = "provisioning.deleted"
	ProvisioningMappingChanged   = "provisioning.mapping_changed"
	ProvisioningMappingsRestored = "provisioning.mappings_restored"
	ProvisioningSchemaChanged    = "provisioning.schema_changed"
	ProvisioningSecretDiscarded  = "provisioning.secret_discarded"
	ProvisioningConnectionTested = "provisioning.connection_tested"
	ProvisioningQuarantined      = "provisioning.quarantined"
	ProvisioningReleased         = "provisioning.released"
	ProvisioningConnected        = "provisioning.connected"
	ProvisioningForgotten        = "provisioning.connection_forgotten"
	ProvisioningBehind           = "provisioning.behind"
	ProvisioningLate             = "provisioning.late"
	ProvisioningHeld             = "provisioning.held"
	ProvisioningApproved         = "provisioning.approved"
	ProvisioningRejected         = "provisioning.rejected"
	ProvisioningPlanApproved     = "provisioning.plan_approved"
	ProvisioningPlanApplied      = "provisioning.plan_applied"
	ProvisioningPlanCancelled    = "provisioning.plan_cancelled"
	ProvisioningOnDemand         = "provisioning.on_demand"
	ProvisioningDrift            = "provisioning.drift_found"
	ProvisioningDriftAdopted     = "provisioning.drift_adopted"
	ProvisioningDriftScheduled   = "provisioning.drift_scheduled"
	ProvisioningDiscovered       = "provisioning.accounts_discovered"
	ProvisioningKept             = "provisioning.accounts_kept"
	ProvisioningNotKept          = "provisioning.accounts_not_kept"

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
	KeyExpiring = "key.expiring"

	NotificationAdded   = "notification.added"
	NotificationRemoved = "notification.removed"
	NotificationStopped = "notification.stopped"
	NotificationResumed = "notification.resumed"

	WebhookAdded    = "webhook.added"
	WebhookChanged  = "webhook.changed"
	WebhookRotated  = "webhook.secret_rotated"
	WebhookEnabled  = "webhook.enabled"
	WebhookDisabled = "webhook.disabled"
	WebhookStopped  = "webhook.stopped"
	WebhookRemoved  = "webhook.removed"

	RetentionChanged = "retention.changed"

	DatabaseRestored = "database.restored"

	ExportUsers      = "export.users"
	ExportGroups     = "export.groups"
	ExportAccounts   = "export.accounts"
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
