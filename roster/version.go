package roster

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// A version is that of the stored document. The groups of a user are no part of it: they are read from the rows of
// members when the user is shown, so that a change of members costs its own rows alone. A user who is shown with groups has
// a digest of them behind the version, which moves when a membership or a group's displayName does.

// digestBytes is how much of a digest is sent. Two lists of groups that share it would have to follow each other.
const digestBytes = 8

// ETag is a version as meta.version and the ETag header have it, of a resource that is shown with those groups: W/"7", with
// groups W/"7.90c1f2d4a8e63b57".
//
// RFC 7644 §3.14: weak, because the body also depends on the projection asked for.
func ETag(version int64, groups []Membership) string {
	text := strconv.FormatInt(version, 10)
	if len(groups) > 0 {
		text += "." + digest(groups)
	}
	return `W/"` + text + `"`
}

// DocumentPart is what an opaque version, "7.90c1f2d4a8e63b57", says of the document alone: "7".
func DocumentPart(opaque string) string {
	part, _, _ := strings.Cut(opaque, ".")
	return part
}

func digest(groups []Membership) string {
	text := []byte("[")
	for i, g := range groups {
		if i > 0 {
			text = append(text, ',')
		}
		text = scim.AppendString(append(text, `{"Group":`...), g.Group)
		text = scim.AppendString(append(text, `,"Display":`...), g.Display)
		text = append(text, '}')
	}
	sum := sha256.Sum256(append(text, "]\n"...))
	return hex.EncodeToString(sum[:digestBytes])
}
