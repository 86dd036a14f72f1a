// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package page keeps the documentation true: every command and every manifest in a
// Markdown file of this repository is run or applied, page by page, from top to bottom, as a
// reader would.
//
// What a block is follows from the line that opens it:
//
//	```sh                           run by bash
//	```text output, ```json output  what the block before prints; … stands for any text
//	```yaml                         applied
//	```yaml file="my/file.yaml"     saved, for a later command
//	```mermaid                      a diagram
//	any of them not-run="reason"    shown only, and why
package page
