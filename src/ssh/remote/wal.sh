# How a node's write-ahead log is replaced and put back. At every instant the node has the old log or the new one, whole:
# the old files are linked aside first, and the head changes by one rename. Older files of the log that are still there
# then don't matter: a node looks for its height in the head first.
#   $wal_file the log's head   $aside where this run sets the old log aside
# A folder with a file .sha256, the hash and the size of the log that took its log's place, is what can be put back.

# The owner and mode that the node's own files have.
like_neighbour() {
    if [ -e "$wal_file" ]; then like=$wal_file; else like=${wal_file%/*}; fi
    chown --reference="$like" "$@" && chmod --reference="$like" "$@"
}

# The files of the log in folder $1, newest last.
log_files() {
    for file in "$1/${wal_file##*/}".[0-9]* "$1/${wal_file##*/}"; do
        [ -f "$file" ] && printf '%s\n' "$file"
    done
}

# What comes on standard input before a line 'end'; without that line it did not come whole.
read_payload() {
    while IFS= read -r line; do
        [ "$line" = end ] && return 0
        printf '%s\n' "$line"
    done
    return 1
}

# Whether $1, a file of the log, is the one that was set aside.
is_old() {
    old=$(stat -c %d:%i "$aside/${1##*/}" 2>/dev/null)
    [ "$(stat -c %d:%i "$1" 2>/dev/null)" = "$old" ]
}

# Removes the files of the log in folder $1.
drop_log() {
    log_files "$1" | while IFS= read -r file; do rm -f "$file" || exit 1; done
}

# Whether the log and the signer's state are as they were when the new log was made: $1 bytes, and the sha256 $2.
is_as_read() {
    [ -n "$1" ] || return 0
    bytes=0
    for file in "$wal_file".[0-9]* "$wal_file"; do
        [ -f "$file" ] && bytes=$((bytes + $(stat -c %s "$file")))
    done
    [ "$bytes" = "$1" ] || return 1
    [ -n "$2" ] || return 0
    sum=$(sha256sum "$state_file") && [ "${sum%% *}" = "$2" ]
}

# Reads base64 up to a line 'end' into the log's place; its sha256 must be $1. $2 and $3 are the size of the log that it
# replaces and the sha256 of the signer's state, empty where they don't matter.
set_wal() {
    folder=${wal_file%/*}
    new=$folder/.fleet-$run
    # Nothing is touched before all of it is there.
    payload=$(read_payload) || payload=
    sum=$(printf '%s\n' "$payload" | base64 -d 2>/dev/null | sha256sum)
    if [ -z "$payload" ] || [ "${sum%% *}" != "$1" ]; then
        echo "the log did not come whole"
        return 1
    fi
    if ! is_as_read "$2" "$3"; then
        echo "the node has run since its log was read; it keeps it"
        return 1
    fi
    # One that is empty may be our own, left half made.
    if [ -z "$(log_files "$folder")" ]; then
        mkdir -p "$folder" && chown --reference="${folder%/*}" "$folder" && chmod 700 "$folder" || return 1
    fi
    printf '%s\n' "$payload" | base64 -d >"$new" || return 1
    mkdir -p "$aside" && chown --reference="$folder" "$aside" && chmod --reference="$folder" "$aside" || return 1
    # Where nothing says how far an earlier attempt came, everything is as before.
    if [ ! -e "$aside/.sha256" ]; then
        rm -f "$aside"/.undone-* || return 1
        log_files "$folder" | while IFS= read -r file; do ln -f "$file" "$aside/" || exit 1; done || return 1
        [ -z "$state_file" ] || [ ! -e "$state_file" ] || cp -p "$state_file" "$aside/.signer" || return 1
        sync "$aside" || return 1
    fi
    # An earlier attempt may have left it empty.
    echo "$1 $(stat -c %s "$new")" >"$aside/.sha256" || return 1
    like_neighbour "$new" && chmod u+w "$new" || return 1
    sync "$new" "$aside/.sha256" "$aside" "${folder%/*}" && mv -f "$new" "$wal_file" && sync "$folder" || return 1
    for file in "$wal_file".[0-9]*; do
        [ -e "$aside/${file##*/}" ] && rm -f "$file"
    done
    :
}

# Whether the signer is where it was when the log in $aside was set aside. Else that log lacks what was signed since, and a
# node that replays it could not vote in that round again.
has_not_signed_since() {
    [ -e "$aside/.signer" ] || [ -e "$state_file" ] || return 0
    cmp -s "$aside/.signer" "$state_file"
}

# Puts back what was set aside last; the log that was in its place is kept beside it.
undo_wal() {
    folder=${wal_file%/*}
    for mark in "$folder".fleet-*/.undone-"$run"; do
        # This run has put it back already; what an earlier run set aside is not its business.
        [ -e "$mark" ] || continue
        drop_log "${mark%/*}"
        return
    done
    aside=
    for mark in "$folder".fleet-*/.sha256; do
        # Runs' names are in the order of time.
        [ -e "$mark" ] && aside=${mark%/*}
    done
    [ -n "$aside" ] || return 0
    if ! has_not_signed_since; then
        echo "its signer has signed since the old log was set aside"
        return 1
    fi
    mkdir -p "$aside/replaced" && log_files "$folder" | while IFS= read -r file; do
        is_old "$file" || ln -f "$file" "$aside/replaced/" || exit 1
    done || return 1
    sync "$aside/replaced" "$aside" || return 1
    for file in "$aside/${wal_file##*/}".[0-9]*; do
        [ -e "$file" ] && { ln -f "$file" "$folder/" || return 1; }
    done
    # An earlier attempt may have come as far as this.
    if [ ! -e "$aside/${wal_file##*/}" ]; then
        rm -f "$wal_file" || return 1
    elif ! is_old "$wal_file"; then
        ln -f "$aside/${wal_file##*/}" "$folder/.fleet-$run" && mv -f "$folder/.fleet-$run" "$wal_file" || return 1
    fi
    rm -f "$folder/.fleet-${aside##*.fleet-}" || return 1
    # What the node began since is no part of the old log.
    log_files "$folder" | while IFS= read -r file; do is_old "$file" || rm -f "$file" || exit 1; done || return 1
    sync "$folder" && mv "$aside/.sha256" "$aside/.undone-$run" && sync "$aside" || return 1
    # They are the node's again, and it writes on in them.
    drop_log "$aside"
}

# What came of logs in place $1, as facts: that the one run $2 has set is there, whatever its node has written behind it,
# and that there is nothing left to put back or that the run has put it back.
wal_facts() {
    [ -n "$1" ] || return 0
    back=1
    for mark in "${1%/*}".fleet-*/.sha256; do
        [ -r "$mark" ] || continue
        back=
        [ "$mark" = "${1%/*}.fleet-$2/.sha256" ] || continue
        read_line "$mark"
        sum=$(head -c "${line#* }" "$1" 2>/dev/null | sha256sum)
        [ "${sum%% *}" = "${line%% *}" ] && echo "wal.set=${mark%/*}"
    done
    for mark in "${1%/*}".fleet-*/.undone-"$2"; do
        [ -e "$mark" ] && back=1
    done
    [ -z "$back" ] || echo "wal.back=1"
}
