package pgstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
)

// Script is the SQL of a plan's writes as one statement that a person may run by hand:
// it does all of them, or fails and does none where the quest is not as the plan expects
// it. person is somebody's id as the database writes it.
func (s *Store) Script(
	ctx context.Context, questID int64, writes []remedy.Write, person func(quest.User) string,
) (string, error) {
	columns, err := s.participantColumns(ctx)
	if err != nil {
		return "", err
	}
	q := &s.cfg.Schema.Quest
	body := fmt.Sprintf("BEGIN\n  PERFORM FROM %s WHERE %s = %d FOR UPDATE;\n", s.tables.quest, quoteName(q.ID), questID)
	var set, guard []string
	for i := range writes {
		switch w := &writes[i]; w.Kind {
		case remedy.InsertParticipant:
			body += guarded(s.scriptInsert(questID, person(w.User), columns), "the person has a participant already")
		case remedy.ReactivateParticipant:
			body += guarded(s.scriptReactivate(questID, w, person(w.User)), "the participant is not as expected")
		case remedy.SetAssignee:
			set = append(set, quoteName(q.AssignedTo)+" = "+quoteNullable(person(w.Assign)))
			guard = append(guard, is(q.AssignedTo, person(w.WasAssigned)))
		case remedy.SetStatus:
			set = append(set, quoteName(q.Status)+" = "+quoteText(s.words.inProgress))
			guard = append(guard, oneOf(q.Status, s.cfg.Statuses.Quest, w.WasStatus))
		default:
			return "", fmt.Errorf("write %d: kind %d is not for repairs", i+1, w.Kind)
		}
	}
	if len(set) > 0 {
		if q.UpdatedAt != "" {
			set = append(set, quoteName(q.UpdatedAt)+" = clock_timestamp()")
		}
		body += guarded(fmt.Sprintf("UPDATE %s SET %s\n    WHERE %s = %d AND %s", s.tables.quest, strings.Join(set, ", "),
			quoteName(q.ID), questID, strings.Join(guard, " AND ")), "the quest is not as expected")
	}
	body += "END\n"
	tag := "$questwatch$"
	for strings.Contains(body, tag) { // as part of a strange name
		tag = "$q" + tag[1:]
	}
	return "DO " + tag + "\n" + body + tag + ";\n", nil
}

// guarded fails where a statement changes nothing.
func guarded(sql, otherwise string) string {
	return fmt.Sprintf("  %s;\n  IF NOT FOUND THEN RAISE EXCEPTION %s; END IF;\n", sql, quoteText(otherwise))
}

func (s *Store) scriptInsert(questID int64, user string, columns *participantColumns) string {
	p := &s.cfg.Schema.Participant
	names, exprs := s.insertion(fmt.Sprint(questID), quoteText(user), quoteText(s.words.joined), columns)
	return fmt.Sprintf("INSERT INTO %s (%s)\n    SELECT %s\n    WHERE NOT EXISTS (SELECT FROM %[1]s WHERE %[4]s = %[5]d AND %[6]s = %[7]s)",
		s.tables.participant, names, exprs, quoteName(p.QuestID), questID, quoteName(p.User), quoteText(user))
}

func (s *Store) scriptReactivate(questID int64, w *remedy.Write, user string) string {
	p := &s.cfg.Schema.Participant
	return fmt.Sprintf("UPDATE %s SET %s = %s\n    WHERE %s = %d AND %s = %d AND %s = %s AND %s",
		s.tables.participant, quoteName(p.Status), quoteText(s.words.joined), quoteName(p.ID), w.Participant,
		quoteName(p.QuestID), questID, quoteName(p.User), quoteText(user), oneOf(p.Status, s.cfg.Statuses.Participant, w.WasState))
}

// oneOf is the condition that a column has a word for a role; a word that stands for no
// role is one that is none of the others.
func oneOf[Role ~uint8](column string, roles map[string]Role, role Role) string {
	var words, all []string
	for _, word := range slices.Sorted(maps.Keys(roles)) {
		all = append(all, quoteText(word))
		if roles[word] == role {
			words = append(words, quoteText(word))
		}
	}
	if role == 0 {
		return fmt.Sprintf("%s::text NOT IN (%s)", quoteName(column), strings.Join(all, ", "))
	}
	return fmt.Sprintf("%s::text IN (%s)", quoteName(column), strings.Join(words, ", "))
}
