package people_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/people"
)

type database struct {
	asked int
	slow  bool
}

func (d *database) Usernames(ctx context.Context, ids []string) (map[string]string, error) {
	d.asked++
	if d.slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if ids[0] == "7" {
		return map[string]string{"7": "alice"}, nil
	}
	return nil, errors.ErrUnsupported
}

func TestBook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d database
		b := people.NewBook(&d)
		want := func(id, name string, asked int) {
			t.Helper()
			if got := b.Name(t.Context(), id); got != name || d.asked != asked {
				t.Errorf("%s is %q, asked %d times; want %q, %d", id, got, d.asked, name, asked)
			}
		}
		want("7", "alice", 1)
		want("7", "alice", 1)
		want("8", "", 2)
		want("9", "", 2) // it is quiet now
		want("7", "alice", 2)
		time.Sleep(time.Minute)
		d.slow = true
		before := time.Now()
		want("9", "", 3)
		if took := time.Since(before); took > 2*time.Second {
			t.Errorf("waited %s", took)
		}
	})
	if name := people.NewBook(nil).Name(t.Context(), "7"); name != "" {
		t.Errorf("a book without names says %q", name)
	}
}
