package sitepages

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
)

// conflictRow shows a sign-in that waits for an administrator, next to the account that conflicts
// with it.
type conflictRow struct {
	Identifier          string // the user identifier with which someone tried to sign in
	Reason, Attempts    string // why the sign-in waits, and how often it was tried, in words
	LastAttempt         time.Time
	ComparedRows        []comparedRow
	Consequence         string // what happens if the administrator links the identity to the account
	LinkURL, DismissURL string // addresses that link the identity, or dismiss the sign-in; LinkURL is empty if the account is deactivated or blocked
}

// comparedRow shows one attribute, with its value in the identity and its value in the account.
type comparedRow struct {
	Name, Identity, Account string
	MatchBadge              console.Badge
}

func newComparedRow(name, identity, account string) comparedRow {
	row := comparedRow{Name: name, Identity: identity, Account: account, MatchBadge: console.Badge{Tone: console.ToneQuiet, Text: "Differs"}}
	if identity != "" && strings.EqualFold(identity, account) {
		row.MatchBadge = console.Badge{Tone: console.ToneGood, Text: "Matches"}
	}
	return row
}

func (p *Pages) readConflicts(r *http.Request, v *siteVisit) ([]conflictRow, error) {
	all, err := p.SSO.Conflicts(r.Context(), v.Site)
	if err != nil {
		return nil, err
	}
	var rows []conflictRow
	for _, c := range all[:min(len(all), 20)] {
		person, err := v.Roster.Person(r.Context(), c.PersonID)
		if errors.Is(err, refusal.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		linked, err := v.Roster.IdentityOf(r.Context(), c.PersonID)
		if err != nil && !errors.Is(err, refusal.NotFound) {
			return nil, err
		}
		address := v.url("admin/access/authentication/conflicts/" + c.ID)
		row := conflictRow{
			Identifier: c.Identifier, Reason: conflictReason(c, person), Attempts: "Tried " + console.Plural(int(c.Tries), "time"), LastAttempt: c.LastTry, DismissURL: address + "/dismiss",
			ComparedRows: []comparedRow{
				newComparedRow("userName", c.Match, person.UserName),
				newComparedRow("Display name", c.DisplayName, person.DisplayName),
				newComparedRow("E-mail", c.Email, person.Email),
				newComparedRow("User identifier", c.Identifier, linked.Identifier),
			},
		}
		if person.Active && !person.Block.InForce {
			row.LinkURL, row.Consequence = address+"/link", "This identity then opens the account "+person.UserName+", with the role "+string(person.Role)+"."
			if linked.Identifier != "" {
				row.Consequence += " " + linked.Identifier + " no longer opens it, and the sessions of the account end."
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func conflictReason(c signin.Conflict, p roster.Person) string {
	switch c.Reason {
	case "unproved":
		return "has the user name of an account with the role " + string(p.Role) + ", and no link to it."
	case "identity_conflict":
		return "has the user name of an account that is linked to another user identifier."
	}
	return "has no account, and its e-mail address belongs to another account."
}

func (p *Pages) linkConflict(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.SSO.LinkConflict(r.Context(), v.Site, r.PathValue("conflict"), roster.Change{Actor: v.actorLabel(), Via: roster.ViaAdmin, Person: v.Person.ID})
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/authentication"), console.DoneNotice("The identity is linked to "+person.UserName+"."))
}

func (p *Pages) dismissConflict(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.DismissConflict(r.Context(), v.Site, r.PathValue("conflict"), v.actorLabel()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/authentication"), console.DoneNotice("The sign-in is dismissed."))
}
