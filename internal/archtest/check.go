package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const maxLines = 500

// Check reads all Go files below root and returns what offends against the design, one line each.
func Check(root fs.FS) ([]string, error) {
	c := checker{documented: map[string]bool{}}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// The go command leaves these folders out too.
		if base := d.Name(); d.IsDir() && name != "." && (base == "testdata" || base[0] == '.' || base[0] == '_') {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		return c.file(root, name)
	})
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	for dir, ok := range c.documented {
		if !ok {
			c.complain(dir, "no package comment says what the package guarantees")
		}
	}
	slices.Sort(c.problems)
	return c.problems, nil
}

type checker struct {
	problems   []string
	documented map[string]bool // by folder
}

func (c *checker) complain(where, format string, args ...any) {
	c.problems = append(c.problems, where+": "+fmt.Sprintf(format, args...))
}

func (c *checker) file(root fs.FS, name string) error {
	src, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	if n := bytes.Count(src, []byte("\n")); n > maxLines {
		c.complain(name, "%d lines, and %d are the end", n, maxLines)
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	test := strings.HasSuffix(name, "_test.go")
	// A package's comment is where go doc finds it, not in its tests.
	c.documented[dir] = c.documented[dir] || !test && f.Doc != nil && len(strings.Fields(f.Doc.Text())) > 5
	self := module
	if dir != "." {
		self += "/" + dir
	}
	_, at := place(self)
	for _, spec := range f.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if strings.HasPrefix(target, module+"/") {
			if why := mayImport(self, target, path.Base(name)); why != "" {
				c.complain(name, "imports %s: %s", strings.TrimPrefix(target, module+"/"), why)
			}
		} else if at == domain && !test && isImpure(target) {
			c.complain(name, "imports %s: the domain is pure", target)
		}
	}
	if at == unknown && dir != "." {
		c.complain(name, "package has no place in the design: give it one in archtest")
	}
	c.declarations(f, name, at == domain && !test)
	return nil
}

// declarations looks for init functions and, in pure packages, for goroutines and the clock.
func (c *checker) declarations(f *ast.File, name string, pure bool) {
	timeName := importName(f, "time")
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				c.complain(name, "func init: what it does belongs into a constructor")
			}
		case *ast.GoStmt:
			if pure {
				c.complain(name, "starts a goroutine: the domain is pure")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); pure && ok && x.Name == timeName && slices.Contains(clock, n.Sel.Name) {
				c.complain(name, "uses time.%s: in the domain, time is an argument", n.Sel.Name)
			}
		}
		return true
	})
}

// importName is what a file calls an imported package, or "" when it does not import it.
func importName(f *ast.File, target string) string {
	for _, spec := range f.Imports {
		if spec.Path.Value != strconv.Quote(target) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(target)
	}
	return ""
}
