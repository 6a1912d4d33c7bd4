package merge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/tree"
)

// Parses reports whether a file is well-formed in the format that its name says, with no key twice in it. A file of any
// other format always is.
func Parses(p string, f tree.File) bool {
	if f.IsLink() {
		return true
	}
	switch ext := path.Ext(p); {
	case ext == ".toml" || path.Base(p) == "Cargo.lock":
		var value map[string]any
		return toml.Unmarshal(f.Data, &value) == nil
	case ext == ".yaml" || ext == ".yml":
		decoder := yaml.NewDecoder(bytes.NewReader(f.Data))
		for {
			var value any
			err := decoder.Decode(&value)
			if errors.Is(err, io.EOF) {
				return true
			}
			if err != nil {
				return false
			}
		}
	case ext == ".json":
		decoder := json.NewDecoder(bytes.NewReader(f.Data))
		if err := jsonValue(decoder); err != nil {
			return false
		}
		_, err := decoder.Token()
		return errors.Is(err, io.EOF)
	default:
		return true
	}
}

// jsonValue reads one value, and refuses an object with the same key twice, which encoding/json lets pass.
func jsonValue(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	keys := map[string]bool{}
	for decoder.More() {
		if open == '{' {
			key, err := decoder.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if keys[name] {
				return fmt.Errorf("key %q stands twice", name)
			}
			keys[name] = true
		}
		if err := jsonValue(decoder); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}

// malformed makes a conflict of a file that is merged line by line and is not well-formed any more, though each side was.
func (m *merger) malformed() {
	conflicts := map[string]bool{}
	for _, c := range m.result.Conflicts {
		conflicts[c.Path] = true
	}
	for _, p := range m.merged.Paths() {
		f := m.merged[p]
		base, ours, theirs := m.origins(p)
		if conflicts[p] || ours == nil || theirs == nil || f.Equal(unified(*ours)) || f.Equal(unified(*theirs)) || Parses(p, f) {
			continue
		}
		if (base == nil || Parses(p, *base)) && Parses(p, *ours) && Parses(p, *theirs) {
			m.conflict(p, Syntax)
		}
	}
}
