package scimserver_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// Vulnerabilities published for other servers, by their ids. docs/security.md lists them.

// TestExternalIDIsNoInternalKeyCVE202541115: another server took an externalId for the key of an
// account, so a client that provisioned people could become any of them.
func TestExternalIDIsNoInternalKeyCVE202541115(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	kim := w.bring(`{"userName":"kim@acme.test","userType":"Admin"}`)[0]
	signedIn, err := w.rosters.Open(w.site).StartSession(w.ctx(), kim.ID, session.Limits{Length: time.Hour, Idle: time.Hour}, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	before := w.get(t, kim.ID)
	for i, external := range []string{kim.ID, "1", "0", "-1", "00000000-0000-0000-0000-000000000001", strings.ToUpper(kim.ID), "kim@acme.test"} {
		made := w.send("POST /Users\n\n" + fmt.Sprintf(`{"schemas":[%q],"id":%q,"userName":"mallory%d","externalId":%q}`, scim.UserURN, kim.ID, i, external))
		wantStatus(t, made, 201)
		id := fmt.Sprint(body(t, made)["id"])
		if id == kim.ID || id == external {
			t.Fatalf("externalId %q became the id %q", external, id)
		}
		if ids := w.find(t, `externalId eq "`+external+`"`); fmt.Sprint(ids) != "["+id+"]" {
			t.Errorf("externalId eq %q finds %v, want %s", external, ids, id)
		}
		if external != kim.ID {
			wantStatus(t, w.send("GET /Users/"+url.PathEscape(external)), 404)
			wantStatus(t, w.send("DELETE /Users/"+url.PathEscape(external)), 404)
		}
		wantStatus(t, w.send("PATCH /Users/"+id+"\n\n"+fmt.Sprintf(`{"schemas":[%q],"Operations":[{"op":"replace","path":"externalId","value":%q}]}`, scim.PatchOpURN, kim.ID+" ")), 200)
	}
	if diff := cmp.Diff(w.get(t, kim.ID), before); diff != "" {
		t.Errorf("the administrator was changed: %s", diff)
	}
	if who, err := w.rosters.Open(w.site).UseSession(w.ctx(), signedIn, session.Browser{}); err != nil || who.ID != kim.ID {
		t.Errorf("the administrator's session is %+v's, %v", who, err)
	}
}

// TestNoOtherCredentialIsATokenGHSAq9rwq89fjx2f: on another server, the API key of any user opened
// the SCIM endpoint. Here a person's session, an operator's session and a sign-in link do not,
// whoever owns them.
func TestNoOtherCredentialIsATokenGHSAq9rwq89fjx2f(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	kim := w.bring(`{"userName":"kim@acme.test","userType":"Admin"}`)[0]
	signedIn, err := w.rosters.Open(w.site).StartSession(w.ctx(), kim.ID, session.Limits{Length: time.Hour, Idle: time.Hour}, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	signIns := &signin.SignIns{Store: store.SignIns{DB: w.db}, Rosters: w.rosters, Now: w.clock}
	link, err := signIns.IssueSiteLink(w.ctx(), w.site, "kim@acme.test", "cli")
	if err != nil {
		t.Fatal(err)
	}
	operators := &operator.Operators{Store: store.Operators{DB: w.db}, Now: w.clock, NewID: w.newID("o")}
	operatorLink, err := operators.Link(w.ctx(), "sam", "cli")
	if err != nil {
		t.Fatal(err)
	}
	operatorSession, err := operators.Redeem(w.ctx(), operatorLink.Secret, session.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{
		"an administrator's session": signedIn, "a sign-in link": link.Secret, "an operator's session": operatorSession.Secret, "an operator's link": operatorLink.Secret,
		"the id of the token": w.tokenID, "the id of the site": string(w.site.ID), "its last four characters": w.token[len(w.token)-4:],
	} {
		for _, headers := range []string{"Authorization: Bearer " + secret, "Authorization: none\nCookie: rollcall-site=" + secret + "; __Host-rollcall-site-acme=" + secret} {
			if got := w.send("GET /Users\n" + headers); got.Code != 401 {
				t.Errorf("%s: got %d, want 401", what, got.Code)
			}
		}
	}
}

// TestACreateAdoptsNobodyGHSA9m7q6qg6888h: on another server, a create took over the account or
// group with the same name, and members were found by id in any site.
func TestACreateAdoptsNobodyGHSA9m7q6qg6888h(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	people := w.bring(`{"userName":"kim@acme.test","userType":"Admin","externalId":"theirs"}`, `{"userName":"ada@acme.test","active":false}`)
	w.bringGroups(`{"displayName":"Administrators","members":[{"value":"` + people[0].ID + `"}]}`)
	globex, _, _ := w.newSite("globex", site.Full)
	acme := w.site
	w.site = globex
	stranger := w.bring(`{"userName":"stranger"}`)[0].ID
	w.site = acme
	before := w.holds()
	for _, userName := range []string{"kim@acme.test", "KIM@ACME.TEST", "ada@acme.test"} {
		wantError(t, w.send("POST /Users\n\n"+fmt.Sprintf(`{"schemas":[%q],"userName":%q,"externalId":"mine","active":true}`, scim.UserURN, userName)), 409, "uniqueness")
	}
	for _, name := range []string{"Administrators", "administrators"} {
		wantError(t, w.send("POST /Groups\n\n"+fmt.Sprintf(`{"schemas":[%q],"displayName":%q}`, scim.GroupURN, name)), 409, "uniqueness")
	}
	if diff := cmp.Diff(w.holds(), before); diff != "" {
		t.Errorf("a create changed who was there: %s", diff)
	}
	// A user of another site does not become a member.
	made := w.send("POST /Groups\n\n" + fmt.Sprintf(`{"schemas":[%q],"displayName":"Team","members":[{"value":%q},{"value":%q}]}`, scim.GroupURN, stranger, people[1].ID))
	wantStatus(t, made, 201)
	if members := fmt.Sprint(body(t, made)["members"]); strings.Contains(members, stranger) || !strings.Contains(members, people[1].ID) {
		t.Errorf("got the members %s", members)
	}
	if groups, err := w.rosters.Open(globex).Groups(w.ctx(), stranger); err != nil || len(groups) > 0 {
		t.Errorf("the stranger is in %v, %v", groups, err)
	}
	if person, err := w.rosters.Open(acme).Person(w.ctx(), people[0].ID); err != nil || person.Role != roster.RoleAdmin || person.ExternalID != "theirs" {
		t.Errorf("got %+v, %v", person, err)
	}
}
