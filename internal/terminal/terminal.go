// Package terminal makes text from elsewhere harmless where a terminal shows it:
// control characters, escape sequences, invisible and direction-changing characters
// are spelt out. What is printable stays as it is, in every script. And it breaks lines
// that are longer than a terminal is wide.
package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Clean spells out what is not printable. Bytes that are not UTF-8 become U+FFFD.
func Clean(text string) string {
	if harmless(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// JSON does the same to one line of JSON, which means the same afterwards.
func JSON(line []byte) []byte {
	if harmless(line) {
		return line
	}
	var b strings.Builder
	for _, r := range string(line) {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return []byte(b.String())
}

func harmless[T string | []byte](text T) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			rest := string(text[i:])
			return utf8.ValidString(rest) && strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
		case c < ' ' || c == 0x7f:
			return false
		}
	}
	return true
}
