package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func TestHelpFitsATerminal(t *testing.T) {
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		got := command(t, append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		for line := range strings.Lines(got.stdout) {
			// An example is copied as it is, and a name is not broken.
			text := strings.TrimRight(line, "\n")
			if utf8.RuneCountInString(text) > columns && !strings.Contains(cmd.Example, text) {
				t.Errorf("%s: %s", cmd.CommandPath(), text)
			}
		}
		for _, c := range cmd.Commands() {
			look(c)
		}
	}
	look(root())
}

func TestWrongWordsAreExplained(t *testing.T) {
	for line, says := range map[string]string{
		"alert test":                           "say which channel to test, such as slack",
		"alert unsilence":                      "say which silence",
		"show quest":                           "say which quest",
		"show quest 1 2":                       `nothing else: there is "2" too`,
		"incident":                             "say which finding",
		"alert silence --quest abc --for 2h":   `--quest is "abc": want a whole number`,
		"alert silence --quest 1 --for 2weeks": `--for is "2weeks": want a length of time`,
		"alert silence --quest 1 --for 31d":    "at most 30 days",
		"demo --for 1day":                      `--for is "1day": want a length of time`,
		"demo --repair always":                 `--repair is "always": want plan or auto`,
		"replay --quest 1,x":                   `--quest is "1,x": want whole numbers`,
		"demo --rate fast":                     `--rate is "fast": want a number`,
	} {
		got := command(t, strings.Fields(line)...)
		refused(t, got, exitUsage, says)
		if strings.Contains(got.stderr, "strconv") || strings.Contains(got.stderr, "arg(s)") {
			t.Errorf("%s: %s", line, got.stderr)
		}
	}
}

func TestUnknownFormatIsRefusedEverywhere(t *testing.T) {
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.Flags().Lookup("output") != nil {
			got := command(t, append(strings.Fields(cmd.CommandPath())[1:], "--output", "xml")...)
			refused(t, got, exitUsage, `--output is "xml": want `, "see "+cmd.CommandPath()+" --help")
		}
		for _, c := range cmd.Commands() {
			look(c)
		}
	}
	look(root())
}

// TestInterruptedInWords: Ctrl-C comes out of wherever the program was, in Go's words.
func TestInterruptedInWords(t *testing.T) {
	t.Parallel()
	if got := explain(fmt.Errorf("judge the stream anew: %w", context.Canceled)); got != "questwatch: judge the stream anew: interrupted\n" {
		t.Error(got)
	}
}
