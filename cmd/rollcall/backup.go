package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func (c *command) backupCommand() *cobra.Command {
	var overwrite bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write a verified copy of a SQLite database, also while it is served", Args: exactArguments("FILE"),
		Long: `Writes the database as it is at one moment into FILE, with mode 0600. Servers and
commands go on meanwhile. The copy is read whole and checked, and FILE appears when
it is on disk. The key that opens stored Secret Tokens is not in it: keep the key
file too, apart from the copy.

A PostgreSQL database is copied by pg_dump.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.checkAddresses(cmd); err != nil {
				return err
			}
			return c.backup(cmd.Context(), args[0], overwrite)
		},
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace FILE if it exists")
	return cmd
}

// backupOutput is the output of `backup`.
type backupOutput struct {
	File        string `json:"file"`
	Bytes       int64  `json:"bytes"`
	Version     int64  `json:"version"`
	NewestEvent string `json:"newestEvent"`
	KeyFile     string `json:"keyFile"`
}

func (c *command) backup(ctx context.Context, file string, overwrite bool) (err error) {
	if sqldb.Kind(c.database) == sqldb.PostgreSQL {
		return fmt.Errorf("backup copies SQLite files. PostgreSQL has a tool for this: pg_dump --format=custom --file=%s '%s'. Keep the key file too, apart from the copy", file, withoutPassword(c.database))
	}
	if isMissing(c.database) {
		return c.noDatabaseYet()
	}
	// Do not migrate the database: a copy made before an upgrade must keep the old version.
	db, err := store.Open(ctx, c.database, store.Options{Log: warningLogger(c.stderr), Now: c.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	made, err := db.Backup(ctx, file, overwrite)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; name another file, or replace it with --overwrite", file)
	}
	if err != nil {
		return err
	}
	key, err := c.keyPath(db)
	if err != nil {
		return err
	}
	return c.print(backupOutput{made.File, made.Bytes, made.Version, formatJSONTime(made.Newest), key}, func(w io.Writer) {
		fmt.Fprintf(w, "Copied %s to %s: %d KiB, version %d, newest event %s. It was read back and is whole.\n", db.File(), made.File, made.Bytes/1024, made.Version, c.formatTime(made.Newest))
		fmt.Fprintf(w, "The key is not in it. Keep %s too, apart from the copy.\n", key)
	})
}

// withoutPassword removes the password from the URL of a database.
func withoutPassword(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		return "postgres://…"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for name := range q {
		if strings.Contains(name, "password") {
			q.Del(name)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// restoreFlags holds the values of the flags --yes, --end-tokens and --without-key of `restore`.
type restoreFlags struct {
	yes, endTokens, withoutKey bool
}

func (c *command) restoreCommand() *cobra.Command {
	var o restoreFlags
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a copy in the place of a SQLite database that is not served", Args: exactArguments("FILE"),
		Long: `Checks the copy, brings it up to date, and puts it in the place of the database. The
server must be stopped. The database that was there is kept beside it under another
name. The key file must be the one that was kept with the copy.

Sessions and one-time links of the copy are ended: some of them had been ended since
it was made. Tokens that were revoked since are live again; they are listed, and
--end-tokens revokes every token of the copy.

A PostgreSQL database is restored by pg_restore.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.checkAddresses(cmd); err != nil {
				return err
			}
			if sqldb.Kind(c.database) == sqldb.PostgreSQL {
				return fmt.Errorf("restore copies SQLite files. PostgreSQL has a tool for this; stop every server, then: pg_restore --clean --if-exists --no-owner --dbname='%s' %s", withoutPassword(c.database), args[0])
			}
			return c.restore(cmd, args[0], o)
		},
	}
	yesFlag(cmd, &o.yes)
	cmd.Flags().BoolVar(&o.endTokens, "end-tokens", false, "revoke every SCIM token of the copy; identity providers need new ones")
	cmd.Flags().BoolVar(&o.withoutKey, "without-key", false, "restore although the key file does not open every Secret Token of the copy")
	return cmd
}

// liveToken is a token that is live after the restore.
type liveToken struct {
	Site  string `json:"site"`
	Token string `json:"token"`
	Last4 string `json:"last4"`
	Ended bool   `json:"wasEnded"` // whether the token was revoked or expired in the replaced database
}

// restoreOutput is the output of `restore`.
type restoreOutput struct {
	File          string      `json:"file"`
	From          string      `json:"from"` // the path of the copy
	KeptDatabase  string      `json:"kept"` // the new path of the replaced database; empty if there was none
	Version       int64       `json:"version"`
	NewestEvent   string      `json:"newestEvent"`
	EndedSessions int64       `json:"endedSessions"`
	RevokedTokens int         `json:"revokedTokens"`
	LiveTokens    []liveToken `json:"liveTokens"`
	unopenedCredentials
}

// unopenedCredentials counts the sealed credentials that the key file cannot open.
type unopenedCredentials struct {
	Tokens   int `json:"secretTokensNotOpened"`
	SAMLKeys int `json:"samlKeysNotOpened"` // counts client secrets of OpenID Connect, too
}

// hasAny reports whether a credential cannot be opened.
func (u unopenedCredentials) hasAny() bool { return u.Tokens+u.SAMLKeys > 0 }

func (u unopenedCredentials) words() string {
	var words []string
	if u.Tokens > 0 {
		words = append(words, phrase.Count(u.Tokens, "Secret Token", "Secret Tokens"))
	}
	if u.SAMLKeys > 0 {
		words = append(words, phrase.Count(u.SAMLKeys, "SAML key or client secret", "SAML keys and client secrets"))
	}
	return strings.Join(words, " and ")
}

func (c *command) restore(cmd *cobra.Command, from string, o restoreFlags) error {
	ctx := cmd.Context()
	path, err := sqldb.Resolve(c.database)
	if err != nil {
		return err
	}
	if err := sqldb.CheckCopy(path, from); err != nil {
		return fmt.Errorf("%w. Nothing was changed", err)
	}
	if !isMissing(c.database) {
		question := fmt.Sprintf("This replaces the database %s by %s. What changed since that copy was made is no longer there; the database of now is kept beside it.", path, from)
		if err := c.confirm(cmd, o.yes, question, "restore"); err != nil {
			return err
		}
	}
	before := c.liveTokens(ctx)
	out := restoreOutput{From: from, LiveTokens: []liveToken{}}
	done, err := store.Restore(ctx, path, from, c.now().UTC().Format("20060102T150405Z"), func(file string, made sqldb.Copy) error {
		return c.prepareCopy(ctx, file, path, from, o, before, &out)
	})
	if errors.Is(err, sqldb.ErrServed) {
		return fmt.Errorf("a server serves %s: stop it first. Nothing was changed", path)
	}
	if err != nil {
		return fmt.Errorf("%w. Nothing was changed", err)
	}
	out.File, out.KeptDatabase, out.Version, out.NewestEvent = done.File, done.KeptAs, done.Version, formatJSONTime(done.Newest)
	return c.print(out, func(w io.Writer) { c.printRestored(w, out, done) })
}

func (c *command) printRestored(w io.Writer, out restoreOutput, done sqldb.Restored) {
	fmt.Fprintf(w, "Restored %s from %s: version %d, newest event %s.\n", out.File, out.From, out.Version, c.formatTime(done.Newest))
	if out.KeptDatabase != "" {
		fmt.Fprintf(w, "The database that was there is kept as %s.\n", out.KeptDatabase)
	}
	fmt.Fprintf(w, "%s of the copy ended, with every one-time link: people sign in again.\n", phrase.Count(int(out.EndedSessions), "session", "sessions"))
	if out.RevokedTokens > 0 {
		fmt.Fprintf(w, "%s revoked. Identity providers need new ones: rollcall token create SITE\n", phrase.Count(out.RevokedTokens, "token was", "tokens were"))
	}
	if len(out.LiveTokens) > 0 {
		fmt.Fprintln(w, "These tokens are live:")
	}
	for _, t := range out.LiveTokens {
		note := ""
		if t.Ended {
			note = fmt.Sprintf("   ended since the copy was made; end it again: rollcall token revoke %s %s", t.Site, t.Last4)
		}
		fmt.Fprintf(w, "  %s …%s%s\n", t.Site, t.Last4, note)
	}
	if out.unopenedCredentials.hasAny() {
		fmt.Fprintf(w, "%s cannot be opened with this key: rollcall key reset --discard-sealed, then enter them again.\n", out.unopenedCredentials.words())
	}
	fmt.Fprintln(w, "Identity providers do not know that the copy is older: restart provisioning there, so that they send everybody again.")
}

// prepareCopy migrates and checks a copy that still has a temporary name.
func (c *command) prepareCopy(ctx context.Context, file, path, from string, o restoreFlags, before map[string]bool, out *restoreOutput) (err error) {
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(ctx, file, store.Options{Log: log, Now: c.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if out.unopenedCredentials, err = c.migrateCopy(ctx, db, path, log); err != nil {
		return err
	}
	if out.unopenedCredentials.hasAny() && !o.withoutKey {
		return fmt.Errorf("%s does not open %s of the copy: put the key file there that was kept with the copy, or name it with --key-file; if that key is lost, add --without-key and enter them again",
			c.keyFor(path), out.unopenedCredentials.words())
	}
	out.EndedSessions, err = store.EndSessions(ctx, db, event.Event{
		Scope: event.Installation(), Name: event.DatabaseRestored, Actor: actor,
		Text: fmt.Sprintf("The database was restored from the copy %s. Every session and one-time link ended.", from),
	})
	if err != nil {
		return err
	}
	sites := &site.Sites{Store: &store.Sites{DB: db}, Now: c.now, NewID: randomID}
	return eachLiveToken(ctx, sites, func(st site.Site, t site.Token) error {
		if o.endTokens {
			out.RevokedTokens++
			return sites.RevokeToken(ctx, st.ID, t.ID, actor)
		}
		out.LiveTokens = append(out.LiveTokens, liveToken{Site: st.Name, Token: t.ID, Last4: t.Last4, Ended: before != nil && !before[t.ID]})
		return nil
	})
}

// migrateCopy migrates a copy. It returns how many Secret Tokens, SAML keys and client secrets
// cannot be opened with the key of the database at path.
func (c *command) migrateCopy(ctx context.Context, db *store.DB, path string, log *slog.Logger) (out unopenedCredentials, err error) {
	version, err := db.Version(ctx)
	if err != nil {
		return out, err
	}
	jobs := &store.Provisioning{DB: db}
	var sealer provision.Sealer = noKey{}
	key, err := seal.Open(c.keyFor(path))
	switch {
	case err == nil:
		sealer = key
	case !errors.Is(err, fs.ErrNotExist):
		return out, err
	}
	if err := c.migrate(ctx, db, jobs, sealer, version, log); err != nil {
		return out, err
	}
	opens, sealed, err := (&provision.Jobs{Store: jobs, Sealer: sealer}).CountOpen(ctx)
	if err != nil {
		return out, err
	}
	out.Tokens = sealed - opens
	opens, sealed, err = (&signin.SingleSignOn{Store: store.SingleSignOn{DB: db}, Sealer: sealer}).CountOpenKeys(ctx)
	out.SAMLKeys = sealed - opens
	return out, err
}

// keyFor returns the path of the key file for the database at path.
func (c *command) keyFor(path string) string {
	if c.keyFile != "" {
		return c.keyFile
	}
	return path + ".key"
}

// liveTokens returns the ids of the tokens that are live in the current database. It returns nil if
// it cannot read the database.
func (c *command) liveTokens(ctx context.Context) map[string]bool {
	if info, err := os.Stat(sqldb.Path(c.database)); err != nil || info.Size() == 0 {
		return nil
	}
	db, err := store.Open(ctx, c.database, store.Options{Now: c.now})
	if err != nil {
		return nil
	}
	defer db.Close() //nolint:errcheck // nothing was written
	live := map[string]bool{}
	sites := &site.Sites{Store: &store.Sites{DB: db}, Now: c.now, NewID: randomID}
	if err := eachLiveToken(ctx, sites, func(_ site.Site, t site.Token) error {
		live[t.ID] = true
		return nil
	}); err != nil {
		return nil
	}
	return live
}

// eachLiveToken calls do for each live token of each site.
func eachLiveToken(ctx context.Context, sites *site.Sites, do func(site.Site, site.Token) error) error {
	all, err := sites.List(ctx)
	if err != nil {
		return err
	}
	for _, st := range all {
		tokens, err := sites.Tokens(ctx, st.ID)
		if err != nil {
			return err
		}
		for _, t := range slices.DeleteFunc(tokens, func(t site.Token) bool { return !t.IsLive(sites.Now()) }) {
			if err := do(st, t); err != nil {
				return err
			}
		}
	}
	return nil
}
