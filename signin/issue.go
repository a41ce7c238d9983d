package signin

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// IssueSiteLink makes a one-time link for the person with this userName, ignoring case. It returns
// ErrBlocked or ErrInactive if the person's account is blocked or deactivated. If the site requires
// single sign-on, it makes links only for administrators, who may need one if single sign-on does
// not work. For other people it then returns ErrSSORequired.
func (s *SignIns) IssueSiteLink(ctx context.Context, st site.Site, userName, actor string) (Link, error) {
	p, err := s.Rosters.Open(st).PersonByUserName(ctx, userName)
	if err != nil {
		return Link{}, err
	}
	if p.Block.InForce {
		return Link{}, ErrBlocked.Because("the account %s is blocked", p.UserName)
	}
	if !p.Active {
		return Link{}, ErrInactive.Because("the account %s is deactivated", p.UserName)
	}
	if p.Role != roster.RoleAdmin {
		required, err := s.requiresSSO(ctx, st)
		if err != nil {
			return Link{}, err
		}
		if required {
			return Link{}, ErrSSORequired
		}
	}
	return s.issueLink(ctx, st, Link{Kind: Person, UserName: p.UserName}, p.ID, actor,
		fmt.Sprintf("One-time sign-in link made for %s", p.UserName))
}

// IssueFirstAdminLink makes a one-time link for the first administrator of a site. If email is
// given, IssueFirstAdminLink creates the account now, with the address as userName. Otherwise, the
// person who opens the link enters a name and an address and becomes the administrator.
// IssueFirstAdminLink returns ErrHasAdmin if the site has an active administrator.
func (s *SignIns) IssueFirstAdminLink(ctx context.Context, st site.Site, email, actor string) (Link, error) {
	if err := s.checkNoAdmin(ctx, st); err != nil {
		return Link{}, err
	}
	if email == "" {
		return s.issueLink(ctx, st, Link{Kind: FirstAdmin}, "", actor, "One-time link made for the site's first administrator")
	}
	form, err := Form{Name: email, Email: email}.clean()
	if err != nil {
		return Link{}, err
	}
	if _, err := s.makeAdmin(ctx, st, form, roster.Change{Actor: actor, Via: roster.ViaSignIn}); err != nil {
		return Link{}, err
	}
	return s.IssueSiteLink(ctx, st, form.Email, actor)
}

// issueLink stores a new link and its event, whose text is given.
func (s *SignIns) issueLink(ctx context.Context, st site.Site, l Link, personID, actor, text string) (Link, error) {
	r := LinkRecord{Site: st.ID, Kind: l.Kind, PersonID: personID}
	l.Link, r.Record = onetime.New(s.Now(), func(secret string) string { return LinkPath(st.Name, secret) })
	if err := s.Store.AddLink(ctx, r, s.newEvent(st, event.SignInLinkCreated, actor, personID, text)); err != nil {
		return Link{}, fmt.Errorf("add sign-in link: %w", err)
	}
	return l, nil
}

// requiresSSO reports whether the site requires single sign-on.
func (s *SignIns) requiresSSO(ctx context.Context, st site.Site) (bool, error) {
	required, err := s.Store.RequiresSSO(ctx, st.ID)
	if err != nil {
		return false, fmt.Errorf("look whether single sign-on is required: %w", err)
	}
	return required, nil
}

// checkNoAdmin returns ErrHasAdmin if the site has an active administrator.
func (s *SignIns) checkNoAdmin(ctx context.Context, st site.Site) error {
	admins, _, err := s.Rosters.Open(st).People(ctx, roster.PeopleQuery{Role: roster.RoleAdmin, Status: roster.StatusActive, Limit: 1})
	if err != nil {
		return fmt.Errorf("look for administrators: %w", err)
	}
	if len(admins) > 0 {
		return ErrHasAdmin
	}
	return nil
}

// makeAdmin makes the person in the form an administrator, and creates the account if there is
// none. It refuses a person whose account is deactivated.
func (s *SignIns) makeAdmin(ctx context.Context, st site.Site, f Form, by roster.Change) (roster.Person, error) {
	r := s.Rosters.Open(st)
	// A deactivated person must not get in again with their e-mail address.
	if old, err := r.PersonByUserName(ctx, f.Email); err == nil && !old.Active {
		return roster.Person{}, refusal.New(refusal.Conflict, "email", "the account %s is deactivated", old.UserName).Advise("enter another address")
	} else if err != nil && !errors.Is(err, refusal.NotFound) {
		return roster.Person{}, err
	}
	report, err := r.Import(ctx, []roster.ImportRow{{
		UserName:    f.Email,
		DisplayName: f.Name,
		Email:       f.Email,
		Role:        roster.RoleAdmin,
	}}, by)
	if err != nil {
		return roster.Person{}, fmt.Errorf("make the first administrator: %w", err)
	}
	if len(report.Errors) > 0 {
		return roster.Person{}, report.Errors[0].Why.At("email")
	}
	return r.PersonByUserName(ctx, f.Email)
}

// newEvent returns an event of a site.
func (s *SignIns) newEvent(st site.Site, name, actor, subject, text string) event.Event {
	return event.Event{
		Time:    s.Now(),
		Scope:   event.Site(string(st.ID)),
		Name:    name,
		Actor:   actor,
		Subject: subject,
		Text:    text,
	}
}

// Form contains what the first administrator enters on the page that the one-time link opens.
type Form struct {
	Name  string // the name that other people see
	Email string // the e-mail address; it also becomes the userName
}

// clean returns the form without spaces around its fields. It returns a refusal of kind
// refusal.Invalid, about the field "name" or "email", for an empty name, a value that is too long,
// and an address that is not an e-mail address.
func (f Form) clean() (Form, error) {
	f.Name, f.Email = strings.TrimSpace(f.Name), strings.TrimSpace(f.Email)
	if f.Name == "" {
		return f, refusal.New(refusal.Invalid, "name", "enter your name")
	}
	if len(f.Name) > 200 {
		return f, refusal.New(refusal.Invalid, "name", "a name has at most 200 bytes").Advise("shorten it")
	}
	if len(f.Email) > 254 {
		return f, refusal.New(refusal.Invalid, "email", "an e-mail address has at most 254 bytes").Advise("enter another one")
	}
	a, err := mail.ParseAddress(f.Email)
	if err != nil || a.Address != f.Email {
		return f, refusal.New(refusal.Invalid, "email", "%q is not an e-mail address", f.Email).Advise("enter one like ada@example.com")
	}
	return f, nil
}
