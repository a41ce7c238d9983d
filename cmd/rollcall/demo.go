package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/demosignin"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// The demo's sample company, and the accounts that exist at the demo's site from the start.
var (
	//go:embed demo/contoso.csv
	demoUsers []byte
	//go:embed demo/acme.csv
	demoPeople []byte
)

// The names in the demo: its site, its directory, its application, and three people.
const (
	demoSite          = "acme"
	demoDirectory     = "contoso"
	demoApplication   = "Acme"
	demoAdministrator = "kim@contoso.example"
	demoPerson        = "liam@contoso.example"
	demoLeaver        = "fiona@contoso.example" // the user who is softly deleted; the other people who left are only disabled
)

// demoOutput is the output of the demo.
type demoOutput struct {
	URL           string `json:"url"`
	SignIn        string `json:"signIn"` // the address of the company's identity provider
	Operator      string `json:"operator"`
	Administrator string `json:"administrator"`
	Person        string `json:"person"`
	Site          string `json:"site"`
	TenantURL     string `json:"tenantUrl"`
	Directory     string `json:"directory"`
	Application   string `json:"application"`
	Database      string `json:"database"`
	KeyFile       string `json:"keyFile"`
	Done          bool   `json:"done"` // whether the demo has already done the steps of the guide
}

func (c *command) demoCommand() *cobra.Command {
	var address string
	var done bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Show both ends with a sample company, in a temporary database", Args: exactArguments(),
		Long: `Serves a site (acme) and a company's directory (contoso, about 40 people) from a
temporary database, prints sign-in links for an operator, an administrator and an
ordinary person, and says what to do first. Enter prints new links. Ctrl-C stops it
and removes everything.

It also serves the sign-in page of the company, an identity provider like Entra ID. That
page has no passwords, so it listens on this machine alone.

With --done the whole guide "Configure SCIM with Entra ID" has been followed already.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.demo(cmd, address, done) },
	}
	cmd.Flags().StringVar(&address, "listen", "", "address and port (default "+defaultListen+", or a free port when that is taken)")
	cmd.Flags().BoolVar(&done, "done", false, "start after the guide's last step")
	return cmd
}

func (c *command) demo(cmd *cobra.Command, address string, done bool) (err error) {
	dir, err := os.MkdirTemp("", "rollcall-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ln, err := demoListen(address)
	if err != nil {
		return err
	}
	idp, err := demosignin.Listen(demoSignInPort(address))
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	c.database, c.keyFile = filepath.Join(dir, "rollcall.db"), ""
	if c.publicURL == "" {
		c.publicURL = "http://" + browserAddress(ln.Addr())
	}
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := c.openServices(cmd.Context(), wiring{log: log, listens: []net.Addr{ln.Addr()}, instance: "demo"})
	if err != nil {
		return errors.Join(err, ln.Close(), idp.Close())
	}
	defer func() { err = errors.Join(err, s.db.Close()) }()

	if err := s.db.Serve(cmd.Context()); err != nil {
		return errors.Join(err, ln.Close(), idp.Close())
	}
	company, err := c.demoCompany(s, idp)
	if err != nil {
		return errors.Join(err, ln.Close(), idp.Close())
	}
	g, ctx := errgroup.WithContext(cmd.Context())
	c.linkHelp = howToGetLinks
	serveUntilDone(ctx, g, web.NewServer(idp.Addr().String(), company.Handler(log), log), idp, log)
	g.Go(func() error { return c.run(ctx, s, endpoints{pages: ln, signOn: company}) })
	g.Go(func() error {
		d, err := c.fillDemo(ctx, s, company, done)
		if err != nil {
			return untilDone(ctx, err)
		}
		if err := c.print(d, func(w io.Writer) { d.print(w) }); err != nil {
			return err
		}
		c.newLinks(ctx, s, d)
		return nil
	})
	return g.Wait()
}

// demoSignInPort returns the port that the demo tries first for the company's sign-in page.
func demoSignInPort(address string) string {
	if address == "" {
		return "8081"
	}
	return "0"
}

// demoCompany returns the identity provider of the company. Its addresses use the same host as the
// site, so that browsers treat both as the same site and send cookies over plain http.
func (c *command) demoCompany(s *services, at net.Listener) (*demosignin.Provider, error) {
	public, err := url.Parse(c.publicURL)
	if err != nil {
		return nil, err
	}
	return demosignin.New(at.Addr(), public.Hostname(), s.directories, c.now)
}

// howToGetLinks tells people on the demo's pages how to get new links. It names no command, because
// a command would not find the demo's database.
const howToGetLinks = "Press Enter in the terminal where the demo runs: it prints new links."

// newLinks prints new sign-in links each time the user presses Enter. It returns when standard
// input ends.
func (c *command) newLinks(ctx context.Context, s *services, d demoOutput) {
	go func() {
		for lines := bufio.NewScanner(c.stdin); ctx.Err() == nil && lines.Scan(); {
			err := c.demoLinks(ctx, s, &d)
			if err == nil {
				err = c.print(d, func(w io.Writer) { d.printLinks(w) })
			}
			if err != nil && ctx.Err() == nil {
				c.note("rollcall: %v", err)
			}
		}
	}()
}

// demoLinks makes a sign-in link for each of the three people in the guide.
func (c *command) demoLinks(ctx context.Context, s *services, d *demoOutput) error {
	op, err := s.operators.Link(ctx, defaultOperator, actor)
	if err != nil {
		return err
	}
	d.Operator = c.baseURL() + op.Path
	st, err := s.siteByName(ctx, d.Site)
	if err != nil {
		return err
	}
	for who, to := range map[string]*string{demoAdministrator: &d.Administrator, demoPerson: &d.Person} {
		l, err := s.signins.IssueSiteLink(ctx, st, who, actor)
		if errors.Is(err, signin.ErrInactive) || errors.Is(err, signin.ErrSSORequired) { // the guide deactivates people and requires single sign-on
			*to = ""
			continue
		}
		if err != nil {
			return err
		}
		*to = c.baseURL() + l.Path
	}
	return nil
}

// demoListen listens on the given address. If address is empty, it uses the default address, or a
// free port if the default port is taken.
func demoListen(address string) (net.Listener, error) {
	if address != "" {
		return net.Listen("tcp", address)
	}
	if ln, err := net.Listen("tcp", defaultListen); err == nil {
		return ln, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// fillDemo fills the database with the sample company and its site.
func (c *command) fillDemo(ctx context.Context, s *services, company *demosignin.Provider, done bool) (demoOutput, error) {
	st, err := s.sites.Create(ctx, demoSite, site.Documented, actor)
	if err != nil {
		return demoOutput{}, err
	}
	people, err := s.importPeople(ctx, st, bytes.NewReader(demoPeople))
	if err = errors.Join(err, rowErrors(people.Errors)); err != nil {
		return demoOutput{}, err
	}
	h, app, err := s.fillDemoCompany(ctx)
	if err != nil {
		return demoOutput{}, err
	}
	if done {
		if err := connectDemo(ctx, s, st, company, h.Directory.ID, app.ID); err != nil {
			return demoOutput{}, err
		}
		if err := c.followGuide(ctx, s, st, provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}); err != nil {
			return demoOutput{}, err
		}
	}
	d := demoOutput{
		URL: c.baseURL(), SignIn: company.URL(), Site: st.Name, TenantURL: c.tenantURL(st.Name), Directory: h.Directory.Name, Application: app.Name,
		Database: c.database, KeyFile: c.database + ".key", Done: done,
	}
	if err := c.demoLinks(ctx, s, &d); err != nil {
		return demoOutput{}, err
	}
	return d, nil
}

// rowErrors joins the errors of an import's rows.
func rowErrors[E error](rows []E) error {
	all := make([]error, 0, len(rows))
	for _, r := range rows {
		all = append(all, r)
	}
	return errors.Join(all...)
}

func (s *services) fillDemoCompany(ctx context.Context) (*directory.Handle, directory.Application, error) {
	none := directory.Application{}
	d, err := s.directories.Create(ctx, demoDirectory, actor)
	if err != nil {
		return nil, none, err
	}
	h := s.directories.Open(d)
	report, err := importUsers(ctx, h, bytes.NewReader(demoUsers), directory.FileOptions{}, directory.ImportOptions{Actor: actor})
	for _, e := range report.Errors {
		err = errors.Join(err, &e)
	}
	if err != nil {
		return nil, none, err
	}
	app, err := h.CreateApplication(ctx, demoApplication, actor)
	if err != nil {
		return nil, none, err
	}
	var ids []string
	if err := h.EachUser(ctx, directory.UserQuery{}, func(u directory.User) error {
		ids = append(ids, u.ObjectID)
		return nil
	}); err != nil {
		return nil, none, err
	}
	if _, err := h.Assign(ctx, app.ID, ids, actor); err != nil {
		return nil, none, err
	}
	leaver, err := h.UserByUPN(ctx, demoLeaver)
	if err != nil {
		return nil, none, err
	}
	_, err = h.SoftDelete(ctx, leaver.ObjectID, actor)
	return h, app, err
}

// connectDemo connects the site with the company's identity provider, as the first part of the
// guide describes. It also links the administrator's identity, as a test sign-in would.
func connectDemo(ctx context.Context, s *services, st site.Site, company *demosignin.Provider, d directory.ID, app string) error {
	c, err := s.sso.Connection(ctx, st)
	if err != nil {
		return err
	}
	sp := s.sso.ServiceProvider(st.Name, c)
	if err := company.Update(d, app, func(next *demosignin.Settings) error {
		next.Identifier, next.ReplyURL = sp.EntityID, sp.ACS
		return nil
	}); err != nil {
		return err
	}
	idp, err := company.Connection(d, app)
	if err != nil {
		return err
	}
	text, err := company.Metadata(d, app)
	if err != nil {
		return err
	}
	known, err := saml.ParseMetadata(text)
	if err != nil {
		return err
	}
	if _, err := s.sso.SetConnection(ctx, st, -1, actor, func(c *signin.Connection) error {
		c.UseMetadata(known, idp.MetadataURL)
		c.Mode = signin.SSOOptional
		return nil
	}); err != nil {
		return err
	}
	people := s.rosters.Open(st)
	admin, err := people.PersonByUserName(ctx, demoAdministrator)
	if err != nil {
		return err
	}
	if err := people.Link(ctx, admin.ID, roster.Asserted{Issuer: known.EntityID, Identifier: demoAdministrator}, roster.Change{Actor: actor, Via: roster.ViaAdmin}); err != nil {
		return err
	}
	_, err = s.sites.Update(ctx, st.ID, actor, func(next *site.Site) error { next.SetUpLocked = false; return nil })
	return err
}

// followGuide does the steps of the guide, and waits until the first cycle has ended.
func (c *command) followGuide(ctx context.Context, s *services, st site.Site, key provision.Key) error {
	_, secret, err := s.sites.CreateToken(ctx, st.ID, site.TokenRequest{Name: "Entra ID", Actor: actor})
	if err != nil {
		return err
	}
	if _, err := s.sites.Update(ctx, st.ID, actor, func(next *site.Site) error {
		next.ManageRoles = true
		return nil
	}); err != nil {
		return err
	}
	update := provision.FlowTypes(0).With(provision.FlowUpdate, true)
	if _, err := s.jobs.Save(ctx, key, provision.Settings{
		Mode: provision.Automatic, TenantURL: c.tenantURL(st.Name), Secret: &secret, Scope: provision.AssignedOnly, Status: provision.On, Actions: &update,
	}, actor); err != nil {
		return err
	}
	for {
		r, err := s.jobs.Report(ctx, key)
		if err != nil {
			return err
		}
		if q := r.State.Quarantine; q != nil {
			return fmt.Errorf("the first cycle was stopped: %s", q.Message)
		}
		if !r.State.FirstDone.IsZero() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (d demoOutput) print(w io.Writer) {
	fmt.Fprintf(w, `
Rollcall runs at %s, both ends in a temporary database. Ctrl-C stops it and removes everything.
`, d.URL)
	d.printLinks(w)
	d.printSteps(w)
}

func (d demoOutput) printLinks(w io.Writer) {
	fmt.Fprintf(w, `
Sign in (each link opens once, within 15 minutes; the first two work side by side in one browser):

  Operator of the company's end, directory %s
    %s
  Administrator of the application's end, site %s (Kim Adler)
    %s
  Ordinary person of that site (Liam O'Rourke; open it in a private window)
    %s

Press Enter for new links. With single sign-on, people sign in without a link: at %s/c/%s/

`, d.Directory, d.Operator, d.Site, linkOrNote(d.Administrator), linkOrNote(d.Person), d.URL, d.Site)
}

// linkOrNote returns link. If link is empty, it returns a note that the account has no link.
func linkOrNote(link string) string {
	if link == "" {
		return "(no link now: this account is deactivated, or signs in with single sign-on alone)"
	}
	return link
}

func (d demoOutput) printSteps(w io.Writer) {
	if d.Done {
		fmt.Fprintf(w, `The guide has been followed: people of %s sign in to %s with single sign-on, and the application %s
is provisioned into %s.
What to do first:
  1. In a private window open %s/c/%s/, choose single sign-on and pick Isla Moreau: she gets an account.
  2. As the operator, open Users, find Isla Moreau and disable her.
  3. Within seconds the private window's next click is the sign-in page, and signing in again is refused.
  4. See why in both logs: Provisioning logs of the application, Request log of the site.
`, d.Directory, d.Site, d.Application, d.TenantURL, d.URL, d.Site)
		return
	}
	fmt.Fprintf(w, `What to do first:
  1. As the administrator, open Access management, Single sign-on. It shows an Identifier and a Reply URL.
  2. As the operator, open the application %s, Single sign-on: enter both, Save, and copy the App Federation Metadata Url.
  3. As the administrator, import that address, test the sign-in as Kim Adler, link the identity, and choose Optional.
  4. As the administrator, open SCIM integration: tick Enable SCIM, generate a token, copy it.
  5. As the operator, open the application %s, Provisioning, Get started: choose Automatic, enter
       Tenant URL    %s
       Secret Token  the token
     then Test Connection and Save.
  6. Under Mappings set Target Object Actions to just Update, set Provisioning Status to On, and watch the log.

docs/guide.md goes through it with pictures. rollcall demo --done starts after the last step.
`, d.Application, d.Application, d.TenantURL)
}
