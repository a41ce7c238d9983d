package csv_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

// table shows what was read: a line for each row, its values by name.
func table(f directory.GroupFile) []string {
	var lines []string
	for _, row := range f.Rows {
		line := ""
		for _, name := range []string{"objectId", "displayName", "description", "mailNickname", "mail", "group", "member"} {
			if v, ok := row.Values[name]; ok {
				line += " " + name + "=" + v
			}
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	for _, e := range f.Broken {
		lines = append(lines, e.Error())
	}
	return append(lines, f.Notes...)
}

func TestReadGroups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"Entra's download": {
			"id,displayName,groupType,membershipType,mail\n9832aad8-e4fe-496b-a604-95c6ef01ae75,Sales,Security,Assigned,sales@contoso.example\n",
			"objectId=9832aad8-e4fe-496b-a604-95c6ef01ae75 displayName=Sales mail=sales@contoso.example|Left out: groupType, membershipType.",
		},
		"semicolons, a byte order mark, an empty line, a formula": {"\ufeffGroup name;Description\r\n\r\nSales;'=SUM(A1)\r\n", "displayName=Sales description==SUM(A1)"},
		"a row that is too long":                                  {"displayName,description\nSales,a,b\n", "line 2: the row has 3 values, the header 2 columns; put a value that contains the separator in double quotes"},
		"a quote out of place":                                    {"displayName,description\nSales,\"a\" b\nTeam,x\n", "displayName=Team description=x|line 2: a double quote is out of place; write a value that contains one as \"say \"\"hello\"\"\""},
	} {
		f, err := csv.ReadGroups(strings.NewReader(c.file))
		if diff := cmp.Diff(strings.Split(c.want, "|"), table(f)); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for file, says := range map[string]string{
		"":                                   "the file is empty",
		"color,size\nred,1\n":                "no column names the groups: call it displayName (the columns are color, size)",
		"User name,displayName\na@b.c,Ada\n": "it holds users, not groups",
	} {
		if _, err := csv.ReadGroups(strings.NewReader(file)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %s", file, err, says)
		}
	}
}

func TestReadMembers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		oneGroup   bool
		file, want string
	}{
		"Entra's template": {
			true, "version:v1.0\nMember object ID or user principal name [memberObjectIdOrUpn] Required\nExample: 9832aad8-e4fe-496b-a604-95c6eF01ae75\nada@contoso.example\n",
			"member=ada@contoso.example",
		},
		"Entra's template, with the columns that Excel adds": {true, "version:v1.0,\n[memberObjectIdOrUpn] Required,\nada@contoso.example,\n", "member=ada@contoso.example"},
		"Entra's download of members":                        {true, "id,userPrincipalName,displayName\n1-2,ada@contoso.example,Ada\n", "member=1-2|Left out: userPrincipalName, displayName."},
		"a list without a header":                            {true, "ada@contoso.example\r\n\r\nbo@contoso.example", "member=ada@contoso.example|member=bo@contoso.example"},
		"a list with a header":                               {true, "userPrincipalName\nada@contoso.example\n", "member=ada@contoso.example"},
		"several groups":                                     {false, "Group;Member\nSales;ada@contoso.example\n", "group=Sales member=ada@contoso.example"},
	} {
		f, err := csv.ReadMembers(strings.NewReader(c.file), c.oneGroup)
		if diff := cmp.Diff(strings.Split(c.want, "|"), table(f)); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for file, says := range map[string]string{
		"group,colour\nSales,red\n":      "no column names the members: call it member (the columns are group, colour)",
		"member,colour\na@b.c,red\n":     "no column names the groups: call it group",
		"\x00\x00binary\x00\x00\x00\x01": "",
	} {
		if _, err := csv.ReadMembers(strings.NewReader(file), false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %s", file, err, says)
		}
	}
}

// FuzzReadMembers reads anything: every row that comes out has a line, and nothing panics.
func FuzzReadMembers(f *testing.F) {
	f.Add("version:v1.0\n[memberObjectIdOrUpn] Required\nExample: x\nada@contoso.example\n", true)
	f.Add("group,member\n\"Sales\n,ada", false)
	f.Fuzz(func(t *testing.T, text string, oneGroup bool) {
		for _, read := range []func() (directory.GroupFile, error){
			func() (directory.GroupFile, error) { return csv.ReadMembers(strings.NewReader(text), oneGroup) },
			func() (directory.GroupFile, error) { return csv.ReadGroups(strings.NewReader(text)) },
		} {
			file, err := read()
			if err != nil {
				continue
			}
			for _, row := range file.Rows {
				if row.Line < 1 {
					t.Errorf("a row without a line: %+v", row)
				}
			}
		}
	})
}
