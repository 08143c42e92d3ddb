# What is in folders: PATH…. A list for each path: the files and folders below it, without crossing into another file system.
# A path that is no folder is a record of its own without a name, of the type - where nothing is there.
needs_gnu_find
for path; do
    if [ -d "$path" ]; then
        cd "$path" && list_found . -mindepth 1 -xdev || exit 1
    elif [ -e "$path" ] || [ -L "$path" ]; then
        list_found "$path" -maxdepth 0 || exit 1
    else
        why=$(ls -d "$path" 2>&1)
        case $why in
        *'No such file or directory' | *'Not a directory') list_missing ;;
        *) echo "$why" >&2; exit 1 ;;
        esac
    fi
    end_list
done
