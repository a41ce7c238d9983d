package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// tableHeading returns the headings of the columns.
func tableHeading() []string {
	return []string{"Suite", "What it is", "Passed", "Failed", "Failed as explained", "Not run", "Why not run"}
}

// cells returns the cells of a result's row in the table.
func (r result) cells() []string {
	what := r.description
	if r.program != "" {
		what += " (" + r.program + ")"
	}
	if r.notRunReason != "" {
		return []string{r.name, what, "–", "–", "–", "all", r.notRunReason}
	}
	return []string{
		r.name, what, strconv.Itoa(r.count(passed)), strconv.Itoa(r.count(failed)), strconv.Itoa(r.count(explained)),
		strconv.Itoa(r.count(notRun)), strings.Join(r.notRunReasons(), "; "),
	}
}

// notRunReasons returns the reasons why checks were not run. Each reason appears once, with the
// number of checks that it kept from running.
func (r result) notRunReasons() []string {
	var order []string
	times := map[string]int{}
	for _, c := range r.checks {
		if c.verdict != notRun {
			continue
		}
		if times[c.details] == 0 {
			order = append(order, c.details)
		}
		times[c.details]++
	}
	for i, why := range order {
		order[i] = fmt.Sprintf("%s (%d)", why, times[why])
	}
	return order
}

// printTable writes the table, followed by every failure, for a terminal.
func printTable(w io.Writer, results []result) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = true
	t.AppendHeader(tableRow(tableHeading()))
	for _, r := range results {
		t.AppendRow(tableRow(r.cells()))
	}
	columns := []table.ColumnConfig{{Number: 2, WidthMax: 40, WidthMaxEnforcer: text.WrapSoft}, {Number: 7, WidthMax: 40, WidthMaxEnforcer: text.WrapSoft}}
	for number := 3; number <= 6; number++ {
		columns = append(columns, table.ColumnConfig{Number: number, Align: text.AlignRight, WidthMax: 9, WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(columns)
	fmt.Fprintln(w, t.Render())
	for _, r := range results {
		for _, c := range r.checks {
			switch c.verdict {
			case failed:
				fmt.Fprintf(w, "FAILED %s: %s: %s\n", r.name, c.name, c.details)
			case explained:
				fmt.Fprintf(w, "explained %s: %s: %s\n", r.name, c.name, c.reason)
			}
		}
	}
	for _, e := range unusedExplanations(results) {
		fmt.Fprintf(w, "no longer fails, remove it from explained.go: %s: %s\n", e.suite, e.check)
	}
}

// tableRow returns cells in the form that the library for tables needs.
func tableRow(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, c := range cells {
		r[i] = c
	}
	return r
}

// unusedExplanations returns the explanations of checks that now pass.
func unusedExplanations(results []result) (out []explanation) {
	for _, e := range explanations() {
		i := slices.IndexFunc(results, func(r result) bool { return r.name == e.suite && r.notRunReason == "" })
		if i < 0 {
			continue
		}
		has := func(v verdict) bool {
			return slices.ContainsFunc(results[i].checks, func(c check) bool { return c.verdict == v && c.name == e.check })
		}
		if has(passed) && !has(explained) {
			out = append(out, e)
		}
	}
	return out
}

// markdown returns the text of the page docs/conformance.md.
func markdown(results []result) []byte {
	var b strings.Builder
	b.WriteString(`# Conformance

Written by ` + "`make conformance`" + `: a fresh server from the built binary, a site of its own for each suite (profile full, empty at
first), over HTTP. What a machine lacks is a row that was not run, never a pass. The collections of Okta and Microsoft are theirs and
are read from the folder that ` + "`" + collectionsVariable + "`" + ` names: ` + "`" + oktaFile + "`" + ` (okta/okta-developer-docs, the SCIM 2.0 SPEC test)
and ` + "`" + postmanFile + "`" + ` (AzureAD/SCIMReferenceCode). scim2-cli, scim2-tester and scim-sanity come from PyPI, newman from npm,
into a temporary directory.

`)
	writeRow(&b, tableHeading())
	writeRow(&b, []string{"---", "---", "--:", "--:", "--:", "--:", "---"})
	for _, r := range results {
		writeRow(&b, r.cells())
	}
	writeList(&b, results, failed, "Failed", "Nothing explains these; they are faults until something does.", func(c check) string { return c.details })
	writeList(&b, results, explained, "Failed as explained",
		"These ask for something else than the RFC does. They are listed by name in `internal/cmd/conformance/explained.go`, so that any other failure is a new one.",
		func(c check) string { return c.reason })
	return []byte(b.String())
}

// writeList writes a section with all checks that have a verdict, unless there are none. title is
// its heading, lead its first paragraph. say returns the text about a check.
func writeList(b *strings.Builder, results []result, v verdict, title, lead string, say func(check) string) {
	var cells [][]string
	for _, r := range results {
		for _, c := range r.checks {
			if c.verdict == v {
				cells = append(cells, []string{r.name, c.name, say(c)})
			}
		}
	}
	if len(cells) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", title, lead)
	writeRow(b, []string{"Suite", "Check", "Why"})
	writeRow(b, []string{"---", "---", "---"})
	for _, c := range cells {
		writeRow(b, c)
	}
}

// writeRow writes one row of a Markdown table.
func writeRow(b *strings.Builder, cells []string) {
	for _, c := range cells {
		b.WriteString("| " + strings.NewReplacer("|", `\|`, "<", "&lt;", "{", "&#123;").Replace(c) + " ")
	}
	b.WriteString("|\n")
}
