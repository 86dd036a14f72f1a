// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster reads the objects of private PKIs from an API server.
package cluster

import (
	"context"
	"fmt"
	"io"
	"sync"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/pki"
)

// Cluster is a client of an API server.
type Cluster struct {
	client.Client
	core rest.Interface
}

// The limits of kubectl.
const (
	qps   = 50
	burst = 300
)

// New returns a client that writes the warnings of the API server to a writer.
func New(getter genericclioptions.RESTClientGetter, warnings io.Writer) (*Cluster, error) {
	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("no access to an API server: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = qps, burst
	config.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	c, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		return nil, fmt.Errorf("no access to an API server: %w", err)
	}
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("no access to an API server: %w", err)
	}
	return &Cluster{Client: c, core: core.RESTClient()}, nil
}

func scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(cmapi.AddToScheme(scheme))
	utilruntime.Must(selfsigned.AddToScheme(scheme))
	return scheme
}

// Objects are the objects that a private PKI consists of, in all namespaces.
type Objects struct {
	Certificates   []cmapi.Certificate
	Issuers        []cmapi.Issuer
	ClusterIssuers []cmapi.ClusterIssuer
}

// Objects lists the objects.
func (c *Cluster) Objects(ctx context.Context) (Objects, error) {
	var certificates cmapi.CertificateList
	var issuers cmapi.IssuerList
	var clusterIssuers cmapi.ClusterIssuerList
	for _, list := range []struct {
		resource string
		client.ObjectList
	}{{"certificates", &certificates}, {"issuers", &issuers}, {"clusterissuers", &clusterIssuers}} {
		if err := c.List(ctx, list.ObjectList); err != nil {
			return Objects{}, explain(err, "list", list.resource)
		}
	}
	return Objects{certificates.Items, issuers.Items, clusterIssuers.Items}, nil
}

// explain adds the remedy to an error of a request for a resource of cert-manager.
func explain(err error, verb, resource string) error {
	switch {
	case meta.IsNoMatchError(err):
		return fmt.Errorf("the cluster has no resource %s.%s; install cert-manager: %w", resource, cmapi.SchemeGroupVersion.Group, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("not allowed to %s %s in all namespaces; deploy/examples/kubectl-selfsigned has a ClusterRole that grants it: %w", verb, resource, err)
	default:
		return fmt.Errorf("cannot %s %s: %w", verb, resource, err)
	}
}

// Secrets are the public parts of Secrets, or the errors of reading them.
type Secrets map[types.NamespacedName]Secret

// Secret is the result of reading a Secret.
type Secret struct {
	*pki.Secret
	Err error
}

// parallelReads is how many Secrets are read at a time.
const parallelReads = 10

// Secrets reads Secrets.
func (c *Cluster) Secrets(ctx context.Context, names []types.NamespacedName) Secrets {
	var mutex sync.Mutex
	secrets := Secrets{}
	var group errgroup.Group
	group.SetLimit(parallelReads)
	for _, name := range names {
		group.Go(func() error {
			secret, err := c.Secret(ctx, name)
			mutex.Lock()
			defer mutex.Unlock()
			secrets[name] = Secret{secret, err}
			return nil
		})
	}
	_ = group.Wait() // the errors are in the result
	return secrets
}

// Secret reads the public parts of a Secret. The private key is in the response of the API server,
// which is erased.
func (c *Cluster) Secret(ctx context.Context, name types.NamespacedName) (*pki.Secret, error) {
	result := c.core.Get().Namespace(name.Namespace).Resource("secrets").Name(name.Name).
		SetHeader("Accept", runtime.ContentTypeJSON).Do(ctx)
	if err := result.Error(); err != nil { // it has the status that the API server returns
		return nil, err
	}
	content, err := result.Raw()
	defer clear(content)
	if err != nil {
		return nil, err
	}
	return pki.DecodeSecret(content)
}
