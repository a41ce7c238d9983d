package site

import (
	"testing"

	"github.com/rollcall-scim/rollcall/event"
)

func TestASettingWithoutAnEventOfItsOwnHasTheCommonOne(t *testing.T) {
	t.Parallel()
	x := Setting{Name: "fresh", Values: tickValues("It is on", "It is off")}
	for after, want := range map[bool]string{true: "It is on", false: "It is off"} {
		if name, text := x.eventFor(!after, after); name != event.SiteSettingChanged || text != want {
			t.Errorf("%v: got %s, %q", after, name, text)
		}
	}
}
