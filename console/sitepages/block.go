package sitepages

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
)

func (p *Pages) askBlock(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	if person.Block.InForce {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: person.Name() + " is blocked already."})
	}
	c := console.ConfirmPage{
		Consequences: []string{
			fmt.Sprintf("%s (%s) is signed out everywhere at once and cannot sign in any more.", console.Shorten(person.Name()), console.Shorten(person.UserName)),
			blockConsequence,
			fmt.Sprintf("The account stays, with its role %s and everything in it.", person.Role),
		},
		Undo: blockUndo, Button: "Block " + person.Name(), IsDangerous: true,
	}
	c.Title = "Block " + person.Name() + "?"
	return p.askToChangePerson(w, r, v, person, c)
}

const (
	blockConsequence = "The identity provider cannot let them in again: it can neither activate nor delete the account, nor give its user name to somebody else."
	blockUndo        = "Only an administrator can unblock the account."
)

func (p *Pages) block(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.readChange(r)
	if err != nil {
		return err
	}
	out, err := v.Roster.Block(r.Context(), r.PathValue("person"), c)
	return p.redirectAfterChange(w, r, v, out, err)
}

func (p *Pages) askUnblock(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	if !person.Block.InForce {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: person.Name() + " is not blocked."})
	}
	effect := fmt.Sprintf("%s (%s) can sign in again, to the same account.", person.Name(), person.UserName)
	if !person.Block.Active {
		effect = fmt.Sprintf("%s (%s) stays deactivated: the account was deactivated before the block or during it. It can be reactivated afterwards.", person.Name(), person.UserName)
	}
	c := console.ConfirmPage{
		Consequences: []string{effect, fmt.Sprintf("The role is %s, as it was.", person.Role)},
		Undo:         "It can be undone by blocking again.", Button: "Unblock " + person.Name(),
	}
	c.Title = "Unblock " + person.Name() + "?"
	return p.askToChangePerson(w, r, v, person, c)
}

func (p *Pages) unblock(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.readChange(r)
	if err != nil {
		return err
	}
	out, err := v.Roster.Unblock(r.Context(), r.PathValue("person"), c)
	return p.redirectAfterChange(w, r, v, out, err)
}

// peopleChange describes a change that an administrator can make to several people at once, such as
// blocking them.
type peopleChange struct {
	Verb, Participle string                                                                             // the words for the change, such as "Block" and "blocked"
	Consequences     []string                                                                           // sentences that say what the change does
	Undo             string                                                                             // a sentence that says how to undo the change
	IsDangerous      bool                                                                               // whether the page shows the button in the color for dangerous changes
	appliesTo        func(roster.Person) bool                                                           // reports whether the change applies to a person
	apply            func(*roster.Roster, *http.Request, string, roster.Change) (roster.Outcome, error) // makes the change for the person with this id
}

// findPeopleChange returns the change with this name. If there is none, it returns false.
func findPeopleChange(name string) (peopleChange, bool) {
	switch name {
	case "block":
		return peopleChange{
			Verb: "Block", Participle: "blocked", Undo: blockUndo, IsDangerous: true,
			Consequences: []string{"They are signed out everywhere at once and cannot sign in any more.", blockConsequence, "Their accounts stay, with their roles and everything in them."},
			appliesTo:    func(p roster.Person) bool { return !p.Block.InForce },
			apply: func(people *roster.Roster, r *http.Request, id string, c roster.Change) (roster.Outcome, error) {
				return people.Block(r.Context(), id, c)
			},
		}, true
	case "unblock":
		return peopleChange{
			Verb: "Unblock", Participle: "unblocked", Undo: "It can be undone by blocking again.",
			Consequences: []string{"They can sign in again, to the same accounts. Accounts that were deactivated before the block or during it stay deactivated."},
			appliesTo:    func(p roster.Person) bool { return p.Block.InForce },
			apply: func(people *roster.Roster, r *http.Request, id string, c roster.Change) (roster.Outcome, error) {
				return people.Unblock(r.Context(), id, c)
			},
		}, true
	}
	return peopleChange{}, false
}

func (p *Pages) redirectToPeople(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.url("admin/people"), console.Notice{})
}

// changePeople blocks or unblocks the ticked people. If the form is not confirmed yet, it changes
// nothing and asks for confirmation. The question says how many people the change affects.
func (p *Pages) changePeople(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	by, err := v.readChange(r)
	if err != nil {
		return err
	}
	c, known := findPeopleChange(r.PostForm.Get("change"))
	if !known {
		return console.ErrNotFound
	}
	back := v.url("admin/people")
	ticked := r.PostForm["person"]
	if len(ticked) == 0 {
		return p.Console.Redirect(w, r, back, console.Notice{Tone: console.ToneProblem, Text: "Nothing was changed: tick at least one person."})
	}
	if len(ticked) > maxPeopleOnPage {
		return p.Console.Redirect(w, r, back, console.Notice{Tone: console.ToneProblem, Text: fmt.Sprintf("Nothing was changed: tick %d people at most.", maxPeopleOnPage)})
	}
	var fit []roster.Person // the ticked people that the change applies to
	for _, id := range ticked {
		person, err := v.Roster.Person(r.Context(), id)
		if errors.Is(err, refusal.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if c.appliesTo(person) {
			fit = append(fit, person)
		}
	}
	switch {
	case len(fit) == 0:
		return p.Console.Redirect(w, r, back, console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: none of these people can be " + c.Participle + "."})
	case !console.ConfirmsNumber(r, len(fit)):
		return p.askToChangePeople(w, r, v, c, fit)
	}
	var not []string
	n := 0
	for _, person := range fit {
		_, err := c.apply(v.Roster, r, person.ID, by)
		switch why := console.RefusalNotice("", err); {
		case why != nil:
			not = append(not, why.Text)
		case err != nil:
			return err
		default:
			n++
		}
	}
	note := console.DoneNotice(console.PeopleCount(n) + " " + wasOrWere(n, c.Participle) + ".")
	if len(not) > 0 {
		note.Tone, note.Text = console.ToneProblem, note.Text+" "+strings.Join(not, " ")
	}
	return p.Console.Redirect(w, r, back, note)
}

func wasOrWere(n int, what string) string {
	if n == 1 {
		return "was " + what
	}
	return "were " + what
}

func (p *Pages) askToChangePeople(w http.ResponseWriter, r *http.Request, v *siteVisit, c peopleChange, list []roster.Person) error {
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("admin/people/change"), Button: c.Verb + " " + console.PeopleCount(len(list)), IsDangerous: c.IsDangerous, CancelURL: v.url("admin/people"), Undo: c.Undo,
		Fields: []console.HiddenField{{Name: "change", Value: r.PostForm.Get("change")}, {Name: "sure", Value: strconv.Itoa(len(list))}},
	}
	var names []string
	for _, person := range list {
		names = append(names, console.Shorten(person.Name()))
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "person", Value: person.ID})
	}
	pg.Title, pg.Narrow = c.Verb+" "+console.PeopleCount(len(list))+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "People", URL: v.url("admin/people")})
	pg.Consequences = append([]string{strings.Join(names, ", ") + "."}, c.Consequences...)
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}
