// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// Replica is a running process of selfsigned-issuer, one replica of the Deployment.
type Replica struct {
	*process.Process
	// HealthURL and MetricsURL are the addresses of its endpoints, without a path.
	HealthURL, MetricsURL string
}

// ReadyPath is the path of the readiness probe in the Deployment.
const ReadyPath = "/readyz/controllers"

// poll is how often readiness is checked. The benchmark measures starts with it.
const poll = 10 * time.Millisecond

// Start runs binary as a replica called name. Arguments are appended to those of the Deployment,
// and override them.
func (i *Installation) Start(ctx context.Context, binary, name string, args ...string) (*Replica, error) {
	kubeconfig, err := i.kubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	health, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	metrics, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	p := &Replica{
		HealthURL:  fmt.Sprintf("http://127.0.0.1:%d", health),
		MetricsURL: fmt.Sprintf("http://127.0.0.1:%d", metrics),
	}
	arguments := append(i.arguments(),
		"--kubeconfig="+kubeconfig,
		fmt.Sprintf("--health-probe-bind-address=127.0.0.1:%d", health),
		fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", metrics))
	environment, err := i.environment()
	if err != nil {
		return nil, err
	}
	p.Process, err = process.Start(process.Options{
		Name:    name,
		Env:     environment,
		Path:    binary,
		Args:    append(arguments, args...),
		LogFile: filepath.Join(i.cluster.LogDir(), name+".log"),
	})
	return p, err
}

// kubeconfig returns the path of a kubeconfig for the ServiceAccount of the Deployment.
func (i *Installation) kubeconfig(ctx context.Context) (string, error) {
	if i.Kubeconfig != "" {
		return i.Kubeconfig, nil
	}
	path, err := i.cluster.ServiceAccountKubeconfig(ctx, i.Deployment.Namespace, i.Deployment.Spec.Template.Spec.ServiceAccountName)
	if err != nil || i.Proxy == nil {
		return path, err
	}
	return i.Proxy.Kubeconfig(path)
}

// arguments returns the container's arguments, expanded as by the kubelet.
func (i *Installation) arguments() []string {
	expand := strings.NewReplacer("$(POD_NAMESPACE)", i.Deployment.Namespace)
	var arguments []string
	for _, argument := range i.Deployment.Spec.Template.Spec.Containers[0].Args {
		arguments = append(arguments, expand.Replace(argument))
	}
	return arguments
}

// environment returns the environment variables of this process and, as the kubelet sets them, of
// the container.
func (i *Installation) environment() ([]string, error) {
	environment := os.Environ()
	container := i.Deployment.Spec.Template.Spec.Containers[0]
	for _, variable := range container.Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			var err error
			if value, err = i.valueFrom(variable.ValueFrom, container); err != nil {
				return nil, fmt.Errorf("environment variable %s: %w", variable.Name, err)
			}
		}
		environment = append(environment, variable.Name+"="+value)
	}
	return environment, nil
}

func (i *Installation) valueFrom(source *corev1.EnvVarSource, container corev1.Container) (string, error) {
	switch {
	case source.FieldRef != nil && source.FieldRef.FieldPath == "metadata.namespace":
		return i.Deployment.Namespace, nil
	case source.ResourceFieldRef != nil && source.ResourceFieldRef.Resource == "limits.memory":
		return fmt.Sprint(container.Resources.Limits.Memory().Value()), nil // in manifests of earlier versions
	default:
		return "", fmt.Errorf("the test environment does not support %v", source)
	}
}

// AwaitReady waits until the readiness probe succeeds. It fails if the process or ctx ends.
func (p *Replica) AwaitReady(ctx context.Context) error {
	var last string
	err := wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		if err := p.Err(); err != nil {
			return false, err
		}
		status, body := Get(ctx, p.HealthURL+ReadyPath)
		last = body
		return status == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("%s did not become ready: %w\n%s\n%s", p.Name(), err, last, p.Tail(20))
	}
	return nil
}

// Get returns the status and body of a URL, or status 0 and the error.
func Get(ctx context.Context, url string) (int, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
