package expr_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

func TestATextAndATreeThatDiffer(t *testing.T) {
	t.Parallel()
	const attribute = `{"expression":"[mail]","name":"mail","type":"Attribute"}`
	for name, tt := range map[string]struct{ tree, want string }{
		"another_attribute": {`{"expression":"[mail]","name":"userPrincipalName","type":"Attribute"}`, ` says [mail] in expression, and [userPrincipalName] in name`},
		"another_constant":  {`{"expression":"\"a\"","name":"b","type":"Constant"}`, ` says "a" in expression, and "b" in name`},
		"another_kind":      {`{"expression":"[mail]","name":"mail","type":"Constant"}`, ` says [mail] in expression, and "mail" in name`},
		"another_argument": {
			`{"expression":"ToLower([old])","name":"ToLower","type":"Function","parameters":[{"key":"source","value":{"expression":"[new]","name":"new","type":"Attribute"}}]}`,
			` says ToLower([old]) in expression, and ToLower([new]) in name and parameters`,
		},
		"another_function":            {`{"expression":"ToLower([mail])","name":"ToUpper","type":"Function","parameters":[{"key":"source","value":` + attribute + `}]}`, ` says ToLower([mail]) in expression, and ToUpper([mail])`},
		"another_function_text_alone": {`{"expression":"ToLower([mail])","name":"ToUpper","type":"Function"}`, ` says ToLower([mail]) in expression, and ToUpper() in name`},
		"deep_inside": {
			`{"expression":"ToLower([mail])","name":"ToLower","type":"Function","parameters":[{"key":"source","value":{"expression":"[other]","name":"mail","type":"Attribute"}}]}`,
			`/parameters/0/value says [other] in expression, and [mail] in name`,
		},
		"text_that_cannot_be_read": {`{"expression":"ToLower([mail]","name":"ToLower","type":"Function","parameters":[{"key":"source","value":` + attribute + `}]}`, ` says ToLower([mail] (which cannot be read) in expression, and ToLower([mail]) in`},

		"same":               {`{"expression":"ToLower([mail])","name":"ToLower","type":"Function","parameters":[{"key":"source","value":` + attribute + `}]}`, ""},
		"other_spaces":       {`{"expression":" ToLower( [mail] ,)","name":"ToLower","type":"Function","parameters":[{"key":"Source","value":` + attribute + `}]}`, ""},
		"a_number":           {`{"expression":"Mid([mail], 1, 8)","name":"Mid","type":"Function","parameters":[{"key":"source","value":` + attribute + `},{"key":"start","value":{"expression":"\"1\"","name":"1","type":"Constant"}},{"key":"length","value":{"expression":"8","name":"8","type":"Constant"}}]}`, ""},
		"another_key_order":  {`{"expression":"Mid([mail], 1, 8)","name":"Mid","type":"Function","parameters":[{"key":"length","value":{"name":"8","type":"Constant"}},{"key":"start","value":{"name":"1","type":"Constant"}},{"key":"source","value":` + attribute + `}]}`, ""},
		"no_text":            {`{"name":"ToLower","type":"Function","parameters":[{"key":"source","value":` + attribute + `}]}`, ""},
		"text_alone":         {`{"expression":"ToLower([mail])","name":"ToLower","type":"Function"}`, ""},
		"text_without_name":  {`{"expression":"ToLower([mail])","type":"Function"}`, ""},
		"text_as_name":       {`{"expression":"ToLower([mail])","name":"ToLower([mail])","type":"Function"}`, ""},
		"unquoted_constant":  {`{"expression":"a b","name":"a b","type":"Constant"}`, ""},
		"tree_that_is_wrong": {`{"expression":"ToLower([mail])","name":"ToLower","type":"Function","parameters":[{"key":"bogus","value":` + attribute + `}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n expr.Node
			if err := json.Unmarshal([]byte(tt.tree), &n); err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, d := range n.Disagreements() {
				said = append(said, d.Path+" "+d.String())
			}
			got := strings.Join(said, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEveryExampleAgreesWithItsTree(t *testing.T) {
	t.Parallel()
	for _, f := range expr.Functions() {
		for _, x := range f.Examples {
			if found := parse(t, x.Expression).Source().Disagreements(); len(found) > 0 {
				t.Errorf("%s: %v", x.Expression, found)
			}
		}
	}
}
