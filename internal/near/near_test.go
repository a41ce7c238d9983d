package near

import "testing"

func TestBest(t *testing.T) {
	t.Parallel()
	choices := []string{"contoso", "fabrikam", "Acme", "a", "provision"}
	for word, want := range map[string]string{
		"contosso": "contoso", "CONTOSO": "contoso", "cnotoso": "contoso", "acm": "Acme", "prov": "provision",
		"globex": "", "": "", "b": "", "A": "a", "contoso-of-norway": "",
	} {
		if got := Best(word, choices); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := Best("x", nil); got != "" {
		t.Errorf("got %q", got)
	}
}
