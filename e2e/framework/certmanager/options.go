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

// Options say how cert-manager runs. The zero value is one process with cert-manager's own
// defaults.
type Options struct {
	// Controllers are the controllers to run, by name or by pattern ("certificates-*"); a
	// leading '-' leaves one out. None means those that issue and renew Certificates, with the
	// CA and SelfSigned issuers. Known, but to be asked for, are "ingress-shim", "gateway-shim"
	// (which InstallCRDs installs the Gateway API's CRDs for),
	// "certificatesigningrequests-issuer-ca" and
	// "certificatesigningrequests-issuer-selfsigned".
	Controllers []string
	// OwnProcess names controllers that run in a process of their own each, so that a
	// benchmark can measure one of them.
	OwnProcess []string
	// WebhookApart runs the webhook in a process of its own, as in a user's cluster.
	WebhookApart bool
	// WebhookElsewhere leaves the webhook to another Installation in the same cluster.
	WebhookElsewhere bool

	// QPS, in requests per second, and Burst limit each process's requests to the API server.
	// cert-manager from v1.21 on ignores both when the API server has API Priority and
	// Fairness enabled, which is its default. Zero means 20 and 50.
	QPS   float32
	Burst int
	// Workers is the number of workers of each controller. Zero means 5.
	Workers int
	// FeatureGates are cert-manager's, for the controllers and the webhook.
	FeatureGates map[string]bool
	// Args are further flags of the program; its --help lists them.
	Args []string

	// Report receives progress for a person to read; nil is silent.
	Report build.Reporter
	// OnUnexpectedExit, when set, is called once for each process that ends after Start though
	// nobody asked it to, from another goroutine.
	OnUnexpectedExit func(error)
}

// program is one process to start.
type program struct {
	name        string
	controllers []string
	noWebhook   bool
	webhookOnly bool
}

// programs returns the processes that the options ask for.
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

// flags returns the command line of a process, but for addresses and files.
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
