# What is in a clone: PATH. A list of what lies there, and then the names of tables that its databases had as well, which are
# in the store.
needs_gnu_find
cd "$1" || exit 1
list_found . -mindepth 1 -xdev || exit 1
end_list
[ ! -e .stored ] || cat .stored
