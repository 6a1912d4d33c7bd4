package ship

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// proposal is a service with a remote, and stand-ins for what the schedule calls: a rustgen that answers as told, and a
// gh that remembers what it was asked.
type proposal struct{ dir, bare, bin string }

func newProposal(t *testing.T, r rendered, rustgen string) proposal {
	t.Helper()
	p := proposal{dir: repository(t, r), bare: filepath.Join(t.TempDir(), "remote.git"), bin: t.TempDir()}
	mustRun(t, p.dir, "git", "init", "--quiet", "--bare", "--initial-branch", "main", p.bare)
	mustRun(t, p.bare, "git", "config", "receive.advertisePushOptions", "true")
	hook := "#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_[0-9] | sort > options\n"
	for name, text := range map[string]string{
		filepath.Join(p.bare, "hooks/pre-receive"): hook,
		filepath.Join(p.bin, "rustgen"):            "#!/bin/sh\n[ \"$*\" = 'upgrade --format markdown' ] || exit 2\n" + rustgen,
		filepath.Join(p.bin, "curl"):               apiOfGitLab,
		filepath.Join(p.bin, "gh"):                 "#!/bin/sh\necho \"$*\" >> '" + filepath.Join(p.bin, "asked") + "'\n" + forkOfGh,
		// A git that notes its arguments, and on a push what it would answer to the forge.
		filepath.Join(p.bin, "git"): "#!/bin/sh\ngit=$(PATH=${PATH#*:} command -v git)\nprintf '%s\\n' \"$*\" >> '" + filepath.Join(p.bin, "arguments") + "'\n" +
			"case $1 in push) printf 'protocol=https\\nhost=gitlab.example.com\\nusername=oauth2\\n\\n' | \"$git\" credential fill > '" +
			filepath.Join(p.bin, "credential") + "' 2>/dev/null ;; esac\nexec \"$git\" \"$@\"\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, p.dir, "git", "remote", "add", "origin", p.bare)
	mustRun(t, p.dir, "git", "push", "--quiet", "origin", "main")
	mustRun(t, p.dir, "git", "config", "url."+p.bare+".insteadOf", "https://oauth2@gitlab.example.com:8443/gitlab/team/hello.git")
	return p
}

// forkOfGh answers with the pull requests of planted.json, as gh does.
const forkOfGh = `case "$1 $2" in "pr list")
	test -f "${0%/*}/planted.json" || exit 0
	while [ "$1" != --jq ]; do shift; done
	jq --raw-output "$2" "${0%/*}/planted.json"
esac
`

// apiOfGitLab answers as its merge requests do, to whom brings the token, and keeps the description that it is given. It
// refuses where there is a file of that name, as it does without the scope api.
const apiOfGitLab = `#!/bin/sh
bin=${0%/*}
echo "curl $*" >> "$bin/arguments"
[ "$(cat)" = "PRIVATE-TOKEN: $RUSTGEN_PUSH_TOKEN" ] || exit 22
[ ! -e "$bin/refuse" ] || exit 22
case "$*" in
*"/api/v4/projects/42/merge_requests?state=opened&source_branch=rustgen%2Fupgrade")
	echo '[{"id":1001,"iid":7,"project_id":42,"author":{"id":3}}]' ;;
*"--request PUT"*"/api/v4/projects/42/merge_requests/7")
	while [ "$1" != --data-urlencode ]; do shift; done
	cp "${2#description@}" "$bin/description" ;;
*) exit 22 ;;
esac
`

const pushToken = "s3cret-of-the-forge"

func (p proposal) run(t *testing.T) (output, asked, options string, err error) {
	t.Helper()
	output, err = run(t, p.dir, "env", "PATH="+p.bin+":"+os.Getenv("PATH"),
		"RUSTGEN_PUSH_TOKEN="+pushToken, "GIT_TERMINAL_PROMPT=0", "CI_SERVER_URL=https://gitlab.example.com:8443/gitlab", "CI_PROJECT_PATH=team/hello",
		"CI_API_V4_URL=https://gitlab.example.com:8443/gitlab/api/v4", "CI_PROJECT_ID=42", "ci/upgrade.sh")
	askedText, _ := os.ReadFile(filepath.Join(p.bin, "asked"))
	optionsText, _ := os.ReadFile(filepath.Join(p.bare, "options"))
	return output, string(askedText), string(optionsText), err
}

const (
	upgrades  = "echo new > new.txt; echo 'Merges 1.1.0.'; echo; echo 'better [skip ci]'\n"
	conflicts = upgrades + "exit 3\n"
)

// caches are what the jobs of a pipeline keep in the project's folder; no proposal holds any of it.
var caches = map[string]string{
	"github": "mkdir -p target && touch target/output\n",
	"gitlab": "mkdir -p target .cargo-home/bin .go/pkg && touch target/output .cargo-home/bin/tool .go/pkg/module\n",
}

func TestUpgradeIsProposed(t *testing.T) {
	for ci, kept := range caches {
		r := renderTree(t, answers{"name": "hello", "ci": ci})
		for name, test := range map[string]struct {
			rustgen string
			draft   bool
		}{"clean": {upgrades, false}, "with conflicts": {conflicts, true}} {
			t.Run(ci+" "+name, func(t *testing.T) {
				p := newProposal(t, r, kept+test.rustgen)
				output, asked, options, err := p.run(t)
				if err != nil {
					t.Fatalf("%v\n%s", err, output)
				}
				if message := mustRun(t, p.bare, "git", "log", "-1", "--format=%B", "rustgen/upgrade"); strings.TrimSpace(message) != "Upgrade to the newest service template\n\nMerges 1.1.0." {
					t.Errorf("committed as\n%s", message)
				}
				// The report is Markdown, and as such it arrives: with its lines.
				if description, _ := os.ReadFile(filepath.Join(p.bin, "description")); ci == "gitlab" && string(description) != "Merges 1.1.0.\n\nbetter [skip ci]\n" {
					t.Errorf("the merge request is described as %q", description)
				}
				if arguments, _ := os.ReadFile(filepath.Join(p.bin, "arguments")); strings.Contains(string(arguments), pushToken) || len(arguments) == 0 {
					t.Errorf("the token is in an argument list:\n%s", arguments)
				}
				if answer, _ := os.ReadFile(filepath.Join(p.bin, "credential")); strings.Contains(string(answer), "password="+pushToken) != (ci == "gitlab") {
					t.Errorf("git would answer the forge:\n%s", answer)
				}
				if files := mustRun(t, p.bare, "git", "show", "--name-only", "--format=", "rustgen/upgrade"); strings.TrimSpace(files) != "new.txt" {
					t.Errorf("the commit holds %s", files)
				}
				proposed := asked + options
				if !strings.Contains(proposed, "Upgrade to the newest service template") || strings.Contains(strings.ToLower(proposed), "draft") != test.draft {
					t.Errorf("proposed as %s", proposed)
				}
			})
		}
	}
}

// A token that may push and no more still proposes; that the report is missing is said, and the job fails.
func TestUpgradeWithoutTheAPI(t *testing.T) {
	p := newProposal(t, renderTree(t, answers{"name": "hello", "ci": "gitlab"}), upgrades)
	if err := os.WriteFile(filepath.Join(p.bin, "refuse"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	output, _, options, err := p.run(t)
	if err == nil || !strings.Contains(output, "RUSTGEN_PUSH_TOKEN needs the scope api") || !strings.Contains(options, "merge_request.create") {
		t.Errorf("%v\n%s\n%s", err, output, options)
	}
}

func TestNoUpgradeIsNoProposal(t *testing.T) {
	for name, test := range map[string]struct {
		rustgen string
		fails   bool
	}{"nothing new": {"true\n", false}, "an upgrade that fails": {upgrades + "exit 1\n", true}} {
		t.Run(name, func(t *testing.T) {
			p := newProposal(t, renderTree(t, cases["default"]), test.rustgen)
			output, asked, _, err := p.run(t)
			if (err != nil) != test.fails {
				t.Errorf("%v\n%s", err, output)
			}
			if _, err := run(t, p.bare, "git", "rev-parse", "--verify", "rustgen/upgrade"); err == nil || asked != "" {
				t.Errorf("something was proposed: %s", asked)
			}
		})
	}
}

// The branch of the last proposal is made anew, but never over a person's commit on it.
func TestUpgradeLeavesWorkAlone(t *testing.T) {
	const branch = "rustgen/upgrade"
	// commit changes the branch, in a clone of its own, as a person does.
	commit := func(t *testing.T, p proposal, command ...string) {
		t.Helper()
		clone := filepath.Join(t.TempDir(), "clone")
		mustRun(t, p.dir, "git", "clone", "--quiet", "--branch", branch, p.bare, clone)
		mustRun(t, clone, "git", "config", "user.name", "somebody")
		mustRun(t, clone, "git", "config", "user.email", "somebody@example.com")
		mustRun(t, clone, append([]string{"git"}, command...)...)
		mustRun(t, clone, "git", "push", "--quiet", "--force", "origin", branch)
	}
	for ci := range caches {
		r := renderTree(t, answers{"name": "hello", "ci": ci})
		for name, test := range map[string]struct {
			command []string
			left    bool
		}{
			"nobody":        {nil, false},
			"a commit":      {[]string{"commit", "--quiet", "--allow-empty", "--message", "resolved"}, true},
			"an amendment":  {[]string{"commit", "--quiet", "--amend", "--message", "resolved"}, true},
			"a merged main": {[]string{"merge", "--quiet", "--no-ff", "origin/main"}, true},
		} {
			t.Run(ci+" "+name, func(t *testing.T) {
				p := newProposal(t, r, conflicts)
				if output, _, _, err := p.run(t); err != nil {
					t.Fatalf("%v\n%s", err, output)
				}
				// Meanwhile main goes on, and the next run has as little history as a pipeline fetches.
				mustRun(t, p.dir, "git", "switch", "--quiet", "main")
				mustRun(t, p.dir, "git", "-c", "user.name=owner", "-c", "user.email=owner@localhost", "commit", "--quiet", "--allow-empty", "--message", "second")
				mustRun(t, p.dir, "git", "push", "--quiet", "origin", "main")
				if test.command != nil {
					commit(t, p, test.command...)
				}
				before := mustRun(t, p.bare, "git", "rev-parse", branch)
				url := mustRun(t, p.dir, "git", "config", "--get-regexp", "^url[.]")
				p.dir = filepath.Join(t.TempDir(), "shallow")
				mustRun(t, p.bare, "git", "clone", "--quiet", "--depth", "1", "file://"+p.bare, p.dir)
				key, value, _ := strings.Cut(strings.TrimSpace(url), " ")
				mustRun(t, p.dir, "git", "config", key, value)

				output, _, _, err := p.run(t)
				if err != nil {
					t.Fatalf("%v\n%s", err, output)
				}
				if left := mustRun(t, p.bare, "git", "rev-parse", branch) == before; left != test.left {
					t.Errorf("left alone: %v\n%s", left, output)
				}
				if said := strings.Contains(output, "somebody works on "+branch); said != test.left {
					t.Errorf("said:\n%s", output)
				}
			})
		}
	}
}

// A pull request from a fork whose branch has the same name is left alone; one of the repository's own is brought up to
// date.
func TestProposalsOfForksAreLeftAlone(t *testing.T) {
	need(t, "jq", "install jq")
	r := renderTree(t, answers{"name": "hello", "ci": "github"})
	for name, test := range map[string]struct{ planted, asks string }{
		"a fork's":       {`[{"number": 7, "isCrossRepository": true}]`, "pr create --head rustgen/upgrade"},
		"a fork's first": {`[{"number": 7, "isCrossRepository": true}, {"number": 8, "isCrossRepository": false}]`, "pr edit 8 "},
		"none":           {`[]`, "pr create --head rustgen/upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProposal(t, r, upgrades)
			if err := os.WriteFile(filepath.Join(p.bin, "planted.json"), []byte(test.planted), 0o644); err != nil {
				t.Fatal(err)
			}
			output, asked, _, err := p.run(t)
			if err != nil || !strings.Contains(asked, test.asks) || strings.Contains(asked, "pr edit 7") {
				t.Errorf("%v\n%s\n%s", err, asked, output)
			}
		})
	}
}
