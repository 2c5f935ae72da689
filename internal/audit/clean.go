package audit

import "github.com/peerquest/questwatch/internal/terminal"

// clean makes text from the database harmless in a terminal.
func clean(text string) string { return terminal.Clean(text) }
