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

// person holds the values that identify a user. An import holds one for every user of the
// directory.
type person struct {
	objectID    string
	upn         string
	name        string // folded userPrincipalName
	displayName string
	employeeID  string
	employeeKey string // the employeeID in the form in which employeeIds are compared
	deleted     time.Time
}

func (p *person) isDeleted() bool { return !p.deleted.IsZero() }

func (p *person) toPerson() Person {
	return Person{ObjectID: p.objectID, UserPrincipalName: p.upn, DisplayName: p.displayName}
}

// employeeKey returns the form in which two employeeIds are compared: without case and surrounding
// spaces.
func employeeKey(text string) string { return scim.Fold(strings.TrimSpace(text)) }

// looseEmployeeKey returns an employeeKey without leading zeros. A spreadsheet may have removed
// such zeros.
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

// userRegister finds every user of a directory by each value that identifies a user.
type userRegister struct {
	allUsers           []*person // the users that are not deleted, in the order of their display names
	byID               map[string]*person
	byUPN              map[string]*person   // users that are not deleted, by folded userPrincipalName
	deletedByUPN       map[string][]*person // deleted users by folded userPrincipalName, the last deleted one first
	byEmployeeKey      map[string][]*person // all users by employeeKey, including deleted ones
	byLooseEmployeeKey map[string][]*person // all users by the result of looseEmployeeKey, including deleted ones
}

func (h *Handle) readRegister(ctx context.Context) (*userRegister, error) {
	r := &userRegister{
		byID: map[string]*person{}, byUPN: map[string]*person{}, deletedByUPN: map[string][]*person{},
		byEmployeeKey: map[string][]*person{}, byLooseEmployeeKey: map[string][]*person{},
	}
	for _, status := range []Status{NotDeleted, Deleted} {
		err := h.EachUser(ctx, UserQuery{Status: status}, func(u User) error {
			r.add(u)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, list := range r.deletedByUPN {
		slices.SortFunc(list, func(a, b *person) int {
			return cmp.Or(b.deleted.Compare(a.deleted), strings.Compare(a.objectID, b.objectID))
		})
	}
	return r, nil
}

func (r *userRegister) add(u User) {
	if r.byID[u.ObjectID] != nil {
		return // the user was soft-deleted while the list was read, and is in the list already
	}
	p := &person{objectID: u.ObjectID, upn: u.UPN(), name: u.FoldedUPN(), displayName: u.DisplayName(), employeeID: u.Text(attrEmployeeID), deleted: u.Deleted}
	p.employeeKey = employeeKey(p.employeeID)
	r.byID[p.objectID] = p
	if p.isDeleted() {
		r.deletedByUPN[p.name] = append(r.deletedByUPN[p.name], p)
	} else {
		r.byUPN[p.name] = p
		r.allUsers = append(r.allUsers, p)
	}
	if p.employeeKey != "" {
		r.byEmployeeKey[p.employeeKey] = append(r.byEmployeeKey[p.employeeKey], p)
		key := looseEmployeeKey(p.employeeKey)
		r.byLooseEmployeeKey[key] = append(r.byLooseEmployeeKey[key], p)
	}
}

// withoutPerson returns a copy of the list that leaves out the person in the argument but.
func withoutPerson(list []*person, but *person) []*person {
	return slices.DeleteFunc(slices.Clone(list), func(p *person) bool { return p == but })
}

// notDeleted returns the people of a list that are not deleted.
func notDeleted(list []*person) []*person {
	return slices.DeleteFunc(slices.Clone(list), (*person).isDeleted)
}
