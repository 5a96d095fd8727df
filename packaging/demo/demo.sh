#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make demo: start evlogd, publish a real event history, replay it to points in time, compare each state with the truth.
#
# usage: demo.sh        BIN names the folder of the programs (build/bin), DEMO the folder to work in (build/demo)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=${BIN:-build/bin}
demo=${DEMO:-build/demo}
data=$demo/data
mkdir -p "$demo"
archive=file://$(cd "$demo" && pwd)/archive
topic=zstd

say() { printf '\n== %s\n' "$*"; }
run() { printf '$ evlog' >&2; printf ' %s' "$@" >&2; printf '\n' >&2; "$bin/evlog" "$@"; }

"$bin/evlog" down -q --data "$data" >/dev/null 2>&1 || true
rm -rf "$data" "$data.restored" "$demo/archive"
stop() { "$bin/evlog" down -q --data "$data" >/dev/null 2>&1 || true; }
trap stop EXIT
trap 'exit 130' INT TERM

say "start a server on $data, which keeps an archive beside it"
kafka=$(run up -q --data "$data" --listen 127.0.0.1:0 --http off --archive "$archive" | tail -n 1)
echo "listening on $kafka"
EVLOG_BOOTSTRAP__SERVERS=$kafka
export EVLOG_BOOTSTRAP__SERVERS

say "publish the beginning of a public project's history: every change to every file, as CloudEvents"
run produce "$topic" --create -p 6 --cloudevents "$here/history.ndjson.gz"

# Events, time, files and hash of each state, one state a line.
member='"\(events\|time\|files\|sha256\)": "\{0,1\}\([^",]*\)"\{0,1\},\{0,1\}'
states=$(sed -n "s/^ *$member\$/\1 \2/p" "$here/truth.json" |
    awk '$1 == "events" { e = $2 } $1 == "time" { t = $2 } $1 == "files" { f = $2 }
         $1 == "sha256" && t != "" { print e, t, f, $2; t = "" }')
tab=$(printf '\t')

say "replay to points in time, and compare the file tree of each with the truth"
failed=0
while read -r events at files sha256; do
    time=$at
    "$bin/evlog" replay "$topic" --event-time --until "$time" --fold latest --drop-type file.removed \
        >"$demo/state.ndjson" 2>"$demo/digest"
    hash=$(sed -n "s/^{\"key\":\"\([^\"]*\)\".*\"blob\":\"\([0-9a-f]*\)\".*/\1$tab\2/p" "$demo/state.ndjson" |
        LC_ALL=C sort | sha256sum | cut -d ' ' -f 1)
    count=$(wc -l <"$demo/state.ndjson")
    verdict="as it was"
    if [ "$hash" != "$sha256" ] || [ "$count" != "$files" ]; then
        verdict="NOT as it was: expected $files files, $sha256"
        failed=1
    fi
    printf '%s  %4d events  %3d files  %.16s...  %s\n' "$time" "$events" "$count" "$hash" "$verdict"
done <<STATES
$states
STATES
cat "$demo/digest"
[ "$failed" = 0 ]

say "one file's story: a stream, by append time"
run replay "$topic" lib/zstd.h | tail -n 2
run consume "$topic" -n 3 -f '%d  %k\n'

say "a read model: SQL for each type of event, each event applied exactly once"
rm -f "$demo/files.db"
run project run "$here/files.sql" --db "sqlite:$demo/files.db" --until-caught-up
run project verify "$here/files.sql" --db "sqlite:$demo/files.db"

say "the same as it was at the end of 2015, and which event set one file"
rm -f "$demo/2015.db"
run replay "$topic" --event-time --until 2015-12-31T00:00Z --project "$here/files.sql" --to "sqlite:$demo/2015.db"
run blame "$topic" lib/zstd.h

say "the archive: proven without the server, by a directory and a public key"
key=$data/keys/archive.pub.pem
run archive now --wait
"$bin/evlog" down -q --data "$data"
run archive verify "$archive" --key "$key" --deep
"$bin/evlog" replay "$topic" --source archive --archive "$archive" --archive-key "$key" --event-time --until "$time" \
    --fold latest --drop-type file.removed >"$demo/archived.ndjson" 2>"$demo/archived.digest"
cat "$demo/archived.digest"
cmp "$demo/digest" "$demo/archived.digest" && echo "the state at $time is the same, from the archive alone"

say "the disk is lost: a new one is made of the archive"
run archive restore "$archive" --to "$data.restored" --key "$key"

say "what to try next"
cat <<NEXT
  $bin/evlog up --demo                     a server of your own with this history, on 127.0.0.1:9092
  $bin/evlog tail demo                     watch events come
  $bin/evlog produce demo hello            publish one; every Kafka client can, too: kcat -b 127.0.0.1:9092 -t demo -P
  $bin/evlog replay demo --until 2015-12-31T00:00Z --event-time --fold latest --drop-type file.removed
  $bin/evlog diff demo 2015-06-01T00:00Z 2015-12-31T00:00Z --event-time     what is another between two times
  $bin/evlog down
NEXT
