package event

import (
	"encoding/json"
	"errors"
	"fmt"
)

// FindingIn reads the finding out of an encoded drift.opened or drift.resolved.
func FindingIn(data []byte) (Finding, error) {
	var env struct {
		Data Finding `json:"data"`
	}
	err := json.Unmarshal(data, &env)
	if err == nil && env.Data.Finding == "" {
		err = errors.New("it has no id")
	}
	if err != nil {
		return Finding{}, fmt.Errorf("read finding: %w", err)
	}
	return env.Data, nil
}

// KeptFinding reads a finding as the bucket of what is open holds it.
func KeptFinding(data []byte) (f Finding, err error) {
	err = json.Unmarshal(data, &f)
	if err == nil && f.Finding == "" {
		err = errors.New("it has no id")
	}
	if err != nil {
		return Finding{}, fmt.Errorf("read kept finding: %w", err)
	}
	return f, nil
}

// ContinuityIn reads the data out of an encoded event of the stream group that has
// a position.
func ContinuityIn(data []byte) (c Continuity, err error) {
	var env struct {
		Data *Continuity `json:"data"`
	}
	err = json.Unmarshal(data, &env)
	if err == nil && (env.Data == nil || env.Data.Position.Sequence == 0) {
		err = errors.New("it has no position")
	}
	if err != nil {
		return Continuity{}, fmt.Errorf("read event of the stream: %w", err)
	}
	return *env.Data, nil
}
