package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNewerFormat is wrapped by the error for a document of a newer program.
var ErrNewerFormat = errors.New("written by a newer version of pgbackup")

// CheckFormat looks at the field "format" of a document alone, to be called
// before Unmarshal: in a newer format every other complaint would mislead. A
// format above newest is an error that wraps ErrNewerFormat; anything else that
// is wrong is left for Unmarshal to say.
func CheckFormat(name string, data []byte, newest int) error {
	var head struct {
		Format json.Number `json:"format"`
	}
	if len(data) > MaxSize || json.Unmarshal(data, &head) != nil {
		return nil //nolint:nilerr // Unmarshal says it better
	}
	if n, err := head.Format.Int64(); err == nil && n > int64(newest) {
		return &Error{name, fmt.Errorf("format %d is %w, this one reads up to %d: upgrade the provider and the runner", n, ErrNewerFormat, newest)}
	}
	return nil
}
