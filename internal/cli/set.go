package cli

import (
	"github.com/spf13/cobra"

	"rustgen/internal/source"
	"rustgen/internal/upgrade"
)

func (a *app) setCommand(set *source.Set) *cobra.Command {
	o := &changeOptions{command: "rustgen set", format: "text"}
	cmd := &cobra.Command{
		Use:   "set ID=VALUE...",
		Short: "Change decisions of a service that exists",
		Long: `Change decisions of a service, and merge what follows from them into it, as rustgen upgrade does. The template stays the
version that the service is on: rustgen has its releases, and a set from git is fetched at the recorded commit.
rustgen upgrade --set ID=VALUE changes a decision and takes the newest template at once.

What nobody chose is derived again from the changed decisions; what somebody chose stays.`,
		Example: `  rustgen set state=stateful
  rustgen set allocator=jemalloc memory=1GiB --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.openService(cmd.Context(), o.dir, o.dryRun)
			if err != nil {
				return err
			}
			if err := set.Matches(s); err != nil {
				return err
			}
			o.answers.arguments = args
			if err := a.gather(cmd, set, s, o); err != nil {
				return err
			}
			if len(o.given) == 0 {
				return usage("rustgen explain lists the decisions", "nothing to set: give ID=VALUE")
			}
			if s.Origin() != upgrade.OriginOf(set.Set) {
				mend := "rustgen upgrade --set ID=VALUE does both at once"
				if s.Compare(set.Set) == upgrade.Older {
					mend = install(set)
				}
				return failed(mend, "the service is on %s, and this is %s", s.Origin(), set.Exact())
			}
			return a.change(cmd, set, s, o)
		},
	}
	o.add(cmd, &set.Catalog)
	return cmd
}
