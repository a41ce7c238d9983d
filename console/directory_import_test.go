package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestImportPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.directory("contoso", "")
	b := o.operator()
	const path = "/d/contoso/users/import"
	b.get(path).wantStatus(http.StatusOK).wantWords("Users that are not in the file", "extensionAttribute15")
	b.upload(path, "", "", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Choose a CSV file first.")
	b.send(http.MethodPost, path, url.Values{}).wantStatus(http.StatusUnprocessableEntity).wantWords("This is not an uploaded file")
	b.upload(path, "x.csv", "UPN,Name of dog\n", nil).wantStatus(http.StatusUnprocessableEntity).
		wantWords(`"Name of dog"`)

	broken := peopleFile + "zed@contoso.example,Zed \"the\" last,,,,,,\n"
	b.upload(path, "people.csv", broken, map[string]string{"do": "preview"}).wantStatus(http.StatusOK).
		wantWords("Preview: nothing was changed.", "What would happen", "Created 3", "Errors 1", "displayName", "a double quote is out of place")
	b.get("/d/contoso/users").wantWords("No users yet")
	b.upload(path, "people.csv", broken, map[string]string{"do": "import"}).wantStatus(http.StatusOK).
		wantWords("people.csv was imported.", "Created 3", "1 row has an error", "5") // the line
	b.upload(path, "people.csv", peopleFile, map[string]string{"do": "import"}).wantWords("people.csv changed nothing.", "Unchanged 3")

	before := b.get("/d/contoso/users/export").wantStatus(http.StatusOK)
	rows := strings.SplitAfter(peopleFile, "\n")
	short := rows[0] + rows[2]
	delete := map[string]string{"do": "import", "absent": "soft-delete"}
	b.upload(path, "short.csv", short, delete).wantWords("nobody was deleted: 2 of 3 users (67 %)", "Ada Lovelace", "left as they are")
	delete["force"] = "yes"
	b.upload(path, "short.csv", short, delete).wantWords("Soft-deleted 2", "Not in the file, soft-deleted")
	b.get("/d/contoso/users?status=deleted").wantWords("Ada Lovelace", "山田 雪")
	// The names alone bring nobody back; the object ids of the export do.
	b.upload(path, "people.csv", peopleFile, map[string]string{"do": "import"}).wantWords("Restored 0", "rollcall directory user restore contoso")
	b.upload(path, "export.csv", before.Text, map[string]string{"do": "import"}).wantWords("Restored 2")

	export := b.get("/d/contoso/users/export").wantStatus(http.StatusOK)
	if got, want := export.Header.Get("Content-Disposition"), `attachment; filename="contoso-users.csv"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.upload(path, "export.csv", export.Text, map[string]string{"do": "import"}).wantWords("export.csv changed nothing.")
}
