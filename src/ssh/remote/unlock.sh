# Gives this host's lock back: RUN EPOCH. With epoch 0: whatever epoch that run holds.
top_epoch
epoch=$2
[ "$epoch" = 0 ] && epoch=$top
if fenced "$1" "$epoch"; then
    echo "error=run $1 does not hold this host"
    exit 1
fi
: >"$locks/$epoch/released" && rm -f "$leases/$1.lease" && echo "done=1"
