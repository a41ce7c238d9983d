package scim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMembers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Members{
		`{}`: nil,
		"\ufeff { \"a\" : [1, {\"b\":\"}\"}] ,\"B\":null } ": {{"a", json.RawMessage(`[1, {"b":"}"}]`)}, {"B", json.RawMessage(`null`)}},
		`{"\u0061\"":"x\\"}`:    {{`a"`, json.RawMessage(`"x\\"`)}},
		`{"n":-1.5e3,"t":true}`: {{"n", json.RawMessage(`-1.5e3`)}, {"t", json.RawMessage(`true`)}},
	} {
		got, err := ParseMembers([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", body, diff)
		}
		again, err := ParseMembers(got.Encode())
		if err != nil || cmp.Diff(again, got) != "" {
			t.Errorf("%s: encoded as %s, read as %v, %v", body, got.Encode(), again, err)
		}
	}
}

func TestParseMembersRefuses(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		``:                         "must be a JSON object",
		`[]`:                       "must be a JSON object",
		`"a"`:                      "must be a JSON object",
		"{\"a\":\"\xff\"}":         "not valid UTF-8",
		`{`:                        "a name in double quotes",
		`{"a"}`:                    "a colon is expected",
		`{"a":1`:                   "ends too early",
		`{"a":1 "b":2}`:            "a comma or } is expected",
		`{"a":1,}`:                 "a name in double quotes",
		`{"a":}`:                   `The value of "a"`,
		`{"a":tru}`:                `The value of "a"`,
		`{"a":[1,]}`:               `The value of "a"`,
		`{"a":{"b"}}`:              `The value of "a"`,
		`{"a":1} {}`:               "more after the end",
		`{"data":1,"DATA":2}`:      `names "DATA" twice`,
		`{"a":1,"\u0041":2}`:       `names "A" twice`,
		`{"a":"` + "\n" + `"}`:     `The value of "a"`,
		`{"a":"b\"}`:               "a string is not closed",
		`{"a":` + "\x01" + `1}`:    `The value of "a"`,
		`{"a":1,"b":2,"a":3,` + ``: `names "a" twice`,
	} {
		_, err := ParseMembers([]byte(body))
		wantError(t, body, err, 400, "invalidSyntax")
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %q, want it to say %q", body, err, says)
		}
	}
}

func TestMembersGet(t *testing.T) {
	t.Parallel()
	m, err := ParseMembers([]byte(`{"failOnErrors":1,"data":null}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"failonerrors": "1", "DATA": "null", "path": ""} {
		if got := string(m.Get(name)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestStringOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 600)
	for _, c := range []struct{ doc, name, want string }{
		{`{"schemas":["a"],"userName":"ada"}`, "userName", "ada"},
		{`{"externalId":"` + long + `","userName":"ada"}`, "userName", "ada"},
		{`{"userName":"` + long + `"}`, "userName", long},
		{`{"list":[{"displayName":"inner"}],"displayName":"a\"}b"}`, "displayName", `a"}b`},
		{`{"owner":{"displayName":"inner"}}`, "displayName", ""},
		{`{"DisplayName":"other"}`, "displayName", ""},
		{`{"displayName":7}`, "displayName", ""},
		{`{"displayName`, "displayName", ""},
		{``, "displayName", ""},
	} {
		if got := StringOf([]byte(c.doc), c.name); got != c.want {
			t.Errorf("%s of %.40s: got %q, want %q", c.name, c.doc, got, c.want)
		}
	}
}

func TestRewriteStrings(t *testing.T) {
	t.Parallel()
	change := func(s string) string {
		if s == "old" || s == "ol\"d" {
			return `n"w`
		}
		return s
	}
	for data, want := range map[string]string{
		`{ "old" : ["old","older", 1 ] }`: `{ "n\"w" : ["n\"w","older", 1 ] }`,
		`"\u006fld"`:                      `"n\"w"`,
		`"ol\"d"`:                         `"n\"w"`,
		`"\u00e9 kept"`:                   `"\u00e9 kept"`,
		`"broken \x","old"`:               `"broken \x","n\"w"`,
		`"not closed`:                     `"not closed`,
		`7`:                               `7`,
		``:                                ``,
	} {
		if got := string(RewriteStrings([]byte(data), change)); got != want {
			t.Errorf("%s: got %s, want %s", data, got, want)
		}
	}
}

func TestSplitBeforeMeta(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string][2]string{
		`{"id":"1","meta":{"version":"2"}}`: {`{"id":"1"`, `,"meta":{"version":"2"}}`},
		`{"title":",\"meta\":{","meta":{}}`: {`{"title":",\"meta\":{"`, `,"meta":{}}`},
		`{"id":"1"}`:                        {`{"id":"1"`, `}`},
		``:                                  {``, ``},
	} {
		before, after := SplitBeforeMeta([]byte(doc))
		if string(before) != want[0] || string(after) != want[1] {
			t.Errorf("%s: got %s and %s", doc, before, after)
		}
	}
}

// What ParseMembers accepts is JSON, and its members can be written and read again.
func FuzzParseMembers(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"}"}],"B":null}`))
	f.Add([]byte(`{"\u0061":"x\\", "n":-1.5e3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := ParseMembers(body)
		if err != nil {
			checkClientError(t, err)
			return
		}
		if !json.Valid([]byte(strings.TrimPrefix(string(body), "\ufeff"))) {
			t.Fatalf("%q is not JSON", body)
		}
		again, err := ParseMembers(m.Encode())
		if err != nil || cmp.Diff(again, m) != "" {
			t.Errorf("%q: encoded as %s, read as %v, %v", body, m.Encode(), again, err)
		}
	})
}
