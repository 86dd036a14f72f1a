// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// Prometheus is a running server.
type Prometheus struct {
	*process.Process
	url string
}

const configuration = `
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yaml]
scrape_configs:
- job_name: selfsigned-issuer-metrics
  static_configs: [{targets: [%q]}]
- job_name: cert-manager
  static_configs: [{targets: [%q], labels: {namespace: cert-manager}}]
`

// Start runs the Prometheus program with the component's alerts. It scrapes one replica and the
// address of cert-manager, as a ServiceMonitor does, and stores its data in dir.
func Start(program, dir string, replica *issuer.Replica, certManager string) (*Prometheus, error) {
	if err := writeRules(dir); err != nil {
		return nil, err
	}
	target := strings.TrimPrefix(replica.MetricsURL, "http://")
	config := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, target, certManager), 0o600); err != nil {
		return nil, err
	}
	port, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	server, err := process.Start(process.Options{
		Name:    "prometheus",
		Path:    program,
		Args:    []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address},
		LogFile: filepath.Join(dir, "prometheus.log"),
	})
	return &Prometheus{server, "http://" + address}, err
}

// get decodes the data of an API response.
func (p *Prometheus) get(ctx context.Context, path string, data any) error {
	status, body := issuer.Get(ctx, p.url+"/api/v1/"+path)
	if status != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", path, status, body)
	}
	return json.Unmarshal([]byte(body), &struct{ Data any }{data})
}

// Query returns the current values of an expression.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]float64, error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := p.get(ctx, "query?query="+url.QueryEscape(expr), &data); err != nil {
		return nil, err
	}
	var values []float64
	for _, result := range data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(result.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// RuleHealth returns "ok" or the error of the evaluation of each alert.
func (p *Prometheus) RuleHealth(ctx context.Context) (map[string]string, error) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get(ctx, "rules", &data); err != nil {
		return nil, err
	}
	health := map[string]string{}
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			health[rule.Name] = strings.TrimSpace(rule.Health + " " + rule.LastError)
		}
	}
	return health, nil
}
