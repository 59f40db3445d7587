# Keeps a server of the tests: does what it reads from standard input, a command on each line, and answers with its
# exit status. When standard input closes, which it does however the test process ends, the server is stopped and its
# directory removed.
#
# $1: the directory of the cluster, which is also the current one; $2: the directory of PostgreSQL's programs.
PATH=$2:$PATH

start() {
  pg_ctl -D data -l log -w -t 120 start
}

stop() {
  pg_ctl -D data -m fast -w -t 120 stop
}

promote() {
  pg_ctl -D data -w -t 120 promote
}

# Kills every process of the server as the loss of power does: none of them writes or answers anything more.
crash() {
  server=$(head -n 1 data/postmaster.pid) || return
  # So that it neither starts processes nor cleans up behind those that die.
  kill -STOP "$server"
  children=$(grep -l "^PPid:[[:space:]]*$server\$" /proc/[0-9]*/status 2>/dev/null | cut -d / -f 3)
  # shellcheck disable=SC2086
  kill -KILL $children "$server"
  for process in $children $server; do
    while grep -q '^State:[[:space:]]*[^[:space:]XZ]' "/proc/$process/status" 2>/dev/null; do sleep 0.01; done
  done
  # The numbers of dead processes come back as those of others, and nobody else removes the segment.
  forget
}

forget() {
  if [ -f data/postmaster.pid ]; then
    sed -n 7p data/postmaster.pid | while read -r _key segment; do ipcrm -m "$segment"; done
    rm -f data/postmaster.pid
  fi
}

while IFS= read -r order; do
  (eval "$order") >output 2>&1 </dev/null
  echo $?
done
[ ! -f data/postmaster.pid ] || pg_ctl -D data -m immediate -w stop >/dev/null
cd /
# A disk of its own stays until the last of those is gone who see it.
rm -rf "$1" 2>/dev/null
