package expr

// functions is the table that everything about functions is read from. Microsoft's documents name them all; a row without
// eval is known and not evaluated by this version. Row order does not matter.
var functions = []function{
	{
		FunctionInfo: FunctionInfo{
			Name:       "Switch",
			Documented: Provisioning,
			Parameters: []Parameter{
				{Name: "source", Required: true},
				{Name: "defaultValue"},
				{Name: "key", Key: "switchValue", Required: true, Repeats: true},
				{Name: "value", Key: "switchValue", Required: true, Repeats: true},
			},
			Summary: "The value of the first key that equals the source, else the default.",
			Details: []string{
				"Keys are compared as strings, and case counts. Only the chosen value is evaluated.",
				"The default may be left empty, as in `Switch([city], , \"Oslo\", \"NO\")`; then the result is null if no key matches.",
				"An odd number of arguments means that the default was left out altogether: `Switch([city], \"Oslo\", \"NO\")` is read, printed and stored as `Switch([city], , \"Oslo\", \"NO\")`. Entra refuses the short form.",
				"The key `\"\"` matches an attribute that is empty and one that is absent.",
			},
			Examples: []Example{
				{Expression: `Switch([IsSoftDeleted], , "False", "True", "True", "False")`, Given: map[string]string{"IsSoftDeleted": "False"}, Result: "True"},
				{Expression: `Switch([country], [country], "", "Other")`, Given: map[string]string{}, Result: "Other"},
				{Expression: `Switch([city], , "Oslo", "NO")`, Given: map[string]string{"city": "Bergen"}, Null: true},
			},
		},
		eval:    evalSwitch,
		arrange: arrangeSwitch,
		advise:  adviseSwitch,
	},
	{
		FunctionInfo: FunctionInfo{
			Name:       "Join",
			Documented: Provisioning,
			Parameters: []Parameter{
				{Name: "separator", Required: true},
				{Name: "source", Required: true, Repeats: true},
			},
			Summary: "The sources in one string, with the separator between them.",
			Details: []string{
				"A source that is null or empty contributes nothing, not even a separator. A multi-valued source contributes each of its values.",
				"If nothing remains, the result is the empty string, not null.",
			},
			Examples: []Example{
				{Expression: `Join(" ", [givenName], [surname])`, Given: map[string]string{"givenName": "Ada", "surname": "Lovelace"}, Result: "Ada Lovelace"},
				{Expression: `Join(", ", "", [surname], [givenName])`, Given: map[string]string{"givenName": "Ada", "surname": "Lovelace"}, Result: "Lovelace, Ada"},
			},
		},
		eval:    evalJoin,
		arrange: dropEmpty(1),
	},
	{
		FunctionInfo: FunctionInfo{
			Name:       "Coalesce",
			Documented: Provisioning,
			Parameters: []Parameter{{Name: "source", Required: true, Repeats: true}},
			Summary:    "The first argument that is not null.",
			Details: []string{
				"The empty string counts as a value. The last argument may be a default, `\"\"` too; if every argument is null, the result is null.",
			},
			Examples: []Example{
				{Expression: `Coalesce([mail], [userPrincipalName])`, Given: map[string]string{"userPrincipalName": "ada@example.com"}, Result: "ada@example.com"},
				{Expression: `Coalesce([mail], [otherMail], "none")`, Given: map[string]string{}, Result: "none"},
			},
		},
		eval:    evalCoalesce,
		arrange: dropEmpty(0),
	},
	{
		FunctionInfo: FunctionInfo{
			Name:       "ToLower",
			Documented: Provisioning,
			Parameters: []Parameter{{Name: "source", Required: true}, {Name: "culture"}},
			Summary:    "The source in small letters.",
			Details: []string{
				"Without a culture name the invariant rules apply, which leave `İ` alone. With a Turkish or Azerbaijani one (`tr-TR`, `az-AZ`), `I` becomes `ı` and `İ` becomes `i`.",
				"Each value of a multi-valued source is changed; null stays null.",
				"A difference in case alone is sent only if the target attribute is marked *Exact case*.",
			},
			Examples: []Example{
				{Expression: `ToLower([mail])`, Given: map[string]string{"mail": "Ada.Lovelace@Example.com"}, Result: "ada.lovelace@example.com"},
				{Expression: `ToLower("ISPARTA", "tr-TR")`, Result: "ısparta"},
			},
		},
		eval: evalToLower,
	},
	{
		FunctionInfo: FunctionInfo{
			Name:       "ToUpper",
			Documented: Provisioning,
			Parameters: []Parameter{{Name: "source", Required: true}, {Name: "culture"}},
			Summary:    "The source in capital letters.",
			Details: []string{
				"Without a culture name the invariant rules apply, which leave `ı` alone. With a Turkish or Azerbaijani one (`tr-TR`, `az-AZ`), `i` becomes `İ` and `ı` becomes `I`.",
				"Each value of a multi-valued source is changed; null stays null.",
			},
			Examples: []Example{
				{Expression: `ToUpper([country])`, Given: map[string]string{"country": "no"}, Result: "NO"},
				{Expression: `ToUpper("izmir", "tr-TR")`, Result: "İZMİR"},
			},
		},
		eval: evalToUpper,
	},
	{
		FunctionInfo: FunctionInfo{
			Name:       "IIF",
			Documented: Provisioning,
			Parameters: []Parameter{
				{Name: "condition", Required: true, Condition: true},
				{Name: "valueIfTrue", Required: true},
				{Name: "valueIfFalse", Required: true},
			},
			Summary: "One of two values, chosen by a condition.",
			Details: []string{
				"The condition is a comparison with `=`, `<>`, `>`, `>=`, `<` or `<=`, or anything that yields True or False. There is no AND and no OR: nest a second IIF in the true branch for AND, in the false branch for OR. Only the branch that is chosen is evaluated.",
				"Strings are compared character by character, and case counts. Two numbers are compared by size. An absent attribute counts as the empty string.",
				"In Entra the condition fails if its attribute is empty, so there write `Switch([country], [country], \"\", \"Other\")` instead of `IIF([country] = \"\", \"Other\", [country])`.",
			},
			Examples: []Example{
				{Expression: `IIF([country] = "USA", [country], [department])`, Given: map[string]string{"country": "USA", "department": "Sales"}, Result: "USA"},
				{Expression: `IIF([country] = "USA", IIF([state] = "CA", "True", "False"), "False")`, Given: map[string]string{"country": "USA", "state": "CA"}, Result: "True"},
			},
		},
		eval:   evalIIF,
		advise: adviseIIF,
	},
	{
		FunctionInfo: FunctionInfo{
			Name:       "IsNullOrEmpty",
			Documented: Provisioning,
			Parameters: []Parameter{{Name: "expression", Required: true}},
			Summary:    "True if the argument is null or empty, else False.",
			Examples: []Example{
				{Expression: `IsNullOrEmpty([displayName])`, Given: map[string]string{}, Result: "True"},
				{Expression: `IsNullOrEmpty([displayName])`, Given: map[string]string{"displayName": "Ada Lovelace"}, Result: "False"},
			},
		},
		eval: evalIsNullOrEmpty,
	},

	// Known, not evaluated by this version.
	known("Append", Provisioning, "The source with the suffix after it.", need("source"), need("suffix")),
	known("AppRoleAssignments", Graph, "The roles of the application that are assigned, in an older form.", need("source")),
	known("AppRoleAssignmentsComplex", Provisioning, "The application's roles that are assigned, as objects to add.", need("source")),
	known("AssertiveAppRoleAssignmentsComplex", Provisioning, "The application's roles that are assigned, as objects that replace what is there.", need("source")),
	known("BitAnd", Provisioning, "The bits that both numbers have set.", need("value1"), need("value2")),
	known("CBool", Provisioning, "True if the expression is true or not zero, else False.", Parameter{Name: "expression", Required: true, Condition: true}),
	known("CDate", Provisioning, "The instant that a string names, in UTC.", need("expression")),
	known("ConvertFromBase64", CloudSync, "The string that a Base64 string encodes.", need("source"), Parameter{Name: "encoding", Words: []string{"Unicode", "ASCII", "UTF8"}}),
	known("ConvertToBase64", Provisioning, "The source as UTF-16, in Base64.", need("source")),
	known("ConvertToUTF8Hex", Provisioning, "The source as UTF-8, in hexadecimal digits.", need("source")),
	known("Count", Provisioning, "How many values a multi-valued attribute has.", need("attribute")),
	known("CStr", Provisioning, "The value as a string.", need("value")),
	known("DateAdd", Provisioning, "An instant some intervals later or earlier.", need("interval"), need("value"), need("dateTime")),
	known("DateDiff", Provisioning, "How many intervals lie between two instants.", need("interval"), need("date1"), need("date2")),
	known("DateFromNum", Provisioning, "The instant that an Active Directory file time names.", need("value")),
	known("DefaultDomain", Graph, "The tenant's default domain."),
	known("DNComponent", CloudSync, "The value of one component of a distinguished name, counted from the left.", need("dn"), need("componentNumber")),
	known("Error", CloudSync, "No value: the object fails with the message.", need("message")),
	known("FormatDateTime", Provisioning, "A date read in one format and written in another.", need("source"), may("dateTimeStyles"), need("inputFormat"), need("outputFormat")),
	known("Guid", Provisioning, "A new random GUID."),
	known("IgnoreFlowIfNullOrEmpty", Provisioning, "The value, or nothing at all for the target if it is null or empty.", need("expression")),
	known("InStr", Provisioning, "Where one string begins in another, counted from 1.", need("value1"), need("value2"), may("start"),
		Parameter{Name: "compareType", Words: []string{"vbTextCompare", "vbBinaryCompare"}}),
	known("IsNull", Provisioning, "True if the argument is null, else False.", need("expression")),
	known("IsPresent", Provisioning, "True if the argument is neither null nor empty, else False.", need("expression")),
	known("IsString", Provisioning, "True if the argument can be a string, else False.", need("expression")),
	known("Item", Provisioning, "One value of a multi-valued attribute, counted from 1.", need("attribute"), need("index")),
	known("Left", Provisioning, "The first characters of the source.", need("string"), need("numChars")),
	known("Mid", Provisioning, "Some characters of the source, counted from 1.", need("source"), need("start"), need("length")),
	known("NormalizeDiacritics", Provisioning, "The source with accented letters replaced by plain ones.", need("source")),
	known("Not", Provisioning, "False for True, else True.", need("source")),
	known("Now", Provisioning, "The current instant, in UTC."),
	known("NumFromDate", Provisioning, "The Active Directory file time of a date.", need("value")),
	known("PCase", Provisioning, "The source with a capital letter at the start of each word.", need("source"), may("wordSeparators")),
	known("RandomString", Provisioning, "Random characters of the asked kinds.", need("length"), need("minimumNumbers"), need("minimumSpecialCharacters"),
		need("minimumCapital"), need("minimumLowerCase"), may("charactersToAvoid")),
	known("Redact", Provisioning, "The value unchanged, hidden in the provisioning logs.", need("value")),
	known("RemoveDuplicates", Provisioning, "A multi-valued attribute with each value once.", need("attribute")),
	known("Replace", Provisioning, "The source with a string or a pattern replaced.", need("source"), Parameter{Name: "oldValue", Key: "Find"}, may("regexPattern"),
		may("regexGroupName"), Parameter{Name: "replacementValue", Key: "Replacement"}, may("replacementAttributeName"), may("template")),
	known("SelectUniqueValue", Provisioning, "The first result that the target does not have yet.", need("rule"), Parameter{Name: "rule", Required: true, Repeats: true}),
	known("SingleAppRoleAssignment", Provisioning, "The name of one role of the application that is assigned.", need("source")),
	known("Split", Provisioning, "The parts of the source between delimiters.", need("source"), need("delimiter")),
	known("StringFromSid", CloudSync, "The string form of a security identifier.", need("bytes")),
	known("StripSpaces", Provisioning, "The source without spaces.", need("source")),
	known("Trim", CloudSync, "The source without spaces at its ends.", need("value")),
	known("Word", Provisioning, "One word of the source, counted from 1.", need("string"), need("wordNumber"), need("delimiters")),
}

// known is the row of a function that is not evaluated.
func known(name string, origin Origin, summary string, parameters ...Parameter) function {
	return function{FunctionInfo: FunctionInfo{Name: name, Documented: origin, Summary: summary, Parameters: parameters}}
}

func need(name string) Parameter { return Parameter{Name: name, Required: true} }

func may(name string) Parameter { return Parameter{Name: name} }
