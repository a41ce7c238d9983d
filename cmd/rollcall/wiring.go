package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// defaultListen is where `serve` listens, and where links lead, unless told otherwise.
const defaultListen = "127.0.0.1:8080"

// services is every domain wired on one database. Commands and the server use the same.
type services struct {
	db          *store.DB
	log         *slog.Logger
	owner       string // names this process in leases
	sites       *site.Sites
	rosters     *roster.Rosters
	operators   *operator.Operators
	signins     *signin.SignIns
	directories *directory.Directories
	jobs        *provision.Jobs
	engine      *provision.Engine
	leases      store.Leases
}

// wiring is what differs between commands, the server and the demo.
type wiring struct {
	log          *slog.Logger
	allowPrivate bool          // the engine may reach private addresses
	interval     time.Duration // between cycles; 0 is Entra's 40 minutes
	instance     string        // names the installation's one process on SQLite, so that a restart takes its leases back at once
}

// with opens the database around a command.
func (c *command) with(do func(*cobra.Command, *services, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := c.checkPublicURL(cmd); err != nil {
			return err
		}
		s, err := c.openServices(cmd.Context(), wiring{allowPrivate: c.allowPrivate})
		if err != nil {
			return err
		}
		return errors.Join(do(cmd, s, args), s.db.Close())
	}
}

// openServices opens and migrates the database and wires every domain on it.
func (c *command) openServices(ctx context.Context, w wiring) (*services, error) {
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	db, err := store.Open(ctx, c.database, store.Options{Log: w.log, Now: c.now})
	if err != nil {
		return nil, err
	}
	s, err := c.wire(ctx, db, w)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (c *command) wire(ctx context.Context, db *store.DB, w wiring) (*services, error) {
	if err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	sealer, err := c.sealer(db, w.log)
	if err != nil {
		return nil, err
	}
	owner, err := ownerName(w.instance)
	if err != nil {
		return nil, err
	}
	leases := store.Leases{DB: db}
	targets := targetMaker(outbound.New(outbound.Options{AllowPrivate: w.allowPrivate}), c.now)
	s := &services{
		db: db, log: w.log, owner: owner, leases: leases,
		sites:       &site.Sites{Store: &store.Sites{DB: db}, Now: c.now, NewID: randomID},
		rosters:     &roster.Rosters{Store: &store.Rosters{DB: db}, Now: c.now, NewID: roster.NewID},
		operators:   &operator.Operators{Store: &store.Operators{DB: db}, Now: c.now, NewID: randomID},
		directories: &directory.Directories{Store: &store.Directories{DB: db}, Now: c.now, NewID: uuid.NewString},
	}
	s.signins = &signin.SignIns{Store: &store.SignIns{DB: db}, Rosters: s.rosters, Now: c.now}
	jobs := &store.Provisioning{DB: db}
	s.jobs = &provision.Jobs{
		Store: jobs, Sealer: sealer, Targets: targets, Template: guideTemplate,
		Wake: s.wake, Now: c.now, NewID: uuid.NewString,
	}
	s.engine = &provision.Engine{
		Store: jobs, Sources: s.source, Targets: targets, Sealer: sealer, Leases: leases,
		Interval: w.interval, Now: c.now, NewID: uuid.NewString, Log: w.log,
	}
	return s, nil
}

// wake makes a job's lease due, so that whoever serves works on it at once.
func (s *services) wake(ctx context.Context, key provision.Key) error {
	return s.leases.Wake(ctx, provision.LeaseKind, key.String())
}

// source opens the directory that a job reads from.
func (s *services) source(ctx context.Context, id directory.ID) (provision.Source, error) {
	return s.directories.OpenID(ctx, id)
}

// sealer opens the key for stored credentials. Beside a SQLite file it is made once; a PostgreSQL database may be shared by many
// machines, so there the key must be given.
func (c *command) sealer(db *store.DB, log *slog.Logger) (*seal.Sealer, error) {
	if c.keyFile != "" {
		return seal.Open(c.keyFile)
	}
	if db.Kind() == store.PostgreSQL {
		return nil, errors.New("a key is needed to seal stored credentials: give --key-file (or ROLLCALL_KEY_FILE); rollcall key create FILE makes one")
	}
	file := store.Path(c.database) + ".key"
	sealer, made, err := seal.OpenOrCreate(file)
	if err != nil {
		return nil, err
	}
	if made {
		log.Info("made the key that seals stored credentials; keep it with the database", "file", file)
	}
	return sealer, nil
}

// ownerName names this process in leases: a stable name for the server of a SQLite file, else one of its own.
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
	rand.Read(b[:]) // never fails, by its documentation
	return hex.EncodeToString(b[:])
}

// address is how people reach this installation, without a trailing slash.
func (c *command) address() string {
	if c.publicURL == "" {
		return "http://" + defaultListen
	}
	return strings.TrimRight(c.publicURL, "/")
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
