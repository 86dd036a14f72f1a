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
	"k8s.io/apimachinery/pkg/util/intstr"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"k8s.io/utils/ptr"

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
			expect.Equal(t, "the namespace's label "+mode, "restricted", labels[mode])
		}
		pod := deployment(t, objects).Spec.Template
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			expect.True(t, result.Allowed, "not restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	})
}

// Hardening in addition to the profile "restricted".
func TestPodHardening(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		pod, c := deployment(t, objects).Spec.Template.Spec, container(t, objects)
		account := get[*corev1.ServiceAccount](t, objects, "ServiceAccount/"+pod.ServiceAccountName)
		expect.True(t, ptr.Deref(c.SecurityContext.ReadOnlyRootFilesystem, false), "the root file system can be written")
		expect.True(t, !ptr.Deref(pod.EnableServiceLinks, true), "Services are environment variables")
		expect.True(t, c.SecurityContext.RunAsUser == nil && pod.SecurityContext.RunAsUser == nil,
			"a fixed user, which some platforms reject")
		expect.True(t, !ptr.Deref(account.AutomountServiceAccountToken, true), "every Pod with the ServiceAccount gets its token")
		expect.True(t, ptr.Deref(pod.AutomountServiceAccountToken, false), "the Pod gets no token")
		expect.True(t, !pod.HostNetwork, "the Pod has the host's network")
		for _, volume := range pod.Volumes {
			expect.True(t, volume.Secret != nil && volume.Secret.SecretName == metricsSecret,
				"the Pod has the volume %s, but needs only the certificate of its metrics", volume.Name)
		}
	})
}

func TestResources(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		resources := container(t, objects).Resources
		expect.True(t, !resources.Requests.Cpu().IsZero(), "want a request for CPU: %v", resources)
		expect.True(t, !resources.Requests.Memory().IsZero(), "want a request for memory: %v", resources)
		expect.True(t, !resources.Limits.Memory().IsZero(), "want a limit for memory: %v", resources)
	})
}

// A CPU limit delays renewals of the Lease. Only the example sets one, for clusters that require it.
func TestCPULimit(t *testing.T) {
	for installation, want := range map[string]string{issuer.DefaultOverlay: "0", issuer.ProductionOverlay: "0", adjusted: "1"} {
		c := container(t, render(t, installation))
		expect.Equal(t, installation+": CPU limit", want, c.Resources.Limits.Cpu().String())
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
		expect.True(t, value.Value() <= limit*9/10 && value.Value() >= limit/2,
			"GOMEMLIMIT is %s, want at most 90 %% of the limit of %d, and at least half of it", c.Env[i].Value, limit)
	})
}

// Service meshes must not inject into this Pod: the namespace does not allow the capabilities of
// their init container.
func TestNoMesh(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		pod := deployment(t, objects).Spec.Template
		for label, want := range map[string]string{"sidecar.istio.io/inject": "false", "istio.io/dataplane-mode": "none"} {
			expect.Equal(t, "the Pod's label "+label, want, pod.Labels[label])
		}
		for annotation, want := range map[string]string{"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"} {
			expect.Equal(t, "the Pod's annotation "+annotation, want, pod.Annotations[annotation])
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
			expectPort(t, c, probe.HTTPGet.Port)
		}
	})
}

// The Lease must be in the namespace of its Role.
func TestLeaderElectionNamespace(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		c := container(t, objects)
		expect.True(t, slices.Contains(c.Args, "--leader-election-namespace=$(POD_NAMESPACE)"),
			"the Pod's namespace is not among the arguments %q", c.Args)
		isNamespace := func(env corev1.EnvVar) bool {
			return env.Name == "POD_NAMESPACE" && env.ValueFrom.FieldRef.FieldPath == "metadata.namespace"
		}
		expect.True(t, slices.ContainsFunc(c.Env, isNamespace), "POD_NAMESPACE is not the Pod's namespace: %v", c.Env)
	})
}

func TestNames(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		expect.Equal(t, "ServiceAccount", name, deployment(t, objects).Spec.Template.Spec.ServiceAccountName)
		expect.Equal(t, "container", name, container(t, objects).Name)
		for id, object := range objects {
			if id == servedRole || id == servedBinding {
				continue // see TestNamespaced
			}
			got := accessor(t, object).GetNamespace()
			expect.True(t, got == "" || got == namespace, "%s is in the namespace %q, want %q", id, got, namespace)
		}
	})
}

func TestLabels(t *testing.T) {
	wanted := labels.Set{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "cert-manager"}.AsSelector()
	forEach(t, func(t *testing.T, objects rendered) {
		for id, object := range objects {
			got := labels.Set(accessor(t, object).GetLabels())
			expect.True(t, wanted.Matches(got), "%s has the labels %q, want %q", id, got, wanted)
		}
		pods := labels.Set(deployment(t, objects).Spec.Template.Labels)
		expect.True(t, wanted.Matches(pods), "the Pods have the labels %q, want %q", pods, wanted)
	})
}

// Every installation runs the published image, which is in one line of the base.
func TestImage(t *testing.T) {
	committed, err := release.Committed(repo.Root(t))
	expect.NoError(t, err)
	made := regexp.MustCompile(`(?m)^REGISTRY \?= (.*)$`).FindStringSubmatch(repo.Read(t, "Makefile"))
	expect.True(t, made != nil && made[1] == committed.Registry, "the manifests name the registry %s, the Makefile %q", committed.Registry, made)
	forEach(t, func(t *testing.T, objects rendered) {
		expect.Equal(t, "image", committed.Registry+"/selfsigned-issuer:"+committed.Version, container(t, objects).Image)
	})
}

// expectPort expects that the container has a port.
func expectPort(t *testing.T, c corev1.Container, port intstr.IntOrString) {
	t.Helper()
	there := slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port.StrVal })
	expect.True(t, there, "the container has no port %s", port.StrVal)
}

func accessor(t *testing.T, object any) metav1.Object {
	t.Helper()
	m, err := meta.Accessor(object)
	expect.NoError(t, err)
	return m
}
