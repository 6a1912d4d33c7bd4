// Command rustgen bootstraps Rust gRPC services and keeps them current.
package main

import (
	"os"

	"rustgen/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:]))
}
