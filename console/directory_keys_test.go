package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/operator"
)

func TestAPIKeysAreMadeShownOnceAndRevoked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	o.directory("other", "")
	b := o.operator()
	b.get("/d/contoso/keys").wantWords("No API key yet")
	form := b.get("/d/contoso/keys/new")
	until := time.Now().UTC().AddDate(0, 0, 20).Format(time.DateOnly)
	page := form.press("Make key", url.Values{"name": {"nightly"}, "level": {"run"}, "expires": {until}}).wantStatus(http.StatusOK).
		wantWords("Save this key", "It may run, until "+time.Now().UTC().AddDate(0, 0, 21).Format(time.DateOnly)+" 00:00:00 UTC")
	key := regexp.MustCompile(`rollcall_key_[A-Za-z0-9_-]{49}`).FindString(page.Text)
	if key == "" {
		t.Fatalf("the page shows no key: %s", page.words())
	}
	got, err := o.keys.Authenticate(t.Context(), "contoso", key, "192.0.2.1")
	if err != nil || got.Level != operator.Run || got.Name != "nightly" || got.CreatedBy != "operator:kim" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := o.keys.Authenticate(t.Context(), "other", key, ""); err == nil {
		t.Error("the key opens another directory")
	}

	// A reload of the page makes no second key.
	form.press("Make key", url.Values{"name": {"nightly"}, "level": {"run"}, "expires": {until}}).wantWords("A key is shown once", "nightly …"+got.Last4)
	if all, err := o.keys.Keys(t.Context(), string(h.Directory.ID)); err != nil || len(all) != 1 {
		t.Fatalf("got %+v, %v", all, err)
	}
	list := b.get("/d/contoso/keys").wantWords("nightly …"+got.Last4, "run", "from 192.0.2.1", "kim (operator)")
	if regexp.MustCompile(key[20:40]).MatchString(list.Text) {
		t.Error("the list shows the secret")
	}
	b.get("/d/other/keys").wantWords("No API key yet")
	b.get("/d/other/keys/" + got.ID + "/revoke").wantStatus(http.StatusNotFound)

	list.click("Revoke").wantWords("Revoke the API key nightly", "last used", "from 192.0.2.1").press("Revoke key", nil).wantWords("is revoked.", "Ended keys")
	if _, err := o.keys.Authenticate(t.Context(), "contoso", key, ""); err == nil {
		t.Error("a revoked key is accepted")
	}
	b.get("/d/contoso/audit").wantWords("API key nightly (…"+got.Last4+") was made: run", "API key nightly (…"+got.Last4+") was revoked")

	for wrong, typed := range map[string]url.Values{
		"is empty":               {"name": {" "}},
		"An API key lasts":       {"name": {"x"}, "expires": {"2999-01-01"}},
		"is not a level":         {"name": {"x"}, "level": {"write"}},
		"Write the day as":       {"name": {"x"}, "expires": {"soon"}},
		"would have expired":     {"name": {"x"}, "expires": {"2001-01-01"}},
		"is longer than 100 byt": {"name": {until + until + until + until + until + until + until + until + until + until + until}},
	} {
		b.get("/d/contoso/keys/new").press("Make key", typed).wantStatus(http.StatusUnprocessableEntity).wantWords(wrong)
	}
}

func TestAPIKeysNeedAFreshSignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	b := o.operator()
	form := b.get("/d/contoso/keys/new")
	k, _, err := o.keys.CreateKey(t.Context(), operator.KeyRequest{Directory: string(h.Directory.ID), Name: "old", Level: operator.Configure, Actor: "cli"})
	if err != nil {
		t.Fatal(err)
	}
	o.operators.Now = func() time.Time { return time.Now().Add(session.FreshTime) }
	b.get("/d/contoso/keys/new").wantWords("Sign in again")
	form.press("Make key", url.Values{"name": {"nightly"}}).wantWords("Sign in again", "Nothing was changed")
	if all, err := o.keys.Keys(t.Context(), string(h.Directory.ID)); err != nil || len(all) != 1 {
		t.Fatalf("got %+v, %v", all, err)
	}
	// Ending a key protects, so it works with an old sign-in.
	b.get("/d/contoso/keys/"+k.ID+"/revoke").press("Revoke key", nil).wantWords("is revoked.")
}
