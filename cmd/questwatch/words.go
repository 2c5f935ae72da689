package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// columns are those of a plain terminal, which help and status keep to.
const columns = 80

// fill breaks each paragraph of a text anew. One that begins with a space stays as it is.
func fill(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, " ") {
			paragraphs[i] = strings.Join(breakLines(strings.Fields(p), " ", width), "\n")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// breakLines joins words to lines that are no longer than width where words allow.
func breakLines(words []string, gap string, width int) []string {
	var lines []string
	for _, word := range words {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+len(gap)+len(word) <= width {
			lines[last] += gap + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// narrow makes the help of a command and of those below it fit a plain terminal.
func narrow(cmd *cobra.Command) {
	template := cmd.UsageTemplate()
	for _, flags := range []string{".LocalFlags", ".InheritedFlags"} {
		template = strings.ReplaceAll(template, flags+".FlagUsages", fmt.Sprintf("(%s.FlagUsagesWrapped %d)", flags, columns))
	}
	cmd.SetUsageTemplate(template)
	fillHelp(cmd)
}

func fillHelp(cmd *cobra.Command) {
	cmd.Long = fill(cmd.Long, columns)
	for _, c := range cmd.Commands() {
		fillHelp(c)
	}
}

// wantOne wants exactly one argument, of which it says what it is.
func wantOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return errors.New("say " + what)
		case 1:
			return nil
		}
		return fmt.Errorf("say %s, and nothing else: there is %q too", what, args[1])
	}
}
