package sitepages

import (
	"errors"
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/refusal"
)

// askUnlink asks the administrator to confirm that the user identifier of a person is removed.
func (p *Pages) askUnlink(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	identity, err := v.Roster.IdentityOf(r.Context(), person.ID)
	if errors.Is(err, refusal.NotFound) {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: person.Name() + " has no user identifier."})
	}
	if err != nil {
		return err
	}
	c := console.ConfirmPage{
		Consequences: []string{
			"The user identifier " + console.Shorten(identity.Identifier) + " opens this account no longer, and every session ends.",
			"The next sign-in whose claim matches the user name " + console.Shorten(person.UserName) + " links another identifier. An account with a role is linked by its owner alone, after a sign-in with a one-time link.",
		},
		Undo: "A sign-in of the same person links the identifier again.", Button: "Remove the user identifier", IsDangerous: true,
	}
	c.Title = "Remove the user identifier of " + person.Name() + "?"
	return p.askToChangePerson(w, r, v, person, c)
}

func (p *Pages) unlink(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.readChange(r)
	if err != nil {
		return err
	}
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	c.IfVersion = 0 // skips the check of the person's version, because linking an identifier does not change the version
	if _, err := v.Roster.Unlink(r.Context(), person.ID, c); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.DoneNotice("The user identifier of "+person.Name()+" is removed."))
}
