# How a node's databases are cloned while it is stopped, so that it starts again at once and everything slow is done on the
# clone. Tables never change once they are written: a hard link is a copy of them, and most are linked before the stop. All
# else is copied, or shared by the file system where it can do that.
#   $unit $home $db_dir $state_file $wal_file   $run   $seconds  how long the unit may take to stop and to start
# The clone is a folder of $db_dir, so that it is on its file system. A file .sealed in it says that it is whole.

# Never in a clone: signer state and log, what fleet set aside, locks, the application's own snapshots, caches.
find_databases() {
    state_name=./${state_file#"$db_dir"/}
    wal_name=./${wal_file#"$db_dir"/}
    find . \( -path './.fleet-*' -o -name '*.fleet-*' -o -path "$state_name" -o -path "${wal_name%/*}" \
        -o -path ./snapshots -o -name LOCK -o -path './wasm/cache' -o -path './wasm/*/cache' \) -prune -o "$@"
}

tables() { find_databases -type f \( -name '*.ldb' -o -name '*.sst' \) "$@"; }
other_files() { find_databases -type f ! -name '*.ldb' ! -name '*.sst' -print0; }

# What tells one table from another: inode, size, time and name, as fleet sends them of those that are in its store. Nothing
# writes to a table once it is there: where the inode and the name are the same, so is the rest.
table='%i %s %T@ %p\0'
inodes_and_names() { cut -z -d ' ' -f 1,4- | sort -z; }
names() { cut -z -d ' ' -f 2-; }

# Looks at the databases before the stop: at so many files that it takes a second. What changes meanwhile is seen then.
survey() {
    mkdir -p "$clone" && chmod 700 "$clone" || return 1
    find_databases \( -type l -fprint0 "$clone/.links" -o -type d -fprint0 "$clone/.folders" -o -type f \
        \( \( -name '*.ldb' -o -name '*.sst' \) -fprintf "$clone/.then" "$table" -o -fprint0 "$clone/.others" \) \) 2>/dev/null
    :
}

# Bytes that have to be copied, in $copied, and that are free, in $free.
read_room() {
    copied=$(du --files0-from="$clone/.others" -cb 2>/dev/null | tail -n 1)
    copied=${copied%%[!0-9]*}
    free=$(df -P -B1 . | tail -n 1 | awk '{print $4}')
}

# What makes a clone impossible, before anything is stopped.
may_clone() {
    cd "$db_dir" || { echo "there is no folder $db_dir"; return 1; }
    # The Cosmos SDK has it there whatever db_dir says (server/start.go).
    application=$home/data/application.db
    if [ -d "$application" ] && [ "$(readlink -f "$application")" != "$(readlink -f "$db_dir/application.db")" ]; then
        echo "$application is not in $db_dir: a copy would be without the application's state (config.toml: db_dir = \"data\")"
        return 1
    fi
    for tool in find xargs cp du df sort comm cut; do
        command -v "$tool" >/dev/null || { echo "$tool is missing"; return 1; }
    done
    cp --help 2>&1 | grep -q -e --parents || { echo "cp is not GNU cp (--parents)"; return 1; }
    survey || { echo "$clone can't be made"; return 1; }
    link=$(tr '\0' '\n' <"$clone/.links" | head -n 1)
    [ -z "$link" ] || { echo "$db_dir/${link#./} is a symbolic link: its target would not be backed up"; return 1; }
    read_room
    if [ $((${copied:-0} * 11 / 10 + 16777216)) -gt "${free:-0}" ]; then
        echo "no room for the clone: $copied bytes have to be copied, $free are free in $db_dir"
        return 1
    fi
}

# A node that runs stands still while its files are copied: not for long. Where blocks are shared it takes no time.
is_short() {
    if [ "${copied:-0}" -le 4294967296 ] || shares_blocks; then return 0; fi
    echo "$copied bytes in $db_dir are no tables that could be linked, and would be copied while the node stands still:" \
        "halt the node first, have its data on xfs or btrfs, or keep the data of another node"
    return 1
}

# The clone's folders, and links to the tables that are there already and not in the store: the stop only has to wait for
# what has changed since. One that vanishes meanwhile is no mistake.
link_tables() {
    (cd "$clone" && xargs -0 -r mkdir -p -- <.folders) || return 1
    sort -z -o "$clone/.then" "$clone/.then" || return 1
    cat "$clone"/.known/* 2>/dev/null | comm -z -12 "$clone/.then" - | inodes_and_names >"$clone/.base" || return 1
    inodes_and_names <"$clone/.then" | comm -z -23 - "$clone/.base" | names | xargs -0 -r cp -l --parents -t "$clone" -- 2>/dev/null
    :
}

# Makes the clone's tables those of the stopped databases that are not in the store; the names of those that are go into
# .stored.
link_the_rest() {
    tables -printf '%i %p\0' >"$clone/.now" && sort -z -o "$clone/.now" "$clone/.now" || return 1
    comm -z -12 "$clone/.now" "$clone/.base" | names >"$clone/.stored" || return 1
    comm -z -23 "$clone/.now" "$clone/.base" >"$clone/.needed" || return 1
    (cd "$clone" && tables -printf '%i %p\0' | sort -z >.linked) || return 1
    (cd "$clone" && comm -z -13 .needed .linked | names | xargs -0 -r rm -f --) || return 1
    comm -z -23 "$clone/.needed" "$clone/.linked" | names | xargs -0 -r cp -l --parents -t "$clone" -- || return 1
    (cd "$clone" && rm .links .folders .others .then .base .now .needed .linked)
}

# The clone of the stopped databases. Anything that fails leaves no whole one.
clone_databases() {
    cd "$db_dir" || return 1
    find_databases -type d -print0 | (cd "$clone" && xargs -0 -r mkdir -p --) || return 1
    # The log's last records tell the height at which it was taken; they are no part of the copy.
    mkdir "$clone/.wal" || return 1
    for file in "$wal_file".[0-9]*; do
        [ -e "$file" ] && { ln "$file" "$clone/.wal/" 2>/dev/null || cp "$file" "$clone/.wal/"; }
    done
    [ ! -e "$wal_file" ] || cp "$wal_file" "$clone/.wal/" || return 1
    link_the_rest || return 1
    if shares_blocks; then
        how=reflink
    else
        how=copy
    fi
    other_files | xargs -0 -r cp -p --reflink=auto --parents -t "$clone" -- || return 1
    echo "$how $copied" >"$clone/.sealed"
}

# Whether the file system shares blocks between copies (btrfs, xfs).
shares_blocks() {
    one=$(other_files | tr '\0' '\n' | head -n 1)
    [ -n "$one" ] && cp --reflink=always "$one" "$clone/.probe" 2>/dev/null
    shares=$?
    rm -f "$clone/.probe"
    return "$shares"
}

# Starts the unit when the shell $1 has died without having done it: only as long as this host is still this run's, so
# that no other has decided what becomes of it, and for five minutes.
# shellcheck disable=SC2016 # the guard's own shell expands them
guard='
shell=$1 unit=$2 mark=$3 locks=$4 epoch=$5
while [ -e "$mark" ] && kill -0 "$shell" 2>/dev/null; do sleep 1; done
[ -e "$mark" ] || exit 0
[ "$(ls "$locks" | sort -n | tail -n 1)" = "$epoch" ] && [ ! -e "$locks/$epoch/released" ] || exit 0
read -r since <"$mark" && read -r now _ </proc/uptime && [ $((${now%%.*} - since)) -le 300 ] || exit 0
systemctl start --no-block "$unit" && rm -f "$mark"
'
begin_guard() {
    mkdir -p "$records/sealing" && read_uptime && echo "$uptime" >"$mark" || return 1
    if [ -z "$base" ] && command -v systemd-run >/dev/null; then
        systemd-run --quiet --collect --unit="fleet-guard-$run-$step" -- \
            /bin/sh -c "$guard" guard "$$" "$unit" "$mark" "$locks" "$epoch" >/dev/null 2>&1 && return 0
    fi
    setsid /bin/sh -c "$guard" guard "$$" "$unit" "$mark" "$locks" "$epoch" </dev/null >/dev/null 2>&1 &
}

# Whether everything of the node is gone.
is_stopped() {
    seen=$(unit_facts "$unit" "$home" "$db_dir" "")
    case $seen in *unit.ActiveState=inactive* | *unit.ActiveState=failed*) ;; *) return 1 ;; esac
    case $seen in *process=* | *database.locked=1*) return 1 ;; esac
}

# Whether it may be started again: nobody else has decided over this host since, and not for too long.
may_start_again() {
    fenced "$run" "$epoch" && { echo "another run has taken this host's lock: the node is left stopped"; return 1; }
    read_uptime
    read_line "$mark"
    [ $((uptime - ${line:-0})) -le 300 ] || { echo "stopped for more than five minutes: the node is left stopped"; return 1; }
}

# Stops the node, clones, starts it again, whatever becomes of the link. A node that was stopped stays so.
seal() {
    clone=$db_dir/.fleet-$run
    mark=$records/sealing/$unit
    [ ! -e "$records/hold/$unit" ] || { echo "a hold keeps the unit down: its restore isn't finished"; return 1; }
    drop_old_clones
    [ -e "$clone/.sealed" ] && return 0
    drop_half
    ran=
    systemctl is-active --quiet "$unit" && ran=1
    may_clone || { rm -rf "$clone"; return 1; }
    [ -z "$ran" ] || is_short || { rm -rf "$clone"; return 1; }
    drop_later
    link_tables || { rm -rf "$clone"; return 1; }
    trap '' HUP PIPE INT TERM
    if [ -n "$ran" ]; then
        begin_guard || { echo "nothing could be written to $records"; rm -rf "$clone"; return 1; }
        systemctl stop "$unit" || { echo "systemctl stop failed"; systemctl start --no-block "$unit"; rm -rf "$mark" "$clone"; return 1; }
    fi
    if is_stopped; then
        problem=$(clone_databases 2>&1) && code=0 || code=1
    else
        problem="it didn't stop" code=1
    fi
    [ "$code" = 0 ] || rm -rf "$clone"
    if [ -n "$ran" ]; then
        may_start_again || return 1
        systemctl start --no-block "$unit" || { echo "systemctl start failed"; return 1; }
        tries=0
        until is_alive "$tries" >/dev/null || [ "$tries" -ge $((seconds * 50)) ]; do
            tries=$((tries + 1))
            sleep 0.02
        done
        rm -f "$mark"
    fi
    [ "$code" = 0 ] || { echo "$problem" | tail -n 3; return 1; }
}

# What an earlier try has left, but for the list of what is in the store.
drop_half() {
    [ ! -d "$clone" ] || find "$clone" -mindepth 1 -maxdepth 1 ! -name .known -exec rm -rf {} +
}

# Other runs' clones that nobody has used for ten minutes are of runs that are over: a fleet says all the time that it uses
# one. What a restore has brought stays until it is released.
drop_old_clones() {
    find "$db_dir" -maxdepth 1 -name '.fleet-*' ! -name ".fleet-$run" -type d -mmin +10 ! -exec test -e {}/.fetched \; \
        ! -exec test -e {}/.swapped \; -exec rm -rf {} + 2>/dev/null
    :
}

# Where fleet doesn't come back, systemd removes the clone: it keeps every table that the node drops. One in use stays.
drop_later() {
    [ -z "$base" ] && command -v systemd-run >/dev/null || return 0
    # shellcheck disable=SC2016 # that shell expands them
    systemd-run --quiet --collect --unit="fleet-drop-$run" --on-active=1d --on-unit-active=1h -- /bin/sh -c '
        find "$1" -maxdepth 0 -mmin +1440 -exec rm -rf {} +
        [ -e "$1" ] || systemctl stop "$2"' drop "$clone" "fleet-drop-$run.timer" >/dev/null 2>&1
    :
}

# Whether run $2 has a whole clone of the databases in $1, as a fact.
clone_facts() {
    [ -n "$1" ] && [ -e "$1/.fleet-$2/.sealed" ] && echo "sealed=1"
    :
}
