package peerquest

// Finding is what a checker reported, as far as it can be held against an expectation.
type Finding struct {
	Key
	Cause, Severity string
	XID             uint64
}

// Outcome is what became of a truth's expectations. Uncertain ones count nowhere.
type Outcome struct {
	Expected, Found int
	// Missed were not found, WrongCause as something else.
	Missed, WrongCause []Expectation
	// FalseAlarms are at warning or above, and nothing justifies them; nor does anything Untrue, at which nobody is
	// called.
	FalseAlarms, Untrue []Finding
}

// Match holds what was found against what is true.
func Match(truth []Expectation, found []Finding) (o Outcome) {
	byKey, expected := map[Key][]Finding{}, map[Key][]Expectation{}
	for _, f := range found {
		byKey[f.Key] = append(byKey[f.Key], f)
	}
	for _, e := range truth {
		expected[e.Key()] = append(expected[e.Key()], e)
		if e.Kind == Uncertain {
			continue
		}
		o.Expected++
		same, right := false, false
		for _, f := range byKey[e.Key()] {
			same = same || f.began(&e)
			right = right || f.began(&e) && f.explains(&e)
		}
		switch {
		case right:
			o.Found++
		case same:
			o.WrongCause = append(o.WrongCause, e)
		default:
			o.Missed = append(o.Missed, e)
		}
	}
	for _, f := range found {
		justified := false
		for _, e := range expected[f.Key] {
			justified = justified || f.began(&e) && f.explains(&e)
		}
		switch {
		case justified:
		case f.Severity == "info":
			o.Untrue = append(o.Untrue, f)
		default:
			o.FalseAlarms = append(o.FalseAlarms, f)
		}
	}
	return o
}

// began reports whether the finding names the transaction that began what is expected, as far as that is known.
func (f *Finding) began(e *Expectation) bool { return e.XID == 0 || e.XID == f.XID }

func (f *Finding) explains(e *Expectation) bool {
	return e.Cause == "" || e.Cause == f.Cause && e.Severity == f.Severity
}
