# How files are listed: type, size, mode, mtime, inode, a symbolic link's target and the name below the path, each ended by a
# NUL; an empty record ends each list.

needs_gnu_find() {
    find . -maxdepth 0 -printf '' 2>/dev/null || { echo "find is not GNU find (findutils)" >&2; exit 1; }
}

# What `find` finds with these words.
list_found() { find "$@" -printf '%y\0%s\0%m\0%T@\0%i\0%l\0%P\0'; }

# What is asked for isn't there.
list_missing() { printf '%s\0' - 0 0 0 0 '' ''; }

end_list() { printf '%s\0' '' '' '' '' '' '' ''; }
