# The folder beside a node's databases that a snapshot comes into: VERB RUN DB_DIR and what the verb takes. It is made by
# 'open' BYTES NAME…, where so many bytes are free and nothing of these names is in the way; 'take' unpacks a tar archive from
# standard input there; 'close' NAME… says that these are whole; 'drop' removes it. 'kept' lists the runs whose old databases,
# or whose snapshot or a part of it, are still there, 'release' UNIT removes those of the run.
verb=$1 run=$2 db_dir=$3
shift 3
folder=$db_dir/.fleet-$run
fail() { echo "$1" >&2; exit 1; }
case $run in '' | */*) fail "no run is named" ;; esac

open_folder() {
    bytes=$1
    shift
    for tool in tar find xargs df; do
        command -v "$tool" >/dev/null || fail "$tool is missing"
    done
    tar --version 2>/dev/null | grep -q GNU || fail "tar is not GNU tar"
    [ -d "$db_dir" ] || fail "there is no folder $db_dir: make it, of the node's user, first"
    for name; do
        # What lies elsewhere would be left behind without a word; a mount can't be renamed.
        [ ! -L "$db_dir/$name" ] || fail "$db_dir/$name is a symbolic link: exchange it by hand"
        [ ! -d "$db_dir/$name" ] || [ "$(stat -c %d "$db_dir/$name")" = "$(stat -c %d "$db_dir")" ] ||
            fail "$db_dir/$name is a mount of its own: exchange it by hand"
    done
    free=$(df -P -B1 "$db_dir" | tail -n 1 | awk '{print $4}')
    [ "${free:-0}" -gt "$bytes" ] || fail "no space: $bytes bytes are needed in $db_dir, ${free:-0} are free"
    { mkdir -p "$folder" && chmod 700 "$folder" && : >"$folder/.fetching"; } || fail "$folder can't be made"
}

close_folder() {
    # As the node's user has it; the modes are the snapshot's.
    chown -R --reference="$db_dir" "$folder" || fail "the owner of $folder can't be set"
    sync -f "$folder" 2>/dev/null || sync
    for name; do printf '%s\n' "$name"; done >"$folder/.fetching" || fail "$folder can't be written"
    { sync "$folder/.fetching" && mv -f "$folder/.fetching" "$folder/.fetched" && sync "$folder"; } ||
        fail "$folder can't be written"
}

# The names that a run has exchanged, or was to.
names_of() { cat "$1/.fetched" "$1/.swapped" 2>/dev/null; }

# Whether folder $1 is a restore's, and not a backup's clone.
is_ours() { [ -e "$1/.fetching" ] || [ -e "$1/.fetched" ] || [ -e "$1/.swapped" ]; }

list_kept() {
    for place in "$db_dir"/.fleet-*; do
        is_ours "$place" || continue
        of=${place##*/.fleet-}
        bytes=$(names_of "$place" | (
            set -- "$place"
            while IFS= read -r name; do
                [ ! -e "$db_dir/$name.fleet-$of" ] || set -- "$@" "$db_dir/$name.fleet-$of"
            done
            du -sc -B1 "$@" | tail -n 1
        ))
        echo "kept=$of ${bytes%%[!0-9]*}"
    done
}

release() {
    is_ours "$folder" || fail "run $run has kept nothing in $db_dir"
    read_line "$records/hold/$1"
    [ "$line" != "$run" ] || fail "the restore of run $run isn't finished: fleet resume $run"
    top_epoch
    read_line "$locks/$top/run"
    [ "$line" != "$run" ] || [ -e "$locks/$top/released" ] || fail "run $run is under way"
    names_of "$folder" | while IFS= read -r name; do
        case $name in '' | .* | */*) continue ;; esac
        rm -rf "$db_dir/$name.fleet-$run" || exit 1
    done || fail "not all could be removed in $db_dir"
    rm -rf "$folder" || fail "$folder can't be removed"
}

case $verb in
kept) list_kept ;;
release) release "$@" ;;
open) open_folder "$@" ;;
take)
    cd "$folder" || fail "$folder is gone"
    # Over a file that came in part before.
    nice -n 10 tar --extract --file=- --no-same-owner --same-permissions --overwrite || exit 1
    ;;
close) close_folder "$@" ;;
drop) rm -rf "$folder" || fail "$folder can't be removed" ;;
*) fail "unknown verb $verb" ;;
esac
