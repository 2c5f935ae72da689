package event_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// kind is a type of event that others may subscribe to.
type kind struct {
	name, about string
	data        any
	detail      string // what the third token of the subject is
	quest       bool   // the last token is a quest
}

var kinds = []kind{
	{"drift.opened", "A rule has been violated for longer than its grace.", event.Finding{}, "rule", true},
	{"drift.resolved", "A finding is over.", event.Finding{}, "rule", true},
	{"drift.baseline", "What was violated before the stream began, in numbers.", event.Baseline{}, "summary", false},
	{"approval.failed", "An approval failed.", event.Approval{}, "reason", true},
	{"approval.reset", "An approval was taken back later; for information.", event.Approval{}, "reason", true},
	{"status.regressed", "A quest's status went back.", event.Regression{}, "transition", true},
	{"repair.planned", "A finding was opened that has a repair.", event.Planned{}, "rule", true},
	{"repair.applied", "A repair has come back through the stream.", event.Repaired{}, "rule", true},
	{"repair.undone", "The undoing of a repair has come back through the stream.", event.Repaired{}, "rule", true},
	{"repair.skipped", "There was nothing to repair any more, or a person has to ask.", event.NotRepaired{}, "rule", true},
	{"repair.failed", "A repair was given up.", event.NotRepaired{}, "rule", true},
	{"repair.halted", "Automatic repairs have stopped by themselves.", event.Halt{}, "reason", false},
	{"repair.resumed", "Automatic repairs go on.", event.Halt{}, "reason", false},
	{"audit.mismatch.state", "The checker's state of a quest is not what the database holds.", event.Mismatch{}, "state", true},
	{"audit.mismatch.summary", "All quests of which that is so, in numbers.", event.Mismatches{}, "summary", false},
	{"audit.mismatch.finding", "An audit and the checker judge a quest otherwise.", event.Disagreement{}, "finding", true},
	{"audit.mismatch.findings", "All things of an audit of which that is so, in numbers.", event.Disagreements{}, "findings", false},
	{"audit.completed", "An audit is complete.", event.Audited{}, "kind", false},
	{"audit.failed", "An audit by the timetable could not be made, and is tried again; once for each planned time.", event.AuditFailure{}, "scheduled", false},
	{"stream.gap", "Changes are missing from the stream.", event.Continuity{}, "reason", false},
	{"stream.epoch", "Another writer writes the stream, or a baseline was taken.", event.Continuity{}, "reason", false},
	{"stream.truncated", "Tables were emptied.", event.Continuity{}, "truncate", false},
	{"stream.schema_changed", "Columns have changed.", event.Continuity{}, "columns", false},
	{"stream.stalled", "An alarm: the stream is in trouble, or will be.", event.Alarm{}, "reason", false},
	{"stream.recovered", "An alarm is over.", event.Alarm{}, "reason", false},
	{"alert.test", "Somebody tries whether a channel of alerts arrives; in no stream.", event.Trial{}, "channel", false},
	{"alert.undelivered", "A channel of alerts was not told of events, after the last try.", event.Undelivered{}, "channel", false},
}

// typeOf is the CloudEvents type of a kind: the two of audit.mismatch have one.
func (k *kind) typeOf() string {
	parts := strings.Split(k.name, ".")
	return fmt.Sprintf("dev.questwatch.%s.%s.v1", parts[0], parts[1])
}

func (k *kind) subject() string {
	parts := strings.Split(k.name, ".")
	detail := "{" + k.detail + "}"
	if k.detail != "rule" && k.detail != "reason" && k.detail != "channel" && k.detail != "transition" && k.detail != "kind" {
		detail = k.detail
	}
	quest := "_"
	if k.quest {
		quest = "{quest_id}"
	}
	return fmt.Sprintf("questwatch.events.%s.%s.%s.%s", parts[0], parts[1], detail, quest)
}

func (k *kind) schema(docs map[string]string) map[string]any {
	required := []string{"specversion", "id", "source", "type", "time", "datacontenttype", "data"}
	properties := map[string]any{
		"specversion":     map[string]any{"const": "1.0"},
		"id":              map[string]any{"type": "string", "minLength": 1, "description": "The same whenever the event is published again; Nats-Msg-Id is the same."},
		"source":          map[string]any{"type": "string", "pattern": "^/questwatch/", "description": "/questwatch/ and the namespace."},
		"type":            map[string]any{"const": k.typeOf()},
		"time":            map[string]any{"type": "string", "format": "date-time"},
		"datacontenttype": map[string]any{"const": "application/json"},
		"data":            schemaOf(reflect.TypeOf(k.data), docs),
	}
	if k.quest {
		properties["subject"] = map[string]any{"type": "string", "pattern": "^quest/-?[0-9]+$"}
		required = append(required, "subject")
	}
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": k.name, "description": k.about,
		"type": "object", "properties": properties, "required": required,
	}
}

// enums are the words of types that have few.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[rule.Rule]():     names(rule.All[:]),
	reflect.TypeFor[rule.Severity](): {"info", "warning", "critical"},
	reflect.TypeFor[drift.Origin]():  {string(drift.FromStream), string(drift.FromBaseline)},
	reflect.TypeFor[drift.Reason]():  {string(drift.Healed), string(drift.CauseChanged), string(drift.Restated), string(drift.QuestGone)},
	reflect.TypeFor[event.Why]():     {string(event.Silent), string(event.Reverted), string(event.Reported), string(event.Late), string(event.Fulfilled)},
}

func names(rules []rule.Rule) (texts []string) {
	for _, r := range rules {
		texts = append(texts, r.String())
	}
	return texts
}

// schemaOf is the schema of a type as encoding/json writes it. Fields may be added within
// a version, so that others than these are allowed.
func schemaOf(t reflect.Type, docs map[string]string) map[string]any {
	if words, few := enums[t]; few {
		return map[string]any{"type": "string", "enum": words}
	}
	switch {
	case t == reflect.TypeFor[change.LSN]():
		return map[string]any{"type": "integer", "minimum": 0, "description": "A position of Postgres's log."}
	case t == reflect.TypeFor[change.Millis]():
		return map[string]any{"type": "integer", "description": "Milliseconds since 1970."}
	case t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{schemaOf(t.Elem(), docs), map[string]any{"type": "null"}}}
	case reflect.Struct:
		s := map[string]any{"type": "object"}
		properties, required := map[string]any{}, []string{}
		addFields(t, docs, properties, &required)
		s["properties"], s["required"] = properties, required
		return s
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), docs)}
	case reflect.Map:
		s := map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), docs)}
		if words, few := enums[t.Key()]; few {
			s["propertyNames"] = map[string]any{"enum": words}
		}
		return s
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int64, reflect.Int32:
		return map[string]any{"type": "integer"}
	}
	panic(fmt.Sprintf("no schema for %s", t))
}

func addFields(t reflect.Type, docs map[string]string, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			addFields(f.Type, docs, properties, required)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := schemaOf(f.Type, docs)
		if strings.HasSuffix(name, "_at") {
			s["format"] = "date-time"
		}
		if text := docs[t.Name()+"."+f.Name]; text != "" {
			s["description"] = text
		}
		properties[name] = s
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, name)
		} else if f.Type.Kind() == reflect.Pointer { // left out, never null
			properties[name] = maps.Clone(schemaOf(f.Type.Elem(), docs))
			if text := docs[t.Name()+"."+f.Name]; text != "" {
				properties[name].(map[string]any)["description"] = text
			}
		}
	}
}

// comments are the doc comments of the fields of this package's structs.
func comments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, id := range f.Names {
						docs[spec.Name.Name+"."+id.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return docs
}

const published = "../../deploy/events"

// TestSchemas holds the published schemas and the AsyncAPI document against the types;
// -update writes them.
func TestSchemas(t *testing.T) {
	docs := comments(t)
	for i := range kinds {
		data, err := json.MarshalIndent(kinds[i].schema(docs), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		same(t, kinds[i].name+".json", append(data, '\n'))
	}
	same(t, "asyncapi.yaml", asyncAPI(t))
	files, err := filepath.Glob(filepath.Join(published, "*.json"))
	if err != nil || len(files) != len(kinds) {
		t.Errorf("%d schemas for %d kinds: %v", len(files), len(kinds), err)
	}
}

func same(t *testing.T, name string, want []byte) {
	t.Helper()
	file := filepath.Join(published, name)
	if *update {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types say (%v); go test ./internal/event -run Schemas -update writes it", file, err)
	}
}

// asyncAPI is the AsyncAPI 3 document: a channel each, whose messages this program sends.
func asyncAPI(t *testing.T) []byte {
	t.Helper()
	parameters := map[string]yaml.MapSlice{
		"rule":       {{Key: "description", Value: "The rule."}, {Key: "enum", Value: names(rule.All[:])}},
		"reason":     {{Key: "description", Value: "Why, in a word; data.reason is the same."}},
		"transition": {{Key: "description", Value: "From which status to which, as in completed_to_open."}},
		"kind":       {{Key: "enum", Value: []string{event.AuditScheduled, event.AuditRequested}}},
		"quest_id":   {{Key: "description", Value: "The quest's id."}},
	}
	var channels, operations yaml.MapSlice
	for i := range kinds {
		k := &kinds[i]
		var used yaml.MapSlice
		for _, name := range slices.Sorted(maps.Keys(parameters)) {
			if strings.Contains(k.subject(), "{"+name+"}") {
				used = append(used, yaml.MapItem{Key: name, Value: parameters[name]})
			}
		}
		id := strings.ReplaceAll(k.name, ".", "_")
		channel := yaml.MapSlice{{Key: "address", Value: k.subject()}, {Key: "description", Value: k.about}}
		if len(used) > 0 {
			channel = append(channel, yaml.MapItem{Key: "parameters", Value: used})
		}
		message := yaml.MapSlice{
			{Key: "name", Value: k.typeOf()},
			{Key: "contentType", Value: event.ContentType},
			{Key: "headers", Value: yaml.MapSlice{
				{Key: "type", Value: "object"},
				{Key: "properties", Value: yaml.MapSlice{
					{Key: "Content-Type", Value: yaml.MapSlice{{Key: "const", Value: event.ContentType}}},
					{Key: "Nats-Msg-Id", Value: yaml.MapSlice{{Key: "type", Value: "string"}, {Key: "description", Value: "The event's id."}}},
				}},
			}},
			{Key: "payload", Value: yaml.MapSlice{{Key: "$ref", Value: "./" + k.name + ".json"}}},
		}
		channel = append(channel, yaml.MapItem{Key: "messages", Value: yaml.MapSlice{{Key: id, Value: message}}})
		channels = append(channels, yaml.MapItem{Key: id, Value: channel})
		operations = append(operations, yaml.MapItem{Key: "send_" + id, Value: yaml.MapSlice{
			{Key: "action", Value: "send"},
			{Key: "channel", Value: yaml.MapSlice{{Key: "$ref", Value: "#/channels/" + id}}},
		}})
	}
	data, err := yaml.Marshal(yaml.MapSlice{
		{Key: "asyncapi", Value: "3.0.0"},
		{Key: "info", Value: yaml.MapSlice{
			{Key: "title", Value: "Questwatch consistency events"},
			{Key: "version", Value: "1.0.0"},
			{Key: "description", Value: "CloudEvents 1.0 in structured JSON, in the JetStream stream QUESTWATCH_EVENTS. The first token of all subjects is the namespace. " +
				"Within a version of a type fields are only added; what takes one away, or changes what it means, is another version, and a time is announced in which both are published."},
			{Key: "license", Value: yaml.MapSlice{{Key: "name", Value: "Apache-2.0"}}},
		}},
		{Key: "servers", Value: yaml.MapSlice{{Key: "embedded", Value: yaml.MapSlice{
			{Key: "host", Value: "127.0.0.1:4222"}, {Key: "protocol", Value: "nats"}, {Key: "description", Value: "The embedded server; nats.url names another."},
		}}}},
		{Key: "channels", Value: channels},
		{Key: "operations", Value: operations},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEventsAreValid validates every event that there is a golden file of by the schema
// of its kind, and sees that a damaged one is not.
func TestEventsAreValid(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	unseen := map[string]bool{}
	for i := range kinds {
		unseen[kinds[i].name] = true
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		name := e.Group + "." + e.What
		if name == "audit.mismatch" {
			name += "." + e.Detail
		}
		delete(unseen, name)
		schema, err := compiler().Compile(filepath.Join(published, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		data := instance.(map[string]any)["data"].(map[string]any)
		for field := range data {
			was := data[field]
			data[field] = []any{true} // no list of ours has such
			if schema.Validate(instance) == nil {
				t.Errorf("%s is valid whatever %s is", file, field)
			}
			data[field] = was
		}
	}
	for name := range unseen {
		t.Errorf("there is no example of %s", name)
	}
}

func compiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c
}
