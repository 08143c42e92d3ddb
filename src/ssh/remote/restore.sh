# How a node's databases are exchanged for those of a snapshot. They come into a folder .fleet-RUN beside them, on the same
# file system, so that each is exchanged by renames: the old one becomes NAME.fleet-RUN, the new one NAME. Nothing else in
# the folder of the databases is touched: not the signer's state, not the log.
#   $unit $home $db_dir $state_file $wal_file   $run
# In the folder a file .fetched names what it holds, once that is proven whole; when all is exchanged it becomes .swapped.

# While this file is there, a drop-in keeps the unit from starting, through reboots too.
hold_places() {
    hold=$records/hold/$unit
    drop_in=$base/etc/systemd/system/$unit.d
}

set_hold() {
    hold_places
    mkdir -p "${hold%/*}" "$drop_in" && chmod 755 "$drop_in" || return 1
    echo "$run" >"$hold" || return 1
    # In a unit's file a percent sign begins a specifier.
    printf '[Unit]\nConditionPathExists=!%s\n' "$(printf '%s\n' "$hold" | sed 's/%/%%/g')" >"$drop_in/.fleet-hold" || return 1
    chmod 644 "$drop_in/.fleet-hold" && mv -f "$drop_in/.fleet-hold" "$drop_in/fleet-hold.conf" || return 1
    sync "$hold" "${hold%/*}" "$drop_in/fleet-hold.conf" "$drop_in" && systemctl daemon-reload
}

drop_hold() {
    hold_places
    # That of another run is not ours to drop.
    read_line "$hold"
    [ "${line:-$run}" = "$run" ] || return 0
    rm -f "$hold" && rm -f "$drop_in/fleet-hold.conf" || return 1
    rmdir "$drop_in" 2>/dev/null
    systemctl daemon-reload
}

# Whether name $1 may be exchanged: one in the folder itself, which holds nothing of the signer.
may_swap() {
    case $1 in '' | .* | */* | *.fleet-*) return 1 ;; esac
    for path in "$state_file" "$wal_file" "$db_dir/priv_validator_state.json"; do
        case $path in "$db_dir/$1" | "$db_dir/$1"/*) return 1 ;; esac
    done
}

# Exchanges name $1. Run again after a crash, wherever that was, it goes on from there.
swap_one() {
    old=$db_dir/$1.fleet-$run
    if [ ! -e "$new/$1" ]; then
        [ -e "$db_dir/$1" ] && return 0
        echo "neither $new/$1 nor $db_dir/$1 is there any more"
        return 1
    fi
    if [ -e "$db_dir/$1" ] || [ -L "$db_dir/$1" ]; then
        if [ -e "$old" ] || [ -L "$old" ]; then
            echo "$db_dir/$1 was made anew after the old one was set aside as $old: move it away by hand"
            return 1
        fi
        mv -T "$db_dir/$1" "$old" || return 1
    fi
    mv -T "$new/$1" "$db_dir/$1"
}

# Whether any name is exchanged already, or half.
is_begun() {
    while IFS= read -r name; do
        [ -e "$new/$name" ] && [ ! -e "$db_dir/$name.fleet-$run" ] || return 0
    done <"$new/.fetched"
    return 1
}

# Exchanges all that was fetched. What was begun is held until it is whole.
swap() {
    new=$db_dir/.fleet-$run
    if [ -e "$new/.swapped" ]; then
        drop_hold
        return
    fi
    [ -e "$new/.fetched" ] || { echo "there is no whole snapshot in $new"; return 1; }
    while IFS= read -r name; do
        may_swap "$name" || { echo "$db_dir/$name is never exchanged"; return 1; }
    done <"$new/.fetched"
    # From the hold on nothing can start it any more.
    problem=
    set_hold || problem="no hold could be set for $unit"
    [ -n "$problem" ] || is_stopped || problem="$unit was started meanwhile"
    if [ -n "$problem" ]; then
        echo "$problem"
        is_begun || drop_hold
        return 1
    fi
    while IFS= read -r name; do
        swap_one "$name" || return 1
    done <"$new/.fetched"
    sync "$db_dir" && mv -f "$new/.fetched" "$new/.swapped" && sync "$new" && drop_hold
}

# Whether run $2 has exchanged the databases in $1 of unit $3, and has given it free, as a fact.
swap_facts() {
    [ -n "$1" ] && [ -e "$1/.fleet-$2/.swapped" ] && [ ! -e "$records/hold/$3" ] && echo "swapped=1"
    :
}
