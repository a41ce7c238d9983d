package main

import "strings"

// explanation is a known failure of a check, and the reason why the server behaves differently than
// the check wants. If the check fails with other details, it is a new failure.
type explanation struct {
	suite       string // name of the suite
	check       string // name of the check
	failureText string // part of the details of the failed check
	reason      string // why the server behaves differently
}

// Names of suites.
const (
	microsoftName    = "Microsoft reference collection"
	sanityStrictName = "scim-sanity, strict"
	testerName       = "scim2-tester"
	testerStrictName = "scim2-tester, strict"

	// removedActiveReason explains why the attribute active is still returned after a PATCH that
	// removes it.
	removedActiveReason = "wants active to be gone once it is removed; then nobody could tell whether the person may come in, so it stays and is answered (RFC 7643 §4.1.1 leaves its meaning to the server)"
)

// explanations returns the known failures of Rollcall. The checks fail because they expect
// something that RFC 7643 and RFC 7644 do not require.
func explanations() []explanation {
	return []explanation{
		{
			microsoftName, "Get ServiceProviderConfig: Status code is 200", "got 404",
			"asks for /serviceConfiguration; RFC 7644 §4 names the endpoint /ServiceProviderConfig",
		},
		{
			microsoftName, "Get ServiceProviderConfig: Pach supported is true", "reading 'supported'",
			"reads the answer of /serviceConfiguration, see above",
		},
		{
			microsoftName, "Patch user omalley new username: Status code is 204", "got 200",
			"RFC 7644 §3.5.2 lets a server answer 200 with the resource or 204 without; users are answered with 200",
		},
		{
			microsoftName, "patch user omalley active with boolean: Status code is 204", "got 200",
			"as above: 200 with the resource is as right as 204",
		},
		{
			microsoftName, "Get group by id: Body contians user", "to include 'new User'",
			"wants a member's displayName back; RFC 7643 §4.2 gives members no such sub-attribute (display is the name of it)",
		},
		{
			testerName, "check_remove_attribute", "did not remove attribute 'active'",
			removedActiveReason,
		},
		{
			testerStrictName, "check_remove_attribute", "did not remove attribute 'active'",
			removedActiveReason,
		},
		{
			sanityStrictName, "PATCH /Groups/{id} add member", "got 400",
			"adds a member whose id nobody has; a strict site refuses it with invalidValue, a tolerant one skips and reports it",
		},
	}
}

// explanationOf returns the explanation of a failed check. It returns false if the failure is new.
func explanationOf(suite string, c check) (explanation, bool) {
	if c.verdict != failed {
		return explanation{}, false
	}
	for _, e := range explanations() {
		if e.suite == suite && e.check == c.name && strings.Contains(c.details, e.failureText) {
			return e, true
		}
	}
	return explanation{}, false
}
