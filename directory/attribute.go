package directory

import (
	"slices"
	"strconv"
	"strings"
)

// Type is the type of an attribute's value. The names of the types are those of Microsoft Graph's
// attributeDefinition.
type Type string

const (
	String  Type = "String"  // the Go type is string
	Boolean Type = "Boolean" // the Go type is bool
	// The Go type of a Reference is string. The value is the object id of another user. Files and
	// forms show that user's userPrincipalName instead of the id.
	Reference Type = "Reference"
)

// Attribute describes one attribute of a user.
type Attribute struct {
	Name        string // the name in Entra's spelling
	Label       string // the name that pages show
	Type        Type
	MultiValued bool   // whether the value is a []string; files and forms separate the strings by semicolons
	Group       string // the heading under which a page shows the attribute
}

// The headings under which a page shows attributes, in their order.
const (
	GroupIdentity = "Identity"
	GroupJob      = "Job information"
	GroupContact  = "Contact information"
	GroupExtra    = "Extension attributes"
)

// Names of attributes that this package treats in a special way.
const (
	attrObjectID       = "objectId"
	attrAccountEnabled = "accountEnabled"
	attrUPN            = "userPrincipalName"
	attrOriginalUPN    = "originalUserPrincipalName"
	attrDisplayName    = "displayName"
	attrManager        = "manager"
	attrEmployeeID     = "employeeId"
	// attrAppRoleAssignments lists the roles that a user has at the application for which the user
	// is read. Only mappings can read it; files and forms do not have it.
	attrAppRoleAssignments = "appRoleAssignments"
)

// Attributes lists every attribute a user can have, in the order in which files and pages show
// them.
func Attributes() []Attribute { return slices.Clone(attributes) }

// attributes lists every attribute of a user. It never changes.
var attributes = attributeTable()

func attributeTable() []Attribute {
	list := []Attribute{
		{Name: attrObjectID, Label: "Object ID", Group: GroupIdentity},
		{Name: attrUPN, Label: "User principal name", Group: GroupIdentity},
		{Name: attrDisplayName, Label: "Display name", Group: GroupIdentity},
		{Name: "givenName", Label: "First name", Group: GroupIdentity},
		{Name: "surname", Label: "Last name", Group: GroupIdentity},
		{Name: attrAccountEnabled, Label: "Account enabled", Type: Boolean, Group: GroupIdentity},
		{Name: "mail", Label: "Email", Group: GroupIdentity},
		{Name: "mailNickname", Label: "Mail nickname", Group: GroupIdentity},
		{Name: "otherMails", Label: "Other emails", MultiValued: true, Group: GroupIdentity},
		{Name: "proxyAddresses", Label: "Proxy addresses", MultiValued: true, Group: GroupIdentity},
		{Name: "jobTitle", Label: "Job title", Group: GroupJob},
		{Name: "department", Label: "Department", Group: GroupJob},
		{Name: "companyName", Label: "Company name", Group: GroupJob},
		{Name: attrEmployeeID, Label: "Employee ID", Group: GroupJob},
		{Name: "employeeType", Label: "Employee type", Group: GroupJob},
		{Name: attrManager, Label: "Manager", Type: Reference, Group: GroupJob},
		{Name: "preferredLanguage", Label: "Preferred language", Group: GroupContact},
		{Name: "usageLocation", Label: "Usage location", Group: GroupContact},
		{Name: "physicalDeliveryOfficeName", Label: "Office", Group: GroupContact},
		{Name: "streetAddress", Label: "Street address", Group: GroupContact},
		{Name: "city", Label: "City", Group: GroupContact},
		{Name: "state", Label: "State or province", Group: GroupContact},
		{Name: "postalCode", Label: "ZIP or postal code", Group: GroupContact},
		{Name: "country", Label: "Country or region", Group: GroupContact},
		{Name: "telephoneNumber", Label: "Office phone", Group: GroupContact},
		{Name: "mobile", Label: "Mobile phone", Group: GroupContact},
		{Name: "facsimileTelephoneNumber", Label: "Fax number", Group: GroupContact},
	}
	for n := 1; n <= 15; n++ {
		s := strconv.Itoa(n)
		list = append(list, Attribute{Name: "extensionAttribute" + s, Label: "Extension attribute " + s, Group: GroupExtra})
	}
	for i := range list {
		if list[i].Type == "" {
			list[i].Type = String
		}
	}
	return list
}

// AttributeNamed returns the attribute with a name, in any case. It returns false if there is none.
func AttributeNamed(name string) (Attribute, bool) {
	for _, a := range attributes {
		if strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return Attribute{}, false
}

// AttributeNames lists the names of all attributes.
func AttributeNames() []string {
	var names []string
	for _, a := range attributes {
		names = append(names, a.Name)
	}
	return names
}

// Suggest returns the name of the attribute that someone probably meant by an unknown name, or "".
// It knows common other names, and finds names with typing errors.
func Suggest(name string) string {
	if known, ok := aliases()[squeezeName(name)]; ok {
		return known
	}
	best, distance := "", 4
	for _, a := range attributes {
		if d := editDistance(squeezeName(name), squeezeName(a.Name)); d < distance {
			best, distance = a.Name, d
		}
	}
	if distance > max(1, len(name)/4) {
		return ""
	}
	return best
}

// aliases maps names that other systems use to the names of attributes. Its keys are in the form
// that squeezeName returns.
func aliases() map[string]string {
	return map[string]string{
		"id": attrObjectID, "objectguid": attrObjectID, "username": attrUPN, "upn": attrUPN, "login": attrUPN,
		"name": attrDisplayName, "fullname": attrDisplayName, "firstname": "givenName", "lastname": "surname", "familyname": "surname", "sn": "surname",
		"email": "mail", "emailaddress": "mail", "active": attrAccountEnabled, "enabled": attrAccountEnabled, "title": "jobTitle",
		"company": "companyName", "employeenumber": attrEmployeeID, "phone": "telephoneNumber", "businessphone": "telephoneNumber", "businessphones": "telephoneNumber",
		"mobilephone": "mobile", "fax": "facsimileTelephoneNumber", "faxnumber": "facsimileTelephoneNumber", "office": "physicalDeliveryOfficeName",
		"officelocation": "physicalDeliveryOfficeName", "street": "streetAddress", "zip": "postalCode", "zipcode": "postalCode", "language": "preferredLanguage",
		"alias": "mailNickname", "managerupn": attrManager, "region": "state", "province": "state", "locality": "city",
	}
}

// squeezeName returns a name in lower case, without spaces, underscores, hyphens and full stops.
func squeezeName(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '_', '-', '.':
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// editDistance counts the insertions, deletions and replacements of bytes that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
