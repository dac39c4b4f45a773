#!/bin/sh
# Send the events of vSphere somewhere, in batches, from where the last run ended:
#
#   ship.sh SERVER PLACE FORM.jq TARGET [HEADERS]
#
# HEADERS is a file with a line for each header, for tokens do not belong into arguments.
# VSTREAM_TOKEN_FILE names the file with a token, if the server wants one. A batch counts as sent
# when the target has said so, and is sent again until it does. It needs curl and jq.
server=$1 place=$2 form=$3 target=$4 headers=${5:-/dev/null}
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
  status=$(token | curl -sS --max-time 90 -H @- -D "$work/headers" -o "$work/page" -w '%{http_code}' \
    "$server${resume:-/api/v1/events?cursor=$cursor&wait=60&limit=500}") || status=000 # also of half a page
  case $status in
  200)
    jq -c -f "$form" "$work/page" >"$work/body" || exit 1
    while [ -s "$work/body" ]; do
      : >"$work/answer"
      said=$(curl -sS --max-time 60 -H @"$headers" --data-binary @"$work/body" -o "$work/answer" -w '%{http_code}' "$target") || said=000
      case $said in
      2*) jq -e '.errors? == true' "$work/answer" >/dev/null 2>&1 || break ;; # Elasticsearch says 200 all the same
      esac
      echo "the target answers $said: $(head -c 300 "$work/answer")" >&2
      sleep 5
    done
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
