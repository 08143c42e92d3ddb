# The content of a genesis file: PATH. At most 64 MiB.
size=$(stat -c %s "$1") || exit 1
[ "$size" -le 67108864 ] || { echo "error=$1 is larger than 64 MiB"; exit 1; }
cat "$1"
