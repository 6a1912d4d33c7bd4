// Package templates embeds the template sets that rustgen ships.
package templates

import "embed"

// FS holds one directory for each embedded template set. What builds and tests the server layer in place lies beside the
// set's files, and is no part of it.
//
//go:embed all:hotpath/files hotpath/template.yaml hotpath/CHANGELOG.md
var FS embed.FS

// Default is the directory in [FS] of the set that is used unless another is asked for.
const Default = "hotpath"

// Releases holds the released versions of the embedded sets, as releases/NAME-VERSION.tar.gz: a decision of a service is
// changed in the version that the service is on.
//
//go:embed releases/*.tar.gz
var Releases embed.FS
