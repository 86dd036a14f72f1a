// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// shared is what all contestants share.
type shared struct {
	cluster      *controlplane.ControlPlane
	certManager  *certmanager.Installation // its webhook, and what makes in-tree issuers Ready
	installation *issuer.Installation
	binary       string
	client       client.WithWatch
	asPlugin     client.Client // with the identity and the rights of the plugin
}

// timeout is how long something may take that normally takes seconds.
const timeout = 3 * time.Minute

// poll is how often a state is looked at that is awaited outside of a measurement.
const poll = 100 * time.Millisecond

func (b *bench) start(ctx context.Context) error {
	program := build.Issuer()
	if b.Race {
		program = build.IssuerRace()
	}
	var err error
	if b.binary, err = build.Build(ctx, program, b.Report); err != nil {
		return err
	}
	b.cluster, err = controlplane.Start(ctx, controlplane.Options{
		Report: b.Report,
		APIServerArgs: []string{
			"--delete-collection-workers=8", // tidying up
			fmt.Sprintf("--profiling=%t", b.Profiles != ""),
		},
	})
	if err != nil {
		return err
	}
	if b.client, err = environment.Client(b.cluster.AdminConfig()); err != nil {
		return err
	}
	b.Report.Say("starting cert-manager's webhook, and installing selfsigned-issuer from %s", issuer.DefaultOverlay)
	b.certManager, err = certmanager.Install(ctx, b.cluster, certmanager.Options{
		Controllers: []string{"clusterissuers"}, Report: b.Report,
	})
	if err != nil {
		return err
	}
	if b.installation, err = issuer.Install(ctx, b.cluster, issuer.DefaultOverlay); err != nil {
		return err
	}
	if b.asPlugin, err = b.pluginClient(ctx); err != nil {
		return err
	}
	version, err := b.cluster.Version(ctx)
	if err != nil {
		return err
	}
	b.result.Versions = fmt.Sprintf("cert-manager %s, Kubernetes %s", b.certManager.Version(), version)
	return b.createIssuers(ctx)
}

func (b *bench) pluginClient(ctx context.Context) (client.Client, error) {
	deployment := b.installation.Deployment
	kubeconfig, err := b.cluster.ServiceAccountKubeconfig(ctx, deployment.Namespace, deployment.Spec.Template.Spec.ServiceAccountName)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return environment.Client(config)
}

func (b *bench) stop() error {
	var errs []error
	if b.certManager != nil {
		errs = append(errs, b.certManager.Stop())
	}
	if b.cluster != nil {
		errs = append(errs, b.cluster.Stop())
	}
	return errors.Join(errs...)
}

// issuerName is the name of both issuers; they are cluster-wide, so that no measurement has
// to make one.
const issuerName = "benchmark"

// createIssuers makes an issuer of each kind and waits until they are Ready: as in a cluster
// that has been in use.
func (b *bench) createIssuers(ctx context.Context) error {
	meta := metav1.ObjectMeta{Name: issuerName}
	inTree := &cmapi.ClusterIssuer{ObjectMeta: meta}
	inTree.Spec.SelfSigned = &cmapi.SelfSignedIssuer{}
	ours := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: meta}
	for _, issuer := range []client.Object{inTree, ours} {
		if err := b.client.Create(ctx, issuer); err != nil {
			return err
		}
	}
	plugin := b.plugin()
	if _, err := plugin.start(ctx, nil); err != nil {
		return errors.Join(err, plugin.stop())
	}
	err := wait.PollUntilContextTimeout(ctx, poll, timeout, true, func(ctx context.Context) (bool, error) {
		for _, issuer := range []client.Object{inTree, ours} {
			if err := b.client.Get(ctx, client.ObjectKeyFromObject(issuer), issuer); err != nil {
				return false, err
			}
		}
		return inTreeReady(inTree) && apimeta.IsStatusConditionTrue(ours.Status.Conditions, "Ready"), nil
	})
	return errors.Join(err, plugin.stop())
}

func inTreeReady(issuer *cmapi.ClusterIssuer) bool {
	for _, condition := range issuer.Status.Conditions {
		if condition.Type == cmapi.IssuerConditionReady {
			return condition.Status == cmmeta.ConditionTrue
		}
	}
	return false
}
