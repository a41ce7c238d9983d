package console

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// The words of both ends about erasing a person.
const (
	eraseLogs = "Entries of the logs and of the audit trail stay, with their time, their kind and who did it. They no longer name the person."
	eraseUndo = "This cannot be undone."
)

func (p *SitePages) askErase(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.person(r, v)
	if err != nil {
		return err
	}
	if person.Active {
		return p.Console.redirect(w, r, v.personURL(person.ID, ""), notice{Tone: info, Text: person.Name() + " is active. Deactivate the account first."})
	}
	c := confirmPage{
		Consequences: []string{
			"The account of " + person.Name() + " (" + person.UserName + ") is deleted, with everything in it.", eraseLogs,
			"If the identity provider sends the person again, a new account is made.",
		},
		Undo: eraseUndo, Button: "Erase " + person.Name(), Danger: true,
	}
	c.Title = "Erase " + person.Name() + "?"
	return p.ask(w, r, v, person, c)
}

func (p *SitePages) erase(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.person(r, v)
	if err != nil {
		return err
	}
	if err := p.Sites.Log().Flush(r.Context()); err != nil { // what is gathered names people, too
		return err
	}
	_, err = p.Eraser.FromSite(r.Context(), v.Site, person.UserName, v.actor())
	if n := notDone("Nothing was changed", err); n != nil {
		return p.Console.redirect(w, r, v.personURL(person.ID, ""), *n)
	}
	if err != nil {
		return err
	}
	return p.Console.redirect(w, r, v.url("admin/people"), done("The data of the person was erased."))
}

func eraseChange() userChange {
	return userChange{
		Name: "erase", Verb: "Erase", Icon: "trash-2", Danger: true, For: directory.User.IsDeleted,
		Here:  "The user and the assignments are removed permanently. " + eraseLogs,
		There: "the account is deleted", Needs: provision.FlowDelete,
		Undo: eraseUndo, Done: "was erased",
	}
}
