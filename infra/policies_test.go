package rotor

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/manage"
)

// matches reports whether a pattern of IAM, in which * is any text and ? any character, matches a value.
func matches(pattern, value string) bool {
	expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("(?s)^" + expression + "$").MatchString(value)
}

// allows reports whether a policy document allows a request, by IAM's rules: what is not allowed is denied, and a Deny
// wins. Of conditions it knows those that are used here, each of which must hold; an unknown one fails the test.
func allows(t *testing.T, document any, action, resource string, context map[string]string) bool {
	t.Helper()
	allowed := false
	for _, s := range list(at(document, "Statement")) {
		any1 := func(patterns []any, value string) bool {
			for _, p := range patterns {
				if matches(plain(p), value) {
					return true
				}
			}
			return false
		}
		applies := any1(list(at(s, "Action")), action) && (at(s, "Resource") == nil || any1(list(at(s, "Resource")), resource))
		conditions, _ := at(s, "Condition").(object)
		for operator, of := range conditions {
			for key, values := range of.(object) {
				value, present := context[key]
				held := false
				for _, v := range list(values) {
					switch operator {
					case "StringEquals":
						held = held || v == value
					case "StringLike":
						held = held || matches(plain(v), value)
					default:
						t.Fatalf("the condition %s is not known here", operator)
					}
				}
				applies = applies && present && held
			}
		}
		if applies && at(s, "Effect") == "Deny" {
			return false
		}
		allowed = allowed || applies
	}
	return allowed
}

// Without this the login's role could read all sessions, support could end them, or a role could lack the call that it
// is for. Each call is asked for under the path of the route and under that of a request, since AWS does not say which
// of them it compares.
func TestPoliciesOfCallers(t *testing.T) {
	s := standardStack(t)
	const api = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:"
	may := map[string]map[string]bool{
		"Login": {"POST /v1/families": true, "POST /v1/authorize": true, "DELETE /v1/families": true, "DELETE /v1/families/{family}": true},
		"Support": {
			"GET /v1/families": true, "GET /v1/families/{family}": true, "GET /v1/clients": true, "GET /v1/clients/{client_id}": true,
			"GET /v1/events": true, "POST /v1/explain": true,
		},
	}
	ids := strings.NewReplacer("{family}", "5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc", "{client_id}", "shop", "{secret_id}", "01KF0HJ54J22TJGG6X87QASE15")
	calls, policies := (&manage.API{}).Routes(), s.resources("AWS::IAM::ManagedPolicy")
	for _, name := range []string{"Login", "Support", "Admin"} {
		id, _ := at(s.object["Outputs"], name+"PolicyArn", "Value", "Ref").(string)
		if policies[id] == nil {
			t.Fatalf("the output %sPolicyArn names no policy: %q", name, id)
		}
		document := properties(policies[id])["PolicyDocument"]
		allowed := 0
		for _, call := range calls {
			for _, path := range []string{call.Path, ids.Replace(call.Path)} {
				want := may[name][call.Method+" "+call.Path] || name == "Admin"
				if got := allows(t, document, "execute-api:Invoke", api+"Api/$default/"+call.Method+path, nil); got != want {
					t.Errorf("%s may %s %s: %v", name, call.Method, path, got)
				} else if got {
					allowed++
				}
			}
			for _, other := range []string{api + "other/$default/", api + "Api/live/"} {
				if allows(t, document, "execute-api:Invoke", other+call.Method+call.Path, nil) {
					t.Errorf("%s may call %s", name, other)
				}
			}
		}
		if allows(t, document, "execute-api:ManageConnections", api+"Api/$default/POST/v1/families", nil) || allows(t, document, "execute-api:Invoke", api+"Api/$default/POST/oauth/token", nil) {
			t.Errorf("%s may do more than call /v1", name)
		}
		if want := map[string]int{"Login": 8, "Support": 12, "Admin": 2 * len(calls)}[name]; allowed != want {
			t.Errorf("%s may make %d calls, not %d", name, allowed, want)
		}
	}
	if len(policies) != 3 {
		t.Errorf("%d policies", len(policies))
	}
}

// Without this the recipe for CI in docs/deploy.md could let any repository deploy, or not even the one that should.
func TestRecipeForCI(t *testing.T) {
	page, err := os.ReadFile("../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## From CI\n")
	var documents []any
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(section, -1) {
		var document any
		if err := json.Unmarshal([]byte(block[1]), &document); err != nil {
			t.Fatalf("%v: %s", err, block[1])
		}
		documents = append(documents, document)
	}
	if len(documents) != 2 {
		t.Fatalf("%d policies in the section, not 2", len(documents))
	}
	const issuer = "token.actions.githubusercontent.com"
	principal := object{"Federated": "arn:aws:iam::123456789012:oidc-provider/" + issuer}
	if diff := cmp.Diff(any(principal), at(documents[0], "Statement", 0, "Principal")); diff != "" {
		t.Error(diff)
	}
	good := map[string]string{issuer + ":aud": "sts.amazonaws.com", issuer + ":sub": "repo:my-org/my-repo:environment:production"}
	for _, c := range []struct {
		key, value string
		want       bool
	}{
		{"", "", true},
		{issuer + ":aud", "https://github.com/my-org", false},
		{issuer + ":sub", "repo:my-org/my-repo:ref:refs/heads/main", false},
		{issuer + ":sub", "repo:my-org/my-repo:pull_request", false},
		{issuer + ":sub", "repo:my-org/my-repo-fork:environment:production", false},
		{issuer + ":sub", "repo:other/my-repo:environment:production", false},
		{issuer + ":sub", "", false},
	} {
		context := map[string]string{issuer + ":aud": good[issuer+":aud"], issuer + ":sub": good[issuer+":sub"]}
		if c.key != "" {
			context[c.key] = c.value
		}
		if got := allows(t, documents[0], "sts:AssumeRoleWithWebIdentity", "", context); got != c.want {
			t.Errorf("%s=%s may assume the role: %v", c.key, c.value, got)
		}
	}
	if allows(t, documents[0], "sts:AssumeRoleWithWebIdentity", "", nil) {
		t.Error("a token without claims may assume the role")
	}
	for _, kind := range []string{"deploy-role", "file-publishing-role", "lookup-role"} {
		if !allows(t, documents[1], "sts:AssumeRole", fmt.Sprintf("arn:aws:iam::123456789012:role/cdk-hnb659fds-%s-123456789012-eu-central-1", kind), nil) {
			t.Errorf("CDK's %s is missing", kind)
		}
	}
	for _, role := range []string{"role/admin", "role/cdk-hnb659fds-cfn-exec-role-123456789012-eu-central-1"} {
		if allows(t, documents[1], "sts:AssumeRole", "arn:aws:iam::123456789012:"+role, nil) {
			t.Errorf("it may assume %s", role)
		}
	}
	for _, action := range []string{"iam:CreateRole", "s3:PutObject", "cloudformation:CreateStack"} {
		if allows(t, documents[1], action, "*", nil) {
			t.Errorf("it may %s itself", action)
		}
	}
}
