package templateset

import (
	"fmt"

	"rustgen/internal/tree"
)

// Start is the beginning of a set of one's own that extends another.
func Start(name, extends string) tree.Tree {
	t := tree.Tree{}
	for path, text := range map[string]string{
		ManifestName:           fmt.Sprintf(startManifest, name, extends),
		changelogName:          startChangelog,
		"files/OWNERS.md.tmpl": startFile,
	} {
		t[path] = tree.File{Mode: tree.ModeFile, Data: []byte(text)}
	}
	return t
}

// What a set of one's own starts from.
const (
	startManifest = `name: %s
version: 0.1.0
extends: %s

# A decision of your own: a flag, a variable, a key of answers files and a question at the prompt.
decisions:
  - id: team
    page: Service
    type: string
    title: Team
    question: Which team owns the service?
    help: The team that is called when the service is down. It stands in OWNERS.md.
    default: platform
    validate:
      - expr: 'regexMatch "^[a-z][a-z0-9-]*$" .team'
        message: a team's name is lower-case letters, digits and hyphens

# Another default for a decision of the extended set; services may still choose.
presets: {memory: 1GiB}

# A decision that is made for every service, with the reason that people see.
locked:
  base: {value: distroless, reason: the platform patches that image for all services}
`
	startChangelog = `# Changelog

## 0.1.0

- The first version.
`
	startFile = `# Owners

<% .name %> belongs to the team <% .team %>.
`
)
