package console

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/retention"
)

// keptLog is a kind of entries, as a page calls them.
type keptLog struct {
	kind retention.Kind
	name string
}

// kept says how long the entries of an owner's log are kept, and whether older ones are gone.
func (c *Console) kept(ctx context.Context, owner string, logs ...keptLog) (text string, err error) {
	if c.options.Retention == nil {
		return "", nil
	}
	for _, l := range logs {
		kept, err := c.options.Retention.Kept(ctx, l.kind, owner)
		if err != nil {
			return "", err
		}
		if kept.Days == retention.Forever {
			text += fmt.Sprintf(" %s are kept forever", l.name)
		} else {
			text += fmt.Sprintf(" %s are kept for %s", l.name, retention.Words(kept.Days))
		}
		if !kept.Since.IsZero() {
			text += fmt.Sprintf(": those from before %s are gone", kept.Since.UTC().Format(time.DateOnly))
		}
		text += "."
	}
	return text, nil
}
