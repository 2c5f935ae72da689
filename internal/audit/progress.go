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
	start time.Time
	bar   *progressbar.ProgressBar
}

const barDelay = time.Second

// NewBar is a bar that draws on w, which should be a terminal.
func NewBar(w io.Writer) *Bar { return &Bar{w: w, start: time.Now()} }

// Progress moves the bar.
func (b *Bar) Progress(done, total int64) {
	if b.bar == nil {
		if time.Since(b.start) < barDelay {
			return
		}
		b.bar = progressbar.NewOptions64(max(total, done), progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription("audit"),
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
