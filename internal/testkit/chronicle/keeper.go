package chronicle

import "fmt"

// violation is something that is wrong, from when on, and whether it has been told.
type violation struct {
	Finding
	open, over bool
}

// where is what a quest is judged after.
type where struct {
	epoch, xid, lsn uint64
	time            Millis
	baseline        bool
	missed          bool // changes were lost before that baseline
}

// keeper knows what a checker must say. Its time is the stream's.
type keeper struct {
	grace   func(rule string) Millis
	judged  map[string]bool // the rules
	known   bool            // a baseline has ended, and nothing was lost since
	now     Millis
	waiting []*violation
	summary *summary
	counts  map[string]int // of what is told, by rule, cause and severity
}

// summary is of a baseline, when it is due.
type summary struct {
	at    Millis
	epoch uint64
}

// judge compares what is wrong with a quest after a step with what was before.
func (k *keeper) judge(l *life, at where) (told []Told) {
	if !k.known {
		return nil
	}
	now := max(at.time, k.now)
	found := l.explained()
	for key, v := range l.standing {
		cause, still := found[key]
		graver := still && rank(severityOf(cause)) > rank(v.Severity)
		unseen := at.baseline && !v.open && (at.missed || cause != v.Cause) // it may have ended and began again where nobody looked
		if still && !graver && !unseen {
			continue
		}
		delete(l.standing, key)
		v.over = true
		if v.open {
			told = append(told, Told{What: "resolved", At: max(now, v.Due), Finding: v.Finding, Reason: reason(l, v, at, graver)})
		}
	}
	for key, cause := range found {
		if l.standing[key] != nil || !k.judged[key.rule] {
			continue
		}
		v := &violation{Finding: Finding{
			Rule: key.rule, Cause: cause, Severity: severityOf(cause), Quest: l.id, User: key.user,
			FromBaseline: at.baseline, XID: at.xid, CommitLSN: at.lsn, Epoch: at.epoch, Since: now, Due: now + k.grace(key.rule),
		}}
		l.standing[key] = v
		if v.Due == v.Since && !at.baseline {
			told = append(told, k.open(v)...)
		} else {
			k.waiting = append(k.waiting, v)
		}
	}
	return told
}

func reason(l *life, v *violation, at where, graver bool) string {
	switch {
	case at.baseline:
		return "baseline"
	case graver:
		return "cause_changed"
	case !l.there() && v.Rule != DanglingReference:
		return "quest_gone"
	}
	return "healed"
}

func (k *keeper) open(v *violation) []Told {
	v.open = true
	k.count(v.Rule, v.Cause, v.Severity)
	told := []Told{{What: "opened", At: v.Due, Finding: v.Finding}}
	if v.Cause == approvalFailed {
		told = append(told, k.event("failed", "silent", v.Severity, v.Due, v.Quest, v.User))
	}
	return told
}

// event is what is told that is no finding.
func (k *keeper) event(what, reason, severity string, at Millis, quest int64, user string) Told {
	k.count(what, reason, severity)
	return Told{What: what, Reason: reason, At: at, Finding: Finding{Severity: severity, Quest: quest, User: user}}
}

func (k *keeper) count(what, why, severity string) {
	k.counts[fmt.Sprint(what, " ", why, " ", severity)]++
}

// mark moves stream time on.
func (k *keeper) mark(at Millis, lives map[int64]*life) (told []Told) {
	if !k.known {
		return nil
	}
	k.now = max(k.now, at)
	waiting := k.waiting[:0]
	for _, v := range k.waiting {
		switch {
		case v.over:
		case v.Due <= k.now:
			told = append(told, k.open(v)...)
		default:
			waiting = append(waiting, v)
		}
	}
	clear(k.waiting[len(waiting):])
	k.waiting = waiting
	if s := k.summary; s != nil && k.now >= s.at {
		k.summary = nil
		count := 0
		for _, l := range lives {
			for _, v := range l.standing {
				if v.open && v.FromBaseline && v.Epoch == s.epoch {
					count++
				}
			}
		}
		told = append(told, Told{What: "baseline", At: s.at, Count: count})
	}
	return told
}

// judgeAll judges every quest, as after a baseline.
func (k *keeper) judgeAll(lives map[int64]*life, at where) (told []Told) {
	at.baseline = true
	for _, l := range lives {
		told = append(told, k.judge(l, at)...)
	}
	if k.known {
		longest := Millis(0)
		for rule := range k.judged {
			longest = max(longest, k.grace(rule))
		}
		k.summary = &summary{at: max(at.time, k.now) + longest, epoch: at.epoch}
	}
	return told
}
