// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/cert-manager/selfsigned-issuer/controllers"
)

// flagGroup is a topic of --help and of docs/flags.md.
type flagGroup struct {
	title string
	add   func(*options, *pflag.FlagSet)
}

var flagGroups = []flagGroup{
	{"Signing", (*options).addSigningFlags},
	{"API server", (*options).addConnectionFlags},
	{"Replicas", (*options).addReplicaFlags},
	{"Metrics and health", (*options).addServingFlags},
	{"Log", (*options).addLogFlags},
	{"Other", (*options).addOtherFlags},
}

// addFlags registers all flags with their defaults.
func (o *options) addFlags(flags *pflag.FlagSet) {
	for _, group := range flagGroups {
		group.add(o, flags)
	}
}

func (o *options) addSigningFlags(flags *pflag.FlagSet) {
	flags.IntVar(&o.concurrency, "concurrency", 100, "how many requests of a kind are handled at the same time")
	flags.DurationVar(&o.keyMismatchGrace, "key-mismatch-grace", time.Minute, "how long a request waits for its Secret to hold its private key when the Secret holds another one")
	flags.IntVar(&o.maxCertificateSize, "max-certificate-size", controllers.DefaultMaxCertificateSize, "Maximum size in bytes of a PEM-encoded certificate request. cert-manager's controller has a flag with the same name and default: for a larger CertificateRequest, raise both.")
	flags.IntVar(&o.maxPrivateKeySize, "max-private-key-size", controllers.DefaultMaxPrivateKeySize, "Maximum size in bytes of tls.key in a Secret. Name and default are those of cert-manager's controller.")
	flags.StringSliceVar(&o.namespaces, "namespaces", nil, "serve these namespaces alone, with rights in them alone: no cluster issuers, no Kubernetes CSRs; empty: serve all namespaces")
	flags.BoolVar(&o.watchSecrets, "watch-secrets", true, "Watch the metadata of the Secrets that cert-manager labels, to notice their changes at once. Pending requests poll other Secrets every 1 to 30 seconds. If false, they poll all Secrets, and only the permission to get Secrets is needed.")
	flags.BoolVar(&o.kubernetesCSRs, "kubernetes-csrs", false, "also sign Kubernetes CertificateSigningRequests; needs the rights of deploy/components/kubernetes-csrs")
	flags.StringVar(&o.clusterResourceNamespace, "cluster-resource-namespace", "cert-manager", "namespace of the private keys for Kubernetes CSRs that name a ClusterSelfSignedIssuer")
}

func (o *options) addConnectionFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "file with the address and credentials of the API server; empty: the Pod's ServiceAccount")
	flags.Float32Var(&o.kubeAPIQPS, "kube-api-qps", -1, "most requests a second to the API server; -1: no limit here, the API server's own flow control governs")
	flags.IntVar(&o.kubeAPIBurst, "kube-api-burst", 100, "most requests at once above --kube-api-qps, when that is set")
}

func (o *options) addReplicaFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "only sign while holding the Lease, so that several replicas can run")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "namespace of the Lease; empty: the Pod's namespace")
	flags.DurationVar(&o.leaseDuration, "leader-election-lease-duration", 15*time.Second, "how long a standby waits after the last renewal of the Lease before it acquires the Lease, in whole seconds")
	flags.DurationVar(&o.renewDeadline, "leader-election-renew-deadline", 10*time.Second, "how long the leader goes on while the API server refuses to renew the Lease")
	flags.DurationVar(&o.retryPeriod, "leader-election-retry-period", 2*time.Second, "how often the leader renews the Lease; a standby reads it about 2.5 times as often")
}

func (o *options) addServingFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "address of the Prometheus metrics; 0: none")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", false, "serve the metrics by HTTPS, and only to clients that the API server allows to get /metrics")
	flags.StringVar(&o.metricsCertDir, "metrics-cert-dir", "", "directory with tls.crt and tls.key for --metrics-secure, read again when they change; empty: a certificate that nobody can verify")
	flags.StringVar(&o.metricsClientCA, "metrics-client-ca-file", "", "let --metrics-secure ask for a client certificate of an authority in this file, read again for each connection, instead of asking the API server")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0: none")
}

func (o *options) addLogFlags(flags *pflag.FlagSet) {
	flags.IntVar(&o.logLevel, "log-level", 0, fmt.Sprintf("verbosity of the log, 0 to %d; secrets are never logged", maxLogLevel))
	flags.StringVar(&o.logFormat, "log-format", formatText, "format of the log: text or json")
}

func (o *options) addOtherFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	flags.BoolVarP(&o.help, "help", "h", false, "print this help and exit")
}

// helpWidth fits the narrowest usual terminal.
const helpWidth = 80

// help is what --help prints.
func help() string {
	var text strings.Builder
	text.WriteString(`selfsigned-issuer is an external issuer for cert-manager: it signs certificates
with their own private key.

Usage:
  selfsigned-issuer [flags]
`)
	for _, group := range flagGroups {
		flags := pflag.NewFlagSet(group.title, pflag.ContinueOnError)
		flags.SortFlags = false
		group.add(&options{}, flags)
		fmt.Fprintf(&text, "\n%s:\n%s", group.title, flags.FlagUsagesWrapped(helpWidth))
	}
	text.WriteString(`
Exit status:
  0  stopped by SIGINT or SIGTERM, or printed what was asked for
  1  failed: one line on stderr says why
  2  wrong command line: one line on stderr says what is wanted
`)
	return text.String()
}
