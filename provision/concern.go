package provision

import "time"

// ConcernKind says what a person has to look at.
type ConcernKind string

// The kinds of concerns, the most urgent first.
const (
	InQuarantine ConcernKind = "quarantine" // the job is in quarantine
	LateLeaver   ConcernKind = "leaver"     // an account waits to be closed for longer than LeaverPatience
	WaitsOnHold  ConcernKind = "on hold"    // operations wait for a decision
	SomeFail     ConcernKind = "failing"    // objects failed and wait for a retry
)

// Concern is something about a job that a person has to decide or look at.
type Concern struct {
	Kind  ConcernKind `json:"kind"`
	Text  string      `json:"text"`           // what it is, in a few words: "8 operations are on hold"
	Count int         `json:"count"`          // how many operations or objects it is about; 0 if it is about the job
	Since time.Time   `json:"since,omitzero"` // when it began; zero if that is not known
}

// Concerns returns what a person has to decide or look at, the most urgent first. It returns nil if
// there is no such thing.
func (r Report) Concerns() (list []Concern) {
	if q := r.State.Quarantine; q != nil {
		list = append(list, Concern{Kind: InQuarantine, Text: "In quarantine: " + q.Message, Since: q.Since})
	}
	if r.LeaverLate {
		list = append(list, Concern{Kind: LateLeaver, Text: "An account waits to be closed for too long", Since: r.OldestLeaver})
	}
	if r.OnHold > 0 {
		list = append(list, Concern{Kind: WaitsOnHold, Text: countOf(r.OnHold, "operation is on hold", "operations are on hold"), Count: r.OnHold})
	}
	if r.Escrowed > 0 {
		c := Concern{Kind: SomeFail, Text: countOf(r.Escrowed, "user or group failed and waits for a retry", "users and groups failed and wait for a retry"), Count: r.Escrowed}
		for _, f := range r.Failing {
			c.Since = earliest(c.Since, f.Since)
		}
		list = append(list, c)
	}
	return list
}
