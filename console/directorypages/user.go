package directorypages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
)

// userPage is the data of the view "user", which shows one user. If IsNew is true, it is the form
// for a new user.
type userPage struct {
	console.Page
	IsNew             bool
	User              directory.User
	IsDeleted         bool
	InputGroups       []inputGroup
	StartValues       []console.HiddenField // the stored values with which the form started
	HasUnsavedValues  bool                  // whether the form shows typed values that are not saved yet
	Error             string                // an error that is not about a single input
	FormURL           string
	CancelURL         string
	Applications      []assignmentLink
	OtherApplications []assignmentLink // applications to which it is not assigned, at most maxOtherApplications
	MemberOf          []groupLink
	MoreGroupsCount   int // the number of groups that MemberOf leaves out
	History           []console.EventRow
}

// inputGroup is a heading with inputs below it. A folded group hides its inputs until the operator
// opens it.
type inputGroup struct {
	Name     string
	IsFolded bool
	Inputs   []userInput
}

// userInput is the form's input for one attribute of a user.
type userInput struct {
	directory.Attribute
	Value       string
	IsMultiLine bool // whether the input has several lines
	IsRequired  bool
	Hint        string
	Error       *console.FieldError
}

// IsReadOnly reports whether the form only shows the attribute, so that it cannot be edited.
func (i userInput) IsReadOnly() bool { return i.Name == "objectId" }

// DescribedBy returns the ids of the elements that hold the input's hint and error, for the
// attribute aria-describedby.
func (i userInput) DescribedBy() string {
	text := ""
	if i.Hint != "" {
		text = i.Name + "-hint"
	}
	if i.Error != nil {
		text += " " + i.Name + "-error"
	}
	return text
}

func (p *Pages) showNewUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderUserForm(w, r, v, http.StatusOK, directory.User{AccountEnabled: true}, map[string]string{}, nil)
}

func (p *Pages) addUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	u := directory.User{}
	texts, err := v.readNewUser(r, &u)
	if err == nil {
		u, _, err = v.PutUser(r.Context(), u, v.actorLabel())
	}
	if wrong := console.AttributeError(err); wrong != nil {
		return p.renderUserForm(w, r, v, http.StatusUnprocessableEntity, u, texts, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.userURL(u), console.DoneNotice(u.DisplayName()+" was added."))
}

func (p *Pages) showUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	u, err := v.User(r.Context(), r.PathValue("user"))
	if err != nil {
		return err
	}
	texts, err := v.userValues(r.Context(), u)
	if err != nil {
		return err
	}
	return p.renderUserForm(w, r, v, http.StatusOK, u, texts, nil)
}

// userFields lists the attributes that the form edits. accountEnabled is not among them, because
// enabling and disabling have pages of their own.
func userFields() []console.EditField {
	var fields []console.EditField
	for _, a := range directory.Attributes() {
		if a.Name == "objectId" || a.Name == "accountEnabled" {
			continue
		}
		f := console.EditField{Name: a.Name, Label: a.Label}
		if a.MultiValued {
			f.ReadValue = func(form url.Values) string { return directory.JoinValues(directory.SplitValues(form.Get(a.Name))) }
		}
		fields = append(fields, f)
	}
	return fields
}

// userValues returns the values of a user's attributes as the form shows them. The form shows the
// manager by the user principal name.
func (v *directoryVisit) userValues(ctx context.Context, u directory.User) (map[string]string, error) {
	values := map[string]string{}
	for _, f := range userFields() {
		values[f.Name] = u.Text(f.Name)
	}
	if id := u.Text("manager"); id != "" {
		manager, err := v.User(ctx, id)
		if err != nil && !errors.Is(err, refusal.NotFound) {
			return nil, err
		}
		values["manager"] = manager.UPN()
	}
	return values, nil
}

// saveUser saves the values that the operator changed in the form. If someone else saves the user
// at the same moment, it reads the user again and retries, at most 5 times.
func (p *Pages) saveUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		err := p.trySaveUser(w, r, v)
		if !errors.Is(err, refusal.Stale) || attempt == 5 {
			return err
		}
	}
}

func (p *Pages) trySaveUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	before, err := v.User(r.Context(), r.PathValue("user"))
	if err != nil {
		return err
	}
	stored, err := v.userValues(r.Context(), before)
	if err != nil {
		return err
	}
	m, err := console.MergeEdit(r.PostForm, userFields(), stored)
	if err != nil {
		return err
	}
	by, err := v.findLastChange(r.Context(), before.ObjectID)
	if err != nil {
		return err
	}
	if len(m.Conflicts) > 0 {
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{Text: "Users", URL: v.url("users")}, console.Crumb{Text: before.DisplayName(), URL: v.userURL(before)})
		return p.Console.AskAboutConflicts(w, r, frame, m, v.userURL(before), v.userURL(before), by)
	}
	u := directory.User{ObjectID: before.ObjectID, AccountEnabled: before.AccountEnabled, Version: before.Version}
	changed := false
	if err = v.setUser(r.Context(), &u, m.Values); err == nil {
		u, changed, err = v.PutUser(r.Context(), u, v.actorLabel())
	}
	if errors.Is(err, refusal.Stale) {
		return err
	}
	if wrong := console.AttributeError(err); wrong != nil {
		texts := map[string]string{}
		for _, a := range directory.Attributes() {
			texts[a.Name] = r.PostForm.Get(a.Name)
		}
		return p.renderUserForm(w, r, v, http.StatusUnprocessableEntity, before, texts, wrong)
	}
	if err != nil {
		return err
	}
	n := console.DoneNotice(u.DisplayName() + " was saved.")
	if !changed {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: " + u.DisplayName() + " was like that already."}
	}
	n.Text = strings.TrimSpace(n.Text + " " + m.OthersText(by))
	return p.Console.Redirect(w, r, v.userURL(u), n)
}

// readNewUser sets all attributes of u to the values in the form for a new user. It returns the
// typed values.
func (v *directoryVisit) readNewUser(r *http.Request, u *directory.User) (map[string]string, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, a := range directory.Attributes() {
		texts[a.Name] = r.PostForm.Get(a.Name)
	}
	u.AccountEnabled = texts["accountEnabled"] != ""
	return texts, v.setUser(r.Context(), u, texts)
}

// setUser sets every attribute of u except objectId and accountEnabled. For the manager, texts
// holds a user principal name, and setUser stores the manager's object id.
func (v *directoryVisit) setUser(ctx context.Context, u *directory.User, texts map[string]string) error {
	for _, f := range userFields() {
		text := texts[f.Name]
		if f.Name == "manager" {
			id, err := v.managerID(ctx, text)
			if err != nil {
				return err
			}
			text = id
		}
		if err := u.Set(f.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// managerID returns the object id of the manager with this user principal name; "" if upn is empty.
func (v *directoryVisit) managerID(ctx context.Context, upn string) (string, error) {
	if upn == "" {
		return "", nil
	}
	manager, err := v.UserByUPN(ctx, upn)
	if errors.Is(err, refusal.NotFound) {
		return "", refusal.New(refusal.Invalid, "manager", "there is no user %s", upn).Advise("give the user principal name of a user in this directory, or leave it empty")
	}
	return manager.ObjectID, err
}

func (p *Pages) renderUserForm(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, u directory.User, texts map[string]string, wrong *console.FieldError) error {
	pg := userPage{
		Page: v.page, IsNew: u.ObjectID == "", User: u, IsDeleted: u.IsDeleted(), StartValues: console.StartValueFields(userFields(), texts), HasUnsavedValues: wrong != nil,
		InputGroups: newInputGroups(u, texts, wrong), FormURL: v.url("users"), CancelURL: v.url("users"),
	}
	if wrong != nil {
		pg.StartValues = console.RepeatStartValueFields(r.PostForm, userFields())
	}
	if wrong != nil && !pg.showsError(wrong) {
		pg.Error = wrong.Text
	}
	pg.Title = "New user"
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Users", URL: v.url("users")})
	if pg.IsNew {
		pg.Lead = "Adds a person to " + v.Directory.Name + "."
		return p.show(w, r, status, "user", pg)
	}
	b := userBadge(u)
	pg.Title, pg.Badge, pg.FormURL, pg.CancelURL = u.DisplayName(), &b, v.userURL(u), v.userURL(u)
	pg.StatusLine = u.UPN()
	pg.Actions = v.userActions(u)
	var err error
	if pg.Applications, err = v.assignmentLinks(r.Context(), u.ObjectID); err != nil {
		return err
	}
	if pg.OtherApplications, err = v.otherApplications(r.Context(), u.ObjectID, pg.Applications); err != nil {
		return err
	}
	if pg.MemberOf, pg.MoreGroupsCount, err = v.groupLinks(r.Context(), u.ObjectID); err != nil {
		return err
	}
	events, err := v.History(r.Context(), u.ObjectID, event.Position{}, 20)
	if err != nil {
		return err
	}
	for _, row := range v.eventRows(events) {
		row.URL = "" // no link, because the event is about the user on this page
		pg.History = append(pg.History, row)
	}
	return p.show(w, r, status, "user", pg)
}

// showsError reports whether one of the form's inputs shows this error.
func (p *userPage) showsError(wrong *console.FieldError) bool {
	for _, g := range p.InputGroups {
		for _, i := range g.Inputs {
			if i.Error == wrong {
				return true
			}
		}
	}
	return false
}

// userActions returns a button for each change that applies to the user.
func (v *directoryVisit) userActions(u directory.User) []console.Action {
	var list []console.Action
	for _, c := range userChanges() {
		if c.AppliesTo(u) {
			list = append(list, console.Action{Text: c.Verb, Icon: c.Icon, URL: v.userURL(u) + "/" + c.Name, IsDangerous: c.IsDangerous})
		}
	}
	return list
}

// newInputGroups returns the inputs of the form for a user, in groups. texts holds typed values,
// which replace the stored ones. wrong is shown beside its input.
func newInputGroups(u directory.User, texts map[string]string, wrong *console.FieldError) []inputGroup {
	var groups []inputGroup
	for _, a := range directory.Attributes() {
		if a.Name == "objectId" && u.ObjectID == "" || a.Name == "accountEnabled" && u.ObjectID != "" {
			continue
		}
		in := userInput{Attribute: a, Value: u.Text(a.Name), IsMultiLine: a.Name == "streetAddress", IsRequired: a.Name == "userPrincipalName"}
		if text, ok := texts[a.Name]; ok && a.Name != "objectId" {
			in.Value = text
		}
		switch {
		case a.Type == directory.Reference:
			in.Hint = "The user principal name of another user."
		case a.MultiValued:
			in.Hint = "Several are separated by semicolons."
		}
		if wrong != nil && wrong.For == a.Name {
			in.Error = wrong
		}
		if len(groups) == 0 || groups[len(groups)-1].Name != a.Group {
			groups = append(groups, inputGroup{Name: a.Group, IsFolded: a.Group == directory.GroupExtra})
		}
		g := &groups[len(groups)-1]
		g.Inputs = append(g.Inputs, in)
		if in.Error != nil {
			g.IsFolded = false
		}
	}
	return groups
}
