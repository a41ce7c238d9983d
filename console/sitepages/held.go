package sitepages

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// heldRow is a change from SCIM that an administrator must decide on, because it changes how a
// person signs in.
type heldRow struct {
	Attribute           string
	Now, Asked          string // the stored value, and the value in SCIM's request
	Time                time.Time
	By                  string // the client that requested the change
	Refused             string // who refused the change; empty while the change waits
	ApplyURL, RefuseURL string // addresses that apply or refuse the change
}

// heldRows lists a person's held changes. Those that wait for a decision come first.
func (v *siteVisit) heldRows(person roster.Person, doc scim.Resource) []heldRow {
	var waits, refused []heldRow
	for _, h := range person.Held {
		row := heldRow{
			Attribute: h.Attribute, Now: roster.ValueWords(doc[h.Attribute]), Asked: roster.ValueWords(h.Value), Time: h.Time, By: console.ActorName(h.Actor),
			ApplyURL: v.personURL(person.ID, "held/"+h.Attribute+"/apply"), RefuseURL: v.personURL(person.ID, "held/"+h.Attribute+"/refuse"),
		}
		if !h.Waits() {
			row.Refused = console.ActorName(h.RefusedBy)
			refused = append(refused, row)
			continue
		}
		waits = append(waits, row)
	}
	return append(waits, refused...)
}

// heldOf returns the held change and the decision in the path. h is zero if there is no such
// change. apply is true for the decision to apply the change. For an unknown decision the error is
// console.ErrNotFound.
func (p *Pages) heldOf(r *http.Request, v *siteVisit) (person roster.Person, h roster.HeldChange, apply bool, err error) {
	decision := r.PathValue("decision")
	if decision != "apply" && decision != "refuse" {
		return person, h, false, console.ErrNotFound
	}
	if person, err = p.findPerson(r, v); err != nil {
		return person, h, false, err
	}
	i := slices.IndexFunc(person.Held, func(h roster.HeldChange) bool { return h.Attribute == r.PathValue("attribute") })
	if i >= 0 {
		h = person.Held[i]
	}
	return person, h, decision == "apply", nil
}

func (p *Pages) askHeldDecision(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, h, apply, err := p.heldOf(r, v)
	if err != nil {
		return err
	}
	if h.Attribute == "" {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: "No change of " + r.PathValue("attribute") + " waits for " + person.Name() + " any more."})
	}
	doc, err := p.personDocument(r, v, person)
	if err != nil {
		return err
	}
	change := fmt.Sprintf("%s of %s changes from %s to %s.", h.Attribute, person.UserName, roster.ValueWords(doc[h.Attribute]), roster.ValueWords(h.Value))
	c := console.ConfirmPage{
		Consequences: []string{change, fmt.Sprintf("Whoever signs in with the new value at the identity provider gets this account, with its role %s.", person.Role)},
		Undo:         "The identity provider can ask for the old value again.",
		Button:       "Apply the change", Danger: true,
	}
	c.Title = "Apply the change of " + h.Attribute + "?"
	if !apply {
		c.Consequences = []string{
			fmt.Sprintf("%s of %s stays %s.", h.Attribute, person.UserName, roster.ValueWords(doc[h.Attribute])),
			fmt.Sprintf("The identity provider wants %s. The same request is ignored from now on, and is not shown as waiting again.", roster.ValueWords(h.Value)),
		}
		c.Undo, c.Button, c.Danger = "It can still be applied later.", "Refuse the change", false
		c.Title = "Refuse the change of " + h.Attribute + "?"
	}
	title := c.Title
	c.Page = v.page
	c.Title, c.Narrow = title, true
	c.Crumbs = v.crumbs(console.Crumb{Text: "People", URL: v.url("admin/people")}, console.Crumb{Text: person.Name(), URL: v.personURL(person.ID, "")})
	c.Action, c.Cancel = r.URL.Path, v.personURL(person.ID, "")
	c.Fields = []console.HiddenField{{Name: "value", Value: h.Token()}}
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *Pages) decideHeld(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.changeBy(r)
	if err != nil {
		return err
	}
	person, h, apply, err := p.heldOf(r, v)
	if err != nil {
		return err
	}
	choice := roster.HeldChoice{Attribute: r.PathValue("attribute"), Token: r.PostForm.Get("value")}
	if choice.Token == "" { // the request did not come from the confirmation page
		choice.Token = "none"
	}
	decide := v.Roster.RefuseHeld
	if apply {
		decide = v.Roster.ApplyHeld
	}
	out, err := decide(r.Context(), person.ID, []roster.HeldChoice{choice}, c)
	if err == nil && apply {
		out.Sentence = "Applied the change of " + h.Attribute
	}
	return p.showChanged(w, r, v, out, err)
}
