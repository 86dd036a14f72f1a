// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/helm"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// life is a release of the chart.
type life struct {
	*testenv.Environment
	helm    *helm.Client
	objects []*unstructured.Unstructured
}

// TestLife adopts an installation by kustomize, and upgrades and removes the release.
func TestLife(t *testing.T) {
	l := &life{Environment: testenv.Start(t, environment.Options{WithoutIssuer: true, Race: true})}
	l.CreateNamespace(t, testenv.Namespace)
	var err error
	l.helm, err = helm.NewClient(l.ControlPlane.AdminKubeconfig(), name, namespace)
	expect.NoError(t, err)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"adopt an installation by kustomize", l.adopt},
		{"uninstall and keep the issuers", l.uninstallAndKeep},
		{"install the previous chart", l.installBefore},
		{"upgrade", l.upgrade},
		{"uninstall with the issuers", l.uninstallAll},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

func (l *life) adopt(t *testing.T) {
	installed, err := issuer.Install(t.Context(), l.ControlPlane, issuer.DefaultOverlay)
	expect.NoError(t, err)
	l.Run(t, installed)
	l.Issue(t)
	l.End(t)
	before := l.deployment(t)
	if l.objects, err = l.helm.Install(t.Context(), current(t), nil, false); err == nil || !strings.Contains(err.Error(), "cannot be imported into the current release") {
		t.Fatalf("without adopt: error %v", err)
	}
	l.objects, err = l.helm.Install(t.Context(), current(t), nil, true)
	expect.NoError(t, err)
	after := l.deployment(t)
	expect.True(t, after.UID == before.UID && after.Labels["app.kubernetes.io/managed-by"] == "Helm",
		"the Deployment was not adopted: %v, then %v", before.ObjectMeta, after.ObjectMeta)
	l.sign(t)
	// All objects of the installation by kustomize are in the release.
	released := index(t, l.objects)
	for id := range index(t, kustomized(t, issuer.DefaultOverlay)) {
		expect.True(t, released[id] != nil, "%s is not in the release", id)
	}
}

// sign runs the program of the release and issues a certificate.
func (l *life) sign(t *testing.T) {
	t.Helper()
	installed, err := issuer.Installed(l.ControlPlane, l.objects)
	expect.NoError(t, err)
	l.Run(t, installed)
	l.Issue(t)
	l.End(t)
}

func (l *life) uninstallAndKeep(t *testing.T) {
	expect.NoError(t, l.helm.Uninstall())
	l.ExpectRemoved(t, l.objects, "CustomResourceDefinition")
	l.ExpectIssuer(t)
}

func (l *life) installBefore(t *testing.T) {
	chart := before(t)
	var err error
	// The existing CRDs have fields that kubectl applied.
	l.objects, err = l.helm.Install(t.Context(), chart, map[string]any{"replicaCount": 2}, true)
	expect.NoError(t, err)
	l.ExpectIssuer(t)
	l.sign(t)
}

func (l *life) upgrade(t *testing.T) {
	var err error
	l.objects, err = l.helm.Upgrade(t.Context(), current(t), map[string]any{"crds": map[string]any{"keep": false}})
	expect.NoError(t, err)
	expect.Equal(t, "replicas, as in the previous values", int32(2), *l.deployment(t).Spec.Replicas)
	l.ExpectIssuer(t)
	l.sign(t)
}

// uninstallAll also removes the CRDs, and with them the issuers.
func (l *life) uninstallAll(t *testing.T) {
	expect.NoError(t, l.helm.Uninstall())
	l.Eventually(t, "removal of the CRDs", func(context.Context) error {
		for _, object := range l.objects {
			if err := l.Client.Get(t.Context(), client.ObjectKeyFromObject(object), object.DeepCopy()); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s %s is still there: %s", object.GetKind(), object.GetName(), fmt.Sprint(err))
			}
		}
		return nil
	})
	err := l.Client.List(t.Context(), &selfsigned.SelfSignedIssuerList{})
	expect.True(t, apierrors.IsNotFound(err), "SelfSignedIssuers are still served: %v", err)
}

func (l *life) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	found := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	l.Get(t, found)
	return found
}

func current(t *testing.T) *v2.Chart {
	t.Helper()
	chart, err := loader.LoadDir(filepath.Join(repo.Root(t), directory))
	expect.NoError(t, err)
	return chart
}

// before returns the chart before the last change of its templates.
func before(t *testing.T) *v2.Chart {
	t.Helper()
	installed := []string{"--", directory, ":(exclude)" + directory + "/README.*"}
	commits := strings.Fields(repo.Run(t, repo.Root(t), nil, "git", append([]string{"log", "--format=%H", "--max-count=2"}, installed...)...))
	if len(commits) == 0 {
		t.Fatal("the chart has not been committed")
	}
	commit := commits[0]
	if repo.Run(t, repo.Root(t), nil, "git", append([]string{"status", "--porcelain"}, installed...)...) == "" {
		commit = commits[len(commits)-1]
	}
	t.Logf("from the chart of commit %s", commit)
	archive := repo.Run(t, repo.Root(t), nil, "git", "archive", "--format=tar.gz", "--prefix="+name+"/", commit+":"+directory)
	chart, err := loader.LoadArchive(strings.NewReader(archive))
	expect.NoError(t, err)
	return chart
}
