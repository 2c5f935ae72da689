package config

import (
	"errors"
	"time"
)

const utc = "UTC"

// QuietHours is a time of each day: from and to are since midnight by the clock of a zone.
type QuietHours struct {
	From, To time.Duration
	Zone     *time.Location
}

// QuietHours is when the chat is told only of what is critical, nil for never; name is the
// channel's key.
func (c *AlertChat) QuietHours(name string) (*QuietHours, error) {
	return quietHours("alert."+name, c.Quiet, c.QuietZone)
}

// QuietHours is as of AlertChat.
func (e *AlertEmail) QuietHours() (*QuietHours, error) {
	return quietHours("alert.email", e.Quiet, e.QuietZone)
}

// QuietHours is as of AlertChat.
func (w *AlertWebhook) QuietHours() (*QuietHours, error) {
	return quietHours("alert.webhook", w.Quiet, w.QuietZone)
}

// QuietHours is as of AlertChat.
func (c *AlertCommand) QuietHours() (*QuietHours, error) {
	return quietHours("alert.command", c.Quiet, c.QuietZone)
}

func quietHours(key, text, zone string) (*QuietHours, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		return nil, &Error{Where: key + ".quiet_zone", Err: errors.New("want the name of a time zone, such as Europe/Berlin, or UTC or Local")}
	}
	if text == "" {
		return nil, nil
	}
	const form = "15:04"
	wrong := &Error{Where: key + ".quiet", Err: errors.New("want a time of the day such as 22:00-07:00")}
	if len(text) != 2*len(form)+1 || text[len(form)] != '-' {
		return nil, wrong
	}
	from, err1 := time.Parse(form, text[:len(form)])
	to, err2 := time.Parse(form, text[len(form)+1:])
	if err1 != nil || err2 != nil || from.Equal(to) {
		return nil, wrong
	}
	midnight := from.Truncate(24 * time.Hour)
	return &QuietHours{from.Sub(midnight), to.Sub(to.Truncate(24 * time.Hour)), location}, nil
}
