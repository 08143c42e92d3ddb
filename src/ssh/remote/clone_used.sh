# Says that the clone PATH is in use, so that nothing removes it; how full its file system is, as df tells it.
touch -c -- "$1"
df -P -B1 "$1" | tail -n 1
