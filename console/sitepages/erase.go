package sitepages

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
)

func (p *Pages) askErase(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	if person.Active {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: person.Name() + " is active. Deactivate the account first."})
	}
	c := console.ConfirmPage{
		Consequences: []string{
			"The account of " + person.Name() + " (" + person.UserName + ") is deleted, with everything in it.", console.EraseKeepsLogs,
			"If the identity provider sends the person again, a new account is made.",
		},
		Undo: console.CannotBeUndone, Button: "Erase " + person.Name(), IsDangerous: true,
	}
	c.Title = "Erase " + person.Name() + "?"
	return p.askToChangePerson(w, r, v, person, c)
}

func (p *Pages) erase(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	if err := p.Requests.Flush(r.Context()); err != nil { // so that the eraser finds the log rows that are still in memory
		return err
	}
	_, err = p.Eraser.FromSite(r.Context(), v.Site, person.UserName, v.actorLabel())
	if n := console.RefusalNotice("Nothing was changed", err); n != nil {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), *n)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/people"), console.DoneNotice("The data of the person was erased."))
}
