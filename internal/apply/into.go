package apply

import (
	"context"

	"rustgen/internal/tree"
)

// Into puts a tree into a directory that exists and has nothing of it.
func Into(ctx context.Context, dir string, t tree.Tree, finish func(ctx context.Context, dir string) error) error {
	root, err := OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := Write(ctx, root, ".", t); err != nil {
		return err
	}
	if finish != nil {
		return finish(ctx, dir)
	}
	return nil
}
