// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
)

// ledger stores the first certificate of each request.
type ledger struct {
	mu       sync.Mutex
	first    map[types.UID][]byte
	replaced []string
}

// watchCertificates returns a ledger that watches all requests until ctx ends, also after restarts
// of the API server.
func watchCertificates(ctx context.Context, config *rest.Config) (*ledger, error) {
	l := &ledger{first: map[types.UID][]byte{}}
	objects, err := cache.New(config, cache.Options{Scheme: environment.Scheme()})
	if err != nil {
		return nil, err
	}
	go func() { _ = objects.Start(ctx) }() // ends with ctx
	for _, kind := range []client.Object{&cmapi.CertificateRequest{}, &certificatesv1.CertificateSigningRequest{}} {
		informer, err := objects.GetInformer(ctx, kind)
		if err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    l.see,
			UpdateFunc: func(_, object any) { l.see(object) },
		}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *ledger) see(seen any) {
	object := seen.(client.Object)
	l.mu.Lock()
	defer l.mu.Unlock()
	first, certificate := l.first[object.GetUID()], certificateOf(object)
	switch {
	case first == nil && len(certificate) > 0:
		l.first[object.GetUID()] = slices.Clone(certificate)
	case first != nil && !bytes.Equal(first, certificate):
		l.replaced = append(l.replaced, fmt.Sprintf("%T %s: its certificate\n%s\nbecame\n%s", object, client.ObjectKeyFromObject(object), first, certificate))
	}
}

// problems returns the replaced certificates since the last call.
func (l *ledger) problems() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	replaced := l.replaced
	l.replaced = nil
	return replaced
}

// differs reports whether a request has another certificate than its first one.
func (l *ledger) differs(object client.Object) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.first[object.GetUID()]
	return first != nil && !bytes.Equal(first, certificateOf(object))
}

func certificateOf(object client.Object) []byte {
	if request, ok := object.(*cmapi.CertificateRequest); ok {
		return request.Status.Certificate
	}
	return object.(*certificatesv1.CertificateSigningRequest).Status.Certificate
}
