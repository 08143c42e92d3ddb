# One service: UNIT HOME DB_DIR STATE_FILE WAL_FILE.
unit_facts "$1" "$2" "$3" "$4"
# Only the run that holds this host puts a log back.
top_epoch
read_line "$locks/$top/run"
wal_facts "$5" "$line"
clone_facts "$3" "$line"
swap_facts "$3" "$line" "$1"
echo "done=1"
