package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// The default domain is set on the settings page of a directory, and asks before people get other values.
func TestTheDefaultDomainOfADirectory(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	settings := "/d/contoso/settings"
	stored := func(want string) {
		t.Helper()
		if got := must(o.directories.OpenNamed(t.Context(), "contoso")).Directory.DefaultDomain; got != want {
			t.Errorf("the default domain is %q, want %q", got, want)
		}
	}
	b.get(settings).press("Save the default domain", url.Values{"domain": {"Contoso.example"}}).wantWords("The default domain is contoso.example now.")
	stored("contoso.example")
	wrong := b.get(settings).press("Save the default domain", url.Values{"domain": {"@contoso"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("is not a domain")
	if got := wrong.valuesOf("domain"); len(got) != 1 || got[0] != "@contoso" {
		t.Errorf("what was typed is %q", got)
	}
	must(o.jobs.EditSchema(t.Context(), key, func(now provision.Job) (provision.Job, error) {
		return now.SetRow("Provision Azure Active Directory Users", "", provision.RowEdit{
			Type: provision.ExpressionMapping, Source: `Join("@", [givenName], DefaultDomain())`, Target: "nickName", Apply: provision.FlowAlways,
		}, o.jobs.Attributes)
	}, "cli"))
	ask := b.get(settings).press("Save the default domain", url.Values{"domain": {"fabrikam.example"}}).
		wantWords("Change the default domain?", "3 users in scope get other values at Acme.", "Ada@contoso.example → Ada@fabrikam.example")
	stored("contoso.example")
	ask.press("Set the default domain", nil).wantWords("The default domain is fabrikam.example now.")
	stored("fabrikam.example")
	b.get(settings).press("Save the default domain", nil).wantWords("Nothing was changed")
	b.get(settings).press("Save the default domain", url.Values{"domain": {""}}).wantWords("The mapping fails for 3 users in scope").press("Set the default domain", nil).wantWords("The directory has no default domain now.")
	stored("")
}
