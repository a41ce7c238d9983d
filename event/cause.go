package event

import (
	"context"
	"time"
)

// Cause is one action that makes many changes, such as an import. The events of all these changes
// have the id of the cause, so that an operator can judge their effects together.
type Cause struct {
	ID    string
	Words string           // a description for people, such as "Import of users by cli"
	Now   func() time.Time // the clock that gives the changes their times
}

// ImportCause is the prefix of the ids of causes that are imports.
const ImportCause = "import-"

// causeKey is the key of the cause in a context.
type causeKey struct{}

// WithCause returns a context that carries the cause c. The events of all changes that are made
// with this context then have this cause.
func WithCause(ctx context.Context, c Cause) context.Context {
	return context.WithValue(ctx, causeKey{}, c)
}

// CauseIn returns the cause of a context. It returns the zero Cause if the context has none; then
// provisioning's guard against mass deletions looks at each change by itself.
func CauseIn(ctx context.Context) Cause {
	c, _ := ctx.Value(causeKey{}).(Cause)
	return c
}
