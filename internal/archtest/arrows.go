package archtest

import (
	"slices"
	"strings"
)

const module = "github.com/peerquest/questwatch"

// layer is where a package stands. A package below internal belongs to the group of its first path element:
// bus/embedded is bus.
type layer int

const (
	unknown  layer = iota
	command        // cmd/questwatch
	wiring         // app
	settings       // config
	flow
	adapter
	domain
	leaf
	kit
	shipped // deploy/…: not Go, but its tests are
	self
)

var layers = map[string]layer{
	"app": wiring, "config": settings,
	"stream": flow, "watch": flow, "replay": flow, "audit": flow, "tail": flow, "repair": flow, "alert": flow, "trend": flow, "web": flow,
	"pgsource": adapter, "pgstore": adapter, "bus": adapter,
	"event": domain, "remedy": domain, "drift": domain, "rule": domain, "quest": domain, "change": domain,
	"hint":      leaf, // what an operator can do about an error
	"pack":      leaf, // how states are written to be read again
	"people":    leaf, // what people are called
	"pgjson":    leaf, // Postgres's values as JSON, for both of its adapters
	"terminal":  leaf, // text from elsewhere, made harmless
	"timetable": leaf, // when something is due that is planned
	"testkit":   kit, "demo": kit, "bench": kit,
	"archtest": self,
}

// arrows of the design. A package may import what an arrow reaches, directly or by way of others.
var arrows = map[string][]string{
	"event": {"drift"}, "remedy": {"drift"}, "drift": {"rule"}, "rule": {"quest"}, "quest": {"change"},
	"replay": {"watch"},
}

// place says which group an import path of ours belongs to, and where that stands.
func place(path string) (string, layer) {
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return path, unknown
	}
	if rest == "cmd/questwatch" {
		return "cmd", command
	}
	if rest == "cmd/bench" {
		return "cmd", kit
	}
	if name, ok := strings.CutPrefix(rest, "deploy/"); ok {
		return name, shipped
	}
	inner, ok := strings.CutPrefix(rest, "internal/")
	if !ok {
		return rest, unknown
	}
	group, _, _ := strings.Cut(inner, "/")
	return group, layers[group]
}

// mayImport says why a package must not import another, or "" when it may. Both are of this module. file is the
// importing file's base name.
func mayImport(from, to, file string) string {
	fromGroup, fromLayer := place(from)
	toGroup, toLayer := place(to)
	test := strings.HasSuffix(file, "_test.go")
	switch {
	case fromGroup == toGroup, toLayer == leaf, fromLayer == self:
		return ""
	case toLayer == command:
		return "nobody imports a command"
	case toLayer == kit:
		// The demo is the product's own use of the kit.
		if test || fromLayer == kit || fromLayer == command && strings.HasPrefix(file, "demo") {
			return ""
		}
		return "only tests and the demo import " + toGroup
	case toLayer == settings && fromLayer != command && fromLayer != wiring && fromGroup != "demo":
		return "only cmd and app import config"
	case toLayer == wiring && fromLayer != command && fromGroup != "demo":
		return "only cmd imports app"
	case toLayer == unknown:
		return toGroup + " has no place in the design: give it one in archtest"
	}
	switch fromLayer {
	case wiring:
		return ""
	case command:
		return only(toLayer, "cmd imports app, config, flows and the domain; app brings the adapters", wiring, settings, flow, domain)
	case settings:
		return only(toLayer, "config imports the domain only", domain)
	case flow:
		if toLayer == adapter && test || toLayer == domain || slices.Contains(reach(fromGroup), toGroup) {
			return ""
		}
		if toLayer == adapter {
			return "a flow declares the interface it needs; app brings the adapter"
		}
		return "a flow imports the domain only, and replay also watch"
	case adapter:
		return only(toLayer, "adapters import the domain only, never each other", domain)
	case domain:
		if slices.Contains(reach(fromGroup), toGroup) {
			return ""
		}
		return "no arrow leads from " + fromGroup + " to " + toGroup
	case kit:
		if fromGroup == "demo" || fromGroup == "bench" && toLayer == domain {
			return ""
		}
		return "testkit stands alone"
	case shipped:
		if test && toLayer == domain {
			return ""
		}
		return "what is deployed beside the program imports nothing of it; its tests the domain and the kit"
	case leaf:
		return "a leaf imports nothing of ours"
	}
	return fromGroup + " has no place in the design: give it one in archtest"
}

func only(got layer, otherwise string, allowed ...layer) string {
	if slices.Contains(allowed, got) {
		return ""
	}
	return otherwise
}

func reach(group string) []string {
	var all []string
	for _, next := range arrows[group] {
		all = append(append(all, next), reach(next)...)
	}
	return all
}

// impure lists what keeps a domain package from being a function of its arguments. Prefixes end with a slash.
var impure = []string{
	"net", "net/", "os", "os/", "database/", "syscall", "math/rand", "math/rand/", "log", "log/",
	"github.com/jackc/pgx/", "github.com/nats-io/",
}

func isImpure(path string) bool {
	return slices.ContainsFunc(impure, func(p string) bool {
		return path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p)
	})
}

// clock lists what of package time reads the clock or waits for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
