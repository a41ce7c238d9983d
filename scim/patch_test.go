package scim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	ada = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u-1","userName":"ada@x.example","active":true,
		"name":{"givenName":"Ada","familyName":"King"},"title":"Analyst","nickName":"Countess",
		"emails":[{"value":"ada@x.example","type":"work","primary":true},{"value":"ada@home.example","type":"home"}]}`
	managed = `{"id":"u-1","userName":"ada","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
		{"department":"R&D","manager":{"value":"u-8","$ref":"https://h/Users/u-8","displayName":"Charles"}}}`
	team = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g-1","displayName":"Team",
		"members":[{"value":"u-1"},{"value":"u-2"},{"value":"u-3"}]}`
	enterprise = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`
)

// patchCase is one PATCH: the operations, and the differences in the resource after it, or the
// error.
type patchCase struct {
	name      string
	resource  string
	ops       string
	want      map[string]string // attribute → JSON, "" for gone
	err       string            // "400 invalidPath"
	errStrict string            // in Strict mode
	says      string            // words of the error's detail
	unchanged bool
	ignored   []string // paths
	fixes     []string // codes
	strict    string   // "same": Strict gives the same; "" lenient only
}

func (c patchCase) body() []byte {
	return []byte(`{"schemas":["` + PatchOpURN + `"],"Operations":[` + c.ops + `]}`)
}

func (c patchCase) run(t *testing.T, mode Mode, wantErr string) {
	t.Helper()
	before := mustParse(t, []byte(c.resource))
	rt := UserType()
	if strings.Contains(c.resource, `"g-1"`) {
		rt = GroupType()
	}
	p, fixes, err := DecodePatch(rt, c.body(), mode)
	var result PatchResult
	if err == nil {
		result, err = p.Apply(rt, before)
	}
	if wantErr != "" {
		c.checkError(t, err, wantErr)
		return
	}
	if err != nil {
		t.Fatalf("got %v, want success", err)
	}
	want := before.Clone()
	for name, value := range c.want {
		if value == "" {
			delete(want, name)
			continue
		}
		want[name] = mustParse(t, []byte(`{"v":`+value+`}`))["v"]
	}
	if !Equal(result.Resource, want) {
		t.Errorf("(-got +want):\n%s", cmp.Diff(result.Resource, want))
	}
	if result.Changed == c.unchanged {
		t.Errorf("got Changed %v, want %v", result.Changed, !c.unchanged)
	}
	if mode == Lenient {
		c.checkNotes(t, append(fixes, result.Fixes...), result.Ignored)
	}
	again, err := p.Apply(rt, result.Resource)
	if err != nil || again.Changed {
		t.Errorf("applied again: got changed %v, error %v; want neither", again.Changed, err)
	}
}

func (c patchCase) checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got success, want %s", want)
	}
	got, _, _ := strings.Cut(err.Error(), ":")
	if got != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !strings.Contains(err.Error(), c.says) {
		t.Errorf("got %q, want it to say %q", err, c.says)
	}
}

func (c patchCase) checkNotes(t *testing.T, fixes []Fix, ignored []Ignored) {
	t.Helper()
	var codes, paths []string
	for _, f := range fixes {
		codes = append(codes, f.Code)
	}
	for _, i := range ignored {
		paths = append(paths, i.Path)
	}
	if diff := cmp.Diff(codes, c.fixes); diff != "" {
		t.Errorf("fixes (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(paths, c.ignored); diff != "" {
		t.Errorf("ignored (-got +want):\n%s", diff)
	}
}

func runPatchCases(t *testing.T, cases []patchCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, Lenient, c.err)
		})
		if strict := c; c.strict == "same" || c.errStrict != "" {
			t.Run(c.name+"_strict", func(t *testing.T) {
				t.Parallel()
				wantErr := strict.err
				if strict.errStrict != "" {
					wantErr, strict.says = strict.errStrict, ""
				}
				strict.run(t, Strict, wantErr)
			})
		}
	}
}

func TestPatchFromIdentityProviders(t *testing.T) {
	t.Parallel()
	inactive := map[string]string{"active": "false"}
	ent := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	runPatchCases(t, []patchCase{
		{name: "P1_replace_active_accepts_text_boolean_from_entra", resource: ada, ops: `{"op":"Replace","path":"active","value":"False"}`, want: inactive, fixes: []string{"text-boolean"}, errStrict: "400 invalidValue"},
		{name: "P1_small_letters", resource: ada, ops: `{"op":"Replace","path":"active","value":"false"}`, want: inactive, fixes: []string{"text-boolean"}},
		{name: "P1_zero", resource: ada, ops: `{"op":"Replace","path":"active","value":"0"}`, want: inactive, fixes: []string{"text-boolean"}},
		{name: "P1_true_text_changes_nothing", resource: ada, ops: `{"op":"Add","path":"active","value":"True"}`, unchanged: true, fixes: []string{"text-boolean"}},
		{name: "P1_unclear_text_is_refused_not_true", resource: ada, ops: `{"op":"Replace","path":"active","value":"no"}`, err: "400 invalidValue", says: `active must be true or false, not the string "no"`, strict: "same"},
		{name: "P1_empty_text_is_refused_not_unassigned", resource: ada, ops: `{"op":"Replace","path":"active","value":""}`, err: "400 invalidValue", strict: "same"},
		{name: "P1_zero_as_a_number", resource: ada, ops: `{"op":"Replace","path":"active","value":0}`, want: inactive, fixes: []string{"number-boolean"}, errStrict: "400 invalidValue"},
		{name: "P1_other_numbers_are_refused", resource: ada, ops: `{"op":"Replace","path":"active","value":2}`, err: "400 invalidValue", strict: "same"},

		{name: "P2_remove_members_with_a_list_leaves_the_others", resource: team, ops: `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"u-1"}]}`, want: map[string]string{"members": `[{"value":"u-2"},{"value":"u-3"}]`}, fixes: []string{"remove-values"}, errStrict: "400 invalidSyntax"},
		{name: "P2_single_object", resource: team, ops: `{"op":"Remove","path":"members","value":{"value":"u-1"}}`, want: map[string]string{"members": `[{"value":"u-2"},{"value":"u-3"}]`}, fixes: []string{"remove-values"}},
		{name: "P2_strings", resource: team, ops: `{"op":"Remove","path":"members","value":["u-1","u-3"]}`, want: map[string]string{"members": `[{"value":"u-2"}]`}, fixes: []string{"text-for-object", "text-for-object", "remove-values"}},
		{name: "P2_empty_list_changes_nothing", resource: team, ops: `{"op":"Remove","path":"members","value":[]}`, unchanged: true, ignored: []string{"members"}},
		{name: "P2_strangers_change_nothing", resource: team, ops: `{"op":"Remove","path":"members","value":[{"value":"u-9"}]}`, unchanged: true, ignored: []string{"members"}, fixes: []string{"remove-values"}},
		{name: "P2_without_value_empties", resource: team, ops: `{"op":"Remove","path":"members"}`, want: map[string]string{"members": ""}, strict: "same"},
		{name: "P2_emails_by_value_and_type", resource: ada, ops: `{"op":"remove","path":"emails","value":[{"value":"ADA@home.example","type":"home"}]}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true}]`}, fixes: []string{"remove-values"}},
		{name: "P2_emails_by_value_alone", resource: ada, ops: `{"op":"remove","path":"emails","value":[{"value":"ada@home.example"}]}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true}]`}, fixes: []string{"remove-values"}},
		{name: "P2_emails_of_other_type_stay", resource: ada, ops: `{"op":"remove","path":"emails","value":[{"value":"ada@home.example","type":"work"}]}`, unchanged: true, ignored: []string{"emails"}, fixes: []string{"remove-values"}},

		{name: "P3_remove_member_by_filter", resource: team, ops: `{"op":"remove","path":"members[value eq \"u-1\"]"}`, want: map[string]string{"members": `[{"value":"u-2"},{"value":"u-3"}]`}, strict: "same"},
		{name: "P3_stranger", resource: team, ops: `{"op":"remove","path":"members[value eq \"u-9\"]"}`, unchanged: true, ignored: []string{`members[value eq "u-9"]`}, strict: "same"},

		{name: "P4_dotted_and_urn_keys", resource: ada, ops: `{"op":"replace","value":{"displayName":"Ada L.","name.givenName":"Augusta",` + enterprise + `:department":"R&D",` + enterprise + `:manager":"u-9"}}`, want: map[string]string{
			"displayName": `"Ada L."`, "name": `{"givenName":"Augusta","familyName":"King"}`, ent: `{"department":"R&D","manager":{"value":"u-9"}}`,
		}, fixes: []string{"text-for-object"}},
		{name: "P4_nested_objects_merge", resource: ada, ops: `{"op":"replace","value":{"name":{"givenName":"Augusta"},` + enterprise + `":{"department":"R&D"}}}`, want: map[string]string{"name": `{"givenName":"Augusta","familyName":"King"}`, ent: `{"department":"R&D"}`}, strict: "same"},
		{name: "P4_bracketed_key", resource: ada, ops: `{"op":"replace","value":{"emails[type eq \"home\"].value":"a@b.example"}}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true},{"value":"a@b.example","type":"home"}]`}, strict: "same"},
		{name: "P4_dotted_keys_in_strict_mode", resource: ada, ops: `{"op":"replace","value":{"name.givenName":"Augusta"}}`, want: map[string]string{"name": `{"givenName":"Augusta","familyName":"King"}`}, strict: "same"},

		{name: "P5_add_makes_the_element", resource: ada, ops: `{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+1555"}`, want: map[string]string{"phoneNumbers": `[{"type":"mobile","value":"+1555"}]`}, fixes: []string{"created-value"}, strict: "same"},
		{name: "P5_replace_makes_the_element", resource: ada, ops: `{"op":"Replace","path":"phoneNumbers[type eq \"mobile\"].value","value":"+1555"}`, want: map[string]string{"phoneNumbers": `[{"type":"mobile","value":"+1555"}]`}, fixes: []string{"created-value"}, errStrict: "400 noTarget"},
		{name: "P5_later_operations_hit_the_same_element", resource: ada, ops: `{"op":"Add","path":"addresses[type eq \"work\"].locality","value":"London"},{"op":"Add","path":"addresses[type eq \"work\"].country","value":"GB"},{"op":"Add","path":"addresses[type eq \"work\"].primary","value":"True"}`, want: map[string]string{"addresses": `[{"type":"work","locality":"London","country":"GB","primary":true}]`}, fixes: []string{"text-boolean", "created-value"}},
		{name: "P5_others_stay", resource: ada, ops: `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"new@x.example"}`, want: map[string]string{"emails": `[{"value":"new@x.example","type":"work","primary":true},{"value":"ada@home.example","type":"home"}]`}, strict: "same"},
		{name: "P5_a_whole_element", resource: ada, ops: `{"op":"add","path":"ims[type eq \"xmpp\"]","value":{"value":"ada@chat"}}`, want: map[string]string{"ims": `[{"type":"xmpp","value":"ada@chat"}]`}, fixes: []string{"created-value"}, strict: "same"},
		{name: "P5_conjunction", resource: ada, ops: `{"op":"Replace","path":"emails[type eq \"other\" and display eq \"Club\"].value","value":"c@x"}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true},{"value":"ada@home.example","type":"home"},{"type":"other","display":"Club","value":"c@x"}]`}, fixes: []string{"created-value"}},
		{name: "P5_a_filter_that_describes_no_element", resource: ada, ops: `{"op":"Replace","path":"emails[type eq \"a\" or type eq \"b\"].value","value":"c@x"}`, err: "400 noTarget", strict: "same"},
		{name: "P5_a_contradiction_describes_no_element", resource: ada, ops: `{"op":"Replace","path":"emails[type eq \"a\" and type eq \"b\"].value","value":"c@x"}`, err: "400 noTarget"},
		{name: "P5_an_element_that_would_not_match_is_not_made", resource: ada, ops: `{"op":"Add","path":"emails[type eq \"other\"].type","value":"club"}`, err: "400 noTarget", strict: "same"},
		{name: "P5_an_operation_that_ends_its_own_match_can_be_repeated", resource: ada, ops: `{"op":"Replace","path":"emails[value eq \"ada@home.example\"].value","value":"new@home.example"}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true},{"value":"new@home.example","type":"home"}]`}},
		{name: "P5_members_are_never_made_up", resource: team, ops: `{"op":"Add","path":"members[value eq \"u-9\"].type","value":"User"}`, err: "400 noTarget", strict: "same"},

		{name: "P6_manager_text", resource: managed, ops: `{"op":"Add","path":` + enterprise + `:manager","value":"u-9"}`, want: map[string]string{ent: `{"department":"R&D","manager":{"value":"u-9"}}`}, fixes: []string{"text-for-object"}, errStrict: "400 invalidValue"},
		{name: "P6_manager_array_and_short_path", resource: managed, ops: `{"op":"Add","path":"manager","value":[{"$ref":"http://h/Users/u-9","value":"u-9"}]}`, want: map[string]string{ent: `{"department":"R&D","manager":{"value":"u-9","$ref":"http://h/Users/u-9"}}`}, fixes: []string{"extension-attribute", "list-for-single"}, errStrict: "400 invalidPath"},
		{name: "P6_manager_object", resource: managed, ops: `{"op":"replace","path":` + enterprise + `:manager","value":{"value":"u-9"}}`, want: map[string]string{ent: `{"department":"R&D","manager":{"value":"u-9"}}`}, strict: "same"},
		{name: "P6_same_manager_keeps_what_the_server_added", resource: managed, ops: `{"op":"replace","path":` + enterprise + `:manager","value":{"value":"u-8"}}`, unchanged: true, strict: "same"},
		{name: "P6_empty_text_unassigns", resource: managed, ops: `{"op":"Replace","path":` + enterprise + `:manager","value":""}`, want: map[string]string{ent: `{"department":"R&D"}`}, strict: "same"},
		{name: "P6_null_unassigns", resource: managed, ops: `{"op":"Replace","path":` + enterprise + `:manager","value":null}`, want: map[string]string{ent: `{"department":"R&D"}`}, strict: "same"},
		{name: "P6_empty_value_unassigns", resource: managed, ops: `{"op":"Replace","path":` + enterprise + `:manager","value":{"value":"","$ref":null}}`, want: map[string]string{ent: `{"department":"R&D"}`}, strict: "same"},
		{name: "P6_empty_value_in_array_unassigns", resource: managed, ops: `{"op":"Replace","path":"manager","value":[{"value":""}]}`, want: map[string]string{ent: `{"department":"R&D"}`}, fixes: []string{"extension-attribute", "list-for-single"}},
		{name: "P6_manager_value_as_target", resource: managed, ops: `{"op":"Replace","path":` + enterprise + `:manager.value","value":"u-9"}`, want: map[string]string{ent: `{"department":"R&D","manager":{"value":"u-9"}}`}, strict: "same"},
		{name: "P6_manager_removed_by_filter", resource: managed, ops: `{"op":"remove","path":"manager[value eq \"u-8\"]"}`, want: map[string]string{ent: `{"department":"R&D"}`}, fixes: []string{"extension-attribute"}},
		{name: "P6_other_manager_not_removed_by_filter", resource: managed, ops: `{"op":"remove","path":"manager[value eq \"u-9\"]"}`, unchanged: true, ignored: []string{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager[value eq \"u-9\"]"}, fixes: []string{"extension-attribute"}},

		{name: "P7_role_as_json_text", resource: ada, ops: `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"r1\",\"value\":\"Admin\",\"displayName\":\"Administrator\"}"}]}`, want: map[string]string{"roles": `[{"value":"Admin","display":"Administrator"}]`}, fixes: []string{"json-text"}},
		{name: "P7_role_without_a_value_is_its_name", resource: ada, ops: `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"r1\",\"value\":null,\"displayName\":\"User\"}"}]}`, want: map[string]string{"roles": `[{"value":"User","display":"User"}]`}, fixes: []string{"json-text"}},
		{name: "P7_primary_as_text_in_filter", resource: ada, ops: `{"op":"Add","path":"roles[primary eq \"True\"].value","value":"Admin"}`, want: map[string]string{"roles": `[{"primary":true,"value":"Admin"}]`}, fixes: []string{"text-boolean", "created-value"}, errStrict: "400 invalidFilter"},
		{name: "P7_replaced_by_full_objects", resource: `{"id":"u-1","userName":"a","roles":[{"value":"Old"}]}`, ops: `{"op":"replace","path":"roles","value":[{"primary":false,"type":"WindowsAzureActiveDirectoryRole","display":"Admin","value":"Admin"}]}`, want: map[string]string{"roles": `[{"primary":false,"type":"WindowsAzureActiveDirectoryRole","display":"Admin","value":"Admin"}]`}, strict: "same"},
		{name: "P7_displayName_in_an_element", resource: ada, ops: `{"op":"Add","path":"roles","value":[{"value":"Admin","displayName":"Administrator"}]}`, want: map[string]string{"roles": `[{"value":"Admin","display":"Administrator"}]`}, fixes: []string{"display-name"}},
		{name: "P7_text_that_merely_begins_with_a_brace", resource: ada, ops: `{"op":"Add","path":"roles","value":[{"value":"{x"}]}`, want: map[string]string{"roles": `[{"value":"{x"}]`}},

		{name: "P8_full_push", resource: team, ops: `{"op":"replace","path":"members","value":[{"value":"u-1","display":"a@x"},{"value":"u-9","display":"b@x"}]}`, want: map[string]string{"members": `[{"value":"u-1"},{"value":"u-9"}]`}, strict: "same"},
		{name: "P8_empty_push_clears", resource: team, ops: `{"op":"replace","path":"members","value":[]}`, want: map[string]string{"members": ""}, strict: "same"},

		{name: "P9_rename_with_own_id", resource: team, ops: `{"op":"replace","value":{"id":"g-1","displayName":"New"}}`, want: map[string]string{"displayName": `"New"`}, strict: "same"},
		{name: "P9_same_name_is_no_change", resource: team, ops: `{"op":"replace","value":{"id":"g-1","displayName":"Team"}}`, unchanged: true, strict: "same"},
		{name: "P9_other_id", resource: team, ops: `{"op":"replace","value":{"id":"g-2","displayName":"New"}}`, err: "400 mutability", strict: "same"},
		{name: "P9_id_by_path", resource: team, ops: `{"op":"replace","path":"id","value":"g-1"}`, unchanged: true, strict: "same"},
		{name: "P10_empty_members_without_path", resource: team, ops: `{"op":"replace","value":{"id":"g-1","displayName":"N","members":[]}}`, want: map[string]string{"displayName": `"N"`, "members": ""}, strict: "same"},

		{name: "P11_no_path", resource: ada, ops: `{"op":"replace","value":{"active":false}}`, want: inactive, strict: "same"},
		{name: "P11_path", resource: ada, ops: `{"op":"replace","path":"active","value":false}`, want: inactive, strict: "same"},
		{name: "P11_text_without_path", resource: ada, ops: `{"op":"Replace","value":{"active":"False"}}`, want: inactive, fixes: []string{"text-boolean"}},

		{name: "P12_adding_a_member_again", resource: team, ops: `{"op":"Add","path":"members","value":[{"value":"u-1"}]},{"op":"Add","path":"members","value":[{"value":"u-4"},{"value":"u-4"}]},{"op":"Add","path":"members","value":[{"value":"u-4"}]}`, want: map[string]string{"members": `[{"value":"u-1"},{"value":"u-2"},{"value":"u-3"},{"value":"u-4"}]`}, strict: "same"},

		{name: "P13_object_for_list", resource: team, ops: `{"op":"add","path":"members","value":{"value":"u-4"}}`, want: map[string]string{"members": `[{"value":"u-1"},{"value":"u-2"},{"value":"u-3"},{"value":"u-4"}]`}, strict: "same"},
		{name: "P13_text_for_list", resource: team, ops: `{"op":"add","path":"members","value":"u-4"}`, want: map[string]string{"members": `[{"value":"u-1"},{"value":"u-2"},{"value":"u-3"},{"value":"u-4"}]`}, fixes: []string{"text-for-object"}, errStrict: "400 invalidValue"},
		{name: "P13_list_for_single", resource: ada, ops: `{"op":"replace","path":"title","value":["Lead"]}`, want: map[string]string{"title": `"Lead"`}, fixes: []string{"list-for-single"}, errStrict: "400 invalidValue"},
		{name: "P13_list_of_two_for_single", resource: ada, ops: `{"op":"replace","path":"title","value":["Lead","Head"]}`, err: "400 invalidValue", strict: "same"},

		{name: "P14_text_for_an_element", resource: ada, ops: `{"op":"replace","path":"emails[type eq \"work\"]","value":"a@x"}`, want: map[string]string{"emails": `[{"value":"a@x","type":"work"},{"value":"ada@home.example","type":"home"}]`}, fixes: []string{"text-for-object"}, errStrict: "400 invalidValue"},

		{name: "P15_text_primary_in_an_object", resource: ada, ops: `{"op":"add","path":"emails","value":[{"value":"n@x","type":"other","primary":"true"}]}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":false},{"value":"ada@home.example","type":"home"},{"value":"n@x","type":"other","primary":true}]`}, fixes: []string{"text-boolean"}},

		{name: "P16_apostrophe", resource: `{"id":"g-1","displayName":"T","members":[{"value":"o'neil"}]}`, ops: `{"op":"remove","path":"members[value eq \"o'neil\"]"}`, want: map[string]string{"members": ""}, strict: "same"},
		{name: "P16_upper_case_guid", resource: `{"id":"g-1","displayName":"T","members":[{"value":"7f4bc1a3-285e"}]}`, ops: `{"op":"remove","path":"members[value eq \"7F4BC1A3-285E\"]"}`, want: map[string]string{"members": ""}, strict: "same"},
		{name: "P16_escaped_quote_and_blanks", resource: `{"id":"g-1","displayName":"T","members":[{"value":"a\"b]"}]}`, ops: `{"op":"remove","path":" members[ value eq \"a\\u0022b]\" ] "}`, want: map[string]string{"members": ""}, strict: "same"},

		{name: "P17_colon", resource: ada, ops: `{"op":"add","path":` + enterprise + `:department","value":"R&D"}`, want: map[string]string{ent: `{"department":"R&D"}`}, strict: "same"},
		{name: "P17_dot", resource: ada, ops: `{"op":"add","path":` + enterprise + `.department","value":"R&D"}`, want: map[string]string{ent: `{"department":"R&D"}`}, strict: "same"},
		{name: "P17_missing_colon", resource: ada, ops: `{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department","value":"R&D"}`, want: map[string]string{ent: `{"department":"R&D"}`}, fixes: []string{"schema-urn"}, errStrict: "400 invalidPath"},

		{name: "P18_null", resource: ada, ops: `{"op":"replace","path":"title","value":null}`, want: map[string]string{"title": ""}, strict: "same"},
		{name: "P18_empty_text", resource: ada, ops: `{"op":"replace","path":"title","value":""}`, want: map[string]string{"title": ""}, strict: "same"},
		{name: "P18_empty_then_null", resource: ada, ops: `{"op":"replace","path":"title","value":""},{"op":"replace","path":"title","value":null}`, want: map[string]string{"title": ""}, strict: "same"},
		{name: "P18_null_for_required", resource: ada, ops: `{"op":"replace","path":"userName","value":null}`, err: "400 mutability", strict: "same"},
		{name: "P18_empty_text_for_required_without_path", resource: ada, ops: `{"op":"replace","value":{"userName":""}}`, err: "400 mutability", strict: "same"},
		{name: "P18_null_for_a_sub_attribute", resource: ada, ops: `{"op":"replace","path":"name","value":{"givenName":null}}`, want: map[string]string{"name": `{"familyName":"King"}`}, strict: "same"},

		{name: "P19_replace_without_value", resource: ada, ops: `{"op":"replace","path":"title"}`, err: "400 invalidSyntax", says: "replace title needs a value", strict: "same"},

		{name: "P20_empty_path", resource: ada, ops: `{"op":"replace","path":"","value":{"active":false}}`, want: inactive, strict: "same"},
		{name: "P20_leading_slash", resource: ada, ops: `{"op":"replace","path":"/active","value":false}`, want: inactive, errStrict: "400 invalidPath"},
	})
}

func TestPatchSemantics(t *testing.T) {
	t.Parallel()
	runPatchCases(t, []patchCase{
		{name: "add_to_complex_keeps_the_rest", resource: ada, ops: `{"op":"add","path":"name","value":{"middleName":"B"}}`, want: map[string]string{"name": `{"givenName":"Ada","familyName":"King","middleName":"B"}`}, strict: "same"},
		{name: "replace_without_path_replaces_the_whole_list", resource: ada, ops: `{"op":"replace","value":{"emails":[{"value":"only@x"}]}}`, want: map[string]string{"emails": `[{"value":"only@x"}]`}, strict: "same"},
		{name: "replace_with_the_same_list_in_other_order_is_no_change", resource: ada, ops: `{"op":"replace","path":"emails","value":[{"value":"ada@home.example","type":"home"},{"value":"ada@x.example","type":"work","primary":true}]}`, unchanged: true, strict: "same"},
		{name: "add_to_matching_values", resource: ada, ops: `{"op":"add","path":"emails[type eq \"home\"]","value":{"display":"Home"}}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true},{"value":"ada@home.example","type":"home","display":"Home"}]`}, strict: "same"},
		{name: "replace_matching_keeps_what_the_filter_says", resource: ada, ops: `{"op":"replace","path":"emails[type eq \"home\"]","value":{"value":"n@x"}}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true},{"value":"n@x","type":"home"}]`}},
		{name: "remove_matching", resource: ada, ops: `{"op":"remove","path":"emails[type eq \"home\"]"}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true}]`}, strict: "same"},
		{name: "remove_sub_attribute_of_matching", resource: ada, ops: `{"op":"remove","path":"emails[type eq \"home\"].type"}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true},{"value":"ada@home.example"}]`}, strict: "same"},
		{name: "sub_attribute_of_all_values", resource: ada, ops: `{"op":"replace","path":"emails.display","value":"A"}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":true,"display":"A"},{"value":"ada@home.example","type":"home","display":"A"}]`}, strict: "same"},
		{name: "sub_attribute_removed_from_all_values", resource: ada, ops: `{"op":"remove","path":"emails.type"}`, want: map[string]string{"emails": `[{"value":"ada@x.example","primary":true},{"value":"ada@home.example"}]`}, strict: "same"},
		{name: "sub_attribute_of_no_value_makes_one", resource: ada, ops: `{"op":"add","path":"ims.value","value":"ada@chat"}`, want: map[string]string{"ims": `[{"value":"ada@chat"}]`}, strict: "same"},
		{name: "sub_attribute_removed_from_no_value", resource: ada, ops: `{"op":"remove","path":"ims.value"}`, unchanged: true, strict: "same"},
		{name: "last_sub_attribute_takes_the_value_away", resource: ada, ops: `{"op":"add","path":"ims","value":[{"value":"x"},{"value":"y","type":"z"}]},{"op":"remove","path":"ims.value"}`, unchanged: true, strict: "same"},
		{name: "two_primaries_without_a_filter", resource: ada, ops: `{"op":"replace","path":"emails.primary","value":true}`, err: "400 invalidValue", strict: "same"},
		{name: "add_without_path_reads_a_list_of_one", resource: ada, ops: `{"op":"add","value":[{"title":"Lead"}]}`, want: map[string]string{"title": `"Lead"`}, fixes: []string{"list-for-single"}, errStrict: "400 invalidValue"},
		{name: "addresses_go_by_what_was_sent_of_them", resource: `{"id":"u-1","userName":"a","addresses":[{"locality":"London","country":"GB"},{"locality":"Paris"}]}`, ops: `{"op":"remove","path":"addresses","value":[{"country":"GB","locality":"london"},{"locality":"Paris"}]}`, want: map[string]string{"addresses": ""}, fixes: []string{"remove-values"}},
		{name: "whole_extension_with_nothing", resource: managed, ops: `{"op":"replace","path":` + enterprise + `","value":{}},{"op":"add","path":` + enterprise + `","value":null}`, unchanged: true, ignored: []string{EnterpriseURN}, strict: "same"},
		{name: "whole_extension_null", resource: managed, ops: `{"op":"replace","value":{` + enterprise + `":null}}`, want: map[string]string{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": ""}, strict: "same"},
		{name: "whole_extension_of_wrong_type", resource: managed, ops: `{"op":"replace","path":` + enterprise + `","value":"x"}`, err: "400 invalidValue", strict: "same"},
		{name: "remove_nothing_is_success", resource: ada, ops: `{"op":"remove","path":"displayName"},{"op":"remove","path":"ims[type eq \"x\"]"},{"op":"remove","path":"emails[type eq \"x\"].value"}`, unchanged: true, ignored: []string{`ims[type eq "x"]`, `emails[type eq "x"].value`}, strict: "same"},
		{name: "remove_whole_complex", resource: ada, ops: `{"op":"remove","path":"name"}`, want: map[string]string{"name": ""}, strict: "same"},
		{name: "remove_last_sub_attribute_takes_the_complex_away", resource: ada, ops: `{"op":"remove","path":"name.givenName"},{"op":"remove","path":"name.familyName"}`, want: map[string]string{"name": ""}, strict: "same"},
		{name: "remove_without_path", resource: ada, ops: `{"op":"remove"}`, err: "400 noTarget", strict: "same"},
		{name: "remove_without_path_but_value", resource: ada, ops: `{"op":"remove","value":{"title":"x"}}`, err: "400 noTarget", strict: "same"},
		{name: "remove_required", resource: ada, ops: `{"op":"remove","path":"userName"}`, err: "400 mutability", says: "userName is required", strict: "same"},
		{name: "remove_read_only", resource: ada, ops: `{"op":"remove","path":"meta"}`, err: "400 mutability", strict: "same"},
		{name: "read_only_sub_attribute", resource: managed, ops: `{"op":"replace","path":` + enterprise + `:manager.displayName","value":"X"}`, err: "400 mutability", strict: "same"},
		{name: "immutable_sub_attribute", resource: team, ops: `{"op":"replace","path":"members[value eq \"u-1\"].value","value":"u-9"}`, err: "400 mutability", strict: "same"},
		{name: "immutable_element", resource: team, ops: `{"op":"replace","path":"members[value eq \"u-1\"]","value":{"value":"u-9"}}`, err: "400 mutability", strict: "same"},
		{name: "immutable_can_be_set_once", resource: team, ops: `{"op":"add","path":"members[value eq \"u-1\"].type","value":"User"}`, want: map[string]string{"members": `[{"value":"u-1","type":"User"},{"value":"u-2"},{"value":"u-3"}]`}, strict: "same"},

		{name: "primary_moves", resource: ada, ops: `{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":false},{"value":"ada@home.example","type":"home","primary":true}]`}, strict: "same"},
		{name: "primary_moves_with_an_existing_value", resource: ada, ops: `{"op":"add","path":"emails","value":[{"value":"ada@home.example","type":"home","primary":true}]}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":false},{"value":"ada@home.example","type":"home","primary":true}]`}, strict: "same"},
		{name: "two_primaries_in_one_list", resource: ada, ops: `{"op":"replace","path":"emails","value":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, err: "400 invalidValue", says: "two values are primary", strict: "same"},
		{name: "the_last_of_two_primaries_in_one_request_counts", resource: ada, ops: `{"op":"add","path":"emails","value":[{"value":"a","primary":true}]},{"op":"add","path":"emails","value":[{"value":"b","primary":true}]}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":false},{"value":"ada@home.example","type":"home"},{"value":"a","primary":false},{"value":"b","primary":true}]`}, strict: "same"},
		{name: "two_primaries_by_one_filter", resource: ada, ops: `{"op":"replace","path":"emails[value pr].primary","value":true}`, err: "400 invalidValue", strict: "same"},
		{name: "primary_of_a_value_that_is_gone_again", resource: ada, ops: `{"op":"add","path":"emails","value":[{"value":"a","type":"other","primary":true}]},{"op":"remove","path":"emails[type eq \"other\"]"},{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}`, want: map[string]string{"emails": `[{"value":"ada@x.example","type":"work","primary":false},{"value":"ada@home.example","type":"home","primary":true}]`}, strict: "same"},

		{name: "unknown_attribute_is_left_out", resource: ada, ops: `{"op":"replace","path":"shoeSize","value":42},{"op":"replace","path":"title","value":"Lead"}`, want: map[string]string{"title": `"Lead"`}, ignored: []string{"shoeSize"}, errStrict: "400 invalidPath"},
		{name: "unknown_sub_attribute_is_left_out", resource: ada, ops: `{"op":"replace","value":{"name.nick":"x","title":"Lead"}}`, want: map[string]string{"title": `"Lead"`}, ignored: []string{"name.nick"}, errStrict: "400 invalidPath"},
		{name: "unknown_extension_is_left_out", resource: ada, ops: `{"op":"replace","path":"urn:example:2.0:User:badge","value":"7"},{"op":"replace","path":"title","value":"Lead"}`, want: map[string]string{"title": `"Lead"`}, ignored: []string{"urn:example:2.0:User:badge"}, errStrict: "400 invalidPath"},
		{name: "unknown_sub_attribute_in_a_filter_is_left_out", resource: ada, ops: `{"op":"remove","path":"emails[colour eq \"red\"]"},{"op":"replace","path":"title","value":"Lead"}`, want: map[string]string{"title": `"Lead"`}, ignored: []string{`emails[colour eq "red"]`}, errStrict: "400 invalidPath"},
		{name: "nothing_but_unknown_attributes", resource: ada, ops: `{"op":"replace","path":"shoeSize","value":42},{"op":"add","value":{"hatSize":1,"gloveSize":2}}`, err: "400 invalidPath", says: `"shoeSize", "hatSize", "gloveSize"`, errStrict: "400 invalidPath"},
		{name: "a_value_of_unknown_parts_does_not_clear", resource: ada, ops: `{"op":"replace","path":"name","value":{"nick":"x"}},{"op":"replace","path":"emails","value":[{"address":"x"}]},{"op":"replace","path":"title","value":"Lead"}`, want: map[string]string{"title": `"Lead"`}, ignored: []string{"name.nick", "emails.address"}, errStrict: "400 invalidSyntax"},
		{name: "nothing_but_unknown_parts", resource: ada, ops: `{"op":"replace","path":"name","value":{"nick":"x"}},{"op":"replace","path":"emails","value":[{"address":"x"}]}`, err: "400 invalidPath", says: `"name.nick", "emails.address"`, errStrict: "400 invalidSyntax"},
		{name: "an_empty_object_changes_nothing", resource: ada, ops: `{"op":"replace","path":"name","value":{}}`, unchanged: true, ignored: []string{"name"}, strict: "same"},
		{name: "password_is_accepted_and_not_kept", resource: ada, ops: `{"op":"replace","path":"password","value":"secret"}`, unchanged: true, ignored: []string{"password"}, strict: "same"},
		{name: "schemas_follow_from_what_is_there", resource: ada, ops: `{"op":"add","path":"schemas","value":["urn:x"]}`, unchanged: true, ignored: []string{"schemas"}, strict: "same"},
		{name: "meta_without_path", resource: ada, ops: `{"op":"replace","value":{"meta":{"resourceType":"User"},"title":"Lead"}}`, want: map[string]string{"title": `"Lead"`}, ignored: []string{"meta"}, errStrict: "400 mutability"},
		{name: "empty_groups_without_path", resource: ada, ops: `{"op":"replace","value":{"groups":[],"title":"Lead"}}`, want: map[string]string{"title": `"Lead"`}, strict: "same"},
		{name: "groups_without_path", resource: ada, ops: `{"op":"replace","value":{"groups":[{"value":"g-1"}]}}`, err: "400 mutability", strict: "same"},

		{name: "whole_extension_by_path", resource: managed, ops: `{"op":"replace","path":` + enterprise + `","value":{"department":"Ops","costCenter":"7"}}`, want: map[string]string{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": `{"department":"Ops","costCenter":"7","manager":{"value":"u-8","$ref":"https://h/Users/u-8","displayName":"Charles"}}`}, strict: "same"},
		{name: "whole_extension_that_names_itself", resource: managed, ops: `{"op":"add","path":` + enterprise + `","value":{"schemas":[` + enterprise + `"],"department":"Ops"}}`, want: map[string]string{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": `{"department":"Ops","manager":{"value":"u-8","$ref":"https://h/Users/u-8","displayName":"Charles"}}`}, strict: "same"},
		{name: "whole_extension_that_names_itself_alone", resource: managed, ops: `{"op":"add","value":{` + enterprise + `":{"schemas":[` + enterprise + `"]}}}`, unchanged: true, strict: "same"},
		{name: "schemas_cannot_be_removed", resource: managed, ops: `{"op":"remove","path":"schemas"}`, err: "400 mutability", errStrict: "400 mutability"},
		{name: "schemas_cannot_be_removed_one_by_one", resource: managed, ops: `{"op":"remove","path":"schemas[value eq ` + strings.ReplaceAll(enterprise, `"`, `\"`) + `\"]"}`, err: "400 mutability", errStrict: "400 mutability"},
		{name: "whole_extension_removed", resource: managed, ops: `{"op":"remove","path":` + enterprise + `"}`, want: map[string]string{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": ""}, strict: "same"},
		{name: "core_urn_as_path", resource: ada, ops: `{"op":"replace","path":"` + UserURN + `","value":{"title":"Lead"}}`, want: map[string]string{"title": `"Lead"`}, strict: "same"},
		{name: "core_urn_as_key", resource: ada, ops: `{"op":"replace","value":{"` + UserURN + `:title":"Lead","` + UserURN + `":{"nickName":"A"}}}`, want: map[string]string{"title": `"Lead"`, "nickName": `"A"`}, strict: "same"},

		{name: "unknown_op", resource: ada, ops: `{"op":"move","path":"title","value":"x"}`, err: "400 invalidSyntax", says: `not the string "move"`, strict: "same"},
		{name: "no_op", resource: ada, ops: `{"path":"title","value":"x"}`, err: "400 invalidSyntax", strict: "same"},
		{name: "operation_is_no_object", resource: ada, ops: `"x"`, err: "400 invalidSyntax", strict: "same"},
		{name: "path_is_no_text", resource: ada, ops: `{"op":"add","path":7,"value":"x"}`, err: "400 invalidPath", strict: "same"},
		{name: "value_without_path_is_no_object", resource: ada, ops: `{"op":"add","value":"x"}`, err: "400 invalidValue", strict: "same"},
		{name: "filter_on_a_simple_attribute", resource: ada, ops: `{"op":"add","path":"title[value eq \"x\"]","value":"x"}`, err: "400 invalidPath", strict: "same"},
		{name: "filter_in_a_path_is_malformed", resource: ada, ops: `{"op":"remove","path":"emails[type eq]"}`, err: "400 invalidFilter", strict: "same"},
		{name: "wrong_type", resource: ada, ops: `{"op":"replace","path":"title","value":{"a":1}}`, err: "400 invalidValue", strict: "same"},
		{name: "error_names_the_operation", resource: ada, ops: `{"op":"replace","path":"title","value":"x"},{"op":"replace","path":"active","value":"perhaps"}`, err: "400 invalidValue", says: "Operation 2 (replace active): active must be", strict: "same"},
		{name: "error_with_a_long_path", resource: ada, ops: `{"op":"add","path":"title","value":"x"},{"op":"add","path":"` + strings.Repeat("\ufffd", 60) + `","value":"x"}`, err: "400 invalidPath", says: "Operation 2 (add " + strings.Repeat("\ufffd", 42) + "…)", strict: "same"},
		{name: "no_operations", resource: ada, ops: ``, unchanged: true, errStrict: "400 invalidSyntax"},
	})
}

func TestDecodePatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, lenient, strict string }{
		"operations_in_other_letter_case": {`{"schemas":["` + PatchOpURN + `"],"operations":[{"OP":"add","Path":"title","VALUE":"x"}]}`, "", ""},
		"schemas_missing":                 {`{"Operations":[{"op":"add","path":"title","value":"x"}]}`, "", "400 invalidSyntax"},
		"operations_missing":              {`{"schemas":["` + PatchOpURN + `"]}`, "400 invalidSyntax", "400 invalidSyntax"},
		"operations_null":                 {`{"schemas":["` + PatchOpURN + `"],"Operations":null}`, "400 invalidSyntax", "400 invalidSyntax"},
		"a_list":                          {`[]`, "400 invalidSyntax", "400 invalidSyntax"},
		"no_json":                         {`{`, "400 invalidSyntax", "400 invalidSyntax"},
		"nul_in_a_text":                   {`{"Operations":[{"op":"add","path":"title","value":"a\u0000b"}]}`, "400 invalidValue", "400 invalidValue"},
	} {
		for mode, want := range map[Mode]string{Lenient: c.lenient, Strict: c.strict} {
			t.Run(name+"/"+modeName(mode), func(t *testing.T) {
				t.Parallel()
				_, _, err := DecodePatch(UserType(), []byte(c.body), mode)
				got := ""
				if err != nil {
					got, _, _ = strings.Cut(err.Error(), ":")
				}
				if got != want {
					t.Errorf("got %v, want %q", err, want)
				}
			})
		}
	}
}

func TestPatchLimits(t *testing.T) {
	t.Parallel()
	body := func(ops string) []byte { return patchCase{ops: ops}.body() }
	many := func(n int, f func(i int) string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = f(i)
		}
		return strings.Join(parts, ",")
	}
	member := func(i int) string { return fmt.Sprintf(`{"value":"u-%d"}`, i) }
	title := func(int) string { return `{"op":"add","path":"title","value":"x"}` }
	for name, c := range map[string]struct {
		rt   *ResourceType
		ops  string
		want string
	}{
		"1000_operations":         {UserType(), many(1000, title), ""},
		"1001_operations":         {UserType(), many(1001, title), "413"},
		"10000_members":           {GroupType(), `{"op":"add","path":"members","value":[` + many(10000, member) + `]}`, ""},
		"10001_members":           {GroupType(), `{"op":"add","path":"members","value":[` + many(10001, member) + `]}`, "413"},
		"5001_keys_without_paths": {UserType(), `{"op":"add","value":{` + many(5001, func(i int) string { return fmt.Sprintf(`"emails[value eq \"%d\"].type":"work"`, i) }) + `}}`, "413"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := DecodePatch(c.rt, body(c.ops), Lenient)
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), ":")
			}
			if got != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestPatchMakesAnElementOfAFilterOnManyValues: a filter on a sub-attribute with several values
// describes some of these values.
func TestPatchMakesAnElementOfAFilterOnManyValues(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		`parts[tags eq \"a\"].value`:                     `{"value":"v","tags":["a"]}`,
		`parts[tags eq \"a\" and tags eq \"b\"].value`:   `{"value":"v","tags":["a","b"]}`,
		`parts[tags eq \"a\" and asked eq \"b\"].asked`:  "400 noTarget",
		`parts[sizes eq 1.5 and sizes eq 2].value`:       `{"value":"v","sizes":[1.5,2]}`,
		`parts[tags eq \"a\" and primary eq true].value`: `{"value":"v","tags":["a"],"primary":true}`,
	} {
		p, _, err := DecodePatch(thing(t), patchCase{ops: `{"op":"add","path":"` + path + `","value":"v"}`}.body(), Lenient)
		if err != nil {
			t.Fatal(err)
		}
		result, err := p.Apply(thing(t), Resource{})
		got := ""
		if err != nil {
			got, _, _ = strings.Cut(err.Error(), ":")
		} else {
			got = string(Encode(thing(t), result.Resource))
			_, got, _ = strings.Cut(got, `"parts":[`)
			got = strings.TrimSuffix(got, "]}")
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// TestApplyBoundsItsWork sends many operations on a long list, where each operation must look at
// the whole list.
func TestApplyBoundsItsWork(t *testing.T) {
	t.Parallel()
	list := make([]any, 10000)
	for i := range list {
		list[i] = map[string]any{"value": fmt.Sprintf("%d@x", i)}
	}
	filter := strings.Repeat(`value eq \"a\" or `, 40) + `value eq \"b\"`
	for name, op := range map[string]string{
		"to_select_values":       `{"op":"remove","path":"emails[` + filter + `]"}`,
		"to_add_a_value":         `{"op":"add","path":"emails","value":[{"value":"new@x"}]}`,
		"to_remove_a_value":      `{"op":"remove","path":"emails","value":[{"value":"new@x"}]}`,
		"to_set_a_part_of_all":   `{"op":"replace","path":"emails.display","value":"x"}`,
		"to_clear_a_part_of_all": `{"op":"remove","path":"emails.type"}`,
		"without_a_path":         `{"op":"add","value":{"emails":[{"value":"new@x"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _, err := DecodePatch(UserType(), patchCase{ops: strings.Repeat(op+",", MaxPatchOperations-1) + op}.body(), Lenient)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Apply(UserType(), Resource{"userName": "a", "emails": list})
			patchCase{says: "too many values"}.checkError(t, err, "413")
		})
	}
}

func TestPatchDetach(t *testing.T) {
	t.Parallel()
	value := func(ids ...string) []any {
		list := make([]any, len(ids))
		for i, id := range ids {
			list[i] = map[string]any{"value": id}
		}
		return list
	}
	for name, c := range map[string]struct {
		ops   string
		edits []Edit
		rest  int
		no    bool
	}{
		"add":               {ops: `{"op":"Add","path":"members","value":[{"value":"a"},{"value":"b"},{"value":"a"}]}`, edits: []Edit{{"add", value("a", "b")}}},
		"add_nothing":       {ops: `{"op":"Add","path":"members","value":[]}`},
		"remove_listed":     {ops: `{"op":"Remove","path":"members","value":[{"value":"a"}]}`, edits: []Edit{{"remove", value("a")}}},
		"remove_filtered":   {ops: `{"op":"remove","path":"members[value eq \"a\" or value eq \"b\"]"}`, edits: []Edit{{"remove", value("a", "b")}}},
		"remove_all":        {ops: `{"op":"remove","path":"members"}`, edits: []Edit{{"replace", nil}}},
		"replace":           {ops: `{"op":"replace","path":"members","value":[{"value":"a"}]}`, edits: []Edit{{"replace", value("a")}}},
		"replace_by_none":   {ops: `{"op":"replace","path":"members","value":[]}`, edits: []Edit{{"replace", nil}}},
		"without_path":      {ops: `{"op":"replace","value":{"id":"g-1","displayName":"N","members":[]}}`, edits: []Edit{{"replace", nil}}, rest: 2},
		"in_order_and_rest": {ops: `{"op":"remove","path":"members"},{"op":"add","path":"members","value":[{"value":"a"}]},{"op":"replace","path":"displayName","value":"N"}`, edits: []Edit{{"replace", nil}, {"add", value("a")}}, rest: 1},
		"other_filter":      {ops: `{"op":"remove","path":"members[type eq \"Group\"]"}`, no: true},
		"negated_filter":    {ops: `{"op":"remove","path":"members[value ne \"a\"]"}`, no: true},
		"sub_attribute":     {ops: `{"op":"add","path":"members[value eq \"a\"].type","value":"User"}`, no: true},
		"replace_filtered":  {ops: `{"op":"replace","path":"members[value eq \"a\"]","value":{"value":"a"}}`, no: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _, err := DecodePatch(GroupType(), patchCase{ops: c.ops}.body(), Lenient)
			if err != nil {
				t.Fatal(err)
			}
			rest, edits, ok := p.DetachAttribute("members")
			if ok == c.no {
				t.Fatalf("got ok %v, want %v", ok, !c.no)
			}
			if diff := cmp.Diff(edits, c.edits); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if ok && len(rest.Operations) != c.rest {
				t.Errorf("got %d operations left, want %d", len(rest.Operations), c.rest)
			}
		})
	}
}

// Comparing each member with each other one would take longer than all tests may.
func TestAddingOneMemberDoesNotCompareAllWithAll(t *testing.T) {
	t.Parallel()
	const many = 100_000
	members := make([]any, many)
	for i := range members {
		members[i] = map[string]any{"value": fmt.Sprintf("user-%d", i)}
	}
	group := Resource{"displayName": "All", "members": members}
	p, _, err := DecodePatch(GroupType(), patchCase{ops: `{"op":"Add","path":"members","value":[{"value":"user-77"},{"value":"new"}]}`}.body(), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	result, err := p.Apply(GroupType(), group)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(result.Resource["members"].([]any)); got != many+1 || len(members) != many {
		t.Errorf("got %d members, want %d", got, many+1)
	}
}
