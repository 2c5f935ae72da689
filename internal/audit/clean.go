package audit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text from the database harmless in a terminal: control characters,
// escape sequences, invisible and direction-changing characters are spelt out.
func clean(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, unprintable) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !unprintable(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
