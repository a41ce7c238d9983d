package directory_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// company is a directory under test with a clock that ticks once a second.
type company struct {
	*directory.Handle
	all  *directory.Directories
	read func(after event.Position) []event.Event
}

func newCompany(t *testing.T, db *store.DB) company {
	t.Helper()
	clock, ids := time.Date(2024, 3, 1, 8, 0, 0, 0, time.UTC), 0
	all := &directory.Directories{
		Store: store.Directories{DB: db},
		Now:   func() time.Time { clock = clock.Add(time.Second); return clock },
		NewID: func() string { ids++; return id(ids) },
	}
	d, err := all.Create(t.Context(), "contoso", "cli")
	if err != nil {
		t.Fatal(err)
	}
	h := all.Open(d)
	// What has happened is read newest first: the feed holds events back while any other test has a
	// transaction open.
	return company{Handle: h, all: all, read: func(after event.Position) []event.Event {
		t.Helper()
		events, err := store.Events{DB: db}.Recent(t.Context(), event.Directory(string(d.ID)), "", event.Position{}, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		events = slices.DeleteFunc(events, func(e event.Event) bool { return !e.Position.After(after) })
		slices.Reverse(events)
		return events
	}}
}

func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

// add makes an enabled user named "First Last" with pairs of further attributes.
func (c company) add(t *testing.T, name string, pairs ...string) directory.User {
	t.Helper()
	first, last, _ := strings.Cut(name, " ")
	u := directory.User{AccountEnabled: true, Attributes: map[string]any{
		"userPrincipalName": strings.ToLower(first) + "@contoso.example", "displayName": name, "givenName": first, "surname": last,
	}}
	for i := 0; i < len(pairs); i += 2 {
		if err := u.Set(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	u, did, err := c.PutUser(t.Context(), u, "cli")
	if err != nil || !did {
		t.Fatalf("put %s: did %v, error %v", name, did, err)
	}
	return u
}

// happened lists events after a position as "name subject text".
func (c company) happened(after event.Position) []string {
	var lines []string
	for _, e := range c.read(after) {
		lines = append(lines, e.Name+" by "+e.Actor+": "+e.Text)
	}
	return lines
}

// position is that of the newest event, once the feed shows it.
func (c company) position(t *testing.T) event.Position {
	t.Helper()
	events := c.read(event.Position{})
	newest := events[len(events)-1].Position
	for t.Context().Err() == nil {
		p, err := c.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p == newest {
			return p
		}
		// Reading waits until what other tests hold back is settled, or a quarter of a second.
		if _, err := c.Changes(t.Context(), "", directory.Progress{Position: p}, 1); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the feed never showed the newest event")
	return newest
}

func names(users []directory.User) []string {
	var list []string
	for _, u := range users {
		list = append(list, u.DisplayName())
	}
	return list
}

func wantError(t *testing.T, err error, kind error, parts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one that is %v", err, kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q and lacks %q", err, part)
		}
	}
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		_, err := c.all.Create(ctx, "contoso", "cli")
		wantError(t, err, refusal.Taken, `already a directory "contoso"`)
		for _, name := range []string{"", "Contoso", "a/b", "-a", "sign-in", strings.Repeat("a", 64)} {
			_, err := c.all.Create(ctx, name, "cli")
			wantError(t, err, refusal.Invalid)
		}
		_, err = c.all.ByName(ctx, "fabrikam")
		wantError(t, err, refusal.NotFound, `no directory "fabrikam"; there is contoso`)
		if _, err := c.all.Create(ctx, "adatum", "cli"); err != nil {
			t.Fatal(err)
		}
		all, err := c.all.List(ctx)
		if err != nil || len(all) != 2 || all[0].Name != "adatum" || all[1].Name != "contoso" {
			t.Errorf("got %v, %v, want adatum and contoso", all, err)
		}
		c.add(t, "Ada Lovelace")
		adatum, err := c.all.OpenByID(ctx, all[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.all.Delete(ctx, adatum.Directory, "cli"); err != nil {
			t.Fatal(err)
		}
		_, err = c.all.Delete(ctx, adatum.Directory, "cli")
		wantError(t, err, refusal.NotFound, "directory adatum is gone")
		_, _, err = adatum.PutUser(ctx, directory.User{Attributes: map[string]any{"userPrincipalName": "a@b"}}, "cli")
		wantError(t, err, refusal.NotFound, "directory adatum is gone")
		_, err = c.all.OpenByID(ctx, all[0].ID)
		wantError(t, err, refusal.NotFound)
	})
}

func TestDirectories_rename(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, ctx := newCompany(t, db), t.Context()
		ada := c.add(t, "Ada Lovelace")
		if _, err := c.all.Create(ctx, "adatum", "cli"); err != nil {
			t.Fatal(err)
		}
		start := c.position(t)
		_, err := c.all.Rename(ctx, c.Directory, "adatum", "operator:kim")
		wantError(t, err, refusal.Taken, `already a directory "adatum"`)
		_, err = c.all.Rename(ctx, c.Directory, "sign-in", "operator:kim")
		wantError(t, err, refusal.Invalid)
		for range 2 { // its own name again changes nothing
			d, err := c.all.Rename(ctx, c.Directory, "fabrikam", "operator:kim")
			if err != nil || d.Name != "fabrikam" || d.ID != c.Directory.ID {
				t.Fatalf("got %+v, %v", d, err)
			}
			c.Directory = d
		}
		if diff := cmp.Diff(c.happened(start), []string{"directory.renamed by operator:kim: Directory contoso was renamed to fabrikam"}); diff != "" {
			t.Error(diff)
		}
		h, err := c.all.OpenNamed(ctx, "fabrikam")
		if err != nil {
			t.Fatal(err)
		}
		if u, err := h.User(ctx, ada.ObjectID); err != nil || u.DisplayName() != "Ada Lovelace" {
			t.Errorf("its user: %v, %v", u, err)
		}
		_, err = c.all.ByName(ctx, "contoso")
		wantError(t, err, refusal.NotFound)
	})
}

func TestApplication_is_renamed_and_deleted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, ctx := newCompany(t, db), t.Context()
		ada := c.add(t, "Ada Lovelace")
		var apps []directory.Application
		for _, name := range []string{"Acme", "Beta"} {
			a, err := c.CreateApplication(ctx, name, "cli")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Assign(ctx, a.ID, []string{ada.ObjectID}, "cli"); err != nil {
				t.Fatal(err)
			}
			apps = append(apps, a)
		}
		start := c.position(t)
		_, err := c.RenameApplication(ctx, apps[0].ID, "BETA", "operator:kim")
		wantError(t, err, refusal.Taken, `already has an application "BETA"`)
		_, err = c.RenameApplication(ctx, apps[0].ID, "a/b", "operator:kim")
		wantError(t, err, refusal.Invalid)
		_, err = c.RenameApplication(ctx, "none", "Gamma", "operator:kim")
		wantError(t, err, refusal.NotFound, `no application with the id "none"`)
		for _, name := range []string{"ACME", " Gamma Inc. ", "Gamma Inc."} { // its own name in other case is free; the same again changes nothing
			if _, err := c.RenameApplication(ctx, apps[0].ID, name, "operator:kim"); err != nil {
				t.Fatal(err)
			}
		}
		if a, err := c.Application(ctx, "gamma inc."); err != nil || a.ID != apps[0].ID {
			t.Errorf("got %+v, %v", a, err)
		}
		if n, err := c.CountAssignments(ctx, apps[0].ID); err != nil || n != 1 {
			t.Errorf("%d are assigned, %v", n, err)
		}

		held, err := c.ApplicationContents(ctx, apps[0].ID)
		if want := (directory.Contents{Assigned: 1}); err != nil || held != want {
			t.Errorf("it holds %+v, %v", held, err)
		}
		gone, err := c.DeleteApplication(ctx, apps[0].ID, "operator:kim")
		if err != nil || gone != held {
			t.Errorf("got %+v, %v, want %+v", gone, err, held)
		}
		_, err = c.DeleteApplication(ctx, apps[0].ID, "operator:kim")
		wantError(t, err, refusal.NotFound)
		of, err := c.ApplicationsOf(ctx, ada.ObjectID)
		if err != nil || len(of) != 1 || of[0].ID != apps[1].ID {
			t.Errorf("she has %v, %v, want Beta alone", of, err)
		}
		want := []string{
			"application.renamed by operator:kim: Application Acme was renamed to ACME",
			"application.renamed by operator:kim: Application ACME was renamed to Gamma Inc.",
			"application.deleted by operator:kim: Application Gamma Inc. was deleted (assignments: 1; linked accounts, which stay as they are: 0)",
		}
		if diff := cmp.Diff(c.happened(start), want); diff != "" {
			t.Error(diff)
		}
		if _, err := c.CreateApplication(ctx, "Gamma Inc.", "cli"); err != nil {
			t.Errorf("its name is not free again: %v", err)
		}
	})
}

func TestUser_life_writes_one_event_per_change(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		start := c.position(t)
		ada := c.add(t, "Ada Lovelace", "mail", "ada@contoso.example", "otherMails", "a@x.example; b@x.example")
		ada.Attributes["jobTitle"] = "Analyst"
		ada, did, err := c.PutUser(ctx, ada, "operator:kim")
		if err != nil || !did || ada.Version != 2 {
			t.Fatalf("got version %d, did %v, error %v; want 2, true, nil", ada.Version, did, err)
		}
		if _, did, err := c.PutUser(ctx, ada, "operator:kim"); did || err != nil {
			t.Errorf("putting the same again: did %v, error %v", did, err)
		}
		steps := []func() (directory.User, error){
			func() (directory.User, error) { return c.Disable(ctx, ada.ObjectID, "cli") },
			func() (directory.User, error) { return c.Disable(ctx, ada.ObjectID, "cli") },
			func() (directory.User, error) { return c.Enable(ctx, strings.ToUpper(ada.ObjectID), "cli") },
			func() (directory.User, error) { return c.SoftDelete(ctx, ada.ObjectID, "cli") },
			func() (directory.User, error) { return c.SoftDelete(ctx, ada.ObjectID, "cli") },
			func() (directory.User, error) { return c.Restore(ctx, ada.ObjectID, "cli") },
			func() (directory.User, error) { return c.Restore(ctx, ada.ObjectID, "cli") },
			func() (directory.User, error) { return c.SoftDelete(ctx, ada.ObjectID, "cli") },
		}
		for i, step := range steps {
			if _, err := step(); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
		if err := c.Purge(ctx, ada.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		_, err = c.User(ctx, ada.ObjectID)
		wantError(t, err, refusal.NotFound, ada.ObjectID)
		const who = "Ada Lovelace (ada@contoso.example)"
		want := []string{
			"user.created by cli: " + who + " was created",
			"user.updated by operator:kim: " + who + " was updated: jobTitle",
			"user.disabled by cli: " + who + " was disabled: accountEnabled",
			"user.enabled by cli: " + who + " was enabled: accountEnabled",
			"user.deleted by cli: " + who + " was deleted (can be restored)",
			"user.restored by cli: " + who + " was restored",
			"user.deleted by cli: " + who + " was deleted (can be restored)",
			"user.purged by cli: " + who + " was deleted permanently",
		}
		if diff := cmp.Diff(c.happened(start), want); diff != "" {
			t.Errorf("-got +want:\n%s", diff)
		}
		history, err := c.History(ctx, ada.ObjectID, event.Position{}, 2)
		if err != nil || len(history) != 2 || history[0].Name != event.UserPurged {
			t.Errorf("got history %v, %v", history, err)
		}
	})
}

func TestUser_attributes_come_back_as_they_went_in(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		boss := c.add(t, "Björn Öst")
		u := directory.User{AccountEnabled: true, Attributes: map[string]any{
			"USERPRINCIPALNAME": " Yuki@Contoso.example ", "displayname": "山田 雪", "otherMails": []string{"a@x.example", "", "a@x.example", "b@x.example"},
			"manager": strings.ToUpper(boss.ObjectID), "city": "", "streetAddress": "1 Main St\nFloor 2", "extensionAttribute15": "<b>&\"'",
		}}
		put, _, err := c.PutUser(t.Context(), u, "cli")
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.UserByUPN(t.Context(), "YUKI@contoso.EXAMPLE")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, put); diff != "" {
			t.Errorf("read back differs from what was put (-got +want):\n%s", diff)
		}
		want := map[string]any{
			"userPrincipalName": "Yuki@Contoso.example", "displayName": "山田 雪", "otherMails": []string{"a@x.example", "b@x.example"},
			"manager": boss.ObjectID, "streetAddress": "1 Main St\nFloor 2", "extensionAttribute15": "<b>&\"'",
		}
		if diff := cmp.Diff(got.Attributes, want); diff != "" {
			t.Errorf("-got +want:\n%s", diff)
		}
	})
}

func TestPutUser_refuses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ada := c.add(t, "Ada Lovelace")
		gone := c.add(t, "Gone Person")
		if _, err := c.SoftDelete(t.Context(), gone.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		start := c.position(t)
		with := func(u directory.User, name string, value any) directory.User {
			attributes := map[string]any{"userPrincipalName": "new@contoso.example"}
			for k, v := range u.Attributes {
				attributes[k] = v
			}
			attributes[name] = value
			u.Attributes = attributes
			return u
		}
		stale := with(ada, "city", "Rome")
		stale.Version = 7
		unknown := with(directory.User{}, "city", "Rome")
		unknown.ObjectID, unknown.Version = id(999), 1
		tests := map[string]struct {
			user  directory.User
			kind  error
			parts []string
		}{
			"a_name_that_another_user_has":    {with(directory.User{}, "userPrincipalName", "ADA@contoso.example"), refusal.Taken, []string{"belongs to another user, Ada Lovelace", ada.ObjectID}},
			"a_user_without_a_name":           {with(directory.User{}, "userPrincipalName", ""), refusal.Invalid, []string{"userPrincipalName is empty"}},
			"a_name_without_a_domain":         {with(directory.User{}, "userPrincipalName", "ada"), refusal.Invalid, []string{"name@domain"}},
			"an_unknown_attribute":            {with(directory.User{}, "firstName", "Ada"), refusal.Invalid, []string{`no attribute "firstName"; did you mean givenName?`}},
			"a_list_for_a_single_value":       {with(directory.User{}, "city", []string{"a", "b"}), refusal.Invalid, []string{"city has one value"}},
			"a_number":                        {with(directory.User{}, "city", 5), refusal.Invalid, []string{"city is a string"}},
			"a_nul":                           {with(directory.User{}, "city", "a\x00b"), refusal.Invalid, []string{"control character (U+0000)"}},
			"bytes_that_are_not_utf8":         {with(directory.User{}, "city", "\xff"), refusal.Invalid, []string{"UTF-8"}},
			"a_value_that_is_too_long":        {with(directory.User{}, "city", strings.Repeat("ü", 1025)), refusal.Invalid, []string{"1025 characters; 1024"}},
			"an_object_id_that_is_no_guid":    {directory.User{ObjectID: "42", Attributes: ada.Attributes}, refusal.Invalid, []string{"objectId is a GUID"}},
			"a_manager_that_does_not_exist":   {with(ada, "manager", id(999)), refusal.Invalid, []string{"is not a user of directory contoso"}},
			"being_one's_own_manager":         {with(ada, "manager", ada.ObjectID), refusal.Invalid, []string{"own manager"}},
			"a_version_that_is_not_the_last":  {stale, refusal.Stale, []string{"changed by somebody else"}},
			"a_version_of_nobody":             {unknown, refusal.NotFound, []string{id(999)}},
			"a_change_of_a_soft_deleted_user": {with(gone, "city", "Rome"), refusal.Conflict, []string{"restore the user first"}},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				_, did, err := c.PutUser(t.Context(), test.user, "cli")
				wantError(t, err, test.kind, test.parts...)
				if did {
					t.Error("it says that something changed")
				}
			})
		}
		if got := c.happened(start); got != nil {
			t.Errorf("refused changes wrote events: %v", got)
		}
	})
}

func TestSoftDelete_frees_the_name_and_restore_asks_for_it(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		old := c.add(t, "Ada Lovelace")
		if _, err := c.SoftDelete(ctx, old.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		other := c.add(t, "Ada Byron")
		_, err := c.Restore(ctx, old.ObjectID, "cli")
		wantError(t, err, refusal.Taken, "Ada Byron", other.ObjectID)
		if _, err := c.Disable(ctx, old.ObjectID, "cli"); !errors.Is(err, refusal.Conflict) {
			t.Errorf("disabling a deleted user: got %v", err)
		}
		wantError(t, c.Purge(ctx, other.ObjectID, "cli"), refusal.Conflict, "is not deleted")
		if _, err := c.SoftDelete(ctx, other.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		if u, err := c.Restore(ctx, old.ObjectID, "cli"); err != nil || u.IsDeleted() {
			t.Errorf("got %v, %v", u.Deleted, err)
		}
	})
}

func TestPurge_takes_the_manager_from_reports(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		boss := c.add(t, "Grace Hopper")
		ada := c.add(t, "Ada Lovelace", "manager", boss.ObjectID)
		if _, err := c.SoftDelete(ctx, boss.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		if u, err := c.User(ctx, ada.ObjectID); err != nil || u.Text("manager") != boss.ObjectID {
			t.Errorf("a soft-deleted manager stays: got %q, %v", u.Text("manager"), err)
		}
		if err := c.Purge(ctx, boss.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		if u, err := c.User(ctx, ada.ObjectID); err != nil || u.Text("manager") != "" || u.Version != 2 {
			t.Errorf("got manager %q, version %d, %v; want none, 2", u.Text("manager"), u.Version, err)
		}
	})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		ada := c.add(t, "Ada Lovelace", "department", "R&D_100%")
		c.add(t, "alan Turing", "department", "Research")
		c.add(t, "Grace Hopper", "accountEnabled", "false", "jobTitle", "Rear Admiral")
		gone := c.add(t, "Gone Person")
		c.add(t, "Zoë Étienne", "employeeId", "4711")
		if _, err := c.SoftDelete(ctx, gone.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		app, err := c.CreateApplication(ctx, "Teams", "cli")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Assign(ctx, app.ID, []string{ada.ObjectID}, "cli"); err != nil {
			t.Fatal(err)
		}
		tests := map[string]struct {
			query directory.UserQuery
			want  []string
		}{
			"lists_by_name_without_case":               {directory.UserQuery{}, []string{"Ada Lovelace", "alan Turing", "Grace Hopper", "Zoë Étienne"}},
			"enabled":                                  {directory.UserQuery{Status: directory.Enabled}, []string{"Ada Lovelace", "alan Turing", "Zoë Étienne"}},
			"disabled":                                 {directory.UserQuery{Status: directory.Disabled}, []string{"Grace Hopper"}},
			"deleted":                                  {directory.UserQuery{Status: directory.Deleted}, []string{"Gone Person"}},
			"search_without_case":                      {directory.UserQuery{Search: "ZOË étienne"}, []string{"Zoë Étienne"}},
			"search_looks_for_every_word_anywhere":     {directory.UserQuery{Search: "place ada"}, nil},
			"search_by_part_of_a_word":                 {directory.UserQuery{Search: "lace ada"}, []string{"Ada Lovelace"}},
			"search_in_job_title":                      {directory.UserQuery{Search: "admiral"}, []string{"Grace Hopper"}},
			"search_by_employee_id":                    {directory.UserQuery{Search: "4711"}, []string{"Zoë Étienne"}},
			"search_takes_percent_and_line_as_letters": {directory.UserQuery{Search: "D_100%"}, []string{"Ada Lovelace"}},
			"search_for_a_lone_percent":                {directory.UserQuery{Search: `%%\`}, nil},
			"assigned":                                 {directory.UserQuery{AssignedTo: app.ID}, []string{"Ada Lovelace"}},
			"not_assigned":                             {directory.UserQuery{NotAssignedTo: app.ID, Search: "contoso.example"}, []string{"alan Turing", "Grace Hopper", "Zoë Étienne"}},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				page, err := c.Users(ctx, test.query)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(names(page.Users), test.want); diff != "" {
					t.Errorf("-got +want:\n%s", diff)
				}
			})
		}
		counts, err := c.Counts(ctx)
		if want := (directory.Counts{Enabled: 3, Disabled: 1, Deleted: 1}); err != nil || counts != want {
			t.Errorf("got %+v, %v, want %+v", counts, err, want)
		}
	})
}

func TestUsers_pages_neither_skip_nor_repeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		var want []string
		for i := range 23 {
			// Five share each display name, so that a page ends among equals.
			u := c.add(t, fmt.Sprintf("User%02d", i), "displayName", fmt.Sprintf("~ Name %d", i/5))
			want = append(want, u.UPN())
		}
		var got []string
		q, pages := directory.UserQuery{Limit: 4}, 0
		for {
			page, err := c.Users(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, u := range page.Users {
				got = append(got, u.UPN())
			}
			if !page.More {
				break
			}
			if q.After, err = directory.ParseCursor(page.Next.String()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(got, want); diff != "" || pages != 6 {
			t.Errorf("%d pages (-got +want):\n%s", pages, diff)
		}
		n := 0
		if err := c.EachUser(t.Context(), directory.UserQuery{}, func(directory.User) error { n++; return nil }); err != nil || n != 23 {
			t.Errorf("visited %d, %v", n, err)
		}
		if _, err := directory.ParseCursor("nonsense"); !errors.Is(err, refusal.Invalid) {
			t.Errorf("a damaged cursor: got %v", err)
		}
	})
}

func TestApplications(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		ada, bob := c.add(t, "Ada Lovelace"), c.add(t, "Bob Ross")
		app, err := c.CreateApplication(ctx, " Stack Overflow for Teams ", "cli")
		if err != nil || app.Name != "Stack Overflow for Teams" {
			t.Fatalf("got %+v, %v", app, err)
		}
		_, err = c.CreateApplication(ctx, "STACK OVERFLOW for teams", "cli")
		wantError(t, err, refusal.Taken, "already has an application")
		_, err = c.CreateApplication(ctx, "a/b", "cli")
		wantError(t, err, refusal.Invalid)
		for _, name := range []string{"stack overflow FOR teams", app.ID} {
			if got, err := c.Application(ctx, name); err != nil || got != app {
				t.Errorf("find %q: got %+v, %v", name, got, err)
			}
		}
		_, err = c.Application(ctx, "Jira")
		wantError(t, err, refusal.NotFound, "there is Stack Overflow for Teams")

		start := c.position(t)
		n, err := c.Assign(ctx, app.ID, []string{ada.ObjectID, bob.ObjectID, ada.ObjectID}, "cli")
		if n != 2 || err != nil {
			t.Errorf("assigned %d, %v, want 2", n, err)
		}
		n, err = c.Unassign(ctx, app.ID, []string{bob.ObjectID, bob.ObjectID}, "cli")
		if n != 1 || err != nil {
			t.Errorf("unassigned %d, %v, want 1", n, err)
		}
		_, err = c.Assign(ctx, app.ID, []string{bob.ObjectID, id(999)}, "cli")
		wantError(t, err, refusal.NotFound, id(999))
		_, err = c.Assign(ctx, "nothing", []string{bob.ObjectID}, "cli")
		wantError(t, err, refusal.NotFound, `no application with the id "nothing"`)
		want := []string{
			"assignment.added by cli: Ada Lovelace (ada@contoso.example) was assigned to Stack Overflow for Teams",
			"assignment.added by cli: Bob Ross (bob@contoso.example) was assigned to Stack Overflow for Teams",
			"assignment.removed by cli: Bob Ross (bob@contoso.example) is no longer assigned to Stack Overflow for Teams",
		}
		if diff := cmp.Diff(c.happened(start), want); diff != "" {
			t.Errorf("-got +want:\n%s", diff)
		}
		page, err := c.Assignments(ctx, app.ID, directory.UserQuery{})
		if diff := cmp.Diff(names(page.Users), []string{"Ada Lovelace"}); diff != "" || err != nil {
			t.Errorf("%v (-got +want):\n%s", err, diff)
		}
		if of, err := c.ApplicationsOf(ctx, ada.ObjectID); err != nil || len(of) != 1 || of[0] != app {
			t.Errorf("got %v, %v", of, err)
		}
		if _, err := c.SoftDelete(ctx, ada.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		if n, err := c.CountAssignments(ctx, app.ID); n != 0 || err != nil {
			t.Errorf("a deleted user counts: %d, %v", n, err)
		}
		_, err = c.Assign(ctx, app.ID, []string{ada.ObjectID}, "cli")
		wantError(t, err, refusal.Conflict, "restore the user first")
		if _, err := c.Restore(ctx, ada.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		if n, err := c.CountAssignments(ctx, app.ID); n != 1 || err != nil {
			t.Errorf("a restored user has the assignment again: got %d, %v", n, err)
		}
	})
}

func TestSource(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		app, err := c.CreateApplication(ctx, "Teams", "cli")
		if err != nil {
			t.Fatal(err)
		}
		other, err := c.CreateApplication(ctx, "Jira", "cli")
		if err != nil {
			t.Fatal(err)
		}
		ada, bob, cem := c.add(t, "Ada Lovelace"), c.add(t, "Bob Ross"), c.add(t, "Cem Yıldız")
		if _, err := c.Assign(ctx, app.ID, []string{ada.ObjectID, bob.ObjectID}, "cli"); err != nil {
			t.Fatal(err)
		}
		watermark := c.position(t)

		seen := func(q directory.SnapshotQuery) (lines []string) {
			t.Helper()
			q.Limit = 2
			for {
				page, err := c.Snapshot(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range page {
					lines = append(lines, fmt.Sprintf("%s assigned=%v deleted=%v", o.User.DisplayName(), o.Assigned, o.User.IsDeleted()))
				}
				if len(page) < q.Limit {
					return lines
				}
				q.After = page[len(page)-1].User.ObjectID
			}
		}
		if _, err := c.SoftDelete(ctx, bob.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		want := []string{"Ada Lovelace assigned=true deleted=false", "Bob Ross assigned=true deleted=true", "Cem Yıldız assigned=false deleted=false"}
		if diff := cmp.Diff(seen(directory.SnapshotQuery{App: app.ID}), want); diff != "" {
			t.Errorf("all (-got +want):\n%s", diff)
		}
		if diff := cmp.Diff(seen(directory.SnapshotQuery{App: app.ID, AssignedOnly: true}), want[:2]); diff != "" {
			t.Errorf("assigned (-got +want):\n%s", diff)
		}

		if _, err := c.Disable(ctx, cem.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Assign(ctx, other.ID, []string{ada.ObjectID}, "cli"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Enable(ctx, cem.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Unassign(ctx, app.ID, []string{ada.ObjectID}, "cli"); err != nil {
			t.Fatal(err)
		}
		now := c.position(t)
		changes, err := c.Changes(ctx, app.ID, directory.Progress{Position: watermark}, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(changes.ObjectIDs, []string{bob.ObjectID, cem.ObjectID, ada.ObjectID}); diff != "" || changes.More {
			t.Errorf("more %v (-got +want):\n%s", changes.More, diff)
		}
		if changes.Progress != (directory.Progress{Position: now}) {
			t.Errorf("the feed stands at %v, the watermark at %v", now, changes.Progress)
		}

		// The assignment of the other application alone names nobody, and moves the watermark all
		// the same.
		var ids []string
		at, pages := directory.Progress{Position: watermark}, 0
		for {
			page, err := c.Changes(ctx, app.ID, at, 1)
			if err != nil {
				t.Fatal(err)
			}
			ids, at, pages = append(ids, page.ObjectIDs...), page.Progress, pages+1
			if !page.More {
				break
			}
		}
		if diff := cmp.Diff(ids, []string{bob.ObjectID, cem.ObjectID, cem.ObjectID, ada.ObjectID}); diff != "" || pages != 6 || at != changes.Progress {
			t.Errorf("%d pages to %v (-got +want):\n%s", pages, at, diff)
		}

		if o, err := c.Object(ctx, app.ID, ada.ObjectID); err != nil || o.Assigned || o.User.IsDeleted() {
			t.Errorf("got %+v, %v", o, err)
		}
		if o, err := c.Object(ctx, other.ID, ada.ObjectID); err != nil || !o.Assigned {
			t.Errorf("got %+v, %v", o, err)
		}
		if err := c.Purge(ctx, bob.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		_, err = c.Object(ctx, app.ID, bob.ObjectID)
		wantError(t, err, refusal.NotFound)
	})
}

func TestObject_attributes_are_what_entra_hands_to_mappings(t *testing.T) {
	t.Parallel()
	o := directory.Object{User: directory.User{ObjectID: id(1), AccountEnabled: true, Attributes: map[string]any{
		"userPrincipalName": "lee_ann_fabrikam.example#EXT#@contoso.example", "otherMails": []string{"a@b"},
	}}}
	want := map[string]any{
		"objectId": id(1), "accountEnabled": true, "userPrincipalName": "lee_ann@fabrikam.example", "otherMails": []string{"a@b"},
		"originalUserPrincipalName": "lee_ann_fabrikam.example#EXT#@contoso.example",
	}
	if diff := cmp.Diff(o.Attributes(), want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

func TestDirectory_writers_follow_each_other(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		done := make(chan error)
		const writers = 8
		for i := range writers {
			go func() {
				h := c.Handle
				u := directory.User{ObjectID: id(1000 + i), Attributes: map[string]any{"userPrincipalName": "same@contoso.example"}}
				_, _, err := h.PutUser(context.WithoutCancel(t.Context()), u, "cli")
				done <- err
			}()
		}
		won := 0
		for range writers {
			switch err := <-done; {
			case err == nil:
				won++
			case !errors.Is(err, refusal.Taken):
				t.Errorf("got %v, want a conflict", err)
			}
		}
		if won != 1 {
			t.Errorf("%d of %d got the name", won, writers)
		}
	})
}

// rows yields rows of the given columns, from line 2 on.
func rows(columns string, lines ...string) iter.Seq2[directory.Row, error] {
	names := strings.Split(columns, ",")
	return func(yield func(directory.Row, error) bool) {
		for i, line := range lines {
			row := directory.Row{Line: i + 2, Values: map[string]string{}}
			for k, v := range strings.Split(line, ",") {
				row.Values[names[k]] = v
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func summary(r directory.ImportReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "rows %d created %d updated %d restored %d unchanged %d deleted %d of %d", r.Rows, r.Created, r.Updated, r.Restored, r.Unchanged, r.SoftDeleted, r.Before)
	for _, e := range r.Errors {
		b.WriteString("\n" + e.Error())
	}
	for _, p := range r.Absent {
		b.WriteString("\nabsent " + p.UserPrincipalName)
	}
	if r.Refused != "" {
		b.WriteString("\n" + r.Refused)
	}
	return b.String()
}

func wantReport(t *testing.T, r directory.ImportReport, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(summary(r), strings.TrimSpace(want)); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		const columns = "userPrincipalName,displayName,department,accountEnabled,manager"
		file := []string{
			"ada@contoso.example,Ada Lovelace,R&D,,grace@contoso.example",
			"bob@contoso.example,Bob Ross,Art,FALSE,nobody@contoso.example",
			"ada@contoso.example,Ada Lovelace,R&D,, grace@contoso.example ",
			",Nobody,,true,",
			"cem@contoso.example,Cem,R&D,perhaps,",
			"grace@contoso.example,Grace Hopper,Navy,true,",
		}
		start := c.position(t)
		for _, dry := range []bool{true, false} {
			r, err := c.Import(ctx, rows(columns, file...), directory.ImportOptions{Actor: "cli", DryRun: dry})
			wantReport(t, r, err, `
rows 6 created 3 updated 0 restored 0 unchanged 0 deleted 0 of 0
line 3, column manager: there is no user nobody@contoso.example, neither in the file nor in the directory; the manager was left as it is
line 5, column userPrincipalName: the row has neither an objectId nor an employeeId nor a userPrincipalName; give it one of them
line 6, column accountEnabled: accountEnabled is true or false, not "perhaps". Write true, yes, active or enabled, or false, no, inactive or disabled, or say what the word means with --enabled-words or --disabled-words`)
			if got := c.happened(start); dry && got != nil {
				t.Fatalf("the dry run wrote %v", got)
			}
		}
		ada, err := c.UserByUPN(ctx, "ada@contoso.example")
		if err != nil {
			t.Fatal(err)
		}
		grace, err := c.UserByUPN(ctx, "grace@contoso.example")
		if err != nil {
			t.Fatal(err)
		}
		if !ada.AccountEnabled || ada.Text("manager") != grace.ObjectID {
			t.Errorf("got ada %+v, want enabled with manager %s", ada, grace.ObjectID)
		}

		start = c.position(t)
		r, err := c.Import(ctx, rows(columns, file[0], file[5]), directory.ImportOptions{Actor: "cli"})
		wantReport(t, r, err, "rows 2 created 0 updated 0 restored 0 unchanged 2 deleted 0 of 3\nabsent bob@contoso.example")
		if got := c.happened(start); got != nil {
			t.Errorf("importing the same again wrote %v", got)
		}

		if _, err := c.SoftDelete(ctx, ada.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		start = c.position(t)
		r, err = c.Import(ctx, rows("objectId,userPrincipalName,accountEnabled,department,manager",
			ada.ObjectID+",countess@contoso.example,,,", ",bob@contoso.example,true,Art,ada@contoso.example"), directory.ImportOptions{Actor: "cli"})
		wantReport(t, r, err, `
rows 2 created 0 updated 1 restored 1 unchanged 0 deleted 0 of 2
line 3, column manager: there is no user ada@contoso.example, neither in the file nor in the directory; the manager was left as it is
absent grace@contoso.example`)
		want := []string{
			"user.restored by cli: Ada Lovelace (countess@contoso.example) was restored: userPrincipalName, department",
			"user.enabled by cli: Bob Ross (bob@contoso.example) was enabled: accountEnabled",
			"user.updated by cli: Ada Lovelace (countess@contoso.example) was updated: manager",
			"directory.imported by cli: Import of users by command line ended",
		}
		if diff := cmp.Diff(c.happened(start), want); diff != "" {
			t.Errorf("-got +want:\n%s", diff)
		}
	})
}

func TestImport_soft_deletes_absent_users_only_when_it_is_safe(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		ctx := t.Context()
		var file []string
		for i := range 20 {
			file = append(file, fmt.Sprintf("u%02d@contoso.example,User %02d", i, i))
		}
		run := func(o directory.ImportOptions, rows iter.Seq2[directory.Row, error]) (directory.ImportReport, error) {
			o.Actor = "cli"
			return c.Import(ctx, rows, o)
		}
		const columns = "userPrincipalName,displayName"
		if _, err := run(directory.ImportOptions{}, rows(columns, file...)); err != nil {
			t.Fatal(err)
		}

		announced := ""
		o := directory.ImportOptions{Absent: directory.AbsentSoftDelete, BeforeSoftDelete: func(n, of int) { announced = fmt.Sprint(n, " of ", of) }}
		r, err := run(o, rows(columns, file[3:]...))
		wantReport(t, r, err, `
rows 17 created 0 updated 0 restored 0 unchanged 17 deleted 0 of 20
absent u00@contoso.example
absent u01@contoso.example
absent u02@contoso.example
nobody was deleted: 3 of 20 users (15 %) are not in the file, which is more than 10 %; check that the file is complete`)
		if announced != "" {
			t.Errorf("announced %q", announced)
		}

		broken := func(yield func(directory.Row, error) bool) {
			for row, err := range rows(columns, file[1:]...) {
				if !yield(row, err) {
					return
				}
			}
			yield(directory.Row{}, &directory.RowError{Line: 99, Detail: "cannot be read"})
		}
		o.Force = true
		r, err = run(o, broken)
		wantReport(t, r, err, `
rows 20 created 0 updated 0 restored 0 unchanged 19 deleted 0 of 20
line 99: cannot be read
absent u00@contoso.example
nobody was deleted: 1 row of the file could not be read, so it does not show who is absent; repair the file and import it again`)

		// A refused row names its user all the same.
		r, err = run(o, rows("userPrincipalName,accountEnabled", slices.Concat([]string{"u00@contoso.example,perhaps"}, withEnabled(file[1:]))...))
		wantReport(t, r, err, `
rows 20 created 0 updated 0 restored 0 unchanged 20 deleted 0 of 20
line 2, column accountEnabled: accountEnabled is true or false, not "perhaps"; the old value was kept. Write true, yes, active or enabled, or false, no, inactive or disabled, or say what the word means with --enabled-words or --disabled-words`)

		o.Force, o.DryRun = false, true
		r, err = run(o, rows(columns, file[2:]...))
		const two = "rows 18 created 0 updated 0 restored 0 unchanged 18 deleted 2 of 20\nabsent u00@contoso.example\nabsent u01@contoso.example"
		wantReport(t, r, err, two)
		if n, err := c.Counts(ctx); err != nil || n.Deleted != 0 || announced != "" {
			t.Errorf("the dry run deleted: %+v, announced %q, %v", n, announced, err)
		}
		o.DryRun = false
		r, err = run(o, rows(columns, file[2:]...))
		wantReport(t, r, err, two)
		if n, err := c.Counts(ctx); err != nil || n.Deleted != 2 || announced != "2 of 20" {
			t.Errorf("got %+v, announced %q, %v", n, announced, err)
		}

		o.Force = true
		r, err = run(o, rows(columns, file[:10]...))
		if err != nil || r.Restored != 0 || len(r.Errors) != 2 || r.SoftDeleted != 10 || announced != "10 of 18" {
			t.Errorf("got %s, announced %q, %v", summary(r), announced, err)
		}
	})
}

func withEnabled(file []string) []string {
	var lines []string
	for _, line := range file {
		upn, _, _ := strings.Cut(line, ",")
		lines = append(lines, upn+",true")
	}
	return lines
}

func TestImport_ends_with_an_error_of_the_file(t *testing.T) {
	t.Parallel()
	c := newCompany(t, storetest.New(t))
	broken := errors.New("disk on fire")
	_, err := c.Import(t.Context(), func(yield func(directory.Row, error) bool) { yield(directory.Row{}, broken) }, directory.ImportOptions{Absent: directory.AbsentSoftDelete, Force: true})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestImport_of_more_rows_than_a_transaction_holds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		const people = 1200
		var file []string
		for i := range people {
			// Everybody reports to somebody who comes later in the file.
			file = append(file, fmt.Sprintf("u%04d@contoso.example,u%04d@contoso.example", i, (i+700)%people))
		}
		for i, want := range []string{
			"rows 1200 created 1200 updated 0 restored 0 unchanged 0 deleted 0 of 0",
			"rows 1200 created 0 updated 0 restored 0 unchanged 1200 deleted 0 of 1200",
		} {
			start := c.position(t)
			for _, dry := range []bool{true, false} {
				r, err := c.Import(t.Context(), rows("userPrincipalName,manager", file...), directory.ImportOptions{DryRun: dry})
				wantReport(t, r, err, want)
			}
			if n := len(c.read(start)); i == 1 && n != 0 {
				t.Errorf("the second import wrote %d events", n)
			}
		}
	})
}

func TestSuggest_finds_what_was_meant(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"first_name": "givenName", "E-Mail": "mail", "emplyeeId": "employeeId", "user principal name": "userPrincipalName",
		"Extension Attribute 3": "extensionAttribute3", "shoe size": "", "x": "",
	}
	for name, want := range tests {
		if got := directory.Suggest(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestExport_can_be_imported_without_a_change(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		boss := c.add(t, "Grace Hopper", "mobile", "+1 202 555 0100", "department", "=HYPERLINK(\"x\")")
		c.add(t, "Ada Lovelace", "manager", boss.ObjectID, "otherMails", "a@x.example;b@x.example", "accountEnabled", "false", "streetAddress", "1 Main St\nFloor 2")
		gone := c.add(t, "Gone Boss")
		c.add(t, "Bob Ross", "manager", boss.ObjectID)
		if _, err := c.SoftDelete(t.Context(), gone.ObjectID, "cli"); err != nil {
			t.Fatal(err)
		}
		var file strings.Builder
		w := csv.NewWriter(&file)
		if err := errors.Join(c.Export(t.Context(), w.Write), w.Flush()); err != nil {
			t.Fatal(err)
		}
		start := c.position(t)
		r, err := csv.NewReader(strings.NewReader(file.String()), directory.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := c.Import(t.Context(), r.Rows(), directory.ImportOptions{Absent: directory.AbsentSoftDelete})
		wantReport(t, report, err, "rows 3 created 0 updated 0 restored 0 unchanged 3 deleted 0 of 3")
		if got := c.happened(start); got != nil {
			t.Errorf("the import wrote %v", got)
		}
	})
}
