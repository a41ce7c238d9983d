package roster

import (
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// ignoredPart is a part of a request that the roster deliberately did not apply. The request log
// lists it, and the sentence in the request log contains its clause.
type ignoredPart struct {
	scim.Ignored
	clause string // the words for the sentence
}

// notChanged is the beginning of the reasons of attributes that keep their values. The sentence
// names attributes with the same reason in one clause.
const notChanged = "not changed: "

// ignorePart records that the roster did not apply a part of the request.
func (d *draft) ignorePart(path, reason string) {
	d.ignored = append(d.ignored, ignoredPart{scim.Ignored{Path: path, Reason: reason}, reason})
}

// keepAttribute records that an attribute keeps its value although the request would change it.
func (d *draft) keepAttribute(attribute, reason string) {
	reason = notChanged + reason
	d.ignored = append(d.ignored, ignoredPart{scim.Ignored{Path: attribute, Reason: reason}, attribute + " " + reason})
}

// ignoredParts returns the ignored parts of the request, for the list in the request log.
func (d *draft) ignoredParts() []scim.Ignored {
	var parts []scim.Ignored
	for _, part := range d.ignored {
		parts = append(parts, part.Ignored)
	}
	return parts
}

// ignoredWords returns the ignored parts in words, for the sentence in the request log.
func (d *draft) ignoredWords() string {
	var clauses []string
	for i, part := range d.ignored {
		if i > 0 && strings.HasPrefix(part.Reason, notChanged) && part.Reason == d.ignored[i-1].Reason {
			last := len(clauses) - 1
			clauses[last] = strings.TrimSuffix(clauses[last], " "+part.Reason) + ", " + part.clause
			continue
		}
		clauses = append(clauses, part.clause)
	}
	return strings.Join(clauses, "; ")
}
