package archtest_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/peerquest/questwatch/internal/archtest"
)

func TestProject(t *testing.T) {
	problems, err := archtest.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

const (
	ours = `"github.com/peerquest/questwatch/internal/`
	doc  = "// Package x guarantees this and that, always.\n"
)

func importing(packages ...string) string {
	src := doc + "package x\n"
	for _, p := range packages {
		src += "import _ " + p + "\n"
	}
	return src
}

func TestCheckFindsOffences(t *testing.T) {
	for _, c := range []struct {
		name, file, src string
		want            string // part of the one problem; empty for none
	}{
		{"arrow", "internal/drift/a.go", importing(ours + `rule"`), ""},
		{"arrow by way of others", "internal/event/a.go", importing(ours+`change"`, ours+`drift"`), ""},
		{"upwards", "internal/change/a.go", importing(ours + `quest"`), "no arrow leads from change to quest"},
		{"sideways", "internal/event/a.go", importing(ours + `remedy"`), "no arrow leads from event to remedy"},
		{"leaf", "internal/change/a.go", importing(ours + `hint"`), ""},
		{"adapter to domain", "internal/bus/embedded/a.go", importing(ours + `change"`), ""},
		{"adapter to itself", "internal/bus/embedded/a.go", importing(ours + `bus"`), ""},
		{"adapter to adapter", "internal/pgsource/a.go", importing(ours + `bus"`), "never each other"},
		{"adapter to adapter in a test", "internal/pgsource/a_test.go", importing(ours + `bus"`), "never each other"},
		{"flow to adapter", "internal/watch/a.go", importing(ours + `bus"`), "declares the interface"},
		{"flow to nested adapter", "internal/watch/a.go", importing(ours + `bus/embedded"`), "declares the interface"},
		{"flow's test to adapter", "internal/watch/a_test.go", importing(ours + `bus"`), ""},
		{"flow to flow", "internal/alert/a.go", importing(ours + `watch"`), "replay also watch"},
		{"replay to watch", "internal/replay/a.go", importing(ours + `watch"`), ""},
		{"app", "internal/app/a.go", importing(ours+`watch"`, ours+`bus"`, ours+`config"`), ""},
		{"config by a flow", "internal/watch/a.go", importing(ours + `config"`), "only cmd and app import config"},
		{"app by config", "internal/config/a.go", importing(ours + `app"`), "only cmd imports app"},
		{"command", "cmd/questwatch/a.go", importing(ours+`app"`, ours+`config"`, ours+`drift"`), ""},
		{"command to flow", "cmd/questwatch/a.go", importing(ours + `audit"`), ""},
		{"command to adapter", "cmd/questwatch/a.go", importing(ours + `bus"`), "cmd imports app, config"},
		{"demo", "cmd/questwatch/demo.go", importing(ours + `testkit"`), ""},
		{"kit by another command", "cmd/questwatch/run.go", importing(ours + `testkit"`), "only tests and the demo"},
		{"kit by app", "internal/app/a.go", importing(ours + `testkit/peerquest"`), "only tests and the demo"},
		{"kit by a test", "internal/bus/a_test.go", importing(ours + `testkit"`), ""},
		{"kit by the test of what is deployed", "deploy/django/a_test.go", importing(ours + `testkit"`), ""},
		{"domain by the test of what is deployed", "deploy/django/a_test.go", importing(ours + `change"`), ""},
		{"flow by the test of what is deployed", "deploy/django/a_test.go", importing(ours + `watch"`), "beside the program"},
		{"domain by what is deployed", "deploy/django/a.go", importing(ours + `change"`), "beside the program"},
		{"kit to product", "internal/testkit/a.go", importing(ours + `change"`), "stands alone"},
		{"unknown package", "internal/util/a.go", importing(), "no place in the design"},
		{"import of unknown package", "internal/watch/a.go", importing(ours + `util"`), "no place in the design"},
		{"net in the domain", "internal/rule/a.go", importing(`"net/http"`), "the domain is pure"},
		{"os in the domain", "internal/rule/a.go", importing(`"os"`), "the domain is pure"},
		{"os in a domain test", "internal/rule/a_test.go", importing(`"os"`), ""},
		{"clock", "internal/rule/a.go", importing() + "import \"time\"\nvar t = time.Now\n", "time is an argument"},
		{"renamed clock", "internal/rule/a.go", importing() + "import clk \"time\"\nvar t = clk.Now\n", "time is an argument"},
		{"duration", "internal/rule/a.go", importing() + "import \"time\"\nvar t = time.Second\n", ""},
		{"goroutine", "internal/rule/a.go", importing() + "func f() { go f() }\n", "starts a goroutine"},
		{"goroutine in a flow", "internal/watch/a.go", importing() + "func f() { go f() }\n", ""},
		{"init", "internal/web/a.go", importing() + "func init() {}\n", "func init"},
		{"method init", "internal/web/a.go", importing() + "type t int\nfunc (t) init() {}\n", ""},
		{"undocumented", "internal/web/a.go", "package x\n", "no package comment"},
		{"long", "internal/web/a.go", importing() + strings.Repeat("\n", 500), "500 are the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := fstest.MapFS{c.file: {Data: []byte(c.src)}}
			if strings.HasSuffix(c.file, "_test.go") {
				files[c.file[:strings.LastIndex(c.file, "/")]+"/doc.go"] = &fstest.MapFile{Data: []byte(importing())}
			}
			problems, err := archtest.Check(files)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(problems) > 0 {
				t.Errorf("problems where there are none: %v", problems)
			}
			if c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], c.want)) {
				t.Errorf("problems = %v, want one with %q", problems, c.want)
			}
		})
	}
}
