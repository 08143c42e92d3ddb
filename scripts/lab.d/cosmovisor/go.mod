module fleet.lab/cosmovisor

go 1.22

// sonic is raised because the version cosmovisor asks for does not compile
// with Go 1.26 and later.
require (
	cosmossdk.io/tools/cosmovisor v1.5.0
	github.com/bytedance/sonic v1.15.1
)
