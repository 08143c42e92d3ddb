# One service: UNIT HOME DB_DIR STATE_FILE.
unit_facts "$1" "$2" "$3" "$4"
echo "done=1"
