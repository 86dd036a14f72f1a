// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package page tests the documentation: it runs the commands and applies the manifests in a
// Markdown file, from top to bottom.
//
// The first line of a block determines its type:
//
//	```sh                           run by bash
//	```text output, ```json output  what the block before prints; … stands for any text
//	```yaml                         applied
//	```yaml file="my/file.yaml"     saved, for a later command
//	```mermaid                      a diagram
//	any of them not-run="reason"    shown only, and why
package page
