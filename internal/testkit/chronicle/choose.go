package chronicle

import "fmt"

// begin chooses a quest's next workflow; false: it is left alone for ever.
func (w *world) begin(l *life) bool {
	l.leaves, l.before, l.blurred, l.delicate = nil, nil, false, false
	s := &script{life: l, dice: w.dice, nextID: w.nextID}
	l.sound = !l.wounded() && (l.quest == nil || !l.quest.Deleted) // what is restored is what was
	if l.steps == 0 {
		s.create()
		l.doing = "create"
	} else {
		f := w.choose(l)
		if f == nil {
			w.bear()
			return false
		}
		w.tally.Workflows[f.name]++
		w.tally.Begun++
		w.write(s, f)
	}
	l.steps++
	l.queue = s.pieces
	return true
}

func (s *script) create() {
	s.write(func(t *tables) Change { return t.insertQuest(open) })
	for range 1 + s.dice.IntN(3) {
		s.insert(Application, s.stranger(), pending)
	}
	s.together()
}

// write has a workflow write its script, in a style.
func (w *world) write(s *script, f *workflow) {
	l := s.life
	f.write(s)
	if f.always == inOne || f.always == either && w.one(2) {
		s.together()
	}
	s.paced(w.Limit)
	l.doing, l.delicate, l.before = f.name, f.delicate, l.explained()
	if f.leaves != nil {
		l.leaves = f.leaves(s)
	} else {
		l.leaves = nil
	}
}

// choose is what happens to a quest next; nil: nothing more does.
func (w *world) choose(l *life) *workflow {
	switch {
	case w.tally.Begun >= w.Workflows, l.steps > w.Lifetime:
		return nil
	case l.wounded():
		return w.chooseHurt(l)
	case w.Faults && w.one(3):
		if f := w.chooseFault(l); f != nil {
			return f
		}
	}
	var can []*workflow
	for i := range w.ordinary {
		f := &w.ordinary[i]
		if f.delicate && w.fragile() || !f.can(l) {
			continue
		}
		for range f.weight {
			can = append(can, f)
		}
	}
	if len(can) == 0 {
		return nil
	}
	return pick(w.dice, can)
}

// chooseFault is what goes wrong with a quest: of what can, what did so least often.
func (w *world) chooseFault(l *life) (rarest *workflow) {
	for i := range w.faults {
		f := &w.faults[i]
		if f.can(l) && (rarest == nil || w.tally.Workflows[f.name] < w.tally.Workflows[rarest.name]) {
			rarest = f
		}
	}
	return rarest
}

// fragile: what is written now is lost, or about to be, and must be found right all the same.
func (w *world) fragile() bool { return !w.Faults && (w.losing || w.aboutToLose) }

// chooseHurt is what happens to a quest with which something is wrong.
func (w *world) chooseHurt(l *life) *workflow {
	ways := []*workflow{nil, {name: "repair", write: repair, always: inOne}}
	for i := range w.ordinary {
		switch f := &w.ordinary[i]; f.name {
		case "delete", "delete softly", "edit", "restore":
			if f.can(l) {
				ways = append(ways, f)
			}
		}
	}
	return pick(w.dice, ways)
}

// checkLeaves checks that a workflow leaves wrong what it says, and nothing else that is new.
func (l *life) checkLeaves() error {
	if l.blurred || l.before == nil {
		return nil
	}
	after := l.explained()
	for _, leave := range l.leaves {
		k := key{leave.rule, leave.user}
		if after[k] != leave.cause || severityOf(leave.cause) != leave.severity {
			return fmt.Errorf("%q on quest %d should leave %v, and left %v", l.doing, l.id, leave, after)
		}
		delete(after, k)
	}
	for k, cause := range after {
		if l.before[k] != cause && rank(severityOf(cause)) > 1 && l.sound {
			return fmt.Errorf("%q on quest %d left %v: %s", l.doing, l.id, k, cause)
		}
	}
	return nil
}
