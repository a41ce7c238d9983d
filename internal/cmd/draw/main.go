// Command draw picks comments and names at random, for readers who judge whether each item is
// understood at first reading. It draws five packages, and ten comments and ten names from each.
// The same seed on the same code draws the same items.
//
//	go run ./internal/cmd/draw          (the seed is the commit that is checked out)
//	go run ./internal/cmd/draw SEED
package main

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "draw:", err)
		}
		os.Exit(1)
	}
}

// run reads the flags, draws and writes the draw to stdout.
func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("draw", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "the folder of the module")
	packages := flags.Int("packages", 5, "how many packages to draw")
	items := flags.Int("items", 10, "how many comments, and how many names, to draw from each package")
	if err := flags.Parse(args); err != nil {
		return err
	}
	seed := flags.Arg(0)
	if seed == "" {
		var err error
		if seed, err = commit(*root); err != nil {
			return err
		}
	}
	all, err := readPackages(*root)
	if err != nil {
		return err
	}
	drawn, err := draw(all, seed, *packages, *items)
	if err != nil {
		return err
	}
	return write(stdout, seed, drawn)
}

// commit returns the hash of the commit that is checked out.
func commit(root string) (string, error) {
	out, err := exec.Command("git", "-C", root, "rev-parse", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("git rev-parse HEAD: %w; give a seed instead", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// An item is a comment or a name, with the file and line where it is.
type item struct {
	file string // the path of the file
	line int    // the first line of the item in the file
	text string // the text of the comment, or the name
	// the declaration that contains the item (a function, a type or a block): its comment and its
	// first line; empty if no declaration contains the item
	enclosing []string
	// the lines of the item and up to contextLines lines before and after it, with line numbers
	excerpt string
}

// contextLines is the number of lines that are shown before an item, and after it.
const contextLines = 2

// A pkg holds the comments and names of one package. It leaves out test files and generated files.
type pkg struct {
	path     string // the path of the package in the module
	doc      string // the package comment
	comments []item
	names    []item
}

// readPackages reads every package below root, in the order of their paths.
func readPackages(root string) ([]*pkg, error) {
	byPath := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		path, _ := filepath.Split(relative)
		path = cmp.Or(strings.TrimSuffix(path, "/"), ".")
		if byPath[path] == nil {
			byPath[path] = &pkg{path: path}
		}
		return byPath[path].read(file, relative)
	})
	if err != nil {
		return nil, err
	}
	var all []*pkg
	for _, p := range byPath {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pkg) int { return cmp.Compare(a.path, b.path) })
	return all, nil
}

// read adds the comments and names of a file. shown is the path of the file that the draw shows.
func (p *pkg) read(file, shown string) error {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(tree) {
		return nil
	}
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(source), "\n"), "\n")
	if tree.Doc != nil {
		p.doc += tree.Doc.Text()
	}
	makeItem := func(from, to token.Pos, text string) item {
		first, last := files.Position(from).Line, files.Position(to).Line
		var enclosing []string
		if line := enclosingLine(files, tree, from); line != 0 && line < first {
			for _, above := range lines[commentStart(lines, line)-1 : line] {
				enclosing = append(enclosing, strings.TrimSpace(above))
			}
		}
		return item{shown, first, text, enclosing, excerpt(lines, first, last)}
	}
	for _, group := range tree.Comments {
		// Text returns the comment without directives such as go:embed.
		if text := strings.TrimSpace(group.Text()); text != "" {
			p.comments = append(p.comments, makeItem(group.Pos(), group.End(), text))
		}
	}
	for _, name := range declaredNames(tree) {
		p.names = append(p.names, makeItem(name.Pos(), name.End(), name.Name))
	}
	return nil
}

// enclosingLine returns the first line of the function, type, or block of constants, variables or
// imports that contains a position. It returns 0 if the position is outside of all declarations.
func enclosingLine(files *token.FileSet, tree *ast.File, pos token.Pos) int {
	for _, declaration := range tree.Decls {
		start := declaration.Pos() // without the doc comment
		if start <= pos && pos < declaration.End() {
			return files.Position(start).Line
		}
	}
	return 0
}

// commentStart returns the first line of the comment that ends just above a line. If there is no
// comment, it returns the line itself.
func commentStart(lines []string, line int) int {
	for line > 1 && strings.HasPrefix(strings.TrimSpace(lines[line-2]), "//") {
		line--
	}
	return line
}

// excerpt returns the lines first to last, the comment above them, and up to contextLines lines
// before and after them. Each line begins with its number. The lines first to last also have a ">"
// in front of the number.
func excerpt(lines []string, first, last int) string {
	var out strings.Builder
	for n := max(1, min(first-contextLines, commentStart(lines, first))); n <= min(len(lines), last+contextLines); n++ {
		mark := ' '
		if first <= n && n <= last {
			mark = '>'
		}
		line := strings.ReplaceAll(lines[n-1], "\t", "    ")
		out.WriteString(strings.TrimRight(fmt.Sprintf("%c %4d  %s", mark, n, line), " ") + "\n")
	}
	return out.String()
}

// declaredNames returns the names that a file declares: functions, methods, types, constants,
// variables of the package, fields, and the methods of interfaces.
func declaredNames(tree *ast.File) []*ast.Ident {
	var names []*ast.Ident
	add := func(name *ast.Ident) {
		if name.Name != "_" && name.Name != "init" && name.Name != "main" {
			names = append(names, name)
		}
	}
	for _, declaration := range tree.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			add(d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(s.Name)
					for _, field := range fieldNames(s.Type) {
						add(field)
					}
				case *ast.ValueSpec:
					for _, name := range s.Names {
						add(name)
					}
				}
			}
		}
	}
	return names
}

// fieldNames returns the names inside a struct or an interface, including those of nested structs.
func fieldNames(typ ast.Expr) []*ast.Ident {
	var names []*ast.Ident
	ast.Inspect(typ, func(node ast.Node) bool {
		var list *ast.FieldList
		switch t := node.(type) {
		case *ast.StructType:
			list = t.Fields
		case *ast.InterfaceType:
			list = t.Methods
		case *ast.FuncType:
			return false // the parameters of a function type are not fields
		}
		if list != nil {
			for _, field := range list.List {
				names = append(names, field.Names...)
			}
		}
		return true
	})
	return names
}

// draw picks the packages, and the items of each package. It returns an error if too few packages
// have enough comments and names.
func draw(all []*pkg, seed string, packages, items int) ([]*pkg, error) {
	var enough []*pkg
	for _, p := range all {
		if len(p.comments) >= items && len(p.names) >= items {
			enough = append(enough, p)
		}
	}
	if len(enough) < packages {
		return nil, fmt.Errorf("%d packages have %d comments and %d names, which are fewer than %d", len(enough), items, items, packages)
	}
	var drawn []*pkg
	for _, p := range pick(enough, packages, seed) {
		drawn = append(drawn, &pkg{
			path:     p.path,
			doc:      p.doc,
			comments: pick(p.comments, items, seed+" comments of "+p.path),
			names:    pick(p.names, items, seed+" names of "+p.path),
		})
	}
	return drawn, nil
}

// pick returns n random elements of from, in the same order as in from.
func pick[E any](from []E, n int, seed string) []E {
	random := rand.New(rand.NewChaCha8(sha256.Sum256([]byte(seed))))
	places := random.Perm(len(from))[:n]
	slices.Sort(places)
	picked := make([]E, 0, n)
	for _, place := range places {
		picked = append(picked, from[place])
	}
	return picked
}

// write writes the draw: for each package its comments, then its names. It shows each item as a
// reader meets it: after the package comment, below the comment and the first line of the
// declaration that contains it, and with the lines around it.
func write(w io.Writer, seed string, drawn []*pkg) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Seed %s\n", seed)
	for _, p := range drawn {
		fmt.Fprintf(&out, "\n# %s\n\n", p.path)
		for line := range strings.Lines(p.doc) {
			out.WriteString(strings.TrimRight("> "+line, " \n") + "\n")
		}
		out.WriteString("\n## Comments\n\n")
		for i, c := range p.comments {
			fmt.Fprintf(&out, "%d. %s:%d\n", i+1, c.file, c.line)
			c.writePlace(&out)
		}
		out.WriteString("\n## Names\n\n")
		for i, n := range p.names {
			fmt.Fprintf(&out, "%d. %s:%d %s\n", i+1, n.file, n.line, n.text)
			n.writePlace(&out)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// writePlace writes the comment and the first line of the declaration that contains the item, if a
// declaration contains it. Then it writes the excerpt.
func (i item) writePlace(out *strings.Builder) {
	for _, line := range i.enclosing {
		fmt.Fprintf(out, "   in %s\n", line)
	}
	for line := range strings.Lines(i.excerpt) {
		out.WriteString("   " + line)
	}
}
