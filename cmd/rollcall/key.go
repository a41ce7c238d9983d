package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/store"
)

func (c *command) keyCommand() *cobra.Command {
	return groupCommand("key", "The key that seals stored credentials", c.keyCreate(), c.keyRotate(), c.keyReset())
}

func (c *command) keyCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create FILE", Short: "Make a new key in a file that does not exist yet", Args: exactArguments("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := seal.Create(args[0]); err != nil {
				return err
			}
			return c.print(map[string]string{"created": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "Made the key %s (mode 0600). Give it to every process with --key-file.\n", args[0])
			})
		},
	}
}

func (c *command) keyRotate() *cobra.Command {
	var prepare, finish bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Seal the stored credentials with a new key", Args: exactArguments(),
		Long: `Adds a new key to the key file and seals every stored credential with it. The old
key stays in the file. Running servers read the file again by themselves.

Servers on one machine, or with one shared key file:
  rollcall key rotate
  rollcall key rotate --finish      removes the old key

Servers on several machines, each with a copy of the file:
  rollcall key rotate --prepare     adds the new key without using it
  (copy the key file to every machine)
  rollcall key rotate               starts to use it
  (copy the key file again)
  rollcall key rotate --finish      removes the old key
  (copy the key file again)`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			file, err := c.keyPath(s.db)
			if err != nil {
				return err
			}
			switch {
			case prepare && finish:
				return usagef(cmd, "--prepare and --finish exclude each other")
			case prepare:
				return c.prepareKey(file)
			case finish:
				return c.finishRotation(cmd.Context(), s, file)
			}
			return c.rotateKey(cmd.Context(), s, file)
		}),
	}
	cmd.Flags().BoolVar(&prepare, "prepare", false, "add the new key, but do not use it yet")
	cmd.Flags().BoolVar(&finish, "finish", false, "remove the keys that nothing is sealed with any more")
	return cmd
}

// rotation is the output of `key rotate`.
type rotation struct {
	File     string   `json:"file"`
	Resealed int      `json:"resealed"`
	Lost     []string `json:"cannotBeOpened"` // the names of the jobs, sites and webhooks whose credentials cannot be opened

	// The names in Lost: of jobs, of sites and of webhooks.
	lostTokens, lostSiteSecrets, lostWebhooks []string
}

// prepareKey adds a new key to the key file. Nothing is sealed with it yet.
func (c *command) prepareKey(file string) error {
	if err := seal.Prepare(file); err != nil {
		return err
	}
	return c.print(rotation{File: file, Lost: []string{}}, func(w io.Writer) {
		fmt.Fprintf(w, "A new key is in %s. It opens but does not seal yet. Copy the file to every server, then run: rollcall key rotate\n", file)
	})
}

// rotateKey seals all credentials again with a new key, which it adds to the file unless one was
// prepared.
func (c *command) rotateKey(ctx context.Context, s *services, file string) error {
	if err := seal.Prepare(file); err != nil {
		return err
	}
	if err := seal.Promote(file); err != nil {
		return err
	}
	out, err := resealAll(ctx, s, file)
	if err != nil {
		return err
	}
	return c.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s sealed with a new key in %s.\n", phrase.Count(out.Resealed, "credential is", "credentials are"), file)
		printLost(w, out)
		fmt.Fprintln(w, "The old key stays in the file. When every server has this file, run: rollcall key rotate --finish")
	})
}

// finishRotation seals all credentials again with the new key, and then removes the old keys.
// Sealing again is needed because a server that still used the old keys may have saved a credential
// since the rotation.
func (c *command) finishRotation(ctx context.Context, s *services, file string) error {
	out, err := resealAll(ctx, s, file)
	if err != nil {
		return err
	}
	if len(out.lostTokens) > 0 {
		return fmt.Errorf("the Secret Token of %s cannot be opened with any key of %s; enter it again or remove the application, then run this again", out.lostTokens[0], file)
	}
	if len(out.lostSiteSecrets) > 0 {
		return fmt.Errorf("the SAML key or the client secret of site %s cannot be opened with any key of %s; run rollcall key reset --discard-sealed, then run this again", out.lostSiteSecrets[0], file)
	}
	if len(out.lostWebhooks) > 0 {
		return fmt.Errorf("the secret of the webhook %s cannot be opened with any key of %s; rotate the secret or remove the webhook, then run this again", out.lostWebhooks[0], file)
	}
	if err := seal.Prune(file); err != nil {
		return err
	}
	return c.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds the new key alone. Destroy copies of the old file.\n", file)
	})
}

// resealAll seals all stored credentials again with the newest key.
func resealAll(ctx context.Context, s *services, file string) (rotation, error) {
	done, lost, err := s.jobs.Reseal(ctx)
	if err != nil {
		return rotation{}, err
	}
	keys, lostSites, err := s.sso.ResealKeys(ctx)
	if err != nil {
		return rotation{}, err
	}
	hooks, lostHooks, err := s.webhooks.Reseal(ctx)
	if err != nil {
		return rotation{}, err
	}
	out := rotation{File: file, Resealed: done + keys + hooks}
	if out.lostWebhooks, err = s.webhookNames(ctx, lostHooks); err != nil {
		return rotation{}, err
	}
	if out.lostTokens, err = s.jobNames(ctx, lost); err != nil {
		return rotation{}, err
	}
	for _, id := range lostSites {
		st, err := s.sites.Get(ctx, id)
		if err != nil {
			return rotation{}, err
		}
		if !slices.Contains(out.lostSiteSecrets, st.Name) {
			out.lostSiteSecrets = append(out.lostSiteSecrets, st.Name)
		}
	}
	out.Lost = slices.Concat([]string{}, out.lostTokens, out.lostSiteSecrets, out.lostWebhooks)
	return out, nil
}

// printLost names the credentials that cannot be opened with any key of the file.
func printLost(w io.Writer, r rotation) {
	for _, name := range r.lostTokens {
		fmt.Fprintf(w, "The Secret Token of %s cannot be opened with any key of the file; enter it again.\n", name)
	}
	for _, name := range r.lostSiteSecrets {
		fmt.Fprintf(w, "The SAML key or the client secret of site %s cannot be opened with any key of the file.\n", name)
	}
	for _, name := range r.lostWebhooks {
		fmt.Fprintf(w, "The secret of the webhook %s cannot be opened with any key of the file; rotate it.\n", name)
	}
}

// webhookNames returns the names of webhooks, such as "contoso/hooks.contoso.example".
func (s *services) webhookNames(ctx context.Context, webhooks []notification.Webhook) ([]string, error) {
	named := []string{}
	for _, w := range webhooks {
		h, err := s.directories.OpenByID(ctx, directory.ID(w.Directory))
		if err != nil {
			return nil, err
		}
		named = append(named, h.Directory.Name+"/"+w.Label())
	}
	return named, nil
}

// jobNames returns the names of jobs, such as "contoso/Acme".
func (s *services) jobNames(ctx context.Context, keys []provision.Key) ([]string, error) {
	named := []string{}
	for _, key := range keys {
		h, err := s.directories.OpenByID(ctx, directory.ID(key.Directory))
		if err != nil {
			return nil, err
		}
		app, err := h.Application(ctx, key.App)
		if err != nil {
			return nil, err
		}
		named = append(named, h.Directory.Name+"/"+app.Name)
	}
	return named, nil
}

func (c *command) keyReset() *cobra.Command {
	var discard bool
	cmd := &cobra.Command{
		Use: "reset", Short: "Start over with a new key after the old one was lost", Args: exactArguments(),
		Long: `Makes a new key and removes every stored Secret Token, every SAML key and every
client secret of a site, and the secret of every webhook, because none of them can be
opened any more. Provisioning of each application stops until its Secret Token is
entered again, and sign-ins by OpenID Connect until the client secret is. A site that
signs its SAML requests gets a new key, which its identity provider has to know. Each
webhook is disabled until its secret is rotated and it is enabled again. A key file
that opens what is stored is never replaced.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !discard {
				return usagef(cmd, "--discard-sealed is missing: it confirms that every stored Secret Token, SAML key, client secret and secret of a webhook is removed")
			}
			if err := c.checkAddresses(cmd); err != nil {
				return err
			}
			return c.resetKey(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&discard, "discard-sealed", false, "remove every stored Secret Token, SAML key, client secret and secret of a webhook")
	return cmd
}

func (c *command) resetKey(ctx context.Context) (err error) {
	if isMissing(c.database) {
		return c.noDatabaseYet()
	}
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(ctx, c.database, store.Options{Log: log, Now: c.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	file, err := c.keyPath(db)
	if err != nil {
		return err
	}
	version, err := db.Version(ctx)
	if err != nil {
		return err
	}
	if version == 0 {
		return c.noDatabaseYet()
	}
	jobs := &store.Provisioning{DB: db}
	if sealer, openErr := seal.Open(file); openErr == nil {
		err = c.migrate(ctx, db, jobs, sealer, version, log)
	} else {
		err = db.Migrate(ctx)
	}
	if err != nil {
		return err
	}
	if err := c.replaceLostKey(ctx, db, jobs, file); err != nil {
		return err
	}
	s, err := c.connectServices(ctx, db, wiring{log: log})
	if err != nil {
		return err
	}
	keys, err := s.jobs.DiscardSecrets(ctx, actor)
	if err != nil {
		return err
	}
	discarded, err := s.jobNames(ctx, keys)
	if err != nil {
		return err
	}
	sites, secrets, err := s.sso.DiscardLostKeys(ctx, actor)
	if err != nil {
		return err
	}
	lost, err := s.webhooks.DiscardLost(ctx, actor)
	if err != nil {
		return err
	}
	hooks, err := s.webhookNames(ctx, lost)
	if err != nil {
		return err
	}
	return c.print(map[string]any{"file": file, "discarded": discarded, "sites": append([]string{}, sites...), "clientSecrets": append([]string{}, secrets...), "webhooks": hooks}, func(w io.Writer) {
		fmt.Fprintf(w, "Made a new key: %s. %s removed.\n", file, phrase.Count(len(discarded), "Secret Token was", "Secret Tokens were"))
		for _, name := range discarded {
			fmt.Fprintf(w, "Enter the Secret Token of %s again.\n", name)
		}
		for _, name := range sites {
			fmt.Fprintf(w, "The SAML keys of site %s were removed. If it signs requests, give its identity provider the new metadata: rollcall site sso metadata %s\n", name, name)
		}
		for _, name := range secrets {
			fmt.Fprintf(w, "Enter the client secret of site %s again: rollcall site sso set %s --client-secret-file FILE\n", name, name)
		}
		for _, name := range hooks {
			fmt.Fprintf(w, "The webhook %s is disabled. Rotate its secret, and enable it: rollcall webhook rotate\n", name)
		}
	})
}

// countOpen returns how many Secret Tokens, SAML keys, client secrets and secrets of webhooks are
// stored, and how many of them the sealer can open.
func countOpen(ctx context.Context, db *store.DB, jobs provision.Store, sealer provision.Sealer) (opens, sealed int, err error) {
	opens, sealed, err = (&provision.Jobs{Store: jobs, Sealer: sealer}).CountOpen(ctx)
	if err != nil {
		return 0, 0, err
	}
	openKeys, keys, err := (&signin.SingleSignOn{Store: store.SingleSignOn{DB: db}, Sealer: sealer}).CountOpenKeys(ctx)
	if err != nil {
		return 0, 0, err
	}
	openHooks, hooks, err := (&notification.Webhooks{Store: store.Notifications{DB: db}, Sealer: sealer}).CountOpen(ctx)
	return opens + openKeys + openHooks, sealed + keys + hooks, err
}

// replaceLostKey creates a new key. It renames an existing key file, or returns an error if that
// key still opens stored credentials.
func (c *command) replaceLostKey(ctx context.Context, db *store.DB, jobs provision.Store, file string) error {
	sealer, err := seal.Open(file)
	if err == nil {
		opens, sealed, err := countOpen(ctx, db, jobs, sealer)
		switch {
		case err != nil:
			return err
		case sealed == 0:
			return fmt.Errorf("nothing is sealed in this database; the key %s needs no reset", file)
		case opens > 0:
			return fmt.Errorf("the key %s opens %d of %d credentials, so it is not lost; enter the others again, or use rollcall key rotate", file, opens, sealed)
		}
	}
	if _, statErr := os.Stat(file); statErr == nil {
		aside := file + ".replaced"
		if err := os.Link(file, aside); err != nil {
			return fmt.Errorf("keep the old key file as %s: %w", aside, err)
		}
		if err := os.Remove(file); err != nil {
			return err
		}
		c.note("The key file that was there is kept as %s.", aside)
	} else if !errors.Is(statErr, fs.ErrNotExist) {
		return statErr
	}
	return seal.Create(file)
}
