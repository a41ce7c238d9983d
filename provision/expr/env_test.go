package expr_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

func TestEnvFromJSON(t *testing.T) {
	t.Parallel()
	env, err := expr.EnvFromJSON([]byte("\xef\xbb\xbf" + `{
		"givenName": "Zoë", "empty": "", "gone": null, "accountEnabled": true, "IsSoftDeleted": false, "level": 7, "big": 129699324000000000,
		"otherMails": ["a@example.com", null, "b@example.com"], "none": [], "passwordProfile": {"password": "x", "inner": {"deep": 1.50}}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]expr.Value{
		"givenName": expr.String("Zoë"), "empty": expr.String(""), "gone": expr.Null(), "absent": expr.Null(), "GivenName": expr.Null(),
		"accountEnabled": expr.String("True"), "IsSoftDeleted": expr.String("False"), "level": expr.String("7"), "big": expr.String("129699324000000000"),
		"otherMails": expr.List([]string{"a@example.com", "b@example.com"}), "none": expr.Null(),
		"passwordProfile.password": expr.String("x"), "passwordProfile.inner.deep": expr.String("1.50"),
	} {
		if diff := cmp.Diff(shown(want), shown(env.Attribute(name))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEnvFromJSON_explains(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"an_empty_text", "", "ends too early"},
		{"something_else_than_an_object", `["a"]`, "must be a JSON object"},
		{"an_object_that_just_stops", `{"a": "b"`, "ends too early"},
		{"a_syntax_error_with_its_place", "{\n  \"a\": oslo}", "line 2, column"},
		{"an_attribute_twice", `{"a": 1, "a": 2}`, `"a" occurs twice`},
		{"an_attribute_twice_in_two_forms", `{"a": {"b": 1}, "a.b": 2}`, `"a.b" occurs twice`},
		{"a_list_in_a_list", `{"a": [["b"]]}`, `"a" has a list or an object inside its list`},
		{"something_after_the_object", `{"a": 1} {}`, "something follows"},
		{"objects_that_are_too_deep", strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), "more than 16 deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := expr.EnvFromJSON([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}
