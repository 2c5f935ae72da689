package main

import (
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

// A server that acknowledges before it syncs, or does not say, is a matter of
// configuration.
func TestDurabilityThatTheServerDoesNotGive(t *testing.T) {
	dsn := testkit.Database(t)
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	for name, test := range map[string]struct{ args, says []string }{
		"unknown": {nil, []string{"nats.monitoring is not set", "stream.durability: always needs"}},
		"later":   {[]string{"--nats-monitoring", server.MonitorURL()}, []string{"acknowledges before it syncs", "sync_interval: always"}},
		"no such": {[]string{"--durability", "sometimes"}, []string{"stream.durability: want one of interval, always"}},
		"no URL":  {[]string{"--nats-monitoring", "geheim"}, []string{"nats.monitoring: want the URL"}},
		"password": {
			[]string{"--nats-monitoring", "http://me:" + secret + "@127.0.0.1:1"},
			[]string{"credentials on the command line", "127.0.0.1:1", "stream.durability: always needs"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			args, _ := runArgs(t, dsn, append([]string{"--nats", server.URL(), "--durability", "always"}, test.args...)...)
			refused(t, command(t, args...), exitUsage, test.says...)
			untouched(t, dsn)
		})
	}
}
