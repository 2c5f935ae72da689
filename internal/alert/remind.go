package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// remindEvery is how often it is looked whether a reminder is due.
const remindEvery = time.Minute

// remind tells, once in Repeat, of what is still open when something has been for so
// long. A try that fails is made again a little later, with what is open then.
func (w *worker) remind(ctx context.Context) error {
	due, now := w.position.Reminded.Add(w.outlet.Repeat), time.Now()
	if now.Before(due) && now.Add(remindEvery).After(w.position.Reminded) { // else the clock was wrong then
		return nil
	}
	items := w.audible(ctx, w.open.list(ctx))
	old := change.MillisOf(now.Add(-w.outlet.Repeat))
	if !slices.ContainsFunc(items, func(it item) bool { return it.event.Time <= old }) {
		return nil
	}
	if _, quiet := w.outlet.Quiet.holds(items, now); quiet {
		return nil
	}
	n := stillOpen(fmt.Sprint(w.outlet.Name, w.position.Reminded.UnixNano()), items, w.book.Call(ctx))
	w.word(n)
	err := w.try(ctx, n)
	switch {
	case err != nil && ctx.Err() != nil, errors.Is(err, ErrTaken):
		return err
	case err != nil:
		w.logger.Warn("what is still open could not be told; trying on", "err", err)
		return nil
	}
	w.position.Reminded, w.dirty = now, true
	return w.save(ctx)
}

// stillOpen is the notice of what is open; about makes it one of its kind.
func stillOpen(about string, items []item, name func(id string) string) *Notice {
	n := noticeOf(items, name)
	sum := sha256.Sum256([]byte(about))
	n.ID, n.Open, n.New = "open."+hex.EncodeToString(sum[:10]), n.New, 0
	return n
}
