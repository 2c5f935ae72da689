package chronicle

// life is one quest's.
type life struct {
	*tables
	// why says why a rule is violated, or will have been once it is.
	why      map[key]string
	standing map[key]*violation
	// approvals are those that the stream has seen, by application.
	approvals map[int64]approval

	queue []piece // what the workflow under way has yet to commit
	next  Millis  // when the next piece is due, or the next workflow
	// leaves is what the workflow under way must leave wrong; as it began, before was.
	leaves []leave
	before map[key]string
	doing  string
	steps  int // workflows begun
	// sound: nothing was wrong at warning or above as the workflow under way began. blurred: the stream has lost a part of it.
	sound, blurred bool
	// delicate: to lose a part of the workflow under way is to lose what explains it.
	delicate bool
}

func newLife(id int64) *life {
	return &life{tables: &tables{id: id}, why: map[key]string{}, standing: map[key]*violation{}, approvals: map[int64]approval{}}
}

// explain takes in what a piece explains; "" takes an explanation back.
func (l *life) explain(p *piece) {
	for k, cause := range p.why {
		if cause == "" {
			delete(l.why, k)
		} else {
			l.why[k] = cause
		}
	}
}

// forget is explain for a piece that the stream has lost.
func (l *life) forget(p *piece) {
	for k := range p.why {
		delete(l.why, k)
	}
}

func (l *life) cause(k key) string {
	if cause := l.why[k]; cause != "" {
		return cause
	}
	return l.unexplained(k)
}

// explained is what is wrong, and why.
func (l *life) explained() map[key]string {
	found := map[key]string{}
	for k := range l.violated() {
		found[k] = l.cause(k)
	}
	return found
}

// wounded reports whether something is wrong at warning or above.
func (l *life) wounded() bool {
	for _, cause := range l.explained() {
		if rank(severityOf(cause)) > 1 {
			return true
		}
	}
	return false
}

// gone reports whether nothing is left of it.
func (l *life) gone() bool { return l.quest == nil && len(l.apps)+len(l.parts) == 0 }

// empty removes its rows of some tables.
func (l *life) empty(entities []string) {
	for _, e := range entities {
		switch e {
		case Quest:
			l.quest = nil
		case Application:
			l.apps = nil
		case Participant:
			l.parts = nil
		}
	}
}
