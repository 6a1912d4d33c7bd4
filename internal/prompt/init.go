package prompt

import "rustgen/internal/prompt/quiet"

func init() { quiet.Restore() }
