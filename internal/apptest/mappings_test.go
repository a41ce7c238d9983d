package apptest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// TestMappingPages follows docs/mappings.md in a real browser on a demo whose guide is done: an
// attribute of an extension is added to the attribute list, mapped by an expression, and sent. A run
// with ROLLCALL_SCREENSHOTS takes the pictures of the page.
func TestMappingPages(t *testing.T) {
	t.Parallel()
	browser := apptest.OpenBrowser(t)
	d, _ := startDemo(t, "--done")
	w := browser.Window(t, "the operator")
	picture := func(name string, height int64) {
		t.Helper()
		w.Resize(1280, height)
		if by := w.Overflows(); by > 0 {
			t.Errorf("%s is %d pixels wider than the window", name, by)
		}
		if dir := os.Getenv("ROLLCALL_SCREENSHOTS"); dir != "" {
			w.Picture(filepath.Join(dir, name+".png"), false)
		}
	}
	const tag = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:tag"
	w.Open(d.Operator)
	w.Clicks("Sign in as operator")
	mapping := d.URL + "/d/contoso/applications/Acme/provisioning/mappings/Provision%20Azure%20Active%20Directory%20Users"
	w.Open(mapping)
	w.Clicks("Show advanced options")
	w.Sees("Review your schema here")
	picture("mapping-rows", 1750)

	w.Clicks("Edit attribute list for customappsso")
	w.Sees("Primary Key?", "Referenced Object Attribute")
	picture("attribute-list", 900)
	w.Fills("Name", "CustomExtensionName:tag")
	w.Clicks("Add attribute")
	w.Sees("has no full URN: write it whole")
	w.Fills("Name", tag)
	w.Clicks("Add attribute")
	w.Sees("The attribute " + tag + " was added.")

	w.Open(mapping + "/row")
	w.Chooses("Target attribute", tag)
	w.Chooses("Mapping type", "Expression")
	w.Fills("Expression", `ToLower(Join("-", [department], [city]), )`)
	w.Fills("Show it for", "hana@contoso.example")
	w.Sees("How the value is made", "For users drawn at random")
	picture("mapping-row", 1350)
	w.Clicks("Save")
	w.Sees("Change values at Acme?", "get other values at Acme", tag+" changes for")
	picture("mapping-effect", 500)
	w.Clicks("Save the mapping")
	w.Sees("The mapping of " + tag + " was saved.")
	w.Open(d.URL + "/d/contoso/applications/Acme/provisioning/versions")
	w.Sees("Mapping changed", tag)
}
