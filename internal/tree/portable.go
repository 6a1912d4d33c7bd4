package tree

import (
	"fmt"
	"strings"

	"rustgen/internal/lazyregexp"
)

// devices are the names that Windows keeps for itself, with any extension.
var devices = lazyregexp.New(`(?i)^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?$`)

// CheckPortable refuses a path that Windows cannot hold. What stands between {% and %} is left to what it renders to.
func CheckPortable(p string) error {
	for part := range strings.SplitSeq(expressions.ReplaceAllString(p, "x"), "/") {
		switch {
		case devices.MatchString(part):
			return fmt.Errorf("Windows keeps the name %q for a device", part)
		case strings.ContainsAny(part, `<>:"|?*\`):
			return fmt.Errorf("Windows allows none of < > : \" | ? * \\ in the name %q", part)
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
			return fmt.Errorf("Windows drops the dot or space at the end of the name %q", part)
		}
	}
	return nil
}

var expressions = lazyregexp.New(`[{<]%.*?%[}>]`)
