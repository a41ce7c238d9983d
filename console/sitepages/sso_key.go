package sitepages

import (
	"net/http"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
)

// siteKeysPart is the part of the page "Single sign-on" about the SAML keys of the site.
type siteKeysPart struct {
	Rows                       []siteKeyRow
	MakeURL, UseURL, RemoveURL string // addresses that make a key, use the new key, and remove the old key; empty if not possible now
	MetadataURL                string // address from which the site's metadata is downloaded
}

// siteKeyRow shows one key of the site.
type siteKeyRow struct {
	ShortFingerprint string // the start of the fingerprint of the key's certificate
	MadeAt           time.Time
	State            console.Badge
	Usage            string // what the key is used for
}

func (p *Pages) readSiteKeys(r *http.Request, v *siteVisit) (siteKeysPart, error) {
	keys, err := p.SSO.SiteKeys(r.Context(), v.Site)
	if err != nil {
		return siteKeysPart{}, err
	}
	root := "admin/access/authentication/"
	s := siteKeysPart{MetadataURL: v.url(root + "metadata"), MakeURL: v.url(root + "keys")}
	for _, k := range keys {
		row := siteKeyRow{ShortFingerprint: saml.Fingerprint(k.Certificate)[:16] + "…", MadeAt: k.Made}
		switch k.State {
		case signin.KeyAnnounced:
			row.State, row.Usage = console.Badge{Tone: console.ToneInfo, Text: "Announced"}, "In the metadata. Decrypts, and does not sign yet."
			s.MakeURL, s.UseURL = "", v.url(root+"keys/use")
		case signin.KeyUsed:
			row.State, row.Usage = console.Badge{Tone: console.ToneGood, Text: "In use"}, "In the metadata. Signs and decrypts."
		case signin.KeyOld:
			row.State, row.Usage = console.Badge{Tone: console.ToneQuiet, Text: "Old"}, "No longer in the metadata. Still decrypts."
			s.MakeURL, s.RemoveURL = "", v.url(root+"keys/remove")
		}
		s.Rows = append(s.Rows, row)
	}
	return s, nil
}

func (p *Pages) makeKey(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.MakeKey(r.Context(), v.Site, v.actorLabel()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The key is made. Give this site's metadata to the identity provider."))
}

func (p *Pages) useKey(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.UseKey(r.Context(), v.Site, v.actorLabel()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The new key is in use. Give this site's metadata to the identity provider again, so that it encrypts for the new key."))
}

func (p *Pages) removeOldKey(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.RemoveOldKey(r.Context(), v.Site, v.actorLabel()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The old key is removed."))
}
