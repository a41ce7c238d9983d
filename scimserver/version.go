package scimserver

import (
	"slices"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// conditionalChange returns the roster.Change for the request, or 412 if If-Match or If-None-Match
// forbids the change. status is the status of the answer.
//
// RFC 7644 §3.14: if If-Match names another version than the current one, the answer is 412. For
// If-Match, only the version of the document counts, without the groups of a user. The purpose of
// If-Match is that clients do not overwrite each other's changes, and no client can overwrite
// groups, which is readOnly (RFC 7643 §4.1.2).
func (v view) conditionalChange(status int) (roster.Change, error) {
	by := v.exchange.changeWithRow(status)
	unwanted, unwantedAny := parseTags(v.exchange.ifNoneMatch)
	if !v.namesVersions() && !unwantedAny && len(unwanted) == 0 {
		return by, nil
	}
	doc, err := v.exchange.roster.Get(v.exchange.ctx, v.kind(), v.exchange.resourceID())
	if err != nil {
		return by, err
	}
	if !v.ifMatchAllows(doc) {
		return by, scim.PreconditionFailed("If-Match names another version than the current one, %s; read the resource again and repeat the change.", roster.ETag(doc.Version, nil))
	}
	if unwantedAny || len(unwanted) > 0 {
		groups, err := v.memberships(doc)
		if err != nil {
			return by, err
		}
		if v.isUnchanged(doc, groups[doc.ID]) {
			return by, scim.PreconditionFailed("If-None-Match names the current version, %s, so nothing is changed.", roster.ETag(doc.Version, groups[doc.ID]))
		}
	}
	by.IfVersion = doc.Version
	return by, nil
}

// namesVersions reports whether If-Match names versions and does not contain "*".
func (v view) namesVersions() bool {
	tags, anyTag := parseTags(v.exchange.ifMatch)
	return len(tags) > 0 && !anyTag
}

// ifMatchAllows reports whether If-Match is absent or "*", or names the document's version.
func (v view) ifMatchAllows(doc roster.Document) bool {
	tags, _ := parseTags(v.exchange.ifMatch)
	return !v.namesVersions() || matchesDocument(tags, doc)
}

// isUnchanged reports whether If-None-Match names the current version of this view, so that the
// client's copy is up to date. If the view leaves the groups out, only the document's part of a
// version counts, because the view depends only on the document.
//
// RFC 9110 §13.1.2: otherwise the whole entity tag counts. RFC 7644 §3.14: this also holds if the
// request names attributes.
func (v view) isUnchanged(doc roster.Document, groups []roster.Membership) bool {
	tags, anyTag := parseTags(v.exchange.ifNoneMatch)
	if len(tags) == 0 {
		return anyTag
	}
	if v.versionWithoutGroups {
		return matchesDocument(tags, doc)
	}
	return slices.Contains(tags, opaqueTag(roster.ETag(doc.Version, groups)))
}

// matchesDocument reports whether one of the tags names the current version of the document. It
// ignores the part of a tag that depends on a user's groups.
func matchesDocument(tags []string, doc roster.Document) bool {
	current := opaqueTag(roster.ETag(doc.Version, nil))
	return slices.ContainsFunc(tags, func(tag string) bool { return roster.DocumentPart(tag) == current })
}
