package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/console/directorypages"
	"github.com/rollcall-scim/rollcall/console/sitepages"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/graphapi"
	"github.com/rollcall-scim/rollcall/internal/demosignin"
	"github.com/rollcall-scim/rollcall/internal/fair"
	"github.com/rollcall-scim/rollcall/internal/metrics"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/runner"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/ssoserver"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// shutdownTimeout is how long running requests may take to finish when the server stops.
const shutdownTimeout = 15 * time.Second

// refreshCheckInterval is how often a server checks whether the metadata of identity providers must
// be read again.
const refreshCheckInterval = time.Minute

// driftLimit is how long the search for drift at one application may take. It compares all accounts
// with what provisioning wrote.
const driftLimit = 6 * time.Hour

const (
	// driftWorkers is how many applications a server compares at the same time. Slow applications
	// keep others waiting only if there are at least this many.
	driftWorkers = 8
	// driftGrace is how long a comparison may go on when the server stops. It is short, because the
	// next server begins an interrupted comparison again.
	driftGrace = time.Second
)

// pruneCheckInterval is how often a server checks whether it must prune.
const pruneCheckInterval = time.Minute

// serveFlags holds the values of the flags of `serve`, such as the addresses of the server and the
// intervals of its work.
type serveFlags struct {
	listen   string
	cert     string        // path of the file with the certificate
	key      string        // path of the file with the certificate's key
	proxies  []string      // addresses of trusted proxies
	logAs    string        // the format of the log: "text" or "json"
	interval time.Duration // the time between cycles
	settle   time.Duration // how long a create request whose answer was lost may still be running at the target
	leavers  time.Duration // how long an account of a person who left may wait to be closed
	metrics  string        // the address that serves metrics; "" for none
	contact  string        // a URI to which people report vulnerabilities; "" for no security.txt
	sessions session.Limits
	mail     mailFlags
	operator operatorFlags
}

func (c *command) serveCommand() *cobra.Command {
	o := serveFlags{}
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve sites and directories", Args: exactArguments(),
		Long: `Serves both ends until it is asked to stop (SIGINT, SIGTERM), then finishes what is
under way. While there is no operator it prints a one-time link for the first; where
the output is no terminal, the command that prints one.

TLS comes from --tls-cert and --tls-key, or from a proxy named by --trusted-proxy.
Several processes may serve one PostgreSQL database; they share the work.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", c.env("ROLLCALL_LISTEN", defaultListen), "address and port [ROLLCALL_LISTEN]")
	flags.StringVar(&o.cert, "tls-cert", c.env("ROLLCALL_TLS_CERT", ""), "certificate chain, PEM [ROLLCALL_TLS_CERT]")
	flags.StringVar(&o.key, "tls-key", c.env("ROLLCALL_TLS_KEY", ""), "private key, PEM [ROLLCALL_TLS_KEY]")
	flags.StringArrayVar(&o.proxies, "trusted-proxy", nil, "address or CIDR block whose X-Forwarded headers are believed; may be repeated")
	flags.StringVar(&o.logAs, "log", c.env("ROLLCALL_LOG", "text"), "text or json, on standard error [ROLLCALL_LOG]")
	flags.StringVar(&o.metrics, "metrics-listen", c.env("ROLLCALL_METRICS_LISTEN", ""), "address and port of Prometheus metrics, apart from everything else; off when empty [ROLLCALL_METRICS_LISTEN]")
	flags.StringVar(&o.contact, "security-contact", c.env("ROLLCALL_SECURITY_CONTACT", ""), "e-mail address or https URL for reports of vulnerabilities, shown at /.well-known/security.txt; no such file when empty [ROLLCALL_SECURITY_CONTACT]")
	flags.DurationVar(&o.leavers, "leaver-alarm", provision.DefaultLeaverPatience, "how long an account may wait to be closed before that is an alarm")
	flags.DurationVar(&o.interval, "cycle-interval", 40*time.Minute, "pause between provisioning cycles; a change in a directory starts one at once")
	flags.DurationVar(&o.settle, "create-settle", provision.DefaultSettle, "how long an application may take for a create; one whose answer was lost is looked for then, and after 6 and 24 times as long")
	flags.DurationVar(&o.sessions.Length, "session-length", session.DefaultLength, "how long a sign-in to the pages lasts at most")
	flags.DurationVar(&o.sessions.Idle, "session-idle", session.DefaultIdle, "how long a sign-in to the pages lasts without use")
	c.addMailFlags(flags, &o.mail)
	c.addOperatorFlags(flags, &o.operator)
	return cmd
}

func (c *command) serve(cmd *cobra.Command, o serveFlags) error {
	if err := c.checkAddresses(cmd); err != nil {
		return err
	}
	if o.leavers <= 0 {
		return usagef(cmd, "--leaver-alarm is a time such as 15m, not %s", o.leavers)
	}
	if o.settle <= 0 {
		return usagef(cmd, "--create-settle is a duration such as 5s, not %s", o.settle)
	}
	if o.interval <= 0 {
		return usagef(cmd, "--cycle-interval is a pause such as 40m, not %s", o.interval)
	}
	if err := checkSessions(cmd, o.sessions); err != nil {
		return err
	}
	contact, err := web.ParseContact(o.contact)
	if err != nil {
		return usagef(cmd, "--security-contact: %w", err)
	}
	o.contact = contact
	mailer, err := c.makeMailer(cmd, o.mail)
	if err != nil {
		return err
	}
	provider, err := c.operatorProvider(cmd, o.operator)
	if err != nil {
		return err
	}
	log, err := newLogger(c.stderr, o.logAs)
	if err != nil {
		return usagef(cmd, "--log: %w", err)
	}
	proxies, err := web.ParseProxies(o.proxies)
	if err != nil {
		return usagef(cmd, "--trusted-proxy: %w", err)
	}
	ln, scheme, err := listen(cmd, o, log)
	if err != nil {
		return err
	}
	if c.publicURL == "" {
		c.publicURL = scheme + "://" + browserAddress(ln.Addr())
	}
	shown, err := listenMetrics(o.metrics)
	if err != nil {
		return errors.Join(fmt.Errorf("--metrics-listen: %w", err), ln.Close())
	}
	closeListeners := func(err error) error {
		if shown != nil {
			err = errors.Join(err, shown.Close())
		}
		return errors.Join(err, ln.Close())
	}
	setGarbageLimits()
	w := wiring{log: log, listens: []net.Addr{ln.Addr()}, interval: o.interval, settle: o.settle, leaverPatience: o.leavers, mailer: mailer, operators: provider}
	if shown != nil {
		w.metricsAddress = shown.Addr()
	}
	if sqldb.Kind(c.database) == sqldb.SQLite {
		w.instance = "serve"
	}
	s, err := c.openServices(cmd.Context(), w)
	if err != nil {
		return closeListeners(err)
	}
	if s.isNew {
		log.Info("made a new database", "database", cmp.Or(s.db.File(), s.db.Kind()))
	}
	s.signins.Limits, s.operators.Limits, s.sso.Limits = o.sessions, o.sessions, o.sessions
	if err = s.db.Serve(cmd.Context()); err == nil {
		err = c.printFirstLink(cmd.Context(), s)
	}
	if err != nil {
		return errors.Join(closeListeners(err), s.db.Close())
	}
	if public, err := url.Parse(c.baseURL()); err == nil && public.Scheme == "http" && !outbound.IsLoopbackHost(public.Hostname()) {
		log.Warn("the public URL is not https: tokens and sign-ins travel in clear, and Entra ID takes https alone; use --tls-cert, or a proxy with TLS and --public-url https://…", "public_url", c.baseURL())
	}
	err = c.run(cmd.Context(), s, endpoints{pages: ln, metrics: shown, proxies: proxies, contact: o.contact})
	log.Info("stopped")
	return errors.Join(err, s.db.Close())
}

// newLogger returns a logger that writes to w in the given format, "text" or "json".
func newLogger(w io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, fmt.Errorf("%q is neither text nor json", format)
}

func listen(cmd *cobra.Command, o serveFlags, log *slog.Logger) (ln net.Listener, scheme string, err error) {
	if (o.cert == "") != (o.key == "") {
		return nil, "", usagef(cmd, "--tls-cert and --tls-key go together")
	}
	if ln, err = net.Listen("tcp", o.listen); err != nil {
		return nil, "", err
	}
	if o.cert == "" {
		return ln, "http", nil
	}
	pair, err := readCertificate(o.cert, o.key, log)
	if err != nil {
		return nil, "", errors.Join(err, ln.Close())
	}
	return tls.NewListener(ln, &tls.Config{GetCertificate: pair.currentCertificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), "https", nil
}

// checkPrivate refuses the file of a private key that every account on the machine can read. The
// file's group may read it, because some systems store their keys like that.
func checkPrivate(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("%s can be read by everybody on this machine (mode %04o); make it private: chmod 600 %s", file, mode, file)
	}
	return nil
}

// browserAddress returns the address at which a browser on this machine reaches a listener.
func browserAddress(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil || !ap.Addr().IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", ap.Port())
}

// printFirstLink prints a sign-in link for the first operator. It prints nothing if there is an
// operator already. If a log or a container keeps the output, it prints the command that makes a
// link instead.
func (c *command) printFirstLink(ctx context.Context, s *services) error {
	any, err := s.operators.HasOperators(ctx)
	if err != nil || any {
		return err
	}
	if !c.outputIsTerminal {
		_, err = fmt.Fprintln(c.stdout, "There is no operator yet. This prints a sign-in link for the first one: rollcall operator link")
		return err
	}
	l, err := s.operators.Link(ctx, defaultOperator, actor)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "There is no operator yet. Sign in as the first one, once, within 15 minutes:\n  %s\n", c.baseURL()+l.Path)
	return err
}

// endpoints holds the listeners of a server, and the settings of its public pages.
type endpoints struct {
	pages   net.Listener // the listener for SCIM requests and pages
	metrics net.Listener // the listener for Prometheus metrics; nil for none
	proxies web.Proxies
	contact string               // the contact in security.txt; "" for no such file
	signOn  *demosignin.Provider // the identity provider of the demo's company; nil for none
}

// run serves requests and does background work until ctx ends. Then it waits until running requests
// and the running pieces of background work have finished.
func (c *command) run(ctx context.Context, s *services, on endpoints) error {
	ln, shown := on.pages, on.metrics
	numbers := &gatherer{services: s, now: c.now}
	metered := metrics.New(versionText(), metricFamilies(), numbers.samples)
	lifetime, endPages := context.WithCancel(ctx)
	defer endPages()
	handler, memory, err := c.handler(lifetime, s, on, metered.CountRequest)
	if err != nil {
		return err
	}
	numbers.memory = memory
	if err := c.announce(ctx, s); err != nil {
		return err
	}
	if shown != nil {
		s.log.Info("metrics", "address", shown.Addr().String())
	}
	s.log.Info("serving", "address", ln.Addr().String(), "public_url", c.baseURL(), "database", s.db.Kind(), "version", versionText())
	server := web.NewServer(ln.Addr().String(), handler, s.log)
	server.RegisterOnShutdown(endPages) // open event streams must not hold up the shutdown
	pool, err := s.db.Pool(ctx)
	if err != nil && !errors.Is(err, sqldb.ErrNoPool) {
		return untilDone(ctx, err)
	}
	work := &runner.Runner{
		Kind: provision.LeaseKind, Leases: s.leases, Owner: s.owner, Pool: pool, Advance: s.engine.Advance, Log: s.log, Now: c.now,
	}
	discover := &runner.Runner{
		Kind: provision.DiscoveryKind, Leases: s.leases, Owner: s.owner, Advance: s.engine.AdvanceDiscovery, Log: s.log, Now: c.now,
	}
	drift := &runner.Runner{
		Kind: provision.DriftKind, Leases: s.leases, Owner: s.owner, Log: s.log, Now: c.now, Workers: driftWorkers, Grace: driftGrace, SliceLimit: driftLimit,
		Advance: func(ctx context.Context, key string, _ int64) (time.Time, error) {
			return s.engine.AdvanceDrift(ctx, key, s.owner)
		},
	}
	// The indexing does not use River, even on PostgreSQL. There is rarely anything to index, so a
	// lease is enough to make only one server do it.
	index := &runner.Runner{
		Kind: roster.LeaseKind, Leases: s.leases, Owner: s.owner, Advance: s.rosters.Advance, Log: s.log, Now: c.now,
	}
	prune := &runner.Runner{
		Kind: retention.PruneLease, Leases: s.leases, Owner: s.owner, Advance: s.pruner.Advance, Log: s.log, Now: c.now, LookEvery: pruneCheckInterval,
	}
	remove := &runner.Runner{
		Kind: retention.RemovalLease, Leases: s.leases, Owner: s.owner, Advance: s.pruner.AdvanceRemovals, Log: s.log, Now: c.now,
	}
	refresh := &runner.Runner{
		Kind: signin.RefreshKind, Leases: s.leases, Owner: s.owner, Advance: s.sso.AdvanceRefresh, Log: s.log, Now: c.now, LookEvery: refreshCheckInterval,
	}
	if err := s.leases.Ensure(ctx, signin.RefreshKind, signin.RefreshKey); err != nil {
		return untilDone(ctx, err)
	}
	if err := s.leases.Ensure(ctx, retention.PruneLease, retention.LeaseKey); err != nil {
		return untilDone(ctx, err)
	}
	tell := &runner.Runner{
		Kind: notification.LeaseKind, Leases: s.leases, Owner: s.owner, Advance: s.notifications.Advance, Log: s.log, Now: c.now,
	}
	if s.notifications.Mailer != nil {
		if err := s.leases.Ensure(ctx, notification.LeaseKind, notification.LeaseKey); err != nil {
			return untilDone(ctx, err)
		}
	}
	if err := s.leases.Ensure(ctx, notification.WebhookLeaseKind, notification.LeaseKey); err != nil {
		return untilDone(ctx, err)
	}
	post := &runner.Runner{
		Kind: notification.WebhookLeaseKind, Leases: s.leases, Owner: s.owner, Advance: s.webhooks.Advance, Log: s.log, Now: c.now,
	}
	watch := &provision.Watcher{
		Store: s.engine.Store, Sources: s.openSource, NewestPositions: store.Provisioning{DB: s.db}.NewestPositions, Woken: s.db.CommitSignals(), Now: c.now, Log: s.log,
		Wake: func(ctx context.Context, k provision.Key) error {
			s.engine.Wake(k)
			return work.Wake(ctx, k.String())
		},
	}
	s.lookNow = work.LookNow

	g, gctx := errgroup.WithContext(event.WithActor(ctx, event.Actor{Kind: event.System}))
	serveUntilDone(gctx, g, server, ln, s.log)
	if shown != nil {
		serveUntilDone(gctx, g, web.NewServer(shown.Addr().String(), metered.Handler(s.log), s.log), shown, s.log)
	}
	g.Go(func() error { return untilDone(gctx, work.Run(gctx)) })
	g.Go(func() error { return untilDone(gctx, discover.Run(gctx)) })
	g.Go(func() error { return untilDone(gctx, drift.Run(gctx)) })
	g.Go(func() error { return untilDone(gctx, index.Run(gctx)) })
	g.Go(func() error { return untilDone(gctx, prune.Run(gctx)) })
	g.Go(func() error { return untilDone(gctx, remove.Run(gctx)) })
	g.Go(func() error { return untilDone(gctx, refresh.Run(gctx)) })
	if s.notifications.Mailer != nil {
		g.Go(func() error { return untilDone(gctx, tell.Run(gctx)) })
	}
	g.Go(func() error { return untilDone(gctx, post.Run(gctx)) })
	if s.openID != nil {
		g.Go(func() error { return watchProvider(gctx, s) })
	}
	g.Go(func() error { return c.keepAnnouncing(gctx, s) })
	g.Go(func() error { watch.Run(gctx); return nil })
	clock := &clockWatch{log: s.log, wake: func(ctx context.Context) error {
		for _, kind := range workKinds() {
			if err := s.leases.WakeAll(ctx, kind); err != nil {
				return err
			}
		}
		return nil
	}}
	g.Go(func() error { clock.run(gctx); return nil })
	g.Go(func() error { return untilDone(gctx, s.requests.Run(gctx)) })
	g.Go(func() error { return untilDone(gctx, s.refused.Run(gctx)) })
	err = g.Wait()
	s.waitForPages()
	// Requests that finished during the shutdown have left log rows in memory, so write these rows
	// now.
	return errors.Join(err, s.requests.Flush(context.WithoutCancel(ctx)), s.refused.Flush(context.WithoutCancel(ctx)))
}

// serveUntilDone serves requests until ctx ends. Then it waits for running requests, at most
// shutdownTimeout. It cuts off requests that take longer, such as an endless upload.
func serveUntilDone(ctx context.Context, g *errgroup.Group, server *http.Server, ln net.Listener, log *slog.Logger) {
	g.Go(func() error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err := server.Shutdown(stop)
		if errors.Is(err, context.DeadlineExceeded) {
			log.Warn("requests that did not end in time were cut off", "waited", shutdownTimeout)
			return server.Close()
		}
		return err
	})
}

// untilDone returns nil if err only means that ctx has ended. Otherwise it returns err.
func untilDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// handler returns the handler of SCIM and pages. It recognises SCIM requests by their raw path
// before any mux, because ServeMux would redirect //Users and is case-sensitive. It also returns a
// function that reports how much memory large requests use.
func (c *command) handler(ctx context.Context, s *services, on endpoints, observe func(route, method string, status int, took time.Duration)) (http.Handler, func() fair.Stats, error) {
	pages, err := console.New(console.Options{PublicURL: c.baseURL(), Log: s.log, Now: c.now, Version: versionText(), NewLinks: c.linkHelp, Retention: s.pruner, Events: store.Events{DB: s.db}, Refused: s.refused})
	if err != nil {
		return nil, nil, err
	}
	sites := &sitepages.Pages{Console: pages, Sites: s.sites, Rosters: s.rosters, Requests: s.requests, SignIns: s.signins, SSO: s.sso, FetchMetadata: s.metadata, Events: &store.Events{DB: s.db}, Eraser: s.eraser, LocalProvider: on.signOn != nil}
	directories := &directorypages.Pages{
		Console: pages, Operators: s.operators, OpenID: s.openID, Keys: s.keys, Notifications: s.notifications, Webhooks: s.webhooks, Directories: s.directories, Jobs: s.jobs, Engine: s.engine,
		Sites: s.sites, Rosters: s.rosters, SignIns: s.signins, Eraser: s.eraser, Events: store.Events{DB: s.db}, SignOn: on.signOn,
		ReadUsers: csv.Open, WriteUsers: func(w io.Writer) directorypages.UserWriter { return csv.NewWriter(w) },
		Owner: s.owner, Lifetime: ctx, Live: s.watched,
	}
	s.waitForPages = directories.WaitForBackground
	scim := &scimserver.Handler{
		Sites: s.sites, Rosters: s.rosters, Requests: s.requests, Log: s.log, Now: c.now,
		BaseURL: func(*http.Request) string { return c.baseURL() },
	}

	graph, err := graphapi.New(graphapi.Handler{
		Directories: s.directories, Keys: s.keys, Jobs: s.jobs, Engine: s.engine, Notifications: s.notifications, Owner: s.owner, BaseURL: c.baseURL(), Interval: s.engine.Interval, Now: c.now, Log: s.log,
	})
	if err != nil {
		return nil, nil, err
	}

	mux := http.NewServeMux()
	health := web.Health{Ready: s.db.Ready, Log: s.log}
	health.Register(mux)
	web.SecurityText{Contact: on.contact, PublicURL: c.baseURL(), Now: c.now}.Register(mux)
	mux.Handle("/assets/", pages.Assets())
	mux.Handle("/c/", sites.Handler())
	signOn := signOnEndpoints(s, c.baseURL(), c.now, sites)
	for _, prefix := range ssoserver.Prefixes {
		mux.Handle(prefix, signOn)
	}
	mux.Handle("/d/", directories.Handler())
	mux.Handle(graphapi.Pattern, graph)
	mux.Handle("/d", directories.Handler())
	mux.Handle("/", pages.Front())
	front := web.Front{Proxies: on.proxies, Log: s.log, Now: c.now, Observe: observe}
	return front.Handler(scim.Before(mux)), scim.Memory, nil
}

// signOnEndpoints returns the handler of single sign-on. It uses the pages and cookies of the
// console.
func signOnEndpoints(s *services, publicURL string, now func() time.Time, pages *sitepages.Pages) http.Handler {
	h := &ssoserver.Handler{
		Sites: s.sites, SSO: s.sso, Secure: strings.HasPrefix(publicURL, "https://"), Log: s.log, Now: now,
		Enter: pages.Enter, Administrator: pages.Administrator,
		Show: func(w http.ResponseWriter, r *http.Request, m ssoserver.Message) {
			pages.Console.ShowProblem(w, r, &console.PageError{Status: m.Status, Title: m.Title, Text: m.Text})
		},
	}
	return h.Routes()
}

func (c *command) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the database's tables up to date (serve does it too)", Args: exactArguments(),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			v, err := s.db.Version(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(map[string]int64{"version": v}, func(w io.Writer) { fmt.Fprintf(w, "The database is at version %d.\n", v) })
		}),
	}
}
