// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package outcome has all outcomes of a request, with their reasons and messages. It renders the
// messages, and makes any text suitable for them.
package outcome

import corev1 "k8s.io/api/core/v1"

// Reason identifies the outcome of a request. It is the reason of the event, and of the
// condition of a failed Kubernetes CSR. Where cert-manager's in-tree SelfSigned issuer has a
// reason for the same outcome, the value is the same.
type Reason string

// State is what an outcome means for the request.
type State int

// The states of a request.
const (
	Pending State = iota // the request is signed when the cause is fixed
	Failed               // final: the request must be re-created
	Denied               // final: an approver denied the request
	Issued               // final: the request has its certificate
)

// String is the value in metrics.
func (s State) String() string { return [...]string{"pending", "failed", "denied", "issued"}[s] }

// The reasons of all outcomes.
const (
	ReasonDenied                Reason = "Denied"
	ReasonIssued                Reason = "CertificateIssued"
	ReasonMissingAnnotation     Reason = "MissingAnnotation"
	ReasonSecretNotFound        Reason = "MissingSecret"
	ReasonMissingOwner          Reason = "MissingOwner"
	ReasonMissingPrivateKey     Reason = "MissingPrivateKey"
	ReasonInvalidPrivateKey     Reason = "ErrorParsingKey"
	ReasonSecretForbidden       Reason = "ForbiddenSecret"
	ReasonSecretReadError       Reason = "ErrorGettingSecret"
	ReasonInvalidRequest        Reason = "ErrorGenerating"
	ReasonWaitingForMatchingKey Reason = "WaitingForMatchingKey"
	ReasonKeyMismatch           Reason = "ErrorKeyMatch"
	ReasonSigningError          Reason = "ErrorSigning"
	ReasonRequestReadError      Reason = "ErrorGettingRequest"
	ReasonIssuerNotFound        Reason = "IssuerNotFound"
	ReasonIssuerReadError       Reason = "ErrorGettingIssuer"
	ReasonIssuerNotChecked      Reason = "IssuerNotChecked"
	ReasonIssuerNotReady        Reason = "IssuerNotReady"
	ReasonIssuerNotServed       Reason = "IssuerNotServed"
	ReasonReferenceDenied       Reason = "DeniedReference"
	ReasonReferenceReviewError  Reason = "ErrorReviewingReference"
	ReasonInvalidDuration       Reason = "InvalidDuration"
)

// Outcome is the state of the request and the message for its user. Words in braces are
// replaced for each request, see Args.
type Outcome struct {
	State     State
	EventType string // type of the event; empty: no event
	Message   string
}

// Table is the table of all outcomes. The message is in the condition and in the event.
var Table = map[Reason]Outcome{
	ReasonIssued: {Issued, corev1.EventTypeNormal,
		"Certificate issued, signed with the private key in Secret {secret}."},
	ReasonDenied: {Denied, "", // the approver sends the event
		"The {kind} was denied by an approver and will not be signed."},

	ReasonMissingAnnotation: {Failed, corev1.EventTypeWarning,
		"The annotation {annotation} is missing or empty. It must name the Secret with the private key of this request. cert-manager sets the annotation for each Certificate. If you created the {kind} yourself, re-create it with the annotation."},
	ReasonInvalidRequest: {Failed, corev1.EventTypeWarning,
		"The request is not valid: {detail}. Correct the Certificate, or re-create the {kind} with a correct spec.request."},
	ReasonInvalidDuration: {Failed, corev1.EventTypeWarning,
		"The requested duration is not valid: {detail}. Re-create the {kind} with a duration of at least {minimum}, in the annotation experimental.cert-manager.io/request-duration or in spec.expirationSeconds."},
	ReasonReferenceDenied: {Failed, corev1.EventTypeWarning,
		"User {user} is not allowed to use {issuer}. Grant the verb \"reference\" on resource \"signers\" in apiGroup \"selfsigned.cert-manager.io\" for the issuer's name in its namespace, and re-create the {kind}."},
	ReasonKeyMismatch: {Failed, corev1.EventTypeWarning,
		"The private key in Secret {secret} has not matched this request for {grace}. For a Certificate, cert-manager creates a new request automatically. Otherwise correct the annotation {annotation} and re-create the {kind}."},
	ReasonSigningError: {Failed, corev1.EventTypeWarning,
		"{issuer} cannot sign the certificate: {detail}. Correct the Certificate or the issuer, and request the certificate again."},

	ReasonSecretNotFound: {Pending, corev1.EventTypeNormal,
		"Waiting for Secret {secret} to be created. The annotation {annotation} names it as the Secret with the private key of this request."},
	ReasonMissingOwner: {Pending, corev1.EventTypeWarning,
		"Secret {secret} with the private key of this request does not exist, and no Certificate owns the request, for example after a restore from a backup. Delete this {kind}: cert-manager does not use it, and cannot create another one with the same name."},
	ReasonMissingPrivateKey: {Pending, corev1.EventTypeWarning,
		"Waiting for the private key of this request: Secret {secret} has no data in \"tls.key\". Store the PEM-encoded private key there."},
	ReasonInvalidPrivateKey: {Pending, corev1.EventTypeWarning,
		"The private key in \"tls.key\" of Secret {secret} is not usable: {detail}. Replace it with the PEM-encoded private key of this request."},
	ReasonSecretForbidden: {Pending, corev1.EventTypeWarning,
		"selfsigned-issuer is not allowed to get Secret {secret}. {role} in {overlay} grants this permission."},
	ReasonSecretReadError: {Pending, corev1.EventTypeWarning,
		"Failed to read Secret {secret}, will retry: {detail}."},
	ReasonWaitingForMatchingKey: {Pending, corev1.EventTypeNormal,
		"The private key in Secret {secret} does not match this request, which is normal while the key is being replaced. The request fails if this lasts for {grace}."},

	ReasonRequestReadError: {Pending, corev1.EventTypeWarning,
		"Failed to read the {kind}, will retry: {detail}."},

	ReasonIssuerNotFound: {Pending, corev1.EventTypeWarning,
		"{issuer} does not exist. Create it, or correct {reference}."},
	ReasonIssuerReadError: {Pending, corev1.EventTypeWarning,
		"Failed to read {issuer}, will retry: {detail}."},
	ReasonIssuerNotChecked: {Pending, corev1.EventTypeNormal,
		"Waiting for {issuer} to become ready."},
	ReasonIssuerNotReady: {Pending, corev1.EventTypeWarning,
		"{issuer} is not ready: {detail}. Correct the issuer."},
	ReasonIssuerNotServed: {Pending, corev1.EventTypeWarning,
		"{issuer} is not served: with --namespaces, selfsigned-issuer serves no cluster issuers. Use a SelfSignedIssuer in this namespace, or install deploy/overlays/default."},
	ReasonReferenceReviewError: {Pending, corev1.EventTypeWarning,
		"Failed to check whether user {user} is allowed to use {issuer}, will retry: {detail}. selfsigned-issuer needs the verb \"create\" on resource \"subjectaccessreviews\" in apiGroup \"authorization.k8s.io\", which deploy/components/kubernetes-csrs grants."},
}

// The reasons of events in addition to ReasonIssued.
const (
	// Adjusted means that the certificate differs from the request as the message describes.
	Adjusted = "Adjusted"

	// BadConfig means that the certificate has an empty subject. The reason is that of the
	// in-tree issuer.
	BadConfig = "BadConfig"
)

// Warnings are the messages of these events. Those of Adjusted are from the signer.
var Warnings = map[string]string{
	Adjusted:  "",
	BadConfig: "The certificate has an empty subject and therefore an empty issuer DN, which RFC 5280 section 4.1.2.4 forbids and strict clients reject. Add a subject to the request. For a Certificate, set spec.commonName or spec.subject.",
}
