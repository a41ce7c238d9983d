package provision_test

import (
	"fmt"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestEveryKindOfSettingTakesEffectAtTheFirstSave saves each setting alone, and all of them
// together, on a new job and on an existing one.
func TestEveryKindOfSettingTakesEffectAtTheFirstSave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	update := provision.FlowTypes(0).With(provision.FlowUpdate, true)
	secret := "another"
	for name, edit := range map[string]func(*provision.Settings){
		"actions":            func(s *provision.Settings) { s.Actions = &update },
		"scope":              func(s *provision.Settings) { s.Scope = provision.Everyone },
		"status":             func(s *provision.Settings) { s.Status = provision.On },
		"secret":             func(s *provision.Settings) { s.Secret = &secret },
		"actions and status": func(s *provision.Settings) { s.Actions, s.Status = &update, provision.On },
	} {
		for _, there := range []bool{false, true} {
			k := provision.Key{Directory: "contoso", App: fmt.Sprint(name, there)}
			want := provision.Settings{Mode: provision.Automatic, TenantURL: w.app.url(), Status: provision.Off, Scope: provision.AssignedOnly}
			if there {
				if _, err := w.jobs.Save(t.Context(), k, want, "cli"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.jobs.Edit(t.Context(), k, func(s *provision.Settings) { s.Mode, s.TenantURL = want.Mode, want.TenantURL; edit(s) }, "cli"); err != nil {
				t.Fatalf("%s: %v", k.App, err)
			}
			edit(&want)
			got, err := w.jobs.Get(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			m, err := got.Schema.UserMapping()
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != want.Status || got.Scope != want.Scope || got.HasSecret() != (want.Secret != nil) || (m.FlowTypes == update) != (want.Actions != nil) {
				t.Errorf("%s: got status %s, scope %s, secret %v, actions %s; want %+v", k.App, got.Status, got.Scope, got.HasSecret(), m.FlowTypes, want)
			}
		}
	}
}
