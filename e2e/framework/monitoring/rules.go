// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package monitoring tests deploy/components/monitoring, its alerts and the queries of its
// dashboard, with Prometheus.
package monitoring

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// rendered returns an object of the overlay that has the component.
func rendered(kind, name string) (*unstructured.Unstructured, error) {
	objects, err := issuer.Render(issuer.ProductionOverlay)
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object, nil
		}
	}
	return nil, fmt.Errorf("%s has no %s %s", issuer.ProductionOverlay, kind, name)
}

// Alert is one alerting rule.
type Alert struct {
	Alert       string            `json:"alert"`
	Annotations map[string]string `json:"annotations"`
}

// Alerts returns all alerts.
func Alerts() ([]Alert, error) {
	data, err := rules()
	if err != nil {
		return nil, err
	}
	var file struct {
		Groups []struct {
			Rules []Alert `json:"rules"`
		} `json:"groups"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	var alerts []Alert
	for _, group := range file.Groups {
		alerts = append(alerts, group.Rules...)
	}
	if len(alerts) == 0 {
		return nil, errors.New("no alerts")
	}
	return alerts, nil
}

// rules returns the content of a rule file, which is the spec of a PrometheusRule as JSON.
func rules() ([]byte, error) {
	rule, err := rendered("PrometheusRule", "selfsigned-issuer")
	if err != nil {
		return nil, err
	}
	return json.Marshal(rule.Object["spec"])
}

// writeRules writes them as dir/rules.yaml.
func writeRules(dir string) error {
	data, err := rules()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "rules.yaml"), data, 0o600)
}
