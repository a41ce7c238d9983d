package directorypages

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// userChange describes a change of a user that needs a confirmation, such as disabling the user.
type userChange struct {
	Name        string // the last part of the change's address
	Verb        string
	Icon        string
	IsDangerous bool
	IsFinal     bool // whether the change cannot be undone, so that it needs a fresh sign-in
	AppliesTo   func(directory.User) bool
	// DirectoryEffect says what happens in the directory. ApplicationEffect says what happens at
	// each application to which users are provisioned.
	DirectoryEffect, ApplicationEffect string
	RequiredAction                     provision.FlowTypes // the Target Object Action without which the change does not reach an application
	Undo                               string              // how to undo the change
	DoneText                           string              // the notice after the change
	apply                              func(h *directory.Handle, ctx context.Context, objectID, actor string) error
}

// userChanges returns the changes of a user that have a button.
func userChanges() []userChange {
	present := func(u directory.User) bool { return !u.IsDeleted() }
	return []userChange{
		{
			Name: "enable", Verb: "Enable", Icon: "user-check",
			AppliesTo:       func(u directory.User) bool { return !u.IsDeleted() && !u.AccountEnabled },
			DirectoryEffect: "The account in the directory is enabled again.", ApplicationEffect: "the account is switched on again", RequiredAction: provision.FlowUpdate,
			Undo: "Disabling the user undoes it.", DoneText: "was enabled",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.Enable(ctx, id, actor)
				return err
			},
		},
		{
			Name: "disable", Verb: "Disable", Icon: "user-x",
			AppliesTo:       func(u directory.User) bool { return !u.IsDeleted() && u.AccountEnabled },
			DirectoryEffect: "The account in the directory is disabled: sign-in is blocked.", ApplicationEffect: "the account is switched off", RequiredAction: provision.FlowUpdate,
			Undo: "Enabling the user undoes it, there too.", DoneText: "was disabled",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.Disable(ctx, id, actor)
				return err
			},
		},
		{
			Name: "delete", Verb: "Delete", Icon: "trash-2", IsDangerous: true, AppliesTo: present,
			DirectoryEffect:   "The user moves to the deleted users. The user principal name becomes free for somebody else.",
			ApplicationEffect: "the account is switched off, and not deleted,", RequiredAction: provision.FlowUpdate,
			Undo: "Restoring the user undoes it, as long as nobody else got the user principal name.", DoneText: "was deleted",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.SoftDelete(ctx, id, actor)
				return err
			},
		},
		{
			Name: "restore", Verb: "Restore", Icon: "undo-2", AppliesTo: directory.User.IsDeleted,
			DirectoryEffect: "The user is in the directory again, with the same object ID and the same applications.", ApplicationEffect: "the account is switched on again, if it is enabled here", RequiredAction: provision.FlowUpdate,
			Undo: "Deleting the user undoes it.", DoneText: "was restored",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.Restore(ctx, id, actor)
				return err
			},
		},
		{
			Name: "purge", Verb: "Delete permanently", Icon: "trash-2", IsDangerous: true, IsFinal: true, AppliesTo: directory.User.IsDeleted,
			DirectoryEffect:   "The user, the assignments and the memberships are removed permanently. People who had this manager then have none.",
			ApplicationEffect: "the account is deleted", RequiredAction: provision.FlowDelete,
			Undo: "This cannot be undone.", DoneText: "was deleted permanently",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error { return h.Purge(ctx, id, actor) },
		},
		eraseChange(),
	}
}

// findUserChange finds the change and the user that the path names. fits is false if the change
// does not apply to the user, for example because someone has already made it.
func (p *Pages) findUserChange(r *http.Request, v *directoryVisit) (c userChange, u directory.User, fits bool, err error) {
	for _, c = range userChanges() {
		if c.Name == r.PathValue("change") {
			u, err = v.User(r.Context(), r.PathValue("user"))
			return c, u, err == nil && c.AppliesTo(u), err
		}
	}
	return c, u, false, console.ErrNotFound
}

func (p *Pages) askUserChange(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	c, u, fits, err := p.findUserChange(r, v)
	if err != nil {
		return err
	}
	if !fits {
		return p.redirectToUnchangedUser(w, r, v, u)
	}
	if c.IsFinal {
		if err := p.operatorGuard().requireFreshSignIn(r); err != nil {
			return err
		}
	}
	pg := console.ConfirmPage{
		Page: v.page, Consequences: []string{c.DirectoryEffect}, Undo: c.Undo, FormURL: r.URL.Path,
		Button: c.Verb + " " + u.DisplayName(), IsDangerous: c.IsDangerous || c.Name == "disable", CancelURL: v.userURL(u),
	}
	pg.Title, pg.Narrow = c.Verb+" "+u.DisplayName()+"?", true
	pg.Lead = u.UPN()
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Users", URL: v.url("users")}, console.Crumb{Text: u.DisplayName(), URL: v.userURL(u)})
	effects, err := p.describeEffects(r.Context(), v, u, c)
	if err != nil {
		return err
	}
	pg.Consequences = append(pg.Consequences, effects...)
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) changeUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	c, u, fits, err := p.findUserChange(r, v)
	if err != nil {
		return err
	}
	if !fits {
		return p.redirectToUnchangedUser(w, r, v, u)
	}
	if c.IsFinal {
		if err := p.operatorGuard().requireFreshSignIn(r); err != nil {
			return err
		}
	}
	if c.Name == eraseChange().Name {
		if _, err := p.Eraser.FromDirectory(r.Context(), v.Handle, u.ObjectID, v.actorLabel()); err != nil {
			return err
		}
		return p.Console.Redirect(w, r, v.url("users?status=deleted"), console.DoneNotice("The data of the user was erased."))
	}
	if err := c.apply(v.Handle, r.Context(), u.ObjectID, v.actorLabel()); err != nil {
		return err
	}
	target := v.userURL(u)
	if c.Name == "purge" {
		target = v.url("users?status=deleted")
	}
	return p.Console.Redirect(w, r, target, console.DoneNotice(u.DisplayName()+" "+c.DoneText+"."))
}

// changeUsers disables or enables the ticked users. If the form is not confirmed yet, it changes
// nothing and asks for confirmation. The question shows the number of users, and the effect at the
// applications.
func (p *Pages) changeUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	var c userChange
	for _, one := range userChanges() {
		if name := r.PostForm.Get("change"); one.Name == name && (name == "enable" || name == "disable") {
			c = one
		}
	}
	if c.Name == "" {
		return console.ErrNotFound
	}
	var fit []directory.User // the ticked users that the change applies to
	for _, id := range r.PostForm["user"] {
		u, err := v.User(r.Context(), id)
		if err != nil {
			return err
		}
		if c.AppliesTo(u) {
			fit = append(fit, u)
		}
	}
	switch {
	case len(r.PostForm["user"]) == 0:
		return p.renderUsers(w, r, v, http.StatusUnprocessableEntity, "Tick at least one user.")
	case len(fit) == 0:
		return p.Console.Redirect(w, r, v.url("users"), console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: none of these users can be " + strings.TrimPrefix(c.DoneText, "was ") + "."})
	case !console.ConfirmsNumber(r, len(fit)):
		return p.askToChangeUsers(w, r, v, c, fit)
	}
	for _, u := range fit {
		if err := c.apply(v.Handle, r.Context(), u.ObjectID, v.actorLabel()); err != nil {
			return err
		}
	}
	return p.Console.Redirect(w, r, v.url("users"), console.DoneNotice(console.PluralForms(len(fit), "user "+c.DoneText, "users were "+strings.TrimPrefix(c.DoneText, "was "))+"."))
}

func (p *Pages) askToChangeUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit, c userChange, users []directory.User) error {
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("users/change"), Button: c.Verb + " " + console.PluralForms(len(users), "user", "users"), IsDangerous: c.Name == "disable", CancelURL: v.url("users"), Undo: c.Undo,
		Fields: []console.HiddenField{{Name: "change", Value: c.Name}, {Name: "sure", Value: strconv.Itoa(len(users))}},
	}
	var ids []string
	at := map[string]int{} // how many of these users are assigned to each application, by the application's id
	for _, u := range users {
		ids = append(ids, u.ObjectID)
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "user", Value: u.ObjectID})
		applications, err := v.ApplicationsOf(r.Context(), u.ObjectID)
		if err != nil {
			return err
		}
		for _, a := range applications {
			at[a.ID]++
		}
	}
	names, err := v.summarizeNames(r.Context(), ids)
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = c.Verb+" "+console.PluralForms(len(users), "user", "users")+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Users", URL: v.url("users")})
	pg.Consequences = []string{names + ". " + c.DirectoryEffect}
	all, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	for _, a := range all {
		if at[a.ID] == 0 {
			continue
		}
		text, err := p.describeEffectAt(r.Context(), v.Directory.ID, a, c.ApplicationEffect, c.RequiredAction)
		if err != nil {
			return err
		}
		pg.Consequences = append(pg.Consequences, console.PluralForms(at[a.ID], "of them has ", "of them have ")+text)
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) redirectToUnchangedUser(w http.ResponseWriter, r *http.Request, v *directoryVisit, u directory.User) error {
	return p.Console.Redirect(w, r, v.userURL(u), console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: " + u.DisplayName() + " is " + statusInSentence(u) + " already."})
}

// statusInSentence returns the user's status as a word for the middle of a sentence.
func statusInSentence(u directory.User) string {
	switch {
	case u.IsDeleted():
		return "deleted"
	case u.AccountEnabled:
		return "enabled"
	}
	return "disabled"
}

// describeEffects describes what a change does at each application to which the user is assigned.
func (p *Pages) describeEffects(ctx context.Context, v *directoryVisit, u directory.User, c userChange) ([]string, error) {
	applications, err := v.ApplicationsOf(ctx, u.ObjectID)
	if err != nil {
		return nil, err
	}
	if len(applications) == 0 {
		return []string{u.DisplayName() + " is assigned to no enterprise application."}, nil
	}
	var list []string
	for _, a := range applications {
		text, err := p.describeEffectAt(ctx, v.Directory.ID, a, c.ApplicationEffect, c.RequiredAction)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

// describeEffectAt describes what a change does at one application. there says what happens to the
// account. needs is the Target Object Action without which nothing happens there.
func (p *Pages) describeEffectAt(ctx context.Context, d directory.ID, a directory.Application, there string, needs provision.FlowTypes) (string, error) {
	job, err := p.Jobs.Get(ctx, provision.Key{Directory: provision.SourceID(d), App: a.ID})
	if errors.Is(err, provision.ErrNoJob) {
		return a.Name + ": nothing happens, because provisioning is not set up.", nil
	}
	if err != nil {
		return "", err
	}
	m, err := job.Schema.UserMapping()
	if err != nil {
		return "", err
	}
	switch {
	case job.Mode != provision.Automatic:
		return a.Name + ": nothing happens, because its Provisioning Mode is Manual.", nil
	case !m.FlowTypes.Has(needs):
		word := "Update"
		if needs == provision.FlowDelete {
			word = "Delete"
		}
		return a.Name + ": nothing happens, because the target object action " + word + " is off in its mapping.", nil
	case job.Status != provision.On:
		return a.Name + ": nothing happens while Provisioning Status is Off; " + there + " once it is On.", nil
	}
	return a.Name + ": " + there + " with the next provisioning cycle, which begins within moments.", nil
}

func eraseChange() userChange {
	return userChange{
		Name: "erase", Verb: "Erase", Icon: "trash-2", IsDangerous: true, IsFinal: true, AppliesTo: directory.User.IsDeleted,
		DirectoryEffect:   "The user and the assignments are removed permanently. " + console.EraseKeepsLogs,
		ApplicationEffect: "the account is deleted", RequiredAction: provision.FlowDelete,
		Undo: console.CannotBeUndone, DoneText: "was erased",
	}
}
