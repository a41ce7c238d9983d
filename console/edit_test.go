package console

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
)

var editFields = []EditField{
	{Name: "city", Label: "City"},
	{Name: "street", Label: "Street"},
	CheckboxField("groups", "Take groups"),
	ChoiceField("create", "On Create", map[string]string{"refuse": "Refuse", "create": "Create the account"}),
}

func TestMergeEdit(t *testing.T) {
	t.Parallel()
	made := map[string]string{"city": "Rome", "street": "1 Main St\nFloor 2", "groups": "yes", "create": "refuse"}
	type outcome struct {
		City, Street, Groups, Create string
		Mine, Others, Asked          []string
	}
	for name, tt := range map[string]struct {
		form   map[string]string // what I changed; "-" takes an input out of the form
		stored map[string]string // what others changed meanwhile
		want   outcome
	}{
		"nothing": {want: outcome{City: "Rome", Groups: "yes", Create: "refuse"}},
		"only_i_changed": {
			form: map[string]string{"city": " Oslo ", "groups": "-"},
			want: outcome{City: "Oslo", Create: "refuse", Mine: []string{"City", "Take groups"}},
		},
		"only_others_changed": {
			stored: map[string]string{"city": "Bonn", "create": "create"},
			want:   outcome{City: "Bonn", Groups: "yes", Create: "create", Others: []string{"City", "On Create"}},
		},
		"different_fields": {
			form: map[string]string{"groups": "-"}, stored: map[string]string{"create": "create"},
			want: outcome{City: "Rome", Create: "create", Mine: []string{"Take groups"}, Others: []string{"On Create"}},
		},
		"one_field_to_the_same_value": {
			form: map[string]string{"city": "Oslo"}, stored: map[string]string{"city": "Oslo"},
			want: outcome{City: "Oslo", Groups: "yes", Create: "refuse"},
		},
		"one_field_to_two_values": {
			form: map[string]string{"city": "Oslo", "groups": "-"}, stored: map[string]string{"city": "Bonn"},
			want: outcome{City: "Bonn", Create: "refuse", Mine: []string{"Take groups"}, Asked: []string{"City"}},
		},
		"cleared_here_and_changed_there": {
			form: map[string]string{"city": ""}, stored: map[string]string{"city": "Bonn"},
			want: outcome{City: "Bonn", Groups: "yes", Create: "refuse", Asked: []string{"City"}},
		},
		"a_field_that_is_not_of_the_form": {
			form: map[string]string{"city": "-", "was.city": "-"}, stored: map[string]string{"city": "Bonn"},
			want: outcome{City: "Bonn", Groups: "yes", Create: "refuse"},
		},
		"line_breaks_of_browsers": {
			form: map[string]string{"street": "1 Main St\r\nFloor 2", "was.street": "1 Main St\r\nFloor 2"},
			want: outcome{City: "Rome", Groups: "yes", Create: "refuse"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form, stored := url.Values{}, map[string]string{}
			for _, f := range editFields {
				form.Set(f.Name, made[f.Name])
				stored[f.Name] = made[f.Name]
			}
			for _, hidden := range StartValueFields(editFields, made) {
				form.Set(hidden.Name, hidden.Value)
			}
			for k, v := range tt.form {
				form.Set(k, v)
				if v == "-" {
					form.Del(k)
				}
			}
			for k, v := range tt.stored {
				stored[k] = v
			}
			m, err := MergeEdit(form, editFields, stored)
			if err != nil {
				t.Fatal(err)
			}
			got := outcome{City: m.Values["city"], Groups: m.Values["groups"], Create: m.Values["create"], Mine: m.ChangedByUser, Others: m.ChangedByOthers}
			for _, c := range m.Conflicts {
				got.Asked = append(got.Asked, c.Label)
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if m.Values["street"] != made["street"] {
				t.Errorf("got street %q", m.Values["street"])
			}
		})
	}
}

func TestMergeEdit_refuses_a_form_without_its_base(t *testing.T) {
	t.Parallel()
	if _, err := MergeEdit(url.Values{"city": {"Oslo"}}, editFields, map[string]string{"city": "Rome"}); err != ErrIncompleteForm {
		t.Errorf("got %v, want errIncompleteForm", err)
	}
}

func TestMergedEdit_names_what_others_changed(t *testing.T) {
	t.Parallel()
	one, two := MergedEdit{ChangedByOthers: []string{"City"}}, MergedEdit{ChangedByOthers: []string{"City", "Street"}}
	for _, tt := range []struct {
		m    MergedEdit
		last *event.Event
		want string
	}{
		{want: ""},
		{m: one, want: "Changed meanwhile by somebody else, and kept: City."},
		{m: two, last: &event.Event{Actor: "operator:sam"}, want: "Changed meanwhile by sam (operator), and kept: City, Street."},
	} {
		if got := tt.m.OthersText(tt.last); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
