// The SDK's test application as a node of the lab.
package main

import (
	"fmt"
	"os"

	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	"github.com/cosmos/ibc-go/v8/testing/simapp"
	"github.com/cosmos/ibc-go/v8/testing/simapp/simd/cmd"
)

func main() {
	// Every command makes the default home when there is none; cosmovisor's environment names the node's.
	if home := os.Getenv("DAEMON_HOME"); home != "" {
		simapp.DefaultNodeHome = home
	}
	if err := svrcmd.Execute(cmd.NewRootCmd(), "", simapp.DefaultNodeHome); err != nil {
		// The root command keeps silent about errors.
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
