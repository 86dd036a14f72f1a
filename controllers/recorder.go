// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// maxNote is the longest note, in bytes, that the API server takes in an event.
// Source: validation of events.k8s.io/v1.
const maxNote = 1024

// plainRecorder sends notes as they are. issuer-lib passes finished texts where a format
// string is expected, which mangles a "%" in them, and an overlong note would be refused.
type plainRecorder struct {
	events.EventRecorder
}

// Eventf sends one event with a bounded note.
func (p plainRecorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	if len(args) > 0 {
		note = fmt.Sprintf(note, args...)
	}
	p.EventRecorder.Eventf(regarding, related, eventType, reason, action, "%s", truncate(note, maxNote))
}
