// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
)

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
