package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/live"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/outbox"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// defaultListen is the address where `serve` listens and to which links lead, unless flags name
// another.
const defaultListen = "127.0.0.1:8080"

// services holds the services of all domain packages, connected to one database. Commands and the
// server both use it.
type services struct {
	db            *store.DB
	log           *slog.Logger
	owner         string // the name of this process as an owner of leases
	isNew         bool   // whether the database was empty when it was opened
	sites         *site.Sites
	requests      *requestlog.Log
	rosters       *roster.Rosters
	operators     *operator.Operators
	openID        *operator.OpenID // signs operators in at their OpenID provider; nil if they sign in only with one-time links
	keys          *operator.Keys   // the API keys of directories
	signins       *signin.SignIns
	sso           *signin.SingleSignOn
	metadata      func(ctx context.Context, address string) ([]byte, error) // returns the metadata of an identity provider from this address
	directories   *directory.Directories
	jobs          *provision.Jobs
	engine        *provision.Engine
	watched       *live.Board // the jobs and plans whose pages are open
	lookNow       func()      // makes the runner look for due jobs now; nil in a process that does not serve
	waitForPages  func()      // waits until all work that pages have started has ended
	leases        store.Leases
	pruner        *retention.Pruner
	eraser        *erasure.Eraser
	notifications *notification.Notifications
	webhooks      *notification.Webhooks
	refused       *event.Refused
}

// wiring holds the options that differ between commands, the server and the demo.
type wiring struct {
	log            *slog.Logger
	listens        []net.Addr    // the addresses on which this process listens; at these addresses, provisioning may reach only SCIM endpoints
	leaverPatience time.Duration // how long an account of a person who left may wait to be closed; 0 means the default
	metricsAddress net.Addr      // the address of the metrics listener, which provisioning may not reach; nil for none
	interval       time.Duration // the time between cycles; 0 means Entra's 40 minutes
	settle         time.Duration // how long a create request whose outcome is unknown may still be running at the target; 0 means five seconds
	readOnly       bool          // whether to create neither a database nor a key file
	mustExist      bool          // whether the database must already exist; if so, none is created
	// instance names the only server of an installation on SQLite, so that the server takes over
	// its own leases immediately after a restart.
	instance  string
	mailer    notification.Mailer // sends notifications; nil for none
	operators *openIDSettings     // the OpenID provider of operators; nil for none
}

// withServices returns a command's function: it opens the database, calls do, and closes the
// database.
func (c *command) withServices(do func(*cobra.Command, *services, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := c.checkAddresses(cmd); err != nil {
			return err
		}
		access := accessOf(cmd)
		s, err := c.openServices(cmd.Context(), wiring{readOnly: access == reads, mustExist: access != creates})
		if err != nil {
			return err
		}
		if s.isNew {
			c.printNewDatabase()
		}
		return errors.Join(do(cmd, s, args), s.db.Close())
	}
}

// openServices opens and migrates the database, and connects the services of all domain packages to
// it.
func (c *command) openServices(ctx context.Context, w wiring) (*services, error) {
	if w.log == nil {
		w.log = warningLogger(c.stderr)
	}
	if w.mustExist && isMissing(c.database) {
		return nil, c.noDatabaseYet()
	}
	db, err := store.Open(ctx, c.database, store.Options{Log: w.log, Now: c.now})
	if err != nil {
		return nil, err
	}
	s, err := c.connectServices(ctx, db, w)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// warningLogger returns a logger for warnings that the user of a command must see. It prints no
// times and no levels.
func warningLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(peopleWriter{w}, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// connectServices builds the services on an open database.
func (c *command) connectServices(ctx context.Context, db *store.DB, w wiring) (*services, error) {
	watched := &live.Board{}
	jobs := &store.Provisioning{DB: db, Changed: func(k provision.Key) { watched.Wake(k.String()) }}
	version, err := db.Version(ctx)
	if err != nil {
		return nil, err
	}
	if w.mustExist && version == 0 {
		return nil, c.noDatabaseYet()
	}
	sealer, err := c.openSealer(ctx, db, jobs, version, w)
	if err != nil {
		return nil, err
	}
	if err := c.migrate(ctx, db, jobs, sealer, version, w.log); err != nil {
		return nil, err
	}
	if err := c.findServer(ctx, store.Leases{DB: db}); err != nil {
		return nil, err
	}
	owner, err := ownerName(w.instance)
	if err != nil {
		return nil, err
	}
	leases := store.Leases{DB: db}
	targets := targetMaker(outbound.New(c.outboundOptions(w.listens, w.metricsAddress)), c.now)
	s := &services{
		db: db, log: w.log, owner: owner, leases: leases, watched: watched, isNew: version == 0,
		sites:       &site.Sites{Store: &store.Sites{DB: db}, Now: c.now, NewID: randomID},
		rosters:     &roster.Rosters{Store: &store.Rosters{DB: db}, Now: c.now, NewID: roster.NewID},
		operators:   &operator.Operators{Store: &store.Operators{DB: db}, Now: c.now, NewID: randomID},
		keys:        &operator.Keys{Store: store.OperatorKeys{DB: db}, Now: c.now, NewID: randomID},
		directories: &directory.Directories{Store: &store.Directories{DB: db}, Now: c.now, NewID: uuid.NewString},
		pruner:      &retention.Pruner{Store: store.Retention{DB: db}, Now: c.now, Log: w.log},
	}
	s.refused = &event.Refused{Recorder: store.Events{DB: db}, Now: c.now, Failed: func(err error) { w.log.Error("refused requests are not in the audit trail", "error", err) }}
	s.requests = &requestlog.Log{Store: &store.RequestLogs{DB: db}, Sites: s.sites, Now: c.now, NewID: randomID}
	s.signins = &signin.SignIns{Store: &store.SignIns{DB: db}, Rosters: s.rosters, Now: c.now}
	s.sso = &signin.SingleSignOn{Store: store.SingleSignOn{DB: db}, Rosters: s.rosters, Sites: s.sites, Now: c.now, PublicURL: c.baseURL(), Refused: s.refused, Sealer: sealer}
	s.metadata = metadataReader(c.outboundOptions(w.listens, w.metricsAddress))
	s.sso.ReadMetadata = s.metadata
	s.sso.OpenID = oidcclient.New(c.outboundOptions(w.listens, w.metricsAddress), c.now)
	if w.operators != nil {
		s.openID = c.operatorSignIn(s, db, w)
	}
	s.notifications = &notification.Notifications{
		Store: store.Notifications{DB: db}, Mailer: w.mailer, PublicURL: c.baseURL(), Now: c.now, NewID: randomID, ExpiringKeys: s.keys.NoteExpiring,
	}
	s.webhooks = &notification.Webhooks{
		Store: store.Notifications{DB: db}, Poster: outbox.Webhooks{Client: outbound.New(c.outboundOptions(w.listens, w.metricsAddress))}, Sealer: sealer, PublicURL: c.baseURL(), Now: c.now, NewID: randomID, ExpiringKeys: s.keys.NoteExpiring,
	}
	s.eraser = &erasure.Eraser{Store: store.Erasures{DB: db}, Rosters: s.rosters, Now: c.now}
	s.jobs = &provision.Jobs{
		Store: jobs, Sealer: sealer, Targets: targets, Template: guideTemplate,
		Wake: s.wakeJob, LeaverPatience: w.leaverPatience, Now: c.now, NewID: uuid.NewString, Applications: s.applicationName, Events: store.Events{DB: db},
		Sources: s.openSource, Attributes: source.UserAttributes{}, GroupAttributes: source.GroupAttributes{},
	}
	s.engine = &provision.Engine{
		Store: jobs, Plans: jobs, Drifts: jobs, Discoveries: jobs, Sources: s.openSource, Targets: targets, Sealer: sealer, Leases: leases,
		Interval: w.interval, Settle: w.settle, LeaverPatience: w.leaverPatience, Now: c.now, NewID: uuid.NewString, Log: w.log, Applications: s.applicationName, Attributes: source.UserAttributes{},
	}
	return s, nil
}

// applicationName returns the name of an application.
func (s *services) applicationName(ctx context.Context, key provision.Key) (string, error) {
	h, err := s.directories.OpenByID(ctx, directory.ID(key.Directory))
	if err != nil {
		return "", err
	}
	app, err := h.Application(ctx, key.App)
	return app.Name, err
}

// outboundOptions returns the options that limit which addresses provisioning may reach.
// Provisioning may reach this machine if people reach the installation over loopback, or if a flag
// allows it.
func (c *command) outboundOptions(listens []net.Addr, closed net.Addr) outbound.Options {
	public, err := url.Parse(c.baseURL())
	local := err == nil && outbound.IsLoopbackHost(public.Hostname())
	o := outbound.Options{AllowPrivate: c.allowPrivate, AllowLoopback: c.allowLoopback || local}
	for _, l := range listens {
		if ap, err := netip.ParseAddrPort(l.String()); err == nil {
			o.SCIMListeners = append(o.SCIMListeners, ap)
		}
	}
	if closed != nil {
		if ap, err := netip.ParseAddrPort(closed.String()); err == nil {
			o.ForbiddenListeners = append(o.ForbiddenListeners, ap)
		}
	}
	return o
}

// wakeJob makes a job's lease due, so that a server works on the job at once.
func (s *services) wakeJob(ctx context.Context, key provision.Key) error {
	if s.lookNow != nil {
		defer s.lookNow()
	}
	return s.leases.Wake(ctx, provision.LeaseKind, key.String())
}

// openSource opens the directory that a job reads.
func (s *services) openSource(ctx context.Context, id provision.SourceID) (provision.Source, error) {
	return source.Opener(s.directories.OpenByID)(ctx, id)
}

// Versions of the database that need special care.
const (
	versionOfJobs         = 6   // the first version that has the table of jobs
	versionOfSiteKeys     = 71  // the first version that has the table of SAML keys
	versionOfOpenID       = 78  // the first version that has client secrets of OpenID Connect
	versionOfWebhooks     = 103 // the first version that has webhooks
	versionOfBoundSecrets = 13  // the first version that seals each Secret Token for the origin of its Tenant URL
)

// migrate migrates the database. If the old version is older than versionOfBoundSecrets, it also
// seals the Secret Tokens again, for the origin of their Tenant URL.
func (c *command) migrate(ctx context.Context, db *store.DB, jobs provision.Store, sealer provision.Sealer, version int64, log *slog.Logger) error {
	if version >= versionOfJobs && version < versionOfBoundSecrets {
		_, lost, err := (&provision.Jobs{Store: jobs, Sealer: sealer, Now: c.now}).BindSecrets(ctx)
		if err != nil {
			return err
		}
		for _, key := range lost {
			log.Warn("a Secret Token cannot be opened with this key; enter it again", "job", key.String())
		}
	}
	return db.Migrate(ctx)
}

// openSealer opens the key for stored credentials. With SQLite it creates the key file next to the
// database if there is none yet. With PostgreSQL the user must give the key, because several
// machines may share the database.
func (c *command) openSealer(ctx context.Context, db *store.DB, jobs provision.Store, version int64, w wiring) (provision.Sealer, error) {
	file, err := c.keyPath(db)
	if err != nil && w.readOnly {
		return noKey{}, nil // this command needs no key
	}
	if err != nil {
		return nil, err
	}
	sealer, err := seal.Open(file)
	if !errors.Is(err, fs.ErrNotExist) || c.keyFile != "" {
		return sealer, err
	}
	if version >= versionOfJobs {
		sealed, err := countSealed(ctx, db, jobs, version)
		if err != nil {
			return nil, err
		}
		if sealed > 0 {
			return nil, &lostKeyError{file: file, sealed: sealed}
		}
	}
	if w.readOnly {
		return noKey{}, nil
	}
	sealer, made, err := seal.OpenOrCreate(file)
	if err != nil {
		return nil, err
	}
	if made {
		w.log.Info("made the key that seals stored credentials; keep it with the database", "file", file)
	}
	return sealer, nil
}

// countSealed returns how many Secret Tokens, SAML keys, client secrets and secrets of webhooks are
// sealed in the database. version is the version of the database.
func countSealed(ctx context.Context, db *store.DB, jobs provision.Store, version int64) (int, error) {
	tokens, err := jobs.Secrets(ctx)
	if err != nil || version < versionOfSiteKeys {
		return len(tokens), err
	}
	keys, err := store.SingleSignOn{DB: db}.AllSiteKeys(ctx)
	if err != nil || version < versionOfOpenID {
		return len(tokens) + len(keys), err
	}
	secrets, err := store.SingleSignOn{DB: db}.AllSecrets(ctx)
	if err != nil || version < versionOfWebhooks {
		return len(tokens) + len(keys) + len(secrets), err
	}
	webhooks, err := store.Notifications{DB: db}.AllWebhooks(ctx)
	return len(tokens) + len(keys) + len(secrets) + len(webhooks), err
}

// keyPath returns the path of the key file: the given path, or the default path next to a SQLite
// file.
func (c *command) keyPath(db *store.DB) (string, error) {
	switch {
	case c.keyFile != "":
		return c.keyFile, nil
	case db.Kind() == sqldb.PostgreSQL:
		return "", errors.New("a key is needed to seal stored credentials: give --key-file (or ROLLCALL_KEY_FILE); rollcall key create FILE makes one")
	}
	return db.File() + ".key", nil
}

// lostKeyError says that the key file is missing although stored credentials need it. So no new key
// is created in its place.
type lostKeyError struct {
	file   string // the path of the missing key file
	sealed int    // how many stored credentials the lost key sealed
}

func (e *lostKeyError) Error() string {
	return fmt.Sprintf("the key file %s is missing, and %s in the database can be opened with it alone; put the file back or name it with --key-file; if it is lost: rollcall key reset --discard-sealed",
		e.file, phrase.Count(e.sealed, "credential", "credentials"))
}

// ownerName returns the name of this process as an owner of leases. It is the same after a restart
// for the server of a SQLite file, and unique for all other processes.
func ownerName(instance string) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("read host name: %w", err)
	}
	if instance != "" {
		return host + "/" + instance, nil
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), randomID()[:8]), nil
}

// randomID returns 128 random bits as 32 hexadecimal digits.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // rand.Read never fails
	return hex.EncodeToString(b[:])
}

// baseURL returns the URL at which people reach this installation, without a slash at the end.
func (c *command) baseURL() string {
	if c.publicURL == "" {
		return "http://" + defaultListen
	}
	return strings.TrimRight(c.publicURL, "/")
}

// checkAddresses checks the database and the public URL from flags or environment.
func (c *command) checkAddresses(cmd *cobra.Command) error {
	database, err := sqldb.ParseURL(c.database)
	if err != nil {
		return usagef(cmd, "--database: %w", err)
	}
	c.database = database
	return c.checkPublicURL(cmd)
}

func (c *command) checkPublicURL(cmd *cobra.Command) error {
	if c.publicURL == "" {
		return nil
	}
	u, err := url.Parse(c.publicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
		return usagef(cmd, "--public-url %q is not an address such as https://people.example.com", c.publicURL)
	}
	return nil
}
