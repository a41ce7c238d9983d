package scimserver

import (
	"reflect"
	"testing"

	"github.com/rollcall-scim/rollcall/scim"
)

func TestExchangeViewAndBulkNameTheirFields(t *testing.T) {
	t.Parallel()
	for _, of := range []reflect.Type{reflect.TypeFor[exchange](), reflect.TypeFor[view](), reflect.TypeFor[bulk]()} {
		for i := range of.NumField() {
			if field := of.Field(i); field.Anonymous {
				t.Errorf("%s embeds %s; give the field a name", of.Name(), field.Name)
			}
		}
	}
}

// A query over all types has an exchange without a resource type and one view for each type.
func TestAViewAnswersForItsOwnResourceType(t *testing.T) {
	t.Parallel()
	for _, rt := range []*scim.ResourceType{scim.UserType(), scim.GroupType()} {
		v := view{exchange: &exchange{}, resourceType: rt}
		if got, want := v.kind(), rt.ID; got != want {
			t.Errorf("the view of %s answers for %q", rt.ID, got)
		}
	}
}
