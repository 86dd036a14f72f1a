// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/event"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/google/cel-go/cel"
	lua "github.com/yuin/gopher-lua"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// argoHealth has the same files as a health check in Argo CD's repository.
const argoHealth = "deploy/examples/argocd/health"

// TestHealth creates, changes and deletes an issuer while its status is delayed: no tool takes it for
// ready before its current spec is checked. Each check is one write.
func TestHealth(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"SelfSignedIssuer", "ClusterSelfSignedIssuer"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			tools, namespace := newTools(t), newNamespace(t)
			issuer, location := newUnstructured(kind, "", namespace), ""
			if kind == "SelfSignedIssuer" {
				issuer, location = newUnstructured(kind, namespace, "health"), "/namespaces/"+namespace
			}
			statusPath := path.Join("/apis", selfsigned.GroupVersion.String(), location, strings.ToLower(kind)+"s", issuer.GetName(), "status")
			held := holdPatches(t, statusPath)
			env.Create(t, issuer)
			held.awaitArrival(t)
			tools.check(t, issuer, status.InProgressStatus, "progressing_new")
			held.gate.Open()
			tools.await(t, issuer, status.CurrentStatus)
			tools.check(t, issuer, status.CurrentStatus, "healthy")

			change := holdPatches(t, statusPath)
			env.Change(t, issuer, func() {
				expect.NoError(t, unstructured.SetNestedField(issuer.Object, "Reject", "spec", "emptySubject"))
				issuer.SetFinalizers([]string{"example.com/keep"})
			})
			change.awaitArrival(t)
			tools.check(t, issuer, status.InProgressStatus, "progressing_changed")
			change.gate.Open()
			tools.await(t, issuer, status.CurrentStatus)
			expect.Equal(t, "responses to status writes", []int{http.StatusOK, http.StatusOK}, held.answers())

			env.Delete(t, issuer)
			tools.await(t, issuer, status.TerminatingStatus)
			env.Change(t, issuer, func() { issuer.SetFinalizers(nil) })
		})
	}
}

// TestWait waits for issuers as Helm and Flux do.
func TestWait(t *testing.T) {
	for tool, wait := range map[string]func(*testing.T, *selfsigned.SelfSignedIssuer, time.Duration) error{
		"Helm": waitByHelm, "Flux": waitByFlux,
	} {
		t.Run(tool+" until the issuer is Ready", func(t *testing.T) {
			issuer := newIssuer(newNamespace(t), "wait")
			expect.NoError(t, wait(t, issuer, timeout))
			env.Get(t, issuer)
			expect.True(t, apimeta.IsStatusConditionTrue(issuer.Status.Conditions, "Ready"), "it does not wait: %+v", issuer.Status)
		})
		t.Run(tool+" as long as the issuer is not checked", func(t *testing.T) {
			issuer := newIssuer(newNamespace(t), "wait")
			holdChecks(t, issuer.Namespace, issuer.Name)
			if err := wait(t, issuer, 3*time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got error %v, want a timeout", err)
			}
		})
		t.Run(tool+" and fails for an issuer that cannot work", func(t *testing.T) {
			tools, issuer := newTools(t), newIssuer(newNamespace(t), "wait")
			issuer.Spec.CRLDistributionPoints = []string{"ftp://example.com"}
			restore := withoutValidation(t)
			env.Eventually(t, "accepting an invalid issuer", func(ctx context.Context) error {
				return client.NewDryRunClient(env.Client).Create(ctx, issuer.DeepCopy())
			})
			start := time.Now()
			err := wait(t, issuer, timeout)
			took := time.Since(start)
			if err == nil || !strings.Contains(err.Error(), "Failed permanently: spec.crlDistributionPoints[0]") || took > 20*time.Second {
				t.Errorf("after %s: error %v, want that of the issuer within seconds", took, err)
			}
			object := newUnstructured("SelfSignedIssuer", issuer.Namespace, issuer.Name)
			tools.check(t, object, status.FailedStatus, "degraded")
			env.Change(t, object, func() { delete(object.Object, "spec") })
			tools.await(t, object, status.CurrentStatus)
			restore()
		})
	}
}

// waitByHelm installs a chart with the issuer.
func waitByHelm(t *testing.T, issuer *selfsigned.SelfSignedIssuer, timeout time.Duration) error {
	t.Helper()
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig, flags.Namespace = new(env.ControlPlane.AdminKubeconfig()), &issuer.Namespace
	config := action.NewConfiguration()
	expect.NoError(t, config.Init(flags, issuer.Namespace, "secret"))
	install := action.NewInstall(config)
	install.ReleaseName, install.Namespace = "wait", issuer.Namespace
	install.WaitStrategy, install.Timeout = kube.StatusWatcherStrategy, timeout
	template := issuer.DeepCopy()
	template.SetGroupVersionKind(selfsigned.GroupVersion.WithKind("SelfSignedIssuer"))
	data, err := yaml.Marshal(template)
	expect.NoError(t, err)
	_, err = install.RunWithContext(t.Context(), &v2.Chart{
		Metadata:  &v2.Metadata{APIVersion: "v2", Name: "wait", Version: "1.0.0"},
		Templates: []*common.File{{Name: "templates/issuer.yaml", Data: data}},
	}, nil)
	return err
}

// waitByFlux creates the issuer and polls its status with the library of Flux.
func waitByFlux(t *testing.T, issuer *selfsigned.SelfSignedIssuer, timeout time.Duration) error {
	t.Helper()
	env.Create(t, issuer)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	poller := polling.NewStatusPoller(env.Client, env.Client.RESTMapper(), polling.Options{})
	ids := object.ObjMetadataSet{{
		Namespace: issuer.Namespace, Name: issuer.Name, GroupKind: selfsigned.GroupVersion.WithKind("SelfSignedIssuer").GroupKind(),
	}}
	for e := range poller.Poll(ctx, ids, polling.PollOptions{PollInterval: 200 * time.Millisecond}) {
		switch {
		case e.Type == event.ErrorEvent:
			return e.Error
		case e.Resource == nil:
		case e.Resource.Status == status.CurrentStatus:
			return nil
		case e.Resource.Status == status.FailedStatus:
			return errors.New(e.Resource.Message)
		}
	}
	return ctx.Err()
}

// tools have the examples for Argo CD and Flux.
type tools struct {
	scripts     map[string]string // of Argo CD, by key of its ConfigMap
	argoTests   []argoTest
	expressions []fluxExpressions
}

// argoTest is a test in the form of Argo CD's repository.
type argoTest struct {
	InputPath    string
	HealthStatus argoStatus
}

type argoStatus struct{ Status, Message string }

// fluxExpressions are an element of healthCheckExprs in a Kustomization of Flux.
type fluxExpressions struct{ APIVersion, Kind, InProgress, Failed, Current string }

func newTools(t *testing.T) *tools {
	t.Helper()
	rendered, err := issuer.Render(argoHealth)
	expect.NoError(t, err)
	var config corev1.ConfigMap
	expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(rendered[0].Object, &config))
	var tests struct{ Tests []argoTest }
	expect.NoError(t, yaml.Unmarshal([]byte(repo.Read(t, argoHealth+"/health_test.yaml")), &tests))
	kustomizations, err := manifest.Decode([]byte(repo.Read(t, "deploy/examples/flux/kustomizations.yaml")))
	expect.NoError(t, err)
	var last struct {
		Spec struct{ HealthCheckExprs []fluxExpressions }
	}
	text, err := kustomizations[len(kustomizations)-1].MarshalJSON()
	expect.NoError(t, err)
	expect.NoError(t, yaml.Unmarshal(text, &last))
	return &tools{config.Data, tests.Tests, last.Spec.HealthCheckExprs}
}

// check compares what all tools report about an issuer. The file is Argo CD's test data for this state.
func (s *tools) check(t *testing.T, object *unstructured.Unstructured, want status.Status, file string) {
	t.Helper()
	env.Get(t, object)
	result, err := status.Compute(object)
	expect.NoError(t, err)
	expect.True(t, result.Status == want, "kstatus: %s, %s, want %s", result.Status, result.Message, want)
	expect.Equal(t, "healthCheckExprs of Flux", want, s.flux(t, object))

	input := "testdata/" + file + ".yaml"
	data := &unstructured.Unstructured{}
	expect.NoError(t, yaml.Unmarshal([]byte(repo.Read(t, argoHealth+"/"+input)), &data.Object))
	expect.Equal(t, input+" and the status of an issuer", statusOf(t, data), statusOf(t, object))
	at := slices.IndexFunc(s.argoTests, func(test argoTest) bool { return test.InputPath == input })
	expect.Equal(t, "health in Argo CD", s.argoTests[at].HealthStatus, s.argo(t, object))
	expect.Equal(t, "health of "+input, s.argoTests[at].HealthStatus, s.argo(t, data))
}

// await waits for a status of kstatus.
func (*tools) await(t *testing.T, object *unstructured.Unstructured, want status.Status) {
	t.Helper()
	env.Await(t, "kstatus "+string(want), object, func() bool {
		result, err := status.Compute(object)
		return err == nil && result.Status == want
	})
}

// argo runs the script as Argo CD does, without the libraries of Lua.
func (s *tools) argo(t *testing.T, object *unstructured.Unstructured) argoStatus {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	lua.OpenBase(state)
	state.SetGlobal("obj", luaValue(state, object.Object))
	expect.NoError(t, state.DoString(s.scripts["resource.customizations.health."+selfsigned.GroupName+"_"+object.GetKind()]))
	health, ok := state.Get(-1).(*lua.LTable)
	expect.True(t, ok, "the script returns no table")
	return argoStatus{health.RawGetString("status").String(), health.RawGetString("message").String()}
}

func luaValue(state *lua.LState, value any) lua.LValue {
	table := state.NewTable()
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		for _, element := range value {
			table.Append(luaValue(state, element))
		}
	case map[string]any:
		for key, element := range value {
			table.RawSetString(key, luaValue(state, element))
		}
	}
	return table
}

// flux evaluates the expressions as Flux does: after the generation, and the first one that is true.
func (s *tools) flux(t *testing.T, object *unstructured.Unstructured) status.Status {
	t.Helper()
	observed, found, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	expect.NoError(t, err)
	if found && observed != object.GetGeneration() {
		return status.InProgressStatus
	}
	at := slices.IndexFunc(s.expressions, func(e fluxExpressions) bool {
		return e.APIVersion == object.GetAPIVersion() && e.Kind == object.GetKind()
	})
	language, err := cel.NewEnv()
	expect.NoError(t, err)
	for _, e := range []struct {
		expression string
		status     status.Status
	}{
		{s.expressions[at].InProgress, status.InProgressStatus},
		{s.expressions[at].Failed, status.FailedStatus},
		{s.expressions[at].Current, status.CurrentStatus},
	} {
		if e.expression == "" {
			continue
		}
		parsed, issues := language.Parse(e.expression)
		expect.NoError(t, issues.Err())
		program, err := language.Program(parsed)
		expect.NoError(t, err)
		result, _, err := program.Eval(object.Object)
		expect.NoError(t, err)
		if result.Value() == true {
			return e.status
		}
	}
	return status.InProgressStatus
}

// statusOf returns the generation and the status of an object without times.
func statusOf(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	expect.NoError(t, err)
	for _, condition := range conditions {
		delete(condition.(map[string]any), "lastTransitionTime")
	}
	observed, _, _ := unstructured.NestedFieldNoCopy(object.Object, "status", "observedGeneration")
	generation, _, _ := unstructured.NestedFieldNoCopy(object.Object, "metadata", "generation")
	text, err := yaml.Marshal([]any{generation, observed, conditions})
	expect.NoError(t, err)
	return string(text)
}

func newUnstructured(kind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(selfsigned.GroupVersion.WithKind(kind))
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// TestArgoCDConfig adds the scripts to Argo CD's ConfigMap, as the guide says. Other entries are kept,
// although kubectl has applied them.
func TestArgoCDConfig(t *testing.T) {
	t.Parallel()
	kubectl, err := env.Kubectl(t.Context(), t.Logf)
	expect.NoError(t, err)
	env.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}})
	argo := newUnstructured("ConfigMap", "argocd", "argocd-cm")
	argo.SetAPIVersion("v1")
	expect.NoError(t, unstructured.SetNestedField(argo.Object, "https://argocd.example.com", "data", "url"))
	expect.NoError(t, manifest.Apply(t.Context(), env.ControlPlane.AdminConfig(), argo))
	for range 2 {
		_, err = kubectl.Run(t.Context(), "apply", "--server-side", "--field-manager=selfsigned-issuer", "-k", argoHealth)
		expect.NoError(t, err)
		var config corev1.ConfigMap
		expect.NoError(t, env.Client.Get(t.Context(), client.ObjectKeyFromObject(argo), &config))
		expect.True(t, len(config.Data) == 3 && config.Data["url"] != "", "%v", config.Data)
	}
}
