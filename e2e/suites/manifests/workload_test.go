// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/release"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	expect.NoError(t, err)
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	forEach(t, func(t *testing.T, objects rendered) {
		labels := get[*corev1.Namespace](t, objects, "Namespace/"+namespace).Labels
		for _, mode := range []string{podsecurity.EnforceLevelLabel, podsecurity.AuditLevelLabel, podsecurity.WarnLevelLabel} {
			if labels[mode] != string(podsecurity.LevelRestricted) {
				t.Errorf("the namespace's label %s is %q, want restricted", mode, labels[mode])
			}
		}
		pod := deployment(t, objects).Spec.Template
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("not restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	})
}

// Hardening in addition to the profile "restricted".
func TestPodHardening(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		pod, c := deployment(t, objects).Spec.Template.Spec, container(t, objects)
		if only := c.SecurityContext.ReadOnlyRootFilesystem; only == nil || !*only {
			t.Error("the root file system can be written")
		}
		if links := pod.EnableServiceLinks; links == nil || *links {
			t.Error("Services are environment variables")
		}
		if c.SecurityContext.RunAsUser != nil || pod.SecurityContext.RunAsUser != nil {
			t.Error("a fixed user, which some platforms reject")
		}
		account := get[*corev1.ServiceAccount](t, objects, "ServiceAccount/"+pod.ServiceAccountName)
		if mount := account.AutomountServiceAccountToken; mount == nil || *mount {
			t.Error("every Pod with the ServiceAccount gets its token")
		}
		if mount := pod.AutomountServiceAccountToken; mount == nil || !*mount {
			t.Error("the Pod gets no token")
		}
		if pod.HostNetwork {
			t.Error("the Pod has the host's network")
		}
		for _, volume := range pod.Volumes {
			if volume.Secret == nil || volume.Secret.SecretName != metricsSecret {
				t.Errorf("the Pod has the volume %s, but needs only the certificate of its metrics", volume.Name)
			}
		}
	})
}

func TestResources(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		resources := container(t, objects).Resources
		for _, wanted := range []struct {
			what   string
			amount bool
		}{
			{"a request for CPU", !resources.Requests.Cpu().IsZero()},
			{"a request for memory", !resources.Requests.Memory().IsZero()},
			{"a limit for memory", !resources.Limits.Memory().IsZero()},
		} {
			if !wanted.amount {
				t.Errorf("want %s: %v", wanted.what, resources)
			}
		}
	})
}

// A CPU limit delays renewals of the Lease. Only the example sets one, for clusters that require it.
func TestCPULimit(t *testing.T) {
	for installation, want := range map[string]string{issuer.DefaultOverlay: "0", issuer.ProductionOverlay: "0", adjusted: "1"} {
		c := container(t, render(t, installation))
		if got := c.Resources.Limits.Cpu().String(); got != want {
			t.Errorf("%s: the CPU limit is %s, want %s", installation, got, want)
		}
	}
}

// The Go runtime does not count all memory in the container's limit.
func TestMemoryLimitHasHeadroom(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		c := container(t, objects)
		i := slices.IndexFunc(c.Env, func(variable corev1.EnvVar) bool { return variable.Name == "GOMEMLIMIT" })
		if i < 0 {
			t.Fatal("no GOMEMLIMIT")
		}
		// 200MiB for Go is 200Mi for Kubernetes.
		value, err := resource.ParseQuantity(strings.TrimSuffix(c.Env[i].Value, "B"))
		expect.NoError(t, err)
		limit := c.Resources.Limits.Memory().Value()
		if most, least := limit*9/10, limit/2; value.Value() > most || value.Value() < least {
			t.Errorf("GOMEMLIMIT is %s, want at most 90 %% of the limit of %s, and at least half of it", c.Env[i].Value, c.Resources.Limits.Memory())
		}
	})
}

// Service meshes must not inject into this Pod: the namespace does not allow the capabilities of
// their init container.
func TestNoMesh(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		pod := deployment(t, objects).Spec.Template
		for label, want := range map[string]string{"sidecar.istio.io/inject": "false", "istio.io/dataplane-mode": "none"} {
			if got := pod.Labels[label]; got != want {
				t.Errorf("the Pod's label %s is %q, want %q", label, got, want)
			}
		}
		for annotation, want := range map[string]string{"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"} {
			if got := pod.Annotations[annotation]; got != want {
				t.Errorf("the Pod's annotation %s is %q, want %q", annotation, got, want)
			}
		}
	})
}

func TestProbes(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		c := container(t, objects)
		for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz/controllers": c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path {
				t.Errorf("no probe for %s", path)
				continue
			}
			if !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == probe.HTTPGet.Port.StrVal }) {
				t.Errorf("the probe for %s has the port %s, which does not exist", path, &probe.HTTPGet.Port)
			}
		}
	})
}

// The Lease must be in the namespace of its Role.
func TestLeaderElectionNamespace(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		c := container(t, objects)
		if !slices.Contains(c.Args, "--leader-election-namespace=$(POD_NAMESPACE)") {
			t.Errorf("the Pod's namespace is not among the arguments %q", c.Args)
		}
		isNamespace := func(env corev1.EnvVar) bool {
			return env.Name == "POD_NAMESPACE" && env.ValueFrom.FieldRef.FieldPath == "metadata.namespace"
		}
		if !slices.ContainsFunc(c.Env, isNamespace) {
			t.Errorf("POD_NAMESPACE is not the Pod's namespace: %v", c.Env)
		}
	})
}

func TestNames(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		if got := deployment(t, objects).Spec.Template.Spec.ServiceAccountName; got != name {
			t.Errorf("the ServiceAccount is called %q, want %q", got, name)
		}
		if got := container(t, objects).Name; got != name {
			t.Errorf("the container is called %q, want %q", got, name)
		}
		for id, object := range objects {
			if id == servedRole || id == servedBinding {
				continue // see TestNamespaced
			}
			if got := accessor(t, object).GetNamespace(); got != "" && got != namespace {
				t.Errorf("%s is in the namespace %q, want %q", id, got, namespace)
			}
		}
	})
}

func TestLabels(t *testing.T) {
	wanted := labels.Set{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "cert-manager"}.AsSelector()
	forEach(t, func(t *testing.T, objects rendered) {
		for id, object := range objects {
			if got := labels.Set(accessor(t, object).GetLabels()); !wanted.Matches(got) {
				t.Errorf("%s has the labels %q, want %q", id, got, wanted)
			}
		}
		spec := deployment(t, objects).Spec
		if !wanted.Matches(labels.Set(spec.Template.Labels)) {
			t.Errorf("the Pods have the labels %q, want %q", spec.Template.Labels, wanted)
		}
		selector, err := metav1.LabelSelectorAsSelector(spec.Selector)
		if err != nil || !selector.Matches(labels.Set(spec.Template.Labels)) {
			t.Errorf("the Deployment's selector %q does not select its Pods (%v)", selector, err)
		}
	})
}

// Every installation runs the published image, which is in one line of the base.
func TestImage(t *testing.T) {
	committed, err := release.Committed(repo.Root(t))
	expect.NoError(t, err)
	made := regexp.MustCompile(`(?m)^REGISTRY \?= (.*)$`).FindStringSubmatch(repo.Read(t, "Makefile"))
	if made == nil || made[1] != committed.Registry {
		t.Errorf("the manifests name the registry %s, the Makefile %q", committed.Registry, made)
	}
	forEach(t, func(t *testing.T, objects rendered) {
		if got, want := container(t, objects).Image, committed.Registry+"/selfsigned-issuer:"+committed.Version; got != want {
			t.Errorf("runs the image %q, want %q", got, want)
		}
	})
}

func accessor(t *testing.T, object any) metav1.Object {
	t.Helper()
	m, err := meta.Accessor(object)
	expect.NoError(t, err)
	return m
}
