package console

import "net/http"

func (p *SitePages) askErase(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.person(r, v)
	if err != nil {
		return err
	}
	if person.Active {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), Notice{Tone: ToneInfo, Text: person.Name() + " is active. Deactivate the account first."})
	}
	c := ConfirmPage{
		Consequences: []string{
			"The account of " + person.Name() + " (" + person.UserName + ") is deleted, with everything in it.", EraseKeepsLogs,
			"If the identity provider sends the person again, a new account is made.",
		},
		Undo: CannotBeUndone, Button: "Erase " + person.Name(), Danger: true,
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
	if n := RefusalNotice("Nothing was changed", err); n != nil {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), *n)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/people"), DoneNotice("The data of the person was erased."))
}
