# One service: UNIT HOME DB_DIR STATE_FILE WAL_FILE.
unit_facts "$1" "$2" "$3" "$4"
wal_facts "$5"
echo "done=1"
