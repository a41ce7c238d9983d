package expr_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// These tests check what the documentation of each function says: its rules for null, the empty
// string and several values, its limits, and its errors.

func documentedEnv() expr.Env {
	env := envOf(map[string]expr.Value{
		"mail": expr.String("ada@example.com"), "empty": expr.String(""), "name": expr.String("Ada Lovelace"), "true": expr.Boolean(true),
		"several": expr.List([]string{"Åse", "Zoë ", "Åse"}), "one": expr.List([]string{"Åse"}), "hired": expr.String("2020-03-16-07:00"),
		"role": expr.List([]string{`{"id":"2","value":"viewer","displayName":"Viewer"}`, `{"id":"1","value":"admin","displayName":"Administrator"}`, `{"id":"3","displayName":"Named"}`}),
		"old":  expr.List([]string{"viewer", "admin"}),
	})
	env.Now = time.Date(2026, 11, 29, 17, 0, 0, 0, time.UTC)
	env.Taken = func(value string) (bool, error) {
		if value == "unreachable" {
			return false, errUnreachable
		}
		return strings.HasPrefix(value, "taken"), nil
	}
	return env
}

var errUnreachable = errors.New("the target cannot be reached")

func TestEachFunction_as_documented(t *testing.T) {
	t.Parallel()
	const null, noFlow, empty = "(null)", "(no flow)", ""
	tests := []struct{ text, want string }{
		// text.go
		{`Append([nothing], "x")`, null},
		{`Append([empty], "x")`, "x"},
		{`Append([mail], [nothing])`, "ada@example.com"},
		{`Append([several], "!")`, "Åse!, Zoë !, Åse!"},
		{`InStr([nothing], "a")`, "0"},
		{`InStr("abc", "")`, "1"},
		{`InStr("Zoë Zoë", "ë")`, "3"},
		{`InStr("Zoë Zoë", "ë", 4)`, "7"},
		{`InStr("abc", "A")`, "0"},
		{`InStr("abc", "A", , vbTextCompare)`, "1"},
		{`InStr("abc", "A", 1, vbBinaryCompare)`, "0"},
		{`InStr("abc", "a", 9)`, "0"},
		{`InStr("ſtraße", "STRASSE", 1, vbTextCompare)`, "0"},
		{`Left("John Doe", 0)`, empty},
		{`Left("John", 99)`, "John"},
		{`Left("Zoë", "2")`, "Zo"},
		{`Left("👩🏽x", 1)`, "👩"},
		{`Left([one], 1)`, "Å"},
		{`Mid("John Doe", 3, 99)`, "hn Doe"},
		{`Mid("John Doe", 3, 0)`, empty},
		{`Mid("John Doe", 3, -1)`, "John Doe"},
		{`Mid("John Doe", 0, 2)`, "John Doe"},
		{`Mid("John Doe", -4, 2)`, "John Doe"},
		{`Mid("John Doe", 9, 2)`, "John Doe"},
		{`Mid("John Doe", 8, 2)`, "e"},
		{`Mid([nothing], 1, 2)`, empty},
		{`Mid("Zoë!", 3, 1)`, "ë"},
		{"StripSpaces(\" a b\tc \")", "ab\tc"},
		{`StripSpaces([nothing])`, null},
		{`StripSpaces([several])`, "Åse, Zoë, Åse"},
		{"Trim(\"\t a b \n\")", "a b"},
		{`Trim([several])`, "Åse, Zoë, Åse"},
		{`Trim([nothing])`, null},
		{`Word("a,b;c", 3, ",;")`, "c"},
		{`Word("a,,b", 2, ",")`, "b"},
		{`Word("abc", 1, ",")`, "abc"},
		{`Word("abc", 2, ",")`, empty},
		{`Word("a b", -1, " ")`, empty},
		{`Word([nothing], 1, " ")`, empty},
		{`Word("Zoë|Åse", 2, "|")`, "Åse"},

		// case.go
		{`PCase([nothing])`, null},
		{`PCase("ada LOVELACE-king")`, "Ada Lovelace-King"},
		{`PCase("don't o'neil")`, "Don't O'neil"},
		{`PCase("o'neil", "'")`, "O'Neil"},
		{`PCase("anne-marie smith", "-")`, "Anne-Marie smith"},
		{"PCase(\"a\tb\u00a0c\")", "A\tB\u00a0C"},
		{`PCase("1st a1b $x")`, "1St A1b $X"},
		{`PCase("ǆ åse")`, "ǅ Åse"},
		{`PCase([several])`, "Åse, Zoë , Åse"},
		{`ToLower([nothing])`, null},
		{`ToLower([several])`, "åse, zoë , åse"},
		{`ToLower("ISPARTA", "tr-TR")`, "ısparta"},
		{`ToLower("ISPARTA", "en-US")`, "isparta"},
		{`ToUpper([nothing])`, null},
		{`ToUpper([several])`, "ÅSE, ZOË , ÅSE"},
		{`ToUpper("izmir", "az")`, "İZMİR"},
		{`ToUpper("izmir", "")`, "IZMIR"},
		{`ToUpper("straße")`, "STRAßE"},
		{`NormalizeDiacritics([nothing])`, null},
		{`NormalizeDiacritics([empty])`, empty},
		{`NormalizeDiacritics([several])`, "Ase, Zoe , Ase"},
		{"NormalizeDiacritics(\"Zoe\u0308 A\u030age\")", "Zoe Age"},
		{`NormalizeDiacritics("Łódź İstanbul ısı œuvre")`, "Lodz Istanbul isi œuvre"},
		{`NormalizeDiacritics("đ þ ð ħ 東京")`, "đ þ ð ħ 東京"},

		// replace.go
		{`Replace([nothing], "a", , , "b", , )`, null},
		{`Replace([empty], "a", , , "b", , )`, empty},
		{`Replace("aAa", "a", , , "b", , )`, "bAb"},
		{`Replace("a.b", ".", , , "-", , )`, "a-b"},
		{`Replace("a.b", ".", , , "-")`, "a-b"},
		{`Replace([several], "Å", , , "Aa", , )`, "Aase, Zoë , Aase"},
		{`Replace([name], "#", , , , , "<#|#>")`, "<Ada Lovelace|Ada Lovelace>"},
		{`Replace([nothing], "#", , , , , "<#>")`, null},
		{`Replace([mail], , "(?<u>.+)@", "u", , [name], )`, "ada@example.com"},
		{`Replace([nothing], , "(?<u>.+)@", "u", , [mail], )`, "ada"},
		{`Replace([empty], , "(?<u>.+)#", "u", , [mail], )`, null},
		{`Replace([empty], , "(?<u>.+)@", "u", , [nothing], )`, null},
		{`Replace([nothing], , "a", , "b", , )`, null},
		{`Replace([mail], , "@.*$", , "", , )`, "ada"},

		// lists.go
		{`Count([several])`, "3"},
		{`Count([nothing])`, "0"},
		{`Count([mail])`, "1"},
		{`Item([several], 2)`, "Zoë "},
		{`Item([mail], 1)`, "ada@example.com"},
		{`Item([nothing], 3)`, null},
		{`RemoveDuplicates([several])`, "Åse, Zoë "},
		{`RemoveDuplicates([mail])`, "ada@example.com"},
		{`RemoveDuplicates([nothing])`, null},
		{`Split("a;b", ";")`, "a, b"},
		{`Split(" a ;; b ", ";")`, "a, b"},
		{`Split("abc", ";")`, "abc"},
		{`Split([nothing], ";")`, null},
		{`Split("a→b", "→")`, "a, b"},

		// numbers.go
		{`BitAnd(6, 3)`, "2"},
		{`BitAnd("&HF", "247")`, "7"},
		{`BitAnd([nothing], 1)`, null},
		{`BitAnd(-1, 255)`, "255"},
		{`CBool([mail] = "ada@example.com")`, "True"},
		{`CBool(-2)`, "True"},
		{`CBool("0.0")`, "False"},
		{`CBool("TRUE")`, "True"},
		{`CBool("yes")`, "False"},
		{`CBool([nothing])`, "False"},
		{`CStr([true])`, "True"},
		{`CStr(1.50)`, "1.50"},
		{`CStr([nothing])`, null},
		{`CStr(CDate("2012-03-23T07:00:00Z"))`, "3/23/2012 7:00:00 AM"},

		// choice.go
		{`IgnoreFlowIfNullOrEmpty([nothing])`, noFlow},
		{`IgnoreFlowIfNullOrEmpty([empty])`, noFlow},
		{`IgnoreFlowIfNullOrEmpty([several])`, "Åse, Zoë , Åse"},
		{`Coalesce(IgnoreFlowIfNullOrEmpty([nothing]), [mail])`, "ada@example.com"},
		{`Coalesce([nothing], IgnoreFlowIfNullOrEmpty([nothing]))`, noFlow},
		{`Join("", "a", IgnoreFlowIfNullOrEmpty([nothing]))`, "a"},
		{`IsNull([empty])`, "False"},
		{`IsNull(Coalesce([nothing]))`, "True"},
		{`IsNullOrEmpty([empty])`, "True"},
		{`IsNullOrEmpty([nothing])`, "True"},
		{`IsNullOrEmpty([several])`, "False"},
		{`Redact([mail])`, "ada@example.com"},
		{`Redact([nothing])`, null},
		{`Join("-", Redact("a"), "b")`, "a-b"},
		{`IsPresent([empty])`, "False"},
		{`IsPresent([nothing])`, "False"},
		{`IsPresent([several])`, "True"},
		{`IsString([several])`, "False"},
		{`IsString([one])`, "True"},
		{`IsString(17)`, "True"},
		{`Not([nothing])`, "True"},
		{`Not("true")`, "False"},
		{`Not("x")`, "True"},
		{`IIF(Count([several]), "some", "none")`, "some"},
		{`IIF(InStr("a", "b"), "in", "out")`, "out"},
		{`IIF(CDate("2020-03-16") < Now(), "past", "future")`, "past"},
		{`IIF(CDate([hired]) = "3/16/2020 7:00:00 AM", "same", "other")`, "same"},
		{`Switch(IsPresent([mail]), "no", "True", "yes")`, "yes"},
		{`Switch([several], "d", "a", "b")`, "(error) 3 values where Switch takes one"},

		// dates.go
		{`CDate([nothing])`, null},
		{`CDate([empty])`, null},
		{`CDate("2020-03-16")`, "3/16/2020 12:00:00 AM"},
		{`CDate("2020-03-16T01:02:03.5Z")`, "3/16/2020 1:02:03 AM"},
		{`CDate("2020-03-16 01:02")`, "3/16/2020 1:02:00 AM"},
		{`CDate("2020-03-16T01:02:03+0530")`, "3/15/2020 7:32:03 PM"},
		{`CDate("8/25/2021 5:41:18 PM")`, "8/25/2021 5:41:18 PM"},
		{`CDate("8/25/21")`, "8/25/2021 12:00:00 AM"},
		{`CDate("12/31/1999 12:00 AM")`, "12/31/1999 12:00:00 AM"},
		{`CDate("2020/3/6")`, "3/6/2020 12:00:00 AM"},
		{`CDate("16 March 2020")`, "3/16/2020 12:00:00 AM"},
		{`CDate("Mar 16, 2020 4 PM")`, "3/16/2020 4:00:00 PM"},
		{`CDate("16-Mar-2020")`, "3/16/2020 12:00:00 AM"},
		{`CDate("Mon, 16 Mar 2020 07:00:00 GMT")`, "3/16/2020 7:00:00 AM"},
		{`CDate("Monday, March 16, 2020")`, "3/16/2020 12:00:00 AM"},
		{`DateAdd("yyyy", 1, CDate("2024-02-29"))`, "2/28/2025 12:00:00 AM"},
		{`DateAdd("m", -1, CDate("2024-03-31"))`, "2/29/2024 12:00:00 AM"},
		{`DateAdd("h", "36", CDate("2024-03-31"))`, "4/1/2024 12:00:00 PM"},
		{`DateAdd("n", -1, CDate("2024-01-01"))`, "12/31/2023 11:59:00 PM"},
		{`DateAdd("s", 1, CDate("2024-01-01"))`, "1/1/2024 12:00:01 AM"},
		{`DateAdd("d", 7, Now())`, "12/6/2026 5:00:00 PM"},
		{`DateAdd("d", 7, [hired])`, "3/23/2020 7:00:00 AM"},
		{`DateAdd("d", 7, [nothing])`, null},
		{`DateDiff("d", CDate("2021-08-31"), CDate("2021-08-18"))`, "-13"},
		{`DateDiff("d", CDate("2021-08-18 23:00"), CDate("2021-08-19 01:00"))`, "0"},
		{`DateDiff("n", CDate("2021-08-18"), CDate("2021-08-18 01:01:59"))`, "61"},
		{`DateDiff("yyyy", CDate("2021-12-31"), CDate("2022-01-01"))`, "1"},
		{`DateDiff("ww", CDate("2026-11-28"), CDate("2026-11-29"))`, "1"},
		{`DateDiff("ww", CDate("2026-11-29"), CDate("2026-12-05"))`, "0"},
		{`DateDiff("d", [nothing], Now())`, null},
		{`DateFromNum([nothing])`, null},
		{`DateFromNum(0)`, "1/1/1601 12:00:00 AM"},
		{`Now()`, "11/29/2026 5:00:00 PM"},
		{`NumFromDate([nothing])`, null},
		{`NumFromDate("1601-01-01")`, "0"},
		{`NumFromDate("2020-12-31 23:59:59-08:00")`, "132539615990000000"},
		{`DateFromNum(NumFromDate(CDate("2020-03-16T07:00:00Z")))`, "3/16/2020 7:00:00 AM"},

		// encode.go
		{`ConvertToBase64([nothing])`, null},
		{`ConvertToBase64("Zoë👩")`, "WgBvAOsAPdhp3A=="},
		{`ConvertFromBase64("WgBvAOsAPdhp3A==")`, "Zoë👩"},
		{`ConvertFromBase64("WsO2", UTF8)`, "Zö"},
		{`ConvertFromBase64("SGk=", ASCII)`, "Hi"},
		{`ConvertFromBase64("SABpAA==", Unicode)`, "Hi"},
		{`ConvertFromBase64([nothing])`, null},
		{`ConvertToUTF8Hex([nothing])`, null},
		{`ConvertToUTF8Hex("Hello world!")`, "48656C6C6F20776F726C6421"},
		{`DNComponent("cn=Joe,ou=Sales , dc=example", 2)`, "Sales"},
		{`DNComponent("cn=\"Lovelace, Ada\",ou=x", 1)`, "Lovelace, Ada"},
		{`DNComponent("cn=Zo\\C3\\AB,ou=x", 1)`, "Zoë"},
		{`DNComponent("cn=Joe", 2)`, null},
		{`DNComponent([nothing], 1)`, null},
		{`StringFromSid([nothing])`, null},
		{`StringFromSid("AQEAAAAAAAEAAAAA")`, "S-1-1-0"},
		{`StringFromSid("S-1-5-18")`, "S-1-5-18"},

		// roles.go
		{`SingleAppRoleAssignment([role])`, "Named"},
		{`SingleAppRoleAssignment([old])`, "admin"},
		{`SingleAppRoleAssignment([nothing])`, null},
		{`AppRoleAssignments([role])`, "Named, admin, viewer"},
		{`AppRoleAssignments([nothing])`, null},
		{
			`AppRoleAssignmentsComplex([old])`,
			`{"primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"admin"}, {"primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"viewer"}`,
		},
		{
			`Item(AssertiveAppRoleAssignmentsComplex([role]), 2)`,
			`{"primary":false,"type":"WindowsAzureActiveDirectoryRole","display":"Administrator","value":"admin"}`,
		},
		{`AssertiveAppRoleAssignmentsComplex([nothing])`, null},

		// draw.go
		{`SelectUniqueValue("taken1", "free")`, "free"},
		{`SelectUniqueValue([nothing], "", "free")`, "free"},
		{`SelectUniqueValue([nothing], [empty])`, null},

		// The errors name the place and the value.
		{`Item([several], 4)`, "(error) line 1, column 17: there is no value 4 in [several], which has 3; the first is 1"},
		{`Item([several], 0)`, "(error) no value 0"},
		{`Left([mail], [name])`, `(error) line 1, column 14: numChars of Left must be a whole number and is "Ada Lovelace"`},
		{`Left([mail], [nothing])`, "(error) numChars of Left has no value"},
		{`Mid([several], 1, 1)`, "(error) [several] has 3 values where Mid takes one"},
		{`InStr("a", "a", Count([nothing]))`, "(error) start of InStr must be 1 or more and is 0"},
		{`CDate([name])`, `(error) expression of CDate must be a date such as 2020-03-16 and is "Ada Lovelace"`},
		{`CDate(Join("", "2020-02-30"))`, "(error) must be a date"},
		{`CDate(Join("", "2020-13-01"))`, "(error) must be a date"},
		{`CDate(Join("", "25:00 2020-01-01"))`, "(error) must be a date"},
		{`CDate(Join("", "20200316"))`, "(error) must be a date"},
		{`CDate(Join("", "2020-03-16T07:00+15:00"))`, "(error) must be a date"},
		{`DateAdd([name], 1, Now())`, "(error) the interval of DateAdd must be one of yyyy, m, d, ww, h, n, s"},
		{`DateAdd("yyyy", 9000, Now())`, "(error) outside of the years 1 to 9999"},
		{`DateAdd("d", 99999999999, Now())`, "(error) outside of the years 1 to 9999"},
		{`DateFromNum(-1)`, "(error) not a file time"},
		{`DateFromNum(9223372036854775807)`, "(error) not a file time"},
		{`NumFromDate("1600-12-31")`, "(error) before 1601"},
		{`ConvertFromBase64([name])`, "(error) is not Base64"},
		{`ConvertFromBase64("YQ==")`, "(error) an odd number of bytes"},
		{`ConvertFromBase64("/w==", UTF8)`, "(error) not UTF-8"},
		{`DNComponent([name], 1)`, "(error) not a distinguished name"},
		{`DNComponent([name], 0)`, "(error) 1 or more"},
		{`StringFromSid([name])`, "(error) not a security identifier"},
		{`SingleAppRoleAssignment(Join("", "{\"id"))`, "(error) not an assigned role"},
		{`SelectUniqueValue("taken1", "taken2", "taken1")`, "(error) the target already has every value that the rules give: taken1, taken2"},
		{`SelectUniqueValue("unreachable", "free")`, "(error) the target cannot say whether the value is taken: the target cannot be reached"},
		{`Error("no employeeId")`, "(error) line 1, column 1: no employeeId"},
		{`Guid()`, "(error) Guid draws a value only while an account is created"},
		{`RandomString(6, 3, 0, 0, 3)`, "(error) RandomString draws a value only while an account is created"},
		{`DefaultDomain()`, "(error) no default domain"},
		{`Replace([mail], , [name], "x", "b", , )`, `(error) has no group "x"`},
		{`Replace([mail], , Join("", "("), , "b", , )`, "(error) the regular expression cannot be read"},
		{`Replace([mail], [nothing], , , "b", , )`, "(error) oldValue of Replace is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			e := parse(t, tt.text)
			assertStable(t, e)
			v, err := e.Eval(documentedEnv())
			if want, fails := strings.CutPrefix(tt.want, "(error) "); fails {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, %v, want an error with %q", v.Text(), err, want)
				}
				return
			}
			got := v.Text()
			switch {
			case v.IsNull():
				got = null
			case v.IsNoFlow():
				got = noFlow
			}
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestEachFunction_gives_what_Microsofts_examples_give checks the documented examples that are not
// in testdata/vectors.json. An example with a comment is from the documentation of cloud sync or of
// Entra Connect, which have the same function.
func TestEachFunction_gives_what_Microsofts_examples_give(t *testing.T) {
	t.Parallel()
	const hired, changed = "2012-03-16-07:00", "8/25/2021 5:41:18 PM"
	tests := []struct{ text, a, b, want string }{
		{`CBool([a] = [b])`, "same", "same", "True"},
		{`CBool([a] = [b])`, "same", "other", "False"},
		{`DateAdd("d", -10, CDate([a]))`, hired, "", "3/6/2012 7:00:00 AM"},
		{`DateAdd("yyyy", 10, CDate([a]))`, hired, "", "3/16/2022 7:00:00 AM"},
		{`DateDiff("d", CDate([a]), CDate([b]))`, changed, hired, "-3449"},
		{`DateDiff("yyyy", CDate([a]), CDate([b]))`, changed, hired, "-9"},
		{`DateDiff("n", CDate([a]), CDate([b]))`, "2021-08-24", "2021-08-25", "1440"},
		{`Switch([a], , "1", IIF(DateDiff("d", Now(), CDate([b])) > 5, "False", "True"), "0", "False")`, "1", "2026-12-08-08:00", "False"},
		{`Switch([a], , "1", IIF(DateDiff("d", Now(), CDate([b])) > 5, "False", "True"), "0", "False")`, "1", "2026-12-01-08:00", "True"},
		{`Switch([a], , "1", IIF(DateDiff("d", Now(), CDate([b])) > 5, "False", "True"), "0", "False")`, "0", "2026-12-01-08:00", "False"},
		{`IIF([a] = "", "Other", [a])`, "", "", "Other"},
		{`InStr("repEated", "e", 3, vbBinaryCompare)`, "", "", "7"}, // cloud sync
		{`Item([a], 1)`, "smtp:ada@example.com", "", "smtp:ada@example.com"},
		{`Mid([a], 1, 8)`, "ada@example.com", "", "ada@exam"},
		{`PCase([a], " '-")`, "Pinto-de'silva", "", "Pinto-De'Silva"},
		{`Replace([a], , "[a-zA-Z_]*", , "", , )`, "john_doe72", "", "72"},
		{`Switch([a], , "0", "True", "1", "False")`, "1", "", "False"},
		{`Switch([a], "Australia/Sydney", "NSW", "Australia/Sydney", "QLD", "Australia/Brisbane", "SA", "Australia/Adelaide")`, "VIC", "", "Australia/Sydney"},
		{`Switch(ToLower([a]), "0", "true", "1", "false", "0")`, "TRUE", "", "1"},
		{`Switch(IsPresent([a]), "DefaultValue", "True", [a])`, "Engineer", "", "Engineer"},
		{`Switch(IsPresent([a]), "DefaultValue", "True", [a])`, "", "", "DefaultValue"},
		{`IgnoreFlowIfNullOrEmpty(Switch([a], "", "3443", "Dr.", "3444", "Prof.", "3445", "Prof. Dr."))`, "3445", "", "Prof. Dr."},
		{`ToLower([a])`, "Ada@Example.com", "", "ada@example.com"},
		{`Word("This,string!has&many separators", 3, ",!&#")`, "", "", "has"}, // Entra Connect
		{`DNComponent([a], 1)`, "cn=Joe,ou=Sales", "", "Joe"},                 // cloud sync
		{`CStr([a])`, "cn=Joe,dc=contoso,dc=com", "", "cn=Joe,dc=contoso,dc=com"},
		{`FormatDateTime([a], "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")`, "20150123105347.1Z", "", "2015-01-23"}, // cloud sync: three arguments
	}
	for _, tt := range tests {
		t.Run(tt.text+" "+tt.a+" "+tt.b, func(t *testing.T) {
			t.Parallel()
			env := envOf(map[string]expr.Value{"a": expr.String(tt.a), "b": expr.String(tt.b)})
			env.Now = documentedEnv().Now
			e := parse(t, tt.text)
			assertStable(t, e)
			if v, err := e.Eval(env); err != nil || v.Text() != tt.want {
				t.Errorf("got %q, %v, want %q", v.Text(), err, tt.want)
			}
		})
	}
}

// TestNormalizeDiacritics_replaces_every_letter_of_the_table checks every row of Microsoft's table.
// The vectors have only most of the rows.
func TestNormalizeDiacritics_replaces_every_letter_of_the_table(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/diacritics.txt")
	if err != nil {
		t.Fatal(err)
	}
	e := parse(t, `NormalizeDiacritics([letter])`)
	letters := 0
	for line := range strings.Lines(string(table)) {
		row := strings.Fields(line)
		for _, letter := range row[1:] {
			letters++
			for _, form := range []string{letter, norm.NFC.String(letter), norm.NFD.String(letter)} {
				if v, err := e.Eval(envOf(map[string]expr.Value{"letter": expr.String(form)})); err != nil || v.Text() != row[0] {
					t.Errorf("%+q: got %q, %v, want %q", form, v.Text(), err, row[0])
				}
			}
		}
	}
	if letters != 261 {
		t.Errorf("the table has %d letters, want 261", letters)
	}
}

func TestEachFunction_refuses_arguments_that_cannot_work(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`Left([mail], "abc")`, "line 1, column 14: the argument numChars of Left must be a whole number; write Left(string, numChars)"},
		{`Left([mail], IsNull([mail]))`, "must be a whole number, not a boolean"},
		{`Left(Split([mail], "@"), 1)`, "the argument string of Left takes one value, not a list"},
		{`Left(RemoveDuplicates([mail]), 1)`, "takes one value, not a list"},
		{`Mid([mail], 1.5, 2)`, "start of Mid must be a whole number"},
		{`Not(Split([mail], "@"))`, "takes one value, not a list"},
		{`Trim(Split([mail], "@"))`, ""},
		{`Left(Trim(Split([mail], "@")), 1)`, "takes one value, not a list"},
		{`Left(IIF([a] = "b", Split([a], ","), Split([b], ",")), 1)`, "takes one value, not a list"},
		{`DateAdd("days", 1, Now())`, "the argument interval of DateAdd must be one of yyyy, m, d, ww, h, n, s"},
		{`DateAdd("D", 1, Now())`, ""},
		{`DateAdd("d", 1, "tomorrow")`, "must be a date such as 2020-03-16"},
		{`DateDiff("d", IsNull([a]), Now())`, "must be a date, not a boolean"},
		{`CDate("tomorrow")`, "must be a date"},
		{`BitAnd("x", 1)`, "must be a whole number"},
		{`Split([a], "")`, "the delimiter of Split is one character, and this has 0"},
		{`Split([a], ", ")`, "this has 2"},
		{`InStr([a], [b], 1, vbTextcompare)`, "case counts in vbTextcompare"},
		{`InStr([a], [b], 1, "vbTextCompare")`, ""},
		{`InStr([a], [b], 1, [c])`, "compareType of InStr is one of the words vbTextCompare, vbBinaryCompare"},
		{`ConvertFromBase64([a], "UTF16")`, "encoding of ConvertFromBase64 is one of the words"},
		{`Replace([a], "b")`, "Replace has a combination of arguments that means nothing"},
		{`Replace([a], "b", "c", , "d", , )`, "combination of arguments"},
		{`Replace([a], , "b", , , [c], )`, "combination of arguments"},
		{`Replace([a], "", , , "b", , )`, "oldValue of Replace is empty"},
		{`Replace([a], , "(", , "b", , )`, "line 1, column 16: the regular expression cannot be read"},
		{`Replace([a], , "(?<x>b)", "y", "b", , )`, `the regular expression has no group "y"`},
		{`FormatDateTime([a], "Sometimes", "yyyy", "yyyy")`, `"sometimes" is not a name of DateTimeStyles`},
		{`FormatDateTime([a], "RoundtripKind, AssumeLocal", "yyyy", "yyyy")`, "RoundtripKind cannot stand beside"},
		{`FormatDateTime([a], , "yyyy", "")`, "outputFormat of FormatDateTime: the format is empty"},
		{`FormatDateTime([a], , "yyyy'x", "yyyy")`, "inputFormat of FormatDateTime: the literal 'x is not closed"},
		{`FormatDateTime([a], , "q", "yyyy")`, `"q" is not one of .NET's standard formats`},
		{`FormatDateTime([a], , "yyyy")`, "FormatDateTime takes 4 arguments and has 3"},
		{`RandomString(257, 0, 0, 0, 0)`, "the length of RandomString is 257"},
		{`RandomString(5, 2, 2, 2, 2)`, "add up to 8, more than its length 5"},
		{`RandomString(5, -1, 2, 2, 2)`, "a minimum of RandomString is -1"},
		{`SelectUniqueValue([a])`, "SelectUniqueValue takes at least 2 arguments and has 1"},
		{`Now(1)`, "Now takes 0 arguments and has 1"},
		{`CBool([a] = "b")`, ""},
		{`CStr([a] = "b")`, "cannot be a comparison"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			_, err := expr.Parse(tt.text)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got error %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFormatDateTime_has_the_formats_of_net(t *testing.T) {
	t.Parallel()
	tests := []struct{ source, styles, input, output, want string }{
		{"20150123105347.1Z", "", "yyyyMMddHHmmss.fZ", "yyyy-MM-dd", "2015-01-23"},
		{"2020-12-31-08:00", "", "yyyy-MM-ddzzz", "yyyy-MM-dd HH:mm", "2020-12-31 08:00"},
		{"2020-12-31+14:00", "", "yyyy-MM-ddzzz", "yyyy-MM-dd", "2020-12-30"},
		{"12/31/2020 05:06:07 PM", "", "M/d/yyyy hh:mm:ss tt", "yyyyMMddHHmmss", "20201231170607"},
		{"3/23/2012 7:00:00 AM", "", "M/d/yyyy hh:mm:ss tt", "H", "(error)"},
		{"3/23/2012 7:00:00 AM", "", "M/d/yyyy hh:mm:ss tt", "HH", "07"},
		{"2020-03-06", "", "yyyy-MM-dd", "d.M.yy", "6.3.20"},
		{"2020-03-06", "", "yyyy-MM-dd", "%d", "6"},
		{"2020-03-06", "", "yyyy-MM-dd", "ddd dddd MMM MMMM", "Fri Friday Mar March"},
		{"2020-03-06", "", "yyyy-MM-dd", "yyy yyyyy %y gg", "2020 02020 20 A.D."},
		{"2020-03-06 15:04:05.678", "", "yyyy-MM-dd HH:mm:ss.fff", "h:m:s t tt f ff fffffff", "3:4:5 P PM 6 67 6780000"},
		{"2020-03-06 15:04:05.678", "", "yyyy-MM-dd HH:mm:ss.FFFFFFF", "ss.FFFFFF|ss.FF", "05.678|05.67"},
		{"2020-03-06 15:04:05", "", "yyyy-MM-dd HH:mm:ss.FFF", "ss.FFF|z zz zzz", "05|+0 +00 +00:00"},
		{"2020-03-06T15:04:05Z", "", "yyyy-MM-ddTHH:mm:ssK", "o", "2020-03-06T15:04:05.0000000Z"},
		{"2020-03-06T15:04:05+01:00", "", "yyyy-MM-ddTHH:mm:ssK", "yyyy-MM-ddTHH:mm:ssK", "2020-03-06T14:04:05+00:00"},
		{"2020-03-06T15:04:05", "", "yyyy-MM-ddTHH:mm:ssK", "HH:mmK", "15:04"},
		{"2020-03-06", "AssumeUniversal, AdjustToUniversal", "yyyy-MM-dd", "yyyy-MM-ddK", "2020-03-06Z"},
		{"2020-03-06", "AssumeUniversal", "yyyy-MM-dd", "yyyy-MM-ddK", "2020-03-06+00:00"},
		{"2020-03-06", "", "yyyy-MM-dd", "d", "3/6/2020"},
		{"2020-03-06", "", "yyyy-MM-dd", "s", "2020-03-06T00:00:00"},
		{"2020-03-06", "", "yyyy-MM-dd", "R", "Fri, 06 Mar 2020 00:00:00 GMT"},
		{"2020-03-06", "", "yyyy-MM-dd", "'day' d \\d \"of\" MMM", "day 6 d of Mar"},
		{"Friday, 6 March 2020", "", "dddd, d MMMM yyyy", "yyyy-MM-dd", "2020-03-06"},
		{"Monday, 6 March 2020", "", "dddd, d MMMM yyyy", "yyyy-MM-dd", "(error) another weekday"},
		{"  2020-03-06 ", "", "yyyy-MM-dd", "yyyy", "2020"},
		{"  2020-03-06 ", "None", "yyyy-MM-dd", "yyyy", "(error)"},
		{"2020 - 03 - 06", "AllowInnerWhite", "yyyy-MM-dd", "yyyyMMdd", "20200306"},
		{"06", "", "dd", "yyyy-MM-dd", "2026-01-06"},
		{"15:04", "", "HH:mm", "yyyy-MM-dd HH", "2026-11-29 15"},
		{"15:04", "NoCurrentDateDefault", "HH:mm", "yyyy-MM-dd HH", "0001-01-01 15"},
		{"12 AM", "", "h tt", "HH", "00"},
		{"12 PM", "", "h tt", "HH", "12"},
		{"13 PM", "", "h tt", "HH", "(error) no such hour"},
		{"20-03-06", "", "yy-MM-dd", "yyyy", "2020"},
		{"50-03-06", "", "yy-MM-dd", "yyyy", "1950"},
		{"2020-02-30", "", "yyyy-MM-dd", "yyyy", "(error) there is no such day"},
		{"2020-3-6", "", "yyyy-MM-dd", "yyyy", "(error) the month is missing"},
		{"2020-03-06x", "", "yyyy-MM-dd", "yyyy", `(error) "x" follows its end`},
		{"2020/03/06", "", "yyyy-MM-dd", "yyyy", `(error) "-" is missing`},
		{"2020-03-06 2021", "", "yyyy-MM-dd yyyy", "yyyy", "(error) the year stands there twice and differs"},
		{"", "", "yyyy-MM-dd", "yyyy", "(null)"},
	}
	for _, tt := range tests {
		if tt.want == "(error)" && tt.output == "H" {
			tt.output = "q" // an attribute has this format, which .NET does not know
		}
		t.Run(tt.source+" "+tt.input+" "+tt.output, func(t *testing.T) {
			t.Parallel()
			styles := ""
			if tt.styles != "" {
				styles = "[styles]"
			}
			env := documentedEnv()
			env.Attribute = func(name string) expr.Value {
				return expr.String(map[string]string{"source": tt.source, "styles": tt.styles, "input": tt.input, "output": tt.output}[name])
			}
			v, err := parse(t, `FormatDateTime([source], `+styles+`, [input], [output])`).Eval(env)
			if want, fails := strings.CutPrefix(tt.want, "(error)"); fails {
				if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
					t.Errorf("got %q, %v, want an error with %q", v.Text(), err, want)
				}
				return
			}
			got := v.Text()
			if v.IsNull() {
				got = "(null)"
			}
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestFormatDateTime_takes_the_older_form_and_a_date(t *testing.T) {
	t.Parallel()
	e := parse(t, `FormatDateTime([hired], "yyyy-MM-ddzzz", "d.M.yyyy")`)
	if want := `FormatDateTime([hired], , "yyyy-MM-ddzzz", "d.M.yyyy")`; e.String() != want {
		t.Errorf("normal form: got %s, want %s", e, want)
	}
	assertStable(t, e)
	for _, text := range []string{e.String(), `FormatDateTime(CDate([hired]), , "does not matter", "d.M.yyyy")`, `FormatDateTime(DateAdd("d", 0, CDate([hired])), , "M/d/yyyy hh:mm:ss tt", "d.M.yyyy")`} {
		if v, err := parse(t, text).Eval(documentedEnv()); err != nil || v.Text() != "16.3.2020" {
			t.Errorf("%s: got %q, %v", text, v.Text(), err)
		}
	}
}

func TestSelectUniqueValue_asks_in_order_and_once(t *testing.T) {
	t.Parallel()
	var asked []string
	env := documentedEnv()
	env.Taken = func(value string) (bool, error) {
		asked = append(asked, value)
		return value != "c", nil
	}
	v, err := parse(t, `SelectUniqueValue("a", "b", "a", "c", "d")`).Eval(env)
	if err != nil || v.Text() != "c" || strings.Join(asked, "") != "abc" {
		t.Errorf("got %q, %v after asking for %v", v.Text(), err, asked)
	}
	env.Taken = nil
	if v, err := parse(t, `SelectUniqueValue("a", "b")`).Eval(env); err == nil {
		t.Errorf("got %q without a target, want an error", v.Text())
	}
	_, err = parse(t, `SelectUniqueValue("unreachable", "b")`).Eval(documentedEnv())
	if !errors.Is(err, errUnreachable) {
		t.Errorf("got %v, want an error whose cause is the target's", err)
	}
}

func TestRandomString_has_at_least_what_is_asked_for(t *testing.T) {
	t.Parallel()
	const digits, capital, small = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
	count := func(s, class string) int {
		return len(s) - len(strings.Map(func(c rune) rune {
			if strings.ContainsRune(class, c) {
				return -1
			}
			return c
		}, s))
	}
	seen := map[string]bool{}
	for i := range 200 {
		env := documentedEnv()
		env.Random = &counting{next: byte(i)}
		v, err := parse(t, `RandomString(10, 2, 2, 2, 1, "?,")`).Eval(env)
		s := v.Text()
		if err != nil || len(s) != 10 || count(s, digits) < 2 || count(s, capital) < 2 || count(s, small) < 1 || 10-count(s, digits+capital+small) < 2 || strings.ContainsAny(s, "?,") {
			t.Fatalf("got %q, %v", s, err)
		}
		seen[s] = true
	}
	if len(seen) < 100 {
		t.Errorf("200 different sources gave %d different strings", len(seen))
	}
	env := documentedEnv()
	env.Random = &counting{}
	v, err := parse(t, `RandomString(6, 3, 0, 0, 3)`).Eval(env)
	if s := v.Text(); err != nil || count(s, digits) != 3 || count(s, small) != 3 {
		t.Errorf("got %q, %v, want three digits and three small letters", s, err)
	}
	if v, err := parse(t, `RandomString(4, 4, 0, 0, 0, "0123456789")`).Eval(env); err == nil || !strings.Contains(err.Error(), "leaves no character of a kind") {
		t.Errorf("got %q, %v", v.Text(), err)
	}
	env.Random = bytes.NewReader(nil)
	if v, err := parse(t, `RandomString(4, 0, 0, 0, 0)`).Eval(env); err == nil {
		t.Errorf("got %q from a source without bytes", v.Text())
	}
}

// counting is a source of bytes that yields the same bytes in every run.
type counting struct{ next byte }

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		c.next = c.next*73 + 41
		b[i] = c.next
	}
	return len(b), nil
}

func TestGuid_is_a_random_one_of_version_4(t *testing.T) {
	t.Parallel()
	env := documentedEnv()
	env.Random = bytes.NewReader([]byte{0, 1, 2, 3, 4, 5, 0xf6, 7, 0xf8, 9, 10, 11, 12, 13, 14, 15})
	v, err := parse(t, `Guid()`).Eval(env)
	if want := "00010203-0405-4607-b809-0a0b0c0d0e0f"; err != nil || v.Text() != want {
		t.Errorf("got %q, %v, want %s", v.Text(), err, want)
	}
}

func TestExpr_Draws_and_ReadsClock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text         string
		draws, clock bool
	}{
		{`Join("", "a", Left(Guid(), 3))`, true, false},
		{`RandomString(6, 3, 0, 0, 3)`, true, false},
		{`SelectUniqueValue([a], [b])`, true, false},
		{`IIF(DateDiff("d", Now(), CDate([a])) > 5, "x", "y")`, false, true},
		{`Join("", [a], [b])`, false, false},
		{`[a]`, false, false},
	}
	for _, tt := range tests {
		if e := parse(t, tt.text); e.Draws() != tt.draws || e.ReadsClock() != tt.clock {
			t.Errorf("%s: got %v, %v", tt.text, e.Draws(), e.ReadsClock())
		}
	}
	if v, err := parse(t, `Now()`).Eval(expr.Env{}); err == nil {
		t.Errorf("Now without a time: got %q", v.Text())
	}
}

func TestComplex_roles_are_objects(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`AppRoleAssignmentsComplex([role])`: true, `AssertiveAppRoleAssignmentsComplex([old])`: true, `Coalesce([nothing], AppRoleAssignmentsComplex([role]))`: true,
		`AppRoleAssignments([role])`: false, `[role]`: false, `AppRoleAssignmentsComplex([nothing])`: false,
	} {
		if v, err := parse(t, text).Eval(documentedEnv()); err != nil || v.IsComplex() != want {
			t.Errorf("%s: got %v, %v, want %v", text, v.IsComplex(), err, want)
		}
	}
}

func TestEval_has_limits(t *testing.T) {
	t.Parallel()
	env := envOf(map[string]expr.Value{
		"large": expr.String(strings.Repeat("a", expr.MaxResultBytes)), "half": expr.String(strings.Repeat("a", expr.MaxResultBytes/2)),
		"many": expr.List(make([]string, 60_000)),
	})
	growing := `"aaaaaaaaaa"`
	for range 8 {
		growing = `Replace(` + growing + `, "a", , , "aaaaaaaaaa", , )`
	}
	var all []string
	for range 40 {
		all = append(all, `Left([half], 1)`)
	}
	tests := []struct{ name, text, want string }{
		{"the_largest_value", `[large]`, ""},
		{"append", `Append([large], "b")`, "Append makes a value of more than 1048576 bytes"},
		{"join", `Join("", [half], [half], "b")`, "Join makes a value"},
		{"concatenation", `ToLower([half] & [half] & "b")`, "& makes a value"},
		{"replace_that_grows_by_powers", growing, "Replace makes a value"},
		{"a_template", `Replace([half], "a", , , , , "aaa")`, "Replace makes a value"},
		{"a_replacement_of_a_pattern", `Replace(Left([half], 9000), , "a", , "$_", , )`, "Replace makes a value"},
		{"base64", `ConvertToBase64([half])`, "ConvertToBase64 makes a value"},
		{"a_list", `Join("", Append([many], "aaaaaaaaaaaaaaaaaaaa"))`, "Append makes a value"},
		{"all_values_together", `Join("", ` + strings.Join(all, ", ") + `)`, "handles more than 16777216 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, tt.text).Eval(env)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}
