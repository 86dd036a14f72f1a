// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// Hint is an event about a request that is not processed, because it is not approved or not for
// one of our issuers. The status of the request is not written.
type Hint struct {
	Reason    Reason
	EventType string
	Message   string        // words in braces are replaced, see Args
	Delay     time.Duration // after the creation of the request
	args      Args
}

// The reasons of hints. The first one is that of the in-tree issuer.
const (
	ReasonWaitingForApproval Reason = "WaitingForApproval"
	ReasonIssuerKindUnknown  Reason = "IssuerKindUnknown"
	ReasonSignerNameInvalid  Reason = "SignerNameInvalid"
)

// approvalDelay is the time for an approval before it is reported as missing.
// cert-manager's approver takes less than a second.
const approvalDelay = 30 * time.Second

// All hints.
var (
	ApprovalHint = Hint{
		Reason: ReasonWaitingForApproval, EventType: corev1.EventTypeWarning, Delay: approvalDelay,
		Message: "This CertificateRequest was neither approved nor denied within {delay} of its creation. To approve it automatically, cert-manager needs the verb \"approve\" on resource \"signers\" in apiGroup \"cert-manager.io\" for resourceName \"{signer}/*\", which deploy/admin/approver.yaml grants. To approve it manually, run: cmctl approve -n {namespace} {name}",
	}
	CSRApprovalHint = Hint{
		Reason: ReasonWaitingForApproval, EventType: corev1.EventTypeNormal, Delay: approvalDelay,
		Message: "This CertificateSigningRequest was neither approved nor denied within {delay} of its creation. To approve it, run: kubectl certificate approve {name}",
	}
	KindHint = Hint{
		Reason: ReasonIssuerKindUnknown, EventType: corev1.EventTypeWarning,
		Message: "This CertificateRequest will not be signed: apiGroup {group} has no issuer kind \"{kind}\". Set the kind in the issuerRef of the Certificate to SelfSignedIssuer or ClusterSelfSignedIssuer. If you created the CertificateRequest yourself, re-create it with the correct kind.",
	}
	SignerNameHint = Hint{
		Reason: ReasonSignerNameInvalid, EventType: corev1.EventTypeWarning,
		Message: "This CertificateSigningRequest will not be signed: the signer name \"{signer}\" names no issuer. Re-create it with a signer name of the form selfsignedissuers.{group}/NAMESPACE.NAME or clusterselfsignedissuers.{group}/NAME.",
	}
)

// Unless returns the hint with its arguments, or nil if it does not apply.
func (h Hint) Unless(notApplicable bool, args Args) *Hint {
	if notApplicable {
		return nil
	}
	h.args = args
	return &h
}

// About returns the message about an object.
func (h Hint) About(object client.Object) string {
	h.args["delay"], h.args["group"] = h.Delay.String(), selfsigned.GroupName
	h.args["namespace"], h.args["name"] = object.GetNamespace(), object.GetName()
	return h.args.Render(h.Message)
}
