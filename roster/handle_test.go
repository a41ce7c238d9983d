package roster

import (
	"reflect"
	"testing"

	"github.com/rollcall-scim/rollcall/site"
)

// Authentication for a site yields a *Roster. The code that has one must not reach people of other
// sites through it.
func TestTheHandleOfASiteReachesThatSiteOnly(t *testing.T) {
	t.Parallel()
	handle := reflect.TypeFor[*Roster]()
	for field := range fields(handle.Elem()) {
		if field.Anonymous || field.IsExported() {
			t.Errorf("Roster.%s is promoted or exported, so callers can use it for any site", field.Name)
		}
	}
	everySite := []reflect.Type{
		reflect.TypeFor[*Rosters](), reflect.TypeFor[Rosters](), reflect.TypeFor[Store](), reflect.TypeFor[Tx](),
		reflect.TypeFor[site.ID](), reflect.TypeFor[site.Site](), reflect.TypeFor[site.Tx](), reflect.TypeFor[*Roster](),
	}
	for i := range handle.NumMethod() {
		method := handle.Method(i)
		for at := range method.Type.NumIn() - 1 { // the first is the receiver
			for _, bad := range everySite {
				if method.Type.In(at+1) == bad {
					t.Errorf("Roster.%s takes a %s, so callers can name another site", method.Name, bad)
				}
			}
		}
		for at := range method.Type.NumOut() {
			for _, bad := range everySite {
				if method.Type.Out(at) == bad {
					t.Errorf("Roster.%s returns a %s, which reaches other sites", method.Name, bad)
				}
			}
		}
	}
	for _, name := range []string{"Open", "Advance", "DropStranded"} {
		if _, promoted := handle.MethodByName(name); promoted {
			t.Errorf("Roster has the method %s of Rosters, which reaches every site", name)
		}
	}
}

func TestWhatWorksOnARosterNamesIt(t *testing.T) {
	t.Parallel()
	for _, worker := range []reflect.Type{reflect.TypeFor[reviver](), reflect.TypeFor[membersEdit](), reflect.TypeFor[strandedDropper]()} {
		for field := range fields(worker) {
			if field.Anonymous {
				t.Errorf("%s embeds %s; give the field a name", worker.Name(), field.Name)
			}
		}
	}
}

func fields(of reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range of.NumField() {
			if !yield(of.Field(i)) {
				return
			}
		}
	}
}

// A change runs in a transaction, perhaps more than once. So callers pass values to it, and no
// code.
func TestAChangeIsAValue(t *testing.T) {
	t.Parallel()
	for _, of := range []reflect.Type{reflect.TypeFor[Change](), reflect.TypeFor[Outcome]()} {
		for field := range fields(of) {
			if kind := field.Type.Kind(); kind == reflect.Func || kind == reflect.Interface || kind == reflect.Pointer {
				t.Errorf("%s.%s is a %s, so the code of an edge could run inside a transaction", of.Name(), field.Name, kind)
			}
		}
	}
}
