package replay_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/rule"
)

// A story is a case of TestGolden: lines that say what the application and the
// streamer did, then "---", then what is to be shown of a finding. A word "name=id"
// stands for a column and its value as JSON or as a bare word; a person's name
// stands for the id.
//
//	person ann 8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c   ann has this id
//	nameless ann 8f14…                                 the same, and it cannot be looked up
//	baseline 12:00:00                                  restates all rows, in a new epoch
//	broken baseline 12:00:00                           one that is never ended
//	tx 12:00:03.120                                    a transaction of the rows that follow
//	large tx 12:00:03.120                              the same, streamed as it comes
//	mark 12:00:07                                      a progress mark
//	mark tomorrow 00:01:00                             the day after
//	gap slot_missing 12:00:07                          a gap
//	retype quest status 12:00:07                       a column of another type, in a transaction
//	grace missing_participant 0s                       in place of 3 s
//	discard 5                                          the stream has lost its first messages
//	recreate                                           the stream was made anew
//	show missing_participant limit=2 json              what to show: the last such finding
//
// Below a baseline and a transaction, indented:
//
//	quest 42 title="Paint the fence" status=open       made, or changed where it is known
//	application 7 applicant=ann unsent=status          as if Postgres had not sent the column
//	participant 3 gone                                 deleted; below a baseline: nobody saw how
//	participant 3 moved quest=43                       moved to another quest
//	quest 42 times=500                                 changed so often
//	truncate participant                               in a transaction
//	takeover                                           in a large one: another writer goes on with it
//	repair 13 quest=42 undoes=12 actor=ann             in a large one: it says that it is a repair; without an actor, automatic
type story struct {
	t       *testing.T
	records []change.Record
	rows    map[string]map[string]string // a row's columns, by "entity id"
	people  map[string]string
	names   map[string]string
	lsn     change.LSN
	xid     uint64
	epoch   uint64
	created time.Time
	graces  map[rule.Rule]time.Duration
	first   change.Seq
	show    []string

	lines []string // still to be told
}

func readStory(t *testing.T, path string) (s *story, input, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	input, want, _ = strings.Cut(string(data), "\n---\n")
	s = storyOf(t, input)
	if s.show == nil {
		t.Fatalf("%s does not say what to show", path)
	}
	return s, input, want
}

func storyOf(t *testing.T, input string) *story {
	t.Helper()
	s := &story{
		t: t, rows: map[string]map[string]string{}, people: map[string]string{}, names: map[string]string{},
		graces: map[rule.Rule]time.Duration{},
		lsn:    0x16E8F00, xid: 750, first: 1, lines: strings.Split(input, "\n"),
	}
	for len(s.lines) > 0 {
		s.tell(s.next())
	}
	return s
}

func (s *story) next() string {
	line := s.lines[0]
	s.lines = s.lines[1:]
	return line
}

var wordsPattern = regexp.MustCompile(`(?:[^\s"]|"(?:[^"\\]|\\.)*")+`)

func words(line string) []string { return wordsPattern.FindAllString(line, -1) }

func (s *story) tell(line string) {
	w := words(line)
	if len(w) == 0 || strings.HasPrefix(line, "#") {
		return
	}
	switch w[0] {
	case "person", "nameless":
		s.people[w[1]] = w[2]
		if w[0] == "person" {
			s.names[w[2]] = w[1]
		}
	case "baseline":
		s.baseline(s.at(w[1]), true)
	case "broken":
		s.baseline(s.at(w[2]), false)
	case "tx":
		s.transaction(s.at(w[1]), false)
	case "large":
		s.transaction(s.at(w[2]), true)
	case "mark":
		s.control(change.Control{Kind: change.Progress, LSN: s.lsn + 8, Time: s.at(w[len(w)-1]) + change.Millis((len(w)-2)*24*3600*1000)})
	case "gap":
		s.control(change.Control{Kind: change.Gap, From: s.lsn, To: s.lsn + 0x100, Reason: w[1], Time: s.at(w[2])})
	case "retype":
		tx := s.newTransaction(s.at(w[3]))
		tx.Message = 1
		s.control(change.Control{Kind: change.SchemaChanged, Transaction: &tx, Entities: w[1:2], Columns: []string{"id"}, Retyped: w[2:3]})
	case "grace":
		r, err := rule.Parse(w[1])
		s.check(err)
		s.graces[r], err = time.ParseDuration(w[2])
		s.check(err)
	case "discard":
		n, err := strconv.Atoi(w[1])
		s.check(err)
		s.first = change.Seq(n + 1)
	case "recreate":
		s.created = storedAt.Add(time.Hour)
	case "show":
		s.show = w[1:]
	default:
		s.t.Fatalf("what is %q?", line)
	}
}

func (s *story) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) at(clock string) change.Millis {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-06-01 "+clock)
	s.check(err)
	return change.MillisOf(t)
}

func (s *story) publish(subject string, data []byte) {
	s.records = append(s.records, change.Record{Seq: change.Seq(len(s.records) + 1), Subject: subject, Data: data})
}

func (s *story) source(snapshot bool) change.Source {
	return change.Source{DB: "peerquest", Epoch: s.epoch, Snapshot: snapshot}
}

func (s *story) control(c change.Control) {
	c.Source = s.source(false)
	data, err := change.AppendControl(nil, &c)
	s.check(err)
	s.publish("control", data)
}

func (s *story) step(tx change.Transaction, snapshot bool, quest int64, changes []change.Change) {
	s.publish(strconv.FormatInt(quest, 10), change.AppendStep(nil, &change.Step{
		QuestID: quest, Transaction: tx, Source: s.source(snapshot), Changes: changes,
	}))
}

func (s *story) newTransaction(at change.Millis) change.Transaction {
	s.lsn += 0x28
	s.xid++
	return change.Transaction{ID: s.xid, CommitLSN: s.lsn, EndLSN: s.lsn + 0x30, Time: at}
}

// indented are the lines below the one that was just told.
func (s *story) indented() (lines []string) {
	for len(s.lines) > 0 && strings.HasPrefix(s.lines[0], " ") {
		lines = append(lines, strings.TrimSpace(s.next()))
	}
	return lines
}

func (s *story) baseline(at change.Millis, whole bool) {
	for _, line := range s.indented() {
		w := words(line)
		if len(w) == 3 && w[2] == "gone" { // in a gap
			delete(s.rows, w[0]+" "+w[1])
			continue
		}
		s.write(w[0], w[1], w[2:])
	}
	s.epoch++
	s.lsn += 0x28
	s.control(change.Control{Kind: change.Epoch, Time: at, Reason: "start", Instance: "us"})
	s.control(change.Control{Kind: change.BaselineBegin, LSN: s.lsn, Time: at})
	byQuest := map[int64][]change.Change{}
	for _, entity := range []string{"quest", "application", "participant"} {
		for _, key := range s.keys(entity) {
			quest := s.questOf(entity, s.rows[key])
			byQuest[quest] = append(byQuest[quest], change.Change{Op: change.Read, Entity: entityOf(s.t, entity), After: s.row(entity, s.rows[key])})
		}
	}
	tx := change.Transaction{CommitLSN: s.lsn - 1, Time: at}
	for _, quest := range sortedKeys(byQuest) {
		tx.Message++
		s.step(tx, true, quest, byQuest[quest])
	}
	if whole {
		s.control(change.Control{Kind: change.BaselineEnd, LSN: s.lsn, Time: at})
	}
}

// keys are an entity's rows, by id.
func (s *story) keys(entity string) (keys []string) {
	for key := range s.rows {
		if strings.HasPrefix(key, entity+" ") {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return int(idOf(s.t, a) - idOf(s.t, b)) })
	return keys
}

func (s *story) transaction(at change.Millis, large bool) {
	tx := s.newTransaction(at)
	type part struct {
		quest   int64
		changes []change.Change
		emptied []string
		// takeover is no part of the transaction: it stands in between.
		takeover bool
		repair   string
	}
	var parts []part
	order := 0
	for _, line := range s.indented() {
		w := words(line)
		switch w[0] {
		case "truncate":
			parts, large = append(parts, part{emptied: w[1:]}), true
			s.truncate(w[1:])
			continue
		case "takeover":
			parts = append(parts, part{takeover: true})
			continue
		case "repair":
			parts = append(parts, part{repair: s.repair(w)})
			continue
		}
		for _, c := range s.changes(w) {
			order++
			c.change.Order, c.change.LSN = order, tx.CommitLSN-change.LSN(0x20)+change.LSN(order)
			i := slices.IndexFunc(parts, func(p part) bool { return p.quest == c.quest && !large })
			if i < 0 {
				i, parts = len(parts), append(parts, part{quest: c.quest})
			}
			parts[i].changes = append(parts[i].changes, c.change)
		}
	}
	tx.Messages = len(parts)
	end := tx.EndLSN
	if large {
		tx.EndLSN, tx.Messages = 0, 0
	}
	for _, p := range parts {
		if p.takeover {
			s.epoch++
			s.control(change.Control{Kind: change.Epoch, Time: at, Reason: "takeover", Instance: "them"})
			continue
		}
		tx.Message++
		now := tx
		switch {
		case p.emptied != nil:
			s.control(change.Control{Kind: change.Truncate, Transaction: &now, Entities: p.emptied})
			continue
		case p.repair != "":
			s.control(change.Control{Kind: change.Message, Transaction: &now, Prefix: change.RepairPrefix, Content: p.repair})
			continue
		}
		s.step(tx, false, p.quest, p.changes)
	}
	if large {
		tx.Message, tx.EndLSN = tx.Message+1, end
		s.control(change.Control{Kind: change.TxEnd, Transaction: &tx})
	}
}

func (s *story) truncate(entities []string) {
	for _, entity := range entities {
		for _, key := range s.keys(entity) {
			delete(s.rows, key)
		}
	}
}

// repair is what a transaction says of itself.
func (s *story) repair(w []string) string {
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		s.check(err)
		return n
	}
	r := change.Repaired{
		Namespace: "test", Finding: "f", Rule: "missing_participant", Cause: "approval_failed", Action: "create_participant",
		Entry: number(w[1]), Actor: "host", Automatic: true,
	}
	for _, word := range w[2:] {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "quest":
			r.QuestID = number(value)
		case "undoes":
			r.Undoes = number(value)
		case "actor":
			r.Actor, r.Automatic = value, false
		}
	}
	return r.Encode()
}
