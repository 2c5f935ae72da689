package alert

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Slack posts to an incoming webhook of Slack. Texts are plain: nothing in them is read
// as markup, a link or the mention of somebody.
type Slack struct {
	address string
	client  *http.Client
}

// NewSlack makes a Slack.
func NewSlack(address string) *Slack { return &Slack{address, client()} }

// slackText is the longest text of a block.
const slackText = 3000

type slackBlock struct {
	Type string     `json:"type"`
	Text slackPlain `json:"text"`
}

type slackPlain struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Emoji bool   `json:"emoji"`
}

// Send is of Channel.
func (s *Slack) Send(ctx context.Context, n *Notice) (answer string, err error) {
	text := n.Title()
	body := struct {
		// Text is what notifications show. Slack reads it as markup.
		Text   string       `json:"text"`
		Blocks []slackBlock `json:"blocks"`
	}{Text: slackEscape(text + ": " + n.body()[0])}
	for _, part := range append([]string{"Questwatch: " + text}, pack(n.lines(), slackText)...) {
		body.Blocks = append(body.Blocks, slackBlock{"section", slackPlain{"plain_text", part, false}})
	}
	return postJSON(ctx, s.client, s.address, body)
}

// slackEscape takes away what begins a mention or a link.
func slackEscape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// pack puts lines into as few texts as fit. A line that fits in none is cut by clip long
// before.
func pack(lines []string, limit int) (texts []string) {
	for _, line := range lines {
		last := len(texts) - 1
		if last < 0 || utf8.RuneCountInString(texts[last])+1+utf8.RuneCountInString(line) > limit {
			texts = append(texts, line)
			continue
		}
		texts[last] += "\n" + line
	}
	return texts
}
