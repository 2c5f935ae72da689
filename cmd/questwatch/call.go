package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/terminal"
)

// reach is what a command may reach; it has the flags that say which one is meant.
type reach int

const (
	ofDatabase  reach = 1 << iota // the application's
	ofInstance                    // one that runs, by its streams
	ofNamespace                   // only the name of one
)

// call is one run of a command: the command, its settings, which are loaded, and how it
// is to print its result.
type call struct {
	*cobra.Command
	settings
	logger *slog.Logger
	output *string // nil where there is no such flag
}

// newCall declares the flags of a command by what it reaches.
func newCall(cmd *cobra.Command, needs reach) *call {
	c := &call{Command: cmd}
	c.base(cmd)
	if needs&ofDatabase != 0 {
		c.database(cmd)
	}
	if needs&ofInstance != 0 {
		c.server(cmd)
	}
	if needs&ofNamespace != 0 {
		c.text(cmd, "namespace", "of the instance with this `NAME`", func(c *config.Config) *string { return &c.Namespace })
	}
	return c
}

// runs makes a command that does something when its settings are loaded.
func (c *call) runs(fn func(c *call, args []string) error) *cobra.Command {
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if c.logger, err = c.load(cmd); err != nil {
			return err
		}
		return fn(c, args)
	}
	return c.Command
}

// runs makes a command that has the flags of what it reaches.
func runs(cmd *cobra.Command, needs reach, fn func(c *call, args []string) error) *cobra.Command {
	return newCall(cmd, needs).runs(fn)
}

// reports does the same for a command with a result to print in one of some forms, the
// first by default: text or json where none are named.
func reports(cmd *cobra.Command, needs reach, fn func(c *call, args []string) error, forms ...string) *cobra.Command {
	if forms == nil {
		forms = []string{"text", "json"}
	}
	output := outputFlag(cmd, forms...)
	return runs(cmd, needs, func(c *call, args []string) error {
		c.output = output
		return fn(c, args)
	})
}

// outputFlag declares the flag for the form of what is printed.
func outputFlag(cmd *cobra.Command, forms ...string) *string {
	usage := "`FORMAT`: " + orList(forms)
	return choose(cmd, "output", strings.Replace(usage, "json", "json (one last line)", 1), forms[0], forms...)
}

// asJSON reports whether the result is for a program.
func (c *call) asJSON() bool { return *c.output == "json" }

// show prints a result: itself as a line of JSON, or the text of it.
func (c *call) show(result any, text func() string) error {
	if c.asJSON() {
		return c.json(result)
	}
	return c.folded(func(w io.Writer) error {
		_, err := io.WriteString(w, text())
		return printed(err)
	})
}

// folded has something written to standard output for people: on a terminal, lines are
// made to fit.
func (c *call) folded(write func(w io.Writer) error) error {
	out := c.OutOrStdout()
	if !onTerminal(out) {
		return write(out)
	}
	f := terminal.NewFolder(out, func() int { return widthOf(out) })
	return errors.Join(write(f), f.Close())
}

// json prints a result as one line.
func (c *call) json(result any) error {
	line, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	return c.say("%s\n", terminal.JSON(line))
}

// say prints a text.
func (c *call) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), format, args...)
	return printed(err)
}

// printed is the error of printing a result.
func printed(err error) error {
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
