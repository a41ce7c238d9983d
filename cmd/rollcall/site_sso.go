package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

func (c *command) siteSSO() *cobra.Command {
	return groupCommand("sso", "Single sign-on with an identity provider (SAML or OpenID Connect)", c.siteSSOShow(), c.siteSSOSet(), c.siteSSOMetadata(), c.siteSSORotateKey(), c.siteSSOUnlink(), c.siteSSORecoveryCodes())
}

// ssoJSON is a site's connection to its identity provider in --json output.
type ssoJSON struct {
	Site             string            `json:"site"`
	Mode             signin.Mode       `json:"mode"`
	Protocol         signin.Protocol   `json:"protocol"`
	RedirectURI      string            `json:"redirectUri"`           // the address that receives the answers of an OpenID provider
	SignedOutURI     string            `json:"postLogoutRedirectUri"` // the address to which an OpenID provider redirects after a sign-out
	Issuer           string            `json:"issuer"`
	ClientID         string            `json:"clientId"`
	HasClientSecret  bool              `json:"hasClientSecret"`
	EntityID         string            `json:"entityId"`
	ReplyURL         string            `json:"replyUrl"`
	IdentityProvider string            `json:"identityProvider"` // the entity id of the SAML identity provider; empty if no metadata has been imported yet
	SignInURL        string            `json:"signInUrl"`
	Certificates     []certificateJSON `json:"certificates"`
	Claims           object            `json:"claims"`
	UserNameMatches  string            `json:"userNameMatches"`
	CreatesAccounts  bool              `json:"createsAccounts"`
	Unsolicited      bool              `json:"unsolicited"`
	SignsRequests    bool              `json:"signsRequests"`
	SignsOut         bool              `json:"signsOut"`
	Keys             []samlKeyJSON     `json:"keys"`
}

// samlKeyJSON is a SAML key of a site in --json output.
type samlKeyJSON struct {
	SHA256 string          `json:"sha256"`
	State  signin.KeyState `json:"state"`
	Made   string          `json:"made"`
}

// certificateJSON is a certificate of the identity provider in --json output.
type certificateJSON struct {
	SHA256 string `json:"sha256"`
	Ends   string `json:"ends"`
}

func (c *command) siteSSOShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SITE", Short: "Show what the identity provider needs, and what is known of it", Args: exactArguments("SITE"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.printSSO(cmd.Context(), s, st)
		}),
	}
}

func (c *command) printSSO(ctx context.Context, s *services, st site.Site) error {
	n, err := s.sso.Connection(ctx, st)
	if err != nil {
		return err
	}
	keys, err := s.sso.SiteKeys(ctx, st)
	if err != nil {
		return err
	}
	sp, client := s.sso.ServiceProvider(st.Name, n), s.sso.OpenIDClient(st.Name, n)
	claims, identifier := n.Claims, saml.NameID
	if n.Protocol == signin.OpenID {
		claims, identifier = saml.Claims(n.OpenID.Claims), oidc.Subject
	}
	out := ssoJSON{
		Site: st.Name, Mode: n.Mode, Protocol: n.Protocol, RedirectURI: client.RedirectURL, SignedOutURI: s.sso.SignedOutURL(st.Name), Issuer: n.OpenID.Issuer, ClientID: n.OpenID.ClientID, HasClientSecret: len(n.OpenID.Sealed) > 0, EntityID: sp.EntityID, ReplyURL: sp.ACS, IdentityProvider: n.Provider.EntityID, SignInURL: n.Provider.SignInURL,
		Certificates: []certificateJSON{}, UserNameMatches: st.MatchesUserName, CreatesAccounts: n.Creates, Unsolicited: n.Unsolicited,
		SignsRequests: n.SignRequests, SignsOut: n.SignsOut, Keys: []samlKeyJSON{},
		Claims: object{
			{"userIdentifier", valueOr(claims.UserIdentifier, identifier)},
			{"displayName", claims.DisplayName},
			{"email", claims.Email},
			{"jobTitle", claims.JobTitle},
			{"department", claims.Department},
		},
	}
	for _, cert := range n.Provider.Certificates {
		out.Certificates = append(out.Certificates, certificateJSON{saml.Fingerprint(cert), formatJSONTime(cert.NotAfter)})
	}
	for _, k := range keys {
		out.Keys = append(out.Keys, samlKeyJSON{saml.Fingerprint(k.Certificate), k.State, formatJSONTime(k.Made)})
	}
	return c.print(out, func(w io.Writer) {
		line := func(name, value string) { fmt.Fprintf(w, "%-24s %s\n", name, value) }
		line("Single sign-on", string(n.Mode))
		line("Protocol", n.Protocol.String())
		if n.Protocol == signin.OpenID {
			secret := map[bool]string{true: "stored", false: "none yet: rollcall site sso set " + st.Name + " --client-secret-file FILE"}
			line("Redirect URI", client.RedirectURL)
			line("Post-logout redirect URI", s.sso.SignedOutURL(st.Name))
			line("Issuer", valueOr(n.OpenID.Issuer, "not known yet: rollcall site sso set "+st.Name+" --issuer URL"))
			line("Client ID", valueOr(n.OpenID.ClientID, "not known yet: rollcall site sso set "+st.Name+" --client-id ID"))
			line("Client secret", secret[len(n.OpenID.Sealed) > 0])
			line("User identifier", valueOr(claims.UserIdentifier, identifier))
			line("Single sign-out", map[bool]string{true: "offered", false: "off"}[n.SignsOut])
			line("SCIM userName matches", site.MatchesWords(st.MatchesUserName))
			line("First sign-in", map[bool]string{true: "makes the account", false: "makes no account"}[n.Creates])
			return
		}
		line("Identifier (Entity ID)", sp.EntityID)
		line("Reply URL", sp.ACS)
		line("Identity provider", valueOr(n.Provider.EntityID, "not known yet: rollcall site sso set "+st.Name+" --metadata FILE"))
		for _, cert := range n.Provider.Certificates {
			line("Certificate", saml.Fingerprint(cert)[:16]+"… until "+formatJSONTime(cert.NotAfter))
		}
		line("Requests", map[bool]string{true: "signed", false: "not signed"}[n.SignRequests])
		line("Single sign-out", map[bool]string{true: "on", false: "off"}[n.SignsOut])
		for _, k := range keys {
			line("Key of this site", saml.Fingerprint(k.Certificate)[:16]+"… "+string(k.State))
		}
		line("SCIM userName matches", site.MatchesWords(st.MatchesUserName))
		line("First sign-in", map[bool]string{true: "makes the account", false: "makes no account"}[n.Creates])
	})
}

func valueOr(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// ssoFlags hold the values of the flags of `site sso set`.
type ssoFlags struct {
	metadata, mode, matches                  string
	protocol, issuer, clientID, clientSecret string
	creates, signs, signsOut                 bool
}

// ssoFlagNames are the names of those flags of `site sso set` that change a setting.
var ssoFlagNames = []string{"metadata", "mode", "matches", "create-accounts", "sign-requests", "single-sign-out", "protocol", "issuer", "client-id", "client-secret-file"}

func (c *command) siteSSOSet() *cobra.Command {
	var f ssoFlags
	cmd := &cobra.Command{
		Use: "set SITE", Short: "Connect a site with its identity provider", Args: exactArguments("SITE"),
		Long: `Changes single sign-on of SITE. --metadata reads the identity provider's metadata
from a file, for SAML; certificates of the same identity provider are added to those
that are known. For OpenID Connect, --issuer, --client-id and --client-secret-file say
what the provider gave, and --protocol oidc uses it. If single sign-on does not work,
--mode off switches it off, and --mode optional lets one-time links (rollcall site
link) open the site for everybody.

The page Single sign-on of the site has more settings, and tests the sign-in. There
an administrator makes single sign-on required.`,
		Example: "  rollcall site sso set acme --metadata federationmetadata.xml --mode optional\n" +
			"  rollcall site sso set acme --protocol oidc --issuer https://login.example.com --client-id 1f0c --client-secret-file secret.txt",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			if !slices.ContainsFunc(ssoFlagNames, func(f string) bool { return cmd.Flags().Changed(f) }) {
				return usagef(cmd, "nothing to set: give at least one of --%s", strings.Join(ssoFlagNames, ", --"))
			}
			if cmd.Flags().Changed("mode") && !slices.Contains([]signin.Mode{signin.SSOOff, signin.SSOOptional}, signin.Mode(f.mode)) {
				return usagef(cmd, "--mode is off or optional, not %q; an administrator of the site makes it required on the page Single sign-on", f.mode)
			}
			if cmd.Flags().Changed("protocol") && !slices.Contains(signin.Protocols, signin.Protocol(f.protocol)) {
				return usagef(cmd, "--protocol is saml or oidc, not %q", f.protocol)
			}
			if cmd.Flags().Changed("matches") && !slices.Contains(site.Matches, f.matches) {
				return usagef(cmd, "--matches is %s, not %q", strings.Join(site.Matches, ", "), f.matches)
			}
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := c.setSSO(cmd, s, st, f); err != nil {
				return err
			}
			if st, err = s.siteByName(cmd.Context(), args[0]); err != nil {
				return err
			}
			return c.printSSO(cmd.Context(), s, st)
		}),
	}
	cmd.Flags().StringVar(&f.metadata, "metadata", "", "file with the identity provider's metadata")
	cmd.Flags().StringVar(&f.mode, "mode", "", "off or optional")
	cmd.Flags().StringVar(&f.matches, "matches", "", "what SCIM's userName equals: "+strings.Join(site.Matches, ", "))
	cmd.Flags().BoolVar(&f.creates, "create-accounts", true, "whether a first sign-in makes the account")
	cmd.Flags().BoolVar(&f.signs, "sign-requests", false, "whether sign-in requests are signed with the site's key; the first time makes the key")
	cmd.Flags().BoolVar(&f.signsOut, "single-sign-out", false, "whether signing out ends the session on the other side too")
	cmd.Flags().StringVar(&f.protocol, "protocol", "", "saml or oidc (OpenID Connect)")
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "issuer of the OpenID provider, such as https://login.microsoftonline.com/TENANT-ID/v2.0")
	cmd.Flags().StringVar(&f.clientID, "client-id", "", "id of this site at the OpenID provider")
	cmd.Flags().StringVar(&f.clientSecret, "client-secret-file", "", "file with the client secret; - is standard input")
	return cmd
}

func (c *command) setSSO(cmd *cobra.Command, s *services, st site.Site, f ssoFlags) error {
	given := cmd.Flags().Changed
	var idp saml.IdentityProvider
	var secret string
	if f.metadata != "" {
		text, err := os.ReadFile(f.metadata)
		if err != nil {
			return err
		}
		if idp, err = saml.ParseMetadata(text); err != nil {
			return fmt.Errorf("%s: %w", f.metadata, err)
		}
	}
	if given("client-secret-file") {
		var err error
		if secret, err = c.readSecret(f.clientSecret); err != nil {
			return err
		}
	}
	_, err := s.sso.SetConnection(cmd.Context(), st, -1, actor, func(n *signin.Connection) error {
		if f.metadata != "" {
			n.UseMetadata(idp, "")
		}
		if given("mode") {
			n.Mode = signin.Mode(f.mode)
		}
		if given("matches") {
			n.Matches = f.matches
		}
		if given("create-accounts") {
			n.Creates = f.creates
		}
		if given("sign-requests") {
			n.SignRequests = f.signs
		}
		if given("single-sign-out") {
			n.SignsOut = f.signsOut
		}
		if given("protocol") {
			n.Protocol = signin.Protocol(f.protocol)
		}
		if given("issuer") {
			n.OpenID.Issuer = f.issuer
		}
		if given("client-id") {
			n.OpenID.ClientID = f.clientID
		}
		n.OpenID.Secret = secret
		return nil
	})
	return err
}

func (c *command) siteSSOMetadata() *cobra.Command {
	return &cobra.Command{
		Use: "metadata SITE", Short: "Print the SAML metadata of a site, for its identity provider", Args: exactArguments("SITE"),
		Long: `Prints the SAML metadata of SITE: its Identifier, its Reply URL, and the certificates
of its keys. The address /c/SITE/auth/saml2/metadata answers everybody, and so names
no key.`,
		Example: "  rollcall site sso metadata acme > acme.xml",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			n, err := s.sso.Connection(cmd.Context(), st)
			if err != nil {
				return err
			}
			sp, err := s.sso.PublicServiceProvider(cmd.Context(), st, n)
			if err != nil {
				return err
			}
			body, err := sp.Metadata()
			if err != nil {
				return err
			}
			_, err = c.stdout.Write(body)
			return err
		}),
	}
}

func (c *command) siteSSORotateKey() *cobra.Command {
	var use, finish bool
	cmd := &cobra.Command{
		Use: "rotate-key SITE", Short: "Make a SAML key for a site, or replace it without a failed sign-in", Args: exactArguments("SITE"),
		Long: `Makes the SAML key of SITE, which signs requests and decrypts assertions. If there is
one already, a new one is announced in the metadata first:
  rollcall site sso rotate-key SITE            announces a new key
  (give the identity provider: rollcall site sso metadata SITE)
  rollcall site sso rotate-key SITE --use      signs with it
  (give the identity provider the metadata again, so that it encrypts for the new key)
  rollcall site sso rotate-key SITE --finish   forgets the old key`,
		Example: "  rollcall site sso rotate-key acme",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			switch {
			case use && finish:
				return usagef(cmd, "--use and --finish exclude each other")
			case use:
				err = s.sso.UseKey(cmd.Context(), st, actor)
			case finish:
				err = s.sso.RemoveOldKey(cmd.Context(), st, actor)
			default:
				err = s.sso.MakeKey(cmd.Context(), st, actor)
			}
			if err != nil {
				return err
			}
			return c.printSSO(cmd.Context(), s, st)
		}),
	}
	cmd.Flags().BoolVar(&use, "use", false, "sign with the announced key")
	cmd.Flags().BoolVar(&finish, "finish", false, "forget the old key")
	return cmd
}

func (c *command) siteSSOUnlink() *cobra.Command {
	return &cobra.Command{
		Use: "unlink SITE USERNAME", Short: "Forget by which user identifier a person signs in", Args: exactArguments("SITE", "USERNAME"),
		Long: `Forgets the user identifier of a person, and ends the person's sessions. The next
sign-in with a matching userName links another one. It is for people who have a
new user identifier at the identity provider.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r := s.rosters.Open(st)
			p, err := r.PersonByUserName(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			had, err := r.Unlink(cmd.Context(), p.ID, roster.Change{Actor: actor, Via: roster.ViaAdmin})
			if err != nil {
				return err
			}
			return c.print(map[string]any{"userName": p.UserName, "unlinked": had}, func(w io.Writer) {
				if had {
					fmt.Fprintf(w, "%s has no user identifier any more; sessions ended.\n", p.UserName)
					return
				}
				fmt.Fprintf(w, "%s had no user identifier.\n", p.UserName)
			})
		}),
	}
}

func (c *command) siteSSORecoveryCodes() *cobra.Command {
	return &cobra.Command{
		Use: "recovery-codes SITE USERNAME", Short: "Make recovery codes for an administrator, and print them", Args: exactArguments("SITE", "USERNAME"),
		Long: `Makes ten codes for an administrator of SITE, and prints them, one a line. Each opens
the site once, at /c/SITE/recover, if single sign-on does not work. They are shown
once; earlier codes of the same administrator open nothing any more.`,
		Example: "  (umask 077; rollcall site sso recovery-codes acme kim@acme.example > codes.txt)",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p, err := s.rosters.Open(st).PersonByUserName(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			set, err := s.sso.RecoverySet(cmd.Context(), st, p.ID)
			if err != nil {
				return err
			}
			codes, err := s.sso.MakeRecoveryCodes(cmd.Context(), st, p, set.Made, actor)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"userName": p.UserName, "codes": codes}, func(w io.Writer) {
				for _, code := range codes {
					fmt.Fprintln(w, code)
				}
			})
		}),
	}
}
