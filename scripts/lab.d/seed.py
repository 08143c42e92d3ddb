"""Writes what makes each host itself: one small tree a host, laid over the root.

usage: seed.py STATE LAYER

The trees hold host keys, accounts' files, units and the node's home at genesis.
A reset copies them again. Last, layout.new becomes layout.json: the lab is whole.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import beside
import sdk
from files import enable, own, run, set_keys, write

BANNER = """\
# A shell that talks: whatever runs over SSH gets this on its standard output.
echo "*** Welcome to $hostname ***"
echo "*** Scheduled maintenance: none. Questions: the operations channel. ***"
set -gx EDITOR nano
"""


def make_homes(binary, place, nodes):
    """A home for each node, made by CometBFT; returns the genesis."""
    voters = sum(1 for n in nodes if n["power"])
    run(binary, "testnet", "--v", str(voters), "--n", str(len(nodes) - voters), "--o", place,
        "--populate-persistent-peers=false")
    genesis = json.loads((place / "node0/config/genesis.json").read_text())
    genesis["chain_id"] = nodes[0]["chain_id"]
    for validator, node in zip(genesis["validators"], nodes):
        validator["power"], validator["name"] = str(node["power"]), node.get("moniker", node["name"])
    return genesis


def make_nodes(layer, place, nodes):
    """One genesis and the keys of every node, with the voting powers asked for."""
    make = sdk.make_homes if nodes[0]["sdk"] else make_homes
    genesis = make(layer / "usr/local/bin" / nodes[0]["binary"], place, nodes)
    for i, node in enumerate(nodes):
        made = place / f"node{i}"
        key = json.loads((made / "config/priv_validator_key.json").read_text())
        node["validator_address"] = key["address"]
        secret = base64.b64decode(json.loads((made / "config/node_key.json").read_text())["priv_key"]["value"])
        node["node_id"] = hashlib.sha256(secret[32:]).digest()[:20].hex()
        node["made"] = made
        (made / "config/genesis.json").write_text(json.dumps(genesis, indent=2))


def peers_of(node, nodes):
    """Validators behind sentries know the sentries alone; without sentries all know all."""
    if node["power"] and any(not n["power"] for n in nodes):
        return [n for n in nodes if not n["power"]]
    return [n for n in nodes if n is not node]


def node_config(node, nodes):
    values = {
        "moniker": node["name"],
        "db_dir": node["data"],
        "priv_validator_key_file": node["key_file"],
        "priv_validator_state_file": node["state_file"],
        "consensus.wal_file": node["wal"],
        "consensus.timeout_commit": "1s",
        "rpc.laddr": f"tcp://127.0.0.1:{node['rpc_port']}",
        "p2p.laddr": f"tcp://0.0.0.0:{node['p2p_port']}",
        "p2p.persistent_peers": ",".join(f"{n['node_id']}@{n['address']}:{n['p2p_port']}" for n in peers_of(node, nodes)),
        "p2p.addr_book_strict": False,
        "p2p.allow_duplicate_ip": False,
        "p2p.pex": not node["power"],
    }
    if not node["power"]:
        voters = ",".join(n["node_id"] for n in nodes if n["power"])
        values.update({"p2p.private_peer_ids": voters, "p2p.unconditional_peer_ids": voters})
    return values


def write_home(tree, node, nodes):
    home = tree / node["home"].lstrip("/")
    (home / "config").mkdir(parents=True)
    made = node.pop("made")
    for source, target in (("config/genesis.json", "config/genesis.json"), ("config/node_key.json", "config/node_key.json"),
                           ("config/priv_validator_key.json", node["key_file"]),
                           ("data/priv_validator_state.json", node["state_file"])):
        (home / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / source, home / target)
    (home / node["data"]).mkdir(exist_ok=True)
    text = (made / "config/config.toml").read_text()
    write(home / "config/config.toml", set_keys(text, node_config(node, nodes)))
    if node["sdk"]:
        sdk.add_to_home(home, node, made)
    if node["cosmovisor"]:
        (home / "data").mkdir(exist_ok=True)  # cosmovisor watches for data/upgrade-info.json
        (home / "cosmovisor/genesis/bin").mkdir(parents=True)  # filled on the host itself
        (home / "cosmovisor/upgrades").mkdir()
        (home / "cosmovisor/current").symlink_to(f"{node['home']}/cosmovisor/genesis")
    for part in (home / "config", home / Path(node["key_file"]).parent, home / node["data"]):
        part.chmod(0o700)
    home.chmod(0o750)
    own(home, node["user"])


def write_unit(tree, node):
    command, environment = f"/usr/local/bin/{node['binary']} start", ""
    if node["cosmovisor"]:
        command = "/usr/local/bin/cosmovisor run start"
        settings = {"DAEMON_NAME": node["binary"], "DAEMON_HOME": node["home"], "DAEMON_ALLOW_DOWNLOAD_BINARIES": "false",
                    "DAEMON_RESTART_AFTER_UPGRADE": "true", "UNSAFE_SKIP_BACKUP": "true"}
        environment = "".join(f"Environment={k}={v}\n" for k, v in settings.items())
    command += f" --home {node['home']}"
    if not node["sdk"]:
        command += " --proxy_app=persistent_kvstore"
    write(tree / "etc/systemd/system" / node["unit"], f"""\
[Unit]
Description=Node of {node['chain_id']}
After=network.target

[Service]
User={node['user']}
{environment}ExecStart={command}
Restart=on-failure
RestartSec=1
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
""")
    enable(tree, node["unit"])


def write_host(tree, host, layout, logins, layer):
    """Everything but the nodes; returns the host's lines of known_hosts."""
    name = host["name"]
    write(tree / "etc/hostname", name + "\n")
    write(tree / "etc/machine-id", os.urandom(16).hex() + "\n", 0o444)
    names = "".join(f"{h['address']} {h['name']}\n" for h in layout["hosts"])
    write(tree / "etc/hosts", "127.0.0.1 localhost\n" + names)
    write(tree / "home/ops/.ssh/authorized_keys", logins, 0o600)
    (tree / "home/ops/.ssh").chmod(0o700)
    if host["port"] != 22:
        write(tree / "etc/ssh/sshd_config.d/20-port.conf", f"Port {host['port']}\n")
    if host["shell"] != "/bin/bash":
        passwd = (layer / "etc/passwd").read_text()
        write(tree / "etc/passwd", re.sub(r"(?m)^(ops:.*):[^:]*$", rf"\1:{host['shell']}", passwd))
        write(tree / "home/ops/.config/fish/config.fish", BANNER)
    own(tree / "home/ops", "ops")
    keys = tree / "etc/ssh"
    keys.mkdir(parents=True, exist_ok=True)
    where = host["address"] if host["port"] == 22 else f"[{host['address']}]:{host['port']}"
    lines = []
    for kind in ("ed25519", "ecdsa"):
        path = keys / f"ssh_host_{kind}_key"
        run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{name}", "-f", str(path))
        lines.append(f"{where} {' '.join(Path(f'{path}.pub').read_text().split()[:2])}\n")
    return "".join(lines)


def main(state, layer):
    layout = json.loads((state / "layout.new").read_text())
    logins = ""
    for name, phrase in (("id_ed25519", ""), ("id_encrypted", "fleet-lab")):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-C", f"ops-{name}", "-f", state / name)
        logins += (state / f"{name}.pub").read_text()
    with tempfile.TemporaryDirectory(dir=state) as scratch:
        scratch = Path(scratch)
        nodes = [h for h in layout["hosts"] if h["unit"]]
        make_nodes(layer, scratch / "main", nodes)
        known = ""
        for host in layout["hosts"]:
            tree = state / "seed" / host["name"]
            tree.mkdir(parents=True)
            known += write_host(tree, host, layout, logins, layer)
            if host["unit"]:
                write_home(tree, host, nodes)
                write_unit(tree, host)
            for service in host["services"]:
                make_nodes(layer, scratch / "other", [service])
                write_home(tree, service, [service])
                write_unit(tree, service)
            beside.write(tree, host, layer, scratch)
    write(state / "known_hosts", known)
    (state / "layout.new").write_text(json.dumps(layout, indent=1))
    os.replace(state / "layout.new", state / "layout.json")


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
