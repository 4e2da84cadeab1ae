package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// floor is the floor of a folder, -1 when it has none. The top floor is len(floors).
func floor(dir string) int {
	for i, dirs := range floors {
		if slices.Contains(dirs, dir) {
			return i
		}
	}
	if strings.HasPrefix(dir, "cmd/") || strings.HasPrefix(dir, "test/") {
		return len(floors)
	}
	return -1
}

func checkPlace(h *house) (broken []string) {
	for _, p := range h.packages {
		if floor(p.dir) < 0 {
			broken = append(broken, fmt.Sprintf("%s: has no floor", p.dir))
		}
	}
	return broken
}

func checkOrder(h *house) (broken []string) {
	for _, p := range h.packages {
		for _, f := range p.code() {
			for _, spec := range f.syntax.Imports {
				if dir, ok := own(importPath(spec)); ok && !mayImport(p.dir, dir) {
					broken = append(broken, h.at(spec, "%s imports %s", p.dir, dir))
				}
			}
		}
	}
	return broken
}

// mayImport applies floors and topFloor. A package without a floor is reported by checkPlace only.
func mayImport(importer, imported string) bool {
	for _, pair := range topFloor {
		if under(importer, pair.importer) && under(imported, pair.imported) {
			return true
		}
	}
	from, to := floor(importer), floor(imported)
	return from < 0 || to < 0 || to < from
}

func checkPureImports(h *house) (broken []string) {
	for _, p := range h.pure() {
		for _, f := range p.code() {
			for _, spec := range f.syntax.Imports {
				if why := impure(importPath(spec)); why != "" {
					broken = append(broken, h.at(spec, "%s imports %s: %s", p.dir, importPath(spec), why))
				}
			}
		}
	}
	return broken
}

// impure says why a pure package must not import this path, "" when it may.
func impure(imported string) string {
	if dir, ok := own(imported); ok {
		if !slices.Contains(pure, dir) {
			return "not a pure package"
		}
		return ""
	}
	if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
		if !slices.Contains(pureThirdParty, imported) {
			return "not among the third-party packages known to be pure"
		}
		return ""
	}
	for _, banned := range impureImports {
		if under(imported, banned.path) {
			return banned.why
		}
	}
	return ""
}

// inspectPure calls visit for every node of the pure packages' code; visit answers what is wrong with it, or "".
func (h *house) inspectPure(visit func(ast.Node) string) (broken []string) {
	for _, p := range h.pure() {
		for _, f := range p.code() {
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if n != nil {
					if what := visit(n); what != "" {
						broken = append(broken, h.at(n, "%s", what))
					}
				}
				return true
			})
		}
	}
	return broken
}

func checkPureGoroutine(h *house) []string {
	return h.inspectPure(func(n ast.Node) string {
		switch n.(type) {
		case *ast.GoStmt:
			return "go statement"
		case *ast.SelectStmt:
			return "select"
		case *ast.ChanType:
			return "channel"
		}
		return ""
	})
}

func checkPurePrint(h *house) []string {
	return h.inspectPure(func(n ast.Node) string {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return ""
		}
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			if fun.Name == "print" || fun.Name == "println" {
				return fun.Name
			}
		case *ast.SelectorExpr:
			if x, ok := fun.X.(*ast.Ident); ok && x.Name == "fmt" && strings.HasPrefix(fun.Sel.Name, "Print") {
				return "fmt." + fun.Sel.Name
			}
		}
		return ""
	})
}

func checkDoc(h *house) (broken []string) {
	for _, p := range h.packages {
		i := slices.IndexFunc(p.files, func(f *file) bool { return f.name == "doc.go" })
		if i < 0 {
			broken = append(broken, fmt.Sprintf("%s: no doc.go", p.dir))
			continue
		}
		syntax := p.files[i].syntax
		want := "Package " + syntax.Name.Name + " "
		if syntax.Name.Name == "main" {
			want = "Command " + p.dir[strings.LastIndex(p.dir, "/")+1:] + " "
		}
		if !strings.HasPrefix(syntax.Doc.Text(), want) {
			broken = append(broken, fmt.Sprintf("%s/doc.go: its comment does not begin with %q", p.dir, want))
		}
	}
	return broken
}

func checkLength(h *house) (broken []string) {
	for _, p := range h.packages {
		for _, f := range p.files {
			if f.lines > maxLines {
				broken = append(broken, fmt.Sprintf("%s/%s: %d lines", p.dir, f.name, f.lines))
			}
		}
	}
	for _, s := range h.scripts {
		if s.lines > maxLines {
			broken = append(broken, fmt.Sprintf("%s: %d lines", s.path, s.lines))
		}
	}
	return broken
}

func checkSleep(h *house) (broken []string) {
	for _, p := range h.packages {
		if slices.ContainsFunc(sleepers, func(dir string) bool { return under(p.dir, dir) }) {
			continue
		}
		for _, f := range p.files {
			clock := f.importName("time")
			if !f.test || clock == "" || f.importName("testing/synctest") != "" {
				continue
			}
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if isSelector(n, clock, "Sleep") {
					broken = append(broken, h.at(n, "time.Sleep"))
				}
				return true
			})
		}
	}
	return broken
}

// importName is the name under which the file knows a package, "" when it does not import it.
func (f *file) importName(imported string) string {
	for _, spec := range f.syntax.Imports {
		if importPath(spec) != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return imported[strings.LastIndex(imported, "/")+1:]
	}
	return ""
}

// isSelector reports whether the node is pkg.name. A dot import hides the package: then the bare name counts.
func isSelector(n ast.Node, pkg, name string) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		return ok && x.Name == pkg && n.Sel.Name == name
	case *ast.Ident:
		return pkg == "." && n.Name == name
	}
	return false
}

// lineHas reports whether the source line of pos carries the comment, with words after it.
func (h *house) lineHas(f *file, pos token.Pos, comment string) bool {
	lines := strings.Split(string(f.source), "\n")
	line := lines[h.fset.Position(pos).Line-1]
	_, why, found := strings.Cut(line, comment)
	return found && strings.TrimSpace(why) != ""
}
