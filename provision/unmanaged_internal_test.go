package provision

import "testing"

// TestRolesOfAdministrators checks which roles make an account that of an administrator, and which
// do so for certain. An account for which this is uncertain is protected, but does not count as the
// one administrator that must remain.
func TestRolesOfAdministrators(t *testing.T) {
	t.Parallel()
	for role, want := range map[string][2]bool{ // the results of isAdministrator and isSurelyAdministrator
		"admin":                {true, true},
		"Administrator":        {true, true},
		"Site Admin":           {true, true},
		"GlobalAdmin":          {true, true},
		"billing-admins":       {true, true},
		"OWNER":                {true, true},
		"root":                 {true, true},
		"Sysadmin":             {true, true},
		"Non-admin":            {true, false},
		"Not an administrator": {true, false},
		"Administrative staff": {true, false},
		"Former admin":         {true, false},
		"Product owner":        {false, false},
		"User":                 {false, false},
		"":                     {false, false},
	} {
		a := FoundAccount{Roles: []string{role}}
		if got := [2]bool{a.isAdministrator(), a.isSurelyAdministrator()}; got != want {
			t.Errorf("%q: got %v, want %v", role, got, want)
		}
	}
}
