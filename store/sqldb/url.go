package sqldb

import (
	"fmt"
	"regexp"
	"strings"
)

// ParseURL checks the name of a database: the path of a SQLite file, or the URL of a PostgreSQL
// database. It returns the name with the scheme in the form that Kind expects. Its errors never
// contain the name, which may hold a password.
func ParseURL(text string) (string, error) {
	scheme, rest, found := strings.Cut(text, ":")
	switch lower := strings.ToLower(scheme); {
	case connectionParameter.MatchString(text):
		return "", fmt.Errorf("write a PostgreSQL database as postgres://user:password@host/name; words such as host=… are not read")
	case !found || !schemeName.MatchString(scheme) || lower == "file":
		return text, nil
	case (lower == "postgres" || lower == "postgresql") && strings.HasPrefix(rest, "//"):
		return lower + ":" + rest, nil
	default:
		return "", fmt.Errorf("%s: is not a database that Rollcall knows; give the path of a SQLite file, or postgres://user:password@host/name (a file whose name has a colon: ./%s:…)", lower, lower)
	}
}

var (
	// schemeName matches the scheme of a URL. It has at least two letters, because one letter is a
	// drive of Windows.
	schemeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+$`)
	// connectionParameter matches a parameter of a PostgreSQL connection string that is not a URL.
	connectionParameter = regexp.MustCompile(`(?i)(^|\s)(host|hostaddr|port|dbname|user|password)\s*=`)
)
