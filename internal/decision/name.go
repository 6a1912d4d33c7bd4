package decision

import (
	"slices"
	"strings"
	"unicode"

	"rustgen/internal/lazyregexp"
)

// NameID is the decision that every set has.
const NameID = "name"

// maxLabel is the length of a DNS label (RFC 1035, section 2.3.4).
const maxLabel = 63

var (
	nameForm = lazyregexp.New(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	notName  = lazyregexp.New(`[^a-z0-9]+`)
)

// keywords are Rust's, strict and reserved, of every edition (The Rust Reference, "Keywords"). Cargo refuses them.
var keywords = strings.Fields(`abstract as async await become box break const continue crate do dyn else enum extern
false final fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct
super trait true try type typeof unsafe unsized use virtual where while yield`)

// sysroot are the crates of Rust's own library, and reservedDirs the names that Cargo's build directory uses or that
// Windows cannot hold. Cargo refuses or warns of them.
var (
	sysroot      = strings.Fields("alloc core proc-macro std test")
	reservedDirs = strings.Fields(`build deps examples incremental con prn aux nul com1 com2 com3 com4 com5 com6 com7
com8 com9 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9`)
)

// CheckName refuses what is not a Cargo package name and a DNS label at once. The hint names one that is.
func CheckName(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return nil
}

func checkName(name string) *Error {
	var what string
	switch {
	case name == "":
		what = "a name is needed"
	case len(name) > maxLabel:
		what = "a DNS label has at most 63 characters"
	case slices.Contains(keywords, name):
		what = "it is a Rust keyword"
	case slices.Contains(sysroot, name):
		what = "it is the name of a crate of Rust's own library"
	case slices.Contains(reservedDirs, name):
		what = "it is a name that Cargo or a file system reserves"
	case name[0] >= '0' && name[0] <= '9':
		what = "a Cargo package name does not begin with a digit"
	case !nameForm.MatchString(name):
		what = "a name is lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen"
	default:
		return nil
	}
	hint := "choose a name such as order-pricer"
	if better := suggestName(name); better != "" {
		hint = "use " + better
	}
	return Refuse(hint, "name %q: %s", name, what)
}

// suggestName makes a valid name of an invalid one, or nothing where too little is left of it.
func suggestName(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
		return ""
	}
	better := strings.Trim(notName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	better = strings.TrimLeft(better, "0123456789-")
	if len(better) > maxLabel {
		better = strings.TrimRight(better[:maxLabel], "-")
	}
	reserved := slices.Contains(keywords, better) || slices.Contains(sysroot, better) || slices.Contains(reservedDirs, better)
	if reserved {
		better += "-service"
	}
	if len(better) < 2 || !nameForm.MatchString(better) {
		return ""
	}
	return better
}
