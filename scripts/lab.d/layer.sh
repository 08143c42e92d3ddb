# shellcheck shell=bash
# Runs inside the root, once, when it is built: accounts, login rules, and no
# units that only cost time in a container.

groupadd --gid 990 virtengine
useradd --uid 990 --gid 990 --system --home-dir /var/lib/virtengine --no-create-home --shell /usr/sbin/nologin virtengine
groupadd --gid 991 other
useradd --uid 991 --gid 991 --system --home-dir /var/lib/other --no-create-home --shell /usr/sbin/nologin other
useradd --uid 1000 --create-home --shell /bin/bash ops
printf 'ops ALL=(ALL:ALL) NOPASSWD:ALL\n' >/etc/sudoers.d/ops
chmod 440 /etc/sudoers.d/ops

printf 'PasswordAuthentication no\n' >/etc/ssh/sshd_config.d/10-keys-only.conf
# A message of the day takes four processes a login; all of a lab's hosts share the cores of one machine.
sed -i '/pam_motd/d' /etc/pam.d/sshd
rm -f /etc/ssh/ssh_host_*

for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
	dpkg-db-backup.timer fstrim.timer systemd-tmpfiles-clean.timer console-getty.service getty.target \
	systemd-pcrphase.service systemd-pcrphase-sysinit.service; do
	ln -sf /dev/null "/etc/systemd/system/$unit"
done

ln -sf /usr/share/zoneinfo/UTC /etc/localtime
mkdir -p /var/log/journal
: >/etc/machine-id
# Newer than /usr: systemd then has nothing to bring up to date at boot.
touch -d '+1 minute' /etc/.updated /var/.updated
