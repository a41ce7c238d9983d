package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) appCommand() *cobra.Command {
	return groupCommand("app", "Enterprise applications of a directory",
		c.appCreate(), c.appList(), c.appShow(), c.appSet(), c.appRename(), c.appDelete(),
		c.appAssign(), c.appUnassign(), c.appRole(), c.appMapping(), c.appAttribute(), c.appExportSchema(), c.appImportSchema())
}

// jobFlags are the provisioning settings that `app create` and `app set` share.
type jobFlags struct {
	tenantURL, secretFile, scope, actions string // the values of --tenant-url, --secret-token-file, --scope and --actions
	rules                                 string // the value of --rules
	threshold                             int    // the value of --delete-threshold
	rehire, swaps, nested, exactCase      string // the values of --rehire, --swaps, --nested-groups and --exact-case
	secondApproval                        string // the value of --second-approval
	start, pause, yes                     bool   // whether --start, --pause and --yes were given
}

// register adds the flags to a command.
func (f *jobFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.tenantURL, "tenant-url", "", "the application's SCIM address (Tenant URL)")
	flags.StringVar(&f.secretFile, "secret-token-file", "", "file with the Secret Token; - is standard input")
	flags.StringVar(&f.scope, "scope", "", "assigned (only assigned users) or all")
	flags.StringVar(&f.actions, "actions", "", "Target Object Actions for users: any of create,update,delete; or none")
	flags.StringVar(&f.rehire, "rehire", "", "what to do for a person whose name belongs to the account of a person who has left: ask, adopt (take over the account if both have the same employeeId) or new (make another account)")
	flags.StringVar(&f.rules, "rules", "", "whose rules hold for mass changes and the schedule: rollcall, or entra (a cycle every 40 minutes, and quarantine above --delete-threshold)")
	flags.IntVar(&f.threshold, "delete-threshold", 0, "how many accounts and groups a cycle disables or deletes by Entra's rules without asking; 0 means any number")
	flags.StringVar(&f.swaps, "swaps", "", "people who have each other's names: ask, or temporary (one of them gets a temporary name in between)")
	flags.StringVar(&f.secondApproval, "second-approval", "", "plans: off (one person approves) or on (an operator other than the one who made the plan approves it on its page)")
	flags.StringVar(&f.nested, "nested-groups", "", "groups that are members of groups: off (leave them out, as Entra does) or on (send them as members)")
	flags.StringVar(&f.exactCase, "exact-case", "", "target attributes of users whose case counts, with commas; or none")
	flags.BoolVar(&f.start, "start", false, "set Provisioning Status to On")
}

// anyGiven reports whether at least one of the flags was given.
func (f *jobFlags) anyGiven(cmd *cobra.Command) bool {
	for _, name := range []string{"tenant-url", "secret-token-file", "scope", "actions", "rehire", "swaps", "rules", "delete-threshold", "nested-groups", "second-approval", "exact-case", "start", "pause"} {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// parseActions reads the value of --actions: a list such as "create,update", or "none".
func parseActions(cmd *cobra.Command, text string) (provision.FlowTypes, error) {
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
			if text != word {
				return 0, usagef(cmd, "--actions is none alone, or any of create, update and delete: not %q", text)
			}
		default:
			return 0, usagef(cmd, "--actions takes create, update, delete or none, not %q", word)
		}
	}
	return a, nil
}

// apply saves, in one transaction, all settings that the flags set, and prints the changes. It asks
// first if the change disables, creates or deletes accounts. It asks again if these numbers change
// before the user answers.
func (f *jobFlags) apply(ctx context.Context, c *command, s *services, cmd *cobra.Command, h *directory.Handle, app directory.Application) (provision.Job, []string, error) {
	edit, err := f.flagEdits(c, cmd)
	if err != nil {
		return provision.Job{}, nil, err
	}
	var (
		before           jobSettings
		question, agreed string
		move             provision.Move
		closed           *provision.Closed
	)
	save := func() (provision.Job, error) {
		return s.jobs.SaveFrom(ctx, jobKey(h, app), func(now provision.Job) (provision.Settings, error) {
			set := provision.Settings{Mode: now.Mode, TenantURL: now.TenantURL, Status: now.Status, Scope: now.Scope}
			edit(&set)
			var err error
			if before, err = settingsOf(now); err != nil {
				return set, err
			}
			if closed == nil {
				if move, err = s.jobs.Move(ctx, now, set.TenantURL); err != nil {
					return set, err
				}
			}
			question, set.Confirmed, err = harmOf(ctx, s, h, app, now, set, move)
			if err == nil && question != agreed {
				err = errUnconfirmed
			}
			return set, err
		}, actor)
	}
	job, err := save()
	for errors.Is(err, errUnconfirmed) {
		if err := c.confirm(cmd, f.yes, question, app.Name); err != nil {
			return provision.Job{}, nil, err
		}
		if agreed = question; move.Leavers > 0 && closed == nil {
			did, err := s.engine.CloseLeavers(ctx, jobKey(h, app), s.owner, actor, move.Leavers)
			if err != nil {
				return provision.Job{}, nil, err
			}
			closed = &did
		}
		job, err = save()
	}
	if err != nil {
		return provision.Job{}, nil, err
	}
	after, err := settingsOf(job)
	if err != nil {
		return provision.Job{}, nil, err
	}
	changed := closedWords(closed)
	for _, line := range []struct {
		changed bool
		text    string
	}{
		{before.tenantURL != after.tenantURL, "Tenant URL is " + after.tenantURL},
		{!bytes.Equal(before.secret, after.secret), "Secret Token was saved"},
		{before.scope != after.scope, "Scope is " + scopeWords(after.scope)},
		{before.actions != after.actions, "Target Object Actions are " + after.actions},
		{before.rehire != after.rehire, "Re-hire is " + string(after.rehire)},
		{before.swaps != after.swaps, "Swapped names is " + string(after.swaps)},
		{before.rules != after.rules, "Rules are " + after.rules.Words()},
		{before.threshold != after.threshold, fmt.Sprintf("Deletion threshold is %d", after.threshold)},
		{before.nested != after.nested, "Nested groups is " + onOff(after.nested)},
		{before.secondApproval != after.secondApproval, "Second approval is " + onOff(after.secondApproval)},
		{before.exactCase != after.exactCase, "Exact case is " + after.exactCase},
		{before.status != after.status, "Provisioning Status is " + string(after.status)},
	} {
		if line.changed {
			changed = append(changed, line.text)
		}
	}
	return job, changed, nil
}

// closedWords says how many accounts were switched off at the old application, and how many could
// not be switched off.
func closedWords(c *provision.Closed) []string {
	words := []string{}
	if c != nil && c.Off > 0 {
		words = append(words, phrase.Count(c.Off, "account", "accounts")+" at the old application "+phrase.Noun(c.Off, "was", "were")+" switched off")
	}
	if c != nil && c.Left > 0 {
		words = append(words, fmt.Sprintf("%s at the old application could not be switched off: %s", phrase.Count(c.Left, "account", "accounts"), c.Reason))
	}
	return words
}

// errUnconfirmed stops a save because the administrator has not confirmed the change yet.
var errUnconfirmed = errors.New("the change has to be confirmed")

// harmOf describes how the new settings of a job would affect accounts. The description is "" if no
// confirmation is needed. disabled is the number of accounts that the settings would disable.
// --start alone needs no confirmation, because the user confirmed the earlier settings when they
// were saved. move describes the accounts that the job forgets when it leaves the old Tenant URL.
func harmOf(ctx context.Context, s *services, h *directory.Handle, app directory.Application, now provision.Job, set provision.Settings, move provision.Move) (question string, disabled int, err error) {
	if now.Version == 0 || set.Scope == now.Scope && set.Actions == nil && move.Linked == 0 {
		return "", 0, nil
	}
	if err := s.jobs.Check(now, set); err != nil {
		return "", 0, err // report a wrong value before asking anything
	}
	var words []string
	if move.Linked > 0 {
		words = append(words, moveWords(move))
	}
	if set.Scope != now.Scope || set.Actions != nil {
		after, err := now.With(set)
		if err != nil {
			return "", 0, err
		}
		if question, disabled, err = harmBetween(ctx, s, h, app, now, after); err != nil {
			return "", 0, err
		}
		words = append(words, question)
	}
	return strings.TrimSpace(strings.Join(words, " ")), disabled, nil
}

// moveWords describes the effect on accounts at the old application when the Tenant URL changes to
// that of another application.
func moveWords(n provision.Move) string {
	words := fmt.Sprintf("This leads to another application: %s at the old one will stay as %s, and Rollcall will no longer change %s.",
		phrase.Count(n.Linked, "linked account", "linked accounts"), phrase.Noun(n.Linked, "it is", "they are"), phrase.Noun(n.Linked, "it", "them"))
	if n.Leavers == 0 {
		return words
	}
	return words + fmt.Sprintf(" %s to users who should not have access any more: %s switched off first, if the old application allows it.",
		phrase.Count(n.Leavers, "of them belongs", "of them belong"), phrase.Noun(n.Leavers, "it is", "they are"))
}

// harmBetween describes how accounts would be affected if the job changed from now to after. The
// description is "" if no confirmation is needed. disabled is the number of accounts that the
// change would disable.
func harmBetween(ctx context.Context, s *services, h *directory.Handle, app directory.Application, now, after provision.Job) (question string, disabled int, err error) {
	was, err := now.Schema.UserMapping()
	if err != nil {
		return "", 0, err
	}
	is, err := after.Schema.UserMapping()
	if err != nil {
		return "", 0, err
	}
	n, err := s.jobs.Reach(ctx, now, after)
	if err != nil {
		return "", 0, err
	}
	var does []string
	if n.Off > 0 {
		does = append(does, fmt.Sprintf("leaves %s out of scope: %s at %s will be switched off.", phrase.Count(n.Leave, "user", "users"), phrase.Count(n.Off, "linked account", "linked accounts"), app.Name))
	}
	if n.On > 0 {
		does = append(does, fmt.Sprintf("takes %s into scope: %s at %s will be switched on, where not done already.", phrase.Count(n.Come, "user", "users"), phrase.Count(n.On, "linked account", "linked accounts"), app.Name))
	}
	ticked := func(flow provision.FlowTypes) bool { return is.FlowTypes.Has(flow) && !was.FlowTypes.Has(flow) }
	if n.Join > 0 || n.Make > 0 && ticked(provision.FlowAdd) {
		does = append(does, fmt.Sprintf("makes %s at %s, except for users who already have one there.", phrase.Count(n.Make, "account", "accounts"), app.Name))
	}
	if n.Linked > 0 && ticked(provision.FlowDelete) {
		does = append(does, fmt.Sprintf("deletes accounts at %s when their users are deleted for good: %s, %d of them of users who are soft-deleted now.", app.Name, phrase.Count(n.Linked, "linked account", "linked accounts"), n.Deleted))
	}
	if len(does) == 0 {
		return "", 0, nil
	}
	return "This " + strings.Join(does, " It "), n.Off, nil
}

// jobSettings holds the settings of a job that flags can change.
type jobSettings struct {
	tenantURL      string
	secret         []byte // the Secret Token, sealed
	scope          provision.Scope
	actions        string           // the value of --actions, such as "create,update"
	rehire         provision.Rehire // what to do for a person whose name belongs to the account of a person who has left
	swaps          provision.Swaps  // what to do for people who exchange their matching values
	rules          provision.Rules  // whose rules hold for mass changes and for the schedule
	threshold      int              // how many accounts and groups a cycle may disable or delete by Entra's rules
	nested         bool             // whether groups are sent as members of groups
	secondApproval bool             // whether a second operator must approve plans
	exactCase      string           // the value of --exact-case
	status         provision.Status
}

// settingsOf returns the current settings of a job in the form that the flags have.
func settingsOf(job provision.Job) (jobSettings, error) {
	m, err := job.Schema.UserMapping()
	if err != nil {
		return jobSettings{}, err
	}
	return jobSettings{
		job.TenantURL, job.SealedSecret, job.Scope, strings.Join(actionWords(m.FlowTypes), ", "), job.Rehire, job.Swaps, job.Rules, job.DeleteThreshold, job.Nested, job.SecondApproval, exactCaseText(job.Schema, m), job.Status,
	}, nil
}

// exactCaseText returns the target attributes whose case counts, in the form that --exact-case
// accepts.
func exactCaseText(s *provision.Schema, m *provision.ObjectMapping) string {
	if exact := s.ExactCase(m); len(exact) > 0 {
		return strings.Join(exact, ",")
	}
	return "none"
}

// The values of --nested-groups and --second-approval.
const (
	switchOff = "off"
	switchOn  = "on"
)

func scopeWords(scope provision.Scope) string {
	if scope == provision.Everyone {
		return "all (every user of the directory)"
	}
	return "assigned (only assigned users)"
}

// flagEdits returns a function that applies the given flags to the settings.
func (f *jobFlags) flagEdits(c *command, cmd *cobra.Command) (func(*provision.Settings), error) {
	given := cmd.Flags().Changed
	edits := []func(*provision.Settings){func(s *provision.Settings) { s.Mode = provision.Automatic }}
	if given("tenant-url") {
		edits = append(edits, func(s *provision.Settings) { s.TenantURL = f.tenantURL })
	}
	if given("scope") {
		scope, err := parseOneOf(cmd, "scope", f.scope, provision.AssignedOnly, provision.Everyone)
		if err != nil {
			return nil, err
		}
		edits = append(edits, func(s *provision.Settings) { s.Scope = scope })
	}
	if given("actions") {
		actions, err := parseActions(cmd, f.actions)
		if err != nil {
			return nil, err
		}
		edits = append(edits, func(s *provision.Settings) { s.Actions = &actions })
	}
	if given("rehire") {
		rule, err := parseOneOf(cmd, "rehire", f.rehire, provision.RehireAsk, provision.RehireAdopt, provision.RehireNew)
		if err != nil {
			return nil, err
		}
		edits = append(edits, func(s *provision.Settings) { s.Rehire = rule })
	}
	if given("swaps") {
		rule, err := parseOneOf(cmd, "swaps", f.swaps, provision.SwapsAsk, provision.SwapsTemporary)
		if err != nil {
			return nil, err
		}
		edits = append(edits, func(s *provision.Settings) { s.Swaps = rule })
	}
	if given("rules") {
		rules, err := parseOneOf(cmd, "rules", f.rules, provision.RulesRollcall, provision.RulesEntra)
		if err != nil {
			return nil, err
		}
		edits = append(edits, func(s *provision.Settings) { s.Rules = rules })
	}
	if given("delete-threshold") {
		edits = append(edits, func(s *provision.Settings) { s.DeleteThreshold = &f.threshold })
	}
	if given("nested-groups") {
		word, err := parseOneOf(cmd, "nested-groups", f.nested, switchOff, switchOn)
		if err != nil {
			return nil, err
		}
		nested := word == switchOn
		edits = append(edits, func(s *provision.Settings) { s.Nested = &nested })
	}
	if given("second-approval") {
		word, err := parseOneOf(cmd, "second-approval", f.secondApproval, switchOff, switchOn)
		if err != nil {
			return nil, err
		}
		second := word == switchOn
		edits = append(edits, func(s *provision.Settings) { s.SecondApproval = &second })
	}
	if given("exact-case") {
		exact := []string{}
		for name := range strings.SplitSeq(f.exactCase, ",") {
			if name = strings.TrimSpace(name); name != "" && f.exactCase != "none" {
				exact = append(exact, name)
			}
		}
		edits = append(edits, func(s *provision.Settings) { s.ExactCase = &exact })
	}
	status, err := f.status(cmd)
	if err != nil {
		return nil, err
	}
	if status != "" {
		edits = append(edits, func(s *provision.Settings) { s.Status = status })
	}
	if given("secret-token-file") {
		secret, err := c.readSecret(f.secretFile)
		if err != nil {
			return nil, err
		}
		edits = append(edits, func(s *provision.Settings) { s.Secret = &secret })
	}
	return func(s *provision.Settings) {
		for _, edit := range edits {
			edit(s)
		}
	}, nil
}

// status returns the status that --start or --pause selects. It returns "" if neither was given.
func (f *jobFlags) status(cmd *cobra.Command) (provision.Status, error) {
	switch given := cmd.Flags().Changed; {
	case f.start && f.pause:
		return "", usagef(cmd, "--start and --pause exclude each other")
	case f.start:
		return provision.On, nil
	case f.pause:
		return provision.Off, nil
	case given("start") || given("pause"):
		return "", usagef(cmd, "--start and --pause are given without a value: --start sets Provisioning Status to On, --pause to Off")
	}
	return "", nil
}

// readSecret reads a token from a file, or from standard input for "-". It removes the line end.
func (c *command) readSecret(name string) (string, error) {
	in, err := c.openInput(name)
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
		return "", fmt.Errorf("%s does not hold a secret: one line is expected", name)
	}
	return secret, nil
}

func (c *command) appCreate() *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use: "create DIRECTORY NAME", Short: "Make an enterprise application, and set up its provisioning", Args: exactArguments("DIRECTORY", "NAME"),
		Example: "  rollcall app create contoso Acme --tenant-url https://acme.example/c/acme/auth/scim/v2 --secret-token-file token.txt --actions update",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			ctx := cmd.Context()
			h, err := s.directories.OpenNamed(ctx, args[0])
			if err != nil {
				return err
			}
			setUp := f.anyGiven(cmd)
			if setUp && f.tenantURL == "" {
				return usagef(cmd, "--tenant-url is missing: the other flags set up provisioning, which needs it")
			}
			edit, err := f.flagEdits(c, cmd)
			if err != nil {
				return err
			}
			app, err := h.CreateApplication(ctx, args[1], actor)
			if err != nil {
				return err
			}
			out := map[string]any{"directory": h.Directory.Name, "name": app.Name, "id": app.ID}
			var everyone, started bool
			if setUp {
				job, err := s.jobs.Edit(ctx, provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}, edit, actor)
				if err != nil {
					_, undo := h.DeleteApplication(ctx, app.ID, actor)
					return errors.Join(fmt.Errorf("the application was not made: %w", err), undo)
				}
				out["tenantUrl"], out["scope"], out["status"] = job.TenantURL, job.Scope, job.Status
				everyone, started = job.Scope == provision.Everyone, job.Status == provision.On
			}
			return c.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "Application %s was made in %s. ", oneLine(app.Name), h.Directory.Name)
				switch {
				case !everyone:
					fmt.Fprintf(w, "Assign people with: rollcall app assign %s %q PERSON...\n", h.Directory.Name, app.Name)
				case started:
					fmt.Fprintf(w, "Every user of the directory is in scope, and provisioning is on. See how it goes with: rollcall provision status %s %q\n", h.Directory.Name, app.Name)
				default:
					fmt.Fprintf(w, "Every user of the directory is in scope, so no assignment is needed. See who would change with: rollcall provision plan %s %q\n", h.Directory.Name, app.Name)
				}
			})
		}),
	}
	f.register(cmd)
	return cmd
}

func (c *command) appSet() *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use: "set DIRECTORY APP", Short: "Change an application's provisioning", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Changes what the flags name and leaves the rest.

A --scope that switches accounts off or makes some, --actions with create or
delete that were not there before, and a --tenant-url that leads to another
application ask first, with the numbers. --yes answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			if !f.anyGiven(cmd) {
				return usagef(cmd, "nothing to set: give at least one of --tenant-url, --secret-token-file, --scope, --actions, --rehire, --swaps, --nested-groups, --second-approval, --exact-case, --start, --pause")
			}
			job, changed, err := f.apply(cmd.Context(), c, s, cmd, h, app)
			if err != nil {
				return err
			}
			m, err := job.Schema.UserMapping()
			if err != nil {
				return err
			}
			actions := actionWords(m.FlowTypes)
			return c.print(map[string]any{
				"name": app.Name, "tenantUrl": job.TenantURL, "secretTokenSaved": job.HasSecret(), "scope": job.Scope, "actions": actions, "status": job.Status,
				"rehire": job.Rehire, "swaps": job.Swaps, "rules": job.Rules, "deleteThreshold": job.DeleteThreshold, "nestedGroups": job.Nested, "secondApproval": job.SecondApproval, "exactCase": job.Schema.ExactCase(m),
				"changed": changed,
			}, func(w io.Writer) {
				if len(changed) == 0 {
					fmt.Fprintf(w, "%s: nothing changed, it was so before.\n", oneLine(app.Name))
					return
				}
				for _, line := range changed {
					fmt.Fprintf(w, "%s: %s\n", oneLine(app.Name), oneLine(line))
				}
			})
		}),
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.pause, "pause", false, "set Provisioning Status to Off")
	yesFlag(cmd, &f.yes)
	return cmd
}

func (c *command) appList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY", Short: "List the applications", Args: exactArguments("DIRECTORY"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			out, lines, err := c.applications(cmd.Context(), s, h)
			if err != nil {
				return err
			}
			return c.print(out, func(w io.Writer) {
				printApplications(w, h, lines)
			})
		}),
	}
}

// appJSON is an application in the JSON output of app list.
type appJSON struct {
	Name          string `json:"name"`
	ID            string `json:"id"`
	AssignedUsers int    `json:"assigned"`
	Status        string `json:"status"`
}

// applications returns the applications of a directory twice: for JSON output, and as table lines.
func (c *command) applications(ctx context.Context, s *services, h *directory.Handle) (out []appJSON, lines [][]string, err error) {
	apps, err := h.Applications(ctx)
	if err != nil {
		return nil, nil, err
	}
	out = []appJSON{}
	for _, a := range apps {
		n, err := h.CountAssignments(ctx, a.ID)
		if err != nil {
			return nil, nil, err
		}
		r, err := s.jobs.Report(ctx, jobKey(h, a))
		if err != nil && !errors.Is(err, provision.ErrNoJob) {
			return nil, nil, err
		}
		code := r.Code
		if code == "" {
			code = provision.NotConfigured
		}
		out = append(out, appJSON{a.Name, a.ID, n, code})
		lines = append(lines, []string{a.Name, fmt.Sprint(n), statusWords(code), c.formatTime(a.Created)})
	}
	return out, lines, nil
}

func printApplications(w io.Writer, h *directory.Handle, lines [][]string) {
	printTable(w, fmt.Sprintf("No application yet. Make one with: rollcall app create %s NAME", h.Directory.Name), []string{"Name", "Assigned", "Provisioning", "Since"}, lines)
}

// appDetails is the output of `app show`.
type appDetails struct {
	Name           string `json:"name"`
	ID             string `json:"id"`
	Directory      string `json:"directory"`
	Created        string `json:"created"`
	AssignedUsers  int    `json:"assigned"`
	AssignedGroups int    `json:"assignedGroups"`
	Roles          int    `json:"roles"`  // the number of roles besides Default Access
	LinkedAccounts int    `json:"linked"` // how many people have a known account at the application
	Code           string `json:"status"` // the state of provisioning, as in provision.Report
	// The fields from here on are empty until provisioning is set up.
	TenantURL      string   `json:"tenantUrl,omitempty"`
	SecretToken    bool     `json:"secretTokenSaved"`
	Scope          string   `json:"scope,omitempty"`
	Actions        []string `json:"actions,omitempty"`
	Rehire         string   `json:"rehire,omitempty"`
	Swaps          string   `json:"swaps,omitempty"`
	Rules          string   `json:"rules,omitempty"`
	Threshold      int      `json:"deleteThreshold"` // how many accounts and groups a cycle may disable or delete by Entra's rules
	Nested         bool     `json:"nestedGroups"`    // whether groups are sent as members of groups
	SecondApproval bool     `json:"secondApproval"`  // whether a second operator must approve plans
	ExactCase      string   `json:"exactCase,omitempty"`
	Status         string   `json:"provisioningStatus,omitempty"`
}

func (c *command) appShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DIRECTORY APP", Short: "Show an application and the settings of its provisioning", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			d, err := s.appDetails(cmd.Context(), h, app)
			if err != nil {
				return err
			}
			return c.print(d, func(w io.Writer) { c.printApp(w, d, app) })
		}),
	}
}

func (s *services) appDetails(ctx context.Context, h *directory.Handle, app directory.Application) (appDetails, error) {
	d := appDetails{Name: app.Name, ID: app.ID, Directory: h.Directory.Name, Created: formatJSONTime(app.Created), Code: provision.NotConfigured}
	var err error
	if d.AssignedUsers, err = h.CountAssignments(ctx, app.ID); err != nil {
		return d, err
	}
	if d.AssignedGroups, err = h.CountGroups(ctx, directory.GroupQuery{AssignedTo: app.ID}); err != nil {
		return d, err
	}
	roles, err := h.Roles(ctx, app.ID)
	if err != nil {
		return d, err
	}
	d.Roles = len(roles)
	r, err := s.jobs.Report(ctx, jobKey(h, app))
	if errors.Is(err, provision.ErrNoJob) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	m, err := r.Job.Schema.UserMapping()
	if err != nil {
		return d, err
	}
	d.Code, d.LinkedAccounts, d.TenantURL, d.SecretToken = r.Code, r.Linked, r.Job.TenantURL, r.Job.HasSecret()
	d.Scope, d.Status, d.Actions = string(r.Job.Scope), string(r.Job.Status), actionWords(m.FlowTypes)
	d.Rules, d.Threshold = string(r.Job.Rules), r.Job.DeleteThreshold
	d.Rehire, d.Swaps, d.Nested, d.SecondApproval, d.ExactCase = string(r.Job.Rehire), string(r.Job.Swaps), r.Job.Nested, r.Job.SecondApproval, exactCaseText(r.Job.Schema, m)
	return d, nil
}

func (c *command) printApp(w io.Writer, d appDetails, app directory.Application) {
	fmt.Fprintf(w, "Application            %s\nDirectory              %s\nSince                  %s\nAssigned               %s, %s\nRoles                  Default Access and %d more\nProvisioning           %s\n",
		oneLine(d.Name), d.Directory, c.formatTime(app.Created), phrase.Count(d.AssignedUsers, "user", "users"), phrase.Count(d.AssignedGroups, "group", "groups"), d.Roles, statusWords(d.Code))
	if d.TenantURL == "" {
		fmt.Fprintf(w, "Set it up with: rollcall app set %s %q --tenant-url URL --secret-token-file FILE\n", d.Directory, d.Name)
		return
	}
	secret := "none"
	if d.SecretToken {
		secret = "saved"
	}
	fmt.Fprintf(w, "Linked                 %s\nTenant URL             %s\nSecret Token           %s\nScope                  %s\nTarget Object Actions  %s\nExact case             %s\nRe-hire                %s\nSwapped names          %s\nRules                  %s\nDeletion threshold     %d\nNested groups          %s\nSecond approval        %s\nProvisioning Status    %s\n",
		phrase.Count(d.LinkedAccounts, "account", "accounts"), oneLine(d.TenantURL), secret, scopeWords(provision.Scope(d.Scope)), strings.Join(d.Actions, ", "), d.ExactCase, d.Rehire, d.Swaps, d.Rules, d.Threshold, onOff(d.Nested), onOff(d.SecondApproval), d.Status)
}

// actionWords returns the names of the actions, in the form that --actions accepts.
func actionWords(f provision.FlowTypes) []string {
	var words []string
	for _, a := range []struct {
		flow provision.FlowTypes
		word string
	}{{provision.FlowAdd, "create"}, {provision.FlowUpdate, "update"}, {provision.FlowDelete, "delete"}} {
		if f.Has(a.flow) {
			words = append(words, a.word)
		}
	}
	if words == nil {
		return []string{"none"}
	}
	return words
}

// statusWords returns a job's status in the words that the pages use.
func statusWords(code string) string {
	switch code {
	case provision.Running:
		return "On"
	case provision.Paused:
		return "Off (paused)"
	case provision.Quarantined:
		return "In quarantine"
	case provision.NotRun:
		return "Off (not started yet)"
	}
	return "Not set up"
}

func (c *command) appRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename DIRECTORY APP NEW-NAME", Short: "Give an application another name", Args: exactArguments("DIRECTORY", "APP", "NEW-NAME"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			renamed, err := h.RenameApplication(cmd.Context(), app.ID, args[0], actor)
			if err != nil {
				return err
			}
			return c.print(map[string]string{"name": renamed.Name, "before": app.Name}, func(w io.Writer) {
				fmt.Fprintf(w, "Application %s is now %s. Assignments, mappings and links are as before.\n", app.Name, renamed.Name)
			})
		}),
	}
}

func (c *command) appDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete DIRECTORY APP", Short: "Delete an application with its assignments and its provisioning; cannot be undone", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Deletes an application of the directory: its assignments, its provisioning with the
mappings, and its log. Nothing is sent to the application: the accounts that people
have there stay as they are, and Rollcall no longer changes them.

Asks first, with the numbers. --yes answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			held, err := h.ApplicationContents(cmd.Context(), app.ID)
			if err != nil {
				return err
			}
			question := fmt.Sprintf("This deletes the application %s of %s with %s, its provisioning and its log. %s at the application will stay as %s, and Rollcall will no longer change %s.",
				app.Name, h.Directory.Name, phrase.Count(held.Assigned, "assignment", "assignments"),
				phrase.Count(held.Linked, "linked account", "linked accounts"), phrase.Noun(held.Linked, "it is", "they are"), phrase.Noun(held.Linked, "it", "them"))
			if err := c.confirm(cmd, yes, question, app.Name); err != nil {
				return err
			}
			gone, err := h.DeleteApplication(cmd.Context(), app.ID, actor)
			if err != nil {
				return err
			}
			if err := c.print(map[string]any{"deleted": app.Name, "assigned": gone.Assigned, "linked": gone.Linked}, func(w io.Writer) {
				fmt.Fprintf(w, "Application %s was deleted with %s. %s stayed as %s.\n", app.Name, phrase.Count(gone.Assigned, "assignment", "assignments"),
					phrase.Count(gone.Linked, "linked account", "linked accounts"), phrase.Noun(gone.Linked, "it was", "they were"))
			}); err != nil {
				return err
			}
			return c.removeRows(cmd.Context(), s)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// selection says which people and groups a command applies to.
type selection struct {
	all    bool     // whether the command applies to everyone in the directory
	groups []string // the names of the groups that the command applies to
}

func (c *command) appAssign() *cobra.Command {
	var who selection
	var role string
	cmd := &cobra.Command{
		Use: "assign DIRECTORY APP [PERSON...]", Short: "Give users and groups an application (userPrincipalNames or object ids, --group, or --all)",
		Args: atLeast("DIRECTORY", "APP"),
		Long: `Assigns users and groups to an application. Of a group, the direct members that are
users are in scope. Members of a group within it are not, as in Entra: assign that
group too.

--role gives a role of the application, to those who are assigned already as well.
Without it new assignments have Default Access.`,
		Example: `  rollcall app assign contoso Acme ada@contoso.example --group Sales --role editor`,
		RunE: c.withApp(func(cmd *cobra.Command, _ *services, h *directory.Handle, app directory.Application, people []string) error {
			if who.all == (len(people)+len(who.groups) > 0) {
				return usagef(cmd, "name people, give --group, or give --all")
			}
			do := h.Assign
			if role != "" {
				r, err := h.Role(cmd.Context(), app, role)
				if err != nil {
					return err
				}
				do = func(ctx context.Context, app string, ids []string, actor string) (int, error) {
					return h.AssignRole(ctx, app, r.ID, ids, actor)
				}
			}
			return c.assign(cmd.Context(), h, app, people, who, "assigned to", "already assigned", do)
		}),
	}
	cmd.Flags().BoolVar(&who.all, "all", false, "every user of the directory")
	cmd.Flags().StringArrayVar(&who.groups, "group", nil, "a group, by display name or object id (repeat it for more)")
	cmd.Flags().StringVar(&role, "role", "", "the role: a value, a display name or an id")
	return cmd
}

func (c *command) appUnassign() *cobra.Command {
	var who selection
	cmd := &cobra.Command{
		Use: "unassign DIRECTORY APP [PERSON...]", Short: "Take an application from users and groups; people are disabled there by the next cycle",
		Args: atLeast("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, _ *services, h *directory.Handle, app directory.Application, people []string) error {
			if len(people)+len(who.groups) == 0 {
				return usagef(cmd, "PERSON is missing: name people, or give --group")
			}
			return c.assign(cmd.Context(), h, app, people, who, "unassigned from", "not assigned before", h.Unassign)
		}),
	}
	cmd.Flags().StringArrayVar(&who.groups, "group", nil, "a group, by display name or object id (repeat it for more)")
	return cmd
}

// assign calls do with the ids of the users, and then with those of the groups, to assign them or
// to end their assignments. It prints how many were changed. did and already are the words for
// those that do has changed, and for those that needed no change.
func (c *command) assign(ctx context.Context, h *directory.Handle, app directory.Application, people []string, who selection, did, already string,
	do func(context.Context, string, []string, string) (int, error),
) error {
	var ids []string
	if who.all {
		if err := h.EachUser(ctx, directory.UserQuery{}, func(u directory.User) error {
			ids = append(ids, u.ObjectID)
			return nil
		}); err != nil {
			return err
		}
	}
	named, groups, err := namedObjects(ctx, h, people, who.groups)
	if err != nil {
		return err
	}
	ids = append(ids, named...)
	users, err := do(ctx, app.ID, ids, actor)
	if err != nil {
		return err
	}
	n, err := do(ctx, app.ID, groups, actor)
	if err != nil {
		return fmt.Errorf("%w (%s done before that)", err, phrase.Count(users, "user was", "users were"))
	}
	rest := len(ids) + len(groups) - users - n
	return c.print(map[string]int{"changed": users + n, "already": rest, "users": users, "groups": n}, func(w io.Writer) {
		what := phrase.Count(users, "user", "users")
		if len(groups) > 0 {
			what = phrase.Count(n, "group", "groups")
			if len(ids) > 0 {
				what = phrase.Count(users, "user", "users") + " and " + what
			}
		}
		fmt.Fprintf(w, "%s %s %s", what, did, app.Name)
		if rest > 0 {
			fmt.Fprintf(w, "; %d %s", rest, already)
		}
		fmt.Fprintln(w, ".")
	})
}

// namedObjects returns the object ids of the named people and groups.
func namedObjects(ctx context.Context, h *directory.Handle, people, groups []string) (users, groupIDs []string, err error) {
	for _, name := range people {
		u, err := findUser(ctx, h, name)
		if err != nil {
			return nil, nil, err
		}
		users = append(users, u.ObjectID)
	}
	for _, name := range groups {
		g, err := findGroup(ctx, h, name)
		if err != nil {
			return nil, nil, err
		}
		groupIDs = append(groupIDs, g.ObjectID)
	}
	return users, groupIDs, nil
}

func (c *command) appExportSchema() *cobra.Command {
	return &cobra.Command{
		Use: "export-schema DIRECTORY APP", Short: "Print the mappings as a Graph synchronizationSchema document", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := s.jobs.Get(cmd.Context(), provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID})
			if err != nil {
				return err
			}
			enc := json.NewEncoder(jsonWriter{c.stdout})
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			return enc.Encode(job.Schema)
		}),
	}
}

func (c *command) appImportSchema() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "import-schema DIRECTORY APP FILE", Short: "Replace the mappings by a Graph synchronizationSchema document; starts a new initial cycle",
		Args: exactArguments("DIRECTORY", "APP", "FILE"),
		Long: `Replaces the mappings of an application by those of FILE.

Asks first when the new mappings have an effect on people or groups. --yes answers
that question. Parts of FILE that are not known here are named by their path. A file
in which the text of an expression and its tree in parameters differ is refused.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			schema, err := provision.ParseSchema(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := s.jobs.CheckSchema(schema); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			lost, err := provision.NotTakenOver(text, schema)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, path := range lost {
				c.note("Not known here and left out: %s", path)
			}
			differs := false
			err = c.untilAgreed(cmd, yes, app.Name, func(agree func(string) error) error {
				allow := c.allowMappings(cmd, s, h, app, yes, agree)
				_, err := s.jobs.ImportSchema(cmd.Context(), jobKey(h, app), schema, func(before, after provision.Job) (int, error) {
					differs = true
					return allow(before, after)
				}, actor)
				return err
			})
			var asked unansweredError
			switch {
			case errors.As(err, &asked):
				return err
			case err != nil:
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return c.print(map[string]any{"imported": args[0], "changed": differs, "notTakenOver": append([]string{}, lost...)}, func(w io.Writer) {
				if !differs {
					fmt.Fprintf(w, "The mappings of %s were like that before.\n", app.Name)
					return
				}
				fmt.Fprintf(w, "The mappings of %s are replaced. The next cycle is an initial one.\n", app.Name)
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// withApp opens the directory and the application that the first two arguments name. It calls do
// with the other arguments.
func (c *command) withApp(do func(*cobra.Command, *services, *directory.Handle, directory.Application, []string) error) func(*cobra.Command, []string) error {
	return c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
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

// atLeast requires the arguments that want lists. The last argument may be repeated.
func atLeast(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(want) {
			return exactArguments(want...)(cmd, args)
		}
		return nil
	}
}
