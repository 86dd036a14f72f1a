// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	utilfeature "github.com/cert-manager/cert-manager/pkg/util/feature"
	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// options are the flags. Those that cert-manager also has have the same names and defaults.
type options struct {
	kubeconfig        string
	webhookKubeconfig string

	controllers              []string
	qps                      float32
	burst                    int
	workers                  int
	clusterResourceNamespace string
	defaultIssuer            cmmeta.IssuerReference
	healthAddress            string
	metricsAddress           string

	noWebhook      bool
	webhookOnly    bool
	webhookAddress string
	certFile       string
	keyFile        string

	featureGates map[string]bool
	logging      logsapi.LoggingConfiguration
}

// parseOptions parses and validates the flags. It returns pflag.ErrHelp after printing the help text.
func parseOptions(args []string) (*options, error) {
	o := &options{}
	flags := pflag.NewFlagSet("certmanager", pflag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(os.Stdout, "cert-manager's controllers and webhook in one process.\n\n%s", flags.FlagUsages())
	}
	o.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: everything is set by flags", flags.Arg(0))
	}
	if o.webhookKubeconfig == "" {
		o.webhookKubeconfig = o.kubeconfig
	}
	return o, o.validate()
}

func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the controllers' ServiceAccount (required)")
	flags.StringVar(&o.webhookKubeconfig, "webhook-kubeconfig", "", "kubeconfig of the webhook's ServiceAccount (default: --kubeconfig)")
	o.addControllerFlags(flags)
	o.addWebhookFlags(flags)
	flags.Var(cliflag.NewMapStringBool(&o.featureGates), "feature-gates",
		"cert-manager's feature gates, for controllers and webhook alike:\n"+
			strings.Join(utilfeature.DefaultFeatureGate.KnownFeatures(), "\n"))
	logsapi.SetRecommendedLoggingConfiguration(&o.logging)
	o.logging.Verbosity = 2 // as in cert-manager's chart
	logf.AddFlagsNonDeprecated(&o.logging, flags)
}

func (o *options) addControllerFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.controllers, "controllers", defaultControllers,
		"controllers to run, by name or pattern; a leading '-' leaves one out; known are:\n"+
			strings.Join(knownControllers(), "\n"))
	flags.Float32Var(&o.qps, "kube-api-qps", 20,
		"requests per second to the API server; cert-manager from v1.21 on ignores it when the server has API Priority and Fairness enabled")
	flags.IntVar(&o.burst, "kube-api-burst", 50, "burst above --kube-api-qps")
	flags.IntVar(&o.workers, "concurrent-workers", 5, "workers of each controller")
	flags.StringVar(&o.clusterResourceNamespace, "cluster-resource-namespace", "cert-manager", "namespace of the Secrets that cluster-scoped issuers name")
	flags.StringVar(&o.defaultIssuer.Name, "default-issuer-name", "", "name of the issuer for Ingresses and Gateways that name none")
	flags.StringVar(&o.defaultIssuer.Kind, "default-issuer-kind", "Issuer", "its kind")
	flags.StringVar(&o.defaultIssuer.Group, "default-issuer-group", "cert-manager.io", "its group")
	flags.StringVar(&o.metricsAddress, "metrics-listen-address", "", "host:port that serves GET /metrics, with those of Certificates (default: none)")
	flags.StringVar(&o.healthAddress, "healthz-listen-address", "", "host:port that answers GET /readyz once the controllers' caches have synced (default: none)")
}

func (o *options) addWebhookFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.noWebhook, "no-webhook", false, "run the controllers without the webhook")
	flags.BoolVar(&o.webhookOnly, "webhook-only", false, "run the webhook without the controllers")
	flags.StringVar(&o.webhookAddress, "webhook-address", "", "host:port that the webhook listens on")
	flags.StringVar(&o.certFile, "tls-cert-file", "", "PEM file with the webhook's serving certificate")
	flags.StringVar(&o.keyFile, "tls-private-key-file", "", "PEM file with the webhook's private key")
}

func (o *options) runsControllers() bool { return !o.webhookOnly }

func (o *options) runsWebhook() bool { return !o.noWebhook }

func (o *options) validate() error {
	if o.kubeconfig == "" {
		return errors.New("--kubeconfig is required")
	}
	if o.noWebhook && o.webhookOnly {
		return errors.New("--no-webhook and --webhook-only cannot be used together")
	}
	if o.workers < 1 {
		return fmt.Errorf("--concurrent-workers is %d, must be at least 1", o.workers)
	}
	if _, err := selectControllers(o.controllers, knownControllers()); err != nil {
		return fmt.Errorf("--controllers: %w", err)
	}
	if err := utilfeature.DefaultMutableFeatureGate.DeepCopy().SetFromMap(o.featureGates); err != nil {
		return fmt.Errorf("--feature-gates: %w", err)
	}
	return o.validateWebhook()
}

func (o *options) validateWebhook() error {
	if !o.runsWebhook() {
		return nil
	}
	if _, _, err := net.SplitHostPort(o.webhookAddress); err != nil {
		return fmt.Errorf("--webhook-address: want host:port: %w", err)
	}
	if o.certFile == "" || o.keyFile == "" {
		return errors.New("the webhook needs --tls-cert-file and --tls-private-key-file")
	}
	return nil
}
