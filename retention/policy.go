package retention

import (
	"fmt"

	"github.com/rollcall-scim/rollcall/refusal"
)

// Kind is a group of stored entries that are all kept for the same time.
type Kind string

// The kinds of entries.
const (
	Reads        Kind = "reads"        // request log: reads, and requests without a known token
	Changes      Kind = "changes"      // request log: all other requests
	Provisioning Kind = "provisioning" // provisioning logs
	Events       Kind = "events"       // the audit trail
	// Spent records are of no further use: sign-in links, sign-in requests and sessions that have
	// expired, and the ids of forms that were sent, by which a form is not accepted twice. Their age
	// counts from the expiry, or from the time when the form was sent.
	Spent Kind = "spent"
)

// Kinds lists all kinds in the order in which they are pruned.
func Kinds() []Kind { return []Kind{Reads, Changes, Provisioning, Events, Spent} }

// Describe returns a description of the kind, for pages and commands.
func (k Kind) Describe() string {
	switch k {
	case Reads:
		return "request log: reads, and requests without a valid token"
	case Changes:
		return "request log: changes and refusals"
	case Provisioning:
		return "provisioning logs"
	case Events:
		return "audit trail"
	case Spent:
		return "spent links, sessions and forms, after their end"
	}
	return string(k)
}

// Forever is a number of days in a Policy. It means that the entries are never removed.
const Forever = 0

// maxDays is the largest number of days in a Policy: a hundred years.
const maxDays = 36_500

// Policy has the number of days for which each kind is kept.
type Policy map[Kind]int

// Default returns the policy of a new installation.
func Default() Policy {
	return Policy{Reads: 30, Changes: 365, Provisioning: 365, Events: 2_557, Spent: 7}
}

// validate returns an error for the first kind that has no number of days, or an invalid one.
func (p Policy) validate() error {
	for _, k := range Kinds() {
		days, found := p[k]
		switch {
		case !found:
			return refusal.New(refusal.Invalid, string(k), "%s has no number of days", k)
		case days < 0 || days > maxDays:
			return refusal.New(refusal.Invalid, string(k), "%s are kept for 1 to %d days, or forever; got %d", k, maxDays, days)
		}
	}
	return nil
}

// DaysInWords returns a number of days in words, such as "12 months".
func DaysInWords(days int) string {
	switch {
	case days == Forever:
		return "forever"
	case days == 1:
		return "1 day"
	case days == 365:
		return "12 months"
	case days == Default()[Events]:
		return "7 years"
	}
	return fmt.Sprintf("%d days", days)
}
