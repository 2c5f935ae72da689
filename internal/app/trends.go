package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/trend"
)

// trendsEvery is how often counts are kept.
const trendsEvery = 5 * time.Minute

func (a *App) newTrends() *trend.Flow {
	return trend.New(countedPort{a.bus}, trendsPort{a.bus.Reports(), &a.reporting}, trendsEvery, a.logger)
}

// Trends are what was counted until now, by an instance and here.
func Trends(ctx context.Context, c *config.Config, logger *slog.Logger) (*trend.Book, error) {
	conn, done, err := openPast(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	defer done()
	return trend.Read(ctx, countedPort{conn}, trendsPort{conn.Reports(), &sync.Mutex{}}, logger)
}

// countedPort is the stream of events.
type countedPort struct{ bus *bus.Conn }

func (p countedPort) Bounds(ctx context.Context) (created time.Time, first, last uint64, err error) {
	s, err := p.bus.EventsState(ctx)
	return s.Created.UTC(), uint64(s.First), uint64(s.Last), err
}

func (p countedPort) Follow(ctx context.Context, kinds []string, from uint64, end bool, fn func(uint64, []byte) error) error {
	var filters []string
	for _, kind := range kinds {
		filters = append(filters, p.bus.EventSubject(kind+".>"))
	}
	var options []bus.ConsumeOption
	if end {
		options = append(options, bus.OnCaughtUp(func(bus.Seq) error { return errShown }))
	}
	err := p.bus.ConsumeEvents(ctx, filters, bus.Seq(from), func(m bus.Message) error { return fn(uint64(m.Seq), m.Data) }, options...)
	if errors.Is(err, errShown) {
		return nil
	}
	return err
}

// trendsPort keeps the counts as one object.
type trendsPort struct {
	objects *bus.Objects
	writing *sync.Mutex
}

const trendsName = "trends"

// Load finds nothing where there is no store.
func (p trendsPort) Load(ctx context.Context) ([]byte, error) {
	data, err := getObject(ctx, p.objects, trendsName)
	if errors.Is(err, bus.ErrSetup) {
		return nil, nil
	}
	return data, err
}

func (p trendsPort) Save(ctx context.Context, data []byte) error {
	return putObject(ctx, p.objects, p.writing, trendsName, data)
}
