package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
)

const (
	acmeTargetList = acmeUsersMapping + "/attributes/target"
	acmeSourceList = acmeUsersMapping + "/attributes/source"
	tagURN         = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:tag"
)

// storedAttribute returns an attribute of a list of the mapping of users as it is stored, without its uses, or nil.
func (o *office) storedAttribute(key provision.Key, side provision.ListSide, name string) *provision.ListedAttribute {
	o.t.Helper()
	job := o.job(key)
	for _, a := range must(job.Schema.AttributeList(must(job.Schema.UserMapping()), side)) {
		if a.Name == name {
			a.Uses = nil
			return &a
		}
	}
	return nil
}

// The application's list is reached from the mapping. An attribute is added, chosen by a row, changed and removed there.
func TestTheAttributeListOfAnApplication(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	list := b.get(acmeUsersMapping).click("Edit attribute list for customappsso").wantStatus(http.StatusOK)
	list.wantWords("Primary Key?", "Multi-value?", "Referenced Object Attribute", `emails[type eq "work"].value`)
	refused := list.press("Add attribute", url.Values{"name": {"CustomExtensionName:tag"}, "type": {"Integer"}, "required": {"yes"}}).wantStatus(http.StatusUnprocessableEntity)
	refused.wantWords("has no full URN: write it whole, as in " + tagURN)
	if got := refused.byID("name").attr["value"]; got != "CustomExtensionName:tag" || !refused.byID("required").has("checked") {
		t.Errorf("the refused form lost what was typed: %q", got)
	}
	refused.press("Add attribute", url.Values{"name": {" " + tagURN}}).
		wantWords("The attribute "+tagURN+" was added.", "Required in the attribute list, and not mapped: "+tagURN)
	if got, want := o.storedAttribute(key, provision.TargetList, tagURN), (&provision.ListedAttribute{Name: tagURN, Type: provision.TypeInteger, Required: true}); !cmp.Equal(got, want) {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	b.get(acmeUsersMapping).wantWords("Required in the attribute list, and not mapped: " + tagURN)
	row := b.get(acmeUsersMapping + "/row")
	row.press("Save", url.Values{"target": {tagURN}, "type": {"Constant"}, "constant": {"seven"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Integer")
	row.press("Save", url.Values{"target": {tagURN}, "type": {"Constant"}, "constant": {"7"}}).wantWords("Change values at Acme?").press("Save the mapping", nil).wantWords("was saved")
	one := b.get(acmeTargetList + "/edit?name=" + url.QueryEscape(tagURN)).wantWords("It stays in the list: row 20 of")
	one.press("Save", url.Values{"type": {"String"}, "required": nil, "exact": {"yes"}}).
		wantWords("Change values at Acme?", tagURN+" changes for 3 users").click("Cancel").wantStatus(http.StatusOK).
		press("Save", nil).press("Save the attribute", nil).wantWords("The attribute " + tagURN + " was saved.")
	if got, want := o.storedAttribute(key, provision.TargetList, tagURN), (&provision.ListedAttribute{Name: tagURN, Type: provision.TypeString, ExactCase: true}); !cmp.Equal(got, want) {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	b.get(acmeTargetList+"/remove?name="+url.QueryEscape(tagURN)).wantWords("The attribute was not removed", `row 20 of "Provision Azure Active Directory Users" writes it`)
	b.get(acmeUsersMapping+"/row/remove?row="+url.QueryEscape(tagURN)).press("Remove the mapping of "+tagURN, nil).wantWords("was removed")
	b.get(acmeTargetList+"/edit?name="+url.QueryEscape(tagURN)).click("Delete").press("Remove "+tagURN, nil).wantWords("The attribute " + tagURN + " was removed from the list.")
	if o.storedAttribute(key, provision.TargetList, tagURN) != nil {
		t.Error("the attribute is still there")
	}
	b.get(acmeTargetList + "/edit?name=" + url.QueryEscape(tagURN)).wantStatus(http.StatusNotFound).wantWords("This attribute is not in the list")
	b.get(acmeUsersMapping + "/attributes/both").wantStatus(http.StatusNotFound)
}

// Each input of an application's attribute has its effect.
func TestInputsOfAnAttribute(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	enterprise := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	b.get(acmeTargetList).press("Add attribute", url.Values{"name": {"assistant"}, "type": {"Reference"}}).wantStatus(http.StatusUnprocessableEntity).
		wantWords("Referenced Object Attribute is empty").press("Add attribute", url.Values{"referenced": {enterprise}}).wantWords("was added")
	if got, want := o.storedAttribute(key, provision.TargetList, "assistant"), (&provision.ListedAttribute{Name: "assistant", Type: provision.TypeReference, Referenced: enterprise}); !cmp.Equal(got, want) {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	b.get(acmeTargetList).press("Add attribute", url.Values{"name": {"tags"}, "multivalue": {"yes"}, "exact": {"yes"}}).wantWords("was added")
	if got, want := o.storedAttribute(key, provision.TargetList, "tags"), (&provision.ListedAttribute{Name: "tags", Type: provision.TypeString, MultiValue: true, ExactCase: true}); !cmp.Equal(got, want) {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	b.get(acmeTargetList+"/edit?name=active").press("Save", url.Values{"type": {"Integer"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("the row active of", "would no longer work")
	b.get(acmeTargetList + "/edit?name=id").wantWords("This is the primary key")
}

// The directory's list has Flow null values, and what the directory has and the list has not.
func TestTheAttributeListOfADirectory(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	list := b.get(acmeUsersMapping).click("Edit attribute list for Azure Active Directory").wantStatus(http.StatusOK)
	list.wantWords("Flow null values", "Every attribute of the directory is in the list.")
	b.get(acmeSourceList+"/edit?name=employeeType").press("Save", url.Values{"flownull": {"yes"}, "type": {"Integer"}}).wantWords("The attribute employeeType was saved.")
	if got, want := o.storedAttribute(key, provision.SourceList, "employeeType"), (&provision.ListedAttribute{Name: "employeeType", Type: provision.TypeInteger, FlowNull: true}); !cmp.Equal(got, want) {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	b.get(acmeSourceList + "/edit?name=surname").wantWords("the row name.familyName of")
	b.get(acmeSourceList+"/remove?name=employeeType").press("Remove employeeType", nil).wantWords("was removed")
	b.get(acmeSourceList).press("Add attribute", url.Values{"name": {"employeeType"}}).wantWords("The attribute employeeType was added.", "Every attribute of the directory is in the list.")
}

func TestStaleForm_of_an_attribute(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	at := acmeTargetList + "/edit?name=nickName"
	stale := o.operator().get(at)
	o.operatorNamed("sam").get(at).press("Save", url.Values{"required": {"yes"}}).wantWords("was saved")
	stale.press("Save", url.Values{"exact": {"yes"}}).wantWords("was saved", "Changed meanwhile by sam (operator), and kept: Required.")
	if got := o.storedAttribute(key, provision.TargetList, "nickName"); !got.Required || !got.ExactCase {
		t.Errorf("stored %+v, want both changes", got)
	}
	stale = o.operator().get(at)
	o.operatorNamed("sam").get(at).press("Save", url.Values{"type": {"Integer"}}).wantWords("was saved")
	stale.press("Save", url.Values{"type": {"Boolean"}}).wantStatus(http.StatusConflict).wantWords("Integer", "Boolean")
}

// The scope of groups has a page of its own, which asks before groups may be deleted at the application.
func TestScopingFiltersOfGroups(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	mapping := acmeProvisioning + "/mappings/Provision%20Azure%20Active%20Directory%20Groups"
	scope := b.get(mapping).click("All records").wantStatus(http.StatusOK).wantWords("Groups that pass one of the scoping filters")
	typed := url.Values{"filter1.title": {"Sales"}, "filter1.clause1.attribute": {"displayName"}, "filter1.clause1.operator": {"REGEX MATCH"}, "filter1.clause1.value": {"^(?!Old)"}}
	ask := scope.press("Save", typed).wantWords("Change which groups are in scope?", "Groups that leave the scope are deleted at Acme")
	stored := func() string { return must(o.job(key).Schema.GroupMapping()).Scope.Words() }
	if got := stored(); got != "all records" {
		t.Errorf("saved before the answer: %s", got)
	}
	ask.press("Save the scoping filters", nil).wantWords("The scoping filters were saved.", "1 scoping filter")
	if got := stored(); got != "displayName REGEX MATCH ^(?!Old)" {
		t.Errorf("stored %s", got)
	}
	b.get(mapping+"/scope").press("Save", url.Values{"filter1.clause1.value": {"("}}).wantStatus(http.StatusUnprocessableEntity).wantWords("cannot be used")
}
