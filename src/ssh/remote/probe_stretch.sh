# A stretch of a file: PATH OFFSET LENGTH.
printf 'bytes='
dd if="$1" bs=65536 iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none | base64 -w 0
echo
echo "done=1"
