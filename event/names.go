package event

import (
	"slices"
	"strings"
)

// Kinds groups the names of events as pages and commands offer them. Prefix is what the names of a group begin with.
var Kinds = []Kind{
	{"user.", "People and users"},
	{"group.", "Groups"},
	{"resource.", "Resources of own types"},
	{"site.", "Sites and their settings"},
	{"token.", "SCIM tokens"},
	{"sign_in.", "Sign-in links"},
	{"page.", "Refused pages"},
	{"directory.", "Directories"},
	{"application.", "Applications"},
	{"assignment.", "Assignments"},
	{"provisioning.", "Provisioning"},
	{"operator.", "Operators"},
	{"retention.", "Retention"},
	{"database.", "The database"},
	{"export.", "Exports"},
}

// Kind is a group of events.
type Kind struct{ Prefix, Title string }

// Names are all names that an event can have. A test holds the source to this list.
var Names = []string{
	"user.created", "user.updated", "user.deleted", "user.erased",
	"user.deactivated", "user.reactivated", "user.revived", "user.role_changed", "user.identified",
	"user.blocked", "user.unblocked", "user.block_changed",
	"user.change_held", "user.change_applied", "user.change_refused", "user.change_withdrawn",
	"user.signed_out", "user.signed_out_everywhere",
	"user.enabled", "user.disabled", "user.restored", "user.purged",
	"group.created", "group.updated", "group.deleted",
	"resource.created", "resource.updated", "resource.deleted",
	"site.created", "site.renamed", "site.deleted", "site.profile_changed",
	"site.scim_enabled", "site.scim_disabled", "site.roles_managed", "site.roles_unmanaged", "site.strict_enabled", "site.strict_disabled",
	"site.creates_changed", "site.revives_changed", "site.deletes_changed", "site.groups_changed", "site.group_names_changed", "site.rate_limit_changed",
	"site.searchable_declared", "site.searchable_withdrawn", "site.schemas_changed",
	"token.created", "token.revoked",
	"sign_in.link_created", "sign_in.link_used", "sign_in.link_refused",
	"page.refused",
	"directory.created", "directory.renamed", "directory.deleted",
	"application.created", "application.renamed", "application.deleted",
	"assignment.added", "assignment.removed",
	"provisioning.created", "provisioning.saved", "provisioning.started", "provisioning.paused", "provisioning.restarted", "provisioning.deleted",
	"provisioning.mapping_changed", "provisioning.mappings_restored", "provisioning.schema_changed", "provisioning.secret_discarded",
	"provisioning.connection_tested", "provisioning.quarantined", "provisioning.released", "provisioning.behind",
	"operator.link_created", "operator.signed_in", "operator.signed_out", "operator.signed_out_everywhere", "operator.removed",
	"retention.changed", "database.restored",
	"export.users", "export.request_log", "export.audit",
}

// NamesOf returns the names that begin with prefix.
func NamesOf(prefix string) (names []string) {
	for _, name := range Names {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// Known says whether events can have this name.
func Known(name string) bool { return slices.Contains(Names, name) }
