package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// markdown returns the first part of the report, which is the page docs/interop.md.
func (w *world) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Interoperation

Written by `+"`make interop`"+`, which is no part of `+"`make test`"+`. One directory of %d people and %d groups is provisioned by the built binary into
a Rollcall site and into servers that other projects wrote. The groups are nested, one is empty, and one has everyone. The programs are installed from
their registries into a temporary folder. Node, Python and Go must be there.

Then a month is played: %d steps, drawn from seed %d, in %d days. After each day every application is provisioned once with `+"`rollcall provision run`"+`.
Operations on hold are approved. At the end all accounts and groups are read from each target and compared with what the default mappings of a SCIM application
(customappsso) say: each of the %d attributes, the manager, whether the account is active, and all members. Accounts of people who have left must be there
and inactive, with the values that were sent last. Then each application is provisioned again.

`, w.options.people, w.options.groups, w.options.steps, w.options.seed, w.options.days, len(directMappings)+1)
	b.WriteString("| Target | Software | People | Groups | Memberships | Cannot hold | Requests | of them writes | Second run |\n| --- | --- | --: | --: | --: | --: | --: | --: | --- |\n")
	for _, e := range w.runs {
		c := e.comparison
		fmt.Fprintf(&b, "| %s | %s | %d of %d | %d of %d | %d of %d | %d | %d | %d | %s |\n", e.description, strings.TrimSpace(e.server.software),
			c.peopleOK, c.people, c.groupsOK, c.groups, c.membersOK, c.memberships, len(c.differences), e.requests, e.writes, secondRunText(e.secondRequests, e.secondWrites))
	}
	b.WriteString("\nThe second run may send one request: the search for a random value that begins each cycle, as Entra's does.\n")
	w.stepTable(&b)
	b.WriteString("\n## What the status says about each target\n\nThe engine begins in Entra's own dialect. It sends another form if a target refuses one, and keeps the form that works.\n")
	for _, e := range w.runs {
		fmt.Fprintf(&b, "\n**%s**\n\n", e.description)
		if len(e.notes) == 0 {
			b.WriteString("- takes everything as Entra sends it\n")
		}
		for _, note := range e.notes {
			fmt.Fprintf(&b, "- %s\n", note)
		}
		if e.approvedCount > 0 {
			fmt.Fprintf(&b, "- %d operations were on hold and were approved\n", e.approvedCount)
		}
	}
	w.differenceTable(&b)
	b.WriteString("\n" + findingsSection + "\n" + equalitySection + "\n" + conversationsSection)
	return b.Bytes()
}

// findingsSection is the section about the other servers. It says where they differ from the RFCs
// or from the requests and answers that Entra expects.
const findingsSection = `## What these servers do otherwise, and what the engine does about it

| Target | It | The engine |
| --- | --- | --- |
| SCIMMY | refuses the strings "True" and "False" for booleans | sends JSON booleans; the status says so |
| SCIMMY, scim2-server, elimity-com/scim | refuse a manager as a plain id | send an object with a value; the status says so |
| SCIMMY | refuses roles of the type WindowsAzureActiveDirectoryRole | each person with such a role is a failure in the log, with the target's reason |
| scim2-server | refuses a new group with Microsoft's own schema | sends the core schema alone; the status says so |
| scim2-server, elimity-com/scim | refuse or misread the removal of members by a list of values | sends a path with a filter for each; the status says so |
| elimity-com/scim | takes the removal of some members for the removal of all, as RFC 7644 §3.5.2.2 allows | asks for another member after the first removal, sends all members again; the group is in the log |
| elimity-com/scim | panics on the filter members eq "…" (our handler answers 400) | reads the group instead |
| elimity-com/scim, with aadOptscim062020 | stores the keys "name.givenName" and "urn:…:User:department" under these very names, so the attributes keep their old values | the log of each person names the attributes of which the answer shows another value |
`

// conversationsSection is the section about the tests that replay recorded conversations with these
// servers.
const conversationsSection = `## Recorded conversations

[provision/testdata/conversations](../provision/testdata/conversations) has what the engine and each of these servers say to each other while a small directory goes through a
fixed story, in both dialects. ` + "`make interop RECORD=1`" + ` records them. TestConversations plays the story again: against the recorded answers the engine must send the same
bytes. TestConversationsHaveEveryRequest checks that every request of Entra's client is among them.
`

// equalitySection is the section that explains which values the comparison counts as equal.
const equalitySection = `## What counts as equal

- A person who left keeps the account. It is inactive, and its other values are those of the last day. A purged person has no account.
- A blocked person stays a member of groups. A deleted one is no member until the restore.
- The manager stays while the account is there, also when the manager has left. A purged manager is no manager.
- Groups within groups are left out, as in Entra: the job's *Nested groups* is off, and their members are members of their own groups only.
- A person who is hired again under the same name and employee number takes the old account over.
- The recorder between Rollcall and a target passes on four requests at a time, because scim2-server accepts only a few connections.
`

// secondRunText describes the requests of the second run: all of them, and those that write.
func secondRunText(all, writes int) string {
	switch {
	case all == 0:
		return "nothing"
	case all == 1 && writes == 0:
		return "one search"
	}
	return fmt.Sprintf("%d requests, %d of them writes", all, writes)
}

// stepTable writes how many times each kind of step was played.
func (w *world) stepTable(b *bytes.Buffer) {
	b.WriteString("\n## The steps\n\n| Step | Times |\n| --- | --: |\n")
	for _, name := range slices.Sorted(maps.Keys(w.month.timesPlayed)) {
		fmt.Fprintf(b, "| %s | %d |\n", name, w.month.timesPlayed[name])
	}
}

// differenceTable writes the differences between each target and the company, one row for each
// target and attribute.
func (w *world) differenceTable(b *bytes.Buffer) {
	b.WriteString("\n## What a target cannot hold\n\n")
	rows := 0
	for _, e := range w.runs {
		count, example := map[string]int{}, map[string]difference{}
		for _, d := range e.comparison.differences {
			count[d.kind+" "+d.attribute]++
			example[d.kind+" "+d.attribute] = d
		}
		for _, key := range slices.Sorted(maps.Keys(count)) {
			if rows++; rows == 1 {
				b.WriteString("| Target | What | How many | Example | In the log |\n| --- | --- | --: | --- | --- |\n")
			}
			inLog := "**no**"
			if e.logNames(example[key]) {
				inLog = "yes"
			}
			fmt.Fprintf(b, "| %s | %s | %d | %s | %s |\n", e.description, key, count[key], strings.ReplaceAll(example[key].String(), "|", "\\|"), inLog)
		}
	}
	if rows == 0 {
		b.WriteString("Each of them holds everything that the mappings say.\n")
	}
}

// signInHeading begins the part of the report about signing in, up to the end of the report.
const signInHeading = "\n## Signing in\n"

// markdown returns the part of the report about signing in.
func (s *signIns) markdown() []byte {
	var b bytes.Buffer
	b.WriteString(signInHeading + `
The built binary serves a site for each of these identity providers, and people sign in at the site as with a browser: cookies, redirects and forms over HTTP. The settings
are made by ` + "`rollcall site sso set`" + ` and on the page *Single sign-on*. The effect is read back: the account by SCIM and on the page of the person, the session at a page of the site, the reason of
a refusal in the audit log. SimpleSAMLphp is downloaded from Debian and runs on PHP's own server; PHP is installed if it is missing, which needs root or sudo.
` + "`make interop ONLY=" + signInPart + "`" + ` plays this part alone.

| Identity provider | Software | What was done | Result |
| --- | --- | --- | --- |
`)
	for _, r := range s.results {
		result := r.result
		if r.err != nil {
			result = "**failed**: " + strings.ReplaceAll(foreign.OneLine(r.err.Error()), "|", "\\|")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.provider, r.software, r.what, result)
	}
	return b.Bytes()
}
