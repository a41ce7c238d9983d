package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) appCommand() *cobra.Command {
	return group("app", "Enterprise applications of a directory",
		c.appCreate(), c.appList(), c.appAssign(), c.appUnassign(), c.appSet(), c.appExportSchema(), c.appImportSchema())
}

// jobFlags are the settings of provisioning that `app create` and `app set` share.
type jobFlags struct {
	tenantURL, secretFile, scope, actions string
	start, pause                          bool
}

func (f *jobFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.tenantURL, "tenant-url", "", "the application's SCIM address (Tenant URL)")
	flags.StringVar(&f.secretFile, "secret-token-file", "", "file with the Secret Token; - is standard input")
	flags.StringVar(&f.scope, "scope", "", "assigned (only assigned users) or all")
	flags.StringVar(&f.actions, "actions", "", "Target Object Actions for users: any of create,update,delete; or none")
	flags.BoolVar(&f.start, "start", false, "set Provisioning Status to On")
}

// actionsOf reads "create,update".
func actionsOf(cmd *cobra.Command, text string) (*provision.FlowTypes, error) {
	if text == "" {
		return nil, nil
	}
	var a provision.FlowTypes
	for word := range strings.SplitSeq(text, ",") {
		switch strings.ToLower(strings.TrimSpace(word)) {
		case "create":
			a = a.With(provision.FlowAdd, true)
		case "update":
			a = a.With(provision.FlowUpdate, true)
		case "delete":
			a = a.With(provision.FlowDelete, true)
		case "none":
		default:
			return nil, usagef(cmd, "--actions takes create, update, delete or none, not %q", word)
		}
	}
	return &a, nil
}

// apply saves what the flags set; what they leave out stays.
func (f *jobFlags) apply(ctx context.Context, c *command, s *services, cmd *cobra.Command, key provision.Key) (provision.Job, error) {
	actions, err := actionsOf(cmd, f.actions)
	if err != nil {
		return provision.Job{}, err
	}
	job, err := s.jobs.Get(ctx, key)
	if errors.Is(err, provision.ErrNoJob) {
		job, err = provision.Job{Key: key, Scope: provision.AssignedOnly, Status: provision.Off}, nil
	}
	if err != nil {
		return provision.Job{}, err
	}
	set := provision.Settings{Mode: provision.Automatic, TenantURL: job.TenantURL, Status: job.Status, Scope: job.Scope}
	if f.tenantURL != "" {
		set.TenantURL = f.tenantURL
	}
	if f.scope != "" {
		if set.Scope, err = oneOf(cmd, "scope", f.scope, provision.AssignedOnly, provision.Everyone); err != nil {
			return provision.Job{}, err
		}
	}
	if f.secretFile != "" {
		secret, err := c.readSecret(f.secretFile)
		if err != nil {
			return provision.Job{}, err
		}
		set.Secret = &secret
	}
	switch {
	case f.start && f.pause:
		return provision.Job{}, usagef(cmd, "--start and --pause exclude each other")
	case f.start:
		set.Status = provision.On
	case f.pause:
		set.Status = provision.Off
	}
	// Actions first: a job that is switched on must not begin with the old ones.
	if actions != nil && job.Version > 0 {
		if err := setUserActions(ctx, s.jobs, job, actions); err != nil {
			return provision.Job{}, err
		}
	}
	later := set
	if actions != nil && job.Version == 0 {
		later.Status = provision.Off
	}
	if job, err = s.jobs.Save(ctx, key, later, actor); err != nil {
		return provision.Job{}, err
	}
	if later.Status == set.Status {
		return job, nil
	}
	if err := setUserActions(ctx, s.jobs, job, actions); err != nil {
		return provision.Job{}, err
	}
	set.Secret = nil
	return s.jobs.Save(ctx, key, set, actor)
}

func setUserActions(ctx context.Context, jobs *provision.Jobs, job provision.Job, a *provision.FlowTypes) error {
	m, err := job.Schema.UserMapping()
	if err != nil {
		return err
	}
	_, err = jobs.SetMapping(ctx, job.Key, m.Name, provision.MappingEdit{Actions: a}, actor)
	return err
}

// readSecret reads a token from a file, without the line's end.
func (c *command) readSecret(name string) (string, error) {
	in, err := c.open(name)
	if err != nil {
		return "", err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s does not hold a token: one line is expected", name)
	}
	return secret, nil
}

func (c *command) appCreate() *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use: "create DIRECTORY NAME", Short: "Make an enterprise application, and set up its provisioning", Args: names("DIRECTORY", "NAME"),
		Example: "  rollcall app create contoso Acme --tenant-url https://acme.example/c/acme/auth/scim/v2 --secret-token-file token.txt --actions update",
		RunE: c.with(func(cmd *cobra.Command, s *services, args []string) error {
			ctx := cmd.Context()
			if _, err := actionsOf(cmd, f.actions); err != nil {
				return err
			}
			h, err := s.directories.OpenNamed(ctx, args[0])
			if err != nil {
				return err
			}
			if f.tenantURL == "" && (f.secretFile != "" || f.actions != "" || f.scope != "" || f.start) {
				return usagef(cmd, "--tenant-url is missing: the other flags set up provisioning, which needs it")
			}
			app, err := h.CreateApplication(ctx, args[1], actor)
			if err != nil {
				return err
			}
			out := map[string]any{"directory": h.Directory.Name, "name": app.Name, "id": app.ID}
			if f.tenantURL != "" {
				job, err := f.apply(ctx, c, s, cmd, provision.Key{Directory: h.Directory.ID, App: app.ID})
				if err != nil {
					return fmt.Errorf("the application %s was made, but not its provisioning: %w; mend it with: rollcall app set %s %q", app.Name, err, h.Directory.Name, app.Name)
				}
				out["tenantUrl"], out["status"] = job.TenantURL, job.Status
			}
			return c.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "Application %s was made in %s. Assign people with: rollcall app assign %s %q PERSON...\n", app.Name, h.Directory.Name, h.Directory.Name, app.Name)
			})
		}),
	}
	f.register(cmd)
	return cmd
}

func (c *command) appSet() *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use: "set DIRECTORY APP", Short: "Change an application's provisioning", Args: names("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := f.apply(cmd.Context(), c, s, cmd, provision.Key{Directory: h.Directory.ID, App: app.ID})
			if err != nil {
				return err
			}
			return c.print(map[string]any{"name": app.Name, "tenantUrl": job.TenantURL, "scope": job.Scope, "status": job.Status}, func(w io.Writer) {
				fmt.Fprintf(w, "%s: Tenant URL %s, scope %s, Provisioning Status %s\n", app.Name, job.TenantURL, job.Scope, job.Status)
			})
		}),
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.pause, "pause", false, "set Provisioning Status to Off")
	return cmd
}

func (c *command) appList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY", Short: "List the applications", Args: names("DIRECTORY"),
		RunE: c.with(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			apps, err := h.Applications(cmd.Context())
			if err != nil {
				return err
			}
			type appJSON struct {
				Name     string `json:"name"`
				ID       string `json:"id"`
				Assigned int    `json:"assigned"`
				Code     string `json:"status"`
			}
			out := []appJSON{}
			lines := [][]string{}
			for _, a := range apps {
				n, err := h.CountAssignments(cmd.Context(), a.ID)
				if err != nil {
					return err
				}
				r, err := s.jobs.Report(cmd.Context(), provision.Key{Directory: h.Directory.ID, App: a.ID})
				if err != nil && !errors.Is(err, provision.ErrNoJob) {
					return err
				}
				code := r.Code
				if code == "" {
					code = provision.NotConfigured
				}
				out = append(out, appJSON{a.Name, a.ID, n, code})
				lines = append(lines, []string{a.Name, fmt.Sprint(n), code, c.when(a.Created)})
			}
			return c.print(out, func(w io.Writer) {
				rows(w, fmt.Sprintf("No application yet. Make one with: rollcall app create %s NAME", h.Directory.Name), []string{"Name", "Assigned", "Provisioning", "Since"}, lines)
			})
		}),
	}
}

func (c *command) appAssign() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "assign DIRECTORY APP PERSON...", Short: "Give users an application (userPrincipalNames or object ids, or --all)",
		Args: atLeast("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, people []string) error {
			if all == (len(people) > 0) {
				return usagef(cmd, "name the people, or give --all")
			}
			return c.assign(cmd.Context(), h, app, people, all, "assigned to", "already assigned", h.Assign)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every user of the directory")
	return cmd
}

func (c *command) appUnassign() *cobra.Command {
	return &cobra.Command{
		Use: "unassign DIRECTORY APP PERSON...", Short: "Take an application from users; they are disabled there by the next cycle",
		Args: atLeast("DIRECTORY", "APP", "PERSON"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, people []string) error {
			return c.assign(cmd.Context(), h, app, people, false, "unassigned from", "not assigned before", h.Unassign)
		}),
	}
}

func (c *command) assign(ctx context.Context, h *directory.Handle, app directory.Application, people []string, all bool, did, already string,
	do func(context.Context, string, []string, string) (int, error),
) error {
	var ids []string
	if all {
		if err := h.EachUser(ctx, directory.UserQuery{}, func(u directory.User) error {
			ids = append(ids, u.ObjectID)
			return nil
		}); err != nil {
			return err
		}
	}
	for _, name := range people {
		u, err := findUser(ctx, h, name)
		if err != nil {
			return err
		}
		ids = append(ids, u.ObjectID)
	}
	n, err := do(ctx, app.ID, ids, actor)
	if err != nil {
		return err
	}
	return c.print(map[string]int{"changed": n, "already": len(ids) - n}, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s %s", plural(n, "user", "users"), did, app.Name)
		if rest := len(ids) - n; rest > 0 {
			fmt.Fprintf(w, "; %d %s", rest, already)
		}
		fmt.Fprintln(w, ".")
	})
}

func (c *command) appExportSchema() *cobra.Command {
	return &cobra.Command{
		Use: "export-schema DIRECTORY APP", Short: "Print the mappings as a Graph synchronizationSchema document", Args: names("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := s.jobs.Get(cmd.Context(), provision.Key{Directory: h.Directory.ID, App: app.ID})
			if err != nil {
				return err
			}
			enc := json.NewEncoder(c.stdout)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			return enc.Encode(job.Schema)
		}),
	}
}

func (c *command) appImportSchema() *cobra.Command {
	return &cobra.Command{
		Use: "import-schema DIRECTORY APP FILE", Short: "Replace the mappings by a Graph synchronizationSchema document; starts a new initial cycle",
		Args: names("DIRECTORY", "APP", "FILE"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			schema, err := provision.ParseSchema(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if _, err := s.jobs.SetSchema(cmd.Context(), provision.Key{Directory: h.Directory.ID, App: app.ID}, schema, actor); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return c.print(map[string]string{"imported": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "The mappings of %s are replaced. The next cycle is an initial one.\n", app.Name)
			})
		}),
	}
}

// withApp opens the directory and application that the first two arguments name; the rest goes on.
func (c *command) withApp(do func(*cobra.Command, *services, *directory.Handle, directory.Application, []string) error) func(*cobra.Command, []string) error {
	return c.with(func(cmd *cobra.Command, s *services, args []string) error {
		h, err := s.directories.OpenNamed(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		app, err := h.Application(cmd.Context(), args[1])
		if err != nil {
			return err
		}
		return do(cmd, s, h, app, args[2:])
	})
}

// atLeast demands the listed arguments and allows more of the last one.
func atLeast(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(want) {
			return names(want...)(cmd, args)
		}
		return nil
	}
}
