package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/saml"
)

func TestSingleSignOnOfAnApplicationIsSetUpAsInEntraID(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName\nada@contoso.example,Ada\n")
	app := o.app(h, "Acme")
	b := o.operator()
	const at = "/d/contoso/applications/Acme/single-sign-on"
	page := b.get("/d/contoso/applications/Acme").wantWords("Set up single sign-on").click("Single sign-on").wantStatus(http.StatusOK)
	page.wantWords("Not set up", "1 Basic SAML Configuration", "2 Attributes & Claims", "3 SAML Certificates", "4 Set up Acme", "user.userprincipalname [nameid-format:emailAddress]")
	tenant := string(h.Directory.ID)
	metadataURL := "http://127.0.0.1:8081/" + tenant + "/federationmetadata/2007-06/federationmetadata.xml?appid=" + app.ID
	for _, value := range []string{metadataURL, "http://127.0.0.1:8081/" + tenant + "/saml2", "https://sts.windows.net/" + tenant + "/"} {
		if !strings.Contains(page.Text, `value="`+value+`"`) {
			t.Errorf("the page lacks %s", value)
		}
	}
	page.press("Save", url.Values{"identifier": {"x"}, "replyURL": {"ftp://x"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("not an https address")
	page.press("Save", url.Values{"identifier": {"https://acme.example"}, "replyURL": {"https://acme.example/post"}}).wantWords("The SAML configuration was saved")
	// The form that was opened before has other values: nothing is lost in silence.
	page.press("Save", url.Values{"identifier": {"https://other.example"}, "replyURL": {"https://acme.example/post"}}).wantStatus(http.StatusConflict).wantWords("https://other.example")
	page = b.get(at)
	page.press("Save signing", url.Values{"option": {"Sign SAML response"}, "algorithm": {"SHA-1"}}).wantWords("The signing was saved")
	page.press("New Certificate", nil).wantWords("A new certificate was made. It is inactive")
	c, err := o.pages.SignOn.Connection(h.Directory.ID, app.ID)
	if err != nil || c.Identifier != "https://acme.example" || c.ReplyURL != "https://acme.example/post" || c.Option != "Sign SAML response" || c.Algorithm != "SHA-1" || len(c.Certificates) != 2 || !c.Certificates[0].Active {
		t.Fatalf("got %+v, %v", c.Settings, err)
	}
	b.get(at).press("Make certificate active", nil).wantWords("signed with the certificate " + c.Certificates[1].Thumbprint())

	// Both files come from this server, and have what was set.
	idp, err := saml.ParseMetadata([]byte(b.get(at + "/metadata").wantStatus(http.StatusOK).Text))
	if err != nil || idp.EntityID != c.Issuer || idp.SignInURL != c.LoginURL || len(idp.Certificates) != 2 {
		t.Errorf("got %+v, %v", idp, err)
	}
	cert, err := saml.ParseCertificate(b.get(at + "/certificate").wantStatus(http.StatusOK).Text)
	if err != nil || !cert.Equal(c.Certificates[1].Certificate) {
		t.Errorf("the certificate is not the active one: %v", err)
	}
	for range 3 {
		b.get(at).press("New Certificate", nil).wantWords("A new certificate was made")
	}
	b.get(at).press("New Certificate", nil).wantWords("No certificate was made", "at most 5 certificates")

	// Outside the demo the page says where people sign in instead, and nothing can be set.
	o.pages.SignOn = nil
	b.get(at).wantStatus(http.StatusOK).wantWords("People sign in at your company’s identity provider", "rollcall demo")
	for _, path := range []string{"/metadata", "/certificate"} {
		b.get(at + path).wantStatus(http.StatusNotFound)
	}
	for _, path := range []string{"", "/signing", "/certificates"} {
		b.send(http.MethodPost, at+path, url.Values{"identifier": {"x"}}).wantStatus(http.StatusNotFound)
	}
}
