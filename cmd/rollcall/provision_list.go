package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/provision"
)

// jobJSON is a job in the JSON output of provision list.
type jobJSON struct {
	Application  string              `json:"application"`
	Code         string              `json:"code"`
	Linked       int                 `json:"linked"`
	Pending      int                 `json:"pending"` // how many people and groups wait to be worked on
	OldestChange time.Time           `json:"oldestChange,omitzero"`
	LastCycle    time.Time           `json:"lastCycle,omitzero"` // when the last cycle ended
	Concerns     []provision.Concern `json:"concerns"`
}

func (c *command) provisionList() *cobra.Command {
	var attention bool
	cmd := &cobra.Command{
		Use: "list DIRECTORY", Short: "Show how the jobs of all applications are going", Args: exactArguments("DIRECTORY"),
		Long: `Shows the provisioning of each application of the directory, and what a person has to
look at: a quarantine, an account that waits to be closed for too long, operations on hold,
and users and groups that failed. With --attention only jobs with such a thing are listed,
and the exit code is 2 if there is one.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			apps, err := h.Applications(cmd.Context())
			if err != nil {
				return err
			}
			jobs, lines := []jobJSON{}, [][]string{}
			for _, a := range apps {
				r, err := s.jobs.Report(cmd.Context(), jobKey(h, a))
				switch {
				case errors.Is(err, provision.ErrNoJob):
					r.Code = provision.NotConfigured
				case err != nil:
					return err
				}
				concerns := r.Concerns()
				if attention && concerns == nil {
					continue
				}
				j := jobJSON{Application: a.Name, Code: r.Code, Linked: r.Linked, Pending: r.Pending, OldestChange: r.OldestChange, Concerns: append([]provision.Concern{}, concerns...)}
				last, words := "never", []string{}
				if r.State.Last != nil {
					j.LastCycle = r.State.Last.Ended
					last = c.formatTime(j.LastCycle)
				}
				for _, one := range concerns {
					words = append(words, oneLine(one.Text))
				}
				jobs = append(jobs, j)
				lines = append(lines, []string{a.Name, statusWords(r.Code), fmt.Sprint(r.Linked), fmt.Sprint(r.Pending), last, strings.Join(words, "; ")})
			}
			err = c.print(jobs, func(w io.Writer) {
				empty := fmt.Sprintf("No application yet. Make one with: rollcall app create %s NAME", h.Directory.Name)
				if attention && len(apps) > 0 {
					empty = "Nothing needs attention."
				}
				printTable(w, empty, []string{"Application", "Provisioning", "Linked", "Waiting", "Last cycle", "Needs attention"}, lines)
			})
			if err == nil && attention && len(jobs) > 0 {
				return errSomethingToDo
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&attention, "attention", false, "only jobs that need a person; exit with 2 if there is one")
	return cmd
}
