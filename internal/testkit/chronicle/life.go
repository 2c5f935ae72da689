package chronicle

// life is one quest's.
type life struct {
	*tables
	// why says why a rule is violated, or will have been once it is.
	why      map[key]string
	standing map[key]*violation
	// revoked are the applications of which the stream has seen an approval being taken back.
	revoked map[int64]bool
	// withdrawn are the people of whom it saw an approved application being deleted.
	withdrawn map[string]bool
	// approvals are those that the stream has seen, by application.
	approvals map[int64]approval
	// seen is what the stream saw last, where it has lost something since: what explains the keys in lost.
	seen *tables
	lost []key

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
	return &life{
		tables: &tables{id: id}, why: map[key]string{}, standing: map[key]*violation{},
		revoked: map[int64]bool{}, withdrawn: map[string]bool{}, approvals: map[int64]approval{},
	}
}

// explain takes in what a piece did and explains; "" takes an explanation back.
func (l *life) explain(p *piece, changes []Change) {
	for _, c := range changes {
		if c.Entity == Application && c.Before != nil && c.After != nil && (c.Before.Status == approved) != (c.After.Status == approved) {
			l.revoked[c.After.ID] = c.Before.Status == approved
			delete(l.withdrawn, c.After.User)
		}
		if c.Entity == Application && c.After == nil && c.Before.Status == approved {
			l.withdrawn[c.Before.User] = true
		}
	}
	for k, cause := range p.why {
		l.why[k] = cause
		if cause == "" {
			l.unexplain(k)
		}
	}
}

// unexplain leaves of an explanation what another application of the person explains.
func (l *life) unexplain(k key) {
	delete(l.why, k)
	for _, a := range l.apps {
		if k == (key{OrphanParticipant, a.User}) && l.revoked[a.ID] {
			l.why[k] = revoked
		}
	}
	if k.rule == OrphanParticipant && l.withdrawn[k.user] {
		l.why[k] = revoked
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
