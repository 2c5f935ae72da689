package audit

import (
	"errors"
	"fmt"
	"io"
)

// Output says where a report goes.
type Output struct {
	// Format is "" where nobody chose one: the file's name decides then, and text
	// otherwise.
	Format Format
	// File gets the report, when it is not nil; Stdout then gets the JSON line, or a
	// short summary.
	File   *Destination
	Stdout io.Writer
	// Stderr gets the statements that take the repairs back, when the report that
	// has them cannot be delivered.
	Stderr io.Writer
	View   View
}

// Deliver writes the report where it belongs.
func (r *Result) Deliver(o Output) error {
	err := r.deliver(&o)
	if err == nil || r.undo.count == 0 {
		return err
	}
	return errors.Join(err, r.rescue(&o, err))
}

func (r *Result) deliver(o *Output) error {
	format := o.Format
	if format == "" && o.File != nil {
		format = FormatOf(o.File.asked)
	}
	if format == "" {
		format = Text
	}
	report := func(w io.Writer) error { return r.Write(w, format, o.View) }
	if o.File == nil || o.File.stream == 1 {
		return report(o.Stdout)
	}
	if err := o.File.write(o, report); err != nil {
		// What was found must not be lost with the file.
		if e := report(o.Stdout); e != nil {
			return fmt.Errorf("%w; nor to standard output: %w", err, e)
		}
		return err
	}
	if o.Format == JSON {
		return r.Write(o.Stdout, JSON, o.View)
	}
	if _, err := fmt.Fprintf(o.Stdout, "%s: %s\nreport: %s\n", r.Status(), r.summary(), o.File.asked); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// rescue writes down how to take the repairs back, for whom the report did not
// reach.
func (r *Result) rescue(o *Output, why error) error {
	_, err := fmt.Fprintf(o.Stderr, "Repairs were made, and the report of them could not be delivered: %s.\n", why)
	if err == nil {
		err = r.writeUndo(o.Stderr)
	}
	if err != nil {
		return fmt.Errorf("write undo statements: %w", err)
	}
	return nil
}

// writeUndo writes the statements that take the repairs back, as one transaction.
func (r *Result) writeUndo(w io.Writer) error {
	_, err := fmt.Fprintf(w, "These statements take the repairs back, where nobody has changed the rows since:\n\nBEGIN;\n")
	if err != nil {
		return err
	}
	err = r.Undo(func(sql string) error {
		_, err := fmt.Fprintf(w, "%s\n", clean(sql))
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "COMMIT;\n")
	return err
}
