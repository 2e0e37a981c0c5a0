// Command tollgate is the one binary: the proxy, a demo of it, the simulated
// upstream, and the operator's verbs. It only wires the parts together.
//
//	main.go, root.go   the program and its verbs; errors and exit codes
//	flags.go           amounts and times as flags
//	output.go          JSON, tables, amounts and times; receipt.go: a receipt on one line
//	connect.go         configuration, ledger and prices for a verb
//	service.go         listeners, drain and signals, for serve and demo
//	collector.go       how often Go collects its garbage; logger.go: the log
//	ledger_metrics.go  what the ledger tells of itself, as metrics
//	serve.go, …        one file a verb or family of verbs
package main

import (
	"context"
	"os"
	_ "time/tzdata" // time zones are settings: they must be there in an image without files
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, os.Getenv))
}
