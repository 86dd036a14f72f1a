// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// AddUser creates a client certificate for a user, whose permissions are those of RBAC for its name
// and groups. The kubeconfig contains it; its path depends on the name.
func (c *ControlPlane) AddUser(name string, groups ...string) (config *rest.Config, kubeconfig string, err error) {
	pair, err := c.ca.client(name, groups...)
	if err != nil {
		return nil, "", err
	}
	kubeconfig = c.kubeconfigPath(name)
	auth := clientcmdapi.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key}
	config, err = c.writeKubeconfig(kubeconfig, name, auth)
	return config, kubeconfig, err
}

// ServiceAccountToken requests a token of a ServiceAccount, which must exist. The API server
// rejects lifetimes below ten minutes.
func (c *ControlPlane) ServiceAccountToken(ctx context.Context, namespace, name string, lifetime time.Duration) (string, error) {
	client, err := kubernetes.NewForConfig(c.AdminConfig())
	if err != nil {
		return "", err
	}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(lifetime.Seconds()))},
	}
	response, err := client.CoreV1().ServiceAccounts(namespace).
		CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("cannot get a token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return response.Status.Token, nil
}

// ServiceAccountKubeconfig writes a kubeconfig for a ServiceAccount, which must exist, and returns
// its path. The token is in a separate file, as in a Pod: the kubeconfig's path with the suffix
// .token. It is valid for a day, and can be replaced at any time; client-go reads it every minute.
func (c *ControlPlane) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	token, err := c.ServiceAccountToken(ctx, namespace, name, 24*time.Hour)
	if err != nil {
		return "", err
	}
	path := c.kubeconfigPath(namespace + "." + name)
	tokenFile := path + ".token"
	if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
		return "", err
	}
	_, err = c.writeKubeconfig(path, name, clientcmdapi.AuthInfo{TokenFile: tokenFile})
	return path, err
}

func (c *ControlPlane) kubeconfigPath(name string) string {
	return c.path(filepath.Base(name) + ".kubeconfig")
}

func (c *ControlPlane) writeKubeconfig(path, user string, auth clientcmdapi.AuthInfo) (*rest.Config, error) {
	const name = "selfsigned-issuer-e2e"
	server, ca := c.endpoint()
	kubeconfig := clientcmdapi.Config{
		CurrentContext: name,
		Clusters: map[string]*clientcmdapi.Cluster{name: {
			Server: server, CertificateAuthorityData: ca,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{user: &auth},
		Contexts:  map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: user}},
	}
	if err := clientcmd.WriteToFile(kubeconfig, path); err != nil {
		return nil, err
	}
	return clientcmd.NewDefaultClientConfig(kubeconfig, nil).ClientConfig()
}
