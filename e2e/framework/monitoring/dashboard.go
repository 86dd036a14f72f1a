// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Query is one query of the dashboard.
type Query struct {
	Panel, Expr string
}

// rateInterval replaces Grafana's $__rate_interval.
const rateInterval = "10s"

// Queries returns the queries of the dashboard, as Grafana sends them.
func Queries() ([]Query, error) {
	config, err := rendered("ConfigMap", "selfsigned-issuer-dashboard")
	if err != nil {
		return nil, err
	}
	content, _, err := unstructured.NestedString(config.Object, "data", "dashboard.json")
	if err != nil {
		return nil, err
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(content), &dashboard); err != nil {
		return nil, err
	}
	var queries []Query
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, Query{panel.Title, strings.ReplaceAll(target.Expr, "$__rate_interval", rateInterval)})
		}
	}
	return queries, nil
}
