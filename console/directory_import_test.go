package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
)

const importPath = "/d/contoso/users/import"

// chosenFor finds the fields of a column on the import form.
func (s *shown) chosenFor(column string) (field string, chosen string) {
	s.b.t.Helper()
	for _, in := range s.Root.all("input") {
		n, ok := strings.CutPrefix(in.attr["name"], "column.")
		if !ok || in.attr["value"] != column {
			continue
		}
		for _, choose := range s.Root.all("select") {
			if choose.attr["name"] != "becomes."+n {
				continue
			}
			for _, o := range choose.all("option") {
				if o.has("selected") {
					chosen = o.attr["value"]
				}
			}
		}
		return "becomes." + n, chosen
	}
	s.b.t.Fatalf("the form has no column %q: %s", column, s.words())
	return "", ""
}

func TestImportPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.directory("contoso", "")
	b := o.operator()
	b.get(importPath).wantStatus(http.StatusOK).wantWords("Users that are not in the file", "extensionAttribute15", "commas, semicolons, tabs or pipes", "employeeId").
		wantNoWords("--map")
	b.upload(importPath, "", "", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Choose a CSV file first.")
	b.send(http.MethodPost, importPath, url.Values{}).wantStatus(http.StatusUnprocessableEntity).wantWords("This is not an uploaded file")

	// A preview changes nothing, and the file stays for the import.
	broken := peopleFile + "zed@contoso.example,Zed \"the\" last,,,,,,\n"
	preview := b.upload(importPath, "people.csv", broken, map[string]string{"do": "preview"}).wantStatus(http.StatusOK).
		wantWords("Preview: nothing was changed.", "What would happen", "Created 3", "Errors 1", "displayName", "a double quote is out of place", "people.csv is kept here until", "What each row would do",
			"department Engines · manager grace@contoso.example")
	b.get("/d/contoso/users").wantWords("No users yet")
	done := preview.press("Import", nil).wantStatus(http.StatusOK).
		wantWords("people.csv was imported.", "Created 3", "1 value or row has an error", "5") // the line
	if len(done.Root.all("form")) == 0 || strings.Contains(done.words(), "is kept here") {
		t.Errorf("an imported file is still kept: %s", done.words())
	}
	b.upload(importPath, "people.csv", peopleFile, nil).wantWords("would change nothing").press("Import", nil).wantWords("people.csv changed nothing.", "Unchanged 3")

	// Deleting needs force, which is typed into the kept form. A choice that changes the preview is shown before it is done.
	before := b.get("/d/contoso/users/export").wantStatus(http.StatusOK)
	rows := strings.SplitAfter(peopleFile, "\n")
	short := b.upload(importPath, "short.csv", rows[0]+rows[2], map[string]string{"absent": "soft-delete"}).
		wantWords("nobody was deleted: 2 of 3 users (67 %)", "tick “Also when they are more than 10 %” below and make the preview again", "Ada Lovelace", "left as they are").wantNoWords("force")
	asked := short.press("Import", url.Values{"force": {"yes"}}).wantWords("The preview has changed since you saw it. Nothing was imported.", "would be soft-deleted", "Soft-deleted 2")
	b.get("/d/contoso/users").wantWords("Ada Lovelace")
	asked.press("Import", nil).wantWords("Soft-deleted 2", "Not in the file, soft-deleted")
	b.get("/d/contoso/users?status=deleted").wantWords("Ada Lovelace", "山田 雪")

	// The names alone bring nobody back; the object ids of the export do.
	b.upload(importPath, "people.csv", peopleFile, nil).wantWords("Restored 0", "restore the old user. Open the deleted user").wantNoWords("rollcall directory").
		click("Open the deleted user").wantStatus(http.StatusOK).wantWords("Restore")
	b.upload(importPath, "export.csv", before.Text, nil).press("Import", nil).wantWords("Restored 2")

	export := b.get("/d/contoso/users/export").wantStatus(http.StatusOK)
	if got, want := export.Header.Get("Content-Disposition"), `attachment; filename="contoso-users.csv"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.upload(importPath, "export.csv", export.Text, nil).press("Import", nil).wantWords("export.csv changed nothing.")
}

// TestImportPageAsksAboutColumns in words of the page, with the file kept meanwhile.
func TestImportPageAsksAboutColumns(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	b := o.operator()
	const file = "Employee #;First Name;Last Name;Work Email;Status;Shoe size\n00042;Ada;Okonkwo;ada@contoso.example;Active;38\n7;Bo;Li;bo@contoso.example;Inactive;44\n7;Bo;Li;bo@contoso.example;Inactive;44\n"
	page := b.upload(importPath, "hr.csv", file, map[string]string{"absent": "soft-delete", "force": "yes"}).
		wantWords("The file cannot be imported yet.", `"Work Email" has addresses`, `"Shoe size"`, "Not known", "38 · 44", "Found out by itself: semicolons").wantNoWords("--map", "--ignore-columns", "Add:")
	for column, want := range map[string]string{"Work Email": "userPrincipalName,mail", "Status": "accountEnabled", "Shoe size": "", "First Name": "givenName", "Employee #": "employeeId"} {
		if _, got := page.chosenFor(column); got != want {
			t.Errorf("%s: got %q, want %q", column, got, want)
		}
	}
	shoe, _ := page.chosenFor("Shoe size")
	preview := page.press("Preview", url.Values{shoe: {"extensionAttribute7"}}).
		wantWords("Created 2", "1 row is the same as an earlier one and counted once, such as line 4, which is like line 3").wantNoWords("Not known")
	if _, got := preview.chosenFor("Shoe size"); got != "extensionAttribute7" {
		t.Errorf("the choice is lost: got %q", got)
	}
	if !preview.byID("absent-delete").has("checked") || !preview.byID("force").has("checked") {
		t.Error("the choices about absent users are lost")
	}
	preview.press("Import", nil).wantWords("hr.csv was imported.", "Created 2")
	found, err := h.UserByUPN(t.Context(), "ada@contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(found.DisplayName(), " ", found.Text("mail"), " ", found.Text("employeeId"), " ", found.Text("extensionAttribute7"), " ", found.AccountEnabled)
	if want := "Ada Okonkwo ada@contoso.example 00042 38 true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	// Two columns for one attribute, no name at all, an encoding that is not certain, a separator that is found wrongly, a file that lost its end.
	b.upload(importPath, "two.csv", "UPN,email,work email\na@contoso.example,b@contoso.example,c@contoso.example\n", nil).wantWords("both mean mail; leave one out").wantNoWords("--")
	none := b.upload(importPath, "names.csv", "Born,First Name,Last Name\n1970,Zoë,O'Neill\n", nil).wantWords("A userPrincipalName can be built", "{First Name}.{Last Name}@example.com").wantNoWords("--")
	none.press("Preview", url.Values{"make": {"{First Name}.{Nobody}@contoso.example"}}).wantWords(`names the column "Nobody"`)
	none.press("Preview", url.Values{"make": {"{First Name}.{Last Name}@contoso.example"}}).wantWords("Created 1", "zoe.oneill@contoso.example")
	byNumber := b.upload(importPath, "numbers.csv", "employeeId,First Name,Last Name\n88,Una,New\n", nil).wantWords("1 row has no userPrincipalName", "say below how to build it").wantNoWords("--make")
	byNumber.press("Preview", url.Values{"make": {"{First Name}.{Last Name}@contoso.example"}}).wantWords("Created 1", "una.new@contoso.example")
	unsure := b.upload(importPath, "old.csv", "UPN,displayName\nada@contoso.example,Vlastn\xec\n", nil).wantWords("its encoding is not certain", "windows-1250: “Vlastně”", "macintosh").wantNoWords("--encoding")
	unsure.press("Preview", url.Values{"encoding": {"windows-1250"}}).wantWords("Updated 1", "Vlastně")
	odd := b.upload(importPath, "odd.csv", "userPrincipalName^displayName\nnew@contoso.example^New, Person\n", nil)
	odd.press("Preview", url.Values{"separator": {"^"}}).wantWords("Created 1", "New, Person")
	b.upload(importPath, "cut.csv", "UPN,displayName,city\nnew@contoso.example,New", nil).wantWords("has 2 of 3 columns and no line end. The file may have been cut off.")
	b.upload(importPath, "book.xlsx", "PK\x03\x04", nil).wantWords("an Excel workbook")
}

// TestImportPageOfADirectoryThatChanges asks again instead of doing what nobody has seen.
func TestImportPageOfADirectoryThatChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName\nada@contoso.example,Ada\nbob@contoso.example,Bob\n")
	b := o.operator()
	preview := b.upload(importPath, "people.csv", "userPrincipalName,displayName\nada@contoso.example,Ada Lund\nnew@contoso.example,New\n", nil).wantWords("Created 1", "Updated 1")

	add := func(upn, name string) {
		t.Helper()
		u := directory.User{AccountEnabled: true, Attributes: map[string]any{"userPrincipalName": upn, "displayName": name}}
		if _, _, err := h.PutUser(t.Context(), u, "cli"); err != nil {
			t.Fatal(err)
		}
	}
	add("new@contoso.example", "Somebody else")
	asked := preview.press("Import", nil).wantWords("The preview has changed since you saw it. Nothing was imported.", "Created 0", "Updated 2", "What would happen")
	if u, err := h.UserByUPN(t.Context(), "ada@contoso.example"); err != nil || u.DisplayName() != "Ada" {
		t.Errorf("got %v, %v", u.DisplayName(), err)
	}
	// What has nothing to do with the file does not matter.
	add("other@contoso.example", "Other")
	asked.press("Import", nil).wantWords("people.csv was imported.", "Updated 2")

	// The form of the first preview, sent again, shows what the import did.
	preview.press("Import", nil).wantWords("people.csv was imported.", "Updated 2")
}

// TestImportPageSentTwice imports once: the second answer is that of the first.
func TestImportPageSentTwice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	b := o.operator()
	preview := b.upload(importPath, "people.csv", peopleFile, nil)
	answers := make(chan *shown, 2)
	for range 2 {
		go func() { answers <- preview.press("Import", nil) }()
	}
	for range 2 {
		(<-answers).wantStatus(http.StatusOK).wantWords("people.csv was imported.", "Created 3")
	}
	if n, err := h.Counts(t.Context()); err != nil || n.Enabled+n.Disabled != 3 {
		t.Errorf("got %+v, %v", n, err)
	}
}

// TestImportPageForgetsFiles after a while, and never shows them to another operator or in another directory. What was chosen stays.
func TestImportPageForgetsFiles(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	o.directory("fabrikam", "")
	b := o.operator()
	const file = "UPN,Shoe size\nada@contoso.example,38\n"
	page := b.upload(importPath, "hr.csv", file, nil)
	shoe, _ := page.chosenFor("Shoe size")
	preview := page.press("Preview", url.Values{shoe: {"extensionAttribute7"}}).wantWords("Created 1")
	form, _ := preview.button("Import")
	kept := form.values()

	send := func(b *browser, path string) *shown {
		kept.Set("do", "import")
		return b.send(http.MethodPost, path, kept)
	}
	other := o.operatorNamed("lee")
	send(other, importPath).wantStatus(http.StatusGone).wantWords("The file is no longer kept.")
	send(b, "/d/fabrikam/users/import").wantStatus(http.StatusGone).wantWords("The file is no longer kept.")
	other.get(importPath + "?file=" + url.QueryEscape(kept.Get("kept"))).wantStatus(http.StatusGone).wantNoWords("Shoe size")
	b.get(importPath + "?file=" + url.QueryEscape(kept.Get("kept"))).wantStatus(http.StatusOK).wantWords("Created 1")

	o.start()
	kept.Set("absent", "soft-delete")
	kept.Set("make", "{UPN}")
	gone := send(b, importPath).wantStatus(http.StatusGone).wantWords("The file is no longer kept.", "Choose it again")
	if !gone.byID("absent-delete").has("checked") {
		t.Error("the choice about absent users is lost")
	}
	again, _ := gone.button("Preview")
	fields := map[string]string{}
	for name, list := range again.values() {
		fields[name] = list[0]
	}
	b.upload(importPath, "hr.csv", file, fields).wantWords("Created 1", "extensionAttribute7").press("Import", nil).wantWords("Created 1")
	if u, err := h.UserByUPN(t.Context(), "ada@contoso.example"); err != nil || u.Text("extensionAttribute7") != "38" {
		t.Errorf("got %v, %v", u, err)
	}
}
