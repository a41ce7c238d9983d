package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
)

// userPage is the view "directory_user": one user, or with New the form for one.
type userPage struct {
	page
	New          bool
	User         directory.User
	Deleted      bool
	Groups       []inputGroup
	Version      int64
	Error        string // a broken rule that belongs to no input
	Action       string
	Cancel       string
	Applications []appLink
	History      []eventRow
}

// inputGroup is a heading with inputs. Folded ones are shown on demand.
type inputGroup struct {
	Name   string
	Folded bool
	Inputs []userInput
}

// userInput is one attribute of the form.
type userInput struct {
	directory.Attribute
	Value    string
	Long     bool // over several lines
	Required bool
	Hint     string
	Error    *fieldError
}

// ReadOnly attributes are shown, not sent.
func (i userInput) ReadOnly() bool { return i.Name == "objectId" }

// DescribedBy names the texts that belong to the input.
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

func (p *DirectoryPages) newUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewUserForm(w, r, v, http.StatusOK, directory.User{AccountEnabled: true}, map[string]string{}, nil)
}

func (p *DirectoryPages) addUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	u := directory.User{}
	texts, err := v.fillUser(r, &u)
	if err == nil {
		u, _, err = v.PutUser(r.Context(), u, v.actor())
	}
	if wrong := fieldErrorOf(err); wrong != nil {
		return p.viewUserForm(w, r, v, http.StatusUnprocessableEntity, u, texts, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.redirect(w, r, v.userURL(u), done(u.DisplayName()+" was added."))
}

func (p *DirectoryPages) showUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	u, err := v.User(r.Context(), r.PathValue("user"))
	if err != nil {
		return err
	}
	texts := map[string]string{}
	if id := u.Text("manager"); id != "" {
		manager, err := v.User(r.Context(), id)
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return err
		}
		texts["manager"] = manager.UPN()
	}
	return p.viewUserForm(w, r, v, http.StatusOK, u, texts, nil)
}

func (p *DirectoryPages) saveUser(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	before, err := v.User(r.Context(), r.PathValue("user"))
	if err != nil {
		return err
	}
	u := directory.User{ObjectID: before.ObjectID, AccountEnabled: before.AccountEnabled}
	if u.Version, err = strconv.ParseInt(r.PostFormValue("version"), 10, 64); err != nil || u.Version < 1 {
		return &pageError{Status: http.StatusUnprocessableEntity, Title: "This was not saved", Text: "The form is incomplete. Open the user again.", Action: &action{Text: "Open the user", URL: v.userURL(before)}}
	}
	texts, err := v.fillUser(r, &u)
	changed := false
	if err == nil {
		u, changed, err = v.PutUser(r.Context(), u, v.actor())
	}
	if wrong := fieldErrorOf(err); wrong != nil {
		return p.viewUserForm(w, r, v, http.StatusUnprocessableEntity, before, texts, wrong)
	}
	if err != nil {
		return err
	}
	if !changed {
		return p.Console.redirect(w, r, v.userURL(u), notice{Tone: info, Text: "Nothing was changed: " + u.DisplayName() + " was like that already."})
	}
	return p.Console.redirect(w, r, v.userURL(u), done(u.DisplayName()+" was saved."))
}

// fillUser sets every attribute from the form; a manager's name becomes an object id. The texts are what was typed.
func (v *directoryVisit) fillUser(r *http.Request, u *directory.User) (map[string]string, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, a := range directory.Attributes() {
		texts[a.Name] = r.PostForm.Get(a.Name)
	}
	for _, a := range directory.Attributes() {
		text := texts[a.Name]
		switch a.Name {
		case "objectId":
			continue
		case "accountEnabled":
			if u.ObjectID == "" {
				u.AccountEnabled = text != ""
			}
			continue
		case "manager":
			id, err := v.managerID(r.Context(), text)
			if err != nil {
				return texts, err
			}
			text = id
		}
		if err := u.Set(a.Name, text); err != nil {
			return texts, err
		}
	}
	return texts, nil
}

func (v *directoryVisit) managerID(ctx context.Context, upn string) (string, error) {
	if upn == "" {
		return "", nil
	}
	manager, err := v.UserByUPN(ctx, upn)
	if errors.Is(err, directory.ErrNotFound) {
		return "", &directory.Error{Kind: directory.ErrInvalid, Attribute: "manager", Detail: "there is no user " + upn + "; give the user principal name of somebody in this directory, or leave it empty"}
	}
	return manager.ObjectID, err
}

func (p *DirectoryPages) viewUserForm(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, u directory.User, texts map[string]string, wrong *fieldError) error {
	pg := userPage{
		page: v.page, New: u.ObjectID == "", User: u, Deleted: u.IsDeleted(), Version: u.Version,
		Groups: inputGroups(u, texts, wrong), Action: v.url("users"), Cancel: v.url("users"),
	}
	if wrong != nil && !pg.shows(wrong) {
		pg.Error = wrong.Text
	}
	pg.Title = "New user"
	pg.Crumbs = v.crumbs(crumb{Text: "Users", URL: v.url("users")})
	if pg.New {
		pg.Lead = "Adds a person to " + v.Directory.Name + "."
		return p.Console.view(w, r, status, "directory_user", pg)
	}
	b := userBadge(u)
	pg.Title, pg.Badge, pg.Action, pg.Cancel = u.DisplayName(), &b, v.userURL(u), v.userURL(u)
	pg.StatusLine = u.UPN()
	pg.Actions = v.userActions(u)
	applications, err := v.ApplicationsOf(r.Context(), u.ObjectID)
	if err != nil {
		return err
	}
	for _, a := range applications {
		pg.Applications = append(pg.Applications, appLink{Name: a.Name, URL: v.appURL(a)})
	}
	events, err := v.History(r.Context(), u.ObjectID, event.Position{}, 20)
	if err != nil {
		return err
	}
	for _, row := range v.eventRows(events) {
		row.URL = "" // this very page
		pg.History = append(pg.History, row)
	}
	return p.Console.view(w, r, status, "directory_user", pg)
}

// shows says whether the form has the input that an error is about.
func (p *userPage) shows(wrong *fieldError) bool {
	for _, g := range p.Groups {
		for _, i := range g.Inputs {
			if i.Error == wrong {
				return true
			}
		}
	}
	return false
}

func (v *directoryVisit) userActions(u directory.User) []action {
	var list []action
	for _, c := range userChanges() {
		if c.For(u) {
			list = append(list, action{Text: c.Verb, Icon: c.Icon, URL: v.userURL(u) + "/" + c.Name, Danger: c.Danger})
		}
	}
	return list
}

func inputGroups(u directory.User, texts map[string]string, wrong *fieldError) []inputGroup {
	var groups []inputGroup
	for _, a := range directory.Attributes() {
		if a.Name == "objectId" && u.ObjectID == "" || a.Name == "accountEnabled" && u.ObjectID != "" {
			continue
		}
		in := userInput{Attribute: a, Value: u.Text(a.Name), Long: a.Name == "streetAddress", Required: a.Name == "userPrincipalName"}
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
			groups = append(groups, inputGroup{Name: a.Group, Folded: a.Group == directory.GroupExtra})
		}
		g := &groups[len(groups)-1]
		g.Inputs = append(g.Inputs, in)
		if in.Error != nil {
			g.Folded = false
		}
	}
	return groups
}
