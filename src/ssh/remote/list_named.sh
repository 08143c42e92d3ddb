# Files with certain names in folders: PATH PATTERN PATH PATTERN …. For what is in PATH with a name like PATTERN, and what is
# below it, the fields of list.sh; an empty record ends each pair's list.
find . -maxdepth 0 -printf '' 2>/dev/null || { echo "find is not GNU find (findutils)" >&2; exit 1; }
while [ "$#" -ge 2 ]; do
    if [ -d "$1" ]; then
        cd "$1" && find . -mindepth 1 -xdev \( -path "./$2" -printf '%y\0%s\0%m\0%T@\0%i\0%P\0' \) -o -prune || exit 1
    fi
    printf '\0\0\0\0\0\0'
    shift 2
done
