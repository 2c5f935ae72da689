package alert

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

const (
	saveRetry = time.Second
	saveTries = 10 // then people are told all the same
	heldIn    = 2 * time.Second
	// lastSaveIn is for how long the end waits for the position to be kept.
	lastSaveIn = time.Second
)

// load reads the position, as long as that takes.
func (w *worker) load(ctx context.Context) (err error) {
	for warned := false; ; warned = true {
		if w.position, w.revision, err = w.positions.Load(ctx, w.outlet.Name); err == nil {
			return nil
		}
		if errors.Is(err, ErrNone) { // Begin keeps one
			w.logger.Warn("somebody has deleted the position of alerts; telling what comes from now on")
			if err = w.begin(ctx, w.outlet.Name); err == nil {
				continue
			}
		}
		if !warned {
			w.logger.Warn("the position of alerts cannot be read; trying on", "err", err)
		}
		if !pause(ctx, saveRetry) {
			return ctx.Err()
		}
	}
}

// claim makes the position ours: who had it before ends with ErrTaken, even if it stands
// at the same place.
func (w *worker) claim(ctx context.Context) error {
	w.position.By, w.dirty = rand.Text(), true
	return w.save(ctx)
}

// held makes sure, before something is told, that nobody else has claimed the position.
// That it cannot be read keeps nobody from being told.
func (w *worker) held(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, heldIn)
	defer cancel()
	kept, revision, err := w.positions.Load(within, w.outlet.Name)
	if err == nil && revision != w.revision && kept.By != w.position.By {
		return fmt.Errorf("send alerts over %s: %w", w.outlet.Name, ErrTaken)
	}
	return nil
}

// save keeps the position. While it cannot, alerts go on: that they are told twice after a
// crash is better than that nobody is told.
func (w *worker) save(ctx context.Context) error {
	if !w.dirty {
		return nil
	}
	for try := 1; ; try++ {
		revision, err := w.positions.Save(ctx, w.outlet.Name, w.position, w.revision)
		if errors.Is(err, ErrConflict) {
			revision, err = w.ownConflict(ctx)
		}
		switch {
		case err == nil:
			w.revision, w.dirty, w.unkept = revision, false, false
			return nil
		case errors.Is(err, ErrTaken), ctx.Err() != nil:
			return err
		case w.unkept:
			return nil
		case try == 1:
			w.logger.Warn("the position of alerts cannot be kept; trying on", "err", err)
		case try == saveTries:
			w.logger.Error("the position of alerts cannot be kept: what is told from now on is told again after a restart", "err", err)
			w.unkept = true
			return nil
		}
		if !pause(ctx, saveRetry) {
			return ctx.Err()
		}
	}
}

// saveLast keeps the position at the end, so that who comes next does not tell again what
// was taken just before it.
func (w *worker) saveLast(ctx context.Context) {
	if !w.dirty {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSaveIn)
	defer cancel()
	_, _ = w.positions.Save(ctx, w.outlet.Name, w.position, w.revision) // or it is told again
}

// ownConflict saves over a save of ours that was stored although its answer was lost, and
// where somebody has deleted it.
func (w *worker) ownConflict(ctx context.Context) (uint64, error) {
	kept, revision, err := w.positions.Load(ctx, w.outlet.Name)
	switch {
	case errors.Is(err, ErrNone):
		revision = 0
	case err != nil:
		return 0, err
	case kept.By != w.position.By:
		return 0, fmt.Errorf("keep the position of %s: %w", w.outlet.Name, ErrTaken)
	}
	return w.positions.Save(ctx, w.outlet.Name, w.position, revision)
}
