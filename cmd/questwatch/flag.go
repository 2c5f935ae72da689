package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/peerquest/questwatch/internal/timetable"
)

// choice is the value of a flag that takes one of some words.
type choice struct {
	word  string
	words []string
}

func (c *choice) String() string { return c.word }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return errors.New("want " + orList(c.words))
	}
	c.word = word
	return nil
}

// choose declares a flag that takes one of some words; initially it is another, or "".
func choose(cmd *cobra.Command, name, usage, initially string, words ...string) *string {
	c := &choice{initially, words}
	cmd.Flags().Var(c, name, usage)
	complete(cmd, name, words...)
	return &c.word
}

// orList lists words as a sentence does.
func orList(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// span is the value of a flag that is a length of time.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return "0" // which help does not show as a default
	}
	return time.Duration(*s).String()
}

func (s *span) Type() string { return "duration" }

func (s *span) Set(text string) error {
	d, err := timetable.ParseLength(text)
	*s = span(d)
	return err
}

// spanFlag declares a flag that is a length of time.
func spanFlag(cmd *cobra.Command, to *time.Duration, name, usage string) {
	cmd.Flags().Var((*span)(to), name, usage)
}

// wrongFlag says what is wrong with a flag in words that are no programmer's.
func wrongFlag(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	wants := map[string]string{
		"int": "a whole number", "int64": "a whole number", "int64Slice": "whole numbers, with commas between", "uint64": "a whole number, 0 or more",
		"float64": "a number", "duration": timetable.Lengths, "bool": "true or false",
	}
	want := errors.Unwrap(invalid)
	if words, known := wants[invalid.GetFlag().Value.Type()]; known {
		want = errors.New("want " + words)
	}
	return fmt.Errorf("--%s is %q: %w", invalid.GetFlag().Name, invalid.GetValue(), want)
}
