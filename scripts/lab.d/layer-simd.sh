# shellcheck shell=bash
# Runs inside the root of an SDK chain's lab before layer.sh: accounts of the
# hosts without a node, and a database for the provider.

groupadd --gid 992 provider
useradd --uid 992 --gid 992 --system --home-dir /home/provider --no-create-home --shell /usr/sbin/nologin provider
groupadd --gid 993 prometheus
useradd --uid 993 --gid 993 --system --home-dir /var/lib/prometheus --no-create-home --shell /usr/sbin/nologin prometheus
groupadd --gid 994 grafana
useradd --uid 994 --gid 994 --system --home-dir /var/lib/grafana --no-create-home --shell /usr/sbin/nologin grafana

# Nothing that is installed is started here.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt-get update -qq
apt-get install -y -qq --no-install-recommends postgresql-15
apt-get clean
rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/*

# One connection to a server that isn't one: a statement a line.
single() {
	runuser -u postgres -- /usr/lib/postgresql/15/bin/postgres --single \
		-c config_file=/etc/postgresql/15/main/postgresql.conf -D /var/lib/postgresql/15/main "$1"
}
single postgres <<'SQL'
CREATE ROLE provider LOGIN
CREATE DATABASE provider OWNER provider
SQL
single provider <<'SQL'
CREATE TABLE leases (id bigserial PRIMARY KEY, owner text NOT NULL, price numeric NOT NULL, made timestamptz NOT NULL, manifest bytea NOT NULL)
INSERT INTO leases (owner, price, made, manifest) SELECT 'owner ' || n || ' €', n * 1.5, timestamptz '2026-01-01' + n * interval '1 hour', decode(md5(n::text), 'hex') FROM generate_series(1, 1000) AS n
ALTER TABLE leases OWNER TO provider
SQL
# Only the provider's host starts it.
rm -f /etc/systemd/system/multi-user.target.wants/postgresql.service
