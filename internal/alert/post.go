package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// client posts notices. It follows no redirect, which would take a signed notice to
// where nobody meant it to go.
func client() *http.Client {
	return &http.Client{
		Timeout:       tryFor,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a body. No error has the address in it, of which a part is secret, nor what
// the other side said, which may repeat it; the answer is its status alone.
func post(ctx context.Context, c *http.Client, address string, header http.Header, body []byte) (answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", &Refusal{Err: errors.New("post: the address is no URL"), Final: true}
	}
	req.Header = header
	req.Header.Set("User-Agent", "questwatch")
	resp, err := c.Do(req)
	if err != nil {
		return "", fmt.Errorf("post: %w", harmless(err))
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	answer = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode/100 == 2 {
		return answer, nil
	}
	r := &Refusal{Err: errors.New("post: the answer is " + answer)}
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		r.Final = true
	default:
		r.After = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return "", r
}

// postJSON sends a body in JSON.
func postJSON(ctx context.Context, c *http.Client, address string, body any) (answer string, err error) {
	data, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("encode the notice: %w", err)
	}
	return post(ctx, c, address, http.Header{"Content-Type": {"application/json"}}, data)
}

// harmless is an error of a request in words that cannot have a secret in them. Those
// about an answer that is not HTTP repeat it, and those about a proxy its settings.
func harmless(err error) error {
	var withAddress *url.Error
	if errors.As(err, &withAddress) {
		err = withAddress.Err
	}
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var refused tls.AlertError
	switch {
	case errors.As(err, &network), errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &refused),
		errors.Is(err, context.Canceled), errors.Is(err, http.ErrSchemeMismatch), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return errors.New("what answers is no HTTP server, or the address or a proxy's setting (HTTPS_PROXY) is wrong")
}

// retryAfter reads seconds or a date; 0 is neither.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, longestAsk.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), longestAsk)
	}
	return 0
}
