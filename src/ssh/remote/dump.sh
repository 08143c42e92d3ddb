# A dump of PostgreSQL's database DATABASE as SQL, made as USER: USER DATABASE. Nothing is written on the host; pg_dump's own
# status is the script's.
user=$1
database=$2
command -v pg_dump >/dev/null || { echo "pg_dump is missing: apt-get install postgresql-client" >&2; exit 1; }
set -- nice -n 10 pg_dump --format=plain --no-password --dbname="$database"
[ "$(id -un)" = "$user" ] || set -- sudo -n -u "$user" -- "$@"
cd / || exit 1
"$@" </dev/null
