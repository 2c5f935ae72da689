package alert

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Discord posts to a webhook of Discord. It lets nobody be mentioned, and escapes what
// would be markup.
type Discord struct {
	address string
	client  *http.Client
}

// NewDiscord makes a Discord.
func NewDiscord(address string) *Discord { return &Discord{address, client()} }

const (
	discordText   = 2000 // the longest content
	discordRoom   = 80   // of it for the title and what is said at the end
	discordNoCard = 1 << 2
)

// Send is of Channel.
func (d *Discord) Send(ctx context.Context, n *Notice) (answer string, err error) {
	var text strings.Builder
	text.WriteString("**Questwatch: " + n.Title() + "**")
	left, size := n.More, utf8.RuneCountInString(text.String())
	if n.Text != "" {
		left = 0
	}
	lines := n.body()
	for i := range lines {
		line := "\n" + discordEscape(lines[i])
		for cut := lines[i]; i == 0 && size+utf8.RuneCountInString(line) > discordText-discordRoom; {
			cut = clipTo(cut, utf8.RuneCountInString(cut)*3/4)
			line = "\n" + discordEscape(cut)
		}
		if size += utf8.RuneCountInString(line); size > discordText-discordRoom {
			left += len(lines) - i
			break
		}
		text.WriteString(line)
	}
	if left > 0 {
		fmt.Fprintf(&text, "\nand %d more: questwatch tail shows them", left)
	}
	return postJSON(ctx, d.client, d.address, struct {
		Content  string         `json:"content"`
		Mentions map[string]any `json:"allowed_mentions"`
		Flags    int            `json:"flags"`
	}{text.String(), map[string]any{"parse": []string{}}, discordNoCard})
}

// discordEscape puts a backslash before what could be markup. @ is followed by an
// invisible space too, so that no mention is shown as one either.
func discordEscape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune("\\*_~`|>#-[]()<:", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if r == '@' {
			b.WriteRune('\u200b')
		}
	}
	return b.String()
}
