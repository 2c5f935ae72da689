package stream

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// A transaction that is streamed as it comes is cut into messages of one quest's
// consecutive changes, at most so many. The numbers are part of the stream's
// form: a writer that resumes in the middle of a transaction counts messages.
const (
	chunkRows  = 512
	chunkBytes = 256 << 10
)

// assembler makes messages of the signals of a feed and publishes them.
type assembler struct {
	config *Config
	writer Writer
	tally  *tally
	// recorded is told of each message that records an end LSN.
	recorded func(change.Seq, change.LSN)
	source   change.Source
	resume   partial
	// passed is above all that was published: a signal that has read up to here has
	// nothing of it ahead.
	passed change.LSN

	tx      change.Transaction
	inTx    bool
	skip    int     // messages of tx that the stream has already, if it is held
	had     partial // what of tx the stream has already, if it is streamed as it comes
	stream  bool    // streamed as it comes
	order   int     // changes so far
	message int     // messages so far
	held    []change.Change
	quests  []int64 // of held, one for one
	bytes   int
	encoded []byte // the last message; a writer does not keep it

	// lastStep is when a transaction with changes last ended, in Unix nanoseconds;
	// the ticker reads it.
	lastStep atomic.Int64
}

// take handles one signal.
func (a *assembler) take(ctx context.Context, s *change.Signal) error {
	switch s.Kind {
	case change.Began:
		a.begin(&s.Transaction)
	case change.Changed:
		return a.changed(ctx, s)
	case change.Noted:
		return a.noted(ctx, s)
	case change.Committed:
		return a.commit(ctx, s.Transaction.EndLSN)
	case change.Alive:
	}
	return nil
}

// begin starts a transaction, and finds out how much of it the stream has.
func (a *assembler) begin(tx *change.Transaction) {
	a.tx, a.inTx = *tx, true
	a.stream, a.skip, a.had = false, 0, partial{}
	a.order, a.message, a.bytes = 0, 0, 0
	a.held, a.quests = a.held[:0], a.quests[:0]
	switch {
	case tx.CommitLSN != a.resume.commit:
	case a.resume.held:
		a.skip = a.resume.messages
	default:
		// By changes and not by messages: how these are cut depends on settings that
		// may be others now.
		a.stream, a.had, a.message = true, a.resume, a.resume.messages
	}
}

func (a *assembler) changed(ctx context.Context, s *change.Signal) error {
	a.order++
	if a.order <= a.had.order {
		return nil
	}
	s.Change.Order = a.order
	omit(&s.Change, a.config.MaxPayload-headroom)
	size := sizeOf(&s.Change)
	if a.stream && len(a.held) > 0 && (a.quests[0] != s.QuestID || len(a.held) >= chunkRows || a.bytes+size > min(chunkBytes, a.config.MaxPayload/2)) {
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	a.held = append(a.held, s.Change)
	a.quests = append(a.quests, s.QuestID)
	a.bytes += size
	if !a.stream && a.skip == 0 && (len(a.held) > a.config.MaxRows || a.bytes > a.config.MaxBytes) {
		return a.unhold(ctx)
	}
	return nil
}

// unhold goes over to streaming: what was held so far goes out in its order,
// cut just as if it had been streamed from the beginning.
func (a *assembler) unhold(ctx context.Context) error {
	changes, quests := a.held, a.quests
	a.held, a.quests, a.bytes, a.stream = nil, nil, 0, true
	a.order = 0
	for i := range changes {
		if err := a.changed(ctx, &change.Signal{QuestID: quests[i], Change: changes[i]}); err != nil {
			return err
		}
	}
	return nil
}

// flush publishes the run of changes that a streamed transaction has gathered.
func (a *assembler) flush(ctx context.Context) error {
	if len(a.held) == 0 {
		return nil
	}
	err := a.step(ctx, a.quests[0], a.held, 0)
	a.held, a.quests, a.bytes = a.held[:0], a.quests[:0], 0
	return err
}

// noted publishes a control record that stands in a transaction, or a logical
// message that stands alone.
func (a *assembler) noted(ctx context.Context, s *change.Signal) error {
	if !a.inTx {
		return a.alone(ctx, s)
	}
	if a.has(s.Control.Kind) {
		return nil
	}
	if !a.stream {
		if err := a.unhold(ctx); err != nil {
			return err
		}
	}
	if err := a.flush(ctx); err != nil {
		return err
	}
	return a.inside(ctx, s.Control, 0)
}

// has reports whether the stream has a control record of the transaction already.
// A change of columns is told when a connection first meets it, so that a resumed
// transaction may lack one that it had, or have one that it lacked.
func (a *assembler) has(kind change.Kind) bool {
	known := &a.had.notes
	if kind == change.SchemaChanged {
		known = &a.had.schemas
		if a.skip > 0 {
			return true // what was held had none
		}
	}
	switch {
	case a.order < a.had.order:
		return true
	case a.order > a.had.order || *known == 0:
		return false
	}
	*known--
	return true
}

func (a *assembler) alone(ctx context.Context, s *change.Signal) error {
	if s.Transaction.CommitLSN <= a.resume.commit {
		return nil
	}
	c := *s.Control
	c.Transaction, c.Time = &s.Transaction, 0
	_, err := a.control(ctx, &c)
	a.passed = max(a.passed, s.Transaction.CommitLSN+1)
	return err
}

// inside publishes a control record of the current transaction.
func (a *assembler) inside(ctx context.Context, c *change.Control, end change.LSN) error {
	a.message++
	if a.message <= a.skip {
		return nil
	}
	tx := a.tx
	tx.Message, tx.Messages, tx.EndLSN = a.message, 0, end
	c.Transaction = &tx
	seq, err := a.control(ctx, c)
	if err == nil && end != 0 {
		a.recorded(seq, end)
	}
	return err
}

func (a *assembler) control(ctx context.Context, c *change.Control) (change.Seq, error) {
	c.Source = a.source
	data, err := change.AppendControl(nil, c)
	if err != nil {
		return 0, err
	}
	return a.publish(ctx, a.config.Control, data)
}

func (a *assembler) publish(ctx context.Context, subject string, data []byte) (change.Seq, error) {
	seq, err := a.writer.Publish(ctx, subject, data)
	if err != nil {
		return 0, fmt.Errorf("publish to %s: %w", subject, err)
	}
	return seq, nil
}

// commit closes the transaction: one message for each quest, in the order in
// which it touched them, or the end of what was streamed.
func (a *assembler) commit(ctx context.Context, end change.LSN) error {
	defer func() { a.inTx, a.passed = false, max(a.passed, end) }()
	if !a.stream && a.skip == 0 && a.tooLarge() {
		if err := a.unhold(ctx); err != nil {
			return err
		}
	}
	if a.order > 0 {
		a.tally.transactions.Add(1)
		a.lastStep.Store(time.Now().UnixNano())
	}
	if a.stream {
		if err := a.flush(ctx); err != nil {
			return err
		}
		return a.inside(ctx, &change.Control{Kind: change.TxEnd}, end)
	}
	if len(a.held) == 0 {
		return nil
	}
	a.tx.EndLSN = end
	if allSame(a.quests) {
		return a.step(ctx, a.quests[0], a.held, 1)
	}
	quests, groups := a.group()
	for i, quest := range quests {
		if err := a.step(ctx, quest, groups[i], len(quests)); err != nil {
			return err
		}
	}
	return nil
}

// tooLarge reports whether the changes of one quest may not fit into a message.
func (a *assembler) tooLarge() bool {
	limit := a.config.MaxPayload - headroom
	if a.bytes <= limit {
		return false
	}
	sizes := map[int64]int{}
	for i := range a.held {
		quest := a.quests[i]
		if sizes[quest] += sizeOf(&a.held[i]); sizes[quest] > limit {
			return true
		}
	}
	return false
}

// group sorts the held changes by quest.
func (a *assembler) group() (quests []int64, groups [][]change.Change) {
	at := map[int64]int{}
	for i, quest := range a.quests {
		j, seen := at[quest]
		if !seen {
			j = len(quests)
			at[quest] = j
			quests, groups = append(quests, quest), append(groups, nil)
		}
		groups[j] = append(groups[j], a.held[i])
	}
	return quests, groups
}

func allSame(quests []int64) bool {
	for _, q := range quests {
		if q != quests[0] {
			return false
		}
	}
	return true
}

// step publishes changes of one quest. messages is the number of the
// transaction's messages, or 0 while it is not known.
func (a *assembler) step(ctx context.Context, quest int64, changes []change.Change, messages int) error {
	a.message++
	if a.message <= a.skip {
		return nil
	}
	s := change.Step{
		QuestID: quest, Transaction: a.tx, Source: a.source, Changes: changes, Published: change.MillisOf(time.Now()),
	}
	s.Transaction.Message, s.Transaction.Messages = a.message, messages
	a.encoded = change.AppendStep(a.encoded[:0], &s)
	seq, err := a.publish(ctx, a.config.Subject(quest), a.encoded)
	if err != nil {
		return err
	}
	a.tally.rows.Add(uint64(len(changes)))
	if s.Transaction.Whole() {
		a.recorded(seq, s.Transaction.EndLSN)
	}
	return nil
}
