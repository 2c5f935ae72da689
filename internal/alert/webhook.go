package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/event"
)

// Webhook posts each event to a service as it is, or as JSON of somebody's own making.
// Whoever takes it can tell by the signature of the Standard Webhooks that it is from us,
// and is not an old one: it is over id, time and body.
type Webhook struct {
	address string
	key     []byte // nil: nothing is signed
	client  *http.Client
}

// secretPrefix marks a secret that is written in base64.
const secretPrefix = "whsec_"

// NewWebhook makes a Webhook; without a secret it does not sign.
func NewWebhook(address, secret string) (*Webhook, error) {
	w := &Webhook{address: address, client: client()}
	if encoded, ok := strings.CutPrefix(secret, secretPrefix); ok {
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) == 0 {
			return nil, errors.New("read the webhook's secret: what follows whsec_ is not base64")
		}
		w.key = key
	} else if secret != "" {
		w.key = []byte(secret)
	}
	return w, nil
}

// Send is of Channel.
func (w *Webhook) Send(ctx context.Context, n *Notice) (answer string, err error) {
	header := http.Header{}
	header.Set("Content-Type", event.ContentType)
	body := n.Data
	if n.Text != "" {
		header.Set("Content-Type", "application/json")
		body = []byte(n.Text)
	}
	header.Set("Webhook-Id", n.ID)
	at := strconv.FormatInt(time.Now().Unix(), 10)
	header.Set("Webhook-Timestamp", at)
	if w.key != nil {
		mac := hmac.New(sha256.New, w.key)
		fmt.Fprintf(mac, "%s.%s.%s", n.ID, at, body)
		header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return post(ctx, w.client, w.address, header, body)
}
