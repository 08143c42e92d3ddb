# The file system that PATH is on, as df tells it.
df -P -B1 "$1" | tail -n 1
