package scimserver

import (
	"slices"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// conditional is the change that If-Match and If-None-Match allow, answered with that status.
//
// RFC 7644 §3.14: a version that is not the current one is 412. If-Match goes by the document alone: it keeps clients from
// overwriting each other's changes, and groups, which is readOnly (RFC 7643 §4.1.2), is nothing that they could overwrite.
func (v view) conditional(status func(roster.Outcome) int) (roster.Change, error) {
	by := v.change(status)
	unwanted, unwantedAny := tagsOf(v.ifNoneMatch)
	if !v.wantsVersion() && !unwantedAny && len(unwanted) == 0 {
		return by, nil
	}
	doc, err := v.roster.Get(v.ctx, v.kind(), v.id())
	if err != nil {
		return by, err
	}
	if !v.matches(doc) {
		return by, scim.PreconditionFailed("If-Match names another version than the current one, %s; read the resource again and repeat the change.", roster.ETag(doc.Version, nil))
	}
	if unwantedAny || len(unwanted) > 0 {
		groups, err := v.memberships(doc)
		if err != nil {
			return by, err
		}
		if v.known(doc, groups[doc.ID]) {
			return by, scim.PreconditionFailed("If-None-Match names the current version, %s, so nothing is changed.", roster.ETag(doc.Version, groups[doc.ID]))
		}
	}
	by.IfVersion = doc.Version
	return by, nil
}

// wantsVersion reports whether If-Match names versions.
func (v view) wantsVersion() bool {
	tags, anyTag := tagsOf(v.ifMatch)
	return len(tags) > 0 && !anyTag
}

// matches reports whether the document is at a version that If-Match allows.
func (v view) matches(doc roster.Document) bool {
	tags, _ := tagsOf(v.ifMatch)
	return !v.wantsVersion() || isDocument(tags, doc)
}

// known reports whether If-None-Match names what this view shows now. A view that leaves the groups out is of the document
// alone, of which a version that was read with groups tells as well.
//
// RFC 9110 §13.1.2: it is the whole entity tag that counts; RFC 7644 §3.14: also where attributes were named.
func (v view) known(doc roster.Document, groups []roster.Membership) bool {
	tags, anyTag := tagsOf(v.ifNoneMatch)
	if v.withoutGroups {
		return anyTag || isDocument(tags, doc)
	}
	return anyTag || slices.Contains(tags, opaque(roster.ETag(doc.Version, groups)))
}

// isDocument reports whether one of the tags is of the document as it is.
func isDocument(tags []string, doc roster.Document) bool {
	current := opaque(roster.ETag(doc.Version, nil))
	return slices.ContainsFunc(tags, func(tag string) bool { return roster.DocumentPart(tag) == current })
}
