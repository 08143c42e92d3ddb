# The write-ahead logs of a node: WAL_FILE STATE_FILE. The log's folder and those set aside beside it, with their files;
# of what can be put back also the signer's state that was kept with it.
folder=${1%/*}
for place in "$folder" "$folder".fleet-*; do
    [ -d "$place" ] || continue
    echo "folder=$place"
    (cd "$place" && stat -c 'file=%s %Y %F %n' -- * 2>/dev/null)
    [ -e "$place/.sha256" ] || continue
    echo "aside=1"
    signer_state "$place/.signer" | sed 's/^/aside./'
done
signer_state "$2"
echo "done=1"
