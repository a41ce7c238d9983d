package main

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

const (
	maxCompletions    = 100             // how many names a completion offers at most
	completionTimeout = 5 * time.Second // how long a completion may take; if it takes longer, it offers no names
)

// completion holds the names that the shell offers for the word being typed. The zero value offers
// nothing.
type completion struct {
	names      []string
	files      bool // whether the shell completes names of files instead
	unfinished bool // whether more characters may follow, so that the shell adds no space
	keepOrder  bool // whether the shell shows the names in this order instead of sorting them
}

// directive returns how the shell treats the completed words.
func (c completion) directive() cobra.ShellCompDirective {
	if c.files {
		return cobra.ShellCompDirectiveDefault
	}
	d := cobra.ShellCompDirectiveNoFileComp
	if c.unfinished {
		d |= cobra.ShellCompDirectiveNoSpace
	}
	if c.keepOrder {
		d |= cobra.ShellCompDirectiveKeepOrder
	}
	return d
}

// complete registers completions for a command: for its arguments, by the placeholders in its usage
// line, and for its flags, by their names. A test checks that every placeholder and every flag has
// a completion.
func (c *command) complete(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		c.complete(child)
	}
	if cmd.Name() == "help" || cmd.Name() == "completion" || strings.HasPrefix(commandPath(cmd), "completion ") {
		return // cobra completes its own commands
	}
	if !cmd.HasSubCommands() {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			return c.completeWord(cmd, args, start, placeholder(cmd, len(args)))
		}
	}
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" {
			return
		}
		//nolint:errcheck // only fails for a flag that does not exist
		cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			return c.completeWord(cmd, args, start, "--"+f.Name)
		})
	})
}

// placeholder returns the word in the usage line for argument number n. If the last word ends in
// "...", it stands for all further arguments.
func placeholder(cmd *cobra.Command, n int) string {
	words := strings.Fields(cmd.Use)[1:]
	if len(words) == 0 {
		return ""
	}
	last := len(words) - 1
	if n > last {
		if !strings.Contains(words[last], "...") {
			return ""
		}
		n = last
	}
	return strings.TrimSuffix(strings.Trim(words[n], "[]"), "...")
}

// completeWord completes the word that begins with start. want is the placeholder at that position
// in the usage line.
func (c *command) completeWord(cmd *cobra.Command, args []string, start, want string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	found, known := fixedCompletion(strings.TrimSpace(commandPath(cmd)), start, want)
	if !known {
		found = c.storedCompletion(ctx, cmd, args, start, want)
	}
	begins := func(name string) bool { return strings.HasPrefix(scim.Fold(name), scim.Fold(start)) }
	names := slices.DeleteFunc(found.names, func(name string) bool { return !begins(name) || slices.Contains(args, name) })
	return names, found.directive()
}

// completionOf returns a completion with these words in their order.
func completionOf[T ~string](list ...T) completion {
	found := completion{keepOrder: true}
	for _, w := range list {
		found.names = append(found.names, string(w))
	}
	return found
}

// fixedCompletion completes words that need no database. ok is false if want needs the database.
func fixedCompletion(path, start, want string) (completion, bool) {
	for _, x := range site.SettingsTable {
		if want != "--"+x.Flag {
			continue
		}
		if x.Kind != site.Choice {
			return completion{}, true
		}
		var list []string
		for _, v := range x.Values {
			list = append(list, v.Word)
		}
		return completionOf(list...), true
	}
	switch want {
	case "--event":
		return completionOf(append(eventKinds(), event.Names...)...), true
	case "--actor", "--search", "--subject", "--since", "--until", "--number":
		return completion{}, true
	case "--reads", "--changes", "--provisioning", "--events", "--spent":
		return completionOf("30d", "365d", "7y", foreverWord), true
	case "--scope":
		return completionOf(provision.AssignedOnly, provision.Everyone), true
	case "--actions":
		return actionList(start), true
	case "--about":
		return completionList(start, topicNames()), true
	case "--rehire":
		return completionOf(provision.RehireAsk, provision.RehireAdopt, provision.RehireNew), true
	case "--swaps":
		return completionOf(provision.SwapsAsk, provision.SwapsTemporary), true
	case "--rules":
		return completionOf(provision.RulesRollcall, provision.RulesEntra), true
	case "--nested-groups", "--second-approval":
		return completionOf(switchOff, switchOn), true
	case "--schedule":
		return completionOf(provision.DriftIntervals()...), true
	case "--policy":
		return completionOf(provision.DriftPolicies()...), true
	case "--cycle":
		return completionOf(lastCycle), true
	case "--class":
		return completionOf(provision.IdentityClasses()...), true
	case "--kept":
		return completionOf(provision.OnlyKept, provision.WithoutKept), true
	case "--change":
		return completionOf(provision.IdentityNew, provision.IdentityChanged, provision.IdentityGone), true
	case "--level":
		return completionOf(operator.Levels...), true
	case "--exact-case":
		return completionOf("none", "displayName", "userName"), true
	case "--side":
		return completionOf(provision.TargetList, provision.SourceList), true
	case "--type":
		return completionOf(provision.AttributeTypes()...), true
	case "--apply":
		return completionOf("always", "creation"), true
	case "--expression":
		return expressionWords(start), true
	case "--source":
		return attributeCompletion("", ""), true
	case "--absent":
		return completionOf("keep", "soft-delete"), true
	case "--mode":
		return completionOf(signin.Modes...), true
	case "--protocol":
		return completionOf(signin.Protocols...), true
	case "--matches":
		return completionOf(site.Matches...), true
	case "--log":
		return completionOf("text", "json"), true
	case "--encoding":
		return completionOf("utf-8", "utf-16le", "utf-16be", "windows-1252"), true
	case "--action":
		return completionOf(provision.Create, provision.Update, provision.Disable, provision.Delete, provision.Other), true
	case "--status":
		if path == "provision log" {
			return completionOf(provision.Success, provision.Warning, provision.Failure, provision.Skipped), true
		}
		return completionOf(directory.Enabled, directory.Disabled, directory.Deleted), true
	case "--separator":
		return completionOf("comma", "semicolon", "tab", "pipe"), true
	case "--make":
		found := attributeCompletion("", "=")
		found.unfinished = true
		return found, true
	case "--map":
		if column, _, ok := strings.Cut(start, "="); ok {
			return attributeCompletion(column+"=", ""), true
		}
		return completion{}, true
	case "--database", "--key-file", "--secret-token-file", "--client-secret-file", "--operator-client-secret-file", "--object", "--with", "--output", "--metadata", "--tls-cert", "--tls-key", "--file", "FILE", "users.csv", "people.csv", "groups.csv", "members.csv":
		return completion{files: true}, true
	case "ATTRIBUTE=VALUE":
		found := attributeCompletion("", "=")
		if strings.HasPrefix(path, "directory group ") {
			found = completion{}
			for _, a := range directory.GroupAttributes() {
				found.names = append(found.names, a.Name+"=")
			}
		}
		found.unfinished = true
		return found, true
	case "EXPRESSION":
		return expressionWords(start), true
	case "--attribute":
		found := attributeCompletion("", "=")
		found.unfinished = true
		return found, true
	case "", "ACCOUNT", "DELIVERY", "PLACE", "URL", "--url", "--overlap", "--before", "TITLE", "--clause", "--constant", "--default", "--match", "--referenced", "NEW-NAME", "USER-PRINCIPAL-NAME", "WORD", "--sample", "--taken", "VALUE", "--value", "--display-name", "--description", "--public-url", "--tenant-url", "--issuer", "--client-id", "--ignore-columns", "--enabled-words", "--disabled-words", "--after", "--limit", "--delete-threshold", "--cycle-id", "--admin", "--name", "--expires",
		"--listen", "--metrics-listen", "--security-contact", "--trusted-proxy", "--cycle-interval", "--leaver-alarm", "--timeout", "--default-domain", "--create-settle", "--session-length", "--session-idle", "--smtp-url", "--mail-from", "--operator-issuer", "--operator-client-id":
		return completion{}, true
	}
	return completion{}, strings.HasSuffix(path, " create") && want == "NAME" || path == "notification add" && want == "ADDRESS"
}

// actionList completes the last word of a list such as "create,update".
func actionList(start string) completion {
	found := completionList(start, []string{"create", "update", "delete"})
	if !strings.Contains(start, ",") {
		found.names = append(found.names, "none")
	}
	return found
}

// completionList completes the last word of a comma-separated list. It offers the words that are
// not in the list yet.
func completionList(start string, words []string) completion {
	before, last := "", start
	if i := strings.LastIndex(start, ","); i >= 0 {
		before, last = start[:i+1], start[i+1:]
	}
	found := completion{unfinished: true, keepOrder: true}
	for _, w := range words {
		if !slices.Contains(strings.Split(before, ","), w) && strings.HasPrefix(w, last) {
			found.names = append(found.names, before+w)
		}
	}
	return found
}

// attributeCompletion completes the name of a user attribute. Each name stands between before and
// after.
func attributeCompletion(before, after string) completion {
	var found completion
	for _, a := range directory.Attributes() {
		found.names = append(found.names, before+a.Name+after)
	}
	return found
}

// storedCompletion completes names from the database. It creates nothing and prints nothing. If
// there is no database, it offers no names.
func (c *command) storedCompletion(ctx context.Context, cmd *cobra.Command, args []string, start, want string) completion {
	if isMissing(c.database) {
		return completion{}
	}
	quiet := *c
	quiet.stderr = io.Discard
	s, err := quiet.openServices(ctx, wiring{readOnly: true, mustExist: true, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return completion{}
	}
	defer s.db.Close() //nolint:errcheck // nothing was written
	area, _, _ := strings.Cut(commandPath(cmd), " ")
	var names []string
	switch {
	case want == "GROUP" || want == "--group" && len(args) > 0:
		names, err = s.groupNames(ctx, cmd, args[0], start)
	case want == "ROLE" || want == "--role" && len(args) > 1:
		names, err = s.roleNames(ctx, args[0], args[1])
	case want == "ATTRIBUTE" && area == "app":
		names, err = s.targetNames(ctx, cmd, args[0], args[1])
	case want == "VERSION":
		names, err = s.versionNames(ctx, args[0], args[1])
	case want == "HASH" || want == "--plan":
		names, err = s.planIDs(ctx, args[0], args[1])
	case want == "CAUSE":
		names, err = s.causeIDs(ctx, args[0], args[1])
	case want == "MEMBER":
		if names, err = s.userNames(ctx, cmd, args, start); err == nil {
			var groups []string
			groups, err = s.groupNames(ctx, cmd, args[0], start)
			names = append(names, groups...)
		}
	case want == "LAST4|ID" && area == "directory":
		names, err = s.keyNames(ctx, args[0])
	case want == "ADDRESS" && area == "notification" && cmd.Name() != "add":
		names, err = s.recipientAddresses(ctx, args[0])
	case want == "WEBHOOK":
		names, err = s.webhookCompletions(ctx, args[0])
	case want == "DIRECTORY" || area == "directory":
		if want == "PERSON" {
			names, err = s.userNames(ctx, cmd, args, start)
		} else {
			names, err = s.directoryNames(ctx)
		}
	case want == "--user" && area == "provision":
		names, err = s.userNames(ctx, cmd, args, start)
	case want == "--user":
		if name, _ := cmd.Flags().GetString("directory"); name != "" { // the flag is a string, so there is no error
			names, err = s.userNames(ctx, cmd, []string{name}, start)
		}
	case want == "--app" || want == "--target":
		names, err = s.exprNames(ctx, cmd, want)
	case want == "--site":
		names, err = s.siteNames(ctx)
	case want == "--directory":
		names, err = s.directoryNames(ctx)
	case want == "APP" || want == "--application":
		names, err = s.appNames(ctx, args[0])
	case want == "PERSON" || want == "OBJECT" || want == "ID":
		names, err = s.userNames(ctx, cmd, args, start)
	case want == "IDENTITY":
		names, err = s.identityIDs(ctx, args[0])
	case area == "operator":
		names, err = s.operatorNames(ctx)
	case want == "SITE" || want == "NAME":
		names, err = s.siteNames(ctx)
	default:
		names, err = s.siteCompletions(ctx, cmd, args, start, want)
	}
	if err != nil {
		return completion{}
	}
	return completion{names: names}
}

// directoryNames returns the names of all directories.
func (s *services) directoryNames(ctx context.Context) (names []string, err error) {
	all, err := s.directories.List(ctx)
	for _, d := range all {
		names = append(names, d.Name)
	}
	return names, err
}

// keyNames returns the last four characters of a directory's live API keys.
func (s *services) keyNames(ctx context.Context, directoryName string) (names []string, err error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return nil, err
	}
	all, err := s.keys.Keys(ctx, string(h.Directory.ID))
	for _, k := range all {
		if k.IsLive(s.keys.Now()) {
			names = append(names, k.Last4)
		}
	}
	return names, err
}

// recipientAddresses returns the addresses that get mail about a directory.
func (s *services) recipientAddresses(ctx context.Context, directoryName string) (addresses []string, err error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return nil, err
	}
	all, err := s.notifications.Recipients(ctx, string(h.Directory.ID))
	for _, r := range all {
		addresses = append(addresses, r.Address)
	}
	return addresses, err
}

// webhookCompletions returns the descriptions of a directory's webhooks, or the id of one without a
// description.
func (s *services) webhookCompletions(ctx context.Context, directoryName string) (names []string, err error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return nil, err
	}
	all, err := s.webhooks.List(ctx, string(h.Directory.ID))
	for _, w := range all {
		if w.Description != "" {
			names = append(names, w.Description)
			continue
		}
		names = append(names, w.ID)
	}
	return names, err
}

func (s *services) siteNames(ctx context.Context) (names []string, err error) {
	all, err := s.sites.List(ctx)
	for _, st := range all {
		names = append(names, st.Name)
	}
	return names, err
}

func (s *services) operatorNames(ctx context.Context) (names []string, err error) {
	all, err := s.operators.List(ctx)
	for _, o := range all {
		names = append(names, o.Name)
	}
	return names, err
}

// identityIDs returns the ids of the identities that are linked to an operator.
func (s *services) identityIDs(ctx context.Context, name string) (ids []string, err error) {
	all, err := s.operators.Identities(ctx, name)
	for _, i := range all {
		ids = append(ids, i.ID)
	}
	return ids, err
}

func (s *services) appNames(ctx context.Context, directoryName string) (names []string, err error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return nil, err
	}
	all, err := h.Applications(ctx)
	for _, a := range all {
		names = append(names, a.Name)
	}
	return names, err
}

// groupNames returns the groups' display names that begin with start. It returns only the groups
// that the command can change.
func (s *services) groupNames(ctx context.Context, cmd *cobra.Command, directoryName, start string) (names []string, err error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return nil, err
	}
	q := directory.GroupQuery{Search: start, Limit: 500}
	switch strings.TrimSpace(commandPath(cmd)) {
	case "directory group restore", "directory group purge":
		q.Deleted = true
	}
	page, err := h.Groups(ctx, q)
	for _, g := range page.Groups {
		if strings.HasPrefix(scim.Fold(g.DisplayName()), scim.Fold(start)) && len(names) < maxCompletions {
			names = append(names, g.DisplayName())
		}
	}
	return names, err
}

func (s *services) roleNames(ctx context.Context, directoryName, appName string) (names []string, err error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return nil, err
	}
	app, err := h.Application(ctx, appName)
	if err != nil {
		return nil, err
	}
	own, err := h.Roles(ctx, app.ID)
	names = append(names, directory.DefaultAccess.DisplayName)
	for _, r := range own {
		names = append(names, r.Value)
	}
	return names, err
}

// jobOf returns the job of an application.
func (s *services) jobOf(ctx context.Context, directoryName, appName string) (provision.Job, error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return provision.Job{}, err
	}
	app, err := h.Application(ctx, appName)
	if err != nil {
		return provision.Job{}, err
	}
	return s.jobs.Get(ctx, jobKey(h, app))
}

// planIDs returns the ids of an application's saved plans.
func (s *services) planIDs(ctx context.Context, directoryName, appName string) ([]string, error) {
	job, err := s.jobOf(ctx, directoryName, appName)
	if err != nil {
		return nil, err
	}
	plans, err := s.engine.ListPlans(ctx, job.Key)
	var names []string
	for _, p := range plans {
		if p.Hash != "" {
			names = append(names, p.Short())
		}
	}
	return names, err
}

// targetNames returns the attributes that a command about a mapping or an attribute list can name.
func (s *services) targetNames(ctx context.Context, cmd *cobra.Command, directoryName, appName string) ([]string, error) {
	job, err := s.jobOf(ctx, directoryName, appName)
	if err != nil {
		return nil, err
	}
	f := listFlags{side: string(provision.TargetList)}
	f.groups, _ = cmd.Flags().GetBool("groups") //nolint:errcheck // every such command has the flag
	if side, err := cmd.Flags().GetString("side"); err == nil {
		f.side = side
	}
	_, _, all, err := f.attributeList(cmd, job.Schema)
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.Name
	}
	return names, err
}

// exprNames completes the flags --app and --target of `rollcall expr`, in the directory that
// --directory names.
func (s *services) exprNames(ctx context.Context, cmd *cobra.Command, want string) ([]string, error) {
	directoryName, _ := cmd.Flags().GetString("directory") //nolint:errcheck // the command has the flag
	if directoryName == "" {
		return nil, nil
	}
	if want == "--app" {
		return s.appNames(ctx, directoryName)
	}
	app, _ := cmd.Flags().GetString("app") //nolint:errcheck // the command has the flag
	return s.targetNames(ctx, cmd, directoryName, app)
}

// versionNames returns the version numbers of an application's mappings.
func (s *services) versionNames(ctx context.Context, directoryName, appName string) ([]string, error) {
	job, err := s.jobOf(ctx, directoryName, appName)
	if err != nil {
		return nil, err
	}
	list, err := s.jobs.Versions(ctx, job.Key, 0, maxCompletions)
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = strconv.FormatInt(v.Number, 10)
	}
	return names, err
}

// userNames returns the users' user principal names that begin with start. It returns only the
// users that the command can change.
func (s *services) userNames(ctx context.Context, cmd *cobra.Command, args []string, start string) (names []string, err error) {
	h, err := s.directories.OpenNamed(ctx, args[0])
	if err != nil {
		return nil, err
	}
	q := directory.UserQuery{Search: start, Limit: 500}
	switch path := strings.TrimSpace(commandPath(cmd)); path {
	case "directory user enable":
		q.Status = directory.Disabled
	case "directory user disable":
		q.Status = directory.Enabled
	case "directory user restore", "directory user purge":
		q.Status = directory.Deleted
	case "app assign", "app unassign":
		a, err := h.Application(ctx, args[1])
		if err != nil {
			return nil, err
		}
		if path == "app assign" {
			q.NotAssignedTo = a.ID
		} else {
			q.AssignedTo = a.ID
		}
	}
	for more := true; more && len(names) < maxCompletions; {
		page, err := h.Users(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, u := range page.Users {
			if strings.HasPrefix(u.FoldedUPN(), scim.Fold(start)) && len(names) < maxCompletions {
				names = append(names, u.UPN())
			}
		}
		more, q.After = page.More, page.Next
	}
	return names, nil
}

// siteCompletions completes names that belong to the site in the first argument.
func (s *services) siteCompletions(ctx context.Context, cmd *cobra.Command, args []string, start, want string) (names []string, err error) {
	st, err := s.siteByName(ctx, args[0])
	if err != nil {
		return nil, err
	}
	r := s.rosters.Open(st)
	switch want {
	case "USERNAME":
		people, _, err := r.People(ctx, roster.PeopleQuery{Search: start, Limit: maxCompletions})
		for _, p := range people {
			offered := p.Active
			switch cmd.Name() {
			case "apply", "refuse", "list":
				offered = len(p.Held) > 0
			case "block":
				offered = !p.Block.InForce
			case "unblock":
				offered = p.Block.InForce
			}
			if offered {
				names = append(names, p.UserName)
			}
		}
		return names, err
	case "LAST4|ID":
		tokens, err := s.sites.Tokens(ctx, st.ID)
		for _, t := range tokens {
			if t.IsLive(s.directories.Now()) {
				names = append(names, t.Last4)
			}
		}
		return names, err
	case "TYPE":
		for _, t := range r.Types().Types() {
			names = append(names, t.Name)
		}
	case "ATTRIBUTE":
		if cmd.Name() == "apply" || cmd.Name() == "refuse" {
			p, err := r.PersonByUserName(ctx, args[1])
			for _, h := range p.Held {
				names = append(names, h.Attribute)
			}
			return names, err
		}
		declared, err := r.Indexing(ctx)
		if err != nil {
			return nil, err
		}
		if cmd.Name() == "remove" {
			for _, i := range declared {
				if strings.EqualFold(string(i.Type), args[1]) {
					names = append(names, i.Path.String())
				}
			}
			return names, nil
		}
		for _, t := range r.Types().Types() {
			if !strings.EqualFold(t.Name, args[1]) {
				continue
			}
			for _, path := range site.CanBeSearchable(t) {
				if !slices.ContainsFunc(declared, func(i roster.Indexing) bool { return i.Type == t.ID && i.Path == path }) {
					names = append(names, path.String())
				}
			}
		}
	}
	return names, nil
}
