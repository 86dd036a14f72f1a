// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/release"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestLint runs `helm lint --strict`.
func TestLint(t *testing.T) {
	lint := action.NewLint()
	lint.Strict, lint.Namespace = true, namespace
	for values := range overlays {
		result := lint.Run([]string{filepath.Join(repo.Root(t), directory)}, valuesOf(t, values))
		expect.True(t, result.TotalChartsLinted == 1 && !action.HasWarningsOrErrors(result),
			"%s: %v %v", values, result.Messages, result.Errors)
	}
}

func TestVersion(t *testing.T) {
	committed, err := release.Committed(repo.Root(t))
	expect.NoError(t, err)
	metadata := parse(t, repo.Read(t, directory+"/Chart.yaml"))
	expect.Equal(t, "version of overlays and chart", strings.TrimPrefix(committed.Version, "v"), metadata["version"])
	expect.Equal(t, "version of overlays and appVersion", committed.Version, metadata["appVersion"])
}

// TestSchema rejects unknown and invalid values, and accepts the values of a parent chart.
func TestSchema(t *testing.T) {
	for _, test := range []struct{ values, want string }{
		{`{"global": {"anything": {"at": "all"}}, "enabled": true}`, ""},
		{`{"replicas": 2}`, "'replicas' not allowed"},
		{`{"image": {"name": "x"}}`, "'name' not allowed"},
		{`{"app": {"concurency": 1}}`, "'concurency' not allowed"},
		{`{"metrics": {"tls": {"enable": true}}}`, "'enable' not allowed"},
		{`{"image": {"digest": "latest"}}`, "does not match pattern"},
		{`{"app": {"namespaces": ["*"]}}`, "does not match pattern"},
		{`{"app": {"logLevel": 9}}`, "maximum"},
		{`{"app": {"keyMismatchGracePeriod": 60}}`, "want string"},
		{`{"extraArgs": ["kubeconfig"]}`, "does not match pattern"},
		{`{"metrics": {"tls": {"clients": "none"}}}`, "value must be one of 'certificate', 'token'"},
		{`{"app": {"namespaces": ["a"]}, "kubernetesCSRs": {"enabled": true}}`, "cannot be signed for app.namespaces"},
	} {
		_, err := tryRender(t, parse(t, test.values))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want %q", test.values, err, test.want)
		}
	}
}

// TestSchemaIsComplete expects exactly the values in the schema.
func TestSchemaIsComplete(t *testing.T) {
	schema := parse(t, repo.Read(t, directory+"/values.schema.json"))
	got := properties(schema, "")
	want := append(keys(parse(t, repo.Read(t, directory+"/values.yaml")), schema, ""), "enabled", "global")
	slices.Sort(got)
	slices.Sort(want)
	expect.Equal(t, "values.yaml and values.schema.json", want, got)
}

// properties returns the paths of all properties in a schema.
func properties(schema map[string]any, path string) []string {
	var paths []string
	named, _ := schema["properties"].(map[string]any)
	for key, property := range named {
		if below := properties(property.(map[string]any), path+key+"."); below != nil {
			paths = append(paths, below...)
		} else {
			paths = append(paths, path+key)
		}
	}
	return paths
}

// keys returns the paths of all values that the schema has.
func keys(values, schema map[string]any, path string) []string {
	var paths []string
	named, _ := schema["properties"].(map[string]any)
	for key, value := range values {
		property, _ := named[key].(map[string]any)
		if below, ok := value.(map[string]any); ok && property["properties"] != nil {
			paths = append(paths, keys(below, property, path+key+".")...)
		} else {
			paths = append(paths, path+key)
		}
	}
	return paths
}

var flagRow = regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| (\\S+) \\| (?:`([^`]*)`|empty) \\|")

// notInApp are the flags that other values set, or that a Deployment does not use.
var notInApp = []string{
	"enable-certificate-signing-requests", "health-probe-bind-address", "help", "kubeconfig", "leader-elect", "leader-election-namespace",
	"metrics-bind-address", "metrics-cert-dir", "metrics-client-ca-file", "metrics-secure", "namespaces", "version",
}

// TestFlags sets each flag by its value, which has the default of the flag.
func TestFlags(t *testing.T) {
	page := repo.Read(t, "docs/flags.md")
	defaults := parse(t, repo.Read(t, directory+"/values.yaml"))["app"].(map[string]any)
	delete(defaults, "namespaces")
	for _, row := range flagRow.FindAllStringSubmatch(page, -1) {
		flag, kind, value := row[1], row[2], row[3]
		if slices.Contains(notInApp, flag) {
			continue
		}
		key := camelCase(flag)
		got, there := defaults[key]
		expect.True(t, there && fmt.Sprint(got) == value, "app.%s is %v by default, but --%s is %q", key, got, flag, value)
		delete(defaults, key)
		set, want := another(t, kind, value)
		args := container(t, render(t, map[string]any{"app": map[string]any{key: set}})).Args
		expect.True(t, slices.Contains(args, "--"+flag+"="+want), "app.%s: %v renders %q", key, set, args)
	}
	expect.True(t, len(defaults) == 0, "these values have no flags: %v", defaults)
}

// another returns a value that is not the default, and its text in a flag.
func another(t *testing.T, kind, value string) (set any, text string) {
	t.Helper()
	switch {
	case kind == "bool":
		return value != "true", fmt.Sprint(value != "true")
	case kind == "duration":
		return "1h30m", "1h30m"
	case value == "text":
		return "json", "json"
	case kind == "string":
		return "other", "other"
	case kind == "float32":
		return 0.5, "0.5"
	case value == "0":
		return float64(7), "7"
	default:
		return float64(2000000), "2000000" // as YAML is decoded; not 2e+06
	}
}

func camelCase(flag string) string {
	words := strings.Split(flag, "-")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

func container(t *testing.T, objects []*unstructured.Unstructured) corev1.Container {
	t.Helper()
	return deployment(t, objects).Spec.Template.Spec.Containers[0]
}

func deployment(t *testing.T, objects []*unstructured.Unstructured) *appsv1.Deployment {
	t.Helper()
	found := &appsv1.Deployment{}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, found))
			return found
		}
	}
	t.Fatal("no Deployment")
	return nil
}
