package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/peerquest/questwatch/internal/timetable"
)

// readFile lays a file over c. The YAML library would set a section without keys
// to nothing, and names our types when a value is of another: so what is empty is
// left out, and values are looked at, before the library reads them.
func readFile(path string, c *Config) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return &Error{Where: path, Err: errors.Unwrap(err)}
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return libraryError(path, err)
	}
	if len(file.Docs) == 0 || isEmpty(file.Docs[0].Body) {
		return nil
	}
	body := file.Docs[0].Body
	if err := checkNode(path, body, reflect.TypeFor[Config](), ""); err != nil {
		return err
	}
	if err := yaml.NewDecoder(strings.NewReader(""), yaml.Strict()).DecodeFromNode(body, c); err != nil {
		return libraryError(path, err)
	}
	return nil
}

// libraryError is an error of the YAML library without source lines: those around
// the error may hold a password.
func libraryError(path string, err error) error {
	text := strings.TrimSpace(yaml.FormatError(err, false, false))
	where := path
	if m := position.FindStringSubmatch(text); m != nil {
		where, text = path+":"+m[1]+":"+m[2], m[3]
	}
	return &Error{Where: where, Err: errors.New(text)}
}

// position is how the YAML library says where: [line:column] message.
var position = regexp.MustCompile(`(?s)^\[(\d+):(\d+)\] (.*)$`)

// isEmpty reports whether nothing is said: a section whose keys are all commented
// out, or none at all.
func isEmpty(n ast.Node) bool {
	switch n.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode, *ast.CommentNode:
		return true
	}
	return false
}

// checkNode looks whether a node fits a setting. References to other places of
// the file are the library's business.
func checkNode(path string, n ast.Node, t reflect.Type, key string) error {
	if t.Kind() == reflect.Struct {
		return checkSection(path, n, t, key)
	}
	want := error(nil)
	switch n := n.(type) {
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			want = wanted(t)
			break
		}
		for _, value := range n.Values {
			if err := checkNode(path, value, t.Elem(), key); err != nil {
				return err
			}
		}
	case *ast.MappingNode, *ast.MappingValueNode:
		want = wanted(t)
	default:
		if !fits(n, t) {
			want = wanted(t)
		}
	}
	if want != nil {
		return &Error{Where: at(path, n), Err: fmt.Errorf("%s: %w", key, want)}
	}
	return nil
}

// checkSection does so for a section, and leaves out what is empty in it.
func checkSection(path string, n ast.Node, t reflect.Type, key string) error {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		return nil
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	case *ast.MappingNode:
		n.Values = slices.DeleteFunc(n.Values, func(v *ast.MappingValueNode) bool {
			_, known := field(t, v.Key.GetToken().Value)
			return known && isEmpty(v.Value)
		})
		values = n.Values
	default:
		return &Error{Where: at(path, n), Err: fmt.Errorf("%swant keys with values: known here are %s", prefixed(key, ": "), keys(t))}
	}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			continue
		}
		name := v.Key.GetToken().Value
		to, ok := field(t, name)
		if !ok {
			return &Error{Where: at(path, v.Key), Err: fmt.Errorf("unknown key %q: known here are %s", prefixed(key, ".")+name, keys(t))}
		}
		if err := checkNode(path, v.Value, to.Type, prefixed(key, ".")+name); err != nil {
			return err
		}
	}
	return nil
}

func prefixed(key, separator string) string {
	if key == "" {
		return ""
	}
	return key + separator
}

func at(path string, n ast.Node) string {
	p := n.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", path, p.Line, p.Column)
}

// field is a section's setting by its key.
func field(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func keys(t reflect.Type) string {
	known := make([]string, t.NumField())
	for i := range known {
		known[i] = t.Field(i).Tag.Get("yaml")
	}
	return strings.Join(known, ", ")
}

// fits looks at a value, and writes a length of time as the library reads it.
func fits(n ast.Node, t reflect.Type) bool {
	text, isText := n.(*ast.StringNode)
	if t == reflect.TypeFor[time.Duration]() {
		if !isText {
			return false
		}
		length, err := timetable.ParseLength(text.Value)
		text.Value = length.String() // the library knows neither days nor weeks
		return err == nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return n.Type() == ast.BoolType
	case reflect.Int, reflect.Int64:
		number, ok := n.(*ast.IntegerNode)
		if !ok {
			return false
		}
		big, ok := number.Value.(uint64)
		return !ok || big <= math.MaxInt64
	case reflect.Slice:
		return false
	}
	return true // the library makes a text of any other scalar
}

func wanted(t reflect.Type) error {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return errWantTime
	case t.Kind() == reflect.Bool:
		return errWantBool
	case t.Kind() == reflect.String:
		return errWantText
	case t.Kind() == reflect.Slice:
		return errWantList
	}
	return errWantNumber
}
