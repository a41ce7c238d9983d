package roster

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/rollcall-scim/rollcall/internal/lookalike"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// Two people look alike when they have different names that look the same. For example, one name
// has a Cyrillic letter in place of a Latin letter, rn in place of m, or the digit 1 in place of l.
// People are recognised by their names and sign in with them. Look-alikes are not refused, but
// pages and commands point them out. People with equal display names or shared addresses are not
// look-alikes.
//
//	a write of a person ─► Record.NameLooks ─► the store keeps one row of each, and records the skeletons that different names share
//	a database of an older version ─► Advance adds the rows of the existing people in the background

// NameLooksPath is the Value.Path of the rows of NameLooks. It is also the id of their index while
// Advance fills it.
const NameLooksPath = "looks"

// NameLook is a form of a name that is compared with other names. Names that look the same have the
// same Skeleton. Names that differ only in case are the same name, and have the same Name. Both
// fields are hashes.
type NameLook struct{ Skeleton, Name string }

// maxLookEmails is the largest number of e-mail addresses of one person that are compared.
const maxLookEmails = 10

// Name is a name of a person, and the attribute that has it.
type Name struct{ Attribute, Text string }

// namesOf lists the names of a user: userName, displayName, and the e-mail addresses that are for
// work or come first.
func namesOf(doc scim.Resource) []Name {
	all := []Name{{"userName", doc.String("userName")}}
	if text := doc.String("displayName"); text != "" {
		all = append(all, Name{"displayName", text})
	}
	elements, _ := doc["emails"].([]any)
	var work, other []Name
	for _, e := range elements {
		m, _ := e.(map[string]any)
		value, _ := m["value"].(string)
		kind, _ := m["type"].(string)
		primary, _ := m["primary"].(bool)
		switch {
		case value == "":
		case primary || scim.Fold(kind) == "work":
			work = append(work, Name{"emails", value})
		default:
			other = append(other, Name{"emails", value})
		}
	}
	emails := append(work, other...)
	return append(all, emails[:min(len(emails), maxLookEmails)]...)
}

// nameLooks returns one NameLook for each skeleton of a name. A name can have several, because some
// characters look like several others.
func (n Name) nameLooks() []NameLook {
	if n.Text == "" {
		return nil
	}
	var all []NameLook
	for _, skeleton := range lookalike.Skeletons(n.Text) {
		if skeleton != "" {
			all = append(all, NameLook{Skeleton: lookDigest(skeleton, 15), Name: lookDigest(scim.Fold(n.Text), 9)})
		}
	}
	return all
}

// lookDigest hashes a string to a key of fixed length.
func lookDigest(text string, size int) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:size])
}

// nameLooksOf lists the NameLooks of all names of a user, without duplicates.
func nameLooksOf(doc scim.Resource) []NameLook {
	var all []NameLook
	for _, n := range namesOf(doc) {
		for _, l := range n.nameLooks() {
			if !slices.Contains(all, l) {
				all = append(all, l)
			}
		}
	}
	return all
}

// StoredNameLooks lists the NameLooks of a stored user.
func (rec *Record) StoredNameLooks() ([]NameLook, error) {
	doc, err := rec.document()
	if err != nil {
		return nil, err
	}
	return nameLooksOf(doc), nil
}

// setNameLooks sets the NameLooks of the old and the new record of one user, if the names differ.
// When they are not set, the store leaves the rows of the user unchanged.
func setNameLooks(old *Record, before scim.Resource, next *Record, after scim.Resource) {
	if next.Kind == User && !slices.Equal(namesOf(before), namesOf(after)) {
		old.NameLooks, next.NameLooks = nameLooksOf(before), nameLooksOf(after)
	}
}

// LookAlike is another person whose name looks like a given person's name.
type LookAlike struct {
	ID       string
	UserName string
	// Attribute and Text are the other person's name, which looks like Own, the given person's
	// name. Own and Text may come from different attributes.
	Attribute, Text   string
	OwnAttribute, Own string
}

// Words returns the characters by which the two names differ, such as "а (U+0430, Cyrillic)".
// Either result may be empty.
func (l LookAlike) Words() (theirs, own string) {
	return lookalike.Difference(l.Text, l.Own), lookalike.Difference(l.Own, l.Text)
}

// MaxLookAlikes is the largest number of look-alikes of one person that LookAlikes returns.
const MaxLookAlikes = 5

// LookAlikes returns, by id, the look-alikes of each of these people on the site.
func (r *Roster) LookAlikes(ctx context.Context, people ...Person) (map[string][]LookAlike, error) {
	looks := map[string][]NameLook{}
	for _, p := range people {
		for _, n := range p.Names {
			looks[p.ID] = append(looks[p.ID], n.nameLooks()...)
		}
	}
	found, err := r.store.LookAlikes(ctx, r.site.ID, looks, MaxLookAlikes)
	if err != nil {
		return nil, fmt.Errorf("find look-alikes: %w", err)
	}
	all := map[string][]LookAlike{}
	for _, p := range people {
		for _, rec := range found[p.ID] {
			other, err := personOf(rec)
			if err != nil {
				return nil, err
			}
			if alike, is := p.lookAlike(other); is {
				all[p.ID] = append(all[p.ID], alike)
			}
		}
	}
	return all, nil
}

// lookAlike compares the names of two people. is reports whether a name of one looks like a name of
// the other.
func (p Person) lookAlike(other Person) (alike LookAlike, is bool) {
	for _, own := range p.Names {
		for _, theirs := range other.Names {
			if looksLike(own, theirs) {
				return LookAlike{
					ID: other.ID, UserName: other.UserName, Attribute: theirs.Attribute, Text: theirs.Text, OwnAttribute: own.Attribute, Own: own.Text,
				}, true
			}
		}
	}
	return LookAlike{}, false
}

// looksLike reports whether two names are different but look the same.
func looksLike(a, b Name) bool {
	others := b.nameLooks()
	return slices.ContainsFunc(a.nameLooks(), func(l NameLook) bool {
		return slices.ContainsFunc(others, func(o NameLook) bool { return o.Skeleton == l.Skeleton && o.Name != l.Name })
	})
}

// LooksPending reports whether the names of some people of the site have not been compared yet,
// because the database comes from an older version.
func (r *Roster) LooksPending(ctx context.Context) (bool, error) {
	pending, err := r.store.LooksPending(ctx, r.site.ID)
	if err != nil {
		return false, fmt.Errorf("look whether everybody is compared: %w", err)
	}
	return pending, nil
}

// lookAlikeStore has the methods of a Store that find people with similar names.
type lookAlikeStore interface {
	// LookAlikes returns look-alikes by user id. looks has the NameLooks of each user, by id. For
	// each user, the result has up to limit other users with the same skeleton but another name.
	LookAlikes(ctx context.Context, id site.ID, looks map[string][]NameLook, limit int) (map[string][]Record, error)
	// LooksPending reports whether some users do not have rows for their NameLooks yet.
	LooksPending(ctx context.Context, id site.ID) (bool, error)
}
