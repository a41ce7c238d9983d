package signin

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// ErrInactive is returned when a link is asked for somebody who is deactivated.
var ErrInactive = errors.New("the account is deactivated; reactivate it first")

// ErrBlocked is returned for a link for a person that an administrator blocked.
var ErrBlocked = errors.New("the account is blocked; unblock it first")

// ErrHasAdmin is returned when a first administrator is asked for on a site that has an active one.
var ErrHasAdmin = errors.New("the site has an administrator already; use: rollcall site link SITE USERNAME")

// IssueSiteLink makes a one-time link that signs in the active person with this userName. Case does not matter.
func (s *SignIns) IssueSiteLink(ctx context.Context, st site.Site, userName, actor string) (Link, error) {
	p, err := s.Rosters.Open(st).PersonByUserName(ctx, userName)
	if err != nil {
		return Link{}, err
	}
	if p.Block.On {
		return Link{}, fmt.Errorf("%s: %w", p.UserName, ErrBlocked)
	}
	if !p.Active {
		return Link{}, fmt.Errorf("%s: %w", p.UserName, ErrInactive)
	}
	return s.issue(ctx, st, Link{Kind: Person, UserName: p.UserName}, p.ID, actor,
		fmt.Sprintf("One-time sign-in link made for %s", p.UserName))
}

// IssueFirstAdminLink makes a one-time link for the first administrator of a site. With an e-mail address it makes the
// account now, with the address as userName; without one, whoever opens the link gives a name and an address and becomes it.
// It returns ErrHasAdmin if the site has an active administrator.
func (s *SignIns) IssueFirstAdminLink(ctx context.Context, st site.Site, email, actor string) (Link, error) {
	if err := s.wantsAdmin(ctx, st); err != nil {
		return Link{}, err
	}
	if email == "" {
		return s.issue(ctx, st, Link{Kind: FirstAdmin}, "", actor, "One-time link made for the site's first administrator")
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

func (s *SignIns) issue(ctx context.Context, st site.Site, l Link, personID, actor, text string) (Link, error) {
	now := s.Now()
	l.Secret = newSecret()
	l.Path = LinkPath(st.Name, l.Secret)
	l.Expires = now.Add(LinkTTL)
	r := LinkRecord{Site: st.ID, Hash: hash(l.Secret), Kind: l.Kind, PersonID: personID, Created: now, Expires: l.Expires}
	if err := s.Store.AddLink(ctx, r, s.event(st, "sign_in.link_created", actor, personID, text)); err != nil {
		return Link{}, fmt.Errorf("add sign-in link: %w", err)
	}
	return l, nil
}

func (s *SignIns) wantsAdmin(ctx context.Context, st site.Site) error {
	admins, _, err := s.Rosters.Open(st).People(ctx, roster.PeopleQuery{Role: roster.RoleAdmin, Status: roster.StatusActive, Limit: 1})
	if err != nil {
		return fmt.Errorf("look for administrators: %w", err)
	}
	if len(admins) > 0 {
		return ErrHasAdmin
	}
	return nil
}

func (s *SignIns) makeAdmin(ctx context.Context, st site.Site, f Form, by roster.Change) (roster.Person, error) {
	r := s.Rosters.Open(st)
	// Somebody who was cut off is not let in again by their address.
	if old, err := r.PersonByUserName(ctx, f.Email); err == nil && !old.Active {
		return roster.Person{}, &FormError{Field: "email", Text: fmt.Sprintf("The account %s is deactivated; enter another address.", old.UserName)}
	} else if err != nil && !hasStatus(err, 404) {
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
		return roster.Person{}, report.Errors[0]
	}
	return r.PersonByUserName(ctx, f.Email)
}

func (s *SignIns) event(st site.Site, name, actor, subject, text string) event.Event {
	return event.Event{
		Time:    s.Now(),
		Scope:   event.Site(string(st.ID)),
		Name:    name,
		Actor:   actor,
		Subject: subject,
		Text:    text,
	}
}

// Form is what the first administrator's link asks for.
type Form struct {
	Name  string // as it is shown to others
	Email string // becomes the userName too
}

// FormError refuses a form and names the field.
type FormError struct {
	Field string // "name" or "email"
	Text  string
}

func (e *FormError) Error() string { return e.Text }

func (f Form) clean() (Form, error) {
	f.Name, f.Email = strings.TrimSpace(f.Name), strings.TrimSpace(f.Email)
	if f.Name == "" {
		return f, &FormError{Field: "name", Text: "Enter your name."}
	}
	if len(f.Name) > 200 || len(f.Email) > 254 {
		return f, &FormError{Field: "name", Text: "A name has at most 200 bytes, an e-mail address at most 254."}
	}
	a, err := mail.ParseAddress(f.Email)
	if err != nil || a.Address != f.Email {
		return f, &FormError{Field: "email", Text: fmt.Sprintf("%q is not an e-mail address; enter one like ada@example.com.", f.Email)}
	}
	return f, nil
}
