package sitepages

import (
	"net/http"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
)

// siteKeys is the part of the page Single sign-on about the keys of the site.
type siteKeys struct {
	Rows              []siteKeyRow
	Make, Use, Remove string // addresses of the next steps; empty if a step cannot be taken now
	Metadata          string // address from which the metadata is downloaded
}

// siteKeyRow is one key of the site.
type siteKeyRow struct {
	Print string // the start of the fingerprint
	Made  time.Time
	State console.Badge
	Use   string // what the key is used for
}

func (p *Pages) siteKeys(r *http.Request, v *siteVisit) (siteKeys, error) {
	keys, err := p.SSO.SiteKeys(r.Context(), v.Site)
	if err != nil {
		return siteKeys{}, err
	}
	root := "admin/access/authentication/"
	s := siteKeys{Metadata: v.url(root + "metadata"), Make: v.url(root + "keys")}
	for _, k := range keys {
		row := siteKeyRow{Print: saml.Fingerprint(k.Certificate)[:16] + "…", Made: k.Made}
		switch k.State {
		case signin.KeyAnnounced:
			row.State, row.Use = console.Badge{Tone: console.ToneInfo, Text: "Announced"}, "In the metadata. Decrypts, and does not sign yet."
			s.Make, s.Use = "", v.url(root+"keys/use")
		case signin.KeyUsed:
			row.State, row.Use = console.Badge{Tone: console.ToneGood, Text: "In use"}, "In the metadata. Signs and decrypts."
		case signin.KeyOld:
			row.State, row.Use = console.Badge{Tone: console.ToneQuiet, Text: "Old"}, "No longer in the metadata. Still decrypts."
			s.Make, s.Remove = "", v.url(root+"keys/remove")
		}
		s.Rows = append(s.Rows, row)
	}
	return s, nil
}

func (p *Pages) makeKey(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.MakeKey(r.Context(), v.Site, v.actor()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The key is made. Give this site's metadata to the identity provider."))
}

func (p *Pages) useKey(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.UseKey(r.Context(), v.Site, v.actor()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The new key is in use. Give this site's metadata to the identity provider again, so that it encrypts for the new key."))
}

func (p *Pages) removeOldKey(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := p.SSO.RemoveOldKey(r.Context(), v.Site, v.actor()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.ssoURL(signin.SAML), console.DoneNotice("The old key is removed."))
}
