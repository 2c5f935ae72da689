// Subscriber is an example of a service that follows consistency events: durable,
// filtered, and resuming where it stopped.
//
//	go run ./deploy/events/subscriber nats://127.0.0.1:4222
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// opened is what this service needs of a drift.opened.
type opened struct {
	ID   string `json:"id"`
	Data struct {
		Rule     string  `json:"rule"`
		Cause    string  `json:"cause"`
		Severity string  `json:"severity"`
		QuestID  int64   `json:"quest_id"`
		UserID   *string `json:"user_id"`
	} `json:"data"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	url := nats.DefaultURL
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if err := follow(ctx, url); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func follow(ctx context.Context, url string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "QUESTWATCH_EVENTS", jetstream.ConsumerConfig{
		Durable:        "example", // the server remembers what was acknowledged
		FilterSubjects: []string{"questwatch.events.drift.opened.missing_participant.*"},
		AckPolicy:      jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return fmt.Errorf("make a consumer: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		m, err := messages.Next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("next event: %w", err)
		}
		var e opened
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		fmt.Printf("%s: quest %d, %s\n", e.Data.Severity, e.Data.QuestID, e.Data.Cause)
		// Once the server has that, the event does not come again. Ctrl-C waits for it.
		if err := m.DoubleAck(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
}
