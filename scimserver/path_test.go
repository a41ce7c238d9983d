package scimserver

import "testing"

func TestTheLogShowsNoCredentialOfAQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"access_token=a&count=1": "access_token=***&count=1",
		"Tok%65n=a":              "Token=***",
		"client_secret=a=b&Authorization=Bearer+x":       "client_secret=***&Authorization=***",
		"filter=password+eq+%22a%22":                     "filter=***",
		"FILTER=userName+pr+and+p%61ssword+sw+%22a%22":   "FILTER=***",
		"attributes=password&filter=userName+eq+%22a%22": "attributes=password&filter=userName eq \"a\"",
		"a?token=b&aadOptscim062020":                     "a?token=***&aadOptscim062020",
		"secret-token=secret-token&%zz":                  "secret-token=***&%zz",
	} {
		if got := readableQuery(query); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}
