package keyringtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// refusal is an error response of Secrets Manager.
type refusal struct{ kind, message string }

func (r *refusal) Error() string { return r.kind + ": " + r.message }

// ServeHTTP implements [http.Handler].
func (m *SecretsManager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone, because it was killed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, operation)
	fault := None
	if m.fault != nil {
		fault = m.fault(len(m.calls), operation)
	}
	status, answer := http.StatusOK, any(nil)
	switch fault {
	case Failed:
		status, answer = http.StatusInternalServerError, map[string]string{"__type": "InternalServiceError", "message": "injected"}
	case Denied:
		status, answer = http.StatusBadRequest, map[string]string{"__type": "AccessDeniedException", "message": "injected"}
	default:
		var refused *refusal
		answer, refused = m.do(operation, body)
		if refused != nil {
			status, answer = http.StatusBadRequest, map[string]string{"__type": refused.kind, "message": refused.message}
		}
		if fault == Lost {
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

type request struct {
	SecretID            string `json:"SecretId"`
	VersionID           string `json:"VersionId"`
	ClientRequestToken  string
	SecretString        *string
	VersionStage        string
	VersionStages       []string
	MoveToVersionID     string `json:"MoveToVersionId"`
	RemoveFromVersionID string `json:"RemoveFromVersionId"`
	Tags                []struct{ Key, Value string }
}

func (m *SecretsManager) do(operation string, body []byte) (any, *refusal) {
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &refusal{"SerializationException", err.Error()}
	}
	var s *Secret
	switch in.SecretID {
	case ID:
		s = m.Secret
	case SigningID:
		s = m.Signing
	default:
		return nil, &refusal{"ResourceNotFoundException", "no such secret"}
	}
	switch operation {
	case "DescribeSecret":
		return s.describe()
	case "GetSecretValue":
		return s.get(in)
	case "PutSecretValue":
		if in.SecretString != nil {
			m.longest = max(m.longest, len(*in.SecretString))
		}
		return s.put(in)
	case "UpdateSecretVersionStage":
		return s.update(in)
	case "TagResource":
		for _, tag := range in.Tags {
			s.tags[tag.Key] = tag.Value
		}
		return map[string]any{}, nil
	}
	m.t.Errorf("called %q", operation)
	return nil, &refusal{"InvalidAction", operation}
}

func (s *Secret) describe() (any, *refusal) {
	stages := map[string][]string{}
	for id, v := range s.versions {
		if len(v.Labels) > 0 { // versions without labels are deprecated, and left out
			stages[id] = v.Labels
		}
	}
	return map[string]any{"Name": s.name, "RotationEnabled": !s.disabled, "VersionIdsToStages": stages}, nil
}

func (s *Secret) get(in request) (any, *refusal) {
	id := in.VersionID
	if id == "" {
		if in.VersionStage == "" {
			in.VersionStage = "AWSCURRENT"
		}
		id = s.labeled(in.VersionStage)
	}
	v := s.versions[id]
	if v == nil || in.VersionStage != "" && !slices.Contains(v.Labels, in.VersionStage) || v.Text == nil && v.Binary == nil {
		return nil, &refusal{"ResourceNotFoundException", "Secrets Manager can't find the specified secret value"}
	}
	answer := map[string]any{"Name": s.name, "VersionId": id, "VersionStages": v.Labels}
	if v.Text != nil {
		answer["SecretString"] = *v.Text
	} else {
		answer["SecretBinary"] = v.Binary
	}
	return answer, nil
}

func (s *Secret) put(in request) (any, *refusal) {
	id := in.ClientRequestToken
	switch {
	case len(id) < 32 || len(id) > 64:
		return nil, &refusal{"InvalidParameterException", fmt.Sprintf("a token of %d characters", len(id))}
	case in.SecretString == nil || len(*in.SecretString) == 0 || len(*in.SecretString) > MaxText:
		return nil, &refusal{"ValidationException", "the length of the text"}
	}
	v := s.versions[id]
	if v == nil {
		v = &Version{}
		s.versions[id] = v
	}
	switch {
	case v.Text == nil:
		v.Text = in.SecretString
	case *v.Text != *in.SecretString:
		return nil, &refusal{"ResourceExistsException", "a version cannot be changed"}
	}
	labels := in.VersionStages
	if len(labels) == 0 {
		labels = []string{"AWSCURRENT"}
	}
	for _, l := range labels {
		s.label(id, l)
	}
	return map[string]any{"Name": s.name, "VersionId": id, "VersionStages": v.Labels}, nil
}

func (s *Secret) update(in request) (any, *refusal) {
	attached := s.labeled(in.VersionStage)
	switch {
	case in.MoveToVersionID == "" && in.RemoveFromVersionID == "":
		return nil, &refusal{"InvalidParameterException", "neither to nor from"}
	case in.MoveToVersionID != "" && s.versions[in.MoveToVersionID] == nil:
		return nil, &refusal{"ResourceNotFoundException", "no such version among " + strings.Join(slices.Sorted(maps.Keys(s.versions)), ", ")}
	case in.MoveToVersionID == "" && in.VersionStage == "AWSCURRENT":
		return nil, &refusal{"InvalidParameterException", "AWSCURRENT must be somewhere"}
	case in.MoveToVersionID != attached && attached != in.RemoveFromVersionID:
		return nil, &refusal{"InvalidParameterException", "the label is attached to another version"}
	}
	s.label(in.MoveToVersionID, in.VersionStage)
	return map[string]any{"Name": s.name}, nil
}
