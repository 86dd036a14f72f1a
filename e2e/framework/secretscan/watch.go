// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package secretscan

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Watch adds all private keys in Secrets of the cluster, until ctx ends. It returns when it has
// added the existing ones.
func (f *Finder) Watch(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	handler, err := factory.Core().V1().Secrets().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    f.addSecret,
		UpdateFunc: func(_, secret any) { f.addSecret(secret) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
		return errors.New("the Secrets of the cluster were not listed")
	}
	return nil
}

func (f *Finder) addSecret(object any) {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return
	}
	for entry, data := range secret.Data {
		for _, number := range Secrets(data) {
			f.Add("the private key in Secret "+secret.Namespace+"/"+secret.Name+", "+entry, number)
		}
	}
}
