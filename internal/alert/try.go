package alert

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/terminal"
)

// Try sends a notice over a channel that says that it is a test: once, and whatever the
// channel's route. It returns what the other side answered.
func Try(ctx context.Context, namespace string, o *Outlet) (answer string, err error) {
	e := event.OfTrial(namespace, &event.Trial{Channel: o.Name, Time: change.MillisOf(time.Now())})
	data, err := e.Encode(namespace)
	if err != nil {
		return "", fmt.Errorf("encode the test: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.TryFor, tryFor))
	defer cancel()
	n := noticeOf([]item{{event: e, data: data, severity: e.Severity()}}, func(id string) string { return id })
	if err := o.worded(n); err != nil {
		return "", err
	}
	if answer, err = o.Channel.Send(ctx, n); err != nil {
		return "", fmt.Errorf("send a test over %s: %w", o.Name, err)
	}
	return clip(terminal.Clean(strings.Join(strings.Fields(answer), " "))), nil
}
