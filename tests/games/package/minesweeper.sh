#!/bin/sh
# Counts its starts in the save directory, so that a test sees the save come back.
here=$(cd "$(dirname "$0")" && pwd)
starts=$(cat "$PLAYGATE_SAVE_DIR/starts" 2>/dev/null || echo 0)
echo $((starts + 1)) >"$PLAYGATE_SAVE_DIR/starts"
exec "$here/bin/xdemineur" "$@"
