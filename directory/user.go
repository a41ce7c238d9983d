package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// User is one user of a directory. Attributes has all values except objectId and accountEnabled,
// under Entra's names. A value is a string, or a []string if the attribute is multi-valued. The
// value of manager is an object id. An attribute without a value is absent.
type User struct {
	ObjectID       string
	AccountEnabled bool
	Attributes     map[string]any
	Deleted        time.Time // when the user was soft-deleted; zero if the user is not deleted
	Version        int64     // 1 for a new user; each change adds one
	Created        time.Time
	Modified       time.Time
}

// UPN returns the user's userPrincipalName.
func (u User) UPN() string { return u.Text(attrUPN) }

// DisplayName returns the user's displayName.
func (u User) DisplayName() string { return u.Text(attrDisplayName) }

// IsDeleted reports whether the user is soft-deleted.
func (u User) IsDeleted() bool { return !u.Deleted.IsZero() }

// Text returns the value of an attribute as one string, in the form in which files and forms show
// it.
func (u User) Text(name string) string {
	switch name {
	case attrObjectID:
		return u.ObjectID
	case attrAccountEnabled:
		if u.AccountEnabled {
			return "true"
		}
		return "false"
	}
	switch v := u.Attributes[name].(type) {
	case string:
		return v
	case []string:
		return JoinValues(v)
	}
	return ""
}

// SortKey returns the key by which lists of users are sorted. Users with equal keys are sorted by
// object id.
func (u User) SortKey() string { return clip(scim.Fold(u.DisplayName()), 200) }

// FoldedUPN returns the userPrincipalName in the form in which such names are compared.
func (u User) FoldedUPN() string { return scim.Fold(u.UPN()) }

// SearchText returns the text that a search for users searches: the folded values of some
// attributes.
func (u User) SearchText() string {
	var b strings.Builder
	for _, name := range []string{attrDisplayName, attrUPN, "givenName", "surname", "mail", "employeeId", "department", "jobTitle"} {
		if v := u.Text(name); v != "" {
			b.WriteString(clip(scim.Fold(v), 150))
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func (u User) clone() User {
	u.Attributes = maps.Clone(u.Attributes)
	if u.Attributes == nil {
		u.Attributes = map[string]any{}
	}
	return u
}

func (u User) description() string { return fmt.Sprintf("%s (%s)", u.DisplayName(), u.UPN()) }

// Set sets an attribute to a string from a file or form. "" clears the attribute. Set returns a
// refusal for an unknown attribute, and for a value that is not of the attribute's type. The value
// of manager must be an object id.
func (u *User) Set(name, text string) error {
	a, ok := AttributeNamed(name)
	if !ok {
		return unknownAttribute(name)
	}
	text = strings.TrimSpace(text)
	switch a.Name {
	case attrObjectID:
		u.ObjectID = text
		return nil
	case attrAccountEnabled:
		on, err := parseBoolean(text)
		u.AccountEnabled = on
		return err
	}
	if u.Attributes == nil {
		u.Attributes = map[string]any{}
	}
	if text == "" {
		delete(u.Attributes, a.Name)
		return nil
	}
	if a.MultiValued {
		u.Attributes[a.Name] = SplitValues(text)
		return nil
	}
	u.Attributes[a.Name] = text
	return nil
}

func unknownAttribute(name string) error {
	if near := Suggest(name); near != "" {
		return invalid(name, "there is no attribute %q", name).Advise("did you mean %s?", near)
	}
	return invalid(name, "there is no attribute %q; there are: %s", name, strings.Join(AttributeNames(), ", "))
}

// trueWords and falseWords are the words that a file may use for the values of accountEnabled. They
// include the words that spreadsheets write for TRUE and FALSE in other languages, and states such
// as active. docs/csv.md lists them.
var trueWords, falseWords = foldedSet(
	"true yes y 1 on active enabled activated employed",
	"wahr ja aktiv aktiviert vrai oui actif activé verdadero sí si activo activado habilitado vero sì attivo abilitato verdadeiro sim ativo",
	"waar actief sant sand sann prawda tak pravda ano tosi kyllä igaz igen doğru evet истина да",
), foldedSet(
	"false no n 0 off inactive disabled deactivated suspended terminated",
	"falsch nein inaktiv deaktiviert faux non inactif désactivé falso inactivo desactivado deshabilitado inattivo disattivato disabilitato não nao inativo",
	"onwaar nee inactief falskt falsk usann nej nei fałsz nie nepravda ne epätosi ei hamis nem yanlış yanliş hayır hayir ложь нет",
)

// foldedSet returns the set of the words in the lists, case-folded.
func foldedSet(lists ...string) map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(strings.Join(lists, " ")) {
		words[scim.Fold(word)] = true
	}
	return words
}

func parseBoolean(text string) (bool, error) {
	switch word := scim.Fold(strings.TrimSpace(text)); {
	case trueWords[word]:
		return true, nil
	case falseWords[word]:
		return false, nil
	}
	return false, invalid(attrAccountEnabled, "accountEnabled is true or false, not %q", text)
}

// SplitValues splits a string at semicolons into the values of a multi-valued attribute.
func SplitValues(text string) []string {
	var values []string
	for v := range strings.SplitSeq(text, ";") {
		if v = strings.TrimSpace(v); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// JoinValues is the reverse of SplitValues.
func JoinValues(values []string) string { return strings.Join(values, ";") }

// normaliseUser returns u in the form in which it is stored. It returns a refusal if u breaks a
// rule.
func normaliseUser(u User) (User, error) {
	out := u
	out.ObjectID = strings.ToLower(strings.TrimSpace(u.ObjectID))
	if out.ObjectID != "" && !isGUID(out.ObjectID) {
		return User{}, invalid(attrObjectID, "objectId is a GUID such as 3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8, not %q", u.ObjectID)
	}
	out.Attributes = make(map[string]any, len(u.Attributes)+1)
	for name, value := range u.Attributes {
		if err := putValue(out.Attributes, name, value); err != nil {
			return User{}, err
		}
	}
	if err := checkUPN(out.UPN()); err != nil {
		return User{}, err
	}
	if manager := out.Text(attrManager); manager != "" {
		out.Attributes[attrManager] = strings.ToLower(manager)
		if !isGUID(strings.ToLower(manager)) {
			return User{}, invalid(attrManager, "manager is the object id of another user, not %q", manager)
		}
	}
	// Entra requires a displayName. If a user has none, make it from the user's other names.
	if out.DisplayName() == "" {
		name := strings.TrimSpace(out.Text("givenName") + " " + out.Text("surname"))
		if name == "" {
			name, _, _ = strings.Cut(out.UPN(), "@")
		}
		out.Attributes[attrDisplayName] = name
	}
	return out, nil
}

// putValue checks one value and puts it into a map of attributes, under the attribute's name in
// Entra's spelling.
func putValue(into map[string]any, name string, value any) error {
	a, ok := AttributeNamed(name)
	if !ok || a.Name == attrObjectID || a.Name == attrAccountEnabled {
		return unknownAttribute(name)
	}
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		if a.MultiValued {
			return putValue(into, name, []string{v})
		}
		v = strings.TrimSpace(v)
		if err := checkText(a.Name, v); err != nil {
			return err
		}
		if v != "" {
			into[a.Name] = v
		}
		return nil
	case []string:
		if !a.MultiValued {
			return invalid(a.Name, "%s has one value, not a list", a.Name)
		}
		return putList(into, a.Name, v)
	}
	return invalid(a.Name, "%s is a string, not %T", a.Name, value)
}

// putList checks the values of a multi-valued attribute, and puts them into a map without
// duplicates.
func putList(into map[string]any, name string, values []string) error {
	var kept []string
	for _, v := range values {
		v = strings.TrimSpace(v)
		if err := checkText(name, v); err != nil {
			return err
		}
		if strings.Contains(v, ";") {
			return invalid(name, "a value of %s cannot contain a semicolon: %q", name, v)
		}
		if v != "" && !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	if len(kept) > 250 {
		return invalid(name, "%s has %d values; 250 are allowed", name, len(kept))
	}
	if kept != nil {
		into[name] = kept
	}
	return nil
}

// checkText returns an error if an attribute cannot have the value v.
func checkText(name, v string) error {
	if !utf8.ValidString(v) {
		return invalid(name, "%s is not valid UTF-8 text", name).Advise("save the file as UTF-8")
	}
	if utf8.RuneCountInString(v) > 1024 {
		return invalid(name, "%s has %d characters; 1024 are allowed", name, utf8.RuneCountInString(v))
	}
	for _, r := range v {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return invalid(name, "%s contains a control character (U+%04X)", name, r).Advise("remove it")
		}
	}
	return nil
}

func checkUPN(upn string) error {
	if upn == "" {
		return invalid(attrUPN, "userPrincipalName is empty; every user has one, such as ada@contoso.example")
	}
	alias, domain, ok := strings.Cut(upn, "@")
	if !ok || alias == "" || domain == "" || strings.ContainsAny(upn, " \t\r\n") {
		return invalid(attrUPN, "userPrincipalName has the form name@domain without spaces, unlike %q", upn)
	}
	if len(upn) > 300 {
		return invalid(attrUPN, "userPrincipalName has %d bytes; 300 are allowed", len(upn))
	}
	return nil
}

func isGUID(s string) bool { return guidPattern.MatchString(s) }

var guidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// clip cuts a string to at most n bytes without splitting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// changedNames returns the names of the attributes whose values changed, in the order of
// Attributes.
func changedNames(before, after User) []string {
	var names []string
	for _, a := range attributes {
		if a.Name != attrObjectID && before.Text(a.Name) != after.Text(a.Name) {
			names = append(names, a.Name)
		}
	}
	return names
}

// changedValues returns the old and new value of each attribute that changed, for the audit trail.
func changedValues(before, after User) []event.Change {
	var changes []event.Change
	value := func(u User, name string) any {
		if text := u.Text(name); text != "" && u.ObjectID != "" {
			return text
		}
		return nil
	}
	for _, name := range changedNames(before, after) {
		changes = append(changes, event.Changed(name, value(before, name), value(after, name)))
	}
	return changes
}

// User returns the user with an object id, even if it is soft-deleted. It returns refusal.NotFound
// if there is none.
func (h *Handle) User(ctx context.Context, objectID string) (User, error) {
	id := strings.ToLower(objectID)
	if !isGUID(id) {
		return User{}, h.userNotFound(refusal.NotFound, objectID)
	}
	u, err := h.store.User(ctx, h.Directory.ID, id)
	return u, h.userNotFound(err, objectID)
}

// UserByUPN returns the user that is not deleted and has this userPrincipalName, in any case. It
// returns refusal.NotFound if there is none.
func (h *Handle) UserByUPN(ctx context.Context, upn string) (User, error) {
	upn = strings.TrimSpace(upn)
	if !isStorable(upn) {
		return User{}, h.userNotFound(refusal.NotFound, upn)
	}
	u, err := h.store.UserByUPN(ctx, h.Directory.ID, scim.Fold(upn))
	return u, h.userNotFound(err, upn)
}

// isStorable reports whether a database can store a string. Not every string from a URL or a form
// can be stored, because clients can send any bytes.
func isStorable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

func (h *Handle) userNotFound(err error, name string) error {
	if errors.Is(err, refusal.NotFound) {
		return notFound("there is no user %q in directory %s", name, h.Directory.Name)
	}
	return err
}

// Status is the status of the users that a query selects: enabled, disabled or deleted.
type Status string

const (
	NotDeleted Status = "" // users that are enabled or disabled
	Enabled    Status = "enabled"
	Disabled   Status = "disabled"
	Deleted    Status = "deleted"
)

// Cursor marks a place in a sorted list of users, groups or members: the next page begins after it.
// The zero value is the beginning of the list.
type Cursor struct{ Key, ObjectID string }

// String returns the cursor as text for a URL, which ParseCursor reads.
func (c Cursor) String() string {
	if c == (Cursor{}) {
		return ""
	}
	return c.ObjectID + "~" + c.Key
}

// ParseCursor reads the result of Cursor.String. It returns a refusal for any other text.
func ParseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	id, key, ok := strings.Cut(text, "~")
	if !ok || !isGUID(id) || !isStorable(key) {
		return Cursor{}, invalid("after", "the page's address is damaged").Advise("begin with the first page")
	}
	return Cursor{Key: key, ObjectID: id}, nil
}

// UserQuery selects users, sorted by display name.
type UserQuery struct {
	Search        string // words that must all occur in a name, the mail address, the employee id, the department or the job title
	Status        Status
	AssignedTo    string // id of an application: select only users that are assigned directly to it
	NotAssignedTo string // id of an application: select only users that are not assigned directly to it
	NotMemberOf   string // object id of a group: select only users that are not direct members of it
	After         Cursor
	Limit         int // the largest number of users on the page, up to 500; zero means 50
}

// UserPage is one page of users. If More is true, there is another page, and Next is the cursor for
// it.
type UserPage struct {
	Users []User
	More  bool
	Next  Cursor
}

// Counts counts the users of a directory.
type Counts struct{ Enabled, Disabled, Deleted int }

// Users returns one page of the users that a query selects.
func (h *Handle) Users(ctx context.Context, q UserQuery) (UserPage, error) {
	q.Search = searchWords(q.Search)
	if q.Limit <= 0 {
		q.Limit = 50
	}
	limit := min(q.Limit, 500)
	q.Limit = limit + 1
	users, err := h.store.Users(ctx, h.Directory.ID, q)
	if err != nil {
		return UserPage{}, err
	}
	page := UserPage{Users: users}
	if len(users) > limit {
		page.Users, page.More = users[:limit], true
		last := users[limit-1]
		page.Next = Cursor{Key: last.SortKey(), ObjectID: last.ObjectID}
	}
	return page, nil
}

// CountFound counts the users that a query selects. It ignores the query's After and Limit.
func (h *Handle) CountFound(ctx context.Context, q UserQuery) (int, error) {
	q.Search = searchWords(q.Search)
	return h.store.CountFound(ctx, h.Directory.ID, q)
}

// searchWords returns the text of a search in the form in which stored names are searched.
func searchWords(text string) string {
	return clip(scim.Fold(strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", " "), "")), 200)
}

// EachUser calls visit with every user that a query selects. It stops at the first error.
func (h *Handle) EachUser(ctx context.Context, q UserQuery, visit func(User) error) error {
	q.Limit = 500
	for {
		page, err := h.Users(ctx, q)
		if err != nil {
			return err
		}
		for _, u := range page.Users {
			if err := visit(u); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Next
	}
}

// Counts returns how many users are enabled, disabled and deleted.
func (h *Handle) Counts(ctx context.Context) (Counts, error) {
	return h.store.CountUsers(ctx, h.Directory.ID)
}

// PutUser creates a user, or replaces the attributes of the user with u.ObjectID. If that id is "",
// PutUser assigns a new id. PutUser returns the stored user, and whether anything changed. It
// returns refusal.Stale if u.Version is neither zero nor the stored version.
func (h *Handle) PutUser(ctx context.Context, u User, actor string) (User, bool, error) {
	u, err := normaliseUser(u)
	if err != nil {
		return User{}, false, err
	}
	var after User
	var did bool
	err = h.update(ctx, func(tx Tx) error {
		after, did, err = h.putUser(ctx, tx, u, actor)
		return err
	})
	return after, did, err
}

// update calls fn in a transaction of the directory.
func (h *Handle) update(ctx context.Context, fn func(tx Tx) error) error {
	err := h.store.Update(ctx, h.Directory.ID, fn)
	if errors.Is(err, refusal.NotFound) && !hasMessage(err) {
		return notFound("directory %s is gone", h.Directory.Name)
	}
	return err
}

// putUser creates a user, or replaces the user with the same object id. The bool reports whether
// anything changed.
func (h *Handle) putUser(ctx context.Context, tx Tx, u User, actor string) (User, bool, error) {
	before, err := User{}, error(refusal.NotFound)
	if u.ObjectID != "" {
		before, err = tx.User(ctx, u.ObjectID)
	}
	if errors.Is(err, refusal.NotFound) {
		return h.createUser(ctx, tx, u, actor)
	}
	if err != nil {
		return User{}, false, err
	}
	return h.replaceUser(ctx, tx, before, u, actor)
}

// createUser creates a user. A user without an object id gets a new one.
func (h *Handle) createUser(ctx context.Context, tx Tx, u User, actor string) (User, bool, error) {
	if u.Version != 0 {
		return User{}, false, h.userNotFound(refusal.NotFound, u.ObjectID)
	}
	if err := h.checkID(ctx, tx, u.ObjectID); err != nil {
		return User{}, false, err
	}
	if u.ObjectID == "" {
		u.ObjectID = strings.ToLower(h.newID())
	}
	if err := checkVisible(User{}, u); err != nil {
		return User{}, false, err
	}
	if err := h.checkAgainstOthers(ctx, tx, User{}, u); err != nil {
		return User{}, false, err
	}
	now := h.nowToMicrosecond()
	u.Version, u.Created, u.Modified, u.Deleted = 1, now, now, time.Time{}
	if err := tx.PutUser(ctx, u); err != nil {
		return User{}, false, err
	}
	return u, true, h.appendUserEvent(ctx, tx, event.UserCreated, u, actor, "was created", nil, changedValues(User{}, u)...)
}

// replaceUser replaces the user before with u. The bool reports whether anything changed.
func (h *Handle) replaceUser(ctx context.Context, tx Tx, before, u User, actor string) (User, bool, error) {
	if before.IsDeleted() {
		return before, false, conflict(attrObjectID, "%s is deleted", before.description()).Advise("restore the user first")
	}
	if u.Version != 0 && u.Version != before.Version {
		return before, false, refusal.New(refusal.Stale, "", "%s was changed by somebody else meanwhile", before.description()).Advise("look at the new values and save again")
	}
	names := changedNames(before, u)
	if len(names) == 0 {
		return before, false, nil
	}
	if err := checkVisible(before, u); err != nil {
		return before, false, err
	}
	if err := h.checkAgainstOthers(ctx, tx, before, u); err != nil {
		return before, false, err
	}
	u.Created, u.Deleted = before.Created, before.Deleted
	name, text := event.UserUpdated, "was updated"
	if u.AccountEnabled != before.AccountEnabled {
		name, text = event.UserDisabled, "was disabled"
		if u.AccountEnabled {
			name, text = event.UserEnabled, "was enabled"
		}
	}
	u, err := h.saveUser(ctx, tx, u, before.Version, name, actor, text, names, changedValues(before, u)...)
	return u, true, err
}

// checkAgainstOthers checks the rules about other users: no other user may have the same
// userPrincipalName, and the manager must exist and be another user.
func (h *Handle) checkAgainstOthers(ctx context.Context, tx Tx, before, u User) error {
	if u.FoldedUPN() != before.FoldedUPN() {
		if err := checkUPNFree(ctx, tx, u); err != nil {
			return err
		}
	}
	manager := u.Text(attrManager)
	if manager == "" || manager == before.Text(attrManager) {
		return nil
	}
	if manager == u.ObjectID {
		return invalid(attrManager, "%s cannot be their own manager", u.description())
	}
	_, err := tx.User(ctx, manager)
	if errors.Is(err, refusal.NotFound) {
		return invalid(attrManager, "the manager %s is not a user of directory %s", manager, h.Directory.Name)
	}
	return err
}

// checkUPNFree returns an error if another user that is not deleted has the userPrincipalName of u.
func checkUPNFree(ctx context.Context, tx Tx, u User) error {
	other, err := tx.UserByUPN(ctx, u.FoldedUPN())
	if errors.Is(err, refusal.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return taken(attrUPN, "userPrincipalName %s belongs to another user, %s (objectId %s)", u.UPN(), other.DisplayName(), other.ObjectID).Advise("give one of them another name")
}

// saveUser writes a changed user and the event about the change. version is the version before the
// change.
func (h *Handle) saveUser(ctx context.Context, tx Tx, u User, version int64, name, actor, text string, attributes []string, values ...event.Change) (User, error) {
	u.Version, u.Modified = version+1, h.nowToMicrosecond()
	if err := tx.PutUser(ctx, u); err != nil {
		return u, err
	}
	return u, h.appendUserEvent(ctx, tx, name, u, actor, text, attributes, values...)
}

func (h *Handle) appendUserEvent(ctx context.Context, tx Tx, name string, u User, actor, text string, attributes []string, values ...event.Change) error {
	var data event.Data
	if attributes != nil {
		data = event.DirectoryUser{Changed: attributes}
		text += ": " + strings.Join(attributes, ", ")
	}
	return tx.AppendEvent(ctx, event.Event{
		Time: u.Modified, Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor, Subject: u.ObjectID, Text: u.description() + " " + text,
		Data: event.DataOf(data, values...),
	})
}

func (h *Handle) nowToMicrosecond() time.Time { return h.now().UTC().Truncate(time.Microsecond) }

// Enable lets a user sign in again. It does nothing if the user is enabled already. Applications
// that are provisioned enable the user's account.
func (h *Handle) Enable(ctx context.Context, objectID, actor string) (User, error) {
	return h.setEnabled(ctx, objectID, actor, true)
}

// Disable blocks a user's sign-in. It does nothing if the user is disabled already. Applications
// that are provisioned disable the user's account.
func (h *Handle) Disable(ctx context.Context, objectID, actor string) (User, error) {
	return h.setEnabled(ctx, objectID, actor, false)
}

func (h *Handle) setEnabled(ctx context.Context, objectID, actor string, on bool) (User, error) {
	return h.changeUser(ctx, objectID, func(tx Tx, u User) (User, error) {
		if u.AccountEnabled == on && !u.IsDeleted() {
			return u, nil
		}
		after := u.clone()
		after.AccountEnabled = on
		after, _, err := h.replaceUser(ctx, tx, u, after, actor)
		return after, err
	})
}

// SoftDelete deletes a user; Restore can undo this. As in Entra, another user can take the
// userPrincipalName of a deleted user.
func (h *Handle) SoftDelete(ctx context.Context, objectID, actor string) (User, error) {
	return h.changeUser(ctx, objectID, func(tx Tx, u User) (User, error) { return h.softDelete(ctx, tx, u, actor) })
}

func (h *Handle) softDelete(ctx context.Context, tx Tx, u User, actor string) (User, error) {
	if u.IsDeleted() {
		return u, nil
	}
	u.Deleted = h.nowToMicrosecond()
	return h.saveUser(ctx, tx, u, u.Version, event.UserDeleted, actor, "was deleted (can be restored)", nil, event.Changed("deleted", nil, true))
}

// Restore undoes SoftDelete. The user still has its assignments. Restore returns refusal.Taken if
// another user has the userPrincipalName now.
func (h *Handle) Restore(ctx context.Context, objectID, actor string) (User, error) {
	return h.changeUser(ctx, objectID, func(tx Tx, u User) (User, error) { return h.restore(ctx, tx, u, actor) })
}

func (h *Handle) restore(ctx context.Context, tx Tx, u User, actor string) (User, error) {
	if !u.IsDeleted() {
		return u, nil
	}
	if err := checkUPNFree(ctx, tx, u); err != nil {
		return u, err
	}
	u.Deleted = time.Time{}
	return h.saveUser(ctx, tx, u, u.Version, event.UserRestored, actor, "was restored", nil, event.Changed("deleted", true, nil))
}

// Purge removes a soft-deleted user permanently, with its assignments and its memberships. Users
// whose manager was this user have no manager afterwards.
func (h *Handle) Purge(ctx context.Context, objectID, actor string) error {
	_, err := h.changeUser(ctx, objectID, func(tx Tx, u User) (User, error) {
		if !u.IsDeleted() {
			return u, conflict("", "%s is not deleted", u.description()).Advise("delete the user first, then permanently")
		}
		reports, err := tx.DirectReports(ctx, u.ObjectID)
		if err != nil {
			return u, err
		}
		for _, r := range reports {
			before := r
			r = r.clone()
			delete(r.Attributes, attrManager)
			if _, err := h.saveUser(ctx, tx, r, r.Version, event.UserUpdated, actor, "was updated", []string{attrManager}, changedValues(before, r)...); err != nil {
				return u, err
			}
		}
		if err := h.leaveGroups(ctx, tx, memberName{UserKind, u.ObjectID, u.description()}, actor); err != nil {
			return u, err
		}
		if err := tx.RemoveUser(ctx, u.ObjectID); err != nil {
			return u, err
		}
		u.Modified = h.nowToMicrosecond()
		return u, h.appendUserEvent(ctx, tx, event.UserPurged, u, actor, "was deleted permanently", nil)
	})
	return err
}

// changeUser reads a user and calls fn with it, in one transaction. It returns what fn returns.
func (h *Handle) changeUser(ctx context.Context, objectID string, fn func(tx Tx, u User) (User, error)) (User, error) {
	var after User
	err := h.update(ctx, func(tx Tx) error {
		u, err := tx.User(ctx, strings.ToLower(objectID))
		if err != nil {
			return h.userNotFound(err, objectID)
		}
		after, err = fn(tx, u)
		return err
	})
	return after, err
}

// History returns up to limit events about a user, a group or an application before a position, the
// newest first. If objectID is "", it returns the events of the whole directory.
func (h *Handle) History(ctx context.Context, objectID string, before event.Position, limit int) ([]event.Event, error) {
	return h.store.History(ctx, h.Directory.ID, strings.ToLower(objectID), before, limit)
}

// AppendEvents appends events to the directory's audit trail, without any other change.
func (h *Handle) AppendEvents(ctx context.Context, events ...event.Event) error {
	return h.update(ctx, func(tx Tx) error {
		for _, e := range events {
			if err := tx.AppendEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
}
