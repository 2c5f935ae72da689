package audit

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Bar draws progress on a terminal once a run has taken longer than a second.
// Done clears it.
type Bar struct {
	w     io.Writer
	what  string
	start time.Time
	bar   *progressbar.ProgressBar
}

const barDelay = time.Second

// NewBar is a bar that draws on w, which should be a terminal, and says what is
// being done.
func NewBar(w io.Writer, what string) *Bar { return &Bar{w: w, what: what, start: time.Now()} }

// Progress moves the bar.
func (b *Bar) Progress(done, total int64) {
	if b.bar == nil {
		if time.Since(b.start) < barDelay {
			return
		}
		b.bar = progressbar.NewOptions64(max(total, done), progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription(b.what),
			progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true))
	}
	// The bar is for looking at; a terminal that went away is no reason to stop.
	_ = b.bar.Set64(min(done, b.bar.GetMax64()))
}

// Done clears the bar away.
func (b *Bar) Done() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}
