package console

import (
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/site"
)

// switchesForm is "What SCIM may do".
type switchesForm struct {
	Action  string
	Notice  *notice
	Groups  []radioGroup
	Ticks   []choice
	Rate    string // as typed; empty: no limit
	MinRate int
	Error   *fieldError
}

// radioGroup is a question with one answer of several.
type radioGroup struct {
	Name    string
	Label   string
	Choices []choice
}

func switchesOf(v *siteVisit) switchesForm {
	f := switchesForm{Action: v.url("admin/access/scim/switches"), MinRate: site.MinRateLimit}
	if v.Site.RateLimit > 0 {
		f.Rate = strconv.Itoa(v.Site.RateLimit)
	}
	f.show(v.Site)
	return f
}

// show sets the form to what a site has.
func (f *switchesForm) show(s site.Site) {
	f.Groups = []radioGroup{
		{Name: "create", Label: "When the IdP sends Create", Choices: []choice{
			{Value: "refuse", Text: "Refuse, and say how to fix it", Checked: !s.Creates, Help: "The answer names the setting to change in the identity provider. Accounts are made at the first sign-in."},
			{Value: "create", Text: "Create the account", Checked: s.Creates, Help: "Whoever is assigned there has an account here before they sign in."},
		}},
		{Name: "delete", Label: "When the IdP sends Delete", Choices: []choice{
			{Value: string(site.RefuseDelete), Text: "Refuse", Checked: s.Deletes == site.RefuseDelete, Help: "Nothing happens here; the answer says that deletion is off. Deactivating still works."},
			{Value: string(site.DeactivateOnDelete), Text: "Deactivate", Checked: s.Deletes == site.DeactivateOnDelete, Help: "The person is cut off at once and every session ends. The account stays and can be reactivated."},
			{Value: string(site.DeleteForGood), Text: "Delete (cannot be undone)", Checked: s.Deletes == site.DeleteForGood, Help: "The account is gone with its role and its memberships. Entra ID sends it 30 days after a user was deleted there, or when you remove one for good."},
		}},
	}
	f.Ticks = []choice{
		{Value: "groups", Text: "Take groups", Checked: s.Groups, Help: "Groups and who is in them are kept here. While it is off, the list of groups is empty, writing one is refused, and what is stored stays."},
		{Value: "revive", Text: "Revive on Create", Checked: s.Revives, Help: "A create of somebody whom the identity provider deactivated gives them their account back, with its role and groups, instead of being refused. Never whom an administrator deactivated by hand. Counts where accounts are created, and not in strict mode."},
		{Value: "strict", Text: "Strict mode", Checked: s.Strict, Help: "Refuses what the RFCs refuse. Leave it off for Entra ID, Okta and others: what they send beyond the RFCs is then read, and each such tolerance is in the provisioning log."},
	}
}

func (p *SitePages) toSCIM(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.redirect(w, r, v.url("admin/access/scim"), notice{})
}

func (p *SitePages) saveSwitches(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	wanted, problem := switchesFrom(r, v.Site)
	if problem == nil {
		changed, err := p.Sites.Update(r.Context(), v.Site.ID, v.actor(), func(s *site.Site) error {
			s.Creates, s.Revives, s.Deletes, s.Groups, s.Strict, s.RateLimit = wanted.Creates, wanted.Revives, wanted.Deletes, wanted.Groups, wanted.Strict, wanted.RateLimit
			return nil
		})
		if err == nil {
			n := done("Saved. On Create: " + strings.ToLower(createText(changed.Creates)) + ". On Delete: " + strings.ToLower(deleteText(changed.Deletes)) + ".")
			return p.Console.redirect(w, r, v.url("admin/access/scim"), n)
		}
		if !errors.Is(err, site.ErrInvalid) {
			return err
		}
		problem = &fieldError{For: "rate", Text: sentence(err.Error())}
	}
	sp, err := p.scimPage(r, v)
	if err != nil {
		return err
	}
	sp.Switches.show(wanted)
	sp.Switches.Rate, sp.Switches.Error = r.PostForm.Get("rate"), problem
	sp.Switches.Notice = &notice{Tone: bad, Title: "Nothing was saved.", Text: "Correct the field that is marked and save again."}
	return p.Console.view(w, r, http.StatusUnprocessableEntity, "site_scim", sp)
}

// switchesFrom is the site as the form asks for it.
func switchesFrom(r *http.Request, s site.Site) (site.Site, *fieldError) {
	s.Creates = r.PostForm.Get("create") == "create"
	s.Groups, s.Revives, s.Strict = r.PostForm.Get("groups") == "on", r.PostForm.Get("revive") == "on", r.PostForm.Get("strict") == "on"
	mode, err := site.ParseDeleteMode(r.PostForm.Get("delete"))
	if err != nil {
		mode = site.RefuseDelete // a form without an answer asks for the least
	}
	s.Deletes = mode
	text := strings.TrimSpace(r.PostForm.Get("rate"))
	if text == "" {
		s.RateLimit = 0
		return s, nil
	}
	rate, err := strconv.Atoi(text)
	if err != nil || rate != 0 && (rate < site.MinRateLimit || rate > site.MaxRateLimit) {
		return s, &fieldError{For: "rate", Text: "Write a whole number from " + strconv.Itoa(site.MinRateLimit) + " to " + strconv.Itoa(site.MaxRateLimit) + ", or leave it empty for no limit."}
	}
	s.RateLimit = rate
	return s, nil
}

func createText(creates bool) string {
	if creates {
		return "Creates the account"
	}
	return "Refused"
}

func deleteText(m site.DeleteMode) string {
	switch m {
	case site.DeactivateOnDelete:
		return "Deactivates the account"
	case site.DeleteForGood:
		return "Deletes the account for good"
	}
	return "Refused"
}

// targetActions is the guide's step on Target Object Actions, as this site's switches have it.
func targetActions(s site.Site) template.HTML {
	deletes := s.Deletes != site.RefuseDelete
	switch {
	case s.Creates && deletes:
		return `This site takes them all: leave <em>Create</em>, <em>Update</em> and <em>Delete</em> ticked under Target Object Actions.` + deleteNote(s)
	case s.Creates:
		return `Leave <em>Create</em> and <em>Update</em> ticked under Target Object Actions and untick <em>Delete</em>: this site refuses it.`
	case deletes:
		return `To prevent error messages untick <em>Create</em> under Target Object Actions: accounts are made at the first sign-in. Leave <em>Update</em> and <em>Delete</em> ticked.` + deleteNote(s)
	}
	return `To prevent error messages set Target Object Actions to just <em>Update</em>. This site does not take Create or Delete over SCIM: accounts are made at the first sign-in.`
}

func deleteNote(s site.Site) template.HTML {
	if s.Deletes == site.DeactivateOnDelete {
		return ` A delete deactivates the account here.`
	}
	return ` A delete removes the account here for good.`
}
