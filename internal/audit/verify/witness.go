package verify

import (
	"context"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
)

// About is what a violation is about; User is "" for a whole quest.
type About struct {
	Rule  rule.Rule
	Quest int64
	User  string
}

// Witness is the checker, before a snapshot of the database is taken that somebody else
// reads.
type Witness struct{ pass *pass }

// Witness makes sure that the checker has something to say. The snapshot is to be taken
// after it.
func (v *Verifier) Witness(ctx context.Context) (*Witness, error) {
	w := &Witness{&pass{Verifier: v, result: &Result{}}}
	if !v.stream.Streaming() {
		return nil, errStalled
	}
	return w, w.pass.begin(ctx)
}

// Testimony is what the checker holds to be violated at a snapshot's place.
type Testimony struct {
	Sequence change.Seq
	Epoch    uint64
	Violated map[About]struct{}
	beyond   map[int64]struct{}
	certain  bool
}

// At waits until the checker has passed a snapshot.
func (w *Witness) At(ctx context.Context, at At) (*Testimony, error) {
	t := &Testimony{Violated: map[About]struct{}{}, beyond: map[int64]struct{}{}}
	err := w.pass.wait(ctx, at.LSN, func(v *View) {
		t.Sequence, t.Epoch, t.certain = v.Sequence, v.Epoch, at.Visible.Xmin >= v.Recent.Floor()
		v.beyond(at, t.beyond)
		v.Violated(func(r rule.Rule, quest int64, user string) { t.Violated[About{r, quest, user}] = struct{}{} })
	})
	return t, err
}

// Decides reports whether the checker and the snapshot have the same transactions of a
// quest, so that a difference means something.
func (t *Testimony) Decides(quest int64) bool {
	_, beyond := t.beyond[quest]
	return t.certain && !beyond
}
