//go:build tools

// Package kine pins kine, the SQLite shim beneath upstream's API server in our comparisons.
package kine

import _ "github.com/k3s-io/kine"
