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

// heldRow shows a held change: a change that SCIM requested, and that waits until an administrator
// decides on it, because it changes how a person signs in.
type heldRow struct {
	Attribute                   string
	StoredValue, RequestedValue string // the attribute's stored value, and the value in SCIM's request
	Time                        time.Time
	RequestedBy                 string // the client that requested the change
	RefusedBy                   string // who refused the change; empty while the change waits
	ApplyURL, RefuseURL         string // addresses that apply or refuse the change
}

// heldRows lists a person's held changes. The changes that wait for a decision come first, then the
// refused ones.
func (v *siteVisit) heldRows(person roster.Person, doc scim.Resource) []heldRow {
	var waits, refused []heldRow
	for _, h := range person.Held {
		row := heldRow{
			Attribute: h.Attribute, StoredValue: roster.ValueWords(doc[h.Attribute]), RequestedValue: roster.ValueWords(h.Value), Time: h.Time, RequestedBy: console.ActorName(h.Actor),
			ApplyURL: v.personURL(person.ID, "held/"+h.Attribute+"/apply"), RefuseURL: v.personURL(person.ID, "held/"+h.Attribute+"/refuse"),
		}
		if !h.Waits() {
			row.RefusedBy = console.ActorName(h.RefusedBy)
			refused = append(refused, row)
			continue
		}
		waits = append(waits, row)
	}
	return append(waits, refused...)
}

// findHeldChange returns the person, the held change and the decision that the path names. h is
// zero if the person has no such change. apply is true if the decision is to apply the change. For
// an unknown decision the error is console.ErrNotFound.
func (p *Pages) findHeldChange(r *http.Request, v *siteVisit) (person roster.Person, h roster.HeldChange, apply bool, err error) {
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
	person, h, apply, err := p.findHeldChange(r, v)
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
		Button:       "Apply the change", IsDangerous: true,
	}
	c.Title = "Apply the change of " + h.Attribute + "?"
	if !apply {
		c.Consequences = []string{
			fmt.Sprintf("%s of %s stays %s.", h.Attribute, person.UserName, roster.ValueWords(doc[h.Attribute])),
			fmt.Sprintf("The identity provider wants %s. The same request is ignored from now on, and is not shown as waiting again.", roster.ValueWords(h.Value)),
		}
		c.Undo, c.Button, c.IsDangerous = "It can still be applied later.", "Refuse the change", false
		c.Title = "Refuse the change of " + h.Attribute + "?"
	}
	title := c.Title
	c.Page = v.page
	c.Title, c.Narrow = title, true
	c.Crumbs = v.crumbs(console.Crumb{Text: "People", URL: v.url("admin/people")}, console.Crumb{Text: person.Name(), URL: v.personURL(person.ID, "")})
	c.FormURL, c.CancelURL = r.URL.Path, v.personURL(person.ID, "")
	c.Fields = []console.HiddenField{{Name: "value", Value: h.ValueHash()}}
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *Pages) decideHeld(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.readChange(r)
	if err != nil {
		return err
	}
	person, h, apply, err := p.findHeldChange(r, v)
	if err != nil {
		return err
	}
	choice := roster.HeldChoice{Attribute: r.PathValue("attribute"), ValueHash: r.PostForm.Get("value")}
	if choice.ValueHash == "" { // the request did not come from the confirmation page
		choice.ValueHash = "none" // matches no held change
	}
	decide := v.Roster.RefuseHeld
	if apply {
		decide = v.Roster.ApplyHeld
	}
	out, err := decide(r.Context(), person.ID, []roster.HeldChoice{choice}, c)
	if err == nil && apply {
		out.Sentence = "Applied the change of " + h.Attribute
	}
	return p.redirectAfterChange(w, r, v, out, err)
}
