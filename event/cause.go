package event

import (
	"context"
	"time"
)

// Cause is one act that makes many changes, such as an import. All events of these changes carry its
// id, so that their effects can be judged together.
type Cause struct {
	ID    string
	Words string           // for people, such as "Import of users by cli"
	Now   func() time.Time // the clock of its changes
}

// ImportCause is how the id of an import's cause begins.
const ImportCause = "import-"

type causeKey struct{}

// WithCause returns a context in which all changes have one cause.
func WithCause(ctx context.Context, c Cause) context.Context {
	return context.WithValue(ctx, causeKey{}, c)
}

// CauseIn returns the cause of a context; the zero Cause if its changes are single ones.
func CauseIn(ctx context.Context) Cause {
	c, _ := ctx.Value(causeKey{}).(Cause)
	return c
}
