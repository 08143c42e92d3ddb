"""What the makers of a lab's files share."""

import json
import os
import re
import subprocess
import sys

OWNERS = {"virtengine": (990, 990), "other": (991, 991), "provider": (992, 992), "prometheus": (993, 993),
          "grafana": (994, 994), "ops": (1000, 1000)}


def run(*command, environment=None):
    """Runs a command and returns its output, which is shown when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **(environment or {})})
    if done.returncode:
        sys.exit(f"lab: {' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def own(path, owner):
    for found in [path, *path.rglob("*")]:
        os.chown(found, *OWNERS[owner], follow_symlinks=False)


def enable(tree, unit, file=None):
    """The unit is started at boot."""
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / unit).symlink_to(file or f"/etc/systemd/system/{unit}")


def set_keys(text, values):
    """Sets keys of a TOML file, named `section.key` or `key` above all sections."""
    section, lines, left = "", [], dict(values)
    for line in text.splitlines():
        if match := re.match(r"\[([\w-]+)\]$", line):
            section = match[1] + "."
        elif match := re.match(r"([\w-]+) = ", line):
            name = section + match[1]
            if name in left:
                line = f"{match[1]} = {json.dumps(left.pop(name))}"
        lines.append(line)
    if left:
        sys.exit(f"lab: no key {', '.join(left)} to set")
    return "\n".join(lines) + "\n"
