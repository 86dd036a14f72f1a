// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
)

// Options configure cert-manager. The zero value is one process with cert-manager's defaults.
type Options struct {
	// Controllers are the controllers to run, by name or by pattern ("certificates-*"); a leading
	// '-' excludes one. By default, these issue and renew Certificates, with the CA and SelfSigned
	// issuers. Off by default are "ingress-shim", "gateway-shim" (InstallCRDs installs the CRDs of
	// the Gateway API for it), "certificatesigningrequests-issuer-ca" and
	// "certificatesigningrequests-issuer-selfsigned".
	Controllers []string
	// OwnProcess names controllers that each run in their own process, so that a benchmark can
	// measure it.
	OwnProcess []string
	// WebhookApart runs the webhook in its own process, as in a user's cluster.
	WebhookApart bool
	// WebhookElsewhere leaves the webhook to another Installation in the same cluster.
	WebhookElsewhere bool

	// QPS, in requests per second, and Burst limit each process's requests to the API server.
	// cert-manager v1.21 and later ignore both if the API server uses API Priority and Fairness,
	// which is its default. Zero means 20 and 50.
	QPS   float32
	Burst int
	// Workers is the number of workers of each controller. Zero means 5.
	Workers int
	// FeatureGates are cert-manager's, for the controllers and the webhook.
	FeatureGates map[string]bool
	// Args are further flags of the program; its --help lists them.
	Args []string

	// Report receives progress; it may be nil.
	Report build.Reporter
	// OnUnexpectedExit, if set, is called from another goroutine for each process that ends
	// unexpectedly after Start.
	OnUnexpectedExit func(error)
}

// program is one process to start.
type program struct {
	name        string
	controllers []string
	noWebhook   bool
	webhookOnly bool
}

// programs returns the processes to start.
func (o Options) programs() []program {
	core := program{name: "cert-manager", controllers: slices.Clone(o.Controllers), noWebhook: o.WebhookApart || o.WebhookElsewhere}
	var apart []program
	for _, controller := range o.OwnProcess {
		core.controllers = append(core.controllers, "-"+controller)
		apart = append(apart, program{
			name: "cert-manager-" + controller, controllers: []string{controller}, noWebhook: true,
		})
	}
	if o.WebhookApart {
		apart = append(apart, program{name: "cert-manager-webhook", webhookOnly: true})
	}
	return append([]program{core}, apart...)
}

// flags returns the flags of a process, without addresses and files.
func (o Options) flags(p program) []string {
	flags := []string{"--cluster-resource-namespace=" + Namespace}
	if p.noWebhook {
		flags = append(flags, "--no-webhook")
	}
	if p.webhookOnly {
		flags = append(flags, "--webhook-only")
	}
	if len(p.controllers) > 0 {
		flags = append(flags, "--controllers="+strings.Join(p.controllers, ","))
	}
	if o.QPS != 0 {
		flags = append(flags, fmt.Sprintf("--kube-api-qps=%g", o.QPS))
	}
	if o.Burst != 0 {
		flags = append(flags, fmt.Sprintf("--kube-api-burst=%d", o.Burst))
	}
	if o.Workers != 0 {
		flags = append(flags, fmt.Sprintf("--concurrent-workers=%d", o.Workers))
	}
	for _, gate := range slices.Sorted(maps.Keys(o.FeatureGates)) {
		flags = append(flags, fmt.Sprintf("--feature-gates=%s=%t", gate, o.FeatureGates[gate]))
	}
	return append(flags, o.Args...)
}
