package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/oidc"
	"github.com/rollcall-scim/rollcall/oidcclient"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/store"
)

// operatorFlags holds the values of the flags that describe the operators' OpenID provider.
type operatorFlags struct {
	issuer     string
	clientID   string
	secretFile string
}

func (c *command) addOperatorFlags(flags *pflag.FlagSet, o *operatorFlags) {
	flags.StringVar(&o.issuer, "operator-issuer", c.env("ROLLCALL_OPERATOR_ISSUER", ""), "issuer of the OpenID provider at which operators sign in; one-time links alone when empty [ROLLCALL_OPERATOR_ISSUER]")
	flags.StringVar(&o.clientID, "operator-client-id", c.env("ROLLCALL_OPERATOR_CLIENT_ID", ""), "id of this installation at that provider [ROLLCALL_OPERATOR_CLIENT_ID]")
	flags.StringVar(&o.secretFile, "operator-client-secret-file", c.env("ROLLCALL_OPERATOR_CLIENT_SECRET_FILE", ""), "file with the client secret of that provider; or the secret itself in ROLLCALL_OPERATOR_CLIENT_SECRET [ROLLCALL_OPERATOR_CLIENT_SECRET_FILE]")
}

// openIDSettings are the checked settings of the operators' OpenID provider.
type openIDSettings struct{ issuer, clientID, secret string }

// The largest lengths of a client id and of a client secret, in bytes.
const (
	maxClientID     = 256
	maxClientSecret = 1024
)

// operatorProvider returns the settings that the flags and the environment describe. It returns nil
// if they describe none. The secret in the environment is read here and not as the default of a
// flag, because help shows defaults.
func (c *command) operatorProvider(cmd *cobra.Command, o operatorFlags) (*openIDSettings, error) {
	secret := c.env("ROLLCALL_OPERATOR_CLIENT_SECRET", "")
	if o.issuer == "" && o.clientID == "" && o.secretFile == "" && secret == "" {
		return nil, nil
	}
	switch {
	case o.issuer == "":
		return nil, usagef(cmd, "--operator-issuer is missing: it names the OpenID provider of operators, such as https://login.example.com")
	case o.clientID == "":
		return nil, usagef(cmd, "--operator-client-id is missing: %s gave it when this installation was registered there", o.issuer)
	case o.secretFile == "" && secret == "":
		return nil, usagef(cmd, "--operator-client-secret-file is missing: %s gave the secret when this installation was registered there; it may also be in ROLLCALL_OPERATOR_CLIENT_SECRET", o.issuer)
	case o.secretFile != "" && secret != "":
		return nil, usagef(cmd, "--operator-client-secret-file and ROLLCALL_OPERATOR_CLIENT_SECRET both hold a client secret: give one of them")
	}
	if err := oidc.CheckIssuer(o.issuer); err != nil {
		return nil, usagef(cmd, "--operator-issuer: %w", err)
	}
	if !isPlainWord(o.clientID, maxClientID) {
		return nil, usagef(cmd, "--operator-client-id is not a client id of at most %d bytes: copy it again", maxClientID)
	}
	if o.secretFile != "" {
		if err := checkPrivate(o.secretFile); err != nil {
			return nil, usagef(cmd, "--operator-client-secret-file: %w", err)
		}
		var err error
		if secret, err = c.readSecret(o.secretFile); err != nil {
			return nil, usagef(cmd, "--operator-client-secret-file: %w", err)
		}
	}
	if !isPlainWord(secret, maxClientSecret) {
		return nil, usagef(cmd, "the client secret of operators is not one of at most %d bytes: copy it again", maxClientSecret)
	}
	return &openIDSettings{issuer: o.issuer, clientID: o.clientID, secret: secret}, nil
}

// isPlainWord reports whether text has at most this many bytes and no control characters.
func isPlainWord(text string, most int) bool {
	return len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// operatorSignIn returns the sign-in of operators at their provider. The person who starts the
// server names the provider, so the provider may be on a private network or on this machine.
// Addresses that people type into pages may not be there.
func (c *command) operatorSignIn(s *services, db *store.DB, w wiring) *operator.OpenID {
	o := c.outboundOptions(w.listens, w.metricsAddress)
	o.AllowPrivate, o.AllowLoopback = true, true
	return &operator.OpenID{
		Operators: s.operators, Requests: store.Operators{DB: db}, Providers: oidcclient.New(o, c.now), Refused: s.refused, PublicURL: c.baseURL(),
		Issuer: w.operators.issuer, ClientID: w.operators.clientID, Secret: w.operators.secret,
	}
}

// providerCheckInterval is how often a server asks whether the operators' provider answers. Its
// metadata is kept for an hour, so the provider gets one request in an hour while it answers.
const providerCheckInterval = time.Minute

// watchProvider asks the operators' provider for its metadata again and again, until ctx ends. It
// logs when the provider begins to answer, and when it stops.
func watchProvider(ctx context.Context, s *services) error {
	const unknown, answers, silent = 0, 1, 2
	state := unknown
	tick := time.NewTicker(providerCheckInterval)
	defer tick.Stop()
	for {
		switch err := s.openID.Check(ctx); {
		case ctx.Err() != nil:
			return nil
		case err == nil && state != answers:
			state = answers
			s.log.Info("operators can sign in with OpenID Connect", "issuer", s.openID.Issuer, "redirect_uri", s.openID.Client().RedirectURL)
		case err != nil && state != silent:
			state = silent
			s.log.Warn("operators cannot sign in with OpenID Connect, only with one-time links: the provider is asked again every minute", "issuer", s.openID.Issuer, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// identityJSON is an identity of an operator in --json output.
type identityJSON struct {
	ID       string `json:"id"`
	Issuer   string `json:"issuer"`
	Subject  string `json:"subject"`
	Email    string `json:"email,omitempty"`
	Linked   string `json:"linked"`
	LastUsed string `json:"lastUsed,omitempty"`
}

func (c *command) operatorIdentities() *cobra.Command {
	return &cobra.Command{
		Use: "identities NAME", Short: "List the identities that sign in an operator", Args: exactArguments("NAME"),
		Long: `Lists the identities at the OpenID provider that sign in the operator NAME. Operators
link them on the page My account.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			all, err := s.operators.Identities(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			out := []identityJSON{}
			lines := [][]string{}
			for _, i := range all {
				out = append(out, identityJSON{ID: i.ID, Issuer: i.Issuer, Subject: i.Subject, Email: i.Email, Linked: formatJSONTime(i.Linked), LastUsed: formatJSONTime(i.LastUsed)})
				lines = append(lines, []string{i.ID, i.Email, i.Subject, i.Issuer, c.formatTime(i.Linked), c.formatTime(i.LastUsed)})
			}
			return c.print(map[string]any{"identities": out}, func(w io.Writer) {
				printTable(w, args[0]+" has no linked identity.", []string{"Id", "E-mail", "Subject", "Issuer", "Linked", "Last used"}, lines)
			})
		}),
	}
}

func (c *command) operatorUnlink() *cobra.Command {
	return &cobra.Command{
		Use: "unlink NAME IDENTITY", Short: "Remove an identity that signs in an operator", Args: exactArguments("NAME", "IDENTITY"),
		Long: `Removes an identity of the operator NAME. IDENTITY is an id that "operator identities"
lists. The identity no longer signs anyone in. Sessions go on; "operator sign-out"
ends them.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			i, err := s.operators.Unlink(cmd.Context(), args[0], args[1], actor)
			if err != nil {
				return err
			}
			return c.print(map[string]string{"operator": args[0], "unlinked": i.ID}, func(w io.Writer) {
				fmt.Fprintf(w, "%s no longer signs in %s. Sessions go on; rollcall operator sign-out ends them.\n", i.Label(), args[0])
			})
		}),
	}
}
