package audit

import (
	"fmt"
	"io"
)

// Output says where a report goes.
type Output struct {
	// Format is "" where nobody chose one: the file's name decides then, and text
	// otherwise.
	Format Format
	// File gets the report, when it is not ""; Stdout then gets the JSON line, or a
	// short summary.
	File   string
	Stdout io.Writer
	View   View
}

// Deliver writes the report where it belongs.
func (r *Result) Deliver(o Output) error {
	format := o.Format
	if format == "" {
		format = FormatOf(o.File)
	}
	if format == "" {
		format = Text
	}
	if o.File == "" {
		return r.Write(o.Stdout, format, o.View)
	}
	if err := r.WriteFile(o.File, format, o.View); err != nil {
		// What was repaired must not be lost with the file.
		if e := r.Write(o.Stdout, format, o.View); e != nil {
			return fmt.Errorf("%w; nor to standard output: %w", err, e)
		}
		return err
	}
	if o.Format == JSON {
		return r.Write(o.Stdout, JSON, o.View)
	}
	_, err := fmt.Fprintf(o.Stdout, "%s: %s\nreport: %s\n", r.Status(), r.summary(), o.File)
	return err
}
