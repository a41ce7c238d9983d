package scim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const both = `"schemas":["` + UserURN + `","` + EnterpriseURN + `"]`

func TestDecode(t *testing.T) {
	t.Parallel()
	user := `"schemas":["` + UserURN + `"],"userName":"ada"`
	for _, c := range []struct {
		name, body string
		want       string // the resource beyond schemas and userName "ada", as JSON members
		fixes      []string
		err        string // lenient
		errStrict  string
		says       string
	}{
		{name: "plain", body: user + `,"title":"Lead","active":true`, want: `"title":"Lead","active":true`},
		{name: "names_in_any_letter_case", body: user + `,"TITLE":"Lead","Name":{"GIVENname":"Ada"}`, want: `"title":"Lead","name":{"givenName":"Ada"}`},
		{name: "null_and_empty_are_absent", body: user + `,"title":null,"nickName":"","emails":[],"name":{"givenName":null},"roles":[],"addresses":null`},
		{name: "read_only_is_ignored", body: user + `,"id":"x","meta":{"resourceType":"User"},"groups":[{"value":"g"}]`},
		{name: "password_is_not_kept", body: user + `,"password":"secret"`, fixes: []string{"not-kept"}},
		{name: "external_id_is_kept", body: user + `,"externalId":"E1"`, want: `"externalId":"E1"`},

		{name: "text_boolean", body: user + `,"active":"False"`, want: `"active":false`, fixes: []string{"text-boolean"}, errStrict: "400 invalidValue"},
		{name: "text_boolean_inside", body: user + `,"emails":[{"value":"a","primary":"TRUE"}]`, want: `"emails":[{"value":"a","primary":true}]`, fixes: []string{"text-boolean"}, errStrict: "400 invalidValue"},
		{name: "active_that_cannot_be_understood", body: user + `,"active":"yes"`, err: "400 invalidValue", errStrict: "400 invalidValue", says: "active must be true or false"},
		{name: "active_empty", body: user + `,"active":""`, err: "400 invalidValue", errStrict: "400 invalidValue"},
		{name: "number_for_text", body: `"schemas":["` + UserURN + `"],"userName":1`, err: "400 invalidValue", errStrict: "400 invalidValue", says: "userName must be a string, not a number"},
		{name: "object_for_text", body: user + `,"title":{}`, err: "400 invalidValue", errStrict: "400 invalidValue"},
		{name: "list_for_single", body: user + `,"title":["Lead"]`, want: `"title":"Lead"`, fixes: []string{"list-for-single"}, errStrict: "400 invalidValue"},
		{name: "two_for_single", body: user + `,"title":["Lead","Head"]`, err: "400 invalidValue", errStrict: "400 invalidValue"},
		{name: "single_for_list", body: user + `,"emails":{"value":"a"}`, want: `"emails":[{"value":"a"}]`, fixes: []string{"single-for-list"}, errStrict: "400 invalidValue"},
		{name: "texts_for_elements", body: user + `,"emails":["a","b"]`, want: `"emails":[{"value":"a"},{"value":"b"}]`, fixes: []string{"text-for-object", "text-for-object"}, errStrict: "400 invalidValue"},
		{name: "text_for_an_address", body: user + `,"addresses":["London"]`, err: "400 invalidValue", errStrict: "400 invalidValue"},
		{name: "list_inside_a_list", body: user + `,"emails":[[{"value":"a"}]]`, err: "400 invalidValue", errStrict: "400 invalidValue"},
		{name: "repeated_value", body: user + `,"emails":[{"value":"a"},{"value":"a"}]`, want: `"emails":[{"value":"a"}]`},
		{name: "two_primaries", body: user + `,"emails":[{"value":"a","primary":true},{"value":"b","primary":true}]`, err: "400 invalidValue", errStrict: "400 invalidValue"},
		{name: "canonical_values_are_suggestions", body: user + `,"emails":[{"value":"a","type":"club"}]`, want: `"emails":[{"value":"a","type":"club"}]`},
		{name: "certificate_that_is_no_base64", body: user + `,"x509Certificates":[{"value":"***"}]`, err: "400 invalidValue", errStrict: "400 invalidValue"},

		{name: "unknown_attribute", body: user + `,"shoeSize":7`, fixes: []string{"unknown-attribute"}, errStrict: "400 invalidSyntax"},
		{name: "unknown_sub_attribute", body: user + `,"name":{"nick":"A","givenName":"Ada"}`, want: `"name":{"givenName":"Ada"}`, fixes: []string{"unknown-attribute"}, errStrict: "400 invalidSyntax"},
		{name: "only_unknown_sub_attributes", body: user + `,"name":{"nick":"A"}`, err: "400 invalidValue", errStrict: "400 invalidSyntax"},
		{name: "unknown_extension", body: user + `,"urn:x:User":{"a":1}`, fixes: []string{"unknown-attribute"}, errStrict: "400 invalidSyntax"},
		{name: "unknown_schema_of_microsoft", body: `"schemas":["` + UserURN + `","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"userName":"ada"`, fixes: []string{"unknown-schema"}, errStrict: "400 invalidSyntax"},
		{name: "schemas_missing", body: `"userName":"ada"`, fixes: []string{"undeclared-schema"}, errStrict: "400 invalidSyntax"},
		{name: "schemas_of_wrong_type", body: `"schemas":{},"userName":"ada"`, err: "400 invalidSyntax", errStrict: "400 invalidSyntax"},
		{name: "schemas_with_a_number", body: `"schemas":[1],"userName":"ada"`, err: "400 invalidSyntax", errStrict: "400 invalidSyntax"},

		{name: "extension", body: both + `,"userName":"ada",` + enterprise + `":{"department":"R&D"}`, want: enterprise + `":{"department":"R&D"}`},
		{name: "extension_named_and_absent", body: both + `,"userName":"ada"`},
		{name: "extension_not_named_in_schemas", body: user + `,` + enterprise + `":{"department":"R&D"}`, want: enterprise + `":{"department":"R&D"}`, fixes: []string{"undeclared-schema"}, errStrict: "400 invalidSyntax"},
		{name: "extension_that_names_itself", body: both + `,"userName":"ada",` + enterprise + `":{"department":"R&D","schemas":["` + strings.ToUpper(EnterpriseURN) + `"]}`, want: enterprise + `":{"department":"R&D"}`},
		{name: "extension_that_names_another", body: both + `,"userName":"ada",` + enterprise + `":{"department":"R&D","schemas":["` + UserURN + `"]}`, want: enterprise + `":{"department":"R&D"}`, fixes: []string{"unknown-attribute"}, errStrict: "400 invalidSyntax"},
		{name: "extension_null", body: both + `,"userName":"ada",` + enterprise + `":null`},
		{name: "extension_of_wrong_type", body: both + `,"userName":"ada",` + enterprise + `":"x"`, err: "400 invalidValue", errStrict: "400 invalidValue"},
		{name: "extension_urn_in_other_case", body: both + `,"userName":"ada","URN:IETF:params:scim:schemas:extension:enterprise:2.0:user":{"department":"R&D"}`, want: enterprise + `":{"department":"R&D"}`},
		{name: "unknown_in_extension", body: both + `,"userName":"ada",` + enterprise + `":{"desk":"7","department":"R&D"}`, want: enterprise + `":{"department":"R&D"}`, fixes: []string{"unknown-attribute"}, errStrict: "400 invalidSyntax"},
		{name: "only_unknown_in_extension", body: both + `,"userName":"ada",` + enterprise + `":{"desk":"7"}`, err: "400 invalidValue", errStrict: "400 invalidSyntax"},
		{name: "misspelt_urn_of_the_documentation", body: user + `,"urn:ietf:params:scim:schemas:extension:enterprise:2.0User":{"department":"R&D"}`, want: enterprise + `":{"department":"R&D"}`, fixes: []string{"schema-urn", "undeclared-schema"}, errStrict: "400 invalidSyntax"},
		{name: "scim_1_urns_of_onelogin", body: `"schemas":["urn:scim:schemas:core:1.0","urn:scim:schemas:extension:enterprise:1.0"],"userName":"ada","urn:scim:schemas:extension:enterprise:1.0":{"department":"R&D"}`, want: enterprise + `":{"department":"R&D"}`, fixes: []string{"schema-urn", "schema-urn", "schema-urn"}, errStrict: "400 invalidSyntax"},
		{name: "top_level_enterprise_attribute", body: both + `,"userName":"ada","department":"R&D","manager":"u-9"`, want: enterprise + `":{"department":"R&D","manager":{"value":"u-9"}}`, fixes: []string{"extension-attribute", "extension-attribute", "text-for-object"}, errStrict: "400 invalidSyntax"},
		{name: "extension_wins_over_top_level", body: both + `,"userName":"ada","department":"Sales",` + enterprise + `":{"department":"R&D"}`, want: enterprise + `":{"department":"R&D"}`, errStrict: "400 invalidSyntax"},
		{name: "core_attributes_under_the_core_urn", body: `"schemas":["` + UserURN + `"],"` + UserURN + `":{"userName":"ada","title":"Lead"}`, want: `"title":"Lead"`, fixes: []string{"schema-urn"}, errStrict: "400 invalidSyntax"},
		{name: "nulls_of_entra_at_top_level", body: both + `,"userName":"ada","addresses":null,"department":null,"manager":null`, fixes: []string{"extension-attribute", "extension-attribute"}, errStrict: "400 invalidSyntax"},
		{name: "manager_text_in_the_extension", body: both + `,"userName":"ada",` + enterprise + `":{"manager":"u-9"}`, want: enterprise + `":{"manager":{"value":"u-9"}}`, fixes: []string{"text-for-object"}, errStrict: "400 invalidValue"},

		{name: "same_name_twice", body: user + `,"title":"a","title":"b"`, err: "400 invalidSyntax", errStrict: "400 invalidSyntax", says: `names "title" twice`},
		{name: "same_name_twice_in_other_case", body: user + `,"title":"a","Title":"b"`, err: "400 invalidSyntax", errStrict: "400 invalidSyntax"},
		{name: "same_name_twice_inside", body: user + `,"emails":[{"value":"a","VALUE":"b"}]`, err: "400 invalidSyntax", errStrict: "400 invalidSyntax"},
	} {
		for _, mode := range []Mode{Lenient, Strict} {
			t.Run(c.name+"/"+modeName(mode), func(t *testing.T) {
				t.Parallel()
				got, fixes, err := Decode(UserType(), []byte(`{`+c.body+`}`), mode)
				wantErr := c.err
				if mode == Strict {
					wantErr = c.errStrict
				}
				if wantErr != "" {
					patchCase{says: c.says}.checkError(t, err, wantErr)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				want := Resource{}
				if c.want != "" {
					want = mustParse(t, []byte(`{`+c.want+`}`))
				}
				want["userName"] = "ada"
				want["schemas"] = UserType().schemaURNs(want)
				if diff := cmp.Diff(got, want); diff != "" {
					t.Errorf("(-got +want):\n%s", diff)
				}
				var codes []string
				for _, f := range fixes {
					codes = append(codes, f.Code)
				}
				if diff := cmp.Diff(codes, c.fixes); diff != "" && mode == Lenient {
					t.Errorf("fixes (-got +want):\n%s", diff)
				}
			})
		}
	}
}

func TestDecodeRefusesAValueOfReadOnlyPartsAlone(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Lenient, Strict} {
		body := `{"schemas":["` + GroupURN + `"],"displayName":"Team","members":[{"value":"u-1"},{"display":"Ada"}]}`
		_, _, err := Decode(GroupType(), []byte(body), mode)
		patchCase{says: `has only "display"`}.checkError(t, err, "400 invalidValue")
		_, _, _, err = DecodeStream(GroupType(), strings.NewReader(body), mode, Stream{Name: "members", Each: func(any) error { return nil }})
		patchCase{says: `has only "display"`}.checkError(t, err, "400 invalidValue")
		for _, op := range []string{`{"op":"add","path":"members","value":{"display":"Ada"}}`, `{"op":"replace","value":{"members":[{"display":"Ada"}]}}`} {
			_, _, err = DecodePatch(GroupType(), []byte(`{"schemas":["`+PatchOpURN+`"],"Operations":[`+op+`]}`), mode)
			patchCase{says: `has only "display"`}.checkError(t, err, "400 invalidValue")
		}
		_, _, err = Decode(GroupType(), []byte(strings.Replace(body, `"Ada"`, `null`, 1)), mode)
		patchCase{says: "value 2 has no content"}.checkError(t, err, "400 invalidValue")
	}
}

// sizes is a site's own resource type with an attribute of every type.
func sizes(t testing.TB) *ResourceType {
	t.Helper()
	s, err := ParseSchema([]byte(`{"id":"urn:example:2.0:Size","name":"Size","attributes":[
		{"name":"label","required":true,"caseExact":true,"mutability":"immutable"},
		{"name":"count","type":"integer"},
		{"name":"ratio","type":"decimal"},
		{"name":"due","type":"dateTime"},
		{"name":"photo","type":"binary"},
		{"name":"on","type":"boolean"},
		{"name":"tags","multiValued":true},
		{"name":"hidden","returned":"request"},
		{"name":"box","type":"complex","subAttributes":[{"name":"width","type":"integer","required":true},{"name":"secret","returned":"request"}]}
	]}`))
	if err != nil {
		t.Fatal(err)
	}
	return &ResourceType{ID: "Size", Name: "Size", Endpoint: "/Sizes", Schema: s}
}

func TestDecodeTypes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		member, want, err string
		fix               string
	}{
		{member: `"count":7`, want: `"count":7`},
		{member: `"count":9007199254740993`, want: `"count":9007199254740993`},
		{member: `"count":-9223372036854775808`, want: `"count":-9223372036854775808`},
		{member: `"count":9223372036854775808`, err: "400 invalidValue"},
		{member: `"count":7.0`, want: `"count":7`},
		{member: `"count":7e2`, want: `"count":700`},
		{member: `"count":7.5`, err: "400 invalidValue"},
		{member: `"count":"7"`, want: `"count":7`, fix: "text-number"},
		{member: `"count":"07"`, err: "400 invalidValue"},
		{member: `"count":"seven"`, err: "400 invalidValue"},
		{member: `"count":true`, err: "400 invalidValue"},
		{member: `"count":1e400`, err: "400 invalidValue"},
		{member: `"ratio":0.1`, want: `"ratio":0.1`},
		{member: `"ratio":1.10`, want: `"ratio":1.1`},
		{member: `"ratio":3.0`, want: `"ratio":3`},
		{member: `"ratio":1e-7`, want: `"ratio":1e-07`},
		{member: `"ratio":12345678901234567.25`, err: "400 invalidValue"},
		{member: `"ratio":1e-999999999999`, err: "400 invalidValue"},
		{member: `"ratio":"2.5"`, want: `"ratio":2.5`, fix: "text-number"},
		{member: `"due":"2026-01-31T08:00:00Z"`, want: `"due":"2026-01-31T08:00:00Z"`},
		{member: `"due":"2026-01-31T08:00:00.123456+02:00"`, want: `"due":"2026-01-31T08:00:00.123456+02:00"`},
		{member: `"due":"2026-01-31T08:00:00"`, want: `"due":"2026-01-31T08:00:00"`},
		{member: `"due":"31.1.2026"`, err: "400 invalidValue"},
		{member: `"photo":"aGk="`, want: `"photo":"aGk="`},
		{member: `"photo":"_-8"`, want: `"photo":"_-8"`},
		{member: `"photo":"a b"`, err: "400 invalidValue"},
		{member: `"on":"1"`, want: `"on":true`, fix: "text-boolean"},
		{member: `"tags":["a","b","A","",null]`, want: `"tags":["a","b"]`},
		{member: `"tags":"a"`, want: `"tags":["a"]`, fix: "single-for-list"},
		{member: `"tags":[1]`, want: `"tags":["1"]`, fix: "number-for-text"},
		{member: `"hidden":"x"`, want: `"hidden":"x"`},
	} {
		t.Run(c.member, func(t *testing.T) {
			t.Parallel()
			rt := sizes(t)
			r, fixes, err := Decode(rt, []byte(`{"schemas":["urn:example:2.0:Size"],"label":"L",`+c.member+`}`), Lenient)
			if c.err != "" {
				patchCase{}.checkError(t, err, c.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := `{"schemas":["urn:example:2.0:Size"],"label":"L",` + c.want + `}`
			if got := string(Encode(rt, r)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if code := strings.Join(codesOf(fixes), " "); code != c.fix {
				t.Errorf("got fixes %q, want %q", code, c.fix)
			}
		})
	}
}

func codesOf(fixes []Fix) []string {
	var codes []string
	for _, f := range fixes {
		codes = append(codes, f.Code)
	}
	return codes
}

func TestDecodeKeepsFixesFew(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"schemas":["` + UserURN + `"],"userName":"a"`)
	for i := range 1000 {
		fmt.Fprintf(&b, `,"x%d":1`, i)
	}
	b.WriteString(`}`)
	_, fixes, err := Decode(UserType(), []byte(b.String()), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	if got := fixes[len(fixes)-1]; len(fixes) != 50 || got.Code != "more" || got.Text != "951 more like these" {
		t.Errorf("got %d fixes, the last %+v", len(fixes), got)
	}
}

func TestDecodeRefusesBrokenJSON(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for name, c := range map[string]struct{ body, err, says string }{
		"empty":                   {"", "400 invalidSyntax", "The body is empty"},
		"blank":                   {" \n", "400 invalidSyntax", "The body is empty"},
		"a_list":                  {"[]", "400 invalidSyntax", "must be a JSON object, not a list"},
		"a_text":                  {`"x"`, "400 invalidSyntax", "not the string"},
		"null":                    {"null", "400 invalidSyntax", "not null"},
		"cut_off":                 {`{"userName":`, "400 invalidSyntax", "ends too early"},
		"two_values":              {`{} {}`, "400 invalidSyntax", "there is more after the end"},
		"place":                   {"{\n  \"userName\": tru\n}", "400 invalidSyntax", "line 2, column 15"},
		"trailing_comma":          {`{"a":1,}`, "400 invalidSyntax", "a name in double quotes"},
		"trailing_comma_in_list":  {`{"a":[1,]}`, "400 invalidSyntax", "a value is expected"},
		"no_comma":                {`{"a":1 "b":2}`, "400 invalidSyntax", "a comma or }"},
		"no_comma_in_list":        {`{"a":[1 2]}`, "400 invalidSyntax", "a comma or ]"},
		"no_colon":                {`{"a" 1}`, "400 invalidSyntax", "a colon"},
		"name_without_quotes":     {`{a:1}`, "400 invalidSyntax", "a name in double quotes"},
		"single_quotes":           {`{'a':1}`, "400 invalidSyntax", "a name in double quotes"},
		"comment":                 {`{/**/}`, "400 invalidSyntax", ""},
		"string_not_closed":       {`{"a":"b`, "400 invalidSyntax", "not closed"},
		"escape_not_closed":       {`{"a":"b\`, "400 invalidSyntax", "not closed"},
		"escaped_not_closed":      {`{"a":"\nb`, "400 invalidSyntax", "not closed"},
		"bad_escape":              {`{"a":"\q"}`, "400 invalidSyntax", `\q is not a JSON escape`},
		"bad_unicode_escape":      {`{"a":"\u12g4"}`, "400 invalidSyntax", `\u escape`},
		"short_unicode_escape":    {`{"a":"\u12`, "400 invalidSyntax", `\u escape`},
		"lone_high_surrogate":     {`{"a":"\ud83d"}`, "400 invalidSyntax", "surrogate"},
		"lone_low_surrogate":      {`{"a":"\ude00"}`, "400 invalidSyntax", "surrogate"},
		"control_character":       {"{\"a\":\"b\nc\"}", "400 invalidSyntax", "control character"},
		"control_after_escape":    {"{\"a\":\"\\nb\x01c\"}", "400 invalidSyntax", "control character"},
		"invalid_utf8":            {"{\"userName\":\"\xff\"}", "400 invalidSyntax", "UTF-8"},
		"utf16":                   {"\xff\xfe{\x00}\x00", "400 invalidSyntax", "UTF-8"},
		"nul":                     {`{"userName":"a\u0000b"}`, "400 invalidValue", "NUL"},
		"leading_zero":            {`{"a":01}`, "400 invalidSyntax", ""},
		"plus":                    {`{"a":+1}`, "400 invalidSyntax", ""},
		"point_without_digits":    {`{"a":1.}`, "400 invalidSyntax", ""},
		"exponent_without_digits": {`{"a":1e}`, "400 invalidSyntax", ""},
		"minus_alone":             {`{"a":-}`, "400 invalidSyntax", "number is malformed"},
		"nan":                     {`{"a":NaN}`, "400 invalidSyntax", ""},
		"depth_17":                {`{"a":` + deep(16) + `}`, "400 invalidSyntax", "deeper than 16"},
		"depth_of_a_million":      {strings.Repeat(`{"a":`, 1_000_000), "400 invalidSyntax", "deeper than 16"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Decode(UserType(), []byte(c.body), Lenient)
			patchCase{says: c.says}.checkError(t, err, c.err)
		})
	}
}

func TestDecodeAcceptsAllOfJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"byte_order_mark": {"\xef\xbb\xbf{\"userName\":\"a\"}", "a"},
		"white_space":     {" \t\r\n{ \"userName\" \n: \"a\" \t} ", "a"},
		"escapes":         {`{"userName":"\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\uDE00"}`, "\"\\/\b\f\n\r\té€😀"},
		"raw_unicode":     {`{"userName":"é€😀"}`, "é€😀"},
		"depth_16":        {`{"a":` + strings.Repeat(`[`, 15) + strings.Repeat(`]`, 15) + `,"userName":"a"}`, "a"},
		"numbers":         {`{"a":[0,-0,1.5,-1.5e-3,2E+7,123456789012345678901234567890],"userName":"a"}`, "a"},
		"empty_name":      {`{"":1,"userName":"a"}`, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _, err := Decode(UserType(), []byte(c.body), Lenient)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.String("userName"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDecodeFindsDuplicatesInLargeObjects(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, `"x%d":1,`, i)
	}
	body := `{` + b.String() + `"X99":2}`
	_, _, err := Decode(UserType(), []byte(body), Lenient)
	patchCase{says: `"X99" twice`}.checkError(t, err, "400 invalidSyntax")
}
