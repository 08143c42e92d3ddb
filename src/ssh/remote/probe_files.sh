# What config.toml names: for each service NAME KEY STATE GENESIS DB_DIR, five arguments each.
public_key() {
    [ -e "$1" ] || { echo "key.missing=1"; return; }
    [ -r "$1" ] || { echo "key.unreadable=permission denied"; return; }
    # The address and the public half only; the secret never leaves the host.
    flat=$(tr -d ' \t\n' <"$1")
    address=${flat#*'"address":"'}
    public=${flat#*'"pub_key":{'}
    public=${public%%'}'*}
    public=${public#*'"value":"'}
    echo "key.address=${address%%'"'*}"
    echo "key.pub_key=${public%%'"'*}"
}

while [ "$#" -ge 5 ]; do
    echo "service=$1"
    [ -n "$2" ] && public_key "$2"
    signer_state "$3"
    [ -r "$4" ] && sum=$(sha256sum "$4") && echo "genesis=${sum%% *}"
    database_lock "$5"
    df -P -B1 "$5" 2>/dev/null | { read -r _ && IFS= read -r line && echo "database.disk=$line"; }
    shift 5
done
echo "done=1"
