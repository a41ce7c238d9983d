package directory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/near"
	"github.com/rollcall-scim/rollcall/refusal"
)

// ID is the id of a directory, which never changes. Pages and commands show the name of the
// directory, which can change.
type ID string

// Directory is one company's directory of users, groups and applications.
type Directory struct {
	ID      ID
	Name    string
	Created time.Time
	// DefaultDomain is the domain that the function DefaultDomain() in expressions returns, such as
	// "contoso.com". It is "" if no domain is set.
	DefaultDomain string
}

// Directories creates and finds directories. All fields are required; NewID returns a random
// (version 4) UUID.
type Directories struct {
	Store Store
	Now   func() time.Time
	NewID func() string
}

// Handle is an open directory. Callers reach the directory's users and applications only through
// its Handle.
type Handle struct {
	Directory Directory
	store     Store
	now       func() time.Time
	newID     func() string
}

// Open returns the handle of a directory.
func (ds *Directories) Open(d Directory) *Handle {
	return &Handle{Directory: d, store: ds.Store, now: ds.Now, newID: ds.NewID}
}

// OpenNamed opens the directory with a name. Its errors are those of ByName.
func (ds *Directories) OpenNamed(ctx context.Context, name string) (*Handle, error) {
	d, err := ds.ByName(ctx, name)
	if err != nil {
		return nil, err
	}
	return ds.Open(d), nil
}

// OpenByID opens the directory with an id. It returns refusal.NotFound if there is none.
func (ds *Directories) OpenByID(ctx context.Context, id ID) (*Handle, error) {
	d, err := ds.Store.Directory(ctx, id)
	if errors.Is(err, refusal.NotFound) {
		return nil, notFound("there is no directory with the id %s", id)
	}
	if err != nil {
		return nil, err
	}
	return ds.Open(d), nil
}

// ByName returns the directory with a name. If there is no such directory, it returns
// refusal.NotFound and the message suggests existing names.
func (ds *Directories) ByName(ctx context.Context, name string) (Directory, error) {
	d, err := Directory{}, error(refusal.NotFound)
	if validName.MatchString(name) { // skip the search for an invalid name, because no directory can have it
		d, err = ds.Store.DirectoryByName(ctx, name)
	}
	if !errors.Is(err, refusal.NotFound) {
		return d, err
	}
	all, err := ds.Store.Directories(ctx)
	if err != nil {
		return Directory{}, err
	}
	if len(all) == 0 {
		return Directory{}, ErrNoDirectory.Because("there is no directory %q, nor any other", name).Advise("make one first").WithData(name)
	}
	names := make([]string, 0, len(all))
	for _, d := range all {
		names = append(names, d.Name)
	}
	return Directory{}, notFound("there is no directory %q", name).Advise("%s", suggestName(name, names))
}

// List returns all directories, sorted by name.
func (ds *Directories) List(ctx context.Context) ([]Directory, error) {
	return ds.Store.Directories(ctx)
}

// Create creates an empty directory. It returns refusal.Taken if another directory has the name.
func (ds *Directories) Create(ctx context.Context, name, actor string) (Directory, error) {
	if err := checkName(name); err != nil {
		return Directory{}, err
	}
	d := Directory{ID: ID(ds.NewID()), Name: name, Created: ds.Now().UTC().Truncate(time.Microsecond)}
	err := ds.Store.CreateDirectory(ctx, d, event.Event{
		Time: d.Created, Scope: event.Directory(string(d.ID)), Name: event.DirectoryCreated, Actor: actor, Subject: string(d.ID),
		Text: fmt.Sprintf("Directory %s was created", name),
	})
	if errors.Is(err, refusal.Taken) {
		return Directory{}, taken("name", "there is already a directory %q", name).Advise("choose another name")
	}
	return d, err
}

// Rename gives a directory another name. It returns refusal.Taken if another directory has the
// name. Users, applications and links stay the same; only the URLs of the directory's pages change.
func (ds *Directories) Rename(ctx context.Context, d Directory, name, actor string) (Directory, error) {
	if err := checkName(name); err != nil {
		return Directory{}, err
	}
	if name == d.Name {
		return d, nil
	}
	err := ds.Store.RenameDirectory(ctx, d.ID, name, event.Event{
		Time: ds.Now(), Scope: event.Directory(string(d.ID)), Name: event.DirectoryRenamed, Actor: actor, Subject: string(d.ID),
		Text: fmt.Sprintf("Directory %s was renamed to %s", d.Name, name),
		Data: event.DataOf(nil, event.Changed("name", d.Name, name)),
	})
	if errors.Is(err, refusal.Taken) {
		return Directory{}, taken("name", "there is already a directory %q", name).Advise("choose another name")
	}
	if errors.Is(err, refusal.NotFound) {
		return Directory{}, notFound("directory %s is gone", d.Name)
	}
	d.Name = name
	return d, err
}

// NormalDomain returns a domain in the form in which it is stored: in lower case, without
// surrounding spaces. It accepts "", which means no domain. It returns a refusal if the string is
// not a domain.
func NormalDomain(domain string) (string, error) {
	domain = strings.ToLower(strings.TrimSpace(domain))
	if domain != "" && (len(domain) > maxDomainBytes || !validDomain.MatchString(domain)) {
		return "", invalid("default domain", "%q is not a domain", domain).Advise("write it without @ and without a protocol, as contoso.com")
	}
	return domain, nil
}

// SetDefaultDomain sets the domain that the function DefaultDomain() in expressions returns. ""
// removes the domain. If the mapping of an application uses the domain, the application's next
// cycle evaluates all users again.
func (ds *Directories) SetDefaultDomain(ctx context.Context, d Directory, domain, actor string) (Directory, error) {
	domain, err := NormalDomain(domain)
	if err != nil {
		return Directory{}, err
	}
	if domain == d.DefaultDomain {
		return d, nil
	}
	words := fmt.Sprintf("The default domain of directory %s is %s now", d.Name, domain)
	if domain == "" {
		words = fmt.Sprintf("Directory %s has no default domain any more", d.Name)
	}
	err = ds.Store.SetDefaultDomain(ctx, d.ID, domain, event.Event{
		Time: ds.Now(), Scope: event.Directory(string(d.ID)), Name: event.DirectoryChanged, Actor: actor, Subject: string(d.ID), Text: words,
		Data: event.DataOf(nil, event.Changed("default domain", d.DefaultDomain, domain)),
	})
	if errors.Is(err, refusal.NotFound) {
		return Directory{}, notFound("directory %s is gone", d.Name)
	}
	d.DefaultDomain = domain
	return d, err
}

// maxDomainBytes is the length of the longest domain name that DNS allows.
const maxDomainBytes = 253

var validDomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// Delete removes a directory with its users, its groups, its applications and their provisioning,
// and returns how many there were. It does not change the accounts at the applications.
func (ds *Directories) Delete(ctx context.Context, d Directory, actor string) (Contents, error) {
	var gone Contents
	err := ds.Store.DeleteDirectory(ctx, d.ID, func(c Contents) event.Event {
		gone = c
		return event.Event{
			Time: ds.Now(), Scope: event.Installation(), Name: event.DirectoryDeleted, Actor: actor, Subject: string(d.ID),
			Text: fmt.Sprintf("Directory %s was deleted (users: %d; groups: %d; applications: %d; linked accounts, which stay as they are: %d)", d.Name, c.Users, c.Groups, c.Applications, c.Linked),
		}
	})
	if errors.Is(err, refusal.NotFound) {
		return Contents{}, notFound("directory %s is gone", d.Name)
	}
	return gone, err
}

// Contents counts what the deletion of a directory or an application removes, and the linked
// accounts that it leaves. A person who deletes must confirm these numbers.
type Contents struct {
	Users        int // users, including soft-deleted users; 0 for an application
	Groups       int // groups, including soft-deleted groups; 0 for an application
	Applications int // applications; 0 for an application
	Assigned     int // direct assignments, including those of soft-deleted users and groups
	Linked       int // accounts at applications that provisioning has found or created; the deletion leaves them unchanged
}

// Contents counts what Directories.Delete would remove.
func (h *Handle) Contents(ctx context.Context) (Contents, error) {
	return h.store.Contents(ctx, h.Directory.ID, "")
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// checkName returns a refusal for a name that URLs or command lines would have to escape, and for a
// word that the console uses in its own URLs.
func checkName(name string) error {
	if !validName.MatchString(name) {
		return invalid("name", "a directory's name has 1 to 63 small letters, digits and hyphens, and begins with a letter or digit: %q does not", name)
	}
	if slices.Contains([]string{"assets", "new", "sign-in", "sign-out", "link", "links", "session", "account"}, name) {
		return invalid("name", "%q is a word of the console's own", name).Advise("choose another name")
	}
	return nil
}

// suggestName returns the end of an error message about an unknown name: it suggests the most
// similar of the existing names, or lists existing names if none is similar.
func suggestName(name string, names []string) string {
	if best := near.Best(name, names); best != "" && len(names) > 1 {
		return "did you mean " + best + "?"
	}
	return "there " + describeList(names)
}

// describeList returns "is a", "are a and b", "are a, b and c" or "are a, b, c and 4 more".
func describeList(names []string) string {
	const most = 5
	if len(names) == 1 {
		return "is " + names[0]
	}
	rest := ""
	if len(names) > most {
		rest = fmt.Sprintf("%d more", len(names)-most)
		names = names[:most]
	} else {
		rest = names[len(names)-1]
		names = names[:len(names)-1]
	}
	text := "are " + names[0]
	for _, n := range names[1:] {
		text += ", " + n
	}
	return text + " and " + rest
}
