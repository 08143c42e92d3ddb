# A tar archive of files in PATH whose names come on standard input, each ended by a NUL; PATH is called ROOT in it. tar's
# own status is the script's: a file that changed or vanished makes it fail.
tar --version 2>/dev/null | grep -q GNU || { echo "tar is not GNU tar" >&2; exit 1; }
cd "$2" || exit 1
nice -n 10 tar --create --file=- --format=gnu --no-recursion --owner=0 --group=0 --numeric-owner \
    --transform="s,^,$1/," --null --files-from=-
