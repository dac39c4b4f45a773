#!/bin/sh
# Follow the events of vSphere, from where the last run ended: follow.sh SERVER PLACE [QUERY]
# VSTREAM_TOKEN_FILE names the file with a token, if the server wants one. It needs curl and jq.
# A page that waits is enough; no stream has to be kept open.
server=$1 place=$2 query=${3:+&$3}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT

token() { # not an argument: others see those
  [ -z "$VSTREAM_TOKEN_FILE" ] || echo "Authorization: Bearer $(cat "$VSTREAM_TOKEN_FILE")"
}

resume=
while true; do
  cursor=$(cat "$place" 2>/dev/null)
  cursor=${cursor:-"~"} # before everything
  status=$(token | curl -sS -g --max-time 90 -H @- -D "$work/headers" -o "$work/page" -w '%{http_code}' \
    "$server${resume:-/api/v1/events?cursor=$cursor&wait=60&limit=500$query}") || status=000 # also of half a page
  case $status in
  200)
    # What you do with them.
    jq -r '.[] | [.id, .time, .severity, .data.FullFormattedMessage] | @tsv' "$work/page" || exit 1
    tr -d '\r' <"$work/headers" | sed -n 's/^[Ss]tream-[Nn]ext-[Cc]ursor: //p' >"$place.new"
    [ -s "$place.new" ] && mv "$place.new" "$place"
    resume=
    ;;
  410) # the log has dropped what came next: say so, and take what there is
    echo "missed up to $(jq .missed "$work/page") events" >&2
    resume=$(jq -r .resume "$work/page")
    ;;
  204 | 000 | 429 | 5*) sleep 2 ;; # no event was ever there, or the server is away
  *) # it does not pass by itself
    echo "$server answers $status: $(cat "$work/page")" >&2
    exit 1
    ;;
  esac
done
