# The lock alone.
show_lock
echo "done=1"
