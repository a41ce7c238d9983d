package directory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-scim/rollcall/internal/visible"
	"github.com/rollcall-scim/rollcall/scim"
)

// knownUser holds the values that identify a user. An import keeps a knownUser for every user of
// the directory in memory.
type knownUser struct {
	objectID    string
	upn         string
	foldedUPN   string // upn in the form in which userPrincipalNames are compared
	displayName string
	employeeID  string
	employeeKey string    // employeeID in the form in which employeeIds are compared
	deleted     time.Time // when the user was soft-deleted; zero if it is not deleted
}

func (p *knownUser) isDeleted() bool { return !p.deleted.IsZero() }

func (p *knownUser) toPerson() Person {
	return Person{ObjectID: p.objectID, UserPrincipalName: p.upn, DisplayName: p.displayName}
}

// employeeKey returns an employeeId in the form in which employeeIds are compared: folded and
// without surrounding spaces.
func employeeKey(text string) string { return scim.Fold(strings.TrimSpace(text)) }

// looseEmployeeKey returns an employeeKey without leading zeros, spaces and invisible characters.
// It finds employeeIds that a spreadsheet has changed, because spreadsheets remove leading zeros.
func looseEmployeeKey(key string) string {
	key = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || visible.IsInvisible(r) {
			return -1
		}
		return r
	}, key)
	if strings.Trim(key, "0123456789") == "" {
		return "#" + strings.TrimLeft(key, "0")
	}
	return key
}

// userRegister holds every user of a directory, with maps for finding users by each value that
// identifies them.
type userRegister struct {
	allUsers           []*knownUser            // the users that are not deleted, sorted by display name
	byID               map[string]*knownUser   // all users by object id, including deleted users
	byUPN              map[string]*knownUser   // the users that are not deleted, by folded userPrincipalName
	deletedByUPN       map[string][]*knownUser // the deleted users by folded userPrincipalName; the user that was deleted last comes first
	byEmployeeKey      map[string][]*knownUser // all users by employeeKey, including deleted users
	byLooseEmployeeKey map[string][]*knownUser // all users by looseEmployeeKey, including deleted users
}

// readRegister reads all users of the directory, including deleted ones.
func (h *Handle) readRegister(ctx context.Context) (*userRegister, error) {
	r := &userRegister{
		byID: map[string]*knownUser{}, byUPN: map[string]*knownUser{}, deletedByUPN: map[string][]*knownUser{},
		byEmployeeKey: map[string][]*knownUser{}, byLooseEmployeeKey: map[string][]*knownUser{},
	}
	for _, status := range []Status{NotDeleted, Deleted} {
		err := h.EachUser(ctx, UserQuery{Status: status}, func(u User) error {
			r.addUser(u)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, list := range r.deletedByUPN {
		slices.SortFunc(list, func(a, b *knownUser) int {
			return cmp.Or(b.deleted.Compare(a.deleted), strings.Compare(a.objectID, b.objectID))
		})
	}
	return r, nil
}

// addUser adds a user to all maps of the register.
func (r *userRegister) addUser(u User) {
	if r.byID[u.ObjectID] != nil {
		return // the user was soft-deleted after it was read as not deleted, so it is in the register already
	}
	p := &knownUser{objectID: u.ObjectID, upn: u.UPN(), foldedUPN: u.FoldedUPN(), displayName: u.DisplayName(), employeeID: u.Text(attrEmployeeID), deleted: u.Deleted}
	p.employeeKey = employeeKey(p.employeeID)
	r.byID[p.objectID] = p
	if p.isDeleted() {
		r.deletedByUPN[p.foldedUPN] = append(r.deletedByUPN[p.foldedUPN], p)
	} else {
		r.byUPN[p.foldedUPN] = p
		r.allUsers = append(r.allUsers, p)
	}
	if p.employeeKey != "" {
		r.byEmployeeKey[p.employeeKey] = append(r.byEmployeeKey[p.employeeKey], p)
		key := looseEmployeeKey(p.employeeKey)
		r.byLooseEmployeeKey[key] = append(r.byLooseEmployeeKey[key], p)
	}
}

// withoutUser returns a copy of a list without one user, excluded.
func withoutUser(list []*knownUser, excluded *knownUser) []*knownUser {
	return slices.DeleteFunc(slices.Clone(list), func(p *knownUser) bool { return p == excluded })
}

// notDeleted returns the users of a list that are not deleted.
func notDeleted(list []*knownUser) []*knownUser {
	return slices.DeleteFunc(slices.Clone(list), (*knownUser).isDeleted)
}
