package site

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
)

// Settings say what SCIM may do at a site. Each field has a row in SettingsTable. The page, the
// commands, the JSON, the events, the documentation and the SQL are made from that table.
type Settings struct {
	Profile Profile

	SCIMEnabled bool // the switch "Enable SCIM" of docs/guide.md; off on a new site
	ManageRoles bool // the switch "Allow SCIM to manage user roles" of docs/guide.md; off on a new site
	Strict      bool // whether to refuse the requests of known clients that do not follow the RFCs

	Creates bool       // whether SCIM may create resources
	Revives bool       // whether a create reactivates an account that SCIM deactivated; has no effect if Strict is set
	Deletes DeleteMode // what a DELETE of a user does
	Groups  bool       // whether SCIM serves groups
	// SharedGroupNames lets several groups have the same displayName. See GroupNamesUnique.
	SharedGroupNames bool
	RateLimit        int // the largest number of SCIM requests per second, at least MinRateLimit; 0 means no limit
}

// SettingKind says how people enter a setting.
type SettingKind int

// The kinds of settings.
const (
	Tick   SettingKind = iota // off or on: a checkbox, or a flag without a value
	Choice                    // one of several words: radio buttons, or a flag with a word
	Number                    // a number between two bounds, or 0 for no bound
)

// Setting is one row of SettingsTable: everything that pages, commands, JSON, events and docs need
// to know about one setting.
type Setting struct {
	Name  string // the name in events; the database column has the same name in snake_case
	Key   string // the name in JSON
	Flag  string // the flag of "site set"
	Usage string // the help text of the flag
	Title string // the name in the output of commands
	Short string // the name in the line that "site set" prints; empty means Title, starting in lower case
	Doc   string // the description in docs/operations.md

	Field     string // the name of the input on the page; empty if the page does not edit the setting
	PageOrder int    // the position on the page
	Label     string // the label on the page
	Help      string // the explanation on the page

	Kind    SettingKind
	Values  []Value // the values of a Tick: off and on; or the values of a Choice, the most restrictive first
	Default string  // the Value.Word that an empty input stands for; "" if an empty input is wrong
	Bounds  Bounds  // the bounds of a Number

	Event    string                           // the name of the event; empty means event.SiteSettingChanged
	Sentence func(before, after any) string   // returns the event's sentence; nil means Value.Sentence
	Words    func(s Site) string              // returns the value as commands print it; nil means the usual form (see Printed)
	Refusal  func(text string) *refusal.Error // returns the refusal of a wrong value; nil means the usual refusal (see check)

	fieldAccess
}

// Value is one value of a Tick or a Choice.
type Value struct {
	Word     string // the word on the command line, in forms and in JSON
	Stored   any    // the stored value: a bool or a string
	Text     string // the text next to the radio button
	Help     string // the explanation below the radio button
	Brief    string // a short form, for pages that only show the value
	Event    string // the name of the event of a change to this value; empty means Setting.Event
	Sentence string // the sentence of the event of a change to this value
}

// Bounds limit the values of a Number. 0 is always allowed, too.
type Bounds struct {
	Min, Max    int
	Unit        string // the unit in words, such as "requests per second"
	ZeroMeaning string // what 0 means, such as "no limit"
}

// fieldAccess holds the functions that read and write the field of Settings that belongs to a
// setting.
type fieldAccess struct {
	get     func(Settings) any // returns a bool, an int or a string
	set     func(*Settings, any)
	pointer func(*Settings) any // returns the pointer to the field
}

// boolField returns the functions for a field of type bool. fieldOf returns a pointer to the field.
func boolField(fieldOf func(*Settings) *bool) fieldAccess {
	return fieldAccess{
		func(s Settings) any { return *fieldOf(&s) }, func(s *Settings, v any) { *fieldOf(s) = v.(bool) }, func(s *Settings) any { return fieldOf(s) },
	}
}

// intField is like boolField, for a field of type int.
func intField(fieldOf func(*Settings) *int) fieldAccess {
	return fieldAccess{
		func(s Settings) any { return *fieldOf(&s) }, func(s *Settings, v any) { *fieldOf(s) = v.(int) }, func(s *Settings) any { return fieldOf(s) },
	}
}

// textField is like boolField, for a field whose type is a string.
func textField[T ~string](fieldOf func(*Settings) *T) fieldAccess {
	return fieldAccess{
		func(s Settings) any { return string(*fieldOf(&s)) }, func(s *Settings, v any) { *fieldOf(s) = T(v.(string)) }, func(s *Settings) any { return fieldOf(s) },
	}
}

// tickValues returns the values of a Tick. The arguments are the sentences of the events for
// switching it on and off.
func tickValues(on, off string) []Value {
	return []Value{{Word: "off", Stored: false, Sentence: off}, {Word: "on", Stored: true, Sentence: on}}
}

// SettingsTable has a row for each field of Settings, in the order in which commands show them.
var SettingsTable = []Setting{
	{
		Name: "profile", Key: "profile", Flag: "profile", Title: "Profile", Kind: Choice, Default: string(Documented),
		Usage:    "documented or full; sets create, delete and groups",
		Doc:      "sets `--create`, `--delete` and `--groups` as these columns say",
		Values:   []Value{{Word: string(Documented), Stored: string(Documented)}, {Word: string(Full), Stored: string(Full)}},
		Event:    event.SiteProfileChanged,
		Sentence: func(before, after any) string { return fmt.Sprintf("Profile changed from %s to %s", before, after) },
		Refusal: func(text string) *refusal.Error {
			return refusal.New(refusal.Invalid, "profile", "%q is not a profile", text).Advise("use documented or full")
		},
		fieldAccess: fieldAccess{
			get:     func(s Settings) any { return string(s.Profile) },
			set:     func(s *Settings, v any) { s.Choose(Profile(v.(string))) },
			pointer: func(s *Settings) any { return &s.Profile },
		},
	},
	{
		Name: "scimEnabled", Key: "scimEnabled", Flag: "enable-scim", Title: "Enable SCIM", Short: "SCIM",
		Usage: "the guide's Enable SCIM", Doc: "the guide's *Enable SCIM*: whether a live token is let in",
		Field: "enabled", PageOrder: 1, Label: "Enable SCIM",
		Values: []Value{
			{Word: "off", Stored: false, Event: event.SiteSCIMDisabled, Sentence: "SCIM was switched off; people keep their access and role as they are"},
			{Word: "on", Stored: true, Event: event.SiteSCIMEnabled, Sentence: "SCIM was switched on"},
		},
		fieldAccess: boolField(func(s *Settings) *bool { return &s.SCIMEnabled }),
	},
	{
		Name: "manageRoles", Key: "manageRoles", Flag: "manage-roles", Title: "SCIM manages user roles",
		Usage: "the guide's Allow SCIM to manage user roles", Doc: "the guide's *Allow SCIM to manage user roles*",
		Field: "roles", PageOrder: 2, Label: "Allow SCIM to manage user roles",
		Values: []Value{
			{Word: "off", Stored: false, Event: event.SiteRolesUnmanaged, Sentence: "SCIM may no longer manage user roles; roles stay as they are"},
			{Word: "on", Stored: true, Event: event.SiteRolesManaged, Sentence: "SCIM may now manage user roles"},
		},
		fieldAccess: boolField(func(s *Settings) *bool { return &s.ManageRoles }),
	},
	{
		Name: "strict", Key: "strict", Flag: "strict", Title: "Strict mode",
		Usage: "refuse what the RFCs refuse instead of reading the dialects of known clients",
		Doc:   "refuses what the RFCs refuse; off reads the dialects of known clients ([clients.md](clients.md))",
		Field: "strict", PageOrder: 8, Label: "Strict mode",
		Help: "Refuses what the RFCs refuse. Leave it off for Entra ID, Okta and others: what they send beyond the RFCs is then read, and each such tolerance is in the request log.",
		Values: []Value{
			{Word: "off", Stored: false, Event: event.SiteStrictDisabled, Sentence: "SCIM requests are now read leniently"},
			{Word: "on", Stored: true, Event: event.SiteStrictEnabled, Sentence: "SCIM requests are now read strictly"},
		},
		fieldAccess: boolField(func(s *Settings) *bool { return &s.Strict }),
	},
	{
		Name: "creates", Key: "create", Flag: "create", Title: "Create", Kind: Choice,
		Usage: "what a SCIM create does: refuse or create", Doc: "whether SCIM makes accounts",
		Field: "create", PageOrder: 3, Label: "When the IdP sends Create",
		Values: []Value{
			{
				Word: "refuse", Stored: false, Brief: "Refused", Sentence: "SCIM may no longer create accounts",
				Text: "Refuse, and say how to fix it", Help: "The answer names the setting to change in the identity provider. Accounts are made at the first sign-in.",
			},
			{
				Word: "create", Stored: true, Brief: "Creates the account", Sentence: "SCIM may now create accounts",
				Text: "Create the account", Help: "Whoever is assigned there has an account here before they sign in.",
			},
		},
		Event:       event.SiteCreatesChanged,
		fieldAccess: boolField(func(s *Settings) *bool { return &s.Creates }),
	},
	{
		Name: "revives", Key: "revive", Flag: "revive", Title: "Revive",
		Usage: "whether a SCIM create for an account that SCIM deactivated reactivates it",
		Doc:   "whether a create for an account that SCIM deactivated reactivates it; never an account that an administrator blocked, and not in strict mode",
		Field: "revive", PageOrder: 6, Label: "Revive on Create",
		Help:        "A create for an account that the identity provider deactivated reactivates it, with its role and groups, instead of being refused. Never an account that an administrator blocked. Counts where accounts are created, and not in strict mode.",
		Values:      tickValues("A create over SCIM now revives who was deactivated over SCIM", "A create over SCIM no longer revives who is deactivated: it is refused"),
		Event:       event.SiteRevivesChanged,
		fieldAccess: boolField(func(s *Settings) *bool { return &s.Revives }),
	},
	{
		Name: "deletes", Key: "delete", Flag: "delete", Title: "Delete", Kind: Choice,
		Usage: "what a SCIM delete does: refuse, deactivate, or delete for good",
		Doc:   "what a DELETE of a user does: `refuse`, `deactivate`, or `delete` for good",
		Field: "delete", PageOrder: 4, Label: "When the IdP sends Delete",
		Values: []Value{
			{
				Word: "refuse", Stored: string(RefuseDelete), Brief: "Refused", Sentence: "SCIM may no longer delete: a delete is refused",
				Text: "Refuse", Help: "Nothing happens here; the answer says that deletion is off. Deactivating still works.",
			},
			{
				Word: "deactivate", Stored: string(DeactivateOnDelete), Brief: "Deactivates the account", Sentence: "A delete over SCIM now deactivates the account",
				Text: "Deactivate", Help: "The person is cut off at once and every session ends. The account stays and can be reactivated.",
			},
			{
				Word: "delete", Stored: string(DeleteForGood), Brief: "Deletes the account for good", Sentence: "A delete over SCIM now deletes the account for good",
				Text: "Delete (cannot be undone)", Help: "The account is gone with its role and its memberships. Entra ID sends it 30 days after a user was deleted there, or when you remove one for good.",
			},
		},
		Event: event.SiteDeletesChanged,
		Refusal: func(text string) *refusal.Error {
			return refusal.New(refusal.Invalid, "delete", "%q is no way to answer a delete", text).Advise("use refuse, deactivate or delete")
		},
		fieldAccess: textField(func(s *Settings) *DeleteMode { return &s.Deletes }),
	},
	{
		Name: "groups", Key: "groups", Flag: "groups", Title: "Groups",
		Usage: "whether SCIM has groups", Doc: "whether SCIM has groups; switched off, what is stored stays",
		Field: "groups", PageOrder: 5, Label: "Take groups",
		Help:        "Groups and who is in them are kept here. While it is off, the list of groups is empty, writing one is refused, and what is stored stays.",
		Values:      tickValues("SCIM now has groups", "SCIM no longer has groups; those that are stored stay"),
		Event:       event.SiteGroupsChanged,
		fieldAccess: boolField(func(s *Settings) *bool { return &s.Groups }),
	},
	{
		Name: "sharedGroupNames", Key: "sharedGroupNames", Flag: "shared-group-names", Title: "Group names",
		Usage: "whether two groups may have one displayName; in strict mode they may anyhow",
		Doc:   "whether two groups may have one `displayName`; in strict mode they may anyhow",
		Field: "names", PageOrder: 7, Label: "Groups may share a name",
		Help:   "Two groups can have the same name, as when the identity provider has two of them. Otherwise the second one is refused. In strict mode they can anyhow.",
		Values: tickValues("Several groups may now have one displayName", "Each group now needs a displayName of its own"),
		Event:  event.SiteSameGroupNamesChanged,
		Words: func(s Site) string {
			if s.GroupNamesUnique() {
				return "unique"
			}
			return "shared"
		},
		fieldAccess: boolField(func(s *Settings) *bool { return &s.SharedGroupNames }),
	},
	{
		Name: "rateLimit", Key: "rateLimit", Flag: "rate-limit", Title: "Rate limit", Kind: Number,
		Usage: fmt.Sprintf("SCIM requests per second, at least %d; 0 for no limit", MinRateLimit),
		Doc:   fmt.Sprintf("SCIM requests per second of the site, for each process, at least %d, or 0 for no limit; more are 429 with `Retry-After`", MinRateLimit),
		Field: "rate", PageOrder: 9, Label: "Requests per second, at most",
		Help:   fmt.Sprintf("Empty: no limit. Beyond it a call is answered with 429 and when to try again. At least %d: Entra ID sends that many by itself.", MinRateLimit),
		Bounds: Bounds{Min: MinRateLimit, Max: MaxRateLimit, Unit: "requests per second", ZeroMeaning: "no limit"},
		Event:  event.SiteRateLimitChanged,
		Sentence: func(_, after any) string {
			if after == 0 {
				return "SCIM requests are no longer limited"
			}
			return fmt.Sprintf("SCIM requests are now limited to %d per second", after)
		},
		Refusal: func(text string) *refusal.Error {
			return refusal.New(refusal.Invalid, "rate", "a rate limit of %s requests per second cannot be kept", text).
				Advise("use 0 for none, or %d to %d", MinRateLimit, MaxRateLimit)
		},
		fieldAccess: intField(func(s *Settings) *int { return &s.RateLimit }),
	},
}

// SettingsOnPage returns the settings that can be edited on the page "SCIM integration", in the
// order of that page.
func SettingsOnPage() []Setting {
	list := slices.DeleteFunc(slices.Clone(SettingsTable), func(s Setting) bool { return s.Field == "" })
	slices.SortFunc(list, func(a, b Setting) int { return a.PageOrder - b.PageOrder })
	return list
}

// SettingOf returns the row of SettingsTable with that name. It panics if there is none, so callers
// must pass literals.
func SettingOf(name string) Setting {
	for _, row := range SettingsTable {
		if row.Name == name {
			return row
		}
	}
	panic("site: no setting is named " + name)
}

// Get returns the stored value of the setting: a bool, an int or a string.
func (x Setting) Get(s Settings) any { return x.get(s) }

// Set sets the setting to a value, which must have the type that Get returns. Setting the profile
// also sets the switches that belong to the profile (see Choose).
func (x Setting) Set(s *Settings, value any) { x.set(s, value) }

// Pointer returns a pointer to the setting's field.
func (x Setting) Pointer(s *Settings) any { return x.pointer(s) }

// Word returns the setting's value as the command line and forms write it.
func (x Setting) Word(s Settings) string {
	is := x.get(s)
	for _, v := range x.Values {
		if v.Stored == is {
			return v.Word
		}
	}
	return fmt.Sprint(is)
}

// JSON returns the setting's value for JSON: a bool for a Tick, a word for a Choice, a number for a
// Number.
func (x Setting) JSON(s Settings) any {
	if x.Kind == Choice {
		return x.Word(s)
	}
	return x.get(s)
}

// Printed returns the setting's value as commands print it.
func (x Setting) Printed(s Site) string {
	if x.Words != nil {
		return x.Words(s)
	}
	if x.Kind != Number {
		return x.Word(s.Settings)
	}
	if x.get(s.Settings) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d %s", x.get(s.Settings), x.Bounds.Unit)
}

// Brief returns a short form of the setting's value, for pages that only show it.
func (x Setting) Brief(s Settings) string {
	is := x.get(s)
	for _, v := range x.Values {
		if v.Stored == is && v.Brief != "" {
			return v.Brief
		}
	}
	w := x.Word(s)
	return strings.ToUpper(w[:1]) + w[1:]
}

// Parse returns the value that a word stands for on the command line or in a form. ok is false if
// the setting has no such value.
func (x Setting) Parse(text string) (value any, ok bool) {
	if text == "" && x.Default != "" {
		text = x.Default
	}
	if x.Kind == Number {
		n, err := strconv.Atoi(text)
		if err != nil || !x.Bounds.allows(n) {
			return nil, false
		}
		return n, true
	}
	for _, v := range x.Values {
		if v.Word == text {
			return v.Stored, true
		}
	}
	return nil, false
}

// allows reports whether a number is a value of a setting with these bounds.
func (b Bounds) allows(n int) bool { return n == 0 || n >= b.Min && n <= b.Max }

// Allowed lists the allowed values in words, such as "refuse or create", or "0 for none, or 25 to
// 100000 requests per second".
func (x Setting) Allowed() string {
	if x.Kind == Number {
		return fmt.Sprintf("0 for none, or %d to %d %s", x.Bounds.Min, x.Bounds.Max, x.Bounds.Unit)
	}
	var words []string
	for _, v := range x.Values {
		words = append(words, v.Word)
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// check returns a refusal if the setting's value in s is not allowed.
func (x Setting) check(s Settings) error {
	text := x.Word(s)
	if _, ok := x.Parse(text); ok {
		return nil
	}
	if x.Refusal != nil {
		return x.Refusal(text)
	}
	return refusal.New(refusal.Invalid, x.Field, "%s cannot be %q", x.Flag, text).Advise("use %s", x.Allowed())
}

// checkValues returns a refusal for the first setting whose value is not allowed.
func checkValues(s Settings) error {
	for _, x := range SettingsTable {
		if err := x.check(s); err != nil {
			return err
		}
	}
	return nil
}

// eventFor returns the name and the sentence of the event for a change from before to after.
func (x Setting) eventFor(before, after any) (name, text string) {
	name = x.Event
	for _, v := range x.Values {
		if v.Stored != after {
			continue
		}
		if text = v.Sentence; v.Event != "" {
			name = v.Event
		}
	}
	if x.Sentence != nil {
		text = x.Sentence(before, after)
	}
	if name == "" {
		name = event.SiteSettingChanged
	}
	return name, text
}

// changedSettings returns the settings that differ between old and next, in the order of the table.
func changedSettings(old, next Settings) []Setting {
	return slices.DeleteFunc(slices.Clone(SettingsTable), func(x Setting) bool { return x.get(old) == x.get(next) })
}
