package event

// Data is the part of an event that programs read, besides the list of changed values. Only the
// structs in this file implement it. The method Fields describes the fields of a struct, and
// docs/events.md lists these descriptions.
type Data interface{ Fields() []Field }

// Field describes one field of Data.
type Field struct {
	Name  string // the name in JSON
	Type  string // the type of its value: string, number, boolean, list of strings or object
	Means string // the meaning of the value
}

// DataOf returns the data of an event as JSON: the fields of d, which may be nil, and the list of
// changed values. It returns nil if there are neither.
func DataOf(d Data, changes ...Change) []byte {
	if d == nil {
		return WithChanges(nil, changes...)
	}
	fields, err := marshal(d)
	if err != nil {
		return WithChanges(nil, changes...) // cannot happen: these structs can always be encoded
	}
	return WithChanges(fields, changes...)
}

// Account is the data of events about a person or user of a site.
type Account struct {
	Version    int64    `json:"version"`
	Active     bool     `json:"active"`
	Role       string   `json:"userType"`
	Attributes []string `json:"attributes,omitempty"` // the names of the attributes that changed
}

// Fields describes the JSON fields of this data.
func (Account) Fields() []Field {
	return []Field{
		{"version", "number", "version of the account after the change"},
		{"active", "boolean", "whether the account is active after the change"},
		{"userType", "string", "role after the change: Registered, Moderator or Admin"},
		{"attributes", "list of strings", "names of the attributes that changed, for `user.updated`"},
	}
}

// Resource is the data of events about a group, or about a resource whose type the site itself has
// defined.
type Resource struct {
	Version      int64    `json:"version"`
	Attributes   []string `json:"attributes,omitempty"` // the names of the attributes that changed
	Type         string   `json:"resourceType"`
	Added        []string `json:"membersAdded,omitempty"`   // the ids of the first members that a group gained
	Removed      []string `json:"membersRemoved,omitempty"` // the ids of the first members that a group lost
	AddedCount   int      `json:"membersAddedCount,omitempty"`
	RemovedCount int      `json:"membersRemovedCount,omitempty"`
}

// Fields describes the JSON fields of this data.
func (Resource) Fields() []Field {
	return []Field{
		{"version", "number", "version of the resource after the change"},
		{"attributes", "list of strings", "names of the attributes that changed"},
		{"resourceType", "string", "name of the resource type: Group, or one of the site's own"},
		{"membersAdded", "list of strings", "ids of the members that a group gained; the first ones if there are many"},
		{"membersRemoved", "list of strings", "ids of the members that a group lost; the first ones if there are many"},
		{"membersAddedCount", "number", "how many members a group gained"},
		{"membersRemovedCount", "number", "how many members a group lost"},
	}
}

// DirectoryUser is the data of events about a user of a directory.
type DirectoryUser struct {
	Changed []string `json:"changed,omitempty"`
}

// Fields describes the JSON fields of this data.
func (DirectoryUser) Fields() []Field {
	return []Field{{"changed", "list of strings", "names of the attributes that changed"}}
}

// DirectoryGroup is the data of events about a group of a directory.
type DirectoryGroup struct {
	Changed []string `json:"changed,omitempty"`
}

// Fields describes the JSON fields of this data.
func (DirectoryGroup) Fields() []Field {
	return []Field{{"changed", "list of strings", "names of the attributes that changed"}}
}

// GroupMember is the data of events about a membership.
type GroupMember struct {
	Member string `json:"member"`
	Kind   string `json:"kind"`
}

// Fields describes the JSON fields of this data.
func (GroupMember) Fields() []Field {
	return []Field{
		{"member", "string", "id of the user or group that is the member"},
		{"kind", "string", "kind of the member: User or Group"},
	}
}

// Assignment is the data of events about an assignment to an application.
type Assignment struct {
	Application string `json:"application"`
	Kind        string `json:"kind,omitempty"`
	Role        string `json:"role,omitempty"`
}

// Fields describes the JSON fields of this data.
func (Assignment) Fields() []Field {
	return []Field{
		{"application", "string", "id of the application"},
		{"kind", "string", "kind of what is assigned: User or Group"},
		{"role", "string", "id of the role that the assignment has from now on"},
	}
}

// ApplicationRole is the data of events about a role of an application.
type ApplicationRole struct {
	Role string `json:"role"`
}

// Fields describes the JSON fields of this data.
func (ApplicationRole) Fields() []Field {
	return []Field{{"role", "string", "id of the role"}}
}

// ConnectionTest is the data of the event about a press of the button Test Connection.
type ConnectionTest struct {
	Host    string `json:"host"`
	Outcome string `json:"outcome"`
}

// Fields describes the JSON fields of this data.
func (ConnectionTest) Fields() []Field {
	return []Field{
		{"host", "string", "scheme and host of the Tenant URL"},
		{"outcome", "string", "`worked`, or `failed: ` and the kind of failure"},
	}
}

// Plan is the data of events about a plan, which lists the operations that provisioning would send.
type Plan struct {
	Hash   string `json:"hash"`
	Undoes string `json:"undoes,omitempty"` // what the plan undoes, in words; empty if it undoes nothing
}

// Fields describes the JSON fields of this data.
func (Plan) Fields() []Field {
	return []Field{
		{"hash", "string", "hash of the plan's operations, as `rollcall provision plan list` shows it; empty if it was cancelled while it was being made, or if there is no plan yet"},
		{"undoes", "string", "what the plan takes back, in words; absent for a plan of what the next cycle would do"},
	}
}

// Drift is the data of the event that a comparison found differences at the application.
type Drift struct {
	Changed int `json:"changed"` // the number of accounts and groups that were changed there
	Gone    int `json:"gone"`    // the number of accounts and groups that are missing there
	Members int `json:"members"` // the number of memberships that were added or removed there
}

// Fields describes the JSON fields of this data.
func (Drift) Fields() []Field {
	return []Field{
		{"changed", "number", "accounts and groups that somebody changed at the application"},
		{"gone", "number", "accounts and groups that the application does not have any more"},
		{"members", "number", "memberships that somebody added or removed"},
	}
}

// Discovery is the data of the event that all accounts of an application were discovered.
type Discovery struct {
	Accounts   int `json:"accounts"`   // the number of accounts that the application has
	Assigned   int `json:"assigned"`   // how many of them match users who are assigned to the application
	Unassigned int `json:"unassigned"` // how many of them match users who are not assigned
	Local      int `json:"local"`      // how many of them match no user of the directory
}

// Fields describes the JSON fields of this data.
func (Discovery) Fields() []Field {
	return []Field{
		{"accounts", "number", "accounts that the application has"},
		{"assigned", "number", "accounts that match users who are assigned to the application"},
		{"unassigned", "number", "accounts that match users who are not assigned"},
		{"local", "number", "accounts that match no user of the directory"},
	}
}

// GroupDiscovery is the data of the event that all groups of an application were discovered.
type GroupDiscovery struct {
	Groups     int `json:"groups"`
	Assigned   int `json:"assigned"`
	Unassigned int `json:"unassigned"`
	Local      int `json:"local"`
}

// Fields describes the JSON fields of this data.
func (GroupDiscovery) Fields() []Field {
	return []Field{
		{"groups", "number", "groups that the application has"},
		{"assigned", "number", "groups that match groups of the directory that are assigned to the application"},
		{"unassigned", "number", "groups that match groups of the directory that are not assigned"},
		{"local", "number", "groups that match no group of the directory"},
	}
}

// Accounts is the data of events about accounts, or groups, at an application.
type Accounts struct {
	Accounts []string `json:"accounts"`
}

// Fields describes the JSON fields of this data.
func (Accounts) Fields() []Field {
	return []Field{{"accounts", "list of strings", "ids of the accounts or groups at the application"}}
}

// Connection is the data of events about the connection of a user or group with its account at an
// application.
type Connection struct {
	Object  string `json:"object"`  // the id of the user or group in the directory
	Account string `json:"account"` // the id of the account or group at the application
}

// Fields describes the JSON fields of this data.
func (Connection) Fields() []Field {
	return []Field{
		{"object", "string", "id of the user or group in the directory"},
		{"account", "string", "id of the account or group at the application"},
	}
}

// Held is the data of events about operations that provisioning holds until an operator decides.
type Held struct {
	Cause string `json:"cause"` // the id of the import or change of settings that caused the operations
	Count int    `json:"count"` // the number of operations
}

// Fields describes the JSON fields of this data.
func (Held) Fields() []Field {
	return []Field{
		{"cause", "string", "id of the import or change of settings, as `rollcall provision held` shows it"},
		{"count", "number", "operations that are on hold, or were decided on"},
	}
}

// Export is the data of the events about downloads of a list.
type Export struct {
	Rows   int               `json:"rows"`
	Filter map[string]string `json:"filter,omitempty"` // what the list was limited to: the names of inputs or flags, with their values
	CutOff bool              `json:"cutOff,omitempty"` // whether the download broke off before its end
}

// Fields describes the JSON fields of this data.
func (Export) Fields() []Field {
	return []Field{
		{"rows", "number", "rows of the file"},
		{"filter", "object", "what the list was narrowed to: names of inputs or flags, with their values"},
		{"cutOff", "boolean", "true if the file ended before its end"},
	}
}

// Refusals is the data of an event that stands for many refused requests.
type Refusals struct {
	LeftOut int `json:"leftOut,omitempty"` // how many requests were refused without an event of their own
}

// Fields describes the JSON fields of this data.
func (Refusals) Fields() []Field {
	return []Field{{"leftOut", "number", "how many more were refused and are not listed; on events that stand for many"}}
}
