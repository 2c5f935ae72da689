package change

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// ReportPrefix is the prefix of the logical messages by which the application says,
// after a rollback, that an approval failed.
const ReportPrefix = "questwatch.approval_failed"

// ReportLimit is how many bytes a report may have.
const ReportLimit = 4096

// Report is the application's word that an approval failed. Any role of the
// database may send one: what it says has been checked for its form alone.
type Report struct {
	QuestID, ApplicationID int64
	// UserID is the person's id as the database writes it.
	UserID string
	// Error is the class of the error, or "".
	Error string
}

// errorClass is what a class name of an error may look like; free text may hold
// anything.
var errorClass = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,99}$`)

// ParseReport reads the content of a report. Its errors do not repeat the content.
func ParseReport(content string) (Report, error) {
	if len(content) > ReportLimit {
		return Report{}, fmt.Errorf("it has more than %d bytes", ReportLimit)
	}
	var r struct {
		Quest       *int64          `json:"quest_id"`
		Application *int64          `json:"application_id"`
		User        json.RawMessage `json:"user_id"`
		Error       string          `json:"error"`
	}
	if err := json.Unmarshal([]byte(content), &r); err != nil {
		return Report{}, errors.New("it is not the JSON object of a report")
	}
	if r.Quest == nil || r.Application == nil {
		return Report{}, errors.New("it names no quest or no application")
	}
	user, err := reportedUser(r.User)
	if err != nil {
		return Report{}, err
	}
	if r.Error != "" && !errorClass.MatchString(r.Error) {
		return Report{}, errors.New("its error is no class name")
	}
	return Report{QuestID: *r.Quest, ApplicationID: *r.Application, UserID: user, Error: r.Error}, nil
}

// reportedUser is an id given as a text or as an integer.
func reportedUser(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" && len(text) <= 200 {
		return text, nil
	}
	if _, err := Int(raw); err == nil {
		return string(raw), nil
	}
	return "", errors.New("it names no person")
}
