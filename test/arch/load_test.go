package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A rule looks at the house and names every place where it is broken, one line each.
type rule struct {
	name  string
	says  string
	check func(*house) []string
}

// house is the parsed repository.
type house struct {
	fset     *token.FileSet
	packages []*pkg // sorted by dir
	scripts  []*script
}

// pkg is one folder with Go files in it.
type pkg struct {
	dir   string // slash-separated, from the root of the repository
	files []*file
}

// file is one Go file.
type file struct {
	name   string // base name
	lines  int
	test   bool
	syntax *ast.File
	source []byte
}

// script is a file of another language that the length rule covers.
type script struct {
	path  string
	lines int
}

// load parses every Go file of the tree, whatever its build tags. Folders that the go command ignores are left out.
func load(tree fs.FS) (*house, error) {
	h := &house{fset: token.NewFileSet()}
	byDir := map[string]*pkg{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && ignored(name):
			return fs.SkipDir
		case d.IsDir():
			return nil
		case path.Ext(name) == ".sh":
			source, err := fs.ReadFile(tree, name)
			h.scripts = append(h.scripts, &script{name, countLines(source)})
			return err
		case path.Ext(name) != ".go":
			return nil
		}
		f, err := h.parse(tree, name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if byDir[dir] == nil {
			byDir[dir] = &pkg{dir: dir}
			h.packages = append(h.packages, byDir[dir])
		}
		byDir[dir].files = append(byDir[dir].files, f)
		return nil
	})
	slices.SortFunc(h.packages, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return h, err
}

// ignored reports whether a folder is none of the house: hidden, or ignored by the go command.
func ignored(dir string) bool {
	base := path.Base(dir)
	return base == "testdata" || base == "vendor" || base != "." && (base[0] == '.' || base[0] == '_')
}

func (h *house) parse(tree fs.FS, name string) (*file, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	syntax, err := parser.ParseFile(h.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &file{
		name:   path.Base(name),
		lines:  countLines(source),
		test:   strings.HasSuffix(name, "_test.go"),
		syntax: syntax,
		source: source,
	}, nil
}

func countLines(source []byte) int {
	n := bytes.Count(source, []byte("\n"))
	if len(source) > 0 && source[len(source)-1] != '\n' {
		n++
	}
	return n
}

// code is the package's files that are not tests.
func (p *pkg) code() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.test })
}

// pure is the packages that the purity rules are about.
func (h *house) pure() []*pkg {
	return slices.DeleteFunc(slices.Clone(h.packages), func(p *pkg) bool { return !slices.Contains(pure, p.dir) })
}

// at is the place of a node as "file:line: what".
func (h *house) at(n ast.Node, format string, args ...any) string {
	p := h.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
}

// own is the folder of an import path of this module.
func own(importPath string) (dir string, ok bool) {
	return strings.CutPrefix(importPath, module+"/")
}

// importPath is the path of an import, unquoted.
func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return p
}

// under reports whether the path is the prefix or below it, in whole elements.
func under(name, prefix string) bool {
	return name == prefix || strings.HasPrefix(name, prefix+"/")
}

// built reports whether the file belongs to a build with these extra tags on linux/amd64.
func (f *file) built(tags ...string) bool {
	for _, group := range f.syntax.Comments {
		if group.Pos() > f.syntax.Package {
			break
		}
		for _, c := range group.List {
			expr, err := constraint.Parse(c.Text)
			if err == nil && !expr.Eval(func(tag string) bool { return slices.Contains(tags, tag) || usual(tag) }) {
				return false
			}
		}
	}
	return true
}

func usual(tag string) bool {
	return slices.Contains([]string{"linux", "amd64", "unix", "gc"}, tag) || strings.HasPrefix(tag, "go1.")
}
