package provision

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// throughText writes a ledger as it is stored and reads it again.
func throughText(t *testing.T, l Ledger) Ledger {
	t.Helper()
	again, err := ReadLedger(l.Text())
	if err != nil {
		t.Fatalf("%s: %v", l.Text(), err)
	}
	return again
}

func TestLedgerText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxRemembered)
	l := Ledger{
		"userName":                     {Sent: "ada@contoso.com", Got: "ada@contoso.com", Shown: true},
		"active":                       {Sent: true, Got: false, Shown: true},
		`emails[type eq "work"].value`: {Sent: "ada@contoso.com"},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": {Sent: "Analysis", Got: "analysis", Shown: true},
		`phoneNumbers[type eq "fax"].value`:                                     {Sent: "+47", Unsure: true},
		"nickname":                                                              {Sent: "Ada", Got: "Countess", Shown: true, Adopted: true},
		"title":                                                                 {Got: "Countess", Shown: true, Refused: "Duchess"},
		"nickName":                                                              {Refused: `"quoted" \ <b> é` + "\n"},
		"age":                                                                   {Sent: int64(7), Got: int64(7), Shown: true},
		"roles":                                                                 {Sent: []any{"a", "b"}, Got: []any{"a"}, Shown: true},
		"tags":                                                                  {Sent: []any{"a"}, Got: []any{"a"}, Shown: true},
		"displayName":                                                           {Shown: true},
		"locale":                                                                {},
		"timezone":                                                              {Sent: "a", Got: "a", Shown: true, Inputs: "0123456789abcdef"},
		"preferredLanguage":                                                     {Inputs: "0123456789abcdef"},
		"name{odd}":                                                             {Sent: "x"},
		"profileUrl":                                                            {Sent: toLedgerValue(long), Got: "y"},
	}
	if d := cmp.Diff(l, throughText(t, l)); d != "" {
		t.Errorf("read again (-want +got):\n%s\n%s", d, l.Text())
	}
	if got := throughText(t, nil); got != nil {
		t.Errorf("nothing: got %v", got)
	}
	if got := throughText(t, Ledger{}); got == nil || len(got) != 0 {
		t.Errorf("an empty ledger: got %v", got)
	}
	short := Ledger{`emails[type eq "work"].value`: {Sent: "a", Got: "a", Shown: true}, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": {}}.Text()
	if want := `{"emails{work}.value":["a",[]],"-":[".e~department"]}`; short != want {
		t.Errorf("got %s, want %s", short, want)
	}
}

// TestDiffWritten covers all states that a ledger entry of one attribute can have.
func TestDiffWritten(t *testing.T) {
	t.Parallel()
	always := CompiledMapping{Type: TypeString, FlowType: FlowAlways}
	for name, tt := range map[string]struct {
		row    CompiledMapping
		wrote  Ledger
		want   any
		change *Change // the expected change; nil if no change is expected
		unsure bool
	}{
		"sent_and_unchanged":                     {always, Ledger{"title": {Sent: "a"}}, "a", nil, false},
		"sent_and_shown_in_another_form":         {always, Ledger{"title": {Sent: "a b", Got: "ab", Shown: true}}, "a b", nil, false},
		"another_value":                          {always, Ledger{"title": {Sent: "a", Got: "A.", Shown: true}}, "b", &Change{Old: "A.", New: "b"}, false},
		"only_found_there":                       {always, Ledger{"title": {Got: "a", Shown: true}}, "a", nil, false},
		"absent":                                 {always, Ledger{"title": {}}, "a", &Change{New: "a"}, false},
		"a_new_row":                              {always, Ledger{}, "a", &Change{New: "a", Unknown: true}, false},
		"unsure":                                 {always, Ledger{"title": {Sent: "a", Unsure: true}}, "a", nil, true},
		"cleared":                                {always, Ledger{"title": {Sent: "a"}}, nil, &Change{Old: "a"}, false},
		"cleared_and_gone_there":                 {always, Ledger{"title": {Sent: "a", Shown: true}}, nil, nil, false},
		"cleared_but_not_ours":                   {always, Ledger{"title": {Got: "a", Shown: true}}, nil, nil, false},
		"cleared_not_ours_but_flow_null":         {CompiledMapping{Type: TypeString, FlowType: FlowAlways, FlowNull: true}, Ledger{"title": {Got: "a", Shown: true}}, nil, &Change{Old: "a"}, false},
		"cleared_unknown":                        {always, Ledger{}, nil, nil, false},
		"cleared_unknown_with_flow_null":         {CompiledMapping{Type: TypeString, FlowType: FlowAlways, FlowNull: true}, Ledger{}, nil, nil, true},
		"capitals":                               {always, Ledger{"title": {Sent: "ADA"}}, "Ada", nil, false},
		"capitals_of_an_exact_attribute":         {CompiledMapping{Type: TypeString, FlowType: FlowAlways, CaseExact: true}, Ledger{"title": {Sent: "ADA"}}, "Ada", &Change{Old: "ADA", New: "Ada"}, false},
		"add_only_depends_on_an_unknown_value":   {CompiledMapping{Type: TypeString, FlowType: FlowAttributeAddOnly}, Ledger{}, "a", nil, true},
		"add_only_with_a_value":                  {CompiledMapping{Type: TypeString, FlowType: FlowAttributeAddOnly}, Ledger{"title": {Got: "b", Shown: true}}, "a", nil, false},
		"a_long_value_remembered_by_its_hash":    {always, Ledger{"title": {Sent: toLedgerValue(strings.Repeat("x", 3_000))}}, strings.Repeat("x", 3_000), nil, false},
		"another_long_value":                     {always, Ledger{"title": {Sent: toLedgerValue(strings.Repeat("x", 3_000))}}, strings.Repeat("y", 3_000), &Change{Old: toLedgerValue(strings.Repeat("x", 3_000)), New: strings.Repeat("y", 3_000)}, false},
		"a_boolean_shown_as_text":                {CompiledMapping{Type: TypeBoolean, FlowType: FlowAlways}, Ledger{"title": {Got: "False", Shown: true}}, false, nil, false},
		"blocked_there_although_true_was_sent":   {CompiledMapping{Type: TypeBoolean, FlowType: FlowAlways}, Ledger{"title": {Sent: true, Got: false, Shown: true}}, true, nil, false},
		"and_then_blocked_here":                  {CompiledMapping{Type: TypeBoolean, FlowType: FlowAlways}, Ledger{"title": {Sent: true, Got: false, Shown: true}}, false, &Change{Old: false, New: false}, false},
		"several_values_in_another_order":        {CompiledMapping{Type: TypeString, FlowType: FlowAlways, Multivalued: true}, Ledger{"title": {Sent: []any{"a", "b"}}}, []any{"b", "a"}, nil, false},
		"one_value_more":                         {CompiledMapping{Type: TypeString, FlowType: FlowAlways, Multivalued: true}, Ledger{"title": {Sent: []any{"a"}}}, []any{"a", "b"}, &Change{Old: []any{"a"}, New: []any{"a", "b"}}, false},
		"additions_only_with_the_values_present": {CompiledMapping{Type: TypeString, FlowType: FlowValueAddOnly, Multivalued: true}, Ledger{"title": {Got: []any{"a", "b"}, Shown: true}}, []any{"b"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRow(t, "title", tt.row)
			var want []Change
			if tt.change != nil {
				tt.change.Path, tt.change.Type = "title", string(tt.row.Type)
				want = []Change{*tt.change}
			}
			got, sure := diffWritten(throughText(t, tt.wrote), []value{{row: r, want: tt.want}})
			if d := cmp.Diff(want, got); d != "" || sure == tt.unsure {
				t.Errorf("sure %v, changes (-want +got):\n%s", sure, d)
			}
		})
	}
}

func TestARefusalNamesAttributes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		message, path string
		want          bool
	}{
		{"Attribute 'title' is read-only.", "title", true},
		{"Titles are not allowed", "title", false},
		{"Invalid value for phoneNumbers.type", `phoneNumbers[type eq "fax"].value`, true},
		{`The path emails[type eq "work"].value does not exist`, `emails[type eq "work"].value`, true},
		{"familyName must not be empty", "name.familyName", true},
		{"The name is taken", "name.familyName", false},
		{"unknown attribute department", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", true},
		{"userName is taken", "name", false},
	} {
		if got := mentionsAttribute(tt.message, tt.path); got != tt.want {
			t.Errorf("%q about %s: got %v", tt.message, tt.path, got)
		}
	}
}
