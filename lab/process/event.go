package process

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// Event is the event of an invocation.
type Event map[string]any

// SampleEvent reads the named sample in the folder events. The working directory
// must be inside the module.
func SampleEvent(name string) (Event, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, fmt.Errorf("read the event %s: %w", name, err)
	}
	text, err := os.ReadFile(filepath.Join(root, "events", name+".json"))
	if err != nil {
		return nil, fmt.Errorf("read the event %s: %w", name, err)
	}
	var e Event
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("read the event %s: %w", name, err)
	}
	return e, nil
}

// WithBody returns the JSON of the event with another body, and leaves the event as
// it is.
func (e Event) WithBody(body string) ([]byte, error) {
	e = maps.Clone(e)
	e["body"] = body
	return json.Marshal(e)
}
