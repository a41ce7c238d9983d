package provision

import (
	"slices"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// ReadsDefaultDomain reports whether a row of an enabled mapping of the job depends on the
// directory's default domain.
func (job Job) ReadsDefaultDomain() bool {
	return slices.ContainsFunc(job.Schema.ObjectMappings(), func(m *ObjectMapping) bool {
		return m.Enabled && slices.ContainsFunc(m.AttributeMappings, func(row AttributeMapping) bool {
			if row.Source == nil {
				return false
			}
			e, err := expr.FromSource(row.Source)
			return err == nil && e.ReadsDefaultDomain()
		})
	})
}
