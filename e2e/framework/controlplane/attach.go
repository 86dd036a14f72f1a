// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
)

// Attach returns the running cluster of the current context of the usual kubeconfig files
// (KUBECONFIG), whose user must be an administrator. It has no processes: Stop only removes the
// directory of kubeconfigs and logs.
func Attach(report build.Reporter) (*ControlPlane, error) {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("KUBECONFIG names no cluster: %w", err)
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "selfsigned-issuer-")
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{opts: Options{Report: report}, dir: dir, admin: config, ready: true}
	if err := os.Mkdir(c.LogDir(), 0o700); err != nil {
		return nil, err
	}
	return c, c.keepKubeconfig(loader)
}

// keepKubeconfig writes only the current context, with everything that it refers to.
func (c *ControlPlane) keepKubeconfig(loader clientcmd.ClientConfig) error {
	kubeconfig, err := loader.RawConfig()
	if err != nil {
		return err
	}
	if err := clientcmdapi.MinifyConfig(&kubeconfig); err != nil {
		return err
	}
	if err := clientcmdapi.FlattenConfig(&kubeconfig); err != nil {
		return err
	}
	return clientcmd.WriteToFile(kubeconfig, c.AdminKubeconfig())
}

// endpoint returns the address of the API server and its CA certificates.
func (c *ControlPlane) endpoint() (server string, ca []byte) {
	if c.ca == nil { // attached
		return c.admin.Host, c.admin.CAData
	}
	return c.URL(), c.ca.pem()
}
