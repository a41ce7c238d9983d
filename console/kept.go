package console

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/retention"
)

// RetainedLog is a kind of log entries, with the name that a page uses for such entries.
type RetainedLog struct {
	Kind retention.Kind
	Name string
}

// RetentionText returns sentences about the logs of a site or directory, owner. They say how long
// entries are kept, and that entries from before some day have been removed. Each sentence begins
// with a space.
func (c *Console) RetentionText(ctx context.Context, owner string, logs ...RetainedLog) (text string, err error) {
	if c.Options.Retention == nil {
		return "", nil
	}
	for _, l := range logs {
		kept, err := c.Options.Retention.RetentionOf(ctx, l.Kind, owner)
		if err != nil {
			return "", err
		}
		if kept.Days == retention.Forever {
			text += fmt.Sprintf(" %s are kept forever", l.Name)
		} else {
			text += fmt.Sprintf(" %s are kept for %s", l.Name, retention.DaysInWords(kept.Days))
		}
		if !kept.Since.IsZero() {
			text += fmt.Sprintf(": those from before %s are gone", kept.Since.UTC().Format(time.DateOnly))
		}
		text += "."
	}
	return text, nil
}
