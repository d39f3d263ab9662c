package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An assembly in miniature, as the CDK CLI writes it.
const (
	testTemplate = `{"Resources": {
		"Keys": {"Type": "AWS::SecretsManager::Secret", "Properties": {}},
		"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "a", "Threshold": 12345678901234567890}},
		"Math": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Id": {"Ref": "Keys"}}]}},
		"Token": {"Type": "AWS::Lambda::Function", "DependsOn": ["Math", "Keys"], "Properties": {
			"FunctionName": "rotor-prod-token", "Code": {"S3Key": "1111.zip"}, "Architectures": ["arm64"],
			"Environment": {"Variables": {"ROTOR_KEYS_SECRET": {"Ref": "Keys"}, "ROTOR_TABLE": {"Ref": "Table"}}}}}}}`
	testAssets   = `{"files": {"1111": {"source": {"path": "asset.1111.zip"}}, "2222": {"source": {"path": "rotor-prod.template.json"}}}}`
	testManifest = `{"stackTemplateAssetObjectUrl": "s3://assets/2222.json"}`
)

var testList = []kind{{Type: "AWS::CloudWatch::Alarm", Property: "Metrics", Count: 1, Says: "math", Reason: "none"}}

func adaptTest(t *testing.T, template string, change func(*assembly) error) (*assembly, error) {
	t.Helper()
	dir, zips := t.TempDir(), t.TempDir()
	for file, content := range map[string]string{
		filepath.Join(dir, "rotor-prod.template.json"): template,
		filepath.Join(dir, "rotor-prod.assets.json"):   testAssets,
		filepath.Join(dir, "manifest.json"):            testManifest,
		filepath.Join(zips, "token.zip"):               "a zip for this machine",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return adapt(dir, zips, testList, change)
}

// TestAdapt checks what adapt changes, and what it leaves.
func TestAdapt(t *testing.T) {
	a, err := adaptTest(t, testTemplate, nil)
	if err != nil {
		t.Fatal(err)
	}
	if left := a.left[testList[0]]; len(left) != 1 || left[0].id != "Math" || a.deployed != 3 {
		t.Errorf("%v are left out, and %d deployed", left, a.deployed)
	}
	template, err := os.ReadFile(filepath.Join(a.dir, "rotor-prod.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	zip, hash := sum([]byte("a zip for this machine")), sum(template)
	for _, want := range []string{
		`"ROTOR_KEYS_SECRET":{"Fn::GetAtt":["Keys","Id"]}`, `"ROTOR_TABLE":{"Ref":"Table"}`, `"S3Key":"` + zip + `.zip"`,
		`"Architectures":["` + architecture() + `"]`, `"DependsOn":["Keys"]`, `"Threshold":12345678901234567890`,
	} {
		if !strings.Contains(string(template), want) {
			t.Errorf("%s is not in the template: %s", want, template)
		}
	}
	for file, want := range map[string]string{
		"rotor-prod.assets.json":   strings.NewReplacer("1111", zip, "2222", hash).Replace(testAssets),
		"manifest.json":            strings.ReplaceAll(testManifest, "2222", hash),
		"asset." + zip + ".zip":    "a zip for this machine",
		"rotor-prod.template.json": string(template),
	} {
		if got, err := os.ReadFile(filepath.Join(a.dir, file)); err != nil || string(got) != want {
			t.Errorf("%s is %s, %v", file, got, err)
		}
	}
}

// TestAdaptForeignFunction checks that a function that is none of Rotor's is not deployed with another's code.
func TestAdaptForeignFunction(t *testing.T) {
	_, err := adaptTest(t, strings.Replace(testTemplate, "rotor-prod-token", "other-token", 1), nil)
	if err == nil || !strings.Contains(err.Error(), "not one of Rotor's") {
		t.Errorf("the error is %v", err)
	}
}

// TestReplace checks that a fault is a change of one text, which must be there.
func TestReplace(t *testing.T) {
	change := func(before string) func(*assembly) error {
		return func(a *assembly) error { return a.replace("AWS::Lambda::Function", "Token", before, `"ROTOR_TABEL"`) }
	}
	a, err := adaptTest(t, testTemplate, change(`"ROTOR_TABLE"`))
	if err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join(a.dir, "rotor-prod.template.json"))
	if err != nil || !strings.Contains(string(template), `"ROTOR_TABEL":{"Ref":"Table"}`) {
		t.Errorf("the template is %s, %v", template, err)
	}
	if _, err := adaptTest(t, testTemplate, change(`"ROTOR_NOTHING"`)); err == nil || !strings.Contains(err.Error(), "0 times, not once") {
		t.Errorf("the error is %v", err)
	}
}

// TestReadList checks that the list in the repository can be read, and that a row without a reason is refused.
func TestReadList(t *testing.T) {
	list, err := readList(refusedJSON)
	if err != nil || len(list) == 0 {
		t.Fatalf("%v, %v", list, err)
	}
	row := list[0]
	row.Reason = ""
	without, err := json.Marshal([]kind{row})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readList(without); err == nil || !strings.Contains(err.Error(), "needs type, count, says and reason") {
		t.Errorf("the error is %v", err)
	}
}

// TestFaults checks that the sources have what the faults quote.
func TestFaults(t *testing.T) {
	built := 0
	for _, f := range faults {
		ways := 0
		for _, is := range []bool{f.change != nil, f.function != "", f.list != nil} {
			if is {
				ways++
			}
		}
		if ways != 1 || f.step == "" {
			t.Errorf("%s is broken in %d ways, to be noticed by %q", f.name, ways, f.step)
		}
		if f.function == "" {
			continue
		}
		built++
		source, err := os.ReadFile(filepath.Join("../..", f.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), f.old); n != 1 {
			t.Errorf("%s: %q is there %d times, not once", f.name, f.old, n)
		}
	}
	if built == 0 {
		t.Error("no fault is built")
	}
}

// TestReplaceReferences checks that a probe has no references to what is not in its stack.
func TestReplaceReferences(t *testing.T) {
	var value any
	if err := json.Unmarshal([]byte(`{"a": [{"Ref": "X"}, {"b": {"Fn::GetAtt": ["X", "Arn"]}}, 1]}`), &value); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(replaceReferences(value))
	if err != nil || string(got) != `{"a":["probe",{"b":"probe"},1]}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestReferenced(t *testing.T) {
	for text, want := range map[string]string{`{"Ref": "A"}`: "A", `{"Fn::GetAtt": ["B", "Arn"]}`: "B", `"C"`: "", `{"Fn::Sub": "D"}`: ""} {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if got := referenced(value); got != want {
			t.Errorf("%s refers to %q", text, got)
		}
	}
}

// TestNewVersion checks that versions differ, and are long enough for Secrets Manager (32 characters at least).
func TestNewVersion(t *testing.T) {
	var all []string
	for range 100 {
		v := newVersion()
		if len(v) != 36 || slices.Contains(all, v) {
			t.Fatalf("%s after %v", v, all)
		}
		all = append(all, v)
	}
}
