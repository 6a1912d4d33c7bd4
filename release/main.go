// Command release releases a template set: it checks that the version was raised, that the changelog has its section and
// that files which moved are recorded, and then keeps the set in templates/releases.
//
//	go run ./release [-check] [SET]
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rustgen/internal/templateset"
)

func main() {
	only := flag.Bool("check", false, "check, and keep nothing")
	flag.Parse()
	dir := "templates/hotpath"
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	if err := run(dir, *only); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(dir string, only bool) error {
	files := os.DirFS(dir)
	beside := func(name string) (fs.FS, error) { return os.DirFS(filepath.Join(filepath.Dir(dir), name)), nil }
	set, err := templateset.Load(files, beside, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	t, err := read(files)
	if err != nil {
		return err
	}
	releases := filepath.Join(filepath.Dir(dir), "releases")
	kept, err := keptReleases(releases, set.Name)
	if err != nil {
		return err
	}
	findings, err := check(context.Background(), set, t, kept)
	if err != nil {
		return err
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		return fmt.Errorf("%s %s cannot be released", set.Name, set.Version)
	}
	if only {
		fmt.Printf("%s %s can be released\n", set.Name, set.Version)
		return nil
	}
	at, err := keep(releases, set, t)
	if err != nil {
		return err
	}
	fmt.Println("kept", at)
	return nil
}
