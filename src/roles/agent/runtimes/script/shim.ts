/**
 * The shim: the small program that stands between the agent and a container's
 * workload. It confines the workload, forwards signals to it, reaps what it
 * leaves behind, ends it when its time is over and records how it ended, whether
 * or not an agent is there to see it. It is a shell script of the machine's own
 * `/bin/sh` (about 1 MB of memory; a JavaScript process would be 40), started by
 *
 *   unshare --mount --pid --ipc --uts --fork --kill-child --propagation private -- /bin/sh SHIM run ATTEMPT STATE
 *
 * so that three processes make a container:
 *   outer     `unshare`. Holds the namespaces; its death kills the init, and the
 *             init's death kills everything inside. It blocks SIGTERM: never send it any.
 *   init      pid 1 of the pod's process namespace: this script. SIGTERM to it is
 *             passed on to the workload.
 *   workload  the bundle's JavaScript runtime, in a mount namespace of its own
 *             whose root holds the runtime, the system's libraries, the bundle
 *             (/app), /tmp, /proc and /dev/null, the volumes that it was given, and
 *             nothing else of the machine;
 *             as a user of its own, with no capability, never able to gain one.
 *
 * The protocol, which the simulated shim keeps too:
 * - The arguments after the script are `run`, ATTEMPT, a number that no start of
 *   this container had before, and STATE, the absolute path of its folder. Standard input is a launch record (launch.ts); one that
 *   is not whole starts nothing. Standard output and error go to STATE/log, where
 *   this script's own complaints go too, with the prefix `shim: `.
 * - Its first act is to take its ticket: it renames STATE/ticket-ATTEMPT to
 *   STATE/run-ATTEMPT.json. Where the ticket is gone it ends and has done nothing:
 *   the one who took it away (attempt.ts) knows that this start never happens.
 * - Once init and workload exist it writes STATE/started.json, atomically:
 *   {"initPid","initStartTicks","workloadPid","workloadStartTicks"}, as the agent sees them.
 * - STATE/deadline, where there is one, holds a time on the boot clock in
 *   milliseconds. Once that has come it makes STATE/expired and kills everything
 *   inside. The file is looked at when the workload starts, after SIGINT to the
 *   init, and again when the time that was read last has come (at least every 5 s).
 * - When the workload has ended it writes STATE/exit.json, atomically and
 *   durably: {"exitCode","finishedAtMs","stage"}; a signal N is exit code 128+N;
 *   stage is `workload`, `setup` where the workload could not be started,
 *   `deadline`, or `memory` where the kernel ended it for want of memory. Only then does it end, and the outer process after it.
 * - Where the launch record says that there is an input, the workload's standard input
 *   is the pipe STATE/input, which the init holds open. Once STATE/input-ended is there
 *   and SIGINT has come to the init it lets go of it. Else the workload's input is empty.
 * - SIGTERM to the init reaches the workload; before there is one, it ends as 143.
 * - SIGKILL to the outer process or to the init ends everything at once and
 *   leaves no exit.json. SIGKILL to the workload is recorded as 137.
 */
export const shimText = String.raw`# Starts, confines and records one container. The agent's shim.ts says how it is used.
stopped=
child=
guardPid=
claimed=
interrupted=
newline='
'
trap 'stopped=1; interrupted=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
trap 'interrupted=1; endInput; startGuard' INT
trap '' HUP
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
stage=$1
attempt=$2
state=$3

# Durable before it has its name: the agent takes the file's existence as the end.
record() {
  printf '{"exitCode":%s,"finishedAtMs":%s,"stage":"%s"}\n' "$1" "$(date +%s%3N)" "$2" >"$state/exit.tmp" &&
    sync "$state/exit.tmp" && mv -f "$state/exit.tmp" "$state/exit.json" && sync "$state"
}
fail() {
  echo "shim: $1" >&2
  [ -z "$claimed" ] || record 125 setup
  exit 125
}
# Makes the control groups and writes the limits into them. False where one could not be.
makeGroups() {
  for step; do
    case $step in
      */) mkdir -p "$step" ;;
      *) echo "${'$'}{step#*=}" >"${'$'}{step%%=*}" ;;
    esac || return 1
  done
}
# How often the kernel has ended something in the groups for want of memory.
outOfMemoryKills() {
  for group in $groups; do
    cat "$group/memory.oom_control" "$group/memory.events" 2>/dev/null
  done | sed -n 's/^oom_kill //p' | head -n 1
}
# Nothing of the container is left but this shell, the init: then the groups can go.
leaveGroups() {
  [ -n "$groups" ] || return 0
  kill -KILL -1 2>/dev/null
  for try in 1 2 3 4 5 6 7 8 9 10; do
    for group in $groups; do rmdir "$group" 2>/dev/null; done
    left=
    for group in $groups; do [ ! -d "$group" ] || left=1; done
    [ -n "$left" ] || return 0
    sleep 0.02
  done
}
# The pid and start time of this very shell as the agent's process table has them:
# /proc is still the one that was mounted outside.
identify() {
  read -r line </proc/self/stat || fail 'cannot read /proc/self/stat'
  pid=${'$'}{line%% *}
  set -- ${'$'}{line##*) }
  shift 19
  ticks=$1
}
readonlyBind() {
  mount --bind "$1" "$2" && mount -o "remount,bind,ro,nosuid,nodev$3" "$2" || fail "cannot mount $1"
}

# A folder in the one that this shell is in, made where it is missing. Whoever may write
# there could put a link in its place at any time: where this shell then is tells.
into() {
  [ -L "$1" ] && fail "$here/$1 is a link, which is not followed"
  [ -d "$1" ] || mkdir -m "$2" -- "$1" || fail "cannot make the folder $here/$1"
  cd -P -- "$1" && [ "$(pwd -P)" = "${'$'}{here%/}/$1" ] || fail "$here/$1 is not the folder that was meant"
  here=${'$'}{here%/}/$1
}
start() {
  cd -P -- "$1" || fail "cannot enter $1"
  here=$(pwd -P)
}
# One volume at one path: first aside, where it becomes read-only if it is to, then moved
# to its place. Both ends are entered name by name, and mounted by where this shell is.
volume() {
  mode=$1
  kind=$2
  source=$3
  target=$4
  shift 4
  if [ "$kind" = folder ]; then
    start "$source"
    for name; do into "$name" 0777; done
    mount -c --bind . "$root/aside" || fail "cannot mount $here"
    aside=$root/aside
  else
    aside=$root/aside.file
    if [ $# -gt 0 ]; then
      start "$source"
      while [ $# -gt 1 ]; do
        into "$1" 0777
        shift
      done
      [ -e "$1" ] || [ -L "$1" ] || (set -C && umask 0 && : >"$1") || fail "cannot make the file $here/$1"
      [ -f "$1" ] || fail "$here/$1 is no file"
      command exec 9<"$1" || fail "cannot open $here/$1"
      [ "$(readlink /proc/self/fd/9)" = "${'$'}{here%/}/$1" ] || fail "$here/$1 is a link, which is not followed"
      source=/proc/self/fd/9
    fi
    mount -c --bind "$source" "$aside" || fail "cannot mount $source"
    exec 9<&-
  fi
  flags=nosuid,nodev,noexec
  [ "$mode" = rw ] || flags=$flags,ro
  mount -c -o "remount,bind,$flags" "$aside" || fail "cannot make a mount $mode"
  start "$root"
  rest=${'$'}{target#/}
  while [ "${'$'}{rest#*/}" != "$rest" ]; do
    into "${'$'}{rest%%/*}" 0755
    rest=${'$'}{rest#*/}
  done
  if [ "$kind" = folder ]; then
    into "$rest" 0755
    mount -c --move "$aside" . || fail "cannot show a volume at $target"
  else
    [ ! -L "$rest" ] || fail "$target is a link, which is not followed"
    [ -e "$rest" ] || (set -C && : >"$rest") || fail "cannot make the file $target"
    mount -c --move "$aside" "$rest" || fail "cannot show a volume at $target"
  fi
  cd "$root" || fail 'cannot return to the root'
}
# Lets there be folders and files to mount on in the image, which cannot be written.
openImage() {
  mkdir points image && mount -t tmpfs -o mode=0755,size=1m,nosuid,nodev shim points || fail 'cannot make room in the image'
  for name; do
    case $name in
      */) mkdir -p "points/$name" ;;
      */*) mkdir -p "points/${'$'}{name%/*}" && : >"points/$name" ;;
      *) : >"points/$name" ;;
    esac || fail "cannot make $name in the image"
  done
  mount --bind "$bundle" image || fail "cannot mount $bundle"
  mount -t overlay -o ro,nosuid,nodev,noexec,lowerdir=points:image shim app || fail 'cannot make room in the image'
  umount image && umount points && rmdir image points || fail 'cannot leave the image'
}

# The init holds the input open, so that it does not end with the one who gave some of it.
endInput() {
  [ ! -e "$state/input-ended" ] || exec 8>&-
}

# Keeps the deadline. It lives in the pod's process namespace and dies with it; from
# there -1 is everything but itself and the init, which then records the end.
guard() {
  trap - TERM INT
  while [ -e "$state/deadline" ]; do
    due=
    read -r due <"$state/deadline" || :
    read -r now rest </proc/uptime
    case $due in
      '' | *[!0-9]*) left=1000 ;;
      *) left=$((due - ${'$'}{now%.*}${'$'}{now#*.}0)) ;;
    esac
    if [ "$left" -le 0 ]; then
      : >"$state/expired"
      kill -KILL -1
      exit
    fi
    [ "$left" -lt 5000 ] || left=5000
    sleep "$((left / 1000)).$(printf %03d "$((left % 1000))")"
  done
}
# Anew each time, as the one that sleeps does not see that its time has become shorter.
startGuard() {
  [ -n "$child" ] || return 0
  [ -z "$guardPid" ] || kill -KILL "$guardPid" 2>/dev/null
  guardPid=
  [ -e "$state/deadline" ] || return 0
  guard 8>&- &
  guardPid=$!
}

if [ "$stage" = enter ]; then
  # Second stage: becomes the workload. Its standard input is the launch record's second part.
  root=$state/root
  initPid=$4
  initTicks=$5
  userId=$6
  workingDirectory=$7
  groups=$8
  identify
  for group in $groups; do
    echo 0 >"$group/cgroup.procs" || fail "cannot join $group"
  done
  printf '{"initPid":%s,"initStartTicks":%s,"workloadPid":%s,"workloadStartTicks":%s}\n' \
    "$initPid" "$initTicks" "$pid" "$ticks" >"$state/started.tmp" &&
    mv -f "$state/started.tmp" "$state/started.json" || fail 'cannot write started.json'
  cd "$root" && pivot_root . old || fail 'cannot change the root'
  cd /app || fail 'the bundle is not there'
  /old/usr/bin/umount -l /old || fail 'cannot leave the old root'
  cd "$workingDirectory" || fail "the working directory $workingDirectory is not there"
  # From here on SIGTERM ends it as it is; one that came before is obeyed now.
  trap - TERM HUP INT
  [ -z "$stopped" ] || exit 143
  # The shell behind it sets the environment: what that does to a program (a library
  # to load first, for one) must not happen to one that still has privileges.
  exec /bin/setpriv --reuid "$userId" --regid "$userId" --clear-groups --no-new-privs \
    --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- /bin/sh
  fail 'cannot drop privileges'
fi

launch=$(cat)
case $launch in
  *"${'$'}{newline}--$newline"*"${'$'}{newline}end=''") ;;
  *) fail 'the launch record is not whole' ;;
esac
mv "$state/ticket-$attempt" "$state/run-$attempt.json" 2>/dev/null || fail 'this start was given up'
claimed=1
identify
initPid=$pid
initTicks=$ticks
eval "${'$'}{launch%%"${'$'}{newline}--$newline"*}" || fail 'the launch record is not readable'
workload=${'$'}{launch#*"${'$'}{newline}--$newline"}
workload="set -e
unset PATH PWD OLDPWD SHLVL _
${'$'}{workload%"${'$'}{newline}end=''"} <&9 9<&-"
launch=
root=$state/root
echo "$hostname" >/proc/sys/kernel/hostname || fail 'cannot set the host name'
mkdir -p "$root" && mount -t tmpfs -o mode=0755,size=64m,nr_inodes=8k,nosuid,nodev shim "$root" || fail 'cannot make a root'
cd "$root" || fail 'cannot enter the root'
mkdir app bin dev etc old proc runtime aside tmp usr usr/lib && : >aside.file || fail 'cannot fill the root'
chmod 1777 tmp
: >bin/setpriv && : >bin/sh && : >dev/null && : >dev/urandom && : >runtime/node || fail 'cannot fill the root'
readonlyBind "$runtime" runtime/node
if [ -n "$imageMounts" ]; then
  eval "openImage $imageMounts"
else
  readonlyBind "$bundle" app ,noexec
fi
readonlyBind "$(command -v setpriv)" bin/setpriv
readonlyBind "$(readlink -f /bin/sh)" bin/sh
readonlyBind /usr/lib usr/lib
# Where /lib is a link into /usr it is one here too; else it is shown as it is.
for name in lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then
    ln -s "usr/$name" "$name" || fail "cannot link $name"
    if [ "$name" != lib ] && [ -d "/usr/$name" ]; then
      mkdir "usr/$name" && readonlyBind "/usr/$name" "usr/$name"
    fi
  elif [ -d "/$name" ]; then
    mkdir "$name" && readonlyBind "/$name" "$name"
  fi
done
mount --bind /dev/null dev/null && mount --bind /dev/urandom dev/urandom || fail 'cannot make devices'
mount -t proc -o nosuid,nodev,noexec,hidepid=2 proc proc || fail 'cannot mount proc'
for name in hosts resolv.conf; do
  [ ! -r "/etc/$name" ] || cat "/etc/$name" >"etc/$name"
done
[ -z "$address" ] || echo "$address $hostname" >>etc/hosts
[ -z "$nameserver" ] || printf 'nameserver %s\nsearch %s\noptions ndots:5\n' "$nameserver" "$searches" >etc/resolv.conf
echo "app:x:$userId:$userId::/app:/bin/false" >etc/passwd
echo "app:x:$userId:" >etc/group
mount -t tmpfs -o "mode=1777,size=$temporaryBytesMax,nr_inodes=8k,nosuid,nodev,noexec" shim tmp || fail 'cannot mount /tmp'
mountVolumes
cd "$root" && rmdir aside && rm -f aside.file || fail 'cannot clear the root'
mount -o remount,ro,mode=0755,size=64m,nr_inodes=8k,nosuid,nodev shim "$root" || fail 'cannot close the root'

if [ -n "$stopped" ]; then
  record 143 setup
  exit 143
fi
if ! eval "makeGroups $groupSteps" 2>/dev/null; then
  [ -z "$limits" ] || fail 'the limits cannot be held: this machine refuses a control group'
  echo 'shim: this machine refuses a control group; what the container uses is not bounded' >&2
  groups=
elif [ -n "$limits" ] && [ -z "$groups" ]; then
  fail 'the limits cannot be held: this machine has no control groups'
fi
killsBefore=$(outOfMemoryKills)
inputPath=/dev/null
if [ "$input" != empty ]; then
  inputPath=$state/input
  rm -f "$inputPath" "$state/input-ended"
  mkfifo -m 600 "$inputPath" && exec 8<>"$inputPath" || fail 'cannot make an input'
fi
printf '%s\n' "$workload" | unshare --mount --propagation private -- \
  env -i /bin/sh "$0" enter "$attempt" "$state" "$initPid" "$initTicks" "$userId" "$workingDirectory" "$groups" 9<"$inputPath" 8>&- &
child=$!
workload=
cd /
startGuard
# A signal that came between the check above and the line before this one.
[ -z "$stopped" ] || kill -TERM "$child" 2>/dev/null

code=
while :; do
  interrupted=
  wait "$child"
  now=$?
  # After an interrupted wait the real status is still to come; if it had come
  # already, the shell knows the process no more and says 127.
  [ "$now" = 127 ] && [ -n "$code" ] || code=$now
  [ -n "$interrupted" ] || break
done
ended=workload
[ "$code" = 0 ] || [ "$(outOfMemoryKills)" = "$killsBefore" ] || ended=memory
[ ! -e "$state/expired" ] || ended=deadline
record "$code" "$ended" || echo 'shim: cannot record the exit code' >&2
leaveGroups
exit "$code"
`;
