//go:build tools

// Package kubernetes pins the Kubernetes programs that the end-to-end tests run.
// It is a module of its own because k8s.io/kubernetes needs a replace directive for each
// of its staging modules, and those must not leak into any other module.
package kubernetes

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
