package cli

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "man",
		Short: "Print the manual page",
		Long:  "Print the manual page, to read with `rustgen man | man -l -` or to install as rustgen.1.",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			// A fixed date: the same binary prints the same bytes.
			epoch := time.Unix(0, 0).UTC()
			header := &doc.GenManHeader{Title: "RUSTGEN", Section: "1", Source: "rustgen", Manual: "rustgen manual", Date: &epoch}
			root.DisableAutoGenTag = true
			for _, page := range append([]*cobra.Command{root}, manPages(root)...) {
				if err := doc.GenMan(page, header, a.out); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// manPages are the commands under root that have something to say, depth first.
func manPages(root *cobra.Command) []*cobra.Command {
	var pages []*cobra.Command
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
			pages = append(pages, c)
			pages = append(pages, manPages(c)...)
		}
	}
	return pages
}
