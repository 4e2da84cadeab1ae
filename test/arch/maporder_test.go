package arch

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// checkPureMapOrder needs types: whether `range x` walks a map cannot be read off the syntax. It checks each pure
// package without tags and with the tag of the planted bugs, since either build may hold a file that the other lacks.
func checkPureMapOrder(h *house) (broken []string) {
	for _, tags := range [][]string{nil, {"planted"}} {
		t := &typer{house: h, tags: tags, done: map[string]*types.Package{}}
		for _, p := range h.pure() {
			if len(p.code()) == 0 {
				continue
			}
			info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
			files, _, err := t.check(p, info)
			if err != nil {
				broken = append(broken, fmt.Sprintf("%s: %v", p.dir, err))
				continue
			}
			for _, f := range files {
				broken = append(broken, h.mapWalks(f, info)...)
			}
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

// mapWalks is every walk over a map in the file whose line does not say that the order is free. A sorted collection of
// a map's keys (slices.Sorted(maps.Keys(m))) is no walk: its result has an order.
func (h *house) mapWalks(f *file, info *types.Info) (broken []string) {
	sorted := map[ast.Node]bool{}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		what := ""
		switch n := n.(type) {
		case *ast.RangeStmt:
			if isMap(info.TypeOf(n.X)) {
				what = "range over a map"
			}
		case *ast.CallExpr:
			switch name := calledName(n, info); name {
			case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc":
				sorted[n.Args[0]] = true
			case "maps.All", "maps.Keys", "maps.Values", "maps.DeleteFunc":
				if !sorted[n] {
					what = name
				}
			}
		}
		if what != "" && !h.lineHas(f, n.Pos(), orderFree) {
			broken = append(broken, h.at(n, "%s without %q and a reason on its line", what, orderFree))
		}
		return true
	})
	return broken
}

// isMap reports whether a value of this type may be a map.
func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	param, ok := types.Unalias(t).(*types.TypeParam)
	if !ok {
		_, ok := t.Underlying().(*types.Map)
		return ok
	}
	constraint := param.Constraint().Underlying().(*types.Interface) // what Underlying of a constraint always is
	for i := range constraint.NumEmbeddeds() {
		if union, ok := constraint.EmbeddedType(i).(*types.Union); ok {
			for j := range union.Len() {
				if isMap(union.Term(j).Type()) {
					return true
				}
			}
		} else if isMap(constraint.EmbeddedType(i)) {
			return true
		}
	}
	return false
}

// calledName is "package.Function" of a call of a package's function, "" for every other call.
func calledName(call *ast.CallExpr, info *types.Info) string {
	fun := call.Fun
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	selector, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	f, ok := info.Uses[selector.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || f.Signature().Recv() != nil {
		return ""
	}
	return f.Pkg().Path() + "." + f.Name()
}

// typer type-checks packages of the house from their parsed sources, and takes all others from the build cache.
type typer struct {
	*house
	tags []string
	done map[string]*types.Package
}

// outside imports what is not of this module. It is one for all checks, since it asks once per package and remembers.
var outside = importer.ForCompiler(token.NewFileSet(), "gc", exported)

// exported opens what the compiler has written about a package. The go command knows where that is, and compiles the
// package if need be.
func exported(imported string) (io.ReadCloser, error) {
	out, err := exec.Command("go", "list", "-export", "-f", "{{.Export}}", imported).Output()
	if err != nil {
		return nil, fmt.Errorf("go list -export %s: %w", imported, err)
	}
	return os.Open(strings.TrimSpace(string(out)))
}

// Import makes a typer a types.Importer.
func (t *typer) Import(imported string) (*types.Package, error) {
	dir, ok := own(imported)
	if !ok {
		return outside.Import(imported)
	}
	i := slices.IndexFunc(t.packages, func(p *pkg) bool { return p.dir == dir })
	if i < 0 {
		return nil, fmt.Errorf("no package %s", imported)
	}
	if t.done[dir] == nil {
		_, checked, err := t.check(t.packages[i], nil)
		if err != nil {
			return nil, err
		}
		t.done[dir] = checked
	}
	return t.done[dir], nil
}

func (t *typer) check(p *pkg, info *types.Info) ([]*file, *types.Package, error) {
	files := slices.DeleteFunc(p.code(), func(f *file) bool { return !f.built(t.tags...) })
	var syntax []*ast.File
	for _, f := range files {
		syntax = append(syntax, f.syntax)
	}
	config := types.Config{Importer: t}
	checked, err := config.Check(module+"/"+p.dir, t.fset, syntax, info)
	return files, checked, err
}
