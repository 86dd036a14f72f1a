// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/sha256"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// unconfirmed remembers status writes that failed with another error than a conflict, because the
// API server may have accepted them. If the object has the status later, the write is reported
// as usual.
type unconfirmed[T any] struct{ writes *cache.LRUExpireCache }

// unconfirmedWrites are the last attempts to write one object.
type unconfirmedWrites[T any] struct {
	uid      types.UID
	attempts []T
}

const (
	// There are fewer slots, and so fewer writes in progress when the API server fails.
	maxUnconfirmed         = 256
	maxUnconfirmedAttempts = 4
	unconfirmedFor         = time.Hour
)

func newUnconfirmed[T any]() unconfirmed[T] {
	return unconfirmed[T]{cache.NewLRUExpireCache(maxUnconfirmed)}
}

// add remembers an attempt to write an object.
func (u unconfirmed[T]) add(object client.Object, attempt T) {
	attempts := append(u.of(object), attempt)
	attempts = attempts[max(0, len(attempts)-maxUnconfirmedAttempts):]
	u.writes.Add(client.ObjectKeyFromObject(object), unconfirmedWrites[T]{object.GetUID(), attempts}, unconfirmedFor)
}

// of returns the remembered attempts to write an object.
func (u unconfirmed[T]) of(object client.Object) []T {
	if known, ok := u.writes.Get(client.ObjectKeyFromObject(object)); ok {
		if writes := known.(unconfirmedWrites[T]); writes.uid == object.GetUID() {
			return writes.attempts
		}
	}
	return nil
}

// forget drops an object that was written or deleted.
func (u unconfirmed[T]) forget(key types.NamespacedName) { u.writes.Remove(key) }

// unconfirmedEnd is a final decision, without the certificate.
type unconfirmedEnd struct {
	decision *outcome.Decision
	digest   [sha256.Size]byte // of request.end
}

func unconfirmedEndOf(d *outcome.Decision) unconfirmedEnd {
	end := d.Message
	if d.State() == outcome.Issued {
		end = string(d.Certificate.PEM)
	}
	kept := *d
	kept.Certificate.PEM = nil
	return unconfirmedEnd{&kept, sha256.Sum256([]byte(end))}
}

// confirm records the decision on a finished request if its write was unconfirmed. The cache does
// not keep the certificate or the message of a finished request.
func (a *attempt) confirm(ctx context.Context) error {
	if a.request == nil || !a.request.Finished() {
		return nil
	}
	ends := a.unconfirmed.of(a.request.Object())
	if len(ends) == 0 {
		return nil
	}
	if !a.acquireSlot() {
		return nil
	}
	whole, err := a.requests.get(ctx, a.kind, a.request.Object())
	if whole == nil || err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(a.kind.Wrap(whole).End()))
	for _, end := range ends {
		if end.digest == digest {
			a.decision = end.decision
			a.record(true)
			return nil
		}
	}
	return nil
}
