package directory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// ID identifies a directory for ever; its name is what people see.
type ID string

// Directory is one company's directory.
type Directory struct {
	ID      ID
	Name    string
	Created time.Time
}

// Directories makes and finds directories. All fields are required; NewID returns a random (version 4) UUID.
type Directories struct {
	Store Store
	Now   func() time.Time
	NewID func() string
}

// Handle is the only way to a directory's users and applications.
type Handle struct {
	Directory Directory
	store     Store
	now       func() time.Time
	newID     func() string
}

// Open gives the handle of a directory.
func (ds *Directories) Open(d Directory) *Handle {
	return &Handle{Directory: d, store: ds.Store, now: ds.Now, newID: ds.NewID}
}

// OpenNamed finds a directory by its name and opens it.
func (ds *Directories) OpenNamed(ctx context.Context, name string) (*Handle, error) {
	d, err := ds.ByName(ctx, name)
	if err != nil {
		return nil, err
	}
	return ds.Open(d), nil
}

// OpenID opens a directory by its id.
func (ds *Directories) OpenID(ctx context.Context, id ID) (*Handle, error) {
	d, err := ds.Store.Directory(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, notFound("there is no directory with the id %s", id)
	}
	if err != nil {
		return nil, err
	}
	return ds.Open(d), nil
}

// ByName finds a directory; the error names the ones there are.
func (ds *Directories) ByName(ctx context.Context, name string) (Directory, error) {
	d, err := Directory{}, ErrNotFound
	if validName.MatchString(name) { // what is no name need not be looked for
		d, err = ds.Store.DirectoryByName(ctx, name)
	}
	if !errors.Is(err, ErrNotFound) {
		return d, err
	}
	all, err := ds.Store.Directories(ctx)
	if err != nil {
		return Directory{}, err
	}
	if len(all) == 0 {
		return Directory{}, notFound("there is no directory %q, nor any other; make one with: rollcall directory create %s", name, name)
	}
	names := make([]string, 0, len(all))
	for _, d := range all {
		names = append(names, d.Name)
	}
	return Directory{}, notFound("there is no directory %q; there %s", name, listed(names))
}

// List gives all directories by name.
func (ds *Directories) List(ctx context.Context) ([]Directory, error) {
	return ds.Store.Directories(ctx)
}

// Create makes an empty directory.
func (ds *Directories) Create(ctx context.Context, name, actor string) (Directory, error) {
	if err := checkName(name); err != nil {
		return Directory{}, err
	}
	d := Directory{ID: ID(ds.NewID()), Name: name, Created: ds.Now().UTC().Truncate(time.Microsecond)}
	err := ds.Store.CreateDirectory(ctx, d, event.Event{
		Time: d.Created, Scope: event.Directory(string(d.ID)), Name: EventDirectoryCreated, Actor: actor, Subject: string(d.ID),
		Text: fmt.Sprintf("Directory %s was created", name),
	})
	if errors.Is(err, ErrConflict) {
		return Directory{}, conflict("name", "there is already a directory %q; choose another name", name)
	}
	return d, err
}

// Delete removes a directory with all its users. It is refused while the directory has enterprise applications, because people in them are
// kept in step by it.
func (ds *Directories) Delete(ctx context.Context, d Directory, actor string) error {
	return ds.Store.DeleteDirectory(ctx, d.ID, func(applications []Application) (event.Event, error) {
		if len(applications) > 0 {
			names := make([]string, 0, len(applications))
			for _, a := range applications {
				names = append(names, a.Name)
			}
			return event.Event{}, conflict("", "directory %q still has applications; there %s", d.Name, listed(names))
		}
		return event.Event{
			Time: ds.Now(), Scope: event.Installation(), Name: EventDirectoryDeleted, Actor: actor, Subject: string(d.ID),
			Text: fmt.Sprintf("Directory %s was deleted", d.Name),
		}, nil
	})
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// checkName refuses what cannot stand in a URL or on a command line as it is, and words that the console uses itself.
func checkName(name string) error {
	if !validName.MatchString(name) {
		return invalid("name", "a directory's name has 1 to 63 small letters, digits and hyphens, and begins with a letter or digit: %q does not", name)
	}
	if slices.Contains([]string{"assets", "new", "sign-in", "sign-out", "link", "links", "session", "account"}, name) {
		return invalid("name", "%q is a word of the console's own; choose another name", name)
	}
	return nil
}

// listed is "is a", "are a and b", "are a, b and c" or "are a, b, c and 4 more".
func listed(names []string) string {
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
