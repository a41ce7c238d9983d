package foreign

import "testing"

func TestReasonIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"WARNING: slow\nERROR: no network\nERROR: nothing found\n":              "ERROR: no network",
		"npm warn old\nnpm error code EREFUSED\nnpm error A log is in a file\n": "npm error code EREFUSED",
		"Traceback\n  File x\nValueError: no\n":                                 "ValueError: no",
		"":                                                                      "",
	} {
		if got := reasonIn(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
