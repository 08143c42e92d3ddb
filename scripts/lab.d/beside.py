"""Hosts without a node beside an SDK chain: their files are in hosts/NAME, and what is made for each lab is made here."""

import os
import shutil
import sqlite3
from pathlib import Path

import sdk
from files import enable, own

HERE = Path(__file__).resolve().parent
MODES = {"config.yaml": 0o600, "grafana.ini": 0o640}


def write(tree, host, layer, scratch):
    given = HERE / "hosts" / host["name"]
    if host["unit"] or not given.exists():
        return
    shutil.copytree(given, tree, dirs_exist_ok=True)
    for name, mode in MODES.items():
        for found in tree.rglob(name):
            found.chmod(mode)
    MAKERS[host["role"]](tree, layer, scratch)


def provider(tree, layer, scratch):
    daemon = tree / "home/provider/.provider-daemon"
    (daemon / "state").mkdir()
    sdk.add_key(layer / "usr/local/bin/simd", scratch / "provider", "provider")
    shutil.copytree(scratch / "provider/keyring-test", daemon / "keyring-test")
    daemon.chmod(0o700)
    own(tree / "home/provider", "provider")
    enable(tree, "provider-daemon.service")
    enable(tree, "postgresql@15-main.service", "/lib/systemd/system/postgresql@.service")


def monitoring(tree, *_):
    """A block and a WAL as Prometheus lays them out, and a Grafana database that SQLite can check."""
    metrics = tree / "var/lib/prometheus/metrics2"
    block = metrics / "01HZ0000000000000000000000"
    (block / "chunks").mkdir(parents=True)
    (metrics / "wal").mkdir()
    for name, size in (("chunks/000001", 1 << 20), ("index", 100_000), ("tombstones", 9)):
        (block / name).write_bytes(os.urandom(size))
    (block / "meta.json").write_text('{"ulid":"01HZ0000000000000000000000","minTime":0,"maxTime":7200000,"version":1}\n')
    (metrics / "wal/00000000").write_bytes(os.urandom(128 * 1024))
    grafana = tree / "var/lib/grafana"
    (grafana / "plugins").mkdir(parents=True)
    with sqlite3.connect(grafana / "grafana.db") as database:
        database.execute("CREATE TABLE dashboard (id INTEGER PRIMARY KEY, title TEXT)")
        database.executemany("INSERT INTO dashboard (title) VALUES (?)", ((f"Dashboard {n}",) for n in range(100)))
    database.close()
    own(tree / "var/lib/prometheus", "prometheus")
    own(grafana, "grafana")
    own(tree / "etc/grafana", "grafana")


MAKERS = {"provider": provider, "monitoring": monitoring}
