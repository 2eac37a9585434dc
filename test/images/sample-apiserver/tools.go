//go:build tools

// Package sampleapiserver pins the aggregated API server of the test images.
package sampleapiserver

import _ "k8s.io/sample-apiserver"
