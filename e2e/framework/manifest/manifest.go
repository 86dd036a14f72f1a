// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads Kubernetes manifests and applies them the way a careful
// administrator would: by server-side apply, with unknown fields refused.
package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldOwner is who the API server records as the owner of the applied fields: the same as
// of `kubectl apply --server-side`, so that a person can go on from there.
const fieldOwner = "kubectl"

// Decode reads a stream of YAML or JSON documents; empty ones are left out.
func Decode(stream []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read manifest: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// Apply applies the objects in the given order. It takes fields over from other owners, so
// that a second run repairs whatever was changed in between.
func Apply(ctx context.Context, config *rest.Config, objects ...*unstructured.Unstructured) error {
	c, err := strictClient(config)
	if err != nil {
		return err
	}
	for _, object := range objects {
		// Apply writes the server's answer into its argument.
		wanted := client.ApplyConfigurationFromUnstructured(object.DeepCopy())
		if err := c.Apply(ctx, wanted, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
			return fmt.Errorf("cannot apply %s %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
		}
	}
	return nil
}

// DryRun asks the API server whether it would take the objects, and changes nothing.
func DryRun(ctx context.Context, config *rest.Config, objects ...*unstructured.Unstructured) error {
	c, err := strictClient(config)
	if err != nil {
		return err
	}
	for _, object := range objects {
		wanted := client.ApplyConfigurationFromUnstructured(object.DeepCopy())
		if err := c.Apply(ctx, wanted, client.FieldOwner(fieldOwner), client.ForceOwnership, client.DryRunAll); err != nil {
			return fmt.Errorf("would not take %s %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
		}
	}
	return nil
}

func strictClient(config *rest.Config) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // dozens of objects at once must not wait for client-go's default of 5 a second
	c, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("cannot make a client: %w", err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict), nil
}
