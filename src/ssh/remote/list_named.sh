# Files with certain names in folders: PATH PATTERN PATH PATTERN …. A list for each pair: what is in PATH with a name like
# PATTERN, and what is below it.
needs_gnu_find
while [ "$#" -ge 2 ]; do
    if [ -d "$1" ]; then
        cd "$1" && list_found . -mindepth 1 -xdev \( -path "./$2" -o -prune -false \) || exit 1
    fi
    end_list
    shift 2
done
