package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/version"
)

func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

type object = map[string]any

var names = []string{"token", "revoke", "introspect", "discovery", "manage", "sweep", "keys"}

// zips returns a folder like dist.
func zips(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, arch := range []string{"arm64", "amd64"} {
		if err := os.Mkdir(filepath.Join(dir, arch), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, arch, name+".zip"), []byte(name+" for "+arch), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func buildApp(t *testing.T, dist string, context map[string]any, args ...string) (awscdk.Stack, error) {
	t.Helper()
	return build(awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false), Context: &context, Outdir: jsii.String(t.TempDir())}), dist, args...)
}

// Without this the stack of somebody who deployed an earlier version could get another name: a second service.
func TestStack(t *testing.T) {
	dist := zips(t)
	for _, c := range []struct {
		context    map[string]any
		name, arch string
	}{
		{nil, "rotor-prod", "arm64"},
		{map[string]any{"stage": "dev", "architecture": "x86_64"}, "rotor-dev", "x86_64"},
	} {
		stack, err := buildApp(t, dist, c.context)
		if err != nil {
			t.Fatal(err)
		}
		template := assertions.Template_FromStack(stack, nil)
		if name := *stack.StackName(); name != c.name {
			t.Errorf("the stack is %s, not %s", name, c.name)
		}
		template.HasResourceProperties(jsii.String("AWS::Lambda::Function"), object{"FunctionName": c.name + "-token", "Architectures": []any{c.arch}})
		if at := (*template.ToJSON())["Resources"].(object)["TableCD117FA1"]; at == nil {
			t.Error("the table has another logical id")
		}
	}
}

// Without this what is wrong would be told by a library's panic.
func TestWrong(t *testing.T) {
	for _, c := range []struct {
		dist    string
		context map[string]any
		args    []string
		want    string
	}{
		{zips(t), map[string]any{"stage": "Prod"}, nil, `context stage is "Prod"`},
		{t.TempDir(), nil, nil, "run make build"},
		{zips(t), nil, []string{"other"}, `the argument is "other": it must be firewall, template or template-domain`},
	} {
		if _, err := buildApp(t, c.dist, c.context, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// Without this the web ACL would be made where CloudFront has none, and the failure come with the deployment.
func TestFirewallIsInUSEast1(t *testing.T) {
	stack, err := buildApp(t, t.TempDir(), map[string]any{"stage": "dev"}, "firewall")
	if err != nil {
		t.Fatal(err)
	}
	if name, region := *stack.StackName(), *stack.Region(); name != "rotor-dev-firewall" || region != "us-east-1" {
		t.Errorf("%s is in %s", name, region)
	}
	assertions.Template_FromStack(stack, nil).ResourceCountIs(jsii.String("AWS::WAFv2::WebACL"), jsii.Number(1))
}

// Without this a released template could need CDK after all, or code that is not in the release.
func TestTemplates(t *testing.T) {
	for name, want := range map[string][]string{
		"template":        {"Architecture", "AuthorizationEndpoint", "CodeBucket", "CodePrefix", "Origins", "ServiceStage"},
		"template-domain": {"Architecture", "AuthorizationEndpoint", "CertificateArn", "CodeBucket", "CodePrefix", "DomainName", "Origins", "ServiceStage"},
	} {
		stack, err := buildApp(t, t.TempDir(), nil, name)
		if err != nil {
			t.Fatal(err)
		}
		template := *assertions.Template_FromStack(stack, nil).ToJSON()
		var parameters []string
		for id := range template["Parameters"].(object) {
			parameters = append(parameters, id)
		}
		slices.Sort(parameters)
		if diff := cmp.Diff(want, parameters); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		var keys []string
		for id, r := range template["Resources"].(object) {
			r := r.(object)
			if r["Type"] != "AWS::Lambda::Function" {
				continue
			}
			code := r["Properties"].(object)["Code"].(object)
			if diff := cmp.Diff(any(object{"Ref": "CodeBucket"}), code["S3Bucket"]); diff != "" {
				t.Errorf("%s: the bucket of %s: %s", name, id, diff)
			}
			join := code["S3Key"].(object)["Fn::Join"].([]any)[1].([]any)
			architecture := object{"Ref": "Architecture"}
			if len(join) != 4 || cmp.Diff([]any{object{"Ref": "CodePrefix"}, architecture, ".zip"}, []any{join[0], join[2], join[3]}) != "" {
				t.Fatalf("%s: the key of %s is %v", name, id, join)
			}
			if diff := cmp.Diff(any([]any{architecture}), r["Properties"].(object)["Architectures"]); diff != "" {
				t.Errorf("%s: the architecture of %s: %s", name, id, diff)
			}
			keys = append(keys, join[1].(string)+"arm64.zip")
		}
		var files []string // as infra/release.sh names them
		for _, f := range names {
			files = append(files, "rotor-"+version.Number+"-"+f+"-arm64.zip")
		}
		slices.Sort(files)
		slices.Sort(keys)
		if diff := cmp.Diff(files, keys); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		text, _ := json.Marshal(template)
		for _, word := range []string{"cdk-", "BootstrapVersion", "prod"} {
			if n := strings.Count(string(text), word); n != map[string]int{"prod": 1}[word] { // the parameter's default
				t.Errorf("%s: %q is in it %d times", name, word, n)
			}
		}
	}
}

// Without this the construct could work here alone: in another module there are no zips beside it, and no context.
func TestExampleInAnotherModule(t *testing.T) {
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", filepath.Join(zips(t), "arm64"))
	cmd.Dir, cmd.Env = "../../lab/example", append(os.Environ(), "CDK_OUTDIR="+out)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(filepath.Join(out, "login.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties object
		}
	}
	if err := json.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for id, r := range template.Resources {
		found[r.Type]++
		if r.Type == "AWS::DynamoDB::GlobalTable" && !regexp.MustCompile(`^Auth\w+$`).MatchString(id) {
			t.Errorf("the table is %s, not inside of Auth", id)
		}
		if r.Type == "AWS::SecretsManager::Secret" && r.Properties["KmsKeyId"] == nil {
			t.Errorf("%s is not under the app's key", id)
		}
	}
	for kind, n := range map[string]int{"AWS::Lambda::Function": 7, "AWS::KMS::Key": 1, "AWS::SNS::Topic": 1, "AWS::DynamoDB::GlobalTable": 1} {
		if found[kind] != n {
			t.Errorf("%d of %s, not %d", found[kind], kind, n)
		}
	}
}
