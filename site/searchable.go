package site

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// MaxSearchable is the largest number of attributes that a site can declare searchable. Each of
// them takes disk space and makes every write slower.
const MaxSearchable = 20

// Searchable is an attribute that an administrator declared searchable. The store keeps a row for
// each value of the attribute (a "value row"), so that a filter on it need not read every resource.
type Searchable struct {
	ID   string // the id of this declaration, which is also in its value rows; if the attribute is declared again later, that declaration has another id
	Type scim.TypeName
	Path scim.AttrPath
}

// String returns the name of the attribute for sentences, such as "title of User".
func (s Searchable) String() string { return s.Path.String() + " of " + string(s.Type) }

// notDeclarable lists the attributes of each type that cannot be declared searchable, because
// filters on them are fast at every site. A name such as "groups" includes all sub-attributes.
var notDeclarable = map[scim.TypeName][]string{
	"User":  {"userName", "displayName", "active", "userType", "emails.value", "groups"},
	"Group": {"displayName", "members"},
}

// CanBeSearchable lists the attributes of a type that can be declared searchable, in the order of
// its schemas.
func CanBeSearchable(rt *scim.ResourceType) []scim.AttrPath {
	var list []scim.AttrPath
	add := func(path scim.AttrPath, a, sub *scim.Attribute) {
		if whyNotSearchable(rt, path, a, sub) == "" {
			list = append(list, path)
		}
	}
	all := func(urn string, attributes []*scim.Attribute) {
		for _, a := range attributes {
			add(scim.AttrPath{URN: urn, Name: a.Name}, a, nil)
			for _, sub := range a.SubAttributes {
				add(scim.AttrPath{URN: urn, Name: a.Name, Sub: sub.Name}, a, sub)
			}
		}
	}
	all("", rt.Schema.Attributes)
	for _, e := range rt.Extensions {
		all(e.Schema.ID, e.Schema.Attributes)
	}
	return list
}

// whyNotSearchable returns the reason why an attribute cannot be declared searchable, or "" if it
// can. Value rows make a search faster only if few resources share a value.
func whyNotSearchable(rt *scim.ResourceType, path scim.AttrPath, a, sub *scim.Attribute) string {
	leaf := a
	if sub != nil {
		leaf = sub
	}
	names := notDeclarable[rt.ID]
	core := path.URN == ""
	switch {
	case core && (path.Name == "id" || path.Name == "externalId" || slices.Contains(names, path.Name) || slices.Contains(names, path.String())):
		return "is searchable already, in every site"
	case core && (path.Name == "meta" || path.Name == "schemas"):
		return "is much the same for every resource, so value rows would make no search faster"
	case isNeverReturned(a) || isNeverReturned(leaf):
		return "is never returned, so no filter may ask for it"
	}
	switch leaf.Type {
	case scim.String, scim.Reference, scim.Integer, scim.Decimal:
		return ""
	case scim.Complex:
		return "is complex; name one of its sub-attributes, as in " + scim.AttrPath{URN: path.URN, Name: path.Name, Sub: a.SubAttributes[0].Name}.String()
	case scim.Boolean:
		return "is a boolean: it has only two values, so value rows would make no search faster"
	case scim.DateTime:
		return "is a dateTime: times are asked for by before and after, which rows of values do not answer"
	}
	return "is " + leaf.Type + ": such values are not searched for"
}

// isNeverReturned reports whether the server accepts values of the attribute but never returns
// them. RFC 7643 §7.
func isNeverReturned(a *scim.Attribute) bool {
	return a.Returned == scim.ReturnedNever || a.Mutability == scim.WriteOnly
}

// findSearchable returns the declaration, without an id, of the attribute with this name. The name
// is written as in a filter. findSearchable returns a refusal if the attribute does not exist or
// cannot be declared searchable.
func findSearchable(types *scim.Registry, typeName scim.TypeName, name string) (Searchable, error) {
	rt, ok := types.ByName(scim.TypeName(strings.TrimSpace(string(typeName))))
	if !ok {
		var known []string
		for _, rt := range types.Types() {
			known = append(known, rt.Name)
		}
		return Searchable{}, refusal.New(refusal.Invalid, "type", "this site has no resource type %q; it has %s", typeName, strings.Join(known, ", "))
	}
	path, a, sub, ok := rt.Resolve(strings.TrimSpace(name))
	if !ok {
		return Searchable{}, refusal.New(refusal.Invalid, name, "%s has no attribute %q", rt.Name, name).
			Advise("write it as a filter does: title, name.familyName, or an extension's with its URN")
	}
	found := Searchable{Type: rt.ID, Path: path}
	if why := whyNotSearchable(rt, path, a, sub); why != "" {
		return Searchable{}, refusal.New(refusal.Invalid, path.String(), "%s %s", found, why)
	}
	return found, nil
}

// isIn reports whether the list has a declaration of the same attribute.
func (s Searchable) isIn(list []Searchable) bool {
	return slices.ContainsFunc(list, func(o Searchable) bool { return o.Type == s.Type && o.Path == s.Path })
}

// DeclareSearchable declares attributes of a type searchable, and returns those that were not
// declared before. Names are written as in filters. Filters become faster when all values of the
// attribute have rows; see Roster.Indexing. If one attribute cannot be declared, nothing is
// declared, and the error is a refusal of kind refusal.Invalid.
func (s *Sites) DeclareSearchable(ctx context.Context, id ID, typeName scim.TypeName, attributes []string, actor string) ([]Searchable, error) {
	var added []Searchable
	err := s.changeSearchable(ctx, id, func(tx Tx, types *scim.Registry, list []Searchable) ([]Searchable, error) {
		added = nil
		for _, name := range attributes {
			wanted, err := findSearchable(types, typeName, name)
			if err != nil {
				return nil, err
			}
			if wanted.isIn(list) {
				continue
			}
			if len(list) == MaxSearchable {
				return nil, refusal.New(refusal.Invalid, name, "%s would be one too many: a site declares at most %d attributes searchable, because each slows down every write", wanted, MaxSearchable).
					Advise("take one away first")
			}
			wanted.ID = s.NewID()
			list, added = append(list, wanted), append(added, wanted)
			if err := tx.AppendEvent(ctx, s.newEvent(id, event.SiteSearchableDeclared, actor, "", wanted.String()+" was declared searchable", event.Changed("searchable", nil, wanted.String()))); err != nil {
				return nil, err
			}
		}
		return list, nil
	})
	return added, err
}

// WithdrawSearchable withdraws the declaration of attributes. The next query no longer uses their
// rows, and the rows are deleted in the background. If one attribute is not declared, nothing is
// withdrawn, and the error is a refusal of kind refusal.Invalid.
func (s *Sites) WithdrawSearchable(ctx context.Context, id ID, typeName scim.TypeName, attributes []string, actor string) error {
	return s.changeSearchable(ctx, id, func(tx Tx, types *scim.Registry, list []Searchable) ([]Searchable, error) {
		for _, name := range attributes {
			at := indexOfDeclared(types, list, typeName, name)
			if at < 0 {
				return nil, refusal.New(refusal.Invalid, name, "%s of %s is not declared searchable on this site", name, typeName)
			}
			if err := tx.AppendEvent(ctx, s.withdrawalEvent(id, list[at], "", actor)); err != nil {
				return nil, err
			}
			list = slices.Delete(list, at, at+1)
		}
		return list, nil
	})
}

// indexOfDeclared returns the index of an attribute in the list, or -1. It also finds attributes
// that the present schemas no longer have, so that every declaration can be withdrawn.
func indexOfDeclared(types *scim.Registry, list []Searchable, typeName scim.TypeName, name string) int {
	wanted := Searchable{Type: typeName}
	if rt, ok := types.ByName(typeName); ok {
		wanted.Type = rt.ID
		wanted.Path, _, _, _ = rt.Resolve(name)
	}
	return slices.IndexFunc(list, func(s Searchable) bool {
		return s.Type == wanted.Type && (s.Path == wanted.Path || s.Path.String() == name)
	})
}

// withdrawalEvent returns the event of a withdrawn declaration. because is the end of the sentence,
// and may be empty.
func (s *Sites) withdrawalEvent(id ID, was Searchable, because, actor string) event.Event {
	return s.newEvent(id, event.SiteSearchableWithdrawn, actor, "", was.String()+" is no longer declared searchable"+because, event.Changed("searchable", was.String(), nil))
}

// changeSearchable replaces the site's list of declarations by the list that change returns, in one
// transaction that locks the site.
func (s *Sites) changeSearchable(ctx context.Context, id ID, change func(Tx, *scim.Registry, []Searchable) ([]Searchable, error)) error {
	return s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		types, err := scim.NewRegistry(tx.Site().Schemas)
		if err != nil {
			return fmt.Errorf("read the schemas of site %s: %w", tx.Site().Name, err)
		}
		old, err := tx.Searchable(ctx)
		if err != nil {
			return err
		}
		next, err := change(tx, types, slices.Clone(old))
		if err != nil || slices.Equal(old, next) {
			return err
		}
		return tx.PutSearchable(ctx, next)
	})
}

// keepSearchable keeps the declarations that the next schemas still allow. It withdraws the
// declarations of attributes that no longer exist, or that can no longer be declared searchable.
func (s *Sites) keepSearchable(ctx context.Context, tx Tx, next *scim.Registry, actor string) error {
	old, err := tx.Searchable(ctx)
	if err != nil {
		return err
	}
	kept := make([]Searchable, 0, len(old))
	for _, was := range old {
		if still, err := findSearchable(next, was.Type, was.Path.String()); err == nil && still.Type == was.Type && still.Path == was.Path {
			kept = append(kept, was)
			continue
		}
		if err := tx.AppendEvent(ctx, s.withdrawalEvent(tx.Site().ID, was, ": the schemas no longer have it, or not as an attribute that can be searched for", actor)); err != nil {
			return err
		}
	}
	if len(kept) == len(old) {
		return nil
	}
	return tx.PutSearchable(ctx, kept)
}
