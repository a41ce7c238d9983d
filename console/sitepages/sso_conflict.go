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

// conflictRow is a waiting sign-in, next to the account that conflicts with it.
type conflictRow struct {
	Identity      string // the user identifier
	Reason, Tried string // why the sign-in waits, and how often it was tried, in words
	Last          time.Time
	Rows          []comparedRow
	Consequence   string // what happens if the administrator links the two
	Link, Dismiss string // addresses that link, or dismiss the sign-in; Link is empty if the account cannot be opened
}

// comparedRow is one attribute of the identity and of the account.
type comparedRow struct {
	Name, Identity, Account string
	Match                   console.Badge
}

func compare(name, identity, account string) comparedRow {
	row := comparedRow{Name: name, Identity: identity, Account: account, Match: console.Badge{Tone: console.ToneQuiet, Text: "Differs"}}
	if identity != "" && strings.EqualFold(identity, account) {
		row.Match = console.Badge{Tone: console.ToneGood, Text: "Matches"}
	}
	return row
}

func (p *Pages) conflicts(r *http.Request, v *siteVisit) ([]conflictRow, error) {
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
			Identity: c.Identifier, Reason: conflictReason(c, person), Tried: "Tried " + console.Plural(int(c.Tries), "time"), Last: c.LastTry, Dismiss: address + "/dismiss",
			Rows: []comparedRow{
				compare("userName", c.Match, person.UserName),
				compare("Display name", c.DisplayName, person.DisplayName),
				compare("E-mail", c.Email, person.Email),
				compare("User identifier", c.Identifier, linked.Identifier),
			},
		}
		if person.Active && !person.Block.InForce {
			row.Link, row.Consequence = address+"/link", "This identity then opens the account "+person.UserName+", with the role "+string(person.Role)+"."
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
	person, err := p.SSO.LinkConflict(r.Context(), v.Site, r.PathValue("conflict"), roster.Change{Actor: v.actor(), Via: roster.ViaAdmin, Person: v.Person.ID})
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/authentication"), console.DoneNotice("The identity is linked to "+person.UserName+"."))
}

func (p *Pages) dismissConflict(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.DismissConflict(r.Context(), v.Site, r.PathValue("conflict"), v.actor()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/authentication"), console.DoneNotice("The sign-in is dismissed."))
}
