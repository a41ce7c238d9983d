package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) mappingVersion() *cobra.Command {
	return groupCommand("version", "Earlier mappings of an application", c.versionList(), c.versionShow(), c.versionRestore())
}

// versionJSON is a version of the mappings in --json output.
type versionJSON struct {
	Version int64  `json:"version"`
	Time    string `json:"time"`
	Actor   string `json:"actor,omitempty"`
	Change  string `json:"change"`
}

func (c *command) versionList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY APP", Short: "List the versions of the mappings, newest first", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			if _, err := s.jobs.Get(cmd.Context(), jobKey(h, app)); err != nil {
				return err
			}
			list, err := s.jobs.Versions(cmd.Context(), jobKey(h, app), 0, provision.KeptVersions)
			if err != nil {
				return err
			}
			out, lines := make([]versionJSON, len(list)), make([][]string, len(list))
			for i, v := range list {
				out[i] = versionJSON{v.Number, formatJSONTime(v.At), v.Actor, v.Words}
				lines[i] = []string{strconv.FormatInt(v.Number, 10), c.formatTime(v.At), v.Actor, v.Words}
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "There is no version yet.", []string{"Version", "Time", "By", "Change"}, lines)
			})
		}),
	}
}

// openVersion returns the version whose number is the argument.
func openVersion(cmd *cobra.Command, s *services, key provision.Key, arg string) (provision.MappingVersion, error) {
	number, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return provision.MappingVersion{}, usagef(cmd, "VERSION is a number, not %q", arg)
	}
	v, err := s.jobs.Version(cmd.Context(), key, number)
	if errors.Is(err, provision.ErrNoVersion) {
		return v, fmt.Errorf("the mappings have no version %d, or no longer: rollcall app mapping version list shows those that are kept", number)
	}
	return v, err
}

func (c *command) versionShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DIRECTORY APP VERSION", Short: "Show what differs between a version of the mappings and those of today", Args: exactArguments("DIRECTORY", "APP", "VERSION"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			job, err := s.jobs.Get(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			v, err := openVersion(cmd, s, job.Key, args[0])
			if err != nil {
				return err
			}
			changes := provision.Compare(v.Schema, job.Schema)
			return c.print(append([]provision.ChangedPart{}, changes...), func(w io.Writer) {
				lines := make([][]string, len(changes))
				for i, ch := range changes {
					lines[i] = []string{ch.Name, provision.PartWords(ch.Before), provision.PartWords(ch.After)}
				}
				printTable(w, fmt.Sprintf("Version %d has the mappings of today.", v.Number), []string{"Part", fmt.Sprintf("Version %d", v.Number), "Today"}, lines)
			})
		}),
	}
}

func (c *command) versionRestore() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "restore DIRECTORY APP VERSION", Short: "Set the mappings of a version again", Args: exactArguments("DIRECTORY", "APP", "VERSION"),
		Long: `Sets the mappings of a version again, as one more version. Asks first when that has an effect
on people; --yes answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			v, err := openVersion(cmd, s, jobKey(h, app), args[0])
			if err != nil {
				return err
			}
			err = c.untilAgreed(cmd, yes, app.Name, func(agree func(string) error) error {
				_, err := s.jobs.GoBack(cmd.Context(), jobKey(h, app), v.Number, c.allowMappings(cmd, s, h, app, yes, agree), actor)
				return err
			})
			if err != nil {
				return err
			}
			return c.print(map[string]any{"restored": v.Number}, func(w io.Writer) { fmt.Fprintf(w, "The mappings are those of version %d again.\n", v.Number) })
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
