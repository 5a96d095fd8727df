// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// How to connect: lines "name=value" with ca, pair (a certificate and its key), mechanism, user and password.
func security() []kgo.Opt {
	file := os.Getenv("COMPAT_SECURITY")
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	fail(err)
	given := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		name, value, _ := strings.Cut(line, "=")
		given[name] = value
	}
	pem, err := os.ReadFile(given["ca"])
	fail(err)
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if given["pair"] != "" {
		pair, err := tls.LoadX509KeyPair(given["pair"], given["pair"])
		fail(err)
		config.Certificates = []tls.Certificate{pair}
	}
	options := []kgo.Opt{kgo.DialTLSConfig(config)}
	auth := scram.Auth{User: given["user"], Pass: given["password"]}
	switch given["mechanism"] {
	case "PLAIN":
		options = append(options, kgo.SASL(plain.Auth{User: given["user"], Pass: given["password"]}.AsMechanism()))
	case "SCRAM-SHA-256":
		options = append(options, kgo.SASL(auth.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		options = append(options, kgo.SASL(auth.AsSha512Mechanism()))
	}
	return options
}
