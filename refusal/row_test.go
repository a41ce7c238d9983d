package refusal_test

import (
	"errors"
	"testing"

	"github.com/rollcall-scim/rollcall/refusal"
)

func TestARowNamesItsLineAndColumn(t *testing.T) {
	t.Parallel()
	role := refusal.New(refusal.Invalid, "role", "%q is not a role", "Boss").Advise("use Admin")
	for want, row := range map[string]*refusal.Row{
		`line 4, column role: "Boss" is not a role; use Admin`: {Line: 4, Why: role},
		`column role: "Boss" is not a role; use Admin`:         {Why: role},
		`line 4: "Boss" is not a role; use Admin`:              {Line: 4, Why: role.At("")},
		`"Boss" is not a role; use Admin`:                      {Why: role.At("")},
	} {
		if got := row.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !errors.Is(row, refusal.Invalid) {
			t.Errorf("%q hides why it was refused", want)
		}
	}
}
