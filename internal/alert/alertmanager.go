package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/terminal"
)

// Alertmanager posts alerts to the API, version 2, of Prometheus's Alertmanager: one for
// each finding, alarm and halt that is open, which it repeats while it is, with an end
// that is a few repetitions ahead, and then with the end that it had. So an alert that
// nobody repeats any more ends by itself. What has no end of its own, such as a gap, is
// told once and fires for an hour.
//
// Of several that are one cluster each is told of everything, as they want it, and what one
// of them has taken is taken: the others have it from that one, or with the next repetition.
//
// The labels of an alert are ids and words of our own only, and the same from beginning to end.
type Alertmanager struct {
	config AlertmanagerConfig
	client *http.Client
	logger *slog.Logger
	failed []bool // which of them took nothing the last time
	// turn keeps a list of what is open, on its way, from being overtaken by the end of
	// something in it. It is waited for no longer than a try may take.
	turn chan struct{}
}

// AlertmanagerConfig is what Alertmanager needs to know.
type AlertmanagerConfig struct {
	Namespace string
	URLs      []string      // of the Alertmanagers, without /api
	Link      string        // where an alert's source leads; "" for nowhere
	Resend    time.Duration // how often what is open is told
}

const (
	resendsAhead = 4
	firesFor     = time.Hour // what has no end
	testFiresFor = 5 * time.Minute
	alertBatch   = 250
	// straggle is for how long the others are waited for when one has taken a notice.
	straggle = 2 * time.Second
)

// AlertmanagerTryFor is how long one try may take, of all that is open.
const AlertmanagerTryFor = time.Minute

// NewAlertmanager makes an Alertmanager.
func NewAlertmanager(c AlertmanagerConfig, logger *slog.Logger) *Alertmanager {
	m := &Alertmanager{config: c, client: client(), logger: logger, failed: make([]bool, len(c.URLs)), turn: make(chan struct{}, 1)}
	m.config.URLs = nil
	for _, address := range c.URLs {
		m.config.URLs = append(m.config.URLs, strings.TrimSuffix(address, "/")+"/api/v2/alerts")
	}
	return m
}

// firing is an alert as the API takes it.
type firing struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    string            `json:"startsAt"`
	EndsAt      string            `json:"endsAt"`
	Link        string            `json:"generatorURL,omitempty"`
}

// Send is of Channel.
func (m *Alertmanager) Send(ctx context.Context, n *Notice) (answer string, err error) {
	err = m.inTurn(ctx, func() error {
		answer, err = m.post(ctx, n.items, n.name)
		return err
	})
	return answer, err
}

func (m *Alertmanager) every() time.Duration { return m.config.Resend }

func (m *Alertmanager) stand(ctx context.Context, open func() []item, name func(id string) string) error {
	ctx, cancel := context.WithTimeout(ctx, AlertmanagerTryFor)
	defer cancel()
	return m.inTurn(ctx, func() error {
		_, err := m.post(ctx, open(), name)
		return err
	})
}

func (m *Alertmanager) inTurn(ctx context.Context, fn func() error) error {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
		return fn()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// post tells all of them at once.
func (m *Alertmanager) post(ctx context.Context, items []item, name func(id string) string) (answer string, err error) {
	alerts, now := make([]firing, len(items)), time.Now()
	for i := range items {
		alerts[i] = m.alert(&items[i], name, now)
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	answers, errs := make([]string, len(m.config.URLs)), make([]error, len(m.config.URLs))
	var telling sync.WaitGroup
	for i, address := range m.config.URLs {
		telling.Go(func() {
			if answers[i], errs[i] = m.postTo(within, address, alerts); errs[i] == nil {
				time.AfterFunc(straggle, cancel)
			}
		})
	}
	telling.Wait()
	return m.outcome(answers, errs)
}

// postTo sends alerts in parts. Of the same one twice the later counts.
func (m *Alertmanager) postTo(ctx context.Context, address string, alerts []firing) (answer string, err error) {
	for part := range slices.Chunk(alerts, alertBatch) {
		if answer, err = postJSON(ctx, m.client, address, part); err != nil {
			return "", err
		}
	}
	return answer, nil
}

// outcome is a success where one has taken what was sent, and final only where all of them
// say so. That one of several takes nothing is logged, once.
func (m *Alertmanager) outcome(answers []string, errs []error) (answer string, err error) {
	if len(errs) == 1 {
		return answers[0], errs[0]
	}
	taken := slices.Contains(errs, nil)
	for i, failed := range errs {
		if failed == nil {
			continue
		}
		answers[i] = failed.Error()
		var refusal *Refusal
		if err == nil || errors.As(err, &refusal) && refusal.Final {
			err = fmt.Errorf("tell Alertmanager %d of %d: %w", i+1, len(errs), failed)
		}
		if taken && !m.failed[i] {
			m.logger.Warn("one of the Alertmanagers takes nothing; another does", "number", i+1, "of", len(errs), "err", failed)
		}
	}
	for i := range errs {
		m.failed[i] = errs[i] != nil
		answers[i] = fmt.Sprintf("%d: %s", i+1, answers[i])
	}
	if taken {
		return strings.Join(answers, ", "), nil
	}
	return "", err
}

func (m *Alertmanager) alert(it *item, name func(id string) string, now time.Time) firing {
	e := &it.event
	labels := map[string]string{"severity": it.severity.String(), "source": m.config.Namespace}
	set := func(key, value string) {
		if value != "" {
			labels[key] = terminal.Clean(value)
		}
	}
	from, fires := m.begun(e, set)
	set("rule", e.Rule())
	set("finding", e.FindingID())
	set("user", e.UserID())
	if e.Quest != 0 {
		set("quest", strconv.FormatInt(e.Quest, 10))
	}
	// The database's clock may be ahead of ours: an end before the beginning is refused.
	until := max(from, change.MillisOf(now)) + change.Millis(fires.Milliseconds())
	if it.over {
		until = max(from, e.Time)
	}
	return firing{
		labels,
		map[string]string{"summary": tame(clip(terminal.Clean(e.Sentence(name))))},
		event.Stamp(from), event.Stamp(until), m.config.Link,
	}
}

// begun labels an alert with what it is and why, and says when that began, and for how
// long from now on it fires unless it is repeated.
func (m *Alertmanager) begun(e *event.Event, set func(key, value string)) (from change.Millis, fires time.Duration) {
	fires = resendsAhead * m.config.Resend
	switch d := e.Data.(type) {
	case event.Finding:
		set("alertname", alertName(d.Rule.String()))
		set("cause", string(d.Cause))
		if at, err := time.Parse(time.RFC3339, d.OpenedAt); err == nil {
			return change.MillisOf(at), fires
		}
		return e.Time, fires
	case event.Alarm:
		set("alertname", alertName("stream_stalled"))
		set("reason", d.Reason)
		return d.Since, fires
	case event.Halt:
		set("alertname", alertName("repair_halted"))
		set("reason", d.Reason)
		return d.Since, fires
	}
	set("alertname", alertName(e.Group+"_"+e.What))
	set("reason", e.Detail)
	set("event", e.ID)
	if _, test := e.Data.(event.Trial); test {
		return e.Time, testFiresFor
	}
	return e.Time, firesFor
}

// alertName is a word with underscores as an alert's name.
func alertName(words string) string {
	var b strings.Builder
	b.WriteString("Questwatch")
	for word := range strings.SplitSeq(words, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// tame makes a text harmless for whatever an Alertmanager sends it to: its templates put
// it there as it is.
func tame(text string) string {
	return strings.NewReplacer("<", "‹", ">", "›", "@", "@\u200b", "](", "] (").Replace(text)
}
