package roster

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// The version of a resource is the number of changes of its stored document. A user's document does
// not contain the user's groups: they are read from the member rows when the user is shown, so that
// a change of members need not write the users. If a user is shown with groups, a digest of the
// groups follows the version. The digest changes with each membership and each displayName of a
// group.

// digestBytes is the length of a digest, in bytes. It may be short, because a collision matters
// only between two successive lists of groups of the same user.
const digestBytes = 8

// ETag returns the version of a resource shown with these groups, as in meta.version and the ETag
// header: W/"7" without groups, W/"7.90c1f2d4a8e63b57" with groups.
//
// RFC 7644 §3.14: the tag is weak, because the body also depends on the attributes that the request
// names.
func ETag(version int64, groups []Membership) string {
	return ETagWith(version, GroupsDigest(groups))
}

// ETagWith is ETag for a user whose groups have this digest.
func ETagWith(version int64, digest string) string {
	text := strconv.FormatInt(version, 10)
	if digest != "" {
		text += "." + digest
	}
	return `W/"` + text + `"`
}

// DocumentPart returns the version of the document without the digest of groups: "7" for
// "7.90c1f2d4a8e63b57".
func DocumentPart(opaque string) string {
	part, _, _ := strings.Cut(opaque, ".")
	return part
}

// GroupsDigest returns a hash of a user's groups, for the version of a user who is shown with
// groups. It returns "" if there are none.
func GroupsDigest(groups []Membership) string {
	if len(groups) == 0 {
		return ""
	}
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
