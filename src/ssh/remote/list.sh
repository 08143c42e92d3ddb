# What is in folders: PATH…. For each file and folder below a path, without crossing into another file system: type, size,
# mode, mtime, inode and the name below the path, each ended by a NUL; an empty record ends each path's list. A path that is
# no folder is a record of its own without a name, of the type - where nothing is there.
find . -maxdepth 0 -printf '' 2>/dev/null || { echo "find is not GNU find (findutils)" >&2; exit 1; }
for path; do
    if [ -d "$path" ]; then
        cd "$path" && find . -mindepth 1 -xdev -printf '%y\0%s\0%m\0%T@\0%i\0%P\0' || exit 1
    elif [ -e "$path" ] || [ -L "$path" ]; then
        find "$path" -maxdepth 0 -printf '%y\0%s\0%m\0%T@\0%i\0\0' || exit 1
    else
        why=$(ls -d "$path" 2>&1)
        case $why in
        *'No such file or directory' | *'Not a directory') printf -- '-\0000\0000\0000\0000\000\000' ;;
        *) echo "$why" >&2; exit 1 ;;
        esac
    fi
    printf '\0\0\0\0\0\0'
done
