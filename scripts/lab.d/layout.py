"""The shape of a lab: which hosts, where, running what.

plan       writes layout.new, and hosts.tsv and chain (what the shell reads)
hosts      writes hosts.json (what tests read), with the live leader pids
inventory  prints a fleet inventory
"""

import argparse
import json
import os
import sys
from pathlib import Path

CHAIN = "virtengine-1"
OTHER_CHAIN = "other-1"
PLAIN = {
    "port": 22, "unit": "virtengined.service", "home": "/var/lib/virtengine", "user": "virtengine",
    "binary": "virtengined", "sdk": False,
    "rpc_port": 26657, "p2p_port": 26656, "shell": "/bin/bash", "cosmovisor": False,
    "data": "data", "wal": "data/cs.wal/wal",
    "key_file": "config/priv_validator_key.json", "state_file": "data/priv_validator_state.json",
}
ODD = {
    "port": 2222, "unit": "ve-node.service", "home": "/srv/chain/node-4",
    "rpc_port": 36657, "p2p_port": 36656, "shell": "/usr/bin/fish", "cosmovisor": True,
    "data": "store", "wal": "store/wal/wal",
    "key_file": "signer/key.json", "state_file": "signer/state.json",
}
# An application of the Cosmos SDK, always below cosmovisor.
SDK = {"binary": "simd", "sdk": True, "cosmovisor": True}
OTHER = {
    **PLAIN, "name": "other", "chain": "other", "chain_id": OTHER_CHAIN, "unit": "otherd.service", "binary": "otherd",
    "home": "/var/lib/other", "user": "other", "rpc_port": 46657, "p2p_port": 46656, "power": 10,
}
# Without a node, beside an SDK chain: what they are made of is in hosts/NAME.
PROVIDER = {
    "name": "provider-1", "role": "provider", "folders": [],
    "daemons": [
        {"name": "daemon", "unit": "provider-daemon.service", "user": "provider",
         "home": "/home/provider/.provider-daemon"},
        {"name": "database", "unit": "postgresql@15-main.service", "user": "postgres",
         "home": "/var/lib/postgresql/15/main"},
    ],
}
MONITORING = {
    "name": "mon", "role": "monitoring", "daemons": [],
    "folders": ["/etc/prometheus", "/etc/alertmanager", "/etc/grafana", "/var/lib/prometheus", "/var/lib/grafana"],
}
ODD_HOST, SECOND_CHAIN_HOST = "val-4", "val-6"


def fail(text):
    sys.exit(f"lab: {text}")


def make_hosts(options, net):
    powers = options["powers"]
    if len(powers) != options["validators"]:
        fail(f"{options['validators']} validators, but {len(powers)} powers")
    hosts = []
    for i, power in enumerate(powers, 1):
        hosts.append({**PLAIN, "name": f"val-{i}", "role": "validator", "address": f"{net}.{10 + i}", "power": power})
    for i in range(1, options["sentries"] + 1):
        hosts.append({**PLAIN, "name": f"sentry-{i}", "role": "sentry", "address": f"{net}.{200 + i}", "power": 0})
    for host in hosts:
        host.update(chain="virtengine", chain_id=CHAIN, services=[])
        if options["odd"] and host["name"] == ODD_HOST:
            host.update(ODD)
        if options["chain"] == "simd":
            host.update(SDK)
    names = [h["name"] for h in hosts]
    second = options["second_chain"]
    if second is None:
        second = SECOND_CHAIN_HOST if SECOND_CHAIN_HOST in names else "none"
    if second != "none":
        if second not in names:
            fail(f"--second-chain: no host {second}")
        hosts[names.index(second)]["services"].append(dict(OTHER))
    bare = {"port": 22, "shell": "/bin/bash", "unit": None, "services": []}
    if options["chain"] == "simd":
        hosts.append({**bare, **PROVIDER, "address": f"{net}.248"})
        hosts.append({**bare, **MONITORING, "address": f"{net}.249"})
    if options["bastion"]:
        hosts.append({**bare, "name": "bastion", "role": "bastion", "address": f"{net}.250"})
    return hosts


def failing_path(node):
    """What `panic` makes unwritable: a signer's state, else the head of the WAL."""
    return f"{node['home']}/" + (os.path.dirname(node["state_file"]) if node["power"] else node["wal"])


def arguments(text):
    parser = argparse.ArgumentParser(prog="scripts/lab up", allow_abbrev=False)
    parser.add_argument("--chain", choices=["cometbft", "simd"])
    parser.add_argument("--validators", type=int)
    parser.add_argument("--powers", type=lambda s: [int(p) for p in s.split(",")])
    parser.add_argument("--sentries", type=int)
    parser.add_argument("--no-bastion", dest="bastion", action="store_false", default=None)
    parser.add_argument("--no-odd", dest="odd", action="store_false", default=None)
    parser.add_argument("--second-chain")
    return vars(parser.parse_args(text))


def full_options(given):
    options = {"chain": "cometbft", "validators": None, "powers": None, "sentries": 2, "bastion": True, "odd": True,
               "second_chain": None}
    options.update({k: v for k, v in given.items() if v is not None})
    powers = [30, 20, 15, 12, 10, 8, 5]
    if options["powers"] is None:
        count = options["validators"] or len(powers)
        options["powers"] = powers[:count] + [5] * (count - len(powers))
    if options["validators"] is None:
        options["validators"] = len(options["powers"])
    if not 1 <= options["validators"] <= 180 or not 0 <= options["sentries"] <= 40:
        fail("1 to 180 validators and 0 to 40 sentries")
    return options


def plan(state, name, net, text):
    """Makes the layout; for a lab that exists, only checks that it is the one asked for."""
    given = arguments(text)
    path = state / "layout.json"
    if path.exists():
        options = full_options(json.loads(path.read_text())["options"])
        wanted = {k: v for k, v in given.items() if v is not None}
        if wanted and full_options({**options, **wanted}) != options:
            fail(f"lab {name} has another layout; `down --name {name} --purge` makes room for a new one")
        return
    options = full_options(given)
    hosts = make_hosts(options, net)
    number = net.rsplit(".", 1)[1]
    for i, host in enumerate(hosts, 1):
        host.update(netns=f"{name}-{host['name']}", veth=f"flv{number}-{i}")
    layout = {"name": name, "net": net, "options": options, "hosts": hosts}
    (state / "layout.new").write_text(json.dumps(layout, indent=1))
    (state / "chain").write_text(options["chain"])
    (state / "hosts.tsv").write_text("".join("\t".join(row(h)) + "\n" for h in hosts))


def row(host):
    """The fields of load_hosts."""
    fields = [host["name"], host["address"], host["port"], host["netns"], host["veth"]]
    if host["unit"]:
        below = host["binary"] if host["cosmovisor"] else "-"
        fields += [host["unit"], host["home"], host["rpc_port"], failing_path(host), host["user"], below]
    else:
        fields += ["-"] * 6
    services = host["services"] + host.get("daemons", [])
    fields.append(";".join(f"{s['unit']},{s['home']},{s['user']}" for s in services) or "-")
    fields.append(" ".join(host.get("folders", [])) or "-")
    return map(str, fields)


def node_facts(node):
    facts = {k: node[k] for k in ("unit", "home", "chain_id", "rpc_port", "p2p_port", "user", "power")}
    facts.update(validator_address=node["validator_address"], node_id=node["node_id"])
    for key in ("data", "wal", "key_file", "state_file"):
        facts[key] = f"{node['home']}/{node[key]}"
    return facts


def write_hosts(state):
    layout = json.loads((state / "layout.json").read_text())
    hosts = []
    for h in layout["hosts"]:
        pid = state / "hosts" / h["name"] / "leader.pid"
        facts = {k: h[k] for k in ("name", "role", "address", "port", "netns", "veth", "shell")}
        facts["leader"] = int(pid.read_text().split()[0]) if pid.exists() else None
        facts["root"] = str(state / "hosts" / h["name"] / "root")
        facts["unit"] = None
        if h["unit"]:
            facts.update(node_facts(h), cosmovisor=h["cosmovisor"])
        facts["services"] = [{"name": s["name"], **node_facts(s)} for s in h["services"]]
        facts["daemons"] = h.get("daemons", [])
        hosts.append(facts)
    new = state / "hosts.json.new"
    new.write_text(json.dumps({"name": layout["name"], "subnet": layout["net"] + ".0/24",
                               "controller": layout["net"] + ".1", "identity": str(state / "id_ed25519"),
                               "known_hosts": str(state / "known_hosts"), "hosts": hosts}, indent=1) + "\n")
    os.replace(new, state / "hosts.json")


def inventory(state, text):
    parser = argparse.ArgumentParser(prog="scripts/lab inventory", allow_abbrev=False)
    parser.add_argument("--via-bastion", action="store_true")
    parser.add_argument("--only", type=lambda s: s.split(","))
    options = parser.parse_args(text)
    layout = json.loads((state / "layout.json").read_text())
    names = [h["name"] for h in layout["hosts"]]
    if options.via_bastion and "bastion" not in names:
        fail("this lab has no bastion")
    for name in options.only or []:
        if name not in names:
            fail(f"no host {name}: {' '.join(names)}")
    chosen = [h for h in layout["hosts"]
              if not options.only or h["name"] in options.only or (options.via_bastion and h["name"] == "bastion")]
    print(render(state, layout, chosen, options.via_bastion))


def render(state, layout, chosen, via_bastion):
    def quoted(value):
        return json.dumps(value)

    lines = ["format = 1", "", "[fleet]", f"name = {quoted('lab-' + layout['name'])}", "", "[ssh]", 'user = "ops"',
             f"identity = [{quoted(str(state / 'id_ed25519'))}]", f"known_hosts = [{quoted(str(state / 'known_hosts'))}]",
             'become = "sudo"', 'connect_timeout = "5s"']
    if via_bastion:
        lines.append('jump = "bastion"')
    binary = SDK["binary"] if layout["options"].get("chain") == "simd" else PLAIN["binary"]
    lines += ["", "[chains.virtengine]", f"chain_id = {quoted(CHAIN)}", f"unit = {quoted(PLAIN['unit'])}",
              f"home = {quoted(PLAIN['home'])}", f"binary = {quoted(binary)}", 'block_time = "1s"', 'halt_after = "10s"']
    if any(h["services"] for h in chosen):
        lines += ["", "[chains.other]", f"chain_id = {quoted(OTHER_CHAIN)}", f"unit = {quoted(OTHER['unit'])}",
                  f"home = {quoted(OTHER['home'])}"]
    sentries = [h["name"] for h in chosen if h["role"] == "sentry"]
    for h in chosen:
        port = "" if h["port"] == 22 else f":{h['port']}"
        lines += ["", f"[hosts.{h['name']}]", f"address = {quoted(h['address'] + port)}", f"role = {quoted(h['role'])}"]
        if h["role"] == "bastion" and via_bastion:
            lines.append('ssh = { jump = "none" }')
        if h["unit"]:
            lines.append('chain = "virtengine"')
            if h["role"] == "validator" and sentries:
                lines.append(f"sentries = [{', '.join(map(quoted, sentries))}]")
            lines += [f"{key} = {quoted(h[key])}" for key in ("unit", "home") if h[key] != PLAIN[key]]
        for s in h["services"] + h.get("daemons", []):
            lines += ["", f"[[hosts.{h['name']}.services]]"]
            # A home is what fleet keeps; a server's databases are dumped instead.
            told = ("name", "chain", "unit") if s["user"] == "postgres" else ("name", "chain", "unit", "home")
            lines += [f"{key} = {quoted(s[key])}" for key in told if key in s]
    return "\n".join(lines)


if __name__ == "__main__":
    command, place, *rest = sys.argv[1:]
    if command == "plan":
        plan(Path(place), rest[0], rest[1], rest[2:])
    elif command == "hosts":
        write_hosts(Path(place))
    elif command == "inventory":
        inventory(Path(place), rest)
