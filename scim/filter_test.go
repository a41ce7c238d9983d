package scim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// treeOptions compares parsed trees by their exported content.
var treeOptions = cmp.Options{
	cmpopts.IgnoreFields(Compare{}, "Attr", "operand"),
	cmpopts.IgnoreFields(Present{}, "Attr"),
	cmpopts.IgnoreFields(ValuePath{}, "Attr"),
}

func parseFilter(t testing.TB, rt *ResourceType, text string) *Filter {
	t.Helper()
	f, _, err := ParseFilter(rt, text, Lenient)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return f
}

func TestParseFilterTree(t *testing.T) {
	t.Parallel()
	eq := func(name, value string) Compare {
		return Compare{Path: AttrPath{Name: name}, Op: Eq, Value: value}
	}
	ent := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	for text, want := range map[string]Node{
		`userName eq "a" or title eq "b" and nickName eq "c"`:   Or{eq("userName", "a"), And{eq("title", "b"), eq("nickName", "c")}},
		`(userName eq "a" or title eq "b") and nickName eq "c"`: And{Or{eq("userName", "a"), eq("title", "b")}, eq("nickName", "c")},
		`userName eq "a" and title eq "b" and nickName eq "c"`:  And{And{eq("userName", "a"), eq("title", "b")}, eq("nickName", "c")},
		`not (userName eq "a") and title eq "b"`:                And{Not{eq("userName", "a")}, eq("title", "b")},
		`NOT(USERNAME EQ "a")`:                                  Not{eq("userName", "a")},
		`title pr`:                                              Present{Path: AttrPath{Name: "title"}},
		`NAME.givenname SW "a"`:                                 Compare{Path: AttrPath{Name: "name", Sub: "givenName"}, Op: Sw, Value: "a"},
		`emails co "a"`:                                         Compare{Path: AttrPath{Name: "emails", Sub: "value"}, Op: Co, Value: "a"},
		`emails[type eq "work"]`:                                ValuePath{Path: AttrPath{Name: "emails"}, Filter: eq("type", "work")},
		`emails[type eq "work"].value eq "a"`:                   ValuePath{Path: AttrPath{Name: "emails"}, Filter: And{eq("type", "work"), eq("value", "a")}},
		`emails[type eq "work"] eq "a"`:                         ValuePath{Path: AttrPath{Name: "emails"}, Filter: And{eq("type", "work"), eq("value", "a")}},
		`emails[type eq "work"].value pr`:                       ValuePath{Path: AttrPath{Name: "emails"}, Filter: And{eq("type", "work"), Present{Path: AttrPath{Name: "value"}}}},
		`emails[type eq "work"] and title eq "b"`:               And{ValuePath{Path: AttrPath{Name: "emails"}, Filter: eq("type", "work")}, eq("title", "b")},
		`manager eq "u-9"`:                                      Compare{Path: AttrPath{URN: ent, Name: "manager", Sub: "value"}, Op: Eq, Value: "u-9"},
		ent + `:department eq "R&D"`:                            Compare{Path: AttrPath{URN: ent, Name: "department"}, Op: Eq, Value: "R&D"},
		strings.ToUpper(ent) + `:Manager.Value eq "u-9"`:        Compare{Path: AttrPath{URN: ent, Name: "manager", Sub: "value"}, Op: Eq, Value: "u-9"},
		UserURN + `:name.familyName eq "b"`:                     Compare{Path: AttrPath{Name: "name", Sub: "familyName"}, Op: Eq, Value: "b"},
		`active eq false`:                                       Compare{Path: AttrPath{Name: "active"}, Op: Eq, Value: false},
		`active eq "False"`:                                     Compare{Path: AttrPath{Name: "active"}, Op: Eq, Value: false},
		`emails[primary eq "True"]`:                             ValuePath{Path: AttrPath{Name: "emails"}, Filter: Compare{Path: AttrPath{Name: "primary"}, Op: Eq, Value: true}},
		`nickName eq null`:                                      Compare{Path: AttrPath{Name: "nickName"}, Op: Eq},
		`name ne null`:                                          Compare{Path: AttrPath{Name: "name"}, Op: Ne},
		`externalId eq 701984`:                                  eq("externalId", "701984"),
		`externalId eq jyoung`:                                  eq("externalId", "jyoung"),
		`(userName eq a@b.c)`:                                   eq("userName", "a@b.c"),
		`displayName eq "x and y] or (z" and title pr`:          And{eq("displayName", "x and y] or (z"), Present{Path: AttrPath{Name: "title"}}},
		`displayName eq "a\"b\\c\u00e9"`:                        eq("displayName", `a"b\cé`),
		`  userName   eq   "a"  `:                               eq("userName", "a"),
		`userName eq"a"`:                                        eq("userName", "a"),
		"userName\teq\n\"a\"":                                   eq("userName", "a"),
		`members.$ref pr`:                                       nil,
		`meta.lastModified gt "2026-01-01T00:00:00Z"`:           Compare{Path: AttrPath{Name: "meta", Sub: "lastModified"}, Op: Gt, Value: "2026-01-01T00:00:00Z"},
		`id eq "u" and manager eq "m"`:                          And{eq("id", "u"), Compare{Path: AttrPath{URN: ent, Name: "manager", Sub: "value"}, Op: Eq, Value: "m"}},
		`schemas eq "urn:x"`:                                    eq("schemas", "urn:x"),
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department eq "a"`: Compare{Path: AttrPath{URN: ent, Name: "department"}, Op: Eq, Value: "a"},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			rt := UserType()
			if want == nil {
				rt, want = GroupType(), Present{Path: AttrPath{Name: "members", Sub: "$ref"}}
			}
			f := parseFilter(t, rt, text)
			if diff := cmp.Diff(f.Root, want, treeOptions); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			again := parseFilter(t, rt, f.String())
			if diff := cmp.Diff(again.Root, f.Root, treeOptions); diff != "" {
				t.Errorf("printed %s and read again (-got +want):\n%s", f, diff)
			}
		})
	}
}

func TestParseFilterErrors(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("(", n) + `userName pr` + strings.Repeat(")", n) }
	joined := func(n int) string { return strings.Repeat(`title pr or `, n-1) + `title pr` }
	for name, c := range map[string]struct {
		text, err, says string
		strictOnly      bool
	}{
		"unknown_attribute":        {`shoeSize eq 7`, "400 invalidFilter", `User has no attribute "shoeSize"`, false},
		"unknown_sub_attribute":    {`name.nick eq "x"`, "400 invalidFilter", `"name.nick"`, false},
		"unknown_in_value_path":    {`emails[colour eq "x"]`, "400 invalidFilter", `emails has no sub-attribute "colour"`, false},
		"unknown_after_value_path": {`emails[type eq "x"].colour eq "x"`, "400 invalidFilter", `"colour"`, false},
		"unknown_extension":        {`urn:x:2.0:User:a eq "x"`, "400 invalidFilter", `"urn:x:2.0:User:a"`, false},
		"unknown_operator":         {`userName regex "x"`, "400 invalidFilter", `"regex" is not an operator`, false},
		"a_schema_alone":           {UserURN + ` pr`, "400 invalidFilter", "is a schema", false},
		"position":                 {`title pr and userName xx "a"`, "400 invalidFilter", "at character 23", false},
		"complex_without_value":    {`name eq "x"`, "400 invalidFilter", "name is complex", false},
		"complex_list_no_value":    {`addresses co "x"`, "400 invalidFilter", "addresses is complex", false},
		"order_of_booleans":        {`active gt true`, "400 invalidFilter", "active cannot be compared by gt", false},
		"parts_of_booleans":        {`active co true`, "400 invalidFilter", "", false},
		"text_for_boolean":         {`active eq "perhaps"`, "400 invalidFilter", "active is of type boolean", false},
		"text_true_for_boolean":    {`active eq "true"`, "400 invalidFilter", "", true},
		"number_for_text":          {`userName eq 5`, "400 invalidFilter", "", true},
		"unquoted":                 {`userName eq a`, "400 invalidFilter", "double quotes", true},
		"enterprise_without_urn":   {`manager eq "m"`, "400 invalidFilter", "", true},
		"no_time":                  {`meta.created gt "yesterday"`, "400 invalidFilter", "", false},
		"order_of_null":            {`title gt null`, "400 invalidFilter", "null", false},
		"password":                 {`password eq "x"`, "403 sensitive", "password cannot be used", false},
		"password_presence":        {`password pr`, "403 sensitive", "", false},
		"single_quotes":            {`userName eq 'x'`, "400 invalidFilter", "double quotes", true},
		"value_path_of_sub":        {`emails.value[type eq "x"]`, "400 invalidFilter", "", false},
		"depth_17":                 {nested(17), "400 invalidFilter", "deeper than 16", false},
		"depth_10000":              {strings.Repeat("(", 4000), "400 invalidFilter", "deeper than 16", false},
		"single_quotes_not_closed": {`userName eq 'x`, "400 invalidFilter", "", false},
		"65_terms":                 {joined(65), "400 invalidFilter", "more than 64 terms", false},
		"4097_bytes":               {`userName eq "` + strings.Repeat("a", 4083) + `"`, "400 invalidFilter", "at most 4096", false},
		"invalid_utf8":             {"userName eq \"\xff\"", "400 invalidFilter", "UTF-8", false},
		"nul":                      {"userName eq \"\x00\"", "400 invalidFilter", "UTF-8", false},
		"nul_escape":               {`userName eq "\u0000"`, "400 invalidFilter", "", false},
		"dangling_keyword":         {`userName eq and`, "400 invalidFilter", "", false},
	} {
		for _, mode := range []Mode{Lenient, Strict} {
			if c.strictOnly && mode == Lenient {
				continue
			}
			t.Run(name+"/"+modeName(mode), func(t *testing.T) {
				t.Parallel()
				_, _, err := ParseFilter(UserType(), c.text, mode)
				patchCase{says: c.says}.checkError(t, err, c.err)
			})
		}
	}
	for name, text := range map[string]string{"depth_16": nested(16), "64_terms": joined(64), "4096_bytes": `userName eq "` + strings.Repeat("a", 4082) + `"`} {
		t.Run(name+"_is_allowed", func(t *testing.T) {
			t.Parallel()
			parseFilter(t, UserType(), text)
		})
	}
}

// A double quote within single quotes hides the rest of the filter from checkDepth.
func TestParseFilterCountsBracketsBehindSingleQuotes(t *testing.T) {
	t.Parallel()
	text := `userName eq '"' and ` + strings.Repeat("(", 17) + "title pr" + strings.Repeat(")", 17)
	_, _, err := ParseFilter(UserType(), text, Lenient)
	patchCase{says: "deeper than 16"}.checkError(t, err, "400 invalidFilter")
}

// Reading the rest of the text again for each character, or each bracket, would take longer than all tests may.
func TestParseFilterReadsHostileTextOnce(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"brackets":   strings.Repeat("(", 1<<20) + "userName pr" + strings.Repeat(")", 1<<20),
		"nots":       strings.Repeat("not (", 1<<20),
		"a_megabyte": strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := ParseFilter(UserType(), text, Lenient)
			patchCase{}.checkError(t, err, "400 invalidFilter")
		})
	}
}

func TestParseFilterReportsFixes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]Fix{
		`userName eq "a"`:    nil,
		`userName eq a`:      {{"unquoted-value", "userName", `"a" read as a string`}},
		`externalId eq 7`:    {{"unquoted-value", "externalId", `"7" read as a string`}},
		`active eq "True"`:   {{"text-boolean", "active", `"True" read as true`}},
		`department eq "R"`:  {{"extension-attribute", "department", "read as " + EnterpriseURN + ":department"}},
		`emails[type eq a]`:  {{"unquoted-value", "type", `"a" read as a string`}},
		`userName eq "true"`: nil,
	} {
		_, got, err := ParseFilter(UserType(), text, Lenient)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", text, diff)
		}
	}
}

func TestFilterMatch(t *testing.T) {
	t.Parallel()
	babs := mustParse(t, readTestdata(t, "babs.json"))
	for _, c := range []struct {
		text string
		want bool
	}{
		{`userName ne "bjensen"`, false},
		{`userName ne "x"`, true},
		{`profileUrl ne "x"`, true},
		{`profileUrl eq ""`, false},
		{`nickName eq null`, true},
		{`nickName ne null`, false},
		{`title eq null`, false},
		{`title ne null`, true},
		{`name ne null`, true},
		{`addresses eq null`, true},
		{`emails ne "bjensen@example.com"`, true},
		{`emails.type ne "home"`, true},
		{`ims.type ne "xmpp"`, false},
		{`emails[type ne "work" and value sw "BABS"]`, true},
		{`emails.primary eq false`, false},
		{`emails[not (primary eq true)]`, true},
		{`emails[primary eq null]`, true},
		{`title gt "A" and title lt "Z"`, true},
		{`title ge "tour guide" and title le "TOUR GUIDE"`, true},
		{`userName co "JEN"`, true},
		{`userName co ""`, true},
		{`id sw "2819C"`, false},
		{`meta.lastModified eq "2011-05-13T00:42:34-04:00"`, true},
		{`meta.lastModified ne "2011-05-13T04:42:34.000Z"`, false},
		{`meta.lastModified sw "2011"`, true},
		{`meta.resourceType eq "user"`, false},
		{`meta.location pr`, false},
		{`groups pr`, false},
		{`schemas eq "URN:ietf:params:scim:schemas:core:2.0:user"`, true},
		{`schemas ne "urn:ietf:params:scim:schemas:core:2.0:User"`, true},
		{`manager eq "26118915-6090-4610-87e4-49d8ca9f808d"`, true},
		{`manager eq "26118915-6090-4610-87E4-49D8CA9F808D"`, false},
		{EnterpriseURN + `:costCenter pr`, false},
		{EnterpriseURN + `:manager[value sw "2611"]`, true},
		{`displayName eq "Babs and \"B\" [or] (Jensen)"`, true},
		{`not (title pr) or not (userName eq "x") and active eq true`, true},
		{`emails[type eq "work"].value ew "@example.com"`, true},
		{`emails[type eq "other"].value ne "x"`, false},
		{`emails[type eq "work"] eq "bjensen@example.com"`, true},
		{`name.familyName eq "O'Malley" and (title pr and not (ims pr))`, false},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			f := parseFilter(t, UserType(), c.text)
			if got := f.Match(babs); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			printed := parseFilter(t, UserType(), f.String())
			if got := printed.Match(babs); got != c.want {
				t.Errorf("printed as %s: got %v, want %v", f, got, c.want)
			}
		})
	}
}

func TestFilterMatchByType(t *testing.T) {
	t.Parallel()
	r := Resource{
		"label": "Über", "count": int64(9007199254740993), "ratio": 2.5, "due": "2026-01-31T08:00:00Z",
		"photo": "aGk=", "on": false, "tags": []any{"Red", "Blue"}, "box": map[string]any{"width": int64(3)},
	}
	for text, want := range map[string]bool{
		`label eq "über"`:                    false, // caseExact
		`label eq "Über"`:                    true,
		`count eq 9007199254740993`:          true,
		`count eq 9007199254740992`:          false,
		`count gt 9007199254740992`:          true,
		`count le 1e3`:                       false,
		`count gt 0.5`:                       true,
		`count eq "9007199254740993"`:        true,
		`ratio eq 2.50`:                      true,
		`ratio gt 2 and ratio lt 3`:          true,
		`ratio ne 2.5`:                       false,
		`due ge "2026-01-31T09:00:00+01:00"`: true,
		`due lt "2026-01-31T08:00:00.001Z"`:  true,
		`photo eq "AGK="`:                    false,
		`photo eq "aGk="`:                    true,
		`on eq false`:                        true,
		`on ne true`:                         true,
		`on pr`:                              true,
		`tags eq "red"`:                      true,
		`tags co "lu"`:                       true,
		`tags[value eq "BLUE"]`:              true,
		`tags[value eq "green"]`:             false,
		`tags ne "red"`:                      true,
		`box.width lt 4`:                     true,
		`box pr`:                             true,
		`hidden pr`:                          false,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := parseFilter(t, sizes(t), text).Match(r); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	_, _, err := ParseFilter(sizes(t), `tags[other eq "x"]`, Lenient)
	patchCase{says: "name them value"}.checkError(t, err, "400 invalidFilter")
	_, _, err = ParseFilter(sizes(t), `count co 7`, Lenient)
	patchCase{says: "is a number"}.checkError(t, err, "400 invalidFilter")
	_, _, err = ParseFilter(sizes(t), `photo gt "a"`, Lenient)
	patchCase{}.checkError(t, err, "400 invalidFilter")
}

func TestFilterWithoutSchema(t *testing.T) {
	t.Parallel()
	r := Resource{
		"UserName": "Ada", "active": "True", "enabled": true, "level": int64(5), "code": "5",
		"emails":    []any{map[string]any{"Value": "a@x", "TYPE": "work"}},
		"urn:x:2.0": map[string]any{"Badge": "7"}, "when": "2026-01-01T00:00:00Z",
	}
	for text, want := range map[string]bool{
		`username eq "ada"`:                     true,
		`USERNAME pr`:                           true,
		`active eq true`:                        true,
		`active ne true`:                        false,
		`enabled eq "True"`:                     true,
		`enabled eq "x"`:                        false,
		`level eq 5`:                            true,
		`level eq "5"`:                          true,
		`level gt 4.5`:                          true,
		`code eq 5`:                             true,
		`emails[type eq "WORK"].value eq "A@X"`: true,
		`emails eq "a@x"`:                       true,
		`emails.value co "x"`:                   true,
		`urn:X:2.0:badge eq "7"`:                true,
		`unknown eq "x"`:                        false,
		`unknown ne "x"`:                        true,
		`level eq bare`:                         false,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := parseFilter(t, nil, text).Match(r); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestFilterNodesMadeByHand(t *testing.T) {
	t.Parallel()
	f := Filter{And{Compare{Path: AttrPath{Name: "userName"}, Op: Eq, Value: "ADA"}, Not{Present{Path: AttrPath{Name: "title"}}}}}
	if !f.Match(Resource{"userName": "ada"}) {
		t.Error("got no match, want one")
	}
	if got, want := f.String(), `userName eq "ADA" and not (title pr)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	f, _, err := ParseFilter(UserType(), `userName eq "a" and (not (title pr) or emails[type eq "work" and not (value pr)]) and groups.$ref co "x" and emails eq "y"`, Strict)
	if err != nil {
		t.Fatal(err)
	}
	want := []AttrPath{{Name: "userName"}, {Name: "title"}, {Name: "emails", Sub: "type"}, {Name: "emails", Sub: "value"}, {Name: "groups", Sub: "$ref"}, {Name: "emails", Sub: "value"}}
	if diff := cmp.Diff(Paths(f.Root), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	words := []string{"", "a", "A", "k", "K", "\u212a", "s", "S", "ſ", "straße", "STRASSE", "STRAẞE", "Σίσυφος", "ΣΊΣΥΦΟΣ", "é", "É", "ADA@x.Example", "ada@X.example", "İ", "i", "ı", "ǆ", "ǅ", "Ǆ"}
	for _, a := range words {
		for _, b := range words {
			if got, want := Fold(a) == Fold(b), strings.EqualFold(a, b); got != want {
				t.Errorf("Fold(%q) == Fold(%q): got %v, want %v", a, b, got, want)
			}
		}
	}
	if got := Fold("ABC-xyz"); got != "abc-xyz" {
		t.Errorf("got %q", got)
	}
	// RFC 7644 §5, RFC 7613 §3.2.2: composed and wide characters.
	for a, b := range map[string]string{
		"JOS\u00c9": "jose\u0301", "\u01d5": "u\u0308\u0304", "Ａda＠x": "ada@x", "ﾃﾞ": "デ", "\u212b": "å", "\u017f\u0301": "Ś", "\ud55c": "\u1112\u1161\u11ab",
	} {
		if Fold(a) != Fold(b) {
			t.Errorf("Fold(%q) is %q, Fold(%q) is %q; want them equal", a, Fold(a), b, Fold(b))
		}
	}
	for a, b := range map[string]string{"e": "é", "a\u0301b": "ab\u0301", "ß": "ss", "ﬁ": "fi"} {
		if Fold(a) == Fold(b) {
			t.Errorf("Fold(%q) and Fold(%q) are both %q", a, b, Fold(a))
		}
	}
}

func ExampleParseFilter() {
	f, _, err := ParseFilter(UserType(), `userName sw "J" or title pr and not (active eq false)`, Strict)
	fmt.Println(f, err)
	fmt.Println(f.Match(Resource{"userName": "ada", "title": "Analyst", "active": true}))
	// Output:
	// userName sw "J" or title pr and not (active eq false) <nil>
	// true
}

func TestSort(t *testing.T) {
	t.Parallel()
	people := []Resource{
		{"id": "3", "userName": "b"},
		{"id": "1", "userName": "C", "title": "x", "emails": []any{map[string]any{"value": "z"}, map[string]any{"value": "a", "primary": true}}},
		{"id": "2", "userName": "A", "title": "Y", "emails": []any{map[string]any{"value": "m"}}},
	}
	for by, want := range map[string]string{"userName": "231", "title": "123", "-title": "321", "emails": "123", "emails.value": "123", "-userName": "132"} {
		name, descending := strings.CutPrefix(by, "-")
		order := "ascending"
		if descending {
			order = "descending"
		}
		s, err := ParseSort(UserType(), name, order)
		if err != nil {
			t.Fatal(err)
		}
		sorted := slices.Clone(people)
		slices.SortFunc(sorted, s.Compare)
		got := ""
		for _, r := range sorted {
			got += r.String("id")
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", by, got, want)
		}
	}
	for _, bad := range [][2]string{{"shoeSize", ""}, {"userName", "up"}, {"name", ""}, {"password", ""}} {
		if _, err := ParseSort(UserType(), bad[0], bad[1]); err == nil {
			t.Errorf("%v: got no error", bad)
		}
	}
}
