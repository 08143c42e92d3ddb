"""The nodes of an SDK chain, made with its own binary: staked by gentx, keyrings of their operators."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

from files import run, set_keys, write

DENOM = "stake"
POWER = 10**6  # tokens for each unit of voting power, as the SDK has it
APP = {
    "minimum-gas-prices": f"0{DENOM}",
    "state-sync.snapshot-interval": 10,
    "state-sync.snapshot-keep-recent": 3,
}


def make_homes(binary, place, nodes):
    """A home for each node; returns the genesis."""
    homes = [place / f"node{i}" for i in range(len(nodes))]
    voters = [(home, node) for home, node in zip(homes, nodes) if node["power"]]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda pair: init(binary, *pair), zip(homes, nodes)))
        addresses = list(pool.map(lambda pair: add_key(binary, pair[0]), voters))
        genesis = json.loads((homes[0] / "config/genesis.json").read_text())
        fund(genesis["app_state"], addresses, voters)
        for home, _ in voters:
            (home / "config/genesis.json").write_text(json.dumps(genesis))
        staked = pool.map(lambda pair: stake(binary, *pair), voters)
        genesis["app_state"]["genutil"]["gen_txs"] = list(staked)
    return genesis


def simd(binary, home, *words):
    """Runs a command of the binary; what it leaves beside its home stays there too."""
    return run(binary, *words, "--home", home, environment={"HOME": str(home), "TMPDIR": str(home.parent)})


def init(binary, home, node):
    simd(binary, home, "init", node["name"], "--chain-id", node["chain_id"], "--default-denom", DENOM)


def add_key(binary, home, name="operator"):
    """A key in a keyring below `home`; its account's address."""
    made = simd(binary, home, "keys", "add", name, "--keyring-backend", "test", "--output", "json")
    return json.loads(made)["address"]


def fund(state, addresses, voters):
    for address, (_, node) in zip(addresses, voters):
        state["auth"]["accounts"].append({"@type": "/cosmos.auth.v1beta1.BaseAccount", "address": address,
                                          "pub_key": None, "account_number": "0", "sequence": "0"})
        coins = [{"denom": DENOM, "amount": str(2 * node["power"] * POWER)}]
        state["bank"]["balances"].append({"address": address, "coins": coins})
    state["staking"]["params"]["max_validators"] = max(100, len(voters))
    # A validator that a test stops for a while isn't jailed for it.
    state["slashing"]["params"]["signed_blocks_window"] = "10000"


def stake(binary, home, node):
    """The transaction that makes a validator."""
    made = home / "gentx.json"
    simd(binary, home, "genesis", "gentx", "operator", f"{node['power'] * POWER}{DENOM}", "--moniker", node["name"],
         "--chain-id", node["chain_id"], "--keyring-backend", "test", "--output-document", made)
    return json.loads(made.read_text())


def add_to_home(home, node, made):
    """What an SDK node has more than CometBFT's own."""
    app, client = ((made / "config" / name).read_text() for name in ("app.toml", "client.toml"))
    write(home / "config/app.toml", set_keys(app, APP))
    write(home / "config/client.toml", set_keys(client, {
        "chain-id": node["chain_id"], "keyring-backend": "test", "node": f"tcp://127.0.0.1:{node['rpc_port']}"}))
    if node["power"]:
        shutil.copytree(made / "keyring-test", home / "keyring-test")
