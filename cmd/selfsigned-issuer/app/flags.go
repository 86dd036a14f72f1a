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

// flagGroup is a section of --help and of docs/flags.md.
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
	flags.IntVar(&o.maxConcurrentReconciles, "max-concurrent-reconciles", 100, "Maximum number of concurrent reconciles for each kind of request.")
	flags.DurationVar(&o.keyMismatchGracePeriod, "key-mismatch-grace-period", time.Minute, "How long a request stays pending while its Secret contains another private key. Then the request fails.")
	flags.IntVar(&o.maxCertificateSize, "max-certificate-size", controllers.DefaultMaxCertificateSize, "Maximum size in bytes of a PEM-encoded certificate request. cert-manager's controller has the same flag: for a larger CertificateRequest, raise both.")
	flags.IntVar(&o.maxPrivateKeySize, "max-private-key-size", controllers.DefaultMaxPrivateKeySize, "Maximum size in bytes of tls.key in a Secret. cert-manager's controller has the same flag.")
	flags.StringSliceVar(&o.namespaces, "namespaces", nil, "Serve only these namespaces, with permissions only there. ClusterSelfSignedIssuers and Kubernetes CSRs are then not served. If empty, serve all namespaces.")
	flags.BoolVar(&o.watchSecrets, "watch-secrets", true, `Watch Secret metadata to react to changes immediately. If false, pending requests poll their Secret every 1 to 30 seconds and only the "get" permission is needed.`)
	flags.BoolVar(&o.enableCSRs, "enable-certificate-signing-requests", false, "Experimental: also sign Kubernetes CertificateSigningRequests. This requires the permissions in deploy/components/kubernetes-csrs.")
	flags.StringVar(&o.clusterResourceNamespace, "cluster-resource-namespace", "cert-manager", "Experimental: namespace of the private keys of Kubernetes CSRs for a ClusterSelfSignedIssuer.")
}

func (o *options) addConnectionFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Path of a kubeconfig. If empty, use the environment variable KUBECONFIG, the ServiceAccount of the Pod, or ~/.kube/config, in this order.")
	flags.Float32Var(&o.kubeAPIQPS, "kube-api-qps", -1, "Maximum requests to the API server per second. -1 means no limit: the API server's flow control applies.")
	flags.IntVar(&o.kubeAPIBurst, "kube-api-burst", 100, "Maximum burst of requests above --kube-api-qps, if that is set.")
}

func (o *options) addReplicaFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "Sign only while holding the Lease, so that several replicas can run.")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "Namespace of the Lease. If empty, use the namespace of the Pod.")
	flags.DurationVar(&o.leaseDuration, "leader-election-lease-duration", 15*time.Second, "How long a standby waits after the last renewal of the Lease before it acquires the Lease, in whole seconds.")
	flags.DurationVar(&o.renewDeadline, "leader-election-renew-deadline", 10*time.Second, "How long the leader continues while the API server refuses to renew the Lease.")
	flags.DurationVar(&o.retryPeriod, "leader-election-retry-period", 2*time.Second, "How often the leader renews the Lease. A standby reads it about 2.5 times as often.")
}

func (o *options) addServingFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "Address of the Prometheus metrics. 0 disables them.")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", false, "Serve the metrics over HTTPS, only to clients that the API server allows to get /metrics.")
	flags.StringVar(&o.metricsCertDir, "metrics-cert-dir", "", "Directory with tls.crt and tls.key for --metrics-secure, which are reloaded when they change. If empty, use a generated certificate, which clients cannot verify.")
	flags.StringVar(&o.metricsClientCA, "metrics-client-ca-file", "", "File with CA certificates for --metrics-secure, which is reloaded for each connection. If set, clients need a certificate from one of these CAs instead of a permission.")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz. 0 disables them.")
}

func (o *options) addLogFlags(flags *pflag.FlagSet) {
	flags.IntVar(&o.logLevel, "log-level", 0, fmt.Sprintf("Verbosity of the log, from 0 to %d. Secrets are never logged.", maxLogLevel))
	flags.StringVar(&o.logFormat, "log-format", formatText, "Format of the log: text or json.")
}

func (o *options) addOtherFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.version, "version", false, "Print the version and exit.")
	flags.BoolVarP(&o.help, "help", "h", false, "Print this help and exit.")
}

// helpWidth fits a terminal with 80 columns.
const helpWidth = 80

// help is what --help prints.
func help() string {
	var text strings.Builder
	text.WriteString(`selfsigned-issuer is a cert-manager external issuer for self-signed
certificates.

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
  0  Stopped by SIGINT or SIGTERM, or printed the help or the version.
  1  Failed. The last line on stderr has the reason.
  2  Invalid command line. The line on stderr has the valid values.
`)
	return text.String()
}
