package console_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/site"
)

func TestGuidePage(t *testing.T) {
	t.Parallel()

	t.Run("follows_the_profile", func(t *testing.T) {
		t.Parallel()
		path := scimPath + "/guide"
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		b.get(path).wantWords("Target Object Actions to just Update", "must match the Display Name Assertion", "SCIM is off for this site").wantNoWords("leave Create, Update and Delete ticked")
		w = newWorld(t)
		_, b = w.admin(site.Full)
		b.get(path).wantWords("leave Create, Update and Delete ticked").wantNoWords("to just Update", "Display Name Assertion")
	})

	t.Run("has_the_guides_words", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		b.get(scimPath+"/guide").wantWords("Configure SCIM with Entra ID", "1. Entra ID SCIM Setup for Rollcall", "2. Entra ID SCIM User Mapping",
			"Provisioning", "Get started", "Automatic", "Admin Credentials", "Tenant URL", "Secret Token", "Test Connection", "Save",
			"Provision Azure Active Directory Groups", "Provision Azure Active Directory Users", "Azure Active Directory Attribute", "customappsso Attribute", "Matching precedence")
	})
}
