package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// SyncPolicy is when servers bring to the disk what they have acknowledged. A
// loss of power takes what was acknowledged since.
type SyncPolicy struct {
	Always   bool          // before they acknowledge
	Interval time.Duration // unless Always
}

func (p SyncPolicy) String() string {
	if p.Always {
		return "always"
	}
	return "every " + p.Interval.String()
}

const (
	monitorTimeout = 3 * time.Second
	monitorBytes   = 4 << 20 // of a page, at most
)

// ErrNotMonitored says that the CDC stream is, or may be, on a server of which the
// monitoring pages say nothing.
var ErrNotMonitored = errors.New("no monitoring page for a server of the stream")

// SyncPolicy reads from the servers' monitoring pages, whose addresses urls lists
// with commas between, how the servers of the CDC stream sync: the longest interval
// of all that are named. It fails with ErrNotMonitored when the stream exists and is
// on a server that is not among them.
func (c *Conn) SyncPolicy(ctx context.Context, urls string) (SyncPolicy, error) {
	var names []string
	policy := SyncPolicy{Always: true}
	for text := range strings.SplitSeq(urls, ",") {
		page, err := readMonitor(ctx, strings.TrimSpace(text))
		if err != nil {
			return SyncPolicy{}, err
		}
		names = append(names, page.Name)
		policy.Always = policy.Always && page.policy().Always
		policy.Interval = max(policy.Interval, page.policy().Interval)
	}
	servers, err := c.cdcServers(ctx)
	if err != nil {
		return SyncPolicy{}, err
	}
	for _, name := range servers {
		if !slices.Contains(names, name) {
			return SyncPolicy{}, fmt.Errorf("%w: it is on %q, and these are of %q", ErrNotMonitored, name, names)
		}
	}
	return policy, nil
}

// cdcServers names the servers that the CDC stream is on; none when there is no
// stream yet.
func (c *Conn) cdcServers(ctx context.Context) (names []string, err error) {
	var stream jetstream.Stream
	err = c.admin(ctx, c.names.cdcStream, func(ctx context.Context) (err error) {
		stream, err = c.js.Stream(ctx, c.names.cdcStream)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, classify(fmt.Sprintf("find the servers of stream %q", c.names.cdcStream), err)
	}
	if cluster := stream.CachedInfo().Cluster; cluster != nil {
		if cluster.Leader != "" {
			names = append(names, cluster.Leader)
		}
		for _, r := range cluster.Replicas {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: the server does not say where the stream is", ErrNotMonitored)
	}
	return names, nil
}

// monitorPage is what /varz says that matters here.
type monitorPage struct {
	Name      string `json:"server_name"`
	JetStream struct {
		Config *struct {
			SyncInterval time.Duration `json:"sync_interval"` // nanoseconds
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
	} `json:"jetstream"`
}

func (p *monitorPage) policy() SyncPolicy {
	if p.JetStream.Config.SyncAlways {
		return SyncPolicy{Always: true}
	}
	return SyncPolicy{Interval: p.JetStream.Config.SyncInterval}
}

func readMonitor(ctx context.Context, address string) (page monitorPage, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return page, errors.New("read monitoring page: that is no URL") // it may hold a password
	}
	op := fmt.Sprintf("read monitoring page of %s", u.Host)
	data, err := get(ctx, u.JoinPath("varz"))
	if err != nil {
		return page, fmt.Errorf("%s: %w", op, err)
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return page, fmt.Errorf("%s: decode: %w", op, err)
	}
	switch c := page.JetStream.Config; {
	case page.Name == "":
		err = errors.New("it is not a NATS server's")
	case c == nil:
		err = ErrNoJetStream
	case c.SyncInterval < 0, c.SyncInterval == 0 && !c.SyncAlways:
		err = errors.New("it does not say how often the server syncs")
	}
	if err != nil {
		return page, fmt.Errorf("%s: %w", op, err)
	}
	return page, nil
}

func get(ctx context.Context, u *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // without the address, which may hold a password
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", http.StatusText(response.StatusCode))
	}
	return io.ReadAll(io.LimitReader(response.Body, monitorBytes))
}
