package peerquest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Somebody who left applies once more, and that approval fails: one finding ends, and another begins.
func TestAGraverCauseIsAnotherViolation(t *testing.T) {
	q := &live{
		worker: &worker{sim: &Simulator{ledger: &ledger{grace: time.Second}}}, rows: &state{exists: true},
		history: newHistory(), standing: map[Key]*violation{},
	}
	at := time.Unix(0, 0)
	then := func(xid int64, apps []application, parts []participant) {
		at = at.Add(time.Minute)
		q.observe(&state{exists: true, quest: questRow{id: 1, status: open}, apps: apps, parts: parts}, span{at, at}, xid)
	}
	first := application{id: 1, applicant: "a", status: approved}
	then(10, []application{first}, []participant{{id: 1, user: "a", status: dropped}})
	then(11, []application{first}, nil)
	then(12, []application{first, {id: 2, applicant: "a", status: pending}}, nil)
	then(13, []application{first, {id: 2, applicant: "a", status: approved}}, nil)
	type seen struct {
		Cause string
		XID   uint64
		Ended bool
	}
	var got []seen
	for _, v := range q.worker.sim.ledger.all {
		if v.key.Rule == MissingParticipant {
			got = append(got, seen{v.cause, v.xid, !v.end.hi.IsZero()})
		}
	}
	if diff := cmp.Diff([]seen{{"departed", 11, true}, {"approval_failed", 13, false}}, got); diff != "" {
		t.Error(diff)
	}
}
