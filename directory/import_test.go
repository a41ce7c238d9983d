package directory_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// memory is a store of one directory that holds what an import needs, so that thousands of imports
// can be tried.
type memory struct {
	directory.Store
	users map[string]directory.User
}

func (m *memory) Users(_ context.Context, _ directory.ID, q directory.UserQuery) ([]directory.User, error) {
	var list []directory.User
	for _, u := range m.users {
		if u.IsDeleted() == (q.Status == directory.Deleted) && (q.After == directory.Cursor{} || u.SortKey()+"\x00"+u.ObjectID > q.After.Key+"\x00"+q.After.ObjectID) {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b directory.User) int {
		return cmp.Or(strings.Compare(a.SortKey(), b.SortKey()), strings.Compare(a.ObjectID, b.ObjectID))
	})
	return list[:min(len(list), q.Limit)], nil
}

func (m *memory) Update(_ context.Context, _ directory.ID, fn func(directory.Tx) error) error {
	tx := &memoryTx{users: map[string]directory.User{}}
	for id, u := range m.users {
		tx.users[id] = u
	}
	err := fn(tx)
	if err == nil {
		m.users = tx.users
	}
	return err
}

type memoryTx struct {
	directory.Tx
	users map[string]directory.User
}

func (m *memoryTx) User(_ context.Context, id string) (directory.User, error) {
	u, ok := m.users[id]
	if !ok {
		return u, refusal.NotFound
	}
	return u, nil
}

func (m *memoryTx) UserByUPN(_ context.Context, name string) (directory.User, error) {
	for _, u := range m.users {
		if !u.IsDeleted() && u.FoldedUPN() == name {
			return u, nil
		}
	}
	return directory.User{}, refusal.NotFound
}

// PutUser fails as the database does when two users would have one name, even for a moment.
func (m *memoryTx) PutUser(ctx context.Context, u directory.User) error {
	if other, err := m.UserByUPN(ctx, u.FoldedUPN()); err == nil && other.ObjectID != u.ObjectID && !u.IsDeleted() {
		return fmt.Errorf("the name %s is taken", u.UPN())
	}
	m.users[u.ObjectID] = u
	return nil
}

func (m *memoryTx) ObjectExists(_ context.Context, id string) (bool, error) {
	_, used := m.users[id]
	return used, nil
}

func (m *memoryTx) AppendEvent(context.Context, event.Event) error { return nil }

// start is a user that the directory has before an import: "name employeeId", and "deleted" or
// nothing.
type start struct{ name, employee, state string }

// world makes a directory of one letter per person: person a has objectId id(1), the
// userPrincipalName and displayName given.
func world(people ...start) (*directory.Handle, *memory) {
	m := &memory{users: map[string]directory.User{}}
	clock, ids := time.Date(2024, 3, 1, 8, 0, 0, 0, time.UTC), 100
	for i, p := range people {
		u := directory.User{ObjectID: id(i + 1), AccountEnabled: true, Version: 1, Attributes: map[string]any{
			"userPrincipalName": p.name + "@contoso.example", "displayName": "Person " + strconv.Itoa(i+1), "department": "Before",
		}}
		if p.employee != "" {
			u.Attributes["employeeId"] = p.employee
		}
		if p.state == "deleted" {
			u.Deleted = clock.Add(time.Duration(i) * time.Minute)
		}
		m.users[u.ObjectID] = u
	}
	all := &directory.Directories{
		Store: m, Now: func() time.Time { clock = clock.Add(time.Second); return clock },
		NewID: func() string { ids++; return id(ids) },
	}
	return all.Open(directory.Directory{ID: "d", Name: "contoso"}), m
}

func (m *memory) Cause(context.Context, directory.ID, string) (directory.CauseInfo, error) {
	return directory.CauseInfo{}, nil
}

// people lists everybody as "who name employeeId department enabled|disabled [deleted]". New people
// are "new", the others "1", "2" and so on.
func (m *memory) people() []string {
	var lines []string
	for oid, u := range m.users {
		who := "new"
		for n := range 9 {
			if oid == id(n+1) {
				who = strconv.Itoa(n + 1)
			}
		}
		alias, _, _ := strings.Cut(u.UPN(), "@")
		state := "enabled"
		if !u.AccountEnabled {
			state = "disabled"
		}
		if u.IsDeleted() {
			state += " deleted"
		}
		lines = append(lines, strings.Join([]string{who, alias, cmp.Or(u.Text("employeeId"), "-"), u.Text("department"), state}, " "))
	}
	slices.Sort(lines)
	return lines
}

const keyColumns = "objectId,employeeId,userPrincipalName,department,accountEnabled"

// fileLine writes a row of keyColumns: "who employeeId name department enabled", "-" for an empty
// value.
func fileLine(text string) string {
	f := strings.Fields(text)
	for i := range f {
		if f[i] == "-" {
			f[i] = ""
		}
	}
	if n, err := strconv.Atoi(f[0]); err == nil {
		f[0] = id(n)
	}
	if f[2] != "" {
		f[2] += "@contoso.example"
	}
	return strings.Join(f, ",")
}

// TestImport_knows_who_is_who holds the cases of one file each: what the directory has, what the
// file says, who is there afterwards, and what the problems must name. Every order of the rows
// gives the same.
func TestImport_knows_who_is_who(t *testing.T) {
	t.Parallel()
	const leaver = "deleted"
	tests := map[string]struct {
		before   []start
		file     []string
		after    []string
		problems []string // each must be in one problem
	}{
		"a_renamed_person_is_the_same_by_employeeId": {
			before: []start{{"ada.berg", "E1", ""}},
			file:   []string{"- E1 ada.lund R&D true"},
			after:  []string{"1 ada.lund E1 R&D enabled"},
		},
		"the_letters_of_an_employeeId_do_not_matter": {
			before: []start{{"ada.berg", "e1", ""}},
			file:   []string{"- E1 ada.lund R&D true"},
			after:  []string{"1 ada.lund E1 R&D enabled"},
		},
		"a_reused_address_of_a_live_person_is_a_problem_that_names_both": {
			before:   []start{{"j.smith", "E100", ""}},
			file:     []string{"- E900 j.smith R&D true"},
			after:    []string{"1 j.smith E100 Before enabled"},
			problems: []string{"belongs to Person 1 (j.smith@contoso.example, employeeId E100", "this row has employeeId E900"},
		},
		"a_reused_address_of_a_deleted_person_restores_nobody": {
			before:   []start{{"j.smith", "E100", leaver}},
			file:     []string{"- E900 j.smith R&D true"},
			after:    []string{"1 j.smith E100 Before enabled deleted"},
			problems: []string{"rollcall directory user purge contoso " + id(1)},
		},
		"a_name_alone_restores_nobody": {
			before:   []start{{"j.smith", "", leaver}},
			file:     []string{"- - j.smith R&D true"},
			after:    []string{"1 j.smith - Before enabled deleted"},
			problems: []string{"rollcall directory user restore contoso " + id(1)},
		},
		"the_employeeId_restores": {
			before: []start{{"j.smith", "E100", leaver}},
			file:   []string{"- e100 john.smith R&D false"},
			after:  []string{"1 john.smith e100 R&D disabled"},
		},
		"the_objectId_restores": {
			before: []start{{"j.smith", "", leaver}},
			file:   []string{"1 - - R&D true"},
			after:  []string{"1 j.smith - R&D enabled"},
		},
		"a_reused_address_beside_the_rename_of_its_holder": {
			before: []start{{"ada", "E1", ""}},
			file:   []string{"- - ada Sales true", "1 E1 ada.lund R&D true"},
			after:  []string{"1 ada.lund E1 R&D enabled", "new ada - Sales enabled"},
		},
		"the_same_by_employeeId": {
			before: []start{{"ada", "E1", ""}},
			file:   []string{"- E2 ada Sales true", "- E1 ada.lund R&D true"},
			after:  []string{"1 ada.lund E1 R&D enabled", "new ada E2 Sales enabled"},
		},
		"a_reused_address_beside_the_restoring_of_its_deleted_holder_under_another_name": {
			before: []start{{"j.smith", "E1", leaver}},
			file:   []string{"- E2 j.smith Sales true", "- E1 john.smith R&D true"},
			after:  []string{"1 john.smith E1 R&D enabled", "new j.smith E2 Sales enabled"},
		},
		"two_swap_addresses_by_objectId": {
			before: []start{{"ada", "", ""}, {"bob", "", ""}},
			file:   []string{"1 - bob R&D true", "2 - ada Sales true"},
			after:  []string{"1 bob - R&D enabled", "2 ada - Sales enabled"},
		},
		"three_pass_addresses_on_in_a_circle_by_employeeId": {
			before: []start{{"ada", "E1", ""}, {"bob", "E2", ""}, {"cem", "E3", ""}},
			file:   []string{"- E1 bob A true", "- E2 cem B true", "- E3 ada C true"},
			after:  []string{"1 bob E1 A enabled", "2 cem E2 B enabled", "3 ada E3 C enabled"},
		},
		"a_chain_with_a_new_person_at_its_end": {
			before: []start{{"ada", "E1", ""}, {"bob", "E2", ""}},
			file:   []string{"- E9 ada New true", "- E1 bob A true", "- E2 bob2 B true"},
			after:  []string{"1 bob E1 A enabled", "2 bob2 E2 B enabled", "new ada E9 New enabled"},
		},
		"a_chain_that_ends_at_somebody_who_stays": {
			before:   []start{{"ada", "E1", ""}, {"bob", "E2", ""}, {"cem", "E3", ""}},
			file:     []string{"1 E1 bob A true", "2 E2 cem B true", "3 E3 cem C true"},
			after:    []string{"1 ada E1 A enabled", "2 bob E2 B enabled", "3 cem E3 C enabled"},
			problems: []string{"cem@contoso.example belongs to Person 3", "bob@contoso.example belongs to Person 2"},
		},
		"a_swap_of_which_one_name_is_broken_keeps_both_and_the_rest_is_written": {
			before:   []start{{"ada", "E1", ""}, {"bob", "E2", ""}},
			file:     []string{"1 E1 bob A false", "2 E2 a\u200bda B false"},
			after:    []string{"1 ada E1 A disabled", "2 bob E2 B disabled"},
			problems: []string{"a zero-width space (U+200B)", "bob@contoso.example belongs to Person 2"},
		},
		"objectId_and_employeeId_of_two_people": {
			before:   []start{{"ada", "E1", ""}, {"bob", "E2", ""}},
			file:     []string{"1 E2 ada A true"},
			after:    []string{"1 ada E1 Before enabled", "2 bob E2 Before enabled"},
			problems: []string{"objectId names Person 1", "belongs to Person 2"},
		},
		"objectId_and_employeeId_of_a_live_and_a_deleted_person": {
			before:   []start{{"ada", "E1", ""}, {"bob", "E2", leaver}},
			file:     []string{"1 E2 ada A true"},
			after:    []string{"1 ada E1 Before enabled", "2 bob E2 Before enabled deleted"},
			problems: []string{"objectId names Person 1", "belongs to Person 2", "deleted"},
		},
		"employeeId_and_name_of_two_people": {
			before:   []start{{"ada", "E1", ""}, {"bob", "E2", ""}},
			file:     []string{"- E1 bob A false"},
			after:    []string{"1 ada E1 Before enabled", "2 bob E2 Before enabled"},
			problems: []string{"names Person 1", "belongs to Person 2"},
		},
		"an_objectId_that_nobody_has_and_a_name_that_somebody_has": {
			before:   []start{{"ada", "E1", ""}},
			file:     []string{"7 - ada A true"},
			after:    []string{"1 ada E1 Before enabled"},
			problems: []string{"no user with objectId " + id(7), "--ignore-columns objectId"},
		},
		"an_objectId_that_nobody_has_and_an_employeeId_that_somebody_has": {
			before:   []start{{"ada", "E1", ""}},
			file:     []string{"7 E1 ada.lund A true"},
			after:    []string{"1 ada E1 Before enabled"},
			problems: []string{"no user with objectId " + id(7)},
		},
		"an_objectId_that_nobody_has_any_more_is_a_new_person_with_that_id": {
			file:  []string{"7 E1 ada A true"},
			after: []string{"7 ada E1 A enabled"},
		},
		"one_new_employeeId_for_two_people": {
			file:     []string{"- E1 ada A true", "- E1 bob B true", "- E2 cem C true"},
			after:    []string{"new cem E2 C enabled"},
			problems: []string{"about bob@contoso.example, has employeeId E1", "about ada@contoso.example, has employeeId E1"},
		},
		"one_new_employeeId_for_two_people_of_the_directory": {
			before:   []start{{"ada", "", ""}, {"bob", "", ""}},
			file:     []string{"- E1 ada A false", "- E1 bob B true"},
			after:    []string{"1 ada - A disabled", "2 bob - B enabled"},
			problems: []string{"about bob@contoso.example, has employeeId E1", "about ada@contoso.example, has employeeId E1"},
		},
		"one_new_name_for_two_people": {
			file:     []string{"- E1 ada A true", "- E2 ada B true"},
			problems: []string{"as well; a name belongs to one user"},
		},
		"one_new_objectId_for_two_people": {
			file:     []string{"7 - ada A true", "7 - bob B true"},
			problems: []string{"about ada@contoso.example, has objectId", "about bob@contoso.example, has objectId"},
		},
		"the_same_row_twice_is_no_problem": {
			before: []start{{"ada", "E1", ""}},
			file:   []string{"- E1 ada A true", "- E1 ada A true", "- E2 bob B true", "- E2 bob B true"},
			after:  []string{"1 ada E1 A enabled", "new bob E2 B enabled"},
		},
		"an_empty_employeeId_beside_an_objectId_counts_for_both_rows": {
			before:   []start{{"c", "1", ""}},
			file:     []string{"1 - - A true", "- - c A true"},
			after:    []string{"1 c - A enabled"},
			problems: nil,
		},
		"two_rows_about_one_person_count_as_far_as_they_agree": {
			before:   []start{{"ada", "E1", ""}},
			file:     []string{"- E1 ada A false", "- E1 ada B no", "1 - - C -"},
			after:    []string{"1 ada E1 Before disabled"},
			problems: []string{"differs in", "department"},
		},
		"a_name_without_employeeId_keeps_the_stored_employeeId": {
			before: []start{{"ada", "E1", ""}},
			file:   []string{"- - ada A true"},
			after:  []string{"1 ada E1 A enabled"},
		},
		"a_name_gets_its_first_employeeId": {
			before: []start{{"ada", "", ""}},
			file:   []string{"- E1 ada A true"},
			after:  []string{"1 ada E1 A enabled"},
		},
		"an_employeeId_changes_by_objectId": {
			before: []start{{"ada", "E1", ""}},
			file:   []string{"1 E7 ada A true"},
			after:  []string{"1 ada E7 A enabled"},
		},
		"zeros_that_a_spreadsheet_took_are_the_same_person": {
			before:   []start{{"ada", "00042", ""}},
			file:     []string{"- 42 ada A false"},
			after:    []string{"1 ada 00042 A disabled"},
			problems: []string{"employeeId 42 is 00042 in the directory"},
		},
		"zeros_that_a_spreadsheet_took_double_nobody": {
			before:   []start{{"ada", "00042", ""}},
			file:     []string{"- 42 ada.lund A true"},
			after:    []string{"1 ada 00042 Before enabled"},
			problems: []string{"employeeId 42 may be 00042 of Person 1"},
		},
		"a_file_that_has_both_numbers_means_two_people": {
			before: []start{{"ada", "007", ""}},
			file:   []string{"- 7 bob B true", "- 007 ada A true"},
			after:  []string{"1 ada 007 A enabled", "new bob 7 B enabled"},
		},
		"an_employeeId_of_two_people_of_the_directory_needs_the_name": {
			before: []start{{"ada", "E1", ""}, {"adm-ada", "E1", ""}},
			file:   []string{"- E1 adm-ada A true"},
			after:  []string{"1 ada E1 Before enabled", "2 adm-ada E1 A enabled"},
		},
		"an_employeeId_of_two_people_of_the_directory_without_the_name": {
			before:   []start{{"ada", "E1", ""}, {"adm-ada", "E1", ""}},
			file:     []string{"- E1 ada.lund A true"},
			after:    []string{"1 ada E1 Before enabled", "2 adm-ada E1 Before enabled"},
			problems: []string{"belongs to Person 1", "and to Person 2"},
		},
		"an_export_of_two_with_one_employeeId_goes_in_again": {
			before: []start{{"ada", "E1", ""}, {"adm-ada", "E1", ""}},
			file:   []string{"1 E1 ada A true", "2 E1 adm-ada B true"},
			after:  []string{"1 ada E1 A enabled", "2 adm-ada E1 B enabled"},
		},
		"a_live_person_goes_before_a_deleted_one_with_the_employeeId": {
			before: []start{{"ada", "E1", leaver}, {"ada", "E1", ""}},
			file:   []string{"- E1 ada A true"},
			after:  []string{"1 ada E1 Before enabled deleted", "2 ada E1 A enabled"},
		},
		"a_deleted_person_comes_not_back_onto_the_name_of_another": {
			before:   []start{{"ada", "E1", leaver}, {"ada", "E2", ""}},
			file:     []string{"- E1 ada A true"},
			after:    []string{"1 ada E1 Before enabled deleted", "2 ada E2 Before enabled"},
			problems: []string{"names Person 1", "belongs to Person 2"},
		},
		"a_rename_onto_the_name_of_a_deleted_person_keeps_the_old_name": {
			before:   []start{{"ada", "E1", ""}, {"bob", "E2", leaver}},
			file:     []string{"- E1 bob A false"},
			after:    []string{"1 ada E1 A disabled", "2 bob E2 Before enabled deleted"},
			problems: []string{"user purge contoso " + id(2)},
		},
		"an_invisible_character_doubles_nobody": {
			before:   []start{{"ada", "E1", ""}},
			file:     []string{"- - ada\u200b A true"},
			after:    []string{"1 ada E1 Before enabled"},
			problems: []string{"this is the userPrincipalName of Person 1"},
		},
		"a_stored_invisible_character_blocks_no_other_change": {
			before: []start{{"ada\u200b", "E1", ""}},
			file:   []string{"- - ada\u200b A false"},
			after:  []string{"1 ada\u200b E1 A disabled"},
		},
		"a_bad_objectId_does_not_keep_a_leaver_enabled": {
			before:   []start{{"ada", "E1", ""}},
			file:     []string{"A17 E1 ada A false"},
			after:    []string{"1 ada E1 A disabled"},
			problems: []string{`objectId is a GUID such as`, "column employeeId"},
		},
		"a_new_person_with_a_bad_key_is_not_made": {
			file:     []string{"A17 E1 ada A true"},
			problems: []string{`objectId is a GUID such as`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for order := range permutations(len(test.file)) {
				h, m := world(test.before...)
				var file []string
				for _, i := range order {
					file = append(file, fileLine(test.file[i]))
				}
				dry, err := h.Import(t.Context(), rows(keyColumns, file...), directory.ImportOptions{DryRun: true})
				if err != nil {
					t.Fatal(err)
				}
				report, err := h.Import(t.Context(), rows(keyColumns, file...), directory.ImportOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(m.people(), test.after); diff != "" {
					t.Errorf("order %v (-got +want):\n%s\n%s", order, diff, summary(report))
				}
				if diff := gocmp.Diff(summary(dry), summary(report)); diff != "" {
					t.Errorf("order %v: the dry run said otherwise (-dry +real):\n%s", order, diff)
				}
				text := fmt.Sprint(report.Errors)
				for _, part := range test.problems {
					if !strings.Contains(text, part) {
						t.Errorf("order %v: the problems are %s and lack %q", order, text, part)
					}
				}
				if test.problems == nil && len(report.Errors) > 0 {
					t.Errorf("order %v: problems %s", order, text)
				}
			}
		})
	}
}

// permutations yields every order of n things.
func permutations(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		var place func(k int) bool
		place = func(k int) bool {
			if k == n {
				return yield(slices.Clone(order))
			}
			for i := k; i < n; i++ {
				order[k], order[i] = order[i], order[k]
				if !place(k + 1) {
					return false
				}
				order[k], order[i] = order[i], order[k]
			}
			return true
		}
		place(0)
	}
}

// TestImport_does_not_depend_on_the_order_of_rows tries small directories and files at random.
// Whatever they say: every order gives the same people, the dry run says what the import does,
// nobody shares a name, nobody's employeeId goes to somebody else, and a second import without
// problems changes nothing.
func TestImport_does_not_depend_on_the_order_of_rows(t *testing.T) {
	t.Parallel()
	aliases, numbers := []string{"a", "b", "c", "d"}, []string{"", "1", "2", "3", "01"}
	rapid.Check(t, func(t *rapid.T) {
		var before []start
		live := map[string]bool{}
		for range rapid.IntRange(0, 4).Draw(t, "people") {
			p := start{rapid.SampledFrom(aliases).Draw(t, "alias"), rapid.SampledFrom(numbers).Draw(t, "number"), rapid.SampledFrom([]string{"", "", "deleted"}).Draw(t, "state")}
			if p.state == "" && live[p.name] {
				p.state = "deleted"
			}
			live[p.name] = live[p.name] || p.state == ""
			before = append(before, p)
		}
		var lines []string
		for range rapid.IntRange(1, 4).Draw(t, "rows") {
			who := rapid.SampledFrom([]string{"-", "-", "1", "2", "3", "8"}).Draw(t, "who")
			number := cmp.Or(rapid.SampledFrom(numbers).Draw(t, "number"), "-")
			alias := rapid.SampledFrom(append([]string{"-"}, aliases...)).Draw(t, "alias")
			lines = append(lines, strings.Join([]string{who, number, alias, rapid.SampledFrom([]string{"A", "B"}).Draw(t, "department"), rapid.SampledFrom([]string{"true", "false", "-", "bad"}).Draw(t, "enabled")}, " "))
		}
		var first []string
		for order := range permutations(len(lines)) {
			h, m := world(before...)
			var file []string
			for _, i := range order {
				file = append(file, fileLine(lines[i]))
			}
			dry, err := h.Import(context.Background(), rows(keyColumns, file...), directory.ImportOptions{DryRun: true})
			if err != nil {
				t.Fatal(err)
			}
			report, err := h.Import(context.Background(), rows(keyColumns, file...), directory.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(summary(dry), summary(report)); diff != "" {
				t.Fatalf("the dry run said otherwise (-dry +real):\n%s", diff)
			}
			after := m.people()
			if first == nil {
				first = after
			}
			if diff := gocmp.Diff(after, first); diff != "" {
				t.Fatalf("%v into %v: order %v gives others (-got +want):\n%s", lines, before, order, diff)
			}
			checkNobodyIsAnother(t, before, lines, after)
			again, err := h.Import(context.Background(), rows(keyColumns, file...), directory.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Errors) == 0 && again.Created+again.Updated+again.Restored > 0 && !reused(before, lines) {
				t.Fatalf("%v into %v: a second import changed something: %s", lines, before, summary(again))
			}
		}
	})
}

// reused says whether a file gives a name on, so that a second import finds another user under it
// than the first.
func reused(before []start, lines []string) bool {
	for _, l := range lines {
		f := strings.Fields(l)
		for _, p := range before {
			if f[2] == p.name {
				return true
			}
		}
	}
	return false
}

func checkNobodyIsAnother(t *rapid.T, before []start, lines, after []string) {
	t.Helper()
	named := map[string]bool{}
	for _, l := range after {
		f := strings.Fields(l)
		if strings.HasSuffix(l, "deleted") {
			continue
		}
		if named[f[1]] {
			t.Fatalf("two users have the name %s: %v", f[1], after)
		}
		named[f[1]] = true
		n, err := strconv.Atoi(f[0])
		if err != nil || n > len(before) {
			continue
		}
		had := before[n-1]
		byID := slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, f[0]+" ") })
		if had.employee != "" && f[2] != had.employee && !byID {
			t.Fatalf("%v into %v: user %s had employeeId %s and has %s, and no row names the user by objectId", lines, before, f[0], had.employee, f[2])
		}
		byEmployee := slices.ContainsFunc(lines, func(l string) bool { return had.employee != "" && strings.Fields(l)[1] == had.employee })
		if had.state == "deleted" && !byID && !byEmployee {
			t.Fatalf("%v into %v: user %s came back by the name alone", lines, before, f[0])
		}
	}
}

func TestImport_writes_a_circle_of_names_in_both_databases(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		a, b, d := c.add(t, "Ada Lovelace"), c.add(t, "Bob Ross"), c.add(t, "Cem Yıldız")
		start := c.position(t)
		r, err := c.Import(t.Context(), rows("objectId,userPrincipalName",
			a.ObjectID+",bob@contoso.example", b.ObjectID+",cem@contoso.example", d.ObjectID+",ada@contoso.example"), directory.ImportOptions{Actor: "cli"})
		wantReport(t, r, err, "rows 3 created 0 updated 3 restored 0 unchanged 0 deleted 0 of 3")
		want := []string{
			"user.updated by cli: Ada Lovelace (bob@contoso.example) was updated: userPrincipalName",
			"user.updated by cli: Bob Ross (cem@contoso.example) was updated: userPrincipalName",
			"user.updated by cli: Cem Yıldız (ada@contoso.example) was updated: userPrincipalName",
			"directory.imported by cli: Import of users by command line ended",
		}
		if diff := gocmp.Diff(c.happened(start), want); diff != "" {
			t.Errorf("-got +want:\n%s", diff)
		}
		for name, u := range map[string]directory.User{"bob": a, "cem": b, "ada": d} {
			if got, err := c.UserByUPN(t.Context(), name+"@contoso.example"); err != nil || got.ObjectID != u.ObjectID {
				t.Errorf("%s: got %v, %v, want %s", name, got.ObjectID, err, u.ObjectID)
			}
		}
	})
}

// TestImport_bad_values_keep_no_leaver: a problem in one column costs that column; only a row that
// may be about anybody keeps absent users.
func TestImport_bad_values_keep_no_leaver(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1025)
	h, m := world(start{"ada", "E1", ""}, start{"bob", "E2", ""}, start{"cem", "E3", ""})
	o := directory.ImportOptions{Absent: directory.AbsentSoftDelete, Force: true}
	r, err := h.Import(t.Context(), rows("userPrincipalName,accountEnabled,department,jobTitle",
		"ada@contoso.example,false,"+long+",Engineer", "bob@contoso.example,true,B,"+long, "new@contoso.example,true,C,"+long), o)
	wantReport(t, r, err, `
rows 3 created 0 updated 2 restored 0 unchanged 0 deleted 1 of 3
line 2, column department: department has 1025 characters; 1024 are allowed; the old value was kept
line 3, column jobTitle: jobTitle has 1025 characters; 1024 are allowed; the old value was kept
line 4, column jobTitle: jobTitle has 1025 characters; 1024 are allowed
absent cem@contoso.example`)
	want := []string{"1 ada E1 Before disabled", "2 bob E2 B enabled", "3 cem E3 Before enabled deleted"}
	if diff := gocmp.Diff(m.people(), want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
	if got := m.users[id(1)].Text("jobTitle"); got != "Engineer" {
		t.Errorf("the good column of ada's row was lost: %q", got)
	}

	// A name with an invisible character names the user that a reader sees: neither doubled nor
	// absent.
	r, err = h.Import(t.Context(), rows("userPrincipalName", "ada\u200b@contoso.example", "bob@contoso.example"), o)
	if err != nil || r.SoftDeleted != 0 || len(r.Errors) != 1 || m.users[id(1)].IsDeleted() {
		t.Errorf("got %s, %v; want ada kept", summary(r), err)
	}
	// This row may be about anybody.
	r, err = h.Import(t.Context(), rows("userPrincipalName", "nobody", "bob@contoso.example"), o)
	if err != nil || r.SoftDeleted != 0 || !strings.Contains(r.Refused, "1 row of the file could not be read") {
		t.Errorf("got %s, %v", summary(r), err)
	}
}

func TestImport_finds_managers_by_every_key(t *testing.T) {
	t.Parallel()
	h, m := world(start{"ada", "E1", ""}, start{"bob", "E2", ""}, start{"cem", "E3", ""})
	// bob is renamed by the same file, and dee is new.
	r, err := h.Import(t.Context(), rows("employeeId,userPrincipalName,manager",
		"E1,ada@contoso.example,E9", "E2,robert@contoso.example,ada@contoso.example", "E3,,robert@contoso.example", "E9,dee@contoso.example,"+id(3),
		"E10,eve@contoso.example,bob@contoso.example"), directory.ImportOptions{})
	wantReport(t, r, err, `
rows 5 created 2 updated 3 restored 0 unchanged 0 deleted 0 of 3
line 6, column manager: there is no user bob@contoso.example, neither in the file nor in the directory; the manager was left as it is`)
	for n, want := range map[int]string{1: "dee", 2: "ada", 3: "robert"} {
		manager := m.users[m.users[id(n)].Text("manager")]
		if got, _, _ := strings.Cut(manager.UPN(), "@"); got != want {
			t.Errorf("manager of %d: got %q, want %q", n, got, want)
		}
	}
}

// A displayName finds a manager where one user has it.
func TestImport_finds_managers_by_displayName(t *testing.T) {
	t.Parallel()
	h, m := world(start{"ada", "E1", ""}, start{"bob", "E2", ""}, start{"cem", "E3", ""}, start{"dee", "E4", ""})
	r, err := h.Import(t.Context(), rows("employeeId,displayName,manager",
		"E1,Ada Lovelace,Bo Li", "E2,Bo Li,ada lovelace", "E3,Sam Same,", "E4,Sam Same,Sam Same"), directory.ImportOptions{})
	wantReport(t, r, err, `
rows 4 created 0 updated 4 restored 0 unchanged 0 deleted 0 of 4
line 5, column manager: 2 users are called Sam Same; name the manager by userPrincipalName, objectId or employeeId; the manager was left as it is`)
	r, err = h.Import(t.Context(), func(yield func(directory.Row, error) bool) {
		yield(directory.Row{Line: 2, Values: map[string]string{"employeeId": "E3", "manager": "Lovelace, Ada"}}, nil)
	}, directory.ImportOptions{})
	if err != nil || r.Updated != 1 {
		t.Errorf("got %s, %v", summary(r), err)
	}
	for n, want := range map[int]string{1: "bob", 2: "ada", 3: "ada"} {
		manager := m.users[m.users[id(n)].Text("manager")]
		if got, _, _ := strings.Cut(manager.UPN(), "@"); got != want {
			t.Errorf("manager of %d: got %q, want %q", n, got, want)
		}
	}
}

// TestImport_of_a_directory_that_changes_meanwhile writes nothing over what somebody else wrote
// between reading and writing.
func TestImport_of_a_directory_that_changes_meanwhile(t *testing.T) {
	t.Parallel()
	h, m := world(start{"ada", "E1", ""}, start{"bob", "E2", ""})
	changing := &changedOnce{memory: m, change: func() {
		u := m.users[id(1)]
		u.Attributes = map[string]any{"userPrincipalName": "eve@contoso.example", "displayName": "Eve", "employeeId": "E5"}
		m.users[id(1)] = u
	}}
	all := &directory.Directories{Store: changing, Now: time.Now, NewID: func() string { return id(200) }}
	h = all.Open(h.Directory)
	r, err := h.Import(t.Context(), rows("employeeId,userPrincipalName,department", "E1,ada@contoso.example,A", "E2,bob@contoso.example,B"), directory.ImportOptions{})
	if err != nil || len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Detail, "meanwhile") || r.Updated != 1 {
		t.Errorf("got %s, %v", summary(r), err)
	}
	if got := m.users[id(1)].Text("department"); got != "" {
		t.Errorf("ada's row was written into eve: %q", got)
	}
}

// changedOnce is a store that somebody else writes to just before the first transaction.
type changedOnce struct {
	*memory
	change func()
}

func (c *changedOnce) Update(ctx context.Context, d directory.ID, fn func(directory.Tx) error) error {
	if c.change != nil {
		c.change()
		c.change = nil
	}
	return c.memory.Update(ctx, d, fn)
}

func TestImport_into_one_directory_leaves_the_other_alone(t *testing.T) {
	t.Parallel()
	c := newCompany(t, storetest.New(t))
	ada := c.add(t, "Ada Lovelace", "employeeId", "E1")
	d, err := c.all.Create(t.Context(), "fabrikam", "cli")
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.all.Open(d).Import(t.Context(), rows("objectId,employeeId,userPrincipalName", ada.ObjectID+",E1,ada.lund@contoso.example"), directory.ImportOptions{})
	wantReport(t, r, err, "rows 1 created 1 updated 0 restored 0 unchanged 0 deleted 0 of 0")
	if got, err := c.User(t.Context(), ada.ObjectID); err != nil || got.UPN() != ada.UPN() {
		t.Errorf("got %q, %v, want %q untouched", got.UPN(), err, ada.UPN())
	}
}

func TestPutUser_refuses_new_names_that_nobody_can_see(t *testing.T) {
	t.Parallel()
	refused := map[string]string{
		"userPrincipalName": "ada\u00ad@contoso.example", "mail": "ada\u2066@contoso.example", "mailNickname": "ada\u00a0l", "employeeId": "E\u200b1",
		"displayName": "Ada \u202eecalevoL", "givenName": "\ufeffAda", "surname": "Love\u2060lace", "otherMails": "a@b.example;c\u200b@d.example",
	}
	for name, value := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(t, storetest.New(t))
			u := directory.User{Attributes: map[string]any{"userPrincipalName": "x@contoso.example"}}
			if err := u.Set(name, value); err != nil {
				t.Fatal(err)
			}
			_, _, err := c.PutUser(t.Context(), u, "cli")
			wantError(t, err, refusal.Invalid, name+" contains", "U+", "remove it")
		})
	}
	t.Run("names_that_need_such_characters_stay_possible", func(t *testing.T) {
		t.Parallel()
		c := newCompany(t, storetest.New(t))
		c.add(t, "علی\u200cرضا موسوی", "userPrincipalName", "alireza@contoso.example")
		c.add(t, "葛\U000e0100 城", "userPrincipalName", "katsuragi@contoso.example")
	})
	t.Run("a_stored_one_blocks_no_other_change", func(t *testing.T) {
		t.Parallel()
		h, _ := world(start{"ada\u200b", "", ""})
		ctx := context.Background()
		m := directory.User{ObjectID: id(1), AccountEnabled: false, Attributes: map[string]any{"userPrincipalName": "ada\u200b@contoso.example", "displayName": "Ada"}}
		if u, did, err := h.PutUser(ctx, m, "cli"); err != nil || !did || u.AccountEnabled {
			t.Errorf("got %v, %v, %v", u, did, err)
		}
	})
}
