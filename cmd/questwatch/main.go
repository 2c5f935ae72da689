// Command questwatch streams the changes of a quest database into NATS JetStream
// and watches that applications, participants and quests agree.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones of quiet hours, where the machine has none
)

// version is set by the build.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := root().ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprint(os.Stderr, explain(err))
	}
	os.Exit(exitStatus(err))
}
