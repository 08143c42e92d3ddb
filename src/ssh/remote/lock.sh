# Takes or renews this host's lock: RUN OWNER REASON DIGEST TTL RENEWS. With RENEWS only the lock of that epoch.
run=$1 owner=$2 reason=$3 digest=$4 ttl=$5 renews=$6
mkdir -p "$locks" "$leases" || { echo "error=cannot make $locks"; exit 1; }

write_lease() {
    read_uptime
    echo $((uptime + ttl)) >"$leases/.$run.$$" && mv "$leases/.$run.$$" "$leases/$run.lease"
}

# The record is claimed whole: a folder with its contents, renamed to the next number. One of two claimants wins.
claim() {
    new=$locks/.new-$$
    mkdir "$new" || return 1
    echo "$run" >"$new/run" && echo "$owner" >"$new/owner" && echo "$reason" >"$new/reason" &&
        echo "$digest" >"$new/digest" && : >"$new/steps" && write_lease && sync "$new" &&
        mv -T "$new" "$locks/$((top + 1))" 2>/dev/null && return 0
    rm -r "$new"
    return 1
}

prune() {
    for entry in "$locks"/[0-9]*; do
        [ "${entry##*/}" -le $((top - 20)) ] && [ -e "$entry/released" ] && rm -r "$entry"
    done
    :
}

[ -n "$renews" ] && fenced "$run" "$renews" && { echo "error=the lock was lost"; exit 1; }
attempt=0
while [ "$attempt" -lt 5 ]; do
    attempt=$((attempt + 1))
    top_epoch
    taken_over=
    if [ "$top" -gt 0 ] && [ ! -e "$locks/$top/released" ]; then
        read_line "$locks/$top/run"
        holder=$line
        if [ "$holder" = "$run" ]; then
            write_lease && echo "epoch=$top" && exit 0
            echo "error=cannot write the lease"
            exit 1
        fi
        lease_remaining "$holder"
        busy=$(under_way "$locks/$top/steps")
        if [ "$remaining" -gt 0 ] || [ -n "$busy" ]; then
            show_lock
            echo "held=1"
            exit 0
        fi
        taken_over=$holder
    fi
    if claim; then
        [ -n "$taken_over" ] && echo "taken_over=$taken_over"
        echo "epoch=$((top + 1))"
        prune
        exit 0
    fi
done
echo "error=cannot write $locks (disk full or read-only?)"
exit 1
