// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const examples = "deploy/examples/"

// apply applies files of deploy/examples.
func (s *story) apply(ctx context.Context, files ...string) error {
	args := []string{"apply", "--server-side"}
	for _, file := range files {
		args = append(args, "-f", examples+file)
	}
	return s.show(ctx, args...)
}

// show prints and runs a kubectl command.
func (s *story) show(ctx context.Context, args ...string) error {
	s.console.Printf("$ kubectl %s", strings.Join(args, " "))
	output, err := s.kubectl.Run(ctx, args...)
	if err != nil {
		return err
	}
	s.console.Block(output)
	return nil
}

// quietly runs a kubectl command without printing its output.
func (s *story) quietly(ctx context.Context, args ...string) error {
	_, err := s.kubectl.Run(ctx, args...)
	return err
}

// awaitEvent waits for an event with a reason.
func (s *story) awaitEvent(ctx context.Context, namespace, reason string) error {
	const poll, timeout = 50 * time.Millisecond, 30 * time.Second
	err := wait.PollUntilContextTimeout(ctx, poll, timeout, true, func(ctx context.Context) (bool, error) {
		var list eventsv1.EventList
		if err := s.env.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		for i := range list.Items {
			if list.Items[i].Reason == reason {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("no event %s in namespace %s: %w", reason, namespace, err)
	}
	return nil
}
