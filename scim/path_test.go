package scim

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsePath(t testing.TB, rt *ResourceType, text string) Path {
	t.Helper()
	p, err := ParsePath(rt, text, Lenient)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"userName":                                "userName",
		"USERNAME":                                "userName",
		"name.GIVENNAME":                          "name.givenName",
		` emails[Type EQ "work"].VALUE `:          `emails[type eq "work"].value`,
		`emails[type eq "a" and (value pr)]`:      `emails[type eq "a" and value pr]`,
		`members[$ref eq "x"]`:                    "",
		EnterpriseURN:                             EnterpriseURN,
		EnterpriseURN + ":department":             EnterpriseURN + ":department",
		EnterpriseURN + ".department":             EnterpriseURN + ":department",
		EnterpriseURN + ":manager.value":          EnterpriseURN + ":manager.value",
		EnterpriseURN + `:manager[value eq "x"]`:  EnterpriseURN + `:manager[value eq "x"]`,
		UserURN + ":name.familyName":              "name.familyName",
		UserURN + `:emails[type eq "work"].value`: `emails[type eq "work"].value`,
		"manager":       EnterpriseURN + ":manager",
		"/active":       "active",
		"meta.location": "meta.location",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			rt := UserType()
			if want == "" {
				rt, want = GroupType(), text
			}
			p := parsePath(t, rt, text)
			if got := p.String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if again := parsePath(t, rt, p.String()).String(); again != want {
				t.Errorf("read again: got %s, want %s", again, want)
			}
		})
	}
	for text, want := range map[string]string{
		"":                               "400 invalidPath",
		"shoeSize":                       "400 invalidPath",
		"name.nick":                      "400 invalidPath",
		"name.givenName.x":               "400 invalidPath",
		`emails[type eq "x"].colour`:     "400 invalidPath",
		`emails[colour eq "x"]`:          "400 invalidPath",
		`emails[type eq "x"`:             "400 invalidFilter",
		`emails[type eq "x"]value`:       "400 invalidPath",
		`emails[type eq "x"]..value`:     "400 invalidPath",
		`emails.value[type eq "x"]`:      "400 invalidPath",
		`userName[value eq "x"]`:         "400 invalidPath",
		UserURN:                          "400 invalidPath",
		EnterpriseURN + ":":              "400 invalidPath",
		EnterpriseURN + `[value eq "x"]`: "400 invalidPath",
		"urn:x:2.0:User:a":               "400 invalidPath",
		"//active":                       "400 invalidPath",
		`shoeSize[a eq`:                  "400 invalidFilter",
	} {
		t.Run("bad/"+text, func(t *testing.T) {
			t.Parallel()
			_, err := ParsePath(UserType(), text, Lenient)
			patchCase{}.checkError(t, err, want)
		})
	}
}

func TestPathGet(t *testing.T) {
	t.Parallel()
	r := mustParse(t, readTestdata(t, "babs.json"))
	for text, want := range map[string]string{
		"userName":                       `["bjensen"]`,
		"nickName":                       `null`,
		"displayName2":                   `null`,
		"name.familyName":                `["O'Malley"]`,
		"name.formatted":                 `null`,
		"emails.value":                   `["bjensen@example.com","babs@jensen.org"]`,
		`emails[type eq "HOME"].value`:   `["babs@jensen.org"]`,
		`emails[type eq "home"]`:         `[{"type":"home","value":"babs@jensen.org"}]`,
		`emails[type eq "x"].value`:      `null`,
		"addresses":                      `null`,
		EnterpriseURN + ":department":    `["Tour Operations"]`,
		EnterpriseURN + ":manager.value": `["26118915-6090-4610-87e4-49d8ca9f808d"]`,
		"urn:x:2.0:a":                    `null`,
	} {
		for _, rt := range []*ResourceType{UserType(), nil} {
			t.Run(fmt.Sprintf("%s/schema=%v", text, rt != nil), func(t *testing.T) {
				t.Parallel()
				p, err := ParsePath(rt, text, Lenient)
				if err != nil {
					if want == "null" && rt != nil {
						return // an attribute that User lacks
					}
					t.Fatal(err)
				}
				var got, first any
				if values := p.Get(r); values != nil {
					got, first = values, values[0]
				}
				if f := p.First(r); !reflect.DeepEqual(f, first) {
					t.Errorf("first: got %v, want %v", f, first)
				}
				if got := string(appendSorted(nil, got)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
	if got := parsePath(t, UserType(), EnterpriseURN).Get(r); len(got) != 1 {
		t.Errorf("got %v, want the extension", got)
	}
}

func TestPathSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, before, path string
		value              any
		want               string
		schema             bool // only with the User schema
		err                string
	}{
		{name: "simple", before: `{}`, path: "userName", value: "ada", want: `{"userName":"ada"}`},
		{name: "complex_is_made", before: `{}`, path: "name.givenName", value: "Ada", want: `{"name":{"givenName":"Ada"}}`},
		{name: "complex_is_kept", before: `{"name":{"familyName":"King"}}`, path: "name.givenName", value: "Ada", want: `{"name":{"familyName":"King","givenName":"Ada"}}`},
		{name: "element_is_made", before: `{}`, path: `emails[type eq "work"].value`, value: "a@x", want: `{"emails":[{"type":"work","value":"a@x"}]}`},
		{name: "element_is_changed", before: `{"emails":[{"type":"home","value":"h"},{"type":"work","value":"w"}]}`, path: `emails[type eq "work"].value`, value: "a@x", want: `{"emails":[{"type":"home","value":"h"},{"type":"work","value":"a@x"}]}`},
		{name: "primary_element", before: `{}`, path: `roles[primary eq "True"].value`, value: "Admin", want: `{"roles":[{"primary":true,"value":"Admin"}]}`, schema: true},
		{name: "whole_element", before: `{}`, path: `emails[type eq "work"]`, value: map[string]string{"value": "a@x"}, want: `{"emails":[{"type":"work","value":"a@x"}]}`},
		{name: "text_for_a_whole_element", before: `{}`, path: `emails[type eq "work"]`, value: "a@x", want: `{"emails":[{"type":"work","value":"a@x"}]}`},
		{name: "filter_that_describes_nothing", before: `{}`, path: `emails[type ne "work"].value`, value: "a@x", err: "400 noTarget"},
		{name: "extension_is_made", before: `{}`, path: EnterpriseURN + ":department", value: "R&D", want: `{"` + EnterpriseURN + `":{"department":"R&D"}}`},
		{name: "extension_complex", before: `{}`, path: EnterpriseURN + ":manager.value", value: "u-9", want: `{"` + EnterpriseURN + `":{"manager":{"value":"u-9"}}}`},
		{name: "manager_text", before: `{}`, path: EnterpriseURN + ":manager", value: "u-9", want: `{"` + EnterpriseURN + `":{"manager":{"value":"u-9"}}}`, schema: true},
		{name: "list_of_texts", before: `{}`, path: "emails", value: []string{"a", "b"}, want: `{"emails":[{"value":"a"},{"value":"b"}]}`, schema: true},
		{name: "one_for_a_list", before: `{}`, path: "emails", value: "a", want: `{"emails":[{"value":"a"}]}`, schema: true},
		{name: "sub_attribute_of_all", before: `{"emails":[{"value":"a"},{"value":"b"}]}`, path: "emails.type", value: "work", want: `{"emails":[{"type":"work","value":"a"},{"type":"work","value":"b"}]}`},
		{name: "sub_attribute_of_none", before: `{}`, path: "emails.value", value: "a", want: `{"emails":[{"value":"a"}]}`, schema: true},
		{name: "int", before: `{}`, path: "level", value: 7, want: `{"level":7}`},
		{name: "bool", before: `{}`, path: "active", value: false, want: `{"active":false}`},
		{name: "nil_clears", before: `{"title":"x","userName":"a"}`, path: "title", value: nil, want: `{"userName":"a"}`},
		{name: "empty_clears", before: `{"title":"x"}`, path: "title", value: "", want: `{}`},
		{name: "other_letter_case_is_the_same_attribute", before: `{"UserName":"old"}`, path: "username", value: "new", want: `{"UserName":"new"}`},
		{name: "other_letter_case_below", before: `{"Emails":[{"Type":"work","Value":"old"}]}`, path: `emails[type eq "work"].value`, value: "new", want: `{"Emails":[{"Type":"work","Value":"new"}]}`},
		{name: "whole_extension", before: `{}`, path: EnterpriseURN, value: map[string]any{"department": "R"}, want: `{"` + EnterpriseURN + `":{"department":"R"}}`, schema: true},
		{name: "whole_extension_of_wrong_type", before: `{}`, path: EnterpriseURN, value: "x", schema: true, err: "400 invalidValue"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var rt *ResourceType
			if c.schema {
				rt = UserType()
			}
			r := mustParse(t, []byte(c.before))
			err := parsePath(t, rt, c.path).Set(r, c.value)
			if c.err != "" {
				patchCase{}.checkError(t, err, c.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, mustParse(t, []byte(c.want))); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestPathClear(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, before, path, want string }{
		{"simple", `{"title":"x","userName":"a"}`, "TITLE", `{"userName":"a"}`},
		{"absent", `{"userName":"a"}`, "title", `{"userName":"a"}`},
		{"sub_attribute", `{"name":{"givenName":"A","familyName":"B"}}`, "name.givenName", `{"name":{"familyName":"B"}}`},
		{"last_sub_attribute", `{"name":{"givenName":"A"}}`, "name.givenName", `{}`},
		{"element", `{"emails":[{"type":"work"},{"type":"home"}]}`, `emails[type eq "work"]`, `{"emails":[{"type":"home"}]}`},
		{"last_element", `{"emails":[{"type":"work"}]}`, `emails[type eq "work"]`, `{}`},
		{"sub_of_element", `{"emails":[{"type":"work","value":"a"}]}`, `emails[type eq "work"].value`, `{"emails":[{"type":"work"}]}`},
		{"extension_attribute", `{"urn:a:2.0:User":{"b":"c"}}`, "urn:a:2.0:User:B", `{}`},
		{"extension_missing", `{}`, "urn:a:2.0:User:B", `{}`},
		{"values_of_a_simple_list", `{"tags":["a","b"]}`, `tags[value eq "a"]`, `{"tags":["b"]}`},
		{"single_complex_by_filter", `{"manager":{"value":"u-9"}}`, `manager[value eq "u-9"]`, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := mustParse(t, []byte(c.before))
			parsePath(t, nil, c.path).Clear(r)
			if diff := cmp.Diff(r, mustParse(t, []byte(c.want))); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	r := mustParse(t, []byte(managed))
	parsePath(t, UserType(), EnterpriseURN).Clear(r)
	if _, there := r[EnterpriseURN]; there {
		t.Error("the extension is still there")
	}
}

func ExamplePath_Set() {
	user := Resource{"userName": "ada"}
	path, err := ParsePath(UserType(), `emails[type eq "work"].value`, Lenient)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(path.Set(user, "ada@example.com"))
	fmt.Println(string(Encode(UserType(), user)))
	// Output:
	// <nil>
	// {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada","emails":[{"value":"ada@example.com","type":"work"}]}
}
