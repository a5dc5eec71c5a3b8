#!/bin/busybox sh
# The first process of a guest: mounts, runs, tells on the serial line that the kernel was given as TESTS, powers off.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf
exec >/dev/$TESTS 2>&1
stty -F /dev/$TESTS raw 2>/dev/null
# Whom the kernel asks for modules: kmod, wherever Debian of this suite puts it, else busybox.
for program in /sbin/modprobe /usr/sbin/modprobe /bin/modprobe; do
    [ ! -x $program ] || { echo $program >/proc/sys/kernel/modprobe && break; }
done
modprobe veth
# On a node kube-proxy has loaded it long before an agent starts.
modprobe nf_conntrack
ip link set lo up

# run NAME COMMAND…: what the host reads a part's output and its end from
run() {
    name=$1
    shift
    echo
    echo "@zonemeter begin $name"
    "$@"
    code=$?
    echo
    echo "@zonemeter end $name $code"
}

export ZONEMETER_BIN=/zonemeter/agent ZONEMETER_LAB_PATIENCE=10
cd /zonemeter
# The log goes to standard error and is no JSON.
check() { /zonemeter/agent check --node-name guest --json 2>/dev/null; }
run check check
# How long a packet takes in an emulator says nothing.
skip="--skip costs_hardly_more"
# Without the kernel's types the verifier of 5.10 did not end within five minutes, emulated, and that of 6.1 gives up.
case $(uname -r) in 5.10.* | 6.1.*) skip="$skip --skip without_types" ;; esac
run programs /zonemeter/programs --include-ignored --test-threads=1 $skip
run verifier /zonemeter/programs --include-ignored --nocapture the_verifier_has_little_to_walk
[ ! -e privilege ] || run privilege /zonemeter/privilege --include-ignored --test-threads=1
run lab /zonemeter/lab --include-ignored --test-threads=1
poweroff -f
