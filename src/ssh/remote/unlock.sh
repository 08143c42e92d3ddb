# Gives this host's lock back: RUN EPOCH. With epoch 0: whatever epoch that run holds.
top_epoch
epoch=$2
[ "$epoch" = 0 ] && epoch=$top
# Asked again, because the answer was lost.
read_line "$locks/$epoch/run"
if [ "$2" != 0 ] && [ "$line" = "$1" ] && [ -e "$locks/$epoch/released" ]; then
    echo "done=1"
    exit 0
fi
if fenced "$1" "$epoch"; then
    echo "error=run $1 does not hold this host"
    exit 1
fi
: >"$locks/$epoch/released" && rm -f "$leases/$1.lease" && echo "done=1"
