package provision

import "testing"

// TestRolesOfAdministrators has roles by which an account counts as an administrator's. An account
// that only may be an administrator's is protected, but does not stand in for the last one.
func TestRolesOfAdministrators(t *testing.T) {
	t.Parallel()
	for role, want := range map[string][2]bool{ // whether it may be, and whether it surely is
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
